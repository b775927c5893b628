-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- For a database in LATIN1: its dump is no UTF-8.

CREATE TABLE "größe" (id integer PRIMARY KEY, "straße" text);
INSERT INTO "größe" SELECT n, 'Ærøskøbing, Málaga, Zürich ' || chr(160 + n % 96) FROM generate_series(1, 120) n;
