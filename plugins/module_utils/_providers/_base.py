# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What a provider offers to the operations: HTTP on one side, the model on the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._errors import UnsupportedError


@dataclass
class Listing:
    """Backups of one source in no particular order, each once, and what the user should know of how they were read."""

    backups: list
    warnings: list = field(default_factory=list)


class Provider:
    """Base of the providers. ``capabilities`` names the operations below that the API can do.

    Sizes are bytes, times aware UTC datetimes. Every call raises the kinds of ApiError.
    """

    name = ""
    capabilities = frozenset()
    # Engines a task may be asked for; empty where the API's own word is unknown to us.
    engines = ()
    # Operation -> one sentence: what works instead.
    instead = {}

    def require(self, operation):
        """Raise UnsupportedError, before any request, for what this API cannot do."""
        if operation not in self.capabilities:
            raise UnsupportedError(
                "provider %s cannot %s%s"
                % (self.name, operation.replace("_", " "), ": " + self.instead[operation] if operation in self.instead else ""),
                provider=self.name,
                operation=operation,
            )

    @classmethod
    def from_options(cls, params, on_warning):
        raise NotImplementedError

    @property
    def address(self):
        """What tells one account of one service from another, without a secret: part of a marker's key."""
        raise NotImplementedError

    def list_backups(self, source, group=None, engine=None):
        """A Listing of all pages. ``group`` and ``engine`` narrow it where the API can."""
        raise NotImplementedError

    def get_backup(self, source, backup_id):
        raise NotImplementedError

    def list_files(self, source, backup_id):
        """The BackupFiles in the order in which they make up the backup."""
        raise NotImplementedError

    def file_url(self, source, backup_id, file_id):
        """A URL that needs no credential and may expire within minutes: a secret."""
        raise NotImplementedError

    def create_task(self, source, request):
        """Send the TaskRequest, once. Returns the service's message. Raises OutcomeUnknownError in doubt."""
        raise NotImplementedError

    def import_backup(self, source, group, engine, url):
        """Ask for the import, once. Returns the service's message. Raises OutcomeUnknownError in doubt."""
        raise NotImplementedError

    def list_sources(self):
        """The sources of the account, as dicts with at least ``id`` and ``name``."""
        raise NotImplementedError
