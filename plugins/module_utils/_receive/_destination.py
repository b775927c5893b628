# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Where a backup belongs on the host, whether it is there already, and putting it there at once and for good.

Beside a fetched file (or the folder of kept parts) stands a hidden note, ``.<name>.restorable.json``: what was fetched,
sizes and checksums. The note tells which bytes there should be; only reading them again proves that they are.
"""

from __future__ import annotations

import hashlib
import grp
import json
import os
import pwd
import re
import stat
import time

from ._failures import ReceiveError, cannot
from ._transfer import hash_file

_NAME_LIMIT = 255
# One clause of a symbolic mode, as ansible-core reads them.
_SYMBOLIC = re.compile(r"^(a|[ugo]*)([-+=][rwxXstugo]*)+$")


class Target:
    """A destination: ``path`` is the file, or with kept parts the folder of them; ``folder`` is where it stands."""

    def __init__(self, path, kept):
        self.path, self.kept = path, kept
        self.folder, self.name = os.path.split(path)

    @property
    def partial(self):
        return os.path.join(self.folder, _hidden(self.name, ".partial"))

    @property
    def note(self):
        return os.path.join(self.folder, _hidden(self.name, ".restorable.json"))


def resolve(dest, name, kept, names=()):
    """The Target for the option ``dest``. ``name`` is used where ``dest`` is a folder, ``names`` for kept parts.

    Raises ReceiveError. The names were made safe before; here is where it matters, so they are looked at again.
    """
    for one in [name] + list(names):
        if os.path.basename(one) != one or one.startswith(".") or not one or "\0" in one:
            raise ReceiveError("bad_name", "the name %r cannot be used for a file" % one)
    if not dest.strip():
        # It would be the folder that the module happens to run in.
        raise ReceiveError("bad_dest", "dest: is empty", path=dest)
    # A link stays; what it points to is written.
    real = os.path.realpath(dest)
    as_folder = dest.endswith("/") or os.path.isdir(real)
    if as_folder:
        if not os.path.exists(real):
            raise ReceiveError("bad_dest", "dest %s does not exist" % dest, path=dest)
        if not os.path.isdir(real):
            raise ReceiveError("bad_dest", "dest %s is not a folder" % dest, path=dest)
        real = os.path.join(real, name)
    elif kept:
        state = "is not a folder" if os.path.exists(real) else "does not exist"
        raise ReceiveError("bad_dest", "parts: keep needs a folder, and dest %s %s" % (dest, state), path=dest)
    target = Target(real, kept)
    if not os.path.isdir(target.folder):
        state = "is not a folder" if os.path.exists(target.folder) else "does not exist"
        raise ReceiveError("bad_dest", "the folder of dest %s %s: %s" % (dest, state, target.folder), path=dest)
    if os.path.lexists(real):
        right = os.path.isdir(real) if kept else os.path.isfile(real)
        if os.path.islink(real) or not right:
            wanted = "folder" if kept else "regular file"
            raise ReceiveError("bad_dest", "dest %s: %s is there and is not a %s" % (dest, real, wanted), path=dest)
    for folder in [target.folder] + [real] * (kept and os.path.isdir(real)):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ReceiveError("bad_dest", "dest %s is not writable: no permission for %s" % (dest, folder), path=dest)
    return target


def read_note(target):
    """What the note says, {} without a readable one."""
    try:
        with open(target.note, "rb") as file:
            note = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and note.get("format") == 1 else {}


def holds(target, what, checksum):
    """The note of a destination that holds exactly what is wanted, proved by reading all of it; else None.

    Without a note of it, a file whose sha256 is the ``checksum`` asked for will do.
    """
    note = read_note(target)
    try:
        if note.get("what") == what and checksum in (None, note["sha256"]):
            return note if _proved(target, note) else None
        if checksum is not None and not target.kept and os.path.isfile(target.path):
            size, found = hash_file(target.path)
            if found == checksum:
                return {"size_bytes": size, "sha256": found, "files": None}
    except (OSError, KeyError, TypeError):
        pass
    return None


def _proved(target, note):
    if not target.kept:
        return os.path.getsize(target.path) == note["size_bytes"] and hash_file(target.path)[1] == note["sha256"]
    for file in note["files"]:
        path = os.path.join(target.path, file["name"])
        if os.path.islink(path) or hash_file(path) != (file["size_bytes"], file["sha256"]):
            return False
    return bool(note["files"])


def signature(target):
    """Changes whenever the destination or its note is written."""
    found = []
    for path in (target.path, target.note):
        try:
            about = os.stat(path)
            found.append([about.st_ino, about.st_size, about.st_mtime_ns])
        except OSError:
            found.append(None)
    return found


def describe(target):
    """What a diff shows of the destination as it is."""
    about = dict.fromkeys(("backup_id", "created_at", "parts", "mode", "owner", "group"))
    about.update(path=target.path, state="absent")
    try:
        found = os.stat(target.path)
    except OSError:
        return about
    mode = found.st_mode
    note = read_note(target)
    backup = note.get("backup") or {}
    about.update(
        state="folder" if stat.S_ISDIR(mode) else "file",
        mode="%04o" % stat.S_IMODE(mode),
        owner=_known(pwd.getpwuid, found.st_uid),
        group=_known(grp.getgrgid, found.st_gid),
        backup_id=backup.get("id"),
        created_at=backup.get("created_at"),
        parts=len(note["files"]) if note.get("files") else None,
    )
    return about


def _known(find, number):
    """The name of a user or group, the number as text where it has none."""
    try:
        return find(number)[0]
    except KeyError:
        return str(number)


def readable_mode(mode, of_folder):
    """A mode option as a diff shows it. For the folder of such files, who may read them may enter it."""
    try:
        number = mode if isinstance(mode, int) else int(str(mode), 8)
    except ValueError:
        return re.sub(r"r", "rX", str(mode)) if of_folder else str(mode)
    if of_folder:
        number |= (number & 0o444) >> 2 | (number & 0o200) >> 1
    return "%04o" % number


def check_attributes(mode, owner, group):
    """Raise ReceiveError for what could not be given to a file on this host, before there is one."""
    if mode is not None and not _is_mode(mode):
        raise ReceiveError("bad_option", "mode: %r is neither octal nor symbolic" % (mode,), option="mode")
    for option, name, find in _owners(owner, group):
        if _number(name, find) is None:
            kind = "user" if option == "owner" else "group"
            raise ReceiveError("bad_option", "%s: the host knows no %s %r" % (option, kind, name), option=option)


def check_rights(owner, group):
    """Raise ReceiveError for a known owner or group that this user may not give to a file of its own."""
    if _may_give_away():
        return
    ours = {"owner": {os.geteuid()}, "group": {os.getegid()} | set(os.getgroups())}
    for option, name, find in _owners(owner, group):
        if _number(name, find) not in ours[option]:
            raise ReceiveError(
                "bad_option",
                "%s: %s may not give a file to %s; use become, or leave it out"
                % (option, _known(pwd.getpwuid, os.geteuid()), name),
                option=option,
            )


def _owners(owner, group):
    both = (("owner", owner, pwd.getpwnam), ("group", group, grp.getgrnam))
    return [(option, name, find) for option, name, find in both if name is not None]


def _number(name, find):
    """The number of a user or group, None where there is no such thing."""
    try:
        number = int(name)
        return number if 0 <= number < 2**32 - 1 else None
    except ValueError:
        pass
    try:
        return find(name)[2]
    except (KeyError, ValueError):
        return None


def _may_give_away():
    """Whether this process may change the owner of files: a capability that root may lack, and others may have."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            found = re.search(r"^CapEff:\s*([0-9a-f]+)$", file.read(), re.M)
    except OSError:
        found = None
    return bool(int(found.group(1), 16) & 1) if found else os.geteuid() == 0


def _is_mode(mode):
    if isinstance(mode, bool) or not isinstance(mode, (int, str)):
        return False
    try:
        return 0 <= (mode if isinstance(mode, int) else int(mode, 8)) <= 0o7777
    except ValueError:
        return all(_SYMBOLIC.match(one) for one in mode.split(","))


def publish_file(target, partial, note, apply_attributes):
    """Put the whole file of a complete Partial in its place. Safe to die in at any point."""
    data = partial.path(0)
    try:
        if os.path.lexists(data):
            apply_attributes(data, False)
            _flush_file(data)
            os.rename(data, target.path)
            _flush_folder(target.folder)
        # Once more where it stands now: what depends on the place, such as a security context.
        apply_attributes(target.path, False)
        _write_note(target, partial, note, apply_attributes)
    except OSError as error:
        raise cannot("write to", target.path, error)


def publish_parts(target, partial, note, apply_attributes):
    """Put the files of a complete Partial into the folder, one after the other, each at once."""
    try:
        if not os.path.isdir(target.path):
            os.mkdir(target.path, 0o700)
        apply_attributes(target.path, True)
        for index, file in enumerate(note["files"]):
            data, path = partial.path(index), os.path.join(target.path, file["name"])
            if os.path.isdir(path) and not os.path.islink(path):
                raise ReceiveError("bad_dest", "%s is in the way: it is a folder" % path, path=path)
            if os.path.lexists(data):
                apply_attributes(data, False)
                _flush_file(data)
                os.rename(data, path)
            apply_attributes(path, False)
        _flush_folder(target.path)
        _flush_folder(target.folder)
        _write_note(target, partial, note, apply_attributes)
    except OSError as error:
        raise cannot("write to", target.path, error)


def _write_note(target, partial, note, apply_attributes):
    temporary = os.path.join(partial.folder, "note")
    note = dict(note, format=1, fetched_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump(note, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    apply_attributes(temporary, False)
    os.rename(temporary, target.note)
    _flush_folder(target.folder)


def _flush_file(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _flush_folder(path):
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError:
        # Some network file systems cannot; the rename itself has been made.
        pass
    finally:
        os.close(folder)


def _hidden(name, suffix):
    """A hidden name that goes with a file's, never longer than file systems allow."""
    hidden = "." + name + suffix
    if len(os.fsencode(hidden)) <= _NAME_LIMIT:
        return hidden
    mark = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return ".%s-%s%s" % (os.fsdecode(os.fsencode(name)[:100]).rstrip("\udc80-\udcff"), mark, suffix)
