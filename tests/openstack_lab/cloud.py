# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers: a snapshot of everything that is slow to make, and the processes of one home on top of it."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import environment
from .lab import GUEST, LabError
from .records import Records
from .seeds import SEEDS, clouds

HERE = Path(__file__).resolve().parent
SERVERS = ("keystone", "trove", "swift", "mariadb")
PORTS = ("keystone", "trove", "swift", "account", "container", "object")
# Of the snapshot, what a home begins with.
KEPT = ("keystone", "trove", "mariadb")
# Beside it, what the servers expect to find.
FOLDERS = ("log", "guest/copies", "guest/lsn", "guest/running", "swift/etc", "swift/devices/disk", "swift/cache")
SNAPSHOTS = 5
# A loaded machine may need minutes for what else takes two seconds.
PATIENCE = 240
SETTINGS = {"token_seconds": 3600, "rate": 100000}


def snapshot(folder: Path, pythons: dict[str, Path], programs: dict[str, str]) -> Path:
    """A home as it is before the first start, made once for every state of the sources."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target = folder / fingerprint(programs)
        if not target.exists():
            # Several checkouts may share the folder.
            others = sorted((old for old in folder.iterdir() if old.is_dir()), key=lambda old: old.stat().st_mtime)
            for old in others[:-SNAPSHOTS]:
                shutil.rmtree(old)
            draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder))
            make_snapshot(draft, pythons, programs)
            draft.rename(target)
        return target


def fingerprint(programs: dict[str, str]) -> str:
    """Another one as soon as a source, a requirement or MariaDB is another."""
    total = hashlib.sha256()
    for file in sorted(HERE.rglob("*")):
        if file.suffix in (".py", ".conf", ".ini", ".yaml", ".txt", ".sql"):
            total.update(file.name.encode() + file.read_bytes())
    total.update(subprocess.run([programs["mariadbd"], "--version"], capture_output=True, check=True).stdout)
    return total.hexdigest()[:16]


def make_snapshot(home: Path, pythons: dict[str, Path], programs: dict[str, str]) -> None:
    write_configuration(home, dict.fromkeys(PORTS, 1), SETTINGS)
    for name in KEPT:
        (home / name).mkdir(mode=0o700)
    seeds = home / "seeds.json"
    seeds.write_text(json.dumps(SEEDS))

    def fill(service: str) -> None:
        run([str(pythons[service]), str(HERE / f"servers/{service}_seed.py"), str(home), str(seeds)],
            home / f"{service}.log")

    def fill_mariadb() -> None:
        user = ["--user=root"] if os.geteuid() == 0 else []
        run([programs["mariadb-install-db"], "--no-defaults", f"--datadir={home}/mariadb",
             "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
             "--innodb-log-file-size=8M", *user], home / "mariadb.log")

    with ThreadPoolExecutor() as pool:
        for job in (pool.submit(fill, "keystone"), pool.submit(fill, "trove"), pool.submit(fill_mariadb)):
            job.result()
    Records(home / "trove/trove.sqlite").add_instances(SEEDS["projects"]["demo"], SEEDS["instances"])


def run(command: list[str], log: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)} failed (all of its output: {log}):\n{tail(log)}")


def tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def write_configuration(home: Path, ports: dict[str, int], settings: dict[str, Any]) -> None:
    """All templates, with this home, its ports and settings filled in."""
    words = {"HOME": str(home), **{name.upper(): str(value) for name, value in settings.items()},
             **{f"{name.upper()}_PORT": str(port) for name, port in ports.items()}}
    (home / "etc").mkdir(exist_ok=True)
    for template in sorted((HERE / "etc").iterdir()):
        text = template.read_text()
        for name, value in words.items():
            text = text.replace(f"@{name}@", value)
        (home / "etc" / template.name).write_text(text)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has, and that no outgoing connection is given before the servers take them (one
    could even be connected to itself)."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10000, max(first_given, 20000))
        with socket.socket() as one:
            if port not in found and is_free(one, port):
                found.append(port)
    return found


def is_free(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def end_with_parent() -> None:
    """In a child: do not outlive this process, however it ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Cloud:
    """The servers of one home. They are children of this process and end with it."""

    def __init__(self, home: Path, snapshots: Path, settings: dict[str, Any]) -> None:
        self.home = home
        self.settings = {**SETTINGS, **settings}
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self._programs = environment.programs()
        self._pythons = environment.ensure()
        self._snapshots = snapshots
        # A socket's path may have 107 characters, so it gets a short folder of its own.
        self._socket_folder = Path(tempfile.mkdtemp(prefix="lab-"))
        self.socket = self._socket_folder / "my.sock"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self._furnish()
        for name in SERVERS:
            self.start_server(name)
        for name in SERVERS:
            self._await(name)
        run([self._programs["mariadb"], "--no-defaults", f"--socket={self.socket}", "--user=root",
             f"--execute=source {HERE / 'sample.sql'}"], self.home / "log/sample.log")

    def _furnish(self) -> None:
        """Everything that the servers need in an empty home."""
        source = snapshot(self._snapshots, self._pythons, self._programs)
        for name in FOLDERS:
            (self.home / name).mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            shutil.copytree(source / name, self.home / name, dirs_exist_ok=True)
        self._check_attributes()
        write_configuration(self.home, self.ports, self.settings)
        shutil.copy(self.home / "etc/swift.conf", self.home / "swift/etc/swift.conf")
        (self.home / "guest/settings.json").write_text(json.dumps({
            **GUEST, "socket": str(self.socket), "mariadb_backup": self._programs["mariadb-backup"]}))
        self._address_catalog()

    def _check_attributes(self) -> None:
        try:
            os.setxattr(self.home / "swift/devices/disk", "user.lab", b"1")
        except OSError as reason:
            raise LabError(f"Swift needs extended attributes, and the file system of {self.home} has none: {reason}. "
                           "Name another folder as the lab's home.") from None

    def _address_catalog(self) -> None:
        addresses = {
            "keystone": f"{self._address('keystone')}/v3",
            "trove": f"{self._address('trove')}/v1.0/$(project_id)s",
            "swift": f"{self._address('swift')}/v1/AUTH_$(project_id)s",
        }
        with sqlite3.connect(self.home / "keystone/keystone.sqlite") as database:
            for service, kind in (("keystone", "identity"), ("trove", "database"), ("swift", "object-store")):
                database.execute("UPDATE endpoint SET url = ? WHERE service_id IN"
                                 " (SELECT id FROM service WHERE type = ?)", (addresses[service], kind))
        database.close()

    def _address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    # -- processes -------------------------------------------------------------------------------------------------

    def start_server(self, name: str) -> None:
        command = self._command(name)
        environment_of_server = {**os.environ, "LAB_HOME": str(self.home), "TZ": "UTC", "PYTHONWARNINGS": "ignore",
                                 "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
        with (self.home / f"log/{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, cwd=self.home, env=environment_of_server,
                                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                     preexec_fn=end_with_parent)

    def _command(self, name: str) -> list[str]:
        if name == "mariadb":
            user = ["--user=root"] if os.geteuid() == 0 else []
            return [self._programs["mariadbd"], "--no-defaults", f"--datadir={self.home}/mariadb",
                    f"--socket={self.socket}", f"--pid-file={self._socket_folder}/my.pid", "--skip-networking",
                    "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M",
                    "--innodb-log-file-size=8M", "--performance-schema=off", *user]
        ports = {"keystone": ("keystone",), "trove": (), "swift": ("swift", "account", "container", "object")}[name]
        program = HERE / "servers" / ("swift_servers.py" if name == "swift" else f"{name}_server.py")
        return [str(self._pythons[name]), str(program), str(self.home), *(str(self.ports[port]) for port in ports)]

    def _await(self, name: str) -> None:
        probe = self._mariadb_answers if name == "mariadb" else lambda: self._listens(name)
        self._patiently(probe, name)

    def _patiently(self, probe: Callable[[], bool], name: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while not probe():
            code = self._processes[name].poll()
            if code is not None or time.monotonic() > give_up:
                what = f"ended with {code}" if code is not None else f"did not answer within {PATIENCE} seconds"
                log = self.home / f"log/{name}.log"
                raise LabError(f"{name} {what} ({log}):\n{tail(log)}")
            time.sleep(0.02)

    def _listens(self, name: str) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.ports[name])) == 0

    def _mariadb_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as one:
            return one.connect_ex(str(self.socket)) == 0

    def stop_server(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart_server(self, name: str, settings: dict[str, Any]) -> None:
        """The same home and ports; settings that are not named go back to what the lab began with."""
        self.stop_server(name)
        write_configuration(self.home, self.ports, {**self.settings, **settings})
        self.start_server(name)
        self._await(name)

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for name in list(self._processes):
            self.stop_server(name)
        shutil.rmtree(self._socket_folder, ignore_errors=True)

    # -- what clients need to know ---------------------------------------------------------------------------------

    def ready(self) -> dict[str, Any]:
        """Everything that the client, or a human, must know."""
        auth_url = f"{self._address('keystone')}/v3"
        (self.home / "clouds.yaml").write_text(json.dumps(clouds(auth_url), indent=2))  # JSON is YAML
        records = Records(self.home / "trove/trove.sqlite")
        return {
            "home": str(self.home), "pid": os.getpid(), "auth_url": auth_url, "ports": self.ports,
            "trove_url": f"{self._address('trove')}/v1.0", "swift_url": f"{self._address('swift')}/v1",
            "clouds": str(self.home / "clouds.yaml"), "socket": str(self.socket), "programs": self._programs,
            "projects": SEEDS["projects"],
            "users": {name: {**user, "id": number} for name, number in
                      json.loads((self.home / "keystone/users.json").read_text()).items()
                      for user in [SEEDS["users"][name]]},
            "credentials": {each["name"]: {"id": number, "secret": each["secret"]}
                            for number, each in SEEDS["credentials"].items()},
            "datastores": {name: {"version": each["version"], "version_id": records.version_id(name)}
                           for name, each in SEEDS["datastores"].items()},
            "instances": SEEDS["instances"],
        }
