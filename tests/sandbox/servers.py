# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all database servers of the sandbox have in common: how they are found, started, awaited and ended."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, Callable, Iterable, NamedTuple, Protocol

READER = "reader"  # a user of every server who may read everything and change nothing
_PR_SET_PDEATHSIG = 1
_BLOCK = 1 << 18


class DatabaseError(Exception):
    """A database server, or one of its programs, refused or is not there."""


class Order(NamedTuple):
    """How a backup is to be made."""

    gzip: bool = True
    excluded: tuple[str, ...] = ()
    logical: bool = True
    stream: bool = False  # a binary backup as one stream instead of a folder


class Database(Protocol):
    """One engine. Blocking; the sandbox calls it from threads, but for ``start``: a server ends with its thread."""

    def start(self, names: list[str]) -> None:
        """Start what these databases need."""

    def ensure(self, names: list[str]) -> None:
        """Create and fill the databases that are missing."""

    def stop(self) -> None: ...

    def login(self, database: str) -> dict[str, Any]:
        """How to read the live database: the address, a user who can change nothing, and a password."""

    def tables(self, database: str) -> dict[str, int]:
        """Exact counts of what the live database holds."""

    def query(self, database: str, sql: str) -> str:
        """Run SQL; answer unaligned rows."""

    def command(self, database: str, body: dict[str, Any]) -> Any:
        """What an engine without SQL has in its place."""

    def back_up(self, database: str, scratch: Path, order: Order) -> tuple[Path, str]:
        """What the backup gem packs: a file or folder, made in ``scratch``, and what follows its class's name."""


def find_programs(names: Iterable[str], engine: str, remedy: str) -> dict[str, str]:
    """Where an engine's programs are; servers are not on everyone's PATH."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin", "/usr/local/bin"))
    found = {name: shutil.which(name, path=path) for name in names}
    missing = [name for name, program in found.items() if not program]
    if missing:
        raise DatabaseError(f"no {engine} found (missing: {', '.join(missing)}): {remedy}")
    return {name: str(program) for name, program in found.items()}


def own_name() -> str:
    """The system's name for who runs the sandbox."""
    return pwd.getpwuid(os.geteuid()).pw_name


def seed_of(database: str) -> int:
    """A number that makes each database's sample another one, and always the same."""
    return int(hashlib.sha256(database.encode()).hexdigest()[:6], 16)


def end_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For the child, before exec: it gets this signal when the sandbox is killed."""
    def arrange() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    return arrange


def end_leftover(pid: int, word: bytes, numbers: Iterable[signal.Signals]) -> None:
    """End a server that a killed sandbox has left; never one that only has the same number: its command line has to
    hold ``word``, the place of its data."""
    command = Path(f"/proc/{pid}/cmdline")
    try:
        if word not in command.read_bytes():
            return
        for number in numbers:
            os.kill(pid, number)
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                if word not in command.read_bytes():
                    return
                time.sleep(0.02)
    except OSError:  # it is gone
        return


def run(command: list[str], content: bytes = b"", target: Path | None = None, gzip: bool = False,
        env: dict[str, str] | None = None) -> bytes:
    """Run a program to its end; what it prints is the answer or, as it is or gzipped, goes into ``target``."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC", **(env or {})}
    name = Path(command[0]).name
    if target is None:
        done = subprocess.run(command, input=content, capture_output=True, check=False, env=environment)
        if done.returncode:
            raise DatabaseError(f"{name} failed: {_last_words(done.stderr or done.stdout)}")
        return done.stdout
    with tempfile.TemporaryFile() as errors, target.open("wb") as stream:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                              env=environment) as process:
            assert process.stdout
            squeeze = zlib.compressobj(6, zlib.DEFLATED, 31) if gzip else None
            while block := process.stdout.read(_BLOCK):
                stream.write(squeeze.compress(block) if squeeze else block)
            if squeeze:
                stream.write(squeeze.flush())
        if process.returncode:
            errors.seek(0)
            raise DatabaseError(f"{name} failed: {_last_words(errors.read())}")
    return b""


def _last_words(output: bytes) -> str:
    """Where it went wrong stands on the first line or the last ones."""
    lines = output.decode(errors="replace").strip().splitlines()
    return "\n".join(lines if len(lines) < 9 else [*lines[:2], "...", *lines[-6:]])


def squeeze(source: Path, target: Path) -> None:
    """Write a file anew, gzipped as the program does it in a pipe: without a name or a date."""
    writer = zlib.compressobj(6, zlib.DEFLATED, 31)
    with source.open("rb") as given, target.open("wb") as stream:
        while block := given.read(_BLOCK):
            stream.write(writer.compress(block))
        stream.write(writer.flush())


class Server:
    """One process whose data lie in a folder of the home, and whose socket in a short one that everybody may enter:
    a socket's path may have 107 characters, and what compares with the live database may run as another user."""

    def __init__(self, home: Path, name: str) -> None:
        self.folder = home / name
        self.data = self.folder / "data"
        self.log = home / f"{name.replace('/', '-')}.log"
        self._note = self.folder / "process.json"
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_dir = Path()

    def settle(self) -> None:
        """Folders as they have to be, and nothing left of an earlier sandbox that was killed."""
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        try:
            note = json.loads(self._note.read_text())
            end_leftover(int(note["pid"]), os.fsencode(self.data), (signal.SIGTERM, signal.SIGKILL))
            before = Path(note["socket_dir"])
            if before.lstat().st_uid == os.geteuid() and not before.is_symlink():
                shutil.rmtree(before, ignore_errors=True)
        except (OSError, ValueError, KeyError):
            pass  # there was none
        self.socket_dir = Path(tempfile.mkdtemp(prefix="rbs-"))
        self.socket_dir.chmod(0o711)

    def launch(self, command: list[str], ready: Callable[[], bool], patience: float = 30) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=end_with_parent(signal.SIGTERM),
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC",
                     "HOME": str(self.folder)})
        self._note.write_text(json.dumps({"pid": self._process.pid, "socket_dir": str(self.socket_dir)}))
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self._process.poll() is None:
            if ready():
                return
            time.sleep(0.01)
        lines = self.log.read_text(errors="replace").splitlines()
        raise DatabaseError(f"{Path(command[0]).name} did not start ({self.log}):\n" + "\n".join(lines[-15:]))

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self.socket_dir != Path():
            shutil.rmtree(self.socket_dir, ignore_errors=True)
        self._note.unlink(missing_ok=True)
