# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
r"""Text of mysqldump, mariadb-dump, Backupman's own writer, and whatever the client would read: statements, rows per
table.

The text is split as the client splits it: it looks for the delimiter outside of strings and comments, and reads what
stands in ``/*! ... */`` as text. ``sql_mode`` decides whether a backslash means anything and is followed by the
statements of the dump. Where client and server may disagree about what is a string, the text is refused instead of
guessed at.

Commands of the client (``\!``, ``system``, ``source``, ...) are never handed on, except DELIMITER and USE.
"""

from __future__ import annotations

import re

from ._sql import LONGEST, MARGIN, SPACE, WORD, Encoding, Lexer, Reader, first_words, shown

FORMAT = "mysqldump"
END_MARK = "-- Dump completed"

_NAME = rb'(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[A-Za-z0-9_$\x80-\xff]+)'
_QUALIFIED = _NAME + rb"(?:\." + _NAME + rb")?"
_PART = re.compile(_NAME)
_SPACES = b" \t\r\n\f\v"
_SANDBOX = re.compile(rb"/\*M?!999999\\- enable the sandbox mode \*/")
_CONDITION = re.compile(rb"/\*M?!([0-9]{0,6})")
# From this version on servers differ in whether they execute what stands in the comment.
_ALL_SERVERS_BELOW = 50700
_DELIMITER = re.compile(rb"delimiter[ \t]+([^\sA-Za-z0-9'\"`\\,()#*-]{1,16})[ \t]*(?:\r?\n|\Z)", re.I)
_LINE_LIMIT = 1 << 16
_INSERT = re.compile(
    rb"(?:INSERT|REPLACE)(?:[ \t]+(?:LOW_PRIORITY|HIGH_PRIORITY|DELAYED|IGNORE))*[ \t]+INTO[ \t]+("
    + _QUALIFIED
    + rb")[ \t]*(\([ \t]*"
    + _NAME
    + rb"(?:[ \t]*,[ \t]*"
    + _NAME
    + rb")*[ \t]*\))?[ \t\r\n]*VALUES[ \t\r\n]*\(",
    re.I,
)
_ROW_TOKEN = re.compile(rb"['\"`;(),\\#]|--|/\*")
_USE = re.compile(rb"USE[ \t]+(" + _NAME + rb")[ \t]*;?", re.I)
_MODE = re.compile(
    rb"@([A-Za-z0-9_.$]+)[ \t]*:?=[ \t]*@@(?:session\.)?sql_mode\b|(?:@@(?:session\.|local\.)?|\b(?:session|local)["
    rb" \t]+|[ \t,]"
    rb"|\A)sql_mode[ \t]*:?=[ \t]*('[^']*'|@[A-Za-z0-9_.$]+|[^,;]*)",
    re.I,
)
_ANSI = re.compile(rb"\b(?:ANSI_QUOTES|ANSI|ORACLE|MSSQL|DB2|MAXDB|POSTGRESQL)\b", re.I)
_NAMES = re.compile(rb"\bNAMES[ \t]+'?([A-Za-z0-9_]+)", re.I)
_STARTS = (
    b"ALTER ANALYZE BEGIN BINLOG CACHE CALL CHANGE CHECK CHECKSUM COMMIT CREATE DEALLOCATE DELETE DESCRIBE DO DROP"
    b" END EXECUTE EXPLAIN"
    b" FLUSH GRANT HANDLER INSERT INSTALL KILL LOAD LOCK OPTIMIZE PREPARE PURGE RELEASE RENAME REPAIR REPLACE RESET"
    b" REVOKE ROLLBACK"
    b" SAVEPOINT SELECT SET SHOW SIGNAL SLAVE START STOP TRUNCATE UNINSTALL UNLOCK UPDATE USE VALUES WITH XA TABLE"
    b" DELIMITER"
).split()
_CLIENT = (
    b"SOURCE SYSTEM TEE PAGER NOTEE NOPAGER EDIT EGO GO HELP EXIT QUIT REHASH STATUS PRINT PROMPT CONNECT CLEAR"
    b" WARNINGS NOWARNING"
    b" CHARSET RESETCONNECTION SANDBOX QUERY_ATTRIBUTES SSL_SESSION_DATA_PRINT COSTS NOCOSTS"
).split()
_CREATE_TABLE = re.compile(
    rb"CREATE[ \t]+(?:OR[ \t]+REPLACE[ \t]+)?(TEMPORARY[ \t]+)?TABLE[ \t]+"
    rb"(?:IF[ \t]+NOT[ \t]+EXISTS[ \t]+)?(" + _QUALIFIED + rb")",
    re.I,
)
_COLUMN = re.compile(rb"  (?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\") ([A-Za-z]+)")
_OTHER_LINES = re.compile(
    rb"  (?:PRIMARY|UNIQUE|KEY|INDEX|FULLTEXT|SPATIAL|VECTOR|CONSTRAINT|FOREIGN|CHECK|PERIOD)\b", re.I
)
_BINARY_TYPES = re.compile(
    rb"(?:tiny|medium|long)?blob|(?:var)?binary|bit|geometry|point|linestring|polygon|multi\w+|geom\w+|vector", re.I
)
_PLACEHOLDER = re.compile(rb"/\*!50001[ \t]+CREATE[ \t]+(?:TABLE|VIEW)\b", re.I)
_VIEW = re.compile(rb"\bVIEW[ \t]+(?:IF[ \t]+NOT[ \t]+EXISTS[ \t]+)?(" + _QUALIFIED + rb")", re.I)
_CREATED = re.compile(
    rb"CREATE\b[^;(]*?\b(TRIGGER|PROCEDURE|FUNCTION|EVENT|SEQUENCE|DATABASE|SCHEMA|USER|ROLE|PACKAGE(?:[ \t]+BODY)?)["
    rb" \t]+"
    rb"(?:IF[ \t]+NOT[ \t]+EXISTS[ \t]+)?(" + _QUALIFIED + rb")",
    re.I,
)
_SYSTEM = ("mysql", "sys", "performance_schema", "information_schema")
# What `mariadb-dump --system=stats` writes rows for, and no dump creates.
_NEVER_CREATED = (("mysql", "innodb_index_stats"), ("mysql", "innodb_table_stats"))
_LISTS = {
    b"TRIGGER": "triggers",
    b"PROCEDURE": "routines",
    b"FUNCTION": "routines",
    b"PACKAGE": "routines",
    b"EVENT": "events",
    b"SEQUENCE": "sequences",
    b"DATABASE": "databases",
    b"SCHEMA": "databases",
    b"USER": "users",
    b"ROLE": "roles",
}
_PARTS = re.compile(
    rb"(?P<comment>/\*(?![!M+]).*?\*/|--(?:[ \t][^\n]*|(?=\n))|#[^\n]*)|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]"
    rb"|\\.)*\")|(?P<name>`[^`]*`)|(?P<mark>/\*M?!\d{0,6}|\*/)",
    re.S,
)
_PARTS_PLAIN = re.compile(
    _PARTS.pattern.replace(rb"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", rb"'[^']*'|\"[^\"]*\""), re.S
)
_REACHES = re.compile(
    rb"\bLOAD[ \t\r\n]+(?:DATA|XML)\b|\bINTO[ \t\r\n]+(?:OUTFILE|DUMPFILE)\b|\bload_file[ \t\r\n]*\(|\bSONAME\b"
    rb"|\bINSTALL[ \t\r\n]+(?:PLUGIN|COMPONENT)\b"
    rb"|\bsys_(?:exec|eval)[ \t\r\n]*\(|\bSTART[ \t\r\n]+(?:ALL[ \t\r\n]+)?(?:SLAVE|REPLICA|GROUP_REPLICATION)"
    rb"|\b(?:GLOBAL[ \t\r\n.]+|PERSIST(?:_ONLY)?[ \t\r\n.]+)(?:general_log_file|slow_query_log_file|log_error|init_"
    rb"|secure_|plugin|audit|server_audit)\w*",
    re.I,
)
_BODY = re.compile(rb"CREATE\b[^;(]*?\b(?:PROCEDURE|FUNCTION|EVENT|TRIGGER|VIEW|PACKAGE)\b", re.I)
_STORED = re.compile(rb"CREATE\b[^;(]*?\b(?:PROCEDURE|FUNCTION|EVENT|VIEW|PACKAGE)\b", re.I)

# What mysqldump writes at the beginning of a line only where a statement begins.
_ANOTHER = re.compile(
    rb"\n(?:INSERT INTO |REPLACE INTO |LOCK TABLES |UNLOCK TABLES|/\*!40000 ALTER TABLE |CREATE TABLE "
    rb"|DROP TABLE |/\*!5000[13] |/\*!40101 SET |--\n-- [A-Z])"
)
_WHOLE_END = re.compile(rb"-- Dump completed(?: on \d{4}-\d\d-\d\d[ \t]+\d{1,2}:\d\d:\d\d)?\r?\n")
_LINE = re.compile(rb"^--[^\n]*", re.M)
_START = re.compile(
    r"-- (?:(?P<tool>MySQL|MariaDB) dump (?P<version>.*)|(?P<other>[^\s`][^\n`]*? ?dump)\b(?! completed).*)", re.I
)
_VERSION = re.compile(r".*Distrib ([^,\s]+)|[\d.]+-(\d[\w.-]*)|(\d[\w.-]*)")
_FOR_TABLE = re.compile(rb"-- (?:(Table structure)|(Dumping data)) for table [`\"]?(.*?)[`\"]?\r?$")
_FOR_VIEW = re.compile(
    rb"-- (?:Temporary (?:table|view) structure|(Final view structure)) for view [`\"]?(.*?)[`\"]?\r?$"
)
_FAILED = re.compile(rb"-- (?:insufficient privileges to |failed on view|.*: Couldn't execute |ERROR )", re.I)
_LOCK = re.compile(rb"LOCK[ \t]+TABLES[ \t]+(" + _QUALIFIED + rb")[ \t]+WRITE", re.I)

_ANY_MARK = re.compile(
    rb"^-- (?:MySQL|MariaDB|Go SQL) dump\b|^/\*M?!999999\\- enable the sandbox mode|^/\*M?!\d{5,6} ", re.M | re.I
)
_TYPICAL = re.compile(
    rb"^(?:INSERT +(?:IGNORE +)?INTO|REPLACE INTO|CREATE TABLE(?: IF NOT EXISTS)?|LOCK TABLES|DROP TABLE IF EXISTS|USE"
    rb"|CREATE DATABASE(?: IF NOT EXISTS)?) +`"
    rb"|\bENGINE *= *\w+|\bAUTO_INCREMENT\b|^SET NAMES |^DELIMITER |^SET FOREIGN_KEY_CHECKS|^SET SQL_MODE|^UNLOCK"
    rb" TABLES",
    re.M | re.I,
)
_FOREIGN_TEXT = re.compile(
    rb"^-- PostgreSQL database (?:cluster )?dump|^COPY [^\n]* FROM stdin|^SET standard_conforming_strings"
    rb"|^SELECT pg_catalog\.|^SQLite format|^PRAGMA |^\\connect ",
    re.M,
)


def unquoted(name, codec="utf-8"):
    """The parts of a name as they are, without quotes."""
    parts = []
    for part in _PART.findall(name):
        quote = part[:1]
        if quote in (b"`", b'"') and len(part) > 1:
            part = part[1:-1].replace(quote * 2, quote)
        parts.append(part.decode(codec, "replace"))
    return parts


def column_types(text):
    """The types of the columns of a CREATE TABLE as servers show it, a line each; None where it is written in another
    way."""
    types = []
    for line in text.split(b"\n")[1:]:
        if line.startswith(b")"):
            return types
        column = _COLUMN.match(line)
        if column:
            types.append(column.group(1))
        elif not _OTHER_LINES.match(line):
            return None
    return None


def _lead(text):
    at = 0
    while True:
        space = SPACE.match(text, at)
        sandbox = _SANDBOX.match(text, space.end() if space else at)
        at = sandbox.end() if sandbox else space.end() if space else at
        if text.startswith(b"#", at) or (
            text.startswith(b"--", at) and text[at + 2 : at + 3] in (b"", b" ", b"\t", b"\n", b"\r")
        ):
            end = text.find(b"\n", at)
            if end < 0:
                return len(text)
            at = end + 1
        elif text.startswith(b"/*", at) and not _CONDITION.match(text, at):
            end = text.find(b"*/", at + 2)
            if end < 0:
                return len(text)
            at = end + 2
        elif not space and not sandbox:
            return at


def bare(statement, escapes=True, keep=("string", "name")):
    """A statement without comments, those opened that are executed, from its first word on."""
    text, parts, at = statement[_lead(statement) :], [], 0
    for found in (_PARTS if escapes else _PARTS_PLAIN).finditer(text):
        parts.append(text[at : found.start()])
        parts.append(
            found.group() if found.lastgroup in keep else b" " if found.lastgroup in ("comment", "mark") else b"''"
        )
        at = found.end()
    parts.append(text[at:])
    return b"".join(parts).lstrip()


def command(piece):
    """The beginning of a statement, for looking at its first words: comments opened or gone, single spaces, first words
    upper case."""
    return first_words(bare(piece[: 1 << 16]))


def unsafe(piece, escapes=True):
    """Why a statement must not be run, None where nothing speaks against it: programs, files of the server, other
    servers."""
    text = piece[: 1 << 20]
    if not _REACHES.search(text):
        # Comments could stand between the words.
        if b"/*" not in text and b"#" not in text and b"--" not in text:
            return None
    text = bare(text, escapes, keep=())
    found = _REACHES.search(text)
    if not found or (_STORED.match(text) and found.group().upper() != b"SONAME"):
        return None
    return "%s: it reaches files, programs or other servers" % shown(found.group(), 40)


class Statements(Lexer):
    """The statements of a MySQL or MariaDB dump. ``database`` and ``delimiter`` hold for the piece handed out last."""

    kept = b"\n'(),;\"\\*`#"
    escapes = True
    comment_ahead = 64
    readers = "client and server"

    def __init__(self, stream, complain=None):
        super().__init__(stream, complain)
        self.database, self.delimiter = None, b";"
        self.ansi, self.codec = False, "utf-8"
        # Whether names may have stood in the quotes of strings.
        self.was_ansi = False
        self._saved = {}
        self._token = None
        self._delimit(b";")

    def _delimit(self, delimiter):
        self.delimiter = delimiter
        self._token = re.compile(re.escape(delimiter) + rb"|['\"`#\\]|--|/\*|\*/|(?i:delimiter )")

    def _key(self, name):
        return name if name[0] is not None else (self.database, name[1])

    def named(self, name):
        """(database or None, table) of a name as it is written."""
        parts = unquoted(name, self.codec)
        return (parts[0], parts[1]) if len(parts) > 1 else (self.database, parts[0])

    def _skip_comment(self):
        sandbox = _SANDBOX.match(self._buffer, self._at)
        if sandbox:
            self._at = sandbox.end()
        elif self._buffer.startswith(b"#", self._at) or self._is_comment(self._at):
            self._to_line_end()
        elif self._buffer.startswith(b"/*", self._at) and not _CONDITION.match(self._buffer, self._at):
            self._comment(self._at)
        else:
            return False
        return True

    def _is_comment(self, at):
        """Whether two dashes begin a comment here."""
        if not self._buffer.startswith(b"--", at):
            return False
        after = self._buffer[at + 2 : at + 3]
        if after and after not in _SPACES and after < b"\x20":
            self._unsure(at)
        return not after or after in _SPACES

    def _comment(self, start):
        opened, self._at = self._offset(start), start + 2
        while True:
            end = self._buffer.find(b"*/", self._at)
            if end >= 0:
                self._at = end + 2
                return
            self._at = max(self._at, len(self._buffer) - 1)
            self._check_lead()
            if not self._more():
                self._lose("open_statement", "a comment is open at the end", opened)

    def _client_line(self):
        if self._buffer[self._at : self._at + 10].lower() in (b"delimiter ", b"delimiter\t"):
            self._ahead(_LINE_LIMIT)
            line = _DELIMITER.match(self._buffer, self._at)
            if not line:
                self._unsure(self._at)
            self._delimit(line.group(1))
            self._at = line.end()
            return True
        word = WORD.match(self._buffer, self._at)
        if word and word.group().upper() in _CLIENT:
            line = self._buffer[self._at : self._at + MARGIN].split(b"\n")[0]
            # A tool's message can begin with such a word, too: judged by whoever reads.
            self._wrong("unsafe_statement", "the client's command %s" % shown(line), self._offset(self._at))
        return False

    # One statement

    def _statement(self):
        if self.delimiter == b";" and self._buffer[self._at : self._at + 1] in b"IRir":
            self._ahead(MARGIN * 16)
            insert = _INSERT.match(self._buffer, self._at)
            if insert:
                table, listed = self.named(insert.group(1)), insert.group(2)
                self._at = insert.end() - 1
                yield from self._values(insert.group(), table, len(_PART.findall(listed)) if listed else None)
        yield from self._to_end()

    def _sure(self, between):
        # The client takes the rest of the line in another way than the server after some words, which a new line rules
        # out.
        return between.count(b";") == 1

    def _to_end(self):
        """Behind the next delimiter that the client would see."""
        begin, shadow = self._offset(self._at), False
        while True:
            token = self._token.search(self._buffer, self._at)
            limit = len(self._buffer) - MARGIN
            if (token is None or token.end() > limit) and not self._ended:
                yield from self._read_on(token, limit)
                continue
            if token is None:
                self._lose_open(begin)
            text, start = token.group(), token.start()
            self._at = token.end()
            if text == self.delimiter:
                return
            if text in (b"'", b'"', b"`"):
                yield from self._quoted(text, start, shadow)
            elif text == b"#" or (text == b"--" and self._is_comment(start)):
                if not self._to_line_end():
                    self._lose("open_statement", "a statement is open at the end", begin)
            elif text == b"/*":
                condition = _CONDITION.match(self._buffer, start)
                if condition:
                    sandbox = _SANDBOX.match(self._buffer, start)
                    self._at = (sandbox or condition).end()
                    version = condition.group(1)
                    shadow = not sandbox and (len(version) > 4 and int(version) >= _ALL_SERVERS_BELOW)
                else:
                    hint, low = self._buffer.startswith(b"+", start + 2), start - self._start
                    self._comment(start)
                    if hint and re.search(rb"['\"`;]", self._buffer[self._start + low : self._at]):
                        self._unsure(self._start + low)
            elif text == b"*/":
                shadow = False
            elif text == b"\\":
                if not self._buffer.startswith(b"N", self._at):
                    self._client_inside(start)
            elif text != b"--":
                self._unsure(start)

    def _quoted(self, quote, start, shadow=False):
        """To behind the closing quote. Doubled ones close and open again, which comes to the same."""
        opened, low = self._offset(start), start - self._start
        slashes = self.escapes or quote == b"`"
        while True:
            end = self._buffer.find(quote, self._at)
            slash = self._buffer.find(b"\\", self._at, end if end >= 0 else len(self._buffer)) if slashes else -1
            if slash >= 0:
                if slash + 1 >= len(self._buffer):
                    self._at = slash
                    if self._more():
                        continue
                    self._lose("open_statement", "a string is open at the end", opened)
                if self._buffer.startswith(quote, slash + 1) and (quote == b"`" or (quote == b'"' and self.ansi)):
                    # A backslash in a name: old clients take it for an escape, servers do not.
                    self._unsure(slash)
                self._at = slash + 2
            elif end >= 0:
                self._at = end + 1
                if shadow and b"*/" in self._buffer[self._start + low if low > 0 else self._start : self._at]:
                    self._unsure(end)
                return
            else:
                self._at = len(self._buffer)
                if self._at - self._start > LONGEST:
                    yield self._piece()
                    low = 0
                if not self._more():
                    self._lose(
                        "open_statement",
                        "%s is open at the end" % ("a quoted name" if quote == b"`" else "a string"),
                        opened,
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
            if text == b"\\" and self._buffer.startswith(b"N", start + 1):
                self._at = start + 2
                continue
            if text in (b";", b"\\") or (text == b"/*" and _CONDITION.match(self._buffer, start)):
                self._at = start
                return None
            self._at = token.end()
            if text == b"(":
                depth += 1
                if depth > 1 and self._buffer[max(start - 12, 0) : start].rstrip().lower().endswith(
                    (b"load_file", b"sys_exec", b"sys_eval")
                ):
                    self._wrong("unsafe_statement", "a value that reaches files or programs", self._offset(start))
            elif text == b",":
                values += depth == 1
            elif text == b")":
                depth -= 1
                if not depth:
                    return values + 1
            elif text in (b"'", b'"', b"`"):
                yield from self._quoted(text, start)
            elif text == b"#" or (text == b"--" and self._is_comment(start)):
                self._to_line_end()
            elif text == b"/*":
                self._comment(start)

    def _judge(self, piece, offset):
        if self.table is None or _REACHES.search(piece[-4096:]):
            why = unsafe(piece, self.escapes)
            if why:
                self._wrong("unsafe_statement", why, offset)
        text = piece if piece[:1].isalpha() else bare(piece, self.escapes)
        word = text[:4].upper()
        if word[:3] == b"SET" and not word[3:].isalnum():
            self._set(bare(piece, self.escapes), offset)
        elif word == b"USE ":
            used = _USE.match(text)
            if used:
                self.database = unquoted(used.group(1), self.codec)[0]
        elif word == b"CREA":
            self._note_columns(text)

    def _set(self, text, offset):
        names = _NAMES.search(text)
        if names:
            # What they call latin1 is the code page of Windows.
            self.codec = "cp1252" if names.group(1).lower() == b"latin1" else "utf-8"
        if b"sql_mode" not in text.lower():
            return
        for found in _MODE.finditer(text):
            variable, value = found.groups()
            if variable is not None:
                self._saved[variable.lower()] = (self.escapes, self.ansi)
            elif value[:1] == b"'":
                self.escapes = b"NO_BACKSLASH_ESCAPES" not in value.upper()
                self.ansi = bool(_ANSI.search(value))
                self.was_ansi = self.was_ansi or self.ansi
            elif value[:1] == b"@" and value[:2] != b"@@":
                self.escapes, self.ansi = self._saved.get(value[1:].lower(), (True, False))
            elif value.strip().upper() in (b"DEFAULT", b'""'):
                self.escapes, self.ansi = True, False
            else:
                self._wrong("unsafe_statement", "%s: it changes how what follows is read" % shown(text), offset)

    def _note_columns(self, text):
        table = _CREATE_TABLE.match(text)
        if table:
            types = column_types(text)
            if types and b"INVISIBLE" not in text.upper():
                self.widths[self._key(self.named(table.group(2)))] = len(types)


def statements(stream):
    """The statements of a dump, for a client: iterable of (kind, bytes, offset), see ``Statements`` and ``Lexer``."""
    return Statements(stream)


class _Reader(Reader):
    """Reads a dump of MySQL or MariaDB."""

    def __init__(self, stream, member, report):
        super().__init__(Statements, stream, member, report)
        member.format, member.engine = FORMAT, "mysql"
        # The encoding of the client, None where it cannot be judged.
        self._names = None
        self._lists = {name: set() for name in set(_LISTS.values()) | {"views"}}
        self._text, self._views = set(), set()
        self._announced, self._placeholders = {}, {}
        self._opened = self._closed = self._cut = False
        self._locked = None

    def _count(self):
        database, name = self._items._key(self._items.table)
        self._member.count(name, self._items.rows, database)

    def _take(self, kind, piece, offset):
        items = self._items
        lead = items.lead
        if lead and (b"--" in piece[:lead] or b"#" in piece[:lead]):
            self._comments(piece[:lead], offset)
        if kind in ("rest", "meta"):
            return
        if kind == "sql":
            self._tell_unread()
            self._statements += 1
            if self._end_offset is not None:
                self._behind_the_end(piece[lead:], offset + lead)
        if items.table:
            self._unread = None
            self._judge_text(kind, piece, offset)
            self._count()
        elif kind == "sql":
            self._statement(piece[lead:], offset + lead)

    def _judge_text(self, kind, piece, offset):
        """Only rows of tables without binary columns are sure to be text of one encoding."""
        if self._names is None or self._items._key(self._items.table) not in self._text:
            return
        if kind == "sql" and b"_binary '" in piece[:4096]:
            return
        if kind == "sql":
            self._encoding = Encoding()
            self._encoding.declare(self._names)
        fault = self._encoding.fault(piece)
        if fault is not None and b"_binary '" not in piece:
            self._wrong("bad_encoding", "bytes that are no %s" % self._member.encoding, offset + fault, "bad_encoding")

    # Comments

    def _comments(self, lead, offset):
        for found in _LINE.finditer(lead):
            line, where = found.group().rstrip(b"\r"), offset + found.start()
            text = line.decode("utf-8", "replace")
            start = _START.match(text)
            if start and not text.startswith(END_MARK) and self._begins(start):
                self._started(start, text, where)
            elif text.startswith(END_MARK):
                if self._end_offset is not None:
                    self._wrong("duplicate", "a dump ends twice", where, "duplicate")
                self._member.end_mark, self._end_offset = text, where
                self._cut = self._member.tool in ("mysqldump", "mariadb-dump") and not _WHOLE_END.match(
                    lead, found.start()
                )
            elif text.startswith("-- Server version") and not self._member.server_version:
                self._member.server_version = text[len("-- Server version") :].strip(" \t:") or None
            elif text.startswith("-- Host: ") and "Database: " in text and self._member.database is None:
                self._member.database = text.partition("Database: ")[2].strip() or None
            elif _FAILED.match(line):
                self._wrong("tool_message", "text of a tool that failed: %s" % shown(line, 120), where)
            else:
                self._announces(line, where)

    def _begins(self, start):
        """Within a dump, other words of the kind are comments: on the settings of --dump-slave, on a database called dump."""
        within = self._starts and self._end_offset is None
        return not within or start.group("tool") or start.group("other") == self._member.tool

    def _started(self, start, text, where):
        member = self._member
        if self._starts or self._end_offset is not None:
            self._wrong("duplicate", "a second dump begins", where, "duplicate")
        self._starts += 1
        if member.start_mark is None:
            member.start_mark = text
            if start.group("tool"):
                member.tool = "mysqldump" if start.group("tool").lower() == "mysql" else "mariadb-dump"
                version = _VERSION.match(start.group("version"))
                member.tool_version = version.group(version.lastindex) if version else None
            else:
                member.tool = start.group("other")

    def _announces(self, line, where):
        database = self._items.database
        table = _FOR_TABLE.match(line)
        if table and table.group(1):
            self._announced.setdefault(
                (database, table.group(3).replace(b"``", b"`").decode(self._items.codec, "replace")), where
            )
        view = _FOR_VIEW.match(line)
        if view:
            key = (database, view.group(2).replace(b"``", b"`").decode(self._items.codec, "replace"))
            if view.group(1) is None:
                self._placeholders.setdefault(key, where)

    # Statements

    def _statement(self, text, offset):
        opened = text if text[:1].isalpha() else bare(text, self._items.escapes)
        word = WORD.match(opened)
        word = word.group().upper() if word else opened[:1]
        if word not in _STARTS and word not in (b"(", self._items.delimiter[:1]):
            self._no_statement(text, opened, word, offset)
        elif word == b"CREATE":
            self._create(text, opened)
        if self._starts and _ANOTHER.search(text) and not _BODY.match(opened):
            if _ANOTHER.search(self._only_marks(text)):
                self._wrong(
                    "bad_structure", "a statement does not end where it should: %s" % shown(text), offset, "merged"
                )
        if word == b"SET":
            self._set(bare(text, self._items.escapes))
        elif word in (b"LOCK", b"UNLOCK"):
            self._lock(opened, offset)
        elif word == b"USE":
            self._lists["databases"].add(self._items.database)
        elif word in (b"INSERT", b"REPLACE") and self._items.delimiter == b";" and b"SELECT" not in opened.upper():
            self._no_rows(text, offset)

    def _only_marks(self, text):
        """A statement without what its strings hold."""
        parts = _PARTS if self._items.escapes else _PARTS_PLAIN
        return parts.sub(lambda found: b"''" if found.lastgroup == "string" else found.group(), text)

    def _no_statement(self, text, opened, word, offset):
        self._unknown += 1
        if not self._tool_message(text, offset) and word not in _CLIENT and opened:
            self._wrong("bad_structure", "this is no statement: %s" % shown(text), offset, "no statement")

    def _set(self, text):
        names = _NAMES.search(text)
        if names and self._member.encoding is None:
            self._member.encoding = names.group(1).decode("ascii", "replace")
            self._names = "utf-8" if self._member.encoding.lower().startswith("utf8") else None
        upper = text.upper()
        if b"@OLD_SQL_NOTES=@@SQL_NOTES" in upper:
            self._opened = True
        elif b"SQL_NOTES=@OLD_SQL_NOTES" in upper:
            self._closed = True

    def _lock(self, text, offset):
        lock = _LOCK.match(text)
        if lock and self._locked:
            self._wrong("bad_structure", "the table %s is still locked, something is missing" % self._locked, offset)
        self._locked = ".".join(unquoted(lock.group(1), self._items.codec)) if lock else None

    def _create(self, text, opened):
        items = self._items
        if _PLACEHOLDER.match(text):
            view = _VIEW.search(opened) or _CREATE_TABLE.match(opened)
            if view:
                key = items._key(items.named(view.group(view.lastindex)))
                self._views.add(key)
                self._announced.pop(key, None)
                # The final one of newer tools looks alike, but names its security.
                if b"DEFINER" in opened.upper()[:400] or b"ALGORITHM" in opened.upper()[:100]:
                    self._made_view(key)
            return
        table = _CREATE_TABLE.match(opened)
        if table:
            key = items._key(items.named(table.group(2)))
            self._announced.pop(key, None)
            if not table.group(1):
                self._created[key] = True
                types = column_types(opened)
                if types and not any(map(_BINARY_TYPES.fullmatch, types)):
                    self._text.add(key)
            return
        is_view = re.match(rb"CREATE\b[^;('\"]*\bVIEW\b", opened, re.I)
        if is_view or (b"VIEW" in opened[:400].upper() and re.match(rb"CREATE\b[^(]*?\bVIEW[ \t]", opened, re.I)):
            view = _VIEW.search(opened)
            if view:
                key = items._key(items.named(view.group(1)))
                self._views.add(key)
                self._made_view(key)
            return
        made = _CREATED.match(opened)
        if made:
            kind = made.group(1).upper().split()[0]
            self._lists[_LISTS[kind]].add(unquoted(made.group(2), self._items.codec)[-1])

    def _made_view(self, key):
        self._placeholders.pop(key, None)
        self._lists["views"].add(key[1])

    # The end

    def _fill(self):
        member = self._member
        for key in self._created:
            if key not in self._views:
                member.table(key[1], 0, key[0])
        for key in self._views:
            if not member.tables.get(key):
                member.tables.pop(key, None)
        self._lists["databases"] |= {database for database, _name in member.tables if database}
        if self._lists["databases"]:
            databases = self._lists["databases"]
            member.database = next(iter(databases)) if len(databases) == 1 else None
        member.details.update({name: sorted(found) for name, found in self._lists.items()})
        member.details.update(statements=self._statements, data_only=bool(member.tables) and not self._created)

    def _conclude(self):
        member, end = self._member, self._stream.offset
        if self._starts:
            views = {} if self._items.was_ansi else self._placeholders
            for what, kept in (("table", self._announced), ("view", views)):
                for (_database, name), where in kept.items():
                    self._wrong("bad_structure", "the %s %s is announced and never made" % (what, name), where)
        if self._locked:
            self._wrong("bad_structure", "the table %s is locked to the end, something is missing" % self._locked, end)
        self._check_created(_NEVER_CREATED)
        self._set_system_tables_apart()
        if self._cut and self._starts:
            self._wrong("incomplete", "the last line of the dump is cut", end)
        if member.end_mark is None and (self._starts or (self._opened and not self._closed)):
            self._wrong("incomplete", "the line that ends a complete dump is missing: %s" % END_MARK, end)
        elif self._opened and not self._closed:
            self._wrong("incomplete", "the statements that end a complete dump are missing", end)

    def _set_system_tables_apart(self):
        """Tables of the server's own databases are in a dump of all databases, and are not for another server."""
        own = [key for key in self._member.tables if key[0] in _SYSTEM]
        self._member.details["system_tables"] = len(own)
        for key in own:
            del self._member.tables[key]


def read(stream, member, report):
    """Read a dump to its last byte.

    ``member.details``: ``databases`` (created or used), ``views``, ``triggers``, ``routines``, ``events``,
    ``sequences``, ``users``, ``roles`` (sorted lists of names), ``statements`` and ``system_tables`` (numbers). A dump
    that was made without comments has no mark at its end: there the statements count by which mysqldump puts its
    settings back. Made with ``--compact`` it has neither, and is not accused of it as long as its last statement ends.
    """
    _Reader(stream, member, report).run()


def matches(head, name):
    """Whether this begins as text for MySQL or MariaDB does: surely, or as a best guess by what it says."""
    if not head.strip() or head.lstrip()[:1] == b"<":
        return False
    if _FOREIGN_TEXT.search(head):
        return False
    if _ANY_MARK.search(head) or _TYPICAL.search(head):
        return True
    first = WORD.match(head, _lead(head))
    return bool(first) and first.group().upper() in _STARTS and bool(re.search(r"mysql|maria", name, re.I))
