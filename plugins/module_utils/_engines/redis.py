# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Redis and Valkey: the file is put where a server of our own loads it from when it starts.

The server is a replica of a master that cannot be reached (a port of ours on which nothing listens). A master drops
keys that are past their time while it loads; a replica leaves that to its master, so that all keys of the file stay and
can be counted. It also refuses all writes.

A dump is untrusted input. The server listens on a socket in the scratch folder only, wants a password that stands in a
file of its own, has no modules and no debug commands, cannot save, and looks into every packed value before it believes
it (sanitize-dump-payload). It runs as another user when we are root. Functions in the file are Lua in Redis's own
sandbox, and nothing here calls them.

A server that exists already has numbered databases that all its users share: none of them could be ours alone, so none
is written to. It can be compared with.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import socket
import time

from .._archive._stream import Damaged
from . import _resp
from ._base import Engine, EngineError, find_installations, new_password, path_folders

RDB, AOF = "redis-rdb", "redis-aof"
# RDB version: the first Redis that reads it.
_FIRST = {7: (3, 2), 8: (4, 0), 9: (5, 0), 10: (7, 0), 11: (7, 2), 12: (7, 4), 13: (8, 4)}
# From here on servers are newer than this table, and say themselves what they cannot read.
_UNKNOWN_FROM = (8, 1)
_VALKEY_OWN = 80
_FOLDERS_FROM = (7, 0)
_MANIFEST = ".manifest"
_KEYS_AT_ONCE = 1000
_VALUES_AT_ONCE = 100
_ELEMENTS_AT_ONCE = 2000
# A key that ends within this time (seconds) of the drill's start may be gone on one side when both are compared.
_SOON = 86400
_STARTED = time.time()
# How often a key is asked again whose end cannot be told to the millisecond.
_MOST_TRIES = 50
_DATABASES = 16
_MOST_DATABASES = 16384
_REFUSED_FLAGS = {"write", "admin", "pubsub", "blocking", "noscript", "may_replicate"}
# Harmless commands that servers do not call reading, because they read no key.
_ALSO_READING = {"info", "time", "lastsave", "echo", "ping"}
_PROGRAMS = (
    ("redis", "redis-server", r"(?:Redis server v=|redis-check-rdb )(\d+\.\d+(?:\.\d+)?)"),
    ("valkey", "valkey-server", r"(?:Valkey server v=|valkey-check-rdb )(\d+\.\d+(?:\.\d+)?)"),
)


def _list_of(key, start=0):
    return "LRANGE", key, start, start + _ELEMENTS_AT_ONCE - 1


def _stream_of(key, start=b"-"):
    return "XRANGE", key, start, "+", "COUNT", _ELEMENTS_AT_ONCE


def _dump(key):
    return "DUMP", key


# The first question about a key, by its type.
_FIRST_OF = {
    b"string": lambda key: ("GET", key),
    b"set": lambda key: ("SMEMBERS", key),
    b"hash": lambda key: ("HGETALL", key),
    b"zset": lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
    b"list": _list_of,
    b"stream": _stream_of,
}
# The first word of a refusal for want of rights.
_NOT_ALLOWED = "NOPERM"


class Redis(Engine):
    """One server of our own for one file, or for the files of one append-only folder."""

    name = "redis"
    packages = "redis-server (Debian, Ubuntu) or redis (Fedora), or valkey-server (valkey) in its place"
    formats = frozenset((RDB, AOF))
    users = ("redis", "valkey")

    def __init__(self, scratch, settings):
        super().__init__(scratch, settings)
        self.left_out = []
        self._installation = self._server = self._reader = self._master = self._home = None
        self._emptied = []

    # -- before ------------------------------------------------------------------------------------------------------

    def choose(self, member):
        if self.login:
            raise EngineError(
                "bad_option",
                "login_*: the databases of an existing Redis are numbered and shared, none "
                "could be a scratch database; without these options a server is started",
                option="login_host",
            )
        found = []
        for flavour, program, pattern in _PROGRAMS:
            try:
                some = find_installations(
                    path_folders() + ["/opt/redis/bin", "/opt/valkey/bin"], program, pattern, self.bin_dir
                )
            except EngineError:
                continue
            for each in some:
                each.flavour = flavour
                if os.access(each.program(program), os.X_OK):
                    found.append(each)
        if not found:
            where = " in bin_dir %s" % self.bin_dir if self.bin_dir else " on this host"
            raise EngineError("no_engine", "there is no redis-server%s: install %s" % (where, self.packages))
        fit = [each for each in found if _reads(each, member)]
        if not fit:
            raise EngineError("engine_too_old", _too_old(member, found))
        # The server whose kind has made the file, and of these the newest.
        made_by = "valkey" if (member.details.get("rdb_version") or 0) >= _VALKEY_OWN else "redis"
        self._installation = sorted(fit, key=lambda each: (each.flavour == made_by, each.version))[-1]
        return {"server_version": self.version(), "bin_dir": self._installation.bin_dir}

    def start(self):
        """The server itself reads the file when it starts, so that here is only what it needs."""
        self._home = self.scratch.folder("redis")
        # A port that is ours and on which nothing listens: no connection to it can succeed.
        self._master = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._master.bind(("127.0.0.1", 0))
        except OSError as error:
            raise EngineError("start_failed", "no port of 127.0.0.1 is to be had: %s" % error.strerror) from None

    # -- the restore -------------------------------------------------------------------------------------------------

    def restore(self, job):
        _look_at_memory(job.member)
        if job.member.format == AOF:
            # Databases that commands have chosen, and may have left empty: Redis does not list such ones.
            self._emptied = list(job.member.tables)
        try:
            options = self._place(job)
        except OSError as error:
            code = "no_space" if error.errno in (28, 122) else "restore_failed"
            raise EngineError(code, "cannot put the file where the server reads it: %s" % error.strerror) from None
        self.scratch.give(self._home)
        password = new_password()
        config = self.scratch.write("redis.conf", self._config(options, job.member, password), self._home)
        program = os.path.join(
            self.scratch.programs(self._installation.bin_dir), "%s-server" % self._installation.flavour
        )
        self._server = self.scratch.spawn([program, config], "redis.log")
        connection = self._loaded(password)
        self._reader = Reader(connection, self.timeout)
        self._note_expired()

    def _place(self, job):
        """Put the file or files into the server's folder; the lines of the configuration that name them."""
        if job.member.format == RDB:
            _copy(job, os.path.join(self._home, "dump.rdb"))
            return ["dbfilename dump.rdb", "appendonly no"]
        if job.path is None or not os.path.isdir(job.path):
            _copy(job, os.path.join(self._home, "appendonly.aof"))
            return ["appendonly yes", "appendfilename appendonly.aof", "aof-load-truncated no"]
        lists = [name for name in os.listdir(job.path) if name.endswith(_MANIFEST)]
        if len(lists) != 1:
            raise EngineError("restore_failed", "the folder has %d lists of files (.manifest), not one" % len(lists))
        stem = lists[0][: -len(_MANIFEST)]
        target = os.path.join(self._home, "appendonlydir")
        os.mkdir(target, 0o700)
        for name in os.listdir(job.path):
            path = os.path.join(job.path, name)
            if name.startswith(stem) and os.path.isfile(path) and not os.path.islink(path):
                shutil.copyfile(path, os.path.join(target, name))
        return [
            "appendonly yes",
            "appendfilename %s" % _word(stem),
            "appenddirname appendonlydir",
            "aof-load-truncated no",
        ]

    def _config(self, options, member, password):
        numbers = [int(name[2:]) for _database, name in member.tables if re.match(r"^db\d{1,9}$", name)]
        lines = [
            "port 0",
            "unixsocket %s" % _word(os.path.join(self._home, "s")),
            "unixsocketperm 700",
            "dir %s" % _word(self._home),
            "requirepass %s" % password,
            'save ""',
            "databases %d" % min(_MOST_DATABASES, max(numbers + [_DATABASES - 1]) + 1),
            "daemonize no",
            "rdbchecksum yes",
            "maxmemory %d" % max(self.memory_mb << 20, 2 * int(member.details.get("used_memory") or 0)),
            "maxmemory-policy noeviction",
            "%s 127.0.0.1 %d"
            % ("replicaof" if self._version() >= (5, 0) else "slaveof", self._master.getsockname()[1]),
        ]
        if self._version() >= (6, 2):
            lines.append("sanitize-dump-payload yes")
        if self._version() >= (7, 0):
            lines += ["enable-debug-command no", "enable-module-command no", "enable-protected-configs no"]
        return "\n".join(lines + options) + "\n"

    def _loaded(self, password):
        """A connection to the server, once it has loaded the file."""
        deadline = time.monotonic() + self.timeout if self.timeout else None
        pause = 0.002
        while True:
            if self._server.poll() is not None:
                raise self._why_dead()
            try:
                connection = _resp.Connection(
                    os.path.join(self._home, "s"), password=password, timeout=self.timeout or 3600
                )
            except (OSError, _resp.Refusal):
                pass
            else:
                try:
                    connection.ask("PING")
                    return connection
                except _resp.Refusal as refusal:
                    connection.close()
                    if refusal.word != "LOADING":
                        raise EngineError("start_failed", "the server refuses: %s" % refusal) from None
                except OSError:
                    connection.close()
            if deadline is not None and time.monotonic() > deadline:
                raise EngineError("restore_failed", "the file was not loaded within %s seconds" % self.timeout)
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)

    def _why_dead(self):
        """The error that says why the server ended while it loaded the file."""
        said = self.scratch.dead_server() or "it said nothing"
        newer = re.search(r"Can't handle RDB format version (-?\d+)", said)
        module = re.search(r"no matching module type '([^']*)'|module '?([\w-]+)'? is not loaded", said)
        if newer:
            return EngineError(
                "engine_too_old",
                "the file has version %s of the RDB format, which %s cannot read" % (newer.group(1), self.version()),
            )
        if module:
            return EngineError(
                "unsupported",
                "the file holds data of the module %s, and the scratch server has no modules"
                % (module.group(1) or module.group(2)),
            )
        if re.search(r"Bad directive|FATAL CONFIG", said):
            return EngineError("start_failed", said)
        if self._server.poll() < 0:
            return EngineError("server_died", said)
        lines = [
            line for line in said.splitlines() if re.search(r" # |error|Unexpected|Wrong|truncated|FATAL|Bad ", line)
        ]
        return EngineError("restore_failed", "the server does not load the file: %s" % (" ".join(lines[-4:]) or said))

    def _note_expired(self):
        try:
            about = _info(self._reader.connection.ask("INFO", "persistence"))
        except (OSError, ValueError, _resp.Refusal) as error:
            raise self._gone(error) from None
        dropped = int(about.get("rdb_last_load_keys_expired") or 0)
        if dropped:
            self.left_out.append("%d keys that were past their time when the server loaded the file" % dropped)

    # -- afterwards --------------------------------------------------------------------------------------------------

    def counts(self):
        found = self._alive(self._reader.counts)
        for name in self._emptied:
            found.setdefault(name, 0)
        return found

    def query(self, sql, database=None):
        return self._alive(lambda: self._reader.query(sql, database))

    def checksum(self, table, database=None):
        return self._alive(lambda: self._reader.checksum(table, database))

    def definitions(self):
        return self._alive(self._reader.definitions)

    def _alive(self, question):
        try:
            return question()
        except (OSError, ValueError) as error:
            raise self._gone(error) from None

    def _gone(self, error):
        dead = self.scratch.dead_server(wait=1.0)
        return EngineError("server_died" if dead else "query_failed", dead or "the server does not answer: %s" % error)

    def _version(self):
        """As Redis counts: Valkey's own versions are all newer than Redis 7.2."""
        version = self._installation.version
        return version if self._installation.flavour == "redis" else max(version, (7, 2))

    def version(self):
        installation = self._installation
        numbers = ".".join(map(str, installation.version))
        return numbers if installation.flavour == "redis" else "Valkey " + numbers

    def stop(self):
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._server is not None:
            # There is nothing to be saved, and while a server loads a file it does not obey anything gentler.
            self.scratch.stop_server(self._server, [signal.SIGKILL])
            self._server = None
        if self._master is not None:
            self._master.close()
            self._master = None

    @classmethod
    def live(cls, scratch, settings, login):
        try:
            connection = _resp.Connection(
                login.get("unix_socket"),
                login.get("host"),
                login.get("port"),
                login.get("user"),
                login.get("password"),
                settings.get("timeout") or 3600,
            )
        except (OSError, ValueError, _resp.Refusal) as error:
            raise EngineError("query_failed", "the live Redis: %s" % error) from None
        return _Live(connection, settings.get("timeout"))


class Reader:
    """What is asked of a server that holds the data. OSError and ValueError mean that it does not answer any more."""

    def __init__(self, connection, timeout):
        self.connection, self._timeout = connection, timeout

    def close(self):
        self.connection.close()

    def counts(self):
        """{(None, "db0"): keys}, of the databases that hold any."""
        about = _info(self._ask("INFO", "keyspace"))
        found = {}
        for name, text in about.items():
            match = re.match(r"keys=(\d+)", text)
            if re.match(r"^db\d+$", name) and match:
                found[(None, name)] = int(match.group(1))
        return found

    def query(self, line, database=None):
        """A command that only reads, as redis-cli takes it. ``database``: "db1" or "1"."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise EngineError("query_failed", "the command cannot be taken apart: %s" % error) from None
        if not words:
            raise EngineError("query_failed", "an empty command")
        self._check_reads(words)
        self._ask("SELECT", _number(database))
        answer = self._ask(*words)
        if not isinstance(answer, list):
            return [[_text(answer)]]
        return [[_text(value) for value in row] if isinstance(row, list) else [_text(row)] for row in answer]

    def _check_reads(self, words):
        names = [words[0].lower()]
        if names[0] in _ALSO_READING:
            return
        if len(words) > 1:
            # Commands that consist of two words are known by both.
            names.insert(0, "%s|%s" % (names[0], words[1].lower()))
        about = [each for each in self._ask("COMMAND", "INFO", *names) if each]
        if not about:
            raise EngineError("query_failed", "the server knows no command %s" % words[0])
        flags = {_text(flag) for flag in about[0][2]}
        if "readonly" not in flags or flags & _REFUSED_FLAGS:
            raise EngineError("query_failed", "%s does more than read" % words[0])

    def checksum(self, table, database=None):
        """Over all keys of one database that have no end: those that have one come and go while they are looked at."""
        del database
        self._ask("SELECT", _number(table))
        total = number = 0
        seen, cursor = set(), b"0"
        while True:
            cursor, keys = self._ask("SCAN", cursor, "COUNT", _KEYS_AT_ONCE)
            # A key may come twice. Its hash is kept, not the key.
            fresh = [key for key in keys if _short(key) not in seen]
            seen.update(map(_short, fresh))
            lasting = self._lasting(list(dict.fromkeys(fresh)))
            for start in range(0, len(lasting), _VALUES_AT_ONCE):
                for digest in self._digests(lasting[start : start + _VALUES_AT_ONCE]):
                    total += digest
                    number += 1
            if cursor in (b"0", 0):
                return "%d-%064x" % (number, total % (1 << 256))

    def definitions(self):
        """The libraries of functions, and when the keys of each database end."""
        libraries = self._libraries()
        found = {(None, "function library", name): text for name, text in libraries or ()}
        if libraries is None:
            found[(None, "function library", None)] = None
        for _database, name in self.counts():
            try:
                ends = self._ends(name)
            except EngineError as error:
                if _NOT_ALLOWED not in error.message:
                    raise
                # This user may not ask what time it is there.
                found[(None, "option", None)] = None
                break
            if ends:
                found[(None, "option", "%s keys with a TTL" % name)] = ends
        return found

    def _libraries(self):
        """None where this user may not see them."""
        try:
            answer = self.connection.ask("FUNCTION", "LIST", "WITHCODE")
        except _resp.Refusal as refusal:
            # Servers before Redis 7 have none.
            if "unknown command" in str(refusal).lower():
                return []
            if refusal.word == _NOT_ALLOWED:
                return None
            raise EngineError("query_failed", "Redis: %s" % refusal) from None
        except socket.timeout:
            raise EngineError("query_failed", "no answer within %s seconds" % self._timeout) from None
        return sorted(map(_library, answer))

    def _ends(self, name):
        """A text that is the same where the same keys end at the same time; None where no key has an end. Keys that end
        soon are left out."""
        self._ask("SELECT", _number(name))
        total = number = 0
        seen, cursor = set(), b"0"
        while True:
            cursor, keys = self._ask("SCAN", cursor, "COUNT", _KEYS_AT_ONCE)
            fresh = {_short(key): key for key in keys}
            for key, end in self._ends_of([key for short, key in fresh.items() if short not in seen]):
                if end > (_STARTED + _SOON) * 1000:
                    total += int.from_bytes(hashlib.sha256(_framed(key, b"%d" % end)).digest(), "big")
                    number += 1
            seen.update(fresh)
            if cursor in (b"0", 0):
                return "%d-%064x" % (number, total % (1 << 256)) if number else None

    def _ends_of(self, keys):
        """(key, when it ends in milliseconds since 1970), of the keys that have an end. PEXPIRETIME is of Redis 7: what
        is left is asked between two looks at the server's clock, until both show the same millisecond."""
        for _try in range(_MOST_TRIES):
            if not keys:
                return
            questions = [("TIME",)]
            for key in keys:
                questions += [("PTTL", key), ("TIME",)]
            answers = self._ask_all(questions)
            clocks = [int(seconds) * 1000 + int(micro) // 1000 for seconds, micro in answers[::2]]
            again = []
            for key, left, before, after in zip(keys, answers[1::2], clocks, clocks[1:]):
                if left >= 0 and before != after:
                    again.append(key)
                elif left >= 0:
                    yield key, before + left
            keys = again
        if keys:
            raise EngineError("query_failed", "Redis: the end of %d keys cannot be told exactly" % len(keys))

    def _lasting(self, keys):
        """(key, type) of those that are there and have no end."""
        answers = self._ask_all([("TYPE", key) for key in keys] + [("PTTL", key) for key in keys])
        half = len(keys)
        return [
            (key, kind)
            for key, kind, ends in zip(keys, answers[:half], answers[half:])
            if kind != b"none" and ends == -1
        ]

    def _digests(self, keys):
        firsts = self._ask_all([_FIRST_OF.get(kind, _dump)(key) for key, kind in keys])
        for (key, kind), first in zip(keys, firsts):
            digest = hashlib.sha256(_framed(kind, key))
            for piece in self._value(key, kind, first):
                digest.update(piece)
            yield int.from_bytes(digest.digest(), "big")

    def _value(self, key, kind, first):
        """Bytes that are the same for the same value, whatever the server's version and way to store it. ``first`` is
        the answer to the first question about it, for most kinds all of it."""
        if kind == b"string":
            yield _framed(first or b"")
        elif kind == b"set":
            yield from map(_framed, sorted(first))
        elif kind == b"hash":
            yield from (_framed(*pair) for pair in sorted(zip(first[::2], first[1::2])))
        elif kind == b"zset":
            # Versions print the same number in different ways.
            yield from (
                _framed(name, repr(float(score)).encode()) for name, score in sorted(zip(first[::2], first[1::2]))
            )
        elif kind == b"list":
            start = 0
            while first:
                yield from map(_framed, first)
                start += len(first)
                first = self._ask(*_list_of(key, start)) if len(first) == _ELEMENTS_AT_ONCE else None
        elif kind == b"stream":
            while first:
                yield from (_framed(number, *fields) for number, fields in first)
                first = self._ask(*_stream_of(key, _behind(first[-1][0]))) if len(first) == _ELEMENTS_AT_ONCE else None
        else:
            # Data of a module: as it is dumped, without the version and the checksum behind it.
            yield _framed((first or b"")[:-10])

    def _ask(self, *words):
        try:
            return self.connection.ask(*words)
        except _resp.Refusal as refusal:
            raise EngineError("query_failed", "Redis: %s" % refusal) from None
        except socket.timeout:
            raise EngineError("query_failed", "no answer within %s seconds" % self._timeout) from None

    def _ask_all(self, commands):
        answers = self.connection.ask_all(commands)
        for answer in answers:
            if isinstance(answer, _resp.Refusal):
                raise EngineError("query_failed", "Redis: %s" % answer)
        return answers


class _Live(Reader):
    """The same of a server that is not ours."""

    def definitions(self):
        try:
            return super().definitions()
        except (OSError, ValueError) as error:
            raise EngineError("query_failed", "the live Redis: %s" % error) from None

    def _ask(self, *words):
        try:
            return super()._ask(*words)
        except (OSError, ValueError) as error:
            raise EngineError("query_failed", "the live Redis: %s" % error) from None

    def _ask_all(self, commands):
        try:
            return super()._ask_all(commands)
        except (OSError, ValueError) as error:
            raise EngineError("query_failed", "the live Redis: %s" % error) from None


def _reads(installation, member):
    """Whether these programs read the file; in doubt they may try."""
    wanted = member.details.get("rdb_version")
    version = installation.version
    if member.details.get("files") and installation.flavour == "redis" and version < _FOLDERS_FROM:
        return False
    if not wanted:
        return True
    if installation.flavour == "valkey":
        return wanted <= 11 or wanted >= _VALKEY_OWN and version >= (9,)
    if wanted >= _VALKEY_OWN:
        return False
    if wanted in _FIRST:
        return version >= _FIRST[wanted]
    return wanted < min(_FIRST) or version >= _UNKNOWN_FROM


def _too_old(member, found):
    wanted = member.details.get("rdb_version")
    there = ", ".join("%s %s" % (each.flavour, ".".join(map(str, each.version))) for each in found)
    if not wanted:
        return "a folder of append-only files needs Redis 7.0 or later, and this host has %s" % there
    if wanted >= _VALKEY_OWN:
        needs = "Valkey 9.0 or later"
    elif wanted in _FIRST:
        needs = "Redis %d.%d or later" % _FIRST[wanted]
    else:
        needs = "a newer Redis"
    made = " (made by %s)" % member.server_version if member.server_version else ""
    return "the file has version %d of the RDB format%s and needs %s; this host has %s" % (wanted, made, needs, there)


def _look_at_memory(member):
    """A server that loads more than there is takes others down with it."""
    wanted = int(member.details.get("used_memory") or 0)
    try:
        with open("/proc/meminfo", encoding="ascii") as about:
            free = int(re.search(r"^MemAvailable:\s+(\d+) kB", about.read(), re.MULTILINE).group(1)) << 10
    except (OSError, AttributeError):
        return
    if wanted > free:
        raise EngineError(
            "no_space",
            "the data took %d MiB of memory when they were saved, and this host has %d MiB free"
            % (wanted >> 20, free >> 20),
        )


def _copy(job, path):
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as target:
        if job.path is not None and os.path.isfile(job.path):
            with open(job.path, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
            return
        with job.open() as stream:
            while True:
                try:
                    piece = stream.chunk()
                except Damaged as error:
                    raise EngineError("restore_failed", error.message) from None
                if not piece:
                    return
                target.write(piece)


def _info(answer):
    lines = answer.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _number(database):
    """The number of "db1", "1" or None."""
    text = str(database if database is not None else 0)
    text = text[2:] if text.startswith("db") else text
    if not re.match(r"^\d{1,9}$", text):
        raise EngineError("query_failed", "Redis has databases db0, db1 and so on, not %s" % database)
    return int(text)


def _word(text):
    """A word of the configuration."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def _text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list):
        return " ".join("" if each is None else str(_text(each)) for each in value)
    return None if value is None else str(value)


def _library(about):
    """(name, text) of a library of functions, as FUNCTION LIST tells of it."""
    facts = dict(zip(map(_text, about[::2]), about[1::2]))
    return _text(facts.get("library_name")), "%s: %s" % (_text(facts.get("engine")), _text(facts.get("library_code")))


def _framed(*pieces):
    """Pieces that no other pieces are the same as, once they are behind each other."""
    return b"".join(len(piece).to_bytes(8, "big") + piece for piece in pieces)


def _short(key):
    return hashlib.blake2b(key, digest_size=12).digest()


def _behind(number):
    """The next possible number of an entry in a stream. XRANGE has open intervals only since 6.2."""
    moment, _dash, step = number.partition(b"-")
    return b"%d-%d" % (int(moment), int(step) + 1)
