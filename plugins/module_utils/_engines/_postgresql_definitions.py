# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What is no row in a database of PostgreSQL, as text that two servers have in common. Nothing that
belongs to an extension or to the server: what a drill leaves out (_postgresql_dump), such as owners, is not asked for;
grants are (_postgresql_grants)."""

from __future__ import annotations

from . import _postgresql_grants as grants

# {helpers}: the schema of the drill's own functions, as a literal.
_OWN = """s.nspname !~ '^pg_' AND s.nspname NOT IN ('information_schema', {helpers})
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e')"""

# A dump may write them in another order.
_OPTIONS = "(SELECT string_agg(e, ', ' ORDER BY e) FROM unnest(c.reloptions) e)"

_KINDS = (
    # Columns in their order: a dump keeps it.
    (
        "pg_class",
        "c.oid",
        """SELECT 'table', s.nspname || '.' || c.relname, c.relkind::text || c.relpersistence::text
    || coalesce(' BY ' || pg_get_partkeydef(c.oid), '')
    || coalesce(' OF ' || format_type(nullif(c.reloftype, 0), NULL), '')
    || coalesce(' WITH ' || {options}, '') || ' REPLICA ' || c.relreplident::text
    || CASE WHEN c.relrowsecurity THEN ' SECURED' ELSE '' END
    || CASE WHEN c.relforcerowsecurity THEN ' ALWAYS' ELSE '' END
    || coalesce((SELECT ' FOREIGN ' || coalesce(array_to_string(o.ftoptions, ', '), '')
      FROM pg_foreign_table o WHERE o.ftrelid = c.oid), '')
    || ' ' || coalesce((SELECT string_agg(format('%s %s%s%s%s%s%s%s', quote_ident(a.attname),
    format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' END,
    CASE WHEN a.attidentity <> '' THEN ' IDENTITY ' || a.attidentity::text
      WHEN a.attgenerated <> '' THEN ' GENERATED ' || a.attgenerated::text END,
    (SELECT ' COLLATE ' || quote_ident(l.collname) FROM pg_collation l
      WHERE l.oid = a.attcollation AND l.collname <> 'default'),
    ' OPTIONS ' || array_to_string(coalesce(a.attfdwoptions, a.attoptions), ', '), ' STORAGE ' || a.attstorage::text,
    ' DEFAULT ' || pg_get_expr(f.adbin, f.adrelid)), ', ' ORDER BY a.attnum)
      FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '')
  FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f', 'c') AND c.relpersistence <> 't' AND {own}""",
    ),
    (
        "pg_class",
        "c.oid",
        """SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, s.nspname || '.' || c.relname,
    coalesce('WITH ' || {options}, '') || pg_get_viewdef(c.oid)
    || CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' EMPTY' ELSE '' END FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('v', 'm') AND {own}""",
    ),
    (
        "pg_class",
        "x.indrelid",
        """SELECT 'index', s.nspname || '.' || c.relname, pg_get_indexdef(c.oid)
    || CASE WHEN x.indisclustered THEN ' CLUSTERED' ELSE '' END || CASE WHEN x.indisreplident THEN ' REPLICA' ELSE '' END
  FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace s ON s.oid = c.relnamespace WHERE {own}""",
    ),
    (
        "pg_class",
        "c.oid",
        """SELECT 'inheritance', s.nspname || '.' || c.relname,
    (SELECT string_agg(q.nspname || '.' || p.relname, ', ' ORDER BY h.inhseqno) FROM pg_inherits h
      JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace q ON q.oid = p.relnamespace WHERE h.inhrelid = c.oid)
    || coalesce(' ' || pg_get_expr(c.relpartbound, c.oid), '')
  FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
  WHERE EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid) AND {own}""",
    ),
    (
        "pg_class",
        "o.conrelid",
        """SELECT CASE o.contype WHEN 'n' THEN 'not null' ELSE 'constraint' END,
    s.nspname || '.' || coalesce(c.relname || '.', '') || o.conname,
    pg_get_constraintdef(o.oid) FROM pg_constraint o JOIN pg_namespace s ON s.oid = o.connamespace
  LEFT JOIN pg_class c ON c.oid = o.conrelid WHERE {own}""",
    ),
    (
        "pg_class",
        "c.oid",
        """SELECT 'trigger', s.nspname || '.' || c.relname || '.' || g.tgname, g.tgenabled::text || ' ' || pg_get_triggerdef(g.oid)
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace s ON s.oid = c.relnamespace
  WHERE NOT g.tgisinternal AND {own}""",
    ),
    (
        "pg_class",
        "c.oid",
        """SELECT 'rule', s.nspname || '.' || c.relname || '.' || r.rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r
  JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace s ON s.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND {own}""",
    ),
    (
        "pg_class",
        "c.oid",
        """SELECT 'policy', s.nspname || '.' || c.relname || '.' || p.polname, p.polcmd::text || p.polpermissive::text || coalesce(' USING '
    || pg_get_expr(p.polqual, p.polrelid), '') || coalesce(' CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid), '')
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace s ON s.oid = c.relnamespace WHERE {own}""",
    ),
    (
        "pg_proc",
        "p.oid",
        """SELECT 'function', s.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE p.prokind::text || ' ' || coalesce((
      SELECT concat_ws(', ', g.aggtransfn::regproc, g.aggfinalfn::regproc, g.aggcombinefn::regproc,
        g.aggsortop::regoperator, format_type(g.aggtranstype, NULL), g.agginitval)
      FROM pg_aggregate g WHERE g.aggfnoid = p.oid), '') END
  FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace WHERE {own}""",
    ),
    (
        "pg_type",
        "t.oid",
        """SELECT 'type', s.nspname || '.' || t.typname, CASE t.typtype WHEN 'e' THEN (SELECT string_agg(e.enumlabel, ', '
    ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
    || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || t.typdefault, '')
    ELSE t.typtype::text || ' ' || (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid) END
  FROM pg_type t JOIN pg_namespace s ON s.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') AND {own}""",
    ),
    (
        "pg_class",
        "c.oid",
        """SELECT 'steps of sequence', s.nspname || '.' || c.relname, concat_ws(', ', format_type(q.seqtypid, NULL), q.seqstart,
    q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
    (SELECT 'owned by ' || o.refobjid::regclass || ' ' || quote_ident(a.attname) FROM pg_depend o
      JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
      WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.deptype IN ('a', 'i') AND o.refobjsubid > 0))
  FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace s ON s.oid = c.relnamespace WHERE {own}""",
    ),
    (
        "pg_statistic_ext",
        "x.oid",
        """SELECT 'statistics', s.nspname || '.' || x.stxname, pg_get_statisticsobjdef(x.oid)
  FROM pg_statistic_ext x JOIN pg_namespace s ON s.oid = x.stxnamespace WHERE {own}""",
    ),
    (
        "pg_namespace",
        "s.oid",
        """SELECT 'schema', s.nspname, '' FROM pg_namespace s WHERE s.nspname <> 'public' AND {own}""",
    ),
    (
        "pg_class",
        "c.oid",
        """SELECT 'sequence', s.nspname || '.' || c.relname, CASE WHEN {held} AND (has_sequence_privilege(c.oid, 'SELECT')
    OR has_sequence_privilege(c.oid, 'USAGE')) THEN coalesce(pg_sequence_last_value(c.oid)::text, 'unused') END
  FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.relkind = 'S' AND {own}""",
    ),
)
# What PostgreSQL itself has is numbered below 16384.
_COMMENTS = """SELECT 'comment', i.type || ' ' || i.identity, c.description
  FROM pg_description c, LATERAL pg_identify_object(c.classoid, c.objoid, c.objsubid) i
  WHERE c.objoid >= 16384 AND c.classoid NOT IN ('pg_extension'::regclass, 'pg_publication'::regclass,
    'pg_subscription'::regclass, 'pg_event_trigger'::regclass, 'pg_foreign_data_wrapper'::regclass, 'pg_language'::regclass)
  AND i.schema IS DISTINCT FROM {helpers}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = c.classoid AND d.objid = c.objoid AND d.deptype = 'e')"""
# Servers before PostgreSQL 18 do not call what is NOT NULL by a name.
_NO_NAMES = """SELECT 'not null', NULL, NULL WHERE current_setting('server_version_num')::int < 180000"""
_ENCODING = """SELECT 'encoding', '', pg_encoding_to_char(b.encoding) FROM pg_database b WHERE b.datname = current_database()"""
# Anybody sees which there are; their bytes only who may.
_LARGE_OBJECTS = """SELECT 'large object', m.oid::text, CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR pg_has_role(m.lomowner, 'USAGE') OR EXISTS (SELECT FROM aclexplode(m.lomacl) e
      WHERE e.privilege_type = 'SELECT' AND (e.grantee = 0 OR pg_has_role(e.grantee, 'USAGE')))
    THEN md5(lo_get(m.oid)) END FROM pg_largeobject_metadata m"""


def moved_on(before, now, steps, rows):
    """Whether a sequence may have come from one value to another because so many rows were written. Values and steps are
    texts of what query() asks for."""
    if now == "unused":
        return False
    _type, start, increment, _least, _most, cached = steps.split(", ")[:6]
    at = int(start) - int(increment) if before == "unused" else int(before)
    # Each row may come from a session of its own, which takes as many numbers as are cached.
    return 0 <= (int(now) - at) // int(increment) <= rows * int(cached)


def query(helpers, physical=False):
    """One question for all of it: rows of kind, name and text, which is NULL where this user may not read it.

    ``physical``: it is a copy of files, which holds no values of unlogged sequences.
    """
    held = "c.relpersistence <> 'u'" if physical else "true"
    parts = []
    for catalog, oid, text in _KINDS:
        own = _OWN.replace("{helpers}", helpers).replace("{catalog}", catalog).replace("{oid}", oid)
        parts.append(text.replace("{held}", held).replace("{options}", _OPTIONS).replace("{own}", own))
    return "\nUNION ALL ".join(parts + [text.replace("{helpers}", helpers) for text in (_COMMENTS, _LARGE_OBJECTS, _NO_NAMES, _ENCODING, grants.QUERY)]) + ";\n"
