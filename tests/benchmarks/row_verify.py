# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups read to their last byte, with the rows of each table counted, beside `gzip -t`, which only reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import HERE, Controller, Goal, Options, Row, expect
from measure import Cost, command, median, rounds

ROWS_A_BLOCK = 2000


def measure(controller: Controller, options: Options) -> Row:
    size = options.many(200 << 20, 4 << 20)
    files = {
        "COPY": dump(controller.place / "copy.sql.gz", size, copy_text),
        "INSERT": dump(controller.place / "insert.sql.gz", size, insert_text),
    }
    contestants: dict[str, Callable[[], Cost]] = {}
    for name, (path, rows) in files.items():
        contestants[f"gzip -t, {name}"] = lambda path=path: command(
            "gzip", "-t", path, env=controller.environment, cwd=controller.place).cost
        contestants[f"verify with isal, {name}"] = lambda path=path, rows=rows: read(controller, path, rows, "isal")
        contestants[f"verify with zlib, {name}"] = lambda path=path, rows=rows: read(controller, path, rows, "zlib")
    runs = dict.fromkeys(contestants, options.many(options.runs, 1))
    costs = {name: median(taken) for name, taken in rounds(contestants, runs).items()}
    goals = []
    for name in files:
        plain = costs[f"gzip -t, {name}"].wall
        goals += [Goal(f"with isal to gzip -t, {name}", costs[f"verify with isal, {name}"].wall / plain, 0.5),
                  Goal(f"with zlib to gzip -t, {name}", costs[f"verify with zlib, {name}"].wall / plain, 1.0)]
    large, rows = dump(controller.place / "large.sql.gz", options.many(2 << 30, 8 << 20), copy_text)
    for inflater in ("isal", "zlib"):
        used = look(controller, large, rows, inflater)[1]
        goals.append(Goal(f"memory for {options.many(2048, 8)} MiB of plain data, {inflater}", used, 150, unit=" MiB"))
    large.unlink()
    notes = ["The start of Python is in the time of verify. Dumps are made here, in the shape of pg_dump's and mariadb-dump's"]
    return Row(f"A .sql.gz of {size >> 20} MiB plain read to its end, with the rows of its tables", costs, runs, goals, notes)


def read(controller: Controller, path: Path, rows: int, inflater: str) -> Cost:
    return look(controller, path, rows, inflater)[0]


def look(controller: Controller, path: Path, rows: int, inflater: str) -> tuple[Cost, float]:
    """The cost of one reading, and the most memory it used, in MiB."""
    more = [] if inflater == "isal" else ["--without-isal"]
    environment = {**controller.environment, "PYTHONPATH": controller.environment["ANSIBLE_COLLECTIONS_PATH"]}
    outcome = command(sys.executable, HERE / "read_backup.py", path, *more, env=environment, cwd=controller.place)
    found = json.loads(outcome.output)
    expect(found["valid"], f"{path.name} is whole: {found['problems']}")
    expect(found["inflater"] == inflater, f"{inflater} inflates (pip install isal)")
    expect(found["rows"] == rows, f"{path.name} has {rows} rows, not {found['rows']}")
    return outcome.cost, found["memory_mib"]


def dump(path: Path, size: int, text: Callable[[int], tuple[str, str, str]]) -> tuple[Path, int]:
    """A dump of about that many plain bytes, compressed as dumps are; where it is, and how many rows it has."""
    rows = 0
    # Some different blocks in turn: they are made slowly, and one alone would compress as no dump does.
    blocks = [text(start * ROWS_A_BLOCK)[1].encode() for start in range(40)]
    with path.open("wb") as target, subprocess.Popen(["gzip", "-6"], stdin=subprocess.PIPE, stdout=target) as zipped:
        assert zipped.stdin
        before, _rows, after = text(0)
        zipped.stdin.write(before.encode())
        written, number = 0, 0
        while written < size:
            block = blocks[number % len(blocks)]
            zipped.stdin.write(block)
            written, number, rows = written + len(block), number + 1, rows + ROWS_A_BLOCK
        zipped.stdin.write(after.encode())
    expect(zipped.returncode == 0, "gzip compresses")
    return path, rows


def values(number: int) -> tuple[int, str, str, str, float]:
    mixed = number * 2654435761 % 2**32
    return (number, f"customer {mixed:x} Z\u00fcrich", f"c{mixed}@example.com", f"note {mixed % 977} about it's \\ order",
            mixed % 100000 / 100)


def copy_text(start: int) -> tuple[str, str, str]:
    """What stands before, in and behind the rows in a dump of pg_dump."""
    rows = []
    for number in range(start, start + ROWS_A_BLOCK):
        key, name, mail, note, price = values(number)
        escaped = note.replace("\\", "\\\\")
        rows.append(f"{key}\t{name}\t{mail}\t{escaped}\t{price}\t2026-01-{number % 28 + 1:02d} 03:00:00+00\t\\N\n")
    before = ("--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.4\n-- Dumped by pg_dump version 15.4\n\n"
              "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n\n"
              "CREATE TABLE public.orders (\n    id integer NOT NULL,\n    name text,\n    email text,\n    note text,\n"
              "    price numeric,\n    placed_at timestamp with time zone,\n    gone_at timestamp with time zone\n);\n\n"
              "COPY public.orders (id, name, email, note, price, placed_at, gone_at) FROM stdin;\n")
    return before, "".join(rows), "\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n"


def insert_text(start: int) -> tuple[str, str, str]:
    """The same of mariadb-dump."""
    rows = []
    for number in range(start, start + ROWS_A_BLOCK):
        key, name, mail, note, price = values(number)
        escaped = note.replace("\\", "\\\\").replace("'", "\\'")
        rows.append(f"({key},'{name}','{mail}','{escaped}',{price},'2026-01-{number % 28 + 1:02d} 03:00:00',NULL)")
    before = ("-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
              "-- Host: localhost    Database: shop\n-- ------------------------------------------------------\n"
              "-- Server version\t10.11.6-MariaDB-0+deb12u1\n\n/*!40101 SET NAMES utf8mb4 */;\n\n"
              "CREATE TABLE `orders` (\n  `id` int(11) NOT NULL,\n  `name` text DEFAULT NULL,\n  `email` text DEFAULT NULL,\n"
              "  `note` text DEFAULT NULL,\n  `price` decimal(10,2) DEFAULT NULL,\n  `placed_at` datetime DEFAULT NULL,\n"
              "  `gone_at` datetime DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n\nLOCK TABLES `orders` WRITE;\n")
    block = "INSERT INTO `orders` VALUES\n" + ",\n".join(rows) + ";\n"
    return before, block, "UNLOCK TABLES;\n\n-- Dump completed on 2026-01-31  3:00:12\n"
