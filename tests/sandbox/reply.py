# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer on its way to the wire, and the ways in which faults can spoil it there."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

DESCRIPTIONS = {
    400: ("bad_request", "The request was invalid."),
    401: ("unauthenticated", "The access token is missing, invalid or expired."),
    402: ("trial_expired", "Your trial has expired. Please update your billing details."),
    403: ("forbidden", "The access token does not have the scope that this call needs."),
    404: ("not_found", "The requested resource was not found."),
    408: ("timeout", "The request timed out."),
    409: ("conflict", "The resource is in a state that does not allow this."),
    429: ("throttled", "Too many requests."),
    500: ("internal_error", "Something went wrong on our side."),
    502: ("bad_gateway", "Bad gateway."),
    503: ("throttled", "You have made too many requests. Please try again in the next hour."),
    504: ("gateway_timeout", "Gateway timeout."),
}
XML = "application/xml"
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Slice:
    """A stretch of a file on disk."""

    path: Path
    offset: int
    length: int


@dataclass
class Reply:
    status: int
    body: bytes | Slice = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else self.body.length


def as_json(status: int, payload: Any) -> Reply:
    return Reply(status, json.dumps(payload).encode(), {"Content-Type": JSON})


def as_error(status: int, details: str = "", name: str = "") -> Reply:
    """An error as the API words it."""
    usual, description = DESCRIPTIONS.get(status, ("error", "Error."))
    return as_json(status, {"error": name or usual, "error_description": description, "details": details})


def as_xml_error(status: int, code: str, message: str, **more: str) -> Reply:
    """An error as the storage words it."""
    fields = {"Code": code, "Message": message, **more, "RequestId": "5ADB0C0000000000", "HostId": "sandbox"}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    return Reply(status, body.encode(), {"Content-Type": XML, "x-amz-request-id": fields["RequestId"]})


@dataclass(frozen=True)
class Spoil:
    """What happens to the body on the wire: after ``at`` bytes the connection ends, breaks or halts, that for
    ``seconds`` or until ``cleared``."""

    how: str = ""  # "close", "reset" or "stall"
    at: int = 0
    seconds: float = 0.0
    chunked: bool = False
    cleared: asyncio.Event | None = field(default=None, compare=False)

    async def halt(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for((self.cleared or asyncio.Event()).wait(), self.seconds)


async def send(request: web.BaseRequest, reply: Reply, spoil: Spoil, entry: dict[str, Any]) -> web.StreamResponse:
    """Send the reply and note in ``entry`` how many bytes of the body went out."""
    entry["status"] = reply.status
    if isinstance(reply.body, bytes) and spoil == Spoil():
        entry["bytes_sent"] = len(reply.body)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if not spoil.chunked:
        response.content_length = reply.length
    first = min(spoil.at, reply.length) if spoil.how else reply.length
    try:
        await response.prepare(request)
        await _pump(request, response, reply.body, 0, first, entry)
        if spoil.how in ("close", "reset"):
            hang_up(request, broken=spoil.how == "reset")
            return response
        if spoil.how == "stall":
            await spoil.halt()
            await _pump(request, response, reply.body, first, reply.length - first, entry)
        await response.write_eof()
    except OSError:  # the client went away
        hang_up(request)
    return response


async def _pump(request: web.BaseRequest, response: web.StreamResponse, body: bytes | Slice, start: int, count: int,
                entry: dict[str, Any]) -> None:
    if count <= 0:
        return
    if isinstance(body, bytes):
        await response.write(body[start:start + count])
        entry["bytes_sent"] += count
        return
    with body.path.open("rb") as stream:
        begin = body.offset + start
        if response.chunked or "Content-Length" not in response.headers:
            stream.seek(begin)
            while count > 0 and (block := stream.read(min(1 << 18, count))):
                await response.write(block)
                entry["bytes_sent"] += len(block)
                count -= len(block)
            return
        stream.seek(begin)
        try:
            if request.transport is None:
                raise ConnectionResetError("the client went away")
            await asyncio.get_running_loop().sendfile(request.transport, stream, begin, count)
        finally:
            # sendfile leaves the file where it stopped, also when the client went away in between.
            entry["bytes_sent"] += max(0, stream.tell() - begin)


def hang_up(request: web.BaseRequest, broken: bool = True) -> None:
    """End the connection: after what was written has gone out, or at once with a reset."""
    transport = request.transport
    if transport is None:
        return
    if not broken:
        transport.close()
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
