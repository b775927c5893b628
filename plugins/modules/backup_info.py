#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: List the backups of managed databases
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Lists or gets the backups of one or many sources through the backup service's own API, newest first, with the
    series they form and, on request, their files.
  - All pages are read, at the same time once their number is known.
extends_documentation_fragment:
  - restorable.backups.provider
  - restorable.backups.provider.sources
  - restorable.backups.attributes
  - restorable.backups.attributes.reading
options:
  id:
    description: Only the backup with this id. Needs O(source).
    type: str
    aliases:
      - backup_id
  engine:
    description: Only backups of this database engine, such as V(postgresql).
    type: str
    aliases:
      - db_type
  database:
    description: Only backups of this database.
    type: str
    aliases:
      - database_name
  status:
    description: Only backups with this status.
    type: str
    choices:
      - ok
      - failed
      - running
      - unknown
  since:
    description: Only backups made at or after this time, such as V(2026-01-31T00:00:00Z), or this long ago, such as V(7d).
    type: str
  until:
    description: Only backups made at or before this time, or this long ago.
    type: str
  series:
    description: Only backups of these series, named by their whole key or by its last part.
    type: list
    elements: str
  latest:
    description: Only the newest good backup of each series.
    type: bool
    default: false
  limit:
    description: At most this many backups, the newest ones.
    type: int
  files:
    description: List each backup's files too. This costs a request for each backup; narrow the list first.
    type: bool
    default: false
seealso:
  - module: restorable.backups.backup_check
  - module: restorable.backups.backup_file_fetch
"""

EXAMPLES = r"""
- name: List the backups of a stack
  restorable.backups.backup_info:
    source: "{{ stack }}"

- name: Show the newest good PostgreSQL backup with its files
  restorable.backups.backup_info:
    source: "{{ stack }}"
    engine: postgresql
    latest: true
    files: true
  register: newest

- name: List what failed within a week, of several stacks at once
  restorable.backups.backup_info:
    sources: "{{ stacks }}"
    status: failed
    since: 7d
"""

RETURN = r"""
backups:
  description: The backups, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The service's id of the backup, as text.
      returned: always
      type: str
      sample: "1874"
    provider:
      description: The API flavour it was read with.
      returned: always
      type: str
      sample: cloud66
    source:
      description: What was backed up.
      returned: always
      type: str
      sample: 5999b763474b0eafa5fafb64bff0ba80
    series:
      description: Key of the series that it belongs to.
      returned: always
      type: str
      sample: 2aad2bb5/backups/3c656a1b/postgresql/x7Kq
    name:
      description: Its name, V(null) where backups have none.
      returned: always
      type: str
    parent_id:
      description: The backup that an incremental one builds on, V(null) for a full one.
      returned: always
      type: str
    engine:
      description: The database engine, V(null) if the service does not say.
      returned: always
      type: str
      sample: postgresql
    database:
      description: The database, V(null) if the service does not say.
      returned: always
      type: str
      sample: shop
    status:
      description: V(ok), V(failed), V(running) or V(unknown).
      returned: always
      type: str
      sample: ok
    created_at:
      description: When it was made, in UTC.
      returned: always
      type: str
      sample: "2026-01-31T03:00:12Z"
    age_seconds:
      description: Seconds since then.
      returned: always
      type: int
      sample: 3600
    size_bytes:
      description: Its size, V(null) if the service does not say.
      returned: always
      type: int
      sample: 1048576
    verify_status:
      description: Result of the service's own verification, V(never), V(running), V(verified), V(failed) or V(error).
      returned: always
      type: str
      sample: never
    restore_status:
      description: Result of the last restore by the service.
      returned: always
      type: str
      sample: never
    location:
      description: Where the service stores it.
      returned: always
      type: str
    message:
      description: What the service says of its result.
      returned: always
      type: str
    shares_file_with:
      description:
        - Other backups for which the service points at the same stored file. At most one of them can be what it says.
      returned: always
      type: list
      elements: str
    files:
      description:
        - Its files in the order in which they make it up, each with C(id), C(name), C(size_bytes), C(md5) and C(raw).
      returned: with O(files)
      type: list
      elements: dict
    files_error:
      description:
        - Why the files of this backup could not be listed, with C(message), C(code) and C(details); V(null) if they were.
      returned: with O(files)
      type: dict
    raw:
      description: The service's own record, whole.
      returned: always
      type: dict
series:
  description: A summary of each series of the backups that pass the filters, before O(latest) and O(limit).
  returned: success
  type: list
  elements: dict
  sample:
    - series: 2aad2bb5/backups/3c656a1b/postgresql/x7Kq
      source: 5999b763474b0eafa5fafb64bff0ba80
      engine: postgresql
      database: shop
      count: 14
      good_count: 14
      first: "2026-01-18T03:00:11Z"
      last: "2026-01-31T03:00:12Z"
      last_status: ok
      last_good: "2026-01-31T03:00:12Z"
      last_good_id: "1874"
      median_interval_seconds: 86400
      last_size_bytes: null
      min_size_bytes: null
      median_size_bytes: null
      max_size_bytes: null
sources:
  description: For each source how many backups were read, or the error that stands in their place.
  returned: success
  type: list
  elements: dict
  sample:
    - source: 5999b763474b0eafa5fafb64bff0ba80
      count: 14
      error: null
"""

from ansible_collections.restorable.backups.plugins.module_utils._controller_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations.info import SPEC


def main():
    main_for(SPEC)


if __name__ == "__main__":
    main()
