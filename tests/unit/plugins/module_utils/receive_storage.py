# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A storage on 127.0.0.1 that behaves, and misbehaves, as told; what it holds, and a receiver to try on it.

Python 3.8 and later, like the receiver it is for.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ansible_collections.restorable.backups.plugins.module_utils import _receive

SIGNATURE = "Expires=1893456000&Signature=sEcReT%2FsIgNaTuRe%3D"
XML_ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>No such luck</Message>'
    b"<SignatureProvided>sEcReT/sIgNaTuRe=</SignatureProvided></Error>"
)


NOISE = random.Random(66)
PARTS = [NOISE.getrandbits(8 * size).to_bytes(size, "big") for size in (300000, 300000, 123457)]
WHOLE = b"".join(PARTS)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Where all come at once, nobody's connection is to be tried again after a second.
    request_queue_size = 128


class FakeStorage:
    """``contents`` maps a path to bytes. ``faults`` maps a path to a list of dicts, one used up per request; keys:

    status, body, kind (content type), location, cut (bytes after which the connection ends), stall (the same, but it
    stays open), length (announce another one), no_ranges, no_length, chunked, etag, delay (seconds between blocks),
    meanwhile (called once some bytes are sent and more are to come).
    """

    def __init__(self):
        self.contents, self.faults, self.requests = {}, {}, []
        self.always = {}
        self.released = threading.Event()
        storage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                storage.answer(self)

            def log_message(self, *args):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def served(self):
        return sum(request["sent"] for request in self.requests)

    def url(self, path):
        return "http://127.0.0.1:%d%s?%s" % (self._server.server_address[1], path, SIGNATURE)

    def answer(self, handler):
        path = handler.path.partition("?")[0]
        waiting = self.faults.get(path)
        fault = dict(self.always, **(waiting.pop(0) if waiting else {}))
        request = {"path": path, "headers": dict(handler.headers), "range": handler.headers.get("Range"), "sent": 0}
        self.requests.append(request)
        handler.close_connection = True
        if "location" in fault:
            handler.send_response(302)
            handler.send_header("Location", fault["location"])
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if "status" in fault:
            body = fault.get("body", b"")
            handler.send_response(fault["status"])
            handler.send_header("Content-Type", fault.get("kind", "application/xml"))
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return
        self._serve(handler, request, fault, self.contents[path])

    def _serve(self, handler, request, fault, content):
        etag = fault.get("etag", '"%s"' % hashlib.sha256(content).hexdigest()[:16])
        start = 0
        if request["range"] and not fault.get("no_ranges") and handler.headers.get("If-Range") == etag:
            start = int(request["range"][len("bytes=") :].rstrip("-"))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(content) - 1, len(content)))
        if etag:
            handler.send_header("ETag", etag)
        if not fault.get("no_ranges"):
            handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Type", fault.get("kind", "binary/octet-stream"))
        body = content[start:]
        if fault.get("chunked"):
            handler.send_header("Transfer-Encoding", "chunked")
        elif not fault.get("no_length"):
            handler.send_header("Content-Length", str(fault.get("length", len(body))))
        handler.end_headers()
        block = 16384
        limit = fault.get("cut", fault.get("stall", len(body)))
        try:
            for place in range(0, min(limit, len(body)), block):
                piece = body[place : min(place + block, limit)]
                # Before they go out: whoever has them may ask how many there were.
                request["sent"] += len(piece)
                if fault.get("chunked"):
                    handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                else:
                    handler.wfile.write(piece)
                if fault.get("delay"):
                    time.sleep(fault["delay"])
                if place == 0 and "meanwhile" in fault:
                    fault["meanwhile"]()
            if fault.get("chunked"):
                handler.wfile.write(b"0\r\n\r\n")
            if "stall" in fault:
                self.released.wait(120)
        except OSError:
            pass


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def receive(order, attributes=lambda path, is_folder: None):
    answer = _receive.receive(order, attributes)
    # What goes back to the controller is JSON.
    return json.loads(json.dumps(answer))


def left_behind(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())
