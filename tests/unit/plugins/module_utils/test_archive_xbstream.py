# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xbstream: what is in it, and that no damage of it goes unnoticed. Names and order as mariadb-backup 10.11 writes."""

from __future__ import annotations

import struct
import zlib
from functools import partial

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import xbstream
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Limits, Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils import archive_reading
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.archive_reading import flipped, pieces_of

CHECKPOINTS = b"backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 1456192\nlast_lsn = 1456350\n"
INFO = (
    b"uuid = 0f0bc0cc\ntool_name = mariadb-backup\ntool_command = --backup --password=...\n"
    b"tool_version = 10.11.19-MariaDB\nserver_version = 10.11.19-MariaDB-0+deb12u1\n"
    b"start_time = 2026-11-26 12:51:10\nend_time = 2026-11-26 12:51:12\n"
    b"innodb_from_lsn = 0\ninnodb_to_lsn = 1456192\npartial = N\n"
)
CONFIGURATION = b"[mysqld]\ninnodb_data_file_path=ibdata1:12M:autoextend\n"


def piece(path, content, offset=0, kind=b"P", flags=0, checksum=None):
    path = path.encode()
    checksum = zlib.crc32(content) if checksum is None else checksum
    head = struct.pack("<8sB1sI", b"XBSTCK01", flags, kind, len(path)) + path
    return head + struct.pack("<QQI", len(content), offset, checksum) + content


def end(path, flags=0, kind=b"E"):
    path = path.encode()
    return struct.pack("<8sB1sI", b"XBSTCK01", flags, kind, len(path)) + path


def file(path, *contents):
    made, offset = b"", 0
    for content in contents:
        made += piece(path, content, offset)
        offset += len(content)
    return made + end(path)


def backup(*files, without=(), **changed):
    """A whole backup; ``without`` names what to leave out, ``changed`` gives contents by the name's letters."""
    parts = {
        "ibdata1": b"\0" * 20,
        "shop/db.opt": b"utf8",
        "shop/a.ibd": b"pages",
        "shop/a.frm": b"\xfe\x01\x0a\x0c",
        "ib_logfile0": b"log",
        "xtrabackup_checkpoints": CHECKPOINTS,
        "backup-my.cnf": CONFIGURATION,
        "xtrabackup_info": INFO,
    }
    parts.update({name: changed[name] for name in changed})
    return b"".join(files) + b"".join(file(name, parts[name]) for name in parts if name not in without)


look = partial(archive_reading.look, xbstream)
codes = partial(archive_reading.codes, xbstream)


def test_it_is_recognised():
    assert xbstream.matches(backup()[:4096], "x")
    assert not xbstream.matches(b"XBSTCK02" + bytes(100), "b.xbstream")


def test_a_whole_backup():
    member, problems = look(backup())
    assert not problems
    assert (member.format, member.engine, member.database) == ("xbstream", "mysql", "shop")
    assert (member.tool, member.tool_version) == ("mariadb-backup", "10.11.19-MariaDB")
    assert member.server_version == "10.11.19-MariaDB-0+deb12u1"
    assert member.tables == {("shop", "a"): None}
    assert member.details == {
        "backup_type": "full",
        "from_lsn": 0,
        "to_lsn": 1456192,
        "last_lsn": 1456350,
        "start_time": "2026-11-26 12:51:10",
        "end_time": "2026-11-26 12:51:12",
        "partial": "N",
        "files": 8,
        "compressed_files": 0,
        "encrypted_files": 0,
        "system_tables": 0,
        "without_file": [],
    }


def test_borders_of_blocks_do_not_matter():
    content = backup()
    assert look(content, pieces=pieces_of(content, 1))[1] == []


def test_every_truncation_is_noticed():
    content = backup()
    for size in range(1, len(content)):
        assert codes(content[:size]), size
    # Between two files nothing but what is missing tells.
    assert codes(content[: -len(file("xtrabackup_info", INFO))]) == ["missing_member"]


def test_every_flipped_bit_is_noticed():
    content = backup(piece("shop/m.CSV", b"ab"), piece("shop/m.CSV", b"cd", 2), end("shop/m.CSV"))
    assert not codes(content)
    # That a file may have come before means nothing where it has not.
    free = {bit * 8 + 65 for bit in range(len(content)) if content.startswith(b"XBSTCK01\0P", bit)}
    for bit in [*range(1600), *range(1600, len(content) * 8, 7)]:
        assert bool(codes(flipped(content, bit))) == (bit not in free), bit


def test_the_other_flip_that_nothing_shows():
    # An empty file has a name and no bytes: with another name it is another empty file.
    content = backup(end("mysql/slow_log.CSV"))
    assert not codes(content)
    assert not codes(content.replace(b"slow_log.CSV", b"slow_lng.CSV"))


def test_files_that_come_once_more():
    # As mariadb-backup writes them when a table is changed while it is copied.
    again = piece("shop/c.CSV", b"new", flags=2) + piece("shop/c.CSV", b"er", 3, flags=2) + end("shop/c.CSV")
    assert not codes(backup(file("shop/c.CSV", b"old"), again))
    assert not codes(backup(again))
    assert codes(backup(file("shop/c.CSV", b"old"), file("shop/c.CSV", b"new"))) == ["duplicate"]
    assert codes(backup(file("shop/c.CSV", b"old"), again[:-24])) == ["truncated"]
    assert codes(backup(file("shop/c.CSV", b"old"), piece("shop/c.CSV", b"new", 3, flags=2))) == ["bad_structure"]


def renamed(old, new):
    return end(old, kind=b"R") + struct.pack("<I", len(new)) + new.encode()


def test_files_that_are_dropped_or_renamed_meanwhile():
    # The letters are those that mbstream takes.
    member, problems = look(backup(file("shop/c.CSV", b"x"), file("shop/d.CSV", b"x"), end("shop/c.CSV", kind=b"D")))
    assert not problems and sorted(member.tables) == [("shop", "a"), ("shop", "d")]
    assert not codes(backup(end("shop/never.CSV", kind=b"D"), renamed("shop/never.CSV", "shop/nor.CSV")))
    assert not codes(backup(file("shop/c.CSV", b"x"), end("shop/c.CSV", kind=b"D"), file("shop/c.CSV", b"y")))
    member, problems = look(backup(file("shop/c.CSV", b"x"), renamed("shop/c.CSV", "shop/d.CSV")))
    assert not problems and sorted(member.tables) == [("shop", "a"), ("shop", "d")]
    for content in (
        backup(piece("shop/c.CSV", b"x"), end("shop/c.CSV", kind=b"D")),
        backup(piece("shop/c.CSV", b"x"), renamed("shop/c.CSV", "shop/d.CSV")),
        backup(file("shop/c.CSV", b"x"), renamed("shop/c.CSV", "y" * 600)),
    ):
        assert codes(content) == ["bad_structure"]
    assert codes(backup(file("shop/c.CSV", b"x"), renamed("shop/c.CSV", "../c"))) == ["unsafe_member"]


@pytest.mark.parametrize(
    "content, code",
    [
        (backup() + b"garbage that is no piece", "trailing_garbage"),
        (backup() + b"XBST", "truncated"),
        (backup() + backup(), "duplicate"),
        (backup(piece("shop/x.CSV", b"ab") + piece("shop/x.CSV", b"cd", 3)), "bad_structure"),
        (backup(piece("shop/x.CSV", b"ab") + piece("shop/x.CSV", b"ab")), "bad_structure"),
        (backup(piece("shop/x.CSV", b"ab", 2)), "bad_structure"),
        (backup(piece("shop/x.CSV", b"ab")), "truncated"),
        (backup(piece("shop/x.CSV", b"ab", checksum=1) + end("shop/x.CSV")), "bad_checksum"),
        (backup(piece("x", b"", kind=b"Q")), "bad_structure"),
        (backup(file("../../etc/cron.d/x", b"a")), "unsafe_member"),
        (backup(file("/etc/cron.d/x", b"a")), "unsafe_member"),
        (backup(file("shop/..", b"a")), "unsafe_member"),
        (backup(end("a/../../x")), "unsafe_member"),
        (backup(end("y" * 512)), "bad_structure"),
        (backup(end("")), "bad_structure"),
        (backup(file("shop/t.ibd.zst.xbcrypt", b"a"), file("shop/t.frm", b"a")), "encrypted"),
        (backup(file("shop/t.MYD", b"a")), "missing_member"),
        (backup(file("shop/t.MAI", b"a")), "missing_member"),
        (backup(file("shop/t.ibd", b"a")), "missing_member"),
        (backup(file("shop/t.ibd.delta", b"a"), file("shop/t.frm", b"a")), "missing_member"),
        (backup(xtrabackup_checkpoints=CHECKPOINTS.replace(b"1456192", b"1456191")), "bad_structure"),
    ],
)
def test_damage_has_a_name(content, code):
    assert codes(content) == [code]


@pytest.mark.parametrize(
    "lost", ["ibdata1", "ib_logfile0", "xtrabackup_checkpoints", "backup-my.cnf", "xtrabackup_info"]
)
def test_what_a_restore_needs(lost):
    _member, problems = look(backup(without=[lost]))
    assert [problem["code"] for problem in problems] == ["missing_member"]
    assert lost in problems[0]["message"]


def test_names_of_the_system_tablespace():
    configuration = b"innodb_data_file_path=/srv/one:12M;two:1G:autoextend\n"
    content = backup(file("one", b"1"), **{"backup-my.cnf": configuration}, without=["ibdata1"])
    assert "lacks two," in look(content)[1][0]["message"]
    assert not codes(
        backup(file("one", b"1"), file("two", b"2"), **{"backup-my.cnf": configuration}, without=["ibdata1"])
    )


def test_an_incremental_backup():
    files = [file("ibdata1.delta", b"x"), file("ibdata1.meta", b"x"), file("shop/a.ibd.delta", b"x")]
    points = b"backup_type = incremental\nfrom_lsn = 1456192\nto_lsn = 1456350\nlast_lsn = 1456366\n"
    info = INFO.replace(b"from_lsn = 0", b"from_lsn = 1456192").replace(b"to_lsn = 1456192", b"to_lsn = 1456350")
    content = backup(
        *files,
        file("shop/a.ibd.meta", b"x"),
        without=["ibdata1", "shop/a.ibd"],
        xtrabackup_checkpoints=points,
        xtrabackup_info=info,
    )
    member, problems = look(content)
    assert not problems
    assert member.tables == {("shop", "a"): None}
    assert (member.details["backup_type"], member.details["from_lsn"]) == ("incremental", 1456192)
    content = backup(*files[:1], without=["ibdata1"], xtrabackup_checkpoints=points, xtrabackup_info=info)
    assert "ibdata1.meta" in look(content)[1][0]["message"]


@pytest.mark.parametrize("name", ["mysql/plugin.MAD", "shop/b.frm", "shop/b.frm.zst", "shop/a.ibd.delta", "shop/a.new"])
def test_files_that_are_never_empty(name):
    """The end of a file alone is that of an empty one: what lacks its only piece looks like it."""
    before = [file("mysql/plugin.MAI", b"page")] if name.endswith("MAD") else []
    before += [file(name.replace(".delta", ".meta"), b"page_size")] if name.endswith(".delta") else []
    _member, problems = look(backup(*before, end(name)))
    assert [(problem["code"], problem["message"]) for problem in problems] == [("empty", name + ": holds no bytes")]


def test_files_that_may_be_empty():
    names = ("mysql/slow_log.CSV", "shop/t.MYD", "shop/t.MAD")
    others = [file(name, b"page") for name in ("mysql/slow_log.CSM", "shop/t.MYI", "shop/t.MAI")]
    assert not look(backup(*others, *map(end, names)))[1]


def test_names_of_tables():
    names = [
        "p#P#p0.ibd",
        "p#P#p1.ibd",
        "p.frm",
        "or@0020der@002d@1o.MAD",
        "or@0020der@002d@1o.MAI",
        "late.new",
        "late.frm",
        "#sql-1-2.ibd",
        "FTS_00a.ibd",
        "view.frm",
        "heap.frm",
        "gone.ibd",
        "gone.del",
    ]
    files = [file("shop/" + name, b"TYPE=VIEW" if name == "view.frm" else b"rows") for name in names]
    member, problems = look(backup(*files, file("mysql/user.MAD", b"page"), file("mysql/user.MAI", b"page")))
    assert not problems
    assert sorted(name for _database, name in member.tables) == ["a", "gone", "late", "or der-ü", "p"]
    assert member.details["without_file"] == ["shop.heap"]
    assert member.details["system_tables"] == 1
    assert member.database == "shop"


@pytest.mark.parametrize(
    "stored, name",
    [
        ("plain_1", "plain_1"),
        ("a@002db", "a-b"),
        ("@0G@0g@1o@1O", "ÀàüÜ"),
        ("@i0@j1@I0", "вчВ"),
        ("@1j@1J", "ß@1J"),
        ("@zz", "@zz"),
        ("@4x@4z", "@4x@4z"),
        ("@", "@"),
        ("@4e2d", "中"),
    ],
)
def test_letters_in_names(stored, name):
    assert xbstream.decode_name(stored) == name


def test_percona_compresses_each_file():
    content = backup(
        *[
            file(name + ".zst", b"packed")
            for name in ("ibdata1", "shop/b.ibd", "xtrabackup_logfile", "xtrabackup_info")
        ],
        file("shop/c.ibd.qp", b"packed"),
        file("backup-my.cnf.lz4", b"packed"),
        without=["ibdata1", "ib_logfile0", "xtrabackup_info", "backup-my.cnf"],
    )
    member, problems = look(content)
    assert not problems
    assert member.details["compressed_files"] == 6
    assert sorted(member.tables) == [("shop", "a"), ("shop", "b"), ("shop", "c")]
    assert member.tool is None


def holes(path, entries, content, offset=0, checksum=None):
    table = b"".join(struct.pack("<II", skip, length) for skip, length in entries)
    path = path.encode()
    checksum = zlib.crc32(table + content) if checksum is None else checksum
    head = struct.pack("<8sB1sI", b"XBSTCK01", 0, b"S", len(path)) + path + struct.pack("<I", len(entries))
    return head + struct.pack("<QQI", len(content), offset, checksum) + table + content


def test_holes():
    path = "shop/a.CSV"
    content = holes(path, [(100, 2), (50, 1)], b"abc") + holes(path, [], b"end", 153) + end(path)
    assert not codes(backup(content))
    for bit in range(len(content) * 8):
        assert codes(backup(flipped(content, bit))), bit
    assert codes(backup(holes(path, [(1, 2)], b"ab", checksum=3) + end(path))) == ["bad_checksum"]
    large = struct.pack("<8sB1sI1sI", b"XBSTCK01", 0, b"S", 1, b"x", 0xFFFFFFFF) + bytes(100)
    assert codes(backup(large))[0] == "bad_structure"


def test_pieces_that_may_be_ignored_are():
    content = backup(piece("x", b"abc", kind=b"Q", flags=1))
    assert not codes(content)
    assert codes(backup(piece("x", b"abc", kind=b"Q", flags=1, checksum=5))) == ["bad_checksum"]
    assert "bad_structure" in codes(backup(piece("x", b"abc", kind=b"Q", flags=2)))


def test_a_length_that_is_a_lie_asks_for_no_memory():
    lie = struct.pack("<8sB1sI1sQQI", b"XBSTCK01", 0, b"P", 1, b"x", 1 << 60, 0, 0) + b"few"
    member, problems = look(lie)
    assert problems[0]["code"] == "truncated"
    assert not member.tables


def test_no_more_files_than_allowed():
    content = b"".join(end("t%d" % number) for number in range(20))
    assert codes(content, limits=Limits(max_members=10))[0] == "bomb"


def test_a_large_info_is_not_kept():
    member, problems = look(backup(xtrabackup_info=INFO + b"x" * (1 << 17)))
    assert not problems
    assert member.tool is None


def test_some_databases_only():
    assert "without mysql" in archive_notes(backup())
    assert not archive_notes(backup(file("mysql/db.opt", b"utf8")))


def archive_notes(content):
    report = Report(None)
    xbstream.read(Bytes(content), report.member("b.xbstream"), report)
    return " ".join(report.notes)


def test_names_that_windows_keeps_for_itself():
    member, problems = look(backup(file("shop/con@@@.ibd", b"rows"), file("shop/con@@@.frm", b"frm")))
    assert not problems and ("shop", "con") in member.tables
