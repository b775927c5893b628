# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.client import Sandbox

from ..proxy import as_json
from .base import HOUR, WRONG, Adapter, Held, Shape, Shown, Write, ago, iso

STATUS = {"ok": "finished", "failed": "failed", "running": "pending"}


class Backupman(Adapter):
    """The sandbox's stand-in: one list of everything, in another order each time."""

    name = "backupman"
    knows_sources = False
    lists_all = True
    writes = ("run",)
    shape = Shape("Results", "Id")
    list_path = r"/api/backups$"
    # It knows no limit; a proxy in front of it may.
    throttled = as_json(429, {"error": "Too Many Requests"}, **{"Retry-After": "1"})
    source = "blog"

    def __init__(self, servers: Sandbox) -> None:
        self.sandbox = servers
        self.key = servers.ready["backupman"]["api_key"]
        self.secrets = (WRONG, self.key)

    def connection(self) -> dict[str, Any]:
        return {"api_url": self.sandbox.url, "api_token": self.key}

    def without_credential(self) -> dict[str, Any]:
        return {"api_url": self.sandbox.url}

    def with_wrong_credential(self) -> dict[str, Any]:
        return {"api_url": self.sandbox.url, "api_token": WRONG}

    @property
    def upstream(self) -> str:
        return self.sandbox.url

    def through(self, url: str) -> dict[str, Any]:
        return {"api_url": url, "api_token": self.key}

    def clear(self) -> None:
        self.sandbox.service("backupman", "DELETE", "/backups")
        self.sandbox.clear_requests()

    def fill(self, count: int) -> list[str]:
        made = self.sandbox.service("backupman", "POST", "/synthetic", count=count, label=self.source, every="1h")
        return made["ids"][::-1]

    def add(self, age: float = HOUR, status: str = "ok", engine: str | None = None) -> str:
        moment = iso(ago(age))
        record: dict[str, Any] = {"CreatedAt": moment, "UpdatedAt": moment, "Status": STATUS[status]}
        if status != "ok":
            record["DriveFiles"] = None
        if engine == "sqlite":
            # A dump's name is all that tells.
            record["DriveFiles"] = [{"Id": f"drive-file-{moment}", "Provider": "local", "Status": "finished",
                                     "Path": f"/var/lib/backupman/{moment}.db"}]
        made = self.sandbox.service("backupman", "POST", "/synthetic", count=1, label=self.source, record=record)
        return made["ids"][0]

    def hold(self, kind: str) -> Held:
        [number] = self.sandbox.service("backupman", "POST", "/backup", labels=[self.source])["ids"]
        facts = self.sandbox.service("backupman", "GET", f"/backups/{number}")
        return Held(number, Path(facts["path"]).read_bytes(), [None])

    def lose(self, backup_id: str) -> None:
        self.sandbox.service("backupman", "DELETE", f"/backups/{backup_id}/file")

    def write(self, name: str) -> Write:
        return Write("backup_run", {"all_sources": True, "wait_interval": 1}, ["POST /api/backups"])

    def calls(self) -> list[str]:
        shown = Shown("^$", {f"label={self.source}": "label=SOURCE"})
        return [shown(entry) for entry in self.sandbox.requests()]

    def list_calls(self, count: int) -> list[str]:
        return ["GET /api/backups"]
