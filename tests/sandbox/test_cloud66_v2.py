# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version 2 of the Cloud 66 API: the same backups in other shapes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sandbox.client import Sandbox, SandboxError  # noqa: E402


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox.start(stacks="solo,other@2", now="-60h", part_size=64 << 10) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.clear_requests()
    yield running
    running.clear_faults()
    running.reset_switches()


def storage(sandbox: Sandbox, url: str) -> tuple[int, bytes]:
    path = url.removeprefix(sandbox.url).partition("?")
    return sandbox._ask("GET", f"{path[0]}?{path[2].replace('%25', '%')}", None, {}, 10)


def test_a_list_is_bare_or_enveloped(sandbox: Sandbox) -> None:
    sandbox.synthetic("solo", 40)
    path = f"/stacks/{sandbox.uid('solo')}/managed_backups"
    status, bare = sandbox.api_v2("GET", path)
    assert status == 200 and len(bare) == 40
    assert sandbox.api("GET", f"/stacks/{sandbox.uid('solo')}/backups")[1]["response"] == bare[:30]
    sandbox.switch("cloud66_v2", enveloped=True)
    assert sandbox.api_v2("GET", path + ".json")[1] == {"response": bare}
    with pytest.raises(SandboxError, match="has the switches"):
        sandbox.switch("cloud66_v2", envelope=True)


def test_an_export_is_a_chain_of_files_with_short_lived_urls(sandbox: Sandbox) -> None:
    assert sandbox.ready["cloud66_v2"] == {"api_url": sandbox.url, "token": sandbox.token}
    [number] = sandbox.backup("solo")
    facts = sandbox.facts("solo", number)
    extension, names, content, url = "", [], b"", ""
    while True:
        status, answer = sandbox.api_v2("GET", f"/backups/{number}/export/{extension}".rstrip("/"))
        assert status == 200 and answer["ok"] is True
        names.append(answer["file_name"])
        url = answer["url"]
        content += storage(sandbox, url)[1]
        extension = answer["next_extension"]
        if not extension:
            break
    assert [name.partition(".")[2] for name in names] == [file["id"] for file in facts["files"]]
    assert content == Path(facts["path"]).read_bytes() and len(names) > 1
    sandbox.advance("6m")
    assert storage(sandbox, url)[0] == 403
    assert {entry["query"].count("REDACTED") for entry in sandbox.requests(route="storage")} == {2}
    assert sandbox.api_v2("GET", f"/backups/{number}/export/tar-zz")[0] == 404
    assert sandbox.api_v2("GET", "/backups/99/export")[0] == 404


def test_an_import_and_what_it_complains_about(sandbox: Sandbox) -> None:
    group, body = sandbox.group("solo"), {"db_type": "postgresql", "remote_url": sandbox.import_source()}

    def complaint(group: object, **changed: object) -> tuple[int, str]:
        status, answer = sandbox.api_v2("POST", f"/backups/{group}/import", {**body, **changed})
        return status, answer["details"]

    assert complaint("") == (400, "No managed backup group ID specified")
    assert complaint(group, db_type=None) == (400, "No database type specified")
    assert complaint(group, remote_url="") == (400, "No remote URL specified")
    assert complaint(9999) == (404, "Cannot find backup group ID")
    assert complaint(sandbox.group("other")) == (404, "Cannot find backup group ID"), "another account's"
    assert complaint(group, db_type="redis") == (404, "Cannot find backup job on group for database type")
    assert sandbox.api_v2("POST", f"/backups/{group}/import", body, token=sandbox.public_token)[0] == 403
    sandbox.switch("cloud66_v2", enveloped_actions=True)
    assert sandbox.api_v2("POST", f"/backups/{group}/import", body)[1]["response"]["ok"] is True
    sandbox.settle()
    newest = sandbox.api_v2("GET", f"/stacks/{sandbox.uid('solo')}/managed_backups")[1][0]
    assert newest["backup_status"] == 0 and "synthetic" not in newest


def test_faults_can_be_kept_to_one_api(sandbox: Sandbox) -> None:
    uid = sandbox.uid("solo")
    sandbox.fault("throttle", surface="cloud66_v2", times=1)
    assert sandbox.api("GET", f"/stacks/{uid}/backups")[0] == 200
    assert sandbox.api_v2("GET", f"/stacks/{uid}/managed_backups")[0] == 503
    assert [entry["surface"] for entry in sandbox.requests(source=uid)] == ["cloud66", "cloud66_v2"]
    assert sandbox.api_v2("GET", f"/stacks/{uid}/managed_backups", token="wrong")[0] == 401
