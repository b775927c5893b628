# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MariaDB to make backups of, on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

TOOLS = ("mariadbd", "mariadb", "mariadb-install-db", "mariadb-dump", "mariadb-backup", "mbstream")
PASSWORD = "p#'\"\\x; =y"


def tool(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    assert path, "%s is missing: install mariadb-server and mariadb-backup" % name
    return path


class Source:
    def __init__(self, folder):
        self.folder, self.socket = str(folder), str(folder / "s")
        os.chmod(self.folder, 0o755)
        data = str(folder / "data")
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        self._quietly(
            [
                tool("mariadb-install-db"),
                "--no-defaults",
                "--datadir=" + data,
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
                "--skip-name-resolve",
                *as_root,
            ]
        )
        self._log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [
                tool("mariadbd"),
                "--no-defaults",
                "--datadir=" + data,
                "--socket=" + self.socket,
                "--skip-networking",
                "--pid-file=" + str(folder / "pid"),
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=64M",
                "--innodb-log-file-size=16M",
                "--innodb-max-dirty-pages-pct=0",
                "--innodb-max-dirty-pages-pct-lwm=0",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                *as_root,
            ],
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.sql("SELECT 1")
                break
            except subprocess.CalledProcessError:
                assert self.process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
        # Accounts that the host's name got are in nobody's way but that of dumps of all accounts.
        self.sql("DELETE FROM mysql.global_priv WHERE host NOT IN ('localhost', '%'); FLUSH PRIVILEGES")

    def _quietly(self, argv, **more):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
        if done.returncode:
            print(done.stderr.decode("utf-8", "replace")[-2000:])
            raise subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
        return done

    def sql(self, script, *words):
        done = self._quietly(
            [
                tool("mariadb"),
                "--no-defaults",
                "-S",
                self.socket,
                "-uroot",
                "-N",
                "-B",
                "--default-character-set=utf8mb4",
                *words,
            ],
            input=script.encode(),
        )
        return [line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines()]

    def dump(self, path, *words):
        """A dump by the real tool; ``words`` are its options and databases."""
        with open(path, "wb") as stream:
            subprocess.run(
                [tool("mariadb-dump"), "--no-defaults", "-S", self.socket, "-uroot", *words], stdout=stream, check=True
            )
        return path

    def backup(self, path, folder, base=None):
        """A physical backup as a stream; ``base`` is the folder of the one before. Its position is kept in ``folder``."""
        os.makedirs(folder)
        words = ["--incremental-basedir=%s" % base] if base else []
        with open(path, "wb") as stream:
            done = subprocess.run(
                [
                    tool("mariadb-backup"),
                    "--no-defaults",
                    "--backup",
                    "--stream=xbstream",
                    "-S",
                    self.socket,
                    "-uroot",
                    "--target-dir=%s" % folder,
                    "--extra-lsndir=%s" % folder,
                    *words,
                ],
                stdout=stream,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert done.returncode == 0, done.stderr[-2000:]
        return path

    def wait_for_checkpoint(self):
        deadline = time.monotonic() + 60
        while int(self.sql("SHOW GLOBAL STATUS LIKE 'Innodb_checkpoint_age'")[0][1]) > 200:
            assert time.monotonic() < deadline, "no checkpoint"
            time.sleep(0.1)

    @property
    def login(self):
        return {"unix_socket": self.socket, "user": "boss", "password": PASSWORD}

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._log.close()
