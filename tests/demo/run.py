# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole story in about a minute: real databases get backups, one loses them, one is fetched, read and proven.

Run by `make demo`. Everything happens on this machine, in build/demo. Ends with 0 only if all of it held.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PLACE = ROOT / "build" / "demo"
sys.path[:0] = [str(ROOT / "tests" / "sandbox"), str(ROOT / "tests" / "tools")]

import tree  # noqa: E402
from client import Sandbox, SandboxError  # noqa: E402

STACKS = ("shop", "crm", "blog")
VICTIM = "blog"
FETCHED = "shop"
COMMAND_SECONDS = 120
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Broken(Exception):
    """Something did not hold; the message says what."""


# ---------------------------------------------------------------- telling


def chapter(title: str) -> None:
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n== {title}", flush=True)


def say(text: str) -> None:
    for line in text.splitlines() or [""]:
        print(f"   {line}".rstrip(), flush=True)


def expect(held: bool, claim: str) -> None:
    """State a claim that was just proven; or end the demo with it."""
    if not held:
        raise Broken(f"this did not hold: {claim}")
    say(f"\u2713 {claim}")


# ---------------------------------------------------------------- commands


class Controller:
    """The machine that Ansible runs on: a folder, an environment, and the commands a person would type there."""

    def __init__(self, environment: dict[str, str]):
        self.environment = environment
        self.count = 0

    def run(self, *words: str, show: str | None = None, want: int = 0) -> str:
        """Run a command, print its line and those lines of its output that match, and return all of the output."""
        print(f" $ {shlex.join(words)}", flush=True)
        self.count += 1
        log = PLACE / "log" / f"{self.count:02d}-{Path(words[0]).name}.txt"
        with log.open("w+", encoding="utf-8") as stream:
            process = subprocess.Popen(words, cwd=PLACE, env=self.environment, stdin=subprocess.DEVNULL,
                                       stdout=stream, stderr=subprocess.STDOUT)
            try:
                code = process.wait(timeout=COMMAND_SECONDS)
            except subprocess.TimeoutExpired:
                raise Broken(f"{words[0]} did not end within {COMMAND_SECONDS} s") from None
            finally:
                stop(process)
            stream.seek(0)
            output = stream.read()
        if show:
            say("\n".join(line for line in output.splitlines() if re.search(show, line)))
        if code != want:
            print(output)
            raise Broken(f"{words[0]} ended with {code} instead of {want}; its output is above and in {log}")
        return output


def stop(process: subprocess.Popen) -> None:
    for ask in (process.terminate, process.kill):
        if process.poll() is not None:
            return
        ask()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


def recap(output: str) -> dict[str, dict[str, int]]:
    """Ansible's own summary: host -> {ok, changed, failed, ...}."""
    hosts = {}
    for line in output.partition("PLAY RECAP")[2].splitlines():
        found = re.match(r"(\S+)\s*:((?:\s+\w+=\d+)+)", line)
        if found:
            hosts[found[1]] = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", found[2])}
    return hosts


def records() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (PLACE / "results").glob("*.json")}


# ---------------------------------------------------------------- the story


def write_inventory(sandbox: Sandbox, now: datetime) -> None:
    # Daily, about ten hours ago by the time we return to the present: the last but one run is then more than a day
    # old and less than two, at whatever hour of the day this demo is run.
    text = (HERE / "hosts.yml.in").read_text(encoding="utf-8")
    uids = {f"{stack['name']}_uid": stack["uid"] for stack in sandbox.stacks}
    login = sandbox.login(FETCHED)
    values = {"hour": (now - timedelta(hours=10)).hour, "python": sys.executable, "fetched": PLACE / "fetched",
              "proofs": PLACE / "proofs", **uids, **{f"live_{name}": value for name, value in login.items()}}
    (PLACE / "hosts.yml").write_text(string.Template(text).substitute(values), encoding="utf-8")


def controller_environment(sandbox: Sandbox, temporary: Path) -> dict[str, str]:
    """What a person would export, and nothing of this shell's Ansible settings or credentials."""
    foreign = ("ANSIBLE_", "CLOUD66_", "RESTORABLE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    if not re.search(r"utf-?8", kept.get("LC_ALL") or kept.get("LC_CTYPE") or kept.get("LANG") or "", re.I):
        kept["LC_ALL"] = "C.UTF-8"
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "ANSIBLE_COLLECTIONS_PATH": str(tree.TREE),
        "ANSIBLE_CONFIG": str(PLACE / "ansible.cfg"),
        "ANSIBLE_HOME": str(PLACE / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "TMPDIR": str(temporary),
        "CLOUD66_API_URL": sandbox.api_url,
        "CLOUD66_TOKEN": sandbox.token,
    }


def tell(sandbox: Sandbox, now: datetime, temporary: Path) -> None:
    write_inventory(sandbox, now)
    controller = Controller(controller_environment(sandbox, temporary))
    playbook = ("ansible-playbook", "-i", "hosts.yml")
    in_recap = r"^\w+ +: ok="

    chapter(f"Three stacks with real databases, no backups; the sandbox's clock stands at {now - timedelta(hours=60):%a %H:%M}")
    for name in STACKS:
        tables = sandbox.tables(name)
        say(f"{name:5} {sandbox.uid(name)}  {len(tables)} tables, {sum(tables.values()):,} rows")

    chapter("Ask for daily backups of all of them")
    say("(in build/demo, with the sandbox's address in CLOUD66_API_URL and its token in CLOUD66_TOKEN)")
    output = controller.run(*playbook, "restorable.backups.protect", show=in_recap)
    hosts = recap(output)
    expect(all(hosts[name]["changed"] == 1 for name in STACKS), "every host changed: one backup task each")
    expect(len(sandbox.posts()) == len(STACKS), f"the service was sent {len(STACKS)} POSTs, one per stack")
    expect({record["status"] for record in records().values()} == {"pending"},
           "the hosts are recorded as pending: a task without its first backup is no violation yet")

    chapter("Time passes")
    ran = sandbox.set_clock((now - timedelta(hours=30)).isoformat())
    say(f"30 hours later: {ran} pg_dumps have run")
    sandbox.schedule(VICTIM, running=False)
    say(f"somebody pauses the schedule of {VICTIM}, and tells nobody")
    ran += sandbox.set_clock("now")
    say(f"30 hours later it is now: {ran} pg_dumps have run")
    expect(ran == 8, "real dumps were made: three of two stacks, two of the paused one")

    chapter("Run the same again")
    output = controller.run(*playbook, "restorable.backups.protect", show=in_recap, want=2)
    hosts = recap(output)
    expect(all(hosts[name]["changed"] == 0 for name in STACKS), "nothing changed")
    expect(len(sandbox.posts()) == len(STACKS), "no further POST was sent")
    expect([name for name in STACKS if hosts[name]["failed"]] == [VICTIM], f"only {VICTIM} failed")

    chapter("Check, without touching anything")
    controller.run(*playbook, "restorable.backups.check", show=r"fatal:.*FAILED|^\w+ +: ok=", want=2)
    found = records()
    stale = [violation["code"] for violation in found[VICTIM]["violations"]]
    expect("stale" in stale, f"{VICTIM} breaks its policy: {', '.join(stale)}")
    others = [name for name in STACKS if name != VICTIM]
    expect(all(found[name]["status"] == "ok" for name in others), f"{' and '.join(others)} keep it")

    chapter(f"Fetch the newest backup of {FETCHED}")
    controller.run(*playbook, "restorable.backups.fetch", "--limit", FETCHED, show=in_recap)
    fetch = records()[FETCHED]["fetch"]
    path = Path(fetch["dest"])
    say(f"{path.relative_to(PLACE)}  {fetch['size_bytes']:,} bytes  sha256 {fetch['sha256'][:16]}...")
    expect(hashlib.sha256(path.read_bytes()).hexdigest() == fetch["sha256"], "the recorded sha256 is that of the file")

    chapter("Read it to its last byte")
    output = controller.run("ansible", FETCHED, "-i", "hosts.yml", "-m", "restorable.backups.backup_file_verify",
                            "-a", f"path={path}", show=r"^\w+ \| |\"(valid|format|tool_version|end_mark|rows)\":")
    expect('"valid": true' in output, "every checksum fits, every statement ends, every row is counted")

    chapter("Prove it: restore it into a scratch database, and compare that with the live one")
    controller.run(*playbook, "restorable.backups.drill", "--limit", FETCHED, show=in_recap)
    drill = records()[FETCHED]["drill"]
    proof = json.loads(Path(drill["proof_path"]).read_text(encoding="utf-8"))
    [restored] = proof["restored"]
    say(f"{Path(drill['proof_path']).relative_to(PLACE)}")
    say(f"backup {proof['backup_id']} of {FETCHED}, file sha256 {proof['file']['sha256'][:16]}...")
    say(f"restored by PostgreSQL {restored['server_version']} in {restored['timings']['restore']:.1f} s,"
        f" with all else in {proof['timings']['total']:.1f} s")
    for assertion in restored["asserted"]:
        say(f"{'held' if assertion['held'] else 'BROKEN':6} {assertion['what']}")
    saved, live = {table["name"].partition(".")[2]: table["rows"] for table in restored["tables"]}, sandbox.tables(FETCHED)
    say(f"{'TABLE':16} {'RESTORED':>10} {'LIVE':>10}")
    for table in sorted(saved.keys() | live.keys()):
        say(f"{table:16} {saved.get(table, '-'):>10} {live.get(table, '-'):>10}")
    expect(proof["proven"] and saved == live and sum(saved.values()) > 0, "every table and every row came back")
    expect(len(restored["checksums"]) == len(live), "and every table has the checksum of the live one")
    left = list(Path(controller.environment["TMPDIR"]).glob("rb[df]-*"))
    expect(not left, "nothing is left of the fetched copy, the scratch database and its server")

    chapter("One ad-hoc command for the whole fleet (crm and blog have no Python, and no machine answers there)")
    output = controller.run("ansible", "all", "-i", "hosts.yml", "-m", "restorable.backups.backup_check",
                            "-a", "max_age=26h", show=r"^\w+ \| |\"msg\"", want=2)
    verdicts = dict(re.findall(r"^(\w+) \| (\w+)", output, re.M))
    expect(verdicts == {name: "FAILED" if name == VICTIM else "SUCCESS" for name in STACKS}, f"{VICTIM} fails, the others pass")

    chapter("The report")
    output = controller.run("ansible-playbook", "restorable.backups.report", "-e", "protect_results_dir=results")
    shown = output.partition("[Merge the records]")[2].partition("\n")[2].partition("\nok: [localhost]")[0]
    say(shown)
    report = json.loads((PLACE / "backup-report.json").read_text(encoding="utf-8"))
    counts = report["summary"]
    expect((counts["hosts"], counts["ok"], counts["violations"]) == (3, 2, 1) and "stale" in shown,
           "the table and build/demo/backup-report.json agree: two ok, one with violations")

    log = "".join(path.read_text(encoding="utf-8") for path in (PLACE / "log").iterdir())
    expect(sandbox.token not in log and "Signature" not in log, "no token and no signed URL in any output")


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """An empty build/demo that no other demo of this checkout uses."""
    PLACE.parent.mkdir(exist_ok=True)
    with (PLACE.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Broken("another demo of this checkout is running") from None
        shutil.rmtree(PLACE, ignore_errors=True)
        (PLACE / "log").mkdir(parents=True)
        (PLACE / "fetched").mkdir()
        (PLACE / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
        yield


def interrupted(number: int, _frame: object) -> None:
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # an impatient second Ctrl-C must not keep us from stopping the rest
    raise Broken(f"stopped by {signal.Signals(number).name}")


def main() -> int:
    for number in SIGNALS:
        signal.signal(number, interrupted)
    start = time.monotonic()
    try:
        with only_one():
            tree.make_tree()
            now = datetime.now(timezone.utc).replace(microsecond=0)
            # Where a server that does not run as root can go, with a path that is short enough for sockets.
            with (tempfile.TemporaryDirectory(prefix="demo-") as temporary,
                  Sandbox.start(PLACE / "sandbox", stacks=",".join(STACKS), now="-60h") as sandbox):
                Path(temporary).chmod(0o755)
                tell(sandbox, now, Path(temporary))
    except (Broken, SandboxError) as reason:
        print(f"\nThe demo failed: {reason}", file=sys.stderr)
        return 1
    chapter(f"All of it held, in {time.monotonic() - start:.0f} s. Everything is stopped; build/demo has what is left.")
    say("Try it by hand: make sandbox, then see tests/sandbox/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
