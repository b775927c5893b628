-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- The small shop of sample.sql as MariaDB has it. @seed differs from stack to stack.
SET NAMES utf8mb4;
SET time_zone = '+00:00';

CREATE TABLE customers (
    id INT PRIMARY KEY,
    name VARCHAR(80) NOT NULL COMMENT 'as they write it; even so',
    city VARCHAR(40) NOT NULL,
    email VARCHAR(80) NOT NULL UNIQUE,
    joined_on DATE NOT NULL,
    points BIGINT UNSIGNED NOT NULL DEFAULT 0
) CHARACTER SET utf8mb4;
CREATE TABLE products (
    id INT PRIMARY KEY,
    title VARCHAR(120) NOT NULL,
    price DECIMAL(8, 2) NOT NULL CHECK (price > 0),
    kind ENUM('plain', 'it''s', 'a,b') NOT NULL,
    flags BIT(3) NOT NULL,
    facts JSON,
    weight DOUBLE,
    FULLTEXT KEY words (title)
) CHARACTER SET utf8mb4;
CREATE TABLE `order` (
    id INT PRIMARY KEY AUTO_INCREMENT,
    customer_id INT NOT NULL,
    placed_at DATETIME(3) NOT NULL,
    note TEXT,
    KEY `by customer` (customer_id),
    FOREIGN KEY (customer_id) REFERENCES customers (id)
) CHARACTER SET utf8mb4;
CREATE TABLE order_lines (
    order_id INT NOT NULL,
    line INT NOT NULL,
    product_id INT NOT NULL,
    quantity INT NOT NULL,
    `twice the ``quantity``` INT GENERATED ALWAYS AS (quantity * 2) STORED,
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (order_id) REFERENCES `order` (id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) CHARACTER SET utf8mb4;
CREATE TABLE sessions (
    token BINARY(16) PRIMARY KEY,
    customer_id INT,
    payload MEDIUMBLOB,
    seen_at TIMESTAMP NULL
);
CREATE TABLE empty_table (id INT PRIMARY KEY);
CREATE VIEW revenue AS
    SELECT o.customer_id AS customer_id, SUM(l.quantity * p.price) AS total
    FROM `order` o JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id
    GROUP BY o.customer_id;

INSERT INTO customers
SELECT seq,
       CONCAT(ELT(1 + seq MOD 8, 'Zoë', 'Jürgen', 'Łukasz', '美咲', 'O''Brien', 'Ольга', 'Nadia 🦊', 'Søren'), ' ', seq),
       ELT(1 + seq MOD 5, 'Köln', 'São Paulo', '東京', 'Kraków', 'Dublin'),
       CONCAT('customer', seq, '@example.com'),
       '2020-01-01' + INTERVAL seq MOD 1500 DAY,
       IF(seq MOD 7 = 0, 18446744073709551615, seq)
FROM seq_1_to_1500 WHERE seq <= 1200 + @seed MOD 300;

-- Some titles end in a backslash, and in notes it stands before letters that mean something after one.
INSERT INTO products
SELECT seq, CONCAT('Product № ', seq, IF(seq MOD 50 = 0, ' \\', '')), (1 + (seq * 37) MOD 9900) / 100 + 0.01,
       ELT(1 + seq MOD 3, 'plain', 'it''s', 'a,b'), seq MOD 8,
       IF(seq MOD 3 = 0, JSON_OBJECT('tags', JSON_ARRAY('new', 'größe'), 'weight', seq / 3), NULL),
       IF(seq MOD 2 = 0, seq / 3, NULL)
FROM seq_1_to_300;

INSERT INTO `order`
SELECT seq, 1 + CRC32(CONCAT(@seed, '/', seq)) MOD 1200, '2024-01-01' + INTERVAL seq * 420123 * 1000 MICROSECOND,
       CASE seq MOD 20 WHEN 0 THEN 'first line\nsecond line; -- and not the end' WHEN 1 THEN ''
           WHEN 2 THEN 'leave at № 5 ☂' WHEN 3 THEN 'C:\\new\\table' WHEN 4 THEN 'say "it''s here"' END
FROM seq_1_to_2900 WHERE seq <= 2400 + @seed MOD 500;

INSERT INTO order_lines (order_id, line, product_id, quantity)
SELECT o.id, s.seq, 1 + CRC32(CONCAT(@seed, '.', o.id, '.', s.seq)) MOD 300, 1 + CRC32(CONCAT(o.id, s.seq)) MOD 5
FROM `order` o, seq_1_to_4 s WHERE s.seq <= 2 + o.id MOD 3;

-- Payloads hold every byte: zeros, quotes, backslashes (also at the end) and what is no text in any encoding.
INSERT INTO sessions
SELECT UNHEX(MD5(CONCAT('session', seq))), NULLIF(seq MOD 1200, 0),
       CASE seq MOD 4
           WHEN 0 THEN (SELECT UNHEX(GROUP_CONCAT(LPAD(HEX(b.seq), 2, '0') ORDER BY b.seq SEPARATOR ''))
                        FROM seq_0_to_255 b)
           WHEN 1 THEN UNHEX(CONCAT(REPEAT(MD5(seq), 4), '5C'))
           WHEN 2 THEN UNHEX(REPEAT(MD5(seq), 4)) WHEN 3 THEN IF(seq MOD 8 = 3, '', NULL) END,
       IF(seq MOD 5 = 0, NULL, '2024-01-01' + INTERVAL seq HOUR)
FROM seq_1_to_800;

DELIMITER ;;
CREATE TRIGGER tidy BEFORE UPDATE ON customers FOR EACH ROW
BEGIN
    SET NEW.city = TRIM(NEW.city);
    IF NEW.points < OLD.points THEN
        SET NEW.points = OLD.points;
    END IF;
END;;
DELIMITER ;
