# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What a cron expression promises: its runs, its longest gap, and how late a backup may be. Pure; all in UTC."""

from __future__ import annotations

import traceback
from datetime import datetime, timedelta
from functools import lru_cache

from ._errors import MissingLibraryError, OptionError
from ._values import UTC

try:
    from cronsim import CronSim, CronSimError

    _IMPORT_ERROR = None
except ImportError:
    CronSim, CronSimError = None, ValueError
    _IMPORT_ERROR = traceback.format_exc()

_DAY = 86400
# A day that begins a cycle of four years; twice that and a day holds every gap a calendar can make but those of 2100.
_CYCLE_START = datetime(2000, 1, 1, tzinfo=UTC)
_CYCLE_DAYS = 2 * 1461 + 1
# The services' cron is the plain one: letters that some libraries add to it (L, W, #) would be read otherwise there.
_PLAIN = frozenset("0123456789*/,-ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAMES = ("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC SUN MON TUE WED THU FRI SAT").split()


class Schedule:
    """A five-field cron expression. Raises OptionError, naming ``option`` and the bad field, for anything else."""

    def __init__(self, expression, option="frequency"):
        if CronSim is None:
            raise MissingLibraryError("cronsim", _IMPORT_ERROR)
        self.expression = " ".join(str(expression).split())
        self.fields = self.expression.split(" ")
        if len(self.fields) != 5:
            raise OptionError(
                option,
                "%r has %d fields; a cron expression has five: minute hour day-of-month month day-of-week"
                % (str(expression), len([f for f in self.fields if f])),
            )
        for name, text in zip(("minute", "hour", "day-of-month", "month", "day-of-week"), self.fields):
            if not _is_plain(text):
                raise OptionError(option, "%r is not a plain cron expression: bad %s %r" % (self.expression, name, text))
        try:
            next(self._iterate(_CYCLE_START))
        except CronSimError as error:
            raise OptionError(option, "%r is not a cron expression: %s" % (self.expression, str(error).lower()))
        except StopIteration:
            raise OptionError(option, "%r never comes" % self.expression)

    def _iterate(self, start, reverse=False, fields=None):
        return CronSim(" ".join(fields or self.fields), start, reverse=reverse)

    def next_run(self, moment):
        """The first run after ``moment``."""
        return next(self._iterate(_minute(moment)))

    def last_run(self, moment):
        """The last run at or before ``moment``."""
        return next(self._back_from(moment))

    def _back_from(self, moment):
        """The runs at or before ``moment``, newest first."""
        # The library walks back from before its start, by minutes in its older versions and by seconds in newer ones:
        # the whole minute after that of the moment is right for both.
        return self._iterate(_minute(moment) + timedelta(minutes=1), reverse=True)

    def runs(self, start, end, limit=5000):
        """Runs after ``start`` up to and including ``end``, oldest first, at most ``limit`` of the newest."""
        found = []
        for moment in self._back_from(end):
            if moment <= start or len(found) >= limit:
                break
            found.append(moment)
        return found[::-1]

    @property
    def longest_gap(self):
        """Seconds between two runs at the most, over years of calendar."""
        return _gaps(self.expression)[1]

    @property
    def shortest_gap(self):
        """Seconds between two runs at the least."""
        return _gaps(self.expression)[0]

    @property
    def default_grace(self):
        """Seconds that a backup may be late before anybody is told: a quarter of the gap, 15 minutes to 6 hours.

        A dump starts after its minute, takes its time and is listed when it has ended.
        """
        return max(900, min(self.longest_gap // 4, 21600))


def _minute(moment):
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _is_plain(field):
    text = field.upper()
    for name in _NAMES:
        text = text.replace(name, "0")
    return bool(text) and set(text) <= _PLAIN and not any(letter.isalpha() for letter in text)


@lru_cache(maxsize=64)
def _gaps(expression):
    """(shortest, longest) seconds between runs.

    Times of day and matching days are looked at apart: a day holds at most 1440 times, the cycle some 3000 days,
    whereas walking every run of ``* * * * 1-5`` through the years would take seconds.
    """
    minute, hour, day, month, weekday = expression.split(" ")
    end_of_day = _CYCLE_START + timedelta(days=1)
    times = []
    for moment in CronSim("%s %s * * *" % (minute, hour), _CYCLE_START - timedelta(minutes=1)):
        if moment >= end_of_day:
            break
        times.append(int((moment - _CYCLE_START).total_seconds()))
    within_day = [later - earlier for earlier, later in zip(times, times[1:])]
    over_night = _DAY - times[-1] + times[0]
    gaps = within_day + [over_night + _DAY * (days - 1) for days in _day_steps(day, month, weekday)]
    return min(gaps), max(gaps)


def _day_steps(day, month, weekday):
    """The numbers of days between matching days that occur."""
    if day == month == weekday == "*":
        return {1}
    # Without a rule on the month or its days, weeks repeat.
    horizon = _CYCLE_START + timedelta(days=15 if day == month == "*" else _CYCLE_DAYS)
    previous, steps = None, set()
    for moment in CronSim("0 0 %s %s %s" % (day, month, weekday), _CYCLE_START - timedelta(minutes=1)):
        if previous is not None:
            steps.add((moment - previous).days)
        previous = moment
        if moment > horizon:
            break
    return steps
