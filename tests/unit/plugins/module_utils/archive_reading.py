# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How tests read a backup that is one stream, and how they damage it."""

from __future__ import annotations

from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged


def look(reader, content, limits=None, pieces=None):
    """(member, problems): what a reader finds; damage that ends the reading is one of the problems."""
    report = Report(limits)
    member = report.member("backup")
    stream = Bytes(content, pieces)
    try:
        reader.read(stream, member, report)
    except Damaged as error:
        report.damaged(error, member.name)
    else:
        assert stream.at_end() and stream.offset == len(content)
    return member, report.problems


def codes(reader, content, **options):
    return [problem["code"] for problem in look(reader, content, **options)[1]]


def pieces_of(content, size):
    return [content[at : at + size] for at in range(0, len(content), size)]


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
