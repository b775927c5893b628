# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Waiting for the backup that a request leads to."""

from __future__ import annotations

from contextlib import contextmanager

from .._backup import FAILED, RUNNING
from .._errors import BackupError, OptionError, UnavailableError
from .._values import format_duration


def check_wait(params):
    """Raise OptionError for a wait that would never end, or never look."""
    for option in ("wait_interval", "wait_timeout"):
        if params[option] < 1:
            raise OptionError(option, "must be 1 second or more")


@contextmanager
def done_before(changed):
    """A wait that fails does not undo the request before it: the error says that something was changed."""
    try:
        yield
    except BackupError as error:
        error.changed = changed
        raise


def wait_for_backup(read, known, engines, params, context):
    """Read until every engine (None: any) has a finished backup that is not ``known``; the newest of those.

    Raises BackupError at once if one failed, and when ``wait_timeout`` seconds have passed.
    """
    waited = 0
    while True:
        try:
            fresh = [
                backup
                for backup in read()
                if backup.id not in known and backup.status != RUNNING and (None in engines or backup.engine in engines)
            ]
        except UnavailableError as error:
            context.warn("While waiting: %s" % error.message)
            fresh = []
        for backup in fresh:
            if backup.status == FAILED:
                raise BackupError(
                    "The first backup %s failed%s" % (backup.id, ": " + backup.message if backup.message else ""),
                    code="first_backup_failed",
                    id=backup.id,
                )
        if fresh and all(engine is None or any(b.engine == engine for b in fresh) for engine in engines):
            return fresh[0]
        if waited >= params["wait_timeout"]:
            raise BackupError(
                "No new backup of %s after %s" % (params["source"], format_duration(waited)),
                code="wait_timeout",
                waited_seconds=waited,
            )
        pause = min(params["wait_interval"], params["wait_timeout"] - waited)
        context.sleep(pause)
        waited += pause
