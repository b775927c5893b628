#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_run
short_description: Ensure that there is a fresh backup of a managed database
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Takes a backup of a source now, unless there is a good one that is younger than O(max_age), and waits until it is
    good.
  - A backup that is being taken already is waited for in place of a second one.
  - With O(state=absent) it deletes a backup instead, and waits until it is gone.
  - A request is sent once. Where its answer is lost, the backups are read. If they show the new one it is used, and
    otherwise the module says what to look for.
  - For V(trove), V(rackspace) and V(backupman). The APIs of Cloud 66 have no such call; use
    M(restorable.backups.backup_task) there.
  - The page C(docs/idempotency.md) of the collection has the rules step by step.
extends_documentation_fragment:
  - restorable.backups.provider
  - restorable.backups.provider.source
  - restorable.backups.provider.wait
  - restorable.backups.attributes
  - restorable.backups.attributes.writing
options:
  source:
    description:
      - What is backed up, the id or name of an instance for V(trove), the same or a high-availability group for
        V(rackspace), and the label of a data source for V(backupman).
      - V(*) stands for the whole account, and is only of use with O(state=absent). It reaches imported backups as well,
        which belong to no instance.
      - The host's variable C(protect_source) is used when this is not set.
  state:
    description:
      - V(present) ensures that there is a good backup younger than O(max_age).
      - V(absent) ensures that the backup of this O(id) or O(name) is gone. V(backupman) cannot delete.
    type: str
    default: present
    choices:
      - present
      - absent
  max_age:
    description:
      - How old the newest good backup may be, such as V(90m), V(26h) or V(7d).
      - V(0) takes a new one in any case. Such a task changes something on every run.
      - A backup that has been running for longer is told of in a warning and not waited for, because it may hang. One
        without a date is never young, but one that runs is.
    type: str
    default: 24h
  incremental:
    description:
      - For V(trove), V(rackspace). V(true) saves only what has changed since O(parent_id), or since the last good
        backup when that is not set. The service decides when this is not set.
      - Any good backup that is young enough will do, whether it is incremental or not.
    type: bool
  parent_id:
    description:
      - For V(trove), V(rackspace). Id of the good backup of the same source that an incremental one builds upon.
    type: str
  name:
    description:
      - For V(trove), V(rackspace). With O(state=present) the name of the backup, if one is taken.
        C(restorable-<source>-<UTC time>) when not set, with the first 36 characters of the source.
      - With O(state=absent) the name of the backup to delete. Names need not be unique, and the module refuses one that
        means several backups.
    type: str
  description:
    description:
      - For V(trove), V(rackspace). Text that is kept with the backup, if one is taken.
    type: str
  swift_container:
    description:
      - For V(trove). Container of the object store that the backup goes to. The service decides when not set.
    type: str
  copy_to:
    description:
      - For V(rackspace). Regions that the backup is copied to.
    type: list
    elements: str
  all_sources:
    description:
      - For V(backupman). Its API can only start the backups of all data sources at once. V(true) says that this is
        meant. Without it a backup is refused, unless the server has this one source only.
    type: bool
    default: false
  id:
    description: Id of the backup to delete, with O(state=absent). Either this or O(name) is needed there.
    type: str
    aliases:
      - backup_id
  cascade:
    description:
      - Whether the incremental backups that build upon the one to delete may go with it, which is what the services do.
        Without it the module refuses to delete a backup that others build upon, and names them.
    type: bool
    default: false
  wait:
    description:
      - Wait until the backup is good, or with O(state=absent) gone. One that has failed ends the wait at once.
      - Without it V(backupman) cannot say which backup was begun.
    default: true
  wait_timeout:
    description:
      - Seconds to wait at the most. The task fails then, with id and status of the backup, which goes on all the same.
      - Also how long a backup is believed to take, where the service refuses another one because of it.
  wait_interval:
    default: 10
seealso:
  - module: restorable.backups.backup_task
  - module: restorable.backups.backup_check
"""

EXAMPLES = r"""
- name: Before the upgrade, have a backup that is no older than an hour
  restorable.backups.backup_run:
    provider: trove
    cloud: production
    source: shop-db
    max_age: 1h
    name: before-upgrade
    description: "Before the upgrade"

- name: Each hour from an AWX schedule, save what has changed
  restorable.backups.backup_run:
    provider: trove
    cloud: production
    source: shop-db
    max_age: 55m
    incremental: true

- name: Have a backup of an instance at Rackspace, and do not wait for it
  restorable.backups.backup_run:
    provider: rackspace
    username: "{{ rackspace_username }}"
    api_key: "{{ rackspace_api_key }}"
    region_name: DFW
    source: "{{ instance }}"
    wait: false

- name: Have a backup of the data source shop, and of all others of the server
  restorable.backups.backup_run:
    provider: backupman
    api_url: https://backupman.example.com
    api_key: "{{ backupman_key }}"
    label: shop
    all_sources: true

- name: After the upgrade, delete the backup and what was built upon it
  restorable.backups.backup_run:
    provider: trove
    cloud: production
    source: shop-db
    state: absent
    name: before-upgrade
    cascade: true
"""

RETURN = r"""
action:
  description:
    - With O(state=present) V(created), V(running) when a backup was being taken already, or V(present).
    - With O(state=absent) V(deleted) or V(absent).
  returned: success
  type: str
  sample: created
backup:
  description:
    - The backup, as in RV(restorable.backups.backup_info#module:backups), or what it was before it was deleted.
    - V(null) where it cannot be known, that is in check mode, and with O(wait=false) where the service gives no id.
  returned: success
  type: dict
  sample:
    id: 7f1a2e5c-5b6e-4d8e-9a43-0c7f1f0d2b1e
    name: before-upgrade
    source: shop-db
    status: ok
    created_at: "2026-03-18T12:00:00Z"
    age_seconds: 95
    size_bytes: 268435456
    parent_id: null
evidence:
  description: What it rests on that no backup was taken, that is ids of backups and markers of requests.
  returned: success, with O(state=present)
  type: dict
  sample:
    backups:
      - 7f1a2e5c-5b6e-4d8e-9a43-0c7f1f0d2b1e
    markers: []
sources_started:
  description: The sources whose backups were started with one request, this one included.
  returned: when more than this source was started, or would be
  type: list
  elements: str
  sample:
    - crm
    - shop
deleted:
  description: Ids of the backups that were deleted, those that build upon others first.
  returned: success, with O(state=absent)
  type: list
  elements: str
  sample:
    - 7f1a2e5c-5b6e-4d8e-9a43-0c7f1f0d2b1e
"""

from ansible_collections.restorable.backups.plugins.module_utils._controller_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations.run_backup import SPEC


def main():
    main_for(SPEC)


if __name__ == "__main__":
    main()
