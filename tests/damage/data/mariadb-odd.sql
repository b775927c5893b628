-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- A database of everything that readers of dumps trip over. MariaDB 10.5 and later.

CREATE TABLE `order` (`id` int AUTO_INCREMENT PRIMARY KEY, `select` varchar(100) NOT NULL, `from` int DEFAULT 7,
    `Mixed Case` text, KEY `key` (`select`(10))) AUTO_INCREMENT = 500 COMMENT = 'with; ''quotes'' and "more" \\ --';
INSERT INTO `order` (`select`, `Mixed Case`) SELECT concat('line ', seq), concat('Value ', seq * 31) FROM seq_1_to_40;
CREATE TABLE `we ird` (`a ``quoted`` "name"` int PRIMARY KEY, `semi;colon` text, `comma,paren)` int);
INSERT INTO `we ird` VALUES (1, 'one; two', 1), (2, '--', 2), (3, '-- not a comment', 3), (4, '/* nor this */', 4);
CREATE TABLE `наименования` (`ключ` int PRIMARY KEY, `значение` text CHARACTER SET utf8mb4);
INSERT INTO `наименования` VALUES (1, 'значение'), (2, '値'), (3, 'τιμή');

CREATE TABLE texts (id int PRIMARY KEY, t longtext, v varchar(200), c char(12)) CHARACTER SET utf8mb4;
INSERT INTO texts VALUES
    (1, 'plain', 'short', 'x'), (2, '', '', ''), (3, NULL, NULL, NULL), (4, 'NULL', '\\N', '\\0'),
    (5, 'tab\there', 'line\nfeed', 'cr\rhere'), (6, 'back\\slash', 'C:\\new\\table\\x41', '\\'),
    (7, 'ends with a backslash\\', '\\t \\n \\\\', 'a\Zb'), (8, '\b\0\Z\r\n', 'controls', NULL),
    (9, '''quoted'' "doubly" `back`', 'it''s', ''''), (10, 'Grüße, ça va, 日本語, Ελληνικά, العربية', 'žluťoučký', 'ü'),
    (11, '😀 👩‍👩‍👧 é é', '￿ 𐍈', '🎉'), (12, '),(', '1),(2,''', ''');'),
    (13, '\n-- Dump completed on 2026-01-01  1:02:03\n', '-- Dump completed', NULL),
    (14, 'mysqldump: Got error: 1045: Access denied', 'mysqldump: Couldn''t execute', 'Error'),
    (15, '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>', '<!DOCTYPE html>', '<html>'),
    (16, 'INSERT INTO `texts` VALUES (1);\nUNLOCK TABLES;\n', 'DROP TABLE texts; use other', '\\! id'),
    (17, '\n;\n;;\nDELIMITER ;\n', '/*!50003 x */', NULL), (18, repeat('long ', 20000), repeat('v', 200), 'long'),
    (19, ';\n-- ;\nsystem id\nsource /etc/passwd\n', 'LOAD DATA LOCAL INFILE ''/etc/passwd''', '\\. x');

CREATE TABLE bytes (id int PRIMARY KEY, b longblob, vb varbinary(300), fixed binary(6), flags bit(13), one bit(1));
INSERT INTO bytes SELECT n.seq, unhex(group_concat(lpad(hex((n.seq * i.seq) % 256), 2, '0') ORDER BY i.seq SEPARATOR '')),
    unhex('5c275c22000aff1a0d'), unhex('000102'), b'1010101010101', b'1'
    FROM seq_1_to_30 n, seq_0_to_255 i GROUP BY n.seq;
INSERT INTO bytes VALUES (100, '', '', '', 0, 0), (101, x'00', NULL, NULL, NULL, NULL),
    (102, x'5c5c275c6e00ff0d0a5c2e0a', x'5c', x'ffffffffffff', 8191, 1);

CREATE TABLE latin (id int PRIMARY KEY, t varchar(100)) CHARACTER SET latin1;
INSERT INTO latin VALUES (1, 'Ærøskøbing, Málaga, Zürich'), (2, 'naïve');
CREATE TABLE sixteen (id int PRIMARY KEY, t text) CHARACTER SET utf16;
INSERT INTO sixteen VALUES (1, 'sixteen bits 😀');

CREATE TABLE numbers (id int AUTO_INCREMENT PRIMARY KEY, i1 tinyint, i8 bigint unsigned, n decimal(40, 20), r float,
    d double, day date, at datetime(6), ts timestamp(3) NULL, clock time(2), y year, j json, e enum('a', 'b''s', 'c,d'),
    s set('x', 'y;z', 'w'), p point, g geometry, id6 inet6, u uuid, z int(8) zerofill);
INSERT INTO numbers (i1, i8, n, r, d, day, at, ts, clock, y, j, e, s, p, g, id6, u, z) VALUES
    (-128, 18446744073709551615, -12345678901234567890.0123456789, -1.5e-20, 1.7976931348623157e308, '9999-12-31',
     '1000-01-01 00:00:00.000001', '2026-03-29 02:30:00.123', '-838:59:59.99', 1901, '{"a": [1, "\\\\ \\u00e9"]}', 'b''s', 'x,w',
     point(1.5, -2), st_geomfromtext('POLYGON((0 0,0 5,5 5,5 0,0 0))'), '::ffff:1.2.3.4',
     '123e4567-e89b-12d3-a456-426655440000', 42),
    (127, 0, 0, 0, -0.0, '0001-01-01', NULL, NULL, '00:00:00', 2155, 'null', 'a', '', NULL, NULL, NULL, NULL, NULL);
INSERT INTO numbers (i8, d) SELECT seq, seq / 7 FROM seq_1_to_200;

CREATE TABLE nobody (id int PRIMARY KEY, t text);
CREATE TABLE hidden (id int PRIMARY KEY, secret int INVISIBLE DEFAULT 3, t text COMPRESSED);
INSERT INTO hidden (id, secret, t) VALUES (1, 5, 'one'), (2, 6, repeat('two ', 100));
CREATE TABLE aria (id int PRIMARY KEY, t text) ENGINE = Aria;
INSERT INTO aria VALUES (1, 'crash safe'), (2, 'not InnoDB');
CREATE TABLE isam (id int PRIMARY KEY, t text) ENGINE = MyISAM;
INSERT INTO isam VALUES (1, 'old'), (2, 'older');

CREATE TABLE events (id bigint AUTO_INCREMENT, at date NOT NULL, kind varchar(20), PRIMARY KEY (id, at))
    PARTITION BY RANGE (year(at)) (PARTITION p2025 VALUES LESS THAN (2026), PARTITION p2026 VALUES LESS THAN (2027),
    PARTITION none VALUES LESS THAN MAXVALUE);
INSERT INTO events (at, kind) SELECT date '2025-06-01' + INTERVAL seq DAY, concat('kind ', seq % 5) FROM seq_1_to_400;

CREATE TABLE areas (id int AUTO_INCREMENT PRIMARY KEY, width int NOT NULL CHECK (width > 0), height int NOT NULL DEFAULT 2,
    area int GENERATED ALWAYS AS (width * height) STORED, double_area int AS (area * 2) VIRTUAL, up int,
    FOREIGN KEY (up) REFERENCES areas (id));
INSERT INTO areas (width) SELECT seq FROM seq_1_to_50;
UPDATE areas SET up = 1 WHERE id > 1;
CREATE TABLE hens (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE eggs (id int PRIMARY KEY, hen int NOT NULL, FOREIGN KEY (hen) REFERENCES hens (id));
INSERT INTO hens VALUES (1, 1), (2, 2);
INSERT INTO eggs VALUES (1, 2), (2, 1);
ALTER TABLE hens ADD FOREIGN KEY (egg) REFERENCES eggs (id);

CREATE SEQUENCE tickets START 1000 INCREMENT 5 CYCLE MAXVALUE 99999;
SELECT nextval(tickets);

CREATE VIEW cheap AS SELECT id, concat(`select`, ';') AS `sel;ect` FROM `order` WHERE id < 10;
CREATE VIEW on_a_view AS SELECT count(*) AS many FROM cheap;

DELIMITER //
CREATE TRIGGER stamp BEFORE INSERT ON `order` FOR EACH ROW
BEGIN
    -- INSERT INTO `nobody` VALUES (1,'x');
    SET NEW.`select` = concat(NEW.`select`, '!;');
END //
CREATE PROCEDURE tidy(IN a int)
BEGIN
    /* ; */
    DELETE FROM nobody WHERE id < -a;
    SELECT 'UNLOCK TABLES;', "it's", `id` FROM nobody;
END //
CREATE FUNCTION tricky(a int) RETURNS varchar(100) DETERMINISTIC RETURN concat('\\', a, ';''') //
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO BEGIN DELETE FROM nobody; END //
DELIMITER ;
