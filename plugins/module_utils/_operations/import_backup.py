# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_import: ensure that an external backup is imported, once.

Where the service shows what was imported, that is looked at; elsewhere the marker of the request stands for it.
"""

from __future__ import annotations

import contextlib

from .._backup import ImportRequest, engine_name, newest_first
from .._errors import BackupError, OptionError, OutcomeUnknownError, done_before
from .._http import check_url, without_query
from .._markers import DONE, INTENT, MarkerBook
from .._options import STATE_DIR_OPTION, size, source_option, with_provider
from .._values import format_time
from ._waiting import check_wait, wait_for_backup

# What an import can be made of. No provider has all of these.
_REQUEST_OPTIONS = {
    "group": {"type": "int", "aliases": ["group_id"]},
    "engine": {"type": "str", "aliases": ["db_type"]},
    "remote_url": {"type": "str", "no_log": True, "aliases": ["url"]},
    "location": {"type": "str", "aliases": ["restore_from", "remote_location"]},
    "datastore": {"type": "str"},
    "datastore_version": {"type": "str", "aliases": ["local_datastore_version_id"]},
    "name": {"type": "str"},
    "description": {"type": "str"},
    "size": {"type": "str"},
}
_BY_ORDER = ("source", "group", "engine", "remote_url")
SPEC = {
    "argument_spec": with_provider(
        source=source_option(required=False),
        **_REQUEST_OPTIONS,
        force={"type": "bool", "default": False},
        state_dir=STATE_DIR_OPTION,
        wait={"type": "bool", "default": False},
        wait_timeout={"type": "int", "default": 7200},
        wait_interval={"type": "int", "default": 30}
    ),
    "required_if": [
        ("provider", "cloud66", _BY_ORDER),
        ("provider", "cloud66_v2", _BY_ORDER),
        ("provider", "trove", ("location", "datastore_version")),
    ],
    "supports_check_mode": True,
}
_DONE_BEFORE = "The import was asked for before"


def run(params, provider, context):
    provider.require("import")
    provider.check_understood("import", params, list(_REQUEST_OPTIONS))
    check_wait(params)
    return (_import_record if provider.import_kind == "record" else _import_order)(params, provider, context)


# -- where imports are shown ---------------------------------------------------------------------------------------


def _import_record(params, provider, context):
    request = ImportRequest(
        location=params["location"].strip(),
        datastore=params["datastore"],
        datastore_version=params["datastore_version"],
        name=params["name"],
        description=params["description"],
        size=size(params, "size"),
    )
    shown = {
        option: params[option]
        for option in ("location", "datastore", "datastore_version", "name", "description", "size")
        if params[option] is not None
    }
    with contextlib.ExitStack() as stack:
        if not context.check_mode:
            book = MarkerBook(params["state_dir"], "import", provider.name, provider.address, request.location)
            stack.enter_context(book.lock())
        before = provider.find_imported(request)
        if not params["force"]:
            if before.backups:
                found = before.backups[0]
                result = _result(shown, False, "The backup was imported before, as %s" % found.id)
                return dict(result, evidence={"backup": found.id}, backup=found.to_result(context.now()))
            _check_whole(before, request)
        if context.check_mode:
            provider.check_import(request)
            return _result(shown, True, "The import would be asked for")
        try:
            made = provider.import_backup(params["source"], request)
        except OutcomeUnknownError as error:
            # To look is safe, to ask again is not.
            made = _since(before, request, provider)
            if made is None:
                error.message += ". The import is not listed; running the task again looks for it first"
                raise
            context.warn("%s; it has led to backup %s all the same" % (error.message, made.id))
    return dict(
        _result(shown, True, "The backup was imported, as %s" % made.id),
        evidence={"backup": made.id},
        backup=made.to_result(context.now()),
    )


def _check_whole(listing, request):
    if not listing.whole:
        raise BackupError(
            "Whether %s was imported before is not to be known: the list of backups may not be whole (%s)"
            % (request.location, "; ".join(listing.warnings)),
            code="in_doubt",
        )


def _since(before, request, provider):
    """The import that is listed now and was not ``before``, None where that cannot be told."""
    known = {backup.id for backup in before.backups}
    try:
        new = [backup for backup in provider.find_imported(request).backups if backup.id not in known]
    except BackupError:
        return None
    return new[0] if new and before.whole else None


# -- where an import can only be asked for -------------------------------------------------------------------------


def _import_order(params, provider, context):
    engine = engine_name(params["engine"])
    if engine not in provider.engines:
        raise OptionError("engine", "unknown engine %r; %s knows %s" % (engine, provider.name, ", ".join(provider.engines)))
    url = params["remote_url"]
    # The service fetches it, not we: whether plain http is good enough there is for the user to know.
    check_url("remote_url", url, allow_http=True, allow_credentials=True)
    source, group = params["source"], params["group"]
    # A signature is made anew each time a URL is handed out: it does not make another import.
    request = {"source": source, "group": group, "engine": engine, "remote_url": without_query(url)}
    book = MarkerBook(params["state_dir"], "import", provider.name, provider.address, source)
    if context.check_mode:
        changed = _is_due(book.get(request), params, request)
        return _result(request, changed, "The import would be asked for" if changed else _DONE_BEFORE)
    with book.lock():
        earlier = book.get(request)
        if not _is_due(earlier, params, request):
            return _result(request, False, _DONE_BEFORE, marker=earlier)
        known = {backup.id for backup in provider.list_backups(source).backups} if params["wait"] else set()
        now = context.now()
        book.write(request, INTENT, now, request)
        try:
            message = provider.import_backup(source, ImportRequest(group=group, engine=engine, url=url))
        except OutcomeUnknownError as error:
            error.message += (
                ". Whether the import into %s was started is unknown, and it is not sent again: look at the source's backups "
                "(backup_info) and its page; force: true sends it once more" % source
            )
            raise
        except BackupError:
            book.restore(request, earlier)
            raise
        marker = book.write(request, DONE, now, request)
    result = _result(request, True, "The import was asked for" + (": %s" % message if message else ""), marker=marker)
    if params["wait"]:
        try:
            with done_before(True):
                backup = wait_for_backup(
                    lambda: newest_first(provider.list_backups(source).backups), known, [engine], params, context
                )
        except BackupError as error:
            if error.code == "first_backup_failed":
                # It was carried out, and to no avail: the next run must not call it done.
                with book.lock():
                    book.restore(request, None)
            raise
        result["backup"] = backup.to_result(context.now())
    return result


def _is_due(marker, params, request):
    """True if the request is to be sent; raises BackupError if an earlier one's outcome is unknown."""
    if marker is None or params["force"]:
        return True
    if marker.state == DONE:
        return False
    raise BackupError(
        "An earlier run asked to import %s into %s at %s and died, or got no answer: whether it was carried out is unknown, "
        "and nothing was sent. Look at the source's backups; then either force: true sends it again, or mark it as done by "
        "setting state to done in %s" % (request["remote_url"], request["source"], format_time(marker.asked_at), marker.path),
        code="in_doubt",
    )


def _result(request, changed, text, marker=None):
    return {
        "changed": changed,
        "action": "created" if changed else "present",
        "msg": text,
        "request": request,
        "evidence": {"markers": [marker.to_result()] if marker else []},
        "diff": {"before": {"import": None if changed else request}, "after": {"import": request}},
    }
