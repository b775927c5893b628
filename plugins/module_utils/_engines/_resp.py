# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""A client of Redis: a socket, and the few lines that its protocol takes. No password is ever in an argument list."""

from __future__ import annotations

import socket

# Arrays in arrays: no answer nests deeper than a few.
_MAX_DEPTH = 32


class Refusal(Exception):
    """The server answered with an error. ``word`` is the first of it: LOADING, NOAUTH, ERR ..."""

    def __init__(self, text):
        super().__init__(text)
        self.word = text.split(" ", 1)[0]


class Connection:
    """Raises OSError where the connection fails, Refusal where the server refuses, ValueError for what is no protocol.
    """

    def __init__(self, unix_socket=None, host=None, port=None, user=None, password=None, timeout=60):
        if unix_socket:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.settimeout(timeout)
                self._socket.connect(unix_socket)
            except BaseException:
                self._socket.close()
                raise
        else:
            self._socket = socket.create_connection((host or "127.0.0.1", port or 6379), timeout)
        self._file = self._socket.makefile("rb", 1 << 16)
        try:
            if password is not None:
                self.ask(*(["AUTH", user, password] if user else ["AUTH", password]))
        except BaseException:
            self.close()
            raise

    def ask(self, *words):
        """One command and its answer: bytes, int, None or a list of these."""
        (answer,) = self.ask_all([words])
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def ask_all(self, commands):
        """Several commands at once. A refusal is an answer here, so that those behind it are not lost."""
        self._socket.sendall(b"".join(map(_command, commands)))
        return [self._answer(0) for _command_sent in commands]

    def close(self):
        self._file.close()
        self._socket.close()

    def _answer(self, depth):
        line = self._file.readline(1 << 16)
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection" if not line else "an answer without an end")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Refusal(rest.decode("utf-8", "replace"))
        if kind not in b":$*" or depth > _MAX_DEPTH:
            raise ValueError("this is no server of Redis: it answers %r" % line[:40])
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"*":
            return [self._answer(depth + 1) for _each in range(number)]
        content = self._file.read(number + 2)
        if len(content) != number + 2:
            raise ConnectionError("the server closed the connection")
        return content[:-2]


def _command(words):
    raw = [word if isinstance(word, bytes) else str(word).encode("utf-8") for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in raw)
