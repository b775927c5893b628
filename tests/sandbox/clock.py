# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's own time: it ticks like the real one and can be moved forward."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(-?)((?:\d+(?:\.\d+)?[smhdw])+)")


class Clock:
    """Real time plus an offset. Every date, cron run and expiry of the sandbox is read from here."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def seconds(self) -> float:
        return time.time() + self.offset

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), timezone.utc)

    def move_to(self, seconds: float) -> bool:
        """Move forward to this moment; a moment that has passed changes nothing."""
        if seconds <= self.seconds():
            return False
        self.offset = seconds - time.time()
        return True


def parse_duration(text: str | int | float) -> timedelta:
    """``90`` (seconds), ``90s``, ``26h``, ``1d12h``, ``-60h``."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return timedelta(seconds=text)
    match = _DURATION.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"not a duration: {text!r} (such as 90s, 26h or 1d12h)")
    sign, body = match.groups()
    total = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhdw])", body))
    return timedelta(seconds=-total if sign else total)


def parse_moment(text: str, now: datetime) -> datetime:
    """``now``, an ISO date (UTC unless it says otherwise), or a duration relative to ``now`` such as ``-60h``."""
    text = text.strip()
    if text == "now":
        return now
    if _DURATION.fullmatch(text.lstrip("+")):
        return now + parse_duration(text.lstrip("+"))
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"not a moment: {text!r} (now, -60h, or 2026-01-02T03:04:05Z)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def iso(moment: datetime | float) -> str:
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
