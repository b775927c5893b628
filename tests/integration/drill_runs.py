# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays that drill: their one host is this machine, their scratch servers lie in a folder where nothing else is."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_runs import Answer, Controller, Run, Started, descendants

HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
FETCH, VERIFY, DRILL = (f"restorable.backups.backup_{name}" for name in ("file_fetch", "file_verify", "drill"))
MODULE = "AnsiballZ_backup_drill.py"


class Drills(Controller):
    """A controller, and where its drills happen."""

    def __init__(self, place: Path, sandbox: Any, collections_path: str) -> None:
        super().__init__(place, sandbox, collections_path)
        # A socket's path must be short, and the user of the scratch server must be able to enter.
        self.scratch = Path(tempfile.mkdtemp(prefix="rbt-"))
        self.scratch.chmod(0o755)
        self.proofs = place / "proofs"
        # The home of a local connection is looked up by the user's name: not there.
        self.env["ANSIBLE_REMOTE_TMP"] = str(place / "remote")
        backupman = sandbox.ready["backupman"]
        self.env.update(BACKUPMAN_URL=backupman["api_url"], BACKUPMAN_API_KEY=backupman["api_key"])

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def tasks(self, *tasks: dict[str, Any], arguments: tuple[str, ...] = (), env: dict[str, str] | None = None,
              **variables: Any) -> list[Answer]:
        """The answers of these tasks, none of which ends the play. ``output`` keeps what it printed."""
        run = self.wait(self.begin(*tasks, arguments=arguments, env=env, **variables))
        self.output = run.output
        assert len(run.answers) == len(tasks), run.output
        return run.answers

    def begin(self, *tasks: dict[str, Any], arguments: tuple[str, ...] = (), env: dict[str, str] | None = None,
              wrap: list[str] | None = None, **variables: Any) -> Started:
        return self.start([{"ignore_errors": True, **task} for task in tasks], *arguments, hosts={"here": HERE}, env=env,
                          wrap=wrap, vars=variables, module_defaults={DRILL: {"scratch_dir": str(self.scratch)}})

    def drill(self, path: Any, arguments: tuple[str, ...] = (), env: dict[str, str] | None = None, **options: Any) -> Answer:
        (answer,) = self.tasks({DRILL: {"path": str(path), **options}}, arguments=arguments, env=env)
        return answer

    def in_a_small_file_system(self, size: int, *tasks: dict[str, Any]) -> Run:
        """The same where the scratch folder is a file system of so many bytes, which vanishes with the run."""
        if os.geteuid() == 0:
            around = ["unshare", "--mount", "sh", "-c"]
            inside = 'mount -t tmpfs -o size=%d,mode=755 tmpfs "$0" && exec "$@"'
        else:
            # Root in a namespace of its own, for the mount alone: servers refuse root.
            around = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
            inside = ('mount -t tmpfs -o size=%%d,mode=777 tmpfs "$0" && exec unshare --user --map-user=%d --map-group=%d "$@"'
                      % (os.geteuid(), os.getegid()))
        return self.wait(self.begin(*tasks, wrap=[*around, inside % size, str(self.scratch)]))

    def left(self) -> list[str]:
        """What lies where scratch servers are made, and who works there."""
        return sorted(os.listdir(self.scratch)) + working_in(self.scratch)

    def running(self, started: Started, ready: Callable[[], bool]) -> int:
        """The process of the module once ``ready()`` holds. Only below the run's own process is it looked for."""
        give_up = time.monotonic() + 90
        while True:
            assert time.monotonic() < give_up, started.output.read_text()
            assert started.process.poll() is None, started.output.read_text()
            # A module is run by a shell, which has its name among its words too.
            found = [pid for pid in descendants(started.process.pid)
                     if MODULE in words_of(pid) and not words_of(pid).startswith("/bin/sh")]
            if found and ready():
                return found[-1]
            time.sleep(0.05)


def words_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def working_in(folder: Path) -> list[str]:
    """Processes that have to do with a folder: by the folder that they are in, or by their words."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            inside = os.readlink(place / "cwd").startswith(str(folder))
        except OSError:
            continue
        if inside or str(folder) in words_of(int(place.name)):
            found.append(words_of(int(place.name)))
    return found


def counts(restored: dict[str, Any]) -> dict[str, int]:
    """Rows by table as the sandbox names them: without the schema of PostgreSQL, and without MongoDB's views."""
    return {table["name"].removeprefix("public."): table["rows"] for table in restored["tables"]
            if table["rows"] is not None}


def codes(answer: Answer) -> list[str]:
    assert "violations" in answer.result, answer.result
    return [violation["code"] for violation in answer["violations"]]


def live(login: dict[str, Any]) -> dict[str, Any]:
    """A login of the sandbox as ``compare`` takes it."""
    named = {f"login_{name}": login[name] for name in ("host", "port", "user", "password", "unix_socket") if name in login}
    return {**named, "database": login["database"]}


def proven(run: Run | Answer) -> Answer:
    answer = run if isinstance(run, Answer) else run.only
    assert not answer.failed, answer.result
    assert answer["proven"] is True and answer["violations"] == []
    return answer


POSTGRESQL = """--
-- PostgreSQL database dump
--

-- Dumped from database version 14.1
-- Dumped by pg_dump version 14.1

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.t (
    a text
);

COPY public.t (a) FROM stdin;
one
\\.

%s
--
-- PostgreSQL database dump complete
--

"""
MARIADB = """-- MariaDB dump 10.19  Distrib 10.6.12-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version\t10.6.12-MariaDB

/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (
  `a` text DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `t` VALUES ('one');
%s
-- Dump completed on 2026-01-01  0:00:00
"""
