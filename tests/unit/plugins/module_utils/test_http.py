# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP client: what is asked again and what never, what an error says, what is never shown."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from ansible_collections.restorable.backups.plugins.module_utils import _http as http
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
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
from urllib3.exceptions import MaxRetryError, ProtocolError
from urllib3.exceptions import SSLError as Urllib3SSLError


class Response:
    """As much of a response of requests as errors are made of."""

    def __init__(self, status=500, body=b"", kind=None, **headers):
        self.status_code = status
        self.content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = requests.structures.CaseInsensitiveDict(
            {name.replace("_", "-"): value for name, value in headers.items()}
        )
        if kind or not isinstance(body, bytes):
            self.headers["Content-Type"] = kind or "application/json"


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_loopback(host):
    assert http.is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        None,
        "localhost.example.com",
        "notlocalhost",
        "128.0.0.1",
        "10.0.0.1",
        "0.0.0.0",
        "::",
        "127.0.0.1.example.com",
        "2130706433",
    ],
)
def test_not_loopback(host):
    assert not http.is_loopback(host)


@pytest.mark.parametrize(
    "url", ["https://x.example", "https://x.example:8443/p", "http://127.0.0.1:1", "http://[::1]/", "HTTP://LOCALHOST"]
)
def test_addresses_that_are_fine(url):
    http.check_url("api_url", url, allow_http=False)


@pytest.mark.parametrize(
    "url, text",
    [
        ("", "https://"),
        ("x.example", "https://"),
        ("https://", "https://"),
        ("https:///path", "https://"),
        ("ftp://x.example", "https://"),
        ("file:///etc/passwd", "https://"),
        ("javascript:alert(1)", "https://"),
        ("https://x.example:port", "not a URL"),
        ("https://x.example:99999", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://user@x.example", "user name or password"),
        ("https://user:pass@x.example", "user name or password"),
        ("http://x.example", "in clear"),
        ("http://localhost.example.com", "in clear"),
        ("http://127.0.0.1@x.example/", "user name or password"),
    ],
)
def test_addresses_that_are_refused_name_their_option_and_show_no_secret(url, text):
    with pytest.raises(OptionError, match="^api_url: .*" + text) as caught:
        http.check_url("api_url", url, allow_http=False)
    assert "pass@" not in caught.value.message


def test_those_who_insist_may():
    http.check_url("api_url", "http://x.example", allow_http=True)
    http.check_url("remote_url", "https://u:p@x.example", allow_http=False, allow_credentials=True)


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://x.example/a?Signature=b#c", "https://x.example/a"),
        ("https://u:p@x.example:8/a?b", "https://x.example:8/a"),
        ("https://u:p@q@x.example/a", "https://x.example/a"),
        ("https://x.example", "https://x.example"),
    ],
)
def test_what_may_be_shown_of_a_url(url, shown):
    assert http.without_query(url) == shown


# -- patience ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt, most", [(0, 0.5), (1, 1), (2, 2), (3, 4), (5, 16), (6, 20), (20, 20), (1000, 20)])
def test_backoff_doubles_up_to_a_limit_and_is_never_nothing(attempt, most):
    waits = [http.backoff(attempt) for _count in range(50)]
    assert all(most / 2 <= wait <= most for wait in waits)
    assert len(set(waits)) > 1, "jitter keeps many clients apart"


@pytest.mark.parametrize(
    "value, seconds",
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Fri, 99 Foo", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", None),
        ("9" * 400, 1e9),
    ],
)
def test_retry_after(value, seconds):
    assert http.retry_after({} if value is None else {"Retry-After": value}) == seconds


def test_retry_after_as_a_date():
    soon = datetime.now(timezone.utc) + timedelta(seconds=90)
    assert 80 < http.retry_after({"Retry-After": format_datetime(soon)}) <= 91


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body, kind, text",
    [
        ({"error": "not_found", "error_description": "No such stack", "details": "uid abc"}, None, "uid abc"),
        ({"error": "not_found", "error_description": "No such stack", "details": ""}, None, "No such stack"),
        ({"error": "not_found"}, None, "not_found"),
        ({"error": {"code": 5}}, None, "{'code': 5}"),
        ({"message": "m"}, None, "m"),
        ({}, None, ""),
        ([1, 2], None, "[1, 2]"),
        (b'"just text"', "application/json", "just text"),
        (b"plain text\n  of two lines", "text/plain", "plain text of two lines"),
        (b"<html><head><title>502 Bad Gateway</title></head><body>x</body></html>", "text/html", "502 Bad Gateway"),
        (b"<h1>Oops</h1><p>more</p>", "text/html; charset=utf-8", "Oops"),
        (b"<html><body><p>No <b>title</b></p></body></html>", None, "No title"),
        (
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
            None,
            "Request has expired",
        ),
        (b"{broken", "application/json", "{broken"),
        (b"", None, ""),
        (b"\xff\xfe", None, "\ufffd\ufffd"),
        (b"a\x00b\x1b[31mc", "text/plain", "a b [31mc"),
        (b"x" * 1000, "text/plain", "x" * 297 + "..."),
    ],
)
def test_one_readable_line_of_any_error_body(body, kind, text):
    assert http.said_of(Response(500, body, kind))[1] == text


def test_no_signature_in_an_error_text():
    said = "cannot read https://s3.example/x?Signature=abc%2Fdef&Expires=1 today"
    for body in (
        {"details": said},
        said.encode(),
        ("<h1>%s</h1>" % said).encode(),
        {"error": "https://s3.example/x?Signature=abc"},
    ):
        error = http.error_of("GET /x", Response(400, body))
        assert "Signature" not in error.message + error.code
        assert "https://s3.example/x?..." in error.message


@pytest.mark.parametrize(
    "status, kind, code, text",
    [
        (400, ApiError, "api_error", "answered 400"),
        (401, AuthError, "refused", "check api_token"),
        (402, AuthError, "refused", "trial or plan"),
        (403, AuthError, "refused", "scope"),
        (404, NotFoundError, "not_found", "answered 404"),
        (408, UnavailableError, "unavailable", "answered 408"),
        (409, ApiError, "api_error", "answered 409"),
        (418, ApiError, "api_error", "answered 418"),
        (429, UnavailableError, "throttled", "request limit"),
        (500, UnavailableError, "unavailable", "answered 500"),
        (502, UnavailableError, "unavailable", "answered 502"),
        (503, UnavailableError, "unavailable", "answered 503"),
        (504, UnavailableError, "unavailable", "answered 504"),
        (599, UnavailableError, "unavailable", "answered 599"),
    ],
)
def test_the_kind_of_error_by_status(status, kind, code, text):
    error = http.error_of("GET /stacks", Response(status))
    assert error.__class__ is kind
    assert (error.code, error.details["status"], error.details["call"]) == (code, status, "GET /stacks")
    assert error.message.startswith("GET /stacks answered %d" % status)
    assert text in error.message


@pytest.mark.parametrize(
    "body, kind, code",
    [
        ({"error": "throttled"}, UnavailableError, "throttled"),
        ({"error": "x", "details": "Throttled until the next hour"}, UnavailableError, "throttled"),
        (b"You are being throttled", UnavailableError, "throttled"),
        ({"error": "not_implemented"}, UnsupportedError, "unsupported"),
        ({"details": "Not implemented for this stack"}, UnsupportedError, "unsupported"),
        (b"Service Unavailable", UnavailableError, "unavailable"),
        (b"", UnavailableError, "unavailable"),
    ],
)
def test_503_has_two_meanings_and_a_third(body, kind, code):
    error = http.error_of("GET /x", Response(503, body))
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize(
    "word, code",
    [
        ("bad_request", "bad_request"),
        ("trial_expired", "trial_expired"),
        ("No group given", "api_error"),
        ("a" * 65, "api_error"),
        (5, "api_error"),
        ("", "api_error"),
    ],
)
def test_the_services_word_is_the_code_where_it_is_a_word(word, code):
    assert http.error_of("GET /x", Response(400, {"error": word})).code == code


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(http, "requests", None)
    with pytest.raises(MissingLibraryError, match="requests"):
        http.HttpClient("https://x.example", ("A", "b"))


# -- a client of which every answer is written down --------------------------------------------------------------------


class Script:
    """A client that gets its answers from a list; what was sent and slept is kept."""

    def __init__(self, *answers, **settings):
        self.slept, self.sent, self.answers = [], [], list(answers)
        settings.setdefault("retries", 3)
        self.client = http.HttpClient(
            "https://x.example/api/3", ("Authorization", "Bearer t"), sleep=self.slept.append, **settings
        )
        self.client._send = self._send

    def _send(self, method, path, **content):
        self.sent.append((method, path))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


GOOD = Response(200, {"response": 1})
RETRIED = [408, 429, 500, 502, 503, 504]
REFUSED = requests.exceptions.ConnectionError(
    MaxRetryError(None, "/", http.NewConnectionError(None, "[Errno 111] Connection refused"))
)
RESET = requests.exceptions.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")))
NO_CONNECTION_IN_TIME = requests.exceptions.ConnectTimeout()
NO_ANSWER_IN_TIME = requests.exceptions.ReadTimeout()
BROKEN_OFF = requests.exceptions.ChunkedEncodingError()
BAD_CERTIFICATE = requests.exceptions.SSLError(
    MaxRetryError(
        None,
        "/",
        Urllib3SSLError(
            ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate (_ssl.c:1)")
        ),
    )
)
TLS_BROKE_LATER = requests.exceptions.SSLError(
    MaxRetryError(
        None, "/", Urllib3SSLError(ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] bad record mac"))
    )
)
IN_THE_ANSWER = requests.exceptions.SSLError(Urllib3SSLError(ssl.SSLError(1, "tlsv1 alert internal error")))


@pytest.mark.parametrize("status", RETRIED)
def test_a_get_is_asked_again_after_these(status):
    script = Script(Response(status), Response(status), GOOD)
    assert script.client.get("/x").data == {"response": 1}
    assert len(script.sent) == 3
    assert len(script.slept) == 2


@pytest.mark.parametrize(
    "error", [REFUSED, RESET, NO_CONNECTION_IN_TIME, NO_ANSWER_IN_TIME, BROKEN_OFF], ids=lambda e: type(e).__name__
)
def test_a_get_is_asked_again_after_a_lost_connection(error):
    script = Script(error, GOOD)
    assert script.client.get("/x").data == {"response": 1}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 501, 505])
def test_a_get_is_not_asked_again_after_a_refusal(status):
    script = Script(Response(status))
    with pytest.raises(ApiError):
        script.client.get("/x")
    assert len(script.sent) == 1
    assert script.slept == []


def test_what_the_service_does_not_offer_is_not_asked_again():
    script = Script(Response(503, {"error": "not_implemented"}))
    with pytest.raises(UnsupportedError):
        script.client.get("/x")
    assert len(script.sent) == 1


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_retries_are_counted(retries):
    script = Script(Response(500), retries=retries)
    with pytest.raises(UnavailableError, match="GET /x answered 500"):
        script.client.get("/x")
    assert len(script.sent) == retries + 1
    assert len(script.slept) == retries


def test_retry_after_is_heeded():
    script = Script(Response(503, {"error": "throttled"}, Retry_After="7"), GOOD)
    script.client.get("/x")
    assert 7 <= script.slept[0] <= 7.5


@pytest.mark.parametrize("asked", ["3600", "9" * 400])
def test_a_service_that_asks_for_too_much_patience_is_reported(asked):
    script = Script(Response(503, {"error": "throttled"}, Retry_After=asked), GOOD)
    with pytest.raises(UnavailableError, match="asks to wait") as caught:
        script.client.get("/x")
    assert caught.value.code == "throttled"
    assert script.slept == []


def test_a_certificate_that_does_not_verify_is_said_and_not_tried_again():
    script = Script(BAD_CERTIFICATE)
    with pytest.raises(ApiError, match="self-signed certificate.*ca_path") as caught:
        script.client.get("/x")
    assert caught.value.code == "tls"
    assert len(script.sent) == 1


@pytest.mark.parametrize("status", RETRIED + [400, 404, 501])
def test_a_post_is_sent_once_whatever_comes_back(status):
    script = Script(Response(status, Retry_After="1"))
    with pytest.raises(ApiError):
        script.client.post("/x", {})
    assert len(script.sent) == 1
    assert script.slept == []


@pytest.mark.parametrize(
    "response",
    [Response(s) for s in (408, 500, 502, 503, 504, 599)] + [Response(503, b"<h1>try later</h1>")],
    ids=lambda r: r.status_code,
)
def test_a_post_that_may_have_been_done_is_in_doubt(response):
    with pytest.raises(OutcomeUnknownError, match="may have been carried out") as caught:
        Script(response).client.post("/x", {})
    assert caught.value.code == "outcome_unknown"


@pytest.mark.parametrize(
    "response, code",
    [
        (Response(400, {"error": "bad_request"}), "bad_request"),
        (Response(401), "refused"),
        (Response(402, {"error": "trial_expired"}), "trial_expired"),
        (Response(403), "refused"),
        (Response(404), "not_found"),
        (Response(409), "api_error"),
        (Response(429), "throttled"),
        (Response(503, {"error": "throttled"}), "throttled"),
        (Response(503, {"error": "not_implemented"}), "unsupported"),
    ],
)
def test_a_post_that_was_refused_is_not_in_doubt(response, code):
    with pytest.raises(BackupError) as caught:
        Script(response).client.post("/x", {})
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "error", [REFUSED, NO_CONNECTION_IN_TIME, BAD_CERTIFICATE], ids=["refused", "connect-timeout", "certificate"]
)
def test_a_post_without_a_connection_was_not_sent(error):
    with pytest.raises(ApiError) as caught:
        Script(error).client.post("/x", {})
    assert not isinstance(caught.value, OutcomeUnknownError)


@pytest.mark.parametrize(
    "error",
    [RESET, NO_ANSWER_IN_TIME, BROKEN_OFF, TLS_BROKE_LATER, IN_THE_ANSWER],
    ids=["reset", "read-timeout", "broken-off", "tls-broke", "tls-alert-in-answer"],
)
def test_a_post_whose_connection_broke_is_in_doubt(error):
    with pytest.raises(OutcomeUnknownError):
        Script(error).client.post("/x", {})


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff"])
def test_a_success_of_a_post_that_cannot_be_read_is_in_doubt(body):
    with pytest.raises(OutcomeUnknownError):
        Script(Response(200, body)).client.post("/x", {})


@pytest.mark.parametrize(
    "body, kind", [(b"", None), (b"<html>login</html>", "text/html; charset=x"), (b"{", "application/json")]
)
def test_a_get_that_is_no_json_asks_about_the_address(body, kind):
    with pytest.raises(ApiError, match="not JSON.*is api_url the API's address") as caught:
        Script(Response(200, body, kind)).client.get("/x")
    assert caught.value.code == "not_json"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_credentials_do_not_follow_redirects(status):
    script = Script(Response(status, Location="https://evil.example/x?token=1"))
    with pytest.raises(ApiError, match="redirected to host evil.example") as caught:
        script.client.get("/x")
    assert caught.value.code == "redirected"
    assert "token" not in caught.value.message
    assert len(script.sent) == 1


def test_a_header_that_cannot_be_sent_is_an_error_of_its_own():
    script = Script(requests.exceptions.InvalidHeader("Bearer secret\n"))
    with pytest.raises(ApiError) as caught:
        script.client.get("/x")
    assert "secret" not in caught.value.message
    assert len(script.sent) == 1


# -- a real server, as small as can be ---------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        body = json.dumps({"response": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "session=1")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.seen.append((self.command, self.path, json.loads(self.rfile.read(length).decode())))
        # No answer: the connection is closed on a request that was read.
        self.close_connection = True

    def log_message(self, *args):
        pass


class Server(HTTPServer):
    # All threads may knock before the first is let in: a connection that finds no place is tried again a second later.
    request_queue_size = 128


@pytest.fixture(autouse=True)
def no_proxy_in_between(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    server = Server(("127.0.0.1", 0), Handler)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = "http://127.0.0.1:%d" % server.server_port
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def real_client(url, **settings):
    settings.setdefault("retries", 0)
    return http.HttpClient(url, ("Authorization", "Bearer tok"), headers={"X-Account": "7"}, timeout=60, **settings)


def test_what_is_really_sent(server, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client = real_client(server.url + "/api/3/")
    assert client.get("/stacks/a%2Fb/backups", {"page": 2}).data == {"response": []}
    client.get("/stacks")
    (method, path, headers), (_method, _path, later) = server.seen
    assert (method, path) == ("GET", "/api/3/stacks/a%2Fb/backups?page=2")
    assert headers["Authorization"] == "Bearer tok", "our credential, not that of ~/.netrc"
    assert headers["X-Account"] == "7"
    assert headers["Accept"] == "application/json"
    assert headers["Request-Id"] != later["Request-Id"]
    assert "Cookie" not in later


def test_every_answer_reaches_the_one_who_listens_for_warnings(server):
    heard = []
    real_client(server.url, on_response=lambda response: heard.append(response.headers["Set-Cookie"])).get("/x")
    assert heard == ["session=1"]


def test_a_header_that_cannot_be_sent_does_not_show_its_value(server):
    client = http.HttpClient(server.url, ("Authorization", "Bearer secret\nX-Other: 1"), retries=5)
    with pytest.raises(ApiError) as caught:
        client.get("/x")
    assert "secret" not in caught.value.message
    assert server.seen == []


def test_calls_of_several_threads_do_not_mix(server):
    client = real_client(server.url)
    threads = [threading.Thread(target=client.get, args=("/x/%d" % number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(call[1] for call in server.seen) == sorted("/x/%d" % number for number in range(20))
    assert len({call[2]["Request-Id"] for call in server.seen}) == 20


def test_a_post_that_was_read_and_not_answered_is_in_doubt_and_sent_once(server):
    with pytest.raises(OutcomeUnknownError, match="closed the connection"):
        real_client(server.url, retries=5).post("/x", {"a": 1})
    assert [call[0] for call in server.seen] == ["POST"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_nobody_there_is_not_in_doubt():
    url = "http://127.0.0.1:%d" % free_port()
    with pytest.raises(UnavailableError, match="no connection to 127.0.0.1:.*Connection refused") as caught:
        real_client(url).post("/x", {})
    assert not isinstance(caught.value, OutcomeUnknownError)


def test_a_server_that_says_nothing_runs_into_the_timeout():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        client = http.HttpClient("http://127.0.0.1:%d" % listener.getsockname()[1], ("A", "b"), timeout=0.2, retries=0)
        with pytest.raises(UnavailableError, match="did not answer within 0.2 s"):
            client.get("/x")
        with pytest.raises(OutcomeUnknownError, match="did not answer"):
            client.post("/x", {})


def test_plain_http_where_tls_is_meant_is_told(server):
    with pytest.raises(ApiError) as caught:
        real_client(server.url.replace("http:", "https:")).get("/x")
    assert caught.value.code == "tls"


# -- other services ----------------------------------------------------------------------------------------------------


class Renewable:
    """A credential that can be renewed so many times."""

    header_name = "X-Auth-Token"

    def __init__(self, times=1):
        self.number, self.times, self.stale = 1, times, []

    def header(self):
        return (self.header_name, "t-%d" % self.number)

    def renew(self, value):
        self.stale.append(value)
        self.number += 1
        return self.number <= self.times + 1


class Refusing(Response):
    def __init__(self, token, *args, **headers):
        super().__init__(*args, **headers)
        self.request = type("Request", (), {"headers": {"X-Auth-Token": token}})


def renewing(*answers, **settings):
    script = Script(*answers)
    credential = Renewable(**settings)
    script.client._credential, script.client._renewable = credential, True
    return script, credential


def test_a_refused_credential_is_renewed_once_for_a_read():
    script, credential = renewing(Refusing("t-1", 401), GOOD)
    assert script.client.get("/x").data == {"response": 1}
    assert credential.stale == ["t-1"] and script.slept == []


@pytest.mark.parametrize("times, sent", [(1, 2), (0, 1)])
def test_what_a_fresh_credential_does_not_cure_is_refused(times, sent):
    script, credential = renewing(Refusing("t-1", 401), times=times)
    with pytest.raises(AuthError):
        script.client.get("/x")
    assert len(script.sent) == sent and len(credential.stale) == 1


def test_a_credential_that_is_not_at_fault_is_not_renewed():
    script, credential = renewing(Refusing("t-1", 401))
    script.client._problem_of = lambda call, response: AuthError("no account", code="no_object_store")
    with pytest.raises(AuthError, match="no account"):
        script.client.get("/x")
    assert len(script.sent) == 1 and credential.stale == []


def test_no_credential_is_asked_for_to_renew_the_one_that_was_sent():
    script, credential = renewing(Refusing("t-1", 401), GOOD)
    credential.header = None
    script.client.get("/x")
    assert credential.stale == ["t-1"]


def test_a_write_is_not_sent_again_with_a_fresh_credential():
    script, credential = renewing(Refusing("t-1", 401))
    with pytest.raises(AuthError):
        script.client.post("/x", {})
    assert len(script.sent) == 1 and credential.stale == []


@pytest.mark.parametrize("method", ["post", "put", "delete"])
@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_every_write_is_sent_once(method, status):
    script = Script(Response(status))
    with pytest.raises(OutcomeUnknownError):
        getattr(script.client, method)("/x")
    assert script.sent == [(method.upper(), "/x")]


def test_an_answer_may_be_empty_where_that_is_said():
    assert Script(Response(202)).client.delete("/x").data is None
    assert Script(Response(202)).client.put("/x", {}, empty=True).data is None
    with pytest.raises(OutcomeUnknownError):
        Script(Response(202)).client.put("/x", {})


def test_a_head_is_a_read_without_a_body():
    script = Script(Response(503), Response(200, ETag="abc"))
    assert script.client.head("/x").headers["ETag"] == "abc"
    assert script.sent == [("HEAD", "/x")] * 2


def test_413_is_waited_for_only_where_it_says_how_long():
    script = Script(Response(413, Retry_After="3"), GOOD)
    script.client.get("/x")
    assert len(script.slept) == 1 and 3 <= script.slept[0] <= 3.5
    with pytest.raises(ApiError) as caught:
        Script(Response(413, {"overLimit": {"code": 413, "message": "Quota exceeded"}})).client.get("/x")
    assert not isinstance(caught.value, UnavailableError)
    assert caught.value.code == "over_limit" and "Quota exceeded" in caught.value.message


def test_a_service_may_read_its_errors_itself():
    problem = NotFoundError("there is no such backup")
    script = Script(Response(500), problem_of=lambda call, response: problem)
    with pytest.raises(NotFoundError, match="there is no such backup"):
        script.client.get("/x")
    assert len(script.sent) == 1 and script.slept == []
    with pytest.raises(NotFoundError):
        script.client.post("/x", {})


@pytest.mark.parametrize(
    "body, code, text",
    [
        ({"itemNotFound": {"code": 404, "message": "No such thing"}}, "itemNotFound", "No such thing"),
        ({"error": {"code": 404, "title": "NotFound", "message": "No such thing"}}, "NotFound", "No such thing"),
        ({"error": {"code": 404}}, None, "404"),
    ],
)
def test_the_errors_of_openstack(body, code, text):
    word, said = http.said_of(Response(400, body))
    assert word == code and text in said
