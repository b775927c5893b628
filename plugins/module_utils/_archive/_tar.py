# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The tar container: every header's checksum, safe names, the blocks that end it, and nothing behind them.

Read by ourselves because Python's tarfile takes a damaged header for the end, and a missing end for a whole file. POSIX,
GNU and old headers are understood; sparse files are not.
"""

from __future__ import annotations

import re

from ._stream import Bounded, Damaged

BLOCK = 512
_END = bytes(BLOCK)
# Texts that stand in members of their own: long names, and the records of pax.
_MAX_TEXT = 1 << 20
# PostgreSQL puts its tablespaces elsewhere and says where by links.
_TABLESPACE_LINK = re.compile(r"(^|/)pg_tblspc/\d+$")
_FILES = (b"0", b"\0", b"7")
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}


def begins_a_tar(head):
    """Whether bytes begin with the header of a tar's first member, or with the end of a tar without members."""
    block = head[:BLOCK]
    return len(block) == BLOCK and (block == _END or _checksum_fits(block))


class Entry:
    """A file in a tar. ``stream`` holds its bytes until the next one is asked for."""

    def __init__(self, name, size, stream):
        self.name, self.size, self.stream = name, size, stream


def entries(stream, report, member=None):
    """The files of a tar, one after the other, each to be read before the next. Raises Damaged where the tar is.

    Names that lead out of the folder, links and devices are problems of the report, and not handed on.
    """
    count, last, seen = 0, None, set()
    extra, common = {}, {}
    while True:
        start = stream.offset
        block = _block(stream, last)
        if block == _END:
            _finish(stream, last)
            return
        if not _checksum_fits(block):
            raise Damaged("bad_checksum", "the header of the file behind %s is damaged" % (last or "the begin"), start)
        count += 1
        if count > report.limits.max_members:
            raise Damaged("bomb", "holds more than %d files" % report.limits.max_members, start)
        kind, size = block[156:157], _number(block[124:136], start)
        if kind in (b"L", b"K", b"x", b"g"):
            content = _text_of(stream, size, start)
            if kind == b"g":
                common.update(_pax(content, start))
            elif kind == b"x":
                extra.update(_pax(content, start))
            else:
                extra["path" if kind == b"L" else "linkpath"] = content.rstrip(b"\0")
            continue
        about = dict(common, **extra)
        extra = {}
        if "size" in about:
            size = _decimal(about["size"], start)
        name = _name(block, about)
        last = name
        if kind == b"S" or any(key.startswith("GNU.sparse") for key in about):
            raise Damaged("unsupported", "%s is stored as a sparse file" % name, start)
        if kind not in _FILES or name.endswith("/"):
            _look_at_special(kind, name, report, member, start)
            # Only files have content, whatever the size says of the others.
            if kind in _FILES or kind not in (b"1", b"2", b"3", b"4", b"5", b"6"):
                stream.skip(_padded(size))
            continue
        if is_unsafe(name):
            report.problem("unsafe_member", "the name %r leads out of the folder" % name, member, start)
            stream.skip(_padded(size))
            continue
        if name in seen:
            report.problem("duplicate", "%s is there twice" % name, member, start)
        seen.add(name)
        content = Bounded(stream, size)
        yield Entry(name, size, content)
        content.drain()
        stream.skip(_padded(size) - size)


def is_unsafe(name):
    """Whether a name would lead out of the folder that it is unpacked in."""
    return name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or bool(re.match(r"[A-Za-z]:", name))


def _look_at_special(kind, name, report, member, start):
    if kind == b"5" or name.endswith("/"):
        if is_unsafe(name):
            report.problem("unsafe_member", "the name %r leads out of the folder" % name, member, start)
    elif kind == b"2" and _TABLESPACE_LINK.search(name) and not is_unsafe(name):
        report.note("%s is a link to where a tablespace was" % name)
    else:
        what = _KINDS.get(kind, "something of the unknown kind %r" % kind.decode("latin-1"))
        report.problem("unsafe_member", "%s is %s" % (name, what), member, start)


def _block(stream, last):
    block = b""
    while len(block) < BLOCK:
        piece = stream.chunk(BLOCK - len(block))
        if not piece:
            where = "behind %s" % last if last else "at its begin"
            raise Damaged("truncated", "the tar ends %s, without the blocks that end it" % where, stream.offset)
        block += piece
    return block


def _finish(stream, last):
    """After the first block of zeros: another one, and no more than zeros."""
    if _block(stream, last) != _END:
        raise Damaged("bad_structure", "a block of zeros within the tar", stream.offset - BLOCK)
    while True:
        start, piece = stream.offset, stream.chunk()
        if not piece:
            return
        if piece.count(0) != len(piece):
            raise Damaged("trailing_garbage", "there is something behind the end of the tar", start)


def _checksum_fits(block):
    try:
        wanted = _octal(block[148:156])
    except ValueError:
        return False
    return wanted == sum(block[:148]) + 8 * 32 + sum(block[156:])


def _octal(field):
    return int(field.replace(b"\0", b" ").strip() or b"-", 8)


def _number(field, start):
    """A size: octal, or binary where it is large."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    if not field.strip(b" \0"):
        return 0
    try:
        return _octal(field)
    except ValueError:
        raise Damaged("bad_structure", "a header's size is no number", start)


def _decimal(text, start):
    try:
        return int(text)
    except ValueError:
        raise Damaged("bad_structure", "a header's size is no number", start)


def _padded(size):
    return (size + BLOCK - 1) // BLOCK * BLOCK


def _text_of(stream, size, start):
    if size > _MAX_TEXT:
        raise Damaged("bad_structure", "a name of %d bytes" % size, start)
    return stream.read(_padded(size))[:size]


def _pax(content, start):
    """Records of pax: ``<length> <key>=<value>\\n``."""
    found, position = {}, 0
    while position < len(content):
        space = content.find(b" ", position, position + 20)
        try:
            end = position + int(content[position:space])
        except ValueError:
            end = -1
        if space < 0 or not space < end <= len(content) or content[end - 1 : end] != b"\n":
            raise Damaged("bad_structure", "a pax header is damaged", start)
        key, _sign, value = content[space + 1 : end - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value
        position = end
    return found


def _name(block, about):
    if "path" in about:
        name = about["path"]
    else:
        name = block[:100].partition(b"\0")[0]
        prefix = block[345:500].partition(b"\0")[0]
        if prefix and block[257:263] == b"ustar\0":
            name = prefix + b"/" + name
    text = name.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace").decode("utf-8")
    while text.startswith("./"):
        text = text[2:]
    return text
