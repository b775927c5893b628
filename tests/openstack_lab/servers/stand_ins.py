# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for what Trove talks to and what is not run here: Nova, Neutron and the guest agent.

The guest agent's work is done as the agent does it (a real backup of a real server, Trove's object names, metadata and
segments), but in Trove's own process. ``LAB_HOME/guest/settings.json`` is read anew for every backup.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import eventlet
from eventlet.green import subprocess
from novaclient import api_versions

HOME = Path(os.environ["LAB_HOME"])
GUEST = HOME / "guest"


# Nova: every server is there and active.

class Server:
    status = "ACTIVE"
    name = "database"
    flavor = {"id": "1"}

    def __init__(self, number: str) -> None:
        self.id = number
        self.tags: list[str] = []
        self.metadata: dict[str, str] = {}
        self.addresses: dict[str, Any] = {}
        self.links: list[dict[str, str]] = []


class Servers:
    def get(self, number: str) -> Server:
        return Server(number)

    def list(self, **_options: Any) -> list[Server]:
        from trove.instance.models import DBInstance

        return [Server(row.compute_instance_id) for row in DBInstance.find_all(deleted=False)]


class Nova:
    api_version = api_versions.APIVersion("2.53")
    servers = Servers()

    class server_groups:
        list = staticmethod(lambda **_options: [])


def nova(*_details: Any, **_options: Any) -> Nova:
    return Nova()


class Neutron:
    def list_ports(self, **_options: Any) -> dict[str, list]:
        return {"ports": []}

    def list_floatingips(self, **_options: Any) -> dict[str, list]:
        return {"floatingips": []}


def neutron(*_details: Any, **_options: Any) -> Neutron:
    return Neutron()


def guest(*_details: Any, **_options: Any) -> Guest:
    return Guest()


class Guest:
    """The guest agent of every instance. They all back up the lab's one MariaDB."""

    def get_volume_info(self) -> dict[str, float]:
        return {"used": 0.1, "total": 1.0}

    def get_guest_info(self) -> dict[str, Any]:
        return {}

    def create_backup(self, info: dict[str, Any]) -> None:
        (GUEST / "running" / info["id"]).touch()
        eventlet.spawn(self._work, info)

    def _work(self, info: dict[str, Any]) -> None:
        from trove.backup.models import DBBackup

        try:
            self._back_up(info)
        except Exception:
            backup = DBBackup.find_by(id=info["id"])
            backup.state = "FAILED"
            backup.save()
            raise
        finally:
            (GUEST / "running" / info["id"]).unlink()

    def _back_up(self, info: dict[str, Any]) -> None:
        from trove.backup.models import DBBackup

        number, name = info["id"], info["name"] or ""
        eventlet.sleep(settings()["delay"] / 2)
        backup = DBBackup.find_by(id=number)
        backup.state = "BUILDING"
        backup.save()
        eventlet.sleep(settings()["delay"] / 2)
        while settings()["hold"]:
            eventlet.sleep(0.05)
        if "hang" in name:
            return
        if "fail" in name:
            raise RuntimeError(f"the backup {name} is told to fail")

        swift = object_store(info["swift_url"])
        metadata = {}
        if info.get("parent"):
            location = info["parent"]["location"]
            container, name_in_container = location.split("/")[-2:]
            metadata = {"parent-location": location, "parent-checksum": info["parent"]["checksum"],
                        "from-lsn": swift.head_object(container, name_in_container)["x-object-meta-lsn"]}
        file = GUEST / "copies" / f"{number}.xbstream.gz"
        metadata["lsn"] = dump(file, number, metadata.pop("from-lsn", None))
        size = settings()["small_segment_size"] if "big" in name else settings()["segment_size"]
        container = info.get("swift_container") or "database_backups"
        backup.checksum = upload(swift, file, container, metadata, size)
        backup.location = f"{swift.url}/{container}/{file.name}"
        backup.size = round(file.stat().st_size / 2**30, 6)
        backup.state = "COMPLETED"
        backup.save()


def object_store(url: str) -> Any:
    """Swift, with a token of the service's own: that of the request may be revoked while the backup runs."""
    import swiftclient
    from keystoneauth1 import identity, session
    from trove.common import cfg

    own = cfg.CONF.service_credentials
    password = identity.v3.Password(
        auth_url=own.auth_url, username=own.username, password=own.password, project_name=own.project_name,
        user_domain_name=own.user_domain_name, project_domain_name=own.project_domain_name)
    return swiftclient.Connection(preauthurl=url, preauthtoken=session.Session(password).get_token())


def settings() -> dict[str, Any]:
    return json.loads((GUEST / "settings.json").read_text())


def dump(file: Path, number: str, from_lsn: str | None) -> str:
    """Back the live MariaDB up, since the parent's log sequence number or fully; where the next one can go on."""
    notes = GUEST / "lsn" / number
    command = [settings()["mariadb_backup"], "--no-defaults", "--backup", "--stream=xbstream", "--user=root",
               f"--socket={settings()['socket']}", f"--extra-lsndir={notes}", f"--target-dir={notes}"]
    if from_lsn:
        command.append(f"--incremental-lsn={from_lsn}")
    with file.open("wb") as target, (GUEST / "backup.log").open("ab") as log:
        backup = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        zipped = subprocess.Popen(["gzip", "-1"], stdin=backup.stdout, stdout=target, stderr=log)
        backup.stdout.close()
        if backup.wait() or zipped.wait():
            raise RuntimeError(f"mariadb-backup failed, see {log.name}")
    checkpoints = next(notes.glob("*_checkpoints")).read_text()
    return re.search(r"^to_lsn = (\d+)", checkpoints, re.MULTILINE)[1]


def upload(swift: Any, file: Path, container: str, metadata: dict[str, str], segment_size: int) -> str:
    """Put a file as Trove's storage driver does: in segments, with a manifest if there are several; its checksum."""
    headers = {f"X-Object-Meta-{name}": value for name, value in metadata.items()}
    number = file.name.split(".")[0]
    swift.put_container(container)
    segments = []
    with file.open("rb") as stream:
        while data := stream.read(segment_size):
            name = f"{number}_{len(segments):08d}"
            etag = swift.put_object(container, name, data)
            segments.append({"path": f"{container}/{name}", "etag": etag, "size_bytes": len(data)})
    if len(segments) == 1:
        swift.put_object(container, file.name, "", headers={**headers, "X-Copy-From": segments[0]["path"]})
        swift.delete_object(container, f"{number}_{0:08d}")
        return segments[0]["etag"]
    swift.put_object(container, file.name, json.dumps(segments), headers=headers,
                     query_string="multipart-manifest=put")
    return hashlib.md5("".join(segment["etag"] for segment in segments).encode()).hexdigest()
