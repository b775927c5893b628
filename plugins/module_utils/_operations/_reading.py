# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Reading the backups of one or many sources, at once, none losing another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Optional

from .._backup import engine_name
from .._errors import ApiError
from .._http import MAX_PARALLEL

# Options that only some providers have.
LIST_FILTERS = ("group", "datastore")


@dataclass
class SourceReading:
    """What was read of one source: its backups, or the error that stands in their place."""

    source: str
    backups: list = field(default_factory=list)
    error: Optional[ApiError] = None


def list_filters(params):
    """The given options that narrow a list at the service."""
    return {option: params[option] for option in LIST_FILTERS if params[option] is not None}


def wanted_sources(params):
    return [params["source"]] if params["source"] is not None else list(dict.fromkeys(params["sources"]))


def read_sources(provider, sources, read, warn):
    """One SourceReading per source, in the order given. ``read(source)`` returns a Listing or raises ApiError.

    They come as soon as they are there, so that the first can be worked on while the others are still read.
    """

    def one(source):
        try:
            listing = read(source)
        except ApiError as error:
            return SourceReading(source, error=error)
        for warning in listing.warnings:
            warn(warning)
        return SourceReading(source, listing.backups)

    if len(sources) == 1:
        yield one(sources[0])
        return
    with ThreadPoolExecutor(min(MAX_PARALLEL, len(sources) or 1)) as pool:
        yield from pool.map(one, sources)


def selected(backups, engine=None, database=None, status=None, series=None, exclude_series=None, since=None, until=None):
    """The backups that pass every filter that is given. Series match by their whole key or by its last part."""

    def passes(backup):
        return (
            (engine is None or backup.engine == engine_name(engine))
            and (database is None or backup.database == database)
            and (status is None or backup.status == status)
            and (not series or names_series(backup.series, series))
            and not (exclude_series and names_series(backup.series, exclude_series))
            and (since is None or (backup.created_at is not None and backup.created_at >= since))
            and (until is None or (backup.created_at is not None and backup.created_at <= until))
        )

    return [backup for backup in backups if passes(backup)]


def names_series(key, names):
    """True if one of the names means this series: its key, or the last part of it (the tool's trigger)."""
    return any(key == name or key.rpartition("/")[2] == name for name in names)


def newest_good_by_series(backups):
    """Of backups sorted newest first, the newest good one of every series."""
    found = {}
    for backup in backups:
        if backup.good:
            found.setdefault((backup.source, backup.series), backup)
    return list(found.values())
