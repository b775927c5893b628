# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which HTTP calls each module makes, in which order, and not one more."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from support import DAY, HOUR

LIST = "GET /stacks/UID/backups"
CREATE = "POST /stacks/UID/backups"


def fetch(url):
    """(status, length of the body) of a URL taken as it is."""
    address = urlsplit(url)
    link = http.client.HTTPConnection(address.netloc, timeout=60)
    try:
        link.request("GET", f"{address.path}?{address.query}")
        answer = link.getresponse()
        return answer.status, len(answer.read())
    finally:
        link.close()


# -- reading ------------------------------------------------------------------------------------------------------


def test_info_of_one_page_is_one_call(run, stack):
    ids = stack.history(3)
    assert [backup["id"] for backup in run("backup_info", source=stack.uid)["backups"]] == ids
    assert stack.calls() == [LIST]


def test_info_of_nothing_is_one_call(run, stack):
    outcome = run("backup_info", source=stack.uid)
    assert outcome["backups"] == [] and outcome["series"] == []
    assert stack.calls() == [LIST]


def test_info_of_many_pages_asks_for_each_once_the_first_one_first(run, stack):
    stack.sandbox.synthetic(stack.name, 95, every="1h")
    backups = run("backup_info", source=stack.uid)["backups"]
    calls = stack.calls()
    assert calls[0] == LIST
    # The others are asked for at the same time, and so in any order.
    assert sorted(calls[1:]) == [f"{LIST}?page={page}" for page in (2, 3, 4)]
    assert len(backups) == 95
    assert [b["created_at"] for b in backups] == sorted((b["created_at"] for b in backups), reverse=True)


def test_filters_that_the_api_knows_are_sent_with_every_page(run, stack):
    stack.sandbox.synthetic(stack.name, 31, every="1h")
    assert len(run("backup_info", source=stack.uid, group=stack.group, engine="postgresql")["backups"]) == 31
    asked = f"{LIST}?group={stack.group}&db_type=postgresql"
    assert stack.calls() == [asked, f"{asked}&page=2"]


def test_an_engine_is_asked_for_by_the_name_that_the_api_has_for_it(run, stack):
    stack.history(1)
    assert len(run("backup_info", source=stack.uid, engine="Postgres")["backups"]) == 1
    assert stack.calls() == [f"{LIST}?db_type=postgresql"]


def test_filters_that_the_api_does_not_know_cost_no_call(run, stack):
    newest = stack.history(5)[0]
    outcome = run("backup_info", source=stack.uid, latest=True, since="7d", status="ok", series=["nightly"], limit=1)
    assert [backup["id"] for backup in outcome["backups"]] == [newest]
    assert stack.calls() == [LIST]


def test_info_by_id_is_one_call(run, stack):
    wanted = stack.history(3)[1]
    assert [backup["id"] for backup in run("backup_info", source=stack.uid, id=wanted)["backups"]] == [wanted]
    assert stack.calls() == [f"GET /stacks/UID/backups/{wanted}"]


def test_files_cost_one_call_for_each_backup_that_is_shown(run, stack):
    blobs = [stack.sandbox.blob(stack.name, 4096, parts=parts) for parts in (1, 3)]
    backups = run("backup_info", source=stack.uid, latest=True, files=True)["backups"]
    calls = stack.calls()
    assert calls[0] == LIST
    assert sorted(calls[1:]) == sorted(f"GET /stacks/UID/backups/{blob['id']}/files" for blob in blobs)
    shown = {backup["id"]: [file["id"] for file in backup["files"]] for backup in backups}
    assert shown == {str(blob["id"]): blob["files"] for blob in blobs}
    assert sorted(map(len, shown.values())) == [1, 3]


def test_many_sources_are_one_call_each_and_none_loses_another(run, stacks):
    for stack in stacks[:2]:
        stack.history(2)
    outcome = run("backup_info", sources=[stacks[0].uid, "no-such-stack", stacks[1].uid])
    assert [(one["count"], (one["error"] or {}).get("code")) for one in outcome["sources"]] == [
        (2, None), (0, "not_found"), (2, None)]
    assert len(outcome["backups"]) == 4
    assert [stack.calls() for stack in stacks[:2]] == [[LIST], [LIST]]
    assert len(stacks[0].sandbox.requests()) == 3


def test_a_check_is_one_call(run, stack):
    stack.history(5)
    assert run("backup_check", source=stack.uid, frequency="0 3 * * *", grace="23h", min_count=3)["series"]
    assert stack.calls() == [LIST]


def test_a_check_of_many_sources_is_one_call_each(run, stacks):
    for stack in stacks:
        stack.history(2)
    assert run("backup_check", sources=[stack.uid for stack in stacks], max_age="2d")["compliant"]
    assert [stack.calls() for stack in stacks] == [[LIST]] * len(stacks)


def test_sources_are_listed_by_one_call(provider, sandbox):
    names = {source.name: source.id for source in provider.list_sources()}
    assert names["pool1"] == sandbox.uid("pool1") and "elsewhere" not in names
    assert [(entry["method"], entry["path"], entry["query"]) for entry in sandbox.requests()] == [
        ("GET", "/api/3/stacks", "")]


# -- files --------------------------------------------------------------------------------------------------------


def test_a_file_url_is_one_call_and_its_double_encoded_signature_is_mended(run, provider, stack):
    blob = stack.sandbox.blob(stack.name, 4096)
    [file] = provider.list_files(stack.uid, blob["id"])
    seen = len(stack.calls())
    url = provider.file_access(stack.uid, blob["id"], file).url
    assert stack.calls()[seen:] == [f"GET /stacks/UID/backups/{blob['id']}/files/tar"]
    # The storage checks the signature for real. As the API gave it, it is refused.
    assert "%25" not in urlsplit(url).query
    assert fetch(url) == (200, 4096)
    asked = stack.sandbox.api("GET", f"/stacks/{stack.uid}/backups/{blob['id']}/files/tar")
    assert "%25" in asked[1]["response"]["public_url"] and fetch(asked[1]["response"]["public_url"])[0] == 403


def test_the_path_of_a_file_url_is_never_mended(provider, stack):
    blob = stack.sandbox.blob(stack.name, 4096)
    stack.sandbox.fault("odd_path")
    [file] = provider.list_files(stack.uid, blob["id"])
    url = provider.file_access(stack.uid, blob["id"], file).url
    assert "%25" in urlsplit(url).path and "%25" not in urlsplit(url).query
    assert fetch(url) == (200, 4096)


def test_ids_are_quoted_and_cannot_lead_elsewhere(run, provider, stack, sandbox):
    assert run("backup_info", source="../stacks?x=1#", id="../1").code == "not_found"
    assert [entry["path"] for entry in sandbox.requests()] == ["/api/3/stacks/..%2Fstacks%3Fx%3D1%23/backups/..%2F1"]


def test_a_file_that_does_not_exist_is_named(provider, stack):
    blob = stack.sandbox.blob(stack.name, 4096)
    [file] = provider.list_files(stack.uid, blob["id"])
    file.id = "tar-zz"
    with pytest.raises(Exception, match="answered 404: File not found"):
        provider.file_access(stack.uid, blob["id"], file)


def test_no_url_is_an_error(provider, stack):
    blob = stack.sandbox.blob(stack.name, 4096)
    stack.sandbox.fault("ok_false", route="file", message="The file is in the freezer")
    [file] = provider.list_files(stack.uid, blob["id"])
    with pytest.raises(Exception, match="gave no URL for file tar .*The file is in the freezer"):
        provider.file_access(stack.uid, blob["id"], file)


# -- writing ------------------------------------------------------------------------------------------------------


def test_a_task_is_created_by_looking_and_then_one_post(run, stack):
    outcome = run("backup_task", source=stack.uid, frequency="0  3 * * *", keep_count=14)
    assert (outcome["changed"], outcome["action"]) == (True, "created")
    assert stack.calls() == [LIST, CREATE]
    # What the user did not say is not sent, so that the service's own defaults hold.
    assert stack.posts()[0]["body"] == {"db_type": "all", "frequency": "0 3 * * *", "keep_count": 14}


def test_every_option_of_a_task_has_the_name_of_the_api(run, stack):
    run("backup_task", source=stack.uid, engines=["redis", "Postgres"], frequency="*/5 * * * 1-5", keep_count=3,
        gzip=False, excluded_tables=["sessions", "a, b"], run_on_replica=False, logical_backup=True)
    assert stack.posts()[0]["body"] == {
        "db_type": "postgresql,redis", "frequency": "*/5 * * * 1-5", "keep_count": 3, "gzip": False,
        "excluded_tables": "a,b,sessions", "run_on_replica_server": False, "logical_backup": True}


def test_the_second_run_looks_once_and_posts_nothing(run, stack):
    run("backup_task", source=stack.uid)
    seen = len(stack.calls())
    outcome = run("backup_task", source=stack.uid)
    assert (outcome["changed"], outcome["action"]) == (False, "pending")
    assert stack.calls()[seen:] == [LIST]


def test_a_series_that_somebody_else_began_is_evidence_enough(run, stack):
    stack.history(3)
    outcome = run("backup_task", source=stack.uid)
    assert (outcome["changed"], outcome["action"], outcome["engines_seen"]) == (False, "present", ["postgresql"])
    assert stack.calls() == [LIST]


def test_only_engines_without_a_series_are_asked_for(run, stack):
    stack.history(3, engine="postgresql")
    outcome = run("backup_task", source=stack.uid, engines=["postgresql", "redis"])
    assert outcome["action"] == "created"
    assert [post["body"]["db_type"] for post in stack.posts()] == ["redis"]


def test_check_mode_looks_and_writes_nothing(run, stack, tmp_path):
    outcome = run("backup_task", check_mode=True, source=stack.uid, frequency="0 3 * * *")
    assert (outcome["changed"], outcome["action"]) == (True, "created")
    assert stack.calls() == [LIST]
    assert not (tmp_path / "state").exists()


def test_a_task_is_not_deleted_by_any_call(run, stack, sandbox):
    outcome = run("backup_task", source=stack.uid, state="absent")
    assert outcome.code == "unsupported"
    assert "Database Backups page" in outcome.error.message
    assert sandbox.requests() == []


def test_an_import_is_one_post_and_its_repetition_nothing(run, stack):
    wanted = {"source": stack.uid, "group": stack.group, "engine": "pg", "remote_url": stack.sandbox.import_source()}
    first = run("backup_import", **wanted)
    assert (first["changed"], first["action"]) == (True, "created")
    assert stack.calls() == [CREATE]
    assert stack.posts()[0]["body"] == {
        "group": stack.group, "db_type": "postgresql", "remote_url": wanted["remote_url"]}
    again = run("backup_import", **wanted)
    assert (again["changed"], again["action"]) == (False, "present")
    assert stack.calls() == [CREATE]


def test_a_new_signature_does_not_make_another_import_but_another_group_does(run, stack):
    wanted = {"source": stack.uid, "engine": "postgresql", "group": stack.group}
    url = stack.sandbox.import_source()
    run("backup_import", remote_url=url + "?Signature=one", **wanted)
    assert not run("backup_import", remote_url=url + "?Signature=two", **wanted)["changed"]
    assert len(stack.posts()) == 1
    assert run("backup_import", remote_url=url.replace("dump", "other"), **wanted)["changed"]
    assert run("backup_import", remote_url=url, **dict(wanted, group=99999)).code == "not_found"
    assert len(stack.posts()) == 3


def test_an_import_that_is_waited_for_looks_before_and_after(run, stack):
    outcome = run("backup_import", source=stack.uid, group=stack.group, engine="postgresql", wait=True,
                  remote_url=stack.sandbox.import_source())
    assert outcome["backup"]["status"] == "ok"
    assert stack.calls()[:3] == [LIST, CREATE, LIST]
    assert set(stack.calls()[3:]) <= {LIST}


def test_the_account_is_sent_and_decides_what_can_be_seen(run, sandbox):
    uid = sandbox.uid("elsewhere")
    assert run("backup_info", source=uid).code == "not_found"
    assert run("backup_info", source=uid, account="2")["backups"] == []
    assert run("backup_info", source=uid, account="77").code == "forbidden"
    assert [entry["account"] for entry in sandbox.requests()] == [None, "2", "77"]


def test_both_ways_to_write_the_address_mean_the_same(run, stack):
    for ending in ("", "/", "/api/3", "/api/3/"):
        run("backup_info", source=stack.uid, api_url=stack.sandbox.api_url + ending)
    assert stack.calls() == [LIST] * 4


def test_one_service_has_one_memory_however_its_address_is_written(run, stack):
    """Otherwise a second run with another spelling would ask for a second task."""
    plain = stack.sandbox.api_url.replace("127.0.0.1", "localhost")
    run("backup_task", source=stack.uid, api_url=plain)
    for other in (plain + "/", plain + "/api/3/", plain.replace("http", "HTTP"), plain.replace("local", "Local")):
        assert run("backup_task", source=stack.uid, api_url=other)["action"] == "pending"
    assert len(stack.posts()) == 1


def test_another_service_or_account_has_another_memory(run, sandbox, stack):
    elsewhere = sandbox.uid("elsewhere")
    assert run("backup_task", source=elsewhere, account="2")["action"] == "created"
    assert run("backup_task", source=elsewhere, account="2")["action"] == "pending"
    # A stack of that name in another account would be another stack. Here there is none.
    assert run("backup_task", source=elsewhere, account="1").code == "not_found"
    assert len(sandbox.posts()) == 1


@pytest.mark.parametrize("age, state", [(2 * DAY + HOUR, "present"), (4 * DAY, "in_doubt")])
def test_a_series_lives_until_two_gaps_have_passed(run, stack, age, state):
    stack.history(3, newest=age)
    outcome = run("backup_task", source=stack.uid, frequency="0 3 * * *")
    assert (outcome.error.code if outcome.error else outcome["action"]) == state
    assert stack.calls() == [LIST]
