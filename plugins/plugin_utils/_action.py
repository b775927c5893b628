# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Base of the action plugins: modules that run in the controller's own process.

Ansible applies neither environment fallbacks of a task's ``environment`` nor ``no_log`` to action plugins by itself;
both are done here, and every typed error becomes a failed result here.
"""

from __future__ import annotations

import os
import re

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._errors import BackupError, MissingLibraryError
from ..module_utils._http import warm_up
from ..module_utils._operations import Context
from ..module_utils._options import PROVIDER_OPTIONS, check_shared, complete, secrets_in
from ..module_utils._providers import PROVIDERS, Surroundings, connect

display = Display()
_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
_SPEC_RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")


class ControllerAction(ActionBase):
    """Runs an operation with validated options; a subclass names its SPEC and its work."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False
    _requires_connection = False

    spec = {"argument_spec": {}}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        rules = {rule: cls.spec[rule] for rule in _SPEC_RULES if rule in cls.spec}
        cls._validator = ArgumentSpecValidator(cls.spec["argument_spec"], **rules)

    def operate(self, params, provider, context, task_vars):
        """The module's result. May raise BackupError."""
        raise NotImplementedError

    def run(self, tmp=None, task_vars=None):
        # Before the base class, which refuses it too but does not say what to do instead.
        if self._task.async_val:
            raise AnsibleActionFail(
                "%s runs on the controller and cannot be detached with async; use wait and wait_timeout, or throttle"
                % self._task.action
            )
        result = super().run(tmp, task_vars)
        del tmp
        warnings, secrets = [], set()
        try:
            environment = self._environment()
            params, secrets = self._validated(task_vars or {}, environment)
            register_secrets(secrets)

            def learn(secret):
                secrets.add(secret)
                register_secrets([secret])

            provider = connect(params, Surroundings(warnings.append, environment, C.DEFAULT_LOCAL_TMP, learn))
            context = Context(
                check_mode=self._task.check_mode,
                warn=warnings.append,
                progress=lambda text: display.display(hide(text, secrets)),
            )
            result.update(self.operate(params, provider, context, task_vars or {}))
        except MissingLibraryError as error:
            result.update(failed=True, msg=error.message, exception=error.traceback)
        except BackupError as error:
            result.update(failed=True, changed=error.changed, msg=error.message, failure=error.to_failure())
        if warnings:
            result["warnings"] = list(dict.fromkeys(result.get("warnings", []) + warnings))
        return without_secrets(result, secrets)

    def _validated(self, task_vars, environment):
        """(validated options, secrets found in them)."""
        spec = self.spec["argument_spec"]
        arguments = self._task.args.copy()
        if "provider" in spec:
            variables = _HostVariables(task_vars, self._templar)
            whose = variables.get("protect_provider") or PROVIDER_OPTIONS["provider"]["default"]
            if arguments.setdefault("provider", whose) != whose:
                # They tell of another service, and its credential must not go to this one.
                variables = {}
            provider = PROVIDERS.get(arguments["provider"])
            if provider is not None:  # else the validation below says which there are
                arguments = complete(arguments, spec, provider.options, variables, environment)
        for option, about in spec.items():
            if "fallback" in about and option not in arguments:
                # The task's own environment reaches a module, but not an action plugin.
                found = next((environment[name] for name in about["fallback"][1] if name in environment), None)
                if found is not None:
                    arguments[option] = found
        return validated(arguments, self._validator)

    def _environment(self):
        """The variables of the environment: the controller's own, and those of the task on top."""
        if not (self._task.environment and any(self._task.environment)):
            return os.environ
        environment = {}
        self._compute_environment_string(environment)
        return dict(os.environ, **{name: str(value) for name, value in environment.items()})


class _HostVariables:
    """The variables of the task's host, each templated when it is asked for."""

    def __init__(self, task_vars, templar):
        self._task_vars, self._templar = task_vars, templar

    def get(self, name):
        value = self._task_vars.get(name)
        return None if value is None else self._templar.template(value)


def validated(arguments, validator):
    """(validated options, secrets found in them). Raises BackupError."""
    validation = validator.validate(arguments)
    secrets = {text for text in validation._no_log_values if text}  # pylint: disable=protected-access  # no public way to them
    secrets |= secrets_in({option: arguments.get(option) for option in ("auth", "cloud")})
    if validation.error_messages:
        raise BackupError("Invalid options: %s" % hide("; ".join(validation.error_messages), secrets), code="bad_option")
    params = validation.validated_parameters
    check_shared(params)
    return params, secrets | signatures_of(secrets)


def signatures_of(secrets):
    """The query strings of secrets that are URLs: they are the secret part, wherever they turn up alone."""
    # Not urlsplit(): it raises for what is no URL, and that is said later, without the secret.
    queries = (text.partition("#")[0].partition("?")[2] for text in secrets if "://" in text)
    return {query for query in queries if len(query) > 3}


def hide(text, secrets):
    """The text without the secrets, and without what is secret in any URL, wherever it came from: its query, its password."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = re.sub(r"(https?://)[^\s/?#'\"@]+@", r"\1", text)
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]+", r"\1?" + _HIDDEN, text)


def without_secrets(value, secrets):
    """A copy of a result in which no text holds a secret."""
    if isinstance(value, str):
        return hide(value, secrets) if "://" in value or any(secret in value for secret in secrets) else value
    if isinstance(value, dict):
        return {name: without_secrets(inner, secrets) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(inner, secrets) for inner in value]
    return value


def register_secrets(secrets):
    """Tell ansible-core of secrets where it has a register for them (2.22 and later)."""
    for secret in secrets:
        _register(secret)


try:
    from ansible.module_utils.secrets import register_secret as _register
except ImportError:

    def _register(secret):
        """Older cores have no register; the results are cleaned here all the same."""


# A controller imports this before it forks its workers.
warm_up()
