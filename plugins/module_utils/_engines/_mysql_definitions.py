# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What is no row in a database of MySQL's kind, as text that two servers have in common. No definers, no counters, no
storage, nothing of the server's defaults. Sequences are tables of one row, and compared as such."""

from __future__ import annotations

import re

from . import _mysql_sql as sql_text

# Kinds that a login sees nothing of unless it has one of these privileges on the database. Keys need more than SELECT.
_MORE_THAN_SELECT = frozenset(
    "INSERT,UPDATE,DELETE,CREATE,DROP,REFERENCES,INDEX,ALTER,CREATE VIEW,SHOW VIEW,TRIGGER,DELETE HISTORY".split(",")
)
_ROUTINE = frozenset(("EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE"))
_NEEDED = {
    "constraint": _MORE_THAN_SELECT - {"CREATE VIEW", "SHOW VIEW", "DELETE HISTORY"},
    "trigger": frozenset(("TRIGGER",)),
    "function": _ROUTINE,
    "procedure": _ROUTINE,
    "event": frozenset(("EVENT",)),
}

# Kind, name, text, and where from. {0} is the database, as a literal. Rows of one name belong together, in their order. A
# text is NULL where this login may not read it.
_QUERIES = [
    (
        "'base'",
        "table_name",
        "''",
        "information_schema.tables WHERE table_schema = {0} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
    ),
    (
        "'table'",
        "table_name",
        """CONCAT_WS(' ', column_name, column_type, IF(is_nullable = 'NO', 'NOT NULL', NULL), CONCAT('DEFAULT ', column_default),
        NULLIF(extra, ''), CONCAT('AS ', NULLIF(generation_expression, '')), CONCAT('COLLATE ', collation_name))""",
        "information_schema.columns WHERE table_schema = {0} ORDER BY table_name, ordinal_position",
    ),
    (
        "'index'",
        "CONCAT(table_name, '.', index_name)",
        """CONCAT_WS(' ', IF(seq_in_index > 1, NULL, CONCAT(index_type, IF(non_unique, '', ' UNIQUE'), ':')), {expression},
        CONCAT('(', sub_part, ')'), IF(collation = 'D', 'DESC', NULL))""",
        "information_schema.statistics WHERE table_schema = {0} ORDER BY table_name, index_name, seq_in_index",
    ),
    (
        "'constraint'",
        "CONCAT(table_name, '.', constraint_name)",
        """CONCAT(column_name, ' REFERENCES ', IF(referenced_table_schema = table_schema, '',
        CONCAT(referenced_table_schema, '.')), referenced_table_name, '.', referenced_column_name)""",
        """information_schema.key_column_usage WHERE table_schema = {0} AND referenced_table_name IS NOT NULL
        ORDER BY table_name, constraint_name, ordinal_position""",
    ),
    (
        "'constraint'",
        "CONCAT(table_name, '.', constraint_name)",
        "CONCAT('ON UPDATE ', update_rule, ' ON DELETE ', delete_rule)",
        "information_schema.referential_constraints WHERE constraint_schema = {0}",
    ),
    (
        "'view'",
        "table_name",
        "CONCAT(NULLIF(view_definition, ''), IF(check_option = 'NONE', '', CONCAT(' WITH CHECK OPTION ', check_option)))",
        "information_schema.views WHERE table_schema = {0}",
    ),
    (
        "'trigger'",
        "CONCAT(event_object_table, '.', trigger_name)",
        "CONCAT(action_timing, ' ', event_manipulation, ' ', action_statement)",
        "information_schema.triggers WHERE trigger_schema = {0}",
    ),
    (
        "LOWER(routine_type)",
        "routine_name",
        "CONCAT(is_deterministic, ' ', sql_data_access, ' ', routine_definition)",
        "information_schema.routines WHERE routine_schema = {0} AND routine_type IN ('FUNCTION', 'PROCEDURE')",
    ),
    (
        "LOWER(routine_type)",
        "specific_name",
        "CONCAT_WS(' ', IF(ordinal_position = 0, 'RETURNS', parameter_mode), parameter_name, dtd_identifier)",
        """information_schema.parameters WHERE specific_schema = {0} AND routine_type IN ('FUNCTION', 'PROCEDURE')
        ORDER BY routine_type, specific_name, ordinal_position""",
    ),
    (
        "'event'",
        "event_name",
        """CONCAT(CONCAT_WS(' ', event_type, execute_at, interval_value, interval_field, starts, ends, on_completion), ' ',
        event_definition)""",
        "information_schema.events WHERE event_schema = {0}",
    ),
    (
        "'partition'",
        "CONCAT_WS('.', table_name, partition_name, subpartition_name)",
        """CONCAT_WS(' ', partition_method, partition_expression, partition_description, subpartition_method,
        subpartition_expression)""",
        "information_schema.partitions WHERE table_schema = {0} AND partition_name IS NOT NULL",
    ),
]
_CHECKS = (
    "'constraint'",
    "CONCAT({table}constraint_name)",
    "CONCAT('CHECK ', check_clause)",
    "information_schema.check_constraints WHERE constraint_schema = {0}",
)
_SERVER = """SELECT CONCAT(LOWER(table_name), '.', LOWER(column_name)) FROM information_schema.columns
  WHERE table_schema = 'information_schema' AND table_name IN ('STATISTICS', 'CHECK_CONSTRAINTS');"""
# An engine that is not told is that of a table whose files are damaged or missing.
_SYSTEM_TABLES = """SELECT HEX(table_schema), HEX(CONCAT_WS(' ', table_name, COALESCE(engine, table_type))), VERSION()
  FROM information_schema.tables WHERE table_schema IN ('mysql', 'sys') ORDER BY table_schema, table_name;
"""
# The part after the last @ is the host.
_PRIVILEGES = """SET @me = CONCAT('''', LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER())
  - CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)) - 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''');
SELECT HEX('%'), privilege_type FROM information_schema.user_privileges WHERE grantee = @me;
SELECT HEX(table_schema), CONCAT('ON ', privilege_type) FROM information_schema.schema_privileges WHERE grantee = @me;
"""

# What a database's default makes of a type that says nothing of it.
_CHARSET = re.compile(r" (?:CHARSET|CHARACTER SET) \w+(?: COLLATE \w+)?")
_SEQUENCE = re.compile(r"\b((?:next|last)val\()`(?:[^`]|``)*`\.", re.I)


def definitions(ask, names):
    """{(name, kind, object): text} of these databases, {database on the server: name}. ``ask`` runs statements.

    (name, kind, None) stands for a kind that this login might not see all of.
    """
    knows = {row[0] for row in ask(_SERVER)}
    everywhere, somewhere = _privileges(ask)
    found = {}
    for database, called in names.items():
        hidden = _hidden(everywhere | _granted(somewhere, database))
        for kind in hidden:
            found[called, kind, None] = None
        pieces, base = {}, set()
        for kind, what, text in _rows(ask, _script(database, knows)):
            if kind == "base":
                base.add(what)
            elif kind not in hidden:
                pieces.setdefault((kind, what), []).append(text)
        for (kind, what), texts in pieces.items():
            if kind != "table" or what in base:
                found[called, kind, what] = None if None in texts else _common(kind, ", ".join(texts), database)
    return found


def system_tables(ask):
    """{(None, "system tables", database and version): text}: what a server has for its own use, in the databases mysql and
    sys. Every version of a server has others. Empty where this login may not see all of them."""
    if "SELECT" not in _privileges(ask)[0]:
        return {}
    found = {}
    for database, text, version in ask(_SYSTEM_TABLES):
        key = (None, "system tables", "%s of %s" % (sql_text.unhex(database), version))
        found.setdefault(key, []).append(sql_text.unhex(text))
    return {key: ", ".join(texts) for key, texts in found.items()}


def accounts(ask):
    """Names of all accounts and roles, as user@host; None where this login may not see them."""
    if "SELECT" not in _privileges(ask)[0]:
        return None
    rows = ask("SELECT HEX(CONCAT_WS('@', user, NULLIF(host, ''))) FROM mysql.user;")
    return {sql_text.unhex(name) for (name,) in rows}


def _script(database, knows):
    queries = list(_QUERIES)
    if "check_constraints.check_clause" in knows:
        queries.append(_CHECKS)
    values = {
        "{0}": sql_text.literal(database),
        "{table}": "table_name, '.', " if "check_constraints.table_name" in knows else "",
        "{expression}": "COALESCE(column_name, expression)" if "statistics.expression" in knows else "column_name",
    }
    # In hex, so that a text stays on its line.
    script = "".join("SELECT %s, HEX(%s), HEX(%s) FROM %s;\n" % query for query in queries)
    return sql_text.SESSION + re.sub(r"\{\w+\}", lambda found: values[found.group()], script)


def _rows(ask, script):
    for kind, name, text in ask(script):
        yield kind, sql_text.unhex(name), None if text == "NULL" else sql_text.unhex(text)


def _common(kind, text, database):
    """Without what is only this server's: the name of the database, and its character set."""
    if kind in ("function", "procedure"):
        return _CHARSET.sub("", text)
    if kind in ("view", "table", "constraint"):
        text = _SEQUENCE.sub(r"\1", text.replace(sql_text.name(database) + ".", ""))
    return text


def _privileges(ask):
    """(privileges on everything, {pattern of databases: privileges}) of this login."""
    everywhere, somewhere = set(), {}
    for place, privilege in ask(_PRIVILEGES):
        if privilege.startswith("ON "):
            somewhere.setdefault(sql_text.unhex(place), set()).add(privilege[3:])
        else:
            everywhere.add(privilege)
    return everywhere, somewhere


def _granted(somewhere, database):
    """Of patterns that fit, the server takes one: what all of them grant is sure."""
    fit = [privileges for pattern, privileges in somewhere.items() if _matches(pattern, database)]
    return set.intersection(*fit) if fit else set()


def _matches(pattern, database):
    parts = re.findall(r"\\.|.", pattern, re.S)
    words = [{"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts]
    return re.match("".join(words) + r"\Z", database, re.S | re.I) is not None


def _hidden(privileges):
    return {kind for kind, needed in _NEEDED.items() if not privileges & needed}
