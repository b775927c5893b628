# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streams, compression and tars: what lies below every format."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import tarfile
import threading

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._archive import _compressed, _formats, _tar
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Limits, Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import (
    Ahead,
    Bounded,
    Bytes,
    Damaged,
    Files,
    Hashing,
    Stream,
)


class Lines:
    """A format for these tests: lines that begin with a word of its own."""

    FORMAT = "lines"

    @staticmethod
    def matches(head, name):
        return head.startswith(b"-- lines")

    @staticmethod
    def read(stream, member, report):
        pieces = list(iter(stream.chunk, b""))
        member.table("lines", sum(piece.count(b"\n") for piece in pieces))
        member.details["content"] = hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.fixture(autouse=True)
def lines(monkeypatch):
    monkeypatch.setattr(_formats, "READERS", (Lines,) + _formats.READERS)


TEXT = b"-- lines\n" + b"some words and a number\n" * 4999


def put(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def codes(examination):
    return [problem["code"] for problem in examination.problems]


def tar_of(**files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


# -- streams ---------------------------------------------------------------------------------------------------------


def test_reading_does_not_depend_on_where_blocks_begin():
    for size in (1, 2, 3, 7, 100):
        pieces = [b"abcdefghij"[start : start + size] for start in range(0, 10, size)]
        stream = Bytes(pieces=pieces)
        assert stream.peek(3) == b"abc"
        assert stream.read(4) == b"abcd"
        stream.skip(2)
        assert (stream.offset, stream.chunk(1), stream.peek(100)) == (6, b"g", b"hij")
        stream.give_back(b"g")
        assert (stream.offset, stream.read(4)) == (6, b"ghij")
        assert stream.at_end() and stream.chunk() == b""


@pytest.mark.parametrize("ask", [lambda stream: stream.read(11), lambda stream: stream.skip(11)])
def test_an_end_that_comes_too_early_is_damage(ask):
    with pytest.raises(Damaged) as caught:
        ask(Bytes(b"0123456789"))
    assert (caught.value.code, caught.value.offset) == ("truncated", 10)


def test_a_length_that_makes_no_sense_is_not_allocated():
    with pytest.raises(Damaged, match="more than makes sense"):
        Bytes(b"0123456789").read(1 << 40)


def test_a_bounded_stream_ends_where_it_should():
    whole = Bytes(pieces=[b"abc", b"defg", b"h"])
    part = Bounded(whole, 5)
    assert part.read(5) == b"abcde" and part.at_end()
    assert whole.read(3) == b"fgh"
    with pytest.raises(Damaged) as caught:
        Bounded(Bytes(b"abc"), 5).drain()
    assert caught.value.code == "truncated"


def test_what_is_read_ahead_arrives_in_order_and_so_do_errors():
    class Failing(Stream):
        numbers = iter(range(20))

        def _more(self):
            number = next(self.numbers)
            if number == 15:
                raise Damaged("bad_checksum", "is damaged", 15)
            return b"%02d" % number

    with Ahead(Failing()) as ahead:
        assert ahead.read(30) == b"".join(b"%02d" % number for number in range(15))
        with pytest.raises(Damaged, match="is damaged"):
            ahead.chunk()


def test_a_reader_that_stops_takes_its_thread_along():
    before = threading.active_count()
    endless = Bytes(pieces=(b"x" * 1000 for _number in range(10**9)))
    with Ahead(endless) as ahead:
        ahead.read(10)
    assert threading.active_count() == before


def test_threads_take_turns_more_often_only_while_something_is_read_ahead():
    usual = sys.getswitchinterval()
    with Ahead(Bytes(b"x" * 10)) as ahead, Ahead(ahead) as twice:
        assert sys.getswitchinterval() == usual
        assert twice.read(10) == b"x" * 10
        assert sys.getswitchinterval() < usual
    assert sys.getswitchinterval() == usual


def test_files_are_joined_and_hashed(tmp_path):
    paths = [put(tmp_path, "tar-a" + letter, letter.encode() * 10) for letter in "abc"]
    with Files(paths) as files:
        hashing = Hashing(files)
        assert hashing.read(30) == b"a" * 10 + b"b" * 10 + b"c" * 10
        hashing.drain()
    assert hashing.size == 30
    assert hashing.sha256 == hashlib.sha256(b"a" * 10 + b"b" * 10 + b"c" * 10).hexdigest()


# -- compression -----------------------------------------------------------------------------------------------------

COMPRESSORS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_a_compressed_file_is_read_as_if_it_was_not(tmp_path, ending):
    found = _archive.examine([put(tmp_path, "dump.sql." + ending, COMPRESSORS[ending](TEXT))])
    assert found.valid, found.problems
    (member,) = found.contents
    assert member.tables == {(None, "lines"): 5000}
    assert (member.plain_bytes, member.stored_bytes) == (len(TEXT), found.size_bytes)
    assert member.sha256 == found.sha256


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_several_members_are_one_file(tmp_path, ending):
    half = len(TEXT) // 2
    compress = COMPRESSORS[ending]
    found = _archive.examine([put(tmp_path, "d." + ending, compress(TEXT[:half]) + compress(b"") + compress(TEXT[half:]))])
    assert found.valid, found.problems
    assert found.contents[0].tables == {(None, "lines"): 5000}


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_a_compressed_file_is_noticed_wherever_it_is_cut(tmp_path, ending):
    whole = COMPRESSORS[ending](TEXT[:100])
    for length in range(len(whole)):
        found = _archive.examine([put(tmp_path, "d." + ending, whole[:length])])
        assert not found.valid, length
    assert _archive.examine([put(tmp_path, "d." + ending, whole)]).valid


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_no_bit_changes_what_is_read_without_being_noticed(tmp_path, ending):
    """Some bits mean nothing, such as those of the time in gzip's header: then the content is what it was."""
    text = TEXT[:60]
    whole = COMPRESSORS[ending](text)
    unnoticed = 0
    for position in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            found = _archive.examine([put(tmp_path, "d." + ending, bytes(flipped))])
            if found.valid:
                unnoticed += 1
                assert found.contents[0].details["content"] == hashlib.sha256(text).hexdigest(), (position, bit)
    assert unnoticed < 80


@pytest.mark.parametrize("garbage", [b"\0", b"\0" * 512, b"x", b"\x1f", b"more"])
@pytest.mark.parametrize("ending", COMPRESSORS)
def test_what_stands_behind_the_end_is_garbage(tmp_path, ending, garbage):
    found = _archive.examine([put(tmp_path, "d." + ending, COMPRESSORS[ending](TEXT) + garbage)])
    assert codes(found) == ["trailing_garbage"]


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_a_bomb_is_not_inflated_to_its_end(tmp_path, ending):
    bomb = COMPRESSORS[ending](b"-- lines" + bytes(8 << 20))
    found = _archive.examine([put(tmp_path, "d." + ending, bomb)], Limits(max_ratio=20, ratio_from=1 << 20))
    assert codes(found) == ["bomb"]
    found = _archive.examine([put(tmp_path, "d." + ending, bomb)], Limits(max_plain_bytes=4 << 20))
    assert codes(found) == ["bomb"]
    assert _archive.examine([put(tmp_path, "d." + ending, bomb)], Limits(ratio_from=1 << 30)).valid


def test_compression_that_cannot_be_read_here_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(_compressed, "_zstd", lambda: None)
    found = _archive.examine([put(tmp_path, "d.zst", b"\x28\xb5\x2f\xfd" + b"x" * 20)])
    assert codes(found) == ["unsupported"]
    assert "zstandard" in found.problems[0]["message"]


@pytest.mark.parametrize("name, plain", [("a.sql.gz", "a.sql"), ("a.tgz", "a.tar"), ("a.tar.xz", "a.tar"), ("gz", "gz")])
def test_names_lose_their_ending(name, plain):
    for kind in _compressed.KINDS:
        shorter = kind.plain_name(name)
        assert shorter in (name, plain)
    assert any(kind.plain_name(name) == plain for kind in _compressed.KINDS)


# -- tars ------------------------------------------------------------------------------------------------------------


def test_dumps_are_found_in_tars_in_tars(tmp_path):
    inner = tar_of(inner_dot_sql=TEXT)
    outer = tar_of(db__databases__A_dot_sql_dot_gz=gzip.compress(TEXT), db__more_dot_tar_dot_gz=gzip.compress(inner))
    found = _archive.examine([put(tmp_path, "shop.tar", outer)])
    assert found.valid, found.problems
    assert [(member.name, member.compression) for member in found.contents] == [
        ("db/databases/A.sql.gz", ["gzip"]),
        ("inner.sql", []),
    ]


def test_parts_are_joined_however_they_are_given(tmp_path):
    whole = tar_of(A_dot_sql=TEXT, B_dot_sql_dot_gz=gzip.compress(TEXT))
    folder = tmp_path / "parts"
    folder.mkdir()
    paths = [put(folder, "tar-a%s" % letter, whole[start : start + 50000]) for letter, start in zip("abc", (0, 50000, 100000))]
    found = _archive.examine(paths)
    assert found.valid and len(found.contents) == 2, found.problems
    assert _archive.examine([str(folder)]).sha256 == found.sha256
    assert not _archive.examine([paths[1], paths[0], paths[2]]).valid
    assert not _archive.examine(paths[:2]).valid
    assert not _archive.examine([paths[0], paths[1], paths[1], paths[2]]).valid


def test_a_tar_is_noticed_wherever_it_is_cut(tmp_path):
    whole = tar_of(a_dot_sql=TEXT[:700], b_dot_sql=TEXT[:100])
    end = whole.index(bytes(1024))
    end += -end % 512 + 1024
    for length in list(range(0, end, 37)) + list(range(0, end, 512)):
        assert not _archive.examine([put(tmp_path, "shop.tar", whole[:length])]).valid, length
    assert _archive.examine([put(tmp_path, "shop.tar", whole[:end])]).valid


def test_every_bit_of_a_header_is_noticed(tmp_path):
    whole = tar_of(a_dot_sql=TEXT[:100])
    for position in range(512):
        for bit in (0, 5):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            found = _archive.examine([put(tmp_path, "shop.tar", bytes(flipped))])
            # The checksum itself may be written in several ways.
            assert not found.valid or position in (154, 155), (position, bit)


@pytest.mark.parametrize("bit", [5, 6, 7])
def test_flags_of_gzip_that_do_not_exist(tmp_path, bit):
    flipped = bytearray(gzip.compress(TEXT))
    flipped[3] ^= 1 << bit
    assert codes(_archive.examine([put(tmp_path, "shop.sql.gz", bytes(flipped))])) == ["bad_structure"]


@pytest.mark.parametrize("name", ["../evil.sql", "/etc/passwd", "a/../../evil.sql", "C:evil.sql"])
def test_names_that_lead_elsewhere_are_named_and_not_read(tmp_path, name):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    found = _archive.examine([put(tmp_path, "shop.tar", made.getvalue())])
    assert codes(found) == ["unsafe_member"] and not found.contents


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_what_is_no_file_is_named(tmp_path, kind):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("db/link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    assert codes(_archive.examine([put(tmp_path, "shop.tar", made.getvalue())])) == ["unsafe_member"]


def test_the_links_of_tablespaces_are_no_danger():
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("pg_tblspc/16385")
        member.type, member.linkname = tarfile.SYMTYPE, "/srv/fast"
        archive.addfile(member)
    report = Report()
    assert not list(_tar.entries(Bytes(made.getvalue()), report))
    assert not report.problems and "16385" in report.notes[0]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_numbers(form):
    made = io.BytesIO()
    long_name = "/".join(["folder" * 5] * 3) + "/" + "n" * 60 + ".sql"
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        member = tarfile.TarInfo(long_name)
        member.size, member.mtime = len(TEXT), 1700000000
        archive.addfile(member, io.BytesIO(TEXT))
    (name,) = [entry.name for entry in _tar.entries(Bytes(made.getvalue()), Report())]
    assert name == long_name


def test_the_same_file_twice_is_named(tmp_path):
    one = tar_of(a_dot_sql=TEXT)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for _again in range(2):
            member = tarfile.TarInfo("a.sql")
            member.size = len(TEXT)
            archive.addfile(member, io.BytesIO(TEXT))
    assert codes(_archive.examine([put(tmp_path, "two.tar", made.getvalue())])) == ["duplicate"]
    assert codes(_archive.examine([put(tmp_path, "cat.tar", one + one)])) == ["trailing_garbage"]


# -- what is no backup ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content, code",
    [
        (b"", "empty"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "error_page"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "error_page"),
        (b'{"error": "not_found"}', "error_page"),
        (b"\x7fELF something else", "unknown_format"),
        (b"PK\x03\x04 something else", "unknown_format"),
    ],
)
@pytest.mark.parametrize("name", ["shop.tar", "shop.sql.gz"])
def test_other_things_in_place_of_a_backup(tmp_path, content, code, name):
    found = _archive.examine([put(tmp_path, name, content)])
    assert codes(found) == [code]


def test_what_is_known_of_others_is_told(tmp_path):
    (problem,) = _archive.examine([put(tmp_path, "shop.zip", b"PK\x03\x04 something else")]).problems
    assert "unpack it first" in problem["message"]
    (problem,) = _archive.examine([put(tmp_path, "shop.asc", b"-----BEGIN PGP MESSAGE-----\n")]).problems
    assert "decrypt it first" in problem["message"]
    xml = b'<?xml version="1.0"?>\n<mysqldump xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
    (problem,) = _archive.examine([put(tmp_path, "shop.xml", xml)]).problems
    assert problem["code"] == "unknown_format" and "without --xml" in problem["message"]
    (problem,) = _archive.examine([put(tmp_path, "shop.sql", b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\n")]).problems
    assert problem["code"] == "unknown_format" and ".backup" in problem["message"]


def test_parts_in_another_order_than_that_of_their_names(tmp_path):
    parts = [put(tmp_path, "tar-%s" % name, TEXT[start:end]) for name, start, end in (("aa", 0, 40), ("ab", 40, None))]
    assert _archive.examine(parts).notes == []
    found = _archive.examine(parts[::-1])
    assert not found.valid
    assert [note for note in found.notes if "tar-ab, tar-aa" in note]


def test_an_empty_tar_and_an_empty_folder_hold_no_dump(tmp_path):
    assert codes(_archive.examine([put(tmp_path, "shop.tar", bytes(10240))])) == ["empty"]
    folder = tmp_path / "folder"
    folder.mkdir()
    assert codes(_archive.examine([str(folder)])) == ["empty"]


def test_containers_are_not_opened_without_end(tmp_path):
    nested = TEXT
    for _level in range(12):
        nested = gzip.compress(nested)
    assert codes(_archive.examine([put(tmp_path, "deep.gz", nested)])) == ["bomb"]


def test_a_member_can_be_opened_again_for_a_restore(tmp_path):
    path = put(tmp_path, "shop.tar", tar_of(a_dot_sql=b"-- lines\n", db__b_dot_sql_dot_gz=gzip.compress(TEXT)))
    with _archive.Opened([path], "db/b.sql.gz") as stream:
        assert stream.read(len(TEXT)) == TEXT and stream.at_end()
    with pytest.raises(Damaged):
        _archive.Opened([path], "db/c.sql.gz")
