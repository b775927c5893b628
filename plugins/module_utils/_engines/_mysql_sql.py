# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""SQL that an engine of MySQL's kind is asked with, and what its client answers. No I/O."""

from __future__ import annotations

import re

from ._base import EngineError

# The same text on every server, whatever its defaults.
SESSION = "SET NAMES utf8mb4; SET SESSION sql_mode = '', time_zone = '+00:00';\n"

_READING = re.compile(r"\(*\s*(SELECT|WITH|SHOW|VALUES|TABLE|DESCRIBE|DESC|EXPLAIN)\b", re.I)
_QUOTED = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|`(?:[^`]|``)*`", re.S)
_PLAIN_COMMENT = re.compile(r"/\*(?!M?!).*?\*/|(?:--(?=\s)|#)[^\n]*", re.S)
_WRITING = re.compile(r"\bINTO\s+(?:OUTFILE|DUMPFILE)\b|\bLOAD_FILE\s*\(", re.I)
_ROW = re.compile(r"<row>(.*?)</row>", re.S)
_FIELD = re.compile(r"<field name=\"[^\"]*\"(?: xsi:nil=\"true\" />|>(.*?)</field>)", re.S)
_ENTITY = re.compile(r"&(lt|gt|amp|quot);")
_CHARACTERS = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}

# Types whose values may be long: their digest takes their place. Others are text in one and only one way.
_LONG = frozenset(("tinyblob", "blob", "mediumblob", "longblob"))
_LONG_WORDS = frozenset(("tinytext", "text", "mediumtext", "longtext", "json"))
_BYTES = frozenset(("binary", "varbinary", "bit", "vector"))
_WORDS = frozenset(("char", "varchar", "enum", "set"))
_SHAPES = frozenset(
    (
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    )
)


def name(text):
    """An identifier."""
    return "`%s`" % text.replace("`", "``")


def pattern(text):
    """The identifier of a database in GRANT, where _ and % would stand for any characters."""
    return name(re.sub(r"([\\_%])", r"\\\1", text))


def literal(text):
    """A string, whatever the server's mode is."""
    return "CONVERT(0x%s USING utf8mb4)" % text.encode("utf-8").hex() if text else "''"


def unhex(text):
    return bytes.fromhex(text).decode("utf-8", "surrogateescape")


def read_only(sql):
    """The script for one query that cannot write, not even by ending its transaction. Raises EngineError."""
    stripped = sql.strip().rstrip(";").strip()
    bare = _PLAIN_COMMENT.sub(" ", _QUOTED.sub("''", stripped)).strip()
    if not _READING.match(bare):
        raise EngineError(
            "query_failed", "a query begins with SELECT, WITH, VALUES, TABLE or SHOW, and reads only: %s" % sql[:200]
        )
    if _WRITING.search(bare):
        raise EngineError("query_failed", "a query neither reads nor writes files of the server: %s" % sql[:200])
    # A prepared statement is one statement: what follows a semicolon is an error there.
    return "%sSET @query = %s;\nSTART TRANSACTION READ ONLY;\nPREPARE q FROM @query;\nEXECUTE q;\n" % (
        SESSION.replace("sql_mode = '', ", ""),
        literal(stripped),
    )


def rows_of(xml):
    """Rows as lists of texts, None for NULL, of what the client wrote with --xml."""
    return [
        [
            None if field.group(1) is None else _ENTITY.sub(lambda found: _CHARACTERS[found.group(1)], field.group(1))
            for field in _FIELD.finditer(row)
        ]
        for row in _ROW.findall(xml)
    ]


def checksum(number, database, table, columns):
    """The query for a table's checksum: a sum over its rows, so that their order plays no part.

    It answers its ``number`` before the rows and the sum. ``columns`` are (name, data type). Numbers and times have one
    text on all versions; characters count as the bytes of one encoding, so that neither a character set of the
    connection or the table nor a collation plays a part.
    """
    parts = [_as_text(name(column), kind.lower()) for column, kind in sorted(columns)]
    digest = "MD5(CONCAT_WS(',', %s))" % ", ".join(parts)
    return "SELECT %d, COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(%s, 16), 16, 10) AS UNSIGNED)), 0) FROM %s.%s;\n" % (
        number,
        digest,
        name(database),
        name(table),
    )


def _as_text(column, kind):
    if kind in _LONG:
        text = "MD5(%s)" % column
    elif kind in _LONG_WORDS:
        text = "MD5(CONVERT(%s USING utf8mb4))" % column
    elif kind in _BYTES:
        text = "HEX(%s)" % column
    elif kind in _WORDS:
        text = "HEX(CONVERT(%s USING utf8mb4))" % column
    elif kind in _SHAPES:
        text = "MD5(ST_AsBinary(%s))" % column
    else:
        text = column
    return "COALESCE(%s, '-')" % text


def option_value(text):
    """A value in an option file."""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return '"%s"' % escaped
