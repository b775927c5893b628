# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The relay on the controller: what the storage answers arrives as it is, the credential goes to the storage alone."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import FileAccess
from ansible_collections.restorable.backups.plugins.module_utils._receive import _storage as storage_module
from ansible_collections.restorable.backups.plugins.plugin_utils import _relay as relay_module
from ansible_collections.restorable.backups.plugins.plugin_utils._relay import Relay
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.receive_storage import FakeStorage

KEY = "k3y-that-nobody-may-see"
CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def storage():
    fake = FakeStorage()
    fake.contents["/file"] = CONTENT
    yield fake
    fake.close()


@pytest.fixture
def relay():
    made = Relay(storage_module.Storage(timeout=60), 4)
    yield made
    made.close()


def access(storage, path="/file"):
    return FileAccess(storage.url(path), {"X-Api-Key": KEY})


def ask(url, method="GET", **headers):
    """(status, headers, body) of a request that knows no proxy."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request(method, parts.path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_a_file_arrives_as_it_is(relay, storage):
    status, headers, body = ask(relay.url_for(access(storage)), Cookie="x", X_Other="y")
    assert (status, body == CONTENT) == (200, True)
    assert headers["ETag"].startswith('"') and headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Length"] == str(len(CONTENT))
    (request,) = storage.requests
    assert request["headers"]["X-Api-Key"] == KEY
    # What else the module, or whoever it is, sends stays here.
    assert not {"Cookie", "X-Other"} & set(request["headers"])


def test_a_part_of_a_file(relay, storage):
    etag = ask(relay.url_for(access(storage)))[1]["ETag"]
    status, headers, body = ask(relay.url_for(access(storage)), Range="bytes=1000-", If_Range=etag)
    assert (status, body == CONTENT[1000:]) == (206, True)
    assert headers["Content-Range"] == "bytes 1000-%d/%d" % (len(CONTENT) - 1, len(CONTENT))
    assert ask(relay.url_for(access(storage)), Range="bytes=1000-", If_Range='"old"')[0] == 200


@pytest.mark.parametrize("fault", [{"chunked": True}, {"no_length": True}])
def test_lengths_that_are_not_announced(relay, storage, fault):
    storage.always = fault
    _status, headers, body = ask(relay.url_for(access(storage)))
    assert body == CONTENT
    assert ("Transfer-Encoding" in headers, "Content-Length" in headers) == ("chunked" in fault, False)


@pytest.mark.parametrize("status", [401, 403, 404, 416, 503])
def test_refusals_are_passed_on_without_the_credential(relay, storage, status):
    page = b"<Error><Code>No</Code><Message>the key %s is no good</Message></Error>" % KEY.encode()
    storage.faults["/file"] = [{"status": status, "body": page}]
    found, headers, body = ask(relay.url_for(access(storage)))
    assert found == status
    assert body == page.replace(KEY.encode(), b"...")
    assert headers["Content-Length"] == str(len(body))


def test_headers_that_quote_the_credential_stay_here(relay, storage):
    storage.always = {"kind": "text/" + KEY}
    assert KEY not in str(ask(relay.url_for(access(storage)))[1])


def test_a_body_that_breaks_off_breaks_off(relay, storage):
    for fault in ({"cut": 5000}, {"cut": 5000, "chunked": True}):
        storage.faults["/file"] = [dict(fault, length=len(CONTENT))]
        if "chunked" in fault:
            # The last chunk, which says that it is the end, is missing.
            storage.faults["/file"] = [{"location": broken_chunks()}]
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            ask(relay.url_for(access(storage)))


def broken_chunks():
    """The address of a server that ends in the middle of a chunked body."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with listener, listener.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    threading.Thread(target=answer, daemon=True).start()
    return "http://127.0.0.1:%d/" % listener.getsockname()[1]


def test_redirects_are_followed_here_and_the_credential_stays(relay, storage):
    other = FakeStorage()
    other.contents["/elsewhere"] = b"x" * 1000
    storage.faults["/file"] = [{"location": other.url("/elsewhere")}]
    try:
        status, headers, body = ask(relay.url_for(access(storage)))
        assert (status, body, "Location" in headers) == (200, b"x" * 1000, False)
        assert [request["headers"].get("X-Api-Key") for request in other.requests] == [None]
    finally:
        other.close()


@pytest.mark.parametrize(
    "url, status, words",
    [
        ("http://127.0.0.1:1/x?Signature=sEcReT", 502, "the connection to storage 127.0.0.1 broke"),
        ("http://storage.example/x?Signature=sEcReT", 400, "without TLS"),
    ],
)
def test_what_cannot_be_asked_is_told_to_the_module(relay, url, status, words):
    found, _headers, body = ask(relay.url_for(FileAccess(url, {"X-Api-Key": KEY})))
    assert found == status
    assert words in body.decode() and "sEcReT" not in body.decode() and KEY not in body.decode()
    kind = {502: "transient", 400: "final"}[status]
    with pytest.raises(storage_module.StorageError) as caught:
        storage_module.Storage(proxies={}, name="db.example").open(relay.url_for(FileAccess(url, {"X-Api-Key": KEY})))
    assert (caught.value.kind, words in caught.value.message) == (kind, True)


def test_nobody_guesses_an_address(relay, storage):
    urls = {relay.url_for(access(storage)) for _count in range(50)}
    assert len(urls) == 50
    url = urls.pop()
    assert len(urlsplit(url).path) > 40
    assert urlsplit(url).hostname == "127.0.0.1"
    for wrong in (url[:-1], url + "x", url.rpartition("/")[0] + "/", url + "/"):
        assert ask(wrong)[0] == 404
    assert ask(url, method="POST")[0] == 501
    assert storage.requests == []


def test_an_address_dies_with_its_slice_and_the_relay_with_its_task(storage):
    relay = Relay(storage_module.Storage(timeout=60), 4)
    url = relay.url_for(access(storage))
    relay.cut()
    assert ask(url)[0] == 404
    fresh = relay.url_for(access(storage))
    assert ask(fresh)[0] == 200
    relay.close()
    with pytest.raises(OSError):
        ask(fresh)


def test_what_is_under_way_is_cut(storage):
    """Also where the storage is silent: nobody waits for it, and no thread stays."""
    storage.always = {"stall": 5000}
    before = threading.active_count()
    relay = Relay(storage_module.Storage(timeout=120), 2)
    connections = []
    for _count in range(2):
        parts = urlsplit(relay.url_for(access(storage)))
        connections.append(http.client.HTTPConnection(parts.hostname, parts.port, timeout=60))
        connections[-1].request("GET", parts.path)
        assert connections[-1].getresponse().read(5000)
    # All are taken: this one waits.
    waiting = socket.create_connection((parts.hostname, parts.port))
    begun = time.monotonic()
    relay.close()
    # Far less than the patience with a storage that says nothing.
    assert time.monotonic() - begun < 30
    waiting.close()
    for connection in connections:
        connection.close()
    storage.close()
    while threading.active_count() > before and time.monotonic() - begun < 60:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_no_more_are_served_at_a_time_than_agreed(storage, monkeypatch):
    relay = Relay(storage_module.Storage(timeout=60), 2)
    running, most, lock = [0], [0], threading.Lock()
    # Each waits for another one: of eight, all find one if two are served at a time.
    pair = threading.Barrier(2, timeout=60)
    pass_on = relay_module._pass_on

    def counted(*arguments):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        pair.wait()
        time.sleep(0.05)
        pass_on(*arguments)
        with lock:
            running[0] -= 1

    monkeypatch.setattr(relay_module, "_pass_on", counted)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(relay.url_for(access(storage)))[2] == CONTENT))
        for _count in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    relay.close()
    assert (found, most[0]) == ([True] * 8, 2)


def test_who_says_nothing_does_not_stay(storage, monkeypatch):
    monkeypatch.setattr(relay_module, "_PATIENCE", 0.2)
    relay = Relay(storage_module.Storage(timeout=60), 1)
    url = relay.url_for(access(storage))
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60) as silent:
        assert silent.recv(1) == b""
    # Its place is free again. Whoever speaks may be slow to do so on a busy machine.
    relay._server.RequestHandlerClass.timeout = 60
    assert ask(url)[0] == 200
    relay.close()
