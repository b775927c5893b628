# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup that rests on the controller on its way to a host."""

from __future__ import annotations

import functools
import stat

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._errors import OptionError
from ansible_collections.restorable.backups.plugins.module_utils._receive import ReceiveError
from ansible_collections.restorable.backups.plugins.plugin_utils._spool import Spool, default_spool_dir
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.receive_storage import PARTS, WHOLE


@pytest.fixture
def order(order):
    """An order as the host gets it; what was seen there is of no concern here."""
    return functools.partial(order, tries=1, seen="what was seen on the host")


@pytest.mark.parametrize("kept", [False, True])
def test_it_comes_and_goes(tmp_path, order, kept):
    spool = Spool(str(tmp_path / "spool"), ["shop"])
    answer = spool.receive(order(kept=kept))
    contents = [open(path, "rb").read() for path in answer["paths"]]
    assert contents == (PARTS if kept else [WHOLE])
    assert answer["received"] == len(WHOLE)
    (folder,) = (tmp_path / "spool").iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)] == [0o700, 0o700]
    # It could not be handed on: the next run finds all of it.
    again = Spool(str(tmp_path / "spool"), ["shop"]).receive(order(kept=kept, run="run-2"))
    assert (again["paths"], again["received"], again["resumed"]) == (answer["paths"], 0, len(WHOLE))
    spool.tidy(keep=True)
    assert folder.exists()
    spool.tidy(keep=False)
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_has_arrived_is_gone_on_with(tmp_path, storage, order):
    storage.faults["/part-1"] = [{"cut": 100000}, {"status": 403}]
    spool = Spool(str(tmp_path), ["shop"])
    assert spool.receive(order())["state"] == "progress"
    spool.release(order())
    assert spool.exists
    answer = Spool(str(tmp_path), ["shop"]).receive(order(run="run-2"))
    assert (answer["state"], answer["resumed"]) == ("done", 523457)


@pytest.mark.parametrize("keep, left", [(True, True), (False, False)])
def test_a_failure_keeps_what_shall_be_kept(tmp_path, storage, order, keep, left):
    storage.faults["/part-1"] = [{"cut": 100000}, {"status": 404}]
    spool = Spool(str(tmp_path), ["shop"])
    spool.receive(order())
    spool.release(order(keep_partial=keep))
    assert spool.exists is left


def test_an_empty_place_is_never_kept(tmp_path, storage, order):
    storage.always = {"status": 404}
    spool = Spool(str(tmp_path), ["shop"])
    spool.receive(order())
    spool.release(order())
    assert list(tmp_path.iterdir()) == []


def test_each_key_has_its_own_place(tmp_path, order):
    for key in (["shop", "web1"], ["shop", "web2"]):
        Spool(str(tmp_path), key).receive(order())
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_word_it_is_in_the_cache_of_the_user(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert default_spool_dir() == "/somewhere/cache/restorable.backups/spool"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_spool_dir() == "/home/me/.cache/restorable.backups/spool"


def test_places_that_will_not_do(tmp_path, order):
    with pytest.raises(OptionError, match="spool_dir: spool is a relative path"):
        Spool("spool", ["shop"])
    (tmp_path / "file").write_text("x")
    with pytest.raises(OptionError, match="spool_dir: cannot make .*file"):
        Spool(str(tmp_path / "file"), ["shop"]).receive(order())
    spool = Spool(str(tmp_path / "spool"), ["shop"])
    spool.receive(order())
    (folder,) = (tmp_path / "spool").iterdir()
    folder.chmod(0o755)
    with pytest.raises(OptionError, match="spool_dir: .* is in the way"):
        spool.receive(order())


def test_too_little_space_is_told(tmp_path, order):
    with pytest.raises(ReceiveError) as caught:
        Spool(str(tmp_path), ["shop"]).receive(order(expected_bytes=1 << 60))
    assert caught.value.code == "no_space"
