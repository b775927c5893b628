# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_task where the service shows its tasks, one for each source: what is wanted is compared with what is there."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from .._backup import newest_first
from .._errors import OptionError, done_before
from .._markers import MarkerBook
from .._options import duration
from .._schedule import Schedule
from ._waiting import wait_for_backup

_TEXTS = {
    "created": "The backup task was created",
    "updated": "The backup task was changed",
    "present": "The backup task is as wanted",
    "pending": "The backup task is as wanted; its first backup is still to come",
    "deleted": "The backup task was removed",
    "absent": "There is no backup task",
}


def ensure_record(params, provider, context):
    """The module's result. Raises BackupError."""
    source, absent = params["source"], params["state"] == "absent"
    if absent and params["run_now"]:
        raise OptionError("run_now", "goes with state: present")
    with contextlib.ExitStack() as stack:
        if params["evidence"] == "marker" and not context.check_mode:
            # The service has no such lock: of two runs at once, both would find no task and create one.
            place = provider.source_key(source)
            book = MarkerBook(params["state_dir"], "task", provider.name, provider.address, place)
            stack.enter_context(book.lock())
        current = provider.read_task(source)
        if current is None and params["frequency"] is None:
            params = dict(params, frequency=params["default_frequency"])
        settings = None if absent else provider.wanted_task(params, current)
        before = current.settings if current else None
        action = _action(before, settings)
        if action == "present" and _is_pending(current, duration(params, "grace"), context.now()):
            action = "pending"
        result = {
            "changed": action in ("created", "updated", "deleted") or params["run_now"],
            "action": action,
            "msg": _TEXTS[action] + (", and a backup was asked for" if params["run_now"] else ""),
            "request": settings or {},
            "evidence": {"task": current.id if current else None},
            "diff": {"before": {"task": before}, "after": {"task": settings}},
        }
        if params["run_now"]:
            result["diff"]["after"]["run_now"] = True
        if context.check_mode:
            return result
        awaited = params["wait"] and (action == "created" or params["run_now"])
        known = {backup.id for backup in provider.list_backups(source).backups} if awaited else set()
        if action in ("created", "updated"):
            current = provider.write_task(source, current, settings)
            result["evidence"]["task"] = current.id
        elif action == "deleted":
            provider.delete_task(source, current)
        if params["run_now"]:
            with done_before(action in ("created", "updated")):
                provider.run_task_now(source, current)
    if awaited:
        with done_before(True):
            backup = wait_for_backup(
                lambda: newest_first(provider.list_backups(source).backups), known, [None], params, context
            )
        result["backup"] = backup.to_result(context.now())
    return result


def _is_pending(task, grace, now):
    """True until the first backup of a task that has not run yet is due, and some time to be late is over."""
    if task.first_due is None:
        return False
    grace = Schedule(task.settings["frequency"]).default_grace if grace is None else grace
    return now <= task.first_due + timedelta(seconds=grace)


def _action(before, after):
    if after is None:
        return "absent" if before is None else "deleted"
    if before is None:
        return "created"
    return "present" if before == after else "updated"
