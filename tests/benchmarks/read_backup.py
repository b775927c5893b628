# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a backup as backup_file_verify does on a host, in a process of its own: rows, inflater and the most memory used.

Usage: read_backup.py FILE [--without-isal]
"""

from __future__ import annotations

import json
import resource
import sys

if "--without-isal" in sys.argv:
    sys.modules["isal"] = None

from ansible_collections.restorable.backups.plugins.module_utils import _archive  # noqa: E402

found = _archive.examine([sys.argv[1]])
rows = sum(count or 0 for member in found.contents for count in member.tables.values())
print(json.dumps({"valid": found.valid, "problems": found.problems, "rows": rows, "inflater": found.inflater,
                  "plain_bytes": found.plain_bytes,
                  "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
