# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Cron expressions for a service that makes one backup a day, a full one on one weekday or every day. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .._errors import OptionError
from .._schedule import Schedule

# What the service has in place of a weekday (0 is Sunday): every backup is a full one.
EVERY_DAY = 7
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NUMBER = re.compile(r"^\d+$")


@dataclass(frozen=True)
class Week:
    """A backup every day at ``hour``:``minute`` UTC. It is a full one on ``full_day``, an incremental one otherwise."""

    hour: int
    minute: int
    full_day: int

    @property
    def frequency(self):
        """When backups are made, as a cron expression."""
        return "%d %d * * *" % (self.minute, self.hour)


def week_of(expression, full_day=None):
    """The Week that a cron expression means. Raises OptionError, with the reason, for what no Week can be.

    ``m h * * *`` is a backup every day, each a full one unless ``full_day`` says when the full ones are.
    ``m h * * D`` is a full one on that day; on the others the service makes incremental ones, which nothing prevents.
    """
    minute, hour, day, month, weekday = Schedule(expression).fields
    for name, text in (("minute", minute), ("hour", hour)):
        if not _NUMBER.match(text):
            _refuse(expression, "its %s %r means several times a day, and this service has one" % (name, text))
    if day != "*":
        _refuse(expression, "its day-of-month %r cannot be said: this service knows days of the week only" % day)
    if month != "*":
        _refuse(expression, "its month %r cannot be said: this service makes backups all the year" % month)
    if weekday == "*":
        return Week(int(hour), int(minute), EVERY_DAY if full_day is None else full_day)
    named = _weekday(weekday)
    if named is None:
        _refuse(
            expression,
            "its day-of-week %r means several days, and this service makes backups on all, full ones on one or on all"
            % weekday,
        )
    if full_day not in (None, named):
        raise OptionError(
            "full_backup_day", "is %d, and frequency %r says %d: leave one of them out" % (full_day, expression, named)
        )
    return Week(int(hour), int(minute), named)


def _weekday(text):
    """0 (Sunday) to 6 of one weekday in cron's words, None for anything else."""
    if _NUMBER.match(text):
        return int(text) % 7
    return _WEEKDAYS.index(text.upper()) if text.upper() in _WEEKDAYS else None


def _refuse(expression, reason):
    hint = "write M H * * * for every day or M H * * D for a weekday"
    raise OptionError("frequency", "%r: %s; %s" % (expression, reason, hint))
