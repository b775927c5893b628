# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_run: a fresh backup by one request at the most, and none deleted that was not meant."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import RunRequest, Source
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    BackupError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
)
from ansible_collections.restorable.backups.plugins.module_utils._markers import INTENT, MarkerBook
from ansible_collections.restorable.backups.plugins.module_utils._operations import run_backup
from ansible_collections.restorable.backups.plugins.module_utils._providers import Listing, Provider
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import (
    DAY,
    HOUR,
    World,
    backup,
    options,
)

MINUTE = 60
OUR_NAME = "restorable-shop-20260318T120000Z"
BUSY = ApiError("Backup for shop is already running", code="already_running")


class Trove(Provider):
    """A service that names what it begins, in memory. ``calls`` is what it was asked.

    ``fates`` are the states that a new backup (its id begins with new) goes through, one for each look at it. Each of
    ``refusals`` is raised by a write, and ``done`` says whether that was carried out all the same; each of ``hiccups``
    is raised by a read. ``on_write`` and ``after_list`` are what happens at that time, the latter once. ``unfit`` is
    what is wrong with a request before it is sent.
    """

    name = "trove"
    capabilities = frozenset(("list", "get", "run", "delete"))
    understands = {"run": ("name", "description", "incremental", "parent_id", "swift_container")}
    address = "https://trove.example/v1.0/tenant"

    def __init__(self, world, *backups):
        self.world, self.backups, self.calls, self.warnings = world, list(backups), [], []
        self.fates, self.refusals, self.done, self.hiccups = ["ok"], [], False, []
        self.ids = ("new%d" % number for number in itertools.count(1))
        self.on_write = self.after_list = None
        self.unfit = []
        self.whole = True

    @property
    def writes(self):
        return [call for call in self.calls if call[0] in ("run", "delete")]

    def list_backups(self, source, group=None, engine=None, datastore=None):
        self.calls.append(("list", source))
        self._stumble()
        listing = Listing([one for one in self.backups if source in ("*", one.source)], list(self.warnings))
        listing.whole = self.whole
        if self.after_list:
            meanwhile, self.after_list = self.after_list, None
            meanwhile()
        return listing

    def get_backup(self, source, backup_id):
        self.calls.append(("get", backup_id))
        self._stumble()
        self._move_on()
        for one in self.backups:
            if one.id == backup_id and source in ("*", one.source):
                return one
        raise NotFoundError("no backup %s" % backup_id)

    def source_key(self, source):
        return source.lower()

    def check_run(self, source, request):
        for problem in self.unfit:
            raise problem

    def run_backup(self, source, request):
        self.calls.append(("run", source, request))
        begun = self._begin(source, request.name)
        return self._answer(begun, lambda: self.backups.append(begun))

    def delete_backup(self, source, backup_id):
        self.calls.append(("delete", backup_id))

        def go():
            self.backups = [one for one in self.backups if backup_id not in (one.id, one.parent_id)]

        return self._answer(None, go)

    def _begin(self, source, name):
        return backup(id=next(self.ids), source=source, name=name, status="running", created_at=self.world.time)

    def _answer(self, answer, do):
        if self.on_write:
            self.on_write()
        if self.refusals:
            if self.done:
                do()
            raise self.refusals.pop(0)
        do()
        return answer

    def _stumble(self):
        if self.hiccups:
            raise self.hiccups.pop(0)

    def _move_on(self):
        """What was begun here goes on by one state."""
        for number, one in enumerate(self.backups):
            if one.id.startswith("new") and one.status == "running" and self.fates:
                self.backups[number] = replace(one, status=self.fates[0], raw={"status": "BUILDING"})
        self.fates = self.fates[1:] or self.fates


class Backupman(Trove):
    """A service that starts everything at once and names nothing."""

    name = "backupman"
    capabilities = frozenset(("list", "get", "run", "sources"))
    understands = {"run": ("all_sources",)}
    instead = {"delete": "remove the file from its drive by hand"}
    labels = ("crm", "shop")
    # The sources whose backup is listed at once: the others have their turn later.
    prompt = ("crm", "shop")

    def list_sources(self):
        self.calls.append(("sources",))
        return [Source(label, label) for label in self.labels]

    def run_backup(self, source, request):
        self.calls.append(("run", source, request))
        begun = [self._begin(label, None) for label in self.labels if label in self.prompt]
        return self._answer(None, lambda: self.backups.extend(begun))


@pytest.fixture
def world():
    return World()


@pytest.fixture
def trove(world):
    return Trove(world)


@pytest.fixture
def backupman(world):
    return Backupman(world)


@pytest.fixture
def ensure(tmp_path, world):
    """Run the module: ``ensure(provider, **options)``."""

    def run(provider, check_mode=False, **given):
        given.setdefault("source", "shop")
        given.setdefault("state_dir", str(tmp_path / "state"))
        world.check_mode = check_mode
        return run_backup.run(options(run_backup.SPEC, **given), provider, world)

    return run


def refused(kind, code, run):
    with pytest.raises(kind) as caught:
        run()
    assert caught.value.code == code
    return caught.value


def hung(age=2 * DAY, **fields):
    return backup(age, **dict(dict(id="hung", status="running", raw={"status": "NEW"}), **fields))


# -- a fresh one, or a request -----------------------------------------------------------------------------------------


def test_without_a_backup_one_is_taken_and_waited_for(ensure, trove, world):
    trove.fates = ["running", "ok"]
    result = ensure(trove)
    assert (result["changed"], result["action"], result["msg"]) == (True, "created", "A backup was taken")
    assert (result["backup"]["id"], result["backup"]["status"]) == ("new1", "ok")
    assert trove.calls == [("list", "shop"), ("run", "shop", RunRequest(name=OUR_NAME))] + 2 * [("get", "new1")]
    assert world.slept == [10]


def test_the_second_run_asks_for_nothing(ensure, trove):
    ensure(trove)
    result = ensure(trove)
    assert (result["changed"], result["action"], result["backup"]["id"]) == (False, "present", "new1")
    assert result["msg"] == "There is a good backup, 0s old"
    assert result["evidence"] == {"backups": ["new1"], "markers": []}
    assert result["diff"] == {"before": {}, "after": {}}
    assert len(trove.writes) == 1


@pytest.mark.parametrize(
    "age, action", [(HOUR, "present"), (HOUR + 1, "created"), (-MINUTE, "present"), (None, "created")]
)
def test_only_a_good_backup_within_max_age_will_do(ensure, trove, age, action):
    trove.backups = [backup(age, id="old")]
    assert ensure(trove, max_age="1h")["action"] == action


@pytest.mark.parametrize("status", ["failed", "unknown"])
def test_no_other_than_a_good_one_will_do(ensure, trove, status):
    trove.backups = [backup(MINUTE, status=status)]
    assert ensure(trove)["action"] == "created"


def test_the_newest_good_one_is_told_of(ensure, trove):
    trove.backups = [backup(3 * HOUR, id="older"), backup(MINUTE, id="bad", status="failed"), backup(HOUR, id="newest")]
    assert ensure(trove)["backup"]["id"] == "newest"


def test_a_good_backup_without_a_date_is_told_of(ensure, trove, world):
    trove.backups = [backup(None, id="undated")]
    ensure(trove)
    assert world.warned == ["1 good backups of shop have no date, and so do not count as young (undated)"]


def test_max_age_0_always_takes_a_new_one(ensure, trove):
    trove.backups = [backup(0), backup(-DAY)]
    assert [ensure(trove, max_age="0")["action"] for _run in range(2)] == ["created", "created"]


def test_without_a_wait_it_is_told_how_it_stands(ensure, trove, world):
    trove.fates = ["running"]
    result = ensure(trove, wait=False)
    assert (result["changed"], result["msg"], result["backup"]["status"]) == (True, "A backup was asked for", "running")
    again = ensure(trove, wait=False)
    assert (again["changed"], again["action"], again["backup"]["id"]) == (False, "running", "new1")
    assert again["msg"] == "A backup was being taken already"
    assert len(trove.writes) == 1
    assert world.slept == []


def test_what_is_asked_for_is_what_was_said(ensure, trove):
    trove.backups = [backup(DAY + 1, id="full")]
    given = dict(name="nightly", description="text", incremental=True, parent_id="full", swift_container="box")
    result = ensure(trove, **given)
    assert trove.writes == [("run", "shop", RunRequest(**given))]
    assert result["diff"] == {"before": {"fresh_backup": None}, "after": {"fresh_backup": dict(given, source="shop")}}


def test_the_name_that_is_made_up_says_whose_and_when(ensure, trove):
    result = ensure(trove)
    assert result["backup"]["name"] == OUR_NAME
    assert "name" not in result["diff"]["after"]["fresh_backup"]


def test_a_name_that_is_made_up_is_no_longer_than_the_strictest_service_takes(ensure, trove):
    name = ensure(trove, source="ha:" + "0123456789" * 10)["backup"]["name"]
    assert len(name) == 64 and name.endswith("-20260318T120000Z")


# -- check mode --------------------------------------------------------------------------------------------------------


def test_check_mode_predicts_and_writes_nothing(ensure, trove, tmp_path):
    predicted = ensure(trove, check_mode=True, name="nightly")
    assert (predicted["changed"], predicted["action"], predicted["backup"]) == (True, "created", None)
    assert predicted["msg"] == "A backup would be taken"
    assert trove.calls == [("list", "shop")]
    assert list(tmp_path.iterdir()) == []
    done = ensure(trove, name="nightly")
    assert [done[part] for part in ("changed", "action", "diff")] == [
        predicted[part] for part in ("changed", "action", "diff")
    ]
    assert ensure(trove, check_mode=True)["action"] == "present"


def test_check_mode_does_not_wait(ensure, trove, world):
    trove.backups = [backup(MINUTE, status="running")]
    assert ensure(trove, check_mode=True)["action"] == "running"
    assert world.slept == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_refusals_come_in_check_mode_too_and_before_any_write(ensure, trove, tmp_path, check_mode):
    refused(OptionError, "bad_option", lambda: ensure(trove, check_mode=check_mode, parent_id="unknown"))
    assert trove.calls == [("list", "shop")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_the_provider_would_refuse_is_refused_before_any_request(ensure, trove, tmp_path, check_mode):
    trove.unfit = [OptionError("name", "is too long")]
    refused(OptionError, "bad_option", lambda: ensure(trove, check_mode=check_mode))
    assert trove.calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_list_that_may_not_be_whole_is_no_proof_that_a_backup_is_missing(ensure, trove, check_mode):
    trove.backups, trove.warnings, trove.whole = [backup(2 * DAY)], ["the list has gaps"], False
    error = refused(BackupError, "in_doubt", lambda: ensure(trove, check_mode=check_mode))
    assert "may not be whole (the list has gaps)" in error.message
    assert trove.writes == []
    assert ensure(trove, check_mode=check_mode, max_age="0")["action"] == "created"


@pytest.mark.parametrize("status, action", [("ok", "present"), ("running", "running")])
def test_what_such_a_list_shows_is_there(ensure, trove, status, action):
    trove.backups, trove.whole = [backup(MINUTE, id="new0", status=status)], False
    assert ensure(trove)["action"] == action
    assert trove.writes == []


def test_a_list_that_is_not_whole_at_the_second_look_begins_nothing(ensure, trove):
    def meanwhile():
        ensure(trove)
        trove.backups, trove.whole = [], False

    trove.after_list = meanwhile
    refused(BackupError, "in_doubt", lambda: ensure(trove))
    assert len(trove.writes) == 1


# -- one is being taken ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [0, HOUR, None])
def test_a_running_one_is_waited_for(ensure, trove, age):
    trove.backups = [backup(age, id="new0", status="running"), backup(2 * DAY)]
    result = ensure(trove)
    assert (result["changed"], result["action"], result["backup"]["status"]) == (False, "running", "ok")
    assert result["msg"] == "A backup was being taken already, and is good"
    assert result["evidence"]["backups"] == ["new0"]
    assert trove.writes == []


def test_one_that_runs_for_longer_than_max_age_is_not_trusted(ensure, trove, world):
    trove.backups = [hung()]
    assert ensure(trove)["action"] == "created"
    assert world.warned == [
        "Backup hung of shop has been running (NEW) for 2d, longer than max_age: it may hang, and is not waited for"
    ]


def test_a_service_that_takes_one_at_a_time_leads_to_that_one(ensure, trove):
    """It was begun between our look and our request."""
    trove.refusals = [BUSY]
    trove.on_write = lambda: trove.backups.append(backup(0, id="new0", status="running"))
    result = ensure(trove)
    assert (result["changed"], result["action"], result["backup"]["id"]) == (False, "running", "new0")
    assert [call[0] for call in trove.calls] == ["list", "run", "list", "get"]


def test_one_that_has_ended_meanwhile_is_what_was_wanted(ensure, trove):
    trove.refusals = [BUSY]
    trove.on_write = lambda: trove.backups.append(backup(0, id="other"))
    assert ensure(trove)["action"] == "present"


def test_a_slow_one_is_waited_for_where_the_service_takes_no_other(ensure, trove):
    trove.backups, trove.refusals = [backup(HOUR, id="new0", status="running")], [BUSY]
    trove.fates = ["running", "running", "ok"]
    assert ensure(trove, max_age="30m")["backup"]["id"] == "new0"


@pytest.mark.parametrize("max_age", ["0", "24h"])
def test_a_service_that_is_held_up_by_one_that_hangs(ensure, trove, max_age):
    trove.backups, trove.refusals = [hung()], [BUSY]
    error = refused(BackupError, "already_running", lambda: ensure(trove, max_age=max_age))
    assert "only one that seems to hang: hung, which has been running (NEW) for 2d" in error.message
    assert BUSY.message in error.message
    assert error.changed is False


def test_a_service_that_says_one_runs_and_shows_none(ensure, trove):
    trove.refusals = [BUSY]
    error = refused(BackupError, "already_running", lambda: ensure(trove))
    assert "lists none that is: try again" in error.message
    assert len(trove.writes) == 1


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_a_failed_backup_ends_the_wait_at_once(ensure, trove, world):
    trove.fates = ["running", "failed"]
    error = refused(BackupError, "backup_failed", lambda: ensure(trove))
    assert error.message == "Backup new1 of shop has failed"
    assert (error.changed, error.details["id"], world.slept) == (True, "new1", [10])


def test_the_failure_of_one_that_was_found_running_changed_nothing(ensure, trove):
    trove.backups, trove.fates = [backup(MINUTE, id="new0", status="running", message="disk full")], [
        "running",
        "failed",
    ]
    error = refused(BackupError, "backup_failed", lambda: ensure(trove))
    assert (error.changed, error.message) == (False, "Backup new0 of shop has failed: disk full")


@pytest.mark.parametrize("status", ["running", "unknown"])
def test_a_wait_in_vain_names_the_backup_and_its_state(ensure, trove, world, status):
    trove.fates = ["running", status]
    error = refused(BackupError, "wait_timeout", lambda: ensure(trove, wait_timeout=25))
    assert error.message == "Backup new1 of shop is still %s (BUILDING) after 25s" % status
    assert error.details == {"id": "new1", "status": status, "waited_seconds": 25}
    assert error.changed is True
    assert world.slept == [10, 10, 5]


def test_time_that_the_looks_take_is_counted(ensure, trove, world):
    trove.fates = ["running"]
    world.on_sleep = lambda: world.later(minutes=5)
    refused(BackupError, "wait_timeout", lambda: ensure(trove, wait_timeout=600))
    assert world.slept == [10, 10]


def test_a_service_that_is_away_for_a_while_is_waited_for(ensure, trove, world):
    trove.fates = ["running", "running", "ok"]
    trove.on_write = lambda: trove.hiccups.append(UnavailableError("GET /x: 503"))
    result = ensure(trove)
    assert result["backup"]["status"] == "ok"
    assert world.warned == ["While waiting: GET /x: 503"]


def test_a_credential_that_is_refused_in_the_wait_ends_it(ensure, trove):
    trove.on_write = lambda: trove.hiccups.append(AuthError("401"))
    assert refused(AuthError, "refused", lambda: ensure(trove)).changed is True


def test_a_backup_that_goes_while_it_is_waited_for(ensure, trove, world):
    trove.fates = ["running"]
    world.on_sleep = trove.backups.clear
    error = refused(BackupError, "backup_gone", lambda: ensure(trove))
    assert "Backup new1 of shop is gone" in error.message
    assert error.changed is True


# -- the request fails, or nobody knows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refusal", [AuthError("403"), ApiError("413", code="over_limit"), UnavailableError("no connection")]
)
def test_a_refusal_is_handed_on_and_the_next_run_asks_again(ensure, trove, refusal):
    trove.refusals = [refusal]
    assert refused(type(refusal), refusal.code, lambda: ensure(trove)).changed is False
    assert ensure(trove)["action"] == "created"


def test_a_lost_answer_is_made_up_for_by_reading(ensure, trove, world):
    trove.backups = [backup(2 * DAY, id="old", name=OUR_NAME)]
    trove.refusals, trove.done = [OutcomeUnknownError("POST /backups: no answer")], True
    result = ensure(trove)
    assert (result["changed"], result["action"], result["backup"]["id"]) == (True, "created", "new1")
    assert world.warned == ["POST /backups: no answer; it has led to backup new1 all the same"]
    assert len(trove.writes) == 1


@pytest.mark.parametrize(
    "other",
    [dict(age=0, name="another"), dict(age=HOUR, name=OUR_NAME)],
    ids=["of another name", "older than the request"],
)
def test_what_cannot_be_of_the_request_is_not_adopted(ensure, trove, other):
    trove.refusals = [OutcomeUnknownError("POST /backups: no answer")]
    trove.on_write = lambda: trove.backups.append(backup(**other))
    error = refused(OutcomeUnknownError, "outcome_unknown", lambda: ensure(trove))
    assert "Whether a backup of shop was begun is unknown" in error.message
    assert "look for one named %s among its backups" % OUR_NAME in error.message
    assert len(trove.writes) == 1


def test_a_lost_answer_of_a_service_that_is_away(ensure, trove):
    trove.refusals, trove.done = [OutcomeUnknownError("POST /backups: no answer")], True
    trove.on_write = lambda: trove.hiccups.append(UnavailableError("down"))
    refused(OutcomeUnknownError, "outcome_unknown", lambda: ensure(trove))
    # The next run sees what it has led to.
    assert ensure(trove)["changed"] is False
    assert len(trove.writes) == 1


def test_another_run_that_has_asked_since_we_looked_is_noticed(ensure, trove):
    trove.fates = ["running", "ok"]
    trove.after_list = lambda: ensure(trove, wait=False)
    result = ensure(trove)
    assert (result["action"], result["changed"], result["backup"]["status"]) == ("running", False, "ok")
    assert [call[0] for call in trove.calls] == ["list", "list", "run", "list", "get", "get"]


def test_another_run_that_got_no_answer_since_we_looked_is_noticed(ensure, trove):
    """Its backup was begun after both had looked."""
    trove.fates, trove.done = ["ok"], True

    def meanwhile():
        trove.refusals = [OutcomeUnknownError("POST /backups: no answer")]
        trove.on_write = lambda: trove.hiccups.append(UnavailableError("down"))
        refused(OutcomeUnknownError, "outcome_unknown", lambda: ensure(trove))
        trove.on_write = None

    trove.after_list = meanwhile
    assert (ensure(trove)["action"], len(trove.writes)) == ("running", 1)


def test_another_run_that_was_killed_since_we_looked_is_noticed(ensure, trove):
    def meanwhile():
        trove.refusals, trove.done = [KeyboardInterrupt()], True
        with pytest.raises(KeyboardInterrupt):
            ensure(trove)

    trove.after_list = meanwhile
    assert (ensure(trove)["action"], len(trove.writes)) == ("running", 1)


def test_a_refused_request_leaves_no_marker(ensure, trove, tmp_path):
    trove.refusals = [AuthError("403")]
    refused(AuthError, "refused", lambda: ensure(trove))
    assert list(tmp_path.glob("**/*.json")) == []
    ensure(trove)
    before = [path.read_text() for path in tmp_path.glob("**/*.json")]
    trove.refusals = [ApiError("413", code="over_limit")]
    refused(ApiError, "over_limit", lambda: ensure(trove, max_age="0"))
    assert [path.read_text() for path in tmp_path.glob("**/*.json")] == before != []


def test_other_words_for_one_source_share_its_lock(ensure, trove, tmp_path):
    for source in ("shop", "SHOP"):
        ensure(trove, source=source)
    assert len(list(tmp_path.glob("state/*"))) == 1


# -- services that start all sources -----------------------------------------------------------------------------------


@pytest.mark.parametrize("check_mode", [True, False])
def test_all_sources_are_started_only_where_that_is_said(ensure, backupman, tmp_path, check_mode):
    error = refused(OptionError, "bad_option", lambda: ensure(backupman, check_mode=check_mode))
    assert error.message.startswith("all_sources: backupman can only back up all its sources at once (crm, shop)")
    assert backupman.writes == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_whose_sources_nobody_knows_is_taken_for_one_with_many(ensure, backupman):
    backupman.labels = ()
    error = refused(OptionError, "bad_option", lambda: ensure(backupman))
    assert "of which none has a backup yet" in error.message


@pytest.mark.parametrize("labels", [("crm",), ("crm", "blog")])
def test_other_sources_than_this_one_are_not_started_unseen(ensure, backupman, labels):
    backupman.labels = labels
    refused(OptionError, "bad_option", lambda: ensure(backupman))


def test_the_one_source_of_a_server_needs_no_permission(ensure, backupman):
    backupman.labels = ("shop",)
    result = ensure(backupman)
    assert (result["action"], result["backup"]["id"]) == ("created", "new1")
    assert "sources_started" not in result


def test_what_was_started_is_told_and_the_own_backup_is_found(ensure, backupman):
    backupman.backups = [backup(2 * DAY, id="old", source="shop")]
    backupman.fates = ["running", "running", "running", "ok"]
    predicted = ensure(backupman, check_mode=True, all_sources=True)
    result = ensure(backupman, all_sources=True)
    assert (result["action"], result["sources_started"]) == ("created", ["crm", "shop"])
    assert (result["backup"]["source"], result["backup"]["status"]) == ("shop", "ok")
    assert backupman.writes == [("run", "shop", RunRequest(all_sources=True))]
    assert [predicted[part] for part in ("changed", "diff", "sources_started")] == [
        result[part] for part in ("changed", "diff", "sources_started")
    ]
    again = ensure(backupman, all_sources=True)
    assert (again["action"], again["changed"], "sources_started" in again) == ("present", False, False)


def test_without_a_wait_nobody_knows_which_it_is(ensure, backupman):
    result = ensure(backupman, all_sources=True, wait=False)
    assert (result["changed"], result["backup"]) == (True, None)


@pytest.mark.parametrize("age, found", [(-1, True), (4 * MINUTE, True), (None, True), (6 * MINUTE, False)])
def test_a_new_backup_is_one_of_the_request_unless_it_is_older(ensure, backupman, world, age, found):
    backupman.prompt = ()
    world.on_sleep = lambda: backupman.backups.append(backup(age, id="came%d" % len(world.slept), source="shop"))
    if found:
        assert ensure(backupman, all_sources=True)["backup"]["id"] == "came1"
    else:
        error = refused(BackupError, "wait_timeout", lambda: ensure(backupman, all_sources=True, wait_timeout=20))
        assert error.message == "No backup of shop has appeared after 20s"
        assert error.changed is True


def test_the_hosts_of_one_server_ask_it_once(ensure, backupman):
    first = ensure(backupman, source="crm", all_sources=True)
    second = ensure(backupman, source="shop", all_sources=True)
    assert [(one["action"], one["changed"]) for one in (first, second)] == [("created", True), ("present", False)]
    assert len(backupman.writes) == 1


def test_a_source_whose_turn_has_not_come_yet_is_waited_for(ensure, backupman, world):
    backupman.prompt = ("crm",)
    ensure(backupman, source="crm", all_sources=True)
    world.on_sleep = lambda: backupman.backups.append(backup(-MINUTE, id="late", source="shop"))
    result = ensure(backupman, source="shop", all_sources=True)
    assert (result["action"], result["changed"], result["backup"]["id"]) == ("running", False, "late")
    assert [marker["state"] for marker in result["evidence"]["markers"]] == ["done"]
    assert len(backupman.writes) == 1


@pytest.mark.parametrize(
    "came", [backup(0, status="failed"), backup(None, status="failed")], ids=["failed", "without a date"]
)
def test_a_source_whose_turn_is_over_is_asked_for_again(ensure, backupman, came):
    backupman.prompt = ("crm",)
    ensure(backupman, source="crm", all_sources=True)
    backupman.backups.append(came)
    backupman.prompt = ("shop",)
    assert ensure(backupman, source="shop", all_sources=True)["action"] == "created"


def test_a_turn_that_never_comes_is_not_waited_for_for_ever(ensure, backupman, world):
    backupman.prompt = ("crm",)
    ensure(backupman, source="crm", all_sources=True)
    world.later(hours=2, seconds=1)
    backupman.prompt = ("shop",)
    assert ensure(backupman, source="shop", all_sources=True)["action"] == "created"


def unanswered(backupman):
    """A request that goes out, and whose outcome stays unknown."""
    backupman.prompt, backupman.done = (), True
    backupman.refusals = [OutcomeUnknownError("POST /api/backups: no answer")]


def killed(backupman):
    backupman.prompt, backupman.done = (), True
    backupman.refusals = [KeyboardInterrupt()]


@pytest.mark.parametrize("how, error", [(unanswered, OutcomeUnknownError), (killed, KeyboardInterrupt)])
@pytest.mark.parametrize("at_once", [True, False])
def test_the_second_host_waits_for_what_the_first_one_may_have_begun(
    ensure, backupman, world, how, error, at_once
):
    def first():
        how(backupman)
        with pytest.raises(error):
            ensure(backupman, source="crm", all_sources=True)

    if at_once:
        backupman.after_list = first
    else:
        first()
    world.on_sleep = lambda: backupman.backups.append(backup(-MINUTE, id="late", source="shop"))
    result = ensure(backupman, all_sources=True)
    assert (result["action"], result["changed"], result["backup"]["id"]) == ("running", False, "late")
    assert [marker["state"] for marker in result["evidence"]["markers"]] == ["intent"]
    assert len(backupman.writes) == 1
    assert [text for text in world.warned if "got no answer, or died" in text] == [
        "A run that asked backupman at 2026-03-18T12:00:00Z to back up all its sources got no answer, or died: what "
        "that may have led to is waited for"
    ]


def test_what_may_have_been_begun_is_not_waited_for_for_ever(ensure, backupman, world):
    unanswered(backupman)
    refused(OutcomeUnknownError, "outcome_unknown", lambda: ensure(backupman, source="crm", all_sources=True))
    error = refused(BackupError, "wait_timeout", lambda: ensure(backupman, all_sources=True, wait_timeout=60))
    assert (error.changed, len(backupman.writes)) == (False, 1)
    world.later(hours=2)
    backupman.prompt = ("shop",)
    assert ensure(backupman, all_sources=True)["action"] == "created"


def test_check_mode_predicts_the_wait_for_what_may_have_been_begun(ensure, backupman):
    unanswered(backupman)
    refused(OutcomeUnknownError, "outcome_unknown", lambda: ensure(backupman, source="crm", all_sources=True))
    assert ensure(backupman, check_mode=True, all_sources=True)["action"] == "running"


def test_a_request_that_was_open_when_we_looked_and_is_refused_in_the_end_is_not_waited_for(
    ensure, backupman, world, tmp_path
):
    book = MarkerBook(str(tmp_path / "state"), "run", "backupman", backupman.address, "all sources")
    book.write("run", INTENT, world.time, {"source": "crm"})
    backupman.after_list = lambda: book.restore("run", None)
    assert ensure(backupman, all_sources=True)["action"] == "created"
    assert len(backupman.writes) == 1


def test_a_lost_answer_of_a_service_without_names(ensure, backupman):
    backupman.refusals, backupman.done = [OutcomeUnknownError("POST /api/backups answered 500")], True
    result = ensure(backupman, all_sources=True)
    assert (result["action"], result["backup"]["source"]) == ("created", "shop")


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, text",
    [
        ({"max_age": "soon"}, "max_age: "),
        ({"max_age": "-1h"}, "max_age: "),
        ({"wait_interval": 0}, "wait_interval: "),
        ({"wait_timeout": 0}, "wait_timeout: "),
        ({"source": "*"}, "source: means all sources"),
        ({"id": "7"}, "id: is about a backup to delete"),
        ({"cascade": True}, "cascade: is about a backup to delete"),
        ({"name": " "}, "name: is empty"),
        ({"parent_id": ""}, "parent_id: is empty"),
        ({"parent_id": "7", "incremental": False}, "parent_id: makes an incremental backup"),
        ({"all_sources": True}, "all_sources: provider trove has no such option"),
        ({"state_dir": "state"}, "state_dir: state is a relative path"),
    ],
)
def test_bad_options_are_named_before_any_request(ensure, trove, tmp_path, given, text):
    error = refused(OptionError, "bad_option", lambda: ensure(trove, **given))
    assert error.message.startswith(text)
    assert trove.calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["name", "description", "parent_id", "swift_container", "incremental"])
def test_options_of_another_provider_are_refused(ensure, backupman, option):
    error = refused(OptionError, "bad_option", lambda: ensure(backupman, **{option: "x"}))
    assert error.message.startswith("%s: provider backupman has no such option" % option)
    assert backupman.calls == []


@pytest.mark.parametrize(
    "parent, text",
    [
        (backup(id="7", source="crm"), "7 is no backup of shop"),
        (hung(id="7"), "7 is running (NEW): a parent has to be a good backup"),
        (backup(id="7", status="failed"), "7 is failed: a parent has to be a good backup"),
    ],
)
def test_a_parent_is_a_good_backup_of_the_same_source(ensure, trove, parent, text):
    trove.backups = [parent]
    error = refused(OptionError, "bad_option", lambda: ensure(trove, parent_id="7", max_age="1m"))
    assert error.message == "parent_id: " + text
    assert trove.writes == []


def test_the_parent_of_a_backup_that_need_not_be_taken_may_be_gone(ensure, trove):
    trove.backups = [backup(MINUTE)]
    assert ensure(trove, parent_id="gone")["action"] == "present"


@pytest.mark.parametrize("state, words", [("present", "take a backup on request"), ("absent", "delete a backup")])
def test_what_a_provider_cannot_do_is_said_before_any_request(ensure, trove, state, words):
    trove.capabilities = frozenset(("list",))
    error = refused(UnsupportedError, "unsupported", lambda: ensure(trove, state=state, id="7"))
    assert words in error.message
    assert trove.calls == []


# -- absent ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def remove(ensure):
    def run(provider, **given):
        return ensure(provider, state="absent", **given)

    return run


@pytest.fixture
def chained(world):
    """A full backup, an incremental one on it and another on that, beside an unrelated one."""
    return Trove(
        world,
        backup(3 * DAY, id="full", name="nightly"),
        backup(2 * DAY, id="inc1", parent_id="full"),
        backup(1 * DAY, id="inc2", parent_id="inc1"),
        backup(1 * DAY, id="other", name="twice"),
        backup(2 * DAY, id="another", name="twice"),
    )


@pytest.mark.parametrize("given", [{"id": "only"}, {"name": "nightly"}])
def test_a_backup_is_deleted_by_id_or_name(remove, trove, given):
    trove.backups = [backup(id="only", name="nightly"), backup(id="stays")]
    predicted = remove(trove, check_mode=True, **given)
    assert trove.writes == []
    result = remove(trove, **given)
    assert (result["changed"], result["action"], result["deleted"]) == (True, "deleted", ["only"])
    assert (result["msg"], result["backup"]["name"]) == ("The backup was deleted", "nightly")
    assert result["diff"] == {"before": {"backups": ["only"]}, "after": {"backups": []}}
    assert trove.writes == [("delete", "only")]
    assert [one.id for one in trove.backups] == ["stays"]
    for part in ("changed", "action", "deleted", "diff"):
        assert predicted[part] == result[part]


@pytest.mark.parametrize("given", [{"id": "gone"}, {"name": "gone"}])
def test_what_is_not_there_need_not_be_deleted(remove, chained, given):
    result = remove(chained, **given)
    assert (result["changed"], result["action"], result["deleted"], result["backup"]) == (False, "absent", [], None)
    assert result["diff"] == {"before": {}, "after": {}}
    assert chained.writes == []


def test_what_others_build_upon_is_not_deleted_silently(remove, chained):
    error = refused(BackupError, "has_children", lambda: remove(chained, id="full"))
    assert "those that build upon it: inc1, inc2. cascade: true" in error.message
    assert error.details["children"] == ["inc1", "inc2"]
    assert chained.writes == []
    assert remove(chained, id="inc2")["deleted"] == ["inc2"]


def test_with_cascade_all_that_goes_is_named_and_waited_for(remove, chained, world):
    predicted = remove(chained, check_mode=True, id="full", cascade=True)

    def later():
        chained.backups = [one for one in chained.backups if one.id in ("other", "another")]

    world.on_sleep = later
    result = remove(chained, id="full", cascade=True)
    assert predicted["deleted"] == result["deleted"] == ["inc2", "inc1", "full"]
    assert chained.writes == [("delete", "full")]
    assert len(world.slept) == 1


def test_a_name_of_several_is_refused_with_their_ids(remove, chained):
    error = refused(OptionError, "bad_option", lambda: remove(chained, name="twice", cascade=True))
    assert error.message.endswith("give the id of one: other, another")
    assert chained.writes == []


def test_the_backup_of_another_source_is_not_deleted(remove, chained):
    chained.backups += [backup(id="theirs", source="crm"), backup(id="imported", source="")]
    error = refused(OptionError, "bad_option", lambda: remove(chained, id="theirs"))
    assert error.message == "id: theirs is no backup of shop, but of crm"
    error = refused(OptionError, "bad_option", lambda: remove(chained, id="imported"))
    assert "an imported one, which source: '*' reaches" in error.message
    assert chained.writes == []
    assert remove(chained, source="*", id="imported")["deleted"] == ["imported"]


@pytest.mark.parametrize("which", ["root", "child"])
def test_what_runs_is_not_deleted(remove, trove, which):
    trove.backups = [backup(id="7")] if which == "child" else []
    trove.backups.append(hung(id="8", parent_id="7"))
    wanted = {"root": "8", "child": "7"}[which]
    error = refused(BackupError, "backup_running", lambda: remove(trove, id=wanted, cascade=True))
    assert error.message == "Backup 8 is running (NEW), and is not deleted before it has ended"
    assert trove.writes == []


def test_a_list_that_may_not_be_whole_is_no_proof_of_no_children(remove, trove):
    trove.backups, trove.warnings, trove.whole = [backup(id="7")], ["the list has gaps"], False
    error = refused(BackupError, "in_doubt", lambda: remove(trove, id="7"))
    assert "the list has gaps" in error.message
    assert remove(trove, id="7", cascade=True)["changed"] is True


@pytest.mark.parametrize("given", [{"id": "8"}, {"name": "nightly"}])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_list_that_may_not_be_whole_is_no_proof_that_a_backup_is_gone(remove, trove, given, check_mode):
    trove.backups, trove.warnings, trove.whole = [backup(id="7")], ["the list has gaps"], False
    error = refused(BackupError, "in_doubt", lambda: remove(trove, check_mode=check_mode, **given))
    assert "may not be whole (the list has gaps)" in error.message
    assert trove.writes == []


def test_a_warning_of_a_list_that_is_whole_stands_in_no_way_of_a_deletion(remove, trove, world):
    trove.backups, trove.warnings = [backup(id="7")], ["8 has no date"]
    assert remove(trove, id="8")["action"] == "absent"
    assert remove(trove, id="7")["action"] == "deleted"


def test_backups_that_claim_to_build_upon_each_other_make_no_endless_chain(remove, trove):
    trove.backups = [backup(id="7", parent_id="8"), backup(id="8", parent_id="7")]
    assert remove(trove, id="7", cascade=True)["deleted"] == ["8", "7"]


def test_a_deletion_is_waited_for(remove, trove, world):
    trove.backups = [backup(id="7")]
    trove.delete_backup = lambda source, number: trove.calls.append(("delete", number))
    error = refused(BackupError, "wait_timeout", lambda: remove(trove, id="7", wait_timeout=15))
    assert error.message == "Backup 7 is still there after 15s"
    assert (error.changed, error.details["status"], world.slept) == (True, "ok", [10, 5])
    assert trove.writes == [("delete", "7")]


def test_without_a_wait_a_deletion_is_only_asked_for(remove, trove):
    trove.backups = [backup(id="7")]
    result = remove(trove, id="7", wait=False)
    assert (result["changed"], result["msg"]) == (True, "The backup is being deleted")
    assert [call[0] for call in trove.calls] == ["list", "delete"]


def test_a_deletion_that_fails(remove, trove):
    trove.backups = [backup(id="7")]

    def fail(source, number):
        trove.backups = [backup(id="7", status="failed", raw={"status": "DELETE_FAILED"})]

    trove.delete_backup = fail
    error = refused(BackupError, "delete_failed", lambda: remove(trove, id="7"))
    assert error.message == "Backup 7 could not be deleted: it is failed (DELETE_FAILED)"
    assert error.changed is True


def test_a_failed_backup_can_be_deleted(remove, trove, world):
    trove.backups = [backup(id="7", status="failed")]
    trove.delete_backup = lambda source, number: None
    world.on_sleep = trove.backups.clear
    assert remove(trove, id="7")["action"] == "deleted"


def test_what_goes_before_our_request_is_gone(remove, trove):
    trove.backups, trove.refusals = [backup(id="7")], [NotFoundError("404")]
    assert (remove(trove, id="7")["action"], trove.refusals) == ("absent", [])


@pytest.mark.parametrize("done", [True, False])
def test_a_deletion_whose_answer_is_lost(remove, trove, world, done):
    trove.backups, trove.refusals = [backup(id="7")], [OutcomeUnknownError("DELETE: no answer")]
    trove.done = done
    if done:
        assert remove(trove, id="7")["action"] == "deleted"
        assert world.warned == ["DELETE: no answer; the backup is gone all the same"]
    else:
        error = refused(OutcomeUnknownError, "outcome_unknown", lambda: remove(trove, id="7"))
        assert "Whether backup 7 of shop is being deleted is unknown" in error.message
    assert trove.writes == [("delete", "7")]


def test_a_lost_answer_and_then_none_at_all(remove, trove):
    trove.backups, trove.refusals = [backup(id="7")], [OutcomeUnknownError("DELETE: no answer")]
    trove.on_write = lambda: trove.hiccups.append(UnavailableError("down"))
    refused(OutcomeUnknownError, "outcome_unknown", lambda: remove(trove, id="7"))


@pytest.mark.parametrize(
    "given, text",
    [
        ({}, "id: state: absent needs either id or name"),
        ({"id": "7", "name": "nightly"}, "id: state: absent needs either id or name"),
        ({"name": " "}, "name: is empty"),
        ({"id": "7", "wait_timeout": 0}, "wait_timeout: "),
    ],
)
def test_what_to_delete_has_to_be_said(remove, trove, given, text):
    error = refused(OptionError, "bad_option", lambda: remove(trove, **given))
    assert error.message.startswith(text)
    assert trove.calls == []
