# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API is known to send now and then: lists without an envelope, pages that overlap, empty fields."""

from __future__ import annotations

import pytest

from support import HOUR, ago

LIST = "GET /stacks/UID/backups"
PATH = "2aad2bb5/backups/3c656a1b/postgresql/nightly/2026.01.02.03.04.05"


def answer(stack, body, route="list", code=200, **options):
    """Let the API answer with this body."""
    stack.sandbox.fault("status", route=route, source=stack.uid, code=code, body=body, **options)


def one(run, stack, record):
    """The one backup of a list that holds this record alone."""
    answer(stack, {"response": [record]})
    [backup] = run("backup_info", source=stack.uid)["backups"]
    return backup


# -- envelopes and pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [
    [{"id": 7}],
    {"response": [{"id": 7}]},
    {"response": [{"id": 7}], "count": 1},
    {"response": [{"id": 7}], "count": 1, "pagination": None},
    {"response": [{"id": 7}], "pagination": {}},
    {"response": [{"id": 7}], "pagination": {"next": "", "pages": "1", "count": "1"}},
], ids=["bare", "enveloped", "count only", "null pagination", "empty pagination", "numbers as text"])
def test_a_list_may_come_in_many_shapes(run, stack, body):
    answer(stack, body)
    outcome = run("backup_info", source=stack.uid)
    assert [backup["id"] for backup in outcome["backups"]] == ["7"]
    assert outcome.warnings == []
    assert stack.calls() == [LIST]


@pytest.mark.parametrize("body", [[], {"response": []}, {"response": None}], ids=str)
def test_an_empty_list_may_come_in_many_shapes(run, stack, body):
    answer(stack, body)
    assert run("backup_info", source=stack.uid)["backups"] == []


@pytest.mark.parametrize("body", ["text", 17, {"response": {"id": 7}}, {"ok": True}, {"response": "none"},
                                  {"response": [{"id": 7}, None]}], ids=str)
def test_what_is_no_list_is_not_taken_for_an_empty_one(run, stack, body):
    import json

    answer(stack, json.dumps(body), content_type="application/json")
    assert run("backup_info", source=stack.uid).code == "bad_shape"
    # And so it is no reason to create a task either.
    assert run("backup_task", source=stack.uid).code == "bad_shape"
    assert stack.posts() == []


def test_one_backup_may_come_bare(run, stack):
    answer(stack, {"id": 7, "db_type": "mysql"}, route="get")
    assert run("backup_info", source=stack.uid, id="7")["backups"][0]["engine"] == "mysql"


def test_without_pagination_there_is_one_page(run, stack):
    stack.sandbox.synthetic(stack.name, 40, every="1h")
    stack.sandbox.fault("no_pagination")
    assert len(run("backup_info", source=stack.uid)["backups"]) == 30
    assert stack.calls() == [LIST]


def test_pages_that_overlap_count_each_backup_once(run, stack):
    stack.sandbox.synthetic(stack.name, 70, every="1h")
    plain = run("backup_info", source=stack.uid)["backups"]
    stack.sandbox.fault("duplicate_pages", overlap=7)
    assert ids(run("backup_info", source=stack.uid)) == [backup["id"] for backup in plain]
    assert len(plain) == 70


def test_the_order_of_the_service_does_not_matter(run, stack):
    stack.sandbox.synthetic(stack.name, 70, every="1h")
    plain = ids(run("backup_info", source=stack.uid))
    stack.sandbox.fault("shuffled_pages", seed=5)
    assert ids(run("backup_info", source=stack.uid)) == plain


def test_backups_of_one_moment_are_sorted_by_their_number(run, stack):
    moment = ago(HOUR)
    answer(stack, [{"id": number, "backup_date_iso": moment} for number in (9, 100, 20)] + [{"id": 500}])
    assert ids(run("backup_info", source=stack.uid)) == ["100", "20", "9", "500"]


def test_a_page_that_repeats_for_ever_is_noticed(run, stack):
    stack.sandbox.synthetic(stack.name, 31, every="1h")
    stack.sandbox.fault("repeat_page")
    for module in ("backup_info", "backup_task"):
        stack.sandbox.clear_requests()
        outcome = run(module, source=stack.uid)
        assert outcome.code == "paging"
        assert "goes in circles" in outcome.error.message
        assert len(stack.calls()) <= 6
        assert stack.posts() == []


def test_an_impossible_number_of_pages_is_not_believed(run, stack):
    answer(stack, {"response": [{"id": 7}], "pagination": {"next": 2, "pages": 10 ** 9}})
    assert run("backup_info", source=stack.uid).code == "paging"
    assert stack.calls() == [LIST]


def test_fewer_records_than_announced_are_warned_of(run, stack):
    answer(stack, {"response": [{"id": 7}], "pagination": {"next": None, "pages": 1, "count": 9}})
    outcome = run("backup_info", source=stack.uid)
    assert len(outcome["backups"]) == 1
    assert len(outcome.warnings) == 1 and "lists 1 records but announces 9" in outcome.warnings[0]


def test_an_incomplete_list_of_files_is_an_error(provider, stack):
    answer(stack, {"response": [{"id": "tar-aa"}], "pagination": {"next": None, "pages": 1, "count": 2}}, route="files")
    with pytest.raises(Exception, match="The list of files of backup 7: .* announces 2"):
        provider.list_files(stack.uid, "7")


# -- records ------------------------------------------------------------------------------------------------------


def test_a_record_of_which_nothing_is_known(run, stack):
    backup = one(run, stack, {})
    assert backup == {
        "id": "", "provider": "cloud66", "source": stack.uid, "series": "unknown/-", "name": None, "parent_id": None,
        "engine": None, "database": None, "status": "unknown", "created_at": None, "age_seconds": None,
        "size_bytes": None, "verify_status": None, "restore_status": None, "location": None, "message": None,
        "shares_file_with": [], "raw": {}}


@pytest.mark.parametrize("nothing", [None, "", "  ", "0001-01-01T00:00:00Z"], ids=repr)
def test_values_that_mean_nothing_are_null(run, stack, nothing):
    names = ("db_type", "database_name", "backup_date_iso", "created_at_iso", "backup_result", "storage_path")
    backup = one(run, stack, {"id": 7, **dict.fromkeys(names, nothing)})
    for name in ("engine", "database", "created_at", "message", "location"):
        assert backup[name] is None, name


@pytest.mark.parametrize("field, name, words", [
    ("backup_status", "status", {0: "ok", 1: "failed", 7: "unknown", None: "unknown", "0": "ok", "x": "unknown"}),
    ("verify_status", "verify_status",
     {0: "never", 1: "running", 2: "verified", 3: "failed", 4: "error", 9: "unknown", None: None}),
    ("restore_status", "restore_status",
     {0: "never", 1: "running", 2: "restored", 3: "failed", 9: "unknown", None: None}),
])
def test_statuses_are_numbers(run, stack, field, name, words):
    answer(stack, [{"id": number, field: value} for number, value in enumerate(words)])
    found = {backup["id"]: backup[name] for backup in run("backup_info", source=stack.uid)["backups"]}
    assert found == {str(number): word for number, word in enumerate(words.values())}


def test_unknown_fields_are_kept(run, stack):
    record = {"id": 7, "storage_path": PATH, "colour": "green", "deep": {"er": [1, None, "x"]}}
    assert one(run, stack, record)["raw"] == record


def test_size_zero_means_unknown(run, stack):
    assert one(run, stack, {"id": 7, "backup_size": 0})["size_bytes"] is None
    stack.sandbox.clear_faults()
    assert one(run, stack, {"id": 7, "backup_size": 1234})["size_bytes"] == 1234


def test_a_series_is_the_folder_of_the_location(run, stack):
    answer(stack, [
        {"id": 1, "storage_path": PATH, "server_uid": "old"},
        {"id": 2, "storage_path": PATH.replace("02", "03"), "server_uid": "new"},
        {"id": 3, "storage_path": PATH.replace("nightly", "test_db_11")},
        {"id": 4, "db_type": "redis"},
        {"id": 5, "db_type": "postgresql", "database_name": "shop"},
    ])
    found = {backup["id"]: backup["series"] for backup in run("backup_info", source=stack.uid)["backups"]}
    folder = PATH.rpartition("/")[0]
    assert found == {"1": folder, "2": folder, "3": folder.replace("nightly", "test_db_11"), "4": "redis/-",
                     "5": "postgresql/shop"}


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z", "2026-01-02T05:04:05+02:00",
                                  "2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05"])
def test_times_are_utc(run, stack, text):
    assert one(run, stack, {"id": 7, "backup_date_iso": text})["created_at"] == "2026-01-02T03:04:05Z"


def test_a_date_that_cannot_be_read_falls_back(run, stack):
    backup = one(run, stack, {"id": 7, "backup_date_iso": "yesterday", "created_at_iso": "2026-01-02T03:04:05Z"})
    assert backup["created_at"] == "2026-01-02T03:04:05Z"


# -- headers ------------------------------------------------------------------------------------------------------


def test_a_warning_of_the_service_is_shown_once(run, stack):
    stack.sandbox.synthetic(stack.name, 61, every="1h")
    stack.sandbox.fault("warning", text="Your plan ends on Friday")
    assert run("backup_info", source=stack.uid).warnings == ["Cloud 66 says: Your plan ends on Friday"]


def test_a_warning_comes_with_an_error_too(run, stack):
    stack.sandbox.fault("warning", text="Your plan ends on Friday")
    outcome = run("backup_info", source=stack.uid, id="999999999")
    assert outcome.code == "not_found"
    assert outcome.warnings == ["Cloud 66 says: Your plan ends on Friday"]


def ids(outcome):
    return [backup["id"] for backup in outcome["backups"]]
