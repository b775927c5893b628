# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running things and taking their time: one after the other and round again, so that what slows the machine down for
a while slows all of them down. Medians are what counts."""

from __future__ import annotations

import gc
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND_SECONDS = 300


class Wrong(Exception):
    """Something measured did not do what it was measured for: its time means nothing."""


@dataclass(frozen=True)
class Cost:
    """Seconds: on the clock, and of the processor in the process and its children."""

    wall: float
    cpu: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)

    def __truediv__(self, number: float) -> Cost:
        return Cost(self.wall / number, self.cpu / number)


@dataclass
class Outcome:
    """A measured run: what it cost and what it said."""

    cost: Cost
    output: str = ""


def command(*words: str | Path, env: Mapping[str, str], cwd: Path, want: int = 0) -> Outcome:
    """Run a command to its end. Raises Wrong, with its last words, if it ends with another code than wanted."""
    texts = [str(word) for word in words]
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(texts, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        # wait4 tells the processor time of this very process and of the children it waited for.
        alarm = threading.Timer(COMMAND_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        try:
            _pid, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            alarm.cancel()
        wall = time.perf_counter() - start
        code = process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if code != want:
        raise Wrong(f"{' '.join(texts)}\nended with {code}:\n{said[-3000:]}")
    return Outcome(Cost(wall, usage.ru_utime + usage.ru_stime), said)


def inside(work: Callable[[], object]) -> tuple[Cost, object]:
    """The cost of a call in this process, and what it returned."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu), result


def rounds(contestants: Mapping[str, Callable[[], Cost]], times: Mapping[str, int]) -> dict[str, list[Cost]]:
    """Each contestant as often as ``times`` says, interleaved."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for turn in range(max(times.values())):
        for name, contestant in contestants.items():
            if turn < times[name]:
                costs[name].append(contestant())
                progress()
    return costs


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def progress() -> None:
    if sys.stderr.isatty():
        print(".", end="", file=sys.stderr, flush=True)


class Server:
    """The stand-in, running."""

    def __init__(self, ready: dict[str, str]):
        self.url, self.sha256 = ready["url"], ready["sha256"]
        self._context = ssl._create_unverified_context() if self.url.startswith("https:") else None

    def calls(self) -> dict[str, int]:
        """How often each source was asked for since the last time."""
        with urllib.request.urlopen(self.url + "/calls", timeout=10, context=self._context) as answer:
            return json.load(answer)


@contextmanager
def serving(**options: float | Path) -> Iterator[Server]:
    words = [sys.executable, str(Path(__file__).with_name("server.py"))]
    words += [f"--{name}={value}" for name, value in options.items()]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise Wrong("the stand-in server did not start")
            yield Server(json.loads(line))
        finally:
            process.kill()
