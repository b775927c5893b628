# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud 66 API, version 3, as far as backups are concerned: built from its documentation."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from . import cron
from .calls import Call, Refused, parse_body, parse_query
from .catalogue import Backup, Catalogue, Stack
from .clock import Clock, iso
from .faults import Active
from .paging import window
from .reply import Reply, as_error, as_json
from .scheduler import Scheduler
from .storage import Storage

PREFIX = "/api/3/"
RATE_LIMIT = 3600
DEFAULTS = {"frequency": "0 */1 * * *", "keep_count": 100}
_PATHS = (
    ("stacks", re.compile(r"stacks")),
    ("list", re.compile(r"stacks/(?P<uid>[^/]+)/backups")),
    ("get", re.compile(r"stacks/(?P<uid>[^/]+)/backups/(?P<backup>[^/]+)")),
    ("files", re.compile(r"stacks/(?P<uid>[^/]+)/backups/(?P<backup>[^/]+)/files")),
    ("file", re.compile(r"stacks/(?P<uid>[^/]+)/backups/(?P<backup>[^/]+)/files/(?P<file>[^/]+)")),
)


def refuse(status: int, details: str = "", name: str = "") -> Refused:
    return Refused(as_error(status, details, name), details)


def understand(method: str, path: str, query: str, body: bytes) -> Call:
    """Both forms are taken: with and without ``.json``, and with a doubled slash as the vendor's client sends it."""
    tail = re.sub(r"/{2,}", "/", path.removeprefix(PREFIX)).strip("/").removesuffix(".json")
    values, content = parse_query(query), parse_body(body)
    for route, pattern in _PATHS:
        if match := pattern.fullmatch(tail):
            if route == "list" and method == "POST":
                importing = isinstance(content, dict) and any(content.get(key) for key in ("group", "remote_url"))
                route = "import" if importing else "create"
            ids = {name: unquote(value) for name, value in match.groupdict().items()}
            return Call(method, route, ids, values, content)
    return Call(method, "unknown", {}, values, content)


class Api:
    name = "cloud66"

    def __init__(self, catalogue: Catalogue, clock: Clock, scheduler: Scheduler, storage: Storage,
                 tokens: dict[str, str], sizes: bool, rate_limit: int | None) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._scheduler = scheduler
        self._storage = storage
        self._tokens = tokens
        self._rate_limit = rate_limit
        self._used: dict[tuple[str, int], int] = {}
        self.sizes = sizes
        self.base_url = ""
        self.understand = understand
        self.error = as_error

    def owns(self, path: str) -> bool:
        return path.startswith(PREFIX)

    def token_kind(self, headers: dict[str, str]) -> str:
        """admin, public, none or bad."""
        scheme, _space, token = headers.get("authorization", "").partition(" ")
        if not token:
            return "none"
        return self._tokens.get(token.strip(), "bad") if scheme.lower() == "bearer" else "bad"

    def count(self, _call: Call, token: str) -> dict[str, str]:
        """The rate limit's headers. Calls are counted for each token and hour of the sandbox's clock."""
        key = (token, int(self._clock.seconds() // 3600))
        self._used[key] = self._used.get(key, 0) + 1
        left = max(0, (self._rate_limit or RATE_LIMIT) - self._used[key])
        return {"X-RateLimit-Limit": str(self._rate_limit or RATE_LIMIT), "X-RateLimit-Remaining": str(left)}

    def answer(self, call: Call, headers: dict[str, str], token: str, active: Active) -> Reply:
        try:
            self.admit(call, token)
            return as_json(200, self._perform(call, self.account(headers.get("x-account")), active))
        except Refused as refused:
            return refused.reply

    def admit(self, call: Call, token: str) -> None:
        if token in ("none", "bad"):
            raise refuse(401)
        if self._rate_limit and self._used.get((token, int(self._clock.seconds() // 3600)), 0) > self._rate_limit:
            raise refuse(503)
        if call.route == "unknown":
            raise refuse(404)
        if call.method not in (("POST",) if call.route in ("create", "import") else ("GET",)):
            raise refuse(404, f"{call.method} is not available here")
        if call.method == "POST" and token != "admin":
            raise refuse(403, "This call needs the scope admin")

    def account(self, header: str | None) -> int:
        accounts = {stack.account for stack in self._catalogue.stacks()}
        if header is None:
            return min(accounts, default=1)
        if not header.strip().isdigit() or int(header) not in accounts:
            raise refuse(403, f"You have no access to account {header}")
        return int(header)

    def _perform(self, call: Call, account: int, active: Active) -> dict[str, Any]:
        if call.route == "stacks":
            return self._stacks(call, account, active)
        stack = self._catalogue.stack(call.ids["uid"])
        if not stack or stack.account != account:
            raise refuse(404, "Stack not found")
        if call.route == "list":
            return self._backups(call, stack, active)
        if call.route in ("create", "import"):
            if not isinstance(call.body, dict):
                raise refuse(400, "The body must be a JSON object")
            if call.route == "create":
                return self._create(call.body, stack)
            wanted = (call.body.get(name) for name in ("group", "db_type", "remote_url"))
            return {"response": self.import_into(*wanted, [stack])}
        backup = self._backup(call, stack)
        if call.route == "get":
            return {"response": backup.present(self.sizes)}
        if call.route == "files":
            files = [{"id": part.id, "name": backup.file_name(part.id)} for part in backup.files]
            return self._page(call, files, active)
        if call.ids["file"] not in {part.id for part in backup.files}:
            raise refuse(404, "File not found")
        return {"response": {"ok": True, "public_url": self._storage.url(
            self.base_url, backup, call.ids["file"], active)}}

    # -- reading ------------------------------------------------------------------------------------------------

    def _page(self, call: Call, items: list[Any], active: Active) -> dict[str, Any]:
        page = active.shape(window(call.query.get("page")))
        return active.enclose(active.order(items)[page.start:page.stop], page, len(items))

    def _stacks(self, call: Call, account: int, active: Active) -> dict[str, Any]:
        found = [describe(stack) for stack in self._catalogue.stacks() if stack.account == account]
        for parameter, name in (("filter_name", "name"), ("filter_environment", "environment")):
            wanted = call.query.get(parameter, "").lower()
            found = [stack for stack in found if wanted in stack[name].lower()]
        return self._page(call, found, active)

    def _backups(self, call: Call, stack: Stack, active: Active) -> dict[str, Any]:
        group = call.query.get("group") or None
        if group and not group.isdigit():
            raise refuse(400, "group must be a number")
        filters = (stack.uid, int(group) if group else None, call.query.get("db_type") or None)
        if "shuffled_pages" in active:
            found, total = self._catalogue.backups(*filters)
            return self._page(call, [backup.present(self.sizes) for backup in found], active)
        page = active.shape(window(call.query.get("page")))
        found, total = self._catalogue.backups(*filters, page.start, page.stop)
        return active.enclose([backup.present(self.sizes) for backup in found], page, total)

    def _backup(self, call: Call, stack: Stack) -> Backup:
        number = call.ids["backup"]
        backup = self._catalogue.backup(int(number), stack.uid) if number.isdigit() and len(number) < 19 else None
        if not backup:
            raise refuse(404, "Backup not found")
        return backup

    # -- writing ------------------------------------------------------------------------------------------------

    def _create(self, body: dict[str, Any], stack: Stack) -> dict[str, Any]:
        """One more task for each engine that the stack has. Nobody asks whether there is one already."""
        given = {name: value for name, value in body.items() if value is not None}
        wanted = str(given.get("db_type", "all")).lower()
        names = {name.strip() for name in wanted.split(",")}
        engines = tuple(engine for engine in stack.engines if "all" in names or engine in names)
        try:
            frequency = cron.check(given.get("frequency", DEFAULTS["frequency"]))
        except ValueError as exc:
            raise refuse(400, str(exc)) from None
        keep = given.get("keep_count", DEFAULTS["keep_count"])
        if not str(keep).isdigit() or int(keep) < 1:
            raise refuse(400, "keep_count must be a positive number")
        now = int(self._clock.seconds())
        self._catalogue.add_group(stack, {
            "frequency": frequency, "keep_count": int(keep), "gzip": bool(given.get("gzip", True)),
            "excluded_tables": str(given.get("excluded_tables", "")),
            "logical": bool(given.get("logical_backup", True)),
            "replica": bool(given.get("run_on_replica_server", True)), "request": body,
        }, cron.next_run(frequency, now), now, engines)
        return {"response": {"ok": True, "message": "queued for creation"}}

    def import_into(self, group: Any, engine: Any, url: Any, stacks: list[Stack]) -> dict[str, Any]:
        """Queue an import into a group of one of these stacks."""
        if not group:
            raise refuse(400, "No managed backup group ID specified")
        if not engine:
            raise refuse(400, "No database type specified")
        if not url:
            raise refuse(400, "No remote URL specified")
        owner = next((stack for stack in stacks if str(group) in map(str, self._catalogue.groups(stack.uid))), None)
        if not owner:
            raise refuse(404, "Cannot find backup group ID")
        task = next((task for task in self._catalogue.tasks(owner.uid)
                     if str(task.group_id) == str(group) and task.db_type == str(engine).lower()), None)
        if not task:
            raise refuse(404, "Cannot find backup job on group for database type")
        self._scheduler.import_later(owner, task, str(url))
        return {"ok": True, "message": "queued for import"}


def describe(stack: Stack) -> dict[str, Any]:
    """A stack as the API lists it."""
    return {
        "uid": stack.uid, "name": stack.name, "git": f"https://git.example.com/{stack.name}.git", "git_branch": "main",
        "environment": stack.environment, "cloud": "Sandbox", "fqdn": f"{stack.name}.example.com", "language": "ruby",
        "framework": "rails", "status": 1, "health": 3, "last_activity": iso(0), "last_activity_iso": iso(0),
        "maintenance_mode": False, "has_loadbalancer": False, "created_at": iso(0), "updated_at": iso(0),
        "created_at_iso": iso(0), "updated_at_iso": iso(0), "deploy_directory": "/var/deploy", "is_busy": False,
        "account_name": f"account-{stack.account}", "account_id": stack.account, "is_cluster": False,
    }
