-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- For a database in SQL_ASCII, which takes any byte: its dump is in no encoding at all.

CREATE TABLE "any" (id integer PRIMARY KEY, t text);
INSERT INTO "any" VALUES (1, E'\xe9\xff\xfe'), (2, E'\xc3\xa9'), (3, E'\x80'), (4, 'ascii'), (5, E'\xc3');
