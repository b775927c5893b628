# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the API is reached: whom the client trusts, which way it goes, and what of it is shared by the workers."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from ansible_collections.restorable.backups.plugins.module_utils import _http as http
from ansible_collections.restorable.backups.plugins.module_utils._errors import ApiError, OptionError, UnavailableError

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
    http._tls_context.cache_clear()
    yield
    http._tls_context.cache_clear()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(f"GET {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_CONNECT(self):
        """Be a proxy: join the two connections until one of them ends."""
        self.server.seen.append(f"CONNECT {self.path}")
        host, _colon, port = self.path.partition(":")
        with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as other:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pour, args=(other, self.connection))
            back.start()
            pour(self.connection, other)
            back.join()
        self.close_connection = True

    def log_message(self, *args):
        pass


def pour(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def serve():
    """Starts servers: ``serve()`` is plain, ``serve(authority, "name")`` has a certificate for that name."""
    servers = []

    def start(authority=None, name="localhost"):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.seen, server.daemon_threads = [], True
        # Clients that refuse the certificate hang up.
        server.handle_error = lambda *about: None
        scheme = "http"
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(name).configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        server.url = f"{scheme}://localhost:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def bundle(authority, tmp_path):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def client(server, **settings):
    return http.HttpClient(server.url, ("Authorization", "Bearer t"), timeout=60, retries=0, **settings)


def refused(server, **settings):
    with pytest.raises(ApiError) as caught:
        client(server, **settings).get("/x")
    assert caught.value.code == "tls"
    assert server.seen == []


# -- trust -------------------------------------------------------------------------------------------------------------


def test_a_private_authority_is_trusted_by_ca_path_alone(serve, authority, bundle):
    server = serve(authority)
    refused(server)
    assert client(server, ca_path=str(bundle)).get("/x").data == {}


def test_ca_path_may_be_a_folder(serve, authority, tmp_path):
    refused(serve(authority), ca_path=str(tmp_path))


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_of_the_environment_is_trusted(serve, authority, bundle, monkeypatch, name):
    monkeypatch.setenv(name, str(bundle))
    assert client(serve(authority)).get("/x").data == {}


def test_ca_path_wins_over_the_environment(serve, authority, bundle, monkeypatch, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    refused(serve(authority), ca_path=str(other))


def test_a_certificate_for_another_name_is_refused(serve, authority, bundle):
    refused(serve(authority, "elsewhere.example"), ca_path=str(bundle))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_who_does_not_validate_trusts_anybody(serve, authority, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/does/not/exist")
    assert client(serve(authority, "elsewhere.example"), validate_certs=False).get("/x").data == {}


def test_validating_and_not_validating_do_not_share_anything(serve, authority):
    server = serve(authority)
    client(server, validate_certs=False)
    refused(server)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_bundle_that_cannot_be_read_names_its_option(tmp_path, content):
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OptionError, match="^ca_path: .*bundle.pem"):
        http.HttpClient("https://x.example", ("A", "b"), ca_path=str(path))


def test_a_broken_bundle_of_the_environment_hurts_only_those_who_need_it(serve, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/does/not/exist")
    http.warm_up()
    assert client(serve()).get("/x").data == {}
    with pytest.raises(OptionError, match="/does/not/exist"):
        http.HttpClient("https://x.example", ("A", "b"))


# -- the way -----------------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used_but_not_for_its_exceptions(serve, monkeypatch):
    proxy, server = serve(), serve()
    monkeypatch.setenv("http_proxy", proxy.url)
    client(server).get("/x")
    assert (proxy.seen, server.seen) == ([f"GET {server.url}/x"], [])
    monkeypatch.setenv("no_proxy", "localhost")
    client(server).get("/x")
    assert (len(proxy.seen), server.seen) == (1, ["GET /x"])


def test_through_a_proxy_the_certificate_is_still_that_of_the_service(serve, authority, bundle, monkeypatch):
    proxy, server = serve(), serve(authority)
    monkeypatch.setenv("https_proxy", proxy.url)
    assert client(server, ca_path=str(bundle)).get("/x").data == {}
    assert proxy.seen == [f"CONNECT localhost:{server.server_port}"]
    assert server.seen == ["GET /x"]
    with pytest.raises(ApiError) as caught:
        client(server).get("/x")
    assert caught.value.code == "tls"


def test_a_proxy_that_is_not_there_is_told(serve, monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(UnavailableError, match="proxy"):
            client(serve()).get("/x")


# -- what workers share ------------------------------------------------------------------------------------------------


def test_workers_that_are_forked_do_not_read_the_authorities_again(serve, authority, bundle, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    server = serve(authority)
    http.warm_up()
    bundle.unlink()
    worker = os.fork()
    if worker == 0:
        # Nothing of pytest may run in the child.
        code = 1
        try:
            code = int(client(server).get("/x").data != {})
        finally:
            os._exit(code)
    assert os.waitpid(worker, 0)[1] == 0
    assert server.seen == ["GET /x"]
