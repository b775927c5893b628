# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every stack's MongoDB holds: the small shop as documents, every BSON type, indexes, and a view."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import Any

from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

EVERY_BYTE = bytes(range(256))
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
NAMES = ("Zoë", "Jürgen", "Łukasz", "美咲", "O'Brien", "Ольга", "Nadia 🦊", "Søren")
# Its name cannot be a file's: mongodump escapes it.
ODD_NAME = "Größe/№ 1"


def fill(database: Any, seed: int) -> None:
    """Fill an empty database; ids are the same every time."""
    database.create_collection("customers", collation={"locale": "de", "strength": 2})
    database.customers.insert_many({
        "_id": number, "name": f"{NAMES[number % 8]} {number}", "email": f"customer{number}@example.com",
        "points": Int64(number * seed), "address": {"city": "Köln", "lines": ["back\\slash", "tab\there", ""]},
    } for number in range(1, 1201 + seed % 300))
    database.customers.create_index("email", unique=True)
    database.customers.create_index([("address.city", 1), ("points", -1)], name="by city & points")
    database.products.insert_many({
        "_id": _object_id("product", number), "title": f"Product № {number}", "place": [number % 90, number % 45],
        "price": Decimal128(f"{1 + number * 37 % 9900}.90"), "tags": ["new", "C:\\new\\table"][: number % 3],
    } for number in range(300))
    database.products.create_index([("title", "text")])
    database.products.create_index([("place", "2d")])
    database["order"].insert_many({
        "_id": number, "customer": 1 + number * 7919 % 1200, "placed_at": START + timedelta(minutes=7 * number),
        "lines": [{"product": _object_id("product", line), "quantity": line % 5} for line in range(number % 4)],
        **({"note": "first line\nsecond line"} if number % 20 == 0 else {}),
    } for number in range(1, 2401 + seed % 500))
    database["order"].create_index("note", sparse=True)
    database["order"].create_index("customer", partialFilterExpression={"lines.0": {"$exists": True}})
    database.sessions.insert_many({
        "_id": Binary(hashlib.md5(f"session{number}".encode(), usedforsecurity=False).digest(), 4),
        "payload": EVERY_BYTE if number % 4 == 0 else b"", "ends_at": datetime(2100, 1, 1, tzinfo=timezone.utc),
    } for number in range(800))
    database.sessions.create_index("ends_at", expireAfterSeconds=3600)
    database.create_collection("log", capped=True, size=1 << 20)
    database.log.insert_many({"_id": number, "line": f"line {number}"} for number in range(50))
    database[ODD_NAME].insert_one(_every_type())
    database.create_collection("empty")
    database.create_collection("revenue", viewOn="order", pipeline=[
        {"$unwind": "$lines"}, {"$group": {"_id": "$customer", "pieces": {"$sum": "$lines.quantity"}}}])


def _object_id(kind: str, number: int) -> ObjectId:
    return ObjectId(hashlib.sha256(f"{kind}{number}".encode()).digest()[:12])


def _every_type() -> dict[str, Any]:
    return {
        "_id": _object_id("odd", 1), "double": -0.0, "inf": float("inf"), "text": "☂\0inside", "document": {"": {}},
        "array": [1, [2, []]], "bytes": EVERY_BYTE, "user bytes": Binary(b"\\", 128), "true": True, "null": None,
        "before 1970": datetime(1901, 2, 3, tzinfo=timezone.utc), "regex": Regex("^a/b\\d", "im"),
        "code": Code("function () { return '\\n'; }"), "scoped": Code("x", {"x": 1}), "int": -1,
        "long": Int64(-(1 << 63)), "time": Timestamp(1700000000, 7), "decimal": Decimal128("1E+6111"),
        "least": MinKey(), "most": MaxKey(), "ключ": "значение",
    }
