# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What a drill asserts of a restored database: counts, queries, and the live database beside it."""

from __future__ import annotations

import os
import re

from .._engines import EngineError
from .._errors import OptionError
from .._expectations import Table, partitioned


def check_queries(queries):
    """Raises OptionError for a query that asserts nothing."""
    for number, query in enumerate(queries):
        if not query["sql"].strip():
            raise OptionError("queries", "number %d asks nothing" % (number + 1))
        if query["expect"] is None and query["min"] is None and query["max"] is None:
            raise OptionError("queries", "number %d (%s) has none of expect, min and max" % (number + 1, query["sql"]))
        if query["expect"] is not None and (query["min"] is not None or query["max"] is not None):
            raise OptionError("queries", "number %d (%s) has expect beside min or max" % (number + 1, query["sql"]))


def violation(code, message, observed=None, expected=None):
    return {"code": code, "message": message, "observed": observed, "expected": expected}


def at_roots(rows, through_root):
    """Rows of tables, with what was loaded through a table told of that table and not of its partitions: {key: rows}."""
    rows = dict(rows)
    for root, (_held, partitions) in through_root.items():
        there = [rows.pop(key) for key in partitions if key in rows]
        if there:
            rows[root] = None if None in there else sum(there)
    return rows


def counts(member, restored):
    """What the file holds and the restored database does not, row for row. What cannot be counted there is left out."""
    found = []
    in_file = at_roots(member.tables, member.through_root)
    in_file.update((root, rows) for root, (rows, partitions) in member.through_root.items() if partitions)
    restored = at_roots(restored, member.through_root)
    for (database, name), rows in sorted(in_file.items(), key=lambda item: (item[0][0] or "", item[0][1])):
        whole = Table(name, rows, database).whole_name
        there = restored.get((database, name))
        if (database, name) not in restored:
            found.append(violation("table_missing", "%s is in the file and was not restored" % whole, None, whole))
        elif None not in (rows, there) and there != rows:
            message = "%s has %d rows after the restore, the file holds %d" % (whole, there, rows)
            found.append(violation("count_mismatch", message, there, rows))
    return found


def query(engine, wanted):
    try:
        rows = engine.query(wanted["sql"], wanted["database"])
    except EngineError as error:
        if error.code != "query_failed":
            raise
        return [violation("query_failed", "queries: %s: %s" % (wanted["sql"], error.message), None, None)]
    if wanted["expect"] is not None:
        return _expected(wanted, rows)
    value = _number(rows)
    if value is None:
        message = "queries: %s answers no single number" % wanted["sql"]
        return [violation("query_mismatch", message, _short(rows), None)]
    for bound, broken in (("min", lambda limit: value < limit), ("max", lambda limit: value > limit)):
        if wanted[bound] is not None and broken(wanted[bound]):
            message = "queries: %s answers %g, %s is %g" % (wanted["sql"], value, bound, wanted[bound])
            return [violation("query_mismatch", message, value, wanted[bound])]
    return []


def _expected(wanted, rows):
    """``expect`` may be one value, a row, or a list of rows; values are compared as texts, as databases print them."""
    expect = wanted["expect"]
    if not isinstance(expect, (list, tuple)):
        expect = [[expect]]
    elif not expect or not isinstance(expect[0], (list, tuple)):
        expect = [expect] if expect else []
    expect = [[_text(value) for value in row] for row in expect]
    if expect == [[_text(value) for value in row] for row in rows]:
        return []
    return [violation("query_mismatch", "queries: %s answers something else" % wanted["sql"], _short(rows), _short(expect))]


def _text(value):
    if isinstance(value, bool):
        return "t" if value else "f"
    return None if value is None else str(value)


def _number(rows):
    try:
        (row,) = rows
        (value,) = row
        return float(value)
    except (TypeError, ValueError):
        return None


def _short(rows):
    """A few rows of an answer, for a message."""
    return [list(row) for row in rows[:5]]


def uncounted(member, restored):
    """Names of tables whose rows the file tells and the restored database does not."""
    keys = [key for key, rows in member.tables.items() if rows is not None and restored.get(key, 0) is None]
    return sorted(Table(name, None, database).whole_name for database, name in keys)


def compare(engine, restored, live, wanted, through_root=None):
    """(violations, checksums, what could not be compared, in words): the restored database beside the live one, which may
    have got rows since.

    ``tolerance`` is how many rows a live table may have more, or fewer, than the restored one. A table that differs by
    no more than that, but differs, cannot have the same checksum, and is not asked for one.
    """
    databases = {database for database, _name in restored}
    only = wanted["database"] if len(databases) > 1 else None
    if only is not None:
        # Of a backup of many databases that one.
        if only not in databases:
            raise OptionError("compare", "database: the backup holds %s, not %s" % (", ".join(sorted(map(str, databases))), only))
        restored = {key: rows for key, rows in restored.items() if key[0] == only}
    several = len(databases) > 1 and only is None
    found, sums, untold = [], [], []
    if wanted["mode"] != "definitions":
        found, sums, untold = _compare_rows(engine, restored, live, wanted, through_root or {}, several)
    if wanted["mode"] != "counts" and not wanted["tables"] and hasattr(live, "definitions"):
        # An engine whose versions all have the same words says nothing of dialects.
        same_words = not hasattr(live, "dialect") or engine.dialect() == live.dialect()
        ours = {key: text for key, text in engine.definitions().items() if only is None or key[0] == only}
        theirs = live.definitions()
        if wanted["mode"] == "definitions":
            ours, theirs = _of_schema(ours), _of_schema(theirs)
        found += _definitions(ours, theirs, several, same_words, _moves(engine, wanted["tolerance"]))
        untold += ["all %ss" % kind for kind in _unread(ours, theirs)]
        there = live.roles() if hasattr(live, "roles") else None
        for role in sorted(engine.roles() - there if there is not None else ()):
            message = "the dump gives something to %s, a role or account that the live server does not have" % role
            found.append(violation("definition_mismatch", message, role, None))
    return found, sums, untold


def _compare_rows(engine, restored, live, wanted, through_root, several):
    """(violations, checksums, what could not be compared, in words)"""
    lives = live.counts()
    for root, (_rows, partitions) in through_root.items():
        restored = at_roots(restored, {root: (None, partitions)})
        if root not in restored:
            continue
        there = [_same_table(lives, *partition, several) for partition in partitions]
        there = [partition for partition in there if partition is not None]
        if there:
            lives = at_roots(lives, {(there[0][0], root[1]): (None, there)})
    found, sums, untold = [], [], []
    roots = {}
    for root, partitions in (_partitions(engine) if wanted["tables"] else {}).items():
        for partition in partitions:
            roots.setdefault(partition, []).append(root)

    def is_called(key, wanted_name):
        # Who names a partitioned table gets its partitions, and who names a partition the table that its rows were loaded
        # through.
        keys = [key] + roots.get(key, []) + through_root.get(key, (None, []))[1]
        return any(Table(name, None, database).is_called(wanted_name) for database, name in keys)

    tables = [
        key
        for key in sorted(restored, key=lambda key: (key[0] or "", key[1]))
        if not wanted["tables"] or any(is_called(key, one) for one in wanted["tables"])
    ]
    for name in wanted["tables"] or ():
        if not any(is_called(key, name) for key in tables):
            found.append(violation("missing_table", "compare: no table %s was restored" % name, None, name))
    pairs = {}
    for database, name in tables:
        whole = Table(name, None, database).whole_name
        other = _same_table(lives, database, name, several)
        if other is None:
            found.append(violation("live_mismatch", "%s is not in the live database" % whole, restored[database, name], None))
            continue
        there, here = lives[other], restored[database, name]
        if there is None or here is None:
            # A view, which stands among the definitions; or rows that such a backup does not hold, or that row security
            # hides from the login.
            if there is not None or here is not None:
                untold.append("the rows of %s" % whole)
            continue
        if abs(there - here) > wanted["tolerance"]:
            message = "%s has %d rows after the restore, %d in the live database" % (whole, here, there)
            found.append(violation("live_mismatch", message, here, there))
        elif wanted["mode"] == "checksum" and there == here:
            pairs[database, name] = other
    ours, theirs = _checksums(engine, list(pairs)), _checksums(live, list(pairs.values()))
    for (database, name), other in pairs.items():
        sums.append({"database": database, "name": name, "checksum": ours[database, name]})
        if ours[database, name] != theirs[other]:
            whole = Table(name, None, database).whole_name
            message = "%s has other content after the restore than in the live database" % whole
            found.append(violation("checksum_mismatch", message, ours[database, name], theirs[other]))
    if not wanted["tables"]:
        known = {_same_table(lives, database, name, several) for database, name in restored}
        for database, name in sorted(set(lives) - known, key=lambda key: (key[0] or "", key[1])):
            if (lives[database, name] or 0) > wanted["tolerance"]:
                message = "%s is in the live database and was not restored" % Table(name, None, database).whole_name
                found.append(violation("live_mismatch", message, None, lives[database, name]))
    return found, sums, untold


def _partitions(engine):
    return engine.partitions() if hasattr(engine, "partitions") else {}


def restored_tables(engine, counts):
    """What was restored, as Table, for expectations: also the tables that hold no rows but those of their partitions."""
    whole = [Table(name, rows, database) for (database, name), rows in counts.items()]
    return whole + partitioned(counts, _partitions(engine))


def _checksums(side, tables):
    """Some engines ask for many at once."""
    if hasattr(side, "checksums"):
        return side.checksums(tables) if tables else {}
    return {(database, name): side.checksum(name, database) for database, name in tables}


_SHOWN = 80  # characters of a difference
# Kinds whose text is a value, in no server's own words.
_VALUES = ("sequence", "steps of sequence", "large object", "type", "comment", "encoding", "system tables", "grant")
# Kinds that not every backup holds: how a database is encoded says only a dump that makes it, what the server needs for
# itself is in a copy of the whole server alone.
_WHERE_BOTH_TELL = ("encoding", "system tables")
# Kinds that are data, which a dump of a schema does not hold.
_DATA = ("sequence", "large object")
_EMPTY = " EMPTY"  # of a materialized view that was not filled
# Kinds that older servers do not know.
_NOT_EVERYWHERE = ("not null",)


def _moves(engine, rows):
    """Whether rows written since, no more than the tolerance, can have moved a sequence: for _definitions."""
    if not rows or not hasattr(engine, "moved_on"):
        return lambda before, now, steps: False
    return lambda before, now, steps: None not in (before, now, steps) and engine.moved_on(before, now, steps, rows)


def _definitions(ours, theirs, several, same_words, moves):
    """What is no row and must be the same all the same: {(database or None, kind, name): text} of both sides. Without a name,
    a kind that one side cannot see. ``moves(value, value, steps)``: whether a sequence may have gone from one to the other.
    """
    if not several:
        ours, theirs = ({(None,) + key[1:]: text for key, text in side.items()} for side in (ours, theirs))
    both = set(ours) & set(theirs)
    ours, theirs = (
        {key: text for key, text in side.items() if key[1] not in _WHERE_BOTH_TELL or key in both} for side in (ours, theirs)
    )
    hidden = {key[:2] for side in (ours, theirs) for key in side if key[2] is None}
    ours, theirs = ({key: text for key, text in side.items() if key[:2] not in hidden} for side in (ours, theirs))
    found = []
    for key in sorted(set(ours) | set(theirs), key=lambda key: tuple(part or "" for part in key)):
        database, kind, name = key
        what = "%s %s" % (kind, name if database is None else "%s.%s" % (database, name))
        if key not in ours:
            found.append(violation("definition_mismatch", "the %s of the live database is not in the backup" % what, None, theirs[key]))
        elif key not in theirs:
            found.append(violation("definition_mismatch", "the %s is not in the live database" % what, ours[key], None))
        elif kind == "sequence" and moves(ours[key], theirs[key], ours.get((database, "steps of sequence", name))):
            continue
        elif ours[key] != theirs[key] and None not in (ours[key], theirs[key]) and (same_words or kind in _VALUES):
            message = "the %s is another one than in the live database: %s" % (what, _difference(ours[key], theirs[key]))
            found.append(violation("definition_mismatch", message, ours[key], theirs[key]))
    return found


def _of_schema(found):
    """Definitions without what is data."""
    kept = {}
    for key, text in found.items():
        _database, kind, name = key
        if kind in _DATA or (kind == "comment" and (name or "").startswith("large object ")):
            continue
        kept[key] = text[: -len(_EMPTY)] if kind == "materialized view" and text and text.endswith(_EMPTY) else text
    return kept


def _unread(ours, theirs):
    """Kinds that the backup holds and of which the live login is not shown all."""
    hidden = {kind for (_database, kind, name), text in theirs.items() if text is None and kind not in _NOT_EVERYWHERE}
    return sorted(hidden & {kind for _database, kind, name in ours if name is not None})


def _difference(ours, theirs):
    """Where two texts begin and cease to differ, by whole words."""
    start = len(os.path.commonprefix([ours, theirs]))
    end = len(os.path.commonprefix([ours[start:][::-1], theirs[start:][::-1]]))
    start = max(ours.rfind(" ", 0, start), ours.rfind("\n", 0, start)) + 1
    shown = []
    for text in (ours, theirs):
        stop = len(text) - end
        stop += len(re.match(r"\S*", text[stop:]).group())
        piece = text[start:stop]
        shown.append("'%s'" % (piece if len(piece) <= _SHOWN else piece[:_SHOWN] + "..."))
    return "%s instead of %s" % tuple(shown)


def _same_table(lives, database, name, several):
    """The live table of that name: in the same database, or in the only one where the backup holds only one."""
    if (database, name) in lives:
        return database, name
    if several:
        return None
    return next((key for key in lives if key[1] == name), None)
