# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's own test: it has to keep its word before others can be tested by it. Run it with pytest."""

from __future__ import annotations

import http.client
import io
import os
import signal
import ssl
import subprocess
import sys
import tarfile
import time
import zlib
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sandbox.client import Sandbox, SandboxError  # noqa: E402


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox.start(now="-60h", part_size=16 << 10) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.clear_requests()
    yield running
    running.clear_faults()


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """GET without any help: the URL goes out as it is."""
    address = urlsplit(url)
    link = http.client.HTTPConnection(address.netloc, timeout=60)
    try:
        link.request("GET", f"{address.path}?{address.query}",
                     headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = link.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        link.close()


def mended(url: str) -> str:
    path, _mark, query = url.partition("?")
    return f"{path}?{query.replace('%25', '%')}"


def file_url(sandbox: Sandbox, stack: str, backup: int, file: str) -> str:
    status, answer = sandbox.api("GET", f"/stacks/{sandbox.uid(stack)}/backups/{backup}/files//{file}.json")
    assert status == 200
    return str(answer["response"]["public_url"])


def listed(sandbox: Sandbox, stack: str, query: str = "") -> dict[str, Any]:
    status, answer = sandbox.api("GET", f"/stacks/{sandbox.uid(stack)}/backups{query}")
    assert status == 200
    return dict(answer)


def test_a_task_makes_real_dumps_on_its_cron_and_keeps_so_many(sandbox: Sandbox) -> None:
    body = {"db_type": "all", "frequency": "15 */2 * * *", "keep_count": 3, "excluded_tables": "sessions,order"}
    path = f"/stacks/{sandbox.uid('shop')}/backups.json"
    assert sandbox.api("POST", path, body) == (200, {"response": {"ok": True, "message": "queued for creation"}})
    assert listed(sandbox, "shop")["response"] == []
    assert sandbox.advance("8h") == 4
    records = listed(sandbox, "shop")["response"]
    assert [record["backup_date_iso"][14:16] for record in records] == ["15"] * 3
    assert len({os.path.dirname(record["storage_path"]) for record in records}) == 1
    assert records[0]["skip_tables"] == "sessions,order" and records[0]["backup_size"] == 0

    facts = sandbox.facts("shop", records[0]["id"])
    content = b"".join(fetch(mended(file_url(sandbox, "shop", facts["id"], file["id"])))[2] for file in facts["files"])
    assert len(facts["files"]) > 1 and len(content) == facts["size"]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        name = f"{records[0]['storage_path'].split('/')[-2]}/databases/PostgreSQL.sql.gz"
        member = tar.extractfile(name)
        assert member
        sql = zlib.decompress(member.read(), wbits=31).decode()
    assert "COPY public.customers" in sql and "美咲" in sql
    assert "COPY public.sessions" not in sql and 'COPY public."order" ' not in sql
    assert f"{sandbox.tables('shop')['customers']}\t" in sql


def test_a_binary_task_without_gzip(sandbox: Sandbox) -> None:
    body = {"db_type": "postgresql", "frequency": "0 0 * * *", "gzip": False, "logical_backup": False}
    sandbox.api("POST", f"/stacks/{sandbox.uid('blog')}/backups", body)
    [number] = sandbox.backup("blog")
    facts = sandbox.facts("blog", number)
    assert facts["record"]["logical_backup"] is False
    with tarfile.open(facts["path"]) as tar:
        assert any(name.endswith("/databases/PostgreSQL/raw/base.tar") for name in tar.getnames())


def test_storage_checks_what_it_is_asked(sandbox: Sandbox) -> None:
    blob = sandbox.blob("crm", 1 << 20)
    url = file_url(sandbox, "crm", blob["id"], "tar")
    assert b"SignatureDoesNotMatch" in fetch(url)[2]
    status, headers, content = fetch(mended(url))
    assert status == 200 and len(content) == blob["bytes"]
    status, part, middle = fetch(mended(url), Range="bytes=1000-1999", If_Range=headers["etag"])
    assert (status, part["content-range"], middle) == (206, f"bytes 1000-1999/{1 << 20}", content[1000:2000])
    assert fetch(mended(url), Range="bytes=-10")[2] == content[-10:]
    assert fetch(mended(url), Range="bytes=1000-", If_Range='"other"')[0] == 200
    assert fetch(mended(url), Range=f"bytes={1 << 20}-")[0] == 416
    assert fetch(mended(url), Authorization="Bearer x")[0] == 400
    assert b"AccessDenied" in fetch(url.partition("?")[0])[2]
    assert fetch(mended(url.replace("noise", "moise")))[0] == 403
    sandbox.advance("6m")
    assert b"Request has expired" in fetch(mended(url))[2]


def test_faults_of_the_storage(sandbox: Sandbox) -> None:
    blob = sandbox.blob("crm", 4 << 20)
    url = mended(file_url(sandbox, "crm", blob["id"], "tar"))
    sandbox.fault("truncate", route="storage", bytes=5000, times=1)
    with pytest.raises(http.client.IncompleteRead) as short:
        fetch(url)
    assert len(short.value.partial) == 5000
    sandbox.fault("reset", route="storage", times=1)
    with pytest.raises(ConnectionError):
        fetch(url)
    sandbox.fault("reset", route="storage", bytes=100_000, times=1)
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        fetch(url)
    sandbox.fault("expire", times=1, after=1)
    assert [fetch(url, Range="bytes=0-9")[0] for _time in range(3)] == [206, 403, 206]
    sandbox.fault("error_page_200", times=1)
    assert (fetch(url)[0], b"<Error>" in fetch(url)[2]) == (200, False)
    sandbox.fault("no_range", times=1)
    assert fetch(url, Range="bytes=5-9")[0] == 200
    sandbox.fault("no_length", times=1)
    status, headers, content = fetch(url)
    assert status == 200 and "content-length" not in headers and len(content) == blob["bytes"]
    sandbox.fault("etag_change", times=2)
    assert fetch(url, Range="bytes=0-0")[1]["etag"] != fetch(url, Range="bytes=0-0")[1]["etag"]
    sandbox.fault("stall", route="storage", bytes=10, seconds=0.3, times=1)
    began = time.monotonic()
    assert len(fetch(url)[2]) == blob["bytes"] and time.monotonic() - began >= 0.3
    sandbox.fault("expire", route="file", times=1)
    assert fetch(mended(file_url(sandbox, "crm", blob["id"], "tar")))[0] == 403
    sandbox.fault("odd_path", times=1)
    odd = file_url(sandbox, "crm", blob["id"], "tar")
    assert fetch(mended(odd))[0] == 200
    assert fetch(odd.replace("%25", "%"))[0] == 403, "mending the path as well is a mistake"
    sent = [entry["bytes_sent"] for entry in sandbox.requests(route="storage")]
    assert sent[0] == 5000 and sent[1] == 0


def test_faults_of_lists(sandbox: Sandbox) -> None:
    with_pages = sandbox.synthetic("crm", 100, every="30m")
    assert with_pages["count"] == 100
    pages = [listed(sandbox, "crm", f"?page={number}") for number in range(1, 6)]
    total = pages[0]["pagination"]["count"]
    ids = [record["id"] for page in pages for record in page["response"]]
    assert len(ids) == len(set(ids)) == total
    assert (pages[0]["pagination"]["next"], pages[-1]["pagination"]["next"]) == (2, None)

    def seen(number: int) -> list[int]:
        return [record["id"] for record in listed(sandbox, "crm", f"?page={number}")["response"]]

    sandbox.fault("shuffled_pages", source=sandbox.uid("crm"))
    shuffled = [number for page in range(1, 6) for number in seen(page)]
    assert shuffled != ids and sorted(shuffled) == sorted(ids)
    sandbox.clear_faults()
    sandbox.fault("duplicate_pages")
    assert seen(2)[:5] == ids[25:30] and seen(2)[5:] == ids[30:60]
    sandbox.clear_faults()
    sandbox.fault("repeat_page")
    assert seen(1) == seen(7)
    assert listed(sandbox, "crm", "?page=7")["pagination"]["next"] == 8
    sandbox.clear_faults()
    sandbox.fault("no_pagination", times=1)
    assert "pagination" not in listed(sandbox, "crm")
    sandbox.fault("throttle", retry_after=2, times=1)
    assert sandbox.api("GET", "/stacks")[0] == 503
    sandbox.fault("status", code=402, times=1)
    assert sandbox.api("GET", "/stacks")[1]["error"] == "trial_expired"
    for kind in ("html", "malformed_json"):
        sandbox.fault(kind, times=1)
        with pytest.raises(ValueError):
            sandbox.api("GET", "/stacks")
    with pytest.raises(SandboxError, match="takes"):
        sandbox.fault("truncate", byte=1)


def test_a_write_that_seems_to_fail_has_happened(sandbox: Sandbox) -> None:
    path = f"/stacks/{sandbox.uid('crm')}/backups"

    def tasks() -> int:
        return sum(len(stack["tasks"]) for stack in sandbox.state()["stacks"])

    before = tasks()
    sandbox.fault("commit_then_500", times=1)
    assert sandbox.api("POST", path, {})[0] == 500
    sandbox.fault("commit_then_reset", times=1)
    with pytest.raises(SandboxError):
        sandbox.api("POST", path, {})
    assert tasks() == before + 2
    sandbox.fault("ok_false", times=1)
    assert sandbox.api("POST", path, {})[1]["response"]["ok"] is False
    assert tasks() == before + 2
    assert len(sandbox.posts()) == 3


def test_what_is_refused(sandbox: Sandbox) -> None:
    path = f"/stacks/{sandbox.uid('crm')}/backups"
    assert sandbox.api("GET", path, token="wrong")[0] == 401
    assert sandbox.api("POST", path, {}, token=sandbox.public_token)[0] == 403
    assert sandbox.api("POST", path, {"frequency": "61 * * * *"})[0] == 400
    assert sandbox.api("GET", path.replace("/backups", "x/backups"))[0] == 404
    assert sandbox.api("GET", f"{path}/999999")[0] == 404
    body = {"group": 999, "db_type": "postgresql", "remote_url": sandbox.import_source()}
    assert sandbox.api("POST", path, body)[1]["details"] == "Cannot find backup group ID"
    tokens = [entry["token"] for entry in sandbox.requests()]
    assert tokens == ["bad", "public", "admin", "admin", "admin", "admin"]


def test_an_import_is_really_downloaded(sandbox: Sandbox) -> None:
    path = f"/stacks/{sandbox.uid('crm')}/backups"
    for name in ("dump.sql.gz", "missing.sql.gz"):
        body = {"group": sandbox.group("crm"), "db_type": "postgresql", "remote_url": sandbox.import_source(name)}
        assert sandbox.api("POST", path, body)[0] == 200
        sandbox.settle()
    failed, good = [record for record in listed(sandbox, "crm", f"?group={sandbox.group('crm')}")["response"]
                    if "synthetic" not in record]
    assert failed["backup_status"] == 1 and "404" in failed["backup_result"]
    with tarfile.open(sandbox.facts("crm", good["id"])["path"]) as tar:
        assert tar.getnames()[-1].endswith("/databases/PostgreSQL.sql.gz")


def test_records_can_be_changed_and_schedules_stopped(sandbox: Sandbox) -> None:
    [*_rest, number] = sandbox.backup("blog", status=1)
    sandbox.change("blog", number, drop=["db_type"], verify_status=2, created_at_iso="")
    record = sandbox.api("GET", f"/stacks/{sandbox.uid('blog')}/backups/{number}")[1]["response"]
    assert record["verify_status"] == 2 and record["created_at_iso"] == "" and "db_type" not in record
    assert record["backup_status"] == 1 and "free space" in record["backup_result"]
    for name in ("shop", "crm", "blog"):
        sandbox.schedule(name, running=False)
    assert sandbox.advance("10h") == 0


def test_killed_and_started_again(tmp_path: Path) -> None:
    sandbox = Sandbox.start(tmp_path / "home", stacks="solo@7", now="-5h")
    try:
        path = f"/stacks/{sandbox.uid('solo')}/backups"
        sandbox.api("POST", path, {"frequency": "0 * * * *"})
        sandbox.advance("2h")
        sandbox.sql("solo", "CREATE TABLE kept AS SELECT 1 AS one")
        before, now = sandbox.api("GET", path), sandbox.now()
        with pytest.raises(SandboxError, match="another sandbox"):
            Sandbox.start(tmp_path / "home")
        assert Sandbox.attach(tmp_path / "home" / "ready.json").now() >= now
        sandbox.kill()
        sandbox.restart()
        assert sandbox.api("GET", path) == before
        assert now <= sandbox.now() < now[:11] + "24"
        assert sandbox.tables("solo")["kept"] == 1
        assert sandbox.advance("1h") == 1
    finally:
        sandbox.stop()
    assert not postgres_of(sandbox)


def test_ends_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(["sleep", "60"])
    sandbox = Sandbox.start(tmp_path / "home", stacks="solo", parent_pid=parent.pid)
    try:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 60
        while postgres_of(sandbox) or (tmp_path / "home" / "ready.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        sandbox.stop()


def test_tls_by_an_unknown_authority(tmp_path: Path) -> None:
    with Sandbox.start(stacks="solo", tls=True, signature="v4") as sandbox:
        assert sandbox.api("GET", "/stacks")[0] == 200
        address = urlsplit(sandbox.url)
        with pytest.raises(ssl.SSLCertVerificationError):
            http.client.HTTPSConnection(address.netloc, timeout=60).request("GET", "/")
        blob = sandbox.blob("solo", 1 << 20)
        url = file_url(sandbox, "solo", blob["id"], "tar")
        assert "X-Amz-Credential=" in url and "%252F" in url
        path = url.removeprefix(sandbox.url)
        assert sandbox._ask("GET", path, None, {}, 10)[0] == 403
        status, content = sandbox._ask("GET", mended(path), None, {}, 10)
        assert status == 200 and len(content) == blob["bytes"]
        body = {"group": sandbox.group("solo"), "db_type": "postgresql", "remote_url": sandbox.import_source()}
        sandbox.api("POST", f"/stacks/{sandbox.uid('solo')}/backups", body)
        sandbox.settle()
        assert listed(sandbox, "solo")["response"][0]["backup_status"] == 0


def postgres_of(sandbox: Sandbox) -> list[str]:
    """PostgreSQL processes that belong to this sandbox."""
    socket_dir = sandbox.stacks[0]["socket_dir"]
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if socket_dir in entry.read_text():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found
