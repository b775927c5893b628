# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checksums that Python lacks: against published values, against the definition bit by bit, against another library."""

from __future__ import annotations

import lzma
import random

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import _crc

RANDOM = random.Random(7)
NOISE = bytes(RANDOM.getrandbits(8) for _byte in range(300000))
ALL = [_crc._Crc32c, _crc.Crc64Jones, _crc.Crc64Ecma]
KINDS = [_crc.CASTAGNOLI, _crc.JONES, _crc.ECMA]


def whole(crc, *pieces):
    made = crc()
    for piece in pieces:
        made.update(piece)
    return made.value


def bit_by_bit(kind, block):
    register = kind.flip
    for byte in block:
        register ^= byte
        for _bit in range(8):
            register = (register >> 1) ^ (kind.polynomial if register & 1 else 0)
    return register ^ kind.flip


@pytest.mark.parametrize(
    "crc, block, value",
    [
        (_crc._Crc32c, b"123456789", 0xE3069283),
        (_crc._Crc32c, bytes(32), 0x8A9136AA),
        (_crc._Crc32c, b"\xff" * 32, 0x62A8AB43),
        (_crc.Crc64Jones, b"123456789", 0xE9C6D914C4B8D9CA),
        (_crc.Crc64Ecma, b"123456789", 0x995DC9BBDF1939FA),
        (_crc._Crc32c, b"", 0),
        (_crc.Crc64Jones, b"", 0),
        (_crc.Crc64Ecma, b"", 0),
    ],
)
def test_published_values(crc, block, value):
    assert whole(crc, block) == value


@pytest.mark.parametrize("kind", KINDS)
def test_the_sparse_polynomials_are_multiples(kind):
    width = kind.bytes * 8
    polynomial = (1 << width) | int(format(kind.polynomial, "0%db" % width)[::-1], 2)
    for exponents in kind.multiples:
        assert list(exponents) == sorted(set(exponents), reverse=True)
        left, power = 0, 1
        for exponent in range(exponents[0] + 1):
            if exponent in exponents:
                left ^= power
            power <<= 1
            if power >> width:
                power ^= polynomial
        assert not left


@pytest.mark.parametrize("kind", KINDS)
def test_folding_is_the_definition(kind):
    for size in [*range(500, 530), 700, 1000, 1023, 2048, 2051, 6623, 9001]:
        start = RANDOM.randrange(1000)
        block = NOISE[start : start + size]
        assert kind.advance(kind.flip, block) ^ kind.flip == bit_by_bit(kind, block)


@pytest.mark.parametrize("crc", ALL)
@pytest.mark.parametrize("size", [1, 7, 511, 513, 4096, 65537, 131072, 131073, 262144, 300000])
def test_pieces_do_not_matter(crc, size):
    kind = crc._kind
    table, register = kind.table(), kind.flip
    for byte in NOISE[:size]:
        register = (register >> 8) ^ table[(register ^ byte) & 0xFF]
    expected = register ^ kind.flip
    assert whole(crc, NOISE[:size]) == expected
    cuts = sorted(RANDOM.randrange(size) for _cut in range(5))
    pieces = [NOISE[start:end] for start, end in zip([0] + cuts, cuts + [size])]
    assert whole(crc, *pieces) == expected


def test_the_same_as_in_xz():
    # An .xz of one block ends in the CRC-64 of its content, the index and a footer that says how long the index is.
    packed = lzma.compress(NOISE, check=lzma.CHECK_CRC64)
    index = (int.from_bytes(packed[-8:-4], "little") + 1) * 4
    stored = packed[-12 - index - 8 : -12 - index]
    assert whole(_crc.Crc64Ecma, NOISE) == int.from_bytes(stored, "little")


@pytest.mark.parametrize("crc", ALL)
def test_every_flipped_bit_shows(crc):
    block = NOISE[:1500]
    right = whole(crc, block)
    for bit in range(0, len(block) * 8, 13):
        wrong = bytearray(block)
        wrong[bit // 8] ^= 1 << bit % 8
        assert whole(crc, bytes(wrong)) != right


def test_the_value_may_be_asked_for_in_between():
    crc = _crc.Crc64Jones()
    for size in (0, 10, 2000):
        assert crc.value == whole(_crc.Crc64Jones, NOISE[:size])
        crc.update(NOISE[size : {0: 10, 10: 2000}.get(size, size)])


def test_going_on_from_a_value():
    assert _crc.crc32c(NOISE[1000:3000], _crc.crc32c(NOISE[:1000])) == whole(_crc.Crc32c, NOISE[:3000])
    assert _crc.crc32c(b"123456789") == 0xE3069283


def test_a_compiled_library_is_asked_in_the_same_way(monkeypatch):
    asked = []

    def extend(value, block):
        asked.append((value, block))
        return value + len(block)

    monkeypatch.setattr(_crc, "_extend", extend)
    crc = _crc._Compiled()
    crc.update(b"ab")
    crc.update(memoryview(b"cde"))
    assert (crc.value, asked) == (5, [(0, b"ab"), (2, b"cde")])
    assert _crc.crc32c(b"ab", 7) == 9


def test_plans_do_not_pile_up():
    kind = _crc._Kind(_crc.CASTAGNOLI.polynomial, 32, _crc.CASTAGNOLI.flip, _crc.CASTAGNOLI.multiples)
    for size in range(513, 513 + 1100):
        kind.advance(0, NOISE[:size])
    assert len(kind._plans) <= 1001
