# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the policy says of backups: every code fires when it should, and only then."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._policy import CODES, Policy, judge
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

NIGHTLY = Schedule("0 3 * * *")
HOURLY = Schedule("0 * * * *")


def verdict(backups, now=NOW, **policy):
    return judge(backups, Policy(**policy), now)


def codes(backups, now=NOW, **policy):
    return [violation.code for violation in verdict(backups, now, **policy)]


def only(backups, now=NOW, **policy):
    (violation,) = verdict(backups, now, **policy)
    assert violation.code in CODES
    return violation


# -- nothing at all ----------------------------------------------------------------------------------------------------


def test_no_backups_is_said_once_and_nothing_else():
    violation = only([], max_age=HOUR, min_count=3, engines=("mysql",), schedule=NIGHTLY, require_verified=True)
    assert violation.to_result() == {
        "code": "no_backups",
        "series": None,
        "message": "There is no backup at all",
        "observed": 0,
        "expected": 3,
    }


def test_no_backups_breaks_even_an_empty_policy():
    assert codes([]) == ["no_backups"]


def test_one_good_backup_holds_an_empty_policy():
    assert codes([backup(900 * DAY)]) == []


# -- age ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age, found", [(0, []), (HOUR - 1, []), (HOUR, []), (HOUR + 1, ["stale"]), (-HOUR, [])])
def test_the_age_may_be_the_limit_but_no_more(age, found):
    assert codes([backup(age)], max_age=HOUR) == found


def test_stale_says_both_ages_in_seconds_and_in_words():
    violation = only([backup(34 * HOUR)], max_age=26 * HOUR)
    assert (violation.observed, violation.expected, violation.series) == (34 * HOUR, 26 * HOUR, "s/one")
    assert violation.message == "The newest good backup is 1d 10h old, 1d 2h are allowed"


def test_age_is_that_of_the_newest_good_one_and_not_of_a_newer_failure():
    backups = [backup(60, status="failed"), backup(30 * HOUR)]
    assert codes(backups, max_age=26 * HOUR) == ["stale", "last_failed"]
    assert codes(backups, max_age=31 * HOUR, allow_failed=True) == []


@pytest.mark.parametrize("status", ["running", "unknown"])
def test_what_is_not_known_to_be_good_is_not_fresh(status):
    assert codes([backup(60, status=status), backup(30 * HOUR)], max_age=26 * HOUR) == ["stale"]


def test_the_order_of_the_answer_does_not_matter():
    backups = every(DAY, 30, first_age=HOUR)
    for seed in range(5):
        random.Random(seed).shuffle(backups)
        assert codes(backups, max_age=2 * HOUR) == []


def test_a_backup_without_a_date_is_not_fresh():
    violation = only([backup(None, id="7")], max_age=HOUR)
    assert violation.code == "stale"
    assert violation.observed is None
    assert "7 has no date" in violation.message


def test_a_backup_without_a_date_does_not_hide_a_dated_one():
    assert codes([backup(None), backup(60)], max_age=HOUR) == []


@pytest.mark.parametrize("policy", [{}, {"min_size": 1}, {"require_verified": True}, {"max_size_drop": 5.0}])
@pytest.mark.parametrize("status", ["unknown", "running"])
def test_a_series_without_any_good_backup_holds_no_policy(policy, status):
    assert codes([backup(60, status=status), backup(120, status=status)], **policy) == ["stale"]


def test_a_schedule_gives_the_age_where_none_is_asked():
    # a day and a quarter of it
    assert "stale" not in codes([backup(30 * HOUR)], schedule=NIGHTLY)
    assert "stale" in codes([backup(30 * HOUR + 1)], schedule=NIGHTLY)
    assert Policy(schedule=NIGHTLY).age_limit == 30 * HOUR
    assert Policy(schedule=NIGHTLY, grace=60).age_limit == DAY + 60
    assert Policy(schedule=NIGHTLY, max_age=5).age_limit == 5
    assert Policy(schedule=Schedule("0 3 * * 1-5")).age_limit == 78 * HOUR
    assert Policy().age_limit is None


def test_grace_alone_asks_for_nothing():
    assert codes([backup(900 * DAY)], grace=60) == []


def test_every_series_is_judged_for_itself():
    backups = every(DAY, 3, series="s/old", first_age=10 * DAY) + every(DAY, 3, series="s/young")
    violation = only(backups, max_age=DAY)
    assert (violation.code, violation.series) == ("stale", "s/old")


# -- failures ----------------------------------------------------------------------------------------------------------


def test_the_last_one_failed():
    violation = only([backup(60, id="9", status="failed", message="disk full"), backup(120)])
    assert violation.code == "last_failed"
    assert violation.message == "The newest backup 9 failed: disk full"
    assert (violation.observed, violation.expected) == ("failed", "ok")


def test_several_failures_in_a_row():
    violation = only(
        [backup(60, id="9", status="failed"), backup(120, status="failed"), backup(180), backup(240, status="failed")]
    )
    assert (violation.code, violation.observed, violation.expected) == ("failing", 2, 0)
    assert violation.message == "The newest 2 backups failed, the last one 9"


def test_a_failure_before_a_good_one_is_over():
    assert codes([backup(60), backup(120, status="failed"), backup(180, status="failed")]) == []


def test_running_and_unknown_ones_neither_end_a_row_nor_lengthen_it():
    backups = [backup(60, status="running"), backup(90, status="failed"), backup(120, status="unknown"), backup(180)]
    assert codes(backups) == ["last_failed"]


def test_allowed_failures_are_those_after_a_good_backup():
    backups = [backup(60, status="failed"), backup(120, status="failed")]
    assert codes(backups + [backup(180)], allow_failed=True) == []
    assert codes(backups, allow_failed=True) == ["failing"]


def test_a_series_that_only_ever_failed_is_stale_too_where_an_age_is_asked():
    assert codes([backup(60, status="failed")], max_age=DAY) == ["stale", "last_failed"]


# -- the schedule ------------------------------------------------------------------------------------------------------

NIGHTS = ["2026-03-18 03:10", "2026-03-17 03:11", "2026-03-16 03:10", "2026-03-15 03:12"]


def test_a_kept_schedule():
    assert codes(dated(*NIGHTS), schedule=NIGHTLY) == []


def test_a_run_without_a_backup_is_a_gap_though_the_newest_is_fresh():
    violation = only(dated(NIGHTS[0], NIGHTS[1], NIGHTS[3]), schedule=NIGHTLY)
    assert violation.code == "schedule_gap"
    assert violation.observed == ["2026-03-16T03:00:00Z"]
    assert violation.expected == "0 3 * * *"
    assert violation.message == "1 run of '0 3 * * *' left no backup, the latest that of 2026-03-16T03:00:00Z"


def test_a_failed_backup_is_no_gap():
    backups = dated(NIGHTS[0], NIGHTS[1], NIGHTS[3]) + dated(NIGHTS[2], status="failed")
    assert codes(backups, schedule=NIGHTLY) == []


def test_runs_before_the_oldest_backup_are_not_owed():
    assert codes(dated(NIGHTS[0]), schedule=NIGHTLY) == []


@pytest.mark.parametrize(
    "now, found",
    [
        ("2026-03-18 02:59", []),
        ("2026-03-18 03:00", []),
        ("2026-03-18 03:29", []),
        ("2026-03-18 03:30", ["schedule_gap"]),
        ("2026-03-18 08:00", ["schedule_gap"]),
    ],
)
def test_a_run_is_owed_only_after_its_grace(now, found):
    assert codes(dated(*NIGHTS[1:]), at(now), schedule=NIGHTLY, grace=1800, max_age=9 * DAY) == found


def test_a_slow_dump_of_the_night_is_not_the_one_before():
    # The run of the 16th was made as late as the 17th, 02:50: late, but made.
    assert codes(dated(NIGHTS[0], NIGHTS[1], "2026-03-17 02:50", NIGHTS[3]), schedule=NIGHTLY) == []


def test_exactly_at_the_run_is_made():
    backups = dated("2026-03-18 03:00", "2026-03-17 03:00", "2026-03-16 03:00")
    assert codes(backups, schedule=NIGHTLY) == []


def test_two_backups_after_one_run_do_not_make_good_for_another():
    backups = dated(NIGHTS[0], "2026-03-17 03:10", "2026-03-17 09:00", NIGHTS[3])
    assert codes(backups, schedule=NIGHTLY) == ["schedule_gap"]


def test_only_the_ten_latest_gaps_are_listed_but_all_are_counted():
    backups = dated("2026-03-18 11:00", "2026-03-17 11:00")
    violation = only(backups, schedule=HOURLY)
    assert violation.code == "schedule_gap"
    assert len(violation.observed) == 10
    assert violation.message.startswith("23 runs")


def test_weekends_are_no_gap_of_a_weekday_schedule():
    weekdays = Schedule("0 3 * * 1-5")
    friday = dated("2026-03-13 03:10", "2026-03-12 03:10")
    assert codes(friday, at("2026-03-15 23:00"), schedule=weekdays) == []
    assert codes(friday, at("2026-03-16 03:30"), schedule=weekdays, grace=900, max_age=9 * DAY) == ["schedule_gap"]


@pytest.mark.parametrize("late, found", [(0, False), (1, True)])
def test_stalled_after_two_gaps_and_the_grace(late, found):
    backups = [backup(2 * DAY + 6 * HOUR + late)]
    assert ("stalled" in codes(backups, schedule=NIGHTLY)) is found


def test_a_series_of_fresh_failures_is_not_stalled():
    found = codes([backup(HOUR, status="failed"), backup(9 * DAY)], schedule=NIGHTLY, grace=0)
    assert "stalled" not in found
    assert "stale" in found


def test_without_dates_nothing_is_said_of_the_schedule():
    assert codes([backup(None)], schedule=NIGHTLY) == ["stale"]


def test_an_old_series_of_a_schedule_of_minutes_is_judged_in_bounded_time():
    backups = [backup(60), backup(900 * DAY)]
    assert "schedule_gap" in codes(backups, schedule=Schedule("* * * * *"))


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size, found", [(999, ["too_small"]), (1000, []), (1001, [])])
def test_the_least_size(size, found):
    assert codes([backup(size_bytes=size)], min_size=1000) == found


def test_too_small_says_the_bytes():
    violation = only([backup(id="5", size_bytes=10)], min_size=2048)
    assert (violation.observed, violation.expected) == (10, 2048)
    assert violation.message == "Backup 5 has 10 B, at least 2.0 KiB are asked"


@pytest.mark.parametrize("policy", [{"min_size": 1}, {"max_size_drop": 50.0}, {"min_size": 0}, {"max_size_drop": 0.0}])
def test_a_size_nobody_knows_is_said_and_neither_passes_nor_fails_as_a_size(policy):
    assert codes(every(HOUR, 3, size_bytes=None), **policy) == ["size_unknown"]


def test_a_size_nobody_knows_is_no_matter_where_no_size_is_asked():
    assert codes(every(HOUR, 3, size_bytes=None), max_age=DAY) == []


def test_an_old_unknown_size_does_not_matter_to_the_least_size():
    assert codes([backup(60, size_bytes=5), backup(120, size_bytes=None)], min_size=5) == []


@pytest.mark.parametrize("size, found", [(79, ["size_drop"]), (80, []), (100, []), (5000, [])])
def test_a_drop_against_the_median_of_those_before(size, found):
    backups = [backup(60, size_bytes=size)] + [backup(60 * n, size_bytes=s) for n, s in ((2, 100), (3, 1), (4, 900))]
    assert codes(backups, max_size_drop=20.0) == found


def test_a_drop_says_percent_and_bytes():
    violation = only([backup(60, id="5", size_bytes=512)] + every(HOUR, 3, size_bytes=2048), max_size_drop=50.0)
    assert violation.message == "Backup 5 has 512 B where 2.0 KiB are usual, a drop of 75 percent"
    assert (violation.observed, violation.expected) == (512, 1024)


def test_the_first_backup_cannot_have_dropped():
    assert codes([backup(size_bytes=1)], max_size_drop=1.0) == []


def test_a_drop_against_unknown_sizes_is_not_known():
    violation = only([backup(60, size_bytes=5)] + every(HOUR, 3, size_bytes=None), max_size_drop=10.0)
    assert violation.code == "size_unknown"
    assert "earlier" in violation.message


def test_some_known_sizes_are_enough_for_a_median():
    backups = [backup(60, size_bytes=5), backup(120, size_bytes=None), backup(180, size_bytes=100)]
    assert codes(backups, max_size_drop=10.0) == ["size_drop"]


def test_failed_backups_have_no_size_that_counts():
    backups = [
        backup(30, size_bytes=1, status="failed"),
        backup(60, size_bytes=100),
        backup(90, size_bytes=1, status="failed"),
    ]
    assert codes(backups + [backup(120, size_bytes=100)], max_size_drop=10.0, min_size=50, allow_failed=True) == []


def test_too_small_and_dropped_are_two_findings():
    backups = [backup(60, size_bytes=1)] + every(HOUR, 2, size_bytes=100)
    assert codes(backups, min_size=50, max_size_drop=10.0) == ["too_small", "size_drop"]


# -- counts, engines, databases ----------------------------------------------------------------------------------------


def test_good_ones_are_counted_in_each_series():
    backups = (
        every(HOUR, 3, series="s/a") + every(HOUR, 2, series="s/b") + [backup(9 * DAY, series="s/b", status="failed")]
    )
    assert codes(backups, min_count=2) == []
    violation = only(backups, min_count=3)
    assert (violation.code, violation.series, violation.observed, violation.expected) == ("too_few", "s/b", 2, 3)


@pytest.mark.parametrize(
    "policy, code, observed",
    [
        ({"engines": ("postgresql", "redis")}, "missing_engine", ["postgresql"]),
        ({"databases": ("orders", "users")}, "missing_database", ["orders"]),
    ],
)
def test_what_is_missing_is_named_beside_what_is_there(policy, code, observed):
    violation = only([backup(), backup(engine=None, database=None, series="s/x")], **policy)
    assert (violation.code, violation.observed, violation.series) == (code, observed, None)
    assert violation.expected in ("redis", "users")


def test_a_failed_backup_of_an_engine_is_none():
    assert codes([backup(), backup(engine="redis", series="s/r", status="failed")], engines=("redis",)) == [
        "missing_engine",
        "last_failed",
    ]


def test_all_that_is_wanted_is_there():
    backups = [backup(), backup(engine="redis", database=None, series="s/r")]
    assert codes(backups, engines=("postgresql", "redis"), databases=("orders",)) == []


# -- verification ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status, found",
    [
        ("verified", []),
        ("never", ["not_verified"]),
        ("running", ["not_verified"]),
        ("unknown", ["not_verified"]),
        (None, ["not_verified"]),
        ("failed", ["verify_failed"]),
        ("error", ["verify_failed"]),
    ],
)
def test_verification_of_the_newest_good_one(status, found):
    backups = [backup(30, status="failed", verify_status="verified"), backup(60, verify_status=status)]
    backups.append(backup(120, verify_status="verified"))
    assert codes(backups, require_verified=True, allow_failed=True) == found
    assert codes(backups, allow_failed=True) == []


# -- collisions --------------------------------------------------------------------------------------------------------


def test_two_backups_in_one_file():
    violation = only(
        [backup(60, id="8", location="p/x"), backup(120, id="7", location="p/x"), backup(180, location="p/y")]
    )
    assert violation.to_result() == {
        "code": "collision",
        "series": None,
        "message": "Backups 8 and 7 share one file, so at most one of them is what it says (2 backups of this source share "
        "theirs)",
        "observed": 2,
        "expected": 0,
    }


def test_a_file_may_be_shared_with_another_source():
    violation = only([backup(60), backup(120, id="7", shares_file_with=("a1 (crm)", "b2 (mail)"))])
    assert (violation.code, violation.observed) == ("collision", 1)
    assert (
        violation.message == "Backups 7 and a1 (crm), b2 (mail) share one file, so at most one of them is what it says"
    )


def test_collisions_are_one_violation_with_the_newest_as_its_example():
    nights = [backup(n * DAY, id=str(n), shares_file_with=("x%d (crm)" % n,), location="p/%d" % n) for n in (3, 1, 2)]
    violation = only(nights)
    assert violation.observed == 3
    assert violation.message.startswith("Backups 1 and x1 (crm) share one file")


def test_an_imported_backup_and_its_original_do_not_collide():
    assert codes([backup(60, location="p/x"), backup(120, location="p/x", source="")]) == []


def test_unknown_places_do_not_collide():
    assert codes([backup(60, location=None), backup(120, location=None), backup(180, location="")]) == []


# -- all together ------------------------------------------------------------------------------------------------------


def test_whole_source_first_then_series_by_series_in_a_stable_order():
    backups = every(DAY, 2, series="s/b", first_age=9 * DAY) + every(DAY, 2, series="s/a", first_age=9 * DAY)
    found = [(v.code, v.series) for v in verdict(backups, max_age=DAY, min_count=9, engines=("redis",))]
    assert found == [
        ("missing_engine", None),
        ("stale", "s/a"),
        ("too_few", "s/a"),
        ("stale", "s/b"),
        ("too_few", "s/b"),
    ]
    assert found == [(v.code, v.series) for v in verdict(backups[::-1], max_age=DAY, min_count=9, engines=("redis",))]


def test_judging_changes_nothing():
    backups = every(DAY, 5)
    before = [one.to_result(NOW) for one in backups]
    verdict(backups, max_age=1, schedule=NIGHTLY, min_size=10**6, max_size_drop=1.0)
    assert [one.to_result(NOW) for one in backups] == before


def test_a_good_source_holds_everything_at_once():
    start = at("2026-03-18 03:10")
    backups = [
        backup(created_at=start - timedelta(days=n), verify_status="verified", location="p/%d" % n) for n in range(14)
    ]
    assert (
        codes(
            backups,
            schedule=NIGHTLY,
            min_size=1000,
            max_size_drop=0.0,
            min_count=14,
            engines=("postgresql",),
            databases=("orders",),
            require_verified=True,
        )
        == []
    )
