# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A loopback proxy that passes requests on to a real server, and spoils the answers that a test names."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# What is between two neighbours only, or is counted anew here.
NEIGHBOURS_OWN = {"connection", "host"}
HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    def saying(self, data: Any) -> Reply:
        """The same with other JSON."""
        return replace(self, body=json.dumps(data).encode())


def as_json(status: int, data: Any, **headers: str) -> Reply:
    return Reply(status, {"Content-Type": "application/json", **headers}, json.dumps(data).encode())


def as_html(status: int = 200) -> Reply:
    page = b"<!DOCTYPE html>\n<html><head><title>Soon back</title></head><body><h1>Soon back</h1></body></html>\n"
    return Reply(status, {"Content-Type": "text/html; charset=utf-8"}, page)


@dataclass
class Rule:
    """What becomes of the answers to some requests. ``instead``: the server behind is not asked at all."""

    method: str
    path: re.Pattern[str]
    change: Callable[[Reply], Reply | None] | None
    instead: Reply | None
    times: int | None


class Proxy:
    """``url`` stands for ``upstream``, also in what the server says of its own address."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.rstrip("/")
        self._rules: list[Rule] = []
        # Every request that came here, as "METHOD path".
        self.seen: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                proxy._serve(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815

            def log_message(self, *_arguments: Any) -> None:
                """Nothing: ``seen`` has it."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_about: Any) -> None:
                """Nothing: whoever asked has gone."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spoil(self, path: str, change: Callable[[Reply], Reply | None], method: str = "GET",
              times: int | None = None) -> None:
        """Put ``change(answer)`` in the place of answers to requests whose path the expression fits; None: no answer,
        the connection ends."""
        self._rules.append(Rule(method, re.compile(path), change, None, times))

    def refuse(self, path: str, reply: Reply, method: str = "GET", times: int | None = None) -> None:
        """Answer such requests here, without asking the server."""
        self._rules.append(Rule(method, re.compile(path), None, reply, times))

    def _rule(self, method: str, path: str) -> Rule | None:
        for rule in self._rules:
            if rule.method == method and rule.path.search(path) and rule.times != 0:
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.seen.append(f"{handler.command} {path}")
        rule = self._rule(handler.command, path)
        reply: Reply | None = rule.instead if rule else None
        if reply is None:
            reply = self._ask(handler, body)
            if rule and rule.change:
                reply = rule.change(reply)
        if reply is None:
            handler.close_connection = True
            return
        handler.send_response_only(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(reply.body)

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Reply:
        link = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        try:
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in NEIGHBOURS_OWN}
            headers["Accept-Encoding"] = "identity"
            link.request(handler.command, handler.path, body or None, headers)
            answer = link.getresponse()
            content = answer.read()
            found = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            if handler.command == "HEAD" and answer.getheader("Content-Length"):
                found["Content-Length"] = answer.getheader("Content-Length")
            if "json" in found.get("Content-Type", ""):
                content = content.replace(self.upstream.encode(), self.url.encode())
            return Reply(answer.status, found, content)
        finally:
            link.close()
