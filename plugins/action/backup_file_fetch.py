# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shlex
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

from ..module_utils._errors import BackupError, OptionError
from ..module_utils._operations._fetch_options import SPEC
from ..module_utils._operations.file_fetch import run
from ..module_utils._providers import PROVIDERS
from ..module_utils._receive import ReceiveError, credentials_of, without_signatures
from ..module_utils._receive._storage import Storage
from ..module_utils._values import format_size
from ..plugin_utils._action import ControllerAction, display, hide, register_secrets, signatures_of, without_secrets
from ..plugin_utils._relay import Relay
from ..plugin_utils._spool import Spool

# Larger than any bundle of authorities.
_MAX_CA_BYTES = 4 << 20


class _Unseen(str):
    """Text that ansible-core's own debug log shows by its length only."""

    __slots__ = ()

    def __repr__(self):
        return "<%d characters>" % len(self)


class ActionModule(ControllerAction):
    """backup_file_fetch: the API is asked here, the bytes go to the host.

    The module of the same name runs on the host, as often as there are slices. It gets addresses that need no
    credential: signed URLs, or those of a relay in this process where the host is this machine. Where neither is
    possible the bytes come here first and are handed on, unless the credential may go to the host.
    """

    _requires_connection = True
    spec = SPEC

    def operate(self, params, provider, context, task_vars):
        if "_plan" in self._task.args:
            raise OptionError("_plan", "is not for playbooks")
        name = task_vars.get("inventory_hostname", "localhost")

        def say(text):
            # Not to the standard output, which may be one JSON document.
            if not self._task.no_log:
                display.display(hide("[%s] %s" % (name, text), host.secrets), stderr=True)

        with _Host(self, params, provider, task_vars, say) as host:
            try:
                result = run(params, provider, replace(context, progress=say), host)
            except BackupError as error:
                raise host.cleaned(error)
        result.update(host.asides)
        return without_secrets(result, host.secrets) if host.secrets else result


class _Host:
    """Carries orders to the module on the host, and its answers back.

    ``asides`` are what the module said besides its answer: warnings and an interpreter that was found.
    """

    def __init__(self, action, params, provider, task_vars, say):
        self._action, self._params, self._provider, self._task_vars = action, params, provider, task_vars
        self._say = say
        # As given: the home and the variables in it are those of the host.
        self._arguments = {"dest": action._task.args["dest"]}  # pylint: disable=protected-access
        for option in ("source", "mode", "owner", "group"):
            if params[option] is not None:
                self._arguments[option] = params[option]
        self.asides, self.secrets = {}, set()
        self._credentials = set()
        # How the bytes come: what is common to all orders, and at most one of these two.
        self._way = {"ca_data": _authorities(params["ca_path"])}
        self._relay, self._spool = None, None
        self._looked = None

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        if self._relay is not None:
            self._relay.close()
        if self._spool is not None:
            self._spool.tidy(keep=kind is not None and self._params["keep_partial"])

    # -- what the operation asks for -------------------------------------------------------------------------------

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
        self._looked = self._send("inspect", order)
        if self._looked["state"] == "current":
            self._forget_leftovers(order)
        return self._looked

    def receive(self, order, accesses):
        """The answer to an order, with the parts to fetch now as {number: FileAccess}."""
        self._learn(accesses.values())
        if self._relay is None and self._spool is None:
            self._choose_way(order, accesses)
        if self._spool is not None:
            return self._receive_here(order, accesses)
        url_of = self._relay.url_for if self._relay is not None else lambda access: access.url
        urls = {str(index): url_of(access) for index, access in accesses.items()}
        credentials = {}
        if self._relay is None:
            credentials = {str(index): access.headers for index, access in accesses.items() if access.headers}
        try:
            return self._send("receive", dict(order, urls=urls, credentials=credentials))
        finally:
            if self._relay is not None:
                self._relay.cut()

    def release(self, order):
        if self._spool is None:
            self._send("release", order)
        else:
            self._spool.release(order)

    # -- which way the bytes take ----------------------------------------------------------------------------------

    def _learn(self, accesses):
        for access in accesses:
            self._credentials |= credentials_of(access.headers)
        # An address that opens nothing without the header is none: it may stand in the backup's own record.
        signed = {access.url for access in accesses if not access.headers}
        secrets = signed | signatures_of({access.url for access in accesses}) | self._credentials
        register_secrets(secrets - self.secrets)
        self.secrets |= secrets

    def _choose_way(self, order, accesses):
        """Signed URLs go to the host. So do credentials where that is allowed; else a relay or this controller helps."""
        guarded = next((access for access in accesses.values() if access.headers), None)
        if guarded is None:
            return
        if guarded.validate_certs is not None:
            self._way["validate_certs"] = guarded.validate_certs
        # As for the API, which is where the credential belongs.
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self._way["ca_data"] = _authorities(guarded.ca_path or self._params["ca_path"] or bundle)
        if self._params["credentials_on_host"]:
            if guarded.client_cert is not None:
                raise OptionError("credentials_on_host", "a client certificate is needed too, and stays on the controller")
            return
        environment = self._action._environment()  # pylint: disable=protected-access
        here = dict(
            self._way, client_cert=guarded.client_cert, proxies=None if environment is os.environ else _proxies(environment)
        )
        if getattr(self._action._connection, "transport", None) == "local":  # pylint: disable=protected-access
            settings = dict(order, **here)
            names = ("timeout", "validate_certs", "ca_data", "allow_http", "proxies", "client_cert")
            storage = Storage(**{name: settings[name] for name in names})
            self._relay = Relay(storage, 4 * order["workers"])
            self._way = {"proxies": {}, "storage_name": urlsplit(guarded.url).hostname}
        else:
            self._spool = self._place_here(order)
            self._way = here

    def _place_here(self, order):
        name = self._task_vars.get("inventory_hostname", "localhost")
        return Spool(self._params["spool_dir"], [order["what"], name, str(self._arguments["dest"])])

    def _forget_leftovers(self, order):
        """A run that died just after its work was done may have left a copy here."""
        spool = self._place_here(order)
        if spool.exists:
            with suppress(ReceiveError):
                spool.release(dict(order, keep_partial=False))

    # -- by way of the controller ----------------------------------------------------------------------------------

    def _receive_here(self, order, accesses):
        if self._looked is None:
            # Before any byte is fetched to no avail.
            looked = self.inspect(order)
            if looked["state"] == "current":
                return looked
        urls = {str(index): access.url for index, access in accesses.items()}
        credentials = {str(index): access.headers for index, access in accesses.items()}
        try:
            answer = self._spool.receive(dict(order, urls=urls, credentials=credentials, **self._way))
        except ReceiveError as error:
            if error.code == "busy":
                # It is the other's.
                self._spool = None
            problem = BackupError("On the controller: %s" % error.message, code=error.code, **error.details)
            problem.on_host = True
            raise problem
        answer = dict(answer, path=self._looked["path"], diff=self._looked["diff"])
        return answer if answer["state"] == "progress" else self._hand_on(order, answer)

    def _hand_on(self, order, brought):
        """Bring the checked bytes to the host, where the module checks them again and puts them in place."""
        connection, transfer = self._action._connection, self._action._transfer_file  # pylint: disable=protected-access
        size = brought["size_bytes"]
        folder = connection._shell.tmpdir or self._action._make_tmp_path()  # pylint: disable=protected-access
        handed = {"folder": folder}
        looked = self._send("inspect", dict(order, handed=handed, expected_bytes=size))
        if looked["state"] == "current":
            return looked
        self._say("backup %s: handing %s on to the host" % (order["backup"]["id"], format_size(size)))
        handed["paths"] = [
            transfer(path, connection._shell.join_path(folder, "backup-%d" % number))  # pylint: disable=protected-access
            for number, path in enumerate(brought["paths"])
        ]
        self._action._fixup_perms2([folder] + handed["paths"], execute=False)  # pylint: disable=protected-access
        handed.update(sizes=[file["size_bytes"] for file in brought["files"]], sha256=brought["sha256"])
        return dict(brought, **self._send("receive", dict(order, handed=handed)))

    # -- the module on the host ------------------------------------------------------------------------------------

    def _send(self, do, order):
        plan = json.dumps(dict(order, do=do, **({} if self._spool is not None else self._way)))
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
        """Without the variables that providers read here: they may hold the credential, and would go along."""
        names = {name for one in PROVIDERS.values() for option in one.options.values() for name in option.env}
        task = self._action._task  # pylint: disable=protected-access
        whole = task.environment
        if whole and any(whole):
            environment = {}
            self._action._compute_environment_string(environment)  # pylint: disable=protected-access
            task.environment = [
                {name: value for name, value in environment.items() if name not in names and not name.startswith("OS_")}
            ]
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
            error = BackupError(failure["message"], code=failure["code"], **failure["details"])
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

    def cleaned(self, error):
        """The same error without a secret in its words."""
        error.message = self._clean(error.message)
        return error

    def _clean(self, text):
        return without_signatures(text, self.secrets, self._credentials)


def _proxies(environment):
    """The proxies that an environment names; small letters count more."""
    found = {}
    for name, value in sorted(environment.items()):
        if name.lower().endswith("_proxy"):
            found[name.lower()[: -len("_proxy")]] = value
    return found


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
