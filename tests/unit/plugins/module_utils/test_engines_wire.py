# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of MongoDB and Redis: values, and what they make of servers that answer oddly."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Member
from ansible_collections.restorable.backups.plugins.module_utils._engines import EngineError, Installation, _resp, mongodb, redis, sqlite
from ansible_collections.restorable.backups.plugins.module_utils._engines import _mongodb_values as values
from ansible_collections.restorable.backups.plugins.module_utils._engines import _mongodb_wire as wire
from ansible_collections.restorable.backups.plugins.module_utils._engines.mongodb import Reader


class TestValues:
    @pytest.mark.parametrize(
        "text, raw, shown",
        [
            ('{"a": 1}', "0c0000001061000100000000", "1"),
            ('{"a": {"$numberInt": "1"}}', "0c0000001061000100000000", "1"),
            ('{"a": {"$numberLong": "1"}}', "10000000126100010000000000000000", "1"),
            ('{"a": 4294967296}', "10000000126100000000000100000000", "4294967296"),
            ('{"a": {"$numberDouble": "1.0"}}', "10000000016100000000000000f03f00", "1.0"),
            ('{"a": {"$numberDouble": "-Infinity"}}', "10000000016100000000000000f0ff00", "-inf"),
            ('{"a": 1.0}', "10000000016100000000000000f03f00", "1.0"),
            ('{"a": "é"}', "0f000000026100030000" + "00c3a90000", "é"),
            ('{"a": true}', "090000000861000100", "true"),
            ('{"a": null}', "080000000a610000", None),
            (
                '{"a": {"$oid": "0102030405060708090a0b0c"}}',
                "14000000076100" + "0102030405060708090a0b0c00",
                "0102030405060708090a0b0c",
            ),
            (
                '{"a": {"$date": {"$numberLong": "1000"}}}',
                "10000000096100e80300000000000000",
                "1970-01-01T00:00:01.000Z",
            ),
            (
                '{"a": {"$date": "1970-01-01T00:00:01Z"}}',
                "10000000096100e80300000000000000",
                "1970-01-01T00:00:01.000Z",
            ),
            (
                '{"a": {"$date": "1970-01-01T01:00:01.000+01:00"}}',
                "10000000096100e80300000000000000",
                "1970-01-01T00:00:01.000Z",
            ),
            ('{"a": {"$date": 1000}}', "10000000096100e80300000000000000", "1970-01-01T00:00:01.000Z"),
            ('{"a": {"$timestamp": {"t": 5, "i": 6}}}', "10000000116100060000000500000000", "5.6"),
            ('{"a": {"$binary": {"base64": "AP8=", "subType": "00"}}}', "0f0000000561000200000000" + "00ff00", "00ff"),
            ('{"a": {"$binary": "AP8=", "$type": "00"}}', "0f0000000561000200000000" + "00ff00", "00ff"),
            (
                '{"a": {"$regularExpression": {"pattern": "b", "options": "mi"}}}',
                "0d0000000b61006200" + "696d0000",
                "/b/im",
            ),
            ('{"a": {"$regex": "b", "$options": ""}}', "0b0000000b610062000000", "/b/"),
            ('{"a": {"$minKey": 1}}', "08000000ff610000", "MinKey"),
            ('{"a": {"$maxKey": 1}}', "080000007f610000", "MaxKey"),
            ('{"a": {"$undefined": true}}', "0800000006610000", "undefined"),
            ('{"a": {"$code": "x"}}', "0e0000000d6100020000007800" + "00", "x"),
            ('{"a": {"$symbol": "x"}}', "0e0000000e6100020000007800" + "00", "x"),
            ('{"a": {"b": [1]}}', "1c00000003610014000000046200" + "0c0000001030000100000000" + "0000", '{"b": [1]}'),
        ],
    )
    def test_from_json_to_bson_and_back(self, text, raw, shown):
        content = bytes.fromhex(raw)
        document = values.from_json(json.loads(text))
        assert values.encode(document) == content
        back = values.decode(content)
        assert values.encode(back) == content
        assert values.to_text(back["a"]) == shown

    @pytest.mark.parametrize(
        "text, raw",
        [
            ("0", "00000000000000000000000000004030"),
            ("1", "01000000000000000000000000004030"),
            ("-1", "010000000000000000000000000040b0"),
            ("0.1", "01000000000000000000000000003e30"),
            ("1E+3", "01000000000000000000000000004630"),
            ("NaN", "0000000000000000000000000000007c"),
            ("Infinity", "00000000000000000000000000000078"),
            ("-Infinity", "000000000000000000000000000000f8"),
            ("1234567890123456789012345678901234", "f2af967ed05c82de3297ff6fde3c4030"),
            ("9.999999999999999999999999999999999E+6144", "ffffffff638e8d37c087adbe09edff5f"),
            ("1E-6176", "01000000000000000000000000000000"),
            ("0.000001", "01000000000000000000000000003430"),
            ("1.5E-7", "0f000000000000000000000000003030"),
        ],
    )
    def test_decimals(self, text, raw):
        assert values.decimal_to_bytes(text).hex() == raw
        assert values.decimal_to_text(bytes.fromhex(raw)) == text

    @pytest.mark.parametrize("text", ["", "x", "1e", ".", "1E9999", "1" * 35, "--1"])
    def test_what_is_no_decimal(self, text):
        with pytest.raises(ValueError):
            values.decimal_to_bytes(text)

    @pytest.mark.parametrize(
        "text",
        [
            '{"$numberLong": "x"}',
            '{"$oid": "0"}',
            '{"$oid": "00"}',
            '{"$oid": 1}',
            '{"$date": {}}',
            '{"$date": "yesterday"}',
            '{"$binary": {}}',
            '{"$binary": {"base64": "A", "subType": "00"}}',
            '{"$timestamp": 1}',
            '{"$regex": 1, "$options": ""}',
            '{"$regularExpression": {"pattern": "x", "options": "1"}}',
            '{"$numberDouble": "x"}',
            '{"$code": 1}',
        ],
    )
    def test_json_that_holds_no_value(self, text):
        with pytest.raises(ValueError):
            values.encode({"a": values.from_json(json.loads(text))})

    def test_operators_are_no_values(self):
        condition = {"$match": {"n": {"$gt": 3}}}
        assert values.from_json(condition) == condition

    def test_documents_may_stay_as_they_are(self):
        one = values.encode({"_id": 1})
        answer = values.encode(
            {"cursor": {"firstBatch": [values.Raw(one), values.Raw(one)], "id": values.Long(0)}, "ok": 1.0}
        )
        assert values.decode(answer, ("firstBatch",))["cursor"]["firstBatch"] == [one, one]

    def test_an_answer_that_is_damaged_is_no_more_than_a_value_error(self):
        content = values.encode(
            {
                "a": [1, {"b": "text"}],
                "c": values.Typed(0x0B, b"a\0b\0"),
                "d": values.Typed(0x07, bytes(12)),
                "e": b"bytes",
                "f": values.Typed(0x0C, b"\2\0\0\0a\0" + bytes(12)),
                "ok": 1.0,
            }
        )
        for at in range(len(content)):
            for bit in range(8):
                damaged = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
                for raw in ((), ("a",)):
                    try:
                        answer = values.decode(damaged, raw)
                        assert raw or isinstance(values.to_text(answer), str)
                    except ValueError:
                        pass
            with pytest.raises(ValueError):
                values.decode(content[:at])

    @pytest.mark.parametrize("value", [{"a\0": 1}, {"a": 2**63}, {"a": object()}])
    def test_what_cannot_be_stored(self, value):
        with pytest.raises(ValueError):
            values.encode(value)


class Answering:
    """A server that sends what it is told to."""

    def __init__(self, folder, answer):
        self.path = str(folder / "s")
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen(1)
        self._answer = answer
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        connection, _from = self._server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(self._answer)

    def __enter__(self):
        self._thread.start()
        return self.path

    def __exit__(self, *_about):
        self._thread.join()
        self._server.close()


@pytest.fixture
def short(tmp_path, monkeypatch):
    """Sockets have short names: relative ones here."""
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    return Path(".")


class TestConnections:
    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 400 Bad\r\n\r\n",
            b"\0" * 100,
            b"\xff" * 100,
            b"\x20\0\0\0\1\0\0\0\1\0\0\0\xdd\7\0\0\2\0\0\0\0\5\0\0\0\0",
        ],
    )
    def test_what_is_no_mongodb(self, short, answer):
        with Answering(short, answer) as path, pytest.raises((ValueError, OSError)):
            wire.Connection(path, timeout=5)

    @pytest.mark.parametrize(
        "answer", [b"", b"HTTP/1.1 400 Bad\r\n\r\n", b"$100\r\nx", b"*2\r\n:1\r\n", b":x\r\n", b"*1\r\n" * 50, b"+OK"]
    )
    def test_what_is_no_redis(self, short, answer):
        with Answering(short, answer) as path, pytest.raises((ValueError, OSError)):
            _resp.Connection(path, password="x", timeout=5)

    def test_what_redis_refuses(self, short):
        with Answering(short, b"-LOADING Redis is loading\r\n") as path, pytest.raises(_resp.Refusal) as failure:
            _resp.Connection(path, password="x", timeout=5)
        assert failure.value.word == "LOADING"

    def test_passwords_are_prepared_as_the_rules_say(self):
        assert wire._prepared("I\u00adX") == "IX"
        assert wire._prepared("\u2168") == "IX"
        assert wire._prepared("a\u00a0b") == "a b"


def redis_member(version, **details):
    member = Member("dump.rdb", format="redis-rdb", server_version="9.9.9")
    member.details.update(details, rdb_version=version)
    return member


class TestChoiceOfRedis:
    @pytest.mark.parametrize(
        "flavour, server, rdb, reads",
        [
            ("redis", (7, 0, 15), 10, True),
            ("redis", (7, 0, 15), 11, False),
            ("redis", (6, 2, 1), 9, True),
            ("redis", (6, 2, 1), 10, False),
            ("redis", (7, 2, 0), 11, True),
            ("redis", (8, 0, 0), 12, True),
            ("redis", (4, 0, 0), 6, True),
            ("redis", (8, 2, 0), 14, True),
            ("redis", (7, 4, 0), 80, False),
            ("valkey", (8, 0, 1), 11, True),
            ("valkey", (8, 0, 1), 12, False),
            ("valkey", (9, 0, 0), 80, True),
            ("valkey", (8, 0, 0), 80, False),
            ("redis", (7, 0, 0), None, True),
        ],
    )
    def test_versions(self, flavour, server, rdb, reads):
        installation = Installation("/x", server, "", flavour)
        assert redis._reads(installation, redis_member(rdb)) is reads

    def test_folders_of_append_only_files(self):
        member = redis_member(None, files=2)
        assert not redis._reads(Installation("/x", (6, 2), "", "redis"), member)
        assert "needs Redis 7.0" in redis._too_old(member, [Installation("/x", (6, 2), "", "redis")])

    @pytest.mark.parametrize(
        "version, needs",
        [(11, "Redis 7.2 or later"), (80, "Valkey 9.0 or later"), (99, "a newer|Valkey"), (20, "a newer Redis")],
    )
    def test_what_is_needed(self, version, needs):
        import re

        said = redis._too_old(redis_member(version), [Installation("/x", (7, 0, 15), "", "redis")])
        assert re.search(needs, said) and said.endswith("this host has redis 7.0.15")
        assert "made by 9.9.9" in said

    def test_more_data_than_memory(self):
        with pytest.raises(EngineError) as failure:
            redis._look_at_memory(redis_member(10, used_memory=1 << 60))
        assert failure.value.code == "no_space"


class TestQueriesOfMongoDB:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "1",
            '"x"',
            "{}",
            '{"collection": 1}',
            '{"collection": "x", "drop": true}',
            '{"collection": "x", "filter": []}',
            '{"collection": "x", "pipeline": {}}',
            '{"collection": "x", "pipeline": [{"$lookup": {"pipeline": [{"$merge": "y"}]}}]}',
            '{"collection": "x", "filter": {"$or": [{"$where": "1"}]}}',
            '{"collection": "x", "pipeline": [{"$out": "y"}]}',
            '{"collection": "x", "pipeline": [{"$project": {"a": {"$function": {}}}}]}',
            "[" * 100000,
        ],
    )
    def test_what_is_not_asked(self, text):
        class Nobody:
            def find_all(self, *_about):
                raise AssertionError("it was asked")

        with pytest.raises(EngineError) as failure:
            Reader(Nobody(), None, str).query(text)
        assert failure.value.code == "query_failed"


class TestDefinitions:
    def test_a_library_of_functions(self):
        about = [b"library_name", b"lib", b"engine", b"LUA", b"functions", [], b"library_code", b"#!lua name=lib"]
        assert redis._library(about) == ("lib", "LUA: #!lua name=lib")

    @pytest.mark.parametrize(
        "options, text",
        [
            ({"capped": False, "uuid": b"x", "storageEngine": {}, "validationLevel": "strict"}, "{}"),
            ({"size": 512.0, "capped": True}, '{"capped": true, "size": 512}'),
            ({"collation": {"locale": "de", "version": "57.1"}}, '{"collation": {"locale": "de"}}'),
            ({"clusteredIndex": {"v": 2, "name": "x"}}, '{"clusteredIndex": {"name": "x"}}'),
            ({"pipeline": [{"b": 1.5, "a": 2.0}], "viewOn": "x"}, '{"pipeline": [{"b": 1.5, "a": 2}], "viewOn": "x"}'),
            (
                {"timeseries": {"timeField": "t", "granularity": "hours", "bucketMaxSpanSeconds": 2592000}},
                '{"timeseries": {"timeField": "t", "granularity": "hours"}}',
            ),
            ({"timeseries": {"bucketMaxSpanSeconds": 5}}, '{"timeseries": {"bucketMaxSpanSeconds": 5}}'),
        ],
    )
    def test_options_of_a_collection(self, options, text):
        assert mongodb._text_of_options(options) == text

    def test_indexes(self):
        index = {"v": 2, "unique": True, "key": {"b": 1.0, "a": -1}, "name": "x", "ns": "s.t", "background": True, "sparse": False}
        assert mongodb._text_of_index(index) == '{"key": {"b": 1, "a": -1}, "unique": true}'
        series = {"timeseries": {"timeField": "t", "metaField": "m"}}
        assert mongodb._is_implied({"key": {"m": 1, "t": 1}}, series)
        assert not mongodb._is_implied({"key": {"m": 1, "t": 1}}, {})
        assert not mongodb._is_implied({"key": {"m": 1, "t": -1}}, series)
        assert mongodb._is_implied({"key": {"_id": 1}}, {})

    @pytest.mark.parametrize(
        "sql, text",
        [
            ("CREATE  TABLE\n t (\tx )\n", "CREATE TABLE t ( x )"),
            ("SELECT 'a  b', \"c  d\",  [e  f], `g  h`", "SELECT 'a  b', \"c  d\", [e  f], `g  h`"),
            ("x  -- it's  so\n  y /* a  'b */  z", "x -- it's  so y /* a  'b */ z"),
            ("x  /* a  b", "x /* a  b"),
            ("'it''s  so'  x", "'it''s  so' x"),
        ],
    )
    def test_white_space_of_a_schema(self, sql, text):
        assert sqlite._spaced(sql) == text
