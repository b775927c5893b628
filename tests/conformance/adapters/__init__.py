# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One adapter for each provider: all that the suite has to know of its service."""

from __future__ import annotations

from .backupman import Backupman
from .base import Adapter
from .cloud66 import Cloud66
from .cloud66_v2 import Cloud66V2
from .rackspace import Rackspace
from .trove import Trove

ADAPTERS: dict[str, type[Adapter]] = {
    adapter.name: adapter for adapter in (Cloud66, Cloud66V2, Trove, Rackspace, Backupman)}

__all__ = ["ADAPTERS", "Adapter"]
