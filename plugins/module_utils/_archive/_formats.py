# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""All formats that can be read. A new one is a file beside this one and a line here."""

from __future__ import annotations

from . import (
    encrypted,
    mongodump,
    pg_basebackup,
    pg_custom,
    pg_directory,
    pg_tar,
    rdb,
    sql_mysql,
    sql_postgresql,
    sqlite,
    xbstream,
)

# One stream each: FORMAT, matches(head, name) and read(stream, member, report). The strict ones come first.
READERS = (
    pg_custom,
    pg_tar,
    xbstream,
    rdb,
    sqlite,
    mongodump,
    encrypted,
    sql_postgresql,
    sql_mysql,
    mongodump.Single,
)
# Dumps of many files: classes with accepts(name), entry(name, stream) and finish().
COLLECTIONS = (pg_directory.PgDirectory, mongodump.MongoFolder, rdb.AofFolder, pg_basebackup.PgBaseBackup)


def reader_of(head, name):
    """The reader for a stream that begins so, None where there is none."""
    return next((reader for reader in READERS if reader.matches(head, name)), None)
