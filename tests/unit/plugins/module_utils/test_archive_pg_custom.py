# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_dump's custom format: real dumps whole and damaged, and archives built here for what they do not hold."""

from __future__ import annotations

import struct
import zlib
from functools import partial

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import _compressed, pg_custom
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Limits
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils import archive_reading
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.archive_reading import flipped, pieces_of
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.pg_dump_samples import (
    CONTENTS_18,
    CUSTOM_15,
    CUSTOM_18,
    UNCOMPRESSED_18,
)


look = partial(archive_reading.look, pg_custom)
codes = partial(archive_reading.codes, pg_custom)


# -- archives that are built


def number(value):
    return bytes([value < 0]) + struct.pack("<I", abs(value))


def text(value):
    return number(-1) if value is None else number(len(value.encode())) + value.encode()


def entry(
    ident,
    kind,
    tag="",
    statement="",
    copy=None,
    schema="public",
    data=False,
    state=None,
    place=0,
    version=15,
    depends=(),
):
    state = (1 if data else 3) if state is None else state
    made = number(ident) + number(int(data)) + text("0") + text("0") + text(tag) + text(kind)
    made += number(3 if data else 2) + text(statement) + text("") + text(copy) + text(schema) + text("") + text(None)
    if version >= 16:
        made += number(ord("r") if kind == "TABLE" else 0)
    made += text("owner") + text("false") + b"".join(map(text, depends)) + text(None)
    return made + bytes([state]) + struct.pack("<Q", place)


def archive(entries, blocks=b"", compression=0, version=15, database="shop"):
    head = b"PGDMP" + bytes([1, version, 0, 4, 8, 1])
    head += bytes([compression]) if version >= 15 else number(compression)
    head += b"".join(map(number, (8, 4, 13, 26, 10, 126, 0))) + text(database) + text("15.4") + text("15.4")
    return head + number(len(entries)) + b"".join(entries) + blocks


def chunked(content, size=10):
    return b"".join(number(len(piece)) + piece for piece in pieces_of(content, size)) + number(0)


def rows(ident, content, kind=1):
    return bytes([kind]) + number(ident) + chunked(content)


ENCODING = entry(1, "ENCODING", "ENCODING", "SET client_encoding = 'UTF8';\n", schema=None)
TABLE = entry(2, "TABLE", "a", "CREATE TABLE public.a (i integer, t text);\n")
DATA = entry(3, "TABLE DATA", "a", copy="COPY public.a (i, t) FROM stdin;\n", data=True, depends=("2",))
ROWS = b"1\tone\n2\ttwo\n\\.\n\n\n"


def one_table(content=ROWS, **options):
    return archive([ENCODING, TABLE, DATA], rows(3, content), **options)


# -- what is whole


def test_what_is_recognised():
    assert pg_custom.matches(CUSTOM_15, "x")
    assert not pg_custom.matches(CONTENTS_18, "toc.dat")
    assert not pg_custom.matches(b"PGDMX" + CUSTOM_15[5:], "x.dump")


@pytest.mark.parametrize(
    "content, version, server, compression",
    [
        (CUSTOM_15, "1.14", "15.18 (Debian 15.18-0+deb12u1)", "gzip"),
        (CUSTOM_18, "1.16", "18.4", "gzip"),
        (UNCOMPRESSED_18, "1.16", "18.4", None),
    ],
)
def test_a_real_dump(content, version, server, compression):
    member, problems = look(content)
    assert not problems
    assert (member.format, member.engine, member.database) == ("pg_dump-custom", "postgresql", "tiny")
    assert (member.tool, member.tool_version, member.server_version, member.encoding) == (
        "pg_dump",
        server,
        server,
        "UTF8",
    )
    assert member.tables == {(None, "public.t"): 3, (None, "public.u"): 0}
    details = member.details
    assert details.pop("created_at").startswith("2026-11-26 13:09:")
    assert details.pop("compression", None) == compression
    assert details.pop("entries") >= 10
    assert details == {"archive_version": version, "partitioned": [], "without_data": [], "data_only": False,
                       "owners": ["postgres"], "large_objects": 1}


@pytest.mark.parametrize("content", [CUSTOM_15, UNCOMPRESSED_18])
def test_borders_of_blocks_do_not_matter(content):
    for size in (1, 2, 100):
        assert not codes(content, pieces=pieces_of(content, size))


# -- what is damaged


def test_every_truncation_is_noticed():
    for size in [*range(1, 1800, 37), *range(1800, len(CUSTOM_18), 3)]:
        assert codes(CUSTOM_18[:size]), size


def texts(content):
    """Places that nothing else in an archive tells anything about.

    The format has no checksum. Texts of the table of contents (names, statements, owners, versions) and what is no more
    than said (the time of the dump, its last digit of the version, sections, kinds of relations, numbers of entries
    that nothing depends on) may be damaged so that they are others. A restore shows more of them.
    """
    place, free = 11, {7}

    def integer(value_is_free=False):
        nonlocal place
        value = int.from_bytes(content[place + 1 : place + 5], "little") * (-1 if content[place] else 1)
        if value_is_free:
            free.update(range(place, place + 5))
        place += 5
        return value

    def string():
        nonlocal place
        # A text that is not there and one of length 1 or 3 are next to each other, too.
        size = integer()
        free.update(range(place, place + max(size, 0)))
        place += max(size, 0)
        return size

    place += 1
    for _time in range(7):
        integer(True)
    for _text in range(3):
        string()
    for _entry in range(integer()):
        integer(True)
        integer()
        for _text in range(4):
            string()
        integer(True)
        for _text in range(6):
            string()
        integer(True)
        string()
        string()
        while string() >= 0:
            pass
        place += 9
    return free, place


PLAIN = [b"1\t\xc3\xa4\n", b"2\ta\\\\b\\t\\nc\n", b"3\t\\N\n", b"large object"]


def test_flipped_bits_are_noticed():
    free, data = texts(CUSTOM_18)
    # What fills up the last byte of deflated data, before its checksum, is nothing.
    for plain in (b"".join(PLAIN[:3]) + b"\\.\n\n\n", b"\\.\n\n\n", PLAIN[3]):
        free.add(CUSTOM_18.index(struct.pack(">I", zlib.adler32(plain))) - 1)
    assert unnoticed(CUSTOM_18, free, data) == []


def test_flipped_bits_are_noticed_without_compression():
    free, data = texts(UNCOMPRESSED_18)
    # Rows have no checksum then: only their structure shows, and what is around them.
    for plain in PLAIN:
        start = UNCOMPRESSED_18.index(plain)
        free.update(range(start, start + len(plain)))
    assert unnoticed(UNCOMPRESSED_18, free, data) == []


def unnoticed(content, free, data):
    bits = [*range(0, data * 8, 31), *range(data * 8, len(content) * 8, 5)]
    return [bit for bit in bits if bit // 8 not in free and not codes(flipped(content, bit))]


def test_rows_that_are_not_as_wide_as_the_table_show():
    for content in (b"1\tone\n2\n\\.\n\n\n", b"1\tone\n2\ttwo\t3\n\\.\n\n\n"):
        assert codes(one_table(content)) == ["wrong_rows"]


@pytest.mark.parametrize(
    "row, odd",
    [
        (b"1\ta\\\\b", False),
        (b"1\t\\N", False),
        (b"1\t\\t\\n\\r\\b\\f\\v", False),
        (b"1\t\\\\\\\\N", False),
        (b"1\ta\\q", True),
        (b"1\ta\\N", True),
        (b"1\tC:\\dir", True),
        (b"1\t\\\\\\q", True),
    ],
)
def test_backslashes(row, odd):
    content = one_table(row + b"\n\\.\n\n\n")
    for size in (1, 3, 1000):
        found = codes(content, pieces=pieces_of(content, size))
        assert found == ["bad_structure"] * odd


def test_widths_are_followed_over_many_rows():
    good = b"".join(b"%d\tx\n" % row for row in range(500))
    content = one_table(good + b"\\.\n\n\n")
    member, problems = look(content, pieces_of(content, 7))
    assert not problems and member.tables == {(None, "public.a"): 500}
    for bad in (b"1\tx\ty\n", b"1\n", b"\n"):
        content = one_table(good + bad + good + b"\\.\n\n\n")
        member, problems = look(content, pieces_of(content, 7))
        assert [problem["code"] for problem in problems] == ["wrong_rows"]
        assert member.tables == {(None, "public.a"): 1001}


@pytest.mark.parametrize(
    "content, code",
    [
        (one_table(b""), "open_copy"),
        (one_table(b"1\tone\n"), "open_copy"),
        (one_table(b"1\tone\n\\."), "open_copy"),
        (one_table(b"1\tone\n\\.\n\n\nDROP TABLE x;\n"), "bad_structure"),
        (one_table(b"1\t\xff\xfe\n\\.\n\n\n"), "bad_encoding"),
        (one_table() + b"garbage", "trailing_garbage"),
        (one_table() + one_table(), "trailing_garbage"),
        (one_table() + rows(3, ROWS), "duplicate"),
        (one_table() + rows(9, ROWS), "bad_structure"),
        (one_table() + rows(2, ROWS), "bad_structure"),
        (archive([ENCODING, TABLE, DATA], rows(3, ROWS, kind=3)), "bad_structure"),
        (archive([ENCODING, TABLE, DATA]), "missing_table_data"),
        (archive([ENCODING, ENCODING]), "duplicate"),
        (archive([ENCODING, entry(2, "TABLE", "a", "CREATE TABLE public.a (i int);", schema="puclic")]), "bad_structure"),
        (archive([entry(1, "TABLE", "a", "CREATE TABLE a (i int", data=False)]), "open_statement"),
        (archive([entry(1, "TABLE", "a", "COPY a FROM PROGRAM 'id';")]), "unsafe_statement"),
        (archive([entry(1, "TABLE", "a", "\\! id\n")]), "unsafe_statement"),
        (archive([entry(1, "TABLE", "a", data=True, state=3)]), "bad_structure"),
        (archive([entry(1, "TABLE", "a", state=3, place=5)]), "bad_structure"),
        (archive([entry(1, "TABLE", "a", state=4)]), "bad_structure"),
        (archive([], version=17), "unsupported"),
        (archive([], version=11), "unsupported"),
        (archive([], compression=4), "unsupported"),
        (archive([TABLE])[:8] + b"\x03" + archive([TABLE])[9:], "bad_structure"),
        (archive([entry(1, "TABLE", "a", depends=("x",))]), "bad_structure"),
    ],
)
def test_damage_has_a_name(content, code):
    assert code in codes(content)


def test_what_is_built_is_whole():
    member, problems = look(one_table())
    assert not problems
    assert member.tables == {(None, "public.a"): 2}


def test_places_of_data():
    where = len(archive([ENCODING, TABLE, DATA]))
    wrong = entry(
        3,
        "TABLE DATA",
        "a",
        copy="COPY public.a (i, t) FROM stdin;\n",
        data=True,
        state=2,
        place=where + 1,
        depends=("2",),
    )
    right = wrong.replace(struct.pack("<Q", where + 1), struct.pack("<Q", where))
    assert not codes(archive([ENCODING, TABLE, right], rows(3, ROWS)))
    assert codes(archive([ENCODING, TABLE, wrong], rows(3, ROWS))) == ["bad_structure"]


@pytest.mark.parametrize("kind, code", [("TABLF", ["bad_structure"]), ("\xd4ABLE", ["bad_structure"]), ("PROPERTY GRAPH", [])])
def test_kinds_that_pg_dump_does_not_know(kind, code):
    assert codes(archive([ENCODING, TABLE, entry(3, kind, "b", "CREATE TABLE public.b (i int);\n")], b"")) == code


def test_rows_of_another_table():
    other = "COPY public.b (i, t) FROM stdin;\n"
    assert codes(archive([ENCODING, TABLE, entry(3, "TABLE DATA", "a", copy=other, data=True)], rows(3, ROWS))) == [
        "bad_structure"
    ]
    through = entry(3, "TABLE DATA", "a", "-- load via partition root public.b", other, data=True)
    member, problems = look(archive([ENCODING, TABLE, through], rows(3, ROWS)))
    assert not problems and member.tables == {(None, "public.a"): None}
    assert [(table["name"], table["rows"]) for table in member.to_result()["tables"]] == [("public.a", None), ("public.b", 2)]


def test_inserts():
    content = b"INSERT INTO public.a VALUES (1, 'a;''b');\nINSERT INTO public.a VALUES (2, 'c'), (3, 'd');\n\n\n"
    data = entry(3, "TABLE DATA", "a", data=True)
    member, problems = look(archive([ENCODING, TABLE, data], rows(3, content)))
    assert not problems
    assert member.tables == {(None, "public.a"): 3}
    assert codes(archive([ENCODING, TABLE, data], rows(3, content[:30]))) == ["open_statement"]


@pytest.mark.parametrize(
    "encoding, raw", [("LATIN1", b"\xe4"), ("WIN1252", b"\xe4"), ("KOI8R", b"\xd4"), ("SQL_ASCII", b"\xc3\xa4")]
)
def test_names_in_other_encodings(encoding, raw):
    setting = entry(1, "ENCODING", "ENCODING", "SET client_encoding = '%s';\n" % encoding, schema=None)
    named = entry(3, "TABLE DATA", "@@", copy='COPY public."@@" (i, t) FROM stdin;\n', data=True)
    content = archive([setting, named], rows(3, ROWS.replace(b"one", b"\xff\xfe")))
    # Names of one byte or of two.
    content = content.replace(b"@@", raw * (2 // len(raw)))
    member, problems = look(content)
    assert not problems
    name = {"KOI8R": "\u0442\u0442", "SQL_ASCII": "\xe4"}.get(encoding, "\xe4\xe4")
    assert member.tables == {(None, "public." + name): 2}


def test_tables_without_rows():
    parts = entry(5, "TABLE", "p", "CREATE TABLE public.p (i int)\nPARTITION BY RANGE (i);\n")
    foreign = entry(6, "FOREIGN TABLE", "f", "CREATE FOREIGN TABLE public.f (i integer)\nSERVER s;\n")
    member, problems = look(
        archive(
            [ENCODING, TABLE, DATA, parts, foreign, entry(7, "TABLE", "b", "CREATE TABLE public.b ();\n")],
            rows(3, ROWS),
        )
    )
    assert not problems
    assert member.tables == {(None, "public.a"): 2, (None, "public.b"): 0}
    assert (member.details["partitioned"], member.details["without_data"]) == (["public.p"], ["public.b"])


def test_partitions():
    parts = entry(5, "TABLE", "p", "CREATE TABLE public.p (i int)\nPARTITION BY RANGE (i);\n")
    attach = entry(6, "TABLE ATTACH", "a", "ALTER TABLE ONLY public.p ATTACH PARTITION public.a DEFAULT;\n")
    member, problems = look(archive([ENCODING, TABLE, DATA, parts, attach], rows(3, ROWS)))
    assert not problems and member.to_result()["details"]["partitions"] == {"public.p": ["public.a"]}


BLOBS = [
    entry(4, "BLOB", "77", schema=None),
    entry(5, "BLOB", "78", schema=None),
    entry(6, "BLOBS", "BLOBS", schema=None, data=True),
]


def blobs(*numbers):
    return (
        b"\x03"
        + number(6)
        + b"".join(number(one) + chunked(b"content of a large object") for one in numbers)
        + number(0)
    )


def test_large_objects():
    member, problems = look(archive(BLOBS, blobs(77, 78)))
    assert not problems and member.details["large_objects"] == 2
    for numbers in ((77,), (77, 79), (77, 78, 79), ()):
        assert codes(archive(BLOBS, blobs(*numbers))) == ["missing_table_data"]
    assert codes(archive(BLOBS, blobs(78, 77))) == ["bad_structure"]
    together = [
        entry(4, "BLOB METADATA", "77..78", "77\n78\n", schema=None, version=16),
        entry(6, "BLOBS", "77..78", schema=None, data=True, version=16),
    ]
    assert not codes(archive(together, blobs(77, 78), version=16))
    assert codes(archive(together, blobs(77), version=16)) == ["missing_table_data"]
    # A dump of the data alone announces none.
    assert not codes(archive(BLOBS[2:], blobs(77, 78)))


def test_damage_in_one_table_leaves_the_others():
    second = entry(4, "TABLE DATA", "b", copy="COPY public.b (i, t) FROM stdin;\n", data=True)
    good, bad = zlib.compress(ROWS), zlib.compress(ROWS)[:-1] + b"x"
    member, problems = look(archive([ENCODING, DATA, second], rows(3, bad) + rows(4, good), compression=1))
    assert [problem["code"] for problem in problems] == ["bad_checksum"]
    assert problems[0]["message"].startswith("public.a: ")
    assert member.tables[(None, "public.b")] == 2
    for damaged in (good[:-5], good + b"x", b"x" + good, b""):
        assert len(codes(archive([ENCODING, DATA, second], rows(3, damaged) + rows(4, good), compression=1))) == 1


def test_compression_that_cannot_be_read(monkeypatch):
    monkeypatch.setattr(_compressed, "_zstd", lambda: None)
    lz4, zstd = b"\x04\x22\x4d\x18rest", b"\x28\xb5\x2f\xfdrest"
    for kind, content in ((2, lz4), (3, zstd)):
        second = entry(4, "TABLE DATA", "b", copy="COPY public.b (i, t) FROM stdin;\n", data=True)
        whole = archive([ENCODING, DATA, second], rows(3, content) + rows(4, content), compression=kind)
        member, problems = look(whole)
        assert [problem["code"] for problem in problems] == ["unsupported"]
        assert member.tables == {(None, "public.a"): None, (None, "public.b"): None}
        # Its framing is followed even so.
        assert "truncated" in codes(whole[:-2])


def test_no_bombs():
    bomb = zlib.compress(b"1\t" + b"x" * (1 << 22) + b"\n\\.\n\n\n")
    limits = Limits(max_plain_bytes=1 << 20)
    assert codes(archive([ENCODING, TABLE, DATA], rows(3, bomb), compression=1), limits=limits) == ["bomb"]


def test_lengths_that_lie_ask_for_no_memory():
    head = archive([])[:-5]
    for lie in (
        number(0x3FFFFFFF),
        number(1) + number(1) + number(0) + number(0x01FFFFFF),
        number(1) + number(1) + number(0) + number(0x7FFFFFFF),
    ):
        assert codes(head + lie + b"few")[0] in ("truncated", "bad_structure")
    assert (
        codes(archive([ENCODING, TABLE, DATA], b"\x01" + number(3) + number(0x7FFFFFFF) + b"1\t2\n"))[0] == "truncated"
    )


@pytest.mark.parametrize("cut", range(1, 8))
def test_rows_end_wherever_a_block_of_bytes_ends(cut):
    """pg_dump writes empty lines behind the end of a table's rows; a block may end before, in, or behind them."""
    data = b"1\tsome words\n" * 60000 + b"\\.\n\n\n"
    rows = pg_custom.Rows()
    pg_custom.count_rows(
        Bytes(pieces=[data[:-cut], data[-cut:]]), b"COPY public.t (a, b) FROM stdin;\n", rows, pytest.fail
    )
    assert rows.number == 60000
