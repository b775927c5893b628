# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_run through ansible-playbook and ad-hoc commands, against the sandbox's Rackspace and Backupman."""

from __future__ import annotations

import pytest

from support import DAY, ago

ENOUGH = {"wait_timeout": 60, "wait_interval": 1}


class Service:
    """A service of the sandbox without any backup, and what it was asked."""

    def __init__(self, sandbox, name, **options):
        self.sandbox, self.name, self.options = sandbox, name, {"provider": name, **options}
        self.secret = options["api_key"]
        self.clear()

    def clear(self):
        self.sandbox.clear_faults()
        self.sandbox.reset_switches()
        self.sandbox.service(self.name, "DELETE", "/backups")

    def take(self):
        """Have a backup of the source, without the module; its ids."""
        what = {"rackspace": {"source": self.options["source"]}, "backupman": {"labels": [self.options["source"]]}}
        return self.sandbox.service(self.name, "POST", "/backup", **what[self.name])["ids"]

    def date(self, backup, moment):
        """Show another time for a backup."""
        field = {"rackspace": "created", "backupman": "CreatedAt"}[self.name]
        self.sandbox.service(self.name, "PATCH", f"/backups/{backup}", set={field: moment})

    def task(self, title="Have a backup", **options):
        return {"name": title, "restorable.backups.backup_run": {**self.options, **ENOUGH, **options}}

    def calls(self):
        """The routes of all requests but those for tokens, in order of arrival."""
        found = self.sandbox.requests(surface=self.name)
        return [request["route"] for request in found if request["route"] != "tokens"]

    def writes(self):
        return [route for route in self.calls() if route in ("create", "delete")]


@pytest.fixture
def rackspace(sandbox):
    ready = sandbox.ready["rackspace"]
    service = Service(sandbox, "rackspace", api_url=ready["auth_url"], username=ready["username"],
                      api_key=ready["api_key"], region_name=ready["region"], source=ready["instances"][1]["id"])
    yield service
    service.clear()


@pytest.fixture
def backupman(sandbox):
    ready = sandbox.ready["backupman"]
    service = Service(sandbox, "backupman", api_url=ready["api_url"], api_key=ready["api_key"],
                      source=ready["labels"][0], all_sources=True)
    yield service
    service.clear()


@pytest.fixture(params=["rackspace", "backupman"])
def service(request):
    return request.getfixturevalue(request.param)


# -- idempotence --------------------------------------------------------------------------------------------------


def test_check_mode_predicts_exactly_what_the_run_then_does_and_the_second_run_does_nothing(controller, service):
    tasks = [service.task()]
    predicted = controller.play(tasks, "--check", "--diff").passed().only
    assert service.writes() == [] and not controller.state_dir.exists()
    done = controller.play(tasks, "--diff").passed().only
    assert service.writes() == ["create"]
    for answer in (predicted, done):
        assert (answer["changed"], answer["action"]) == (True, "created")
    assert predicted["diff"] == done["diff"]
    assert predicted["diff"]["before"] == {"fresh_backup": None}
    assert (predicted["backup"], done["backup"]["status"]) == (None, "ok")

    for arguments in ([], ["--check"]):
        again = controller.play(tasks, "--diff", *arguments).passed().only
        assert (again["changed"], again["action"], again["backup"]["id"]) == (False, "present", done["backup"]["id"])
        assert again["diff"] == {"before": {}, "after": {}}
    assert service.writes() == ["create"]


def test_by_an_ad_hoc_command_and_the_environment(controller, backupman, rackspace):
    env = {"BACKUPMAN_URL": backupman.options["api_url"], "BACKUPMAN_API_KEY": backupman.secret,
           "RAX_AUTH_URL": rackspace.options["api_url"], "RAX_API_KEY": rackspace.secret,
           "RAX_USERNAME": rackspace.options["username"], "RAX_REGION": rackspace.options["region_name"]}
    for service, more in ((backupman, "all_sources=true"), (rackspace, "name=by-hand")):
        arguments = f"provider={service.name} source={service.options['source']} {more} wait_interval=1"
        actions = [controller.adhoc("backup_run", arguments, env=env).passed().only["action"] for _run in range(2)]
        assert actions == ["created", "present"]


def test_an_old_backup_is_not_enough(controller, service):
    [old] = service.take()
    service.date(old, ago(2 * DAY))
    run = controller.play([service.task("Three days", max_age="3d"), service.task("A day", max_age="24h")]).passed()
    assert [answer["action"] for answer in run.answers] == ["present", "created"]
    assert run["Three days"]["backup"]["id"] == old


def test_no_secret_is_told_at_any_verbosity(controller, service):
    run = controller.play([service.task()], "-vvvvv").passed()
    assert service.secret not in run.output
    for path in controller.state_dir.glob("**/*.json"):
        assert service.secret not in path.read_text()


# -- one at a time ------------------------------------------------------------------------------------------------


def test_two_runs_at_once_take_one_backup(controller, rackspace):
    rackspace.sandbox.switch("rackspace", build_seconds=4)
    both = [controller.start([rackspace.task()]) for _number in range(2)]
    answers = [started.ended().passed().only for started in both]
    assert sorted(answer["action"] for answer in answers) == ["created", "running"]
    assert len({answer["backup"]["id"] for answer in answers}) == 1
    assert all(answer["backup"]["status"] == "ok" for answer in answers)
    assert rackspace.writes() == ["create"]


def test_the_hosts_of_one_backupman_ask_it_once(controller, backupman):
    labels = backupman.sandbox.ready["backupman"]["labels"]
    hosts = {label: {"protect_provider": "backupman", "protect_source": label} for label in labels[:4]}
    task = backupman.task()
    del task["restorable.backups.backup_run"]["source"]
    run = controller.play([task], hosts=hosts).passed()
    answers = run.by_host(task["name"])
    assert {host: answer["backup"]["source"] for host, answer in answers.items()} == {label: label for label in hosts}
    assert sorted(answer["changed"] for answer in answers.values()) == [False, False, False, True]
    assert backupman.writes() == ["create"]


def test_a_service_that_takes_one_at_a_time_leads_to_that_one(controller, rackspace):
    rackspace.sandbox.switch("rackspace", outcome="BUILDING")
    run = controller.play([
        rackspace.task("First", wait=False), rackspace.task("In any case", max_age=0, wait=False),
        rackspace.task("Again", wait=False),
    ]).passed()
    assert [(answer["action"], answer["changed"]) for answer in run.answers] == [
        ("created", True), ("running", False), ("running", False)]
    assert len({answer["backup"]["id"] for answer in run.answers}) == 1
    # The second one was asked for, and refused.
    assert rackspace.writes() == ["create", "create"]


def test_one_that_hangs_is_not_waited_for(controller, backupman):
    backupman.sandbox.switch("backupman", pending=True)
    [hung] = backupman.take()
    backupman.date(hung, ago(2 * DAY))
    backupman.sandbox.reset_switches()
    answer = controller.play([backupman.task()]).passed().only
    assert (answer["action"], answer["backup"]["status"]) == ("created", "ok")
    assert f"Backup {hung} of {backupman.options['source']} has been running" in answer.warnings


# -- what goes wrong ----------------------------------------------------------------------------------------------


def test_a_failed_backup_ends_the_wait_at_once(controller, rackspace):
    rackspace.sandbox.switch("rackspace", outcome="FAILED")
    answer = controller.play([rackspace.task(wait_timeout=600)]).only
    assert (answer.failure, answer["changed"]) == ("backup_failed", True)


def test_a_wait_in_vain_names_the_backup_and_its_state(controller, rackspace):
    rackspace.sandbox.switch("rackspace", outcome="BUILDING")
    answer = controller.play([rackspace.task(wait_timeout=2)]).only
    assert (answer.failure, answer["changed"]) == ("wait_timeout", True)
    [record] = rackspace.sandbox.rackspace("GET", "/backups")[1]["backups"]
    assert f"Backup {record['id']} of {rackspace.options['source']} is still running (BUILDING) after" in answer["msg"]
    assert answer["failure"]["details"]["id"] == record["id"]


@pytest.mark.parametrize("kind", ["commit_then_500", "commit_then_reset"])
def test_a_lost_answer_is_made_up_for_by_reading(controller, service, kind):
    service.sandbox.fault(kind, surface=service.name, route="create", times=1)
    answer = controller.play([service.task()]).passed().only
    assert (answer["action"], answer["backup"]["status"]) == ("created", "ok")
    assert "it has led to backup " + answer["backup"]["id"] in answer.warnings
    assert service.writes() == ["create"]


def test_a_lost_request_is_not_sent_again(controller, service):
    service.sandbox.fault("reset", surface=service.name, route="create", times=1)
    answer = controller.play([service.task()]).only
    assert answer.failure == "outcome_unknown"
    assert f"Whether a backup of {service.options['source']} was begun is unknown" in answer["msg"]
    assert service.writes() == ["create"]


def test_all_sources_are_not_started_unseen(controller, backupman):
    for arguments in ([], ["--check"]):
        answer = controller.play([backupman.task(all_sources=False)], *arguments).only
        assert answer.failure == "bad_option"
        assert answer["msg"].startswith("all_sources: backupman can only back up all its sources at once")
    assert backupman.writes() == []


def test_what_a_run_started_is_told(controller, backupman):
    labels = backupman.sandbox.ready["backupman"]["labels"]
    backupman.sandbox.service("backupman", "POST", "/backup", labels=labels[1:3])
    answer = controller.play([backupman.task()]).passed().only
    assert answer["sources_started"] == sorted(labels[1:3])


def test_what_an_api_cannot_do_is_said_before_any_request(controller, sandbox, backupman):
    run = controller.play([
        {"name": "Run", "restorable.backups.backup_run": {"source": sandbox.uid("pool1")}, "ignore_errors": True},
        {**backupman.task("Delete", state="absent", id="7"), "ignore_errors": True},
    ]).passed()
    assert [answer.failure for answer in run.answers] == ["unsupported", "unsupported"]
    assert sandbox.requests() == []


# -- absent -------------------------------------------------------------------------------------------------------


def test_the_whole_life_of_a_chain(controller, rackspace):
    run = controller.play([
        rackspace.task("Full", name="full"), rackspace.task("Incremental", name="more", incremental=True, max_age=0),
        {**rackspace.task("Too much", state="absent", name="full"), "ignore_errors": True},
    ]).passed()
    full, more = run["Full"]["backup"], run["Incremental"]["backup"]
    assert more["parent_id"] == full["id"]
    assert run["Too much"].failure == "has_children"
    assert more["id"] in run["Too much"]["msg"]
    assert rackspace.writes() == ["create", "create"]

    tasks = [rackspace.task("Delete", state="absent", name="full", cascade=True)]
    predicted = controller.play(tasks, "--check", "--diff").passed().only
    assert rackspace.writes() == ["create", "create"]
    done = controller.play(tasks, "--diff").passed().only
    for answer in (predicted, done):
        assert (answer["changed"], answer["action"]) == (True, "deleted")
        assert answer["deleted"] == [more["id"], full["id"]]
        assert answer["diff"] == {"before": {"backups": [more["id"], full["id"]]}, "after": {"backups": []}}
    assert rackspace.sandbox.rackspace("GET", "/backups")[1]["backups"] == []
    again = controller.play(tasks).passed().only
    assert (again["changed"], again["action"], again["deleted"]) == (False, "absent", [])
    assert rackspace.writes() == ["create", "create", "delete"]


def test_a_backup_is_deleted_by_its_id_and_only_from_its_own_source(controller, rackspace):
    others = rackspace.sandbox.ready["rackspace"]["instances"][2]["id"]
    made = controller.play([rackspace.task(source=others)]).passed().only["backup"]
    run = controller.play([
        {**rackspace.task("Wrong", state="absent", id=made["id"]), "ignore_errors": True},
        rackspace.task("Right", state="absent", id=made["id"], source=others),
        rackspace.task("Again", state="absent", id=made["id"], source=others),
    ]).passed()
    assert run["Wrong"].failure == "bad_option" and others in run["Wrong"]["msg"]
    assert [(run[name]["action"], run[name]["changed"]) for name in ("Right", "Again")] == [
        ("deleted", True), ("absent", False)]
    assert rackspace.writes() == ["create", "delete"]
