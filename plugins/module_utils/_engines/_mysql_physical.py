# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""A data folder out of backups of mariadb-backup or XtraBackup: unpacked, made consistent, ready for a server.

What comes in is untrusted. Names of files are looked at before the tool that unpacks sees them; links and files that
point to tablespaces elsewhere are refused; and of the configuration inside only a few numbers and names are believed:
a backup's own file could name plugins to be loaded and folders to be written to.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct

from ._base import EngineError

INFO = ("xtrabackup_info", "mariadb_backup_info")
CHECKPOINTS = ("xtrabackup_checkpoints", "mariadb_backup_checkpoints")
CONFIGURATION = "backup-my.cnf"
DONE = "completed OK!"

_MAGIC = b"XBSTCK01"
_MAX_PATH = 512
_MAX_SPARSE = 1 << 20
_SMALL = 1 << 16

# What the server must know to read the files, and the only forms in which it is believed.
_BELIEVED = {
    "innodb_page_size": r"\d{4,5}",
    "innodb_undo_tablespaces": r"\d{1,3}",
    "innodb_checksum_algorithm": r"\w{1,30}",
    "innodb_compression_level": r"\d",
    "innodb_log_file_size": r"\d{1,14}",
    "innodb_log_files_in_group": r"\d{1,3}",
    "innodb_log_block_size": r"\d{3,6}",
    "innodb_data_file_path": r"[\w.-]{1,64}:\d{1,12}[KMG]?(?::autoextend)?(?::max:\d{1,12}[KMG]?)?"
    r"(?:;[\w.-]{1,64}:\d{1,12}[KMG]?(?::autoextend)?(?::max:\d{1,12}[KMG]?)?){0,20}",
    "innodb_undo_directory": r"\./?",
    "lower_case_table_names": r"[01]",
}
# Of these the server itself has to be told.
_FOR_SERVER = ("innodb_page_size", "innodb_undo_tablespaces", "innodb_data_file_path", "lower_case_table_names")

_PACKED = {".qp": ("qpress", "qpress"), ".zst": ("zstd", "zstd"), ".lz4": ("lz4", "lz4")}


def checked_pieces(stream):
    """The bytes of an xbstream, after a look at each path in it. Raises EngineError, or Damaged for a stream that
    is cut off or no xbstream."""
    while not stream.at_end():
        start = stream.offset
        head = stream.read(14)
        magic, _flags, kind, length = struct.unpack("<8sB1sI", head)
        if magic != _MAGIC or not 0 < length < _MAX_PATH:
            raise EngineError(
                "restore_failed", "the stream is damaged at byte %d: here should begin a piece of a file" % start
            )
        path = stream.read(length)
        _check_path(path, start)
        yield head + path
        if kind == b"E":
            continue
        holes = 0
        if kind == b"S":
            count = stream.read(4)
            (holes,) = struct.unpack("<I", count)
            if holes > _MAX_SPARSE:
                raise EngineError(
                    "restore_failed", "the stream is damaged at byte %d: a map of %d holes" % (start, holes)
                )
            yield count
        numbers = stream.read(20)
        yield numbers
        left = struct.unpack("<Q", numbers[:8])[0] + 8 * holes
        while left:
            piece = stream.chunk(min(left, 1 << 20))
            if not piece:
                raise EngineError(
                    "restore_failed",
                    "the stream ends %d bytes too early, in %s" % (left, path.decode("utf-8", "replace")),
                )
            left -= len(piece)
            yield piece


def _check_path(path, offset):
    name = path.decode("utf-8", "replace")
    if path.startswith(b"/") or b".." in path.split(b"/") or b"\0" in path:
        raise EngineError(
            "unsafe",
            "the backup was not unpacked any further: at byte %d it writes outside of its folder: %s"
            % (offset, ascii(name)),
            offset=offset,
        )
    if os.path.basename(name).endswith(".isl"):
        raise elsewhere(name)


def elsewhere(name):
    return EngineError(
        "unsafe",
        "the backup holds a tablespace that lies outside of the data folder (%s): such backups are "
        "not restored into a scratch server" % ascii(name),
    )


def look_over(folder):
    """Refuse what must not be in a data folder; the files that are packed, by suffix."""
    packed = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            mode = os.lstat(path).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise EngineError(
                    "unsafe", "the backup holds something that is no file: %s" % os.path.relpath(path, folder)
                )
            if name.endswith(".isl"):
                raise elsewhere(os.path.relpath(path, folder))
            if name.endswith(".xbcrypt"):
                raise EngineError("unsupported", "the backup is encrypted (%s), and its key is not in it" % name)
            suffix = os.path.splitext(name)[1]
            if suffix in _PACKED and name not in _PACKED:
                packed.setdefault(suffix, []).append(path)
    return packed


def unpack_files(scratch, packed, backup_program, folder, find):
    """Inflate files that the backup tool has packed one by one. ``find(program)`` gives a path or None."""
    for suffix, paths in sorted(packed.items()):
        program, package = _PACKED[suffix]
        path = find(program)
        if path is None:
            raise EngineError(
                "no_engine", "the files in the backup are packed with %s: install the package %s" % (program, package)
            )
        if program == "qpress":
            run_backup(
                scratch,
                [backup_program, "--no-defaults", "--decompress", "--remove-original", "--target-dir=" + folder],
            )
            continue
        for start in range(0, len(paths), 100):
            words = ["-d", "-q", "--rm"] + (["-m"] if program == "lz4" else [])
            scratch.run([path] + words + ["--"] + paths[start : start + 100])


def run_backup(scratch, argv, timeout=None):
    """Run mariadb-backup or xtrabackup; an exit code of 0 is not enough, the last word must be that it is done."""
    log = os.path.join(scratch.path, "backup.log")
    shell = ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh"]
    # What it says goes to standard error, line by line: the end of it is what tells.
    with open(log, "wb") as stream:
        try:
            scratch.run(shell + argv, timeout=timeout, stdout=stream)
        except EngineError as error:
            raise EngineError(
                error.code, "%s failed: %s" % (os.path.basename(argv[0]), _last_lines(log) or error.message)
            )
    if not _last_lines(log, 1).rstrip().endswith(DONE):
        raise EngineError(
            "restore_failed", "%s did not say '%s' at its end: %s" % (os.path.basename(argv[0]), DONE, _last_lines(log))
        )


def _last_lines(path, count=8):
    with open(path, "rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - 8192))
        return "\n".join(stream.read().decode("utf-8", "replace").strip().splitlines()[-count:])


class Backup:
    """What an unpacked backup says of itself."""

    def __init__(self, folder, label):
        self.folder, self.label = folder, label
        points = _values(folder, CHECKPOINTS)
        if not points:
            raise EngineError("restore_failed", "%s lacks %s: it may end too early" % (label, " or ".join(CHECKPOINTS)))
        self.kind = points.get("backup_type", "")
        self.from_lsn, self.to_lsn = _number(points, "from_lsn", label), _number(points, "to_lsn", label)
        self.server_version = _values(folder, INFO).get("server_version")

    @property
    def incremental(self):
        return self.kind == "incremental"


def _number(values, key, label):
    text = values.get(key, "")
    if not re.match(r"\d{1,20}\Z", text):
        raise EngineError("restore_failed", "%s says nothing usable as its %s: %s" % (label, key, ascii(text[:40])))
    return int(text)


def check_chain(backups):
    """Raises EngineError where the backups are not a full one and incrementals that follow each other."""
    first = backups[0]
    if first.incremental:
        raise EngineError(
            "bad_option",
            "%s is an incremental backup, from log position %d on: parents must name the backups it builds on, the full "
            "one first" % (first.label, first.from_lsn),
            option="parents",
        )
    for before, after in zip(backups, backups[1:]):
        if not after.incremental:
            raise EngineError(
                "bad_option",
                "parents: %s is a full backup; only the first of a chain is" % after.label,
                option="parents",
            )
        if after.from_lsn != before.to_lsn:
            raise EngineError(
                "bad_option",
                "parents: %s begins at log position %d, but %s ends at %d: one is missing or they are in another order"
                % (after.label, after.from_lsn, before.label, before.to_lsn),
                option="parents",
            )


def believe_little(scratch, folder):
    """Replace the backup's configuration by the part that can do no harm; that part, as options for the server."""
    path = os.path.join(folder, CONFIGURATION)
    given, believed = _pairs(path), {}
    for key, value in given:
        key = key.replace("-", "_").lower()
        if key.startswith("plugin") and value:
            raise EngineError(
                "unsupported",
                "the server that was backed up needs a plugin for its tables (%s), and keys that "
                "are not in the backup" % ascii(value[:60]),
            )
        allowed = _BELIEVED.get(key)
        if allowed and re.match(allowed + r"\Z", value):
            believed[key] = value
    if os.path.lexists(path):
        os.unlink(path)
    lines = ["%s=%s" % pair for pair in sorted(believed.items())]
    scratch.write(CONFIGURATION, "[mysqld]\n" + "".join(line + "\n" for line in lines), folder=folder)
    return ["--%s=%s" % (key, believed[key]) for key in _FOR_SERVER if key in believed]


def _pairs(path):
    """(key, value) of the lines of an option file, in whatever group."""
    pairs = []
    for line in _small_text(path).splitlines():
        line = line.strip()
        if line and line[0] not in "#;[!":
            key, _equals, value = line.partition("=")
            pairs.append((key.strip(), value.strip().strip("\"'")))
    return pairs


def _values(folder, names):
    """``key = value`` lines of the first of these files that is there."""
    for name in names:
        text = _small_text(os.path.join(folder, name))
        if text:
            pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
            return {key.strip(): value.strip() for key, value in pairs}
    return {}


def _small_text(path):
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return ""
        with open(path, "rb") as stream:
            return stream.read(_SMALL).decode("utf-8", "replace")
    except OSError:
        return ""


def copy_folder(source, target):
    """Copy a backup that lies unpacked on disk: files and folders, and nothing else."""
    look_over(source)
    for entry in os.scandir(source):
        place = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(place, 0o700)
            copy_folder(entry.path, place)
        else:
            shutil.copyfile(entry.path, place, follow_symlinks=False)
