# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for SQL text of every dialect."""

from __future__ import annotations

import random

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import _sql
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils import sql_samples as samples
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.archive_reading import flipped, pieces_of
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.sql_samples import IN_MYSQL, IN_POSTGRESQL

WHOLE = {
    "mysql": (IN_MYSQL, samples.MYSQL),
    "copy": (IN_POSTGRESQL, samples.POSTGRESQL),
    "inserts": (IN_POSTGRESQL, samples.WITH_INSERTS),
}


@pytest.mark.parametrize("size", [1, 3, 50, 300])
@pytest.mark.parametrize("dialect, text", WHOLE.values(), ids=WHOLE)
def test_where_blocks_end_changes_nothing(dialect, text, size, monkeypatch):
    intact = dialect.rows(text)
    samples.small_blocks(monkeypatch, max(size, 3))
    pieces = pieces_of(text, size)
    member, problems = dialect.read(text, pieces)
    assert (problems, samples.rows(member)) == ([], intact)
    items, error = dialect.statements(text, pieces)
    assert error is None
    at = 0
    for _kind, piece, offset in items:
        assert offset == at and text.startswith(piece, at)
        at += len(piece)
    assert at == len(text)


@pytest.mark.parametrize("dialect, text", WHOLE.values(), ids=WHOLE)
def test_a_flipped_bit_is_noticed_or_leaves_the_structure(dialect, text):
    intact = sorted(dialect.rows(text).values())
    for at in range(0, len(text), 61 if dialect is IN_MYSQL else 11):
        changed = flipped(text, at * 8 + at % 8)
        member, problems = dialect.read(changed)
        if not problems:
            assert sorted(samples.rows(member).values()) == intact, (at, text[at - 20 : at + 20])
        pieces, error = dialect.statements(changed)
        joined = b"".join(piece for _kind, piece, _offset in pieces)
        assert changed.startswith(joined) and (error or len(joined) == len(text))


@pytest.mark.parametrize(
    "dialect, table, separators, own",
    [
        (IN_MYSQL, "`t`", [",", ",\n"], ["\\'", "\\\\", "#", "`", "\\n"]),
        (IN_POSTGRESQL, "public.t", [", ", ",\n\t"], ["\\", "$$", "E"]),
    ],
    ids=["mysql", "postgresql"],
)
def test_the_quick_way_counts_as_the_slow_one(dialect, table, separators, own, monkeypatch):
    choice = random.Random(5).choice
    bits = ["a", "b ", "''", '"', "(", ")", ",", ";", "--", "/*", "\n", "),(", "1"] + own
    insert = "INSERT INTO %s VALUES " % table
    quick = _sql.Lexer._count
    used = []

    def counted(self, *about):
        used.append(quick(self, *about))
        return used[-1]

    for attempt in range(25):
        monkeypatch.setattr(_sql, "_DENSE", choice([0, 60, 10**9]))
        values = [
            choice(["1", "-5", "NULL", "'%s'" % "".join(choice(bits) for _each in range(choice(range(8))))])
            for _each in range(120)
        ]
        lines = ["(%s)" % separators[0].join(values[at : at + 3]) for at in range(0, 120, 3)]
        between = [*separators, ";\n" + insert][attempt % 3]
        text = dialect.dump((insert + between.join(lines) + ";\n").encode())
        monkeypatch.setattr(_sql.Lexer, "_count", counted)
        assert list(dialect.rows(text).values()) == [40]
        monkeypatch.setattr(_sql.Lexer, "_count", lambda *_about: None)
        assert list(dialect.rows(text).values()) == [40]
    assert any(used)


@pytest.mark.parametrize(
    "dialect, statement",
    [
        (IN_MYSQL, b"SELECT 'LONG'"),
        (IN_MYSQL, b"INSERT INTO t VALUES (1,_binary 'LONG\\'')"),
        (IN_MYSQL, b"INSERT INTO t VALUES " + b",".join([b"(1,'abc')"] * 300000)),
        (IN_MYSQL, b"SELECT " + b"a - " * 700000 + b"1"),
        (IN_POSTGRESQL, b"SELECT 'LONG'"),
        (IN_POSTGRESQL, b"SELECT E'LONG\\''"),
        (IN_POSTGRESQL, b"SELECT $a$LONG$a$"),
        (IN_POSTGRESQL, b"INSERT INTO t VALUES ('LONG')"),
        (IN_POSTGRESQL, b"SELECT " + b"a - " * 700000 + b"1"),
    ],
    ids=lambda value: value[:28].decode() if isinstance(value, bytes) else "",
)
def test_long_statements_come_in_pieces(dialect, statement, monkeypatch):
    samples.small_blocks(monkeypatch, 1 << 14)
    text = statement.replace(b"LONG", b"x" * (3 << 20)) + b";\nSELECT 2;\n"
    pieces, error = dialect.statements(text)
    assert error is None
    assert b"".join(piece for _kind, piece, _offset in pieces) == text
    assert pieces[0][0] == "sql" and {kind for kind, _piece, _offset in pieces[1:-2]} == {"data"}
    assert max(len(piece) for _kind, piece, _offset in pieces) < 1 << 19
    assert pieces[-2][:2] == ("sql", b"\nSELECT 2;")


@pytest.mark.parametrize("dialect, table", [(IN_MYSQL, "t"), (IN_POSTGRESQL, "public.t")])
def test_rows_longer_than_a_piece_are_counted_once(dialect, table):
    long = b"x" * (3 << 18)
    rows = b",".join([b"(1,'%s')" % long, b"(2,'a')", b"(3,'%s')" % long, b"(4,NULL)"])
    created = b"CREATE TABLE %s (a int, b text);\n" % table.encode()
    text = dialect.dump(created + b"INSERT INTO %s VALUES %s;\n" % (table.encode(), rows) * 2)
    assert list(dialect.rows(text).values()) == [8]
    member, problems = dialect.read(text)
    assert not problems and list(member.tables.values()) == [8]


@pytest.mark.parametrize("dialect, table", [(IN_MYSQL, "t"), (IN_POSTGRESQL, "public.t")])
def test_a_long_insert_without_rows_is_none(dialect, table):
    created = b"CREATE TABLE %s (a int, b text);\n" % table.encode()
    for after in (b"", b"SELECT 1;\n"):
        text = dialect.dump(created + b"INSERT INTO %s SET a = '%s';\n" % (table.encode(), b"x" * (3 << 18)) + after)
        _member, problems = dialect.read(text)
        assert [problem["message"][:24] for problem in problems] == ["rows that cannot be read"]
