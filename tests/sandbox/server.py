# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as one process: rooms put together, requests handed out, everything ended in the end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import ssl
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from aiohttp import web

from . import api_v2, api_v3, backupman, control, rackspace, storage
from .calls import Surface
from .catalogue import Catalogue
from .clock import Clock, iso, parse_moment
from .engines import ENGINES, Engines
from .faults import Faults
from .reply import Spoil, as_error, hang_up, send
from .requestlog import RequestLog
from .scheduler import Scheduler
from .signing import Signer, redact
from .switches import Switches

HOST = "127.0.0.1"
SECRETS = ("admin", "public", "signing", "backupman", "rackspace", "databases", "reader")


class InUse(Exception):
    """Another sandbox runs on this home."""


class Server:
    """Which request goes to which room, and which faults it meets on the way."""

    def __init__(self, clock: Clock, surfaces: list[Surface], store: storage.Storage, controls: control.Control,
                 faults: Faults, log: RequestLog) -> None:
        self._clock = clock
        self._surfaces = surfaces
        self._store = store
        self._control = controls
        self._faults = faults
        self._log = log

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _mark, query = request.raw_path.partition("?")
        body = await request.read() if request.can_read_body else b""
        if path.startswith(control.PREFIX + "/"):
            reply = await self._control.answer(request.method, path, query, body)
            return await send(request, reply, Spoil(), {"bytes_sent": 0})
        if path.startswith(storage.PREFIX):
            return await self._storage(request, path, query)
        for surface in self._surfaces:
            if surface.owns(path):
                return await self._api(surface, request, path, query, body)
        entry = self._begin(request, path, query, "unknown")
        return await send(request, as_error(404), Spoil(), entry)

    def _begin(self, request: web.BaseRequest, path: str, query: str, route: str, **more: Any) -> dict[str, Any]:
        facts = {"at": iso(self._clock.now()), "surface": None, "route": route, "source": None,
                 "account": request.headers.get("X-Account"), "body": None,
                 "token": self._surfaces[0].token_kind(in_lower_case(request)), **more}
        return self._log.begin(
            method=request.method, path=path, query=redact(query), range=request.headers.get("Range"), **facts)

    async def _storage(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        entry = self._begin(request, path, query, "storage")
        active = self._faults.take(request.method, "storage", None)
        entry["faults"] = active.kinds
        await asyncio.sleep(active.latency)
        if self._breaks_at_once(active):
            return self._break(request)
        reply = active.instead() or self._store.answer(request.method, path, query, in_lower_case(request), active)
        return await send(request, reply, active.spoil(reply.length), entry)

    async def _api(self, surface: Surface, request: web.BaseRequest, path: str, query: str,
                   body: bytes) -> web.StreamResponse:
        call, headers = surface.understand(request.method, path, query, body), in_lower_case(request)
        entry = self._begin(request, path, query, call.route, source=call.source, surface=surface.name,
                            body=call.shown, token=surface.token_kind(headers))
        active = self._faults.take(request.method, call.route, call.source, surface.name)
        entry["faults"] = active.kinds
        if active.latency:
            await asyncio.sleep(active.latency)
        if self._breaks_at_once(active):
            return self._break(request)
        limits = surface.count(call, entry["token"])
        reply = active.instead(surface.error)
        if not reply:
            reply = surface.answer(call, headers, entry["token"], active)
            if reply.status in (200, 202) and "commit_then_500" in active:
                reply = surface.error((active.get("commit_then_500") or {})["code"])
            elif reply.status in (200, 202) and "commit_then_reset" in active:
                return self._break(request)
        reply.headers.update(limits)
        if warning := active.get("warning"):
            reply.headers["X-Cloud66-Warning"] = warning["text"]
        return await send(request, reply, active.spoil(reply.length), entry)

    @staticmethod
    def _breaks_at_once(active: Any) -> bool:
        return "reset" in active and active.get("reset")["bytes"] is None

    @staticmethod
    def _break(request: web.BaseRequest) -> web.StreamResponse:
        hang_up(request)
        return web.Response(status=500)


def in_lower_case(request: web.BaseRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


# -- the process ------------------------------------------------------------------------------------------------


def hold(home: Path) -> int:
    """Take this home for this process; the hold ends with the process, however that dies."""
    handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InUse(f"another sandbox runs on {home}") from None
    return handle


def parse_stacks(text: str) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """``shop,crm/staging,wiki:mysql,app/test:postgresql+redis@2``: (name, environment, account, engines) of each."""
    found = []
    for word in text.split(","):
        rest, _at, account = word.strip().partition("@")
        rest, colon, chosen = rest.partition(":")
        name, _slash, environment = rest.partition("/")
        engines = tuple(chosen.split("+")) if colon else ENGINES[:1]
        if len(set(engines)) != len(engines) or not set(engines) <= set(ENGINES):
            raise ValueError(f"not engines of a stack: {word!r} (of {', '.join(ENGINES)}, several joined by +)")
        if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii() or len(name) > 40:
            raise ValueError(f"not a stack's name: {word!r} (letters, digits, - and _)")
        found.append((name, environment or "production", int(account or 1), engines))
    return found


def make_certificate(home: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate by an authority that nobody knows, and the file to trust it by."""
    import trustme

    authority = trustme.CA(organization_name="Restorable sandbox")
    ca_path = home / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_path))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context, ca_path


def write_atomically(path: Path, content: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.touch(mode=0o600)  # it holds tokens
    scratch.write_text(content)
    scratch.replace(path)


def watch_parent(pid: int, stopping: asyncio.Event) -> None:
    """Stop when that process ends."""
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        stopping.set()
    except (AttributeError, OSError):  # no such call here: look from time to time
        def look() -> None:
            try:
                os.kill(pid, 0)
                loop.call_later(1, look)
            except ProcessLookupError:
                stopping.set()
        look()
    else:
        loop.add_reader(handle, stopping.set)


async def serve(options: Namespace) -> None:
    began = time.monotonic()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    if options.parent_pid:
        watch_parent(options.parent_pid, stopping)
    home = Path(options.home).resolve()
    home.mkdir(parents=True, exist_ok=True)
    hold(home)
    async with contextlib.AsyncExitStack() as ending:
        catalogue = Catalogue(home / "catalogue.sqlite")
        ending.callback(catalogue.close)
        for stack in parse_stacks(options.stacks):
            catalogue.add_stack(*stack)
        secret = {**{name: secrets.token_hex(32) for name in SECRETS}, **catalogue.recall("secrets", {})}
        catalogue.remember("secrets", secret)
        engines = Engines(home, options.pg_bin, secret["databases"], secret["reader"])
        ending.callback(engines.stop)
        engines.start({engine: names for engine in ENGINES if (names := [
            stack.database for stack in catalogue.stacks() if engine in stack.databases])})
        await asyncio.to_thread(engines.ensure)

        offset = catalogue.recall("offset")
        if offset is None:
            clock = Clock()
            clock.offset = (parse_moment(options.now, clock.now()) - clock.now()).total_seconds()
        else:
            clock = Clock(offset)
        catalogue.remember("offset", clock.offset)

        files = home / "files"
        files.mkdir(exist_ok=True)
        for leftover in files.glob("tmp*"):
            shutil.rmtree(leftover, ignore_errors=True)
        context, ca_path = make_certificate(home) if options.tls else (None, None)
        switches = Switches(catalogue)
        scheduler = Scheduler(catalogue, clock, engines, switches, files, options.part_size,
                              ssl.create_default_context(cafile=ca_path) if ca_path else True)
        ending.push_async_callback(scheduler.stop)
        scheduler.skip_missed()

        store = storage.Storage(catalogue, clock, Signer(secret["signing"], options.signature), files)
        api = api_v3.Api(catalogue, clock, scheduler, store,
                         {secret["admin"]: "admin", secret["public"]: "public"}, options.sizes, options.rate_limit)
        faults, log = Faults(), RequestLog()
        manager = backupman.Backupman(catalogue, clock, scheduler, engines, switches, files, secret["backupman"])
        rack = rackspace.Rackspace(catalogue, clock, scheduler, engines, switches, files, secret["rackspace"][:32])
        scheduler.timetables += [manager, rack]
        surfaces: list[Surface] = [api, api_v2.ApiV2(catalogue, store, api, switches), manager, rack]
        controls = control.Control(catalogue, clock, scheduler, engines, faults, log, api, switches,
                                   [manager, rack])
        server = web.Server(Server(clock, surfaces, store, controls, faults, log).handle, access_log=None)
        listener = await asyncio.get_running_loop().create_server(
            server, HOST, options.port, ssl=context, backlog=1024)
        ending.push_async_callback(server.shutdown, 1)
        ending.callback(listener.close)
        address = f"{HOST}:{listener.sockets[0].getsockname()[1]}"
        api.base_url = manager.base_url = rack.base_url = f"{'https' if options.tls else 'http'}://{address}"

        ticking = asyncio.create_task(scheduler.tick())
        ending.callback(ticking.cancel)
        ready = {
            "url": api.base_url, "api_url": api.base_url, "token": secret["admin"], "public_token": secret["public"],
            "accounts": sorted({stack.account for stack in catalogue.stacks()}),
            "ca_path": str(ca_path) if ca_path else None, "pid": os.getpid(), "home": str(home),
            "stacks": [controls.stack_facts(stack) for stack in catalogue.stacks()],
            "cloud66_v2": {"api_url": api.base_url, "token": secret["admin"]},
            "backupman": {"api_url": api.base_url, "api_key": secret["backupman"], "labels": manager.labels},
            "rackspace": rack.ready(),
        }
        ready_file = Path(options.ready_file) if options.ready_file else home / "ready.json"
        write_atomically(ready_file, json.dumps(ready, indent=2) + "\n")
        ending.callback(ready_file.unlink, missing_ok=True)
        print(f"sandbox ready at {api.base_url} after {time.monotonic() - began:.1f} s; {ready_file} has the tokens",
              flush=True)
        gone = asyncio.create_task(stopping.wait())
        await asyncio.wait((gone, ticking), return_when=asyncio.FIRST_COMPLETED)
        if ticking.done():
            ticking.result()
