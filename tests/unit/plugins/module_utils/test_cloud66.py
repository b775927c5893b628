# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cloud 66, without a network: addresses, records of every shape, pages of every kind, requests."""

from __future__ import annotations

import random
import threading

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import (
    BackupFile,
    ImportRequest,
    Source,
    TaskRequest,
    group_series,
)
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    OptionError,
    OutcomeUnknownError,
    UnsupportedError,
)
from ansible_collections.restorable.backups.plugins.module_utils._http import Answer
from ansible_collections.restorable.backups.plugins.module_utils._operations.info import SPEC
from ansible_collections.restorable.backups.plugins.module_utils._providers import PROVIDERS, Surroundings, connect
from ansible_collections.restorable.backups.plugins.module_utils._providers import cloud66
from ansible_collections.restorable.backups.plugins.module_utils._providers.cloud66 import (
    Cloud66,
    api_base,
    mend_signature,
)
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import NOW, options

PLACE = "2aad2bb5/backups/3c656a1b/postgresql/x7Kq/2026.03.18.03.00.05"
RECORD = {
    "id": 17,
    "server_uid": "abc",
    "db_type": "postgresql",
    "database_name": "orders",
    "backup_date_iso": "2026-03-18T03:00:05Z",
    "created_at_iso": "2026-03-18T03:00:00Z",
    "updated_at_iso": "2026-03-18T03:01:00Z",
    "backup_status": 0,
    "backup_result": "",
    "restore_status": 0,
    "verify_status": 2,
    "storage_path": PLACE,
    "skip_tables": "logs, sessions",
    "backup_size": 0,
    "logical_backup": True,
    "new_field": {"x": 1},
}


class FakeClient:
    """Answers from a function of the path and the page; remembers what was asked."""

    def __init__(self, answer):
        self.answer, self.asked, self.posted = answer, [], []
        self._lock = threading.Lock()

    def get(self, path, params=None):
        with self._lock:
            self.asked.append((path, dict(params or {})))
        found = self.answer(path, (params or {}).get("page", 1)) if callable(self.answer) else self.answer
        if isinstance(found, Exception):
            raise found
        return Answer(found, {}, 200)

    def post(self, path, body):
        self.posted.append((path, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return Answer(self.answer, {}, 200)


def provider(answer):
    return Cloud66(FakeClient(answer), "address")


def record_of(**fields):
    return {"id": 1, "db_type": "mysql", "backup_status": 0, **fields}


def the_backup(record):
    (found,) = provider({"response": [record]}).list_backups("shop").backups
    return found


# -- where the API is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, base",
    [
        ("app.cloud66.com", "https://app.cloud66.com/api/3"),
        ("https://app.cloud66.com", "https://app.cloud66.com/api/3"),
        ("https://app.cloud66.com/", "https://app.cloud66.com/api/3"),
        ("https://app.cloud66.com/api/3", "https://app.cloud66.com/api/3"),
        ("https://app.cloud66.com/api/3/", "https://app.cloud66.com/api/3"),
        ("https://app.cloud66.com/api/3///", "https://app.cloud66.com/api/3"),
        ("HTTPS://app.cloud66.com", "https://app.cloud66.com/api/3"),
        ("http://127.0.0.1:8066", "http://127.0.0.1:8066/api/3"),
        ("localhost:8066", "https://localhost:8066/api/3"),
        ("https://proxy.example/cloud66", "https://proxy.example/cloud66/api/3"),
        ("https://x.example/?a=1#b", "https://x.example/api/3"),
        (" https://x.example ", "https://x.example/api/3"),
    ],
)
def test_the_address_may_be_a_host_or_the_documented_form(given, base):
    assert api_base(given, 3) == base


def test_an_address_with_another_version_is_that_of_the_service():
    """Providers of both versions read the same variable."""
    assert api_base("https://app.cloud66.com/api/2/", 3) == "https://app.cloud66.com/api/3"
    assert api_base("https://app.cloud66.com/api/3", 2) == "https://app.cloud66.com/api/2"


def connected(**given):
    own = {"api_url": Cloud66.options["api_url"].default, "api_token": "secret-token"}
    return connect(options(SPEC, source="shop", **dict(own, **given)), Surroundings())


@pytest.mark.parametrize(
    "api_url", ["", "   ", "https://", "ftp://x.example", "http://x.example", "https://u:p@x.example", "https://x:y"]
)
def test_addresses_that_no_token_should_go_to(api_url):
    with pytest.raises(OptionError, match="^api_url: "):
        connected(api_url=api_url)


def test_plain_http_is_for_this_machine_or_for_those_who_insist():
    connected(api_url="http://localhost:8066")
    connected(api_url="http://[::1]:8066")
    connected(api_url="http://x.example", allow_http=True)


@pytest.mark.parametrize("token", [None, "", "  "])
def test_no_token_says_where_it_may_come_from(token):
    with pytest.raises(OptionError, match="api_token: .*CLOUD66_TOKEN"):
        connected(api_token=token)


@pytest.mark.parametrize("token", ["a b", "a\nb", "a\tb", "a\x00b", "schlüssel"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token):
    with pytest.raises(OptionError, match="^api_token: ") as caught:
        connected(api_token=token)
    assert token not in caught.value.message


def test_the_address_tells_accounts_apart_and_holds_no_secret():
    one, other = connected(account="7"), connected(account="8")
    assert one.address != other.address != connected().address
    assert "secret-token" not in one.address


def test_what_it_cannot_do_is_said_with_what_works_instead():
    assert PROVIDERS["cloud66"] is Cloud66
    with pytest.raises(UnsupportedError, match="provider cloud66 cannot remove a schedule: .*by hand"):
        provider([]).require("unschedule")
    with pytest.raises(UnsupportedError, match="provider cloud66 cannot take a backup on request: .*dashboard"):
        provider([]).require("run")
    provider([]).require("list")


# -- signatures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, mended",
    [
        ("https://s/a?Signature=x%252Fy%253D", "https://s/a?Signature=x%2Fy%3D"),
        ("https://s/a?Signature=x%252fy", "https://s/a?Signature=x%2fy"),
        ("https://s/a%252Fb/c%2520d?Signature=x", "https://s/a%252Fb/c%2520d?Signature=x"),
        ("https://s/a%252Fb?S=x%252F", "https://s/a%252Fb?S=x%2F"),
        ("https://s/a?Signature=x%2Fy", "https://s/a?Signature=x%2Fy"),
        (
            "https://s/a?X-Amz-Credential=k%252F20260318&X-Amz-Signature=ab",
            "https://s/a?X-Amz-Credential=k%2F20260318&X-Amz-Signature=ab",
        ),
        ("https://s/a?q=100%25", "https://s/a?q=100%25"),
        ("https://s/a?q=%25zz", "https://s/a?q=%25zz"),
        ("https://s/a", "https://s/a"),
    ],
)
def test_double_encoding_is_undone_in_the_query_only(given, mended):
    assert mend_signature(given) == mended


TAR = BackupFile("tar", "backup.tar")


def test_a_file_url_is_mended():
    answer = {"response": {"ok": True, "public_url": "https://s.example/a%252Fb?Signature=x%252Fy"}}
    access = provider(answer).file_access("shop", "1", TAR)
    # Nothing but the address: the storage refuses a second credential.
    assert (access.url, access.headers) == ("https://s.example/a%252Fb?Signature=x%2Fy", {})


@pytest.mark.parametrize(
    "answer, text",
    [
        ({"response": {"ok": False, "public_url": "https://s/x", "message": "gone"}}, "gone"),
        ({"response": {"ok": True, "public_url": ""}}, "empty"),
        ({"response": {"ok": True, "public_url": None}}, "empty"),
        ({"response": {"ok": True}}, "empty"),
        ({"response": {}}, "empty"),
        ({"response": []}, "not a file's URL"),
        ({"response": None}, "not a file's URL"),
        ({"error": "not_found"}, "not a file's URL"),
        ([], "not a file's URL"),
        ("https://s/x", "not a file's URL"),
    ],
)
def test_an_answer_without_a_url_is_an_error(answer, text):
    with pytest.raises(ApiError, match=text):
        provider(answer).file_access("shop", "1", TAR)


@pytest.mark.parametrize(
    "url", [17, True, ["https://s/x"], "ftp://s/x", "file:///etc/passwd", "http://s.example/x", "/x"]
)
def test_a_url_that_is_none_of_ours_to_fetch_is_refused(url):
    with pytest.raises((ApiError, OptionError)):
        provider({"response": {"ok": True, "public_url": url}}).file_access("shop", "1", TAR)


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_whole_record():
    result = the_backup(RECORD).to_result(NOW)
    assert result == {
        "id": "17",
        "provider": "cloud66",
        "source": "shop",
        "series": "2aad2bb5/backups/3c656a1b/postgresql/x7Kq",
        "engine": "postgresql",
        "name": None,
        "parent_id": None,
        "database": "orders",
        "status": "ok",
        "created_at": "2026-03-18T03:00:05Z",
        "age_seconds": 32395,
        "size_bytes": None,
        "verify_status": "verified",
        "restore_status": "never",
        "location": PLACE,
        "message": None,
        "shares_file_with": [],
        "raw": RECORD,
    }
    assert the_backup(RECORD).excluded_tables == frozenset(("logs", "sessions"))
    assert the_backup(RECORD).logical is True


ODD = ["", "0001-01-01T00:00:00Z", 0, -1, 7, 0.5, 1e999, None, True, False, [], ["a"], {}, {"a": 1}, "odd ü"]


@pytest.mark.parametrize("field", sorted(RECORD))
def test_no_field_is_needed_and_no_odd_value_breaks_a_record(field):
    records = [dict(RECORD, **{field: odd}) for odd in ODD]
    records.append({name: value for name, value in RECORD.items() if name != field})
    for record in records:
        found = the_backup(record)
        result = found.to_result(NOW)
        assert result["raw"] == record
        for key in ("id", "series", "status"):
            assert isinstance(result[key], str), record
        for key in ("engine", "database", "created_at", "verify_status", "restore_status", "location", "message"):
            assert result[key] is None or isinstance(result[key], str), record
        assert result["size_bytes"] is None or isinstance(result["size_bytes"], int), record
        assert found.excluded_tables is None or isinstance(found.excluded_tables, frozenset), record
        assert group_series([found, the_backup(RECORD)])


def test_an_empty_record_is_a_backup_of_unknown_everything():
    found = the_backup({})
    assert (found.id, found.series, found.status, found.created_at) == ("", "unknown/-", "unknown", None)


@pytest.mark.parametrize(
    "value, status",
    [
        (0, "ok"),
        ("0", "ok"),
        (1, "failed"),
        ("1", "failed"),
        (1.0, "failed"),
        (2, "unknown"),
        (-1, "unknown"),
        (None, "unknown"),
        ("", "unknown"),
        ("ok", "unknown"),
        (0.5, "unknown"),
        (False, "unknown"),
        (True, "unknown"),
        ([], "unknown"),
        (1e999, "unknown"),
    ],
)
def test_only_a_plain_0_is_a_good_backup(value, status):
    assert the_backup(record_of(backup_status=value)).status == status


@pytest.mark.parametrize(
    "value, status",
    [(0, "never"), (1, "running"), (2, "verified"), (3, "failed"), (4, "error"), (5, "unknown"), (None, None)],
)
def test_verification_by_number(value, status):
    assert the_backup(record_of(verify_status=value)).verify_status == status


@pytest.mark.parametrize(
    "value, status", [(0, "never"), (1, "running"), (2, "restored"), (3, "failed"), (9, "unknown"), (None, None)]
)
def test_restores_by_number(value, status):
    assert the_backup(record_of(restore_status=value)).restore_status == status


@pytest.mark.parametrize(
    "value, size",
    [(0, None), (None, None), ("", None), (-5, None), (1, 1), ("12", 12), (12.0, 12), ("12.5", None), (True, None)],
)
def test_a_size_of_0_is_not_known(value, size):
    assert the_backup(record_of(backup_size=value)).size_bytes == size


@pytest.mark.parametrize(
    "backup_date, created, seen",
    [
        ("2026-03-18T03:00:05Z", "2026-03-18T04:00:00Z", "2026-03-18T03:00:05Z"),
        (None, "2026-03-18T04:00:00Z", "2026-03-18T04:00:00Z"),
        ("0001-01-01T00:00:00Z", "2026-03-18T04:00:00Z", "2026-03-18T04:00:00Z"),
        ("0001-01-01T00:00:00+05:00", "2026-03-18T04:00:00Z", "2026-03-18T04:00:00Z"),
        ("garbage", "2026-03-18T04:00:00Z", "2026-03-18T04:00:00Z"),
        (5, "2026-03-18T04:00:00Z", "2026-03-18T04:00:00Z"),
        ("", "", None),
        ("garbage", {}, None),
    ],
)
def test_the_date_is_that_of_the_backup_or_of_its_record(backup_date, created, seen):
    found = the_backup(record_of(backup_date_iso=backup_date, created_at_iso=created))
    assert found.to_result(NOW)["created_at"] == seen


@pytest.mark.parametrize(
    "fields, key",
    [
        ({"storage_path": PLACE}, "2aad2bb5/backups/3c656a1b/postgresql/x7Kq"),
        ({"storage_path": PLACE + "/"}, "2aad2bb5/backups/3c656a1b/postgresql/x7Kq"),
        ({"storage_path": "a/backups/b/mysql/test_db_11/2017.01.01.00.00.00"}, "a/backups/b/mysql/test_db_11"),
        ({"storage_path": ""}, "mysql/-"),
        ({"storage_path": None, "database_name": "orders"}, "mysql/orders"),
        ({"storage_path": "flat"}, "mysql/-"),
        ({"storage_path": 17}, "mysql/-"),
        ({"db_type": None}, "unknown/-"),
        ({"database_name": 5}, "mysql/5"),
    ],
)
def test_a_series_is_the_folder_of_its_backups(fields, key):
    assert the_backup(record_of(**fields)).series == key


def test_a_changed_server_does_not_split_a_series():
    records = [dict(RECORD, id=n, server_uid="server-%d" % n, storage_path=PLACE[:-1] + str(n)) for n in (1, 2)]
    assert len(group_series(provider(records).list_backups("shop").backups)) == 1


@pytest.mark.parametrize(
    "skipped, names",
    [
        (None, None),
        ("", []),
        ("a", ["a"]),
        ("a,b , c", ["a", "b", "c"]),
        ("a b", ["a", "b"]),
        (",", []),
        (["a", "b"], ["a", "b"]),
        ([], []),
    ],
)
def test_skipped_tables(skipped, names):
    assert the_backup(record_of(skip_tables=skipped)).excluded_tables == (None if names is None else frozenset(names))


@pytest.mark.parametrize(
    "given, engine", [("postgres", "postgresql"), ("MySQL", "mysql"), ("newdb", "newdb"), ("", None), (None, None)]
)
def test_engines(given, engine):
    assert the_backup(record_of(db_type=given)).engine == engine


@pytest.mark.parametrize("answer", [{"response": RECORD}, RECORD])
def test_one_backup_with_or_without_its_envelope(answer):
    api = provider(answer)
    assert api.get_backup("shop", "17").id == "17"
    assert api._client.asked == [("/stacks/shop/backups/17", {})]


@pytest.mark.parametrize(
    "answer", [{"response": None}, {"response": []}, [], None, 7, "x", {"error": "not_found", "details": "x"}]
)
def test_what_is_no_backup_is_an_error(answer):
    with pytest.raises(ApiError, match="not a backup"):
        provider(answer).get_backup("shop", "17")


def test_names_in_paths_are_quoted():
    api = provider({"response": [], "pagination": None})
    api.list_files("a/../b", "1?x=2#3")
    assert api._client.asked == [("/stacks/a%2F..%2Fb/backups/1%3Fx%3D2%233/files", {})]


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_keep_the_order_of_the_service():
    records = [
        {"id": name, "name": "f." + name, "size": size}
        for name, size in (("tar-aa", 5), ("tar-ab", "7"), ("mysql.tar.aa", 0))
    ]
    files = provider({"response": records}).list_files("shop", "1")
    assert [(one.id, one.name, one.size_bytes) for one in files] == [
        ("tar-aa", "f.tar-aa", 5),
        ("tar-ab", "f.tar-ab", 7),
        ("mysql.tar.aa", "f.mysql.tar.aa", None),
    ]


@pytest.mark.parametrize(
    "record, name", [({"id": "tar"}, "tar"), ({"id": 5, "name": ""}, "5"), ({"id": "tar", "name": 9}, "9")]
)
def test_a_file_without_a_name_is_called_by_its_id(record, name):
    (found,) = provider([record]).list_files("shop", "1")
    assert (found.name, found.raw) == (name, record)


@pytest.mark.parametrize("record", [{}, {"id": None, "name": "x"}, {"id": ""}])
def test_a_part_that_cannot_be_fetched_is_not_left_out_in_silence(record):
    with pytest.raises(ApiError, match="without an id") as caught:
        provider([{"id": "tar-aa"}, record]).list_files("shop", "1")
    assert caught.value.code == "incomplete"


def test_a_list_of_files_that_is_short_is_an_error_and_no_warning():
    answer = {"response": [{"id": "tar-aa"}], "pagination": {"count": 2, "current": 1, "next": None, "pages": 1}}
    with pytest.raises(ApiError) as caught:
        provider(answer).list_files("shop", "1")
    assert caught.value.code == "incomplete"


def test_sources():
    shop, bare = {"uid": "u1", "name": "shop", "environment": "staging", "x": 1}, {"uid": 5, "name": ""}
    found = provider({"response": [shop, {"name": "no uid"}, bare, {"uid": None}]}).list_sources()
    assert found == [Source("u1", "shop", environment="staging", raw=shop), Source("5", raw=bare)]


# -- pages -------------------------------------------------------------------------------------------------------------


class Pages:
    """A list of ``count`` records in pages of 30, as the API documents them."""

    def __init__(self, count, per_page=30):
        self.records = [record_of(id=number) for number in range(count, 0, -1)]
        self.per_page = per_page

    @property
    def pages(self):
        return max(1, -(-len(self.records) // self.per_page))

    def pagination(self, number):
        return {
            "previous": number - 1 if number > 1 else None,
            "next": number + 1 if number < self.pages else None,
            "current": number,
            "per_page": self.per_page,
            "count": len(self.records),
            "pages": self.pages,
        }

    def slice(self, number):
        return self.records[(number - 1) * self.per_page : number * self.per_page]

    def __call__(self, path, number):
        return {"response": self.slice(number), "count": len(self.slice(number)), "pagination": self.pagination(number)}


def listed(answer):
    api = provider(answer)
    listing = api.list_backups("shop")
    return [int(one.id) for one in listing.backups], listing.warnings, api._client.asked


@pytest.mark.parametrize("count, pages", [(0, 1), (1, 1), (29, 1), (30, 1), (31, 2), (60, 2), (61, 3), (1000, 34)])
def test_all_pages_once_in_order(count, pages):
    ids, warnings, asked = listed(Pages(count))
    assert ids == list(range(count, 0, -1))
    assert warnings == []
    assert sorted(query.get("page", 1) for path, query in asked) == list(range(1, pages + 1))


def test_filters_go_along_on_every_page_and_nothing_else_does():
    api = provider(Pages(31))
    api.list_backups("shop", group=7, engine="mysql")
    assert sorted(map(str, api._client.asked)) == [
        "('/stacks/shop/backups', {'group': 7, 'db_type': 'mysql', 'page': 2})",
        "('/stacks/shop/backups', {'group': 7, 'db_type': 'mysql'})",
    ]


class NoNumberOfPages(Pages):
    def pagination(self, number):
        return {"next": super().pagination(number)["next"], "current": number}


def test_next_alone_is_followed_page_by_page():
    ids, warnings, asked = listed(NoNumberOfPages(95))
    assert ids == list(range(95, 0, -1))
    assert [query.get("page", 1) for path, query in asked] == [1, 2, 3, 4]


class TooFewPages(Pages):
    def pagination(self, number):
        return dict(super().pagination(number), pages=2)


def test_a_number_of_pages_that_is_too_small_loses_nothing():
    ids, warnings, asked = listed(TooFewPages(95))
    assert ids == list(range(95, 0, -1))


@pytest.mark.parametrize(
    "pagination", [None, "missing", {}, [], "x", {"next": None}, {"pages": 0}, {"pages": "many"}, {"next": "x"}]
)
def test_without_pagination_one_page_is_all(pagination):
    answer = {"response": [record_of(id=1)], "pagination": pagination}
    if pagination == "missing":
        del answer["pagination"]
    ids, warnings, asked = listed(answer)
    assert (ids, warnings, len(asked)) == ([1], [], 1)


def test_a_bare_list_is_a_list():
    assert listed([record_of(id=1), record_of(id=2)])[0] == [1, 2]


@pytest.mark.parametrize("answer, whole", [([], True), ({"response": [{}]}, True), ({"response": None}, False)])
def test_a_listing_says_whether_it_is_whole(answer, whole):
    assert provider(answer).list_backups("shop").whole is whole


def test_null_is_a_list_that_may_not_be_whole():
    ids, warnings, calls = listed({"response": None})
    assert (ids, len(calls)) == ([], 1)
    assert warnings == ["/stacks/shop/backups answered null in place of a list"]


@pytest.mark.parametrize("next_page", [1, 0, -3])
def test_a_next_that_leads_back_is_not_followed(next_page):
    answer = {"response": [record_of(id=1)], "pagination": {"current": 1, "next": next_page}}
    assert len(listed(answer)[2]) == 1


class Shifting(Pages):
    """While it is read, a new backup pushes the last record of each page onto the next one."""

    def slice(self, number):
        start = (number - 1) * self.per_page
        return (
            self.records[max(0, start - 1) : start - 1 + self.per_page] if number > 1 else self.records[: self.per_page]
        )


def test_records_that_moved_to_the_next_page_are_kept_once():
    ids, warnings, asked = listed(Shifting(61))
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids, reverse=True)


class Shuffled(Pages):
    def slice(self, number):
        page = super().slice(number)
        random.Random(number).shuffle(page)
        return page


def test_shuffled_pages_lose_nothing():
    ids, warnings, asked = listed(Shuffled(100))
    assert sorted(ids) == list(range(1, 101))
    assert warnings == []


class LosingOne(Pages):
    def slice(self, number):
        return super().slice(number)[1:] if number == 2 else super().slice(number)


def test_fewer_records_than_announced_is_told():
    ids, warnings, asked = listed(LosingOne(61))
    assert not provider(LosingOne(61)).list_backups("shop").whole
    assert len(ids) == 60
    assert "60 records but announces 61" in warnings[0]


class CountOfThePage(Pages):
    """The documented samples leave open whether "count" means the page or the whole."""

    def pagination(self, number):
        return dict(super().pagination(number), count=len(self.slice(number)))


@pytest.mark.parametrize("count", [1, 30, 31, 61])
def test_a_count_of_the_page_alone_raises_no_alarm(count):
    ids, warnings, asked = listed(CountOfThePage(count))
    assert (len(ids), warnings) == (count, [])


@pytest.mark.parametrize("records", [[record_of(id=1)], []])
def test_a_page_that_repeats_itself_for_ever_is_bounded_and_told(records):
    api = provider(lambda path, number: {"response": records, "pagination": {"current": number, "next": number + 1}})
    with pytest.raises(ApiError, match="goes in circles") as caught:
        api.list_backups("shop")
    assert caught.value.code == "paging"
    assert len(api._client.asked) < 6


def test_pages_that_never_end_are_bounded_too(monkeypatch):
    monkeypatch.setattr(cloud66, "MAX_PAGES", 50)
    api = provider(
        lambda path, number: {"response": [record_of(id=number)], "pagination": {"current": number, "next": number + 1}}
    )
    with pytest.raises(ApiError) as caught:
        api.list_backups("shop")
    assert caught.value.code == "paging"
    assert len(api._client.asked) == 51


@pytest.mark.parametrize("pages", [cloud66.MAX_PAGES + 1, 10**30])
def test_an_absurd_number_of_pages_is_not_believed(pages):
    api = provider({"response": [record_of()], "pagination": {"pages": pages, "current": 1}})
    with pytest.raises(ApiError, match="not believed"):
        api.list_backups("shop")
    assert len(api._client.asked) == 1


def test_an_error_on_one_page_is_an_error_of_the_list():
    pages = Pages(300)
    api = provider(lambda path, number: ApiError("page 5 is broken") if number == 5 else pages(path, number))
    with pytest.raises(ApiError, match="page 5"):
        api.list_backups("shop")


@pytest.mark.parametrize("answer", [{}, {"response": {}}, {"response": "x"}, "x", 7, True, None, {"error": "x"}])
def test_what_is_no_list_is_never_taken_for_an_empty_one(answer):
    with pytest.raises(ApiError, match="not a list"):
        provider(answer).list_backups("shop")


@pytest.mark.parametrize("junk", [None, 7, "x", [], True])
def test_a_list_of_something_else_is_never_taken_for_an_empty_one(junk):
    with pytest.raises(ApiError) as caught:
        provider({"response": [junk]}).list_backups("shop")
    assert caught.value.code == "bad_shape"


@pytest.mark.parametrize("ids", [[None, None], [{}, {"a": 1}], [[1], [2]], ["1", 1], ["", None]])
def test_records_without_a_usable_id_are_told_apart_by_content(ids):
    records = [record_of(id=one, storage_path="p/%d" % n) for n, one in enumerate(ids)]
    assert len(provider(records).list_backups("shop").backups) == 2


# -- writing -----------------------------------------------------------------------------------------------------------

QUEUED = {"response": {"ok": True, "message": "queued for creation"}}


def test_a_task_in_the_words_of_the_api():
    request = TaskRequest(
        engines=("mysql", "redis"),
        frequency="0 3 * * *",
        keep_count=5,
        gzip=False,
        excluded_tables=frozenset("ba"),
        run_on_replica=True,
        logical_backup=False,
    )
    api = provider(QUEUED)
    assert api.create_task("shop", request) == "queued for creation"
    body = {
        "db_type": "mysql,redis",
        "frequency": "0 3 * * *",
        "keep_count": 5,
        "gzip": False,
        "excluded_tables": "a,b",
        "run_on_replica_server": True,
        "logical_backup": False,
    }
    assert api._client.posted == [("/stacks/shop/backups", body)]


def test_what_was_not_said_is_left_to_the_service():
    api = provider(QUEUED)
    api.create_task("shop", TaskRequest())
    assert api._client.posted == [("/stacks/shop/backups", {"db_type": "all"})]


def test_no_tables_excluded_is_the_default_and_not_sent():
    api = provider(QUEUED)
    api.create_task("shop", TaskRequest(excluded_tables=frozenset()))
    assert "excluded_tables" not in api._client.posted[0][1]


def test_an_import_in_the_words_of_the_api():
    api = provider(QUEUED)
    api.import_backup("shop", ImportRequest(7, "mysql", "https://x.example/dump?sig=1"))
    body = {"group": 7, "db_type": "mysql", "remote_url": "https://x.example/dump?sig=1"}
    assert api._client.posted == [("/stacks/shop/backups", body)]


@pytest.mark.parametrize(
    "answer",
    [QUEUED, {"ok": True}, {"response": {"ok": True, "message": None}}, {"response": {"ok": True, "message": 5}}],
)
def test_an_accepted_request(answer):
    assert isinstance(provider(answer).create_task("shop", TaskRequest()), str)


@pytest.mark.parametrize(
    "answer, text",
    [
        ({"response": {"ok": False, "message": "no such group"}}, "no such group"),
        ({"response": {"ok": False}}, "ok: false"),
        ({"response": {"ok": "false"}}, "ok: false"),
        ({"response": {"ok": 0, "message": ""}}, "ok: false"),
        ({"ok": False, "message": ["odd"]}, "odd"),
        ({"error": "bad_request", "details": "No database type specified"}, "No database type specified"),
        ({"response": {"error": "bad_request"}}, "bad_request"),
    ],
)
def test_success_with_ok_false_is_a_refusal(answer, text):
    with pytest.raises(ApiError, match=text) as caught:
        provider(answer).create_task("shop", TaskRequest())
    assert caught.value.code == "not_ok"
    assert not isinstance(caught.value, OutcomeUnknownError)


@pytest.mark.parametrize("answer", [{"response": None}, {"response": [{"uid": "a"}], "pagination": {"pages": 1, "count": 3}}])
def test_a_list_of_stacks_that_may_not_be_whole_is_an_error(answer):
    with pytest.raises(ApiError, match="^The list of stacks: ") as caught:
        provider(answer).list_sources()
    assert caught.value.code == "incomplete"
