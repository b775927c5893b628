# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
r"""The text of PostgreSQL's dumps, split into statements and the data of COPY.

The text is split as psql splits it, because a part that psql takes for a command and we take for data could run a
program. Three things are known only to the server that psql talks to, and are followed here by the statements of the
dump: ``standard_conforming_strings`` (whether a backslash in '...' means anything), ``client_encoding`` (in some
encodings a backslash can be half of a character: these are refused) and whether a COPY sends rows (only the form that
pg_dump writes is taken for one). A function of the dump could change the first two unseen: see ``depends_on_settings``.

Backslash commands other than those of pg_dump are never handed on.
"""

from __future__ import annotations

import codecs
import re

from ._sql import BLOCK, LONGEST, MARGIN, SPACE, WORD, Lexer, dropping_all_but, first_words, shown

NAME = rb'(?:"(?:[^"\0]|"")+"|[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*)'
QUALIFIED = NAME + rb"(?:\." + NAME + rb")?"
_COLUMNS = rb"\([ \t\r\n]*(" + NAME + rb"(?:[ \t\r\n]*,[ \t\r\n]*" + NAME + rb")*)?[ \t\r\n]*\)"
_PART = re.compile(NAME)
_IDENTIFIER_BEFORE = re.compile(rb"[A-Za-z0-9_$\x80-\xff]*\Z")
_DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_DOLLAR_OPEN = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\Z")
_COMMENT_BORDER = re.compile(rb"/\*|\*/")
# All that ends, opens or closes something outside of strings.
_TOKEN = re.compile(rb"['\"$;()\\]|--|/\*")
_TOKEN_OR_WORD = re.compile(rb"['\"$;()\\]|--|/\*|[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_ROW_TOKEN = re.compile(rb"['\"$;(),\\\[\]]|--|/\*")
_FIRST_WORDS = (b"create", b"function", b"procedure", b"or", b"replace")
_WITH_BODY = (b"cf", b"cp", b"corf", b"corp")

_INSERT = re.compile(
    rb"INSERT INTO ("
    + QUALIFIED
    + rb")(?: (\((?:"
    + NAME
    + rb"(?:, )?)*\)))?(?: OVERRIDING (?:SYSTEM|USER) VALUE)? VALUES[ \t\r\n]*\(",
    re.I,
)
# As pg_dump writes it, and as it did until version 10.
_ATTACH = re.compile(
    rb"ALTER[ \t\r\n]+TABLE[ \t\r\n]+(?:ONLY[ \t\r\n]+)?(" + QUALIFIED + rb")[ \t\r\n]+ATTACH[ \t\r\n]+PARTITION"
    rb"[ \t\r\n]+(" + QUALIFIED + rb")",
    re.I,
)
_PARTITION_OF = re.compile(
    rb"CREATE[ \t\r\n]+(?:UNLOGGED[ \t\r\n]+|FOREIGN[ \t\r\n]+)?TABLE[ \t\r\n]+(" + QUALIFIED + rb")[ \t\r\n]+PARTITION"
    rb"[ \t\r\n]+OF[ \t\r\n]+(" + QUALIFIED + rb")",
    re.I,
)
_INSERT_DEFAULT = re.compile(rb"INSERT INTO (" + QUALIFIED + rb") DEFAULT VALUES;", re.I)
_COPY = re.compile(
    rb"COPY[ \t\r\n]+(" + QUALIFIED + rb")[ \t\r\n]*(" + _COLUMNS + rb")?[ \t\r\n]*FROM[ \t\r\n]+stdin([^;]*);", re.I
)
_COPY_OUT = re.compile(rb"COPY\b.*\bTO[ \t\r\n]+stdout\b[^;]*;", re.I | re.S)
_BINARY = re.compile(rb"\bBINARY\b", re.I)
_END_OF_LINE = re.compile(rb"[ \t]*\r?\n")
_CONNECT = re.compile(
    rb'\\connect[ \t]+(?:-reuse-previous=on[ \t]+)?("(?:[^"`\r\n\\]|""|\\[\'\\])+"'
    rb"|[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*)[ \t]*\r?\n?"
)
_RESTRICT = re.compile(rb"\\(un)?restrict[ \t]+[A-Za-z0-9]+[ \t]*\r?\n?")
_ENCODING_LINE = re.compile(rb"\\encoding SQL_ASCII[ \t]*\r?\n?")
_META_END = 1 << 16

_SET = re.compile(
    rb"SET[ \t\r\n]+(?:SESSION[ \t\r\n]+)?([a-z_]+)[ \t\r\n]*(?:=|TO[ \t\r\n])[ \t\r\n]*(.*?)[ \t\r\n]*;", re.I | re.S
)
_SENSITIVE = re.compile(
    rb"standard_conforming_strings|client_encoding|\bNAMES\b|\bRESET[ \t\r\n]+ALL\b|\bDISCARD\b", re.I
)
_RUNS = re.compile(
    rb"(SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|DO|CALL|EXPLAIN|MERGE|EXECUTE|PREPARE|DECLARE|TABLE)\b", re.I
)
_REACHES = re.compile(
    rb"\b(pg_read_file|pg_read_binary_file|pg_ls_dir|pg_ls_\w+dir|pg_stat_file|pg_file_\w+|lo_import|lo_export"
    rb"|pg_reload_conf"
    rb"|dblink\w*|pg_execute\w*)\"?[ \t\r\n]*\(|\bCOPY\b[^;]{0,4000}\b(?:PROGRAM|FROM|TO)[ \t\r\n]+E?'",
    re.I,
)
_SUBSCRIBES = re.compile(rb"CREATE[ \t\r\n]+SUBSCRIPTION\b", re.I)
_UNCONNECTED = re.compile(rb"\bconnect[ \t\r\n]*=[ \t\r\n]*'?(?:false|off|0|no)\b", re.I)
_FOREIGN_PROGRAM = re.compile(
    rb"(?:CREATE|ALTER)[ \t\r\n]+FOREIGN[ \t\r\n]+TABLE\b.*\bOPTIONS\b.*\bprogram\"?[ \t\r\n]+'", re.I | re.S
)
_ALONE = re.compile(rb"(LOAD|ALTER[ \t\r\n]+SYSTEM)\b", re.I)
_NATIVE = re.compile(
    rb"CREATE[ \t\r\n]+(?:OR[ \t\r\n]+REPLACE[ \t\r\n]+)?(?:FUNCTION|PROCEDURE)\b.*\bLANGUAGE[ \t\r\n]+'?\"?(?:c"
    rb"|internal|pl(?:python|perl|tcl|sh)\w*u|plsh)\b",
    re.I | re.S,
)

# Encodings of the server's names that are judged, and those in which a byte of a character can look like a backslash.
_CODECS = {
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "SQLASCII": "utf-8",
    "KOI8": "koi8-r",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "EUCCN": "gb2312",
    "EUCJP": "euc_jp",
    "EUCKR": "euc_kr",
    "WIN": "cp1251",
    "ALT": "cp866",
}
_UNSAFE_ENCODINGS = (
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
    "SHIFTJIS",
    "SHIFTJIS2004",
    "SHIFTJIS",
    "MSKANJI",
    "WIN932",
    "WINDOWS932",
    "WIN936",
    "WINDOWS936",
    "WIN949",
    "WINDOWS949",
    "WIN950",
    "WINDOWS950",
    "SJIS2004",
)
_KNOWN_ENCODING = re.compile(
    r"UTF_?8|UNICODE|SQL_?ASCII|LATIN_?\d+|ISO_?8859_?\d+|WIN_?(?:125\d|866|874)|WINDOWS_?(?:125\d|866|874)|KOI8_?[RU]?"
    r"|EUC_?[A-Z]{2}(?:_?2004)?|MULE_?INTERNAL|ABC|ALT|TCVN\d*|VSCII|WIN"
)

# COPY data: everything but these is taken away, and what is left is compared with what rows of so many columns leave.
_DROP_COPY = dropping_all_but(b"\t\n\\")


def unquoted(name, codec="utf-8"):
    """A name as it is, of one or two parts: ``public."Some ""thing"`` gives ["public", 'Some "thing'] ."""
    return [
        (part[1:-1].replace(b'""', b'"') if part[:1] == b'"' else part.lower()).decode(codec, "replace")
        for part in _PART.findall(name)
    ]


def codec_of(encoding):
    """Python's name for an encoding of PostgreSQL, "utf-8" where it has none."""
    name = re.sub(r"[^A-Z0-9]", "", (encoding or "UTF8").upper())
    latin = re.sub(r"^LATIN(?:9|10)$", lambda one: "iso8859-%d" % (int(one.group()[5:]) + 6), name)
    name = _CODECS.get(name) or re.sub(r"^(?:WIN|WINDOWS)(?=\d)", "cp", latin)
    try:
        return codecs.lookup(name.lower()).name
    except LookupError:
        return "utf-8"


def connected(piece):
    r"""The database that a \connect line names, None where it is no such line."""
    line = _CONNECT.fullmatch(piece[piece.find(b"\\") :]) if b"\\" in piece else None
    if not line:
        return None
    name = unquoted(line.group(1))[0]
    if b"-reuse-previous" in line.group():
        inside = re.fullmatch(r"dbname='((?:[^'\\]|\\.)*)'", name)
        if inside:
            return re.sub(r"\\(.)", r"\1", inside.group(1))
    return name


def attachment(statement):
    """(table, partition) as they are written, where a statement makes one a partition of the other; else None."""
    attach = _ATTACH.match(statement)
    if attach:
        return attach.groups()
    of = _PARTITION_OF.match(statement)
    return (of.group(2), of.group(1)) if of else None


def depends_on_settings(piece):
    """Whether psql may read this differently when settings of the session are not what they seem to be."""
    return b"\\" in piece or not piece.isascii()


def bare(statement):
    """A statement without the white space and comments before it and in it, as far as they are outside of strings."""
    lead = lead_of(statement)
    text = statement[lead:]
    if b"--" not in text and b"/*" not in text:
        return text
    return b"".join(part if kind != "comment" else b" " for kind, part in _parts(text))


def command(piece):
    """The beginning of a statement, for looking at its first words: no comments, single spaces, first words upper
    case."""
    return first_words(bare(piece[: 1 << 16]))


def lead_of(text):
    at = 0
    while True:
        space = SPACE.match(text, at)
        if space:
            at = space.end()
        if text.startswith(b"--", at):
            end = text.find(b"\n", at)
            if end < 0:
                return len(text)
            at = end + 1
        elif text.startswith(b"/*", at):
            end = _comment_end(text, at)
            if end is None:
                return len(text)
            at = end
        elif at == 0 and text.startswith(b"\xef\xbb\xbf"):
            at = 3
        elif not space:
            return at


def _comment_end(text, at):
    depth = 0
    for border in _COMMENT_BORDER.finditer(text, at):
        depth += 1 if border.group() == b"/*" else -1
        if not depth:
            return border.end()
    return None


_STRINGS = re.compile(
    rb"(?P<comment>--[^\n]*)|(?P<open>/\*)|(?P<name>\"[^\"]*\")|(?P<escaped>(?<![A-Za-z0-9_$\x80-\xff])[eE]'(?:[^'\\]"
    rb"|\\.|'')*')|(?P<string>'[^']*')"
    rb"|(?P<dollar>(?<![A-Za-z0-9_$\x80-\xff])\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$)",
    re.S,
)


def _parts(text):
    """(kind, bytes) of a statement: "text", "string" (dollar quotes too), "name", "comment"."""
    at = 0
    while True:
        found = _STRINGS.search(text, at)
        if not found:
            yield "text", text[at:]
            return
        yield "text", text[at : found.start()]
        kind, end = found.lastgroup, found.end()
        if kind == "open":
            kind, end = "comment", _comment_end(text, found.start()) or len(text)
        elif kind == "dollar":
            close = text.find(found.group(), end)
            kind, end = "string", close + len(found.group()) if close >= 0 else len(text)
        elif kind == "escaped":
            kind = "string"
        yield kind, text[found.start() : end]
        at = end


def unsafe(piece):
    """Why a statement must not be run, None where nothing speaks against it: programs, files of the server, other
    servers."""
    text = bare(piece)
    word = WORD.match(text)
    if word is None:
        return None
    word = word.group().upper()
    if word == b"COPY":
        if _COPY.match(text) or _COPY_OUT.match(text):
            return None
        return "COPY with a file or a program of the server, or in a form that pg_dump does not write"
    if (
        word == b"INSERT"
        and _INSERT.match(text)
        and b"pg_" not in text
        and b"lo_" not in text
        and b"dblink" not in text
    ):
        return None
    if _ALONE.match(text):
        return "%s, which no dump needs" % shown(text, 30)
    if _SUBSCRIBES.match(text) and not _UNCONNECTED.search(text):
        return "CREATE SUBSCRIPTION that connects to another server"
    if _FOREIGN_PROGRAM.match(text):
        return "a foreign table that runs a program"
    if _NATIVE.match(text) and _NATIVE.match(without_strings(text)):
        return "a function in machine code or in a language that may do anything"
    if _RUNS.match(text):
        # The body of DO is code, other strings are not.
        found = _REACHES.search(text if word == b"DO" else without_strings(text))
        if found:
            return "%s: it reaches files, programs or other servers" % shown(found.group(), 40)
    return None


def without_strings(text):
    return b"".join(
        part if kind in ("text", "name") else b"''" if kind == "string" else b" " for kind, part in _parts(text)
    )


# The line that ends the rows of a COPY, as far as it has been read.
_MAY_END = re.compile(rb"\n(?:\\(?:\.(?:\r?\n?)?)?)?\Z")


class Statements(Lexer):
    """The statements of a PostgreSQL dump.

    ``database``, ``encoding`` and ``standard_strings`` hold for the piece that was handed out last, as do ``copied``
    (the (schema, table) that a "copy" piece is for), ``columns`` (its number of columns, None where they are not
    named), ``countable`` (whether each line is a row) and ``copy_ends`` (whether it is the last piece of a block).
    """

    kept = b"\n'(),;\"$\\*"
    doubtful = re.compile(rb"--|[Ee]'")

    def __init__(self, stream, complain=None):
        super().__init__(stream, complain)
        self.database, self.encoding, self.standard_strings = None, None, True
        self.schema = "public"
        self.copied, self.columns, self.countable, self.copy_ends = None, None, True, False
        # The tabs, line ends and backslashes of a "copy" piece, without the line at the end of the block.
        self.left = b""

    def guard(self):
        """Statements that put the settings in force which this lexer goes by."""
        return b"SET standard_conforming_strings = %s; SET client_encoding = '%s';\n" % (
            b"on" if self.standard_strings else b"off",
            (self.encoding or "UTF8").encode(),
        )

    def _may_hide(self, rows, lines_inside):
        return b"e'" in rows or b"E'" in rows or super()._may_hide(rows, lines_inside)

    def _count(self, rows, row, separator):
        return super()._count(rows, row, separator) if self.standard_strings else None

    def _key(self, name):
        return (self.database,) + name

    def named(self, name):
        """(schema, table) of a name as it is written."""
        parts = unquoted(name, codec_of(self.encoding))
        return tuple(parts) if len(parts) > 1 else (self.schema, parts[0])

    def _skip_comment(self):
        if self._buffer.startswith(b"--", self._at):
            self._to_line_end()
        elif self._buffer.startswith(b"/*", self._at):
            begin = self._offset(self._at)
            depth, self._at = 1, self._at + 2
            while depth:
                depth = self._comment_step(depth, begin)
                self._check_lead()
        else:
            return False
        return True

    def _comment_step(self, depth, begin):
        border = _COMMENT_BORDER.search(self._buffer, self._at)
        if border:
            self._at = border.end()
            return depth + (1 if border.group() == b"/*" else -1)
        self._at = max(self._at, len(self._buffer) - 1)
        if not self._more():
            self._lose("open_statement", "a comment is open at the end", begin)
        return depth

    def _client_line(self):
        if not self._buffer.startswith(b"\\", self._at):
            return False
        self._ahead(_META_END)
        begin = self._at
        end = self._buffer.find(b"\n", begin)
        end = len(self._buffer) if end < 0 else end + 1
        line = self._buffer[begin:end]
        self._at = end
        if _CONNECT.fullmatch(line) and not (b"\\" in line[1:] and b"-reuse-previous=on" not in line):
            self.database = connected(line)
            self.standard_strings, self.schema = True, "public"
        elif _ENCODING_LINE.fullmatch(line):
            # pg_dump writes it before it connects to a database with an unusual name.
            self.encoding = "SQL_ASCII"
        elif not _RESTRICT.fullmatch(line):
            self._wrong("unsafe_statement", "the client's command %s" % shown(line), self._offset(begin))
        return True

    # One statement

    def _statement(self):
        if self._buffer[self._at : self._at + 7].upper() == b"INSERT ":
            self._ahead(MARGIN * 16)
            insert = _INSERT.match(self._buffer, self._at)
            if insert:
                table, listed = self.named(insert.group(1)), insert.group(2)
                width = len(_PART.findall(listed)) if listed else None
                self._at = insert.end() - 1
                yield from self._values(insert.group(), table, width)
        yield from self._to_end()

    def _to_end(self):
        """Up to the semicolon, as psql finds it."""
        begin = self._offset(self._at)
        depth = bodies = words = 0
        first, body, pattern = b"", False, _TOKEN_OR_WORD
        fresh = self._at == self._start + self.lead
        if not fresh:
            pattern = _TOKEN
        while True:
            token = pattern.search(self._buffer, self._at)
            limit = len(self._buffer) - MARGIN
            if (token is None or token.end() > limit) and not self._ended:
                yield from self._read_on(token, limit)
                continue
            if token is None:
                self._lose_open(begin)
            text, start = token.group(), token.start()
            self._at = token.end()
            if text == b"'":
                yield from self._string(start)
            elif text == b"(":
                depth += 1
            elif text == b")":
                depth -= depth > 0
            elif text == b";":
                if not depth and not bodies:
                    return
            elif text == b'"':
                yield from self._quoted(b'"', start, "a quoted name")
            elif text == b"$":
                yield from self._dollar(start)
            elif text == b"--":
                if not self._to_line_end():
                    self._lose("open_statement", "a statement is open at the end", begin)
            elif text == b"/*":
                nesting, opened = 1, self._offset(start)
                while nesting:
                    nesting = self._comment_step(nesting, opened)
                    if self._at - self._start > LONGEST:
                        yield self._piece()
            elif text == b"\\":
                self._client_inside(start)
            else:
                word = text.lower()
                if (
                    start > self._start
                    and self._buffer[start - 1 : start].isdigit()
                    and word in _FIRST_WORDS + (b"begin", b"case", b"end")
                ):
                    self._lose(
                        "unsafe_statement",
                        "it is not certain how clients read %s" % shown(self._buffer[start - 1 :], 20),
                        self._offset(start),
                    )
                if words < 4:
                    first += word[:1] if word in _FIRST_WORDS else b"-"
                    body = first.startswith(_WITH_BODY)
                words += 1
                if body and not depth:
                    if word == b"begin" or (word == b"case" and bodies):
                        bodies += 1
                    elif word == b"end":
                        bodies -= bodies > 0
                elif words >= 4 and not body:
                    pattern = _TOKEN

    def _word_start(self, limit):
        if limit <= self._at:
            return self._at
        run = _IDENTIFIER_BEFORE.search(self._buffer, max(self._at, limit - MARGIN), limit)
        return run.start() if run.start() > self._at else limit

    def _run_before(self, start):
        """The letters and digits right before a quote or a dollar."""
        low = max(self._start, start - MARGIN)
        run = _IDENTIFIER_BEFORE.search(self._buffer, low, start).group()
        if len(run) >= MARGIN - 1:
            self._lose("bad_structure", "a word of more than %d letters" % MARGIN, self._offset(start))
        return run

    def _string(self, start):
        run = self._run_before(start)
        escapes, prefixed = not self.standard_strings, False
        if run:
            last = run[-1:].lower()
            if len(run) == 1 and last in (b"e", b"b", b"x"):
                escapes, prefixed = last == b"e", True
                before = self._buffer[max(self._start, start - 3) : start - 1]
                if last == b"e" and before[-1:] == b"." and before[:1].isdigit():
                    self._unsure(start)
            elif (run[:1].isdigit() or run[:1] == b"$") and last == b"e":
                self._unsure(start)
        elif self._buffer[start - 1 : start] == b"&" and start > self._start and not self.standard_strings:
            self._unsure(start)
        if escapes:
            yield from self._escaped(start)
        else:
            yield from self._quoted(b"'", start, "a string")
        if prefixed:
            # A string of this kind would go on after a line break, which nobody writes.
            while True:
                space = SPACE.match(self._buffer, self._at)
                end = space.end() if space else self._at
                if end < len(self._buffer) - 1 or not self._more():
                    break
            follows = self._buffer[end : end + 2]
            if follows[:1] == b"'" or (space and follows == b"--"):
                self._unsure(start)

    def _quoted(self, quote, start, what):
        """To behind the closing quote. Doubled ones close and open again, which comes to the same."""
        opened = self._offset(start)
        while True:
            end = self._buffer.find(quote, self._at)
            if end >= 0:
                self._at = end + len(quote)
                return
            # A longer quote may be cut by the end of the buffer.
            self._at = max(self._at, len(self._buffer) - len(quote) + 1)
            if self._at - self._start > LONGEST:
                yield self._piece()
            if not self._more():
                self._lose("open_statement", "%s is open at the end" % what, opened)

    def _escaped(self, start):
        opened = self._offset(start)
        while True:
            if len(self._buffer) - self._at < 2 and not self._more() and self._at >= len(self._buffer):
                self._lose("open_statement", "a string is open at the end", opened)
            quote = self._buffer.find(b"'", self._at)
            slash = self._buffer.find(b"\\", self._at, quote if quote >= 0 else len(self._buffer))
            if slash >= 0:
                if slash + 1 >= len(self._buffer) and not self._more():
                    self._lose("open_statement", "a string is open at the end", opened)
                slash = self._buffer.find(b"\\", self._at)
                self._at = slash + 2
            elif quote >= 0:
                if quote + 1 >= len(self._buffer):
                    self._at = quote
                    if self._more():
                        continue
                    quote = self._at
                self._at = quote + 1
                if not self._buffer.startswith(b"'", self._at):
                    return
                self._at += 1
            else:
                self._at = len(self._buffer)
            if self._at - self._start > LONGEST:
                yield self._piece()

    def _dollar(self, start):
        run = self._run_before(start)
        if run:
            if run[:1].isdigit() or run[:1] == b"$":
                self._unsure(start)
            return
        tag = _DOLLAR.match(self._buffer, start)
        if tag:
            self._at = tag.end()
            yield from self._quoted(tag.group(), start, "a string in dollars")
        elif len(self._buffer) - start >= MARGIN and _DOLLAR_OPEN.match(self._buffer[start : start + MARGIN]):
            self._lose(
                "bad_structure", "a dollar quote with a name of more than %d letters" % MARGIN, self._offset(start)
            )

    def _row(self):
        depth = values = 0
        while True:
            token = _ROW_TOKEN.search(self._buffer, self._at)
            limit = len(self._buffer) - MARGIN
            if (token is None or token.end() > limit) and not self._ended:
                yield from self._read_on(token, limit)
                continue
            if token is None:
                return None
            text, start = token.group(), token.start()
            if text in (b";", b"\\"):
                self._at = start
                return None
            self._at = token.end()
            if text in (b"(", b"["):
                depth += 1
            elif text == b",":
                values += depth == 1
            elif text in (b")", b"]"):
                depth -= 1
                if not depth:
                    return values + 1
            elif text == b"'":
                yield from self._string(start)
            elif text == b'"':
                yield from self._quoted(b'"', start, "a quoted name")
            elif text == b"$":
                yield from self._dollar(start)
            elif text == b"--":
                self._to_line_end()
            else:
                nesting, opened = 1, self._offset(start)
                while nesting:
                    nesting = self._comment_step(nesting, opened)

    def _judge(self, piece, offset):
        if self.table is None:
            default = _INSERT_DEFAULT.match(piece)
            if default:
                self.table, self.rows = self.named(default.group(1)), 1
        why = unsafe(piece)
        if why:
            self._wrong("unsafe_statement", why, offset)
        word = WORD.match(piece)
        word = word.group().upper() if word else b""
        if word in (b"SET", b"RESET", b"DISCARD", b"ALTER"):
            self._setting(word, piece, offset)
        elif word == b"COPY" or (
            not word and WORD.match(bare(piece)) and WORD.match(bare(piece)).group().upper() == b"COPY"
        ):
            return self._copy_begins(piece, offset)
        return False

    def _setting(self, word, piece, offset):
        if word == b"ALTER":
            # It would hold from the next connection on.
            if re.match(rb"ALTER[ \t\r\n]+(?:DATABASE|ROLE|USER)\b", piece, re.I) and re.search(
                rb"\bstandard_conforming_strings\b", piece, re.I
            ):
                self._wrong("unsafe_statement", "a later session would read strings in another way", offset)
            return
        statement = _SET.fullmatch(bare(piece))
        name = statement.group(1).lower() if statement else b""
        value = statement.group(2).strip(b"'\"").decode("ascii", "replace") if statement else ""
        if name == b"standard_conforming_strings" and value.lower() in ("on", "off", "true", "false"):
            self.standard_strings = value.lower() in ("on", "true")
        elif name == b"client_encoding" and re.fullmatch(r"[A-Za-z0-9_-]+", value):
            self._encode(value, offset)
        elif name == b"search_path":
            first = _PART.match(statement.group(2))
            self.schema = unquoted(first.group(), codec_of(self.encoding))[0] if first else "public"
        elif _SENSITIVE.search(piece):
            self._wrong("unsafe_statement", "%s: it changes how what follows is read" % shown(piece), offset)

    def _encode(self, value, offset):
        name = value.upper().replace("-", "_")
        if name.replace("_", "") in [unsafe_name.replace("_", "") for unsafe_name in _UNSAFE_ENCODINGS]:
            self._lose("unsupported", "in the encoding %s a backslash can be half of a character: dump with --encoding=UTF8" % value, offset)
        if not _KNOWN_ENCODING.fullmatch(name):
            self._lose("unsupported", "the encoding %s" % shown(value.encode()), offset)
        self.encoding = value

    def _copy_begins(self, piece, offset):
        form = _COPY.fullmatch(bare(piece))
        if not form:
            return False
        options = form.group(4)
        if _BINARY.search(options):
            self._lose("unsupported", "COPY in binary form within text", offset)
        self._ahead(MARGIN)
        end = _END_OF_LINE.match(self._buffer, self._at)
        if end:
            self._at = end.end()
        elif self._ended and not self._buffer[self._at :].strip():
            self._at = len(self._buffer)
        else:
            self._lose(
                "unsafe_statement", "something stands behind COPY ... FROM stdin; on its line", self._offset(self._at)
            )
        self.copied = self.named(form.group(1))
        self.columns = None
        self.countable = options.strip().lower() in (b"", b"with oids")
        if not options.strip():
            listed = form.group(3)
            self.columns = (
                len(_PART.findall(listed))
                if listed
                else (0 if re.search(rb"[ \t]{2}FROM|\([ \t]*\)", form.group()) else None)
            )
        return True

    def _appendix(self):
        r"""The data of a COPY up to the line \. and with it."""
        opened = self._offset(self._at)
        at_line_start, self.copy_ends = True, False
        while True:
            self.lead = 0
            if (
                len(self._buffer) - self._at < max(BLOCK >> 1, 16)
                and not self._more()
                and self._at >= len(self._buffer)
            ):
                self._lose("open_copy", "the rows of %s are open at the end" % ".".join(self.copied), opened)
            end = len(self._buffer)
            if not self._ended:
                # What may be the end, or its beginning, stays.
                kept = _MAY_END.search(self._buffer, max(end - 5, self._at))
                end = kept.start() if kept else end
                if end == self._at:
                    self._more()
                    continue
            self.left = self._buffer[self._at : end].translate(None, _DROP_COPY)
            at = -1
            if at_line_start and self._buffer.startswith(b"\\.", self._at):
                at = self._at
            elif b"\n\\\n" in self.left or end - self._at < MARGIN or self._ended:
                at = self._end_of_rows(self._at)
            while at > 0 or (not at and at_line_start):
                while len(self._buffer) - at < 4 and not self._ended:
                    ahead = at - self._at
                    self._more()
                    at = self._at + ahead
                if self._buffer.startswith((b"\\.\n", b"\\.\r\n"), at):
                    self.left = self._buffer[self._at : at].translate(None, _DROP_COPY)
                    self._at = self._buffer.index(b"\n", at) + 1
                    self.copy_ends = True
                    yield self._finish("copy")
                    return
                at = self._end_of_rows(at)
            if end > self._at:
                at_line_start = self._buffer[end - 1 : end] == b"\n"
                self._at = end
                yield self._finish("copy")

    def _end_of_rows(self, at):
        """Where the next line begins that may be the last, -1 where none does."""
        found = self._buffer.find(b"\n\\.", at)
        return found + 1 if found >= 0 else -1


def statements(stream):
    """The statements of a dump, for a client: iterable of (kind, bytes, offset), see ``Statements`` and ``Lexer``."""
    return Statements(stream)
