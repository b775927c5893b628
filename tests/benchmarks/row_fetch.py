# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large backup brought to a host, with its checksum."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench import HERE, Controller, Goal, Options, Row, expect, free_bytes, seconds
from measure import Cost, Server, command, median, rounds, serving

MEMORY = Path("/dev/shm")
OURS, PARTS, GET_URL = "backup_file_fetch, one part", "backup_file_fetch, three parts", "get_url with checksum"
CURL, ONE_PASS = "curl, then sha256sum", "requests in one pass"


def measure(controller: Controller, options: Options) -> Row:
    inventory = controller.write("local.ini", "[all]\nlocalhost ansible_connection=local "
                                              f"ansible_python_interpreter={sys.executable}\n")
    in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and free_bytes(MEMORY) > 2.5 * options.size
    with (tempfile.TemporaryDirectory(prefix="bench-", dir=MEMORY if in_memory else controller.place) as folder,
          serving(bytes=options.size) as server):
        race = Race(controller, inventory, server, Path(folder), options.size)
        contestants = {
            "empty": lambda: controller.run(controller.play("empty"), inventory, server.url, 1, 0).cost,
            OURS: lambda: race.fetch("whole"),
            PARTS: lambda: race.fetch("parts"),
            GET_URL: race.get_url,
            CURL: race.curl,
            ONE_PASS: race.one_pass,
        }
        runs = dict.fromkeys(contestants, options.many(3, 1))
        medians = {name: median(costs) for name, costs in rounds(contestants, runs).items()}
        empty = medians.pop("empty")
        costs = {name: cost - empty if name in (OURS, PARTS, GET_URL) else cost for name, cost in medians.items()}
        notes = [f"Destination: {'/dev/shm' if in_memory else 'the disk'}. "
                 f"An empty play of {seconds(empty.wall)} is subtracted from the tasks of Ansible",
                 "backup_file_fetch flushes the file to the disk (fsync) before it puts it in place; the others do not",
                 race.price_of_disk(controller.place, empty)]
    return Row(
        f"{options.size / (1 << 30):g} GiB with its sha256",
        costs, runs,
        [Goal("backup_file_fetch to get_url", costs[OURS].wall / costs[GET_URL].wall, 0.35),
         Goal("backup_file_fetch to requests in one pass", costs[OURS].wall / costs[ONE_PASS].wall, 0.7)],
        notes,
    )


class Race:
    """The ways to fetch, each to a place that is empty before, each looked at afterwards."""

    def __init__(self, controller: Controller, inventory: Path, server: Server, folder: Path, size: int):
        self._controller, self._inventory, self._server, self._size = controller, inventory, server, size
        self._dest = folder / "backup.tar"
        self._url = server.url + "/storage/1/0?Signature=bench"

    def _clear(self) -> None:
        for path in self._dest.parent.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _look(self, said: str | None = None) -> None:
        """The file is the right one, whatever was said of it."""
        expect(self._dest.stat().st_size == self._size, "as many bytes as the backup has")
        if said is None:
            with self._dest.open("rb") as file:
                said = hashlib.file_digest(file, "sha256").hexdigest()
        expect(said == self._server.sha256, "the bytes are those of the storage")
        self._clear()

    def fetch(self, source: str) -> Cost:
        task = {"restorable.backups.backup_file_fetch":
                {"source": source, "id": "1", "dest": str(self._dest), "checksum": f"sha256:{self._server.sha256}"}}
        cost = self._play(f"fetch_{source}", task)
        self._look()
        return cost

    def get_url(self) -> Cost:
        # Beside the destination it need not copy from one file system to another.
        wanted = {"url": self._url, "dest": str(self._dest), "tmp_dest": str(self._dest.parent), "mode": "0600",
                  "checksum": f"sha256:{self._server.sha256}"}
        cost = self._play("get_url", {"ansible.builtin.get_url": wanted})
        # It has compared the checksum itself.
        self._look(self._server.sha256)
        return cost

    def _play(self, name: str, task: dict) -> Cost:
        self._clear()
        play = self._controller.play(name, task)
        outcome = self._controller.run(play, self._inventory, self._server.url, 1)
        expect("changed=1" in outcome.output, f"{name} fetches")
        return outcome.cost

    def curl(self) -> Cost:
        return self._program("sh", "-c", 'curl -fsS -o "$2" "$1" && sha256sum "$2"', "sh", self._url, str(self._dest))

    def one_pass(self) -> Cost:
        return self._program(sys.executable, str(HERE / "one_pass.py"), self._url, str(self._dest))

    def _program(self, *words: str) -> Cost:
        self._clear()
        outcome = command(*words, env=self._controller.environment, cwd=self._controller.place)
        self._look(outcome.output.split()[0])
        return outcome.cost

    def price_of_disk(self, place: Path, empty: Cost) -> str:
        """The same fetch to the disk, and what writing and flushing alone take there."""
        with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as folder:
            if free_bytes(place) < 2.5 * self._size:
                return "No room on the disk to fetch to it, too"
            before, self._dest = self._dest, Path(folder) / "backup.tar"
            fetched = self.fetch("whole") - empty
            self._dest = before
            start = time.perf_counter()
            noise = os.urandom(1 << 20)
            with open(Path(folder) / "plain", "wb") as file:
                for _mebibyte in range(self._size >> 20):
                    file.write(noise)
                file.flush()
                written = time.perf_counter()
                os.fsync(file.fileno())
            end = time.perf_counter()
        return (f"To the disk, backup_file_fetch took {seconds(fetched.wall)} (once); there a plain write of as much "
                f"takes {seconds(written - start)}, and an fsync {seconds(end - written)} more")
