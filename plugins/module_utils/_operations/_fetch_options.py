# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The options of backup_file_fetch. The host needs them too, so nothing here may lead to a library."""

from __future__ import annotations

from ansible.module_utils.basic import env_fallback

from .._options import source_option, with_provider

FETCH_OPTIONS = {
    "source": source_option(required=True),
    "id": {"type": "str", "aliases": ["backup_id"]},
    "latest": {"type": "bool", "default": False},
    "series": {"type": "str"},
    "engine": {"type": "str", "aliases": ["db_type"]},
    "database": {"type": "str", "aliases": ["database_name"]},
    "dest": {"type": "path", "required": True},
    "parts": {"type": "str", "default": "join", "choices": ["join", "keep"]},
    "checksum": {"type": "str"},
    "mode": {"type": "raw", "default": "0600"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "keep_partial": {"type": "bool", "default": True},
    "workers": {"type": "int", "default": 4},
    "progress_interval": {"type": "int", "default": 20},
    "credentials_on_host": {"type": "bool", "default": False},
    "spool_dir": {"type": "path", "fallback": (env_fallback, ["RESTORABLE_SPOOL_DIR"])},
    # From the action plugin to the module on the host: an order, with signed URLs.
    "_plan": {"type": "str", "no_log": True},
}
SPEC = {
    "argument_spec": with_provider(**FETCH_OPTIONS),
    "supports_check_mode": True,
}
