# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_file_fetch from a service that wants its key with every download: where the key goes, and which way the bytes.

A connection plugin of the tests stands for a host that is not this machine, and keeps all that is sent to it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sandbox"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from client import Sandbox  # noqa: E402
from guarded import Guarded, in_spool, killed  # noqa: E402
from test_fetch import sha256  # noqa: E402

LOUD = {"ANSIBLE_LOG_PATH": "ansible.log", "ANSIBLE_LOG_VERBOSITY": "5", "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1"}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox.start(stacks="shop,crm") as running:
        yield running


@pytest.fixture(scope="module")
def dump(sandbox):
    """The truth about a backup of the label shop."""
    (number,) = sandbox.service("backupman", "POST", "/backup", labels=["shop"])["ids"]
    return sandbox.service("backupman", path="/backups/%s" % number)


def guarded(folder, sandbox, kind):
    sandbox.clear_faults()
    sandbox.clear_requests()
    ready = sandbox.ready["backupman"]
    variables = {"BACKUPMAN_URL": ready["api_url"], "BACKUPMAN_API_KEY": ready["api_key"]}
    return Guarded(folder, sandbox, kind, ready["api_key"], variables, provider="backupman", source="shop")


@pytest.fixture
def host(tmp_path, sandbox):
    """This machine, over a local connection."""
    yield guarded(tmp_path, sandbox, "local")
    sandbox.clear_faults()


@pytest.fixture
def elsewhere(tmp_path, sandbox):
    """Another machine."""
    yield guarded(tmp_path, sandbox, "elsewhere")
    sandbox.clear_faults()


@pytest.mark.parametrize("kind, pipelining", [("host", "0"), ("elsewhere", "1"), ("elsewhere", "0")])
def test_the_key_stays_on_the_controller(request, dump, kind, pipelining):
    """Not in a command, an input, a file, a result, a log, at -vvvvv; and everything else is as with signed URLs."""
    host = request.getfixturevalue(kind)
    host.environment.update(LOUD, ANSIBLE_PIPELINING=pipelining)
    options = {"id": dump["id"], "dest": str(host.target)}
    predicted, fetched, again, forced = host.fetch(
        {**options, "check_mode": True}, options, options, {**options, "force": True}, arguments=["--diff", "-vvvvv"])
    path = Path(fetched["dest"])
    assert sha256(path) == fetched["sha256"] == dump["sha256"]
    assert fetched["bytes_received"] == dump["size"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert host.left() == [".%s.restorable.json" % path.name, path.name]
    assert path.name.endswith(".sql")
    assert [one["changed"] for one in (predicted, fetched, again, forced)] == [True, True, False, True]
    assert predicted["diff"] == fetched["diff"]
    assert host.told(host.key) == set()
    # What is no secret has been recorded: the record is not empty by mistake.
    assert "host" in host.told(str(host.target)) and "output" in host.told(dump["id"])
    assert host.asked("download", "download_url") == ["download_url", "download"] * 2
    assert {entry["token"] for entry in host.sandbox.requests(route="download")} == {"admin"}
    content = path.read_bytes()
    # No second copy where there is a relay, and none is left where there is not.
    assert [data == content for data in host.put()] == ([True, True] if kind == "elsewhere" else [])
    assert (host.spool.exists(), in_spool(host)) == (kind == "elsewhere", [])
    assert not [path for path in (host.recorded / "home").rglob("*") if path.is_file()]


def test_the_key_may_go_to_the_host_where_that_is_wanted(elsewhere, dump):
    elsewhere.environment.update(LOUD)
    result = elsewhere.fetch({"id": dump["id"], "dest": str(elsewhere.target), "credentials_on_host": True},
                             arguments=["-vvvvv"])
    assert sha256(result["dest"]) == dump["sha256"]
    assert elsewhere.told(elsewhere.key) == {"host"}
    assert (elsewhere.put(), elsewhere.spool.exists()) == ([], False)


@pytest.mark.parametrize("kind", ["host", "elsewhere"])
def test_what_goes_well_and_what_does_not(request, sandbox, dump, kind):
    host = request.getfixturevalue(kind)
    (lost,) = sandbox.service("backupman", "POST", "/backup", labels=["shop"])["ids"]
    sandbox.service("backupman", "DELETE", "/backups/%s/file" % lost)
    place, backup = host.target, {"id": dump["id"]}
    (place / "old.sql").write_text("old")
    old = {**backup, "dest": str(place / "old.sql")}
    breaks = {"surface": "backupman", "route": "download"}
    kept, again, right, wrong, nobody, nowhere, missing, key, mended, broken = host.fetch(
        {**backup, "dest": str(place), "parts": "keep", "mode": "0640"},
        {**backup, "dest": str(place), "parts": "keep", "mode": "0640"},
        {**backup, "dest": str(place / "right.sql"), "checksum": dump["sha256"]},
        {**old, "checksum": "0" * 64, "keep_partial": False},
        {**old, "owner": "no-such-user"},
        {**backup, "dest": str(place / "missing" / "x.sql")},
        {**old, "id": lost, "api_retries": 0},
        {**old, "api_token": "wrong-key"},
        host.fault("truncate", times=2, **breaks),
        {**backup, "dest": str(place / "mended.sql")},
        host.fault("truncate", bytes=100, **breaks),
        {**old, "api_retries": 0, "keep_partial": False},
    )
    assert [sha256(file["path"]) for file in kept["files"]] == [dump["sha256"]]
    assert (kept["changed"], again["changed"]) == (True, False)
    assert sha256(right["dest"]) == sha256(mended["dest"]) == dump["sha256"]
    for result, code, words in (
        (wrong, "checksum_mismatch", "the destination is as it was before"),
        (nobody, "bad_option", "owner: the host knows no user"),
        (nowhere, "bad_dest", "does not exist"),
        (missing, "storage", "answered 500 (failed to read file "),
        (key, "unauthenticated", "401"),
        (broken, "storage", "storage 127.0.0.1"),
    ):
        assert result.get("failed"), words
        assert (result["failure"]["code"], words in result["msg"]) == (code, True), result["msg"]
    assert "wrong-key" not in json.dumps(key)
    assert (place / "old.sql").read_text() == "old"
    # What the host cannot do is said before a byte is fetched.
    assert host.asked("download") == ["download"] * (3 + 1 + 3 + 2)
    assert in_spool(host) == []
    assert not [name for name in host.left() if ".partial" in name]


@pytest.mark.parametrize("kind", ["local", "elsewhere"])
def test_tls(tmp_path, kind):
    """What the API is trusted by, its downloads are trusted by: the option, or the bundle of the environment."""
    with Sandbox.start(stacks="shop", tls=True) as secure:
        (number,) = secure.service("backupman", "POST", "/backup", labels=["shop"])["ids"]
        host = guarded(tmp_path, secure, kind)
        options = {"id": number, "dest": str(host.target / "x.sql"), "force": True}
        named, careless = host.fetch({**options, "ca_path": secure.ca_path}, {**options, "validate_certs": False})
        host.environment["REQUESTS_CA_BUNDLE"] = secure.ca_path
        bundled = host.fetch(options)
        truth = secure.service("backupman", path="/backups/%s" % number)["sha256"]
        assert [one.get("sha256") for one in (named, careless, bundled)] == [truth] * 3, (named, careless, bundled)


def test_backups_that_share_a_file(host, sandbox):
    sandbox.switch("backupman", collision=True)
    try:
        shop, crm = sandbox.service("backupman", "POST", "/backup", labels=["shop", "crm"])["ids"]
    finally:
        sandbox.reset_switches()
    by_id, latest, forced = host.fetch(
        {"id": shop, "dest": str(host.target)}, {"latest": True, "source": "crm", "dest": str(host.target)},
        {"id": shop, "force": True, "dest": str(host.target)})
    for result, other in ((by_id, crm), (latest, shop)):
        assert (result["failed"], result["failure"]["code"]) == (True, "collision")
        assert other in result["msg"] and "force: true" in result["msg"]
    assert forced["changed"] and any(crm in warning for warning in forced["warnings"])
    sandbox.service("backupman", "DELETE", "/backups/%s" % crm)
    sandbox.service("backupman", "DELETE", "/backups/%s" % shop)


def test_places_for_the_spool_and_a_key_in_the_environment_of_the_task(elsewhere, dump):
    del elsewhere.environment["BACKUPMAN_API_KEY"]
    (elsewhere.folder / "a-file").write_text("x")
    backup = {"id": dump["id"], "dest": str(elsewhere.target / "x.sql"),
              "environment": {"BACKUPMAN_API_KEY": elsewhere.key, "LC_ALL": "C"}}
    relative, taken, own = elsewhere.fetch(
        {**backup, "spool_dir": "spool"}, {**backup, "spool_dir": str(elsewhere.folder / "a-file")},
        {**backup, "spool_dir": str(elsewhere.folder / "own" / "place")})
    for result in (relative, taken):
        assert result["failed"] and result["msg"].startswith("spool_dir: ")
    assert own["sha256"] == dump["sha256"]
    assert list((elsewhere.folder / "own" / "place").iterdir()) == []
    # The other variable went along, this one did not.
    assert "host" in elsewhere.told("LC_ALL")
    assert elsewhere.told(elsewhere.key) == {"play.json"}


# -- at the worst moment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["host", "elsewhere"])
def test_killed_in_the_middle_of_a_download(request, sandbox, dump, kind):
    host = request.getfixturevalue(kind)
    options = {"id": dump["id"], "dest": str(host.target / "x.sql")}
    (host.target / "x.sql").write_text("old")
    sandbox.fault("stall", surface="backupman", route="download", bytes=dump["size"] // 2, seconds=60, times=1)
    killed(host, options, lambda: host.asked("download"))
    assert (host.target / "x.sql").read_text() == "old"
    sandbox.clear_faults()
    result = host.fetch(options)
    assert sha256(host.target / "x.sql") == dump["sha256"] == result["sha256"]
    assert host.left() == [".x.sql.restorable.json", "x.sql"]
    assert in_spool(host) == []


def test_killed_before_the_bytes_were_handed_on(elsewhere, dump):
    """All is on the controller: the next run only hands it on."""
    options = {"id": dump["id"], "dest": str(elsewhere.target / "x.sql")}
    elsewhere.environment["RECORDING_STALL"] = "1"
    killed(elsewhere, options, (elsewhere.recorded / "stalled").exists)
    assert [path.name.endswith(".sql") for path in in_spool(elsewhere)].count(True) == 1
    assert {stat.S_IMODE(os.stat(path).st_mode) for path in in_spool(elsewhere)} == {0o600}
    del elsewhere.environment["RECORDING_STALL"]
    aside = elsewhere.folder / "aside"
    shutil.copytree(elsewhere.spool, aside)
    result, again = elsewhere.fetch(
        options,
        # As if it had died once more, just after its work was done.
        {"task": {"ansible.builtin.command": "cp -a %s/. %s" % (aside, elsewhere.spool),
                  "vars": {"ansible_connection": "ansible.builtin.local"}}},
        options,
    )
    assert sha256(elsewhere.target / "x.sql") == dump["sha256"]
    assert (result["bytes_received"], result["bytes_resumed"]) == (0, dump["size"])
    assert (again["changed"], elsewhere.asked("download")) == (False, ["download"])
    assert in_spool(elsewhere) == []
