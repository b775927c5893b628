# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Options that all modules share, and the reading of options that argument specs cannot say. Documented in doc fragments."""

from __future__ import annotations

import os
import re

from ansible.module_utils.basic import env_fallback

from ._errors import OptionError
from ._values import parse_duration, parse_size

SOURCE_ALIASES = ["stack", "stack_id", "instance", "instance_id", "label"]

# How a service is reached. Those that not every provider has are declared in its ``options``, with their defaults and
# the environment variables that stand in for them.
PROVIDER_OPTIONS = {
    "provider": {
        "type": "str",
        "default": "cloud66",
        "choices": ["cloud66", "cloud66_v2", "trove", "rackspace", "backupman"],
    },
    "api_url": {"type": "str"},
    "api_token": {"type": "str", "no_log": True, "aliases": ["api_key"]},
    "account": {"type": "str", "aliases": ["account_id"]},
    "username": {"type": "str"},
    "cloud": {"type": "raw"},
    # What is secret in it is found by secrets_in(): as no_log, words such as a project's name would vanish everywhere.
    "auth": {"type": "dict", "no_log": False},
    "auth_type": {"type": "str"},
    "region_name": {"type": "str", "aliases": ["region"]},
    "interface": {"type": "str", "choices": ["public", "internal", "admin"], "aliases": ["endpoint_type"]},
    "client_cert": {"type": "path", "aliases": ["cert"]},
    "client_key": {"type": "path", "no_log": False, "aliases": ["key"]},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path", "aliases": ["ca_cert", "cacert"]},
    "api_timeout": {"type": "float", "default": 30.0},
    "api_retries": {"type": "int", "default": 4},
    "allow_http": {"type": "bool", "default": False},
}
SHARED_OPTIONS = ("provider", "validate_certs", "ca_path", "api_timeout", "api_retries", "allow_http")
STATE_DIR_OPTION = {"type": "path", "fallback": (env_fallback, ["RESTORABLE_STATE_DIR"])}


def with_provider(**options):
    """An argument spec of the shared options and a module's own."""
    return {**PROVIDER_OPTIONS, **options}


def source_option(required):
    return {"type": "str", "required": required, "aliases": SOURCE_ALIASES}


def check_shared(params):
    """Refuse values of the shared options that no request should be made with. Raises OptionError."""
    if not 0 < params["api_timeout"] <= 86400:
        raise OptionError("api_timeout", "must be more than 0 seconds and at most a day")
    if not 0 <= params["api_retries"] <= 20:
        raise OptionError("api_retries", "must be 0 to 20")
    for option in ("client_cert", "client_key"):
        if params[option] is not None and not os.path.exists(params[option]):
            raise OptionError(option, "%s does not exist on the controller" % params[option])
    if params["client_key"] is not None and params["client_cert"] is None:
        raise OptionError("client_key", "is of no use without client_cert")
    if re.search(r"[^\x21-\x7e]", (params["account"] or "").strip()):
        raise OptionError("account", "holds blanks, control characters or letters that no header can carry")
    if params["ca_path"] is not None and not os.path.exists(params["ca_path"]):
        raise OptionError("ca_path", "%s does not exist on the controller" % params["ca_path"])
    if (params.get("source") or "").startswith("["):
        raise OptionError("source", "is a list: it takes one name, and several go into sources where a module has it")
    for option in ("source", "id"):
        if params.get(option) is not None and not params[option].strip():
            raise OptionError(option, "is empty")
        if params.get(option) in (".", ".."):
            # They would make another address of the one that is asked.
            raise OptionError(option, "%r is no name" % params[option])
    if any(source.strip() in ("", ".", "..") for source in params.get("sources") or ()):
        raise OptionError("sources", "holds an empty name, or one that is none")


def is_given(option, spec, arguments):
    """True if the arguments hold the option, by its name or an alias."""
    return any(name in arguments for name in [option] + list(spec.get(option, {}).get("aliases", ())))


def complete(arguments, spec, own, variables, environment):
    """The arguments of a task with what else says how its service is reached, and what is backed up there.

    ``own`` are the connection options that the provider has beside the shared ones. In the place of one that is not given
    stands the host's variable C(protect_<option>), so that one inventory serves the role, other playbooks and ad-hoc
    commands; then the provider's variables of the environment, then its default. ``variables`` and ``environment`` are
    mappings. Raises OptionError for a given option that another provider would need: it was meant for another service.
    """
    arguments = dict(arguments)
    for option in PROVIDER_OPTIONS:
        if option in SHARED_OPTIONS:
            wanted = (variables.get("protect_" + option),)
        elif option in own:
            about = own[option]
            wanted = [variables.get("protect_" + option)]
            wanted += [environment[name] for name in about.env if environment.get(name) is not None] + [about.default]
        elif is_given(option, spec, arguments):
            known = ", ".join(sorted(own))
            raise OptionError(option, "provider %s has no such option; its own are %s" % (arguments["provider"], known))
        else:
            continue
        found = next((value for value in wanted if value is not None), None)
        if found is not None and option in spec and not is_given(option, spec, arguments):
            arguments[option] = found
    source = variables.get("protect_source")
    if source is not None and not is_given("source", spec, arguments) and not is_given("sources", spec, arguments):
        if "source" in spec:
            arguments["source"] = source
    return arguments


def secrets_in(value, name=""):
    """The texts in a dict such as C(auth) that stand below a name of something secret."""
    if isinstance(value, dict):
        return {text for key, inner in value.items() for text in secrets_in(inner, str(key))}
    is_secret = value and isinstance(value, (str, int)) and re.search(r"passw|secret|token|passcode|api_?key", name, re.I)
    return {str(value)} if is_secret else set()


def duration(params, option):
    """Seconds of a duration option, None where it is not given. Raises OptionError."""
    return _read(params, option, parse_duration)


def size(params, option):
    """Bytes of a size option, None where it is not given. Raises OptionError."""
    return _read(params, option, parse_size)


def _read(params, option, parse):
    if params[option] is None:
        return None
    try:
        return parse(params[option])
    except ValueError as error:
        raise OptionError(option, str(error))
