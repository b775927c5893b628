# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every stack's Redis holds: each type, small and large, in three numbered databases."""

from __future__ import annotations

import hashlib
from typing import Iterator

Words = tuple[bytes | str | int | float, ...]
EVERY_BYTE = bytes(range(256))
NEVER_YET = 4102444800  # 2100-01-01T00:00:00Z
LIBRARY = "#!lua name=shop\nredis.register_function('total', function(keys) return redis.call('LLEN', keys[1]) end)"


def commands(seed: int) -> Iterator[Words]:
    """The commands that fill a server; other seeds, other numbers."""
    yield ("SELECT", 0)
    for number in range(1, 1201 + seed % 300):
        name = ("Zoë", "Jürgen", "Łukasz", "美咲", "O'Brien", "Ольга", "Nadia 🦊", "Søren")[number % 8]
        yield ("HSET", f"customer:{number}", "name", f"{name} {number}", "city", "Köln", "points", number * seed)
    for number in range(800):
        token = hashlib.md5(f"session{number}".encode(), usedforsecurity=False)
        yield ("SET", f"session:{token.hexdigest()}", token.digest() * 4)
        if number % 4 == 0:  # the others stay for ever
            yield ("PEXPIREAT", f"session:{token.hexdigest()}", NEVER_YET * 1000 + number)
    yield from _types()
    yield ("SELECT", 1)
    for number in range(300):
        yield ("SET", f"product:{number}", 1 + number * 37 % 9900)
    yield ("SET", "только\tздесь", "C:\\new\\table")
    yield ("EXPIREAT", "product:7", NEVER_YET)
    yield ("SELECT", 9)
    yield ("SET", "", "the key without a name")
    yield ("FUNCTION", "LOAD", LIBRARY)


def _types() -> Iterator[Words]:
    """Each type in each form that it is stored in: small ones are packed, large ones are not."""
    yield ("SET", b"bytes:" + EVERY_BYTE, EVERY_BYTE)
    yield ("SET", "text:repeated", "compressible " * 500)
    yield ("SET", "text:empty", "")
    for value in (0, -1, 127, -129, 32768, 2147483648, -9223372036854775808):
        yield ("SET", f"number:{value}", value)
    yield ("SETBIT", "bits", 100003, 1)
    yield ("RPUSH", "list:small", "first", "second\nline", "", EVERY_BYTE, 17)
    yield ("RPUSH", "list:large", *(f"entry № {number} " + "x" * 40 for number in range(2000)))
    yield ("RPUSH", "list:one long entry", "y" * 20000)
    yield ("SADD", "set:numbers", *range(-5, 100))
    yield ("SADD", "set:words", "один", "two", "三")
    yield ("SADD", "set:large", *(f"member {number}" for number in range(1500)))
    yield ("HSET", "hash:large", *(word for number in range(700) for word in (f"field {number}", f"value {number}")))
    yield ("ZADD", "scores:small", -1.5, "low", 0, "none", "inf", "top", 3.141592653589793, "π")
    yield ("ZADD", "scores:large", *(word for number in range(900) for word in (number / 7, f"player {number}")))
    yield ("GEOADD", "places", 6.96, 50.94, "Köln", 139.69, 35.69, "東京")
    yield ("PFADD", "visitors", *range(5000))
    for number in range(1, 251):
        yield ("XADD", "events", f"{1700000000000 + number}-{number % 3}", "kind", "order", "id", number)
    yield ("XGROUP", "CREATE", "events", "mailers", 0)
    yield ("XREADGROUP", "GROUP", "mailers", "mailer-1", "COUNT", 5, "STREAMS", "events", ">")
    yield ("XDEL", "events", "1700000000007-1")
