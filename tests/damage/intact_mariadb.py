# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Intact backups of MariaDB by mariadb-dump and mariadb-backup, and in the manner of Backupman."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.backupman import completed
from sandbox.mariadb import MariaDB as SandboxMariaDB

from .servers import MariaDB, ServerError
from .shapes import Gzip, PlainMysql, Squeezed, Stack, Xbstream, Zstd
from .specimen import DATA, Shelf, Specimen, gem

DATABASES = {
    "empty": "", "one": "CREATE TABLE single (id int PRIMARY KEY, t text); INSERT INTO single VALUES (1, 'one');",
    "odd": "mariadb-odd.sql", "medium": "mariadb-medium.sql",
}
# What happened to the data before a backup was made that is whole in its form, and how it is undone.
CHANGES = {
    "rows missing": ("DELETE FROM `order` WHERE id = 517",),
    "table missing": ("DROP TABLE `наименования`",),
    "text changed": ("UPDATE texts SET v = 'shorT' WHERE id = 1",),
    "bytes changed": ("UPDATE bytes SET b = concat(left(b, 3), 'M', substr(b, 5)) WHERE id = 7",),
    "backslash lost": (r"UPDATE texts SET v = replace(v, '\\\\', '\\') WHERE id = 7",),
    "old copy": ("DELETE FROM events WHERE id > 300", "DROP TABLE hidden", "UPDATE areas SET height = 3 WHERE id = 20"),
    "sequence moved": ("SELECT setval(tickets, 9000)",),
    "view missing": ("DROP VIEW on_a_view",),
    "index missing": ("ALTER TABLE `order` DROP KEY `key`",),
    "trigger missing": ("DROP TRIGGER stamp",),
    "default changed": ("ALTER TABLE `order` ALTER `from` SET DEFAULT 8",),
    "routine missing": ("DROP FUNCTION tricky",),
    "event missing": ("DROP EVENT nightly",),
    "one bit changed": ("UPDATE bytes SET flags = b'1010101010100' WHERE id = 7",),
    "null for empty": ("UPDATE texts SET t = NULL WHERE id = 2",),
    "case changed": ("UPDATE texts SET t = 'Plain' WHERE id = 1",),
}
COMMON = ("rows missing", "table missing", "text changed", "bytes changed", "old copy", "another database")
CODE = ("--routines", "--triggers", "--events")
CLIENT = ("mariadb", "--binary-mode", "--default-character-set=utf8mb4")


# What happens to the server between a full backup and the incremental ones on top of it.
LATER = (
    "CREATE TABLE later (id int PRIMARY KEY, t text); INSERT INTO later SELECT seq, md5(seq) FROM seq_1_to_500;"
    " DELETE FROM `order` WHERE id > 535",
    "UPDATE later SET t = 'changed' WHERE id < 20; INSERT INTO `order` (id, `select`) VALUES (900, 'last')",
)


def fill(server: MariaDB, names: tuple[str, ...]) -> None:
    for name in names:
        content = {**DATABASES, "big": "mariadb-big.sql"}[name]
        server.sql(f"DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}`")
        server.sql((DATA / content).read_text(encoding="utf-8") if content.endswith(".sql") else content, name)


def restored(server: MariaDB, content: bytes) -> bytes | None:
    """What mariadb-dump says of what the client makes of a dump; None where it fails."""
    name = f"judged_{os.getpid()}"
    server.sql(f"CREATE DATABASE {name}")
    try:
        server.tool(*CLIENT, name, stdin=content)
        return said(server, name)
    except ServerError:
        return None
    finally:
        server.sql(f"DROP DATABASE {name}")


def said(server: MariaDB, database: str, *words: str) -> bytes:
    return server.tool("mariadb-dump", *CODE, "--skip-comments", *words, database)


class Maker:
    """Makes backups of one server; those of changed data come from another one with the same databases."""

    def __init__(self, server: MariaDB, other: MariaDB, shelf: Shelf) -> None:
        self.server, self.other, self.shelf = server, other, shelf
        # Every way to make a backup of the database odd, for each change of its data: changing is what takes time.
        self._orders: dict[str, list[Callable[[], Path]]] = {}

    def dump(self, data: str, kind: str, *arguments: str, changes: tuple[str, ...] = (), **facts: object) -> Specimen:
        def make(server: MariaDB, place: Path, database: str) -> Path:
            words = ["--all-databases"] if database == "all" else ["--databases", database] if kind == "databases" else [database]
            server.tool("mariadb-dump", *arguments, *words, stdout=place / f"{data}.sql")
            return place

        name = f"mysql/{data}/{kind}"
        changed = {change: self.shelf.place(f"{name}~{change}") for change in changes}
        for change, place in changed.items():
            if change == "another database":
                make(self.server, place, "one")
            else:
                self._orders.setdefault(change, []).append(lambda place=place: make(self.other, place, data))
        return self.shelf.put(name, format=kind, place=make(self.server, self.shelf.place(name), data), shape="file",
                              live=self.server.login(None if data == "all" else data), stack=Stack((), PlainMysql()),
                              changed=changed, judge=None if data == "all" else self._judge(data, kind == "databases"),
                              names_its_database=kind == "databases", **facts)

    def _judge(self, data: str, names_its_database: bool) -> Callable[[bytes], bool]:
        def judge(content: bytes) -> bool:
            """On a server of its own, for text that says where it goes."""
            with tempfile.TemporaryDirectory(prefix="rbg-", dir=self.server.home.parent) as folder:
                Path(folder).chmod(0o755)
                with MariaDB(Path(folder) / "server") as other:
                    try:
                        other.tool(*CLIENT, stdin=content)
                        return said(other, data, "--databases") == said(self.server, data, "--databases")
                    except ServerError:
                        return False

        if names_its_database:
            return judge
        return lambda content: restored(self.server, content) == said(self.server, data)

    def stream(self, name: str, changes: tuple[str, ...] = ()) -> Specimen:
        """The whole server, one stream."""
        def make(server: MariaDB, place: Path) -> Path:
            scratch = self.shelf.home / "scratch"
            server.xbstream(scratch.with_suffix(".xbstream"), scratch)
            content = scratch.with_suffix(".xbstream").read_bytes()
            (place / "server.xbstream.gz").write_bytes(stack.wrap(content))
            return place

        stack = Stack((Gzip(),), Xbstream())
        changed = {change: self.shelf.place(f"{name}~{change}") for change in changes}
        for change, place in changed.items():
            self._orders.setdefault(change, []).append(lambda place=place: make(self.other, place))
        return self.shelf.put(name, format=name.split("/")[-1], place=make(self.server, self.shelf.place(name)), shape="file",
                              live=self.server.login(), stack=stack, changed=changed, deep=True)

    def restore_other(self, names: tuple[str, ...] = tuple(DATABASES)) -> None:
        """Bring the other server to what the live one holds."""
        fill(self.other, names)
        for statements in LATER:
            self.other.sql(statements, "odd")

    def make_changed(self) -> None:
        """Make all backups of changed data that were ordered. Layers around them come afterwards."""
        for change, orders in self._orders.items():
            for statement in CHANGES[change]:
                self.other.sql(statement, "odd")
            for make in orders:
                make()
            self.restore_other(("odd",))
        self._orders.clear()


def chain(server: MariaDB, shelf: Shelf) -> None:
    """A full backup and two incremental ones on top. What the server holds at the last is what it holds from then on."""
    home = shelf.home / "chain"
    home.mkdir()
    steps: list[Path] = []
    for number in range(len(LATER) + 1):
        if number:
            server.sql(LATER[number - 1], "odd")
        place = shelf.place(f"mysql/server/step{number}")
        steps.append(place / f"step{number}.xbstream.gz")
        server.xbstream(home / "stream", home / f"position{number}", home / f"position{number - 1}" if number else None)
        steps[-1].write_bytes(Gzip().wrap((home / "stream").read_bytes()))
    shelf.put("mysql/server/incremental.gz", format="incremental.gz", place=steps[-1].parent, shape="file",
              live=server.login(), stack=Stack((Gzip(),), Xbstream()), parents=tuple(steps[:-1]))


def build(server: MariaDB, other: MariaDB, shelf: Shelf) -> None:
    """``other`` is for what must not happen to the live data: it gets the same, and then changes."""
    thorough = shelf.thorough
    fill(server, tuple(DATABASES))
    chain(server, shelf)
    maker = Maker(server, other, shelf)
    maker.restore_other()
    every = shelf.choice([*CHANGES, "another database"])
    common = COMMON if thorough else ()

    plain = maker.dump("odd", "plain", *CODE, "--single-transaction", changes=every, deep=True)
    hexed = maker.dump("odd", "hex-blob", *CODE, "--hex-blob", changes=common, drilled=False)
    single = maker.dump("odd", "one-by-one", *CODE, "--skip-extended-insert", "--hex-blob", changes=common, drilled=False)
    maker.dump("odd", "databases", *CODE, changes=common, drilled=False)
    server_wide = maker.dump("all", "all", *CODE, drilled=False)
    dumps = [maker.dump(data, "plain", *CODE) for data in ("empty", "one", "medium")]
    maker.stream("mysql/server/xbstream.gz", ("rows missing", "table missing", "text changed", "old copy") if thorough else ())
    if thorough:
        maker.dump("odd", "no-comments", *CODE, "--skip-dump-date", "--skip-add-locks", "--skip-disable-keys", "--quick")
        maker.dump("odd", "complete-insert", *CODE, "--complete-insert", "--replace", "--no-autocommit")
    maker.make_changed()

    shelf.wrapped(plain, ".gz", (Gzip(),), deep=thorough)
    shelf.wrapped(plain, ".many.gz", (Gzip(5),))
    for layer in (Squeezed(".bz2"), Squeezed(".xz"), Zstd()):
        shelf.wrapped(plain, layer.suffix, (layer,), drilled=False)
    shelf.parts(shelf.wrapped(plain, ".gz.tar", gem("MySQL.sql.gz")), 4)
    shelf.wrapped(server_wide, ".gz", (Gzip(),), drilled=False)
    shelf.wrapped(dumps[-1], ".gz", (Gzip(),))
    if thorough:
        shelf.wrapped(hexed, ".gz", (Gzip(),))
        shelf.wrapped(single, ".gz", (Gzip(),))


def build_big(server: MariaDB, shelf: Shelf) -> None:
    """200 MB, on a server of their own: physical backups hold everything."""
    fill(server, ("big",))
    maker = Maker(server, server, shelf)
    shelf.parts(shelf.wrapped(maker.dump("big", "plain"), ".gz.tar", gem("MySQL.sql.gz")), 3)
    maker.stream("mysql/big/xbstream.gz")


def build_backupman(server: SandboxMariaDB, shelf: Shelf, judge: MariaDB) -> None:
    """Plain INSERT statements by the sandbox's stand-in for Backupman's writer, and its three kinds of bad dump. ``judge``
    is a server on which what damaged ones make can be looked at."""
    server.ensure(["shop"])
    # This writer knows tables and views only.
    server.query("shop", "DROP TRIGGER tidy")

    def make(place: Path, damage: str) -> Path:
        server.dump_by_inserts("shop", place / "20260101000000.sql", damage)
        path = place / "20260101000000.sql"
        path.write_bytes(completed(path.read_bytes(), time.time()))
        return place

    name = "mysql/shop/backupman"
    changed = {words: make(shelf.place(f"{name}~{words}"), damage) for words, damage in (
        ("backslashes not escaped", "backslashes"), ("backslash at the end of a value", "trailing_backslash"),
        ("bytes as text", "binary"))}
    place = make(shelf.place(name), "none")
    intact = next(place.iterdir()).read_bytes()
    shelf.put(name, format="backupman", place=place, shape="file", live=server.login("shop"),
              stack=Stack((), PlainMysql()), changed=changed,
              judge=lambda content: restored(judge, content) == restored(judge, intact))
