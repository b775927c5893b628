-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- A database file of everything that readers trip over.

CREATE TABLE "order" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "select" TEXT NOT NULL, "from" INTEGER DEFAULT 7);
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 400)
    INSERT INTO "order" ("select") SELECT 'line ' || n FROM n;
CREATE TABLE "we ""ird" ("a ""quoted"" name" TEXT PRIMARY KEY, "semi;colon") WITHOUT ROWID;
INSERT INTO "we ""ird" VALUES ('one', 'a;b'), ('two', x'00ff'), ('three', 3.5), ('four', NULL), ('C:\new\table', '\');
CREATE TABLE "наименования" ("ключ" INTEGER PRIMARY KEY, "значение" TEXT COLLATE NOCASE);
INSERT INTO "наименования" VALUES (1, 'значение'), (2, '値 😀'), (3, '');
CREATE TABLE bytes (id INTEGER PRIMARY KEY, b BLOB);
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60)
    INSERT INTO bytes SELECT n, zeroblob(n * 300) FROM n;
INSERT INTO bytes VALUES (100, x''), (101, x'5c00ff0d0a27');
CREATE TABLE nobody (id INTEGER PRIMARY KEY, t TEXT);
CREATE TABLE areas (id INTEGER PRIMARY KEY, width INTEGER CHECK (width > 0), height INTEGER DEFAULT 2,
    area INTEGER GENERATED ALWAYS AS (width * height) STORED, up INTEGER REFERENCES areas (id));
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50)
    INSERT INTO areas (width, up) SELECT n, CASE WHEN n > 1 THEN 1 END FROM n;
CREATE INDEX order_lower ON "order" (lower("select")) WHERE "id" > 3;
CREATE UNIQUE INDEX once ON areas (width, height);
CREATE VIEW cheap AS SELECT "id", "select" || ';' AS "sel;ect" FROM "order" WHERE "id" < 10;
CREATE TRIGGER stamp AFTER INSERT ON nobody BEGIN UPDATE nobody SET t = t || '!;' WHERE id = NEW.id; END;
CREATE TABLE gone (t TEXT);
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000) INSERT INTO gone SELECT 'row ' || n FROM n;
DROP TABLE gone;
PRAGMA user_version = 42;
PRAGMA application_id = 4711;
