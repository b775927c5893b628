# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of all five services in one inventory, and many hosts of one cloud."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from ansible_runs import NOWHERE
from sandbox.client import Sandbox
from support import ago

WHEN_NEW = {"cloud66": 1, "rackspace": 1, "trove": 1, "cloud66_v2": 0, "backupman": 0}


@pytest.fixture(scope="module")
def services():
    """A sandbox of its own, whose clock is right. Two of its stacks have a backup of this hour."""
    with Sandbox.start(stacks="shop,crm,blog,wiki") as sandbox:
        for stack in ("shop", "crm", "blog", "wiki"):
            sandbox.schedule(stack, False)
        for stack in ("blog", "wiki"):
            moment = ago(600)
            sandbox.synthetic(stack, 1, backup_date_iso=moment, created_at_iso=moment)
            sandbox.service("rackspace", "POST", "/backup", source=stack)
        sandbox.service("backupman", "POST", "/backup", labels=["shop"])
        sandbox.clear_requests()
        yield sandbox


@pytest.fixture
def cloud(lab):
    """The real Trove with two more instances."""
    made = lab.add_instances(2, "mixed")
    yield lab, [lab.instance("db1"), *(one["name"] for one in made)]
    lab.remove_instances(*(one["id"] for one in made))


def inventory_of(services, sources):
    """Eleven hosts. What says how a service is reached is in the environment, as in a shell or in AWX."""
    instances = {one["name"]: one["id"] for one in services.ready["rackspace"]["instances"]}
    by_provider = {
        "cloud66": [services.uid("shop"), services.uid("crm")],
        "cloud66_v2": [services.uid("blog"), services.uid("wiki")],
        "trove": sources,
        "rackspace": [instances["blog"], "wiki"],
        "backupman": ["shop", "crm"],
    }
    groups = {
        provider: {"vars": {"protect_provider": provider},
                   "hosts": {f"{provider}-{place}": {"protect_source": source} for place, source in enumerate(found)}}
        for provider, found in by_provider.items()}
    # Nobody has backed this one up yet: all sources of its server are.
    groups["backupman"]["hosts"]["backupman-1"].update(protect_run=True, protect_run_all_sources=True)
    shared = {**NOWHERE, "protect_results_dir": "results", "protect_state_dir": "state"}
    return {"all": {"vars": shared, "children": groups}}


@pytest.fixture
def mixed(controller, services, cloud):
    """``mixed("protect")`` runs a playbook of the collection: {host: how many of its tasks changed something}."""
    lab, sources = cloud
    inventory = controller.place / "mixed.json"
    inventory.write_text(json.dumps(inventory_of(services, sources)))
    rackspace, backupman = services.ready["rackspace"], services.ready["backupman"]
    controller.env.update(
        lab.environment, OS_CLOUD="demo", CLOUD66_API_URL=services.api_url, CLOUD66_TOKEN=services.token,
        RAX_AUTH_URL=rackspace["auth_url"], RAX_USERNAME=rackspace["username"], RAX_API_KEY=rackspace["api_key"],
        RAX_REGION=rackspace["region"], BACKUPMAN_URL=backupman["api_url"], BACKUPMAN_API_KEY=backupman["api_key"])

    def play(name, *arguments):
        services.clear_requests()
        lab.clear_requests()
        run = controller.wait(controller.command(
            "ansible-playbook", f"restorable.backups.{name}", "-i", str(inventory), "-f", "11", *arguments)).passed()
        recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", run.output, re.M)
        return {host: int(changed) for host, changed in recap}

    return play


def writes(services, lab):
    """What was asked of the services that is not reading."""
    asked = [entry for entry in services.requests() if entry["method"] != "GET" and entry["route"] != "tokens"]
    asked += [entry for entry in lab.requests("trove") if entry["method"] != "GET"]
    return Counter((entry["method"], entry.get("surface", "trove")) for entry in asked)


def test_eleven_hosts_of_five_services_are_protected_by_one_playbook(mixed, services, cloud, controller):
    lab, _sources = cloud
    predicted = mixed("protect", "--check")
    assert not writes(services, lab)

    first = mixed("protect")
    assert len(first) == 11
    assert first == predicted
    expected = {host: WHEN_NEW[host.rpartition("-")[0]] for host in first}
    assert first == {**expected, "backupman-1": 1}
    assert writes(services, lab) == {
        ("POST", "cloud66"): 2, ("POST", "rackspace"): 2, ("POST", "trove"): 3, ("POST", "backupman"): 1}
    assert len(lab.token_requests()) == len(services.requests(route="tokens")) == 1

    second = mixed("protect")
    assert set(second.values()) == {0} and len(second) == 11
    assert not writes(services, lab)

    records = {file.stem: json.loads(file.read_text()) for file in (controller.place / "results").glob("*.json")}
    assert {record["status"] for record in records.values()} <= {"ok", "pending"}
    assert {host for host, record in records.items() if record["status"] == "pending"} == {"cloud66-0", "cloud66-1"}
    mixed("report", "-e", f"protect_results_dir={controller.place}/results", "-e", "protect_report_dest=report.json")
    report = json.loads((controller.place / "report.json").read_text())
    assert {(record["host"], record["provider"]) for record in report["records"]} == {
        (host, host.rpartition("-")[0]) for host in first}
    assert report["summary"]["hosts"] == 11 and report["summary"]["ok"] == 9


def test_fifty_hosts_of_one_cloud_share_one_token(controller, lab):
    made = lab.add_instances(50, "many")
    try:
        for one in made:
            lab.add_backup(one["id"])
        hosts = {one["name"]: {"protect_provider": "trove", "protect_cloud": "demo", "protect_source": one["id"]}
                 for one in made}
        lab.clear_requests()
        run = controller.adhoc("backup_check", "max_age=1d", "-f", "10", hosts=hosts, env=lab.environment).passed()
        assert [answer["compliant"] for answer in run.answers] == [True] * 50
        assert len(lab.token_requests()) == 1
        assert Counter(entry["query"].partition("&")[0] for entry in lab.requests("trove")) == {
            f"instance_id={one['id']}": 1 for one in made}
        assert {entry["path"] for entry in lab.requests("trove")} == {f"/v1.0/{lab.project}/backups"}
    finally:
        lab.remove_instances(*(one["id"] for one in made))
