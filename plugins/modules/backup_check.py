#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_check
short_description: Judge the backups of managed databases against a policy
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Reads the backups of one or many sources and says in which ways they break a policy, such as the newest good one
    being too old.
  - Every series of a source is judged for itself, and freshness always on the newest B(good) backup.
  - Each violation has a stable code. The page C(docs/violations.md) of the collection has advice for each.
  - A source that cannot be read is the violation V(unreachable).
extends_documentation_fragment:
  - restorable.backups.provider
  - restorable.backups.provider.sources
  - restorable.backups.attributes
  - restorable.backups.attributes.reading
options:
  series:
    description: Judge only these series, named by their whole key or by its last part.
    type: list
    elements: str
  exclude_series:
    description: Leave out these series, such as that of a task which was removed while its backups are kept.
    type: list
    elements: str
  max_age:
    description:
      - How old the newest good backup of a series may be, such as V(26h) or V(2d); a plain number is seconds.
      - With O(frequency) it defaults to the longest gap between two runs and O(grace).
    type: str
  frequency:
    description:
      - The cron expression (five fields, UTC) that the backups are made by. Runs without a backup are then V(schedule_gap),
        and a series for which nothing has come for two gaps is V(stalled).
    type: str
  grace:
    description:
      - How late a backup may be after its run, such as V(30m).
      - A quarter of the longest gap when not set, at least 15 minutes and at most 6 hours.
    type: str
  min_size:
    description: The least size of the newest good backup, such as V(10MB). A size the service does not say is V(size_unknown).
    type: str
  max_size_drop:
    description: By how many percent the newest good backup may be smaller than the median of the good ones before it.
    type: float
  min_count:
    description: How many good backups each series must hold.
    type: int
    aliases:
      - keep_count
  engines:
    description: Engines of which there must be a good backup.
    type: list
    elements: str
    aliases:
      - db_type
  databases:
    description: Databases of which there must be a good backup.
    type: list
    elements: str
    aliases:
      - database_name
  require_verified:
    description: Whether the service itself must have verified the newest good backup.
    type: bool
    default: false
  allow_failed:
    description: Accept failed backups after the newest good one, as long as that is young enough.
    type: bool
    default: false
  fail_on_violation:
    description: Whether a violation fails the task.
    type: bool
    default: true
seealso:
  - module: restorable.backups.backup_info
"""

EXAMPLES = r"""
- name: The newest good backup is at most 26 hours old
  restorable.backups.backup_check:
    source: "{{ stack }}"
    max_age: 26h

- name: A nightly schedule is kept, of PostgreSQL and Redis, and two weeks are held
  restorable.backups.backup_check:
    source: "{{ stack }}"
    frequency: "0 3 * * *"
    engines: [postgresql, redis]
    min_count: 14
    fail_on_violation: false
  register: judged

- name: Judge many stacks in one task
  restorable.backups.backup_check:
    sources: "{{ stacks }}"
    max_age: 2d
    fail_on_violation: false
  register: fleet
"""

RETURN = r"""
compliant:
  description: Whether every source holds the policy.
  returned: when the options are valid
  type: bool
violations:
  description: All ways in which the policy is broken.
  returned: when the options are valid
  type: list
  elements: dict
  contains:
    code:
      description:
        - Stable name, one of V(no_backups), V(stale), V(last_failed), V(failing), V(schedule_gap), V(stalled), V(too_small),
          V(size_drop), V(size_unknown), V(too_few), V(missing_engine), V(missing_database), V(not_verified),
          V(verify_failed), V(collision) and V(unreachable).
      returned: always
      type: str
      sample: stale
    source:
      description: The source it is about.
      returned: always
      type: str
    series:
      description: The series it is about, V(null) for the whole source.
      returned: always
      type: str
    message:
      description: One sentence for people.
      returned: always
      type: str
      sample: The newest good backup is 1d 10h old, 1d 2h are allowed
    observed:
      description: What was found. Ages are seconds, sizes bytes.
      returned: always
      type: raw
      sample: 122400
    expected:
      description: What was asked for, in the same unit.
      returned: always
      type: raw
      sample: 93600
backups:
  description:
    - The backups that the verdict rests on, newest first. These are the newest and the newest good one of each series, as
      RV(restorable.backups.backup_info#module:backups) without C(raw).
  returned: when the options are valid
  type: list
  elements: dict
series:
  description: The series judged, as RV(restorable.backups.backup_info#module:series).
  returned: when the options are valid
  type: list
  elements: dict
sources:
  description: The verdict on each source, with its violations, how many backups were read and the error if there was one.
  returned: when the options are valid
  type: list
  elements: dict
"""

from ansible_collections.restorable.backups.plugins.module_utils._controller_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations.check import SPEC


def main():
    main_for(SPEC)


if __name__ == "__main__":
    main()
