# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_import through ansible-playbook: what was asked for once is not asked for again."""

from __future__ import annotations

LIST = "GET /stacks/UID/backups"
IMPORT = "POST /stacks/UID/backups"


def importing(stack, name="Import", url=None, **options):
    return {"name": name, "restorable.backups.backup_import": {
        "source": stack.uid, "group": stack.group, "engine": "postgresql",
        "remote_url": url or stack.sandbox.import_source(), **options}}


def test_check_mode_then_twice(controller, stack):
    run = controller.play([importing(stack)], "--check", "--diff").passed()
    predicted = run.only
    assert (predicted["changed"], predicted["action"]) == (True, "created")
    assert stack.calls() == [] and not controller.state_dir.exists()

    done = controller.play([importing(stack)], "--diff").passed().only
    assert done["diff"] == predicted["diff"] and done["request"] == predicted["request"]
    assert done["diff"]["before"] == {"import": None} and done["diff"]["after"]["import"]["group"] == stack.group
    assert stack.calls() == [IMPORT]

    for mode in ((), ("--check",)):
        again = controller.play([importing(stack)], *mode).passed().only
        assert (again["changed"], again["action"]) == (False, "present")
    assert stack.calls() == [IMPORT]


def test_waiting_for_the_imported_backup(controller, stack):
    answer = controller.play([importing(stack, wait=True, wait_timeout=30, wait_interval=1)]).passed().only
    assert (answer["backup"]["status"], answer["backup"]["engine"]) == ("ok", "postgresql")
    assert stack.sandbox.facts(stack.name, answer["backup"]["id"])["kind"] == "import"


def test_an_import_that_fails_is_told_by_a_wait(controller, stack):
    missing = stack.sandbox.import_source("missing.sql.gz")
    answer = controller.play([importing(stack, url=missing, wait=True, wait_timeout=30, wait_interval=1)]).only
    assert answer.failure == "first_backup_failed"
    assert "Import failed: 404" in answer["msg"]


def test_in_doubt_it_says_what_to_look_at(controller, stack):
    stack.sandbox.fault("commit_then_reset", route="import", times=1)
    run = controller.play([
        {**importing(stack, "Broken off"), "ignore_errors": True},
        {**importing(stack, "Next"), "ignore_errors": True},
        {**importing(stack, "Next in check mode"), "ignore_errors": True, "check_mode": True},
    ]).passed()
    assert run["Broken off"].failure == "outcome_unknown"
    assert "look at the source's backups (backup_info)" in run["Broken off"]["msg"]
    for name in ("Next", "Next in check mode"):
        assert run[name].failure == "in_doubt"
        assert "setting state to done in" in run[name]["msg"]
    assert len(stack.posts()) == 1

    # A person looked and found it: the marker is corrected as the message says, and all is well.
    [marker] = controller.state_dir.glob("*/import-*.json")
    assert str(marker) in run["Next"]["msg"]
    marker.write_text(marker.read_text().replace('"intent"', '"done"'))
    assert controller.play([importing(stack)]).passed().only["action"] == "present"
    assert len(stack.posts()) == 1


def test_two_runs_at_once_make_one_request(controller, stack):
    stack.sandbox.fault("latency", route="import", seconds=1)
    both = [controller.start([importing(stack)]) for _number in range(2)]
    answers = [started.ended().passed().only for started in both]
    assert sorted(answer["action"] for answer in answers) == ["created", "present"]
    assert len(stack.posts()) == 1
