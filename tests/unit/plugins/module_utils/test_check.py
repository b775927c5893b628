# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_check: options to policy, sources to one verdict."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._errors import ApiError, AuthError, OptionError, UnsupportedError
from ansible_collections.restorable.backups.plugins.module_utils._operations import check
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import (
    DAY,
    HOUR,
    FakeProvider,
    World,
    backup,
    every,
    options,
)


def judged(provider, world=None, **given):
    if "sources" not in given:
        given.setdefault("source", "shop")
    return check.run(options(check.SPEC, **given), provider, world or World())


def codes(result):
    return [(one["source"], one["code"]) for one in result["violations"]]


def test_a_source_that_holds_its_policy():
    result = judged(FakeProvider(*every(DAY, 3, raw={"big": "x"})), max_age="26h", min_count=3)
    assert (result["compliant"], result["changed"], result["violations"]) == (True, False, [])
    assert "failed" not in result
    assert result["msg"] == "3 backups in 1 series hold the policy"
    assert [one["id"] for one in result["backups"]] == [result["series"][0]["last_good_id"]]
    assert "raw" not in result["backups"][0], "results stay small"


@pytest.mark.parametrize("fail", [True, False])
def test_whether_a_violation_fails_the_task_is_an_option(fail):
    result = judged(FakeProvider(*every(DAY, 3, first_age=34 * HOUR)), max_age="26h", fail_on_violation=fail)
    assert (result["compliant"], result["failed"]) == (False, fail)
    assert result["msg"] == "shop: The newest good backup is 1d 10h old, 1d 2h are allowed (stale)"


def test_every_violation_says_its_source():
    provider = FakeProvider(*every(DAY, 3), crm=[], blog=every(DAY, 3, first_age=9 * DAY, source="blog"))
    result = judged(provider, sources=["shop", "crm", "blog"], max_age="2d")
    assert codes(result) == [("crm", "no_backups"), ("blog", "stale")]
    assert [(one["source"], one["compliant"], one["count"]) for one in result["sources"]] == [
        ("shop", True, 3),
        ("crm", False, 0),
        ("blog", False, 3),
    ]
    assert result["msg"].startswith(
        "2 of 3 sources break the policy: crm: There is no backup at all (no_backups); blog: "
    )


def test_a_source_that_cannot_be_read_does_not_lose_the_others():
    provider = FakeProvider(*every(DAY, 3), crm=AuthError("GET /x answered 403", status=403))
    result = judged(provider, sources=["crm", "shop"], max_age="2d")
    assert codes(result) == [("crm", "unreachable")]
    assert result["sources"][0]["error"] == {
        "message": "GET /x answered 403",
        "code": "refused",
        "details": {"status": 403},
    }
    assert result["sources"][1]["compliant"] is True


def test_one_unreachable_source_is_a_violation_and_no_crash():
    provider = FakeProvider()
    provider.sources["shop"] = ApiError("down")
    result = judged(provider)
    assert (codes(result), result["failed"]) == ([("shop", "unreachable")], True)


def test_a_check_is_one_call_for_each_source():
    provider = FakeProvider(*every(DAY, 3), crm=[])
    judged(provider, sources=["shop", "crm", "shop"], group=7)
    assert sorted(provider.calls) == [("list", "crm", 7, None), ("list", "shop", 7, None)]


@pytest.mark.parametrize("sources", [[]])
def test_nothing_to_judge_is_not_compliant_but_a_mistake(sources):
    with pytest.raises(OptionError, match="^sources: is empty"):
        judged(FakeProvider(), sources=sources)


@pytest.mark.parametrize("given", [{"series": ["s/old"]}, {"series": ["old"]}, {"exclude_series": ["new", "s/x"]}])
def test_series_by_key_or_last_part(given):
    provider = FakeProvider(*every(DAY, 3, series="s/new"), *every(DAY, 3, series="s/old", first_age=9 * DAY))
    assert [one["series"] for one in judged(provider, max_age="2d", **given)["violations"]] == ["s/old"]
    assert judged(provider, max_age="2d", exclude_series=["old"])["compliant"] is True


def test_leaving_out_everything_is_not_compliant():
    result = judged(FakeProvider(*every(DAY, 3)), exclude_series=["s/one"])
    assert codes(result) == [("shop", "no_backups")]


def test_the_backups_a_verdict_rests_on():
    provider = FakeProvider(
        backup(60, id="1", status="failed"),
        backup(120, id="2"),
        backup(180, id="3"),
        backup(30, id="4", series="s/two"),
    )
    assert [one["id"] for one in judged(provider)["backups"]] == ["4", "1", "2"]


def test_warnings_of_the_list_are_passed_on():
    provider, world = FakeProvider(*every(DAY, 3)), World()
    provider.warnings = ["may not be whole"]
    judged(provider, world, max_age="2d")
    assert world.warned == ["may not be whole"]


def test_a_policy_without_an_age_says_so():
    world = World()
    judged(FakeProvider(*every(DAY, 3, first_age=2000 * DAY)), world, min_count=1)
    assert world.warned == ["The age of the backups is not judged: set max_age or frequency"]


def test_filters_that_leave_nothing_are_named():
    result = judged(FakeProvider(*every(DAY, 3)), series=["nope"], max_age="2d")
    assert result["msg"] == "shop: There is no backup at all in series nope, of the source's 3 (no_backups)"
    result = judged(FakeProvider(), group=99, max_age="2d")
    assert result["msg"] == "shop: There is no backup at all in group 99 (no_backups)"


@pytest.mark.parametrize("option", ["engines", "databases"])
def test_empty_names_are_refused(option):
    with pytest.raises(OptionError, match=option + ": holds an empty name"):
        judged(FakeProvider(), **{option: [""]})


def test_a_long_verdict_is_cut():
    backups = [one for n in range(9) for one in every(DAY, 2, series="s/%d" % n, first_age=9 * DAY)]
    result = judged(FakeProvider(*backups), max_age="1h")
    assert len(result["violations"]) == 9
    assert result["msg"].endswith("; and 4 more")


# -- options -----------------------------------------------------------------------------------------------------------


def policy(**given):
    return check.policy_from(options(check.SPEC, **given))


def test_options_become_a_policy():
    found = policy(
        max_age="2d",
        grace="30m",
        frequency="0 3 * * *",
        min_size="1.5 KiB",
        max_size_drop=20.0,
        min_count=3,
        engines=["Postgres", "all"],
        databases=["orders"],
        require_verified=True,
        allow_failed=True,
    )
    assert (found.max_age, found.grace, found.min_size, found.max_size_drop, found.min_count) == (
        172800,
        1800,
        1536,
        20.0,
        3,
    )
    assert (found.engines, found.databases) == (("postgresql",), ("orders",))
    assert found.schedule.expression == "0 3 * * *"
    assert found.require_verified and found.allow_failed


def test_no_options_ask_for_nothing():
    found = policy()
    assert (found.age_limit, found.min_size, found.engines, found.schedule) == (None, None, (), None)


@pytest.mark.parametrize(
    "given, text",
    [
        ({"max_age": "soon"}, "max_age: "),
        ({"max_age": ""}, "max_age: "),
        ({"max_age": "-1h"}, "max_age: "),
        ({"max_age": "9" * 30}, "max_age: "),
        ({"grace": "x"}, "grace: "),
        ({"frequency": "0 3 * *"}, "frequency: "),
        ({"min_size": "big"}, "min_size: "),
        ({"min_count": 0}, "min_count: "),
        ({"max_size_drop": -0.1}, "max_size_drop: "),
        ({"max_size_drop": 100.1}, "max_size_drop: "),
        ({"max_size_drop": float("nan")}, "max_size_drop: "),
    ],
)
def test_bad_options_are_named_before_any_request(given, text):
    provider = FakeProvider()
    with pytest.raises(OptionError) as caught:
        judged(provider, **given)
    assert caught.value.message.startswith(text)
    assert provider.calls == []


@pytest.mark.parametrize(
    "given, words",
    [
        ({"min_size": "1k"}, "cannot tell how large backups are: leave out min_size"),
        ({"max_size_drop": 50.0}, "cannot tell how large backups are"),
        ({"require_verified": True}, "cannot tell whether backups were verified: leave out require_verified"),
    ],
)
def test_what_a_service_never_tells_is_not_asked_of_its_backups(given, words):
    provider = FakeProvider(backup())
    provider.capabilities = frozenset(["list"])
    with pytest.raises(UnsupportedError, match=words):
        check.run(options(check.SPEC, source="shop", **given), provider, World())
    assert provider.calls == []
