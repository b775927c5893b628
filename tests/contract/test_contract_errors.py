# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked again and what never is; what an error says to a person."""

from __future__ import annotations

import json
import socket

import pytest

LIST = "GET /stacks/UID/backups"
RETRIES = 2


def refused(run, stack, status, body, content_type=None):
    """What a run without retries says about such an answer."""
    stack.sandbox.fault("status", route="list", code=status, body=body, content_type=content_type)
    outcome = run("backup_info", source=stack.uid, api_retries=0)
    assert "\n" not in outcome.error.message
    return outcome.error


# -- the words of errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body, content_type, said", [
    ({"error": "bad_request", "error_description": "general words", "details": "its group is odd"}, None,
     "its group is odd"),
    ({"error": "bad_request", "error_description": "general words"}, None, "general words"),
    ({"error": "bad_request"}, None, "bad_request"),
    ("plain words\n  on two lines", None, "plain words on two lines"),
    ("<html><head><title>Back soon</title></head><body>much <b>more</b></body></html>", "text/html", "Back soon"),
    ("<p>only <b>a body</b></p>", "text/html", "only a body"),
    ("see https://bucket.example.com/x?Signature=abcdef now", None, "see https://bucket.example.com/x?... now"),
    ("{broken", "application/json", "{broken"),
], ids=["details", "description", "word", "text", "title", "html", "signed URL", "broken JSON"])
def test_an_error_says_what_the_service_said(run, stack, body, content_type, said):
    error = refused(run, stack, 400, body, content_type)
    assert error.message == f"GET /stacks/{stack.uid}/backups answered 400: {said}"


def test_a_body_without_words_and_a_very_long_one(run, stack):
    assert refused(run, stack, 400, "").message.endswith("answered 400")
    stack.sandbox.clear_faults()
    assert len(refused(run, stack, 400, "x" * 100000).message) < 500


@pytest.mark.parametrize("status, word, code, hint", [
    (400, "bad_request", "bad_request", ""),
    (401, "unauthenticated", "unauthenticated", "check api_token"),
    (402, "trial_expired", "trial_expired", "trial or plan has ended"),
    (403, "forbidden", "forbidden", "scope"),
    (404, "not_found", "not_found", ""),
    (409, "conflict", "conflict", ""),
])
def test_a_refusal_is_taken_at_its_word_at_once(run, stack, status, word, code, hint):
    stack.sandbox.fault("status", route="list", code=status, body={"error": word, "details": "so it is"})
    outcome = run("backup_info", source=stack.uid, api_retries=RETRIES)
    assert outcome.code == code
    assert hint in outcome.error.message and "so it is" in outcome.error.message
    assert outcome.error.details["status"] == status
    assert stack.calls() == [LIST] and outcome.pauses == []


@pytest.mark.parametrize("fault", [
    {"kind": "html"}, {"kind": "malformed_json"}, {"kind": "status", "code": 200, "body": "pong"},
], ids=["HTML", "broken JSON", "text"])
def test_an_answer_that_is_not_json_is_no_answer(run, stack, fault):
    stack.sandbox.fault(**fault)
    outcome = run("backup_info", source=stack.uid)
    assert outcome.code == "not_json"
    assert "is api_url the API's address?" in outcome.error.message
    assert stack.calls() == [LIST]


def test_a_redirect_is_not_followed_with_a_token_in_hand(run, stack):
    stack.sandbox.fault("status", route="list", code=302, body="moved")
    outcome = run("backup_info", source=stack.uid)
    assert outcome.code == "redirected"
    assert stack.calls() == [LIST]


# -- asking again -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [
    *({"kind": "status", "code": code, "body": "hm"} for code in (408, 429, 500, 502, 503, 504)),
    {"kind": "throttle"}, {"kind": "reset"}, {"kind": "truncate"},
    {"kind": "stall", "seconds": 8}, {"kind": "latency", "seconds": 8},
], ids=lambda fault: f"{fault['kind']} {fault.get('code', '')}".strip())
def test_reading_is_tried_again(run, stack, fault):
    newest = stack.history(2)[0]
    stack.sandbox.fault(route="list", times=2, **fault)
    # Every other answer must come within it, on a busy machine too.
    timeout = 2 if fault["kind"] in ("stall", "latency") else 30
    outcome = run("backup_info", source=stack.uid, latest=True, api_retries=RETRIES, api_timeout=timeout)
    assert [backup["id"] for backup in outcome["backups"]] == [newest]
    assert stack.calls() == [LIST] * 3
    assert 0.25 <= outcome.pauses[0] <= 0.5 <= outcome.pauses[1] <= 1.0


@pytest.mark.parametrize("fault, code", [
    ({"kind": "status", "code": 500}, "unavailable"), ({"kind": "throttle"}, "throttled"),
    ({"kind": "reset"}, "unavailable"),
])
def test_but_not_for_ever(run, stack, fault, code):
    stack.sandbox.fault(route="list", **fault)
    outcome = run("backup_info", source=stack.uid, api_retries=RETRIES)
    assert outcome.code == code
    assert stack.calls() == [LIST] * (1 + RETRIES)


def test_one_page_of_many_is_tried_again_alone(run, stack):
    stack.sandbox.synthetic(stack.name, 70, every="1h")
    stack.sandbox.fault("status", route="list", code=502, after=1, times=1)
    assert len(run("backup_info", source=stack.uid)["backups"]) == 70
    assert len(stack.calls()) == 4


def test_a_page_that_never_comes_fails_the_whole_list(run, stack):
    stack.sandbox.synthetic(stack.name, 70, every="1h")
    stack.sandbox.fault("status", route="list", code=502, after=1)
    assert run("backup_info", source=stack.uid, api_retries=1).code == "unavailable"
    assert run("backup_task", source=stack.uid, api_retries=1).code == "unavailable"
    assert stack.posts() == []


def test_not_implemented_is_the_other_503_and_final(run, stack):
    stack.sandbox.fault("not_implemented", route="list")
    outcome = run("backup_info", source=stack.uid)
    assert outcome.code == "unsupported"
    assert "does not offer this call" in outcome.error.message
    assert stack.calls() == [LIST] and outcome.pauses == []


def test_the_service_may_say_how_long_to_wait(run, stack):
    stack.history(1)
    stack.sandbox.fault("throttle", route="list", retry_after=7, times=1)
    stack.sandbox.fault("retry_after", route="list", seconds=0, code=429, after=1, times=1)
    outcome = run("backup_info", source=stack.uid)
    assert len(outcome["backups"]) == 1
    # A little more than asked, so that many hosts do not come back at the same moment.
    assert 7 <= outcome.pauses[0] <= 7.5 and 0 <= outcome.pauses[1] <= 0.5


def test_but_nobody_waits_an_hour(run, stack):
    stack.sandbox.fault("throttle", route="list", retry_after=3600)
    outcome = run("backup_info", source=stack.uid)
    assert outcome.code == "throttled"
    assert "it asks to wait 1h" in outcome.error.message
    assert stack.calls() == [LIST]


def test_a_dead_port(run, stack):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    outcome = run("backup_info", source=stack.uid, api_url=f"http://127.0.0.1:{port}", api_retries=1)
    assert outcome.code == "unavailable"
    assert outcome.error.message == (
        f"GET /stacks/{stack.uid}/backups: no connection to 127.0.0.1:{port} (Connection refused)")
    assert len(outcome.pauses) == 1


# -- writing is never tried again ---------------------------------------------------------------------------------

MAYBE = "outcome_unknown"
# Longer than the timeout that these runs then have; all other answers must come within it, on a busy machine too.
SLOW, TIMEOUT = {"kind": "stall", "seconds": 8}, 2
UNCLEAR = [
    {"kind": "status", "code": 500}, {"kind": "status", "code": 502}, {"kind": "status", "code": 503, "body": "hm"},
    {"kind": "status", "code": 504}, {"kind": "status", "code": 408}, {"kind": "commit_then_500"},
    {"kind": "commit_then_reset"}, {"kind": "reset"}, {"kind": "truncate"}, SLOW, {"kind": "html"},
    {"kind": "malformed_json"}, {"kind": "html", "code": 500}, {"kind": "status", "code": 201, "body": ["what", "now"]},
]
CLEAR = [
    ({"kind": "throttle"}, "throttled"), ({"kind": "throttle", "retry_after": 1}, "throttled"),
    ({"kind": "status", "code": 429}, "throttled"), ({"kind": "not_implemented"}, "unsupported"),
    ({"kind": "ok_false", "message": "The stack is busy"}, "not_ok"), ({"kind": "status", "code": 400}, "bad_request"),
    ({"kind": "status", "code": 401}, "unauthenticated"), ({"kind": "status", "code": 402}, "trial_expired"),
    ({"kind": "status", "code": 403}, "forbidden"), ({"kind": "status", "code": 404}, "not_found"),
    ({"kind": "status", "code": 409}, "conflict"),
]


def label(fault):
    if isinstance(fault, dict):
        return " ".join(str(fault[name]) for name in ("kind", "code") if name in fault)
    return str(fault)


def options_of(module, stack):
    options = {"source": stack.uid}
    if module == "backup_import":
        options.update(group=stack.group, engine="postgresql", remote_url=stack.sandbox.import_source())
    return options


def markers(tmp_path):
    return [json.loads(path.read_text()) for path in (tmp_path / "state").glob("*/*.json")]


@pytest.mark.parametrize("module", ["backup_task", "backup_import"])
@pytest.mark.parametrize("fault", UNCLEAR, ids=label)
def test_in_doubt_nothing_is_sent_twice(run, stack, tmp_path, module, fault):
    stack.sandbox.fault(route="create" if module == "backup_task" else "import", times=1, **fault)
    first = run(module, **options_of(module, stack), api_timeout=TIMEOUT if fault is SLOW else 30)
    assert first.code == MAYBE
    assert "it is not sent again" in first.error.message
    assert first.pauses == [] and len(stack.posts()) == 1
    assert [marker["state"] for marker in markers(tmp_path)] == ["intent"]

    second = run(module, **options_of(module, stack))
    assert second.code == "in_doubt"
    assert len(stack.posts()) == 1


@pytest.mark.parametrize("module", ["backup_task", "backup_import"])
@pytest.mark.parametrize("fault, code", CLEAR, ids=label)
def test_after_a_clear_refusal_the_next_run_asks_anew(run, stack, tmp_path, module, fault, code):
    stack.sandbox.fault(route="create" if module == "backup_task" else "import", times=1, **fault)
    first = run(module, **options_of(module, stack))
    assert first.code == code
    assert first.pauses == [] and len(stack.posts()) == 1
    assert markers(tmp_path) == []

    assert run(module, **options_of(module, stack))["action"] == "created"
    assert len(stack.posts()) == 2
    assert [marker["state"] for marker in markers(tmp_path)] == ["done"]


@pytest.mark.parametrize("body", [
    {"response": {"ok": True, "message": "queued"}}, {"ok": True}, {"response": {}}, {"response": {"ok": None}},
], ids=str)
def test_a_success_may_be_told_in_few_words(run, stack, body):
    """Every field of an answer is optional."""
    stack.sandbox.fault("status", route="create", code=200, body=body)
    assert run("backup_task", source=stack.uid)["action"] == "created"


@pytest.mark.parametrize("body, reason", [
    ({"response": {"ok": False, "message": "The stack is busy"}}, "The stack is busy"),
    ({"ok": False}, "the answer says ok: false"),
    ({"error": "conflict", "details": "in maintenance"}, "in maintenance"),
], ids=str)
def test_a_refusal_may_come_as_a_success(run, stack, tmp_path, body, reason):
    stack.sandbox.fault("status", route="create", code=200, body=body)
    outcome = run("backup_task", source=stack.uid)
    assert (outcome.code, outcome.error.message) == ("not_ok", f"Cloud 66 refused: {reason}")
    assert markers(tmp_path) == []


def test_a_task_that_was_created_though_the_answer_was_500_is_found_by_its_first_backup(run, stack):
    stack.sandbox.fault("commit_then_500")
    assert run("backup_task", source=stack.uid).code == MAYBE
    assert run("backup_task", source=stack.uid).code == "in_doubt"
    stack.record(age=-5)  # it ran, a little later than the request
    assert run("backup_task", source=stack.uid)["action"] == "present"
    assert len(stack.posts()) == 1


@pytest.mark.parametrize("module, option", [("backup_task", "recreate_stalled"), ("backup_import", "force")])
def test_a_person_who_has_looked_can_end_the_doubt(run, stack, module, option):
    stack.sandbox.fault("status", method="POST", code=500, times=1)
    run(module, **options_of(module, stack))
    assert run(module, **options_of(module, stack)).code == "in_doubt"
    assert run(module, **options_of(module, stack), **{option: True})["action"] == "created"
    assert run(module, **options_of(module, stack))["action"] in ("pending", "present")
    assert len(stack.posts()) == 2


@pytest.mark.parametrize("module", ["backup_task", "backup_import"])
def test_a_dead_port_leaves_no_doubt(run, stack, tmp_path, module):
    """Nothing can have arrived where there was no connection: the marker is taken back."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{server.getsockname()[1]}"
    options = dict(options_of(module, stack), api_url=dead, api_retries=0)
    assert run(module, **options).code == "unavailable"
    assert markers(tmp_path) == []
    assert stack.posts() == []


# -- who is on the other side -------------------------------------------------------------------------------------


def test_a_certificate_that_does_not_verify_is_no_hiccup(run, tmp_path):
    """It is told at once, and leaves no doubt: nothing was sent to whoever that is."""
    from sandbox.client import Sandbox

    with Sandbox.start(stacks="shop", tls=True) as secure:
        options = {"source": secure.uid("shop"), "api_url": secure.api_url, "api_token": secure.token}
        importing = {"group": secure.group("shop"), "engine": "postgresql", "remote_url": secure.import_source()}
        for module, more in (("backup_info", {}), ("backup_task", {}), ("backup_import", importing)):
            outcome = run(module, **options, **more)
            assert (outcome.code, outcome.pauses) == ("tls", [])
        assert secure.requests() == [] and markers(tmp_path) == []
        assert run("backup_info", **options, ca_path=secure.ca_path)["backups"] == []
