# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What the backups that exist say of the task that made them: is it alive, is it the one that is wanted? Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ._backup import group_series
from ._schedule import Schedule
from ._values import format_duration, format_time, median

# Engines whose dumps can be text and can leave out tables; those of the others are what they are.
_SQL_ENGINES = ("mysql", "postgresql", None)
# Dates compared with the cron's times: enough to tell a habit from an accident, and no further back than that.
_LOOK_BACK = 10
_ENOUGH = 3


@dataclass
class Drift:
    """A wanted option of a task that what is seen contradicts."""

    field: str
    wanted: object
    observed: object
    message: str

    def to_result(self):
        return {"field": self.field, "wanted": self.wanted, "observed": self.observed, "message": self.message}


def series_of_engine(backups, engine):
    """The series of one engine; of all engines for None."""
    return group_series(backup for backup in backups if engine is None or backup.engine == engine)


def is_live(series, now, schedule):
    """True while the series' last backup, good or failed, is no older than two gaps.

    The gap is that of ``schedule`` (None: unknown) or the longest of the series' own recent ones, whichever is longer: an
    hourly task that is wanted, and a daily one that exists, is a drift and not a standstill; and a task that rests at
    weekends is alive on Sunday.
    """
    if not series.dated:
        return True
    gaps = [_longest_interval(series)]
    grace = 900
    if schedule is not None:
        gaps.append(schedule.longest_gap)
        grace = schedule.default_grace
    if not any(gaps):
        # One backup and no idea of a cadence: nothing contradicts that its task lives, for a while.
        gaps.append(86400)
    return series.dated[0].age(now) <= 2 * max(gaps) + grace


def drifts(series, request):
    """What contradicts the TaskRequest in a series, as far as the services let it be seen."""
    found = []
    if request.frequency is not None:
        found.extend(_cadence_drift(series, Schedule(request.frequency)))
    if request.keep_count is not None and len(series.good) > request.keep_count + 1:
        # One more than asked may be listed while the oldest is being removed.
        count = len(series.good)
        found.append(
            Drift("keep_count", request.keep_count, count, "%d good backups are kept, not %d" % (count, request.keep_count))
        )
    newest = series.newest
    if newest.engine not in _SQL_ENGINES:
        return found
    if request.excluded_tables is not None and newest.excluded_tables not in (None, request.excluded_tables):
        wanted, observed = sorted(request.excluded_tables), sorted(newest.excluded_tables)
        text = "the newest backup leaves out %s, not %s" % (_names(observed), _names(wanted))
        found.append(Drift("excluded_tables", wanted, observed, text))
    if request.logical_backup is not None and newest.logical not in (None, request.logical_backup):
        kinds = {True: "a text dump", False: "a binary backup"}
        text = "the newest backup is %s, not %s" % (kinds[newest.logical], kinds[request.logical_backup])
        found.append(Drift("logical_backup", request.logical_backup, newest.logical, text))
    return found


def request_drifts(request, asked):
    """What differs between the TaskRequest and what was asked for when the task was made (a marker's request).

    It knows what no backup shows: frequency, keep_count, gzip, replica.
    """
    wanted = request.to_result()
    found = []
    for name in ("frequency", "keep_count", "gzip", "excluded_tables", "run_on_replica", "logical_backup"):
        if name in wanted and name in asked and wanted[name] != asked[name]:
            text = "the task was asked for with %r, not %r" % (asked[name], wanted[name])
            found.append(Drift(name, wanted[name], asked[name], text))
    return found


def _longest_interval(series):
    """Seconds, 0 for fewer than two backups."""
    made = [backup.created_at for backup in series.dated[:_LOOK_BACK]]
    return max([int((newer - older).total_seconds()) for newer, older in zip(made, made[1:])], default=0)


def _cadence_drift(series, schedule):
    """Backups that come too seldom, too often or at other times than the cron's, with patience for slow dumps."""
    made = [backup.created_at for backup in series.dated[:_LOOK_BACK]]
    if len(made) < _ENOUGH:
        return
    interval = series.median_interval
    owed = len(schedule.runs(made[-1], made[0]))
    came = len(made) - 1
    late = int(median([int((moment - schedule.last_run(moment)).total_seconds()) for moment in made]))
    if abs(owed - came) > max(1, came // 4):
        text = "backups come every %s, which %r does not say" % (format_duration(interval), schedule.expression)
    elif late > min(7200, schedule.shortest_gap // 2):
        text = "backups come %s after the times of %r, the last at %s" % (
            format_duration(late),
            schedule.expression,
            format_time(made[0]),
        )
    else:
        return
    yield Drift("frequency", schedule.expression, "every %s" % format_duration(interval), text)


def _names(names):
    return ", ".join(names) or "nothing"
