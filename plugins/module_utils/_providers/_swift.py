# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Backups as objects of an object store (Swift): where they are, how large, and of which segments they are made."""

from __future__ import annotations

import hashlib
import re
import sys
from urllib.parse import quote, unquote, urlsplit

from .._backup import BackupFile, FileAccess
from .._errors import ApiError, AuthError, NotFoundError

SERVICE = "object-store"
# A token that goes with a download must outlive its first requests by far.
_DOWNLOAD_SECONDS = 600
_MD5 = re.compile(r"^[0-9a-f]{32}$")


class ObjectStore:
    """The object store of an account, at its address in the catalog: that in a location may be an internal one."""

    def __init__(self, access):
        self._access, self._made = access, None

    @property
    def _client(self):
        if self._made is None:
            self._made = self._access.client(SERVICE, _problem_of)
        return self._made

    def size(self, location):
        """The bytes of the object at a location."""
        return _length(self._client.head(_path(*place_of(location))).headers)

    def files(self, location):
        """The BackupFiles of the object at a location: itself, or its segments in their order."""
        container, name = place_of(location)
        path = _path(container, name)
        headers = self._client.head(path).headers
        etag = (headers.get("ETag") or "").strip().strip('"').lower()
        if (headers.get("X-Static-Large-Object") or "").lower() == "true":
            segments = self._client.get(path, {"multipart-manifest": "get"}).data
            return segments_of(segments, etag, "%s/%s" % (container, name))
        # A dynamic large object is listed as one file, whose ETag is not that of its content.
        md5 = etag if _MD5.match(etag) and not headers.get("X-Object-Manifest") else None
        return [BackupFile("%s/%s" % (container, name), name, _length(headers), md5=md5)]

    def file_access(self, file):
        """Where a file of ``files`` is, and the token that opens it."""
        container, _slash, name = file.id.partition("/")
        grant = self._access.grant(_DOWNLOAD_SECONDS)
        return FileAccess(
            self._access.endpoint(SERVICE) + _path(container, name),
            {"X-Auth-Token": grant.token},
            grant.validate_certs,
            grant.ca_path,
            grant.client_cert and tuple(grant.client_cert),
        )

    def access_refused(self, access):
        """The token of a FileAccess was refused: have another one for the next."""
        self._access.renew(access.headers["X-Auth-Token"])


def place_of(location):
    """(container, object) of a location: its last two parts."""
    try:
        parts = urlsplit(location)
    except ValueError:
        parts = None
    if parts is not None and parts.scheme not in ("", "http", "https"):
        text = "The backup is in %s storage (%s): there is no file to fetch" % (parts.scheme, location)
        raise ApiError(text, code="no_file")
    names = [unquote(name) for name in parts.path.split("/") if name] if parts is not None else []
    if len(names) < 2:
        raise ApiError("The location %r names no container and object" % location, code="bad_location")
    return names[-2], names[-1]


def segments_of(manifest, etag, what):
    """The BackupFiles of a static large object. Its ETag vouches for them: it is the md5 of the segments' md5s."""
    if not isinstance(manifest, list) or not manifest:
        raise ApiError("The manifest of %s is not a list of segments" % what, code="bad_shape")
    files = []
    for segment in manifest:
        segment = segment if isinstance(segment, dict) else {}
        for kind in ("sub_slo", "range", "data"):
            if segment.get(kind):
                text = "The manifest of %s has a segment of a kind that is not supported (%s)" % (what, kind)
                raise ApiError(text, code="bad_manifest")
        path, size, md5 = str(segment.get("name") or "").lstrip("/"), segment.get("bytes"), segment.get("hash")
        if "/" not in path or not _is_size(size) or not _MD5.match(str(md5)):
            raise ApiError("The manifest of %s has a segment without name, size or md5" % what, code="bad_shape")
        files.append(BackupFile(path, path.rpartition("/")[2], size, segment, md5))
    found = _md5_of("".join(file.md5 for file in files))
    if found not in (None, etag):
        text = "The segments of %s are not those that its ETag vouches for (%s, computed %s)" % (what, etag, found)
        raise ApiError(text, code="bad_manifest")
    return files


def _md5_of(text):
    """The hex digest, None where this Python refuses MD5 (FIPS)."""
    # As an argument since Python 3.9.
    options = {"usedforsecurity": False} if sys.version_info >= (3, 9) else {}
    try:
        return hashlib.md5(text.encode("ascii"), **options).hexdigest()
    except ValueError:
        return None


def _is_size(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _length(headers):
    text = (headers.get("Content-Length") or "").strip()
    return int(text) if text.isdigit() else None


def _path(container, name):
    return "/%s/%s" % (quote(container, safe=""), quote(name))


def _problem_of(call, response):
    """What the store's HTML and empty answers mean for somebody who wants a backup."""
    place = unquote(call.partition(" ")[2].strip("/"))
    if response.status_code == 403:
        return AuthError(
            "The object store does not let this user read %s: it takes a role that may read container %s, such as "
            "member or swiftoperator, or a read ACL on it (the role reader lists backups, and no more)"
            % (place, place.partition("/")[0]),
            code="no_read_access",
            status=403,
        )
    if response.status_code == 404:
        text = "The backup's object is gone from the object store: %s" % place
        return NotFoundError(text, code="file_missing", status=404)
    return None
