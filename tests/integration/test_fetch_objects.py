# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_file_fetch from object stores: the real Swift, and a stand-in whose connections stall when they are told to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sandbox"))

from client import Sandbox  # noqa: E402
from guarded import Guarded, in_spool, killed  # noqa: E402
from test_fetch import sha256  # noqa: E402

KINDS = ["local", "elsewhere"]
CHUNK = 1 << 20
# The name of the header stands for the tokens: nobody knows those here.
TOKEN = "X-Auth-Token"


@pytest.fixture(scope="module")
def stand_in():
    with Sandbox.start(stacks="shop") as running:
        running.sql("shop", "CREATE TABLE noise AS SELECT md5(n::text) FROM generate_series(1, 150000) n")
        yield running


@pytest.fixture
def rackspace(tmp_path, stand_in, request):
    ready = stand_in.ready["rackspace"]
    variables = {"RAX_AUTH_URL": ready["auth_url"], "RAX_USERNAME": ready["username"], "RAX_API_KEY": ready["api_key"],
                 "RAX_REGION": "DFW"}
    stand_in.clear_requests()
    yield Guarded(tmp_path, stand_in, request.param, ready["api_key"], variables, provider="rackspace", source="shop")
    stand_in.clear_faults()


@pytest.fixture
def trove(tmp_path, stand_in, lab, request):
    variables = {**lab.environment, "OS_CLOUD": "demo"}
    yield Guarded(tmp_path, stand_in, request.param, TOKEN, variables, provider="trove", source="db1")


@pytest.mark.parametrize("rackspace", KINDS, indirect=True)
def test_killed_and_gone_on_with(rackspace, stand_in):
    """What has arrived is not fetched again, neither through a relay nor by way of the controller."""
    (number,) = stand_in.service("rackspace", "POST", "/backup", source="shop")["ids"]
    facts = stand_in.service("rackspace", path="/backups/%s" % number)
    half = facts["size"] // 2
    assert half > CHUNK
    options = {"id": number, "dest": str(rackspace.target / "x.gz")}
    (rackspace.target / "x.gz").write_text("old")
    stand_in.fault("stall", surface="rackspace", route="object", method="GET", bytes=half, seconds=60, times=1)

    def arrived():
        # What is not yet a whole chunk is in the memory of the one who waits for more.
        return any(path.stat().st_size >= CHUNK for path in rackspace.folder.rglob(".*.partial/data"))

    killed(rackspace, options, arrived)
    assert (rackspace.target / "x.gz").read_text() == "old"
    stand_in.clear_faults()
    result = rackspace.fetch(options)
    assert sha256(rackspace.target / "x.gz") == facts["sha256"] == result["sha256"]
    assert CHUNK <= result["bytes_resumed"] <= half
    assert result["bytes_received"] == facts["size"] - result["bytes_resumed"]
    assert rackspace.left() == [".x.gz.restorable.json", "x.gz"]
    assert in_spool(rackspace) == []
    assert rackspace.told(rackspace.key) == set()


@pytest.mark.parametrize("trove", KINDS, indirect=True)
def test_objects_whole_and_in_segments(trove, lab):
    plain, large = lab.back_up("db1"), lab.back_up("db1", name="big")
    segments = lab.segments(large["id"])
    one, many, kept, again = trove.fetch(
        {"id": plain["id"], "dest": str(trove.target / "plain.gz")},
        {"id": large["id"], "dest": str(trove.target)},
        {"id": large["id"], "dest": str(trove.target), "parts": "keep"},
        {"id": large["id"], "dest": str(trove.target)},
        arguments=["-vvvvv"],
    )
    assert Path(one["dest"]).read_bytes() == lab.local_copy(plain["id"]).read_bytes()
    assert Path(many["dest"]).read_bytes() == lab.local_copy(large["id"]).read_bytes()
    assert many["dest"].endswith(".xbstream.gz")
    assert len(segments) > 1
    assert [file["size_bytes"] for file in many["files"]] == [segment["bytes"] for segment in segments]
    assert b"".join(Path(file["path"]).read_bytes() for file in kept["files"]) == Path(many["dest"]).read_bytes()
    assert (many["changed"], again["changed"]) == (True, False)
    assert trove.told(TOKEN) == set()
    assert in_spool(trove) == []
    direct = trove.fetch({"id": large["id"], "dest": str(trove.target / "direct.gz"), "credentials_on_host": True})
    assert (direct["sha256"], trove.told(TOKEN)) == (many["sha256"], {"host"})


@pytest.mark.parametrize("trove", KINDS, indirect=True)
def test_a_token_that_is_refused_on_the_way(trove, lab):
    """Another one is asked for, once, and no part is fetched twice."""
    large = lab.back_up("db1", name="big")
    segments = lab.segments(large["id"])
    lab.clear_requests()
    # One part in the first portion, two in the second: there is time in between.
    trove.environment["ANSIBLE_LOCAL_TEMP"] = str(trove.folder / "tmp")
    command = trove.command({"id": large["id"], "dest": str(trove.target / "x.gz"), "workers": 1})
    process = subprocess.Popen(command, cwd=trove.folder, env=trove.environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def fetched():
        return [entry["path"].rpartition("/")[2] for entry in lab.requests("swift")
                if entry["method"] == "GET" and large["id"] + "_" in entry["path"] and entry["status"] == 200]

    give_up = time.monotonic() + 60
    while not fetched():
        assert time.monotonic() < give_up and process.poll() is None
        time.sleep(0.02)
    # Those of the whole user would take new ones along that are asked for within the same second.
    (note,) = (trove.folder / "tmp").glob("*/tokens/*.json")
    lab.revoke_token(json.loads(note.read_text())["grant"]["token"])
    output, _nothing = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert (trove.folder / "results.json").read_text().count('"failed": true') == 0, output
    assert (trove.target / "x.gz").read_bytes() == lab.local_copy(large["id"]).read_bytes()
    assert [entry["user"] for entry in lab.token_requests()].count("demo") == 2
    assert any(entry["status"] == 401 for entry in lab.requests("swift"))
    assert sorted(fetched()) == sorted(segment["name"].rpartition("/")[2] for segment in segments)


@pytest.mark.parametrize("trove", KINDS, indirect=True)
def test_a_segment_that_was_damaged_in_the_store(trove, lab):
    large = lab.back_up("db1", name="big")
    container = lab.place(large["locationRef"])[0]
    segment = lab.segments(large["id"])[1]["name"].rpartition("/")[2]
    (trove.target / "old.gz").write_text("old")
    options = {"id": large["id"], "dest": str(trove.target / "old.gz")}
    lab.damage(container, segment, "put")
    lab.clear_requests()
    replaced = trove.fetch(options)
    assert replaced["failed"] and replaced["failure"]["code"] == "checksum_mismatch"
    assert replaced["failure"]["details"]["part"].endswith(segment)
    assert "its MD5 is" in replaced["msg"] and "also when fetched anew" in replaced["msg"]
    assert (trove.target / "old.gz").read_text() == "old"
    # It was fetched twice, the others once.
    asked = [entry["path"].rpartition("/")[2] for entry in lab.requests("swift") if entry["method"] == "GET"]
    times = {name: asked.count(name) for name in asked if name.startswith(large["id"] + "_")}
    assert (times.pop(segment), set(times.values())) == (2, {1})

    lab.damage(container, segment, "lost")
    lost = trove.fetch(options)
    assert lost["failed"] and segment in lost["msg"] and "404" in lost["msg"]
    assert (trove.target / "old.gz").read_text() == "old"

    content = lab.local_copy(large["id"]).read_bytes()
    start = lab.segments(large["id"])[0]["bytes"]
    size = lab.segments(large["id"])[1]["bytes"]
    lab.swift("PUT", "/%s/%s" % (container, segment), content[start:start + size])
    mended = trove.fetch(options)
    assert Path(mended["dest"]).read_bytes() == content
    # The others were still there from the first time.
    assert (mended["bytes_received"], mended["bytes_resumed"]) == (size, len(content) - size)
    assert in_spool(trove) == []
