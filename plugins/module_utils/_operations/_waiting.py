# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Waiting for what a request leads to."""

from __future__ import annotations

from .._backup import FAILED, RUNNING
from .._errors import BackupError, OptionError, UnavailableError
from .._values import format_duration


def check_wait(params):
    """Raise OptionError for a wait that would never end, or never look."""
    for option in ("wait_interval", "wait_timeout"):
        if params[option] < 1:
            raise OptionError(option, "must be 1 second or more")


def in_words(backup):
    """The status of a backup, with the service's own word for it where that says more."""
    word = backup.raw.get("status")
    more = isinstance(word, str) and word.lower() != backup.status
    return "%s (%s)" % (backup.status, word) if more else backup.status


def wait_until(look, late, params, context):
    """Call ``look()`` until it finds something, and return that.

    After ``wait_timeout`` seconds, those that the looks took included, a BackupError begins with the words of
    ``late()`` and has its details: it returns both. A service that is away for a while is warned of, and looked at again.
    """
    began = context.now()
    while True:
        try:
            found = look()
        except UnavailableError as error:
            context.warn("While waiting: %s" % error.message)
            found = None
        if found:
            return found
        waited = (context.now() - began).total_seconds()
        if waited >= params["wait_timeout"]:
            text, details = late()
            raise BackupError(
                "%s after %s" % (text, format_duration(waited)),
                code="wait_timeout",
                waited_seconds=int(waited),
                **details,
            )
        context.sleep(min(params["wait_interval"], params["wait_timeout"] - waited))


def wait_for_backup(read, known, engines, params, context):
    """Read until every engine (None: any) has a finished backup that is not ``known``; the newest of those.

    Raises BackupError at once if one failed, and when ``wait_timeout`` seconds have passed.
    """

    def look():
        fresh = [
            backup
            for backup in read()
            if backup.id not in known and backup.status != RUNNING and (None in engines or backup.engine in engines)
        ]
        for backup in fresh:
            if backup.status == FAILED:
                raise BackupError(
                    "The first backup %s failed%s" % (backup.id, ": " + backup.message if backup.message else ""),
                    code="first_backup_failed",
                    id=backup.id,
                )
        whole = all(engine is None or any(backup.engine == engine for backup in fresh) for engine in engines)
        return fresh[0] if fresh and whole else None

    return wait_until(look, lambda: ("No new backup of %s" % params["source"], {}), params, context)
