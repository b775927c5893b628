# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each write of each provider: what check mode predicts is what a run does, and a second run does nothing."""

from __future__ import annotations

from .proxy import Reply, as_html, as_json


def start(run, service, write):
    """``attempt(check_mode=...)`` runs the write against the prepared service."""
    wanted = service.write(write)

    def attempt(**how):
        return run(wanted.module, source=service.source, **{**wanted.options, **how})

    return wanted, attempt


def test_check_mode_predicts_what_a_run_does_and_sends_nothing(run, service, write):
    wanted, attempt = start(run, service, write)
    predicted = attempt(check_mode=True)
    assert predicted["changed"] is True
    assert service.writes_seen() == []
    assert not run.state_dir.exists()

    done = attempt()
    assert service.writes_seen() == wanted.sends
    assert done["changed"] is True
    assert (predicted["action"], done["action"]) == (wanted.action, wanted.action)
    assert predicted["diff"] == done["diff"]
    assert done["diff"]["before"] != done["diff"]["after"]


def test_a_second_run_changes_nothing(run, service, write):
    wanted, attempt = start(run, service, write)
    assert attempt()["changed"] is True
    sent = service.writes_seen()

    for check_mode in (False, True):
        again = attempt(check_mode=check_mode)
        assert (again["changed"], again["action"]) == (False, wanted.then)
        assert again["diff"]["before"] == again["diff"]["after"]
    assert service.writes_seen() == sent == wanted.sends


def test_a_controller_that_knows_nothing_finds_what_the_service_shows(run, service, write, tmp_path):
    """Another controller has another state folder. Only what a service never shows needs it."""
    wanted, attempt = start(run, service, write)
    assert attempt()["changed"] is True
    again = attempt(state_dir=str(tmp_path / "elsewhere"), check_mode=True)
    assert again["changed"] is wanted.hidden


def test_an_answer_that_says_nothing_is_not_asked_for_again(run, service, write, proxy):
    """The service has done it, and a page of a proxy is all that comes back."""
    wanted = service.write(write)
    for method in ("POST", "PUT", "DELETE"):
        proxy.spoil(r"^(?!.*/tokens$)", lambda _answer: as_html(502), method=method)
    outcome = run(wanted.module, source=service.source, connection=service.through(proxy.url), api_retries=3,
                  **wanted.options)
    if outcome.error:
        assert outcome.code == "outcome_unknown"
        assert "not sent again" in outcome.error.message or "may have been carried out" in outcome.error.message
    else:
        # The service shows what was done.
        assert outcome["changed"] is True
    assert service.writes_seen() == wanted.sends


def test_a_refused_write_leaves_no_trace(run, service, write, proxy):
    """What the service refuses can be asked for again as if nothing had been."""
    wanted = service.write(write)
    refusal = as_json(400, {"badRequest": {"code": 400, "message": "Not today"}, "error": "Not today"})
    for method in ("POST", "PUT", "DELETE"):
        proxy.refuse(r"^(?!.*/tokens$)", refusal, method=method, times=1)
    options = {**wanted.options, "source": service.source, "connection": service.through(proxy.url)}
    refused = run(wanted.module, **options)
    assert refused.error is not None and refused.error.details.get("status") == 400
    assert not refused.error.changed
    assert service.writes_seen() == []

    assert run(wanted.module, **options)["changed"] is True
    assert service.writes_seen() == wanted.sends


def test_a_write_that_is_throttled_is_not_repeated(run, service, write, proxy):
    wanted = service.write(write)
    busy = Reply(service.throttled.status, {**service.throttled.headers, "Retry-After": "1"}, service.throttled.body)
    for method in ("POST", "PUT", "DELETE"):
        proxy.refuse(r"^(?!.*/tokens$)", busy, method=method)
    outcome = run(wanted.module, source=service.source, connection=service.through(proxy.url), api_retries=3,
                  **wanted.options)
    assert outcome.code == "throttled"
    assert len([call for call in proxy.seen if not call.startswith(("GET", "HEAD")) and "/tokens" not in call]) == 1
    assert service.writes_seen() == []
