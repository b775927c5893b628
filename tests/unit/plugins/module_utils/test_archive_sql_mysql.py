# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of MySQL and MariaDB: rows are counted exactly, damage is noticed, and no command of the client is handed on."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import sql_mysql, sql_postgresql
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils import sql_samples as samples
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.sql_samples import IN_MYSQL

COUNTS = {"items": 4, "order": 2}
HEAD, TAIL = IN_MYSQL.head, IN_MYSQL.tail
dump, read, codes, rows = IN_MYSQL.dump, IN_MYSQL.read, IN_MYSQL.codes, IN_MYSQL.rows
statements, kinds = IN_MYSQL.statements, IN_MYSQL.kinds
VALUES = [
    rb"('),(',1)",
    rb"('a\\',2)",
    rb"('\\\'),(\'',3)",
    rb"('it''s (;',4)",
    rb"(_binary 'x\0\Z\"',-5.5e10)",
    rb"(0xABCDEF,NULL)",
    rb"('-- # /* ` \" ;\n\r',7)",
    "('na\xefve \u2603',8)".encode(),
]


def test_a_dump_of_the_real_tool():
    member, problems = read(samples.MYSQL)
    assert problems == []
    assert samples.rows(member) == COUNTS
    assert (member.format, member.engine, member.tool, member.tool_version) == (
        "mysqldump",
        "mysql",
        "mariadb-dump",
        "10.11.19-MariaDB",
    )
    assert (member.server_version, member.encoding, member.database) == (
        "10.11.19-MariaDB-0+deb12u1",
        "utf8mb4",
        "small",
    )
    assert (
        member.start_mark.startswith("-- MariaDB dump 10.19")
        and member.end_mark == "-- Dump completed on 2026-11-26 13:28:40"
    )
    assert (member.details["views"], member.details["triggers"]) == (["v"], ["tr"])


def test_what_is_called_dump_is_no_second_dump():
    named = samples.MYSQL.replace(b"`items`", b"`dump`").replace(b"Database: small", b"Database: my dump")
    member, problems = read(named)
    assert problems == [] and samples.rows(member) == {"dump" if name == "items" else name: rows for name, rows in COUNTS.items()}
    assert (member.tool, member.database) == ("mariadb-dump", "my dump")
    slave = b"-- A corresponding to the below dump-slave CHANGE-MASTER settings to the slave gtid state is printed later.\n"
    assert read(samples.MYSQL.replace(b"--\n-- Table structure", slave + b"--\n-- Table structure", 1))[1] == []


def test_no_end_that_comes_too_early_goes_unnoticed():
    whole = len(samples.MYSQL)
    begin = samples.MYSQL.index(b"INSERT INTO `items`")
    for end in [*range(0, whole, 151), *range(begin, begin + 150, 5), *range(whole - 60, whole, 7)]:
        assert read(samples.MYSQL[:end])[1], "cut to %d bytes" % end


def test_all_that_separates_rows_matters():
    begin = samples.MYSQL.index(b"(1,'plain'")
    end = samples.MYSQL.index(b";", samples.MYSQL.index(b"'x')"))
    for at in (*range(begin, begin + 19), end - 1, end):
        if samples.MYSQL[at : at + 1] in b"(),\n;'":
            for bit in (0, 2, 7):
                changed = bytearray(samples.MYSQL)
                changed[at] ^= 1 << bit
                assert read(bytes(changed))[1], (at, bit, samples.MYSQL[at - 10 : at + 10])


@pytest.mark.parametrize("between", [b",", b",\n", b";\nINSERT INTO `t` VALUES ", b";\nINSERT INTO `t` VALUES\n"])
@pytest.mark.parametrize("number", [1, 2, 8, 3000])
def test_rows(between, number):
    chosen = (VALUES * (number // 8 + 1))[:number]
    head = b"INSERT INTO `t` VALUES " if b"VALUES\n" not in between else b"INSERT INTO `t` VALUES\n"
    assert rows(dump(head + between.join(chosen) + b";\n")) == {"t": number}


def test_statements_that_end_among_the_rows():
    statement = b"INSERT INTO `t` VALUES\n" + b",\n".join(VALUES * 700) + b";\n"
    assert rows(dump(statement * 5)) == {"t": 8 * 700 * 5}


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO `t` VALUES (1,2),(3),(4,5);\n",
        b"INSERT INTO `t` VALUES (1,2);\nINSERT INTO `t` VALUES (1,2,3);\n",
        b"INSERT INTO `t` (`a`, `b`) VALUES (1,2,3);\n",
        b"CREATE TABLE `t` (\n  `a` int(11) NOT NULL,\n  `b` text,\n  PRIMARY KEY (`a`)\n) ENGINE=InnoDB;\nINSERT INTO `t` VALUES (1,2,3);\n",
        b"INSERT INTO `t` VALUES " + b"(1,2)," * 30000 + b"(1),(1,2,3)," + b"(1,2)," * 30000 + b"(1,2);\n",
    ],
)
def test_rows_with_other_columns(text):
    assert codes(dump(text)) == ["wrong_rows"]


def test_names_and_databases():
    text = (
        b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET latin1 */;\n\nUSE `shop`;\n"
        b"CREATE TABLE `we``ird (a)` (\n  `x``y` int(11)\n) ENGINE=InnoDB;\nINSERT INTO `we``ird (a)` VALUES (1),(2);\n"
        b"USE `other`;\nINSERT INTO t (a) VALUES (1);\nINSERT IGNORE INTO `shop`.`we``ird (a)` VALUES (3);\nREPLACE INTO `t` VALUES (1);\n"
    )
    member, problems = read(dump(text))
    assert problems == []
    assert samples.rows(member) == {"shop:we`ird (a)": 3, "other:t": 2}
    assert (member.database, member.details["databases"]) == (None, ["other", "shop"])
    latin = HEAD.replace(b"utf8mb4", b"latin1") + b"INSERT INTO `gr\xfc\xdfe` VALUES ('\xe9');\n" + TAIL
    assert rows(latin) == {"gr\xfc\xdfe": 1}


def test_a_placeholder_of_a_view_is_no_table():
    old = (
        b"--\n-- Temporary table structure for view `v`\n--\n\n/*!50001 DROP VIEW IF EXISTS `v`*/;\n"
        b"/*!50001 CREATE TABLE `v` (\n  `id` tinyint NOT NULL\n) ENGINE=MyISAM */;\n\n"
    )
    final = (
        b"--\n-- Final view structure for view `v`\n--\n\n/*!50001 DROP TABLE IF EXISTS `v`*/;\n/*!50001 CREATE ALGORITHM=UNDEFINED */\n"
        b"/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 AS `id` */;\n"
    )
    member, problems = read(dump(old + final))
    assert (problems, samples.rows(member), member.details["views"]) == ([], {}, ["v"])
    assert codes(dump(old)) == ["bad_structure"]


ROUTINES = rb"""/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'NO_BACKSLASH_ESCAPES' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `nbe`()
begin select 'C:\'; select ';;'; -- it's
 /* ;; ' */ insert into t values (1,'),('); end
;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
INSERT INTO `t` VALUES ('C:\';',1);
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `tr` BEFORE INSERT ON `t` FOR EACH ROW begin set new.a = ';'; end */;;
/*!50106 CREATE DEFINER=`root`@`localhost` EVENT `ev` ON SCHEDULE EVERY 1 DAY DO begin delete from t; end */ ;;
DELIMITER ;
CREATE SEQUENCE `sq` start with 42 minvalue 1;
"""


def test_routines():
    member, problems = read(dump(ROUTINES))
    assert problems == []
    assert samples.rows(member) == {"t": 1}
    details = member.details
    assert (details["routines"], details["triggers"], details["events"], details["sequences"]) == (
        ["nbe"],
        ["tr"],
        ["ev"],
        ["sq"],
    )
    found = kinds(ROUTINES)
    assert [piece for kind, piece in found if kind == "meta"] == [b"DELIMITER ;;", b"DELIMITER ;"] * 2
    assert len([piece for kind, piece in found if kind == "sql"]) == 8


@pytest.mark.parametrize(
    "text, code",
    [
        (b"", "empty"),
        (b"\n\n", "unknown_format"),
        (b"<html></html>", "unknown_format"),
        (samples.MYSQL + samples.MYSQL, "duplicate"),
        (samples.MYSQL + b"SELECT 1;\n", "trailing_garbage"),
        (samples.MYSQL + b"mysqldump: Got error: 2013: Lost connection\n", "tool_message"),
        (
            b"mysqldump: [Warning] Using a password on the command line interface can be insecure.\n" + samples.MYSQL,
            "tool_message",
        ),
        (dump(b"-- insufficient privileges to SHOW CREATE FUNCTION `f`\n"), "tool_message"),
        (
            samples.MYSQL[: samples.MYSQL.index(b"UNLOCK")] + b"mysqldump: Couldn't execute 'SHOW FIELDS'\n",
            "tool_message",
        ),
        (samples.MYSQL.replace(b"na\\'ive", b"na\xefve"), "bad_encoding"),
        (samples.MYSQL.replace(b"plain", b"pl\0in"), "bad_encoding"),
        (samples.MYSQL.replace(b"'plain'", b"'plain"), "bad_structure"),
        (samples.MYSQL.replace(b"'one'", b"'one"), "incomplete"),
        (samples.MYSQL.replace(b"UNLOCK TABLES;\n", b"", 1), "bad_structure"),
        (samples.MYSQL.replace(b"CREATE TABLE `items`", b"CREATE TABLE `itemz`"), "bad_structure"),
        (
            samples.MYSQL.replace(
                b"ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;", b"ENGINE=InnoDB", 1
            ),
            "bad_structure",
        ),
        (samples.MYSQL.replace(b"(2,'tab", b"2,'tab"), "bad_structure"),
        (samples.MYSQL.replace(b"DROP TABLE", b"DRAP TABLE", 1), "bad_structure"),
        (samples.MYSQL.replace(b"-- Dump completed on 2026-11-26 13:28:40\n", b""), "incomplete"),
    ],
)
def test_damage(text, code):
    assert code in codes(text)


def test_bytes_that_are_no_text_are_fine_in_binary_columns():
    table = b"CREATE TABLE `t` (\n  `a` int(11) NOT NULL,\n  `b` %s\n) ENGINE=InnoDB;\n"
    row = b"INSERT INTO `t` VALUES (1,%s'\xff\xfe\\0\\Z\\'');\n"
    assert rows(dump(table % b"varbinary(9)" + row % b"_binary ")) == {"t": 1}
    assert rows(dump(table % b"mediumblob" + row % b"")) == {"t": 1}
    assert rows(dump(row % b"")) == {"t": 1}
    assert codes(dump(table % b"text" + row % b"")) == ["bad_encoding"]


def test_dumps_without_comments():
    bare = b"\n".join(line for line in samples.MYSQL.split(b"\n") if not line.startswith(b"--"))
    assert rows(bare) == COUNTS
    assert codes(bare[: bare.index(b"/*!40111 SET SQL_NOTES=@OLD")]) == ["incomplete"]
    compact = b"INSERT INTO `items` VALUES (1,'a',NULL);\nINSERT INTO `order` VALUES ('one');\n"
    assert rows(compact) == {"items": 1, "order": 1}
    assert rows(samples.MYSQL.replace(b" on 2026-11-26 13:28:40", b"")) == COUNTS


def test_the_writer_of_backupman():
    text = (
        b"-- Go SQL Dump 0.2.2\n--\n-- ------------------------------------------------------\n-- Server version\t10.11.19-MariaDB\n\n"
        b"--\n-- Table structure for table `t`\n--\n\nDROP TABLE IF EXISTS `t`;\nCREATE TABLE `t` (\n  `a` int(11) NOT NULL,\n  `b` text\n) ENGINE=InnoDB;\n"
        b"--\n-- Dumping data for table `t`\n--\n\nLOCK TABLES `t` WRITE;\nINSERT INTO `t` VALUES ('1','x'),('2','line\nbreak');\nUNLOCK TABLES;\n"
        b"-- Dump completed on 2026-03-01 02:00:00.000 +0000 UTC\n"
    )
    member, problems = read(text)
    assert problems == []
    assert samples.rows(member) == {"t": 2}
    assert member.tool == "Go SQL Dump"
    assert codes(text[: text.index(b"-- Dump completed")]) == ["incomplete"]
    assert codes(text.replace(b"'x'", b"'x\\'")) != []
    assert codes(text.replace(b"`t`", b"`dump`")) == []
    # A second one is noticed, whether the first has ended or not.
    assert "duplicate" in codes(text + text) and "duplicate" in codes(text[: text.index(b"-- Dump completed")] + text)


HOSTILE = [
    b"\\! touch /tmp/x\n",
    b"SELECT 1 \\! touch /tmp/x\n;\n",
    b"system touch /tmp/x\n;",
    b"source /etc/passwd\n;",
    b"tee /tmp/x\n;",
    b"pager cat > /tmp/x\n;",
    b"LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t;\n",
    b"LOAD/**/DATA INFILE '/etc/passwd' INTO TABLE t;\n",
    b"/*!50000 LOAD DATA INFILE '/etc/passwd' INTO TABLE t */;\n",
    b"SELECT 'id' INTO OUTFILE '/tmp/x';\n",
    b"SELECT 'id' INTO # a\nDUMPFILE '/tmp/x';\n",
    b"INSERT INTO t VALUES (load_file('/etc/passwd'));\n",
    b"CREATE FUNCTION sys_exec RETURNS int SONAME 'id.so';\n",
    b"INSTALL PLUGIN x SONAME 'id.so';\n",
    b"INSTALL SONAME 'id';\n",
    b"SET GLOBAL general_log_file = '/tmp/x';\n",
    b"START SLAVE;\n",
    b"SET sql_mode = concat('NO_BACK', 'SLASH_ESCAPES');\n",
    b"SELECT `a\\`; \\! id\n`;\n",
    b"/*!80001 ' */ LOAD DATA INFILE '/etc/passwd' INTO TABLE t /*!80001 ' */;\n",
    b"SELECT 1, delimiter id\n;\n",
    b"SELECT /*+ ' */ 1; -- '\n",
    b"SELECT 1 --\x01 '\n; -- id '\n",
    b"delimiter 'id'\n",
    b"INSERT INTO `t` VALUES (1,2),(3,\\! id\n);\n",
    b"INSERT INTO `t` VALUES " + b"(1,2)," * 5000 + b"(3,\\! id\n)," + b"(1,2)," * 5000 + b"(1,2);\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_not_handed_on(text):
    IN_MYSQL.refuse(text)


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO `t` VALUES ('LOAD DATA INFILE; SELECT 1 INTO OUTFILE; load_file(1); \\\\! id',1);\n",
        b"CREATE PROCEDURE p() SELECT 1 INTO OUTFILE '/tmp/x';\n",
        b"CREATE TABLE `t` (`a` int) COMMENT='SONAME; it''s';\n",
        b"SELECT COALESCE(CURRENT_ROLE(),'NONE') into @current_role;\n",
        b"/*M!100203 EXECUTE IMMEDIATE CONCAT('SET ROLE ', @current_role) */;\n",
        b"INSERT INTO `t` VALUES (1,\\N);\n",
    ],
)
def test_harmless_text_is_handed_on(text):
    assert statements(text)[1] is None
    assert read(text)[1] == []


def test_what_holds_for_a_piece():
    items = sql_mysql.statements(Bytes(b"USE `a b`;\nDELIMITER //\nSELECT 1 //\n"))
    seen = [(kind, items.database, items.delimiter) for kind, _piece, _offset in items]
    assert seen == [("sql", "a b", b";"), ("meta", "a b", b"//"), ("sql", "a b", b"//"), ("rest", "a b", b"//")]


def test_command():
    assert sql_mysql.command(b"-- a\n/*!40000 drop  database if exists `shop`*/;").startswith(
        b"DROP DATABASE IF EXISTS `shop`"
    )
    assert sql_mysql.command(b"# a\nCREATE /* x */ DATABASE /*!32312 IF NOT EXISTS*/ `shop`;").startswith(
        b"CREATE DATABASE "
    )


@pytest.mark.parametrize(
    "line, tool, version",
    [
        ("-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)", "mysqldump", "8.0.36"),
        ("-- MySQL dump 10.13  Distrib 5.7.44-48, for Linux (x86_64)", "mysqldump", "5.7.44-48"),
        ("-- MariaDB dump 10.19-11.4.2-MariaDB, for debian-linux-gnu (x86_64)", "mariadb-dump", "11.4.2-MariaDB"),
    ],
)
def test_which_tool_it_was(line, tool, version):
    member, problems = read(line.encode() + b"\n" + TAIL)
    assert (problems, member.tool, member.tool_version) == ([], tool, version)


@pytest.mark.parametrize(
    "head, name, expected",
    [
        (samples.MYSQL[:4096], "x", True),
        (samples.MYSQL[45:4096], "x", True),
        (b"INSERT INTO `t` VALUES (1);\n", "x", True),
        (b"-- Go SQL Dump 0.2.2\n--\n", "x", True),
        (b"CREATE TABLE t (id int AUTO_INCREMENT) ENGINE=InnoDB;\n", "x", True),
        (b"CREATE TABLE t (id int);\n", "MySQL.sql", True),
        (b"CREATE TABLE t (id int);\n", "x.sql", False),
        (samples.POSTGRESQL[:4096], "mysql.sql", False),
        (samples.COPIES, "mysql.sql", False),
        (b"<html>ENGINE=InnoDB</html>", "x", False),
        (b"hello\n", "mysql.sql", False),
        (b"", "mysql.sql", False),
    ],
)
def test_whose_text_it_is(head, name, expected):
    assert sql_mysql.matches(head, name) is expected
    if expected and name == "x":
        assert not sql_postgresql.matches(head, name)
