# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the sandbox's tasks run."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

pytest.importorskip("cronsim")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox import cron  # noqa: E402


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def hours(runs: list[int]) -> list[str]:
    return [f"{datetime.fromtimestamp(run, timezone.utc):%d %H:%M}" for run in runs]


def test_runs_follow_the_expression() -> None:
    found = cron.runs_between("30 */6 * * *", at("2026-01-01 05:00"), at("2026-01-02 00:30"))
    assert hours(found) == ["01 06:30", "01 12:30", "01 18:30", "02 00:30"]


def test_a_run_at_the_very_start_belongs_to_the_stretch_before() -> None:
    assert cron.runs_between("0 * * * *", at("2026-01-01 05:00"), at("2026-01-01 05:59")) == []


def test_the_default_of_the_service_is_every_hour() -> None:
    assert cron.next_run("0 */1 * * *", at("2026-01-01 05:00:01")) == at("2026-01-01 06:00")


@pytest.mark.parametrize("wrong", ["", "* * * *", "* * * * * *", "61 * * * *", "@daily", "0 0 30 2 *"])
def test_what_is_no_schedule_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="frequency"):
        cron.check(wrong)
