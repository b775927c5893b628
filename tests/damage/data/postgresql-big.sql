-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- About 200 MB of plain dump.

CREATE TABLE wide (id integer PRIMARY KEY, a text, b text, n double precision);
INSERT INTO wide SELECT n, repeat(md5(n::text), 4), md5((n * 7)::text) || n, n / 3.0 FROM generate_series(1, 800000) n;
CREATE TABLE narrow (id integer, k smallint);
INSERT INTO narrow SELECT n, n % 1000 FROM generate_series(1, 4000000) n;
