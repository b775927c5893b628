# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Asking a storage for the bytes behind a signed URL: TLS, proxies, redirects, ranges, and what is not a backup."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from base64 import b64encode
from functools import partial
from ipaddress import ip_address
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass, proxy_bypass_environment

from ._failures import os_reason
from ._looks import BLOCK, stranger

USER_AGENT = "restorable.backups (Ansible collection)"
MAX_REDIRECTS = 5
# Bodies up to this size are looked at as a whole before a byte of them is believed: an error page is never larger.
PAGE_LIMIT = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
# Words of S3 and its kin for a URL that is no longer, or not yet, good.
_EXPIRED = re.compile(
    r"Expired|AccessDenied|InvalidToken|TokenRefresh|AuthenticationFailed|RequestTimeTooSkewed|Signature"
)

# What may help after a refusal: a fresh URL, another try, nothing.
EXPIRED, TRANSIENT, FINAL = "expired", "transient", "final"
# The bytes came, and are not those that the service speaks of: fetching them anew may help once.
MISFIT = "misfit"


class StorageError(Exception):
    """No (more) bytes from the storage. ``kind`` says what may help. The text holds a host at most, never a URL."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind, self.message = kind, message


class Storage:
    """How to reach storages from here. ``ca_data`` holds further authorities (PEM) beside the host's own.

    ``timeout`` is the seconds for connecting and for each read. ``proxies`` is {scheme: address}, None for those of
    this process's environment. ``name`` is what to call the storage where the URLs hold another name. ``client_cert``
    are the paths of a certificate and of its key.
    """

    def __init__(
        self,
        timeout=30.0,
        validate_certs=True,
        ca_data=None,
        allow_http=False,
        proxies=None,
        name=None,
        client_cert=None,
    ):
        self.timeout, self.allow_http, self.name = timeout, allow_http, name
        self._validate_certs, self._ca_data, self._client_cert = validate_certs, ca_data, client_cert
        self._proxies = getproxies() if proxies is None else proxies
        self._bypassed = proxy_bypass if proxies is None else partial(proxy_bypass_environment, proxies=proxies)
        self._context = None

    def open(self, url, start=0, validator=None, look=None, credential=None):
        """The Body from byte ``start`` on, or from 0 where the storage no longer has what ``validator`` names.

        ``look`` is how the file must begin, see ``expected_look``.
        """
        headers = {}
        if start:
            headers["Range"] = "bytes=%d-" % start
            headers["If-Range"] = validator
        host, connection, response = self.ask(url, headers, credential)
        return _body(host, connection, response, start, validator, look)

    def ask(self, url, headers, credential=None):
        """(name, connection, response) of what answers in the end. Raises StorageError.

        Redirects are followed. ``credential``, further headers, goes to the server of the URL itself and to no other.
        """
        headers = dict(headers, **{"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"})
        trusted = _server(url) if credential else None
        for _hop in range(MAX_REDIRECTS + 1):
            parts = self._checked(url)
            host = self.name or parts.hostname
            more = credential if credential and _server(url) == trusted else {}
            connection, response = self._ask(url, parts, dict(headers, **more))
            if response.status not in _REDIRECTS:
                return host, connection, response
            target = response.getheader("Location")
            connection.close()
            if not target:
                raise StorageError(FINAL, "storage %s redirects to nowhere" % host)
            url = urljoin(url, target)
            if parts.scheme == "https" and urlsplit(url).scheme != "https":
                raise StorageError(FINAL, "storage %s redirects from https to an address without TLS" % host)
        raise StorageError(FINAL, "storage %s redirects more than %d times" % (host, MAX_REDIRECTS))

    def _checked(self, url):
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        except ValueError:
            usable = False
        if not usable:
            raise StorageError(FINAL, "the API gave something that is not an http(s) URL")
        if parts.scheme == "http" and not self.allow_http and not _is_loopback(parts.hostname):
            raise StorageError(
                FINAL,
                "the URL of storage %s is without TLS; the backup would travel in clear (allow_http)" % parts.hostname,
            )
        return parts

    def _ask(self, url, parts, headers):
        host = self.name or parts.hostname
        target = quote(parts.path or "/", safe="/%:;=@&+$,!*'()~")
        if parts.query:
            target += "?" + quote(parts.query, safe="/%:;=@&+$,!*'()~?[]")
        connection = None
        try:
            connection, absolute = self._connection(parts)
            if absolute:
                target = "http://%s%s" % (parts.netloc.rpartition("@")[2], target)
                headers = dict(headers, **absolute)
            connection.request("GET", target, headers=headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if connection is not None:
                connection.close()
            raise _connection_error(host, error, self.timeout)

    def _connection(self, parts):
        """A connection, and the headers for a proxy that wants whole URLs (None: talk as to the server itself)."""
        secure, host = parts.scheme == "https", parts.hostname
        port = parts.port or (443 if secure else 80)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        more = {"context": self._tls()} if secure else {}
        if not proxy or self._bypassed(host):
            return kind(host, port, timeout=self.timeout, **more), None
        proxy = urlsplit(proxy if "://" in proxy else "http://" + proxy)
        if proxy.scheme != "http" or not proxy.hostname:
            raise StorageError(
                FINAL, "the proxy in the environment is not an http:// address, which is all that works here"
            )
        headers = {}
        if proxy.username is not None:
            login = "%s:%s" % (unquote(proxy.username), unquote(proxy.password or ""))
            headers["Proxy-Authorization"] = "Basic " + b64encode(login.encode()).decode()
        connection = kind(proxy.hostname, proxy.port or 80, timeout=self.timeout, **more)
        if not secure:
            return connection, headers
        connection.set_tunnel(host, port, headers)
        return connection, None

    def _tls(self):
        if self._context is None:
            context = ssl.create_default_context()
            if self._ca_data:
                context.load_verify_locations(cadata=self._ca_data)
            if not self._validate_certs:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self._client_cert:
                context.load_cert_chain(*self._client_cert)
            self._context = context
        return self._context


class Body:
    """Bytes on their way. ``start`` is the place of the first one in the part, ``total`` the part's whole size or None.

    ``validator`` names this very content (an ETag or a date) or is None; ``resumable`` tells whether the rest could be
    asked for later. ``measured`` is False where the storage does not say how much will come.
    """

    def __init__(self, host, connection, response, start, end, total):
        self.host, self.start, self.total = host, start, total
        etag = response.getheader("ETag")
        strong = etag if etag and etag.startswith('"') else None
        self.validator = strong or response.getheader("Last-Modified")
        ranges = response.status == 206 or (response.getheader("Accept-Ranges") or "").lower() == "bytes"
        self.resumable = bool(self.validator and ranges)
        self.measured = end is not None or response.chunked
        self._connection, self._response = connection, response
        self._left = None if end is None else end - start
        self._early = b""

    def peek(self, limit):
        """The first bytes, up to ``limit``: fewer only where the body is shorter. They are still read afterwards."""
        found = bytearray(limit)
        got = 0
        with memoryview(found) as view:
            while got < limit:
                count = self._receive(view[got:])
                if not count:
                    break
                got += count
        del found[got:]
        self._early = memoryview(bytes(found))
        return self._early

    def read_into(self, view):
        """Fill the start of ``view`` with what is there, at least one byte; 0 at the end of the body."""
        if self._early:
            count = min(len(view), len(self._early))
            view[:count] = self._early[:count]
            self._early = self._early[count:]
            return count
        return self._receive(view)

    def _receive(self, view):
        try:
            if self._left is None:
                data = self._response.read1(len(view))
                view[: len(data)] = data
                return len(data)
            if not self._left:
                return 0
            # What http.client offers waits until the whole view is full; its buffered file below does not.
            count = self._response.fp.readinto1(view[: self._left])
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise _connection_error(self.host, error, None)
        if not count:
            raise StorageError(
                TRANSIENT, "storage %s closed the connection with %d bytes still to come" % (self.host, self._left)
            )
        self._left -= count
        return count

    def close(self):
        self._response.close()
        self._connection.close()

    def abort(self):
        """Wake up, from another thread, whoever waits for bytes."""
        abort(self._connection, self._response)


def abort(connection, response):
    """End a connection under whoever reads from it in another thread."""
    sock = connection.sock or getattr(getattr(response.fp, "raw", None), "_sock", None)
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except (OSError, AttributeError, ValueError):
        pass


def _body(host, connection, response, start, validator, look):
    """The Body of an answer that brings bytes of a part. Raises StorageError for all others."""
    status = response.status
    if status not in (200, 206):
        kind = EXPIRED if status in (401, 403) else TRANSIENT if status in _TRANSIENT else FINAL
        try:
            said = _said(response.read(PAGE_LIMIT).decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException):
            said = ""
        connection.close()
        if status == 400 and _EXPIRED.search(said):
            kind = EXPIRED
        if status == 416:
            # The rest that was asked for is not there: the whole is asked for instead.
            kind = TRANSIENT
        raise StorageError(kind, "storage %s answered %d%s" % (host, status, " (%s)" % said if said else ""))
    length = response.length
    if status == 200:
        body = Body(host, connection, response, 0, length, length)
    else:
        found = re.match(r"^bytes (\d+)-(\d+)/(\d+|\*)$", response.getheader("Content-Range") or "")
        first, last = (int(found.group(1)), int(found.group(2))) if found else (None, None)
        if first != start or (length is not None and length != last + 1 - first):
            connection.close()
            raise StorageError(TRANSIENT, "storage %s sent other bytes than those asked for" % host)
        total = None if found.group(3) == "*" else int(found.group(3))
        body = Body(host, connection, response, first, last + 1, total)
        if start and body.validator is None:
            # The condition was met; a date need not be repeated then.
            body.validator, body.resumable = validator, True
    try:
        _refuse_pages(body, response, length, look)
    except StorageError:
        connection.close()
        raise
    return body


def _refuse_pages(body, response, length, look):
    """Raise StorageError for an answer that says it is good and brings something else than a file of that look."""
    answered = "storage %s answered %d with" % (body.host, response.status)
    small = length is None or length <= PAGE_LIMIT
    # The rest of a part was asked for on the condition that it is still the same: only the beginning can be a stranger.
    judged = look is not None and response.status == 200
    if not small and not judged:
        return
    data = bytes(body.peek(PAGE_LIMIT if small else BLOCK))
    page = error_page(data) if small else None
    if page is not None:
        raise StorageError(
            EXPIRED if _EXPIRED.search(page) else TRANSIENT,
            "%s a page in place of the backup (%s)" % (answered, page or "no text"),
        )
    whole = small and (len(data) < PAGE_LIMIT or length == PAGE_LIMIT)
    found = stranger(data, whole, response.getheader("Content-Type"), look) if judged else None
    if found is not None:
        raise StorageError(TRANSIENT, "%s %s in place of the backup" % (answered, found))


def error_page(data):
    """What an XML or HTML error page says, or None for anything else.

    No part of a backup is taken for one: it would have to begin and end like a page and hold no zero byte between,
    while a tar file has them in its first 512 bytes and at its end.
    """
    if len(data) >= PAGE_LIMIT or b"\0" in data:
        return None
    text = data.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if not re.match(
        r"^(<\?xml[^>]*\?>\s*)?<Error[\s>].*</Error>$|^(<\?xml[^>]*\?>\s*)?<(!doctype html|html)\b.*</html>$",
        text,
        re.I | re.S,
    ):
        return None
    return _said(text)


def _said(text):
    """One short line out of an error body. S3's also quotes the signature: only these fields are looked at."""
    if text[:1] == "{":
        return _shortened(re.sub(r"[\x00-\x20\x7f-\x9f]+", " ", _said_in_json(text)).strip())
    found = [
        re.sub(r"<[^>]*>|[\x00-\x20\x7f-\x9f]+", " ", match.group(1)).strip()
        for match in (re.search(r"<%s\b[^>]*>(.*?)</" % tag, text, re.I | re.S) for tag in ("code", "message", "title"))
        if match
    ]
    return _shortened(": ".join(part for part in found[:2] if part))


def _said_in_json(text):
    try:
        data = json.loads(text)
    except ValueError:
        return ""
    if isinstance(data.get("error"), dict):
        data = data["error"]
    return next((data[key] for key in ("message", "Error", "error") if isinstance(data.get(key), str)), "")


def _shortened(line):
    return line if len(line) <= 200 else line[:197] + "..."


def _server(url):
    """What a credential belongs to; None for what is no URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def _is_loopback(host):
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _connection_error(host, error, timeout):
    if isinstance(error, ssl.SSLCertVerificationError):
        return StorageError(
            FINAL, "the TLS certificate of storage %s was not accepted (%s)" % (host, error.verify_message or "refused")
        )
    if isinstance(error, socket.timeout):
        return StorageError(
            TRANSIENT, "storage %s sent nothing%s" % (host, "" if timeout is None else " within %g s" % timeout)
        )
    if isinstance(error, socket.gaierror):
        return StorageError(TRANSIENT, "the host has no address for storage %s" % host)
    if isinstance(error, ssl.SSLError):
        return StorageError(TRANSIENT, "TLS with storage %s failed (%s)" % (host, error.reason or "broken off"))
    if str(error).startswith("Tunnel connection failed"):
        return StorageError(TRANSIENT, "the proxy makes no connection to storage %s" % host)
    if isinstance(error, OSError):
        return StorageError(TRANSIENT, "the connection to storage %s broke (%s)" % (host, os_reason(error)))
    return StorageError(TRANSIENT, "storage %s broke off its answer (%s)" % (host, type(error).__name__))
