# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cron expressions: which are accepted, when they run, how far apart."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _schedule
from ansible_collections.restorable.backups.plugins.module_utils._errors import MissingLibraryError, OptionError
from ansible_collections.restorable.backups.plugins.module_utils._schedule import Schedule
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import DAY, HOUR, at

# -- what is a cron expression -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "0 3 * * *",
        "*/15 * * * *",
        "0 */1 * * *",
        "0,30 1-5 * * 1-5",
        "5 4 * * sun",
        "0 0 1 JAN,jul *",
        "0 0 * * MON-FRI",
        "0 0 * * 7",
        "0 0 29 2 *",
        "10-50/20 * * * *",
    ],
)
def test_plain_expressions_are_accepted(expression):
    assert Schedule(expression).expression == expression


@pytest.mark.parametrize("expression", ["0  3 *  * *", "  0 3 * * * ", "0\t3 * * *\n"])
def test_blanks_do_not_make_another_schedule(expression):
    assert Schedule(expression).expression == "0 3 * * *"


@pytest.mark.parametrize(
    "expression, count",
    [("", 0), ("   ", 0), ("@daily", 1), ("0 3 * *", 4), ("0 0 3 * * *", 6), ("0 3 * * * 2026 x", 7), (None, 1)],
)
def test_the_number_of_fields_is_named(expression, count):
    with pytest.raises(OptionError, match=r"frequency: .* has %d fields" % count):
        Schedule(expression)


@pytest.mark.parametrize(
    "expression, field",
    [
        ("60 3 * * *", "minute"),
        ("-1 3 * * *", "minute"),
        ("x 3 * * *", "minute"),
        ("*/0 3 * * *", "minute"),
        ("5,,6 3 * * *", "minute"),
        ("JAN 3 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 5-3 * * *", "hour"),
        ("0 3/ * * *", "hour"),
        ("0 3 0 * *", "day-of-month"),
        ("0 3 32 * *", "day-of-month"),
        ("0 3 * 13 *", "month"),
        ("0 3 * MON *", "month"),
        ("0 3 * * 8", "day-of-week"),
        ("0 3 * * FOO", "day-of-week"),
        ("0 3 * * 1.5", "day-of-week"),
        ("² 3 * * *", "minute"),
        ("0 ٣ * * *", "hour"),
    ],
)
def test_the_bad_field_is_named(expression, field):
    with pytest.raises(OptionError) as caught:
        Schedule(expression)
    assert "bad %s" % field in caught.value.message
    assert caught.value.message.startswith("frequency: ")
    assert caught.value.details == {"option": "frequency"}


@pytest.mark.parametrize(
    "expression",
    ["0 3 L * *", "0 3 LW * *", "0 3 15W * *", "0 3 * * 5L", "0 3 * * 1#2", "0 3 ? * 1", "H 3 * * *", "0 3 1 * FRI#1"],
)
def test_extensions_that_the_services_would_read_otherwise_are_refused(expression):
    with pytest.raises(OptionError, match="not a plain cron expression"):
        Schedule(expression)


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4 *", "0 0 31 2,4,6 *"])
def test_days_that_never_come_are_refused(expression):
    with pytest.raises(OptionError):
        Schedule(expression)


def test_the_option_that_is_named_can_be_another():
    with pytest.raises(OptionError, match="^schedule: "):
        Schedule("x", option="schedule")


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(_schedule, "CronSim", None)
    with pytest.raises(MissingLibraryError, match="cronsim"):
        Schedule("0 3 * * *")


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment, run",
    [
        ("2026-03-18 02:59", "2026-03-18 03:00"),
        ("2026-03-18 02:59:59", "2026-03-18 03:00"),
        ("2026-03-18 03:00", "2026-03-19 03:00"),
        ("2026-03-18 03:00:01", "2026-03-19 03:00"),
        ("2026-03-18 03:00:59.999999", "2026-03-19 03:00"),
        ("2026-12-31 12:00", "2027-01-01 03:00"),
    ],
)
def test_the_next_run_is_after_the_moment(moment, run):
    assert Schedule("0 3 * * *").next_run(at(moment)) == at(run)


@pytest.mark.parametrize(
    "moment, run",
    [
        ("2026-03-18 03:00", "2026-03-18 03:00"),
        ("2026-03-18 03:00:00.000001", "2026-03-18 03:00"),
        ("2026-03-18 03:00:30", "2026-03-18 03:00"),
        ("2026-03-18 02:59", "2026-03-17 03:00"),
        ("2026-03-18 02:59:01", "2026-03-17 03:00"),
        ("2026-03-18 02:59:59.999999", "2026-03-17 03:00"),
        ("2026-01-01 00:00", "2025-12-31 03:00"),
    ],
)
def test_the_last_run_is_at_or_before_the_moment_and_never_the_one_to_come(moment, run):
    assert Schedule("0 3 * * *").last_run(at(moment)) == at(run)


@pytest.mark.parametrize("seconds", range(0, 180, 7))
def test_last_and_next_run_enclose_every_second(seconds):
    schedule = Schedule("* * * * *")
    moment = at("2026-03-18 03:00") + timedelta(seconds=seconds, microseconds=seconds)
    assert schedule.last_run(moment) <= moment < schedule.next_run(moment)
    assert schedule.next_run(moment) - schedule.last_run(moment) == timedelta(minutes=1)


def test_times_are_utc_so_summer_time_moves_nothing():
    berlin_in_summer = timezone(timedelta(hours=2))
    moment = at("2026-03-29 02:30").astimezone(berlin_in_summer)
    assert Schedule("0 3 * * *").next_run(moment) == at("2026-03-29 03:00")
    assert Schedule("30 2 * * *").last_run(moment) == at("2026-03-29 02:30")
    # The night of the change has all its hours.
    assert len(Schedule("0 * * * *").runs(at("2026-03-28 12:00"), at("2026-03-29 12:00"))) == 24


def test_runs_leave_out_their_start_and_hold_their_end():
    runs = Schedule("0 * * * *").runs(at("2026-03-18 01:00"), at("2026-03-18 04:00"))
    assert runs == [at("2026-03-18 02:00"), at("2026-03-18 03:00"), at("2026-03-18 04:00")]


@pytest.mark.parametrize(
    "start, end, count",
    [
        ("2026-03-18 01:00:01", "2026-03-18 03:59:59", 2),
        ("2026-03-18 00:59:59", "2026-03-18 03:00:00.500000", 3),
        ("2026-03-18 01:59:30", "2026-03-18 01:59:50", 0),
        ("2026-03-18 03:00", "2026-03-18 03:00", 0),
        ("2026-03-18 03:00", "2026-03-18 01:00", 0),
    ],
)
def test_runs_between_odd_seconds(start, end, count):
    runs = Schedule("0 * * * *").runs(at(start), at(end))
    assert len(runs) == count
    assert all(at(start) < run <= at(end) for run in runs)


def test_too_many_runs_leave_the_newest():
    runs = Schedule("* * * * *").runs(at("2026-01-01 00:00"), at("2026-03-18 00:00"), limit=10)
    assert len(runs) == 10
    assert runs[-1] == at("2026-03-18 00:00")


# -- gaps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression, shortest, longest",
    [
        ("* * * * *", 60, 60),
        ("*/15 * * * *", 900, 900),
        ("*/7 * * * *", 240, 420),
        ("0 */1 * * *", HOUR, HOUR),
        ("30 * * * *", HOUR, HOUR),
        ("0 3 * * *", DAY, DAY),
        ("0 1,5 * * *", 4 * HOUR, 20 * HOUR),
        ("0 9-17 * * *", HOUR, 16 * HOUR),
        ("0 9-17 * * 1-5", HOUR, 64 * HOUR),
        ("0 3 * * 1-5", DAY, 3 * DAY),
        ("0 3 * * 6,0", DAY, 6 * DAY),
        ("0 3 * * SUN", 7 * DAY, 7 * DAY),
        ("0 3 * * 0,7", 7 * DAY, 7 * DAY),
        ("0 3 1 * *", 28 * DAY, 31 * DAY),
        ("0 3 1,15 * *", 14 * DAY, 17 * DAY),
        ("0 3 31 * *", 31 * DAY, 61 * DAY),
        ("0 3 30 * *", 30 * DAY, 60 * DAY),
        ("0 3 29 2 *", 1461 * DAY, 1461 * DAY),
        ("0 3 1 1 *", 365 * DAY, 366 * DAY),
        ("0 3 1 1,7 *", 181 * DAY, 184 * DAY),
        ("0 3 * 12 *", DAY, 336 * DAY),
        ("0 0,12 1 * *", 12 * HOUR, 30 * DAY + 12 * HOUR),
        # Day of month and day of week: either will do.
        ("0 3 1 * 1", DAY, 7 * DAY),
    ],
)
def test_the_shortest_and_the_longest_gap(expression, shortest, longest):
    schedule = Schedule(expression)
    assert (schedule.shortest_gap, schedule.longest_gap) == (shortest, longest)


@pytest.mark.parametrize("expression", ["*/13 */5 * * *", "17 2,14 1-7 * *", "0 6 */3 * *", "0 22 * 3,9 2"])
def test_gaps_are_those_of_the_runs_one_by_one(expression):
    schedule = Schedule(expression)
    runs = schedule.runs(at("2024-01-01 00:00"), at("2027-01-01 00:00"), limit=10**6)
    steps = [int((later - earlier).total_seconds()) for earlier, later in zip(runs, runs[1:])]
    assert schedule.shortest_gap == min(steps)
    assert schedule.longest_gap == max(steps)


@pytest.mark.parametrize(
    "expression, grace",
    [
        ("* * * * *", 900),
        ("0 * * * *", 900),
        ("0 */2 * * *", 1800),
        ("0 */12 * * *", 3 * HOUR),
        ("0 3 * * *", 6 * HOUR),
        ("0 3 * * 0", 6 * HOUR),
        ("0 3 1 * *", 6 * HOUR),
    ],
)
def test_grace_is_a_quarter_of_the_gap_from_15_minutes_to_6_hours(expression, grace):
    assert Schedule(expression).default_grace == grace


def test_gaps_of_a_leap_day_or_a_weekday():
    # Mondays of February, and its 29th: nearly a year between two Februaries.
    schedule = Schedule("0 3 29 2 1")
    assert schedule.shortest_gap == DAY
    assert 337 * DAY <= schedule.longest_gap <= 344 * DAY
