# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The object storage: signed URLs, ranges and XML errors in the manner of S3."""

from __future__ import annotations

import re
import secrets
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, unquote

from .catalogue import Backup, Catalogue
from .clock import Clock, iso
from .faults import Active
from .reply import Reply, Slice, as_xml_error
from .signing import Signer

PREFIX = "/storage/"
VALID_SECONDS = 300
ODD = "%41"  # literal characters of an object's key; on the wire they are escaped once more
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Storage:
    def __init__(self, catalogue: Catalogue, clock: Clock, signer: Signer, files: Path) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._signer = signer
        self._files = files

    def url(self, base: str, backup: Backup, part_id: str, active: Active) -> str:
        """A URL for one file. Valid for five minutes of the sandbox's clock."""
        key = f"{backup.storage_path}/{backup.file_name(part_id)}"
        path = PREFIX + quote(f"{ODD}/{key}" if "odd_path" in active else key)
        expires = int(self._clock.seconds()) + (-60 if "expire" in active else VALID_SECONDS)
        return f"{base}{path}?{self._signer.query(path, expires)}"

    def answer(self, method: str, path: str, query: str, headers: dict[str, str], active: Active) -> Reply:
        """``path`` and ``query`` as they came on the wire; header names in lower case."""
        if method not in ("GET", "HEAD"):
            return as_xml_error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if "authorization" in headers:
            return as_xml_error(400, "InvalidArgument", (
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string"
                " parameter or the Authorization header should be specified"), ArgumentName="Authorization")
        now = self._clock.seconds()
        refusal = self._signer.refusal(method, path, query, now)
        if "expire" in active:
            refusal = ("AccessDenied", "Request has expired")
        if refusal:
            more = {"Expires": iso(now - 60), "ServerTime": iso(now)} if "expired" in refusal[1] else {}
            return as_xml_error(403, *refusal, **more)
        return self._object(path, headers, active)

    def _object(self, path: str, headers: dict[str, str], active: Active) -> Reply:
        key = unquote(path.removeprefix(PREFIX)).removeprefix(f"{ODD}/")
        folder, _slash, name = key.rpartition("/")
        backup = self._catalogue.backup_at(folder)
        part = next((part for part in backup.files if backup.file_name(part.id) == name), None) if backup else None
        if not backup or not part or not backup.archive or not (self._files / backup.archive).exists():
            return as_xml_error(404, "NoSuchKey", "The specified key does not exist.", Key=key)
        etag = f'"{part.etag}"'
        if "etag_change" in active:
            etag = f'"{secrets.token_hex(16)}"'
        common = {
            "ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/x-tar",
            "Last-Modified": formatdate(backup.taken_at, usegmt=True), "Server": "AmazonS3 (sandbox)",
        }
        if headers.get("if-match", etag) not in (etag, "*"):
            return as_xml_error(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        span = None
        if "no_range" in active:
            del common["Accept-Ranges"]
        elif headers.get("if-range", etag) in (etag, common["Last-Modified"]):
            span = parse_range(headers.get("range", ""), part.length)
        start, length = span or (0, part.length)
        if start < 0:
            error = as_xml_error(416, "InvalidRange", "The requested range is not satisfiable",
                                 ActualObjectSize=str(part.length))
            error.headers["Content-Range"] = f"bytes */{part.length}"
            return error
        if span:
            common["Content-Range"] = f"bytes {start}-{start + length - 1}/{part.length}"
        body = Slice(self._files / backup.archive, part.offset + start, length)
        return Reply(206 if span else 200, body, common)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """(start, length); None when the header says nothing usable; a negative start when it cannot be satisfied."""
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, length) if length else (-1, 0)
    start = int(first)
    stop = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return (start, stop - start + 1) if start < size else (-1, 0)
