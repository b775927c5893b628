# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of SQLite databases."""

from __future__ import annotations

import sqlite3

import pytest
from files import RUN_AS, drill, job_of, unread_job

from ansible_collections.restorable.backups.plugins.module_utils._engines import EngineError, Scratch
from ansible_collections.restorable.backups.plugins.module_utils._engines.sqlite import SQLite


@pytest.fixture
def engine(tmp_path):
    scratch = Scratch.create(run_as=RUN_AS)
    made = SQLite(scratch, {"timeout": 20})
    yield made
    made.stop()
    made.stop()
    scratch.close()


def make(path, *scripts):
    connection = sqlite3.connect(str(path))
    for script in scripts:
        connection.executescript(script)
    connection.close()
    return path


SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, score REAL, photo BLOB);
CREATE TABLE "order ""x"" y" (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers (id));
CREATE TABLE empty (x);
CREATE VIEW named AS SELECT name FROM customers;
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000)
  INSERT INTO customers SELECT x, 'Jürgen ' || x, x / 7.0, CASE x % 3 WHEN 0 THEN randomblob(9) END FROM n;
INSERT INTO "order ""x"" y" SELECT id, id FROM customers WHERE id % 2;
"""


def test_a_whole_one(engine, tmp_path):
    path = make(tmp_path / "shop.db", SHOP)
    before = path.read_bytes()
    job = job_of(path)
    assert (
        drill(engine, job)
        == job.member.tables
        == {
            (None, "customers"): 3000,
            (None, 'order "x" y'): 1500,
            (None, "empty"): 0,
        }
    )
    assert engine.query("SELECT count(*), max(score) FROM customers WHERE name LIKE 'Jürgen%'") == [
        ["3000", str(3000 / 7)]
    ]
    assert engine.query("SELECT NULL, x'00ff', 'é'") == [[None, "00ff", "é"]]
    assert engine.version() == sqlite3.sqlite_version
    live = SQLite.live(None, {}, {"database": str(path)})
    assert live.counts() == engine.counts()
    for _database, name in live.counts():
        assert live.checksum(name) == engine.checksum(name)
    live.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("script", ["", "CREATE TABLE one (x); INSERT INTO one VALUES (1)"])
def test_small_ones(engine, tmp_path, script):
    job = job_of(make(tmp_path / "x.db", "PRAGMA user_version=1;" + script))
    assert drill(engine, job) == job.member.tables


def test_a_live_one_that_is_written_to(engine, tmp_path):
    path = make(tmp_path / "shop.db", SHOP, "PRAGMA journal_mode=WAL")
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    writer = sqlite3.connect(str(path), isolation_level=None)
    writer.execute("UPDATE customers SET name = 'Jorgen' WHERE id = 77")
    drill(engine, job_of(copy))
    live = SQLite.live(None, {}, {"database": str(path)})
    assert live.counts() == engine.counts()
    assert live.checksum("customers") != engine.checksum("customers")
    assert live.checksum('order "x" y') == engine.checksum('order "x" y')
    live.close()
    writer.close()


def test_a_checksum_does_not_depend_on_the_order_but_on_types(tmp_path):
    scripts = {
        "one": "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "other": "CREATE TABLE t (a, b); INSERT INTO t VALUES (2, 'y'), (1, 'x')",
        "text": "CREATE TABLE t (a, b); INSERT INTO t VALUES ('1', 'x'), (2, 'y')",
        "blob": "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, x'78'), (2, 'y')",
        "moved": "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'y'), (2, 'x')",
        "twice": "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'y')",
    }
    sums = {}
    for name, script in scripts.items():
        live = SQLite.live(None, {}, {"database": str(make(tmp_path / name, script))})
        sums[name] = live.checksum("t")
        live.close()
    assert sums.pop("one") == sums.pop("other")
    assert len(set(sums.values())) == 4


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO empty VALUES (1)",
        "DROP TABLE empty",
        "ATTACH '/tmp/x.db' AS x",
        "PRAGMA journal_mode=DELETE",
        "nonsense",
        "SELECT 1; SELECT 2",
        "SELECT load_extension('x')",
        "VACUUM",
    ],
)
def test_queries_that_do_more_than_read(engine, tmp_path, sql):
    drill(engine, job_of(make(tmp_path / "shop.db", SHOP)))
    with pytest.raises(EngineError) as failure:
        engine.query(sql)
    assert failure.value.code == "query_failed"
    assert engine.counts()[(None, "empty")] == 0


def test_a_query_without_end(tmp_path):
    scratch = Scratch.create(run_as=RUN_AS)
    engine = SQLite(scratch, {"timeout": 1})
    drill(engine, job_of(make(tmp_path / "shop.db", SHOP)))
    with pytest.raises(EngineError, match="within 1 seconds"):
        engine.query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
    engine.stop()
    scratch.close()


def test_a_damaged_one_is_refused(engine, tmp_path):
    path = make(tmp_path / "shop.db", SHOP)
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(4096) + content[12288:])
    with pytest.raises(EngineError) as failure:
        drill(engine, unread_job(path, "shop.db", "sqlite"))
    assert failure.value.code == "restore_failed"
    assert "malformed" in failure.value.message or "integrity_check" in failure.value.message


def test_no_database_at_all(engine, tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"<html></html>" * 1000)
    with pytest.raises(EngineError) as failure:
        drill(engine, unread_job(path, "x.db", "sqlite"))
    assert failure.value.code == "restore_failed"


def test_rows_that_point_nowhere(engine, tmp_path):
    drill(engine, job_of(make(tmp_path / "shop.db", SHOP, "DELETE FROM customers WHERE id IN (1, 3)")))
    assert engine.left_out == ["2 rows point at rows that are not there (foreign_key_check)"]


def test_logins_make_no_sense(tmp_path):
    scratch = Scratch.create(run_as=RUN_AS)
    with pytest.raises(EngineError) as failure:
        SQLite(scratch, {"login": {"host": "x"}}).choose(None)
    assert failure.value.code == "bad_option"
    with pytest.raises(EngineError) as failure:
        SQLite.live(scratch, {}, {"database": str(tmp_path / "none.db")})
    assert failure.value.code == "bad_option"
    scratch.close()


def test_definitions(engine, tmp_path):
    more = "CREATE INDEX by_name ON customers (name); CREATE TRIGGER t DELETE ON empty BEGIN SELECT 1; END;"
    path = make(tmp_path / "shop.db", SHOP, more, "CREATE TABLE own (x UNIQUE); PRAGMA user_version=7; PRAGMA journal_mode=WAL")
    drill(engine, job_of(path))
    ours = engine.definitions()
    assert ours[(None, "option", "user_version")] == "7" and ours[(None, "option", "application_id")] == "0"
    assert ours[(None, "view", "named")] == "CREATE VIEW named AS SELECT name FROM customers"
    assert {key[1:] for key in ours} >= {("index", "by_name"), ("trigger", "t"), ("table", 'order "x" y'), ("table", "own")}
    assert not [key for key in ours if key[2].startswith("sqlite_")]
    live = SQLite.live(None, {}, {"database": str(path)})
    assert live.definitions() == ours
    make(path, "DROP INDEX by_name; DROP VIEW named; CREATE VIEW named AS SELECT id FROM customers; PRAGMA user_version=8")
    theirs = live.definitions()
    assert {key[1:] for key in ours if ours[key] != theirs.get(key)} == {
        ("index", "by_name"),
        ("view", "named"),
        ("option", "user_version"),
    }
    with pytest.raises(EngineError):
        live.query("PRAGMA user_version=9")
    live.close()
