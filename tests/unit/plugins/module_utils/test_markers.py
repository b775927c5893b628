# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Markers: what survives, what is noticed, what is never written down."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _markers as markers
from ansible_collections.restorable.backups.plugins.module_utils._errors import BackupError, OptionError
from ansible_collections.restorable.backups.plugins.module_utils._markers import DONE, INTENT, MarkerBook
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import NOW

ADDRESS = "https://api.example.test/api/3#"
REQUEST = {"engines": ["all"], "frequency": "0 3 * * *"}


@pytest.fixture
def book(tmp_path):
    return MarkerBook(str(tmp_path / "state"), "task", "cloud66", ADDRESS, "shop")


def test_nothing_remembered_is_nothing(book):
    assert book.all() == []
    assert book.get("key") is None
    assert not book.folder.exists(), "looking writes nothing"


def test_a_marker_comes_back_as_it_was_written(book):
    written = book.write("key", INTENT, NOW, REQUEST)
    assert book.get("key") == written
    assert book.all() == [written]
    assert written.to_result() == {
        "path": str(written.path),
        "state": "intent",
        "asked_at": "2026-03-18T12:00:00Z",
        "request": REQUEST,
    }


def test_intent_becomes_done_in_place(book):
    book.write("key", INTENT, NOW, REQUEST)
    book.write("key", DONE, NOW, REQUEST)
    assert [marker.state for marker in book.all()] == [DONE]
    assert os.listdir(str(book.folder)) == [book.path_for("key").name], "no temporary file is left"


def test_only_the_user_may_read_them(book):
    old = os.umask(0)
    try:
        path = book.write("key", DONE, NOW, REQUEST).path
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(str(path)).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(str(path.parent)).st_mode) == 0o700


def test_a_marker_holds_no_more_than_it_says(book):
    content = json.loads(book.write("key", DONE, NOW, REQUEST).path.read_text(encoding="utf-8"))
    assert sorted(content) == ["asked_at", "by", "request", "schema", "state"]
    assert sorted(content["by"]) == ["host", "pid"]


def test_keys_are_told_apart_by_content_and_not_by_order(book):
    assert book.path_for({"a": 1, "b": 2}) == book.path_for({"b": 2, "a": 1})
    assert len({book.path_for(key) for key in ("a", ["a"], {"a": None}, ["b"], [])}) == 5


@pytest.mark.parametrize(
    "other",
    [
        ("import", "cloud66", ADDRESS, "shop"),
        ("task", "other", ADDRESS, "shop"),
        ("task", "cloud66", ADDRESS + "7", "shop"),
        ("task", "cloud66", ADDRESS, "shop2"),
        ("task", "cloud66", ADDRESS, "shop/"),
        ("task", "cloud66", ADDRESS, "shop_"),
    ],
)
def test_another_kind_service_account_or_source_has_other_markers(book, tmp_path, other):
    book.write("key", DONE, NOW, REQUEST)
    assert MarkerBook(str(tmp_path / "state"), *other).all() == []


@pytest.mark.parametrize("source", ["..", "../../etc", "/", "a" * 300, "é ü", "", ".hidden", "a\nb", "a\0b"])
def test_no_source_leads_out_of_the_state_folder(tmp_path, source):
    book = MarkerBook(str(tmp_path), "task", "cloud66", ADDRESS, source)
    path = book.write("key", DONE, NOW, REQUEST).path
    assert path.parent.parent == tmp_path
    assert [marker.path for marker in book.all()] == [path]


def test_the_default_folder_is_that_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert markers.default_state_dir() == str(tmp_path / "xdg" / "restorable.backups")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert MarkerBook(None, "task", "cloud66", ADDRESS, "shop").folder.parent == tmp_path.joinpath(
        "home", ".local", "state", "restorable.backups"
    )


# -- restoring ---------------------------------------------------------------------------------------------------------


def test_restore_removes_what_was_not_there_before(book):
    book.write("key", INTENT, NOW, REQUEST)
    book.restore("key", None)
    assert book.all() == []
    book.restore("key", None)


def test_restore_puts_the_earlier_one_back(book):
    earlier = book.write("key", DONE, NOW, {"engines": ["mysql"]})
    book.write("key", INTENT, NOW, REQUEST)
    book.restore("key", earlier)
    assert book.get("key") == earlier


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"\xff\xfe\x00",
        b"{}",
        b'{"state": "done"}',
        b'{"state": "done", "asked_at": null, "request": {}}',
        b'{"state": "done", "asked_at": "soon", "request": {}}',
        b'{"state": "maybe", "asked_at": "2026-03-18T12:00:00Z", "request": {}}',
        b'{"state": ["done"], "asked_at": "2026-03-18T12:00:00Z", "request": {}}',
        b'{"state": "done", "asked_at": "2026-03-18T12:00:00Z", "request": []}',
        b'{"state": "done", "asked_at": 7, "request": {}}',
    ],
)
def test_a_damaged_marker_is_named_and_not_taken_for_none(book, content):
    path = book.write("key", DONE, NOW, REQUEST).path
    path.write_bytes(content)
    for look in (book.all, lambda: book.get("key")):
        with pytest.raises(BackupError) as caught:
            look()
        assert caught.value.code == "bad_marker"
        assert str(path) in caught.value.message


def test_foreign_files_in_the_folder_do_not_matter(book):
    marker = book.write("key", DONE, NOW, REQUEST)
    for name in (".lock", ".abc.tmp", "import-0.json", "task-0.json.bak", "README"):
        (book.folder / name).write_text("x")
    assert book.all() == [marker]


def test_unknown_fields_of_a_later_version_are_borne(book):
    path = book.write("key", DONE, NOW, REQUEST).path
    content = json.loads(path.read_text(encoding="utf-8"))
    content.update(schema=2, more="x")
    path.write_text(json.dumps(content))
    assert book.get("key").state == DONE


# -- folders that do not let us ----------------------------------------------------------------------------------------


def test_a_file_where_the_folder_is_meant_names_the_option(tmp_path):
    (tmp_path / "state").write_text("")
    book = MarkerBook(str(tmp_path / "state"), "task", "cloud66", ADDRESS, "shop")
    for act in (lambda: book.write("key", INTENT, NOW, REQUEST), lambda: book.lock().__enter__(), book.all):
        with pytest.raises(OptionError, match="^state_dir: .*state"):
            act()


@pytest.mark.parametrize("function", ["listdir", "replace", "fsync"])
def test_trouble_of_the_file_system_names_the_option(book, monkeypatch, function):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(book.folder))

    book.write("key", DONE, NOW, REQUEST)
    monkeypatch.setattr(markers.os, function, refuse)
    with pytest.raises(OptionError, match="state_dir: .*Permission denied"):
        if function == "listdir":
            # Taken for an empty folder, the request would be sent once more.
            book.all()
        else:
            book.write("key", INTENT, NOW, REQUEST)


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_earlier_marker_and_no_rubbish(book, monkeypatch, function):
    earlier = book.write("key", DONE, NOW, REQUEST)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(markers.os, function, full)
        with pytest.raises(OptionError, match="No space left"):
            book.write("key", INTENT, NOW, {"engines": ["mysql"]})
    assert book.get("key") == earlier
    assert os.listdir(str(book.folder)) == [earlier.path.name]


def test_a_restore_that_fails_names_the_option(book, monkeypatch):
    book.write("key", INTENT, NOW, REQUEST)

    def refuse(*args):
        raise PermissionError(13, "Permission denied", args[0])

    monkeypatch.setattr(markers.os, "unlink", refuse)
    with pytest.raises(OptionError, match="state_dir: .*Permission denied"):
        book.restore("key", None)


# -- the lock ----------------------------------------------------------------------------------------------------------


def test_the_lock_is_free_again_after_its_block_and_after_an_error(book):
    with book.lock():
        pass
    with pytest.raises(KeyError):
        with book.lock():
            raise KeyError("x")
    with book.lock():
        pass


def _hold(state_dir, held, enough):
    with MarkerBook(state_dir, "task", "cloud66", ADDRESS, "shop").lock():
        held.set()
        enough.wait(30)


def test_a_second_run_waits_its_time_and_then_says_who_is_in_the_way(book, monkeypatch, tmp_path):
    monkeypatch.setattr(markers, "_LOCK_WAIT", 0.2)
    context = multiprocessing.get_context("fork")
    held, enough = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path / "state"), held, enough))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(BackupError) as caught:
            with book.lock():
                pass
        assert caught.value.code == "locked"
        assert ".lock" in caught.value.message
        with MarkerBook(str(tmp_path / "state"), "task", "cloud66", ADDRESS, "crm").lock():
            pass  # another source is not kept waiting
    finally:
        enough.set()
        other.join()
    with book.lock():
        pass


def test_a_run_that_was_killed_holds_no_lock(book, monkeypatch, tmp_path):
    monkeypatch.setattr(markers, "_LOCK_WAIT", 5)
    context = multiprocessing.get_context("fork")
    held, enough = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path / "state"), held, enough))
    other.start()
    assert held.wait(30)
    other.kill()
    other.join()
    with book.lock():
        pass


def test_a_relative_folder_is_refused():
    with pytest.raises(OptionError, match="state_dir: rel/x is a relative path"):
        markers.MarkerBook("rel/x", "task", "cloud66", "https://api", "shop")
