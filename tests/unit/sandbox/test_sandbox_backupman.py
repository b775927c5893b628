# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a dump that Backupman calls finished, and records that outlive the process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("cronsim")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox import cron  # noqa: E402
from sandbox.backupman import completed, damaged, stamp, understand  # noqa: E402
from sandbox.catalogue import Catalogue  # noqa: E402
from sandbox.shelf import Shelf, adjusted  # noqa: E402

DUMP = (b"SET x;\nCOPY public.none (id) FROM stdin;\n\\.\n"
        b"COPY public.t (id, path) FROM stdin;\n1\tC:\\\\new\n2\tb\n\\.\n"
        b"COPY public.bytes (content) FROM stdin;\n\\\\x00ff\n\\.\n")


def test_a_whole_dump_says_so_on_its_last_line() -> None:
    assert completed(DUMP, 0).splitlines()[-1] == b"-- Dump completed on 1970-01-01 00:00:00"


def test_bytes_stay_readable_where_only_backslashes_are_damaged() -> None:
    assert b"\n\\\\x00ff\n" in damaged(DUMP, "backslashes")


@pytest.mark.parametrize(("how", "rows"), [
    ("none", b"\n1\tC:\\\\new\n2\tb\\\\\n"), ("backslashes", b"\n1\tC:\\new\n2\tb\\\\\n"),
    ("trailing_backslash", b"\n1\tC:\\new\n2\tb\\\n"), ("binary", b"\n\x00\xff\n")])
def test_damage_is_done_to_rows_only(how: str, rows: bytes) -> None:
    dump = DUMP.replace(b"2\tb\n", b"2\tb\\\\\n")
    found = damaged(dump, how)
    assert rows in found and found.startswith(DUMP[:40])
    assert (found == dump) == (how == "none")


def test_routes() -> None:
    assert [understand(method, path, "", b"").route for method, path in (
        ("GET", "/api/backups"), ("POST", "/api/backups"), ("GET", "/api/backups/x/download"),
        ("GET", "/api/backups/x"), ("POST", "/health"))] == ["list", "create", "download", "unknown", "unknown"]
    assert stamp(0) == "19700101000000"


def test_a_cron_of_six_fields_begins_with_seconds() -> None:
    assert cron.next_run(cron.check("30 15 2 * * *", 6), 0) == 2 * 3600 + 15 * 60 + 30
    with pytest.raises(ValueError, match="six"):
        cron.check("15 2 * * *", 6)


def test_a_shelf_keeps_order_and_outlives_its_process(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "catalogue")
    shelf = Shelf(catalogue, "things")
    shelf.put({"id": "b", "n": 1}, {"id": "a", "n": 2}, {"id": "c", "n": 3})
    shelf.put({"id": "b", "n": 4})
    shelf.drop("a")
    assert Shelf(catalogue, "things").all() == shelf.all() == [{"id": "b", "n": 4}, {"id": "c", "n": 3}]
    assert Shelf(catalogue, "others").all() == []
    assert adjusted({"x": 1, "y": 2}, {"set": {"x": None}, "drop": ["y"]}) == {"x": None}
