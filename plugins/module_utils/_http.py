# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""One HTTP client for every provider: credentials, timeouts, retries of safe calls, typed errors, no leaks."""

from __future__ import annotations

import json
import os
import random
import re
import ssl
import threading
import time
import traceback
import uuid
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import ip_address
from ssl import SSLCertVerificationError
from urllib.parse import urlsplit, urlunsplit

from ._errors import (
    ApiError,
    AuthError,
    BackupError,
    MissingLibraryError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
)
from ._values import UTC, format_duration

try:
    import requests
    from requests.adapters import HTTPAdapter
    from requests.certs import where as usual_authorities
    from requests.utils import default_headers, get_environ_proxies
    from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError
    from urllib3.util.ssl_ import create_urllib3_context

    _IMPORT_ERROR = None
except ImportError:
    requests, HTTPAdapter = None, object
    _IMPORT_ERROR = traceback.format_exc()

USER_AGENT = "restorable.backups (Ansible collection)"
# Requests of one task under way at once: enough to hide latency, few enough not to look like an attack.
MAX_PARALLEL = 32
# Statuses after which asking again may help. 503 is looked at more closely.
_RETRIED = frozenset((408, 413, 429, 500, 502, 503, 504))
_BACKOFF_START, _BACKOFF_LIMIT = 0.5, 20.0
# A service that asks for more patience than this is reported instead of waited for.
RETRY_AFTER_LIMIT = 120.0


def is_loopback(host):
    if not host:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(option, url, allow_http, allow_credentials=False):
    """Refuse, as a bad ``option``, what is not an http(s) URL, or would carry a secret in clear over a network."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # pylint: disable=pointless-statement  # raises for a port that is no number
    except ValueError as error:
        raise OptionError(option, "is not a URL: %s" % error)
    if parts.scheme not in ("http", "https") or not host:
        raise OptionError(option, "must be an https:// URL with a host")
    if parts.username is not None and not allow_credentials:
        raise OptionError(option, "must not hold a user name or password")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise OptionError(
            option, "http:// to %s would send credentials in clear; use https:// or set allow_http: true" % host
        )


def without_query(url):
    """The URL as it may be shown: no query (signatures live there), no fragment, no user or password."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


class Answer:
    """A successful answer: decoded JSON and the response's headers (a case-insensitive mapping)."""

    __slots__ = ("data", "headers", "status")

    def __init__(self, data, headers, status):
        self.data, self.headers, self.status = data, headers, status


@lru_cache(maxsize=8)
def _tls_context(validate_certs, authorities, client_cert=None):
    """The TLS settings for ``authorities``, the path of a bundle or a folder of certificates.

    ``client_cert`` is a pair of paths: our own certificate, and its key (None: in the same file). Reading the usual bundle
    takes longer than a whole call, so it happens once for a process and those forked from it.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if validate_certs else ssl.CERT_NONE)
    if client_cert is not None:
        try:
            context.load_cert_chain(*client_cert)
        except OSError as error:
            raise OptionError("client_cert", "%s cannot be used: %s" % (client_cert[0], error.strerror or error))
    if not validate_certs:
        return context
    try:
        if os.path.isdir(authorities):
            context.load_verify_locations(capath=authorities)
        else:
            context.load_verify_locations(cafile=authorities)
    except OSError as error:
        raise OptionError("ca_path", "%s holds no readable certificates: %s" % (authorities, error.strerror or error))
    return context


def _authorities():
    """The bundle that the environment names, as requests knows it, or the one that comes with requests."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or usual_authorities()


class _TlsAdapter(HTTPAdapter):
    """Connections with a TLS context that is ready, where requests would make one for every pool of connections."""

    def __init__(self, context, **options):
        self._context = context
        super().__init__(**options)

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy, **kwargs):
        if not proxy.lower().startswith("socks"):
            kwargs["proxy_ssl_context"] = self._context
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn, url, verify, cert):
        """The context says it all."""


class _Fixed:
    """A credential that cannot be renewed."""

    def __init__(self, pair):
        self._pair = pair

    def header(self):
        return self._pair


class HttpClient:
    """Asks one API. Safe to use from several threads.

    ``credential`` is a (header, value) pair, None for none, or an object whose ``header()`` gives that pair, the header
    always being its ``header_name``, and whose ``renew(value)`` gets another one in place of a refused value (True
    where there is one): asked once for a refused read.
    ``problem_of(call, response)`` is the service's own way to read an error; None from it means the usual one. What it
    finds in a 401 is no fault of the credential, which is then not renewed.
    Timeouts are seconds for connecting and for each read. Reads are retried with jittered backoff; POST and every other
    write is sent once, ever.
    """

    def __init__(
        self,
        base_url,
        credential,
        headers=None,
        timeout=30,
        retries=4,
        validate_certs=True,
        ca_path=None,
        on_response=None,
        problem_of=lambda call, response: None,
        client_cert=None,
        sleep=time.sleep,
    ):
        if requests is None:
            raise MissingLibraryError("requests", _IMPORT_ERROR)
        self.base_url = base_url.rstrip("/")
        self.timeout, self.retries = timeout, retries
        self._on_response, self._sleep = on_response, sleep
        self._problem_of = problem_of
        self._renewable = hasattr(credential, "renew")
        self._credential = credential if self._renewable else _Fixed(credential)
        self._slots = threading.BoundedSemaphore(MAX_PARALLEL)
        # Requests are made and sent without a Session: that would look for proxies and a bundle of authorities again
        # for every call, keep cookies, follow redirects, and put what ~/.netrc holds in place of our credential.
        self._headers = dict(default_headers())
        self._headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
        self._headers.update(headers or {})
        self._proxies = get_environ_proxies(self.base_url)
        # None: as the TLS context says. True would bring in the authorities of requests again.
        self._verify = None if validate_certs else False
        if self.base_url.startswith("https:"):
            context = _tls_context(bool(validate_certs), ca_path or _authorities(), client_cert)
            self._adapter = _TlsAdapter(context, pool_maxsize=MAX_PARALLEL)
        else:
            self._adapter = HTTPAdapter(pool_maxsize=MAX_PARALLEL)

    def get(self, path, params=None):
        """GET with retries. Returns an Answer; raises ApiError and its kinds."""
        call = "GET %s" % path
        return self._decode(call, self._read("GET", path, params))

    def head(self, path, params=None):
        """HEAD with retries. Returns an Answer without data; raises ApiError and its kinds."""
        response = self._read("HEAD", path, params)
        self._refuse_redirect("HEAD %s" % path, response)
        return Answer(None, response.headers, response.status_code)

    def post(self, path, body=None):
        """POST once. Raises OutcomeUnknownError where the service may have acted though no good answer came."""
        return self._write("POST", path, json=body)

    def put(self, path, body=None, empty=False):
        """PUT, as ``post``. ``empty``: an answer without a body is a good one."""
        return self._write("PUT", path, empty, json=body)

    def delete(self, path, params=None):
        """DELETE, as ``post``; its answer may be empty."""
        return self._write("DELETE", path, True, params=params)

    def _read(self, method, path, params):
        call = "%s %s" % (method, path)
        attempt, renewed = 0, False
        while True:
            last = attempt == self.retries
            try:
                response = self._send(method, path, params=params)
            except requests.exceptions.RequestException as error:
                problem = self._connection_problem(call, error)
                if last or not isinstance(problem, UnavailableError):
                    raise problem
                self._sleep(backoff(attempt))
                attempt += 1
                continue
            if response.status_code < 400:
                return response
            own = self._problem_of(call, response)
            if response.status_code == 401 and own is None and self._renewable and not renewed:
                renewed = True
                if self._credential.renew(response.request.headers.get(self._credential.header_name)):
                    continue
            problem = own or error_of(call, response)
            if last or not isinstance(problem, UnavailableError) or response.status_code not in _RETRIED:
                raise problem
            self._sleep(patience(problem, retry_after(response.headers), attempt))
            attempt += 1

    def _write(self, method, path, empty=False, **content):
        call = "%s %s" % (method, path)
        try:
            response = self._send(method, path, **content)
        except requests.exceptions.RequestException as error:
            problem = self._connection_problem(call, error)
            if problem.code in ("unavailable", "tls") and not _never_sent(error):
                raise OutcomeUnknownError("%s; the request may have been carried out" % problem.message, call=call)
            raise problem
        if response.status_code >= 400:
            problem = self._problem_of(call, response) or error_of(call, response)
            unclear = isinstance(problem, UnavailableError) and problem.code != "throttled"
            if unclear:
                raise OutcomeUnknownError(
                    "%s; the request may have been carried out" % problem.message, status=response.status_code, call=call
                )
            raise problem
        if empty and not response.content.strip() and response.status_code < 300:
            return Answer(None, response.headers, response.status_code)
        try:
            return self._decode(call, response)
        except ApiError as problem:
            # A success that cannot be read is not a refusal: something was probably done.
            raise OutcomeUnknownError(
                "%s; the request may have been carried out" % problem.message, status=response.status_code, call=call
            )

    def _prepare(self, method, path, credential, **content):
        request = requests.PreparedRequest()
        headers = dict(self._headers, **dict([credential])) if credential else self._headers
        request.prepare(method, self.base_url + path, headers=headers, **content)
        request.headers["Request-Id"] = str(uuid.uuid4())
        return request

    def _send(self, method, path, **content):
        request = self._prepare(method, path, self._credential.header(), **content)
        with self._slots:
            response = self._adapter.send(request, timeout=self.timeout, verify=self._verify, proxies=self._proxies)
            response.content  # pylint: disable=pointless-statement  # reads it, and so gives the connection back
        if self._on_response:
            self._on_response(response)
        return response

    @staticmethod
    def _refuse_redirect(call, response):
        if 300 <= response.status_code < 400:
            target = urlsplit(response.headers.get("Location") or "").hostname
            raise ApiError(
                "%s was redirected%s; credentials do not follow redirects: correct api_url"
                % (call, " to host %s" % target if target else ""),
                code="redirected",
                status=response.status_code,
            )

    @classmethod
    def _decode(cls, call, response):
        cls._refuse_redirect(call, response)
        try:
            return Answer(json.loads(response.content), response.headers, response.status_code)
        except ValueError:
            kind = (response.headers.get("Content-Type") or "no content type").split(";")[0]
            raise ApiError(
                "%s answered %d with something that is not JSON (%s, %d bytes): is api_url the API's address?"
                % (call, response.status_code, kind, len(response.content)),
                code="not_json",
                status=response.status_code,
            )

    def _connection_problem(self, call, error):
        """A typed error for a request that got no whole answer. The library's own text holds URLs: it is not shown."""
        host = urlsplit(self.base_url).netloc
        if isinstance(error, requests.exceptions.SSLError):
            reason = re.search(r"certificate verify failed: ([^(\[]+)", str(error))
            return ApiError(
                "%s: the TLS certificate of %s was not accepted (%s); give ca_path for a private authority"
                % (call, host, reason.group(1).strip() if reason else "handshake failed"),
                code="tls",
            )
        if isinstance(error, requests.exceptions.ProxyError):
            text = "the proxy in front of %s refused or failed" % host
        elif isinstance(error, requests.exceptions.ConnectTimeout):
            text = "no connection to %s within %s s" % (host, self.timeout)
        elif isinstance(error, requests.exceptions.Timeout):
            text = "%s did not answer within %s s" % (host, self.timeout)
        elif _never_sent(error):
            text = "no connection to %s (%s)" % (host, _root_reason(error))
        elif isinstance(error, requests.exceptions.ConnectionError):
            text = "%s closed the connection before its answer was complete" % host
        elif isinstance(error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
            text = "the answer of %s broke off" % host
        else:
            return ApiError("%s: the request could not be made (%s)" % (call, type(error).__name__), code="bad_request")
        return UnavailableError("%s: %s" % (call, text), call=call)


def warm_up():
    """Do now what a first request does once: modules, codecs, caches, the usual authorities.

    Ansible forks a worker for the task of every host, and what was done before is not done again in each of them.
    """
    try:
        client = HttpClient("https://localhost", ("Authorization", "none"))
    except BackupError:
        return  # a library or a bundle is missing: the request that needs it will say so
    client._prepare("GET", "/", ("Authorization", "none"), params={"page": 1})  # pylint: disable=protected-access
    "localhost".encode("idna")


def backoff(attempt):
    """Seconds to wait after failed attempt number ``attempt`` (from 0): doubling, capped, jittered by half."""
    return min(_BACKOFF_LIMIT, _BACKOFF_START * 2**attempt) * random.uniform(0.5, 1.0)


def patience(problem, asked, attempt):
    """Seconds to wait after failed attempt number ``attempt``: those ``asked`` for, None for none.

    Raises the problem that was met where they are too many.
    """
    if asked is None:
        return backoff(attempt)
    if asked > RETRY_AFTER_LIMIT:
        problem.message += " (it asks to wait %s)" % format_duration(asked)
        raise problem
    return asked + random.uniform(0, 0.5)


def retry_after(headers):
    """Seconds that a Retry-After header asks for (a number or an HTTP date), None without a readable one."""
    value = (headers.get("Retry-After") or "").strip()
    if re.match(r"^\d+$", value):
        return min(float(value), 1e9)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()) if value else None
    except (TypeError, ValueError):
        return None


def error_of(call, response):
    """The typed error for a status of 400 and above, with what the service said of it in one line."""
    status, said = response.status_code, said_of(response)
    word, text = said
    message = "%s answered %d%s" % (call, status, ": %s" % text if text else "")
    about = {"status": status, "call": call}
    throttled = dict(about, code="throttled", retry_after=retry_after(response.headers))
    if status in (401, 402, 403):
        hint = {
            401: "the credential is not accepted: check api_token, or what stands in for it",
            402: "the account's trial or plan has ended",
            403: "the credential's scope, its role or the account does not allow this",
        }[status]
        return AuthError("%s (%s)" % (message, hint), code=word or "refused", **about)
    if status == 404:
        return NotFoundError("%s (check source, id and account)" % message, **about)
    if status == 503 and (word == "not_implemented" or "not implemented" in text.lower()):
        return UnsupportedError("%s (the service does not offer this call)" % message, **about)
    if status == 429 or (status == 503 and (word == "throttled" or "throttl" in text.lower())):
        return UnavailableError("%s (request limit reached)" % message, **throttled)
    if status == 413:
        # OpenStack: with Retry-After too many requests at a time, without it too many things.
        if response.headers.get("Retry-After"):
            return UnavailableError("%s (request limit reached)" % message, **throttled)
        return ApiError("%s (a quota of the account is used up)" % message, code="over_limit", **about)
    if status == 408 or status >= 500:
        return UnavailableError(message, **about)
    return ApiError(message, code=word or "api_error", **about)


def said_of(response):
    """(error word or None, one readable line) from an error body in JSON, HTML or text."""
    kind = (response.headers.get("Content-Type") or "").lower()
    text = response.content[:65536].decode("utf-8", "replace").strip()
    word = None
    if text[:1] in "{[\"" or "json" in kind:
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if isinstance(data, dict):
            if len(data) == 1:
                # OpenStack: {"itemNotFound": {"code": 404, "message": ...}}, or the same in "error" with a title
                name, inner = next(iter(data.items()))
                if isinstance(inner, dict) and "message" in inner:
                    data = dict(inner, error=inner.get("title") or name)
            lines = [data.get(key) for key in ("details", "error_description", "message", "Error", "error")]
            text = next((str(line) for line in lines if line), "")
            # It becomes the code of a failure: only what looks like a word is one.
            if isinstance(data.get("error"), str) and re.match(r"^[A-Za-z][\w.-]{0,63}$", data["error"]):
                word = data["error"]
        elif isinstance(data, str):
            text = data
    if "html" in kind or text[:1] == "<":
        title = re.search(r"<(?:title|h1|message)[^>]*>(.*?)</", text, re.I | re.S)
        text = re.sub(r"<[^>]+>", " ", title.group(1) if title else text)
    text = re.sub(r"[\x00-\x20\x7f]+", " ", text).strip()
    # A URL in an error text may be a signed one.
    text = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1?...", text)
    return word, text if len(text) <= 300 else text[:297] + "..."


def _reasons(error):
    """The chain of causes inside an exception of requests."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        nested = getattr(error, "reason", None)
        if not isinstance(nested, Exception):
            nested = next((arg for arg in getattr(error, "args", ()) if isinstance(arg, Exception)), None)
        error = nested or error.__cause__


def _never_sent(error):
    """True only where the connection itself failed, so that no byte of the request can have arrived.

    Of TLS errors only a refused certificate is such a failure: others also end a connection that was already in use.
    """
    before = (NewConnectionError, ConnectTimeoutError, SSLCertVerificationError)
    return any(isinstance(reason, before) for reason in _reasons(error)) or (
        isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL))
    )


def _root_reason(error):
    for reason in _reasons(error):
        if isinstance(reason, (MaxRetryError, requests.exceptions.RequestException)):
            continue
        found = re.search(r"\[Errno -?\d+\] ([\w ,'-]+)", str(reason))
        if found:
            return found.group(1).strip()
    return "connection failed"
