# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model: order, series and their summaries."""

from __future__ import annotations

import random

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import (
    BackupFile,
    TaskRequest,
    engine_name,
    group_series,
    newest_first,
)
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import DAY, HOUR, NOW, backup, every


@pytest.mark.parametrize(
    "name, engine",
    [
        ("postgres", "postgresql"),
        ("PG", "postgresql"),
        (" pgsql ", "postgresql"),
        ("mongo", "mongodb"),
        ("MySQL", "mysql"),
        ("redis", "redis"),
        ("Cassandra", "cassandra"),
        (5, "5"),
    ],
)
def test_engines_have_one_spelling(name, engine):
    assert engine_name(name) == engine


def ids(backups):
    return [one.id for one in backups]


def test_newest_first_whatever_the_order_of_the_service():
    backups = every(HOUR, 20)
    shuffled = list(backups)
    random.Random(1).shuffle(shuffled)
    assert newest_first(shuffled) == backups


def test_equal_times_are_told_apart_by_their_number_and_not_by_their_text():
    backups = [backup(HOUR, id=text) for text in ("9", "10", "100", "x")]
    assert ids(newest_first(backups)) == ids(newest_first(backups[::-1])) == ["100", "10", "9", "x"]


def test_backups_without_a_date_come_last():
    assert ids(newest_first([backup(None, id="1"), backup(9 * DAY, id="2"), backup(None, id="3")])) == ["2", "3", "1"]


@pytest.mark.parametrize("odd", ["²", "", "-1", "1.5", "٣"])
def test_odd_ids_sort_and_do_not_fail(odd):
    assert odd in ids(newest_first([backup(HOUR, id=odd), backup(HOUR, id="7")]))


def test_age_is_none_without_a_date_and_negative_in_the_future():
    assert backup(None).age(NOW) is None
    assert backup(90).age(NOW) == 90
    assert backup(-90).age(NOW) == -90


@pytest.mark.parametrize("status, good", [("ok", True), ("failed", False), ("running", False), ("unknown", False)])
def test_only_ok_is_good(status, good):
    assert backup(status=status).good is good


def test_a_result_is_plain_data_with_the_documented_keys():
    result = backup(90, raw={"x": 1}).to_result(NOW)
    assert list(result) == [
        "id",
        "provider",
        "source",
        "series",
        "name",
        "parent_id",
        "engine",
        "database",
        "status",
        "created_at",
        "age_seconds",
        "size_bytes",
        "verify_status",
        "restore_status",
        "location",
        "message",
        "shares_file_with",
        "raw",
    ]
    assert result["created_at"] == "2026-03-18T11:58:30Z"
    assert result["age_seconds"] == 90


def test_a_result_without_a_date_says_null():
    result = backup(None).to_result(NOW)
    assert result["created_at"] is None
    assert result["age_seconds"] is None


def test_files_are_plain_data_too():
    assert BackupFile("tar-aa", "shop.tar-aa", 5, {"a": 1}).to_result() == {
        "id": "tar-aa",
        "name": "shop.tar-aa",
        "size_bytes": 5,
        "md5": None,
        "raw": {"a": 1},
    }


# -- series ------------------------------------------------------------------------------------------------------------


def test_series_are_told_apart_by_source_and_key():
    backups = [backup(series="b"), backup(series="a"), backup(series="a", source="crm"), backup(series="b")]
    assert [(one.source, one.key, len(one.backups)) for one in group_series(backups)] == [
        ("crm", "a", 1),
        ("shop", "a", 1),
        ("shop", "b", 2),
    ]


def test_series_do_not_depend_on_the_order_of_their_backups():
    backups = every(HOUR, 10, series="a") + every(DAY, 10, series="b")
    shuffled = list(backups)
    random.Random(2).shuffle(shuffled)
    assert group_series(shuffled) == group_series(backups)


def test_no_backups_no_series():
    assert group_series([]) == []


def test_a_generator_of_backups_is_enough():
    assert len(group_series(one for one in every(HOUR, 3))) == 1


def summary(*backups):
    (series,) = group_series(backups)
    return series.to_result()


def test_the_summary_of_a_series():
    result = summary(
        backup(1 * HOUR, status="failed", size_bytes=None),
        backup(2 * HOUR, id="good", size_bytes=300),
        backup(3 * HOUR, size_bytes=100),
        backup(5 * HOUR, size_bytes=200),
    )
    assert result == {
        "series": "s/one",
        "source": "shop",
        "engine": "postgresql",
        "database": "orders",
        "count": 4,
        "good_count": 3,
        "first": "2026-03-18T07:00:00Z",
        "last": "2026-03-18T11:00:00Z",
        "last_status": "failed",
        "last_good": "2026-03-18T10:00:00Z",
        "last_good_id": "good",
        "median_interval_seconds": HOUR,
        "last_size_bytes": 300,
        "min_size_bytes": 100,
        "median_size_bytes": 200,
        "max_size_bytes": 300,
    }


def test_sizes_of_failed_backups_do_not_count():
    assert summary(backup(size_bytes=10), backup(size_bytes=1, status="failed"))["min_size_bytes"] == 10


def test_sizes_that_nobody_knows_are_null_and_not_zero():
    result = summary(*every(HOUR, 3, size_bytes=None))
    assert [result[key + "_size_bytes"] for key in ("last", "min", "median", "max")] == [None] * 4


def test_the_latest_is_the_newest_good_one_whatever_came_after_it():
    (series,) = group_series([backup(1, status="failed"), backup(2, status="unknown"), backup(3, id="good"), backup(4)])
    assert series.newest.status == "failed"
    assert series.newest_good.id == "good"
    assert len(series.good) == 2


def test_a_series_without_a_good_one_has_no_latest():
    (series,) = group_series(every(HOUR, 3, status="failed"))
    assert series.newest_good is None
    assert series.to_result()["last_good"] is None


@pytest.mark.parametrize(
    "ages, interval",
    [
        ([1], None),
        ([None, None], None),
        ([0, HOUR], HOUR),
        ([0, HOUR, 2 * HOUR, 9 * DAY], HOUR),
        ([0, 0, 0], 0),
        ([0, None, 60], 60),
    ],
)
def test_the_median_interval_leaves_out_what_has_no_date(ages, interval):
    (series,) = group_series([backup(age) for age in ages])
    assert series.median_interval == interval


def test_a_series_without_any_date():
    result = summary(backup(None), backup(None))
    assert (result["first"], result["last"], result["count"]) == (None, None, 2)
    assert result["last_good"] is None
    assert result["last_good_id"] is not None


# -- tasks -------------------------------------------------------------------------------------------------------------


def test_a_request_says_only_what_was_said():
    assert TaskRequest().to_result() == {"engines": ["all"]}


def test_false_and_nothing_are_said_values():
    request = TaskRequest(
        engines=("mysql",), gzip=False, excluded_tables=frozenset(), run_on_replica=False, logical_backup=False
    )
    assert request.to_result() == {
        "engines": ["mysql"],
        "gzip": False,
        "excluded_tables": [],
        "run_on_replica": False,
        "logical_backup": False,
    }


def test_tables_are_sorted_so_that_equal_requests_are_equal():
    assert TaskRequest(excluded_tables=frozenset("cab")).to_result()["excluded_tables"] == ["a", "b", "c"]
