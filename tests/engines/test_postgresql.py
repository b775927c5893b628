# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of real PostgreSQL backups, honest and hostile, on real servers."""

from __future__ import annotations

import json
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from postgresql_source import RICH, SERVER_USER, Source, drill, other_job, plain_job, programs, read_job, working_in

from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged
from ansible_collections.restorable.backups.plugins.module_utils._engines import EngineError, Scratch
from ansible_collections.restorable.backups.plugins.module_utils._engines import postgresql as engine_module
from ansible_collections.restorable.backups.plugins.module_utils._engines.postgresql import PostgreSQL
from ansible_collections.restorable.backups.plugins.module_utils._operations import drill as drill_operation

SETTINGS = "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n"
TABLE = SETTINGS + "CREATE TABLE public.t (a text);\n"
RICH_COUNTS = {
    "app.inh": 1,
    "app.orders_1": 213,
    "app.orders_2": 287,
    "app.users": 1000,
    "public.nocols": 1,
    "public.ul": 1,
}
NAMELESS = {(None, name): rows for name, rows in RICH_COUNTS.items()}


@pytest.fixture(scope="module")
def place():
    """A folder that the server's user can reach, and with a path short enough for sockets."""
    folder = tempfile.mkdtemp(prefix="pg-")
    os.chmod(folder, 0o755)
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def source(place):
    made = Source(place / "source", programs(), "-c", "wal_level=replica", "-c", "max_wal_senders=4")
    try:
        made.sql(RICH.read_text())
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def live(source):
    scratch = Scratch.create(None, SERVER_USER)
    yield PostgreSQL.live(scratch, {}, source.place)
    scratch.close()


@pytest.fixture(scope="module")
def version(source):
    return source.sql("SHOW server_version")


def assert_same_content(engine, live, database):
    ours = {name: engine.checksum(name, key) for key, name in engine.counts() if key in (None, database)}
    assert ours == {name: live.checksum(name, database) for name in ours}
    assert engine.dialect() == live.dialect()
    assert definitions_of(engine, (None, database)) == definitions_of(live, (database,))


def definitions_of(side, databases):
    """Without the encoding, which is only the dump's where it makes its database, and without what it does not say."""
    return {
        key[1:]: text
        for key, text in side.definitions().items()
        if key[0] in databases and key[1] != "encoding" and key[2] is not None
    }


# -- honest dumps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [(), ("--clean",), ("--clean", "--if-exists"), ("--inserts",), ("--column-inserts", "--rows-per-insert=7")],
    ids=" ".join,
)
def test_a_plain_dump_with_one_of_everything(source, live, tmp_path, words):
    job = read_job(source.dump(tmp_path / "rich.sql", "rich", *words))
    with drill(member=job.member) as engine:
        engine.restore(job)
        assert engine.counts() == NAMELESS == job.member.tables
        assert_same_content(engine, live, "rich")
        assert engine.query("SELECT count(*), sum(count) FROM app.v") == [["1001", "500"]]
        assert engine.query("SELECT count(*) FROM app.mv") == [["1001"]]
        assert engine.query("SELECT polname FROM pg_policy ORDER BY 1") == [["pol"], ["pol2"]]
        assert engine.query("SELECT count(*) FROM pg_largeobject_metadata") == [["2"]]
        assert engine.query("SELECT last_value FROM public.sq") == [["77"]]
        assert any(text.startswith("user mappings") for text in engine.left_out)


@pytest.mark.parametrize("form, letter", [("pg_dump-custom", "c"), ("pg_dump-tar", "t"), ("pg_dump-directory", "d")])
@pytest.mark.parametrize("jobs", [1, 3])
def test_archives_of_pg_dump(source, live, version, tmp_path, form, letter, jobs):
    path = source.dump(tmp_path / "rich", "rich", "-F" + letter)
    job = other_job(path, form, version)
    with drill(member=job.member, jobs=jobs) as engine:
        engine.restore(job)
        assert engine.counts() == NAMELESS
        assert_same_content(engine, live, "rich")
        assert engine.query("SELECT polname FROM pg_policy ORDER BY 1") == [["pol"], ["pol2"]]
        assert engine.query("SELECT count(*) FROM pg_largeobject_metadata") == [["2"]]


def test_an_archive_that_comes_as_a_stream(source, version, tmp_path):
    job = other_job(source.dump(tmp_path / "rich", "rich", "-Fc"), "pg_dump-custom", version)
    job.path = None
    with drill(member=job.member) as engine:
        engine.restore(job)
        assert engine.counts() == NAMELESS


def test_a_dump_that_makes_its_database(source, live, tmp_path):
    job = read_job(source.dump(tmp_path / "rich.sql", "rich", "-C", "--clean"))
    with drill(member=job.member) as engine:
        engine.restore(job)
        assert engine.counts() == {("rich", name): rows for name, rows in RICH_COUNTS.items()} == job.member.tables
        assert_same_content(engine, live, "rich")
        key = ("rich", "encoding", "")
        assert engine.definitions()[key] == live.definitions()[key] == "UTF8"
        assert engine.query("SELECT count(*) FROM ONLY app.users", "rich") == [["1000"]]


@pytest.mark.parametrize("words", [(), ("--clean",), ("--clean", "--if-exists")], ids=" ".join)
def test_a_dump_of_a_whole_server(source, live, tmp_path, words):
    path = tmp_path / "all.sql"
    path.write_bytes(source.client("pg_dumpall", *words))
    job = read_job(path)
    with drill(member=job.member) as engine:
        engine.restore(job)
        assert engine.counts() == live.counts() == job.member.tables
        assert engine.checksum("public.T able.x", "we ird") == live.checksum("public.T able.x", "we ird")
        assert engine.checksum("public.t", "lat") == live.checksum("public.t", "lat")
        assert set(engine.databases) == {"rich", "we ird", "lat", "emptydb"}
        assert any(text.startswith("roles") for text in engine.left_out)


@pytest.mark.parametrize(
    "database, counts",
    [
        ("lat", {(None, "public.t"): 1}),
        ("we ird", {(None, "public.T able.x"): 3}),
        ("emptydb", {}),
    ],
)
def test_encodings_odd_names_and_nothing_at_all(source, live, tmp_path, database, counts):
    job = read_job(source.dump(tmp_path / "d.sql", database))
    with drill(member=job.member) as engine:
        engine.restore(job)
        assert engine.counts() == counts == job.member.tables
        assert_same_content(engine, live, database)
        assert engine.query(
            "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
        ) == [[source.sql(f"SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = '{database}'")]]


def test_the_same_content_in_another_order_and_another_content(source, live):
    source.sql(
        "CREATE TABLE one (a int, b text); INSERT INTO one VALUES (1, 'x'), (2, NULL);"
        "CREATE TABLE two (a int, b text); INSERT INTO two VALUES (2, NULL), (1, 'x');"
        "CREATE TABLE three (a int, b text); INSERT INTO three VALUES (1, 'x'), (2, '');"
        "CREATE TABLE four (a int, b text); INSERT INTO four VALUES (1, 'x'), (2, NULL), (2, NULL);",
        "emptydb",
    )
    try:
        sums = [live.checksum("public." + name, "emptydb") for name in ("one", "two", "three", "four")]
    finally:
        source.sql("DROP TABLE one, two, three, four", "emptydb")
    assert sums[0] == sums[1]
    assert len(set(sums)) == 3


@pytest.mark.parametrize(
    "change, kind, name",
    [
        ("DROP VIEW shown", "view", "public.shown"),
        ("CREATE OR REPLACE VIEW shown AS SELECT a FROM kept WHERE a > 1", "view", "public.shown"),
        ("DROP INDEX kept_b", "index", "public.kept_b"),
        ("ALTER TABLE kept ALTER b SET DEFAULT 'y'", "table", "public.kept"),
        ("ALTER TABLE kept DROP CONSTRAINT positive", "constraint", "public.kept.positive"),
        ("DROP TRIGGER noted ON kept", "trigger", "public.kept.noted"),
        ("CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'", "function", "public.note()"),
        ("SELECT setval('numbers', 99)", "sequence", "public.numbers"),
        ("ALTER TYPE mood ADD VALUE 'glad'", "type", "public.mood"),
        ("SELECT lo_put(4711, 0, 'other')", "large object", "4711"),
        ("COMMENT ON COLUMN kept.a IS 'another'", "comment", "table column public.kept.a"),
        ("ALTER SEQUENCE numbers INCREMENT 7", "steps of sequence", "public.numbers"),
        ("ALTER TABLE kept SET (fillfactor = 50)", "table", "public.kept"),
        ("ALTER TABLE kept FORCE ROW LEVEL SECURITY", "table", "public.kept"),
        ("REFRESH MATERIALIZED VIEW whole WITH NO DATA", "materialized view", "public.whole"),
        ("ALTER TABLE parts DETACH PARTITION part", "inheritance", "public.part"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor", "grant", "new tables of postgres to pg_monitor"),
        (
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO PUBLIC",
            "grant",
            "new sequences of postgres in public to PUBLIC",
        ),
    ],
)
def test_what_is_no_row_is_told_apart(source, live, change, kind, name):
    source.sql(
        "CREATE TABLE kept (a int CONSTRAINT positive CHECK (a > 0), b text DEFAULT 'x'); CREATE INDEX kept_b ON kept (b);"
        "CREATE VIEW shown AS SELECT a FROM kept; CREATE SEQUENCE numbers; CREATE TYPE mood AS ENUM ('sad');"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER noted BEFORE UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION note();"
        "COMMENT ON COLUMN kept.a IS 'one'; CREATE MATERIALIZED VIEW whole AS SELECT a FROM kept;"
        "CREATE TABLE parts (a int) PARTITION BY RANGE (a); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (9);"
        "SELECT lo_from_bytea(4711, 'some bytes')",
        "emptydb",
    )
    try:
        before = definitions_of(live, ("emptydb",))
        source.sql(change, "emptydb")
        after = definitions_of(live, ("emptydb",))
    finally:
        source.sql(
            "DROP TABLE kept CASCADE; DROP TABLE parts; DROP TABLE IF EXISTS part; DROP SEQUENCE numbers; DROP TYPE mood;"
            "DROP FUNCTION note; SELECT lo_unlink(4711);"
            "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM pg_monitor;"
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM PUBLIC",
            "emptydb",
        )
    changed = {key for key in set(before) | set(after) if before.get(key) != after.get(key)}
    assert changed == {(kind, name)}


SECURED = """
CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT n, 't' || n % 3 FROM generate_series(1, 1000) n;
ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON a USING (t = 't1');
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); INSERT INTO b SELECT n, n FROM generate_series(1, 1000) n;
ALTER TABLE b ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON b USING (id > 9);
CREATE MATERIALIZED VIEW m AS SELECT t, count(*) FROM a GROUP BY t;
"""


def test_what_a_dump_writes_in_another_way_is_the_same(source, tmp_path):
    """A column that was dropped leaves a gap in the numbers of the others; options come in another order."""
    source.sql("CREATE DATABASE aged;")
    try:
        source.sql(
            "CREATE TABLE t (gone int, id serial) WITH (fillfactor = 50, autovacuum_enabled = off); ALTER TABLE t DROP gone;"
            "CREATE VIEW v WITH (check_option = local, security_barrier = true) AS SELECT id FROM t;",
            "aged",
        )
        job = read_job(source.dump(tmp_path / "dump", "aged"))
        with drill(member=job.member) as engine:
            engine.restore(job)
            aged = PostgreSQL.live(engine.scratch, {}, dict(source.place, database="aged"))
            assert_same_content(engine, aged, "aged")
            assert "public.t id" in aged.definitions()["aged", "steps of sequence", "public.t_id_seq"]
    finally:
        source.sql("DROP DATABASE aged;")


@pytest.mark.parametrize("where", ["own server", "existing server"])
@pytest.mark.parametrize("form", ["pg_dump-plain", "pg_dump-custom"])
def test_row_security_hides_nothing_from_a_restore(source, version, tmp_path, form, where):
    source.sql("CREATE DATABASE secured; CREATE ROLE onlooker LOGIN IN ROLE pg_read_all_data;")
    try:
        source.sql(SECURED, "secured")
        path = source.dump(tmp_path / "dump", "secured", *(["-Fc"] if form.endswith("custom") else []))
        job = read_job(path) if form.endswith("plain") else other_job(path, form, version)
        with drill(member=job.member, jobs=3, login=source.place if where == "existing server" else None) as engine:
            engine.restore(job)
            assert engine.counts() == {(None, "public.a"): 1000, (None, "public.b"): 1000}
            whole = PostgreSQL.live(engine.scratch, {}, dict(source.place, database="secured"))
            assert_same_content(engine, whole, "secured")
            # Who is shown a part of the rows does not count them.
            onlooker = PostgreSQL.live(engine.scratch, {}, dict(source.place, user="onlooker", database="secured"))
            assert onlooker.counts() == {("secured", "public.a"): None, ("secured", "public.b"): None}
    finally:
        source.sql("DROP DATABASE secured; DROP ROLE onlooker;")


ROUTED = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE p (k mood, v int) PARTITION BY HASH (k);
CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO p SELECT (ARRAY['sad', 'ok', 'happy'])[1 + n % 3]::mood, n FROM generate_series(1, 90) n;
"""


@pytest.mark.parametrize(
    "words",
    [(), ("--load-via-partition-root",), ("--inserts",), ("-Fc",), ("-Fd",), ("-Ft",), ("-Fc", "--inserts")],
    ids=" ".join,
)
def test_rows_that_find_another_partition_when_they_are_restored(source, place, words):
    """How an enum hashes hangs on numbers that each database gives anew: pg_dump loads such rows through the table."""
    source.sql("CREATE DATABASE routed;")
    path = place / "routed.dump"
    try:
        source.sql(ROUTED, "routed")
        source.dump(path, "routed", *words)
        result = drilled(path, source, "routed", tables=["p", "public.p1"], min_rows={"p": 90})
        assert result["proven"], result["violations"]
        assert [one["checksum"].partition(":")[0] for one in result["restored"][0]["checksums"]] == ["90"]
        if words not in ((), ("-Fc",)):
            return
        source.sql("UPDATE p SET v = 91 WHERE v = 90;", "routed")
        assert [one["code"] for one in drilled(path, source, "routed")["violations"]] == ["checksum_mismatch"]
        source.sql("DELETE FROM p WHERE v = 91;", "routed")
        (fewer,) = drilled(path, source, "routed")["violations"]
        assert fewer["message"] == "public.p has 90 rows after the restore, 89 in the live database"
    finally:
        source.sql("DROP DATABASE routed;")
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def dumped(source, place, sql, *words, options=""):
    """The path of a dump of a new database, which is there as long as the block."""
    path = place / "made.dump"
    source.sql("CREATE DATABASE made %s;" % options)
    try:
        source.sql(sql, "made")
        source.dump(path, "made", *words)
        yield path
    finally:
        source.sql("DROP DATABASE made;")
        path.unlink(missing_ok=True)


def test_rows_and_numbers_that_came_after_the_dump_are_allowed_for(source, place):
    table = "CREATE TABLE t (i int GENERATED ALWAYS AS IDENTITY (INCREMENT BY -5 CACHE 3), b int); INSERT INTO t (b) VALUES (1);"
    with dumped(source, place, table, "-Fc") as path:
        source.sql("INSERT INTO t (b) VALUES (2), (3);", "made")
        for tolerance, codes in ((2, []), (1, ["live_mismatch"]), (0, ["live_mismatch", "definition_mismatch"])):
            result = drilled(path, source, "made", compare={"tolerance": tolerance})
            assert [one["code"] for one in result["violations"]] == codes


@pytest.mark.parametrize("encoding, text", [("UTF8", "E'\\u00e4\\u00f6\\u00fc'"), ("SQL_ASCII", "E'\\xe4\\xf6\\xfc'")])
def test_text_of_which_the_dump_does_not_say_the_encoding(source, place, encoding, text):
    table = f"CREATE TABLE t (a varchar(3)); INSERT INTO t VALUES ({text});"
    options = f"TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
    with dumped(source, place, table, "-E", "SQL_ASCII", options=options) as path:
        result = drilled(path, source, "made")
        assert result["proven"], result["violations"]


def test_an_error_is_told_though_a_long_statement_follows_it(source, place):
    columns = ", ".join("c%d mood" % number for number in range(40))
    with dumped(source, place, "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (%s);" % columns, "-Fc", "-t", "t") as path:
        (violation,) = drilled(path, source, "made")["violations"]
    assert violation["code"] == "restore_failed" and "needs what it does not hold" in violation["message"]
    assert 'ERROR:  type "public.mood" does not exist' in violation["message"]


def drilled(path, source, database, compare=None, **params):
    """What backup_drill says of a file, beside the live database."""
    spec = drill_operation.SPEC["argument_spec"]
    given = {name: about.get("default") for name, about in spec.items()}
    defaults = {name: about.get("default") for name, about in spec["compare"]["options"].items()}
    place = {"login_unix_socket": source.place["unix_socket"], "login_user": source.place["user"], "database": database}
    compare = {**defaults, **place, "mode": "checksum", **(compare or {})}
    given.update(path=[str(path)], fail_on_violation=False, compare=compare, **params)
    return drill_operation.run(given)


def test_two_drills_of_one_file_at_once(source, tmp_path):
    path = source.dump(tmp_path / "rich.sql", "rich")

    def one(_number):
        job = read_job(path)
        with drill(member=job.member) as engine:
            engine.restore(job)
            return engine.counts()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(one, range(2))) == [NAMELESS, NAMELESS]


# -- queries ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restored():
    with drill() as engine:
        engine.restore(plain_job(TABLE + "COPY public.t (a) FROM stdin;\none\n\\N\n\\.\nCREATE SEQUENCE public.s;\n"))
        yield engine


def test_rows_are_texts_and_null_is_no_text(restored):
    assert restored.query("SELECT a FROM t ORDER BY a") == [["one"], [None]]
    assert restored.query("SELECT 1, '', E'a\\nb', NULL, 'N', true;") == [["1", "", "a\nb", None, "N", "t"]]
    assert restored.query("SELECT 1 WHERE false") == []
    assert restored.query("SELECT ''") == [[""]]
    assert restored.query("SELECT NULL") == [[None]]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES ('x')",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE x ()",
        "SELECT nextval('s')",
        "COMMIT; DROP TABLE t",
        "SET TRANSACTION READ WRITE; DELETE FROM t",
        "WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x",
        "SELECT lo_create(0)",
        "COPY t TO PROGRAM 'true'",
        "\\! touch x",
        "SELECT 1 \\g x",
        "SELECT nothing",
        "DO $$ BEGIN DELETE FROM t; END $$",
    ],
)
def test_a_query_that_writes_fails(restored, sql):
    with pytest.raises(EngineError) as caught:
        restored.query(sql)
    assert caught.value.code == "query_failed"
    assert restored.counts() == {(None, "public.t"): 2}


def test_a_database_or_a_table_that_is_not_there(restored):
    with pytest.raises(EngineError, match="there is no table public.nothing"):
        restored.checksum("public.nothing")


# -- hostile dumps ------------------------------------------------------------------------------------------------


def do(words, *values):
    return "DO $$ BEGIN EXECUTE %s; END $$;\n" % " || ".join(
        "'%s'" % word.replace("'", "''") for word in (words,) + values
    )


# Each writes TRACE, reads /etc/passwd into a table, or makes itself more than it is.
HOSTILE = {
    "shell": "\\! touch TRACE\n",
    "shell behind white space": "  \\!touch TRACE\n",
    "shell behind a statement": "SELECT 1; \\! touch TRACE\n",
    "shell within a statement": "SELECT 1 \\! touch TRACE\n;\n",
    "copy from program": "COPY public.t FROM PROGRAM 'touch TRACE';\n",
    "copy to program": "COPY (SELECT 1) TO PROGRAM 'touch TRACE';\n",
    "copy from a file": "COPY public.t FROM '/etc/passwd';\n",
    "copy by the client": "\\copy public.t from program 'touch TRACE'\n",
    "copy of a file by the client": "\\copy public.t from /etc/passwd\n",
    "output to a program": "\\o |touch TRACE\nSELECT 1;\n",
    "output to a file": "\\o TRACE\nSELECT 1;\n",
    "backticks": "\\set x `touch TRACE`\n",
    "backticks in connect": "\\connect `touch TRACE`\n",
    "include": "\\i /etc/passwd\n",
    "gexec": "SELECT 'COPY public.t FROM PROGRAM ''touch TRACE''' \\gexec\n",
    "g with a program": "SELECT 1 \\g |touch TRACE\n",
    "gset and a variable": "SELECT 'x' AS prompt1 \\gset\n:x\n",
    "unrestrict": "\\unrestrict x\n\\! touch TRACE\n",
    "do: program": do("COPY public.t FROM PRO", "GRAM 'touch TRACE'"),
    "do: write a file": do("CO", "PY (SELECT 1) TO 'TRACE'"),
    "do: read a file": do("CO", "PY public.t FROM '/etc/passwd'"),
    "do: lo_import": do("SELECT lo_im", "port('/etc/passwd')"),
    "do: lo_export": do("SELECT lo_ex", "port(1, 'TRACE')"),
    "do: pg_read_file": do("INSERT INTO public.t SELECT pg_read_", "file('/etc/passwd')"),
    "do: role": do("CREATE ROLE evil SUPER", "USER"),
    "do: more rights": do("ALTER ROLE CURRENT_USER SUPER", "USER"),
    "do: database": do("ALTER DATA", "BASE postgres RENAME TO evil"),
    "do: machine code": do("CREATE FUNCTION public.f(cstring) RETURNS int LANG", "UAGE c AS 'libc', 'system'"),
    "do: be another": "DO $$ BEGIN EXECUTE format('SET SESSION AUTHO' || 'RIZATION %I', (SELECT rolname FROM pg_roles WHERE rolsuper LIMIT 1)); END $$;\n",
    "do: read passwords": do("INSERT INTO public.t SELECT passwd FROM pg_catalog.pg_sha", "dow"),
    "do: the role's option": "DO $$ BEGIN PERFORM set_config('role', (SELECT rolname FROM pg_roles WHERE rolsuper LIMIT 1), false); END $$;\n",
    "pg_read_file": "SELECT pg_read_file('/etc/passwd');\n",
    "lo_import": "SELECT lo_import('/etc/passwd');\n",
    "machine code": "CREATE FUNCTION public.f(cstring) RETURNS int LANGUAGE c AS 'libc', 'system';\n",
    "load": "LOAD '/tmp/x.so';\n",
    "alter system": "ALTER SYSTEM SET archive_command = 'touch TRACE';\n",
    "strings that only seem to end": "CREATE FUNCTION public.h() RETURNS text LANGUAGE sql AS $$ SELECT set_config('standard_conforming_strings',"
    " 'off', false) $$;\nSELECT public.h();\nSELECT '\\', '\n\\! touch TRACE\n', '';\n",
    "half a character": "SET client_encoding = 'SJIS';\nSELECT '\x83\\';\n\\! touch TRACE\n--';\n",
    "dblink": "SELECT public.dblink_connect('dbname=postgres');\n",
    "do: dblink": do("SELECT public.dblink_con", "nect('host=127.0.0.1 port=PORT dbname=x user=x password=x')"),
    "do: a foreign table": "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port 'PORT');\n"
    "CREATE FOREIGN TABLE public.ft (a int) SERVER s;\nDO $$ BEGIN EXECUTE 'CREATE USER MAP' || 'PING FOR CURRENT_USER"
    " SERVER s OPTIONS (user ''x'', password ''x'')'; PERFORM * FROM public.ft; END $$;\n",
    "do: a file as a table": "CREATE SERVER f FOREIGN DATA WRAPPER file_fdw;\n"
    + do("CREATE FOREIGN TABLE public.ff (a text) SERVER f OPTIONS (file", "name '/etc/passwd')")
    + "INSERT INTO public.t SELECT * FROM public.ff;\n",
    "an extension led astray": "CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\nCREATE EXTENSION hstore;\n",
}
EXTENSIONS = "CREATE EXTENSION dblink;\nCREATE EXTENSION postgres_fdw;\nCREATE EXTENSION file_fdw;\n"


@pytest.fixture(scope="module")
def victim():
    """One server for all hostile dumps: whatever one of them changes, the next look at it finds."""
    member = plain_job("").member
    member.details["extensions"] = ["dblink", "postgres_fdw", "file_fdw"]
    with drill(member=member) as engine:
        yield engine


class Ear:
    """Listens, and notes who comes."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]

    def heard(self):
        try:
            self.socket.accept()
            return True
        except TimeoutError:
            return False


def server_state(engine):
    admin = engine._host.admin
    return [
        admin.run("SELECT rolname, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles ORDER BY 1;\n", "postgres"),
        admin.run("SELECT oid, datname FROM pg_database WHERE datname !~ '^rbd_' ORDER BY 1;\n", "postgres"),
        admin.run("SELECT count(*) FROM pg_class;\n", "postgres"),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_dump_leaves_no_trace(victim, place, name):
    traces = place / "traces"
    traces.mkdir(exist_ok=True)
    traces.chmod(0o777)
    ear = Ear()
    text = SETTINGS + EXTENSIONS + "CREATE TABLE public.t (a text);\n" + HOSTILE[name]
    text = text.replace("TRACE", str(traces / "x")).replace("PORT", str(ear.port))
    before = server_state(victim)
    victim.databases.clear()
    with pytest.raises((EngineError, Damaged)) as caught:
        victim.restore(plain_job(text))
    assert caught.value.code in (
        "unsafe",
        "unsafe_statement",
        "unsupported",
        "restore_failed",
        "bad_structure",
        "open_statement",
    ), str(caught.value)
    assert os.listdir(traces) == []
    assert not ear.heard()
    ear.socket.close()
    assert server_state(victim) == before
    for database in victim.databases.values():
        for (table,) in victim._host.admin.run(
            "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace;\n",
            database,
        ):
            assert victim._host.admin.run(f"SELECT * FROM {table} LIMIT 1;\n", database) == []


@pytest.mark.parametrize(
    "words, label",
    [
        ("DROP DATABASE postgres;\n", "databases"),
        ("\\connect postgres\nCREATE TABLE public.evil (a int);\n", None),
        ("CREATE ROLE evil SUPERUSER;\n", "roles"),
        ("SET SESSION AUTHORIZATION postgres;\n", "roles"),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f();\n", "event triggers"),
        ("CREATE TABLESPACE evil LOCATION '/tmp';\n", "tablespaces"),
    ],
)
def test_what_belongs_to_the_server_is_left_out(victim, words, label):
    before = server_state(victim)
    victim.databases.clear()
    victim.restore(plain_job(TABLE + words))
    assert server_state(victim) == before
    assert label is None or any(text.startswith(label) for text in victim.left_out)


def test_another_database_of_the_dump_is_not_that_of_the_server(victim):
    victim.databases.clear()
    victim.restore(
        plain_job(
            TABLE + "\\connect postgres\nCREATE TABLE public.evil (a int);\nINSERT INTO public.evil VALUES (1);\n"
        )
    )
    assert victim.counts() == {(None, "public.t"): 0, ("postgres", "public.evil"): 1}
    assert victim._host.admin.run("SELECT count(*) FROM pg_class WHERE relname = 'evil';\n", "postgres") == [["0"]]


def test_an_extension_that_the_server_lacks_is_named(victim):
    victim.databases.clear()
    with pytest.raises(EngineError, match="the extension nowhere_to_be_found") as caught:
        victim.restore(plain_job(SETTINGS + "CREATE EXTENSION nowhere_to_be_found;\n"))
    assert caught.value.code == "no_engine"


def test_a_hostile_archive(source, version, tmp_path):
    """pg_restore sends what the archive says: the role is what keeps it harmless."""
    path = source.dump(tmp_path / "x", "emptydb", "-Fc")
    source.sql("CREATE TABLE t (a text)", "emptydb")
    try:
        source.dump(path, "emptydb", "-Fc")
    finally:
        source.sql("DROP TABLE t", "emptydb")
    content = path.read_bytes()
    wanted, evil = b"COPY public.t (a) FROM stdin;\n", b"COPY t FROM '/etc/passwd';    \n"
    assert wanted in content and len(evil) >= len(wanted)
    path.write_bytes(content.replace(wanted, evil[: len(wanted) - 2] + b" \n"))
    job = other_job(path, "pg_dump-custom", version)
    with drill(member=job.member) as engine:
        with pytest.raises(EngineError) as caught:
            engine.restore(job)
        assert caught.value.code in ("unsafe", "restore_failed")


# -- things that go wrong -----------------------------------------------------------------------------------------


def rows(count, width=100):
    """A dump in pieces, of so many rows."""
    yield (TABLE + "COPY public.t (a) FROM stdin;\n").encode()
    for _number in range(count // 1000):
        yield (b"x" * width + b"\n") * 1000
    yield b"\\.\n"


def streamed(job, pieces):
    job.open = lambda: Bytes(pieces=pieces)
    return job


def test_the_server_is_killed_in_the_middle():
    with drill() as engine:
        ((process, _note, _log),) = engine.scratch._servers

        def pieces():
            for number, piece in enumerate(rows(400000)):
                if number == 100:
                    os.kill(process.pid, signal.SIGKILL)
                yield piece

        with pytest.raises(EngineError) as caught:
            engine.restore(streamed(plain_job(""), pieces()))
        assert caught.value.code == "server_died"


def test_damage_in_the_middle_stops_the_restore_and_is_told_as_it_is():
    def pieces():
        for number, piece in enumerate(rows(100000)):
            if number == 50:
                raise Damaged("bad_checksum", "a CRC does not fit", 4711)
            yield piece

    with drill() as engine:
        with pytest.raises(Damaged, match="a CRC does not fit"):
            engine.restore(streamed(plain_job(""), pieces()))


def test_a_statement_that_fails_stops_the_restore():
    with drill() as engine:
        with pytest.raises(EngineError, match="does not exist") as caught:
            engine.restore(plain_job(TABLE + "INSERT INTO public.nowhere VALUES (1);\nCREATE TABLE public.later ();\n"))
        assert caught.value.code == "restore_failed"
        (database,) = engine.databases.values()
        assert engine._host.admin.run("SELECT relname FROM pg_class WHERE relname = 'later';\n", database) == []


@contextmanager
def small_disk(place):
    """A folder in which not much can be written. Only root can mount one; for others, files must stay small."""
    folder = place / "small"
    folder.mkdir()
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "tmpfs", folder], check=True)
        yield folder, "no_space"
        subprocess.run(["umount", folder], check=True)
    else:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 20, before[1]))
        yield folder, "restore_failed"
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    folder.rmdir()


def test_the_disk_is_full_in_the_middle(place):
    with small_disk(place) as (folder, code):
        with drill(str(folder), memory_mb=32) as engine:
            with pytest.raises(EngineError) as caught:
                engine.restore(streamed(plain_job(""), rows(2000000)))
            assert caught.value.code == code, caught.value.message
        assert os.listdir(folder) == []


SLOW = """
import os, pwd, signal, sys, time
sys.path[:0] = %r
from postgresql_source import SERVER_USER, plain_job
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes
from ansible_collections.restorable.backups.plugins.module_utils._engines import Scratch
from ansible_collections.restorable.backups.plugins.module_utils._engines.postgresql import PostgreSQL

def end(*_about):
    raise SystemExit("ended")

signal.signal(signal.SIGTERM, end)
scratch = Scratch.create(sys.argv[1], SERVER_USER)
engine = PostgreSQL(scratch, {"login": eval(sys.argv[2])})
def pieces():
    yield b"CREATE TABLE public.t (a text);\\nCOPY public.t (a) FROM stdin;\\n"
    yield b"x\\n" * 1000
    print(scratch.path, [process.pid for process, _note, _log in scratch._servers], *scratch._databases, sep="|", flush=True)
    while True:
        time.sleep(0.05)
        yield b"x\\n" * 1000
try:
    job = plain_job("")
    job.open = lambda: Bytes(pieces=pieces())
    engine.choose(job.member)
    engine.start()
    engine.restore(job)
finally:
    engine.stop()
    scratch.close()
"""


def slow_drill(parent, login=None):
    """A drill in a process of its own that is in the middle of its restore: (process, its folder, its server's numbers)."""
    script = SLOW % ([str(Path(__file__).parent)] + sys.path,)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(parent), repr(login)], stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline().strip()
    assert line, process.wait()
    path, servers, *databases = line.split("|")
    return process, path, json.loads(servers), databases


def gone(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_drill_that_is_killed_leaves_what_the_next_one_sweeps(place):
    process, path, servers, _databases = slow_drill(place)
    assert servers and working_in(path)
    process.kill()
    process.wait()
    gone(lambda: working_in(path))
    assert os.path.isdir(path)
    swept = Scratch.sweep(str(place))
    assert [one["path"] for one in swept] == [path]
    assert not os.path.exists(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_drill_that_is_told_to_end_cleans_up(place, number):
    process, path, _servers, _databases = slow_drill(place)
    process.send_signal(number)
    assert process.wait(60) != 0
    assert not os.path.exists(path)
    assert not working_in(path)


def test_a_drill_that_lives_is_not_swept(place):
    process, path, _servers, _databases = slow_drill(place)
    try:
        assert Scratch.sweep(str(place)) == []
        assert os.path.isdir(path) and working_in(path)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def as_ordinary_user(work):
    """Run ``work`` in a child that is nobody; what it gives, as text."""
    if os.geteuid() != 0:
        return repr(work())
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            user = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os.environ["HOME"] = "/"
            os.write(writing, repr(work()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as stream:
        return stream.read()


def test_an_ordinary_user_drills_as_himself():
    def work():
        scratch = Scratch.create(None, None)
        engine = PostgreSQL(scratch, {})
        try:
            job = plain_job(TABLE + "COPY public.t (a) FROM stdin;\nx\n\\.\n")
            engine.choose(job.member)
            engine.start()
            engine.restore(job)
            return engine.counts(), os.stat(scratch.path).st_mode & 0o777, engine.query("SELECT a FROM t")
        finally:
            engine.stop()
            scratch.close()

    assert as_ordinary_user(work) == repr(({(None, "public.t"): 1}, 0o700, [["x"]]))


def test_programs_that_the_servers_user_cannot_reach_are_copied(place, source):
    hidden = place / "hidden"
    (hidden / "pg" / "bin").mkdir(parents=True)
    shutil.copy(source.installation.program("postgres"), hidden / "pg" / "bin")
    (hidden / "pg" / "share").mkdir()
    hidden.chmod(0o700)
    try:
        scratch = Scratch.create(None, SERVER_USER)
        try:
            copied = scratch.programs(str(hidden / "pg" / "bin"))
            # An ordinary user's servers run as himself, and reach what he reaches.
            assert copied.startswith(scratch.path if SERVER_USER else str(hidden))
            assert "PostgreSQL" in scratch.run([os.path.join(copied, "postgres"), "--version"])
        finally:
            scratch.close()
        assert not os.path.exists(scratch.path)
    finally:
        shutil.rmtree(hidden)


# -- an existing server -------------------------------------------------------------------------------------------


def server_names(source):
    return source.sql("SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles ORDER BY 1").splitlines()


def test_an_existing_server_gets_a_database_for_the_time_of_the_drill(source, live, tmp_path):
    job = read_job(source.dump(tmp_path / "rich.sql", "rich"))
    before = server_names(source)
    with drill(member=job.member, login=source.place) as engine:
        engine.restore(job)
        assert engine.counts() == NAMELESS
        assert_same_content(engine, live, "rich")
        assert len(server_names(source)) == len(before) + 2
        with pytest.raises(EngineError, match="read-only|permission denied"):
            engine.query("DELETE FROM app.users")
    assert server_names(source) == before


@pytest.fixture
def user(source):
    """Makes a login for the source's server."""
    made = []

    def make(words):
        made.append("login%d" % len(made))
        source.sql(f"CREATE ROLE {made[-1]} LOGIN {words} PASSWORD 'it''s: \\x'")
        return dict(source.place, user=made[-1], password="it's: \\x", database="postgres")

    yield make
    for name in made:
        source.sql(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize("words", ["CREATEROLE CREATEDB", "CREATEDB"])
def test_a_login_that_is_no_superuser(source, user, words):
    login = user(words)
    before = server_names(source)
    with drill(login=login) as engine:
        engine.restore(plain_job(TABLE + "CREATE EXTENSION pgcrypto;\nCOPY public.t (a) FROM stdin;\nx\n\\.\n"))
        assert engine.counts() == {(None, "public.t"): 1}
    assert server_names(source) == before


def test_logins_that_will_not_do(source, user):
    with pytest.raises(EngineError, match="may not create databases") as caught:
        with drill(login=user("")):
            pass
    assert caught.value.code == "bad_option"
    login = user("CREATEDB")
    source.sql(f"CREATE SCHEMA precious AUTHORIZATION {login['user']}")
    with pytest.raises(EngineError, match="owns other things") as caught:
        with drill(login=login):
            pass
    assert caught.value.code == "unsafe"


def test_a_hostile_dump_on_an_existing_server(source):
    before = server_names(source)
    with drill(login=source.place) as engine:
        with pytest.raises(EngineError) as caught:
            engine.restore(plain_job(TABLE + do("CREATE ROLE evil SUPER", "USER")))
        assert caught.value.code == "unsafe"
    assert server_names(source) == before


def test_what_a_killed_drill_left_on_an_existing_server_is_dropped_by_the_next(source, place):
    before = server_names(source)
    process, path, _servers, databases = slow_drill(place, source.place)
    assert databases
    process.kill()
    process.wait()
    assert len(server_names(source)) == len(before) + 2
    Scratch.sweep(str(place))
    assert os.path.isdir(path), "its marker knows what is left on the server"
    with drill(str(place), login=source.place):
        assert server_names(source) == before
    assert not os.path.exists(path)


# -- physical backups ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def physical(source, place):
    """A server with a tablespace, as tars."""
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    if SERVER_USER:
        os.chown(elsewhere, SERVER_USER.pw_uid, SERVER_USER.pw_gid)
    source.sql(f"CREATE TABLESPACE elsewhere LOCATION '{elsewhere}'")
    source.sql("CREATE TABLE far TABLESPACE elsewhere AS SELECT generate_series(1, 77) AS a", "emptydb")
    source.sql(f"ALTER SYSTEM SET archive_command = 'touch {place}/obeyed'")
    target = place / "tars"
    source.client("pg_basebackup", "-D", target, "-Ft", "-z", "-X", "stream", "-c", "fast")
    source.sql("DROP TABLE far", "emptydb")
    source.sql("DROP TABLESPACE elsewhere")
    source.sql("ALTER SYSTEM RESET archive_command")
    return target


def test_a_physical_backup(physical, version, place):
    job = other_job(physical, "pg_basebackup", version)
    with drill(member=job.member) as engine:
        engine.restore(job)
        counts = engine.counts()
        assert {name: count for (database, name), count in counts.items() if database == "rich"} == dict(
            RICH_COUNTS, **{"public.ul": None}
        ), "what was not logged is not in a physical backup"
        assert counts["emptydb", "public.far"] == 77
        assert engine.query("SELECT sum(a) FROM far", "emptydb") == [["3003"]]
        with pytest.raises(EngineError):
            engine.query("DELETE FROM far", "emptydb")
    assert not (place / "obeyed").exists()


def test_a_physical_backup_without_its_wal(source, place):
    target = place / "no-wal"
    source.client("pg_basebackup", "-D", target, "-Ft", "-X", "none", "-c", "fast")
    (told,) = drilled(target, source, "rich")["violations"]
    assert (told["code"], told["observed"]) == ("restore_failed", "unsupported") and "-X stream" in told["message"]


def test_what_psql_tells_before_its_error_is_not_the_error(source):
    script = TABLE + "DO $$ BEGIN RAISE WARNING 'besides' USING DETAIL = 'more', HINT = 'most'; END $$;\nSELECT 1 / 0;\n"
    with drill() as engine, pytest.raises(EngineError) as caught:
        engine.restore(plain_job(script))
    assert "division by zero" in caught.value.message
    assert not [word for word in ("besides", "more", "most", "WARNING") if word in caught.value.message]


def test_a_physical_backup_as_a_folder(source, version, place):
    target = place / "folder"
    source.client("pg_basebackup", "-D", target, "-Fp", "-X", "stream", "-c", "fast")
    job = other_job(target, "pg_basebackup", version)
    with drill(member=job.member) as engine:
        engine.restore(job)
        assert engine.counts()["rich", "app.users"] == 1000


def test_a_physical_backup_that_is_damaged(source, version, place):
    target = place / "damaged"
    source.client("pg_basebackup", "-D", target, "-Fp", "-X", "stream", "-c", "fast")
    victim = next(path for path in sorted((target / "base").glob("*/[0-9]*")) if path.stat().st_size > 8192)
    content = bytearray(victim.read_bytes())
    content[5000] ^= 1
    victim.write_bytes(content)
    job = other_job(target, "pg_basebackup", version)
    with drill(member=job.member) as engine:
        with pytest.raises(EngineError, match=victim.name) as caught:
            engine.restore(job)
        assert caught.value.code == "restore_failed"


# -- choice of programs -------------------------------------------------------------------------------------------


def test_a_dump_that_is_newer_than_every_server():
    member = plain_job("").member
    member.server_version = "99.1"
    with pytest.raises(EngineError, match="of PostgreSQL 99.1, newer than every PostgreSQL on this host") as caught:
        with drill(member=member):
            pass
    assert caught.value.code == "engine_too_old"


def test_a_physical_backup_of_another_version(source):
    with pytest.raises(EngineError, match="starts with that version only"):
        with drill(member=other_job("/x", "pg_basebackup", "9.4").member):
            pass


def test_no_programs_at_all(monkeypatch):
    monkeypatch.setattr(engine_module, "installations", lambda *_about: [])
    with pytest.raises(EngineError, match="install postgresql") as caught:
        with drill():
            pass
    assert caught.value.code == "no_engine"
