# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostgreSQL drills as far as they need no server: what of a dump is run, which programs fit, how answers are read."""

from __future__ import annotations

import os

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Member
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes
from ansible_collections.restorable.backups.plugins.module_utils._engines import _postgresql_dump as dump
from ansible_collections.restorable.backups.plugins.module_utils._engines import _postgresql_physical as physical
from ansible_collections.restorable.backups.plugins.module_utils._engines import _postgresql_server as server
from ansible_collections.restorable.backups.plugins.module_utils._engines import postgresql as engine
from ansible_collections.restorable.backups.plugins.module_utils._engines._base import EngineError, Installation
from ansible_collections.restorable.backups.plugins.module_utils._engines._postgresql_dump import Filter
from ansible_collections.restorable.backups.plugins.module_utils._engines.postgresql import PostgreSQL, Script

H = "rbd_h"


def judged(statement, helpers=H):
    return Filter().judge(statement, helpers)


# -- statements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement, label",
    [
        ("ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA y GRANT SELECT ON TABLES TO z;", "GRANT and REVOKE"),
        ("alter large object 16397\n  owner to app ;", "ownership"),
        ("CREATE ROLE app;", "roles"),
        ("ALTER USER app WITH SUPERUSER;", "roles"),
        ("DROP GROUP app;", "roles"),
        ("COMMENT ON ROLE app IS 'x';", "roles"),
        ("SET ROLE app;", "roles"),
        ("SET SESSION AUTHORIZATION 'app';", "roles"),
        ("SET LOCAL SESSION AUTHORIZATION app;", "roles"),
        ("RESET SESSION AUTHORIZATION;", "roles"),
        ("CREATE TABLESPACE fast LOCATION '/x';", "tablespaces"),
        ("SET default_tablespace = fast;", "tablespaces"),
        ("SET default_tablespace TO 'fast';", "tablespaces"),
        ("CREATE DATABASE shop;", "databases"),
        ("DROP DATABASE IF EXISTS shop;", "databases"),
        ("ALTER DATABASE shop SET work_mem TO '1MB';", "databases"),
        ("COMMENT ON DATABASE shop IS 'x';", "databases"),
        ("UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'template1';", "databases"),
        ("COMMENT ON EXTENSION hstore IS 'x';", "comments on extensions"),
        ("CREATE PUBLICATION p FOR ALL TABLES;", "publications"),
        ("ALTER PUBLICATION p ADD TABLE ONLY public.t;", "publications"),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p;", "subscriptions"),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();", "event triggers"),
        ("SECURITY LABEL ON TABLE t IS 'x';", "security labels"),
        ("CREATE USER MAPPING FOR app SERVER far OPTIONS (password 'x');", "user mappings"),
        ("CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;", "the language plpgsql"),
    ],
)
def test_what_belongs_to_the_server_is_left_out_and_counted(statement, label):
    chosen = Filter()
    assert chosen.judge(statement, H) is None
    assert dict(chosen.left_out) == {label: 1}


@pytest.mark.parametrize(
    "statement, instead, roles",
    [
        ("GRANT SELECT ON TABLE public.t TO app;", "SELECT 'public.t'::pg_catalog.regclass;\n", {"app"}),
        (
            'GRANT SELECT("on") ON TABLE public."o\'k" TO a, "b c" WITH GRANT OPTION;',
            "SELECT 'public.\"o''k\"'::pg_catalog.regclass;\n",
            {"a", "b c"},
        ),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC;", "SELECT 'public'::pg_catalog.regnamespace;\n", set()),
        ("ALTER TABLE public.t OWNER TO app;", "SELECT 'public.t'::pg_catalog.regclass;\n", {"app"}),
        ("ALTER TABLE ONLY public.t OWNER TO app;", "SELECT 'public.t'::pg_catalog.regclass;\n", {"app"}),
        # What is no name has to fail.
        ("ALTER TABLE pub,ic.t OWNER TO app;", "SELECT 'pub,ic.t'::pg_catalog.regclass;\n", {"app"}),
        ("ALTER TYPE public.t OWNER TO gr\xc3\xbcn;", "SELECT 'public.t'::pg_catalog.regtype;\n", {"grün"}),
        (
            'ALTER FUNCTION public.f(a integer, b text) OWNER TO "app user";',
            "ALTER FUNCTION public.f(a integer, b text) OWNER TO CURRENT_USER;\n",
            {"app user"},
        ),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA y GRANT SELECT ON TABLES TO z;", None, {"x", "z"}),
        ('GRANT ALL ON TABLE public."back\\slash" TO app;', None, {"app"}),
        ("GRANT app TO boss;", None, {"boss"}),
        # Its end is not seen.
        ("GRANT SELECT ON TABLE public.t TO app, ", None, set()),
    ],
)
def test_of_what_belongs_to_roles_only_the_presence_is_asked(statement, instead, roles):
    chosen = Filter()
    assert chosen.judge(statement, H) == instead
    assert chosen.roles == roles
    assert sum(chosen.left_out.values()) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SET default_tablespace = '';",
        "SET statement_timeout = 0;",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "CREATE TABLE public.grants (role text);",
        "CREATE TABLE public.t (\n  a text DEFAULT 'ALTER TABLE x OWNER TO y;'\n);",
        "ALTER TABLE ONLY public.t ADD CONSTRAINT c CHECK ((a <> ' OWNER TO x'::text));",
        "COMMENT ON TABLE public.t IS 'the OWNER TO be';",
        # What no server understands has to fail, and is not left out because it would have been.
        "ALTER VKEW public.cheap OWNER TO postgres;",
        "UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'a' OR true;",
        "UPDATE pg_catalog.pg_database SET datistemplate = fblse WHERE datname = 'template1';",
        "GRANT SELEKT ON TABLE public.t TO app;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT NO TABLES TO x;",
        "CREATE POLICY p ON public.t USING (true);",
        "CREATE POLICY p ON public.t TO PUBLIC USING (true);",
        "COMMENT ON SCHEMA app IS 'x';",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;",
        "CREATE TYPE public.user_role AS ENUM ('a');",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;",
        "ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;",
    ],
)
def test_what_a_database_consists_of_is_run_as_it_is(statement):
    chosen = Filter()
    assert chosen.judge(statement, H) == ""
    assert not chosen.left_out


@pytest.mark.parametrize(
    "statement, wanted",
    [
        ("CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA ext;", "SELECT rbd_h.extension('hstore', 'ext');\n"),
        ('CREATE EXTENSION "uuid-ossp" SCHEMA "My Schema";', "SELECT rbd_h.extension('uuid-ossp', 'My Schema');\n"),
        ("create extension HStore;", "SELECT rbd_h.extension('hstore', NULL);\n"),
        (
            "CREATE EXTENSION IF NOT EXISTS x WITH SCHEMA pg_catalog VERSION '1.0';",
            "SELECT rbd_h.extension('x', 'pg_catalog');\n",
        ),
        ('CREATE EXTENSION "it\'s";', "SELECT rbd_h.extension('it''s', NULL);\n"),
        ("CREATE FOREIGN DATA WRAPPER w HANDLER f VALIDATOR g;", "SELECT rbd_h.wrapper('w');\n"),
        ("CREATE SCHEMA app AUTHORIZATION owner;", "CREATE SCHEMA app;\n"),
        ("CREATE SCHEMA public;", "CREATE SCHEMA IF NOT EXISTS public;\n"),
        (
            'CREATE POLICY p ON app.t FOR SELECT TO "app user", other USING ((id > 0));',
            "CREATE POLICY p ON app.t FOR SELECT TO CURRENT_USER USING ((id > 0));",
        ),
        (
            'CREATE POLICY "to x" ON "T ""t"."x" AS RESTRICTIVE FOR ALL TO a WITH CHECK (true);',
            'CREATE POLICY "to x" ON "T ""t"."x" AS RESTRICTIVE FOR ALL TO CURRENT_USER WITH CHECK (true);',
        ),
    ],
)
def test_what_is_run_in_other_words(statement, wanted):
    assert judged(statement) == wanted


def test_without_helpers_the_role_does_what_it_may():
    assert judged("CREATE EXTENSION pgcrypto;", None) == ""


def test_a_name_with_a_backslash_is_refused():
    with pytest.raises(EngineError) as caught:
        judged('CREATE EXTENSION "a\\";')
    assert caught.value.code == "unsafe"


def test_cleaning_is_left_out_only_before_something_is_made():
    chosen = Filter()
    for statement in (
        "SET statement_timeout = 0;",
        "DROP TABLE public.t;",
        "ALTER TABLE ONLY public.t DROP CONSTRAINT t_pkey;",
        "ALTER TABLE public.t ALTER COLUMN id DROP DEFAULT;",
        "SELECT pg_catalog.lo_unlink('16397');",
        "DROP SCHEMA public;",
        "CREATE OR REPLACE VIEW public.v AS SELECT NULL::integer AS a;",
    ):
        chosen.judge(statement, H)
    assert chosen.left_out == {"removal of what is not there": 6}
    assert chosen.judge("CREATE TABLE public.t ();", H) == ""
    assert chosen.judge("DROP TABLE public.t;", H) == ""
    chosen.next_database(None)
    assert chosen.judge("DROP TABLE public.t;", H) is None


def test_how_the_dump_made_its_databases_is_kept():
    chosen = Filter()
    chosen.judge(
        "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'de_DE.UTF-8';",
        H,
    )
    chosen.judge(
        "CREATE DATABASE \"B\xc3\xbccher\" WITH TEMPLATE = template0 ENCODING = 'LATIN1' LC_COLLATE = 'C' LC_CTYPE = 'C';",
        H,
    )
    assert chosen.databases == {
        "shop": {"encoding": "UTF8", "locale": "de_DE.UTF-8"},
        "B\u00fccher": {"encoding": "LATIN1", "locale": "C"},
    }


# -- archives -----------------------------------------------------------------------------------------------------

LISTING = """;
; Archive created at 2026-01-01
;
3791; 1262 16870 DATABASE - rich postgres
3793; 0 0 DATABASE PROPERTIES - rich postgres
14; 2615 17305 SCHEMA - app app user
3794; 0 0 COMMENT - SCHEMA app app user
3795; 0 0 ACL - SCHEMA app app user
2; 3079 16884 EXTENSION - pgcrypto
3800; 0 0 COMMENT - EXTENSION pgcrypto
30; 1259 17001 TABLE app users app user
31; 0 17001 TABLE DATA app users app user
32; 3256 17003 POLICY app users pol app user
33; 0 0 COMMENT app POLICY users pol app user
34; 3256 17004 ROW SECURITY app users app user
35; 6104 17005 PUBLICATION - pub postgres
36; 6106 17006 PUBLICATION TABLE app pub users postgres
37; 1418 17007 USER MAPPING - USER MAPPING app user SERVER far postgres
38; 826 17008 DEFAULT ACL - DEFAULT PRIVILEGES FOR TABLES postgres
39; 1259 17009 TABLE SCHEMA odd app user
40; 0 0 SEQUENCE SET public sq postgres
41; 3466 17010 EVENT TRIGGER - et postgres
"""


def granted(*statements, databases=(None,)):
    chosen = Filter()
    for statement in statements:
        chosen.judge(statement)
    return chosen.grants.definitions(databases)


@pytest.mark.parametrize(
    "statements, texts",
    [
        (["GRANT SELECT ON TABLE public.t TO app;"], {"public.t to app": "SELECT"}),
        (
            ["GRANT SELECT,INSERT ON TABLE public.t TO app;", "GRANT UPDATE ON TABLE public.t TO app WITH GRANT OPTION;"],
            {"public.t to app": "INSERT, SELECT, UPDATE*"},
        ),
        (
            ['GRANT SELECT("of ""all"""),UPDATE(b) ON TABLE "S s".t TO a, "B b", PUBLIC GRANTED BY boss;'],
            {"S s.t to %s" % role: 'SELECT(of "all"), UPDATE(b)' for role in ("a", "B b", "PUBLIC")},
        ),
        (["GRANT ALL ON SEQUENCE public.s TO app;"], {"public.s to app": "SELECT, UPDATE, USAGE"}),
        (
            ["GRANT ALL ON TABLE public.t TO app;", "GRANT ALL(c) ON TABLE public.t TO b;", "GRANT MAINTAIN ON TABLE public.t TO c;"],
            {
                "public.t to app": "DELETE, INSERT, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE",
                "public.t to b": "INSERT(c), REFERENCES(c), SELECT(c), UPDATE(c)",
            },
        ),
        # Of tables to come. What an owner has is not told.
        (
            [
                "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO r WITH GRANT OPTION;",
                'ALTER DEFAULT PRIVILEGES FOR ROLE "b b" IN SCHEMA "S s" GRANT ALL ON SEQUENCES TO r,"b b";',
                "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT ALL ON FUNCTIONS TO r;",
            ],
            {"new tables of app to r": "SELECT*", "new sequences of b b in S s to r": "SELECT, UPDATE, USAGE"},
        ),
        # Made without, or of one who says not in which schema.
        (["GRANT USAGE ON SCHEMA app TO app;", "REVOKE ALL ON TABLE public.t FROM app;"], {None: None}),
        (["GRANT SELECT ON TABLE public.t TO app;", "GRANT SELECT ON TABLE t TO app;"], {None: None, "public.t to app": "SELECT"}),
    ],
)
def test_what_a_dump_grants(statements, texts):
    assert granted(*statements) == {(None, "grant", name): text for name, text in texts.items()}


def test_grants_belong_to_the_database_that_the_dump_is_connected_to():
    chosen = Filter()
    for name in ("shop", "crm"):
        chosen.next_database(name)
        chosen.judge("GRANT SELECT ON TABLE public.%s TO app;" % name)
    found = chosen.grants.definitions(["shop", "crm", "empty"])
    assert set(found) == {("shop", "grant", "public.shop to app"), ("crm", "grant", "public.crm to app"), ("empty", "grant", None)}


def test_a_table_of_contents_is_divided():
    first, middle, last, left_out = dump.divide_contents(LISTING)

    def numbers(lines):
        return [int(line.partition(";")[0]) for line in lines]

    assert numbers(first) == [14, 2]
    assert numbers(middle) == [3794, 30, 31, 34, 39, 40]
    assert numbers(last) == [3795, 32, 33, 38]
    assert left_out == {
        "publications": 2,
        "user mappings": 1,
        "event triggers": 1,
        "comments on extensions and the like": 1,
    }


@pytest.mark.parametrize(
    "version, knows",
    [
        ((18, 0), True),
        ((19,), True),
        ((17, 6), True),
        ((17, 5), False),
        ((16, 10), True),
        ((15, 13), False),
        ((14, 19), True),
        ((13, 22), True),
        ((13, 21), False),
        ((12, 99), False),
        ((9, 6), False),
        ((15,), False),
    ],
)
def test_which_psql_can_be_restricted(version, knows):
    assert dump.knows_restrict(version) is knows


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("UTF8", "UTF8"),
        ("utf-8", "UTF8"),
        ("latin-1", "LATIN1"),
        ("iso8859-15", "LATIN9"),
        ("SQL_ASCII", "SQL_ASCII"),
        ("ascii", "SQL_ASCII"),
        ("cp1252", "WIN1252"),
        ("euc_jp", "EUC_JP"),
        ("LATIN5", "LATIN5"),
        ("SJIS", None),
        (None, None),
        ("", None),
    ],
)
def test_encodings(name, wanted):
    assert dump.server_encoding(name) == wanted


# -- text on its way to psql --------------------------------------------------------------------------------------


class FakeEngine:
    """Notes what is run where."""

    helpers = H

    def __init__(self, version=(18, 0)):
        self.filter, self.databases, self.ran, self.made = Filter(), {}, [], []
        self.installation = Installation("/x", version, "")

    def database(self, key, encoding=None, locale=None):
        if key not in self.databases:
            self.databases[key] = "rbd_%d" % len(self.databases)
            self.made.append((key, encoding, locale))

    def run_script(self, key, pieces, guarded):
        self.ran.append((key, b"".join(pieces).decode("utf-8"), guarded))


def script(text, version=(18, 0), **about):
    made = FakeEngine(version)
    Script(made, Bytes(text.encode("utf-8")), **about).restore()
    return made


def test_text_goes_to_one_database():
    made = script(
        "\\restrict abc\nSET client_encoding = 'LATIN1';\nCREATE TABLE t (a text);\nCOPY t (a) FROM stdin;\nx\n\\.\nGRANT ALL ON t TO x;\n"
        "\\unrestrict abc\n"
    )
    ((key, text, guarded),) = made.ran
    assert key is None and not guarded
    assert "restrict" not in text and "GRANT" not in text
    assert "COPY t (a) FROM stdin;\nx\n\\.\n" in text
    ((_key, encoding, _locale),) = made.made
    assert dump.server_encoding(encoding) == "LATIN1", "it is made when the encoding is known"


def test_each_database_of_a_dump_gets_its_own():
    made = script(
        "SET client_encoding = 'UTF8';\nCREATE ROLE x;\nCREATE DATABASE shop WITH ENCODING = 'LATIN1' LOCALE = 'C';\n\\connect template1\n"
        "SET x = 1;\n\\connect shop\nSET x = 2;\nCREATE TABLE a ();\n\\connect empty\nSET x = 3;\n\\connect postgres\nCREATE TABLE b ();\n"
    )
    assert [(key, "CREATE TABLE" in text) for key, text, _guarded in made.ran] == [("shop", True), ("postgres", True)]
    assert [key for key, _encoding, _locale in made.made] == ["shop", "empty", "postgres"]
    assert made.made[0] == ("shop", "LATIN1", "C")
    assert "SET x = 2" in made.ran[0][1] and "SET x = 1" not in made.ran[0][1]


def test_all_of_an_archive_goes_to_the_one_database():
    made = script("CREATE DATABASE shop WITH LOCALE = 'C';\n\\connect shop\nCREATE SCHEMA a;\n", fixed=("key",))
    assert [key for key, _text, _guarded in made.ran] == ["key"]
    assert made.made == [("key", None, "C")]


def test_an_empty_dump_is_an_empty_database():
    settings = script("SET x = 1;\n")
    assert settings.made == [(None, None, None)]
    # What it sets is held to what there is.
    assert [text for _key, text, _guarded in settings.ran] == ["SET x = 1;"]
    assert script("").made == [(None, None, None)]
    assert script("").ran == []


def test_a_psql_that_cannot_be_restricted_is_guarded():
    made = script(
        "SET standard_conforming_strings = on;\nCREATE TABLE t (a text DEFAULT '\\');\nCREATE TABLE u ();\n", (12, 1)
    )
    ((_key, text, guarded),) = made.ran
    assert guarded
    assert text.count("SET standard_conforming_strings = on; SET client_encoding") == 1
    assert text.index("; SET client_encoding") < text.index("DEFAULT '\\'")


# -- programs -----------------------------------------------------------------------------------------------------


def found(*versions):
    return [Installation("/pg/%s" % number, tuple(int(part) for part in number.split(".")), "") for number in versions]


@pytest.mark.parametrize(
    "wanted, exactly, chosen",
    [
        ((15, 3), False, "15.18"),
        ((16, 1), False, "17.2"),
        ((9, 6, 1), False, "9.6.3"),
        ((9, 5), False, "9.6.3"),
        (None, False, "18.4"),
        ((17, 9), False, "17.2"),
        ((15, 99), True, "15.18"),
        ((10, 0), False, "15.18"),
    ],
)
def test_the_nearest_version_that_fits(wanted, exactly, chosen):
    there = found("18.4", "17.2", "15.18", "9.6.3")
    assert engine.choose_installation(there, wanted, exactly).bin_dir == "/pg/" + chosen


def test_a_dump_that_is_too_new_names_both_versions():
    with pytest.raises(
        EngineError, match=r"of PostgreSQL 19.1, newer than every PostgreSQL on this host \(18.4, 15.18\)"
    ) as caught:
        engine.choose_installation(found("18.4", "15.18"), (19, 1))
    assert caught.value.code == "engine_too_old"


@pytest.mark.parametrize("wanted, code", [((16, 1), "no_engine"), ((19, 1), "engine_too_old")])
def test_a_copy_of_a_server_starts_with_its_own_version_only(wanted, code):
    with pytest.raises(EngineError, match="starts with that version only") as caught:
        engine.choose_installation(found("18.4", "15.18"), wanted, True)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "server_version, tool_version, wanted",
    [
        ("15.18 (Debian 15.18-0+deb12u1)", "18.1", (18, 1)),
        ("16.2", "15.1", (16, 2)),
        (None, None, None),
        ("9.6.24", "9.6.24", (9, 6, 24)),
        ("17beta1", None, (17,)),
        ("unknown", "15.2", (15, 2)),
    ],
)
def test_the_version_that_a_dump_needs(server_version, tool_version, wanted):
    member = Member("x", server_version=server_version, tool_version=tool_version)
    assert engine.needed_version(member) == wanted


def write_program(folder, name, says):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\necho '%s'\n" % says)
    path.chmod(0o755)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with programs where we put them."""
    monkeypatch.setattr(engine, "path_folders", lambda: [str(tmp_path / "path")])
    monkeypatch.setattr(engine, "_FOLDERS", (str(tmp_path / "lib" / "*" / "bin"),))
    monkeypatch.setattr(engine.sys, "path", [])

    def install(place, version, names=("postgres", "initdb", "psql", "pg_restore")):
        for name in names:
            write_program(tmp_path / place, name, "%s (PostgreSQL) %s (Debian)" % (name, version))

    return install


def test_programs_are_found_newest_first(host, tmp_path):
    host("lib/15/bin", "15.18")
    host("lib/9.6/bin", "9.6.24")
    host("path", "17.2")
    host("lib/18/bin", "18.4", ("postgres",))
    assert [one.version for one in engine.installations("postgres")] == [(17, 2), (15, 18), (9, 6, 24)]
    assert [one.version for one in engine.installations("postgres", str(tmp_path / "lib/15/bin"))] == [(15, 18)]


def test_wrappers_of_debian_are_no_programs(host, tmp_path):
    write_program(tmp_path / "postgresql-common", "pg_wrapper", "psql (PostgreSQL) 15.18")
    (tmp_path / "path").mkdir()
    for name in ("psql", "pg_restore"):
        os.symlink(str(tmp_path / "postgresql-common" / "pg_wrapper"), str(tmp_path / "path" / name))
    assert engine.installations("psql") == []


def test_programs_behind_links_count_where_they_are(host, tmp_path):
    host("lib/15/bin", "15.18")
    (tmp_path / "path").mkdir()
    os.symlink(str(tmp_path / "lib/15/bin/postgres"), str(tmp_path / "path/postgres"))
    assert [one.bin_dir for one in engine.installations("postgres")] == [str(tmp_path / "lib/15/bin")]


@pytest.mark.parametrize(
    "names, message", [((), "holds no postgres that can be run"), (("postgres",), "lacks one of psql")]
)
def test_a_bin_dir_without_programs(host, tmp_path, names, message):
    host("mine", "15.1", names)
    with pytest.raises(EngineError, match=message) as caught:
        engine.installations("postgres", str(tmp_path / "mine"))
    assert caught.value.code == "bad_option"


def test_no_programs_says_what_to_install(host):
    for login, package in ((None, "install postgresql "), ({"host": "db"}, "install postgresql-client ")):
        with pytest.raises(EngineError, match=package.replace("(", "[(]")) as caught:
            PostgreSQL(None, {"login": login}).choose(Member("x", format="pg_dump-plain"))
        assert caught.value.code == "no_engine"


def test_a_nearer_version_without_the_extension_is_passed_over(host, tmp_path):
    for place, version, names in (("lib/16/bin", "16.1", ["plpgsql"]), ("lib/17/bin", "17.1", ["plpgsql", "postgis"])):
        host(place, version)
        folder = tmp_path / place / ".." / "share" / "extension"
        folder.mkdir(parents=True)
        for name in names:
            (folder / (name + ".control")).write_text("")
    member = Member("x", format="pg_dump-plain", server_version="16.1")
    assert PostgreSQL(None, {}).choose(member)["server_version"] == "16.1"
    member.details["extensions"] = ["postgis"]
    assert PostgreSQL(None, {}).choose(member)["server_version"] == "17.1"
    member.details["extensions"] = ["nowhere"]
    assert PostgreSQL(None, {}).choose(member)["server_version"] == "16.1"


def test_a_physical_backup_needs_a_server_of_its_own():
    with pytest.raises(EngineError) as caught:
        PostgreSQL(None, {"login": {"host": "db"}}).choose(Member("x", format="pg_basebackup"))
    assert caught.value.code == "unsupported"


# -- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, rows",
    [
        ("", []),
        ("\n", [[""]]),
        ("tN\n", [[None]]),
        ("1tFtNtFN\n", [["1", None, "N"]]),
        ("a\nbtR\n", [["a\nb"], [""]]),
        ("1tR2\n", [["1"], ["2"]]),
    ],
)
def test_answers_are_read(text, rows):
    assert server.parse_rows(text, "t") == rows


@pytest.mark.parametrize(
    "sql, several",
    [
        ("SELECT 1", False),
        ("SELECT 1;", False),
        ("SELECT 1 ; -- and that was it\n", False),
        ("SELECT ';'", False),
        ("/* ; */ SELECT 1", False),
        ("SELECT 1; SELECT 2", True),
        ("COMMIT; DROP TABLE t;", True),
        ("SELECT $$;$$", False),
    ],
)
def test_more_than_one_statement(sql, several):
    assert server._is_several(sql) is several


@pytest.mark.parametrize(
    "place, host_name, port",
    [
        ({"host": "db", "port": 5433}, "db", "5433"),
        ({"unix_socket": "/run/postgresql"}, "/run/postgresql", "5432"),
        ({"unix_socket": "/run/postgresql/.s.PGSQL.5499"}, "/run/postgresql", "5499"),
        ({}, "localhost", "5432"),
    ],
)
def test_where_an_existing_server_is(place, host_name, port):
    class Scratch:
        @staticmethod
        def programs(folder):
            return folder

        @staticmethod
        def write(name, content):
            assert content == "*:*:*:*:a\\:b\\\\c\n"
            return "/scratch/" + name

    login = engine.login_to(Scratch, Installation("/x", (15,), ""), dict(place, user="me", password="a:b\\c"), None)
    assert (login.environment["PGHOST"], login.environment["PGPORT"], login.environment["PGUSER"]) == (
        host_name,
        port,
        "me",
    )
    assert "a:b" not in str(login.environment), "the password is in a file"


# -- physical backups ---------------------------------------------------------------------------------------------


class Giving:
    @staticmethod
    def give(_path):
        pass


def test_a_data_folder_is_copied_without_what_it_says_of_its_server(tmp_path):
    source, data = tmp_path / "source", tmp_path / "data"
    (source / "pg_replslot" / "slot").mkdir(parents=True)
    for name in ("PG_VERSION", "postgresql.conf", "postgresql.auto.conf", "standby.signal", "backup_label"):
        (source / name).write_text("x")
    data.mkdir()
    physical.unpack_backup(Giving, str(source), str(data))
    assert (data / "pg_wal" / "archive_status").is_dir()
    physical.forget_configuration(str(data))
    assert sorted(path.name for path in data.iterdir() if path.is_file()) == ["PG_VERSION", "backup_label"]
    assert list((data / "pg_replslot").iterdir()) == []


def test_a_link_in_a_data_folder_is_refused(tmp_path):
    source, data = tmp_path / "source", tmp_path / "data"
    for folder in (source, data):
        folder.mkdir()
    (source / "PG_VERSION").write_text("15")
    os.symlink("/etc", str(source / "base"))
    with pytest.raises(EngineError) as caught:
        physical.unpack_backup(Giving, str(source), str(data))
    assert caught.value.code == "unsafe"


def test_a_folder_that_is_no_backup(tmp_path):
    with pytest.raises(EngineError, match="neither base.tar nor PG_VERSION"):
        physical.unpack_backup(Giving, str(tmp_path), str(tmp_path))
