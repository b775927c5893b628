# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Options of the modules that read a backup's files on the host.
    DOCUMENTATION = r"""
options:
  path:
    description:
      - The backup on the host of the task. One file, the parts of one file in their order, or one folder.
      - A folder may be what M(restorable.backups.backup_file_fetch) made with O(restorable.backups.backup_file_fetch#module:parts=keep),
        parts of one file under names that end like C(-aa) or C(.001), or a dump that consists of many files.
    type: list
    elements: path
    required: true
    aliases: [src, paths]
  max_ratio:
    description:
      - How many times larger than its compressed size a file may become when it is read. More is taken for a
        decompression bomb, and reading stops.
      - Up to 256 MiB are read in any case.
    type: float
    default: 250
  max_plain_size:
    description: How large a compressed file may become at most when it is read, such as V(200GB). No limit when not set.
    type: str
"""

    # Attributes of modules that work on the host and read only.
    ON_HOST = r"""
attributes:
  action_group:
    description: Takes defaults from C(module_defaults) of the group C(restorable.backups.backups).
    support: none
    details:
      - That group is for modules that ask a service.
    membership: []
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Returns details on what has changed, in diff mode.
    support: none
    details:
      - There is nothing to change.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: Where it can run.
    platforms: posix
    support: full
"""
