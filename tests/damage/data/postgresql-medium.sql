-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- Fifty tables with up to some thousand rows, the same at every run.

DO $$
BEGIN
    FOR number IN 1..50 LOOP
        EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY, name text NOT NULL, amount numeric(12, 2), at timestamptz,'
                       ' note text)', 't' || lpad(number::text, 2, '0'));
        EXECUTE format('INSERT INTO %I SELECT n, md5(n::text || %L), n * 1.25, timestamptz ''2026-01-01 00:00+00'' + n *'
                       ' interval ''1 minute'', CASE WHEN n %% 7 = 0 THEN NULL ELSE ''note '' || n %% 97 END'
                       ' FROM generate_series(1, %s) n', 't' || lpad(number::text, 2, '0'), number, 20 + 53 * (number - 1));
        EXECUTE format('CREATE INDEX ON %I (name)', 't' || lpad(number::text, 2, '0'));
    END LOOP;
END $$;
