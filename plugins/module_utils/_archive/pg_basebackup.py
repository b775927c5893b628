# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""pg_basebackup: base.tar, pg_wal.tar and a tar for each tablespace, or the files of the server as they are.

backup_manifest (PostgreSQL 13 and later) lists every file with size and checksum, and ends in a checksum of itself.
What it lists must be there and equal, and nothing else. As pg_verifybackup does, files are left alone that a server or
a tool changes later, and the log of writes (WAL), of which the manifest says only which range is needed: its segments
must be there and whole by name and size. Files may come in any order; of each, only size and checksum are remembered.

``details``: ``label``, ``start_time``, ``start_wal`` (position), ``incremental`` (whether a full backup is needed,
too), ``manifest`` (whether there is one), ``files``, ``wal_segments``, ``tablespaces`` (numbers).
"""

from __future__ import annotations

import hashlib
import json
import re

from . import _compressed, _tar
from ._crc import Crc32c
from ._stream import Damaged

FORMAT = "pg_basebackup"

_TAR = re.compile(r"^(base|pg_wal|\d{5,7})\.tar(\.(gz|lz4|zst|tgz|bz2|xz))?$")
_MANIFEST, _LABEL, _VERSION, _CONTROL = "backup_manifest", "backup_label", "PG_VERSION", "global/pg_control"
# Files of a server by their places below its data folder. What others may lie there is known by the manifest alone.
_OWN = re.compile(
    r"^(?P<root>(?:.*?/)??)(?P<path>backup_manifest|backup_label(?:\.old)?|tablespace_map|PG_VERSION"
    r"|postgresql\.auto\.conf|postgresql\.conf|pg_hba\.conf|pg_ident\.conf|current_logfiles|standby\.signal"
    r"|recovery\.signal|base/\d+/.+|global/(?:\d+.*|pg_\w+.*)|pg_(?:wal|xact|multixact|commit_ts|dynshmem|logical"
    r"|notify|replslot|serial|snapshots|stat|stat_tmp|subtrans|tblspc|twophase)/.+)$"
)
# What pg_verifybackup does not look at.
_IGNORED = (_MANIFEST, "postgresql.auto.conf", "recovery.signal", "standby.signal")
_SEGMENT = re.compile(r"^[0-9A-F]{24}$")
_OF_THE_LOG = re.compile(r"^pg_wal/(?:[0-9A-F]{24}[\w.]*|[0-9A-F]{8}\.history|(?:archive_status|summaries)(?:/.*)?)?$")
_SEGMENT_SIZES = [1 << power for power in range(20, 31)]
_KEPT = 1 << 16
_MAX_LINE = 1 << 16
_HASHES = {"SHA224": "sha224", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}
_SHUT_DOWN = (1, 2)


class PgBaseBackup:
    """The files of one backup, in any order: entry() for each, finish() after the last."""

    FORMAT = FORMAT

    def __init__(self, root, report):
        self._report, self._root = report, root
        member = self._member = report.member(root or ".")
        member.format, member.engine, member.tool, member.plain_bytes = FORMAT, "postgresql", "pg_basebackup", 0
        member.countable = False
        member.details.update(label=None, start_time=None, start_wal=None, incremental=False, manifest=False)
        # {path below the data folder: (size, {algorithm: checksum})}, and what the manifest says in the same way.
        self._files, self._said, self._ranges = {}, {}, []
        self._algorithms, self._whole_manifest = {"CRC32C", "SHA256", "SHA512"}, False
        # {name: size} of the log's segments; small files that are read; which tars there were.
        self._segments, self._texts, self._tars = {}, {}, set()
        self._in_tablespaces = None

    @staticmethod
    def accepts(name):
        return bool(_TAR.match(name.rpartition("/")[2]) or _OWN.match(name))

    @staticmethod
    def roots(names):
        """Folders of which all files are of one backup: those of a server's data."""
        folders = {name[: -len(_CONTROL)] for name in names if ("/" + name).endswith("/" + _CONTROL)}
        return [folder.rstrip("/") for folder in folders if folder + _VERSION in names]

    @staticmethod
    def root_of(name):
        folder, _slash, base = name.rpartition("/")
        own = _OWN.match(name)
        return own.group("root").rstrip("/") if own and not _TAR.match(base) else folder

    def entry(self, name, stream):
        """Read one file to its end. Raises Damaged, which is about that file alone."""
        path = name[len(self._root) + 1 :] if self._root else name
        tar = _TAR.match(path)
        if not tar:
            self._file(path, stream)
            return
        if tar.group(1) in self._tars:
            self._report.problem("duplicate", "%s.tar is there twice" % tar.group(1), name)
        self._tars.add(tar.group(1))
        kind = _compressed.kind_of(stream.peek(8))
        plain = kind.open(stream, self._report) if kind else stream
        if kind and kind.name not in self._member.compression:
            self._member.compression.append(kind.name)
        try:
            before = {"base": "", "pg_wal": "pg_wal/"}.get(tar.group(1), "pg_tblspc/%s/" % tar.group(1))
            for entry in _tar.entries(plain, self._report, name):
                path = before + re.sub(r"^\./", "", entry.name)
                if tar.group(1) == "pg_wal" and not _OF_THE_LOG.match(path):
                    self._report.problem("extra_member", "%s does not belong there" % entry.name, name)
                self._file(path, entry.stream)
        finally:
            if kind:
                plain.close()

    def _file(self, path, stream):
        if path in self._files:
            self._report.problem("duplicate", "%s is there twice" % path, self._member.name)
        if len(self._files) >= self._report.limits.max_members:
            raise Damaged("bomb", "more than %d files" % self._report.limits.max_members)
        # Noted before it is read: a damaged file is there.
        self._files[path] = None
        sums = self._begin(path)
        kept, size = [], 0
        manifest = _Manifest(self._said, self._ranges) if path == _MANIFEST else None
        while True:
            block = stream.chunk()
            if not block:
                break
            size += len(block)
            for one in sums.values():
                one.update(block)
            if manifest:
                manifest.feed(block)
            elif size <= _KEPT:
                kept.append(block)
        self._member.plain_bytes += size
        self._files[path] = (size, {name: _finished(one) for name, one in sums.items()})
        if manifest:
            manifest.finish()
            self._whole_manifest = True
            # What comes later is compared by what the manifest holds.
            self._algorithms = {algorithm for _size, algorithm, _sum in self._said.values()}
        elif path in (_LABEL, _VERSION, _CONTROL):
            self._texts[path] = b"".join(kept)
        folder, _slash, base = path.rpartition("/")
        if folder == "pg_wal" and _SEGMENT.match(base):
            self._segments[base] = size

    def _begin(self, path):
        if _is_ignored(path):
            return {}
        algorithms = self._algorithms
        if self._said:
            said = self._said.get(path)
            algorithms = {said[1]} if said else set()
        return {
            name: Crc32c() if name == "CRC32C" else hashlib.new(_HASHES[name]) for name in algorithms if name != "NONE"
        }

    # -- after the last file

    def _wrong(self, code, message):
        self._report.problem(code, message, self._member.name)

    def finish(self):
        """After the last entry: whether all that the manifest says is there, and equal."""
        self._describe()
        if "pg_wal" in self._tars and "base" not in self._tars:
            self._wrong("missing_member", "base.tar is not there")
        if _VERSION not in self._files:
            self._wrong("missing_member", "PG_VERSION is not there: no data folder of a server")
        if _CONTROL not in self._files:
            self._wrong("missing_member", "%s is not there" % _CONTROL)
        if _LABEL not in self._files and not self._was_shut_down():
            self._wrong(
                "missing_member", "backup_label is not there: a copy of a running server without it is no backup"
            )
        if self._whole_manifest:
            self._compare()
        elif _MANIFEST not in self._files:
            self._report.note(
                "%s: without a manifest nothing tells whether its files are all there and whole" % self._member.name
            )
        self._judge_log()

    def _was_shut_down(self):
        """Whether the server was not running when it was copied, as its control file says."""
        control = self._texts.get(_CONTROL, b"")
        return len(control) > 20 and int.from_bytes(control[16:20], "little") in _SHUT_DOWN

    def _describe(self):
        member, details = self._member, self._member.details
        member.server_version = self._texts.get(_VERSION, b"").decode("ascii", "replace").strip() or None
        lines = self._texts.get(_LABEL, b"").decode("utf-8", "replace").splitlines()
        label = dict(line.split(": ", 1) for line in lines if ": " in line)
        member.start_mark = lines[0] if lines else None
        details.update(
            label=label.get("LABEL"),
            start_time=label.get("START TIME"),
            start_wal=label.get("START WAL LOCATION", "").split(" ")[0] or None,
            incremental="INCREMENTAL FROM LSN" in label,
            manifest=_MANIFEST in self._files,
            files=len(self._files),
            wal_segments=len(self._segments),
            tablespaces=sorted({path.split("/")[1] for path in self._files if path.startswith("pg_tblspc/")}),
        )

    def _compare(self):
        unequal, missing, elsewhere, unknown = [], [], {}, []
        for path, (size, algorithm, checksum) in sorted(self._said.items()):
            if _is_ignored(path):
                continue
            if path not in self._files:
                self._note_missing(path, missing, elsewhere)
                continue
            found = self._files[path]
            if found is None:
                continue
            if found[0] != size:
                unequal.append("%s: %d bytes instead of %d" % (path, found[0], size))
            elif algorithm != "NONE" and algorithm not in found[1]:
                unknown.append(path)
            elif algorithm != "NONE" and found[1][algorithm] != checksum:
                unequal.append("%s: the %s is wrong" % (path, algorithm))
        for message in unequal[:20]:
            self._wrong("bad_checksum", message)
        if len(unequal) > 20:
            self._wrong("bad_checksum", "%d more files are not what the manifest says" % (len(unequal) - 20))
        self._tell_missing(missing, elsewhere)
        extra = sorted(path for path in self._files if path not in self._said and not _is_ignored(path))
        for path in [path for path in extra if self._tars or _OWN.match(path)][:20]:
            self._wrong("extra_member", "%s is not in the manifest" % path)
        foreign = [] if self._tars else [path for path in extra if not _OWN.match(path)]
        if foreign:
            self._report.note(
                "%s: not in the manifest, and no file of PostgreSQL's own: %s" % (self._member.name, ", ".join(foreign[:5]))
            )
        if unknown:
            self._report.note(
                "%s: the checksums of %d files were not compared, their kind was known too late"
                % (self._member.name, len(unknown))
            )

    def _note_missing(self, path, missing, elsewhere):
        if path.startswith("pg_tblspc/") and path.count("/") > 1:
            number = path.split("/")[1]
            if not any(other.startswith("pg_tblspc/%s/" % number) for other in self._tablespace_files()):
                elsewhere[number] = elsewhere.get(number, 0) + 1
                return
        missing.append(path)

    def _tablespace_files(self):
        if self._in_tablespaces is None:
            self._in_tablespaces = [path for path in self._files if path.startswith("pg_tblspc/")]
        return self._in_tablespaces

    def _tell_missing(self, missing, elsewhere):
        for path in missing[:20]:
            self._wrong("missing_member", "%s is in the manifest and not there" % path)
        if len(missing) > 20:
            self._wrong("missing_member", "%d more files are missing" % (len(missing) - 20))
        for number, files in sorted(elsewhere.items()):
            why = "" if self._tars else ": links are not followed, have pg_basebackup write tars (-Ft)"
            self._wrong("missing_member", "the %d files of the tablespace %s are not there%s" % (files, number, why))

    # -- the log of writes

    def _judge_log(self):
        ranges = self._ranges
        if not ranges and self._member.details["start_wal"]:
            start = _position(self._member.details["start_wal"])
            line = re.search(rb"^START TIMELINE: (\d+)$", self._texts.get(_LABEL, b""), re.M)
            ranges = [(int(line.group(1)), start, start + 1)] if start is not None and line else []
        if not self._segments:
            if ranges:
                self._report.note("%s: holds no WAL; a restore needs it from an archive" % self._member.name)
            return
        size = max(self._segments.values())
        if size not in _SEGMENT_SIZES:
            self._wrong("truncated", "segments of WAL of %d bytes" % size)
            return
        for name, found in sorted(self._segments.items()):
            if found != size:
                self._wrong("truncated", "pg_wal/%s has %d bytes instead of %d" % (name, found, size))
        missing = []
        for timeline, start, end in ranges:
            # Ranges are from the file: no more segments are asked for than a backup can hold.
            for number in range(start // size, min((end - 1) // size + 1, start // size + 100000)):
                per_file = (1 << 32) // size
                name = "%08X%08X%08X" % (timeline, number // per_file, number % per_file)
                if name not in self._segments:
                    missing.append(name)
        for name in missing[:20]:
            self._wrong("missing_member", "pg_wal/%s, without which it cannot be restored, is not there" % name)


def _is_ignored(path):
    return path in _IGNORED or path.startswith("pg_wal/")


def _finished(one):
    return "%08x" % int.from_bytes(one.value.to_bytes(4, "little"), "big") if hasattr(one, "value") else one.hexdigest()


def _position(text):
    match = re.match(r"^([0-9A-F]{1,8})/([0-9A-F]{1,8})$", text or "", re.I)
    return int(match.group(1), 16) << 32 | int(match.group(2), 16) if match else None


class _Manifest:
    """Reads a manifest line by line, as PostgreSQL writes it, into ``said`` {path: (size, algorithm, checksum)} and
    ``ranges`` [(timeline, start, end)]."""

    def __init__(self, said, ranges):
        self._said, self._ranges = said, ranges
        self._sum, self._left, self._offset, self._last = hashlib.sha256(), b"", 0, None
        self._place = "head"

    def feed(self, block):
        lines = (self._left + block).split(b"\n")
        self._left = lines.pop()
        if len(self._left) > _MAX_LINE:
            raise Damaged("bad_structure", "the manifest is not laid out in lines", self._offset)
        for line in lines:
            self._line(line)
            self._sum.update(line + b"\n")
            self._offset += len(line) + 1

    def _line(self, line):
        if self._last is not None:
            raise Damaged("trailing_garbage", "the manifest goes on behind its end", self._offset)
        if line.startswith(b'"Files": ['):
            self._place = "files"
        elif line.startswith(b'"WAL-Ranges": ['):
            self._place = "ranges"
        elif line.startswith(b'"Manifest-Checksum"'):
            self._end(line)
        elif self._place == "head":
            if not line.startswith((b'{ "PostgreSQL-Backup-Manifest-Version": ', b'"System-Identifier": ')):
                raise Damaged("bad_structure", "no manifest of PostgreSQL", self._offset)
        elif line.startswith(b"{"):
            self._object(line)
        elif line not in (b"],", b"]", b""):
            raise Damaged("bad_structure", "a line that does not belong into a manifest", self._offset)

    def _object(self, line):
        try:
            about = json.loads(line.rstrip(b",").decode("utf-8"))
            if self._place == "files":
                self._about_file(about)
            else:
                span = (int(about["Timeline"]), _position(about["Start-LSN"]), _position(about["End-LSN"]))
                if None in span:
                    raise ValueError("no position")
                self._ranges.append(span)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Damaged("bad_structure", "a line of the manifest that says nothing", self._offset)

    def _about_file(self, about):
        path = (
            about["Path"]
            if "Path" in about
            else bytes.fromhex(about["Encoded-Path"]).decode("utf-8", "surrogateescape")
        )
        algorithm = about.get("Checksum-Algorithm", "NONE")
        if algorithm not in _HASHES and algorithm not in ("CRC32C", "NONE"):
            raise Damaged("unsupported", "an unknown checksum in the manifest: %.20s" % algorithm, self._offset)
        if not isinstance(path, str) or path in self._said:
            raise ValueError("no path of its own")
        self._said[path] = (int(about["Size"]), algorithm, str(about.get("Checksum", "")).lower())

    def _end(self, line):
        found = re.match(rb'^"Manifest-Checksum": "([0-9a-f]{64})"\}$', line)
        if not found:
            raise Damaged("bad_structure", "a manifest whose checksum cannot be read", self._offset)
        self._last = self._sum.hexdigest()
        if found.group(1).decode() != self._last:
            raise Damaged("bad_checksum", "the manifest's own checksum is wrong", self._offset)

    def finish(self):
        if self._left:
            raise Damaged("truncated", "the manifest ends within a line", self._offset + len(self._left))
        if self._last is None:
            raise Damaged("truncated", "the manifest has no end", self._offset)
