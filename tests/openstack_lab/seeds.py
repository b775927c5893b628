# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every lab begins with. Ids are fixed, so that Keystone and Trove can be filled at the same time."""

from __future__ import annotations

import hashlib
from typing import Any


def number(name: str) -> str:
    return hashlib.md5(f"lab {name}".encode()).hexdigest()


def dashed(name: str) -> str:
    digits = number(name)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


SEEDS: dict[str, Any] = {
    "projects": {name: number(name) for name in ("admin", "service", "demo", "other")},
    # Beside those that Keystone brings: admin, manager, member, reader, service.
    "roles": ["swiftoperator", "bystander"],
    "users": {
        "admin": {"password": "admin-password", "project": "admin", "roles": ["admin"]},
        "trove": {"password": "trove-password", "project": "service", "roles": ["admin", "service"]},
        "swift": {"password": "swift-password", "project": "service", "roles": ["admin", "service"]},
        "demo": {"password": "demo-password", "project": "demo",
                 "roles": ["member", "reader", "swiftoperator", "bystander"]},
        "reader": {"password": "reader-password", "project": "demo", "roles": ["reader"]},
        # A member without a right to the project's object storage.
        "other": {"password": "other-password", "project": "other", "roles": ["member"]},
    },
    "credentials": {
        number("appcred"): {"name": "appcred", "user": "demo", "secret": "appcred-secret",
                            "roles": ["member", "reader", "swiftoperator"]},
        number("appcred_reader"): {"name": "appcred_reader", "user": "demo", "secret": "appcred-reader-secret",
                                   "roles": ["reader"]},
        number("appcred_none"): {"name": "appcred_none", "user": "demo", "secret": "appcred-none-secret",
                                 "roles": ["bystander"]},
    },
    "regions": ["RegionOne", "RegionNothing", "RegionNoStore", "RegionNoDatabase"],
    "services": {
        "database": {"name": "trove", "regions": ["RegionOne", "RegionNoStore"]},
        "object-store": {"name": "swift", "regions": ["RegionOne", "RegionNoDatabase"]},
    },
    "datastores": {
        "mysql": {"version": "5.7.29", "image": dashed("image mysql")},
        "mariadb": {"version": "10.11", "image": dashed("image mariadb")},
        "postgresql": {"version": "12.4", "image": dashed("image postgresql")},
    },
    "instances": [
        {"id": dashed("db1"), "name": "db1", "datastore": "mariadb"},
        {"id": dashed("db2"), "name": "db2", "datastore": "mysql"},
        {"id": dashed("pg1"), "name": "pg1", "datastore": "postgresql"},
        {"id": dashed("twin 1"), "name": "twin", "datastore": "mariadb"},
        {"id": dashed("twin 2"), "name": "twin", "datastore": "mariadb"},
    ],
}

# The clouds of clouds.yaml: who, and where if not in RegionOne.
CLOUDS: dict[str, tuple[str, str]] = {
    **{name: (name, "RegionOne") for name in ("demo", "reader", "other", "admin",
                                              "appcred", "appcred_reader", "appcred_none")},
    "nothing": ("demo", "RegionNothing"),
    "nostore": ("demo", "RegionNoStore"),
    "nodatabase": ("demo", "RegionNoDatabase"),
}


def clouds(auth_url: str) -> dict[str, Any]:
    """clouds.yaml of a lab whose Keystone is at that address."""
    return {"clouds": {name: cloud(who, region, auth_url) for name, (who, region) in CLOUDS.items()}}


def cloud(who: str, region: str, auth_url: str) -> dict[str, Any]:
    for credential_id, credential in SEEDS["credentials"].items():
        if credential["name"] == who:
            return {"auth_type": "v3applicationcredential", "region_name": region, "auth": {
                "auth_url": auth_url, "application_credential_id": credential_id,
                "application_credential_secret": credential["secret"]}}
    user = SEEDS["users"][who]
    return {"region_name": region, "auth": {
        "auth_url": auth_url, "username": who, "password": user["password"], "project_name": user["project"],
        "user_domain_id": "default", "project_domain_id": "default"}}
