# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""A client of MongoDB: one connection, messages of its OP_MSG kind (servers from 3.6 on), login by SCRAM.

Why not a library: a restore has the documents in BSON already, and here they go to the server as they are; and a host
of a drill needs nothing installed. TLS is not spoken.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import stringprep
import unicodedata
from struct import Struct

from ._mongodb_values import Typed, decode, encode

_HEADER = Struct("<iiii")
_INT32 = Struct("<i")
_OP_MSG = 2013
_MAX_MESSAGE = 48 * 1000 * 1000 + (16 << 10)
_MORE_TO_COME = 2


class Refusal(Exception):
    """The server answered with an error. ``name`` is its word for it."""

    def __init__(self, text, name="", number=0):
        super().__init__(text)
        self.name, self.number = name, number


class Connection:
    """Raises OSError where the connection fails, Refusal where the server refuses, ValueError for what is no protocol.
    """

    def __init__(self, unix_socket=None, host=None, port=None, user=None, password=None, source="admin", timeout=None):
        self._number = 0
        if unix_socket:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.settimeout(timeout)
                self._socket.connect(unix_socket)
            except BaseException:
                self._socket.close()
                raise
        else:
            self._socket = socket.create_connection((host or "127.0.0.1", port or 27017), timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            about = {"hello": 1, "helloOk": True}
            if user:
                about["saslSupportedMechs"] = "%s.%s" % (source, user)
            self.about = self._greet(about)
            if user:
                mechanisms = self.about.get("saslSupportedMechs") or ["SCRAM-SHA-1"]
                self._log_in(user, password or "", source, "SCRAM-SHA-256" in mechanisms)
        except BaseException:
            self.close()
            raise

    def _greet(self, about):
        try:
            return self.ask("admin", about)
        except Refusal as refusal:
            if refusal.name != "CommandNotFound":
                raise
        return self.ask(
            "admin", dict(isMaster=1, **{name: about[name] for name in about if name == "saslSupportedMechs"})
        )

    def ask(self, database, command, documents=None, raw=()):
        """One command and its answer. ``documents`` are (name, [BSON, ...]) that go along as they are; ``raw`` names
        lists of the answer whose documents stay BSON."""
        self._send(database, command, documents)
        answer = decode(self._receive(), raw)
        if not answer.get("ok"):
            raise Refusal(str(answer.get("errmsg")), str(answer.get("codeName", "")), answer.get("code", 0))
        return answer

    def find_all(self, database, command, raw=False):
        """The documents that a command with a cursor gives (find, aggregate, listCollections, listIndexes)."""
        lists = ("firstBatch", "nextBatch") if raw else ()
        cursor = self.ask(database, dict(command), raw=lists)["cursor"]
        yield from cursor["firstBatch"]
        while cursor["id"]:
            collection = cursor["ns"].split(".", 1)[1]
            cursor = self.ask(database, {"getMore": cursor["id"], "collection": collection}, raw=lists)["cursor"]
            yield from cursor["nextBatch"]

    def close(self):
        self._socket.close()

    def _send(self, database, command, documents):
        body = encode(dict(command, **{"$db": database}))
        pieces = [bytes(5), body]
        if documents:
            name, content = documents
            size = 4 + len(name) + 1 + sum(map(len, content))
            pieces += [b"\1", _INT32.pack(size), name.encode("ascii") + b"\0"] + content
        self._number += 1
        length = _HEADER.size + sum(map(len, pieces))
        self._socket.sendall(b"".join([_HEADER.pack(length, self._number, 0, _OP_MSG)] + pieces))

    def _receive(self):
        length, _number, answers, kind = _HEADER.unpack(self._exactly(_HEADER.size))
        if kind != _OP_MSG or not _HEADER.size + 10 <= length <= _MAX_MESSAGE or answers != self._number:
            raise ValueError("this is no server of MongoDB 3.6 or later")
        content = self._exactly(length - _HEADER.size)
        if content[4] != 0 or _INT32.unpack_from(content)[0] & _MORE_TO_COME:
            raise ValueError("the server sent an answer of an unknown kind")
        # A checksum may stand behind the document.
        return content[5 : 5 + _INT32.unpack_from(content, 5)[0]]

    def _exactly(self, size):
        pieces = []
        while size:
            piece = self._socket.recv(min(size, 1 << 20))
            if not piece:
                raise ConnectionError("the server closed the connection")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    # -- login -------------------------------------------------------------------------------------------------------

    def _log_in(self, user, password, source, new):
        """SCRAM (RFC 5802) with SHA-256 or SHA-1."""
        if new:
            word, digest = _prepared(password), "sha256"
        else:
            # MongoDB's own way of before: what is hashed again is a hash.
            word, digest = hashlib.new("md5", ("%s:mongo:%s" % (user, password)).encode("utf-8")).hexdigest(), "sha1"
        nonce = base64.b64encode(os.urandom(24)).decode("ascii")
        first = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), nonce)
        answer = self.ask(
            source,
            {
                "saslStart": 1,
                "mechanism": "SCRAM-SHA-256" if new else "SCRAM-SHA-1",
                "payload": ("n,," + first).encode("utf-8"),
                "options": {"skipEmptyExchange": True},
            },
        )
        told = _payload(answer)
        about = dict(part.split("=", 1) for part in told.split(","))
        rounds = int(about["i"])
        if not about["r"].startswith(nonce) or not 4096 <= rounds <= 10000000:
            raise Refusal("the server does not log in as it should")
        salted = hashlib.pbkdf2_hmac(digest, word.encode("utf-8"), base64.b64decode(about["s"]), rounds)
        key = hmac.new(salted, b"Client Key", digest).digest()
        without_proof = "c=biws,r=%s" % about["r"]
        signed = ",".join((first, told, without_proof)).encode("utf-8")
        signature = hmac.new(hashlib.new(digest, key).digest(), signed, digest).digest()
        proof = bytes(one ^ other for one, other in zip(key, signature))
        last = "%s,p=%s" % (without_proof, base64.b64encode(proof).decode("ascii"))
        answer = self.ask(
            source, {"saslContinue": 1, "conversationId": answer["conversationId"], "payload": last.encode("utf-8")}
        )
        # The server proves that it knows the password, too.
        expected = hmac.new(hmac.new(salted, b"Server Key", digest).digest(), signed, digest).digest()
        told = dict(part.split("=", 1) for part in _payload(answer).split(","))
        if not hmac.compare_digest(base64.b64decode(told.get("v", "")), expected):
            raise Refusal("the server does not know the password")
        while not answer["done"]:
            answer = self.ask(source, {"saslContinue": 1, "conversationId": answer["conversationId"], "payload": b""})


def _payload(answer):
    payload = answer["payload"]
    raw = payload.raw[5:] if isinstance(payload, Typed) else payload
    return raw.decode("utf-8")


def _prepared(password):
    """SASLprep, without its refusals: the server refuses what is wrong."""
    kept = "".join(
        " " if stringprep.in_table_c12(each) else each for each in password if not stringprep.in_table_b1(each)
    )
    return unicodedata.normalize("NFKC", kept)
