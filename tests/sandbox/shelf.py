# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the services that are not Cloud 66: kept in memory, written through to the catalogue."""

from __future__ import annotations

import uuid
from typing import Any

from .catalogue import Catalogue

Record = dict[str, Any]


def fresh_id() -> str:
    return str(uuid.uuid4())


def adjusted(shown: Record, overrides: Record | None) -> Record:
    """What is shown, with the values that a test has put over it and without the fields that it has dropped."""
    shown = {**shown, **(overrides or {}).get("set", {})}
    for name in (overrides or {}).get("drop", ()):
        shown.pop(name, None)
    return shown


def check_overrides(body: Record) -> Record:
    if unknown := set(body) - {"set", "drop"}:
        raise ValueError(f"only set and drop are known, not {', '.join(sorted(unknown))}")
    return body


class Shelf:
    """Records of one kind by their ``id``, in the order in which they came."""

    def __init__(self, catalogue: Catalogue, kind: str) -> None:
        self._catalogue = catalogue
        self._kind = kind
        self._records: dict[str, Record] = {record["id"]: record for record in catalogue.shelved(kind)}

    def __len__(self) -> int:
        return len(self._records)

    def all(self) -> list[Record]:
        return list(self._records.values())

    def get(self, record_id: str) -> Record | None:
        return self._records.get(record_id)

    def put(self, *records: Record) -> None:
        """Add records, or note that they have changed."""
        for record in records:
            self._records[record["id"]] = record
        self._catalogue.shelve(self._kind, records)

    def drop(self, record_id: str) -> None:
        self._records.pop(record_id, None)
        self._catalogue.unshelve(self._kind, record_id)
