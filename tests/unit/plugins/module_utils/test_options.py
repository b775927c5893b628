# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared options, and the readings of sources that all operations share."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _options as shared
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    BackupError,
    MissingLibraryError,
    OptionError,
)
from ansible_collections.restorable.backups.plugins.module_utils._operations import (
    _reading,
    check,
    import_backup,
    info,
    task,
)
from ansible_collections.restorable.backups.plugins.module_utils._providers import Option
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import backup, options

SPECS = {
    "backup_check": check.SPEC,
    "backup_import": import_backup.SPEC,
    "backup_info": info.SPEC,
    "backup_task": task.SPEC,
}


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_module_has_the_options_of_the_provider(name):
    spec = SPECS[name]["argument_spec"]
    assert set(shared.PROVIDER_OPTIONS) <= set(spec)
    assert spec["api_token"]["no_log"] is True
    assert spec["source"]["aliases"] == ["stack", "stack_id", "instance", "instance_id", "label"]
    assert SPECS[name]["supports_check_mode"] is True


@pytest.mark.parametrize("name", sorted(SPECS))
def test_no_alias_is_an_option_too_or_used_twice(name):
    names = []
    for option, about in SPECS[name]["argument_spec"].items():
        names += [option] + about.get("aliases", [])
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(SPECS))
def test_whatever_may_hold_a_secret_is_marked(name):
    for option, about in SPECS[name]["argument_spec"].items():
        if "token" in option or "url" in option and option != "api_url":
            assert about.get("no_log") is True, option


@pytest.mark.parametrize(
    "given, text",
    [
        ({"api_timeout": 0}, "api_timeout: "),
        ({"api_timeout": -1.0}, "api_timeout: "),
        ({"api_timeout": float("nan")}, "api_timeout: "),
        ({"api_timeout": float("inf")}, "api_timeout: "),
        ({"api_retries": -1}, "api_retries: "),
        ({"account": "7 8"}, "account: "),
        ({"account": "7\nX-Other: 1"}, "account: "),
        ({"account": "siebenü"}, "account: "),
        ({"api_retries": 21}, "api_retries: "),
        ({"source": ""}, "source: "),
        ({"source": " "}, "source: "),
        ({"id": " "}, "id: "),
        ({"id": ".."}, "id: "),
        ({"source": "."}, "source: "),
        ({"sources": ["a", ".."]}, "sources: "),
        ({"sources": ["a", " "]}, "sources: "),
    ],
)
def test_values_that_no_request_should_be_made_with(given, text):
    with pytest.raises(OptionError) as caught:
        shared.check_shared(options(info.SPEC, **given))
    assert caught.value.message.startswith(text)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"source": "a"},
        {"sources": ["a"]},
        {"sources": []},
        {"api_timeout": 0.1},
        {"api_retries": 0},
        {"account": " 7 "},
        {"account": ""},
    ],
)
def test_values_that_are_fine(given):
    shared.check_shared(options(info.SPEC, **given))


def test_durations_and_sizes_name_their_option():
    assert shared.duration({"grace": "1h"}, "grace") == 3600
    assert shared.duration({"grace": None}, "grace") is None
    assert shared.size({"min_size": "1k"}, "min_size") == 1024
    with pytest.raises(OptionError, match="^grace: 'x' is not a duration"):
        shared.duration({"grace": "x"}, "grace")


# -- errors ------------------------------------------------------------------------------------------------------------


def test_an_error_as_playbooks_see_it():
    error = ApiError("no", code="odd", status=400, call=None)
    assert error.to_failure() == {"message": "no", "code": "odd", "details": {"status": 400}}
    assert BackupError("x").to_failure()["code"] == "error"


def test_what_is_added_to_a_message_is_in_its_text_too():
    error = ApiError("no")
    error.message += ", and this"
    assert str(error) == "no, and this"


def test_a_missing_library_says_its_name_on_pypi():
    error = MissingLibraryError("cronsim", "trace")
    assert (error.library, error.traceback, error.details) == ("cronsim", "trace", {"library": "cronsim"})


# -- series by name ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key, names, found",
    [
        ("a/b/c", ["a/b/c"], True),
        ("a/b/c", ["c"], True),
        ("a/b/c", ["b/c"], False),
        ("a/b/c", ["x", "c"], True),
        ("a/b/c", [""], False),
        ("c", ["c"], True),
        ("a/b/c", [], False),
    ],
)
def test_a_series_is_named_by_its_key_or_its_last_part(key, names, found):
    assert _reading.names_series(key, names) is found


def test_sources_are_read_once_each_in_the_order_given():
    assert _reading.wanted_sources({"source": None, "sources": ["b", "a", "b"]}) == ["b", "a"]
    assert _reading.wanted_sources({"source": "x", "sources": None}) == ["x"]


def test_an_undated_backup_is_in_no_span_of_time():
    undated = backup(None)
    moment = backup(60).created_at
    assert _reading.selected([undated], since=moment) == []
    assert _reading.selected([undated], until=moment) == []
    assert _reading.selected([undated]) == [undated]


# -- what else says how a service is reached ---------------------------------------------------------------------------

OWN = {"api_url": Option(default="https://usual.example", env=("A_URL", "B_URL")), "api_token": Option(env=("A_TOKEN",))}
SPEC = {"source": {"aliases": ["stack"]}, "sources": {}, **shared.PROVIDER_OPTIONS}


def complete(arguments=None, variables=None, environment=None):
    return shared.complete(dict(arguments or {}, provider="x"), SPEC, OWN, variables or {}, environment or {})


@pytest.mark.parametrize(
    "arguments, variables, environment, found",
    [
        ({"api_url": "task"}, {"protect_api_url": "host"}, {"A_URL": "first", "B_URL": "second"}, "task"),
        ({}, {"protect_api_url": "host"}, {"A_URL": "first", "B_URL": "second"}, "host"),
        ({}, {}, {"A_URL": "first", "B_URL": "second"}, "first"),
        ({}, {}, {"B_URL": "second"}, "second"),
        ({}, {}, {}, "https://usual.example"),
    ],
)
def test_an_option_has_its_first_source(arguments, variables, environment, found):
    assert complete(arguments, variables, environment)["api_url"] == found


def test_an_alias_is_the_option():
    assert "api_token" not in complete({"api_key": "k"}, {"protect_api_token": "other"}, {"A_TOKEN": "other"})


def test_what_another_provider_has_is_refused_in_a_task_and_passed_over_elsewhere():
    with pytest.raises(OptionError, match="^cloud: provider x has no such option; its own are api_token, api_url"):
        complete({"cloud": "prod"})
    with pytest.raises(OptionError, match="^region_name: "):
        complete({"region": "ORD"})
    assert "cloud" not in complete({}, {"protect_cloud": "prod"})


def test_what_all_providers_have_comes_from_the_host_too():
    assert complete({}, {"protect_api_retries": 1})["api_retries"] == 1
    assert complete({"api_retries": 2}, {"protect_api_retries": 1})["api_retries"] == 2


def test_the_source_of_the_host_stands_where_no_source_is_given():
    assert complete({}, {"protect_source": "shop"})["source"] == "shop"
    assert "source" not in complete({"sources": ["a"]}, {"protect_source": "shop"})
    assert "source" not in complete({"stack": "a"}, {"protect_source": "shop"})


def test_secrets_in_a_dict_are_found_by_their_names():
    given = {"auth": {"username": "demo", "password": "p-1", "project_name": "x"}, "token": "t-1", "verify": True}
    assert shared.secrets_in(given) == {"p-1", "t-1"}
    assert shared.secrets_in(None) == set()
    assert shared.secrets_in("prod") == set()
