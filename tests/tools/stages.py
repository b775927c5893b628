# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stages of `make test`, one after the other, each timed and counted.

A stage that cannot run because something is missing has failed: nothing is skipped in silence. The output of every
command goes to build/log/<stage>.log and is shown when the stage fails (always, with VERBOSE=1).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import metadata
import tree
from machine import BUILD, HOME, ROOT, carry_over_pip_settings, provide_get_pip, real_pythons, test_environment

LOG = BUILD / "log"
REPORTS = BUILD / "reports"
TREE = tree.TREE
COLLECTION = tree.COLLECTION
NAME = "restorable.backups"

# A hang must not look like work. The longest command, a lane of pytest, takes half an hour on two processors.
COMMAND_SECONDS = 50 * 60

# How many failed tests of a stage the end of the run names.
MOST_NAMES = 40

# What plain pytest runs: two lanes side by side, for tests wait for servers much of the time, each in this order. The
# unit tests of the plugins are run by ansible-test, on every Python.
LANES = {
    "services": ("tools", "unit/sandbox", "sandbox", "openstack_lab", "contract", "conformance", "damage", "engines"),
    "runs": ("integration",),
}

# Stages that run beside each other where both are wanted: alone, each leaves a processor idle for half of its time.
BESIDE = {"units", "sanity"}

# Commands under way, each in a session of its own.
RUNNING: set[subprocess.Popen] = set()


class Broken(Exception):
    """The stage could not even count: something it needs is missing, or a command died."""


@dataclass
class Stage:
    """One stage while it runs: its commands write to its log, its counts add up."""

    name: str
    env: dict[str, str]
    pythons: dict[str, Path]
    passed: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return LOG / f"{self.name}.log"

    def run(self, *command: str | Path, cwd: Path = COLLECTION, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Run a command to its end; its exit code and its output (both streams, in order)."""
        words = [str(word) for word in command]
        if shutil.which(words[0], path=self.env["PATH"]) is None:
            raise Broken(f"the program {words[0]} is missing. `make clean` and `make test` make the environment anew.")
        with self.log.open("a+b") as log:
            log.write(f"\n$ {' '.join(words)}\n".encode())
            log.flush()
            start = log.tell()
            process = subprocess.Popen(words, cwd=cwd, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            RUNNING.add(process)
            try:
                code = process.wait(timeout=COMMAND_SECONDS)
            except BaseException as reason:
                # Its children too: a sandbox and its databases must not outlive an interrupted run.
                stop_group(process)
                if isinstance(reason, subprocess.TimeoutExpired):
                    raise Broken(f"{words[0]} did not end within {COMMAND_SECONDS // 60} minutes") from None
                raise
            finally:
                RUNNING.discard(process)
            log.seek(start)
            return code, log.read().decode(errors="replace")

    def check(self, *command: str | Path, **options) -> str:
        """Run a command that is one test: it passes when it ends with 0."""
        code, output = self.run(*command, **options)
        self.count(code == 0, Path(command[0]).name)
        return output

    def count(self, held: bool, name: str = "") -> None:
        if held:
            self.passed += 1
        else:
            self.failed += 1
            if name:
                self.failures.append(name)

    def say(self, text: str) -> None:
        self.notes.append(text)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(text + "\n")

    def count_junit(self, pattern: str, folder: Path) -> int:
        """Add up what the JUnit files say. A skipped test is a failed one: it was wanted and did not run."""
        seen = 0
        for file in sorted(folder.glob(pattern)):
            for case in ElementTree.parse(file).getroot().iter("testcase"):
                seen += 1
                kinds = {child.tag: child for child in case}
                if "skipped" in kinds:
                    self.say(f"SKIPPED, which counts as failed: {case.get('classname')}.{case.get('name')}: "
                             f"{kinds['skipped'].get('message')}")
                self.count(not kinds.keys() & {"failure", "error", "skipped"},
                           f"{file.stem}: {case.get('classname')}::{case.get('name')}")
        return seen


def stop_group(process: subprocess.Popen) -> None:
    # Interrupted, pytest and molecule still clean up.
    for number, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def side_by_side(calls: list[Callable[[], Any]]) -> list[Future]:
    """Make all calls at once and wait for their ends."""
    with ThreadPoolExecutor() as pool:
        works = [pool.submit(call) for call in calls]
        try:
            wait(works)
        except BaseException:
            # The signal came to this thread alone.
            for process in list(RUNNING):
                stop_group(process)
            raise
    return works


# The stages, in the order of the answers a developer wants first.

def lint(stage: Stage) -> None:
    """ansible-lint (production), yamllint, shellcheck of our own scripts"""
    stage.check("ansible-lint", "--offline", "--profile", "production", "--strict", "--nocolor")
    stage.check("yamllint", "--strict", ".")
    scripts = [name for name in tree.git_files(COLLECTION) or [] if is_shell(COLLECTION / name)]
    stage.check("shellcheck", *scripts)


def is_shell(path: Path) -> bool:
    if path.suffix == ".sh":
        return True
    with path.open("rb") as file:
        return re.match(rb"#!.*\b(ba)?sh\b", file.readline(100)) is not None


def docs(stage: Stage) -> None:
    """antsibull-docs on all documentation, and what the metadata files must have in common"""
    stage.check("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--check-extra-docs-refs",
                "--validate-collection-refs", "self", "--disallow-unknown-collection-refs", ".")
    for name, complaint in metadata.checks(COLLECTION):
        stage.count(complaint is None)
        stage.say(f"metadata: {name}: {complaint or 'ok'}")


def changelog(stage: Stage) -> None:
    """antsibull-changelog on the fragments and on the changelog"""
    stage.check("antsibull-changelog", "lint")
    stage.check("antsibull-changelog", "lint-changelog-yaml", "--strict", "changelogs/changelog.yaml")


def licences(stage: Stage) -> None:
    """REUSE: every file says who owns it and under which licence"""
    stage.check("reuse", "--root", ".", "lint")


def pytest(stage: Stage) -> None:
    """contract, conformance, engine and integration tests, the gallery of damage, and the tools, as plain pytest"""
    lanes = [Stage(f"pytest-{name}", stage.env, stage.pythons) for name in LANES]
    works = side_by_side([partial(lane, part, folders) for part, folders in zip(lanes, LANES.values())])
    for part, work in zip(lanes, works):
        stage.passed += part.passed
        stage.failed += part.failed
        stage.failures += part.failures
        if part.log.exists():
            with stage.log.open("a", encoding="utf-8") as log:
                log.write(part.log.read_text(encoding="utf-8", errors="replace"))
        work.result()


def lane(stage: Stage, names: tuple[str, ...]) -> None:
    folders = [f"tests/{name}" for name in names]
    empty = [folder for folder in folders if not any((ROOT / folder).glob("**/test_*.py"))]
    if empty:
        raise Broken(f"no tests found in {', '.join(empty)}")
    stage.log.unlink(missing_ok=True)
    report = REPORTS / f"{stage.name}.xml"
    report.unlink(missing_ok=True)
    code, _output = stage.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--durations=25", "-ra",
                              f"--junitxml={report}", *folders, cwd=ROOT, env={"PYTHONPATH": str(TREE)})
    stage.count_junit(report.name, REPORTS)
    if code and not stage.failed:
        raise Broken(f"{stage.name} ended with {code}")


def units(stage: Stage) -> None:
    """ansible-test units on every Python that is here"""
    reports = COLLECTION / "tests/output/junit"
    for version in stage.pythons:
        for report in reports.glob(f"python{version}-*.xml"):
            report.unlink()
        code, output = stage.run("ansible-test", "units", "--color", "no", "--venv", "--python", version,
                                 "tests/unit/plugins/")
        seen = stage.count_junit(f"python{version}-*.xml", reports)
        if code and not stage.failed:
            raise Broken(f"ansible-test units on Python {version} ended with {code}")
        if not seen:
            raise Broken(f"ansible-test units found no test for Python {version}: {output[-300:].strip()}")
        stage.say(f"Python {version}: {seen} tests")


def sanity(stage: Stage) -> None:
    """ansible-test sanity on every Python that is here, without ignore entries"""
    ignored = [file.name for file in (COLLECTION / "tests/sanity").glob("ignore*.txt") if file.read_text().strip()]
    stage.count(not ignored)
    if ignored:
        stage.say(f"tests/sanity holds ignore entries: {', '.join(ignored)}")
    code, output = stage.run("ansible-test", "sanity", "--color", "no", "--local")
    ran = re.findall(r'^Running sanity test "([^"]+)"', output, re.MULTILINE)
    listed = re.search(r"The (\d+) sanity test\(s\) listed below \(out of \d+\) failed", output)
    failed = int(listed[1]) if listed else int(code != 0)
    stage.passed += len(ran) - failed
    stage.failed += failed
    if not ran:
        raise Broken("ansible-test sanity ran no test")
    for left_out in re.findall(r"^WARNING: (.*[Ss]kipping.*)$", output, re.MULTILINE):
        # A Python that this machine has not was never wanted here; the first line of the run names those that are.
        if "Python" in left_out and not any(f"Python {version}" in left_out for version in stage.pythons):
            continue
        stage.count(False)
        stage.say(f"left out: {left_out}")


def artifact(stage: Stage) -> None:
    """build the collection, import it as Galaxy does, install it into an empty place and run it from there"""
    place = BUILD / "artifact"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    stage.check("ansible-galaxy", "collection", "build", "--output-path", place)
    built = list(place.glob("restorable-backups-*.tar.gz"))
    if len(built) != 1:
        raise Broken("no artifact was built")

    output = stage.check(sys.executable, "-m", "galaxy_importer.main", built[0], cwd=place)
    complaints = re.findall(r"^(?:WARNING|ERROR).*$", output, re.MULTILINE)
    stage.count(not complaints)
    for complaint in complaints:
        stage.say(f"galaxy-importer: {complaint}")

    installed = place / "installed"
    env = {"ANSIBLE_COLLECTIONS_PATH": str(installed), "ANSIBLE_GALAXY_SERVER_LIST": ""}
    stage.check("ansible-galaxy", "collection", "install", "--offline", built[0], "-p", installed, cwd=place, env=env)
    collection = installed / "ansible_collections/restorable/backups"
    for entry in collection.iterdir():
        # It must work with nothing but these.
        if entry.name not in {"meta", "plugins", "roles", "playbooks", "extensions", "MANIFEST.json", "FILES.json"}:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    listed = stage.check("ansible-doc", "--list", "--json", NAME, cwd=place, env=env)
    wanted = {f"{NAME}.{file.stem}" for file in (COLLECTION / "plugins/modules").glob("[!_]*.py")}
    stage.count(wanted <= json_object(listed).keys())

    with sandbox(stage) as ready:
        api = {**env, "CLOUD66_API_URL": ready["api_url"], "CLOUD66_TOKEN": ready["token"]}
        source = ready["stacks"][0]["uid"]
        answer = stage.check("ansible", "localhost", "-m", f"{NAME}.backup_info", "-a", f"source={source}",
                             cwd=place, env=api)
        stage.count("localhost | SUCCESS" in answer and '"backups"' in answer)
        inventory = place / "hosts.yml"
        inventory.write_text(json.dumps({"all": {"hosts": {"shop": {"protect_source": source}}}}), encoding="utf-8")
        for name in sorted(file.stem for file in (collection / "playbooks").glob("*.yml")):
            stage.check("ansible-playbook", "-i", inventory, "--syntax-check", f"{NAME}.{name}", cwd=place, env=api)


def json_object(text: str) -> dict:
    """The JSON object in the output of a command that may warn before it."""
    try:
        return json.loads(text[text.index("{"):])
    except ValueError:
        return {}


@contextmanager
def sandbox(stage: Stage) -> Iterator[dict]:
    """The sandbox, up and running, for the time of a with block."""
    program = ROOT / "tests/sandbox"
    if not program.exists():
        raise Broken("tests/sandbox is missing: the artifact has nothing to talk to")
    home = BUILD / "artifact/sandbox"
    ready = BUILD / "artifact/sandbox.json"
    with stage.log.open("ab") as log:
        process = subprocess.Popen([sys.executable, program, "--home", home, "--ready-file", ready, "--stacks", "shop"],
                                   cwd=ROOT, env=stage.env, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            give_up = time.monotonic() + 60
            while not ready.exists():
                if process.poll() is not None:
                    raise Broken(f"the sandbox ended with {process.returncode} before it was ready")
                if time.monotonic() > give_up:
                    raise Broken("the sandbox was not ready after a minute")
                time.sleep(0.1)
            yield json.loads(ready.read_text(encoding="utf-8"))
        finally:
            stop_group(process)


def molecule(stage: Stage) -> None:
    """the role's molecule scenarios"""
    scenarios = [file.parent.name for file in COLLECTION.glob("extensions/molecule/*/molecule.yml")]
    if not scenarios:
        raise Broken("no scenario in extensions/molecule")
    code, output = stage.run("molecule", "test", "--all")
    # One test is one action of a scenario: its check run, its converge, its idempotence, its verify, ...
    for outcome in re.findall(r"^\S+ > \S+: Executed: (\w+)", output, re.MULTILINE):
        if outcome != "Missing":
            stage.count(outcome == "Successful")
    if not stage.passed or code and not stage.failed:
        raise Broken(f"molecule ended with {code}")


STAGES: dict[str, Callable[[Stage], None]] = {
    stage.__name__: stage
    for stage in (lint, docs, changelog, licences, pytest, units, sanity, artifact, molecule)
}


def run_stages(names: list[str], env: dict[str, str], pythons: dict[str, Path]) -> Iterator[tuple[Stage, float]]:
    """Run stages in their order; each with the seconds that it took."""
    for _beside, group in groupby(names, lambda name: name in BESIDE or name):
        together = list(group)
        # ansible-lint and molecule install the collection there, and would find an older self before the tree.
        shutil.rmtree(HOME / ".ansible/collections", ignore_errors=True)
        print(f"{' and '.join(together)} ...", flush=True)
        for work in side_by_side([partial(run_stage, name, env, pythons) for name in together]):
            yield work.result()


def run_stage(name: str, env: dict[str, str], pythons: dict[str, Path]) -> tuple[Stage, float]:
    stage = Stage(name, env, pythons)
    stage.log.unlink(missing_ok=True)
    start = time.monotonic()
    try:
        STAGES[name](stage)
    except Broken as reason:
        stage.failed += 1
        stage.say(f"ERROR: {reason}")
    except Exception:  # one stage that dies must not hide what the others have to say
        stage.failed += 1
        stage.say(traceback.format_exc())
    seconds = time.monotonic() - start
    print(f"{name:14}{'FAILED' if stage.failed else 'ok':8}{stage.passed:5} passed {stage.failed:3} failed {seconds:7.1f} s   "
          f"{STAGES[name].__doc__}", flush=True)
    if stage.failed or os.environ.get("VERBOSE"):
        show(stage)
    return stage, seconds


def show(stage: Stage, lines: int = 400) -> None:
    text = stage.log.read_text(encoding="utf-8", errors="replace").splitlines() if stage.log.exists() else []
    if len(text) > lines:
        print(f"    | ... the beginning is in {stage.log.relative_to(ROOT)}")
    for line in text[-lines:]:
        print(f"    | {line}")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the stages of the tests.")
    parser.add_argument("stages", nargs="*", default=["all"], metavar="stage", help="which (default: all)")
    parser.add_argument("--list", action="store_true", help="say what each stage does")
    options = parser.parse_args()
    if options.list:
        for name, stage in STAGES.items():
            print(f"{name:12} {stage.__doc__}")
        return 0
    unknown = set(options.stages) - STAGES.keys() - {"all"}
    if unknown:
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are: all, {', '.join(STAGES)}")
    if shutil.which("git") is None:
        sys.exit("git is missing, and ansible-test works in git trees only. "
                 "On Debian and Ubuntu:   apt-get install git")

    LOG.mkdir(parents=True, exist_ok=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    lock = (BUILD / "stages.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("Another run works in this checkout: waiting for its end.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)

    # Told to stop (a CI's time limit), take the commands along: they are in sessions of their own.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_about: sys.exit("stopped"))
    pythons = real_pythons()
    env = {**test_environment(pythons), "ANSIBLE_COLLECTIONS_PATH": str(TREE)}
    carry_over_pip_settings()
    tree.make_tree()
    note = provide_get_pip()
    if note:
        print(note)
    print(f"Pythons for ansible-test: {' '.join(pythons)}", flush=True)

    names = list(STAGES) if "all" in options.stages else list(dict.fromkeys(options.stages))
    started = time.monotonic()
    done = list(run_stages(names, env, pythons))
    seconds_together = time.monotonic() - started

    passed = sum(stage.passed for stage, _seconds in done)
    failed = sum(stage.failed for stage, _seconds in done)
    for stage, _seconds in done:
        # Last, because of a long output often only the end is kept.
        for name in stage.failures[:MOST_NAMES]:
            print(f"failed in {stage.name}: {name}")
        if len(stage.failures) > MOST_NAMES:
            print(f"failed in {stage.name}: and {len(stage.failures) - MOST_NAMES} more, see build/log/{stage.name}.log")
    print(f"\n{'stage':14}{'passed':>8}{'failed':>8}{'seconds':>9}")
    for stage, seconds in done:
        print(f"{stage.name:14}{stage.passed:8}{stage.failed:8}{seconds:9.1f}")
    print(f"{'together':14}{passed:8}{failed:8}{seconds_together:9.1f}\n")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
