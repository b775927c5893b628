#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_report
short_description: Merge the records of many hosts into one report
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Reads the records that M(restorable.backups.backup_record) wrote, of one run or of many (the slices of an AWX job
    included), and merges them into one JSON document and a table for people.
  - Of several records of the same host and source the newest counts.
  - A file that cannot be read is named in the report and loses none of the others.
options:
  paths:
    description:
      - Folders on the controller with records (looked at with their subfolders), or single files.
        JSON files that are no records are passed over.
      - The environment variable E(RESTORABLE_RESULTS_DIR) is used when this is not set.
    type: list
    elements: path
    default: [backup-results]
  dest:
    description: File on the controller for the merged JSON. Nothing is written when not set.
    type: path
  max_record_age:
    description:
      - How old a record may be, such as V(26h) or V(2d). An older one is shown as outdated, whatever it says, and
        counted in RV(ignore:report.summary.outdated). That a host was well once says nothing about today.
      - No age is too old when not set.
    type: str
  show:
    description: Show the table in the terminal, under the task's heading.
    type: bool
    default: false
attributes:
  action:
    description: Runs on the controller, and so needs no connection and no Python on the host.
    support: full
  async:
    description: Supports use with the C(async) keyword.
    support: none
  check_mode:
    description: Reports and writes nothing.
    support: full
  diff_mode:
    description: Returns a diff of what it changes.
    support: none
  idempotent:
    description: Without new records the merged JSON stays as it is.
    support: full
seealso:
  - module: restorable.backups.backup_record
notes:
  - The module takes no credential and calls no service. It is not part of the action group
    C(restorable.backups.backups), whose shared options it does not have.
"""

EXAMPLES = r"""
- name: Show where the fleet stands
  restorable.backups.backup_report:
    paths: [backup-results]
    dest: backup-report.json
    max_record_age: 2d
    show: true
  register: fleet

- name: Fail when any host needs a person
  ansible.builtin.assert:
    that:
      - fleet.report.summary.hosts > 0
      - fleet.report.summary.error + fleet.report.summary.violations + fleet.report.summary.outdated == 0
"""

RETURN = r"""
report:
  description: The merged document, as written to O(dest).
  returned: success
  type: dict
  contains:
    schema:
      description: Name and version of this layout.
      returned: success
      type: str
      sample: restorable.backups/report/1
    when:
      description: Time of the merge in UTC.
      returned: success
      type: str
      sample: "2026-01-02T03:04:05Z"
    summary:
      description: Number of hosts, altogether and by status; of those the outdated ones; number of unreadable files.
      returned: success
      type: dict
      sample: {"hosts": 3, "ok": 2, "violations": 1, "error": 0, "pending": 0, "unchecked": 0, "outdated": 0, "unreadable": 0}
    records:
      description: The records, those that need a person first. See M(restorable.backups.backup_record).
      returned: success
      type: list
      elements: dict
      sample: []
    outdated:
      description:
        - Records older than O(max_record_age), with RV(ignore:host), RV(ignore:source), RV(ignore:when) and
          RV(ignore:message).
      returned: success
      type: list
      elements: dict
      sample: []
    unreadable:
      description: Files that could not be read, with RV(ignore:path) and RV(ignore:message).
      returned: success
      type: list
      elements: dict
      sample: []
table:
  description: The report as lines of text.
  returned: success
  type: list
  elements: str
  sample:
    - "HOST  SOURCE  STATUS  ASKED    NEWEST GOOD BACKUP    AGE    SIZE      SERIES  CHECKED"
    - "shop  5999b7  ok      present  2026-01-02T03:04:05Z  2h 1m  72.0 KiB  1       5s ago"
dest:
  description: The file of the merged JSON, null when none was asked for.
  returned: success
  type: str
  sample: /srv/backups/backup-report.json
paths:
  description: The folders and files that were looked at.
  returned: success
  type: list
  elements: str
  sample: [/srv/backups/backup-results]
"""
