# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Compressed bytes made plain: gzip (by isal where it is installed), bzip2, xz and zstandard.

Every checksum that the format has is compared, several members or frames one behind the other are read as one, and what
stands behind the last one is trailing garbage, zeros too.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from functools import partial

from ._stream import Ahead, Damaged, Stream

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None

# What is inflated at once: what fits into the cache of a core is quicker.
_OUT = 1 << 18
_IN = 128 << 10


# Bits of the flags of a gzip member (RFC 1952, 2.3.1.2).
_RESERVED = 0xE0


class Budget:
    """How many plain bytes a compressed stream may become. Raises Damaged("bomb")."""

    def __init__(self, limits, source):
        self._limits, self._source, self._plain = limits, source, 0

    def spend(self, size):
        self._plain += size
        limits = self._limits
        if limits.max_plain_bytes is not None and self._plain > limits.max_plain_bytes:
            message = "becomes more than the %d bytes that are allowed" % limits.max_plain_bytes
            raise Damaged("bomb", message, self._plain)
        if self._plain > limits.ratio_from and self._plain > limits.max_ratio * max(self._source.offset, 1):
            message = "becomes more than %g times as large as it is" % limits.max_ratio
            raise Damaged("bomb", message, self._plain)


class Inflated(Stream):
    """Another stream made plain, by objects like those of bz2 and lzma: one for each member, with ``decompress``,
    ``needs_input``, ``eof`` and ``unused_data``."""

    def __init__(self, stream, kind, begin, failures, budget):
        super().__init__()
        self._stream, self._kind, self._begin, self._failures, self._budget = stream, kind, begin, failures, budget
        self._engine, self._members = None, 0

    def _more(self):
        while True:
            if self._engine is None and not self._next_member():
                return b""
            piece = self._step()
            if piece:
                self._budget.spend(len(piece))
                return piece

    def _next_member(self):
        """Begin with the next member, False where there is none. Not taking what another member cannot begin with."""
        head = self._stream.peek(len(self._kind.magic))
        if not head:
            if not self._members:
                raise Damaged("empty", "holds no bytes", 0)
            return False
        if self._members and head != self._kind.magic:
            start = self._stream.offset
            left = self._stream.drain()
            raise Damaged("trailing_garbage", "%d bytes behind the end of the %s data" % (left, self._kind.name), start)
        if self._kind.name == "gzip" and any(flags & _RESERVED for flags in self._stream.peek(4)[3:]):
            # isal does not look.
            raise Damaged("bad_structure", "the gzip data is damaged: flags that do not exist", self._stream.offset)
        self._engine = self._begin()
        self._members += 1
        return True

    def _step(self):
        try:
            data = b""
            if self._engine.needs_input:
                data = self._stream.chunk(_IN)
                if not data:
                    raise Damaged("truncated", "the %s data ends too early" % self._kind.name, self._stream.offset)
            piece = self._engine.decompress(data, _OUT)
        except self._failures as error:
            text = str(error) or type(error).__name__
            code = "bad_checksum" if "check" in text.lower() else "bad_structure"
            raise Damaged(code, "the %s data is damaged: %s" % (self._kind.name, text), self._stream.offset)
        if self._engine.eof:
            self._stream.give_back(self._engine.unused_data)
            self._engine = None
        return piece


class _Adapter:
    """A decompressor in the form of those of bz2 and lzma."""

    needs_input = True

    def __init__(self, engine):
        self._engine = engine

    @property
    def eof(self):
        return self._engine.eof

    @property
    def unused_data(self):
        return self._engine.unused_data


class _Zlib(_Adapter):
    """A gzip member. Its decompressor hands back what it was given too much."""

    _tail = b""

    def decompress(self, data, size):
        piece = self._engine.decompress(self._tail + data if self._tail else data, size)
        self._tail = self._engine.unconsumed_tail
        # The last bytes of what was read may still lie inside.
        self.needs_input = not self._tail and len(piece) < size
        return piece


def _member_of_gzip(library):
    return _Zlib(library.decompressobj(wbits=31))


class _Zstandard(_Adapter):
    """A zstandard frame, by the package zstandard: it bounds neither input nor output, so little is fed at once."""

    def decompress(self, data, _size):
        return self._engine.decompress(data)


def _zstd():
    """A maker of objects for zstandard frames, and what they raise; None where no library is there."""
    try:
        from compression import zstd  # Python 3.14 and later
    except ImportError:
        pass
    else:
        return zstd.ZstdDecompressor, (zstd.ZstdError,)
    try:
        import zstandard
    except ImportError:
        return None

    def begin():
        return _Zstandard(zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj())

    return begin, (zstandard.ZstdError,)


class Kind:
    """A kind of compression: its first bytes, and the endings that names get by it."""

    def __init__(self, name, magic, endings):
        self.name, self.magic, self.endings = name, magic, endings

    def plain_name(self, name):
        """The name of what is inside."""
        for ending, instead in self.endings:
            if name.lower().endswith(ending) and len(name) > len(ending):
                return name[: -len(ending)] + instead
        return name

    def open(self, stream, report, ahead=True):
        """The plain stream. Raises Damaged("unsupported") where the library for it is missing."""
        if self.name == "gzip":
            library = isal_zlib or zlib
            report.inflater = "isal" if isal_zlib else "zlib"
            begin, failures = partial(_member_of_gzip, library), (library.error, zlib.error)
        elif self.name == "bzip2":
            begin, failures = bz2.BZ2Decompressor, (OSError, ValueError)
        elif self.name == "xz":
            begin, failures = partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, 256 << 20), (lzma.LZMAError,)
        elif self.name == "zstd" and _zstd():
            begin, failures = _zstd()
        else:
            need = {"zstd": "install the Python package zstandard", "lz4": "decompress it first (lz4 -d)"}[self.name]
            raise Damaged("unsupported", "is compressed with %s, which cannot be read here: %s" % (self.name, need), 0)
        inflated = Inflated(stream, self, begin, failures, Budget(report.limits, stream))
        return Ahead(inflated) if ahead else inflated


KINDS = (
    Kind("gzip", b"\x1f\x8b", ((".gz", ""), (".tgz", ".tar"))),
    Kind("bzip2", b"BZh", ((".bz2", ""), (".tbz2", ".tar"), (".tbz", ".tar"))),
    Kind("xz", b"\xfd7zXZ\0", ((".xz", ""), (".txz", ".tar"))),
    Kind("zstd", b"\x28\xb5\x2f\xfd", ((".zst", ""), (".zstd", ""), (".tzst", ".tar"))),
    Kind("lz4", b"\x04\x22\x4d\x18", ((".lz4", ""),)),
)


def kind_of(head):
    """The kind of compression that bytes begin with, None where that is none of ours."""
    return next((kind for kind in KINDS if head.startswith(kind.magic)), None)


def plain_entry(name, stream, report):
    """(plain stream, kind or None) of one file of a dump of many. To be closed where there is a kind.

    Raises Damaged where the name promises another compression, or any: the tools would take such bytes as they are.
    """
    kind = kind_of(stream.peek(16))
    promised = next((one for one in KINDS if name.lower().endswith(tuple(end for end, _plain in one.endings))), None)
    if promised and promised is not kind:
        if stream.at_end():
            raise Damaged("empty", "is empty, which no %s is" % promised.name, 0)
        raise Damaged("bad_structure", "is not compressed with %s, as its name says" % promised.name, 0)
    return (kind.open(stream, report) if kind else stream), kind
