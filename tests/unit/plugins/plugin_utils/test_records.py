# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records of hosts and the report that is made of them."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.restorable.backups.plugins.plugin_utils import _records as records

WHEN = "2026-01-03T12:00:00Z"
GOOD = {
    "id": "7",
    "series": "a/b",
    "engine": "postgresql",
    "database": "shop",
    "status": "ok",
    "created_at": "2026-01-03T03:12:00Z",
    "age_seconds": 31680,
    "size_bytes": None,
    "raw": {"secret": "of the service"},
}
COMPLIANT = {"compliant": True, "violations": [], "backups": [GOOD], "series": [{"series": "a/b", "count": 1}]}


def violation(code, **more):
    return dict({"code": code, "series": "a/b", "message": "about " + code, "observed": 1, "expected": 2}, **more)


def broken(*codes):
    return dict(COMPLIANT, compliant=False, violations=[violation(code) for code in codes])


def make(**results):
    return records.make_record("shop", WHEN, provider="cloud66", source="uid", **results)


# -- one record ------------------------------------------------------------------------------------------------------


def test_all_well():
    record = make(task={"action": "present", "changed": False, "drift": []}, check=COMPLIANT)
    assert (record["status"], record["compliant"], record["errors"]) == ("ok", True, [])
    assert record["newest_backup"]["id"] == "7"
    assert "of the service" not in json.dumps(record)


def test_newest_backup_is_the_newest_good_one():
    failed = dict(GOOD, id="8", status="failed")
    assert make(check=dict(COMPLIANT, backups=[failed, GOOD]))["newest_backup"]["id"] == "7"
    assert make(check=dict(COMPLIANT, backups=[failed]))["newest_backup"] is None


@pytest.mark.parametrize("action", ["created", "pending"])
@pytest.mark.parametrize("code", sorted(records.PENDING_CODES))
def test_absence_is_pending_while_the_task_is_new(action, code):
    record = make(task={"action": action, "changed": action == "created"}, check=broken(code))
    assert (record["status"], record["compliant"], record["violations"]) == ("pending", None, [])
    assert [item["code"] for item in record["pending"]] == [code]
    assert "first backup is still to come" in records.summary(record)


def test_absence_counts_for_a_task_that_exists():
    for task in ({"action": "present"}, None):
        record = make(task=task, check=broken("no_backups"))
        assert (record["status"], record["compliant"]) == ("violations", False)


def test_a_bad_backup_counts_however_new_the_task_is():
    record = make(task={"action": "pending"}, check=broken("stale", "collision"))
    assert (record["status"], record["compliant"]) == ("violations", False)
    assert [v["code"] for v in record["violations"]] == ["collision"]
    assert [v["code"] for v in record["pending"]] == ["stale"]


def test_a_failed_step_is_an_error_and_the_others_are_told():
    failed = {"failed": True, "msg": "refused", "failure": {"code": "refused", "message": "refused", "details": {}}}
    record = make(task=failed, check=COMPLIANT)
    assert (record["status"], record["compliant"], record["task"]) == ("error", True, None)
    assert record["errors"] == [{"step": "task", "code": "refused", "message": "refused"}]


def test_no_answer_is_an_error_and_no_verdict():
    silent = dict(COMPLIANT, compliant=False, backups=[], violations=[violation("unreachable", observed="unavailable")])
    record = make(check=silent)
    assert (record["status"], record["compliant"], record["violations"]) == ("error", None, [])
    assert record["errors"][0]["code"] == "unavailable"


def test_an_unreachable_host_loses_nothing_but_the_fetch():
    record = make(check=COMPLIANT, fetch={"unreachable": True, "msg": "no route to host"})
    assert (record["status"], record["fetch"]) == ("error", None)
    assert record["errors"] == [{"step": "fetch", "code": "unreachable", "message": "no route to host"}]


def test_steps_that_did_not_run():
    skipped = {"skipped": True, "changed": False}
    record = make(task=skipped, check=skipped, fetch=skipped)
    assert (record["status"], record["compliant"], record["task"], record["fetch"]) == ("unchecked", None, None, None)


def test_fetch_is_recorded():
    record = make(fetch={"dest": "/srv/x.tar", "sha256": "ab", "size_bytes": 3, "changed": True, "backup": {"id": "7"}})
    assert record["fetch"] == {
        "backup_id": "7", "dest": "/srv/x.tar", "sha256": "ab", "size_bytes": 3, "changed": True
    }


NOTHING = {"msg": "uid has no good backup", "failure": {"code": "no_backups", "message": "uid has no good backup"}}


@pytest.mark.parametrize("task", [None, {"action": "present"}, {"failed": True, "action": "pending", "msg": "overdue"}])
@pytest.mark.parametrize("failed", [True, False])
def test_a_fetch_that_brought_nothing_is_an_error(task, failed):
    record = make(task=task, check=broken("no_backups"), fetch=dict(NOTHING, failed=failed))
    assert (record["status"], record["fetch"]) == ("error", None)
    assert record["errors"][-1] == {"step": "fetch", "code": "no_backups", "message": "uid has no good backup"}


@pytest.mark.parametrize("action", ["created", "pending"])
@pytest.mark.parametrize("failed", [True, False])
@pytest.mark.parametrize("check", [None, broken("no_backups")])
def test_a_fetch_has_nothing_to_bring_while_the_task_is_new(action, failed, check):
    record = make(task={"action": action}, check=check, fetch=dict(NOTHING, failed=failed))
    assert (record["status"], record["compliant"], record["fetch"], record["errors"]) == ("pending", None, None, [])
    assert [item["code"] for item in record["pending"]] == ["no_backups"]


def test_another_failure_of_the_fetch_counts_however_new_the_task_is():
    record = make(task={"action": "created"}, fetch={"failed": True, "msg": "full", "failure": {"code": "no_space"}})
    assert (record["status"], record["errors"][0]["code"]) == ("error", "no_space")


def test_a_failure_that_a_task_was_told_to_overlook_is_no_verdict():
    silent = {"failed": False, "msg": "no answer", "failure": {"code": "unavailable", "message": "no answer"}}
    record = make(check=silent)
    assert (record["status"], record["compliant"]) == ("error", None)


def test_no_signed_url_in_a_record():
    message = "GET https://storage.example/x.tar?Signature=abc%2F&Expires=1 failed"
    record = make(fetch={"failed": True, "msg": message})
    assert record["errors"][0]["message"] == "GET https://storage.example/x.tar?... failed"


@pytest.mark.parametrize(
    "wrapping",
    [
        "",
        "Task failed: ",
        "Task failed: Finalization of task args for 'a.b.c' failed: Error while resolving value for 'source': "
        "The filter plugin 'ansible.builtin.mandatory' failed: ",
    ],
)
def test_an_error_is_told_in_its_own_words(wrapping):
    assert make(check={"failed": True, "msg": wrapping + "Set it."})["errors"][0]["message"] == "Set it."


def test_the_summary_says_a_message_once():
    failed = {"failed": True, "msg": "refused"}
    assert records.summary(make(task=failed, check=failed)) == "error: task and check: refused"
    assert records.summary(make(check=broken("stale"))) == "violations: about stale (stale)"
    assert records.summary(make(check=COMPLIANT)) == "ok"


def test_unchanged_looks_past_time():
    old, new = make(check=COMPLIANT), make(check=COMPLIANT)
    new["when"] = "2026-01-04T12:00:00Z"
    assert records.unchanged(old, new)
    assert not records.unchanged(old, make(check=broken("stale")))
    assert not records.unchanged(None, new)
    aged = broken("stale")
    aged["violations"][0]["observed"] = 99
    assert records.unchanged(make(check=broken("stale")), make(check=aged))


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shop", "a/b", "../x", ".hidden", "..", "ünïcode", "a b", "x\n", "100%"])
def test_no_name_leaves_the_folder(tmp_path, name):
    path = records.record_path(str(tmp_path), name)
    assert os.path.dirname(os.path.realpath(path)) == str(tmp_path)
    assert not os.path.basename(path).startswith(".")


def test_no_two_names_share_a_file(tmp_path):
    names = ["a/b", "a_b", "a%2Fb", "a b", ".a", "%2Ea"]
    assert len({records.record_path(str(tmp_path), name) for name in names}) == len(names)


def test_write_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = str(tmp_path / "new" / "shop.json")
    records.write_json(path, {"a": "ü"})
    assert records.read_json(path) == {"a": "ü"}

    def full(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(records.RecordError, match="No space left"):
        records.write_json(path, {"a": 2})
    assert records.read_json(path) == {"a": "ü"}
    assert os.listdir(os.path.dirname(path)) == ["shop.json"]


def test_write_keeps_the_mode_of_a_file(tmp_path):
    path = tmp_path / "shop.json"
    old_mask = os.umask(0o027)
    try:
        records.write_json(str(path), {})
    finally:
        os.umask(old_mask)
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o600)
    records.write_json(str(path), {"a": 1})
    assert path.stat().st_mode & 0o777 == 0o600


# -- the report ------------------------------------------------------------------------------------------------------


def fill(folder, *made):
    for number, record in enumerate(made):
        records.write_json(str(folder / ("%d.json" % number)), record)
    return records.read_records(records.find_files([str(folder)]))


def test_the_newest_record_of_a_host_counts(tmp_path):
    old = dict(make(check=broken("stale")), when="2026-01-01T00:00:00Z")
    found, unreadable = fill(tmp_path, make(check=COMPLIANT), old)
    assert [record["status"] for record in found] == ["ok"]
    assert unreadable == []


def test_two_sources_of_one_host_are_two(tmp_path):
    found, dummy = fill(tmp_path, make(check=COMPLIANT), dict(make(check=COMPLIANT), source="other"))
    assert len(found) == 2


def test_bad_files_lose_no_good_ones(tmp_path):
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "future.json").write_text('{"schema": "restorable.backups/record/99"}', encoding="utf-8")
    (tmp_path / "other.json").write_text('["something", "else"]', encoding="utf-8")
    found, unreadable = fill(tmp_path, make(check=COMPLIANT))
    assert len(found) == 1
    assert sorted(os.path.basename(item["path"]) for item in unreadable) == ["broken.json", "future.json"]
    report = records.make_report(found, unreadable, WHEN)
    assert report["summary"]["unreadable"] == 2
    assert any("broken.json" in line for line in records.table(report))


def test_what_needs_a_person_comes_first(tmp_path):
    made = [
        dict(make(check=COMPLIANT), host="fine"),
        dict(make(check=broken("stale")), host="old"),
        dict(make(check={"failed": True, "msg": "down"}), host="down"),
    ]
    found, unreadable = fill(tmp_path, *made)
    assert [record["host"] for record in found] == ["down", "old", "fine"]
    lines = records.table(records.make_report(found, unreadable, WHEN))
    assert lines[-1] == "3 hosts: 1 ok, 1 violations, 1 error"
    assert any(line.startswith("old ") and "about stale" in line for line in lines)


def test_records_grow_old(tmp_path):
    made = [
        dict(make(check=COMPLIANT), host="a-fresh"),
        dict(make(check=COMPLIANT), host="b-old", when="2026-01-01T11:59:59Z"),
        dict(make(check=broken("stale")), host="c-bad", when="2020-01-01T00:00:00Z"),
        dict(make(check=COMPLIANT), host="d-undated", when=None),
        dict(make(check=COMPLIANT), host="e-odd", when="yesterday"),
        dict(make(check=COMPLIANT), host="f-just", when="2026-01-01T12:00:00Z"),
    ]
    found, unreadable = fill(tmp_path, *made)
    report = records.make_report(found, unreadable, WHEN, max_age=2 * 86400)
    assert [record["host"] for record in report["records"]] == ["c-bad", "b-old", "d-undated", "e-odd", "a-fresh", "f-just"]
    assert [item["host"] for item in report["outdated"]] == ["c-bad", "b-old", "d-undated", "e-odd"]
    assert (report["summary"]["outdated"], report["summary"]["violations"], report["summary"]["ok"]) == (4, 1, 5)
    lines = records.table(report)
    assert lines[-1] == "6 hosts: 5 ok, 1 violations; 4 of them outdated"
    assert any(line.startswith("b-old") and "outdated (ok)" in line for line in lines)
    assert any("The record of 2026-01-01T11:59:59Z is older than 2d" in line for line in lines)
    later = records.make_report(found, unreadable, "2026-01-03T12:00:00Z", max_age=2 * 86400)
    assert dict(later, when=None) == dict(report, when=None)


def test_no_record_is_too_old_without_a_limit(tmp_path):
    found, unreadable = fill(tmp_path, dict(make(check=COMPLIANT), when="2020-01-01T00:00:00Z"))
    report = records.make_report(found, unreadable, WHEN)
    assert (report["summary"]["outdated"], report["outdated"]) == (0, [])
    assert records.table(report)[-1] == "1 host: 1 ok"


def test_the_table_is_aligned_and_safe_for_a_terminal(tmp_path):
    evil = dict(make(check=COMPLIANT), host="a\x1b[2Jb")
    found, unreadable = fill(tmp_path, evil, make(check=COMPLIANT))
    lines = records.table(records.make_report(found, unreadable, WHEN))
    assert "\x1b" not in "".join(lines)
    column = lines[0].index("STATUS")
    assert {line[column:column + 2] for line in lines[1:3]} == {"ok"}


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(records.RecordError, match="does not exist"):
        records.find_files([str(tmp_path / "nowhere")])


def test_an_empty_folder_is_an_empty_report(tmp_path):
    found, unreadable = fill(tmp_path)
    assert records.table(records.make_report(found, unreadable, WHEN))[-1] == "0 hosts: none"


# ---------------------------------------------------------------- a backup on request


def taken(action, status):
    return {"action": action, "changed": action == "created", "backup": {"id": "7", "status": status}}


@pytest.mark.parametrize("action", ["created", "running"])
def test_absence_is_pending_while_a_backup_is_being_made(action):
    record = make(run=taken(action, "running"), check=broken("no_backups"))
    assert record["status"] == "pending" and "still being made" in records.summary(record)
    assert record["run"] == {"action": action, "changed": action == "created", "backup_id": "7"}


@pytest.mark.parametrize("action, status", [("created", "ok"), ("present", "ok")])
def test_absence_counts_where_a_backup_was_made(action, status):
    assert make(run=taken(action, status), check=broken("no_backups"))["status"] == "violations"


def test_a_backup_that_could_not_be_taken_is_an_error_of_its_step():
    failed = {"failed": True, "msg": "no", "failure": {"code": "over_limit"}}
    record = make(run=failed, check=broken("stale"))
    assert record["errors"] == [{"step": "run", "code": "over_limit", "message": "no"}]
    assert record["run"] is None and record["status"] == "error"
