# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_file_fetch: which backup, under which name, in which portions. What touches the host is done by ``host``."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256

from .._backup import FAILED, OK, RUNNING, engine_name, newest_first
from .._errors import BackupError, NotFoundError, OptionError
from .._values import format_size, format_time
from ._reading import selected

# A URL is asked for again after so many seconds; the shortest life known is five minutes.
_URL_LIFE = 120.0
# Portions grow while parts come faster than slices end, up to so many URLs at a time.
_MAX_PORTION = 32
# Slices in a row without a byte, and slices that had to give bytes up, before that is the answer.
_MAX_BARREN = 3
_MAX_SETBACKS = 5
_NAME_BYTES = 180


def run(params, provider, context, host):
    """The module's result. ``host`` carries orders to the host: ``inspect``, ``receive`` and ``release``.

    With ``receive`` goes {part number: FileAccess} of the parts to fetch next; how the bytes reach the host is its own
    affair. Its ``is_free`` is a cheap look that may say no without a reason.
    """
    checksum = wanted_checksum(params["checksum"])
    if not params["dest"].strip():
        raise OptionError("dest", "is empty")
    if not 1 <= params["workers"] <= 32:
        raise OptionError("workers", "must be 1 to 32")
    if params["progress_interval"] < 0:
        raise OptionError("progress_interval", "must be 0 or more seconds")
    if (params["id"] is not None) == params["latest"]:
        raise OptionError("id", "say which backup: either its id, or latest: true")
    provider.require("files")
    provider.require("fetch")
    backup = chosen_backup(params, provider, context)
    _check_collision(params, backup, context)
    files = provider.list_files(params["source"], backup.id)
    if not files:
        raise BackupError("backup %s has no files to fetch" % backup.id, code="no_files", id=backup.id)
    order = make_order(params, provider, backup, files, checksum)
    looked = None
    if context.check_mode or not (params["force"] or host.is_free(order)):
        looked = host.inspect(order)
    result = {
        "backup": backup.to_result(context.now()),
        "changed": False,
        "sha256": None,
        "size_bytes": None,
        "files": [_file_result(file, name) for file, name in zip(files, [one["name"] for one in order["files"]])],
        "bytes_received": 0,
        "bytes_resumed": 0,
    }
    if looked is not None and looked["state"] == "current":
        result.update(changed=looked["attributes_changed"], **_facts(looked))
    elif context.check_mode:
        result.update(changed=True, dest=looked["path"])
    else:
        fetched, looked_later = _Fetch(params, provider, context, host, backup, files, order, looked).finish()
        result.update(fetched)
        looked = looked or looked_later
    if result["changed"]:
        result["diff"] = looked["diff"]
    return result


def wanted_checksum(text):
    """The 64 digits of a checksum option, None where it is not given. Raises OptionError."""
    if text is None:
        return None
    method, colon, digits = text.strip().rpartition(":")
    if (colon and method.lower() != "sha256") or not re.match(r"^[0-9a-fA-F]{64}$", digits):
        raise OptionError("checksum", "must be sha256: and 64 hexadecimal digits")
    return digits.lower()


# -- which backup --------------------------------------------------------------------------------------------------


def chosen_backup(params, provider, context):
    """The backup that the options mean; never one that is known to be bad, unless it is forced by its id."""
    if params["id"] is not None:
        backup = provider.get_backup(params["source"], params["id"])
        _check_filters(params, backup)
        if backup.status in (FAILED, RUNNING) and not params["force"]:
            raise BackupError(
                "backup %s of %s %s%s; force: true fetches it all the same"
                % (
                    backup.id,
                    params["source"],
                    "has failed" if backup.status == FAILED else "is still being made",
                    " (%s)" % backup.message if backup.message else "",
                ),
                code="backup_failed" if backup.status == FAILED else "backup_running",
                id=backup.id,
            )
        if backup.status not in (OK, FAILED, RUNNING):
            context.warn("The service does not say whether backup %s is good" % backup.id)
        return backup
    provider.require("list")
    listing = provider.list_backups(
        params["source"], engine=engine_name(params["engine"]) if params["engine"] else None
    )
    for warning in listing.warnings:
        context.warn(warning)
    series = [params["series"]] if params["series"] is not None else None
    fitting = selected(listing.backups, params["engine"], params["database"], series=series)
    good = newest_first(backup for backup in fitting if backup.good)
    if not good:
        wanted = ", ".join(
            "%s %s" % (option, params[option])
            for option in ("series", "engine", "database")
            if params[option] is not None
        )
        raise NotFoundError(
            "%s has no good backup%s (%d of %d listed fit, none of them is good)"
            % (params["source"], " with " + wanted if wanted else "", len(fitting), len(listing.backups)),
            code="no_backups",
        )
    kinds = sorted({(backup.engine or "unknown engine", backup.database or "") for backup in good})
    if len(kinds) > 1:
        raise OptionError(
            "latest",
            "%s has good backups of several databases (%s): narrow them by engine, database or series"
            % (params["source"], ", ".join(" ".join(kind).strip() for kind in kinds)),
        )
    return good[0]


def _check_collision(params, backup, context):
    """Of several backups that share one stored file at most one can be what it says, and nobody can tell which."""
    if not backup.shares_file_with:
        return
    message = "backup %s of %s shares its stored file with %s: it may hold the data of another" % (
        backup.id,
        backup.source,
        ", ".join(backup.shares_file_with),
    )
    if not params["force"]:
        raise BackupError(
            "%s. Fetch another backup, or this one all the same with force: true" % message,
            code="collision",
            id=backup.id,
            shares_file_with=list(backup.shares_file_with),
        )
    context.warn(message[0].upper() + message[1:])


def _check_filters(params, backup):
    """What is said beside an id must be true of its backup."""
    for option, found in (("engine", backup.engine), ("database", backup.database), ("series", backup.series)):
        wanted = params[option]
        if wanted is not None and not selected([backup], **{option: [wanted] if option == "series" else wanted}):
            raise OptionError(option, "backup %s is of %s %s, not %s" % (backup.id, option, found, wanted))


# -- names ---------------------------------------------------------------------------------------------------------


def safe_name(text, fallback):
    """A plain, visible file name out of what a service calls something."""
    name = "".join("_" if _is_hazard(character) else character for character in str(text)).strip()
    name = re.sub(r"\.{2,}|^[.-]", "_", name.rstrip("."))
    if re.match(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name, re.I):
        name = "_" + name
    if not name.strip("_"):
        return fallback
    raw = name.encode("utf-8")
    if len(raw) <= _NAME_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    ending = dot + ending if stem and len(ending.encode("utf-8")) <= 20 else ""
    mark = "-" + sha256(raw).hexdigest()[:12] + ending
    return raw[: _NAME_BYTES - len(mark.encode("utf-8"))].decode("utf-8", "ignore") + mark


def _is_hazard(character):
    """Separators, control and formatting characters, halves of characters, wide blanks."""
    return character in "/\\:" or (not character.isprintable() and character != " ")


def safe_names(names):
    """Safe names, all different, also where upper and lower case are the same."""
    found, taken = [], set()
    for number, text in enumerate(names):
        name = plain = safe_name(text, "part-%04d" % number)
        count = 1
        while name.casefold() in taken:
            count += 1
            stem, dot, ending = plain.rpartition(".")
            name = "%s-%d%s%s" % (stem, count, dot, ending) if stem else "%s-%d" % (plain, count)
        taken.add(name.casefold())
        found.append(name)
    return found


def backup_name(backup, files, joined):
    """The name of the joined file, or of the folder of parts: what is in it, when it was made, its id."""
    made = backup.created_at.strftime("%Y%m%dT%H%M%SZ") if backup.created_at else None
    name = "-".join(str(word) for word in (backup.engine, backup.database, made, backup.id) if word)
    if not joined:
        return safe_name(name, "backup")
    # Segments of an object have names of their own, without its ending.
    ending = _ending(files[0].name) or _ending((backup.location or "").partition("?")[0])
    return safe_name(name + ending, "backup.tar")


def _ending(name):
    """The ending that tells the kind of a file, without the count of its part (C(tar-aa), C(mysql.tar.ab))."""
    if re.search(r"(^|\.)tar(-[a-z]{2,3}|\.(?!(gz|bz|xz|lz|zst|lzo|gpg|pgp|enc|aes|br)$)[a-z]{2,3})?$", name):
        return ".tar"
    ending = re.search(r"(\.[A-Za-z][A-Za-z0-9]{0,8}){1,2}$", name)
    return ending.group() if ending else ""


# -- orders for the host -------------------------------------------------------------------------------------------


def make_order(params, provider, backup, files, checksum):
    """What the host needs to know, without a URL yet."""
    joined = params["parts"] == "join"
    sizes = [file.size_bytes for file in files]
    what = {
        "provider": backup.provider,
        "address": provider.address,
        "source": backup.source,
        "backup": backup.id,
        "parts": params["parts"],
        "files": [file.id for file in files],
    }
    if any(file.md5 for file in files):
        what["md5"] = [file.md5 for file in files]
    return {
        "name": backup_name(backup, files, joined),
        "kept": not joined,
        "checksum": checksum,
        "force": params["force"],
        "keep_partial": params["keep_partial"],
        "what": what,
        "backup": {
            "id": backup.id,
            "series": backup.series,
            "engine": backup.engine,
            "database": backup.database,
            "status": backup.status,
            "created_at": format_time(backup.created_at),
        },
        "files": [
            {"id": file.id, "name": name, "size": file.size_bytes, "md5": file.md5}
            for file, name in zip(files, safe_names(file.name for file in files))
        ],
        "urls": {},
        "credentials": {},
        "run": uuid.uuid4().hex,
        "first": True,
        "seen": None,
        "rate": None,
        "seconds": params["progress_interval"] or None,
        "workers": params["workers"],
        "timeout": params["api_timeout"],
        "tries": params["api_retries"] + 1,
        "validate_certs": params["validate_certs"],
        "ca_data": None,
        "allow_http": params["allow_http"],
        "proxies": None,
        "storage_name": None,
        "client_cert": None,
        "handed": None,
        "expected_bytes": backup.size_bytes if None in sizes else sum(sizes),
    }


class _Fetch:
    """Slice after slice until the host has all parts; asks where they are just before they are needed."""

    def __init__(self, params, provider, context, host, backup, files, order, looked):
        self.provider, self.context, self.host = provider, context, host
        self.source, self.backup, self.files = params["source"], backup, files
        self.order = dict(order, seen=looked and looked["seen"])
        self.count = len(order["files"])
        self.complete = set(looked["complete"]) if looked else set()
        self.have = {}
        # Part number -> (FileAccess, when it was given).
        self.accesses = {}
        self.refused, self.misfits = {}, set()
        self.portion = min(params["workers"], _MAX_PORTION)
        self.received, self.resumed = 0, None
        self.barren = self.setbacks = 0
        self.announced = False

    def finish(self):
        """(what there is to add to the result, the host's first answer)."""
        first = None
        try:
            while True:
                answer = self.host.receive(self.order, self._next_accesses())
                first = first or answer
                if answer["state"] == "current":
                    # It was not seen to be so before, or another run was faster.
                    return dict(changed=answer["attributes_changed"], **_facts(answer)), first
                self._note(answer)
                if answer["state"] == "done":
                    return self._result(answer), first
                self.order.update(first=False, rate=answer["received"] / max(answer["seconds"], 0.001))
        except BackupError as error:
            if not getattr(error, "on_host", False):
                # The host knows nothing of this yet. Its own complaint about it would only hide the reason.
                with suppress(Exception):
                    self.host.release(self.order)
            raise

    # -- where the parts are ----------------------------------------------------------------------------------------

    def _next_accesses(self):
        """{part number: FileAccess} for the next slice."""
        wanted = [index for index in range(self.count) if index not in self.complete][: self.portion]
        now = self.context.now().timestamp()
        missing = [index for index in wanted if not 0 <= now - self.accesses.get(index, (None, 0))[1] < _URL_LIFE]
        if missing:
            with ThreadPoolExecutor(min(8, len(missing))) as pool:
                for index, access in zip(missing, pool.map(self._ask, missing)):
                    self.accesses[index] = (access, now)
        return {index: self.accesses[index][0] for index in wanted}

    def _ask(self, index):
        return self.provider.file_access(self.source, self.backup.id, self.files[index])

    # -- what a slice has brought ----------------------------------------------------------------------------------

    def _note(self, answer):
        """Take in what the host answers, tell the user, and raise BackupError where going on has no sense."""
        before = dict(self.have)
        self.received += answer["received"]
        if self.resumed is None:
            self.resumed = answer["resumed"]
        for index, part in enumerate(answer["parts"]):
            self.have[index] = part["have"]
            if part["size"] is not None and part["have"] == part["size"]:
                if index not in self.complete:
                    size = format_size(part["size"])
                    self._say("part %d of %d (%s) is here, %s", index + 1, self.count, self._name(index), size)
                self.complete.add(index)
            else:
                self.complete.discard(index)
        for index in answer["unmeasured"]:
            self.context.warn(
                "The storage does not say how long part %s of backup %s is: whether all of it has come cannot be told"
                % (self._name(index), self.backup.id)
            )
        if answer.get("without_md5"):
            self.context.warn(
                "The Python that received backup %s refuses MD5 (FIPS): of its parts the sizes alone were compared "
                "with what the service says" % self.backup.id
            )
        if answer["state"] == "done":
            return
        rate = answer["received"] / max(answer["seconds"], 0.001)
        if len(self.complete) < self.count:
            total = "" if answer["size"] is None else " of %s" % format_size(answer["size"])
            self._say("%s%s, %s/s", format_size(answer["have"]), total, format_size(int(rate)))
        elif not self.announced:
            self.announced = True
            self._say("all %s are here; computing the checksum", format_size(answer["have"]))
        self._judge(answer, before)
        in_time = self.order["seconds"] is None or answer["seconds"] < self.order["seconds"]
        if in_time and all(outcome[0] == "done" for outcome in answer["outcomes"].values()):
            self.portion = min(self.portion * 2, _MAX_PORTION)

    def _judge(self, answer, before):
        for text, (kind, message) in sorted(answer["outcomes"].items()):
            index = int(text)
            if kind in ("final", "transient"):
                raise self._failure(index, message)
            if kind == "misfit":
                if index in self.misfits:
                    message += ", also when fetched anew; the destination is as it was before"
                    raise self._failure(index, message, "checksum_mismatch")
                self._say("part %s: %s; fetching it once more", self._name(index), message)
                self.misfits.add(index)
                self.accesses.pop(index, None)
            if kind == "expired":
                access, _when = self.accesses.pop(index, (None, 0))
                if access is not None:
                    self.provider.access_refused(access)
                again = index in self.refused and self.refused[index] == self.have.get(index)
                if again:
                    raise self._failure(index, "%s, also with a fresh URL" % message)
                self.refused[index] = self.have.get(index)
        expired = any(outcome[0] == "expired" for outcome in answer["outcomes"].values())
        self.barren = 0 if answer["received"] or expired or len(self.complete) == self.count else self.barren + 1
        if self.barren >= _MAX_BARREN:
            said = [message for _kind, message in answer["outcomes"].values() if message]
            raise self._failure(None, "no byte has come for a while%s" % (": " + said[0] if said else ""))
        if any(have < before.get(index, 0) for index, have in self.have.items()):
            self.setbacks += 1
            if self.setbacks >= _MAX_SETBACKS:
                raise self._failure(None, "the storage keeps changing what it holds")

    def _failure(self, index, message, code="storage"):
        about = "" if index is None else ", part %s" % self._name(index)
        return BackupError(
            "Cannot fetch backup %s of %s%s: %s. %s" % (self.backup.id, self.source, about, message, self._next_step()),
            code=code,
            id=self.backup.id,
            part=None if index is None else self.order["files"][index]["id"],
        )

    def _next_step(self):
        if not self.order["keep_partial"]:
            return "Nothing is kept (keep_partial: false); running the same task again fetches from the beginning"
        arrived = sum(self.have.values())
        if not arrived:
            return "Nothing has arrived yet; run the same task again to try once more"
        return "What has arrived (%s) is kept; running the same task again goes on from there" % format_size(arrived)

    def _result(self, answer):
        expected = self.order["expected_bytes"]
        if expected is not None and expected not in (answer["size_bytes"], self.backup.size_bytes):
            self.context.warn(
                "The API gives the size of backup %s as %d bytes, the storage sent %d"
                % (self.backup.id, expected, answer["size_bytes"])
            )
        return dict(changed=True, bytes_received=self.received, bytes_resumed=self.resumed, **_facts(answer))

    def _name(self, index):
        return self.order["files"][index]["name"]

    def _say(self, text, *values):
        self.context.progress("backup %s: %s" % (self.backup.id, text % values))


def _facts(answer):
    return dict({key: answer[key] for key in ("sha256", "size_bytes", "files")}, dest=answer["path"])


def _file_result(file, name):
    return {"id": file.id, "name": name, "path": None, "size_bytes": file.size_bytes, "sha256": None}
