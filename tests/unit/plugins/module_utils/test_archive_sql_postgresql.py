# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of PostgreSQL: rows are counted exactly, damage is noticed, and nothing that psql would run is taken for data."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import _pg_statements, sql_mysql, sql_postgresql
from ansible_collections.restorable.backups.plugins.module_utils._archive._pg_rows import CopyRows
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils import sql_samples as samples
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.archive_reading import pieces_of
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.sql_samples import IN_POSTGRESQL

HEAD, TAIL = IN_POSTGRESQL.head, IN_POSTGRESQL.tail
dump, read, codes, rows = IN_POSTGRESQL.dump, IN_POSTGRESQL.read, IN_POSTGRESQL.codes, IN_POSTGRESQL.rows
statements, kinds = IN_POSTGRESQL.statements, IN_POSTGRESQL.kinds
COUNTS = {"public.items": 4, "public.order": 2}


@pytest.mark.parametrize("text", [samples.POSTGRESQL, samples.WITH_INSERTS], ids=["copy", "inserts"])
def test_a_dump_of_the_real_tool(text):
    member, problems = read(text)
    assert problems == []
    assert samples.rows(member) == COUNTS
    assert (member.format, member.engine, member.tool, member.encoding) == (
        "pg_dump-plain",
        "postgresql",
        "pg_dump",
        "UTF8",
    )
    assert member.tool_version == member.server_version == "15.18 (Debian 15.18-0+deb12u1)"
    assert member.start_mark == "-- PostgreSQL database dump"
    assert member.end_mark == "-- PostgreSQL database dump complete"
    assert member.details["without_data"] == [] and not member.details["cluster"]


@pytest.mark.parametrize("text", [samples.POSTGRESQL, samples.WITH_INSERTS], ids=["copy", "inserts"])
def test_no_end_that_comes_too_early_goes_unnoticed(text):
    # What is left of the empty lines at the end holds nothing.
    whole = len(text.rstrip(b"\n"))
    for end in [
        *range(0, whole - 900, 29),
        *range(whole - 900, whole - 300, 3),
        *range(whole - 300, whole - 20, 17),
    ] + [whole - 5, whole]:
        assert read(text[:end])[1], "cut to %d bytes" % end


def test_every_tab_and_line_end_of_copied_rows_matters():
    begin = samples.POSTGRESQL.index(b"1\tplain")
    end = samples.POSTGRESQL.index(b"\\.\n", begin)
    for at in range(begin, end):
        if samples.POSTGRESQL[at : at + 1] in (b"\t", b"\n"):
            for bit in (0, 2, 7):
                changed = bytearray(samples.POSTGRESQL)
                changed[at] ^= 1 << bit
                assert read(bytes(changed))[1], (at, bit)


COPY = b"COPY public.t (a, b, c) FROM stdin;\n%s\\.\n"


@pytest.mark.parametrize(
    "data, number",
    [
        (b"", 0),
        (b"1\t2\t3\n", 1),
        (b"1\t\\N\t\n\\N\t\\N\t\\N\n", 2),
        (b"a\\\\\tb\\tb\t\\\\.\n\\b\\f\\n\\r\\v\t\xc3\xa9\t\\\\\\\\N\n", 2),
        (b"a\tb\tc\n" * 50000, 50000),
    ],
)
def test_copied_rows(data, number):
    assert rows(dump(COPY % data)) == {"public.t": number}


@pytest.mark.parametrize(
    "data",
    [
        b"1\t2\n",
        b"1\t2\t3\t4\n",
        b"1\t2\t3\n\n",
        b"1\t2\n1\t2\t3\t4\n",
        b"1\t2\t3\n" * 30000 + b"1\t2\n1\t2\t3\t4\n" + b"1\t2\t3\n" * 30000,
    ],
)
def test_rows_with_other_columns(data):
    member, problems = read(dump(COPY % data))
    assert [problem["code"] for problem in problems] == ["wrong_rows"]
    assert problems[0]["offset"] >= len(HEAD)
    assert samples.rows(member) == {"public.t": data.count(b"\n")}


@pytest.mark.parametrize("value", [b"C:\\dir", b"x\\", b"\\.x", b"C:\\New", b"\\x41"])
def test_backslashes_that_pg_dump_does_not_write(value):
    for filler in (0, 30000):
        text = dump(COPY % (b"1\t\\N\t3\n" * filler + b"1\t2\t" + value + b"\n" + b"1\t\\\\\t3\n" * filler))
        assert codes(text) == ["bad_structure"], filler


def test_a_backslash_between_blocks_is_whole(monkeypatch):
    data = b"\\\\N\t\\N\ta\\\\\\\\b\n" * 40
    for size in range(3, 40):
        samples.small_blocks(monkeypatch, size)
        assert rows(dump(COPY % data)) == {"public.t": 40}


def test_tables_of_one_column_and_of_none():
    text = b"COPY public.one (v) FROM stdin;\n\\N\n\n\\\\.\n\\.\nCOPY public.none  FROM stdin;\n\n\n\\.\n"
    assert rows(dump(text)) == {"public.one": 3, "public.none": 2}
    assert codes(dump(b"COPY public.none  FROM stdin;\nx\n\\.\n")) == ["wrong_rows"]


def test_names():
    text = b'COPY "We""ird"."a.b (c)" ("x", "y,z", "(") FROM stdin;\n1\t2\t3\n\\.\n'
    assert rows(dump(text)) == {'We"ird.a.b (c)': 1}
    text = b"SET search_path = sales, pg_catalog;\nCOPY Things (a) FROM stdin;\n1\n\\.\n"
    assert rows(dump(text)) == {"sales.things": 1}
    text = HEAD.replace(b"UTF8", b"LATIN1") + b'COPY public."gr\xfc\xdfe" (a) FROM stdin;\n\xe9\n\\.\n' + TAIL
    assert rows(text) == {"public.gr\xfc\xdfe": 1}


def test_line_ends_of_windows():
    assert rows(samples.POSTGRESQL.replace(b"\n", b"\r\n")) == COUNTS


def test_other_forms_of_rows():
    text = (
        b"CREATE TABLE public.t (\n    a integer,\n    b text\n);\n\n"
        b"INSERT INTO public.t VALUES\n\t(1, 'a'),\n\t(2, '),\n\t('),\n\t(3, 'it''s');\n"
        b"INSERT INTO public.t (a, \"b\") OVERRIDING SYSTEM VALUE VALUES (4, E'\\'),(') ON CONFLICT DO NOTHING;\n"
        b"INSERT INTO public.t VALUES (5, $$'),('$$);\nINSERT INTO public.t VALUES (B'101', ARRAY['a', 'b']);\n"
        b"INSERT INTO public.n DEFAULT VALUES;\nINSERT INTO public.n DEFAULT VALUES;\n"
    )
    member, problems = read(dump(text))
    assert samples.rows(member) == {"public.t": 6, "public.n": 2}
    assert [problem["message"] for problem in problems] == ["rows for a table that is not created: public.n"]
    assert codes(dump(b"INSERT INTO public.t VALUES (1, 2);\nINSERT INTO public.t VALUES (1);\n")) == ["wrong_rows"]
    assert codes(dump(b"INSERT INTO public.t VALUES (1, 2):\n\nSET a = 1;\n")) == ["bad_structure"]


def test_tables_that_get_no_rows():
    text = (
        b"CREATE TABLE public.a (\n    x integer\n);\n\nCREATE TABLE public.p (\n    x integer\n)\nPARTITION BY LIST (x);\n\n"
        b'CREATE FOREIGN TABLE public.f (\n    x integer\n)\nSERVER s;\n\nCREATE UNLOGGED TABLE IF NOT EXISTS public."B" (\n);\n'
    )
    member, problems = read(dump(text))
    assert problems == []
    assert samples.rows(member) == {"public.a": 0, "public.B": 0}
    assert member.details["partitioned"] == ["public.p"]
    assert member.details["without_data"] == ["public.B", "public.a"]


def test_rows_that_are_announced_and_missing():
    gone = samples.POSTGRESQL.replace(b'COPY public."order" (v) FROM stdin;\none\n\\N\n\\.\n', b"")
    assert codes(gone) == ["missing_table_data"]
    assert codes(samples.POSTGRESQL.replace(b"CREATE TABLE public.items", b"CREATE TABLE public.itemz")) == [
        "bad_structure"
    ]


def test_what_else_is_in_it():
    text = (
        b"CREATE ROLE app;\nCREATE USER MAPPING FOR app SERVER s;\nCREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;\n"
        b"CREATE SCHEMA sales;\nSELECT pg_catalog.lo_create('4711');\nBEGIN;\nSELECT pg_catalog.lo_open('4711', 131072);\n"
        b"SELECT pg_catalog.lowrite(0, '\\x00ff');\nSELECT pg_catalog.lo_close(0);\nCOMMIT;\n"
        b"SELECT pg_catalog.setval('sales.s', 42, true);\n"
    )
    member, problems = read(dump(text))
    assert problems == []
    details = member.details
    assert (details["roles"], details["extensions"], details["schemas"]) == (["app"], ["hstore"], ["sales"])
    assert (details["large_objects"], details["statements"]) == (1, 12)


CLUSTER = (
    b"--\n-- PostgreSQL database cluster dump\n--\n\n\\restrict abc\n\nSET client_encoding = 'UTF8';\nCREATE ROLE app;\n\n\\unrestrict abc\n\n"
    b"\\connect template1\n\n"
    + dump(b"")
    + b"\n\\encoding SQL_ASCII\n\\connect -reuse-previous=on \"dbname='we ird'\"\n\n"
    + dump(b"COPY public.t (a) FROM stdin;\n1\n\\.\n")
    + b'\n\\connect "Shop"\n\n'
    + dump(b"COPY public.t (a) FROM stdin;\n1\n2\n\\.\n")
    + b"\n--\n-- PostgreSQL database cluster dump complete\n--\n\n"
)


def test_many_databases():
    member, problems = read(CLUSTER)
    assert problems == []
    assert samples.rows(member) == {"we ird:public.t": 1, "Shop:public.t": 2}
    assert (member.tool, member.database, member.details["cluster"]) == ("pg_dumpall", None, True)
    assert member.details["databases"] == ["Shop", "template1", "we ird"]
    assert member.details["commands"] == ["connect", "encoding", "restrict", "unrestrict"]
    assert [_pg_statements.connected(piece) for _kind, piece in kinds(CLUSTER) if b"\\connect" in piece] == [
        "template1",
        "we ird",
        "Shop",
    ]
    part = CLUSTER.replace(TAIL, b"", 1)
    assert codes(part) == ["incomplete"]
    assert codes(CLUSTER[: CLUSTER.rindex(b"--\n-- PostgreSQL database cluster")]) == ["incomplete"]


@pytest.mark.parametrize(
    "text, code",
    [
        (b"", "empty"),
        (b"\n \n", "unknown_format"),
        (b"<html><body>Access denied</body></html>", "unknown_format"),
        (samples.POSTGRESQL + samples.POSTGRESQL, "duplicate"),
        (samples.POSTGRESQL + b"SELECT 1;\n", "trailing_garbage"),
        (samples.POSTGRESQL + b"\\connect other\n", "trailing_garbage"),
        (samples.POSTGRESQL + b"pg_dump: error: server closed the connection\n", "tool_message"),
        (samples.POSTGRESQL + b"Killed\n", "tool_message"),
        (
            samples.POSTGRESQL.replace(b"COPY public.items", b"pg_dump: error: query failed: x;\nCOPY public.items"),
            "tool_message",
        ),
        (samples.POSTGRESQL.replace(b"na\xc3\xafve", b"na\xefve"), "bad_encoding"),
        (samples.POSTGRESQL.replace(b"plain", b"pl\0in"), "bad_encoding"),
        (samples.POSTGRESQL.replace(b"\\.\n", b"", 2), "open_copy"),
        (samples.POSTGRESQL.replace(b"$$select 1;$$", b"$$select 1;"), "open_statement"),
        (samples.WITH_INSERTS.replace(b"'plain'", b"'plain"), "open_statement"),
        (
            samples.POSTGRESQL.replace(
                b"ALTER TABLE public.v OWNER TO postgres;", b"ALTER TABLE public.v OWNER TO postgres"
            ),
            "bad_structure",
        ),
        (samples.POSTGRESQL.replace(b"SET lock_timeout", b"SEX lock_timeout"), "bad_structure"),
        (samples.POSTGRESQL.replace(b"-- PostgreSQL database dump\n", b"-- \n"), "bad_structure"),
        (dump(b"COPY public.t (a) FROM stdin WITH BINARY;\nPGCOPY\n"), "unsupported"),
        (HEAD.replace(b"UTF8", b"SJIS") + TAIL, "unsupported"),
    ],
)
def test_damage(text, code):
    assert code in codes(text)


def test_what_is_not_looked_at_is_not_judged():
    """Behind the statement that cannot be read stands the end of the dump."""
    (problem,) = read(HEAD.replace(b"UTF8", b"SJIS") + TAIL)[1]
    assert problem["code"] == "unsupported" and "--encoding=UTF8" in problem["message"]


RESTRICTED = samples.POSTGRESQL.replace(b"SET statement_timeout", b"\\restrict a1B2\n\nSET statement_timeout").replace(
    b"dump complete\n--\n\n", b"dump complete\n--\n\n\\unrestrict a1B2\n"
)


def test_the_key_at_the_end_is_the_one_of_the_beginning():
    assert codes(RESTRICTED) == []
    assert codes(RESTRICTED.replace(b"unrestrict a1B2", b"unrestrict a1B3")) == ["bad_structure"]
    assert codes(RESTRICTED.replace(b"\\unrestrict a1B2\n", b"")) == ["incomplete"]


def test_where_the_encoding_is_wrong():
    text = samples.POSTGRESQL.replace(b"na\xc3\xafve", b"na\xefve")
    assert read(text)[1][0]["offset"] == text.index(b"\xefve")
    many = COPY % (b"a\t\xe2\x82\xac\t\xf0\x9f\x92\xbe\n" * 40000)
    assert rows(dump(many)) == {"public.t": 40000}


def test_the_line_that_backupman_adds_is_no_garbage():
    assert rows(samples.POSTGRESQL + b"-- Dump completed on 2026-03-01 02:00:00\n") == COUNTS


@pytest.mark.parametrize(
    "statement",
    [
        b"SELECT ';' || \"a;b\" || $$;$$ || $x$;$$;$x$ || E'\\';' /* ; /* ; */ ; */ -- ;\n;",
        b"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;",
        b"CREATE OR REPLACE PROCEDURE f() BEGIN ATOMIC SELECT 1; END;",
        b"CREATE RULE r AS ON DELETE TO t DO INSTEAD (SELECT 1; SELECT 2;);",
        b"SELECT a$b$;",
        b"SELECT 'C:\\';",
        b"SELECT $1;",
        b"SELECT U&'d\\0061t\\' ;",
        b"CREATE TABLE begin (x text DEFAULT 'end;');",
    ],
)
def test_one_statement_is_one(statement):
    text = b"SET a = 1;\n" + statement + b"\nSELECT 2;\n"
    assert kinds(text) == [("sql", b"SET a = 1;"), ("sql", statement), ("sql", b"SELECT 2;")]


def test_strings_of_a_server_without_standard_strings():
    text = b"SET standard_conforming_strings = off;\nINSERT INTO t VALUES ('it\\'s; ', 1);\nSELECT 1;\n"
    items = _pg_statements.statements(Bytes(text))
    assert len([piece for kind, piece, _offset in items if kind == "sql"]) == 3
    assert items.standard_strings is False
    assert items.guard() == b"SET standard_conforming_strings = off; SET client_encoding = 'UTF8';\n"
    assert rows(text) == {"public.t": 1}


def test_what_depends_on_settings():
    assert _pg_statements.depends_on_settings(b"SELECT 'C:\\'")
    assert _pg_statements.depends_on_settings("SELECT '\xe9'".encode())
    assert not _pg_statements.depends_on_settings(b"SELECT 'a'")


HOSTILE = [
    b"\\! touch /tmp/x\n",
    b"SELECT 1 \\g |touch /tmp/x\n;\n",
    b"\\copy t from program 'id'\n",
    b"\\i /etc/passwd\n",
    b"\\set x `id`\n",
    b"\\connect x \\! id\n",
    b"\\connect `id`\n",
    b'\\connect "`id`"\n',
    b"\\restrict a \\! id\n",
    b"\\encoding UTF8\n",
    b"COPY t FROM PROGRAM 'id';\n",
    b"COPY t FROM '/etc/passwd';\n",
    b"copy/**/t/**/to '/tmp/x';\n",
    b"COPY (SELECT 1) TO PROGRAM 'id';\n",
    b"-- a\n/* b */ COPY t TO PROGRAM $$id$$;\n",
    b"DO $$ BEGIN EXECUTE 'COPY t FROM PROGRAM ''id'''; COPY t FROM PROGRAM 'id'; END $$;\n",
    b"SELECT pg_read_file('/etc/passwd');\n",
    b"SELECT pg_catalog . lo_import ('/etc/passwd');\n",
    b"INSERT INTO t VALUES (pg_read_file('/etc/passwd'));\n",
    b"SELECT * FROM dblink('host=x', 'SELECT 1');\n",
    b"LOAD '/tmp/x.so';\n",
    b"ALTER SYSTEM SET archive_command = 'id';\n",
    b"CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/tmp/x.so', 'f';\n",
    b"CREATE FUNCTION f() RETURNS int AS $$import os$$ LANGUAGE plpython3u;\n",
    b"CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p;\n",
    b"CREATE FOREIGN TABLE t (a text) SERVER s OPTIONS (program 'id');\n",
    b"COPY t FROM stdin; SELECT 1;\n\\! id\n\\.\n",
    b"SET standard_conforming_strings = DEFAULT;\n",
    b"RESET ALL;\n",
    b"ALTER DATABASE x SET standard_conforming_strings = off;\n",
    b"SELECT E'a'\n'b\\'; \\! id\n';\n",
    b"SELECT 1$a$ \\! id\n$a$;\n",
    b"SELECT 1e'\\' \\! id\n';\n",
    b"CREATE 1function x begin; COPY t FROM stdin;\n\\! id\n\\.\nend;\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_not_handed_on(text):
    IN_POSTGRESQL.refuse(text)


@pytest.mark.parametrize(
    "text",
    [
        b"COMMENT ON TABLE t IS '\\! id';\n",
        b"COPY t (a) FROM stdin;\nCOPY t FROM PROGRAM 'id';\n\\.\n",
        b"INSERT INTO t VALUES ('COPY t FROM PROGRAM ''id''; pg_read_file(1)');\n",
        b"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT pg_read_file('/etc/passwd')$$;\n",
        b"COPY t TO stdout;\n",
        b"CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false, slot_name = 's');\n",
    ],
)
def test_harmless_text_is_handed_on(text):
    assert statements(text)[1] is None
    assert read(text)[1] == []


def test_create_function_is_followed_as_psql_follows_it():
    # What psql takes for one statement is no place for the rows of a COPY.
    text = b"create 'x' function begin; COPY t FROM stdin;\n\\! id\n\\.\nend;\n"
    error = statements(text)[1]
    assert error is not None and error.code == "unsafe_statement"


def test_command():
    assert _pg_statements.command(b"-- a\n /* b /* c */ */ create\n  database -- x\n shop;").startswith(
        b"CREATE DATABASE "
    )
    assert _pg_statements.connected(b'\n\\connect "a ""b"""\n') == 'a "b"'
    assert _pg_statements.connected(b"SELECT 1;") is None


@pytest.mark.parametrize(
    "head, name, expected",
    [
        (samples.POSTGRESQL[:4096], "x", True),
        (CLUSTER[:4096], "x", True),
        (b"\xef\xbb\xbf" + samples.POSTGRESQL[:4096], "x", True),
        (samples.POSTGRESQL_INSERTS, "dump.sql", True),
        (b"SET statement_timeout = 0;\n", "x", True),
        (b"CREATE TABLE t (id int);\nINSERT INTO t VALUES (1);\n", "hand.sql", True),
        (b"CREATE TABLE t (id int);\n", "hand.txt", False),
        (samples.MYSQL[:4096], "x.sql", False),
        (samples.MYSQL[60:4096], "PostgreSQL.sql", False),
        (b"INSERT INTO `t` VALUES (1);\n", "x.sql", False),
        (b"PGDMP\x01\x0e\x00", "x.sql", False),
        (b"<?xml version='1.0'?>", "x.sql", False),
        (b"hello world\n", "x.sql", False),
        (b"", "x.sql", False),
    ],
)
def test_whose_text_it_is(head, name, expected):
    assert sql_postgresql.matches(head, name) is expected
    if expected:
        assert not sql_mysql.matches(head, name)


def test_text_by_hand():
    member, problems = read(b"create table t (a int);\ninsert into t values (1), (2);\n")
    assert problems == []
    assert samples.rows(member) == {"public.t": 2}
    assert (member.tool, member.start_mark) == (None, None)


@pytest.mark.parametrize("columns", [None, 2])
def test_a_first_row_longer_than_a_piece(columns):
    """Pairs of backslashes that pieces cut through are pairs all the same, also before it is known how wide rows are."""
    rows = b"1\tx" + b"\\\\" * 50 + b"\n2\t\\N\n"
    for size in (1, 2, 3, 7, 64):
        copied, offset = CopyRows(columns, strict=True), 0
        for piece in pieces_of(rows, size):
            copied.feed(piece, offset, bytes(byte for byte in piece if byte in b"\t\n\\"))
            offset += len(piece)
        assert (copied.rows, copied.columns, copied.wrong, copied.odd) == (2, 2, [], None)


def test_rows_that_are_loaded_through_the_root_of_partitions():
    text = (
        b"CREATE TABLE public.p (id int, k text)\nPARTITION BY LIST (k);\nCREATE TABLE public.p_a (id int, k text);\n"
        b"CREATE TABLE public.p_b (id int, k text);\nALTER TABLE ONLY public.p ATTACH PARTITION public.p_a FOR VALUES IN ('a');\n"
        b"ALTER TABLE ONLY public.p ATTACH PARTITION public.p_b DEFAULT;\n"
        b"-- load via partition root public.p\nCOPY public.p (id, k) FROM stdin;\n1\ta\n\\.\n\n\n"
        b"-- load via partition root public.p\nCOPY public.p (id, k) FROM stdin;\n2\tb\n\\.\n\n\n"
    )
    member, problems = IN_POSTGRESQL.read(IN_POSTGRESQL.dump(text))
    assert not problems
    assert member.tables == {(None, "public.p_a"): None, (None, "public.p_b"): None}
    result = member.to_result()
    assert [(table["name"], table["rows"]) for table in result["tables"]] == [("public.p", 2), ("public.p_a", None), ("public.p_b", None)]
    assert result["rows"] == 2 and result["details"]["partitions"] == {"public.p": ["public.p_a", "public.p_b"]}


def test_partitions_below_partitions():
    text = (
        b"CREATE TABLE public.p (i int)\nPARTITION BY LIST (i);\nCREATE TABLE public.q (i int)\nPARTITION BY LIST (i);\n"
        b"CREATE TABLE public.a (i int);\nCREATE TABLE public.b PARTITION OF public.p FOR VALUES IN (2);\n"
        b"ALTER TABLE ONLY public.p ATTACH PARTITION public.q DEFAULT;\n"
        b"ALTER TABLE ONLY public.q ATTACH PARTITION public.a FOR VALUES IN (1);\n"
    )
    member, problems = IN_POSTGRESQL.read(IN_POSTGRESQL.dump(text))
    assert not problems and set(member.tables) == {(None, "public.a"), (None, "public.b")}
    assert member.to_result()["details"]["partitions"] == {"public.p": ["public.b", "public.a"], "public.q": ["public.a"]}
    # The server refuses these; reading them must come to an end.
    around = text + b"ALTER TABLE ONLY public.q ATTACH PARTITION public.p DEFAULT;\n"
    assert IN_POSTGRESQL.read(IN_POSTGRESQL.dump(around))[0].to_result()["details"]["partitions"]["public.q"] == ["public.a", "public.b"]


@pytest.mark.parametrize(
    "encoding, text, is_utf8",
    [(b"SQL_ASCII", "\xe4".encode(), True), (b"SQL_ASCII", b"\xe4", False), (b"SQL_ASCII", b"a", True), (b"UTF8", "\xe4".encode(), None)],
)
def test_text_that_says_of_no_encoding_that_it_is_its_own(encoding, text, is_utf8):
    lines = b"SET client_encoding = '%s';\nCREATE TABLE public.t (a text);\nCOPY public.t (a) FROM stdin;\n%s\n\\.\n\n\n" % (encoding, text)
    member, problems = IN_POSTGRESQL.read(IN_POSTGRESQL.dump(lines))
    assert not problems and member.details["ascii_is_utf8"] is is_utf8


def test_another_database_of_the_same_dump_has_an_encoding():
    text = b"SET client_encoding = '%s';\nCREATE TABLE public.t%d (a text);\nCOPY public.t%d (a) FROM stdin;\n\xe4\n\\.\n\n\n"
    _member, problems = IN_POSTGRESQL.read(IN_POSTGRESQL.dump(text % (b"SQL_ASCII", 1, 1) + text % (b"UTF8", 2, 2)))
    assert [one["code"] for one in problems] == ["bad_encoding"]
