# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""A relay on the controller for downloads that need a credential, where the module runs on this very machine.

The module asks the relay, the relay asks the storage and adds the credential, which so leaves this process towards the
storage alone. What the storage answers is passed through: status, headers, body. Each address holds a long random word,
and lives no longer than the task.
"""

from __future__ import annotations

import secrets
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ..module_utils._receive import credentials_of
from ..module_utils._receive._storage import FINAL, PAGE_LIMIT, StorageError, abort

_CHUNK = 1 << 18
# Seconds within which a connection must have said what it wants.
_PATIENCE = 10.0
_PASSED_ON = ("Range", "If-Range")
# What is between two neighbours only, and what is nobody else's business.
_KEPT_BACK = frozenset(
    (
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


class Relay:
    """Listens on the loopback address from its making to ``close``. ``storage`` asks on its behalf.

    ``connections`` is how many are served at a time; others wait.
    """

    def __init__(self, storage, connections):
        self._storage, self._accesses, self._under_way = storage, {}, set()
        self._lock = threading.Lock()
        self._server = _Server(self._serve, connections)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url_for(self, access):
        """The URL under which the relay brings what is behind a FileAccess."""
        path = "/" + secrets.token_urlsafe(32)
        self._accesses[path] = access
        return "http://127.0.0.1:%d%s" % (self._server.server_address[1], path)

    def cut(self):
        """Forget all URLs and end what is under way: the module that asked for it has ended."""
        self._accesses.clear()
        with self._lock:
            under_way = list(self._under_way)
        for connection, response in under_way:
            abort(connection, response)

    def close(self):
        self._server.closing.set()
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler):
        """Answer one request."""
        access = self._accesses.get(handler.path)
        if access is None:
            handler.send_error(404)
            return
        wanted = {name: handler.headers[name] for name in _PASSED_ON if name in handler.headers}
        try:
            _host, *answer = self._storage.ask(access.url, wanted, access.headers)
        except StorageError as error:
            # The words that the module would have found itself.
            page = "<Error><Message>%s</Message></Error>" % escape(error.message, quote=False)
            kind = ("Content-Type", "application/xml")
            _answer(handler, 400 if error.kind == FINAL else 502, [kind], page.encode("utf-8"))
            return
        connection, response = answer
        with self._lock:
            self._under_way.add((connection, response))
        try:
            _pass_on(handler, response, credentials_of(access.headers))
        finally:
            with self._lock:
                self._under_way.discard((connection, response))
            response.close()
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, serve, connections):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = _PATIENCE

            def do_GET(self):
                self.close_connection = True
                # What is wanted is known now. How fast the module takes it depends on its disk.
                self.connection.settimeout(None)
                serve(self)

            def log_message(self, *_arguments):
                """Nothing: the path is a secret."""

        self.closing = threading.Event()
        self._slots = threading.BoundedSemaphore(connections)
        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request, client_address):
        while not self._slots.acquire(timeout=0.1):
            if self.closing.is_set():
                self.shutdown_request(request)
                return
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request, client_address):
        """Nothing: whoever asked has gone, or learns it from the broken connection."""


def _pass_on(handler, response, hidden):
    """Hand over what the storage answers, as it comes. A body that breaks off does so for the module too."""
    headers = [
        (name, value)
        for name, value in response.getheaders()
        if name.lower() not in _KEPT_BACK and value.isprintable() and not any(secret in value for secret in hidden)
    ]
    if response.status not in (200, 206):
        # An error page may quote the request.
        page = response.read(PAGE_LIMIT)
        for secret in hidden:
            page = page.replace(secret.encode("utf-8"), b"...")
        _answer(handler, response.status, headers, page)
        return
    chunked = response.chunked
    if chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif response.length is not None:
        headers.append(("Content-Length", str(response.length)))
    _answer(handler, response.status, headers)
    left = None if chunked else response.length
    while left != 0:
        # No further than the end: a server may keep the connection open after it.
        data = response.read1(_CHUNK if left is None else min(_CHUNK, left))
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
        if not data:
            return
        left = left and left - len(data)


def _answer(handler, status, headers, page=None):
    handler.send_response_only(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Connection", "close")
    if page is not None:
        handler.send_header("Content-Length", str(len(page)))
    handler.end_headers()
    if page:
        handler.wfile.write(page)
