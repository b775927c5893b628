# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user gets wrong, and the sentence that helps. Each failure has a stable code, one line, and no traceback."""

from __future__ import annotations

import socket

import pytest

from support import Stack


def dead_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


# Name -> (module, options beside the source, code of the failure, words of the message, requests that were made).
# The options are those of a task that is otherwise fine.
CASES = {
    # Credentials and addresses.
    "no token": ("backup_info", {"api_token": ""}, "bad_option", "api_token: no token given: set this option or the "
                 "environment variable CLOUD66_TOKEN", 0),
    "a token with a line break": ("backup_info", {"api_token": "abc\ndef"}, "bad_option", "pasted with a line break", 0),
    "a wrong token": ("backup_info", {"api_token": "wrong"}, "unauthenticated", "answered 401", 1),
    "a token that may only read": ("backup_task", {"api_token": "PUBLIC"}, "forbidden", "needs the scope admin", 2),
    "http to another host": ("backup_info", {"api_url": "http://backups.example.com"}, "bad_option",
                             "http:// to backups.example.com would send credentials in clear", 0),
    "an address of another kind": ("backup_info", {"api_url": "ftp://127.0.0.1/"}, "bad_option", "api_url: must be", 0),
    "a password in the address": ("backup_info", {"api_url": "https://me:pw@127.0.0.1/"}, "bad_option",
                                  "must not hold a user name or password", 0),
    "a port that is no number": ("backup_info", {"api_url": "https://127.0.0.1:http/"}, "bad_option", "is not a URL", 0),
    "an address that is torn": ("backup_info", {"api_url": "https://[::1"}, "bad_option", "api_url: is not a URL", 0),
    "a URL to import that is torn": ("backup_import", {"group": 1, "engine": "redis", "remote_url": "https://[::1/x?s=1"},
                                     "bad_option", "remote_url: is not a URL", 0),
    "a dead port": ("backup_info", {"api_url": f"http://127.0.0.1:{dead_port()}", "api_retries": 0}, "unavailable",
                    "Connection refused", 0),
    "another account": ("backup_info", {"account": "77"}, "forbidden", "no access to account 77", 1),
    # Things that do not exist.
    "an unknown stack": ("backup_info", {"source": "nothing"}, "not_found", "answered 404: Stack not found", 0),
    "an unknown id": ("backup_info", {"id": "999999999"}, "not_found", "answered 404: Backup not found", 1),
    "an unknown group": ("backup_import", {"group": 99999, "engine": "postgresql", "remote_url": "https://example.com/x"},
                         "not_found", "Cannot find backup group ID", 1),
    "an engine the group has no job for": ("backup_import", {"group": 1, "engine": "mysql", "remote_url": "https://a/x"},
                                           "not_found", "Cannot find backup", 1),
    # Values.
    "a cron with four fields": ("backup_task", {"frequency": "0 3 * *"}, "bad_option",
                                "frequency: '0 3 * *' has 4 fields", 0),
    "a cron with a bad field": ("backup_task", {"frequency": "0 25 * * *"}, "bad_option", "frequency: ", 0),
    "a cron with letters of another dialect": ("backup_task", {"frequency": "0 3 L * *"}, "bad_option",
                                               "bad day-of-month 'L'", 0),
    "a cron of a check": ("backup_check", {"frequency": "hourly"}, "bad_option", "frequency: 'hourly' has 1 fields", 0),
    "an unknown engine": ("backup_task", {"engines": ["oracle"]}, "bad_option",
                          "engines: unknown engine 'oracle'; cloud66 knows mysql, postgresql, redis, mongodb, or all", 0),
    "all and one more": ("backup_task", {"engines": "all,redis"}, "bad_option", "engines: all includes every engine", 0),
    "no engine": ("backup_task", {"engines": []}, "bad_option", "engines: is empty", 0),
    "an unknown engine to import": ("backup_import", {"group": 1, "engine": "oracle", "remote_url": "https://a/x"},
                                    "bad_option", "engine: unknown engine 'oracle'", 0),
    "a URL to import that is none": ("backup_import", {"group": 1, "engine": "redis", "remote_url": "/srv/dump.rdb"},
                                     "bad_option", "remote_url: must be an https:// URL", 0),
    "a duration": ("backup_check", {"max_age": "soon"}, "bad_option", "max_age: 'soon' is not a duration", 0),
    "a size": ("backup_check", {"min_size": "large"}, "bad_option", "min_size: 'large' is not a size", 0),
    "a percentage": ("backup_check", {"max_size_drop": 200}, "bad_option", "max_size_drop: is a percentage", 0),
    "a moment": ("backup_info", {"since": "once"}, "bad_option", "since: 'once' is neither a time", 0),
    "a limit": ("backup_info", {"limit": 0}, "bad_option", "limit: must be 1 or more", 0),
    "a choice": ("backup_info", {"status": "great"}, "bad_option", "value of status must be one of", 0),
    "keep nothing": ("backup_task", {"keep_count": 0}, "bad_option", "keep_count: must be 1 or more", 0),
    "an unknown option": ("backup_info", {"sauce": "x"}, "bad_option", "sauce", 0),
    "two ways to say what": ("backup_info", {"sources": ["x"]}, "bad_option", "mutually exclusive", 0),
    "an id of many sources": ("backup_info", {"source": "OMIT", "sources": ["x"], "id": "1"}, "bad_option",
                              "mutually exclusive", 0),
    "no source": ("backup_task", {"source": "OMIT"}, "bad_option", "missing required arguments: source", 0),
    "an empty source": ("backup_task", {"source": " "}, "bad_option", "source: is empty", 0),
    "no time at all": ("backup_info", {"api_timeout": 0}, "bad_option", "api_timeout", 0),
    "an unknown provider": ("backup_info", {"provider": "acme"}, "bad_option", "value of provider must be one of", 0),
    # What the service cannot do is said before it is asked.
    "a task to delete": ("backup_task", {"state": "absent"}, "unsupported",
                         "delete it by hand in the Cloud 66 dashboard (the stack's Database Backups page)", 0),
    "a task in addition, without a memory": ("backup_task", {"allow_additional": True, "evidence": "api"}, "bad_option",
                                             "allow_additional: needs evidence: marker", 0),
    "a state folder that is a file": ("backup_task", {"state_dir": "/dev/null"}, "bad_option", "state_dir: ", 0),
}
# Answers of the service.
FAULTS = {
    "an account whose trial has ended": ({"kind": "status", "code": 402}, "trial_expired", "answered 402"),
    "an answer in HTML": ({"kind": "html"}, "not_json", "is api_url the API's address?"),
    "an answer cut short": ({"kind": "malformed_json"}, "not_json", "not JSON"),
    "a page that repeats for ever": ({"kind": "repeat_page"}, "paging", "goes in circles"),
    "a call that is not offered": ({"kind": "not_implemented"}, "unsupported", "does not offer this call"),
    "a throttled token": ({"kind": "throttle"}, "throttled", "request limit reached"),
    "a server that is down": ({"kind": "status", "code": 502}, "unavailable", "answered 502"),
    "a connection that breaks": ({"kind": "reset"}, "unavailable", "closed the connection"),
}


@pytest.fixture(scope="module")
def run(sandbox_process, collections_path, tmp_path_factory):
    """All cases in one playbook; the requests that each made are counted by a stack of its own in the log's order."""
    from ansible_runs import Controller

    sandbox_process.clear_faults()
    sandbox_process.clear_requests()
    stack = Stack(sandbox_process, "pool1")
    stack.history(3)
    tasks = []
    for name, (module, options, dummy, dummy, dummy) in CASES.items():
        options = {"source": stack.uid, "account": None, **options}
        if options.get("api_token") == "PUBLIC":
            # Evidence of a task would spare the request that is to be refused.
            options.update(api_token=sandbox_process.public_token, engines=["redis"])
        options = {option: value for option, value in options.items() if value not in ("OMIT", None)}
        tasks.append({"name": name, "ignore_errors": True, f"restorable.backups.{module}": options})
    controller = Controller(tmp_path_factory.mktemp("bad"), sandbox_process, collections_path)
    run = controller.play(tasks)
    controller.close()
    run.requests = sandbox_process.requests()
    stack.clear()
    return run.passed()


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_named(run, name):
    dummy, dummy, code, words, dummy = CASES[name]
    answer = run[name]
    assert answer.failure == code
    assert words in answer["msg"] and "\n" not in answer["msg"] and "Traceback" not in answer["msg"]
    assert answer["changed"] is False and answer["failure"]["message"] == answer["msg"]


def test_what_can_be_seen_beforehand_costs_no_request(run):
    """Only those cases asked anything that had to."""
    uid_of_nobody = 1
    assert len(run.requests) == sum(case[4] for case in CASES.values()) + uid_of_nobody
    assert [request["status"] for request in run.requests if request["method"] == "POST"] == [403, 404, 404]


@pytest.fixture(scope="module")
def answers_to_faults(sandbox_process, collections_path, tmp_path_factory):
    """Each fault has a host of its own, whose stack has it."""
    from ansible_runs import Controller

    run, place = {}, tmp_path_factory.mktemp("faults")
    controller = Controller(place, sandbox_process, collections_path)
    # Four stacks at a time.
    names = list(FAULTS)
    for begin in range(0, len(names), 4):
        pool = [Stack(sandbox_process, f"pool{number}") for number in range(1, 5)]
        hosts = {}
        for name, stack in zip(names[begin:begin + 4], pool):
            sandbox_process.fault(route="list", source=stack.uid, **FAULTS[name][0])
            sandbox_process.synthetic(stack.name, 31)
            hosts[name.replace(" ", "_")] = {"uid": stack.uid}
        done = controller.play([{"name": "Look", "restorable.backups.backup_info": {
            "source": "{{ uid }}", "api_retries": 0}}], "--forks", "4", hosts=hosts)
        assert done.code == 2
        run.update({host.replace("_", " "): answer for host, answer in done.by_host("Look").items()})
        sandbox_process.clear_faults()
        for stack in pool:
            stack.clear()
    controller.close()
    return run


@pytest.mark.parametrize("name", FAULTS)
def test_an_answer_that_is_no_good_is_named(answers_to_faults, name):
    dummy, code, words = FAULTS[name]
    answer = answers_to_faults[name]
    assert answer.failure == code
    assert words in answer["msg"] and "\n" not in answer["msg"]


# -- where options come from --------------------------------------------------------------------------------------


def test_no_token_anywhere(controller, stack):
    answer = controller.adhoc("backup_info", f"source={stack.uid}", env={"CLOUD66_TOKEN": ""}).only
    assert answer.failure == "bad_option" and "CLOUD66_TOKEN" in answer["msg"]


def test_the_tokens_many_ways_in(controller, stack, sandbox):
    """Task environment, group defaults, a template, a vaulted variable: each reaches the action on the controller."""
    (controller.place / "password").write_text("correct horse")
    (controller.place / "plain.yml").write_text(f"vaulted_token: {sandbox.token}\n")
    encrypt = controller.command("ansible-vault", "encrypt", "--vault-password-file", "password", "plain.yml",
                                 "--output", "vault.yml").ended()
    assert encrypt.code == 0, encrypt.output
    info = {"restorable.backups.backup_info": {"source": stack.uid}}
    group = {"group/restorable.backups.backups": {"source": stack.uid, "api_token": sandbox.token}}
    run = controller.play([
        {"name": "environment", **info, "environment": {"CLOUD66_TOKEN": "{{ plain_token }}"}},
        {"name": "environment of a block", "block": [{"name": "in a block", **info}],
         "environment": {"CLOUD66_TOKEN": sandbox.token, "CLOUD66_ACCOUNT": "1"}},
        {"name": "template", "restorable.backups.backup_info": {"source": stack.uid, "api_token": "{{ plain_token }}"}},
        {"name": "vault", "restorable.backups.backup_info": {"source": stack.uid, "api_token": "{{ vaulted_token }}"}},
        {"name": "defaults of the module", "restorable.backups.backup_info": {},
         "module_defaults": {"restorable.backups.backup_info": {"source": stack.uid, "api_token": sandbox.token}}},
        {"name": "defaults of the group, info", "restorable.backups.backup_info": {}, "module_defaults": group},
        {"name": "defaults of the group, check", "module_defaults": group,
         "restorable.backups.backup_check": {"max_age": "1d", "fail_on_violation": False}},
        {"name": "defaults of the group, task", "restorable.backups.backup_task": {}, "module_defaults": group},
        {"name": "defaults of the group, import", "module_defaults": group, "restorable.backups.backup_import": {
            "group": stack.group, "engine": "postgresql", "remote_url": sandbox.import_source()}},
    ], "--vault-password-file", "password", env={"CLOUD66_TOKEN": ""},
        vars_files=["vault.yml"], vars={"plain_token": sandbox.token}).passed()
    assert len(run.answers) == 9
    assert {request["token"] for request in stack.requests()} == {"admin"}
    assert [request["account"] for request in stack.requests()][:3] == [None, "1", None]
    assert sandbox.token not in run.output


def test_an_option_wins_over_the_environment(controller, stack, sandbox):
    answer = controller.play([{"restorable.backups.backup_info": {"source": stack.uid, "api_token": "wrong"},
                               "environment": {"CLOUD66_TOKEN": sandbox.token}}]).only
    assert answer.failure == "unauthenticated"


def test_async_is_refused_in_plain_words(controller, stack, sandbox):
    run = controller.play([{"restorable.backups.backup_task": {"source": stack.uid}, "async": 60, "poll": poll,
                            "name": f"poll {poll}", "ignore_errors": True} for poll in (0, 5)]).passed()
    for answer in run.answers:
        assert "runs on the controller and cannot be detached with async; use wait" in answer["msg"]
    assert sandbox.requests() == []


# -- TLS ----------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for(controller):
    from sandbox.client import Sandbox

    with Sandbox.start(stacks="shop", tls=True) as secure:
        uid = secure.uid("shop")
        shared = {"source": uid, "api_url": secure.api_url, "api_token": secure.token}
        task = {"restorable.backups.backup_task": {**shared, "validate_certs": False}}
        run = controller.play([
            {"name": "unknown authority", "restorable.backups.backup_info": shared, "ignore_errors": True},
            {"name": "named authority", "restorable.backups.backup_info": {**shared, "ca_path": secure.ca_path}},
            {"name": "no file", "restorable.backups.backup_info": {**shared, "ca_path": "/nowhere.pem"},
             "ignore_errors": True},
            {"name": "unchecked", **task},
        ]).passed()
        assert run["unknown authority"].failure == "tls"
        assert "was not accepted" in run["unknown authority"]["msg"] and "give ca_path" in run["unknown authority"]["msg"]
        assert "backups" in run["named authority"].result
        assert run["no file"].failed and "/nowhere.pem" in run["no file"]["msg"]
        assert run["unchecked"]["action"] == "created"
        # No token was sent to a server that had not proved who it is.
        assert len(secure.requests()) == 3

        trusting = controller.play([{"restorable.backups.backup_info": shared}],
                                   env={"REQUESTS_CA_BUNDLE": secure.ca_path})
        assert trusting.passed().only["backups"] == []
