# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What every engine has in common: its errors, its programs on this host, and what a drill may ask of it.

A dump is untrusted input. Each engine says in its docstring how it keeps a dump from running programs, reading the
server's files and reaching other databases; it never puts a password into an argument list; and it stops at the first
error, because a restore that went on after one proves nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Any, Callable, List, Optional, Tuple

from .._errors import BackupError


class EngineError(BackupError):
    """The engine refused, or could not. ``code`` is one of no_engine, engine_too_old, no_space, start_failed,
    restore_failed, server_died, query_failed, unsafe, bad_option, unsupported. Messages hold no password."""

    def __init__(self, code, message, **details):
        super().__init__(message, code=code, **details)


@dataclass
class Installation:
    """One set of programs of an engine on this host."""

    bin_dir: str
    version: Tuple[int, ...]  # as far as it is numbers: (15, 18)
    version_text: str  # as the program says it
    flavour: str = ""  # where one engine has several: "mariadb", "mysql"

    def program(self, name):
        return os.path.join(self.bin_dir, name)


@dataclass
class Job:
    """One dump to restore.

    ``open()`` gives a Stream of the plain bytes of ``member``, from the start, as often as it is called. ``path`` is
    the file (or folder) on disk where the dump lies there by itself, uncompressed, in its own format. ``parents`` are the
    jobs that an incremental backup builds on, the full one first. ``jobs``: how many things may be done at once.
    """

    member: Any
    open: Callable
    path: Optional[str] = None
    parents: List["Job"] = field(default_factory=list)
    jobs: int = 1


class Engine:
    """One engine during one drill. Its methods are called in the order in which they stand here; stop() always."""

    name = ""
    packages = ""  # a sentence's end: what to install, with the names of Debian and of Fedora
    formats = frozenset()  # words of Member.format

    def __init__(self, scratch, settings):
        """``settings``: bin_dir, jobs, memory_mb, login, timeout (seconds); what is missing or None has a default.

        ``login`` is None for a server of our own, else a dict of host, port, user, password, unix_socket, database.
        """
        self.scratch = scratch
        self.bin_dir = settings.get("bin_dir")
        self.jobs = max(1, int(settings.get("jobs") or os.cpu_count() or 1))
        self.memory_mb = int(settings.get("memory_mb") or 256)
        self.login = settings.get("login")
        self.timeout = settings.get("timeout")

    def choose(self, member):
        """Find programs that fit the dump: {"server_version", "bin_dir", ...}. Raises no_engine, engine_too_old."""
        raise NotImplementedError

    def start(self):
        """Start a scratch server, or see whether the existing one will do."""
        raise NotImplementedError

    def restore(self, job):
        raise NotImplementedError

    def counts(self):
        """{(database or None, name): rows}: exact, named as in Member.tables. None where they
        cannot be told: of a view that is listed, or of a table whose rows such a backup leaves out."""
        raise NotImplementedError

    def held(self):
        """The same of all that a file may hold, where that is more: what was, and not only what is."""
        return self.counts()

    def query(self, sql, database=None):
        """Rows as lists of texts (None for NULL), in a transaction that cannot write."""
        raise NotImplementedError

    def checksum(self, table, database=None):
        """A text that is the same for the same content, in whatever order the rows lie."""
        raise NotImplementedError

    def checksums(self, tables):
        """{(database, name): checksum} of many tables, where an engine is quicker with many than with each."""
        return {(database, name): self.checksum(name, database) for database, name in tables}

    def definitions(self):
        """{(database or None, kind, name): text} of what is no row: columns, views, indexes, triggers, sequences with their
        values, large objects, options. The texts are comparable between servers, and say nothing of owners; None
        where they cannot be read. (database or None, kind, None) stands for a kind that this login may not see."""
        return {}

    def dialect(self):
        """In whose words definitions are told. Those of two dialects can be compared by their names only."""
        return self.name

    def roles(self):
        """Names of the roles that the dump gives something to, or that act for others in it, which a scratch server does not
        have. A live() that is asked for them tells all that there are, or None where it may not see them."""
        return set()

    def version(self):
        raise NotImplementedError

    def stop(self):
        """End the server, or drop what was made on an existing one. Safe at any moment, twice too."""
        raise NotImplementedError

    @classmethod
    def live(cls, scratch, settings, login):
        """The live database to compare with: an object with counts(), query(), checksum(), definitions() and
        dialect(), which only reads."""
        raise NotImplementedError


def find_installations(folders, program, pattern, chosen=None, accept=None):
    """All sets of programs in these folders that hold ``program``, newest first, each once.

    ``pattern`` finds the version in what ``program --version`` says (group 1). ``accept(path)`` can turn a program down
    by its resolved path. With ``chosen`` (the option bin_dir) only that folder counts, and it must hold the program.
    """
    if chosen:
        folders = [os.path.expanduser(chosen)]
    found = {}
    for folder in folders:
        path = os.path.join(folder, program)
        real = os.path.realpath(path)
        # Programs are often linked to from a folder that lacks the others: what counts is where they really are.
        if real in found or not os.path.isfile(real) or not os.access(real, os.X_OK) or (accept and not accept(real)):
            continue
        text = _ask_version(real)
        match = re.search(pattern, text)
        if match:
            numbers = tuple(int(number) for number in re.findall(r"\d+", match.group(1)))
            found[real] = Installation(os.path.dirname(real), numbers, text.strip())
    if chosen and not found:
        raise EngineError("bad_option", "bin_dir: %s holds no %s that can be run" % (chosen, program), option="bin_dir")
    return sorted(found.values(), key=lambda each: each.version, reverse=True)


def path_folders():
    """The folders of PATH, and those that a task's short PATH often lacks."""
    named = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    return named + ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"]


def new_password():
    return secrets.token_hex(20)


def new_database_name():
    """A name that cannot exist before."""
    return "rbd_" + secrets.token_hex(10)


def have_program(name):
    return shutil.which(name, path=os.pathsep.join(path_folders()))


def _ask_version(program):
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
