# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quirks that stay until they are switched back: what a service of that kind does, not what goes wrong once."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from . import cron
from .catalogue import Catalogue


class Switch(NamedTuple):
    default: Any
    accepts: Callable[[Any], bool]
    meaning: str


def _flag(default: bool = False) -> tuple[bool, Callable[[Any], bool], str]:
    return default, lambda value: isinstance(value, bool), "true or false"


def _choice(*values: Any) -> tuple[Any, Callable[[Any], bool], str]:
    return values[0], lambda value: value in values, "one of " + ", ".join(map(str, values))


def _number(default: float | None, least: float = 0) -> tuple[float | None, Callable[[Any], bool], str]:
    def accepts(value: Any) -> bool:
        return (value is None and default is None) or (
            isinstance(value, (int, float)) and not isinstance(value, bool) and value >= least)
    return default, accepts, f"a number from {least}" + (" or null" if default is None else "")


def _is_cron(value: Any) -> bool:
    return value is None or bool(cron.check(value, 6))


SWITCHES: dict[str, dict[str, Switch]] = {
    "cloud66": {
        "mysql_binary": Switch(*_choice("folder", "xbstream")),
    },
    "cloud66_v2": {
        "enveloped": Switch(*_flag()),
        "enveloped_actions": Switch(*_flag()),
    },
    "backupman": {
        "cron": Switch(None, _is_cron, "null or a cron expression of six fields"),
        "collision": Switch(*_flag()),
        "pending": Switch(*_flag()),
        "lose_files": Switch(*_flag()),
        "damage": Switch(*_choice("none", "backslashes", "binary", "trailing_backslash", "cut")),
        "dump_path": Switch(*_choice("cleared", "kept")),
        "in_memory": Switch(*_flag()),
        "no_files": Switch(*_choice("phantom", "null", "empty")),
        "error_style": Switch(*_choice("mixed", "Error", "error", "empty")),
        "no_key": Switch(*_flag()),
        "down": Switch(*_flag()),
        "provider": Switch("local", lambda value: isinstance(value, str), "a text"),
        "drives": Switch(1, lambda value: isinstance(value, int) and 1 <= value <= 9, "a number from 1 to 9"),
        "drive_status": Switch(*_choice("finished", "pending", "failed")),
        "app_url": Switch(None, lambda value: value is None or isinstance(value, str), "null or a text"),
    },
    "rackspace": {
        "token_seconds": Switch(*_number(86400, 0)),
        "catalog": Switch(*_choice("full", "no_database", "no_object_store")),
        "rate_limit": Switch(*_number(None, 0)),
        "marker": Switch(*_choice("offset", "id")),
        "instance_list": Switch(*_choice("backups", "backup", "single")),
        "dates": Switch(*_choice("z", "naive")),
        "is_automated": Switch(*_choice("int", "bool", "absent")),
        "schedules": Switch(*_flag(True)),
        "schedule_record": Switch(*_choice("whole", "short")),
        "schedule_seconds": Switch(*_number(0, 0)),
        "one_schedule": Switch(*_flag(True)),
        "updates": Switch(*_choice("kept", "lost", "no_copy_to")),
        "files_forbidden": Switch(*_flag()),
        "build_seconds": Switch(*_number(0, 0)),
        "outcome": Switch(*_choice("COMPLETED", "FAILED", "BUILDING", "COPY_ERROR")),
    },
}


class Switches:
    """How every switch stands. Kept over a restart."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._set: dict[str, dict[str, Any]] = catalogue.recall("switches", {})

    def get(self, surface: str, name: str) -> Any:
        return self._set.get(surface, {}).get(name, SWITCHES[surface][name].default)

    def change(self, wanted: dict[str, dict[str, Any]]) -> None:
        """All of them or, when one is misspelt, none."""
        for surface, values in wanted.items():
            if surface not in SWITCHES:
                raise ValueError(f"switches exist for {', '.join(SWITCHES)}, not {surface}")
            for name, value in values.items():
                known = SWITCHES[surface]
                if name not in known:
                    raise ValueError(f"{surface} has the switches {', '.join(sorted(known))}, not {name}")
                if not known[name].accepts(value):
                    raise ValueError(f"{surface} {name} must be {known[name].meaning}")
        for surface, values in wanted.items():
            self._set.setdefault(surface, {}).update(values)
        self._catalogue.remember("switches", self._set)

    def reset(self) -> None:
        self._set = {}
        self._catalogue.remember("switches", self._set)

    def describe(self) -> dict[str, dict[str, Any]]:
        return {surface: {name: self.get(surface, name) for name in known} for surface, known in SWITCHES.items()}
