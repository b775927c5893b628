# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Physical backups of PostgreSQL, tars or a data folder of pg_basebackup, made a data folder that can be started."""

from __future__ import annotations

import os
import re
import shutil

from .._archive import _compressed, _tar
from .._archive._report import Report
from .._archive._stream import Files
from ._base import EngineError

# Folders that a server wants and a tar of files may not have: they are empty.
_EMPTY = (
    "base",
    "global",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_multixact",
    "pg_multixact/members",
    "pg_multixact/offsets",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_wal/archive_status",
    "pg_xact",
)
_CONFIGURATION = (
    "postgresql.conf",
    "postgresql.auto.conf",
    "pg_ident.conf",
    "pg_hba.conf",
    "postmaster.pid",
    "postmaster.opts",
    "recovery.conf",
    "recovery.signal",
    "standby.signal",
    "tablespace_map",
)
_PART = re.compile(r"^(base|pg_wal|\d+)\.tar(\.[a-z0-9]+)?$")


def unpack_backup(scratch, path, data):
    """Put the backup in the folder ``path`` into the empty folder ``data``, as it is. Raises EngineError, Damaged."""
    if path is None or not os.path.isdir(path):
        raise EngineError("unsupported", "a physical backup is restored from the folder of its files")
    parts = {match.group(1): match.group() for match in map(_PART.match, os.listdir(path)) if match}
    if "base" in parts:
        _unpack_parts(scratch, path, parts, data)
    elif os.path.exists(os.path.join(path, "PG_VERSION")):
        _copy(path, data)
    else:
        raise EngineError(
            "restore_failed", "%s holds neither base.tar nor PG_VERSION: it is no backup of pg_basebackup" % path
        )
    for name in _EMPTY:
        os.makedirs(os.path.join(data, name), mode=0o700, exist_ok=True)
    scratch.give(data)


def forget_configuration(data):
    """What the backup says of how its server was run: none of it is obeyed. Its slots hold nothing that is needed."""
    for name in _CONFIGURATION:
        place = os.path.join(data, name)
        if os.path.lexists(place):
            os.unlink(place)
    slots = os.path.join(data, "pg_replslot")
    for entry in os.scandir(slots):
        shutil.rmtree(entry.path, ignore_errors=True)


def _unpack_parts(scratch, path, parts, data):
    _unpack(os.path.join(path, parts.pop("base")), data)
    if "pg_wal" in parts:
        _unpack(os.path.join(path, parts.pop("pg_wal")), os.path.join(data, "pg_wal"))
    links = os.path.join(data, "pg_tblspc")
    os.makedirs(links, mode=0o700, exist_ok=True)
    for number, name in parts.items():
        # A tablespace lies where we say, not where it was.
        target = scratch.folder("tablespace-%s" % number)
        _unpack(os.path.join(path, name), target)
        scratch.give(target)
        os.symlink(target, os.path.join(links, number))
    manifest = os.path.join(path, "backup_manifest")
    if os.path.isfile(manifest):
        shutil.copyfile(manifest, os.path.join(data, "backup_manifest"))


def _unpack(path, folder):
    report = Report()
    with Files([path]) as stored:
        kind = _compressed.kind_of(stored.peek(4096))
        plain = kind.open(stored, report) if kind else stored
        try:
            for entry in _tar.entries(plain, report, os.path.basename(path)):
                _write(entry, os.path.join(folder, *entry.name.split("/")))
        finally:
            plain.close()
    # A link to where a tablespace was is only noted: it is not made.
    if report.problems:
        problem = report.problems[0]
        raise EngineError(
            "unsafe" if problem["code"] == "unsafe_member" else "restore_failed",
            "%s: %s" % (os.path.basename(path), problem["message"]),
        )


def _write(entry, target):
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as stream:
        for piece in iter(entry.stream.chunk, b""):
            stream.write(piece)


def _copy(source, target):
    """Copy files and folders. A link would lead out: a server that runs may be behind it."""
    for entry in os.scandir(source):
        place = os.path.join(target, entry.name)
        if entry.is_symlink():
            raise EngineError(
                "unsafe",
                "%s is a link; a data folder with tablespaces elsewhere is restored from tars only" % entry.path,
            )
        if entry.is_dir():
            os.makedirs(place, mode=0o700, exist_ok=True)
            _copy(entry.path, place)
        elif entry.is_file():
            shutil.copyfile(entry.path, place)
            os.chmod(place, 0o600)
