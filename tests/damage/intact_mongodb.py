# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Intact backups of MongoDB. No package brings mongodump, so its archive and its folder are written here from what the
real server holds, with the driver's own BSON. The documents go from the server to the file as they are."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .servers import MongoDB
from .shapes import (Bson, Gzip, MongoArchive, MongoMetadata, Stack, Tree, TreeTar, read_folder, tree_as_tar,
                     write_folder)
from .specimen import Shelf, gem

MAGIC = struct.pack("<I", 0x8199E26D)
END = b"\xff\xff\xff\xff"
TOOL_VERSION = "100.9.4"
BLOCK = 16 << 20

CHANGES: dict[str, Callable[[Any], object]] = {
    "rows missing": lambda base: base["order"].delete_one({"_id": 17}),
    "table missing": lambda base: base["наименования"].drop(),
    "text changed": lambda base: base.types.update_one({"_id": "text"}, {"$set": {"v": "planE"}}),
    "bytes changed": lambda base: base.types.update_one({"_id": "binary"}, {"$set": {"v": b"\x00\x01\x4d"}}),
    "type changed": lambda base: base.types.update_one({"_id": "int"}, {"$set": {"v": 1.0}}),
    "old copy": lambda base: (base["order"].delete_many({"_id": {"$gt": 35}}), base.capped.drop()),
    "index missing": lambda base: base["order"].drop_index("by_text"),
    "view missing": lambda base: base.cheap.drop(),
}


def crc64(data: bytes) -> int:
    """CRC-64/ECMA as Go's hash/crc64 makes it, and so does xz, from whose stream it is taken."""
    stream = lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=0)
    if not data:
        return 0
    index = 4 * (struct.unpack_from("<I", stream, len(stream) - 8)[0] + 1)
    return struct.unpack_from("<q", stream, len(stream) - 12 - index - 8)[0]


def fill_odd(base: Any) -> None:
    """Every type, odd names, indexes of all kinds, a view, a capped collection."""
    from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

    base["order"].insert_many({"_id": n, "text": f"line {n}", "value": n * 31} for n in range(1, 41))
    base["order"].create_index([("text", 1), ("value", -1)], name="by_text", unique=True)
    base["order"].create_index([("text", "text")], name="words", default_language="german")
    base["order"].create_index("value", name="sparse", partialFilterExpression={"value": {"$gt": 100}})
    base["наименования"].insert_many({"_id": n, "значение": "値 😀 é"} for n in range(5))
    base["with.dots and spaces/slash"].insert_many({"_id": n} for n in range(3))
    base.types.insert_many([
        {"_id": "text", "v": "plain"}, {"_id": "empty", "v": ""}, {"_id": "backslash", "v": "C:\\new\\\0zero"},
        {"_id": "int", "v": 1}, {"_id": "long", "v": Int64(2**62)}, {"_id": "double", "v": float("nan")},
        {"_id": "minus", "v": -0.0}, {"_id": "decimal", "v": Decimal128("1E-6143")}, {"_id": "binary", "v": b"\x00\x01\xff"},
        {"_id": "uuid", "v": Binary(bytes(16), 4)}, {"_id": "id", "v": ObjectId("0" * 24)}, {"_id": "true", "v": True},
        {"_id": "date", "v": datetime(1969, 12, 31, tzinfo=timezone.utc)}, {"_id": "null", "v": None},
        {"_id": "regex", "v": Regex("a.*", "im")}, {"_id": "code", "v": Code("return 1")},
        {"_id": "scope", "v": Code("x", {"x": 1})}, {"_id": "time", "v": Timestamp(5, 6)}, {"_id": "min", "v": MinKey()},
        {"_id": "max", "v": MaxKey()}, {"_id": "ref", "v": DBRef("order", 1)}, {"_id": "list", "v": [1, [], {}, [None]]},
        {"_id": "deep", "v": {"a": {"b": {"c": {"": "an empty name"}}}}}, {"_id": "long text", "v": "é" * 100000},
        {"_id": {"a": 1, "b": "a compound id"}}, {"_id": "marks", "v": "\xff\xff\xff\xff" + END.hex()},
        {"_id": "mark", "v": END * 3 + b"\x10\x00\x00\x00"}])
    base.types.create_index("gone", expireAfterSeconds=3600 * 24 * 365 * 50)
    base.types.create_index([("$**", 1)], name="all of it")
    base.create_collection("capped", capped=True, size=1 << 20, max=100)
    base.capped.insert_many({"_id": n} for n in range(20))
    base.create_collection("nobody", validator={"$jsonSchema": {"required": ["t"]}})
    base.create_collection("collated", collation={"locale": "de", "strength": 2})
    base.collated.insert_many({"_id": text} for text in ("a", "B", "ü"))
    base.command("create", "cheap", viewOn="order", pipeline=[{"$match": {"value": {"$lt": 300}}}])


def fill(client: Any, thorough: bool) -> None:
    client.one.only.insert_one({"_id": 1, "t": "one"})
    fill_odd(client.odd)
    for number in range(1, 51):
        documents = ({"_id": n, "name": f"name {n * number}", "amount": n * 1.25, "tags": ["a", n % 7]} for n in range(20 + 20 * number))
        client.medium[f"t{number:02}"].insert_many(documents)
    if thorough:
        for start in range(0, 400000, 20000):
            client.big.wide.insert_many({"_id": n, "text": f"{n:08x}" * 50} for n in range(start, start + 20000))


class Collection:
    """One collection or view as mongodump sees it."""

    def __init__(self, base: Any, facts: dict[str, Any]) -> None:
        from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

        self.database, self.name, self.kind = base.name, facts["name"], facts["type"]
        self._base = base
        indexes = [] if self.kind == "view" else list(base.command("listIndexes", self.name)["cursor"]["firstBatch"])
        self.metadata = dumps({
            "options": facts["options"], "indexes": indexes,
            **({"uuid": facts["info"]["uuid"].hex()} if "uuid" in facts["info"] else {}),
            "collectionName": self.name, "type": self.kind}, json_options=CANONICAL_JSON_OPTIONS)

    def documents(self) -> Iterator[bytes]:
        from bson.codec_options import CodecOptions
        from bson.raw_bson import RawBSONDocument

        if self.kind == "view":
            return
        raw = self._base.get_collection(self.name, codec_options=CodecOptions(document_class=RawBSONDocument))
        for document in raw.find(sort=[("$natural", 1)]):
            yield document.raw


def collections(client: Any, databases: tuple[str, ...]) -> list[Collection]:
    from bson.binary import UuidRepresentation
    from bson.codec_options import CodecOptions

    found = []
    for name in databases:
        base = client.get_database(name, codec_options=CodecOptions(uuid_representation=UuidRepresentation.STANDARD))
        for facts in base.command("listCollections")["cursor"]["firstBatch"]:
            if not facts["name"].startswith("system."):
                found.append(Collection(base, facts))
    return sorted(found, key=lambda each: (each.database, each.name))


def archive(found: list[Collection], server_version: str) -> bytes:
    """mongodump --archive: the collections take turns in the body, as they do when several are dumped at once."""
    import bson

    parts = [MAGIC, bson.encode({"concurrent_collections": 4, "version": "0.1", "server_version": server_version,
                                 "tool_version": TOOL_VERSION})]
    parts += [bson.encode({"db": each.database, "collection": each.name, "metadata": each.metadata, "size": 0,
                           "type": each.kind}) for each in found]
    parts.append(END)

    def header(each: Collection, end: bool, check: int) -> bytes:
        return bson.encode({"db": each.database, "collection": each.name, "EOF": end, "CRC": bson.Int64(check)})

    sources = [(each, _slices(each.documents()), []) for each in found if each.kind != "view"]
    while sources:
        for source in list(sources):
            each, slices, sent = source
            piece = next(slices, None)
            if piece is None:
                parts += [header(each, True, crc64(b"".join(sent))), END]
                sources.remove(source)
            else:
                parts += [header(each, False, 0), piece, END]
                sent.append(piece)
    return b"".join(parts)


def _slices(documents: Iterator[bytes]) -> Iterator[bytes]:
    """A block holds many documents, none of them in part."""
    held, size = [], 0
    for document in documents:
        held.append(document)
        size += len(document)
        if size > BLOCK or len(held) == 500:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def folder(found: list[Collection], squeeze: bool) -> Tree:
    """mongodump --out: two files for each collection, one for a view."""
    tree = {}
    for each in found:
        base = f"{each.database}/{quote(each.name, safe='$&+:=@')}"
        files = {f"{base}.metadata.json": each.metadata.encode()}
        if each.kind != "view":
            files[f"{base}.bson"] = b"".join(each.documents())
        for name, content in files.items():
            tree[name + (".gz" if squeeze else "")] = Gzip().wrap(content) if squeeze else content
    return tree


def member_of_folder(name: str) -> Stack:
    squeezed = name.endswith(".gz")
    return Stack((Gzip(),) if squeezed else (), Bson() if ".bson" in name else MongoMetadata())


class Maker:
    def __init__(self, server: MongoDB, client: Any, shelf: Shelf) -> None:
        self.server, self.client, self.shelf = server, client, shelf
        self.version = client.server_info()["version"]

    def write_archive(self, place: Path, databases: tuple[str, ...], name: str) -> Path:
        (place / f"{name}.archive").write_bytes(archive(collections(self.client, databases), self.version))
        return place

    def write_folder(self, place: Path, databases: tuple[str, ...], squeeze: bool = False) -> Path:
        write_folder(place / "dump", folder(collections(self.client, databases), squeeze))
        return place

    def build(self) -> None:
        shelf, thorough = self.shelf, self.shelf.thorough
        for name in ("one", "medium", "odd"):
            where = f"mongodb/{name}/archive"
            changed = {}
            if name == "odd":
                changed = self._changed(where, lambda place: self.write_archive(place, ("odd",), "odd"))
                changed["another database"] = self.write_archive(shelf.place(f"{where}~another database"), ("one",), "odd")
            plain = shelf.put(where, format="archive", place=self.write_archive(shelf.place(where), (name,), name),
                              shape="file", live=self.server.login(name), stack=Stack((), MongoArchive()), changed=changed,
                              deep=True)
            if name == "odd":
                shelf.wrapped(plain, ".gz", (Gzip(),), deep=thorough)
                shelf.parts(shelf.wrapped(plain, ".gz.tar", gem("MongoDB.archive.gz")), 3, drilled=False)
        where = "mongodb/odd/folder"
        made = shelf.put(where, format="folder", place=self.write_folder(shelf.place(where), ("odd",)), shape="folder",
                         live=self.server.login("odd"), member=member_of_folder, deep=True,
                         changed=self._changed(where, lambda place: self.write_folder(place, ("odd",))))
        where = "mongodb/odd/folder-gz"
        shelf.put(where, format="folder-gz", place=self.write_folder(shelf.place(where), ("odd",), True), shape="folder",
                  live=self.server.login("odd"), member=member_of_folder, deep=True, drilled=False)
        where = "mongodb/odd/gem.tar"
        place = shelf.place(where)
        stack = Stack(gem("MongoDB.tar.gz"), TreeTar(member_of_folder))
        (place / "tar").write_bytes(stack.wrap(tree_as_tar(read_folder(made.root), "MongoDB")))
        shelf.put(where, format="gem.tar", place=place, shape="file", live=made.live, stack=stack)
        every = ("one", "medium", "odd")
        where = "mongodb/many/archive"
        shelf.put(where, format="archive", place=self.write_archive(shelf.place(where), every, "many"), shape="file",
                  live=self.server.login(None) if not thorough else None, stack=Stack((), MongoArchive()))
        where = "mongodb/empty/archive"
        shelf.put(where, format="archive", place=self.write_archive(shelf.place(where), (), "empty"), shape="file",
                  live=None, stack=Stack((), MongoArchive()))
        if thorough:
            where = "mongodb/big/archive"
            big = shelf.put(where, format="archive", place=self.write_archive(shelf.place(where), ("big",), "big"),
                            shape="file", live=self.server.login("big"), stack=Stack((), MongoArchive()))
            shelf.wrapped(big, ".gz", (Gzip(),))

    def _changed(self, where: str, make: Callable[[Path], Path]) -> dict[str, Path]:
        found = {}
        for change in self.shelf.choice(CHANGES):
            CHANGES[change](self.client.odd)
            found[change] = make(self.shelf.place(f"{where}~{change}"))
            self.client.drop_database("odd")
            fill_odd(self.client.odd)
        return found


def build(server: MongoDB, shelf: Shelf) -> None:
    with server.client() as client:
        fill(client, shelf.thorough)
        Maker(server, client, shelf).build()
