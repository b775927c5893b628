# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rackspace's schedules, markers and errors."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("cronsim")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox.calls import Refused  # noqa: E402
from sandbox.rackspace import (  # noqa: E402
    ACCOUNT, checked_regions, checked_schedule, error, is_full, is_true, next_time, position, understand)

WANTED = {"action": "backup", "day_of_week": 0, "hour": 4, "minute": 30}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def test_a_schedule_runs_daily_and_fully_on_its_day() -> None:
    assert next_time(WANTED, at("2026-03-01 04:29:59")) == at("2026-03-01 04:30")
    assert next_time(WANTED, at("2026-03-01 04:30")) == at("2026-03-02 04:30")
    days = [at(f"2026-03-0{day} 04:30") for day in range(1, 8)]  # the first is a Sunday
    assert [is_full(WANTED, day) for day in days] == [True] + [False] * 6
    assert all(is_full({**WANTED, "day_of_week": 7}, day) for day in days)


def test_what_is_left_out_of_an_update_stays() -> None:
    before = checked_schedule(WANTED)
    assert before["full_backup_retention"] == 2
    assert checked_schedule({"hour": 5}, before) == {**before, "hour": 5}


@pytest.mark.parametrize("wrong", [
    None, {}, {**WANTED, "hour": 24}, {**WANTED, "minute": "30"}, {**WANTED, "day_of_week": 8},
    {**WANTED, "action": "restart"}, {**WANTED, "full_backup_retention": 0}])
def test_a_schedule_that_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(Refused):
        checked_schedule(wrong)


@pytest.mark.parametrize("wrong", [["LON"], ["DFW"], ["IAD", "XYZ"], "IAD", {"regions": []}, [None]])
def test_copies_go_to_other_regions_of_the_same_cloud(wrong: object) -> None:
    with pytest.raises(Refused):
        checked_regions(wrong)
    assert checked_regions(["IAD", "ORD", "IAD"]) == ["ORD", "IAD"]
    assert checked_regions([]) is None is checked_regions(None)


def test_a_flag_may_be_a_text() -> None:
    assert [is_true(value) for value in (True, 1, "true", "True", False, 0, "false", None)] == [True] * 4 + [False] * 4


def test_markers_are_numbers_or_ids() -> None:
    assert [position(marker, ["a", "b", "c"]) for marker in (None, "2", "b", "40")] == [0, 2, 2, 40]
    with pytest.raises(Refused):
        position("z", ["a"])


def test_routes_and_what_they_are_about() -> None:
    call = understand("GET", f"/v1.0/{ACCOUNT}/ha/g1/backups", "limit=5", b"")
    assert (call.route, call.source, call.ids["kind"]) == ("list", "g1", "ha")
    call = understand("POST", f"/v1.0/{ACCOUNT}/backups", "", b'{"backup": {"instance": "i1"}}')
    assert (call.route, call.source) == ("create", "i1")
    assert understand("GET", "/v1.0/1/backups", "", b"").route == "unknown", "another account"


def test_errors_name_the_fault() -> None:
    assert json.loads(error(404, "gone").body) == {"itemNotFound": {"code": 404, "message": "gone"}}
    assert error(503, name="throttled").status == 413
