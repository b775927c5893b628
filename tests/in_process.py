# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules in this process: options are completed and validated and the operation runs, as in the action plugin."""

from __future__ import annotations

import http.client
import importlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOM = "ansible_collections.restorable.backups.plugins.module_utils."
OPERATIONS = {"backup_info": "info", "backup_check": "check", "backup_task": "task", "backup_run": "run_backup",
              "backup_import": "import_backup"}


def load(name: str) -> Any:
    """A module of the collection's module_utils."""
    return importlib.import_module(ROOM + name)


def download(access: Any) -> tuple[int, bytes]:
    """(status, body) of what a FileAccess leads to, without any header but its own."""
    address = urlsplit(access.url)
    link = http.client.HTTPConnection(address.netloc, timeout=30)
    try:
        link.request("GET", address._replace(scheme="", netloc="").geturl(), headers=access.headers)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


@dataclass
class Outcome:
    """What a run gave back, and what it did on the way."""

    result: dict[str, Any] | None = None
    error: Any = None
    warnings: list[str] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

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
    """``run("backup_info", source=...)``: an Outcome. Whatever is no BackupError is a traceback, and fails the test.

    ``connection`` is how the service is reached where a run does not say it; in ``place`` is what runs leave behind.
    Pauses are noted, and last ``longest_pause`` seconds at most; with ``real_retries`` those before a request is sent
    again are left as they are.
    """

    def __init__(self, connection: dict[str, Any], place: Path, longest_pause: float = 0,
                 real_retries: bool = False) -> None:
        self.connection = connection
        self.longest_pause, self.real_retries = longest_pause, real_retries
        self.state_dir, self.private_dir = place / "state", place / "private"
        # Nothing of the user's own: no clouds.yaml, no variables.
        self.environment = {"HOME": str(place)}
        # What providers want to be kept out of every output.
        self.secrets: set[str] = set()

    def __call__(self, module: str, check_mode: bool = False, connection: dict[str, Any] | None = None,
                 **options: Any) -> Outcome:
        """A run of a module. ``connection``, if given, stands in the place of the usual one."""
        outcome = Outcome()
        operation = load(f"_operations.{OPERATIONS[module]}")
        if "state_dir" in operation.SPEC["argument_spec"]:
            options.setdefault("state_dir", str(self.state_dir))
        context = load("_operations").Context(
            check_mode=check_mode, warn=outcome.warnings.append, progress=outcome.progress.append,
            sleep=self._sleep(outcome))
        given = {**(self.connection if connection is None else connection), **options}
        try:
            params = self._params(operation.SPEC, given)
            outcome.result = operation.run(params, self._connected(params, outcome), context)
        except load("_errors").BackupError as error:
            outcome.error = error
        return outcome

    def provider(self, outcome: Outcome | None = None, **options: Any) -> Any:
        """The provider as modules get it. What it does is noted in the outcome."""
        spec = {"argument_spec": load("_options").PROVIDER_OPTIONS}
        return self._connected(self._params(spec, {**self.connection, **options}), outcome or Outcome())

    def _params(self, spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

        own = load("_providers").PROVIDERS[given["provider"]].options
        arguments = load("_options").complete(given, spec["argument_spec"], own, {}, self.environment)
        rules = {name: rule for name, rule in spec.items() if name != "supports_check_mode"}
        checked = ArgumentSpecValidator(**rules).validate(arguments)
        if checked.error_messages:
            raise load("_errors").BackupError(
                f"Invalid options: {'; '.join(checked.error_messages)}", code="bad_option")
        load("_options").check_shared(checked.validated_parameters)
        return checked.validated_parameters

    def _connected(self, params: dict[str, Any], outcome: Outcome) -> Any:
        self.private_dir.mkdir(mode=0o700, exist_ok=True)
        providers = load("_providers")
        provider = providers.connect(params, providers.Surroundings(
            outcome.warnings.append, self.environment, str(self.private_dir), self.secrets.add))
        if not self.real_retries:
            # A client that is made later, for a token's endpoint, gets its pauses from the access.
            parts = (provider, getattr(provider, "_access", None), vars(provider).get("_client"))
            pausing = [part for part in parts if hasattr(part, "_sleep")]
            assert pausing, f"nothing is known of how {params['provider']} pauses"
            for part in pausing:
                part._sleep = self._sleep(outcome)
        return provider

    def _sleep(self, outcome: Outcome) -> Any:
        def sleep(seconds: float) -> None:
            outcome.pauses.append(seconds)
            time.sleep(min(seconds, self.longest_pause))

        return sleep
