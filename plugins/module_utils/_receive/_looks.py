# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Whether what a storage sends can be what was asked for, as far as its first bytes and its declared type tell.

Only a file whose name promises an archive or compressed data is judged. Bytes that are not text are never accused of
being an error page, except where a small file should begin as a tar does and does not.
"""

from __future__ import annotations

import codecs
import json
import re

# How a file is expected to look: the beginning of a tar, or anything but text.
TAR, BINARY = "tar", "binary"
BLOCK = 512
# The end of a part may be a few bytes that happen to be letters; an error says more than that.
_SHORTEST_TEXT = 8
_TAR_NAME = re.compile(r"(^|\.)tar(-[a-z]{2,3}|\.(?!(gz|bz|xz|lz|zst|lzo|gpg|pgp|enc|aes|br)$)[a-z]{2,3})?$")
_BINARY_NAME = re.compile(
    r"\.(tar|tgz|tbz2?|txz|gz|bz2|xz|zst|lz4|lzo|lzma|zip|7z|rdb|xbstream|gpg|pgp|enc|aes)([-.][a-z]{2,3})?$", re.I
)
_PAGE_TYPE = re.compile(r"^(text/(html|xml|json)|application/([a-z0-9.-]+\+)?(json|xml|html)|application/xhtml\+xml)$")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def expected_look(name, number):
    """How part ``number`` (from 0) of that name begins: TAR, BINARY, or None where the name does not tell."""
    if _TAR_NAME.search(name):
        return BINARY if number else TAR
    return BINARY if _BINARY_NAME.search(name) else None


def stranger(data, whole, declared, look):
    """What the bytes are in place of the file that was asked for, in words, or None where they may well be that file.

    ``data`` are the first bytes, at least a block unless they are ``whole``; ``declared`` is the type in the header.
    """
    if look is None or not data:
        return None
    kind = (declared or "").partition(";")[0].strip().lower()
    block = data[:BLOCK]
    if look == TAR and begins_a_tar(block):
        return None
    if _PAGE_TYPE.match(kind):
        return kind
    if kind.startswith("text/") and not _CONTROL.search(block):
        return "text"
    if look == TAR:
        if _is_text(data if whole else block, whole):
            return "text"
        return "something that does not begin as a tar does" if whole else None
    if whole and _is_text(data, whole) and (len(data) >= _SHORTEST_TEXT or _is_json(data)):
        return "text"
    return None


def begins_a_tar(block):
    """Whether a block of 512 bytes is the header of a tar's first member, or the end of one without members."""
    if len(block) < BLOCK:
        return False
    if block[257:262] == b"ustar" or not any(block):
        return True
    try:
        wanted = int(block[148:156].strip(b" \0") or b"-", 8)
    except ValueError:
        return False
    return wanted == sum(block[:148]) + 8 * 32 + sum(block[156:])


def _is_text(data, whole):
    if _CONTROL.search(data):
        return False
    try:
        # A block may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(data):
    try:
        return isinstance(json.loads(data.decode("utf-8")), (dict, list))
    except ValueError:
        return False
