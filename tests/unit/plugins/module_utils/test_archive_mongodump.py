# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of MongoDB: whole ones are counted, and what is damaged is noticed."""

from __future__ import annotations

import gzip
import json
import struct

import pytest

from ansible_collections.restorable.backups.plugins.module_utils._archive import bson, mongodump
from ansible_collections.restorable.backups.plugins.module_utils._archive._crc import Crc64Ecma
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Limits, Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged

END = b"\xff\xff\xff\xff"


def element(name, value):
    """One element of BSON. Tuples are (type, bytes of the value)."""
    name = name.encode("utf-8") + b"\0"
    if isinstance(value, tuple):
        return bytes([value[0]]) + name + value[1]
    if isinstance(value, bool):
        return b"\x08" + name + bytes([value])
    if isinstance(value, int):
        return (
            b"\x10" + name + struct.pack("<i", value)
            if -(2**31) <= value < 2**31
            else b"\x12" + name + struct.pack("<q", value)
        )
    if isinstance(value, float):
        return b"\x01" + name + struct.pack("<d", value)
    if isinstance(value, str):
        return b"\x02" + name + text(value)
    if isinstance(value, bytes):
        return b"\x05" + name + struct.pack("<i", len(value)) + b"\0" + value
    if isinstance(value, dict):
        return b"\x03" + name + document(value)
    if isinstance(value, list):
        return b"\x04" + name + document({str(at): each for at, each in enumerate(value)})
    assert value is None
    return b"\x0a" + name


def text(value):
    raw = value if isinstance(value, bytes) else value.encode("utf-8")
    return struct.pack("<i", len(raw) + 1) + raw + b"\0"


def document(fields):
    body = b"".join(element(name, value) for name, value in fields.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


EVERY_TYPE = {
    "_id": (0x07, b"123456789012"),
    "double": 1.5,
    "text": "Grüße",
    "long text": "lorem ipsum " * 40,
    "long unicode": "\U0001f600" * 50,
    "empty": "",
    "zero inside": "a\0b",
    "document": {"a": {"b": {}}, "c": []},
    "array": [1, "two", [3.0, None], {"four": 4}],
    "binary": bytes(range(256)),
    "old binary": (0x05, struct.pack("<iB", 7, 2) + struct.pack("<i", 3) + b"abc"),
    "undefined": (0x06, b""),
    "yes": True,
    "no": False,
    "when": (0x09, struct.pack("<q", 1234567890123)),
    "nothing": None,
    "pattern": (0x0B, b"^a.*\xc3\xa9$\0im\0"),
    "plain pattern": (0x0B, b"^a\0\0"),
    "pointer": (0x0C, text("db.c") + b"123456789012"),
    "code": (0x0D, text("return 1")),
    "symbol": (0x0E, text("sym")),
    "scoped": (0x0F, struct.pack("<i", 4 + len(text("x") + document({"y": 1}))) + text("x") + document({"y": 1})),
    "int": -7,
    "long": 2**40,
    "stamp": (0x11, struct.pack("<II", 1, 2)),
    "decimal": (0x13, bytes(16)),
    "least": (0xFF, b""),
    "most": (0x7F, b""),
    "größe": 3,
}


def scan(content, **options):
    found = bson.Documents()
    bson.scan(Bytes(content, **options), found)
    return found


class TestBson:
    def test_every_type_is_walked(self):
        found = scan(document(EVERY_TYPE) * 3)
        assert (found.number, found.size, found.without_id, found.bad_texts) == (3, 3 * len(document(EVERY_TYPE)), 0, 0)

    def test_nothing_is_no_document(self):
        assert scan(b"").number == 0

    @pytest.mark.parametrize("size", [1, 3, 7, 64, 1000])
    def test_wherever_blocks_end(self, size):
        content = b"".join(document({"_id": at, "x": "y" * at}) for at in range(100))
        pieces = [content[at : at + size] for at in range(0, len(content), size)]
        assert scan(b"", pieces=pieces).number == 100
        assert b"".join(bson.split(Bytes(pieces=pieces))) == content

    def test_longer_than_a_window(self):
        content = document({"_id": 1, "x": b"x" * 1_000_000})
        assert scan(content * 2).number == 2
        assert list(bson.split(Bytes(content * 2))) == [content, content]

    def test_the_largest_document_and_one_byte_more(self):
        overhead = len(document({"x": b""}))
        assert scan(document({"x": bytes(bson.MAX_DOCUMENT - overhead)})).number == 1
        with pytest.raises(Damaged) as failure:
            scan(document({"x": bytes(bson.MAX_DOCUMENT - overhead + 1)}))
        assert (failure.value.code, failure.value.offset) == ("bad_structure", 0)

    def test_many_elements_of_one_document(self):
        assert scan(document({"_id": 1, "x": list(range(5000))})).number == 1
        assert scan(document(dict.fromkeys(map(str, range(1001)), True))).without_id == 1

    def test_deep_but_possible_and_too_deep(self):
        def nested(depth):
            inner = document({})
            for _level in range(depth):
                inner = document({"d": (0x03, inner)})
            return inner

        assert scan(nested(250)).number == 1
        with pytest.raises(Damaged, match="levels deep"):
            scan(nested(300))

    def test_code_in_the_scope_of_code_without_end(self):
        scope = document({})
        for _level in range(2000):
            scope = document({"c": (0x0F, struct.pack("<i", 4 + 5 + len(scope)) + text("") + scope)})
        with pytest.raises(Damaged, match="levels deep"):
            scan(scope)

    @pytest.mark.parametrize(
        "content, code",
        [
            (b"\x04\0\0\0\0", "bad_structure"),
            (b"\0\0\0\0", "bad_structure"),
            (b"\xff\xff\xff\xff", "bad_structure"),
            (b"\x05\0\0", "truncated"),
            (b"\x05\0\0\0\x01", "bad_structure"),
            (document({"x": (0x14, b"")}), "bad_structure"),
            (document({"x": (0x08, b"\2")}), "bad_structure"),
            (document({"x": (0x02, struct.pack("<i", 0) + b"\0")}), "bad_structure"),
            (document({"x": (0x02, struct.pack("<i", -1) + b"\0")}), "bad_structure"),
            (document({"x": (0x02, struct.pack("<i", 99) + b"a\0")}), "bad_structure"),
            (document({"x": (0x05, struct.pack("<iB", 99, 0))}), "bad_structure"),
            (document({"x": (0x05, struct.pack("<iB", -1, 0))}), "bad_structure"),
            (document({"x": (0x05, struct.pack("<iB", 7, 2) + struct.pack("<i", 4) + b"abc")}), "bad_structure"),
            (document({"x": (0x03, struct.pack("<i", 99) + b"\0")}), "bad_structure"),
            (document({"x": (0x03, struct.pack("<i", 5) + b"\1")}), "bad_structure"),
            (document({"x": (0x0C, text("a"))}), "bad_structure"),
            (document({"x": (0x0B, b"a\0")}), "bad_structure"),
        ],
    )
    def test_what_cannot_be(self, content, code):
        with pytest.raises(Damaged) as failure:
            scan(document({"_id": 1}) + content)
        assert failure.value.code == code
        assert failure.value.offset >= len(document({"_id": 1}))

    @pytest.mark.parametrize(
        "fields",
        [
            {"x": (0x02, text(b"\xff"))},
            {"x": (0x02, text(b"a" * 100 + b"\xc3"))},
            {"x": (0x0D, text(b"\xff"))},
            {"x": (0x0B, b"\xff\0\0")},
        ],
    )
    def test_texts_that_are_not_utf8_are_counted(self, fields):
        found = scan(document(dict({"_id": 1}, **fields)) * 2)
        assert (found.number, found.bad_texts) == (2, 2)

    def test_ids_are_looked_for(self):
        assert scan(document({"a": 1, "_id": 2})).without_id == 0
        assert scan(document({"a": {"_id": 2}})).without_id == 1
        found = scan(document({"_id": 1}) + document({"b": "_id"}))
        assert (found.without_id, found.first_without_id) == (1, len(document({"_id": 1})))

    def test_fields_of_a_small_document(self):
        assert bson.fields(document({"a": "x", "b": 1, "c": 2**40, "d": True, "e": 0.5, "f": {"g": 1}, "h": None})) == {
            "a": "x",
            "b": 1,
            "c": 2**40,
            "d": True,
            "e": 0.5,
            "f": None,
            "h": None,
        }

    def test_every_truncation(self):
        content = document(EVERY_TYPE)
        for length in range(1, len(content)):
            with pytest.raises(Damaged) as failure:
                scan(content[:length])
            assert failure.value.code == "truncated"

    def test_every_flipped_bit(self):
        """None leads to anything but Damaged, and what is not noticed was in a value or a name."""
        content = document(dict(EVERY_TYPE, **{"long text": "x" * 70, "long unicode": "\xe9" * 9, "binary": b"\0\xff"}))
        unnoticed = 0
        for damaged in flipped(content):
            try:
                scan(damaged)
                unnoticed += 1
            except Damaged:
                pass
        assert unnoticed < 8 * len(content)
        # Lengths and the bytes that end documents are always noticed.
        for at in (0, 1, 2, 3, len(content) - 1):
            for bit in range(8):
                with pytest.raises(Damaged):
                    scan(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])


def flipped(content):
    for at in range(len(content)):
        for bit in range(8):
            yield content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


def squeezed(content):
    """The same at every call: it becomes part of the names of tests, which all workers must agree on."""
    return gzip.compress(content, mtime=0)


def metadata(name, options=None, indexes=None, **more):
    indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}] if indexes is None else indexes
    return json.dumps(
        dict({"options": options or {}, "indexes": indexes, "collectionName": name, "uuid": "0" * 32}, **more)
    )


def announcement(database, name, text_of_it=None, kind="collection"):
    text_of_it = metadata(name) if text_of_it is None else text_of_it
    return document({"db": database, "collection": name, "metadata": text_of_it, "size": 0, "type": kind})


def piece(database, name, documents):
    return (
        document({"db": database, "collection": name, "EOF": False, "CRC": (0x12, bytes(8))})
        + b"".join(documents)
        + END
    )


def ending(database, name, documents, crc=None):
    checksum = Crc64Ecma()
    checksum.update(b"".join(documents))
    value = checksum.value if crc is None else crc
    return document({"db": database, "collection": name, "EOF": True, "CRC": (0x12, struct.pack("<Q", value))}) + END


PRELUDE = mongodump.MAGIC + document(
    {"concurrent_collections": 4, "version": "0.1", "server_version": "6.0.5", "tool_version": "100.7.0"}
)


def archive(collections, pieces=None):
    """An archive of {(database, collection): documents}; ``pieces`` replaces what follows its beginning."""
    content = PRELUDE + b"".join(announcement(*name) for name in collections) + END
    if pieces is None:
        pieces = []
        for name, documents in collections.items():
            pieces += (
                [piece(*name, documents=documents[:2]), piece(*name, documents=documents[2:])]
                if len(documents) > 2
                else [piece(*name, documents=documents)]
            )
            pieces.append(ending(*name, documents=documents))
    return content + b"".join(pieces)


ORDERS = [document({"_id": at, "name": "Jürgen %d" % at}) for at in range(5)]
SHOP = {("shop", "orders"): ORDERS, ("shop", "empty"): [], ("büro", "größen"): ORDERS[:1]}


def read(content, limits=None):
    report = Report(limits)
    member = report.member("dump.archive")
    mongodump.read(Bytes(content), member, report)
    return member, report.problems


def codes(content):
    return [problem["code"] for problem in read(content)[1]]


class TestArchive:
    def test_whole(self):
        content = archive(SHOP)
        assert mongodump.matches(content[:4096], "x")
        member, problems = read(content)
        assert problems == []
        assert member.tables == {("shop", "orders"): 5, ("shop", "empty"): 0, ("büro", "größen"): 1}
        assert (member.format, member.engine, member.database) == ("mongodump-archive", "mongodb", None)
        assert (member.server_version, member.tool, member.tool_version) == ("6.0.5", "mongodump", "100.7.0")
        assert member.details["indexes"] == 3

    def test_pieces_of_collections_in_any_order(self):
        pieces = [
            piece("a", "x", ORDERS[:1]),
            piece("a", "y", ORDERS[2:]),
            piece("a", "x", ORDERS[1:3]),
            ending("a", "x", ORDERS[:3]),
            piece("a", "y", []),
            ending("a", "y", ORDERS[2:]),
        ]
        member, problems = read(archive({("a", "x"): 0, ("a", "y"): 0}, pieces))
        assert (member.tables, problems, member.database) == ({("a", "x"): 3, ("a", "y"): 3}, [], "a")

    def test_nothing_at_all(self):
        member, problems = read(archive({}))
        assert (member.tables, problems) == ({}, [])

    def test_views_oplog_time_series_and_the_servers_own(self):
        view, series = metadata("v", {"viewOn": "x", "pipeline": []}, []), metadata(
            "t", {"timeseries": {"timeField": "at"}}, []
        )
        content = (
            PRELUDE
            + announcement("a", "v", view, "view")
            + announcement("a", "t", series, "timeseries")
            + announcement("admin", "system.version")
            + announcement("", "oplog", "")
            + END
            + piece("a", "system.buckets.t", ORDERS)
            + ending("a", "system.buckets.t", ORDERS)
            + piece("admin", "system.version", ORDERS[:2])
            + ending("admin", "system.version", ORDERS[:2])
            + piece("", "oplog", ORDERS[:3])
            + ending("", "oplog", ORDERS[:3])
        )
        for tail in (b"", piece("a", "v", []) + ending("a", "v", []), ending("a", "v", [])):
            member, problems = read(content + tail)
            assert problems == []
            assert member.tables == {("a", "v"): None, ("a", "t"): None, ("a", "system.buckets.t"): 5}
            assert member.details["not_restored"] == {"admin.system.version": 2}
            assert (member.details["oplog_entries"], member.details["views"]) == (3, ["a.v"])
            assert member.details["time_series"] == ["a.t"]

    def test_rows_missing_although_the_framing_is_whole(self):
        pieces = [piece("a", "x", ORDERS[:-1]), ending("a", "x", ORDERS)]
        assert codes(archive({("a", "x"): 0}, pieces)) == ["bad_checksum"]

    def test_a_collection_that_does_not_end(self):
        pieces = [piece("a", "x", ORDERS), ending("a", "x", ORDERS), piece("a", "y", ORDERS)]
        member, problems = read(archive({("a", "x"): 0, ("a", "y"): 0}, pieces))
        assert [(each["code"], "a.y" in each["message"]) for each in problems] == [("incomplete", True)]

    def test_a_collection_that_is_missing(self):
        pieces = [piece("a", "x", ORDERS), ending("a", "x", ORDERS)]
        assert codes(archive({("a", "x"): 0, ("a", "y"): 0}, pieces)) == ["incomplete"]

    @pytest.mark.parametrize("garbage", [b"\0", b"x" * 1000, archive(SHOP), ending("shop", "orders", [])])
    def test_garbage_behind_it(self, garbage):
        content = archive(SHOP)
        member, problems = read(content + garbage)
        assert [(each["code"], each["offset"]) for each in problems] == [("trailing_garbage", len(content))]

    def test_twice_and_unannounced(self):
        pieces = [
            piece("a", "x", ORDERS),
            ending("a", "x", ORDERS),
            piece("a", "x", []),
            piece("a", "z", []),
            ending("a", "z", []),
            ending("a", "y", []),
        ]
        found = codes(archive({("a", "x"): 0, ("a", "y"): 0}, pieces))
        assert found == ["duplicate", "extra_member"]
        twice = PRELUDE + announcement("a", "x") * 2 + END + piece("a", "x", []) + ending("a", "x", [])
        assert codes(twice) == ["duplicate"]

    def test_metadata_of_another_collection_or_none(self):
        for text_of_it in (
            metadata("other"),
            "{",
            "[]",
            '{"indexes": [{}]}',
            "[" * 100000,
            '{"options": 1}',
            "1" * 5000,
        ):
            content = PRELUDE + announcement("a", "x", text_of_it) + END + piece("a", "x", []) + ending("a", "x", [])
            assert codes(content) == ["bad_structure"]

    def test_documents_that_lost_their_id(self):
        documents = ORDERS + [document({"_ie": 7})]
        pieces = [piece("a", "x", documents), ending("a", "x", documents)]
        assert codes(archive({("a", "x"): 0}, pieces)) == ["bad_structure"]

    def test_more_collections_than_wanted(self):
        with pytest.raises(Damaged) as failure:
            read(archive(SHOP), Limits(max_members=2))
        assert failure.value.code == "bomb"

    def test_another_version(self):
        with pytest.raises(Damaged) as failure:
            read(mongodump.MAGIC + document({"version": "0.2", "server_version": "9"}) + END)
        assert failure.value.code == "unsupported"

    def test_every_truncation_is_noticed(self):
        content = archive(SHOP)
        for length in range(len(content)):
            try:
                found = codes(content[:length])
            except Damaged as error:
                found = [error.code]
            assert found, length

    def test_every_flipped_bit_is_noticed(self):
        """All but those in what only informs: versions, sizes, and the metadata's own texts."""
        content = archive({("a", "x"): ORDERS[:2]})
        informs = content.index(END) + 4
        for at, damaged in enumerate(flipped(content)):
            try:
                found = codes(damaged)
            except Damaged as error:
                found = [error.code]
            assert found or at // 8 < informs, at

    def test_what_a_restore_reads(self):
        stream = Bytes(archive(SHOP))
        told = mongodump.announced(stream)
        assert [(database, name, about.name, kind) for database, name, about, kind in told] == [
            (database, name, name, "collection") for database, name in SHOP
        ]
        back = {}
        for database, name, documents in mongodump.batches(stream, number=2):
            assert len(documents) <= 2
            back.setdefault((database, name), []).extend(documents)
        assert back == {name: documents for name, documents in SHOP.items() if documents}

    @pytest.mark.parametrize(
        "change, code",
        [
            (lambda content: content[:-100], "truncated"),
            (lambda content: content.replace(b"rgen 4", b"rgen 5"), "bad_checksum"),
            (lambda content: content[: content.rindex(document({"db": "a"})[4:12]) - 4], "incomplete"),
        ],
    )
    def test_a_restore_stops_where_the_archive_is_damaged(self, change, code):
        stream = Bytes(change(archive({("a", "x"): ORDERS})))
        mongodump.announced(stream)
        with pytest.raises(Damaged) as failure:
            list(mongodump.batches(stream))
        assert failure.value.code == code


def folder(files):
    report = Report()
    reader = mongodump.MongoFolder("", report)
    member = report.members[0]
    for name, content in files.items():
        assert reader.accepts(name)
        try:
            reader.entry(name, Bytes(content if isinstance(content, bytes) else content.encode("utf-8")))
        except Damaged as error:
            report.damaged(error, name)
    reader.finish()
    return member, report.problems


FILES = {
    "dump/shop/orders.bson.gz": squeezed(b"".join(ORDERS)),
    "dump/shop/orders.metadata.json.gz": squeezed(metadata("orders").encode("utf-8")),
    "dump/shop/gr%C3%B6%C3%9Fen%2F.bson": b"",
    "dump/shop/gr%C3%B6%C3%9Fen%2F.metadata.json": metadata("größen/"),
    "dump/other/x.bson": ORDERS[0],
    "dump/other/x.metadata.json": metadata("x"),
}


class TestFolder:
    def test_whole(self):
        member, problems = folder(FILES)
        assert problems == []
        assert member.tables == {("shop", "orders"): 5, ("shop", "größen/"): 0, ("other", "x"): 1}
        assert (member.format, member.engine, member.details["indexes"]) == ("mongodump-folder", "mongodb", 3)
        assert (member.name, member.compression, member.database) == ("dump", ["gzip"], None)

    def test_two_dumps_of_one_database(self):
        member, problems = folder(dict(FILES, **{"old/other/x.bson": b"", "old/other/x.metadata.json": metadata("x")}))
        assert [(problem["code"], problem["member"]) for problem in problems] == [("duplicate", "old/other/x.bson")]

    def test_files_of_the_server_and_of_special_collections(self):
        member, problems = folder(
            dict(
                FILES,
                **{
                    "dump/oplog.bson": b"".join(ORDERS),
                    "dump/prelude.json": '{"ServerVersion":"6.0.5","ToolVersion":"100.7.0"}',
                    "dump/admin/system.version.bson": ORDERS[0],
                    "dump/admin/system.version.metadata.json": metadata("system.version"),
                    "dump/shop/$admin.system.users.bson": ORDERS[0],
                    "dump/shop/system.js.bson": ORDERS[0],
                    "dump/shop/v.metadata.json": metadata("v", {"viewOn": "orders", "pipeline": []}, []),
                    "dump/shop/t.metadata.json": metadata("t", {"timeseries": {"timeField": "at"}}, []),
                    "dump/shop/system.buckets.t.bson": b"".join(ORDERS),
                },
            )
        )
        assert problems == []
        assert member.details["oplog_entries"] == 5
        assert member.details["not_restored"] == {"admin.system.version": 1, "shop.$admin.system.users": 1}
        assert member.server_version == "6.0.5"
        assert member.tables[("shop", "v")] is member.tables[("shop", "t")] is None
        assert (member.tables[("shop", "system.buckets.t")], member.tables[("shop", "system.js")]) == (5, 1)

    def test_a_collection_may_be_called_oplog(self):
        member, problems = folder({"a/oplog.bson": ORDERS[0], "a/oplog.metadata.json": metadata("oplog")})
        assert (member.tables, problems) == ({("a", "oplog"): 1}, [])

    def test_a_name_that_was_too_long_for_a_file(self):
        long_name = "x" * 250
        stem = "x" * 208 + "%24" + "h" * 27
        member, problems = folder({"a/%s.bson" % stem: ORDERS[0], "a/%s.metadata.json" % stem: metadata(long_name)})
        assert (member.tables, problems) == ({("a", long_name): 1}, [])

    @pytest.mark.parametrize(
        "missing, code",
        [
            ("dump/shop/orders.bson.gz", "missing_member"),
            ("dump/shop/orders.metadata.json.gz", "missing_member"),
        ],
    )
    def test_half_of_a_pair(self, missing, code):
        member, problems = folder({name: content for name, content in FILES.items() if name != missing})
        assert [problem["code"] for problem in problems] == [code]
        assert ("shop", "orders") in member.tables

    def test_buckets_without_their_series_and_the_reverse(self):
        series = metadata("t", {"timeseries": {"timeField": "at"}}, [])
        assert [each["code"] for each in folder({"a/t.metadata.json": series})[1]] == ["missing_member"]
        assert [each["code"] for each in folder({"a/system.buckets.t.bson": ORDERS[0]})[1]] == ["missing_member"]

    @pytest.mark.parametrize(
        "name, content, code",
        [
            ("dump/shop/orders.bson.gz", squeezed(b"".join(ORDERS)[:-1]), "truncated"),
            ("dump/shop/orders.bson.gz", squeezed(ORDERS[0] + document({"ie": 1})), "bad_structure"),
            (
                "dump/shop/orders.bson.gz",
                squeezed(document({"_id": 1, "x": (0x02, text(b"\xff"))})),
                "bad_encoding",
            ),
            ("dump/shop/orders.metadata.json.gz", squeezed(metadata("orders").encode()[:-1]), "bad_structure"),
            ("dump/shop/orders.metadata.json.gz", squeezed(metadata("others").encode()), "bad_structure"),
            ("dump/shop/orders.metadata.json.gz", squeezed(b'{"options": "\xff"}'), "bad_encoding"),
            ("dump/shop/orders.metadata.json.gz", squeezed(b" " * (5 << 20)), "bad_structure"),
            # One bit of a name, and of a word.
            (
                "dump/shop/orders.metadata.json.gz",
                squeezed(metadata("orders").replace("indexes", "indepes").encode()),
                "bad_structure",
            ),
            (
                "dump/shop/orders.metadata.json.gz",
                squeezed(metadata("orders", type="cgllection").encode()),
                "bad_structure",
            ),
            # The tools take what is not compressed as it is; the name says that it should be.
            ("dump/shop/orders.bson.gz", b"".join(ORDERS), "bad_structure"),
            ("dump/shop/orders.bson.gz", b"", "empty"),
            ("dump/prelude.json", "{}", "bad_structure"),
            ("dump/shop/gr%FF.bson", b"", "bad_encoding"),
            ("dump/shop/orders.bson.gz", FILES["dump/shop/orders.bson.gz"][:-1], "truncated"),
            ("dump/shop/orders.bson.gz", FILES["dump/shop/orders.bson.gz"][:-8] + bytes(8), "bad_checksum"),
        ],
    )
    def test_damage(self, name, content, code):
        member, problems = folder(dict(FILES, **{name: content}))
        assert problems[0]["code"] == code
        assert problems[0]["member"] == name

    @pytest.mark.parametrize(
        "changed",
        [
            {"v": {"$numberInt": "2"}, "unhque": True},
            {"v": {"$numberInp": "2"}},
            {"key": {"v": {"$numberHnt": "1"}}},
            {"collation": {"lobale": "de"}},
            {"key": {"_id": 1}, "name": "]id_"},
        ],
    )
    def test_one_bit_of_the_words_of_an_index(self, changed):
        index = dict({"v": 2, "key": {"name": 1}, "name": "by name"}, **changed)
        content = metadata("orders", indexes=[index]).encode()
        problems = folder(dict(FILES, **{"dump/shop/orders.metadata.json.gz": squeezed(content)}))[1]
        assert [problem["code"] for problem in problems] == ["bad_structure"]

    def test_fields_are_called_as_users_like(self):
        index = {"v": 2, "key": {"$numberInp": 1, "lobale": 1, "w": 1}, "name": "odd"}
        content = metadata("orders", indexes=[index]).encode()
        assert folder(dict(FILES, **{"dump/shop/orders.metadata.json.gz": squeezed(content)}))[1] == []

    def test_what_is_unknown_may_be_new(self):
        content = squeezed(metadata("orders", type="queue", since=7).encode())
        assert folder(dict(FILES, **{"dump/shop/orders.metadata.json.gz": content}))[1] == []

    def test_a_file_by_itself(self):
        report = Report()
        member = report.member("dump/shop/orders.bson.gz")
        assert mongodump.Single.matches(ORDERS[0], member.name)
        assert not mongodump.Single.matches(b"<html></html>", member.name)
        assert not mongodump.Single.matches(ORDERS[0], "dump/shop/orders.txt")
        mongodump.Single.read(Bytes(b"".join(ORDERS)), member, report)
        assert (member.tables, report.problems, member.database) == ({("shop", "orders"): 5}, [], "shop")
