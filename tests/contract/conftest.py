# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules in this process: options are validated and the operation runs as in the action plugin, over real HTTP."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

ROOM = "ansible_collections.restorable.backups.plugins.module_utils."
OPERATIONS = {"backup_info": "info", "backup_check": "check", "backup_task": "task", "backup_import": "import_backup"}


@dataclass
class Outcome:
    """What a run gave back, and what it did on the way."""

    result: dict[str, Any] | None = None
    error: Any = None
    warnings: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        assert self.result is not None, f"the run failed: {self.error}"
        return self.result[name]

    @property
    def code(self) -> str:
        """The stable word for why it failed."""
        assert self.error is not None, f"the run did not fail: {self.result}"
        return self.error.code


class Runner:
    def __init__(self, sandbox: Any, state_dir: str) -> None:
        self.sandbox = sandbox
        self.state_dir = state_dir

    def provider(self, outcome: Outcome, **options: Any) -> Any:
        """The provider as modules get it, but with pauses that are noted instead of waited for."""
        params = {name: about.get("default") for name, about in _load("_options").PROVIDER_OPTIONS.items()}
        params.update({"api_url": self.sandbox.api_url, "api_token": self.sandbox.token, **options})
        provider = _load("_providers").connect(params, outcome.warnings.append)
        provider._client._sleep = outcome.pauses.append
        return provider

    def __call__(self, module: str, check_mode: bool = False, **options: Any) -> Outcome:
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

        outcome = Outcome()
        operation = _load(f"_operations.{OPERATIONS[module]}")
        if "state_dir" in operation.SPEC["argument_spec"]:
            options.setdefault("state_dir", self.state_dir)
        given = {"api_url": self.sandbox.api_url, "api_token": self.sandbox.token, **options}
        checked = ArgumentSpecValidator(operation.SPEC["argument_spec"]).validate(given)
        assert not checked.error_messages
        shared = _load("_options").PROVIDER_OPTIONS
        context = _load("_operations").Context(
            check_mode=check_mode, warn=outcome.warnings.append, progress=print, sleep=outcome.pauses.append)
        try:
            provider = self.provider(outcome, **{name: checked.validated_parameters[name] for name in shared})
            outcome.result = operation.run(checked.validated_parameters, provider, context)
        except _load("_errors").BackupError as error:
            outcome.error = error
        return outcome


def _load(name: str) -> Any:
    return importlib.import_module(ROOM + name)


@pytest.fixture
def run(sandbox, tmp_path, collections_path):
    """``run("backup_info", source=stack.uid)``: an Outcome."""
    if collections_path not in sys.path:
        sys.path.insert(0, collections_path)
    return Runner(sandbox, str(tmp_path / "state"))


@pytest.fixture
def provider(run):
    """The provider ``cloud66``, ready to be asked."""
    return run.provider(Outcome())
