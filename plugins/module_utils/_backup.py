# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The model: backups, their files, the series they form, the task that makes them. No I/O, no Ansible."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Optional

from ._values import format_time, median

OK, FAILED, RUNNING, UNKNOWN = "ok", "failed", "running", "unknown"
STATUSES = (OK, FAILED, RUNNING, UNKNOWN)

_NEVER = datetime.min.replace(tzinfo=timezone.utc)
_ENGINE_NAMES = {"postgres": "postgresql", "pg": "postgresql", "pgsql": "postgresql", "mongo": "mongodb"}


def engine_name(name):
    """One spelling for an engine; names we do not know pass through in lower case."""
    name = str(name).strip().lower()
    return _ENGINE_NAMES.get(name, name)


@dataclass
class BackupFile:
    """One downloadable part of a backup. ``id`` is opaque, ``name`` comes from the service and is not to be trusted.

    ``md5`` is the hex digest of exactly this part's bytes, None where the service does not say it.
    """

    id: str
    name: str
    size_bytes: Optional[int] = None
    raw: dict = field(default_factory=dict)
    md5: Optional[str] = None

    def to_result(self):
        return {"id": self.id, "name": self.name, "size_bytes": self.size_bytes, "md5": self.md5, "raw": self.raw}


@dataclass
class FileAccess:
    """Where the bytes of a file are. The address is a secret, unless ``headers`` hold the credential that opens it.

    The settings of TLS are paths on the controller; None stands for those of the options.
    """

    url: str
    headers: dict = field(default_factory=dict)
    validate_certs: Optional[bool] = None
    ca_path: Optional[str] = None
    client_cert: Optional[tuple] = None


@dataclass
class Backup:
    """One recovery point. Sizes are bytes, None where the service does not say; times are UTC.

    ``excluded_tables`` and ``logical`` are what the service shows of the task's options (None: it does not say).
    ``parent_id`` is the backup that an incremental one builds on. ``shares_file_with`` names other backups for which the
    service points at the same stored file, so that at most one of them can be what it says.
    """

    id: str
    provider: str
    source: str
    series: str
    name: Optional[str] = None
    engine: Optional[str] = None
    database: Optional[str] = None
    status: str = UNKNOWN
    created_at: Optional[datetime] = None
    size_bytes: Optional[int] = None
    verify_status: Optional[str] = None
    restore_status: Optional[str] = None
    location: Optional[str] = None
    message: Optional[str] = None
    excluded_tables: Optional[frozenset] = None
    logical: Optional[bool] = None
    parent_id: Optional[str] = None
    shares_file_with: tuple = ()
    raw: dict = field(default_factory=dict)

    @property
    def good(self):
        return self.status == OK

    def age(self, now):
        """Seconds since it was made, None where the service does not say when that was."""
        return None if self.created_at is None else int((now - self.created_at).total_seconds())

    def to_result(self, now):
        return {
            "id": self.id,
            "provider": self.provider,
            "source": self.source,
            "series": self.series,
            "name": self.name,
            "parent_id": self.parent_id,
            "engine": self.engine,
            "database": self.database,
            "status": self.status,
            "created_at": format_time(self.created_at),
            "age_seconds": self.age(now),
            "size_bytes": self.size_bytes,
            "verify_status": self.verify_status,
            "restore_status": self.restore_status,
            "location": self.location,
            "message": self.message,
            "shares_file_with": list(self.shares_file_with),
            "raw": self.raw,
        }


def _numeric_id(text):
    return (1, int(text), "") if text.isdecimal() else (0, 0, text)


def newest_first(backups):
    """Sorted by time, newest first; equal times by id, highest first; those without a time last."""
    return sorted(backups, key=lambda b: (b.created_at or _NEVER, _numeric_id(b.id)), reverse=True)


@dataclass
class Series:
    """The backups that one task made for one engine, newest first."""

    key: str
    source: str
    backups: list

    @property
    def engine(self):
        return self.backups[0].engine

    @property
    def database(self):
        return self.backups[0].database

    @property
    def newest(self):
        return self.backups[0]

    @property
    def good(self):
        return [backup for backup in self.backups if backup.good]

    @property
    def newest_good(self):
        return next((backup for backup in self.backups if backup.good), None)

    @property
    def dated(self):
        return [backup for backup in self.backups if backup.created_at is not None]

    @property
    def median_interval(self):
        """Seconds between neighbouring backups, None for fewer than two."""
        moments = [backup.created_at for backup in self.dated]
        return median([int((newer - older).total_seconds()) for newer, older in zip(moments, moments[1:])])

    def to_result(self):
        sizes = [backup.size_bytes for backup in self.good if backup.size_bytes is not None]
        dated, good = self.dated, self.newest_good
        return {
            "series": self.key,
            "source": self.source,
            "engine": self.engine,
            "database": self.database,
            "count": len(self.backups),
            "good_count": len(self.good),
            "first": format_time(dated[-1].created_at) if dated else None,
            "last": format_time(dated[0].created_at) if dated else None,
            "last_status": self.newest.status,
            "last_good": format_time(good.created_at) if good else None,
            "last_good_id": good.id if good else None,
            "median_interval_seconds": self.median_interval,
            "last_size_bytes": good.size_bytes if good else None,
            "min_size_bytes": min(sizes) if sizes else None,
            "median_size_bytes": median(sizes),
            "max_size_bytes": max(sizes) if sizes else None,
        }


def group_series(backups):
    """Series of the backups, by source then key; within a series newest first."""
    groups = {}
    for backup in newest_first(backups):
        groups.setdefault((backup.source, backup.series), []).append(backup)
    return [Series(key, source, members) for (source, key), members in sorted(groups.items())]


@dataclass
class TaskRequest:
    """A task as the user wants it. None means "not said": it is neither sent nor compared.

    ``engines`` is a tuple of engine names, empty for all.
    """

    engines: tuple = ()
    frequency: Optional[str] = None
    keep_count: Optional[int] = None
    gzip: Optional[bool] = None
    excluded_tables: Optional[frozenset] = None
    run_on_replica: Optional[bool] = None
    logical_backup: Optional[bool] = None

    def to_result(self):
        """The said options only, in the options' own spelling."""
        wanted = {
            "engines": list(self.engines) or ["all"],
            "frequency": self.frequency,
            "keep_count": self.keep_count,
            "gzip": self.gzip,
            "excluded_tables": None if self.excluded_tables is None else sorted(self.excluded_tables),
            "run_on_replica": self.run_on_replica,
            "logical_backup": self.logical_backup,
        }
        return {key: value for key, value in wanted.items() if value is not None}


@dataclass
class TaskRecord:
    """A task that the service shows. ``settings`` are what can be wanted of it, in the options' own spelling.

    ``first_due`` is when its first backup is due, None once it has run, and where that is not known.
    """

    id: str
    settings: dict
    raw: dict = field(default_factory=dict)
    first_due: Optional[datetime] = None


@dataclass
class RunRequest:
    """A backup to be taken now. None means "not said": it is not sent."""

    name: Optional[str] = None
    description: Optional[str] = None
    incremental: Optional[bool] = None
    parent_id: Optional[str] = None
    swift_container: Optional[str] = None
    copy_to: Optional[list] = None
    all_sources: bool = False


@dataclass
class ImportRequest:
    """A backup that was made elsewhere. Services that fetch it take a ``url``, those that only note it a ``location``.

    ``size`` is in bytes. None means "not said".
    """

    group: Optional[int] = None
    engine: Optional[str] = None
    url: Optional[str] = None
    location: Optional[str] = None
    datastore: Optional[str] = None
    datastore_version: Optional[str] = None
    name: Optional[str] = None
    description: Optional[str] = None
    size: Optional[int] = None


@dataclass
class Source:
    """Something that a service backs up, for an inventory."""

    id: str
    name: Optional[str] = None
    engine: Optional[str] = None
    version: Optional[str] = None
    environment: Optional[str] = None
    status: Optional[str] = None
    raw: dict = field(default_factory=dict)
