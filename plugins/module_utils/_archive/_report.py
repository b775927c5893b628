# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What reading a backup finds out: its members, what is in them, and what is wrong with them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

# More problems than these say nothing new.
_MAX_PROBLEMS = 200


@dataclass
class Limits:
    """How much an untrusted file may ask for. ``max_ratio`` counts from ``ratio_from`` plain bytes on."""

    max_ratio: float = 250.0
    max_plain_bytes: Optional[int] = None
    max_members: int = 1000000
    ratio_from: int = 256 << 20


@dataclass
class Member:
    """One dump inside of what is read.

    ``name`` is its path inside of the containers; ``compression`` is outermost first; ``sha256`` is of the stored bytes.
    ``tables`` maps (database or None, name) to rows, None where the format does not tell: names of PostgreSQL are
    ``schema.table``, those of Redis ``db0``. ``details`` are plain values that the reader of the format documents.
    """

    name: str
    format: Optional[str] = None
    engine: Optional[str] = None
    database: Optional[str] = None
    tool: Optional[str] = None
    tool_version: Optional[str] = None
    server_version: Optional[str] = None
    encoding: Optional[str] = None
    start_mark: Optional[str] = None
    end_mark: Optional[str] = None
    stored_bytes: Optional[int] = None
    plain_bytes: Optional[int] = None
    sha256: Optional[str] = None
    compression: list = field(default_factory=list)
    tables: dict = field(default_factory=dict)
    details: dict = field(default_factory=dict)
    # Whether the format tells rows at all.
    countable: bool = True
    # {(database, table): (rows, [(database, partition)])} of what was loaded through a table. Which partition a row finds
    # there may differ from where it was, so those have no count of their own.
    through_root: dict = field(default_factory=dict)
    # {(database, table): [(database, partition)]} as they are attached to each other.
    attached: dict = field(default_factory=dict)
    # Of a dump of many files: what tells its files from others. None for a dump that is one stream.
    collection: Optional[tuple] = None

    def table(self, name, rows=0, database=None):
        """Note that there is such a table; a count that is there already stays."""
        self.tables.setdefault((database, name), rows)

    def count(self, name, rows, database=None):
        """Add to the rows of a table."""
        key = (database, name)
        self.tables[key] = (self.tables.get(key) or 0) + rows

    def attach(self, root, partition):
        """Note that one table, (database, name), is a partition of another."""
        self.attached.setdefault(root, []).append(partition)

    def partitions(self, root):
        """What of the partitions of a table holds rows."""
        found, waiting, seen = [], [root], set()
        while waiting:
            key = waiting.pop(0)
            if key in seen:
                # Two that are partitions of each other: the server will say so.
                continue
            seen.add(key)
            if key in self.attached:
                waiting += self.attached[key]
            elif key != root:
                found.append(key)
        return found

    def gather(self, root, partitions):
        """The rows of these partitions were loaded through that table: from now on they are counted for it alone."""
        counts = [self.tables.pop(root, 0)] + [self.tables.get(key, 0) for key in partitions]
        rows = None if None in counts else sum(counts)
        self.tables.update(dict.fromkeys(partitions))
        self.through_root[root] = (rows, partitions)

    def to_result(self):
        tables, details = dict(self.tables), dict(self.details)
        tables.update((root, rows) for root, (rows, _leaves) in self.through_root.items())
        result = {
            name: getattr(self, name)
            for name in (
                "format",
                "engine",
                "database",
                "tool",
                "tool_version",
                "server_version",
                "encoding",
                "start_mark",
                "end_mark",
                "stored_bytes",
                "plain_bytes",
                "sha256",
                "compression",
            )
        }
        if self.attached:
            # Names alone: two databases of a dump may have tables of one name, whose partitions then stand together.
            details["partitions"] = {}
            for root in sorted(self.attached, key=str):
                kept = details["partitions"].setdefault(root[1], [])
                kept += [name for _database, name in self.partitions(root) if name not in kept]
        known = [rows for rows in tables.values() if rows is not None]
        result.update(
            member=self.name,
            details=details,
            tables=[
                {"database": database, "name": name, "rows": rows}
                for (database, name), rows in sorted(tables.items(), key=lambda item: (item[0][0] or "", item[0][1]))
            ],
            rows=sum(known) if self.countable and (known or not tables) else None,
        )
        return result


class Report:
    """Collects what the readers find."""

    def __init__(self, limits=None):
        self.limits = limits or Limits()
        self.problems, self.members, self.notes = [], [], []
        # Which library inflated gzip, None where there was none.
        self.inflater = None
        self._left_out = 0

    def problem(self, code, message, member=None, offset=None):
        """Something is wrong. ``offset`` is in bytes of the member's plain content."""
        if len(self.problems) >= _MAX_PROBLEMS:
            self._left_out += 1
            return
        found = {"code": code, "member": member, "offset": offset, "message": message}
        if found not in self.problems:
            self.problems.append(found)

    def damaged(self, error, member=None):
        self.problem(error.code, error.message, member, error.offset)

    def note(self, message):
        """Something that the user should know and that is not wrong."""
        if message not in self.notes:
            self.notes.append(message)

    def member(self, name):
        """A new member of that name."""
        made = Member(name)
        self.members.append(made)
        return made

    def all_problems(self):
        if not self._left_out:
            return self.problems
        more = {"code": "bad_structure", "member": None, "offset": None}
        return self.problems + [dict(more, message="%d more problems" % self._left_out)]
