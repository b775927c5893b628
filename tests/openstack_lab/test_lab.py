# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab is what it says: facts about the real servers that other tests rely on, by plain requests."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from openstack_lab import Lab, LabError, environment


def paths(lab, server):
    return [(entry["method"], entry["path"].split(lab.project)[-1], entry["status"]) for entry in lab.requests(server)]


# -- Keystone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "status"), [
    ("demo", 200), ("reader", 200), ("appcred", 200), ("appcred_reader", 200), ("appcred_none", 403)])
def test_who_may_list(lab, who, status):
    assert lab.trove("GET", "/backups", who=who).status == status


def test_the_catalog_names_other_services_in_each_region(lab):
    answer = lab.call("GET", f"{lab.auth_url}/auth/catalog", headers={"X-Auth-Token": lab.token()})
    regions = {}
    for service in answer.body["catalog"]:
        for endpoint in service["endpoints"]:
            regions.setdefault(endpoint["region"], set()).add(service["type"])
    assert regions == {"RegionOne": {"identity", "database", "object-store"}, "RegionNoStore": {"database"},
                       "RegionNoDatabase": {"object-store"}}
    assert {cloud["region_name"] for cloud in json.loads(lab.clouds.read_text())["clouds"].values()} == {
        "RegionNothing", *regions}


def test_token_requests_tell_who(lab):
    lab.new_token("demo")
    lab.new_token("appcred")
    lab.trove("GET", "/backups")
    assert [entry["user"] for entry in lab.token_requests()] == ["demo", lab.ready["credentials"]["appcred"]["id"]]
    assert len(lab.requests("keystone")) == 2
    # Trove has asked whether the token is good.
    assert len(lab.requests("keystone", own=True)) > 2
    assert "password" not in (lab.home / "log/keystone.requests").read_text()


def test_a_revoked_token_is_refused_at_once_and_a_new_one_is_good(lab):
    token = lab.new_token()
    other = lab.new_token()
    url = f"{lab.ready['trove_url']}/{lab.project}/backups"

    def status(one):
        return lab.call("GET", url, headers={"X-Auth-Token": one}).status

    assert (status(token), status(other)) == (200, 200)
    lab.revoke_token(token)
    assert (status(token), status(other)) == (401, 200)
    lab.revoke_tokens("demo")
    assert (status(token), status(other), status(lab.new_token())) == (401, 401, 200)
    assert lab.call("GET", lab.swift_account(), headers={"X-Auth-Token": other}).status == 401


def test_a_token_of_another_project_gets_html(lab):
    answer = lab.call("GET", f"{lab.ready['trove_url']}/{lab.projects['other']}/backups",
                      headers={"X-Auth-Token": lab.token(), "Accept": "*/*"})
    assert answer.status == 403
    assert "html" in answer.headers["content-type"]


# -- records ----------------------------------------------------------------------------------------------------


def test_paging(lab):
    numbers = lab.add_backups(40, "db1")
    lab.clear_requests()
    answer = lab.trove("GET", "/backups")
    assert [backup["id"] for backup in answer.body["backups"]] == numbers[:20]
    [link] = answer.body["links"]
    # On an http endpoint all the same.
    assert link["href"].startswith("https://")
    assert parse_qs(urlsplit(link["href"]).query)["marker"] == ["20"]
    second = lab.trove("GET", "/backups", marker=20).body
    assert [backup["id"] for backup in second["backups"]] == numbers[20:]
    assert second["links"]
    assert lab.trove("GET", "/backups", marker=40).body == {"backups": []}
    assert lab.trove("GET", "/backups", marker=numbers[0]).status == 500
    assert [(entry["query"], entry["status"]) for entry in lab.requests("trove")] == [
        ("", 200), ("marker=20", 200), ("marker=40", 200), (f"marker={numbers[0]}", 500)]


def test_a_thousand_records(lab):
    numbers = lab.add_backups(1000, "db2")
    answer = lab.trove("GET", "/backups", marker=980, datastore="mysql")
    assert [backup["id"] for backup in answer.body["backups"]] == numbers[980:]
    lab.clear("db2")
    assert lab.trove("GET", "/backups").body["backups"] == []


def test_records_say_what_they_were_told(lab):
    parent = lab.add_backup("db1", created="2026-01-01T00:00:00Z")
    child = lab.add_backup("db1", created="2026-01-02T03:04:05+01:00", updated="2026-01-02T04:00:00", size=None,
                           state="BUILDING", name="odd", parent=parent, location=None)
    bare = lab.add_backup(None, datastore=None, state="NEW", project="demo")
    record = lab.trove("GET", f"/backups/{child}").body["backup"]
    assert record["created"] == "2026-01-02T02:04:05"
    assert record["updated"] == "2026-01-02T04:00:00"
    assert (record["size"], record["status"], record["parent_id"]) == (None, "BUILDING", parent)
    assert record["locationRef"] is None
    assert record["datastore"]["type"] == "mariadb"
    without = lab.trove("GET", f"/backups/{bare}").body["backup"]
    assert without["instance_id"] is None
    assert "datastore" not in without
    lab.change_backup(child, state="FAILED")
    assert lab.trove("GET", f"/backups/{child}").body["backup"]["status"] == "FAILED"


def test_an_unknown_datastore_is_not_an_empty_list(lab):
    assert lab.trove("GET", "/backups", datastore="MySQL").status == 404


def test_instances(lab):
    more = lab.add_instances(50)
    try:
        seen, marker = [], {}
        while True:
            answer = lab.trove("GET", "/instances", **marker).body
            seen += [instance["name"] for instance in answer["instances"]]
            if not answer.get("links"):
                break
            marker = {"marker": parse_qs(urlsplit(answer["links"][0]["href"]).query)["marker"][0]}
        assert sorted(seen) == sorted(["db1", "db2", "pg1", "twin", "twin"] + [each["name"] for each in more])
        detail = lab.trove("GET", f"/instances/{more[0]['id']}").body["instance"]
        assert (detail["status"], detail["datastore"]["type"]) == ("ACTIVE", "mariadb")
    finally:
        lab.remove_instances(*(each["id"] for each in more))


def test_quota(lab):
    lab.add_backups(3, "db1")
    lab.clear()
    lab.set_quota(0)
    answer = lab.trove("POST", "/backups", {"backup": {"name": "one", "instance": lab.instance("db1")}})
    assert answer.status == 413
    assert "retry-after" not in answer.headers


# -- real backups -----------------------------------------------------------------------------------------------


def test_full_then_incremental(lab):
    full = lab.back_up("db1")
    assert full["status"] == "COMPLETED"
    copy = lab.local_copy(full["id"]).read_bytes()
    assert full["size"] == pytest.approx(len(copy) / 2**30, abs=1e-6)
    container, name = lab.place(full["locationRef"])
    answer = lab.swift("GET", f"/{container}/{name}")
    assert answer.body == copy
    assert answer.headers["etag"] == hashlib.md5(copy).hexdigest()

    child = lab.back_up("db1", incremental=1)
    assert (child["status"], child["parent_id"]) == ("COMPLETED", full["id"])
    head = lab.swift("HEAD", "/" + "/".join(lab.place(child["locationRef"]))).headers
    assert head["x-object-meta-parent-location"] == full["locationRef"]
    assert head["x-object-meta-parent-checksum"] == answer.headers["etag"]
    assert int(head["x-object-meta-lsn"]) >= int(answer.headers["x-object-meta-lsn"])


def test_static_large_object(lab):
    backup = lab.back_up("db1", name="big one", swift_container="elsewhere")
    copy = lab.local_copy(backup["id"]).read_bytes()
    segments = lab.segments(backup["id"])
    assert len(segments) > 3
    assert [segment["name"] for segment in segments] == [
        f"/elsewhere/{backup['id']}_{number:08d}" for number in range(len(segments))]
    at = 0
    for segment in segments:
        part = copy[at:at + segment["bytes"]]
        assert segment["hash"] == hashlib.md5(part).hexdigest()
        assert lab.swift("GET", segment["name"]).body == part
        at += segment["bytes"]
    assert at == len(copy)
    whole = lab.swift("GET", f"/elsewhere/{backup['id']}.xbstream.gz")
    assert whole.body == copy
    joined = "".join(segment["hash"] for segment in segments)
    assert whole.headers["etag"].strip('"') == hashlib.md5(joined.encode()).hexdigest()
    part = lab.swift("GET", f"/elsewhere/{backup['id']}.xbstream.gz", headers={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, copy[1000:2000])


def test_a_backup_can_be_restored(lab, tmp_path):
    """The full one and the incremental upon it, downloaded and joined, are the database as it was."""
    full = lab.back_up("db2")
    lab.sql("INSERT INTO customers (name, city) VALUES ('Late', 'Quito')")
    child = lab.back_up("db2", name="big", incremental=1)
    programs = environment.programs()
    for backup in (full, child):
        folder = tmp_path / backup["id"]
        folder.mkdir()
        packed = lab.swift("GET", "/" + "/".join(lab.place(backup["locationRef"]))).body
        unpacked = subprocess.run(["gzip", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run([programs["mbstream"], "-x", "-C", str(folder)], input=unpacked, check=True)
    base = tmp_path / full["id"]
    for extra in ([], [f"--incremental-dir={tmp_path / child['id']}"]):
        subprocess.run([programs["mariadb-backup"], "--no-defaults", "--prepare", f"--target-dir={base}", *extra],
                       check=True, capture_output=True)
    socket = lab.home.parent / f"{tmp_path.name[:20]}.sock"
    user = ["--user=root"] if os.geteuid() == 0 else []
    server = subprocess.Popen([programs["mariadbd"], "--no-defaults", f"--datadir={base}", f"--socket={socket}",
                               "--skip-networking", *user], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(1200):
            try:
                found = lab.sql("SELECT count(*), max(name = 'Late') FROM customers", socket)
                break
            except LabError:
                time.sleep(0.05)
        assert found == lab.sql("SELECT count(*), max(name = 'Late') FROM customers")
        assert found[0][1] == "1"
    finally:
        server.terminate()
        server.wait(60)


def test_one_backup_at_a_time(lab):
    with lab.guest_with(hold=True):
        first = lab.back_up("db1", wait=False)
        answer = lab.trove("POST", "/backups", {"backup": {"name": "second", "instance": lab.instance("db1")}})
        assert answer.status == 422
        assert lab.trove("GET", f"/backups/{first['id']}").body["backup"]["status"] in ("NEW", "BUILDING")
    assert lab.settle(first["id"])["status"] == "COMPLETED"


def test_a_backup_outlives_the_token_that_asked_for_it(lab):
    with lab.guest_with(hold=True):
        backup = lab.back_up("db1", wait=False)
        lab.revoke_tokens("demo")
    assert lab.settle(backup["id"])["status"] == "COMPLETED"


def test_failing_and_hanging(lab):
    assert lab.back_up("db1", name="will fail")["status"] == "FAILED"
    with pytest.raises(LabError, match="NEW|BUILDING"):
        lab.settle(lab.back_up("db1", name="will hang", wait=False)["id"], timeout=0.5)


def test_who_may_not_make_one(lab):
    """It takes the right to the object storage, and 401 then is not about the token."""
    [own] = lab.add_instances(1, project="other")
    for who, instance, status, text in (
            ("reader", "db1", 401, "Swift account not accessible"),
            ("appcred_reader", "db1", 401, "Swift account not accessible"),
            ("other", own["id"], 401, "Swift account not accessible"),
            ("appcred_none", "db1", 403, "forbidden")):
        body = {"backup": {"name": "mine", "instance": lab.instance(instance)}}
        answer = lab.trove("POST", "/backups", body, who=who)
        assert (answer.status, text in json.dumps(answer.body)) == (status, True), answer
    lab.remove_instances(own["id"])


def test_the_reader_may_not_read_files(lab):
    backup = lab.back_up("db1")
    assert lab.trove("GET", f"/backups/{backup['id']}", who="reader").status == 200
    assert lab.swift("GET", "/" + "/".join(lab.place(backup["locationRef"])), who="reader").status == 403


def test_import(lab):
    backup = lab.back_up("db1")
    body = {"backup": {"name": "imported", "restore_from": {
        "remote_location": backup["locationRef"], "size": 1,
        "local_datastore_version_id": lab.datastores["mariadb"]["version_id"]}}}
    answer = lab.trove("POST", "/backups", body)
    assert answer.status == 202
    record = lab.trove("GET", f"/backups/{answer.body['backup']['id']}").body["backup"]
    assert (record["status"], record["instance_id"], record["locationRef"]) == (
        "RESTORED", None, backup["locationRef"])
    # Without a file there is nothing to import.
    body["backup"]["restore_from"]["remote_location"] += ".gone"
    assert lab.trove("POST", "/backups", body).status >= 400


def test_delete_takes_the_children_along(lab):
    parent = lab.back_up("db1")
    child = lab.back_up("db1", name="big", incremental=1)
    assert lab.trove("DELETE", f"/backups/{parent['id']}").status == 202
    give_up = time.monotonic() + 60
    while {lab.trove("GET", f"/backups/{backup['id']}").status for backup in (parent, child)} != {404}:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    container, name = lab.place(child["locationRef"])
    give_up = time.monotonic() + 60
    while lab.swift("HEAD", f"/{container}/{name}").status != 404:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert lab.swift("GET", f"/{container}/{child['id']}_00000000").status == 404


# -- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["disk", "put"])
def test_a_damaged_segment_is_served_by_its_own_name(lab, kind):
    """Swift does not tell: who reads it must compare."""
    backup = lab.back_up("db1", name="big")
    second = lab.segments(backup["id"])[1]
    container, name = second["name"].strip("/").split("/")
    lab.damage(container, name, kind)
    answer = lab.swift("GET", second["name"])
    assert (answer.status, len(answer.body)) == (200, second["bytes"])
    assert hashlib.md5(answer.body).hexdigest() != second["hash"]
    assert (answer.headers["etag"] == second["hash"]) == (kind == "disk")
    # Swift has seen it too, at the end, and has put the file away.
    assert lab.swift("GET", second["name"]).status == (404 if kind == "disk" else 200)


@pytest.mark.parametrize("kind", ["disk", "put", "lost"])
def test_a_manifest_with_a_damaged_segment_breaks_off(lab, kind):
    backup = lab.back_up("db1", name="big")
    container, name = lab.segments(backup["id"])[1]["name"].strip("/").split("/")
    lab.damage(container, name, kind)
    with pytest.raises(http.client.IncompleteRead):
        lab.swift("GET", "/" + "/".join(lab.place(backup["locationRef"])))


# -- the lab itself ---------------------------------------------------------------------------------------------


def test_requests_are_those_of_the_client(lab):
    backup = lab.back_up("db1")
    lab.swift("GET", "/" + "/".join(lab.place(backup["locationRef"])), headers={"Range": "bytes=0-9"})
    assert paths(lab, "trove") == [("POST", "/backups", 202), ("GET", f"/backups/{backup['id']}", 200)]
    assert lab.requests("trove")[0]["body"]["backup"]["name"] == "nightly"
    [download] = lab.requests("swift")
    assert (download["method"], download["status"], download["range"]) == ("GET", 206, "bytes=0-9")
    assert len(lab.requests("swift", own=True)) > 1


def test_a_restart_with_other_settings(lab):
    lab.restart("trove", rate=2)
    try:
        answers = [lab.trove("GET", "/backups") for _number in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 413]
        assert int(answers[-1].headers["retry-after"]) > 0
    finally:
        lab.restart("trove")
    assert lab.trove("GET", "/backups").status == 200


def test_a_killed_owner_leaves_nothing_behind(tmp_path):
    """The servers end when the process that wanted them is gone, however it went."""
    program = ("import sys, time; sys.path.insert(0, sys.argv[1]); from openstack_lab import Lab;"
               "lab = Lab.start(sys.argv[2]); print(lab.ready['pid'], flush=True); time.sleep(600)")
    owner = subprocess.Popen([sys.executable, "-c", program, str(Path(__file__).parents[1]), str(tmp_path / "home")],
                             stdout=subprocess.PIPE, text=True)
    servers = int(owner.stdout.readline())
    children = Path(f"/proc/{servers}/task/{servers}/children").read_text().split()
    assert len(children) == 4
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    give_up = time.monotonic() + 60
    while any(Path(f"/proc/{number}").exists() for number in [servers, *children]):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_home_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/precious").touch()
    with pytest.raises(LabError, match="not empty"):
        Lab.start(tmp_path / "home")
    assert (tmp_path / "home/precious").exists()


def test_what_is_missing_is_named_with_its_cure(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "SERVER_FOLDER", str(tmp_path))
    with pytest.raises(LabError, match="apt-get install mariadb-server mariadb-backup"):
        environment.programs()
