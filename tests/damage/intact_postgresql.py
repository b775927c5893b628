# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Intact backups of PostgreSQL by pg_dump, pg_dumpall and pg_basebackup, of every version that is here."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from .servers import PostgreSQL, ServerError
from .shapes import (Core, Gzip, Opaque, PgCustom, PlainPostgresql, Squeezed, Stack, TreeTar, Zstd, read_folder,
                     tree_as_tar, without_tokens)
from .specimen import DATA, Shelf, Specimen, gem

ROLES = 'CREATE ROLE app; CREATE ROLE "app owner"; CREATE ROLE reporting;'
DATABASES = {
    "empty": "", "one": "CREATE TABLE single (id integer PRIMARY KEY, t text); INSERT INTO single VALUES (1, 'one');",
    "odd": "postgresql-odd.sql", "medium": "postgresql-medium.sql", "latin": "postgresql-latin.sql",
    "raw": "postgresql-raw.sql", "big": "postgresql-big.sql",
}
ENCODINGS = {"latin": "LATIN1", "raw": "SQL_ASCII"}

# What happened to the data before a backup was made that is whole in its form.
CHANGES = {
    "rows missing": 'DELETE FROM "order" WHERE id = 17',
    "table missing": 'DROP TABLE "наименования"',
    "text changed": "UPDATE texts SET v = 'shorT' WHERE id = 1",
    "bytes changed": "UPDATE bytes SET b = set_byte(b, 3, 77) WHERE id = 7",
    "backslash lost": r"UPDATE texts SET v = replace(v, '\\', '\') WHERE id = 7",
    "old copy": "DELETE FROM events WHERE id > 300; DROP TABLE rooms; UPDATE areas SET height = 3 WHERE id = 200",
    "large object changed": r"SELECT lo_put(77001, 4, '\x41')",
    "large object missing": "SELECT lo_unlink(77002)",
    "sequence behind": "SELECT setval('tickets', 4000)",
    "view missing": "DROP VIEW cheap",
    "index missing": "DROP INDEX order_lower",
    "trigger missing": 'DROP TRIGGER stamp ON "order"',
    "default changed": 'ALTER TABLE "order" ALTER "from" SET DEFAULT 8',
    "constraint missing": "ALTER TABLE areas DROP CONSTRAINT areas_width_check",
    "function changed": "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
}
# Those of every format; the others are of the plain one and of custom.
COMMON = ("rows missing", "table missing", "text changed", "bytes changed", "old copy", "another database")


def fill(server: PostgreSQL, names: Iterable[str]) -> None:
    server.sql(ROLES)
    for name in names:
        content = DATABASES[name]
        encoding = ENCODINGS.get(name, "UTF8")
        server.sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
        text = (DATA / content).read_text(encoding="utf-8") if content.endswith(".sql") else content
        server.sql(("SET client_encoding = 'UTF8';\n" if encoding == "LATIN1" else "") + text, name)


class Maker:
    """Makes the backups of one server."""

    def __init__(self, server: PostgreSQL, shelf: Shelf, newest: bool) -> None:
        self.server, self.shelf, self.newest = server, shelf, newest
        self.label = "" if newest else f"-{server.version}"
        # Every way to make a backup of the database odd, for each change of its data: changing is what takes time.
        self._orders: dict[str, list[Callable[[], Path]]] = {}

    def dump(self, data: str, kind: str, *arguments: str, core: Core | None = None, suffix: str, tool: str = "pg_dump",
             changes: tuple[str, ...] = (), live: bool = True, **facts: object) -> Specimen:
        """One file by ``tool``, and those of changed data in the same way."""
        def make(place: Path, database: str) -> Path:
            words = ["-d", database] if tool == "pg_dump" else []
            self.server.tool(tool, *words, *arguments, "-f", str(place / f"{data}{suffix}"))
            return place

        name = f"postgresql/{data}/{kind}{self.label}"
        login = self.server.login(data if tool == "pg_dump" else None) if live else None
        return self.shelf.put(name, format=kind + self.label, place=make(self.shelf.place(name), data), shape="file",
                              live=login, stack=Stack((), core or PlainPostgresql()),
                              changed=self._order(name, data, changes, make), judge=self._judge(data, kind, tool, core, arguments),
                              names_its_database=kind == "create", **facts)

    def _judge(self, data: str, kind: str, tool: str, core: Core | None, arguments: tuple[str, ...]) -> Callable[[bytes], bool]:
        """By psql or pg_restore, and by the tool that wrote the dump."""
        if tool == "pg_dumpall":
            # Other judges and drills are at work on the live server.
            others = ("--exclude-database=judged_*", "--exclude-database=rbd_*")
            return self._judge_on_another_server("", lambda server: server.tool("pg_dumpall", *others))
        if kind == "create":
            return self._judge_on_another_server(ROLES, lambda server: server.tool("pg_dump", "-C", "-d", data))
        if core is None:
            script = ("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-")
            return lambda content: self._same(data, *script, stdin=content, said=arguments)

        def judge(content: bytes) -> bool:
            with tempfile.NamedTemporaryFile(prefix="rbg-") as file:
                file.write(content)
                file.flush()
                return self._same(data, "pg_restore", "--exit-on-error", file.name)

        return judge

    def _judge_folder(self, data: str) -> Callable[[Path], bool]:
        return lambda folder: self._same(data, "pg_restore", "--exit-on-error", str(folder))

    def _same(self, data: str, program: str, *words: str, stdin: bytes = b"", said: tuple[str, ...] = ()) -> bool:
        """Whether what a program of PostgreSQL makes of a dump is, to pg_dump, the live database."""
        name, encoding = f"judged_{os.getpid()}", ENCODINGS.get(data, "UTF8")
        self.server.sql(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
        try:
            self.server.tool(program, "-d", name, *words, stdin=stdin)
            one, other = (without_tokens(self.server.tool("pg_dump", "-d", which, *said)) for which in (name, data))
            return one == other
        except ServerError:
            return False
        finally:
            self.server.sql(f"DROP DATABASE {name}")

    def _judge_on_another_server(self, prepared: str, say: Callable[[PostgreSQL], bytes]) -> Callable[[bytes], bool]:
        """For text that makes databases: a new server reads it, and both have to say the same."""
        def judge(content: bytes) -> bool:
            with tempfile.TemporaryDirectory(prefix="rbg-", dir=self.server.home.parent) as folder:
                Path(folder).chmod(0o755)
                with PostgreSQL(Path(folder) / "server", self.server.bin_dir) as other:
                    other.sql(prepared)
                    try:
                        # It makes the role of the one who restores it, too, who is there already.
                        other.tool("psql", "-d", "postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-",
                                   stdin=content.replace(b"CREATE ROLE postgres;\n", b"", 1))
                        return without_tokens(say(other)) == without_tokens(say(self.server))
                    except ServerError:
                        return False

        return judge

    def _order(self, name: str, data: str, changes: tuple[str, ...], make: Callable[[Path, str], Path]) -> dict[str, Path]:
        """Have the backup made again, each time after something happened to the data."""
        found = {change: self.shelf.place(f"{name}~{change}") for change in changes}
        for change, place in found.items():
            if change == "another database":
                make(place, "one")  # of one database under the name of another
            else:
                self._orders.setdefault(change, []).append(lambda place=place: make(place, data))
        return found

    def make_changed(self) -> None:
        """Make all that was ordered. The live database stays as it was. Layers around them come afterwards."""
        for change, orders in self._orders.items():
            self.server.sql("ALTER DATABASE odd RENAME TO kept; CREATE DATABASE odd TEMPLATE kept;\n\\connect odd\n"
                            + CHANGES[change])
            for make in orders:
                make()
            self.server.sql("DROP DATABASE odd; ALTER DATABASE kept RENAME TO odd")
        self._orders.clear()

    def directory(self, data: str, kind: str, *arguments: str, changes: tuple[str, ...] = ()) -> Specimen:
        """A folder of files."""
        def make(place: Path, database: str) -> Path:
            self.server.tool("pg_dump", "-d", database, "-Fd", "-j", "2", *arguments, "-f", str(place / f"{data}.dir"))
            return place

        name = f"postgresql/{data}/{kind}{self.label}"
        return self.shelf.put(name, format=kind + self.label, place=make(self.shelf.place(name), data), shape="folder",
                              live=self.server.login(data), member=member_of_directory, deep=True,
                              judge_folder=self._judge_folder(data),
                              changed=self._order(name, data, changes, make))

    def as_tar(self, of: Specimen, name: str, layers: tuple[object, ...] = ()) -> Specimen:
        """A folder as one tar, with layers around it."""
        def make(source: Path, target: Path) -> Path:
            root = next(source.iterdir())
            (target / "tar").write_bytes(stack.wrap(tree_as_tar(read_folder(root), root.name)))
            return target

        stack = Stack(tuple(layers), TreeTar(of.member))
        changed = {change: make(place, self.shelf.place(f"{name}~{change}")) for change, place in of.changed.items()}

        def judge(content: bytes) -> bool:
            with tempfile.TemporaryDirectory(prefix="rbg-") as folder, tarfile.open(fileobj=io.BytesIO(content)) as tar:
                tar.extractall(folder, filter="data")
                return of.judge_folder(next(Path(folder).iterdir()))

        return self.shelf.put(name, format=name.split("/")[-1], place=make(of.place, self.shelf.place(name)), shape="file",
                              live=of.live, stack=stack, changed=changed, judge=judge)

    def base(self, kind: str, *arguments: str) -> Specimen:
        """The whole server: tars and a manifest."""
        name = f"postgresql/server/{kind}{self.label}"
        place = self.shelf.place(name)
        self.server.tool("pg_basebackup", "-D", str(place / "base"), "-c", "fast", "-N", *arguments)
        return self.shelf.put(name, format=kind + self.label, place=place, shape="folder", live=self.server.login(),
                              member=member_of_base)


def member_of_directory(name: str) -> Stack:
    # What a large object is, and where it ends, nothing tells.
    core = Opaque(False, formless="blob_" in name)
    return Stack((Gzip(),) if name.endswith(".gz") else (), core)


def member_of_base(name: str) -> Stack:
    # Sums in the manifest cover all files of the tars; a sum of its own covers the manifest.
    return Stack((Gzip(),) if name.endswith(".gz") else (), Opaque(True))


def build(server: PostgreSQL, shelf: Shelf, newest: bool) -> None:
    """Everything of one server. Older versions get a choice."""
    maker, thorough = Maker(server, shelf, newest), shelf.thorough
    pg_restore = server.bin_dir / "pg_restore"
    custom = PgCustom(pg_restore)
    common = COMMON if thorough else ("old copy",) if newest else ()
    every = shelf.choice([*CHANGES, "another database"]) if newest else common

    plain = maker.dump("odd", "plain", suffix=".sql", changes=every, deep=newest)
    maker.dump("odd", "custom", "-Fc", core=custom, suffix=".dump", changes=every)
    if newest or thorough:
        folder = maker.directory("odd", "directory", changes=common)
        maker.dump("odd", "tar", "-Ft", core=TreeTar(member_of_directory), suffix=".tar", changes=common)
    if newest:
        maker.dump("odd", "inserts", "--inserts", suffix=".sql", changes=common, drilled=False)
        maker.dump("odd", "create", "-C", "--clean", "--if-exists", suffix=".sql", changes=common, drilled=False)
        maker.dump("odd", "custom-0", "-Fc", "-Z0", core=PgCustom(pg_restore, checked=False), suffix=".dump",
                   changes=common)
    if newest and thorough:
        maker.directory("odd", "directory-0", "-Z0", changes=common)
        for squeeze in ("lz4", "zstd"):
            if understands(server, squeeze):
                maker.dump("odd", f"custom-{squeeze}", "-Fc", f"--compress={squeeze}",
                           core=PgCustom(pg_restore, checked=False), suffix=".dump", changes=common)
    maker.make_changed()
    if newest or thorough:
        shelf.wrapped(plain, ".gz", (Gzip(),), deep=thorough)
    if not newest:
        return

    for data in ("empty", "one", "medium", "latin", "raw"):
        dump = maker.dump(data, "plain", suffix=".sql", drilled=data != "raw")
        if data in ("empty", "medium") or thorough:
            maker.dump(data, "custom", "-Fc", core=custom, suffix=".dump")
        if data in ("medium", "latin"):
            shelf.wrapped(dump, ".gz", (Gzip(),))
    shelf.wrapped(plain, ".many.gz", (Gzip(5),))
    for layer in (Squeezed(".bz2"), Squeezed(".xz"), Zstd()):
        shelf.wrapped(plain, layer.suffix, (layer,), drilled=False)
    shelf.parts(shelf.wrapped(plain, ".gz.tar", gem("PostgreSQL.sql.gz")), 4)
    maker.as_tar(folder, "postgresql/odd/directory.tar")
    dumpall = maker.dump("all", "dumpall", suffix=".sql", tool="pg_dumpall", drilled=False)
    shelf.wrapped(dumpall, ".gz", (Gzip(),), drilled=False)
    if thorough:
        maker.dump("odd", "no-owner", "--no-owner", "--no-acl", suffix=".sql")
        maker.dump("odd", "many-inserts", "--column-inserts", "--rows-per-insert=100", suffix=".sql")
        maker.dump("odd", "schema", "--schema-only", suffix=".sql", compare="definitions")
        maker.as_tar(folder, "postgresql/odd/directory.tar.gz", (Gzip(),))
        maker.directory("empty", "directory")
        big = maker.dump("big", "plain", suffix=".sql")
        shelf.parts(shelf.wrapped(big, ".gz.tar", gem("PostgreSQL.sql.gz")), 3)
        maker.dump("big", "custom", "-Fc", core=custom, suffix=".dump")


def build_base(server: PostgreSQL, shelf: Shelf, newest: bool) -> None:
    """Copies of the whole server."""
    fill(server, ("odd",))
    maker = Maker(server, shelf, newest)
    maker.base("basebackup.gz", "-Ft", "-z", "-X", "fetch")
    if newest and shelf.thorough:
        maker.base("basebackup", "-Ft", "-X", "fetch")
        maker.base("basebackup-stream.gz", "-Ft", "-z", "-X", "stream")


def understands(server: PostgreSQL, squeeze: str) -> bool:
    """Whether this pg_dump was built with it."""
    try:
        server.tool("pg_dump", "-d", "empty", "-Fc", f"--compress={squeeze}")
    except ServerError as reason:
        if "not support" in str(reason):
            return False
        raise
    return True
