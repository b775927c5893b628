# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python tests/openstack_lab --home DIR``: run the servers in the foreground."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

if not __package__:  # run as a folder: make it the package that it is
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = Path(__file__).resolve().parent.name
    __import__(__package__)

from . import environment  # noqa: E402
from .cloud import SERVERS, SETTINGS, Cloud  # noqa: E402
from .lab import LabError  # noqa: E402


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="openstack_lab", description="A real Keystone, Trove, Swift and MariaDB on 127.0.0.1.")
    parser.add_argument("--home", required=True, type=Path, help="an empty folder, or one that does not exist yet")
    parser.add_argument("--ready-file", type=Path, help="JSON written when all is up (default: ready.json in the home)")
    parser.add_argument("--snapshots", type=Path, help="where the first start leaves what the next ones begin with")
    parser.add_argument("--token-seconds", type=int, default=SETTINGS["token_seconds"], help="how long a token is good")
    parser.add_argument("--rate", type=int, default=SETTINGS["rate"], help="requests a minute that Trove lets through")
    parser.add_argument("--commands", action="store_true",
                        help="take commands (JSON lines) on stdin, and end when it ends: for the client")
    return parser.parse_args()


def main() -> int:
    found = options()
    home = found.home.resolve()
    ready_file = found.ready_file or home / "ready.json"
    ready_file.unlink(missing_ok=True)
    if home.exists() and any(home.iterdir()):
        print(f"openstack_lab: {home} is not empty", file=sys.stderr)
        return 1
    home.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_about: sys.exit(0))
    try:
        cloud = Cloud(home, found.snapshots or environment.cache() / "snapshots",
                      {"token_seconds": found.token_seconds, "rate": found.rate})
        try:
            cloud.start()
            draft = ready_file.with_name(ready_file.name + ".draft")
            draft.write_text(json.dumps(cloud.ready(), indent=2))
            os.replace(draft, ready_file)
            if found.commands:
                obey(cloud)
            else:
                print(f"Ready: {ready_file}\nexport OS_CLIENT_CONFIG_FILE={home / 'clouds.yaml'} OS_CLOUD=demo",
                      flush=True)
                signal.pause()
        finally:
            cloud.stop()
    except KeyboardInterrupt:
        pass
    except (LabError, OSError) as reason:
        print(f"openstack_lab: {reason}", file=sys.stderr)
        return 1
    return 0


def obey(cloud: Cloud) -> None:
    """Do what the client asks until it is gone."""
    for line in sys.stdin:
        print(json.dumps(answer(cloud, json.loads(line))), flush=True)


def answer(cloud: Cloud, command: dict[str, Any]) -> dict[str, Any]:
    name = command["server"]
    if name not in SERVERS:
        return {"error": f"no server {name}; there are {', '.join(SERVERS)}"}
    try:
        if command["do"] == "stop":
            cloud.stop_server(name)
        else:
            cloud.restart_server(name, command["settings"])
    except LabError as reason:
        return {"error": str(reason)}
    return {}


if __name__ == "__main__":
    sys.exit(main())
