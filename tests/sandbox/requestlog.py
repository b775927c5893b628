# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked of the sandbox, in order of arrival: tests count calls and bytes with it."""

from __future__ import annotations

from collections import deque
from typing import Any

KEPT = 100_000


class RequestLog:
    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._last = 0

    def begin(self, **facts: Any) -> dict[str, Any]:
        """A new entry; its status and bytes are filled in while the request is served (null until then)."""
        self._last += 1
        entry = {"n": self._last, **facts, "status": None, "bytes_sent": 0, "faults": []}
        self._entries.append(entry)
        return entry

    def since(self, number: int) -> list[dict[str, Any]]:
        return [entry for entry in self._entries if entry["n"] > number]

    def clear(self) -> None:
        """Forget all entries; the numbering goes on."""
        self._entries.clear()
