# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stack of the sandbox as tests see it: its history is written by hand, its requests are read back in plain words."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from sandbox.client import Sandbox

HOUR = 3600
DAY = 24 * HOUR


def ago(seconds: float) -> str:
    """A moment before now, as the API writes it."""
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(request: dict[str, Any]) -> str:
    """A logged request as ``GET /stacks/UID/backups?page=2``: without the API's prefix."""
    path = unquote(request["path"]).replace("/api/3", "", 1)
    return f"{request['method']} {path}" + (f"?{request['query']}" if request["query"] else "")


class Stack:
    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self.sandbox = sandbox
        self.name = name
        self.uid = sandbox.uid(name)
        self.group = sandbox.group(name)

    def record(self, age: float = HOUR, series: str = "nightly", engine: str = "postgresql", **fields: Any) -> str:
        """Put one record into the catalogue, dated by the real clock; its id. Fields are the API's own."""
        moment = ago(age)
        folder = re.sub("[-T:]", ".", moment.rstrip("Z"))
        record = {
            "db_type": engine, "storage_path": f"2aad2bb5/backups/3c656a1b/{engine}/{series}/{folder}",
            "backup_date_iso": moment, "created_at_iso": moment, **fields,
        }
        number = self.sandbox.synthetic(self.name, 1, **record)["last_id"]
        if "backup_size" in fields:
            self.sandbox.change(self.name, number, backup_size=fields["backup_size"])
        return str(number)

    def history(self, count: int = 5, every: float = DAY, newest: float = HOUR, **record: Any) -> list[str]:
        """``count`` records, one ``every`` so many seconds, the newest that old; ids, newest first."""
        ids = [self.record(newest + every * number, **record) for number in reversed(range(count))]
        return ids[::-1]

    def requests(self) -> list[dict[str, Any]]:
        return self.sandbox.requests(source=self.uid)

    def calls(self) -> list[str]:
        """The API calls about this stack in order of arrival, its uid written as UID."""
        return [shown(request).replace(self.uid, "UID") for request in self.requests()]

    def posts(self) -> list[dict[str, Any]]:
        return [request for request in self.requests() if request["method"] == "POST"]

    def clear(self) -> None:
        """Forget every backup."""
        self.sandbox.settle()
        while records := self.sandbox.api("GET", f"/stacks/{self.uid}/backups")[1]["response"]:
            for record in records:
                self.sandbox.delete(self.name, record["id"])
