# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_check and backup_info through ansible-playbook and ad hoc."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import DAY, HOUR, Stack

LIST = "GET /stacks/UID/backups"

# Violation -> (how the history of a series comes to it, the policy that notices, words of its message). Each series has
# the name of its violation, and the task judges that series alone.
VIOLATIONS = {
    "no_backups": ([], {}, "There is no backup at all"),
    "stale": ([{"newest": 34 * HOUR}], {"max_age": "26h"}, "is 1d 10h old, 1d 2h are allowed"),
    "last_failed": ([{"newest": 5 * HOUR}, {"count": 1, "backup_status": 1, "backup_result": "No space left"}],
                    {"max_age": "2d"}, "failed: No space left"),
    "failing": ([{"newest": 5 * HOUR}, {"count": 2, "every": HOUR, "backup_status": 1}], {"max_age": "2d"},
                "The newest 2 backups failed"),
    "schedule_gap": ([{"count": 3, "every": HOUR, "newest": HOUR}, {"count": 3, "every": HOUR, "newest": 9 * HOUR}],
                     {"frequency": "0 * * * *", "grace": "50m"}, "left no backup"),
    "stalled": ([{"count": 4, "every": HOUR, "newest": 5 * HOUR}], {"frequency": "0 * * * *", "max_age": "9h"},
                "Nothing has come for 5h"),
    "too_small": ([{"backup_size": 1000}], {"min_size": "1MB"}, "has 1000 B, at least 1.0 MiB"),
    "size_drop": ([{"count": 4, "backup_size": 9000, "newest": DAY}, {"count": 1, "backup_size": 1000}],
                  {"max_size_drop": 50}, "a drop of 89 percent"),
    "size_unknown": ([{"backup_size": 0}], {"min_size": 1}, "does not say how large"),
    "too_few": ([{"count": 3}], {"min_count": 4}, "3 good backups are kept, at least 4"),
    "missing_engine": ([{}], {"engines": ["redis", "postgresql"]}, "No good backup of engine redis"),
    "missing_database": ([{"database_name": "shop"}], {"databases": ["shop", "ledger"]}, "of database ledger"),
    "not_verified": ([{"verify_status": 0}], {"require_verified": True}, "has not been verified"),
    "verify_failed": ([{"verify_status": 3}], {"require_verified": True}, "ended with: failed"),
    "collision": ([{"count": 2, "storage_path": "x/backups/y/postgresql/collision/2026.01.02.03.04.05"}],
                  {"max_age": "2d"}, "share one file"),
    "unreachable": ([], {"source": "no-such-stack"}, "answered 404: Stack not found"),
}
# A schedule that stands still has left out runs, too.
COMPANIONS = {"stalled": {"schedule_gap"}}


@pytest.fixture(scope="module")
def judged(sandbox_process, collections_path, tmp_path_factory):
    """Every policy of the table, judged in one playbook, each told to fail and each told not to."""
    from ansible_runs import Controller

    stack = Stack(sandbox_process, "pool1")
    sandbox_process.clear_requests()
    for code, (histories, dummy, dummy) in VIOLATIONS.items():
        for history in histories:
            stack.history(series=code, **history)
    tasks = []
    for code, (dummy, policy, dummy) in VIOLATIONS.items():
        options = {"source": stack.uid, "series": [code], **policy}
        tasks += [
            {"name": code, "ignore_errors": True, "restorable.backups.backup_check": options},
            {"name": f"{code}, told", "restorable.backups.backup_check": dict(options, fail_on_violation=False)},
        ]
    controller = Controller(tmp_path_factory.mktemp("judged"), sandbox_process, collections_path)
    run = controller.play(tasks)
    controller.close()
    stack.clear()
    return run.passed()


@pytest.mark.parametrize("code", VIOLATIONS)
def test_every_violation_is_found_and_fails_the_task(judged, code):
    dummy, dummy, words = VIOLATIONS[code]
    answer = judged[code]
    assert answer.failed and answer["changed"] is False and answer["compliant"] is False
    assert {violation["code"] for violation in answer["violations"]} == {code} | COMPANIONS.get(code, set())
    violation = answer["violations"][0]
    assert violation["code"] == code
    assert words in violation["message"] and violation["message"] in answer["msg"] and f"({code})" in answer["msg"]
    assert set(violation) == {"code", "source", "series", "message", "observed", "expected"}
    about_the_source = ("no_backups", "collision", "missing_engine", "missing_database", "unreachable")
    assert violation["series"] is None if code in about_the_source else violation["series"].endswith(f"/{code}")


@pytest.mark.parametrize("code", VIOLATIONS)
def test_a_violation_may_be_left_to_the_playbook(judged, code):
    told, failed = judged[f"{code}, told"], judged[code]
    assert told.event == "ok" and told["compliant"] is False
    assert [one["code"] for one in told["violations"]] == [one["code"] for one in failed["violations"]]


def test_no_violation_code_is_forgotten_here(collections_path):
    plugins = Path(collections_path) / "ansible_collections/restorable/backups/plugins"
    text = (plugins / "module_utils/_policy.py").read_text()
    codes = {line.strip().strip('",') for line in text.partition("CODES = (")[2].partition(")")[0].splitlines()}
    assert codes - {""} == set(VIOLATIONS)


def test_a_schedule_that_is_kept_holds_its_policy(controller, scheduled_stack):
    """Real dumps on a real cron: nothing to complain of, then the schedule is stopped and the time tells."""
    stack = scheduled_stack
    stack.sandbox.api("POST", f"/stacks/{stack.uid}/backups", {"db_type": "all", "frequency": "0 * * * *"})
    stack.sandbox.advance("2h")
    check = {"source": stack.uid, "frequency": "0 * * * *", "engines": ["all"], "min_count": 2}
    answer = controller.play([{"restorable.backups.backup_check": check}]).passed().only
    assert (answer["compliant"], answer["violations"], answer["changed"]) == (True, [], False)
    assert answer["msg"] == "2 backups in 1 series hold the policy"
    assert [one["count"] for one in answer["series"]] == [2]


def test_one_source_that_fails_does_not_hide_the_others(controller, stacks):
    good, stale, unreachable = stacks[:3]
    good.history(2)
    stale.history(2, newest=3 * DAY)
    unreachable.sandbox.fault("status", route="list", source=unreachable.uid, code=500)
    sources = [stack.uid for stack in (good, stale, unreachable)]
    answer = controller.play([{"restorable.backups.backup_check": {
        "sources": sources, "max_age": "26h", "fail_on_violation": False, "api_retries": 0}}]).passed().only
    assert [(one["source"], one["compliant"], one["count"]) for one in answer["sources"]] == [
        (good.uid, True, 2), (stale.uid, False, 2), (unreachable.uid, False, 0)]
    assert [(one["source"], one["code"]) for one in answer["violations"]] == [
        (stale.uid, "stale"), (unreachable.uid, "unreachable")]
    assert answer["sources"][2]["error"]["code"] == "unavailable"
    assert answer["msg"].startswith("2 of 3 sources break the policy: ")


def test_ad_hoc_with_nothing_but_a_policy(controller, stacks):
    """As an administrator types it: sources from the inventory, the token from the environment, no Python anywhere."""
    for stack in stacks[:2]:
        stack.history(2)
    hosts = {stack.name: {"protect_source": stack.uid} for stack in stacks[:2]}
    run = controller.adhoc("backup_check", "max_age=26h", hosts=hosts).passed()
    assert {answer.host for answer in run.answers} == set(hosts)
    assert all(answer["compliant"] for answer in run.answers)
    assert [stack.calls() for stack in stacks[:2]] == [[LIST], [LIST]]

    failed = controller.adhoc("backup_check", "stack_id={{ protect_source }} max_age=30m", hosts=hosts)
    assert failed.code == 2 and failed.output.count("FAILED!") == 2
    assert all(answer["violations"][0]["code"] == "stale" for answer in failed.answers)


def test_what_the_inventory_says_of_a_host_stands_in_for_options(controller, stacks, sandbox):
    """The same variables as the role's. What a task says wins over them, under whichever name."""
    one, other = stacks[:2]
    here = {"protect_source": "{{ uid }}", "uid": one.uid, "protect_api_url": "{{ url }}", "url": sandbox.api_url,
            "protect_api_token": sandbox.token}
    run = controller.play([
        {"name": "host", "restorable.backups.backup_info": {}},
        {"name": "task", "restorable.backups.backup_info": {"stack": other.uid}},
        {"name": "tasks", "restorable.backups.backup_info": {"stacks": [other.uid]}},
        {"name": "write", "restorable.backups.backup_task": {}},
    ], "-vvvvv", hosts={"shop": here}, env={"CLOUD66_API_URL": "https://127.0.0.1:9", "CLOUD66_TOKEN": "bad"}).passed()
    assert one.calls() == [LIST, LIST, "POST /stacks/UID/backups"] and other.calls() == [LIST] * 2
    assert sandbox.token not in run.output + json.dumps([answer.result for answer in run.answers])


def test_ad_hoc_info_in_all_its_forms(controller, stack):
    stack.history(3, database_name="shop")
    bad = stack.record(age=60, backup_status=1, backup_result="No space left")
    newest = controller.adhoc("backup_info", f"stack={stack.uid} latest=true db_type=postgres").passed().only
    assert len(newest["backups"]) == 1 and newest["backups"][0]["id"] != bad
    assert newest["backups"][0]["database"] == "shop" and newest["changed"] is False
    series = newest["series"][0]
    assert (series["count"], series["good_count"], series["last_status"]) == (4, 3, "failed")

    failed = controller.adhoc("backup_info", f"instance_id={stack.uid} status=failed since=7d").passed()
    assert [backup["id"] for backup in failed.only["backups"]] == [bad]
    assert json.loads(failed.output.partition("=> ")[2])["backups"][0]["message"] == "No space left"


def test_how_a_host_is_reached_does_not_matter(controller, stack):
    """No connection is opened, and so nobody becomes anybody there."""
    info = {"restorable.backups.backup_info": {}}
    run = controller.play([
        {"name": "become", **info, "become": True, "become_user": "postgres"},
        {"name": "delegate", **info, "delegate_to": "elsewhere"},
        {"name": "loop", "restorable.backups.backup_info": {"source": "{{ item }}"}, "loop": [stack.uid, stack.uid]},
        {"name": "once", **info, "run_once": True},
    ], hosts={"shop": {"protect_source": stack.uid}}, strategy="free").passed()
    assert [answer.event for answer in run.answers] == ["ok"] * 4
    assert stack.calls() == [LIST] * 5


def test_a_read_only_module_does_in_check_mode_what_it_always_does(controller, stack):
    stack.history(2)
    for mode in ((), ("--check", "--diff")):
        answer = controller.adhoc("backup_info", f"source={stack.uid}", *mode).passed().only
        assert len(answer["backups"]) == 2 and answer["changed"] is False and "diff" not in answer.result
    assert stack.calls() == [LIST] * 2


def test_a_warning_of_the_service_becomes_a_warning_of_ansible(controller, stack):
    stack.sandbox.fault("warning", text="Your plan ends on Friday")
    run = controller.adhoc("backup_info", f"source={stack.uid}").passed()
    assert "[WARNING]: Cloud 66 says: Your plan ends on Friday" in run.output
    assert "Your plan ends on Friday" in run.only.warnings
