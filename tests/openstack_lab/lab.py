# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the lab, or join one that runs, and steer it. Needs nothing but the standard library.

    with Lab.start() as lab:
        backup = lab.back_up("db1")
        assert lab.trove("GET", f"/backups/{backup['id']}").body["backup"]["status"] == "COMPLETED"
        assert [call["path"] for call in lab.requests("trove")][-1] == f"/v1.0/{lab.project}/backups/{backup['id']}"
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .records import Records, moment

HERE = Path(__file__).resolve().parent
# The servers' own calls to each other, beside those that a client makes.
SERVERS_AGENTS = ("keystonemiddleware", "python-keystoneclient", "python-swiftclient")
SERVERS_USERS = ("trove", "swift")
AS_INSTANCE = object()
# How the guest agent behaves unless told otherwise.
GUEST = {"delay": 0.0, "hold": False, "segment_size": 2 << 30, "small_segment_size": 256 << 10}


class LabError(Exception):
    """The lab did not start, or refused."""


@dataclass
class Answer:
    """What a server answered. ``body`` is JSON where it was JSON, else bytes."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


class Lab:
    """A lab that runs. Made by ``start`` or ``attach``; as a context manager it ends what it started."""

    def __init__(self, ready: dict[str, Any], process: subprocess.Popen[str] | None = None,
                 throwaway: Path | None = None) -> None:
        self._process = process
        self._throwaway = throwaway
        self.ready = ready
        self.home = Path(ready["home"])
        self.auth_url: str = ready["auth_url"]
        self.clouds = Path(ready["clouds"])
        self.projects: dict[str, str] = ready["projects"]
        self.project: str = self.projects["demo"]
        self.users: dict[str, dict[str, Any]] = ready["users"]
        self.datastores: dict[str, dict[str, str]] = ready["datastores"]
        self.records = Records(self.home / "trove/trove.sqlite")
        self._tokens: dict[str, str] = {}
        self._seen: dict[str, int] = {}

    # -- life ---------------------------------------------------------------------------------------------------

    @classmethod
    def start(cls, home: str | os.PathLike[str] | None = None, snapshot_dir: str | os.PathLike[str] | None = None,
              timeout: float = 600, **options: Any) -> Lab:
        """Start one in an empty folder. Options are those of the command line: ``token_seconds=5``, ``rate=10``.
        Without ``home`` it gets a folder that ``stop`` removes. The first start ever installs, which takes minutes."""
        throwaway = None if home else Path(tempfile.mkdtemp(prefix="openstack-lab-"))
        folder = Path(home or throwaway or ".").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        ready_file, log = folder.with_name(folder.name + ".ready"), folder.with_name(folder.name + ".log")
        ready_file.unlink(missing_ok=True)
        command = [sys.executable, str(HERE), "--home", str(folder), "--ready-file", str(ready_file), "--commands"]
        if snapshot_dir:
            options["snapshots"] = snapshot_dir
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
                                       text=True, start_new_session=True)
        try:
            give_up = time.monotonic() + timeout
            while not ready_file.exists():
                if process.poll() is not None:
                    raise LabError(f"the lab did not start: {log.read_text()}")
                if time.monotonic() > give_up:
                    raise LabError(f"the lab did not start within {timeout} seconds: {log.read_text()}")
                time.sleep(0.02)
            return cls(json.loads(ready_file.read_text()), process, throwaway)
        except BaseException:
            end(process)
            if throwaway:
                shutil.rmtree(throwaway, ignore_errors=True)
            raise
        finally:
            ready_file.unlink(missing_ok=True)
            log.unlink(missing_ok=True)

    @classmethod
    def attach(cls, ready_file: str | os.PathLike[str]) -> Lab:
        """Join one that somebody else started; ``stop`` leaves it alone. It cannot restart servers."""
        try:
            return cls(json.loads(Path(ready_file).read_text()))
        except (OSError, ValueError, KeyError) as reason:
            raise LabError(f"no running lab has written {ready_file}: {reason}") from None

    def stop(self) -> None:
        """End it, and remove its home if that was made for it."""
        if self._process:
            end(self._process)
            self._process = None
        if self._throwaway:
            shutil.rmtree(self._throwaway, ignore_errors=True)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()

    def restart(self, server: str, **settings: Any) -> None:
        """Restart ``keystone``, ``trove``, ``swift`` or ``mariadb`` on its port and with what it holds. Settings
        (``token_seconds``, ``rate``) that are not given are those of the start."""
        self._command(do="restart", server=server, settings=settings)

    def stop_server(self, server: str) -> None:
        """Nobody listens on its port until ``restart``."""
        self._command(do="stop", server=server)

    def _command(self, **command: Any) -> None:
        if not self._process:
            raise LabError("this lab was started by somebody else")
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the lab has ended"}')
        if "error" in answer:
            raise LabError(answer["error"])

    def log(self, server: str) -> str:
        """What a server has printed."""
        return (self.home / f"log/{server}.log").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        """What makes OpenStack's own tools find the clouds of this lab (``OS_CLOUD`` says which)."""
        return {"OS_CLIENT_CONFIG_FILE": str(self.clouds)}

    def reset(self) -> None:
        """No records of backups, no quota, nothing asked yet, a guest agent that works at once."""
        self.guest(**GUEST)
        # What a guest still works on would come back.
        give_up = time.monotonic() + 60
        while any((self.home / "guest/running").iterdir()):
            if time.monotonic() > give_up:
                raise LabError("a backup does not come to its end")
            time.sleep(0.02)
        for project in ("demo", "other"):
            self.set_quota(None, project)
            self.clear(project=project)
        self.clear_requests()

    # -- calls --------------------------------------------------------------------------------------------------

    def call(self, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request as it is; a dict or list goes out as JSON."""
        parts = urlsplit(url)
        headers = {"User-Agent": "lab", **(headers or {})}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        if "json" in found.get("content-type", "") and data:
            return Answer(response.status, found, json.loads(data))
        return Answer(response.status, found, data)

    def new_token(self, who: str = "demo") -> str:
        """A token of a user, or of an application credential by its name."""
        if who in self.ready["credentials"]:
            identity = {"methods": ["application_credential"], "application_credential": self.ready["credentials"][who]}
            scope = {}
        else:
            user = self.users[who]
            identity = {"methods": ["password"], "password": {"user": {
                "name": who, "domain": {"id": "default"}, "password": user["password"]}}}
            scope = {"scope": {"project": {"id": self.projects[user["project"]]}}}
        answer = self.call("POST", f"{self.auth_url}/auth/tokens", {"auth": {"identity": identity, **scope}})
        if answer.status != 201:
            raise LabError(f"no token for {who}: {answer.status} {answer.body}")
        return answer.headers["x-subject-token"]

    def token(self, who: str = "demo") -> str:
        """A token that is kept, to spare Keystone's log."""
        if who not in self._tokens:
            self._tokens[who] = self.new_token(who)
        return self._tokens[who]

    def trove(self, method: str, path: str, body: Any = None, who: str = "demo", **query: Any) -> Answer:
        """A call of Trove's API below the project of the user."""
        url = f"{self.ready['trove_url']}/{self._project_of(who)}{path}" + (f"?{urlencode(query)}" if query else "")
        return self._authorized(method, url, body, {}, who)

    def swift(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None,
              who: str = "demo", **query: Any) -> Answer:
        """A call of Swift's API below the account of the user's project."""
        url = f"{self.swift_account(who)}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        return self._authorized(method, url, body, headers or {}, who)

    def swift_account(self, who: str = "demo") -> str:
        return f"{self.ready['swift_url']}/AUTH_{self._project_of(who)}"

    def _authorized(self, method: str, url: str, body: Any, headers: dict[str, str], who: str) -> Answer:
        answer = self.call(method, url, body, {**headers, "X-Auth-Token": self.token(who)})
        if answer.status == 401 and self._tokens.pop(who, None):
            # A test has revoked it, or it was short-lived.
            answer = self.call(method, url, body, {**headers, "X-Auth-Token": self.token(who)})
        return answer

    def _project_of(self, who: str) -> str:
        return self.projects[self.users[who]["project"]] if who in self.users else self.project

    # -- what was asked -----------------------------------------------------------------------------------------

    def requests(self, server: str, own: bool = False) -> list[dict[str, Any]]:
        """What ``keystone``, ``trove`` or ``swift`` was asked since ``clear_requests``, in the order of the answers:
        at, method, path, query, status, agent, range, token (a fingerprint); body (JSON that was sent), for token
        requests user instead. With ``own``, also what the servers asked each other."""
        file = self.home / f"log/{server}.requests"
        if not file.exists():
            return []
        with file.open() as lines:
            lines.seek(self._seen.get(server, 0))
            entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if own or not is_servers_own(entry)]

    def token_requests(self) -> list[dict[str, Any]]:
        """Who asked Keystone for a token."""
        return [entry for entry in self.requests("keystone")
                if entry["method"] == "POST" and entry["path"] == "/v3/auth/tokens"]

    def clear_requests(self) -> None:
        """Forget all requests until now."""
        for file in (self.home / "log").glob("*.requests"):
            self._seen[file.stem] = file.stat().st_size

    # -- instances and backups ----------------------------------------------------------------------------------

    def instance(self, name: str) -> str:
        """The id of the instance of that name (``twin`` is the name of two), or the id that was given."""
        found = self.records.rows("SELECT id FROM instances WHERE deleted = 0 AND (id = :name OR name = :name)"
                                  " ORDER BY created, id", name=name)
        if not found:
            raise LabError(f"no instance {name}")
        return str(found[0]["id"])

    def add_instances(self, count: int, prefix: str = "more", datastore: str = "mariadb",
                      project: str = "demo") -> list[dict[str, str]]:
        """More instances that are up, named prefix-0 and so on: their ids and names."""
        made = [{"id": str(uuid.uuid4()), "name": f"{prefix}-{number}", "datastore": datastore}
                for number in range(count)]
        self.records.add_instances(self.projects[project], made)
        return made

    def remove_instances(self, *instances: str) -> None:
        """Instances with their backups' records."""
        for instance in instances:
            self.clear(instance)
            self.records.remove_instance(self.instance(instance))

    def add_backup(self, instance: str | None = "db1", **values: Any) -> str:
        """A record in Trove's own table without a file behind it, unless ``location`` says where one is; its id.
        See ``backup_row`` for the values."""
        row = self.backup_row(instance, **values)
        self.records.add_backups([row])
        return str(row["id"])

    def add_backups(self, count: int, instance: str | None = "db1", every: float = 3600, **values: Any) -> list[str]:
        """Many of them, the newest first, each so many seconds older than the one before."""
        newest = datetime.fromisoformat(moment(values.pop("created", None)))
        first = self.backup_row(instance, created=newest, **values)
        rows = []
        for number in range(count):
            row_id, at = str(uuid.uuid4()), moment(newest - timedelta(seconds=every * number))
            location = first["location"] and first["location"].replace(first["id"], row_id)
            rows.append({**first, "id": row_id, "created": at, "updated": at, "location": location})
        if rows:
            self.records.add_backups(rows)
        return [row["id"] for row in rows]

    def backup_row(self, instance: str | None, *, state: str = "COMPLETED", created: datetime | str | None = None,
                   updated: datetime | str | None = None, size: float | None = 0.14, name: str = "nightly",
                   description: str | None = None, datastore: Any = AS_INSTANCE, location: Any = AS_INSTANCE,
                   parent: str | None = None, checksum: str | None = None, project: str = "demo",
                   backup_id: str | None = None, storage_driver: str = "swift") -> dict[str, Any]:
        """A row of Trove's table. Times: datetimes or ISO texts, naive ones are UTC; ``updated`` is ``created`` unless
        given. ``datastore``: a name, or None for a record that has none; else the instance's."""
        backup_id = backup_id or str(uuid.uuid4())
        instance_id = self.instance(instance) if instance else None
        if datastore is AS_INSTANCE:
            [row] = self.records.rows("SELECT datastore_version_id FROM instances WHERE id = :id", id=instance_id)
            version = row["datastore_version_id"]
        else:
            version = datastore and self.records.version_id(datastore)
        if location is AS_INSTANCE:
            account = f"{self.ready['swift_url']}/AUTH_{self.projects[project]}"
            location = f"{account}/database_backups/{backup_id}.xbstream.gz"
        return {
            "id": backup_id, "name": name, "description": description, "location": location,
            "backup_type": "incremental" if parent else "full", "size": size, "tenant_id": self.projects[project],
            "state": state, "instance_id": instance_id, "checksum": checksum, "parent_id": parent,
            "created": moment(created), "updated": moment(updated or created), "deleted": 0,
            "datastore_version_id": version, "storage_driver": storage_driver}

    def change_backup(self, backup_id: str, **values: Any) -> None:
        """Write columns of a record: ``state``, ``created``, ``updated``, ``size``, ``location``, ``checksum``, ..."""
        for name in values.keys() & {"created", "updated"}:
            values[name] = moment(values[name])
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        if not self.records.change(f"UPDATE backups SET {assignments} WHERE id = :backup_id", backup_id=backup_id,
                                   **values):
            raise LabError(f"no backup {backup_id}")

    def clear(self, instance: str | None = None, project: str = "demo") -> None:
        """Remove the records of an instance's backups, or of all backups of the project. Files stay."""
        self.records.remove_backups(self.projects[project], self.instance(instance) if instance else None)

    def set_quota(self, limit: int | None, project: str = "demo") -> None:
        """How many backups a project may have; None: as many as it likes."""
        self.records.set_quota(self.projects[project], limit)

    def back_up(self, instance: str = "db1", name: str = "nightly", wait: bool = True, **values: Any) -> dict[str, Any]:
        """Take a real backup through Trove's API; its record. Values: ``incremental=1``, ``parent_id``, ..."""
        answer = self.trove("POST", "/backups", {"backup": {
            "name": name, "instance": self.instance(instance), **values}})
        if answer.status != 202:
            raise LabError(f"Trove refused a backup: {answer.status} {answer.body}")
        backup = answer.body["backup"]
        return self.settle(backup["id"]) if wait else backup

    def settle(self, backup_id: str, timeout: float = 120) -> dict[str, Any]:
        """Wait until a backup has come to an end; its record."""
        give_up = time.monotonic() + timeout
        while True:
            [row] = self.records.rows("SELECT state FROM backups WHERE id = :id", id=backup_id)
            if row["state"] not in ("NEW", "BUILDING", "SAVING"):
                return self.trove("GET", f"/backups/{backup_id}").body["backup"]
            if time.monotonic() > give_up:
                raise LabError(f"backup {backup_id} is {row['state']} after {timeout} seconds")
            time.sleep(0.02)

    # -- the guest agent's stand-in and its MariaDB -------------------------------------------------------------

    def guest(self, **settings: Any) -> None:
        """How backups behave from now on: ``delay`` (seconds), ``hold`` (True: stay BUILDING until False again),
        ``segment_size``, ``small_segment_size`` (for backups with *big* in their names). A backup with *fail* in its
        name ends as FAILED, one with *hang* stays BUILDING."""
        file = self.home / "guest/settings.json"
        found = json.loads(file.read_text())
        unknown = settings.keys() - found.keys()
        if unknown:
            raise LabError(f"the guest agent knows no {', '.join(sorted(unknown))}")
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps({**found, **settings}))
        os.replace(draft, file)

    @contextmanager
    def guest_with(self, **settings: Any) -> Iterator[None]:
        """``guest`` for the time of a with block."""
        before = json.loads((self.home / "guest/settings.json").read_text())
        self.guest(**settings)
        try:
            yield
        finally:
            self.guest(**before)

    def local_copy(self, backup_id: str) -> Path:
        """The exact bytes that were uploaded as this backup."""
        return self.home / f"guest/copies/{backup_id}.xbstream.gz"

    def sql(self, text: str, socket: str | os.PathLike[str] | None = None) -> list[list[str]]:
        """Run SQL in the live database ``shop``, or in that of another socket; the rows."""
        done = subprocess.run([self.ready["programs"]["mariadb"], "--no-defaults", "--user=root", "--batch",
                               "--skip-column-names", f"--socket={socket or self.ready['socket']}", "shop"],
                              input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(done.stderr.strip())
        return [line.split("\t") for line in done.stdout.splitlines()]

    # -- the object storage -------------------------------------------------------------------------------------

    @staticmethod
    def place(location: str) -> tuple[str, str]:
        """Container and object of a locationRef."""
        container, name = location.split("/")[-2:]
        return container, name

    def segments(self, backup_id: str) -> list[dict[str, Any]]:
        """The segments of a backup that is a static large object: each with name, bytes and hash."""
        [row] = self.records.rows("SELECT location FROM backups WHERE id = :id", id=backup_id)
        container, name = self.place(row["location"])
        answer = self.swift("GET", f"/{container}/{name}", **{"multipart-manifest": "get"})
        return answer.body if isinstance(answer.body, list) else []

    def damage(self, container: str, name: str, kind: str = "disk", project: str = "demo") -> None:
        """Damage what is stored under a name, at its size. ``disk``: a byte flipped in the object server's file, which
        Swift itself notices only at the end of reading it; ``put``: other bytes put in its place by the rules, so that
        a manifest's checksum no longer fits; ``lost``: the file is gone."""
        if kind == "put":
            data = bytearray(self.swift("GET", f"/{container}/{name}").body)
            data[len(data) // 2] ^= 0xFF
            answer = self.swift("PUT", f"/{container}/{name}", bytes(data))
            if answer.status != 201:
                raise LabError(f"Swift refused: {answer.status} {answer.body!r}")
            return
        file = self.stored_file(container, name, project)
        if kind == "lost":
            file.unlink()
            return
        with file.open("r+b") as stream:
            middle = file.stat().st_size // 2
            stream.seek(middle)
            byte = stream.read(1)[0]
            stream.seek(middle)
            stream.write(bytes([byte ^ 0xFF]))

    def stored_file(self, container: str, name: str, project: str = "demo") -> Path:
        """Where the object server keeps the bytes of an object."""
        path = f"/AUTH_{self.projects[project]}/{container}/{name}"
        # Prefix and suffix of swift.conf.
        folder = hashlib.md5(f"lab{path}lab".encode()).hexdigest()
        found = sorted((self.home / "swift/devices/disk/objects").glob(f"*/{folder[-3:]}/{folder}/*.data"))
        if not found:
            raise LabError(f"Swift has no object {path}")
        return found[-1]

    # -- tokens -------------------------------------------------------------------------------------------------

    def revoke_token(self, token: str) -> None:
        """This token is refused from now on."""
        answer = self.call("DELETE", f"{self.auth_url}/auth/tokens",
                           headers={"X-Auth-Token": self.token("admin"), "X-Subject-Token": token})
        if answer.status != 204:
            raise LabError(f"the token was not revoked: {answer.status} {answer.body}")

    def revoke_tokens(self, who: str = "demo") -> None:
        """All tokens that a user has are refused from now on, and new ones are good. Waits for a second to begin, because
        tokens know the second of their birth only."""
        self._tokens.clear()
        now = datetime.now(timezone.utc)
        begun = now.replace(microsecond=0)
        time.sleep((begun + timedelta(seconds=1) - now).total_seconds())
        Records(self.home / "keystone/keystone.sqlite").insert("revocation_event", [{
            "user_id": self.users[who]["id"], "issued_before": moment(begun), "revoked_at": moment(begun)}])


def is_servers_own(entry: dict[str, Any]) -> bool:
    return entry.get("user") in SERVERS_USERS or any(agent in entry["agent"] for agent in SERVERS_AGENTS)


def end(process: subprocess.Popen[str]) -> None:
    """The end of its input ends it; what does not listen is ended with all its children."""
    try:
        process.stdin.close()
    except OSError:
        pass
    for number, patience in ((None, 15), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            if number:
                os.killpg(process.pid, number)
            process.wait(patience)
            break
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.stdout.close()
