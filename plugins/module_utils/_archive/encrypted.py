# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What is encrypted: by ``openssl enc`` (as old versions of Trove do), GnuPG, age, and xtrabackup's own way.

Without the key nothing can be said of what is inside, so such a file is never whole: the problem ``encrypted`` is
always there. What the framing shows by itself is looked at: a file of openssl has whole blocks of 16 bytes, texts have
an end.

``details``: ``encryption`` ("openssl", "gpg", "age", "xbcrypt").
"""

from __future__ import annotations

import re

from ._stream import Damaged

FORMAT = "encrypted"

_SALTED = b"Salted__"
# Cipher blocks of AES, which is what anybody uses; the salt has 8 bytes.
_BLOCK = 16
_AGE, _AGE_TEXT = b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----"
_PGP_TEXT = b"-----BEGIN PGP MESSAGE-----"
_XBCRYPT = re.compile(rb"XBCRYP0[123]")
_END_OF = {_AGE_TEXT: b"-----END AGE ENCRYPTED FILE-----", _PGP_TEXT: b"-----END PGP MESSAGE-----"}
_TAIL = 4096


def matches(head, name):
    return _kind_of(head, name) is not None


def _kind_of(head, name):
    if head.startswith(_SALTED):
        return "openssl"
    if head.startswith((_AGE, _AGE_TEXT)):
        return "age"
    if _XBCRYPT.match(head):
        return "xbcrypt"
    if head.startswith(_PGP_TEXT) or _is_pgp(head, name):
        return "gpg"
    return None


def _is_pgp(head, name):
    """Whether bytes begin with a packet of OpenPGP that an encrypted message begins with.

    A few bytes could be anything, so the file's name must say so, too, or the packet must hold what it should.
    """
    packet = _packet(head)
    if packet is None:
        return False
    tag, content = packet
    # A session key for somebody (version 3 or 6), or from a passphrase (version 4 to 6).
    likely = (tag == 1 and content[:1] in (b"\x03", b"\x06")) or (
        tag == 3 and content[:1] in (b"\x04", b"\x05", b"\x06")
    )
    return likely and (name.lower().endswith((".gpg", ".pgp", ".asc")) or _next_is_packet(head, tag))


def _packet(head):
    """(tag, content) of the first packet, None where there is none that ends within ``head``."""
    if len(head) < 3 or not head[0] & 0x80:
        return None
    if head[0] & 0x40:
        tag, size, start = head[0] & 0x3F, head[1], 2
        if 192 <= size < 224:
            size, start = ((size - 192) << 8) + head[2] + 192, 3
        elif size >= 224:
            return None
    else:
        tag, width = head[0] >> 2 & 0x0F, head[0] & 3
        if width > 1:
            return None
        size, start = int.from_bytes(head[1 : 2 + width], "big"), 2 + width
    content = head[start : start + size]
    return (tag, content) if size and len(content) == size else None


def _next_is_packet(head, tag):
    """Whether behind the first packet comes another that belongs there: a further key, or the encrypted data."""
    first = _packet(head)[1]
    rest = head[head.index(first) + len(first) :]
    if not rest or not rest[0] & 0x80:
        return False
    following = rest[0] & 0x3F if rest[0] & 0x40 else rest[0] >> 2 & 0x0F
    return following in (1, 3, 9, 18, 20) and tag in (1, 3)


def read(stream, member, report):
    head = stream.peek(_TAIL)
    kind = _kind_of(head, member.name)
    member.format, member.details["encryption"] = FORMAT, kind
    start, tail = stream.offset, b""
    while True:
        block = stream.chunk()
        if not block:
            break
        tail = (tail + block)[-_TAIL:]
    size = stream.offset - start
    report.problem(
        "encrypted",
        "is encrypted (%s): without the key nothing tells whether it can be restored" % kind,
        member.name,
        start,
    )
    if kind == "openssl" and (size % _BLOCK or size < 2 * _BLOCK):
        raise Damaged("truncated", "%d bytes are no whole blocks of a cipher" % size, stream.offset)
    for begin, end in _END_OF.items():
        if head.startswith(begin) and not tail.rstrip(b"\r\n").endswith(end):
            raise Damaged("truncated", "lacks its last line, %s" % end.decode(), stream.offset)
    if head.startswith(_AGE) and size < len(_AGE) + 64:
        raise Damaged("truncated", "ends within its header", stream.offset)
