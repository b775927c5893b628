# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drills by the role and its playbooks: on another host, not with each run, of one of many backups, recorded and reported."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

import pytest
from ansible_runs import NOWHERE
from drill_runs import HERE, live
from support import DAY, Stack

AWAY = {"ansible_host": "127.0.0.1", "ansible_port": 1}


class Fleet:
    """Hosts that are but names, one that has the engines, and one that cannot be reached."""

    def __init__(self, drills, databases):
        self.drills, self.databases = drills, databases
        self.results = drills.place / "results"
        self.hosts = {}

    def host(self, name, stack, **variables):
        self.hosts[name] = {"protect_source": self.databases.uid(stack), **variables}

    def play(self, playbook, *arguments, code=0, **variables):
        """(recap, output) of a playbook of the collection on all hosts but the one with the engines."""
        shared = {"protect_drill_host": "spare", "protect_proof_dir": str(self.drills.proofs), "protect_results_dir": "results",
                  "protect_drill_dir": str(self.drills.scratch), **variables}
        document = {"all": {"vars": {**NOWHERE, **shared}, "hosts": {**self.hosts, "spare": HERE, "away": AWAY}}}
        (self.drills.place / "fleet.json").write_text(json.dumps(document))
        run = self.drills.command("ansible-playbook", f"restorable.backups.{playbook}", "-i", "fleet.json", "--limit", "all:!spare:!away",
                                  *arguments).ended()
        # Shown by pytest where a test fails.
        print(run.output)
        print(json.dumps({host: [record["errors"], record["violations"]] for host, record in self.records().items()}, indent=1))
        found = re.findall(r"^(\S+)\s+: (ok=.*)$", run.output.partition("PLAY RECAP")[2], re.M)
        recap = {host: {key: int(number) for key, number in re.findall(r"(\w+)=(\d+)", rest)} for host, rest in found}
        assert recap and run.code == code, run.output
        return recap, run.output

    def records(self):
        return {path.stem: json.loads(path.read_text()) for path in self.results.glob("*.json")}

    def proofs(self, stack):
        return sorted(self.drills.proofs.glob(f"{self.databases.uid(stack)}/*.json"))

    def downloads(self):
        return len(self.databases.requests(route="storage"))


@pytest.fixture
def fleet(drills, databases):
    databases.clear_requests()
    return Fleet(drills, databases)


CHAIN = [
    {"ansible.builtin.find": {"paths": "{{ folder }}", "patterns": "*.json"}, "register": "found"},
    {"ansible.builtin.slurp": {"src": "{{ item.path }}"}, "loop": "{{ found.files }}", "register": "read"},
    {"name": "chain", "ansible.builtin.debug": {"msg": "{{ proofs | restorable.backups.proof_chain_problems(last) }}"}},
]


def test_a_drill_that_is_due_and_one_that_proves_nothing(fleet, drills, databases, fetched):
    """``fetched`` is here for the backups that it has made."""
    login = databases.login("shop")
    compare = {"mode": "checksum", **live(login)}
    fleet.host("shop", "shop", protect_drill_compare=compare, protect_drill_queries=[{"sql": "SELECT count(*) FROM customers", "min": 1}])
    fleet.host("wiki", "wiki", protect_drill_tables=["invoices"])

    recap, output = fleet.play("drill", "--check", "-vvv", protect_drill_every="7d")
    assert {host: numbers["changed"] for host, numbers in recap.items()} == {"shop": 0, "wiki": 0}
    assert (fleet.downloads(), drills.proofs.exists(), fleet.results.exists(), drills.left()) == (0, False, False, [])

    recap, output = fleet.play("drill", "-vvvv", protect_drill_every="7d", code=2)
    assert {host: numbers["failed"] for host, numbers in recap.items()} == {"shop": 0, "wiki": 1}
    first = fleet.records()
    assert {host: record["status"] for host, record in first.items()} == {"shop": "ok", "wiki": "violations"}
    assert [violation["code"] for violation in first["wiki"]["violations"]] == ["missing_table"]
    drill = first["shop"]["drill"]
    assert (drill["fresh"], drill["proven"], drill["sequence"]) == (True, True, 1)
    assert drill["rows"] == sum(databases.tables("shop").values())
    assert drill["choice"]["select"] == "latest" and drill["choice"]["backup_id"] == drill["backup_id"]
    (path,) = fleet.proofs("shop")
    assert json.loads(path.read_text())["sha256"] == drill["proof_sha256"]
    assert drills.left() == []
    told = [output, *(each.read_text() for each in [*fleet.results.glob("*"), *drills.proofs.rglob("*.json")])]
    assert not any(login["password"] in text for text in told)

    # What is proven counts until its time has passed. What is not is tried again.
    downloads = fleet.downloads()
    fleet.play("drill", protect_drill_every="7d", code=2)
    second = fleet.records()
    assert second["shop"]["drill"] == {**drill, "fresh": False, "proof_path": None, "choice": None}
    assert second["shop"]["status"] == "ok"
    assert (second["wiki"]["drill"]["fresh"], second["wiki"]["drill"]["sequence"]) == (True, 2)
    assert fleet.proofs("shop") == [path]
    assert fleet.downloads() > downloads
    assert fleet.downloads() - downloads < downloads

    del fleet.hosts["wiki"]["protect_drill_tables"]
    fleet.play("drill", protect_drill_every="7d")
    third = fleet.records()["wiki"]["drill"]
    assert (third["proven"], third["sequence"]) == (True, 3)

    report = drills.command("ansible-playbook", "restorable.backups.report", "-e", "protect_results_dir=results").ended().passed()
    assert "PROVEN" in report.output
    summary = json.loads((drills.place / "backup-report.json").read_text())
    assert {record["host"]: record["drill"]["proof_sha256"] for record in summary["records"]} == {
        "shop": drill["proof_sha256"], "wiki": third["proof_sha256"]}

    folder = str(fleet.proofs("wiki")[0].parent)
    proofs = "{{ read.results | map(attribute='content') | map('b64decode') | map('from_json') | list }}"
    chain = {"vars": {"folder": folder, "last": third["proof_sha256"], "proofs": proofs}, "hosts": {"here": HERE}}
    assert drills.play(CHAIN, **chain).passed()["chain"]["msg"] == []
    fleet.proofs("wiki")[1].unlink()
    assert [problem["code"] for problem in drills.play(CHAIN, **chain).passed()["chain"]["msg"]] == ["missing"]


def test_one_of_many_and_none_at_all(fleet, drills, databases, fetched):
    """Chance decides once a day, among the good ones of a window; who has none fails, and hides nobody."""
    old = Stack(databases, "cache").record(age=90 * DAY, engine="redis")
    more = databases.backup("cache") + databases.backup("cache")
    try:
        fleet.host("cache", "cache", protect_drill_select="random", protect_drill_window="30d", protect_max_age="1000d",
                   protect_drill_min_rows={"db1": 1})
        fleet.host("lite", "lite")
        fleet.host("lost", "shop", protect_source="nowhere")
        chosen = []
        for _run in range(2):
            before = datetime.now(timezone.utc)
            recap, output = fleet.play("drill", code=2)
            assert {host: numbers["failed"] for host, numbers in recap.items()} == {"cache": 0, "lite": 1, "lost": 1}
            chosen.append(fleet.records()["cache"]["drill"]["choice"])
    finally:
        for number in (old, *more):
            databases.delete("cache", number)
    assert chosen[0]["among"] == len(more) + 1
    assert chosen[0]["seed"] == f"cache {databases.uid('cache')} {before:%Y-%m-%d}"
    assert chosen[1] == chosen[0], output
    records = fleet.records()
    assert records["cache"]["drill"]["sequence"] == 2
    assert [error["step"] for error in records["lite"]["errors"]] == ["drill"]
    assert records["lite"]["errors"][0]["code"] == "no_backups"
    assert "no good backup to drill" in records["lite"]["errors"][0]["message"]
    assert "not_found" in [error["code"] for error in records["lost"]["errors"]]
    assert records["lite"]["drill"] is None and fleet.proofs("lite") == []
    assert drills.left() == []


def test_what_is_fetched_is_read(fleet, drills, fetched):
    for name, tables in (("good", ["customers"]), ("bad", ["customers", "invoices"])):
        place = drills.place / name
        place.mkdir()
        fleet.host(name, "shop", protect_fetch_dest=str(place), protect_verify_expect={"engine": "postgresql", "tables": tables}, **HERE)
    _recap, output = fleet.play("fetch", "-e", "protect_verify=true", "-e", "protect_fail_on_violation=true", code=2)
    records = fleet.records()
    assert (records["good"]["status"], records["good"]["verify"]["valid"], records["good"]["verify"]["dumps"]) == ("ok", True, 1), output
    assert records["good"]["verify"]["sha256"] == records["good"]["fetch"]["sha256"]
    assert (records["bad"]["status"], records["bad"]["verify"]["valid"]) == ("violations", False)
    assert [violation["code"] for violation in records["bad"]["violations"]] == ["missing_table"]


def test_a_drill_that_cannot_be_done(fleet, drills, fetched):
    """That says nothing about the backup: an error, no violation and no proof."""
    (drills.place / "empty").mkdir()
    fleet.host("shop", "shop", protect_drill_bin_dir=str(drills.place / "empty"))
    fleet.host("docs", "docs", protect_drill_space_factor=10 ** 9)
    fleet.host("wiki", "wiki", protect_drill_host="away")
    _recap, output = fleet.play("protect", "-e", "protect_drill=true", "-e", "protect_task=false", code=2)
    records = fleet.records()
    assert {host: record["status"] for host, record in records.items()} == dict.fromkeys(("shop", "docs", "wiki"), "error"), output
    assert [(error["step"], error["code"]) for error in records["wiki"]["errors"]] == [("drill", "unreachable")]
    assert "away cannot be reached" in records["wiki"]["errors"][0]["message"]
    assert [(error["step"], error["code"]) for error in records["shop"]["errors"]] == [("drill", "bad_option")]
    assert [(error["step"], error["code"]) for error in records["docs"]["errors"]] == [("drill", "no_space")]
    assert not drills.proofs.exists() and drills.left() == []
