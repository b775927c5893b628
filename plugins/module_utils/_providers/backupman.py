# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Backupman. Facts were seen on a running server (0.12): there is one list of everything, in no order, and little else.

C(/health) is never asked: each call leaves a file behind in the server's local drive.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from posixpath import basename
from urllib.parse import urlsplit, urlunsplit

from .._backup import FAILED, OK, RUNNING, UNKNOWN, Backup, BackupFile, FileAccess, Source, newest_first
from .._errors import ApiError, AuthError, NotFoundError, OptionError, OutcomeUnknownError, UnavailableError
from .._http import HttpClient, check_url, said_of
from .._values import UTC, format_time
from . import _fields as fields
from ._base import Listing, Option, Provider

# A run that was killed stays pending for ever: after so long it is told of.
PENDING_LIMIT = timedelta(days=1)
_ALL = "*"
_BACKUPS = "/api/backups"
_STATUS = {"finished": OK, "failed": FAILED, "pending": RUNNING}
# Not found and not possible are 500 here, as is everything else: what it is stands in the words alone.
_PROBLEMS = (
    (r"no (backup|drive files?) found with id", NotFoundError, "not_found"),
    (r"no valid drive found", ApiError, "not_local"),
    (r"drive file .*is not finished", ApiError, "not_finished"),
    (r"failed to read file .*no such file", ApiError, "file_missing"),
)


class Backupman(Provider):
    name = "backupman"
    title = "Backupman"
    capabilities = frozenset(("list", "get", "files", "fetch", "sources", "run"))
    options = {
        "api_url": Option(env=("BACKUPMAN_URL",)),
        "api_token": Option(env=("BACKUPMAN_API_KEY",)),
    }
    source_words = "the label of a data source"
    understands = {"run": ("all_sources",)}
    instead = {
        "schedule": "its schedule is one cron expression of six fields in the server's own configuration file; "
        "set it there, or call backup_run from a timer or an AWX schedule",
        "unschedule": "its schedule is in the server's own configuration file; remove it there",
        "import": "the API has no such call; keep the file where it is and restore from there",
        "delete": "the API has no such call; remove the file from its drive by hand",
    }

    def __init__(self, client, key, warn, now=lambda: datetime.now(UTC)):
        self._client, self._key, self._warn, self._now = client, key, warn, now
        # Records of good backups: they do not change any more, and the only way to one of them is the whole list.
        self._good = {}
        self._told = False

    @classmethod
    def from_options(cls, params, around):
        if not fields.text(params["api_url"]):
            raise OptionError(
                "api_url",
                "no address given: set this option or the environment variable BACKUPMAN_URL to the server's own",
            )
        base_url = base_of(params["api_url"])
        check_url("api_url", base_url, params["allow_http"])
        key = fields.token_of(params, "BACKUPMAN_API_KEY", "API key")
        client = HttpClient(
            base_url,
            ("X-Api-Key", key),
            timeout=params["api_timeout"],
            retries=params["api_retries"],
            validate_certs=params["validate_certs"],
            ca_path=params["ca_path"],
            problem_of=problem_of,
        )
        return cls(client, key, around.warn)

    @property
    def address(self):
        return self._client.base_url

    # -- reading ---------------------------------------------------------------------------------------------------

    def list_backups(self, source, group=None, engine=None, datastore=None):
        backups, warnings = self._read()
        found = [backup for backup in backups if source in (_ALL, backup.source)]
        if not found and source != _ALL:
            warnings.append(
                "Backupman has no backup of label %s; there are those of %s"
                % (source, ", ".join(_labels(backups)) or "none at all")
            )
        return Listing(found, warnings + _forgotten(found, self._now()))

    def get_backup(self, source, backup_id):
        for backup in self._read()[0]:
            if backup.id == backup_id:
                if source in (_ALL, backup.source):
                    return backup
                raise NotFoundError(
                    "Backup %s is of label %s, not of %s" % (backup_id, backup.source, source), id=backup_id
                )
        raise NotFoundError("Backupman has no backup %s" % backup_id, id=backup_id)

    def list_files(self, source, backup_id):
        """One file at most: several drive files are copies of one dump on several drives, not parts of it.

        A copy that can be fetched where there is one; of others ``file_access`` says what stands in the way.
        """
        record = self._good.get(backup_id) or self.get_backup(source, backup_id).raw
        return [
            BackupFile(fields.text(copy.get("Id")) or "", basename(fields.text(copy.get("Path")) or ""), raw=copy)
            for copy in _copies(record)[:1]
        ]

    def file_access(self, source, backup_id, file):
        """The address on the server itself, and the key, which is needed there: nothing is signed.

        What the server gives as an address begins with the ``app_url`` of its configuration, which may lead anywhere.
        The key goes to C(api_url) and nowhere else.
        """
        obstacle = _obstacle(file.raw)
        if obstacle:
            code, reason = obstacle
            raise ApiError("The file of backup %s cannot be fetched: %s" % (backup_id, reason), code=code, id=backup_id)
        answer = self._client.get(fields.path("api", "backups", backup_id, "generate-download-url")).data
        given = fields.text(answer.get("Url")) if isinstance(answer, dict) else None
        if not given:
            raise ApiError("Backupman gave no address for the file of backup %s" % backup_id, code="no_url")
        self._compare(given)
        url = self._client.base_url + fields.path("api", "backups", file.id, "download")
        return FileAccess(url, {"X-Api-Key": self._key})

    def list_sources(self):
        """The labels that have a backup: of a data source without one the API says nothing."""
        newest = {}
        for backup in newest_first(self._read()[0]):
            newest.setdefault(backup.source, backup)
        return [Source(label, label, engine=newest[label].engine) for label in _labels(newest.values())]

    # -- writing ---------------------------------------------------------------------------------------------------

    def run_backup(self, source, request):
        """Start the backups of all data sources: there is no other way. The answer names none of them."""
        answer = self._client.post(_BACKUPS).data
        if not isinstance(answer, dict):
            raise OutcomeUnknownError("POST %s answered with JSON that does not say what was done" % _BACKUPS)
        refusal = fields.text(answer.get("Error") or answer.get("error"))
        if refusal:
            raise ApiError("Backupman refused: %s" % refusal, code="not_ok")

    # -- records ---------------------------------------------------------------------------------------------------

    def _read(self):
        """(every backup there is, warnings)."""
        answer = self._client.get(_BACKUPS).data
        records = answer.get("Results", False) if isinstance(answer, dict) else False
        warnings = []
        if records is None:
            warnings.append("%s answered null in place of a list" % _BACKUPS)
            records = []
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise ApiError("Backupman answered with JSON that is not a list of backups", code="bad_shape")
        backups = _unique(_backup(record) for record in records)
        _note_shared_files(backups)
        self._good.update((backup.id, backup.raw) for backup in backups if backup.good)
        return backups, warnings

    def _compare(self, given):
        """Tell, once, that the server's own addresses lead elsewhere."""
        try:
            theirs = urlsplit(given)
        except ValueError:
            theirs = urlsplit("")
        ours = urlsplit(self._client.base_url)
        if (theirs.scheme, theirs.netloc.lower()) != (ours.scheme, ours.netloc) and not self._told:
            self._told = True
            self._warn(
                "The download addresses of this Backupman lead to %s (its app_url), not to api_url; files are fetched "
                "from api_url, and the key goes nowhere else" % (theirs.hostname or "no host")
            )


def base_of(url):
    """The server's address, also from that of its API. Raises OptionError."""
    scheme, host, path = fields.parts_of_address(url)
    return urlunsplit((scheme, host, re.sub(r"/api(/backups)?$", "", path), "", ""))


def problem_of(call, response):
    """What an error of this server means, None for what means here what it means everywhere."""
    status, said = response.status_code, said_of(response)[1]
    message = "%s answered %d%s" % (call, status, ": %s" % said if said else "")
    about = {"status": status, "call": call}
    if status == 401:
        hint = "the key is not accepted, or the server has none configured and accepts none: check api_token, and there"
        return AuthError("%s (%s)" % (message, hint), code="unauthenticated", **about)
    if status == 404:
        # It has no other use for 404.
        return ApiError(
            "%s (api_url is not the address of a Backupman server)" % message, code="wrong_address", **about
        )
    if status == 500:
        for words, kind, code in _PROBLEMS:
            if re.search(words, said, re.I):
                return kind(message, code=code, **about)
        if not said:
            return UnavailableError("%s without a word (the server's own log may have more)" % message, **about)
    return None


def _backup(record):
    label = fields.text(record.get("Label")) or ""
    copies = _copies(record)
    status, message = _status(record.get("Status")), None
    if status == OK:
        found = {_status(copy.get("Status")) for copy in copies}
        status = next((one for one in (OK, RUNNING, FAILED) if one in found), UNKNOWN)
        message = None if status == OK else "it is called finished, but no drive holds a finished file of it"
    paths = [fields.text(copy.get("Path")) for copy in copies] + [fields.text(record.get("DumpPath"))]
    return Backup(
        id=fields.text(record.get("Id")) or "",
        provider=Backupman.name,
        source=label,
        series=label or "unknown",
        # A dump in SQL may be of any other engine.
        engine="sqlite" if any(path and path.endswith(".db") for path in paths) else None,
        status=status,
        created_at=fields.moment(record, "CreatedAt"),
        location=next(map(":".join, _places(copies)), None),
        message=message,
        raw=record,
    )


def _copies(record):
    """The drive files of a record, those that can be fetched first, without the empty one that stands for none."""
    files = record.get("DriveFiles")
    real = [
        file
        for file in (files if isinstance(files, list) else ())
        if isinstance(file, dict) and (fields.text(file.get("Id")) or fields.text(file.get("Path")))
    ]
    return sorted(real, key=lambda file: (_obstacle(file) is not None, str(file.get("Id"))))


def _status(value):
    return _STATUS.get((fields.text(value) or "").lower(), UNKNOWN)


def _obstacle(file):
    """Why the server will not hand out a drive file: (code, reason). None where it will."""
    kind = fields.text(file.get("Provider")) or "unknown"
    if kind.lower() != "local":
        place = fields.text(file.get("Path")) or "an unknown path"
        return "not_local", "it lies on a drive of kind %s, at %s, and only files of local drives are handed out" % (
            kind,
            place,
        )
    if _status(file.get("Status")) != OK:
        return "not_finished", "its status on the drive is %s" % (fields.text(file.get("Status")) or "unknown")
    if not fields.text(file.get("Id")):
        return "no_files", "its drive file has no id"
    return None


def _places(copies):
    """(provider, path) of each drive file that says where it is."""
    for copy in copies:
        path = fields.text(copy.get("Path"))
        if path:
            yield fields.text(copy.get("Provider")) or "unknown", path


def _unique(backups):
    """Each backup once; those without an id are all kept."""
    found = {}
    for number, backup in enumerate(backups):
        found.setdefault(backup.id or number, backup)
    return list(found.values())


def _note_shared_files(backups):
    """File names are seconds: what was dumped within one second, of whatever label, lies in one and the same file."""
    owners = {}
    for backup in backups:
        for place in set(_places(_copies(backup.raw))):
            owners.setdefault(place, []).append(backup)
    for sharing in owners.values():
        for backup in sharing if len(sharing) > 1 else ():
            others = {"%s (%s)" % (other.id, other.source) for other in sharing if other is not backup}
            backup.shares_file_with = tuple(sorted(others.union(backup.shares_file_with)))


def _labels(backups):
    return sorted({backup.source for backup in backups if backup.source})


def _forgotten(backups, now):
    """A warning where backups have been pending for longer than any should take."""
    old = [
        backup
        for backup in newest_first(backups)
        if backup.status == RUNNING and backup.created_at is not None and now - backup.created_at > PENDING_LIMIT
    ]
    if not old:
        return []
    newest = old[0]
    return [
        "Backup %s of %s has been pending since %s%s: a run that was killed stays so for ever"
        % (
            newest.id,
            newest.source,
            format_time(newest.created_at),
            ", as have %d older ones" % (len(old) - 1) if old[1:] else "",
        )
    ]
