# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server that backups are made of, and the drills of them."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._archive import sql_postgresql
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Files
from ansible_collections.restorable.backups.plugins.module_utils._engines import Job, Scratch
from ansible_collections.restorable.backups.plugins.module_utils._engines import postgresql as engine_module
from ansible_collections.restorable.backups.plugins.module_utils._engines.postgresql import PostgreSQL

# PostgreSQL refuses root.
SERVER_USER = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
RICH = Path(__file__).with_name("rich.sql")


def programs():
    """The newest PostgreSQL here that has the extensions of rich.sql."""
    found = [
        one
        for one in engine_module.installations("postgres")
        if not engine_module.lacking(one, ["hstore", "dblink", "citext"])
    ]
    if not found:
        pytest.fail("no PostgreSQL with its extensions: apt-get install postgresql postgresql-contrib")
    return found[0]


class Source:
    """``folder`` must be one that the server's user can reach."""

    def __init__(self, folder, installation, *options):
        self.folder, self.installation = Path(folder), installation
        self.data, self.socket = self.folder / "data", self.folder / "s"
        for place in (self.folder, self.socket):
            place.mkdir(exist_ok=True, mode=0o755)
            if SERVER_USER:
                os.chown(place, SERVER_USER.pw_uid, SERVER_USER.pw_gid)
        self._as_server(
            "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"
        )
        words = [
            installation.program("postgres"),
            "-D",
            self.data,
            "-k",
            self.socket,
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "max_wal_size=256MB",
            *options,
        ]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, **self._identity())
        deadline = time.monotonic() + 60
        while subprocess.run(
            [installation.program("psql"), "-h", self.socket, "-U", "postgres", "-c", "SELECT 1", "postgres"],
            capture_output=True,
            check=False,
        ).returncode:
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def _identity(self):
        return (
            {"user": SERVER_USER.pw_uid, "group": SERVER_USER.pw_gid, "extra_groups": [], "cwd": "/"}
            if SERVER_USER
            else {}
        )

    def _as_server(self, program, *words):
        subprocess.run(
            [self.installation.program(program), *words], check=True, capture_output=True, **self._identity()
        )

    def client(self, program, *words, **options):
        done = subprocess.run(
            [self.installation.program(program), "-h", self.socket, "-U", "postgres", *words],
            capture_output=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def sql(self, text, database="postgres"):
        return (
            self.client("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, input=text.encode())
            .decode()
            .strip()
        )

    def dump(self, target, database, *words):
        self.client("pg_dump", "-f", target, *words, database)
        return target

    @property
    def place(self):
        return {
            "unix_socket": str(self.socket),
            "port": None,
            "host": None,
            "user": "postgres",
            "password": None,
            "database": None,
        }

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()


def plain_job(text):
    """The job of a script that no reader has accepted: what a restore itself makes of it."""
    member = _archive.Member("dump.sql", format="pg_dump-plain", engine="postgresql", server_version=None)
    return Job(member, lambda: Bytes(text.encode("latin-1") if isinstance(text, str) else text))


def read_job(path):
    """The job of a plain dump, read first as a drill does it."""
    member, report = _archive.Member(str(path), format="pg_dump-plain", engine="postgresql"), Report()
    with Files([str(path)]) as stream:
        sql_postgresql.read(stream, member, report)
    assert report.problems == []
    return Job(member, lambda: Files([str(path)]))


def other_job(path, form, version):
    member = _archive.Member(str(path), format=form, engine="postgresql", server_version=version)
    return Job(member, lambda: Files([str(path)]), str(path))


@contextmanager
def drill(parent=None, member=None, start=True, **settings):
    """An engine in a scratch folder of its own, of which nothing is left."""
    scratch = Scratch.create(parent, SERVER_USER, nice=0)
    engine = PostgreSQL(scratch, settings)
    try:
        engine.choose(member or plain_job("").member)
        if start:
            engine.start()
        yield engine
    finally:
        try:
            engine.stop()
        finally:
            scratch.close()
    assert not os.path.exists(scratch.path)
    assert not working_in(scratch.path)


def working_in(folder):
    """Processes whose folder is this one, or in it."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/cwd").startswith(folder):
                found.append(int(name))
        except OSError:
            continue
    return found
