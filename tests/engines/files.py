# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of files that are there, read by the readers of their formats, as a drill makes them."""

from __future__ import annotations

import os
import pwd

from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Files
from ansible_collections.restorable.backups.plugins.module_utils._engines import Job

# Drills of root run their servers as somebody else; those of anybody else as themselves.
RUN_AS = pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def job_of(path):
    """The job of one file or folder that lies on the disk by itself; its members must be without problems."""
    examination = _archive.examine([str(path)])
    assert examination.problems == [], examination.problems
    (member,) = examination.contents
    plain = not member.compression or os.path.isdir(path)
    return Job(member, lambda: Files([str(path)]), str(path) if plain else None)


def unread_job(path, name, form):
    """A job of a file that no reader has looked at: what a restore notices by itself."""
    member = _archive.Member(name, format=form)
    return Job(member, lambda: Files([str(path)]), str(path))
