# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What a provider offers to the operations: HTTP on one side, the model on the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional

from .._errors import OptionError, UnsupportedError

# What a provider may be able to do, in the words of its methods, with what needs it. docs/providers.md is made of this.
OPERATIONS = {
    "list": "`backup_info`, `backup_check`, and whatever looks before it acts",
    "get": "`backup_info` and `backup_file_fetch` with `id`, waiting",
    "files": "`backup_info` with `files`, `backup_file_fetch`",
    "fetch": "`backup_file_fetch`",
    "sources": "the inventory plugin `sources`",
    "schedule": "`backup_task`",
    "unschedule": "`backup_task` with `state: absent`",
    "run": "`backup_run`",
    "import": "`backup_import`",
    "delete": "`backup_run` with `state: absent`",
}
# What the service may say of a backup.
FACTS = {
    "sizes": "`size_bytes`, `min_size`, `max_size_drop`",
    "verified": "`verify_status`, `require_verified`",
    "restore_status": "`restore_status`",
}
# How the operations are spoken of in a message: "provider x cannot ...".
_IN_WORDS = {
    "list": "list backups",
    "get": "show a single backup",
    "files": "list the files of a backup",
    "fetch": "hand out the files of a backup",
    "sources": "list what it backs up",
    "schedule": "create a schedule",
    "unschedule": "remove a schedule",
    "run": "take a backup on request",
    "import": "import a backup",
    "delete": "delete a backup",
    "sizes": "tell how large backups are",
    "verified": "tell whether backups were verified",
}
# What works in place of a fact, whoever does not tell it.
_IN_PLACE_OF_FACTS = {
    "sizes": "leave out min_size and max_size_drop; a file that backup_file_fetch has brought tells its size",
    "verified": "leave out require_verified; bring a file with backup_file_fetch and look into it",
}


@dataclass(frozen=True)
class Option:
    """A connection option as one provider has it: its own default, and the variables that stand in for it, best first."""

    default: Any = None
    env: tuple = ()


def _ignore(_text):
    """For those who are told nothing."""


@dataclass
class Surroundings:
    """What a provider may use of the controller.

    ``environment`` is the process's own with that of the task on top. ``private_dir`` is a folder that only this user may
    enter, shared by all processes of this run and removed at its end (None: there is none). ``hide`` takes a secret that
    no option held, so that it is kept out of every output.
    """

    warn: Callable = _ignore
    environment: Mapping = field(default_factory=dict)
    private_dir: Optional[str] = None
    hide: Callable = _ignore


@dataclass
class Listing:
    """Backups of one source in no particular order, each once, and what the user should know of how they were read.

    ``whole`` is False where some may be missing: such a list is shown, and nothing is written on its strength.
    """

    backups: list
    warnings: list = field(default_factory=list)
    whole: bool = True


class Provider:
    """Base of the providers. ``capabilities`` names the OPERATIONS that the API can do and the FACTS that it tells.

    Sizes are bytes, times aware UTC datetimes. Every call raises the kinds of ApiError.
    """

    name = ""
    title = ""
    capabilities = frozenset()
    # The connection options that it has, beside those that all share.
    options = {}
    # What a source is, for messages and docs.
    source_words = "a source"
    # Engines a task may be asked for; empty where the API's own word is unknown to us.
    engines = ()
    # Operation -> one sentence: what works instead.
    instead = {}
    # Operation -> those options of its module that not every provider has, and this one does.
    understands = {}
    # Option that it does not have -> one sentence: why not, and what works instead.
    why_not = {}
    # "record": a task can be read and changed. "order": it can only be asked for, and seen by what it makes.
    task_kind = "order"
    # The same of imports.
    import_kind = "order"

    def require(self, operation):
        """Raise UnsupportedError, before any request, for what this API cannot do, or does not tell."""
        if operation not in self.capabilities:
            hint = self.instead.get(operation) or _IN_PLACE_OF_FACTS.get(operation)
            raise UnsupportedError(
                "provider %s cannot %s%s" % (self.name, _IN_WORDS[operation], ": " + hint if hint else ""),
                provider=self.name,
                operation=operation,
            )

    def check_understood(self, operation, params, options):
        """Raise OptionError for an option that is set, of those that only some providers have, and not this one."""
        known = self.understands.get(operation, ())
        for option in options:
            if params.get(option) not in (None, False) and option not in known:
                what = "it has " + ", ".join(known) if known else "it has none of this kind"
                usual = "provider %s has no such option (%s)" % (self.name, what)
                raise OptionError(option, self.why_not.get(option, usual))

    @classmethod
    def from_options(cls, params, around):
        """The provider for these options. Nothing is sent yet."""
        raise NotImplementedError

    @property
    def address(self):
        """What tells one account of one service from another, without a secret: part of a marker's key."""
        raise NotImplementedError

    def source_key(self, source):
        """One spelling for a source, however it was given: part of a marker's key. May ask the service."""
        return source

    # -- reading ---------------------------------------------------------------------------------------------------

    def list_backups(self, source, group=None, engine=None, datastore=None):
        """A Listing of all pages. The options narrow it where the API can."""
        raise NotImplementedError

    def get_backup(self, source, backup_id):
        raise NotImplementedError

    def list_files(self, source, backup_id):
        """The BackupFiles in the order in which they make up the backup."""
        raise NotImplementedError

    def file_access(self, source, backup_id, file):
        """A FileAccess for one of ``list_files``. It may expire within minutes."""
        raise NotImplementedError

    def access_refused(self, access):
        """A storage has refused a FileAccess: the next one shall not hold the same credential, where there is another."""

    def list_sources(self):
        """The Sources of the account."""
        raise NotImplementedError

    # -- writing ---------------------------------------------------------------------------------------------------

    def create_task(self, source, request):
        """Send the TaskRequest, once. Returns the service's message. Raises OutcomeUnknownError in doubt."""
        raise NotImplementedError

    def wanted_task(self, params, current):
        """The settings that a task should have, of the options and of the TaskRecord that is there. Sends nothing."""
        raise NotImplementedError

    def read_task(self, source):
        """The TaskRecord of a source, None without one."""
        raise NotImplementedError

    def write_task(self, source, current, settings):
        """Create the task (``current`` None) or change it; the TaskRecord as it is then."""
        raise NotImplementedError

    def delete_task(self, source, current):
        raise NotImplementedError

    def run_task_now(self, source, current):
        raise NotImplementedError

    def check_run(self, source, request):
        """Raise OptionError for a RunRequest that ``run_backup`` would refuse unsent. Sends nothing."""

    def run_backup(self, source, request):
        """Send the RunRequest, once. The new Backup, or None where the service does not name it."""
        raise NotImplementedError

    def delete_backup(self, source, backup_id):
        raise NotImplementedError

    def find_imported(self, request):
        """A Listing of the Backups that an ImportRequest may have led to before; for services that show them."""
        raise NotImplementedError

    def check_import(self, request):
        """Raise BackupError for an ImportRequest that ``import_backup`` would refuse unsent. Reads at the most."""

    def import_backup(self, source, request):
        """Send the ImportRequest, once. The new Backup where the service shows it, else its message.

        Raises OutcomeUnknownError in doubt.
        """
        raise NotImplementedError
