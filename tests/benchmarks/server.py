# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the service and its storage, as fast as can be, so that the benchmarks measure their clients.

It answers in the shapes of Cloud 66's API v3 with bytes that were made before the first request; the names of the
sources decide what it answers:

    big...    a list of many backups, in pages of 30       stale...   30 backups, the newest of them five days old
    parts...  a backup in three files                      whole...   a backup in one file
    any other name: 30 backups, the newest of them five minutes old

Where the sandbox of the tests makes real dumps and checks every signature, this server checks nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import hashlib
import json
import os
import random
import ssl
import sys
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

PER_PAGE = 30
BLOCK = 64 << 20
NOW = datetime.now(timezone.utc)


def record(number: int, hours: float) -> dict[str, object]:
    made = NOW - timedelta(hours=hours, minutes=5)
    text = made.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": number,
        "server_uid": "0d4d39b6a2b0b7e1f1f8f1d5c2a4e6f8",
        "db_type": "postgresql",
        "database_name": "shop_production",
        "file_base": "PostgreSQL",
        "file_name": "PostgreSQL.sql.gz",
        "backup_date_iso": text,
        "backup_status": 0,
        "backup_result": "",
        "restore_status": 0,
        "restore_result": None,
        "created_at_iso": text,
        "updated_at_iso": text,
        "verify_status": 0,
        "verify_result": None,
        "storage_path": "2aad5a1f/backups/3c656b4f/postgresql/k3v9x2/" + made.strftime("%Y.%m.%d.%H.%M.%S"),
        "skip_tables": "",
        "backup_size": 48234496 + number,
        "logical_backup": True,
    }


def pages(records: list[dict[str, object]]) -> list[bytes]:
    """The whole answers, headers included, one for each page of a list."""
    count = max(1, -(-len(records) // PER_PAGE))
    answers = []
    for page in range(1, count + 1):
        pagination = {"previous": page - 1 or None, "next": page + 1 if page < count else None, "current": page,
                      "per_page": PER_PAGE, "count": len(records), "pages": count}
        part = records[(page - 1) * PER_PAGE:page * PER_PAGE]
        answers.append(answer({"response": part, "count": len(records), "pagination": pagination}))
    return answers


def answer(data: object, status: str = "200 OK") -> bytes:
    body = json.dumps(data).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Content:
    """What the storage holds: one block of noise, again and again. No memory but that of the block."""

    def __init__(self, size: int):
        self.size = size
        # Without a name: nothing is left behind, however this process ends.
        self.file = os.fdopen(os.memfd_create("noise"), "w+b")
        self.file.write(random.Random(66).randbytes(min(size, BLOCK)))
        self.file.flush()

    def runs(self, start: int, end: int):
        """(offset in the block, length) of what makes up the bytes from start to end."""
        while start < end:
            offset = start % BLOCK
            length = min(BLOCK - offset, end - start)
            yield offset, length
            start += length

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for offset, length in self.runs(0, self.size):
            digest.update(os.pread(self.file.fileno(), length, offset))
        return digest.hexdigest()


class Service:
    def __init__(self, backups: int, size: int):
        self.address = ""
        self.calls: collections.Counter[str] = collections.Counter()
        self.content = Content(size) if size else None
        self._lists = {"": pages([record(1000 - n, 24 * n) for n in range(PER_PAGE)]),
                       "stale": pages([record(1000 - n, 120 + 24 * n) for n in range(PER_PAGE)])}
        if backups:
            self._lists["big"] = pages([record(backups - n, n) for n in range(backups)])
        for kind, parts in (("whole", 1), ("parts", 3)) if size else ():
            self._lists[kind] = pages([dict(record(1, 0), backup_size=size)])
        self._nothing = answer({"error": "not_found", "details": "Not found"}, "404 Not Found")

    def reply(self, target: str) -> bytes:
        """The answer of the API, ready to be sent."""
        parts = urlsplit(target)
        words = parts.path.strip("/").split("/")
        if words[:3] == ["api", "3", "stacks"] and len(words) > 4:
            self.calls[words[3]] += 1
            kind = next((kind for kind in self._lists if kind and words[3].startswith(kind)), "")
            try:
                if len(words) == 5:
                    return self._lists[kind][int(parse_qs(parts.query).get("page", ["1"])[0]) - 1]
                return self._about_one(kind, words[5:])
            except (LookupError, ValueError):
                return self._nothing
        if parts.path == "/calls":
            calls, self.calls = self.calls, collections.Counter()
            return answer(calls)
        return self._nothing

    def _about_one(self, kind: str, rest: list[str]) -> bytes:
        names = ["tar"] if kind == "whole" else ["tar-aa", "tar-ab", "tar-ac"]
        if rest == ["1"]:
            backup = json.loads(self._lists[kind][0].partition(b"\r\n\r\n")[2])["response"][0]
            return answer({"response": backup})
        if rest == ["1", "files"]:
            files = [{"id": name, "name": f"k3v9x2.{name}"} for name in names]
            return pages(files)[0]
        url = f"{self.address}/storage/{len(names)}/{names.index(rest[2])}"
        return answer({"response": {"ok": True, "public_url": url + "?Expires=4102444800&Signature=c3RhbmQtaW4%253D"}})

    def part(self, target: str) -> tuple[int, int]:
        """Where a file of the storage begins and ends in the content."""
        count, index = map(int, urlsplit(target).path.split("/")[2:4])
        step = -(-self.content.size // count) if self.content else 0
        return index * step, min((index + 1) * step, self.content.size if self.content else 0)


class Connection(asyncio.Protocol):
    def __init__(self, service: Service, latency: float):
        self._service, self._latency = service, latency
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._sending: asyncio.Task | None = None

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, exc):
        if self._sending:
            self._sending.cancel()

    def data_received(self, data):
        self._received += data
        while True:
            head, separator, rest = self._received.partition(b"\r\n\r\n")
            if not separator:
                return
            self._received = rest
            line, _newline, headers = head.partition(b"\r\n")
            target = line.split(b" ")[1].decode()
            if target.startswith("/storage/"):
                self._sending = self._loop.create_task(self._send_part(target, headers.decode("latin-1")))
            elif self._latency and target.startswith("/api/"):
                self._loop.call_later(self._latency, self._write, self._service.reply(target))
            else:
                self._write(self._service.reply(target))

    def _write(self, data):
        if not self._transport.is_closing():
            self._transport.write(data)

    async def _send_part(self, target: str, headers: str) -> None:
        begin, end = self._service.part(target)
        start, total, status = begin, end - begin, "200 OK"
        ranges = [line for line in headers.split("\r\n") if line.lower().startswith("range:")]
        more = ""
        if ranges:
            first, _dash, last = ranges[0].partition("=")[2].strip().partition("-")
            start, end = begin + int(first), min(end, begin + int(last) + 1) if last else end
            status = "206 Partial Content"
            more = f"Content-Range: bytes {start - begin}-{end - begin - 1}/{total}\r\n"
        self._transport.write(
            f"HTTP/1.1 {status}\r\nContent-Type: binary/octet-stream\r\nContent-Length: {end - start}\r\n{more}"
            f'Accept-Ranges: bytes\r\nETag: "{begin:x}-{total:x}"\r\n\r\n'.encode())
        try:
            for offset, length in self._service.content.runs(start, end):
                await self._loop.sendfile(self._transport, self._service.content.file, offset, length)
        except (ConnectionError, RuntimeError):
            # The client has gone; that is its own affair.
            self._transport.close()


async def serve(options: argparse.Namespace) -> None:
    service = Service(options.backups, options.bytes)
    loop = asyncio.get_running_loop()
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)
    server = await loop.create_server(
        lambda: Connection(service, options.latency), "127.0.0.1", 0, backlog=512, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    service.address = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    sha256 = service.content.sha256() if service.content else None
    print(json.dumps({"url": service.address, "sha256": sha256}), flush=True)
    # Whoever started this server holds the other end of its standard input, and ends it by closing that.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, default=0, help="seconds before each answer of the API")
    parser.add_argument("--backups", type=int, default=0, help="backups of the big sources")
    parser.add_argument("--certificate", help="file of the key and the certificate, for TLS")
    parser.add_argument("--bytes", type=int, default=0, help="size of the backup in the storage")
    asyncio.run(serve(parser.parse_args()))
