# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_file_verify: what is expected of a backup's contents."""

from __future__ import annotations

import gzip
import os

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._archive import _formats
from ansible_collections.restorable.backups.plugins.module_utils._errors import BackupError, OptionError
from ansible_collections.restorable.backups.plugins.module_utils._expectations import CODES, Expectations, Table, judge, tables_of
from ansible_collections.restorable.backups.plugins.module_utils._operations import file_verify

SHOP = [Table("public.customers", 1204), Table("public.order", 2500), Table("audit.log", None)]


def found(engines=None, databases=None, **wanted):
    codes = [problem["code"] for problem in judge(SHOP, Expectations(**wanted), engines, databases)]
    assert set(codes) <= set(CODES)
    return codes


@pytest.mark.parametrize("name", ["customers", "public.customers"])
def test_a_table_may_be_named_in_several_ways(name):
    assert judge(SHOP, Expectations(tables=("log",)))[0]["code"] == "missing_table"
    assert not judge(SHOP, Expectations(tables=(name,)))
    assert not judge([Table("public.customers", 1, "shop")], Expectations(tables=("shop." + name, name)))
    assert not judge([Table("customers", 1, "shop")], Expectations(tables=("shop.customers", "customers")))


@pytest.mark.parametrize(
    "wanted, codes",
    [
        ({}, []),
        ({"tables": ("customers", "orders")}, ["missing_table"]),
        ({"tables": ("customers", "order", "audit.log"), "exact": True}, []),
        ({"tables": ("customers", "order"), "exact": True}, ["extra_table"]),
        ({"min_rows": {"customers": 1204}}, []),
        ({"min_rows": {"customers": 1205}}, ["too_few_rows"]),
        ({"min_rows": {"audit.log": 1}}, ["rows_unknown"]),
        ({"min_rows": {"nothing": 1}}, ["missing_table"]),
    ],
)
def test_tables_and_rows(wanted, codes):
    assert [problem["code"] for problem in judge(SHOP, Expectations(**wanted))] == codes


@pytest.mark.parametrize(
    "engines, databases, wanted, codes",
    [
        ({"postgresql"}, set(), {"engine": "postgresql"}, []),
        ({"mysql"}, set(), {"engine": "postgresql"}, ["wrong_engine"]),
        (set(), set(), {"engine": "postgresql"}, ["wrong_engine"]),
        ({"mysql"}, {"shop"}, {"database": "shop"}, []),
        ({"mysql"}, {"crm"}, {"database": "shop"}, ["wrong_database"]),
        ({"mysql"}, set(), {"database": "shop"}, ["database_unknown"]),
    ],
)
def test_engine_and_database(engines, databases, wanted, codes):
    assert found(engines=engines, databases=databases, **wanted) == codes


@pytest.mark.parametrize(
    "before, drop, codes",
    [
        ([Table("public.customers", 1204)], 0, []),
        ([Table("public.customers", 1205)], 0, ["rows_fell"]),
        ([Table("public.customers", 1300)], 10, []),
        ([Table("public.customers", 1400)], 10, ["rows_fell"]),
        ([Table("public.gone", 1)], 100, ["table_gone"]),
        ([Table("audit.log", 5000)], 0, []),
        ([Table("public.customers", None)], 0, []),
    ],
)
def test_an_earlier_backup_is_the_measure(before, drop, codes):
    assert [problem["code"] for problem in judge(SHOP, Expectations(baseline=before, max_row_drop=drop))] == codes


# -- the module --------------------------------------------------------------------------------------------------------


class Words:
    """A format for these tests: a line for each table, with its number of rows."""

    FORMAT = "words"

    @staticmethod
    def matches(head, name):
        return head.startswith(b"words\n")

    @staticmethod
    def read(stream, member, report):
        member.engine, member.database = "postgresql", "shop"
        for line in stream.read(len(stream.peek(4096))).decode().splitlines()[1:]:
            name, _space, rows = line.partition(" ")
            member.table(name, int(rows))


@pytest.fixture
def verify(tmp_path, monkeypatch):
    monkeypatch.setattr(_formats, "READERS", (Words,))

    def run(content=b"words\npublic.customers 7\n", name="shop.sql.gz", **params):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        given = {"path": [str(path)], "expect": None, "fail_on_problem": True, "max_ratio": 250.0, "max_plain_size": None}
        given.update(params)
        return file_verify.run(given)

    return run


def test_a_whole_backup_is_valid(verify):
    result = verify()
    assert result["valid"] and result["changed"] is False and result["problems"] == []
    (member,) = result["contents"]
    assert member["tables"] == [{"database": None, "name": "public.customers", "rows": 7}]
    assert (member["rows"], member["compression"], result["inflater"]) == (7, ["gzip"], result["inflater"])
    assert result["inflater"] in ("zlib", "isal")


@pytest.mark.parametrize("change", ["grows", "goes", "is replaced"])
def test_a_file_that_changes_while_it_is_read(verify, monkeypatch, tmp_path, change):
    def read(stream, member, report):
        usual(stream, member, report)
        path = tmp_path / "shop.sql.gz"
        if change == "grows":
            with path.open("ab") as file:
                file.write(gzip.compress(b"more 1\n"))
        elif change == "goes":
            path.unlink()
        else:
            (tmp_path / "other").write_bytes(path.read_bytes())
            (tmp_path / "other").replace(path)

    usual = Words.read
    monkeypatch.setattr(Words, "read", staticmethod(read))
    with pytest.raises(BackupError, match="shop.sql.gz changed while it was read") as caught:
        verify()
    assert caught.value.code == "changed"


def test_what_is_no_file_in_a_folder_is_told(verify, tmp_path):
    (tmp_path / "dumps").mkdir()
    (tmp_path / "dumps/a.words").write_bytes(b"words\nt 7\n")
    os.mkfifo(tmp_path / "dumps/pipe")
    (tmp_path / "dumps/link").symlink_to("a.words")
    result = verify(path=[str(tmp_path / "dumps")])
    assert result["valid"] and len(result["contents"]) == 1
    assert [note.partition(" ")[0] for note in result["notes"]] == ["link", "pipe"]


def test_a_folder_that_cannot_be_entered(verify, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(file_verify.os, "stat", refused)
    with pytest.raises(OptionError, match="path: /srv/shop.sql cannot be read: Permission denied"):
        verify(path=["/srv/shop.sql"])


def test_what_is_expected_and_not_there_fails_the_task(verify):
    result = verify(expect={"min_rows": {"customers": "8"}})
    assert result["failed"] and not result["valid"]
    assert result["problems"][0]["code"] == "too_few_rows"
    assert "customers has 7 rows, at least 8 are expected (too_few_rows)" in result["msg"]
    assert "failed" not in verify(expect={"min_rows": {"customers": "8"}}, fail_on_problem=False)


def test_a_partitioned_table_has_the_rows_of_its_partitions():
    contents = [
        {
            "details": {"partitions": {"public.p": ["public.a", "public.b"], "public.q": ["public.b"]}},
            "tables": [{"database": None, "name": "public." + name, "rows": rows} for name, rows in (("a", 2), ("b", 3))],
        }
    ]
    tables = tables_of(contents)
    assert judge(tables, Expectations(tables=("p", "q"), min_rows={"p": 5, "public.q": 3})) == []
    assert [one["code"] for one in judge(tables, Expectations(min_rows={"p": 6}))] == ["too_few_rows"]
    assert judge(tables, Expectations(tables=("a", "b"), exact=True)) == []
    fewer = [Table("public.a", 1), Table("public.b", 3)]
    assert [one["observed"] for one in judge(fewer, Expectations(baseline=tables))] == [1]
    unknown = [{**contents[0], "tables": [{"database": None, "name": "public.a", "rows": None}]}]
    assert [one["code"] for one in judge(tables_of(unknown), Expectations(min_rows={"p": 1}))] == ["rows_unknown"]


def test_an_earlier_result_serves_as_baseline(verify):
    before = verify(content=b"words\npublic.customers 10\npublic.order 3\n")
    result = verify(expect={"baseline": before, "max_row_drop": 20.0}, fail_on_problem=False)
    assert [problem["code"] for problem in result["problems"]] == ["rows_fell", "table_gone"]


@pytest.mark.parametrize(
    "params, option",
    [
        ({"path": []}, "path"),
        ({"path": ["/nonexistent/shop.tar"]}, "path"),
        ({"max_ratio": 0.5}, "max_ratio"),
        ({"max_plain_size": "much"}, "max_plain_size"),
        ({"expect": {"exact": True}}, "expect.exact"),
        ({"expect": {"min_rows": {"customers": "many"}}}, "expect.min_rows"),
        ({"path": [""]}, "path"),
        ({"path": ["/dev/null"]}, "path"),
        ({"expect": {"min_rows": {"customers": -1}}}, "expect.min_rows"),
        ({"expect": {"max_row_drop": 101.0}}, "expect.max_row_drop"),
        ({"expect": {"baseline": {"valid": False, "contents": []}}}, "expect.baseline"),
        ({"expect": {"baseline": {"something": 1}}}, "expect.baseline"),
        ({"expect": {"baseline": {"contents": [{"tables": [{}]}]}}}, "expect.baseline"),
    ],
)
def test_bad_options_are_named(verify, params, option):
    with pytest.raises(OptionError) as caught:
        verify(**params)
    assert caught.value.details["option"] == option


def test_a_file_that_cannot_be_read_says_nothing_of_the_backup(verify, monkeypatch):
    def broken(paths, limits):
        raise OSError(5, "Input/output error", "/srv/shop.tar")

    monkeypatch.setattr(_archive, "examine", broken)
    with pytest.raises(BackupError, match=r"/srv/shop.tar cannot be read: Input/output error") as caught:
        verify()
    assert caught.value.code == "unreadable"


def test_parts_and_a_folder_do_not_go_together(verify, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OptionError, match="folder is a folder"):
        verify(path=[str(tmp_path / "folder"), str(tmp_path)])
