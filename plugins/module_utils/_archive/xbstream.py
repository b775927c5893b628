# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""xbstream, what mariadb-backup and Percona XtraBackup write: pieces of a server's files, each with a CRC-32.

The CRC covers the payload and nothing else. The rest is held together by order: pieces of a file follow each other
without a gap, each file has an end, and nothing comes after it but a whole new copy that says so. The stream itself has
no end mark; that it is whole shows in the files that are written last and that a restore cannot do without.

``details``: ``backup_type`` (full or incremental, as the tool says), ``from_lsn``, ``to_lsn``, ``last_lsn``,
``start_time``, ``end_time`` (in the server's time zone), ``partial``, ``files``, ``compressed_files``,
``encrypted_files``, ``system_tables`` (tables of the server's own databases, which are not among ``tables``),
``without_file`` (tables whose definition is there and whose rows lie elsewhere, or nowhere, sorted, at most 20).
"""

from __future__ import annotations

import re
import struct
import zlib

from ._stream import Damaged

FORMAT = "xbstream"

_MAGIC = b"XBSTCK01"
# The tools themselves refuse longer paths.
_MAX_PATH = 512
# MariaDB's flag of pieces of a file that may have come before.
_REWRITE = 2
# Payload, holes (Percona), end, removal and renaming (MariaDB), with the flags that each may have.
_KINDS = {b"P": (0, _REWRITE), b"S": (0,), b"E": (0,), b"D": (0,), b"R": (0,)}
_MAX_SPARSE = 1 << 20
# Small text files that are kept to be read; these are a few hundred bytes long.
_KEPT = 1 << 16
_SYSTEM = ("mysql", "performance_schema", "sys", "information_schema")
_INFO = ("xtrabackup_info", "mariadb_backup_info")
_CHECKPOINTS = ("xtrabackup_checkpoints", "mariadb_backup_checkpoints")
_LOGS = ("ib_logfile0", "xtrabackup_logfile")
_CONFIGURATION = "backup-my.cnf"
_ROWS = (".ibd", ".MYD", ".MAI", ".CSV", ".ARZ", ".ARM")
# A file of the first kind is worth nothing without one of the others.
_PAIRS = {".MYD": (".MYI",), ".MYI": (".MYD",), ".MAD": (".MAI",), ".MAI": (".MAD",)}
_COMPRESSED = (".qp", ".lz4", ".zst")
# Files that are never without any bytes; tables of the server's own are kept in pages, of which there is a first.
_NEVER_EMPTY = re.compile(
    r"\.(?:frm|ibd|new|MAI|MYI|opt|par|TRG|TRN|isl|CSM|delta|meta)$|^(?:mysql|sys)/[^/]*\.MAD$"
    r"|^(?:xtrabackup|mariadb_backup)_(?:info|checkpoints)$|^backup-my\.cnf$"
)
# The first bytes of a view's definition.
_VIEW = b"TYPE"
# How the server writes letters that are not ASCII into names of files: rows by the first sign, columns g to z by the
# second for Latin, the other way round for Cyrillic; G to Z are the capitals.
_LATIN = (
    "àáâãäåæçèéêëìíîïðñòó",
    "ôõößøùúûüýþÿāăąćĉċčď",
    "đēĕėęěĝğġģĥħĩīĭįıĳĵķ",
    "ĸĺļľŀłńņňŉŋōŏőœŕŗřśŝ",
    "şšţťŧũūŭůűųŵŷźżžſ",
)
_CYRILLIC = (
    "абвгдежзийклмнопрсту",
    "фхцчшщъыьэюяѐёђѓєѕії",
    "јљњћќѝўџѡѣѥѧѩѫѭѯѱѳѵѷ",
    "ѹѻѽѿҁ_ҋҍҏґғҕҗҙқҝҟҡңҥ",
    "ҧҩҫҭүұҳҵҷҹһҽҿ_ӂӄӆӈӊӌ",
    "ӎ_ӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳ",
    "ӵӷӹ______ԁԃԅԇԉԋԍԏ",
)
_ENCODED = re.compile(r"@([0-9a-f]{4}|..)")


def matches(head, name):  # pylint: disable=unused-argument  # all readers are asked alike
    return head.startswith(_MAGIC)


def read(stream, member, report):
    member.format, member.engine = FORMAT, "mysql"
    reader = _Reader(stream, member, report)
    try:
        reader.pieces()
    finally:
        reader.describe()
    reader.judge()


class _File:
    """One file of the server while its pieces arrive."""

    __slots__ = ("size", "kept")

    def __init__(self, kept):
        self.size, self.kept = 0, [] if kept else None


class _Reader:
    def __init__(self, stream, member, report):
        self._stream, self._member, self._report = stream, member, report
        # Files that have begun and not ended yet; names of those that have ended; the text of a few.
        self._open, self._ended, self._texts = {}, set(), {}
        self._views, self._reported = set(), set()
        self._compressed = self._encrypted = 0

    # -- the stream

    def pieces(self):
        while True:
            start = self._stream.offset
            head = self._stream.peek(8)
            if not head:
                return
            if head != _MAGIC:
                if _MAGIC.startswith(head):
                    raise Damaged("truncated", "ends within the first bytes of a piece", start + len(head))
                if start and not self._missing() and not self._open:
                    self._report.problem(
                        "trailing_garbage", "bytes after the last file of the backup", self._member.name, start
                    )
                    self._stream.drain()
                    return
                raise Damaged("bad_structure", "here should begin the next piece of a file", start)
            self._piece(start)

    def _piece(self, start):
        _magic, flags, kind, length = struct.unpack("<8sB1sI", self._stream.read(14))
        if not 0 < length < _MAX_PATH:
            raise Damaged("bad_structure", "a path of %d bytes" % length, start + 10)
        if kind not in _KINDS and not flags & 1:
            raise Damaged("bad_structure", "a piece of an unknown kind (0x%s)" % kind.hex(), start + 9)
        if flags not in _KINDS.get(kind, (1,)):
            raise Damaged("bad_structure", "unknown flags (0x%02x) of a piece" % flags, start + 8)
        path = self._stream.read(length)
        if kind == b"E":
            self._end(path, start)
        elif kind in (b"D", b"R"):
            self._change(path, kind, start)
        else:
            if flags == _REWRITE:
                # A table was changed while it was copied: what comes now takes the place of what has come.
                self._ended.discard(path)
            self._payload(path, kind, start)

    def _payload(self, path, kind, start):
        count = 0
        if kind == b"S":
            (count,) = struct.unpack("<I", self._stream.read(4))
            if count > _MAX_SPARSE:
                raise Damaged("bad_structure", "a map of %d holes" % count, start)
        size, offset, expected = struct.unpack("<QQI", self._stream.read(20))
        holes = self._stream.read(8 * count)
        checksum, first = zlib.crc32(holes), b""
        file = None
        if kind in (b"P", b"S"):
            file = self._file(path, start)
            if offset != file.size:
                raise Damaged(
                    "bad_structure",
                    "%s: a piece for byte %d, where byte %d is next" % (_text(path), offset, file.size),
                    start,
                )
        left = size
        while left:
            piece = self._stream.chunk(left)
            if not piece:
                raise Damaged("truncated", "%s: ends %d bytes too early" % (_text(path), left), self._stream.offset)
            left -= len(piece)
            checksum = zlib.crc32(piece, checksum)
            if file is not None and file.kept is not None and size <= _KEPT:
                file.kept.append(piece)
            if len(first) < 4:
                first += piece[:4]
        if checksum != expected:
            self._report.problem(
                "bad_checksum", "%s: the CRC-32 of a piece is wrong" % _text(path), self._member.name, start
            )
        if file is None:
            return
        if not file.size and first.startswith(_VIEW) and path.endswith(b".frm"):
            self._views.add(_text(path))
        file.size += size + sum(struct.unpack("<%dI" % (2 * count), holes)[::2])
        if file.kept is not None and file.size > _KEPT:
            file.kept = None

    def _file(self, path, start):
        file = self._open.get(path)
        if file is None:
            self._begin(path, start)
            file = self._open[path] = _File(_text(path) in _INFO + _CHECKPOINTS + (_CONFIGURATION,))
        return file

    def _begin(self, path, start):
        name = _text(path)
        if path in self._ended:
            raise Damaged("duplicate", "%s: comes again after its end" % name, start)
        if len(self._open) + len(self._ended) >= self._report.limits.max_members:
            raise Damaged("bomb", "more than %d files" % self._report.limits.max_members, start)
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\0" in name:
            self._report.problem(
                "unsafe_member", "%s would be written outside of the backup's folder" % name, self._member.name, start
            )

    def _change(self, path, kind, start):
        """A table was dropped or renamed while it was copied, and so are its files."""
        new = None
        if kind == b"R":
            (length,) = struct.unpack("<I", self._stream.read(4))
            if not 0 < length < _MAX_PATH:
                raise Damaged("bad_structure", "a path of %d bytes" % length, start)
            new = self._stream.read(length)
        if path in self._open or new in self._open:
            raise Damaged("bad_structure", "%s: is gone before its end" % _text(path), start)
        # It may never have come: then there is nothing to do, and the tools see it in the same way.
        came = path in self._ended
        self._ended.discard(path)
        if new is not None:
            self._ended.discard(new)
            self._begin(new, start)
        if new is not None and came:
            self._ended.add(new)

    def _end(self, path, start):
        file = self._open.pop(path, None)
        if file is None:
            # A file without any bytes has an end only.
            self._begin(path, start)
        self._ended.add(path)
        name = _text(path)
        if (file is None or not file.size) and _NEVER_EMPTY.search(_unpacked(name)):
            self._report.problem("empty", "%s: holds no bytes" % name, self._member.name, start)
        if file is not None and file.kept:
            self._texts[name] = b"".join(file.kept).decode("utf-8", "replace")
        if name.endswith(".xbcrypt"):
            self._encrypted += 1
            name = name[: -len(".xbcrypt")]
        if name.endswith(_COMPRESSED):
            self._compressed += 1

    # -- what is in it

    def _names(self):
        """Names of the files that have ended, without what says how they are packed."""
        return {_unpacked(_text(path)) for path in self._ended}

    def _missing(self):
        """What a restore needs and that is not there, in words."""
        names = self._names()
        missing = ["/".join(one) for one in (_INFO, _CHECKPOINTS, _LOGS) if not names.intersection(one)]
        if _CONFIGURATION not in names:
            missing.append(_CONFIGURATION)
        for name in self._system_files():
            if name not in names and name + ".delta" not in names:
                missing.append(name)
            elif name not in names and name + ".meta" not in names:
                missing.append(name + ".meta")
        return missing

    def _system_files(self):
        found = re.search(r"^innodb_data_file_path=(.*)$", self._texts.get(_CONFIGURATION, ""), re.M)
        given = found.group(1) if found else "ibdata1"
        return [entry.split(":")[0].strip().split("/")[-1] for entry in given.split(";") if entry.strip()]

    def describe(self):
        member, info = self._member, _values(self._texts, _INFO)
        points = _values(self._texts, _CHECKPOINTS)
        member.tool, member.tool_version = info.get("tool_name"), info.get("tool_version")
        member.server_version = info.get("server_version")
        details = member.details
        for name in ("from_lsn", "to_lsn", "last_lsn"):
            details[name] = int(points[name]) if points.get(name, "").isdigit() else None
        details["backup_type"] = {"full-backuped": "full", "full-prepared": "full"}.get(
            points.get("backup_type"), points.get("backup_type")
        )
        details.update({name: info.get(name) or None for name in ("start_time", "end_time", "partial")})
        details.update(
            files=len(self._ended), compressed_files=self._compressed, encrypted_files=self._encrypted, system_tables=0
        )
        self._tables()

    def _tables(self):
        member, databases, files = self._member, set(), set()
        definitions = set()
        for name in self._names():
            database, slash, file = name.rpartition("/")
            if not slash or "/" in database:
                continue
            database, base, suffix = decode_name(database), *_base(file)
            if suffix == ".frm" and not base.startswith("#") and name not in self._views:
                definitions.add((database, decode_name(base)))
            if suffix not in _ROWS or base.startswith(("#", "FTS_")):
                continue
            # A partition has files of its own.
            table = decode_name(re.split("#[Pp]#", base)[0])
            files.add((database, table))
        for database, table in files:
            if database in _SYSTEM:
                member.details["system_tables"] += 1
            else:
                databases.add(database)
                member.table(table, None, database)
        lonely = [one for one in definitions - files if one[0] not in _SYSTEM]
        member.details["without_file"] = sorted("%s.%s" % one for one in lonely)[:20]
        member.database = databases.pop() if len(databases) == 1 else None

    # -- what is wrong with it

    def judge(self):
        name = self._member.name
        for path, file in sorted(self._open.items())[:20]:
            self._report.problem(
                "truncated", "%s: has no end, %d bytes of it are there" % (_text(path), file.size), name
            )
        missing = self._missing()
        if missing:
            self._report.problem(
                "missing_member",
                "lacks %s, without which it cannot be restored: it may end too early" % ", ".join(missing),
                name,
            )
        elif not any(one.startswith("mysql/") for one in self._names()):
            self._report.note("%s: of some databases only, without mysql: no server starts with it alone" % name)
        self._judge_points()
        self._judge_pairs()
        if self._encrypted:
            self._report.problem("encrypted", "%d files in it are encrypted" % self._encrypted, name)

    def _judge_points(self):
        details, info = self._member.details, _values(self._texts, _INFO)
        for ours, theirs in (("from_lsn", "innodb_from_lsn"), ("to_lsn", "innodb_to_lsn")):
            if info.get(theirs, "").isdigit() and details[ours] is not None and int(info[theirs]) != details[ours]:
                self._report.problem(
                    "bad_structure",
                    "says two different %s: %d and %s" % (ours, details[ours], info[theirs]),
                    self._member.name,
                )

    def _judge_pairs(self):
        """Files that come in pairs. Tables that were created, renamed or dropped meanwhile may lack one."""
        names = self._names()
        changed = {name[:-4] for name in names if name.endswith((".ren", ".del"))}
        mariadb = (self._member.tool or "").startswith("mariadb")
        lacking = []
        for name in names:
            base, suffix = _base(name)
            if base in changed or "/" not in name or base.rpartition("/")[2].startswith("#"):
                continue
            others = _PAIRS.get(suffix, ())
            if name.endswith(".delta"):
                others = (".meta",)
                base = name[: -len(".delta")]
            elif suffix == ".ibd" and mariadb and not base.rpartition("/")[2].startswith("FTS_"):
                base, others = re.split("#[Pp]#", base)[0], (".frm",)
            if others and not any(base + other in names for other in others):
                lacking.append(base + others[0])
        for path in sorted(lacking)[:20]:
            self._report.problem(
                "missing_member", "%s: is missing, what belongs to it is there" % path, self._member.name
            )


def _text(path):
    return path.decode("utf-8", "replace")


def _unpacked(name):
    if name.endswith(".xbcrypt"):
        name = name[: -len(".xbcrypt")]
    for suffix in _COMPRESSED:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _base(file):
    """A file's name without its suffix, and that: pages of an incremental, and tables that were copied once more."""
    for suffix in (".delta", ".meta"):
        if file.endswith(suffix):
            file = file[: -len(suffix)]
    if file.endswith(".new"):
        return file[:-4], ".ibd"
    base, dot, suffix = file.rpartition(".")
    return (base, dot + suffix) if dot else (file, "")


def _values(texts, names):
    """``name = value`` lines of the first of these files that is there."""
    for name in names:
        if name in texts:
            pairs = (line.split("=", 1) for line in texts[name].splitlines() if "=" in line)
            return {key.strip(): value.strip() for key, value in pairs}
    return {}


def decode_name(name):
    """The name of a table or database from that of its file. What is not known stays as it is."""
    if name.endswith("@@@"):
        # One that Windows keeps for itself: con, aux, ...
        name = name[:-3]
    return _ENCODED.sub(lambda found: _letter(found.group(1)) or found.group(0), name)


def _letter(code):
    if len(code) == 4:
        return chr(int(code, 16))
    for rows, row, column in ((_LATIN, code[0], code[1]), (_CYRILLIC, code[1], code[0])):
        place = ord(column.lower()) - ord("g")
        if row.isdigit() and int(row) < len(rows) and 0 <= place < len(rows[int(row)]):
            letter = rows[int(row)][place]
            if column.isupper():
                letter = letter.upper() if letter.upper() != letter and len(letter.upper()) == 1 else "_"
            return None if letter == "_" else letter
    return None
