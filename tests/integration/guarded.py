# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays against services that want their credential with every download, on this machine and on what seems another.

A connection plugin of the tests stands for a host that is not this machine, and keeps all that is sent to it.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from test_fetch import Host, kill_all

HERE = Path(__file__).resolve().parent


class Guarded(Host):
    """``kind`` is local or elsewhere; ``variables`` say how the service is reached, ``options`` go with every fetch."""

    def __init__(self, folder, sandbox, kind, key, variables, **options):
        super().__init__(folder, sandbox)
        self.key, self.options = key, options
        self.recorded, self.spool = folder / "recorded", folder / "spool"
        self.recorded.mkdir()
        foreign = ("CLOUD66_", "BACKUPMAN_", "RAX_", "OS_")
        self.environment = {name: text for name, text in self.environment.items() if not name.startswith(foreign)}
        self.environment.update(
            variables,
            ANSIBLE_REMOTE_TMP=str(self.recorded / "home" / "tmp"),
            ANSIBLE_CONNECTION_PLUGINS=str(HERE / "connection_plugins"),
            RECORDED=str(self.recorded),
            RECORDING_AS=kind,
            RESTORABLE_SPOOL_DIR=str(self.spool),
        )

    def command(self, *steps, **options):
        steps = [step if "task" in step else {**self.options, **step} for step in steps]
        return super().command(*steps, ansible_connection="recording", **options)

    def told(self, text):
        """Where a text was told to: the host, the user, a file that is left on the controller."""
        found = {"host" for path in self.recorded.iterdir() if path.is_file() and text.encode() in path.read_bytes()}
        if text in self.output:
            found.add("output")
        for path in self.folder.rglob("*"):
            if path.is_file() and self.recorded not in path.parents and path.suffix not in (".pyc", ".sql", ".gz"):
                if text.encode() in path.read_bytes():
                    found.add(str(path.relative_to(self.folder)))
        return found

    def put(self):
        """The backups that were put there."""
        return [path.read_bytes() for path in self.recorded.glob("*-put-backup-*")]


def in_spool(host):
    return sorted(path for path in host.spool.rglob("*") if path.is_file()) if host.spool.exists() else []


def killed(host, options, when):
    """Run a fetch and kill all of it as soon as ``when()`` is true."""
    process = subprocess.Popen(host.command(options), cwd=host.folder, env=host.environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    give_up = time.monotonic() + 60
    while not when():
        assert time.monotonic() < give_up and process.poll() is None
        time.sleep(0.02)
    kill_all(process)
