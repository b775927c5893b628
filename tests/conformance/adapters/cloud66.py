# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.client import Sandbox

from ..proxy import as_json
from .base import HOUR, WRONG, Adapter, Held, Shape, Shown, Write, ago, iso

STATUS = {"ok": 0, "failed": 1}


class Cloud66(Adapter):
    """The sandbox's stand-in. A backup that is being made is not listed, so no record runs."""

    name = "cloud66"
    page: int | None = 30
    statuses = ("ok", "failed")
    engines = ("postgresql", "redis")
    kinds = ("one", "many")
    writes: tuple[str, ...] = ("schedule", "import")
    shape = Shape("response")
    list_path = r"/stacks/[^/]+/backups$"
    get_path: str | None = r"/stacks/[^/]+/backups/[^/]+$"
    files_path: str | None = r"/files$"
    unsaid: tuple[str, ...] = ("html", "truncated", "no_body", "a_word", "null", "an_error_in_a_success")
    # No Retry-After: what goes for every call of an hour says nothing of when the next may come.
    throttled = as_json(503, {"error": "throttled", "details": "Request limit reached"})
    unknown_id = "987654321"
    stack, prefix = "shop", "^/api/3"

    def __init__(self, servers: Sandbox) -> None:
        self.sandbox = servers
        self.source = servers.uid(self.stack)
        self.secrets = (WRONG, servers.token)
        servers.schedule(self.stack, False)
        servers.api("POST", f"/stacks/{self.source}/backups", {"db_type": "postgresql", "frequency": "0 3 * * *"})

    def connection(self) -> dict[str, Any]:
        return {"api_url": self.sandbox.api_url, "api_token": self.sandbox.token}

    def without_credential(self) -> dict[str, Any]:
        return {"api_url": self.sandbox.api_url}

    def with_wrong_credential(self) -> dict[str, Any]:
        return {"api_url": self.sandbox.api_url, "api_token": WRONG}

    @property
    def upstream(self) -> str:
        return self.sandbox.url

    def through(self, url: str) -> dict[str, Any]:
        return {**self.connection(), "api_url": url}

    def clear(self) -> None:
        self.sandbox.settle()
        for record in self.sandbox.api_v2("GET", f"/stacks/{self.source}/managed_backups")[1]:
            self.sandbox.delete(self.stack, record["id"])
        self.sandbox.clear_requests()

    def fill(self, count: int) -> list[str]:
        made = self.sandbox.synthetic(self.stack, count, every="1h")
        return [str(made["last_id"] - place) for place in range(count)]

    def add(self, age: float = HOUR, status: str = "ok", engine: str | None = None) -> str:
        moment = iso(ago(age))
        record = {"backup_date_iso": moment, "created_at_iso": moment, "backup_status": STATUS[status],
                  "db_type": engine or self.engines[0]}
        return str(self.sandbox.synthetic(self.stack, 1, **record)["last_id"])

    def hold(self, kind: str) -> Held:
        if kind == "many":
            number = str(self.sandbox.backup(self.stack)[-1])
        else:
            number = str(self.sandbox.blob(self.stack, 50_000)["id"])
        facts = self.sandbox.facts(self.stack, number)
        # The service says the size of no file.
        return Held(number, Path(facts["path"]).read_bytes(), [None] * len(facts["files"]))

    def lose(self, backup_id: str) -> None:
        Path(self.sandbox.facts(self.stack, backup_id)["path"]).unlink()

    def write(self, name: str) -> Write:
        if name == "schedule":
            options: dict[str, Any] = {"engines": ["postgresql"], "frequency": "0 3 * * *", "keep_count": 7}
            return Write("backup_task", options, ["POST /stacks/SOURCE/backups"], then="pending", hidden=True)
        return Write("backup_import", self.importing(), ["POST /stacks/SOURCE/backups"], hidden=True)

    def importing(self) -> dict[str, Any]:
        return {"group": self.sandbox.group(self.stack), "engine": "postgresql",
                "remote_url": self.sandbox.import_source()}

    def calls(self) -> list[str]:
        shown = Shown(self.prefix, {self.source: "SOURCE"})
        return [shown(entry) for entry in self.sandbox.requests() if entry["route"] != "storage"]

    def list_calls(self, count: int) -> list[str]:
        first = "GET /stacks/SOURCE/backups"
        pages = max(1, -(-count // self.page))
        return [first] + [f"{first}?page={number}" for number in range(2, pages + 1)]
