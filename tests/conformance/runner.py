# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules in this process: options are completed and validated and the operation runs, as in the action plugin."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOM = "ansible_collections.restorable.backups.plugins.module_utils."
OPERATIONS = {"backup_info": "info", "backup_check": "check", "backup_task": "task", "backup_run": "run_backup",
              "backup_import": "import_backup"}
RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")


def load(name: str) -> Any:
    """A module of the collection's module_utils."""
    return importlib.import_module(ROOM + name)


@dataclass
class Outcome:
    """What a run gave back."""

    result: dict[str, Any] | None = None
    error: Any = None
    warnings: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        assert self.result is not None, f"the run failed: {self.error!r}"
        return self.result[name]

    @property
    def code(self) -> str:
        """The stable word for why it failed."""
        assert self.error is not None, f"the run did not fail: {self.result}"
        return self.error.code

    @property
    def ids(self) -> list[str]:
        return [backup["id"] for backup in self["backups"]]


class Runner:
    """``run("backup_info", source=...)``: an Outcome. Whatever is no BackupError is a traceback, and fails the test."""

    def __init__(self, service: Any, place: Path) -> None:
        self.service = service
        self.state_dir = place / "state"
        # Nothing of the user's own: no clouds.yaml, no variables.
        self.environment = {"HOME": str(place)}
        self.private_dir = place / "private"

    def __call__(self, module: str, check_mode: bool = False, connection: dict[str, Any] | None = None,
                 **options: Any) -> Outcome:
        outcome = Outcome()
        operation = load(f"_operations.{OPERATIONS[module]}")
        if "state_dir" in operation.SPEC["argument_spec"]:
            options.setdefault("state_dir", str(self.state_dir))
        context = load("_operations").Context(
            check_mode=check_mode, warn=outcome.warnings.append, progress=outcome.warnings.append,
            sleep=lambda seconds: time.sleep(min(seconds, 0.1)))
        try:
            params = self._params(operation.SPEC, connection, options)
            outcome.result = operation.run(params, self._connect(params, outcome), context)
        except load("_errors").BackupError as error:
            outcome.error = error
        self._check_silence(outcome)
        return outcome

    def provider(self) -> Any:
        """The provider as modules get it."""
        return self._connect(self._params(load("_operations.info").SPEC, None, {"source": "any"}), Outcome())

    def _params(self, spec: dict[str, Any], connection: dict[str, Any] | None,
                options: dict[str, Any]) -> dict[str, Any]:
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

        given = {"provider": self.service.name, "api_retries": 0,
                 **(self.service.connection() if connection is None else connection), **options}
        own = load("_providers").PROVIDERS[self.service.name].options
        arguments = load("_options").complete(given, spec["argument_spec"], own, {}, self.environment)
        validator = ArgumentSpecValidator(spec["argument_spec"], **{rule: spec[rule] for rule in RULES if rule in spec})
        checked = validator.validate(arguments)
        if checked.error_messages:
            raise load("_errors").BackupError("; ".join(checked.error_messages), code="bad_option")
        load("_options").check_shared(checked.validated_parameters)
        return checked.validated_parameters

    def _connect(self, params: dict[str, Any], outcome: Outcome) -> Any:
        self.private_dir.mkdir(mode=0o700, exist_ok=True)
        providers = load("_providers")
        return providers.connect(params, providers.Surroundings(
            outcome.warnings.append, self.environment, str(self.private_dir), lambda _secret: None))

    def _check_silence(self, outcome: Outcome) -> None:
        """No secret in anything that a user reads."""
        said = [*outcome.warnings, str(outcome.result)]
        if outcome.error:
            said.append(str(outcome.error.to_failure()))
        for secret in self.service.secrets:
            assert not any(secret in text for text in said), "a secret is told"
