# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The receiving side of backup_file_fetch, on the host of the task. Python's own library only, 3.8 and later.

``_storage`` asks a storage for bytes, ``_partial`` keeps what has arrived so that a killed run can go on, ``_transfer``
brings parts in side by side and hashes them, ``_destination`` knows where they belong, ``_run`` puts these together.
None of them knows Ansible or the API. Neither a signed URL nor a credential is ever put into a message.
"""

from __future__ import annotations

from ._destination import check_attributes, check_rights, readable_mode
from ._failures import ReceiveError, credentials_of, without_signatures
from ._run import inspect, receive, release

__all__ = (
    "ReceiveError",
    "check_attributes",
    "check_rights",
    "credentials_of",
    "inspect",
    "readable_mode",
    "receive",
    "release",
    "without_signatures",
)
