# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Logins on servers of MariaDB and MySQL by the engine's own client: asking, feeding, the live database, and the end of a
scratch database."""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from . import _mysql_definitions as definitions_of
from . import _mysql_filter as dump_filter
from . import _mysql_sql as sql_text
from ._base import EngineError
from ._mysql_programs import Programs, dialect_of

_ERROR_LINE = re.compile(r"^ERROR (\d+) \(\w+\).*|^ERROR at line.*|^ERROR.*", re.M)
# The longest statement that client and server let pass.
PACKET = "1G"


class Client:
    """A login on a server, by the engine's own client. ``options`` is the file that holds it."""

    def __init__(self, scratch, program, options, timeout=None):
        self.scratch, self.timeout = scratch, timeout
        self._program = program
        self._argv = [
            program,
            "--defaults-file=" + options,
            "--batch",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=" + PACKET,
            "--local-infile=0",
            "--no-auto-rehash",
        ]

    def ask(self, script, database=None, failure="query_failed"):
        """Run statements of our own; rows as lists of texts."""
        words = ["--skip-column-names", "--raw"] + ([] if database is None else ["--database=" + database])
        answer = self._run(words, [script.encode("utf-8", "surrogateescape")], failure)
        return [line.split("\t") for line in answer.split("\n")[:-1]]

    def feed(self, pieces, database):
        """Run a dump. Nothing of what it answers is wanted."""
        words = ["--binary-mode", "--database=" + database]
        if _knows_sandbox(self._program):
            words.append("--sandbox")
        self._run(words, pieces, "restore_failed", subprocess.DEVNULL)

    def query(self, sql, database):
        words = ["--xml", "--binary-mode"] + ([] if database is None else ["--database=" + database])
        return sql_text.rows_of(self._run(words, [sql_text.read_only(sql).encode("utf-8")], "query_failed"))

    def _run(self, words, feed, failure, stdout=None):
        try:
            return self.scratch.run(self._argv + words, feed=feed, timeout=self.timeout, stdout=stdout, failure=failure)
        except EngineError as error:
            # Before it, some versions repeat the statement, which may be long and hold rows.
            line = _ERROR_LINE.search(error.message)
            if line is None:
                line = next(iter(re.findall(r"ERROR[^\n]*", error.message)), None)
                raise error if line is None else EngineError(error.code, line, number=None)
            raise EngineError(error.code, line.group(0)[:1000], number=int(line.group(1)) if line.group(1) else None)

    def counts(self, names, jobs, history=False, physical=False):
        """{(named database, table): rows} of all tables with rows of their own in these databases of the server.

        ``history``: with the rows of system-versioned tables that were, which a dump may hold. ``physical``: it is a copy
        of files, which holds no rows of tables in memory: they have None.
        """
        if not names:
            return {}
        tables = self.ask(
            "SELECT HEX(table_schema), HEX(table_name), table_type, engine FROM information_schema.tables WHERE table_type IN "
            "('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') AND table_schema IN (%s) ORDER BY data_length DESC;"
            % ", ".join(sql_text.literal(name) for name in names)
        )
        tables = [(sql_text.unhex(database), sql_text.unhex(table), kind, engine) for database, table, kind, engine in tables]
        counts, found = [], {}
        for number, (database, table, kind, engine) in enumerate(tables):
            if physical and engine == "MEMORY":
                found[names[database], table] = None
                continue
            more = " FOR SYSTEM_TIME ALL" if history and kind == "SYSTEM VERSIONED" else ""
            place = "%s.%s%s" % (sql_text.name(database), sql_text.name(table), more)
            counts.append("SELECT %d, COUNT(*) FROM %s;\n" % (number, place))
        for number, count in self._ask_many(counts, jobs):
            database, table = tables[int(number)][:2]
            found[names[database], table] = int(count)
        return found

    def _ask_many(self, statements, jobs, before=""):
        """The rows of many statements, by a few clients at once."""
        shares = [before + "".join(statements[start::jobs]) for start in range(min(jobs, len(statements)))]
        with ThreadPoolExecutor(max(1, len(shares))) as pool:
            return [row for rows in pool.map(self.ask, shares) for row in rows]

    def checksums(self, tables, jobs):
        """Texts in the order of ``tables``, which are (database, table)."""
        columns = {}
        for words in self.ask(
            "SELECT HEX(table_schema), HEX(table_name), HEX(column_name), data_type FROM information_schema.columns "
            "WHERE table_schema IN (%s) AND COALESCE(generation_expression, '') NOT IN ('ROW START', 'ROW END');"
            % ", ".join(sorted({sql_text.literal(database) for database, _table in tables}))
        ):
            database, table, column = map(sql_text.unhex, words[:3])
            columns.setdefault((database, table), []).append((column, words[3]))
        sums = []
        for number, (database, table) in enumerate(tables):
            if (database, table) not in columns:
                raise EngineError("query_failed", "there is no table %s in database %s" % (table, database))
            sums.append(sql_text.checksum(number, database, table, columns[database, table]))
        found = [None] * len(tables)
        for number, count, total in self._ask_many(sums, jobs, sql_text.SESSION):
            found[int(number)] = "%s:%016x" % (count, int(total))
        return found


class Live:
    """The live database to compare with. Nothing is written to it."""

    def __init__(self, scratch, settings, login):
        self.database = login.get("database") or None
        self._jobs = max(1, int(settings.get("jobs") or os.cpu_count() or 1))
        self._client = login_client(scratch, settings, login, "live")

    def databases(self):
        """The names of the databases that this login can see, but the system's."""
        rows = self._client.ask("SELECT HEX(schema_name) FROM information_schema.schemata;")
        names = [sql_text.unhex(row[0]) for row in rows]
        return sorted(name for name in names if name.lower() not in dump_filter.SYSTEM_DATABASES)

    def counts(self):
        """{(None, table): rows} of the login's database, {(database, table): rows} of all where it has none."""
        return self._client.counts(self._named(), self._jobs)

    def _named(self):
        return {self.database: None} if self.database else {name: name for name in self.databases()}

    def definitions(self):
        found = definitions_of.definitions(self._client.ask, self._named())
        if not self.database:
            # Who restored a whole server may have it all.
            found.update(definitions_of.system_tables(self._client.ask))
        return found

    def dialect(self):
        return dialect_of(self.version())

    def roles(self):
        return definitions_of.accounts(self._client.ask)

    def query(self, sql, database=None):
        return self._client.query(sql, database or self.database)

    def checksum(self, table, database=None):
        return self.checksums([(database, table)])[database, table]

    def checksums(self, tables):
        names = [(database or self.database, table) for database, table in tables]
        for database, table in names:
            if not database:
                raise EngineError("bad_option", "the live login names no database for table %s" % table, option="database")
        return dict(zip(tables, self._client.checksums(names, self._jobs)))

    def version(self):
        return self._client.ask("SELECT VERSION();")[0][0]


def string(text):
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "''")


def place_of(login):
    """An option file's words for a login."""
    socket = login.get("unix_socket")
    place = {"user": login.get("user"), "password": login.get("password")}
    if socket:
        if len(os.fsencode(socket)) > 107:
            raise EngineError(
                "bad_option",
                "login_unix_socket: a socket's path may have 107 bytes: %s" % socket,
                option="login_unix_socket",
            )
        return dict(place, socket=socket, protocol="socket")
    if not login.get("host"):
        return place
    port = login.get("port")
    if port is not None and not 0 < int(port) < 65536:
        raise EngineError("bad_option", "login_port: there is no port %s" % port, option="login_port")
    return dict(place, host=login["host"], port=port, protocol="tcp")


def open_client(scratch, program, place, name, timeout=None):
    """A client whose login lies in a file of that name in the scratch folder."""
    values = [
        "%s=%s" % (key, sql_text.option_value(str(value)))
        for key, value in sorted(place.items())
        if value not in (None, "")
    ]
    path = scratch.write(name + ".cnf", "[client]\n" + "".join(line + "\n" for line in values))
    return Client(scratch, program, path, timeout)


def login_client(scratch, settings, login, name):
    program = Programs.client_only(settings.get("bin_dir")).client
    return open_client(scratch, program, place_of(login), name, settings.get("timeout"))


def is_ours(name):
    return bool(re.match(r"rbd_[0-9a-f]{20}\Z", name))


def drop_scratch(client, name):
    """Drop a database of ours and the account that goes with it."""
    if not is_ours(name):
        raise EngineError("bad_option", "%s is no scratch database" % name)
    _end_sessions(client, name)
    client.ask("DROP DATABASE IF EXISTS %s;" % sql_text.name(name))
    try:
        hosts = client.ask("SELECT HEX(host) FROM mysql.user WHERE user = '%s';" % name)
    except EngineError:
        # It may not look: then it made no account either.
        return
    for (host,) in hosts:
        client.ask("DROP USER %s@%s;" % (string(name), string(sql_text.unhex(host))))


def _end_sessions(client, account):
    """A client that was killed leaves its statement running, which would hold the database."""
    try:
        for (number,) in client.ask("SELECT id FROM information_schema.processlist WHERE user = '%s';" % account):
            client.ask("KILL %d;" % int(number))
    except EngineError:
        # It has just ended by itself, or belongs to an account that this one may not touch.
        return


_SANDBOXES = {}


def _knows_sandbox(program):
    """Whether a client has --sandbox: no command that touches files, whatever the mode."""
    if program not in _SANDBOXES:
        try:
            done = subprocess.run(
                [program, "--no-defaults", "--help"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=20,
                check=False,
            )
            _SANDBOXES[program] = b"--sandbox" in done.stdout
        except (OSError, subprocess.SubprocessError):
            _SANDBOXES[program] = False
    return _SANDBOXES[program]
