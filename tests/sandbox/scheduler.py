# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standing orders at work: dumps when they are due, imports, and the backups that tests ask for."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import ssl
import tempfile
from pathlib import Path
from typing import Any, Callable, Coroutine, Protocol, TypeVar

import aiohttp

from . import archive, cron
from .catalogue import Backup, Catalogue, Stack, Task
from .clock import Clock
from .engines import Engines
from .servers import DatabaseError, Order
from .switches import Switches

Result = TypeVar("Result")
NO_SPACE = "Not enough free space. You need at least 512 MB free space for this backup"


class TooMuch(Exception):
    """An advance of the clock would make more dumps than anybody can have meant."""


class Timetable(Protocol):
    """Standing orders of another service."""

    def next_run(self) -> int | None:
        """The first moment at which something is due."""

    async def run(self, moment: int) -> int:
        """Do what is due at this moment; answer how many backups that were."""

    def runs(self, until: float, limit: int) -> int:
        """How many backups fall due, counted until there are more than ``limit``."""


class Scheduler:
    def __init__(self, catalogue: Catalogue, clock: Clock, engines: Engines, switches: Switches, files: Path,
                 part_size: int, trust: ssl.SSLContext | bool = True) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._engines = engines
        self._switches = switches
        self.files = files
        self._part_size = part_size
        self._trust = trust
        self._moving = asyncio.Lock()
        self._room = asyncio.Semaphore(os.cpu_count() or 1)
        self._jobs: set[asyncio.Task[None]] = set()
        self.timetables: list[Timetable] = []

    # -- time ---------------------------------------------------------------------------------------------------

    def skip_missed(self) -> None:
        """Runs that fell due while the sandbox was off are not made up for; cron does not do that either."""
        for task in self._catalogue.due(self._clock.seconds()):
            self._reschedule(task, self._clock.seconds())

    async def tick(self) -> None:
        """Run what falls due as the clock goes on by itself."""
        while True:
            await asyncio.sleep(0.5)
            if self._next_moment(self._clock.seconds()) is not None:
                await self.advance(self._clock.seconds())

    async def advance(self, target: float, max_runs: int | None = None) -> int:
        """Move the clock to ``target``, stopping at every due run on the way; answer how many there were."""
        async with self._moving:
            if max_runs is not None:
                self._refuse_excess(target, max_runs)
            ran = 0
            while (moment := self._next_moment(target)) is not None:
                together = [task for task in self._catalogue.due(target) if task.next_run == moment]
                others = [other for other in self.timetables if other.next_run() == moment]
                self._move(moment)
                await asyncio.gather(*(self.run(task, moment) for task in together))
                ran += len(together) + sum(await asyncio.gather(*(other.run(moment) for other in others)))
            self._move(target)
        return ran

    def _next_moment(self, until: float) -> int | None:
        """When something falls due next, by any service's order, if it does until then."""
        due = self._catalogue.due(until)
        moments = [other.next_run() for other in self.timetables] + [due[0].next_run if due else None]
        return min((moment for moment in moments if moment is not None and moment <= until), default=None)

    def _refuse_excess(self, target: float, max_runs: int) -> None:
        runs = sum(other.runs(target, max_runs) for other in self.timetables)
        for task in self._catalogue.due(target):
            moment = task.next_run or 0
            while task.frequency and moment <= target and runs <= max_runs:
                runs += 1
                moment = cron.next_run(task.frequency, moment)
        if runs > max_runs:
            raise TooMuch(f"this would make more than {max_runs} dumps: advance in smaller steps or give max_runs")

    def _move(self, target: float) -> None:
        if self._clock.move_to(target):
            self._catalogue.remember("offset", self._clock.offset)

    def set_running(self, stack: Stack, running: bool) -> None:
        """Stop a stack's tasks, or let them go on with their next run from now."""
        if running:
            for task in self._catalogue.tasks(stack.uid):
                self._reschedule(task, self._clock.seconds())
        self._catalogue.set_running(stack.uid, running)

    def _reschedule(self, task: Task, after: float) -> None:
        if task.frequency:
            self._catalogue.set_next_run(task.id, cron.next_run(task.frequency, after))

    # -- backups ------------------------------------------------------------------------------------------------

    async def run(self, task: Task, moment: int) -> None:
        stack = self._catalogue.stack(task.stack)
        assert stack
        await self.back_up(stack, task, moment)
        self._reschedule(task, moment)
        for gone in self._catalogue.prune(task.id, task.keep_count):
            self._forget(gone)

    async def back_up(self, stack: Stack, task: Task, moment: int, failure: str | None = None) -> int:
        """One run of a task. A dump that fails leaves a record of its failure, as the service does."""
        folder = f"{stack.prefix}/{task.db_type}/{task.storage_trigger}"
        entry: dict[str, Any] = {
            "kind": "dump", "task": task.id, "group": task.group_id, "db_type": task.db_type, "folder": folder,
            "taken_at": moment, "skip_tables": task.excluded_tables, "logical": task.logical,
        }
        if failure is None:
            try:
                async with self._room:
                    entry.update(await asyncio.to_thread(self._dump, stack, task, moment))
            except DatabaseError as exc:
                failure = str(exc)
        entry.update(failure=failure, finished_at=self._clock.seconds())
        return self._catalogue.add_backups(stack, [entry])[0]

    def _dump(self, stack: Stack, task: Task, moment: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self.files) as scratch:
            stream = self._switches.get("cloud66", "mysql_binary") == "xbstream"
            order = Order(task.gzip, tuple(task.excluded), task.logical, stream)
            content, suffix = self._engines.of(task.db_type).back_up(stack.database, Path(scratch), order)
            packed = Path(scratch, "packed")
            name = archive.ENGINE_CLASSES[task.db_type] + suffix
            archive.pack(packed, task.storage_trigger, content, name, moment)
            return self._keep(packed)

    async def at_work(self, job: Callable[..., Result], *arguments: Any) -> Result:
        """Have a thread do what services with files of their own do in place of the gem, no more of it at a time than
        there are processors."""
        async with self._room:
            return await asyncio.to_thread(job, *arguments)

    def _keep(self, packed: Path) -> dict[str, Any]:
        """Move a finished archive among the stored files."""
        target = self.files / f"{secrets.token_hex(8)}.tar"
        parts = archive.parts_of(packed, self._part_size)
        packed.rename(target)
        return {"archive": target.name, "size": target.stat().st_size, "parts": parts}

    def _forget(self, backup: Backup) -> None:
        if backup.archive:
            (self.files / backup.archive).unlink(missing_ok=True)

    async def take_now(self, stack: Stack, failure: str | None) -> list[int]:
        """A backup by each of the stack's tasks at once; by its unscheduled jobs where it has no other."""
        tasks = self._catalogue.tasks(stack.uid)
        tasks = [task for task in tasks if task.frequency] or [
            task for task in tasks if task.group_id == tasks[0].group_id]
        moment = int(self._clock.seconds())
        return list(await asyncio.gather(*(self.back_up(stack, task, moment, failure) for task in tasks)))

    def delete(self, backup: Backup) -> None:
        self._catalogue.delete(backup.id)
        self._forget(backup)

    # -- imports ------------------------------------------------------------------------------------------------

    def import_later(self, stack: Stack, task: Task, url: str) -> None:
        self.spawn(self._import(stack, task, url))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something be done beside the answer to whoever asked for it."""
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._jobs:
            await asyncio.gather(*self._jobs, return_exceptions=True)

    async def stop(self) -> None:
        for job in list(self._jobs):
            job.cancel()
        await self.settle()

    async def _import(self, stack: Stack, task: Task, url: str) -> None:
        """Fetch the file and keep it as a backup of the group's job; a failure is recorded as a failed one."""
        moment = int(self._clock.seconds())
        entry: dict[str, Any] = {
            "kind": "import", "task": task.id, "group": task.group_id, "db_type": task.db_type, "taken_at": moment,
            "folder": f"{stack.prefix}/{task.db_type}/{task.storage_trigger}",
        }
        scratch = Path(tempfile.mkdtemp(dir=self.files))
        try:
            fetched = scratch / "fetched"
            async with (aiohttp.ClientSession(auto_decompress=False) as session,
                        session.get(url, ssl=self._trust) as answer):
                answer.raise_for_status()
                with fetched.open("wb") as stream:
                    async for block in answer.content.iter_chunked(1 << 18):
                        stream.write(block)
            entry.update(await asyncio.to_thread(self._wrap, fetched, scratch, task, moment))
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as exc:
            entry["failure"] = f"Import failed: {exc}".split("?", 1)[0]
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, True)
        self._catalogue.add_backups(stack, [dict(entry, finished_at=self._clock.seconds())])

    def _wrap(self, fetched: Path, scratch: Path, task: Task, moment: int) -> dict[str, Any]:
        """A dump gets the gem's layout around it; what is a tar already stays as it is."""
        with fetched.open("rb") as stream:
            head = stream.read(512)
        if head[257:262] == b"ustar":
            return self._keep(fetched)
        name = archive.ENGINE_CLASSES[task.db_type] + archive.suffix_of(task.db_type, head)
        packed = scratch / "packed"
        archive.pack(packed, task.storage_trigger, fetched, name, moment)
        return self._keep(packed)

    # -- records and files that are made up, and say so ---------------------------------------------------------

    async def add_blob(self, stack: Stack, size: int, parts: int) -> dict[str, Any]:
        """A backup of the wanted size (rounded up to whole tar blocks), cut into as many parts."""
        size = max(2048, -(-size // 512) * 512)
        trigger = f"noise{size:x}x{parts}"
        target = self.files / f"{secrets.token_hex(8)}.tar"
        async with self._room:
            checksum = await asyncio.to_thread(archive.write_noise, target, trigger, size)
        # An ETag need not be an MD5 (encrypted objects have another), and that hash would cost more than the noise.
        pieces = [archive.Part(name, offset, length, f"{checksum[:24]}{number:08x}") for number, (name, offset, length)
                  in enumerate(archive.cut(size, -(-size // max(1, parts))))]
        ids = self._catalogue.add_backups(stack, [{
            "kind": "blob", "group": self._catalogue.groups(stack.uid)[0], "db_type": stack.engine,
            "folder": f"{stack.prefix}/{stack.engine}/{trigger}", "taken_at": self._clock.seconds(),
            "archive": target.name, "size": size, "parts": pieces, "extra": {"synthetic": True},
        }])
        return {"id": ids[0], "bytes": size, "sha256": checksum, "files": [piece.id for piece in pieces]}

    def add_synthetic(self, stack: Stack, count: int, every: float, overrides: dict[str, Any]) -> dict[str, Any]:
        """Records without files, one ``every`` so many seconds up to now."""
        trigger = f"synthetic{secrets.token_hex(3)}"
        now, engine = self._clock.seconds(), overrides.get("db_type", stack.engine)
        ids = self._catalogue.add_backups(stack, [{
            "kind": "synthetic", "group": self._catalogue.groups(stack.uid)[0], "db_type": engine,
            "folder": f"{stack.prefix}/{engine}/{trigger}", "taken_at": now - every * (count - 1 - number),
            "extra": {"synthetic": True, **overrides},
        } for number in range(count)])
        return {"count": len(ids), "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None,
                "series": f"{stack.prefix}/{engine}/{trigger}"}
