# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Intact backups of Redis: snapshots, and logs that begin with one."""

from __future__ import annotations

import shutil
from pathlib import Path

from .servers import Redis
from .shapes import Aof, Gzip, Opaque, Rdb, Stack
from .specimen import Shelf, gem

Command = list[str | bytes]
FAR = "4102444800000"  # milliseconds: the year 2100
LIBRARY = "#!lua name=gallery\nredis.register_function('answer', function() return 42 end)"

# What happened to the data before the snapshot was made.
CHANGES: dict[str, list[Command]] = {
    "rows missing": [["DEL", "key:17"]],
    "database missing": [["SELECT", "9"], ["FLUSHDB"], ["SELECT", "0"]],
    "text changed": [["SET", "text", "planE"]],
    "bytes changed": [["SETRANGE", "bytes", "3", b"\x4d"]],
    "old copy": [["DEL", "key:1", "key:2", "stream"], ["LPOP", "list:long"]],
    "element missing": [["LPOP", "list:long"]],
    "expiry lost": [["PERSIST", "expires"]],
}


def odd() -> list[Command]:
    """Every type in every encoding that a snapshot has for it, names and values of any bytes, several databases."""
    every = bytes(range(256))
    found: list[Command] = [
        ["SET", "text", "plain"], ["SET", "empty", ""], ["SET", "", "a key without a name"], ["SET", "bytes", every],
        ["SET", every, "a name of all bytes"], ["SET", "ключ", "значение 値 😀"], ["SET", "back\\slash\r\n", "\\\r\n$5\r\n*1"],
        ["SET", "int", "12345"], ["SET", "int:negative", "-1"], ["SET", "int:8", "-128"], ["SET", "int:16", "-32768"],
        ["SET", "int:32", "-2147483648"], ["SET", "int:64", "9223372036854775807"], ["SET", "zeroes", "007"],
        ["SET", "compressed", "abc" * 5000], ["SET", "long", every * 300], ["SETBIT", "bitmap", "100000", "1"],
        ["PFADD", "hyperloglog", *map(str, range(2000))], ["GEOADD", "geo", "13.36", "38.11", "Palermo"],
        ["RPUSH", "list:short", "a", "", "b\n"], ["RPUSH", "list:long", *(f"element {n} " * 20 for n in range(600))],
        ["SADD", "set:ints", *map(str, range(100))], ["SADD", "set:big-ints", *(str(n << 40) for n in range(40))],
        ["SADD", "set:texts", "a", "b", every], ["SADD", "set:long", *(f"member {n}" for n in range(900))],
        ["HSET", "hash:short", "field", "value", "", "", "n", "1"],
        ["HSET", "hash:long", *(word for n in range(700) for word in (f"field {n}", f"value {n}"))],
        ["ZADD", "zset:short", "1", "a", "-1.5", "b", "inf", "c", "-inf", "d"],
        ["ZADD", "zset:long", *(word for n in range(400) for word in (str(n / 7), f"member {n}"))],
        ["SET", "expires", "in the far future", "PXAT", FAR], ["HSET", "expires:hash", "f", "v"],
        ["PEXPIREAT", "expires:hash", FAR],
    ]
    found += [["XADD", "stream", f"{n}-1", "field", f"value {n}", "other", str(n)] for n in range(1, 301)]
    found += [["XDEL", "stream", "7-1", "8-1"], ["XGROUP", "CREATE", "stream", "group", "0"],
              ["XREADGROUP", "GROUP", "group", "consumer", "COUNT", "20", "STREAMS", "stream", ">"],
              ["XACK", "stream", "group", "1-1", "2-1"], ["XADD", "stream:one", "5-5", "a", "b"],
              ["FUNCTION", "LOAD", LIBRARY]]
    found += [["SET", f"key:{n}", f"value {n}"] for n in range(300)]
    found += [["SELECT", "3"], ["SET", "in three", "3"], ["SELECT", "9"], *(["SET", f"n{n}", "9"] for n in range(20)),
              ["SELECT", "15"], ["SET", "last", "one"], ["SELECT", "0"]]
    return found


DATA = {
    "empty": [], "one": [["SET", "only", "one"]], "odd": odd(),
    "medium": [["HSET", f"user:{n}", "name", f"name {n}", "mail", f"{n}@example.org"] for n in range(8000)],
}
MORE = [["SET", "after", "the snapshot"], ["DEL", "key:3"], ["MULTI"], ["INCR", "int"], ["SADD", "set:texts", "late"],
        ["EXEC"], ["SELECT", "3"], ["SET", "in three", b"\r\n*2\r\n"], ["SELECT", "0"],
        *(["SET", f"late:{n}", f"value {n}"] for n in range(50))]


def big() -> list[Command]:
    return [["SET", f"blob:{n}", (f"{n:08x}" * 512).encode()] for n in range(50000)]


def build(servers: dict[str, Redis], shelf: Shelf) -> None:
    """``servers`` holds one for each data set, because a snapshot is always of a whole server."""
    for data, server in servers.items():
        if data == "log":
            continue
        server.pipe(DATA.get(data) or (big() if data == "big" else []))
        name = f"redis/{data}/rdb"
        place = shelf.place(name)
        changed = {}
        if data == "odd":
            for change in shelf.choice(CHANGES):
                changed[change] = shelf.place(f"{name}~{change}")
                server.pipe(CHANGES[change])
                server.save(changed[change] / "odd.rdb")
                server.pipe([["FLUSHALL"], ["FUNCTION", "FLUSH"], *DATA["odd"]])
            changed["another database"] = shelf.place(f"{name}~another database")
            servers["one"].pipe([["FLUSHALL"], *DATA["one"]])
            servers["one"].save(changed["another database"] / "odd.rdb")
        server.save(place / f"{data}.rdb")
        plain = shelf.put(name, format="rdb", place=place, shape="file", live=server.login(), stack=Stack((), Rdb()),
                          changed=changed, deep=True)
        if data == "odd":
            shelf.wrapped(plain, ".gz", (Gzip(),), deep=shelf.thorough)
            shelf.parts(shelf.wrapped(plain, ".gz.tar", gem("Redis.rdb.gz")), 3, drilled=False)
        elif data == "big":
            shelf.wrapped(plain, ".gz", (Gzip(),))
    build_log(servers["log"], shelf)


def build_log(server: Redis, shelf: Shelf) -> None:
    """The folder that Redis 7 keeps, and the one file of Redis 4 to 6: a snapshot and commands after it."""
    server.pipe(DATA["odd"])
    server.rewrite()
    server.pipe(MORE)
    folder = server.home / "appendonlydir"
    base = next(folder.glob("*.base.rdb")).read_bytes()
    commands = next(folder.glob("*.incr.aof")).read_bytes()

    def log_in(place: Path, content: bytes) -> Path:
        shutil.copytree(folder, place / folder.name)
        next((place / folder.name).glob("*.incr.aof")).write_bytes(content)
        return place

    name = "redis/odd/aof-folder"
    shelf.put(name, format="aof-folder", place=log_in(shelf.place(name), commands), shape="folder", live=server.login(),
              member=member_of_log, deep=True)
    name = "redis/odd/aof"
    place = shelf.place(name)
    (place / "appendonly.aof").write_bytes(base + commands)
    shelf.put(name, format="aof", place=place, shape="file", live=server.login(), stack=Stack((), Aof(len(base))), deep=True)


def member_of_log(name: str) -> Stack:
    return Stack((), Rdb() if name.endswith(".rdb") else Aof() if name.endswith(".aof") else Opaque(False))
