# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Bytes that are read once, forwards, in bounded memory: of files, of parts joined, ahead in a thread, up to a length."""

from __future__ import annotations

import hashlib
import queue
import sys
import threading

# What is read at once. Hashing and inflating let other threads run meanwhile only for blocks that are not tiny.
BLOCK = 1 << 20
# Blocks that wait between two threads.
_DEPTH = 4
# Seconds after which a thread may ask another for the interpreter, while streams are read ahead. Python's own 5 ms are
# longer than both threads need for a block, so that they would take turns instead of working at once.
_HAND_OVER = 0.0001
# Longer than this nothing is read in one piece: lengths come from the file, and may be damaged.
MAX_READ = 64 << 20


class Damaged(Exception):
    """The bytes are not what they should be. ``code`` is a stable word; ``offset`` is in bytes of the stream that was
    read, None where it is not known."""

    def __init__(self, code, message, offset=None):
        super().__init__(message)
        self.code, self.message, self.offset = code, message, offset


class Stream:
    """Base of all streams: a subclass says where the next bytes come from, in ``_more``."""

    def __init__(self):
        self._buffer, self._position, self._ended = b"", 0, False
        # Bytes handed out so far.
        self.offset = 0

    def _more(self):
        """The next block, of any size, b"" at the end. May raise Damaged, and is not called again after either."""
        raise NotImplementedError

    def close(self):
        """Let go of what is held. Reading on is not possible."""

    def __enter__(self):
        return self

    def __exit__(self, *_about):
        self.close()

    def _refill(self):
        """Put the next block behind what is left in the buffer; False at the end."""
        if self._ended:
            return False
        try:
            block = self._more()
        except BaseException:
            self._ended = True
            raise
        if not block:
            self._ended = True
            return False
        left = self._buffer[self._position :] if self._position < len(self._buffer) else b""
        self._buffer, self._position = (left + block if left else block), 0
        return True

    def chunk(self, limit=None):
        """The next bytes at hand, at least one and at most ``limit``; b"" at the end."""
        if self._position >= len(self._buffer) and not self._refill():
            return b""
        end = len(self._buffer) if limit is None else min(len(self._buffer), self._position + limit)
        piece = self._buffer if not self._position and end == len(self._buffer) else self._buffer[self._position : end]
        self._position = end
        if end == len(self._buffer):
            self._buffer, self._position = b"", 0
        self.offset += len(piece)
        return piece

    def read(self, size):
        """Exactly so many bytes. Raises Damaged("truncated") where there are fewer."""
        if size <= len(self._buffer) - self._position:
            piece = self._buffer[self._position : self._position + size]
            self._position += size
            self.offset += size
            return piece
        if size > MAX_READ:
            raise Damaged("bad_structure", "a length of %d bytes, more than makes sense here" % size, self.offset)
        start, pieces, missing = self.offset, [], size
        while missing:
            piece = self.chunk(missing)
            if not piece:
                raise Damaged(
                    "truncated", "ends %d bytes too early" % missing if start else "ends too early", self.offset
                )
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def peek(self, size):
        """Up to so many bytes without taking them; fewer only at the end."""
        while len(self._buffer) - self._position < size and self._refill():
            pass
        return self._buffer[self._position : self._position + size]

    def give_back(self, data):
        """Put bytes back that were taken last."""
        if data:
            self._buffer, self._position = data + self._buffer[self._position :], 0
            self.offset -= len(data)

    def skip(self, size):
        """Pass over so many bytes. Raises Damaged("truncated") where there are fewer."""
        while size:
            piece = self.chunk(size)
            if not piece:
                raise Damaged("truncated", "ends %d bytes too early" % size, self.offset)
            size -= len(piece)

    def drain(self):
        """Read to the end; the number of bytes that were left."""
        start = self.offset
        while self.chunk():
            pass
        return self.offset - start

    def at_end(self):
        return not self.peek(1)


class Bytes(Stream):
    """Bytes that are there already; ``pieces`` chooses where blocks begin and end."""

    def __init__(self, content=b"", pieces=None):
        super().__init__()
        self._pieces = iter([content] if pieces is None else pieces)

    def _more(self):
        return next((piece for piece in self._pieces if piece), b"")


class Bounded(Stream):
    """The next ``size`` bytes of another stream. A premature end of that is one of this, too."""

    def __init__(self, stream, size):
        super().__init__()
        self._stream, self._left = stream, size

    def _more(self):
        if not self._left:
            return b""
        piece = self._stream.chunk(self._left)
        if not piece:
            raise Damaged("truncated", "ends %d bytes too early" % self._left, self._stream.offset)
        self._left -= len(piece)
        return piece


class Hashing(Stream):
    """Another stream, with the SHA-256 and the number of all bytes that passed."""

    def __init__(self, stream):
        super().__init__()
        self._stream, self._hash = stream, hashlib.sha256()
        self.size = 0

    def _more(self):
        block = self._stream.chunk()
        self._hash.update(block)
        self.size += len(block)
        return block

    @property
    def sha256(self):
        return self._hash.hexdigest()


class Files(Stream):
    """Files one behind the other, as parts of one. Raises OSError where one cannot be read."""

    def __init__(self, paths):
        super().__init__()
        self._paths, self._file = list(paths), None

    def _more(self):
        while True:
            if self._file is None:
                if not self._paths:
                    return b""
                self._file = open(self._paths.pop(0), "rb", buffering=0)  # pylint: disable=consider-using-with
            block = self._file.read(BLOCK)
            if block:
                return block
            self._file.close()
            self._file = None

    def close(self):
        self._paths = []
        if self._file is not None:
            self._file.close()
            self._file = None


class _HandOver:
    """Threads ask for the interpreter earlier, from the first begin() to the end() of the last who began."""

    def __init__(self):
        self._lock, self._users, self._usual = threading.Lock(), 0, None

    def begin(self):
        with self._lock:
            if not self._users:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(self._usual, _HAND_OVER))
            self._users += 1

    def end(self):
        with self._lock:
            self._users -= 1
            if not self._users:
                sys.setswitchinterval(self._usual)


_hand_over = _HandOver()


class Ahead(Stream):
    """Another stream, read ahead in a thread of its own, a few blocks and no more."""

    def __init__(self, stream):
        super().__init__()
        self._stream = stream
        self._blocks = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._started = False

    def _work(self):
        try:
            while not self._stop.is_set():
                block = self._stream.chunk()
                self._put(block)
                if not block:
                    return
        except BaseException as error:  # pylint: disable=broad-exception-caught  # it is raised where the bytes are read
            self._put(error)

    def _put(self, thing):
        while not self._stop.is_set():
            try:
                self._blocks.put(thing, timeout=0.1)
                return
            except queue.Full:
                continue

    def _more(self):
        if not self._started:
            self._started = True
            _hand_over.begin()
            self._thread.start()
        thing = self._blocks.get()
        if isinstance(thing, BaseException):
            raise thing
        return thing

    def close(self):
        """Stop reading. The thread is gone afterwards; the inner stream stays open for whoever goes on with it."""
        self._stop.set()
        if self._started:
            self._started = False
            self._thread.join()
            _hand_over.end()
        self._ended = True
