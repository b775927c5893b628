# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small dumps by the real tools (pg_dump 15.18, mariadb-dump 10.11.19), and how a dump is read in these tests."""

from __future__ import annotations

from ansible_collections.restorable.backups.plugins.module_utils._archive import (
    _pg_rows,
    _pg_statements,
    _sql,
    sql_mysql,
    sql_postgresql,
)
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.archive_reading import look

POSTGRESQL_BEGIN = b"""\
--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: f(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.f() RETURNS integer
    LANGUAGE sql
    AS $$select 1;$$;


ALTER FUNCTION public.f() OWNER TO postgres;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: items; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.items (
    id integer NOT NULL,
    name text,
    note text
);


ALTER TABLE public.items OWNER TO postgres;

--
-- Name: order; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public."order" (
    v text
);


ALTER TABLE public."order" OWNER TO postgres;

--
-- Name: v; Type: VIEW; Schema: public; Owner: postgres
--

CREATE VIEW public.v AS
 SELECT items.id,
    items.name,
    items.note
   FROM public.items;


ALTER TABLE public.v OWNER TO postgres;

--
-- Data for Name: items; Type: TABLE DATA; Schema: public; Owner: postgres
--

"""
COPIES = b"""\
COPY public.items (id, name, note) FROM stdin;
1\tplain\t\\N
2\ttab\\there\tna\xc3\xafve
3\tC:\\\\dir\t
4\tit's; (a),(b)\tx
\\.


--
-- Data for Name: order; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public."order" (v) FROM stdin;
one
\\N
\\.


"""
POSTGRESQL_INSERTS = b"""\
INSERT INTO public.items VALUES (1, 'plain', NULL);
INSERT INTO public.items VALUES (2, 'tab\there', 'na\xc3\xafve');
INSERT INTO public.items VALUES (3, 'C:\\dir', '');
INSERT INTO public.items VALUES (4, 'it''s; (a),(b)', 'x');


--
-- Data for Name: order; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public."order" VALUES ('one');
INSERT INTO public."order" VALUES (NULL);


"""
POSTGRESQL_END = b"""\
--
-- Name: items items_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.items
    ADD CONSTRAINT items_pkey PRIMARY KEY (id);


--
-- PostgreSQL database dump complete
--


"""
POSTGRESQL = POSTGRESQL_BEGIN + COPIES + POSTGRESQL_END
WITH_INSERTS = POSTGRESQL_BEGIN + POSTGRESQL_INSERTS + POSTGRESQL_END
MYSQL = b"""\
/*M!999999\\- enable the sandbox mode */\x20
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: small
-- ------------------------------------------------------
-- Server version\t10.11.19-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table `items`
--

DROP TABLE IF EXISTS `items`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `items` (
  `id` int(11) NOT NULL,
  `name` varchar(20) DEFAULT NULL,
  `note` text DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `items`
--

LOCK TABLES `items` WRITE;
/*!40000 ALTER TABLE `items` DISABLE KEYS */;
INSERT INTO `items` VALUES
(1,'plain',NULL),
(2,'tab\there','na\\'ive'),
(3,'C:\\\\\\\\dir',''),
(4,'it\\'s; (a),(b)','x');
/*!40000 ALTER TABLE `items` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
/*!50003 SET @saved_cs_results     = @@character_set_results */ ;
/*!50003 SET @saved_col_connection = @@collation_connection */ ;
/*!50003 SET character_set_client  = utf8mb3 */ ;
/*!50003 SET character_set_results = utf8mb3 */ ;
/*!50003 SET collation_connection  = utf8mb3_general_ci */ ;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 trigger tr before insert on items for each row set new.id=new.id+0\x20
*/;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 SET character_set_results = @saved_cs_results */ ;
/*!50003 SET collation_connection  = @saved_col_connection */ ;

--
-- Table structure for table `order`
--

DROP TABLE IF EXISTS `order`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `order` (
  `v` text DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `order`
--

LOCK TABLES `order` WRITE;
/*!40000 ALTER TABLE `order` DISABLE KEYS */;
INSERT INTO `order` VALUES
('one'),
(NULL);
/*!40000 ALTER TABLE `order` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Temporary table structure for view `v`
--

DROP TABLE IF EXISTS `v`;
/*!50001 DROP VIEW IF EXISTS `v`*/;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = utf8mb4;
/*!50001 CREATE VIEW `v` AS SELECT
 NULL AS `id`,
 NULL AS `name`,
 NULL AS `note` */;
SET character_set_client = @saved_cs_client;

--
-- Final view structure for view `v`
--

/*!50001 DROP VIEW IF EXISTS `v`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb3 */;
/*!50001 SET character_set_results     = utf8mb3 */;
/*!50001 SET collation_connection      = utf8mb3_general_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select `items`.`id` AS `id`,`items`.`name` AS `name`,`items`.`note` AS `note` from `items` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-26 13:28:40
"""


class Dialect:
    """One of the readers of SQL text, and what stands around the statements of a dump."""

    def __init__(self, reader, language, head, tail):
        self.reader, self._language, self.head, self.tail = reader, language, head, tail

    def dump(self, text):
        return self.head + text + self.tail

    def read(self, text, pieces=None):
        return look(self.reader, text, pieces=pieces)

    def codes(self, text):
        return sorted({problem["code"] for problem in self.read(text)[1]})

    def rows(self, text):
        member, problems = self.read(text)
        assert problems == []
        return rows(member)

    def statements(self, text, pieces=None):
        """(pieces handed out, the damage that ended it or None)."""
        taken = []
        try:
            for piece in self._language.statements(Bytes(text, pieces)):
                taken.append(piece)
        except Damaged as error:
            return taken, error
        return taken, None

    def kinds(self, text):
        pieces, error = self.statements(text)
        assert error is None
        return [(kind, piece.strip()) for kind, piece, _offset in pieces if kind != "rest"]

    def refuse(self, text):
        """Assert that hostile text is told of, and neither it nor what follows is handed on."""
        before = b"CREATE TABLE t (a text);\n"
        pieces, error = self.statements(before + text)
        assert error is not None and error.code == "unsafe_statement"
        assert error.offset >= len(before)
        handed_on = b"".join(piece for _kind, piece, _offset in pieces)
        assert not [word for word in (b"id", b"/tmp", b"passwd") if word in handed_on]
        assert "unsafe_statement" in self.codes(before + text)


IN_MYSQL = Dialect(
    sql_mysql,
    sql_mysql,
    b"-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n--\n-- Server version\t8.0.36\n\n/*!50503 SET NAMES utf8mb4 */;\n",
    b"\n-- Dump completed on 2026-11-26 12:52:39\n",
)
IN_POSTGRESQL = Dialect(
    sql_postgresql,
    _pg_statements,
    b"--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n",
    b"\n--\n-- PostgreSQL database dump complete\n--\n\n",
)


def rows(member):
    return {
        name if database is None else database + ":" + name: number
        for (database, name), number in member.tables.items()
    }


def small_blocks(monkeypatch, size):
    """Let the readers take so many bytes at once."""
    monkeypatch.setattr(_sql, "BLOCK", size)
    monkeypatch.setattr(_pg_statements, "BLOCK", size)
    monkeypatch.setattr(_pg_rows, "BLOCK", size)
