# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tar of a backup and the parts it is cut into."""

from __future__ import annotations

import itertools
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox import archive  # noqa: E402


def test_one_part_is_called_tar_and_more_are_lettered() -> None:
    assert archive.cut(100, 100) == [("tar", 0, 100)]
    assert archive.cut(101, 50) == [("tar-aa", 0, 50), ("tar-ab", 50, 50), ("tar-ac", 100, 1)]


def test_letters_go_on_after_zz() -> None:
    assert list(itertools.islice(archive.suffixes(), 25, 27)) == ["az", "ba"]
    assert list(itertools.islice(archive.suffixes(), 675, 677)) == ["zz", "aaa"]


def test_parts_joined_are_the_gems_plain_tar(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(b"SELECT 1;\n" * 3000)
    packed = tmp_path / "packed"
    archive.pack(packed, "abc", dump, "PostgreSQL.sql", mtime=1_700_000_000)
    content = packed.read_bytes()
    parts = archive.parts_of(packed, 10_000)
    joined = b"".join(content[part.offset:part.offset + part.length] for part in parts)
    assert joined == content and len(parts) == -(-len(content) // 10_000)
    with tarfile.open(packed, "r:") as tar:
        assert tar.getnames() == ["abc", "abc/databases", "abc/databases/PostgreSQL.sql"]
        assert tar.getmember("abc/databases/PostgreSQL.sql").size == 30_000


def test_noise_is_a_readable_tar_of_exactly_that_size(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    size = (3 << 20) + 512
    assert archive.write_noise(first, "noise", size) == archive.write_noise(second, "noise", size)
    assert first.stat().st_size == size
    with tarfile.open(first, "r:") as tar:
        [member] = tar.getmembers()
        assert member.size == size - 3 * 512
