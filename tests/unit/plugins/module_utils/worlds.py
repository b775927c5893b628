# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the unit tests build their worlds from: backups, a provider and a clock of their own."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

from ansible_collections.restorable.backups.plugins.module_utils._backup import Backup
from ansible_collections.restorable.backups.plugins.module_utils._errors import ApiError
from ansible_collections.restorable.backups.plugins.module_utils._operations import Context
from ansible_collections.restorable.backups.plugins.module_utils._providers import Listing, Provider
from ansible_collections.restorable.backups.plugins.module_utils._providers.cloud66 import Cloud66

UTC = timezone.utc
NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)  # a Wednesday
HOUR, DAY = 3600, 86400
_IDS = itertools.count(1)


def at(text):
    """A UTC time from ``2026-03-18 12:00`` or ``2026-03-18 12:00:30``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def backup(age=HOUR, **fields):
    """A good backup of PostgreSQL, ``age`` seconds old (None: it has no date)."""
    made = dict(
        id=str(next(_IDS)),
        provider="cloud66",
        source="shop",
        series="s/one",
        engine="postgresql",
        database="orders",
        status="ok",
        created_at=None if age is None else NOW - timedelta(seconds=age),
        size_bytes=1000,
        verify_status="never",
    )
    made.update(fields)
    return Backup(**made)


def every(seconds, count, first_age=HOUR, **fields):
    """``count`` backups, newest first, the newest ``first_age`` seconds old."""
    return [backup(first_age + seconds * number, **fields) for number in range(count)]


def dated(*times, **fields):
    """Backups made at these times (texts)."""
    return [backup(created_at=at(text), **fields) for text in times]


class FakeProvider(Provider):
    """A provider without a network. ``calls`` is what it was asked; ``answers`` what its writes answer, or raise."""

    name = "cloud66"
    engines = Cloud66.engines
    capabilities = Cloud66.capabilities
    instead = Cloud66.instead
    understands = Cloud66.understands

    def __init__(self, *backups, **sources):
        self.sources = dict(sources)
        self.sources.setdefault("shop", list(backups))
        self.calls, self.answers, self.warnings, self.files = [], [], [], {}
        self.whole, self.on_write = True, None

    @property
    def address(self):
        return "https://api.example.test/api/3#"

    @property
    def writes(self):
        return [call for call in self.calls if call[0] in ("create", "import")]

    def list_backups(self, source, group=None, engine=None, datastore=None):
        self.calls.append(("list", source, group, engine))
        found = self.sources[source]
        if isinstance(found, Exception):
            raise found
        return Listing(list(found), list(self.warnings), self.whole)

    def get_backup(self, source, backup_id):
        self.calls.append(("get", source, backup_id))
        for found in self.sources[source]:
            if found.id == backup_id:
                return found
        raise ApiError("no such backup", code="not_found")

    def list_files(self, source, backup_id):
        self.calls.append(("files", source, backup_id))
        return self.files.get(backup_id, [])

    def create_task(self, source, request):
        return self._write("create", source, request)

    def import_backup(self, source, request):
        return self._write("import", source, request.group, request.engine, request.url)

    def _write(self, *call):
        self.calls.append(call)
        if self.on_write:
            self.on_write()
        if not self.answers:
            return "queued for creation"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class World(Context):
    """A Context whose clock stands still until somebody sleeps."""

    def __init__(self, check_mode=False, now=NOW):
        self.time, self.warned, self.slept, self.on_sleep = now, [], [], None
        super().__init__(
            check_mode=check_mode,
            warn=self.warned.append,
            progress=lambda text: None,
            now=lambda: self.time,
            sleep=self._sleep,
        )

    def _sleep(self, seconds):
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)
        if self.on_sleep:
            self.on_sleep()

    def later(self, **delta):
        self.time += timedelta(**delta)
        return self


def options(spec, **given):
    """Validated options, as the action plugins would hand them on."""
    params = {name: about.get("default") for name, about in spec["argument_spec"].items()}
    unknown = set(given) - set(params)
    assert not unknown, unknown
    params.update(given)
    return params
