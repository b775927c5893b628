#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_import
short_description: Ensure that an external backup is imported
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Has a service keep a backup that was made elsewhere among its own.
  - V(cloud66) and V(cloud66_v2) fetch it from an address. Their API cannot say what was imported, so a marker in O(state_dir)
    remembers the request. The same import, told apart by source, group, engine and the URL without its query, is sent
    once. Where the answer to a request never came, the outcome is unknown. The module says so and does not send it again.
  - V(trove) notes an object that lies in the object store. What was imported is listed, so that is looked at. The
    location and the datastore's version tell one import from another.
extends_documentation_fragment:
  - restorable.backups.provider
  - restorable.backups.provider.wait
  - restorable.backups.attributes
  - restorable.backups.attributes.writing
options:
  source:
    description:
      - For V(cloud66), V(cloud66_v2). The UID of the stack to import into, required.
      - The host's variable C(protect_source) is used when this is not set.
    type: str
    aliases:
      - stack
      - stack_id
      - instance
      - instance_id
      - label
  group:
    description:
      - For V(cloud66), V(cloud66_v2). Id of the database group to import into, required.
    type: int
    aliases:
      - group_id
  engine:
    description:
      - For V(cloud66), V(cloud66_v2). Engine of the backup, required. V(mysql), V(postgresql), V(redis) or V(mongodb).
    type: str
    aliases:
      - db_type
  remote_url:
    description:
      - For V(cloud66), V(cloud66_v2). Address that the service fetches the backup from, required. Its query string, where
        signatures live, is a secret and never shown or kept.
    type: str
    aliases:
      - url
  location:
    description:
      - For V(trove). Address of the object in the object store, as a backup's RV(restorable.backups.backup_info#module:backups)
        has it in C(location), required.
    type: str
    aliases:
      - restore_from
      - remote_location
  datastore_version:
    description:
      - For V(trove). Version of the datastore that the backup is of, by name or id, required.
    type: str
    aliases:
      - local_datastore_version_id
  datastore:
    description:
      - For V(trove). Datastore by name or id, where several have a version of that name.
    type: str
  name:
    description:
      - For V(trove). Name of the backup. The object's own name when not set.
    type: str
  description:
    description:
      - For V(trove). Text to keep with the backup.
    type: str
  size:
    description:
      - For V(trove). Size of the backup, such as V(12GB). What the object store says of the object when not set.
    type: str
  force:
    description: Send the request although an earlier one is remembered or in doubt.
    type: bool
    default: false
seealso:
  - module: restorable.backups.backup_info
"""

EXAMPLES = r"""
- name: Bring a dump from elsewhere under the service's care
  restorable.backups.backup_import:
    source: "{{ stack }}"
    group: 1
    engine: postgresql
    remote_url: "{{ dump_url }}"

- name: Let Trove know of a backup that lies in the object store
  restorable.backups.backup_import:
    provider: trove
    cloud: "{{ cloud }}"
    location: "{{ object_url }}"
    datastore: mysql
    datastore_version: "5.7.29"
    name: from-the-old-cloud
"""

RETURN = r"""
action:
  description: V(created) or V(present).
  returned: success
  type: str
  sample: created
request:
  description: The import, with its URL without the query.
  returned: success
  type: dict
evidence:
  description: The marker of the request, or the id of the backup where the service shows imports.
  returned: success
  type: dict
backup:
  description: The imported backup, as in RV(restorable.backups.backup_info#module:backups).
  returned: with O(provider=trove), and with O(wait) when the import was asked for
  type: dict
"""

from ansible_collections.restorable.backups.plugins.module_utils._controller_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations.import_backup import SPEC


def main():
    main_for(SPEC)


if __name__ == "__main__":
    main()
