# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens and addresses of a cloud: what is asked for, how often, what is kept, and what each mistake is called.

Keystone is a small server of this test's own, so that openstacksdk and keystoneauth1 do what they do elsewhere.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import stat
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import keystoneauth1.identity
import keystoneauth1.loading
import keystoneauth1.session
import openstack.config
import pytest
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    MissingLibraryError,
    OptionError,
    UnavailableError,
)
from ansible_collections.restorable.backups.plugins.module_utils._providers import Surroundings, _openstack
from ansible_collections.restorable.backups.plugins.module_utils._providers._openstack import (
    CloudAccess,
    Grant,
    OpenStackIdentity,
    endpoint_of,
)

# What ansible-test runs in a fork per test finds this loaded: that takes half a second, sixty times over.
LOADED = (keystoneauth1.identity, keystoneauth1.loading, keystoneauth1.session, openstack.config)

PASSWORD = "correct-horse"
ENDPOINTS = [
    ("database", "public", "RegionOne", "http://127.0.0.1:8779/v1.0/p1"),
    ("database", "internal", "RegionOne", "http://127.0.0.2:8779/v1.0/p1"),
    ("object-store", "public", "RegionOne", "http://127.0.0.1:8080/v1/AUTH_p1/"),
]


class Keystone:
    """Answers version discovery and token requests; counts them."""

    def __init__(self):
        self.calls, self.bodies, self.status, self.redirect, self.delay = [], [], 201, None, 0.0
        self.talking = threading.Event()
        self.talking.set()
        self.authorizations, self.retry_after = [], {}
        self.seconds, self.skew, self.issued, self.endpoints = 3600, 0, True, ENDPOINTS
        keystone = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                """Nothing on the terminal."""

            def reply(self, status, body, **headers):
                data = json.dumps(body).encode()
                self.send_response(status)
                headers = dict({"Content-Type": "application/json", "Content-Length": str(len(data))}, **headers)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                keystone.calls.append("GET " + self.path)
                keystone.authorizations.append(self.headers["Authorization"])
                links = [{"rel": "self", "href": keystone.url + "/"}]
                version = {"id": "v3.14", "status": "stable", "links": links}
                self.reply(200, {"version": version})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                keystone.calls.append("POST " + self.path)
                keystone.authorizations.append(self.headers["Authorization"])
                keystone.bodies.append(json.loads(body))
                time.sleep(keystone.delay)
                keystone.talking.wait(120)
                if keystone.redirect:
                    self.reply(302, {}, Location=keystone.redirect)
                elif keystone.status != 201:
                    error = {"code": keystone.status, "message": "no", "title": "No"}
                    self.reply(keystone.status, {"error": error}, **keystone.retry_after)
                else:
                    token = "token-%d" % keystone.asked
                    self.reply(201, {"token": keystone.token()}, X_Subject_Token=token)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A client that lost patience is no error of this server's.
        self.server.handle_error = lambda *about: None
        self.url = "http://127.0.0.1:%d/v3" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def asked(self):
        """How many tokens were asked for."""
        return len([call for call in self.calls if call.startswith("POST")])

    def token(self):
        now = datetime.now(timezone.utc) + timedelta(seconds=self.skew)
        found = {
            "methods": ["password"],
            "expires_at": (now + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "user": {"id": "u1", "name": "ann", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p1", "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "roles": [],
            "catalog": [
                {
                    "type": kind,
                    "name": kind,
                    "id": kind,
                    "endpoints": [
                        {"id": face + place, "interface": face, "region": place, "region_id": place, "url": url}
                        for other, face, place, url in self.endpoints
                        if other == kind
                    ],
                }
                for kind in sorted({endpoint[0] for endpoint in self.endpoints})
            ],
        }
        if self.issued:
            found["issued_at"] = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return found


@pytest.fixture
def keystone():
    made = Keystone()
    yield made
    made.server.shutdown()
    made.server.server_close()


class World:
    """A controller: its environment, its private folder, and what it was told to hide."""

    def __init__(self, folder, keystone):
        self.folder, self.keystone, self.hidden, self.pauses = folder, keystone, [], []
        self.environment = {"HOME": str(folder), "PATH": os.environ.get("PATH", "")}
        self.private_dir = str(folder / "private")
        os.mkdir(self.private_dir, 0o700)

    def auth(self, **changes):
        found = {
            "auth_url": self.keystone.url,
            "username": "ann",
            "password": PASSWORD,
            "project_name": "demo",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        found.update(changes)
        return {name: value for name, value in found.items() if value is not None}

    def clouds(self, text, name="clouds.yaml"):
        path = self.folder / name
        path.write_text(text)
        self.environment["OS_CLIENT_CONFIG_FILE"] = str(path)

    def cloud(self, **more):
        """A clouds.yaml with one cloud ``lab`` (JSON is YAML)."""
        self.clouds(json.dumps({"clouds": {"lab": dict({"auth": self.auth()}, **more)}}))

    def access(self, private=True, **given):
        names = ("cloud", "auth", "auth_type", "region_name", "interface", "ca_path", "client_cert", "client_key")
        params = dict.fromkeys(names)
        params.update(validate_certs=True, api_timeout=60.0, api_retries=0, allow_http=False)
        params.update(given)
        around = Surroundings(
            environment=self.environment, private_dir=self.private_dir if private else None, hide=self.hidden.append
        )
        return CloudAccess(OpenStackIdentity(params, around), params, around, sleep=self.pauses.append)


@pytest.fixture
def world(tmp_path, keystone):
    return World(tmp_path, keystone)


def everything_below(folder):
    return [os.path.join(base, name) for base, _folders, names in os.walk(str(folder)) for name in names]


# -- what is asked for -------------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_something_is_wanted(world):
    access = world.access(auth=world.auth())
    assert world.keystone.calls == []
    assert access.header() == ("X-Auth-Token", "token-1")
    assert access.endpoint("database") == "http://127.0.0.1:8779/v1.0/p1"
    assert access.endpoint("object-store") == "http://127.0.0.1:8080/v1/AUTH_p1"
    assert world.keystone.calls == ["GET /v3", "POST /v3/auth/tokens"]
    assert "token-1" in world.hidden


def test_a_cloud_by_its_name(world):
    world.cloud(region_name="RegionOne", interface="internal")
    access = world.access(cloud="lab")
    assert access.endpoint("database") == "http://127.0.0.2:8779/v1.0/p1"
    assert world.keystone.bodies[0]["auth"]["identity"]["password"]["user"]["name"] == "ann"
    assert PASSWORD in world.hidden


def test_a_cloud_by_the_variable_of_the_task(world):
    world.cloud()
    world.environment["OS_CLOUD"] = "lab"
    assert world.access().header() == ("X-Auth-Token", "token-1")


def test_a_cloud_as_a_dict_needs_no_file_and_heeds_no_variable(world):
    world.environment["OS_CLOUD"] = "elsewhere"
    world.environment["OS_USERNAME"] = "somebody"
    access = world.access(cloud={"auth": world.auth(), "interface": "internal"})
    assert access.endpoint("database").startswith("http://127.0.0.2")
    assert world.keystone.bodies[0]["auth"]["identity"]["password"]["user"]["name"] == "ann"


def test_options_stand_above_the_file(world):
    world.cloud(interface="internal")
    access = world.access(cloud="lab", interface="public", auth={"username": "bob"})
    assert access.endpoint("database").startswith("http://127.0.0.1")
    assert world.keystone.bodies[0]["auth"]["identity"]["password"]["user"]["name"] == "bob"


def test_variables_alone_are_enough(world):
    for name, value in world.auth().items():
        world.environment["OS_" + name.upper()] = value
    before = dict(os.environ)
    assert world.access().header() == ("X-Auth-Token", "token-1")
    assert dict(os.environ) == before
    assert PASSWORD in world.hidden


def test_an_application_credential(world):
    auth = {
        "auth_url": world.keystone.url,
        "application_credential_id": "ac1",
        "application_credential_secret": "hush",
    }
    world.access(auth=auth, auth_type="v3applicationcredential").header()
    assert world.keystone.bodies[0]["auth"]["identity"] == {
        "methods": ["application_credential"],
        "application_credential": {"id": "ac1", "secret": "hush"},
    }
    assert "hush" in world.hidden


def test_an_address_in_clouds_yaml_stands_in_for_the_catalog(world):
    world.cloud(database_endpoint_override="http://127.0.0.9:1/v1.0/p1/")
    assert world.access(cloud="lab").endpoint("database") == "http://127.0.0.9:1/v1.0/p1"


def test_tls_settings_come_from_clouds_yaml_and_the_options(world, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_text("x")
    world.cloud(cacert=str(authority))
    assert world.access(cloud="lab").grant().ca_path == str(authority)
    world.cloud(verify=False)
    assert not world.access(cloud="lab").grant().validate_certs
    world.cloud()
    assert not world.access(cloud="lab", validate_certs=False).grant().validate_certs


# -- once for a run ----------------------------------------------------------------------------------------------------


def test_another_process_needs_neither_a_token_nor_the_library(world, monkeypatch):
    world.access(auth=world.auth()).header()
    monkeypatch.setitem(sys.modules, "openstack", None)
    monkeypatch.setitem(sys.modules, "keystoneauth1", None)
    again = world.access(auth=world.auth())
    assert again.header() == ("X-Auth-Token", "token-1")
    assert again.endpoint("database") == "http://127.0.0.1:8779/v1.0/p1"
    assert world.keystone.asked == 1
    assert world.hidden.count("token-1") == 2


def _ask(world, gate, answers):
    gate.wait(10)
    answers.put(world.access(auth=world.auth()).header()[1])


def test_fifty_that_begin_at_once_ask_for_one_token(world):
    world.keystone.delay = 0.3
    fork = multiprocessing.get_context("fork")
    gate, answers = fork.Event(), fork.Queue()
    processes = [fork.Process(target=_ask, args=(world, gate, answers)) for _number in range(50)]
    for process in processes:
        process.start()
    gate.set()
    found = [answers.get(timeout=60) for _process in processes]
    for process in processes:
        process.join(10)
    assert set(found) == {"token-1"}
    assert world.keystone.asked == 1


def test_what_is_kept_lies_in_the_private_folder_and_is_for_this_user_alone(world, tmp_path):
    world.access(auth=world.auth()).header()
    holding = [path for path in everything_below(tmp_path) if "token-1" in open(path).read()]
    assert len(holding) == 1 and holding[0].startswith(world.private_dir + os.sep)
    assert stat.S_IMODE(os.stat(holding[0]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(holding[0])).st_mode) == 0o700
    assert not [path for path in everything_below(tmp_path) if PASSWORD in open(path).read()]


def test_without_a_private_folder_nothing_is_written(world, tmp_path):
    world.access(private=False, auth=world.auth()).header()
    assert everything_below(tmp_path) == []
    world.access(private=False, auth=world.auth()).header()
    assert world.keystone.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        {"auth": {"project_name": "other"}},
        {"auth": {"password": "another"}},
        {"interface": "internal"},
        {"validate_certs": False},
    ],
)
def test_another_account_gets_a_token_of_its_own(world, other):
    world.access(auth=world.auth()).header()
    auth = world.auth(**other.pop("auth", {}))
    assert world.access(auth=auth, **other).header() == ("X-Auth-Token", "token-2")


def test_another_environment_or_file_is_another_account(world):
    world.cloud()
    world.access(cloud="lab").header()
    world.environment["OS_USERNAME"] = "bob"
    assert world.access(cloud="lab").header()[1] == "token-2"
    world.cloud(region_name="RegionOne")
    assert world.access(cloud="lab").header()[1] == "token-3"


def test_a_spoilt_note_is_as_good_as_none(world):
    world.access(auth=world.auth()).header()
    (path,) = [path for path in everything_below(world.private_dir) if path.endswith(".json")]
    for text in ("", "{", "[]", '{"grant": {"token": 1}, "when": 1}', '{"failure": {}, "when": 1}'):
        with open(path, "w") as handle:
            handle.write(text)
        assert world.access(auth=world.auth()).header()[0] == "X-Auth-Token"
    assert world.keystone.asked == 6


def test_a_folder_that_cannot_be_used_only_costs_more_token_requests(world):
    os.rmdir(world.private_dir)
    with open(world.private_dir, "w"):
        pass
    for number in (1, 2):
        assert world.access(auth=world.auth()).header()[1] == "token-%d" % number


@pytest.mark.parametrize("function", ["fcntl.flock", "json.dump", "os.replace"])
def test_a_disk_that_is_full_or_takes_no_locks_leaves_nothing_behind(world, monkeypatch, function):
    def fail(*_about):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(function, fail)
    assert world.access(auth=world.auth()).header()[1] == "token-1"
    kept = [path for path in everything_below(world.private_dir) if not path.endswith((".json", ".lock"))]
    assert kept == []


# -- renewal -----------------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_before_it_expires(world, monkeypatch):
    world.keystone.seconds = 600
    access = world.access(auth=world.auth())
    access.header()
    now = time.time()
    monkeypatch.setattr(_openstack.time, "time", lambda: now + 530)
    assert access.header()[1] == "token-1"
    assert access.grant(300).token == "token-2", "a download wants a token that lives longer"
    monkeypatch.setattr(_openstack.time, "time", lambda: now + 530 + 560)
    assert access.header()[1] == "token-3"


def test_tokens_that_never_live_long_are_used_all_the_same(world):
    world.keystone.seconds = 20
    access = world.access(auth=world.auth())
    assert [access.header()[1] for _try in range(3)] == ["token-1"] * 3
    assert access.grant(600).token == "token-1"


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_the_clock_of_the_service_does_not_matter(world, skew):
    world.keystone.skew = skew
    access = world.access(auth=world.auth())
    access.header()
    access.header()
    assert world.keystone.asked == 1
    assert abs(access.grant().expires - time.time() - 3600) < 60


def test_a_refused_token_is_replaced_once_for_all(world):
    one, other = world.access(auth=world.auth()), world.access(auth=world.auth())
    stale = one.header()[1]
    assert other.header()[1] == stale
    assert one.renew(stale) and one.header()[1] == "token-2"
    assert other.renew(stale) and other.header()[1] == "token-2", "what another process renewed is taken"
    assert world.keystone.asked == 2


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_tried_once_for_the_whole_run(world):
    world.keystone.status = 401
    for _host in range(3):
        with pytest.raises(AuthError, match="does not accept the credentials.*check auth") as caught:
            world.access(auth=world.auth(), api_retries=3).header()
        assert PASSWORD not in str(caught.value)
    assert world.keystone.asked == 1
    world.keystone.status = 201
    assert world.access(auth=world.auth(password="mended")).header()[0] == "X-Auth-Token"


def test_a_service_that_fails_for_a_moment_is_asked_again(world):
    world.keystone.status = 503
    with pytest.raises(UnavailableError, match="answered 503"):
        world.access(auth=world.auth(), api_retries=2).header()
    assert world.keystone.asked == 3 and len(world.pauses) == 2
    world.keystone.status = 201
    assert world.access(auth=world.auth()).header()[0] == "X-Auth-Token"


@pytest.mark.parametrize("status", [413, 429, 503])
def test_a_service_that_is_asked_too_often_is_waited_for(world, status):
    world.keystone.status, world.keystone.retry_after = status, {"Retry_After": "7"}
    with pytest.raises(UnavailableError, match="answered %d" % status):
        world.access(auth=world.auth(), api_retries=1).header()
    (pause,) = world.pauses
    assert world.keystone.asked == 2 and 7 <= pause <= 7.5


def test_a_service_that_wants_to_be_waited_for_too_long_is_reported(world):
    world.keystone.status, world.keystone.retry_after = 429, {"Retry_After": "3600"}
    with pytest.raises(UnavailableError, match=r"answered 429 \(it asks to wait 1h\)"):
        world.access(auth=world.auth(), api_retries=3).header()
    assert world.keystone.asked == 1 and world.pauses == []


def test_a_quota_that_is_used_up_is_not_waited_for(world):
    world.keystone.status = 413
    with pytest.raises(ApiError, match="answered 413"):
        world.access(auth=world.auth(), api_retries=3).header()
    assert world.keystone.asked == 1


def test_no_connection(world):
    world.keystone.server.shutdown()
    world.keystone.server.server_close()
    with pytest.raises(UnavailableError, match="No connection to the identity service at 127.0.0.1"):
        world.access(auth=world.auth()).header()


def test_a_timeout_is_obeyed(world):
    # No word before the client has given up: no clock is needed to tell, and loading the library may take its time.
    world.keystone.talking.clear()
    with pytest.raises(UnavailableError, match="did not answer in time"):
        world.access(auth=world.auth(), api_timeout=0.3).header()
    world.keystone.talking.set()


def test_a_certificate_that_is_not_accepted(world):
    # What answers is not even TLS.
    with pytest.raises(ApiError, match="TLS certificate of 127.0.0.1") as caught:
        world.access(auth=world.auth(auth_url=world.keystone.url.replace("http:", "https:"))).header()
    assert caught.value.code == "tls"


def test_an_address_that_is_no_identity_service(world):
    world.keystone.status = 404
    with pytest.raises(ApiError, match="There is no identity service at .*: check auth_url in auth"):
        world.access(auth=world.auth()).header()


def test_a_password_follows_no_redirect(world):
    other = Keystone()
    world.keystone.redirect = other.url + "/auth/tokens"
    try:
        with pytest.raises(ApiError):
            world.access(auth=world.auth()).header()
        assert other.calls == []
    finally:
        other.server.shutdown()
        other.server.server_close()


def test_what_netrc_holds_is_not_for_the_identity_service(world, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    world.environment["NETRC"] = str(netrc)
    world.access(auth=world.auth()).header()
    assert world.keystone.authorizations == [None, None]


@pytest.mark.parametrize("place", ["auth", "cloud"])
def test_no_password_goes_over_a_network_in_clear(world, place):
    auth = world.auth(auth_url="http://keystone.example:5000/v3")
    given = {"auth": auth} if place == "auth" else {"cloud": {"auth": auth}}
    with pytest.raises(OptionError, match="^%s: http:// to keystone.example would send credentials in clear" % place):
        world.access(**given).header()


def test_nor_does_it_where_the_service_itself_leads(world):
    class Plugin:
        """As one that was told another address by the service."""

        def get_access(self, session):
            session.post("http://keystone.example:5000/v3/auth/tokens", json={"password": PASSWORD})

    params = {"api_timeout": 1, "allow_http": False}
    with pytest.raises(OptionError, match="^auth: http:// to keystone.example"):
        _openstack.ask_keystone(Plugin(), True, None, params, "auth", world.keystone.url)


def test_nor_does_a_token(world):
    world.keystone.endpoints = [("database", "public", "RegionOne", "http://trove.example/v1.0/p1")]
    with pytest.raises(OptionError, match="^allow_http: http:// to trove.example"):
        world.access(auth=world.auth()).endpoint("database")
    assert world.access(auth=world.auth(), allow_http=True).endpoint("database") == "http://trove.example/v1.0/p1"


def test_an_unknown_cloud_names_the_known_ones(world):
    world.cloud()
    with pytest.raises(OptionError, match="^cloud: .*clouds.yaml has no cloud named nope; it has: lab$"):
        world.access(cloud="nope").header()
    assert world.keystone.calls == []


def test_an_unknown_cloud_without_a_file(world, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if os.path.exists("/etc/openstack/clouds.yaml"):
        pytest.fail("this machine has clouds of its own: run the tests elsewhere")
    with pytest.raises(OptionError, match="^cloud: no clouds.yaml was found"):
        world.access(cloud="lab").header()


def test_a_file_that_is_no_yaml_is_named_and_not_quoted(world):
    world.clouds("clouds:\n  lab: {password: %s\n" % PASSWORD)
    with pytest.raises(OptionError, match=r"^cloud: .*clouds.yaml is not YAML \(line \d+\)$") as caught:
        world.access(cloud="lab").header()
    assert PASSWORD not in str(caught.value)


def test_nothing_to_log_in_with(world, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="^auth: .*is not given: set cloud, auth, OS_CLOUD"):
        world.access().header()
    with pytest.raises(OptionError, match="^auth: .*auth_url.* is not given"):
        world.access(auth={"username": "ann", "password": "x"}).header()


@pytest.mark.parametrize(
    "given, option",
    [
        ({"cloud": {"auth": {}}, "auth": {}}, "auth"),
        ({"cloud": {"auth": {}}, "auth_type": "password"}, "auth_type"),
        ({"cloud": ["lab"]}, "cloud"),
    ],
)
def test_options_that_cannot_be_meant(world, given, option):
    with pytest.raises(OptionError, match="^%s: " % option):
        world.access(**given)


def test_an_unknown_way_to_log_in(world):
    with pytest.raises(OptionError, match="^auth_type: .*telepathy"):
        world.access(auth=world.auth(), auth_type="telepathy").header()


def test_a_file_named_in_clouds_yaml_that_is_missing(world):
    world.cloud(cacert="/nowhere/ca.pem")
    with pytest.raises(OptionError, match="^cloud: .*/nowhere/ca.pem"):
        world.access(cloud="lab").header()


def test_the_missing_library_is_named(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "openstack", None)
    monkeypatch.setitem(sys.modules, "openstack.config", None)
    with pytest.raises(MissingLibraryError, match="openstacksdk"):
        world.access(auth=world.auth()).header()


def test_no_secret_is_logged(world, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        world.access(auth=world.auth()).header()
        world.keystone.status = 401
        with pytest.raises(AuthError):
            world.access(auth=world.auth(project_name="other")).header()
    said = caplog.text + "".join(capfd.readouterr())
    assert "token-1" not in said and PASSWORD not in said


# -- the catalog -------------------------------------------------------------------------------------------------------


def grant(*endpoints, **fields):
    catalog = [dict(zip(("type", "interface", "region", "url"), endpoint)) for endpoint in endpoints]
    return Grant("t", 0.0, 0.0, catalog, **fields)


def test_an_endpoint_that_is_missing_says_what_there_is():
    with pytest.raises(
        ApiError, match="type database, interface public, region any; it has: identity, object-store"
    ) as e:
        endpoint_of(grant(("identity", "public", "A", "u"), ("object-store", "public", "A", "u")), "database")
    assert e.value.code == "no_endpoint"
    with pytest.raises(ApiError, match="interface internal, region B; it has this service as: public in A"):
        endpoint_of(grant(("database", "public", "A", "u"), region="B", interface="internal"), "database")
    with pytest.raises(ApiError, match="it is empty: is a project named"):
        endpoint_of(grant(), "database")


def test_several_regions_are_not_chosen_from():
    both = [("database", "public", "A", "http://a/"), ("database", "public", "B", "http://b/")]
    with pytest.raises(OptionError, match="^region_name: .*name one: A, B"):
        endpoint_of(grant(*both), "database")
    assert endpoint_of(grant(*both, region="B"), "database") == "http://b"


# -- what tells accounts apart -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, environment, expected",
    [
        ({"cloud": "lab"}, {}, "openstack#cloud:lab#"),
        ({"cloud": "lab", "region_name": "A"}, {}, "openstack#cloud:lab#A"),
        ({}, {"OS_CLOUD": "lab", "OS_REGION_NAME": "B"}, "openstack#cloud:lab#B"),
        (
            {"auth": {"auth_url": "https://K.example/v3/", "project_name": "p", "username": "u", "password": "x"}},
            {},
            "openstack#https://k.example/v3#p/u#",
        ),
        (
            {"cloud": {"auth": {"auth_url": "https://k", "project_id": "1"}, "region_name": "C"}},
            {},
            "openstack#https://k#1#C",
        ),
        ({}, {"OS_AUTH_URL": "https://k", "OS_PROJECT_ID": "2"}, "openstack#https://k#2#"),
    ],
)
def test_accounts_have_addresses_without_asking(world, given, environment, expected):
    world.environment.update(environment)
    names = ("cloud", "auth", "auth_type", "region_name", "interface")
    identity = OpenStackIdentity(dict(dict.fromkeys(names), **given), Surroundings(environment=world.environment))
    assert identity.address == expected
    assert world.keystone.calls == []
