# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines that the stacks have, each started only when one of them needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from .databases import Postgres, find_programs
from .mariadb import MariaDB
from .mongodb import MongoDB
from .redis import Redis
from .servers import Database
from .sqlite import SQLite

ENGINES = ("postgresql", "mysql", "redis", "mongodb", "sqlite")
# What the services make plain dumps of by a program or writer of their own.
SQL_ENGINES = ("postgresql", "mysql")


class Engines:
    def __init__(self, home: Path, pg_bin: str | None, admin: str, password: str) -> None:
        self._makers: dict[str, Callable[[], Database]] = {
            "postgresql": lambda: Postgres(home, find_programs(pg_bin), password),
            "mysql": lambda: MariaDB(home, password),
            "redis": lambda: Redis(home, admin, password),
            "mongodb": lambda: MongoDB(home, admin, password),
            "sqlite": lambda: SQLite(home),
        }
        self._running: dict[str, Database] = {}
        self._wanted: dict[str, list[str]] = {}

    def start(self, databases: dict[str, list[str]]) -> None:
        """``databases``: the names of each engine. From the main thread: servers end with the thread they come from."""
        self._wanted = databases
        for engine, names in databases.items():
            self._running[engine] = self._makers[engine]()
            self._running[engine].start(names)

    def ensure(self) -> None:
        """Create and fill the databases that are missing."""
        for engine, names in self._wanted.items():
            self._running[engine].ensure(names)

    def stop(self) -> None:
        for database in self._running.values():
            database.stop()

    def of(self, engine: str) -> Database:
        return self._running[engine]

    @property
    def postgres(self) -> Postgres:
        found = self._running["postgresql"]
        assert isinstance(found, Postgres)
        return found

    @property
    def mariadb(self) -> MariaDB:
        found = self._running["mysql"]
        assert isinstance(found, MariaDB)
        return found

    @property
    def sqlite(self) -> SQLite:
        found = self._running["sqlite"]
        assert isinstance(found, SQLite)
        return found
