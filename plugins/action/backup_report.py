# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from datetime import datetime, timezone

from ansible.module_utils.basic import env_fallback
from ansible.plugins.action import ActionBase

from ansible_collections.restorable.backups.plugins.module_utils._values import format_time, parse_duration
from ansible_collections.restorable.backups.plugins.plugin_utils import _records

ARGUMENT_SPEC = {
    "paths": {
        "type": "list",
        "elements": "path",
        "default": ["backup-results"],
        "fallback": (env_fallback, ["RESTORABLE_RESULTS_DIR"]),
    },
    "dest": {"type": "path"},
    "max_record_age": {"type": "str"},
    "show": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Reads records on the controller and merges them: no connection, nothing run on the host."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        dummy, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            self._report(options, result)
        except _records.RecordError as error:
            result.update(failed=True, changed=False, msg=str(error))
        return result

    def _report(self, options, result):
        max_age = None
        if options["max_record_age"] is not None:
            try:
                max_age = parse_duration(options["max_record_age"])
            except ValueError as error:
                raise _records.RecordError("max_record_age: %s" % error)
        dest = os.path.abspath(options["dest"]) if options["dest"] else None
        files = [path for path in _records.find_files(options["paths"]) if path != dest]
        records, unreadable = _records.read_records(files)
        report = _records.make_report(records, unreadable, format_time(datetime.now(timezone.utc)), max_age)
        paths = [os.path.abspath(path) for path in options["paths"]]
        result.update(changed=False, report=report, table=_records.table(report), dest=dest, paths=paths)
        if dest:
            try:
                old = _records.read_json(dest)
            except (OSError, ValueError):
                old = None
            result["changed"] = not isinstance(old, dict) or dict(old, when=None) != dict(report, when=None)
            if result["changed"] and not self._task.check_mode:
                _records.write_json(dest, report)
        if options["show"]:
            for line in result["table"]:
                self._display.display(line)
