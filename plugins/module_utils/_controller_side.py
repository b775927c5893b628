# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The ``main()`` of modules whose work is done by the action plugin of the same name, on the controller."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


def main_for(spec):
    """Fail with the reason: this file reached a host only because its action plugin was gone round."""
    module = AnsibleModule(**spec)
    module.fail_json(msg="This module works on the controller, by its action plugin; it cannot be run on a host.")
