# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The private folder of one drill and the processes that work in it.

What keeps a drill apart from everything else:

- The folder belongs to us, and only we write into it. When root runs a drill, its programs run as another user, who may
  pass through the folder (0710) into folders of their own (0700); the marker, the logs and copied programs stay root's.
- Every process has a session of its own, no core dumps, low priority, and is killed by the kernel when we die.
- The marker in the folder says which process made it, which servers run in it and which databases were made elsewhere.
  By it, the next drill removes what a killed one left: only folders of our name pattern, owned by us, whose maker is
  dead for certain; and it ends only processes whose number *and* start time are those that were noted.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import json
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque

from ._base import EngineError, have_program

PREFIX = "rbd-"
MARKER = ".restorable-drill.json"
SCHEMA = "restorable.backups/scratch/1"

# A socket's path may have 107 bytes; so much of it is for what an engine puts behind the folder's path.
SOCKET_PATH = 107
SOCKET_ROOM = 32

_NAME = re.compile(r"^rbd-[a-z0-9_]{8}$")
_STDERR_LINES = 20
_TELLS_ERROR = re.compile(rb"\S+: (?:error|fatal): |(?:\S+: )?(?:ERROR|FATAL|PANIC)\b")
_LINE_BYTES = 8192
_CAPTURE_BYTES = 256 * 1024 * 1024
# A folder that was made but never marked: its maker was killed in between. Empty, so nothing can be lost.
_UNMARKED_SECONDS = 3600
_F_SETPIPE_SZ, _PIPE_BYTES = 1031, 1 << 20
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NO_SPACE = re.compile(
    r"No space left on device|Disk quota exceeded|[Dd]isk( is)? full|OS error 28\b|Errcode: 28\b|errno: 28\b"
)

try:
    _PRCTL = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None
except (AttributeError, OSError):
    _PRCTL = None


class Scratch:
    """Made by create(). Its methods may be called from several threads; spawn() from one that outlives the server."""

    def __init__(self, path, run_as, nice):
        self.path = path
        # Where programs start, and what they take for their home.
        self.home = path
        self.run_as = run_as
        self._nice = nice
        self._lock = threading.RLock()
        self._servers = []  # (process, note for the marker, path of its log)
        self._clients = set()
        self._databases = []
        self._copies = {}
        self._closed = False
        self._ionice = None

    @classmethod
    def create(cls, parent=None, run_as=None, nice=10):
        """``run_as``: the passwd entry of the user that programs run as, None for our own."""
        parent = os.path.abspath(os.path.expanduser(parent or tempfile.gettempdir()))
        if len(os.fsencode(parent)) + 1 + len(PREFIX) + 8 + 1 + SOCKET_ROOM > SOCKET_PATH:
            raise EngineError(
                "bad_option",
                "scratch_dir: %s is too long: a socket's path may have %d bytes" % (parent, SOCKET_PATH),
                option="scratch_dir",
            )
        if run_as is not None and run_as.pw_uid == os.geteuid():
            run_as = None
        try:
            path = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
        except OSError as error:
            raise EngineError(
                _space_or(error, "bad_option"),
                "scratch_dir: cannot make a folder in %s: %s" % (parent, error.strerror),
                option="scratch_dir",
            )
        scratch = cls(path, run_as, nice)
        try:
            scratch._write_marker()
            if run_as is not None:
                os.chown(path, -1, run_as.pw_gid)
                os.chmod(path, 0o710)
            scratch.home = scratch.folder("home")
            if run_as is not None and not scratch.can_use(scratch.home):
                raise EngineError(
                    "bad_option",
                    "scratch_dir: the user %s, who runs the scratch server, cannot enter %s" % (run_as.pw_name, parent),
                    option="scratch_dir",
                )
            ionice = have_program("ionice")
            if ionice and scratch.succeeds([ionice, "-c", "3", "-t", "true"]):
                scratch._ionice = [ionice, "-c", "3", "-t"]
        except OSError as error:
            scratch.close()
            raise EngineError(
                _space_or(error, "bad_option"), "scratch_dir: %s: %s" % (path, error.strerror), option="scratch_dir"
            )
        except BaseException:
            scratch.close()
            raise
        return scratch

    # -- files --------------------------------------------------------------------------------------------------

    def folder(self, name):
        """The path of a folder in here that the programs may write into, made if it is not there."""
        path = os.path.join(self.path, name)
        if not os.path.isdir(path):
            os.mkdir(path, 0o700)
            self._give(path)
        return path

    def write(self, name, content, folder=None):
        """Write a small file (bytes, or text in UTF-8) that only the programs and we can read; its path."""
        path = os.path.join(folder or self.path, name)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            if self.run_as is not None:
                os.fchown(handle, self.run_as.pw_uid, self.run_as.pw_gid)
            stream.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    def give(self, path):
        """Hand a file, or a folder with all that is in it, to the user that the programs run as."""
        self._give(path)
        if self.run_as is not None and os.path.isdir(path) and not os.path.islink(path):
            for place, folders, files in os.walk(path):
                for name in folders + files:
                    self._give(os.path.join(place, name))

    def can_use(self, path):
        """Whether the programs' user can get at a file or folder. Asked of the system: modes do not tell all."""
        if self.run_as is None:
            return os.access(path, os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK)
        flag = "-x" if os.path.isdir(path) else "-r"
        return self.succeeds(["/bin/sh", "-c", 'test %s "$1"' % flag, "sh", path])

    def programs(self, bin_dir):
        """``bin_dir``, or a copy of its installation in here when the programs' user cannot enter it."""
        if self.run_as is None or self.can_use(bin_dir):
            return bin_dir
        if bin_dir not in self._copies:
            self._copies[bin_dir] = self._copy_installation(bin_dir)
        return self._copies[bin_dir]

    def note_database(self, engine, login, name):
        """Note a database that is made on an existing server, before it is made."""
        place = {key: login.get(key) for key in ("host", "port", "unix_socket", "user")}
        with self._lock:
            self._databases.append(dict(place, engine=engine, name=name))
            self._write_marker()

    def forget_database(self, name):
        with self._lock:
            self._databases = [note for note in self._databases if note["name"] != name]
            self._write_marker()

    # -- processes ----------------------------------------------------------------------------------------------

    def spawn(self, argv, log, env=None, stop=signal.SIGTERM, at_death=signal.SIGKILL):
        """Start a server. ``log``: the name of a file in here for what it writes. ``stop``: the signal that ends it
        quickly and cleanly; ``at_death``: what the kernel sends it when we are killed."""
        path = os.path.join(self.path, log)
        with self._lock:
            if self._closed:
                raise EngineError("start_failed", "the drill is over")
            with open(path, "ab") as stream:
                process = self._popen(argv, env, at_death, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
            note = {
                "pid": process.pid,
                "started": _start_of(process.pid),
                "program": os.path.basename(argv[0]),
                "stop": int(stop),
            }
            self._servers.append((process, note, path))
            self._write_marker()
        return process

    def run(self, argv, feed=None, env=None, timeout=None, stdout=None, failure="restore_failed"):
        """Run a program to its end; what it wrote to its standard output, as text.

        ``feed``: an iterable of bytes for its standard input (None: there is none). An error raised by it kills the
        program and goes on to the caller. ``timeout`` in seconds. ``stdout``: a file to write to instead of
        answering text. Raises EngineError with the code ``failure`` (no_space where that was the cause) and the last
        lines of its standard error, for every exit code but 0 and for a program that did not take all of its input.
        """
        name = os.path.basename(argv[0])
        with self._lock:
            if self._closed:
                raise EngineError(failure, "the drill is over")
            process = self._popen(
                argv,
                env,
                signal.SIGKILL,
                stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.PIPE,
            )
            self._clients.add(process)
        errors, output = _LastLines(process.stderr), _Capture(process.stdout) if stdout is None else None
        timer = _Deadline(process, timeout)
        try:
            eaten = _feed(process, feed)
            _await_end(process)
        finally:
            # With what it may have started, which could hold the pipes open. Before it is waited for: until then its
            # number is taken.
            _kill_group(process)
            process.wait()
            timer.cancel()
            with self._lock:
                self._clients.discard(process)
            errors.finish()
            if output:
                output.finish()
        said = errors.text()
        if timer.expired:
            raise EngineError(failure, "%s did not end within %s seconds" % (name, timeout), stderr=said)
        if process.returncode != 0:
            raise EngineError(
                "no_space" if _NO_SPACE.search(said) else failure,
                "%s %s: %s" % (name, _ending(process.returncode), said or "it said nothing"),
            )
        if not eaten:
            raise EngineError(
                failure, "%s ended before it had read all of its input: %s" % (name, said or "it said nothing")
            )
        if output and output.overflow:
            raise EngineError(failure, "%s answered more than %d bytes" % (name, _CAPTURE_BYTES))
        return output.text() if output else ""

    def dead_server(self, wait=0.0):
        """The last lines of the log of a server that ended by itself, None while all run. ``wait``: seconds to
        give one that is about to end."""
        deadline = time.monotonic() + wait
        while True:
            for process, note, log in list(self._servers):
                if process.poll() is not None:
                    return "%s %s: %s" % (note["program"], _ending(process.returncode), tail(log))
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.02)

    def stop_server(self, process, signals=None, wait=10.0):
        """End a server that spawn() started: its own signal first, then harder ones; ``wait`` seconds for each."""
        for number in list(signals or [self._stop_signal(process)]) + [signal.SIGKILL]:
            if process.poll() is not None:
                break
            _signal(process.pid, number)
            _await_end(process, wait)
        _kill_group(process)
        process.wait()
        with self._lock:
            self._servers = [each for each in self._servers if each[0] is not process]
            if not self._closed:
                self._write_marker()

    def close(self):
        """End all processes and remove the folder. At any moment, and as often as you like."""
        with self._lock:
            self._closed = True
            for process in list(self._clients):
                _kill_group(process)
            for process, _note, _log in list(self._servers):
                if process.poll() is None:
                    _signal(process.pid, self._stop_signal(process))
            for process, _note, _log in list(self._servers):
                _await_end(process, 5)
                _kill_group(process)
                process.wait()
            _end_stragglers(self.path, [note for _process, note, _log in self._servers], os.getpid())
            if self._databases and os.path.isdir(self.path):
                # These could not be dropped. The marker stays, so that a later drill can.
                _empty(self.path)
                self._servers = []
                self._write_marker()
            else:
                _remove(self.path)

    # -- what killed drills left --------------------------------------------------------------------------------

    @staticmethod
    def dead(parent=None):
        """The folders of dead drills in ``parent``: list of (path, marker)."""
        parent = os.path.abspath(os.path.expanduser(parent or tempfile.gettempdir()))
        found = []
        for path in sorted(glob.glob(os.path.join(glob.escape(parent), PREFIX + "*"))):
            marker = _read_marker(path)
            if marker is not None and not _is_alive(marker):
                found.append((path, marker))
        return found

    @staticmethod
    def sweep(parent=None):
        """End the servers of dead drills and remove their folders. Gives [{"path", "servers", "databases"}].

        A folder whose marker still names databases on an existing server keeps the marker: the engine's
        sweep_databases() drops them, and says so by forget_dead_database().
        """
        parent = os.path.abspath(os.path.expanduser(parent or tempfile.gettempdir()))
        swept = []
        for path, marker in Scratch.dead(parent):
            ended = sum(_end_server(note) for note in marker["servers"])
            _end_stragglers(path, marker["servers"], None)
            if marker["databases"]:
                _empty(path)
            else:
                _remove(path)
            swept.append({"path": path, "servers": ended, "databases": marker["databases"]})
        _remove_unmarked(parent)
        return swept

    @staticmethod
    def forget_dead_database(path, name):
        """A database that the marker of a dead drill names is gone; with the last one goes the folder."""
        marker = _read_marker(path)
        if marker is None or _is_alive(marker):
            return
        marker["databases"] = [note for note in marker["databases"] if note.get("name") != name]
        if marker["databases"]:
            _write_json(path, marker)
        else:
            _remove(path)

    # -- inside -------------------------------------------------------------------------------------------------

    def _popen(self, argv, env, at_death, **pipes):
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "TZ": "UTC",
            "HOME": self.home,
            "TMPDIR": self.home,
            "SHELL": "/bin/false",
        }
        environment.update(env or {})
        words = (self._ionice or []) + list(argv)
        if not os.access(argv[0], os.X_OK):
            raise EngineError("no_engine", "%s cannot be run" % argv[0])
        try:
            return subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
                words,
                cwd=self.home,
                env=environment,
                start_new_session=True,
                close_fds=True,
                preexec_fn=_Before(self.run_as, self._nice, at_death),
                **pipes,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError("start_failed", "cannot run %s: %s" % (argv[0], error))

    def succeeds(self, argv):
        """Whether a program can be run and ends well."""
        try:
            self.run(argv)
        except EngineError:
            return False
        return True

    def _stop_signal(self, process):
        return next((note["stop"] for each, note, _log in self._servers if each is process), signal.SIGTERM)

    def _give(self, path):
        if self.run_as is not None:
            os.chown(path, self.run_as.pw_uid, self.run_as.pw_gid, follow_symlinks=False)

    def _write_marker(self):
        _write_json(
            self.path,
            {
                "schema": SCHEMA,
                "pid": os.getpid(),
                "started": _start_of(os.getpid()),
                "boot": _boot(),
                "servers": [note for _process, note, _log in self._servers],
                "databases": self._databases,
            },
        )

    def _copy_installation(self, bin_dir):
        """Copy bin, lib and share, and the folder of libraries that wheels put beside their package."""
        install = os.path.dirname(bin_dir) if os.path.basename(bin_dir) == "bin" else bin_dir
        parts = ("bin", "lib", "share") if install != bin_dir else ("",)
        target = os.path.join(self.path, "programs%d" % len(self._copies))
        os.mkdir(target, 0o711)
        os.chmod(target, 0o711)
        # Programs find their libraries by a path relative to themselves, so places keep their relation.
        package = os.path.dirname(install)
        copy = os.path.join(target, os.path.basename(package) or "root", os.path.basename(install))
        for part in parts:
            if os.path.isdir(os.path.join(install, part)):
                _copy_tree(os.path.join(install, part), os.path.join(copy, part) if part else copy)
        for place, its_copy in ((install, copy), (package, os.path.dirname(copy))):
            if os.path.isdir(place + ".libs"):
                _copy_tree(place + ".libs", its_copy + ".libs")
        for folder in (os.path.dirname(copy), copy):
            os.chmod(folder, 0o755)
        return os.path.join(copy, "bin") if install != bin_dir else copy


def tail(path, lines=_STDERR_LINES):
    """The last lines of a log."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 16384))
            return "\n".join(stream.read().decode("utf-8", "replace").strip().splitlines()[-lines:])
    except OSError:
        return ""


class _Before:
    """What the child does between fork and exec. Everything it needs is at hand before the fork."""

    def __init__(self, run_as, nice, at_death):
        self._ids = (run_as.pw_uid, run_as.pw_gid) if run_as is not None else None
        self._nice = nice
        self._at_death = int(at_death)
        self._parent = os.getpid()

    def __call__(self):
        if self._nice:
            os.nice(self._nice)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.umask(0o077)
        if self._ids:
            os.setgroups([])
            os.setgid(self._ids[1])
            os.setuid(self._ids[0])
        if _PRCTL is not None:
            # Nothing that a dump may start gains rights by a set-user-id program.
            _PRCTL(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            # After the change of user, which clears it.
            _PRCTL(_PR_SET_PDEATHSIG, self._at_death, 0, 0, 0)
        if os.getppid() != self._parent:
            os.kill(os.getpid(), signal.SIGKILL)


class _LastLines:
    """The last lines of a pipe, read to its end by a thread, and the last line before them that tells of an error: a
    program may print the whole statement behind it."""

    def __init__(self, stream):
        self._stream = stream
        self._error = b""
        self._lines = deque(maxlen=_STDERR_LINES)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in iter(lambda: self._stream.readline(_LINE_BYTES), b""):
            if len(self._lines) == _STDERR_LINES and _TELLS_ERROR.match(self._lines[0]):
                self._error = self._lines[0]
            self._lines.append(line)

    def finish(self):
        self._thread.join()
        self._stream.close()

    def text(self):
        before = self._error + b"...\n" if self._error else b""
        return (before + b"".join(self._lines)).decode("utf-8", "replace").strip()


class _Capture:
    """All of a pipe, up to a limit, read to its end by a thread."""

    def __init__(self, stream):
        self._stream = stream
        self._pieces = []
        self.overflow = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        size = 0
        for piece in iter(lambda: self._stream.read1(65536), b""):
            size += len(piece)
            if size <= _CAPTURE_BYTES:
                self._pieces.append(piece)
            else:
                self.overflow = True

    def finish(self):
        self._thread.join()
        self._stream.close()

    def text(self):
        return b"".join(self._pieces).decode("utf-8", "replace")


class _Deadline:
    """Kills a program after so many seconds (None: never)."""

    def __init__(self, process, seconds):
        self.expired = False
        self._process = process
        self._timer = threading.Timer(seconds, self._expire) if seconds is not None else None
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def _expire(self):
        self.expired = self._process.poll() is None
        _kill_group(self._process)

    def cancel(self):
        if self._timer:
            self._timer.cancel()
            self._timer.join()


def _feed(process, feed):
    """Write all pieces to the program; False when it stopped reading before the end."""
    if feed is None:
        return True
    try:
        # Both sides work on, each for a while, instead of taking turns.
        fcntl.fcntl(process.stdin, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass
    try:
        for piece in feed:
            if piece:
                process.stdin.write(piece)
        process.stdin.close()
    except BrokenPipeError:
        return False
    finally:
        try:
            process.stdin.close()
        except OSError:
            pass
    return True


def _await_end(process, seconds=None):
    """Wait for a process to end, at most so long, and leave its number to it where the system can do that."""
    deadline = None if seconds is None else time.monotonic() + seconds
    if not hasattr(os, "waitid"):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        return
    while process.returncode is None:
        try:
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | (0 if deadline is None else os.WNOHANG)):
                return
        except ChildProcessError:
            # Another thread has waited for it.
            process.wait()
            return
        if deadline is not None and time.monotonic() >= deadline:
            return
        time.sleep(0.005)


def _kill_group(process):
    """Kill the session of a process that _popen() made. Its number is ours until the process was waited for."""
    if process.returncode is None:
        _signal(-process.pid, signal.SIGKILL)


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _ending(code):
    if code >= 0:
        return "ended with code %d" % code
    try:
        return "was ended by %s" % signal.Signals(-code).name
    except ValueError:
        return "was ended by signal %d" % -code


def _space_or(error, code):
    return "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else code


def _boot():
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return None


def _start_of(pid):
    """When a process was started, in clock ticks since the boot. None: no such process, or no /proc here."""
    started = _field_of(pid, 19)
    return started if started >= 0 else None


def _is_alive(marker):
    """Whether the process that wrote the marker may still run. In doubt it does."""
    if marker["boot"] is not None and marker["boot"] != _boot():
        return False
    if marker["started"] is not None:
        return _start_of(marker["pid"]) == marker["started"]
    try:
        os.kill(marker["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _write_json(folder, content):
    """Replace the marker in one step."""
    temporary = os.path.join(folder, "%s.%d" % (MARKER, os.getpid()))
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(content, stream, sort_keys=True)
    os.replace(temporary, os.path.join(folder, MARKER))


def _read_marker(path):
    """The marker of a folder that is ours; None for everything else."""
    if not _is_ours(path):
        return None
    try:
        handle = os.open(os.path.join(path, MARKER), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                return None
            marker = json.loads(stream.read(1 << 20).decode("utf-8"))
    except (OSError, ValueError):
        return None
    return marker if _is_marker(marker) else None


def _is_marker(marker):
    def numbers(note):
        return (
            isinstance(note, dict)
            and isinstance(note.get("pid"), int)
            and note["pid"] > 1
            and isinstance(note.get("started"), (int, type(None)))
        )

    return (
        numbers(marker)
        and marker.get("schema") == SCHEMA
        and "boot" in marker
        and isinstance(marker.get("servers"), list)
        and all(map(numbers, marker["servers"]))
        and isinstance(marker.get("databases"), list)
        and all(isinstance(note, dict) for note in marker["databases"])
    )


def _is_ours(path):
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return bool(_NAME.match(os.path.basename(path))) and stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _end_server(note):
    """End a server of a dead drill; 1 if there was one."""
    if note["started"] is None or _start_of(note["pid"]) != note["started"]:
        return 0
    gentle = note.get("stop")
    for number in (
        gentle if gentle in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM) else signal.SIGTERM,
        signal.SIGKILL,
    ):
        if _start_of(note["pid"]) == note["started"]:
            _signal(note["pid"], number)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if _start_of(note["pid"]) != note["started"]:
                return 1
            time.sleep(0.01)
    return 1


def _end_stragglers(folder, servers, parent):
    """End what still works in the folder: what a noted server has started, or what we have (``parent``).

    Only processes of a server's session or program, so that nobody's shell that looks into the folder is hit.
    """
    deadline = time.monotonic() + 5
    names, sessions = {note.get("program") for note in servers}, {note["pid"] for note in servers}
    while time.monotonic() < deadline:
        found = [
            pid
            for pid in _pids()
            if _works_in(pid, folder)
            and (_name_of(pid) in names or _field_of(pid, 3) in sessions or _field_of(pid, 1) == parent)
        ]
        if not found:
            return
        for pid in found:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.01)


def _pids():
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return []


def _works_in(pid, folder):
    try:
        place = os.readlink("/proc/%d/cwd" % pid)
    except OSError:
        return False
    return place.startswith(os.path.realpath(folder) + "/") and _start_of(pid) is not None


def _name_of(pid):
    try:
        return os.path.basename(os.readlink("/proc/%d/exe" % pid))
    except OSError:
        return None


def _field_of(pid, number):
    """A number from /proc/<pid>/stat, counted from the state: 1 is the parent, 3 the session, 19 the start."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stream:
            # The name before it may hold blanks and parentheses. A zombie does nothing any more.
            fields = stream.read().rpartition(b")")[2].split()
            return -1 if fields[0] in (b"Z", b"X") else int(fields[number])
    except (OSError, ValueError, IndexError):
        return -1


def _remove(path):
    """Remove a folder of ours. Not through links; and again, while a dying process still writes into it."""
    for attempt in range(20):
        if not os.path.lexists(path):
            return
        shutil.rmtree(path, ignore_errors=True)
        if attempt == 1:
            _open_folders(path)
        time.sleep(0.005 * attempt)


def _open_folders(path):
    """A folder that its maker has closed (0500) cannot be emptied, even by its owner. Only what is in ``path``."""
    for place, folders, _files in os.walk(path, followlinks=False):
        for name in folders:
            inner = os.path.join(place, name)
            try:
                if stat.S_ISDIR(os.lstat(inner).st_mode) and os.lstat(inner).st_uid == os.geteuid():
                    os.chmod(inner, 0o700)
            except OSError:
                continue


def _empty(path):
    """Remove all but the marker."""
    try:
        names = os.listdir(path)
    except OSError:
        return
    for name in names:
        place = os.path.join(path, name)
        if name == MARKER:
            continue
        try:
            if stat.S_ISDIR(os.lstat(place).st_mode):
                _remove(place)
            else:
                os.unlink(place)
        except OSError:
            continue


def _remove_unmarked(parent):
    for path in glob.glob(os.path.join(glob.escape(parent), PREFIX + "*")):
        try:
            if _is_ours(path) and time.time() - os.lstat(path).st_mtime > _UNMARKED_SECONDS:
                os.rmdir(path)
        except OSError:
            continue


def _copy_tree(source, target):
    """Copy what everybody may then read and run, wherever the source is kept."""
    os.makedirs(target, exist_ok=True)
    os.chmod(target, 0o755)
    for entry in os.scandir(source):
        copy = os.path.join(target, entry.name)
        if entry.is_symlink() and not os.path.isabs(os.readlink(entry.path)):
            os.symlink(os.readlink(entry.path), copy)
        elif entry.is_dir():
            _copy_tree(entry.path, copy)
        elif entry.is_file():
            shutil.copyfile(entry.path, copy)
            os.chmod(copy, 0o755 if os.stat(entry.path).st_mode & 0o100 else 0o644)
