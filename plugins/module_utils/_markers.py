# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The memory that some APIs lack: one small file on the controller for each request that was sent to them.

A marker is written as *intent* before the request and turned into *done* by its success. An intent that is found later
means that a run died in between: whether the service acted is unknown. Files are 0600 in folders of 0700, replaced
atomically and flushed to the disk. They hold no secret.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ._errors import BackupError, OptionError
from ._values import format_time, parse_time

INTENT, DONE = "intent", "done"
_SCHEMA = 1
_LOCK_WAIT = 30.0


@dataclass
class Marker:
    path: Path
    state: str
    asked_at: datetime
    request: dict

    def to_result(self):
        return {
            "path": str(self.path),
            "state": self.state,
            "asked_at": format_time(self.asked_at),
            "request": self.request,
        }


def default_state_dir():
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "restorable.backups")


class MarkerBook:
    """The markers of one source at one service (``address``), of one ``kind`` (task, import)."""

    def __init__(self, state_dir, kind, provider, address, source):
        self.kind = kind
        place = "%s-%s-%s" % (provider, _readable(source), _digest([provider, address, source])[:12])
        base = os.path.expanduser(state_dir or default_state_dir())
        if not os.path.isabs(base):
            # From another folder the same task would find no marker there, and send its request again.
            raise OptionError("state_dir", "%s is a relative path; markers need a fixed place" % base)
        self.folder = Path(base) / place

    def path_for(self, key):
        """Where the marker of a request lies; ``key`` is what makes two requests the same one."""
        return self.folder / ("%s-%s.json" % (self.kind, _digest(key)[:16]))

    def all(self):
        """The markers there are. Raises BackupError, naming the file, for one that cannot be read."""
        # Not glob(): it takes a folder that may not be read for an empty one, and the request would be sent again.
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._problem(error)
        paths = [self.folder / name for name in sorted(names) if name.startswith(self.kind + "-") and name.endswith(".json")]
        return [marker for marker in map(self._read, paths) if marker]

    def get(self, key):
        return self._read(self.path_for(key))

    def write(self, key, state, asked_at, request):
        path = self.path_for(key)
        content = {
            "schema": _SCHEMA,
            "state": state,
            "asked_at": format_time(asked_at),
            "request": request,
            "by": {"pid": os.getpid(), "host": os.uname().nodename},
        }
        try:
            self._make_folder()
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    json.dump(content, stream, indent=1, sort_keys=True)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
            _sync_folder(self.folder)
        except OSError as error:
            raise self._problem(error)
        return Marker(path, state, asked_at, request)

    def restore(self, key, earlier):
        """Undo a write: put the earlier marker back, or remove the one there is."""
        if earlier is not None:
            self.write(key, earlier.state, earlier.asked_at, earlier.request)
            return
        try:
            os.unlink(self.path_for(key))
            _sync_folder(self.folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._problem(error)

    @contextlib.contextmanager
    def lock(self):
        """Keep other runs on this controller away from this source. Raises BackupError after half a minute."""
        try:
            self._make_folder()
            stream = open(self.folder / ".lock", "a", encoding="utf-8")
        except OSError as error:
            raise self._problem(error)
        with stream:
            deadline = time.monotonic() + _LOCK_WAIT
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EACCES):
                        raise self._problem(error)
                if time.monotonic() > deadline:
                    raise BackupError(
                        "Another run on this controller has been working on this source for %d s (lock %s); "
                        "try again when it has ended" % (_LOCK_WAIT, stream.name),
                        code="locked",
                    )
                time.sleep(0.1)
            yield

    def _make_folder(self):
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _read(self, path):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            asked_at = parse_time(content["asked_at"])
            if content["state"] not in (INTENT, DONE) or asked_at is None or not isinstance(content["request"], dict):
                raise ValueError("fields are missing")
            return Marker(path, content["state"], asked_at, content["request"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._problem(error)
        except (ValueError, KeyError, TypeError):
            raise BackupError(
                "The marker %s is damaged: what was asked of the service before is unknown. Look there, "
                "then delete the file" % path,
                code="bad_marker",
            )

    def _problem(self, error):
        return OptionError("state_dir", "%s: %s" % (error.filename or self.folder, error.strerror))


def _digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8")).hexdigest()


def _readable(text):
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:40].strip(".") or "source"


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
