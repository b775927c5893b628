-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- About 200 MB of plain dump.

CREATE TABLE wide (id int PRIMARY KEY, a text, b text, n double);
INSERT INTO wide SELECT seq, repeat(md5(seq), 4), concat(md5(seq * 7), seq), seq / 3 FROM seq_1_to_800000;
CREATE TABLE narrow (id int, k smallint);
INSERT INTO narrow SELECT seq, seq % 1000 FROM seq_1_to_3000000;
