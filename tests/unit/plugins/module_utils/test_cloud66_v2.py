# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Version 2 of Cloud 66, without a network: its list, its chain of exports, what it refuses imports for."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import BackupFile, ImportRequest
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnsupportedError,
)
from ansible_collections.restorable.backups.plugins.module_utils._http import Answer
from ansible_collections.restorable.backups.plugins.module_utils._operations.info import SPEC
from ansible_collections.restorable.backups.plugins.module_utils._providers import OPERATIONS, Surroundings, connect
from ansible_collections.restorable.backups.plugins.module_utils._providers import cloud66_v2
from ansible_collections.restorable.backups.plugins.module_utils._providers.cloud66 import Cloud66
from ansible_collections.restorable.backups.plugins.module_utils._providers.cloud66_v2 import Cloud66V2
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import NOW, options

RECORD = {
    "id": 17,
    "db_type": "postgresql",
    "database_name": "orders",
    "backup_date_iso": "2026-03-18T03:00:05Z",
    "backup_status": 0,
    "verify_status": 2,
    "storage_path": "2aad2bb5/backups/3c656a1b/postgresql/x7Kq/2026.03.18.03.00.05",
    "backup_size": 4096,
}
LIST = "/stacks/shop/managed_backups"


class FakeClient:
    """Answers by path; ``answer`` is a dict of them, or what every path answers. Remembers what was asked."""

    def __init__(self, answer):
        self.answer, self.asked, self.posted = answer, [], []

    def _answer(self, found):
        if isinstance(found, Exception):
            raise found
        return Answer(found, {}, 200)

    def get(self, path, params=None):
        self.asked.append(path + ("?page=%d" % params["page"] if params else ""))
        return self._answer(self.answer(self.asked[-1]) if callable(self.answer) else self.answer)

    def post(self, path, body):
        self.posted.append((path, body))
        return self._answer(self.answer)


def provider(answer):
    made = Cloud66V2(FakeClient(answer), "address")
    made.asked, made.posted = made._client.asked, made._client.posted
    return made


# -- which API ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["app.cloud66.com", "https://app.cloud66.com/api/2/", "https://app.cloud66.com/api/3"])
def test_the_version_is_that_of_the_provider_whatever_the_address_says(url):
    given = {"provider": "cloud66_v2", "api_url": url, "api_token": "secret-token", "account": "7"}
    found = connect(options(SPEC, source="shop", **given), Surroundings())
    assert isinstance(found, Cloud66V2)
    assert found.address == "https://app.cloud66.com/api/2#7"


def test_both_versions_are_reached_with_the_same_options():
    assert Cloud66V2.options == Cloud66.options


@pytest.mark.parametrize("operation", ["sources", "schedule", "unschedule", "run", "delete"])
def test_what_it_cannot_do_is_said_with_what_works_instead(operation):
    with pytest.raises(UnsupportedError, match="provider cloud66_v2 cannot .+: .+"):
        provider([]).require(operation)
    assert Cloud66V2.capabilities & set(OPERATIONS) | set(Cloud66V2.instead) == set(OPERATIONS)


# -- the list ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [[RECORD], {"response": [RECORD]}, {"response": [RECORD], "pagination": None, "count": 1}]
)
def test_a_list_is_bare_or_enveloped(answer):
    api = provider(answer)
    listing = api.list_backups("shop", engine="mysql")
    assert listing.warnings == [] and listing.whole
    (found,) = listing.backups
    assert found.to_result(NOW)["provider"] == "cloud66_v2"
    assert (found.id, found.series, found.engine, found.status, found.size_bytes, found.verify_status) == (
        "17", "2aad2bb5/backups/3c656a1b/postgresql/x7Kq", "postgresql", "ok", 4096, "verified",
    )  # fmt: skip
    assert api.asked == [LIST]


def test_pages_are_read_where_the_answer_has_them():
    def answer(asked):
        number = int(asked.partition("?page=")[2] or 1)
        return {
            "response": [dict(RECORD, id=number)],
            "pagination": {"current": number, "next": number % 3 + 1, "pages": 3},
        }

    api = provider(answer)
    assert [backup.id for backup in api.list_backups("shop").backups] == ["1", "2", "3"]
    assert sorted(api.asked) == [LIST, LIST + "?page=2", LIST + "?page=3"]


def test_null_in_place_of_a_list_is_told():
    listing = provider({"response": None}).list_backups("shop")
    assert (listing.backups, listing.warnings) == ([], [LIST + " answered null in place of a list"])
    assert not listing.whole


@pytest.mark.parametrize("answer", [{}, {"response": {}}, "x", 7, True, {"ok": True}, [7], [None], {"response": ["x"]}])
def test_what_is_no_list_is_never_taken_for_an_empty_one(answer):
    with pytest.raises(ApiError) as caught:
        provider(answer).list_backups("shop")
    assert caught.value.code == "bad_shape"


@pytest.mark.parametrize("number", [17, "17"])
def test_one_backup_is_found_in_the_list(number):
    api = provider([dict(RECORD, id=None), dict(RECORD, id=3), dict(RECORD, id=number)])
    assert api.get_backup("shop", "17").id == "17"
    with pytest.raises(NotFoundError, match="shop has no backup 4"):
        api.get_backup("shop", "4")
    assert api.asked == [LIST] * 2


# -- files -------------------------------------------------------------------------------------------------------------


def export(name="backup.tar", following="", **fields):
    url = "https://s.example/%s?Signature=x%%252Fy" % name
    return {"ok": True, "file_name": name, "url": url, "next_extension": following, **fields}


CHAIN = {
    "/backups/17/export": export("b.tar-aa", "tar-ab"),
    "/backups/17/export/tar-ab": {"response": export("b.tar-ab", "a/c")},
    "/backups/17/export/a%2Fc": export("b.a/c"),
}


def test_files_are_a_chain_of_exports():
    api = provider(CHAIN.get)
    files = api.list_files("shop", "17")
    assert [file.name for file in files] == ["b.tar-aa", "b.tar-ab", "b.a/c"]
    assert len({file.id for file in files}) == 3
    assert api.asked == list(CHAIN)
    # Whoever shows the record must not show the signature.
    assert "Signature" not in repr(files)
    assert files[0].raw == {"ok": True, "file_name": "b.tar-aa", "next_extension": "tar-ab"}


def test_a_url_is_asked_for_anew_and_mended():
    api = provider(CHAIN.get)
    files = api.list_files("shop", "17")
    del api.asked[:]
    found = [api.file_access("shop", "17", file) for file in files[::-1]]
    assert api.asked == list(CHAIN)[::-1]
    assert found[0].url == "https://s.example/b.a/c?Signature=x%2Fy" and found[0].headers == {}


@pytest.mark.parametrize("end", ["", None, "  "])
def test_an_empty_extension_is_the_end(end):
    assert len(provider(export(following=end)).list_files("shop", "17")) == 1


@pytest.mark.parametrize("odd", ["missing", [], {}, True, False, ["tar-ab"]])
def test_an_answer_that_leaves_the_end_open_is_an_error(odd):
    answer = export(following=odd)
    if odd == "missing":
        del answer["next_extension"]
    with pytest.raises(ApiError, match="next_extension") as caught:
        provider(answer).list_files("shop", "17")
    assert caught.value.code == "incomplete"


def test_an_extension_may_be_a_number():
    answers = {"/backups/17/export": export("b.1", 2), "/backups/17/export/2": export("b.2")}
    assert [file.name for file in provider(answers.get).list_files("shop", "17")] == ["b.1", "b.2"]


@pytest.mark.parametrize("name", [None, "", 9])
def test_a_file_without_a_name_is_named_after_its_place(name):
    answers = {"/backups/17/export": export(name, "tar-ab"), "/backups/17/export/tar-ab": export(name)}
    expected = ["9", "9"] if name else ["backup-17", "tar-ab"]
    assert [file.name for file in provider(answers.get).list_files("shop", "17")] == expected


@pytest.mark.parametrize("loop", [("a", "a"), ("a", "b", "a"), ("a", "b", "c", "b")])
def test_a_chain_that_goes_in_circles_is_noticed(loop):
    steps = dict(zip(("",) + loop, loop))
    api = provider(lambda path: export(following=steps[path.partition("export")[2].strip("/")]))
    with pytest.raises(ApiError, match="circles") as caught:
        api.list_files("shop", "17")
    assert caught.value.code == "paging"
    assert len(api.asked) == len(set(api.asked))


def test_a_chain_without_an_end_is_bounded(monkeypatch):
    monkeypatch.setattr(cloud66_v2, "MAX_FILES", 20)
    api = provider(lambda path: export(following="x" + path.partition("export/")[2]))
    with pytest.raises(ApiError, match="no end"):
        api.list_files("shop", "17")
    assert len(api.asked) == 20


@pytest.mark.parametrize("answer", [[], None, "x", 7, {"response": []}, {"error": "not_found"}])
def test_what_is_no_export_is_an_error(answer):
    with pytest.raises(ApiError, match="not an export"):
        provider(answer).list_files("shop", "17")


def test_an_export_that_is_refused_says_why():
    with pytest.raises(ApiError, match="does not export backup 17: in the freezer"):
        provider({"ok": False, "message": "in the freezer"}).list_files("shop", "17")


@pytest.mark.parametrize("url", [None, "", 17, "ftp://s/x", "http://s.example/x", "/x"])
def test_a_url_that_is_none_of_ours_to_fetch_is_refused(url):
    with pytest.raises((ApiError, OptionError)):
        provider(export(url=url)).file_access("shop", "17", BackupFile("export", "b.tar"))


# -- importing ---------------------------------------------------------------------------------------------------------

REQUEST = ImportRequest(group=7, engine="mysql", url="https://x.example/dump?sig=1")


@pytest.mark.parametrize("answer", [{"ok": True, "message": "queued"}, {"response": {"ok": True, "message": "queued"}}])
def test_an_import_in_the_words_of_the_api(answer):
    api = provider(answer)
    assert api.import_backup("shop", REQUEST) == "queued"
    assert api.posted == [("/backups/7/import", {"db_type": "mysql", "remote_url": "https://x.example/dump?sig=1"})]


@pytest.mark.parametrize(
    "status, words, option",
    [
        (400, "No managed backup group ID specified", "group"),
        (404, "Cannot find backup group ID", "group"),
        (400, "No database type specified", "engine"),
        (404, "Cannot find backup job on group for database type", "engine"),
        (400, "no remote url specified", "remote_url"),
    ],
)
def test_a_refusal_names_the_option_that_is_meant(status, words, option):
    refusal = ApiError("POST /backups/7/import answered %d: %s" % (status, words), status=status)
    with pytest.raises(OptionError, match="^%s: .*%s" % (option, words)) as caught:
        provider(refusal).import_backup("shop", REQUEST)
    assert caught.value.details == {"option": option, "status": status}


@pytest.mark.parametrize(
    "refusal",
    [
        ApiError("POST /x answered 400: your plan is too small", status=400),
        NotFoundError("POST /x answered 404", status=404),
        OutcomeUnknownError("POST /x answered 500: Cannot find backup group ID", status=500),
        ApiError("Cloud 66 refused: Cannot find backup group ID", code="not_ok"),
    ],
)
def test_other_refusals_stay_what_they_are(refusal):
    with pytest.raises(ApiError) as caught:
        provider(refusal).import_backup("shop", REQUEST)
    assert caught.value is refusal
