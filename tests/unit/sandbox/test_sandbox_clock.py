# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's time."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox.clock import Clock, iso, parse_duration, parse_moment  # noqa: E402

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def test_durations() -> None:
    assert parse_duration("26h") == timedelta(hours=26)
    assert parse_duration("1d12h") == timedelta(hours=36)
    assert parse_duration("-90m") == timedelta(minutes=-90)
    assert parse_duration(5) == timedelta(seconds=5)
    for wrong in ("", "26", "h", "1 day", True):
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(wrong)


def test_moments() -> None:
    assert iso(parse_moment("-60h", NOW)) == "2026-02-27T00:00:00Z"
    assert iso(parse_moment("2026-01-02T03:04:05+01:00", NOW)) == "2026-01-02T02:04:05Z"
    assert parse_moment("now", NOW) == NOW


def test_the_clock_only_goes_forward() -> None:
    clock = Clock(-3600)
    assert not clock.move_to(clock.seconds() - 10)
    assert clock.move_to(clock.seconds() + 3600)
    assert abs(clock.offset) < 1
