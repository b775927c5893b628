# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""MongoDB: a server of our own, into which mongorestore restores where the host has it, and else we do.

Our own way sends the documents as they stand in the dump, with the options of each collection, and makes its indexes
afterwards. It needs no library. Nothing expires meanwhile: the server's TTL monitor is off.

A dump is untrusted input. The server listens on a socket in a folder of the scratch folder that only its user can
enter, and on no port; JavaScript is off, so that nothing in views, validators or system.js can run; and it runs as
another user when we are root. What belongs to the server that the dump came from (the databases admin, config and
local: users, roles, settings) is left out and listed. Options that configure the storage engine are dropped.

On a server that exists already each database of the dump gets a new one with a name that cannot exist before, noted in
the scratch folder before it is made; views and validators that hold JavaScript are not made there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from glob import glob
from urllib.parse import quote

from .._archive import bson, mongodump
from .._archive._stream import Ahead, Damaged
from . import _mongodb_values as values
from ._base import Engine, EngineError, find_installations, have_program, new_database_name, path_folders
from ._mongodb_wire import Connection, Refusal
from ._scratch import Scratch

_VERSION = r"db version v(\d+\.\d+\.\d+)"
_PLACES = ("/opt/mongodb/bin", "/opt/mongo/bin", "/usr/local/mongodb/bin", "/opt/mongodb*/bin", "/usr/lib/mongodb*/bin")
# Where a package of PyPI puts its server, below a folder of Python's modules.
_WHEEL = os.path.join("fiftyone", "db", "bin")
# The database of what was dumped without one.
_NAMELESS = "restored"
_BATCH_BYTES, _BATCH_NUMBER = 12 << 20, 20000
# What a collection is made with. Others configure the storage engine, or are of old servers.
_OPTIONS = (
    "capped",
    "size",
    "max",
    "validator",
    "validationLevel",
    "validationAction",
    "collation",
    "clusteredIndex",
    "timeseries",
    "expireAfterSeconds",
    "changeStreamPreAndPostImages",
    "viewOn",
    "pipeline",
)
_INDEX_DROPPED = ("ns", "v", "background", "storageEngine", "buildUUID", "ready")
# Of a collection and of an index: what a server says without having been told.
_DEFAULTS = {"validationLevel": "strict", "validationAction": "error"}
_INDEX_VERSIONS = ("textIndexVersion", "2dsphereIndexVersion")
_SCRIPTS = frozenset(("$where", "$function", "$accumulator"))
_WRITING = frozenset(("$out", "$merge"))
_QUERY_KEYS = frozenset(
    ("db", "collection", "filter", "projection", "sort", "skip", "limit", "pipeline", "count", "distinct")
)
_OF_SERVER = mongodump.SERVERS_OWN
_OURS = re.compile(r"^rbd_[0-9a-f]{20}$")
_FAILURES = (OSError, ValueError)


class MongoDB(Engine):
    """One server of our own, or new databases on an existing one."""

    name = "mongodb"
    packages = "mongodb-org-server (MongoDB's own packages for Debian, Ubuntu, Fedora and others)"
    formats = frozenset((mongodump.FORMAT, mongodump.FOLDER, mongodump.Single.FORMAT))
    users = ("mongodb", "mongod")

    def __init__(self, scratch, settings):
        super().__init__(scratch, settings)
        self.left_out = []
        self._installation = self._server = self._connection = self._reader = self._socket = None
        # Databases of the dump: those on the server. And which of these there are by now.
        self._names, self.filled = {}, set()

    # -- before ------------------------------------------------------------------------------------------------------

    def choose(self, member):
        if self.login:
            return {"server_version": None, "bin_dir": None}
        found = find_installations(_folders(), "mongod", _VERSION, self.bin_dir)
        if not found:
            raise EngineError("no_engine", "there is no mongod on this host: install %s" % self.packages)
        wanted = tuple(int(number) for number in re.findall(r"\d+", member.server_version or "")[:2])
        fit = [each for each in found if not wanted or each.version[:2] >= wanted]
        if not fit:
            raise EngineError(
                "engine_too_old",
                "the dump is of MongoDB %s, and the newest server of this host is %s"
                % (member.server_version, ".".join(map(str, found[0].version))),
            )
        # The version that the dump is of, or the next newer one; the newest where the dump does not say.
        self._installation = fit[-1] if wanted else fit[0]
        return {"server_version": self.version(), "bin_dir": self._installation.bin_dir}

    def start(self):
        if self.login:
            self._connection = _log_in(self.login, self.timeout, self.login.get("database"))
            self._sweep_existing()
            return
        home = self.scratch.folder("mongodb")
        self._socket = os.path.join(home, "m.sock")
        data = os.path.join(home, "db")
        os.mkdir(data, 0o700)
        self.scratch.give(data)
        argv = [
            os.path.join(self.scratch.programs(self._installation.bin_dir), "mongod"),
            "--dbpath",
            data,
            "--bind_ip",
            self._socket,
            "--nounixsocket",
            "--filePermissions",
            "0700",
            "--noscripting",
            "--quiet",
            "--wiredTigerCacheSizeGB",
            "%.2f" % max(0.25, self.memory_mb / 1024.0),
        ]
        for parameter in (
            "ttlMonitorEnabled=false",
            "diagnosticDataCollectionEnabled=false",
            "disableLogicalSessionCacheRefresh=true",
        ):
            argv += ["--setParameter", parameter]
        self._server = self.scratch.spawn(argv, "mongod.log")
        self._connection = self._wait()

    def _wait(self):
        deadline = time.monotonic() + (self.timeout or 120)
        while True:
            if self._server.poll() is not None:
                raise EngineError("start_failed", "mongod: %s" % self.scratch.dead_server())
            try:
                return Connection(self._socket, timeout=self.timeout)
            except _FAILURES + (Refusal,) as error:
                if time.monotonic() > deadline:
                    raise EngineError("start_failed", "mongod does not answer: %s" % error) from None
            time.sleep(0.01)

    # -- the restore -------------------------------------------------------------------------------------------------

    def restore(self, job):
        program = None if self.login else self._mongorestore(job)
        if program:
            self._restore_by(program, job)
        else:
            try:
                _Restore(self, job).run()
            except Damaged as error:
                raise EngineError("restore_failed", error.message) from None
            except _FAILURES as error:
                raise self._gone(error) from None
        self._reader = Reader(self._connection, self.timeout, self._shown)

    def _mongorestore(self, job):
        """mongorestore, where it is and takes the dump as it lies there."""
        beside = os.path.join(self.bin_dir, "mongorestore") if self.bin_dir else None
        program = beside if beside and os.access(beside, os.X_OK) else have_program("mongorestore")
        if not program or job.member.format == mongodump.Single.FORMAT:
            return None
        if job.member.format == mongodump.FOLDER:
            kinds = {
                bool(name.endswith(".gz"))
                for _place, _folders, names in os.walk(job.path)
                for name in names
                if ".bson" in name or ".metadata.json" in name
            }
            nested = any(database is None for database, _name, _about, _path in mongodump.files_of_folder(job.path))
            return program if len(kinds) == 1 and not nested else None
        return program

    def _restore_by(self, program, job):
        argv = [
            program,
            "--uri",
            "mongodb://%s" % quote(self._socket, safe=""),
            "--stopOnError",
            "--bypassDocumentValidation",
            "--numParallelCollections",
            str(self.jobs),
        ]
        for database in _OF_SERVER:
            argv += ["--nsExclude", "%s.*" % database]
        if job.member.format == mongodump.FORMAT:
            self.scratch.run(argv + ["--archive"], feed=_chunks(job.open()), timeout=self.timeout)
        else:
            zipped = any(name.endswith(".gz") for _place, _folders, names in os.walk(job.path) for name in names)
            self.scratch.run(argv + (["--gzip"] if zipped else []) + ["--dir", job.path], timeout=self.timeout)
        self._names = {
            each["name"]: each["name"]
            for each in self._connection.ask("admin", {"listDatabases": 1})["databases"]
            if each["name"] not in _OF_SERVER
        }
        self.left_out += [
            "%s (%s documents)" % each for each in sorted(job.member.details.get("not_restored", {}).items())
        ]

    def database_for(self, name):
        """The database on the server for one of the dump, noted before it is made."""
        if name not in self._names:
            if self.login:
                made = new_database_name()
                self.scratch.note_database(self.name, self.login, made)
            else:
                made = name or _NAMELESS
            self._names[name] = made
        return self._names[name]

    # -- afterwards --------------------------------------------------------------------------------------------------

    def counts(self):
        found = {}
        for name, there in self._names.items():
            for collection, rows in self._alive(lambda there=there: self._reader.count_all(there)).items():
                found[(name, collection)] = rows
        return found

    def query(self, sql, database=None):
        return self._alive(lambda: self._reader.query(sql, database))

    def checksum(self, table, database=None):
        return self._alive(lambda: self._reader.checksum(table, database))

    def definitions(self):
        found = {}
        for name, there in self._names.items():
            for (kind, what), text in self._alive(lambda there=there: self._reader.definitions_of(there)).items():
                found[(name, kind, what)] = text
        return found

    def _shown(self, database):
        """The database on the server that a database of the dump has become."""
        if database is None and len(self._names) == 1:
            return next(iter(self._names.values()))
        if database not in self._names:
            raise EngineError(
                "query_failed",
                "there is no database %s in the dump; it has %s"
                % (database, ", ".join(sorted(str(name) for name in self._names)) or "none"),
            )
        return self._names[database]

    def _alive(self, question):
        try:
            return question()
        except _FAILURES as error:
            raise self._gone(error) from None

    def _gone(self, error):
        dead = self.scratch.dead_server(wait=1.0) if self._server is not None else None
        if dead:
            return EngineError("server_died", "mongod: %s" % dead)
        space = getattr(error, "errno", None) in (28, 122)
        return EngineError("no_space" if space else "query_failed", "the server does not answer: %s" % error)

    def version(self):
        if self.login:
            return str(self._connection.ask("admin", {"buildInfo": 1}).get("version"))
        return ".".join(map(str, self._installation.version))

    def stop(self):
        try:
            if self.login and self._connection is not None:
                self._drop_all()
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._server is not None:
                # Nothing in it is wanted any more: no time for it to write its pages.
                self.scratch.stop_server(self._server, signals=[])
                self._server = None

    def _drop_all(self):
        """Drop what was made on an existing server. What cannot be dropped stays in the scratch folder's notes."""
        names, self._names = self._names, {}
        # The connection may have been lost in the middle of an answer.
        connection = _log_in(self.login, self.timeout, self.login.get("database"))
        try:
            for made in names.values():
                if made in self.filled:
                    _drop(connection, made)
                self.scratch.forget_database(made)
        finally:
            connection.close()

    # -- existing servers --------------------------------------------------------------------------------------------

    @classmethod
    def live(cls, scratch, settings, login):
        # The database is the one to look at. Who may log in stands in admin.
        return _Live(_log_in(login, settings.get("timeout"), None), settings.get("timeout"), login.get("database"))

    def _sweep_existing(self):
        try:
            self.sweep_databases(
                self.scratch, {"timeout": self.timeout}, self.login, os.path.dirname(self.scratch.path)
            )
        except EngineError as error:
            self.left_out.append("databases of killed drills could not be dropped: %s" % error.message)

    @classmethod
    def sweep_databases(cls, scratch, settings, login, parent=None):
        """Drop what killed drills left on this server; the names."""
        del scratch
        dropped = []
        place = {key: login.get(key) for key in ("host", "port", "unix_socket", "user")}
        for path, marker in Scratch.dead(parent):
            for note in marker["databases"]:
                name = str(note.get("name"))
                if (
                    note.get("engine") != cls.name
                    or any(note.get(key) != place[key] for key in place)
                    or not _OURS.match(name)
                ):
                    continue
                connection = _log_in(login, settings.get("timeout"), login.get("database"))
                try:
                    _drop(connection, name)
                finally:
                    connection.close()
                Scratch.forget_dead_database(path, name)
                dropped.append(name)
        return dropped


class _Restore:
    """Our own way to restore one dump."""

    def __init__(self, engine, job):
        self._engine, self._job = engine, job
        self._connection = engine._connection  # pylint: disable=protected-access
        self._ours = not engine.login
        self._later = []
        self._left_out = {}
        # Where the documents of a collection go, by (database, collection) of the dump; None: nowhere.
        self._targets = {}

    def run(self):
        form = self._job.member.format
        if form == mongodump.FORMAT:
            self._archive()
        elif form == mongodump.FOLDER:
            self._folder()
        else:
            self._single()
        for step in self._later:
            step()
        self._engine.left_out += ["%s (%d documents)" % each for each in sorted(self._left_out.items())]

    def _archive(self):
        with self._job.open() as opened, Ahead(opened) as stream:
            for database, collection, metadata, kind in mongodump.announced(stream):
                self._make(database, collection, metadata, kind)
            for database, collection, documents in mongodump.batches(stream, _BATCH_BYTES, _BATCH_NUMBER):
                self._insert(database, collection, documents)

    def _folder(self):
        collections = mongodump.files_of_folder(self._job.path)
        # A time series makes the collection of its buckets.
        collections.sort(key=lambda each: each[2] is None)
        for database, collection, metadata, path in collections:
            if not collection.startswith(mongodump.BUCKETS):
                self._make(database, collection, metadata, None)
        for database, collection, _metadata, path in collections:
            if path is not None:
                with Ahead(mongodump.plain_file(path)) as stream:
                    self._insert_all(database, collection, stream)

    def _single(self):
        database, collection = mongodump.namespace(self._job.member.name)
        self._make(database, collection, None, None)
        with self._job.open() as opened, Ahead(opened) as stream:
            self._insert_all(database, collection, stream)

    def _insert_all(self, database, collection, stream):
        for documents in mongodump.grouped(bson.split(stream), _BATCH_BYTES, _BATCH_NUMBER):
            self._insert(database, collection, documents)

    def _make(self, database, collection, metadata, kind):
        """Make a collection, and put off what has to wait for its documents."""
        name = (database, collection)
        if not mongodump.is_restored(database if database is not None else _NAMELESS, collection):
            return
        if not self._ours and collection.startswith("system.") and not collection.startswith(mongodump.BUCKETS):
            return
        options = self._read(metadata.options, name) if metadata else {}
        options = {key: options[key] for key in _OPTIONS if key in options}
        if not self._ours and _names_in(options) & _SCRIPTS:
            if "viewOn" not in options:
                raise EngineError(
                    "unsafe", "%s: its validator holds JavaScript, which may run on an existing server" % _dotted(name)
                )
            self._left_out[_dotted(name)] = 0
            return
        target = self._engine.database_for(database)
        self._targets[name] = (target, collection)
        if "timeseries" in options or kind == "timeseries":
            self._targets[(database, mongodump.BUCKETS + collection)] = (target, mongodump.BUCKETS + collection)
            self._targets[name] = self._targets[(database, mongodump.BUCKETS + collection)]
        create = dict({"create": collection}, **options)
        if "viewOn" in options:
            self._later.append(lambda: self._ask(target, create, name))
            return
        self._ask(target, create, name)
        indexes = [self._read(index, name) for index in metadata.indexes] if metadata else []
        clustered = (
            (options.get("clusteredIndex") or {}).get("name")
            if isinstance(options.get("clusteredIndex"), dict)
            else None
        )
        indexes = [
            {key: index[key] for key in index if key not in _INDEX_DROPPED}
            for index in indexes
            if list(index["key"]) != ["_id"] and index["name"] != clustered
        ]
        if indexes:
            self._later.append(lambda: self._ask(target, {"createIndexes": collection, "indexes": indexes}, name))

    @staticmethod
    def _read(document, name):
        try:
            return values.from_json(document)
        except ValueError as error:
            raise EngineError("restore_failed", "%s: its metadata: %s" % (_dotted(name), error)) from None

    def _insert(self, database, collection, documents):
        name = (database, collection)
        target = self._targets.get(name)
        if target is None:
            self._left_out[_dotted(name)] = self._left_out.get(_dotted(name), 0) + len(documents)
            return
        answer = self._ask(
            target[0],
            {"insert": target[1], "ordered": True, "bypassDocumentValidation": True},
            name,
            ("documents", documents),
        )
        errors = answer.get("writeErrors") or []
        if errors:
            raise EngineError("restore_failed", "%s: %s" % (_dotted(name), errors[0].get("errmsg")))
        if answer.get("n") != len(documents):
            raise EngineError(
                "restore_failed",
                "%s: the server took %s of %d documents" % (_dotted(name), answer.get("n"), len(documents)),
            )

    def _ask(self, database, command, name, documents=None):
        try:
            # Before it is known: an answer may be lost, and the database be there.
            self._engine.filled.add(database)
            return self._connection.ask(database, command, documents)
        except Refusal as refusal:
            if refusal.name == "Unauthorized" and "create" in command:
                self._engine.filled.discard(database)
            code = "no_space" if refusal.name == "OutOfDiskSpace" else "restore_failed"
            raise EngineError(code, "%s: %s" % (_dotted(name), refusal)) from None


class Reader:
    """What is asked of a server that holds the data. OSError and ValueError mean that it does not answer any more."""

    def __init__(self, connection, timeout, database_of):
        self._connection, self._timeout, self._database_of = connection, timeout, database_of

    def count_all(self, database):
        """{collection: documents} of one database. A view has none of its own: None."""
        found = {}
        for about in self._find(database, {"listCollections": 1, "cursor": {}}):
            name = about["name"]
            if mongodump.is_restored(database, name):
                found[name] = None if about.get("type") == "view" else self._count(database, name)
        return found

    def definitions_of(self, database):
        """{(kind, name): text} of the options, views and indexes of one database."""
        found = {}
        for about in list(self._find(database, {"listCollections": 1, "cursor": {}})):
            name, options = about["name"], about.get("options") or {}
            if not mongodump.is_restored(database, name) or name.startswith(mongodump.BUCKETS):
                continue
            text = _text_of_options(options)
            if about.get("type") == "view":
                found[("view", name)] = text
                continue
            if text != "{}":
                found[("options of collection", name)] = text
            for index in self._find(database, {"listIndexes": name, "cursor": {}}):
                if not _is_implied(index, options):
                    found[("index", "%s.%s" % (name, index["name"]))] = _text_of_index(index)
        return found

    def _count(self, database, name):
        pipeline = [{"$group": {"_id": None, "n": {"$sum": 1}}}]
        (answer,) = list(self._find(database, {"aggregate": name, "pipeline": pipeline, "cursor": {}})) or [{"n": 0}]
        return int(answer["n"])

    def query(self, text, database=None):
        """A find, an aggregate, a count or a distinct, as JSON: {"collection": ..., "filter" or "pipeline": ...}."""
        wanted = _parsed(text)
        names = _names_in(wanted)
        for forbidden, what in ((_WRITING, "writes"), (_SCRIPTS, "runs JavaScript")):
            if names & forbidden:
                raise EngineError("query_failed", "%s %s" % (sorted(names & forbidden)[0], what))
        there = self._database_of(wanted.get("db", database))
        limits = {"maxTimeMS": int(self._timeout * 1000)} if self._timeout else {}
        collection, condition = wanted["collection"], wanted.get("filter") or {}
        if "pipeline" in wanted:
            command = dict({"aggregate": collection, "pipeline": wanted["pipeline"], "cursor": {}}, **limits)
            return [_row(document) for document in self._find(there, command)]
        if wanted.get("count"):
            pipeline = [{"$match": condition}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
            command = dict({"aggregate": collection, "pipeline": pipeline, "cursor": {}}, **limits)
            (answer,) = list(self._find(there, command)) or [{"n": 0}]
            return [[values.to_text(answer["n"])]]
        if "distinct" in wanted:
            command = dict({"distinct": collection, "key": wanted["distinct"], "query": condition}, **limits)
            return [[values.to_text(value)] for value in self._ask(there, command)["values"]]
        command = dict({"find": collection, "filter": condition}, **limits)
        command.update({key: wanted[key] for key in ("projection", "sort", "skip", "limit") if key in wanted})
        return [_row(document) for document in self._find(there, command)]

    def checksum(self, table, database=None):
        """The sum of the SHA-256 of all documents, and their number; of a capped collection, where their order counts, the
        SHA-256 of all of them."""
        total = number = 0
        about = list(self._find(self._database_of(database), {"listCollections": 1, "filter": {"name": table}, "cursor": {}}))
        in_order = hashlib.sha256() if about and (about[0].get("options") or {}).get("capped") else None
        for document in self._find(
            self._database_of(database), {"find": table, "batchSize": 10000, "noCursorTimeout": False}, raw=True
        ):
            digest = hashlib.sha256(document).digest()
            if in_order:
                in_order.update(digest)
            total += int.from_bytes(digest, "big")
            number += 1
        if in_order:
            return "%d-%s" % (number, in_order.hexdigest())
        return "%d-%064x" % (number, total % (1 << 256))

    def _find(self, database, command, raw=False):
        try:
            yield from self._connection.find_all(database, command, raw)
        except Refusal as refusal:
            raise EngineError("query_failed", "MongoDB: %s" % refusal) from None

    def _ask(self, database, command):
        try:
            return self._connection.ask(database, command)
        except Refusal as refusal:
            raise EngineError("query_failed", "MongoDB: %s" % refusal) from None


class _Live:
    """A server that is not ours, of which all databases are looked at, or one."""

    def __init__(self, connection, timeout, database):
        self._connection, self._only = connection, database
        self._reader = Reader(connection, timeout, self._name)

    def _name(self, database):
        if not self._only and not database:
            raise EngineError("query_failed", "the live MongoDB: which database? Name it by db in the query")
        return self._only or database

    def counts(self):
        return self._alive(self._counts)

    def _databases(self):
        names = (
            [self._only]
            if self._only
            else [
                each["name"]
                for each in self._connection.ask("admin", {"listDatabases": 1, "nameOnly": True})["databases"]
            ]
        )
        return [name for name in names if name not in _OF_SERVER and not _OURS.match(name)]

    def _counts(self):
        found = {}
        for database in self._databases():
            for name, rows in self._reader.count_all(database).items():
                found[(database, name)] = rows
        return found

    def definitions(self):
        return self._alive(self._definitions)

    def _definitions(self):
        found = {}
        for database in self._databases():
            for (kind, name), text in self._reader.definitions_of(database).items():
                found[(database, kind, name)] = text
        return found

    def query(self, sql, database=None):
        return self._alive(lambda: self._reader.query(sql, database))

    def checksum(self, table, database=None):
        return self._alive(lambda: self._reader.checksum(table, database))

    @staticmethod
    def _alive(question):
        try:
            return question()
        except _FAILURES + (Refusal,) as error:
            raise EngineError("query_failed", "the live MongoDB: %s" % error) from None

    def close(self):
        self._connection.close()


def _folders():
    places = [folder for pattern in _PLACES for folder in sorted(glob(pattern))]
    return path_folders() + places + [os.path.join(folder, _WHEEL) for folder in sys.path if folder]


def _log_in(login, timeout, source):
    try:
        return Connection(
            login.get("unix_socket"),
            login.get("host"),
            login.get("port"),
            login.get("user"),
            login.get("password"),
            source or "admin",
            timeout,
        )
    except _FAILURES + (Refusal,) as error:
        raise EngineError("start_failed", "cannot log in to MongoDB: %s" % error) from None


def _drop(connection, name):
    try:
        connection.ask(name, {"dropDatabase": 1})
    except _FAILURES + (Refusal,) as error:
        raise EngineError("start_failed", "cannot drop the scratch database %s: %s" % (name, error)) from None


def _chunks(stream):
    with stream:
        while True:
            piece = stream.chunk()
            if not piece:
                return
            yield piece


def _parsed(text):
    try:
        wanted = json.loads(text)
        if not isinstance(wanted, dict) or not isinstance(wanted.get("collection"), str):
            raise ValueError("it must be an object with a collection")
        unknown = set(wanted) - _QUERY_KEYS
        if unknown:
            raise ValueError("%s is unknown; known are %s" % (sorted(unknown)[0], ", ".join(sorted(_QUERY_KEYS))))
        if not isinstance(wanted.get("filter", {}), dict) or not isinstance(wanted.get("pipeline", []), list):
            raise ValueError("filter must be an object, and pipeline a list")
        return values.from_json(wanted)
    except (ValueError, RecursionError) as error:
        raise EngineError(
            "query_failed", 'a query of MongoDB is JSON such as {"collection": "orders", "count": true}: %s' % error
        ) from None


def _names_in(value):
    """All names in a document, however deep."""
    found, open_ones = set(), [value]
    while open_ones:
        each = open_ones.pop()
        if isinstance(each, dict):
            found.update(each)
            open_ones.extend(each.values())
        elif isinstance(each, list):
            open_ones.extend(each)
    return found


def _row(document):
    return [values.to_text(value) for value in document.values()]


def _text_of_options(options):
    """The options of a collection or view, the same for what means the same."""
    kept = {key: options[key] for key in _OPTIONS if key in options and options[key] != _DEFAULTS.get(key, False)}
    series = kept.get("timeseries")
    if isinstance(series, dict) and "granularity" in series:
        # The span of a bucket follows from it, and newer servers say it.
        kept["timeseries"] = {key: series[key] for key in series if key != "bucketMaxSpanSeconds"}
    if isinstance(kept.get("clusteredIndex"), dict):
        kept["clusteredIndex"] = _without(kept["clusteredIndex"], ("v",))
    if isinstance(kept.get("collation"), dict):
        kept["collation"] = _without(kept["collation"], ("version",))
    return values.to_text(_ordered(kept))


def _text_of_index(index):
    kept = _without(index, _INDEX_DROPPED + _INDEX_VERSIONS + ("name",))
    if isinstance(kept.get("collation"), dict):
        kept["collation"] = _without(kept["collation"], ("version",))
    return values.to_text(_ordered({key: kept[key] for key in kept if kept[key] is not False}))


def _is_implied(index, options):
    """Whether an index comes with its collection: that of _id, the clustered one, and that of a time series, which
    only newer servers make."""
    series = options.get("timeseries") or {}
    own = {series.get("metaField"): 1, series.get("timeField"): 1}
    return list(index["key"]) == ["_id"] or bool(index.get("clustered")) or bool(series) and index["key"] == own


def _without(document, dropped):
    return {key: document[key] for key in document if key not in dropped}


def _ordered(document):
    """By name, with whole numbers alike however they are stored. Below the first level the order may matter."""
    return {key: _alike(document[key]) for key in sorted(document)}


def _alike(value):
    if isinstance(value, dict):
        return {key: _alike(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_alike(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _dotted(name):
    return "%s.%s" % name if name[0] else name[1]
