# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Who may do what with tables, views and sequences, those to come as well: as a dump of PostgreSQL says it, and as the
live server does.

Roles are the server's, and so a drill grants nothing. What the dump would grant is read from its statements and told in
the words in which the live server is asked. What an owner has by itself is told by neither; MAINTAIN, which "ALL" holds
from PostgreSQL 17 on, is passed over.
"""

from __future__ import annotations

import re

NAME = r'(?:"(?:[^"]|"")+"|[^\s"\',;().]+)'
NAMES = r"%s(?:\s*,\s*%s)*" % (NAME, NAME)
_WORD = (
    r"(?:SELECT|INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES|TRIGGER|MAINTAIN|RULE|USAGE|CREATE|CONNECT|TEMP(?:ORARY)?|EXECUTE"
    r"|SET|ALTER\s+SYSTEM|ALL(?:\s+PRIVILEGES)?)"
)
_PRIVILEGE = r"%s(?:\s*\(\s*%s\s*\))?" % (_WORD, NAMES)
_PRIVILEGES = r"{0}(?:\s*,\s*{0})*".format(_PRIVILEGE)
# From the first word to behind ON. What no server would understand is none: it is run, and has to fail.
STATEMENT = r"(?:GRANT|REVOKE(?:\s+GRANT\s+OPTION\s+FOR)?)\s+%s\s+ON\s" % _PRIVILEGES

_ONE = re.compile(r"(%s)(?:\s*\(\s*(%s)\s*\))?" % (_WORD, NAMES), re.IGNORECASE)
_GRANT = re.compile(
    r"GRANT\s+(?P<privileges>%s)\s+ON\s+(?P<kind>TABLE|SEQUENCE)\s+(?:(?P<schema>%s)\.)?(?P<name>%s)\s+TO\s+(?P<roles>%s)"
    r"(?P<option>\s+WITH\s+GRANT\s+OPTION)?(?:\s+GRANTED\s+BY\s+%s)?\s*;\s*$" % (_PRIVILEGES, NAME, NAME, NAMES, NAME),
    re.IGNORECASE,
)
_DEFAULT = re.compile(
    r"ALTER\s+DEFAULT\s+PRIVILEGES\s+FOR\s+ROLE\s+(?P<owner>%s)\s+(?:IN\s+SCHEMA\s+(?P<schema>%s)\s+)?GRANT\s+(?P<privileges>%s)\s+ON"
    r"\s+(?P<kind>TABLE|SEQUENCE)S\s+TO\s+(?P<roles>%s)(?P<option>\s+WITH\s+GRANT\s+OPTION)?\s*;\s*$"
    % (NAME, NAME, _PRIVILEGES, NAMES),
    re.IGNORECASE,
)
_OF_TABLES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_OF_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
_OF_SEQUENCES = ("SELECT", "UPDATE", "USAGE")

# Kind, name and text. {helpers}: the schema of the drill's own functions, as a literal.
QUERY = """SELECT 'grant', s.nspname || '.' || c.relname || ' to ' || coalesce(r.rolname, 'PUBLIC'),
    string_agg(e.what, ', ' ORDER BY e.what COLLATE "C")
  FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace,
  LATERAL (SELECT x.grantee, x.privilege_type || CASE WHEN bool_or(x.is_grantable) THEN '*' ELSE '' END AS what
      FROM aclexplode(c.relacl) x WHERE NOT EXISTS (SELECT FROM pg_init_privs i, aclexplode(i.initprivs) y
        WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0
        AND y.grantee = x.grantee AND y.privilege_type = x.privilege_type)
      GROUP BY x.grantee, x.privilege_type HAVING x.privilege_type <> 'MAINTAIN'
    UNION ALL SELECT x.grantee, x.privilege_type || '(' || a.attname || ')' || CASE WHEN bool_or(x.is_grantable) THEN '*' ELSE '' END
      FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = c.oid AND NOT a.attisdropped
      GROUP BY x.grantee, x.privilege_type, a.attname) e
  LEFT JOIN pg_roles r ON r.oid = e.grantee
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND s.nspname !~ '^pg_' AND s.nspname NOT IN ('information_schema', {helpers})
    AND coalesce(r.rolname, '') !~ '^rbd_'
  GROUP BY s.nspname, c.relname, c.relkind, c.relowner, e.grantee, r.rolname
  HAVING e.grantee <> c.relowner OR string_agg(e.what, ', ' ORDER BY e.what COLLATE "C") <> CASE c.relkind
    WHEN 'S' THEN 'SELECT, UPDATE, USAGE' ELSE 'DELETE, INSERT, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE' END
UNION ALL SELECT 'grant', 'new ' || CASE d.defaclobjtype WHEN 'r' THEN 'tables' ELSE 'sequences' END || ' of ' || o.rolname
    || coalesce(' in ' || s.nspname, '') || ' to ' || coalesce(r.rolname, 'PUBLIC'),
    string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ', ' ORDER BY
      x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END COLLATE "C")
  FROM pg_default_acl d JOIN pg_roles o ON o.oid = d.defaclrole LEFT JOIN pg_namespace s ON s.oid = d.defaclnamespace,
  LATERAL aclexplode(d.defaclacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
  WHERE d.defaclobjtype IN ('r', 'S') AND x.grantee <> d.defaclrole AND x.privilege_type <> 'MAINTAIN'
  GROUP BY d.defaclobjtype, o.rolname, s.nspname, r.rolname"""


class Grants:
    """What the statements of a dump grant. ``database`` is the one that they belong to, as the dump calls it."""

    def __init__(self):
        self.database = None
        # {(database, relation, role): {privilege: whether it may be passed on}}, and databases whose dump does not say
        # in which schema a relation lies.
        self._found, self._vague = {}, set()

    def note(self, statement, unquoted):
        """Remember what a statement grants. ``unquoted(name)`` is a name as it is."""
        match, owner = _GRANT.match(statement), None
        if match:
            if match.group("schema") is None:
                self._vague.add(self.database)
                return
            relation = "%s.%s" % (unquoted(match.group("schema")), unquoted(match.group("name")))
        else:
            match = _DEFAULT.match(statement)
            if match is None:
                return
            owner, where = unquoted(match.group("owner")), match.group("schema")
            relation = "new %ss of %s" % (match.group("kind").lower(), owner) + (" in %s" % unquoted(where) if where else "")
        for role in re.findall(NAME, match.group("roles")):
            role = "PUBLIC" if role.upper() == "PUBLIC" else unquoted(role)
            if role == owner:
                continue
            mine = self._found.setdefault((self.database, relation, role), {})
            for privilege in self._privileges(match, unquoted):
                mine[privilege] = mine.get(privilege, False) or bool(match.group("option"))

    @staticmethod
    def _privileges(match, unquoted):
        for word, columns in _ONE.findall(match.group("privileges")):
            word = " ".join(word.upper().split())
            if word.startswith("ALL"):
                whole = _OF_SEQUENCES if match.group("kind").upper() == "SEQUENCE" else _OF_TABLES
                words = _OF_COLUMNS if columns else whole
            else:
                words = (word,) if word != "MAINTAIN" else ()
            for one in words:
                if columns:
                    for column in re.findall(NAME, columns):
                        yield "%s(%s)" % (one, unquoted(column))
                else:
                    yield one

    def definitions(self, databases):
        """{(database, "grant", "relation to role"): text}; without a name for a database of which the dump says nothing:
        it may have been made without."""
        found = {}
        for (database, relation, role), privileges in self._found.items():
            if database in databases and privileges:
                texts = sorted(name + "*" * passed_on for name, passed_on in privileges.items())
                found[database, "grant", "%s to %s" % (relation, role)] = ", ".join(texts)
        for database in set(databases) - {key[0] for key in found} | self._vague:
            found[database, "grant", None] = None
        return found
