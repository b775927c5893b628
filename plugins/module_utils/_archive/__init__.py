# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Reading backup files to their last byte: what is in them, and whether it is whole. No network, nothing is unpacked.

``examine`` reads everything and reports; ``walk`` hands out the same dumps for a restore. A file may be untrusted:
memory is bounded, lengths are not believed, and names that lead elsewhere are never followed.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager

from . import _folder, _formats
from ._folder import state_of
from ._open import HEAD, Leaf, Walk, look_alike, stranger
from ._report import Limits, Member, Report
from ._stream import Ahead, Bytes, Damaged, Files, Hashing, Stream

__all__ = (
    "Bytes",
    "Damaged",
    "Examination",
    "Leaf",
    "Limits",
    "Member",
    "Opened",
    "Stream",
    "examine",
    "state_of",
    "unpack",
    "walk",
)


class Examination:
    """What ``examine`` found out. Sizes are bytes; ``sha256`` is that of all parts joined, for a folder of many files
    that of their list as sha256sum prints it."""

    def __init__(self, report, size, sha256):
        self.problems, self.contents, self.notes = report.all_problems(), report.members, report.notes
        self.inflater, self.size_bytes, self.sha256 = report.inflater, size, sha256

    @property
    def valid(self):
        return not self.problems

    @property
    def plain_bytes(self):
        """What all members are together when they are unpacked."""
        return sum(member.plain_bytes or 0 for member in self.contents)

    def to_result(self):
        return {
            "valid": self.valid,
            "problems": self.problems,
            "contents": [member.to_result() for member in self.contents],
            "size_bytes": self.size_bytes,
            "plain_bytes": self.plain_bytes,
            "sha256": self.sha256,
            "inflater": self.inflater,
            "notes": self.notes,
        }


def examine(paths, limits=None):
    """Read files to their end. ``paths`` are the parts of one file in their order, or one folder.

    Raises OSError where a file cannot be read: that says nothing of the backup.
    """
    report = Report(limits)
    reading = _Reading(report)
    size, sha256 = _each_file(paths, report, reading.read)
    reading.finish()
    return Examination(report, size, sha256)


def walk(paths, report):
    """The leaves of files, one after the other, for who restores them. Close the generator to stop."""
    parts = _folder.parts_of(paths)
    if parts is not None:
        name = _folder.joined_name(parts)
        with Files(parts) as files, Ahead(files) as ahead:
            yield from Walk(report, _formats.COLLECTIONS).leaves(name, ahead)
        return
    found, _others = _folder.files_of(paths[0])
    walker = Walk(report, _formats.COLLECTIONS)
    walker.claim(found)
    for name, path in found.items():
        with Files([path]) as files, Ahead(files) as ahead:
            yield from walker.entry_leaves(name, ahead)


class Opened(Stream):
    """The plain bytes of one member. To be closed."""

    def __init__(self, paths, name, limits=None):
        super().__init__()
        self._report = Report(limits)
        self._walk = walk(paths, self._report)
        self._leaf = next((leaf for leaf in self._walk if leaf.collection is None and leaf.stored_name == name), None)
        if self._leaf is None:
            self._walk.close()
            raise Damaged("missing_member", "there is no %s any more" % name)

    def _more(self):
        return self._leaf.stream.chunk()

    def close(self):
        self._walk.close()


def unpack(paths, collection, folder, limits=None):
    """Write the files of a dump that consists of many into a folder, below the paths they have in their container."""
    for leaf in walk(paths, Report(limits)):
        if leaf.collection != collection:
            continue
        path = os.path.join(folder, *leaf.name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            while True:
                block = leaf.stream.chunk()
                if not block:
                    break
                file.write(block)


def _each_file(paths, report, read):
    """Call ``read(leaf, path)`` for every leaf; (size of all, SHA-256 of all). ``path`` is where a leaf that is a
    whole file by itself lies."""
    walker = Walk(report, _formats.COLLECTIONS)
    parts = _folder.parts_of(paths)
    if parts is not None:
        name = _folder.joined_name(parts)
        if not _folder.in_order(parts):
            names = ", ".join(map(os.path.basename, parts))
            report.note("the parts were joined in the order given, which is not that of their names: %s" % names)
        with Files(parts) as files:
            hashing = Hashing(files)
            with Ahead(hashing) as ahead:
                for leaf in _reported(walker.leaves(name, ahead, stored=hashing), report, name):
                    whole = leaf.stored is hashing and len(parts) == 1 and not leaf.compression
                    read(leaf, parts[0] if whole else None)
                ahead.drain()
        return hashing.size, hashing.sha256
    words = _folder.foreign(paths[0])
    if words:
        report.problem("unsupported", words, os.path.basename(os.path.abspath(paths[0])))
    size, listed = 0, hashlib.sha256()
    found, others = _folder.files_of(paths[0])
    walker.claim(found)
    for name in others:
        report.note("%s is a link, a pipe or the like; it was not looked into" % name)
    for name, path in found.items():
        with Files([path]) as files:
            hashing = Hashing(files)
            with Ahead(hashing) as ahead:
                for leaf in () if words else _reported(walker.entry_leaves(name, ahead), report, name):
                    read(leaf, path if leaf.stored_name == name and not leaf.compression else None)
                ahead.drain()
        size += hashing.size
        listed.update(("%s  %s\n" % (hashing.sha256, name)).encode("utf-8", "surrogateescape"))
    return size, listed.hexdigest()


def _reported(leaves, report, name):
    try:
        yield from leaves
    except Damaged as error:
        report.damaged(error, name)


class _Reading:
    """Reads leaves by the readers of their formats."""

    def __init__(self, report):
        self._report, self._collections, self._unknown = report, {}, []
        # What was stored is known only when the walk has gone on behind it.
        self._stored = []

    def read(self, leaf, path):
        if leaf.collection is not None:
            self._read_entry(leaf)
            return
        head = leaf.stream.peek(HEAD)
        reader = _formats.reader_of(head, leaf.name)
        if not head:
            self._report.problem("empty", "%s holds no bytes" % leaf.stored_name, leaf.stored_name, 0)
        elif reader is None or stranger(head):
            self._read_unknown(leaf, head)
            return
        member = self._report.member(leaf.stored_name)
        member.compression = leaf.compression
        if head:
            member.format = reader.FORMAT
            try:
                reader.read(leaf.stream, member, self._report)
                if path is not None and hasattr(reader, "check_file"):
                    reader.check_file(path, member, self._report)
            except Damaged as error:
                self._report.damaged(error, member.name)
        self._drain(leaf.stream, member.name)
        # What is compressed inside of the format, its reader has counted.
        member.plain_bytes = max(member.plain_bytes or 0, leaf.stream.offset)
        if leaf.stored is not None:
            self._stored.append((member, leaf.stored))

    def _read_entry(self, leaf):
        key, (kind, root, _container) = leaf.collection, leaf.collection
        collection = self._collections.get(key)
        if collection is None:
            with self._members_of(key):
                collection = self._collections[key] = kind(root, self._report)
        try:
            collection.entry(leaf.name, leaf.stream)
        except Damaged as error:
            self._report.damaged(error, leaf.name)
        self._drain(leaf.stream, leaf.name)

    @contextmanager
    def _members_of(self, key):
        """What is noted in here are members of that collection."""
        before = len(self._report.members)
        yield
        for member in self._report.members[before:]:
            member.collection = key

    def _read_unknown(self, leaf, head):
        page, other = look_alike(head), stranger(head)
        self._drain(leaf.stream, leaf.stored_name)
        if page and not other:
            self._report.problem("error_page", "is %s, not a backup" % page, leaf.stored_name, 0)
        else:
            self._unknown.append((leaf.stored_name, other or "is in no format that is known here"))

    def _drain(self, stream, name):
        try:
            stream.drain()
        except Damaged as error:
            self._report.damaged(error, name)

    def finish(self):
        for member, stored in self._stored:
            member.stored_bytes, member.sha256 = stored.size, stored.sha256
        for key, collection in self._collections.items():
            with self._members_of(key):
                collection.finish()
        if self._report.members or self._report.problems:
            for name, words in self._unknown:
                self._report.note("%s %s; it was not looked into" % (name, words))
        elif self._unknown:
            for name, words in self._unknown[:10]:
                self._report.problem("unknown_format", words, name, 0)
        else:
            self._report.problem("empty", "holds no dump at all")
