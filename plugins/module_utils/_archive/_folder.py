# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Which files on a disk belong together: the parts of one file, or the many files of one dump."""

from __future__ import annotations

import json
import os
import re
import stat

# How services and tools name the parts of a file that was cut: ``tar-aa``, ``mysql.tar.ab``, ``dump.tar.001``.
_PART = re.compile(r"^(?P<stem>.+[-._])(?P<part>[a-z]{2,3}|\d{2,4}|part\d+)$")


def parts_of(paths):
    """The files that joined are one, in their order; None where the one path is a folder of files that stay apart.

    Raises ValueError where paths do not go together, OSError where a folder cannot be read.
    """
    if len(paths) > 1:
        folders = [path for path in paths if os.path.isdir(path)]
        if folders:
            raise ValueError("%s is a folder: give one folder, or the parts of one file" % folders[0])
        return list(paths)
    path = paths[0]
    if not os.path.isdir(path):
        return [path]
    return _fetched_parts(path) or _parts_by_name(path)


def _fetched_parts(folder):
    """The parts that backup_file_fetch has kept in a folder, as its note beside that says."""
    path = os.path.abspath(folder)
    note = os.path.join(os.path.dirname(path), ".%s.restorable.json" % os.path.basename(path))
    try:
        with open(note, "rb") as file:
            names = [one["name"] for one in json.loads(file.read().decode("utf-8"))["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    parts = [os.path.join(path, name) for name in names if os.path.basename(name) == name]
    return parts if parts and len(parts) == len(names) and all(map(os.path.isfile, parts)) else None


def _parts_by_name(folder):
    """The parts of one file, where a folder holds nothing else."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    found = [_PART.match(name) for name in names]
    if len(names) < 2 or not all(found) or len({match.group("stem") for match in found}) > 1:
        return None
    if any(os.path.isdir(os.path.join(folder, name)) for name in names):
        return None
    return [os.path.join(folder, name) for name in sorted(names, key=_by_length)]


def in_order(parts):
    """Whether parts that are named as such come in the order of their names."""
    names = [os.path.basename(path) for path in parts]
    return not all(map(_PART.match, names)) or names == sorted(names, key=_by_length)


def _by_length(name):
    """Of parts, z comes before aa, and 9 before 10."""
    return len(name), name


def joined_name(parts):
    """What the file is called that the parts are of."""
    name = os.path.basename(parts[0])
    match = _PART.match(name) if len(parts) > 1 else None
    return match.group("stem").rstrip("-._") if match else name


def foreign(folder):
    """What is said of a folder in a form that is not read, None where there is nothing to say."""
    if any(os.path.isfile(os.path.join(folder, name)) for name in ("xtrabackup_checkpoints", "mariadb_backup_checkpoints")):
        return "is a folder of mariadb-backup or xtrabackup; only their stream is read (--stream=xbstream)"
    return None


def files_of(folder):
    """{path below the folder: path} of all its files, in order of their names, and the paths below it of what is none:
    links, which are not followed, pipes, devices. Raises OSError where something cannot be looked at."""
    files, others = {}, []

    def fail(error):
        raise error

    for place, folders, names in os.walk(folder, onerror=fail):
        for name in folders + names:
            path = os.path.join(place, name)
            mode = os.lstat(path).st_mode
            below = os.path.relpath(path, folder).replace(os.sep, "/")
            if stat.S_ISREG(mode):
                files[below] = path
            elif not stat.S_ISDIR(mode):
                others.append(below)
    return dict(sorted(files.items())), sorted(others)


def state_of(path):
    """What tells whether a file, or those of a folder, are still the same: names, places on the disk, sizes in bytes, times
    of the last change. Raises OSError."""
    files = files_of(path)[0] if os.path.isdir(path) else {"": path}
    about = ((name, os.stat(one)) for name, one in files.items())
    return [(name, one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for name, one in about]
