# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Which statements of a MySQL dump are sent to the scratch server, and as what. No I/O.

This is not what keeps a hostile dump in: the account that restores may do nothing outside of the drill's databases,
and the client takes no commands. The filter lets honest dumps through that such an account could not restore as they
are (accounts, replication, definers), and refuses what no dump has any business to ask for before the server sees it.
"""

from __future__ import annotations

import re
from collections import Counter

from ._base import EngineError

SYSTEM_DATABASES = frozenset(("mysql", "sys", "performance_schema", "information_schema", "ndbinfo"))

# The first line of newer mariadb-dumps is a command that older clients take for an unknown one. Ours gets an option.
_SANDBOX = re.compile(rb"/\*M?!999999\\- enable the sandbox mode \*/ ?")

# White space and comments before a statement, and the opening of a comment that is executed.
_LEAD = re.compile(rb"(?:\s|--[^\n]*(?:\n|\Z)|#[^\n]*(?:\n|\Z)|/\*(?!M?!).*?\*/|/\*M?!\d*)*", re.S)
_NAME = rb"(?:`((?:[^`]|``)*)`|\"((?:[^\"]|\"\")*)\"|([^\s`'\";,()*/]+))"
_BLANK = rb"(?:\s|/\*(?:M?!\d*)?|\*/)"
_USE = re.compile(rb"USE\s*" + _NAME, re.I)
_DATABASE = re.compile(
    rb"(CREATE|DROP|ALTER)"
    + _BLANK
    + rb"+(?:OR"
    + _BLANK
    + rb"+REPLACE"
    + _BLANK
    + rb"+)?(?:DATABASE|SCHEMA)"
    + _BLANK
    + rb"*(?:IF"
    + _BLANK
    + rb"+(?:NOT"
    + _BLANK
    + rb"+)?EXISTS"
    + _BLANK
    + rb"*)?"
    + rb"(?!(?:DEFAULT|CHARACTER|CHARSET|COLLATE)\b)"
    + _NAME,
    re.I,
)
_ACCOUNT_PART = rb"(?:`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|[\w.$%-]+)"
_DEFINER = re.compile(
    rb"\A(?:" + _BLANK + rb"|--[^\n]*\n|\#[^\n]*\n|/\*[^!M*][^*]*\*/|(?:CREATE|OR|REPLACE|ALTER)\b"
    rb"|ALGORITHM\s*=\s*\w+)*?DEFINER\s*=\s*("
    + _ACCOUNT_PART
    + rb"(?:\s*@\s*"
    + _ACCOUNT_PART
    + rb")?(?:\s*\(\s*\))?)",
    re.I,
)
_SOURCE_OF_DEFINER = re.compile(rb"(?:CREATE|ALTER)\b", re.I)

# Left out and listed: dumps hold these for a server that is to become a copy of the old one, which ours is not.
_LEFT_OUT = (
    (
        rb"(?:GRANT|REVOKE)\b|(?:CREATE|ALTER|DROP|RENAME) (?:OR REPLACE )?(?:USER|ROLE)\b"
        rb"|SET (?:PASSWORD|ROLE|DEFAULT ROLE)\b",
        "accounts and privileges",
    ),
    (rb"(?:CHANGE|START|STOP|RESET) (?:MASTER|SLAVE|REPLICA|REPLICATION|ALL SLAVES|ALL REPLICAS)\b", "replication"),
    (rb"FLUSH\b", "FLUSH"),
    (
        rb"(?:CREATE|ALTER|DROP) (?:OR REPLACE )?(?:TABLESPACE|UNDO TABLESPACE|LOGFILE GROUP|SERVER)\b",
        "tablespaces and servers",
    ),
    (rb"(?:UN)?INSTALL (?:PLUGIN|SONAME|COMPONENT)\b", "plugins"),
    (rb"CREATE (?:OR REPLACE )?(?:AGGREGATE )?FUNCTION [^(]{0,300}\bRETURNS \w+ SONAME\b", "functions of libraries"),
)
_LEFT_OUT = tuple((re.compile(pattern, re.I), label) for pattern, label in _LEFT_OUT)
# Global settings that dump tools write. No other is left to chance.
_KNOWN_GLOBALS = re.compile(
    rb"(?:gtid_purged|gtid_slave_pos|gtid_binlog_state|sql_log_bin|innodb_stats_\w+|general_log|slow_query_log"
    rb"|log_output"
    rb"|event_scheduler|foreign_key_checks|unique_checks|time_zone|sql_mode|max_allowed_packet)\Z",
    re.I,
)
_GLOBAL = re.compile(
    rb"(?:\b(?:GLOBAL|PERSIST|PERSIST_ONLY)\s+|@@(?:GLOBAL|PERSIST|PERSIST_ONLY)\s*\.\s*)`?(\w+)`?\s*:?=", re.I
)
_LOG_BIN = re.compile(
    rb"(?:\A|,|SET|SESSION|LOCAL|\.)\s*(?:@@)?(?:SESSION\s*\.\s*|LOCAL\s*\.\s*)?`?SQL_LOG_BIN`?\s*:?=", re.I
)
_REFUSED = (
    (rb"LOAD\b", "reads a file (LOAD)"),
    (rb"(?:SHUTDOWN|RESTART|KILL|CLONE|BINLOG|PURGE|IMPORT)\b", "is about the server itself"),
    (rb"(?:\\[!.]|SYSTEM\b|SOURCE\b)", "is a command for the client"),
)
_REFUSED = tuple((re.compile(pattern, re.I), why) for pattern, why in _REFUSED)


class Filter:
    """Iterable: the bytes for the client.

    ``items`` are (kind, bytes, offset) as sql_mysql.statements() gives them, ``command(bytes)`` the statement in a form
    that can be compared. ``enter(name, make)`` is called before statements for another database are sent. With
    ``target``, the one database of an existing server, all statements are for that one, and there is nowhere else to go.
    Afterwards ``left_out`` counts by kind what was not sent, ``databases`` are the names that the dump used, in order.
    """

    def __init__(self, items, command, enter, target=None):
        self._items, self._command, self._enter, self._target = items, command, enter, target
        self._skipping = None
        self.left_out = Counter()
        self.databases = []
        self.definers = []

    def __iter__(self):
        kept = True
        for kind, piece, offset in self._items:
            if kind == "sql":
                sent = self._statement(piece, offset)
                kept = sent is not None
                # The client counts lines: its messages then name those of the dump.
                yield sent if kept else b"\n" * piece.count(b"\n")
            elif kind == "meta":
                yield piece
            elif kind == "data" and kept:
                yield piece
            else:
                yield b"\n" * piece.count(b"\n")

    def _statement(self, piece, offset):
        """The statement as it is to be sent, None for one that is not."""
        if piece.find(b"\\- enable the sandbox mode", 0, 4096) >= 0:
            piece = _SANDBOX.sub(b"", piece, count=1)
        command = self._command(piece)
        word = command[:7].upper()
        if word.startswith((b"INSERT", b"REPLACE")):
            return None if self._skipped() else piece
        for pattern, why in _REFUSED:
            if pattern.match(command):
                raise unsafe(why, command, offset)
        if _USE.match(command):
            return self._use(_unquoted(_as_written(_USE, piece, offset)), piece, offset)
        if _DATABASE.match(command):
            database = _as_written(_DATABASE, piece, offset)
            return self._database(database.group(1).upper(), _unquoted(database, 2), piece, offset)
        for pattern, label in _LEFT_OUT:
            if pattern.match(command):
                self.left_out[label] += 1
                return None
        if word.startswith(b"SET"):
            settings = self._set(command, offset)
            if settings is not None:
                self.left_out[settings] += 1
                return None
            # What a skipped part sets and sets back is wanted all the same.
            return piece
        if self._skipped():
            return None
        return self._with_own_definer(piece) if _SOURCE_OF_DEFINER.match(command) else piece

    def _skipped(self):
        if self._skipping is None:
            return False
        self.left_out["statements for the system database %s" % self._skipping] += 1
        return True

    def _use(self, name, piece, offset):
        if name.lower() in SYSTEM_DATABASES:
            self._skipping = name
            return None
        self._skipping = None
        self._note(name, offset)
        if self._target is not None:
            return None
        self._enter(name, True)
        return piece

    def _database(self, verb, name, piece, offset):
        if name.lower() in SYSTEM_DATABASES:
            self.left_out["%s DATABASE %s" % (verb.decode(), name)] += 1
            return None
        if verb == b"DROP":
            # What is restored into is new and empty.
            self.left_out["DROP DATABASE"] += 1
            return None
        self._note(name, offset)
        if self._target is None:
            self._enter(name, False)
            return piece
        # Its character set is that of the tables' columns; only routines and triggers are compiled under another.
        return None

    def _note(self, name, offset):
        if name not in self.databases:
            self.databases.append(name)
        if self._target is not None and len(self.databases) > 1:
            raise several_databases(self.databases, offset)

    def _set(self, command, offset):
        """What kind of setting is left out, None for one that may be sent."""
        names = _GLOBAL.findall(_without_strings(command))
        unknown = next((name for name in names if not _KNOWN_GLOBALS.match(name)), None)
        if unknown is not None:
            raise unsafe("sets %s for the whole server" % unknown.decode("utf-8", "replace"), command, offset)
        if names:
            return "settings of the whole server (%s)" % names[0].decode().lower()
        return "SQL_LOG_BIN" if _LOG_BIN.search(_without_strings(command)) else None

    def _with_own_definer(self, piece):
        """Views, triggers, routines and events then act with the rights of the account that restores, and no others."""
        match = _DEFINER.match(piece)
        if match is None:
            return piece
        self.definers.append(_account(match.group(1)))
        return piece[: match.start(1)] + b"CURRENT_USER" + piece[match.end(1) :]

    def listed(self):
        """What was left out, as texts."""
        return ["%s (%d)" % (label, count) for label, count in sorted(self.left_out.items())]

    def notes(self):
        """What the user should know, as sentences."""
        found = ["left out of the restore: %s" % text for text in self.listed()]
        if self.definers:
            found.append(
                "restored as objects of the drill's own account and not of their definers: %d views, triggers, "
                "routines and events" % len(self.definers)
            )
        return found


def _account(text):
    """user@host as it is; the name alone of a role, and of a user whose host is not said."""
    found = []
    for part in re.findall(_ACCOUNT_PART, text)[:2]:
        quote = part[:1] if part[:1] in (b"`", b"'", b'"') else b""
        found.append(part[1:-1].replace(quote * 2, quote) if quote else part)
    return b"@".join(filter(None, found)).decode("utf-8", "replace")


def unsafe(why, command, offset):
    shown = re.sub(r"[\x00-\x1f\x7f]+", " ", command[:80].decode("utf-8", "replace"))
    return EngineError(
        "unsafe",
        "the dump was not restored any further: a statement at byte %d %s: %s" % (offset, why, shown),
        offset=offset,
    )


def several_databases(names, offset=None):
    return EngineError(
        "unsupported",
        "the dump holds several databases (%s, ...), and on an existing server there is one scratch database only: "
        "leave login_* away to restore it into a server of its own" % ", ".join(names[:3]),
        offset=offset,
    )


def _as_written(pattern, piece, offset):
    """The match in the statement itself: names keep their case there."""
    match = pattern.match(piece, _LEAD.match(piece).end())
    if match is None:
        raise unsafe("names a database in a way that no dump does", piece.strip(), offset)
    return match


def _unquoted(match, first=1):
    """The name that one of three groups holds: in backticks, in double quotes, bare."""
    backtick, double, bare = match.group(first), match.group(first + 1), match.group(first + 2)
    if backtick is not None:
        name = backtick.replace(b"``", b"`")
    elif double is not None:
        name = double.replace(b'""', b'"')
    else:
        name = bare
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise EngineError("unsupported", "the name of a database is not in UTF-8: %r" % name)


def _without_strings(command):
    return re.sub(rb"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"", b"''", command, flags=re.S)
