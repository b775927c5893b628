# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Backupman server: a stand-in built from notes on its HTTP API, with nothing of its code.

Every database with SQL is one data source, the stack's name its label. The dumps of PostgreSQL are real ones by
pg_dump, plain SQL; those of MariaDB are INSERT statements by a writer of the sandbox's own. The line at their end is
Backupman's. Of SQLite it is the file.
"""

from __future__ import annotations

import os
import random
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from . import archive, cron
from .calls import Call, Refused, parse_body, parse_query
from .catalogue import Catalogue, Stack
from .clock import Clock, iso, parse_duration
from .engines import SQL_ENGINES, Engines
from .faults import Active
from .reply import JSON, Reply, Slice, as_json
from .scheduler import Scheduler
from .servers import DatabaseError
from .shelf import Record, Shelf, adjusted, check_overrides, fresh_id
from .switches import Switches

FOLDER = "/var/lib/backupman/backups"
DRIVE = "drive-1"
MORE_DRIVES = "/mnt/{drive}/backups"
ZERO = "0001-01-01T00:00:00Z"
DUMPED = (*SQL_ENGINES, "sqlite")
STATUSES = ("pending", "finished", "failed")
_ID = r"(?P<id>[^/]+)"
_PATHS = (
    ("ping", "GET", re.compile(r"/ping")),
    ("health", "GET", re.compile(r"/health")),
    ("list", "GET", re.compile(r"/api/backups")),
    ("create", "POST", re.compile(r"/api/backups")),
    ("download_url", "GET", re.compile(rf"/api/backups/{_ID}/generate-download-url")),
    ("download", "GET", re.compile(rf"/api/backups/{_ID}/download")),
)
_COPY = re.compile(rb"(?<=FROM stdin;\n)(?!\\\.\n).*?(?=^\\\.\n)", re.S | re.M)
_BYTES = re.compile(rb"\\\\x(?:[0-9a-f]{2})*")  # a column of bytes as COPY writes it
_ESCAPE = re.compile(rb"\\(.)", re.S)
# Each route has its own spelling of the same thing.
_SPELLINGS = {"list": "Error", "create": "Error", "download_url": "error", "download": "Error"}


def understand(method: str, path: str, query: str, body: bytes) -> Call:
    for route, verb, pattern in _PATHS:
        match = pattern.fullmatch(path)
        if match and verb == method:
            ids = {name: unquote(value) for name, value in match.groupdict().items()}
            return Call(method, route, ids, parse_query(query), parse_body(body))
    return Call(method, "unknown", {}, parse_query(query), parse_body(body))


def completed(dump: bytes, moment: float) -> bytes:
    """The dump with the line by which a whole one is known."""
    return dump + f"-- Dump completed on {datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M:%S}\n".encode()


def damaged(dump: bytes, how: str) -> bytes:
    r"""What is wrong with a dump of PostgreSQL that is called finished.

    ``backslashes``: none is escaped but those at a value's end, so that C:\new comes back as C:, a line feed and ew,
    without any error. ``trailing_backslash``: nor are those at the end, and take the column after them along.
    ``binary``: bytes as if they were text. The last two do not restore.
    """
    if how not in ("backslashes", "trailing_backslash", "binary"):
        return dump

    def change(rows: re.Match[bytes]) -> bytes:
        return b"\n".join(b"\t".join(_damaged_value(value, how) for value in row.split(b"\t"))
                          for row in rows[0].split(b"\n"))
    return _COPY.sub(change, dump)


def _damaged_value(value: bytes, how: str) -> bytes:
    if _BYTES.fullmatch(value):
        return bytes.fromhex(value[3:].decode()) if how == "binary" else value
    if how == "binary":
        return value
    text = value.rstrip(b"\\")
    end = value[len(text):]
    text = _ESCAPE.sub(lambda pair: b"\\" if pair[1] == b"\\" else pair[0], text)
    return text + (end if how == "backslashes" else end[:len(end) // 2])


class Source(NamedTuple):
    """A database that this server makes dumps of."""

    label: str
    stack: Stack
    engine: str

    @property
    def extension(self) -> str:
        return ".db" if self.engine == "sqlite" else ".sql"


class Backupman:
    name = "backupman"

    def __init__(self, catalogue: Catalogue, clock: Clock, scheduler: Scheduler, engines: Engines, switches: Switches,
                 files: Path, key: str) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._scheduler = scheduler
        self._engines = engines
        self._switches = switches
        self._drive = files / "backupman"
        self._drive.mkdir(exist_ok=True)
        for leftover in self._drive.glob("tmp-*"):
            leftover.unlink()
        self._key = key
        self._backups = Shelf(catalogue, "backupman")
        self._timetable: tuple[str, int] | None = None
        self.base_url = ""
        self.understand = understand

    def owns(self, path: str) -> bool:
        return path in ("/ping", "/health") or path == "/api/backups" or path.startswith("/api/backups/")

    def _switch(self, name: str) -> Any:
        return self._switches.get(self.name, name)

    @property
    def sources(self) -> list[Source]:
        """Each stack's first database that Backupman knows has its name, further ones have the engine's behind it."""
        found = []
        for stack in self._catalogue.stacks():
            engines = [engine for engine in stack.databases if engine in DUMPED]
            found += [Source(stack.name if number == 0 else f"{stack.name}-{engine}", stack, engine)
                      for number, engine in enumerate(engines)]
        return found

    @property
    def labels(self) -> list[str]:
        return [source.label for source in self.sources]

    # -- the API ------------------------------------------------------------------------------------------------

    def token_kind(self, headers: dict[str, str]) -> str:
        given = headers.get("x-api-key")
        return "none" if not given else "admin" if given == self._key else "bad"

    def count(self, _call: Call, _token: str) -> dict[str, str]:
        return {}

    def error(self, status: int, details: str = "", name: str = "", route: str = "list") -> Reply:
        if status == 404:
            return Reply(404, b"404 page not found", {"Content-Type": "text/plain"})
        if status == 401:
            return as_json(401, {"error": "Unauthorized"})
        style = self._switch("error_style")
        if style == "empty":
            return Reply(status, b"", {"Content-Type": JSON})
        spelling = _SPELLINGS.get(route, "Error") if style == "mixed" else style
        return as_json(status, {spelling: details or name or "internal error"})

    def answer(self, call: Call, headers: dict[str, str], token: str, active: Active) -> Reply:
        if call.route == "unknown":
            return self.error(404)
        if call.route == "ping":
            return as_json(200, {"message": "pong"})
        if call.route == "health":
            return as_json(200, self._health())
        if token != "admin" or self._switch("no_key"):
            return self.error(401)
        try:
            if call.route == "list":
                found = [self.present(record) for record in self._backups.all()]
                random.shuffle(found)
                return as_json(200, {"Results": found})
            if call.route == "create":
                self._scheduler.spawn(self._work(self._begin()))
                return as_json(200, {"Message": "Backup started"})
            return self._url(call) if call.route == "download_url" else self._download(call)
        except Refused as refused:
            return refused.reply

    def _refuse(self, call: Call, message: str) -> Refused:
        """Not found is 500 here, like everything else."""
        return Refused(self.error(500, message, route=call.route), message)

    def _health(self) -> Record:
        """Always 200, and every call leaves a file behind in the drive."""
        (self._drive / f"health-{fresh_id()}").write_bytes(b"ok")
        status = "DOWN" if self._switch("down") else "UP"
        return {
            "Version": "0.12.0", "CommitSHA": "sandbox", "BuildDate": ZERO, "Status": status,
            "Details": {
                "Database": {"Status": "UP", "Components": {}},
                "Drives": {"Status": status, "Components": {DRIVE: {"Status": status}}},
                "DataSources": {"Status": "UP", "Components": {label: {"Status": "UP"} for label in self.labels}},
            },
        }

    def _url(self, call: Call) -> Reply:
        record = self._backups.get(call.ids["id"])
        if not record:
            raise self._refuse(call, f"no backup found with id {call.ids['id']}")
        file = next((file for file in on_drives(record) if file["provider"] == "local"), None)
        if not file:
            raise self._refuse(call, f"no valid drive found for backup {record['id']}")
        base = self._switch("app_url") or self.base_url
        return as_json(200, {"Url": f"{base.rstrip('/')}/api/backups/{file['id']}/download"})

    def _download(self, call: Call) -> Reply:
        number = call.ids["id"]
        files = (file for record in self._backups.all() for file in on_drives(record))
        file = next((file for file in files if file["id"] == number), None)
        if not file:
            raise self._refuse(call, f"no drive files found with id {number}")
        if file["status"] != "finished":
            raise self._refuse(call, f"drive file {number} is not finished")
        path = self._drive / file["name"]
        if file["provider"] != "local" or not path.exists():
            raise self._refuse(call, f"failed to read file {place_of(file)}: no such file or directory")
        return Reply(200, Slice(path, 0, path.stat().st_size), {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{file["name"]}"'})

    # -- records ------------------------------------------------------------------------------------------------

    def _times(self, record: Record) -> Record:
        """What has no time is not null. A server that keeps its records in memory sets none at all."""
        created, updated = record["created_at"], record["updated_at"]
        if self._switch("in_memory"):
            created = updated = None
        return {"CreatedAt": iso(created) if created else ZERO, "UpdatedAt": iso(updated) if updated else ZERO}

    def present(self, record: Record) -> Record:
        files: list[Record] | None = {"phantom": [_PHANTOM], "null": None, "empty": []}[self._switch("no_files")]
        if record["file"]:
            files = [{"Id": file["id"], "BackupId": record["id"], "Provider": file["provider"],
                      "Label": file.get("drive", DRIVE), "Path": place_of(file), "Status": file["status"],
                      **self._times(file)} for file in on_drives(record)]
        kept = record["status"] != "finished" or self._switch("dump_path") == "kept"
        shown = {"Id": record["id"], "Status": record["status"], "Label": record["label"],
                 "DumpPath": record["dump_path"] if kept else "", **self._times(record), "DriveFiles": files}
        if record.get("synthetic"):
            shown["Synthetic"] = True
        return adjusted(shown, record.get("overrides"))

    # -- backups ------------------------------------------------------------------------------------------------

    def _begin(self, labels: list[str] | None = None) -> list[tuple[Source, Record]]:
        """A pending record for each source. Files are named after the second alone: by the service's own rule all
        sources of a run could share one. Without the switch ``collision`` the sandbox lets each take another second."""
        moment = int(self._clock.seconds())
        taken = {record["stamp"] for record in self._backups.all()}
        begun = []
        for source in self.sources:
            if labels is not None and source.label not in labels:
                continue
            started = moment
            while not self._switch("collision") and stamp(started) in taken:
                started += 1
            taken.add(stamp(started))
            begun.append((source, {
                "id": fresh_id(), "label": source.label, "status": "pending", "stamp": stamp(started), "file": None,
                "dump_path": f"/tmp/backupman/{stamp(started)}{source.extension}", "created_at": started,
                "updated_at": None}))
        self._backups.put(*(record for _source, record in begun))
        return begun

    async def _work(self, begun: list[tuple[Source, Record]], status: str = "finished") -> None:
        killed = status == "pending" or self._switch("pending")
        for source, record in begun:
            outcome = status
            if status == "finished" or killed:
                try:
                    await self._scheduler.at_work(self._write, source, self._scratch(record))
                    if killed:  # in the middle of the first one: the others have not begun
                        self._break_off(record)
                        return
                    self._keep(source, record)
                except DatabaseError:
                    outcome = "failed"
            # Nobody keeps a word about why it failed.
            record.update(status=outcome, updated_at=max(record["created_at"], int(self._clock.seconds())))
            self._backups.put(record)

    def _scratch(self, record: Record) -> Path:
        return self._drive / f"tmp-{record['id']}"

    def _write(self, source: Source, target: Path) -> None:
        """The dump, with the damage that is asked for."""
        damage, database = self._switch("damage"), source.stack.database
        try:
            if source.engine == "sqlite":
                self._engines.sqlite.dump(database, target)
            elif source.engine == "mysql":
                self._engines.mariadb.dump_by_inserts(database, target, damage)
                target.write_bytes(completed(target.read_bytes(), self._clock.seconds()))
            else:
                self._engines.postgres.dump(database, target, False)
                target.write_bytes(completed(damaged(target.read_bytes(), damage), self._clock.seconds()))
            if damage == "cut":
                os.truncate(target, target.stat().st_size // 2)
        except DatabaseError:
            target.unlink(missing_ok=True)
            raise

    def _break_off(self, record: Record) -> None:
        """What a killed server leaves: half a dump at a place that no API shows, and a record that never ends."""
        scratch = self._scratch(record)
        os.truncate(scratch, scratch.stat().st_size // 2)
        scratch.rename(self._partial(record))

    def _partial(self, record: Record) -> Path:
        return self._drive / f"killed-{record['id']}"

    def _keep(self, source: Source, record: Record) -> None:
        name = f"{record['stamp']}{source.extension}"
        self._scratch(record).rename(self._drive / name)
        done = max(record["created_at"], int(self._clock.seconds()))
        record["file"] = {
            "id": fresh_id(), "name": name, "provider": self._switch("provider"),
            "status": self._switch("drive_status"), "created_at": record["created_at"], "updated_at": done}
        # Every drive gets the whole dump.
        record["copies"] = [{**record["file"], "id": fresh_id(), "drive": f"drive-{number}", "provider": "local"}
                            for number in range(2, int(self._switch("drives")) + 1)]
        if self._switch("lose_files"):
            (self._drive / name).unlink()

    # -- time: the one cron of the server -----------------------------------------------------------------------

    def next_run(self) -> int | None:
        expression = self._switch("cron")
        if not expression:
            self._timetable = None
            return None
        if not self._timetable or self._timetable[0] != expression:
            self._timetable = (expression, cron.next_run(expression, self._clock.seconds()))
        return self._timetable[1]

    async def run(self, moment: int) -> int:
        begun = self._begin()
        await self._work(begun)
        self._timetable = (self._switch("cron"), cron.next_run(self._switch("cron"), moment))
        return len(begun)

    def runs(self, until: float, limit: int) -> int:
        found, moment = 0, self.next_run()
        while moment is not None and moment <= until and found <= limit:
            found += len(self.labels)
            moment = cron.next_run(self._switch("cron"), moment)
        return found

    # -- made to order ------------------------------------------------------------------------------------------

    async def take(self, body: Record) -> Record:
        """A run now, waited for: of all sources or of ``labels``; ``status`` says how it ends."""
        labels, status = body.get("labels"), body.get("status", "finished")
        if status not in STATUSES or set(labels or ()) - set(self.labels):
            raise ValueError(f"status is one of {', '.join(STATUSES)}, labels are of {', '.join(self.labels)}")
        begun = self._begin(labels)
        await self._work(begun, status)
        return {"ids": [record["id"] for _stack, record in begun]}

    def synthetic(self, body: Record) -> Record:
        """Records without files, one ``every`` so much time up to now; ``record`` is put over each."""
        count, every = int(body.get("count", 100)), parse_duration(body.get("every", "1h")).total_seconds()
        now, records = self._clock.seconds(), []
        for number in range(count):
            moment = int(now - every * (count - 1 - number))
            records.append({
                "id": fresh_id(), "label": body.get("label", self.labels[0]), "status": "finished", "synthetic": True,
                "stamp": f"synthetic-{stamp(moment)}", "dump_path": "", "created_at": moment, "updated_at": moment,
                "overrides": {"set": body.get("record", {})}, "file": {
                    "id": fresh_id(), "name": f"synthetic-{number}-{stamp(moment)}.sql", "provider": "local",
                    "status": "finished", "created_at": moment, "updated_at": moment}})
        self._backups.put(*records)
        return {"count": count, "ids": [record["id"] for record in records]}

    def _path(self, record: Record) -> Path | None:
        path = self._drive / record["file"]["name"] if record["file"] else None
        return path if path and path.exists() else None

    def facts(self, number: str) -> Record:
        record, path = self._record(number), self._path(self._record(number))
        return {"id": number, "record": self.present(record), "path": str(path) if path else None,
                "partial": str(self._partial(record)) if self._partial(record).exists() else None,
                "file_id": record["file"]["id"] if record["file"] else None,
                "size": path.stat().st_size if path else None,
                "sha256": archive.digest(path, algorithm="sha256") if path else None}

    def _record(self, number: str) -> Record:
        record = self._backups.get(number)
        if not record:
            raise KeyError(f"no backup {number}")
        return record

    def change(self, number: str, body: Record) -> Record:
        record = self._record(number)
        record["overrides"] = check_overrides(body)
        self._backups.put(record)
        return self.facts(number)

    def lose(self, number: str) -> Record:
        """Remove the file and leave the record."""
        path = self._path(self._record(number))
        if path:
            path.unlink()
        return {"lost": str(path) if path else None}

    def delete(self, number: str) -> Record:
        self.lose(number)
        self._partial(self._record(number)).unlink(missing_ok=True)
        self._backups.drop(number)
        return {"deleted": number}

    def clear(self) -> None:
        for record in self._backups.all():
            self.delete(record["id"])

    def state(self) -> Record:
        moment = self.next_run()
        return {"labels": self.labels, "backups": len(self._backups), "next_run": iso(moment) if moment else None,
                "junk": len(list(self._drive.glob("health-*")))}


_PHANTOM = {"Id": "", "BackupId": "", "Provider": "", "Label": "", "Path": "", "Status": "", "CreatedAt": ZERO,
            "UpdatedAt": ZERO}


def on_drives(record: Record) -> list[Record]:
    """The files of a backup: one and the same dump, once for each drive."""
    return [record["file"], *record.get("copies", ())] if record["file"] else []


def place_of(file: Record) -> str:
    folder = MORE_DRIVES.format(drive=file["drive"]) if "drive" in file else FOLDER
    return f"{folder}/{file['name']}"


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y%m%d%H%M%S")
