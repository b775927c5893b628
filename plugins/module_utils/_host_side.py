# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The ``main()`` of modules that work on the host of the task."""

from __future__ import annotations

import signal

from ansible.module_utils.basic import AnsibleModule

from ._errors import BackupError
from ._values import readable


class Interrupted(BaseException):
    """Told to stop, by Ctrl-C or a time limit: what was begun is cleaned up on the way out."""


def main_for(spec, work):
    """Run ``work(module)``, whose result is the module's; a typed error fails the task with its code."""
    module = AnsibleModule(**spec)

    def stop(number, _frame):
        # A second signal must not end the cleaning up.
        for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted("stopped by signal %d" % number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        result = work(module)
    except Interrupted as reason:
        module.fail_json(msg=str(reason), failure={"code": "interrupted", "message": str(reason), "details": {}})
    except BackupError as error:
        module.fail_json(msg=readable(error.message), failure=readable(error.to_failure()))
    else:
        result = readable(result)
        if result.pop("failed", False):
            module.fail_json(**result)
        module.exit_json(**result)
