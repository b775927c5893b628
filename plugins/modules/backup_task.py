#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_task
short_description: Ensure that a managed database is backed up on a schedule
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Ensures the standing order that makes a source's backups.
  - V(rackspace) has one schedule for each instance, and V(trove) one backup strategy, which says where backups go and not
    when. These are read, compared and changed, as other modules do it.
  - Cloud 66's API can create such a task, but neither list, change nor delete one, and every request adds one more. There
    the module looks for evidence first. These are the backups there are, then the marker of an earlier request in
    O(state_dir). Only without either is a request sent, once, and never again in doubt.
  - A second run sends nothing, also while the first backup is still to come, and also where a task was made by hand
    before.
  - The page C(docs/idempotency.md) of the collection has the rules step by step.
extends_documentation_fragment:
  - restorable.backups.provider
  - restorable.backups.provider.source
  - restorable.backups.provider.wait
  - restorable.backups.attributes
  - restorable.backups.attributes.writing
options:
  state:
    description:
      - V(absent) fails before any request where the API cannot delete a task, saying where that is done by hand.
    type: str
    default: present
    choices:
      - present
      - absent
  engines:
    description:
      - For V(cloud66). Engines to back up, V(mysql), V(postgresql), V(redis), V(mongodb), or V(all), which is meant when
        this is not set.
      - With V(all) any live series is evidence, because the API does not say which engines a source has;
        RV(engines_seen) says which were seen.
    type: list
    elements: str
    aliases:
      - db_type
  frequency:
    description:
      - For V(cloud66), V(rackspace). Cron expression (five fields, UTC).
      - V(cloud66) - every hour when not set.
      - V(rackspace) - required for a new schedule. Its API knows one time of the day, so that only C(minute hour * * *) and
        C(minute hour * * weekday) can be said; others are refused. The service makes a backup every day in both cases;
        the weekday is that of the full one, see O(full_backup_day).
      - V(trove) has no schedules. Run P(restorable.backups.protect#role) or M(restorable.backups.backup_run) from a timer
        or an AWX schedule.
    type: str
  default_frequency:
    description:
      - For V(cloud66), V(rackspace). What O(frequency) is for a new task when that is not set. The times of a task that
        exists are left as they are, and nothing is said of them.
    type: str
  keep_count:
    description:
      - For V(cloud66). How many backups the service keeps, 100 when not set.
    type: int
  gzip:
    description:
      - For V(cloud66). Whether backups are compressed.
    type: bool
  excluded_tables:
    description:
      - For V(cloud66). Tables to leave out, of text dumps of MySQL and PostgreSQL.
    type: list
    elements: str
    aliases:
      - skip_tables
  run_on_replica:
    description:
      - For V(cloud66). Whether the replica is backed up in place of the primary.
    type: bool
    aliases:
      - run_on_replica_server
  logical_backup:
    description:
      - For V(cloud66). V(true) for a text dump, V(false) for a binary backup.
    type: bool
  full_backup_day:
    description:
      - For V(rackspace). Weekday of the full backup, from V(0) for Sunday to V(6), with incremental ones on the other days;
        V(7) for a full backup every day.
      - The weekday of O(frequency) when not set, V(7) where that has none.
    type: int
  full_backup_retention:
    description:
      - For V(rackspace). How many full backups the service keeps. It keeps 2 when not set.
    type: int
  copy_to:
    description:
      - For V(rackspace). Regions that each backup is copied to.
    type: list
    elements: str
  swift_container:
    description:
      - For V(trove). Container of the object store that the instance's backups go to.
    type: str
  run_now:
    description:
      - For V(rackspace). Also start a backup of the schedule now. Every run of the task does so.
    type: bool
    default: false
  allow_additional:
    description:
      - For V(cloud66). Create a task beside those there are, if none of them is as wanted. This very request is still sent only once.
    type: bool
    default: false
  recreate_stalled:
    description:
      - For V(cloud66). Create the task although the module is in doubt, because its series has stopped, because its first backup is overdue, or
        because the outcome of an earlier request is unknown. Look at the source's backup page first.
    type: bool
    default: false
  evidence:
    description:
      - V(marker) remembers requests in O(state_dir), and keeps runs on this controller apart by a lock there.
      - V(api) relies on the backups alone, for controllers without memory. Then a second run before the first backup
        adds a second task, unless O(wait=true) held the first one until there was a backup.
    type: str
    default: marker
    choices:
      - marker
      - api
  grace:
    description:
      - How late the first backup may be before a request counts as lost, such as V(2h).
      - A quarter of the longest gap of the cron expression when not set, at least 15 minutes and at most 6 hours.
    type: str
seealso:
  - module: restorable.backups.backup_check
"""

EXAMPLES = r"""
- name: Back up everything each night, keep two weeks
  restorable.backups.backup_task:
    source: "{{ stack }}"
    frequency: "0 3 * * *"
    keep_count: 14

- name: The same with the API's own names, for one engine
  restorable.backups.backup_task:
    stack_id: "{{ stack }}"
    db_type: postgresql
    frequency: "0 3 * * *"
    excluded_tables: [sessions]
    run_on_replica_server: false
"""

RETURN = r"""
action:
  description:
    - V(created), V(present), or V(pending) while the first backup is still to come; V(updated), V(deleted) or V(absent)
      where the service shows its tasks.
  returned: success
  type: str
  sample: present
request:
  description: The task that is wanted, or was asked for.
  returned: success
  type: dict
  sample:
    engines: [all]
    frequency: 0 3 * * *
    keep_count: 14
evidence:
  description:
    - What the answer rests on, that is the keys of live series and the markers of requests, or the id of the task where the
      service shows it.
  returned: success
  type: dict
  sample:
    series:
      - 2aad2bb5/backups/3c656a1b/postgresql/x7Kq
    markers: []
engines_seen:
  description: Engines of the live series.
  returned: with O(provider=cloud66)
  type: list
  elements: str
  sample:
    - postgresql
series:
  description: The live series, as RV(restorable.backups.backup_info#module:series).
  returned: with O(provider=cloud66)
  type: list
  elements: dict
drift:
  description:
    - Wanted options that the backups, or the marker of the request, contradict. The API cannot change a task, so they are
      only told of, here, in a warning and in the diff.
  returned: with O(provider=cloud66)
  type: list
  elements: dict
  contains:
    field:
      description: The option.
      returned: always
      type: str
      sample: frequency
    wanted:
      description: The option's value.
      returned: always
      type: raw
      sample: 0 3 * * *
    observed:
      description: What was found.
      returned: always
      type: raw
      sample: every 1h
    message:
      description: One sentence for people.
      returned: always
      type: str
backup:
  description: The first backup that came, as in RV(restorable.backups.backup_info#module:backups).
  returned: with O(wait), when there was something to wait for
  type: dict
"""

from ansible_collections.restorable.backups.plugins.module_utils._controller_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations.task import SPEC


def main():
    main_for(SPEC)


if __name__ == "__main__":
    main()
