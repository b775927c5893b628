# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of Redis: the one by Redis 7.0 was made by it, the others are built here as their documentation says."""

from __future__ import annotations

import base64
import struct
from functools import partial

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import rdb
from ansible_collections.restorable.backups.plugins.module_utils._archive._crc import Crc64Jones
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils import archive_reading
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.archive_reading import flipped, pieces_of

# 15 keys in database 0 and 3 in 3, two of them with an end: strings, numbers, a compressed one, lists, sets, hashes,
# sorted sets, a stream with a group and a consumer, a HyperLogLog, a library of functions.
REDIS_7 = base64.b64decode(
    "UkVESVMwMDEw+glyZWRpcy12ZXIGNy4wLjE1+gpyZWRpcy1iaXRzwED6BWN0aW1lwnEsCGv6CHVzZWQtbWVtwjhcEwD6CGFvZi1iYXNlwAD1QEQj"
    "IWx1YSBuYW1lPWwKcmVkaXMucmVnaXN0ZXJfZnVuY3Rpb24oJ2YnLGZ1bmN0aW9uKGssYSkgcmV0dXJuIDEgZW5kKf4A+w8BAgNzNzADAXjCn4YB"
    "AMABEgFsAQIZGQAAAAYAgWECgWICgWMCAQECAfLgkwQE/xEBehQUAAAABACBYQIBAYFiAoMyLjUE/wACbjjABQUEemJpZwHDCUBmAWFh4FkAAWFh"
    "AAAAAAAA+D8AAXMFaGVsbG8EBGhiaWcBAWbDCUBmAWFh4FkAAWFhAANiaWfDCUBiAWFh4FUAAWFhEwJzdAEQAAAAAAAAAAEAAAAAAAAAATMzAAAA"
    "EwACAQABAQGBYQIAAQIBAAEAAYFiAgQBAAEBAQABAgGBYQKBYwKBZAKBZQIIAf8CAgEBAQAAAgEBZwEBAQEAAAAAAAAAAQAAAAAAAAABVpvtF6IB"
    "AAABAQJjMVab7ReiAQAAAQAAAAAAAAABAAAAAAAAAAEAA24zMsJAQg8A/FV84x2iAQAAAAFlAXgLAnNpDgIAAAADAAAAAQACAAMAAgJzcwMBYwFi"
    "AWEAAW7BOTAQAWgTEwAAAAQAgWYCgXYCgWcCgXcC//4D+wMBEgJsMgICwxY3BzcAAAACAJNh4AkAAhSZYuAPAAEa/wLDFi8HLwAAAAIAlmPgDAAC"
    "F45k4AQAAQ//AANobGwbSFlMTAEAAAAAAAAAAAAAgGDzgFCxhEv7gEJa/GtoSR+iAQAAAAFrAXb/MlUk2lmIDqg="
)
# One key, written with rdbchecksum switched off.
UNCHECKED = base64.b64decode(
    "UkVESVMwMDEw+glyZWRpcy12ZXIGNy4wLjE1+gpyZWRpcy1iaXRzwED6BWN0aW1lwigtCGv6CHVzZWQtbWVtwiBVDgD6CGFvZi1iYXNlwAD+APsB"
    "AAABYQFi/wAAAAAAAAAA"
)


def sealed(content, magic=b"REDIS0012"):
    """A whole file around the records."""
    crc = Crc64Jones()
    crc.update(magic + content + b"\xff")
    return magic + content + b"\xff" + struct.pack("<Q", crc.value)


def string(content):
    if len(content) < 64:
        return bytes([len(content)]) + content
    if len(content) < 1 << 14:
        return struct.pack(">H", 0x4000 | len(content)) + content
    return b"\x80" + struct.pack(">I", len(content)) + content


def listpack(size=20, says=None):
    return string(struct.pack("<I", size if says is None else says) + bytes(size - 4))


look = partial(archive_reading.look, rdb)
codes = partial(archive_reading.codes, rdb)


def test_what_is_recognised():
    assert rdb.matches(REDIS_7[:4096], "x")
    assert rdb.matches(b"VALKEY080\xff", "x")
    assert rdb.matches(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", "x")
    assert rdb.matches(b"#TS:1795698054\r\n*1\r\n", "x")
    for head in (b"REDIS00a1", b"REDIS", b"", b"*** Error ***", b"* a list", b"*2\r\nno"):
        assert not rdb.matches(head, "dump.rdb")


def test_a_file_of_redis_7():
    member, problems = look(REDIS_7)
    assert not problems
    assert (member.format, member.engine, member.server_version) == ("redis-rdb", "redis", "7.0.15")
    assert member.tables == {(None, "db0"): 15, (None, "db3"): 3}
    details = member.details
    expired_now = details.pop("expired_now")
    assert 0 <= expired_now <= 2
    assert details == {
        "rdb_version": 10,
        "checksum": "right",
        "created_at": 1795697777,
        "used_memory": 1268792,
        "expires": 2,
        "expired_at_creation": 0,
        "encodings": {
            "string": 8,
            "set": 2,
            "hash": 1,
            "zset": 1,
            "set intset": 1,
            "hash listpack": 1,
            "zset listpack": 1,
            "list quicklist": 2,
            "stream": 1,
        },
        "largest_value": {"bytes": 139, "key": "st", "database": "db0"},
        "functions": 1,
        "modules": [],
    }


def test_borders_of_blocks_do_not_matter():
    whole = look(REDIS_7)[0]
    for size in (1, 2, 3, 7, 100):
        member, problems = look(REDIS_7, pieces=pieces_of(REDIS_7, size))
        assert not problems
        assert (member.tables, member.details) == (whole.tables, whole.details)


def test_every_truncation_is_noticed():
    for size in range(9, len(REDIS_7)):
        assert codes(REDIS_7[:size]) == ["truncated"], size


def test_every_flipped_bit_is_noticed():
    # All of a small file, and every fifth of one with all kinds of values.
    small = sealed(
        b"\xfa\x09redis-ver\x058.0.0\xfe\x00\xfb\x02\x01\x00\x01a\x01b\xfc" + bytes(8) + b"\x00\x01c\xc0\x07"
    )
    for content, step in ((small, 1), (REDIS_7, 5)):
        assert not codes(content)
        for bit in range(0, len(content) * 8, step):
            damaged = flipped(content, bit)
            # Damage in the first bytes makes it another format, or none.
            assert not rdb.matches(damaged, "x") or codes(damaged), bit


def test_without_a_checksum_structure_is_all():
    member, problems = look(UNCHECKED)
    assert not problems
    assert member.details["checksum"] == "off"
    assert member.tables == {(None, "db0"): 1}
    for size in range(9, len(UNCHECKED)):
        assert codes(UNCHECKED[:size])
    # A wrong number of keys shows even so; a changed value does not.
    assert codes(UNCHECKED.replace(b"\xfb\x01\x00", b"\xfb\x02\x00")) == ["bad_structure"]
    assert codes(UNCHECKED.replace(b"\x01a\x01b", b"\x01a\x01c")) == []


def test_damage_of_any_kind_ends_without_harm():
    content = REDIS_7[:-8] + bytes(8)
    for bit in range(0, len(content) * 8, 3):
        damaged = flipped(content, bit)
        if rdb.matches(damaged, "x"):
            look(damaged)


KINDS = [
    (0, string(b"v"), "string"),
    (0, b"\xc0\xff", "string"),
    (0, b"\xc1\xff\xff", "string"),
    (0, b"\xc2\xff\xff\xff\xff", "string"),
    (0, b"\xc3\x03\x09abc", "string"),
    (0, b"\xc3\x40\x46\x41\x00" + bytes(70), "string"),
    (0, string(b"v" * 100), "string"),
    (0, string(b"v" * 20000), "string"),
    (0, b"\x81" + struct.pack(">Q", 3) + b"abc", "string"),
    (1, b"\x02\x01a\x01b", "list"),
    (2, b"\x02\x01a\xc0\x01", "set"),
    (3, b"\x03\x01a\x031.5\x01b\xfe\x01c\xfd", "zset"),
    (4, b"\x02\x01f\x01v\x01g" + string(b"w" * 70), "hash"),
    (5, b"\x02\x01a" + bytes(8) + string(b"w" * 70) + bytes(8), "zset"),
    (
        7,
        b"\x81" + struct.pack(">Q", 0x123456789ABCDEF0) + b"\x02\x05\x01\x40\x41\x03aaaa\x04aaaaaaaa\x05\x02xy\x00",
        "module",
    ),
    (9, string(b"\x01\x01a\x01\x00b\xff"), "hash zipmap"),
    (10, listpack(), "list ziplist"),
    (11, string(struct.pack("<IIhh", 2, 2, 1, 5)), "set intset"),
    (12, listpack(), "zset ziplist"),
    (13, listpack(100), "hash ziplist"),
    (14, b"\x02" + listpack() + listpack(70), "list quicklist"),
    (15, b"\x01\x10" + bytes(16) + listpack() + b"\x01\x02\x03\x01\x01g\x01\x02\x01" + bytes(24) + b"\x01"
     + b"\x01\x01c" + bytes(8) + b"\x01" + bytes(16), "stream"),
    (16, listpack(), "hash listpack"),
    (17, listpack(80), "zset listpack"),
    (18, b"\x02\x01\x03abc\x02" + listpack(), "list quicklist"),
    (20, listpack(20000), "set listpack"),
    (21, b"\x00" + b"\x00" * 8 + b"\x01\x01g\x01\x02\x03\x00\x01\x01c" + bytes(16) + b"\x00", "stream"),
    (22, b"\x01\x05\x01f\x01v", "hash with ttl"),
    (23, listpack(), "hash listpack with ttl"),
    (24, bytes(8) + b"\x02\x05\x01f\x01v\x00\x01f\x01v", "hash with ttl"),
    (25, bytes(8) + listpack(), "hash listpack with ttl"),
]  # fmt: skip


@pytest.mark.parametrize("kind, value, encoding", KINDS)
def test_kinds_of_values(kind, value, encoding):
    record = bytes([kind]) + b"\x01k" + value
    content = sealed(record + b"\x00\x01z\x01z" + record + b"\x00" + string(b"long" * 30) + b"\x01z" + record)
    member, problems = look(content)
    assert not problems
    assert member.tables == {(None, "db0"): 5}
    assert member.details["encodings"][encoding] == (5 if encoding == "string" else 3)
    assert look(content, pieces=pieces_of(content, 1))[1] == []
    body = content[:-8]
    for size in range(9, len(body), 1 + len(body) // 200):
        assert codes(body[:size]) == ["truncated"]


def test_the_name_of_a_module():
    record = b"\x07\x01k\x81" + struct.pack(">Q", 0x123456789ABCDEF0) + b"\x00"
    assert look(sealed(record))[0].details["modules"] == ["EjRWeJq83"]
    aux = b"\xf7\x81" + struct.pack(">Q", 0) + b"\x02\x02\x02\x05\x00"
    assert look(sealed(aux))[0].details["modules"] == ["AAAAAAAAA"]


def test_other_records():
    records = b"\xf8\x05\x00\x01a\x01b\xf9\x07\x00\x01b\x01b\xf4\x01\x02\x03\xf5\x03lib\xfd" + struct.pack("<i", 5)
    records = b"\xfa\x05ctime\xc2" + struct.pack("<i", 1000) + records + b"\x00\x01c\x01b"
    member, problems = look(sealed(records))
    assert not problems
    details = member.details
    assert (details["expires"], details["expired_at_creation"], details["expired_now"]) == (1, 1, 1)
    assert (details["functions"], details["created_at"]) == (1, 1000)
    assert member.tables == {(None, "db0"): 3}


def test_the_largest_value_is_named():
    records = b"\x00\x01a\x01b\x00" + string(b"k\xff" * 150) + string(b"x" * 300) + b"\x00\x01c\x02bb"
    largest = look(sealed(b"\xfe\x05" + records))[0].details["largest_value"]
    assert largest == {"bytes": 302, "key": "k\\xff" * 100, "database": "db5"}


@pytest.mark.parametrize(
    "records, code",
    [
        (b"\x00\x01a\x83", "bad_structure"),
        (b"\x00\x01a\xc4", "bad_structure"),
        (b"\x00\x01a\xc3\x01\x40\x70" + bytes(200), "bad_structure"),
        (b"\x00\x01a\xc3\x05\x03" + bytes(200), "bad_structure"),
        (b"\x00\x01a\xc3\x00\x00" + bytes(200), "bad_structure"),
        (b"\x02\x01a\xc0", "bad_structure"),
        (b"\x10\x01a" + listpack(20, 21), "bad_structure"),
        (b"\x10\x01a\xc0\x01", "bad_structure"),
        (b"\x10\x01a\x03abc", "bad_structure"),
        (b"\x0b\x01a" + string(struct.pack("<II", 3, 2) + bytes(6)), "bad_structure"),
        (b"\x0b\x01a" + string(struct.pack("<II", 2, 2) + bytes(5)), "bad_structure"),
        (b"\x12\x01a\x01\x03" + listpack(), "bad_structure"),
        (b"\x0f\x01a\x01\x05" + bytes(40), "bad_structure"),
        (b"\x07\x01a\x00\x09", "bad_structure"),
        (b"\x1a\x01a\x00", "bad_structure"),
        (b"\x08\x01a\x00", "bad_structure"),
        (b"\xf0", "bad_structure"),
        (b"\x06\x01a\x00", "unsupported"),
        (b"\xf6\x01a", "unsupported"),
        (b"\xfc" + bytes(8), "bad_structure"),
        (b"\xfe\x81" + b"\x7f" * 8, "bad_structure"),
        (b"\xfb\x01\x00", "bad_structure"),
        (b"\xfe\x02\xfb\x01\x01\x00\x01a\x01b", "bad_structure"),
    ],
)
def test_damage_has_a_name(records, code):
    assert codes(sealed(records)) == [code]


def test_versions():
    assert not codes(sealed(b"", b"REDIS0006"))
    assert not codes(b"REDIS0003\xfe\x00\x00\x01a\x01b\xff")
    assert codes(sealed(b"", b"REDIS0000")) == ["bad_structure"]
    assert codes(sealed(b"", b"VALKEY011")) == ["bad_structure"]
    # What is newer is read as far as it is known.
    member, problems = look(sealed(b"\x00\x01a\x01b", b"REDIS0013"))
    assert not problems and member.tables == {(None, "db0"): 1}
    problems = look(sealed(b"\x00\x01a\x01b\x1a\x01a\x01", b"REDIS0013"))[1]
    assert [problem["code"] for problem in problems] == ["unsupported"]
    assert "version 13 is newer" in problems[0]["message"]
    assert codes(sealed(b"\xf3\x01a\x01", b"VALKEY081")) == ["unsupported"]


def test_valkey_9():
    records = b"\xfa\x0avalkey-ver\x059.0.0\x16\x01h\x02\x01f\x01v" + bytes(8) + b"\x01g\x01w" + bytes(8)
    member, problems = look(sealed(records, b"VALKEY080"))
    assert not problems
    assert (member.server_version, member.details["encodings"]) == ("9.0.0", {"hash with ttl": 1})
    assert codes(sealed(b"\x18\x01h" + bytes(9), b"VALKEY080")) == ["bad_structure"]


def test_lengths_that_lie_ask_for_no_memory():
    for value in (
        b"\x00\x01a\x81",
        b"\x01\x01a\x81",
        b"\x05\x01a\x81",
        b"\x12\x01a\x81",
        b"\x0f\x01a\x81",
        b"\x10\x01a\x81",
    ):
        assert codes(b"REDIS0012" + value + b"\x7f" + b"\xff" * 7 + b"\x01" * 3000)[0] in ("truncated", "bad_structure")


def test_a_wrong_checksum():
    content = sealed(b"\x00\x01a\x01b")
    assert codes(content[:-1] + bytes([content[-1] ^ 1])) == ["bad_checksum"]
    assert look(content[:-8] + b"abcdefgh")[0].details["checksum"] == "wrong"
    assert codes(content + b"x") == ["trailing_garbage"]
    assert codes(content + content) == ["trailing_garbage"]
    assert codes(content + b"*1\r\n$4\r\nPING\r\n") == ["trailing_garbage"]


# -- append-only files

COMMANDS = (
    b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nset\r\n$1\r\nc\r\n$1\r\nd\r\n#TS:1795698054\r\n"
    b"*2\r\n$6\r\nselect\r\n$1\r\n2\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nset\r\n$1\r\ng\r\n$1\r\nh\r\n*1\r\n$4\r\nEXEC\r\n"
)
PREAMBLE = b"\xfa\x0caof-preamble\xc0\x01\xfe\x00\xfb\x01\x00\x00\x01a\x01b"
BASE = b"\xfa\x09redis-ver\x067.0.15\xfa\x08aof-base\xc0\x01\xfe\x00\xfb\x01\x00\x00\x01a\x01b"


def test_commands():
    member, problems = look(COMMANDS)
    assert not problems
    assert (member.format, member.details) == ("redis-aof", {"commands": 6})
    assert member.tables == {(None, "db0"): None, (None, "db2"): None}
    for size in (1, 2, 5):
        assert not codes(COMMANDS, pieces=[COMMANDS[at : at + size] for at in range(0, len(COMMANDS), size)])


def test_an_rdb_in_front():
    content = sealed(PREAMBLE) + COMMANDS
    member, problems = look(content)
    assert not problems
    assert (member.format, member.details["commands"]) == ("redis-aof", 6)
    assert member.tables == {(None, "db0"): None, (None, "db2"): None}
    assert look(content, pieces=pieces_of(content, 1))[1] == []
    assert codes(sealed(PREAMBLE) + b"garbage") == ["trailing_garbage"]


def test_a_cut_command_is_noticed():
    # Between two commands nothing tells; an open transaction does.
    multi = COMMANDS.index(b"*1\r\n$5\r\nMULTI")
    whole = [at for at in range(multi + 1) if COMMANDS[at : at + 1] in (b"*", b"#")]
    for size in range(len(COMMANDS)):
        assert bool(codes(COMMANDS[:size])) == (size not in whole), size
    assert codes(COMMANDS[:-14]) == ["open_statement"]
    assert codes(COMMANDS[:-1]) == ["truncated"]


@pytest.mark.parametrize(
    "content",
    [
        COMMANDS + b"+OK\r\n",
        COMMANDS + b"*0\r\n" + COMMANDS,
        COMMANDS + b"*1\r\n:5\r\n" + COMMANDS,
        COMMANDS + b"*1\r\n$3\r\nSETX\r\n" + COMMANDS,
        COMMANDS + b"*-1\r\n" + COMMANDS,
        COMMANDS + b"*99999999999\r\n" + COMMANDS,
        COMMANDS + b"x" * 50,
        COMMANDS + bytes(4096),
    ],
)
def test_what_is_no_command(content):
    assert codes(content)[0] in ("bad_structure", "truncated")


def test_long_arguments():
    content = COMMANDS + b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$5000\r\n" + b"v" * 5000 + b"\r\n"
    assert not codes(content, pieces=pieces_of(content, 100))


LIST = b"file a.aof.2.base.rdb seq 2 type b\nfile a.aof.2.incr.aof seq 2 type i\nfile a.aof.1.incr.aof seq 1 type h\n"


def folder(files):
    report = Report()
    reader = rdb.AofFolder("appendonlydir", report)
    for name, content in files.items():
        path = "appendonlydir/" + name
        assert rdb.AofFolder.accepts(path)
        try:
            reader.entry(path, Bytes(content))
        except Damaged as error:
            report.damaged(error, path)
    reader.finish()
    return report


FILES = {"a.aof.manifest": LIST, "a.aof.2.incr.aof": COMMANDS, "a.aof.2.base.rdb": sealed(BASE)}


def test_a_folder_of_redis_7():
    for names in (list(FILES), list(FILES)[::-1]):
        report = folder({name: FILES[name] for name in names})
        (member,) = report.members
        assert not report.problems and not report.notes
        assert (member.format, member.server_version) == ("redis-aof", "7.0.15")
        assert (member.details["commands"], member.details["files"]) == (6, 2)
        assert member.tables == {(None, "db0"): None, (None, "db2"): None}
        assert member.plain_bytes == sum(map(len, FILES.values()))
    assert not folder(dict(FILES, **{"a.aof.2.incr.aof": b""})).problems


def test_names_of_the_folder():
    for name in ("backup_manifest", "a.manifest", "dump.rdb", "a.aof", "x/a.aof.1.base.rdb.gz"):
        assert not rdb.AofFolder.accepts(name)


@pytest.mark.parametrize(
    "change, code",
    [
        ({"a.aof.manifest": None}, "missing_member"),
        ({"a.aof.2.base.rdb": None}, "missing_member"),
        ({"a.aof.2.incr.aof": None}, "missing_member"),
        ({"a.aof.manifest": LIST[:-1]}, "truncated"),
        ({"a.aof.manifest": b"x" * (1 << 21)}, "truncated"),
        ({"a.aof.manifest": LIST + b"nonsense\n"}, "bad_structure"),
        ({"a.aof.manifest": b""}, "truncated"),
        ({"a.aof.manifest": LIST * 2}, "duplicate"),
        ({"a.aof.2.base.rdb": sealed(BASE)[:-9]}, "truncated"),
        ({"a.aof.2.base.rdb": b""}, "bad_structure"),
        ({"a.aof.2.incr.aof": COMMANDS[:-3]}, "truncated"),
    ],
)
def test_damage_of_a_folder(change, code):
    files = {name: content for name, content in dict(FILES, **change).items() if content is not None}
    assert code in [problem["code"] for problem in folder(files).problems]


def test_files_that_are_in_no_list_are_told():
    report = folder(dict(FILES, **{"a.aof.9.incr.aof": COMMANDS}))
    assert not report.problems
    assert "a.aof.9.incr.aof is not in the list" in report.notes[0]
    assert report.members[0].details["commands"] == 6
