# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of real MariaDB backups, honest and hostile, on real servers."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import pytest
from files import RUN_AS, drill, job_of, unread_job
from mysql_source import PASSWORD, Source

from ansible_collections.restorable.backups.plugins.module_utils._engines import EngineError, Scratch
from ansible_collections.restorable.backups.plugins.module_utils._engines import _mysql_programs as programs_module
from ansible_collections.restorable.backups.plugins.module_utils._engines import mysql as engine_module
from ansible_collections.restorable.backups.plugins.module_utils._engines.mysql import MysqlEngine
from ansible_collections.restorable.backups.plugins.module_utils._operations import _assertions

SCRIPT = Path(__file__).with_name("mysql_source.sql")
TRACE = "restorable-trace"
SHOP = {"customers": 2000, "order": 7, "files": 600, "readings": 900, "old_one": 2, "nothing": 0, "no_key": 6, "log": 0}
# A sequence is a table of one row; dumps list it apart.
RESTORED = dict(SHOP, numbers=1)


@pytest.fixture(scope="module")
def source():
    # The drills' own user must get at its socket.
    folder = tempfile.mkdtemp(prefix="my")
    made = Source(Path(folder))
    try:
        made.sql(SCRIPT.read_text())
        made.sql(
            "CREATE USER boss@localhost IDENTIFIED BY '%s'; GRANT ALL ON *.* TO boss@localhost WITH GRANT OPTION;"
            % PASSWORD.replace("\\", "\\\\").replace("'", "''")
        )
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


@pytest.fixture
def drills():
    """Makes engines, each in a scratch folder of its own, and looks that nothing of them is left."""
    made = []

    def make(**settings):
        scratch = Scratch.create(run_as=settings.pop("run_as", RUN_AS), nice=0)
        made.append((scratch, MysqlEngine(scratch, dict({"timeout": 120, "jobs": 2}, **settings))))
        return made[-1][1]

    yield make
    for scratch, engine in made:
        engine.stop()
        engine.stop()
        scratch.close()
        assert not os.path.exists(scratch.path)
        assert not any(scratch.path in words for words in command_lines())


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue


def text_job(tmp_path, content, name="dump.sql"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return unread_job(path, name, "mysqldump")


def live(engine, source, database=None):
    return MysqlEngine.live(engine.scratch, {}, dict(source.login, database=database))


# -- honest dumps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--hex-blob"],
        ["--skip-extended-insert"],
        ["--skip-opt"],
        ["--single-transaction", "--complete-insert"],
        ["--no-tablespaces", "--add-drop-database"],
        ["--replace", "--skip-comments"],
    ],
    ids=lambda words: " ".join(words) or "plain",
)
def test_one_database_comes_back_byte_for_byte(source, drills, tmp_path, words):
    job = job_of(source.dump(tmp_path / "shop.sql", "--routines", "--triggers", "--events", *words, "shop"))
    engine = drills()
    counts = drill(engine, job)
    expected = {(None, name): rows for name, rows in RESTORED.items()}
    assert counts == expected
    assert {key: rows for key, rows in job.member.tables.items() if rows is not None} == {
        (None, name): rows for name, rows in SHOP.items()
    }
    other = live(engine, source, "shop")
    assert other.counts() == expected
    for _database, table in expected:
        assert engine.checksum(table) == other.checksum(table), table
    for query in ("SELECT n FROM of_view", "SELECT COUNT(*) FROM of_app", "SELECT twice(21)"):
        if "--skip-routines" not in words or "twice" not in query:
            assert engine.query(query) == other.query(query)
    assert engine.version().startswith("10.")


def test_a_column_that_takes_its_numbers_from_a_sequence_of_the_dumps_own_database(source, drills, tmp_path):
    source.sql("CREATE DATABASE `num-bers`; USE `num-bers`; CREATE SEQUENCE s; CREATE TABLE t (a INT DEFAULT nextval(s), b INT);"
               " INSERT INTO t (b) VALUES (1), (2);")
    try:
        # MariaDB itself cannot read such a dump back while it holds locks.
        job = job_of(source.dump(tmp_path / "n.sql", "--skip-add-locks", "num-bers"))
        engine = drills()
        assert drill(engine, job) == {(None, "s"): 1, (None, "t"): 2}
        assert engine.checksum("t") == live(engine, source, "num-bers").checksum("t")
    finally:
        source.sql("DROP DATABASE `num-bers`;")


@pytest.mark.parametrize("words", [(), ("--system=stats",), ("--system=all",)], ids=" ".join)
def test_all_databases(source, drills, tmp_path, words):
    job = job_of(source.dump(tmp_path / "all.sql", "--all-databases", "--routines", "--events", "--add-drop-database", *words))
    engine = drills()
    counts = drill(engine, job)
    assert counts == live(engine, source).counts()
    assert counts["shop", "order"] == 7 and counts["odd-Name.x", "t.1"] == 3 and counts["my_other", "t"] == 1
    assert not any(database == "mysql" for database, _table in counts)
    assert all(counts.get(key) == rows for key, rows in job.member.tables.items() if key[0] != "mysql")
    assert any("mysql" in note for note in engine.left_out), engine.left_out
    assert any("DROP DATABASE" in note for note in engine.left_out)
    other = live(engine, source)
    for database, table in counts:
        assert engine.checksum(table, database) == other.checksum(table, database)
    assert engine.query("SELECT COUNT(*) FROM t", "my_other") == [["1"]]
    with pytest.raises(EngineError) as caught:
        engine.query("SELECT 1", "mysql")
    assert caught.value.code == "query_failed"
    # The accounts of the dump were not made, and only one database is there that it did not name.
    assert not [
        row for row in engine._admin.ask("SELECT user FROM mysql.global_priv;") if row[0] in ("app", "root", "boss", "")
    ]


def test_accounts_replication_and_the_rest_of_a_server(source, drills, tmp_path):
    path = source.dump(tmp_path / "all.sql", "--databases", "my_other")
    system = source.dump(tmp_path / "system.sql", "--system=all")
    text = (
        system.read_text()
        + "CHANGE MASTER TO MASTER_LOG_FILE='x', MASTER_LOG_POS=4;\nSET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '';\n"
        "SET @@SESSION.SQL_LOG_BIN= 0;\nSET GLOBAL gtid_slave_pos='0-1-2';\n" + path.read_text()
    )
    engine = drills()
    assert drill(engine, text_job(tmp_path, text)) == {("my_other", "t"): 1}
    listed = "; ".join(engine.left_out)
    assert "accounts" in listed and "replication" in listed and "gtid_purged" in listed and "SQL_LOG_BIN" in listed


@pytest.mark.parametrize("database", ["none_in_it", "odd-Name.x"])
def test_small_ones(source, drills, tmp_path, database):
    engine = drills()
    counts = drill(engine, job_of(source.dump(tmp_path / "x.sql", database)))
    assert counts == live(engine, source, database).counts()


def test_named_by_the_dump(source, drills, tmp_path):
    engine = drills()
    job = job_of(source.dump(tmp_path / "x.sql", "--databases", "odd-Name.x"))
    assert drill(engine, job) == {("odd-Name.x", "t.1"): 3} == job.member.tables
    # The only database is meant where none is said.
    assert engine.query("SELECT SUM(a) FROM `t.1`") == [["6"]]
    assert engine.checksum("t.1") == engine.checksum("t.1", "odd-Name.x")


def test_rows_that_were(source, drills, tmp_path):
    """A dump may hold the history of a system-versioned table."""
    source.sql("CREATE DATABASE old; USE old; CREATE TABLE t (a INT PRIMARY KEY, b TEXT) WITH SYSTEM VERSIONING;"
               "INSERT INTO t VALUES (1, 'x'), (2, 'y'); UPDATE t SET b = 'z' WHERE a = 1; DELETE FROM t WHERE a = 2;")
    try:
        job = job_of(source.dump(tmp_path / "x.sql", "--dump-history", "old"))
        engine = drills()
        assert drill(engine, job) == {(None, "t"): 1} == live(engine, source, "old").counts()
        assert engine.held() == job.member.tables == {(None, "t"): 3}
        assert engine.checksum("t") == live(engine, source, "old").checksum("t")
    finally:
        source.sql("DROP DATABASE old;")


def test_a_dump_without_create_database(source, drills, tmp_path):
    engine = drills()
    job = job_of(source.dump(tmp_path / "x.sql", "--no-create-db", "--databases", "my_other", "odd-Name.x"))
    assert drill(engine, job) == {("my_other", "t"): 1, ("odd-Name.x", "t.1"): 3}


def test_definers_get_no_power(source, drills, tmp_path):
    engine = drills()
    drill(engine, job_of(source.dump(tmp_path / "shop.sql", "--routines", "--triggers", "--events", "shop")))
    definers = engine._admin.ask(
        "SELECT definer FROM information_schema.views WHERE table_schema = 'shop' UNION SELECT definer FROM "
        "information_schema.routines WHERE routine_schema = 'shop' UNION SELECT definer FROM "
        "information_schema.triggers WHERE trigger_schema = 'shop' UNION SELECT definer FROM "
        "information_schema.events WHERE event_schema = 'shop';"
    )
    assert [definer for (definer,) in definers] == ["%s@localhost" % engine._user_name]
    grants = [grant for (grant,) in engine._user.ask("SHOW GRANTS;")]
    assert grants[0].startswith("GRANT USAGE ON *.* TO") and len(grants) == 2
    assert grants[1].startswith("GRANT SELECT, EXECUTE, SHOW VIEW ON `shop`.*")


def test_what_a_query_may_do(source, drills, tmp_path):
    engine = drills()
    drill(engine, job_of(source.dump(tmp_path / "shop.sql", "--routines", "shop")))
    assert engine.query("SELECT NULL, 'NULL', '<a & \"b\">', '', 'x\ty\nz;', 1.50;") == [
        [None, "NULL", '<a & "b">', "", "x\ty\nz;", "1.50"]
    ]
    assert engine.query(" -- note\n (SELECT 1 AS a) UNION SELECT 2 ") == [["1"], ["2"]]
    assert engine.query("SELECT 1 FROM nothing") == []
    assert engine.query("SELECT COUNT(*), MAX(`select`) FROM `order`") == [["7", "7"]]
    for bad in (
        "DELETE FROM `order`",
        "SELECT 1; DELETE FROM `order`",
        "COMMIT; DELETE FROM `order`",
        "CALL fill(3)",
        "DROP TABLE log",
        "SELECT * FROM `order` INTO OUTFILE '/tmp/%s'" % TRACE,
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT * FROM mysql.global_priv",
        "WITH x AS (SELECT 1) DELETE FROM `order`",
        "SELECT nextval(numbers)",
        "SELECT",
        "SET @x = 1",
        "\\! touch /tmp/" + TRACE,
        "SELECT 1 \\! touch /tmp/" + TRACE,
        "/*! DELETE FROM `order` */",
        "ANALYZE SELECT 1",
        "SELECT * FROM nowhere",
        "",
    ):
        with pytest.raises(EngineError) as caught:
            engine.query(bad)
        assert caught.value.code == "query_failed", bad
    assert engine.counts() == {(None, name): rows for name, rows in RESTORED.items()}
    assert engine.query("SELECT COUNT(*) FROM `order`") == [["7"]]
    with pytest.raises(EngineError) as caught:
        engine.checksum("gone")
    assert "there is no table gone" in caught.value.message


def test_nothing_secret_in_arguments(source, drills, tmp_path):
    seen = set()
    over = threading.Event()

    def watch():
        while not over.is_set():
            seen.update(command_lines())

    thread = threading.Thread(target=watch)
    thread.start()
    engine = drills()
    drill(engine, job_of(source.dump(tmp_path / "x.sql", "shop")))
    live(engine, source, "shop").counts()
    over.set()
    thread.join()
    secrets = [
        line
        for path in Path(engine.scratch.path).glob("*.cnf")
        for line in path.read_text().splitlines()
        if "password" in line
    ]
    assert len(secrets) == 3
    for line in secrets:
        secret = line.split("=", 1)[1].strip('"')
        assert not any(secret in words for words in seen)
    assert all(path.stat().st_mode & 0o077 == 0 for path in Path(engine.scratch.path).glob("*.cnf"))


# -- dumps that do not restore, or to other bytes -------------------------------------------------------------------

BACKUPMAN = """-- Dump by a tool that escapes nothing
CREATE TABLE `order` (`select` INT PRIMARY KEY, `a ``b`` c` TEXT, `weird"name` DECIMAL(20, 5));
INSERT INTO `order` VALUES (1, 'C:\\new\\table', 1.5);
-- Dump completed on 2026-01-01
"""


def test_unescaped_backslashes_are_found_by_checksum_only(source, drills, tmp_path):
    source.sql(
        "CREATE DATABASE raw; USE raw; CREATE TABLE `order` LIKE shop.`order`; INSERT INTO `order` SELECT * FROM shop.`order` LIMIT 1"
    )
    try:
        engine = drills()
        assert drill(engine, text_job(tmp_path, BACKUPMAN)) == {(None, "order"): 1}
        other = live(engine, source, "raw")
        assert other.counts() == engine.counts()
        assert other.checksum("order") != engine.checksum("order")
    finally:
        source.sql("DROP DATABASE raw")


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES ('ends with \\');\nINSERT INTO t VALUES ('x');\n",
        "CREATE TABLE t (a INT);\nINSERT INTO t VALUES (1), (2;\n",
        "CREATE TABLE t (a INT PRIMARY KEY);\nINSERT INTO t VALUES (1), (1);\nINSERT INTO t VALUES (3);\n",
        "CREATE TABLE t (a INT);\nINSERT INTO gone VALUES (1);\n",
        "mysqldump: Got error: 1045: Access denied\n",
        "CREATE TABLE t (a INT)",
    ],
    ids=["trailing backslash", "syntax", "duplicate", "no table", "message", "open end"],
)
def test_broken_dumps_stop_at_the_first_error(drills, tmp_path, text):
    engine = drills()
    job = text_job(tmp_path, text)
    engine.choose(job.member)
    engine.start()
    with pytest.raises(EngineError) as caught:
        engine.restore(job)
    assert caught.value.code == "restore_failed", caught.value.message
    assert all(count == 0 for count in engine.counts().values())


def test_an_error_does_not_repeat_rows(drills, tmp_path):
    engine = drills()
    job = text_job(
        tmp_path,
        "CREATE TABLE t (a TEXT, b INT);\nINSERT INTO t VALUES %s ('secret', 'abc');\n" % ("('secret', 1)," * 20000),
    )
    with pytest.raises(EngineError) as caught:
        drill(engine, job)
    assert "ERROR 1366 (22007) at line 2" in caught.value.message and "secret" not in caught.value.message
    assert len(caught.value.message) < 400


def test_lines_are_those_of_the_dump(drills, tmp_path):
    text = "/*M!999999\\- enable the sandbox mode */ \n-- x\nGRANT ALL\n ON x.* TO y;\nUSE mysql;\nINSERT INTO user\n VALUES (1);\nUSE a;\n\nbroken;\n"
    with pytest.raises(EngineError) as caught:
        drill(drills(), text_job(tmp_path, text))
    assert "at line 10" in caught.value.message


def test_the_server_dies_in_the_middle(drills, tmp_path):
    engine = drills()
    text = "CREATE TABLE t (a INT);\n" + "INSERT INTO t VALUES (1);\n" * 20000
    job = text_job(tmp_path, text)
    engine.choose(job.member)
    engine.start()
    timer = threading.Timer(0.4, lambda: os.kill(engine._process.pid, signal.SIGKILL))
    timer.start()
    with pytest.raises(EngineError) as caught:
        engine.restore(job)
    timer.join()
    assert caught.value.code == "server_died" and "SIGKILL" in caught.value.message
    with pytest.raises(EngineError) as caught:
        engine.counts()
    assert caught.value.code == "server_died"


def test_it_takes_too_long(drills, tmp_path):
    engine = drills(timeout=3)
    started = time.monotonic()
    with pytest.raises(EngineError) as caught:
        drill(engine, text_job(tmp_path, "CREATE TABLE t (a INT);\nINSERT INTO t VALUES (SLEEP(100));\n"))
    assert caught.value.code == "restore_failed" and "did not end within 3" in caught.value.message
    assert time.monotonic() - started < 20


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
@pytest.mark.parametrize("kind", ["InnoDB", "MyISAM"])
def test_a_full_disk(drills, tmp_path, kind):
    small = tempfile.mkdtemp(prefix="s")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m,mode=755", "none", small], check=True)
    try:
        scratch = Scratch.create(small, run_as=RUN_AS, nice=0)
        engine = MysqlEngine(scratch, {"timeout": 90})
        text = "CREATE TABLE t (a LONGTEXT) ENGINE=%s;\n" % kind + (
            "INSERT INTO t VALUES (REPEAT('x', 4000000));\n" * 60
        )
        with pytest.raises(EngineError) as caught:
            drill(engine, text_job(tmp_path, text))
        assert caught.value.code == "no_space", caught.value.message
        engine.stop()
        scratch.close()
        assert [name for name in os.listdir(small) if name.startswith("rbd-")] == []
    finally:
        engine.stop()
        scratch.close()
        subprocess.run(["umount", small], check=True)
        os.rmdir(small)


# -- hostile dumps --------------------------------------------------------------------------------------------------


@pytest.fixture
def trace():
    """A file that no hostile dump may make, and a secret that none may read."""
    path = Path(tempfile.gettempdir()) / (TRACE + "-%d" % os.getpid())
    yield path
    there = path.exists()
    if there:
        path.unlink()
    assert not there


HOSTILE = {
    "shell": "\\! touch TRACE\n",
    "shell after a statement": "CREATE TABLE a (x INT); \\! touch TRACE\n",
    "shell in a statement": "CREATE TABLE a (x INT) \\! touch TRACE\n;\n",
    "system": "system touch TRACE\n",
    "system after a statement": "CREATE TABLE a (x INT);\nsystem touch TRACE;\n",
    "source": "source /etc/passwd\n",
    "source by a backslash": "\\. /etc/passwd\n",
    "tee": "tee TRACE\nSELECT 1;\n",
    "pager": "pager touch TRACE\nSELECT 1;\n",
    "edit": "\\e\n",
    "local file": "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t;\n",
    "local file in a comment": "/*!50003 LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t */;\n",
    "server file": "LOAD DATA INFILE '/etc/passwd' INTO TABLE t;\n",
    "outfile": "SELECT 'x' INTO OUTFILE 'TRACE';\n",
    "dumpfile": "SELECT 0x7f454c46 INTO DUMPFILE 'TRACE';\n",
    "outfile in comments": "/*!40101 SELECT 'x' */ /*M!100000 INTO */ /*! OUTFILE 'TRACE' */;\n",
    "library": "CREATE FUNCTION sys_exec RETURNS INT SONAME 'lib_mysqludf_sys.so';\nSELECT sys_exec('touch TRACE');\n",
    "plugin": "INSTALL SONAME 'ha_federatedx';\nCREATE TABLE f (a INT) ENGINE=FEDERATED CONNECTION='mysql://x@127.0.0.1/a/b';\n",
    "delimiter": "DELIMITER ;\\!\nSELECT 1;\\! touch TRACE\n",
    "delimiter again": "DELIMITER //\nSELECT 1; \\! touch TRACE //\n",
    "delimiter that hides": "DELIMITER '\nSELECT 1'\n\\! touch TRACE\n'\n",
    "other database": "INSERT INTO mysql.global_priv VALUES ('localhost', 'evil', '{\"access\": 18446744073709551615}');\n",
    "update of accounts": "UPDATE mysql.user SET host = '%';\n",
    "reads accounts": "CREATE TABLE stolen AS SELECT * FROM mysql.global_priv;\n",
    "a view of accounts": "CREATE DEFINER=`mariadb.sys`@`localhost` SQL SECURITY DEFINER VIEW v AS SELECT * FROM mysql.global_priv;\n",
    "global": "SET GLOBAL general_log_file = 'TRACE', GLOBAL general_log = 1;\n",
    "global variable": "SET @@global.secure_file_priv = '';\n",
    "global in a comment": "/*!40101 SET GLOBAL init_connect = 'DROP DATABASE x' */;\n",
    "prepared": "SET @s = CONCAT('SELECT 1 INTO OUT', 'FILE ''TRACE''');\nPREPARE s FROM @s;\nEXECUTE s;\n",
    "immediate": "EXECUTE IMMEDIATE CONCAT('LOAD DATA IN', 'FILE ''/etc/passwd'' INTO TABLE t');\n",
    "shutdown": "SHUTDOWN;\n",
    "kill": "KILL 1;\n",
    "procedure that does it": "DELIMITER //\nCREATE DEFINER=`root`@`localhost` PROCEDURE p() BEGIN SELECT 1 INTO OUTFILE 'TRACE'; END//\nCALL p()//\n",
    "event of root": "CREATE DEFINER=`root`@`localhost` EVENT e ON SCHEDULE EVERY 1 SECOND DO SELECT 1 INTO OUTFILE 'TRACE';\nSELECT SLEEP(2.5);\n"
    "INSERT INTO gone VALUES (1);\n",
    "compound": "BEGIN NOT ATOMIC SELECT 1 INTO OUTFILE 'TRACE'; END;\n",
    "after a quote": "SELECT 'x\\'; \\! touch TRACE\n';\nINSERT INTO gone VALUES (1);\n",
    "in a row": "INSERT INTO t VALUES ('\n\\! touch TRACE\nsystem touch TRACE\n');\nINSERT INTO gone VALUES (1);\n",
    "client charset": "\\C gbk\nINSERT INTO gone VALUES (1);\n",
    "a file for a table": "CREATE TABLE c (a TEXT NOT NULL) ENGINE=CONNECT TABLE_TYPE=DOS FILE_NAME='/etc/passwd';\nINSERT INTO gone VALUES (1);\n",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_dumps_leave_no_trace(hostile_engine, tmp_path, trace, name):
    text = "CREATE TABLE IF NOT EXISTS t (a TEXT);\n" + HOSTILE[name].replace("TRACE", str(trace))
    before = hostile_engine._admin.ask("SELECT host, user, priv FROM mysql.global_priv ORDER BY user;")
    with pytest.raises(EngineError) as caught:
        hostile_engine.restore(text_job(tmp_path, text))
    assert caught.value.code in ("unsafe", "restore_failed"), caught.value.message
    assert hostile_engine._admin.ask("SELECT host, user, priv FROM mysql.global_priv ORDER BY user;") == before
    assert hostile_engine._admin.ask("SELECT @@general_log, @@init_connect;") == [["0", ""]]
    # Where it was refused before anything ran, there is not even the table.
    into = hostile_engine._scratch_database
    hostile_engine._admin.ask("CREATE TABLE IF NOT EXISTS %s.t (a TEXT);" % into)
    assert hostile_engine._admin.ask("SELECT COUNT(*) FROM %s.t WHERE a LIKE '%%root:%%';" % into) == [["0"]]
    assert os.listdir(os.path.join(hostile_engine.scratch.path, "files")) == []
    assert os.listdir(os.path.join(hostile_engine.scratch.path, "plugins")) == []


@pytest.fixture(scope="module")
def hostile_engine():
    scratch = Scratch.create(run_as=RUN_AS, nice=0)
    engine = MysqlEngine(scratch, {"timeout": 60})
    engine.choose(unread_job("x", "x", "mysqldump").member)
    engine.start()
    yield engine
    engine.stop()
    scratch.close()


def test_files_that_cannot_be_read_read_as_nothing(drills, tmp_path, trace):
    engine = drills()
    text = (
        "CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES (LOAD_FILE('/etc/passwd'));\n"
        "CREATE TABLE d (a INT) DATA DIRECTORY='/tmp' ENGINE=MyISAM;\nCREATE TABLE e (a INT) DATA DIRECTORY='/tmp';\n"
    )
    try:
        drill(engine, text_job(tmp_path, text))
    except EngineError as error:
        assert error.code == "unsafe"
    else:
        assert engine.query("SELECT a FROM t") == [[None]]
        assert all(not os.path.islink(path) for path in Path(engine.scratch.path).rglob("*"))


# -- physical backups -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(source, tmp_path_factory):
    """A full backup and two incremental ones, with the counts that each must give."""
    folder = tmp_path_factory.mktemp("chain")
    made, base = [], None
    source.sql(
        "CREATE DATABASE grows; CREATE TABLE grows.t (a INT PRIMARY KEY, b VARCHAR(99)); CREATE TABLE grows.old (a INT) ENGINE=MyISAM"
    )
    for number, word in enumerate(("full", "one", "two")):
        source.sql(
            "USE grows; INSERT INTO grows.t SELECT seq, '%s' FROM seq_%d_to_%d; INSERT INTO grows.old VALUES (%d)"
            % (word, number * 1000 + 1, number * 1000 + 1000, number)
        )
        # Without a checkpoint in between, the next but one would fit as well.
        source.wait_for_checkpoint()
        path = source.backup(folder / (word + ".xbstream"), folder / word, base)
        base = folder / word
        made.append((path, source.sql("CHECKSUM TABLE grows.t")))
    yield [path for path, _sum in made]
    source.sql("DROP DATABASE grows")


def chained(paths):
    jobs = [job_of(path) for path in paths]
    jobs[-1].parents = jobs[:-1]
    return jobs[-1]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_chain_of_physical_backups(source, drills, chain, length):
    engine = drills()
    job = chained(chain[:length])
    counts = drill(engine, job)
    assert counts["grows", "t"] == 1000 * length and counts["grows", "old"] == length
    assert {(None, table) for database, table in counts if database == "shop"} == {(None, name) for name in RESTORED}
    assert all(counts["shop", name] == rows for name, rows in RESTORED.items())
    assert set(job.member.tables) - set(counts) == set()
    other = live(engine, source)
    for name in RESTORED:
        assert engine.checksum(name, "shop") == other.checksum(name, "shop")
    assert engine.query("SELECT b, COUNT(*) FROM t GROUP BY b ORDER BY MIN(a)", "grows") == [
        [word, "1000"] for word in ("full", "one", "two")[:length]
    ]
    # Views whose definer is an account of the backup can be read; the accounts themselves are gone.
    assert engine.query("SELECT COUNT(*) FROM of_app", "shop") == [["2000"]]
    assert engine.query("SELECT n FROM of_view", "shop") == other.query("SELECT n FROM of_view", "shop")
    accounts = dict(engine._admin.ask("SELECT user, JSON_VALUE(priv, '$.account_locked') FROM mysql.global_priv;"))
    admin = engine._admin.ask("SELECT SUBSTRING_INDEX(USER(), '@', 1);")[0][0]
    assert set(accounts) == {"root", "app", engine._user_name, admin}
    assert accounts["root"] == accounts["app"] == "1"
    with pytest.raises(EngineError):
        engine.query("SELECT * FROM mysql.global_priv")


def test_chains_that_do_not_hold(drills, chain):
    full, one, two = chain
    for paths, words in (
        ([one], "is an incremental backup"),
        ([full, two], "one is missing or they are in another order"),
        ([full, two, one], "one is missing or they are in another order"),
        ([one, full], "is an incremental backup"),
        ([full, full], "only the first of a chain is"),
    ):
        with pytest.raises(EngineError) as caught:
            drill(drills(), chained(paths))
        assert caught.value.code == "bad_option" and words in caught.value.message, caught.value.message


def test_a_physical_backup_that_ends_too_early(drills, chain, tmp_path):
    content = chain[0].read_bytes()
    for place in (
        len(content) // 3,
        len(content) - 40,
        content.rindex(b"XBSTCK01"),
        content.rindex(b"xtrabackup_info") - 200,
    ):
        path = tmp_path / "cut.xbstream"
        path.write_bytes(content[:place])
        with pytest.raises(EngineError) as caught:
            drill(drills(), unread_job(path, "cut.xbstream", "xbstream"))
            # What is missing may be a file that no server needs: then the reader's word counts.
            raise (
                EngineError("restore_failed", "not noticed")
                if place == content.rindex(b"XBSTCK01")
                else AssertionError(place)
            )
        assert caught.value.code == "restore_failed"


def piece(path, content=b""):
    head = b"XBSTCK01\0"
    data = (
        head
        + b"P"
        + struct.pack("<I", len(path))
        + path
        + struct.pack("<QQI", len(content), 0, zlib.crc32(content))
        + content
    )
    return data + head + b"E" + struct.pack("<I", len(path)) + path


@pytest.mark.parametrize("path", [b"../../../TRACE", b"TRACE", b"a/../../TRACE", b"shop/x.isl"])
def test_hostile_physical_backups(drills, tmp_path, trace, chain, path):
    path = path.replace(b"TRACE", os.fsencode(trace))
    file = tmp_path / "evil.xbstream"
    file.write_bytes(piece(path, b"evil") + chain[0].read_bytes())
    with pytest.raises(EngineError) as caught:
        drill(drills(), unread_job(file, "evil.xbstream", "xbstream"))
    assert caught.value.code == "unsafe"


def test_the_configuration_in_a_backup_is_not_believed(drills, tmp_path, trace, chain, source):
    content = chain[0].read_bytes()
    evil = (
        b"[mysqld]\ngeneral_log=1\ngeneral_log_file=%s\ninnodb_undo_directory=/tmp\ninnodb_data_file_path=ibdata1:12M:autoextend\n"
        b"init_file=/etc/passwd\nport=3306\n[mariabackup]\ntmpdir=/nowhere\n!include %s\n"
        % (os.fsencode(trace), os.fsencode(trace))
    )
    start = content.index(b"XBSTCK01\0P" + struct.pack("<I", 13) + b"backup-my.cnf")
    end = content.index(b"XBSTCK01", content.index(b"XBSTCK01\0E", start) + 8)
    file = tmp_path / "evil.xbstream"
    file.write_bytes(content[:start] + piece(b"backup-my.cnf", evil) + content[end:])
    engine = drills()
    counts = drill(engine, unread_job(file, "evil.xbstream", "xbstream"))
    assert counts["shop", "order"] == 7
    assert engine._admin.ask("SELECT @@general_log, @@port, @@init_file LIKE '%passwd%';") == [["0", "0", "0"]]


def test_a_backup_in_a_folder(drills, tmp_path, chain):
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mbstream", "-x", "-C", str(folder)], input=chain[0].read_bytes(), check=True)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))
    engine = drills()
    job = unread_job(folder, "full", "xtrabackup-folder")
    assert drill(engine, job)["shop", "order"] == 7
    assert sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    os.symlink("/etc/passwd", folder / "shop" / "link.ibd")
    with pytest.raises(EngineError) as caught:
        drill(drills(), job)
    assert caught.value.code == "unsafe"


# -- existing servers -----------------------------------------------------------------------------------------------


def accounts_and_databases(source):
    return (
        source.sql("SELECT user, host FROM mysql.user ORDER BY 1, 2"),
        source.sql("SHOW DATABASES"),
        source.sql("SELECT * FROM mysql.db ORDER BY 1, 2, 3"),
        source.sql("CHECKSUM TABLE shop.customers, shop.`order`, my_other.t"),
    )


def test_an_existing_server(source, drills, tmp_path):
    before = accounts_and_databases(source)
    engine = drills(login=source.login)
    path = source.dump(
        tmp_path / "shop.sql", "--routines", "--triggers", "--events", "--databases", "shop", "--add-drop-database"
    )
    counts = drill(engine, job_of(path))
    assert counts == {("shop", name): rows for name, rows in RESTORED.items()}
    assert engine.query("SELECT COUNT(*) FROM `order`") == [["7"]]
    assert engine.query("SELECT COUNT(*) FROM customers", "shop") == [["2000"]]
    other = live(engine, source, "shop")
    assert all(engine.checksum(name, "shop") == other.checksum(name) for name in RESTORED)
    assert len(source.sql("SHOW DATABASES")) == len(before[1]) + 1
    engine.stop()
    assert accounts_and_databases(source) == before


@pytest.mark.parametrize("name", ["two databases", "other", "trigger", "procedure", "drop", "outfile"])
def test_an_existing_server_is_left_alone(source, drills, tmp_path, trace, name):
    text = {
        "two databases": "CREATE DATABASE a;\nUSE a;\nCREATE TABLE t (a INT);\nUSE my_other;\nDROP TABLE t;\n",
        "other": "DELETE FROM my_other.t;\n",
        "trigger": "CREATE TABLE t (a INT);\nCREATE DEFINER=`root`@`localhost` TRIGGER x AFTER INSERT ON t FOR EACH ROW DELETE FROM my_other.t;\n"
        "INSERT INTO t VALUES (1);\n",
        "procedure": "CREATE DEFINER=/**/root@localhost PROCEDURE p() DELETE FROM my_other.t;\nCALL p();\n",
        "drop": "DROP TABLE my_other.t;\n",
        "outfile": "SELECT * FROM my_other.t INTO OUTFILE '%s';\n" % trace,
    }[name]
    before = accounts_and_databases(source)
    engine = drills(login=source.login)
    with pytest.raises(EngineError) as caught:
        drill(engine, text_job(tmp_path, text))
    assert caught.value.code in ("unsafe", "unsupported", "restore_failed"), caught.value.message
    engine.stop()
    assert accounts_and_databases(source) == before


def test_logins_that_may_less(source, drills, tmp_path):
    source.sql(
        "CREATE USER narrow@localhost IDENTIFIED BY 'x'; GRANT ALL ON `rbd\\_%`.* TO narrow@localhost;"
        "CREATE USER wide@localhost IDENTIFIED BY 'x'; GRANT ALL ON *.* TO wide@localhost; REVOKE CREATE USER ON *.* FROM wide@localhost;"
        "CREATE USER weak@localhost IDENTIFIED BY 'x';"
    )
    try:
        path = source.dump(tmp_path / "x.sql", "my_other")
        engine = drills(login=dict(source.login, user="narrow", password="x"))
        assert drill(engine, job_of(path)) == {(None, "t"): 1}
        assert any("login_user" in note for note in engine.notes)
        with pytest.raises(EngineError):
            engine.query("DELETE FROM t")
        engine.stop()
        for user, code in (("wide", "bad_option"), ("weak", "start_failed"), ("nobody_at_all", "start_failed")):
            engine = drills(login=dict(source.login, user=user, password="x"))
            with pytest.raises(EngineError) as caught:
                drill(engine, job_of(path))
            assert caught.value.code == code, caught.value.message
            engine.stop()
    finally:
        source.sql("DROP USER narrow@localhost, wide@localhost, weak@localhost")


def test_what_a_killed_drill_left_on_a_server(source, drills, tmp_path):
    before = accounts_and_databases(source)
    path = source.dump(tmp_path / "x.sql", "my_other")
    parent = tempfile.mkdtemp(prefix="k")
    script = (
        "import sys, os, signal; sys.path[:0] = %r\n"
        "from files import *; from test_mysql import *\n"
        "engine = MysqlEngine(Scratch.create(%r, run_as=RUN_AS, nice=0), {'login': %r})\n"
        "drill(engine, job_of(%r)); os.kill(os.getpid(), signal.SIGKILL)\n"
    ) % (sys.path, parent, source.login, str(path))
    os.chmod(parent, 0o755)
    try:
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
        assert accounts_and_databases(source) != before
        scratch = Scratch.create(parent, run_as=RUN_AS, nice=0)
        Scratch.sweep(parent)
        engine = MysqlEngine(scratch, {"login": source.login})
        assert drill(engine, job_of(path)) == {(None, "t"): 1}
        engine.stop()
        scratch.close()
        assert accounts_and_databases(source) == before
        assert os.listdir(parent) == []
    finally:
        shutil.rmtree(parent)


@pytest.mark.parametrize(
    "login,words",
    [
        ({"unix_socket": "/" + "x" * 200}, "107 bytes"),
        ({"host": "127.0.0.1", "port": 99999}, "no port 99999"),
        ({"host": "127.0.0.1", "port": 1}, "127.0.0.1"),
    ],
)
def test_logins_that_lead_nowhere(drills, login, words):
    engine = drills(login=dict({"user": "x", "password": "y"}, **login))
    engine.choose(unread_job("x", "x", "mysqldump").member)
    with pytest.raises(EngineError) as caught:
        engine.start()
    assert caught.value.code in ("bad_option", "start_failed") and words in caught.value.message


# -- the host -------------------------------------------------------------------------------------------------------


def test_no_server_on_the_host(drills, tmp_path, monkeypatch):
    engine = drills()
    monkeypatch.setattr(programs_module, "folders", lambda: [str(tmp_path)])
    with pytest.raises(EngineError) as caught:
        engine.choose(unread_job("x", "x", "mysqldump").member)
    assert caught.value.code == "no_engine" and "mariadb-server" in caught.value.message
    with pytest.raises(EngineError) as caught:
        drills(bin_dir=str(tmp_path)).choose(unread_job("x", "x", "mysqldump").member)
    assert caught.value.code == "bad_option"


def test_no_backup_program_on_the_host(drills, tmp_path, monkeypatch):
    for name in ("mariadbd", "mariadb", "mariadb-install-db"):
        os.symlink(shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin"), tmp_path / name)
    real = programs_module.Programs._first
    monkeypatch.setattr(
        programs_module.Programs, "_first", lambda self, names: None if "mariadb-backup" in names else real(self, names)
    )
    with pytest.raises(EngineError) as caught:
        drills().choose(unread_job("x", "x", "xbstream").member)
    assert caught.value.code == "no_engine" and "install mariadb-backup" in caught.value.message


def test_two_drills_at_once(source, drills, tmp_path):
    path = source.dump(tmp_path / "shop.sql", "shop")
    engines, found, threads = [drills(), drills()], [], []
    for engine in engines:
        engine.choose(job_of(path).member)
        # Servers die with the thread that started them.
        engine.start()
        threads.append(
            threading.Thread(target=lambda engine=engine: (engine.restore(job_of(path)), found.append(engine.counts())))
        )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{(None, name): rows for name, rows in RESTORED.items()}] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="this is the other user already")
def test_as_an_ordinary_user(source, tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="o"))
    try:
        code = Path(engine_module.__file__).parents[1]
        shutil.copytree(
            code, folder.joinpath("ansible_collections", "restorable", "backups", "plugins", "module_utils")
        )
        shutil.copy(Path(__file__).with_name("files.py"), folder)
        source.dump(folder / "shop.sql", "shop")
        for path in [folder, *folder.rglob("*")]:
            os.chmod(path, 0o755)
        script = (
            "import os, sys; sys.path[:0] = [%r]\n"
            "from files import job_of\n"
            "from ansible_collections.restorable.backups.plugins.module_utils._engines import Scratch\n"
            "from ansible_collections.restorable.backups.plugins.module_utils._engines.mysql import MysqlEngine\n"
            "assert os.geteuid() != 0\n"
            "scratch = Scratch.create(nice=0); engine = MysqlEngine(scratch, {}); job = job_of(%r)\n"
            "engine.choose(job.member); engine.start(); engine.restore(job)\n"
            "print(engine.counts()[None, 'customers'], engine.query('SELECT 1'))\n"
            "engine.stop(); scratch.close(); assert not os.path.exists(scratch.path)\n"
        ) % (str(folder), str(folder / "shop.sql"))
        as_other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        # The tests' own Python may lie where only root gets.
        python = next(
            path
            for path in (sys.executable, "/usr/bin/python3")
            if subprocess.run([*as_other, path, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0
        )
        done = subprocess.run(
            [*as_other, python, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd="/"
        )
        assert done.stdout.decode().strip() == "2000 [['1']]", done.stdout.decode()
    finally:
        shutil.rmtree(folder)


def test_compressed(source, drills, tmp_path):
    plain = source.dump(tmp_path / "shop.sql", "shop")
    job = job_of(plain)
    path = tmp_path / "shop.sql.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    from ansible_collections.restorable.backups.plugins.module_utils import _archive

    job.path, job.open = None, lambda: _archive.Opened([str(path)], "shop.sql.gz")
    assert drill(drills(), job)[None, "order"] == 7


# -- definitions: what is no row ------------------------------------------------------------------------------------

MORE_KINDS = """CREATE DATABASE kinds CHARACTER SET latin1; USE kinds;
CREATE TABLE parent (a INT, b INT, PRIMARY KEY (a, b));
CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, a INT DEFAULT 7, b INT, word VARCHAR(90) COLLATE latin1_bin, doc JSON,
  twice INT AS (a * 2) VIRTUAL, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY by_word (word(9), a),
  CONSTRAINT of_parent FOREIGN KEY (a, b) REFERENCES parent (a, b) ON DELETE CASCADE, CONSTRAINT small CHECK (b < 99));
CREATE TABLE parts (a INT) PARTITION BY RANGE (a) (PARTITION low VALUES LESS THAN (5), PARTITION high VALUES LESS THAN MAXVALUE);
CREATE SEQUENCE counter; SELECT NEXT VALUE FOR counter;
CREATE VIEW seen AS SELECT c.id, c.word, 'x;\\n' AS text FROM child c JOIN parent p ON p.a = c.a WHERE c.b > 1;
CREATE FUNCTION joined(one VARCHAR(9), two ENUM('a', 'b')) RETURNS VARCHAR(20) DETERMINISTIC RETURN CONCAT(one, '\t', two);
CREATE PROCEDURE emptied(IN n INT, OUT m INT) DELETE FROM parts WHERE a > n;
CREATE TRIGGER noted AFTER INSERT ON child FOR EACH ROW INSERT INTO parts VALUES (NEW.id);
CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM parts;
"""
KIND_NAMES = {"table", "index", "constraint", "view", "function", "procedure", "trigger", "event", "partition"}


@pytest.fixture
def kinds(source):
    source.sql(MORE_KINDS)
    yield source
    source.sql("DROP DATABASE kinds")


def other_definitions(engine, live_one, mode="checksum"):
    found, _sums, _untold = _assertions.compare(engine, engine.counts(), live_one, {
        "tolerance": 0, "mode": mode, "tables": None, "database": None})
    assert all(one["code"] == "definition_mismatch" for one in found), found
    return [one["message"] for one in found]


@pytest.mark.parametrize("way", ["dump", "named", "existing"])
def test_definitions(kinds, drills, tmp_path, way):
    words = ["--databases"] if way == "named" else []
    path = kinds.dump(tmp_path / "kinds.sql", "--routines", "--triggers", "--events", *words, "kinds")
    engine = drills(login=kinds.login) if way == "existing" else drills()
    drill(engine, job_of(path))
    other = live(engine, kinds, "kinds")
    found = engine.definitions()
    assert {kind for _database, kind, _name in found} == KIND_NAMES and None not in found.values()
    assert engine.dialect() == other.dialect() and engine.dialect().startswith("mariadb 10.")
    assert other_definitions(engine, other) == []
    before = []
    for change, what in () if way != "dump" else (
        ("CREATE OR REPLACE VIEW seen AS SELECT id, word, 'y' AS text FROM child", "the view seen is another one"),
        ("ALTER TABLE child ALTER a SET DEFAULT 8", "the table child is another one"),
        ("ALTER TABLE child DROP KEY by_word", "the index child.by_word is not in"),
        ("CREATE UNIQUE INDEX more ON parts (a)", "the index parts.more of the live database is not in"),
        ("ALTER TABLE child DROP CONSTRAINT small", "the constraint child.small is not in"),
        ("ALTER TABLE child DROP FOREIGN KEY of_parent", "the constraint child.of_parent is not in"),
        ("DROP TRIGGER noted", "the trigger child.noted is not in"),
        ("CREATE OR REPLACE FUNCTION joined(one INT) RETURNS INT DETERMINISTIC RETURN 1", "the function joined is another one"),
        ("DROP PROCEDURE emptied", "the procedure emptied is not in"),
        ("ALTER EVENT daily ON SCHEDULE EVERY 2 DAY", "the event daily is another one"),
        ("ALTER TABLE parts DROP PARTITION low", "the partition parts.low is not in"),
        ("DROP VIEW seen", "the view seen is not in"),
    ):
        kinds.sql("USE kinds; " + change)
        now = [one["message"] for one in _assertions._definitions(found, other.definitions(), False, True, _assertions._moves(engine, 0))]
        assert [message for message in now if what in message and message not in before], (change, now)
        before = now


def test_definitions_for_one_who_only_reads(kinds, drills, tmp_path):
    kinds.sql(
        "CREATE USER reader@localhost IDENTIFIED BY 'x'; GRANT SELECT ON kinds.* TO reader@localhost;"
        "CREATE USER `half@way`@localhost IDENTIFIED BY 'x'; GRANT SELECT, TRIGGER, EXECUTE ON `kind_`.* TO `half@way`@localhost;"
    )
    try:
        engine = drills()
        drill(engine, job_of(kinds.dump(tmp_path / "kinds.sql", "--routines", "--triggers", "--events", "kinds")))
        for user, unseen in (("reader", {"constraint", "trigger", "function", "procedure", "event"}), ("half@way", {"event"})):
            other = MysqlEngine.live(engine.scratch, {}, dict(kinds.login, database="kinds", user=user, password="x"))
            found = other.definitions()
            assert {kind for _database, kind, name in found if name is None} == unseen
            assert found[None, "view", "seen"] is None
            assert other_definitions(engine, other) == []
        kinds.sql("DROP TRIGGER kinds.noted; ALTER TABLE kinds.child ALTER a SET DEFAULT 8; DROP FUNCTION kinds.joined")
        assert len(other_definitions(engine, other)) == 3
    finally:
        kinds.sql("DROP USER reader@localhost, `half@way`@localhost")


def test_definitions_of_a_physical_backup(kinds, drills, tmp_path):
    # Its rows are in no file.
    kinds.sql("CREATE TABLE kinds.in_memory (a INT) ENGINE = MEMORY; INSERT INTO kinds.in_memory VALUES (1)")
    path = kinds.backup(tmp_path / "b.xbstream", tmp_path / "b")
    engine = drills()
    drill(engine, job_of(path))
    assert engine.counts()["kinds", "in_memory"] is None
    assert {kind for database, kind, _name in engine.definitions() if database == "kinds"} == KIND_NAMES
    assert other_definitions(engine, live(engine, kinds)) == []
    # What the server has for itself is a part of the backup, too.
    kinds.sql("DROP EVENT kinds.daily; DROP VIEW sys.version")
    event, system = sorted(other_definitions(engine, live(engine, kinds)))
    assert event == "the event kinds.daily is not in the live database"
    assert system.startswith("the system tables sys of ") and "version VIEW" in system
