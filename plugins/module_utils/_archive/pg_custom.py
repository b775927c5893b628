# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""pg_dump's custom format (-Fc), and the table of contents that its directory and tar formats share with it.

Behind the table of contents come blocks, one for each table with rows and one or more for large objects. Each must be
there, once, whole, and end as COPY ends; rows are counted and looked at as in a plain dump. The format has no checksum
of its own: zlib's is one for the rows, but the table of contents, and rows that are not compressed, have none.

``details``: ``created_at`` (local time of the dump's host), ``archive_version``, ``entries`` (of the table of
contents), ``partitioned`` (tables that hold no rows themselves), ``without_data`` (tables that get no rows: as asked
for, or because something is missing), ``large_objects``.
"""

from __future__ import annotations

import codecs
import re
import zlib

from . import _compressed
from ._pg_rows import CopyRows
from ._pg_statements import QUALIFIED, Statements, attachment, unquoted
from ._sql import Encoding
from ._stream import Bytes, Damaged, Stream

FORMAT = "pg_dump-custom"

_MAGIC = b"PGDMP"
_CUSTOM, _TAR, _DIRECTORY = 1, 3, 5
_OLDEST, _NEWEST = (1, 12), (1, 16)
_NONE, _GZIP, _LZ4, _ZSTD = range(4)
_COMPRESSIONS = ("none", "gzip", "lz4", "zstd")
_DATA, _BLOBS = 1, 3
# What an entry says of the place of its data.
_NOT_SET, _SET, _NO_DATA = 1, 2, 3
_MAX_STRING = 32 << 20
# Texts of statements are looked at up to this length.
_MAX_STATEMENT = 4 << 20
_PIECE = 1 << 17
_ROOT = re.compile(rb"-- load via partition root (" + QUALIFIED + rb")")
_PARTITIONED = re.compile(rb"\)\s*PARTITION BY ", re.S)
_ENCODING = re.compile(r"'([^']*)'")
# What pg_dump of all versions that are known here calls its entries.
_KINDS = frozenset(
    """ACCESS METHOD|ACL|AGGREGATE|BLOB|BLOB COMMENTS|BLOB METADATA|BLOBS|CAST|CHECK CONSTRAINT|COLLATION|COMMENT|CONSTRAINT
    |CONVERSION|DATABASE|DATABASE PROPERTIES|DEFAULT|DEFAULT ACL|DOMAIN|ENCODING|EVENT TRIGGER|EXTENSION|FK CONSTRAINT
    |FOREIGN DATA WRAPPER|FOREIGN TABLE|FUNCTION|INDEX|INDEX ATTACH|MATERIALIZED VIEW|MATERIALIZED VIEW DATA|OPERATOR
    |OPERATOR CLASS|OPERATOR FAMILY|POLICY|PROCEDURAL LANGUAGE|PROCEDURE|PUBLICATION|PUBLICATION TABLE
    |PUBLICATION TABLES IN SCHEMA|ROW SECURITY|RULE|SCHEMA|SEARCHPATH|SECURITY LABEL|SEQUENCE|SEQUENCE OWNED BY|SEQUENCE SET
    |SERVER|SHELL TYPE|STATISTICS|STATISTICS DATA|STDSTRINGS|SUBSCRIPTION|SUBSCRIPTION TABLE|TABLE|TABLE ATTACH|TABLE DATA
    |TEXT SEARCH CONFIGURATION|TEXT SEARCH DICTIONARY|TEXT SEARCH PARSER|TEXT SEARCH TEMPLATE|TRANSFORM|TRIGGER|TYPE
    |USER MAPPING|VIEW""".replace("\n    ", "").split("|")
)
# Entries that make what rows can be of.
_DEFINE = ("TABLE", "EXTENSION", "FOREIGN TABLE")


def matches(head, name):  # pylint: disable=unused-argument  # all readers are asked alike
    return head.startswith(_MAGIC) and head[10:11] == bytes([_CUSTOM])


def read(stream, member, report):
    member.format = FORMAT
    contents = Contents(stream, member, report)
    try:
        contents.read()
        _Blocks(stream, contents, member, report).read()
    finally:
        contents.describe()


def _one_letter_from_a_kind(kind):
    """Others may come with newer versions; one that is nearly the same is a kind whose letter was hit."""
    return any(
        len(kind) == len(known) and sum(one != other for one, other in zip(kind, known)) == 1 for known in _KINDS
    )


class Entry:
    """One line of the table of contents."""

    __slots__ = (
        "number",
        "has_data",
        "kind",
        "tag",
        "schema",
        "copy",
        "state",
        "place",
        "columns",
        "partitioned",
        "through_root",
    )

    @property
    def table(self):
        return "%s.%s" % (self.schema, self.tag) if self.schema else self.tag

    @property
    def is_rows(self):
        return self.kind == "TABLE DATA"

    @property
    def is_blobs(self):
        return self.kind in ("BLOBS", "BLOB COMMENTS")


def _columns_of(copy):
    """How many columns the rows of a COPY have, None where it does not name them. Damaged where it is no COPY."""
    statement = Statements(Bytes(copy + b"\\.\n"), lambda *_about: None)
    for _piece in statement:
        pass
    if statement.copied is None:
        raise Damaged("bad_structure", "the rows belong to no COPY: %.60r" % copy)
    return statement.columns


class Contents:
    """The header and the table of contents. ``entries`` maps numbers to Entry."""

    def __init__(self, stream, member, report):
        self._stream, self._member, self._report = stream, member, report
        self.entries, self.compression, self.version, self.layout = {}, _NONE, (0, 0), 0
        self.integer_size = self._offset_size = 4
        self._standard_strings, self._codec = True, "utf-8"
        self._owners = set()
        # How many large objects have come, and how many are announced; the sums of their numbers tell them apart well
        # enough, and there may be millions.
        self.large_objects = self._announced = self._announced_sum = self._sum = 0

    # -- primitives

    def integer(self, stream=None):
        raw = (stream or self._stream).read(1 + self.integer_size)
        value = int.from_bytes(raw[1:], "little")
        if raw[0] > 1 or (raw[0] and not value):
            raise Damaged(
                "bad_structure", "a number that is laid out wrongly", (stream or self._stream).offset - len(raw)
            )
        return -value if raw[0] else value

    def _number(self, what, lowest, highest):
        value = self.integer()
        if not lowest <= value <= highest:
            raise Damaged("bad_structure", "%s is %d" % (what, value), self._stream.offset - 1 - self.integer_size)
        return value

    def _bytes(self):
        size = self._number("the length of a text", -1, _MAX_STRING)
        return None if size < 0 else self._stream.read(size)

    def text(self):
        content = self._bytes()
        return None if content is None else content.decode(self._codec, "replace")

    # -- header

    def read(self):
        stream, member = self._stream, self._member
        member.engine, member.tool = "postgresql", "pg_dump"
        if stream.read(5) != _MAGIC:
            raise Damaged("bad_structure", "does not begin as pg_dump's archives do", 0)
        major, minor, _revision, integer_size, offset_size, self.layout = stream.read(6)
        self.version = (major, minor)
        member.details["archive_version"] = "%d.%d" % self.version
        if not _OLDEST <= self.version <= _NEWEST:
            raise Damaged("unsupported", "pg_dump's archive version %d.%d is not known here" % self.version, 5)
        if integer_size not in (4, 8) or offset_size not in (4, 8) or self.layout not in (_CUSTOM, _TAR, _DIRECTORY):
            raise Damaged("bad_structure", "an archive that is laid out in an unknown way", 8)
        self.integer_size, self._offset_size = integer_size, offset_size
        self._read_compression()
        self._read_time()
        member.database = self.text()
        member.server_version, member.tool_version = self.text(), self.text()
        count = self._number("the number of entries", 0, 1 << 30)
        for _entry in range(count):
            self._read_entry()
        member.details["entries"] = len(self.entries)

    def _read_compression(self):
        if self.version >= (1, 15):
            (self.compression,) = self._stream.read(1)
            if self.compression >= len(_COMPRESSIONS):
                raise Damaged("unsupported", "an unknown compression (%d)" % self.compression, self._stream.offset - 1)
        else:
            self.compression = _GZIP if self._number("the level of the compression", -1, 9) else _NONE

    def _read_time(self):
        limits = ((0, 61), (0, 59), (0, 23), (1, 31), (0, 11), (0, 10000))
        second, minute, hour, day, month, year = (self._number("a time", low, high) for low, high in limits)
        self._number("a time", -1, 1)
        self._member.details["created_at"] = "%04d-%02d-%02d %02d:%02d:%02d" % (
            year + 1900, month + 1, day, hour, minute, second
        )  # fmt: skip

    # -- entries

    def _read_entry(self):
        start, entry = self._stream.offset, Entry()
        entry.number = self._number("the number of an entry", 1, 1 << 40)
        entry.has_data = bool(self._number("whether an entry has data", 0, 1))
        for _oid in range(2):
            self._oid(start)
        entry.tag, entry.kind = self.text() or "", self.text() or ""
        self._number("the section of an entry", 1, 4)
        statement = self._bytes() or b""
        # The statement that drops it.
        self.text()
        entry.copy, entry.columns = self._bytes() or b"", None
        schema = self._bytes()
        entry.schema = None if schema is None else schema.decode(self._codec, "replace")
        for _text in range(2 if self.version >= (1, 14) else 1):
            self.text()
        relation = self._number("the kind of a relation", 0, 127) if self.version >= (1, 16) else 0
        owner = self.text()
        if owner:
            self._owners.add(owner)
        # Whether rows have numbers of their own.
        if self.text() not in ("true", "false", None):
            raise Damaged("bad_structure", "an entry that is laid out wrongly", start)
        while True:
            dependency = self.text()
            if dependency is None:
                break
            if not dependency.isdigit():
                raise Damaged("bad_structure", "an entry that depends on %.20r" % dependency, start)
        self._read_place(entry)
        if entry.kind not in _KINDS and _one_letter_from_a_kind(entry.kind):
            raise Damaged("bad_structure", "an entry of a kind that does not exist: %s" % entry.kind, start)
        if entry.number in self.entries:
            raise Damaged("duplicate", "two entries with the number %d" % entry.number, start)
        entry.partitioned = relation == ord("p") or bool(_PARTITIONED.search(statement))
        root = _ROOT.match(statement)
        entry.through_root = ".".join(unquoted(root.group(1), self._codec)) if root else None
        self.entries[entry.number] = entry
        attached = attachment(statement) if entry.kind in ("TABLE", "TABLE ATTACH") else None
        if attached:
            self._member.attach(*[(None, ".".join(unquoted(name, self._codec))) for name in attached])
        self._look_at(entry, statement, start)
        self._compare_schema(entry, schema, statement + entry.copy, start)

    def _compare_schema(self, entry, schema, statement, start):
        """Since this version statements name the schema that the entry says. pg_restore uses the latter for owners only."""
        if self.version < (1, 13) or not schema or not statement.strip() or b"'" in schema or b"\\" in schema:
            return
        if schema == b"pg_catalog":
            # What lies in no schema of the user's, as a comment on a cast.
            return
        if schema.replace(b'"', b'""') not in statement:
            message = "%s %s: the statement names another schema" % (entry.kind, entry.table)
            self._report.problem("bad_structure", message, self._member.name, start)

    def _oid(self, start):
        text = self.text()
        if text is None or not text.isdigit():
            raise Damaged("bad_structure", "an entry without an object's number", start)

    def _read_place(self, entry):
        if self.layout != _CUSTOM:
            entry.place = self.text() or ""
            entry.state = _SET if entry.place else _NO_DATA
            return
        (entry.state,) = self._stream.read(1)
        entry.place = int.from_bytes(self._stream.read(self._offset_size), "little")
        if not _NOT_SET <= entry.state <= _NO_DATA or (entry.place and entry.state != _SET):
            raise Damaged("bad_structure", "an unknown state of data (%d)" % entry.state, self._stream.offset)

    def _look_at(self, entry, statement, start):
        """What a statement sets, and whether it may be run."""

        def wrong(code, message, _offset=None, *_more):
            self._report.problem(code, "%s %s: %s" % (entry.kind, entry.table, message), self._member.name, start)

        if entry.kind == "ENCODING":
            found = _ENCODING.search(statement.decode("utf-8", "replace"))
            self._member.encoding = found.group(1) if found else None
            self._codec = _codec_of(self._member.encoding)
        if entry.kind == "STDSTRINGS":
            self._standard_strings = b"'off'" not in statement
        if entry.has_data != (entry.state != _NO_DATA):
            wrong("bad_structure", "the entry contradicts itself about its data")
        if entry.has_data and not (entry.is_rows or entry.is_blobs):
            wrong("bad_structure", "an entry of a kind that has no data, with data")
        if entry.copy:
            try:
                entry.columns = _columns_of(entry.copy)
            except Damaged as error:
                wrong(error.code, error.message)
        if entry.kind in ("BLOB", "BLOB METADATA"):
            # The latter has no statement but the numbers of all that have the same rights.
            numbers = [entry.tag.encode()] if entry.kind == "BLOB" else statement.split()
            if not b"".join(numbers).isdigit():
                wrong("bad_structure", "a list of large objects that are none")
            else:
                self._announced += len(numbers)
                self._announced_sum += sum(map(int, numbers))
            return
        if not statement.strip() or len(statement) > _MAX_STATEMENT:
            return
        if not self._standard_strings and entry.kind != "STDSTRINGS":
            statement = b"SET standard_conforming_strings = off;\n" + statement
        try:
            for _piece in Statements(Bytes(statement), wrong):
                pass
        except Damaged as error:
            wrong(error.code, error.message)

    # -- what is in it

    def describe(self):
        member = self._member
        with_rows = {entry.table for entry in self.entries.values() if entry.is_rows and entry.has_data}
        tables = [entry for entry in self.entries.values() if entry.kind == "TABLE"]
        without = [entry.table for entry in tables if not entry.partitioned and entry.table not in with_rows]
        for table in with_rows:
            # What was counted is there already.
            member.table(table, None)
        for table in without:
            member.table(table, 0)
        through_root = {}
        for entry in self.entries.values():
            if entry.through_root:
                through_root.setdefault(entry.through_root, []).append(entry.table)
        for root, partitions in through_root.items():
            member.gather((None, root), [(None, name) for name in partitions])
        member.details.update(
            partitioned=sorted(entry.table for entry in tables if entry.partitioned),
            without_data=sorted(without),
            owners=sorted(self._owners),
            data_only=bool(with_rows) and not any(entry.kind in _DEFINE for entry in self.entries.values()),
            large_objects=self.large_objects,
        )

    def large_object(self, number):
        self.large_objects += 1
        self._sum += number

    def judge_large_objects(self):
        """After all of them. The format announces each, but not in a dump of one section alone."""
        if not self._announced or not any(entry.is_blobs and entry.has_data for entry in self.entries.values()):
            return
        if (self.large_objects, self._sum) != (self._announced, self._announced_sum):
            self._report.problem(
                "missing_table_data",
                "%d large objects, not the %d of the table of contents" % (self.large_objects, self._announced),
                self._member.name,
            )


class _Chunks(Stream):
    """The bytes of one block, which come in pieces that say how long they are: without compression one for each row."""

    def __init__(self, stream, contents):
        super().__init__()
        self._stream, self._contents, self._left = stream, contents, 0
        self.over = False

    def _more(self):
        if self.over:
            return b""
        small = b"" if self._left else self._small_ones()
        if small:
            return small
        if not self._left:
            self._left = self._contents.integer(self._stream)
            if self._left < 0:
                raise Damaged("bad_structure", "a piece of %d bytes" % self._left, self._stream.offset)
            if not self._left:
                self.over = True
                return b""
        piece = self._stream.chunk(min(self._left, _PIECE))
        if not piece:
            raise Damaged("truncated", "ends %d bytes too early" % self._left, self._stream.offset)
        self._left -= len(piece)
        return piece

    def _small_ones(self):
        """All pieces that are at hand as a whole. Who comes later sees what is odd about the next one."""
        window, head = self._stream.peek(_PIECE), 1 + self._contents.integer_size
        place, last, pieces = 0, len(window) - head, []
        while place <= last:
            start = place + head
            size = int.from_bytes(window[place + 1 : start], "little")
            end = start + size
            if window[place] or not size or end > len(window):
                break
            pieces.append(window[start:end])
            place = end
        self._stream.skip(place)
        return b"".join(pieces)


class _Deflated(Stream):
    """A zlib stream made plain, to its checksum and no further."""

    def __init__(self, stream, limits):
        super().__init__()
        library = _compressed.isal_zlib or zlib
        self._stream, self._budget = stream, _compressed.Budget(limits, stream)
        self._engine, self._failures = library.decompressobj(wbits=15), (library.error, zlib.error)
        self._waiting = b""

    def _more(self):
        while not self._engine.eof:
            data = self._waiting or self._stream.chunk(_PIECE)
            if not data:
                raise Damaged("truncated", "the compressed data ends too early")
            try:
                piece = self._engine.decompress(data, _PIECE)
            except self._failures as error:  # pylint: disable=catching-non-exception  # a tuple of exceptions
                code = "bad_checksum" if "check" in str(error) else "bad_structure"
                raise Damaged(code, "the compressed data is damaged: %s" % error)
            self._waiting = self._engine.unconsumed_tail
            if piece:
                self._budget.spend(len(piece))
                return piece
        if self._engine.unused_data or not self._stream.at_end():
            raise Damaged("trailing_garbage", "bytes behind the end of the compressed data")
        return b""


def opened(stream, compression, report):
    """The plain bytes of a compressed stream. Raises Damaged("unsupported")."""
    if compression == _NONE:
        return stream
    if compression == _GZIP:
        return _Deflated(stream, report.limits)
    kind = next(kind for kind in _compressed.KINDS if kind.name == _COMPRESSIONS[compression])
    return kind.open(stream, report, ahead=False)


class _Behind(Stream):
    """Some bytes, and another stream behind them."""

    def __init__(self, first, stream):
        super().__init__()
        self._first, self._stream = first, stream

    def _more(self):
        first, self._first = self._first, b""
        return first or self._stream.chunk()


class Rows:
    """What the rows of one table are found to be: ``number``, ``columns`` (of a COPY, None for INSERTs), whether all of
    them are ``utf8``, and the (schema, table) that they are ``copied`` into."""

    def __init__(self):
        self.number, self.columns, self.utf8, self.copied = 0, None, True, None


def count_rows(stream, copy, rows, wrong):
    """Read the rows of a table to their end and put into ``rows`` what they are.

    ``copy`` is the COPY statement that they belong to, empty where they are INSERTs. ``wrong(code, message)`` is called
    for what is wrong with rows; Damaged is about the bytes, or rows that do not end.
    """
    statements = Statements(_Behind(copy, stream), lambda code, message, *_more: wrong(code, message))
    copied, ended, encoding = None, not copy, Encoding()
    encoding.declare("utf-8")
    try:
        for kind, piece, offset in statements:
            if rows.utf8 and encoding.fault(piece) is not None:
                rows.utf8 = False
            if kind == "copy":
                copied = copied or CopyRows(statements.columns, strict=True)
                ended = statements.copy_ends
                copied.feed(piece[:-3] if ended else piece, offset, statements.left)
            elif statements.table and statements.rows:
                rows.number += statements.rows
            elif ended and copy and piece.strip(b"\n"):
                raise Damaged("bad_structure", "something follows the end of the rows")
    finally:
        if copied is not None:
            rows.number, rows.columns, rows.copied = copied.rows, copied.columns, statements.copied
    if not ended:
        raise Damaged("open_copy", "no rows of a COPY, or not their end")
    if copied is not None and copied.wrong:
        wrong("wrong_rows", "a row of %d columns instead of %d" % (copied.wrong[0][1], copied.columns))
    if copied is not None and copied.odd:
        wrong("bad_structure", "a backslash that pg_dump does not write")


def _codec_of(encoding):
    """What Python calls an encoding of PostgreSQL, as far as names can be read by it."""
    name = (encoding or "").upper()
    try:
        return codecs.lookup(
            name.replace("WIN", "CP") if name.startswith("WIN") else name.replace("KOI8", "KOI8_")
        ).name
    except LookupError:
        return "utf-8"


def is_utf8(encoding):
    return (encoding or "").upper() in ("UTF8", "UNICODE")


class _Blocks:
    """The blocks behind the table of contents of a custom archive."""

    def __init__(self, stream, contents, member, report):
        self._stream, self._contents, self._member, self._report = stream, contents, member, report
        self._seen, self._unsupported = set(), False

    def read(self):
        contents, member = self._contents, self._member
        if contents.compression:
            member.details["compression"] = _COMPRESSIONS[contents.compression]
        while not self._stream.at_end():
            self._block()
        for number, entry in sorted(contents.entries.items()):
            if entry.state != _NO_DATA and number not in self._seen:
                self._wrong("missing_table_data", "the data of %s is missing" % (entry.table or entry.kind))
        if not self._unsupported:
            contents.judge_large_objects()

    def _wrong(self, code, message, offset=None):
        self._report.problem(code, message, self._member.name, offset)

    def _block(self):
        start = self._stream.offset
        (kind,) = self._stream.read(1)
        if kind not in (_DATA, _BLOBS):
            whole = all(
                number in self._seen for number, entry in self._contents.entries.items() if entry.state != _NO_DATA
            )
            code = "trailing_garbage" if whole else "bad_structure"
            raise Damaged(code, "here should begin the data of a table (0x%02x)" % kind, start)
        number = self._contents.integer()
        entry = self._contents.entries.get(number)
        if entry is None:
            raise Damaged("bad_structure", "data of an entry (%d) that is not in the table of contents" % number, start)
        if number in self._seen:
            raise Damaged("duplicate", "the data of %s a second time" % entry.table, start)
        self._seen.add(number)
        if entry.state == _NO_DATA or (kind == _BLOBS) != entry.is_blobs:
            raise Damaged(
                "bad_structure", "data of another kind than %s %s should have" % (entry.kind, entry.table), start
            )
        if entry.state == _SET and entry.place != start:
            self._wrong("bad_structure", "%s: the data is not where the table of contents says" % entry.table, start)
        if kind == _DATA:
            self._rows(entry, start)
        else:
            self._blobs(start)

    def _rows(self, entry, start):
        self._plain(lambda plain: self._count(plain, entry), entry.table, start)

    def _count(self, plain, entry):
        if not entry.is_rows:
            return

        def wrong(code, message):
            self._wrong(code, "%s: %s" % (entry.table, message))

        rows = Rows()
        try:
            count_rows(plain, entry.copy, rows, wrong)
        finally:
            self._member.count(entry.table, rows.number)
            self._member.plain_bytes = (self._member.plain_bytes or 0) + plain.offset
        if not rows.utf8 and is_utf8(self._member.encoding):
            wrong("bad_encoding", "bytes that are no %s" % self._member.encoding)
        # Those of a partition may be loaded through the table that it is of; names in other encodings are not compared.
        comparable = not entry.through_root and (entry.table.isascii() or is_utf8(self._member.encoding))
        if rows.copied not in (None, (entry.schema, entry.tag)) and comparable:
            wrong("bad_structure", "the rows are for %s" % ".".join(rows.copied))

    def _blobs(self, start):
        contents, last = self._contents, 0
        while True:
            number = contents.integer()
            if not number:
                return
            if number <= last:
                raise Damaged("bad_structure", "large object %d behind %d" % (number, last), self._stream.offset)
            last = number
            contents.large_object(number)
            self._plain(lambda plain: None, "large object %d" % number, start)

    def _plain(self, use, what, start):
        """Let ``use`` read the plain bytes of what comes next. What is damaged inside ends there, blocks go on."""
        chunks = _Chunks(self._stream, self._contents)
        plain = None
        try:
            plain = opened(chunks, self._contents.compression, self._report)
            use(plain)
            plain.drain()
        except Damaged as error:
            if not chunks.over and self._stream.at_end():
                raise
            if error.code == "unsupported":
                if not self._unsupported:
                    self._wrong("unsupported", error.message)
                self._unsupported = True
            else:
                self._wrong(error.code, "%s: %s" % (what, error.message), start)
        chunks.drain()
