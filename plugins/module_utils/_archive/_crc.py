# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Checksums that Python lacks, without compiled code: CRC-32C, and CRC-64 of Redis and of MongoDB's tools.

A table and a loop over the bytes make about 10 MB/s. Here a block becomes one big integer, a polynomial over GF(2), and
is folded: where a multiple of the CRC's polynomial has few terms, say x^a + x^b + 1, then x^a may be replaced by
x^b + 1 anywhere without a change of the remainder, and that is a shift and an XOR of big integers for all the upper
bits at once. Squaring such a multiple doubles its exponents and keeps the number of its terms, so that a block of any
size halves in few steps. What is left is short enough for the table.
"""

from __future__ import annotations

try:
    from google_crc32c import extend as _extend
except ImportError:
    try:
        from crc32c import crc32c as _other_crc32c
    except ImportError:
        _extend = None
    else:

        def _extend(value, block):
            return _other_crc32c(block, value)


# Blocks of this size are folded at once: small ones cost more calls, big ones fall out of the processor's cache.
_BLOCK = 128 << 10
# Shorter ones go through the table.
_SHORT = 512


class _Kind:
    """One CRC, all of whose bit orders are reflected: its reflected polynomial and sparse multiples of it.

    ``multiples`` are lists of exponents, the highest first: those with few terms and high exponents serve
    long blocks, those with more terms shorten what is left. That they are multiples is checked by the tests.
    """

    def __init__(self, polynomial, width, flip, multiples):
        self.polynomial, self.bytes, self.flip, self.multiples = polynomial, width // 8, flip, multiples
        self._table, self._plans = None, {}

    def table(self):
        if self._table is None:
            self._table = [self._of_byte(byte) for byte in range(256)]
        return self._table

    def _of_byte(self, register):
        for _bit in range(8):
            register = (register >> 1) ^ (self.polynomial if register & 1 else 0)
        return register

    def advance(self, register, block):
        """The register after the bytes of ``block``."""
        if len(block) > _SHORT:
            register, block = 0, self._fold(register, block)
        table = self.table()
        for byte in block:
            register = (register >> 8) ^ table[(register ^ byte) & 0xFF]
        return register

    def _fold(self, register, block):
        """Few bytes that leave the same remainder, from a register of zero, as ``block`` does from ``register``."""
        size = len(block)
        # In reflected order the lowest bit has the highest power of x, and the register belongs to the first bits.
        number = int.from_bytes(block, "little") ^ register
        plan = self._plans.get(size)
        if plan is None:
            # Blocks of very many sizes are only the last ones of very many files.
            if len(self._plans) > 1000:
                self._plans.clear()
            plan = self._plans[size] = self._plan(size * 8)
        for cut, shifts in plan:
            top = number & ((1 << cut) - 1)
            number >>= cut
            for shift in shifts:
                number ^= top << shift
        left = size * 8 - sum(cut for cut, _shifts in plan)
        return number.to_bytes(left // 8, "little")

    def _plan(self, bits):
        """Steps that shorten so many bits: how many of the first bits go, and where they are added to what is left."""
        plan = []
        for exponents in self.multiples:
            highest, second = exponents[0], exponents[1]
            scale = 1
            while highest * scale * 2 < bits:
                scale *= 2
            while scale:
                # Bits that lie at least x^highest can be replaced, and no further than what replaces them reaches.
                cut = min(bits - highest * scale, (highest - second) * scale) & ~7
                if cut >= max(64, bits // 16):
                    plan.append((cut, [(highest - term) * scale - cut for term in exponents[1:]]))
                    bits -= cut
                else:
                    scale //= 2
        return plan


class _Crc:
    """Feed it by ``update``; ``value`` is the checksum of all so far."""

    _kind = None

    def __init__(self):
        self._register = self._kind.flip
        self._waiting, self._size = [], 0

    def update(self, block):
        self._waiting.append(block)
        self._size += len(block)
        if self._size >= _BLOCK:
            self._work()

    def _work(self):
        if not self._size:
            return
        block = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting, self._size = [], 0
        if len(block) <= _BLOCK:
            self._register = self._kind.advance(self._register, block)
            return
        view = memoryview(block)
        for start in range(0, len(block), _BLOCK):
            self._register = self._kind.advance(self._register, view[start : start + _BLOCK])

    @property
    def value(self):
        self._work()
        return self._register ^ self._kind.flip


CASTAGNOLI = _Kind(
    0x82F63B78,
    32,
    0xFFFFFFFF,
    ((5321, 3574, 2491, 0), (334, 25, 17, 15, 14, 13, 12, 11, 7, 6, 5, 0)),
)
JONES = _Kind(
    0x95AC9329AC4BC9B5,
    64,
    0,
    (
        (52903, 22733, 12888, 12094, 12028, 2808, 1787, 0),
        (2510, 63, 62, 60, 58, 52, 47, 43, 41, 36, 34, 32, 31, 30, 28, 25, 22, 16, 4, 2, 0),
        (214, 61, 55, 54, 49, 48, 41, 36, 35, 34, 30, 29, 27, 19, 18, 8, 7, 6, 3, 1, 0),
    ),
)
ECMA = _Kind(
    0xC96C5795D7870F42,
    64,
    (1 << 64) - 1,
    (
        (52065, 22554, 19391, 14994, 11696, 11269, 2973, 0),
        (2838, 63, 59, 57, 52, 50, 47, 44, 30, 26, 22, 21, 20, 16, 14, 6, 3, 0),
        (233, 61, 60, 58, 57, 55, 53, 47, 44, 41, 39, 38, 32, 30, 21, 18, 16, 13, 12, 11, 8, 7, 6, 0),
    ),
)


class _Crc32c(_Crc):
    """CRC-32C without a compiled library."""

    _kind = CASTAGNOLI


class _Compiled:
    """CRC-32C by a compiled library."""

    def __init__(self):
        self.value = 0

    def update(self, block):
        self.value = _extend(self.value, bytes(block))


class Crc64Jones(_Crc):
    """CRC-64 with the polynomial of Jones, as in Redis."""

    _kind = JONES


class Crc64Ecma(_Crc):
    """CRC-64 of ECMA-182, as in Go's hash/crc64 (mongodump's archives) and in xz."""

    _kind = ECMA


Crc32c = _Crc32c if _extend is None else _Compiled


def crc32c(block, value=0):
    """CRC-32C of ``block`` behind bytes that have the checksum ``value``."""
    if _extend is not None:
        return _extend(value, bytes(block))
    return CASTAGNOLI.advance(value ^ CASTAGNOLI.flip, block) ^ CASTAGNOLI.flip
