# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: is_due
short_description: Whether something that was last done at a time is due again
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - With a duration it is due when that has passed since. With a cron expression it is due when one of its times has come since.
  - What was never done is due.
positional: _input, every
options:
  _input:
    description: When it was last done, such as V(2026-01-31T03:00:00Z). Empty or V(null) for never.
    type: raw
    required: true
  every:
    description: A duration such as V(7d) or V(36h), or a cron expression of five fields in UTC.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: A week has passed since the last drill
  ansible.builtin.assert:
    that: "'2026-01-31T03:00:00Z' | restorable.backups.is_due('7d')"

- name: A Sunday has come since
  ansible.builtin.assert:
    that: "'2026-01-31T03:00:00Z' | restorable.backups.is_due('0 4 * * SUN')"
"""

RETURN = r"""
_value:
  description: Whether it is due.
  type: bool
"""

from datetime import datetime

from ansible.errors import AnsibleFilterError

from ansible_collections.restorable.backups.plugins.module_utils._errors import BackupError
from ansible_collections.restorable.backups.plugins.module_utils._schedule import Schedule
from ansible_collections.restorable.backups.plugins.module_utils._values import UTC, parse_duration, parse_time


def is_due(last, every, now=None):
    """``now`` is for tests."""
    now = now or datetime.now(UTC)
    try:
        last = parse_time(last)
        if len(str(every).split()) == 5:
            schedule = Schedule(every, "every")
            return last is None or schedule.next_run(last) <= now
        seconds = parse_duration(every)
    except (BackupError, ValueError) as error:
        raise AnsibleFilterError("is_due: %s" % error)
    return last is None or (now - last).total_seconds() >= seconds


class FilterModule:
    def filters(self):
        return {"is_due": is_due}
