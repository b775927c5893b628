# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_info: the backups of one or many sources, filtered, with their series and files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .._backup import STATUSES, group_series, newest_first
from .._errors import ApiError, OptionError
from .._options import source_option, with_provider
from .._providers import Listing
from .._values import parse_moment
from ._reading import LIST_FILTERS, list_filters, newest_good_by_series, read_sources, selected, wanted_sources

SPEC = {
    "argument_spec": with_provider(
        source=source_option(required=False),
        sources={"type": "list", "elements": "str", "aliases": ["stacks", "instances", "labels"]},
        id={"type": "str", "aliases": ["backup_id"]},
        group={"type": "int", "aliases": ["group_id"]},
        datastore={"type": "str"},
        engine={"type": "str", "aliases": ["db_type"]},
        database={"type": "str", "aliases": ["database_name"]},
        status={"type": "str", "choices": list(STATUSES)},
        since={"type": "str"},
        until={"type": "str"},
        series={"type": "list", "elements": "str"},
        latest={"type": "bool", "default": False},
        limit={"type": "int"},
        files={"type": "bool", "default": False},
    ),
    "mutually_exclusive": [("source", "sources"), ("id", "sources"), ("id", "latest")],
    "required_one_of": [("source", "sources")],
    "supports_check_mode": True,
}
_FILE_WORKERS = 8


def run(params, provider, context):
    now = context.now()
    since, until = (_moment(params, option, now) for option in ("since", "until"))
    if since and until and since > until:
        raise OptionError("since", "is after until: nothing can lie between them")
    if params["limit"] is not None and params["limit"] < 1:
        raise OptionError("limit", "must be 1 or more")
    provider.require("list")
    if params["files"]:
        provider.require("files")
    provider.check_understood("list", params, LIST_FILTERS)
    readings = list(read_sources(provider, wanted_sources(params), lambda s: _read(provider, params, s), context.warn))
    if all(reading.error for reading in readings) and readings:
        raise readings[0].error
    backups = newest_first(backup for reading in readings for backup in reading.backups)
    backups = selected(
        backups, params["engine"], params["database"], params["status"], params["series"], since=since, until=until
    )
    series = group_series(backups)
    if params["latest"]:
        backups = newest_good_by_series(backups)
    backups = backups[: params["limit"]]
    results = [backup.to_result(now) for backup in backups]
    if params["files"]:
        for result, (files, error) in zip(results, _files(provider, backups)):
            result["files"] = [item.to_result() for item in files]
            result["files_error"] = error.to_failure() if error else None
            if error:
                context.warn("The files of backup %s could not be listed: %s" % (result["id"], error.message))
    return {
        "changed": False,
        "backups": results,
        "series": [one.to_result() for one in series],
        "sources": [
            {
                "source": reading.source,
                "count": len(reading.backups),
                "error": reading.error.to_failure() if reading.error else None,
            }
            for reading in readings
        ],
    }


def _read(provider, params, source):
    if params["id"] is not None:
        return Listing([provider.get_backup(source, params["id"])])
    return provider.list_backups(source, engine=params["engine"], **list_filters(params))


def _files(provider, backups):
    """(files, error) of each backup: that the files of one are gone says nothing of the others."""

    def one(backup):
        try:
            return provider.list_files(backup.source, backup.id), None
        except ApiError as error:
            return [], error

    with ThreadPoolExecutor(_FILE_WORKERS) as pool:
        return list(pool.map(one, backups))


def _moment(params, option, now):
    if params[option] is None:
        return None
    try:
        return parse_moment(params[option], now)
    except ValueError as error:
        raise OptionError(option, str(error))
