# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages as the API cuts them: 30 records, an envelope, and whatever faults do to both."""

from __future__ import annotations

from typing import Any, NamedTuple

PER_PAGE = 30


class Page(NamedTuple):
    number: int
    start: int
    stop: int


def window(asked: str | None, per_page: int = PER_PAGE) -> Page:
    """Which records page ``asked`` holds. What is no page number counts as the first, as Rails applications do."""
    number = max(1, int(asked)) if asked and asked.isdigit() else 1
    return Page(number, (number - 1) * per_page, number * per_page)


def envelope(items: list[Any], page: int, total: int, per_page: int = PER_PAGE) -> dict[str, Any]:
    pages = max(1, -(-total // per_page))
    return {
        "response": items,
        "count": len(items),
        "pagination": {
            "previous": page - 1 if 1 < page <= pages + 1 else None,
            "next": page + 1 if page < pages else None,
            "current": page,
            "per_page": per_page,
            "count": total,
            "pages": pages,
        },
    }
