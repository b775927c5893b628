# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules in this process, against the service of an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import in_process
from in_process import OPERATIONS, load

__all__ = ["OPERATIONS", "Runner", "load"]


class Runner(in_process.Runner):
    """``run("backup_info", source=...)``: an Outcome that tells no secret. A service's limits are obeyed."""

    def __init__(self, service: Any, place: Path) -> None:
        self.service = service
        super().__init__(self._reached(service.connection()), place, longest_pause=0.1, real_retries=True)

    def __call__(self, module: str, check_mode: bool = False, connection: dict[str, Any] | None = None,
                 **options: Any) -> in_process.Outcome:
        reached = None if connection is None else self._reached(connection)
        outcome = super().__call__(module, check_mode, reached, **options)
        self._check_silence(outcome)
        return outcome

    def _reached(self, connection: dict[str, Any]) -> dict[str, Any]:
        return {"provider": self.service.name, "api_retries": 0, **connection}

    def _check_silence(self, outcome: in_process.Outcome) -> None:
        """No secret in anything that a user reads."""
        said = [*outcome.warnings, *outcome.progress, str(outcome.result)]
        if outcome.error:
            said.append(str(outcome.error.to_failure()))
        for secret in self.service.secrets:
            assert not any(secret in text for text in said), "a secret is told"
