# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud 66 API, version 2: a stand-in built from documentation that was withdrawn years ago.

It shows the same stacks, backups and groups as version 3, and hands out the same storage URLs. Nothing is known of
pages or filters in this version, so lists come whole and a query changes nothing.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from .api_v3 import Api, refuse
from .calls import Call, Refused, parse_body, parse_query
from .catalogue import Backup, Catalogue
from .faults import Active
from .reply import Reply, as_error, as_json
from .storage import Storage
from .switches import Switches

PREFIX = "/api/2/"
_PATHS = (
    ("list", "GET", re.compile(r"stacks/(?P<uid>[^/]+)/managed_backups")),
    ("export", "GET", re.compile(r"backups/(?P<backup>[^/]+)/export(?:/(?P<file>[^/]+))?")),
    ("import", "POST", re.compile(r"backups/(?:(?P<group>[^/]+)/)?import")),
)


def understand(method: str, path: str, query: str, body: bytes) -> Call:
    """As in version 3: with and without ``.json``, and with doubled slashes."""
    tail = re.sub(r"/{2,}", "/", path.removeprefix(PREFIX)).strip("/").removesuffix(".json")
    for route, verb, pattern in _PATHS:
        match = pattern.fullmatch(tail)
        if match and verb == method:
            ids = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
            return Call(method, route, ids, parse_query(query), parse_body(body))
    return Call(method, "unknown", {}, parse_query(query), parse_body(body))


class ApiV2:
    name = "cloud66_v2"

    def __init__(self, catalogue: Catalogue, storage: Storage, newer: Api, switches: Switches) -> None:
        self._catalogue = catalogue
        self._storage = storage
        self._newer = newer
        self._switches = switches
        self.understand = understand
        self.error = as_error
        self.token_kind = newer.token_kind
        self.count = newer.count

    def owns(self, path: str) -> bool:
        return path.startswith(PREFIX)

    def answer(self, call: Call, headers: dict[str, str], token: str, active: Active) -> Reply:
        try:
            self._newer.admit(call, token)
            account = self._newer.account(headers.get("x-account"))
            if call.route == "list":
                return self._enclose("enveloped", active.order(self._backups(call, account)))
            found = self._export(call, account, active) if call.route == "export" else self._import(call, account)
            return self._enclose("enveloped_actions", found)
        except Refused as refused:
            return refused.reply

    def _enclose(self, switch: str, found: Any) -> Reply:
        """Bare, or inside of ``response``: which of the two is not documented."""
        return as_json(200, {"response": found} if self._switches.get(self.name, switch) else found)

    def _backups(self, call: Call, account: int) -> list[dict[str, Any]]:
        stack = self._catalogue.stack(call.ids["uid"])
        if not stack or stack.account != account:
            raise refuse(404, "Stack not found")
        return [backup.present(self._newer.sizes) for backup in self._catalogue.backups(stack.uid)[0]]

    def _export(self, call: Call, account: int, active: Active) -> dict[str, Any]:
        """One file, and the extension to ask for next; an empty one ends the chain."""
        backup = self._backup(call.ids["backup"], account)
        names = [part.id for part in backup.files]
        if not names or call.ids.get("file", names[0]) not in names:
            raise refuse(404, "File not found")
        place = names.index(call.ids.get("file", names[0]))
        return {
            "ok": True, "file_name": backup.file_name(names[place]),
            "url": self._storage.url(self._newer.base_url, backup, names[place], active),
            "next_extension": (names + [""])[place + 1],
        }

    def _backup(self, number: str, account: int) -> Backup:
        backup = self._catalogue.backup(int(number)) if number.isdigit() and len(number) < 19 else None
        stack = self._catalogue.stack(backup.stack) if backup else None
        if not backup or not stack or stack.account != account:
            raise refuse(404, "Backup not found")
        return backup

    def _import(self, call: Call, account: int) -> dict[str, Any]:
        if not isinstance(call.body, dict):
            raise refuse(400, "The body must be a JSON object")
        stacks = [stack for stack in self._catalogue.stacks() if stack.account == account]
        return self._newer.import_into(call.ids.get("group"), call.body.get("db_type"), call.body.get("remote_url"),
                                       stacks)
