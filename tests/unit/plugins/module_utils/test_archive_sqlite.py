# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite databases: whole ones are counted, and what is damaged is noticed."""

from __future__ import annotations

import sqlite3

import pytest

from ansible_collections.restorable.backups.plugins.module_utils._archive import sqlite
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE "order ""of"" 'x'" (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers (id));
CREATE INDEX by_name ON customers (name);
CREATE TABLE keyed (a TEXT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE empty (x);
CREATE VIEW named AS SELECT name FROM customers;
"""


def make(path, rows=300, script="", page_size=1024):
    connection = sqlite3.connect(str(path))
    connection.execute("PRAGMA page_size=%d" % page_size)
    connection.executescript(SCHEMA)
    connection.executemany("INSERT INTO customers VALUES (?, ?)", ((at, "Jürgen %d" % at) for at in range(rows)))
    connection.executemany('INSERT INTO "order ""of"" \'x\'" VALUES (?, ?)', ((at, at) for at in range(rows // 2)))
    connection.executemany("INSERT INTO keyed VALUES (?, ?)", (("k%d" % at, at) for at in range(rows // 3)))
    connection.executescript(script)
    connection.commit()
    connection.close()
    return path.read_bytes()


def look(path, content=None, check=True):
    if content is not None:
        path.write_bytes(content)
    report = Report()
    member = report.member(path.name)
    try:
        sqlite.read(Bytes(path.read_bytes()), member, report)
        if check:
            sqlite.check_file(str(path), member, report)
    except Damaged as error:
        report.damaged(error, member.name)
    return member, report


def test_whole(tmp_path):
    path = tmp_path / "what?mode=rwc&#%41.db"
    content = make(path)
    assert sqlite.matches(content[:4096], "x")
    member, report = look(path)
    assert report.problems == [] and report.notes == []
    assert member.tables == {
        (None, "customers"): 300,
        (None, "order \"of\" 'x'"): 150,
        (None, "keyed"): 100,
        (None, "empty"): 0,
    }
    assert (member.format, member.engine, member.encoding) == ("sqlite", "sqlite", "utf-8")
    assert member.server_version == sqlite3.sqlite_version
    assert member.details["views"] == ["named"]
    assert (member.details["page_size"], member.details["pages"]) == (1024, len(content) // 1024)
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_other_encodings_and_the_largest_pages(tmp_path, encoding):
    path = tmp_path / "x.db"
    connection = sqlite3.connect(str(path))
    connection.executescript(
        "PRAGMA page_size=65536; PRAGMA encoding='%s'; CREATE TABLE größe (x); INSERT INTO größe VALUES (1)" % encoding
    )
    connection.close()
    member, report = look(path)
    assert (member.tables, report.problems) == ({(None, "größe"): 1}, [])
    assert (member.encoding, member.details["page_size"]) == (encoding.replace("16", "16-").lower(), 65536)


@pytest.mark.parametrize("module", ["fts4(x)", "fts5(x)", "rtree(x, y, z)", 'fts4("USING y(")'])
def test_tables_of_an_index_are_not_listed(tmp_path, module):
    path = tmp_path / "x.db"
    name = "an index USING x"
    try:
        make(path, script='CREATE VIRTUAL TABLE "%s" USING %s;' % (name, module))
    except sqlite3.OperationalError as error:
        # This SQLite was built without that module.
        assert "no such module" in str(error)
        return
    member, report = look(path)
    assert report.problems == []
    assert {each: rows for (_database, each), rows in member.tables.items() if "index" in each} == {name: 0}
    assert member.details["virtual_tables"] == [name]


def test_rows_that_point_nowhere_are_told_but_no_damage(tmp_path):
    path = tmp_path / "x.db"
    make(path, script="DELETE FROM customers WHERE id < 3;")
    member, report = look(path)
    assert (report.problems, member.details["foreign_key_violations"]) == ([], 3)
    assert "3 rows" in report.notes[0]


def test_what_an_application_brings_itself_is_no_damage(tmp_path):
    path = tmp_path / "x.db"
    make(path)
    connection = sqlite3.connect(str(path))
    connection.create_collation("LOCALIZED", lambda one, other: (one > other) - (one < other))
    connection.create_function("mine", 1, lambda value: value, deterministic=True)
    connection.executescript(
        "CREATE TABLE l (x TEXT COLLATE LOCALIZED); CREATE INDEX li ON l (x); INSERT INTO l VALUES ('a');"
    )
    connection.executescript("CREATE TABLE m (x); CREATE INDEX mi ON m (mine(x)); INSERT INTO m VALUES (1);")
    connection.close()
    member, report = look(path)
    assert report.problems == []
    assert report.notes
    assert (member.tables[(None, "l")], member.tables[(None, "m")]) == (1, 1)


def test_a_module_that_is_not_here(tmp_path):
    path = tmp_path / "x.db"
    make(path)
    connection = sqlite3.connect(str(path))
    connection.executescript(
        "PRAGMA writable_schema=ON; INSERT INTO sqlite_master VALUES "
        "('table', 'odd', 'odd', 0, 'CREATE VIRTUAL TABLE odd USING nowhere(x)');"
    )
    connection.commit()
    connection.close()
    member, report = look(path)
    assert report.problems == []
    assert member.tables[(None, "odd")] is None
    assert member.tables[(None, "customers")] == 300


@pytest.mark.parametrize(
    "change, code",
    [
        (lambda content: content[:-1], "truncated"),
        (lambda content: content[:-1024], "truncated"),
        (lambda content: content[:50], "truncated"),
        (lambda content: content + b"\0", "trailing_garbage"),
        (lambda content: content + content, "trailing_garbage"),
        (lambda content: content[:16] + b"\0\3" + content[18:], "bad_structure"),
        (lambda content: content[:18] + b"\7" + content[19:], "bad_structure"),
        (lambda content: content[:21] + b"\0" + content[22:], "bad_structure"),
        (lambda content: content[:36] + b"\x7f" + content[37:], "bad_structure"),
        (lambda content: content[:59] + b"\4" + content[60:], "bad_structure"),
        (lambda content: content[:80] + b"\1" + content[81:], "bad_structure"),
    ],
)
def test_a_stream_alone_shows_it(tmp_path, change, code):
    path = tmp_path / "x.db"
    member, report = look(path, change(make(path)), check=False)
    assert [problem["code"] for problem in report.problems] == [code]


def test_a_zeroed_page_and_a_swapped_one(tmp_path):
    path = tmp_path / "x.db"
    content = make(path, rows=100)
    for page in range(2, len(content) // 1024):
        zeroed = content[: page * 1024] + bytes(1024) + content[(page + 1) * 1024 :]
        assert look(path, zeroed)[1].problems, page
    swapped = content[:2048] + content[3072:4096] + content[2048:3072] + content[4096:]
    assert look(path, swapped)[1].problems


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "x.db"
    content = make(path, rows=20, page_size=512)
    for length in list(range(0, 600)) + list(range(600, len(content), 611)):
        assert look(path, content[:length])[1].problems


def test_flipped_bits_never_lead_to_more_than_a_problem(tmp_path):
    path = tmp_path / "x.db"
    content = make(path, rows=9, page_size=512)
    for at in list(range(0, 100)) + list(range(100, len(content), 41)):
        for bit in (0, 3, 7):
            look(path, content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])


def test_a_database_that_keeps_changes_elsewhere(tmp_path):
    path = tmp_path / "x.db"
    make(path)
    connection = sqlite3.connect(str(path))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    member, report = look(path)
    assert (report.problems, member.details["wal"], member.tables[(None, "customers")]) == ([], True, 300)
    assert "-wal" in report.notes[0]


def test_only_reading_is_possible(tmp_path):
    path = tmp_path / "x.db"
    content = make(path)
    connection = sqlite.connect(str(path))
    for sql in (
        "INSERT INTO empty VALUES (1)",
        "CREATE TABLE y (x)",
        "CREATE TEMP TABLE y (x)",
        "DROP TABLE empty",
        "ATTACH '%s' AS other" % (tmp_path / "other.db"),
        "PRAGMA user_version=3x",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA query_only=OFF",
        "VACUUM INTO '%s'" % (tmp_path / "copy.db"),
        "SELECT load_extension('x')",
        "BEGIN IMMEDIATE",
    ):
        with pytest.raises(sqlite3.Error):
            connection.execute(sql).fetchall()
    assert connection.execute("SELECT count(*) FROM customers").fetchone() == (300,)
    connection.close()
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (content, ["x.db"])


def test_without_sqlite_in_this_python(tmp_path, monkeypatch):
    path = tmp_path / "x.db"
    make(path)
    monkeypatch.setattr(sqlite, "sqlite3", None)
    member, report = look(path)
    assert (member.tables, report.problems) == ({}, [])
    assert "from outside only" in report.notes[0]
