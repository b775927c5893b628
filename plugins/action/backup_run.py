# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ..module_utils._operations.run_backup import SPEC, run
from ..plugin_utils._action import ControllerAction


class ActionModule(ControllerAction):
    """backup_run, in the controller's process: no credential and no Python on the host of the task."""

    spec = SPEC

    def operate(self, params, provider, context, task_vars):
        return run(params, provider, context)
