# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_run: ensure that there is a backup younger than ``max_age``, by taking one; or that one is gone.

What the service lists decides: a backup that is young enough, or one that is being made, is what was wanted. The marker
of a request, written before it is sent, only tells other runs on this controller that there was one, so that they look
again, and wait for what a service has begun, or may have, and does not list yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Optional

from .._backup import FAILED, RUNNING, Backup, RunRequest, newest_first
from .._errors import ApiError, BackupError, NotFoundError, OptionError, OutcomeUnknownError, done_before
from .._markers import DONE, INTENT, MarkerBook
from .._options import STATE_DIR_OPTION, duration, source_option, with_provider
from .._values import format_duration, format_time
from ._deletion import delete
from ._waiting import check_wait, in_words, wait_until

SPEC = {
    "argument_spec": with_provider(
        source=source_option(required=True),
        state={"type": "str", "default": "present", "choices": ["present", "absent"]},
        max_age={"type": "str", "default": "24h"},
        incremental={"type": "bool"},
        parent_id={"type": "str"},
        name={"type": "str"},
        description={"type": "str"},
        swift_container={"type": "str"},
        copy_to={"type": "list", "elements": "str"},
        all_sources={"type": "bool", "default": False},
        id={"type": "str", "aliases": ["backup_id"]},
        cascade={"type": "bool", "default": False},
        wait={"type": "bool", "default": True},
        wait_timeout={"type": "int", "default": 7200},
        wait_interval={"type": "int", "default": 10},
        state_dir=STATE_DIR_OPTION,
    ),
    "supports_check_mode": True,
}
# What a RunRequest may hold and not every provider has.
_REQUESTED = ("name", "description", "incremental", "parent_id", "swift_container", "copy_to", "all_sources")
# How far the clocks of a service and of this controller may be apart.
_SKEW = timedelta(minutes=5)
# A name that we make up is 64 characters long at the most, which is what the strictest service takes.
_ROOM = 36
_KEY = "run"


def run(params, provider, context):
    if params["state"] == "absent":
        provider.require("delete")
        check_wait(params)
        return delete(params, provider, context)
    provider.require("run")
    provider.check_understood("run", params, _REQUESTED)
    _check(params)
    return _Run(params, provider, context).ensure()


def _check(params):
    check_wait(params)
    if params["source"] == "*":
        raise OptionError("source", "means all sources: name the one to back up")
    for option in ("id", "cascade"):
        if params[option]:
            raise OptionError(option, "is about a backup to delete, with state: absent")
    for option in ("name", "parent_id"):
        if params[option] is not None and not params[option].strip():
            raise OptionError(option, "is empty")
    if params["parent_id"] is not None and params["incremental"] is False:
        raise OptionError("parent_id", "makes an incremental backup, and incremental is false")


@dataclass
class _Outcome:
    """How it stands with the wanted backup. ``backup`` is None where the service begins one without saying which."""

    action: str
    backup: Optional[Backup] = None
    # When the request for it was sent, as far as that is known.
    asked_at: Optional[datetime] = None
    markers: list = field(default_factory=list)
    sources_started: Optional[list] = None


class _Run:
    """The wanted backup of one source, between what the service lists and what is asked of it."""

    def __init__(self, params, provider, context):
        self.params, self.provider, self.context = params, provider, context
        self.source, self.max_age = params["source"], duration(params, "max_age")
        # A service that can only be asked to back up everything does not say which backups it begins.
        self.starts_all = "all_sources" in provider.understands.get("run", ())
        self.book = None
        self.backups = []
        # What the provider says of a list that may not be whole, None of one that is.
        self.gaps = None

    def ensure(self):
        self.provider.check_run(self.source, self._request(self.context.now()))
        place = "all sources" if self.starts_all else self.provider.source_key(self.source)
        self.book = MarkerBook(self.params["state_dir"], "run", self.provider.name, self.provider.address, place)
        outcome = self._decide()
        if self.params["wait"] and not self.context.check_mode and outcome.action != "present":
            with done_before(outcome.action == "created"):
                self._wait(outcome)
        return self._result(outcome)

    def _decide(self):
        marker = self.book.get(_KEY)
        self._read()
        # A request that is still open may yet be refused: that is known when its run has let go of the lock.
        is_open = marker is not None and marker.state == INTENT and not self.context.check_mode
        found = self._look(None if is_open else marker)
        if found:
            return found
        self._check_whole()
        self._check_parent()
        started = self._sources_to_start()
        if self.context.check_mode:
            return _Outcome("created", sources_started=started)
        with self.book.lock():
            latest = self.book.get(_KEY)
            if is_open or latest != marker:
                # Another run has asked since we looked, or is not known to have ended before.
                self._read()
                found = self._look(latest)
                if found:
                    return found
                self._check_whole()
            return self._take(started, latest)

    def _read(self):
        listing = self.provider.list_backups(self.source)
        for warning in listing.warnings:
            self.context.warn(warning)
        self.gaps = None if listing.whole else "; ".join(listing.warnings)
        self.backups = newest_first(listing.backups)

    # -- evidence --------------------------------------------------------------------------------------------------

    def _look(self, marker):
        """What makes another backup needless, or None."""
        now = self.context.now()
        fresh = next((backup for backup in self.backups if backup.good and self._is_young(backup, now)), None)
        if fresh:
            return _Outcome("present", fresh)
        self._warn_of_doubtful(now)
        running = next(
            (backup for backup in self.backups if backup.status == RUNNING and self._is_young(backup, now)), None
        )
        if running:
            return _Outcome("running", running)
        if self._is_on_its_way(marker, now):
            if marker.state == INTENT:
                self.context.warn(
                    "A run that asked %s at %s to back up all its sources got no answer, or died: what that may have "
                    "led to is waited for" % (self.provider.name, format_time(marker.asked_at))
                )
            return _Outcome("running", asked_at=marker.asked_at, markers=[marker])
        return None

    def _is_young(self, backup, now):
        """Only what runs may be without a date: it does so now, as far as anybody knows."""
        if backup.created_at is None:
            return bool(self.max_age) and backup.status == RUNNING
        return bool(self.max_age) and backup.age(now) <= self.max_age

    def _warn_of_doubtful(self, now):
        for backup in self.backups:
            if backup.status == RUNNING and self.max_age and not self._is_young(backup, now):
                self.context.warn(
                    "Backup %s of %s has been %s for %s, longer than max_age: it may hang, and is not waited for"
                    % (backup.id, self.source, in_words(backup), format_duration(backup.age(now)))
                )
        undated = [backup.id for backup in self.backups if backup.good and backup.created_at is None]
        if undated:
            self.context.warn(
                "%d good backups of %s have no date, and so do not count as young (%s)"
                % (len(undated), self.source, ", ".join(undated[:3]) + (" ..." if undated[3:] else ""))
            )

    def _is_on_its_way(self, marker, now):
        """True if all sources were asked for lately, and of this one nothing has come since: it has its turn yet."""
        if not self.starts_all or marker is None:
            return False
        waited = (now - marker.asked_at).total_seconds()
        return waited <= min(self.max_age, self.params["wait_timeout"]) and all(
            backup.created_at is not None and backup.created_at < marker.asked_at - _SKEW for backup in self.backups
        )

    def _new(self, known, since):
        """Backups that were not ``known`` before the request of that time, oldest first."""
        return [
            backup
            for backup in reversed(newest_first(self.provider.list_backups(self.source).backups))
            if backup.id not in known and (backup.created_at is None or backup.created_at >= since - _SKEW)
        ]

    # -- asking ----------------------------------------------------------------------------------------------------

    def _check_whole(self):
        if self.max_age and self.gaps is not None:
            raise BackupError(
                "Whether %s has a young enough backup is not to be known: the list may not be whole (%s). Nothing was "
                "sent; max_age: 0 takes a backup whatever is listed" % (self.source, self.gaps),
                code="in_doubt",
            )

    def _check_parent(self):
        wanted = self.params["parent_id"]
        parent = next((backup for backup in self.backups if backup.id == wanted), None)
        if wanted is not None and parent is None:
            raise OptionError("parent_id", "%s is no backup of %s" % (wanted, self.source))
        if parent and not parent.good:
            raise OptionError("parent_id", "%s is %s: a parent has to be a good backup" % (wanted, in_words(parent)))

    def _sources_to_start(self):
        """The sources that a request starts, where it starts more than the wanted one; None where it does not."""
        if not self.starts_all:
            return None
        sources = sorted(source.id for source in self.provider.list_sources())
        if sources == [self.source]:
            return None
        if not self.params["all_sources"]:
            raise OptionError(
                "all_sources",
                "%s can only back up all its sources at once (%s), and %s alone is wanted; all_sources: true lets it"
                % (self.provider.name, ", ".join(sources) or "of which none has a backup yet", self.source),
            )
        return sources

    def _take(self, started, earlier):
        asked_at = self.context.now()
        request = self._request(asked_at)
        noted = {"source": self.source, "name": request.name}
        # Whoever waits for the lock has looked before this request: the marker has him look again, however this ends.
        self.book.write(_KEY, INTENT, asked_at, noted)
        try:
            backup = self.provider.run_backup(self.source, request)
        except OutcomeUnknownError as error:
            backup = self._adopted(error, request, asked_at)
        except BackupError as error:
            self.book.restore(_KEY, earlier)
            if error.code != "already_running":
                raise
            return self._attached(error)
        with done_before(True):
            self.book.write(_KEY, DONE, asked_at, noted)
        return _Outcome("created", backup, asked_at, sources_started=started)

    def _request(self, now):
        name = self.params["name"]
        if name is None and "name" in self.provider.understands.get("run", ()):
            name = "restorable-%s-%s" % (self.source[:_ROOM], now.strftime("%Y%m%dT%H%M%SZ"))
        given = {option: self.params[option] for option in _REQUESTED if option != "name"}
        return RunRequest(name=name, **given)

    def _adopted(self, error, request, asked_at):
        """The backup that a request has led to although its answer is missing; raises the error where none is seen."""
        known = {backup.id for backup in self.backups}
        try:
            new = [backup for backup in self._new(known, asked_at) if request.name in (None, backup.name)]
        except ApiError:
            new = []
        if not new:
            error.message += (
                ". Whether a backup of %s was begun is unknown, and the request is not sent again: look for one%s among "
                "its backups (backup_info)"
                % (self.source, " named " + request.name if request.name else " that is younger than this run")
            )
            raise error
        self.context.warn("%s; it has led to backup %s all the same" % (error.message, new[0].id))
        return new[0]

    def _attached(self, error):
        """What is running, as the service says that something is; raises BackupError where nothing is seen."""
        now = self.context.now()
        self._read()
        found = self._look(None)
        if found:
            return found
        # Not as strict as before: it has refused another one for it, and may well take that long.
        limit = max(self.max_age, self.params["wait_timeout"])
        running = [backup for backup in self.backups if backup.status == RUNNING]
        for backup in running:
            if backup.created_at is None or backup.age(now) <= limit:
                return _Outcome("running", backup)
        hanging = ["%s, which has been %s for %s" % (b.id, in_words(b), format_duration(b.age(now))) for b in running]
        raise BackupError(
            "%s takes no backup of %s, as one is running already, and lists %s (%s)"
            % (
                self.provider.name,
                self.source,
                "only one that seems to hang: " + "; ".join(hanging) if hanging else "none that is: try again",
                error.message,
            ),
            code="already_running",
            id=running[0].id if running else None,
        )

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _wait(self, outcome):
        """Wait until the backup of the outcome is good, and set it. Raises BackupError if it fails or never is."""
        known = {backup.id for backup in self.backups}

        def look():
            if outcome.backup is None:
                outcome.backup = next(iter(self._new(known, outcome.asked_at)), None)
            else:
                outcome.backup = self._get(outcome.backup)
            if outcome.backup and outcome.backup.status == FAILED:
                raise BackupError(
                    "Backup %s of %s has failed%s"
                    % (outcome.backup.id, self.source, ": " + outcome.backup.message if outcome.backup.message else ""),
                    code="backup_failed",
                    id=outcome.backup.id,
                )
            return outcome.backup is not None and outcome.backup.good

        def late():
            backup = outcome.backup
            if backup is None:
                return "No backup of %s has appeared" % self.source, {}
            text = "Backup %s of %s is still %s" % (backup.id, self.source, in_words(backup))
            return text, {"id": backup.id, "status": backup.status}

        wait_until(look, late, self.params, self.context)

    def _get(self, backup):
        try:
            return self.provider.get_backup(self.source, backup.id)
        except NotFoundError:
            raise BackupError(
                "Backup %s of %s is gone: somebody deleted it while it was %s"
                % (backup.id, self.source, in_words(backup)),
                code="backup_gone",
                id=backup.id,
            )

    # -- telling ---------------------------------------------------------------------------------------------------

    def _result(self, outcome):
        now, backup, action = self.context.now(), outcome.backup, outcome.action
        changed = action == "created"
        # What is the same in check mode: neither the id nor a name that is made up at the time.
        wanted = {option: self.params[option] for option in _REQUESTED if self.params[option]}
        result = {
            "changed": changed,
            "action": action,
            "msg": self._text(action, backup, now),
            "backup": backup.to_result(now) if backup else None,
            "evidence": {
                "backups": [backup.id] if backup and not changed else [],
                "markers": [marker.to_result() for marker in outcome.markers],
            },
            "diff": {
                "before": {"fresh_backup": None} if changed else {},
                "after": {"fresh_backup": dict(wanted, source=self.source)} if changed else {},
            },
        }
        if outcome.sources_started is not None:
            result["sources_started"] = outcome.sources_started
        return result

    def _text(self, action, backup, now):
        if action == "present":
            return "There is a good backup, %s old" % format_duration(max(0, backup.age(now)))
        ended = backup is not None and backup.good
        if action == "running":
            return "A backup was being taken already" + (", and is good" if ended else "")
        if self.context.check_mode:
            return "A backup would be taken"
        return "A backup was taken" if ended else "A backup was asked for"
