# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What the readers of SQL text share: a window on the stream, the way from statement to statement, rows of INSERT
statements, marks left by failed tools, and the judgement of a dump.

A dump is read at the speed of the C functions of ``bytes``: rows are counted by taking away every byte that says
nothing about structure and comparing what is left with what so many rows would leave. Where that does not come out
even, the rows are looked at one by one. The quick way never guesses: it either knows or leaves it to the slow one.
"""

from __future__ import annotations

import codecs
import re

from ._stream import Damaged

# Bytes taken from the stream at once: what fits into the cache of a core is quicker than what does not.
BLOCK = 1 << 16
# A statement that is longer is handed on in pieces.
LONGEST = 1 << 18
# So many bytes ahead are looked at to know what a byte means, and so many before it.
MARGIN = 256
# Comments and white space before one statement: more than that is no dump.
_LONGEST_LEAD = 4 << 20
# With more backslashes than one in so many bytes, it is quicker to look for the pairs that matter. The first bytes tell.
_DENSE, _SAMPLE = 60, 4096
_SMALLEST_WINDOW = 1 << 10
SPACE = re.compile(rb"[ \t\r\n\f\v]+")
WORD = re.compile(rb"[A-Za-z_]+")
_WORDS = re.compile(rb"(?:[A-Za-z_]+[ \t\r\n]*)*")
_MORE_ROWS = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*\(")
_NEXT_STATEMENT = re.compile(rb"[ \t]*;[ \t\r\n]*")
_AFTER_ROWS = re.compile(rb"[ \t\r\n]*(?:;|(?:ON|AS|RETURNING)\b|--|#|/\*|\Z)", re.I)
# Lines that a tool writes to its other output when it fails, and that found their way into the dump.
_TOOL_MESSAGE = re.compile(
    rb"[ \t\r\n]*((?:[^\s:]*/)?(?:pg_dump(?:all)?|pg_restore|psql|mysqldump|mysqlpump|mysql|mariadb-dump"
    rb"|mariadb)(?:\.exe)?: .*"
    rb"|(?:ERROR|FATAL|PANIC)(?::  ?| \d|  ).*|Killed\b.*|Terminated\b.*|Segmentation fault.*|Got error: .*|Error: .*"
    rb"|.*: (?:No space left on device|command not found|Permission denied|Connection refused)\b.*)"
)


def dropping_all_but(kept):
    """For ``bytes.translate``: all bytes but these."""
    return bytes(byte for byte in range(256) if byte not in kept)


def shown(data, limit=60):
    """The beginning of some bytes, for a message."""
    text = data[: limit + 1].decode("utf-8", "replace").strip()
    return text if len(text) <= limit else text[:limit] + "..."


def first_words(text):
    """The beginning of a statement without comments: single spaces, first words upper case."""
    text = text[:4096]
    words = _WORDS.match(text).group()
    return b" ".join(words.upper().split()) + (b" " if words[-1:].isspace() else b"") + text[len(words) :]


class Lexer:
    """Statements of a text, piece by piece; a subclass knows the dialect.

    Iterating gives (kind, bytes, offset); joined they are the input. What else is known holds for the piece that was
    handed out last: ``table`` and ``rows`` are the table that it inserts into and how many rows of it end in this
    piece, ``lead`` is the length of the white space and comments at its beginning.

    ``complain(code, message, offset)`` is called for what is wrong; without it, Damaged is raised. What makes reading
    on impossible is always raised, with ``lost`` set.
    """

    # What is left of rows: quotes, brackets, commas, and all that means that the quick way is not sure.
    kept = b"\n'(),;\"\\*"
    # Outside of strings, after all strings were taken away: what the quick way does not know.
    doubtful = re.compile(rb"--")
    escapes = False
    # So many bytes tell whether a comment begins.
    comment_ahead = 2
    # Whose reading has to be certain.
    readers = "clients"

    def __init__(self, stream, complain=None):
        self._stream, self._complain = stream, complain
        self._buffer, self._start, self._at, self._base, self._ended = b"", 0, 0, stream.offset, False
        self._whole = True
        self._drop = dropping_all_but(self.kept)
        self.lost = False
        self.lead = 0
        self.table, self.rows = None, 0
        # Number of columns that the rows of a table have, by the key that ``_key`` makes.
        self.widths = {}

    def __iter__(self):
        self._ahead(3)
        if self._buffer.startswith(b"\xef\xbb\xbf"):
            self._at = 3
        while True:
            self._begin()
            more = self._skip_lead()
            self.lead = self._at - self._start
            if not more:
                if self.lead:
                    yield self._finish("rest")
                return
            if self._client_line():
                yield self._finish("meta")
                continue
            for piece in self._statement():
                yield piece
                # They were told with this piece, and the next one may end within the same row.
                self.rows = 0
            more = False
            if self._whole:
                begin = self._start + self.lead
                more = self._judge(self._buffer[begin : self._at], self._offset(begin))
            yield self._finish("sql")
            if more:
                yield from self._appendix()

    def _skip_comment(self):
        """Pass a comment that begins here; False where none does."""
        raise NotImplementedError

    def _client_line(self):
        """Pass a line that is a command of the client; False where a statement begins."""
        raise NotImplementedError

    def _statement(self):
        """To behind the end of the statement that begins here; yields pieces of a very long one."""
        raise NotImplementedError

    def _judge(self, piece, offset):
        """Look at a whole statement, and what it does to the reading of those after it. True where it has an
        appendix."""
        raise NotImplementedError

    def _appendix(self):
        """Pieces of what follows a statement and is none."""
        return ()

    def _row(self):
        """From the bracket that opens a row to behind the one that closes it; yields pieces of a very long one. Returns
        the number of its values, None where it is not a row."""
        raise NotImplementedError

    def _may_hide(self, rows, lines_inside):
        """Whether there may be something outside of strings that makes the quick way wrong; True also where it is not
        sure."""
        return lines_inside and b"--" in rows

    # The window

    def _more(self):
        """Read on; False at the end."""
        if self._ended:
            return False
        block = self._stream.chunk(BLOCK)
        if not block:
            self._ended = True
            return False
        if b"\0" in block:
            self._wrong(
                "bad_encoding",
                "a byte of zero, which no text holds",
                self._stream.offset - len(block) + block.find(b"\0"),
            )
        if self._start:
            self._buffer = self._buffer[self._start :] + block
            self._at -= self._start
            self._base += self._start
            self._start = 0
        else:
            self._buffer += block
        return True

    def _ahead(self, size):
        """Have that many bytes at hand, or all that there are."""
        while len(self._buffer) - self._at < size and self._more():
            pass

    def _offset(self, at):
        return self._base + at

    def _wrong(self, code, message, offset):
        if self._complain is None:
            self._lose(code, message, offset)
        self._complain(code, message, offset)

    def _lose(self, code, message, offset):
        self.lost = True
        raise Damaged(code, message, offset)

    def _too_long(self):
        return self._at - self._start > LONGEST

    def _piece(self, end=None):
        """Hand out what was read so far of a statement that goes on."""
        end = self._at if end is None else end
        item = ("sql" if self._whole else "data", self._buffer[self._start : end], self._base + self._start)
        self._whole = False
        self._start = end
        return item

    def _finish(self, kind):
        """Hand out what ends here."""
        item = (
            kind if self._whole or kind != "sql" else "data",
            self._buffer[self._start : self._at],
            self._base + self._start,
        )
        self._whole = True
        self._start = self._at
        return item

    def _begin(self):
        """Before the next item."""
        self.lead, self.table, self.rows = 0, None, 0

    def _check_lead(self):
        if self._at - self._start > _LONGEST_LEAD:
            self._lose("unsupported", "a comment of more than %d bytes" % _LONGEST_LEAD, self._offset(self._start))

    def _skip_lead(self):
        """Pass white space and comments; False at the end of the text."""
        while True:
            space = SPACE.match(self._buffer, self._at)
            if space:
                self._at = space.end()
            self._check_lead()
            if len(self._buffer) - self._at < self.comment_ahead and self._more():
                continue
            if self._at >= len(self._buffer):
                return False
            if not self._skip_comment() and not space:
                return True

    def _to_line_end(self):
        """Behind the end of this line; False where the text ends first."""
        while True:
            end = self._buffer.find(b"\n", self._at)
            if end >= 0:
                self._at = end + 1
                return True
            self._at = len(self._buffer)
            self._check_lead()
            if not self._more():
                return False

    def _read_on(self, token, limit):
        """Read more where a token is cut by the end of the window, or none is in it; yields a piece where too much
        waits."""
        self._at = token.start() if token else self._word_start(limit)
        if self._at - self._start > LONGEST + MARGIN:
            yield self._piece(self._at - MARGIN)
        self._more()

    def _word_start(self, limit):
        """Where to go on searching so that nothing is cut."""
        return max(self._at, limit)

    def _lose_open(self, begin):
        self._at = len(self._buffer)
        # Rows are nobody's business, and of a long statement only they are left.
        left = self._buffer[self._start + self.lead :].partition(b"VALUES")[0]
        words = ": %s" % shown(left) if WORD.match(left) else ""
        self._lose("open_statement", "a statement is open at the end%s" % words, begin)

    def _client_inside(self, start):
        message = "a client's command inside of a statement: %s" % shown(self._buffer[start:])
        self._wrong("unsafe_statement", message, self._offset(start))

    def _unsure(self, at):
        around = shown(self._buffer[max(at - 10, 0) : at + 20], 30)
        message = "it is not certain how %s read %s" % (self.readers, around)
        self._lose("unsafe_statement", message, self._offset(at))

    def pending(self):
        """The beginning of what was not handed out when reading became impossible."""
        return self._buffer[self._start : self._start + (1 << 16)]

    # Rows of INSERT statements

    def goes_on(self):
        """Whether the piece that was handed out last is not the end of its statement."""
        return not self._whole

    def _key(self, name):
        return name

    def _values(self, head, table, width):
        """From the first row of an INSERT on: all rows of this statement and of those after it that begin in the same
        way.

        ``head`` are the bytes of the statement from its first word to the bracket of the first row, ``width`` is the
        number of columns that it names, None where it names none. Yields pieces. Leaves the position behind the last
        row.
        """
        key = self._key(table)
        width = width or self.widths.get(key)
        # Nothing may be replaced that could hide where a string begins.
        plain = b"'" not in head and b"\\" not in head
        window, last = BLOCK, b");\n" + head
        one_by_one = True
        while True:
            if one_by_one:
                begin = self._offset(self._at)
                values = yield from self._row()
                if values is None:
                    if self.table is not None and not self._buffer.startswith(b"\\", self._at):
                        self._wrong("bad_structure", "a row of %s does not end" % _label(table), begin)
                    return
                self.table = table
                self.rows += 1
                if width is None:
                    width = self.widths[key] = values
                elif values != width:
                    self._wrong(
                        "wrong_rows", "a row of %s with %d values instead of %d" % (_label(table), values, width), begin
                    )
                row = b"(" + b"," * (width - 1) + b")"
            separator = self._separator(head if plain else None)
            if separator is None:
                if not _AFTER_ROWS.match(self._buffer, self._at):
                    self._wrong(
                        "bad_structure",
                        "behind a row of %s stands %s" % (_label(table), shown(self._buffer[self._at : self._at + 80])),
                        self._offset(self._at),
                    )
                return
            self._at += len(separator) - 2
            one_by_one = True
            while True:
                if self._at - self._start > BLOCK >> 1:
                    yield self._piece()
                if len(self._buffer) - self._at < window:
                    self._more()
                end = self._buffer.rfind(separator, self._at, self._at + window)
                if end < 0:
                    break
                rows = self._count(self._buffer[self._at : end + 1], row, separator)
                if rows is None:
                    # The end of a statement may be among them.
                    end = self._buffer.find(last, self._at, end) if plain else -1
                    rows = self._count(self._buffer[self._at : end + 1], row, separator) if end > 0 else None
                    if rows is None:
                        window = max(window >> 3, _SMALLEST_WINDOW)
                        break
                    self.rows += rows
                    self._at = end + 1
                    one_by_one = False
                    break
                self.rows += rows
                self._at = end + len(separator) - 1
                window = min(window << 1, BLOCK)

    def _separator(self, head):
        """What stands between the bracket that closes a row and the next row, both brackets included; None at the
        end."""
        self._ahead(len(head or b"") + MARGIN)
        more = _MORE_ROWS.match(self._buffer, self._at)
        if more:
            return b")" + more.group()
        if head:
            more = _NEXT_STATEMENT.match(self._buffer, self._at)
            if more and self._buffer.startswith(head, more.end()) and self._sure(more.group()):
                return b")" + more.group() + head
        return None

    def _sure(self, _between):
        """Whether the end of a statement is what it seems to be."""
        return True

    def _count(self, rows, row, separator):
        """How many rows these bytes are, which begin and end with a bracket; None where they may be something else."""
        unit = row + separator[1:-1].translate(None, self._drop)
        if len(separator) > 8:
            unit = row + b","
            rows = rows.replace(separator, b"),(")
        if self.escapes and b"\\" in rows:
            rows = _without_escapes(rows)
        left, inside = rows.translate(None, self._drop), False
        if b"'" in left:
            # Two quotes without anything between them change nothing about what is inside of a string.
            left = left.replace(b"''", b"")
            parts = left.split(b"'")
            if not len(parts) & 1:
                return None
            inside = b"\n" in left and b"\n" in b"".join(parts[1::2])
            left = b"".join(parts[::2])
        number, rest = divmod(len(left) + len(unit) - len(row), len(unit))
        if rest or left + unit[len(row) :] != unit * number:
            return None
        # A comment to the end of a line that hides a quote would need a line end that is not between two rows.
        if self._may_hide(rows, inside):
            parts = rows.split(b"'")
            if not len(parts) & 1 or self.doubtful.search(b"'".join(parts[::2])):
                return None
        return number


def _without_escapes(rows):
    """Text without what stands behind its backslashes. These stay: outside of a string they would be noticed."""
    if rows.count(b"\\", 0, _SAMPLE) * _DENSE > min(len(rows), _SAMPLE):
        # Pairs of the same length in place of those that matter: nothing has to be moved.
        rows = rows.replace(b"\\\\", b"\\n").replace(b"\\'", b"\\n")
        return rows.replace(b'\\"', b"\\n") if b'"' in rows else rows
    parts = rows.split(b"\\")
    if b"" not in parts:
        return b"\\".join([parts[0]] + [part[1:] for part in parts[1:]])
    kept, literal = [], True
    for part in parts:
        if literal:
            kept.append(part)
            literal = False
        elif part:
            kept.append(part[1:])
        else:
            # Two of them: what follows is text again.
            literal = True
    return b"\\".join(kept)


def _label(table):
    return table if isinstance(table, str) else ".".join(part for part in table if part)


class Reader:
    """Reads one dump and fills its member; a subclass knows the dialect."""

    def __init__(self, lexer, stream, member, report):
        self._stream, self._member, self._report = stream, member, report
        self._items = lexer(stream, self._complain)
        self._encoding = Encoding()
        self._created, self._odd_rows, self._told = {}, {}, set()
        self._statements = self._unknown = self._starts = 0
        self._end_offset = None
        # (text, offset) of a long INSERT none of whose rows has ended yet.
        self._unread = None

    def _take(self, kind, piece, offset):
        """Look at a piece."""
        raise NotImplementedError

    def _no_rows(self, text, offset):
        """Here begins an INSERT, and no row of it ends in this piece."""
        self._unread = (text, offset)
        if not self._items.goes_on():
            self._tell_unread()

    def _tell_unread(self):
        if self._unread is not None:
            text, offset = self._unread
            self._unread = None
            self._wrong("bad_structure", "rows that cannot be read: %s" % shown(text), offset, "rows")

    def _count(self):
        """Add the rows of the last piece to those of their table."""
        raise NotImplementedError

    def _fill(self):
        """Put into the member what is known, whether or not the dump was read to its end."""
        raise NotImplementedError

    def _conclude(self):
        """Judge what was read."""
        raise NotImplementedError

    def run(self):
        try:
            for kind, piece, offset in self._items:
                self._take(kind, piece, offset)
        except Damaged as error:
            if not self._items.lost:
                raise
            self._lost(error)
            self._stream.drain()
            if error.code == "unsupported":
                # What was not looked at is not judged.
                return
        finally:
            for message, offset, number in self._odd_rows.values():
                self._wrong("wrong_rows", message if number == 1 else "%s, and %d more" % (message, number - 1), offset)
            self._fill()
        if not self._statements and not self._strict():
            empty = not self._stream.offset
            self._wrong("empty" if empty else "unknown_format", "nothing in it" if empty else "no statement in it")
            return
        if not self._strict() and self._unknown and self._unknown * 2 >= self._statements:
            self._wrong("unknown_format", "no text of SQL that could be understood")
        self._tell_unread()
        self._conclude()

    def _strict(self):
        """Whether it says that a tool made it: then it has to be as that tool writes."""
        return self._starts > 0

    def _wrong(self, code, message, offset=None, once=None):
        if once is None or once not in self._told:
            self._told.add(once)
            self._report.problem(code, message, self._member.name, offset)

    def _complain(self, code, message, offset):
        if code == "wrong_rows":
            self._odd_rows.setdefault(self._items.table, [message, offset, 0])[2] += 1
        else:
            self._wrong(code, message, offset)

    def _tool_message(self, text, offset):
        """Whether this is what a tool says that fails; if so, it is told."""
        message = _TOOL_MESSAGE.match(text)
        if message:
            self._wrong("tool_message", "text of a tool that failed: %s" % shown(message.group(1), 120), offset)
        return bool(message)

    def _lost(self, error):
        if self._items.table:
            self._count()
        for line in self._items.pending().split(b"\n"):
            if self._tool_message(line, error.offset):
                break
        self._wrong(error.code, error.message, error.offset)

    def _behind_the_end(self, text, offset):
        if not self._tool_message(text, offset) and "duplicate" not in self._told:
            message = "something follows the end of the dump: %s" % shown(text)
            self._wrong("trailing_garbage", message, offset, "trailing_garbage")

    def _check_created(self, also=()):
        """Rows go into tables that are made before, unless the dump makes none. ``also``: made in another way."""
        databases = {database for database, _name in self._created}
        for key in self._member.tables:
            if self._strict() and key[0] in databases and key not in self._created and key not in also:
                self._wrong("bad_structure", "rows for a table that is not created: %s" % key[1])


class Encoding:
    """Whether text is valid in its encoding, over pieces that may cut through a character."""

    def __init__(self):
        self._decoder, self._pending = None, False
        self.name = None

    def declare(self, name):
        """``name`` is "utf-8" or anything else; only the former can be judged without doubt."""
        if name != self.name:
            self.name, self._pending = name, False
            self._decoder = codecs.getincrementaldecoder("utf-8")() if name == "utf-8" else None

    def fault(self, piece):
        """The index in the piece where text is not valid, about; None where all is well."""
        if self._decoder is None or (not self._pending and piece.isascii()):
            return None
        try:
            self._decoder.decode(piece)
        except UnicodeDecodeError as error:
            pending = len(error.object) - len(piece)
            self._decoder.reset()
            self._pending = False
            return max(error.start - pending, 0)
        self._pending = bool(self._decoder.getstate()[0])
        return None
