# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
r"""Plain text of pg_dump and pg_dumpall, and whatever psql would read: statements, COPY blocks, rows per table.

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

from ._sql import BLOCK, LONGEST, MARGIN, SPACE, WORD, Lexer, Reader, dropping_all_but, first_words, shown

FORMAT = "pg_dump-plain"
START_MARK, END_MARK = "-- PostgreSQL database dump", "-- PostgreSQL database dump complete"
CLUSTER_START, CLUSTER_END = "-- PostgreSQL database cluster dump", "-- PostgreSQL database cluster dump complete"

_NAME = rb'(?:"(?:[^"\0]|"")+"|[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*)'
_QUALIFIED = _NAME + rb"(?:\." + _NAME + rb")?"
_COLUMNS = rb"\([ \t\r\n]*(" + _NAME + rb"(?:[ \t\r\n]*,[ \t\r\n]*" + _NAME + rb")*)?[ \t\r\n]*\)"
_PART = re.compile(_NAME)
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
    + _QUALIFIED
    + rb")(?: (\((?:"
    + _NAME
    + rb"(?:, )?)*\)))?(?: OVERRIDING (?:SYSTEM|USER) VALUE)? VALUES[ \t\r\n]*\(",
    re.I,
)
_INSERT_DEFAULT = re.compile(rb"INSERT INTO (" + _QUALIFIED + rb") DEFAULT VALUES;", re.I)
_COPY = re.compile(
    rb"COPY[ \t\r\n]+(" + _QUALIFIED + rb")[ \t\r\n]*(" + _COLUMNS + rb")?[ \t\r\n]*FROM[ \t\r\n]+stdin([^;]*);", re.I
)
_COPY_OUT = re.compile(rb"COPY\b.*\bTO[ \t\r\n]+stdout\b[^;]*;", re.I | re.S)
_BINARY = re.compile(rb"\bBINARY\b", re.I)
_END_OF_LINE = re.compile(rb"[ \t]*\r?\n")
_CONNECT = re.compile(
    rb'\\connect[ \t]+(?:-reuse-previous=on[ \t]+)?("(?:[^"`\r\n\\]|""|\\[\'\\])+"'
    rb'|[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*)[ \t]*\r?\n?'
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
_SEARCH_PATH = re.compile(rb"SELECT pg_catalog\.set_config\('search_path', '', false\);")
_CREATE_TABLE = re.compile(
    rb"CREATE[ \t\r\n]+((?:GLOBAL[ \t\r\n]+|LOCAL[ \t\r\n]+)?(?:TEMP|TEMPORARY|UNLOGGED|FOREIGN)[ \t\r\n]+)?TABLE["
    rb" \t\r\n]+"
    rb"(?:IF[ \t\r\n]+NOT[ \t\r\n]+EXISTS[ \t\r\n]+)?(" + _QUALIFIED + rb")",
    re.I,
)
_ATTACHED = re.compile(
    rb"ALTER[ \t\r\n]+TABLE[ \t\r\n]+(?:ONLY[ \t\r\n]+)?(" + _QUALIFIED + rb")[ \t\r\n]+ATTACH[ \t\r\n]+PARTITION"
    rb"[ \t\r\n]+(" + _QUALIFIED + rb")",
    re.I,
)
_PARTITIONED = re.compile(
    rb"\)[ \t\r\n]*PARTITION[ \t\r\n]+BY[ \t\r\n]+(?:RANGE|LIST|HASH)\b|VALUES.*\bPARTITION[ \t\r\n]+BY[ \t\r\n]",
    re.I | re.S,
)
_CREATED = re.compile(
    rb"CREATE[ \t\r\n]+(SCHEMA|ROLE|USER|EXTENSION|DATABASE|TABLESPACE)[ \t\r\n]+(?:IF[ \t\r\n]+NOT[ \t\r\n]+EXISTS["
    rb" \t\r\n]+)?"
    rb"(" + _NAME + rb")",
    re.I,
)
_LISTS = {
    b"SCHEMA": "schemas",
    b"ROLE": "roles",
    b"USER": "roles",
    b"EXTENSION": "extensions",
    b"DATABASE": "databases",
    b"TABLESPACE": "tablespaces",
}
_LARGE_OBJECT = re.compile(rb"\blo_create\('?\d+'?\)|^[ \t(]+\('?\d+'?\)[,)]", re.M)
_STARTS = (
    b"ABORT ALTER ANALYZE BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE DELETE"
    b" DISCARD DO"
    b" DROP END EXECUTE EXPLAIN FETCH GRANT IMPORT INSERT LISTEN LOAD LOCK MERGE MOVE NOTIFY PREPARE REASSIGN REFRESH"
    b" REINDEX"
    b" RELEASE RESET REVOKE ROLLBACK SAVEPOINT SECURITY SELECT SET SHOW START TABLE TRUNCATE UNLISTEN UPDATE VACUUM"
    b" VALUES WITH"
).split()
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

# pg_dump writes no empty line into a statement; where one is followed by another beginning, the semicolon is gone.
_ANOTHER = re.compile(
    rb"\n\r?\n+(?:--|SET |SELECT |CREATE |ALTER |COPY |INSERT |GRANT |REVOKE |COMMENT |DROP |REFRESH |BEGIN|COMMIT)"
)
_WHOLE_TAIL = re.compile(rb"\r?\n--\r?\n\r?\n\s*(?:\\unrestrict \S+\r?\n\r?\n)?\s*(?:-- Dump completed[^\n]*\n)?\s*")
_LONGEST_TAIL = 1 << 12
_SOME_LINE = re.compile(rb"^--[^\n]*", re.M)
_DATA_FOLLOWS = re.compile(rb"-- Data for Name: (.*); Type: TABLE DATA; Schema: (.*); Owner: ")
_ANY_MARK = re.compile(
    rb"^(?:\xef\xbb\xbf)?(?:--[^\n]*\r?\n|\\restrict [^\n]*\n|[ \t\r]*\n)*-- PostgreSQL database (?:cluster )?dump\r?$",
    re.M,
)
_TYPICAL = re.compile(
    rb"^(?:SET (?:statement_timeout|client_encoding|standard_conforming_strings|search_path|check_function_bodies)\b"
    rb"|SELECT pg_catalog\.|COPY [^\n]* FROM stdin|CREATE EXTENSION |\\connect |COMMENT ON (?:TABLE|SCHEMA|EXTENSION"
    rb"|COLUMN) )"
    rb"|\bOWNER TO |^CREATE TABLE (?:IF NOT EXISTS )?(?:[a-z_\"][^\n`]*)\(\n|\b(?:bigserial|serial|timestamptz|jsonb"
    rb"|bytea)\b",
    re.M,
)
_FOREIGN_TEXT = re.compile(
    rb"^-- (?:MySQL|MariaDB|Go SQL) dump|/\*M?!\d+|^(?:INSERT INTO|CREATE TABLE(?: IF NOT EXISTS)?"
    rb"|LOCK TABLES|DROP TABLE IF EXISTS) `|ENGINE=|^SQLite format|^PRAGMA ",
    re.M | re.I,
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
_ODD_ESCAPE = re.compile(rb"\\(?![Nbfnrtv])")
_ODD_NULL = re.compile(rb"(?<![\t\n])\\N")
_ESCAPES = (b"\n\\N", b"\\n", b"\\r", b"\\t", b"\\b", b"\\f", b"\\v")


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


def depends_on_settings(piece):
    """Whether psql may read this differently when settings of the session are not what they seem to be."""
    return b"\\" in piece or not piece.isascii()


def bare(statement):
    """A statement without the white space and comments before it and in it, as far as they are outside of strings."""
    lead = _lead(statement)
    text = statement[lead:]
    if b"--" not in text and b"/*" not in text:
        return text
    return b"".join(part if kind != "comment" else b" " for kind, part in _parts(text))


def command(piece):
    """The beginning of a statement, for looking at its first words: no comments, single spaces, first words upper
    case."""
    return first_words(bare(piece[: 1 << 16]))


def _lead(text):
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
    if _NATIVE.match(text) and _NATIVE.match(_without_strings(text)):
        return "a function in machine code or in a language that may do anything"
    if _RUNS.match(text):
        # The body of DO is code, other strings are not.
        found = _REACHES.search(text if word == b"DO" else _without_strings(text))
        if found:
            return "%s: it reaches files, programs or other servers" % shown(found.group(), 40)
    return None


def _without_strings(text):
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
            self._lose("unsupported", "in the encoding %s a backslash can be half of a character" % value, offset)
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


class CopyRows:
    """The rows of one COPY block, fed without the line that ends it.

    ``columns`` is how many each has, None where the first row says it. ``strict``: all of it is as pg_dump writes.
    ``wrong`` holds (offset, columns) of rows that have another number, ``odd`` is (offset, text) of the first backslash
    that pg_dump does not write.
    """

    def __init__(self, columns, strict):
        self.rows, self.columns, self.wrong, self.odd = 0, columns, [], None
        self._strict, self._tabs, self._tail = strict, 0, b"\n"
        self._unit = self._pattern = None
        if columns is not None:
            self._expect(columns)

    def _expect(self, columns):
        self.columns = columns
        self._unit = b"\t" * (columns - 1) + b"\n"
        self._pattern = self._unit * (2 * BLOCK // len(self._unit) + 2)

    def feed(self, piece, offset, left):
        slashes = 0
        if b"\\" in piece:
            slashes = left.count(b"\\")
            left = left.replace(b"\\", b"")
        self._count(piece, offset, left)
        if self._strict:
            if self.odd is None and (slashes or len(self._tail) > 1):
                self._escapes(piece, offset, slashes)
            else:
                self._tail = piece[-1:]

    def _count(self, piece, offset, left):
        if self._unit is None:
            if b"\n" not in left:
                self._tabs += len(left)
                return
            self._expect(self._tabs + left.index(b"\n") + 1)
        size = len(self._unit)
        if self._tabs < size and self._pattern.startswith(left, self._tabs) and self.columns:
            rows, self._tabs = divmod(self._tabs + len(left), size)
            self.rows += rows
        else:
            self._look_closer(piece, offset)

    def _look_closer(self, piece, offset):
        for line in piece.split(b"\n")[:-1]:
            tabs = self._tabs + line.count(b"\t")
            if tabs != max(self.columns - 1, 0) or (not self.columns and line.strip(b"\r")):
                self.wrong.append((offset, tabs + 1)) if len(self.wrong) < 1000 else None
            self.rows += 1
            self._tabs = 0
            offset += len(line) + 1
        self._tabs += piece.count(b"\t", piece.rfind(b"\n") + 1)

    def _escapes(self, piece, offset, slashes):
        """Whether each backslash is one that pg_dump writes. Counting is quicker than looking at each."""
        before = len(self._tail)
        text = self._tail + piece
        slashes += before - 1
        if len(text) - len(text.rstrip(b"\\")) & 1:
            # Half of something: the next piece has the other half.
            self._tail = (text[-2:-1] if text[-2:-1] != b"\\" else b".") + b"\\"
            text, slashes = text[:-1], slashes - 1
        else:
            self._tail = piece[-1:] if piece[-1:] != b"\\" else b"."
        left = slashes - text.count(b"\t\\N")
        if not left:
            return
        pairs = text.count(b"\\\\")
        if pairs:
            left -= 2 * pairs
            if not left:
                return
            text = text.replace(b"\\\\", b"..")
        for known in _ESCAPES:
            if left <= 0:
                return
            left -= text.count(known)
        if left:
            odd = _ODD_ESCAPE.search(text) or _ODD_NULL.search(text)
            if odd:
                self.odd = (offset + odd.start() - before, text[odd.start() : odd.start() + 12])


class _Reader(Reader):
    """Reads a dump of PostgreSQL."""

    def __init__(self, stream, member, report):
        super().__init__(Statements, stream, member, report)
        member.format, member.engine = FORMAT, "postgresql"
        self._lists = {name: set() for name in set(_LISTS.values())}
        self._parents, self._foreign = set(), set()
        # Partitions by the key of what they are attached to.
        self._partitions = {}
        self._commands, self._large_objects = set(), 0
        self._key = None  # of \\restrict, until \\unrestrict
        self._copy, self._copy_key, self._copies, self._inserts = None, None, 0, 0
        self._ends = self._cluster_starts = self._cluster_ends = 0
        self._expected, self._missing = None, []
        # What stands behind the line that ends a dump.
        self._tail, self._tail_from = b"", 0

    def _strict(self):
        return self._starts + self._cluster_starts > 0

    def _count(self):
        if self._items.rows:
            self._member.count(".".join(self._items.table), self._items.rows, self._items.database)

    def _take(self, kind, piece, offset):
        fault = self._encoding.fault(piece)
        if fault is not None:
            self._wrong("bad_encoding", "bytes that are no %s" % self._member.encoding, offset + fault, "bad_encoding")
        items = self._items
        if kind == "copy":
            self._copy_piece(piece, offset)
            return
        lead = items.lead
        if lead and b"--" in piece[:lead]:
            self._comments(piece[:lead], offset)
        if self._end_offset is not None and kind in ("rest", "meta") and len(self._tail) < _LONGEST_TAIL:
            self._tail += piece[max(self._tail_from - offset, 0) :]
        if kind == "rest":
            return
        if kind == "meta":
            self._meta(piece[lead:], offset + lead)
            return
        if kind == "sql":
            self._tell_unread()
            self._statements += 1
            if self._end_offset is not None:
                self._behind_the_end(piece[lead:], offset + lead)
        if items.table:
            self._unread = None
            self._inserts += items.rows > 0
            self._count()
        elif kind == "sql":
            self._statement(piece[lead:], offset + lead)

    def _meta(self, line, offset):
        word = re.match(rb"\\(\w*)", line).group(1).decode("ascii", "replace")
        self._commands.add(word)
        if word == "connect":
            database = connected(line)
            if database is not None:
                self._lists["databases"].add(database)
        if word in ("restrict", "unrestrict"):
            self._restricted(word, line.split()[1:2], offset)
        if self._end_offset is not None and word != "unrestrict":
            self._behind_the_end(line, offset)

    def _restricted(self, word, key, offset):
        """Between these two psql takes no command of its own; it refuses the second one with another key."""
        if word == "restrict":
            self._key = key
            return
        if key != self._key:
            self._wrong("bad_structure", "\\unrestrict has another key than \\restrict before it", offset)
        self._key = None

    def _comments(self, lead, offset):
        member = self._member
        for found in _SOME_LINE.finditer(lead):
            line = found.group().rstrip(b"\r")
            text = line.decode("utf-8", "replace")
            where = offset + found.start()
            if text in (START_MARK, CLUSTER_START):
                self._started(text, where)
            elif text in (END_MARK, CLUSTER_END):
                self._ended(text, where, where + len(line))
            elif text.startswith("-- Dumped from database version ") and not member.server_version:
                member.server_version = text[len("-- Dumped from database version ") :]
            elif text.startswith("-- Dumped by ") and " version " in text and not member.tool_version:
                tool, _sep, version = text[len("-- Dumped by ") :].partition(" version ")
                member.tool, member.tool_version = member.tool or tool, version
            elif text.startswith("-- Dump completed") and self._end_offset is None and not self._strict():
                self._ended(text, where, where + len(line))
            else:
                data = _DATA_FOLLOWS.match(line)
                if data:
                    self._no_data_came()
                    self._expected = (
                        "%s.%s" % (data.group(2).decode("utf-8", "replace"), data.group(1).decode("utf-8", "replace")),
                        where,
                    )

    def _started(self, text, offset):
        member = self._member
        cluster = text == CLUSTER_START
        if self._cluster_starts if cluster else (self._starts and not self._cluster_starts):
            self._wrong("duplicate", "a second dump begins", offset, "duplicate")
        elif self._end_offset is not None:
            self._wrong(
                "duplicate" if self._strict() else "trailing_garbage",
                "a dump begins behind the end of one",
                offset,
                "duplicate",
            )
        if cluster:
            self._cluster_starts += 1
            member.tool = "pg_dumpall"
        else:
            self._starts += 1
            member.tool = member.tool or "pg_dump"
        member.start_mark = member.start_mark or text

    def _ended(self, text, offset, end):
        if text == END_MARK:
            self._ends += 1
        elif text == CLUSTER_END:
            self._cluster_ends += 1
        if text == CLUSTER_END or not self._cluster_starts:
            self._member.end_mark = text
            self._end_offset = offset
            self._tail, self._tail_from = b"", end

    # Statements

    def _statement(self, text, offset):
        word = WORD.match(text)
        word = word.group().upper() if word else text[:1]
        if word not in _STARTS and word != b"(":
            if text[:1] in (b"-", b"/"):
                word = command(text).partition(b" ")[0]
            if word not in _STARTS:
                self._no_statement(text, offset)
                return
        if self._strict() and _ANOTHER.search(text) and _ANOTHER.search(_without_strings(text)):
            self._wrong("bad_structure", "a statement does not end where it should: %s" % shown(text), offset, "merged")
        if word == b"INSERT" and self._strict():
            self._no_rows(text, offset)
        attached = _ATTACHED.match(text) if word == b"ALTER" else None
        if attached:
            parent, child = (self._key_of(name) for name in attached.groups())
            self._partitions.setdefault(parent, []).append(child)
        if word == b"CREATE":
            self._create(text)
        elif word == b"SET" and self._items.encoding:
            self._member.encoding = self._items.encoding
            name = re.sub(r"[^A-Z0-9]", "", self._items.encoding.upper())
            self._encoding.declare("utf-8" if name in ("UTF8", "UNICODE") else "other")
        elif word == b"SELECT" and b"lo_create" in text:
            self._large_objects += len(_LARGE_OBJECT.findall(text))

    def _no_statement(self, text, offset):
        self._unknown += 1
        if not self._tool_message(text, offset):
            self._wrong("bad_structure", "this is no statement: %s" % shown(text), offset, "no statement")

    def _key_of(self, name):
        return self._items.database, ".".join(self._items.named(name))

    def _create(self, text):
        table = _CREATE_TABLE.match(text)
        if table:
            key = self._key_of(table.group(2))
            kind = (table.group(1) or b"").upper()
            if b"FOREIGN" in kind or b"TEMP" in kind:
                self._foreign.add(key)
            elif b"PARTITION" in text.upper() and _PARTITIONED.search(_without_strings(bare(text))):
                self._parents.add(key)
            else:
                self._created.setdefault(key, None)
            return
        made = _CREATED.match(text)
        if made and not re.match(rb"CREATE[ \t\r\n]+USER[ \t\r\n]+MAPPING\b", text, re.I):
            self._lists[_LISTS[made.group(1).upper()]].add(unquoted(made.group(2), codec_of(self._items.encoding))[0])

    # COPY

    def _copy_piece(self, piece, offset):
        items = self._items
        if self._copy is None:
            self._copies += 1
            self._expected = None
            self._copy = CopyRows(items.columns, self._strict())
            self._copy_key = (items.database, ".".join(items.copied))
            if items.countable:
                self._member.table(self._copy_key[1], 0, items.database)
        if items.copy_ends:
            piece = piece[: -4 if piece.endswith(b"\r\n") else -3]
        if items.countable and piece:
            self._copy.feed(piece, offset, items.left)
        if items.copy_ends:
            self._copied()

    def _copied(self):
        copy, (database, name) = self._copy, self._copy_key
        self._copy = None
        if not self._items.countable:
            self._member.tables[(database, name)] = None
            return
        self._member.count(name, copy.rows, database)
        if copy.wrong:
            self._wrong(
                "wrong_rows",
                "%d row%s of %s with another number of columns than %d, the first with %d"
                % (len(copy.wrong), "s"[: len(copy.wrong) > 1], name, copy.columns, copy.wrong[0][1]),
                copy.wrong[0][0],
            )
        if copy.odd:
            self._wrong(
                "bad_structure",
                "in the rows of %s a backslash that pg_dump does not write: %s" % (name, shown(copy.odd[1])),
                copy.odd[0],
            )

    def _no_data_came(self):
        if self._expected:
            self._missing.append(self._expected)
            self._expected = None

    # The end

    def _fill(self):
        member = self._member
        self._no_data_came()
        if self._copy is not None:
            copy, self._copy = self._copy, None
            if self._items.countable:
                self._member.count(self._copy_key[1], copy.rows, self._copy_key[0])
        without = []
        for database, name in self._created:
            if (database, name) not in self._parents and (database, name) not in member.tables:
                without.append(name)
                member.table(name, 0, database)
        for key in self._parents & set(member.tables):
            # Loaded through the root: which partition a row goes to is known only when it is there.
            through_root = member.details.setdefault("rows_through_root", {})
            through_root[key[1]] = member.tables.pop(key)
            for leaf in self._leaves(key):
                member.tables[leaf] = None
        databases = self._lists["databases"]
        connected_to = {database for database, _name in member.tables if database}
        if len(databases) == 1:
            member.database = next(iter(databases))
        elif len(connected_to) == 1 and not self._cluster_starts:
            member.database = next(iter(connected_to))
        member.details.update({name: sorted(found) for name, found in self._lists.items()})
        member.details.update(
            commands=sorted(self._commands),
            cluster=bool(self._cluster_starts),
            statements=self._statements,
            large_objects=self._large_objects,
            partitioned=sorted(name for _database, name in self._parents),
            without_data=sorted(without),
        )

    def _leaves(self, key):
        for child in self._partitions.get(key, ()):
            yield from self._leaves(child) if child in self._parents else [child]

    def _conclude(self):
        # The rows of an extension's own tables are dumped without them.
        if not self._lists["extensions"]:
            self._check_created(self._parents | self._foreign)
        if self._copies and not self._inserts:
            for name, offset in self._missing:
                self._wrong("missing_table_data", "the rows of %s are announced and do not follow" % name, offset)
        if self._cluster_starts > self._cluster_ends or self._starts > self._ends:
            mark = CLUSTER_END if self._cluster_starts else END_MARK
            self._wrong("incomplete", "the line that ends a complete dump is missing: %s" % mark, self._stream.offset)
        elif (
            self._strict()
            and self._end_offset is not None
            and not _WHOLE_TAIL.fullmatch(self._tail)
            and not self._told & {"duplicate", "trailing_garbage"}
        ):
            self._wrong("incomplete", "the last line of the dump is cut", self._stream.offset)
        elif self._strict() and self._key is not None and not self._told & {"duplicate", "trailing_garbage"}:
            self._wrong("incomplete", "the last line of the dump is missing: \\unrestrict", self._stream.offset)
        elif self._ends > self._starts or self._cluster_ends > self._cluster_starts:
            self._wrong("bad_structure", "the line that begins a dump is missing: %s" % START_MARK, 0)


def read(stream, member, report):
    """Read a dump to its last byte.

    ``member.details``: ``cluster`` (by pg_dumpall), ``databases`` (created or connected to), ``roles``, ``schemas``,
    ``extensions``, ``tablespaces``, ``partitioned`` (tables that hold no rows themselves), ``without_data`` (tables
    that are created and get no rows: as asked for, or because something is missing), ``large_objects``, ``statements``
    (numbers) and ``commands`` (the client's commands in it). A table's count is None where the rows are not in the form
    that pg_dump writes.
    """
    _Reader(stream, member, report).run()


def matches(head, name):
    """Whether this begins as text for PostgreSQL does: surely, or as a best guess where nothing speaks for another
    engine."""
    if b"\0" in head or not head.strip():
        return False
    if _ANY_MARK.search(head):
        return True
    if _FOREIGN_TEXT.search(head) or head.lstrip()[:1] == b"<":
        return False
    if _TYPICAL.search(head):
        return True
    first = WORD.match(head, _lead(head))
    if not first or first.group().upper() not in _STARTS:
        return False
    return name.lower().endswith(".sql") or bool(re.search(r"postgres|pgsql|pg_dump", name, re.I))
