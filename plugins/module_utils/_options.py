# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Options that all modules share, and the reading of options that argument specs cannot say. Documented in doc fragments."""

from __future__ import annotations

import re

from ansible.module_utils.basic import env_fallback

from ._errors import OptionError
from ._values import parse_duration, parse_size

SOURCE_ALIASES = ["stack", "stack_id", "instance", "instance_id", "label"]

PROVIDER_OPTIONS = {
    "provider": {"type": "str", "default": "cloud66", "choices": ["cloud66"]},
    "api_url": {
        "type": "str",
        "default": "https://app.cloud66.com",
        "fallback": (env_fallback, ["CLOUD66_API_URL"]),
    },
    "api_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["CLOUD66_TOKEN"])},
    "account": {"type": "str", "aliases": ["account_id"], "fallback": (env_fallback, ["CLOUD66_ACCOUNT"])},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "api_timeout": {"type": "float", "default": 30.0},
    "api_retries": {"type": "int", "default": 4},
    "allow_http": {"type": "bool", "default": False},
}
# Options that a host's variables protect_<option> stand in for.
HOST_OPTIONS = ("source",) + tuple(PROVIDER_OPTIONS)
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
    if re.search(r"[^\x21-\x7e]", (params["account"] or "").strip()):
        raise OptionError("account", "holds blanks, control characters or letters that no header can carry")
    for option in ("source", "id"):
        if params.get(option) is not None and not params[option].strip():
            raise OptionError(option, "is empty")
    if any(not source.strip() for source in params.get("sources") or ()):
        raise OptionError("sources", "holds an empty name")


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
