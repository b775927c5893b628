# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that are not what they should be: no list that is missing is an empty one, nothing ends in a traceback."""

from __future__ import annotations

import re
import time

import pytest

from .adapters.base import DAY, HOUR
from .proxy import Reply, as_html
from .runner import load


def in_list(service, change):
    """Changes the list in an answer."""

    def changed(reply):
        data = reply.data
        key = service.shape.key
        if key is None:
            return reply.saying(change(data))
        return reply.saying({**data, key: change(data[key])})

    return changed


def without_list(service):
    def changed(reply):
        if service.shape.key is None:
            return reply.saying({})
        return reply.saying({name: value for name, value in reply.data.items() if name != service.shape.key})

    return changed


def whole(body, kind="application/json"):
    return lambda _service: lambda reply: Reply(200, {"Content-Type": kind}, body)


# What stands in the place of a list.
NO_LISTS = {
    "html": lambda _service: lambda _reply: as_html(),
    "truncated": lambda _service: lambda reply: Reply(200, reply.headers, reply.body[:len(reply.body) // 2]),
    "no_body": whole(b""),
    "a_word": whole(b'"maintenance"'),
    "a_number": whole(b"17"),
    "null": whole(b"null"),
    "not_utf8": whole(b"\xff\xfe\x00\x01"),
    "an_error_in_a_success": whole(b'{"error": "internal", "message": "something is wrong"}'),
    "no_list": without_list,
    "null_list": lambda service: in_list(service, lambda _list: None),
    "an_object": lambda service: in_list(service, lambda _list: {"0": "one"}),
    "a_text": lambda service: in_list(service, lambda _list: "none"),
    "numbers": lambda service: in_list(service, lambda _list: [1, 2, 3]),
    "lists": lambda service: in_list(service, lambda _list: [[], []]),
    "nulls": lambda service: in_list(service, lambda _list: [None]),
}
# What stands in the place of a single thing.
NO_BACKUPS = {
    **{name: NO_LISTS[name] for name in ("html", "truncated", "no_body", "a_word", "null", "an_error_in_a_success")},
    "a_list": whole(b"[[]]"),
}


@pytest.mark.parametrize("spoilt", NO_LISTS)
def test_what_is_no_list_is_never_an_empty_one(run, service, proxy, spoilt):
    service.fill(2)
    proxy.spoil(service.list_path, NO_LISTS[spoilt](service))
    options = {"source": service.source, "connection": service.through(proxy.url)}
    outcome = run("backup_info", **options)
    if outcome.error is None:
        # Some services write an empty list as null. It is told.
        assert spoilt in ("null", "null_list"), outcome.result
        assert outcome["backups"] == [] and "null" in " ".join(outcome.warnings)
    else:
        assert isinstance(outcome.error, load("_errors").ApiError)
        assert outcome.error.message and outcome.code
    verdict = run("backup_check", max_age="1d", **options)
    assert not verdict["compliant"]


@pytest.mark.parametrize("spoilt", NO_BACKUPS)
def test_what_is_no_backup_is_an_error(run, service, proxy, spoilt):
    wanted = service.add()
    proxy.spoil(service.get_path or service.list_path, NO_BACKUPS[spoilt](service))
    outcome = run("backup_info", source=service.source, id=wanted, connection=service.through(proxy.url))
    assert isinstance(outcome.error, load("_errors").ApiError), outcome.result


def test_files_that_are_not_said_are_never_none(run, service, proxy, unsaid):
    held = service.hold(service.kinds[-1])
    if unsaid == "lost":
        service.lose(held.id)
    else:
        proxy.spoil(service.files_path, NO_LISTS[unsaid](service))
    outcome = run("backup_info", source=service.source, id=held.id, files=True, connection=service.through(proxy.url))
    [backup] = outcome["backups"]
    assert backup["files"] == [] and backup["files_error"]["code"]
    assert any(held.id in text and backup["files_error"]["message"] in text for text in outcome.warnings)


def as_text(value):
    """Every number in it as text."""
    if isinstance(value, list):
        return [as_text(one) for one in value]
    if isinstance(value, dict):
        return {name: as_text(one) for name, one in value.items()}
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def facts(outcome):
    """What is the same however often one asks."""
    return [{name: value for name, value in backup.items() if name not in ("age_seconds", "raw")}
            for backup in outcome["backups"]]


def test_numbers_may_be_texts(run, service, proxy):
    service.fill((service.page or 2) + 1 if (service.page or 2) < 100 else 2)
    right = run("backup_info", source=service.source)
    proxy.spoil(service.list_path, lambda reply: reply.saying(as_text(reply.data)))
    outcome = run("backup_info", source=service.source, connection=service.through(proxy.url))
    assert facts(outcome) == facts(right)


def with_records(service, change):
    return in_list(service, lambda records: [change(record) for record in records])


@pytest.mark.parametrize("nothing", [None, "", "null"])
def test_records_without_an_id_are_not_lost(run, service, proxy, nothing):
    service.add(HOUR)
    service.add(DAY)
    proxy.spoil(service.list_path, with_records(service, lambda record: {**record, service.shape.id: nothing}))
    outcome = run("backup_info", source=service.source, connection=service.through(proxy.url))
    if outcome.error:
        assert outcome.code == "bad_shape"
    else:
        assert len(outcome["backups"]) == 2


def test_records_of_which_all_else_is_null_are_listed_and_not_good(run, service, proxy):
    service.fill(2)
    kept = service.shape.id
    proxy.spoil(service.list_path, with_records(
        service, lambda record: {name: value if name == kept else None for name, value in record.items()}))
    options = {"source": service.source, "connection": service.through(proxy.url)}
    outcome = run("backup_info", **options)
    # Without a label Backupman's records belong to nobody: that there is none of this source is told.
    assert len(outcome["backups"]) == 2 or outcome.warnings
    assert {backup["status"] for backup in outcome["backups"]} <= {"unknown"}
    assert not run("backup_check", max_age="1d", **options)["compliant"]


def test_words_that_nobody_knows_are_not_good(run, service, proxy):
    service.fill(1)

    def renamed(record):
        return {name: "SPARKLING" if "status" in name.lower() else value for name, value in record.items()}

    proxy.spoil(service.list_path, with_records(service, renamed))
    options = {"source": service.source, "connection": service.through(proxy.url)}
    assert {backup["status"] for backup in run("backup_info", **options)["backups"]} == {"unknown"}
    assert run("backup_info", latest=True, **options)["backups"] == []


def test_fields_that_nobody_knows_are_passed_on(run, service, proxy):
    service.fill(1)
    proxy.spoil(service.list_path, with_records(service, lambda record: {**record, "colour": {"of": "money"}}))
    [backup] = run("backup_info", source=service.source, connection=service.through(proxy.url))["backups"]
    assert backup["raw"]["colour"] == {"of": "money"}


# -- too many requests, and servers that stumble ------------------------------------------------------------------


def lists_asked(service, proxy):
    """How often the list was asked for at the proxy."""
    return sum(call.startswith("GET ") and re.search(service.list_path, call) is not None for call in proxy.seen)


def test_a_limit_is_obeyed(run, service, proxy):
    ids = service.fill(2)
    proxy.refuse(service.list_path, service.throttled, times=1)
    began = time.monotonic()
    outcome = run("backup_info", source=service.source, connection=service.through(proxy.url), api_retries=2)
    assert outcome.ids == ids
    assert lists_asked(service, proxy) == 2
    assert time.monotonic() - began >= float(service.throttled.headers.get("Retry-After", 0))


def test_a_limit_that_stays_is_reported(run, service, proxy):
    proxy.refuse(service.list_path, service.throttled)
    outcome = run("backup_info", source=service.source, connection=service.through(proxy.url), api_retries=1)
    assert outcome.code == "throttled"
    assert lists_asked(service, proxy) == 2


def test_a_limit_for_hours_is_not_waited_for(run, service, proxy):
    late = Reply(service.throttled.status, {**service.throttled.headers, "Retry-After": "7200"}, service.throttled.body)
    proxy.refuse(service.list_path, late)
    outcome = run("backup_info", source=service.source, connection=service.through(proxy.url), api_retries=4)
    assert outcome.code == "throttled" and "2h" in outcome.error.message
    assert lists_asked(service, proxy) == 1


@pytest.mark.parametrize("stumble", ["error", "no_answer"])
def test_a_read_that_fails_once_is_repeated(run, service, proxy, stumble):
    ids = service.fill(2)
    if stumble == "error":
        proxy.refuse(service.list_path, as_html(503), times=1)
    else:
        proxy.spoil(service.list_path, lambda _reply: None, times=1)
    outcome = run("backup_info", source=service.source, connection=service.through(proxy.url), api_retries=1)
    assert outcome.ids == ids
    assert lists_asked(service, proxy) == 2


def test_a_server_that_stays_away_is_reported(run, service, proxy):
    proxy.refuse(service.list_path, as_html(503))
    outcome = run("backup_info", source=service.source, connection=service.through(proxy.url), api_retries=1)
    assert outcome.code == "unavailable" and "503" in outcome.error.message
    verdict = run("backup_check", source=service.source, connection=service.through(proxy.url), max_age="1d")
    assert [one["code"] for one in verdict["violations"]] == ["unreachable"]
