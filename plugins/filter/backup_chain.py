# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_chain
short_description: The backups that one builds on, and itself
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - An incremental backup is of no use without those before it. This filter follows RV(restorable.backups.backup_info#module:backups[].parent_id)
    up to the full one.
positional: _input, id
options:
  _input:
    description: Backups as M(restorable.backups.backup_info) lists them.
    type: list
    elements: dict
    required: true
  id:
    description: The backup to begin with.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: List all backups
  restorable.backups.backup_info:
    source: "{{ stack }}"
  register: all

- name: Show what the newest one needs
  ansible.builtin.debug:
    msg: "{{ all.backups | restorable.backups.backup_chain(all.backups[0].id) }}"
"""

RETURN = r"""
_value:
  description: The ids, the full backup first, the one asked for last.
  type: list
  elements: str
"""

from ansible.errors import AnsibleFilterError


def backup_chain(backups, backup_id):
    known = {backup["id"]: backup for backup in backups}
    chain, wanted = [], backup_id
    while wanted is not None:
        if wanted in chain:
            raise AnsibleFilterError("backup_chain: backup %s builds on itself" % wanted)
        if wanted not in known:
            whose = "" if wanted == backup_id else ", on which backup %s builds" % chain[0]
            raise AnsibleFilterError("backup_chain: backup %s%s, is not there" % (wanted, whose))
        chain.insert(0, wanted)
        wanted = known[wanted].get("parent_id")
    return chain


class FilterModule:
    def filters(self):
        return {"backup_chain": backup_chain}
