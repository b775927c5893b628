# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_import: one import, one request; in doubt, none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    BackupError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
)
from ansible_collections.restorable.backups.plugins.module_utils._markers import DONE, INTENT, MarkerBook
from ansible_collections.restorable.backups.plugins.module_utils._operations import import_backup
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import (
    NOW,
    FakeProvider,
    World,
    backup,
    options,
)

URL = "https://dumps.example/shop.sql.gz?Signature=very%2Fsecret&Expires=1"
SHOWN = {"source": "shop", "group": 7, "engine": "mysql", "remote_url": "https://dumps.example/shop.sql.gz"}


@pytest.fixture
def bring(tmp_path):
    def run(provider, world=None, **given):
        given = dict({"source": "shop", "group": 7, "engine": "mysql", "remote_url": URL}, **given)
        given.setdefault("state_dir", str(tmp_path / "state"))
        return import_backup.run(options(import_backup.SPEC, **given), provider, world or World())

    return run


@pytest.fixture
def book(tmp_path):
    return MarkerBook(str(tmp_path / "state"), "import", "cloud66", FakeProvider().address, "shop")


def test_the_first_run_asks_and_remembers(bring, book):
    provider = FakeProvider()
    result = bring(provider)
    assert (result["changed"], result["action"], result["request"]) == (True, "created", SHOWN)
    assert provider.calls == [("import", "shop", 7, "mysql", URL)]
    assert [(marker.state, marker.request) for marker in book.all()] == [(DONE, SHOWN)]


def test_the_second_run_asks_nothing(bring):
    provider = FakeProvider()
    bring(provider)
    result = bring(provider)
    assert (result["changed"], result["action"], result["msg"]) == (False, "present", "The import was asked for before")
    assert len(provider.calls) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"remote_url": URL.replace("secret", "other")},
        {"remote_url": URL.partition("?")[0]},
        {"remote_url": URL.replace("https://", "https://someone:pass@")},
        {"engine": "MySQL"},
    ],
)
def test_another_signature_is_the_same_import(bring, given):
    provider = FakeProvider()
    bring(provider)
    assert bring(provider, **given)["action"] == "present"


@pytest.mark.parametrize(
    "given", [{"group": 8}, {"engine": "redis"}, {"remote_url": "https://dumps.example/other.gz"}, {"source": "crm"}]
)
def test_another_group_engine_file_or_source_is_another_import(bring, given):
    provider = FakeProvider(crm=[])
    bring(provider)
    assert bring(provider, **given)["action"] == "created"


def test_no_secret_is_kept_or_returned(bring, book):
    result = bring(FakeProvider(), remote_url=URL.replace("https://", "https://someone:pass@"))
    (marker,) = book.all()
    for text in (repr(result), marker.path.read_text(), str(marker.path)):
        assert "Signature" not in text
        assert "pass@" not in text


def test_force_asks_once_more(bring, book):
    provider = FakeProvider()
    bring(provider)
    assert bring(provider, World().later(hours=1), force=True)["changed"] is True
    assert len(provider.writes) == 2
    assert [marker.asked_at for marker in book.all()] == [NOW + timedelta(hours=1)]


# -- check mode --------------------------------------------------------------------------------------------------------


def test_check_mode_writes_nothing(bring, tmp_path):
    provider = FakeProvider()
    result = bring(provider, World(check_mode=True), wait=True)
    assert (result["changed"], result["msg"]) == (True, "The import would be asked for")
    assert provider.calls == []
    assert list(tmp_path.iterdir()) == []


def test_check_mode_knows_what_was_done(bring):
    provider = FakeProvider()
    bring(provider)
    assert bring(provider, World(check_mode=True))["changed"] is False
    assert bring(provider, World(check_mode=True), force=True)["changed"] is True
    assert len(provider.writes) == 1


def test_check_mode_has_the_same_doubts(bring, book):
    book.write(SHOWN, INTENT, NOW, SHOWN)
    with pytest.raises(BackupError) as caught:
        bring(FakeProvider(), World(check_mode=True))
    assert caught.value.code == "in_doubt"


# -- doubt -------------------------------------------------------------------------------------------------------------


def test_an_unknown_outcome_is_said_and_nothing_is_sent_again(bring, book):
    provider = FakeProvider()
    provider.answers = [OutcomeUnknownError("POST /x: no answer")]
    with pytest.raises(OutcomeUnknownError, match="Whether the import into shop was started is unknown"):
        bring(provider)
    assert [marker.state for marker in book.all()] == [INTENT]
    with pytest.raises(BackupError, match="nothing was sent") as caught:
        bring(provider)
    assert caught.value.code == "in_doubt"
    assert "Signature" not in caught.value.message
    assert len(provider.writes) == 1
    assert bring(provider, force=True)["changed"] is True


@pytest.mark.parametrize(
    "refusal",
    [ApiError("no group", code="not_ok"), AuthError("403"), UnavailableError("throttled")],
    ids=lambda e: e.message,
)
def test_a_refusal_leaves_no_trace(bring, book, refusal):
    provider = FakeProvider()
    provider.answers = [refusal]
    with pytest.raises(type(refusal)):
        bring(provider)
    assert book.all() == []
    assert bring(provider)["changed"] is True


def test_a_refused_repetition_keeps_the_memory_of_the_first(bring, book):
    provider = FakeProvider()
    bring(provider)
    before = book.all()
    provider.answers = [AuthError("403")]
    with pytest.raises(AuthError):
        bring(provider, World().later(hours=1), force=True)
    assert book.all() == before


def test_killed_before_the_answer(bring):
    provider = FakeProvider()

    def kill():
        raise KeyboardInterrupt

    provider.on_write = kill
    with pytest.raises(KeyboardInterrupt):
        bring(provider)
    provider.on_write = None
    with pytest.raises(BackupError):
        bring(provider)
    assert len(provider.writes) == 1


# -- options and waiting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, text",
    [
        ({"engine": "oracle"}, "engine: unknown engine 'oracle'"),
        ({"engine": "all"}, "engine: unknown engine 'all'"),
        ({"remote_url": "dumps.example/x"}, "remote_url: "),
        ({"remote_url": "ftp://dumps.example/x"}, "remote_url: "),
        ({"remote_url": "s3://bucket/x"}, "remote_url: "),
        ({"remote_url": "https://[x?Signature=very"}, "remote_url: "),
        ({"wait_interval": 0}, "wait_interval: "),
        ({"wait_timeout": -1}, "wait_timeout: "),
    ],
)
def test_bad_options_are_named_before_any_request(bring, tmp_path, given, text):
    provider = FakeProvider()
    with pytest.raises(OptionError) as caught:
        bring(provider, **given)
    assert caught.value.message.startswith(text)
    assert "Signature" not in caught.value.message
    assert provider.calls == []
    assert list(tmp_path.iterdir()) == []


def test_plain_http_is_for_the_user_to_decide(bring):
    assert bring(FakeProvider(), remote_url="http://dumps.example/x")["changed"] is True


def test_waiting_returns_the_new_backup_of_the_engine(bring):
    old = backup(60, id="old", engine="mysql")
    provider, world = FakeProvider(old), World()

    def arrive():
        provider.sources["shop"] = [old, backup(-10, id="other", engine="redis"), backup(-5, id="new", engine="mysql")]

    world.on_sleep = arrive
    assert bring(provider, world, wait=True)["backup"]["id"] == "new"


def test_a_wait_in_vain_says_that_something_was_asked_for(bring):
    with pytest.raises(BackupError) as caught:
        bring(FakeProvider(), wait=True, wait_timeout=5)
    assert (caught.value.code, caught.value.changed) == ("wait_timeout", True)


def test_nothing_is_waited_for_that_was_asked_for_before(bring):
    provider, world = FakeProvider(), World()
    bring(provider)
    assert "backup" not in bring(provider, world, wait=True)
    assert world.slept == []


def test_a_list_that_cannot_be_read_stops_a_waiting_import_before_it_is_sent(bring, book):
    provider = FakeProvider()
    provider.sources["shop"] = UnavailableError("down")
    with pytest.raises(UnavailableError):
        bring(provider, wait=True)
    assert provider.writes == []
    assert book.all() == []


def test_an_import_that_is_seen_to_fail_is_asked_for_again(bring):
    provider, world = FakeProvider(), World()
    world.on_sleep = lambda: provider.sources["shop"].append(backup(0, status="failed", engine="mysql", message="404"))
    with pytest.raises(BackupError) as caught:
        bring(provider, world, wait=True)
    assert (caught.value.code, caught.value.changed) == ("first_backup_failed", True)
    bring(provider, World())
    assert len(provider.writes) == 2
