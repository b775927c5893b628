# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What API modules usually are: a module that asks with requests, run anew for every host."""

from __future__ import annotations

import requests
from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(argument_spec={"url": {"required": True}, "token": {"no_log": True}})
    headers = {"Authorization": "Bearer " + module.params["token"]}
    answer = requests.get(module.params["url"], headers=headers, timeout=30)
    answer.raise_for_status()
    module.exit_json(changed=False, count=len(answer.json()["response"]))


if __name__ == "__main__":
    main()
