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
  - Asks the backup service to fetch an external backup and to keep it among a source's backups.
  - The API cannot say what was imported, so a marker in O(state_dir) remembers the request. The same import, told apart by
    source, group, engine and the URL without its query, is sent once.
  - Where the answer to a request never came, the outcome is unknown. The module says so and does not send it again.
extends_documentation_fragment:
  - restorable.backups.provider
  - restorable.backups.provider.source
  - restorable.backups.provider.wait
  - restorable.backups.attributes
  - restorable.backups.attributes.writing
options:
  group:
    description: Id of the database group to import into.
    type: int
    required: true
    aliases:
      - group_id
  engine:
    description: Engine of the backup, V(mysql), V(postgresql), V(redis) or V(mongodb).
    type: str
    required: true
    aliases:
      - db_type
  remote_url:
    description:
      - Address that the service fetches the backup from. Its query string, where signatures live, is a secret and never
        shown or kept.
    type: str
    required: true
    aliases:
      - url
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
  description: The marker of the request.
  returned: success
  type: dict
backup:
  description: The imported backup, as in RV(restorable.backups.backup_info#module:backups).
  returned: with O(wait), when the import was asked for
  type: dict
"""

from ansible_collections.restorable.backups.plugins.module_utils._controller_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations.import_backup import SPEC


def main():
    main_for(SPEC)


if __name__ == "__main__":
    main()
