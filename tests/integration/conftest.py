# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_runs import Controller


@pytest.fixture
def controller(tmp_path, sandbox_process, collections_path):
    """Where Ansible runs: no settings but those that reach the sandbox."""
    controller = Controller(tmp_path, sandbox_process, collections_path)
    yield controller
    controller.close()


@pytest.fixture(scope="session")
def databases():
    """A sandbox with a live database of each engine, which nobody writes to: what was restored is compared with it."""
    from sandbox.client import Sandbox

    with Sandbox.start(stacks="shop,wiki:mysql,cache:redis,docs:mongodb,lite:sqlite", part_size=65536) as running:
        yield running


@pytest.fixture
def drills(tmp_path, databases, collections_path):
    """Where Ansible runs, and drills on the same machine. Nothing is left of them."""
    from drill_runs import Drills

    drills = Drills(tmp_path, databases, collections_path)
    yield drills
    left = drills.left()
    drills.close()
    databases.reset_switches()
    databases.clear_faults()
    assert left == []


@pytest.fixture(scope="session")
def fetched(tmp_path_factory, databases, collections_path):
    """{stack: file} of a backup of each, brought by the modules themselves; ``backupman-...`` those of Backupman."""
    from drill_runs import FETCH, Drills

    place = tmp_path_factory.mktemp("fetched")
    drills = Drills(place, databases, collections_path)
    files, tasks = {}, []
    for stack in databases.stacks:
        if stack["engine"] != "sqlite":
            databases.backup(stack["name"])
            files[stack["name"]] = place / f"{stack['name']}.tar"
            tasks.append({FETCH: {"source": stack["uid"], "latest": True, "dest": str(files[stack["name"]])}})
    labels = databases.ready["backupman"]["labels"]
    for label, number in zip(labels, databases.service("backupman", "POST", "/backup", labels=labels)["ids"], strict=True):
        files[f"backupman-{label}"] = place / f"{label}.dump"
        tasks.append({FETCH: {"provider": "backupman", "source": label, "id": number, "dest": str(files[f"backupman-{label}"])}})
    answers = drills.tasks(*tasks)
    drills.close()
    assert [answer.result for answer in answers if answer.failed] == []
    return files
