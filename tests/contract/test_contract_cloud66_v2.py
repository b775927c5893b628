# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Version 2 of Cloud 66 over HTTP: one list, chains of exports, imports by group."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from in_process import download

LIST = "GET /stacks/UID/managed_backups"


@pytest.fixture
def connection(sandbox):
    ready = sandbox.ready["cloud66_v2"]
    return {"provider": "cloud66_v2", "api_url": ready["api_url"], "api_token": ready["token"]}


@pytest.fixture
def calls(stack):
    """The calls of version 2 in order, the stack's uid written as UID."""
    def told():
        found = stack.sandbox.requests(surface="cloud66_v2")
        return [f"{one['method']} {one['path'].replace('/api/2', '', 1)}".replace(stack.uid, "UID")
                + (f"?{one['query']}" if one["query"] else "") for one in found]

    yield told
    stack.sandbox.reset_switches()


def ids(outcome):
    return [backup["id"] for backup in outcome["backups"]]


def fetched(access):
    """(status, body) of a URL taken as it is, without any header of ours."""
    assert access.headers == {}
    return download(access)


# -- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enveloped", [False, True])
@pytest.mark.parametrize("count", [0, 1, 30, 31, 1000])
def test_a_list_is_one_call_in_either_shape(run, stack, calls, count, enveloped):
    stack.sandbox.switch("cloud66_v2", enveloped=enveloped)
    if count:
        stack.sandbox.synthetic(stack.name, count, every="1m")
    backups = run("backup_info", source=stack.uid)["backups"]
    assert len(backups) == count
    assert [b["created_at"] for b in backups] == sorted((b["created_at"] for b in backups), reverse=True)
    assert calls() == [LIST]


def test_records_are_those_of_version_3(run, stack, calls):
    stack.history(3, backup_size=4096, verify_status=2)
    newer = run("backup_info", source=stack.uid, provider="cloud66")["backups"]
    assert run("backup_info", source=stack.uid)["backups"] == [dict(backup, provider="cloud66_v2") for backup in newer]


def test_an_engine_is_looked_for_here(run, stack, calls):
    stack.record(engine="mysql")
    wanted = stack.record(engine="postgresql")
    assert ids(run("backup_info", source=stack.uid, engine="pg")) == [wanted]
    assert calls() == [LIST]


def test_a_group_cannot_be_asked_for(run, stack, calls):
    outcome = run("backup_info", source=stack.uid, group=stack.group)
    assert outcome.code == "bad_option"
    assert outcome.error.message.startswith("group: provider cloud66_v2 has no such option")
    assert calls() == []


def test_info_by_id_looks_through_the_list(run, stack, calls):
    wanted = stack.history(3)[1]
    assert ids(run("backup_info", source=stack.uid, id=wanted)) == [wanted]
    assert run("backup_info", source=stack.uid, id="999999999").code == "not_found"
    assert calls() == [LIST] * 2


def test_a_check_is_one_call(run, stack, calls):
    stack.history(3, verify_status=2, backup_size=4096)
    assert run("backup_check", source=stack.uid, max_age="2d", min_size="1KB", require_verified=True)["compliant"]
    assert calls() == [LIST]


def test_unknown_stacks_and_other_accounts(run, stack, sandbox, calls):
    assert run("backup_info", source="no-such-stack").code == "not_found"
    elsewhere = sandbox.uid("elsewhere")
    assert run("backup_info", source=elsewhere).code == "not_found"
    assert run("backup_info", source=elsewhere, account="2")["backups"] == []
    assert len(calls()) == 3


@pytest.mark.parametrize("url", ["", "/", "/api/2", "/api/3/"])
def test_the_version_does_not_hang_on_the_address(run, stack, calls, url):
    assert run("backup_info", source=stack.uid, api_url=stack.sandbox.url + url)["backups"] == []
    assert calls() == [LIST]


@pytest.mark.parametrize("body", [{"ok": True}, {"response": {}}, [7], {"response": "none"}], ids=str)
def test_what_is_no_list_is_not_taken_for_an_empty_one(run, stack, calls, body):
    stack.sandbox.fault("status", surface="cloud66_v2", route="list", code=200, body=body)
    assert run("backup_info", source=stack.uid).code == "bad_shape"
    assert calls() == [LIST]


@pytest.mark.parametrize("body", [[{}], [{"id": None, "db_type": None, "backup_status": "x"}]], ids=str)
def test_records_that_contradict_the_documentation(run, stack, calls, body):
    stack.sandbox.fault("status", surface="cloud66_v2", route="list", code=200, body=body)
    [backup] = run("backup_info", source=stack.uid)["backups"]
    assert (backup["id"], backup["series"], backup["status"]) == ("", "unknown/-", "unknown")


# -- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enveloped", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_files_are_a_chain_of_exports(provider, stack, calls, parts, enveloped):
    stack.sandbox.switch("cloud66_v2", enveloped_actions=enveloped)
    blob = stack.sandbox.blob(stack.name, 12288, parts=parts)
    chain = [f"GET /backups/{blob['id']}/export" + name for name in ["", *("/" + name for name in blob["files"][1:])]]
    files = provider.list_files(stack.uid, str(blob["id"]))
    assert calls() == chain
    assert [file.name.partition(".")[2] for file in files] == blob["files"]
    assert "Signature" not in repr(files) and "://" not in repr(files)
    # The URLs are those of now: asked for again, and good although the API encodes the signature twice.
    answers = [fetched(provider.file_access(stack.uid, str(blob["id"]), file)) for file in files]
    assert calls() == chain * 2
    content = b"".join(part for status, part in answers if status == 200)
    assert hashlib.sha256(content).hexdigest() == blob["sha256"]


def test_a_real_backup_is_handed_out_whole(provider, stack):
    number = stack.sandbox.backup(stack.name)[0]  # one for each task that another test left here
    files = provider.list_files(stack.uid, str(number))
    content = b"".join(fetched(provider.file_access(stack.uid, str(number), file))[1] for file in files)
    assert content == Path(stack.sandbox.facts(stack.name, number)["path"]).read_bytes()


def test_a_chain_in_circles_is_noticed(provider, stack, calls):
    body = {"ok": True, "file_name": "x", "url": "https://s.example/x", "next_extension": "tar-ab"}
    stack.sandbox.fault("status", surface="cloud66_v2", route="export", code=200, body=body)
    with pytest.raises(Exception, match="go in circles") as caught:
        provider.list_files(stack.uid, "7")
    assert caught.value.code == "paging"
    assert calls() == ["GET /backups/7/export", "GET /backups/7/export/tar-ab"]


@pytest.mark.parametrize("fault, code", [
    ({"kind": "ok_false", "message": "in the freezer"}, "not_ok"), ({"kind": "html"}, "not_json"),
    ({"kind": "status", "code": 200, "body": {"ok": True, "url": "https://s.example/x"}}, "incomplete"),
    ({"kind": "status", "code": 404}, "not_found"),
], ids=str)
def test_an_export_that_is_none(provider, stack, calls, fault, code):
    stack.sandbox.fault(surface="cloud66_v2", route="export", **fault)
    with pytest.raises(Exception) as caught:
        provider.list_files(stack.uid, "7")
    assert caught.value.code == code
    assert calls() == ["GET /backups/7/export"] and provider.pauses == []


@pytest.mark.parametrize("kind", ["throttle", "reset", "truncate"])
def test_reading_is_tried_again(run, provider, stack, calls, kind):
    blob = stack.sandbox.blob(stack.name, 4096)
    stack.sandbox.fault(kind, surface="cloud66_v2", route="export", times=2)
    assert len(provider.list_files(stack.uid, str(blob["id"]))) == 1
    assert calls() == [f"GET /backups/{blob['id']}/export"] * 3


def test_a_wrong_token_is_told_at_once(run, stack, calls):
    outcome = run("backup_info", source=stack.uid, api_token="wrong-token")
    assert outcome.code == "unauthenticated" and "wrong-token" not in outcome.error.message
    assert calls() == [LIST] and outcome.pauses == []


# -- importing ----------------------------------------------------------------------------------------------------


def importing(stack, **options):
    given = {"source": stack.uid, "group": stack.group, "engine": "pg", "remote_url": stack.sandbox.import_source()}
    return {**given, **options}


def markers(tmp_path):
    return [json.loads(path.read_text())["state"] for path in (tmp_path / "state").glob("*/*.json")]


@pytest.mark.parametrize("enveloped", [False, True])
def test_an_import_is_one_post_and_its_repetition_nothing(run, stack, calls, enveloped):
    stack.sandbox.switch("cloud66_v2", enveloped_actions=enveloped)
    planned = run("backup_import", check_mode=True, **importing(stack))
    assert (planned["changed"], calls()) == (True, [])
    first = run("backup_import", **importing(stack))
    assert (first["changed"], first["action"], first["diff"]) == (True, "created", planned["diff"])
    again = run("backup_import", **importing(stack))
    assert (again["changed"], again["action"]) == (False, "present")
    assert calls() == [f"POST /backups/{stack.group}/import"]
    assert stack.sandbox.posts()[0]["body"] == {"db_type": "postgresql", "remote_url": stack.sandbox.import_source()}


def test_an_import_is_waited_for_by_the_list(run, stack, calls):
    outcome = run("backup_import", **importing(stack, wait=True))
    assert outcome["backup"]["status"] == "ok" and outcome["backup"]["provider"] == "cloud66_v2"
    assert calls()[:3] == [LIST, f"POST /backups/{stack.group}/import", LIST]


@pytest.mark.parametrize("options, option, words", [
    ({"group": 99999}, "group", "Cannot find backup group ID"),
    ({"engine": "redis"}, "engine", "Cannot find backup job on group for database type"),
])
def test_a_refusal_names_the_option_and_leaves_no_marker(run, stack, calls, tmp_path, options, option, words):
    for _time in range(2):
        outcome = run("backup_import", **importing(stack, **options))
        assert outcome.code == "bad_option"
        assert outcome.error.message.startswith(f"{option}: POST ") and words in outcome.error.message
    assert len(calls()) == 2 and markers(tmp_path) == []


def test_all_refusals_of_the_notes_name_their_option(run, stack, calls):
    for words, option in (("No managed backup group ID specified", "group"), ("No database type specified", "engine"),
                          ("No remote URL specified", "remote_url")):
        stack.sandbox.fault("status", surface="cloud66_v2", route="import", code=400, times=1,
                            body={"error": "bad_request", "details": words})
        outcome = run("backup_import", **importing(stack))
        assert outcome.code == "bad_option" and outcome.error.message.startswith(f"{option}: ")


@pytest.mark.parametrize("fault", [
    {"kind": "status", "code": 500}, {"kind": "commit_then_500"}, {"kind": "commit_then_reset"}, {"kind": "html"},
], ids=str)
def test_in_doubt_nothing_is_sent_twice(run, stack, calls, tmp_path, fault):
    stack.sandbox.fault(surface="cloud66_v2", route="import", times=1, **fault)
    assert run("backup_import", **importing(stack)).code == "outcome_unknown"
    assert markers(tmp_path) == ["intent"]
    assert run("backup_import", **importing(stack)).code == "in_doubt"
    assert len(calls()) == 1


def test_versions_do_not_share_their_memory(run, stack, calls):
    run("backup_import", **importing(stack))
    assert run("backup_import", **importing(stack, provider="cloud66"))["action"] == "created"


@pytest.mark.parametrize("module, options, words", [
    ("backup_task", {"frequency": "0 3 * * *"}, "provider cloud66 creates backup tasks"),
    ("backup_task", {"state": "absent"}, "Database Backups page"),
    ("backup_run", {}, "no version of the API has such a call"),
    ("backup_run", {"state": "absent", "id": "7"}, "keep_count"),
])
def test_what_it_cannot_do_is_said_before_any_call(run, stack, calls, module, options, words):
    outcome = run(module, source=stack.uid, **options)
    assert outcome.code == "unsupported" and words in outcome.error.message
    assert calls() == []


def test_stacks_are_listed_by_version_3(provider, calls):
    with pytest.raises(Exception, match="provider cloud66_v2 cannot list what it backs up: .*provider cloud66 lists"):
        provider.require("sources")
    assert calls() == []
