# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What backups that exist say of their task: does it live, is it the one that is wanted?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import TaskRequest, group_series
from ansible_collections.restorable.backups.plugins.module_utils._evidence import (
    drifts,
    is_live,
    request_drifts,
    series_of_engine,
)
from ansible_collections.restorable.backups.plugins.module_utils._schedule import Schedule
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import (
    DAY,
    HOUR,
    NOW,
    at,
    backup,
    dated,
    every,
)


def one_series(backups):
    (series,) = group_series(backups)
    return series


def live(backups, now=NOW, cron=None):
    return is_live(one_series(backups), now, Schedule(cron) if cron else None)


def drift(backups, **request):
    return {one.field: one for one in drifts(one_series(backups), TaskRequest(**request))}


# -- alive -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late, alive", [(0, True), (1, False)])
def test_alive_until_two_gaps_of_the_cron_and_its_grace(late, alive):
    assert live([backup(2 * HOUR + 900 + late)], cron="0 * * * *") is alive
    assert live([backup(2 * DAY + 6 * HOUR + late)], cron="0 3 * * *") is alive


@pytest.mark.parametrize("late, alive", [(0, True), (1, False)])
def test_without_a_cron_its_own_cadence_decides(late, alive):
    assert live(every(HOUR, 5, first_age=2 * HOUR + 900 + late)) is alive
    assert live(every(7 * DAY, 3, first_age=14 * DAY + 900 + late)) is alive


@pytest.mark.parametrize("late, alive", [(0, True), (1, False)])
def test_a_single_backup_of_no_known_cadence_is_taken_for_a_daily_one(late, alive):
    assert live([backup(2 * DAY + 900 + late)]) is alive


def test_a_daily_task_is_alive_though_an_hourly_one_is_wanted():
    assert live(every(DAY, 5, first_age=20 * HOUR), cron="0 * * * *")


def test_an_hourly_task_is_given_the_time_of_the_daily_one_that_is_wanted():
    assert live(every(HOUR, 5, first_age=30 * HOUR), cron="0 3 * * *")


def test_a_failed_backup_is_a_sign_of_life():
    assert live([backup(HOUR, status="failed"), backup(9 * DAY)], cron="0 * * * *")


def test_without_any_date_nothing_says_that_it_stopped():
    assert live([backup(None)], cron="0 * * * *")


def test_a_task_that_rests_at_weekends_is_alive_on_sunday():
    nights = ["2026-03-%02d 03:00" % day for day in (6, 9, 10, 11, 12, 13)]
    assert live(dated(*nights), at("2026-03-15 23:00"))
    assert live(dated(*nights), at("2026-03-13 03:00") + timedelta(days=6))
    assert not live(dated(*nights), at("2026-03-13 03:00") + timedelta(days=6, seconds=901))


def test_an_old_pause_does_not_count_for_ever():
    backups = every(HOUR, 12, first_age=5 * HOUR) + [backup(90 * DAY)]
    assert not live(backups)


def test_backups_from_the_future_are_alive():
    assert live([backup(-DAY)], cron="0 * * * *")


# -- whose series ------------------------------------------------------------------------------------------------------


def test_series_of_one_engine_or_of_all():
    backups = [backup(series="s/p"), backup(series="s/r", engine="redis"), backup(series="s/x", engine=None)]
    assert [one.key for one in series_of_engine(backups, "redis")] == ["s/r"]
    assert [one.key for one in series_of_engine(backups, None)] == ["s/p", "s/r", "s/x"]
    assert series_of_engine(backups, "mysql") == []


# -- drift of the cadence ----------------------------------------------------------------------------------------------


def test_a_task_as_wanted_has_no_drift():
    nights = dated(
        "2026-03-18 03:02", "2026-03-17 03:02", "2026-03-16 03:01", excluded_tables=frozenset(), logical=True
    )
    assert drift(nights, frequency="0 3 * * *", keep_count=3, excluded_tables=frozenset(), logical_backup=True) == {}


def test_what_was_not_said_is_not_compared():
    assert drift(every(HOUR, 50, excluded_tables=frozenset("x"), logical=False)) == {}


@pytest.mark.parametrize("count, found", [(1, False), (2, False), (3, True)])
def test_three_backups_make_a_habit(count, found):
    assert bool(drift(every(HOUR, count), frequency="0 3 * * *")) is found


def test_too_often():
    found = drift(every(HOUR, 10), frequency="0 3 * * *")["frequency"]
    assert (found.wanted, found.observed) == ("0 3 * * *", "every 1h")
    assert found.message == "backups come every 1h, which '0 3 * * *' does not say"
    assert found.to_result()["field"] == "frequency"


def test_too_seldom():
    assert drift(every(DAY, 5), frequency="0 * * * *")["frequency"].observed == "every 1d"


@pytest.mark.parametrize("minutes, found", [(0, False), (5, False), (30, False), (31, True), (45, True)])
def test_an_hourly_dump_may_be_late_by_half_a_gap(minutes, found):
    times = [at("2026-03-18 %02d:00" % hour) + timedelta(minutes=minutes) for hour in (6, 7, 8, 9)]
    backups = [backup(created_at=moment) for moment in times]
    assert ("frequency" in drift(backups, frequency="0 * * * *")) is found


@pytest.mark.parametrize("minutes, found", [(0, False), (45, False), (120, False), (121, True), (600, True)])
def test_a_nightly_dump_may_be_late_by_two_hours(minutes, found):
    backups = [
        backup(created_at=at("2026-03-%02d 03:00" % day) + timedelta(minutes=minutes)) for day in (14, 15, 16, 17)
    ]
    assert ("frequency" in drift(backups, frequency="0 3 * * *")) is found


def test_one_slow_night_is_no_habit():
    backups = dated("2026-03-18 03:02", "2026-03-17 09:30", "2026-03-16 03:01", "2026-03-15 03:03")
    assert drift(backups, frequency="0 3 * * *") == {}


def test_one_missed_night_is_no_habit():
    backups = dated("2026-03-18 03:02", "2026-03-16 03:01", "2026-03-15 03:03", "2026-03-14 03:03")
    assert drift(backups, frequency="0 3 * * *") == {}


def test_other_times_of_the_day():
    found = drift(dated("2026-03-18 11:00", "2026-03-17 11:00", "2026-03-16 11:00"), frequency="0 3 * * *")["frequency"]
    assert found.message == "backups come 8h after the times of '0 3 * * *', the last at 2026-03-18T11:00:00Z"


def test_only_recent_habits_count():
    nights = [backup(created_at=at("2026-03-18 03:01") - timedelta(days=n)) for n in range(10)]
    former = [backup(created_at=at("2026-03-01 00:00") - timedelta(hours=n)) for n in range(50)]
    assert drift(nights + former, frequency="0 3 * * *") == {}


def test_weekends_are_no_drift_of_a_weekday_schedule():
    days = (18, 17, 16, 13, 12, 11, 10, 9)
    assert drift(dated(*["2026-03-%02d 03:01" % day for day in days]), frequency="0 3 * * 1-5") == {}


# -- drift of the rest -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count, found", [(3, False), (4, False), (5, True)])
def test_one_more_than_kept_may_be_listed_for_a_moment(count, found):
    assert ("keep_count" in drift(every(HOUR, count), keep_count=3)) is found


def test_fewer_than_kept_is_no_drift_and_failed_ones_do_not_count():
    assert drift(every(HOUR, 2), keep_count=50) == {}
    assert drift(every(HOUR, 2) + every(DAY, 9, status="failed"), keep_count=2) == {}


def test_excluded_tables_are_those_of_the_newest():
    backups = [backup(60, excluded_tables=frozenset("ab")), backup(120, excluded_tables=frozenset("x"))]
    assert drift(backups, excluded_tables=frozenset("ba")) == {}
    found = drift(backups, excluded_tables=frozenset())["excluded_tables"]
    assert (found.wanted, found.observed) == ([], ["a", "b"])
    assert found.message == "the newest backup leaves out a, b, not nothing"


@pytest.mark.parametrize(
    "wanted, logical, found", [(True, True, 0), (True, False, 1), (False, True, 1), (True, None, 0), (None, False, 0)]
)
def test_text_or_binary(wanted, logical, found):
    assert len(drift([backup(logical=logical)], logical_backup=wanted)) == found


def test_what_the_service_does_not_say_is_no_drift():
    assert (
        drift([backup(excluded_tables=None, logical=None)], excluded_tables=frozenset("a"), logical_backup=True) == {}
    )


@pytest.mark.parametrize("engine", ["redis", "mongodb"])
def test_engines_without_text_dumps_cannot_differ_in_them(engine):
    backups = [backup(engine=engine, excluded_tables=frozenset(), logical=False)]
    assert drift(backups, excluded_tables=frozenset("a"), logical_backup=True) == {}


# -- what a marker remembers -------------------------------------------------------------------------------------------


def test_a_marker_knows_what_no_backup_shows():
    wanted = TaskRequest(frequency="0 3 * * *", keep_count=5, gzip=True, run_on_replica=True)
    asked = TaskRequest(frequency="0 4 * * *", keep_count=5, gzip=False, run_on_replica=False).to_result()
    found = {one.field: (one.wanted, one.observed) for one in request_drifts(wanted, asked)}
    assert found == {"frequency": ("0 3 * * *", "0 4 * * *"), "gzip": (True, False), "run_on_replica": (True, False)}


def test_what_one_of_both_did_not_say_is_no_drift():
    assert request_drifts(TaskRequest(gzip=True), TaskRequest(keep_count=5).to_result()) == []


def test_engines_are_not_compared_here():
    assert request_drifts(TaskRequest(engines=("mysql",)), TaskRequest().to_result()) == []
