# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The provider trove against the real Keystone, Trove and Swift: which calls it makes, and what comes of them."""

from __future__ import annotations

import hashlib
import json
import threading
from urllib.parse import parse_qs

import pytest

from in_process import download, load

UNKNOWN = "00000000-0000-0000-0000-00000000beef"


@pytest.fixture
def clouds(lab):
    return json.loads(lab.clouds.read_text())["clouds"]


@pytest.fixture
def connection(clouds):
    return {"provider": "trove", "cloud": clouds["demo"]}


@pytest.fixture
def connect(run, clouds):
    """A provider for a cloud; all of a test share a private folder, as the processes of one run do."""
    return lambda cloud="demo", **changes: run.provider(cloud={**clouds[cloud], **changes})


@pytest.fixture
def trove(connect):
    return connect()


@pytest.fixture
def errors(collection):
    return load("_errors")


@pytest.fixture
def model(collection):
    return load("_backup")


def calls(lab, server="trove"):
    """The calls since the test began, as METHOD path?query, with the project's part of the path left out."""
    found = []
    for entry in lab.requests(server):
        path = entry["path"]
        for start in (f"/v1.0/{lab.project}", f"/v1/AUTH_{lab.project}"):
            path = path.removeprefix(start)
        query = {name: values[0] for name, values in parse_qs(entry["query"]).items()}
        shown = "&".join(f"{name}={query[name]}" for name in sorted(query))
        found.append(f"{entry['method']} {path}" + (f"?{shown}" if shown else ""))
    return found


# -- tokens -------------------------------------------------------------------------------------------------------


def test_many_providers_of_a_run_ask_for_one_token(lab, connect):
    backup = lab.add_backup("db1")
    lab.clear_requests()
    source = lab.instance("db1")
    for _host in range(5):
        assert [found.id for found in connect().list_backups(source).backups] == [backup]
    assert calls(lab, "keystone") == ["GET /v3", "POST /v3/auth/tokens"]
    assert calls(lab) == [f"GET /backups?instance_id={source}&limit=200"] * 5


def test_a_revoked_token_is_renewed_once(lab, connect):
    lab.add_backup("db1")
    source = lab.instance("db1")
    one, other = connect(), connect()
    assert one.list_backups(source).backups and other.list_backups(source).backups
    lab.revoke_tokens("demo")
    lab.clear_requests()
    assert one.list_backups(source).backups and other.list_backups(source).backups
    assert len(lab.token_requests()) == 1
    assert [entry["status"] for entry in lab.requests("trove")] == [401, 200, 401, 200]


def test_application_credentials(lab, connect, errors):
    lab.add_backup("db1")
    source = lab.instance("db1")
    assert len(connect("appcred").list_backups(source).backups) == 1
    assert len(connect("appcred_reader").list_backups(source).backups) == 1
    with pytest.raises(errors.AuthError, match="403") as caught:
        connect("appcred_none").list_backups(source)
    assert caught.value.code == "forbidden"


def test_a_wrong_password(lab, connect, clouds, errors):
    wrong = connect(auth=dict(clouds["demo"]["auth"], password="wrong"))
    with pytest.raises(errors.AuthError, match="does not accept the credentials .*: check cloud"):
        wrong.list_backups("*")
    assert calls(lab) == []


@pytest.mark.parametrize(("cloud", "kind", "instead"), [
    ("nothing", "database", "region RegionNothing; it has this service as: .*public in RegionOne"),
    ("nodatabase", "database", "region RegionNoDatabase; it has this service as: public in"),
    ("nostore", "object-store", "region RegionNoStore; it has this service as: public in")])
def test_a_catalog_without_the_endpoint(lab, connect, errors, cloud, kind, instead):
    backup = lab.add_backup("db1")
    with pytest.raises(errors.ApiError, match=f"no endpoint of type {kind}, interface public, .*{instead}") as caught:
        connect(cloud).list_files("*", backup)
    assert caught.value.code == "no_endpoint"


def test_the_token_of_another_project(lab, connect, errors):
    address = f"{lab.ready['trove_url']}/{lab.projects['other']}"
    with pytest.raises(errors.AuthError, match="the token is not for the project of this address") as caught:
        connect(database_endpoint_override=address).list_backups("*")
    assert caught.value.code == "other_project"


# -- lists --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_pages(lab, trove, monkeypatch, count):
    monkeypatch.setattr(type(trove), "page_size", 2)
    numbers = lab.add_backups(count, "db1")
    lab.add_backups(3, "db2")
    source = lab.instance("db1")
    assert [found.id for found in trove.list_backups(source).backups] == numbers
    pages = [f"GET /backups?instance_id={source}&limit=2"]
    pages += [f"{pages[0]}&marker={number}" for number in range(1, count)]
    assert calls(lab) == pages + ([f"GET /instances/{source}"] if not count else [])


def test_a_thousand(lab, trove):
    numbers = lab.add_backups(1000, "db1")
    assert [found.id for found in trove.list_backups("*").backups] == numbers
    assert calls(lab) == ["GET /backups?limit=200"] + [
        f"GET /backups?limit=200&marker={number}" for number in range(199, 1000, 199)]


def test_a_datastore(lab, trove):
    wanted = lab.add_backup("db2")
    lab.add_backup("db1")
    lab.add_backup(None, datastore=None, state="NEW")
    assert [found.id for found in trove.list_backups("*", datastore="mysql").backups] == [wanted]
    found = trove.list_backups("*", datastore="MySQL")
    assert found.backups == []
    assert found.warnings == ["there is no datastore MySQL; there are: mariadb, mysql, postgresql"]
    assert calls(lab)[-2:] == ["GET /backups?datastore=MySQL&limit=200", "GET /datastores"]


def test_a_record_that_is_whole_and_one_that_is_not(lab, trove):
    parent = lab.add_backup("db2", created="2026-01-01T00:00:00Z")
    whole = lab.add_backup("db2", created="2026-01-02T03:04:05Z", size=0.5, name="odd", parent=parent)
    bare = lab.add_backup(None, datastore=None, state="NEW", location=None)
    found = {backup.id: backup for backup in trove.list_backups("*").backups}
    assert found[whole].created_at.isoformat() == "2026-01-02T03:04:05+00:00"
    assert (found[whole].size_bytes, found[whole].name, found[whole].parent_id) == (2**29, "odd", parent)
    assert (found[whole].engine, found[whole].status) == ("mysql", "ok")
    assert found[whole].series == lab.instance("db2") + "/mysql"
    assert (found[bare].source, found[bare].engine, found[bare].status) == ("", None, "running")


def test_instances_by_name(lab, connect, errors):
    backup = lab.add_backup("db1")
    provider = connect()
    for _again in range(2):
        assert [found.id for found in provider.list_backups("db1").backups] == [backup]
    listed = f"GET /backups?instance_id={lab.instance('db1')}&limit=200"
    assert calls(lab) == ["GET /instances?limit=200", listed, listed]
    with pytest.raises(errors.OptionError, match="^source: 2 instances have the name twin, give the id of one: "):
        connect().list_backups("twin")
    with pytest.raises(errors.NotFoundError, match="There is no instance db9; there are: db1, db2, pg1, twin, twin"):
        connect().list_backups("db9")


def test_more_instances_than_a_page(lab, trove):
    more = lab.add_instances(50)
    try:
        found = trove.list_sources()
    finally:
        lab.remove_instances(*(each["id"] for each in more))
    assert {source.name for source in found} == {"db1", "db2", "pg1", "twin", *(each["name"] for each in more)}
    assert len(found) == 55 and len(calls(lab)) == 3
    assert {(source.engine, source.version, source.status) for source in found if source.name == "db1"} == {
        ("mariadb", "10.11", "ACTIVE")}


def test_what_does_not_exist(lab, trove, errors):
    backup = lab.add_backup("db1")
    with pytest.raises(errors.NotFoundError):
        trove.get_backup("*", UNKNOWN)
    with pytest.raises(errors.NotFoundError, match=f"There is no instance {UNKNOWN}"):
        trove.list_backups(UNKNOWN)
    with pytest.raises(errors.OptionError, match=f"^id: {backup} is no backup of db2, but of {lab.instance('db1')}"):
        trove.get_backup("db2", backup)
    assert trove.get_backup("db1", backup).id == backup


# -- files --------------------------------------------------------------------------------------------------------


def test_a_plain_file(lab, trove):
    backup = lab.back_up("db1")
    lab.clear_requests()
    (file,) = trove.list_files("db1", backup["id"])
    access = trove.file_access("db1", backup["id"], file)
    place = "/" + "/".join(lab.place(backup["locationRef"]))
    assert calls(lab, "swift") == [f"HEAD {place}"]
    status, content = download(access)
    assert status == 200 and content == lab.local_copy(backup["id"]).read_bytes()
    assert file.size_bytes == len(content) and file.md5 == hashlib.md5(content).hexdigest()


def test_a_large_object_is_fetched_by_its_segments(lab, trove):
    backup = lab.back_up("db1", name="big")
    lab.clear_requests()
    files = trove.list_files("*", backup["id"])
    place = "/" + "/".join(lab.place(backup["locationRef"]))
    assert calls(lab, "swift") == [f"HEAD {place}", f"GET {place}?multipart-manifest=get"]
    parts = [download(trove.file_access("*", backup["id"], file))[1] for file in files]
    assert len(parts) > 3 and b"".join(parts) == lab.local_copy(backup["id"]).read_bytes()
    assert [(file.size_bytes, file.md5) for file in files] == [
        (len(part), hashlib.md5(part).hexdigest()) for part in parts]


def test_a_location_with_an_internal_host_is_found_all_the_same(lab, trove):
    backup = lab.back_up("db1")
    place = "/".join(lab.place(backup["locationRef"]))
    lab.change_backup(backup["id"], location=f"https://swift.internal:8080/v1/AUTH_x/{place}")
    (file,) = trove.list_files("*", backup["id"])
    assert trove.file_access("*", backup["id"], file).url == f"{lab.swift_account()}/{place}"


@pytest.mark.parametrize("cloud", ["reader", "appcred_reader"])
def test_a_reader_lists_and_may_not_fetch(lab, connect, errors, cloud):
    backup = lab.back_up("db1")
    assert connect(cloud).get_backup("*", backup["id"]).good
    with pytest.raises(errors.AuthError, match="a role that may read container database_backups") as caught:
        connect(cloud).list_files("*", backup["id"])
    assert caught.value.code == "no_read_access"


def test_files_that_are_not_there(lab, trove, errors):
    gone, elsewhere, running = (
        lab.add_backup("db1"), lab.add_backup("db1", location="cinder://volume/1"),
        lab.add_backup("db1", location=None, state="BUILDING"))
    with pytest.raises(errors.NotFoundError, match="is gone from the object store: database_backups/") as caught:
        trove.list_files("*", gone)
    assert caught.value.code == "file_missing"
    with pytest.raises(errors.ApiError, match="cinder storage .*: there is no file to fetch") as caught:
        trove.list_files("*", elsewhere)
    assert caught.value.code == "no_file"
    assert trove.list_files("*", running) == []


# -- writes -------------------------------------------------------------------------------------------------------


def test_a_backup_is_taken_and_one_at_a_time(lab, trove, model, errors):
    source = lab.instance("db1")
    with lab.guest_with(hold=True):
        taken = trove.run_backup("db1", model.RunRequest(name="one", description="why"))
        assert (taken.status, taken.source, taken.name) == ("running", source, "one")
        with pytest.raises(errors.ApiError, match="status was BACKUP") as caught:
            trove.run_backup("db1", model.RunRequest(name="two"))
        assert caught.value.code == "already_running"
        with pytest.raises(errors.ApiError, match=f"Backup {taken.id} cannot be deleted while it is running") as caught:
            trove.delete_backup("db1", taken.id)
        assert caught.value.code == "backup_running"
    assert lab.settle(taken.id)["status"] == "COMPLETED"
    assert [entry["body"] for entry in lab.requests("trove") if entry["method"] == "POST"] == [
        {"backup": {"instance": source, "name": "one", "description": "why"}},
        {"backup": {"instance": source, "name": "two"}}]


def test_an_incremental_one_knows_its_parent_and_goes_with_it(lab, trove, model, errors):
    full = lab.back_up("db1")
    child = trove.run_backup("db1", model.RunRequest(name="next", incremental=True, parent_id=full["id"]))
    lab.settle(child.id)
    assert trove.get_backup("db1", child.id).parent_id == full["id"]
    trove.delete_backup("db1", full["id"])
    assert calls(lab)[-1] == f"DELETE /backups/{full['id']}"
    with pytest.raises(errors.NotFoundError):
        trove.delete_backup("db1", UNKNOWN)
    for _look in range(100):
        if not trove.list_backups("db1").backups:
            break
    assert trove.list_backups("db1").backups == []


def test_no_room_for_another(lab, trove, model, errors):
    lab.set_quota(0)
    try:
        with pytest.raises(errors.ApiError, match="413") as caught:
            trove.run_backup("db1", model.RunRequest(name="one"))
        assert caught.value.code == "over_limit"
    finally:
        lab.set_quota(None)


def test_a_member_without_the_object_store(lab, connect, model, errors):
    (made,) = lab.add_instances(1, prefix="theirs", project="other")
    try:
        with pytest.raises(errors.AuthError, match="The token itself is good") as caught:
            connect("other").run_backup(made["id"], model.RunRequest(name="one"))
    finally:
        lab.remove_instances(made["id"])
    assert caught.value.code == "no_object_store"
    assert len(lab.token_requests()) == 1


# -- modules ------------------------------------------------------------------------------------------------------


def writes(lab):
    return [call for call in calls(lab) if not call.startswith("GET")]


def test_run_twice(lab, run):
    predicted = run("backup_run", check_mode=True, source="db1", max_age="1h", wait_interval=1)
    assert predicted["changed"] and writes(lab) == []
    first = run("backup_run", source="db1", max_age="1h", wait=False)
    assert first["changed"] and writes(lab) == ["POST /backups"]
    lab.settle(first["backup"]["id"])
    second = run("backup_run", source="db1", max_age="1h")
    assert not second["changed"] and second["backup"]["id"] == first["backup"]["id"]
    assert writes(lab) == ["POST /backups"]


def test_a_token_that_ends_in_a_long_wait_is_renewed_once(lab, run):
    lab.guest(hold=True)
    later = [threading.Timer(3, lab.revoke_tokens, ["demo"]), threading.Timer(8, lab.guest, kwargs={"hold": False})]
    for one in later:
        one.start()
    try:
        result = run("backup_run", source=lab.instance("db1"), max_age="1h", wait_interval=1, wait_timeout=120)
    finally:
        for one in later:
            one.join()
    assert result["changed"] and result["backup"]["status"] == "ok"
    assert writes(lab) == ["POST /backups"]
    assert len(lab.token_requests()) == 2
    assert [entry["status"] for entry in lab.requests("trove")].count(401) == 1


def test_the_strategy(lab, run):
    listed = f"GET /backup_strategies?instance_id={lab.instance('db1')}"
    place = dict(source=lab.instance("db1"), evidence="api")
    try:
        assert run("backup_task", check_mode=True, swift_container="mine", **place)["changed"]
        assert calls(lab) == [listed]
        lab.clear_requests()
        created = run("backup_task", swift_container="mine", **place)
        assert created["changed"] and created["diff"] == {
            "before": {"task": None}, "after": {"task": {"swift_container": "mine"}}}
        assert calls(lab) == [listed, "POST /backup_strategies", listed]
        lab.clear_requests()
        assert not run("backup_task", swift_container="mine", **place)["changed"]
        assert calls(lab) == [listed]
        assert run("backup_task", swift_container="other", **place)["action"] == "updated"
        assert lab.place(lab.back_up("db1")["locationRef"])[0] == "other"
        assert run("backup_task", check_mode=True, state="absent", **place)["changed"]
        assert run("backup_task", state="absent", **place)["changed"]
        lab.clear_requests()
        assert not run("backup_task", state="absent", **place)["changed"]
        assert calls(lab) == [listed]
    finally:
        lab.trove("DELETE", "/backup_strategies", instance_id=lab.instance("db1"))


def test_an_import(lab, run):
    original = lab.back_up("db1")
    lab.clear("db1")
    lab.clear_requests()
    wanted = dict(location=original["locationRef"], datastore="mariadb", datastore_version="10.11", description="why")
    assert run("backup_import", check_mode=True, **wanted)["changed"] and writes(lab) == []
    first = run("backup_import", **wanted)
    assert first["changed"] and writes(lab) == ["POST /backups"]
    (record,) = lab.trove("GET", "/backups").body["backups"]
    assert record["id"] == first["backup"]["id"]
    assert (record["status"], record["instance_id"], record["description"]) == ("RESTORED", None, "why")
    assert record["size"] == pytest.approx(lab.local_copy(original["id"]).stat().st_size / 2**30)
    again = run("backup_import", **wanted)
    assert not again["changed"] and again["backup"]["id"] == record["id"]
    assert writes(lab) == ["POST /backups"]


def test_an_import_of_what_is_not_there(lab, run):
    outcome = run("backup_import", location=f"{lab.swift_account()}/database_backups/none.xbstream.gz",
                  datastore_version=lab.datastores["mariadb"]["version_id"])
    assert outcome.code == "bad_option" and "no object none.xbstream.gz in container database_backups" in str(
        outcome.error)
    assert writes(lab) == []
