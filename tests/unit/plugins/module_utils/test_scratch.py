# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scratch folders: programs that end as they should and that do not, and what the next drill may remove."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._engines import _scratch
from ansible_collections.restorable.backups.plugins.module_utils._engines._base import EngineError
from ansible_collections.restorable.backups.plugins.module_utils._engines._scratch import MARKER, Scratch

SH = "/bin/sh"
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc here")


@pytest.fixture
def parent(tmp_path_factory):
    # pytest's own folders are long, and a socket's path must be short.
    folder = tmp_path_factory.mktemp("s")
    if len(str(folder)) > 50:
        import tempfile

        with tempfile.TemporaryDirectory() as short:
            yield short
    else:
        yield str(folder)


@pytest.fixture
def scratch(parent):
    made = Scratch.create(parent)
    yield made
    made.close()


def marker_of(path):
    with open(os.path.join(path, MARKER), encoding="utf-8") as stream:
        return json.load(stream)


def write_marker(path, **changes):
    content = dict(marker_of(path), **changes)
    with open(os.path.join(path, MARKER), "w", encoding="utf-8") as stream:
        json.dump(content, stream)


def dead_number():
    """The number of a process that has ended."""
    process = subprocess.Popen([SH, "-c", "exit 0"])
    process.wait()
    return process.pid


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- the folder ---------------------------------------------------------------------------------------------------


def test_the_folder_is_private_marked_and_gone_at_the_end(parent):
    scratch = Scratch.create(parent)
    assert os.path.dirname(scratch.path) == parent
    assert os.path.basename(scratch.path).startswith("rbd-")
    assert stat.S_IMODE(os.stat(scratch.path).st_mode) == 0o700
    marker = marker_of(scratch.path)
    assert stat.S_IMODE(os.stat(os.path.join(scratch.path, MARKER)).st_mode) == 0o600
    assert marker["schema"] == "restorable.backups/scratch/1"
    assert marker["pid"] == os.getpid()
    assert marker["servers"] == [] and marker["databases"] == []
    scratch.close()
    scratch.close()
    assert os.listdir(parent) == []


def test_folders_and_files_in_it(scratch):
    folder = scratch.folder("data")
    assert scratch.folder("data") == folder
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    path = scratch.write("secret", "w\u00f6rd")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, "rb") as stream:
        assert stream.read() == "w\u00f6rd".encode("utf-8")


def test_a_link_in_the_place_of_a_file_is_not_followed(scratch, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    os.symlink(str(target), os.path.join(scratch.path, "secret"))
    with pytest.raises(OSError):
        scratch.write("secret", "x")
    assert target.read_text() == "precious"


def test_a_path_too_long_for_sockets_is_refused(tmp_path):
    long = tmp_path / ("x" * 60)
    long.mkdir()
    long = long / ("y" * 60)
    long.mkdir()
    with pytest.raises(EngineError, match="scratch_dir: .* 107 bytes") as caught:
        Scratch.create(str(long))
    assert caught.value.code == "bad_option"
    assert list(long.iterdir()) == []


def test_a_parent_that_is_not_there(parent):
    with pytest.raises(EngineError, match="scratch_dir: cannot make a folder") as caught:
        Scratch.create(os.path.join(parent, "nothing"))
    assert caught.value.code == "bad_option"


def test_closing_leaves_everything_around_alone(parent):
    """A link in the folder, and the modes of the folder above, are nobody's business."""
    os.chmod(parent, 0o755)
    precious = os.path.join(parent, "precious")
    os.mkdir(precious)
    with open(os.path.join(precious, "file"), "w", encoding="utf-8"):
        pass
    scratch = Scratch.create(parent)
    os.symlink(precious, os.path.join(scratch.path, "link"))
    closed = scratch.folder("closed")
    with open(os.path.join(closed, "file"), "w", encoding="utf-8"):
        pass
    os.chmod(closed, 0o500)
    scratch.close()
    scratch.close()
    assert os.listdir(parent) == ["precious"]
    assert os.listdir(precious) == ["file"]
    assert stat.S_IMODE(os.stat(parent).st_mode) == 0o755


def test_programs_in_a_place_that_can_be_reached_stay_there(scratch, tmp_path):
    assert scratch.programs(str(tmp_path)) == str(tmp_path)


def test_a_copied_installation_keeps_its_shape(scratch, tmp_path):
    package = tmp_path / "package"
    for name in ("install/bin", "install/lib", "install/share/x"):
        (package / name).mkdir(parents=True)
    (tmp_path / "package.libs").mkdir()
    (tmp_path / "package.libs" / "libz.so").write_text("z")
    program = package / "install" / "bin" / "server"
    program.write_text('#!/bin/sh\ncat "$(dirname "$0")/../../../package.libs/libz.so"\n')
    program.chmod(0o700)
    (package / "install" / "share" / "x" / "y").write_text("y")
    os.symlink("server", str(package / "install" / "bin" / "alias"))
    copied = scratch._copy_installation(str(package / "install" / "bin"))
    assert copied.startswith(scratch.path)
    assert scratch.run([os.path.join(copied, "alias")]) == "z"
    assert stat.S_IMODE(os.stat(os.path.join(copied, "server")).st_mode) == 0o755
    assert os.path.exists(os.path.join(copied, "..", "share", "x", "y"))


# -- programs -----------------------------------------------------------------------------------------------------


def test_a_program_gets_its_input_and_gives_its_output(scratch):
    assert scratch.run([SH, "-c", "cat; echo there"], feed=[b"one ", b"", b"two "]) == "one two there\n"
    assert scratch.run([SH, "-c", "cat"]) == "", "no input is an empty one"


def test_much_input_much_output_and_much_noise_do_not_block(scratch):
    noise = "while read line; do echo $line; echo $line >&2; done"
    lines = [b"x" * 99 + b"\n"] * 3000
    assert len(scratch.run([SH, "-c", noise], feed=lines)) == 300000


def test_output_goes_to_a_file(scratch, tmp_path):
    with open(str(tmp_path / "out"), "wb") as stream:
        assert scratch.run([SH, "-c", "echo x"], stdout=stream) == ""
    assert (tmp_path / "out").read_text() == "x\n"


def test_an_exit_code_is_an_error_with_the_last_lines(scratch):
    script = "i=0; while [ $i -lt 100 ]; do echo line $i >&2; i=$((i+1)); done; exit 3"
    with pytest.raises(EngineError, match="sh ended with code 3") as caught:
        scratch.run([SH, "-c", script], failure="query_failed")
    assert caught.value.code == "query_failed"
    assert "line 99" in caught.value.message and "line 80" in caught.value.message
    assert "line 79" not in caught.value.message


def test_an_error_with_a_long_statement_behind_it_is_told(scratch):
    script = "echo p: warning: a >&2; echo p: error: ERROR: no type >&2; i=0; while [ $i -lt 100 ]; do echo line $i >&2; i=$((i+1)); done; exit 1"
    with pytest.raises(EngineError) as caught:
        scratch.run([SH, "-c", script])
    assert "with code 1: p: error: ERROR: no type\n...\nline 80\n" in caught.value.message


def test_a_signal_is_an_error(scratch):
    with pytest.raises(EngineError, match="sh was ended by SIGSEGV"):
        scratch.run([SH, "-c", "kill -SEGV $$"])


def test_a_full_disk_has_a_code_of_its_own(scratch):
    with pytest.raises(EngineError) as caught:
        scratch.run([SH, "-c", "echo 'x: No space left on device' >&2; exit 1"])
    assert caught.value.code == "no_space"


def test_a_program_that_does_not_take_all_of_its_input_has_failed(scratch):
    with pytest.raises(EngineError, match="ended before it had read all of its input"):
        scratch.run([SH, "-c", "exit 0"], feed=[b"x" * 100000] * 100)


def test_a_program_that_takes_too_long_is_ended(scratch):
    started = time.monotonic()
    with pytest.raises(EngineError, match="did not end within 0.2 seconds"):
        scratch.run([SH, "-c", "sleep 30"], timeout=0.2)
    assert time.monotonic() - started < 20


def test_a_child_of_a_program_that_has_ended_holds_nobody_up(scratch):
    started = time.monotonic()
    assert scratch.run([SH, "-c", "sleep 30 & echo done"]) == "done\n"
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_of_the_input_ends_the_program_and_goes_on(scratch, error):
    def pieces():
        yield b"x"
        raise error("damaged")

    with pytest.raises(error, match="damaged"):
        scratch.run([SH, "-c", "cat; sleep 30"], feed=pieces())
    assert scratch._clients == set()


def test_a_program_that_is_not_there(scratch):
    with pytest.raises(EngineError, match="cannot be run") as caught:
        scratch.run(["/nowhere/psql"])
    assert caught.value.code == "no_engine"


def test_programs_see_no_environment_but_theirs(scratch, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "secret")
    seen = scratch.run([SH, "-c", "env; pwd; ulimit -c"], env={"MINE": "x"})
    assert "secret" not in seen
    assert "MINE=x" in seen and "SHELL=/bin/false" in seen and "HOME=%s" % scratch.home in seen
    assert seen.splitlines()[-1] == "0", "no core dumps"


def test_programs_are_nice(parent):
    scratch = Scratch.create(parent, nice=7)
    try:
        assert int(scratch.run([SH, "-c", "nice"])) >= 7
    finally:
        scratch.close()


def test_nothing_starts_after_the_end(scratch):
    scratch.close()
    with pytest.raises(EngineError, match="the drill is over"):
        scratch.run([SH, "-c", "true"])
    with pytest.raises(EngineError, match="the drill is over"):
        scratch.spawn([SH, "-c", "true"], "log")


def test_closing_from_another_thread_ends_a_program(scratch):
    threading.Timer(0.2, scratch.close).start()
    with pytest.raises(EngineError, match="was ended by SIGKILL"):
        scratch.run([SH, "-c", "sleep 30"])


# -- servers ------------------------------------------------------------------------------------------------------


def test_a_server_is_noted_and_ended(scratch):
    process = scratch.spawn([SH, "-c", "echo hello; sleep 60"], "server.log")
    (note,) = marker_of(scratch.path)["servers"]
    assert note["pid"] == process.pid
    assert scratch.dead_server() is None
    scratch.stop_server(process)
    assert process.returncode == -signal.SIGTERM
    assert marker_of(scratch.path)["servers"] == []


def test_a_server_that_ignores_signals_is_ended_too(scratch):
    process = scratch.spawn([SH, "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], "server.log")
    until(lambda: _scratch.tail(os.path.join(scratch.path, "server.log")) == "ready")
    scratch.stop_server(process, wait=0.1)
    assert process.returncode == -signal.SIGKILL


def test_a_server_that_has_died_tells_what_it_said(scratch):
    process = scratch.spawn([SH, "-c", "echo it is too hot here; exit 2"], "server.log")
    process.wait()
    assert scratch.dead_server() == "sh ended with code 2: it is too hot here"


def test_closing_ends_servers_and_what_they_started(parent):
    scratch = Scratch.create(parent)
    process = scratch.spawn([SH, "-c", "sleep 60 & echo $!; wait"], "server.log")
    log = os.path.join(scratch.path, "server.log")
    until(lambda: _scratch.tail(log))
    child = int(_scratch.tail(log))
    scratch.close()
    assert process.returncode is not None
    assert os.listdir(parent) == []
    assert (
        not os.path.isdir("/proc/self")
        or _scratch._start_of(child) is None
        or not _scratch._works_in(child, scratch.path)
    )


DRILL = """
import sys, time
sys.path[:0] = %r
from ansible_collections.restorable.backups.plugins.module_utils._engines._scratch import Scratch
scratch = Scratch.create(sys.argv[1])
server = scratch.spawn(["/bin/sh", "-c", "sleep 300"], "log")
print(scratch.path, server.pid, flush=True)
time.sleep(300)
"""


@needs_proc
def test_a_killed_drill_takes_its_servers_along_and_is_swept(parent):
    drill = subprocess.Popen([sys.executable, "-c", DRILL % sys.path, parent], stdout=subprocess.PIPE)
    path, server = drill.stdout.readline().decode().split()
    assert Scratch.sweep(parent) == [], "it lives"
    assert os.path.isdir(path)
    drill.kill()
    drill.wait()
    drill.stdout.close()
    if sys.platform == "linux":
        until(lambda: _scratch._start_of(int(server)) is None)
    (swept,) = Scratch.sweep(parent)
    assert swept["path"] == path
    assert os.listdir(parent) == []


# -- sweeping -----------------------------------------------------------------------------------------------------


@pytest.fixture
def left(parent):
    """The folder of a drill that is dead."""
    scratch = Scratch.create(parent)
    write_marker(scratch.path, pid=dead_number())
    return scratch.path


def test_a_dead_drill_is_removed(parent, left):
    assert Scratch.sweep(parent) == [{"path": left, "servers": 0, "databases": []}]
    assert os.listdir(parent) == []
    assert Scratch.sweep(parent) == []


@needs_proc
@pytest.mark.parametrize("changes", [{"started": 1}, {"boot": "another"}], ids=["another start", "another boot"])
def test_a_number_that_another_process_has_now_is_no_life(parent, changes):
    scratch = Scratch.create(parent)
    assert Scratch.sweep(parent) == []
    write_marker(scratch.path, **changes)
    assert [one["path"] for one in Scratch.sweep(parent)] == [scratch.path]


def test_in_doubt_a_drill_lives(parent, scratch):
    write_marker(scratch.path, started=None, boot=None)
    assert Scratch.sweep(parent) == []


@needs_proc
def test_a_server_of_a_dead_drill_is_ended(parent, left):
    server = subprocess.Popen(["sleep", "60"])
    write_marker(
        left, servers=[{"pid": server.pid, "started": _scratch._start_of(server.pid), "program": "sleep", "stop": 15}]
    )
    threading.Thread(target=server.wait).start()
    assert Scratch.sweep(parent)[0]["servers"] == 1
    server.wait()
    assert server.returncode == -signal.SIGTERM


@needs_proc
@pytest.mark.parametrize("started", [1, None])
def test_a_process_that_only_has_the_number_of_a_server_is_not_touched(parent, left, started):
    other = subprocess.Popen(["sleep", "60"])
    try:
        write_marker(left, servers=[{"pid": other.pid, "started": started, "program": "sleep", "stop": 15}])
        assert Scratch.sweep(parent)[0]["servers"] == 0
        assert other.poll() is None
        assert os.listdir(parent) == []
    finally:
        other.kill()
        other.wait()


@needs_proc
def test_a_shell_that_looks_into_a_dead_folder_is_not_hit(parent, left):
    home = os.path.join(left, "home")
    other = subprocess.Popen(["sleep", "60"], cwd=home)
    try:
        write_marker(left, servers=[{"pid": dead_number(), "started": 1, "program": "postgres", "stop": 15}])
        Scratch.sweep(parent)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"schema": "restorable.backups/scratch/1"}',
        b'{"schema": "restorable.backups/scratch/2", "pid": 99999999, "started": 1, "boot": "x", "servers": [], "databases": []}',
        b'{"schema": "restorable.backups/scratch/1", "pid": "1", "started": 1, "boot": "x", "servers": [], "databases": []}',
        b'{"schema": "restorable.backups/scratch/1", "pid": 99999999, "started": 1, "boot": "x", "servers": [{}], "databases": []}',
    ],
)
def test_a_folder_without_a_valid_marker_stays(parent, left, content):
    with open(os.path.join(left, MARKER), "wb") as stream:
        stream.write(content)
    assert Scratch.sweep(parent) == []
    assert os.path.isdir(left)


def test_a_folder_of_another_name_stays(parent, left):
    for name in ("rbd-", "rbd-toolonganame", "other", "rbd-UPPERCAS"):
        place = os.path.join(parent, name)
        os.rename(left, place)
        assert Scratch.sweep(parent) == []
        left = place


def test_links_are_not_followed(parent, left, tmp_path):
    os.rename(left, str(tmp_path / "elsewhere"))
    os.symlink(str(tmp_path / "elsewhere"), os.path.join(parent, "rbd-abcdefgh"))
    assert Scratch.sweep(parent) == []
    assert (tmp_path / "elsewhere" / MARKER).exists()


def test_a_marker_that_is_a_link_is_none(parent, left, tmp_path):
    marker = os.path.join(left, MARKER)
    os.rename(marker, str(tmp_path / "marker"))
    os.symlink(str(tmp_path / "marker"), marker)
    assert Scratch.sweep(parent) == []
    assert os.path.isdir(left)


def test_a_folder_of_somebody_else_stays(parent, left, monkeypatch):
    monkeypatch.setattr(_scratch.os, "geteuid", lambda: 12345)
    assert Scratch.sweep(parent) == []
    assert os.path.isdir(left)


def test_an_empty_folder_that_was_never_marked_goes_after_an_hour(parent):
    new, old, full = (os.path.join(parent, name) for name in ("rbd-aaaaaaaa", "rbd-bbbbbbbb", "rbd-cccccccc"))
    for path in (new, old, full):
        os.mkdir(path)
    with open(os.path.join(full, "x"), "w", encoding="utf-8"):
        pass
    for path in (old, full):
        os.utime(path, (1, 1))
    assert Scratch.sweep(parent) == []
    assert sorted(os.listdir(parent)) == ["rbd-aaaaaaaa", "rbd-cccccccc"]


def test_databases_on_other_servers_keep_the_marker(parent):
    scratch = Scratch.create(parent)
    login = {"host": "db", "port": 5432, "user": "me", "password": "secret", "unix_socket": None}
    scratch.note_database("postgresql", login, "rbd_1")
    scratch.note_database("postgresql", login, "rbd_2")
    scratch.forget_database("rbd_2")
    with open(os.path.join(scratch.path, MARKER), encoding="utf-8") as stream:
        assert "secret" not in stream.read()
    scratch.folder("data")
    write_marker(scratch.path, pid=dead_number())
    (swept,) = Scratch.sweep(parent)
    assert [note["name"] for note in swept["databases"]] == ["rbd_1"]
    assert os.listdir(scratch.path) == [MARKER]
    ((path, marker),) = Scratch.dead(parent)
    assert marker["databases"][0]["host"] == "db"
    Scratch.forget_dead_database(path, "rbd_1")
    assert os.listdir(parent) == []


def test_a_database_that_could_not_be_dropped_is_remembered_at_the_end(parent):
    scratch = Scratch.create(parent)
    scratch.note_database("postgresql", {"host": "db"}, "rbd_1")
    scratch.close()
    assert os.listdir(scratch.path) == [MARKER]
    assert marker_of(scratch.path)["databases"][0]["name"] == "rbd_1"
    Scratch.forget_dead_database(scratch.path, "rbd_1")
    assert os.path.isdir(scratch.path), "its maker, we, still lives"
