# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trove's API and its task manager in one process, in its own environment: ``trove_server.py HOME``."""

from __future__ import annotations

import sys

sys.argv = ["trove-api", "--config-file", f"{sys.argv[1]}/etc/trove.conf"]

from trove.cmd.common import with_initialize  # noqa: E402


@with_initialize
def main(conf):
    from trove.common import cfg, notification, wsgi
    from trove.common.rpc import service, version
    from trove.instance import models

    notification.DBaaSAPINotification.register_notify_callback(models.persist_instance_fault)
    cfg.set_api_config_defaults()
    launcher = wsgi.launch("trove", conf.bind_port, conf.find_file(conf.api_paste_config), host=conf.bind_host,
                           workers=1)
    manager = service.RpcService(key=None, topic=conf.taskmanager_queue, rpc_api_version=version.RPC_API_VERSION,
                                 manager="trove.taskmanager.manager.Manager")
    manager.start()
    launcher.wait()


main()
