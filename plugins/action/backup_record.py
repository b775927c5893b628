# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timezone

from ansible.module_utils.basic import env_fallback
from ansible.plugins.action import ActionBase

from ansible_collections.restorable.backups.plugins.module_utils._values import format_time
from ansible_collections.restorable.backups.plugins.plugin_utils import _records

ARGUMENT_SPEC = {
    "dest": {"type": "path", "default": "backup-results", "fallback": (env_fallback, ["RESTORABLE_RESULTS_DIR"])},
    "name": {"type": "str"},
    "provider": {"type": "str", "default": "cloud66"},
    "source": {"type": "str"},
    "task": {"type": "dict"},
    "run": {"type": "dict"},
    "check": {"type": "dict"},
    "fetch": {"type": "dict"},
    "verify": {"type": "dict"},
    "drill": {"type": "dict"},
    "proof": {"type": "dict"},
    "drill_choice": {"type": "dict"},
}


class ActionModule(ActionBase):
    """Writes one host's record on the controller: no connection to the host, nothing run on it."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        dummy, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        host = task_vars["inventory_hostname"]
        record = _records.make_record(
            host,
            format_time(datetime.now(timezone.utc)),
            **{key: options[key] for key in ARGUMENT_SPEC if key not in ("dest", "name")}
        )
        path = _records.record_path(options["dest"], options["name"] or host)
        try:
            old = _records.read_json(path)
        except (OSError, ValueError):
            old = None
        result.update(
            changed=not _records.unchanged(old, record), path=path, record=record, summary=_records.summary(record)
        )
        if not self._task.check_mode:
            try:
                _records.write_json(path, record)
            except _records.RecordError as error:
                result.update(failed=True, changed=False, msg=str(error))
        return result
