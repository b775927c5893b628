# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backupman: why "finished" is not "good"."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sandbox.client import Sandbox  # noqa: E402
from sandbox.databases import find_programs  # noqa: E402

ZERO = "0001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox.start(stacks="shop,crm", now="2026-03-01T00:00:00Z") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.service("backupman", "DELETE", "/backups")
    running.clear_requests()
    yield running
    running.clear_faults()
    running.reset_switches()


def results(sandbox: Sandbox) -> list[dict[str, Any]]:
    status, answer = sandbox.backupman("GET", "/api/backups")
    assert status == 200
    return list(answer["Results"])


def download(sandbox: Sandbox, record: dict[str, Any]) -> tuple[int, Any]:
    status, answer = sandbox.backupman("GET", f"/api/backups/{record['Id']}/generate-download-url")
    return sandbox.backupman("GET", answer["Url"].removeprefix(sandbox.url)) if status == 200 else (status, answer)


def restored(sandbox: Sandbox, path: str, sql: str) -> str:
    """Put a dump into an empty database and ask it something; what psql complains about, if it does."""
    sandbox.sql("shop", "DROP DATABASE IF EXISTS restored")
    sandbox.sql("shop", "CREATE DATABASE restored TEMPLATE template0")
    stack = sandbox.stack("shop")
    done = subprocess.run(
        [str(find_programs() / "psql"), "-h", stack["socket_dir"], "-p", str(stack["port"]), "-U", stack["user"],
         "-d", "restored", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", path, "-c", sql],
        capture_output=True, text=True, timeout=120, check=False)
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 else done.stderr


def test_a_post_starts_all_sources(sandbox: Sandbox) -> None:
    assert sandbox.ready["backupman"]["labels"] == ["shop", "crm"]
    assert sandbox.backupman("POST", "/api/backups") == (200, {"Message": "Backup started"})
    sandbox.settle()
    found = {record["Label"]: record for record in results(sandbox)}
    assert set(found) == {"shop", "crm"}
    assert {record["Status"] for record in found.values()} == {"finished"}
    [file] = found["crm"]["DriveFiles"]
    assert file["BackupId"] == found["crm"]["Id"] and file["Path"].endswith(".sql") and found["crm"]["DumpPath"] == ""
    status, content = download(sandbox, found["crm"])
    assert status == 200 and content.splitlines()[-1].startswith(b"-- Dump completed on 2026-03-01")
    assert b"COPY public.customers" in content
    facts = sandbox.service("backupman", "GET", f"/backups/{found['crm']['Id']}")
    count = str(sandbox.tables("crm")["customers"])
    assert restored(sandbox, facts["path"], "SELECT count(*) FROM public.customers") == count
    assert [entry["token"] for entry in sandbox.requests(route="download")] == ["admin"]


def test_the_order_of_a_list_means_nothing(sandbox: Sandbox) -> None:
    sandbox.service("backupman", "POST", "/synthetic", count=50, label="shop")
    orders = {tuple(record["Id"] for record in results(sandbox)) for _time in range(3)}
    assert len(orders) == 3 and len({frozenset(order) for order in orders}) == 1


def test_two_sources_of_one_second_share_one_file(sandbox: Sandbox) -> None:
    sandbox.switch("backupman", collision=True)
    sandbox.sql("shop", "CREATE TABLE only_in_shop ()")
    sandbox.service("backupman", "POST", "/backup")
    shop, crm = sorted(results(sandbox), key=lambda record: record["Label"], reverse=True)
    assert shop["DriveFiles"][0]["Path"] == crm["DriveFiles"][0]["Path"]
    assert shop["DriveFiles"][0]["Id"] != crm["DriveFiles"][0]["Id"]
    content = download(sandbox, shop)
    assert content == download(sandbox, crm) and b"only_in_shop" not in content[1]


@pytest.mark.parametrize(("damage", "outcome"), [
    ("none", r"C:\new\table"), ("backslashes", "C:"), ("binary", "invalid byte sequence"),
    ("trailing_backslash", "missing data|invalid input")])
def test_a_finished_dump_may_be_worthless(sandbox: Sandbox, damage: str, outcome: str) -> None:
    sandbox.sql("shop", r"CREATE TABLE IF NOT EXISTS paths AS SELECT 1 AS id, 'C:\new\table'::text AS path")
    sandbox.switch("backupman", damage=damage)
    [number] = sandbox.service("backupman", "POST", "/backup", labels=["shop"])["ids"]
    facts = sandbox.service("backupman", "GET", f"/backups/{number}")
    assert facts["record"]["Status"] == "finished"
    assert b"\n-- Dump completed on" in Path(facts["path"]).read_bytes()[-60:]
    found = restored(sandbox, facts["path"], "SELECT split_part(path, chr(10), 1) FROM public.paths")
    assert any(word in found for word in outcome.split("|")), found
    assert damage != "backslashes" or found == outcome, "it has become C:, a line feed, ew, a tab and able"


def test_backups_that_never_end_fail_or_lose_their_file(sandbox: Sandbox) -> None:
    sandbox.switch("backupman", pending=True)
    sandbox.backupman("POST", "/api/backups")
    sandbox.settle()
    pending = results(sandbox)[0]
    assert pending["Status"] == "pending" and pending["DumpPath"].endswith(".sql") and pending["UpdatedAt"] == ZERO
    assert set(pending["DriveFiles"][0].values()) == {"", ZERO}, "the phantom"
    sandbox.switch("backupman", pending=False, no_files="null", in_memory=True)
    assert results(sandbox)[0]["DriveFiles"] is None and results(sandbox)[0]["CreatedAt"] == ZERO
    [failed] = sandbox.service("backupman", "POST", "/backup", labels=["crm"], status="failed")["ids"]
    [lost] = sandbox.service("backupman", "POST", "/backup", labels=["crm"])["ids"]
    sandbox.service("backupman", "DELETE", f"/backups/{lost}/file")
    by_id = {record["Id"]: record for record in results(sandbox)}
    assert (by_id[failed]["Status"], by_id[lost]["Status"]) == ("failed", "finished")
    assert download(sandbox, by_id[failed]) == (500, {"error": f"no valid drive found for backup {failed}"})
    status, answer = download(sandbox, by_id[lost])
    assert status == 500 and answer["Error"].endswith("no such file or directory")


def test_a_dump_lies_on_every_drive_once(sandbox: Sandbox) -> None:
    sandbox.switch("backupman", drives=3, provider="s3")
    [number] = sandbox.service("backupman", "POST", "/backup", labels=["crm"])["ids"]
    files = results(sandbox)[0]["DriveFiles"]
    assert [(file["Label"], file["Provider"]) for file in files] == [
        ("drive-1", "s3"), ("drive-2", "local"), ("drive-3", "local")]
    assert len({file["Id"] for file in files}) == len({file["Path"] for file in files}) == 3
    found = [sandbox.backupman("GET", f"/api/backups/{file['Id']}/download") for file in files]
    assert [status for status, _content in found] == [500, 200, 200]
    assert found[1] == found[2]
    sandbox.switch("backupman", drive_status="pending")
    sandbox.service("backupman", "POST", "/backup", labels=["shop"])
    [record] = [record for record in results(sandbox) if record["Label"] == "shop"]
    assert record["Status"] == "finished" and record["DriveFiles"][1]["Status"] == "pending"
    file = record["DriveFiles"][1]["Id"]
    assert sandbox.backupman("GET", f"/api/backups/{file}/download") == (
        500, {"Error": f"drive file {file} is not finished"})


def test_errors_are_spelt_in_three_ways_and_not_found_is_500(sandbox: Sandbox) -> None:
    path = "/api/backups/0c1d/generate-download-url"
    for style, answer in (("mixed", {"error": "no backup found with id 0c1d"}), ("empty", b""),
                          ("Error", {"Error": "no backup found with id 0c1d"})):
        sandbox.switch("backupman", error_style=style)
        assert sandbox.backupman("GET", path) == (500, answer)
    assert sandbox.backupman("GET", "/api/backups/0c1d") == (404, b"404 page not found")
    assert sandbox.backupman("DELETE", "/api/backups")[0] == 404
    assert sandbox.backupman("GET", "/api/backups", key="wrong") == (401, {"error": "Unauthorized"})
    sandbox.switch("backupman", no_key=True)
    assert sandbox.backupman("GET", "/api/backups")[0] == 401, "no key is configured: no key is right"


def test_health_is_always_200_and_leaves_junk(sandbox: Sandbox) -> None:
    assert sandbox.backupman("GET", "/ping", key="") == (200, {"message": "pong"})
    before = sandbox.service("backupman")["junk"]
    assert sandbox.backupman("GET", "/health", key="")[1]["Status"] == "UP"
    sandbox.switch("backupman", down=True)
    status, answer = sandbox.backupman("GET", "/health", key="")
    assert (status, answer["Status"], sandbox.service("backupman")["junk"]) == (200, "DOWN", before + 2)


def test_the_one_cron_of_the_server_runs_all_sources(sandbox: Sandbox) -> None:
    sandbox.switch("backupman", cron="30 15 */6 * * *")
    assert sandbox.advance("12h") == 4
    assert {record["CreatedAt"][14:17] for record in results(sandbox)} == {"15:"}
    sandbox.switch("backupman", cron=None)
    assert sandbox.advance("12h") == 0


def test_records_survive_a_kill(sandbox: Sandbox) -> None:
    sandbox.service("backupman", "POST", "/backup", labels=["crm"])
    sandbox.switch("backupman", dump_path="kept", app_url="https://backups.example.com")
    before = results(sandbox)
    sandbox.kill()
    sandbox.restart()
    assert results(sandbox) == before and before[0]["DumpPath"]
    path = f"/api/backups/{before[0]['Id']}/generate-download-url"
    url = sandbox.backupman("GET", path)[1]["Url"]
    assert url.startswith("https://backups.example.com/api/backups/")
    assert sandbox.backupman("GET", url.removeprefix("https://backups.example.com"))[0] == 200
