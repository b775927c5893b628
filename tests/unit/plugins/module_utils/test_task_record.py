# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_task and backup_import where the service shows what it was asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import TaskRecord
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    BackupError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
)
from ansible_collections.restorable.backups.plugins.module_utils._operations import import_backup, task
from ansible_collections.restorable.backups.plugins.module_utils._providers import Listing
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import (
    FakeProvider,
    World,
    backup,
    options,
)


class Shown(FakeProvider):
    """A provider whose one task and whose imports can be read. ``calls`` holds what was asked of it."""

    name = "trove"
    capabilities = frozenset(("list", "schedule", "unschedule", "import"))
    understands = {
        "schedule": ("frequency", "default_frequency", "run_now"),
        "import": ("location", "datastore_version", "name", "size"),
    }
    task_kind = import_kind = "record"

    def __init__(self, settings=None, *backups):
        super().__init__(*backups)
        self.task = settings and TaskRecord("7", settings)
        self.imported = []
        self.refusal = None
        # What an import says of itself that is not wanted, and whether it comes to be where it is refused.
        self.unimportable, self.done = None, True

    @property
    def writes(self):
        return [call for call in self.calls if call[0] not in ("list", "read", "find")]

    def read_task(self, source):
        self.calls.append(("read", source))
        return self.task

    def wanted_task(self, params, current):
        return {"frequency": params["frequency"] or (current and current.settings["frequency"])}

    def write_task(self, source, current, settings):
        self.calls.append(("write", source, current and current.id, settings))
        self._refuse()
        self.task = TaskRecord("7", settings)
        return self.task

    def delete_task(self, source, current):
        self.calls.append(("delete", source, current.id))
        self.task = None

    def run_task_now(self, source, current):
        self.calls.append(("now", source, current.id))
        self._refuse()

    def find_imported(self, request):
        self.calls.append(("find", request.location))
        found = [one for one in self.imported if one.location == request.location]
        return Listing(found, list(self.warnings), self.whole)

    def check_import(self, request):
        if self.unimportable:
            raise self.unimportable

    def import_backup(self, source, request):
        self.calls.append(("import", request.location, request.size))
        self.check_import(request)
        made = backup(source="", location=request.location)
        if self.done or not self.refusal:
            self.imported.append(made)
        self._refuse()
        return made

    def source_key(self, source):
        return source.lower()

    def _refuse(self):
        if self.refusal:
            raise self.refusal


@pytest.fixture
def ensure(tmp_path):
    def run(provider, check_mode=False, world=None, **given):
        given = dict({"source": "shop", "state_dir": str(tmp_path)}, **given)
        return task.run(options(task.SPEC, **given), provider, world or World(check_mode))

    return run


NIGHTLY, WEEKLY = "0 3 * * *", "0 3 * * 1"


@pytest.mark.parametrize(
    "before, given, action, writes",
    [
        (None, {"frequency": NIGHTLY}, "created", [("write", "shop", None, {"frequency": NIGHTLY})]),
        (WEEKLY, {"frequency": NIGHTLY}, "updated", [("write", "shop", "7", {"frequency": NIGHTLY})]),
        (NIGHTLY, {"frequency": NIGHTLY}, "present", []),
        (NIGHTLY, {}, "present", []),
        (NIGHTLY, {"state": "absent"}, "deleted", [("delete", "shop", "7")]),
        (None, {"state": "absent"}, "absent", []),
    ],
)
def test_what_is_there_is_compared_with_what_is_wanted(ensure, before, given, action, writes):
    predicted = ensure(Shown(before and {"frequency": before}), check_mode=True, **given)
    provider = Shown(before and {"frequency": before})
    result = ensure(provider, **given)
    assert (result["action"], provider.writes) == (action, writes)
    assert result["changed"] is (action in ("created", "updated", "deleted"))
    wanted = None if given.get("state") == "absent" else {"frequency": given.get("frequency") or before}
    assert result["diff"] == {"before": {"task": before and {"frequency": before}}, "after": {"task": wanted}}
    assert {key: predicted[key] for key in ("changed", "action", "diff")} == {
        key: result[key] for key in ("changed", "action", "diff")
    }
    assert ensure(provider, **given)["changed"] is False


def test_check_mode_writes_nothing(ensure, tmp_path):
    provider = Shown()
    ensure(provider, check_mode=True, frequency=NIGHTLY, run_now=True)
    assert provider.writes == [] and list(tmp_path.iterdir()) == []


def test_a_run_now_is_a_change_each_time(ensure):
    provider = Shown({"frequency": NIGHTLY})
    for _run in range(2):
        result = ensure(provider, frequency=NIGHTLY, run_now=True)
        assert result["changed"] is True
        task_now = {"task": {"frequency": NIGHTLY}}
        assert result["diff"] == {"before": task_now, "after": dict(task_now, run_now=True)}
    assert provider.writes == [("now", "shop", "7")] * 2
    assert ensure(provider, check_mode=True, frequency=NIGHTLY, run_now=True)["diff"] == result["diff"]


def test_other_words_for_one_source_share_its_lock(ensure, tmp_path):
    for source in ("shop", "SHOP"):
        ensure(Shown(), source=source, frequency=NIGHTLY)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_provider_says_of_a_failed_write_is_handed_on(ensure):
    provider = Shown()
    provider.refusal = BackupError("accepted, and not kept")
    provider.refusal.changed = True
    with pytest.raises(BackupError) as caught:
        ensure(provider, frequency=NIGHTLY)
    assert caught.value.changed is True


def busy(source, current):
    raise BackupError("busy")


def test_a_failure_after_the_task_was_made_says_changed(ensure):
    provider = Shown()
    provider.refusal = BackupError("no")
    with pytest.raises(BackupError) as caught:
        ensure(provider, frequency=NIGHTLY, run_now=True)
    assert caught.value.changed is False
    assert provider.writes == [("write", "shop", None, {"frequency": NIGHTLY})]
    provider.task = TaskRecord("7", {"frequency": WEEKLY})
    provider._refuse = lambda: None
    provider.run_task_now = busy
    with pytest.raises(BackupError, match="busy") as caught:
        ensure(provider, frequency=NIGHTLY, run_now=True)
    assert caught.value.changed is True


def test_a_wait_is_for_a_backup_that_was_not_there(ensure):
    old, new = backup(), backup(0)
    provider, world = Shown(None, old), World()
    world.on_sleep = lambda: provider.sources["shop"].append(new)
    result = ensure(provider, world=world, frequency=NIGHTLY, wait=True)
    assert result["backup"]["id"] == new.id
    assert ensure(provider, world=world, frequency=NIGHTLY, wait=True).get("backup") is None


@pytest.mark.parametrize(
    "hours, given, action",
    [(-1, {}, "pending"), (5, {}, "pending"), (7, {}, "present"), (7, {"grace": "8h"}, "pending"), (None, {}, "present")],
)
def test_a_task_that_has_not_run_yet_is_pending_until_it_is_late(ensure, hours, given, action):
    provider, world = Shown({"frequency": NIGHTLY}), World()
    provider.task.first_due = None if hours is None else world.now() - timedelta(hours=hours)
    result = ensure(provider, world=world, frequency=NIGHTLY, **given)
    assert (result["action"], result["changed"], provider.writes) == (action, False, [])


def test_a_default_is_for_a_new_task_only(ensure):
    assert ensure(Shown({"frequency": WEEKLY}), default_frequency=NIGHTLY)["changed"] is False
    provider = Shown()
    ensure(provider, default_frequency=NIGHTLY)
    assert provider.task.settings == {"frequency": NIGHTLY}


@pytest.mark.parametrize(
    "given, option",
    [
        ({"frequency": NIGHTLY, "gzip": False}, "gzip"),
        ({"frequency": NIGHTLY, "keep_count": 3}, "keep_count"),
        ({"frequency": NIGHTLY, "engines": ["mysql"]}, "engines"),
        ({"frequency": NIGHTLY, "swift_container": "x"}, "swift_container"),
        ({"state": "absent", "run_now": True}, "run_now"),
    ],
)
def test_what_the_provider_does_not_have_is_refused_before_any_request(ensure, given, option):
    provider = Shown()
    with pytest.raises(OptionError) as caught:
        ensure(provider, **given)
    assert caught.value.details["option"] == option and provider.calls == []


def test_whatever_there_is_may_be_asked_for_anywhere(ensure):
    assert ensure(Shown(), frequency=NIGHTLY, engines=["all"])["changed"] is True


# -- imports -----------------------------------------------------------------------------------------------------------

OBJECT = "https://store.example.test/v1/AUTH_1/backups/old.xbstream.gz"


@pytest.fixture
def bring(tmp_path):
    def run(provider, check_mode=False, **given):
        given = dict({"location": OBJECT, "datastore_version": "5.7", "state_dir": str(tmp_path)}, **given)
        return import_backup.run(options(import_backup.SPEC, **given), provider, World(check_mode))

    return run


def test_an_import_that_is_listed_is_not_asked_for_again(bring):
    provider = Shown()
    predicted = bring(provider, check_mode=True, size="1k")
    assert provider.writes == []
    result = bring(provider, size="1k")
    assert result["changed"] is predicted["changed"] is True and result["diff"] == predicted["diff"]
    assert provider.writes == [("import", OBJECT, 1024)]
    again = bring(provider, size="1k")
    assert again["changed"] is False and again["backup"]["id"] == result["backup"]["id"]
    assert len(provider.writes) == 1


def test_force_imports_once_more(bring):
    provider = Shown()
    bring(provider)
    assert bring(provider, force=True)["changed"] is True
    assert len(provider.writes) == 2


def test_an_import_without_an_answer_is_looked_for(bring):
    provider = Shown()
    provider.refusal = OutcomeUnknownError("no answer")
    assert bring(provider)["changed"] is True
    assert len(provider.writes) == 1


def test_an_import_in_doubt_is_said_and_not_sent_again(bring):
    provider = Shown()
    provider.refusal, provider.done = OutcomeUnknownError("no answer"), False
    with pytest.raises(OutcomeUnknownError, match="no answer. The import is not listed"):
        bring(provider)
    assert len(provider.writes) == 1


@pytest.mark.parametrize("done", [True, False])
def test_an_earlier_import_is_not_taken_for_the_one_in_doubt(bring, done):
    provider = Shown()
    first = bring(provider)
    provider.refusal, provider.done = OutcomeUnknownError("no answer"), done
    if done:
        second = bring(provider, force=True)
        assert second["changed"] is True and second["backup"]["id"] != first["backup"]["id"]
    else:
        with pytest.raises(OutcomeUnknownError, match="The import is not listed"):
            bring(provider, force=True)
    assert len(provider.writes) == 2


def test_an_import_in_doubt_stays_so_where_the_list_cannot_be_read_then(bring):
    provider = Shown()
    provider.refusal = OutcomeUnknownError("no answer")
    known = provider.find_imported

    def away(request):
        provider.find_imported = lose
        return known(request)

    def lose(request):
        raise UnavailableError("down")

    provider.find_imported = away
    with pytest.raises(OutcomeUnknownError, match="no answer. The import is not listed"):
        bring(provider)


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_list_that_may_not_be_whole_tells_of_no_import_that_is_missing(bring, check_mode):
    provider = Shown()
    provider.whole, provider.warnings = False, ["null in place of a list"]
    with pytest.raises(BackupError, match="may not be whole .null in place of a list") as caught:
        bring(provider, check_mode=check_mode)
    assert (caught.value.code, provider.writes) == ("in_doubt", [])
    assert bring(provider, check_mode=check_mode, force=True)["changed"] is True


def test_of_what_such_a_list_did_not_show_nothing_is_adopted(bring):
    provider = Shown()
    provider.whole, provider.refusal = False, OutcomeUnknownError("no answer")
    with pytest.raises(OutcomeUnknownError):
        bring(provider, force=True)


@pytest.mark.parametrize("check_mode", [True, False])
def test_check_mode_refuses_what_the_import_would(bring, check_mode):
    provider = Shown()
    provider.unimportable = OptionError("location", "there is no such object")
    with pytest.raises(OptionError, match="no such object"):
        bring(provider, check_mode=check_mode)
