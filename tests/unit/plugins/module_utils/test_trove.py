# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The provider trove, without a network: strategies, imports, options. What it shares is in test_trove_api.py."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import ImportRequest
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
)
from ansible_collections.restorable.backups.plugins.module_utils._operations import import_backup, task
from ansible_collections.restorable.backups.plugins.module_utils._operations.info import SPEC
from ansible_collections.restorable.backups.plugins.module_utils._providers import Surroundings, connect
from ansible_collections.restorable.backups.plugins.module_utils._providers.trove import Trove
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.openstack_world import (
    ONE,
    TWO,
    VERSION,
    Cloud,
    Turns,
    instance,
    link,
    row,
)
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import World, options

PLACE = "http://10.0.0.1:8080/v1/AUTH_p1/database_backups/b1.xbstream.gz"
STORES = {
    "datastores": [
        {"id": "d1", "name": "mysql", "versions": [{"id": VERSION, "name": "8.0"}, {"id": "v2", "name": "5.7"}]},
        {"id": "d2", "name": "mariadb", "versions": [{"id": "v3", "name": "10.11"}, {"id": "v4", "name": "8.0"}]},
    ]
}


def provider(cloud):
    return Trove(cloud, "address")


# -- options -----------------------------------------------------------------------------------------------------------


def test_connecting_asks_for_nothing():
    params = options(SPEC, provider="trove", source="shop", cloud="nowhere")
    found = connect(params, Surroundings())
    assert isinstance(found, Trove) and found.address == "openstack#cloud:nowhere#"


def test_what_it_can_do():
    assert {"run", "import", "delete", "schedule", "unschedule", "sizes"} <= Trove.capabilities
    assert not {"verified", "restore_status"} & Trove.capabilities


# -- the task: a strategy ----------------------------------------------------------------------------------------------


def strategies(*containers):
    """A cloud in which the instance's strategy is first this, then that (None: there is none)."""
    return Cloud().on(
        "GET /backup_strategies",
        Turns(
            {
                "backup_strategies": [{"instance_id": "", "swift_container": "ours"}]
                + ([strategy(name)] if name else [])
            }
            for name in containers
        ),
    )


def strategy(container):
    return {"project_id": "p1", "instance_id": ONE, "backend": "swift", "swift_container": container}


def ensure(cloud, check_mode=False, **given):
    params = options(task.SPEC, provider="trove", source=ONE, evidence="api", **given)
    return task.run(params, provider(cloud), World(check_mode=check_mode))


def writes(cloud):
    return [call for call in cloud.calls if call[0] != "GET"]


WANTED = {"backup_strategy": {"instance_id": ONE, "swift_container": "mine"}}


@pytest.mark.parametrize("before, action", [(None, "created"), ("other", "updated")])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_strategy_is_written_and_read_back(before, action, check_mode):
    cloud = strategies(before, "mine").on("POST /backup_strategies", {"backup_strategy": strategy("mine")})
    result = ensure(cloud, check_mode, swift_container="mine")
    assert result["changed"] and result["action"] == action
    assert result["diff"]["before"] == {"task": before and {"swift_container": before}}
    assert result["diff"]["after"] == {"task": {"swift_container": "mine"}}
    assert writes(cloud) == ([] if check_mode else [("POST", "/backup_strategies", WANTED)])
    assert cloud.calls[0] == ("GET", "/backup_strategies", {"instance_id": ONE})


@pytest.mark.parametrize("container", ["mine", " mine ", None])
def test_a_strategy_that_is_right_stays(container):
    cloud = strategies("mine")
    assert not ensure(cloud, swift_container=container)["changed"]
    assert writes(cloud) == []


@pytest.mark.parametrize("container", [None, "", "  ", "a/b"])
def test_a_strategy_needs_a_container(container):
    cloud = strategies(None)
    with pytest.raises(OptionError, match="^swift_container: "):
        ensure(cloud, swift_container=container)
    assert writes(cloud) == []


def test_a_strategy_that_does_not_come_to_be_is_noticed():
    cloud = strategies(None, None).on("POST /backup_strategies", {"backup_strategy": strategy("mine")})
    with pytest.raises(OutcomeUnknownError, match="yet shows None") as caught:
        ensure(cloud, swift_container="mine")
    assert caught.value.changed is True


def test_a_strategy_that_cannot_be_read_back_was_written_all_the_same():
    cloud = strategies(None).on("POST /backup_strategies", {"backup_strategy": strategy("mine")})
    cloud.answers["GET /backup_strategies"].append(UnavailableError("away"))
    with pytest.raises(UnavailableError) as caught:
        ensure(cloud, swift_container="mine")
    assert caught.value.changed is True


def test_a_strategy_that_is_refused_changed_nothing():
    cloud = strategies(None).on("POST /backup_strategies", ApiError("no"))
    with pytest.raises(ApiError) as caught:
        ensure(cloud, swift_container="mine")
    assert caught.value.changed is False


def test_the_lock_of_an_instance_is_one_by_its_name_and_by_its_id(tmp_path):
    for source in ("shop", ONE, ONE.upper()):
        cloud = strategies("mine").on("GET /instances", {"instances": [instance()]})
        params = options(task.SPEC, provider="trove", source=source, swift_container="mine", state_dir=str(tmp_path))
        assert not task.run(params, provider(cloud), World())["changed"]
    assert len(list(tmp_path.iterdir())) == 1
    assert provider(Cloud()).source_key("*") == "*"


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_strategy_is_removed(check_mode):
    cloud = strategies("mine").on("DELETE /backup_strategies", None)
    result = ensure(cloud, check_mode, state="absent")
    assert result["changed"] and result["action"] == "deleted"
    assert writes(cloud) == ([] if check_mode else [("DELETE", "/backup_strategies", {"instance_id": ONE})])


def test_the_strategy_of_the_project_is_not_that_of_the_instance():
    cloud = strategies(None)
    assert not ensure(cloud, state="absent")["changed"]
    assert writes(cloud) == []


@pytest.mark.parametrize("answer", [{}, [1], {"backup_strategies": {}}, {"backup_strategies": None}, None, "x"])
def test_strategies_that_are_no_list(answer):
    with pytest.raises(ApiError) as caught:
        ensure(Cloud().on("GET /backup_strategies", answer), swift_container="mine")
    assert caught.value.code == "bad_shape"


def test_a_frequency_is_refused_with_what_works():
    cloud = Cloud()
    with pytest.raises(OptionError, match="^frequency: Trove keeps no timetable.*backup_run.*timer.*AWX"):
        ensure(cloud, frequency="0 3 * * *", swift_container="mine")
    assert cloud.calls == []


@pytest.mark.parametrize(
    "given", [{"keep_count": 3}, {"gzip": True}, {"full_backup_retention": 2}, {"run_now": True}]
)
def test_what_a_strategy_does_not_have_is_refused(given):
    cloud = Cloud()
    with pytest.raises(OptionError, match="provider trove has no such option"):
        ensure(cloud, swift_container="mine", **given)
    assert cloud.calls == []


# -- imports -----------------------------------------------------------------------------------------------------------


def importing(head=({"Content-Length": "1073741824"}, None)):
    cloud = Cloud().on("GET /datastores", STORES).on("HEAD /database_backups/b1.xbstream.gz", head)
    return cloud.on("POST /backups", {"backup": row(status="RESTORED", instance_id=None)})


def sent(cloud):
    return cloud.calls[-1][2]["backup"]


def test_an_import_says_what_it_must():
    cloud = importing()
    found = provider(cloud).import_backup(None, ImportRequest(location=PLACE, datastore_version=VERSION))
    assert found.status == "ok" and found.source == ""
    assert [call[:2] for call in cloud.calls] == [("HEAD", "/database_backups/b1.xbstream.gz"), ("POST", "/backups")]
    assert sent(cloud) == {
        "name": "b1.xbstream.gz",
        "restore_from": {"remote_location": PLACE, "local_datastore_version_id": VERSION, "size": 1.0},
    }


def test_an_import_keeps_its_description_and_the_size_that_was_given():
    cloud = importing(AssertionError("the object is not to be looked at"))
    request = ImportRequest(location=PLACE, datastore_version=VERSION, name="n", description="why", size=2**29)
    provider(cloud).import_backup(None, request)
    assert sent(cloud)["name"] == "n" and sent(cloud)["description"] == "why"
    assert sent(cloud)["restore_from"]["size"] == 0.5


def test_an_object_that_is_not_there_is_the_location_s_fault():
    with pytest.raises(OptionError, match="^location: .*no object b1.xbstream.gz in container database_backups"):
        request = ImportRequest(location=PLACE, datastore_version=VERSION)
        provider(importing(NotFoundError("gone"))).import_backup(None, request)


def test_a_size_that_nobody_knows_is_asked_for():
    with pytest.raises(OptionError, match="^size: "):
        request = ImportRequest(location=PLACE, datastore_version=VERSION)
        provider(importing(({}, None))).import_backup(None, request)


@pytest.mark.parametrize(
    "given, meant",
    [
        ({"datastore_version": "5.7"}, "v2"),
        ({"datastore_version": " 10.11 "}, "v3"),
        ({"datastore_version": "8.0", "datastore": "mariadb"}, "v4"),
        ({"datastore_version": "8.0", "datastore": "d1"}, VERSION),
        ({"datastore_version": VERSION.upper()}, VERSION),
    ],
)
def test_a_version_by_its_name_or_id(given, meant):
    cloud = importing()
    provider(cloud).import_backup(None, ImportRequest(location=PLACE, **given))
    assert sent(cloud)["restore_from"]["local_datastore_version_id"] == meant


@pytest.mark.parametrize(
    "given, text",
    [
        (
            {"datastore_version": "8.0"},
            r"^datastore_version: several .*: mariadb 8.0 \(v4\), mysql 8.0 \(%s\)" % VERSION,
        ),
        ({"datastore_version": "9"}, r"^datastore_version: there is no version 9; there are: mariadb 10.11"),
        ({"datastore_version": "9", "datastore": "mysql"}, r"there are: mysql 5.7 \(v2\), mysql 8.0"),
        (
            {"datastore_version": "8.0", "datastore": "MySQL"},
            "^datastore: there is no MySQL; there are: mariadb, mysql$",
        ),
    ],
)
def test_versions_that_are_not_clear(given, text):
    with pytest.raises(OptionError, match=text):
        provider(importing()).import_backup(None, ImportRequest(location=PLACE, **given))


@pytest.mark.parametrize(
    "location, head, kind, text",
    [
        ("cinder://volume/snapshot", None, ApiError, "cinder storage"),
        ("b1.xbstream.gz", None, ApiError, "names no container"),
        (PLACE, NotFoundError("gone"), OptionError, "^location: .*no object b1.xbstream.gz"),
        (PLACE, ({}, None), OptionError, "^size: is needed"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_check_mode_refuses_what_the_import_would(tmp_path, check_mode, location, head, kind, text):
    cloud = importing(head).on("GET /backups", {"backups": []})
    params = options(
        import_backup.SPEC, provider="trove", location=location, datastore_version=VERSION, state_dir=str(tmp_path)
    )
    with pytest.raises(kind, match=text):
        import_backup.run(params, provider(cloud), World(check_mode=check_mode))
    assert writes(cloud) in ([], [("HEAD", "/database_backups/b1.xbstream.gz", {})])


def test_check_mode_does_not_look_at_an_object_whose_size_was_given(tmp_path):
    cloud = importing(AssertionError("the object is not to be looked at")).on("GET /backups", {"backups": []})
    params = options(import_backup.SPEC, provider="trove", location=PLACE, datastore_version=VERSION, size="1g")
    assert import_backup.run(params, provider(cloud), World(check_mode=True))["changed"] is True


@pytest.mark.parametrize(
    "fields, found",
    [
        ({"status": "RESTORED", "instance_id": None}, True),
        ({}, True),
        ({"status": "FAILED"}, False),
        ({"locationRef": PLACE + "2"}, False),
        ({"datastore": {"type": "mysql", "version_id": "v2"}}, False),
        ({"datastore": None}, False),
    ],
)
def test_what_counts_as_imported(fields, found):
    cloud = Cloud().on("GET /backups", {"backups": [row(7, **dict({"locationRef": PLACE}, **fields))]})
    listing = provider(cloud).find_imported(ImportRequest(location=PLACE, datastore_version=VERSION))
    assert ([backup.id for backup in listing.backups], listing.whole) == (["b7"] if found else [], True)
    assert cloud.calls == [("GET", "/backups", {"limit": 200})]


def test_a_list_that_may_not_be_whole_does_not_tell_what_was_not_imported():
    cloud = Cloud().on("GET /backups", {"backups": None})
    listing = provider(cloud).find_imported(ImportRequest(location=PLACE, datastore_version=VERSION))
    assert (listing.backups, listing.whole) == ([], False)
    assert "null in place of a list" in listing.warnings[0]


def test_but_what_it_shows_was_imported():
    other = row(1, locationRef=PLACE + "2")
    moving = [{"backups": [other, other], "links": link(2)}, {"backups": [row(7, locationRef=PLACE)]}]
    cloud = Cloud().on("GET /backups", Turns(moving * 4))
    found = provider(cloud).find_imported(ImportRequest(location=PLACE, datastore_version=VERSION))
    assert [backup.id for backup in found.backups] == ["b7"] and cloud.answers["GET /backups"] == []


def test_another_instance_is_another_strategy():
    cloud = strategies("mine")
    assert provider(cloud).read_task(TWO) is None
