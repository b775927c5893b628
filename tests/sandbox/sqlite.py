# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite databases, one file per stack: what Backupman knows beside servers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from .servers import Order, seed_of

SAMPLE = Path(__file__).with_name("sample_sqlite.sql")


class SQLite:
    def __init__(self, home: Path) -> None:
        self._folder = home / "sqlite"

    def start(self, _names: list[str]) -> None:
        self._folder.mkdir(exist_ok=True)

    def stop(self) -> None:
        """There is no server."""

    def _path(self, database: str) -> Path:
        return self._folder / f"{database}.db"

    def _open(self, database: str) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._path(database), timeout=30))

    def login(self, database: str) -> dict[str, Any]:
        return {"database": str(self._path(database))}

    def ensure(self, names: list[str]) -> None:
        for name in names:
            if not self._path(name).exists():
                draft = self._folder / f"tmp-{name}"
                draft.unlink(missing_ok=True)
                with closing(sqlite3.connect(draft)) as link:
                    link.executescript(SAMPLE.read_text().replace(":seed", str(seed_of(name))))
                draft.rename(self._path(name))

    def query(self, database: str, sql: str) -> str:
        with self._open(database) as link:
            with link:
                rows = link.execute(sql).fetchall()
        return "\n".join("\t".join("" if value is None else str(value) for value in row) for row in rows)

    def command(self, database: str, body: dict[str, Any]) -> Any:
        raise ValueError("SQLite takes SQL")

    def tables(self, database: str) -> dict[str, int]:
        with self._open(database) as link:
            names = [name for name, in link.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
            return {name: link.execute('SELECT count(*) FROM "{}"'.format(name.replace('"', '""'))).fetchone()[0]
                    for name in names}

    def dump(self, database: str, target: Path) -> None:
        """The file as it is at one moment, whoever writes to it meanwhile."""
        with self._open(database) as link, closing(sqlite3.connect(target)) as copy:
            link.backup(copy)

    def back_up(self, database: str, scratch: Path, order: Order) -> tuple[Path, str]:
        raise ValueError("the backup gem is not asked for SQLite here")
