# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Redis servers of the sandbox's own, one per stack: a dump of Redis holds all that its server has."""

from __future__ import annotations

import functools
import shutil
import socket
from pathlib import Path
from typing import Any, Iterable

from .sample_redis import commands
from .servers import READER, DatabaseError, Order, Server, find_programs, seed_of, squeeze

REMEDY = "apt-get install redis-server"
ADMIN = "sandbox"
# Without a point at which it would save, a server that is asked to end would not save either.
CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 777
dir {data}
dbfilename dump.rdb
appendonly no
save 86400 1000000000
daemonize no
user default off
user {admin} on >{password} ~* &* +@all
user {reader} on >{reader_password} ~* resetchannels -@all +@read +@connection +info +time +command +function|list
"""


class Link:
    """A connection that speaks Redis's protocol: as much of it as is needed here."""

    def __init__(self, path: Path, user: str, password: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rb")
        self("AUTH", user, password)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_details: object) -> None:
        self._stream.close()
        self._socket.close()

    def __call__(self, *words: bytes | str | int | float) -> Any:
        return self.all([words])[0]

    def all(self, orders: Iterable[tuple[bytes | str | int | float, ...]]) -> list[Any]:
        """Send many, then read what they answer; the first that is refused is an error."""
        sent = [_encoded(words) for words in orders]
        self._socket.sendall(b"".join(sent))
        answers = [self._answer() for _order in sent]
        for answer in answers:
            if isinstance(answer, DatabaseError):
                raise answer
        return answers

    def _answer(self) -> Any:
        line = self._stream.readline()
        if not line:
            raise DatabaseError("Redis has hung up")
        kind, rest = line[:1], line[1:].rstrip(b"\r\n")
        if kind == b"-":
            return DatabaseError(f"Redis refused: {rest.decode(errors='replace')}")
        if kind == b"$":
            return None if rest == b"-1" else self._stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._answer() for _item in range(int(rest))]
        return int(rest) if kind == b":" else rest


def _encoded(words: tuple[bytes | str | int | float, ...]) -> bytes:
    found = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(found) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in found)


class Redis:
    """The servers in ``home``, one for each database."""

    def __init__(self, home: Path, admin: str, password: str) -> None:
        self._home = home
        self._admin = admin
        self._password = password
        self._servers: dict[str, Server] = {}

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, names: list[str]) -> None:
        program = find_programs(["redis-server"], "Redis", REMEDY)["redis-server"]
        for name in names:
            server = self._servers[name] = Server(self._home, f"redis/{name}")
            server.settle()
            server.data.mkdir(exist_ok=True)
            config = server.folder / "redis.conf"
            config.touch(mode=0o600)  # it holds passwords
            config.write_text(CONFIG.format(
                socket=self._socket(name), data=server.data, admin=ADMIN, password=self._admin, reader=READER,
                reader_password=self._password))
            # Redis overwrites its command line: the title keeps the place of the data in it.
            server.launch([program, str(config), "--proc-title-template", f"{{title}} {server.data}"],
                          functools.partial(self._answers, name))

    def stop(self) -> None:
        for server in self._servers.values():
            server.stop()

    def _socket(self, name: str) -> Path:
        return self._servers[name].socket_dir / "redis.sock"

    def _link(self, name: str) -> Link:
        return Link(self._socket(name), ADMIN, self._admin)

    def _answers(self, name: str) -> bool:
        """It takes connections before it has loaded its data."""
        try:
            with self._link(name) as link:
                return link("PING") == b"PONG"
        except (OSError, DatabaseError):
            return False

    def login(self, database: str) -> dict[str, Any]:
        return {"unix_socket": str(self._socket(database)), "user": READER, "password": self._password,
                "database": None}

    # -- keys ---------------------------------------------------------------------------------------------------

    def ensure(self, names: list[str]) -> None:
        for name in names:
            filled = self._servers[name].folder / "filled"
            if not filled.exists():
                with self._link(name) as link:
                    link("FLUSHALL")
                    link.all(commands(seed_of(name)))
                    link("SAVE")
                filled.touch()

    def tables(self, database: str) -> dict[str, int]:
        """Keys of every numbered database that has some."""
        with self._link(database) as link:
            lines = link("INFO", "keyspace").decode().splitlines()
        found = (line.split(":") for line in lines if line.startswith("db"))
        return {name: int(facts.split(",")[0].removeprefix("keys=")) for name, facts in found}

    def query(self, database: str, sql: str) -> str:
        raise ValueError("Redis takes no SQL, but commands")

    def command(self, database: str, body: dict[str, Any]) -> Any:
        """``{"command": ["SET", "name", "value"], "db": 0}``"""
        with self._link(database) as link:
            return _shown(link.all([("SELECT", int(body.get("db", 0))), tuple(body["command"])])[-1])

    # -- backups ------------------------------------------------------------------------------------------------

    def back_up(self, database: str, scratch: Path, order: Order) -> tuple[Path, str]:
        """What the backup gem does: have the server save, and copy the file."""
        copy = scratch / "dump.rdb"
        with self._link(database) as link:
            link("SAVE")
            shutil.copyfile(self._servers[database].data / "dump.rdb", copy)
        if not order.gzip:
            return copy, ".rdb"
        squeeze(copy, scratch / "dump.rdb.gz")
        return scratch / "dump.rdb.gz", ".rdb.gz"


def _shown(answer: Any) -> Any:
    """An answer as JSON can hold it."""
    if isinstance(answer, list):
        return [_shown(item) for item in answer]
    return answer.decode(errors="backslashreplace") if isinstance(answer, bytes) else answer
