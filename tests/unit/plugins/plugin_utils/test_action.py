# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of the action plugins: options from everywhere, secrets nowhere."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    MissingLibraryError,
    OptionError,
)
from ansible_collections.restorable.backups.plugins.module_utils._options import source_option, with_provider
from ansible_collections.restorable.backups.plugins.plugin_utils import _action as action

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
TOKEN = "tok-3f8a9c"
SIGNED = "https://dumps.example/shop.gz?Signature=abc%2Fdef&Expires=17"

# -- hiding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, shown",
    [
        ("nothing", "nothing"),
        ("Bearer tok-3f8a9c!", "Bearer %s!" % HIDDEN),
        ("tok-3f8a9ctok-3f8a9c", HIDDEN * 2),
        ("see https://x.example/a?b=c&d=e today", "see https://x.example/a?%s today" % HIDDEN),
        ("'https://x.example/a?b=c'", "'https://x.example/a?%s'" % HIDDEN),
        ("http://x.example/a", "http://x.example/a"),
        ("why? because", "why? because"),
    ],
)
def test_what_is_shown_of_a_text(text, shown):
    assert action.hide(text, {TOKEN}) == shown


def test_the_longer_secret_is_hidden_whole():
    assert action.hide("abcdef", {"abc", "abcdef"}) == HIDDEN


def test_no_secret_is_no_secret():
    assert action.hide("text", set()) == "text"
    assert action.hide("text", {""}) == "text"


@pytest.mark.parametrize(
    "secrets, found",
    [
        ({SIGNED}, {"Signature=abc%2Fdef&Expires=17"}),
        ({TOKEN}, set()),
        ({"https://x.example/a"}, set()),
        ({"https://x.example/a?b"}, set()),
        ({"https://x.example/a?bcde#f"}, {"bcde"}),
        ({"https://[broken?Signature=1"}, {"Signature=1"}),
        ({"what?is=this"}, set()),
        (set(), set()),
    ],
)
def test_the_query_of_a_secret_url_is_a_secret_of_its_own(secrets, found):
    assert action.signatures_of(secrets) == found


def test_results_are_cleaned_to_their_depth():
    result = {"a": [TOKEN, {"b": ("x " + TOKEN, 5, None, True)}], "c": "fine"}
    cleaned = action.without_secrets(result, {TOKEN})
    assert TOKEN not in json.dumps(cleaned)
    assert cleaned["c"] == "fine"
    assert cleaned["a"][1]["b"][1:] == [5, None, True]


# -- running -----------------------------------------------------------------------------------------------------------


class Plugin(action.ControllerAction):
    spec = {
        "argument_spec": with_provider(
            source=source_option(required=True), remote_url={"type": "str", "no_log": True}, limit={"type": "int"}
        ),
        "mutually_exclusive": [("limit", "remote_url")],
    }
    seen = answer = None

    def operate(self, params, provider, context, task_vars):
        self.seen = (params, provider, context)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(params, context) if callable(self.answer) else {"changed": False}


class Templar:
    """Templates nothing, and says that it was asked."""

    def template(self, value, **kwargs):
        return value.replace("{{ it }}", "templated") if isinstance(value, str) else value


@pytest.fixture
def plugin(monkeypatch):
    for name in ("CLOUD66_TOKEN", "CLOUD66_API_URL", "CLOUD66_ACCOUNT", "RESTORABLE_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)

    def make(answer=None, environment=None, check_mode=False, async_val=0, token=TOKEN, **args):
        args.setdefault("source", "shop")
        if token:
            args["api_token"] = token
        task = SimpleNamespace(
            action="restorable.backups.test",
            args=args,
            async_val=async_val,
            check_mode=check_mode,
            diff=False,
            environment=[environment] if environment else [],
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="x", env_prefix=lambda **variables: ""))
        made = Plugin(task, connection, SimpleNamespace(), None, Templar(), None)
        made.answer = answer
        return made

    return make


def test_options_are_validated_and_aliases_known(plugin):
    one = plugin(limit="5", source=None)
    del one._task.args["source"]
    one._task.args["stack_id"] = "abc"
    assert one.run(task_vars={})["changed"] is False
    params, provider, context = one.seen
    assert (params["source"], params["limit"], params["provider"], provider.name) == ("abc", 5, "cloud66", "cloud66")
    assert context.check_mode is False


@pytest.mark.parametrize(
    "given, text",
    [
        ({"limit": "many"}, "limit"),
        ({"unknown_option": 1}, "unknown_option"),
        ({"limit": 1, "remote_url": SIGNED}, "mutually exclusive"),
        ({"provider": "other"}, "provider"),
        ({"source": " "}, "source: is empty"),
        ({"api_url": "http://x.example"}, "api_url: "),
        ({"api_timeout": 0}, "api_timeout: "),
    ],
)
def test_bad_options_fail_the_task_and_show_no_secret(plugin, given, text):
    one = plugin(**given)
    result = one.run(task_vars={})
    assert (result["failed"], result["changed"], result["failure"]["code"]) == (True, False, "bad_option")
    assert text in result["msg"]
    assert TOKEN not in json.dumps(result)
    assert "Signature" not in json.dumps(result)
    assert one.seen is None, "nothing was asked of anybody"


def test_no_token_fails_with_where_it_may_come_from(plugin):
    result = plugin(token=None).run(task_vars={})
    assert "CLOUD66_TOKEN" in result["msg"]
    assert result["failure"] == {"message": result["msg"], "code": "bad_option", "details": {"option": "api_token"}}


def test_credentials_come_from_the_environment_of_the_controller(plugin, monkeypatch):
    monkeypatch.setenv("CLOUD66_TOKEN", TOKEN)
    monkeypatch.setenv("CLOUD66_API_URL", "api.example.test")
    one = plugin(token=None, answer=lambda params, context: {"said": "it was " + TOKEN})
    assert one.run(task_vars={})["said"] == "it was " + HIDDEN
    assert one.seen[0]["api_token"] == TOKEN
    assert one.seen[0]["api_url"] == "api.example.test"


def environment_of(one, monkeypatch, **variables):
    monkeypatch.setattr(one, "_compute_environment_string", lambda raw: raw.update(variables) or "")
    one._task.environment = [variables]
    return one


def test_credentials_come_from_the_environment_of_the_task(plugin, monkeypatch):
    monkeypatch.setenv("CLOUD66_TOKEN", "tok-of-the-controller")
    one = environment_of(plugin(token=None), monkeypatch, CLOUD66_TOKEN=TOKEN)
    one.run(task_vars={})
    assert one.seen[0]["api_token"] == TOKEN


def test_an_option_wins_over_every_environment(plugin, monkeypatch):
    one = environment_of(plugin(token="tok-of-the-task"), monkeypatch, CLOUD66_TOKEN=TOKEN)
    one.run(task_vars={"protect_api_token": "tok-of-the-host"})
    assert one.seen[0]["api_token"] == "tok-of-the-task"


def test_the_variables_of_the_role_stand_in_for_options(plugin):
    one = plugin()
    del one._task.args["source"]
    one.run(task_vars={"protect_source": "of {{ it }}", "protect_account": "7", "protect_limit": 5})
    assert (one.seen[0]["source"], one.seen[0]["account"], one.seen[0]["limit"]) == ("of templated", "7", None)


@pytest.mark.parametrize("of_host", ["cloud66", None])
def test_the_variables_of_a_host_are_not_for_another_service(plugin, monkeypatch, of_host):
    """Or its credential would go there."""
    monkeypatch.delenv("BACKUPMAN_API_KEY", raising=False)
    one = plugin(token=None, provider="backupman", api_url="https://bm.example.test")
    host = {"protect_api_token": TOKEN, "protect_provider": of_host, "protect_source": "uid", "protect_account": "7"}
    result = one.run(task_vars={name: value for name, value in host.items() if value})
    assert result["failed"] and result["msg"].startswith("api_token: no API key given")
    mine = dict(host, protect_provider="backupman", protect_api_token="its-own")
    assert "failed" not in one.run(task_vars=mine)
    assert one.seen[0]["api_token"] == "its-own"


def test_secrets_are_cleaned_out_of_results_errors_and_warnings(plugin):
    def chatty(params, context):
        context.warn("warned of " + TOKEN)
        return {"deep": [{"url": params["remote_url"], "part": "Signature=abc%2Fdef&Expires=17"}]}

    text = json.dumps(plugin(answer=chatty, remote_url=SIGNED).run(task_vars={}))
    for secret in (TOKEN, "Signature", "abc%2Fdef"):
        assert secret not in text
    error = ApiError("no %s at %s" % (TOKEN, SIGNED), code="odd", url=SIGNED)
    result = plugin(answer=error, remote_url=SIGNED).run(task_vars={})
    assert (result["failed"], result["failure"]["code"]) == (True, "odd")
    for secret in (TOKEN, "Signature"):
        assert secret not in json.dumps(result)


def test_an_error_is_a_failed_result_with_its_parts(plugin):
    error = OptionError("limit", "is odd")
    result = plugin(answer=error).run(task_vars={})
    assert result["failed"] is True
    assert result["failure"] == {"message": "limit: is odd", "code": "bad_option", "details": {"option": "limit"}}


def test_a_missing_library_says_how_to_get_it(plugin):
    result = plugin(answer=MissingLibraryError("cronsim", "the trace")).run(task_vars={})
    assert result["failed"] is True
    assert "cronsim" in result["msg"]


def test_warnings_are_said_once_and_kept_when_the_task_fails(plugin):
    def twice(params, context):
        for _again in range(2):
            context.warn("careful")
        raise ApiError("no")

    result = plugin(answer=twice).run(task_vars={})
    assert (result["failed"], result["warnings"]) == (True, ["careful"])


def test_check_mode_is_handed_on(plugin):
    one = plugin(check_mode=True)
    one.run(task_vars={})
    assert one.seen[2].check_mode is True


def test_progress_is_shown_without_secrets(plugin, monkeypatch):
    shown = []
    monkeypatch.setattr(action.display, "display", lambda text, **kwargs: shown.append(text))
    plugin(answer=lambda params, context: context.progress("at %s with %s" % (SIGNED, TOKEN)) or {}).run(task_vars={})
    assert len(shown) == 1
    assert TOKEN not in shown[0]
    assert "Signature" not in shown[0]


def test_async_is_refused_with_what_to_do_instead(plugin):
    with pytest.raises(AnsibleActionFail, match="wait_timeout"):
        plugin(async_val=60).run(task_vars={})


def test_no_connection_is_needed(plugin):
    assert Plugin._requires_connection is False
    assert Plugin.TRANSFERS_FILES is False


@pytest.mark.parametrize("changed", [True, False])
def test_a_failure_after_something_was_done_says_changed(plugin, changed):
    error = ApiError("no backup came")
    error.changed = changed
    result = plugin(answer=error).run(task_vars={})
    assert (result["failed"], result["changed"]) == (True, changed)
