# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_file_fetch by ansible-playbook against the sandbox: what lands on the host, what is asked, what is refused.

Tasks of one play are run together where they can be, since a start of Ansible costs more than a fetch.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import signal
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "sandbox"))
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import tree  # noqa: E402
from client import Sandbox  # noqa: E402
from in_process import load  # noqa: E402

MODULE = "restorable.backups.backup_file_fetch"
MIB = 1 << 20


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox.start(stacks="shop,crm") as running:
        yield running


@pytest.fixture(scope="module")
def dump(sandbox):
    """The truth about a real dump of the stack shop."""
    (number,) = sandbox.backup("shop")
    return dict(sandbox.facts("shop", number), id=str(number))


@pytest.fixture(scope="module")
def blob(sandbox):
    """Noise in four parts, on the stack crm."""
    return sandbox.blob("crm", 8 * MIB, 4)


@pytest.fixture
def host(tmp_path, sandbox):
    sandbox.clear_faults()
    sandbox.clear_requests()
    yield Host(tmp_path, sandbox)
    sandbox.clear_faults()


class Host:
    """A folder of its own, and plays that fetch into it over a local connection."""

    def __init__(self, folder, sandbox):
        self.folder, self.sandbox = folder, sandbox
        foreign = ("ANSIBLE_", "CLOUD66_", "RESTORABLE_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment.update(
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            ANSIBLE_COLLECTIONS_PATH=str(tree.TREE),
            ANSIBLE_HOME=str(folder / "ansible"),
            # A home is looked up by the user's name: killed runs would leave their files in the real one.
            ANSIBLE_REMOTE_TMP=str(folder / "ansible" / "remote"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_LOCALHOST_WARNING="false",
            ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
            CLOUD66_API_URL=sandbox.api_url,
            CLOUD66_TOKEN=sandbox.token,
        )
        self.target = folder / "srv"
        self.target.mkdir()
        self.output = ""

    def command(self, *steps, arguments=(), **variables):
        """The command of a play. A step is the options of a fetch, or a whole task where it has a key ``task``."""
        tasks = []
        for step in steps:
            if "task" in step:
                tasks.append(step["task"])
            else:
                names = ("environment", "check_mode", "async", "poll", "vars")
                keywords = {key: step[key] for key in step if key in names}
                options = {key: value for key, value in step.items() if key not in keywords}
                options.setdefault("source", self.sandbox.stacks[0]["uid"])
                tasks.append({MODULE: options, **keywords,
                              "register": "found_%d" % len(tasks), "ignore_errors": True})
        names = ", ".join("found_%d | default(none)" % number for number in range(len(tasks)))
        (self.folder / "results.json").unlink(missing_ok=True)
        tasks.append({"ansible.builtin.copy": {"content": "{{ [%s] | to_json }}" % names, "mode": "0600",
                                               "dest": str(self.folder / "results.json")}, "check_mode": False})
        play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks,
                 "vars": {"ansible_python_interpreter": sys.executable, **variables}}]
        (self.folder / "play.json").write_text(json.dumps(play))
        return ["ansible-playbook", str(self.folder / "play.json"), *arguments]

    def fetch(self, *steps, wrap=(), **options):
        """The results of the steps (one result for one step)."""
        done = subprocess.run([*wrap, *self.command(*steps, **options)], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300, check=False)
        self.output = done.stdout
        assert (self.folder / "results.json").exists(), done.stdout
        results = [one for one in json.loads((self.folder / "results.json").read_text()) if one]
        return results[0] if len(steps) == 1 else results

    def fault(self, kind, **options):
        """A step that switches a fault on, and all others off."""
        body = json.dumps({"kind": kind, **options})
        command = '%s -c "$CODE"' % shlex.quote(sys.executable)
        return {"task": {"ansible.builtin.shell": {"cmd": command}, "changed_when": False, "check_mode": False,
                         "environment": {"CODE": (
                             "import urllib.request as u\n"
                             "for method, data in (('DELETE', None), ('POST', %r)):\n"
                             "    call = u.Request('%s/_sandbox/faults', data and data.encode(), method=method)\n"
                             "    u.urlopen(call).read()\n"
                         ) % (body, self.sandbox.url)}}}

    def left(self):
        return sorted(str(path.relative_to(self.target)) for path in self.target.rglob("*") if not path.is_dir())

    def asked(self, *routes):
        return [entry["route"] for entry in self.sandbox.requests() if not routes or entry["route"] in routes]


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# -- what is wanted of it ------------------------------------------------------------------------------------------


def test_a_real_dump_checked_fetched_and_proved(host, dump):
    options = {"latest": True, "dest": str(host.target)}
    predicted, fetched, again, elsewhere, forced = host.fetch(
        {**options, "check_mode": True}, options, options, {**options, "check_mode": True}, {**options, "force": True},
        arguments=["--diff"],
    )
    made = re.sub(r"[-:]", "", fetched["backup"]["created_at"])
    path = host.target / ("postgresql-shop-%s-%s.tar" % (made, dump["id"]))
    assert host.left() == [".%s.restorable.json" % path.name, path.name]
    assert fetched["dest"] == str(path)
    assert sha256(path) == fetched["sha256"] == dump["sha256"]
    assert fetched["size_bytes"] == fetched["bytes_received"] == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        assert any(name.endswith((".sql", ".sql.gz")) for name in archive.getnames())

    results = (predicted, fetched, again, elsewhere, forced)
    assert [one["changed"] for one in results] == [True, True, False, False, True]
    assert predicted["diff"] == fetched["diff"]
    assert fetched["diff"]["before"]["state"] == "absent"
    assert fetched["diff"]["after"] == {"path": str(path), "state": "file", "backup_id": dump["id"], "parts": 1,
                                        "created_at": fetched["backup"]["created_at"], "mode": "0600"}
    assert (again["sha256"], again["bytes_received"], again["files"]) == (fetched["sha256"], 0, fetched["files"])
    # Looking asks for no URL: list and files only.
    assert host.asked() == (["list", "files"] + ["list", "files", "file", "storage"] + ["list", "files"] * 2
                            + ["list", "files", "file", "storage"])
    assert [entry["token"] for entry in host.sandbox.requests(route="storage")] == ["none", "none"]


def test_parts(host, blob):
    backup = {"source": host.sandbox.uid("crm"), "id": blob["id"]}
    joined, kept, again, narrow = host.fetch(
        {**backup, "dest": str(host.target / "whole.tar")},
        {**backup, "dest": str(host.target), "parts": "keep", "mode": "0640"},
        {**backup, "dest": str(host.target), "parts": "keep", "mode": "0640"},
        {**backup, "dest": str(host.target / "one.tar"), "workers": 1, "checksum": "sha256:" + blob["sha256"].upper()},
    )
    for result in (joined, narrow):
        assert sha256(result["dest"]) == result["sha256"] == blob["sha256"]
        assert [file["path"] for file in result["files"]] == [None] * 4
    assert kept["sha256"] == blob["sha256"]
    assert [file["id"] for file in kept["files"]] == blob["files"]
    assert [sha256(file["path"]) for file in kept["files"]] == [file["sha256"] for file in kept["files"]]
    assert b"".join(Path(file["path"]).read_bytes() for file in kept["files"]) == Path(joined["dest"]).read_bytes()
    assert {stat.S_IMODE(Path(file["path"]).stat().st_mode) for file in kept["files"]} == {0o640}
    assert stat.S_IMODE(Path(kept["dest"]).stat().st_mode) == 0o750
    assert (kept["changed"], again["changed"], again["files"]) == (True, False, kept["files"])
    for number in range(1, 5):
        assert "[localhost] backup %s: part %d of 4 (" % (blob["id"], number) in host.output


def test_what_is_there_already(host, dump):
    path = host.target / "newest.tar"
    backup = {"id": dump["id"], "dest": str(path)}
    line = {"path": str(path), "line": "damaged", "create": True, "mode": "0644"}
    damage = {"task": {"ansible.builtin.lineinfile": line}}
    results = host.fetch(
        damage, {**backup, "check_mode": True}, backup,
        damage, {**backup, "check_mode": True}, backup,
        {"task": {"ansible.builtin.file": {"path": str(path), "mode": "0644"}}}, {**backup, "check_mode": True}, backup,
        {"task": {"ansible.builtin.shell": "rm -f %s/.newest*" % host.target}},
        {**backup, "checksum": dump["sha256"]}, {**backup, "check_mode": True},
    )
    results = [one for one in results if "backup" in one]
    assert [one["changed"] for one in results] == [True, True, True, True, True, True, False, True]
    # Foreign bytes and damaged bytes are replaced, a wrong mode is mended without a fetch, a checksum proves without
    # a note.
    for check, real in ((0, 1), (2, 3), (4, 5)):
        assert results[check]["diff"] == results[real]["diff"]
    assert [results[number]["diff"]["before"]["backup_id"] for number in (0, 2, 4)] == [None, dump["id"], dump["id"]]
    assert [results[number]["diff"]["before"]["mode"] for number in (0, 2, 4)] == ["0644"] * 3
    assert results[5]["bytes_received"] == results[6]["bytes_received"] == 0
    assert sha256(path) == dump["sha256"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_names_from_the_service_stay_in_dest(host, dump):
    host.sandbox.change("shop", dump["id"], database_name="../../../etc/cron.d/\x1b[31mevil\n", db_type="..")
    try:
        result = host.fetch({"id": dump["id"], "dest": str(host.target)})
    finally:
        host.sandbox.change("shop", dump["id"], database_name="shop", db_type="postgresql")
    path = Path(result["dest"])
    assert path.parent == host.target
    assert path.name.isprintable() and not path.name.startswith(".")
    assert sha256(path) == dump["sha256"]


# -- what is refused -----------------------------------------------------------------------------------------------


def test_bad_input(host, dump, sandbox):
    (failed,) = sandbox.backup("shop", status=1, result="Not enough free space. You need at least 10 MB")
    # The failed one is newer, and latest passes over it.
    (host.target / "a-file").write_text("x")
    (host.target / "taken").mkdir()
    place, backup = str(host.target), {"id": dump["id"]}
    cases = [
        ({**backup, "dest": place + "/missing/x.tar"}, "bad_dest", place + "/missing"),
        ({**backup, "dest": place + "/missing/"}, "bad_dest", place + "/missing/"),
        ({**backup, "dest": place + "/a-file/"}, "bad_dest", "not a folder"),
        ({**backup, "dest": place + "/a-file/x.tar"}, "bad_dest", "not a folder"),
        ({**backup, "dest": place + "/a-file", "parts": "keep"}, "bad_dest", "parts: keep needs a folder"),
        ({**backup, "dest": place + "/new", "parts": "keep"}, "bad_dest", "does not exist"),
        ({**backup, "dest": "/proc/x.tar"}, "bad_dest", "/proc"),
        ({**backup, "dest": ""}, "bad_option", "dest: is empty"),
        ({**backup, "dest": place + "/x", "mode": "rwx"}, "bad_option", "mode: 'rwx'"),
        ({**backup, "dest": place + "/x", "owner": "no-such-user"}, "bad_option", "owner: the host knows no user"),
        ({**backup, "dest": place + "/x", "group": "no-such-group", "check_mode": True}, "bad_option", "group: "),
        ({**backup, "dest": place + "/x", "checksum": "md5:" + "d41d8cd9" * 4}, "bad_option", "checksum"),
        ({**backup, "dest": place + "/x", "latest": True}, "bad_option", "either its id, or latest"),
        ({"dest": place + "/x"}, "bad_option", "either its id, or latest"),
        ({**backup, "dest": place + "/x", "engine": "mysql"}, "bad_option", "engine: backup %s is of" % dump["id"]),
        ({**backup, "dest": place + "/x", "_plan": "{}"}, "bad_option", "_plan"),
        ({**backup, "dest": place + "/x", "workers": 0}, "bad_option", "workers"),
        ({"latest": True, "dest": place + "/x", "database": "nothing"}, "no_backups", "with database nothing"),
        ({"id": "999999", "dest": place + "/x"}, "not_found", "404"),
        ({**backup, "source": "nowhere", "dest": place + "/x"}, "not_found", "404"),
        ({**backup, "dest": place + "/x", "api_token": "wrong"}, "unauthenticated", "401"),
        ({**backup, "dest": place + "/x", "api_token": ""}, "bad_option", "api_token"),
        ({"id": str(failed), "dest": place + "/x"}, "backup_failed", "Not enough free space"),
        ({**backup, "dest": place + "/a-file", "checksum": "sha256:" + "0" * 64}, "checksum_mismatch", "as it was"),
    ]
    results = host.fetch(*[options for options, dummy, words in cases],
                         {"latest": True, "dest": place + "/latest.tar"})
    for (options, code, words), result in zip(cases, results):
        assert result["failed"], options
        assert result["failure"]["code"] == code, (options, result["msg"])
        assert words in result["msg"], (options, result["msg"])
    assert results[-1]["backup"]["id"] == dump["id"]
    assert (host.target / "a-file").read_text() == "x"
    assert host.left() == [".a-file.partial/data", ".a-file.partial/lock", ".a-file.partial/progress",
                           ".a-file.partial/state.json", ".latest.tar.restorable.json", "a-file", "latest.tar"]


def test_a_failed_backup_is_fetched_by_force_only(host, sandbox, blob):
    sandbox.change("crm", blob["id"], backup_status=1)
    try:
        forced = host.fetch({"source": sandbox.uid("crm"), "id": blob["id"], "force": True, "dest": str(host.target)})
    finally:
        sandbox.change("crm", blob["id"], backup_status=0)
    assert (forced["sha256"], forced["backup"]["status"]) == (blob["sha256"], "failed")


def test_latest_of_several_databases_is_ambiguous(host, sandbox, dump):
    other = sandbox.blob("shop", 10000)
    sandbox.change("shop", other["id"], db_type="redis", database_name="cache")
    try:
        unclear, clear = host.fetch({"latest": True, "dest": str(host.target)},
                                    {"latest": True, "database": "cache", "dest": str(host.target)})
    finally:
        sandbox.delete("shop", other["id"])
    assert "postgresql shop, redis cache" in unclear["msg"]
    assert clear.get("sha256") == other["sha256"], clear


def test_no_python_on_the_host_is_said(host, dump):
    result = host.fetch({"id": dump["id"], "dest": str(host.target),
                         "vars": {"ansible_python_interpreter": "/nonexistent/python"}})
    assert result["failed"]
    assert "/nonexistent/python" in result["msg"]


def test_async_is_refused(host, dump):
    result = host.fetch({"id": dump["id"], "dest": str(host.target), "async": 10, "poll": 0})
    assert result["failed"] and "async" in result["msg"]


# -- a storage and an API that misbehave ---------------------------------------------------------------------------


def test_faults_of_the_storage(host, blob):
    backup = {"source": host.sandbox.uid("crm"), "id": blob["id"]}
    half = MIB
    kinds = [
        ("truncate", {"times": 3, "bytes": half}), ("reset", {"times": 2, "bytes": half}),
        ("status", {"times": 2, "code": 503}), ("error_page_200", {"times": 2}), ("html", {"times": 2}),
        ("expire", {"times": 1}), ("expire", {"after": 2, "times": 1}), ("no_length", {}), ("no_range", {}),
        ("etag_change", {}), ("stall", {"times": 1, "bytes": half, "seconds": 30}),
    ]
    steps = []
    for number, (kind, options) in enumerate(kinds):
        steps.append(host.fault(kind, route="storage", **options))
        # A stall is waited for as long as any answer.
        timeout = {"api_timeout": 1} if kind == "stall" else {}
        steps.append({**backup, "dest": str(host.target / ("%d-%s" % (number, kind))), **timeout})
    results = [one for one in host.fetch(*steps) if "stdout" not in one]
    for (kind, options), result in zip(kinds, results):
        assert not result.get("failed"), (kind, result["msg"])
        assert result["sha256"] == sha256(result["dest"]) == blob["sha256"], kind
    # Of a connection that broke, only the rest is fetched.
    for number in (0, 1):
        assert results[number]["bytes_received"] < 10 * MIB


def test_faults_that_do_not_end(host, blob):
    backup = {"source": host.sandbox.uid("crm"), "id": blob["id"], "api_retries": 1}
    kinds = [
        ("expire", {}, "also with a fresh URL"), ("status", {"code": 404}, "404"),
        ("error_page_200", {}, "InternalError"),
        ("html", {}, "a page in place of the backup"),
        ("status", {"code": 200, "body": "hello this is text", "content_type": "text/plain"}, "text in place of"),
        ("status", {"code": 200, "body": '{"error": "nope"}', "content_type": "application/json"}, "json in place of"),
        ("truncate", {"bytes": 0}, "closed the connection"),
    ]
    steps = []
    (host.target / "old.tar").write_text("old")
    for kind, options, dummy in kinds:
        steps += [host.fault(kind, route="storage", **options), {**backup, "dest": str(host.target / "old.tar")}]
    results = [one for one in host.fetch(*steps) if "stdout" not in one]
    for (kind, dummy, words), result in zip(kinds, results):
        assert result["failed"] and words in result["msg"], (kind, result["msg"])
        assert result["failure"]["code"] == "storage"
        assert "same task again" in result["msg"]
    assert host.left() == ["old.tar"]
    assert (host.target / "old.tar").read_text() == "old"


def test_a_url_that_expires_between_two_parts(host, blob):
    """Every part's URL is already expired when it is first handed out, and is asked for once more."""
    host.sandbox.fault("expire", route="file", times=4)
    result = host.fetch({"source": host.sandbox.uid("crm"), "id": blob["id"], "dest": str(host.target)})
    assert result["sha256"] == blob["sha256"]
    assert len(host.asked("file")) == 8


def test_when_the_api_fails_in_the_middle(host, blob):
    """What has arrived is kept, the destination is let go of, and the next run goes on at once."""
    backup = {"source": host.sandbox.uid("crm"), "id": blob["id"], "dest": str(host.target / "x.tar"), "workers": 2}
    host.sandbox.fault("status", route="file", code=403, after=2)
    failed = host.fetch(backup)
    assert failed["failed"] and "403" in failed["msg"]
    host.sandbox.clear_faults()
    # No run is noted there, so none is waited for. (The clock would tell of the machine's other work too.)
    assert json.loads((host.target / ".x.tar.partial" / "state.json").read_text())["run"] is None
    result = host.fetch(backup)
    assert result["bytes_resumed"] == result["bytes_received"] == 4 * MIB
    assert result["sha256"] == blob["sha256"]


def test_slices_and_progress(host, sandbox):
    large = sandbox.blob("crm", 40 * MIB)
    sandbox.fault("stall", route="storage", bytes=10 * MIB, seconds=20, times=2)
    result = host.fetch({"source": sandbox.uid("crm"), "id": large["id"], "dest": str(host.target),
                         "progress_interval": 1})
    assert result["sha256"] == large["sha256"]
    assert result["bytes_received"] == 40 * MIB
    assert "[localhost] backup %s: 10.0 MiB of 40.0 MiB, " % large["id"] in host.output
    assert "[localhost] backup %s: 20.0 MiB of 40.0 MiB, " % large["id"] in host.output
    # A URL is used again while it is young.
    assert (len(host.asked("file")), len(host.asked("storage"))) == (1, 3)


# -- at the worst moment -------------------------------------------------------------------------------------------


def test_killed_at_random_points(host, sandbox):
    """kill -9 of everything, several times; the destination is absent, old or right, and no byte is fetched twice."""
    look, arrived = load("_receive._partial").look, 0
    size = 64 * MIB
    large = sandbox.blob("crm", size, 4)
    path = host.target / "x.tar"
    path.write_text("old")
    chance = random.Random(7)
    sandbox.fault("latency", route="storage", seconds=0.15)
    for number in range(6):
        # Half of the parts stall on their way, so that the kill finds them there.
        sandbox.fault("stall", route="storage", bytes=chance.randrange(MIB, 8 * MIB), seconds=60, times=2)
        command = host.command({"source": sandbox.uid("crm"), "id": large["id"], "dest": str(path)})
        asked = len(host.asked("storage"))
        process = subprocess.Popen(command, cwd=host.folder, env=host.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        # However long Ansible takes to start: bytes are on their way.
        give_up = time.monotonic() + 120
        while len(host.asked("storage")) == asked and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 1.2))
        kill_all(process)
        whole = sha256(path) == large["sha256"]
        assert whole or path.read_text() == "old", number
        sandbox.clear_faults()
        if whole:
            break
        # By what is there, not by what the storage sent: that may have died in the buffers of a connection.
        before, arrived = arrived, look(str(host.target / ".x.tar.partial"))[2]
        assert arrived >= before, number
    result = host.fetch({"source": sandbox.uid("crm"), "id": large["id"], "dest": str(path)})
    assert not result.get("failed"), result
    assert sha256(path) == large["sha256"]
    assert host.left() == [".x.tar.restorable.json", "x.tar"]
    assert whole or arrived
    assert whole or (result["bytes_resumed"], result["bytes_received"]) == (arrived, size - arrived)


def kill_all(process):
    """A process and all that came of it, also what has made itself a session of its own, at once."""
    numbers, parents = [process.pid], {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    for number in numbers:
        numbers += parents.get(number, [])
    for number in numbers:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def test_two_at_once(host, sandbox, blob):
    # However long the second one takes to start: the first is at work, in one slice, until the storage goes on.
    options = {"source": sandbox.uid("crm"), "id": blob["id"], "dest": str(host.target / "x.tar"),
               "progress_interval": 0, "api_timeout": 300}
    sandbox.fault("stall", route="storage", bytes=MIB, seconds=280)
    first = subprocess.Popen(host.command(options), cwd=host.folder, env=host.environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    give_up = time.monotonic() + 60
    while not host.asked("storage") and time.monotonic() < give_up:
        time.sleep(0.1)
    (host.folder / "second").mkdir()
    second = Host(host.folder / "second", sandbox).fetch(options)
    assert second["failed"]
    assert second["failure"]["code"] == "busy"
    assert "another run is fetching to this destination" in second["msg"]
    # Until here the storage has kept the first one waiting.
    sandbox.clear_faults()
    output, dummy = first.communicate(timeout=120)
    assert first.returncode == 0, output
    assert sha256(host.target / "x.tar") == blob["sha256"]


def in_a_small_file_system(folder, size):
    """The beginning of a command whose rest sees a small file system at the folder; it vanishes with the command."""
    own_users = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = "mount -t tmpfs -o size=%d,mode=755 tmpfs %s && exec \"$@\"" % (size, folder)
    return ["unshare", "--mount", *own_users, "sh", "-c", mount, "sh"]


def test_a_full_disk(host, sandbox, blob):
    """Noticed before the first byte where sizes are known; the space is given back where it runs out on the way."""
    wrap = in_a_small_file_system(host.target, 6 * MIB)
    probe = subprocess.run([*wrap, "true"], capture_output=True, check=False)
    options = {"source": sandbox.uid("crm"), "id": blob["id"], "dest": str(host.target / "x.tar")}
    look = "cd %s; ls -A; cat x.tar; df -P . | awk 'END {print $4}'" % host.target
    old = {"task": {"ansible.builtin.shell": "echo old > %s/x.tar" % host.target}}
    looks = [{"task": {"ansible.builtin.shell": look, "register": "found_%d" % number}} for number in (3, 6)]
    clear = host.fault("latency", route="list", seconds=0)
    if probe.returncode:
        # Neither root nor namespaces: a limit on the size of files shows at least that a failed write harms nothing.
        (host.target / "x.tar").write_text("old")
        result = host.fetch(options, wrap=["sh", "-c", "ulimit -f 6144; exec \"$@\"", "sh"])
        assert result["failed"] and str(host.target) in result["msg"]
        assert (host.target / "x.tar").read_text() == "old"
        return
    filled, first, early, second = [one for one in host.fetch(
        old, host.fault("no_length", route="storage"), options, looks[0], clear, options, looks[1], wrap=wrap
    ) if one.get("stdout") != ""]
    for result in (filled, early):
        assert result["failed"]
        assert result["failure"]["code"] == "no_space"
        assert str(host.target) in result["msg"]
    details = early["failure"]["details"]
    assert 0 < details["free_bytes"] < details["needed_bytes"] <= 8 * MIB
    assert first["stdout_lines"][:-1] == ["x.tar", "old"]
    assert int(first["stdout_lines"][-1]) > 5 * 1024
    assert second["stdout_lines"][-2] == "old"


# -- what nobody may see, and what it may cost ---------------------------------------------------------------------


def test_no_secret_in_any_output(host, sandbox, dump, blob):
    """At the highest verbosity, with the log of ansible-core's own debugging, also when things go wrong."""
    host.environment.update(ANSIBLE_DEBUG="1", ANSIBLE_LOG_PATH=str(host.folder / "log"))
    secret = sandbox.token
    del host.environment["CLOUD66_TOKEN"]
    crm = {"source": sandbox.uid("crm"), "id": blob["id"]}
    results = host.fetch(
        {"latest": True, "dest": str(host.target), "environment": {"CLOUD66_TOKEN": secret, "HARMLESS": "seen"}},
        {"latest": True, "dest": str(host.target), "api_token": secret, "parts": "keep", "check_mode": True},
        host.fault("expire", route="storage"), {**crm, "dest": str(host.target), "api_token": secret},
        host.fault("error_page_200", route="storage"),
        {**crm, "dest": str(host.target), "api_token": secret, "api_retries": 0},
        {"latest": True, "dest": str(host.target) + "/missing/x", "api_token": secret},
        arguments=["-vvvvv", "--diff"],
    )
    assert [one.get("failed", False) for one in results if "stdout" not in one] == [False, False, True, True, True]
    everything = host.output + (host.folder / "log").read_text(errors="replace") + json.dumps(results)
    assert "_execute_module" in everything and "HARMLESS=seen" in everything
    for pattern in (secret, "Signature=", "AWSAccessKeyId", "X-Amz", "Expires="):
        assert pattern not in everything.replace("play.json", "")
    assert secret not in everything


def test_memory_and_libraries_of_the_host(host, sandbox):
    """Less than 100 MiB whatever the size, by a Python that sees nothing but its own library."""
    large = sandbox.blob("crm", 300 * MIB, 6)
    interpreter = host.folder / "python"
    interpreter.write_text(
        # The shell starts it: no path with a space in it can stand behind #!.
        "#!/bin/sh\n'''exec' %s -IS \"$0\" \"$@\"\n' '''\nimport resource, subprocess, sys\n"
        "code = subprocess.run([sys.executable, '-IS'] + sys.argv[1:]).returncode\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "with open(%r, 'a') as log:\n    log.write('%%d\\n' %% peak)\n"
        "sys.exit(code)\n" % (shlex.quote(sys.executable), str(host.folder / "memory")))
    interpreter.chmod(0o755)
    result = host.fetch({"source": sandbox.uid("crm"), "id": large["id"], "dest": str(host.target)},
                        ansible_python_interpreter=str(interpreter))
    assert result["sha256"] == large["sha256"], result
    kibibytes = [int(line) for line in (host.folder / "memory").read_text().split()]
    assert 0 < max(kibibytes) < 100 * 1024


def test_tls(tmp_path):
    """A private authority is trusted on the host although its file lies on the controller; without it nothing is."""
    with Sandbox.start(stacks="crm", tls=True) as secure:
        blob = secure.blob("crm", MIB, 2)
        options = {"source": secure.uid("crm"), "id": blob["id"]}
        host = Host(tmp_path, secure)
        trusted, untrusted, careless = host.fetch(
            {**options, "dest": str(host.target / "trusted"), "ca_path": secure.ca_path},
            {**options, "dest": str(host.target / "untrusted")},
            {**options, "dest": str(host.target / "careless"), "validate_certs": False},
        )
        assert trusted["sha256"] == careless["sha256"] == blob["sha256"]
        assert untrusted["failed"] and "certificate" in untrusted["msg"]

        sys.path.insert(0, str(tree.TREE))
        from ansible_collections.restorable.backups.plugins.module_utils._receive import _storage

        with pytest.raises(_storage.StorageError) as caught:
            _storage.Storage().open(secure.url + "/storage/x?Signature=sEcReT")
        assert (caught.value.kind, "certificate" in str(caught.value)) == ("final", True)
        with pytest.raises(_storage.StorageError) as caught:
            _storage.Storage(ca_data=Path(secure.ca_path).read_text()).open(secure.url + "/storage/x?Signature=sEcReT")
        assert "answered 4" in str(caught.value)
