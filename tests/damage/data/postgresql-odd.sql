-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- A database of everything that readers of dumps trip over. PostgreSQL 15 and later.

CREATE SCHEMA "we ird";
CREATE SCHEMA "dotted.name";

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy; or "so"');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (left_side integer, right_side text);

-- Quoted names, words of the language, names with dots and quotes, in another alphabet.
CREATE TABLE "order" ("id" serial PRIMARY KEY, "select" text NOT NULL, "from" integer DEFAULT 7, "Mixed Case" text);
INSERT INTO "order" ("select", "Mixed Case") SELECT 'line ' || n, 'Value ' || n * 31 FROM generate_series(1, 40) n;
CREATE TABLE "we ird"."or""der" ("a ""quoted"" name" integer PRIMARY KEY, "semi;colon" text);
INSERT INTO "we ird"."or""der" VALUES (1, 'one; two'), (2, '--'), (3, '-- not a comment'), (4, '/* nor this */');
CREATE TABLE "dotted.name"."a.b" (v integer);
INSERT INTO "dotted.name"."a.b" VALUES (1), (2), (3);
CREATE TABLE "наименования" ("ключ" integer PRIMARY KEY, "значение" text);
INSERT INTO "наименования" VALUES (1, 'значение'), (2, '値'), (3, 'τιμή');

-- Text: alphabets, controls, and what looks like a part of a dump or a message of a tool.
CREATE TABLE texts (id integer PRIMARY KEY, t text, v varchar(200), c char(12));
INSERT INTO texts VALUES
    (1, 'plain', 'short', 'x'), (2, '', '', ''), (3, NULL, NULL, NULL), (4, '\N', '\\N', '\.'),
    (5, E'tab\there', E'line\nfeed', E'cr\rhere'), (6, E'back\\slash', E'C:\\new\\table\\x41', E'\\'),
    (7, E'ends with a backslash\\', E'\\t \\n \\\\', 'trailing  '), (8, E'\b\f\v\x01\x02\x1f\x7f', 'controls', NULL),
    (9, '''quoted'' "doubly" `back` $dollar$ $$', 'it''s', ''''), (10, 'Grüße, ça va, 日本語, Ελληνικά, العربية', 'žluťoučký', 'ü'),
    (11, '😀 👩‍👩‍👧 é é', '￿ 𐍈', '🎉'), (12, E'\\.', E'\\.\n\\.', '\\.'),
    (13, E'\n--\n-- PostgreSQL database dump complete\n--\n', '-- Dump completed on 2026-01-01', NULL),
    (14, 'pg_dump: error: query failed: ERROR:  permission denied', 'mysqldump: Got error: 1045', 'Error'),
    (15, E'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>', '<!DOCTYPE html>', '<html>'),
    (16, E'COPY public.texts (id) FROM stdin;\n1\n\\.\n', 'DROP TABLE texts; \connect other', '\! id'),
    (17, E'\xe2\x80\xa8 line separator \xc2\x85', E'\xef\xbb\xbfbyte order mark', NULL),
    (18, repeat('long ', 20000), repeat('v', 200), 'long');

-- Bytes: all of them, none, and those that upset quoting.
CREATE TABLE bytes (id integer PRIMARY KEY, b bytea, flags bit(5), more bit varying(70), mac macaddr, net inet);
INSERT INTO bytes
    SELECT n, decode(string_agg(lpad(to_hex((n * i) % 256), 2, '0'), '' ORDER BY i), 'hex'), B'10101', NULL,
           '08:00:2b:01:02:03', '192.168.0.0/24'
    FROM generate_series(1, 30) n, generate_series(0, 255) i GROUP BY n;
INSERT INTO bytes VALUES (100, '', B'00000', B'', NULL, '::1'), (101, '\x00', NULL, repeat('01', 35)::varbit, NULL, NULL),
    (102, '\x5c5c275c6e00ff0d0a5c2e0a', NULL, NULL, NULL, NULL);

CREATE TABLE numbers (
    i2 smallint, i4 integer, i8 bigint, n numeric(30, 10), r real, d double precision, m money, f boolean,
    at timestamptz, lasts interval, day date, clock time, id uuid, j json, jb jsonb, p point, ar integer[],
    ta text[][], ra int4range, mr int4multirange, x text, vec tsvector, feel mood, pos positive, both_sides pair);
INSERT INTO numbers VALUES
    (-32768, -2147483648, -9223372036854775808, -12345678901234567890.0123456789, 'NaN', '-Infinity', '-12.50', true,
     '2026-03-29 01:59:59.999999+00', '-3 days 04:05:06.7', '0044-03-15 BC', '24:00:00',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" : [1, 2,"\\\\ \u00e9"]}', '{"k": null, "n": 1.50}', '(1.5,-2)',
     '{1,NULL,3}', '{{"a,b","c\"d"},{"e\\f",NULL}}', '[1,5)', '{[1,3),[7,9)}', '<a b="c">d &amp; e</a>',
     'fat & rat'::tsvector, 'happy; or "so"', 1, ROW(1, 'a,"b\c')),
    (32767, 2147483647, 9223372036854775807, 0, 1.0e-37, 1.7976931348623157e308, '0', false, 'infinity', '178000000 years',
     'infinity', '00:00', '00000000-0000-0000-0000-000000000000', 'null', '[]', NULL, '{}', '{}', 'empty', '{}', NULL, '',
     'sad', 2147483647, NULL);
INSERT INTO numbers (i4, d) SELECT n, n / 7.0 FROM generate_series(1, 200) n;

-- Tables without rows, without columns, and with rows but no columns.
CREATE TABLE nobody (id integer PRIMARY KEY, t text);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE UNLOGGED TABLE unlogged (id integer);
INSERT INTO unlogged VALUES (1), (2);

-- Partitions of two depths, with one of them empty and one by default; inheritance.
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, kind text, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (at);
CREATE TABLE events_2026_rest PARTITION OF events_2026 DEFAULT;
CREATE TABLE events_none PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
INSERT INTO events (at, kind) SELECT date '2025-06-01' + n, 'kind ' || n % 5 FROM generate_series(1, 400) n;
CREATE TABLE parent (id integer, t text);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO parent VALUES (1, 'in the parent');
INSERT INTO child VALUES (2, 'in the child', 'e'), (3, 'too', NULL);

-- Generated columns, references in a circle and to themselves, checks, an exclusion.
CREATE TABLE areas (
    id integer GENERATED BY DEFAULT AS IDENTITY (START 100 INCREMENT 10) PRIMARY KEY,
    width integer NOT NULL CHECK (width > 0), height integer NOT NULL DEFAULT 2,
    area integer GENERATED ALWAYS AS (width * height) STORED, up integer REFERENCES areas);
INSERT INTO areas (width) SELECT n FROM generate_series(1, 50) n;
UPDATE areas SET up = 100 WHERE id > 100;
CREATE TABLE hens (id integer PRIMARY KEY, egg integer NOT NULL);
CREATE TABLE eggs (id integer PRIMARY KEY, hen integer NOT NULL REFERENCES hens DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE hens ADD FOREIGN KEY (egg) REFERENCES eggs DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO hens VALUES (1, 1), (2, 2);
INSERT INTO eggs VALUES (1, 2), (2, 1);
COMMIT;
CREATE TABLE rooms (during int4range, EXCLUDE USING gist (during WITH &&));
INSERT INTO rooms VALUES ('[1,5)'), ('[5,9)');

CREATE SEQUENCE tickets START 1000 INCREMENT 5 CYCLE MAXVALUE 99999;
SELECT setval('tickets', 4711, true);
CREATE SEQUENCE untouched;

-- Code that holds statements, marks of data and quotes of its own.
CREATE FUNCTION tricky(a integer, b text DEFAULT ';''$$') RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
    answer text := $q$it's; a $$ "quote" \. $q$;
BEGIN
    /* COPY public.texts (id) FROM stdin; */
    -- COPY public.nobody (id, t) FROM stdin;
    RETURN answer || E'\\' || a || b;
END;
$body$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW."select" := NEW."select" || '!';
    RETURN NEW;
END $$;
CREATE TRIGGER stamp BEFORE INSERT ON "order" FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE PROCEDURE tidy() LANGUAGE sql BEGIN ATOMIC DELETE FROM nobody WHERE id < 0; DELETE FROM nobody WHERE id < -1; END;
CREATE VIEW cheap AS SELECT "id", "select" || ';' AS "sel;ect" FROM "order" WHERE "id" < 10;
CREATE MATERIALIZED VIEW sums AS SELECT kind, count(*) AS many FROM events GROUP BY kind;
CREATE MATERIALIZED VIEW never_filled AS SELECT 1 AS one WITH NO DATA;
CREATE RULE nothing AS ON DELETE TO nobody DO INSTEAD NOTHING;
CREATE AGGREGATE product(integer) (sfunc = int4mul, stype = integer, initcond = '1');
CREATE INDEX order_lower ON "order" (lower("select")) WHERE "id" > 3;
CREATE STATISTICS together ON width, height FROM areas;
COMMENT ON TABLE "order" IS E'A comment; with ''quotes'',\n-- a second line\n\\. and a backslash \\';
COMMENT ON COLUMN "order"."from" IS '値';

ALTER TABLE areas ENABLE ROW LEVEL SECURITY;
CREATE POLICY wide ON areas USING (width > 1);

-- Owners and grantees that another server does not have.
ALTER TABLE "order" OWNER TO app;
ALTER TABLE texts OWNER TO "app owner";
GRANT SELECT ON texts TO reporting WITH GRANT OPTION;
GRANT SELECT ("select") ON "order" TO reporting;
ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO reporting;

SELECT lo_from_bytea(77001, decode(repeat('00ff5c27', 3000), 'hex'));
SELECT lo_from_bytea(77002, 'a small one');
SELECT lo_create(77003);
COMMENT ON LARGE OBJECT 77002 IS 'large; object';
