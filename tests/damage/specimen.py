# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One intact backup on disk, and what is known of it."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .shapes import GemTar, Gzip, Stack, Tree, read_folder, write_folder

DATA = Path(__file__).with_name("data")
FIRST = ("rows missing", "table missing", "text changed", "backslash lost", "old copy", "another database", "database missing",
         "large object changed", "sequence behind", "view missing", "default changed", "trigger missing", "type changed",
         "index missing", "expiry lost")
# Who may make databases on our own servers.
ADMINS = {"postgresql": "postgres", "mysql": "root", "mongodb": None}


@dataclass(frozen=True)
class Specimen:
    """A backup by the real tools, beside the live data that it was made of.

    ``place`` is a folder that holds nothing but this backup's files. ``shape`` says what is handed over: ``file`` the
    one file, ``parts`` all files in the order of their names, ``folder`` the one folder in it.
    """

    name: str  # unique: engine/data/format
    engine: str
    format: str  # the row of the table
    data: str  # the data set
    place: Path
    shape: str
    live: dict[str, Any] | None  # how to reach what it was made of
    stack: Stack | None = None  # of the file, of all parts together, or None for a folder
    member: Callable[[str], Stack] | None = None  # the stack of each file of a folder
    parents: tuple[Path, ...] = ()  # what an incremental one builds on, oldest first
    # Backups that the same tool made in the same way of other data: what happened to the data, and where the backup is.
    changed: Mapping[str, Path] = field(default_factory=dict)
    # Restores the innermost content with the engine's own tools, and says whether a dump of that is one of the live data.
    judge: Callable[[bytes], bool] | None = None
    judge_folder: Callable[[Path], bool] | None = None  # the same of a folder
    compare: str = "checksum"  # what of the live database it can be held to
    names_its_database: bool = False  # a dump that makes the database that it goes to
    # How deep the damage goes: every layer, or only the outermost, where the inner ones are those of another specimen.
    deep: bool = False
    drilled: bool = True  # in the bounded form too
    weight: int = 0  # bytes

    @property
    def root(self) -> Path:
        """The folder that is the backup, where it is one."""
        return next(path for path in self.place.iterdir() if path.is_dir())

    @property
    def beside(self) -> dict[str, Any] | None:
        """A login to the live server, for who restores into a new database beside the live one: no server to start."""
        if self.engine not in ADMINS or self.names_its_database or not self.live or not self.live["database"]:
            return None
        if self.live["user"] != ADMINS[self.engine]:
            return None
        return {**self.live, "database": "postgres" if self.engine == "postgresql" else None}

    def paths(self, place: Path | None = None) -> list[Path]:
        """What verify and drill are given, there or in another place with the same layout."""
        return sorted((place or self.place).iterdir())

    def tree(self) -> Tree:
        """The files by their paths: below the folder, or beside each other."""
        return read_folder(self.root if self.shape == "folder" else self.place)

    def stream(self) -> bytes:
        """The bytes of the file, or of all parts in their order."""
        return b"".join(path.read_bytes() for path in self.paths())

    def lay(self, place: Path, tree: Tree) -> None:
        """Write files to another place, so that ``paths(place)`` are what is handed over."""
        write_folder(place / self.root.name if self.shape == "folder" else place, tree)


class Shelf:
    """Takes the backups that builders make, each in a place of its own below ``home``."""

    def __init__(self, home: Path, thorough: bool) -> None:
        self.home = home
        self.thorough = thorough
        self.specimens: list[Specimen] = []

    def choice(self, changes: Iterable[str]) -> tuple[str, ...]:
        """Which changes of the data there is time for: the bounded form takes the first of each kind."""
        return tuple(change for change in changes if self.thorough or change in FIRST)

    def place(self, name: str) -> Path:
        """A new empty folder for the files of one backup."""
        folder = self.home / re.sub(r"[^A-Za-z0-9.+-]+", "_", name)
        folder.mkdir(parents=True)
        return folder

    def put(self, name: str, **facts: Any) -> Specimen:
        engine, data, *_rest = name.split("/")
        facts["changed"] = facts.get("changed") or {}
        made = Specimen(name=name, engine=engine, data=data, **facts)
        made = replace(made, weight=sum(path.stat().st_size for path in made.place.rglob("*") if path.is_file()))
        self.specimens.append(made)
        return made

    def wrapped(self, of: Specimen, suffix: str, layers: tuple[Any, ...], **facts: Any) -> Specimen:
        """The same dump, and what was made of changed data in the same way, with layers around it."""
        stack = Stack(layers, of.stack.core)
        changed = {}
        for change, place in of.changed.items():
            # In the bounded form only one: what is inside was shown without the layers.
            if not self.thorough and change != "old copy":
                continue
            changed[change] = self.place(f"{of.name}{suffix}~{change}")
            (changed[change] / file_name(of, suffix)).write_bytes(stack.wrap(unwrapped(of, place)))
        place = self.place(of.name + suffix)
        (place / file_name(of, suffix)).write_bytes(stack.wrap(unwrapped(of, of.place)))
        return self.put(of.name + suffix, format=of.format + suffix, place=place, shape="file", live=of.live, stack=stack,
                        changed=changed, judge=of.judge,
                        names_its_database=of.names_its_database, **facts)

    def parts(self, of: Specimen, count: int, **facts: Any) -> Specimen:
        """The same file cut into parts ``tar-aa``, ``tar-ab``, ..., as the service hands them out."""
        def cut(source: Path, target: Path) -> Path:
            data = source.read_bytes()
            for name, piece in zip(suffixes(), pieces(data, count)):
                (target / f"tar-{name}").write_bytes(piece)
            return target

        changed = {change: cut(of.paths(place)[0], self.place(f"{of.name}.parts~{change}"))
                   for change, place in of.changed.items()}
        place = cut(of.paths()[0], self.place(of.name + ".parts"))
        return self.put(of.name + ".parts", format=of.format + ".parts", place=place, shape="parts", live=of.live,
                        stack=of.stack, changed=changed, judge=of.judge,
                        names_its_database=of.names_its_database, **facts)


def unwrapped(of: Specimen, place: Path) -> bytes:
    return of.stack.levels(of.paths(place)[0].read_bytes())[-1]


def file_name(of: Specimen, suffix: str) -> str:
    """``order.sql`` and ``.gz`` give ``order.sql.gz``; a tar has the name by which the service hands it out."""
    return "tar" if suffix.endswith(".tar") else of.paths()[0].name + suffix.replace(".many", "")


def pieces(data: bytes, count: int) -> list[bytes]:
    size = -(-len(data) // count)
    return [data[start:start + size] for start in range(0, len(data), size)]


def suffixes() -> Iterator[str]:
    """aa, ab, ..., az, ba, ..."""
    return (one + two for one in string.ascii_lowercase for two in string.ascii_lowercase)


def gem(name: str, *inner: Any) -> tuple[Any, ...]:
    """The backup gem's tar around gzip around what follows."""
    return (GemTar(name), Gzip(), *inner)
