CREATE DATABASE shop CHARACTER SET utf8mb4;
USE shop;
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, score FLOAT, exact DOUBLE,
  kind ENUM('new', 'old; really', 'it''s'), flags SET('a', 'b'), bits BIT(9), born DATE, seen TIMESTAMP NULL,
  doubled INT GENERATED ALWAYS AS (id * 2) VIRTUAL, stored VARCHAR(90) AS (CONCAT(name, '!')) STORED, KEY (name));
INSERT INTO customers (name, score, exact, kind, flags, bits, born, seen)
  SELECT CONCAT('Jürgen ', seq, IF(seq % 7, '', ' 👍')), seq / 7, seq / 7e5, ELT(seq % 3 + 1, 'new', 'old; really', 'it''s'),
         'a,b', seq % 512, '2024-01-01' + INTERVAL seq DAY, IF(seq % 5, NULL, '2024-03-31 01:30:00') FROM seq_1_to_2000;
CREATE TABLE `order` (`select` INT PRIMARY KEY, `a ``b`` c` TEXT, `weird"name` DECIMAL(20, 5));
INSERT INTO `order` VALUES (1, 'C:\\new\\table', 1.5), (2, 'ends with \\', NULL), (3, 'it''s; -- no comment', 0),
  (4, '"double" `tick` /* no comment */ # nor this', -1), (5, '', 7), (6, NULL, 8), (7, 'DELIMITER ;;\nUSE mysql;\n\\! id\n', 9);
CREATE TABLE files (id INT PRIMARY KEY, short VARBINARY(300), content LONGBLOB, place POINT, doc JSON);
INSERT INTO files SELECT seq, UNHEX(REPEAT(LPAD(HEX(seq % 256), 2, '0'), seq % 300)), CONCAT(UNHEX('00275C220A0D1AFF'), RANDOM_BYTES(300)),
  POINT(seq, seq / 3), JSON_OBJECT('n', seq, 's', 'x"y\\z') FROM seq_1_to_600;
CREATE TABLE readings (at DATETIME NOT NULL, value INT, PRIMARY KEY (at)) PARTITION BY RANGE (YEAR(at))
  (PARTITION p23 VALUES LESS THAN (2024), PARTITION p24 VALUES LESS THAN (2025), PARTITION rest VALUES LESS THAN MAXVALUE);
INSERT INTO readings SELECT '2023-06-01' + INTERVAL seq DAY, seq FROM seq_1_to_900;
CREATE TABLE old_one (id INT PRIMARY KEY, word VARCHAR(20) CHARACTER SET latin1) ENGINE=MyISAM;
INSERT INTO old_one VALUES (1, 'grün'), (2, 'x');
CREATE TABLE nothing (id INT);
CREATE TABLE no_key (word VARCHAR(9));
INSERT INTO no_key VALUES ('same'), ('same'), ('other'), (NULL), ('NULL'), ('-');
CREATE TABLE log (n INT, word TEXT);
CREATE VIEW named AS SELECT id, name FROM customers WHERE score > 1;
CREATE VIEW of_view AS SELECT COUNT(*) AS n FROM named;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2;
DELIMITER //
CREATE PROCEDURE fill(IN n INT)
BEGIN
  DECLARE i INT DEFAULT 0;
  -- a comment; with a semicolon
  WHILE i < n DO INSERT INTO log VALUES (i, 'p;q'); SET i = i + 1; END WHILE;
END//
CREATE TRIGGER noted AFTER INSERT ON `order` FOR EACH ROW BEGIN INSERT INTO log VALUES (NEW.`select`, 'trigger;'); END//
CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR DO BEGIN DELETE FROM log WHERE n < 0; END//
DELIMITER ;
CREATE SEQUENCE numbers START WITH 5;
CREATE DATABASE `odd-Name.x`;
CREATE TABLE `odd-Name.x`.`t.1` (a INT);
INSERT INTO `odd-Name.x`.`t.1` VALUES (1), (2), (3);
CREATE DATABASE none_in_it;
CREATE DATABASE my_other;
CREATE TABLE my_other.t (a INT);
INSERT INTO my_other.t VALUES (1);
CREATE USER 'app'@'%' IDENTIFIED BY 'secret';
GRANT SELECT ON shop.* TO 'app'@'%';
CREATE DEFINER = 'app'@'%' VIEW shop.of_app AS SELECT id FROM shop.customers;
