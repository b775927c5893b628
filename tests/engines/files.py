# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of files that are there, read by the readers of their formats, as a drill makes them; and drills of them."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Files
from ansible_collections.restorable.backups.plugins.module_utils._engines import Job, Scratch

# Drills of root run their servers as somebody else; those of anybody else as themselves.
RUN_AS = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
USERS = {"another user": RUN_AS, "ourselves": None} if RUN_AS else {"ourselves": None}
_KILLED = """
import time
from files import RUN_AS, drill, job_of
from ansible_collections.restorable.backups.plugins.module_utils._engines import Scratch
from %s import %s as Kind
engine = Kind(Scratch.create(%r, run_as=RUN_AS), %r)
drill(engine, job_of(%r))
print(engine._server.pid if engine._server else 0, flush=True)
time.sleep(60)
"""


def job_of(path):
    """The job of one file or folder that lies on the disk by itself; its members must be without problems."""
    examination = _archive.examine([str(path)])
    assert examination.problems == [], examination.problems
    (member,) = examination.contents
    plain = not member.compression or os.path.isdir(path)
    return Job(member, lambda: Files([str(path)]), str(path) if plain else None)


def unread_job(path, name, form):
    """A job of a file that no reader has looked at: what a restore notices by itself."""
    member = _archive.Member(name, format=form)
    return Job(member, lambda: Files([str(path)]), str(path))


def drill(engine, job):
    engine.choose(job.member)
    engine.start()
    engine.restore(job)
    return engine.counts()


@contextmanager
def short_folder():
    """A folder with a short name: sockets lie in it."""
    path = tempfile.mkdtemp(prefix="et")
    os.chmod(path, 0o755)
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path)


@contextmanager
def engines(kind, folder, run_as, timeout):
    """Makes engines, each in a scratch folder of its own below this one, and looks that nothing of them is left."""
    made = []

    def make(**settings):
        scratch = Scratch.create(str(folder), run_as=run_as)
        made.append((kind(scratch, dict({"timeout": timeout}, **settings)), scratch))
        return made[-1][0]

    try:
        yield make
    finally:
        for each, scratch in made:
            each.stop()
            each.stop()
            scratch.close()
    assert not [name for name in os.listdir(folder) if name.startswith("rbd-")]


def killed_drill(kind, folder, path, settings):
    """Kill a process when it has restored a file; the process of the server that it leaves, 0 where it has none."""
    script = _KILLED % (kind.__module__, kind.__name__, str(folder), settings, str(path))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(each for each in sys.path if each)),
    ) as process:
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    return pid


def runs(pid):
    try:
        return Path("/proc/%d/stat" % pid).read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
