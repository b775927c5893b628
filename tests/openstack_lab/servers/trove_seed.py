# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an empty home with Trove's tables and datastores: ``trove_seed.py HOME SEEDS.json``."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

home, seeds = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
sys.argv[1:] = ["--config-file", f"{home}/etc/trove.conf"]

from trove.common import cfg  # noqa: E402

cfg.parse_args(sys.argv)
from trove import rpc  # noqa: E402

rpc.init(cfg.CONF)
from trove.db import get_db_api  # noqa: E402

# Not `trove-manage db_sync`, which makes the tables and then wants a Nova.
get_db_api().db_sync(cfg.CONF)
with sqlite3.connect(home / "trove/trove.sqlite") as database:
    # Else a reader and a writer lock each other out.
    database.execute("PRAGMA journal_mode=WAL")
get_db_api().configure_db()
from trove.datastore import models  # noqa: E402

for name, datastore in seeds["datastores"].items():
    models.update_datastore(name, None)
    models.update_datastore_version(name, datastore["version"], name, datastore["image"], "", "", 1,
                                    version=datastore["version"])
    models.update_datastore(name, datastore["version"])
