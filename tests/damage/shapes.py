# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gallery knows of the shapes of files: where their units end, which bytes a checksum covers, what is equal.

A file is layers around a core: parts of a tar of a gzip of SQL, for example. A layer can be opened and laid around other
content again, so that damage can be done at any depth while all that lies outside of it fits. All of this is written
anew on the tools' own terms (zlib, tarfile, the programs), and shares nothing with the readers of the collection.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import sqlite3
import struct
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import zstandard

from .servers import Redis, ServerError, program

Tree = dict[str, bytes]  # files by their paths


class Broken(Exception):
    """This cannot be read by the tool that ought to."""


# -- layers: they hold other content ------------------------------------------------------------------------------


class Layer:
    """One wrapping. ``suffix`` is what it adds to a file's name."""

    suffix = ""

    def wrap(self, content: bytes) -> bytes:
        raise NotImplementedError

    def unwrap(self, data: bytes) -> bytes:
        """The content; Broken unless every byte of the data is as it ought to be."""
        raise NotImplementedError

    def borders(self, data: bytes) -> list[int]:
        """Offsets inside of the data at which one unit ends and the next begins."""
        del data
        return []

    def covers(self, data: bytes, inner: Callable[[int], bool]) -> Callable[[int], bool]:
        """Whether framing or a checksum holds the byte at an offset; ``inner`` answers that for the content."""
        del data, inner
        return lambda offset: True


class Gzip(Layer):
    """One member, or as many as asked for: what ``cat a.gz b.gz``, pigz and bgzip make."""

    suffix = ".gz"

    def __init__(self, members: int = 1) -> None:
        self._members = members

    def wrap(self, content: bytes) -> bytes:
        size = max(1, -(-len(content) // self._members))
        pieces = [content[start:start + size] for start in range(0, len(content), size)] or [b""]
        # What is large is only passed through.
        level = 6 if len(content) < 1 << 22 else 1
        return b"".join(gzip.compress(piece, level, mtime=1767225600) for piece in pieces)

    def unwrap(self, data: bytes) -> bytes:
        found = []
        while data.strip(b"\0") or not found:
            inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                found.append(inflater.decompress(data))
            except zlib.error as reason:
                raise Broken(str(reason)) from None
            if not inflater.eof:
                raise Broken("truncated")
            data = inflater.unused_data
        return b"".join(found)

    def borders(self, data: bytes) -> list[int]:
        found, rest = [], data
        while rest:
            inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            inflater.decompress(rest)
            rest = inflater.unused_data
            found.append(len(data) - len(rest))
        return found[:-1]


class Squeezed(Layer):
    """bzip2 and xz, by the standard library."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def wrap(self, content: bytes) -> bytes:
        return bz2.compress(content) if self.suffix == ".bz2" else lzma.compress(content)

    def unwrap(self, data: bytes) -> bytes:
        inflater = bz2.BZ2Decompressor() if self.suffix == ".bz2" else lzma.LZMADecompressor()
        try:
            content = inflater.decompress(data)
        except (OSError, EOFError, ValueError, lzma.LZMAError) as reason:
            raise Broken(str(reason)) from None
        if not inflater.eof or inflater.unused_data:
            raise Broken("truncated, or more behind it")
        return content


class Zstd(Layer):
    """A frame with a checksum, as the program makes it."""

    suffix = ".zst"

    def wrap(self, content: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(content)

    def unwrap(self, data: bytes) -> bytes:
        inflater = zstandard.ZstdDecompressor().decompressobj()
        try:
            content = inflater.decompress(data)
        except zstandard.ZstdError as reason:
            raise Broken(str(reason)) from None
        if not inflater.eof or inflater.unused_data:
            raise Broken("truncated, or more behind it")
        return content


def read_tar(data: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """All members. Broken where a header, the length or the blocks at the end are not right."""
    found: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    end = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errorlevel=2) as tar:
            for member in tar:
                content = tar.extractfile(member).read() if member.isreg() else b""
                if len(content) != (member.size if member.isreg() else 0) or member.isreg() and member.name in found:
                    raise Broken(f"{member.name} is short, or there twice")
                found[member.name] = (member, content)
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    except (tarfile.TarError, OSError, EOFError, ValueError) as reason:
        raise Broken(str(reason)) from None
    if len(data) - end < 2 * tarfile.BLOCKSIZE or data[end:].strip(b"\0"):
        raise Broken("the end of the archive is not there")
    return found


def write_tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def tar_member(name: str, content: bytes | None) -> tuple[tarfile.TarInfo, bytes]:
    """A member as the backup gem's ``tar`` writes it: a file, or a folder where there is no content."""
    member = tarfile.TarInfo(name)
    member.mtime, member.uname, member.gname = 1767225600, "app", "app"
    if content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    else:
        member.size = len(content)
    return member, content or b""


class GemTar(Layer):
    """The backup gem's plain tar with one dump in it: ``<trigger>/databases/<name>``."""

    suffix = ".tar"

    def __init__(self, name: str, trigger: str = "shop") -> None:
        self._path, self._trigger = f"{trigger}/databases/{name}", trigger

    def wrap(self, content: bytes) -> bytes:
        return write_tar([tar_member(self._trigger, None), tar_member(f"{self._trigger}/databases", None),
                          tar_member(self._path, content)])

    def unwrap(self, data: bytes) -> bytes:
        files = [(name, content) for name, (member, content) in read_tar(data).items() if not member.isdir()]
        if [name for name, _content in files] != [self._path]:
            raise Broken(f"other members: {', '.join(name for name, _content in files)}")
        return files[0][1]

    def borders(self, data: bytes) -> list[int]:
        return tar_borders(data)

    def covers(self, data: bytes, inner: Callable[[int], bool]) -> Callable[[int], bool]:
        member = read_tar(data)[self._path][0]
        return lambda offset: not 0 <= offset - member.offset_data < member.size or inner(offset - member.offset_data)


def tar_borders(data: bytes) -> list[int]:
    """Where members begin and where the last one ends."""
    members = [member for member, _content in read_tar(data).values()]
    last = members[-1]
    end = last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return [member.offset for member in members[1:]] + [end]


# -- cores: what is inside ------------------------------------------------------------------------------------------


class Core:
    """A format by itself, as one stream."""

    # A dump that was cut at a border of this format is whole in its form: only its content tells.
    ENDS_ANYWHERE = False
    # Any bytes at all are as good as these.
    FORMLESS = False

    def borders(self, data: bytes) -> list[int]:
        del data
        return []

    def covers(self, data: bytes) -> Callable[[int], bool]:
        del data
        return lambda offset: False

    def misses(self, data: bytes, start: int) -> bool:
        """Whether the form breaks when the unit that begins there is gone."""
        del data, start
        return False

    def same(self, data: bytes, other: bytes) -> bool:
        """Whether both say the same, by somebody else's judgement than that of the collection."""
        return data == other


class PlainPostgresql(Core):
    """SQL by pg_dump."""

    # What pg_dump writes before each block: so that text which only looks like one is not taken for one.
    COPY = re.compile(rb"(?<=\n--\n\n)COPY (?P<table>[^\n]+) FROM stdin;\n(?P<rows>(?:(?!\\\.\n)[^\n]*\n)*)\\\.\n")

    def borders(self, data: bytes) -> list[int]:
        return [match.end() for match in self.COPY.finditer(data)] + [
            match.start() + 2 for match in re.finditer(rb";\n\n(?=\n--\n-- Name)", data)]

    def same(self, data: bytes, other: bytes) -> bool:
        return _without_comments(data, self._blocks(data)) == _without_comments(other, self._blocks(other))

    def _blocks(self, data: bytes) -> list[tuple[int, int]]:
        return [match.span("rows") for match in self.COPY.finditer(data)]


class PlainMysql(Core):
    """SQL by mariadb-dump and mysqldump."""

    INSERT = re.compile(rb"^INSERT INTO `(?P<table>(?:[^`]|``)+)` VALUES\s(?P<rows>\(.*?\));$", re.M | re.S)

    def borders(self, data: bytes) -> list[int]:
        return [match.end() + 1 for match in self.INSERT.finditer(data)] + [
            match.start() + 2 for match in re.finditer(rb";\n\n(?=--\n-- Table structure)", data)]

    def same(self, data: bytes, other: bytes) -> bool:
        return _without_comments(data, []) == _without_comments(other, [])


def _without_comments(data: bytes, blocks: list[tuple[int, int]]) -> bytes:
    """The lines of SQL less those that are a comment and stand between two statements."""
    kept, offset, between = [], 0, True
    spans = iter(blocks)
    span = next(spans, None)
    for line in data.splitlines(keepends=True):
        while span and offset >= span[1]:
            span = next(spans, None)
        inside = span is not None and span[0] <= offset
        comment = not inside and between and (line.startswith(b"--") or not line.strip())
        if not comment:
            kept.append(line)
            between = not inside and line.rstrip().endswith((b";", b"\\."))
        offset += len(line)
    return b"".join(kept)


class PgCustom(Core):
    """pg_dump's own binary format: a table of contents, then blocks of data, each a zlib stream."""

    _BLOCK = re.compile(rb"\x01\x00(....)\x00(....)\x78[\x01\x5e\x9c\xda]", re.S)

    def __init__(self, pg_restore: Path, checked: bool = True) -> None:
        self._pg_restore, self._checked = pg_restore, checked

    def borders(self, data: bytes) -> list[int]:
        return [match.start() for match in self._BLOCK.finditer(data)]

    def misses(self, data: bytes, start: int) -> bool:
        return True

    def covers(self, data: bytes) -> Callable[[int], bool]:
        # Nothing covers the table of contents, nor data that is not compressed.
        first = min(self.borders(data), default=len(data)) if self._checked else len(data)
        return lambda offset: offset >= first

    def same(self, data: bytes, other: bytes) -> bool:
        return self._script(other) is not None and self._script(data) == self._script(other)

    def _script(self, data: bytes) -> bytes | None:
        with tempfile.TemporaryDirectory(prefix="rbg-") as folder:
            file = Path(folder, "dump")
            file.write_bytes(data)
            return pg_script(self._pg_restore, file)


def pg_script(pg_restore: Path, dump: Path) -> bytes | None:
    """The SQL that pg_restore makes of a dump, without what differs from call to call; None if it refuses."""
    done = subprocess.run([str(pg_restore), "-f", "-", str(dump)], capture_output=True, check=False, timeout=120)
    if done.returncode or done.stderr:
        return None
    text = without_tokens(done.stdout)
    return _without_comments(text, [match.span("rows") for match in PlainPostgresql.COPY.finditer(text)])


def without_tokens(script: bytes) -> bytes:
    """The same script of pg_dump at every call: it holds words of chance against smuggled commands."""
    return re.sub(rb"^\\(un)?restrict .*\n", b"", script, flags=re.M)


class Xbstream(Core):
    """Chunks of files, each with a checksum of what it holds."""

    MAGIC = b"XBSTCK01"

    def chunks(self, data: bytes) -> list[tuple[int, bytes, bytes]]:
        """(offset, kind, path) of every chunk."""
        found, offset = [], 0
        while offset < len(data):
            if data[offset:offset + 8] != self.MAGIC:
                raise Broken(f"no chunk at {offset}")
            kind, (length,) = data[offset + 9:offset + 10], struct.unpack_from("<I", data, offset + 10)
            end = offset + 14 + length
            found.append((offset, kind, data[offset + 14:end]))
            offset = end if kind == b"E" else end + 20 + struct.unpack_from("<Q", data, end)[0]
        return found

    def borders(self, data: bytes) -> list[int]:
        return [offset for offset, _kind, _path in self.chunks(data)][1:]

    def misses(self, data: bytes, start: int) -> bool:
        """Of a file in one piece, the end alone is left: it looks like an empty file."""
        chunks = self.chunks(data)
        place = next(number for number, chunk in enumerate(chunks) if chunk[0] == start)
        alone = [kind for _offset, kind, path in chunks if path == chunks[place][2]] == [b"P", b"E"]
        return not (alone and chunks[place][1] == b"P")

    def covers(self, data: bytes) -> Callable[[int], bool]:
        return lambda offset: True

    def same(self, data: bytes, other: bytes) -> bool:
        return self._files(other) is not None and self._files(data) == self._files(other)

    def _files(self, data: bytes) -> Tree | None:
        with tempfile.TemporaryDirectory(prefix="rbg-") as folder:
            done = subprocess.run([program("mbstream", "mariadb-backup"), "-x", "-C", folder], input=data, check=False,
                                  capture_output=True)
            return None if done.returncode else read_folder(Path(folder))


class Rdb(Core):
    """A snapshot of Redis: one checksum over all of it."""

    def covers(self, data: bytes) -> Callable[[int], bool]:
        return lambda offset: True

    def borders(self, data: bytes) -> list[int]:
        return [9, len(data) - 9, len(data) - 8]

    def same(self, data: bytes, other: bytes) -> bool:
        # Eight zero bytes in place of the checksum mean: none was made.
        return data[:-8] == other[:-8] and len(data) == len(other) and not other[-8:].strip(b"\0")


class Aof(Core):
    """A log of Redis's commands, after a snapshot or without one."""

    ENDS_ANYWHERE = True

    def __init__(self, preamble: int = 0) -> None:
        self._preamble = preamble

    def borders(self, data: bytes) -> list[int]:
        """Between two commands; not between a MULTI and its EXEC."""
        found, offset, depth = [], self._preamble, 0
        while offset < len(data):
            if data[offset:offset + 1] == b"#":
                offset = data.index(b"\n", offset) + 1
                continue
            end = data.index(b"\r\n", offset)
            words, count, offset = [], int(data[offset + 1:end]), end + 2
            for _word in range(count):
                end = data.index(b"\r\n", offset)
                length = int(data[offset + 1:end])
                words.append(data[end + 2:end + 2 + length])
                offset = end + 4 + length
            depth += {b"MULTI": 1, b"EXEC": -1}.get(words[0].upper(), 0)
            if not depth and offset < len(data):
                found.append(offset)
        return found

    def covers(self, data: bytes) -> Callable[[int], bool]:
        return lambda offset: offset < self._preamble

    def same(self, data: bytes, other: bytes) -> bool:
        return self._loaded(other) is not None and self._loaded(data) == self._loaded(other)

    def _loaded(self, data: bytes) -> bytes | None:
        """Redis's own digest of all that it makes of the log; None if it refuses."""
        with tempfile.TemporaryDirectory(prefix="rbg-") as folder:
            try:
                with Redis(Path(folder, "server"), log=data) as server:
                    return server.command("DEBUG", "DIGEST")
            except ServerError:
                return None


class MongoArchive(Core):
    """mongodump's archive: a prelude of documents, then blocks, each collection with a checksum at its end."""

    def borders(self, data: bytes) -> list[int]:
        found = [match.end() for match in re.finditer(rb"\xff\xff\xff\xff", data)]
        return [offset for offset in found if offset < len(data)]

    def misses(self, data: bytes, start: int) -> bool:
        return True

    def covers(self, data: bytes) -> Callable[[int], bool]:
        body = data.find(b"\xff\xff\xff\xff")
        return lambda offset: offset >= body

    def same(self, data: bytes, other: bytes) -> bool:
        # Which programs were at work, and how busily, is not restored.
        return self._without_programs(data) == self._without_programs(other)

    @staticmethod
    def _without_programs(data: bytes) -> tuple[list[str], str, list[Any], bytes] | bytes:
        end = data.find(b"\xff\xff\xff\xff")
        try:
            header, *about = bson.decode_all(data[4:end])
            for each in about:
                # A text with JSON.
                each["metadata"] = MongoMetadata.restored(each["metadata"].encode())
            return list(header), header["version"], about, data[end:]
        except (bson.errors.BSONError, KeyError, ValueError, AttributeError):
            return data


class Bson(Core):
    """Documents one after the other."""

    ENDS_ANYWHERE = True

    def borders(self, data: bytes) -> list[int]:
        found, offset = [], 0
        while offset < len(data):
            offset += struct.unpack_from("<i", data, offset)[0]
            found.append(offset)
        return found[:-1]


class MongoMetadata(Core):
    """What a collection is beside its documents, as JSON."""

    def covers(self, data: bytes) -> Callable[[int], bool]:
        return lambda offset: False

    def same(self, data: bytes, other: bytes) -> bool:
        return self.restored(other) is not None and self.restored(data) == self.restored(other)

    @staticmethod
    def restored(data: bytes) -> dict[str, object] | None:
        """All but what a restore does not look at: the identity, which is new, and the index that every collection has."""
        try:
            found = json.loads(data)
            return {**found, "uuid": None, "indexes": [index for index in found["indexes"] if index["name"] != "_id_"]}
        except (ValueError, KeyError, TypeError):
            return None


class Sqlite(Core):
    """A database file. Nothing in it is covered by a checksum."""

    def borders(self, data: bytes) -> list[int]:
        size = struct.unpack_from(">H", data, 16)[0]
        size = 65536 if size == 1 else size
        return list(range(size, len(data), size))

    def same(self, data: bytes, other: bytes) -> bool:
        return self._said(other) is not None and self._said(data) == self._said(other)

    def _said(self, data: bytes) -> list[object] | None:
        with tempfile.TemporaryDirectory(prefix="rbg-") as folder:
            file = Path(folder, "db")
            file.write_bytes(data)
            base = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
            base.text_factory = bytes
            try:
                if base.execute("PRAGMA integrity_check").fetchall() != [(b"ok",)]:
                    return None
                facts: list[object] = [base.execute(f"PRAGMA {name}").fetchone()
                                       for name in ("encoding", "user_version", "application_id")]
                entries = base.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
                facts.append(entries)
                # Texts and bytes that are alike are not the same.
                base.text_factory = lambda raw: ("text", raw)
                for kind, name, _table, sql in entries:
                    if kind == b"table" and sql and not sql.upper().startswith(b"CREATE VIRTUAL"):
                        quoted = name.decode(errors="surrogateescape").replace('"', '""')
                        facts.append((name, sorted(map(repr, base.execute(f'SELECT * FROM "{quoted}"').fetchall()))))
                return facts
            except (sqlite3.Error, UnicodeError):
                return None
            finally:
                base.close()


class Opaque(Core):
    """A file of which the gallery knows only whether something covers it, and whether it has any form."""

    def __init__(self, covered: bool, formless: bool = False) -> None:
        self._covered = covered
        self.ENDS_ANYWHERE = self.FORMLESS = formless

    def covers(self, data: bytes) -> Callable[[int], bool]:
        return lambda offset: self._covered


# -- stacks and trees -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """Layers, outermost first, around a core."""

    layers: tuple[Layer, ...]
    core: Core

    def levels(self, data: bytes) -> list[bytes]:
        """The data at every depth: as it is, without its outermost layer, ..., the core."""
        found = [data]
        for layer in self.layers:
            found.append(layer.unwrap(found[-1]))
        return found

    def rewrap(self, content: bytes, depth: int) -> bytes:
        """Lay the outermost ``depth`` layers around other content."""
        for layer in reversed(self.layers[:depth]):
            content = layer.wrap(content)
        return content

    def wrap(self, content: bytes) -> bytes:
        return self.rewrap(content, len(self.layers))

    def borders(self, data: bytes, depth: int) -> list[int]:
        return (self.layers[depth] if depth < len(self.layers) else self.core).borders(data)

    def covers(self, levels: list[bytes], depth: int) -> Callable[[int], bool]:
        covers = self.core.covers(levels[-1])
        for number in reversed(range(depth, len(self.layers))):
            covers = self.layers[number].covers(levels[number], covers)
        return covers

    def ends_once(self, levels: list[bytes], depth: int) -> bool:
        """Whether no more of the same may follow its end: of compressed data it may, where it may of what is inside."""
        return (not self.core.ENDS_ANYWHERE or self.core.covers(levels[-1])(0)
                or not all(isinstance(layer, Gzip | Squeezed | Zstd) for layer in self.layers[depth:]))

    def same(self, data: bytes, other: bytes) -> bool:
        """Whether the other can be read to its end by the tools, and holds the same."""
        try:
            mine, theirs = self.levels(data)[-1], self.levels(other)[-1]
        except (Broken, subprocess.TimeoutExpired):
            return False
        return mine == theirs or self.core.same(mine, theirs)


class TreeTar(Core):
    """A tar of many files, each with a stack of its own."""

    def __init__(self, member: Callable[[str], Stack]) -> None:
        self.member = member

    def borders(self, data: bytes) -> list[int]:
        return tar_borders(data)

    def misses(self, data: bytes, start: int) -> bool:
        return True

    def covers(self, data: bytes) -> Callable[[int], bool]:
        spans = []
        for name, (member, content) in read_tar(data).items():
            if member.isreg():
                stack = self.member(name)
                spans.append((member.offset_data, member.size, stack.covers(stack.levels(content), 0)))

        def covered(offset: int) -> bool:
            for start, size, inner in spans:
                if 0 <= offset - start < size:
                    return inner(offset - start)
            return True

        return covered

    def same(self, data: bytes, other: bytes) -> bool:
        try:
            mine, theirs = read_tar(data), read_tar(other)
        except Broken:
            return False
        mine, theirs = ({name: found for name, found in each.items() if not found[0].isdir()} for each in (mine, theirs))
        return mine.keys() == theirs.keys() and all(
            mine[name][0].type == theirs[name][0].type and (
                mine[name][1] == theirs[name][1] or self.member(name).same(mine[name][1], theirs[name][1]))
            for name in mine)


def what_a_server_reads(base_backup: Tree, manifest: bytes) -> Tree:
    """The files in all tars of a base backup. What fills a tar up behind its last file is not among them; nor is what
    stands in the log of writes before and behind the part that the manifest names, nor the notes of what of it was
    archived, which a server makes anew. The same tree where a tar is broken."""
    found = {}
    for name, content in base_backup.items():
        try:
            plain = gzip.decompress(content) if name.endswith(".gz") else content
            inside = read_tar(plain) if ".tar" in name else {"": (None, content)}
        except (Broken, OSError, EOFError, zlib.error):
            return base_backup
        found.update({f"{name}:{path}": data for path, (_member, data) in inside.items() if "/archive_status/" not in path})
    ranges = json.loads(manifest)["WAL-Ranges"]
    for path, content in found.items():
        segment = re.search(r"[:/]([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$", path)
        if segment and content:
            number = int(segment[2], 16) * ((1 << 32) // len(content)) + int(segment[3], 16)
            first = number * len(content)
            needed = [(_position(span["Start-LSN"]) // 8192 * 8192 - first, _position(span["End-LSN"]) - first)
                      for span in ranges]
            found[path] = b"".join(content[max(start, 0):max(end, 0)] for start, end in needed)
    return found


def _position(text: str) -> int:
    """Of the log, in bytes: 0/15000028 is 0x15000028."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def read_folder(folder: Path) -> Tree:
    """All files below a folder; empty folders end in a slash."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name + "/"] = b""
    return found


def write_folder(folder: Path, tree: Tree) -> None:
    folder.mkdir(parents=True, exist_ok=True)  # without files it is a folder, too
    for name, content in tree.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def tree_as_tar(tree: Tree, root: str) -> bytes:
    """What ``tar -c root`` gives."""
    folders = {root} | {f"{root}/{parent}" for name in tree for parent in map(str, Path(name).parents) if parent != "."}
    members = {name: tar_member(name, None) for name in folders}
    for name, content in tree.items():
        path = f"{root}/{name.rstrip('/')}"
        members[path] = tar_member(path, None if name.endswith("/") else content)
    return write_tar([members[name] for name in sorted(members)])
