# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_run with ``state: absent``: ensure that a backup is gone, and none that was not meant goes with it."""

from __future__ import annotations

from .._backup import FAILED, RUNNING, newest_first
from .._errors import BackupError, NotFoundError, OptionError, OutcomeUnknownError, done_before
from ._waiting import in_words, wait_until


def delete(params, provider, context):
    """The module's result. Raises BackupError where more, or something else, would be deleted than was meant."""
    _check(params)
    source = params["source"]
    listing = provider.list_backups(source)
    for warning in listing.warnings:
        context.warn(warning)
    root = _meant(params, provider, listing)
    if root is None:
        return _result(context, "absent", "There is no such backup", [])
    chain = _chain(root, listing.backups)
    _check_chain(params, chain, listing)
    if context.check_mode:
        return _result(context, "deleted", "The backup would be deleted", chain)
    try:
        provider.delete_backup(source, root.id)
    except NotFoundError:
        return _result(context, "absent", "Somebody else has just deleted it", [])
    except OutcomeUnknownError as error:
        if not _seems_gone(provider, source, root):
            error.message += (
                ". Whether backup %s of %s is being deleted is unknown, and the request is not sent again: see with "
                "backup_info whether it goes" % (root.id, source)
            )
            raise
        context.warn("%s; the backup is gone all the same" % error.message)
    if params["wait"]:
        with done_before(True):
            _wait(params, provider, context, chain)
    return _result(
        context, "deleted", "The backup was deleted" if params["wait"] else "The backup is being deleted", chain
    )


def _check(params):
    for option in ("id", "name"):
        if params[option] is not None and not params[option].strip():
            raise OptionError(option, "is empty")
    if (params["id"] is None) == (params["name"] is None):
        raise OptionError("id", "state: absent needs either id or name, which say what to delete")


def _meant(params, provider, listing):
    """The backup that the options name, None where there is none such. Raises BackupError if that is not clear."""
    if params["name"] is not None:
        found = newest_first([backup for backup in listing.backups if backup.name == params["name"]])
        if len(found) > 1:
            ids = ", ".join(backup.id for backup in found)
            raise OptionError(
                "name", "%s has several backups of this name; give the id of one: %s" % (params["source"], ids)
            )
    else:
        found = [backup for backup in listing.backups if backup.id == params["id"]]
    if found:
        return found[0]
    if not listing.whole:
        raise BackupError(
            "%s lists no such backup, but the list may not be whole (%s): whether it is gone is not to be known"
            % (params["source"], "; ".join(listing.warnings)),
            code="in_doubt",
        )
    if params["id"] is not None and params["source"] != "*":
        _check_not_elsewhere(params, provider)
    return None


def _check_not_elsewhere(params, provider):
    try:
        other = provider.get_backup("*", params["id"])
    except NotFoundError:
        return
    whose = "of " + other.source if other.source else "an imported one, which source: '*' reaches"
    raise OptionError("id", "%s is no backup of %s, but %s" % (other.id, params["source"], whose))


def _chain(root, backups):
    """The backup and all that build upon it, each before those that build upon it."""
    chain = [root]
    for parent in chain:
        chain += [backup for backup in backups if backup.parent_id == parent.id and backup not in chain]
    return chain


def _check_chain(params, chain, listing):
    root, children = chain[0], chain[1:]
    for backup in chain:
        if backup.status == RUNNING:
            raise BackupError(
                "Backup %s is %s, and is not deleted before it has ended" % (backup.id, in_words(backup)),
                code="backup_running",
                id=backup.id,
            )
    if params["cascade"]:
        return
    if children:
        raise BackupError(
            "The service deletes with backup %s those that build upon it: %s. cascade: true says that this is meant"
            % (root.id, ", ".join(backup.id for backup in children)),
            code="has_children",
            id=root.id,
            children=[backup.id for backup in children],
        )
    if not listing.whole:
        raise BackupError(
            "The list of backups may not be whole (%s), and the service would delete with backup %s those that build "
            "upon it. cascade: true says that this is meant" % ("; ".join(listing.warnings), root.id),
            code="in_doubt",
            id=root.id,
        )


def _wait(params, provider, context, chain):
    """Wait until the whole chain is gone."""
    left = list(chain)

    def look():
        while left and _is_gone(provider, params["source"], left[-1]):
            left.pop()
        return not left

    def late():
        return "Backup %s is still there" % left[-1].id, {"id": left[-1].id, "status": left[-1].status}

    wait_until(look, late, params, context)


def _is_gone(provider, source, backup):
    try:
        now = provider.get_backup(source, backup.id)
    except NotFoundError:
        return True
    if now.status == FAILED and backup.status != FAILED:
        raise BackupError(
            "Backup %s could not be deleted: it is %s" % (backup.id, in_words(now)), code="delete_failed", id=backup.id
        )
    return False


def _seems_gone(provider, source, backup):
    """The same, of one look that may fail."""
    try:
        return _is_gone(provider, source, backup)
    except BackupError:
        return False


def _result(context, action, text, chain):
    ids = [backup.id for backup in reversed(chain)]
    return {
        "changed": bool(chain),
        "action": action,
        "msg": text,
        "backup": chain[0].to_result(context.now()) if chain else None,
        "deleted": ids,
        "diff": {"before": {"backups": ids} if ids else {}, "after": {"backups": []} if ids else {}},
    }
