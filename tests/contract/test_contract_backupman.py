# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backupman over HTTP: which calls are made, in which order, and what is made of its answers."""

from __future__ import annotations

import hashlib

import pytest

from in_process import download
from support import DAY, HOUR, ago

LIST = "GET /api/backups"
RUN = "POST /api/backups"
SHOP, CRM = "pool1", "pool2"
ZERO = "0001-01-01T00:00:00Z"


class Server:
    """The Backupman of the sandbox, without any backup."""

    def __init__(self, sandbox):
        self.sandbox = sandbox

    def backup(self, *labels, status="finished"):
        """Take real backups of these labels; their ids."""
        return self.sandbox.service("backupman", "POST", "/backup", labels=list(labels), status=status)["ids"]

    def records(self, count, label=SHOP, every="1h", **record):
        wanted = {"count": count, "label": label, "every": every, "record": record}
        return self.sandbox.service("backupman", "POST", "/synthetic", **wanted)["ids"]

    def change(self, number, **fields):
        return self.sandbox.service("backupman", "PATCH", f"/backups/{number}", set=fields)["record"]

    def facts(self, number):
        return self.sandbox.service("backupman", "GET", f"/backups/{number}")

    def calls(self):
        return [f"{one['method']} {one['path']}" + (f"?{one['query']}" if one["query"] else "")
                for one in self.sandbox.requests(surface="backupman")]

    def switch(self, **settings):
        self.sandbox.switch("backupman", **settings)


@pytest.fixture
def connection(sandbox):
    ready = sandbox.ready["backupman"]
    return {"provider": "backupman", "api_url": ready["api_url"], "api_token": ready["api_key"]}


@pytest.fixture
def server(sandbox):
    sandbox.service("backupman", "DELETE", "/backups")
    sandbox.clear_requests()
    yield Server(sandbox)
    sandbox.clear_faults()
    sandbox.reset_switches()
    sandbox.service("backupman", "DELETE", "/backups")


def ids(outcome):
    return [backup["id"] for backup in outcome["backups"]]


# -- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 30, 1000])
def test_a_list_is_one_call_however_long_and_sorted_here(run, server, count):
    made = server.records(count, every="1m") if count else []
    server.records(3, label=CRM)
    for _time in range(2):  # another order each time
        assert ids(run("backup_info", source=SHOP)) == made[::-1]
    assert server.calls() == [LIST] * 2


def test_all_labels_are_one_call_too(run, server):
    server.records(2)
    server.records(3, label=CRM)
    backups = run("backup_info", source="*")["backups"]
    assert sorted(backup["source"] for backup in backups) == [SHOP] * 2 + [CRM] * 3
    assert server.calls() == [LIST]


def test_an_unknown_label_is_told_with_the_known_ones(run, server):
    server.records(1)
    server.records(1, label=CRM)
    outcome = run("backup_info", source="nobody")
    assert outcome["backups"] == []
    assert outcome.warnings == [f"Backupman has no backup of label nobody; there are those of {SHOP}, {CRM}"]
    assert run("backup_check", source="nobody", max_age="1d")["violations"][0]["code"] == "no_backups"


def test_info_by_id_looks_through_the_list(run, server):
    [wanted] = server.records(1)
    [other] = server.records(1, label=CRM)
    assert ids(run("backup_info", source=SHOP, id=wanted)) == [wanted]
    for number, source in ((other, SHOP), ("0c1d", SHOP), (wanted.upper(), SHOP)):
        assert run("backup_info", source=source, id=number).code == "not_found"
    assert server.calls() == [LIST] * 4


def test_files_of_what_was_listed_cost_no_further_call(run, server):
    server.records(3)
    backups = run("backup_info", source=SHOP, files=True)["backups"]
    assert [len(backup["files"]) for backup in backups] == [1, 1, 1]
    assert server.calls() == [LIST]


def test_a_check_is_one_call(run, server):
    server.records(3)
    assert run("backup_check", source=SHOP, max_age="2d", min_count=3)["compliant"]
    assert server.calls() == [LIST]


def test_sizes_are_not_told(run, server):
    outcome = run("backup_check", source=SHOP, max_age="2d", min_size="1KB", fail_on_violation=False)
    assert outcome.code == "unsupported" and "cannot tell how large backups are" in outcome.error.message
    assert server.calls() == []


def test_sources_are_one_call(provider, server):
    server.records(2)
    server.records(1, label=CRM)
    assert [(source.id, source.name) for source in provider.list_sources()] == [(SHOP, SHOP), (CRM, CRM)]
    assert server.calls() == [LIST]


# -- records ------------------------------------------------------------------------------------------------------


def test_a_real_backup(run, server):
    [number] = server.backup(SHOP)
    [backup] = run("backup_info", source=SHOP)["backups"]
    record = server.facts(number)["record"]
    assert backup["status"] == "ok" and backup["series"] == SHOP and backup["engine"] is None
    assert backup["created_at"] == record["CreatedAt"] and backup["raw"] == record
    assert backup["location"] == "local:" + record["DriveFiles"][0]["Path"]


@pytest.mark.parametrize("shape", ["phantom", "null", "empty"])
@pytest.mark.parametrize("said, status", [("pending", "running"), ("failed", "failed")])
def test_a_backup_without_files_in_every_shape(run, provider, server, shape, said, status):
    [number] = server.backup(SHOP, status=said)
    server.switch(no_files=shape)
    [backup] = run("backup_info", source=SHOP, files=True)["backups"]
    assert (backup["status"], backup["location"], backup["files"]) == (status, None, [])
    assert backup["shares_file_with"] == []
    assert provider.list_files(SHOP, number) == []


def test_times_of_a_server_without_a_memory(run, server):
    server.backup(SHOP)
    server.switch(in_memory=True)
    assert run("backup_info", source=SHOP)["backups"][0]["created_at"] is None
    [violation] = run("backup_check", source=SHOP, max_age="1d")["violations"]
    assert violation["code"] == "stale" and "has no date" in violation["message"]


def test_sqlite_is_known_by_its_files(run, server):
    [number] = server.backup(SHOP)
    file = server.facts(number)["record"]["DriveFiles"][0]
    server.change(number, DriveFiles=[dict(file, Path="/x/20260318030005.db")])
    assert run("backup_info", source=SHOP, engine="sqlite")["backups"][0]["engine"] == "sqlite"
    assert run("backup_info", source=SHOP, engine="postgresql")["backups"] == []


def test_what_hangs_is_told_of(run, server):
    [hanging] = server.records(1, Status="pending", CreatedAt=ago(2 * DAY), DriveFiles=None)
    server.records(1, Status="pending", CreatedAt=ago(HOUR), DriveFiles=None)
    outcome = run("backup_info", source=SHOP)
    assert [backup["status"] for backup in outcome["backups"]] == ["running", "running"]
    [warning] = outcome.warnings
    assert warning.startswith(f"Backup {hanging} of {SHOP} has been pending since ")


@pytest.mark.parametrize("answer", [
    {"Results": [{}]}, {"Results": [{"Id": None, "Label": None, "DriveFiles": {}}]}], ids=str)
def test_records_that_contradict_the_documentation(run, server, answer):
    server.sandbox.fault("status", surface="backupman", route="list", code=200, body=answer)
    [backup] = run("backup_info", source="*")["backups"]
    assert (backup["id"], backup["source"], backup["status"], backup["created_at"]) == ("", "", "unknown", None)


@pytest.mark.parametrize("answer", [
    {}, {"Results": {}}, {"results": []}, [], {"Results": [None]}, {"Results": "none"}], ids=str)
def test_what_is_no_list_is_not_taken_for_an_empty_one(run, server, answer):
    server.sandbox.fault("status", surface="backupman", route="list", code=200, body=answer)
    assert run("backup_info", source=SHOP).code == "bad_shape"
    assert server.calls() == [LIST]


# -- shared files -------------------------------------------------------------------------------------------------


def test_two_labels_in_one_file_are_a_violation_of_both(run, server):
    server.switch(collision=True)
    shop, crm = server.backup(SHOP, CRM)
    for source, mine, theirs in ((SHOP, shop, f"{crm} ({CRM})"), (CRM, crm, f"{shop} ({SHOP})")):
        server.sandbox.clear_requests()
        [violation] = run("backup_check", source=source, max_age="100d")["violations"]
        assert violation["code"] == "collision" and violation["observed"] == 1
        assert violation["message"].startswith(f"Backups {mine} and {theirs} share one file")
        assert server.calls() == [LIST]
        assert run("backup_info", source=source)["backups"][0]["shares_file_with"] == [theirs]


def test_backups_of_their_own_seconds_are_no_violation(run, server):
    server.backup(SHOP, CRM)
    assert run("backup_check", source=SHOP, max_age="100d")["compliant"]


# -- files --------------------------------------------------------------------------------------------------------


def file_of(provider, server, number):
    [file] = provider.list_files(SHOP, number)
    server.sandbox.clear_requests()
    return file


def test_a_file_is_two_calls_and_the_bytes_that_were_dumped(provider, server):
    [number] = server.backup(SHOP)
    facts = server.facts(number)
    file = file_of(provider, server, number)
    assert file.name == facts["record"]["DriveFiles"][0]["Path"].rpartition("/")[2]
    status, content = download(provider.file_access(SHOP, number, file))
    assert (status, hashlib.sha256(content).hexdigest()) == (200, facts["sha256"])
    assert server.calls() == [
        f"GET /api/backups/{number}/generate-download-url", f"GET /api/backups/{file.id}/download"]
    assert {one["token"] for one in server.sandbox.requests()} == {"admin"}
    assert provider.told == []


def test_the_key_goes_nowhere_else_than_api_url(provider, server):
    [number] = server.backup(SHOP)
    file = file_of(provider, server, number)
    server.switch(app_url="http://elsewhere.example:8080")
    access = provider.file_access(SHOP, number, file)
    assert access.url == f"{server.sandbox.url}/api/backups/{file.id}/download"
    assert download(access)[0] == 200
    assert len(provider.told) == 1 and "lead to elsewhere.example (its app_url)" in provider.told[0]


def test_copies_on_several_drives_are_one_file(provider, server):
    server.switch(drives=3, provider="s3")
    [number] = server.backup(SHOP)
    copies = server.facts(number)["record"]["DriveFiles"]
    [found] = provider.list_files(SHOP, number)
    assert found.id in [copy["Id"] for copy in copies[1:]], "the first drive is not local"
    status, content = download(provider.file_access(SHOP, number, found))
    assert (status, hashlib.sha256(content).hexdigest()) == (200, server.facts(number)["sha256"])


@pytest.mark.parametrize("said, status", [("pending", "running"), ("failed", "failed")])
def test_a_finished_backup_whose_file_is_not_finished_is_not_good(run, provider, server, said, status):
    server.switch(drive_status=said)
    [number] = server.backup(SHOP)
    assert server.facts(number)["record"]["Status"] == "finished"
    assert run("backup_info", source=SHOP)["backups"][0]["status"] == status
    file = file_of(provider, server, number)
    with pytest.raises(Exception, match=f"its status on the drive is {said}") as caught:
        provider.file_access(SHOP, number, file)
    assert caught.value.code == "not_finished" and server.calls() == []


def test_a_file_of_another_drive_is_shown_but_not_handed_out(run, provider, server):
    server.switch(provider="s3")
    [number] = server.backup(SHOP)
    [backup] = run("backup_info", source=SHOP, files=True)["backups"]
    assert len(backup["files"]) == 1
    file = file_of(provider, server, number)
    with pytest.raises(Exception, match="a drive of kind s3") as caught:
        provider.file_access(SHOP, number, file)
    assert caught.value.code == "not_local"
    assert server.calls() == []


@pytest.mark.parametrize("style", ["mixed", "Error", "error"])
def test_not_found_is_500_and_asked_once(provider, server, style):
    [number] = server.backup(SHOP)
    file = file_of(provider, server, number)
    server.switch(error_style=style)
    server.sandbox.service("backupman", "DELETE", f"/backups/{number}")
    with pytest.raises(Exception, match=f"answered 500: no backup found with id {number}") as caught:
        provider.file_access(SHOP, number, file)
    assert caught.value.code == "not_found" and provider.pauses == []
    assert server.calls() == [f"GET /api/backups/{number}/generate-download-url"]


def test_an_empty_500_may_be_anything_and_is_asked_again(run, server):
    server.switch(error_style="empty")
    server.sandbox.fault("status", surface="backupman", route="list", times=2, code=500)
    assert run("backup_info", source=SHOP, api_retries=2)["backups"] == []
    server.sandbox.fault("status", surface="backupman", route="list", code=500)
    outcome = run("backup_info", source=SHOP, api_retries=1)
    assert outcome.code == "unavailable" and "500 without a word" in outcome.error.message
    assert server.calls() == [LIST] * 5 and len(outcome.pauses) == 1


# -- who is on the other side -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"api_token": None}, {"api_token": ""}, {"api_url": None}], ids=str)
def test_without_key_or_address_nothing_is_asked(run, server, options):
    outcome = run("backup_info", source=SHOP, **options)
    assert outcome.code == "bad_option" and outcome.error.message.startswith(f"{list(options)[0]}: ")
    assert server.calls() == []


def test_a_wrong_key_and_a_server_without_one_look_the_same(run, server):
    wrong = run("backup_info", source=SHOP, api_token="wrong-key")
    server.switch(no_key=True)
    none = run("backup_info", source=SHOP)
    for outcome in (wrong, none):
        assert outcome.code == "unauthenticated" and outcome.pauses == []
        assert "check api_token" in outcome.error.message and "none configured" in outcome.error.message
    assert "wrong-key" not in wrong.error.message
    assert server.calls() == [LIST] * 2


def test_another_address_is_noticed(run, server):
    outcome = run("backup_info", source=SHOP, api_url=server.sandbox.url + "/somewhere")
    assert outcome.code == "wrong_address" and "api_url" in outcome.error.message and outcome.pauses == []


@pytest.mark.parametrize("fault, code", [
    ({"kind": "html"}, "not_json"), ({"kind": "malformed_json"}, "not_json"),
    ({"kind": "status", "code": 302, "body": "x"}, "redirected"), ({"kind": "status", "code": 403}, "refused"),
], ids=str)
def test_other_answers_are_told_at_once(run, server, fault, code):
    server.sandbox.fault(surface="backupman", route="list", **fault)
    assert run("backup_info", source=SHOP).code == code
    assert server.calls() == [LIST]


@pytest.mark.parametrize("fault", [
    {"kind": "throttle"}, {"kind": "reset"}, {"kind": "truncate"}, {"kind": "status", "code": 502, "body": "hm"},
], ids=str)
def test_reading_is_tried_again(run, server, fault):
    server.records(1)
    server.sandbox.fault(surface="backupman", route="list", times=2, **fault)
    assert len(run("backup_info", source=SHOP, api_retries=2)["backups"]) == 1
    assert server.calls() == [LIST] * 3


# -- writing ------------------------------------------------------------------------------------------------------


def request(**options):
    from ansible_collections.restorable.backups.plugins.module_utils._backup import RunRequest

    return RunRequest(**options)


def test_a_run_is_one_post_that_starts_all_sources(provider, server):
    assert provider.run_backup(SHOP, request(all_sources=True)) is None
    server.sandbox.settle()
    assert server.calls() == [RUN]
    assert server.sandbox.posts()[0]["body"] is None
    begun = {backup.source for backup in provider.list_backups("*").backups}
    assert begun == set(server.sandbox.ready["backupman"]["labels"])


@pytest.mark.parametrize("fault", [
    {"kind": "status", "code": 500}, {"kind": "commit_then_500"}, {"kind": "commit_then_reset"}, {"kind": "reset"},
    {"kind": "html"}, {"kind": "status", "code": 200, "body": ["what", "now"]}], ids=str)
@pytest.mark.parametrize("style", ["mixed", "empty"])
def test_in_doubt_nothing_is_sent_twice(provider, server, fault, style):
    server.switch(error_style=style, pending=True)
    server.sandbox.fault(surface="backupman", route="create", **fault)
    with pytest.raises(Exception) as caught:
        provider.run_backup(SHOP, request(all_sources=True))
    assert caught.value.code == "outcome_unknown"
    assert server.calls() == [RUN] and provider.pauses == []


@pytest.mark.parametrize("module, options, words", [
    ("backup_task", {"frequency": "0 3 * * *"}, "six fields"),
    ("backup_task", {"state": "absent"}, "configuration file"),
    ("backup_import", {"group": 1, "engine": "mysql", "remote_url": "https://x.example/y"}, "no such call"),
    ("backup_run", {"state": "absent", "id": "b1"}, "by hand"),
])
def test_what_it_cannot_do_is_said_before_any_call(run, server, module, options, words):
    outcome = run(module, source=SHOP, **options)
    assert outcome.code == "unsupported" and words in outcome.error.message
    assert server.calls() == []


@pytest.mark.parametrize("option, value", [("group", 7), ("datastore", "mysql")])
def test_filters_of_other_services_are_refused(run, server, option, value):
    outcome = run("backup_info", source=SHOP, **{option: value})
    assert outcome.code == "bad_option"
    assert outcome.error.message.startswith(f"{option}: provider backupman has no such")
    assert server.calls() == []


def test_health_is_never_asked(run, provider, server):
    """Each call would leave a file behind in the server's drive."""
    junk = server.sandbox.service("backupman")["junk"]
    [number] = server.backup(SHOP)
    run("backup_check", source=SHOP, max_age="1d")
    provider.file_access(SHOP, number, provider.list_files(SHOP, number)[0])
    provider.run_backup(SHOP, request(all_sources=True))
    server.sandbox.settle()
    assert server.sandbox.service("backupman")["junk"] == junk
    assert not [call for call in server.calls() if "health" in call or "ping" in call]
