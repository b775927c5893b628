# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading: lists of every length, filters, single backups, files."""

from __future__ import annotations

from .adapters.base import DAY, HOUR


def test_nothing_is_an_empty_list(run, service):
    outcome = run("backup_info", source=service.source)
    assert outcome["backups"] == [] and outcome["series"] == []
    assert service.calls() == service.list_calls(0)


def test_a_list_holds_each_backup_once_newest_first_in_as_few_calls_as_can_be(run, service, count):
    ids = service.fill(count)
    outcome = run("backup_info", source=service.source)
    assert outcome.ids == ids
    assert outcome.warnings == []
    calls = service.calls()
    # The first page comes first; the others may be asked for at the same time.
    assert calls[0] == service.list_calls(count)[0]
    assert sorted(calls) == sorted(service.list_calls(count))


def test_a_token_is_asked_for_once_for_a_whole_run(run, service):
    service.fill(1)
    for _host in range(3):
        run("backup_info", source=service.source)
    assert service.token_requests() <= 1
    assert service.calls() == service.list_calls(1) * 3


def test_a_record_says_whose_it_is_how_old_and_how_good(run, service):
    ids = {status: service.add(HOUR * (place + 1), status) for place, status in enumerate(service.statuses)}
    shown = {backup["status"]: backup for backup in run("backup_info", source=service.source)["backups"]}
    assert {status: backup["id"] for status, backup in shown.items()} == ids
    for place, status in enumerate(service.statuses):
        assert shown[status]["source"] == service.source
        assert shown[status]["provider"] == service.name
        assert 0 <= shown[status]["age_seconds"] - HOUR * (place + 1) < 60
    assert len({backup["series"] for backup in shown.values()}) <= len(ids)


def test_by_status(run, service):
    ids = {status: service.add(HOUR, status) for status in service.statuses}
    for status, backup_id in ids.items():
        assert run("backup_info", source=service.source, status=status).ids == [backup_id]
    assert run("backup_info", source=service.source, status="unknown").ids == []


def test_by_time(run, service):
    new, old, older = (service.add(age) for age in (HOUR, 3 * DAY, 9 * DAY))
    assert run("backup_info", source=service.source, since="1d").ids == [new]
    assert run("backup_info", source=service.source, since="8d").ids == [new, old]
    assert run("backup_info", source=service.source, until="8d").ids == [older]
    assert run("backup_info", source=service.source, limit=2).ids == [new, old]
    assert run("backup_info", source=service.source, since="1d", until="8d").code == "bad_option"


def test_by_engine(run, service):
    usual, other = service.engines
    backups = {engine: service.add(HOUR, engine=engine) for engine in (usual, other)}
    for engine in filter(None, service.engines):
        assert run("backup_info", source=service.source, engine=engine).ids == [backups[engine]]
    assert run("backup_info", source=service.source, engine="oracle").ids == []


def test_the_latest_is_the_newest_good_one(run, service):
    service.add(1 * HOUR, "failed")
    good = service.add(2 * HOUR)
    service.add(3 * HOUR)
    if "running" in service.statuses:
        service.add(HOUR / 2, "running")
    assert good in run("backup_info", source=service.source, latest=True).ids
    for backup in run("backup_info", source=service.source, latest=True)["backups"]:
        assert backup["status"] == "ok"


def test_a_single_backup_is_as_it_is_listed(run, service):
    service.fill(2)
    wanted = service.add(5 * DAY)
    listed = run("backup_info", source=service.source)["backups"][-1]
    [single] = run("backup_info", source=service.source, id=wanted)["backups"]
    moving = ("age_seconds", "raw")
    assert listed["id"] == wanted
    assert {key: value for key, value in single.items() if key not in moving} == {
        key: value for key, value in listed.items() if key not in moving}


def test_an_unknown_id_is_not_found(run, service):
    service.fill(1)
    outcome = run("backup_info", source=service.source, id=service.unknown_id)
    assert outcome.code == "not_found"
    assert service.unknown_id in outcome.error.message


def test_an_unknown_source_is_told_of(run, service):
    service.fill(1)
    outcome = run("backup_info", source=service.unknown_source)
    if service.knows_sources:
        assert outcome.code == "not_found"
    else:
        assert outcome.ids == [] and any(service.unknown_source in text for text in outcome.warnings)
    verdict = run("backup_check", source=service.unknown_source, max_age="1d")
    assert not verdict["compliant"]


def test_of_many_sources_one_that_fails_hides_no_other(run, service):
    ids = service.fill(2)
    outcome = run("backup_info", sources=[service.unknown_source, service.source])
    assert outcome.ids == ids
    assert [one["count"] for one in outcome["sources"]] == [0, 2]
    assert bool(outcome["sources"][0]["error"]) == service.knows_sources


def test_all_sources_at_once(run, service):
    ids = service.fill(2)
    outcome = run("backup_info", source="*")
    if service.lists_all:
        assert outcome.ids == ids
        assert {backup["source"] for backup in outcome["backups"]} == {service.source}
    else:
        assert outcome.code == "not_found"


def test_a_check_costs_what_a_list_costs(run, service):
    service.fill(3)
    assert run("backup_check", source=service.source, max_age="2h", min_count=3)["compliant"]
    assert service.calls() == service.list_calls(3)


def test_a_check_finds_what_is_old_failed_or_too_few(run, service):
    service.add(3 * DAY)
    service.add(2 * DAY, "failed")
    verdict = run("backup_check", source=service.source, max_age="1d", min_count=2)
    assert not verdict["compliant"]
    assert {"stale", "last_failed", "too_few"} <= {one["code"] for one in verdict["violations"]}, verdict["violations"]


def test_files(run, service, kind):
    held = service.hold(kind)
    [backup] = run("backup_info", source=service.source, id=held.id, files=True)["backups"]
    assert [file["size_bytes"] for file in backup["files"]] == held.sizes
    assert (len(backup["files"]) > 1) == (kind == "many")
    assert len({file["id"] for file in backup["files"]}) == len(held.sizes)
    assert all(file["name"] for file in backup["files"])
    assert backup["files_error"] is None


def test_files_of_a_backup_that_does_not_exist(run, service):
    service.fill(1)
    assert run("backup_info", source=service.source, id=service.unknown_id, files=True).code == "not_found"
