# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup that rests on the controller on its way to a host."""

from __future__ import annotations

import stat

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._errors import OptionError
from ansible_collections.restorable.backups.plugins.module_utils._receive import ReceiveError
from ansible_collections.restorable.backups.plugins.plugin_utils._spool import Spool, default_spool_dir
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.receive_storage import (
    PARTS,
    WHOLE,
    FakeStorage,
)


@pytest.fixture
def storage():
    fake = FakeStorage()
    for number, content in enumerate(PARTS):
        fake.contents["/part-%d" % number] = content
    yield fake
    fake.close()


def order(storage, **changes):
    made = {
        "name": "shop.tar",
        "kept": False,
        "checksum": None,
        "force": False,
        "what": {"backup": "42"},
        "backup": {"id": "42", "created_at": None},
        "files": [{"id": str(number), "name": "seg-%d" % number} for number in range(3)],
        "urls": {str(number): storage.url("/part-%d" % number) for number in range(3)},
        "credentials": {},
        "run": "run-1",
        "first": True,
        "seen": "what was seen on the host",
        "rate": None,
        "seconds": None,
        "workers": 3,
        "timeout": 5,
        "tries": 1,
        "validate_certs": True,
        "ca_data": None,
        "allow_http": False,
        "proxies": None,
        "storage_name": None,
        "client_cert": None,
        "handed": None,
        "expected_bytes": None,
        "keep_partial": True,
    }
    made.update(changes)
    return made


@pytest.mark.parametrize("kept", [False, True])
def test_it_comes_and_goes(tmp_path, storage, kept):
    spool = Spool(str(tmp_path / "spool"), ["shop"])
    answer = spool.receive(order(storage, kept=kept))
    contents = [open(path, "rb").read() for path in answer["paths"]]
    assert contents == (PARTS if kept else [WHOLE])
    assert answer["received"] == len(WHOLE)
    (folder,) = (tmp_path / "spool").iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o700, 0o700]
    # It could not be handed on: the next run finds all of it.
    again = Spool(str(tmp_path / "spool"), ["shop"]).receive(order(storage, kept=kept, run="run-2"))
    assert (again["paths"], again["received"], again["resumed"]) == (answer["paths"], 0, len(WHOLE))
    spool.tidy(keep=True)
    assert folder.exists()
    spool.tidy(keep=False)
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_has_arrived_is_gone_on_with(tmp_path, storage):
    storage.faults["/part-1"] = [{"cut": 100000}, {"status": 403}]
    spool = Spool(str(tmp_path), ["shop"])
    assert spool.receive(order(storage))["state"] == "progress"
    spool.release(order(storage))
    assert spool.exists
    answer = Spool(str(tmp_path), ["shop"]).receive(order(storage, run="run-2"))
    assert (answer["state"], answer["resumed"]) == ("done", 523457)


@pytest.mark.parametrize("keep, left", [(True, True), (False, False)])
def test_a_failure_keeps_what_shall_be_kept(tmp_path, storage, keep, left):
    storage.faults["/part-1"] = [{"cut": 100000}, {"status": 404}]
    spool = Spool(str(tmp_path), ["shop"])
    spool.receive(order(storage))
    spool.release(order(storage, keep_partial=keep))
    assert spool.exists is left


def test_an_empty_place_is_never_kept(tmp_path, storage):
    storage.always = {"status": 404}
    spool = Spool(str(tmp_path), ["shop"])
    spool.receive(order(storage))
    spool.release(order(storage))
    assert list(tmp_path.iterdir()) == []


def test_each_key_has_its_own_place(tmp_path, storage):
    for key in (["shop", "web1"], ["shop", "web2"]):
        Spool(str(tmp_path), key).receive(order(storage))
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_word_it_is_in_the_cache_of_the_user(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert default_spool_dir() == "/somewhere/cache/restorable.backups/spool"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_spool_dir() == "/home/me/.cache/restorable.backups/spool"


def test_places_that_will_not_do(tmp_path, storage):
    with pytest.raises(OptionError, match="spool_dir: spool is a relative path"):
        Spool("spool", ["shop"])
    (tmp_path / "file").write_text("x")
    with pytest.raises(OptionError, match="spool_dir: cannot make .*file"):
        Spool(str(tmp_path / "file"), ["shop"]).receive(order(storage))
    spool = Spool(str(tmp_path / "spool"), ["shop"])
    spool.receive(order(storage))
    (folder,) = (tmp_path / "spool").iterdir()
    folder.chmod(0o755)
    with pytest.raises(OptionError, match="spool_dir: .* is in the way"):
        spool.receive(order(storage))


def test_too_little_space_is_told(tmp_path, storage):
    with pytest.raises(ReceiveError) as caught:
        Spool(str(tmp_path), ["shop"]).receive(order(storage, expected_bytes=1 << 60))
    assert caught.value.code == "no_space"
