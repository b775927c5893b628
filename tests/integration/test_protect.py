# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role protect and its playbooks, run by ansible-playbook against the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "sandbox"))
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import tree  # noqa: E402
from client import Sandbox  # noqa: E402

# Nothing answers there and nothing is there: what works all the same happens on the controller.
NOWHERE = {"ansible_host": "192.0.2.1", "ansible_python_interpreter": "/nonexistent/python"}
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox.start(stacks="shop,crm,blog,wiki,empty,stable", now="-60h") as running:
        for name in ("blog", "wiki"):
            # A task of long ago that made one backup: the sandbox's clock stands 60 hours back and is not moved.
            running.api("POST", f"/stacks/{running.uid(name)}/backups", {"db_type": "all", "frequency": "0 0 * * *"})
            running.backup(name)
        running.clear_requests()
        yield running


@pytest.fixture
def controller(tmp_path, sandbox):
    return Controller(tmp_path, sandbox)


class Controller:
    """A folder to work in, an inventory, and the commands a person would type."""

    def __init__(self, folder, sandbox):
        self.folder, self.sandbox = folder, sandbox
        foreign = ("ANSIBLE_", "CLOUD66_", "RESTORABLE_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment.update(
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            ANSIBLE_COLLECTIONS_PATH=str(tree.TREE),
            ANSIBLE_HOME=str(folder / "ansible"),
            ANSIBLE_NOCOLOR="1",
            CLOUD66_API_URL=sandbox.api_url,
            CLOUD66_TOKEN=sandbox.token,
        )

    def inventory(self, **hosts):
        for name, variables in hosts.items():
            if name in ("shop", "crm", "blog", "wiki"):
                variables.setdefault("protect_source", self.sandbox.uid(name))
        shared = {"protect_state_dir": "state", "protect_results_dir": "results", "ansible_remote_tmp": "ansible/tmp"}
        document = {"all": {"vars": shared, "hosts": hosts}}
        (self.folder / "hosts.json").write_text(json.dumps(document), encoding="utf-8")

    def play(self, name, *arguments):
        """(exit code, recap by host, output) of a playbook of the collection."""
        words = ["ansible-playbook", f"restorable.backups.{name}", "-i", "hosts.json", *arguments]
        done = subprocess.run(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        found = re.findall(r"^(\S+)\s+: (ok=.*)$", done.stdout.partition("PLAY RECAP")[2], re.M)
        recap = {host: {key: int(n) for key, n in re.findall(r"(\w+)=(\d+)", rest)} for host, rest in found}
        assert recap, done.stdout
        return done.returncode, recap, done.stdout

    def records(self):
        return {path.stem: json.loads(path.read_text("utf-8")) for path in (self.folder / "results").glob("*.json")}

    def files(self):
        return sorted(path.relative_to(self.folder).parts[0] for path in self.folder.iterdir())


def test_check_mode_then_twice(controller, sandbox):
    controller.inventory(shop=dict(NOWHERE), crm=dict(NOWHERE))
    before = sandbox.last_request()
    files = controller.files()

    code, recap, dummy = controller.play("protect", "--check")
    assert (code, [host["changed"] for host in recap.values()]) == (0, [1, 1])
    assert sandbox.posts(before) == []
    assert set(controller.files()) - set(files) <= {"ansible"}

    code, recap, dummy = controller.play("protect")
    assert (code, [host["changed"] for host in recap.values()]) == (0, [1, 1])
    assert {record["status"] for record in controller.records().values()} == {"pending"}
    assert {record["task"]["action"] for record in controller.records().values()} == {"created"}

    code, recap, dummy = controller.play("protect")
    assert (code, [host["changed"] for host in recap.values()]) == (0, [0, 0])
    assert {record["task"]["action"] for record in controller.records().values()} == {"pending"}

    paths = [post["path"] for post in sandbox.posts(before)]
    assert len(paths) == len(set(paths)) == 2


def test_variables_reach_the_request(controller, sandbox):
    uid = sandbox.uid("shop")
    before = sandbox.last_request()
    # Markers are per source: another state folder has never heard of the task above, and no backup shows it yet.
    controller.inventory(shop=dict(
        NOWHERE, protect_frequency="7 4 * * 1-5", protect_engines=["postgresql"], protect_keep_count=12,
        protect_gzip=False, protect_excluded_tables=["audit"], protect_run_on_replica=False,
        protect_logical_backup=True,
    ))
    code, dummy, output = controller.play("protect")
    assert code == 0, output
    (post,) = sandbox.posts(before)
    assert uid in post["path"]
    assert {key: value for key, value in post["body"].items() if value is not None} == {
        "db_type": "postgresql", "frequency": "7 4 * * 1-5", "keep_count": 12, "gzip": False,
        "excluded_tables": "audit", "run_on_replica_server": False, "logical_backup": True,
    }


def test_a_failing_host_hides_no_other(controller, sandbox):
    controller.inventory(
        wiki=dict(NOWHERE, protect_max_age="90h"),
        lost=dict(NOWHERE, protect_source="nowhere"),
        blank=dict(NOWHERE),
        blog=dict(NOWHERE, protect_max_age="1s"),
    )
    code, recap, output = controller.play("check", "-vvvvv")
    assert code == 2
    assert {host: numbers["failed"] for host, numbers in recap.items()} == {"wiki": 0, "lost": 1, "blank": 1, "blog": 1}
    found = controller.records()
    assert {host: record["status"] for host, record in found.items()} == {
        "wiki": "ok", "lost": "error", "blank": "error", "blog": "violations"
    }
    assert found["lost"]["errors"][0]["code"] == "not_found"
    assert "protect_source" in found["blank"]["errors"][0]["message"]
    assert "stale" in [violation["code"] for violation in found["blog"]["violations"]]
    assert found["wiki"]["newest_backup"]["engine"] == "postgresql"
    text = output + json.dumps(found)
    assert sandbox.token not in text and "Signature" not in text

    code, dummy, dummy = controller.play("check", "-e", "protect_fail_on_violation=false", "--limit", "blog")
    assert code == 0
    assert controller.records()["blog"]["status"] == "violations"


def test_fetch_and_hosts_that_cannot(controller, sandbox):
    (controller.folder / "fetched").mkdir()
    shared = {"protect_fetch_dest": str(controller.folder / "fetched")}
    controller.inventory(
        wiki=dict(HERE, **shared),
        blog=dict(HERE, **dict(shared, ansible_python_interpreter="/nonexistent/python")),
        shop=dict(HERE, protect_source=sandbox.uid("wiki")),
        crm=dict(shared, protect_source=sandbox.uid("wiki"), ansible_host="127.0.0.1", ansible_port=1),
    )
    code, recap, output = controller.play("fetch")
    assert code == 2
    assert {host for host, numbers in recap.items() if numbers["failed"]} == {"blog", "shop", "crm"}
    found = controller.records()
    fetch = found["wiki"]["fetch"]
    assert Path(fetch["dest"]).stat().st_size == fetch["size_bytes"]
    assert found["crm"]["errors"][0]["code"] == "unreachable"
    assert "protect_fetch_dest" in found["shop"]["errors"][0]["message"]
    assert [found[host]["newest_backup"] is not None for host in ("blog", "shop", "crm")] == [True] * 3

    code, recap, dummy = controller.play("fetch", "--limit", "wiki")
    assert (code, recap["wiki"]["changed"]) == (0, 0)
    assert "Signature" not in output


def test_report_over_the_records_of_two_runs(controller, sandbox):
    controller.inventory(wiki=dict(NOWHERE, protect_max_age="90h"), blog=dict(NOWHERE, protect_max_age="1s"))
    controller.play("check", "--limit", "wiki", "-e", "protect_results_dir=results/slice1")
    controller.play("check", "--limit", "blog", "-e", "protect_results_dir=results/slice2")
    arguments = ("-e", "protect_results_dir=results", "-e", "protect_report_dest=results/report.json")

    for dummy in range(2):
        code, dummy_recap, output = controller.play("report", *arguments)
        assert code == 0
        report = json.loads((controller.folder / "results/report.json").read_text("utf-8"))
        assert report["summary"]["hosts"] == 2
        assert [record["host"] for record in report["records"]] == ["blog", "wiki"]
    assert re.search(r"^blog .* stale +The newest good backup is", output, re.M)
    assert "2 hosts: 1 ok, 1 violations" in output
    assert controller.play("report", *arguments, "-e", "protect_report_strict=true")[0] == 2

    (controller.folder / "results/report.json").unlink()
    controller.play("report", *arguments, "--check")
    assert not (controller.folder / "results/report.json").exists()


def test_a_strict_report_trusts_no_old_record_and_no_empty_folder(controller, sandbox):
    results = controller.folder / "results"
    results.mkdir()
    arguments = ("-e", "protect_results_dir=results", "-e", "protect_report_strict=true")
    code, dummy, output = controller.play("report", *arguments)
    assert code == 2
    assert f"There is not one record in {results}" in output
    assert controller.play("report", "-e", "protect_results_dir=results")[0] == 0

    controller.inventory(wiki=dict(NOWHERE, protect_max_age="90h"))
    controller.play("check")
    assert controller.play("report", *arguments)[0] == 0

    record = dict(controller.records()["wiki"], when="2020-01-01T00:00:00Z")
    (results / "wiki.json").write_text(json.dumps(record), encoding="utf-8")
    code, dummy, output = controller.play("report", *arguments)
    assert code == 2
    assert "1 host: 1 ok; 1 of them outdated" in output
    assert "The record of 2020-01-01T00:00:00Z is older than 2d" in output
    assert controller.play("report", *arguments, "-e", "protect_report_max_age=5000w")[0] == 0
    assert controller.play("report", "-e", "protect_results_dir=results")[0] == 0
    code, dummy, output = controller.play("report", *arguments, "-e", "protect_report_max_age=soon")
    assert code == 2
    assert "max_record_age" in output and "is not a duration" in output


def test_a_fetch_that_brings_nothing(controller, sandbox):
    # No backup of any kind: a fetch that was asked for fails its host, and says why.
    here = dict(HERE, protect_source=sandbox.uid("empty"), protect_fetch_dest=str(controller.folder / "fetched.tar"))
    controller.inventory(empty=here)
    code, recap, output = controller.play("fetch")
    assert (code, recap["empty"]["failed"]) == (2, 1), output
    record = controller.records()["empty"]
    assert (record["status"], record["fetch"]) == ("error", None)
    assert [(error["step"], error["code"]) for error in record["errors"]] == [("fetch", "no_backups")]

    # A task of just now has nothing to fetch yet, with the check and without.
    for more in ((), ("-e", "protect_check=false")):
        code, recap, output = controller.play("protect", "-e", "protect_fetch=true", *more)
        assert (code, recap["empty"]["failed"], recap["empty"]["ignored"]) == (0, 0, 0), output
        record = controller.records()["empty"]
        assert (record["status"], record["fetch"], record["errors"]) == ("pending", None, [])
    assert not (controller.folder / "fetched.tar").exists()


def test_a_relative_state_folder_is_found_from_everywhere(controller, sandbox):
    controller.inventory(crm=dict(NOWHERE, protect_source=sandbox.uid("stable")))
    before = sandbox.last_request()
    assert controller.play("protect")[0] == 0
    assert (controller.folder / "state").is_dir()
    elsewhere = controller.folder / "elsewhere"
    elsewhere.mkdir()
    words = ["ansible-playbook", "restorable.backups.protect", "-i", "../hosts.json"]
    done = subprocess.run(words, cwd=elsewhere, env=controller.environment, stdin=subprocess.DEVNULL, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert not (elsewhere / "state").exists()
    assert len(sandbox.posts(before)) == 1


def test_ad_hoc_the_source_comes_from_the_inventory(controller, sandbox):
    controller.inventory(wiki=dict(NOWHERE), blog=dict(NOWHERE, protect_source="{{ blog_uid }}", blog_uid=sandbox.uid("blog")))
    words = ["ansible", "all", "-i", "hosts.json", "-m", "restorable.backups.backup_check", "-a", "max_age=90h"]
    done = subprocess.run(words, cwd=controller.folder, env=controller.environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert (done.returncode, len(re.findall(r"^\w+ \| SUCCESS", done.stdout, re.M))) == (0, 2), done.stdout
    for name in ("wiki", "blog"):
        assert sandbox.uid(name) in done.stdout
