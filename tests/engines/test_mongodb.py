# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of MongoDB with a real server. What they restore is written here with MongoDB's own driver, the way that
mongodump writes it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import bson
import pymongo
import pytest
from bson import Code, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps
from bson.raw_bson import RawBSONDocument
from files import RUN_AS, USERS, drill, engines, job_of, killed_drill, runs, short_folder, unread_job

from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._archive import mongodump
from ansible_collections.restorable.backups.plugins.module_utils._archive._crc import Crc64Ecma
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Files
from ansible_collections.restorable.backups.plugins.module_utils._engines import EngineError, Job, Scratch
from ansible_collections.restorable.backups.plugins.module_utils._engines import mongodb as mongodb_engine
from ansible_collections.restorable.backups.plugins.module_utils._engines._mongodb_wire import Connection, Refusal
from ansible_collections.restorable.backups.plugins.module_utils._engines.mongodb import MongoDB

END = b"\xff\xff\xff\xff"


class Source:
    """A server that dumps are made of, with users."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "db").mkdir()
        self.socket = str(self.folder / "m.sock")
        program = next(
            os.path.join(each, "mongod")
            for each in mongodb_engine._folders()
            if os.path.exists(os.path.join(each, "mongod"))
        )
        self.process = subprocess.Popen(
            [
                program,
                "--dbpath",
                str(self.folder / "db"),
                "--bind_ip",
                self.socket,
                "--nounixsocket",
                "--auth",
                "--wiredTigerCacheSizeGB",
                "0.25",
                "--setParameter",
                "diagnosticDataCollectionEnabled=false",
                "--setParameter",
                "ttlMonitorEnabled=false",
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not os.path.exists(self.socket):
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.05)
        first = self._client()
        first.admin.command("createUser", "root", pwd="sécret, =x", roles=["root"])
        first.close()
        self.client = self._client("root:%s@" % quote("sécret, =x"))
        self.client.admin.command(
            "createUser", "reader", pwd="x", roles=["readAnyDatabase"], mechanisms=["SCRAM-SHA-1"]
        )
        self.login = {"unix_socket": self.socket, "user": "root", "password": "sécret, =x", "host": None, "port": None}

    def _client(self, who=""):
        return pymongo.MongoClient(
            "mongodb://%s%s" % (who, quote(self.socket, safe="")), serverSelectionTimeoutMS=20000
        )

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def source():
    folder = tempfile.mkdtemp(prefix="mt")
    made = Source(folder)
    fill(made.client)
    yield made
    made.stop()
    shutil.rmtree(folder)


def fill(client):
    shop = client.shop
    shop.orders.insert_many(
        {"_id": at, "name": "Jürgen %d" % at, "at": datetime(2026, 1, 1), "lines": [{"n": at}, {}]}
        for at in range(5000)
    )
    shop.orders.create_index("name", unique=True)
    shop.orders.create_index([("at", 1), ("lines.n", -1)], partialFilterExpression={"n": {"$gt": 3}})
    shop.orders.create_index([("name", "text")], default_language="german")
    shop["Größen / %"].insert_one({"_id": "größe", "x": 1})
    shop.create_collection("empty")
    shop.create_collection("capped", capped=True, size=100000, max=50)
    shop.capped.insert_many({"n": at} for at in range(80))
    shop.create_collection("collated", collation={"locale": "de", "strength": 2})
    shop.collated.insert_one({"_id": "Ä"})
    shop.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True, "name": "by id"})
    shop.clustered.insert_many({"_id": at} for at in range(7))
    # What is there may be against a rule that came later.
    shop.ruled.insert_one({"_id": 1})
    shop.command("collMod", "ruled", validator={"$jsonSchema": {"required": ["name"]}})
    # Long past, but never removed by a drill.
    shop.command({"createIndexes": "old", "indexes": [{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 3600}]})
    shop.old.insert_many({"_id": at, "at": datetime(1970, 1, 1) + timedelta(days=at)} for at in range(9))
    shop.places.insert_one({"_id": 1, "at": {"type": "Point", "coordinates": [1.5, 2.5]}})
    shop.places.create_index([("at", "2dsphere")])
    shop.command("create", "cheap", viewOn="orders", pipeline=[{"$match": {"_id": {"$lt": 10}}}])
    shop.command("create", "weather", timeseries={"timeField": "at", "metaField": "place", "granularity": "hours"})
    shop.weather.insert_many(
        {"at": datetime(2026, 1, 1) + timedelta(hours=at), "place": at % 3, "t": at / 7} for at in range(400)
    )
    shop.weather.create_index([("place", 1), ("at", -1)])
    shop.types.insert_many(
        [
            {
                "_id": ObjectId("0" * 24),
                "double": 1.5,
                "nan": float("nan"),
                "binary": b"\0\xff",
                "old": bson.Binary(b"abc", 2),
            },
            {"_id": Int64(5), "code": Code("return 1", {"x": 1}), "regex": Regex("^a", "im"), "stamp": Timestamp(5, 6)},
            {
                "_id": 3.5,
                "decimal": Decimal128("-1.50E+10"),
                "min": bson.MinKey(),
                "max": bson.MaxKey(),
                "null": None,
                "": "no name",
            },
            {
                "_id": {"compound": [1, "x"]},
                "deep": {"a": {"b": [[]]}},
                "marks": END * 2,
                "text": "a\0b \U0001f600",
                "long": "x" * 200000,
            },
        ]
    )
    client.other.one.insert_one({"_id": 1})


RAW = CodecOptions(document_class=RawBSONDocument)


def metadata_of(base, about):
    facts = dict(about, info=about.get("info", {}))
    indexes = (
        []
        if about["type"] != "collection" and about["type"] != "timeseries"
        else list(base.command("listIndexes", about["name"])["cursor"]["firstBatch"])
    )
    told = {"options": facts["options"], "indexes": indexes, "collectionName": about["name"], "type": about["type"]}
    return dumps(told, json_options=CANONICAL_JSON_OPTIONS)


def collections_of(client, databases):
    """(database, name, type, metadata, name of what holds the documents, documents)"""
    for name in databases:
        base = client[name]
        for about in base.command("listCollections")["cursor"]["firstBatch"]:
            if about["name"].startswith("system."):
                continue
            holds = "system.buckets." + about["name"] if about["type"] == "timeseries" else about["name"]
            found = [] if about["type"] == "view" else [each.raw for each in base.get_collection(holds, RAW).find()]
            yield name, about["name"], about["type"], metadata_of(base, about), holds, found


def write_archive(path, client, databases, version="6.0.5"):
    told = list(collections_of(client, databases))
    parts = [
        mongodump.MAGIC,
        bson.encode(
            {"concurrent_collections": 1, "version": "0.1", "server_version": version, "tool_version": "100.9.4"}
        ),
    ]
    parts += [
        bson.encode({"db": base, "collection": name, "metadata": text, "size": 0, "type": kind})
        for base, name, kind, text, _holds, _found in told
    ]
    parts.append(END)
    for base, _name, _kind, _text, holds, found in told:
        for start in range(0, max(1, len(found)), 1000):
            parts += [bson.encode({"db": base, "collection": holds, "EOF": False, "CRC": Int64(0)})]
            parts += found[start : start + 1000] + [END]
        checksum = Crc64Ecma()
        checksum.update(b"".join(found))
        signed = checksum.value - (1 << 64 if checksum.value >> 63 else 0)
        parts += [bson.encode({"db": base, "collection": holds, "EOF": True, "CRC": Int64(signed)}), END]
    path.write_bytes(b"".join(parts))
    return path


def write_folder(path, client, databases, squeeze=False):
    for base, name, kind, text, holds, found in collections_of(client, databases):
        place = path / base
        place.mkdir(parents=True, exist_ok=True)
        files = {quote(name, safe="$&+:=@") + ".metadata.json": text.encode("utf-8")}
        if kind != "view":
            files[quote(holds, safe="$&+:=@") + ".bson"] = b"".join(found)
        for file_name, content in files.items():
            (place / (file_name + (".gz" if squeeze else ""))).write_bytes(
                gzip.compress(content) if squeeze else content
            )
    return path


@pytest.fixture
def folder():
    with short_folder() as path:
        yield path


@pytest.fixture(params=USERS)
def engine(request, folder):
    with engines(MongoDB, folder, USERS[request.param], timeout=120) as make:
        yield make


def known(tables):
    """The tables whose rows the file tells."""
    return {name: rows for name, rows in tables.items() if rows is not None}


FORMS = {
    "archive": lambda path, client: write_archive(path / "dump.archive", client, ("shop", "other")),
    "folder": lambda path, client: write_folder(path / "dump", client, ("shop", "other")),
    "folder, compressed": lambda path, client: write_folder(path / "dump", client, ("shop", "other"), True),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_everything(engine, source, folder, form):
    job = job_of(FORMS[form](folder, source.client))
    made = engine()
    counts = drill(made, job)
    assert known(job.member.tables).items() <= counts.items()
    assert set(job.member.tables) == set(counts)
    assert counts[("shop", "cheap")] is None and counts[("shop", "weather")] == 400 and counts[("shop", "capped")] == 50
    assert made.left_out == []
    live = MongoDB.live(None, {}, source.login)
    assert live.counts() == counts
    for database, name in counts:
        assert made.checksum(name, database) == live.checksum(name, database), name
    live.close()
    # Options and indexes as they were.
    ours = made._connection
    theirs = source.client.shop
    for about in theirs.command("listCollections")["cursor"]["firstBatch"]:
        if about["type"] == "view" or about["name"].startswith("system."):
            continue
        there = {
            each["name"]: each["key"] for each in theirs.command("listIndexes", about["name"])["cursor"]["firstBatch"]
        }
        here = {each["name"]: each["key"] for each in ours.find_all("shop", {"listIndexes": about["name"]})}
        assert {name: list(key) for name, key in here.items()} == {name: list(key) for name, key in there.items()}
        (info,) = list(ours.find_all("shop", {"listCollections": 1, "filter": {"name": about["name"]}}))
        assert set(info["options"]) == set(about["options"]), about["name"]


@pytest.mark.parametrize("number", [0, 1, 30000])
def test_sizes(engine, source, folder, number):
    source.client.drop_database("sized")
    source.client.sized.create_collection("t")
    if number:
        source.client.sized.t.insert_many({"n": at, "text": "x" * (at % 50)} for at in range(number))
    job = job_of(write_archive(folder / "dump.archive", source.client, ("sized",)))
    made = engine()
    assert drill(made, job) == job.member.tables == {("sized", "t"): number}
    live = MongoDB.live(None, {}, dict(source.login, database="sized"))
    assert live.counts() == made.counts()
    assert live.checksum("t", "sized") == made.checksum("t", "sized")
    if number:
        source.client.sized.t.update_one({"n": 0}, {"$set": {"text": "y"}})
        assert live.checksum("t", "sized") != made.checksum("t", "sized")
    live.close()


def test_a_file_by_itself(engine, source, folder):
    path = folder / "orders.bson"
    path.write_bytes(b"".join(each.raw for each in source.client.shop.get_collection("orders", RAW).find()))
    job = job_of(path)
    made = engine()
    assert drill(made, job) == job.member.tables == {(None, "orders"): 5000}
    assert made.query('{"collection": "orders", "count": true}') == [["5000"]]


def test_a_folder_of_one_database(engine, source, folder):
    job = job_of(write_folder(folder / "dump", source.client, ("shop",)) / "shop")
    made = engine()
    counts = drill(made, job)
    assert known(job.member.tables).items() <= counts.items()
    assert counts[(None, "orders")] == 5000


def test_what_belongs_to_the_server_is_left_out(engine, folder):
    dump = folder / "dump"
    for name, content in {
        "admin/system.users.bson": bson.encode({"_id": "admin.evil", "user": "evil", "db": "admin"}),
        "admin/system.version.bson": bson.encode({"_id": "authSchema"}) * 2,
        "oplog.bson": bson.encode({"op": "n"}),
        "shop/x.bson": bson.encode({"_id": 1}),
        "shop/x.metadata.json": b'{"indexes": []}',
        "shop/system.js.bson": bson.encode({"_id": "f", "value": Code("function () { return 1 }")}),
        "config/settings.bson": bson.encode({"_id": 1}),
    }.items():
        (dump / name).parent.mkdir(parents=True, exist_ok=True)
        (dump / name).write_bytes(content)
    job = job_of(dump)
    made = engine()
    assert drill(made, job) == job.member.tables == {("shop", "x"): 1, ("shop", "system.js"): 1}
    assert made.left_out == [
        "admin.system.users (1 documents)",
        "admin.system.version (2 documents)",
        "config.settings (1 documents)",
        "oplog (1 documents)",
    ]
    assert made._connection.ask("admin", {"usersInfo": 1})["users"] == []
    with pytest.raises(Refusal):
        made._connection.ask("shop", {"find": "x", "filter": {"$where": "true"}})


QUERIES = [
    ('{"db": "shop", "collection": "orders", "count": true}', [["5000"]]),
    ('{"db": "shop", "collection": "orders", "count": true, "filter": {"_id": {"$lt": 7}}}', [["7"]]),
    ('{"db": "shop", "collection": "orders", "count": true, "filter": {"_id": -1}}', [["0"]]),
    ('{"db": "shop", "collection": "orders", "filter": {"_id": 3}, "projection": {"name": 1}}', [["3", "Jürgen 3"]]),
    (
        '{"db": "shop", "collection": "orders", "sort": {"_id": -1}, "limit": 1, "projection": {"at": 1}}',
        [["4999", "2026-01-01T00:00:00.000Z"]],
    ),
    (
        '{"db": "shop", "collection": "orders", "pipeline": [{"$group": {"_id": null, "most": {"$max": "$_id"}}}]}',
        [[None, "4999"]],
    ),
    ('{"db": "shop", "collection": "weather", "distinct": "place"}', [["0"], ["1"], ["2"]]),
    (
        '{"db": "shop", "collection": "types", "filter": {"_id": 3.5}}',
        [["3.5", "-1.50E+10", "MinKey", "MaxKey", None, "no name"]],
    ),
    (
        '{"db": "shop", "collection": "types", "filter": {"_id": {"$oid": "%s"}}, "projection": {"binary": 1}}' % ("0" * 24),
        [["0" * 24, "00ff"]],
    ),
    ('{"db": "shop", "collection": "nothing"}', []),
]
REFUSED = [
    '{"db": "shop", "collection": "orders", "pipeline": [{"$out": "x"}]}',
    '{"db": "shop", "collection": "orders", "pipeline": [{"$merge": {"into": "x"}}]}',
    '{"db": "shop", "collection": "orders", "pipeline": [{"$facet": {"a": [{"$out": "x"}]}}]}',
    '{"db": "shop", "collection": "orders", "filter": {"$where": "true"}}',
    '{"db": "shop", "collection": "orders", "pipeline": [{"$nonsense": 1}]}',
    '{"db": "shop", "collection": "orders", "insert": [{}]}',
    '{"db": "nowhere", "collection": "x"}',
    '{"insert": "x"}',
    "SELECT 1",
    '{"db": "shop", "collection": "orders", "filter": {"_id": {"$oid": "x"}}}',
    '{"db": "shop", "collection": ""}',
    "[" * 5000,
    '{"db": "admin", "collection": "system.users"}',
]


def test_queries(engine, source, folder):
    made = engine()
    before = drill(made, job_of(write_archive(folder / "dump.archive", source.client, ("shop", "other"))))
    for text, rows in QUERIES:
        assert sorted(made.query(text), key=str) == rows, text
    assert made.query('{"collection": "one", "count": true}', "other") == [["1"]]
    for text in REFUSED:
        with pytest.raises(EngineError) as failure:
            made.query(text)
        assert failure.value.code == "query_failed", text
    assert made.counts() == before
    live = MongoDB.live(None, {}, source.login)
    for text, rows in QUERIES:
        assert sorted(live.query(text), key=str) == rows, text
    for text in [text for text in REFUSED if '"nowhere"' not in text and '"admin"' not in text]:
        with pytest.raises(EngineError) as failure:
            live.query(text)
        assert failure.value.code == "query_failed", text
    live.close()


@pytest.mark.parametrize(
    "damage, code",
    [
        (lambda content: content[:-20], "restore_failed"),
        (lambda content: content[: len(content) // 2], "restore_failed"),
        (lambda content: content.replace("Jürgen 4321".encode(), "Jorgen  4321".encode()), "restore_failed"),
        (lambda content: b"<html>" + content, "restore_failed"),
        (lambda content: content.replace(b'"unique": true', b'"uniqu": "true"'), "restore_failed"),
        (lambda content: b"", "restore_failed"),
    ],
)
def test_a_damaged_archive_is_refused(engine, source, folder, damage, code):
    path = write_archive(folder / "dump.archive", source.client, ("shop",))
    content = path.read_bytes()
    assert damage(content) != content
    path.write_bytes(damage(content))
    with pytest.raises(EngineError) as failure:
        drill(engine(), unread_job(path, "dump.archive", "mongodump-archive"))
    assert failure.value.code == code


def test_rows_that_are_there_twice(engine, folder):
    dump = folder / "dump" / "shop"
    dump.mkdir(parents=True)
    (dump / "x.metadata.json").write_bytes(b'{"indexes": [{"v": 2, "key": {"_id": 1}, "name": "_id_"}]}')
    (dump / "x.bson").write_bytes(bson.encode({"_id": 1}) * 2)
    with pytest.raises(EngineError, match="shop.x: .*duplicate key"):
        drill(engine(), job_of(folder / "dump"))


def test_a_dump_newer_than_every_server(engine, source, folder):
    job = job_of(write_archive(folder / "dump.archive", source.client, ("other",), version="99.0.1"))
    with pytest.raises(EngineError) as failure:
        engine().choose(job.member)
    assert failure.value.code == "engine_too_old"
    assert "99.0.1" in failure.value.message and "newest server" in failure.value.message


def test_no_server_on_this_host(engine, source, folder, monkeypatch):
    member = job_of(write_archive(folder / "dump.archive", source.client, ("other",))).member
    monkeypatch.setattr(mongodb_engine, "_folders", lambda: [str(folder)])
    with pytest.raises(EngineError, match="install mongodb-org-server") as failure:
        engine().choose(member)
    assert failure.value.code == "no_engine"
    with pytest.raises(EngineError) as failure:
        engine(bin_dir=str(folder)).choose(member)
    assert failure.value.code == "bad_option"


def test_a_server_that_is_killed_in_the_restore(engine, source, folder):
    job = job_of(write_archive(folder / "dump.archive", source.client, ("shop",)))
    made = engine()
    made.choose(job.member)
    made.start()
    asked = made._connection.ask

    def kill_then(*about, **options):
        if "insert" in about[1]:
            made._server.kill()
            made._server.wait()
        return asked(*about, **options)

    made._connection.ask = kill_then
    with pytest.raises(EngineError) as failure:
        made.restore(job)
    assert failure.value.code == "server_died"


def test_a_server_that_is_killed_while_it_is_asked(engine, source, folder):
    made = engine()
    drill(made, job_of(write_archive(folder / "dump.archive", source.client, ("other",))))
    made._server.kill()
    for question in (made.counts, lambda: made.query('{"collection": "one"}'), lambda: made.checksum("one", "other")):
        with pytest.raises(EngineError) as failure:
            question()
        assert failure.value.code == "server_died"


def test_what_the_server_may_do(engine, source, folder):
    made = engine()
    drill(made, job_of(write_archive(folder / "dump.archive", source.client, ("other",))))
    process = Path("/proc/%d" % made._server.pid)
    assert process.stat().st_uid == (made.scratch.run_as.pw_uid if made.scratch.run_as else os.geteuid())
    sockets = {
        os.readlink(each)[8:-1]
        for each in (process / "fd").iterdir()
        if os.path.lexists(each) and os.readlink(each).startswith("socket:")
    }
    listening = [
        line.split() for name in ("tcp", "tcp6") for line in (process / "net" / name).read_text().splitlines()[1:]
    ]
    assert not [line for line in listening if line[9] in sockets]
    place = Path(made.scratch.path, "mongodb")
    assert (place.stat().st_mode & 0o777, place.stat().st_uid) == (0o700, process.stat().st_uid)
    assert made._connection.ask("admin", {"getParameter": 1, "ttlMonitorEnabled": 1})["ttlMonitorEnabled"] is False


class TestExistingServer:
    def test_new_databases_that_are_dropped_again(self, engine, source, folder):
        before = set(source.client.list_database_names())
        job = job_of(write_archive(folder / "dump.archive", source.client, ("shop", "other")))
        made = engine(login=dict(source.login, database=None))
        counts = drill(made, job)
        assert known(job.member.tables).items() <= counts.items()
        new = set(source.client.list_database_names()) - before
        assert len(new) == 2 and all(name.startswith("rbd_") for name in new)
        assert made.version() == "6.0.5"
        live = MongoDB.live(None, {}, source.login)
        for database, name in counts:
            assert made.checksum(name, database) == live.checksum(name, database)
        live.close()
        assert made.query('{"collection": "one", "count": true}', "other") == [["1"]]
        made.stop()
        assert set(source.client.list_database_names()) == before

    def test_javascript_does_not_come_to_it(self, engine, source, folder):
        before = set(source.client.list_database_names())
        dump = folder / "dump" / "shop"
        dump.mkdir(parents=True)
        script = '{"$function": {"body": "function () {}", "args": [], "lang": "js"}}'
        (dump / "x.bson").write_bytes(b"")
        (dump / "x.metadata.json").write_text("{}")
        (dump / "system.js.bson").write_bytes(bson.encode({"_id": "f"}))
        (dump / "v.metadata.json").write_text(
            '{"options": {"viewOn": "x", "pipeline": [{"$match": {"$expr": %s}}]}}' % script
        )
        made = engine(login=dict(source.login))
        assert drill(made, job_of(folder / "dump")) == {("shop", "x"): 0}
        assert made.left_out == ["shop.system.js (1 documents)", "shop.v (0 documents)"]
        made.stop()
        (dump / "x.metadata.json").write_text('{"options": {"validator": {"$expr": %s}}}' % script)
        made = engine(login=dict(source.login))
        with pytest.raises(EngineError) as failure:
            drill(made, job_of(folder / "dump"))
        assert failure.value.code == "unsafe"
        made.stop()
        assert set(source.client.list_database_names()) == before

    def test_who_may_not(self, engine, source, folder):
        job = job_of(write_archive(folder / "dump.archive", source.client, ("other",)))
        for password in ("wrong", ""):
            with pytest.raises(EngineError) as failure:
                drill(engine(login=dict(source.login, password=password)), job)
            assert failure.value.code == "start_failed" and "wrong" not in failure.value.message
        reader = dict(source.login, user="reader", password="x")
        live = MongoDB.live(None, {}, reader)
        assert live.counts()[("other", "one")] == 1
        live.close()
        with pytest.raises(EngineError) as failure:
            drill(engine(login=reader), job)
        assert failure.value.code in ("restore_failed", "start_failed")
        with pytest.raises(EngineError):
            MongoDB.live(None, {}, {"unix_socket": str(folder / "nobody")})

    def test_what_a_killed_drill_left_there(self, engine, source, folder):
        before = set(source.client.list_database_names())
        path = write_archive(folder / "dump.archive", source.client, ("other",))
        killed_drill(MongoDB, folder, path, {"login": dict(source.login)})
        assert len(set(source.client.list_database_names()) - before) == 1
        Scratch.sweep(str(folder))
        made = engine(login=dict(source.login))
        drill(made, job_of(path))
        made.stop()
        assert set(source.client.list_database_names()) == before


def test_what_a_killed_drill_left_is_swept(source, folder):
    pid = killed_drill(MongoDB, folder, write_archive(folder / "dump.archive", source.client, ("other",)), {})
    assert len(Scratch.sweep(str(folder))) == 1
    assert not runs(pid)
    assert not [name for name in os.listdir(folder) if name.startswith("rbd-")]


def test_two_drills_at_once(engine, source, folder):
    job = job_of(write_archive(folder / "dump.archive", source.client, ("shop",)))
    found, made = {}, [engine(), engine()]
    for each in made:
        each.choose(job.member)
        each.start()

    def restore(number):
        made[number].restore(job)
        found[number] = made[number].counts()

    threads = [threading.Thread(target=restore, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]


@pytest.mark.parametrize("code", [0, 1])
def test_mongorestore_is_used_where_it_is(engine, source, folder, code, monkeypatch):
    """A stand-in notes how it is called: no package here has the real one."""
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    program = bin_dir / "mongorestore"
    program.write_text(
        '#!/bin/sh\nfor word in "$@"; do echo "$word" >&2; done\ncat | cksum >&2\nexit 1\n'
        if code
        else "#!/bin/sh\ncat >/dev/null\nexit 0\n"
    )
    program.chmod(0o755)
    path = write_archive(folder / "dump.archive", source.client, ("other",))
    monkeypatch.setattr(mongodb_engine, "have_program", lambda name: str(program) if name == "mongorestore" else None)
    made = engine()
    job = job_of(path)
    if not code:
        assert drill(made, job) == {}
        return
    with pytest.raises(EngineError) as failure:
        drill(made, job)
    assert failure.value.code == "restore_failed"
    size = str(path.stat().st_size)
    for word in ("--stopOnError", "--archive", "admin.*", "config.*", "local.*", size):
        assert word in failure.value.message


def test_a_folder_of_fields_in_the_wrong_place(source, folder):
    """Metadata that hold what is no value."""
    job = Job(_archive.Member("x.archive", format="mongodump-archive"), lambda: Files([str(folder / "x")]))
    (folder / "x").write_bytes(
        mongodump.MAGIC
        + bson.encode({"version": "0.1", "server_version": "6.0.5"})
        + bson.encode({"db": "a", "collection": "b", "metadata": '{"options": {"size": {"$numberLong": "x"}}}'})
        + END
    )
    scratch = Scratch.create(str(folder), run_as=RUN_AS)
    made = MongoDB(scratch, {})
    with pytest.raises(EngineError, match="a.b: its metadata"):
        drill(made, job)
    made.stop()
    scratch.close()
    assert datetime.now(timezone.utc)


def test_a_connection_to_what_is_no_mongodb(folder):
    import socket

    path = str(folder / "s")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)

    def answer():
        connection, _from = server.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(ValueError):
        Connection(path, timeout=10)
    thread.join()
    server.close()


@pytest.mark.parametrize("form", sorted(FORMS))
def test_definitions(engine, source, folder, form):
    job = job_of(FORMS[form](folder, source.client))
    made = engine()
    drill(made, job)
    ours = made.definitions()
    live = MongoDB.live(None, {}, source.login)
    assert {key: text for key, text in live.definitions().items() if key[0] in ("shop", "other")} == ours
    live.close()
    assert {key[1:] for key in ours} >= {
        ("view", "cheap"),
        ("index", "orders.name_1"),
        ("index", "places.at_2dsphere"),
        ("options of collection", "capped"),
        ("options of collection", "clustered"),
        ("options of collection", "collated"),
        ("options of collection", "ruled"),
        ("options of collection", "weather"),
    }
    assert ours[("shop", "index", "old.at_1")] == '{"expireAfterSeconds": 3600, "key": {"at": 1}}'
    theirs = made._connection
    theirs.ask("shop", {"dropIndexes": "orders", "index": "name_1"})
    theirs.ask("shop", {"drop": "cheap"})
    theirs.ask("shop", {"collMod": "old", "index": {"name": "at_1", "expireAfterSeconds": 60}})
    theirs.ask("shop", {"collMod": "ruled", "validator": {}})
    changed = made.definitions()
    assert {key[1:] for key in ours if ours[key] != changed.get(key)} == {
        ("view", "cheap"),
        ("index", "orders.name_1"),
        ("index", "old.at_1"),
        ("options of collection", "ruled"),
    }
