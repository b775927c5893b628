# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rackspace Cloud Databases: tokens, pages, schedules that really make backups, and files behind a token."""

from __future__ import annotations

import hashlib
import http.client
import sys
import zlib
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sandbox.client import Sandbox, environment  # noqa: E402

SUNDAY = "2026-03-01T00:00:00Z"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox.start(stacks="shop,crm", now=SUNDAY) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.service("rackspace", "DELETE", "/backups")
    running.clear_requests()
    yield running
    running.clear_faults()
    running.reset_switches()


def instance(sandbox: Sandbox, name: str = "shop") -> str:
    return next(str(found["id"]) for found in sandbox.ready["rackspace"]["instances"] if found["name"] == name)


def backups(sandbox: Sandbox, query: str = "") -> list[dict[str, Any]]:
    status, answer = sandbox.rackspace("GET", f"/backups{query}")
    assert status == 200
    return list(answer["backups"])


def catalog(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    ready = sandbox.ready["rackspace"]
    body = {"auth": {"RAX-KSKEY:apiKeyCredentials": {"username": ready["username"], "apiKey": ready["api_key"]}}}
    status, answer = sandbox.rackspace("POST", "/identity/v2.0/tokens", body, token="")
    assert status == 200
    return {service["type"]: {place["region"]: place for place in service["endpoints"]}
            for service in answer["access"]["serviceCatalog"]}


def fetch(url: str, token: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(url)
    link = http.client.HTTPConnection(address.netloc, timeout=60)
    try:
        link.request(method, address.path, headers={"X-Auth-Token": token, **headers})
        answer = link.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        link.close()


def test_a_token_opens_what_the_catalog_names_until_it_expires(sandbox: Sandbox) -> None:
    places = catalog(sandbox)
    assert places["rax:database"]["DFW"]["publicURL"] == f"{sandbox.url}/v1.0/{sandbox.ready['rackspace']['account']}"
    assert set(places["rax:database"]) == {"DFW", "ORD"}
    assert "snet-" in places["object-store"]["DFW"]["internalURL"]
    sandbox.switch("rackspace", token_seconds=3600, catalog="no_database")
    assert set(catalog(sandbox)) == {"object-store"}
    token = sandbox.rackspace_token()
    assert sandbox.rackspace("GET", "/backups", token=token)[0] == 200
    sandbox.advance("61m")
    assert sandbox.rackspace("GET", "/backups", token=token)[1]["unauthorized"]["code"] == 401
    body = {"auth": {"RAX-KSKEY:apiKeyCredentials": {"username": "restorable", "apiKey": "wrong"}}}
    assert sandbox.rackspace("POST", "/identity/v2.0/tokens", body, token="")[0] == 401
    assert sandbox.rackspace("POST", "/identity/v2.0/tokens", {"auth": []}, token="")[0] == 400
    logged = str(sandbox.requests())
    assert "apiKey': 'REDACTED'" in logged and "wrong" not in logged and token not in logged
    assert sandbox.ready["rackspace"]["api_key"] not in logged


def test_a_backup_is_asked_for_and_its_file_fetched(sandbox: Sandbox) -> None:
    wanted = {"name": "before", "instance": instance(sandbox), "description": "by hand"}
    sandbox.switch("rackspace", build_seconds=0.3)
    status, answer = sandbox.rackspace("POST", "/backups", {"backup": wanted})
    assert (status, answer["backup"]["status"], answer["backup"]["locationRef"]) == (202, "NEW", None)
    status, error = sandbox.rackspace("POST", "/backups", {"backup": wanted})
    assert status == 422 and "already running" in error["unprocessableEntity"]["message"]
    assert sandbox.rackspace("DELETE", f"/backups/{answer['backup']['id']}")[0] == 422
    sandbox.settle()
    backup = sandbox.rackspace("GET", f"/backups/{answer['backup']['id']}")[1]["backup"]
    assert backup["status"] == "COMPLETED" and 0 < backup["size"] < 1
    assert (backup["is_automated"], backup["type"], backup["source"]["id"]) == (0, "InnoBackupEx", instance(sandbox))
    address = urlsplit(backup["locationRef"])
    assert address.hostname.startswith("snet-")
    assert address.path.endswith(f"/z_CLOUDDB_BACKUPS/{backup['id']}.xbstream.gz")
    token, url = sandbox.rackspace_token(), sandbox.url + address.path
    status, headers, content = fetch(url, token)
    assert status == 200 and headers["etag"] == hashlib.md5(content).hexdigest()
    assert b"COPY public.customers" in zlib.decompress(content, wbits=31)
    assert fetch(url, token, Range="bytes=10-19")[2] == content[10:20]
    assert fetch(url, token, "HEAD")[1]["content-length"] == str(len(content))
    assert fetch(url, "wrong")[0] == 401 and b"<html>" in fetch(url, "wrong")[2]
    sandbox.switch("rackspace", files_forbidden=True)
    assert fetch(url, token)[0] == 403
    assert sandbox.rackspace("DELETE", f"/backups/{backup['id']}") == (202, b"")
    assert sandbox.rackspace("GET", f"/backups/{backup['id']}")[1]["itemNotFound"]["code"] == 404


def test_what_a_creation_is_refused_for(sandbox: Sandbox) -> None:
    for body, status in (({}, 400), ({"backup": {"name": "x"}}, 400), ({"backup": {"instance": "x"}}, 404),
                         ({"backup": {"instance": instance(sandbox)}}, 400),
                         ({"backup": {"name": "x", "restore_from": {"remote_location": "y"}}}, 400)):
        assert sandbox.rackspace("POST", "/backups", body)[0] == status
    assert backups(sandbox) == []


def test_children_go_with_their_parent(sandbox: Sandbox) -> None:
    [full] = sandbox.service("rackspace", "POST", "/backup")["ids"]
    body = {"backup": {"name": "child", "instance": instance(sandbox), "incremental": 1}}
    child = sandbox.rackspace("POST", "/backups", body)[1]["backup"]
    assert child["parent_id"] == full
    sandbox.settle()
    sandbox.rackspace("DELETE", f"/backups/{full}")
    assert backups(sandbox) == []


@pytest.mark.parametrize("marker", ["offset", "id"])
def test_pages_hold_twenty_at_most_and_link_by_https(sandbox: Sandbox, marker: str) -> None:
    sandbox.service("rackspace", "POST", "/synthetic", count=40)
    sandbox.switch("rackspace", marker=marker)
    seen: list[str] = []
    query, pages = "?limit=100", 0
    token = sandbox.rackspace_token()
    while query:
        answer = sandbox.rackspace("GET", f"/backups{query}", token=token)[1]
        seen += [backup["id"] for backup in answer["backups"]]
        pages += 1
        links = answer["links"]
        assert all(link["href"].startswith("https://127.0.0.1") for link in links)
        query = "?" + urlsplit(links[0]["href"]).query if links else ""
    assert (pages, len(seen), len(set(seen))) == (3, 40, 40), "a full last page is followed by an empty one"
    assert sandbox.rackspace("GET", "/backups?marker=nonsense", token=token)[0] == 400
    assert len(sandbox.service("rackspace", "POST", "/synthetic", count=1000, source="crm")["ids"]) == 1000
    assert sandbox.rackspace("GET", "/backups?datastore=MySQL", token=token)[0] == 404


def test_lists_of_an_instance_and_of_a_group(sandbox: Sandbox) -> None:
    [group] = sandbox.ready["rackspace"]["ha"]
    sandbox.service("rackspace", "POST", "/synthetic", count=2, source="crm")
    sandbox.service("rackspace", "POST", "/synthetic", count=3, source=group["name"])
    crm = instance(sandbox, "crm")
    assert len(sandbox.rackspace("GET", f"/instances/{crm}/backups")[1]["backups"]) == 2
    sandbox.switch("rackspace", instance_list="backup", dates="naive", is_automated="bool")
    first = sandbox.rackspace("GET", f"/instances/{crm}/backups")[1]["backup"][0]
    assert not first["created"].endswith("Z") and first["is_automated"] is False
    found = sandbox.rackspace("GET", f"/ha/{group['id']}/backups")[1]["backups"]
    assert len(found) == 3 and {record["instance_id"] for record in found} == {None}
    assert found[0]["source"] == {"type": "ha", "id": group["id"]}
    assert sandbox.rackspace("GET", f"/instances/{group['id']}/backups")[0] == 404
    assert sandbox.rackspace("GET", "/instances")[1]["instances"][1]["name"] == "crm"
    assert sandbox.rackspace("GET", "/ha")[1]["ha_instances"][0]["id"] == group["id"]
    assert sandbox.rackspace("GET", f"/ha/{group['id']}")[1]["ha_instance"]["name"] == group["name"]
    assert sandbox.rackspace("GET", f"/ha/{crm}")[0] == 404
    [datastore] = sandbox.rackspace("GET", "/datastores")[1]["datastores"]
    assert len(backups(sandbox, f"?datastore={datastore['id']}")) == len(backups(sandbox, "?datastore=mysql")) == 5
    sandbox.service("rackspace", "DELETE", "/backups")
    sandbox.service("rackspace", "POST", "/synthetic", count=1, source="crm")
    sandbox.switch("rackspace", instance_list="single")
    assert sandbox.rackspace("GET", f"/instances/{crm}/backups")[1]["backup"]["instance_id"] == crm


def test_excess_is_413_and_says_when_to_come_back(sandbox: Sandbox) -> None:
    token = sandbox.rackspace_token()
    sandbox.advance("2m")
    sandbox.switch("rackspace", rate_limit=3)
    url = f"{sandbox.url}/v1.0/{sandbox.ready['rackspace']['account']}/backups"
    answers = [fetch(url, token) for _time in range(4)]
    assert [answer[0] for answer in answers] == [200, 200, 200, 413] and b"overLimit" in answers[3][2]
    assert 55 <= int(answers[3][1]["retry-after"]) <= 61
    sandbox.advance("62s")
    assert fetch(url, token)[0] == 200
    sandbox.fault("throttle", surface="rackspace", times=1)
    status, headers, _body = fetch(url, token)
    assert (status, headers["retry-after"]) == (413, "1")


def test_a_schedule_makes_a_full_backup_on_its_day_and_incremental_ones_between(sandbox: Sandbox) -> None:
    body: dict[str, Any] = {"schedule": {"action": "backup", "day_of_week": 0, "hour": 4, "minute": 30,
                                         "instance_id": instance(sandbox)}}
    status, answer = sandbox.rackspace("POST", "/schedules", body)
    schedule = answer["schedule"]
    assert status == 202 and schedule["full_backup_retention"] == 2 and schedule["next_run"].endswith("T04:30:00Z")
    assert schedule["last_scheduled"] is None
    assert sandbox.rackspace("POST", "/schedules", body)[0] == 422, "the instance is the key"
    assert sandbox.advance("15d") == 15
    found = backups(sandbox)
    fulls = [backup for backup in found if backup["parent_id"] is None]
    assert len(fulls) == 2 and {backup["is_automated"] for backup in found} == {1}
    assert {backup["created"][10:] for backup in found} == {"T04:30:00Z"}
    ids = {backup["id"] for backup in found}
    assert all(backup["parent_id"] in ids for backup in found if backup not in fulls), "chains stay whole"
    path = f"/schedules/{schedule['id']}"
    assert sandbox.rackspace("PUT", path, {"schedule": {"hour": 24}})[0] == 400
    change = {"schedule": {"action": "backup", "day_of_week": 7, "full_backup_retention": 1, "run_now": True}}
    assert sandbox.rackspace("PUT", path, change) == (202, b"")
    sandbox.settle()
    shown = sandbox.rackspace("GET", path)[1]["schedule"]
    assert (shown["day_of_week"], shown["hour"], shown["last_scheduled"][:10]) == (7, 4, sandbox.now()[:10])
    assert len(backups(sandbox)) == 1
    assert sandbox.rackspace("DELETE", path) == (202, b"") and sandbox.rackspace("GET", path)[0] == 404
    assert sandbox.advance("3d") == 0
    sandbox.switch("rackspace", schedules=False)
    assert sandbox.rackspace("GET", "/schedules")[0] == 404, "some regions have none"


def test_changes_of_a_schedule_may_show_late_or_never(sandbox: Sandbox) -> None:
    body = {"schedule": {"action": "backup", "day_of_week": 0, "hour": 4, "minute": 30, "copy_to": ["IAD", "ORD"],
                         "instance_id": instance(sandbox)}}
    token = sandbox.rackspace_token()
    sandbox.switch("rackspace", schedule_seconds=3600)
    schedule = sandbox.rackspace("POST", "/schedules", body, token=token)[1]["schedule"]
    assert schedule["copy_to"] == ["ORD", "IAD"], "the service has an order of its own"
    path = f"/schedules/{schedule['id']}"
    assert sandbox.rackspace("GET", path, token=token)[0] == 404
    sandbox.switch("rackspace", schedule_seconds=0)
    assert sandbox.rackspace("GET", path, token=token)[1]["schedule"]["hour"] == 4
    sandbox.switch("rackspace", updates="no_copy_to")
    assert sandbox.rackspace("PUT", path, {"schedule": {"hour": 5, "copy_to": ["HKG"]}}, token=token)[0] == 202
    sandbox.switch("rackspace", updates="lost")
    assert sandbox.rackspace("PUT", path, {"schedule": {"hour": 6}}, token=token)[0] == 202
    shown = sandbox.rackspace("GET", path, token=token)[1]["schedule"]
    assert (shown["hour"], shown["copy_to"]) == (5, ["ORD", "IAD"])
    for regions in (["LON"], ["DFW"], "IAD"):
        wanted = {"schedule": {"copy_to": regions}}
        assert sandbox.rackspace("PUT", path, wanted, token=token)[0] == 400
    sandbox.switch("rackspace", schedule_record="short", one_schedule=False)
    short = sandbox.rackspace("GET", path, token=token)[1]["schedule"]
    assert not {"full_backup_retention", "copy_to", "source", "running"} & set(short)
    assert sandbox.rackspace("POST", "/schedules", body, token=token)[0] == 202
    assert len(sandbox.rackspace("GET", "/schedules", token=token)[1]["schedules"]) == 2


def test_copies_are_noted_and_children_go_where_their_parents_are(sandbox: Sandbox) -> None:
    [full] = sandbox.service("rackspace", "POST", "/backup")["ids"]
    [child] = sandbox.service("rackspace", "POST", "/backup", parent_id=full)["ids"]

    def copy(number: str, region: str) -> int:
        body = {"copy-backup": {"target_backup_region": region, "name": "copy", "description": ""}}
        return sandbox.rackspace("POST", f"/backups/{number}/action", body)[0]

    assert [copy(child, "IAD"), copy(full, "LON"), copy(full, "DFW")] == [400, 400, 400]
    assert [copy(full, "IAD"), copy(child, "IAD")] == [202, 202]
    assert sandbox.rackspace("POST", f"/backups/{full}/action", {"reboot": {}})[0] == 400
    assert copy("0" * 8, "IAD") == 404


def test_the_container_lists_what_is_stored(sandbox: Sandbox) -> None:
    ids = sorted(sandbox.service("rackspace", "POST", "/backup")["ids"][0] for _time in range(2))
    address = urlsplit(sandbox.rackspace("GET", f"/backups/{ids[0]}")[1]["backup"]["locationRef"])
    container, token = address.path.rpartition("/")[0], sandbox.rackspace_token()
    names = [f"{number}.xbstream.gz" for number in ids]
    assert sandbox.rackspace("GET", container, token=token)[1].decode().split() == names
    shown = sandbox.rackspace("GET", f"{container}?format=json&prefix={ids[0]}", token=token)[1]
    assert [(one["name"], one["bytes"]) for one in shown] == [
        (names[0], sandbox.service("rackspace", path=f"/backups/{ids[0]}")["size"])]
    assert len(sandbox.rackspace("GET", f"{container}?format=json&marker={names[0]}", token=token)[1]) == 1
    assert sandbox.rackspace("GET", container, token="wrong")[0] == 401


def test_a_shell_gets_what_the_modules_read(sandbox: Sandbox) -> None:
    found = environment(sandbox)
    ready = sandbox.ready["rackspace"]
    assert [found[name] for name in ("RAX_AUTH_URL", "RAX_USERNAME", "RAX_API_KEY", "RAX_REGION")] == [
        ready[name] for name in ("auth_url", "username", "api_key", "region")]
    assert found["INSTANCE_CRM"] == instance(sandbox, "crm")


def test_everything_survives_a_kill(sandbox: Sandbox) -> None:
    body = {"schedule": {"action": "backup", "day_of_week": 1, "hour": int(sandbox.now()[11:13]), "minute": 59,
                         "instance_id": instance(sandbox)}}
    sandbox.rackspace("POST", "/schedules", body)
    assert sandbox.advance("1h") == 1
    token = sandbox.rackspace_token()
    before = [sandbox.rackspace("GET", path, token=token) for path in ("/backups", "/schedules")]
    sandbox.kill()
    sandbox.restart()
    assert [sandbox.rackspace("GET", path, token=token) for path in ("/backups", "/schedules")] == before
    assert len(before[0][1]["backups"]) == 1 and sandbox.advance("1d") == 1
