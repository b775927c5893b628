# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What must be in a backup: contents + expectations -> problems. Pure.

Contents are those of a file that was read, or of a database that was restored from it; the same words serve both. The
codes are stable: docs/violations.md has a sentence of advice for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

CODES = (
    "wrong_engine",
    "wrong_database",
    "database_unknown",
    "missing_table",
    "extra_table",
    "too_few_rows",
    "rows_unknown",
    "table_gone",
    "rows_fell",
)


@dataclass(frozen=True)
class Table:
    """One table, collection or keyspace. ``rows`` is None where the format of the backup does not tell.

    ``database`` is None where the backup does not name it. PostgreSQL's names are ``schema.table``. ``partitioned``: its
    rows are those of its partitions, which stand beside it.
    """

    name: str
    rows: Optional[int] = None
    database: Optional[str] = None
    partitioned: bool = False

    @property
    def whole_name(self):
        return self.name if self.database is None else "%s.%s" % (self.database, self.name)

    def is_called(self, wanted):
        """Whether a person who writes ``wanted`` means this one: with or without database, without PostgreSQL's public."""
        names = {self.name, self.whole_name}
        if self.name.startswith("public."):
            short = self.name[len("public.") :]
            names |= {short} if self.database is None else {short, "%s.%s" % (self.database, short)}
        return wanted in names


@dataclass
class Expectations:
    """What was asked for; None and empty ask for nothing.

    ``min_rows`` maps names to numbers. ``baseline`` are the tables of an earlier backup; ``max_row_drop`` is by how many
    percent a table may have fewer rows than there.
    """

    engine: Optional[str] = None
    database: Optional[str] = None
    tables: tuple = ()
    exact: bool = False
    min_rows: Optional[dict] = None
    baseline: Optional[list] = None
    max_row_drop: float = 0.0


def tables_of(contents):
    """The tables in the results of members, as Table; those that several members hold are added up."""
    found, partitions = {}, {}
    for member in contents:
        databases = {table.get("database") for table in member.get("tables") or ()}
        for root, names in ((member.get("details") or {}).get("partitions") or {}).items():
            for database in databases:
                partitions[database, root] = [(database, name) for name in names]
        for table in member.get("tables") or ():
            key = (table.get("database"), table["name"])
            rows, before = table.get("rows"), found.get(key, 0)
            found[key] = None if rows is None or before is None else before + rows
    return [Table(name, rows, database) for (database, name), rows in found.items()] + partitioned(found, partitions)


def partitioned(rows, partitions):
    """Tables that hold no rows but those of their partitions, as Table. Both arguments by (database, name): the rows of
    each table, None where they are not told, and the partitions of each that has some."""
    found = []
    for (database, name), keys in partitions.items():
        there = [rows[key] for key in keys if key in rows]
        if there and (database, name) not in rows:
            found.append(Table(name, None if None in there else sum(there), database, partitioned=True))
    return found


def judge(tables, wanted, engines=None, databases=None):
    """Problems as [{"code", "message", "observed", "expected"}].

    ``engines`` and ``databases`` are what the backup says of itself, None where that is not to be judged.
    """
    problems = []

    def problem(code, message, observed=None, expected=None):
        problems.append({"code": code, "message": message, "observed": observed, "expected": expected})

    if wanted.engine and engines is not None and wanted.engine not in engines:
        problem("wrong_engine", "There is no dump of %s, but of %s" % (wanted.engine, _listed(engines)), sorted(engines), wanted.engine)
    if wanted.database and databases is not None:
        if not databases:
            problem("database_unknown", "The dump does not say of which database it is", None, wanted.database)
        elif wanted.database not in databases:
            message = "There is no dump of the database %s, but of %s" % (wanted.database, _listed(databases))
            problem("wrong_database", message, sorted(databases), wanted.database)
    for name in wanted.tables:
        if not any(table.is_called(name) for table in tables):
            problem("missing_table", "There is no table %s" % name, None, name)
    if wanted.exact:
        for table in tables:
            if not table.partitioned and not any(table.is_called(name) for name in wanted.tables):
                problem("extra_table", "There is a table %s that is not expected" % table.whole_name, table.whole_name)
    for name, least in sorted((wanted.min_rows or {}).items()):
        _judge_rows(tables, name, least, problem)
    if wanted.baseline is not None:
        _compare(tables, wanted.baseline, wanted.max_row_drop, problem)
    return problems


def _listed(names):
    return ", ".join(sorted(names)) or "none that is known"


def _judge_rows(tables, name, least, problem):
    called = [table for table in tables if table.is_called(name)]
    if not called:
        problem("missing_table", "There is no table %s" % name, None, name)
    elif any(table.rows is None for table in called):
        problem("rows_unknown", "This kind of backup does not tell how many rows %s has" % name, None, least)
    else:
        rows = sum(table.rows for table in called)
        if rows < least:
            problem("too_few_rows", "%s has %d rows, at least %d are expected" % (name, rows, least), rows, least)


def _compare(tables, baseline, max_drop, problem):
    now = {(table.database, table.name): table.rows for table in tables}
    for table in baseline:
        if table.partitioned:
            # Each of its partitions is compared.
            continue
        key = (table.database, table.name)
        if key not in now:
            message = "The table %s of the earlier backup is gone" % table.whole_name
            problem("table_gone", message, None, table.whole_name)
        elif table.rows and now[key] is not None:
            least = table.rows * (1 - max_drop / 100.0)
            if now[key] < least:
                message = "%s has %d rows, %d fewer than in the earlier backup" % (
                    table.whole_name,
                    now[key],
                    table.rows - now[key],
                )
                problem("rows_fell", message, now[key], table.rows)
