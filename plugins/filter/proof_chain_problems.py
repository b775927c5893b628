# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: proof_chain_problems
short_description: What is wrong with the chain of a source's proofs
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Each proof of M(restorable.backups.backup_drill) holds its own digest and that of the proof before it. A proof that was
    changed, removed or put elsewhere breaks the chain.
  - An empty list means that the chain holds.
positional: _input
options:
  _input:
    description: All proofs of one source, in any order.
    type: list
    elements: dict
    required: true
  last_sha256:
    description:
      - The C(sha256) that the newest proof is known to have, from a report or wherever you keep it.
      - Without it nobody can tell whether the newest proofs were cut off.
    type: str
"""

EXAMPLES = r"""
- name: Find the proofs of shop
  ansible.builtin.find:
    paths: /srv/proofs/shop
    patterns: "*.json"
  register: found

- name: Read them
  ansible.builtin.slurp:
    src: "{{ item.path }}"
  loop: "{{ found.files }}"
  loop_control:
    label: "{{ item.path }}"
  register: read

- name: They form a whole chain
  ansible.builtin.assert:
    that: (proofs | restorable.backups.proof_chain_problems) == []
  vars:
    proofs: "{{ read.results | map(attribute='content') | map('b64decode') | map('from_json') | list }}"
"""

RETURN = r"""
_value:
  description:
    - The problems, each with its C(code) (V(changed), V(missing), V(duplicate), V(broken), V(cut), V(foreign), V(unreadable)),
      the number of the proof as C(sequence), and a C(message).
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.restorable.backups.plugins.module_utils._proof import chain_problems


def proof_chain_problems(proofs, last_sha256=None):
    if not isinstance(proofs, (list, tuple)):
        raise AnsibleFilterError("proof_chain_problems needs a list of proofs, not %s" % type(proofs).__name__)
    return chain_problems(list(proofs), last_sha256)


class FilterModule:
    def filters(self):
        return {"proof_chain_problems": proof_chain_problems}
