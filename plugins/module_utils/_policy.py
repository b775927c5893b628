# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Judging backups: backups + policy + now -> violations. Pure.

The codes are stable: playbooks, reports and alerts key on them. docs/violations.md has a sentence of advice for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Optional

from ._backup import FAILED, OK, group_series, newest_first
from ._schedule import Schedule
from ._values import format_duration, format_size, format_time, median

CODES = (
    "no_backups",
    "stale",
    "last_failed",
    "failing",
    "schedule_gap",
    "stalled",
    "too_small",
    "size_drop",
    "size_unknown",
    "too_few",
    "missing_engine",
    "missing_database",
    "not_verified",
    "verify_failed",
    "collision",
    "unreachable",
)


@dataclass
class Violation:
    """One way in which a source does not hold its policy. ``series`` is None where it is about the whole source."""

    code: str
    message: str
    series: Optional[str] = None
    observed: object = None
    expected: object = None

    def to_result(self):
        return {
            "code": self.code,
            "series": self.series,
            "message": self.message,
            "observed": self.observed,
            "expected": self.expected,
        }


@dataclass
class Policy:
    """What must hold. Durations are seconds, sizes bytes; None means that nothing is asked.

    ``max_size_drop`` is percent against the median of the series' earlier good backups. With ``schedule`` and no
    ``max_age`` the age follows from the cron expression: its longest gap and the grace.
    """

    max_age: Optional[int] = None
    schedule: Optional[Schedule] = None
    grace: Optional[int] = None
    min_size: Optional[int] = None
    max_size_drop: Optional[float] = None
    min_count: Optional[int] = None
    engines: tuple = ()
    databases: tuple = ()
    require_verified: bool = False
    allow_failed: bool = False

    @property
    def lateness(self):
        """Seconds that a run may be late."""
        if self.grace is not None or self.schedule is None:
            return self.grace or 0
        return self.schedule.default_grace

    @property
    def age_limit(self):
        if self.max_age is not None or self.schedule is None:
            return self.max_age
        return self.schedule.longest_gap + self.lateness


def judge(backups, policy, now):
    """Violations of one source's backups, those of the whole source first, then series by series."""
    if not backups:
        return [Violation("no_backups", "There is no backup at all", observed=0, expected=policy.min_count or 1)]
    found = list(_missing(backups, policy)) + list(_collisions(backups))
    for series in group_series(backups):
        for rule in (_age, _failures, _schedule, _sizes, _count, _verification):
            found.extend(rule(series, policy, now))
    return found


def _missing(backups, policy):
    good = [backup for backup in backups if backup.good]
    for code, attribute, wanted in (
        ("missing_engine", "engine", policy.engines),
        ("missing_database", "database", policy.databases),
    ):
        seen = sorted({getattr(backup, attribute) for backup in good} - {None})
        for name in wanted:
            if name not in seen:
                yield Violation(code, "No good backup of %s %s" % (attribute, name), observed=seen, expected=name)


def _collisions(backups):
    """One violation for all of them: what one run did wrong, the next one does again every night."""
    places = {}
    # One without a source was imported, and notes a file that another backup may well have made.
    for backup in backups:
        if backup.location and backup.source:
            places.setdefault(backup.location, []).append(backup.id)
    sharing = []
    for backup in newest_first(backups):
        # What the provider knows reaches farther: it has seen other sources too.
        here = [name for name in places.get(backup.location, ()) if name != backup.id] if backup.source else []
        others = backup.shares_file_with or sorted(here)
        if others:
            sharing.append((backup, others))
    if sharing:
        backup, others = sharing[0]
        text = "Backups %s and %s share one file, so at most one of them is what it says" % (
            backup.id,
            ", ".join(others),
        )
        if len(sharing) > 1:
            text += " (%d backups of this source share theirs)" % len(sharing)
        yield Violation("collision", text, observed=len(sharing), expected=0)


def _age(series, policy, now):
    limit = policy.age_limit
    newest = series.newest_good
    # Without a good backup no policy holds, whatever it asks for; failed ones are told of by codes of their own.
    if limit is None and (newest or any(backup.status == FAILED for backup in series.backups)):
        return
    age = newest.age(now) if newest else None
    if age is None or age > limit:
        if newest is None:
            text = "None of the %d backups is good" % len(series.backups)
        elif age is None:
            text = "The newest good backup %s has no date" % newest.id
        else:
            text = "The newest good backup is %s old, %s are allowed" % (format_duration(age), format_duration(limit))
        yield Violation("stale", text, series.key, observed=age, expected=limit)


def _failures(series, policy, now):
    if policy.allow_failed and series.newest_good:
        return
    finished = [backup for backup in series.backups if backup.status in (OK, FAILED)]
    in_a_row = next((n for n, backup in enumerate(finished) if backup.good), len(finished))
    if not in_a_row:
        return
    newest = finished[0]
    reason = ": %s" % newest.message if newest.message else ""
    if in_a_row == 1:
        yield Violation(
            "last_failed", "The newest backup %s failed%s" % (newest.id, reason), series.key, newest.status, OK
        )
    else:
        text = "The newest %d backups failed, the last one %s%s" % (in_a_row, newest.id, reason)
        yield Violation("failing", text, series.key, in_a_row, 0)


def _schedule(series, policy, now):
    dated = series.dated
    if policy.schedule is None or not dated:
        return
    limit = 2 * policy.schedule.longest_gap + policy.lateness
    age = dated[0].age(now)
    if age > limit:
        text = "Nothing has come for %s, more than two gaps of %r" % (format_duration(age), policy.schedule.expression)
        yield Violation("stalled", text, series.key, observed=age, expected=limit)
    # A run is owed from the oldest backup still listed up to the newest run that had its time.
    until = now - timedelta(seconds=policy.lateness)
    missed = _missed_runs([backup.created_at for backup in dated], policy.schedule, until)
    if missed:
        text = "%s of %r left no backup, the latest that of %s" % (
            "1 run" if len(missed) == 1 else "%d runs" % len(missed),
            policy.schedule.expression,
            format_time(missed[-1]),
        )
        observed = [format_time(moment) for moment in missed[-10:]]
        yield Violation("schedule_gap", text, series.key, observed=observed, expected=policy.schedule.expression)


def _missed_runs(made, schedule, until):
    """Runs between the oldest of ``made`` (newest first) and ``until`` without a backup before the next one."""
    runs = schedule.runs(made[-1], until)
    made = made[::-1]
    missed, position = [], 0
    for run, following in zip(runs, runs[1:] + [None]):
        while position < len(made) and made[position] < run:
            position += 1
        if position == len(made) or (following is not None and made[position] >= following):
            missed.append(run)
    return missed


def _sizes(series, policy, now):
    newest = series.newest_good
    if newest is None or (policy.min_size is None and policy.max_size_drop is None):
        return
    earlier = [backup.size_bytes for backup in series.good[1:]]
    known = [size for size in earlier if size is not None]
    if newest.size_bytes is None:
        text = "The service does not say how large backup %s is, so no size rule can be judged" % newest.id
        yield Violation("size_unknown", text, series.key, None, policy.min_size)
        return
    if policy.min_size is not None and newest.size_bytes < policy.min_size:
        text = "Backup %s has %s, at least %s are asked" % (
            newest.id,
            format_size(newest.size_bytes),
            format_size(policy.min_size),
        )
        yield Violation("too_small", text, series.key, newest.size_bytes, policy.min_size)
    if policy.max_size_drop is None or not earlier:
        return
    if not known:
        text = "The service does not say how large the earlier backups are, so a drop cannot be judged"
        yield Violation("size_unknown", text, series.key, None, "a size of an earlier backup")
        return
    usual = median(known)
    least = usual * (100 - policy.max_size_drop) / 100.0
    if newest.size_bytes < least:
        text = "Backup %s has %s where %s are usual, a drop of %d percent" % (
            newest.id,
            format_size(newest.size_bytes),
            format_size(usual),
            round(100 - 100.0 * newest.size_bytes / usual),
        )
        yield Violation("size_drop", text, series.key, newest.size_bytes, int(least))


def _count(series, policy, now):
    if policy.min_count is not None and len(series.good) < policy.min_count:
        text = "%d good backups are kept, at least %d are asked" % (len(series.good), policy.min_count)
        yield Violation("too_few", text, series.key, len(series.good), policy.min_count)


def _verification(series, policy, now):
    newest = series.newest_good
    if not policy.require_verified or newest is None or newest.verify_status == "verified":
        return
    if newest.verify_status in ("failed", "error"):
        text = "The service's own verification of backup %s ended with: %s" % (newest.id, newest.verify_status)
        yield Violation("verify_failed", text, series.key, newest.verify_status, "verified")
    else:
        text = "Backup %s has not been verified by the service" % newest.id
        yield Violation("not_verified", text, series.key, newest.verify_status, "verified")
