# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Scratch databases: one file per engine, all with the same few methods (``_base.Engine``)."""

from __future__ import annotations

from ._base import Engine, EngineError, Installation, Job
from ._scratch import Scratch
from .mongodb import MongoDB
from .mysql import MysqlEngine
from .postgresql import PostgreSQL
from .redis import Redis
from .sqlite import SQLite

ENGINES = {kind.name: kind for kind in (PostgreSQL, MysqlEngine, Redis, MongoDB, SQLite)}

__all__ = ["ENGINES", "Engine", "EngineError", "Installation", "Job", "Scratch"]
