# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_task through ansible-playbook: one request for one task, whatever happens in between."""

from __future__ import annotations

import json
import time

import pytest

from support import DAY, HOUR

LIST = "GET /stacks/UID/backups"
CREATE = "POST /stacks/UID/backups"
NIGHTLY = {"frequency": "0 3 * * *", "keep_count": 14}


def task(stack, name="Ensure the task", **options):
    return {"name": name, "restorable.backups.backup_task": {"source": stack.uid, **options}}


def markers(controller):
    """Every marker of the controller, by the engines it was asked for."""
    return [json.loads(path.read_text()) for path in sorted(controller.state_dir.glob("*/task-*.json"))]


def until(held, seconds=30):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


# -- idempotence --------------------------------------------------------------------------------------------------


def test_check_mode_predicts_exactly_what_the_run_then_does_and_the_second_run_does_nothing(controller, stack):
    tasks = [task(stack, **NIGHTLY)]
    predicted = controller.play(tasks, "--check", "--diff").passed()
    assert stack.calls() == [LIST] and not controller.state_dir.exists()
    done = controller.play(tasks, "--diff").passed()
    assert stack.calls() == [LIST, LIST, CREATE]

    wanted = {"engines": ["all"], "frequency": "0 3 * * *", "keep_count": 14}
    for run in (predicted, done):
        answer = run["Ensure the task"]
        assert (answer["changed"], answer["action"], answer["request"]) == (True, "created", wanted)
        assert answer["diff"] == {"before": {"task": None}, "after": {"task": wanted}}
        assert '+    "task": {' in run.output and '-    "task": null' in run.output
    assert predicted["Ensure the task"]["diff"] == done["Ensure the task"]["diff"]

    again = controller.play(tasks, "--diff").passed()["Ensure the task"]
    assert (again["changed"], again["action"]) == (False, "pending")
    assert again["diff"] == {"before": {}, "after": {}}
    assert len(stack.posts()) == 1
    # The marker is for its owner alone, in a folder for its owner alone, and holds no secret.
    [path] = controller.state_dir.glob("*/task-*.json")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert again["evidence"]["markers"][0]["path"] == str(path)


def test_markers_have_a_place_of_their_own_where_nobody_names_one(controller, stack):
    run = controller.play([task(stack)], env={"RESTORABLE_STATE_DIR": ""}).passed()
    [marker] = (controller.place / ".local/state/restorable.backups").glob("*/task-*.json")
    again = controller.play([task(stack)], env={"RESTORABLE_STATE_DIR": str(marker.parents[1])}).passed()
    assert (run.only["action"], again.only["action"]) == ("created", "pending")


def test_the_whole_life_of_a_task(controller, scheduled_stack):
    """Asked for, pending, its first backups, then left alone: one request in all."""
    stack = scheduled_stack
    tasks = [task(stack, frequency="0 * * * *")]
    assert controller.play(tasks).passed().only["action"] == "created"
    assert controller.play(tasks).passed().only["action"] == "pending"
    stack.sandbox.advance("2h")
    lives = controller.play(tasks).passed().only
    assert (lives["changed"], lives["action"], lives["engines_seen"]) == (False, "present", ["postgresql"])
    assert lives["series"][0]["count"] == 2 and lives["drift"] == []
    assert len(stack.posts()) == 1


def test_without_a_memory_a_wait_makes_the_evidence(controller, scheduled_stack):
    """``evidence: api`` is for controllers that forget: the first backup is awaited, and is what the next run finds."""
    stack = scheduled_stack
    tasks = [task(stack, frequency="* * * * *", evidence="api", wait=True, wait_timeout=60, wait_interval=1)]
    started = controller.start(tasks)
    until(lambda: len(stack.posts()) == 1)
    stack.sandbox.advance("1m")
    first = started.ended().passed().only
    assert first["action"] == "created"
    assert (first["backup"]["status"], first["backup"]["engine"]) == ("ok", "postgresql")

    again = controller.play(tasks).passed().only
    assert (again["changed"], again["action"]) == (False, "present")
    assert len(stack.posts()) == 1 and not controller.state_dir.exists()


def test_without_a_memory_and_without_a_wait_a_second_run_asks_again(controller, stack):
    """The documented price of ``evidence: api``."""
    name = {"restorable.backups.backup_task": {"source": stack.uid, "evidence": "api"}}
    controller.play([name, name]).passed()
    assert len(stack.posts()) == 2


def test_a_first_backup_that_fails_ends_the_wait(controller, scheduled_stack):
    stack = scheduled_stack
    started = controller.start([task(stack, frequency="0 3 * * *", wait=True, wait_timeout=60, wait_interval=1)])
    until(lambda: len(stack.posts()) == 1)
    stack.sandbox.backup(stack.name, status=1)
    answer = started.ended().only
    assert answer.failure == "first_backup_failed"
    assert "Not enough free space" in answer["msg"]


def test_a_wait_ends(controller, stack):
    wait = {"wait": True, "wait_timeout": 1, "wait_interval": 1}
    run = controller.play([
        {**task(stack, "First", **wait), "ignore_errors": True},
        task(stack, "Then", wait=False),
    ]).passed()
    assert run["First"].failure == "wait_timeout"
    # It was asked for all the same, and the next run knows.
    assert run["Then"]["action"] == "pending"
    assert len(stack.posts()) == 1


def test_two_runs_at_once_make_one_request(controller, stack):
    stack.sandbox.fault("latency", route="create", seconds=1)
    both = [controller.start([task(stack, **NIGHTLY)]) for _number in range(2)]
    answers = [started.ended().passed().only for started in both]
    assert sorted(answer["action"] for answer in answers) == ["created", "pending"]
    assert len(stack.posts()) == 1


def test_two_hosts_with_one_source_make_one_request(controller, stack):
    run = controller.play([task(stack, **NIGHTLY)], hosts={"one": {}, "two": {}}).passed()
    assert sorted(answer["action"] for answer in run.answers) == ["created", "pending"]
    assert len(stack.posts()) == 1


# -- drift --------------------------------------------------------------------------------------------------------

DRIFTS = [
    ("frequency", {"every": HOUR, "count": 8}, {"frequency": "0 3 * * *"}, "backups come every 1h"),
    ("keep_count", {"count": 9}, {"keep_count": 5}, "9 good backups are kept, not 5"),
    ("excluded_tables", {"skip_tables": "audit"}, {"excluded_tables": ["sessions"]}, "leaves out audit, not sessions"),
    ("logical_backup", {"logical_backup": False}, {"logical_backup": True}, "is a binary backup, not a text dump"),
]


@pytest.mark.parametrize("field, history, wanted, message", DRIFTS, ids=[case[0] for case in DRIFTS])
def test_what_cannot_be_mended_is_told_and_left_alone(controller, stack, field, history, wanted, message):
    stack.history(**history)
    run = controller.play([task(stack, **wanted)], "--diff").passed()
    answer = run.only
    assert (answer["changed"], answer["action"]) == (False, "present")
    assert [one["field"] for one in answer["drift"]] == [field]
    assert message in answer["drift"][0]["message"]
    assert message in answer.warnings and "[WARNING]" in run.output
    assert answer["diff"]["after"] == wanted and field in answer["diff"]["before"]
    assert stack.posts() == []


def test_a_changed_wish_is_drift_before_the_first_backup_too(controller, stack):
    run = controller.play([task(stack, "First", **NIGHTLY), task(stack, "Then", frequency="0 4 * * *")]).passed()
    assert run["Then"]["action"] == "pending"
    assert [(one["field"], one["wanted"], one["observed"]) for one in run["Then"]["drift"]] == [
        ("frequency", "0 4 * * *", "0 3 * * *")]
    assert len(stack.posts()) == 1


def test_an_additional_task_is_made_once_where_none_is_as_wanted(controller, stack):
    stack.history(excluded="", skip_tables="audit")
    wish = {"excluded_tables": ["sessions"], "allow_additional": True}
    run = controller.play([task(stack, "First", **wish), task(stack, "Then", **wish)]).passed()
    assert (run["First"]["action"], run["Then"]["action"]) == ("created", "pending")
    stack.history(series="another", skip_tables="sessions", newest=-5, count=1)
    assert controller.play([task(stack, **wish)]).passed().only["action"] == "present"
    assert len(stack.posts()) == 1


# -- doubt --------------------------------------------------------------------------------------------------------


def test_a_stalled_series_is_not_replaced_unless_told_so(controller, stack):
    stack.history(5, newest=3 * DAY)
    run = controller.play([
        {**task(stack, "In doubt", **NIGHTLY), "ignore_errors": True},
        {**task(stack, "Predicted", **NIGHTLY), "ignore_errors": True, "check_mode": True},
        task(stack, "Decided", **NIGHTLY, recreate_stalled=True),
        task(stack, "Afterwards", **NIGHTLY),
    ]).passed()
    for name in ("In doubt", "Predicted"):
        assert run[name].failure == "in_doubt"
        for words in ("is stalled: nothing has come for 3d", "Nothing was sent", "recreate_stalled: true"):
            assert words in run[name]["msg"]
    assert run["Decided"]["action"] == "created"
    # The old series still lies there, stalled; the marker is younger and says that a new one is to come.
    assert run["Afterwards"]["action"] == "pending"
    assert len(stack.posts()) == 1


def test_a_first_backup_that_is_overdue_is_no_reason_to_ask_again(controller, stack):
    controller.play([task(stack, frequency="0 * * * *")]).passed()
    [path] = controller.state_dir.glob("*/task-*.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(content, asked_at="2026-01-01T00:10:00Z")))
    overdue = controller.play([task(stack, frequency="0 * * * *")]).only
    assert overdue.failure == "in_doubt"
    assert "asked for at 2026-01-01T00:10:00Z and its first backup was due by 2026-01-01T01:15:00Z" in overdue["msg"]
    # More patience is an option of the task.
    patient = controller.play([task(stack, frequency="0 * * * *", grace="5000d")]).passed().only
    assert patient["action"] == "pending"
    assert len(stack.posts()) == 1


def test_a_marker_that_cannot_be_read_is_no_empty_memory(controller, stack):
    controller.play([task(stack)]).passed()
    [path] = controller.state_dir.glob("*/task-*.json")
    path.write_text("{")
    answer = controller.play([task(stack)]).only
    assert answer.failure == "bad_marker" and str(path) in answer["msg"]
    assert len(stack.posts()) == 1


# -- a run that dies ----------------------------------------------------------------------------------------------

# Python reads this file at its start: the run and its worker die by SIGKILL just before the POST leaves the controller.
DIES_BEFORE_POST = """
import os, signal
from requests.adapters import HTTPAdapter

send = HTTPAdapter.send
def dying(self, request, *arguments, **options):
    if request.method == "POST":
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return send(self, request, *arguments, **options)
HTTPAdapter.send = dying
"""


def next_runs(controller, stack):
    """What the runs after a death say: one as it was, one by a person who has looked and found no task."""
    run = controller.play([
        {**task(stack, "Next", **NIGHTLY), "ignore_errors": True},
        {**task(stack, "Next in check mode", **NIGHTLY), "ignore_errors": True, "check_mode": True},
    ]).passed()
    for answer in run.answers:
        assert answer.failure == "in_doubt"
        for words in ("a run died, or got no answer", "whether the task exists is unknown", str(controller.state_dir)):
            assert words in answer["msg"]


def test_killed_between_marker_and_post(controller, stack):
    (controller.place / "sitecustomize.py").write_text(DIES_BEFORE_POST)
    died = controller.start([task(stack, **NIGHTLY)], env={"PYTHONPATH": str(controller.place)}).ended()
    assert died.code == -9
    assert [marker["state"] for marker in markers(controller)] == ["intent"]
    assert stack.calls() == [LIST]

    next_runs(controller, stack)
    assert stack.posts() == []
    # Nothing had been sent. Whoever looks at the service finds no task, and says so.
    run = controller.play([task(stack, "Decided", **NIGHTLY, recreate_stalled=True), task(stack, "Then", **NIGHTLY)])
    assert [answer["action"] for answer in run.passed().answers] == ["created", "pending"]
    assert len(stack.posts()) == 1


@pytest.mark.parametrize("fate", ["lost on its way", "carried out"])
def test_killed_after_the_post_was_sent(controller, scheduled_stack, fate):
    stack = scheduled_stack
    if fate == "carried out":
        stack.sandbox.fault("stall", route="create", seconds=60, bytes=0, times=1)
    else:
        stack.sandbox.fault("latency", route="create", seconds=5, times=1)
        stack.sandbox.fault("reset", route="create", times=1)
    started = controller.start([task(stack, **NIGHTLY)])
    until(lambda: len(stack.posts()) == 1)
    if fate == "carried out":
        until(lambda: stack.posts()[0]["status"] == 200)
    started.kill()
    assert started.process.returncode == -9
    assert [marker["state"] for marker in markers(controller)] == ["intent"]

    next_runs(controller, stack)
    assert len(stack.posts()) == 1
    if fate == "carried out":
        # The service went on by itself: its first backup ends the doubt.
        stack.sandbox.advance("1d")
        assert controller.play([task(stack, **NIGHTLY)]).passed().only["action"] == "present"
        assert len(stack.posts()) == 1
