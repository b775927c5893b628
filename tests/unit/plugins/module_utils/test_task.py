# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_task: when a request is sent and, above all, when not."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import timedelta

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    BackupError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
)
from ansible_collections.restorable.backups.plugins.module_utils._markers import DONE, INTENT, MarkerBook
from ansible_collections.restorable.backups.plugins.module_utils._operations import task
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import (
    DAY,
    HOUR,
    NOW,
    FakeProvider,
    World,
    backup,
    every,
    options,
)

NIGHTLY = "0 3 * * *"


@pytest.fixture
def state_dir(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture
def ensure(state_dir):
    """Run the module against a provider: ``ensure(provider, world=None, **options)``."""

    def run(provider, world=None, **given):
        given.setdefault("source", "shop")
        given.setdefault("state_dir", state_dir)
        return task.run(options(task.SPEC, **given), provider, world or World())

    return run


@pytest.fixture
def book(state_dir):
    return MarkerBook(state_dir, "task", "cloud66", FakeProvider().address, "shop")


def in_doubt(run):
    with pytest.raises(BackupError) as caught:
        run()
    assert caught.value.code == "in_doubt"
    assert "Nothing was sent" in caught.value.message
    return caught.value.message


# -- nothing is known: a request, once ---------------------------------------------------------------------------------


def test_the_first_run_asks_once_and_remembers(ensure, book):
    provider = FakeProvider()
    result = ensure(provider, frequency=NIGHTLY, keep_count=14)
    assert (result["changed"], result["action"]) == (True, "created")
    assert result["request"] == {"engines": ["all"], "frequency": NIGHTLY, "keep_count": 14}
    assert result["msg"] == "A backup task was asked for: queued for creation"
    assert len(provider.writes) == 1
    (marker,) = book.all()
    assert (marker.state, marker.asked_at, marker.request) == (DONE, NOW, result["request"])


def test_the_intent_is_on_the_disk_before_the_request(ensure, book):
    provider, seen = FakeProvider(), []
    provider.on_write = lambda: seen.extend(marker.state for marker in book.all())
    ensure(provider)
    assert seen == [INTENT]


def test_the_second_run_sends_nothing_though_no_backup_has_come(ensure):
    provider = FakeProvider()
    ensure(provider, frequency=NIGHTLY)
    result = ensure(provider, World().later(hours=14), frequency=NIGHTLY)
    assert (result["changed"], result["action"]) == (False, "pending")
    assert len(result["evidence"]["markers"]) == 1
    assert len(provider.writes) == 1


def test_what_is_asked_is_said_in_the_diff(ensure):
    result = ensure(FakeProvider(), frequency=NIGHTLY)
    assert result["diff"] == {"before": {"task": None}, "after": {"task": result["request"]}}


@pytest.mark.parametrize(
    "given, sent",
    [
        ({}, ()),
        ({"engines": ["all"]}, ()),
        ({"engines": ["MySQL"]}, ("mysql",)),
        ({"engines": ["redis", "mysql"]}, ("mysql", "redis")),
        ({"engines": ["mysql, redis"]}, ("mysql", "redis")),
        ({"engines": ["pg", "postgres", "postgresql"]}, ("postgresql",)),
    ],
)
def test_engines_as_people_write_them(ensure, given, sent):
    provider = FakeProvider()
    ensure(provider, **given)
    assert provider.writes[0][2].engines == sent


@pytest.mark.parametrize(
    "tables, sent", [(None, None), ([], set()), (["b", "a"], {"a", "b"}), (["a, b", " c "], {"a", "b", "c"})]
)
def test_excluded_tables_as_people_write_them(ensure, tables, sent):
    provider = FakeProvider()
    ensure(provider, excluded_tables=tables)
    assert provider.writes[0][2].excluded_tables == sent


# -- check mode --------------------------------------------------------------------------------------------------------


def test_check_mode_says_what_would_be_asked_and_writes_nothing(ensure, tmp_path):
    provider = FakeProvider()
    result = ensure(provider, World(check_mode=True), frequency=NIGHTLY)
    assert (result["changed"], result["action"]) == (True, "created")
    assert provider.writes == []
    assert list(tmp_path.iterdir()) == [], "no folder, no lock, no marker"


def test_check_mode_does_not_wait(ensure):
    world = World(check_mode=True)
    result = ensure(FakeProvider(), world, wait=True)
    assert "backup" not in result
    assert world.slept == []


def test_check_mode_after_the_request_is_pending(ensure):
    provider = FakeProvider()
    ensure(provider)
    assert ensure(provider, World(check_mode=True))["action"] == "pending"


def test_check_mode_sees_the_same_doubts(ensure):
    provider = FakeProvider(*every(HOUR, 5, first_age=9 * DAY))
    in_doubt(lambda: ensure(provider, World(check_mode=True)))


# -- a live series -----------------------------------------------------------------------------------------------------


def test_a_task_that_was_there_before_us_is_enough(ensure, tmp_path):
    provider = FakeProvider(*every(DAY, 5))
    result = ensure(provider)
    assert (result["changed"], result["action"], result["drift"]) == (False, "present", [])
    assert result["evidence"] == {"series": ["s/one"], "markers": []}
    assert result["engines_seen"] == ["postgresql"]
    assert result["series"][0]["count"] == 5
    assert provider.writes == []
    assert not list(tmp_path.glob("**/*.json"))


def test_one_call_is_all_that_a_look_needs(ensure):
    provider = FakeProvider(*every(DAY, 5))
    ensure(provider)
    assert provider.calls == [("list", "shop", None, None)]


def test_any_live_series_is_evidence_for_all_engines(ensure):
    backups = every(DAY, 3, engine="redis", series="s/r") + every(
        HOUR, 3, engine="mysql", series="s/m", first_age=9 * DAY
    )
    result = ensure(FakeProvider(*backups))
    assert (result["action"], result["engines_seen"]) == ("present", ["redis"])


def test_only_the_missing_engine_is_asked_for(ensure, book):
    provider = FakeProvider(*every(DAY, 3, engine="mysql"))
    result = ensure(provider, engines=["mysql", "redis"])
    assert provider.writes[0][2].engines == ("redis",)
    assert result["request"] == {"engines": ["redis"]}
    assert [marker.request for marker in book.all()] == [{"engines": ["redis"]}]
    again = ensure(provider, engines=["mysql", "redis"])
    assert (again["action"], again["changed"]) == ("pending", False)
    assert again["evidence"]["series"] == ["s/one"]


def test_drift_is_told_and_not_mended(ensure):
    provider, world = FakeProvider(*every(HOUR, 9, logical=False)), World()
    result = ensure(provider, world, frequency=NIGHTLY, keep_count=5, logical_backup=True)
    assert (result["changed"], result["action"]) == (False, "present")
    assert [one["field"] for one in result["drift"]] == ["frequency", "keep_count", "logical_backup"]
    assert result["diff"] == {
        "before": {"frequency": "every 1h", "keep_count": 9, "logical_backup": False},
        "after": {"frequency": NIGHTLY, "keep_count": 5, "logical_backup": True},
    }
    assert len(world.warned) == 3
    assert all("its API cannot change it" in text for text in world.warned)
    assert provider.writes == []


def test_of_several_live_series_the_one_most_as_wanted_counts(ensure):
    backups = every(HOUR, 9, series="s/other") + every(DAY, 3, series="s/wanted", first_age=9 * HOUR - 60)
    result = ensure(FakeProvider(*backups), frequency=NIGHTLY)
    assert result["drift"] == []
    assert result["evidence"]["series"] == ["s/other", "s/wanted"]


def test_an_intent_is_settled_by_a_live_series(ensure, book):
    book.write(["all"], INTENT, NOW - timedelta(days=2), {"engines": ["all"]})
    assert ensure(FakeProvider(*every(DAY, 2)))["action"] == "present"


def test_the_marker_remembers_what_no_backup_shows(ensure):
    provider = FakeProvider()
    ensure(provider, gzip=True, frequency=NIGHTLY)
    provider.sources["shop"] = dated_nights()
    world = World().later(days=4)
    result = ensure(provider, world, gzip=False, frequency=NIGHTLY)
    assert [(one["field"], one["wanted"], one["observed"]) for one in result["drift"]] == [("gzip", False, True)]


def dated_nights():
    return [backup(created_at=NOW + timedelta(days=n, hours=-9)) for n in (4, 3, 2)]


def test_a_changed_option_while_pending_is_drift_and_not_a_second_task(ensure):
    provider = FakeProvider()
    ensure(provider, frequency=NIGHTLY)
    result = ensure(provider, frequency="0 4 * * *")
    assert (result["action"], [one["field"] for one in result["drift"]]) == ("pending", ["frequency"])
    assert len(provider.writes) == 1


# -- a series that stopped ---------------------------------------------------------------------------------------------


def test_a_stalled_series_is_not_created_again(ensure):
    provider = FakeProvider(*every(HOUR, 5, first_age=9 * DAY))
    text = in_doubt(lambda: ensure(provider, frequency=NIGHTLY))
    assert "series s/one is stalled: nothing has come for 9d" in text
    assert "recreate_stalled" in text
    assert provider.writes == []


def test_whoever_looked_may_have_it_created_again_once(ensure):
    provider = FakeProvider(*every(HOUR, 5, first_age=9 * DAY))
    assert ensure(provider, recreate_stalled=True)["action"] == "created"
    assert ensure(provider, recreate_stalled=True)["action"] == "pending"
    assert ensure(provider)["action"] == "pending"
    assert len(provider.writes) == 1


def test_a_stalled_series_beside_a_marker_younger_than_it_is_pending(ensure, book):
    book.write(["all"], DONE, NOW - timedelta(minutes=5), {"engines": ["all"], "frequency": NIGHTLY})
    provider = FakeProvider(*every(HOUR, 5, first_age=9 * DAY))
    assert ensure(provider)["action"] == "pending"


@pytest.mark.parametrize("names", [("s/a", "s/b"), ("s/b", "s/a")])
def test_the_youngest_of_several_stalled_series_tells_whether_the_marked_task_ran(ensure, book, names):
    book.write(["all"], DONE, NOW - timedelta(days=20), {"engines": ["all"], "frequency": NIGHTLY})
    backups = every(DAY, 3, series=names[0], first_age=90 * DAY) + every(DAY, 3, series=names[1], first_age=9 * DAY)
    text = in_doubt(lambda: ensure(FakeProvider(*backups)))
    assert "is stalled" in text
    assert "none has come" not in text


def test_the_cron_of_the_marker_is_what_a_standstill_is_measured_by(ensure, book):
    book.write(["all"], DONE, NOW - timedelta(days=90), {"engines": ["all"], "frequency": "0 3 1 * *"})
    provider = FakeProvider(backup(40 * DAY))
    assert ensure(provider)["action"] == "present"


# -- a marker and nothing else -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, due",
    [
        # Asked for at noon: the night's run, and a quarter of a day.
        ({"frequency": NIGHTLY}, timedelta(hours=15 + 6)),
        ({"frequency": NIGHTLY, "grace": "1h"}, timedelta(hours=16)),
        # Without a frequency the service takes every hour.
        ({}, timedelta(hours=1, minutes=15)),
        ({"frequency": "0 3 * * 0"}, timedelta(days=3, hours=15 + 6)),
    ],
)
def test_pending_until_the_first_run_and_its_grace(ensure, given, due):
    provider = FakeProvider()
    ensure(provider, **given)
    assert ensure(provider, World(now=NOW + due), **given)["action"] == "pending"
    text = in_doubt(lambda: ensure(provider, World(now=NOW + due + timedelta(seconds=1)), **given))
    assert "was asked for at 2026-03-18T12:00:00Z" in text
    assert "none has come" in text
    assert len(provider.writes) == 1


def test_an_overdue_task_may_be_asked_for_again_once_and_then_waits_anew(ensure, book):
    provider, later = FakeProvider(), World().later(days=9)
    ensure(provider, frequency=NIGHTLY)
    assert ensure(provider, later, frequency=NIGHTLY, recreate_stalled=True)["action"] == "created"
    assert ensure(provider, later, frequency=NIGHTLY, recreate_stalled=True)["action"] == "pending"
    assert len(provider.writes) == 2
    assert [marker.asked_at for marker in book.all()] == [NOW + timedelta(days=9)]


def test_an_intent_of_a_run_that_died_is_never_sent_again_unseen(ensure, book):
    marker = book.write(["all"], INTENT, NOW - timedelta(minutes=1), {"engines": ["all"]})
    provider = FakeProvider()
    text = in_doubt(lambda: ensure(provider))
    assert "whether the task exists is unknown" in text
    assert str(marker.path) in text
    assert provider.writes == []
    assert book.all() == [marker]


def test_killed_between_marker_and_request(ensure):
    provider = FakeProvider()

    def kill():
        raise KeyboardInterrupt

    provider.on_write = kill
    with pytest.raises(KeyboardInterrupt):
        ensure(provider)
    provider.on_write = None
    in_doubt(lambda: ensure(provider))
    assert len(provider.writes) == 1


@pytest.mark.parametrize("engine, speaks", [("mysql", True), ("redis", False)])
def test_a_marker_speaks_of_its_engines_only(ensure, engine, speaks):
    provider = FakeProvider()
    ensure(provider, engines=["mysql"])
    assert (ensure(provider, engines=[engine])["action"] == "pending") is speaks


def test_a_marker_for_all_speaks_of_each_and_any_marker_speaks_for_all(ensure):
    provider = FakeProvider()
    ensure(provider)
    assert ensure(provider, engines=["redis"])["action"] == "pending"
    other = FakeProvider(crm=[])
    ensure(other, source="crm", engines=["redis"])
    assert ensure(other, source="crm")["action"] == "pending"
    assert (len(provider.writes), len(other.writes)) == (1, 1)


def test_sources_do_not_answer_for_each_other(ensure):
    provider = FakeProvider(crm=[])
    ensure(provider)
    assert ensure(provider, source="crm")["action"] == "created"


def test_the_youngest_marker_counts(ensure, book):
    book.write(["mysql"], INTENT, NOW - timedelta(days=9), {"engines": ["mysql"]})
    book.write(["all"], DONE, NOW - timedelta(minutes=1), {"engines": ["all"]})
    assert ensure(FakeProvider(), engines=["mysql"])["action"] == "pending"


def test_a_damaged_marker_stops_everything(ensure, book):
    path = book.write(["all"], DONE, NOW, {"engines": ["all"]}).path
    path.write_text("{")
    provider = FakeProvider()
    with pytest.raises(BackupError) as caught:
        ensure(provider)
    assert caught.value.code == "bad_marker"
    assert provider.writes == []


def test_a_state_folder_that_cannot_be_written_is_noticed_before_the_request(ensure, tmp_path):
    (tmp_path / "file").write_text("")
    provider = FakeProvider()
    with pytest.raises(OptionError, match="^state_dir: "):
        ensure(provider, state_dir=str(tmp_path / "file"))
    assert provider.calls == []


# -- answers of the service --------------------------------------------------------------------------------------------

REFUSALS = [
    ApiError("no", code="not_ok"),
    AuthError("403"),
    UnsupportedError("503"),
    UnavailableError("refused", code="throttled"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_refusal_leaves_no_trace_and_the_next_run_asks_again(ensure, book, refusal):
    provider = FakeProvider()
    provider.answers = [refusal]
    with pytest.raises(type(refusal)):
        ensure(provider)
    assert book.all() == []
    assert ensure(provider)["action"] == "created"


def test_a_refusal_puts_the_earlier_marker_back(ensure, book):
    provider = FakeProvider()
    ensure(provider, frequency=NIGHTLY)
    (earlier,) = book.all()
    provider.answers = [AuthError("403")]
    with pytest.raises(AuthError):
        ensure(provider, World().later(days=9), recreate_stalled=True)
    assert book.all() == [earlier]


def test_an_unknown_outcome_leaves_the_intent_and_says_so(ensure, book):
    provider = FakeProvider()
    provider.answers = [OutcomeUnknownError("POST /x: no answer")]
    with pytest.raises(OutcomeUnknownError, match="is unknown, and it is not sent again"):
        ensure(provider)
    assert [marker.state for marker in book.all()] == [INTENT]
    in_doubt(lambda: ensure(provider))
    assert len(provider.writes) == 1
    provider.sources["shop"] = [backup(60)]
    assert ensure(provider)["action"] == "present"


def test_a_list_that_cannot_be_read_sends_nothing(ensure):
    provider = FakeProvider()
    provider.sources["shop"] = UnavailableError("down")
    with pytest.raises(UnavailableError):
        ensure(provider)
    assert provider.writes == []


def test_nothing_is_sent_on_the_strength_of_a_list_that_may_not_be_whole(ensure):
    provider, world = FakeProvider(), World()
    provider.warnings, provider.whole = ["lists 60 records but announces 61"], False
    assert "may not be whole (lists 60 records but announces 61)" in in_doubt(lambda: ensure(provider, world))
    assert world.warned == provider.warnings
    assert provider.writes == []


def test_a_live_series_in_a_list_that_may_not_be_whole_is_evidence(ensure):
    provider = FakeProvider(*every(DAY, 3))
    provider.warnings, provider.whole = ["lists 60 records but announces 61"], False
    assert ensure(provider)["action"] == "present"


def test_a_warning_of_a_list_that_is_whole_stands_in_no_way(ensure):
    provider, world = FakeProvider(), World()
    provider.warnings = ["a backup has no date"]
    assert ensure(provider, world)["action"] == "created"
    assert world.warned == provider.warnings


# -- without a memory --------------------------------------------------------------------------------------------------


def test_evidence_api_writes_no_marker(ensure, tmp_path):
    provider = FakeProvider()
    assert ensure(provider, evidence="api")["action"] == "created"
    assert list(tmp_path.iterdir()) == []
    provider.sources["shop"] = [backup(60)]
    assert ensure(provider, evidence="api")["action"] == "present"


def test_evidence_api_still_does_not_touch_a_stalled_series(ensure):
    in_doubt(lambda: ensure(FakeProvider(*every(HOUR, 3, first_age=9 * DAY)), evidence="api"))


# -- beside a task that differs ----------------------------------------------------------------------------------------


def test_an_additional_task_is_asked_for_once(ensure):
    provider = FakeProvider(*every(HOUR, 9))
    given = dict(frequency=NIGHTLY, allow_additional=True)
    assert ensure(provider, **given)["action"] == "created"
    assert ensure(provider, **given)["action"] == "pending"
    assert len(provider.writes) == 1
    provider.sources["shop"] += every(DAY, 3, series="s/new", first_age=9 * HOUR - 60)
    result = ensure(provider, **given)
    assert (result["action"], result["evidence"]["series"]) == ("present", ["s/new"])


def test_no_additional_task_where_one_is_as_wanted(ensure):
    provider = FakeProvider(*every(HOUR, 9))
    assert ensure(provider, frequency="0 * * * *", allow_additional=True)["action"] == "present"


def test_another_additional_request_is_another_task(ensure):
    provider = FakeProvider(*every(HOUR, 9))
    for frequency in (NIGHTLY, "0 4 * * *", NIGHTLY, "0 4 * * *"):
        ensure(provider, frequency=frequency, allow_additional=True)
    assert [call[2].frequency for call in provider.writes] == [NIGHTLY, "0 4 * * *"]


def test_an_additional_task_for_some_of_the_engines_is_asked_for_once_too(ensure):
    provider = FakeProvider(*every(DAY, 4, engine="mysql", first_age=9 * HOUR - 60))
    given = dict(frequency=NIGHTLY, engines=["mysql", "redis"], allow_additional=True)
    assert ensure(provider, **given)["action"] == "created"
    assert ensure(provider, **given)["action"] == "pending"
    assert [call[2].engines for call in provider.writes] == [("redis",)]


def test_an_additional_task_that_stopped_is_not_replaced_in_silence(ensure):
    provider = FakeProvider(*every(DAY, 4, first_age=20 * DAY + 9 * HOUR))
    in_doubt(lambda: ensure(provider, frequency=NIGHTLY, allow_additional=True))


def test_an_overdue_additional_task_is_in_doubt(ensure):
    provider = FakeProvider()
    provider.sources["shop"] = [backup(age) for age in range(-5 * DAY, 5 * DAY, HOUR)]
    given = dict(frequency=NIGHTLY, allow_additional=True)
    ensure(provider, **given)
    in_doubt(lambda: ensure(provider, World().later(days=4), **given))
    assert len(provider.writes) == 1


def test_additional_without_a_memory_is_refused(ensure):
    provider = FakeProvider()
    with pytest.raises(OptionError, match="allow_additional: needs evidence: marker"):
        ensure(provider, allow_additional=True, evidence="api")
    assert provider.calls == []


# -- options -----------------------------------------------------------------------------------------------------------


def test_absent_fails_before_any_request_and_says_where(ensure, tmp_path):
    provider = FakeProvider()
    with pytest.raises(UnsupportedError, match="by hand in the Cloud 66 dashboard"):
        ensure(provider, state="absent")
    assert provider.calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "given, text",
    [
        ({"engines": ["oracle"]}, "engines: unknown engine 'oracle'; cloud66 knows mysql"),
        ({"engines": []}, "engines: is empty"),
        ({"engines": [" , "]}, "engines: is empty"),
        ({"engines": ["all", "mysql"]}, "engines: all includes"),
        ({"keep_count": 0}, "keep_count: "),
        ({"keep_count": -1}, "keep_count: "),
        ({"frequency": "0 3 * *"}, "frequency: "),
        ({"frequency": ""}, "frequency: "),
        ({"frequency": "61 3 * * *"}, "bad minute"),
        ({"grace": "soon"}, "grace: "),
        ({"grace": "9" * 30}, "grace: "),
        ({"wait_timeout": 0}, "wait_timeout: "),
        ({"wait_interval": 0}, "wait_interval: "),
        ({"wait_interval": -5}, "wait_interval: "),
    ],
)
def test_bad_options_are_named_before_any_request(ensure, tmp_path, given, text):
    provider = FakeProvider()
    with pytest.raises(OptionError) as caught:
        ensure(provider, **given)
    assert text in caught.value.message
    assert provider.calls == []
    assert list(tmp_path.iterdir()) == []


# -- waiting -----------------------------------------------------------------------------------------------------------


def arrivals(provider, world, *steps):
    """After each sleep the source's backups are the next of ``steps``."""
    left = iter(steps)

    def next_step():
        step = next(left, None)
        if step is not None:
            provider.sources["shop"] = step

    world.on_sleep = next_step


def test_waiting_returns_the_first_backup(ensure):
    provider, world = FakeProvider(), World()
    arrivals(provider, world, [], [backup(-60, id="first")])
    result = ensure(provider, world, wait=True, wait_interval=30)
    assert (result["action"], result["backup"]["id"]) == ("created", "first")
    assert world.slept == [30, 30]


def test_waiting_goes_on_while_pending(ensure):
    provider, world = FakeProvider(), World()
    ensure(provider)
    arrivals(provider, world, [backup(-60, id="first")])
    result = ensure(provider, world, wait=True)
    assert (result["action"], result["backup"]["id"]) == ("pending", "first")


def test_nothing_to_wait_for_where_it_is_present(ensure):
    world = World()
    assert "backup" not in ensure(FakeProvider(*every(DAY, 2)), world, wait=True)
    assert world.slept == []


def test_waiting_wants_every_engine(ensure):
    provider, world = FakeProvider(), World()
    mysql, redis = backup(-60, id="m", engine="mysql"), backup(-90, id="r", engine="redis")
    arrivals(provider, world, [mysql], [mysql, redis])
    assert ensure(provider, world, wait=True, engines=["mysql", "redis"])["backup"]["id"] == "r"
    assert len(world.slept) == 2


def test_a_backup_of_another_engine_is_not_the_one_that_was_waited_for(ensure):
    provider, world = FakeProvider(*every(HOUR, 3, engine="mysql")), World()
    mysql, redis = backup(-90, id="m", engine="mysql"), backup(-60, id="r", engine="redis")
    arrivals(provider, world, [mysql], [mysql, redis])
    assert ensure(provider, world, wait=True, engines=["redis"])["backup"]["id"] == "r"
    assert len(world.slept) == 2


def test_a_running_backup_has_not_come_yet(ensure):
    provider, world = FakeProvider(), World()
    arrivals(provider, world, [backup(-60, id="x", status="running")], [backup(-60, id="x")])
    assert ensure(provider, world, wait=True)["backup"]["status"] == "ok"


def test_a_first_backup_that_failed_ends_the_wait_at_once(ensure):
    provider, world = FakeProvider(), World()
    arrivals(provider, world, [backup(-60, id="x", status="failed", message="disk full")])
    with pytest.raises(BackupError, match="The first backup x failed: disk full") as caught:
        ensure(provider, world, wait=True)
    assert caught.value.code == "first_backup_failed"
    assert len(world.slept) == 1


def test_a_failure_of_another_engine_is_not_ours(ensure):
    provider, world = FakeProvider(), World()
    other = backup(-60, engine="mysql", status="failed")
    arrivals(provider, world, [other], [other, backup(-60, id="r", engine="redis")])
    assert ensure(provider, world, wait=True, engines=["redis"])["backup"]["id"] == "r"


def test_waiting_outlives_a_service_that_is_away_for_a_while(ensure):
    provider, world = FakeProvider(), World()
    arrivals(provider, world, UnavailableError("down"), [backup(-60, id="x")])
    assert ensure(provider, world, wait=True)["backup"]["id"] == "x"
    assert world.warned == ["While waiting: down"]


def test_a_wait_for_what_was_asked_before_has_changed_nothing(ensure):
    provider = FakeProvider()
    ensure(provider)
    with pytest.raises(BackupError) as caught:
        ensure(provider, wait=True, wait_timeout=5)
    assert caught.value.changed is False


def test_waiting_does_not_outlive_a_refusal(ensure):
    provider, world = FakeProvider(), World()
    arrivals(provider, world, AuthError("401"))
    with pytest.raises(AuthError):
        ensure(provider, world, wait=True)


@pytest.mark.parametrize("timeout, interval, slept", [(100, 30, [30, 30, 30, 10]), (30, 30, [30]), (5, 30, [5])])
def test_waiting_ends_in_time(ensure, book, timeout, interval, slept):
    world = World()
    with pytest.raises(BackupError, match="No new backup of shop after") as caught:
        ensure(FakeProvider(), world, wait=True, wait_timeout=timeout, wait_interval=interval)
    assert (caught.value.code, caught.value.details["waited_seconds"]) == ("wait_timeout", timeout)
    assert caught.value.changed is True, "something was asked for all the same"
    assert world.slept == slept
    assert [marker.state for marker in book.all()] == [DONE], "asked for it was: the next run waits on"


# -- whatever happens --------------------------------------------------------------------------------------------------

WORLDS = {
    "nothing": [],
    "live": every(HOUR, 5),
    "stalled": every(HOUR, 5, first_age=9 * DAY),
    "failed": every(HOUR, 5, status="failed"),
    "undated": [backup(None)],
    "redis": every(HOUR, 5, engine="redis"),
}


@pytest.mark.parametrize("before", sorted(WORLDS))
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"engines": ["redis"]},
        {"engines": ["mysql", "postgresql"]},
        {"frequency": NIGHTLY},
        {"frequency": NIGHTLY, "keep_count": 2, "allow_additional": True},
        {"engines": ["mysql", "redis"], "allow_additional": True, "gzip": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("outcome", ["accepted", "unknown"])
def test_the_same_task_again_and_again_is_at_most_one_request(ensure, before, given, outcome):
    provider = FakeProvider(*WORLDS[before])
    if outcome == "unknown":
        provider.answers = [OutcomeUnknownError("no answer")]
    for minutes in (0, 1, 5, 30, 60 * 24 * 3, 60 * 24 * 90):
        for _twice in range(2):
            try:
                ensure(provider, World().later(minutes=minutes), **given)
            except BackupError:
                pass
    assert len(provider.writes) <= 1


@pytest.mark.parametrize(
    "before, given", list(itertools.product(sorted(WORLDS), [{}, {"recreate_stalled": True}])), ids=str
)
def test_check_mode_never_writes_and_never_says_less_than_the_run_after_it(ensure, tmp_path, before, given):
    provider = FakeProvider(*WORLDS[before])

    def outcome(world):
        try:
            return ensure(provider, world, **given)["action"]
        except BackupError as error:
            return error.code

    foretold = outcome(World(check_mode=True))
    assert provider.writes == []
    assert list(tmp_path.iterdir()) == []
    assert outcome(World()) == foretold


# -- a default for new tasks -------------------------------------------------------------------------------------------


def test_a_default_frequency_is_asked_for_once_and_is_no_drift_later(ensure):
    provider = FakeProvider()
    given = {"default_frequency": NIGHTLY}
    assert ensure(provider, **given)["request"] == {"engines": ["all"], "frequency": NIGHTLY}
    assert ensure(provider, **given)["action"] == "pending"
    assert ensure(provider, default_frequency="30 4 * * *")["drift"] == []
    assert len(provider.writes) == 1


def test_a_default_frequency_says_nothing_of_a_task_that_was_there_before(ensure):
    provider = FakeProvider(*every(DAY, 5))
    result = ensure(provider, default_frequency="0 */2 * * *")
    assert (result["action"], result["drift"], provider.writes) == ("present", [], [])
    assert ensure(provider, frequency="0 */2 * * *")["drift"] != []


def test_a_default_frequency_is_part_of_an_additional_request(ensure):
    provider = FakeProvider(*every(DAY, 5))
    given = {"default_frequency": NIGHTLY, "logical_backup": False, "allow_additional": True}
    provider.sources["shop"] = [dataclasses.replace(one, logical=True) for one in provider.sources["shop"]]
    for _run in range(2):
        ensure(provider, **given)
    assert len(provider.writes) == 1


def test_a_default_frequency_that_is_no_cron_expression_names_its_option(ensure):
    with pytest.raises(BackupError, match="^default_frequency: "):
        ensure(FakeProvider(), default_frequency="daily")
