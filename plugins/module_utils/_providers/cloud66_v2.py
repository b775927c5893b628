# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Cloud 66, API v2, whose documentation was withdrawn in 2014: whether it still answers is not known.

It lists the same records as version 3 does, whole and under another name, and hands a backup out as a chain of exports,
each of which names the extension to ask for next.
"""

from __future__ import annotations

from .._backup import BackupFile
from .._errors import ApiError, NotFoundError, OptionError
from . import _fields as fields
from ._base import Listing
from .cloud66 import Cloud66Api, unwrap

# As many files as no backup has (3 TB in parts of 350 MB); a chain that goes on is not believed.
MAX_FILES = 10000
# What an import is refused for, and the option that is meant.
_IMPORT_REFUSALS = {
    "no managed backup group id": "group",
    "cannot find backup group": "group",
    "no database type": "engine",
    "cannot find backup job on group": "engine",
    "no remote url": "remote_url",
}


class Cloud66V2(Cloud66Api):
    name = "cloud66_v2"
    title = "Cloud 66, API version 2"
    version = 2
    capabilities = frozenset(("list", "get", "files", "fetch", "import", "sizes", "verified", "restore_status"))
    understands = {"import": ("group", "engine", "remote_url")}
    instead = {
        "sources": "version 2 of the API has no such call; provider cloud66 lists the stacks",
        "schedule": "version 2 of the API has no such call; provider cloud66 creates backup tasks",
        "unschedule": "no version of the API has such a call; "
        "delete the task by hand in the Cloud 66 dashboard (the stack's Database Backups page)",
        "run": "no version of the API has such a call; backup_task of provider cloud66 makes a schedule",
        "delete": "no version of the API has such a call; keep_count of a task bounds how many are kept",
    }

    # -- reading ---------------------------------------------------------------------------------------------------

    def list_backups(self, source, group=None, engine=None, datastore=None):
        """All of them: no filter of this version is known."""
        records, warnings = self._pages(fields.path("stacks", source, "managed_backups"), {})
        return Listing([self._backup(source, record) for record in records], warnings, whole=not warnings)

    def get_backup(self, source, backup_id):
        """One of the list: a single backup has no call here."""
        for backup in self.list_backups(source).backups:
            if backup.id == backup_id:
                return backup
        raise NotFoundError("%s has no backup %s" % (source, backup_id), id=backup_id)

    def list_files(self, source, backup_id):
        files, extension = {}, ""
        while not files or extension:
            # A file's id is where it is exported: of the first one no extension is known.
            place = "export" + (fields.path(extension) if extension else "")
            if place in files or len(files) == MAX_FILES:
                raise ApiError(
                    "The files of backup %s go in circles, or have no end: after %d of them comes %r"
                    % (backup_id, len(files), extension),
                    code="paging",
                )
            record = self._export(backup_id, place)
            name = fields.text(record.get("file_name")) or extension or "backup-%s" % backup_id
            # The URL is a secret, and will be too old when it is wanted.
            shown = {field: value for field, value in record.items() if field != "url"}
            files[place] = BackupFile(place, name, fields.positive(record.get("size")), shown)
            extension = _next_extension(record, backup_id)
        return list(files.values())

    def file_access(self, source, backup_id, file):
        record = self._export(backup_id, file.id)
        return self._access(backup_id, file.name, record, record.get("url"))

    def _export(self, backup_id, place):
        answer = self._client.get("%s/%s" % (fields.path("backups", backup_id), place)).data
        record = unwrap(answer, dict, "an export")
        if record.get("ok") is False:
            reason = fields.text(record.get("message")) or "the answer says ok: false"
            raise ApiError("Cloud 66 does not export backup %s: %s" % (backup_id, reason), code="not_ok")
        return record

    # -- writing ---------------------------------------------------------------------------------------------------

    def import_backup(self, source, request):
        path = fields.path("backups", request.group, "import")
        try:
            return self._post(path, {"db_type": request.engine, "remote_url": request.url})
        except ApiError as error:
            raise _wrong_option(error) or error


def _next_extension(record, backup_id):
    """The extension of the next file, "" after the last one."""
    found = record.get("next_extension", [])
    if isinstance(found, (dict, list, bool)):
        # Taken for the end, it would make a backup that looks whole and is not.
        raise ApiError(
            "Cloud 66 does not say whether backup %s has more files: next_extension is missing or odd" % backup_id,
            code="incomplete",
        )
    return fields.text(found) or ""


def _wrong_option(error):
    """The OptionError that a refusal amounts to, None where the service means something else."""
    if error.details.get("status") not in (400, 404):
        return None
    text = error.message.lower()
    option = next((option for words, option in _IMPORT_REFUSALS.items() if words in text), None)
    return OptionError(option, error.message, status=error.details["status"]) if option else None
