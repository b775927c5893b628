# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Dumps of MongoDB: mongodump's archive, its folder of .bson and .metadata.json files, and a single .bson file.

An archive announces its collections, then holds pieces of them in any order, and says at the end of each collection
which CRC-64 its documents have. A folder has no checksums: what can be said of it is that every document is whole, and
that nothing stands alone that comes in pairs.

``Member.tables`` has what a restore gives: (database, collection) to documents. A view has None. Of a time series there
is the collection itself with None, because its documents lie packed in buckets, and ``system.buckets.<name>`` with the
number of those. ``Member.details``: ``indexes`` (int, those of _id included), ``views`` and ``time_series`` (lists of
"database.collection"), ``not_restored`` (dict of namespaces to documents: users, roles and settings of the server they
came from), ``oplog_entries`` (int, None without an oplog), ``without_id`` (documents that have none).
"""

from __future__ import annotations

import json
import os
import re
from urllib.parse import unquote_to_bytes

from . import _compressed, bson
from ._crc import Crc64Ecma
from ._report import Report
from ._stream import Damaged, Files

FORMAT = "mongodump-archive"
FOLDER = "mongodump-folder"

MAGIC = (0x8199E26D).to_bytes(4, "little")
# Of the server, not of anybody's data.
SERVERS_OWN = ("admin", "config", "local")
BUCKETS = "system.buckets."
_SYSTEMS_RESTORED = ("system.js",)

# Metadata are options and indexes. What is longer is damage, or meant to use up memory.
_MAX_METADATA = 4 << 20
# How many collections mongodump writes at once: 4, or as asked for.
_MOST_AT_ONCE = 1 << 16
# The names that the tools write.
_HEADER = ("concurrent_collections", "version", "server_version", "tool_version")
_METADATA = ("options", "indexes", "uuid", "collectionName", "type")
_TYPES = ("collection", "view", "timeseries")
_INDEX = (
    "v",
    "key",
    "name",
    "unique",
    "sparse",
    "hidden",
    "background",
    "clustered",
    "collation",
    "expireAfterSeconds",
    "partialFilterExpression",
    "wildcardProjection",
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "2dsphereIndexVersion",
)
_COLLATION = (
    "locale",
    "caseLevel",
    "caseFirst",
    "strength",
    "numericOrdering",
    "alternate",
    "maxVariable",
    "normalization",
    "backwards",
    "version",
)
_NUMBERS = ("$numberInt", "$numberLong", "$numberDouble")
_COMPRESSION = re.compile(r"\.(gz|bz2|xz|zst)$")
# mongodump shortens names that are too long for a file to so many characters, and ends them with a hash.
_SHORTENED = 238
_UUID = re.compile(r"^[0-9a-f]{32}$")


def matches(head, name):
    """An archive of mongodump."""
    return head[:4] == MAGIC


def _whole_number(text):
    """Numbers of thousands of digits would take minutes."""
    if len(text) > 20:
        raise ValueError("a number of %d digits" % len(text))
    return int(text)


def is_restored(database, collection):
    """Whether a restore brings a collection back: not what belongs to the server that it came from."""
    if database in SERVERS_OWN or collection.startswith("$") or not database and collection == "oplog":
        return False
    return not collection.startswith("system.") or collection.startswith(BUCKETS) or collection in _SYSTEMS_RESTORED


def _misspelt(words, known):
    """(a word, the one that it should be) where one bit is another, else None. What else is unknown may be new."""
    for word in words:
        for right in known:
            if word != right and len(word) == len(right):
                others = [ord(one) ^ ord(two) for one, two in zip(word, right) if one != two]
                if len(others) == 1 and others[0] & (others[0] - 1) == 0:
                    return word, right
    return None


def _words_of_index(index):
    """Words that are the tool's, not the user's, each with those that are known in its place."""
    yield index, _INDEX
    if list(index["key"]) == ["_id"]:
        # The server's own, which has this name everywhere.
        yield [index["name"]], ("_id_",)
    if isinstance(index.get("collation"), dict):
        yield index["collation"], _COLLATION
    for number in [index.get("v")] + list(index["key"].values()):
        if isinstance(number, dict):
            yield number, _NUMBERS


class Metadata:
    """What the metadata of one collection say. ``document``: the parsed JSON."""

    def __init__(self, text, where):
        """``text`` is str or bytes. Raises Damaged."""
        if len(text) > _MAX_METADATA:
            raise Damaged("bad_structure", "%s: metadata of %d bytes" % (where, len(text)), None)
        try:
            self.document = json.loads(text if isinstance(text, str) else text.decode("utf-8"), parse_int=_whole_number)
        except UnicodeDecodeError:
            raise Damaged("bad_encoding", "%s: the metadata are not UTF-8" % where, None) from None
        except ValueError as error:
            raise Damaged("bad_structure", "%s: the metadata are not JSON: %s" % (where, error), None) from None
        except RecursionError:
            raise Damaged("bad_structure", "%s: the metadata are nested too deeply" % where, None) from None
        self._check(where)
        self.name = self.document.get("collectionName")
        self.options = self.document.get("options") or {}
        self.indexes = self.document.get("indexes") or []

    def _check(self, where):
        document = self.document
        if not isinstance(document, dict):
            raise Damaged("bad_structure", "%s: the metadata are no object" % where, None)
        wrong = _misspelt(document, _METADATA) or _misspelt([str(document.get("type"))], _TYPES)
        if wrong:
            raise Damaged("bad_structure", "%s: the metadata have %s instead of %s" % ((where,) + wrong), None)
        indexes, uuid = document.get("indexes"), document.get("uuid")
        if not isinstance(document.get("options") or {}, dict):
            raise Damaged("bad_structure", "%s: the collection's options are no object" % where, None)
        if not isinstance(indexes or [], list):
            raise Damaged("bad_structure", "%s: the indexes are no list" % where, None)
        for index in indexes or []:
            if (
                not isinstance(index, dict)
                or not isinstance(index.get("key"), dict)
                or not isinstance(index.get("name"), str)
            ):
                raise Damaged("bad_structure", "%s: an index without a key or a name" % where, None)
            wrong = next(filter(None, (_misspelt(words, known) for words, known in _words_of_index(index))), None)
            if wrong:
                raise Damaged("bad_structure", "%s: an index has %s instead of %s" % ((where,) + wrong), None)
        if not isinstance(document.get("collectionName") or "", str):
            raise Damaged("bad_structure", "%s: the collection's name is no text" % where, None)
        if uuid and not (isinstance(uuid, str) and _UUID.match(uuid)):
            raise Damaged("bad_structure", "%s: the collection's uuid is none" % where, None)

    @property
    def is_view(self):
        return "viewOn" in self.options or self.document.get("type") == "view"

    @property
    def is_time_series(self):
        return "timeseries" in self.options or self.document.get("type") == "timeseries"

    @property
    def needs_id(self):
        """Whether every document has an _id: there is an index of it, or the collection is sorted by it."""
        return "clusteredIndex" in self.options or any(list(index["key"]) == ["_id"] for index in self.indexes)


# -- archives ----------------------------------------------------------------------------------------------------------


class _Collection:
    """One collection of an archive while it is read."""

    def __init__(self, metadata=None, kind=None):
        self.view = bool(metadata and metadata.is_view) or kind == "view"
        self.time_series = bool(metadata and metadata.is_time_series) or kind == "timeseries"
        self.needs_id = bool(metadata and metadata.needs_id)
        self.found, self.crc = bson.Documents(), Crc64Ecma()
        self.begun = self.ended = False


def read(stream, member, report):
    """Read an archive to its last byte."""
    member.format, member.engine = FORMAT, "mongodb"
    _begin(member)
    collections = _announced(stream, member, report)
    while not stream.at_end():
        start = stream.offset
        if all(each.ended or each.view for each in collections.values()):
            if not _is_end_of_view(stream, collections):
                _garbage(stream, member, report)
                break
        _read_piece(stream, collections, member, report, start)
    for name, each in collections.items():
        if not each.ended and not each.view:
            report.problem(
                "incomplete", "the archive ends, but collection %s does not" % _dotted(name), member.name, stream.offset
            )
        _note_collection(name, each, member, report)
    _finish(member)


def _announced(stream, member, report):
    """The collections that the archive's beginning announces: {(database, collection): _Collection}."""
    if stream.read(4) != MAGIC:
        raise Damaged("bad_structure", "does not begin like an archive of mongodump", 0)
    header = _fields(stream, ("version", str), ("server_version", str))
    at_once = header.get("concurrent_collections", 1)
    if not isinstance(at_once, int) or not 0 < at_once <= _MOST_AT_ONCE:
        report.problem("bad_structure", "the header tells of %s collections at once" % at_once, member.name, 4)
    wrong = _misspelt(header, _HEADER)
    if wrong:
        report.problem("bad_structure", "the header has %s instead of %s" % wrong, member.name, 4)
    member.server_version, member.tool, member.tool_version = (
        header["server_version"],
        "mongodump",
        header.get("tool_version"),
    )
    if header["version"] != "0.1":
        raise Damaged("unsupported", "an archive of the unknown version %s" % header["version"], 4)
    collections = {}
    for about, start in _announcements(stream):
        name = (about["db"], about["collection"])
        if name in collections:
            report.problem("duplicate", "collection %s is announced twice" % _dotted(name), member.name, start)
        if len(collections) >= report.limits.max_members:
            raise Damaged("bomb", "announces more than %d collections" % report.limits.max_members, start)
        metadata = None
        if about.get("metadata"):
            try:
                metadata = Metadata(about["metadata"], _dotted(name))
            except Damaged as error:
                report.problem(error.code, error.message, member.name, start)
        if metadata:
            _note_metadata(metadata, name, member)
            if metadata.name and metadata.name != name[1]:
                report.problem(
                    "bad_structure",
                    "collection %s has the metadata of %s" % (_dotted(name), metadata.name),
                    member.name,
                    start,
                )
        collections[name] = _Collection(metadata, about.get("type"))
    return collections


def _announcements(stream):
    """The documents that announce collections, as (fields, offset), and the terminator behind them."""
    while True:
        start = stream.offset
        if stream.peek(4) == bson.TERMINATOR:
            stream.skip(4)
            return
        yield _fields(stream, ("db", str), ("collection", str)), start


def _fields(stream, *needed):
    """One document of the archive itself, with these fields of these types."""
    start = stream.offset
    size = int.from_bytes(stream.peek(4), "little", signed=True)
    if len(stream.peek(4)) == 4 and not 5 <= size <= bson.MAX_DOCUMENT:
        raise Damaged("bad_structure", "a header of %d bytes" % size, start)
    found = bson.fields(stream.read(max(4, size)), start)
    for name, kind in needed:
        if not isinstance(found.get(name), kind):
            raise Damaged("bad_structure", "a header without %s" % name, start)
    return found


def _read_piece(stream, collections, member, report, start):
    """A header, and what it says: documents of a collection, or its end."""
    header = _fields(stream, ("db", str), ("collection", str), ("EOF", bool), ("CRC", int))
    name = (header["db"], header["collection"])
    collection = _find(name, collections)
    if collection is None:
        report.problem(
            "extra_member", "documents of collection %s, which was not announced" % _dotted(name), member.name, start
        )
        collection = collections[name] = _Collection()
    if collection.ended:
        report.problem("duplicate", "collection %s goes on behind its end" % _dotted(name), member.name, start)
    collection.begun = True
    if header["EOF"]:
        collection.ended = True
        if stream.read(4) != bson.TERMINATOR:
            raise Damaged(
                "bad_structure", "documents behind the end of collection %s" % _dotted(name), stream.offset - 4
            )
        if header["CRC"] % (1 << 64) != collection.crc.value:
            report.problem(
                "bad_checksum",
                "collection %s is not what was dumped: its CRC-64 is another" % _dotted(name),
                member.name,
                start,
            )
        return
    if header["CRC"]:
        report.problem(
            "bad_structure",
            "a piece of collection %s with a checksum before its end" % _dotted(name),
            member.name,
            start,
        )
    bson.scan(stream, collection.found, terminated=True, passed=collection.crc.update)
    stream.skip(4)


def _find(name, collections):
    """The collection that a header means. That of a time series may bear the name of its buckets, or not."""
    if name not in collections and name[1].startswith(BUCKETS):
        return collections.get((name[0], name[1][len(BUCKETS) :]))
    return collections.get(name)


def _is_end_of_view(stream, collections):
    """Whether the next header is one of a view that is still open: all that some versions write of it."""
    size = int.from_bytes(stream.peek(4), "little")
    if not 5 <= size <= 1 << 16:
        return False
    try:
        header = bson.fields(stream.peek(size))
    except Damaged:
        return False
    each = collections.get((header.get("db"), header.get("collection")))
    return each is not None and each.view and not each.ended


def _garbage(stream, member, report):
    start = stream.offset
    again = stream.peek(4) == MAGIC
    size = stream.drain()
    report.problem(
        "trailing_garbage",
        "%s behind the end of the last collection (%d bytes)" % ("another archive" if again else "something", size),
        member.name,
        start,
    )


def _note_collection(name, each, member, report):
    if not name[0] and name[1] == "oplog":
        member.details["oplog_entries"] = each.found.number
    elif not is_restored(*name):
        member.details["not_restored"][_dotted(name)] = each.found.number
    elif each.view:
        member.table(name[1], None, name[0])
    elif each.time_series:
        plain = name[1][len(BUCKETS) :] if name[1].startswith(BUCKETS) else name[1]
        member.table(plain, None, name[0])
        member.table(BUCKETS + plain, each.found.number, name[0])
    else:
        member.table(name[1], each.found.number, name[0])
    _judge(each.found, _dotted(name), each.needs_id, member.name, member, report)


def _judge(found, where, needs_id, name, member, report):
    """Problems of documents that are whole."""
    member.details["without_id"] += found.without_id
    if found.bad_texts:
        report.problem(
            "bad_encoding", "%s: %d texts that are not UTF-8" % (where, found.bad_texts), name, found.first_bad_text
        )
    if needs_id and found.without_id:
        report.problem(
            "bad_structure", "%s: %d documents without an _id" % (where, found.without_id), name, found.first_without_id
        )


def _begin(member):
    member.details.update(indexes=0, views=[], time_series=[], not_restored={}, oplog_entries=None, without_id=0)


def _note_metadata(metadata, name, member):
    if name[0] in SERVERS_OWN:
        return
    member.details["indexes"] += len(metadata.indexes)
    if metadata.is_view:
        member.details["views"].append(_dotted(name))
    if metadata.is_time_series:
        member.details["time_series"].append(_dotted(name))


def _finish(member):
    databases = {database for database, _name in member.tables}
    member.database = databases.pop() if len(databases) == 1 else None
    for key in ("views", "time_series"):
        member.details[key].sort()


def _dotted(name):
    return "%s.%s" % name if name[0] else name[1]


# -- folders -----------------------------------------------------------------------------------------------------------


class MongoFolder:
    """The files of one mongodump folder, in any order: entry() for each, finish() after the last.

    Names are paths below some folder. The last folder of a path is the database; a file without one is of the database
    None. Files may be compressed each by itself.
    """

    FORMAT = FOLDER

    def __init__(self, root, report):
        self._report = report
        self._member = report.member(root or ".")
        self._member.format, self._member.engine = FOLDER, "mongodb"
        self._member.plain_bytes = 0
        _begin(self._member)
        # {folder: {file name without suffixes: {"bson": Documents, "bson file": its path, the same for "metadata"}}}
        self._folders = {}

    @staticmethod
    def accepts(name):
        return _kind_of(name) is not None

    @staticmethod
    def root_of(_name):
        """Which folder is the dump's shows when all files are known: oplog.bson may be a collection, too."""
        return ""

    def entry(self, name, stream):
        """Read one file to its end. Raises Damaged, which is about that file alone."""
        kind = _kind_of(name)
        pair = None if kind == "prelude" else self._half_of_pair(kind, name)
        plain, how = _compressed.plain_entry(name, stream, self._report)
        try:
            if kind == "prelude":
                self._prelude(plain, name)
                return
            if how and how.name not in self._member.compression:
                self._member.compression.append(how.name)
            if kind == "bson":
                found = bson.Documents()
                bson.scan(plain, found)
                pair[kind] = found
            else:
                pair[kind] = Metadata(_all_of(plain), name)
        finally:
            self._member.plain_bytes += plain.offset
            if how:
                plain.close()

    def _half_of_pair(self, kind, name):
        folder, _slash, base = _COMPRESSION.sub("", name).rpartition("/")
        stem = base[: -len(".bson" if kind == "bson" else ".metadata.json")]
        pair = self._folders.setdefault(folder, {}).setdefault(stem, {})
        if kind in pair:
            self._report.problem("duplicate", "%s is there twice" % name, name)
        # Noted before it is read: a damaged one is there.
        pair[kind], pair[kind + " file"] = None, name
        return pair

    def finish(self):
        """After the last entry: what belongs together, and what is missing."""
        member, report = self._member, self._report
        parents = {folder.rpartition("/")[0] for folder in self._folders}
        if member.name == "." and len(parents) == 1:
            member.name = parents.pop() or "."
        for folder, pairs in sorted(self._folders.items()):
            database = folder.rpartition("/")[2] or None
            if "oplog" in pairs and self._is_oplog(folder, pairs):
                oplog = pairs.pop("oplog")
                if oplog["bson"]:
                    member.details["oplog_entries"] = oplog["bson"].number
                    _judge(oplog["bson"], "the oplog", False, oplog["bson file"], member, report)
            for stem, pair in sorted(pairs.items()):
                self._finish_pair(database, stem, pair, pairs, report)
        _finish(member)

    def _is_oplog(self, folder, pairs):
        """An oplog has no metadata, and lies beside the folders of the databases."""
        prefix = folder + "/" if folder else ""
        deeper = any(other != folder and other.startswith(prefix) for other in self._folders)
        return "metadata" not in pairs["oplog"] and (deeper or len(pairs) == 1)

    def _prelude(self, stream, name):
        try:
            about = json.loads(_all_of(stream).decode("utf-8"), parse_int=_whole_number)
            server, tool = about["ServerVersion"], about["ToolVersion"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Damaged("bad_structure", "%s: not the JSON of a prelude" % name, None) from None
        self._member.server_version, self._member.tool, self._member.tool_version = str(server), "mongodump", str(tool)

    def _finish_pair(self, database, stem, pair, pairs, report):
        metadata, found = pair.get("metadata"), pair.get("bson")
        name = pair.get("bson file") or pair["metadata file"]
        collection = self._collection(stem, metadata, pair.get("metadata file") or name, report)
        own = database in SERVERS_OWN or collection.startswith("$")
        if metadata:
            _note_metadata(metadata, (database, collection), self._member)
            if metadata.is_view:
                self._member.table(collection, None, database)
                return
            if metadata.is_time_series:
                self._member.table(collection, None, database)
                if "bson" not in pair and BUCKETS + stem not in pairs:
                    report.problem("missing_member", "%s has no %s%s.bson" % (name, BUCKETS, stem), name)
                return
            if "bson" not in pair:
                report.problem("missing_member", "%s has no %s.bson" % (name, stem), name)
                self._member.table(collection, None, database)
                return
        if "metadata" not in pair and not self._stands_alone(collection, stem, pairs, own):
            report.problem("missing_member", "%s has no %s.metadata.json" % (name, stem), name)
        number = found.number if found else None
        if (database, collection) in self._member.tables:
            report.problem("duplicate", "there are two dumps of collection %s" % _dotted((database, collection)), name)
        if not is_restored(database or "restored", collection):
            self._member.details["not_restored"][_dotted((database, collection))] = number
        else:
            self._member.table(collection, number, database)
        if found:
            needs_id = bool(metadata and metadata.needs_id)
            _judge(found, _dotted((database, collection)), needs_id, name, self._member, report)

    @staticmethod
    def _collection(stem, metadata, name, report):
        """The collection's name of a file's name, or of the metadata where the file's was shortened."""
        try:
            collection = unquote_to_bytes(stem).decode("utf-8")
        except UnicodeDecodeError:
            report.problem("bad_encoding", "the name of %s is not UTF-8" % name, name)
            return stem
        told = metadata.name if metadata else None
        if len(stem) == _SHORTENED and "%24" in stem and told:
            return told
        if told and told != collection:
            report.problem("bad_structure", "%s has the metadata of collection %s" % (name, told), name)
        return collection

    @staticmethod
    def _stands_alone(collection, stem, pairs, own):
        """Files of documents that have no metadata: of the server itself, and buckets, whose metadata bear another
        name."""
        if stem.startswith(BUCKETS):
            return stem[len(BUCKETS) :] in pairs
        return own or collection.startswith("system.")


class Single:
    """A .bson file by itself, as a format of its own. Its collection is the file's name, its database the folder's."""

    FORMAT = "bson"

    @staticmethod
    def matches(head, name):
        """By its name, and by a first document that can be one."""
        if not _COMPRESSION.sub("", name).endswith(".bson"):
            return False
        return not head or len(head) >= 5 and 5 <= int.from_bytes(head[:4], "little") <= bson.MAX_DOCUMENT

    @staticmethod
    def read(stream, member, report):
        member.format, member.engine = Single.FORMAT, "mongodb"
        _begin(member)
        found = bson.Documents()
        bson.scan(stream, found)
        database, collection = namespace(member.name)
        member.table(collection, found.number, database)
        _judge(found, _dotted((database, collection)), False, member.name, member, report)
        _finish(member)


def namespace(name):
    """(database or None, collection) of the path of a .bson file."""
    folder, _slash, base = _COMPRESSION.sub("", name).rpartition("/")
    stem = base[: -len(".bson")] if base.endswith(".bson") else base
    return folder.rpartition("/")[2] or None, unquote_to_bytes(stem).decode("utf-8", "replace")


def _kind_of(name):
    base = _COMPRESSION.sub("", name).rpartition("/")[2]
    if base == "prelude.json":
        return "prelude"
    if base.endswith(".metadata.json") and base != ".metadata.json":
        return "metadata"
    return "bson" if base.endswith(".bson") and base != ".bson" else None


def _all_of(stream):
    pieces, size = [], 0
    while True:
        piece = stream.chunk()
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_METADATA:
            raise Damaged("bad_structure", "metadata of more than %d bytes" % _MAX_METADATA, stream.offset)


# -- for a restore -----------------------------------------------------------------------------------------------------


def announced(stream):
    """The collections of an archive: [(database, collection, Metadata or None, kind or None)]. The stream is left where
    batches() begins."""
    if stream.read(4) != MAGIC:
        raise Damaged("bad_structure", "does not begin like an archive of mongodump", 0)
    _fields(stream, ("version", str))
    return [
        (
            about["db"],
            about["collection"],
            Metadata(about["metadata"], _dotted((about["db"], about["collection"]))) if about.get("metadata") else None,
            about.get("type"),
        )
        for about, _start in _announcements(stream)
    ]


def batches(stream, size=4 << 20, number=5000):
    """The documents of an archive behind announced(): (database, collection, [bytes, ...]) again and again, with up to
    ``size`` bytes and ``number`` documents at once. Checksums are looked at: raises Damaged at the first that is wrong.
    """
    crcs = {}
    while not stream.at_end():
        start = stream.offset
        header = _fields(stream, ("db", str), ("collection", str), ("EOF", bool), ("CRC", int))
        name = (header["db"], header["collection"])
        crc = crcs.setdefault(name, Crc64Ecma())
        if not header["EOF"]:
            for batch in grouped(bson.split(stream, terminated=True), size, number):
                crc.update(b"".join(batch))
                yield name[0], name[1], batch
        elif crcs.pop(name).value != header["CRC"] % (1 << 64):
            raise Damaged("bad_checksum", "collection %s is not what was dumped" % _dotted(name), start)
        if stream.read(4) != bson.TERMINATOR:
            raise Damaged("bad_structure", "a piece of collection %s does not end" % _dotted(name), stream.offset - 4)
    if crcs:
        raise Damaged(
            "incomplete", "the archive ends, but collection %s does not" % _dotted(sorted(crcs)[0]), stream.offset
        )


def files_of_folder(folder):
    """The collections of a folder on a disk: [(database or None, collection, Metadata or None, path of the .bson or
    None)]. Raises Damaged."""
    found = {}
    for place, _folders, names in sorted(os.walk(folder)):
        inside = os.path.relpath(place, folder)
        database = None if inside == os.curdir else os.path.basename(place)
        for name in sorted(names):
            path, kind = os.path.join(place, name), _kind_of(name)
            if kind in ("bson", "metadata") and os.path.isfile(path) and not os.path.islink(path):
                stem = _COMPRESSION.sub("", name)[: -len(".bson" if kind == "bson" else ".metadata.json")]
                found.setdefault((place, database, stem), {})[kind] = path
    collections = []
    for (place, database, stem), pair in found.items():
        metadata = Metadata(_all_of(plain_file(pair["metadata"])), pair["metadata"]) if "metadata" in pair else None
        deeper = any(other != place and other.startswith(place + os.sep) for other, _database, _stem in found)
        if stem == "oplog" and metadata is None and (deeper or len(found) == 1):
            database = ""
        told = metadata.name if metadata and len(stem) == _SHORTENED and "%24" in stem else None
        collections.append(
            (database, told or unquote_to_bytes(stem).decode("utf-8", "replace"), metadata, pair.get("bson"))
        )
    return collections


def plain_file(path):
    """The plain bytes of a file that may be compressed."""
    return _compressed.plain_entry(path, Files([path]), Report())[0]


def grouped(documents, size=4 << 20, number=5000):
    """Documents in lists of up to ``size`` bytes and ``number``."""
    batch, total = [], 0
    for document in documents:
        if batch and (total + len(document) > size or len(batch) >= number):
            yield batch
            batch, total = [], 0
        batch.append(document)
        total += len(document)
    if batch:
        yield batch
