# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_task where a task can only be asked for: by evidence, because the API has no memory.

The services that this is for (Cloud 66) can neither list nor delete a task, and every request adds one more. So what
is known is looked at first: the backups that exist, then the marker of an earlier request, and only without either is
a request sent, once.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Optional

from .._backup import TaskRequest, engine_name, newest_first
from .._errors import BackupError, OptionError, OutcomeUnknownError, done_before
from .._evidence import drifts, is_live, request_drifts, series_of_engine
from .._markers import DONE, INTENT, Marker, MarkerBook
from .._options import duration
from .._schedule import Schedule
from .._values import format_duration, format_time
from ._waiting import wait_for_backup

# Cloud 66 documents this as what it does where no frequency is sent.
_SERVER_FREQUENCY = "0 */1 * * *"


@dataclass
class Finding:
    """What is known of the wanted task for one engine (None: for all) before anything is sent."""

    engine: Optional[str]
    live: list = field(default_factory=list)
    pending: Optional[Marker] = None
    # One sentence for every reason not to send a request although nothing lives.
    doubts: list = field(default_factory=list)
    drift: list = field(default_factory=list)

    @property
    def present(self):
        return bool(self.live or self.pending)


def ensure_order(params, provider, context):
    """The module's result. Raises BackupError where it would be rash to send a request."""
    request = request_from(params, provider)
    grace = duration(params, "grace")
    if params["allow_additional"] and params["evidence"] == "api":
        raise OptionError("allow_additional", "needs evidence: marker, or every run would add one more task")
    task = _Task(provider, params, request, grace, context)
    with contextlib.ExitStack() as stack:
        if task.book and not context.check_mode:
            stack.enter_context(task.book.lock())
        result = task.ensure()
    if params["wait"] and not context.check_mode and result["action"] != "present":
        with done_before(result["changed"]):
            result["backup"] = task.wait().to_result(context.now())
    return result


def request_from(params, provider):
    """The TaskRequest of the options, without what is only said for a new task. Raises OptionError."""
    named = ["all"] if params["engines"] is None else params["engines"]
    engines = {engine_name(part) for name in named for part in name.split(",") if part.strip()}
    for engine in sorted(engines - {"all"}):
        if engine not in provider.engines:
            raise OptionError(
                "engines", "unknown engine %r; %s knows %s, or all" % (engine, provider.name, ", ".join(provider.engines))
            )
    if not engines:
        raise OptionError("engines", "is empty: name engines, or all")
    if "all" in engines and len(engines) > 1:
        raise OptionError("engines", "all includes every engine: name it alone")
    if params["keep_count"] is not None and params["keep_count"] < 1:
        raise OptionError("keep_count", "must be 1 or more")
    tables = params["excluded_tables"]
    if tables is not None:
        tables = frozenset(table.strip() for text in tables for table in text.split(",") if table.strip())
    return TaskRequest(
        engines=tuple(sorted(engines - {"all"})),
        frequency=Schedule(params["frequency"]).expression if params["frequency"] is not None else None,
        keep_count=params["keep_count"],
        gzip=params["gzip"],
        excluded_tables=tables,
        run_on_replica=params["run_on_replica"],
        logical_backup=params["logical_backup"],
    )


class _Task:
    """The wanted task of one source, between what is known of it and what is asked."""

    def __init__(self, provider, params, request, grace, context):
        self.provider, self.request, self.grace, self.context = provider, request, grace, context
        self.params, self.source = params, params["source"]
        default = params["default_frequency"]
        default = Schedule(default, "default_frequency").expression if default is not None else None
        # As it would be asked for. What exists is not held against a default.
        self.new = replace(request, frequency=request.frequency or default)
        self.additional = params["allow_additional"]
        self.book = None
        if params["evidence"] == "marker":
            self.book = MarkerBook(params["state_dir"], "task", provider.name, provider.address, self.source)
        self.backups = []
        # What the provider says of a list that may not be whole, None of one that is.
        self.gaps = None
        self.findings = []

    def ensure(self):
        """The module's result. Raises BackupError where it would be rash to send a request."""
        now = self.context.now()
        self.backups = self._list()
        markers = self.book.all() if self.book else []
        self.findings = [self._look(engine, markers, now) for engine in self.request.engines or (None,)]
        missing = [finding for finding in self.findings if not finding.present]
        doubts = list(dict.fromkeys(doubt for finding in missing for doubt in finding.doubts))
        if missing and self.gaps is not None:
            doubts.append("the list of backups may not be whole (%s)" % self.gaps)
        if doubts and not self.params["recreate_stalled"]:
            raise BackupError(
                "%s: %s. Nothing was sent, because each request adds one more task that no call can delete. Look at the "
                "source's backup page; if no task is there, run once with recreate_stalled: true"
                % (self.source, "; ".join(doubts)),
                code="in_doubt",
                doubts=doubts,
            )
        if missing:
            return self._create([finding.engine for finding in missing], now)
        pending = any(finding.pending for finding in self.findings)
        return self._result("pending" if pending else "present")

    def _list(self):
        listing = self.provider.list_backups(self.source)
        for warning in listing.warnings:
            self.context.warn(warning)
        self.gaps = None if listing.whole else "; ".join(listing.warnings)
        return newest_first(listing.backups)

    # -- evidence --------------------------------------------------------------------------------------------------

    def _look(self, engine, markers, now):
        found = Finding(engine)
        mine = [marker for marker in markers if self._speaks_of(marker, engine)]
        latest = max(mine, key=lambda marker: marker.asked_at, default=None)
        schedule = self._schedule(latest)
        stalled, differences = [], []
        for series in series_of_engine(self.backups, engine):
            difference = drifts(series, self.request)
            if self.additional and difference:
                # With allow_additional only a task that is as wanted counts; without, any task of the engine does.
                continue
            if is_live(series, now, schedule):
                found.live.append(series)
                differences.append(difference)
            else:
                stalled.append(series)
        if found.live:
            found.drift = _with_memory(min(differences, key=len), self.request, mine)
            return found
        newest = max((series.newest.created_at for series in stalled), default=None)
        if latest is not None and (newest is None or newest < latest.asked_at):
            self._look_at_marker(found, latest, now)
        else:
            for series in stalled:
                found.doubts.append(
                    "series %s is stalled: nothing has come for %s; its task may be paused, failing or gone, and the "
                    "API cannot tell which" % (series.key, format_duration(series.dated[0].age(now)))
                )
        return found

    def _speaks_of(self, marker, engine):
        """True if the marker's request is one for this engine; with allow_additional, also in all its options."""
        asked = marker.request.get("engines") or ["all"]
        if self.additional:
            # Not the engines as a whole: of several, only those that were missing were asked for.
            wanted = dict(self.new.to_result(), engines=marker.request.get("engines"))
            return marker.request == wanted and (engine in asked or "all" in asked)
        return engine is None or engine in asked or "all" in asked

    def _schedule(self, marker):
        """When runs are to be expected: as asked for when the task was made, else as wanted, else unknown."""
        frequency = (marker and marker.request.get("frequency")) or self.request.frequency
        return Schedule(frequency) if frequency else None

    def _look_at_marker(self, found, marker, now):
        asked = format_time(marker.asked_at)
        if marker.state == INTENT:
            found.doubts.append(
                "a run died, or got no answer, while it asked for this task at %s, and no backup has come since: whether "
                "the task exists is unknown (marker %s)" % (asked, marker.path)
            )
            return
        schedule = Schedule(marker.request.get("frequency") or _SERVER_FREQUENCY)
        grace = schedule.default_grace if self.grace is None else self.grace
        due = schedule.next_run(marker.asked_at) + timedelta(seconds=grace)
        if now <= due:
            found.pending = marker
            found.drift = request_drifts(self.request, marker.request)
        else:
            found.doubts.append(
                "the task was asked for at %s and its first backup was due by %s, but none has come (marker %s)"
                % (asked, format_time(due), marker.path)
            )

    # -- asking ----------------------------------------------------------------------------------------------------

    def _create(self, engines, now):
        request = replace(self.new, engines=() if None in engines else tuple(engines))
        if self.context.check_mode:
            return self._result("created", request)
        if self.book is None:
            message = self._send(request)
        else:
            # Without allow_additional any request for these engines is the same one, so that a changed option is a
            # drift and not a second task.
            wanted = request.to_result()
            key = wanted if self.additional else wanted["engines"]
            earlier = self.book.get(key)
            self.book.write(key, INTENT, now, wanted)
            try:
                message = self._send(request)
            except OutcomeUnknownError:
                raise
            except BackupError:
                self.book.restore(key, earlier)
                raise
            self.book.write(key, DONE, now, wanted)
        return self._result("created", request, message)

    def _send(self, request):
        try:
            return self.provider.create_task(self.source, request)
        except OutcomeUnknownError as error:
            error.message += (
                ". Whether the task of %s was created is unknown, and it is not sent again: look at the source's backup "
                "page, or wait for its first backup" % self.source
            )
            raise

    def _result(self, action, request=None, message=""):
        drift = _unique(one for finding in self.findings for one in finding.drift)
        live = [series for finding in self.findings for series in finding.live]
        pending = [finding.pending for finding in self.findings if finding.pending]
        for one in drift:
            self.context.warn(
                "The task of %s differs and its API cannot change it: %s is wanted as %s, but %s"
                % (self.source, one.field, one.wanted, one.message)
            )
        before = {one.field: one.observed for one in drift}
        after = {one.field: one.wanted for one in drift}
        if request is not None:
            after["task"] = request.to_result()
            before["task"] = None
        texts = {
            "created": "A backup task was asked for" + (": %s" % message if message else ""),
            "pending": "The task was asked for; its first backup has not appeared yet",
            "present": "The task exists: %d live series" % len(live),
        }
        return {
            "changed": action == "created",
            "action": action,
            "msg": texts[action],
            "request": (request or self.request).to_result(),
            "evidence": {
                "series": [series.key for series in live],
                "markers": [marker.to_result() for marker in pending],
            },
            "engines_seen": sorted({series.engine for series in live if series.engine}),
            "series": [series.to_result() for series in live],
            "drift": [one.to_result() for one in drift],
            "diff": {"before": before, "after": after},
        }

    def wait(self):
        """The first new backup of the engines that were waited for; raises BackupError if it failed or none comes."""
        engines = [finding.engine for finding in self.findings if not finding.live]
        known = {backup.id for backup in self.backups}
        return wait_for_backup(self._list, known, engines, self.params, self.context)


def _with_memory(drift, request, markers):
    """Drift seen in the backups, and what only the marker of the request knows: the options no backup shows."""
    remembered = min((request_drifts(request, marker.request) for marker in markers), key=len, default=[])
    seen = {one.field for one in drift}
    return drift + [one for one in remembered if one.field not in seen]


def _unique(drift):
    return list({(one.field, one.message): one for one in drift}.values())
