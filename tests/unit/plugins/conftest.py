# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the receiver and of the spool share: a storage with three parts, and orders to fetch them."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.receive_storage import PARTS, FakeStorage


@pytest.fixture
def storage():
    fake = FakeStorage()
    for number, content in enumerate(PARTS):
        fake.contents["/part-%d" % number] = content
    yield fake
    fake.close()


@pytest.fixture
def order(tmp_path, storage):
    """An order for three joined parts; give it other values as keywords."""

    def make(count=3, **changes):
        made = {
            "dest": str(tmp_path / "out.tar"),
            "name": "shop.tar",
            "kept": False,
            "checksum": None,
            "force": False,
            "what": {"source": "shop", "backup": "42", "files": list(range(count)), "kept": changes.get("kept", False)},
            "backup": {"id": "42", "created_at": "2026-01-02T03:04:05Z"},
            "files": [{"id": "tar-%d" % number, "name": "tar-%d" % number} for number in range(count)],
            "urls": {str(number): storage.url("/part-%d" % number) for number in range(count)},
            "run": "run-1",
            "first": True,
            "seen": None,
            "rate": None,
            "seconds": None,
            "workers": 3,
            "timeout": 60,
            "tries": 3,
            "validate_certs": True,
            "ca_data": None,
            "allow_http": False,
            "credentials": {},
            "proxies": None,
            "storage_name": None,
            "client_cert": None,
            "handed": None,
            "expected_bytes": None,
            "keep_partial": True,
        }
        made.update(changes)
        return made

    return make
