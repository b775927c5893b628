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

import glob
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from .._archive._stream import Damaged
from . import _mysql_definitions as definitions_of
from . import _mysql_filter as dump_filter
from . import _mysql_physical as physical
from . import _mysql_sql as sql_text
from ._base import Engine, EngineError, Installation, find_installations, new_database_name, new_password, path_folders
from ._scratch import Scratch, tail

LOGICAL = frozenset(("mysqldump",))
PHYSICAL = frozenset(("xbstream", "xtrabackup-folder"))

_SERVERS = ("mariadbd", "mysqld")
_CLIENTS = {"mariadb": ("mariadb", "mysql"), "mysql": ("mysql",)}
_INSTALLERS = ("mariadb-install-db", "mysql_install_db")
_BACKUP = {"mariadb": ("mariadb-backup", "mariabackup"), "mysql": ("xtrabackup",)}
_UNPACK = {"mariadb": ("mbstream",), "mysql": ("xbstream",)}
_TITLE = {"mariadb": "MariaDB", "mysql": "MySQL"}
_PACKAGES = "install mariadb-server (Debian, Ubuntu, Fedora) or mysql-server, or name its folder in bin_dir"
_BACKUP_PACKAGES = {
    "mariadb": "install mariadb-backup (Debian, Ubuntu, Fedora)",
    "mysql": "install percona-xtrabackup-80 or the series of the server",
}
_MORE_FOLDERS = (
    "/usr/libexec",
    "/usr/local/libexec",
    "/usr/local/mysql/bin",
    "/usr/local/mariadb/bin",
    "/opt/mysql*/bin",
    "/usr/local/mysql*/bin",
    "/usr/local/mariadb*/bin",
    "/opt/mariadb*/bin",
)
_VERSION = re.compile(r"(?:\b|5\.5\.5-)(\d+)\.(\d+)\.(\d+)")
# MariaDB has MySQL 8's collations from here on.
_NEW_COLLATIONS = (11, 4, 5)

# Denials: the dump asked for what the account of a restore may not do.
_DENIED = frozenset((1044, 1045, 1142, 1143, 1227, 1290, 1370, 1410, 3948, 4166))
_FULL = re.compile(r"ERROR (?:1021|1114) |No space left on device|\(28\b|[Dd]isk (?:is )?full")
_NO_SPACE = re.compile(
    r"[Dd]isk is full|[Dd]isk full|waiting for someone to free|No space left on device|OS error 28\b|Errcode: 28\b"
    r"|with error 28\b|error number is 28\b|Error number 28\b|[Ee]rrno: 28\b"
)
_NOTHING_FREE = 1 << 20
_ERROR_LINE = re.compile(r"^ERROR (\d+) \(\w+\).*|^ERROR at line.*|^ERROR.*", re.M)
_GONE = (2002, 2006, 2013, 2055, 1053, 1927)
_START_SECONDS = 60
_SQL_LIMIT = "1G"


class MysqlEngine(Engine):
    name = "mysql"
    packages = _PACKAGES
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
            self._programs = _Programs.client_only(self.bin_dir)
            return {"server_version": None, "bin_dir": os.path.dirname(self._programs.client), "warnings": []}
        self.installation, warnings = choose_installation(installations(self.bin_dir), member, self._physical)
        self._programs = _Programs(self.installation, self.bin_dir)
        self._programs.need_client()
        if self._physical:
            self._programs.need_backup()
        self.notes.extend(warnings)
        return {
            "server_version": ".".join(map(str, self.installation.version[:3])),
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
            self._make_scratch_database()

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
                "--max-allowed-packet=" + _SQL_LIMIT,
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

    def _client(self, name, place, program=None):
        values = [
            "%s=%s" % (key, sql_text.option_value(str(value)))
            for key, value in sorted(place.items())
            if value not in (None, "")
        ]
        path = self.scratch.write(name + ".cnf", "[client]\n" + "".join(line + "\n" for line in values))
        return Client(self.scratch, program or self._programs.client, path, self.timeout)

    def _make_user(self, place):
        password = new_password() + "-Aa1"
        self._admin.ask(
            "CREATE USER %s@%s IDENTIFIED BY '%s';" % (_string(self._user_name), _string(self._user_host), password)
        )
        self._user = self._client("user", dict(place, user=self._user_name, password=password))

    def _account(self):
        return "%s@%s" % (_string(self._user_name), _string(self._user_host))

    # -- an existing server ---------------------------------------------------------------------------------------

    def _open_login(self):
        login = self.login
        place = _place(login)
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

    def _make_scratch_database(self):
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
            return EngineError("engine_too_old", "%s (%s)" % (_COLLATION_SENTENCE, error.message))
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
            raise _no_fit_for_physical(backup.server_version, [self.installation])

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
            account = "%s@%s" % (_string(user), _string(host))
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
        return _dialect(self.version())

    def roles(self):
        return self._definers

    def version(self):
        if self._admin is None:
            # Nothing runs before a physical backup is unpacked.
            return self.installation.version_text if self.installation else None
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
                _drop_scratch(self._admin, name)
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
                    or not _is_ours(name)
                ):
                    continue
                client = _login_client(scratch, settings, login, "sweep")
                _drop_scratch(client, name)
                Scratch.forget_dead_database(path, name)
                dropped.append(name)
        return dropped


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
            "--max-allowed-packet=" + _SQL_LIMIT,
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
        self._client = _login_client(scratch, settings, login, "live")

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
        return _dialect(self.version())

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


class _Programs:
    """Where the programs of one installation are. Servers are often in another folder than the rest."""

    def __init__(self, installation, chosen=None, client_of=("mariadb", "mysql")):
        self.installation = installation
        self._flavours = [installation.flavour] if installation else list(client_of)
        self._folders = []
        if installation:
            self.server_folder = installation.bin_dir
            self._folders += _neighbours(installation.bin_dir)
        if chosen:
            self._folders = _neighbours(os.path.expanduser(chosen)) + self._folders
        self._folders += folders()
        self.server = (
            next(
                (
                    path
                    for path in (os.path.join(installation.bin_dir, name) for name in _SERVERS)
                    if os.access(path, os.X_OK)
                ),
                None,
            )
            if installation
            else None
        )
        self.client = self._first(sum((_CLIENTS[flavour] for flavour in self._flavours), ()))

    @classmethod
    def client_only(cls, chosen):
        programs = cls(None, chosen)
        if programs.client is None:
            raise EngineError(
                "no_engine",
                "no client (mariadb or mysql) on this host: install mariadb-client (Debian, Ubuntu), "
                "mariadb (Fedora), or name its folder in bin_dir",
            )
        return programs

    def find(self, name):
        return self._first((name,))

    def need_client(self):
        return self.client or self._missing(
            "client",
            _CLIENTS[self.installation.flavour],
            "install mariadb-client (Debian, Ubuntu), mariadb (Fedora), or mysql-client",
        )

    def need_installer(self):
        return self._first(_INSTALLERS) or self._missing("program for new data folders", _INSTALLERS, _PACKAGES)

    def need_backup(self):
        flavour = self.installation.flavour
        return self._first(_BACKUP[flavour]) or self._missing(
            "backup program", _BACKUP[flavour], _BACKUP_PACKAGES[flavour]
        )

    def need_unpack(self):
        flavour = self.installation.flavour
        return self._first(_UNPACK[flavour]) or self._missing(
            "unpacking program", _UNPACK[flavour], _BACKUP_PACKAGES[flavour]
        )

    def _missing(self, what, names, remedy):
        raise EngineError(
            "no_engine",
            "no %s (%s) of %s on this host: %s" % (what, " or ".join(names), _TITLE[self.installation.flavour], remedy),
        )

    def _first(self, names):
        for folder in self._folders:
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and os.access(path, os.X_OK):
                    return path
        return None


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


# -- which server -------------------------------------------------------------------------------------------------

_COLLATION_SENTENCE = (
    "the dump uses collations of MySQL 8 (utf8mb4_0900_...), which MariaDB knows from %d.%d.%d on" % _NEW_COLLATIONS
)


def folders():
    more = [folder for pattern in _MORE_FOLDERS for folder in sorted(glob.glob(pattern))]
    return path_folders() + more


def _neighbours(folder):
    """A folder, and those that distributions and builds put beside it."""
    base = os.path.dirname(folder.rstrip("/"))
    return [folder] + [os.path.join(base, name) for name in ("bin", "sbin", "libexec", "scripts")]


def installations(bin_dir=None):
    """All servers on this host (in ``bin_dir`` and beside it only, if that is given). Raises EngineError for none."""
    places = _neighbours(os.path.expanduser(bin_dir)) if bin_dir else folders()
    found = {}
    for program in _SERVERS:
        for each in find_installations(places, program, r"Ver (\d+\.\d+\.\d+)"):
            each.flavour = "mariadb" if "mariadb" in each.version_text.lower() else "mysql"
            found.setdefault((each.bin_dir, each.version), each)
    if not found and bin_dir:
        raise EngineError(
            "bad_option",
            "bin_dir: %s holds no mariadbd and no mysqld that can be run, and so do bin, sbin and libexec "
            "beside it" % bin_dir,
            option="bin_dir",
        )
    if not found:
        raise EngineError("no_engine", "neither mariadbd nor mysqld on this host: %s" % _PACKAGES)
    return list(found.values())


def parse_version(text):
    """("mariadb" or "mysql", (major, minor, patch)) of what a server says of itself, None for what is no version."""
    if not text:
        return None
    plain = re.sub(r"^5\.5\.5-(?=\d+\.\d+\.\d+-MariaDB)", "", text)
    match = _VERSION.search(plain)
    if match is None:
        return None
    return "mariadb" if "mariadb" in text.lower() else "mysql", tuple(int(number) for number in match.groups())


def _dialect(text):
    version = parse_version(text)
    return text if version is None else "%s %s" % (version[0], _dotted(version[1][:2]))


def choose_installation(found, member, is_physical):
    """(installation, warnings): the server to restore a dump with. Raises EngineError engine_too_old.

    A server of the dump's own kind comes first, and of those the oldest that is not older than the dump: what a dump
    holds was made for such a one. Without a version in the dump the newest.
    """
    wanted = parse_version(member.server_version)
    newest_first = sorted(found, key=lambda each: each.version, reverse=True)
    if wanted is None:
        kind = "mariadb" if "mariadb" in (member.tool or "").lower() else None
        return next((each for each in newest_first if each.flavour == kind), newest_first[0]), []
    flavour, version = wanted
    same = [each for each in newest_first if each.flavour == flavour]
    if is_physical:
        fit = [each for each in same if each.version[:2] == version[:2]]
        if not fit:
            raise _no_fit_for_physical(member.server_version, found)
        return fit[0], []
    fit = [each for each in same if each.version[:2] >= version[:2]]
    if fit:
        return fit[-1], []
    other = [each for each in newest_first if each.flavour != flavour]
    if same and not (other and flavour == "mysql"):
        raise EngineError(
            "engine_too_old",
            "the dump is of %s %s, newer than the newest server found here, %s"
            % (_TITLE[flavour], _dotted(version), _described(same[0])),
        )
    chosen = other[0]
    if chosen.flavour == "mariadb" and version >= (8,) and chosen.version < _NEW_COLLATIONS and _new_collations(member):
        raise EngineError("engine_too_old", "%s; here is %s" % (_COLLATION_SENTENCE, _described(chosen)))
    return chosen, [
        "a dump of %s %s was restored into %s: what only one of them knows may fail or differ"
        % (_TITLE[flavour], _dotted(version), _described(chosen))
    ]


def _new_collations(member):
    return any("_0900_" in str(name) for name in member.details.get("collations") or ())


def _no_fit_for_physical(text, found):
    version = parse_version(text)
    return EngineError(
        "engine_too_old",
        "a physical backup of %s %s needs a server of the same series; found: %s"
        % (_TITLE[version[0]], _dotted(version[1]), ", ".join(map(_described, found))),
    )


def _described(installation: Installation):
    return "%s %s in %s" % (_TITLE[installation.flavour], _dotted(installation.version[:3]), installation.bin_dir)


def _dotted(version):
    return ".".join(map(str, version))


# -- small things -------------------------------------------------------------------------------------------------


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


def _string(text):
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "''")


def _place(login):
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


def _login_client(scratch, settings, login, name):
    programs = _Programs.client_only(settings.get("bin_dir"))
    values = [
        "%s=%s" % (key, sql_text.option_value(str(value)))
        for key, value in sorted(_place(login).items())
        if value not in (None, "")
    ]
    path = scratch.write(name + ".cnf", "[client]\n" + "".join(line + "\n" for line in values))
    return Client(scratch, programs.client, path, settings.get("timeout"))


def _is_ours(name):
    return bool(re.match(r"rbd_[0-9a-f]{20}\Z", name))


def _is_narrow(grant):
    """Whether a line of SHOW GRANTS reaches scratch databases only."""
    if re.match(r"GRANT (?:USAGE|CREATE|SHOW DATABASES)(?:, (?:USAGE|CREATE|SHOW DATABASES))* ON \*\.\* ", grant):
        return True
    match = re.match(r"GRANT .* ON `((?:[^`]|``)*)`\.\* TO ", grant)
    return bool(match and match.group(1).replace("\\", "").startswith("rbd_"))


def _drop_scratch(client, name):
    """Drop a database of ours and the account that goes with it."""
    if not _is_ours(name):
        raise EngineError("bad_option", "%s is no scratch database" % name)
    _end_sessions(client, name)
    client.ask("DROP DATABASE IF EXISTS %s;" % sql_text.name(name))
    try:
        hosts = client.ask("SELECT HEX(host) FROM mysql.user WHERE user = '%s';" % name)
    except EngineError:
        # It may not look: then it made no account either.
        return
    for (host,) in hosts:
        client.ask("DROP USER %s@%s;" % (_string(name), _string(sql_text.unhex(host))))


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
