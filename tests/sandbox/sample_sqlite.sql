-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- A part of the small shop of sample.sql as SQLite has it. :seed differs from stack to stack.
PRAGMA foreign_keys = ON;
BEGIN;
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE NOT NULL);
CREATE TABLE "order" (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    customer_id INTEGER NOT NULL REFERENCES customers,
    placed_at TEXT NOT NULL,
    note TEXT
);
CREATE TABLE sessions (token BLOB PRIMARY KEY, payload BLOB) WITHOUT ROWID;
CREATE TABLE empty_table (id INTEGER);
CREATE INDEX "by customer" ON "order" (customer_id) WHERE note IS NOT NULL;
CREATE VIEW spoken AS SELECT customer_id, count(*) AS notes FROM "order" WHERE note <> '' GROUP BY customer_id;

INSERT INTO customers
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200 + :seed % 300)
SELECT n, CASE n % 4 WHEN 0 THEN 'Zoë' WHEN 1 THEN '美咲' WHEN 2 THEN 'O''Brien' ELSE 'Ольга 🦊' END || ' ' || n,
       'customer' || n || '@example.com' FROM n;

INSERT INTO "order" (customer_id, placed_at, note)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2400 + :seed % 500)
SELECT 1 + n * 7919 % 1200, datetime('2024-01-01', n || ' hours'),
       CASE n % 10 WHEN 0 THEN 'first line' || char(10) || 'second line' WHEN 1 THEN '' WHEN 2 THEN 'C:\new\table\' END
FROM n;

INSERT INTO sessions
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 400)
SELECT CAST('session' || n AS BLOB), CASE n % 3 WHEN 0 THEN zeroblob(64) WHEN 1 THEN x'00275c0aff5c' END FROM n;
COMMIT;
