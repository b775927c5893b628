# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request, understood, and what every API of the sandbox has to be able to do with one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs

from .faults import Active
from .reply import Reply

_SECRETS = {"apikey", "password", "token"}


class Refused(Exception):
    """The request gets this answer, and nothing is done."""

    def __init__(self, reply: Reply, details: str = "") -> None:
        super().__init__(details)
        self.reply = reply


@dataclass(frozen=True)
class Call:
    """Which operation it is and what it is about. ``source`` is what faults and the log know it by."""

    method: str
    route: str
    ids: dict[str, str]
    query: dict[str, str]
    body: Any

    @property
    def source(self) -> str | None:
        return self.ids.get("uid")

    @property
    def shown(self) -> Any:
        """The body for the request log: of writes, and without what opens doors."""
        if self.method not in ("POST", "PUT"):
            return None
        return "REDACTED" if self.route == "tokens" and not isinstance(self.body, dict) else without_secrets(self.body)


class Surface(Protocol):
    """One API."""

    name: str

    def owns(self, path: str) -> bool: ...

    def understand(self, method: str, path: str, query: str, body: bytes) -> Call: ...

    def token_kind(self, headers: dict[str, str]) -> str:
        """admin, public, none or bad."""

    def count(self, call: Call, token: str) -> dict[str, str]:
        """Count the call against the rate limit; headers that go with every answer."""

    def answer(self, call: Call, headers: dict[str, str], token: str, active: Active) -> Reply: ...

    def error(self, status: int, details: str = "", name: str = "") -> Reply:
        """An error in this API's words."""


def parse_query(query: str) -> dict[str, str]:
    return {name: found[-1] for name, found in parse_qs(query, keep_blank_values=True).items()}


def parse_body(body: bytes) -> Any:
    """JSON where it is JSON, else text: who wants an object has to look."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


def without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if isinstance(value, dict):
        return {name: "REDACTED" if name.lower() in _SECRETS else without_secrets(item) for name, item in value.items()}
    return value
