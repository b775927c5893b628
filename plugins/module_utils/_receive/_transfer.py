# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Bringing parts in: several at once, for no longer than a slice of time, hashed as soon as they are in order."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import threading
import time
from collections import deque

from ._failures import ReceiveError, cannot
from ._looks import expected_look
from ._storage import FINAL, MISFIT, TRANSIENT, StorageError

CHUNK = 1 << 20
# What a slow storage has sent is put away this often.
_LINGER = 0.05
# The disk is kept busy in the background, so that little is left to flush at the end.
_FLUSH_EVERY = 5.0
# Chunks that may wait in memory to be hashed; more are read back from the file.
_MAX_OFFERS = 24
# After the end of a slice, a connection that sends nothing is cut after so many seconds.
_GRACE = 1.0


class SourceChanged(Exception):
    """The storage now holds a part of another size; what lies behind it must be put elsewhere."""

    def __init__(self, index):
        super().__init__(index)
        self.index = index


class Transfer:
    """One slice of work on a Partial. ``urls`` and ``credentials`` are by part number, ``files`` as in an order.

    ``outcomes`` holds per part number (kind, message): ("done", ""), ("paused", ""), or one of the storage's kinds.
    """

    def __init__(
        self,
        partial,
        storage,
        urls,
        files,
        credentials=None,
        workers=4,
        seconds=None,
        expected_bytes=None,
        tries=5,
        hasher=None,
    ):
        self.partial, self.storage = partial, storage
        self.outcomes, self.received, self.unmeasured = {}, 0, []
        self._urls, self._files, self._credentials = urls, files, credentials or {}
        self._workers = max(1, workers)
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._expected_bytes = expected_bytes
        # Tries of a part in a row that bring no byte, before its last problem is the answer.
        self._tries = tries
        self._queue = deque(index for index in sorted(urls) if not partial.parts[index].complete)
        self._bodies = {}
        self._hasher = hasher
        self._spare = hasher.spare if hasher is not None else []
        self._stop = threading.Event()
        self._problem = None

    def run(self):
        """Raises ReceiveError for what no further try or URL can mend."""
        self._check_space(self._expected_bytes)
        threads = [
            threading.Thread(target=self._guarded, args=(self._work,), daemon=True)
            for _worker in range(min(self._workers, len(self._queue)))
        ]
        flusher = threading.Thread(target=self._guarded, args=(self._flush_now_and_then,), daemon=True)
        for thread in threads + [flusher]:
            thread.start()
        try:
            for thread in threads:
                thread.join(None if self._deadline is None else max(0.0, self._deadline + _GRACE - time.monotonic()))
            while any(thread.is_alive() for thread in threads):
                self._abort(lambda body: body.resumable)
                for thread in threads:
                    thread.join(0.2)
        except BaseException:
            # The task was interrupted, and the process may live on.
            self._stop.set()
            self._abort()
            raise
        self._stop.set()
        with self.partial.changed:
            self.partial.changed.notify_all()
        flusher.join()
        if isinstance(self._problem, SourceChanged):
            with self.partial.changed:
                self.partial.forget_from(self._problem.index)
        elif self._problem is not None:
            raise self._problem

    def _abort(self, chosen=lambda body: True):
        """Wake up those who wait: for bytes of the chosen bodies, or for each other."""
        with self.partial.changed:
            bodies = [body for body in self._bodies.values() if chosen(body)]
            self.partial.changed.notify_all()
        for body in bodies:
            body.abort()

    # -- threads ---------------------------------------------------------------------------------------------------

    def _guarded(self, work):
        try:
            work()
        except Exception as problem:  # pylint: disable=broad-exception-caught  # the main thread raises it
            with self.partial.changed:
                self._problem = self._problem or _in_words(problem, self.partial.folder)
                self._stop.set()
                self.partial.changed.notify_all()

    def _work(self):
        while not self._over():
            try:
                index = self._queue.popleft()
            except IndexError:
                return
            kind, message = self._fetch(index)
            with self.partial.changed:
                self.outcomes[index] = kind, message
                if kind in (FINAL, TRANSIENT):
                    self._stop.set()
                self.partial.changed.notify_all()

    def _flush_now_and_then(self):
        while not self._stop.wait(_FLUSH_EVERY):
            self.partial.flush()

    # -- one part --------------------------------------------------------------------------------------------------

    def _fetch(self, index):
        base = self._wait_for_place(index)
        if base is None:
            return "paused", ""
        part = self.partial.parts[index]
        barren = 0
        while True:
            before = part.have
            try:
                if not self._attempt(index, base):
                    return "paused", ""
                self.partial.seal(index)
                return "done", ""
            except StorageError as error:
                if error.kind != TRANSIENT:
                    return error.kind, error.message
                barren = 0 if part.have > before else barren + 1
                if self._over():
                    return "paused", error.message
                if barren >= self._tries:
                    return TRANSIENT, error.message
                self._stop.wait(min(self._left(), 0.25 * 2**barren * random.uniform(0.5, 1.0)))
                if self._over():
                    return "paused", error.message

    def _wait_for_place(self, index):
        """Where the part goes, once the sizes of those before it are known. None if that cannot be in this slice."""
        partial = self.partial
        with partial.changed:
            while True:
                base = partial.base(index)
                if base is not None or self._over():
                    return base
                unknown = [before for before in range(index) if partial.parts[before].size is None]
                if any(before in self.outcomes or before not in self._urls for before in unknown):
                    return None
                partial.changed.wait(1.0)

    def _attempt(self, index, base):
        """True when the part is complete, False when the slice is over."""
        partial, part = self.partial, self.partial.parts[index]
        if part.have and not part.validator:
            with partial.changed:
                partial.forget(index)
        body = self.storage.open(
            self._urls[index],
            part.have,
            part.validator,
            expected_look(self._name(index), index),
            self._credentials.get(index),
        )
        try:
            with partial.changed:
                self._bodies[index] = body
                self._accept(index, body)
            return self._copy(index, base, body)
        finally:
            with partial.changed:
                del self._bodies[index]
            body.close()

    def _accept(self, index, body):
        """Compare what the storage is about to send with what is here."""
        partial, part = self.partial, self.partial.parts[index]
        if body.start and body.validator != part.validator:
            partial.forget(index)
            raise StorageError(TRANSIENT, "storage %s changed part %s meanwhile" % (body.host, self._name(index)))
        if body.total is not None:
            self._check_size(index, body.total)
        if part.size is not None and body.total is not None and part.size != body.total:
            raise SourceChanged(index)
        if not body.start and part.have:
            partial.forget(index)
        partial.describe(index, body.total if body.total is not None else part.size, body.validator)
        self._check_space(None)

    def _copy(self, index, base, body):
        partial, part = self.partial, self.partial.parts[index]
        ended = False
        while not ended:
            filled, since = 0, time.monotonic()
            buffer = self._buffer()
            view = memoryview(buffer)
            try:
                while filled < CHUNK:
                    count = body.read_into(view[filled:])
                    if not count:
                        ended = True
                        break
                    filled += count
                    if time.monotonic() - since > _LINGER or self._over():
                        break
            finally:
                # What came before a connection broke counts.
                self._keep(index, base, buffer, filled)
            if not ended and part.size != part.have and (self._stop.is_set() or (body.resumable and self._over())):
                return False
        if part.size is None:
            self._check_size(index, part.have)
            with partial.changed:
                partial.describe(index, part.have, part.validator)
            if not body.measured:
                self.unmeasured.append(index)
        if part.have < part.size:
            raise StorageError(
                TRANSIENT,
                "storage %s sent %d of %d bytes of part %s" % (body.host, part.have, part.size, self._name(index)),
            )
        return True

    def _check_size(self, index, size):
        problem = unfit(self._files[index], size)
        if problem is not None:
            with self.partial.changed:
                self.partial.forget(index)
            raise StorageError(MISFIT, problem)

    def _name(self, index):
        return self._files[index]["name"]

    def _buffer(self):
        with self.partial.changed:
            return self._spare.pop() if self._spare else bytearray(CHUNK)

    def _keep(self, index, base, buffer, filled):
        part = self.partial.parts[index]
        if part.size is not None and part.have + filled > part.size:
            raise StorageError(FINAL, "the storage sent more bytes of part %s than it announced" % self._name(index))

        def hand_on():
            self.received += filled
            if self._hasher is None or not self._hasher.offer(index, part.have - filled, buffer, filled):
                self._spare.append(buffer)

        self.partial.write(index, base, memoryview(buffer)[:filled], hand_on)

    # -- time and space --------------------------------------------------------------------------------------------

    def _left(self):
        return 3600.0 if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _over(self):
        return self._stop.is_set() or self._left() <= 0

    def _check_space(self, expected):
        """Refuse what cannot fit, as far as sizes are known."""
        partial = self.partial
        known = [part for part in partial.parts if part.size is not None]
        needed = sum(part.size - part.have for part in known)
        if expected is not None and len(known) < len(partial.parts):
            needed = max(needed, expected - partial.have)
        free_space(os.path.dirname(partial.folder), needed)


class Hasher(threading.Thread):
    """Follows the parts in their order and hashes what is there, waiting for more.

    What has just been fetched is taken from memory where that fits, everything else is read back from the files: parts
    that came out of order, in an earlier slice or in an earlier run. ``offer`` hands over a buffer; ``spare`` holds
    those that are free again.

    Where the service says the MD5 of a part, its size and MD5 are compared on the way: ``misfits`` is {part number:
    what is wrong}. ``without_md5`` tells that this Python refuses MD5, and sizes alone were.
    """

    def __init__(self, partial, files, each):
        super().__init__(daemon=True)
        self.partial = partial
        self.spare = []
        self.misfits = {}
        self.without_md5 = any(file.get("md5") for file in files) and _md5() is None
        self._files = files
        self._want_each = each
        self._offers = deque()
        self._place = (0, 0)
        self._result = None
        self._cancelled = False
        self._problem = None

    def offer(self, index, start, buffer, count):
        """Take the buffer if its bytes are among the next to be hashed. Called with the partial's lock held."""
        if not count or self._place[0] != index or self._place[1] > start or len(self._offers) >= _MAX_OFFERS:
            return False
        self._offers.append((index, start, buffer, count))
        return True

    def run(self):
        try:
            while not self._cancelled and not self._pass():
                pass
        except Exception as problem:  # pylint: disable=broad-exception-caught  # finish() raises it
            self._problem = problem

    def finish(self):
        """(sha256 of the whole, of each part or Nones), once all parts are complete."""
        self.join()
        if self._problem is not None:
            raise _in_words(self._problem, self.partial.folder)
        return self._result

    def cancel(self):
        with self.partial.changed:
            self._cancelled = True
            self.partial.changed.notify_all()
        self.join()

    def _pass(self):
        """One reading from the first byte. False if bytes it had read were given up meanwhile."""
        partial = self.partial
        with partial.changed:
            generation = partial.generation
            self._offers.clear()
        whole, each = hashlib.sha256(), []
        self.misfits = {}
        buffer = memoryview(bytearray(CHUNK))
        for index in range(len(partial.parts)):
            one = hashlib.sha256() if self._want_each else None
            md5 = _md5() if self._files[index].get("md5") else None
            done, file = 0, None
            try:
                while True:
                    offered, there = self._next(index, done, generation)
                    if there is None:
                        return False
                    if there == done:
                        break
                    if offered is not None:
                        data = memoryview(offered)[: there - done]
                    else:
                        if file is None:
                            file = open(partial.path(index), "rb", buffering=0)  # pylint: disable=consider-using-with
                        file.seek(partial.base(index) + done)
                        data = buffer[: file.readinto(buffer[: there - done])]
                        if not data:
                            raise ReceiveError("changed", "the partial file was cut short by someone else")
                    for found in (whole, one, md5):
                        if found is not None:
                            found.update(data)
                    done += len(data)
                    if offered is not None:
                        with partial.changed:
                            self.spare.append(offered)
            finally:
                if file is not None:
                    file.close()
            each.append(one.hexdigest() if one is not None else None)
            problem = unfit(self._files[index], done, md5 and md5.hexdigest())
            if problem is not None:
                self.misfits[index] = problem
        with partial.changed:
            if generation != partial.generation:
                return False
        self._result = whole.hexdigest(), each
        return True

    def _next(self, index, done, generation):
        """(an offered buffer or None for the file, up to where it goes) of what follows ``done``.

        ``done`` itself stands for the end of the part, None for a reading that is over.
        """
        partial, part = self.partial, self.partial.parts[index]
        with partial.changed:
            self._place = (index, done)
            while True:
                if self._cancelled or generation != partial.generation:
                    return None, None
                while self._offers and (self._offers[0][0] != index or self._offers[0][1] < done):
                    self.spare.append(self._offers.popleft()[2])
                if self._offers and self._offers[0][1] == done:
                    offer = self._offers.popleft()
                    return offer[2], done + offer[3]
                if part.have > done:
                    return None, self._offers[0][1] if self._offers else part.have
                if part.complete:
                    return None, done
                partial.changed.wait(1.0)


def unfit(file, size, md5=None):
    """What is wrong with a part's bytes by what the service says of it, in words; None where nothing is.

    Sizes alone are not judged here: services round them, or mean something else. With an MD5 they are exact.
    """
    if not file.get("md5"):
        return None
    if file["size"] not in (None, size):
        return "it has %d bytes, not %d as the service says" % (size, file["size"])
    if md5 not in (None, file["md5"]):
        return "its MD5 is %s, not %s as the service says" % (md5, file["md5"])
    return None


def _md5():
    """A new MD5, None where this Python refuses it (FIPS)."""
    for options in ({"usedforsecurity": False}, {}):
        try:
            return hashlib.md5(**options)
        except TypeError:
            continue  # before Python 3.9
        except ValueError:
            break
    return None


def free_space(folder, needed):
    """Raise ReceiveError where the file system of the folder has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ReceiveError(
            "no_space",
            "not enough free space in %s: %d bytes are still to come, %d are free" % (folder, needed, free),
            needed_bytes=needed,
            free_bytes=free,
        )


def hash_file(path):
    """(size, sha256) of a file, whatever its size."""
    found, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(CHUNK))
    with open(path, "rb", buffering=0) as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return size, found.hexdigest()
            found.update(buffer[:count])
            size += count


def _in_words(problem, folder):
    if isinstance(problem, OSError):
        if problem.errno == errno.ENOENT:
            return ReceiveError("changed", "someone else removed %s while it was written to" % folder)
        return cannot("write to", os.path.dirname(folder), problem)
    return problem
