# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keystone, in its own environment: ``keystone_server.py HOME PORT``."""

from __future__ import annotations

import os
import sys

home, port = sys.argv[1], int(sys.argv[2])
os.environ["OS_KEYSTONE_CONFIG_FILES"] = f"{home}/etc/keystone.conf"
sys.argv[1:] = []

from keystone.wsgi.api import application  # noqa: E402
from request_log import RequestLog  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, run_simple  # noqa: E402


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # The answer goes out in two writes, which would else wait for each other for 40 ms.
    disable_nagle_algorithm = True


run_simple("127.0.0.1", port, RequestLog(application, f"{home}/log/keystone.requests"), threaded=True,
           request_handler=Handler)
