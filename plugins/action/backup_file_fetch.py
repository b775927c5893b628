# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shlex
from contextlib import contextmanager
from dataclasses import replace

from ..module_utils._errors import BackupError, OptionError
from ..module_utils._operations._fetch_options import SPEC
from ..module_utils._operations.file_fetch import run
from ..module_utils._receive import without_signatures
from ..plugin_utils._action import ControllerAction, display, hide, register_secrets, signatures_of, without_secrets

# Larger than any bundle of authorities.
_MAX_CA_BYTES = 4 << 20


class _Unseen(str):
    """Text that ansible-core's own debug log shows by its length only."""

    __slots__ = ()

    def __repr__(self):
        return "<%d characters>" % len(self)


class ActionModule(ControllerAction):
    """backup_file_fetch: the API is asked here, the bytes go to the host.

    The module of the same name runs on the host, as often as there are slices, and gets signed URLs but no credential.
    """

    _requires_connection = True
    spec = SPEC

    def operate(self, params, provider, context, task_vars):
        if "_plan" in self._task.args:
            raise OptionError("_plan", "is not for playbooks")
        host = _Host(self, params, task_vars)
        name = task_vars.get("inventory_hostname", "localhost")

        def say(text):
            # Not to the standard output, which may be one JSON document.
            if not self._task.no_log:
                display.display(hide("[%s] %s" % (name, text), host.secrets), stderr=True)

        result = run(params, provider, replace(context, progress=say), host)
        result.update(host.asides)
        return without_secrets(result, host.secrets) if host.secrets else result


class _Host:
    """Carries orders to the module on the host, and its answers back.

    ``asides`` are what the module said besides its answer: warnings and an interpreter that was found.
    """

    def __init__(self, action, params, task_vars):
        self._action, self._task_vars = action, task_vars
        self._ca_data = _authorities(params["ca_path"])
        # As given: the home and the variables in it are those of the host.
        self._arguments = {"dest": action._task.args["dest"]}  # pylint: disable=protected-access
        for option in ("source", "mode", "owner", "group"):
            if params[option] is not None:
                self._arguments[option] = params[option]
        self.asides, self.secrets = {}, set()

    def is_free(self, order):
        """True if nothing stands where the backup would go: one command of the shell, far quicker than the module."""
        dest = self._arguments["dest"]
        if not isinstance(dest, str) or not dest or set(dest) & set("~$\n"):
            return False
        dest, name = shlex.quote(dest), shlex.quote(order["name"])
        command = (
            'd=%s; if [ -d "$d" ]; then p="$d"; d="$d"/%s; else p=`dirname "$d"`; fi; '
            'case "$d" in */) ;; *) [ -d "$p" ] && [ -w "$p" ] && [ ! -e "$d" ] && [ ! -L "$d" ] && echo free;; esac'
        )
        with self._environment_of_host():
            found = self._action._low_level_execute_command(command % (dest, name))  # pylint: disable=protected-access
        return found.get("rc") == 0 and found.get("stdout", "").split() == ["free"]

    def inspect(self, order):
        return self._send("inspect", order)

    def receive(self, order):
        return self._send("receive", order)

    def release(self, order):
        return self._send("release", order)

    def _send(self, do, order):
        urls = set(order["urls"].values())
        secrets = urls | signatures_of(urls)
        register_secrets(secrets - self.secrets)
        self.secrets |= secrets
        plan = json.dumps(dict(order, do=do, ca_data=self._ca_data))
        arguments = dict(self._arguments, _plan=_Unseen(plan))
        with self._environment_of_host():
            found = self._action._execute_module(  # pylint: disable=protected-access
                module_name="restorable.backups.backup_file_fetch",
                module_args=arguments,
                task_vars=self._task_vars,
            )
        self._note_asides(found)
        if found.get("failed") or "answer" not in found:
            raise self._error(found)
        return found["answer"]

    @contextmanager
    def _environment_of_host(self):
        """Without the variables that this plugin reads itself: they hold the credential, and would go along."""
        names = {
            name for about in SPEC["argument_spec"].values() if "fallback" in about for name in about["fallback"][1]
        }
        task = self._action._task  # pylint: disable=protected-access
        whole = task.environment
        if whole and any(whole):
            environment = {}
            self._action._compute_environment_string(environment)  # pylint: disable=protected-access
            task.environment = [{name: value for name, value in environment.items() if name not in names}]
        try:
            yield
        finally:
            task.environment = whole

    def _note_asides(self, found):
        for key in ("warnings", "deprecations"):
            for text in found.get(key) or ():
                known = self.asides.setdefault(key, [])
                if text not in known:
                    known.append(text)
        if found.get("ansible_facts"):
            self.asides["ansible_facts"] = found["ansible_facts"]

    def _error(self, found):
        failure = found.get("failure")
        if isinstance(failure, dict):
            error = BackupError(self._clean(failure["message"]), code=failure["code"], **failure["details"])
        else:
            said = [
                found.get("msg") or "the module gave no answer",
                found.get("module_stderr"),
                found.get("module_stdout"),
            ]
            text = " / ".join(str(part).strip() for part in said if part and str(part).strip())
            error = BackupError("On the host: %s" % self._clean(text)[:2000], code="host")
        error.on_host = True
        return error

    def _clean(self, text):
        return without_signatures(text, self.secrets)


def _authorities(path):
    """The certificates behind ``ca_path``, which lies on the controller, for the host."""
    if path is None:
        return None
    try:
        files = [path]
        if os.path.isdir(path):
            files = [os.path.join(path, name) for name in sorted(os.listdir(path))]
        found = []
        for name in filter(os.path.isfile, files):
            with open(name, encoding="ascii", errors="ignore") as file:
                text = file.read(_MAX_CA_BYTES)
            if "-----BEGIN CERTIFICATE-----" in text:
                found.append(text[text.index("-----BEGIN CERTIFICATE-----") :])
    except OSError as error:
        raise OptionError("ca_path", "cannot be read: %s" % os.strerror(error.errno or 0))
    return "\n".join(dict.fromkeys(found)) or None
