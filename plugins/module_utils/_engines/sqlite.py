# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""SQLite: a copy of the database in the scratch folder, opened by this Python. There is no server.

A database is untrusted input. The connection can neither write nor open another file nor load an extension, and
functions that a schema names are reduced to harmless ones (``_archive.sqlite.connect``). What takes longer than
``timeout`` is interrupted.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import time

from .._archive import sqlite as database_file
from .._archive._stream import Damaged
from ._base import Engine, EngineError

# Steps of SQLite's machine between two looks at the clock.
_STEPS = 100000
# White space, and what holds it in earnest: texts, names and comments, which may lack their end.
_SPACE = re.compile(r"""\s+|'[^']*'?|"[^"]*"?|`[^`]*`?|\[[^\]]*\]?|--[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL)


class SQLite(Engine):
    """One database, restored by being copied."""

    name = "sqlite"
    packages = "Python's sqlite3 (Fedora: python3-libs, Debian: libpython3-stdlib)"
    formats = frozenset((database_file.FORMAT,))

    def __init__(self, scratch, settings):
        super().__init__(scratch, settings)
        self.left_out = []
        self._reader = None

    def choose(self, member):
        _sqlite3()
        if self.login:
            raise EngineError(
                "bad_option",
                "SQLite has no server to log in to: the copy is opened in scratch_dir",
                option="login_host",
            )
        return {"server_version": self.version(), "bin_dir": None}

    def start(self):
        """There is nothing to start."""

    def restore(self, job):
        path = os.path.join(self.scratch.folder("sqlite"), "copy.db")
        try:
            _copy(job.open(), path)
        except OSError as error:
            code = "no_space" if error.errno in (28, 122) else "restore_failed"
            raise EngineError(code, "cannot copy the database: %s" % error.strerror) from None
        self._reader = _Reader(path, self.timeout)
        self._reader.check()
        broken = self._reader.ask(database_file.foreign_key_violations)
        if broken:
            self.left_out.append("%d rows point at rows that are not there (foreign_key_check)" % broken)

    def counts(self):
        return self._reader.counts()

    def query(self, sql, database=None):
        return self._reader.query(sql, database)

    def checksum(self, table, database=None):
        return self._reader.checksum(table, database)

    def definitions(self):
        return self._reader.definitions()

    def version(self):
        return _sqlite3().sqlite_version

    def stop(self):
        if self._reader is not None:
            self._reader.close()

    @classmethod
    def live(cls, scratch, settings, login):
        """``login``: the path of the database as ``database`` (or ``unix_socket``, which is an option for paths)."""
        path = login.get("database") or login.get("unix_socket")
        if not path or not os.path.isfile(path):
            raise EngineError(
                "bad_option", "compare: database must be the path of the live SQLite database", option="compare"
            )
        _sqlite3()
        return _Reader(path, settings.get("timeout"), immutable=False)


class _Reader:
    """One database that is only read."""

    def __init__(self, path, timeout, immutable=True):
        self._timeout, self._deadline = timeout, None
        try:
            self._connection = database_file.connect(path, immutable)
        except database_file.FAILURES as error:
            raise EngineError("restore_failed", "SQLite cannot open the database: %s" % error) from None
        self._connection.set_progress_handler(self._is_late, _STEPS)

    def _is_late(self):
        return self._deadline is not None and time.monotonic() > self._deadline

    def ask(self, question, *about, **options):
        """question(connection, *about), with errors as this engine's."""
        self._deadline = time.monotonic() + self._timeout if self._timeout else None
        try:
            return question(self._connection, *about)
        except database_file.FAILURES as error:
            if self._is_late():
                raise EngineError(
                    options.get("code", "query_failed"), "not done within %s seconds" % self._timeout
                ) from None
            raise EngineError(options.get("code", "query_failed"), "SQLite: %s" % error) from None

    def check(self):
        wrong, _left_out = self.ask(database_file.problems_of, code="restore_failed")
        if wrong:
            raise EngineError("restore_failed", "SQLite's integrity_check: %s" % "; ".join(wrong[:5]))

    def counts(self):
        names, _views, _virtual = self.ask(database_file.tables_of)
        found = {}
        for name in names:
            try:
                found[(None, name)] = self.ask(database_file.count, name)
            except EngineError as error:
                # A virtual table of an application's own module: the reader of the file counts none in it, either.
                if not database_file.is_lacking_here(error):
                    raise
                found[(None, name)] = 0
        return found

    def query(self, sql, database=None):
        del database
        rows = self.ask(lambda connection: connection.execute(sql).fetchall())
        return [[_text(value) for value in row] for row in rows]

    def checksum(self, table, database=None):
        del database
        return self.ask(_checksum, table)

    def definitions(self):
        return self.ask(_definitions)

    def close(self):
        self._connection.close()


def _sqlite3():
    if database_file.sqlite3 is None:
        raise EngineError("no_engine", "this Python has no sqlite3: install %s" % SQLite.packages)
    return database_file.sqlite3


def _copy(stream, path):
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with stream, os.fdopen(handle, "wb") as target:
        while True:
            try:
                piece = stream.chunk()
            except Damaged as error:
                raise EngineError("restore_failed", error.message) from None
            if not piece:
                return
            target.write(piece)


def _checksum(connection, table):
    """The sum of the SHA-256 of all rows, and their number: the same in whatever order they lie."""
    total = number = 0
    for row in connection.execute("SELECT * FROM %s" % database_file.quoted(table)):
        total += int.from_bytes(hashlib.sha256(b"".join(map(_canonical, row))).digest(), "big")
        number += 1
    return "%d-%064x" % (number, total % (1 << 256))


def _definitions(connection):
    """What the schema says, and the numbers that applications set. What SQLite makes by itself is left out."""
    found = {
        (None, "option", name): _text(connection.execute("PRAGMA " + name).fetchone()[0])
        for name in database_file.OPTIONS
    }
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        kind, name, sql = (_text(each) or "" for each in (kind, name, sql))
        if not name.lower().startswith("sqlite_"):
            found[(None, kind, name)] = _spaced(sql)
    return found


def _spaced(sql):
    """A statement with one space wherever white space means nothing."""
    return _SPACE.sub(lambda match: " " if match.group().isspace() else match.group(), sql).strip()


def _canonical(value):
    """Bytes that no other value has."""
    if value is None:
        return b"n"
    if isinstance(value, int):
        raw, kind = b"%d" % value, b"i"
    elif isinstance(value, float):
        raw, kind = struct.pack(">d", value), b"f"
    elif isinstance(value, str):
        raw, kind = value.encode("utf-8", "surrogateescape"), b"t"
    else:
        raw, kind = value, b"b"
    return kind + struct.pack(">I", len(raw)) + raw


def _text(value):
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex()
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(value, str) else str(value)
