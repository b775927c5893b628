# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a task runs: cron fields, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

from cronsim import CronSim, CronSimError


def check(expression: str, width: int = 5) -> str:
    """The expression with single spaces, or ValueError. A sixth field would stand first and mean seconds: cronsim
    takes it, and so does Backupman, but Cloud 66 does not."""
    fields = str(expression).split()
    if len(fields) != width:
        raise ValueError(f"frequency needs {'five' if width == 5 else 'six'} cron fields, not {len(fields)}")
    text = " ".join(fields)
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=timezone.utc)))
    except (CronSimError, StopIteration) as exc:
        raise ValueError(f"frequency is not a valid cron expression: {exc or 'it never runs'}") from None
    return text


def next_run(expression: str, after: float) -> int:
    """The first run strictly after this moment, both in seconds since 1970."""
    return int(next(CronSim(expression, datetime.fromtimestamp(after, timezone.utc))).timestamp())


def runs_between(expression: str, after: float, until: float) -> list[int]:
    """Every run later than ``after`` and not later than ``until``."""
    found = []
    moment = next_run(expression, after)
    while moment <= until:
        found.append(moment)
        moment = next_run(expression, moment)
    return found
