# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What has arrived of a backup and where it is kept, so that a run that was killed at any point can be gone on with.

Beside the destination stands a hidden folder with

- ``data`` (parts joined: every part is written at its own place in it, so that nothing is ever copied) or
  ``part-0``, ``part-1``... (parts kept);
- ``progress``: how many bytes of each part are there, 8 bytes per part, written after the data they speak of;
- ``state.json``: what is being fetched, what the storage said of each part, who fetches;
- ``lock``: locked while a process writes.

The progress is right after the death of a process, because what a process wrote stays with the kernel. After the death
of the machine it is not; then only what ``state.json`` calls flushed is believed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import struct
import threading
import time
from contextlib import suppress

from ._failures import ReceiveError, cannot

FORMAT = 1
# Between two slices nobody holds the lock. A run that has not come back after this many seconds has ended.
ABSENCE = 15.0
# For how long another's lock is waited for: a run that only looks or tidies up has let go of it by then.
PATIENCE = 5.0
_COUNTER = struct.Struct("<Q")
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class Part:
    """One part: its size (None until the storage says), what names its content there, how much of it is here."""

    def __init__(self, size=None, validator=None, flushed=0, have=0):
        self.size, self.validator, self.flushed, self.have = size, validator, flushed, have

    @property
    def complete(self):
        return self.size is not None and self.have == self.size


class Partial:
    """The hidden folder, locked for this process. Use ``take`` to get one.

    ``changed`` guards all below and is notified whenever a part has grown or its size has become known.
    ``generation`` counts how often bytes that were there have been given up.
    """

    def __init__(self, folder, lock, run_id):
        self.folder, self.run_id = folder, run_id
        self._lock = lock
        self._files = {}
        self._progress = None
        self._state = {}
        self.parts, self.joined = [], True
        self.changed = threading.Condition()
        self.generation = 0
        self.resumed_bytes = 0

    # -- taking and letting go -------------------------------------------------------------------------------------

    @classmethod
    def take(cls, folder, run_id, sleep=time.sleep):
        """Make or take over the folder. Raises ReceiveError "busy" while another run is at work on it."""
        waited, patience = 0.0, PATIENCE
        seen = None
        while True:
            lock = _locked(folder)
            if lock is None and seen is not None:
                # The run that was absent has come back.
                break
            if lock is not None:
                partial = cls(folder, lock, run_id)
                partial._state = _read_state(folder)
                run = partial._state.get("run") or {}
                # "active" without a lock is a run that died at work: there is nothing to wait for.
                if run.get("id") in (None, run_id) or run.get("active"):
                    return partial
                absent = time.time() - run.get("seen", 0)
                if not 0 <= absent < ABSENCE or waited >= ABSENCE:
                    return partial
                partial.close()
                if seen is not None and run["seen"] != seen:
                    break
                seen, patience = run["seen"], ABSENCE + PATIENCE
            if waited >= patience:
                break
            sleep(0.1)
            waited += 0.1
        raise ReceiveError("busy", "another run is fetching to this destination (its work is in %s)" % folder)

    def begin(self, what, count, joined):
        """Go on with what was begun of ``what`` (a plain dict), or start it anew."""
        self.joined = joined
        state = self._state
        boot = _boot_id()
        if state.get("format") == FORMAT and state.get("what") == what and len(state.get("parts", ())) == count:
            self.parts = [Part(part["size"], part["validator"], part["flushed"]) for part in state["parts"]]
            self._open_progress()
            self._read_progress(boot is not None and state.get("boot") == boot)
        else:
            self._empty()
            self.parts = [Part() for _part in range(count)]
            self._state = {"format": FORMAT, "what": what, "outcome": None}
            self._open_progress()
        self.resumed_bytes = sum(part.have for part in self.parts)
        self._state.update(boot=boot, run={"id": self.run_id, "active": True, "seen": time.time()})
        self.save()

    def rest(self):
        """End this process's work in a way that lets the same run come back, and others notice if it does not."""
        self.flush()
        self._state["run"] = {"id": self.run_id, "active": False, "seen": time.time()}
        self.save()
        self.close()

    def leave(self):
        """End this run; what has arrived stays for another."""
        if not (self.have if self.parts else look(self.folder)[2]):
            self.remove()
            return
        if self.parts:
            self.flush()
        self._state["run"] = None
        self.save()
        self.close()

    def remove(self):
        """Remove everything. The lock goes last, so that nobody takes a folder that is about to vanish."""
        try:
            self._empty()
            os.unlink(os.path.join(self.folder, "lock"))
            os.rmdir(self.folder)
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self):
        for file in list(self._files.values()) + [self._progress, self._lock]:
            if file is not None:
                os.close(file)
        self._files, self._progress, self._lock = {}, None, None

    def outcome_of(self, what):
        """Before ``begin``: what an earlier run found out about the whole of ``what``, {} for nothing."""
        return (self._state.get("outcome") or {}) if self._state.get("what") == what else {}

    def known_sizes(self):
        """Before ``begin``: the sizes of the parts as an earlier run noted them."""
        return [part["size"] for part in self._state.get("parts", ())]

    # -- what has arrived ------------------------------------------------------------------------------------------

    def path(self, index):
        return os.path.join(self.folder, "data" if self.joined else "part-%d" % index)

    def base(self, index):
        """Where the part begins in its file; None while the size of a part before it is unknown."""
        if not self.joined:
            return 0
        sizes = [part.size for part in self.parts[:index]]
        return None if None in sizes else sum(sizes)

    @property
    def complete(self):
        return all(part.complete for part in self.parts)

    @property
    def have(self):
        return sum(part.have for part in self.parts)

    def conclude(self, stage, sha256, each=None):
        """Note what is known of the whole, and what is about to be done with it."""
        self._state["outcome"] = {"stage": stage, "sha256": sha256, "each": each}
        self.save()

    def describe(self, index, size, validator):
        """Note what the storage says of a part, before the first byte of it is kept."""
        part = self.parts[index]
        if (part.size, part.validator) != (size, validator):
            part.size, part.validator = size, validator
            self.save()
            self.changed.notify_all()

    def fill(self, paths, sizes):
        """Take in whole files of this host: one of all parts joined, or one for each part. They are moved or copied.

        The progress says nothing of them: a run that dies before they are checked leaves nothing to go on from.
        """
        for index, path in enumerate(paths):
            _take_file(path, self.path(index))
        for part, size in zip(self.parts, sizes):
            part.size = part.have = size

    def forget(self, index):
        """Give up the bytes of one part."""
        part = self.parts[index]
        if part.have:
            self.generation += 1
        part.have = part.flushed = 0
        self._count(index)
        part.validator = None
        self._state["outcome"] = None
        self.save()
        self.changed.notify_all()

    def forget_from(self, index):
        """Give up a part whose size has changed, and all whose place depends on it."""
        for later in range(index, len(self.parts) if self.joined else index + 1):
            self.parts[later].size = None
            self.forget(later)

    def write(self, index, base, view, then=None):
        """Append to a part. Only the one thread that fetches it calls this. ``then`` is called before others see it."""
        part = self.parts[index]
        place, file = base + part.have, self._file(index)
        written = 0
        while written < len(view):
            written += os.pwrite(file, view[written:], place + written)
        with self.changed:
            part.have += written
            self._count(index)
            if then is not None:
                then()
            self.changed.notify_all()

    def flush(self):
        """Bring what has arrived to the disk, and note how much that is."""
        with self.changed:
            counts = [part.have for part in self.parts]
            # Copies, so that none is closed and its number used for something else meanwhile.
            files = [os.dup(file) for file in self._files.values()]
        for file in files:
            os.fsync(file)
            os.close(file)
        with self.changed:
            for part, count in zip(self.parts, counts):
                part.flushed = min(count, part.have)
            self.save()

    def seal(self, index):
        """A part is complete. One with a file of its own is brought to the disk and closed: there may be thousands."""
        if not self.joined:
            with self.changed:
                file = self._files.pop(index, None)
            if file is not None:
                os.fsync(file)
                os.close(file)

    def trim(self):
        """Cut off what an earlier, larger content may have left behind the end of a file."""
        ends = {self.path(index): self.base(index) + part.size for index, part in enumerate(self.parts)}
        for path, end in ends.items():
            if os.path.getsize(path) > end:
                os.truncate(path, end)

    def save(self):
        """Not flushed: a state that a dying machine loses only means that less is believed."""
        self._state["parts"] = [
            {"size": part.size, "validator": part.validator, "flushed": part.flushed} for part in self.parts
        ] or self._state.get("parts", [])
        write_whole(self.folder, "state.json", json.dumps(self._state).encode())

    def _count(self, index):
        os.pwrite(self._progress, _COUNTER.pack(self.parts[index].have), index * _COUNTER.size)

    def _file(self, index):
        key = 0 if self.joined else index
        with self.changed:
            if self._lock is None:
                # A thread that comes back from a connection after the end.
                raise ReceiveError("changed", "the fetch has ended")
            if key not in self._files:
                self._files[key] = os.open(self.path(index), os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
            return self._files[key]

    def _open_progress(self):
        if self._progress is None:
            self._progress = os.open(os.path.join(self.folder, "progress"), os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)

    def _read_progress(self, trusted):
        """Believe no more than the files can hold."""
        counters = os.pread(self._progress, len(self.parts) * _COUNTER.size, 0)
        for index, part in enumerate(self.parts):
            raw = counters[index * _COUNTER.size : (index + 1) * _COUNTER.size]
            counted = _COUNTER.unpack(raw)[0] if len(raw) == _COUNTER.size else 0
            have = counted if trusted else min(counted, part.flushed)
            base = self.base(index)
            there = 0 if base is None else max(0, _size(self.path(index)) - base)
            if part.size is not None:
                have = min(have, part.size)
            part.have = min(have, there)
            self._count(index)

    def _empty(self):
        for file in self._files.values():
            os.close(file)
        if self._progress is not None:
            os.close(self._progress)
        self._files, self._progress = {}, None
        for name in os.listdir(self.folder):
            if name != "lock":
                os.unlink(os.path.join(self.folder, name))


def look(folder):
    """(what is being fetched, complete part numbers, bytes) of a folder that may be there, without taking it."""
    state = _read_state(folder)
    if state.get("format") != FORMAT:
        return None, [], 0
    try:
        with open(os.path.join(folder, "progress"), "rb") as file:
            counted = [count for (count,) in _COUNTER.iter_unpack(file.read())]
    except (OSError, struct.error):
        return None, [], 0
    sizes = [part["size"] for part in state["parts"]]
    complete = [index for index, (size, count) in enumerate(zip(sizes, counted)) if size is not None and count >= size]
    return state.get("what"), complete, sum(counted[: len(sizes)])


def write_whole(folder, name, data):
    """Put a small file in its place all at once."""
    temporary = os.path.join(folder, name + ".new")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
    try:
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)
    os.rename(temporary, os.path.join(folder, name))


def _take_file(path, place):
    """Move a file of this host, or copy it where moving would not make it ours."""
    about, user = os.lstat(path), os.geteuid()
    if not stat.S_ISREG(about.st_mode):
        raise ReceiveError("changed", "someone else replaced %s meanwhile" % path)
    if user in (0, about.st_uid) and about.st_dev == os.stat(os.path.dirname(place)).st_dev:
        os.rename(path, place)
        os.chown(place, user, os.getegid())
        os.chmod(place, 0o600)
        return
    with open(path, "rb") as source:
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
        with os.fdopen(file, "wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
    with suppress(OSError):
        # Not ours to remove where another user brought it: then it goes with its folder.
        os.unlink(path)


def _size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _locked(folder):
    """A file descriptor that holds the folder's lock, None while another process has it."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise cannot("write to", os.path.dirname(folder), error)
    try:
        about = os.lstat(folder)
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            raise ReceiveError(
                "bad_dest",
                "%s is in the way: it is not a folder of the user who fetches. Remove it." % folder,
                path=folder,
            )
        path = os.path.join(folder, "lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
    except FileNotFoundError:
        # Another run has just removed its folder.
        return None
    except OSError as error:
        raise cannot("write to", os.path.dirname(folder), error)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A lock on a file that was removed meanwhile holds nobody off.
        if os.stat(path).st_ino == os.fstat(lock).st_ino:
            return lock
    except OSError as error:
        # A file system without locks: the record of who is at work has to do.
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            return lock
    os.close(lock)
    return None


def _read_state(folder):
    try:
        with open(os.path.join(folder, "state.json"), "rb") as file:
            state = json.loads(file.read())
        return state if isinstance(state, dict) else {}
    except (OSError, ValueError):
        return {}


def _boot_id():
    """A name for the time since the kernel started, None where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None
