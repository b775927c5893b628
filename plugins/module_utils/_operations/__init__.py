# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What the modules do, one file each: options in, result out; through a provider, without knowing which."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Callable

from .._values import UTC


def _utc_now():
    return datetime.now(UTC)


@dataclass
class Context:
    """The world around an operation, so that it can be tested without it. Times are UTC, waits are seconds."""

    check_mode: bool = False
    warn: Callable = print
    progress: Callable = print
    now: Callable = _utc_now
    sleep: Callable = time.sleep
