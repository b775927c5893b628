# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""pg_dump's directory format (-Fd): a table of contents, a file for each table with rows and each large object.

Every file that the table of contents names must be there and whole, and none besides. Files are read in any order: rows
are counted before it may be known which table they are of. ``details`` are those of the custom format.
"""

from __future__ import annotations

import re

from . import _compressed
from ._stream import Damaged
from .pg_custom import Contents, Rows, count_rows, is_utf8

FORMAT = "pg_dump-directory"

_ENDING = re.compile(r"\.(gz|lz4|zst)$")
_NAME = re.compile(r"^(toc\.dat|\d+\.dat|blob_\d+\.dat|blobs(_\d+)?\.toc)(\.(gz|lz4|zst))?$")
_CONTENTS = "toc.dat"
_LINE = re.compile(rb"(\d+) (blob_\d+\.dat)")
# Stands in for the statement that the rows belong to.
_COPY = b"COPY public.rows FROM stdin;\n"


class PgDirectory:
    """The files of one dump, in any order: entry() for each, finish() after the last."""

    FORMAT = FORMAT

    def __init__(self, root, report, member=None):
        self._report = report
        self._member = member or report.member(root or ".")
        self._member.format, self._member.engine, self._member.tool = self.FORMAT, "postgresql", "pg_dump"
        self._member.plain_bytes = 0
        self._contents, self._contents_whole = None, False
        # {name of a file as the table of contents has it: Rows, or None for what cannot be read}
        self._rows = {}
        # Large objects: names of their files, and {name of a list: [(number, name of the file)]}
        self._objects, self._lists = set(), {}

    @staticmethod
    def accepts(name):
        return bool(_NAME.match(name.rpartition("/")[2]))

    def entry(self, name, stream):
        """Read one file to its end. Raises Damaged, which is about that file alone."""
        base = _ENDING.sub("", name.rpartition("/")[2])
        if base in self._rows or base in self._objects or base in self._lists or (base == _CONTENTS and self._contents):
            self._report.problem("duplicate", "%s is there twice" % base, name)
        # Noted before it is read: a damaged file is there.
        if base == _CONTENTS:
            self._contents = Contents(None, self._member, self._report)
        elif base.startswith("blobs"):
            self._lists[base] = []
        elif base.startswith("blob_"):
            self._objects.add(base)
        else:
            self._rows[base] = None
        plain, kind = _compressed.plain_entry(name, stream, self._report)
        try:
            if kind and kind.name not in self._member.compression:
                self._member.compression.append(kind.name)
            self._read(base, plain, name)
        finally:
            self._member.plain_bytes += plain.offset
            if kind:
                plain.close()

    def _read(self, base, plain, name):
        if base == _CONTENTS:
            self._contents = Contents(plain, self._member, self._report)
            self._contents.read()
            if not plain.at_end():
                raise Damaged("trailing_garbage", "bytes behind the table of contents", plain.offset)
            self._contents_whole = True
        elif base in self._lists:
            self._lists[base] = _read_list(plain)
        elif base in self._rows:
            rows = self._rows[base] = Rows()
            # Without rows a file of INSERTs holds line feeds alone. Which of the two it should be is asked later.
            head = plain.peek(12)
            copy = b"" if head.startswith(b"INSERT INTO ") or not head.strip(b"\n") else _COPY
            count_rows(plain, copy, rows, lambda code, message: self._report.problem(code, message, name))
        else:
            plain.drain()

    def finish(self):
        """After the last entry: whether all that belongs together is there, and which rows are whose."""
        member = self._member
        if self._contents is None:
            self._wrong("missing_member", "the table of contents (toc.dat) is not there")
            return
        if self._contents_whole:
            expected = self._tables() | self._large_objects()
            for base in sorted((set(self._rows) | self._objects | set(self._lists)) - expected):
                self._wrong("extra_member", "%s is not in the table of contents" % base)
        self._contents.describe()
        member.compression.sort()

    def _wrong(self, code, message):
        self._report.problem(code, message, self._member.name)

    def _tables(self):
        """Give rows to their tables; the names of all files that should be there."""
        expected = set()
        for entry in self._contents.entries.values():
            if not entry.is_rows or not entry.place:
                continue
            expected.add(entry.place)
            if entry.place not in self._rows:
                self._wrong("missing_table_data", "%s with the rows of %s is missing" % (entry.place, entry.table))
                continue
            rows = self._rows[entry.place]
            if rows is not None:
                self._member.count(entry.table, rows.number)
                self._judge(rows, entry)
        return expected

    def _judge(self, rows, entry):
        if bool(entry.copy) != (rows.copied is not None):
            self._wrong("open_copy" if entry.copy else "bad_structure", "%s: the rows are not there" % entry.table)
        wanted = entry.columns
        if rows.number and wanted is not None and rows.columns is not None and rows.columns != max(wanted, 1):
            self._wrong("wrong_rows", "%s: rows of %d columns instead of %d" % (entry.table, rows.columns, wanted))
        if not rows.utf8 and is_utf8(self._member.encoding):
            self._wrong("bad_encoding", "%s: bytes that are no %s" % (entry.table, self._member.encoding))

    def _list_of(self, entry):
        """The name of a list of large objects. The tar format names a file that it does not write."""
        if entry.place.startswith("blobs"):
            return entry.place
        numbered = "blobs_%d.toc" % entry.number
        return numbered if numbered in self._lists else "blobs.toc"

    def _large_objects(self):
        expected = set()
        for entry in self._contents.entries.values():
            if not entry.is_blobs or not entry.place:
                continue
            place = self._list_of(entry)
            expected.add(place)
            if place not in self._lists:
                self._wrong("missing_table_data", "%s, the list of large objects, is missing" % place)
            for number, base in self._lists.get(place, ()):
                expected.add(base)
                if base not in self._objects:
                    self._wrong("missing_table_data", "%s with a large object is missing" % base)
                elif base != "blob_%d.dat" % number:
                    self._wrong("bad_structure", "%s is said to be large object %d" % (base, number))
                self._contents.large_object(number)
        self._contents.judge_large_objects()
        return expected


def _read_list(plain):
    """The lines of a list of large objects."""
    found, left = [], b""
    while True:
        piece = plain.chunk()
        if not piece:
            break
        lines = (left + piece).split(b"\n")
        left = lines.pop()
        if len(left) > 1000:
            raise Damaged("bad_structure", "a list of large objects without lines", plain.offset)
        for line in lines:
            match = _LINE.fullmatch(line)
            if not match:
                raise Damaged("bad_structure", "a line that names no large object: %.60r" % line, plain.offset)
            found.append((int(match.group(1)), match.group(2).decode()))
    if left:
        raise Damaged("truncated", "the list of large objects ends within a line", plain.offset)
    return found
