# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Going down through containers and compression to the dumps: one walk for those who read and for those who restore.

What the walk finds are leaves: streams that are no container themselves. A dump that consists of many files is a
*collection*: each of its files is a leaf that says which collection it belongs to.
"""

from __future__ import annotations

import posixpath
import re

from . import _compressed, _tar
from ._stream import Damaged, Hashing

# What formats may ask to see before they say that a stream is theirs.
HEAD = 4096
# Containers in containers: no tool nests deeper than a few.
_MAX_DEPTH = 8


class Leaf:
    """A stream that is to be read before the walk goes on.

    ``name`` is the path of what is in it, ``stored_name`` that of the file as it lies in its container. ``stored`` knows
    size and SHA-256 of the stored bytes once they have been read, None for what is no file of its own. ``collection`` is
    for a file of a dump of many: the class that reads such dumps, the folder of this one, and the name of the container
    that it lies in, None where it lies by itself. What is in two places belongs to two dumps.
    """

    def __init__(self, name, stream, stored_name=None, stored=None, compression=(), collection=None):
        self.name, self.stream, self.stored_name, self.stored = name, stream, stored_name or name, stored
        self.compression, self.collection = list(compression), collection


class Walk:
    """Finds the leaves of a stream, or of the files of a folder. ``collections`` are the classes that take files."""

    def __init__(self, report, collections):
        self._report, self._collections = report, collections
        self._claimed = []

    def claim(self, names):
        """Before the files of a folder: which of its folders belong to one dump, whatever is called how in them."""
        found = ((root, kind) for kind in self._collections if hasattr(kind, "roots") for root in kind.roots(names))
        self._claimed = sorted(found, key=lambda pair: -len(pair[0]))

    def leaves(self, name, stream, depth=0, stored=None, compression=(), stored_name=None):
        """The leaves of one file. What is damaged on the way is put into the report, and ends what lies inside of it.

        Raises what reading the file itself raises: Damaged for parts that end too early, OSError.
        """
        head = stream.peek(HEAD)
        kind = _compressed.kind_of(head)
        stored_name = stored_name or name
        if depth > _MAX_DEPTH:
            self._report.problem("bomb", "containers in containers, %d deep" % depth, name)
        elif kind is not None:
            plain = kind.open(stream, self._report)
            inside = self.leaves(
                kind.plain_name(name), plain, depth + 1, stored, tuple(compression) + (kind.name,), stored_name
            )
            try:
                yield from self._guarded(inside, stored_name)
            finally:
                plain.close()
        elif _tar.begins_a_tar(head) and not is_dump_as_tar(head):
            yield from self._guarded(self._tar_leaves(name, stream, depth), stored_name)
        else:
            yield Leaf(name, stream, stored_name, stored, compression)

    def entry_leaves(self, name, stream, depth=0, container=None):
        """The leaves of a file that lies in a container or a folder."""
        for root, collection in self._claimed if container is None else ():
            if not root or name.startswith(root + "/"):
                yield Leaf(name, stream, collection=(collection, root, None))
                return
        for collection in self._collections:
            if collection.accepts(name):
                yield Leaf(name, stream, collection=(collection, _root(collection, name), container))
                return
        stored = Hashing(stream)
        yield from self.leaves(name, stored, depth, stored)
        stored.drain()

    def _tar_leaves(self, name, stream, depth):
        for entry in _tar.entries(stream, self._report, name):
            yield from self._guarded(self.entry_leaves(entry.name, entry.stream, depth + 1, name), entry.name)

    def _guarded(self, leaves, name):
        """The same leaves; damage that shows between them is of the file ``name``."""
        try:
            yield from leaves
        except Damaged as error:
            self._report.damaged(error, name)


def _root(collection, name):
    root = getattr(collection, "root_of", posixpath.dirname)(name)
    return root or ""


def is_dump_as_tar(head):
    """Whether a tar is one that pg_dump has made: it begins with a table of contents that says so."""
    content = head[_tar.BLOCK : _tar.BLOCK + 11]
    return head[:8] == b"toc.dat\0" and content[:5] == b"PGDMP" and content[10:11] == b"\x03"


_STRANGERS = (
    (b"PK\x03\x04", "is a zip archive, which is not read here: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, which is not read here: unpack it first"),
    (b"Rar!\x1a\x07", "is a RAR archive, which is not read here: unpack it first"),
    (b"-----BEGIN PGP MESSAGE", "is encrypted with OpenPGP: decrypt it first"),
    (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;", "is text of SQLite's .dump, which is not read here: keep what its .backup writes"),
)
_XML_DUMP = re.compile(rb"\s*<\?xml [^>]*>\s*<mysqldump\b")


def stranger(head):
    """What is said of bytes in the format of something else, None where that is not known."""
    if _XML_DUMP.match(head):
        return "is a dump in XML, which is not read here: dump without --xml"
    return next((words for magic, words in _STRANGERS if head.startswith(magic)), None)


def look_alike(head):
    """What bytes that are no dump look like, in words, None where they look like nothing known."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if text.startswith((b"<?xml", b"<error", b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a page of text (%s...)" % text[:40].decode("utf-8", "replace").strip()
    if text.startswith((b"{", b"[")) and b'"' in text:
        return "an answer in JSON (%s...)" % text[:40].decode("utf-8", "replace").strip()
    return None
