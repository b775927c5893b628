# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receiver against a storage on this machine: what arrives, is resumed, is refused, is left behind."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import signal
import socket
import stat
import tarfile
import threading
import time

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _receive
from ansible_collections.restorable.backups.plugins.module_utils._receive import ReceiveError
from ansible_collections.restorable.backups.plugins.module_utils._receive import _partial as partial_module
from ansible_collections.restorable.backups.plugins.module_utils._receive import _run as run_module
from ansible_collections.restorable.backups.plugins.module_utils._receive import _storage as storage_module
from ansible_collections.restorable.backups.plugins.module_utils._receive import _transfer as transfer_module
from ansible_collections.restorable.backups.plugins.module_utils._receive._looks import begins_a_tar, expected_look
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.receive_storage import (
    PARTS,
    WHOLE,
    XML_ERROR,
    FakeStorage,
    left_behind,
    receive,
    sha256,
)


@pytest.fixture(autouse=True)
def brisk(monkeypatch):
    """No test waits for real backoffs, and the parts are larger than what is looked at as a whole."""
    monkeypatch.setattr(transfer_module.random, "uniform", lambda low, high: 0.01)
    monkeypatch.setattr(storage_module, "PAGE_LIMIT", 4096)


def test_joined(order, storage, tmp_path):
    answer = receive(order())
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert answer["state"] == "done"
    assert (answer["sha256"], answer["size_bytes"]) == (sha256(WHOLE), len(WHOLE))
    assert [file["size_bytes"] for file in answer["files"]] == [len(part) for part in PARTS]
    assert (answer["received"], answer["resumed"]) == (len(WHOLE), 0)
    assert left_behind(tmp_path) == [".out.tar.restorable.json", "out.tar"]
    assert stat.S_IMODE((tmp_path / "out.tar").stat().st_mode) == 0o600
    assert not any("Authorization" in request["headers"] for request in storage.requests)
    assert len(storage.requests) == 3


def test_a_single_part_tells_its_own_checksum(order):
    answer = receive(order(1))
    assert answer["files"][0]["sha256"] == answer["sha256"] == sha256(PARTS[0])


def test_into_a_folder(order, tmp_path):
    assert receive(order(dest=str(tmp_path)))["path"] == str(tmp_path / "shop.tar")
    assert (tmp_path / "shop.tar").read_bytes() == WHOLE


def test_kept(order, tmp_path):
    answer = receive(order(kept=True, dest=str(tmp_path)))
    assert [(tmp_path / "shop.tar" / ("tar-%d" % number)).read_bytes() for number in range(3)] == PARTS
    assert [file["sha256"] for file in answer["files"]] == [sha256(part) for part in PARTS]
    assert answer["files"][2]["path"] == str(tmp_path / "shop.tar" / "tar-2")
    assert answer["sha256"] == sha256(WHOLE)
    assert left_behind(tmp_path) == [".shop.tar.restorable.json", "shop.tar"]
    again = _receive.inspect(order(kept=True, dest=str(tmp_path)))
    assert (again["state"], again["files"]) == ("current", answer["files"])
    (tmp_path / "shop.tar" / "tar-1").write_bytes(b"something else")
    assert _receive.inspect(order(kept=True, dest=str(tmp_path)))["state"] == "needed"


def test_files_are_private_from_their_first_byte(order, tmp_path):
    seen = []

    def attributes(path, is_folder):
        seen.append(stat.S_IMODE(os.stat(path).st_mode))
        seen.append(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) if ".partial" in path else 0o700)

    old = os.umask(0)
    try:
        receive(order(), attributes)
    finally:
        os.umask(old)
    assert set(seen) == {0o600, 0o700}


# -- interruptions -------------------------------------------------------------------------------------------------


def test_a_connection_that_breaks_is_resumed(order, storage, tmp_path):
    storage.faults["/part-0"] = [{"cut": 100000}, {"cut": 100000}]
    receive(order())
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert [request["range"] for request in storage.requests if request["path"] == "/part-0"] == [
        None,
        "bytes=100000-",
        "bytes=200000-",
    ]
    assert storage.served == len(WHOLE)


def test_a_stalled_connection_is_resumed(order, storage, tmp_path):
    storage.faults["/part-1"] = [{"stall": 150000}]
    # On a busy machine every connection may be late.
    receive(order(timeout=0.3, tries=50))
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


@pytest.mark.parametrize("second", [{"no_ranges": True}, {"etag": '"other"'}])
def test_a_part_that_cannot_be_resumed_starts_anew(order, storage, tmp_path, second):
    storage.faults["/part-1"] = [{"cut": 100000}, second]
    receive(order())
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


def test_without_a_validator_nothing_is_resumed(order, storage, tmp_path):
    storage.always = {"etag": ""}
    storage.faults["/part-0"] = [{"cut": 100000}]
    receive(order())
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert not any(request["range"] for request in storage.requests)


def test_too_many_barren_tries_are_reported(order, storage):
    storage.faults["/part-1"] = [{"cut": 1000}] + [{"status": 500}] * 9
    answer = receive(order())
    assert answer["state"] == "progress"
    assert answer["outcomes"]["1"][0] == "transient"
    assert "answered 500" in answer["outcomes"]["1"][1]
    assert len([request for request in storage.requests if request["path"] == "/part-1"]) == 4


def test_a_short_body_is_noticed(order, storage, tmp_path):
    storage.always = {"no_ranges": True}
    storage.faults["/part-2"] = [{"length": len(PARTS[2]) + 10}] * 9
    answer = receive(order())
    assert answer["state"] == "progress"
    assert answer["outcomes"]["2"] == [
        "transient",
        "storage 127.0.0.1 closed the connection with 10 bytes still to come",
    ]
    assert not (tmp_path / "out.tar").exists()


@pytest.mark.parametrize(
    "status, body", [(403, XML_ERROR % b"AccessDenied"), (400, XML_ERROR % b"ExpiredToken"), (401, b"")]
)
def test_an_expired_url_is_told_and_a_fresh_one_goes_on(order, storage, tmp_path, status, body):
    storage.faults["/part-1"] = [{"cut": 100000}, {"status": status, "body": body}]
    first = receive(order())
    assert first["state"] == "progress"
    assert first["outcomes"]["1"][0] == "expired"
    assert [part["have"] for part in first["parts"]] == [300000, 100000, 123457]
    second = receive(order(first=False))
    assert second["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert storage.served == len(WHOLE)


@pytest.mark.parametrize(
    "body",
    [
        XML_ERROR % b"InternalError",
        b"<Error><Code>InternalError</Code></Error>\n",
        b"\xef\xbb\xbf<!DOCTYPE html>\n<html><head><title>Log in to this network</title></head></html>\r\n",
    ],
)
def test_an_error_page_with_200_is_no_backup(order, storage, tmp_path, body):
    """Neither at the start of a part nor where the rest of one was asked for."""
    storage.faults["/part-0"] = [{"status": 200, "body": body}]
    storage.faults["/part-1"] = [{"cut": 100000}, {"status": 200, "body": body}]
    receive(order())
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert storage.served == len(WHOLE)


def test_error_pages_for_ever_are_reported(order, storage, tmp_path):
    storage.faults["/part-0"] = [{"status": 200, "body": XML_ERROR % b"InternalError"}] * 9
    answer = receive(order())
    assert answer["outcomes"]["0"][0] == "transient"
    assert "a page in place of the backup (InternalError: No such luck)" in answer["outcomes"]["0"][1]
    assert not (tmp_path / "out.tar").exists()


def test_no_backup_is_taken_for_an_error_page():
    error_page = storage_module.error_page
    assert error_page(b"<?xml version='1.0'?><Error><Code>A</Code></Error>") == "A"
    assert error_page(b"<html></html>") == ""
    for data in (
        b"",
        b"x",
        b"\x1f\x8b\x08",
        b"<?xml version='1.0'?><rows><row>1</row></rows>",
        b"<Error>" + b"\0" * 1024,
        b"<Error><Code>A</Code></Error>" + b"\0" * 1024,
        b"<html>" + b"x" * 4096 + b"</html>",
        b"<Errors></Errors>",
        b"<html><body>cut in the middle of a da",
    ):
        assert error_page(data) is None


def tar_named(order, *endings, **changes):
    """An order whose files are named as the parts of a tar."""
    names = ["x.tar%s" % ending for ending in endings]
    return order(len(names), files=[{"id": name, "name": name} for name in names], tries=1, **changes)


def tar_of(content):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("x/databases/x.sql.gz")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize(
    "body, kind, words",
    [
        (b"hello this is text", "text/plain", "200 with text in place"),
        (b"hello this is text", "binary/octet-stream", "200 with text in place"),
        (b"caf\xc3\xa9 closed", "", "200 with text in place"),
        (b'{"error":"nope"}', "application/json; charset=utf-8", "200 with application/json in place"),
        (b'{"error":"nope"}', "binary/octet-stream", "200 with text in place"),
        (b"<rows><row>1</row></rows>", "application/xml", "200 with application/xml in place"),
        (b"we are closed\n" * 2000, "text/plain", "200 with text in place"),
        (b"<!doctype html>" + b"<p>" * 20000, "text/html", "200 with text/html in place"),
    ],
)
def test_text_in_place_of_an_archive_is_no_backup(order, storage, tmp_path, body, kind, words):
    """Neither of a first nor of a later part, neither small nor large, neither at the start nor for the rest."""
    storage.contents["/part-0"] = tar_of(PARTS[0])
    for bad in ("/part-0", "/part-1"):
        for before in ([], [{"cut": 100000}]):
            storage.faults[bad] = before + [{"status": 200, "body": body, "kind": kind}] * 2
            dest = tmp_path / ("out%s-%d" % (bad[-1], len(before)))
            answer = receive(tar_named(order, "-aa", "-ab", dest=str(dest)))
            assert answer["state"] == "progress"
            outcome = answer["outcomes"][bad[-1]]
            assert outcome[0] == "transient" and words in outcome[1], outcome
            assert not dest.exists()
            storage.faults[bad] = []


def test_a_small_file_that_does_not_begin_as_a_tar_is_refused(order, storage, tmp_path):
    storage.contents["/part-0"] = PARTS[0][:2000]
    outcome = receive(tar_named(order, ""))["outcomes"]["0"]
    assert "something that does not begin as a tar does in place of the backup" in outcome[1]
    assert left_behind(tmp_path) == [".out.tar.partial"]


@pytest.mark.parametrize(
    "first", [tar_of(b"x" * 10), tar_of(b"plain text " * 90), tar_of(PARTS[0]), b"\0" * 10240, PARTS[0]]
)
@pytest.mark.parametrize("declared", ["", "text/plain"])
def test_archives_are_not_accused(order, storage, tmp_path, first, declared):
    """Small and large ones, empty ones, what a storage calls plain text, large ones of an unknown kind, odd ends."""
    storage.contents.update({"/part-0": first, "/part-1": PARTS[1], "/part-2": b"\0" * 512})
    storage.always = {"kind": declared} if declared else {}
    assert receive(tar_named(order, "-aa", "-ab", "-ac"))["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == first + PARTS[1] + b"\0" * 512


@pytest.mark.parametrize(
    "name, number, look",
    [
        ("tar", 0, "tar"),
        ("x.tar", 0, "tar"),
        ("x.tar-aa", 0, "tar"),
        ("x.tar.aaa", 0, "tar"),
        ("x.tar-ab", 1, "binary"),
        ("PostgreSQL.sql.gz", 0, "binary"),
        ("x.tar.gz", 0, "binary"),
        ("dump.rdb", 0, "binary"),
        ("dump.sql", 0, None),
        ("17", 0, None),
        ("guitar", 0, None),
    ],
)
def test_how_a_file_is_expected_to_look(name, number, look):
    assert expected_look(name, number) == look


def test_a_header_without_the_magic_word_is_known_by_its_checksum():
    old = bytearray(tar_of(b"x")[:512])
    old[257:265] = bytes(8)
    assert not begins_a_tar(bytes(old))
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + 8 * 32 + sum(old[156:]))
    assert begins_a_tar(bytes(old))


def test_a_part_of_another_size_moves_those_behind_it(order, storage, tmp_path):
    storage.faults["/part-0"] = [{"cut": 100000}, {"status": 500}, {"status": 500}, {"status": 500}]
    receive(order())
    storage.contents["/part-0"] = b"shorter"
    assert receive(order(first=False))["state"] == "progress"
    assert receive(order(first=False))["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == b"shorter" + PARTS[1] + PARTS[2]


@pytest.mark.parametrize("fault", [{"chunked": True}, {"no_length": True}])
def test_sizes_that_are_not_announced(order, storage, tmp_path, fault):
    storage.always = fault
    answer = receive(order())
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    # The end of a chunked body is marked; without either, nobody can tell whether all has come.
    assert answer["unmeasured"] == ([] if "chunked" in fault else [0, 1, 2])


def test_nothing_at_all_is_no_backup(order, storage, tmp_path):
    storage.contents["/part-0"] = b""
    with pytest.raises(ReceiveError) as caught:
        receive(order(1))
    assert caught.value.code == "empty"
    assert left_behind(tmp_path) == []


def test_slices(order, storage, tmp_path, monkeypatch):
    """Each brings a third of a part at most, and none what another one has brought."""
    monkeypatch.setattr(transfer_module, "_GRACE", 0.05)
    storage.always = {"stall": 100000}
    answers = [receive(order(seconds=0.1))]
    while answers[-1]["state"] != "done":
        answers.append(receive(order(seconds=0.1, first=False)))
        assert len(answers) < 500
    assert len(answers) > 2
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert sum(answer["received"] for answer in answers) == len(WHOLE)


class Clock:
    """The clock of a transfer. It stands still until ``jump``: no slice is over before what is to come first."""

    def __init__(self):
        self.seconds = 1000.0

    def monotonic(self):
        return self.seconds

    def jump(self):
        self.seconds += 1000.0


@pytest.fixture
def slice_clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(transfer_module, "time", clock)
    return clock


def test_a_slice_does_not_end_in_what_cannot_be_resumed(order, storage, slice_clock):
    storage.always = {"no_ranges": True, "meanwhile": slice_clock.jump}
    answer = receive(order(seconds=0.05, workers=1))
    assert [part["have"] for part in answer["parts"]] == [len(PARTS[0]), 0, 0]


def test_a_slice_ends_while_the_storage_is_silent(order, storage, slice_clock, monkeypatch):
    storage.faults["/part-0"] = [{"stall": 100000}]
    monkeypatch.setattr(transfer_module, "_GRACE", 0.05)
    read_into, abort = storage_module.Body.read_into, transfer_module.Transfer._abort
    counts, silent = [], threading.Event()

    def counted(body, view):
        if sum(counts) == 100000:
            # From here on it waits for what does not come.
            slice_clock.jump()
            silent.set()
        counts.append(read_into(body, view))
        return counts[-1]

    def not_too_soon(*arguments):
        assert silent.wait(60)
        abort(*arguments)

    monkeypatch.setattr(storage_module.Body, "read_into", counted)
    monkeypatch.setattr(transfer_module.Transfer, "_abort", not_too_soon)
    begun = time.monotonic()
    answer = receive(order(1, seconds=0.2, timeout=120))
    # Far less than the storage and the patience with it would last.
    assert time.monotonic() - begun < 60
    assert (answer["state"], answer["have"]) == ("progress", 100000)


def test_a_killed_process_is_gone_on_with(order, storage, tmp_path):
    """kill -9 at random moments; what has arrived is neither lost nor sent again."""
    storage.always = {"delay": 0.005}
    chance = random.Random(9)
    for _attempt in range(3):
        child = os.fork()
        if not child:
            try:
                _receive.receive(order(), lambda path, is_folder: None)
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0.05, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert not (tmp_path / "out.tar").exists() or (tmp_path / "out.tar").read_bytes() == WHOLE
    storage.always = {}
    # Not the bytes that the storage sent: what it put into the buffers of a connection that died has never arrived.
    there = _receive.inspect(order(run="run-2"))["have"]
    answer = receive(order(run="run-2"))
    assert answer["state"] in ("done", "current")
    assert answer["state"] == "current" or answer["received"] == len(WHOLE) - there
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert left_behind(tmp_path) == [".out.tar.restorable.json", "out.tar"]


def test_after_a_crash_of_the_machine_only_what_was_flushed_is_believed(order, storage, tmp_path, monkeypatch):
    storage.faults["/part-0"] = [{"cut": 100000}, {"status": 403}]
    receive(order())
    state = json.loads((tmp_path / ".out.tar.partial" / "state.json").read_text())
    assert [part["flushed"] for part in state["parts"]] == [100000, 300000, 123457]
    for part in state["parts"]:
        part["flushed"] = 50000
    (tmp_path / ".out.tar.partial" / "state.json").write_text(json.dumps(state))
    monkeypatch.setattr(partial_module, "_boot_id", lambda: "another")
    answer = receive(order(first=False))
    assert (answer["state"], answer["resumed"]) == ("done", 150000)
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


def test_dying_between_the_file_and_its_note(order, storage, tmp_path):
    def die_at_the_note(path, is_folder):
        if path.endswith("note"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        receive(order(), die_at_the_note)
    assert (tmp_path / "out.tar").read_bytes() == WHOLE
    assert not (tmp_path / ".out.tar.restorable.json").exists()
    storage.requests.clear()
    assert receive(order(run="run-2"))["state"] == "done"
    assert storage.requests == []
    assert left_behind(tmp_path) == [".out.tar.restorable.json", "out.tar"]


def test_dying_between_two_kept_parts(order, storage, tmp_path):
    def die_at_the_second(path, is_folder):
        if path.endswith(".partial/part-1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        receive(order(kept=True, dest=str(tmp_path)), die_at_the_second)
    answer = receive(order(kept=True, dest=str(tmp_path), run="run-2"))
    assert [(tmp_path / "shop.tar" / ("tar-%d" % number)).read_bytes() for number in range(3)] == PARTS
    assert answer["state"] == "done"
    assert storage.served <= len(WHOLE) + len(PARTS[0])


def test_something_else_left_there_is_not_mixed_in(order, storage, tmp_path):
    storage.faults["/part-0"] = [{"cut": 100000}, {"status": 403}]
    receive(order(1))
    storage.contents["/part-0"] = PARTS[1]
    answer = receive(order(1, what={"backup": "43"}))
    assert answer["resumed"] == 0
    assert (tmp_path / "out.tar").read_bytes() == PARTS[1]


# -- what the destination holds ------------------------------------------------------------------------------------


def test_unchanged_is_proved_by_reading(order, storage, tmp_path):
    receive(order())
    storage.requests.clear()
    assert _receive.inspect(order())["state"] == "current"
    assert receive(order(run="run-2"))["state"] == "current"
    assert storage.requests == []
    damaged = bytearray(WHOLE)
    damaged[400000] ^= 1
    (tmp_path / "out.tar").write_bytes(damaged)
    assert _receive.inspect(order())["state"] == "needed"
    assert receive(order(run="run-2"))["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


def test_the_right_bytes_without_a_note(order, tmp_path):
    (tmp_path / "out.tar").write_bytes(WHOLE)
    assert _receive.inspect(order())["state"] == "needed"
    assert _receive.inspect(order(checksum=sha256(WHOLE)))["state"] == "current"
    assert _receive.inspect(order(checksum="0" * 64))["state"] == "needed"


def test_force_fetches_again(order, storage):
    receive(order())
    assert _receive.inspect(order(force=True))["state"] == "needed"
    assert receive(order(force=True, run="run-2"))["state"] == "done"
    assert storage.served == 2 * len(WHOLE)


def test_a_note_of_another_backup_proves_nothing(order):
    receive(order())
    assert _receive.inspect(order(what={"backup": "41"}))["state"] == "needed"


def test_a_wrong_checksum_leaves_the_old_file(order, storage, tmp_path):
    (tmp_path / "out.tar").write_bytes(b"old")
    with pytest.raises(ReceiveError) as caught:
        receive(order(checksum="0" * 64))
    assert caught.value.code == "checksum_mismatch"
    assert sha256(WHOLE) in caught.value.message
    assert (tmp_path / "out.tar").read_bytes() == b"old"
    # The checksum was mistyped: what has arrived is still good for the right one.
    assert receive(order(checksum=sha256(WHOLE), run="run-2"))["state"] == "done"
    assert storage.served == len(WHOLE)


def test_bytes_refused_twice_are_fetched_anew(order, storage, tmp_path):
    good = storage.contents["/part-1"]
    storage.contents["/part-1"] = good[::-1]
    with pytest.raises(ReceiveError):
        receive(order(checksum=sha256(WHOLE)))
    storage.contents["/part-1"] = good
    assert receive(order(checksum=sha256(WHOLE), run="run-2"))["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


def test_without_keep_partial_a_failure_leaves_nothing(order, tmp_path):
    with pytest.raises(ReceiveError):
        receive(order(checksum="0" * 64, keep_partial=False))
    assert left_behind(tmp_path) == []


def test_release(order, storage, tmp_path):
    storage.faults["/part-0"] = [{"cut": 100000}, {"status": 403}]
    receive(order())
    _receive.release(order())
    assert receive(order(run="run-2", urls={}))["resumed"] == 523457
    _receive.release(order(run="run-2", keep_partial=False))
    assert left_behind(tmp_path) == []


# -- two at once ---------------------------------------------------------------------------------------------------


def no_time(monkeypatch):
    """Waiting takes no time, but the clock moves on."""
    clock = [time.time()]
    monkeypatch.setattr(partial_module.time, "time", lambda: clock[0])

    def sleep(seconds):
        clock[0] += seconds

    return sleep


def test_another_run_at_work_is_respected(order, tmp_path, monkeypatch):
    holder = partial_module.Partial.take(str(tmp_path / ".out.tar.partial"), "run-1")
    try:
        with pytest.raises(ReceiveError) as caught:
            _receive.receive(order(run="run-2"), None, sleep=no_time(monkeypatch))
        assert caught.value.code == "busy"
    finally:
        holder.close()


def test_another_run_between_two_slices_is_waited_for_and_then_replaced(order, storage, tmp_path, monkeypatch):
    storage.faults["/part-0"] = [{"cut": 100000}, {"status": 403}]
    # From before the first run has rested: how long this machine takes is no part of its absence.
    sleep = no_time(monkeypatch)
    receive(order())
    slept = []
    answer = _receive.receive(
        order(run="run-2"), lambda path, is_folder: None, sleep=lambda seconds: (slept.append(seconds), sleep(seconds))
    )
    assert answer["state"] == "done"
    assert answer["resumed"] == 523457
    assert 14 <= sum(slept) <= 16
    # The first run comes back and finds its work done.
    assert receive(order())["state"] == "current"


def test_another_run_that_comes_back_is_respected(order, storage, tmp_path, monkeypatch):
    storage.faults["/part-0"] = [{"cut": 100000}, {"status": 403}, {"cut": 100000}, {"status": 403}]
    receive(order())
    turns = []

    def sleep(seconds):
        turns.append(seconds)
        if len(turns) == 5:
            receive(order(first=False))

    with pytest.raises(ReceiveError) as caught:
        _receive.receive(order(run="run-2"), None, sleep=sleep)
    assert caught.value.code == "busy"
    assert len(turns) == 5


# -- space, names, places ------------------------------------------------------------------------------------------


def test_too_little_space_is_noticed_before_the_download(order, storage, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer_module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    for call in (_receive.inspect, receive):
        with pytest.raises(ReceiveError) as caught:
            call(order(expected_bytes=5000))
        assert caught.value.code == "no_space"
        assert (caught.value.details["needed_bytes"], caught.value.details["free_bytes"]) == (5000, 1000)
    assert storage.requests == []
    assert left_behind(tmp_path) == []
    with pytest.raises(ReceiveError) as caught:
        receive(order())
    assert caught.value.code == "no_space"
    assert left_behind(tmp_path) == []


def test_a_disk_that_fills_up_is_given_its_space_back(order, tmp_path, monkeypatch):
    (tmp_path / "out.tar").write_bytes(b"old")
    pwrite = os.pwrite

    def full(file, data, place):
        if place > 200000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, data, place)

    monkeypatch.setattr(partial_module.os, "pwrite", full)
    with pytest.raises(ReceiveError) as caught:
        receive(order())
    assert caught.value.code == "no_space"
    assert str(tmp_path) in caught.value.message
    assert left_behind(tmp_path) == ["out.tar"]
    assert (tmp_path / "out.tar").read_bytes() == b"old"


@pytest.mark.parametrize(
    "dest, kept, words",
    [
        ("missing/out.tar", False, "does not exist"),
        ("missing/", False, "does not exist"),
        ("a-file/", False, "is not a folder"),
        ("a-file/out.tar", False, "is not a folder"),
        ("a-file", True, "needs a folder"),
        ("out.tar", True, "needs a folder"),
        ("a-pipe", False, "is not a regular file"),
        ("taken", False, "is not a regular file"),
    ],
)
def test_a_dest_that_cannot_be(order, tmp_path, dest, kept, words):
    (tmp_path / "a-file").write_text("x")
    os.mkfifo(str(tmp_path / "a-pipe"))
    (tmp_path / "taken" / "shop.tar").mkdir(parents=True)
    with pytest.raises(ReceiveError) as caught:
        _receive.inspect(order(dest=str(tmp_path / dest) + ("/" if dest.endswith("/") else ""), kept=kept))
    assert caught.value.code == "bad_dest"
    assert words in caught.value.message
    assert str(tmp_path / dest).rstrip("/") in caught.value.message


@pytest.mark.parametrize("dest", ["", " "])
def test_an_empty_dest_is_refused(order, dest):
    with pytest.raises(ReceiveError, match="dest: is empty"):
        _receive.inspect(order(dest=dest))


@pytest.mark.parametrize(
    "mode, owner, group, option",
    [
        ("rw", None, None, "mode"),
        ("u+q", None, None, "mode"),
        ("0999", None, None, "mode"),
        ("77777", None, None, "mode"),
        (-1, None, None, "mode"),
        (True, None, None, "mode"),
        (["0600"], None, None, "mode"),
        (None, "no-such-user", None, "owner"),
        (None, "-1", None, "owner"),
        (None, "", None, "owner"),
        (None, None, "no-such-group", "group"),
    ],
)
def test_attributes_that_the_host_cannot_give(mode, owner, group, option):
    with pytest.raises(ReceiveError) as caught:
        _receive.check_attributes(mode, owner, group)
    assert (caught.value.code, caught.value.details) == ("bad_option", {"option": option})
    assert caught.value.message.startswith(option + ": ")


@pytest.mark.parametrize("mode", [None, 0o640, "0640", "640", "u=rw,g=r,o=", "a+r", "+x", "u=rwX,go-w", "g=u", "u+r-w"])
def test_attributes_that_the_host_can_give(mode):
    _receive.check_attributes(mode, "root", "0")
    _receive.check_attributes(mode, "12345", None)


@pytest.mark.parametrize("name", ["../victim", "{absolute}", "a/b", "..", ".hidden", ""])
def test_a_name_never_leaves_the_folder(order, tmp_path, name):
    # A file of the test's own stands in for those that a hostile name would aim at: without the guard it is lost.
    victim, dest = tmp_path / "victim", tmp_path / "dest"
    victim.write_text("precious")
    dest.mkdir()
    name = name.format(absolute=victim)
    with pytest.raises(ReceiveError):
        receive(order(dest=str(dest), name=name))
    with pytest.raises(ReceiveError):
        receive(order(1, dest=str(dest), kept=True, files=[{"id": "x", "name": name}]))
    assert left_behind(dest) == []
    assert victim.read_text() == "precious"


def test_a_link_stays_and_its_target_is_written(order, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out.tar").symlink_to(tmp_path / "real" / "file")
    receive(order())
    assert (tmp_path / "out.tar").is_symlink()
    assert (tmp_path / "real" / "file").read_bytes() == WHOLE


def test_a_planted_folder_is_refused(order, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".out.tar.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReceiveError) as caught:
        receive(order())
    assert "in the way" in caught.value.message
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_long_names_have_hidden_ones(order, tmp_path):
    name = "é" * 126
    receive(order(dest=str(tmp_path / name)))
    assert (tmp_path / name).read_bytes() == WHOLE
    assert _receive.inspect(order(dest=str(tmp_path / name)))["state"] == "current"


# -- the way to the storage ----------------------------------------------------------------------------------------


def test_redirects(order, storage, tmp_path):
    storage.faults["/part-0"] = [{"location": "/part-0?" + "X-Amz-Signature=anotherSecret"}]
    receive(order(1))
    assert (tmp_path / "out.tar").read_bytes() == PARTS[0]
    storage.faults["/part-0"] = [{"location": storage.url("/part-0")}] * 20
    answer = receive(order(1, force=True, run="run-2"))
    assert answer["outcomes"]["0"] == ["final", "storage 127.0.0.1 redirects more than 5 times"]


@pytest.mark.parametrize(
    "url, words",
    [
        ("http://storage.example/x?Signature=sEcReT", "without TLS"),
        ("ftp://storage.example/x?Signature=sEcReT", "not an http(s) URL"),
        ("http://[::1/x?Signature=sEcReT", "not an http(s) URL"),
        ("not a url sEcReT", "not an http(s) URL"),
        ("https://127.0.0.1:1/x?Signature=sEcReT", "broke"),
        ("http://127.0.0.1:1/x y\n?Signature=sEcReT", "broke"),
    ],
)
def test_urls_that_lead_nowhere_are_not_repeated(order, url, words):
    answer = receive(order(1, urls={"0": url}))
    assert words in answer["outcomes"]["0"][1]
    assert "sEcReT" not in json.dumps(answer)


def test_no_message_holds_a_signature(order, storage):
    for status, code, kind in ((403, b"SignatureDoesNotMatch", "expired"), (404, b"NoSuchKey", "final")):
        storage.faults["/part-0"] = [{"status": status, "body": XML_ERROR % code}]
        answer = receive(order())
        assert answer["outcomes"]["0"][0] == kind
        assert "%s: No such luck" % code.decode() in answer["outcomes"]["0"][1]
        assert "sIgNaTuRe" not in json.dumps(answer)


def test_a_proxy_of_the_environment_is_used(order, storage, monkeypatch, tmp_path):
    proxied = FakeStorage()
    proxied.contents["http://storage.example/part-0"] = PARTS[0]
    try:
        monkeypatch.setenv(
            "http_proxy", proxied.url("/").replace("http://", "http://user:pass%40word@").partition("?")[0]
        )
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        receive(order(1, urls={"0": "http://storage.example/part-0?Signature=x"}, allow_http=True))
        assert (tmp_path / "out.tar").read_bytes() == PARTS[0]
        headers = proxied.requests[0]["headers"]
        assert headers["Host"] == "storage.example"
        assert headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNzQHdvcmQ="
        receive(order(1, force=True, run="run-2"))
        assert len(proxied.requests) == 1
    finally:
        proxied.close()


def test_a_certificate_that_does_not_verify(order):
    """A server that talks no TLS at all is told apart from one whose certificate is refused; neither is believed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_plainly():
        for _try in range(3):
            connection, _address = listener.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

    threading.Thread(target=answer_plainly, daemon=True).start()
    try:
        answer = receive(order(1, urls={"0": "https://127.0.0.1:%d/x" % listener.getsockname()[1]}))
    finally:
        listener.close()
    assert answer["outcomes"]["0"][0] == "transient"


def test_many_parts_few_workers(order, storage, tmp_path):
    contents = [b"part %d " % number * 1000 for number in range(40)]
    for number, content in enumerate(contents):
        storage.contents["/part-%d" % number] = content
    receive(order(40, workers=4))
    assert (tmp_path / "out.tar").read_bytes() == b"".join(contents)


def test_batches_of_urls(order, storage, tmp_path):
    """Only some parts have URLs at a time; the places of later ones become known as the earlier ones come."""
    urls = order()["urls"]
    for batch in (["2"], ["0"], ["1", "2"]):
        answer = receive(order(urls={number: urls[number] for number in batch}, first=batch == ["2"]))
    assert answer["state"] == "done"
    assert (tmp_path / "out.tar").read_bytes() == WHOLE


def test_large_things_are_hashed_in_a_slice_of_their_own(order, storage, monkeypatch):
    monkeypatch.setattr(run_module, "_QUIETLY", 1000)
    assert receive(order(seconds=9, first=False))["state"] == "progress"
    assert receive(order(seconds=9, first=False))["state"] == "done"
