# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Servers of PostgreSQL as a drill sees them: logins, what they can read, a server of our own, an existing one."""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from .._archive._pg_statements import statements
from .._archive._stream import Bytes, Damaged
from . import _postgresql_definitions
from ._base import EngineError, new_database_name, new_password
from ._postgresql_dump import literal, quoted
from ._postgresql_physical import forget_configuration
from ._scratch import Scratch

PORT = 5432
_START_SECONDS = 60.0
_RECOVERY_SECONDS = 24 * 3600.0
_LEADING = re.compile(rb"(?:\s+|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*")
# What the restored server's text looks like must not hang on a server's or a database's settings.
_SAME_TEXT = {
    "search_path": "pg_catalog",
    "datestyle": "ISO,MDY",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "xmloption": "content",
}

_HELPERS = """
CREATE SCHEMA {schema};
GRANT USAGE ON SCHEMA {schema} TO {role}, {reader};
CREATE TABLE {schema}.rows (relation oid, rows bigint);
GRANT SELECT ON {schema}.rows TO {reader};
CREATE FUNCTION {schema}.tame() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE r record;
BEGIN
  FOR r IN SELECT fdwname FROM pg_foreign_data_wrapper LOOP
    EXECUTE format('ALTER FOREIGN DATA WRAPPER %I NO HANDLER NO VALIDATOR', r.fdwname);
    EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO {role}', r.fdwname);
  END LOOP;
  FOR r IN SELECT p.oid::regprocedure AS f FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
      JOIN pg_proc p ON p.oid = d.objid
      WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND e.extname IN
      ('dblink', 'http', 'pg_net', 'aws_s3', 'aws_lambda', 'plproxy', 'pg_curl', 'adminpack', 'file_fdw')
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', r.f);
  END LOOP;
END $body$;
CREATE FUNCTION {schema}.extension(wanted text, place text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $body$
DECLARE r record; n bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = wanted) THEN
    RAISE EXCEPTION 'rbd: the extension "%" is not installed on this server', wanted;
  END IF;
  IF EXISTS (SELECT FROM pg_proc WHERE proowner = '{role}'::regrole) OR EXISTS (SELECT FROM pg_type WHERE typowner =
      '{role}'::regrole) OR EXISTS (SELECT FROM pg_operator WHERE oprowner = '{role}'::regrole) THEN
    RAISE EXCEPTION 'rbd: unsafe: the extension "%" is wanted after other things were made', wanted;
  END IF;
  EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I', wanted)
    || CASE WHEN place IS NULL THEN '' ELSE format(' WITH SCHEMA %I', place) END;
  FOR r IN SELECT c.oid, c.relkind, s.nspname, c.relname
      FROM pg_extension e JOIN pg_class c ON c.oid = ANY (e.extconfig) JOIN pg_namespace s ON s.oid = c.relnamespace WHERE e.extname = wanted
      AND NOT EXISTS (SELECT FROM {schema}.rows WHERE relation = c.oid) LOOP
    EXECUTE format('GRANT ALL ON %I.%I TO {role}', r.nspname, r.relname);
    IF r.relkind = 'r' THEN
      EXECUTE format('SELECT count(*) FROM ONLY %I.%I', r.nspname, r.relname) INTO n;
      INSERT INTO {schema}.rows VALUES (r.oid, n);
    END IF;
  END LOOP;
  PERFORM {schema}.tame();
END $body$;
CREATE FUNCTION {schema}.wrapper(wanted text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_foreign_data_wrapper WHERE fdwname = wanted) THEN
    EXECUTE format('CREATE FOREIGN DATA WRAPPER %I', wanted);
  END IF;
  PERFORM {schema}.tame();
END $body$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {schema}.extension(text, text), {schema}.wrapper(text) TO {role};
"""

# What pg_read_all_data gives from PostgreSQL 14 on.
_GRANTS = """
DO $body$ DECLARE r record; BEGIN
  FOR r IN SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO {reader}', r.nspname);
    EXECUTE pg_catalog.format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO {reader}', r.nspname);
    EXECUTE pg_catalog.format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO {reader}', r.nspname);
  END LOOP;
END $body$;
"""
# Large objects are not among what pg_read_all_data gives.
_LARGE_OBJECT_GRANTS = """
DO $body$ DECLARE r record; BEGIN
  FOR r IN SELECT oid FROM pg_catalog.pg_largeobject_metadata LOOP
    EXECUTE pg_catalog.format('GRANT SELECT ON LARGE OBJECT %s TO {reader}', r.oid);
  END LOOP;
END $body$;
"""

_ABILITIES = """
SELECT rolsuper, rolcreaterole, rolcreatedb,
  (SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid AND deptype = 'o')
  + (SELECT count(*) FROM pg_auth_members WHERE member = r.oid)
FROM pg_roles r WHERE rolname = current_user;
"""

_TABLES = """
SELECT s.nspname, c.relname, CASE WHEN {untold} OR pg_catalog.row_security_active(c.oid) THEN NULL ELSE {extra} END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
AND s.nspname !~ '^pg_' AND s.nspname NOT IN ('information_schema', {helpers})
AND ({known} OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'))
ORDER BY pg_catalog.pg_relation_size(c.oid) DESC, 1, 2
"""

_PARTITIONS = """
WITH RECURSIVE below(root, child) AS (
  SELECT c.oid, i.inhrelid FROM pg_class c JOIN pg_inherits i ON i.inhparent = c.oid WHERE c.relkind = 'p'
  UNION ALL SELECT b.root, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.child)
SELECT s.nspname || '.' || c.relname, q.nspname || '.' || p.relname
FROM below b JOIN pg_class c ON c.oid = b.root JOIN pg_namespace s ON s.oid = c.relnamespace
  JOIN pg_class p ON p.oid = b.child JOIN pg_namespace q ON q.oid = p.relnamespace
WHERE p.relkind = 'r' ORDER BY 1, 2;
"""

# Floating point numbers as their bits: how many digits are printed changed between versions.
_COLUMNS = """
SELECT getdatabaseencoding(), s.nspname || '.' || c.relname, CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || format('%I.%I', s.nspname, c.relname),
  CASE WHEN t.typname IN ('float4', 'float8') AND t.typnamespace = 'pg_catalog'::regnamespace
  THEN format('%s(%I)', t.typname || 'send', a.attname) ELSE quote_ident(a.attname) END
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace LEFT JOIN pg_attribute a
  ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE s.nspname || '.' || c.relname IN ({tables}) AND c.relkind IN ('r', 'p', 'm', 'f') ORDER BY 2, a.attnum
"""
_CHECKSUM = """
SELECT {number}, count(*), coalesce(sum(('x' || substr(h, 1, 15))::bit(60)::bigint::numeric), 0),
  coalesce(sum(('x' || substr(h, 16, 15))::bit(60)::bigint::numeric), 0)
FROM (SELECT {digest} AS h FROM (SELECT ROW({columns})::text AS r FROM {table}) AS texts) AS rows
"""
# The same characters are the same bytes in one encoding only. Of SQL_ASCII nobody knows the characters.
_DIGEST = "md5(convert_to(r, 'UTF8'))"
_DIGEST_OF_BYTES = "md5(r)"


class Login:
    """psql and its like as one user of one server. The password is in a file that only the programs can read."""

    def __init__(self, scratch, installation, host, port, user, password, timeout=None):
        self._scratch, self._timeout = scratch, timeout
        self.installation, self.user, self.password = installation, user, password
        self._programs = scratch.programs(installation.bin_dir)
        self.environment = {
            "PGHOST": host,
            "PGPORT": str(port),
            "PGUSER": user,
            "PGCONNECT_TIMEOUT": "30",
            "PGAPPNAME": "restorable-drill",
            "PSQL_HISTORY": "/dev/null",
            "PAGER": "cat",
        }
        if password:
            escaped = password.replace("\\", "\\\\").replace(":", "\\:")
            name = "password-%s" % secrets.token_hex(6)
            self.environment["PGPASSFILE"] = scratch.write(name, "*:*:*:*:%s\n" % escaped)
        else:
            self.environment["PGPASSFILE"] = "/dev/null"

    def program(self, name):
        return os.path.join(self._programs, name)

    def environment_for(self, database, settings=None):
        options = " ".join(
            "-c %s=%s" % (name, re.sub(r"([\\ ])", r"\\\1", value)) for name, value in (settings or {}).items()
        )
        return dict(self.environment, PGDATABASE=database, PGOPTIONS=options, PGCLIENTENCODING="UTF8")

    def run(self, sql, database, settings=None, failure="start_failed"):
        """Run SQL of our own. Its rows, as lists of texts, None for NULL."""
        return self._ask(["-f", "-"], [sql.encode("utf-8")], database, settings, failure)

    def ask(self, sql, database, settings):
        """Run one statement of the user's, in a transaction that only reads."""
        if sql.lstrip().startswith("\\"):
            raise EngineError("query_failed", "a command of psql is no query: %s" % sql)
        return self._ask(
            ["-c", "BEGIN READ ONLY", "-c", sql, "-c", "ROLLBACK"], None, database, settings, "query_failed"
        )

    def _ask(self, words, feed, database, settings, failure):
        token = secrets.token_hex(12)
        format_of_rows = ["-R", token + "R", "-F", token + "F", "-P", "null=%sN" % token]
        words = "-X -q -A -t -v ON_ERROR_STOP=1".split() + format_of_rows + words
        text = self._scratch.run(
            [self.program("psql")] + words,
            feed=feed,
            env=self.environment_for(database, settings),
            timeout=self._timeout,
            failure=failure,
        )
        return parse_rows(text, token)


def new_token():
    return secrets.token_hex(10)


def parse_rows(text, token):
    """What psql has printed with our separators. Answers follow each other by a line end."""
    if not text:
        return []
    body = text[:-1] if text.endswith("\n") else text
    return [
        [None if value == token + "N" else value for value in record.split(token + "F")]
        for record in body.split(token + "R")
    ]


class Reader:
    """Counts, queries and checksums of some databases of a server."""

    def __init__(self, databases, login_of, helpers=None, jobs=2, timeout=None, physical=False):
        """``databases``: {name in the dump, or None: name on the server}; ``login_of(name on the server)``. ``physical``:
        it is a copy of files, which holds no rows of unlogged tables: they are not counted, and neither are tables of
        which row security hides some from this login."""
        self.databases = databases
        self._physical = physical
        self._login_of, self._helpers, self._jobs, self._timeout = login_of, helpers, jobs, timeout

    def counts(self):
        found = {}
        for key, database in self.databases.items():
            found.update(((key, name), rows) for name, rows in self._count(database))
        return found

    def _count(self, database):
        helpers, login = self._helpers, self._login_of(database)
        tables = login.run(
            _TABLES.format(
                extra="coalesce((SELECT rows FROM %s.rows WHERE relation = c.oid), 0)" % helpers if helpers else "0",
                untold="c.relpersistence = 'u'" if self._physical else "false",
                helpers=literal(helpers or ""),
                known="c.oid IN (SELECT relation FROM %s.rows)" % helpers if helpers else "false",
            ),
            database,
            self._settings(_SAME_TEXT),
            "query_failed",
        )
        shares = [tables[start :: self._jobs] for start in range(min(self._jobs, len(tables)))]
        with ThreadPoolExecutor(max(1, len(shares))) as pool:
            answers = list(pool.map(lambda share: self._count_share(login, database, share), shares))
        return [one for answer in answers for one in answer]

    def _count_share(self, login, database, tables):
        sql = [
            "SELECT 0, %d, count(*) - %s FROM ONLY %s.%s" % (number, extra or "NULL", quoted(schema), quoted(name))
            for number, (schema, name, extra) in enumerate(tables)
        ]
        found = self._ask_many(login, database, sql)
        return [
            ("%s.%s" % tuple(tables[int(number)][:2]), None if rows is None else int(rows)) for _zero, number, rows in found
        ]

    def _ask_many(self, login, database, sql):
        """The rows of many statements. One answer for many: a statement for each would be an answer for each."""
        found, settings = [], self._settings(_SAME_TEXT)
        for start in range(0, len(sql), 100):
            found += login.run(" UNION ALL ".join(sql[start : start + 100]) + ";\n", database, settings, "query_failed")
        return found

    def partitions(self):
        """{(database, table): [(database, partition)]} of the tables that hold no rows themselves."""
        found = {}
        for key, database in self.databases.items():
            for root, leaf in self._login_of(database).run(_PARTITIONS, database, self._settings(_SAME_TEXT), "query_failed"):
                found.setdefault((key, root), []).append((key, leaf))
        return found

    def query(self, sql, database=None):
        if _is_several(sql):
            raise EngineError("query_failed", "more than one statement: %s" % sql)
        actual = self._actual(database)
        return self._login_of(actual).ask(sql, actual, self._settings({}))

    def checksum(self, table, database=None):
        return self.checksums([(database, table)])[database, table]

    def checksums(self, tables):
        found = {}
        for database in sorted({database for database, _table in tables}, key=str):
            names = [table for other, table in tables if other == database]
            found.update(((database, name), text) for name, text in self._checksums(self._actual(database), names))
        return found

    def _checksums(self, database, names):
        login = self._login_of(database)
        tables = {}
        question = _COLUMNS.format(tables=", ".join(map(_text, names)))
        digest = _DIGEST
        for encoding, name, place, column in login.run(question, database, self._settings(_SAME_TEXT), "query_failed"):
            digest = _DIGEST_OF_BYTES if encoding == "SQL_ASCII" else _DIGEST
            tables.setdefault(name, (place, []))[1].append(column)
        for name in names:
            if name not in tables:
                raise EngineError("query_failed", "there is no table %s" % name)
        sql = []
        for number, name in enumerate(names):
            place, columns = tables[name]
            columns = ", ".join(column for column in columns if column is not None)
            sql.append(_CHECKSUM.format(number=number, digest=digest, columns=columns, table=place))
        shares = [sql[start :: self._jobs] for start in range(min(self._jobs, len(sql)))]
        with ThreadPoolExecutor(max(1, len(shares))) as pool:
            answers = list(pool.map(lambda share: self._ask_many(login, database, share), shares))
        return [
            (names[int(number)], "%s:%x:%x" % (count, int(first), int(second)))
            for answer in answers
            for number, count, first, second in answer
        ]

    def definitions(self):
        found = {}
        for key, database in self.databases.items():
            rows = self._login_of(database).run(
                _postgresql_definitions.query(literal(self._helpers or ""), self._physical),
                database,
                self._settings(_SAME_TEXT),
                "query_failed",
            )
            found.update({(key, kind, name): text for kind, name, text in rows})
        return found

    def roles(self):
        database = next(iter(self.databases.values()))
        rows = self._login_of(database).run("SELECT rolname FROM pg_roles;\n", database, self._settings({}), "query_failed")
        return {name for (name,) in rows}

    def dialect(self):
        database = next(iter(self.databases.values()))
        ((number,),) = self._login_of(database).run(
            "SELECT current_setting('server_version_num');\n", database, self._settings({}), "query_failed"
        )
        return "postgresql %d" % (int(number) // 10000)

    def _actual(self, database):
        if database in self.databases:
            return self.databases[database]
        if database is None and len(self.databases) == 1:
            return next(iter(self.databases.values()))
        if len(self.databases) == 1 and None in self.databases:
            # The dump does not say what its one database was called.
            return self.databases[None]
        raise EngineError("query_failed", "which database? There are: %s" % ", ".join(sorted(map(str, self.databases))))

    def _settings(self, settings):
        found = dict(settings, default_transaction_read_only="on")
        if self._timeout:
            found["statement_timeout"] = str(int(self._timeout * 1000))
        return found

    def close(self):
        """Nothing is kept open."""


def _text(text):
    return "E'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")


def _is_several(sql):
    """Whether a text holds more than one statement: the second would run outside of our transaction."""
    found = 0
    try:
        for kind, piece, _offset in statements(Bytes(sql.encode("utf-8"))):
            found += kind in ("sql", "meta") and bool(piece[_LEADING.match(piece).end() :].strip(b"; \t\r\n"))
    except Damaged as error:
        if error.code != "open_statement":
            raise EngineError("query_failed", error.message)
        # What follows the last semicolon is one more.
        found += 1
    return found > 1


class Server:
    """A server of our own: on a socket in a folder of its own, with one superuser whose password nobody knows."""

    def __init__(self, scratch, installation, memory_mb, jobs, timeout):
        self._scratch, self._memory, self._jobs = scratch, memory_mb, jobs
        self._programs = scratch.programs(installation.bin_dir)
        self._installation, self._timeout = installation, timeout
        self.superuser, self._password = "rbd_" + secrets.token_hex(6), new_password()
        self.data, self.socket = scratch.folder("data"), scratch.folder("s")
        self._process = None

    def login(self, user=None, password=None):
        return Login(
            self._scratch,
            self._installation,
            self.socket,
            PORT,
            user or self.superuser,
            password or self._password,
            self._timeout,
        )

    def make(self):
        """initdb. The locale decides what upper case is and how text is sorted; C.UTF-8 is the same on all hosts."""
        words = [
            os.path.join(self._programs, "initdb"),
            "-D",
            self.data,
            "-U",
            self.superuser,
            "-E",
            "UTF8",
            "-N",
            "-A",
            self._method(),
            "--pwfile",
            self._scratch.write("superuser", self._password + "\n"),
        ]
        try:
            self._scratch.run(words + ["--locale=C.UTF-8"], timeout=300, failure="start_failed")
        except EngineError as error:
            if "locale" not in error.message:
                raise
            self._scratch.run(words + ["--locale=C"], timeout=300, failure="start_failed")

    def adopt(self):
        """Take over a data folder that was restored: only our configuration counts, and we have a login."""
        forget_configuration(self.data)
        for name in ("postgresql.conf", "pg_ident.conf"):
            self._scratch.write(name, "", self.data)
        self._scratch.write("pg_hba.conf", "local all all %s\n" % self._method(), self.data)
        # Single-user mode replays the log to the end of the backup, and asks for no login.
        words = [os.path.join(self._programs, "postgres"), "--single", "-D", self.data] + self._options()
        sql = "CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'\n" % (self.superuser, self._password)
        self._scratch.run(words + ["template1"], feed=[sql.encode()], timeout=self._timeout or _RECOVERY_SECONDS)

    def start(self):
        words = [os.path.join(self._programs, "postgres"), "-D", self.data, "-p", str(PORT)]
        # INT and QUIT let it clean up behind itself; QUIT does not wait for anything.
        self._process = self._scratch.spawn(
            words + self._options(), "postgresql.log", stop=signal.SIGQUIT, at_death=signal.SIGQUIT
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            dead = self._scratch.dead_server()
            if dead:
                raise EngineError(
                    "no_space" if "No space left" in dead else "start_failed", "PostgreSQL did not start: " + dead
                )
            if time.monotonic() > deadline:
                raise EngineError("start_failed", "PostgreSQL was not ready within %d seconds" % _START_SECONDS)
            time.sleep(0.01)

    def stop(self):
        if self._process is not None:
            self._scratch.stop_server(self._process)
            self._process = None

    def _is_ready(self):
        """ "ready" stands on the last line of the pid file as soon as connections are taken."""
        try:
            handle = os.open(os.path.join(self.data, "postmaster.pid"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as stream:
                return stream.read(4096).splitlines()[-1].strip() == b"ready"
        except (OSError, IndexError):
            return False

    def _method(self):
        return "scram-sha-256" if self._installation.version[0] >= 10 else "md5"

    def _options(self):
        memory = max(32, self._memory)
        settings = {
            "config_file": os.path.join(self.data, "postgresql.conf"),
            "hba_file": os.path.join(self.data, "pg_hba.conf"),
            "ident_file": os.path.join(self.data, "pg_ident.conf"),
            "listen_addresses": "",
            "unix_socket_directories": self.socket,
            "unix_socket_permissions": "0700",
            "external_pid_file": "",
            # It is thrown away, so nothing has to survive.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "restart_after_crash": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "archive_mode": "off",
            "archive_command": "",
            "hot_standby": "off",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "1h",
            "autovacuum": "off",
            "track_activities": "off",
            "shared_buffers": "%dMB" % (memory // 4),
            "maintenance_work_mem": "%dMB" % max(16, memory // 4),
            "work_mem": "%dMB" % max(4, memory // 32),
            "max_connections": str(4 * self._jobs + 20),
            "max_locks_per_transaction": "256",
            "dynamic_shared_memory_type": "mmap",
            "huge_pages": "off",
            "max_prepared_transactions": "64",
            "max_replication_slots": "0",
            "max_logical_replication_workers": "0",
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_min_messages": "warning",
            "log_statement": "none",
            "log_min_error_statement": "panic",
            "log_timezone": "UTC",
            "timezone": "UTC",
            "ssl": "off",
            "shared_preload_libraries": "",
            "session_preload_libraries": "",
            "local_preload_libraries": "",
            "jit": "off",
            "event_triggers": "off",
            "password_encryption": self._method(),
            "lc_messages": "C",
        }
        since = {"max_logical_replication_workers": 10, "jit": 11, "event_triggers": 17}
        return [
            word
            for name, value in settings.items()
            if self._installation.version[0] >= since.get(name, 0)
            for word in ("-c", "%s=%s" % (name, value))
        ]


class Own:
    """Where scratch databases are made: on a server of our own."""

    def __init__(self, server, version, helpers):
        self.server, self.helpers, self._version = server, helpers, version
        self.admin, self.home = server.login(), "postgres"
        self._owner = server.login("rbd_restore", new_password())
        self._reader = server.login("rbd_read", new_password())

    def prepare(self):
        """Roles that can do no harm: one that owns what is restored, and one that reads all of it."""
        sql = [
            # What a dump makes as a superuser is not held up by row security either.
            role_of(self._owner, "NOINHERIT BYPASSRLS"),
            role_of(self._reader, "BYPASSRLS"),
            "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;\n",
        ]
        if self._version[0] >= 14:
            sql.append("GRANT pg_read_all_data TO %s;\n" % self._reader.user)
        self.admin.run("".join(sql), self.home)

    def database(self, encoding, locale):
        """A new scratch database: (its name, the login that owns it)."""
        name = new_database_name()
        after = (
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {reader};\n"
            "ALTER SCHEMA public OWNER TO {role};\n".format(name=name, reader=self._reader.user, role=self._owner.user)
        )
        after += _HELPERS.format(schema=self.helpers, role=self._owner.user, reader=self._reader.user)
        create_database(self.admin, self.home, name, self._owner.user, encoding, locale, after)
        return name, self._owner

    def all_databases(self):
        """What a restored server brought along."""
        sql = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate;\n"
        return [name for name, in self.admin.run(sql, "template1")]

    def open_all(self):
        """Let the reader into all databases of a restored server."""
        sql = [
            "GRANT CONNECT ON DATABASE %s TO %s;\n" % (quoted(name), self._reader.user) for name in self.all_databases()
        ]
        self.admin.run("".join(sql), "template1")

    def reader(self, name):
        """The login that reads a restored database."""
        if self._version[0] < 14:
            self.admin.run(_GRANTS.format(reader=self._reader.user), name)
        self.admin.run(_LARGE_OBJECT_GRANTS.format(reader=self._reader.user), name)
        return self._reader

    def stop(self):
        self.server.stop()


class Existing:
    """Where scratch databases are made: on a server that was there before, where nothing else is touched."""

    def __init__(self, scratch, admin, place, make_login, helpers):
        self._scratch, self.admin, self._place, self._make_login = scratch, admin, place, make_login
        self.home = place.get("database") or "postgres"
        self.helpers, self._wanted_helpers = None, helpers
        self._may_roles = self._is_super = False
        self._made, self._owners = [], {}

    def prepare(self):
        self.sweep()
        is_super, may_roles, may_databases, owned = self.admin.run(_ABILITIES, self.home)[0]
        user = self.admin.user
        if "t" not in (is_super, may_databases):
            raise EngineError(
                "bad_option", "login_user: %s may not create databases on that server" % user, option="login_user"
            )
        self._is_super = is_super == "t"
        if self._is_super:
            self.helpers = self._wanted_helpers
        self._may_roles = "t" in (is_super, may_roles)
        if not self._may_roles and int(owned):
            raise EngineError(
                "unsafe",
                "login_user: %s may not create roles, and owns other things on that server or is a member"
                " of other roles there; an untrusted dump could change those. Give a user that may create roles,"
                " or one that owns nothing" % user,
                option="login_user",
            )

    def sweep(self):
        """Drop what dead drills left on this server by this login."""
        for path, marker in Scratch.dead(os.path.dirname(self._scratch.path)):
            for note in marker["databases"]:
                same = all(note.get(key) == self._place.get(key) for key in ("host", "port", "unix_socket", "user"))
                if (
                    note.get("engine") == "postgresql"
                    and same
                    and re.match(r"^rbd_[0-9a-f]{20}$", str(note.get("name")))
                ):
                    drop_database(self.admin, self.home, note["name"])
                    Scratch.forget_dead_database(path, note["name"])

    def database(self, encoding, locale):
        name, owner = new_database_name(), self.admin
        self._scratch.note_database("postgresql", self._place, name)
        self._made.append(name)
        if self._may_roles:
            # The role is called as the database, so that whoever sweeps finds both.
            owner = self._make_login(name, new_password())
            # Forced row security holds an owner as anybody: in the restore, and when rows are counted.
            more = "BYPASSRLS" if self._is_super else ""
            self.admin.run(role_of(owner, more) + "GRANT %s TO CURRENT_USER;\n" % name, self.home)
        after = "REVOKE ALL ON DATABASE %s FROM PUBLIC;\n" % name
        if self.helpers:
            after += "ALTER SCHEMA public OWNER TO %s;\n" % owner.user
            after += _HELPERS.format(schema=self.helpers, role=owner.user, reader=owner.user)
        create_database(self.admin, self.home, name, owner.user, encoding, locale, after)
        self._owners[name] = owner
        return name, owner

    def reader(self, name):
        return self._owners[name]

    def stop(self):
        while self._made:
            drop_database(self.admin, self.home, self._made[-1])
            self._scratch.forget_database(self._made.pop())


def role_of(login, more):
    return "CREATE ROLE %s LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION %s PASSWORD '%s';\n" % (
        login.user,
        more,
        login.password,
    )


def create_database(admin, home, name, owner, encoding, locale, after):
    """With the encoding and, where this host knows it, the locale that the dump comes from: ranges and checks on texts
    may hang on it. ``after``: what is run in it."""
    encoding = encoding or "UTF8"
    locales = [(locale, locale)] if locale else []
    # C sorts as C.UTF-8 does, and its indexes take half the time.
    locales += ([("C", "C.UTF-8")] if encoding == "UTF8" else []) + [("C", "C")]
    for number, (collate, ctype) in enumerate(locales):
        create = (
            "CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING %s LC_COLLATE %s LC_CTYPE %s;\n\\connect %s\n"
            % (name, owner, literal(encoding), literal(collate), literal(ctype), name)
        )
        try:
            admin.run(create + after, home, {"client_min_messages": "warning"})
            return
        except EngineError as error:
            if number + 1 == len(locales) or not re.search("locale|encoding", error.message):
                raise


def drop_database(admin, home, name):
    """With the role of that name, if there is one."""
    admin.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid();\n"
        "DROP DATABASE IF EXISTS %s;\n" % (literal(name), name),
        home,
        {"client_min_messages": "warning"},
    )
    # Even to drop a role that is not there takes a right that not every login has.
    if admin.run("SELECT 1 FROM pg_roles WHERE rolname = %s;\n" % literal(name), home):
        admin.run("DROP ROLE %s;\n" % name, home)
