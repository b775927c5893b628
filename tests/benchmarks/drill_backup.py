# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drill a file as backup_drill does on a host, in a process of its own. Usage: drill_backup.py FILE JOBS"""

from __future__ import annotations

import json
import sys

from ansible_collections.restorable.backups.plugins.module_utils._operations import drill

params = {name: about.get("default") for name, about in drill.SPEC["argument_spec"].items()}
params.update(path=[sys.argv[1]], jobs=int(sys.argv[2]))
result = drill.run(params)
print(json.dumps({name: result[name] for name in ("proven", "violations", "timings")}
                 | {"rows": sum(one["rows"] for one in result["restored"]), "server": result["restored"][0]["server_version"]}))
