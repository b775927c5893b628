# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.client import Sandbox

from ..proxy import as_json
from .base import HOUR, WRONG, Adapter, Held, Shape, Shown, Write, ago, iso

STATUS = {"ok": "COMPLETED", "failed": "FAILED", "running": "BUILDING"}
DAILY = {"frequency": "30 3 * * *", "full_backup_day": 0, "full_backup_retention": 3}


class Rackspace(Adapter):
    """The sandbox's stand-in: Trove's calls with pages of twenty, and schedules."""

    name = "rackspace"
    page = 20
    lists_all = True
    engines = ("mysql", "mariadb")
    writes = ("schedule", "reschedule", "unschedule", "run", "delete")
    shape = Shape("backups")
    list_path = r"/instances/[^/]+/backups$"
    get_path = r"/backups/[^/]+$"
    unsaid = ("lost",)
    throttled = as_json(413, {"overLimit": {"code": 413, "message": "This request was rate-limited."}},
                        **{"Retry-After": "1"})
    unknown_source = "0c1d2e3f-0000-4000-8000-000000000001"

    def __init__(self, servers: Sandbox) -> None:
        self.sandbox = servers
        self.account = servers.ready["rackspace"]
        self.source = next(one["id"] for one in self.account["instances"] if one["name"] == "blog")
        self.secrets = (WRONG, self.account["api_key"])
        servers.schedule("blog", False)

    def connection(self) -> dict[str, Any]:
        return {"api_url": self.account["auth_url"], "username": self.account["username"],
                "api_token": self.account["api_key"], "region_name": self.account["region"]}

    def without_credential(self) -> dict[str, Any]:
        return {name: value for name, value in self.connection().items() if name != "api_token"}

    def with_wrong_credential(self) -> dict[str, Any]:
        return {**self.connection(), "api_token": WRONG}

    @property
    def upstream(self) -> str:
        return self.sandbox.url

    def through(self, url: str) -> dict[str, Any]:
        # The identity service names the proxy in its catalog too, as the proxy puts its own address in.
        return {**self.connection(), "api_url": self.account["auth_url"].replace(self.sandbox.url, url)}

    def clear(self) -> None:
        self.sandbox.service("rackspace", "DELETE", "/backups")
        self.sandbox.clear_requests()

    def fill(self, count: int) -> list[str]:
        made = self.sandbox.service("rackspace", "POST", "/synthetic", count=count, source=self.source, every="1h")
        return made["ids"][::-1]

    def add(self, age: float = HOUR, status: str = "ok", engine: str | None = None) -> str:
        moment = iso(ago(age))
        record: dict[str, Any] = {"created": moment, "updated": moment, "status": STATUS[status]}
        if engine:
            record["datastore"] = {"type": engine, "version": "1", "version_id": engine}
        made = self.sandbox.service("rackspace", "POST", "/synthetic", count=1, source=self.source, record=record)
        return made["ids"][0]

    def hold(self, kind: str) -> Held:
        [number] = self.sandbox.service("rackspace", "POST", "/backup", source=self.source)["ids"]
        content = Path(self.sandbox.service("rackspace", "GET", f"/backups/{number}")["path"]).read_bytes()
        return Held(number, content, [len(content)])

    def lose(self, backup_id: str) -> None:
        self.sandbox.service("rackspace", "DELETE", f"/backups/{backup_id}/file")

    def write(self, name: str) -> Write:
        if name == "run":
            return Write("backup_run", {"name": "before the release", "wait_interval": 1}, ["POST /backups"])
        if name == "delete":
            number = self.add()
            return Write("backup_run", {"state": "absent", "id": number, "wait_interval": 1},
                         [f"DELETE /backups/{number}"], action="deleted", then="absent")
        if name == "schedule":
            return Write("backup_task", {**DAILY, "copy_to": ["ORD"]}, ["POST /schedules"], then="pending")
        schedule = {"action": "backup", "day_of_week": 0, "hour": 3, "minute": 30, "instance_id": self.source}
        number = self.sandbox.rackspace("POST", "/schedules", {"schedule": schedule})[1]["schedule"]["id"]
        self.sandbox.clear_requests()
        if name == "reschedule":
            return Write("backup_task", {**DAILY, "frequency": "45 4 * * *"}, [f"PUT /schedules/{number}"],
                         action="updated", then="pending")
        return Write("backup_task", {"state": "absent"}, [f"DELETE /schedules/{number}"],
                     action="deleted", then="absent")

    def calls(self) -> list[str]:
        shown = Shown(f"^/v1.0/{self.account['account']}", {self.source: "SOURCE"})
        return [shown(entry) for entry in self.sandbox.requests() if entry["route"] != "tokens"]

    def token_requests(self) -> int:
        return len(self.sandbox.requests(route="tokens"))

    def list_calls(self, count: int) -> list[str]:
        first = "GET /instances/SOURCE/backups?limit=20"
        # Pages overlap by one record.
        pages = [f"{first}&marker={19 * number}" for number in range(1, (count - 1) // 19 + 1)]
        # Of nothing it is asked whether there is such an instance.
        return [first, *pages] if count else [first, "GET /instances/SOURCE"]
