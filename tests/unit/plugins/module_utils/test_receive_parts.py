# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receiver where a service vouches for each part, where a credential goes along, where the controller hands over."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _receive
from ansible_collections.restorable.backups.plugins.module_utils._receive import ReceiveError
from ansible_collections.restorable.backups.plugins.module_utils._receive import _destination as destination_module
from ansible_collections.restorable.backups.plugins.module_utils._receive import _partial as partial_module
from ansible_collections.restorable.backups.plugins.module_utils._receive import _storage as storage_module
from ansible_collections.restorable.backups.plugins.module_utils._receive import _transfer as transfer_module
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.receive_storage import (
    PARTS,
    WHOLE,
    FakeStorage,
    left_behind,
    receive,
    sha256,
)

KEY = "k3y-that-nobody-may-see"
MD5 = [hashlib.md5(part).hexdigest() for part in PARTS]


@pytest.fixture
def vouched(order):
    """An order for three parts whose sizes and MD5 the service says."""

    def make(**changes):
        made = order(**changes)
        for file, part, md5 in zip(made["files"], PARTS, MD5):
            file.update(size=len(part), md5=md5)
        return made

    return make


def damaged(part):
    return part[:1000] + bytes([part[1000] ^ 1]) + part[1001:]


# -- parts that a service vouches for ------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True])
def test_parts_that_fit(vouched, storage, tmp_path, kept):
    answer = receive(vouched(kept=kept, dest=str(tmp_path)))
    assert (answer["state"], answer["sha256"], answer["without_md5"]) == ("done", sha256(WHOLE), False)
    assert len(storage.requests) == 3


@pytest.mark.parametrize("kept", [False, True])
def test_a_damaged_part_is_dropped_and_the_others_stay(vouched, storage, tmp_path, kept):
    folder = tmp_path / "here"
    folder.mkdir()
    for number in (0, 2):
        storage.contents["/part-%d" % number] = damaged(PARTS[number])
    first = receive(vouched(kept=kept, dest=str(folder)))
    assert first["state"] == "progress"
    assert [part["have"] for part in first["parts"]] == [0, len(PARTS[1]), 0]
    assert [kind for kind, _message in (first["outcomes"][number] for number in "02")] == ["misfit"] * 2
    for number in (0, 2):
        words = "its MD5 is %s, not %s as the service says" % (
            hashlib.md5(damaged(PARTS[number])).hexdigest(),
            MD5[number],
        )
        assert first["outcomes"][str(number)][1] == words
        storage.contents["/part-%d" % number] = PARTS[number]
    assert left_behind(folder) == [".shop.tar.partial"]
    storage.requests.clear()
    second = receive(vouched(kept=kept, dest=str(folder), first=False))
    assert (second["state"], second["sha256"]) == ("done", sha256(WHOLE))
    assert sorted(request["path"] for request in storage.requests) == ["/part-0", "/part-2"]


def test_a_part_that_was_complete_before_is_not_believed(vouched, storage, tmp_path):
    """Nor what an earlier run has left, even if all of it is there."""
    storage.contents["/part-1"] = damaged(PARTS[1])
    urls = vouched()["urls"]
    receive(vouched(urls={number: urls[number] for number in "01"}))
    _receive.release(vouched())
    answer = receive(vouched(run="run-2"))
    assert (answer["state"], answer["outcomes"]["1"][0]) == ("progress", "misfit")
    assert not (tmp_path / "out.tar").exists()


def test_bytes_damaged_on_this_disk_are_noticed(vouched, storage, tmp_path):
    storage.faults["/part-2"] = [{"cut": 1000}, {"status": 403}]
    receive(vouched())
    data = tmp_path / ".out.tar.partial" / "data"
    data.write_bytes(damaged(data.read_bytes()))
    answer = receive(vouched(first=False))
    assert (answer["outcomes"]["0"][0], answer["parts"][0]["have"]) == ("misfit", 0)
    assert receive(vouched(first=False))["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


@pytest.mark.parametrize("fault", [{}, {"no_length": True}, {"chunked": True}])
def test_a_part_of_another_size_than_the_service_says(vouched, storage, tmp_path, fault):
    storage.always = fault
    if not fault:
        # The header tells: the rest of the body never comes.
        storage.faults["/part-1"] = [{"stall": 5000}]
    storage.contents["/part-1"] = PARTS[1] + b"more"
    answer = receive(vouched())
    assert answer["outcomes"]["1"] == ["misfit", "it has 300004 bytes, not 300000 as the service says"]
    assert answer["parts"][1]["have"] == 0
    storage.contents["/part-1"] = PARTS[1]
    assert receive(vouched(first=False))["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


def test_without_an_md5_a_size_is_not_taken_at_its_word(order, tmp_path):
    made = order()
    made["files"][1].update(size=7, md5=None)
    assert receive(made)["state"] == "done"


def refuse_md5(*_arguments, **_options):
    raise ValueError("[digital envelope routines] unsupported")


def test_a_python_that_refuses_md5(vouched, storage, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer_module.hashlib, "md5", refuse_md5)
    storage.contents["/part-1"] = PARTS[1][:-1]
    assert receive(vouched())["outcomes"]["1"][0] == "misfit"
    storage.contents["/part-1"] = PARTS[1]
    answer = receive(vouched(first=False))
    assert (answer["state"], answer["without_md5"]) == ("done", True)


def test_a_python_that_has_md5_for_other_purposes_than_security(vouched, monkeypatch):
    md5 = hashlib.md5

    def strict(*arguments, **options):
        if not options.pop("usedforsecurity", True):
            return md5(*arguments)
        raise ValueError("not for security")

    monkeypatch.setattr(transfer_module.hashlib, "md5", strict)
    assert receive(vouched())["without_md5"] is False


# -- a credential beside the URL -----------------------------------------------------------------------------------


def guarded(made, numbers="012"):
    return dict(made, credentials={number: {"X-Api-Key": KEY} for number in numbers})


def test_a_credential_goes_to_the_storage(order, storage, tmp_path):
    receive(guarded(order(), "02"))
    found = {request["path"]: request["headers"].get("X-Api-Key") for request in storage.requests}
    assert found == {"/part-0": KEY, "/part-1": None, "/part-2": KEY}
    assert KEY not in "".join(path.read_text() for path in tmp_path.glob(".*.json"))


def test_a_credential_does_not_follow_to_another_server(order, storage, tmp_path):
    other = FakeStorage()
    other.contents["/part-0"] = PARTS[0]
    storage.faults["/part-0"] = [{"location": other.url("/part-0")}]
    storage.faults["/part-1"] = [{"location": storage.url("/part-1")}]
    try:
        assert receive(guarded(order()))["state"] == "done"
        assert [request["headers"].get("X-Api-Key") for request in other.requests] == [None]
    finally:
        other.close()
    assert {request["headers"].get("X-Api-Key") for request in storage.requests} == {KEY}


def test_a_credential_never_travels_in_clear(order):
    answer = receive(guarded(order(1, urls={"0": "http://storage.example/x"}), "0"))
    assert "without TLS" in answer["outcomes"]["0"][1]
    # Not even after a redirect back to where it belongs.
    assert KEY not in json.dumps(answer)


def test_no_text_holds_a_credential():
    text = "answered 401 (Bearer abc is no good, nor is abc alone): https://x/y?z=1"
    secrets = _receive.credentials_of({"Authorization": "Bearer abc"})
    assert _receive.without_signatures(text, (), secrets) == "answered 401 (... is no good, nor is ... alone): https://x/y?..."


@pytest.mark.parametrize(
    "body, said",
    [
        (b'{"Error": "no such\\nfile", "Key": "sEcReT"}', " (no such file)"),
        (b'{"error": "gone"}', " (gone)"),
        (b'{"error": {"code": 404, "message": "gone"}}', " (gone)"),
        (b'{"error": 17}', ""),
        (b"{broken", ""),
        (b"", ""),
        (b'{"message": "%s"}' % (b"x" * 300), " (%s...)" % ("x" * 197)),
    ],
)
def test_what_a_storage_says_in_json(order, storage, body, said):
    storage.faults["/part-0"] = [{"status": 404, "body": body, "kind": "application/json"}]
    assert receive(order(1))["outcomes"]["0"] == ["final", "storage 127.0.0.1 answered 404" + said]


def test_a_relay_is_spoken_of_by_the_name_of_the_storage_and_never_proxied(order, storage, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    storage.faults["/part-0"] = [{"status": 404}]
    answer = receive(order(1, storage_name="swift.example", proxies={}))
    assert answer["outcomes"]["0"] == ["final", "storage swift.example answered 404"]
    assert receive(order(1, storage_name="swift.example", proxies={}, first=False))["state"] == "done"


def test_proxies_may_be_named(storage):
    found = storage_module.Storage(proxies={"http": "http://127.0.0.1:1", "no": "127.0.0.1"})
    found.open(storage.url("/part-0")).close()
    with pytest.raises(storage_module.StorageError):
        storage_module.Storage(proxies={"http": "http://127.0.0.1:1"}).open(storage.url("/part-0"))


# -- what the controller has brought -------------------------------------------------------------------------------


@pytest.fixture
def handed(order, tmp_path):
    """An order of which all bytes have been brought to this host; ``kept`` parts one by one."""

    def make(kept=False, content=WHOLE, **changes):
        folder = tmp_path / "brought"
        folder.mkdir(exist_ok=True)
        dest = tmp_path / "srv"
        dest.mkdir(exist_ok=True)
        contents = PARTS if kept else [content]
        paths = [folder / ("backup-%d" % number) for number in range(len(contents))]
        for path, one in zip(paths, contents):
            path.write_bytes(one)
        about = {
            "folder": str(folder),
            "paths": [str(path) for path in paths],
            "sizes": [len(part) for part in PARTS],
            "sha256": sha256(WHOLE),
        }
        return order(kept=kept, dest=str(dest) + "/", urls={}, handed=about, **changes)

    return make


@pytest.mark.parametrize("kept", [False, True])
def test_what_was_brought_is_put_in_place(handed, storage, tmp_path, kept):
    modes = []
    answer = receive(handed(kept), lambda path, is_folder: modes.append(os.stat(path).st_mode & 0o077))
    assert (answer["state"], answer["sha256"], answer["size_bytes"]) == ("done", sha256(WHOLE), len(WHOLE))
    assert [file["size_bytes"] for file in answer["files"]] == [len(part) for part in PARTS]
    place = tmp_path / "srv" / "shop.tar"
    found = [path.read_bytes() for path in sorted(place.iterdir())] if kept else [place.read_bytes()]
    assert found == (PARTS if kept else [WHOLE])
    assert left_behind(tmp_path / "brought") == []
    assert left_behind(tmp_path / "srv") == [".shop.tar.restorable.json", "shop.tar"]
    assert (set(modes), storage.requests) == ({0}, [])
    assert _receive.inspect(handed(kept))["state"] == "current"


def test_what_was_damaged_on_the_way_is_refused(handed, tmp_path):
    made = handed(content=damaged(WHOLE))
    (tmp_path / "srv" / "shop.tar").write_bytes(b"old")
    with pytest.raises(ReceiveError) as caught:
        receive(made)
    assert caught.value.code == "damaged"
    assert left_behind(tmp_path / "srv") == ["shop.tar"]
    assert (tmp_path / "srv" / "shop.tar").read_bytes() == b"old"


def test_what_cannot_be_moved_is_copied(handed, tmp_path, monkeypatch):
    """From another file system, or from a user who could still write to it."""
    monkeypatch.setattr(partial_module.os, "geteuid", lambda: os.stat(str(tmp_path)).st_uid + 1)
    made = handed()
    source = tmp_path / "brought" / "backup-0"
    number = source.stat().st_ino
    place = str(tmp_path / "copy")
    partial_module._take_file(str(source), place)
    assert os.stat(place).st_ino != number
    assert (tmp_path / "copy").read_bytes() == WHOLE
    assert made["handed"]["paths"] == [str(source)]


def test_a_link_that_was_put_there_meanwhile_is_refused(handed, tmp_path):
    made = handed()
    secret = tmp_path / "secret"
    secret.write_bytes(WHOLE)
    os.unlink(made["handed"]["paths"][0])
    os.symlink(str(secret), made["handed"]["paths"][0])
    with pytest.raises(ReceiveError, match="replaced"):
        receive(made)
    assert left_behind(tmp_path / "srv") == []


def test_dying_before_the_check_leaves_nothing_that_is_believed(handed, tmp_path, monkeypatch):
    """A run that goes on later must not take what nobody has compared."""
    made = handed(content=damaged(WHOLE))
    monkeypatch.setattr(partial_module.Partial, "remove", lambda partial: partial.close())

    def die(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer_module.Hasher, "finish", die)
    with pytest.raises(KeyboardInterrupt):
        receive(made)
    assert _receive.inspect(dict(made, handed=None))["have"] == 0


def test_room_is_looked_for_on_both_sides(handed, tmp_path, monkeypatch):
    made = dict(handed(), expected_bytes=5000)
    for full in ("brought", "srv"):
        monkeypatch.setattr(
            transfer_module.shutil,
            "disk_usage",
            lambda path, full=full: type("Usage", (), {"free": 10 if path == str(tmp_path / full) else 10**6}),
        )
        with pytest.raises(ReceiveError) as caught:
            _receive.inspect(made)
        assert (caught.value.code, str(tmp_path / full) in caught.value.message) == ("no_space", True)


# -- owners --------------------------------------------------------------------------------------------------------


def test_who_may_not_give_a_file_away_is_told_so(monkeypatch):
    monkeypatch.setattr(destination_module, "_may_give_away", lambda: False)
    own, group = str(os.geteuid()), str(os.getegid())
    _receive.check_rights(own, group)
    _receive.check_rights(None, None)
    for option, names in (("owner", ("54321", None)), ("group", (None, "54321"))):
        with pytest.raises(ReceiveError) as caught:
            _receive.check_rights(*names)
        assert (caught.value.code, caught.value.details) == ("bad_option", {"option": option})
        assert caught.value.message.startswith(option + ": ") and "54321; use become" in caught.value.message


def test_who_may_give_a_file_away(monkeypatch):
    monkeypatch.setattr(destination_module, "_may_give_away", lambda: True)
    _receive.check_rights("54321", "54321")
