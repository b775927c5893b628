-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- Fifty tables with up to some thousand rows, the same at every run.

DELIMITER //
BEGIN NOT ATOMIC
    FOR number IN 1..50 DO
        SET @name = concat('t', lpad(number, 2, '0'));
        EXECUTE IMMEDIATE concat('CREATE TABLE ', @name, ' (id int PRIMARY KEY, name varchar(60) NOT NULL,'
                                 ' amount decimal(12, 2), at datetime, note text, KEY (name))');
        EXECUTE IMMEDIATE concat('INSERT INTO ', @name, ' SELECT seq, concat(md5(seq), ', number, '), seq * 1.25,'
                                 ' timestamp ''2026-01-01 00:00:00'' + INTERVAL seq MINUTE, if(seq % 7 = 0, NULL, concat(''note '','
                                 ' seq % 97)) FROM seq_1_to_', 20 + 53 * (number - 1));
    END FOR;
END //
DELIMITER ;
