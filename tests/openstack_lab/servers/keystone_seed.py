# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an empty home with Keystone's tables, keys, users and catalog: ``keystone_seed.py HOME SEEDS.json``."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

home, seeds = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())

import keystone.conf  # noqa: E402
from keystone.cmd.bootstrap import Bootstrapper  # noqa: E402
from keystone.common import fernet_utils, provider_api, sql  # noqa: E402
from keystone.common.sql import upgrades  # noqa: E402

keystone.conf.configure()
sql.initialize()
keystone.conf.CONF([], project="keystone", default_config_files=[f"{home}/etc/keystone.conf"])
for group, folder in (("fernet_tokens", "fernet"), ("fernet_receipts", "receipts"), ("credential", "credential")):
    keys = fernet_utils.FernetUtils(f"{home}/keystone/{folder}", 3, group)
    keys.create_key_directory()
    keys.initialize_key_repository()

KEYSTONE = provider_api.ProviderAPIs
DOMAIN = "default"

upgrades.offline_sync_database_to_version()
with sqlite3.connect(home / "keystone/keystone.sqlite") as database:
    # Else a reader and a writer lock each other out.
    database.execute("PRAGMA journal_mode=WAL")

boot = Bootstrapper()
# It gives its project an id of its own, so the projects with fixed ids are others.
boot.project_name = "bootstrap"
boot.admin_username, boot.admin_password, boot.admin_role_name = "admin", seeds["users"]["admin"]["password"], "admin"
boot.service_name, boot.region_id = "keystone", "RegionOne"
boot.public_url = boot.internal_url = boot.admin_url = "http://127.0.0.1:1/v3"
boot.bootstrap()

for name, number in seeds["projects"].items():
    KEYSTONE.resource_api.create_project(number, {
        "id": number, "name": name, "domain_id": DOMAIN, "enabled": True, "description": ""})
roles = {role["name"]: role["id"] for role in KEYSTONE.role_api.list_roles()}
for name in seeds["roles"]:
    roles[name] = KEYSTONE.role_api.create_role(name, {"id": name, "name": name})["id"]

ids = {"admin": boot.admin_user_id}
for name, user in seeds["users"].items():
    if name not in ids:
        ids[name] = KEYSTONE.identity_api.create_user({
            "name": name, "password": user["password"], "domain_id": DOMAIN, "enabled": True})["id"]
    for role in user["roles"]:
        KEYSTONE.assignment_api.add_role_to_user_and_project(ids[name], seeds["projects"][user["project"]], roles[role])

for number, credential in seeds["credentials"].items():
    owner = seeds["users"][credential["user"]]
    KEYSTONE.application_credential_api.create_application_credential({
        "id": number, "name": number, "secret": credential["secret"], "user_id": ids[credential["user"]],
        "project_id": seeds["projects"][owner["project"]], "unrestricted": False, "description": "",
        "roles": [{"id": roles[role]} for role in credential["roles"]]})

for name in seeds["regions"]:
    if name != "RegionOne":
        KEYSTONE.catalog_api.create_region({"id": name})
for kind, service in seeds["services"].items():
    number = kind.replace("-", "_")
    KEYSTONE.catalog_api.create_service(number, {
        "id": number, "type": kind, "name": service["name"], "enabled": True, "description": ""})
    for region in service["regions"]:
        for interface in ("public", "internal", "admin"):
            endpoint = f"{number}_{region}_{interface}"
            # The real address is written by the start that knows the ports.
            KEYSTONE.catalog_api.create_endpoint(endpoint, {
                "id": endpoint, "interface": interface, "region_id": region, "service_id": number, "enabled": True,
                "url": "http://127.0.0.1:1"})

(home / "keystone/users.json").write_text(json.dumps(ids))
with sqlite3.connect(home / "keystone/keystone.sqlite") as database:
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
