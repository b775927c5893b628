# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from openstack_lab import Lab

from ..proxy import as_json
from .base import HOUR, WRONG, Adapter, Held, Shape, Shown, Write, ago

STATUS = {"ok": "COMPLETED", "failed": "FAILED", "running": "BUILDING"}
INSTANCE = "db1"


class Trove(Adapter):
    """The real servers. Records without a file behind them are written into Trove's own table."""

    name = "trove"
    servers = "openstack_lab"
    page = 200
    lists_all = True
    engines = ("mariadb", "mysql")
    kinds = ("one", "many")
    writes = ("schedule", "reschedule", "unschedule", "run", "import", "delete")
    shape = Shape("backups")
    list_path = r"/v1.0/[^/]+/backups$"
    get_path = r"/v1.0/[^/]+/backups/[^/]+$"
    unsaid = ("lost",)
    throttled = as_json(413, {"overLimit": {"code": 413, "message": "This request was rate-limited."}},
                        **{"Retry-After": "1"})
    credential = "auth"
    unknown_source = "0c1d2e3f-0000-4000-8000-000000000001"

    def __init__(self, servers: Lab) -> None:
        self.lab = servers
        self.source = servers.instance(INSTANCE)
        self.user = servers.users["demo"]
        self.secrets = (WRONG, self.user["password"])

    def connection(self) -> dict[str, Any]:
        return {"cloud": self._cloud(self.user["password"])}

    def _cloud(self, password: str, **more: Any) -> dict[str, Any]:
        return {"region_name": "RegionOne", "auth": {
            "auth_url": self.lab.auth_url, "username": "demo", "password": password, "project_name": "demo",
            "user_domain_id": "default", "project_domain_id": "default"}, **more}

    def without_credential(self) -> dict[str, Any]:
        return {}

    def with_wrong_credential(self) -> dict[str, Any]:
        return {"cloud": self._cloud(WRONG)}

    @property
    def upstream(self) -> str:
        return self.lab.ready["trove_url"].removesuffix("/v1.0")

    def through(self, url: str) -> dict[str, Any]:
        address = f"{url}/v1.0/{self.lab.project}"
        return {"cloud": self._cloud(self.user["password"], database_endpoint_override=address)}

    def clear(self) -> None:
        self.lab.clear()
        self.lab.trove("DELETE", "/backup_strategies", instance_id=self.source)
        self.lab.clear_requests()

    def fill(self, count: int) -> list[str]:
        return self.lab.add_backups(count, INSTANCE)

    def add(self, age: float = HOUR, status: str = "ok", engine: str | None = None) -> str:
        about = {"datastore": engine} if engine else {}
        return self.lab.add_backup(INSTANCE, created=ago(age), state=STATUS[status], **about)

    def hold(self, kind: str) -> Held:
        number = self.lab.back_up(INSTANCE, name="big" if kind == "many" else "plain")["id"]
        content = self.lab.local_copy(number).read_bytes()
        sizes = [segment["bytes"] for segment in self.lab.segments(number)] if kind == "many" else [len(content)]
        return Held(number, content, sizes)

    def lose(self, backup_id: str) -> None:
        container, name = self.lab.place(self.lab.trove("GET", f"/backups/{backup_id}").body["backup"]["locationRef"])
        self.lab.swift("DELETE", f"/{container}/{name}")

    def write(self, name: str) -> Write:
        if name == "run":
            return Write("backup_run", {"name": "before the release", "wait_interval": 1}, ["POST /backups"])
        if name == "delete":
            number = self.lab.back_up(INSTANCE)["id"]
            self.lab.clear_requests()
            return Write("backup_run", {"state": "absent", "id": number, "wait_interval": 1},
                         [f"DELETE /backups/{number}"], action="deleted", then="absent")
        if name == "import":
            location = self.lab.back_up(INSTANCE)["locationRef"]
            self.clear()
            return Write("backup_import", {"location": location, "datastore": "mariadb", "datastore_version": "10.11",
                                           "name": "from elsewhere"}, ["POST /backups"])
        if name == "schedule":
            return Write("backup_task", {"swift_container": "nightly"}, ["POST /backup_strategies"])
        self.lab.trove("POST", "/backup_strategies", {"backup_strategy": {
            "instance_id": self.source, "swift_container": "nightly"}})
        self.lab.clear_requests()
        if name == "reschedule":
            return Write("backup_task", {"swift_container": "weekly"}, ["POST /backup_strategies"], action="updated")
        return Write("backup_task", {"state": "absent"}, ["DELETE /backup_strategies?instance_id=SOURCE"],
                     action="deleted", then="absent")

    def calls(self) -> list[str]:
        shown = Shown(f"^/v1.0/{self.lab.project}", {self.source: "SOURCE"})
        entries = [*self.lab.requests("trove"), *self.lab.requests("swift")]
        return [shown(entry) for entry in entries if entry["agent"] != "lab"]

    def token_requests(self) -> int:
        return sum(entry["agent"] != "lab" for entry in self.lab.token_requests())

    def list_calls(self, count: int) -> list[str]:
        first = "GET /backups?instance_id=SOURCE&limit=200"
        # Pages overlap by one record.
        pages = [f"{first}&marker={199 * number}" for number in range(1, (count - 1) // 199 + 1)]
        # Of nothing it is asked whether there is such an instance.
        return [first, *pages] if count else [first, "GET /instances/SOURCE"]
