# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Scratch databases of MariaDB and MySQL.

How a dump is kept from doing harm:

- It is restored by an account of its own, made for it, which has all privileges on the databases that the dump fills,
  and none elsewhere: no FILE, SUPER, PROCESS, SHUTDOWN or CREATE USER, nothing on ``mysql``. So LOAD DATA INFILE, INTO
  OUTFILE, LOAD_FILE, plugins, functions of libraries and global settings are refused by the server itself. When the dump
  is in, the account is left with reading.
- Views, triggers, routines and events become that account's own: their DEFINER is rewritten, and one that should escape
  the rewriting is refused by the server, since the account may set no other.
- The client runs in binary mode, where it knows no commands but DELIMITER, in its sandbox where it has one, without
  LOCAL INFILE, and with /bin/false for a shell.
- The scratch server has an empty folder for plugins and one for files, follows no links, loads nothing, runs no events,
  has no network, and its administrator has a random name and password; accounts that backups brought along are removed.
- The filter (``_mysql_filter``) refuses or leaves out what a restore has no use for before the server sees it.
- On an existing server, all this holds for one new database with a random name. Where the login cannot make an account,
  it must itself be one that can reach nothing else.
- Physical backups: see ``_mysql_physical``.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from contextlib import closing

from .._archive._stream import Damaged
from . import _mysql_definitions as definitions_of
from . import _mysql_filter as dump_filter
from . import _mysql_physical as physical
from . import _mysql_sql as sql_text
from ._base import Engine, EngineError, new_database_name, new_password
from ._mysql_client import PACKET, Live, drop_scratch, is_ours, login_client, open_client, place_of, string
from ._mysql_programs import (
    COLLATIONS,
    PACKAGES,
    Programs,
    choose_installation,
    dialect_of,
    dotted,
    installations,
    no_fit_for_physical,
    parse_version,
)
from ._scratch import Scratch, tail

LOGICAL = frozenset(("mysqldump",))
PHYSICAL = frozenset(("xbstream", "xtrabackup-folder"))

# Denials: the dump asked for what the account of a restore may not do.
_DENIED = frozenset((1044, 1045, 1142, 1143, 1227, 1290, 1370, 1410, 3948, 4166))
_FULL = re.compile(r"ERROR (?:1021|1114) |No space left on device|\(28\b|[Dd]isk (?:is )?full")
_NO_SPACE = re.compile(
    r"[Dd]isk is full|[Dd]isk full|waiting for someone to free|No space left on device|OS error 28\b|Errcode: 28\b"
    r"|with error 28\b|error number is 28\b|Error number 28\b|[Ee]rrno: 28\b"
)
_NOTHING_FREE = 1 << 20
_GONE = (2002, 2006, 2013, 2055, 1053, 1927)
_START_SECONDS = 60


class MysqlEngine(Engine):
    name = "mysql"
    packages = PACKAGES
    formats = LOGICAL | PHYSICAL

    def __init__(self, scratch, settings):
        super().__init__(scratch, settings)
        self.installation = None
        # Sentences for the result: what was left out, what is unlike the real thing.
        self.notes = []
        self.left_out = []
        self._definers = set()
        self._programs = None
        self._process = None
        self._full = False
        self._physical = False
        self._admin = self._user = None  # Client
        self._user_name = self._user_host = None
        self._own_user = False
        # Where statements go that name no database; {database on the server: name in the counts}.
        self._scratch_database = None
        self._names = {}
        self._granted = set()
        self._tables = None

    # -- choosing -------------------------------------------------------------------------------------------------

    def choose(self, member):
        self._physical = member.format in PHYSICAL
        if self._physical and self.login:
            raise EngineError(
                "unsupported",
                "a physical backup (%s) is restored into a server of its own only: leave login_* away" % member.format,
            )
        if self.login:
            self._programs = Programs.client_only(self.bin_dir)
            return {"server_version": None, "bin_dir": os.path.dirname(self._programs.client), "warnings": []}
        self.installation, warnings = choose_installation(installations(self.bin_dir), member, self._physical)
        self._programs = Programs(self.installation, self.bin_dir)
        self._programs.need_client()
        if self._physical:
            self._programs.need_backup()
        self.notes.extend(warnings)
        return {
            "server_version": dotted(self.installation.version[:3]),
            "flavour": self.installation.flavour,
            "bin_dir": self.installation.bin_dir,
            "warnings": warnings,
        }

    # -- starting -------------------------------------------------------------------------------------------------

    def start(self):
        if self.login:
            self.sweep_databases(
                self.scratch, {"bin_dir": self.bin_dir}, self.login, os.path.dirname(self.scratch.path)
            )
            self._open_login()
        elif not self._physical:
            folder = self.scratch.folder("data")
            self._initialise(folder)
            self._start_server(folder, ["--innodb-log-file-size=64M"])

    def _initialise(self, folder):
        programs = self._programs
        shared = ["--no-defaults", "--datadir=" + folder, "--innodb-flush-log-at-trx-commit=0"] + self._basedir()
        if self.installation.flavour == "mysql":
            argv = [programs.server, *shared, "--initialize-insecure", "--tmpdir=" + self.scratch.folder("tmp")]
            argv += ["--user=root"] if self._is_root() else []
        else:
            argv = [
                programs.need_installer(),
                *shared,
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                "--innodb-log-file-size=8M",
                "--innodb-doublewrite=0",
                "--loose-aria-log-file-size=8M",
            ]
            argv += ["--user=root"] if self._is_root() else []
        try:
            self.scratch.run(argv, timeout=_START_SECONDS * 2, failure="start_failed")
        except EngineError as error:
            raise EngineError(error.code, "cannot make an empty data folder: %s" % error.message)

    def _start_server(self, folder, more):
        admin, password = "rbd_" + secrets.token_hex(8), new_password()
        socket = os.path.join(self.scratch.path, "s", "s")
        self.scratch.folder("s")
        init = self.scratch.write("init.sql", _first_statements(self.installation.flavour, admin, password))
        memory = max(64, self.memory_mb)
        argv = (
            [
                self._programs.server,
                "--no-defaults",
                "--datadir=" + folder,
                "--socket=" + socket,
                "--pid-file=" + os.path.join(self.scratch.path, "s", "pid"),
                "--tmpdir=" + self.scratch.folder("tmp"),
                "--init-file=" + init,
                "--skip-networking",
                "--skip-name-resolve",
                # Nothing to load, nowhere to write to, no links to follow.
                "--plugin-dir=" + self.scratch.folder("plugins"),
                "--secure-file-priv=" + self.scratch.folder("files"),
                "--local-infile=0",
                "--event-scheduler=OFF",
                "--loose-feedback=OFF",
                "--skip-log-bin",
                "--log-bin-trust-function-creators=1",
                "--max-allowed-packet=" + PACKET,
                # What is lost in a crash is made anew.
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=0",
                "--loose-innodb-flush-neighbors=0",
                "--loose-innodb-buffer-pool-dump-at-shutdown=0",
                "--loose-innodb-buffer-pool-load-at-startup=0",
                "--innodb-buffer-pool-size=%dM" % (memory // 2),
                "--key-buffer-size=%dM" % (memory // 16),
                "--loose-aria-pagecache-buffer-size=%dM" % (memory // 16),
                "--max-connections=%d" % (self.jobs + 16),
                "--performance-schema=OFF",
                # For tables that do not say theirs: one that loses no character.
                "--character-set-server=utf8mb4",
            ]
            + self._basedir()
            + more
        )
        # MySQL 8 follows no links, and warns of the option.
        argv.append("--skip-symbolic-links" if self.installation.flavour == "mariadb" else "--loose-mysqlx=0")
        if self._is_root():
            argv.append("--user=root")
        self._process = self.scratch.spawn(argv, "server.log")
        self._admin = self._client("admin", {"socket": socket, "user": admin, "password": password})
        self._wait_for_server(socket)
        self._user_name, self._user_host, self._own_user = "rbd_" + secrets.token_hex(8), "localhost", True
        self._make_user({"socket": socket})

    def _wait_for_server(self, socket):
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process.poll() is not None:
                raise EngineError(
                    "no_space" if _FULL.search(self._log()) else "start_failed",
                    "the scratch server ended while it started: %s" % self._log(),
                )
            if os.path.exists(socket):
                try:
                    self._admin.ask("SELECT 1;")
                    return
                except EngineError as error:
                    if time.monotonic() > deadline:
                        raise EngineError(
                            "start_failed", "the scratch server does not answer: %s\n%s" % (error.message, self._log())
                        )
            elif time.monotonic() > deadline:
                raise EngineError(
                    "start_failed", "the scratch server did not start within %d s: %s" % (_START_SECONDS, self._log())
                )
            time.sleep(0.02)

    def _disk_is_full(self):
        """Whether the server said so, or had no chance to."""
        try:
            with open(os.path.join(self.scratch.path, "server.log"), "rb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.seek(max(0, stream.tell() - (1 << 18)))
                said = stream.read().decode("utf-8", "replace")
            return bool(_NO_SPACE.search(said)) or shutil.disk_usage(self.scratch.path).free < _NOTHING_FREE
        except OSError:
            return False

    def _log(self):
        return tail(os.path.join(self.scratch.path, "server.log"))

    def _is_root(self):
        return self.scratch.run_as is None and os.geteuid() == 0

    def _basedir(self):
        """Where the server's own files are, when it is not installed where it was built for."""
        base = os.path.dirname(self._programs.server_folder)
        share = [os.path.join(base, "share", name) for name in ("", "mysql", "mariadb")]
        unusual = base not in ("/usr", "/usr/local", "/")
        return ["--basedir=" + base] if unusual and any(os.path.isdir(folder) for folder in share) else []

    def _client(self, name, place):
        return open_client(self.scratch, self._programs.client, place, name, self.timeout)

    def _make_user(self, place):
        password = new_password() + "-Aa1"
        self._admin.ask(
            "CREATE USER %s@%s IDENTIFIED BY '%s';" % (string(self._user_name), string(self._user_host), password)
        )
        self._user = self._client("user", dict(place, user=self._user_name, password=password))

    def _account(self):
        return "%s@%s" % (string(self._user_name), string(self._user_host))

    # -- an existing server ---------------------------------------------------------------------------------------

    def _open_login(self):
        login = self.login
        place = place_of(login)
        self._admin = self._client("login", place)
        rows = self._admin.ask("SELECT CURRENT_USER(), VERSION();", failure="start_failed")
        host = rows[0][0].rpartition("@")[2]
        name = new_database_name()
        # Noted before it is made: a later drill drops what we cannot.
        self.scratch.note_database(self.name, login, name)
        self._scratch_database, self._user_name, self._user_host = name, name, host
        try:
            self._admin.ask("CREATE DATABASE %s CHARACTER SET utf8mb4;" % sql_text.name(name), failure="start_failed")
        except EngineError as error:
            if error.details.get("number"):
                # The server's own word: nothing was made.
                self._scratch_database = None
                self.scratch.forget_database(name)
            raise
        try:
            self._make_user({key: value for key, value in place.items() if key not in ("user", "password")})
            self._admin.ask("GRANT ALL PRIVILEGES ON %s.* TO %s;" % (sql_text.pattern(name), self._account()))
            self._own_user = True
        except EngineError as error:
            self._use_login_itself(error)
        self._names = {name: None}

    def _use_login_itself(self, error):
        """The login can make no account with privileges: then its own must reach nothing but scratch databases."""
        try:
            self._admin.ask("DROP USER IF EXISTS %s;" % self._account())
        except EngineError:
            pass
        wide = [grant for (grant,) in self._admin.ask("SHOW GRANTS;") if not _is_narrow(grant)]
        if wide:
            raise EngineError(
                "bad_option",
                "login_user may not make an account for the restore (%s), and can itself reach other databases, which a dump "
                "must not: grant it CREATE USER and GRANT OPTION, or nothing but ALL PRIVILEGES ON `rbd\\_%%`.*"
                % error.message,
                option="login_user",
            )
        self._user = self._admin
        self.notes.append("restored by login_user itself, which may make no other account")

    # -- restoring ------------------------------------------------------------------------------------------------

    def restore(self, job):
        if self._physical:
            self._restore_physical(job)
        else:
            self._restore_dump(job)

    def _make_scratch_database(self, member):
        """For statements that name no database. Those of a dump may name the one that they are from all the same, as the
        default of a column that takes a number from a sequence does."""
        name = member.database
        if not name or member.details.get("databases") or name.lower() in dump_filter.SYSTEM_DATABASES:
            name = None
        self._scratch_database = name or new_database_name()
        try:
            self._enter(self._scratch_database, True)
        except EngineError:
            if name is None:
                raise
            # Whatever the dump says, the server takes no such name.
            self._scratch_database = new_database_name()
            self._enter(self._scratch_database, True)
        self._names = {self._scratch_database: None}

    def _enter(self, database, make):
        """Let the restoring account into one more database of our own server; ``make`` it, too, if it is not there."""
        if database in self._granted:
            return
        self._granted.add(database)
        script = "GRANT ALL PRIVILEGES ON %s.* TO %s;" % (sql_text.pattern(database), self._account())
        if make:
            script = "CREATE DATABASE IF NOT EXISTS %s;\n%s" % (sql_text.name(database), script)
        self._admin.ask(script, failure="restore_failed")
        self._names[database] = database

    def _restore_dump(self, job):
        # Only those who read archives know the text; nothing of it is needed to drill something else.
        from .._archive import sql_mysql  # pylint: disable=import-outside-toplevel

        named = {database for database, _table in job.member.tables if database is not None}
        named = [name for name in sorted(named) if name.lower() not in dump_filter.SYSTEM_DATABASES]
        if self.login and len(named) > 1:
            raise dump_filter.several_databases(named)
        target = self._scratch_database if self.login else None
        if not self.login:
            self._make_scratch_database(job.member)
        with closing(job.open()) as stream:
            sent = dump_filter.Filter(sql_mysql.statements(stream), sql_mysql.command, self._enter, target)
            watch = (
                _SpaceWatch(os.path.join(self.scratch.path, "server.log"), self._out_of_space)
                if self._process
                else None
            )
            try:
                self._user.feed(sent, self._scratch_database)
            except Damaged as error:
                where = "" if error.offset is None else " (at byte %d)" % error.offset
                raise EngineError(
                    "unsafe" if error.code.startswith("unsafe") else "restore_failed",
                    "the dump was not restored any further%s: %s" % (where, error.message),
                    offset=error.offset,
                )
            except EngineError as error:
                raise self._explained(error)
            finally:
                if watch:
                    watch.close()
        self.left_out = sent.listed()
        self._definers = {account for account in sent.definers if "@" in account}
        self.notes.extend(sent.notes())
        if self.login and sent.databases:
            self._names = {self._scratch_database: sent.databases[0]}
        self._settle()

    def _settle(self):
        """The dump is in: what is left of the account's privileges is reading."""
        if not self._own_user:
            return
        script = []
        for database in self._names:
            place = sql_text.pattern(database)
            script.append("REVOKE ALL PRIVILEGES ON %s.* FROM %s;" % (place, self._account()))
            script.append("GRANT SELECT, EXECUTE, SHOW VIEW ON %s.* TO %s;" % (place, self._account()))
        self._admin.ask("\n".join(script), failure="restore_failed")

    def _out_of_space(self):
        """A server whose disk is full waits for ever, with some kinds of tables."""
        self._full = True
        if self._process.poll() is None:
            self._process.kill()

    def _explained(self, error):
        """An error of the client, in words that say what it means for a drill."""
        if error.code not in ("restore_failed", "query_failed"):
            return error
        number = error.details.get("number")
        if self._full or _FULL.search(error.message) or (self._process and self._disk_is_full()):
            return EngineError("no_space", "no space left for the scratch database: %s" % error.message)
        if self._process and (number is None or number in _GONE):
            dead = self.scratch.dead_server(wait=2.0)
            if dead:
                return EngineError("server_died", "the scratch server ended in the middle of the restore: %s" % dead)
        if number in _DENIED:
            return EngineError("unsafe", "the dump asks for more than a restore may do: %s" % error.message)
        if number == 1273 and "0900" in error.message:
            return EngineError("engine_too_old", "%s (%s)" % (COLLATIONS, error.message))
        if number == 1419:
            return EngineError(
                "unsupported",
                "the existing server lets only SUPER make triggers and functions while it writes a "
                "binary log: set its log_bin_trust_function_creators, or leave login_* away (%s)" % error.message,
            )
        return error

    # -- physical backups -----------------------------------------------------------------------------------------

    def _restore_physical(self, job):
        jobs = list(job.parents) + [job]
        backups = []
        for number, each in enumerate(jobs):
            folder = self.scratch.folder("b%d" % number if number else "data")
            self._unpack(each, folder)
            backups.append(physical.Backup(folder, each.member.name))
        physical.check_chain(backups)
        for backup in backups:
            self._same_version(backup)
        options = [physical.believe_little(self.scratch, backup.folder) for backup in backups][0]
        data = backups[0].folder
        apply_only = self.installation.flavour == "mysql"
        for number, backup in enumerate(backups):
            argv = [
                self._programs.need_backup(),
                "--prepare",
                "--target-dir=" + data,
                "--use-memory=%dM" % max(64, self.memory_mb // 2),
            ]
            argv += ["--incremental-dir=" + backup.folder] if number else []
            argv += ["--apply-log-only"] if apply_only and number < len(backups) - 1 else []
            physical.run_backup(self.scratch, argv, self.timeout)
        physical.look_over(data)
        if not os.path.isdir(os.path.join(data, "mysql")):
            raise EngineError(
                "unsupported",
                "the backup is of some databases only, and holds no mysql, without which no server starts:"
                " drill a backup of the whole server",
            )
        self._start_server(data, options)
        self._open_restored()

    def _unpack(self, job, folder):
        if job.path is not None and os.path.isdir(job.path):
            physical.copy_folder(job.path, folder)
            self.scratch.give(folder)
        else:
            with closing(job.open()) as stream:
                try:
                    self.scratch.run(
                        [self._programs.need_unpack(), "-x", "-C", folder],
                        feed=physical.checked_pieces(stream),
                        timeout=self.timeout,
                    )
                except Damaged as error:
                    raise EngineError(
                        "restore_failed", "%s: %s" % (job.member.name, error.message), offset=error.offset
                    )
        packed = physical.look_over(folder)
        if packed:
            physical.unpack_files(self.scratch, packed, self._programs.need_backup(), folder, self._programs.find)

    def _same_version(self, backup):
        version = parse_version(backup.server_version)
        if version and (version[0] != self.installation.flavour or version[1][:2] != self.installation.version[:2]):
            raise no_fit_for_physical(backup.server_version, [self.installation])

    def _open_restored(self):
        """All databases in the restored folder; and what their definers could do, which is to read."""
        rows = self._admin.ask("SELECT HEX(schema_name) FROM information_schema.schemata;", failure="restore_failed")
        names = [sql_text.unhex(row[0]) for row in rows]
        self._names = {name: name for name in names if name.lower() not in dump_filter.SYSTEM_DATABASES}
        script = [
            "GRANT SELECT, EXECUTE, SHOW VIEW ON %s.* TO %s;" % (sql_text.pattern(name), self._account())
            for name in self._names
        ]
        if script:
            self._admin.ask("\n".join(script), failure="restore_failed")
        definers = self._admin.ask(
            "SELECT HEX(definer) FROM information_schema.views WHERE table_schema NOT IN ('sys', 'mysql') "
            "UNION SELECT HEX(definer) FROM information_schema.routines WHERE routine_schema NOT IN ('sys', 'mysql');",
            failure="restore_failed",
        )
        for (definer,) in definers:
            user, _at, host = sql_text.unhex(definer).rpartition("@")
            account = "%s@%s" % (string(user), string(host))
            self._admin.ask(
                "\n".join(
                    ["CREATE USER IF NOT EXISTS %s IDENTIFIED BY '%s' ACCOUNT LOCK;" % (account, new_password())]
                    + [
                        "GRANT SELECT, EXECUTE, SHOW VIEW ON %s.* TO %s;" % (sql_text.pattern(name), account)
                        for name in self._names
                    ]
                ),
                failure="restore_failed",
            )

    # -- asserting ------------------------------------------------------------------------------------------------

    def counts(self):
        return dict(self._alive(self._counted))

    def held(self):
        count = self._user.counts
        return self._alive(lambda: count(self._names, self.jobs, history=True, physical=self._physical))

    def query(self, sql, database=None):
        return self._alive(lambda: self._user.query(sql, self._real(database)))

    def checksum(self, table, database=None):
        return self.checksums([(database, table)])[database, table]

    def checksums(self, tables):
        def work():
            names = [(self._real(database), table) for database, table in tables]
            return dict(zip(tables, self._user.checksums(names, self.jobs)))

        return self._alive(work)

    def definitions(self):
        # The account of a restore is left with reading, which shows no triggers.
        found = self._alive(lambda: definitions_of.definitions(self._admin.ask, self._names))
        if self._physical:
            found.update(self._alive(lambda: definitions_of.system_tables(self._admin.ask)))
        return found

    def dialect(self):
        return dialect_of(self.version())

    def roles(self):
        return self._definers

    def version(self):
        if self._admin is None:
            # Nothing runs before a physical backup is unpacked.
            return dotted(self.installation.version[:3]) if self.installation else None
        return self._alive(lambda: self._admin.ask("SELECT VERSION();")[0][0])

    def _alive(self, work):
        if self._admin is None:
            raise EngineError("query_failed", "nothing has been restored yet")
        try:
            return work()
        except EngineError as error:
            dead = self.scratch.dead_server() if self._process else None
            if dead:
                raise EngineError("server_died", "the scratch server ended: %s" % dead)
            raise error

    def _real(self, database):
        """The database that counts() calls so. None: the one without a name, or the only one with tables."""
        if database is None:
            return self._usual()
        for real, named in self._names.items():
            if named == database:
                return real
        raise EngineError(
            "query_failed",
            "there is no database %s in the restored backup; there are: %s"
            % (database, ", ".join(sorted(name for name in self._names.values() if name)) or "none that have a name"),
        )

    def _usual(self):
        named = [real for real in self._names if real != self._scratch_database]
        if len(named) == 1 and not any(database is None for database, _table in self._counted()):
            return named[0]
        return self._scratch_database or next(iter(self._names), None)

    def _counted(self):
        if self._tables is None:
            self._tables = self._user.counts(self._names, self.jobs, physical=self._physical)
        return self._tables

    # -- ending ---------------------------------------------------------------------------------------------------

    def stop(self):
        if self._process is not None:
            # Nothing in it is wanted any more: no time for it to write its pages.
            try:
                self.scratch.stop_server(self._process, signals=[])
            except OSError:
                # It has ended; only the note of that found no space.
                pass
            self._process = None
        if self.login and self._admin is not None and self._scratch_database is not None:
            name, self._scratch_database = self._scratch_database, None
            try:
                drop_scratch(self._admin, name)
            except EngineError as error:
                raise EngineError(
                    error.code,
                    "the scratch database %s could not be dropped, which the next drill on this server will "
                    "try again: %s" % (name, error.message),
                )
            self.scratch.forget_database(name)

    @classmethod
    def live(cls, scratch, settings, login):
        return Live(scratch, settings, login)

    @classmethod
    def sweep_databases(cls, scratch, settings, login, parent=None):
        """Drop what killed drills left on this server; the names."""
        dropped = []
        place = {key: login.get(key) for key in ("host", "port", "unix_socket", "user")}
        for path, marker in Scratch.dead(parent):
            for note in marker["databases"]:
                name = str(note.get("name"))
                if (
                    note.get("engine") != cls.name
                    or any(note.get(key) != place[key] for key in place)
                    or not is_ours(name)
                ):
                    continue
                client = login_client(scratch, settings, login, "sweep")
                drop_scratch(client, name)
                Scratch.forget_dead_database(path, name)
                dropped.append(name)
        return dropped


class _SpaceWatch:
    """Calls back when a log says that the disk is full: a server may wait then, and with it everybody else."""

    def __init__(self, path, full):
        self._path, self._full = path, full
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        while not self._over.wait(1.0):
            if _NO_SPACE.search(tail(self._path)):
                self._full()
                return

    def close(self):
        self._over.set()
        self._thread.join()


def _first_statements(flavour, admin, password):
    """What the server runs before it lets anybody in: no account but ours is left, whatever the data folder brought."""
    account = "'%s'@'localhost'" % admin
    if flavour == "mariadb":
        emptied = ("global_priv", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping")
        lines = ["DELETE FROM mysql.%s;" % table for table in emptied]
    else:
        # The server's own accounts are locked, and only an account with SYSTEM_USER may act as one of them.
        lines = [
            "DELETE FROM mysql.%s WHERE user NOT IN ('mysql.sys', 'mysql.session', 'mysql.infoschema');" % table
            for table in ("user", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "global_grants")
        ]
    lines += [
        "FLUSH PRIVILEGES;",
        "CREATE USER %s IDENTIFIED BY '%s';" % (account, password),
        "GRANT ALL PRIVILEGES ON *.* TO %s WITH GRANT OPTION;" % account,
    ]
    return "".join(line + "\n" for line in lines)


def _is_narrow(grant):
    """Whether a line of SHOW GRANTS reaches scratch databases only."""
    if re.match(r"GRANT (?:USAGE|CREATE|SHOW DATABASES)(?:, (?:USAGE|CREATE|SHOW DATABASES))* ON \*\.\* ", grant):
        return True
    match = re.match(r"GRANT .* ON `((?:[^`]|``)*)`\.\* TO ", grant)
    return bool(match and match.group(1).replace("\\", "").startswith("rbd_"))
