# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: what goes wrong, on which route, and how often."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable

from .paging import Page, envelope
from .reply import Reply, Spoil, as_error, as_json, as_xml_error

PAGED = ("list", "files", "stacks")
WRITES = ("create", "import")
SCHEDULES = ("schedules", "schedule", "create_schedule", "update_schedule", "delete_schedule")
COMMITS = (*WRITES, "delete", "copy", *SCHEDULES[2:])
ROUTES = ("list", "get", "files", "file", *WRITES, "stacks", "storage", "export", "ping", "health",
          "download_url", "download", "tokens", "instances", "instance", "groups", "group", "datastores", "delete",
          "copy", *SCHEDULES, "object", "container")
SURFACES = ("cloud66", "cloud66_v2", "backupman", "rackspace")

# kind -> (the routes it is meant for when none is named; its parameters and their defaults)
KINDS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "latency": (ROUTES, {"seconds": 0.2}),
    "throttle": (ROUTES, {"retry_after": None}),
    "not_implemented": (ROUTES, {}),
    "retry_after": (ROUTES, {"seconds": 1, "code": 503}),
    "status": (ROUTES, {"code": 500, "body": None, "content_type": None}),
    "html": (ROUTES, {"code": 200}),
    "malformed_json": (ROUTES, {"code": 200}),
    "warning": (ROUTES, {"text": "This is a warning from the sandbox"}),
    "reset": (ROUTES, {"bytes": None}),
    "truncate": (ROUTES, {"bytes": None}),
    "stall": (ROUTES, {"bytes": 0, "seconds": 5}),
    "no_length": (ROUTES, {}),
    "no_pagination": (PAGED, {}),
    "duplicate_pages": (PAGED, {"overlap": 5}),
    "shuffled_pages": (PAGED, {"seed": 1}),
    "repeat_page": (PAGED, {}),
    "ok_false": ((*WRITES, "file", "export"), {"message": "The request could not be completed"}),
    "commit_then_500": (COMMITS, {"code": 500}),
    "commit_then_reset": (COMMITS, {}),
    "odd_path": (("file", "export"), {}),
    "expire": (("storage", "object"), {}),
    "error_page_200": (("storage",), {}),
    "no_range": (("storage", "object"), {}),
    "etag_change": (("storage", "object"), {}),
}
HTML = "<!DOCTYPE html>\n<html><head><title>Sandbox</title></head><body><h1>We'll be back soon</h1></body></html>\n"


@dataclass
class Fault:
    id: int
    kind: str
    routes: tuple[str, ...]
    method: str | None
    source: str | None
    surface: str | None
    times: int | None
    after: int
    params: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    fired: int = 0

    def fires(self, method: str, route: str, source: str | None, surface: str | None) -> bool:
        """Whether it happens to this request; being asked counts."""
        if route not in self.routes or self.method not in (None, method) or self.source not in (None, source):
            return False
        if self.surface not in (None, surface):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        self.fired += 1
        return True

    def describe(self) -> dict[str, Any]:
        return {"id": self.id, "kind": self.kind, "routes": list(self.routes), "method": self.method,
                "source": self.source, "surface": self.surface, "times": self.times, "after": self.after,
                "fired": self.fired, **self.params}


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._last = 0
        self._cleared = asyncio.Event()

    def add(self, wanted: dict[str, Any]) -> Fault:
        wanted = dict(wanted)
        kind = wanted.pop("kind", None)
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}")
        routes, defaults = KINDS[kind]
        route = wanted.pop("route", None)
        chosen = (route,) if isinstance(route, str) else tuple(route) if route else routes
        if unknown := set(chosen) - set(ROUTES):
            raise ValueError(f"route must be one of {', '.join(ROUTES)}, not {', '.join(sorted(unknown))}")
        method, source, times = wanted.pop("method", None), wanted.pop("source", None), wanted.pop("times", None)
        after, surface = wanted.pop("after", 0), wanted.pop("surface", None)
        if surface not in (None, *SURFACES):
            raise ValueError(f"surface must be one of {', '.join(SURFACES)}, not {surface}")
        if unknown := set(wanted) - set(defaults):
            raise ValueError(f"{kind} takes {', '.join(defaults) or 'no parameters'}, not {', '.join(sorted(unknown))}")
        self._last += 1
        fault = Fault(self._last, kind, chosen, method and method.upper(), source, surface, times, after,
                      {**defaults, **wanted})
        self._faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        self._faults = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]
        if fault_id is None:
            # What halts now goes on; what begins later has an event of its own.
            self._cleared.set()
            self._cleared = asyncio.Event()

    def describe(self) -> list[dict[str, Any]]:
        return [fault.describe() for fault in self._faults]

    def take(self, method: str, route: str, source: str | None, surface: str | None = None) -> Active:
        if not self._faults:
            return NONE
        return Active((fault for fault in self._faults if fault.fires(method, route, source, surface)), self._cleared)


class Active:
    """The faults of one request."""

    def __init__(self, faults: Iterable[Fault] = (), cleared: asyncio.Event | None = None) -> None:
        self._by_kind = {fault.kind: fault.params for fault in faults}
        self._cleared = cleared

    def __contains__(self, kind: str) -> bool:
        return kind in self._by_kind

    def get(self, kind: str) -> dict[str, Any] | None:
        return self._by_kind.get(kind)

    @property
    def kinds(self) -> list[str]:
        return list(self._by_kind)

    @property
    def latency(self) -> float:
        return float(self._by_kind.get("latency", {}).get("seconds", 0))

    def instead(self, error: Callable[..., Reply] = as_error) -> Reply | None:
        """The answer that comes in place of the real one, before anything has been done; ``error`` words it."""
        for kind, params in self._by_kind.items():
            if kind == "throttle":
                return _with_retry_after(error(503, name="throttled"), params["retry_after"])
            if kind == "retry_after":
                return _with_retry_after(error(params["code"]), params["seconds"])
            if kind == "not_implemented":
                return error(503, "This is not implemented.", name="not_implemented")
            if kind == "status":
                return _chosen_status(params, error)
            if kind == "html":
                return Reply(params["code"], HTML.encode(), {"Content-Type": "text/html; charset=utf-8"})
            if kind == "malformed_json":
                return Reply(params["code"], b'{"response": [{"id": 17, "db_ty', {"Content-Type": "application/json"})
            if kind == "ok_false":
                return as_json(200, {"response": {"ok": False, "message": params["message"]}})
            if kind == "error_page_200":
                return as_xml_error(200, "InternalError", "We encountered an internal error. Please try again.")
        return None

    def spoil(self, length: int) -> Spoil:
        """What happens to the body. Where no number of bytes is given it happens half-way through."""
        chunked = "no_length" in self
        for kind, how in (("truncate", "close"), ("reset", "reset"), ("stall", "stall")):
            if kind in self._by_kind:
                params = self._by_kind[kind]
                at = length // 2 if params["bytes"] is None else int(params["bytes"])
                return Spoil(how, at, float(params.get("seconds", 0)), chunked, self._cleared)
        return Spoil(chunked=chunked)

    def order(self, items: list[Any]) -> list[Any]:
        """``shuffled_pages``: all records of the list, in an order that means nothing."""
        params = self._by_kind.get("shuffled_pages")
        if params:
            items = list(items)
            random.Random(params["seed"]).shuffle(items)
        return items

    def shape(self, page: Page) -> Page:
        """Which records stand on this page."""
        if "repeat_page" in self:
            return page._replace(start=0, stop=page.stop - page.start)
        if "duplicate_pages" in self and page.number > 1:
            return page._replace(start=max(0, page.start - int(self._by_kind["duplicate_pages"]["overlap"])))
        return page

    def enclose(self, items: list[Any], page: Page, total: int) -> dict[str, Any]:
        found = envelope(items, page.number, total)
        if "repeat_page" in self:
            found["pagination"].update(next=page.number + 1, pages=page.number + 1)
        if "no_pagination" in self:
            del found["pagination"]
        return found


NONE = Active()


def _with_retry_after(reply: Reply, seconds: Any) -> Reply:
    if seconds is not None:
        reply.headers["Retry-After"] = str(seconds)
    return reply


def _chosen_status(params: dict[str, Any], error: Callable[..., Reply]) -> Reply:
    body = params["body"]
    reply = error(params["code"]) if body is None else as_json(params["code"], body)
    if isinstance(body, str):
        reply = Reply(params["code"], body.encode(), {"Content-Type": "text/plain; charset=utf-8"})
    if params["content_type"]:
        reply.headers["Content-Type"] = params["content_type"]
    return reply
