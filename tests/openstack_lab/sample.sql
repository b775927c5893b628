-- Copyright (c) 2026, Restorable Backups contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

CREATE DATABASE shop;
USE shop;
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, city VARCHAR(40) NOT NULL);
CREATE TABLE orders (
    id INT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL REFERENCES customers (id), total DECIMAL(9, 2) NOT NULL,
    placed DATETIME NOT NULL, note VARCHAR(200) NOT NULL);
INSERT INTO customers (name, city) SELECT CONCAT('Customer ', seq), ELT(1 + seq MOD 4, 'Oslo', 'Lima', 'Kyoto', 'Bern')
    FROM seq_1_to_500;
-- The notes do not compress well, so that a backup has a size worth cutting.
INSERT INTO orders (customer, total, placed, note) SELECT 1 + seq MOD 500, seq * 1.37, '2026-01-01' + INTERVAL seq MINUTE,
    CONCAT(SHA2(seq, 512), SHA1(seq)) FROM seq_1_to_5000;
