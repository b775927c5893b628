# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_info: which backups of which sources, in which order."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import BackupFile
from ansible_collections.restorable.backups.plugins.module_utils._errors import ApiError, AuthError, OptionError
from ansible_collections.restorable.backups.plugins.module_utils._operations import info
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import (
    DAY,
    HOUR,
    FakeProvider,
    World,
    backup,
    every,
    options,
)


def told(provider, world=None, **given):
    if "sources" not in given:
        given.setdefault("source", "shop")
    return info.run(options(info.SPEC, **given), provider, world or World())


def ids(result):
    return [one["id"] for one in result["backups"]]


def many():
    return FakeProvider(
        backup(1 * HOUR, id="1", status="failed", engine="mysql", series="s/m"),
        backup(2 * HOUR, id="2", engine="mysql", series="s/m"),
        backup(3 * HOUR, id="3", engine="redis", database=None, series="s/r"),
        backup(2 * DAY, id="4", engine="mysql", series="s/m", database="users"),
        backup(9 * DAY, id="5", series="s/old"),
        backup(None, id="6", status="unknown", series="s/old"),
    )


def test_all_of_a_source_newest_first():
    result = told(many())
    assert ids(result) == ["1", "2", "3", "4", "5", "6"]
    assert result["changed"] is False
    assert [one["series"] for one in result["series"]] == ["s/m", "s/old", "s/r"]
    assert result["sources"] == [{"source": "shop", "count": 6, "error": None}]


@pytest.mark.parametrize(
    "given, found",
    [
        ({"engine": "MySQL"}, "124"),
        ({"engine": "mongo"}, ""),
        ({"database": "users"}, "4"),
        ({"status": "failed"}, "1"),
        ({"status": "unknown"}, "6"),
        ({"since": "1d"}, "123"),
        ({"until": "1d"}, "45"),
        ({"since": "3d", "until": "150m"}, "34"),
        ({"since": "2026-03-18T10:00:00Z", "until": "2026-03-18T10:00:00Z"}, "2"),
        ({"series": ["m", "s/r"]}, "1234"),
        ({"series": ["s"]}, ""),
        ({"series": []}, "123456"),
        ({"latest": True}, "235"),
        ({"latest": True, "engine": "mysql"}, "2"),
        ({"latest": True, "until": "1d"}, "45"),
        ({"latest": True, "status": "failed"}, ""),
        ({"limit": 2}, "12"),
        ({"limit": 99}, "123456"),
        ({"limit": 1, "latest": True}, "2"),
    ],
)
def test_filters(given, found):
    assert ids(told(many(), **given)) == list(found)


def test_series_are_summed_up_over_what_was_selected_and_not_over_what_is_shown():
    result = told(many(), engine="mysql", limit=1)
    assert [(one["series"], one["count"]) for one in result["series"]] == [("s/m", 3)]
    assert result["sources"][0]["count"] == 6


def test_the_latest_is_good_or_not_there():
    provider = FakeProvider(backup(60, status="failed"), backup(90, status="unknown"))
    assert ids(told(provider, latest=True)) == []


def test_one_backup_by_its_id_is_one_call():
    provider = many()
    assert ids(told(provider, id="4")) == ["4"]
    assert provider.calls == [("get", "shop", "4")]


def test_an_unknown_id_is_an_error():
    with pytest.raises(ApiError, match="no such backup"):
        told(many(), id="99")


def test_files_are_those_of_the_backups_that_are_shown():
    provider = many()
    provider.files = {"2": [BackupFile("tar-aa", "a", 5), BackupFile("tar-ab", "b")]}
    result = told(provider, latest=True, limit=2, files=True)
    assert [[one["id"] for one in found["files"]] for found in result["backups"]] == [["tar-aa", "tar-ab"], []]
    assert sorted(call for call in provider.calls if call[0] == "files") == [
        ("files", "shop", "2"),
        ("files", "shop", "3"),
    ]


def test_files_that_cannot_be_listed_lose_no_others():
    provider, world = FakeProvider(backup(id="2"), backup(id="3")), World()
    provider.files = {"3": [BackupFile("tar", "a")]}
    listed = provider.list_files

    def list_files(source, backup_id):
        if backup_id == "2":
            raise ApiError("it is gone", code="file_missing")
        return listed(source, backup_id)

    provider.list_files = list_files
    result = info.run(options(info.SPEC, source="shop", files=True), provider, world)
    found = {one["id"]: (len(one["files"]), one["files_error"]) for one in result["backups"]}
    assert found == {"2": (0, {"message": "it is gone", "code": "file_missing", "details": {}}), "3": (1, None)}
    assert world.warned == ["The files of backup 2 could not be listed: it is gone"]


def test_files_are_not_asked_for_unless_wanted():
    result = told(many())
    assert all("files" not in one for one in result["backups"])


def test_several_sources_are_one_list_and_each_is_asked_once():
    provider = FakeProvider(*every(DAY, 2), crm=every(DAY, 2, first_age=2 * HOUR, source="crm"))
    result = told(provider, sources=["crm", "shop", "crm"])
    assert [one["source"] for one in result["backups"]] == ["shop", "crm", "shop", "crm"]
    assert [(one["source"], one["count"]) for one in result["sources"]] == [("crm", 2), ("shop", 2)]
    assert [one["source"] for one in result["series"]] == ["crm", "shop"]
    assert len(provider.calls) == 2


def test_the_latest_of_equal_series_of_two_sources_are_two():
    provider = FakeProvider(*every(DAY, 2), crm=every(DAY, 2, source="crm"))
    assert len(ids(told(provider, sources=["crm", "shop"], latest=True))) == 2


def test_one_source_that_fails_does_not_lose_the_others():
    provider = FakeProvider(*every(DAY, 2), crm=AuthError("403", status=403))
    result = told(provider, sources=["crm", "shop"])
    assert len(ids(result)) == 2
    assert result["sources"][0]["error"] == {"message": "403", "code": "refused", "details": {"status": 403}}
    assert result["sources"][1]["error"] is None


def test_when_all_fail_the_task_fails():
    with pytest.raises(AuthError):
        told(FakeProvider(crm=AuthError("403"), blog=ApiError("x")), sources=["crm", "blog"])


def test_many_sources_keep_their_order():
    names = ["s%03d" % n for n in range(100)]
    provider = FakeProvider(**{name: [backup(n, source=name)] for n, name in enumerate(names)})
    result = told(provider, sources=names[::-1])
    assert [one["source"] for one in result["sources"]] == names[::-1]
    assert [one["source"] for one in result["backups"]] == names


def test_filters_the_service_knows_are_handed_to_it():
    provider = many()
    told(provider, group=7, engine="mysql")
    assert provider.calls[0][:3] == ("list", "shop", 7)
    assert provider.calls[0][3] in ("mysql", None)


@pytest.mark.parametrize(
    "given, text",
    [
        ({"limit": 0}, "limit: "),
        ({"limit": -1}, "limit: "),
        ({"since": "soon"}, "since: "),
        ({"until": ""}, "until: "),
        ({"since": "9" * 30}, "since: "),
    ],
)
def test_bad_options_are_named_before_any_request(given, text):
    provider = FakeProvider()
    with pytest.raises(OptionError) as caught:
        told(provider, **given)
    assert caught.value.message.startswith(text)
    assert provider.calls == []
