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
OPERATIONS = {"backup_info": "info", "backup_check": "check", "backup_task": "task", "backup_import": "import_backup",
              "backup_run": "run_backup"}


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
    """``connection`` is how the provider is reached where a run does not say it."""

    def __init__(self, connection: dict[str, Any], state_dir: str) -> None:
        self.connection = connection
        self.state_dir = state_dir

    def provider(self, outcome: Outcome, **options: Any) -> Any:
        """The provider as modules get it."""
        spec = _load("_options").PROVIDER_OPTIONS
        params = {name: about.get("default") for name, about in spec.items()}
        return self._connected({**params, **self._completed(options, spec)}, outcome)

    def _connected(self, params: dict[str, Any], outcome: Outcome) -> Any:
        """With pauses that are noted instead of waited for."""
        providers = _load("_providers")
        provider = providers.connect(params, providers.Surroundings(warn=outcome.warnings.append))
        provider._client._sleep = outcome.pauses.append
        return provider

    def __call__(self, module: str, check_mode: bool = False, **options: Any) -> Outcome:
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

        outcome = Outcome()
        operation = _load(f"_operations.{OPERATIONS[module]}")
        spec = operation.SPEC["argument_spec"]
        if "state_dir" in spec:
            options.setdefault("state_dir", self.state_dir)
        context = _load("_operations").Context(
            check_mode=check_mode, warn=outcome.warnings.append, progress=print, sleep=outcome.pauses.append)
        try:
            checked = ArgumentSpecValidator(spec).validate(self._completed(options, spec))
            assert not checked.error_messages
            params = checked.validated_parameters
            outcome.result = operation.run(params, self._connected(params, outcome), context)
        except _load("_errors").BackupError as error:
            outcome.error = error
        return outcome

    def _completed(self, options: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """Options as the action plugins complete them, without host variables and environment."""
        given = {**self.connection, **options}
        own = _load("_providers").PROVIDERS[given["provider"]].options
        return _load("_options").complete(given, spec, own, {}, {})


def _load(name: str) -> Any:
    return importlib.import_module(ROOM + name)


@pytest.fixture
def connection(sandbox):
    """How the service of these tests is reached; overridden by those of other providers."""
    return {"provider": "cloud66", "api_url": sandbox.api_url, "api_token": sandbox.token}


@pytest.fixture
def run(connection, tmp_path, collections_path):
    """``run("backup_info", source=stack.uid)``: an Outcome."""
    if collections_path not in sys.path:
        sys.path.insert(0, collections_path)
    return Runner(connection, str(tmp_path / "state"))


@pytest.fixture
def provider(run):
    """The provider, ready to be asked. What it warns of is in ``provider.told``."""
    outcome = Outcome()
    provider = run.provider(outcome)
    provider.told, provider.pauses = outcome.warnings, outcome.pauses
    return provider
