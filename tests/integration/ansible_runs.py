# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs ``ansible-playbook`` and ``ansible`` as a user would, and hands back what every task answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS = 240

# Nothing of a managed host exists: a module that wanted to run there would fail.
NOWHERE = {"ansible_host": "192.0.2.1", "ansible_port": 9, "ansible_python_interpreter": "/nonexistent/python"}


@dataclass
class Answer:
    """What one task answered for one host."""

    event: str
    host: str
    task: str
    result: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.result[name]

    @property
    def failed(self) -> bool:
        return self.event == "failed"

    @property
    def failure(self) -> str:
        """The code of a typed failure."""
        assert self.failed, f"{self.task} did not fail: {self.result}"
        return self.result["failure"]["code"]

    @property
    def warnings(self) -> str:
        return "\n".join(map(str, self.result.get("warnings", ())))


@dataclass
class Run:
    """A command that has ended."""

    code: int
    output: str
    answers: list[Answer] = field(default_factory=list)

    def __getitem__(self, task: str) -> Answer:
        """The answer of a task, of one host."""
        found = [answer for answer in self.answers if answer.task == task]
        assert len(found) == 1, f"{len(found)} answers of {task!r}\n{self.output}"
        return found[0]

    def by_host(self, task: str) -> dict[str, Answer]:
        return {answer.host: answer for answer in self.answers if answer.task == task}

    @property
    def only(self) -> Answer:
        assert len(self.answers) == 1, self.output
        return self.answers[0]

    def passed(self) -> Run:
        """This run, which ended well and was told of nothing that a later ansible-core will refuse."""
        assert self.code == 0, self.output
        assert "[DEPRECATION WARNING]" not in self.output, self.output
        return self


class Controller:
    """A machine that Ansible runs on: a folder with a home, an inventory and the environment of a shell."""

    def __init__(self, place: Path, sandbox: Any, collections_path: str) -> None:
        self.place = place
        self.state_dir = place / "state"
        self._records = place / "records.jsonl"
        self._count = 0
        self._running: list[subprocess.Popen[bytes]] = []
        self.env = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "HOME": str(place), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "TMPDIR": str(place), "PYTHONWARNINGS": "ignore",
            "ANSIBLE_HOME": str(place / ".ansible"), "ANSIBLE_CONFIG": str(place / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": collections_path, "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"), "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
            "CLOUD66_API_URL": sandbox.api_url, "CLOUD66_TOKEN": sandbox.token,
            "RESTORABLE_STATE_DIR": str(self.state_dir),
        }
        if "PYTHONPYCACHEPREFIX" in os.environ:
            self.env["PYTHONPYCACHEPREFIX"] = os.environ["PYTHONPYCACHEPREFIX"]
        (place / "ansible.cfg").touch()

    def inventory(self, hosts: dict[str, dict[str, Any]]) -> Path:
        path = self.place / "hosts.json"
        path.write_text(json.dumps({"all": {"hosts": hosts, "vars": NOWHERE}}))
        return path

    def play(self, tasks: list[dict[str, Any]], *arguments: str, hosts: dict[str, Any] | None = None,
             env: dict[str, str] | None = None, **play: Any) -> Run:
        """Run these tasks on ``hosts`` (default: one that does not exist). Tasks may leave out their name."""
        return self.wait(self.start(tasks, *arguments, hosts=hosts, env=env, **play))

    def start(self, tasks: list[dict[str, Any]], *arguments: str, hosts: dict[str, Any] | None = None,
              env: dict[str, str] | None = None, wrap: list[str] | None = None, **play: Any) -> Started:
        """``wrap``: the beginning of a command, whose rest is that of the play."""
        self._count += 1
        path = self.place / f"play{self._count}.yml"
        path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **play, "tasks": tasks}]))
        return self.command("ansible-playbook", "-i", str(self.inventory(hosts or {"nowhere": {}})), str(path),
                            *arguments, env=env, wrap=wrap)

    def adhoc(self, module: str, arguments: str, *options: str, hosts: dict[str, Any] | None = None,
              env: dict[str, str] | None = None) -> Run:
        inventory = self.inventory(hosts or {"nowhere": {}})
        return self.wait(self.command("ansible", "all", "-i", str(inventory), "-m", f"restorable.backups.{module}",
                                      "-a", arguments, *options, env=env))

    def command(self, program: str, *arguments: str, env: dict[str, str] | None = None,
                wrap: list[str] | None = None) -> Started:
        """Start a program of this environment; it gets a process group of its own."""
        self._count += 1
        records = self.place / f"records{self._count}.jsonl"
        output = self.place / f"output{self._count}.txt"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [*(wrap or []), str(Path(sys.executable).parent / program), *arguments], cwd=self.place, stdin=subprocess.DEVNULL,
                stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
                env={**self.env, "RECORDER_FILE": str(records), **(env or {})})
        self._running.append(process)
        return Started(process, records, output)

    def wait(self, started: Started) -> Run:
        return started.ended()

    def close(self) -> None:
        """No process outlives its test."""
        for process in self._running:
            kill_all(process)


@dataclass
class Started:
    """A command under way."""

    process: subprocess.Popen[bytes]
    records: Path
    output: Path

    def ended(self) -> Run:
        try:
            code = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            kill_all(self.process)
            raise AssertionError(f"no end after {SECONDS} s\n{self.output.read_text()}") from None
        lines = self.records.read_text().splitlines() if self.records.exists() else []
        return Run(code, self.output.read_text(errors="replace"), [Answer(**json.loads(line)) for line in lines])

    def kill(self) -> None:
        """As when the machine loses its power: no process of the run gets to say another word."""
        kill_all(self.process)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """End a run and its workers. These have a session of their own: no signal to the run's group reaches them."""
    if process.poll() is None:
        for pid in [process.pid, *descendants(process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(10)


def descendants(pid: int) -> list[int]:
    """The process ids of children, and of theirs."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _bracket, rest = entry.read_text().rpartition(")")
        except OSError:
            continue
        parents[int(name.split()[0])] = int(rest.split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]
