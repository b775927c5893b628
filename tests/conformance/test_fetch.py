# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From end to end: ansible-playbook fetches what each service holds, byte for byte."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))
from ansible_runs import Controller  # noqa: E402

# Variables of a service that is not asked here: they must not get in the way.
NOBODY = SimpleNamespace(api_url="https://192.0.2.1", token="token-of-nobody")


@pytest.fixture
def controller(tmp_path, collections_path):
    controller = Controller(tmp_path, NOBODY, collections_path)
    yield controller
    controller.close()


def this_machine(service):
    """An inventory of the machine that the tests run on, whose variables say how the service is reached."""
    connection = {"provider": service.name, "source": service.source, **service.connection()}
    return {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable,
                     **{f"protect_{option}": value for option, value in connection.items()}}}


def test_what_is_fetched_is_what_the_service_holds(service, kind, controller, tmp_path):
    held = service.hold(kind)
    file = tmp_path / "fetched"
    fetch = {"restorable.backups.backup_file_fetch": {"id": held.id, "dest": str(file)}}
    run = controller.play([
        {"name": "listed", "restorable.backups.backup_info": {"latest": True}},
        {"name": "predicted", **fetch, "check_mode": True},
        {"name": "nothing yet", "ansible.builtin.stat": {"path": str(file)}},
        {"name": "fetched", **fetch},
        {"name": "again", **fetch},
        {"name": "checked", "restorable.backups.backup_check": {"max_age": "1h"}},
    ], "-vvvvv", hosts=this_machine(service)).passed()
    assert file.read_bytes() == held.content

    assert [backup["id"] for backup in run["listed"]["backups"]] == [held.id]
    assert run["predicted"]["changed"] and not run["nothing yet"]["stat"]["exists"]
    assert run["predicted"]["diff"] == run["fetched"]["diff"]
    assert run["fetched"]["changed"]
    assert run["fetched"]["sha256"] == hashlib.sha256(held.content).hexdigest()
    assert run["fetched"]["size_bytes"] == run["fetched"]["bytes_received"] == len(held.content)
    assert not run["again"]["changed"] and run["again"]["bytes_received"] == 0
    assert run["checked"]["compliant"]
    # One run of five tasks, one token.
    assert service.token_requests() <= 1
    assert not any(secret in run.output for secret in service.secrets)
    assert oct(file.stat().st_mode)[-3:] == "600"
