# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The rows of a COPY block of PostgreSQL: how many there are, and whether each is as pg_dump writes it."""

from __future__ import annotations

import re

from ._sql import BLOCK

_ODD_ESCAPE = re.compile(rb"\\(?![Nbfnrtv])")
_ODD_NULL = re.compile(rb"(?<![\t\n])\\N")
_ESCAPES = (b"\n\\N", b"\\n", b"\\r", b"\\t", b"\\b", b"\\f", b"\\v")


class CopyRows:
    """The rows of one COPY block, fed without the line that ends it.

    ``columns`` is how many each has, None where the first row says it. ``strict``: all of it is as pg_dump writes.
    ``wrong`` holds (offset, columns) of rows that have another number, ``odd`` is (offset, text) of the first backslash
    that pg_dump does not write.
    """

    def __init__(self, columns, strict):
        self.rows, self.columns, self.wrong, self.odd = 0, columns, [], None
        self._strict, self._tabs, self._tail = strict, 0, b"\n"
        self._unit = self._pattern = None
        if columns is not None:
            self._expect(columns)

    def _expect(self, columns):
        self.columns = columns
        self._unit = b"\t" * (columns - 1) + b"\n"
        self._pattern = self._unit * (2 * BLOCK // len(self._unit) + 2)

    def feed(self, piece, offset, left):
        slashes = 0
        if b"\\" in piece:
            slashes = left.count(b"\\")
            left = left.replace(b"\\", b"")
        self._count(piece, offset, left)
        if self._strict:
            if self.odd is None and (slashes or len(self._tail) > 1):
                self._escapes(piece, offset, slashes)
            else:
                self._tail = piece[-1:]

    def _count(self, piece, offset, left):
        if self._unit is None:
            if b"\n" not in left:
                self._tabs += len(left)
                return
            self._expect(self._tabs + left.index(b"\n") + 1)
        size = len(self._unit)
        if self._tabs < size and self._pattern.startswith(left, self._tabs) and self.columns:
            rows, self._tabs = divmod(self._tabs + len(left), size)
            self.rows += rows
        else:
            self._look_closer(piece, offset)

    def _look_closer(self, piece, offset):
        for line in piece.split(b"\n")[:-1]:
            tabs = self._tabs + line.count(b"\t")
            if tabs != max(self.columns - 1, 0) or (not self.columns and line.strip(b"\r")):
                self.wrong.append((offset, tabs + 1)) if len(self.wrong) < 1000 else None
            self.rows += 1
            self._tabs = 0
            offset += len(line) + 1
        self._tabs += piece.count(b"\t", piece.rfind(b"\n") + 1)

    def _escapes(self, piece, offset, slashes):
        """Whether each backslash is one that pg_dump writes. Counting is quicker than looking at each."""
        before = len(self._tail)
        text = self._tail + piece
        slashes += before - 1
        if len(text) - len(text.rstrip(b"\\")) & 1:
            # Half of something: the next piece has the other half.
            self._tail = (text[-2:-1] if text[-2:-1] != b"\\" else b".") + b"\\"
            text, slashes = text[:-1], slashes - 1
        else:
            self._tail = piece[-1:] if piece[-1:] != b"\\" else b"."
        left = slashes - text.count(b"\t\\N")
        if not left:
            return
        pairs = text.count(b"\\\\")
        if pairs:
            left -= 2 * pairs
            if not left:
                return
            text = text.replace(b"\\\\", b"..")
        for known in _ESCAPES:
            if left <= 0:
                return
            left -= text.count(known)
        if left:
            odd = _ODD_ESCAPE.search(text) or _ODD_NULL.search(text)
            if odd:
                self.odd = (offset + odd.start() - before, text[odd.start() : odd.start() + 12])
