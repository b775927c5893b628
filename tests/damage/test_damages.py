# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The damages themselves: each is one, each is the same again, and only what changes nothing counts as harmless."""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile

import pytest

from . import gallery
from .damages import CONTENT, FRAMING, damages
from .intact_mongodb import crc64
from .shapes import Broken, GemTar, Gzip, PlainMysql, PlainPostgresql, Rdb, Squeezed, Stack, Zstd, read_tar
from .specimen import Shelf

POSTGRESQL = b"""--
-- PostgreSQL database dump
--

SET client_encoding = 'UTF8';

--
-- Name: t; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.t (
    id integer,
    name text
);


--
-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.t (id, name) FROM stdin;
""" + b"".join(b"%d\tna\xc3\xafve %d \\\\ x\n" % (n, n) for n in range(300)) + b"""\\.


--
-- PostgreSQL database dump complete
--
"""
MYSQL = b"""-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (
  `id` int(11)
);
INSERT INTO `t` VALUES
(1,'na\xc3\xafve'),
(2,'back\\\\slash'),
(3,'three'),
(4,'four'),
(5,'five');

-- Dump completed on 2026-01-01  1:02:03
"""


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf", thorough=False)


@pytest.fixture
def plain(shelf):
    place = shelf.place("postgresql/small/plain")
    (place / "small.sql").write_bytes(POSTGRESQL)
    return shelf.put("postgresql/small/plain", format="plain", place=place, shape="file", live=None,
                     stack=Stack((), PlainPostgresql()), deep=True)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def laid(specimen, place):
    """Every damage by its name: the files that it makes."""
    found = {}
    for number, damage in enumerate(damages(specimen, thorough=False)):
        folder = place / str(number)
        folder.mkdir(parents=True)
        damage.write(folder)
        found[damage.name] = files(folder)
    return found


@pytest.mark.parametrize("wrapping", ["plain", "gz", "tar", "parts"])
def test_every_damage_changes_something_and_is_the_same_again(shelf, plain, tmp_path, wrapping):
    specimen = plain
    if wrapping != "plain":
        specimen = shelf.wrapped(plain, ".gz", (Gzip(3),), deep=True)
    if wrapping in ("tar", "parts"):
        specimen = shelf.wrapped(plain, ".gz.tar", (GemTar("PostgreSQL.sql.gz"), Gzip()), deep=True)
    if wrapping == "parts":
        specimen = shelf.parts(specimen, 4)
    first, again = laid(specimen, tmp_path / "first"), laid(specimen, tmp_path / "again")
    assert first == again
    assert len(first) > 40
    whole = files(specimen.place)
    assert [name for name, content in first.items() if content == whole] == []


def test_damages_that_were_named_are_there(shelf, plain):
    names = {damage.name: damage.kind for damage in damages(shelf.wrapped(plain, ".many.gz", (Gzip(3),), deep=True), True)}
    for words, kind in (
            ("between two units", FRAMING), ("(payload) [in PlainPostgresql]", CONTENT),
            ("concatenated twice", FRAMING), ("the storage's error page", FRAMING), ("HTML in its place", FRAMING),
            ("empty file", FRAMING), ("in another encoding than declared", CONTENT), ("encoded twice", CONTENT),
            ("a row missing from the text", CONTENT), ("a table missing from the text", CONTENT),
            ("the mark of the end missing", FRAMING), ("the end of a COPY block missing", FRAMING),
            ("a failed tool's message between two statements", CONTENT), ("backslashes of the text not escaped", CONTENT),
            ("100 bytes of noise behind the end", FRAMING)):
        assert [kind] == sorted({found for name, found in names.items() if words in name}), words


def test_damages_of_mysql_text(shelf):
    place = shelf.place("mysql/small/plain")
    (place / "small.sql").write_bytes(MYSQL)
    specimen = shelf.put("mysql/small/plain", format="plain", place=place, shape="file", live=None,
                         stack=Stack((), PlainMysql()), deep=True)
    content = {}
    for number, damage in enumerate(damages(specimen, thorough=False)):
        damage.write(place.with_name(f"damaged{number}"))
        content[damage.name] = (place.with_name(f"damaged{number}") / "small.sql").read_bytes()
    assert content["a row missing from the text"] == MYSQL.replace(b"(3,'three'),\n", b"")
    assert content["backslashes of the text not escaped"] == MYSQL.replace(b"\\\\", b"\\")
    assert b"CREATE TABLE" not in content["a table missing from the text"]
    assert b"Dump completed" not in content["the mark of the end missing"]


def changed(data, offset, value):
    return data[:offset] + bytes([value]) + data[offset + 1:]


@pytest.mark.parametrize("layer", [Gzip(), Gzip(3), Squeezed(".bz2"), Squeezed(".xz"), Zstd()])
def test_layers_open_only_what_is_whole(layer):
    content = bytes(range(256)) * 40
    data = layer.wrap(content)
    assert layer.unwrap(data) == content
    for border in layer.borders(data):
        assert 0 < border < len(data)
    for broken in (data[:-1], data[:len(data) // 2], data + b"more"):
        with pytest.raises(Broken):
            layer.unwrap(broken)


def test_what_means_nothing_is_harmless(plain, shelf, tmp_path):
    zipped = shelf.wrapped(plain, ".gz", (Gzip(),))
    tarred = shelf.wrapped(plain, ".tar", (GemTar("PostgreSQL.sql"),))
    data, numbers = zipped.stream(), itertools.count()
    for specimen, other, expected in (
            (zipped, changed(data, 4, data[4] ^ 1), True),  # the date in gzip's header
            (zipped, changed(data, 9, 255), True),  # the system in it
            (zipped, changed(data, -8 % len(data), data[-8] ^ 1), False),  # the checksum
            (zipped, gzip.compress(POSTGRESQL), True),
            (zipped, gzip.compress(POSTGRESQL[:-1]), True),  # an empty line less
            (zipped, gzip.compress(POSTGRESQL.replace(b"4\tna", b"5\tna", 1)), False),
            (plain, POSTGRESQL.replace(b"-- Name: t", b"-- Name: u"), True),
            (plain, POSTGRESQL.replace(b"id integer", b"if integer"), False),
            (tarred, tarred.stream()[:-512], True),
            (tarred, tarred.stream()[:-2560], False), (tarred, tarred.stream() + b"more", False),
            (tarred, changed(tarred.stream(), 5, 65), False)):
        place = tmp_path / f"judged{next(numbers)}"
        place.mkdir()
        (place / specimen.paths()[0].name).write_bytes(other)
        assert gallery.harmless(specimen, place) is expected


def test_a_comment_in_the_rows_is_no_comment():
    core = PlainPostgresql()
    dump = POSTGRESQL.replace(b"1\tna", b"-- 1\tna", 1)
    assert not core.same(dump, dump.replace(b"-- 1", b"-- 2"))


def test_a_snapshot_without_a_checksum_is_the_same():
    core = Rdb()
    assert core.same(b"REDIS0011xyz" + b"12345678", b"REDIS0011xyz" + bytes(8))
    assert not core.same(b"REDIS0011xyz" + b"12345678", b"REDIS0011xyZ" + bytes(8))
    assert not core.same(b"REDIS0011xyz" + b"12345678", b"REDIS0011xyz" + b"12345679")


def test_the_checksum_of_archives():
    """By the number that everybody gives for this algorithm."""
    assert crc64(b"123456789") & (1 << 64) - 1 == 0x995DC9BBDF1939FA
    assert crc64(b"") == 0


def test_tars_with_a_member_twice_are_broken():
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for _time in range(2):
            tar.addfile(tarfile.TarInfo("a"))
    with pytest.raises(Broken):
        read_tar(target.getvalue())


def record(outcome, kind=CONTENT, damage="d", **more):
    return {"backup": "b", "engine": "redis", "format": "rdb", "damage": damage, "family": "f", "kind": kind, "made": False,
            "verify": None, "drill": None, "message": None, "outcome": outcome, **more}


@pytest.mark.parametrize(("one", "word"), [
    (record(gallery.NEITHER), "MISSED"), (record(gallery.DRILL, FRAMING, drill=["x"]), "TOO LATE"),
    (record(gallery.BROKEN), "BROKEN"), (record(gallery.VERIFY, damage=None, verify=["x"]), "ACCUSED"),
    (record(gallery.DRILL, damage=None, drill=["x"]), "ACCUSED"), (record(gallery.BROKEN, damage=None), "BROKEN"),
    (record(gallery.HARMLESS, made=True), "NO DAMAGE"), (record(gallery.DRILL), None), (record(gallery.VERIFY, FRAMING), None),
    (record(gallery.HARMLESS, FRAMING), None),
    (record(gallery.NEITHER, damage=None), None)])
def test_what_counts_as_a_failure(one, word):
    found = gallery.failures([one])
    assert [line[:10].strip() for line in found] == ([word] if word else [])


def test_a_part_of_what_only_a_restore_notices(plain, monkeypatch):
    all_of_them = list(gallery.chosen(plain))
    monkeypatch.setattr(gallery, "_each", 3)
    some = [damage.name for damage in gallery.chosen(plain)]
    framing = {damage.name for damage in all_of_them if damage.kind == FRAMING}
    assert framing < set(some)
    others = len(all_of_them) - len(framing)
    assert abs(len(some) - len(framing) - others / 3) < 1


def test_the_table_counts_everything():
    shown = gallery.table([record(gallery.NEITHER, damage=None, drill=[]), record(gallery.VERIFY), record(gallery.DRILL),
                           record(gallery.HARMLESS), record(gallery.NEITHER), record(gallery.BROKEN)])
    assert shown.splitlines()[1].split() == ["redis", "rdb", "1", ".", "1", "5", "1", "1", "1", "1", ".", ".", "1"]
    assert shown.splitlines()[2].split()[0] == "together"
