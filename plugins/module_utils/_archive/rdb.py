# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Redis: RDB files of Redis 2.6 to 8 and Valkey, append-only files (with and without an RDB in front), folders of both.

Values are passed over, not built: each length is followed to where it leads, and at the end the CRC-64 is compared.
Packed values (listpacks and the like) must be as long as they say of themselves. An append-only file has no checksum
and no end mark: commands are followed to the last one, which must be whole.

Rows of a table ``dbN`` are the keys of that database. Commands behind an RDB change keys in ways that only a server
knows: rows are None then, and ``commands`` says how many there were.

``details``: ``rdb_version``, ``checksum`` ("right", "wrong" or "off": switched off in the server's configuration),
``created_at`` (seconds since 1970), ``used_memory`` (bytes), ``expires`` (keys that have an end),
``expired_at_creation`` and ``expired_now`` (of these), ``encodings`` (kind of value: keys), ``largest_value``
(``bytes`` as stored, ``key``, ``database``), ``functions`` (libraries), ``modules`` (names); of append-only files
``commands``, ``files``.
"""

from __future__ import annotations

import re
import time

from ._crc import Crc64Jones
from ._report import Member
from ._stream import Damaged

FORMAT = "redis-rdb"
AOF = "redis-aof"

# Versions and kinds of values known here; what is newer may be laid out in another way.
_NEWEST = 12
_VALKEY = 80
_HEAD = re.compile(rb"REDIS\d{4}|VALKEY\d{3}")
_COMMAND = re.compile(rb"\*[1-9]\d{0,6}\r\n\$\d{1,9}\r\n|#TS:\d{1,19}\r\n")
# The files of an append-only folder, and the list of them.
_PART = re.compile(r"\.aof\.(\d+\.(base\.(rdb|aof)|incr\.aof)|manifest)$")
_MAX_LIST = 1 << 20
_MAX_ARGUMENTS = 1 << 24
_MAX_ARGUMENT = 1 << 40
# At most so much is kept of a key to name it.
_KEY_SHOWN = 200
# LZF makes at most 264 bytes of 3.
_LZF_RATIO = 88

_STRING, _LIST, _SET, _ZSET, _HASH, _ZSET_2, _MODULE_PRE_GA, _MODULE_2 = range(8)
_QUICKLIST, _STREAM, _QUICKLIST_2, _STREAM_2, _STREAM_3 = 14, 15, 18, 19, 21
_HASH_TTL_PRE_GA, _HASH_LISTPACK_TTL_PRE_GA, _HASH_TTL, _HASH_LISTPACK_TTL = 22, 23, 24, 25
_HASH_ZIPMAP, _INTSET = 9, 11
# Kinds whose value is one string with that inside.
_ZIPLISTS, _LISTPACKS = (10, 12, 13), (16, 17, 20, _HASH_LISTPACK_TTL_PRE_GA)
_ENCODINGS = {
    0: "string",
    1: "list",
    2: "set",
    3: "zset",
    4: "hash",
    5: "zset",
    7: "module",
    9: "hash zipmap",
    10: "list ziplist",
    11: "set intset",
    12: "zset ziplist",
    13: "hash ziplist",
    14: "list quicklist",
    15: "stream",
    16: "hash listpack",
    17: "zset listpack",
    18: "list quicklist",
    19: "stream",
    20: "set listpack",
    21: "stream",
    22: "hash with ttl",
    23: "hash listpack with ttl",
    24: "hash with ttl",
    25: "hash listpack with ttl",
}
# Kinds whose value is one string, and whether that says how long it is.
_ONE_STRING = {_STRING: False, _HASH_ZIPMAP: False}
_ONE_STRING.update((kind, True) for kind in _ZIPLISTS + (16, 17, 20))
# The bytes of a string by the first of them, 0 where that does not tell: short ones and numbers.
_STEPS = list(range(1, 65)) + [0] * 128 + [2, 3, 5] + [0] * 61
# So much is looked at without asking whether it is there: kind, key, and the length of the value.
_SHORT = 1 + 64 + 2 + 5
_SLOT_INFO, _FUNCTION_2, _FUNCTION_PRE_GA, _MODULE_AUX, _IDLE, _FREQ = 244, 245, 246, 247, 248, 249
_AUX, _RESIZE_DB, _EXPIRES_MS, _EXPIRES, _SELECT_DB, _END = 250, 251, 252, 253, 254, 255
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def matches(head, name):  # pylint: disable=unused-argument  # all readers are asked alike
    return bool(_HEAD.match(head) or _COMMAND.match(head))


def read(stream, member, report):
    member.engine, member.tool = "redis", "redis-server"
    window = _Window(stream)
    if _HEAD.match(stream.peek(9)):
        member.format = FORMAT
        rdb = _Rdb(window, member, report)
        rdb.read()
        if window.at_end():
            return
        if not (rdb.is_preamble and _COMMAND.match(window.ahead(64))):
            report.problem("trailing_garbage", "bytes after the end of the RDB", member.name, window.offset)
            stream.drain()
            return
    member.format = AOF
    _Commands(window, member, report).read()


class _Window:
    """What has been read of a stream and not been passed yet, with a position in it; and the CRC of what was passed."""

    def __init__(self, stream):
        self._stream = stream
        self.data, self.position, self.end = b"", 0, 0
        # Where in the stream ``data`` begins.
        self.base = stream.offset
        self.crc = Crc64Jones()

    @property
    def offset(self):
        return self.base + self.position

    def _passed(self):
        """Let go of what lies before the position."""
        if self.position:
            if self.crc is not None:
                self.crc.update(self.data[: self.position])
            self.base += self.position
            self.data, self.position = self.data[self.position :], 0
            self.end = len(self.data)

    def fill(self, size):
        """Have at least so many bytes, a small number, behind the position."""
        self._passed()
        while self.end < size:
            more = self._stream.chunk()
            if not more:
                raise Damaged("truncated", "ends too early", self.base + self.end)
            self.data = self.data + more if self.data else more
            self.end = len(self.data)

    def ahead(self, size):
        """Up to so many bytes, a small number, behind the position; fewer only at the end."""
        if self.end - self.position < size and not self._stream.at_end():
            self._passed()
            while self.end < size and not self._stream.at_end():
                self.data += self._stream.chunk()
                self.end = len(self.data)
        return self.data[self.position : self.position + size]

    def at_end(self):
        return self.position >= self.end and not self.ahead(1)

    def skip(self, size):
        """Pass over so many bytes, however many."""
        while self.position + size > self.end:
            size -= self.end - self.position
            self.position = self.end
            self._passed()
            self.fill(1)
        self.position += size

    def take(self, size):
        if self.position + size > self.end:
            self.fill(size)
        start = self.position
        self.position += size
        return self.data[start : self.position]

    def byte(self):
        if self.position >= self.end:
            self.fill(1)
        self.position += 1
        return self.data[self.position - 1]

    def length(self):
        """(a length or number, whether it stands for an encoded string)"""
        first = self.byte()
        if first < 0x40:
            return first, False
        if first < 0x80:
            return (first & 0x3F) << 8 | self.byte(), False
        if first == 0x80:
            return int.from_bytes(self.take(4), "big"), False
        if first == 0x81:
            return int.from_bytes(self.take(8), "big"), False
        if first >= 0xC0:
            return first & 0x3F, True
        raise Damaged("bad_structure", "a length that begins with 0x%02x" % first, self.offset - 1)

    def number(self):
        value, encoded = self.length()
        if encoded:
            raise Damaged("bad_structure", "a string where a number should be", self.offset - 1)
        return value

    def string(self):
        """Pass over a string."""
        # Most strings are short and there already.
        position = self.position
        if position < self.end:
            first = self.data[position]
            if first < 0x40:
                position += 1 + first
                if position <= self.end:
                    self.position = position
                    return
        size, encoded = self.length()
        if not encoded:
            self.skip(size)
        elif size < 3:
            self.skip(1 << size)
        else:
            self._lzf(size)

    def _lzf(self, kind):
        start = self.offset - 1
        if kind != 3:
            raise Damaged("bad_structure", "a string in an unknown encoding (%d)" % kind, start)
        packed, plain = self.number(), self.number()
        if not packed or not packed <= plain <= packed * _LZF_RATIO:
            raise Damaged("bad_structure", "a compressed string of %d bytes that makes %d" % (packed, plain), start)
        self.skip(packed)

    def text(self):
        """A string as bytes, the first of them when it is long."""
        size, encoded = self.length()
        if encoded:
            if size < 3:
                return b"%d" % int.from_bytes(self.take(1 << size), "little", signed=True)
            self._lzf(size)
            return b"(compressed)"
        kept = self.take(min(size, _KEY_SHOWN))
        self.skip(size - len(kept))
        return kept

    def packed(self, judge):
        """Pass over a string that holds a packed value.

        ``judge(head, size)`` says whether it is as long as it says of itself.
        """
        start = self.offset
        size, encoded = self.length()
        if encoded:
            if size < 3:
                raise Damaged("bad_structure", "a number where a packed value should be", start)
            self._lzf(size)
            return
        if not judge(self.take(min(size, 8)), size):
            raise Damaged("bad_structure", "a packed value of another length than it says", start)
        self.skip(size - min(size, 8))


def _says_its_size(head, size):
    """Of a ziplist or listpack."""
    return size >= 7 and int.from_bytes(head[:4], "little") == size


def _is_intset(head, size):
    width, count = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:8], "little")
    return size >= 8 and width in (2, 4, 8) and size == 8 + width * count


class _Rdb:
    def __init__(self, window, member, report):
        self._window, self._member, self._report = window, member, report
        self._counts, self._expires, self._said = {}, [], {}
        self._kinds, self._aux, self._modules = [0] * 256, {}, set()
        self._largest, self._functions = (-1, b"", 0), 0
        self._valkey, self._version = False, 0
        # Whether commands may follow.
        self.is_preamble = False
        # Seconds since 1970; how many keys have gone by then.
        self._now = time.time()
        self._created = None
        self._ends = {"expires": 0, "expired_at_creation": 0, "expired_now": 0}

    def read(self):
        member = self._member
        magic = self._window.take(9)
        self._valkey = magic.startswith(b"VALKEY")
        self._version = int(magic[6:] if self._valkey else magic[5:])
        member.details["rdb_version"] = self._version
        if not self._version or (self._valkey and self._version < _VALKEY):
            raise Damaged("bad_structure", "an RDB of version %d" % self._version, 0)
        try:
            self._records()
            self._checksum()
        finally:
            self._describe()
        for database, (keys, expires) in sorted(self._said.items()):
            found = self._counts.get(database, [0, 0])
            if found != [keys, expires]:
                self._report.problem(
                    "bad_structure",
                    "db%d: %d keys and %d of them with an end, where the RDB says %d and %d"
                    % (database, found[0], found[1], keys, expires),
                    member.name,
                )

    def _records(self):
        window, kinds, database = self._window, self._kinds, 0
        counts, expires = None, None
        while True:
            kind = window.byte()
            if kind < _SLOT_INFO:
                if counts is None:
                    counts = self._counts.setdefault(database, [0, 0])
                if expires is not None:
                    counts[1] += 1
                    self._expiry(expires)
                    expires = None
                counts[0] += 1
                key = window.text()
                start = window.base + window.position
                self._value(kind)
                kinds[kind] += 1
                self._measure(window.base + window.position - start, key, database)
                counts[0] += self._short_ones(database)
            elif kind == _EXPIRES_MS:
                expires = int.from_bytes(window.take(8), "little", signed=True) / 1000.0
            elif kind == _EXPIRES:
                expires = int.from_bytes(window.take(4), "little", signed=True)
            elif kind == _END:
                break
            elif kind == _SELECT_DB:
                database, counts = window.number(), None
                if database > 1 << 31:
                    raise Damaged("bad_structure", "a database number %d" % database, window.offset)
                self._counts.setdefault(database, [0, 0])
            else:
                self._other(kind, database)
        if expires is not None:
            raise Damaged("bad_structure", "the time when a key ends, and no key", window.offset - 1)

    def _short_ones(self, database):
        """Pass over keys whose value is one string, as long as key and value are short and there already; how many.

        Nothing here is new, it is only quick: most keys of most files are of this sort.
        """
        window, kinds, steps = self._window, self._kinds, _STEPS
        data, position, last = window.data, window.position, window.end - _SHORT
        found, largest = 0, self._largest[0]
        while position < last:
            kind = data[position]
            packed = _ONE_STRING.get(kind)
            step = steps[data[position + 1]]
            if packed is None or not step:
                break
            start = position + 1 + step
            first = data[start]
            step = steps[first]
            if first == 0xC3:
                step = _lzf_step(data, start)
            elif 0x40 <= first < 0x80:
                step = 2 + ((first & 0x3F) << 8 | data[start + 1])
            if packed and step and first != 0xC3:
                begin = start + (1 if first < 0x40 else 2)
                if int.from_bytes(data[begin : begin + 4], "little") != start + step - begin:
                    break
            if not step:
                break
            end = start + step
            if end > last + _SHORT:
                break
            if step > largest:
                largest = step
                window.position = position + 1
                self._measure(step, window.text(), database)
            kinds[kind] += 1
            found += 1
            position = end
        window.position = position
        return found

    def _measure(self, size, key, database):
        if size > self._largest[0]:
            self._largest = (size, key, database)

    def _other(self, kind, database):
        window = self._window
        if kind == _RESIZE_DB:
            self._said[database] = (window.number(), window.number())
        elif kind == _AUX:
            name, value = window.text(), window.text()
            if len(self._aux) < 100:
                self._aux[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        elif kind == _FREQ:
            window.skip(1)
        elif kind == _IDLE:
            window.number()
        elif kind == _FUNCTION_2:
            window.string()
            self._functions += 1
        elif kind == _SLOT_INFO:
            for _number in range(3):
                window.number()
        elif kind == _MODULE_AUX:
            self._module()
        elif kind == _FUNCTION_PRE_GA:
            raise Damaged("unsupported", "functions as release candidates of Redis 7.0 wrote them", window.offset - 1)
        else:
            self._unknown("a record of an unknown kind (%d)" % kind)

    def _unknown(self, what):
        """Newer versions have kinds that are not known here: nobody's fault."""
        newest = _VALKEY if self._valkey else _NEWEST
        if self._version > newest:
            what += ": RDB version %d is newer than what can be read here (%d)" % (self._version, newest)
            raise Damaged("unsupported", what, self._window.offset - 1)
        raise Damaged("bad_structure", what, self._window.offset - 1)

    def _expiry(self, moment):
        ends = self._ends
        if self._created is None:
            created = self._aux.get("ctime", "")
            self._created = int(created) if created.lstrip("-").isdigit() else False
        ends["expires"] += 1
        if moment < self._now:
            ends["expired_now"] += 1
        if self._created is not False and moment < self._created:
            ends["expired_at_creation"] += 1

    # -- values

    def _value(self, kind):
        window = self._window
        if kind in (_STRING, _HASH_ZIPMAP):
            window.string()
        elif kind in _LISTPACKS or kind in _ZIPLISTS:
            if kind == _HASH_LISTPACK_TTL_PRE_GA and self._valkey:
                self._unknown("a value of an unknown kind (%d)" % kind)
            window.packed(_says_its_size)
        elif kind == _HASH or kind in (_LIST, _SET):
            self._strings(window.number() * (2 if kind == _HASH else 1))
        elif kind == _QUICKLIST_2:
            for _node in _times(window.number()):
                container = window.number()
                if container == 1:
                    window.string()
                elif container == 2:
                    window.packed(_says_its_size)
                else:
                    raise Damaged("bad_structure", "an unknown container (%d) in a list" % container, window.offset)
        elif kind == _QUICKLIST:
            for _node in _times(window.number()):
                window.packed(_says_its_size)
        elif kind == _ZSET_2:
            self._strings(window.number(), 8)
        elif kind == _ZSET:
            for _entry in _times(window.number()):
                window.string()
                size = window.byte()
                window.skip(size if size < 253 else 0)
        elif kind == _INTSET:
            window.packed(_is_intset)
        elif kind in (_STREAM, _STREAM_2, _STREAM_3):
            self._stream_value(kind)
        elif kind == _MODULE_2:
            self._module()
        elif kind == _MODULE_PRE_GA:
            raise Damaged("unsupported", "a value as release candidates of Redis 4.0 wrote them", window.offset - 1)
        else:
            self._hash_with_ttl(kind)

    def _strings(self, count, more=0):
        """Pass over so many strings, each with ``more`` bytes behind it."""
        window, steps = self._window, _STEPS
        data, position, end = window.data, window.position, window.end
        while count:
            count -= 1
            step = steps[data[position]] if position < end else 0
            if step and position + step + more <= end:
                position += step + more
                continue
            window.position = position
            window.string()
            window.skip(more)
            data, position, end = window.data, window.position, window.end
        window.position = position

    def _hash_with_ttl(self, kind):
        window = self._window
        if kind == _HASH_TTL_PRE_GA and self._valkey:
            for _field in _times(window.number()):
                window.string()
                window.string()
                window.skip(8)
        elif self._valkey or kind not in (_HASH_TTL_PRE_GA, _HASH_TTL, _HASH_LISTPACK_TTL):
            self._unknown("a value of an unknown kind (%d)" % kind)
        elif kind == _HASH_LISTPACK_TTL:
            window.skip(8)
            window.packed(_says_its_size)
        else:
            if kind == _HASH_TTL:
                window.skip(8)
            for _field in _times(window.number()):
                window.number()
                window.string()
                window.string()

    def _stream_value(self, kind):
        window, number = self._window, self._window.number
        for _node in _times(number()):
            if window.number() != 16:
                raise Damaged("bad_structure", "a stream with a node that has no id", window.offset - 1)
            window.skip(16)
            window.packed(_says_its_size)
        for _number in range(3 if kind == _STREAM else 8):
            number()
        for _group in _times(number()):
            window.string()
            for _number in range(2 if kind == _STREAM else 3):
                number()
            for _entry in _times(number()):
                window.skip(24)
                number()
            for _consumer in _times(number()):
                window.string()
                window.skip(16 if kind == _STREAM_3 else 8)
                window.skip(16 * number())

    def _module(self):
        """A module's value or other data; each part says what it is."""
        window = self._window
        ident = window.number()
        name = "".join(_LETTERS[ident >> shift & 63] for shift in range(58, 9, -6))
        if len(self._modules) < 100:
            self._modules.add(name)
        while True:
            kind = window.number()
            if not kind:
                return
            if kind in (1, 2):
                window.number()
            elif kind in (3, 4):
                window.skip(4 if kind == 3 else 8)
            elif kind == 5:
                window.string()
            else:
                raise Damaged("bad_structure", "an unknown part (%d) of a module's value" % kind, window.offset - 1)

    # -- the end

    def _checksum(self):
        window, details = self._window, self._member.details
        if self._version < 5:
            details["checksum"] = "off"
        else:
            window.fill(8)
            computed, window.crc = window.crc.value, None
            stored = int.from_bytes(window.take(8), "little")
            details["checksum"] = "off" if not stored else "right" if stored == computed else "wrong"
            if details["checksum"] == "wrong":
                self._report.problem(
                    "bad_checksum",
                    "the CRC-64 is %016x, the bytes make %016x" % (stored, computed),
                    self._member.name,
                    window.offset - 8,
                )

    def _describe(self):
        member, details, aux = self._member, self._member.details, self._aux
        member.server_version = member.tool_version = aux.get("redis-ver") or aux.get("valkey-ver")
        for database, (keys, _expires) in self._counts.items():
            if keys or database in self._said:
                member.count("db%d" % database, keys)
        details["created_at"] = _integer(aux.get("ctime"))
        details["used_memory"] = _integer(aux.get("used-mem"))
        self.is_preamble = "1" in (aux.get("aof-preamble"), aux.get("aof-base"))
        details.update(self._ends)
        encodings = {}
        for kind, keys in enumerate(self._kinds):
            if keys:
                name = "hash with ttl" if self._valkey and kind == _HASH_TTL_PRE_GA else _ENCODINGS[kind]
                encodings[name] = encodings.get(name, 0) + keys
        details["encodings"] = encodings
        size, key, database = self._largest
        if size >= 0:
            details["largest_value"] = {
                "bytes": size,
                "key": key.decode("utf-8", "backslashreplace"),
                "database": "db%d" % database,
            }
        details["functions"], details["modules"] = self._functions, sorted(self._modules)


def _lzf_step(data, start):
    """The bytes of a compressed string that begins here, 0 where it is not a short one."""
    packed, place = data[start + 1], start + 2
    if packed >= 0x40:
        if packed >= 0x80:
            return 0
        packed, place = (packed & 0x3F) << 8 | data[place], place + 1
    plain = data[place]
    place += 1
    if plain >= 0x40:
        if plain >= 0x80:
            return 0
        plain, place = (plain & 0x3F) << 8 | data[place], place + 1
    return place - start + packed if 0 < packed <= plain <= packed * _LZF_RATIO else 0


def _times(count):
    """``range`` for counts that are too large for it: who iterates meets the end of the file first."""
    return range(min(count, 1 << 62))


def _integer(text):
    return int(text) if text and text.lstrip("-").isdigit() else None


def _forget_rows(member):
    """How many keys there are once the commands were run only a server knows."""
    if member.details["commands"]:
        member.tables.update(dict.fromkeys(member.tables))


class _Commands:
    """Commands one behind the other, as an append-only file holds them."""

    def __init__(self, window, member, report):
        window.crc = None
        self._window, self._member, self._report = window, member, report
        # Commands, and where a transaction began that has not ended.
        self._count, self._began = 0, None

    def read(self):
        member, database = self._member, None
        try:
            while not self._window.at_end():
                chosen = self._command()
                if chosen is not None:
                    database = chosen
                    member.table(database, None)
        finally:
            member.details["commands"] = member.details.get("commands", 0) + self._count
            _forget_rows(member)
        if self._began is not None:
            self._report.problem("open_statement", "a transaction (MULTI) that does not end", member.name, self._began)

    def _command(self):
        """Pass over one; the name of the database when it chooses one."""
        window = self._window
        start, line = window.offset, self._line()
        if line[:1] == b"#":
            return None
        count = self._integer(line, b"*", start, _MAX_ARGUMENTS)
        if not count:
            raise Damaged("bad_structure", "a command without a name", start)
        name = self._argument().upper()
        arguments = [self._argument() for _argument in range(count - 1)] if count <= 2 else self._pass(count - 1)
        self._count += 1
        if name == b"MULTI":
            self._began = start
        elif name == b"EXEC":
            self._began = None
        elif name == b"SELECT" and arguments and arguments[0].isdigit():
            return "db%d" % int(arguments[0])
        return None

    def _line(self):
        window = self._window
        end = window.data.find(b"\r\n", window.position, window.position + 32)
        if end < 0:
            end = window.ahead(34).find(b"\r\n")
            if end < 0:
                code = "truncated" if len(window.ahead(34)) < 34 else "bad_structure"
                raise Damaged(code, "here should be a command, or a part of one", window.offset)
            end += window.position
        line = window.data[window.position : end]
        window.position = end + 2
        return line

    @staticmethod
    def _integer(line, mark, start, limit):
        digits = line[1:]
        if line[:1] != mark or not digits.isdigit() or int(digits) > limit:
            raise Damaged("bad_structure", "a command that is laid out wrongly", start)
        return int(digits)

    def _argument(self):
        """The first bytes of an argument."""
        window = self._window
        start = window.offset
        size = self._integer(self._line(), b"$", start, _MAX_ARGUMENT)
        kept = window.take(min(size, 32))
        if size > 32:
            window.skip(size - 32)
        if window.take(2) != b"\r\n":
            raise Damaged("bad_structure", "a part of a command that does not end where it says", start)
        return kept

    def _pass(self, count):
        for _argument in range(count):
            self._argument()


class AofFolder:
    """The files of an append-only folder of Redis 7 and later, in any order: entry() for each, finish() at the end."""

    FORMAT = AOF

    def __init__(self, root, report):
        self._report = report
        self._member = report.member(root or ".")
        self._member.format, self._member.engine, self._member.tool = AOF, "redis", "redis-server"
        self._member.plain_bytes = 0
        # {name without folders: Member}, and the lines of the list.
        self._parts, self._list = {}, None

    @staticmethod
    def accepts(name):
        return bool(_PART.search(name))

    def entry(self, name, stream):
        """Read one file to its end. Raises Damaged, which is about that file alone."""
        base = name.rpartition("/")[2]
        try:
            if base.endswith(".manifest"):
                self._list = []
                self._read_list(stream, name)
            else:
                part = self._parts[base] = Member(name)
                if base.endswith(".rdb") and not _HEAD.match(stream.peek(9)):
                    raise Damaged("bad_structure", "does not begin as an RDB does", 0)
                # The other may be empty: nothing has been written since the last rewrite.
                if not stream.at_end():
                    read(stream, part, self._report)
        finally:
            self._member.plain_bytes += stream.offset

    def _read_list(self, stream, name):
        pieces, size = [], 0
        while size <= _MAX_LIST:
            piece = stream.chunk()
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        text = b"".join(pieces).decode("utf-8", "replace")
        if size > _MAX_LIST or not text.endswith("\n"):
            raise Damaged("truncated", "the list of files does not end with its last line", stream.offset)
        listed = set()
        for line in text.splitlines():
            words = line.split()
            if line.startswith("#"):
                continue
            about = dict(zip(words[::2], words[1::2]))
            if len(words) % 2 or about.get("type") not in ("b", "i", "h") or not about.get("file"):
                self._report.problem("bad_structure", "a line that names no file: %.80s" % line, name)
            elif about["file"] in listed:
                self._report.problem("duplicate", "%.80s is in the list of files twice" % about["file"], name)
            else:
                listed.add(about["file"])
                self._list.append((about["type"], about["file"]))

    def finish(self):
        """After the last entry: whether all files of the list are there, and what they hold together."""
        member, report = self._member, self._report
        if self._list is None:
            report.problem("missing_member", "the list of the files (.manifest) is not there", member.name)
            self._list = [("b" if ".base." in name else "i", name) for name in sorted(self._parts)]
        elif not self._list:
            report.problem("bad_structure", "the list of the files names none", member.name)
        member.details.update(files=len(self._parts), commands=0)
        wanted = {name for kind, name in self._list if kind != "h"}
        for name in sorted(wanted - set(self._parts)):
            report.problem("missing_member", "%s is in the list of files and not there" % name, member.name)
        for name in sorted(set(self._parts) - {name for _kind, name in self._list}):
            report.note("%s is not in the list of the files, Redis would not read it" % self._parts[name].name)
        for kind, name in sorted(self._list):
            part = self._parts.get(name)
            if part is None or kind == "h":
                continue
            commands = part.details.pop("commands", 0)
            if kind == "b":
                member.details.update(part.details)
                member.server_version = member.tool_version = part.server_version
            member.details["commands"] += commands
            for (database, table), rows in part.tables.items():
                member.table(table, rows, database)
        _forget_rows(member)
