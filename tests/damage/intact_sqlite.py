# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Intact SQLite files, as Backupman hands them out: copies of the database by SQLite itself."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from .shapes import Gzip, Sqlite, Stack
from .specimen import DATA, Shelf

MEDIUM = "".join(
    f"CREATE TABLE t{number:02} (id INTEGER PRIMARY KEY, name TEXT, amount REAL);"
    f"INSERT INTO t{number:02} WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {20 + 53 * number})"
    f" SELECT n, 'name ' || n * {number}, n * 1.25 FROM n; CREATE INDEX i{number:02} ON t{number:02} (name);"
    for number in range(50))
BIG = ("CREATE TABLE wide (id INTEGER PRIMARY KEY, t TEXT);"
       "INSERT INTO wide WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 900000)"
       " SELECT n, printf('%032d', n) || hex(zeroblob(90)) FROM n;")
ONE = "CREATE TABLE single (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO single VALUES (1, 'one');"
ODD = (DATA / "sqlite-odd.sql").read_text(encoding="utf-8")

CHANGES = {
    "rows missing": 'DELETE FROM "order" WHERE id = 17',
    "table missing": 'DROP TABLE "наименования"',
    "text changed": """UPDATE "we ""ird" SET "semi;colon" = 'a;B' WHERE "semi;colon" = 'a;b'""",
    "bytes changed": "UPDATE bytes SET b = x'5c00ff0d0a28' WHERE id = 101",
    "old copy": 'DELETE FROM "order" WHERE id > 380; DROP TABLE bytes',
    "type changed": "UPDATE bytes SET b = '' WHERE id = 100",
    "view missing": "DROP VIEW cheap",
    "index missing": "DROP INDEX once",
    "trigger missing": "DROP TRIGGER stamp",
}
# Pragmas before the first table: sizes of pages, encodings, and what keeps more in the file.
SETTINGS = {
    "": "", "-utf16": "PRAGMA encoding = 'UTF-16le';", "-pages-512": "PRAGMA page_size = 512;",
    "-pages-64k": "PRAGMA page_size = 65536;", "-vacuum": "PRAGMA auto_vacuum = FULL;",
}


def copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as base, closing(sqlite3.connect(target)) as other:
        base.backup(other)


def build(live: Path, shelf: Shelf) -> None:
    live.mkdir()
    data = {"empty": "CREATE TABLE t (x); DROP TABLE t; ", "one": ONE, "odd": ODD, "medium": MEDIUM}
    if shelf.thorough:
        data["big"] = BIG
    for name, script in data.items():
        for suffix, settings in SETTINGS.items() if name == "odd" else (("", ""),):
            source = live / f"{name}{suffix}.db"
            with closing(sqlite3.connect(source)) as base:
                base.executescript(settings + script)
            _put(shelf, name, suffix, source)


def _put(shelf: Shelf, name: str, suffix: str, source: Path) -> None:
    where = f"sqlite/{name}/db{suffix}"
    place = shelf.place(where)
    file = f"{name}.db"
    copy(source, place / file)
    changed = {}
    for change in shelf.choice(CHANGES) if name == "odd" and not suffix else ():
        changed[change] = shelf.place(f"{where}~{change}")
        copy(source, changed[change] / file)
        with closing(sqlite3.connect(changed[change] / file)) as base:
            base.executescript(CHANGES[change])
    if name == "odd" and not suffix:
        changed["another database"] = shelf.place(f"{where}~another database")
        shutil.copyfile(source.with_name("one.db"), changed["another database"] / file)
    made = shelf.put(where, format=f"db{suffix}", place=place, shape="file", live={"database": str(source)},
                     stack=Stack((), Sqlite()), changed=changed, deep=True)
    if name == "odd" and not suffix:
        shelf.wrapped(made, ".gz", (Gzip(),))
