# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""pg_dump's tar format (-Ft): the files of the directory format in a tar, and a script that restores them.

pg_restore does not look at the script, for the same statements are in the table of contents. Here it is asked only
whether it is text that comes to its end. ``details`` are those of the custom format.
"""

from __future__ import annotations

from . import _tar
from ._open import is_dump_as_tar
from ._stream import Damaged
from .pg_directory import PgDirectory
from .sql_postgresql import END_MARK

FORMAT = "pg_dump-tar"
_SCRIPT = "restore.sql"
_TAIL = 400  # bytes in which its end is marked


class _Files(PgDirectory):
    FORMAT = FORMAT


def matches(head, name):  # pylint: disable=unused-argument  # all readers are asked alike
    return is_dump_as_tar(head)


def read(stream, member, report):
    files, script = _Files(member.name, report, member), False
    try:
        for entry in _tar.entries(stream, report, member.name):
            if entry.name == _SCRIPT:
                script = True
                _read_script(entry.stream, report, member.name)
            elif not files.accepts(entry.name):
                report.problem("extra_member", "%s does not belong to a dump" % entry.name, member.name)
                entry.stream.drain()
            else:
                _read_entry(files, entry, member, report)
    finally:
        files.finish()
    if not script:
        report.problem("missing_member", "%s, the last file of such a dump, is not there" % _SCRIPT, member.name)


def _read_script(stream, report, name):
    tail, zeros = b"", False
    while True:
        piece = stream.chunk()
        if not piece:
            break
        zeros = zeros or b"\0" in piece
        tail = (tail + piece)[-_TAIL:]
    if zeros:
        report.problem("bad_structure", "%s holds zero bytes, which no text does" % _SCRIPT, name)
    elif END_MARK.encode() not in tail:
        report.problem("incomplete", "%s does not come to its end: %s" % (_SCRIPT, END_MARK), name)


def _read_entry(files, entry, member, report):
    start = entry.stream.offset
    try:
        files.entry(entry.name, entry.stream)
    except Damaged as error:
        report.problem(error.code, "%s: %s" % (entry.name, error.message), member.name)
    if entry.stream.offset - start < entry.size:
        entry.stream.drain()
