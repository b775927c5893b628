# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rackspace: which HTTP calls are made, in which order, and not one more; what its oddities lead to."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from in_process import Outcome, Runner, download, load

TOKEN = "POST /tokens"
LIST = "GET /instances/ID/backups?limit=20"
SCHEDULES = "GET /schedules?limit=20"
SCHEDULE = "GET /schedules/SCHEDULE"
PUT = "PUT /schedules/SCHEDULE"
DAILY = {"frequency": "30 4 * * *", "full_backup_day": 7, "full_backup_retention": 2, "copy_to": []}


class Rackspace(Runner):
    """The account in the sandbox, as the tasks of one run of Ansible meet it: they share a private folder."""

    def __init__(self, sandbox: Any, place: Path) -> None:
        self.sandbox, self.ready = sandbox, sandbox.ready["rackspace"]
        self.id = self.ready["instances"][0]["id"]
        self.name = self.ready["instances"][0]["name"]
        self.group = self.ready["ha"][0]["id"]
        self.warnings: list[str] = []
        self.pauses: list[float] = []
        connection = {"provider": "rackspace", "api_url": self.ready["auth_url"], "username": self.ready["username"],
                      "api_token": self.ready["api_key"], "region_name": self.ready["region"], "api_retries": 2}
        super().__init__(connection, place, longest_pause=0.3)

    def provider(self, **options: Any) -> Any:
        return super().provider(Outcome(warnings=self.warnings, pauses=self.pauses), **options)

    def task(self, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        """What backup_task gives back."""
        outcome = self("backup_task", check_mode, **{"source": self.id, **options})
        self.warnings += outcome.warnings
        self.pauses += outcome.pauses
        if outcome.error:
            raise outcome.error
        return outcome.result

    def records(self, count: int, source: str = "", **record: Any) -> list[str]:
        """Synthetic backups, an hour between them; ids, newest first."""
        found = self.sandbox.service("rackspace", "POST", "/synthetic", count=count, source=source or self.id,
                                     record=record)["ids"]
        return found[::-1]

    def schedules(self) -> list[dict[str, Any]]:
        return list(self.sandbox.service("rackspace")["schedules"])

    def by_hand(self, **fields: Any) -> None:
        """Somebody changes the schedule elsewhere."""
        [schedule] = self.schedules()
        assert self.sandbox.rackspace("PUT", f"/schedules/{schedule['id']}", {"schedule": fields})[0] == 202
        self.forget()

    def forget(self) -> None:
        self.sandbox.clear_requests()

    def calls(self) -> list[str]:
        """The calls so far, with names in the place of ids."""
        found = []
        for entry in self.sandbox.requests():
            path = entry["path"].replace(f"/v1.0/{self.ready['account']}", "").replace("/identity/v2.0", "")
            for number, word in [(self.id, "ID"), (self.group, "GROUP")] + [
                    (one["id"], "SCHEDULE") for one in self.schedules()]:
                path = path.replace(number, word)
            found.append(f"{entry['method']} {path}" + (f"?{entry['query']}" if entry["query"] else ""))
        return found

    def written(self) -> list[Any]:
        return [entry["body"] for entry in self.sandbox.requests() if entry["route"].endswith(("create", "_schedule"))]


@pytest.fixture
def rack(sandbox, tmp_path, collection):
    sandbox.reset_switches()
    sandbox.service("rackspace", "DELETE", "/backups")
    sandbox.clear_requests()
    yield Rackspace(sandbox, tmp_path)
    sandbox.reset_switches()
    sandbox.service("rackspace", "DELETE", "/backups")


def fails(kind: str, match: str) -> Any:
    return pytest.raises(getattr(load("_errors"), kind), match=match)


def listed(rack: Rackspace, source: str | None = None, **options: Any) -> list[str]:
    listing = rack.provider().list_backups(source or rack.id, **options)
    return [backup.id for backup in load("_backup").newest_first(listing.backups)]


# -- the token ----------------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_something_is_needed(rack):
    provider = rack.provider()
    assert rack.ready["api_key"] not in provider.address and rack.ready["username"] in provider.address
    assert rack.calls() == []


def test_the_tasks_of_a_run_share_one_token(rack):
    rack.records(1)
    for _host in range(3):
        assert len(listed(rack)) == 1
    assert rack.calls() == [TOKEN, LIST, LIST, LIST]
    assert len(rack.secrets) == 1, "the token is told to those who scrub output"


def test_tasks_that_begin_at_once_share_it_too(rack):
    rack.records(1)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _host: len(listed(rack)), range(8))) == [1] * 8
    assert sorted(rack.calls()) == [LIST] * 8 + [TOKEN]


def test_another_run_has_its_own(rack, tmp_path):
    rack.records(1)
    listed(rack)
    rack.private_dir = tmp_path / "other"
    listed(rack)
    assert rack.calls() == [TOKEN, LIST, TOKEN, LIST]


def test_a_token_that_is_refused_is_renewed_once(rack):
    rack.records(1)
    # Long enough for the first list on a busy machine.
    rack.sandbox.switch("rackspace", token_seconds=3)
    provider = rack.provider()
    provider.list_backups(rack.id)
    time.sleep(4.1)
    rack.sandbox.switch("rackspace", token_seconds=86400)
    assert len(provider.list_backups(rack.id).backups) == 1
    assert rack.calls() == [TOKEN, LIST, LIST, TOKEN, LIST]
    assert [entry["status"] for entry in rack.sandbox.requests()] == [200, 200, 401, 200, 200]


def test_a_token_that_is_refused_again_is_an_error(rack):
    rack.sandbox.fault("status", surface="rackspace", route="list", code=401, body={"unauthorized": {"message": "No"}})
    with fails("AuthError", "answered 401: No"):
        listed(rack)
    assert rack.calls() == [TOKEN, LIST, TOKEN, LIST]


def test_a_wrong_key_is_said_and_not_shown_nor_tried_again(rack):
    provider = rack.provider()
    provider._access._identity._key = "wrong-key"
    for _time in range(2):
        with fails("AuthError", "127.0.0.1:[0-9]+ does not accept username and api_token [(]401[)]") as caught:
            provider.list_backups(rack.id)
        assert "wrong-key" not in str(caught.value)
    assert rack.calls() == [TOKEN]


@pytest.mark.parametrize("fault", [{"kind": "status", "code": 503}, {"kind": "throttle"}, {"kind": "reset"},
                                   {"kind": "truncate"}], ids=lambda fault: fault["kind"])
def test_to_ask_for_a_token_again_does_no_harm(rack, fault):
    rack.records(1)
    rack.sandbox.fault(surface="rackspace", route="tokens", times=1, **fault)
    assert len(listed(rack)) == 1
    assert rack.calls() == [TOKEN, TOKEN, LIST]


@pytest.mark.parametrize("kind", ["malformed_json", "html"])
def test_another_server_than_that_of_identity_is_not_asked_again(rack, kind):
    rack.sandbox.fault(kind, surface="rackspace", route="tokens")
    with fails("ApiError", "/identity/v2.0 [(]200[)] is no identity service: check api_url"):
        listed(rack)
    assert rack.calls() == [TOKEN]


@pytest.mark.parametrize("body", [{}, {"access": None}, {"access": {"token": {"id": "x"}}}, {"access": {"token": {}}}])
def test_an_answer_without_token_or_catalog_is_an_error(rack, body):
    rack.sandbox.fault("status", surface="rackspace", route="tokens", code=200, body=body)
    with fails("ApiError", "holds no token or no catalog"):
        listed(rack)


@pytest.mark.parametrize("catalog, missing", [("no_database", "rax:database"), ("no_object_store", "object-store")])
def test_a_catalog_without_a_service_says_what_it_has(rack, catalog, missing):
    rack.sandbox.switch("rackspace", catalog=catalog)
    [number] = rack.sandbox.service("rackspace", "POST", "/backup")["ids"]
    with fails("ApiError", f"no endpoint of type {missing}, .*DFW"):
        rack.provider().list_files(rack.id, number)


def test_a_region_that_the_catalog_lacks_is_named(rack):
    with fails("ApiError", "region LON; it has this service as: public in ORD, public in DFW"):
        rack.provider(region_name="lon").list_backups(rack.id)


# -- reading ------------------------------------------------------------------------------------------------------


def pages(*markers: int) -> list[str]:
    return [TOKEN, LIST] + [f"{LIST}&marker={marker}" for marker in markers]


@pytest.mark.parametrize("count, calls", [
    (0, [TOKEN, LIST, "GET /instances/ID"]),
    (1, pages()),
    (19, pages()),
    # Each page begins with the last record of the one before: a record that is missing there has moved.
    (20, pages(19)),
    (21, pages(19)),
    (1000, pages(*range(19, 989, 19))),
])
def test_pages_are_read_one_after_the_other_and_no_further(rack, count, calls):
    ids = rack.records(count) if count else []
    assert listed(rack) == ids
    assert rack.calls() == calls


def test_a_marker_may_be_an_id(rack):
    ids = rack.records(41)
    rack.sandbox.switch("rackspace", marker="id")
    assert listed(rack) == ids
    assert [call.rpartition("marker=")[2] for call in rack.calls()[2:]] == [ids[19], ids[39]]


@pytest.mark.parametrize("switches", [
    {"instance_list": "backup"}, {"instance_list": "single"}, {"dates": "naive"}, {"is_automated": "bool"},
    {"is_automated": "absent"}])
def test_records_and_lists_may_look_otherwise(rack, switches):
    [number] = rack.records(1)
    plain = rack.provider().list_backups(rack.id).backups[0]
    rack.sandbox.switch("rackspace", **switches)
    [found] = rack.provider().list_backups(rack.id).backups
    for backup in (plain, found):
        backup.raw = {}
    assert found == plain
    assert (found.id, found.source, found.status, found.engine) == (number, rack.id, "ok", "mysql")
    assert found.created_at.tzinfo is not None and found.size_bytes == 1 << 30


def test_a_group_is_listed_by_itself_and_with_all(rack):
    mine, theirs = rack.records(2), rack.records(3, source=rack.group)
    assert listed(rack, f"ha:{rack.group}") == theirs
    assert sorted(listed(rack, "*")) == sorted(mine + theirs)
    assert rack.calls() == [TOKEN, "GET /ha/GROUP/backups?limit=20", "GET /backups?limit=20"]
    sources = {backup.source for backup in rack.provider().list_backups("*").backups}
    assert sources == {rack.id, f"ha:{rack.group}"}


def test_a_name_is_looked_up_once(rack):
    [number] = rack.records(1)
    provider = rack.provider()
    for _time in range(2):
        assert [backup.id for backup in provider.list_backups(rack.name).backups] == [number]
    assert rack.calls() == [TOKEN, "GET /ha?limit=20", "GET /instances?limit=20", LIST, LIST]


def test_a_group_has_a_name_too(rack):
    [number] = rack.records(1, source=rack.group)
    assert listed(rack, rack.ready["ha"][0]["name"]) == [number]


def test_names_that_do_not_exist_are_answered_with_those_that_do(rack):
    with fails("NotFoundError", f"no instance nobody; there are: .*{rack.name}"):
        listed(rack, "nobody")
    with fails("NotFoundError", "GET /ha/nobody/backups answered 404.* that is gone are among those of source: '[*]'"):
        listed(rack, "ha:nobody")


def test_sources_are_instances_and_groups(rack):
    sources = {source.id: source for source in rack.provider().list_sources()}
    assert set(sources) == {one["id"] for one in rack.ready["instances"]} | {f"ha:{rack.group}"}
    assert sources[rack.id].name == rack.name and sources[rack.id].status == "ACTIVE"
    assert sources[f"ha:{rack.group}"].engine == "mysql" and sources[f"ha:{rack.group}"].status == "ACTIVE"


def test_a_datastore_is_asked_for_where_that_is_documented(rack):
    ids = rack.records(2)
    other = rack.records(1, datastore={"type": "percona", "version": "5.6"})
    assert listed(rack, datastore="mysql") == ids and listed(rack, datastore="Percona") == other
    assert sorted(listed(rack, "*", datastore="mysql")) == sorted(ids + other)
    assert rack.calls() == [TOKEN, LIST, LIST, "GET /backups?datastore=mysql&limit=20"]
    listing = rack.provider().list_backups("*", datastore="oracle")
    assert listing.backups == [] and listing.warnings == ["there is no datastore oracle; there are: mysql"]


def test_one_backup_is_one_call(rack):
    number = rack.records(3)[1]
    assert rack.provider().get_backup(rack.id, number).id == number
    assert rack.calls() == [TOKEN, f"GET /backups/{number}"]
    with fails("NotFoundError", "404"):
        rack.provider().get_backup(rack.id, "0" * 8)


def test_too_many_requests_are_waited_out_as_long_as_is_asked(rack):
    ids = rack.records(1)
    rack.sandbox.fault("throttle", surface="rackspace", route="list", times=1)
    assert listed(rack) == ids
    assert rack.calls() == [TOKEN, LIST, LIST]
    assert len(rack.pauses) == 1 and 1 <= rack.pauses[0] <= 1.5


def test_a_quota_is_not_waited_for(rack):
    rack.sandbox.fault("status", surface="rackspace", route="list", code=413,
                       body={"overLimit": {"code": 413, "message": "Quota exceeded"}})
    with fails("ApiError", "Quota exceeded") as caught:
        listed(rack)
    assert caught.value.code == "over_limit" and rack.calls() == [TOKEN, LIST] and rack.pauses == []


# -- files --------------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_from_the_catalogs_address_not_from_that_in_its_location(rack):
    [number] = rack.sandbox.service("rackspace", "POST", "/backup")["ids"]
    provider = rack.provider()
    backup = provider.get_backup(rack.id, number)
    assert urlsplit(backup.location).hostname.startswith("snet-")
    [file] = provider.list_files(rack.id, number)
    access = provider.file_access(rack.id, number, file)
    assert access.url.startswith(rack.sandbox.url)
    status, content = download(access)
    truth = rack.sandbox.service("rackspace", path=f"/backups/{number}")
    assert status == 200 and hashlib.sha256(content).hexdigest() == truth["sha256"]
    assert (file.name, file.size_bytes) == (f"{number}.xbstream.gz", len(content))
    assert file.md5 == hashlib.md5(content).hexdigest()
    heads = [call for call in rack.calls() if call.startswith("HEAD")]
    assert len(heads) == 1 and heads[0].endswith(f"/z_CLOUDDB_BACKUPS/{number}.xbstream.gz")


def test_a_backup_that_failed_has_no_file(rack):
    [number] = rack.sandbox.service("rackspace", "POST", "/backup", status="FAILED")["ids"]
    assert rack.provider().list_files(rack.id, number) == []


def test_a_user_who_may_not_read_files_is_told_so(rack):
    [number] = rack.sandbox.service("rackspace", "POST", "/backup")["ids"]
    rack.sandbox.switch("rackspace", files_forbidden=True)
    with fails("AuthError", "does not let this user read"):
        rack.provider().list_files(rack.id, number)


# -- backups on request -------------------------------------------------------------------------------------------


def request(**fields: Any) -> Any:
    return load("_backup").RunRequest(**{"name": "now", **fields})


def test_a_backup_is_one_post(rack):
    backup = rack.provider().run_backup(rack.id, request(description="by hand"))
    assert (backup.status, backup.name, backup.source) == ("running", "now", rack.id)
    assert rack.calls() == [TOKEN, "POST /backups"]
    assert rack.written() == [{"backup": {"instance": rack.id, "name": "now", "description": "by hand"}}]
    rack.sandbox.settle()
    assert rack.provider().get_backup(rack.id, backup.id).status == "ok"


def test_a_group_is_backed_up_as_documented(rack):
    backup = rack.provider().run_backup(f"ha:{rack.group}", request())
    assert rack.written() == [
        {"backup": {"instance": None, "source": {"type": "ha", "id": rack.group}, "name": "now"}}]
    assert backup.source == f"ha:{rack.group}"
    rack.sandbox.settle()


def test_an_incremental_backup_builds_on_the_newest_good_one(rack):
    newest = rack.records(2)[0]
    rack.records(1, status="FAILED")
    backup = rack.provider().run_backup(rack.id, request(incremental=True))
    assert backup.parent_id == newest
    assert rack.calls() == [TOKEN, LIST, "POST /backups"]
    assert rack.written() == [{"backup": {"instance": rack.id, "name": "now", "parent_id": newest}}]
    rack.sandbox.settle()


def test_a_second_backup_at_once_is_refused(rack):
    rack.sandbox.switch("rackspace", build_seconds=5)
    provider = rack.provider()
    provider.run_backup(rack.id, request())
    with fails("ApiError", "already running") as caught:
        provider.run_backup(rack.id, request())
    assert caught.value.code == "already_running"
    rack.sandbox.switch("rackspace", build_seconds=0)
    rack.sandbox.service("rackspace", "DELETE", "/backups")
    rack.sandbox.settle()


def test_a_name_that_is_too_long_is_refused_before_any_request(rack):
    with fails("OptionError", "^name: has 65 characters, 64 are allowed"):
        rack.provider().run_backup(rack.id, request(name="n" * 65))
    assert rack.calls() == []


def test_a_backup_is_deleted_by_one_call(rack):
    number = rack.records(1)[0]
    rack.provider().delete_backup(rack.id, number)
    assert rack.calls() == [TOKEN, f"DELETE /backups/{number}"]


# -- schedules ----------------------------------------------------------------------------------------------------

# How a schedule that is there is read: it is looked for in the list, which may show less of it.
READ = [SCHEDULES, SCHEDULE]


def test_a_schedule_is_created_read_back_and_then_left_alone(rack):
    first = rack.task(frequency="30  04 * * *")
    assert (first["changed"], first["action"]) == (True, "created")
    assert first["diff"] == {"before": {"task": None}, "after": {"task": DAILY}}
    assert rack.calls() == [TOKEN, SCHEDULES, "POST /schedules", SCHEDULE]
    assert rack.written() == [{"schedule": {"action": "backup", "instance_id": rack.id, "day_of_week": 7, "hour": 4,
                                            "minute": 30, "full_backup_retention": 2}}]
    rack.forget()
    second = rack.task(frequency="30 4 * * *")
    assert (second["changed"], second["action"]) == (False, "pending")
    assert second["diff"] == {"before": {"task": DAILY}, "after": {"task": DAILY}}
    assert rack.calls() == READ


def test_check_mode_says_the_same_and_writes_nothing(rack):
    asked = {"frequency": "0 3 * * WED", "full_backup_retention": 3, "copy_to": ["ord", "IAD"]}
    planned = rack.task(check_mode=True, **asked)
    assert rack.calls() == [TOKEN, SCHEDULES]
    done = rack.task(**asked)
    for key in ("changed", "action", "diff", "msg", "request"):
        assert planned[key] == done[key], key
    planned = rack.task(check_mode=True, state="absent")
    rack.forget()
    done = rack.task(state="absent")
    assert (planned["changed"], planned["diff"]) == (done["changed"], done["diff"]) and done["action"] == "deleted"


@pytest.mark.parametrize("asked, sent, after", [
    ({"frequency": "0 5 * * *"}, {"hour": 5, "minute": 0}, {"frequency": "0 5 * * *"}),
    ({"frequency": "30 4 * * SUN"}, {"day_of_week": 0}, {"full_backup_day": 0}),
    ({"frequency": "30 4 * * *", "full_backup_day": 3}, {"day_of_week": 3}, {"full_backup_day": 3}),
    ({"full_backup_day": 3}, {"day_of_week": 3}, {"full_backup_day": 3}),
    ({"full_backup_retention": 9}, {"full_backup_retention": 9}, {"full_backup_retention": 9}),
    ({"copy_to": ["ORD", "iad"]}, {"copy_to": ["IAD", "ORD"]}, {"copy_to": ["IAD", "ORD"]}),
], ids=str)
def test_only_what_differs_is_sent(rack, asked, sent, after):
    rack.task(frequency="30 4 * * *")
    rack.forget()
    result = rack.task(**asked)
    assert result["action"] == "updated"
    assert result["diff"] == {"before": {"task": DAILY}, "after": {"task": {**DAILY, **after}}}
    assert rack.calls() == [*READ, PUT, SCHEDULE]
    assert rack.written() == [{"schedule": sent}]
    assert not rack.task(**asked)["changed"]


def test_copies_can_be_ended(rack):
    rack.task(frequency="30 4 * * *", copy_to=["IAD"])
    assert rack.task(copy_to=[])["diff"]["after"]["task"] == DAILY
    assert not rack.task(copy_to=[])["changed"]


@pytest.mark.parametrize("change, before", [
    ({"hour": 9}, {"frequency": "30 9 * * *"}),
    ({"day_of_week": 2}, {"full_backup_day": 2}),
    ({"full_backup_retention": 1}, {"full_backup_retention": 1}),
    ({"copy_to": ["HKG"]}, {"copy_to": ["HKG"]}),
], ids=str)
def test_what_somebody_changed_by_hand_is_brought_back(rack, change, before):
    asked = {"frequency": "30 4 * * *", "full_backup_retention": 2, "copy_to": []}
    rack.task(**asked)
    rack.by_hand(**change)
    result = rack.task(**asked)
    assert result["changed"] and result["diff"]["before"]["task"] == {**DAILY, **before}
    assert result["diff"]["after"]["task"] == DAILY
    assert not rack.task(**asked)["changed"]


def test_what_is_not_said_stays(rack):
    rack.task(frequency="30 4 * * *", full_backup_retention=5, copy_to=["IAD"])
    result = rack.task(frequency="30 6 * * *")
    assert result["diff"]["after"]["task"] == {
        **DAILY, "frequency": "30 6 * * *", "full_backup_retention": 5, "copy_to": ["IAD"]}


def test_a_schedule_is_removed_once(rack):
    rack.task(frequency="30 4 * * *")
    number = rack.schedules()[0]["id"]
    rack.forget()
    assert rack.task(state="absent")["action"] == "deleted"
    shown = f"GET /schedules/{number}"
    assert rack.calls() == [SCHEDULES, shown, f"DELETE /schedules/{number}", shown]
    rack.forget()
    again = rack.task(state="absent")
    assert (again["changed"], again["action"]) == (False, "absent")
    assert rack.calls() == [SCHEDULES]


def test_it_is_run_now_whenever_that_is_asked_for(rack):
    first = rack.task(frequency="30 4 * * *", run_now=True)
    assert first["changed"] and rack.calls() == [TOKEN, SCHEDULES, "POST /schedules", SCHEDULE, PUT]
    rack.sandbox.settle()
    rack.forget()
    for _time in range(2):
        again = rack.task(frequency="30 4 * * *", run_now=True)
        assert (again["changed"], again["action"]) == (True, "present")
        rack.sandbox.settle()
        assert again["diff"]["after"] == {**again["diff"]["before"], "run_now": True}
    assert rack.calls() == [*READ, PUT] * 2
    assert rack.written() == [{"schedule": {"run_now": "true"}}] * 2
    rack.forget()
    planned = rack.task(check_mode=True, frequency="30 4 * * *", run_now=True)
    assert planned["changed"] and planned["diff"] == again["diff"]
    assert rack.calls() == READ
    assert len(listed(rack)) == 2, "two full ones are kept"


def test_a_group_has_a_schedule_of_its_own(rack):
    rack.task(frequency="30 4 * * *")
    source = f"ha:{rack.group}"
    rack.forget()
    assert rack.task(source=source, frequency="0 1 * * 6")["action"] == "created"
    assert rack.written()[0]["schedule"] == {
        "action": "backup", "source_id": rack.group, "source_type": "ha", "day_of_week": 6, "hour": 1, "minute": 0,
        "full_backup_retention": 2}
    assert not rack.task(source=source, frequency="0 1 * * 6")["changed"]
    assert not rack.task(frequency="30 4 * * *")["changed"]


def test_changes_that_show_late_are_waited_for(rack, monkeypatch):
    def pausing(outcome):
        def sleep(seconds):
            outcome.pauses.append(seconds)
            if len(outcome.pauses) == 2:
                # What was written shows now.
                rack.sandbox.switch("rackspace", schedule_seconds=0)

        return sleep

    monkeypatch.setattr(rack, "_sleep", pausing)
    for options, action in (({"frequency": "30 4 * * *"}, "created"), ({"frequency": "30 5 * * *"}, "updated"),
                            ({"state": "absent"}, "deleted")):
        rack.sandbox.switch("rackspace", schedule_seconds=3600)
        rack.pauses.clear()
        assert rack.task(**options)["action"] == action
        assert rack.pauses == [0.5, 1]
    assert rack.task(state="absent")["action"] == "absent"


def test_a_change_that_is_accepted_and_lost_is_an_error(rack):
    rack.task(frequency="30 4 * * *")
    rack.sandbox.switch("rackspace", updates="lost")
    with fails("ApiError", 'does not keep it: frequency is "30 4 [*] [*] [*]", full_backup_retention is 2') as caught:
        rack.task(frequency="30 5 * * *", full_backup_retention=4)
    assert caught.value.code == "not_kept" and caught.value.details["schedule"] == rack.schedules()[0]["id"]
    assert caught.value.changed is True
    rack.sandbox.switch("rackspace", updates="no_copy_to")
    with fails("ApiError", r"copy_to is \[\]; copies of an existing schedule .*remove it .state: absent."):
        rack.task(copy_to=["IAD"])


def test_what_older_samples_do_not_show_is_not_asked_for_again(rack):
    rack.sandbox.switch("rackspace", schedule_record="short")
    asked = {"frequency": "30 4 * * *", "full_backup_retention": 5, "copy_to": ["IAD"]}
    assert rack.task(**asked)["action"] == "created" and rack.warnings == []
    rack.forget()
    again = rack.task(**asked)
    assert (again["changed"], again["action"]) == (False, "pending")
    hidden = {"task": {**DAILY, "full_backup_retention": None, "copy_to": None}}
    assert again["diff"] == {"before": hidden, "after": hidden}
    assert [text.split(":")[0] for text in rack.warnings] == ["full_backup_retention", "copy_to"]
    assert rack.task(**{**asked, "frequency": "0 5 * * *"})["action"] == "updated"
    assert rack.written() == [{"schedule": {"hour": 5, "minute": 0}}]
    rack.sandbox.switch("rackspace", schedule_record="whole")
    [kept] = rack.schedules()
    assert (kept["full_backup_retention"], kept["copy_to"]) == (5, ["IAD"])


def test_of_a_group_that_older_samples_do_not_show_no_second_schedule_is_made(rack):
    rack.sandbox.switch("rackspace", schedule_record="short", one_schedule=False)
    asked = {"source": f"ha:{rack.group}", "frequency": "0 1 * * 6"}
    assert rack.task(**asked)["action"] == "created"
    rack.forget()
    for state in ("present", "absent"):
        with fails("ApiError", "the service does not say whose these are") as caught:
            rack.task(**asked, state=state)
        assert caught.value.code == "in_doubt"
    assert rack.calls() == READ * 2


@pytest.mark.parametrize("state", ["present", "absent"])
def test_null_is_no_empty_list_of_schedules(rack, state):
    rack.task(frequency="30 4 * * *")
    rack.sandbox.fault("status", surface="rackspace", route="schedules", code=200, body={"schedules": None})
    rack.forget()
    with fails("ApiError", "The list of schedules: .*null"):
        rack.task(frequency="30 4 * * *", state=state)
    assert rack.calls() == [SCHEDULES] and len(rack.schedules()) == 1


def test_null_is_no_empty_list_of_groups(rack):
    rack.sandbox.fault("status", surface="rackspace", route="groups", code=200, body={"ha_instances": None})
    with fails("ApiError", "The list of high-availability groups: .*null"):
        rack.provider().list_sources()


def test_a_schedule_that_cannot_be_read_back_was_made_all_the_same(rack):
    rack.sandbox.fault("status", surface="rackspace", route="schedule", code=503)
    with fails("UnavailableError", "503") as caught:
        rack.task(frequency="30 4 * * *")
    assert caught.value.changed is True and len(rack.schedules()) == 1


def test_an_instance_by_its_name_and_by_its_id_has_one_lock(rack, tmp_path):
    for source in (rack.id, rack.name):
        rack.task(frequency="30 4 * * *", source=source)
    assert len(list((tmp_path / "state").iterdir())) == 1


def test_of_several_schedules_the_oldest_is_looked_at_and_a_warning_given(rack):
    rack.sandbox.switch("rackspace", one_schedule=False)
    rack.task(frequency="30 4 * * *")
    body = {"schedule": {"action": "backup", "day_of_week": 1, "hour": 2, "minute": 3, "instance_id": rack.id}}
    time.sleep(1.1)  # their times are to the second
    assert rack.sandbox.rackspace("POST", "/schedules", body)[0] == 202
    assert not rack.task(frequency="30 4 * * *")["changed"]
    assert len(rack.warnings) == 1 and "has 2 schedules" in rack.warnings[0] and "oldest" in rack.warnings[0]


def test_a_post_that_breaks_off_is_in_doubt_and_the_next_run_sees_what_it_did(rack):
    rack.sandbox.fault("commit_then_reset", surface="rackspace", route="create_schedule", times=1)
    with fails("OutcomeUnknownError", "may have been carried out"):
        rack.task(frequency="30 4 * * *")
    assert [call for call in rack.calls() if call.startswith("POST /schedules")] == ["POST /schedules"]
    assert rack.task(frequency="30 4 * * *")["action"] == "pending"


@pytest.mark.parametrize("region", ["SYD", "hkg"])
@pytest.mark.parametrize("asked", [{"frequency": "30 4 * * *"}, {"state": "absent"}], ids=str)
def test_regions_without_schedules_are_known_before_any_request(rack, region, asked):
    with fails("UnsupportedError", f"no schedules in region {region.upper()}; use backup_run"):
        rack.task(region_name=region, **asked)
    assert rack.calls() == []


@pytest.mark.parametrize("asked, text", [
    ({"frequency": "*/15 * * * *"}, "^frequency: .*several times a day"),
    ({"frequency": "0 4 1 * *"}, "^frequency: .*day-of-month"),
    ({"frequency": "0 4 * * 1", "full_backup_day": 2}, "^full_backup_day: "),
    ({"frequency": "0 4 * * *", "full_backup_day": 8}, "^full_backup_day: must be 0"),
    ({"frequency": "0 4 * * *", "full_backup_retention": 0}, "^full_backup_retention: must be 1"),
    ({"frequency": "0 4 * * *", "copy_to": ["LON"]}, "^copy_to: 'LON' is no region"),
    ({"frequency": "0 4 * * *", "copy_to": ["DFW"]}, "^copy_to: DFW is where the backups are made"),
    ({"frequency": "0 4 * * *", "copy_to": [""]}, "^copy_to: '' is no region"),
    ({}, "^frequency: is needed"),
    ({"full_backup_retention": 3}, "^frequency: is needed"),
], ids=str)
def test_what_cannot_be_scheduled_is_refused_and_nothing_written(rack, asked, text):
    with fails("OptionError", text):
        rack.task(**asked)
    assert rack.calls() == [TOKEN, SCHEDULES]


@pytest.mark.parametrize("asked, text", [
    ({"frequency": "0 4 * * *", "keep_count": 3}, "^keep_count: .*use full_backup_retention"),
    ({"frequency": "0 4 * * *", "gzip": True}, "^gzip: provider rackspace has no such option"),
    ({"frequency": "0 4 * * *", "swift_container": "x"}, "^swift_container: provider rackspace has no such option"),
    ({"frequency": "0 4 * * *", "source": "*"}, "^source: means all"),
], ids=str)
def test_options_of_others_are_refused_before_any_request(rack, asked, text):
    with fails("OptionError", text):
        rack.task(**asked)
    assert rack.calls() == []


def test_there_is_no_import(rack):
    with fails("UnsupportedError", "provider rackspace cannot import a backup: .*backup_run"):
        rack.provider().require("import")
