# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""SQLite databases. As a stream the header and the length are looked at; ``check_file`` has SQLite itself look at a
file on a disk, which nothing else can replace: pages point at each other in all directions.

A database is untrusted input: its schema can name functions and modules. It is opened as a file that never changes (no
journal is played back, no lock is taken, nothing is written beside it), with the functions that its schema may use
reduced to harmless ones, without extensions, and an authorizer turns away all but reading.

``Member.details``: ``page_size``, ``pages``, ``free_pages``, ``user_version``, ``application_id`` (ints), ``wal``
(whether the database keeps changes in a second file, which a copy of the first lacks), ``foreign_key_violations`` (int,
after check_file), ``views`` and ``virtual_tables`` (lists, after check_file). Tables of an index's own are not listed.
"""

from __future__ import annotations

from struct import Struct
from urllib.parse import quote

from ._stream import Damaged

try:
    import sqlite3
except ImportError:
    sqlite3 = None

FORMAT = "sqlite"
MAGIC = b"SQLite format 3\0"

_HEADER = 100
_uint32 = Struct(">I").unpack_from
_ENCODINGS = {0: "utf-8", 1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
_MESSAGES = 20
# What a healthy database lacks here is no damage: an application brings its own.
_OURS = (
    "no such collation sequence",
    "no such module",
    "no such function",
    "unsafe use of",
    "unknown function",
    "unknown tokenizer",
    "no such tokenizer",
    "no query solution",
)
# Tables in which virtual tables keep their content: behind the name of the virtual table.
_SHADOWS = {
    "fts3": ("content", "segments", "segdir", "docsize", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "rowid", "parent"),
    "rtree_i32": ("node", "rowid", "parent"),
    "geopoly": ("node", "rowid", "parent"),
}
# Of sqlite3's authorizer: SELECT, READ, FUNCTION, RECURSIVE; and INSERT, DELETE, UPDATE, because virtual tables prepare
# statements that they never run to be read: the file being open for reading only, these would fail.
_READING = frozenset((21, 20, 31, 33, 18, 9, 23))
_PRAGMA = 19
_CHECKS = frozenset(
    (
        "integrity_check",
        "quick_check",
        "foreign_key_check",
        "table_info",
        "table_xinfo",
        "user_version",
        "application_id",
        "page_size",
        "encoding",
        "data_version",
        "schema_version",
    )
)
FAILURES = (OSError, ValueError, OverflowError, MemoryError, RecursionError)
if sqlite3 is not None:
    FAILURES += (sqlite3.Error, sqlite3.Warning)


def matches(head, name):
    """A database by its first bytes."""
    return head[:16] == MAGIC


def read(stream, member, report):
    """Read a database to its last byte; what only a file can show is left to check_file()."""
    member.format, member.engine = FORMAT, "sqlite"
    header = stream.read(_HEADER)
    if header[:16] != MAGIC:
        raise Damaged("bad_structure", "does not begin like a SQLite database", 0)
    page, told = _look_at_header(header, member)
    stream.drain()
    size = stream.offset
    if told and size < told * page:
        raise Damaged("truncated", "has %d bytes, but its %d pages are %d" % (size, told, told * page), size)
    if told and size > told * page:
        report.problem(
            "trailing_garbage",
            "%d bytes behind the last of %d pages" % (size - told * page, told),
            member.name,
            told * page,
        )
    elif size % page:
        raise Damaged("truncated", "ends within a page: %d bytes in pages of %d" % (size, page), size)
    member.details["pages"] = told or size // page
    if member.details["free_pages"] >= member.details["pages"]:
        raise Damaged("bad_structure", "more free pages than pages", 36)
    if member.details["wal"]:
        report.note(
            "%s is of a database that keeps changes in a second file (-wal): made by .backup or VACUUM INTO it has them all,"
            " as a mere copy it lacks those that were not moved over yet" % member.name
        )


def _look_at_header(header, member):
    """(bytes of a page, number of pages or None where the header does not know it)."""
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    if page < 512 or page & (page - 1):
        raise Damaged("bad_structure", "pages of %d bytes" % page, 16)
    if not (1 <= header[18] <= 2 and 1 <= header[19] <= 2):
        raise Damaged(
            "bad_structure", "written by an unknown version of the format (%d, %d)" % (header[18], header[19]), 18
        )
    if header[21:24] != b"\x40\x20\x20" or any(header[72:92]) or page - header[20] < 480:
        raise Damaged("bad_structure", "the header's fixed values are others", 20)
    schema_format, encoding = _uint32(header, 44)[0], _uint32(header, 56)[0]
    if schema_format > 4 or encoding not in _ENCODINGS:
        raise Damaged("bad_structure", "an unknown format of the schema or encoding of texts", 44)
    changed, pages, valid_for, version = (_uint32(header, at)[0] for at in (24, 28, 92, 96))
    member.encoding = _ENCODINGS[encoding]
    if version:
        member.server_version = "%d.%d.%d" % (version // 1000000, version // 1000 % 1000, version % 1000)
    member.details.update(
        page_size=page,
        free_pages=_uint32(header, 36)[0],
        user_version=_uint32(header, 60)[0],
        application_id=_uint32(header, 68)[0],
        wal=header[19] == 2,
    )
    # SQLite before 3.7 did not write the number of pages, and did not touch it when it changed the file.
    return page, pages if pages and changed == valid_for else None


def check_file(path, member, report):
    """Have SQLite look at every page of a file, and count its tables. Problems go into the report; raises Damaged where
    nothing can be read at all."""
    if sqlite3 is None:
        report.note("%s was looked at from outside only: this Python has no sqlite3" % member.name)
        return
    try:
        connection = connect(path)
    except FAILURES as error:
        raise Damaged("bad_structure", "SQLite cannot open it: %s" % error) from None
    try:
        _check(connection, member, report)
    except FAILURES as error:
        raise Damaged("bad_structure", "SQLite cannot read it: %s" % error) from None
    finally:
        connection.close()


# Numbers in the head of the file that applications set.
OPTIONS = ("user_version", "application_id")


def connect(path, immutable=True):
    """A connection that only reads. With ``immutable`` the file is one that nobody writes to."""
    uri = "file:%s?mode=ro%s" % (quote(path), "&immutable=1" if immutable else "")
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON", "mmap_size=0", "temp_store=MEMORY"):
            connection.execute("PRAGMA " + pragma).fetchall()
        if hasattr(connection, "setconfig"):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.set_authorizer(_only_reading)
    except BaseException:
        connection.close()
        raise
    return connection


def _only_reading(action, first, second, _database, _trigger):
    if action in _READING or action == _PRAGMA and (first or "").lower() in _CHECKS:
        return sqlite3.SQLITE_OK
    if action == _PRAGMA and (first or "").lower() in OPTIONS and second is None:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def problems_of(connection):
    """([what SQLite finds wrong], what it could not look at or None). Raises FAILURES."""
    left_out = None
    for check in ("integrity_check", "quick_check"):
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA %s(%d)" % (check, _MESSAGES))]
        except FAILURES as error:
            if not is_lacking_here(error):
                raise
            left_out = str(error)
            continue
        # Newer versions list what they could not look at as one line of many.
        lacking = [line for line in found if any(each in line for each in _OURS)]
        if lacking:
            left_out = left_out or lacking[0]
        return [line for line in found if line not in lacking and line != "ok"], left_out
    return [], left_out


def _check(connection, member, report):
    wrong, left_out = problems_of(connection)
    for line in wrong:
        report.problem("bad_structure", "SQLite: %s" % _printable(line), member.name)
    if left_out:
        report.note("%s: SQLite could not compare indexes here: %s" % (member.name, _printable(left_out)))
    if wrong:
        # In a damaged tree of pages a count may go round for ever.
        return
    names, views, virtual = tables_of(connection)
    member.details.update(views=views, virtual_tables=virtual)
    for name in names:
        try:
            member.table(_printable(name), count(connection, name))
        except FAILURES as error:
            if not is_lacking_here(error):
                raise
            member.table(_printable(name), None)
            report.note("%s: table %s was not counted: %s" % (member.name, _printable(name), error))
    broken = foreign_key_violations(connection)
    member.details["foreign_key_violations"] = broken
    if broken:
        report.note("%s: %d rows point at rows that are not there" % (member.name, broken))


def foreign_key_violations(connection):
    """How many rows point at rows that are not there; None where the schema does not let it be found out. SQLite does
    not enforce foreign keys unless it is told to, so that these are no damage."""
    try:
        return sum(1 for _row in connection.execute("PRAGMA foreign_key_check"))
    except sqlite3.OperationalError as error:
        if "foreign key mismatch" in str(error) or is_lacking_here(error):
            return None
        raise


def tables_of(connection):
    """(names of tables, of views, of virtual tables), sorted. Raises FAILURES."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    if not all(isinstance(name, str) and isinstance(sql, str) for _kind, name, sql in rows):
        raise ValueError("the schema names tables by something that is no text")
    virtual = {name: _module(sql) for kind, name, sql in rows if kind == "table" and _module(sql)}
    shadows = {"%s_%s" % (name, each) for name, module in virtual.items() for each in _SHADOWS.get(module, ())}
    names = [name for kind, name, _sql in rows if kind == "table" and not name.lower().startswith("sqlite_")]
    return (
        sorted(name for name in names if name not in shadows),
        sorted(_printable(name) for kind, name, _sql in rows if kind == "view"),
        sorted(map(_printable, virtual)),
    )


def count(connection, name):
    return connection.execute("SELECT count(*) FROM %s" % quoted(name)).fetchone()[0]


def quoted(name):
    return '"%s"' % name.replace('"', '""')


def _module(sql):
    """The module of a virtual table; None for an ordinary one."""
    words = sql.split(None, 3)
    if [word.upper() for word in words[:3]] != ["CREATE", "VIRTUAL", "TABLE"]:
        return None
    rest = words[3] if len(words) > 3 else ""
    after = rest.upper().rfind(" USING ", 0, rest.find("(") if "(" in rest else len(rest))
    return rest[after + 7 :].split("(")[0].strip().lower() if after >= 0 else "unknown"


def is_lacking_here(error):
    """Whether SQLite failed at what an application brings itself: collations, functions, modules."""
    return any(each in str(error) for each in _OURS)


def _printable(text):
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
