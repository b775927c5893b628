# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages, and what faults make of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox.faults import Faults  # noqa: E402
from sandbox.paging import envelope, window  # noqa: E402
from sandbox.storage import parse_range  # noqa: E402

RECORDS = list(range(70))


def pages(faults: Faults, numbers: range) -> list[list[Any]]:
    found = []
    for number in numbers:
        active = faults.take("GET", "list", "uid")
        page = active.shape(window(str(number)))
        found.append(active.order(RECORDS)[page.start:page.stop])
    return found


def test_pages_hold_thirty_and_say_where_they_stand() -> None:
    assert [len(page) for page in pages(Faults(), range(1, 5))] == [30, 30, 10, 0]
    assert envelope([], 2, 70)["pagination"] == {
        "previous": 1, "next": 3, "current": 2, "per_page": 30, "count": 70, "pages": 3}
    assert envelope([], 1, 0)["pagination"]["next"] is None
    assert window("x") == window(None) == window("1") == window("0")


@pytest.mark.parametrize("kind", ["duplicate_pages", "shuffled_pages"])
def test_disturbed_pages_lose_nothing(kind: str) -> None:
    faults = Faults()
    faults.add({"kind": kind})
    seen = sum(pages(faults, range(1, 4)), [])
    assert seen != RECORDS and set(seen) == set(RECORDS)


def test_a_fault_happens_after_so_many_and_so_often() -> None:
    faults = Faults()
    faults.add({"kind": "throttle", "route": "list", "source": "uid", "after": 1, "times": 2})
    asked = [("GET", "get", "uid"), ("GET", "list", "other")] + [("GET", "list", "uid")] * 5
    assert ["throttle" in faults.take(*request) for request in asked] == [False] * 3 + [True] * 2 + [False] * 2


@pytest.mark.parametrize(
    "wrong", [{}, {"kind": "nonsense"}, {"kind": "reset", "route": "no"}, {"kind": "html", "x": 1}])
def test_a_fault_that_is_misspelt_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"kind|route|takes"):
        Faults().add(wrong)


def test_ranges() -> None:
    assert parse_range("bytes=0-9", 100) == (0, 10)
    assert [parse_range(f"bytes={span}", 100) for span in ("90-", "-10", "90-500")] == [(90, 10)] * 3
    assert parse_range("bytes=100-", 100) == (-1, 0)
    assert parse_range("", 100) is parse_range("bytes=9-5", 100) is parse_range("bytes=0-1,5-6", 100) is None
