# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Values of MongoDB: from the JSON of its tools to BSON, and from BSON to values and texts for people. No library
needed.

Types that Python lacks are ``Typed``: the number of the BSON type and the bytes of the value, so that they pass through
unchanged. Documents are dicts, whose order is kept.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import datetime, timedelta, timezone
from struct import Struct, pack
from struct import error as StructError

_INT32, _INT64, _DOUBLE = Struct("<i"), Struct("<q"), Struct("<d")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_REGEX_LETTERS = re.compile(r"^[a-z]*$")


class Typed:
    """A value of a type that Python lacks."""

    def __init__(self, kind, raw):
        self.kind, self.raw = kind, raw

    def __eq__(self, other):
        return isinstance(other, Typed) and (self.kind, self.raw) == (other.kind, other.raw)

    def __hash__(self):
        return hash((self.kind, self.raw))

    def __repr__(self):
        return "Typed(0x%02x, %r)" % (self.kind, self.raw)


class Long(int):
    """An integer that is stored in eight bytes whatever its size."""


class Raw(bytes):
    """A document in BSON."""


# -- to BSON -----------------------------------------------------------------------------------------------------------


def encode(document):
    """The BSON of a dict. Raises ValueError for what cannot be stored."""
    if isinstance(document, Raw):
        return bytes(document)
    body = b"".join(_element(name, value) for name, value in document.items())
    return _INT32.pack(len(body) + 5) + body + b"\0"


def _element(name, value):
    kind, raw = _encoded(value)
    return bytes((kind,)) + _cstring(name) + raw


def _encoded(value):
    if value is None:
        return 0x0A, b""
    if isinstance(value, bool):
        return 0x08, b"\1" if value else b"\0"
    if isinstance(value, int):
        small = -(2**31) <= value < 2**31 and not isinstance(value, Long)
        if not -(2**63) <= value < 2**63:
            raise ValueError("%d is too large a number" % value)
        return (0x10, _INT32.pack(value)) if small else (0x12, _INT64.pack(value))
    if isinstance(value, float):
        return 0x01, _DOUBLE.pack(value)
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        return 0x02, _INT32.pack(len(raw) + 1) + raw + b"\0"
    if isinstance(value, (dict, Raw)):
        return 0x03, encode(value)
    if isinstance(value, (list, tuple)):
        return 0x04, encode({str(at): each for at, each in enumerate(value)})
    if isinstance(value, Typed):
        return value.kind, value.raw
    if isinstance(value, bytes):
        return 0x05, _INT32.pack(len(value)) + b"\0" + value
    raise ValueError("%r cannot be stored" % (value,))


def _cstring(text):
    raw = text.encode("utf-8", "surrogatepass")
    if b"\0" in raw:
        raise ValueError("a name with a zero byte in it")
    return raw + b"\0"


# -- from the JSON of MongoDB's tools ----------------------------------------------------------------------------------


def from_json(value):
    """What a parsed JSON in MongoDB's extended form means (version 2, and 1 of old dumps). Raises ValueError."""
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if any(name.startswith("$") for name in value):
        for names, reader in _EXTENDED:
            if set(value) == names:
                try:
                    return reader(value)
                except (KeyError, TypeError, AttributeError, OverflowError, StructError, binascii.Error) as error:
                    raise ValueError("%s is no value: %s" % (sorted(names)[0], error)) from None
    return {name: from_json(each) for name, each in value.items()}


def _read_date(value):
    moment = value["$date"]
    if isinstance(moment, dict):
        moment = int(moment["$numberLong"])
    elif isinstance(moment, str):
        text = re.sub(r"Z$", "+0000", moment)
        text = re.sub(r"([+-]\d\d):(\d\d)$", r"\1\2", text)
        form = "%Y-%m-%dT%H:%M:%S.%f%z" if "." in text else "%Y-%m-%dT%H:%M:%S%z"
        moment = (datetime.strptime(text, form) - _EPOCH) // timedelta(milliseconds=1)
    return Typed(0x09, _INT64.pack(int(moment)))


def _read_binary(value):
    about = value["$binary"]
    content, kind = (about["base64"], about["subType"]) if isinstance(about, dict) else (about, value["$type"])
    raw, subtype = base64.b64decode(content), int(kind, 16)
    if subtype == 2:
        raw = _INT32.pack(len(raw)) + raw
    return Typed(0x05, _INT32.pack(len(raw)) + bytes((subtype,)) + raw)


def _read_expression(value):
    about = value.get("$regularExpression") or {"pattern": value.get("$regex"), "options": value.get("$options", "")}
    if not isinstance(about["pattern"], str):
        raise ValueError("a regular expression without a pattern")
    if not _REGEX_LETTERS.match(about.get("options", "")):
        raise ValueError("a regular expression with unknown options")
    return Typed(0x0B, _cstring(about["pattern"]) + _cstring("".join(sorted(about.get("options", "")))))


def _read_double(value):
    names = {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}
    return float(names.get(value["$numberDouble"], value["$numberDouble"]))


def _read_code(value):
    raw = value["$code"].encode("utf-8")
    return Typed(0x0D, _INT32.pack(len(raw) + 1) + raw + b"\0")


def _read_uuid(value):
    return Typed(0x05, _INT32.pack(16) + b"\4" + bytes.fromhex(value["$uuid"].replace("-", "")))


def _read_id(value):
    raw = bytes.fromhex(value["$oid"])
    if len(raw) != 12:
        raise ValueError("an ObjectId of %d bytes" % len(raw))
    return Typed(0x07, raw)


_EXTENDED = (
    ({"$numberInt"}, lambda value: int(value["$numberInt"])),
    ({"$numberLong"}, lambda value: Long(value["$numberLong"])),
    ({"$numberDouble"}, _read_double),
    ({"$numberDecimal"}, lambda value: Typed(0x13, decimal_to_bytes(value["$numberDecimal"]))),
    ({"$oid"}, _read_id),
    ({"$date"}, _read_date),
    ({"$timestamp"}, lambda value: Typed(0x11, pack("<II", value["$timestamp"]["i"], value["$timestamp"]["t"]))),
    ({"$binary"}, _read_binary),
    ({"$binary", "$type"}, _read_binary),
    ({"$uuid"}, _read_uuid),
    ({"$regularExpression"}, _read_expression),
    # By itself $regex is an operator of a condition, and both mean the same there.
    ({"$regex", "$options"}, _read_expression),
    ({"$symbol"}, lambda value: Typed(0x0E, _encoded(value["$symbol"])[1])),
    ({"$code"}, _read_code),
    ({"$minKey"}, lambda value: Typed(0xFF, b"")),
    ({"$maxKey"}, lambda value: Typed(0x7F, b"")),
    ({"$undefined"}, lambda value: Typed(0x06, b"")),
)

_DECIMAL = re.compile(r"^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$")
_DECIMAL_BIAS = 6176


def decimal_to_bytes(text):
    """Sixteen bytes of the decimal floating point number that a text names. Raises ValueError."""
    special = {"Infinity": 0x78, "+Infinity": 0x78, "-Infinity": 0xF8, "NaN": 0x7C}
    if text in special:
        return bytes(15) + bytes((special[text],))
    match = _DECIMAL.match(text)
    digits = (match.group(2) + (match.group(3) or "")) if match else ""
    if not digits:
        raise ValueError("%s is no decimal number" % text[:40])
    coefficient = int(digits)
    exponent = int(match.group(4) or 0) - len(match.group(3) or "") + _DECIMAL_BIAS
    if coefficient >= 10**34 or not 0 <= exponent <= 12287:
        raise ValueError("%s is no decimal number of 34 digits" % text[:40])
    sign = 1 << 127 if match.group(1) == "-" else 0
    return (sign | exponent << 113 | coefficient).to_bytes(16, "little")


def decimal_to_text(raw):
    bits = int.from_bytes(raw, "little")
    sign = "-" if bits >> 127 else ""
    kind = bits >> 122 & 0x1F
    if kind >= 0x1E:
        return "NaN" if kind == 0x1F else sign + "Infinity"
    # Coefficients of the second form are too large, and stand for nothing.
    coefficient = 0 if kind >= 0x18 else bits & ((1 << 113) - 1)
    exponent = (bits >> 113 & 0x3FFF) - _DECIMAL_BIAS if kind < 0x18 else (bits >> 111 & 0x3FFF) - _DECIMAL_BIAS
    digits = str(coefficient)
    first = exponent + len(digits) - 1
    if exponent > 0 or first < -6:
        rest = "." + digits[1:] if len(digits) > 1 else ""
        return "%s%s%sE%+d" % (sign, digits[0], rest, first)
    if exponent == 0:
        return sign + digits
    digits = digits.rjust(1 - exponent, "0")
    return "%s%s.%s" % (sign, digits[:exponent], digits[exponent:])


# -- from BSON ---------------------------------------------------------------------------------------------------------


def decode(data, raw=()):
    """The dict of a document that a server sent. Documents in lists named in ``raw`` stay as they are (Raw).

    Raises ValueError for what is no BSON.
    """
    try:
        document, end = _document(data, 0, False, raw, 0)
    except (IndexError, OverflowError, StructError) as error:
        raise ValueError("the server sent no BSON: %s" % error) from None
    if end != len(data):
        raise ValueError("the server sent %d bytes behind a document" % (len(data) - end))
    return document


def _document(data, start, as_list, raw, depth):
    end = start + _INT32.unpack_from(data, start)[0]
    if end > len(data) or end < start + 5 or depth > 250:
        raise ValueError("the server sent a document that cannot be")
    position, found = start + 4, [] if as_list else {}
    while position < end - 1:
        kind = data[position]
        zero = data.index(0, position + 1)
        name = data[position + 1 : zero].decode("utf-8", "replace")
        if kind == 0x04 and name in raw:
            value, position = _raw_documents(data, zero + 1), zero + 1 + _INT32.unpack_from(data, zero + 1)[0]
        else:
            value, position = _value(data, kind, zero + 1, raw, depth)
        if as_list:
            found.append(value)
        else:
            found[name] = value
    return found, end


def _raw_documents(data, start):
    end, position, found = start + _INT32.unpack_from(data, start)[0], start + 4, []
    while position < end - 1:
        begin = data.index(0, position + 1) + 1
        position = begin + _INT32.unpack_from(data, begin)[0]
        if position <= begin:
            raise ValueError("the server sent a document that cannot be")
        found.append(Raw(data[begin:position]))
    return found


def _value(data, kind, at, raw, depth):
    if kind == 0x01:
        return _DOUBLE.unpack_from(data, at)[0], at + 8
    if kind in (0x02, 0x0D, 0x0E):
        end = at + 4 + _INT32.unpack_from(data, at)[0]
        if kind == 0x02:
            return data[at + 4 : end - 1].decode("utf-8", "surrogateescape"), end
        return Typed(kind, data[at:end]), end
    if kind in (0x03, 0x04):
        return _document(data, at, kind == 0x04, raw, depth + 1)
    if kind == 0x08:
        return data[at] != 0, at + 1
    if kind == 0x0A:
        return None, at
    if kind == 0x10:
        return _INT32.unpack_from(data, at)[0], at + 4
    if kind == 0x12:
        return Long(_INT64.unpack_from(data, at)[0]), at + 8
    end = _end(data, kind, at)
    return Typed(kind, data[at:end]), end


def _end(data, kind, at):
    """Where a value of one of the rarer types ends."""
    sizes = {0x06: 0, 0x07: 12, 0x09: 8, 0x11: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
    if kind in sizes:
        return at + sizes[kind]
    if kind == 0x05:
        return at + 5 + _INT32.unpack_from(data, at)[0]
    if kind == 0x0B:
        return data.index(0, data.index(0, at) + 1) + 1
    if kind == 0x0C:
        return at + 16 + _INT32.unpack_from(data, at)[0]
    if kind == 0x0F:
        return at + _INT32.unpack_from(data, at)[0]
    raise ValueError("the server sent a value of the unknown type 0x%02x" % kind)


# -- for people --------------------------------------------------------------------------------------------------------


def to_text(value):
    """A value as text: numbers and texts as they are, documents as JSON; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, str)):
        return _clean(value) if isinstance(value, str) else "%d" % value
    if isinstance(value, float):
        return repr(value)
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value):
    if isinstance(value, dict):
        return {_clean(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Typed):
        return _typed_text(value)
    return _clean(value) if isinstance(value, str) else value


def _typed_text(value):
    kind, raw = value.kind, value.raw
    if kind == 0x07:
        return raw.hex()
    if kind == 0x09:
        moment = _INT64.unpack(raw)[0]
        try:
            text = (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
        except OverflowError:
            return str(moment)
    if kind == 0x13:
        return decimal_to_text(raw)
    if kind == 0x05:
        return raw[5:].hex()
    if kind in (0x0D, 0x0E):
        return raw[4:-1].decode("utf-8", "replace")
    if kind == 0x11:
        step, seconds = Struct("<II").unpack(raw)
        return "%d.%d" % (seconds, step)
    if kind == 0x0B:
        pattern, options = raw[:-1].split(b"\0", 1)
        return "/%s/%s" % (pattern.decode("utf-8", "replace"), options.decode("utf-8", "replace"))
    return {0x06: "undefined", 0x7F: "MaxKey", 0xFF: "MinKey"}.get(kind, raw.hex())


def _clean(text):
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
