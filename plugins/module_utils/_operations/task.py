# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_task: ensure the standing order of a source, in the way that its service allows."""

from __future__ import annotations

from .._options import STATE_DIR_OPTION, source_option, with_provider
from ._task_order import ensure_order
from ._task_record import ensure_record
from ._waiting import check_wait

# What a task can be made of. No provider has all of these.
SETTINGS = {
    "engines": {"type": "list", "elements": "str", "aliases": ["db_type"]},
    "frequency": {"type": "str"},
    "default_frequency": {"type": "str"},
    "keep_count": {"type": "int"},
    "gzip": {"type": "bool"},
    "excluded_tables": {"type": "list", "elements": "str", "aliases": ["skip_tables"]},
    "run_on_replica": {"type": "bool", "aliases": ["run_on_replica_server"]},
    "logical_backup": {"type": "bool"},
    "full_backup_day": {"type": "int"},
    "full_backup_retention": {"type": "int"},
    "copy_to": {"type": "list", "elements": "str"},
    "swift_container": {"type": "str"},
}
SPEC = {
    "argument_spec": with_provider(
        source=source_option(required=True),
        state={"type": "str", "default": "present", "choices": ["present", "absent"]},
        **SETTINGS,
        run_now={"type": "bool", "default": False},
        allow_additional={"type": "bool", "default": False},
        recreate_stalled={"type": "bool", "default": False},
        evidence={"type": "str", "default": "marker", "choices": ["marker", "api"]},
        state_dir=STATE_DIR_OPTION,
        grace={"type": "str"},
        wait={"type": "bool", "default": False},
        wait_timeout={"type": "int", "default": 7200},
        wait_interval={"type": "int", "default": 30}
    ),
    "supports_check_mode": True,
}


def run(params, provider, context):
    provider.require("unschedule" if params["state"] == "absent" else "schedule")
    given = {option: True for option in SETTINGS if params[option] is not None}
    if params["engines"] == ["all"]:
        # Asks for whatever there is, which is all that any provider can be asked for.
        given.pop("engines")
    provider.check_understood("schedule", dict(given, run_now=params["run_now"]), list(SETTINGS) + ["run_now"])
    check_wait(params)
    ensure = ensure_record if provider.task_kind == "record" else ensure_order
    return ensure(params, provider, context)
