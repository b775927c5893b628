# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The registry of providers, and what every provider is. One file per API beside this one."""

from __future__ import annotations

from ._base import FACTS, OPERATIONS, Listing, Option, Provider, Surroundings
from .backupman import Backupman
from .cloud66 import Cloud66
from .cloud66_v2 import Cloud66V2
from .rackspace import Rackspace
from .trove import Trove

PROVIDERS = {provider.name: provider for provider in (Cloud66, Cloud66V2, Trove, Rackspace, Backupman)}


def connect(params, around):
    """The provider that the options ask for, ready to be used; nothing has been sent yet."""
    return PROVIDERS[params["provider"]].from_options(params, around)


__all__ = ("FACTS", "OPERATIONS", "PROVIDERS", "Listing", "Option", "Provider", "Surroundings", "connect")
