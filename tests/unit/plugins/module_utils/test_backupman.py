# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backupman, without a network: records of every shape, files on drives, shared files, the many kinds of 500."""

from __future__ import annotations

import json
import random

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import RunRequest, Source
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
)
from ansible_collections.restorable.backups.plugins.module_utils._http import Answer
from ansible_collections.restorable.backups.plugins.module_utils._operations.info import SPEC
from ansible_collections.restorable.backups.plugins.module_utils._providers import OPERATIONS, Surroundings, connect
from ansible_collections.restorable.backups.plugins.module_utils._providers.backupman import (
    Backupman,
    base_of,
    problem_of,
)
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import NOW, options

URL = "https://backups.example"
ZERO = "0001-01-01T00:00:00Z"
PHANTOM = dict.fromkeys(("Id", "BackupId", "Provider", "Label", "Path", "Status"), "")
PHANTOM.update(CreatedAt=ZERO, UpdatedAt=ZERO)
FOLDER = "/var/lib/backups/"


def drive_file(number="f1", **fields):
    return {
        "Id": number,
        "BackupId": "b1",
        "Provider": "local",
        "Label": "drive-1",
        "Path": FOLDER + "20260318030005.sql",
        "Status": "finished",
        "CreatedAt": "2026-03-18T03:00:05Z",
        "UpdatedAt": "2026-03-18T03:01:00Z",
        **fields,
    }


def record(number="b1", **fields):
    return {
        "Id": number,
        "Status": "finished",
        "Label": "shop",
        "DumpPath": "",
        "CreatedAt": "2026-03-18T03:00:05Z",
        "UpdatedAt": "2026-03-18T03:01:00Z",
        "DriveFiles": [drive_file()],
        **fields,
    }


def alone(number, label="shop", **fields):
    """A record whose file is its own."""
    return record(number, Label=label, DriveFiles=[drive_file("f-" + number, Path=FOLDER + number + ".sql")], **fields)


class FakeClient:
    """Answers the list with ``records``, everything else with ``answer``; remembers what was asked."""

    base_url = URL

    def __init__(self, records, answer=None):
        self.records, self.answer, self.asked = records, answer, []

    def get(self, path, params=None):
        self.asked.append("GET " + path)
        found = self.records if path == "/api/backups" else self.answer
        if isinstance(found, Exception):
            raise found
        if path == "/api/backups" and isinstance(found, list):
            found = {"Results": random.sample(found, len(found))}
        return Answer(found, {}, 200)

    def post(self, path, body=None):
        self.asked.append("POST " + path)
        assert body is None
        if isinstance(self.answer, Exception):
            raise self.answer
        return Answer(self.answer, {}, 200)


def provider(*records, **given):
    """A provider of these records; ``results`` is an answer in place of them."""
    client = FakeClient(given.pop("results", list(records)), given.pop("answer", None))
    made = Backupman(client, "secret-key", given.pop("warn", print), now=lambda: NOW)
    assert not given
    made.asked = client.asked
    return made


def the_backup(**fields):
    (found,) = provider(record(**fields)).list_backups("*").backups
    return found


# -- where it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, base",
    [
        ("backups.example", URL),
        ("https://backups.example/", URL),
        ("HTTPS://Backups.Example/api", URL),
        ("https://backups.example/api/backups/", URL),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://x.example/behind/a/proxy/", "https://x.example/behind/a/proxy"),
        ("https://x.example/api/backups-of-ours", "https://x.example/api/backups-of-ours"),
    ],
)
def test_the_address_may_be_a_host_or_that_of_the_api(given, base):
    assert base_of(given) == base


def connected(warn=print, **given):
    own = {"provider": "backupman", "api_url": URL, "api_token": "secret-key"}
    return connect(options(SPEC, source="shop", **dict(own, **given)), Surroundings(warn=warn))


@pytest.mark.parametrize("url", [None, "", "  "])
def test_no_address_says_where_it_may_come_from(url):
    with pytest.raises(OptionError, match="^api_url: .*BACKUPMAN_URL"):
        connected(api_url=url)


@pytest.mark.parametrize(
    "url", ["https://", "ftp://x.example", "http://x.example", "https://u:p@x.example", "https://x:y"]
)
def test_addresses_that_no_key_should_go_to(url):
    with pytest.raises(OptionError, match="^api_url: "):
        connected(api_url=url)


@pytest.mark.parametrize("key", [None, "", " "])
def test_no_key_says_where_it_may_come_from(key):
    with pytest.raises(OptionError, match="^api_token: no API key given.*BACKUPMAN_API_KEY"):
        connected(api_token=key)


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key):
    with pytest.raises(OptionError, match="^api_token: ") as caught:
        connected(api_token=key)
    assert key not in caught.value.message


def test_the_address_is_the_server():
    assert connected(api_url="Backups.Example/api/").address == URL


@pytest.mark.parametrize("operation", ["schedule", "unschedule", "import", "delete"])
def test_what_it_cannot_do_is_said_with_what_works_instead(operation):
    with pytest.raises(UnsupportedError, match="provider backupman cannot .+: .+"):
        provider().require(operation)
    assert Backupman.capabilities & set(OPERATIONS) | set(Backupman.instead) == set(OPERATIONS)


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_whole_record():
    assert the_backup().to_result(NOW) == {
        "id": "b1",
        "provider": "backupman",
        "source": "shop",
        "series": "shop",
        "name": None,
        "parent_id": None,
        "engine": None,
        "database": None,
        "status": "ok",
        "created_at": "2026-03-18T03:00:05Z",
        "age_seconds": 32395,
        "size_bytes": None,
        "verify_status": None,
        "restore_status": None,
        "location": "local:/var/lib/backups/20260318030005.sql",
        "message": None,
        "shares_file_with": [],
        "raw": record(),
    }


@pytest.mark.parametrize(
    "said, status",
    [
        ("finished", "ok"),
        ("Finished", "ok"),
        ("failed", "failed"),
        ("pending", "running"),
        ("", "unknown"),
        (None, "unknown"),
        (0, "unknown"),
        ("restoring", "unknown"),
    ],
)
def test_statuses(said, status):
    assert the_backup(Status=said).status == status


@pytest.mark.parametrize(
    "files, status",
    [
        ([drive_file()], "ok"),
        ([drive_file(Status="failed"), drive_file("f2")], "ok"),
        ([drive_file(Status="failed"), drive_file("f2", Status="pending")], "running"),
        ([drive_file(Status="failed")], "failed"),
        ([drive_file(Status="odd")], "unknown"),
        ([PHANTOM], "unknown"),
        ([], "unknown"),
        (None, "unknown"),
        ("missing", "unknown"),
        ([None, 7, []], "unknown"),
        ({}, "unknown"),
    ],
)
def test_finished_without_a_finished_file_is_not_good(files, status):
    found = record(DriveFiles=files)
    if files == "missing":
        del found["DriveFiles"]
    (backup,) = provider(found).list_backups("shop").backups
    assert backup.status == status
    assert (backup.message is None) == (status == "ok")


@pytest.mark.parametrize("path, engine", [("x.sql", None), ("x.db", "sqlite"), ("", None), (None, None), (7, None)])
def test_only_the_files_of_sqlite_tell_the_engine(path, engine):
    assert the_backup(DriveFiles=[drive_file(Path=path)]).engine == engine
    assert the_backup(Status="pending", DumpPath=path, DriveFiles=[PHANTOM]).engine == engine


@pytest.mark.parametrize("moment", [ZERO, "", None, "yesterday", 5, {}])
def test_a_time_that_is_none(moment):
    assert the_backup(CreatedAt=moment).created_at is None


@pytest.mark.parametrize("field", sorted(record()))
def test_no_field_is_needed_and_no_odd_value_breaks_a_record(field):
    records = [record(**{field: odd}) for odd in ("", ZERO, 0, -1, 1e999, None, True, [], [7], {}, {"a": 1}, "odd ü")]
    records.append({name: value for name, value in record().items() if name != field})
    for one in records:
        (found,) = provider(one).list_backups("*").backups
        result = found.to_result(NOW)
        assert result["raw"] == one
        for key in ("id", "source", "series", "status"):
            assert isinstance(result[key], str), one
        for key in ("engine", "created_at", "location", "message"):
            assert result[key] is None or isinstance(result[key], str), one


@pytest.mark.parametrize("field", sorted(drive_file()))
def test_no_field_of_a_drive_file_is_needed_either(field):
    for odd in ("", ZERO, 0, None, True, [], {}, "odd ü"):
        api = provider(record(DriveFiles=[drive_file(**{field: odd})]))
        for file in api.list_files("shop", "b1"):
            assert isinstance(file.id, str) and isinstance(file.name, str)


def test_numbers_for_texts_are_texts():
    found = the_backup(Id=17, Label=5)
    assert (found.id, found.source, found.series) == ("17", "5", "5")


# -- the list ----------------------------------------------------------------------------------------------------------


def test_the_list_is_of_one_label_or_of_all():
    api = provider(alone("b1"), alone("b2", "crm"), alone("b3"))
    assert sorted(one.id for one in api.list_backups("shop").backups) == ["b1", "b3"]
    assert sorted(one.id for one in api.list_backups("*").backups) == ["b1", "b2", "b3"]
    assert api.asked == ["GET /api/backups"] * 2


def test_an_unknown_label_is_empty_and_names_the_known_ones():
    listing = provider(alone("b1"), alone("b2", "crm"), alone("b3", "crm")).list_backups("Shop")
    assert listing.backups == []
    assert listing.warnings == ["Backupman has no backup of label Shop; there are those of crm, shop"]


def test_an_empty_server_is_empty():
    assert provider().list_backups("*").warnings == []
    assert provider().list_backups("shop").warnings == [
        "Backupman has no backup of label shop; there are those of none at all"
    ]


def test_a_backup_is_listed_once():
    assert len(provider(record(), record()).list_backups("shop").backups) == 1
    assert len(provider(record(Id=None), record(Id="")).list_backups("shop").backups) == 2


def test_null_in_place_of_a_list_is_told():
    listing = provider(results={"Results": None}).list_backups("*")
    assert (listing.backups, listing.warnings) == ([], ["/api/backups answered null in place of a list"])
    assert listing.whole, "Go writes an empty list so"


@pytest.mark.parametrize(
    "results",
    [
        {},
        {"Results": {}},
        {"Results": "x"},
        {"Results": False},
        {"Results": [7]},
        {"Results": [None]},
        {"Error": "x"},
        7,
        "x",
        None,
        True,
    ],
)
def test_what_is_no_list_is_never_taken_for_an_empty_one(results):
    with pytest.raises(ApiError) as caught:
        provider(results=results).list_backups("shop")
    assert caught.value.code == "bad_shape"


def test_one_backup_is_found_in_the_list():
    api = provider(alone("b1"), alone("b2", "crm"))
    assert api.get_backup("shop", "b1").id == api.get_backup("*", "b1").id == "b1"
    with pytest.raises(NotFoundError, match="Backup b2 is of label crm, not of shop"):
        api.get_backup("shop", "b2")
    with pytest.raises(NotFoundError, match="no backup b9"):
        api.get_backup("shop", "b9")


def test_sources_are_the_labels_that_have_a_backup():
    old = dict(alone("b1", "site", CreatedAt="2026-03-01T00:00:00Z"), DumpPath="x.sql")
    new = record("b2", Label="site", DriveFiles=[drive_file(Path="x.db")])
    assert provider(old, new, alone("b3"), alone("b4", None)).list_sources() == [
        Source("shop", "shop"),
        Source("site", "site", engine="sqlite"),
    ]


@pytest.mark.parametrize(
    "created, told", [("2026-03-17T11:59:59Z", True), ("2026-03-17T12:00:00Z", False), (ZERO, False)]
)
def test_a_backup_that_hangs_is_told_of(created, told):
    pending = record("b1", Status="pending", CreatedAt=created, DriveFiles=[PHANTOM])
    listing = provider(pending, alone("b2"), alone("b3", Status="failed", CreatedAt=created)).list_backups("shop")
    assert [one.status for one in listing.backups if one.id == "b1"] == ["running"]
    assert len(listing.warnings) == told
    if told:
        assert listing.warnings[0].startswith("Backup b1 of shop has been pending since 2026-03-17T11:59:59Z: ")
    assert provider(pending, alone("b2", "crm")).list_backups("crm").warnings == []


def test_of_many_that_hang_the_newest_is_named():
    old = [
        record("b%d" % day, Status="pending", CreatedAt="2026-03-%02dT00:00:00Z" % day, DriveFiles=None)
        for day in (2, 9, 4)
    ]
    (warning,) = provider(*old).list_backups("*").warnings
    assert warning.startswith("Backup b9 of shop has been pending since 2026-03-09T00:00:00Z, as have 2 older ones: ")


# -- shared files ------------------------------------------------------------------------------------------------------


def shared(*records):
    listing = provider(*records).list_backups("*")
    return {backup.id: backup.shares_file_with for backup in listing.backups if backup.shares_file_with}


def test_backups_of_one_path_share_a_file_whatever_their_label():
    assert shared(record("b1"), record("b2", Label="crm"), alone("b3")) == {"b1": ("b2 (crm)",), "b2": ("b1 (shop)",)}


def test_the_other_one_is_known_also_where_one_label_was_asked_for():
    api = provider(record("b1"), record("b2", Label="crm"))
    (found,) = api.list_backups("shop").backups
    assert found.shares_file_with == api.get_backup("shop", "b1").shares_file_with == ("b2 (crm)",)


def test_three_in_one_file_and_one_on_two_drives():
    copies = [drive_file(), drive_file("f2", Provider="s3", Path="nightly/20260318030005.sql")]
    found = shared(record("b1", DriveFiles=copies), record("b2", DriveFiles=copies), record("b3", Status="failed"))
    assert found == {
        "b1": ("b2 (shop)", "b3 (shop)"),
        "b2": ("b1 (shop)", "b3 (shop)"),
        "b3": ("b1 (shop)", "b2 (shop)"),
    }


@pytest.mark.parametrize(
    "one, other",
    [
        ([drive_file()], [drive_file(Provider="s3")]),
        ([drive_file()], [drive_file(Path=FOLDER + "20260318030006.sql")]),
        ([PHANTOM], [PHANTOM]),
        ([drive_file(Path="")], [drive_file(Path="")]),
        (None, None),
    ],
)
def test_what_shares_nothing(one, other):
    assert shared(record("b1", DriveFiles=one), record("b2", DriveFiles=other)) == {}


def test_copies_on_two_drives_of_one_kind_are_no_collision():
    assert shared(record("b1", DriveFiles=[drive_file(), drive_file("f2", Label="drive-2")])) == {}


# -- files -------------------------------------------------------------------------------------------------------------


def files_of(*copies, **fields):
    return provider(record(DriveFiles=list(copies), **fields)).list_files("shop", "b1")


def test_copies_are_one_file_and_the_one_that_can_be_fetched():
    copies = [drive_file("f1", Provider="s3"), drive_file("f2", Status="failed"), PHANTOM, drive_file("f3")]
    for _time in range(3):
        (found,) = files_of(*random.sample(copies, 4))
        assert (found.id, found.name, found.size_bytes, found.md5) == ("f3", "20260318030005.sql", None, None)
        assert found.raw == copies[3]


def test_of_two_that_can_be_fetched_it_is_always_the_same():
    assert {files_of(*random.sample([drive_file("f2"), drive_file("f1")], 2))[0].id for _time in range(9)} == {"f1"}


@pytest.mark.parametrize("files", [[PHANTOM], [], None])
def test_without_a_file_there_is_none(files):
    assert provider(record(DriveFiles=files)).list_files("shop", "b1") == []


def test_files_of_a_good_backup_that_was_listed_cost_no_call():
    api = provider(alone("b1"), alone("b2", Status="pending"))
    api.list_backups("shop")
    api.list_files("shop", "b1")
    assert api.asked == ["GET /api/backups"]
    api.list_files("shop", "b2")
    assert api.asked == ["GET /api/backups"] * 2


def test_files_of_an_unknown_backup():
    with pytest.raises(NotFoundError):
        provider().list_files("shop", "b1")


def access(copy, answer, warn=print):
    api = provider(record(DriveFiles=[copy]), answer=answer, warn=warn)
    (file,) = api.list_files("shop", "b1")
    return api.file_access("shop", "b1", file), api.asked


def test_a_file_is_fetched_with_the_key():
    told = []
    found, asked = access(drive_file("f/1"), {"Url": URL + "/api/backups/f/1/download"}, told.append)
    assert (found.url, found.headers) == (URL + "/api/backups/f%2F1/download", {"X-Api-Key": "secret-key"})
    assert asked == ["GET /api/backups", "GET /api/backups/b1/generate-download-url"]
    assert told == []


@pytest.mark.parametrize(
    "given, host",
    [
        ("https://evil.example/api/backups/f1/download", "evil.example"),
        ("http://backups.example/api/backups/f1/download", "backups.example"),
        ("https://backups.example:8443/api/backups/f1/download", "backups.example"),
        ("https://backups.example@evil.example/api/backups/f1/download", "evil.example"),
        ("https://u:p@backups.example/x", "backups.example"),
        ("//evil.example/x", "evil.example"),
        ("/api/backups/f1/download", "no host"),
        ("https://[", "no host"),
        (7, "no host"),
    ],
)
def test_the_key_goes_to_api_url_wherever_the_server_points(given, host):
    told = []
    found, _asked = access(drive_file(), {"Url": given}, told.append)
    assert found.url == URL + "/api/backups/f1/download"
    assert len(told) == 1 and "lead to %s (its app_url)" % host in told[0]
    assert "secret" not in told[0] and "u:p" not in told[0]


def test_that_it_points_elsewhere_is_told_once():
    told = []
    api = provider(record(), answer={"Url": "http://localhost:8080/x"}, warn=told.append)
    (file,) = api.list_files("shop", "b1")
    for _time in range(3):
        api.file_access("shop", "b1", file)
    assert len(told) == 1


@pytest.mark.parametrize("answer", [{}, {"Url": ""}, {"Url": None}, [], None, "x"])
def test_no_address_is_an_error(answer):
    with pytest.raises(ApiError, match="gave no address") as caught:
        access(drive_file(), answer)
    assert caught.value.code == "no_url"


@pytest.mark.parametrize(
    "copy, code, words",
    [
        (drive_file(Provider="s3", Path="a/b.sql"), "not_local", "a drive of kind s3, at a/b.sql"),
        (drive_file(Provider=""), "not_local", "a drive of kind unknown"),
        (drive_file(Status="pending"), "not_finished", "its status on the drive is pending"),
        (drive_file(Status=None), "not_finished", "is unknown"),
        (drive_file(""), "no_files", "no id"),
    ],
)
def test_what_cannot_be_fetched_says_why_and_asks_nothing(copy, code, words):
    api = provider(record(DriveFiles=[copy]))
    (file,) = api.list_files("shop", "b1")
    seen = len(api.asked)
    with pytest.raises(ApiError, match=words) as caught:
        api.file_access("shop", "b1", file)
    assert caught.value.code == code
    assert len(api.asked) == seen


# -- errors ------------------------------------------------------------------------------------------------------------


class Response:
    def __init__(self, status, body):
        self.status_code, self.headers = status, {
            "Content-Type": "text/plain" if isinstance(body, str) else "application/json"
        }
        self.content = (body if isinstance(body, str) else json.dumps(body)).encode()


@pytest.mark.parametrize("spelling", ["Error", "error"])
@pytest.mark.parametrize(
    "words, kind, code",
    [
        ("no backup found with id 0c1d", NotFoundError, "not_found"),
        ("no drive files found with id 0c1d", NotFoundError, "not_found"),
        ("no valid drive found for backup 0c1d", ApiError, "not_local"),
        ("drive file 0c1d is not finished", ApiError, "not_finished"),
        ("failed to read file /x/y.sql: open /x/y.sql: no such file or directory", ApiError, "file_missing"),
    ],
)
def test_500_has_many_meanings(spelling, words, kind, code):
    found = problem_of("GET /x", Response(500, {spelling: words}))
    assert (type(found), found.code) == (kind, code)
    assert found.message == "GET /x answered 500: " + words
    assert not isinstance(found, UnavailableError)  # so it is not asked again


def test_an_empty_500_may_pass():
    found = problem_of("GET /x", Response(500, ""))
    assert isinstance(found, UnavailableError) and "without a word" in found.message


def test_any_other_error_means_what_it_means_everywhere():
    assert problem_of("GET /x", Response(500, {"error": "database is locked"})) is None
    assert problem_of("GET /x", Response(503, "")) is None


def test_a_refused_key_may_be_the_fault_of_either_side():
    found = problem_of("GET /x", Response(401, {"error": "Unauthorized"}))
    assert isinstance(found, AuthError) and found.code == "unauthenticated"
    assert "api_token" in found.message and "none configured" in found.message


def test_404_is_another_server():
    found = problem_of("GET /x", Response(404, "404 page not found"))
    assert found.code == "wrong_address" and "api_url" in found.message
    assert not isinstance(found, NotFoundError)


# -- running -----------------------------------------------------------------------------------------------------------


def test_a_run_is_one_post_and_names_nothing():
    api = provider(answer={"Message": "Backup started"})
    assert api.run_backup("shop", RunRequest(all_sources=True)) is None
    assert api.asked == ["POST /api/backups"]


@pytest.mark.parametrize("answer", [{"Error": "no drives"}, {"error": "no drives"}])
def test_a_refusal_may_come_as_a_success(answer):
    with pytest.raises(ApiError, match="refused: no drives") as caught:
        provider(answer=answer).run_backup("shop", RunRequest())
    assert caught.value.code == "not_ok" and not isinstance(caught.value, OutcomeUnknownError)


@pytest.mark.parametrize("answer", [[], None, "started", 7])
def test_an_answer_that_says_nothing_leaves_the_outcome_open(answer):
    with pytest.raises(OutcomeUnknownError):
        provider(answer=answer).run_backup("shop", RunRequest())
