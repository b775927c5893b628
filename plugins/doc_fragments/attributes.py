# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Attributes of every module that runs in the controller's process.
    DOCUMENTATION = r"""
attributes:
  action:
    description: Runs on the controller, and so needs no connection and no Python on the host.
    support: full
  async:
    description: Supports use with the C(async) keyword.
    support: none
  action_group:
    description: Takes defaults from C(module_defaults) of the group C(restorable.backups.backups).
    support: full
    membership:
      - restorable.backups.backups
"""

    # Modules that only read.
    READING = r"""
attributes:
  check_mode:
    description: Can run in check mode and do no more there than otherwise.
    support: full
    details:
      - It never writes.
  diff_mode:
    description: Returns details on what has changed, in diff mode.
    support: none
    details:
      - There is nothing to change.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""

    # Modules that write.
    WRITING = r"""
attributes:
  check_mode:
    description: Reads as in a real run, predicts its result and diff exactly, and writes nothing.
    support: full
  diff_mode:
    description: Returns details on what has changed or would change, in diff mode.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
"""
