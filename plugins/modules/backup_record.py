#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_record
short_description: Write down what a run found out about one host's backups
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Turns the results of M(restorable.backups.backup_task), M(restorable.backups.backup_run),
    M(restorable.backups.backup_check), M(restorable.backups.backup_file_fetch), M(restorable.backups.backup_file_verify) and
    M(restorable.backups.backup_drill) into one JSON record per host, in a folder on the controller.
    M(restorable.backups.backup_report) merges any number of such records.
  - The file is replaced as a whole or not at all.
  - The role P(restorable.backups.protect#role) uses it for every host.
options:
  dest:
    description:
      - Folder on the controller, made when missing. A relative path starts where C(ansible-playbook) was started.
      - The environment variable E(RESTORABLE_RESULTS_DIR) is used when this is not set.
    type: path
    default: backup-results
  name:
    description:
      - Name of the record's file, without C(.json). Characters that do not belong in a file's name are encoded.
      - The host's name in the inventory when not set. Set it where one host has several sources.
    type: str
  provider:
    description: The API flavour, for the record.
    type: str
    default: cloud66
  source:
    description: What is backed up, for the record.
    type: str
  task:
    description: The registered result of M(restorable.backups.backup_task). A skipped or failed one is understood.
    type: dict
  run:
    description: The registered result of M(restorable.backups.backup_run). A skipped or failed one is understood.
    type: dict
  check:
    description:
      - The registered result of M(restorable.backups.backup_check) with O(ignore:fail_on_violation=false).
      - While the O(task) was only just asked for (its RV(ignore:action) is V(created) or V(pending)), or the backup of
        O(run) is still being made, the violations V(no_backups), V(stale), V(stalled), V(schedule_gap), V(too_few), V(missing_engine) and V(missing_database)
        say nothing but that its first backup is still to come. They are recorded as RV(record.pending) and do not
        count as violations.
    type: dict
  fetch:
    description:
      - The registered result of M(restorable.backups.backup_file_fetch).
      - That there is no good backup to fetch is an error, and pending while the O(task) was only just asked for.
    type: dict
  verify:
    description:
      - The registered result of M(restorable.backups.backup_file_verify) with O(ignore:fail_on_problem=false).
      - Its problems count as violations.
    type: dict
  drill:
    description:
      - The registered result of M(restorable.backups.backup_drill) with O(ignore:fail_on_violation=false).
      - Its violations count as those of the host.
    type: dict
  proof:
    description: The newest proof of an earlier drill. It is recorded when O(drill) is skipped.
    type: dict
  drill_choice:
    description: How the backup of O(drill) was chosen, for the record.
    type: dict
attributes:
  action:
    description: Runs on the controller, and so needs no connection and no Python on the host.
    support: full
  async:
    description: Supports use with the C(async) keyword.
    support: none
  check_mode:
    description: Reports what would be recorded and writes nothing.
    support: full
  diff_mode:
    description: Returns a diff of what it changes.
    support: none
  idempotent:
    description: Changed only when the record says something new; a later time or a grown age alone is nothing new.
    support: full
seealso:
  - module: restorable.backups.backup_report
  - module: restorable.backups.backup_check
notes:
  - The module takes no credential and calls no service. It is not part of the action group
    C(restorable.backups.backups), whose shared options it does not have.
"""

EXAMPLES = r"""
- name: Judge the backups without failing
  restorable.backups.backup_check:
    source: "{{ stack }}"
    max_age: 26h
    fail_on_violation: false
  register: judged

- name: Write the host's record
  restorable.backups.backup_record:
    dest: backup-results
    source: "{{ stack }}"
    check: "{{ judged }}"
  register: written

- name: Fail when anything is wrong
  ansible.builtin.assert:
    that: written.record.status == 'ok'
    fail_msg: "{{ written.summary }}"
"""

RETURN = r"""
path:
  description: The record's file.
  returned: always
  type: str
  sample: /srv/backups/backup-results/shop.json
summary:
  description: The record in one sentence.
  returned: always
  type: str
  sample: "violations: The newest good backup is 1d 10h old, 1d 2h are allowed (stale)"
record:
  description: What is written to the file.
  returned: always
  type: dict
  contains:
    schema:
      description: Name and version of this layout.
      returned: always
      type: str
      sample: restorable.backups/record/1
    host:
      description: The host's name in the inventory.
      returned: always
      type: str
      sample: shop
    provider:
      description: The API flavour.
      returned: always
      type: str
      sample: cloud66
    source:
      description: What is backed up.
      returned: always
      type: str
      sample: 5999b763474b0eafa5fafb64bff0ba80
    when:
      description: Time of the run in UTC.
      returned: always
      type: str
      sample: "2026-01-02T03:04:05Z"
    status:
      description:
        - V(ok) when the policy holds, V(violations) when it does not, V(pending) while the first backup of a new task
          is still to come, V(error) when a step failed, V(unchecked) when no policy was judged.
      returned: always
      type: str
      sample: ok
    compliant:
      description: Whether the policy holds; null while that is not known.
      returned: always
      type: bool
      sample: true
    task:
      description: What became of the backup task; null when that step did not run or failed.
      returned: always
      type: dict
      sample: {"action": "present", "changed": false, "drift": []}
    run:
      description: What became of the backup on request; null when that step did not run or failed.
      returned: always
      type: dict
      sample: {"action": "created", "backup_id": "42", "changed": true}
    violations:
      description: Ways in which the policy does not hold.
      returned: always
      type: list
      elements: dict
      sample:
        - code: stale
          series: 1a2b/backups/3c4d/postgresql/kQ3x
          message: the newest good backup is 1d 10h old, 1d 2h are allowed
          observed: 122400
          expected: 93600
    pending:
      description: Violations that only say that the first backup of a new task is still to come.
      returned: always
      type: list
      elements: dict
      sample: []
    series:
      description: Summary of every series.
      returned: always
      type: list
      elements: dict
      sample: []
    newest_backup:
      description: The newest good backup, null when there is none.
      returned: always
      type: dict
      sample: {"id": "42", "status": "ok", "engine": "postgresql", "created_at": "2026-01-02T03:04:05Z"}
    fetch:
      description: What was fetched; null when that step did not run or failed.
      returned: always
      type: dict
      sample: {"backup_id": "42", "changed": true, "dest": "/srv/fetched/shop.tar", "sha256": "9f86d0...", "size_bytes": 73728}
    verify:
      description: What reading the fetched file found; null when that step did not run or failed.
      returned: always
      type: dict
      sample: {"dumps": 1, "plain_bytes": 1048576, "sha256": "9f86d0...", "valid": true}
    drill:
      description:
        - The newest drill. RV(ignore:fresh) tells whether it was made by this run. Null when there was none or the step failed.
      returned: always
      type: dict
      sample: {"backup_id": "42", "fresh": true, "proven": true, "restore_seconds": 1.2, "rows": 12040, "when": "2026-01-02T03:04:05Z"}
    errors:
      description: Steps that failed, with RV(ignore:step), RV(ignore:code) and RV(ignore:message).
      returned: always
      type: list
      elements: dict
      sample: []
"""
