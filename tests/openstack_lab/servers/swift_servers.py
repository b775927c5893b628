# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swift's four servers in one process, with one device and one replica: ``swift_servers.py HOME PROXY ACCOUNT CONTAINER
OBJECT`` (the ports)."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import eventlet
import eventlet.wsgi
from swift.common.utils import disable_fallocate, monkey_patch, set_swift_dir


def log_to_stderr(_conf, _name, _to_console, _route, _format, logger, _adapted):
    """Asked for in the configuration: there is no syslog here."""
    if not any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
        logger.addHandler(logging.StreamHandler())


def make_rings(folder: Path, ports: dict[str, int]) -> None:
    from swift.common.ring import RingBuilder

    for name, port in ports.items():
        builder = RingBuilder(4, 1, 0)
        builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": port,
                         "device": "disk", "replication_ip": "127.0.0.1", "replication_port": port, "meta": ""})
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{name}.ring.gz"))


def main() -> None:
    home = Path(sys.argv[1])
    names = ("proxy", "account", "container", "object")
    ports = dict(zip(names, map(int, sys.argv[2:]), strict=True))
    monkey_patch()
    disable_fallocate()
    make_rings(home / "swift/etc", {name: ports[name] for name in names[1:]})
    set_swift_dir(str(home / "swift/etc"))

    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.wsgi import loadapp

    servers = []
    for name in reversed(names):
        app = loadapp(f"{home}/etc/swift-{name}.conf", global_conf={"log_name": name})
        socket = eventlet.listen(("127.0.0.1", ports[name]), backlog=512)
        servers.append(eventlet.spawn(eventlet.wsgi.server, socket, app, logging.getLogger("silent"),
                                      log_output=False, protocol=SwiftHttpProtocol,
                                      capitalize_response_headers=False))
    for server in servers:
        server.wait()


if __name__ == "__main__":
    # By this name the configuration finds log_to_stderr, without a second copy of this file.
    sys.modules["swift_servers"] = sys.modules["__main__"]
    main()
