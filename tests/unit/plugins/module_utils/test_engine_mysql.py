# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MariaDB and MySQL: what is sent of a dump, which server fits, what is believed of a physical backup. No server."""

from __future__ import annotations

import os
import struct
import zlib

import pytest

from ansible_collections.restorable.backups.plugins.module_utils._archive import sql_mysql
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Member
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged
from ansible_collections.restorable.backups.plugins.module_utils._engines import _mysql_physical as physical
from ansible_collections.restorable.backups.plugins.module_utils._engines import _mysql_sql as sql_text
from ansible_collections.restorable.backups.plugins.module_utils._engines import _mysql_client, _mysql_programs, mysql
from ansible_collections.restorable.backups.plugins.module_utils._engines._base import EngineError, Installation
from ansible_collections.restorable.backups.plugins.module_utils._engines._mysql_filter import Filter


def filtered(text, target=None):
    """(what is sent, the filter, the databases that were entered)."""
    entered = []
    sieve = Filter(
        sql_mysql.statements(Bytes(text)), sql_mysql.command, lambda name, make: entered.append((name, make)), target
    )
    return b"".join(sieve), sieve, entered


def refused(text, target=None):
    with pytest.raises((EngineError, Damaged)) as caught:
        filtered(text, target)
    return caught.value


# -- statements


def test_an_ordinary_dump_passes_as_it_is():
    text = (
        b"SET NAMES utf8mb4;\nDROP TABLE IF EXISTS `t`;\nCREATE TABLE `t` (a INT);\nLOCK TABLES `t` WRITE;\n"
        b"INSERT INTO `t` VALUES (1),('x;\\'');\nUNLOCK TABLES;\n"
    )
    sent, sieve, entered = filtered(text)
    assert sent.strip() == text.strip() and not sieve.left_out and not entered and sieve.notes() == []


def test_lines_keep_their_numbers():
    text = b"SELECT 1;\nGRANT ALL\n ON a.*\n TO b;\nUSE mysql;\nINSERT INTO t VALUES (1);\nDELIMITER ;;\nSELECT 2;;\nDELIMITER ;\nSELECT 3;\n"
    sent, _sieve, _entered = filtered(text)
    assert sent.count(b"\n") >= text.count(b"\n") - 1
    assert sent[: sent.index(b"DELIMITER")].count(b"\n") == text[: text.index(b"DELIMITER")].count(b"\n")


@pytest.mark.parametrize(
    "statement,label",
    [
        (b"GRANT ALL ON x.* TO y", "accounts"),
        (b"CREATE USER x@y", "accounts"),
        (b"CREATE ROLE r", "accounts"),
        (b"SET ROLE r", "accounts"),
        (b"/*!50003 CREATE USER x@y */", "accounts"),
        (b"SET PASSWORD FOR x = 'y'", "accounts"),
        (b"ALTER USER x@y ACCOUNT LOCK", "accounts"),
        (b"CHANGE MASTER TO MASTER_LOG_FILE='a'", "replication"),
        (b"STOP SLAVE", "replication"),
        (b"FLUSH PRIVILEGES", "FLUSH"),
        (b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'x:1-2'", "gtid_purged"),
        (b"SET @@SESSION.SQL_LOG_BIN= 0", "SQL_LOG_BIN"),
        (b"SET GLOBAL gtid_slave_pos='0-1-2'", "gtid_slave_pos"),
        (b"DROP DATABASE x", "DROP DATABASE"),
        (b"CREATE TABLESPACE t", "tablespaces"),
        (b"/*!40000 DROP DATABASE IF EXISTS `x`*/", "DROP DATABASE"),
        (b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql`", "mysql"),
    ],
)
def test_what_is_left_out(statement, label):
    sent, sieve, _entered = filtered(b"SELECT 1;\n" + statement + b";\nSELECT 2;\n")
    assert sent.split() == b"SELECT 1; SELECT 2;".split()
    assert any(label in text for text in sieve.listed()), sieve.listed()


@pytest.mark.parametrize(
    "statement",
    [
        b"LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
        b"/*!50003 LOAD DATA LOCAL INFILE 'x' INTO TABLE t */",
        b"SHUTDOWN",
        b"KILL 3",
        b"SET GLOBAL general_log_file='x'",
        b"SET @@global.secure_file_priv=''",
        b"SET @x=1, GLOBAL init_connect='y'",
        b"SET PERSIST port=1",
        b"SELECT 1 INTO OUTFILE '/tmp/x'",
    ],
)
def test_what_is_refused(statement):
    assert refused(b"SELECT 1;\n" + statement + b";\n").code in ("unsafe", "unsafe_statement")


@pytest.mark.parametrize(
    "statement",
    [
        b"SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'",
        b"SET @x = @@GLOBAL.time_zone",
        b"SET character_set_client = utf8mb4",
        b"SET @y = 'SET GLOBAL port = 1'",
        b"SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN",
    ],
)
def test_settings_that_pass(statement):
    assert filtered(statement + b";\n")[0].strip() == statement + b";"


def test_databases_of_a_dump():
    text = (
        b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `Shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n\nUSE `Shop`;\nCREATE TABLE a (x INT);\n"
        b"USE `mysql`;\nDROP TABLE IF EXISTS `user`;\nINSERT INTO user VALUES (1);\nSET @s = 1;\nUSE `o``dd`;\nINSERT INTO b VALUES (1);\n"
    )
    sent, sieve, entered = filtered(text)
    assert entered == [("Shop", False), ("Shop", True), ("o`dd", True)] and sieve.databases == ["Shop", "o`dd"]
    assert b"user" not in sent and b"mysql" not in sent and b"SET @s = 1" in sent and b"INSERT INTO b" in sent
    assert sieve.listed() == ["statements for the system database mysql (2)"]


def test_databases_on_an_existing_server():
    sent, sieve, entered = filtered(
        b"CREATE DATABASE shop;\nUSE shop;\nCREATE TABLE a (x INT);\nALTER DATABASE shop CHARACTER SET latin1;\n",
        "rbd_1",
    )
    assert sent.split() == b"CREATE TABLE a (x INT);".split() and not entered and sieve.databases == ["shop"]
    error = refused(b"USE a;\nSELECT 1;\nUSE b;\n", "rbd_1")
    assert error.code == "unsupported" and "several databases (a, b, ...)" in error.message


@pytest.mark.parametrize(
    "before,after",
    [
        (
            b"CREATE DEFINER=`root`@`localhost` PROCEDURE p() SELECT 1",
            b"CREATE DEFINER=CURRENT_USER PROCEDURE p() SELECT 1",
        ),
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`a``b`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a = 1 */",
            b"/*!50003 CREATE*/ /*!50017 DEFINER=CURRENT_USER*/ /*!50003 TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a = 1 */",
        ),
        (
            b"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER='x y'@'h' SQL SECURITY DEFINER */\n/*!50001 VIEW v AS SELECT 1 */",
            b"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=CURRENT_USER SQL SECURITY DEFINER */\n/*!50001 VIEW v AS SELECT 1 */",
        ),
        (
            b"CREATE OR REPLACE definer = root EVENT e DO SELECT 1",
            b"CREATE OR REPLACE definer = CURRENT_USER EVENT e DO SELECT 1",
        ),
        (
            b"-- c\nCREATE DEFINER=CURRENT_USER() FUNCTION f() RETURNS INT RETURN 1",
            b"-- c\nCREATE DEFINER=CURRENT_USER FUNCTION f() RETURNS INT RETURN 1",
        ),
    ],
)
def test_definers(before, after):
    sent, sieve, _entered = filtered(b"DELIMITER ;;\n" + before + b";;\nDELIMITER ;\n")
    assert after in sent and len(sieve.definers) == 1


@pytest.mark.parametrize(
    "definer, account",
    [
        (b"`root`@`localhost`", "root@localhost"),
        (b"'a''b' @ \"%\"", "a'b@%"),
        (b"app@10.0.0.1", "app@10.0.0.1"),
        (b"`gr\xc3\xbcn ``x`@``", "gr\u00fcn `x"),
        (b"CURRENT_USER", "CURRENT_USER"),
    ],
)
def test_names_of_definers(definer, account):
    _sent, sieve, _entered = filtered(b"CREATE DEFINER=" + definer + b" VIEW v AS SELECT 1;\n")
    assert sieve.definers == [account]


def test_what_only_looks_like_a_definer():
    text = b"CREATE TABLE t (a VARCHAR(50) DEFAULT ' DEFINER=`x`@`y`');\nINSERT INTO t VALUES ('CREATE DEFINER=`x`@`y` VIEW');\n"
    sent, sieve, _entered = filtered(text)
    assert sent.strip() == text.strip() and sieve.definers == []


def test_the_sandbox_line_of_newer_dumps():
    sent, _sieve, _entered = filtered(
        b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\nSET NAMES utf8mb4;\n"
    )
    assert b"sandbox" not in sent and b"SET NAMES utf8mb4;" in sent and sent.startswith(b"\n-- MariaDB dump")


# -- which server


def server(version, flavour="mariadb", folder="/usr/sbin"):
    return Installation(folder, tuple(int(part) for part in version.split(".")), version, flavour)


def member(version, tool=None, **details):
    return Member("x", server_version=version, tool=tool, details=details)


@pytest.mark.parametrize(
    "text,expected",
    [
        ("10.11.19-MariaDB-0+deb12u1", ("mariadb", (10, 11, 19))),
        ("5.5.5-10.6.1-MariaDB", ("mariadb", (10, 6, 1))),
        ("8.0.35-0ubuntu0.22.04.1", ("mysql", (8, 0, 35))),
        ("5.7.44-log", ("mysql", (5, 7, 44))),
        ("", None),
        (None, None),
        ("unknown", None),
    ],
)
def test_versions(text, expected):
    assert _mysql_programs.parse_version(text) == expected


@pytest.mark.parametrize(
    "found,wanted,chosen",
    [
        (["10.5.1", "10.11.19", "11.4.2"], "10.6.3-MariaDB", "10.11.19"),
        (["10.11.19", "11.4.2"], "10.11.25-MariaDB", "10.11.19"),
        (["10.11.19", "11.4.2"], None, "11.4.2"),
    ],
)
def test_the_oldest_that_is_not_older(found, wanted, chosen):
    assert _mysql_programs.choose_installation([server(one) for one in found], member(wanted), False)[0].version_text == chosen


def test_a_newer_dump_is_refused():
    with pytest.raises(EngineError) as caught:
        _mysql_programs.choose_installation([server("10.11.19")], member("11.4.2-MariaDB"), False)
    assert caught.value.code == "engine_too_old"
    assert (
        caught.value.message
        == "the dump is of MariaDB 11.4.2, newer than the newest server found here, MariaDB 10.11.19 in /usr/sbin"
    )
    with pytest.raises(EngineError) as caught:
        _mysql_programs.choose_installation([server("8.0.35", "mysql")], member("8.4.1"), False)
    assert caught.value.code == "engine_too_old"


def test_the_other_kind_of_server():
    chosen, warnings = _mysql_programs.choose_installation([server("10.11.19")], member("8.0.35"), False)
    assert chosen.version_text == "10.11.19" and "MySQL 8.0.35 was restored into MariaDB 10.11.19" in warnings[0]
    with pytest.raises(EngineError) as caught:
        _mysql_programs.choose_installation([server("10.11.19")], member("8.0.35", collations=["utf8mb4_0900_ai_ci"]), False)
    assert caught.value.code == "engine_too_old" and "11.4.5" in caught.value.message
    assert _mysql_programs.choose_installation([server("11.4.5")], member("8.0.35", collations=["utf8mb4_0900_ai_ci"]), False)[1]
    assert _mysql_programs.choose_installation([server("8.0.35", "mysql")], member("10.11.2-MariaDB"), False)[1]
    both = [server("10.11.19"), server("8.0.35", "mysql")]
    assert _mysql_programs.choose_installation(both, member("5.7.1"), False)[0].flavour == "mysql"
    assert _mysql_programs.choose_installation(both, member(None, "mariadb-dump"), False)[0].flavour == "mariadb"


def test_a_physical_backup_wants_the_same_series():
    both = [server("10.11.19"), server("11.4.5")]
    assert _mysql_programs.choose_installation(both, member("10.11.3-MariaDB"), True)[0].version_text == "10.11.19"
    with pytest.raises(EngineError) as caught:
        _mysql_programs.choose_installation(both, member("10.6.3-MariaDB"), True)
    assert (
        "needs a server of the same series; found: MariaDB 10.11.19 in /usr/sbin, MariaDB 11.4.5"
        in caught.value.message
    )


@pytest.mark.parametrize(
    "grant,narrow",
    [
        ("GRANT USAGE ON *.* TO `a`@`b` IDENTIFIED BY PASSWORD '*1'", True),
        ("GRANT ALL PRIVILEGES ON `rbd\\_%`.* TO `a`@`b`", True),
        ("GRANT CREATE ON *.* TO `a`@`b`", True),
        ("GRANT SELECT ON *.* TO `a`@`b`", False),
        ("GRANT ALL PRIVILEGES ON *.* TO `a`@`b`", False),
        ("GRANT SELECT ON `shop`.* TO `a`@`b`", False),
        ("GRANT ALL PRIVILEGES ON `%`.* TO `a`@`b`", False),
        ("GRANT `role` TO `a`@`b`", False),
        ("GRANT USAGE, FILE ON *.* TO `a`@`b`", False),
        ("GRANT PROXY ON ''@'%' TO 'a'@'b' WITH GRANT OPTION", False),
    ],
)
def test_logins_that_reach_nothing_else(grant, narrow):
    assert mysql._is_narrow(grant) is narrow


# -- SQL and answers


def test_answers():
    xml = """<?xml version="1.0"?>
<resultset statement="EXECUTE q" xmlns:xsi="x">
  <row>
\t<field name="a&lt;b">1 &lt; 2 &amp;&amp; &quot;x&quot; &amp;lt;</field>
\t<field name="n" xsi:nil="true" />
\t<field name="e"></field>
\t<field name="l">two
lines</field>
  </row>
</resultset>"""
    assert sql_text.rows_of(xml) == [['1 < 2 && "x" &lt;', None, "", "two\nlines"]]
    assert sql_text.rows_of("") == []


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "",
        ";",
        "SELECT 1 INTO OUTFILE 'x'",
        "SELECT LOAD_FILE('x')",
        "/* x */ UPDATE t SET a = 1",
        "SELECT 1 into  dumpfile 'x'",
        "CALL p()",
        "-- SELECT\nDROP TABLE t",
        "/*!50000 DELETE FROM t */",
        "SET @a = 1",
        "COMMIT",
        "ANALYZE SELECT 1",
    ],
)
def test_queries_that_are_refused(sql):
    with pytest.raises(EngineError) as caught:
        sql_text.read_only(sql)
    assert caught.value.code == "query_failed"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;",
        " (select 1)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SHOW TABLES",
        "SELECT 'INTO OUTFILE'",
        "/* a */ SELECT 1",
    ],
)
def test_queries_that_pass(sql):
    script = sql_text.read_only(sql)
    assert "START TRANSACTION READ ONLY" in script and sql.strip().rstrip(";").encode().hex() in script


def test_checksums_do_not_depend_on_the_order_of_columns():
    columns = [("b", "varchar"), ("a`", "int"), ("c", "longblob"), ("d", "geometry"), ("e", "TEXT")]
    script = sql_text.checksum(3, "d`b", "t", columns)
    assert script == sql_text.checksum(3, "d`b", "t", columns[::-1])
    assert "`d``b`.`t`" in script and "COALESCE(`a```, '-')" in script and "HEX(CONVERT(`b` USING utf8mb4))" in script
    assert "MD5(`c`)" in script and "ST_AsBinary(`d`)" in script and "MD5(CONVERT(`e` USING utf8mb4))" in script


def test_quoting():
    assert sql_text.name("a`b") == "`a``b`" and sql_text.pattern("my_sql%") == "`my\\_sql\\%`"
    assert sql_text.option_value('a\\b"c\n') == '"a\\\\b\\"c\\n"'
    assert _mysql_client.string("o'b\\") == "'o''b\\\\'"


def test_places():
    assert _mysql_client.place_of({"host": "h", "port": 3306, "user": "u", "password": "p"})["protocol"] == "tcp"
    assert _mysql_client.place_of({"unix_socket": "/s", "user": "u"})["socket"] == "/s"
    for login, option in (
        ({"unix_socket": "/" + "x" * 120}, "login_unix_socket"),
        ({"host": "h", "port": 70000}, "login_port"),
    ):
        with pytest.raises(EngineError) as caught:
            _mysql_client.place_of(login)
        assert caught.value.details["option"] == option


# -- physical backups


def piece(path, content=b"", offset=0):
    return (
        b"XBSTCK01\0P"
        + struct.pack("<I", len(path))
        + path
        + struct.pack("<QQI", len(content), offset, zlib.crc32(content))
        + content
    )


def end(path):
    return b"XBSTCK01\0E" + struct.pack("<I", len(path)) + path


def sparse(path, content, holes):
    return (
        b"XBSTCK01\0S"
        + struct.pack("<I", len(path))
        + path
        + struct.pack("<IQQI", len(holes), len(content), 0, 0)
        + b"".join(struct.pack("<II", *hole) for hole in holes)
        + content
    )


STREAM = (
    piece(b"ibdata1", b"x" * 5000)
    + end(b"ibdata1")
    + sparse(b"a/t.ibd", b"y" * 70, [(1, 2), (3, 4)])
    + end(b"a/t.ibd")
    + piece(b"e")
    + end(b"e")
)


@pytest.mark.parametrize("size", [1, 7, 100, 100000])
def test_a_stream_passes_unchanged(size):
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert b"".join(physical.checked_pieces(Bytes(pieces=pieces))) == STREAM


def test_every_truncation_is_noticed_or_harmless():
    borders = {0}
    for part in (
        piece(b"ibdata1", b"x" * 5000),
        end(b"ibdata1"),
        sparse(b"a/t.ibd", b"y" * 70, [(1, 2), (3, 4)]),
        end(b"a/t.ibd"),
        piece(b"e"),
        end(b"e"),
    ):
        borders.add(max(borders) + len(part))
    for length in range(len(STREAM)):
        try:
            assert b"".join(physical.checked_pieces(Bytes(STREAM[:length]))) == STREAM[:length]
            assert length in borders
        except (Damaged, EngineError) as error:
            assert error.code in ("truncated", "restore_failed") and length not in borders


def test_every_flipped_bit_stays_bounded():
    head = len(piece(b"ibdata1"))
    for place in list(range(head)) + list(range(head + 5000, len(STREAM))):
        for bit in range(8):
            content = bytearray(STREAM)
            content[place] ^= 1 << bit
            try:
                sent = b"".join(physical.checked_pieces(Bytes(bytes(content))))
                assert sent == bytes(content)
            except (Damaged, EngineError) as error:
                assert error.code in ("truncated", "restore_failed", "unsafe")


@pytest.mark.parametrize("path", [b"../x", b"a/../../x", b"/etc/x", b"..", b"a/..", b"a\0b", b"shop/t.isl"])
def test_paths_that_escape(path):
    sent = []
    with pytest.raises(EngineError) as caught:
        sent.extend(physical.checked_pieces(Bytes(piece(b"ok", b"1") + end(b"ok") + piece(path, b"2"))))
    assert caught.value.code == "unsafe" and path not in b"".join(sent)


class Writer:
    """As much of a scratch folder as writing a small file needs."""

    @staticmethod
    def write(name, content, folder):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
            stream.write(content)


def test_little_is_believed(tmp_path):
    path = tmp_path / "backup-my.cnf"
    path.write_text(
        "# x\n[mysqld]\ninnodb_page_size=16384\ninnodb-data-file-path=ibdata1:12M;ibdata2:50M:autoextend:max:1G\ninnodb_undo_directory=/tmp\n"
        "plugin_load=\ngeneral_log_file=/tmp/x\n!includedir /tmp\ninit-file = /etc/x\ninnodb_undo_tablespaces=3\nlower_case_table_names=1\n"
        "innodb_log_group_home_dir=../..\n"
    )
    assert physical.believe_little(Writer, str(tmp_path)) == [
        "--innodb_page_size=16384",
        "--innodb_undo_tablespaces=3",
        "--innodb_data_file_path=ibdata1:12M;ibdata2:50M:autoextend:max:1G",
        "--lower_case_table_names=1",
    ]
    assert path.read_text() == (
        "[mysqld]\ninnodb_data_file_path=ibdata1:12M;ibdata2:50M:autoextend:max:1G\ninnodb_page_size=16384\n"
        "innodb_undo_tablespaces=3\nlower_case_table_names=1\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "innodb_data_file_path=../../x:12M",
        "innodb_data_file_path=/x:12M",
        "innodb_page_size=1;2",
        "innodb_page_size=16384\r\x0bx",
        "innodb_undo_directory=..",
    ],
)
def test_what_is_not_believed(tmp_path, line):
    (tmp_path / "backup-my.cnf").write_text("[mysqld]\n" + line + "\n")
    physical.believe_little(Writer, str(tmp_path))
    assert line.partition("=")[2] not in (tmp_path / "backup-my.cnf").read_text()


def test_a_plugin_for_keys_is_unsupported(tmp_path):
    (tmp_path / "backup-my.cnf").write_text("[mysqld]\nplugin_load=file_key_management.so\n")
    with pytest.raises(EngineError) as caught:
        physical.believe_little(Writer, str(tmp_path))
    assert caught.value.code == "unsupported"


def backup(tmp_path, name, kind, first, last):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "xtrabackup_checkpoints").write_text(
        "backup_type = %s\nfrom_lsn = %s\nto_lsn = %s\n" % (kind, first, last)
    )
    return physical.Backup(str(folder), name)


def test_chains(tmp_path):
    full, one, two = (
        backup(tmp_path, *words)
        for words in (("full", "full-backuped", 0, 10), ("one", "incremental", 10, 20), ("two", "incremental", 20, 30))
    )
    physical.check_chain([full])
    physical.check_chain([full, one, two])
    for chain, words in (
        ([one], "one is an incremental"),
        ([full, two], "two begins at log position 20, but full ends at 10"),
        ([full, two, one], "two begins"),
        ([full, full], "only the first"),
        ([full, one, one], "one begins at log position 10"),
    ):
        with pytest.raises(EngineError) as caught:
            physical.check_chain(chain)
        assert caught.value.code == "bad_option" and words in caught.value.message
    for bad in ("", "x", "-1", "1" * 30):
        with pytest.raises(EngineError) as caught:
            backup(tmp_path, "bad" + bad, "incremental", bad, 5)
        assert caught.value.code == "restore_failed"
    (tmp_path / "none").mkdir()
    with pytest.raises(EngineError):
        physical.Backup(str(tmp_path / "none"), "none")


def test_a_folder_with_links(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t.ibd.qp").write_text("x")
    assert list(physical.look_over(str(tmp_path))) == [".qp"]
    os.symlink("/etc/passwd", str(tmp_path / "a" / "x.ibd"))
    with pytest.raises(EngineError) as caught:
        physical.look_over(str(tmp_path))
    assert caught.value.code == "unsafe"


def test_a_folder_with_encrypted_files(tmp_path):
    (tmp_path / "t.ibd.xbcrypt").write_text("x")
    with pytest.raises(EngineError) as caught:
        physical.look_over(str(tmp_path))
    assert caught.value.code == "unsupported"
