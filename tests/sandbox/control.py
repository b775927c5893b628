# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API under ``/_sandbox``: the clock, faults, the request log, and backups made to order."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Callable, Protocol
from urllib.parse import parse_qs, unquote

from . import archive
from .api_v3 import Api
from .catalogue import Backup, Catalogue, Stack
from .clock import Clock, iso, parse_duration, parse_moment
from .engines import SQL_ENGINES, Engines
from .faults import Faults
from .reply import Reply, Slice, as_json
from .requestlog import RequestLog
from .scheduler import NO_SPACE, Scheduler, TooMuch
from .servers import Database, DatabaseError, Order
from .switches import Switches

PREFIX = "/_sandbox"
MAX_RUNS = 2000
Body = dict[str, Any]


class Unknown(Exception):
    """There is no such stack, backup or path."""


class Service(Protocol):
    """A service with backups of its own that can be looked into."""

    name: str

    def state(self) -> Body: ...

    async def take(self, body: Body) -> Body: ...

    def synthetic(self, body: Body) -> Body: ...

    def clear(self) -> None: ...

    def facts(self, number: str) -> Body: ...

    def change(self, number: str, body: Body) -> Body: ...

    def lose(self, number: str) -> Body: ...

    def delete(self, number: str) -> Body: ...


class Control:
    def __init__(self, catalogue: Catalogue, clock: Clock, scheduler: Scheduler, engines: Engines, faults: Faults,
                 log: RequestLog, api: Api, switches: Switches, services: list[Service]) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._scheduler = scheduler
        self._engines = engines
        self._faults = faults
        self._log = log
        self._api = api
        self._switches = switches
        self._services = {service.name: service for service in services}
        service = rf"/(?P<service>{'|'.join(self._services)})"
        stack, backup = r"/stacks/(?P<uid>[^/]+)", r"/backups/(?P<number>\d+)"
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Any]]] = [
            (method, re.compile(pattern), action) for method, pattern, action in (
                ("GET", r"/state", self._state),
                ("GET", r"/clock", self._show_clock),
                ("POST", r"/clock", self._move_clock),
                ("POST", r"/settle", self._settle),
                ("POST", r"/sizes", self._sizes),
                ("GET", r"/requests", self._requests),
                ("DELETE", r"/requests", self._clear_requests),
                ("GET", r"/switches", self._show_switches),
                ("POST", r"/switches", self._change_switches),
                ("DELETE", r"/switches", self._reset_switches),
                ("GET", r"/faults", self._list_faults),
                ("POST", r"/faults", self._add_fault),
                ("DELETE", r"/faults(?:/(?P<number>\d+))?", self._clear_faults),
                ("POST", stack + r"/schedule", self._schedule),
                ("POST", stack + r"/backup", self._take),
                ("POST", stack + r"/synthetic", self._synthetic),
                ("POST", stack + r"/blob", self._blob),
                ("GET", stack, self._show_stack),
                ("POST", stack + r"/sql", self._sql),
                ("POST", stack + r"/command", self._command),
                ("GET", stack + r"/tables", self._tables),
                ("GET", stack + backup, self._show_backup),
                ("PATCH", stack + backup, self._change_backup),
                ("DELETE", stack + backup, self._delete_backup),
                ("GET", service, self._service_state),
                ("POST", service + r"/backup", self._service_take),
                ("POST", service + r"/synthetic", self._service_synthetic),
                ("DELETE", service + r"/backups", self._service_clear),
                ("GET", service + r"/backups/(?P<id>[^/]+)", self._service_show),
                ("PATCH", service + r"/backups/(?P<id>[^/]+)", self._service_change),
                ("DELETE", service + r"/backups/(?P<id>[^/]+)", self._service_delete),
                ("DELETE", service + r"/backups/(?P<id>[^/]+)/file", self._service_lose),
                ("GET", r"/import-source/(?P<name>[^/]+)", self._import_source),
            )]

    async def answer(self, method: str, path: str, query: str, content: bytes) -> Reply:
        try:
            body = json.loads(content) if content.strip() else {}
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            for verb, pattern, action in self._routes:
                match = pattern.fullmatch(path.removeprefix(PREFIX).rstrip("/"))
                if match and verb == method:
                    arguments = {name: unquote(value) for name, value in match.groupdict().items() if value}
                    arguments = {name: found for key, value in arguments.items()
                                 for name, found in self._resolve(key, value, arguments)}
                    found = await action(body, parse_qs(query), **arguments)
                    return found if isinstance(found, Reply) else as_json(200, found)
            raise Unknown(f"no such control: {method} {path}")
        except Unknown as exc:
            return as_json(404, {"error": str(exc)})
        except (ValueError, TypeError, KeyError, TooMuch, DatabaseError) as exc:
            return as_json(400, {"error": f"{type(exc).__name__}: {exc}"})

    def _resolve(self, key: str, value: str, arguments: dict[str, str]) -> list[tuple[str, Any]]:
        """Path words as things: a stack may be named by its uid or, for people, by its name."""
        if key == "uid":
            stack = next((stack for stack in self._catalogue.stacks() if value in (stack.uid, stack.name)), None)
            if not stack:
                raise Unknown(f"no stack {value}")
            found: list[tuple[str, Any]] = [("stack", stack)]
            if "number" in arguments:
                backup = self._catalogue.backup(int(arguments["number"]), stack.uid)
                if not backup:
                    raise Unknown(f"no backup {arguments['number']}")
                found.append(("backup", backup))
            return found
        if key == "service":
            return [(key, self._services[value])]
        return [] if key == "number" and "uid" in arguments else [(key, value)]

    # -- state, clock and switches ------------------------------------------------------------------------------

    def stack_facts(self, stack: Stack) -> dict[str, Any]:
        """How to reach a stack through the API and its live databases beside it. ``logins`` may read everything and
        change nothing; ``socket_dir``, ``port`` and ``user`` are those of PostgreSQL's superuser."""
        facts: dict[str, Any] = {
            "uid": stack.uid, "name": stack.name, "environment": stack.environment, "account": stack.account,
            "engine": stack.engine, "engines": list(stack.databases), "database": stack.database,
            "groups": self._catalogue.groups(stack.uid),
            "logins": {engine: self._engines.of(engine).login(stack.database) for engine in stack.databases},
        }
        if "postgresql" in stack.databases:
            postgres = self._engines.postgres
            facts.update(socket_dir=str(postgres.socket_dir), port=postgres.port, user=postgres.user)
        return facts

    async def _state(self, _body: Body, _query: Body) -> Body:
        stacks = []
        for stack in self._catalogue.stacks():
            tasks = [{
                "id": task.id, "group": task.group_id, "db_type": task.db_type, "trigger": task.storage_trigger,
                "frequency": task.frequency, "keep_count": task.keep_count, "gzip": task.gzip,
                "excluded_tables": task.excluded_tables, "logical_backup": task.logical,
                "next_run": iso(task.next_run) if task.next_run else None, "created_at": iso(task.created_at),
                "request": json.loads(task.request),
            } for task in self._catalogue.tasks(stack.uid)]
            stacks.append({**self.stack_facts(stack), "running": stack.running, "tasks": tasks,
                           "backups": self._catalogue.backups(stack.uid, stop=0)[1]})
        return {"now": iso(self._clock.now()), "url": self._api.base_url, "sizes": self._api.sizes, "stacks": stacks,
                "faults": self._faults.describe()}

    async def _show_clock(self, _body: Body, _query: Body) -> Body:
        return {"now": iso(self._clock.now())}

    async def _move_clock(self, body: Body, _query: Body) -> Body:
        now = self._clock.now()
        if "advance" in body:
            target = now + parse_duration(body["advance"])
        elif body.get("set") == "now":
            target = type(now).now(now.tzinfo)
        else:
            target = parse_moment(body["set"], now)
        if (now - target).total_seconds() > 1:
            raise ValueError(f"the clock only goes forward: it stands at {iso(now)}")
        ran = await self._scheduler.advance(target.timestamp(), int(body.get("max_runs", MAX_RUNS)))
        return {"now": iso(self._clock.now()), "ran": ran}

    async def _settle(self, _body: Body, _query: Body) -> Body:
        await self._scheduler.settle()
        return {"now": iso(self._clock.now())}

    async def _sizes(self, body: Body, _query: Body) -> Body:
        self._api.sizes = bool(body["report"])
        return {"report": self._api.sizes}

    async def _show_switches(self, _body: Body, _query: Body) -> Body:
        return self._switches.describe()

    async def _change_switches(self, body: Body, _query: Body) -> Body:
        self._switches.change(body)
        return self._switches.describe()

    async def _reset_switches(self, _body: Body, _query: Body) -> Body:
        self._switches.reset()
        return self._switches.describe()

    # -- requests and faults ------------------------------------------------------------------------------------

    async def _requests(self, _body: Body, query: dict[str, list[str]]) -> Body:
        return {"requests": self._log.since(int(query.get("since", ["0"])[-1]))}

    async def _clear_requests(self, _body: Body, _query: Body) -> Body:
        self._log.clear()
        return {"requests": []}

    async def _list_faults(self, _body: Body, _query: Body) -> Body:
        return {"faults": self._faults.describe()}

    async def _add_fault(self, body: Body, _query: Body) -> Body:
        return self._faults.add(body).describe()

    async def _clear_faults(self, _body: Body, _query: Body, number: str | None = None) -> Body:
        self._faults.clear(int(number) if number else None)
        return {"faults": self._faults.describe()}

    # -- stacks -------------------------------------------------------------------------------------------------

    async def _schedule(self, body: Body, _query: Body, stack: Stack) -> Body:
        self._scheduler.set_running(stack, bool(body["running"]))
        return {"uid": stack.uid, "running": bool(body["running"])}

    async def _take(self, body: Body, _query: Body, stack: Stack) -> Body:
        failure = str(body.get("result") or NO_SPACE) if body.get("status") else None
        ids = await self._scheduler.take_now(stack, failure)
        return {"ids": ids, "backups": [self._facts(self._catalogue.backup(number)) for number in ids]}

    async def _synthetic(self, body: Body, _query: Body, stack: Stack) -> Body:
        every = parse_duration(body.get("every", "1h")).total_seconds()
        return self._scheduler.add_synthetic(stack, int(body.get("count", 100)), every, body.get("record", {}))

    async def _blob(self, body: Body, _query: Body, stack: Stack) -> Body:
        return await self._scheduler.add_blob(stack, int(body.get("bytes", 1 << 20)), int(body.get("parts", 1)))

    async def _show_stack(self, _body: Body, _query: Body, stack: Stack) -> Body:
        return self.stack_facts(stack)

    def _database(self, stack: Stack, engine: str | None) -> Database:
        """The engine that is meant, of a stack with several: the first one, unless it is named."""
        if engine is not None and engine not in stack.databases:
            raise ValueError(f"{stack.name} has {', '.join(stack.databases)}, not {engine}")
        return self._engines.of(engine or stack.engine)

    async def _sql(self, body: Body, _query: Body, stack: Stack) -> Body:
        database = self._database(stack, body.get("engine"))
        rows = await asyncio.to_thread(database.query, stack.database, str(body["sql"]))
        return {"rows": [row.split("\t") for row in rows.splitlines()]}

    async def _command(self, body: Body, _query: Body, stack: Stack) -> Body:
        database = self._database(stack, body.get("engine"))
        return {"answer": await asyncio.to_thread(database.command, stack.database, body)}

    async def _tables(self, _body: Body, query: dict[str, list[str]], stack: Stack) -> Body:
        engine = query.get("engine", [stack.engine])[-1]
        database = self._database(stack, engine)
        return {"engine": engine, "tables": await asyncio.to_thread(database.tables, stack.database)}

    # -- backups ------------------------------------------------------------------------------------------------

    def _path(self, backup: Backup) -> Path | None:
        return self._scheduler.files / backup.archive if backup.archive else None

    def _facts(self, backup: Backup | None) -> Body:
        assert backup
        path = self._path(backup)
        return {"id": backup.id, "kind": backup.kind, "record": backup.present(self._api.sizes), "size": backup.size,
                "path": str(path) if path else None,
                "files": [{"id": part.id, "size": part.length, "etag": part.etag} for part in backup.files]}

    async def _show_backup(self, _body: Body, _query: Body, stack: Stack, backup: Backup) -> Body:
        """What a fetched backup must be equal to: checksums of the whole and of every file."""
        facts = self._facts(backup)
        path = self._path(backup)
        if path:
            facts["sha256"] = await asyncio.to_thread(archive.digest, path, algorithm="sha256")
            for shown, part in zip(facts["files"], backup.files):
                shown["sha256"] = facts["sha256"] if part.length == backup.size else await asyncio.to_thread(
                    archive.digest, path, part.offset, part.length, "sha256")
        return facts

    async def _change_backup(self, body: Body, _query: Body, stack: Stack, backup: Backup) -> Body:
        """Show other values in a record, or leave fields out of it; an empty body undoes that."""
        if unknown := set(body) - {"set", "drop"}:
            raise ValueError(f"only set and drop are known, not {', '.join(sorted(unknown))}")
        self._catalogue.override(backup.id, body)
        return self._facts(self._catalogue.backup(backup.id))

    async def _delete_backup(self, _body: Body, _query: Body, stack: Stack, backup: Backup) -> Body:
        self._scheduler.delete(backup)
        return {"deleted": backup.id}

    # -- services beside Cloud 66 -------------------------------------------------------------------------------

    async def _service_state(self, _body: Body, _query: Body, service: Service) -> Body:
        return service.state()

    async def _service_take(self, body: Body, _query: Body, service: Service) -> Body:
        return await service.take(body)

    async def _service_synthetic(self, body: Body, _query: Body, service: Service) -> Body:
        return service.synthetic(body)

    async def _service_clear(self, _body: Body, _query: Body, service: Service) -> Body:
        await self._scheduler.settle()
        service.clear()
        return service.state()

    async def _service_show(self, _body: Body, _query: Body, service: Service, id: str) -> Body:
        return service.facts(id)

    async def _service_change(self, body: Body, _query: Body, service: Service, id: str) -> Body:
        return service.change(id, body)

    async def _service_delete(self, _body: Body, _query: Body, service: Service, id: str) -> Body:
        return service.delete(id)

    async def _service_lose(self, _body: Body, _query: Body, service: Service, id: str) -> Body:
        return service.lose(id)

    # -- imports ------------------------------------------------------------------------------------------------

    async def _import_source(self, _body: Body, _query: Body, name: str) -> Reply:
        """A dump of the first stack with SQL, under any name ending in .sql or .sql.gz; ``missing`` anything is not
        there."""
        stack, engine = next(((stack, engine) for stack in self._catalogue.stacks() for engine in stack.databases
                              if engine in SQL_ENGINES), (None, ""))
        if not stack or name.startswith("missing") or not name.endswith((".sql", ".sql.gz")):
            raise Unknown(f"nothing to import under {name}")
        folder = self._scheduler.files / "import-source"
        folder.mkdir(exist_ok=True)
        path = folder / ("whole.sql.gz" if name.endswith(".gz") else "whole.sql")
        if not path.exists():
            made, _suffix = await asyncio.to_thread(
                self._engines.of(engine).back_up, stack.database, folder, Order(name.endswith(".gz")))
            made.rename(path)
        return Reply(200, Slice(path, 0, path.stat().st_size), {"Content-Type": "application/octet-stream"})
