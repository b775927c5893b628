# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""BSON documents one behind the other, as MongoDB's tools write them: every one of them is walked to its last element.

Such a file has no checksum. What notices damage is that everything in it has a type and most of it a length, that names
and texts end with a zero byte and are UTF-8, and that a document ends where its length says. Nothing is decoded: a
regular expression runs over whole groups of elements, and only what it cannot describe (embedded documents, long texts,
binary data) is looked at one by one. That is 30 to 300 MB per second, by the size of the values.
"""

from __future__ import annotations

import re
from struct import Struct

from ._stream import Damaged

# What a server may send: the largest document of a user, and what an oplog entry may have around it.
MAX_DOCUMENT = (16 << 20) + (16 << 10)
# Levels of embedded documents. Servers refuse more than 180 to 250.
_MAX_DEPTH = 260
_MAX_CODE_DEPTH = 30
_WINDOW = 256 << 10

_int32 = Struct("<i").unpack_from
_int64 = Struct("<q").unpack_from
_double = Struct("<d").unpack_from

# Type: bytes of the value, for values of one length.
_SIZES = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
_SHORT_TEXT = 64


def _run_of_elements():
    """Elements with ASCII names and values that a regular expression can describe, as many as there are.

    Every alternative begins with other bytes, so that nothing is tried twice, and the number of repetitions is
    bounded, because each costs memory.
    """
    name = rb"[\x01-\x7f]*\x00"
    texts = b"|".join(
        re.escape(bytes([size + 1])) + rb"\x00\x00\x00[\x00-\x7f]{%d}\x00" % size for size in range(_SHORT_TEXT)
    )
    return (
        rb"(?:\x02" + name + rb"(?:" + texts + rb")"
        rb"|\x10" + name + rb".{4}"
        rb"|[\x01\x09\x11\x12]" + name + rb".{8}"
        rb"|\x07" + name + rb".{12}"
        rb"|\x08" + name + rb"[\x00\x01]"
        rb"|[\x06\x0a\x7f\xff]" + name + rb"|\x13" + name + rb".{16}"
        rb"|\x0b" + name + name + name + rb"){0,200}"
        # An embedded document: where it ends is not for a regular expression.
        rb"(?:[\x03\x04]" + name + rb"(.{4}))?"
    )


_RUN = re.compile(_run_of_elements(), re.DOTALL).match


class Documents:
    """What was found in a run of documents: their number, their bytes, and those without an ``_id`` (the offset of the
    first of these), as in no collection but capped ones of old and the oplog."""

    def __init__(self):
        self.number = self.size = self.without_id = 0
        self.first_without_id = None
        # Offset of the first text that is not UTF-8, and how many there are. MongoDB stores such texts, but its rules
        # forbid them.
        self.bad_texts, self.first_bad_text = 0, None

    def bad_text(self, offset):
        if not self.bad_texts:
            self.first_bad_text = offset
        self.bad_texts += 1


def scan(stream, found, terminated=False, passed=None):
    """Walk all documents up to the end of the stream, or (``terminated``) up to the four bytes of a terminator, which
    are left unread. Adds to ``found`` (Documents); ``passed(bytes)`` gets the bytes of whole documents.

    Raises Damaged with the offset in the stream.
    """
    while True:
        window = stream.peek(_WINDOW)
        position, ended = _scan_window(window, stream.offset, found, terminated)
        if not position and not ended:
            if not window and not terminated:
                return
            # One document that is longer than the window, or the end of the bytes in the middle of one.
            start = stream.offset
            window = stream.read(_length_at(window, 0, start))
            _scan_window(window, start, found, False)
            if passed:
                passed(window)
            continue
        if position:
            if passed:
                passed(window[:position] if position < len(window) else window)
            stream.skip(position)
        if ended:
            return


def split(stream, terminated=False):
    """The documents one by one, as bytes; not walked. Ends as scan() does."""
    while True:
        window = stream.peek(_WINDOW)
        if not window and not terminated:
            return
        position, size = 0, len(window)
        while position + 4 <= size:
            if terminated and window[position : position + 4] == TERMINATOR:
                stream.skip(position)
                return
            end = position + _length_at(window, position, stream.offset)
            if end > size:
                break
            yield window[position:end]
            position = end
        if position:
            stream.skip(position)
        else:
            yield stream.read(_length_at(window, 0, stream.offset))


TERMINATOR = b"\xff\xff\xff\xff"


def fields(document, offset=0):
    """The elements of one small document as a dict of plain values: texts, numbers and truth values; all others are
    None.

    The document is walked first. Raises Damaged.
    """
    found = Documents()
    _check(document, 0, len(document), offset, found)
    if found.bad_texts:
        raise Damaged("bad_encoding", "a text that is not UTF-8", found.first_bad_text)
    values, position = {}, 4
    while position < len(document) - 1:
        kind = document[position]
        zero = document.index(0, position + 1)
        name = document[position + 1 : zero].decode("utf-8")
        position = zero + 1
        values[name] = _plain_value(document, kind, position)
        position = _value_end(document, kind, position, len(document) - 1)
    return values


def _plain_value(data, kind, position):
    if kind == 0x02:
        return data[position + 4 : position + 3 + _int32(data, position)[0]].decode("utf-8")
    if kind == 0x08:
        return data[position] == 1
    readers = {0x01: _double, 0x10: _int32, 0x12: _int64}
    return readers[kind](data, position)[0] if kind in readers else None


def _length_at(window, position, offset):
    """The length of the document that begins here, looked at for sense."""
    if len(window) - position < 4:
        raise Damaged("truncated", "ends within the length of a document", offset + len(window))
    length = _int32(window, position)[0]
    if not 5 <= length <= MAX_DOCUMENT:
        raise Damaged(
            "bad_structure",
            "a document of %d bytes, where 5 to %d are possible" % (length, MAX_DOCUMENT),
            offset + position,
        )
    return length


def _scan_window(window, offset, found, terminated):
    """Walk the whole documents in these bytes. Gives where the first that is not whole begins, and whether a
    terminator is there."""
    position, size, number, ended = 0, len(window), 0, False
    length_at, run = _int32, _RUN
    while position + 4 <= size:
        length = length_at(window, position)[0]
        if not 5 <= length <= MAX_DOCUMENT:
            if length == -1 and terminated:
                ended = True
                break
            _length_at(window, position, offset)
        end = position + length
        if end > size:
            break
        # Nearly all documents of nearly all collections need no more than this line, or the one in _check().
        if run(window, position + 4, end - 1).end() != end - 1 or window[end - 1]:
            _check(window, position, end, offset, found)
        if window[position + 5 : position + 9] != b"_id\x00":
            _look_for_id(window, position, end, offset, found)
        number += 1
        position = end
    found.number += number
    found.size += position
    return position, ended


def _look_for_id(window, start, end, offset, found):
    if not _has_id(window, start, end):
        if not found.without_id:
            found.first_without_id = offset + start
        found.without_id += 1


def _has_id(data, start, end):
    """Whether a document that was walked has an _id that is not its first element."""
    if data.find(b"_id\x00", start, end) < 0:
        return False
    position = start + 4
    while position < end - 1:
        zero = data.index(0, position + 1)
        if data[position + 1 : zero] == b"_id":
            return True
        position = _value_end(data, data[position], zero + 1, end - 1)
    return False


def _check(data, start, end, offset, found, depth=0):
    """Walk the document in data[start:end]. ``offset``: where data begins in the stream; ``depth``: pieces of code
    around it, which call this function again."""
    position, limit, outer = start + 4, end - 1, []
    length_at, run = _int32, _RUN
    while True:
        match = run(data, position, limit)
        position = match.end()
        if match.lastindex:
            inner = position - 4 + length_at(data, position - 4)[0]
            if not position < inner <= limit:
                _part(data, position - 4, limit, 5, offset)
            outer.append(limit)
            if len(outer) > _MAX_DEPTH:
                raise Damaged(
                    "bad_structure",
                    "documents within documents, more than %d levels deep" % _MAX_DEPTH,
                    offset + position,
                )
            limit = inner - 1
            continue
        while position == limit:
            if data[limit]:
                raise Damaged("bad_structure", "a document does not end with a zero byte", offset + limit)
            if not outer:
                return
            position, limit = limit + 1, outer.pop()
        kind = data[position]
        zero = data.find(0, position + 1, limit)
        if zero < 0:
            raise Damaged("bad_structure", "an element's name does not end within its document", offset + position)
        name = data[position + 1 : zero]
        if not name.isascii() and not _is_text(name):
            found.bad_text(offset + position + 1)
        position = zero + 1
        if kind in (0x03, 0x04):
            inner = _part(data, position, limit, 5, offset)
            outer.append(limit)
            if len(outer) > _MAX_DEPTH:
                raise Damaged(
                    "bad_structure",
                    "documents within documents, more than %d levels deep" % _MAX_DEPTH,
                    offset + position,
                )
            position, limit = position + 4, inner - 1
        elif kind in (0x02, 0x0D, 0x0E):
            position = _text(data, position, limit, offset, found)
        else:
            position = _other(data, kind, position, limit, offset, found, depth)


def _other(data, kind, position, limit, offset, found, depth=0):
    """Where the value ends, of all types but texts and embedded documents."""
    if kind in _SIZES:
        end = position + _SIZES[kind]
        if end > limit or kind == 0x08 and data[position] > 1:
            raise Damaged("bad_structure", "a value of type 0x%02x that cannot be" % kind, offset + position)
        return end
    if kind == 0x05:
        return _binary(data, position, limit, offset)
    if kind == 0x0B:
        for _part_of_it in ("pattern", "options"):
            zero = data.find(0, position, limit)
            if zero < 0:
                raise Damaged("bad_structure", "a regular expression does not end", offset + position)
            if not _is_text(data[position:zero]):
                found.bad_text(offset + position)
            position = zero + 1
        return position
    if kind == 0x0C:
        end = _text(data, position, limit, offset, found) + 12
        if end > limit:
            raise Damaged("bad_structure", "a reference that ends behind its document", offset + position)
        return end
    if kind == 0x0F:
        return _scoped_code(data, position, limit, offset, found, depth + 1)
    raise Damaged("bad_structure", "an element of type 0x%02x, which does not exist" % kind, offset + position)


def _part(data, position, limit, least, offset):
    """Where the thing ends that begins with its own length, that length included."""
    if position + 4 > limit:
        raise Damaged("bad_structure", "a length that ends behind its document", offset + position)
    length = _int32(data, position)[0]
    if length < least or position + length > limit:
        raise Damaged("bad_structure", "a length of %d that does not fit into its document" % length, offset + position)
    return position + length


def _text(data, position, limit, offset, found):
    if position + 4 > limit:
        raise Damaged("bad_structure", "a length that ends behind its document", offset + position)
    length = _int32(data, position)[0]
    end = position + 4 + length
    if length < 1 or end > limit or data[end - 1]:
        raise Damaged("bad_structure", "a text whose length of %d does not fit" % length, offset + position)
    if not _is_text(data[position + 4 : end - 1]):
        found.bad_text(offset + position + 4)
    return end


def _binary(data, position, limit, offset):
    if position + 5 > limit:
        raise Damaged("bad_structure", "a length that ends behind its document", offset + position)
    length, subtype = _int32(data, position)[0], data[position + 4]
    end = position + 5 + length
    if length < 0 or end > limit:
        raise Damaged("bad_structure", "binary data whose length of %d does not fit" % length, offset + position)
    # The old subtype has a second length, and identifiers have one length only.
    if subtype == 2 and (length < 4 or _int32(data, position + 5)[0] != length - 4):
        raise Damaged("bad_structure", "binary data whose two lengths differ", offset + position)
    return end


def _scoped_code(data, position, limit, offset, found, depth):
    if depth > _MAX_CODE_DEPTH:
        raise Damaged(
            "bad_structure",
            "code within the scope of code, more than %d levels deep" % _MAX_CODE_DEPTH,
            offset + position,
        )
    end = _part(data, position, limit, 14, offset)
    scope = _text(data, position + 4, end, offset, found)
    if _part(data, scope, end, 5, offset) != end:
        raise Damaged("bad_structure", "the scope of a piece of code does not fill its place", offset + scope)
    _check(data, scope, end, offset, found, depth)
    return end


def _value_end(data, kind, position, limit):
    """Where a value ends, in a document that was walked before."""
    if kind in (0x03, 0x04, 0x0F):
        return position + _int32(data, position)[0]
    if kind in (0x02, 0x0D, 0x0E):
        return position + 4 + _int32(data, position)[0]
    return _other(data, kind, position, limit, 0, Documents())


def _is_text(piece):
    if piece.isascii():
        return True
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
