# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations, sizes and times as people and services write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _values as values
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import NOW, UTC, at


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("26h", 93600),
        ("2d", 172800),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("1w", 604800),
        ("90", 90),
        (" 90s ", 90),
        ("2D", 172800),
        ("0", 0),
        (3600, 3600),
        ("36600d", 36600 * 86400),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert values.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "  ", "h", "1x", "-5m", "1h-", "26 hours", "1.5", "1:30", "P1D", "one day", None, "1h/2"]
)
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="26h"):
        values.parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 30, "9" * 30 + "w", "101000000h"])
def test_a_duration_beyond_the_calendar_is_refused_instead_of_overflowing_later(text):
    with pytest.raises(ValueError, match="century"):
        values.parse_duration(text)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (90, "1m 30s"),
        (3600, "1h"),
        (3601, "1h"),
        (5400, "1h 30m"),
        (93600, "1d 2h"),
        (86400 + 59, "1d"),
        (-90, "-1m 30s"),
        (59.9, "59s"),
    ],
)
def test_a_duration_is_shown_by_its_two_largest_units(seconds, text):
    assert values.format_duration(seconds) == text


@pytest.mark.parametrize(
    "text, size",
    [
        ("0", 0),
        ("10", 10),
        (10, 10),
        ("10B", 10),
        ("1k", 1024),
        ("1KB", 1024),
        ("1 KiB", 1024),
        ("1.5M", 1572864),
        ("10mb", 10485760),
        ("2GB", 2147483648),
        ("1T", 1 << 40),
        (" 3 g ", 3 << 30),
    ],
)
def test_a_size_is_read(text, size):
    assert values.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1,5MB", "10 XB", "1e3", "ten", None, "1M 2K"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="10MB"):
        values.parse_size(text)


@pytest.mark.parametrize(
    "size, text",
    [
        (None, "unknown size"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_a_size_is_shown(size, text):
    assert values.format_size(size) == text


@pytest.mark.parametrize("value", [None, "", "  ", "null", "None", "0001-01-01T00:00:00Z", " 0001-01-01T00:00:00Z "])
def test_null_likes_become_none(value):
    assert values.none_if_null(value) is None
    assert values.parse_time(value) is None


@pytest.mark.parametrize("value, kept", [(" x ", "x"), (0, 0), (False, False), ([], []), ("0", "0")])
def test_other_values_stay(value, kept):
    assert values.none_if_null(value) == kept


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-18T12:00:00Z",
        "2026-03-18T12:00:00z",
        "2026-03-18T12:00:00",
        "2026-03-18 12:00:00 UTC",
        "2026-03-18T12:00:00.0Z",
        "2026-03-18T14:00:00+02:00",
        "2026-03-18T06:30:00-05:30",
        datetime(2026, 3, 18, 12),
        datetime(2026, 3, 18, 13, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_the_same_moment_in_many_spellings(text):
    moment = values.parse_time(text)
    assert moment == NOW
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "fraction, microseconds", [("5", 500000), ("123", 123000), ("123456", 123456), ("123456789", 123456)]
)
def test_fractions_of_any_length_are_read(fraction, microseconds):
    assert values.parse_time("2026-03-18T12:00:00.%sZ" % fraction).microsecond == microseconds


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+05:00", "0001-01-01"]
)
def test_the_year_one_is_never_in_every_spelling(text):
    assert values.parse_time(text) is None


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "Z", {}, True, "9999-12-31T23:59:59-05:00"]
)
def test_what_is_no_time_is_a_value_error_and_nothing_worse(text):
    with pytest.raises(ValueError):
        values.parse_time(text)


def test_the_leap_day_is_a_day():
    assert values.parse_time("2028-02-29T00:00:00Z") == at("2028-02-29 00:00")


def test_times_are_shown_to_the_second():
    assert values.format_time(NOW.replace(microsecond=999999)) == "2026-03-18T12:00:00Z"
    assert values.format_time(None) is None


@pytest.mark.parametrize(
    "text, moment",
    [
        ("1d", NOW - timedelta(days=1)),
        ("0", NOW),
        ("2026-03-01T00:00:00Z", at("2026-03-01 00:00")),
        ("2026-03-01", at("2026-03-01 00:00")),
        ("2026-03-01T01:00:00+01:00", at("2026-03-01 00:00")),
    ],
)
def test_a_moment_is_a_time_or_a_duration_back(text, moment):
    assert values.parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "null", "-1d", "2026-02-30", "9" * 30 + "d"])
def test_what_is_no_moment_is_refused_with_both_examples(text):
    with pytest.raises(ValueError, match="2026-01-31T00:00:00Z.*7d"):
        values.parse_moment(text, NOW)


@pytest.mark.parametrize(
    "numbers, middle",
    [([], None), ([5], 5), ([1, 2], 1), ([3, 1, 2], 2), ([4, 1, 3, 2], 2), ((n for n in (9, 1, 5)), 5), ([0, 0], 0)],
)
def test_the_median(numbers, middle):
    assert values.median(numbers) == middle


def test_utc_is_utc():
    assert UTC == values.UTC


def test_names_that_are_no_utf8_become_readable():
    name = b"d\xff\xc3\xa9".decode("utf-8", "surrogateescape")
    assert values.readable({name: [name, 7, None, True, (name,)]}) == {"d\\xff\u00e9": ["d\\xff\u00e9", 7, None, True, ["d\\xff\u00e9"]]}
