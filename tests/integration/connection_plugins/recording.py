# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of its own, as far as Ansible can tell, on this machine; and a record of all that is sent to it."""

from __future__ import annotations

import os
import shlex
import time
from itertools import count
from pathlib import Path

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: recording
short_description: A host that keeps what it is sent
description:
  - Runs commands on this machine with a home and an environment of their own. All commands, their input and the files
    that are put there are kept in the folder that the variable RECORDED names, one file each.
  - The variable RECORDING_AS is what the connection calls itself, V(local) for the machine of the controller. With
    RECORDING_STALL no file that is not Ansible's own ever arrives.
author: Restorable Backups contributors
extends_documentation_fragment:
  - connection_pipelining
options:
  become_success_timeout:
    description: As the plugin local has it.
    type: int
    default: 10
  become_strip_preamble:
    description: As the plugin local has it.
    type: bool
    default: true
"""


class Connection(Local):
    transport = os.environ.get("RECORDING_AS", "recording")
    _numbers = count()

    def _record(self, kind, data):
        name = "%d-%d-%s" % (os.getpid(), next(self._numbers), kind)
        (Path(os.environ["RECORDED"]) / name).write_bytes(data)

    def exec_command(self, cmd, in_data=None, sudoable=True):
        self._record("command", str(cmd).encode())
        if in_data:
            self._record("input", bytes(in_data))
        home = Path(os.environ["RECORDED"]) / "home"
        home.mkdir(exist_ok=True)
        own = ["env", "-i", "PATH=" + os.environ["PATH"], "HOME=%s" % home, "LANG=C.UTF-8"]
        return super().exec_command(" ".join(map(shlex.quote, own)) + " sh -c " + shlex.quote(str(cmd)), in_data, sudoable)

    def put_file(self, in_path, out_path):
        self._record("put-" + Path(out_path).name, Path(in_path).read_bytes())
        if os.environ.get("RECORDING_STALL") and "backup-" in out_path:
            (Path(os.environ["RECORDED"]) / "stalled").touch()
            time.sleep(60)
        super().put_file(in_path, out_path)
