# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a backup: the backup gem's tar, and the parts it is cut into."""

from __future__ import annotations

import hashlib
import itertools
import os
import string
import tarfile
from pathlib import Path
from typing import Iterator, NamedTuple

ENGINE_CLASSES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "redis": "Redis", "mongodb": "MongoDB"}
BLOCK = 1 << 20


class Part(NamedTuple):
    """A file as the API lists it: a slice of the one tar on disk."""

    id: str
    offset: int
    length: int
    etag: str


def suffixes() -> Iterator[str]:
    """aa, ab, ... zz, and then three letters: what ``split`` would write."""
    for width in itertools.count(2):
        for letters in itertools.product(string.ascii_lowercase, repeat=width):
            yield "".join(letters)


def cut(size: int, part_size: int) -> list[tuple[str, int, int]]:
    """(id, offset, length) of every part: ``tar`` when one part is enough, else ``tar-aa``, ``tar-ab``, ..."""
    if size <= part_size:
        return [("tar", 0, size)]
    offsets = range(0, size, part_size)
    return [(f"tar-{suffix}", offset, min(part_size, size - offset)) for suffix, offset in zip(suffixes(), offsets)]


def digest(path: Path, offset: int = 0, length: int | None = None, algorithm: str = "md5") -> str:
    """Hash of a slice of a file."""
    found = hashlib.new(algorithm, usedforsecurity=False)
    left = path.stat().st_size - offset if length is None else length
    with path.open("rb") as stream:
        stream.seek(offset)
        while left > 0 and (block := stream.read(min(BLOCK, left))):
            found.update(block)
            left -= len(block)
    return found.hexdigest()


def parts_of(path: Path, part_size: int) -> list[Part]:
    """Cut a file into parts. As in S3, the ETag of an object is its MD5."""
    return [Part(name, offset, length, digest(path, offset, length))
            for name, offset, length in cut(path.stat().st_size, part_size)]


def suffix_of(engine: str, head: bytes) -> str:
    """What follows the class's name for a dump that came from elsewhere and begins with these bytes."""
    plain = {"redis": ".rdb", "mongodb": ".tar"}.get(engine, ".sql")
    return plain + (".gz" if head[:2] == b"\x1f\x8b" else "")


def pack(target: Path, trigger: str, content: Path, name: str, mtime: int) -> None:
    """Write the gem's layout, ``<trigger>/databases/<name>``, as a plain tar; compression is inside of it."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for folder in (trigger, f"{trigger}/databases"):
            tar.addfile(_member(folder, mtime, tarfile.DIRTYPE, 0o755))
        _add(tar, content, f"{trigger}/databases/{name}", mtime)


def _add(tar: tarfile.TarFile, content: Path, name: str, mtime: int) -> None:
    if content.is_dir():
        tar.addfile(_member(name, mtime, tarfile.DIRTYPE, 0o755))
        for child in sorted(content.iterdir()):
            _add(tar, child, f"{name}/{child.name}", mtime)
        return
    member = _member(name, mtime)
    member.size = content.stat().st_size
    with content.open("rb") as stream:
        tar.addfile(member, stream)


def _member(name: str, mtime: int, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, mtime
    member.uname = member.gname = "app"
    return member


def write_noise(target: Path, trigger: str, size: int) -> str:
    """Write a readable tar of ``size`` bytes (a multiple of 512) whose one member is noise; answer its SHA-256.

    The noise is the same for the same size. Every MiB carries its own number, so that parts in a wrong order show.
    """
    member = _member(f"{trigger}/databases/noise.bin", 0)
    member.size = size - 3 * tarfile.BLOCKSIZE
    found = hashlib.sha256()
    noise = hashlib.shake_256(b"restorable").digest(BLOCK - 8)

    def put(block: bytes) -> None:
        stream.write(block)
        found.update(block)

    with target.open("wb") as stream:
        put(member.tobuf(tarfile.GNU_FORMAT))
        left = member.size
        for number in range(-(-member.size // BLOCK)):
            put((number.to_bytes(8, "big") + noise)[:left])
            left -= min(left, BLOCK)
        put(bytes(size - stream.tell()))
        stream.flush()
        os.fsync(stream.fileno())
    return found.hexdigest()
