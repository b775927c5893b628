# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the sandbox, or join one that runs, and steer it. Needs nothing but the standard library.

    with Sandbox.start(now="-60h") as sandbox:
        uid = sandbox.uid("shop")
        ...
        sandbox.advance("26h")
        assert len(sandbox.posts()) == 1
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent


class SandboxError(Exception):
    """The sandbox did not start, or refused."""


class Sandbox:
    """A sandbox that runs. Made by ``start`` or ``attach``; as a context manager it ends what it started."""

    def __init__(self, ready: dict[str, Any], process: subprocess.Popen[bytes] | None = None,
                 command: list[str] | None = None, throwaway: Path | None = None) -> None:
        self._process = process
        self._command = command or []
        self._throwaway = throwaway
        self._take(ready)

    def _take(self, ready: dict[str, Any]) -> None:
        self.ready = ready
        self.url: str = ready["url"]
        self.api_url: str = ready["api_url"]
        self.token: str = ready["token"]
        self.public_token: str = ready["public_token"]
        self.ca_path: str | None = ready["ca_path"]
        self.home = Path(ready["home"])
        self.stacks: list[dict[str, Any]] = ready["stacks"]

    # -- life ---------------------------------------------------------------------------------------------------

    @classmethod
    def start(cls, home: str | os.PathLike[str] | None = None, *arguments: str, python: str | None = None,
              timeout: float = 240, **options: Any) -> Sandbox:
        """Start one. Options are those of the command line: ``stacks="a,b"``, ``now="-60h"``, ``part_size=65536``,
        ``tls=True``, ``port=8066``. Without ``home`` it gets a folder that ``stop`` removes."""
        throwaway = None if home else Path(tempfile.mkdtemp(prefix="sandbox-"))
        folder = Path(home or throwaway or ".").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        command = [python or sys.executable, str(HERE), "--home", str(folder), "--parent-pid", str(os.getpid())]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                command.append(flag)
            elif value not in (None, False):
                command.append(f"{flag}={value}")
        command += arguments
        try:
            ready, process = _launch(command, folder, timeout)
        except SandboxError:
            if throwaway:
                shutil.rmtree(throwaway, ignore_errors=True)
            raise
        return cls(ready, process, command, throwaway)

    @classmethod
    def attach(cls, ready_file: str | os.PathLike[str]) -> Sandbox:
        """Join one that somebody else started; ``stop`` leaves it alone."""
        try:
            return cls(json.loads(Path(ready_file).read_text()))
        except (OSError, ValueError, KeyError) as exc:
            raise SandboxError(f"no running sandbox has written {ready_file}: {exc}") from None

    @property
    def pid(self) -> int:
        return int(self.ready["pid"])

    def stop(self) -> None:
        """End it, and remove its home if that was made for it."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._throwaway:
            shutil.rmtree(self._throwaway, ignore_errors=True)

    def kill(self) -> None:
        """End it as an accident would: with SIGKILL. ``restart`` brings it back on the same home."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self, timeout: float = 240) -> None:
        """Stop (unless it was killed) and start again: same home, same port."""
        if not self._command:
            raise SandboxError("this sandbox was started by somebody else")
        if self._process:
            self._process.terminate()
            self._process.wait(15)
        port = str(urlsplit(self.url).port)
        ready, self._process = _launch([*self._command, "--port", port], self.home, timeout)
        self._take(ready)

    def log(self) -> str:
        """What the server has printed."""
        return _tail(self.home / "sandbox.log")

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()

    # -- stacks -------------------------------------------------------------------------------------------------

    def stack(self, name: str) -> dict[str, Any]:
        """A stack by its name or uid."""
        for stack in self.stacks:
            if name in (stack["name"], stack["uid"]):
                return stack
        raise SandboxError(f"no stack {name}")

    def uid(self, name: str) -> str:
        return str(self.stack(name)["uid"])

    def group(self, name: str) -> int:
        """The group that the stack has from the beginning: what can be imported into."""
        return int(self.stack(name)["groups"][0])

    def login(self, name: str, engine: str | None = None) -> dict[str, Any]:
        """How to read a live database: ``unix_socket`` or ``host``, ``port``, ``user``, ``password``, ``database``.
        Of a stack with several engines it is the first one's, unless another is named."""
        facts = self.control("GET", f"/stacks/{name}")
        return dict(facts["logins"][engine or facts["engine"]])

    def tables(self, name: str, engine: str | None = None) -> dict[str, int]:
        """Counts of the live database: rows of tables, keys of Redis's numbered databases, documents of collections."""
        return dict(self.control("GET", f"/stacks/{name}/tables" + (f"?engine={engine}" if engine else ""))["tables"])

    def sql(self, name: str, sql: str, engine: str | None = None) -> list[list[str]]:
        """Run SQL in the live database."""
        return list(self.control("POST", f"/stacks/{name}/sql", {"sql": sql, "engine": engine})["rows"])

    def redis(self, name: str, *words: str | int, db: int = 0) -> Any:
        """Have the live Redis do something: ``redis("cache", "SET", "name", "value")``."""
        body = {"engine": "redis", "command": words, "db": db}
        return self.control("POST", f"/stacks/{name}/command", body)["answer"]

    def mongo(self, name: str, **command: Any) -> Any:
        """The same for MongoDB, as extended JSON: ``mongo("docs", insert="customers", documents=[{"_id": 0}])``."""
        body = {"engine": "mongodb", "command": command}
        return self.control("POST", f"/stacks/{name}/command", body)["answer"]

    def schedule(self, name: str, running: bool) -> None:
        self.control("POST", f"/stacks/{name}/schedule", {"running": running})

    def backup(self, name: str, status: int = 0, result: str | None = None) -> list[int]:
        """Take a real backup now (status 1: record a failed one); answers ids."""
        body = {"status": status, "result": result}
        return list(self.control("POST", f"/stacks/{name}/backup", body)["ids"])

    def synthetic(self, name: str, count: int, every: str = "1h", **record: Any) -> dict[str, Any]:
        return self.control("POST", f"/stacks/{name}/synthetic", {"count": count, "every": every, "record": record})

    def blob(self, name: str, size: int, parts: int = 1) -> dict[str, Any]:
        """A backup of noise: id, bytes, sha256, files."""
        return self.control("POST", f"/stacks/{name}/blob", {"bytes": size, "parts": parts})

    def facts(self, name: str, backup_id: int | str) -> dict[str, Any]:
        """The truth about a backup: record, path on disk, size and SHA-256 of the whole and of each file."""
        return self.control("GET", f"/stacks/{name}/backups/{backup_id}")

    def change(self, name: str, backup_id: int | str, drop: list[str] | None = None, **values: Any) -> dict[str, Any]:
        """Show other values in a backup's record, or leave fields out."""
        body = {"set": values, "drop": drop or []}
        return self.control("PATCH", f"/stacks/{name}/backups/{backup_id}", body)

    def delete(self, name: str, backup_id: int | str) -> None:
        self.control("DELETE", f"/stacks/{name}/backups/{backup_id}")

    def import_source(self, name: str = "dump.sql.gz") -> str:
        """A URL that an import can really download."""
        return f"{self.url}/_sandbox/import-source/{name}"

    # -- clock, faults, requests --------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return self.control("GET", "/state")

    def now(self) -> str:
        return str(self.control("GET", "/clock")["now"])

    def advance(self, duration: str, max_runs: int = 2000) -> int:
        """Move the clock; answers how many backups were made on the way."""
        return int(self.control("POST", "/clock", {"advance": duration, "max_runs": max_runs})["ran"])

    def set_clock(self, moment: str = "now", max_runs: int = 2000) -> int:
        return int(self.control("POST", "/clock", {"set": moment, "max_runs": max_runs})["ran"])

    def settle(self) -> None:
        """Wait until imports under way are done."""
        self.control("POST", "/settle")

    def report_sizes(self, report: bool = True) -> None:
        self.control("POST", "/sizes", {"report": report})

    def fault(self, kind: str, **options: Any) -> dict[str, Any]:
        """Switch a fault on: ``fault("truncate", route="storage", bytes=1000, times=1)``."""
        return self.control("POST", "/faults", {"kind": kind, **options})

    def faults(self) -> list[dict[str, Any]]:
        return list(self.control("GET", "/faults")["faults"])

    def clear_faults(self) -> None:
        self.control("DELETE", "/faults")

    def switch(self, surface: str, **settings: Any) -> dict[str, Any]:
        """Switch a quirk on or off for good: ``switch("cloud66_v2", enveloped=True)``; how all of them stand now."""
        return self.control("POST", "/switches", {surface: settings})

    def reset_switches(self) -> None:
        self.control("DELETE", "/switches")

    def requests(self, since: int = 0, **wanted: Any) -> list[dict[str, Any]]:
        """What was asked, in order: ``requests(route="storage", source=uid)``."""
        found = self.control("GET", f"/requests?since={since}")["requests"]
        return [entry for entry in found if all(entry[name] == value for name, value in wanted.items())]

    def posts(self, since: int = 0) -> list[dict[str, Any]]:
        return self.requests(since, method="POST")

    def last_request(self) -> int:
        """The number of the newest request: ``since`` for what comes next."""
        return max((entry["n"] for entry in self.requests()), default=0)

    def clear_requests(self) -> None:
        self.control("DELETE", "/requests")

    # -- services beside Cloud 66 -------------------------------------------------------------------------------

    def service(self, name: str, method: str = "GET", path: str = "", **body: Any) -> dict[str, Any]:
        """Look into one of them or make it do something: ``service("backupman", "POST", "/backup", labels=["shop"])``.
        The paths are those of the control API."""
        return dict(self.control(method, f"/{name}{path}", body or None))

    # -- HTTP ---------------------------------------------------------------------------------------------------

    def control(self, method: str, path: str, body: dict[str, Any] | None = None, timeout: float = 600) -> Any:
        """Call the control API."""
        content = json.dumps(body).encode() if body is not None else None
        status, answer = self._ask(method, "/_sandbox" + path, content, {}, timeout)
        found = json.loads(answer)
        if status != 200:
            raise SandboxError(f"{method} {path}: {found.get('error', answer)}")
        return found

    def api(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Call the API itself: ``api("GET", "/stacks")``; answers the status and the parsed body."""
        return self._cloud66(method, "/api/3" + path, body, token)

    def api_v2(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """The same for version 2: ``api_v2("GET", f"/stacks/{uid}/managed_backups")``."""
        return self._cloud66(method, "/api/2" + path, body, token)

    def backupman(self, method: str, path: str, key: str | None = None) -> tuple[int, Any]:
        """Call Backupman: ``backupman("GET", "/api/backups")``; the body is parsed, unless it is no JSON."""
        headers = {"X-Api-Key": self.ready["backupman"]["api_key"] if key is None else key}
        status, answer = self._ask(method, path, None, headers, 60)
        return status, _parsed(answer)

    def rackspace_token(self) -> str:
        """A new token of the Rackspace account."""
        ready = self.ready["rackspace"]
        credentials = {"username": ready["username"], "apiKey": ready["api_key"]}
        status, answer = self.rackspace("POST", ready["auth_url"].removeprefix(self.url) + "/tokens", token="", body={
            "auth": {"RAX-KSKEY:apiKeyCredentials": credentials}})
        if status != 200:
            raise SandboxError(f"no token: {answer}")
        return str(answer["access"]["token"]["id"])

    def rackspace(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Call Rackspace: ``rackspace("GET", "/backups")``, below the account unless the path leads elsewhere; the
        body is parsed, unless it is no JSON."""
        if not path.startswith(("/v1", "/identity")):
            path = f"/v1.0/{self.ready['rackspace']['account']}{path}"
        headers = {"X-Auth-Token": self.rackspace_token() if token is None else token}
        content = json.dumps(body).encode() if body is not None else None
        status, answer = self._ask(method, path, content, headers, 60)
        return status, _parsed(answer)

    def _cloud66(self, method: str, path: str, body: Any, token: str | None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        content = json.dumps(body).encode() if body is not None else None
        status, answer = self._ask(method, path, content, headers, 60)
        return status, json.loads(answer)

    def _ask(self, method: str, path: str, content: bytes | None, headers: dict[str, str],
             timeout: float) -> tuple[int, bytes]:
        address = urlsplit(self.url)
        if address.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_path)
            link: http.client.HTTPConnection = http.client.HTTPSConnection(
                address.netloc, timeout=timeout, context=context)
        else:
            link = http.client.HTTPConnection(address.netloc, timeout=timeout)
        try:
            link.request(method, path, content, {"Content-Type": "application/json", **headers})
            answer = link.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise SandboxError(f"{method} {path}: {exc!r}\n{self.log()}") from exc
        finally:
            link.close()


def _launch(command: list[str], home: Path, timeout: float) -> tuple[dict[str, Any], subprocess.Popen[bytes]]:
    """Start the server and wait until it is ready; when it is not, say what it printed."""
    ready_file, log = home / "ready.json", home / "sandbox.log"
    with log.open("ab") as stream:
        process = subprocess.Popen([*command, "--ready-file", str(ready_file)], stdin=subprocess.DEVNULL,
                                   stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ready = json.loads(ready_file.read_text())
            if ready["pid"] == process.pid:  # and not one that an earlier, killed sandbox left behind
                return ready, process
        except OSError:
            pass
        time.sleep(0.02)
    reason = f"exit code {process.returncode}" if process.poll() is not None else f"not ready after {timeout:g} s"
    if process.poll() is None:
        process.terminate()
        process.wait(15)
    raise SandboxError(f"the sandbox did not start ({reason}): {' '.join(command)}\n{_tail(log)}")


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def environment(sandbox: Sandbox) -> dict[str, str]:
    """What a shell needs to talk to it: the collection's own variables, and the address of the control API."""
    rack = sandbox.ready["rackspace"]
    found = {"CLOUD66_API_URL": sandbox.api_url, "CLOUD66_TOKEN": sandbox.token, "SANDBOX": f"{sandbox.url}/_sandbox",
             "RAX_AUTH_URL": rack["auth_url"], "RAX_USERNAME": rack["username"], "RAX_API_KEY": rack["api_key"],
             "RAX_REGION": rack["region"]}
    for stack in sandbox.stacks:
        found["STACK_" + _variable(stack["name"])] = stack["uid"]
    for instance in rack["instances"]:
        found["INSTANCE_" + _variable(instance["name"])] = instance["id"]
    return found


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _tail(log: Path, lines: int = 40) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


if __name__ == "__main__":  # eval "$(python tests/sandbox/client.py build/sandbox.json)"
    if len(sys.argv) != 2:
        sys.exit("usage: client.py READY_FILE")
    for variable, setting in environment(Sandbox.attach(sys.argv[1])).items():
        print(f"export {variable}={shlex.quote(setting)}")
