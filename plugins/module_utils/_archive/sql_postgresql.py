# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Plain text of pg_dump and pg_dumpall, and whatever psql would read: what is declared, rows per table, completeness."""

from __future__ import annotations

import re

from ._pg_rows import CopyRows
from ._pg_statements import (
    NAME,
    QUALIFIED,
    Statements,
    attachment,
    bare,
    codec_of,
    command,
    connected,
    lead_of,
    unquoted,
    without_strings,
)
from ._sql import WORD, Reader, shown

FORMAT = "pg_dump-plain"
START_MARK, END_MARK = "-- PostgreSQL database dump", "-- PostgreSQL database dump complete"
CLUSTER_START, CLUSTER_END = "-- PostgreSQL database cluster dump", "-- PostgreSQL database cluster dump complete"
_CREATE_TABLE = re.compile(
    rb"CREATE[ \t\r\n]+((?:GLOBAL[ \t\r\n]+|LOCAL[ \t\r\n]+)?(?:TEMP|TEMPORARY|UNLOGGED|FOREIGN)[ \t\r\n]+)?TABLE["
    rb" \t\r\n]+"
    rb"(?:IF[ \t\r\n]+NOT[ \t\r\n]+EXISTS[ \t\r\n]+)?(" + QUALIFIED + rb")",
    re.I,
)
_PARTITIONED = re.compile(
    rb"\)[ \t\r\n]*PARTITION[ \t\r\n]+BY[ \t\r\n]+(?:RANGE|LIST|HASH)\b|VALUES.*\bPARTITION[ \t\r\n]+BY[ \t\r\n]",
    re.I | re.S,
)
_CREATED = re.compile(
    rb"CREATE[ \t\r\n]+(SCHEMA|ROLE|USER|EXTENSION|DATABASE|TABLESPACE)[ \t\r\n]+(?:IF[ \t\r\n]+NOT[ \t\r\n]+EXISTS["
    rb" \t\r\n]+)?"
    rb"(" + NAME + rb")",
    re.I,
)
_LISTS = {
    b"SCHEMA": "schemas",
    b"ROLE": "roles",
    b"USER": "roles",
    b"EXTENSION": "extensions",
    b"DATABASE": "databases",
    b"TABLESPACE": "tablespaces",
}
_LARGE_OBJECT = re.compile(rb"\blo_create\('?\d+'?\)|^[ \t(]+\('?\d+'?\)[,)]", re.M)
_STARTS = (
    b"ABORT ALTER ANALYZE BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE DELETE"
    b" DISCARD DO"
    b" DROP END EXECUTE EXPLAIN FETCH GRANT IMPORT INSERT LISTEN LOAD LOCK MERGE MOVE NOTIFY PREPARE REASSIGN REFRESH"
    b" REINDEX"
    b" RELEASE RESET REVOKE ROLLBACK SAVEPOINT SECURITY SELECT SET SHOW START TABLE TRUNCATE UNLISTEN UPDATE VACUUM"
    b" VALUES WITH"
).split()

# pg_dump writes no empty line into a statement; where one is followed by another beginning, the semicolon is gone.
_ANOTHER = re.compile(
    rb"\n\r?\n+(?:--|SET |SELECT |CREATE |ALTER |COPY |INSERT |GRANT |REVOKE |COMMENT |DROP |REFRESH |BEGIN|COMMIT)"
)
_WHOLE_TAIL = re.compile(rb"\r?\n--\r?\n\r?\n\s*(?:\\unrestrict \S+\r?\n\r?\n)?\s*(?:-- Dump completed[^\n]*\n)?\s*")
_LONGEST_TAIL = 1 << 12
_SOME_LINE = re.compile(rb"^--[^\n]*", re.M)
_DATA_FOLLOWS = re.compile(rb"-- Data for Name: (.*); Type: TABLE DATA; Schema: (.*); Owner: ")
_ANY_MARK = re.compile(
    rb"^(?:\xef\xbb\xbf)?(?:--[^\n]*\r?\n|\\restrict [^\n]*\n|[ \t\r]*\n)*-- PostgreSQL database (?:cluster )?dump\r?$",
    re.M,
)
_TYPICAL = re.compile(
    rb"^(?:SET (?:statement_timeout|client_encoding|standard_conforming_strings|search_path|check_function_bodies)\b"
    rb"|SELECT pg_catalog\.|COPY [^\n]* FROM stdin|CREATE EXTENSION |\\connect |COMMENT ON (?:TABLE|SCHEMA|EXTENSION"
    rb"|COLUMN) )"
    rb"|\bOWNER TO |^CREATE TABLE (?:IF NOT EXISTS )?(?:[a-z_\"][^\n`]*)\(\n|\b(?:bigserial|serial|timestamptz|jsonb"
    rb"|bytea)\b",
    re.M,
)
_FOREIGN_TEXT = re.compile(
    rb"^-- (?:MySQL|MariaDB|Go SQL) dump|/\*M?!\d+|^(?:INSERT INTO|CREATE TABLE(?: IF NOT EXISTS)?"
    rb"|LOCK TABLES|DROP TABLE IF EXISTS) `|ENGINE=|^SQLite format|^PRAGMA ",
    re.M | re.I,
)


class _Reader(Reader):
    """Reads a dump of PostgreSQL."""

    def __init__(self, stream, member, report):
        super().__init__(Statements, stream, member, report)
        member.format, member.engine = FORMAT, "postgresql"
        self._lists = {name: set() for name in set(_LISTS.values())}
        self._parents, self._foreign = set(), set()
        self._commands, self._large_objects = set(), 0
        self._key = None  # of \\restrict, until \\unrestrict
        # Whether text that says of itself that it is SQL_ASCII, which is no encoding, is UTF-8 so far. None: none says so.
        self._ascii_is_utf8, self._in_ascii = None, False
        self._copy, self._copy_key, self._copies, self._inserts = None, None, 0, 0
        self._ends = self._cluster_starts = self._cluster_ends = 0
        self._expected, self._missing = None, []
        # What stands behind the line that ends a dump.
        self._tail, self._tail_from = b"", 0

    def _strict(self):
        return self._starts + self._cluster_starts > 0

    def _count(self):
        if self._items.rows:
            self._member.count(".".join(self._items.table), self._items.rows, self._items.database)

    def _take(self, kind, piece, offset):
        fault = self._encoding.fault(piece)
        if fault is not None and self._in_ascii:
            self._ascii_is_utf8 = False
            self._encoding.declare("other")
        elif fault is not None:
            self._wrong("bad_encoding", "bytes that are no %s" % self._member.encoding, offset + fault, "bad_encoding")
        items = self._items
        if kind == "copy":
            self._copy_piece(piece, offset)
            return
        lead = items.lead
        if lead and b"--" in piece[:lead]:
            self._comments(piece[:lead], offset)
        if self._end_offset is not None and kind in ("rest", "meta") and len(self._tail) < _LONGEST_TAIL:
            self._tail += piece[max(self._tail_from - offset, 0) :]
        if kind == "rest":
            return
        if kind == "meta":
            self._meta(piece[lead:], offset + lead)
            return
        if kind == "sql":
            self._tell_unread()
            self._statements += 1
            if self._end_offset is not None:
                self._behind_the_end(piece[lead:], offset + lead)
        if items.table:
            self._unread = None
            self._inserts += items.rows > 0
            self._count()
        elif kind == "sql":
            self._statement(piece[lead:], offset + lead)

    def _meta(self, line, offset):
        word = re.match(rb"\\(\w*)", line).group(1).decode("ascii", "replace")
        self._commands.add(word)
        if word == "connect":
            database = connected(line)
            if database is not None:
                self._lists["databases"].add(database)
        if word in ("restrict", "unrestrict"):
            self._restricted(word, line.split()[1:2], offset)
        if self._end_offset is not None and word != "unrestrict":
            self._behind_the_end(line, offset)

    def _restricted(self, word, key, offset):
        """Between these two psql takes no command of its own; it refuses the second one with another key."""
        if word == "restrict":
            self._key = key
            return
        if key != self._key:
            self._wrong("bad_structure", "\\unrestrict has another key than \\restrict before it", offset)
        self._key = None

    def _comments(self, lead, offset):
        member = self._member
        for found in _SOME_LINE.finditer(lead):
            line = found.group().rstrip(b"\r")
            text = line.decode("utf-8", "replace")
            where = offset + found.start()
            if text in (START_MARK, CLUSTER_START):
                self._started(text, where)
            elif text in (END_MARK, CLUSTER_END):
                self._ended(text, where, where + len(line))
            elif text.startswith("-- Dumped from database version ") and not member.server_version:
                member.server_version = text[len("-- Dumped from database version ") :]
            elif text.startswith("-- Dumped by ") and " version " in text and not member.tool_version:
                tool, _sep, version = text[len("-- Dumped by ") :].partition(" version ")
                member.tool, member.tool_version = member.tool or tool, version
            elif text.startswith("-- Dump completed") and self._end_offset is None and not self._strict():
                self._ended(text, where, where + len(line))
            else:
                data = _DATA_FOLLOWS.match(line)
                if data:
                    self._no_data_came()
                    self._expected = (
                        "%s.%s" % (data.group(2).decode("utf-8", "replace"), data.group(1).decode("utf-8", "replace")),
                        where,
                    )

    def _started(self, text, offset):
        member = self._member
        cluster = text == CLUSTER_START
        if self._cluster_starts if cluster else (self._starts and not self._cluster_starts):
            self._wrong("duplicate", "a second dump begins", offset, "duplicate")
        elif self._end_offset is not None:
            self._wrong(
                "duplicate" if self._strict() else "trailing_garbage",
                "a dump begins behind the end of one",
                offset,
                "duplicate",
            )
        if cluster:
            self._cluster_starts += 1
            member.tool = "pg_dumpall"
        else:
            self._starts += 1
            member.tool = member.tool or "pg_dump"
        member.start_mark = member.start_mark or text

    def _ended(self, text, offset, end):
        if text == END_MARK:
            self._ends += 1
        elif text == CLUSTER_END:
            self._cluster_ends += 1
        if text == CLUSTER_END or not self._cluster_starts:
            self._member.end_mark = text
            self._end_offset = offset
            self._tail, self._tail_from = b"", end

    # Statements

    def _statement(self, text, offset):
        word = WORD.match(text)
        word = word.group().upper() if word else text[:1]
        if word not in _STARTS and word != b"(":
            if text[:1] in (b"-", b"/"):
                word = command(text).partition(b" ")[0]
            if word not in _STARTS:
                self._no_statement(text, offset)
                return
        if self._strict() and _ANOTHER.search(text) and _ANOTHER.search(without_strings(text)):
            self._wrong("bad_structure", "a statement does not end where it should: %s" % shown(text), offset, "merged")
        if word == b"INSERT" and self._strict():
            self._no_rows(text, offset)
        attached = attachment(text) if word in (b"ALTER", b"CREATE") else None
        if attached:
            self._member.attach(*[self._key_of(name) for name in attached])
        if word == b"CREATE":
            self._create(text)
        elif word == b"SET" and self._items.encoding:
            self._member.encoding = self._items.encoding
            name = re.sub(r"[^A-Z0-9]", "", self._items.encoding.upper())
            self._in_ascii = name == "SQLASCII"
            if self._in_ascii and self._ascii_is_utf8 is None:
                self._ascii_is_utf8 = True
            judged = name in ("UTF8", "UNICODE") or (self._in_ascii and self._ascii_is_utf8)
            self._encoding.declare("utf-8" if judged else "other")
        elif word == b"SELECT" and b"lo_create" in text:
            self._large_objects += len(_LARGE_OBJECT.findall(text))

    def _no_statement(self, text, offset):
        self._unknown += 1
        if not self._tool_message(text, offset):
            self._wrong("bad_structure", "this is no statement: %s" % shown(text), offset, "no statement")

    def _key_of(self, name):
        return self._items.database, ".".join(self._items.named(name))

    def _create(self, text):
        table = _CREATE_TABLE.match(text)
        if table:
            key = self._key_of(table.group(2))
            kind = (table.group(1) or b"").upper()
            if b"FOREIGN" in kind or b"TEMP" in kind:
                self._foreign.add(key)
            elif b"PARTITION" in text.upper() and _PARTITIONED.search(without_strings(bare(text))):
                self._parents.add(key)
            else:
                self._created.setdefault(key, None)
            return
        made = _CREATED.match(text)
        if made and not re.match(rb"CREATE[ \t\r\n]+USER[ \t\r\n]+MAPPING\b", text, re.I):
            self._lists[_LISTS[made.group(1).upper()]].add(unquoted(made.group(2), codec_of(self._items.encoding))[0])

    # COPY

    def _copy_piece(self, piece, offset):
        items = self._items
        if self._copy is None:
            self._copies += 1
            self._expected = None
            self._copy = CopyRows(items.columns, self._strict())
            self._copy_key = (items.database, ".".join(items.copied))
            if items.countable:
                self._member.table(self._copy_key[1], 0, items.database)
        if items.copy_ends:
            piece = piece[: -4 if piece.endswith(b"\r\n") else -3]
        if items.countable and piece:
            self._copy.feed(piece, offset, items.left)
        if items.copy_ends:
            self._copied()

    def _copied(self):
        copy, (database, name) = self._copy, self._copy_key
        self._copy = None
        if not self._items.countable:
            self._member.tables[(database, name)] = None
            return
        self._member.count(name, copy.rows, database)
        if copy.wrong:
            self._wrong(
                "wrong_rows",
                "%d row%s of %s with another number of columns than %d, the first with %d"
                % (len(copy.wrong), "s"[: len(copy.wrong) > 1], name, copy.columns, copy.wrong[0][1]),
                copy.wrong[0][0],
            )
        if copy.odd:
            self._wrong(
                "bad_structure",
                "in the rows of %s a backslash that pg_dump does not write: %s" % (name, shown(copy.odd[1])),
                copy.odd[0],
            )

    def _no_data_came(self):
        if self._expected:
            self._missing.append(self._expected)
            self._expected = None

    # The end

    def _fill(self):
        member = self._member
        self._no_data_came()
        if self._copy is not None:
            copy, self._copy = self._copy, None
            if self._items.countable:
                self._member.count(self._copy_key[1], copy.rows, self._copy_key[0])
        without = []
        for database, name in self._created:
            if (database, name) not in self._parents and (database, name) not in member.tables:
                without.append(name)
                member.table(name, 0, database)
        for key in self._parents & set(member.tables):
            member.gather(key, member.partitions(key))
        databases = self._lists["databases"]
        connected_to = {database for database, _name in member.tables if database}
        if len(databases) == 1:
            member.database = next(iter(databases))
        elif len(connected_to) == 1 and not self._cluster_starts:
            member.database = next(iter(connected_to))
        member.details.update({name: sorted(found) for name, found in self._lists.items()})
        member.details.update(
            commands=sorted(self._commands),
            cluster=bool(self._cluster_starts),
            statements=self._statements,
            large_objects=self._large_objects,
            partitioned=sorted(name for _database, name in self._parents),
            without_data=sorted(without),
            ascii_is_utf8=self._ascii_is_utf8,
            data_only=bool(member.tables) and not self._defines(),
        )

    def _defines(self):
        """Whether it makes anything that rows can be of."""
        return bool(self._created or self._parents or self._foreign or self._lists["extensions"])

    def _conclude(self):
        # The rows of an extension's own tables are dumped without them.
        if not self._lists["extensions"]:
            self._check_created(self._parents | self._foreign)
        if self._copies and not self._inserts:
            for name, offset in self._missing:
                self._wrong("missing_table_data", "the rows of %s are announced and do not follow" % name, offset)
        if self._cluster_starts > self._cluster_ends or self._starts > self._ends:
            mark = CLUSTER_END if self._cluster_starts else END_MARK
            self._wrong("incomplete", "the line that ends a complete dump is missing: %s" % mark, self._stream.offset)
        elif (
            self._strict()
            and self._end_offset is not None
            and not _WHOLE_TAIL.fullmatch(self._tail)
            and not self._told & {"duplicate", "trailing_garbage"}
        ):
            self._wrong("incomplete", "the last line of the dump is cut", self._stream.offset)
        elif self._strict() and self._key is not None and not self._told & {"duplicate", "trailing_garbage"}:
            self._wrong("incomplete", "the last line of the dump is missing: \\unrestrict", self._stream.offset)
        elif self._ends > self._starts or self._cluster_ends > self._cluster_starts:
            self._wrong("bad_structure", "the line that begins a dump is missing: %s" % START_MARK, 0)


def read(stream, member, report):
    """Read a dump to its last byte.

    ``member.details``: ``cluster`` (by pg_dumpall), ``databases`` (created or connected to), ``roles``, ``schemas``,
    ``extensions``, ``tablespaces``, ``partitioned`` (tables that hold no rows themselves), ``without_data`` (tables
    that are created and get no rows: as asked for, or because something is missing), ``data_only`` (whether there are rows
    and no definitions at all), ``large_objects``, ``statements`` (numbers), ``commands`` (the client's commands in it)
    and ``ascii_is_utf8`` (whether text that calls itself SQL_ASCII, which is no encoding, is UTF-8; None where none does).
    A table's count is None where the rows are not in the form that pg_dump writes.
    """
    _Reader(stream, member, report).run()


def matches(head, name):
    """Whether this begins as text for PostgreSQL does: surely, or as a best guess where nothing speaks for another
    engine."""
    if b"\0" in head or not head.strip():
        return False
    if _ANY_MARK.search(head):
        return True
    if _FOREIGN_TEXT.search(head) or head.lstrip()[:1] == b"<":
        return False
    if _TYPICAL.search(head):
        return True
    first = WORD.match(head, lead_of(head))
    if not first or first.group().upper() not in _STARTS:
        return False
    return name.lower().endswith(".sql") or bool(re.search(r"postgres|pgsql|pg_dump", name, re.I))
