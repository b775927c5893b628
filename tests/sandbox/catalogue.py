# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service remembers: stacks, tasks and backups, in a file that survives a restart and a kill."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterable, NamedTuple

from .archive import ENGINE_CLASSES, Part
from .clock import iso
from .servers import DatabaseError

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
-- Columns in the order of the classes below.
CREATE TABLE IF NOT EXISTS stacks (
    uid TEXT PRIMARY KEY, name TEXT, environment TEXT, account INTEGER, engine TEXT, database TEXT, running BOOLEAN);
CREATE TABLE IF NOT EXISTS groups (id INTEGER PRIMARY KEY AUTOINCREMENT, stack TEXT);
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stack TEXT, group_id INTEGER, db_type TEXT, storage_trigger TEXT,
    frequency TEXT, next_run INTEGER, keep_count INTEGER, gzip BOOLEAN, excluded_tables TEXT, replica BOOLEAN,
    logical BOOLEAN, created_at INTEGER, request TEXT);
CREATE TABLE IF NOT EXISTS backups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stack TEXT, task INTEGER, group_id INTEGER, db_type TEXT, kind TEXT,
    taken_at INTEGER, storage_path TEXT UNIQUE, record TEXT, overrides TEXT, archive TEXT, size INTEGER, parts TEXT);
CREATE TABLE IF NOT EXISTS shelf (
    position INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, id TEXT, record TEXT, UNIQUE (kind, id));
CREATE INDEX IF NOT EXISTS backups_of_stack ON backups (stack, taken_at, id);
CREATE INDEX IF NOT EXISTS backups_of_task ON backups (task, taken_at, id);
"""
FIRST_IDS = {"groups": 40, "tasks": 0, "backups": 1200}


def identity(*words: str) -> str:
    """A hex id that is the same for the same words, so that a stack keeps its uid in every sandbox."""
    return hashlib.md5(":".join(("restorable sandbox", *words)).encode(), usedforsecurity=False).hexdigest()


class Stack(NamedTuple):
    uid: str
    name: str
    environment: str
    account: int
    all_engines: str  # joined by +
    database: str
    running: bool

    @property
    def databases(self) -> tuple[str, ...]:
        """Every engine that it has."""
        return tuple(self.all_engines.split("+"))

    @property
    def engine(self) -> str:
        return self.databases[0]

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that Cloud 66 makes backups of."""
        return tuple(engine for engine in self.databases if engine in ENGINE_CLASSES)

    @property
    def server_uid(self) -> str:
        return identity("server", self.uid)

    @property
    def prefix(self) -> str:
        return f"{identity('bucket', self.uid)}/backups/{identity('folder', self.uid)}"


class Task(NamedTuple):
    """A standing order for one engine. Without ``frequency`` it never runs by itself: what imports belong to."""

    id: int
    stack: str
    group_id: int
    db_type: str
    storage_trigger: str
    frequency: str | None
    next_run: int | None
    keep_count: int
    gzip: bool
    excluded_tables: str
    replica: bool
    logical: bool
    created_at: int
    request: str

    @property
    def excluded(self) -> list[str]:
        return [name.strip() for name in self.excluded_tables.split(",") if name.strip()]


class Backup(NamedTuple):
    id: int
    stack: str
    task: int | None
    group_id: int
    db_type: str
    kind: str
    taken_at: int
    storage_path: str
    record: str
    overrides: str | None
    archive: str | None
    size: int
    parts: str

    @property
    def files(self) -> list[Part]:
        return [Part(*values) for values in json.loads(self.parts)]

    @property
    def trigger(self) -> str:
        return self.storage_path.split("/")[-2]

    def file_name(self, part_id: str) -> str:
        return f"{self.trigger}.{part_id}"

    def present(self, sizes: bool) -> dict[str, Any]:
        """The record as the API shows it: in every known sample the size is 0."""
        record = {"id": self.id, **json.loads(self.record), "backup_size": self.size if sizes else 0}
        if self.overrides:
            overrides = json.loads(self.overrides)
            record.update(overrides.get("set", {}))
            for name in overrides.get("drop", ()):
                record.pop(name, None)
        return record


sqlite3.register_converter("BOOLEAN", lambda value: value != b"0")


class Catalogue:
    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES)
        self._totals: dict[str, int] = {}
        # No fsync: what has been committed survives the death of this process, which is all that is promised.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + SCHEMA)
        for table, last in FIRST_IDS.items():
            self._db.execute("INSERT INTO sqlite_sequence (name, seq) SELECT ?, ? WHERE NOT EXISTS"
                             " (SELECT 1 FROM sqlite_sequence WHERE name = ?)", (table, last, table))

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN")
        return self._db

    def __exit__(self, kind: type | None, *_rest: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")

    def _all(self, cls: type, sql: str, *values: Any) -> list[Any]:
        return [cls(*row) for row in self._db.execute(sql, values)]

    def _one(self, cls: type, sql: str, *values: Any) -> Any | None:
        found = self._all(cls, sql, *values)
        return found[0] if found else None

    # -- small values -------------------------------------------------------------------------------------------

    def recall(self, key: str, default: Any = None) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def remember(self, key: str, value: Any) -> None:
        self._db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                         (key, json.dumps(value)))

    # -- records of other services ------------------------------------------------------------------------------

    def shelved(self, kind: str) -> list[dict[str, Any]]:
        rows = self._db.execute("SELECT record FROM shelf WHERE kind = ? ORDER BY position", (kind,))
        return [json.loads(row[0]) for row in rows]

    def shelve(self, kind: str, records: Iterable[dict[str, Any]]) -> None:
        with self as db:
            db.executemany("INSERT INTO shelf (kind, id, record) VALUES (?, ?, ?)"
                           " ON CONFLICT (kind, id) DO UPDATE SET record = excluded.record",
                           [(kind, record["id"], json.dumps(record)) for record in records])

    def unshelve(self, kind: str, record_id: str) -> None:
        self._db.execute("DELETE FROM shelf WHERE kind = ? AND id = ?", (kind, record_id))

    # -- stacks and groups --------------------------------------------------------------------------------------

    def add_stack(self, name: str, environment: str, account: int, engines: tuple[str, ...]) -> None:
        """A new stack owns a group with an unscheduled job, so that there is something to import into."""
        uid = identity("stack", name, environment)
        self._db.execute("INSERT INTO stacks VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING",
                         (uid, name, environment, account, "+".join(engines), name))
        stack = self.stack(uid)
        if stack and stack.databases != engines:
            raise DatabaseError(f"in this home the stack {name} has {stack.all_engines}, not {'+'.join(engines)}: "
                                "keep that, or take another home")
        if stack and not self.groups(uid):
            self.add_group(stack, {}, None, int(time.time()))

    def stack(self, uid: str) -> Stack | None:
        return self._one(Stack, "SELECT * FROM stacks WHERE uid = ?", uid)

    def stacks(self) -> list[Stack]:
        return self._all(Stack, "SELECT * FROM stacks ORDER BY rowid")

    def set_running(self, uid: str, running: bool) -> None:
        self._db.execute("UPDATE stacks SET running = ? WHERE uid = ?", (running, uid))

    def groups(self, uid: str) -> list[int]:
        return [row[0] for row in self._db.execute("SELECT id FROM groups WHERE stack = ? ORDER BY id", (uid,))]

    # -- tasks --------------------------------------------------------------------------------------------------

    def add_group(self, stack: Stack, options: dict[str, Any], next_run: int | None, now: int,
                  engines: tuple[str, ...] | None = None) -> int:
        """A group with one task for each engine, each with a storage folder of its own."""
        with self as db:
            group = db.execute("INSERT INTO groups (stack) VALUES (?)", (stack.uid,)).lastrowid or 0
            for engine in stack.engines if engines is None else engines:
                db.execute(
                    "INSERT INTO tasks (stack, group_id, db_type, storage_trigger, frequency, next_run, keep_count,"
                    " gzip, excluded_tables, replica, logical, created_at, request)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (stack.uid, group, engine, secrets.token_hex(6), options.get("frequency"), next_run,
                     options.get("keep_count", 100), options.get("gzip", True), options.get("excluded_tables", ""),
                     options.get("replica", True), options.get("logical", True), now,
                     json.dumps(options.get("request"))))
        return group

    def tasks(self, uid: str | None = None) -> list[Task]:
        return self._all(Task, "SELECT * FROM tasks WHERE stack = coalesce(?, stack) ORDER BY id", uid)

    def task(self, task_id: int) -> Task | None:
        return self._one(Task, "SELECT * FROM tasks WHERE id = ?", task_id)

    def due(self, until: float) -> list[Task]:
        return self._all(Task, "SELECT t.* FROM tasks t JOIN stacks s ON s.uid = t.stack"
                               " WHERE s.running AND t.next_run <= ? ORDER BY t.next_run, t.id", until)

    def set_next_run(self, task_id: int, next_run: int) -> None:
        self._db.execute("UPDATE tasks SET next_run = ? WHERE id = ?", (next_run, task_id))

    # -- backups ------------------------------------------------------------------------------------------------

    def free_path(self, folder: str, taken_at: int) -> tuple[str, int]:
        """A storage path that no other backup has, moved by seconds where two fall into the same one."""
        while True:
            path = f"{folder}/{datetime.fromtimestamp(taken_at, timezone.utc):%Y.%m.%d.%H.%M.%S}"
            if not self._db.execute("SELECT 1 FROM backups WHERE storage_path = ?", (path,)).fetchone():
                return path, taken_at
            taken_at += 1

    def add_backups(self, stack: Stack, entries: list[dict[str, Any]]) -> list[int]:
        """Each entry: kind, db_type, group, folder, taken_at; optional task, logical, skip_tables, failure, archive,
        size, parts, extra."""
        ids = []
        self._totals.clear()
        with self as db:
            for entry in entries:
                path, taken_at = self.free_path(entry["folder"], int(entry["taken_at"]))
                finished = max(int(entry.get("finished_at", taken_at)), taken_at)
                trigger = path.split("/")[-2]
                record = {
                    "server_uid": stack.server_uid,
                    "db_type": entry["db_type"],
                    "database_name": "" if entry["db_type"] == "redis" else entry.get("database", stack.database),
                    "file_base": trigger,
                    "file_name": f"{trigger}.tar",
                    "backup_date_iso": iso(taken_at),
                    "backup_status": 1 if entry.get("failure") else 0,
                    "backup_result": entry.get("failure") or None,
                    "restore_status": 0,
                    "restore_result": None,
                    "verify_status": 0,
                    "verify_result": None,
                    "created_at_iso": iso(finished),
                    "updated_at_iso": iso(finished),
                    "storage_path": path,
                    "skip_tables": entry.get("skip_tables") or None,
                    "logical_backup": entry.get("logical", True),
                    **entry.get("extra", {}),
                }
                cursor = db.execute(
                    "INSERT INTO backups (stack, task, group_id, db_type, kind, taken_at, storage_path, record,"
                    " archive, size, parts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (stack.uid, entry.get("task"), entry["group"], entry["db_type"], entry["kind"], taken_at, path,
                     json.dumps(record), entry.get("archive"), entry.get("size", 0),
                     json.dumps(entry.get("parts", []))))
                ids.append(cursor.lastrowid or 0)
        return ids

    def backup(self, backup_id: int, uid: str | None = None) -> Backup | None:
        return self._one(Backup, "SELECT * FROM backups WHERE id = ? AND stack = coalesce(?, stack)", backup_id, uid)

    def backup_at(self, storage_path: str) -> Backup | None:
        return self._one(Backup, "SELECT * FROM backups WHERE storage_path = ?", storage_path)

    def backups(self, uid: str, group: int | None = None, db_type: str | None = None, start: int = 0,
                stop: int | None = None) -> tuple[list[Backup], int]:
        """A stretch of a stack's backups, newest first, and how many there are in all."""
        where = "stack = ?"
        values: list[Any] = [uid]
        for column, value in (("group_id", group), ("db_type", db_type)):
            if value is not None:
                where += f" AND {column} = ?"
                values.append(value)
        key = str((where, values))
        if key not in self._totals:
            count = self._db.execute(f"SELECT count(*) FROM backups WHERE {where}", values)
            self._totals[key] = count.fetchone()[0]
        limit = -1 if stop is None else stop - start
        found = self._all(Backup, f"SELECT * FROM backups WHERE {where} ORDER BY taken_at DESC, id DESC"
                                  " LIMIT ? OFFSET ?", *values, limit, start)
        return found, self._totals[key]

    def override(self, backup_id: int, overrides: dict[str, Any] | None) -> None:
        self._db.execute("UPDATE backups SET overrides = ? WHERE id = ?",
                         (json.dumps(overrides) if overrides else None, backup_id))

    def prune(self, task_id: int, keep: int) -> list[Backup]:
        """Forget all but the newest ``keep`` backups of a task; answer what was forgotten."""
        gone = self._all(Backup, "SELECT * FROM backups WHERE task = ? AND kind = 'dump'"
                                 " ORDER BY taken_at DESC, id DESC LIMIT -1 OFFSET ?", task_id, keep)
        for backup in gone:
            self.delete(backup.id)
        return gone

    def delete(self, backup_id: int) -> None:
        self._totals.clear()
        self._db.execute("DELETE FROM backups WHERE id = ?", (backup_id,))
