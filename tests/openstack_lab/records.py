# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trove's own tables, written directly: what would take hours to come about by itself."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HEALTHY = 0x21, "healthy"
NO_TASK = 0x01, "No tasks for the instance."


def moment(value: datetime | str | None) -> str:
    """As Trove's sqlite holds times: UTC without a zone."""
    if value is None:
        value = datetime.now(timezone.utc)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value.tzinfo:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    return value.isoformat(" ", "microseconds")


class Records:
    """The rows of one Trove."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._file, timeout=30)
        database.row_factory = sqlite3.Row
        try:
            with database:
                yield database
        finally:
            database.close()

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        names = list(rows[0])
        text = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
        with self._database() as database:
            database.executemany(text, rows)

    def rows(self, text: str, **values: Any) -> list[dict[str, Any]]:
        with self._database() as database:
            return [dict(row) for row in database.execute(text, values)]

    def change(self, text: str, **values: Any) -> int:
        with self._database() as database:
            return database.execute(text, values).rowcount

    # -- datastores and instances --------------------------------------------------------------------------------

    def version_id(self, datastore: str) -> str:
        """The id of a datastore's only version."""
        [row] = self.rows("SELECT v.id FROM datastore_versions v JOIN datastores d ON v.datastore_id = d.id"
                          " WHERE d.name = :name", name=datastore)
        return str(row["id"])

    def add_instances(self, project: str, instances: list[dict[str, str]]) -> None:
        """Instances that are up: each with an id, a name and a datastore."""
        now = moment(None)
        versions = {name: self.version_id(name) for name in {instance["datastore"] for instance in instances}}
        self.insert("instances", [{
            "id": instance["id"], "name": instance["name"], "tenant_id": project, "created": now, "updated": now,
            "compute_instance_id": str(uuid.uuid4()), "volume_id": str(uuid.uuid4()), "volume_size": 1,
            "flavor_id": "1", "datastore_version_id": versions[instance["datastore"]], "deleted": 0,
            "task_id": NO_TASK[0], "task_description": NO_TASK[1]} for instance in instances])
        self.insert("service_statuses", [{
            "id": str(uuid.uuid4()), "instance_id": instance["id"], "status_id": HEALTHY[0],
            "status_description": HEALTHY[1], "updated_at": now} for instance in instances])

    def remove_instance(self, instance: str) -> None:
        self.change("DELETE FROM service_statuses WHERE instance_id = :id", id=instance)
        self.change("DELETE FROM instances WHERE id = :id", id=instance)

    # -- backups -------------------------------------------------------------------------------------------------

    def add_backups(self, rows: list[dict[str, Any]]) -> None:
        self.insert("backups", rows)

    def remove_backups(self, project: str, instance: str | None) -> None:
        """All backups of an instance, or of the project."""
        # Children first: they refer to their parents.
        where = "tenant_id = :project" + (" AND instance_id = :instance" if instance else "")
        self.change(f"UPDATE backups SET parent_id = NULL WHERE {where}", project=project, instance=instance)
        self.change(f"DELETE FROM backups WHERE {where}", project=project, instance=instance)
        # Trove counts by itself what the quota allows.
        self.change("UPDATE quota_usages SET reserved = 0, in_use ="
                    " (SELECT count(*) FROM backups WHERE tenant_id = :project AND deleted = 0)"
                    " WHERE tenant_id = :project AND resource = 'backups'", project=project)

    def set_quota(self, project: str, limit: int | None) -> None:
        """How many backups a project may have; None: as many as it likes."""
        self.change("DELETE FROM quotas WHERE tenant_id = :project AND resource = 'backups'", project=project)
        if limit is not None:
            now = moment(None)
            self.insert("quotas", [{"id": str(uuid.uuid4()), "created": now, "updated": now, "tenant_id": project,
                                    "resource": "backups", "hard_limit": limit}])
