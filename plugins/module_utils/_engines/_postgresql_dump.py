# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Which statements of a PostgreSQL dump a restore runs, changes or leaves out. No I/O.

A drill restores as a role that owns a scratch database and nothing else. What belongs to the server and not to the
database (roles, grants, tablespaces, other databases), and what only a superuser may do, is left out and counted. Of
owners and grants it is asked, all the same, whether what they are of is there, and their roles are noted.
"""

from __future__ import annotations

import re
from collections import Counter

from ._base import EngineError
from ._postgresql_grants import NAME as _NAME
from ._postgresql_grants import NAMES as _NAMES
from ._postgresql_grants import STATEMENT as _GRANTED
from ._postgresql_grants import Grants

_GRANTS, _OWNERS = "GRANT and REVOKE", "ownership"
# What no server would run is not left out: it has to fail.
_OWNED = (
    r"AGGREGATE|COLLATION|CONVERSION|DATABASE|DOMAIN|EVENT\s+TRIGGER|FOREIGN\s+DATA\s+WRAPPER|FOREIGN\s+TABLE|FUNCTION"
    r"|LARGE\s+OBJECT|MATERIALIZED\s+VIEW|OPERATOR(?:\s+(?:CLASS|FAMILY))?|(?:PROCEDURAL\s+)?LANGUAGE|PROCEDURE|PUBLICATION"
    r"|ROUTINE|SCHEMA|SEQUENCE|SERVER|STATISTICS|SUBSCRIPTION|TABLE|TABLESPACE|TEXT\s+SEARCH\s+(?:CONFIGURATION|DICTIONARY)"
    r"|TYPE|VIEW"
)
_MEMBERSHIP = r"(?:GRANT\s+{0}\s+TO|REVOKE\s+(?:ADMIN\s+OPTION\s+FOR\s+)?{0}\s+FROM)\s".format(_NAMES)

# The first that matches decides. Patterns match a statement from its first word on; the label is for the user.
_LEFT_OUT = [
    (label, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for label, pattern in (
        (_GRANTS, "%s|%s" % (_GRANTED, _MEMBERSHIP)),
        (
            _GRANTS,
            r"ALTER\s+DEFAULT\s+PRIVILEGES\s+(?:FOR\s+(?:ROLE|USER)\s+{0}\s+)?(?:IN\s+SCHEMA\s+{0}\s+)?{1}".format(
                _NAMES, _GRANTED
            ),
        ),
        (_OWNERS, r"ALTER\s+(?:%s)\s.*\sOWNER\s+TO\s+%s\s*;?\s*$" % (_OWNED, _NAME)),
        ("roles", r"(CREATE|ALTER|DROP)\s+(ROLE|GROUP|USER(?!\s+MAPPING\b))\b"),
        ("roles", r"COMMENT\s+ON\s+ROLE\b"),
        ("roles", r"(SET|RESET)\s+((LOCAL\s+)?SESSION\s+AUTHORIZATION|((SESSION|LOCAL)\s+)?ROLE)\b"),
        ("tablespaces", r"((CREATE|ALTER|DROP)|COMMENT\s+ON)\s+TABLESPACE\b"),
        ("tablespaces", r"SET\s+default_tablespace\s*(=|TO)(?!\s*''\s*;)"),
        ("databases", r"((CREATE|ALTER|DROP)|COMMENT\s+ON)\s+DATABASE\b"),
        # Before it drops a template.
        ("databases", r"UPDATE\s+pg_catalog\.pg_database\s+SET\s+datistemplate\s*=\s*false\s+WHERE\s+datname\s*=\s*'[^'\\]*'\s*;\s*$"),
        ("comments on extensions", r"COMMENT\s+ON\s+EXTENSION\b"),
        ("changes of extensions", r"(ALTER|DROP)\s+EXTENSION\b"),
        ("publications", r"((CREATE|ALTER|DROP)|COMMENT\s+ON)\s+PUBLICATION\b"),
        ("subscriptions", r"((CREATE|ALTER|DROP)|COMMENT\s+ON)\s+SUBSCRIPTION\b"),
        ("event triggers", r"((CREATE|ALTER|DROP)|COMMENT\s+ON)\s+EVENT\s+TRIGGER\b"),
        ("security labels", r"SECURITY\s+LABEL\b"),
        ("user mappings", r"(CREATE|ALTER|DROP)\s+USER\s+MAPPING\b"),
        ("comments on languages", r"COMMENT\s+ON\s+(PROCEDURAL\s+)?LANGUAGE\b"),
        # Every server has it since PostgreSQL 9.
        (
            "the language plpgsql",
            r'CREATE\s+(OR\s+REPLACE\s+)?(TRUSTED\s+)?(PROCEDURAL\s+)?LANGUAGE\s+"?plpgsql"?\s*[;H]',
        ),
        ("comments on foreign data wrappers", r"(COMMENT\s+ON|ALTER|DROP)\s+FOREIGN\s+DATA\s+WRAPPER\b"),
    )
]

# Owners and grants, as pg_dump writes them: what they are of, and the roles.
_WHAT = (
    r"\s+(?:(?P<relation>TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE|FOREIGN\s+TABLE)|(?P<type>TYPE|DOMAIN)|(?P<namespace>SCHEMA))\s+"
)
_OF = re.compile(
    r"(?:ALTER|(?:GRANT|REVOKE)\s[^;']*?\sON)%s(?P<name>%s(?:\.%s)?)\s+(?:OWNER\s+TO|TO|FROM)\s" % (_WHAT, _NAME, _NAME),
    re.IGNORECASE | re.DOTALL,
)
# A name that is none: the server has to say so.
_OWNER_OF = re.compile(
    r"ALTER%s(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?P<name>\S.*?)\s+OWNER\s+TO\s" % _WHAT,
    re.IGNORECASE | re.DOTALL,
)
_REGISTERED = {"relation": "regclass", "type": "regtype", "namespace": "regnamespace"}
# No such question knows the names of arguments. What the dump has made is the restoring role's own already.
_ROUTINE = re.compile(
    r"(ALTER\s+(?:FUNCTION|PROCEDURE|AGGREGATE)\s+%s\.%s\(.*\)\s+OWNER\s+TO)\s+%s\s*;\s*$" % (_NAME, _NAME, _NAME),
    re.IGNORECASE | re.DOTALL,
)
_TO_ROLES = re.compile(
    r"\s(?:OWNER\s+TO|TO|FROM)\s+(%s)(?:\s+WITH\s+(?:GRANT|ADMIN)\s+OPTION)?(?:\s+GRANTED\s+BY\s+%s)?\s*;\s*$"
    % (_NAMES, _NAME),
    re.IGNORECASE,
)
_FOR_ROLE = re.compile(r"ALTER\s+DEFAULT\s+PRIVILEGES\s+FOR\s+ROLE\s+(%s)\s" % _NAME, re.IGNORECASE)
_NO_ROLES = ("public", "current_user", "session_user", "current_role")

# What `pg_dump --clean` writes before everything else. The scratch database is empty.
_CLEANING = re.compile(
    r"DROP\s|ALTER\s.*\sDROP\s+(CONSTRAINT|DEFAULT|NOT\s+NULL|IDENTITY|EXPRESSION)\b"
    r"|ALTER\s+TABLE\s.*\sDETACH\s+PARTITION\s"
    r"|CREATE\s+OR\s+REPLACE\s+VIEW\s.*\sAS\s+SELECT\s+NULL::|SELECT\s+pg_catalog\.lo_unlink\(",
    re.IGNORECASE | re.DOTALL,
)
SETTING = re.compile(r"SET\s|SELECT\s+pg_catalog\.set_config\(", re.IGNORECASE)

_EXTENSION = re.compile(
    r"CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?(%s)(?:\s+WITH)?(?:\s+SCHEMA\s+(%s))?(?:\s+VERSION\s+\S+)?\s*;?\s*$"
    % (_NAME, _NAME),
    re.IGNORECASE,
)
_WRAPPER = re.compile(r"CREATE\s+FOREIGN\s+DATA\s+WRAPPER\s+(%s)" % _NAME, re.IGNORECASE)
_POLICY = re.compile(
    r"(CREATE\s+POLICY\s+%s\s+ON\s+(?:ONLY\s+)?%s(?:\.%s)?(?:\s+AS\s+\w+)?(?:\s+FOR\s+\w+)?\s+TO\s+)(%s)"
    % (_NAME, _NAME, _NAME, _NAMES),
    re.IGNORECASE,
)
_SCHEMA = re.compile(
    r"CREATE\s+SCHEMA\s+(?:IF\s+NOT\s+EXISTS\s+)?(%s)(?:\s+AUTHORIZATION\s+%s)?\s*;?\s*$" % (_NAME, _NAME),
    re.IGNORECASE,
)
_DATABASE = re.compile(r"CREATE\s+DATABASE\s+(%s)" % _NAME, re.IGNORECASE)
_OPTION = r"\b%s\s*=\s*(?:'([^']*)'|(\w+))"

# Kinds of entries in the table of contents of pg_restore --list.
_KINDS_LEFT_OUT = {
    "ACL": _GRANTS,
    "DEFAULT ACL": _GRANTS,
    "DATABASE": "databases",
    "DATABASE PROPERTIES": "databases",
    "PUBLICATION": "publications",
    "PUBLICATION TABLE": "publications",
    "PUBLICATION TABLES IN SCHEMA": "publications",
    "SUBSCRIPTION": "subscriptions",
    "SUBSCRIPTION TABLE": "subscriptions",
    "EVENT TRIGGER": "event triggers",
    "SECURITY LABEL": "security labels",
    "USER MAPPING": "user mappings",
}
_COMMENTS_LEFT_OUT = (
    "EXTENSION",
    "DATABASE",
    "PUBLICATION",
    "SUBSCRIPTION",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "PROCEDURAL LANGUAGE",
    "LANGUAGE",
    "ROLE",
    "TABLESPACE",
)
# Done as text, through the filter: before everything else, and after it.
_KINDS_FIRST = ("SCHEMA", "EXTENSION", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE")
_KINDS_LAST = ("POLICY",)
_ENTRY = re.compile(r"^(\d+); \d+ \d+ (.*)$")


def unquoted(name):
    """A name as it is written in SQL, as text."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    # As the server does it: other letters than those of ASCII stay.
    return re.sub("[A-Z]+", lambda match: match.group().lower(), name)


def quoted(name):
    return '"%s"' % name.replace('"', '""')


def literal(text):
    """A text as a literal that means the same whatever standard_conforming_strings says."""
    if "\\" in text or "\0" in text:
        raise EngineError("unsafe", "the name %r holds a backslash" % text)
    return "'%s'" % text.replace("'", "''")


class Filter:
    """Decides on the statements of one dump."""

    def __init__(self):
        self.left_out = Counter()
        self.roles = set()  # owners, and those who were granted something
        self.databases = {}  # name: {"encoding", "locale"}, as CREATE DATABASE said
        self.grants = Grants()
        self._cleaning = True

    def next_database(self, name):
        self.grants.database = name
        self._cleaning = True

    def judge(self, statement, helpers=None):
        """None: leave this statement out. "": run it as it is. Else: run this text in its place.

        ``statement``: its beginning, from the first word on, without comments (all of it where it is short), its bytes
        as Latin-1. ``helpers`` is the schema of extension() and wrapper(), None where the restoring role does without.
        """
        database = _DATABASE.match(statement)
        if database:
            name = _decoded(unquoted(database.group(1)))
            self.databases[name] = {
                "encoding": _option("ENCODING", statement),
                "locale": _option("LOCALE", statement) or _option("LC_COLLATE", statement),
            }
        for label, pattern in _LEFT_OUT:
            if pattern.match(statement):
                self.left_out[label] += 1
                return self._of_roles(statement) if label in (_GRANTS, _OWNERS) else None
        if self._cleaning and _CLEANING.match(statement):
            self.left_out["removal of what is not there"] += 1
            return None
        if not SETTING.match(statement):
            self._cleaning = False
        return self._changed(statement, helpers)

    def _note_roles(self, names):
        self.roles.update(_decoded(unquoted(name)) for name in re.findall(_NAME, names) if name.lower() not in _NO_ROLES)

    def _of_roles(self, statement):
        """A question whether there is what belongs or is granted to a role, None where that cannot be asked."""
        self.grants.note(statement, lambda name: _decoded(unquoted(name)))
        named = [match for match in (_TO_ROLES.search(statement), _FOR_ROLE.match(statement)) if match]
        for match in named:
            self._note_roles(match.group(1))
        match = _ROUTINE.match(statement)
        if match:
            return match.group(1) + " CURRENT_USER;\n"
        match = (_OF.match(statement) or _OWNER_OF.match(statement)) if named else None
        if match is None or "\\" in match.group("name"):
            return None
        kind = next(word for kind, word in _REGISTERED.items() if match.group(kind))
        return "SELECT %s::pg_catalog.%s;\n" % (literal(match.group("name")), kind)

    def _changed(self, statement, helpers):
        match = _EXTENSION.match(statement)
        if match and helpers:
            place = literal(unquoted(match.group(2))) if match.group(2) else "NULL"
            return "SELECT %s.extension(%s, %s);\n" % (helpers, literal(unquoted(match.group(1))), place)
        match = _WRAPPER.match(statement)
        if match and helpers:
            return "SELECT %s.wrapper(%s);\n" % (helpers, literal(unquoted(match.group(1))))
        match = _SCHEMA.match(statement)
        if match:
            # Where the dump names its owner, that role is not there; public is there in every database.
            return (
                "CREATE SCHEMA IF NOT EXISTS %s;\n" % match.group(1)
                if unquoted(match.group(1)) == "public"
                else "CREATE SCHEMA %s;\n" % match.group(1)
            )
        match = _POLICY.match(statement)
        if match and unquoted(match.group(2)) != "public":
            # The roles of the policy are not there.
            self.left_out["roles of policies"] += 1
            self._note_roles(match.group(2))
            return match.group(1) + "CURRENT_USER" + statement[match.end(2) :]
        return ""


def _decoded(name):
    """A name of a statement, whose bytes are shown as Latin-1."""
    return name.encode("latin-1").decode("utf-8", "replace")


def _option(name, statement):
    match = re.search(_OPTION % name, statement, re.IGNORECASE)
    return (match.group(1) or match.group(2)) if match else None


def divide_contents(listing):
    """The table of contents that pg_restore --list prints, as three lists for --use-list (what is done first as text,
    what pg_restore does, what is done last as text), and what is left out (Counter)."""
    first, middle, last, left_out = [], [], [], Counter()
    for line in listing.splitlines():
        match = _ENTRY.match(line)
        if not match:
            continue
        about = match.group(2)
        label = _label_of(about)
        if label == _GRANTS:
            # Not done, but read.
            last.append(line)
        elif label:
            # Databases are counted where their statements are read.
            left_out[label] += label != "databases"
        elif _is_kind(about, _KINDS_FIRST):
            first.append(line)
        elif _is_kind(about, _KINDS_LAST) or re.match(r"COMMENT \S+ POLICY ", about):
            last.append(line)
        else:
            middle.append(line)
    return first, middle, last, +left_out


def _is_kind(about, kinds):
    # "SCHEMA - name owner": the kind is in capitals, a schema or "-" comes after it.
    return any(about.startswith(kind + " ") and not _longer_kind(about, kind) for kind in kinds)


def _longer_kind(about, kind):
    """Whether the kind goes on: "DATABASE PROPERTIES" is no "DATABASE". A schema may be called PROPERTIES, too: then
    what follows it is a name and an owner at least."""
    return any(
        other != kind and other.startswith(kind + " ") and about.startswith(other + " ") for other in _KINDS_LEFT_OUT
    )


def _label_of(about):
    for kind in sorted(_KINDS_LEFT_OUT, key=len, reverse=True):
        if about.startswith(kind + " "):
            return _KINDS_LEFT_OUT[kind]
    match = re.match(r"COMMENT \S+ (.*)$", about)
    if match and any(match.group(1).startswith(kind + " ") for kind in _COMMENTS_LEFT_OUT):
        return (
            "comments on databases" if match.group(1).startswith("DATABASE ") else "comments on extensions and the like"
        )
    return None


def knows_restrict(version):
    """Whether a psql of that version (major, minor) has \\restrict: after it no backslash command works any more."""
    major, minor = version[0], version[1] if len(version) > 1 else 0
    since = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
    return major >= 18 or (major in since and minor >= since[major])


# -- codecs and encodings ---------------------------------------------------------------------------------------

_ENCODINGS = {
    "utf8": "UTF8",
    "unicode": "UTF8",
    "sqlascii": "SQL_ASCII",
    "ascii": "SQL_ASCII",
    "latin1": "LATIN1",
    "iso88591": "LATIN1",
    "latin2": "LATIN2",
    "iso88592": "LATIN2",
    "latin9": "LATIN9",
    "iso885915": "LATIN9",
    "win1252": "WIN1252",
    "cp1252": "WIN1252",
    "win1251": "WIN1251",
    "cp1251": "WIN1251",
    "win1250": "WIN1250",
    "cp1250": "WIN1250",
    "eucjp": "EUC_JP",
    "euckr": "EUC_KR",
    "euccn": "EUC_CN",
    "koi8r": "KOI8R",
}


def server_encoding(name):
    """The name by which CREATE DATABASE knows an encoding of a dump; None where that is not known or not possible."""
    if not name:
        return None
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in _ENCODINGS:
        return _ENCODINGS[plain]
    # PostgreSQL's own names need no translation, but for those that only clients may have.
    own = re.sub(r"[^A-Z0-9_]", "", name.upper())
    return None if own in ("SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004") else own
