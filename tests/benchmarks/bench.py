# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rows share: the place they work in, how they run Ansible, and what they have to say in the end."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measure import Cost, Outcome, Wrong, command

HERE = Path(__file__).resolve().parent
TOKEN = "a-token-that-nobody-checks"


def uri(url: str) -> dict[str, Any]:
    """The task that one writes where there is no module for an API."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return {"ansible.builtin.uri": {"url": url, "headers": headers, "return_content": True}}


@dataclass(frozen=True)
class Options:
    """How much is measured. Numbers of runs are those of quick contestants; slow ones run less often."""

    quick: bool
    runs: int
    size: int

    def many(self, whole: int, quick: int) -> int:
        return quick if self.quick else whole


@dataclass
class Goal:
    """Something the design promises, as a number; ``met`` if that is at most, or at least, the limit."""

    text: str
    value: float
    limit: float
    at_least: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        limit = f"{'at least' if self.at_least else 'at most'} {self.limit:g}{self.unit}"
        return f"{self.text}: {self.value:.2f}{self.unit}, goal {limit}"


@dataclass
class Row:
    """One table of the report. Costs are medians, in seconds; ``runs`` says of how many."""

    title: str
    costs: dict[str, Cost] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "seconds": {name: dict(asdict(cost), runs=self.runs.get(name, 1)) for name, cost in self.costs.items()},
            "goals": [dict(asdict(goal), met=goal.met) for goal in self.goals],
            "notes": self.notes,
        }

    def as_text(self, judged: bool) -> str:
        width = max(map(len, self.costs))
        lines = [self.title, f"  {'':{width}}  {'wall':>9}  {'cpu':>9}  runs"]
        for name, cost in self.costs.items():
            times = self.runs.get(name, 1)
            lines.append(f"  {name:{width}}  {seconds(cost.wall):>9}  {seconds(cost.cpu):>9}  {times:>4}")
        goals = [f"{goal}: {'met' if goal.met else 'NOT MET'}" if judged else str(goal) for goal in self.goals]
        return "\n".join(lines + [f"  {text}" for text in goals + self.notes])


def seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if abs(value) < 0.3 else f"{value:.2f} s"


class Controller:
    """Where Ansible is run: a folder of its own, and an environment in which nothing of the user's is left."""

    def __init__(self, place: Path, environment: dict[str, str], collections: Path):
        self.place = place
        self.environment = {
            **environment,
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_LIBRARY": str(HERE / "library"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "CLOUD66_TOKEN": TOKEN,
        }

    def write(self, name: str, content: Any) -> Path:
        """A file for Ansible. JSON is YAML, too."""
        path = self.place / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1) + "\n")
        return path

    def play(self, name: str, *tasks: dict[str, Any], hosts: str = "all") -> Path:
        return self.write(f"{name}.yml", [{"hosts": hosts, "gather_facts": False, "tasks": list(tasks)}])

    def run(self, play: Path, inventory: Path, api_url: str, hosts: int, tasks: int = 1, **more: str) -> Outcome:
        """ansible-playbook. Raises Wrong unless every host did every task, and nothing changed what it should not."""
        program = Path(sys.executable).with_name("ansible-playbook")
        environment = {**self.environment, "CLOUD66_API_URL": api_url, **more}
        outcome = command(program, "-i", inventory, play, env=environment, cwd=self.place)
        done = re.findall(r"^\S+ +: ok=(\d+) .* unreachable=0 +failed=0 ", outcome.output, re.MULTILINE)
        if tasks and [int(count) for count in done] != [tasks] * hosts:
            raise Wrong(f"{play.name} did not do its {tasks} tasks on {hosts} hosts:\n{outcome.output[-2000:]}")
        return outcome


def expect(held: bool, claim: str) -> None:
    if not held:
        raise Wrong(f"this did not hold: {claim}")


def free_bytes(folder: Path) -> int:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize
