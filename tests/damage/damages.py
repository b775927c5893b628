# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All the ways in which a backup breaks. Every damage has a name, and is the same whenever it is made.

A damage of the kind FRAMING changes what the form of the file promises, or what a checksum covers: reading the file is
enough to notice it. One of the kind CONTENT leaves a file that is whole in its form, and may need a restore and the live
database beside it. Some places of a file mean nothing; whether a damage hit one of them is judged afterwards.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .shapes import Aof, Bson, Core, PlainMysql, PlainPostgresql, Stack, Tree, Xbstream
from .specimen import Specimen

FRAMING, CONTENT = "framing", "content"
BLOCK = 4096
END_OF_FILE = 24

S3_ERROR = (b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message>'
            b"<X-Amz-Expires>300</X-Amz-Expires><Expires>2026-01-01T00:05:00Z</Expires><RequestId>0A1B2C3D4E5F</RequestId>"
            b"<HostId>aGVsbG8gd29ybGQ=</HostId></Error>")
HTML = (b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n<body><center><h1>502 Bad Gateway</h1></center>"
        b"<hr><center>nginx</center></body></html>\n")
JSON_ERROR = b'{"error":"internal_error","error_description":"Something went wrong"}\n'
MESSAGES = {
    "postgresql": (b'pg_dump: error: connection to server at "10.0.0.1", port 5432 failed: FATAL:  password authentication failed\n',
                   b'pg_dump: error: query failed: ERROR:  permission denied for table orders\n'),
    "mysql": (b"mysqldump: Got error: 1045: \"Access denied for user 'app'@'10.0.0.2' (using password: YES)\" when trying to connect\n",
              b"mysqldump: Error 2013: Lost connection to MySQL server during query when dumping table `orders` at row: 17\n"),
    "redis": (b"Could not connect to Redis at 127.0.0.1:6379: Connection refused\n",) * 2,
    "mongodb": (b"2026-01-01T00:00:00.000+0000\tFailed: error connecting to db server: no reachable servers\n",) * 2,
    "sqlite": (b"Error: unable to open database \"shop.db\": unable to open database file\n",) * 2,
}
FIRST_WARNING = b"mysqldump: [Warning] Using a password on the command line interface can be insecure.\n"


@dataclass(frozen=True)
class Damage:
    """One damage to one backup. ``write`` lays the damaged files into an empty folder."""

    name: str
    family: str
    kind: str
    write: Callable[[Path], None]
    parents: tuple[Path, ...] | None = None  # others than those of the backup


@dataclass(frozen=True)
class Density:
    """How many damages of each family."""

    cuts: int
    flips: int  # in the payload; as many again in the header and at the end
    blocks: int
    borders: int
    files: int  # of a folder


QUICK = Density(cuts=3, flips=3, blocks=1, borders=2, files=3)
THOROUGH = Density(cuts=16, flips=16, blocks=4, borders=6, files=12)
FEW = Density(cuts=1, flips=1, blocks=1, borders=1, files=2)
HEAVY = 3 << 20  # bytes


@dataclass(frozen=True)
class Change:
    """What happens to a stream of bytes."""

    name: str
    family: str
    kind: str
    apply: Callable[[], bytes]


def damages(specimen: Specimen, thorough: bool, strangers: dict[str, Path] | None = None) -> Iterator[Damage]:
    """All damages of a backup, in a fixed order; of a large one in the bounded form one of each family. ``strangers`` are
    files of other engines, by the engine's name."""
    density = THOROUGH if thorough else QUICK
    if specimen.weight > HEAVY:
        density = FEW
    found = _of_folder(specimen, density) if specimen.shape == "folder" else _of_stream(specimen, density)
    seen: set[str] = set()
    families: set[str] = set()
    for damage in [*found, *_of_content(specimen), *_strangers(specimen, strangers or {}), *_of_parents(specimen)]:
        if damage.name in seen:
            raise AssertionError(f"two damages of {specimen.name} are called {damage.name}")
        seen.add(damage.name)
        if thorough or density is not FEW or damage.parents is not None or damage.family not in families:
            families.add(damage.family)
            yield damage


def _of_content(specimen: Specimen) -> Iterator[Damage]:
    """What the same tool made of data that were not as they had to be."""
    for change, place in specimen.changed.items():
        family = change if change in ("old copy", "another database", "rows missing", "table missing") else "other content"
        yield Damage(change, family, CONTENT, lambda target, place=place: _copy(place, target))


def _strangers(specimen: Specimen, strangers: dict[str, Path]) -> Iterator[Damage]:
    """A whole dump of another engine under this one's name."""
    if specimen.shape != "file" or not specimen.deep:
        return
    name = specimen.paths()[0].name
    for engine, file in strangers.items():
        if engine != specimen.engine:
            yield Damage(f"a dump of {engine}", "another engine", CONTENT,
                         lambda target, file=file: _write(target / name, file.read_bytes()))


def _of_parents(specimen: Specimen) -> Iterator[Damage]:
    """An incremental backup without what it builds on."""
    parents = specimen.parents
    if len(parents) < 2:
        return
    for name, kept in (("the full one is missing", parents[1:]), ("one in between is missing", parents[:1]),
                       ("in the wrong order", parents[::-1]), ("none", ()), ("one twice", parents[:1] + parents)):
        yield Damage(f"parents: {name}", "parents", CONTENT, lambda target: _copy(specimen.place, target), kept)


def _copy(place: Path, target: Path) -> None:
    shutil.copytree(place, target, dirs_exist_ok=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# -- one stream -----------------------------------------------------------------------------------------------------


def _of_stream(specimen: Specimen, density: Density) -> Iterator[Damage]:
    """Damage to the file or to all parts together, at every depth that is wanted."""
    levels = specimen.stack.levels(specimen.stream())
    depths = range(len(levels)) if specimen.deep else range(1)
    for change, depth in _at_depths(specimen.name, specimen.stack, levels, depths, density):
        yield _rewrapped(specimen, change, depth)
    for change in _whole_file(specimen.engine, levels[0]):
        yield _rewrapped(specimen, change, 0)
    if specimen.shape == "parts":
        # Parts of nothing but a tar's padding are alike.
        yield from (damage for damage, content in _of_parts(specimen) if content != [
            path.read_bytes() for path in specimen.paths()])


def _rewrapped(specimen: Specimen, change: Change, depth: int) -> Damage:
    def write(target: Path) -> None:
        data = specimen.stack.rewrap(change.apply(), depth)
        sizes = [path.stat().st_size for path in specimen.paths()]
        for number, path in enumerate(specimen.paths()):
            size = sizes[number] if number < len(sizes) - 1 else len(data)
            _write(target / path.name, data[:size])
            data = data[size:]

    return Damage(change.name, change.family, change.kind, write)


def _at_depths(seed: str, stack: Stack, levels: list[bytes], depths: range, density: Density) -> Iterator[tuple[Change, int]]:
    for depth in depths:
        chance = random.Random(f"{seed} {depth}")
        inside = type(stack.core).__name__ if depth == len(levels) - 1 else type(stack.layers[depth]).__name__
        core = stack.core if depth == len(levels) - 1 else None
        for change in _raw(levels[depth], core, stack.borders(levels[depth], depth), stack.covers(levels, depth), chance,
                           density, stack.ends_once(levels, depth)):
            yield _named(change, inside if depth else ""), depth
        for change in _of_text(levels[depth], core, chance, density) if core and density is not FEW else ():
            yield _named(change, inside if depth else ""), depth


def _named(change: Change, inside: str) -> Change:
    return Change(f"{change.name} [in {inside}]" if inside else change.name, change.family, change.kind, change.apply)


def _raw(data: bytes, core: Core | None, borders: list[int], covers: Callable[[int], bool], chance: random.Random,
         density: Density, ends_once: bool) -> Iterator[Change]:
    """Damage to bytes, whatever they mean. ``ends_once`` is whether no more of the same may follow their end."""
    size = len(data)
    if not size:
        return

    def kind(*offsets: int) -> str:
        return FRAMING if all(covers(offset) for offset in offsets) else CONTENT

    # Cut: anywhere, near the end, and exactly between two units.
    ends_anywhere, formless = core is not None and core.ENDS_ANYWHERE, core is not None and core.FORMLESS
    at_borders = sorted(chance.sample(borders, min(density.borders, len(borders))))
    cuts = {chance.randrange(1, size) for _number in range(density.cuts)} if size > 1 else set()
    cuts |= {size - few for few in (1, 2, 8, 512)[:2 + 2 * (density.cuts > 3)] if few < size} | {min(9, size // 2)}
    cuts |= {border + shift for border in at_borders for shift in ((0, -1, 1) if density.cuts > 3 else (0,))}
    for cut in sorted(cut for cut in cuts if 0 < cut < size):
        where = " between two units" if cut in borders else ""
        yield Change(f"cut at {cut}{where}", "truncated", CONTENT if formless or ends_anywhere and cut in borders else FRAMING,
                     lambda cut=cut: data[:cut])
    if size > 40:
        yield Change("the first bytes are missing", "truncated", kind(0), lambda: data[16:])

    # One bit.
    spots = {"header": range(min(END_OF_FILE, size)), "end": range(max(0, size - END_OF_FILE), size), "payload": range(size)}
    for place, offsets in spots.items():
        for offset in sorted(chance.sample(offsets, min(density.flips, len(offsets)))):
            bit = chance.randrange(8)
            yield Change(f"bit {bit} of byte {offset} flipped ({place})", f"bit flipped, {place}", kind(offset),
                         lambda offset=offset, bit=bit: _flipped(data, offset, bit))

    # Blocks of zeros, and blocks in the wrong order.
    block = min(BLOCK, max(1, size // 4))
    for number in range(density.blocks):
        start = chance.randrange(0, max(1, size - block)) // 512 * 512 if size > BLOCK else chance.randrange(size - block + 1)
        if data[start:start + block].strip(b"\0"):
            yield Change(f"{block} zero bytes at {start} ({number})", "zeroed", kind(start, min(size, start + block) - 1),
                         lambda start=start: data[:start] + bytes(block) + data[start + block:])
    if size > block and data[-block:].strip(b"\0"):
        yield Change("the last block is zero", "zeroed", kind(size - block, size - 1), lambda: data[:-block] + bytes(block))
    first, second = block, size // 2 // block * block
    if second >= first + block and data[first:first + block] != data[second:second + block]:
        yield Change("two blocks swapped", "swapped", kind(first, second), lambda: (
            data[:first] + data[second:second + block] + data[first + block:second] + data[first:first + block]
            + data[second + block:]))

    # More than there ought to be.
    yield Change("concatenated twice", "twice", FRAMING if ends_once else CONTENT, lambda: data + data)
    for name, more in (("100 bytes of noise", random.Random(7).randbytes(100)), ("a zero byte", b"\0"),
                       ("512 zero bytes", bytes(512)), ("an error page", HTML)):
        yield Change(f"{name} behind the end", "trailing garbage", CONTENT if formless else FRAMING,
                     lambda more=more: data + more)
    yield Change("an error page for the second half", "error page", CONTENT if formless else FRAMING, lambda: data[:size // 2] + S3_ERROR)

    # Whole units.
    edges = [0, *borders, size]
    for border in at_borders if len(borders) > 1 else ():
        place = edges.index(border)
        start, end = edges[place], edges[place + 1]
        if end < size or isinstance(core, (Aof, Bson)):
            missed = FRAMING if core is not None and core.misses(data, start) else CONTENT
            yield Change(f"the unit at {start} missing", "unit missing", missed,
                         lambda start=start, end=end: data[:start] + data[end:])
            counted = FRAMING if core is not None and core.misses(data, start) or isinstance(core, Xbstream) else CONTENT
            yield Change(f"the unit at {start} twice", "unit twice", counted,
                         lambda start=start, end=end: data[:end] + data[start:])


def _flipped(data: bytes, offset: int, bit: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1 << bit]) + data[offset + 1:]


def _whole_file(engine: str, data: bytes) -> Iterator[Change]:
    """Something else in the place of the file."""
    for name, content in (("empty file", b""), ("the storage's error page", S3_ERROR), ("HTML in its place", HTML),
                          ("an API's error in its place", JSON_ERROR), ("spaces", b"  \n"), ("only zeros", bytes(len(data))),
                          ("a failed tool's message in its place", MESSAGES[engine][0])):
        family = "empty" if content in (b"", b"  \n") else "zeroed" if not content.strip(b"\0") else "error page"
        yield Change(name, family, FRAMING, lambda content=content: content)


def _of_parts(specimen: Specimen) -> Iterator[tuple[Damage, list[bytes]]]:
    """Parts that are missing, twice, in the wrong order, or not what they were."""
    parts = [path.read_bytes() for path in specimen.paths()]
    names = [path.name for path in specimen.paths()]

    def laid(name: str, content: list[bytes], family: str) -> tuple[Damage, list[bytes]]:
        return Damage(name, family, FRAMING, lambda target: [
            _write(target / label, piece) for label, piece in zip(more_names, content)]), content

    # A part that is there twice moves those behind it.
    more_names = [*names, names[-1][:-1] + chr(ord(names[-1][-1]) + 1)]

    for number, which in ((0, "first"), (1, "second"), (len(parts) - 1, "last")):
        yield laid(f"the {which} part missing", parts[:number] + parts[number + 1:], "parts missing")
    yield laid("the second part twice", parts[:2] + parts[1:], "parts twice")
    yield laid("the second part in place of the third", [*parts[:2], parts[1], *parts[3:]], "parts twice")
    yield laid("two parts swapped", [parts[1], parts[0], *parts[2:]], "parts swapped")
    yield laid("the last two parts swapped", [*parts[:-2], parts[-1], parts[-2]], "parts swapped")
    yield laid("a part cut", [parts[0], parts[1][:-100], *parts[2:]], "truncated")
    yield laid("a part empty", [parts[0], b"", *parts[2:]], "empty")
    yield laid("a part of zeros", [parts[0], bytes(len(parts[1])), *parts[2:]], "zeroed")
    yield laid("an error page for a part", [parts[0], S3_ERROR, *parts[2:]], "error page")
    yield laid("an error page for the last part", [*parts[:-1], S3_ERROR], "error page")
    other = next((place for change, place in specimen.changed.items() if change == "old copy"), None)
    if other:
        older = [path.read_bytes() for path in sorted(other.iterdir())]
        yield laid("a part of an older backup", [parts[0], older[1], *parts[2:]], "parts of another backup")
        yield laid("the last part of an older backup", [*parts[:-1], older[-1]], "parts of another backup")


# -- text of SQL ----------------------------------------------------------------------------------------------------


def _of_text(data: bytes, core: Core, chance: random.Random, density: Density) -> Iterator[Change]:
    if isinstance(core, PlainPostgresql):
        yield from _of_postgresql(data, core)
        yield from _of_any_sql(data, "postgresql", chance, density)
    elif isinstance(core, PlainMysql):
        yield from _of_mysql(data, core)
        yield from _of_any_sql(data, "mysql", chance, density)


def _without(data: bytes, start: int, end: int, instead: bytes = b"") -> bytes:
    return data[:start] + instead + data[end:]


def _of_any_sql(data: bytes, engine: str, chance: random.Random, density: Density) -> Iterator[Change]:
    text = data.decode("utf-8", "surrogateescape")
    if not text.isascii() and text.encode("utf-8", "replace") == data:
        yield Change("in another encoding than declared", "wrong encoding", CONTENT, lambda: text.encode("latin-1", "replace"))
        yield Change("encoded twice", "wrong encoding", CONTENT, lambda: data.decode("latin-1").encode())
    yield Change("in UTF-16", "wrong encoding", FRAMING, lambda: data.decode("latin-1").encode("utf-16"))
    message = MESSAGES[engine][1]
    yield Change("a failed tool's message at the end of what there is", "tool's message", FRAMING,
                 lambda: data[:data.rfind(b";\n", 0, len(data) // 2) + 2] + message)
    middle = max(data.find(b";\n\n", len(data) // 3), data.find(b";\n\n"))
    if middle > 0:
        yield Change("a failed tool's message between two statements", "tool's message", CONTENT,
                     lambda: _without(data, middle + 3, middle + 3, message))
    yield Change("a tool's warning before the first line", "tool's message", CONTENT,
                 lambda: (FIRST_WARNING if engine == "mysql" else message) + data)
    # A bit of a statement: no row shows it.
    spots = [match.span() for match in re.finditer(rb"^(?:CREATE|ALTER|COMMENT|  )[^\n]{8,}\n", data, re.M)]
    for start, end in chance.sample(spots, min(density.flips, len(spots))):
        offset, bit = chance.randrange(start, end - 1), chance.randrange(7)
        yield Change(f"bit {bit} of byte {offset} flipped (statement)", "bit flipped, statement", CONTENT,
                     lambda offset=offset, bit=bit: _flipped(data, offset, bit))


def _of_postgresql(data: bytes, core: PlainPostgresql) -> Iterator[Change]:
    end = data.rfind(b"--\n-- PostgreSQL database dump complete")
    if end > 0:
        yield Change("the mark of the end missing", "end missing", FRAMING,
                     lambda: _without(data, end, data.index(b"--\n", end + 3) + 3))
    encoding = re.search(rb"SET client_encoding = '(\w+)'", data)
    if encoding and not data.isascii():
        other = b"LATIN1" if encoding[1] == b"UTF8" else b"LATIN2"
        # Everywhere: what makes the database says so too.
        yield Change("another encoding declared", "wrong encoding", CONTENT, lambda: data.replace(
            encoding[0], encoding[0].replace(encoding[1], other)))
    blocks = [match for match in core.COPY.finditer(data) if match["rows"].count(b"\n") > 2]
    if not blocks:
        return
    block = max(blocks, key=lambda match: match["rows"].count(b"\n"))
    yield Change("the end of a COPY block missing", "open COPY", FRAMING, lambda: _without(data, block.end() - 3, block.end()))
    yield from _of_rows(data, block.span("rows"), b"\n", b"\t")
    if len(blocks) > 2:
        yield Change("from the middle of a table's rows to the middle of another's missing", "rows missing", CONTENT,
                     lambda: _without(data, _line(data, blocks[0]), _line(data, blocks[-1])))
    yield Change("a table's rows missing altogether", "rows missing", CONTENT, lambda: _without(data, *block.span()))
    table = re.escape(block["table"].split(b" (")[0])
    created = re.search(rb"^CREATE (?:UNLOGGED )?TABLE " + table + rb" \(.*?^\);\n", data, re.M | re.S)
    if created:
        yield Change("a table missing from the text", "table missing", CONTENT,
                     lambda: _without(_without(data, *block.span()), *created.span()))
    with_backslashes = [match for match in blocks if b"\\\\" in match["rows"]]
    if with_backslashes:
        yield Change("backslashes of the text not escaped", "backslashes", CONTENT, lambda: _without(
            data, *with_backslashes[0].span("rows"), with_backslashes[0]["rows"].replace(b"\\\\", b"\\")))


def _line(data: bytes, match: re.Match[bytes]) -> int:
    """The start of a line in the middle of the block."""
    start, end = match.span("rows")
    return data.rfind(b"\n", start, (start + end) // 2 + 1) + 1 or start


def _of_mysql(data: bytes, core: PlainMysql) -> Iterator[Change]:
    end = data.rfind(b"-- Dump completed")
    if end > 0:
        yield Change("the mark of the end missing", "end missing", FRAMING, lambda: data[:end])
    names = re.search(rb"SET NAMES (\w+)", data)
    if names and not data.isascii():
        yield Change("another encoding declared", "wrong encoding", CONTENT, lambda: _without(data, *names.span(1), b"latin1"))
    blocks = [match for match in core.INSERT.finditer(data) if match["rows"].count(b"),\n(") > 2]
    if blocks:
        block = max(blocks, key=lambda match: match["rows"].count(b"),\n("))
        start, stop = block.span("rows")
        yield Change("a statement without its end", "open statement", CONTENT,
                     lambda: _without(data, block.end() - 1, block.end()))
        yield from _of_rows(data, (start, stop + 1), b",\n", b",")
        yield Change("from the middle of a table's rows to the middle of another's missing", "rows missing", CONTENT,
                     lambda: _without(data, data.rfind(b"\n", 0, blocks[0].end() - 3), data.rfind(b"\n", 0, blocks[-1].end() - 3)))
        yield Change("a table's rows missing altogether", "rows missing", CONTENT, lambda: _without(data, *block.span()))
        created = re.search(rb"^CREATE TABLE `" + re.escape(block["table"]) + rb"` \(.*?;\n", data, re.M | re.S)
        if created:
            yield Change("a table missing from the text", "table missing", CONTENT,
                         lambda: _without(_without(data, *block.span()), *created.span()))
    # Only where what follows is a letter: a quote that is escaped no more is another damage.
    if re.search(rb"\\\\(?=[a-z])", data):
        yield Change("backslashes of the text not escaped", "backslashes", CONTENT, lambda: re.sub(rb"\\\\(?=[a-z])", rb"\\", data))
    if b"\\\\'" in data:
        yield Change("a backslash at the end of a value not escaped", "backslashes", CONTENT,
                     lambda: data.replace(b"\\\\'", b"\\'", 1))


def _of_rows(data: bytes, span: tuple[int, int], end: bytes, comma: bytes) -> Iterator[Change]:
    """Rows that are missing, twice or short. The first row counts as one in the middle: only the last ends otherwise."""
    rows = data[slice(*span)].split(end)
    place = len(rows) // 2

    def put(changed: list[bytes]) -> bytes:
        return _without(data, *span, end.join(changed))

    short = rows[place].rpartition(comma)[0] + (b")" if rows[place].endswith(b")") else b"")
    digits = re.search(rb"[1-9]", rows[place])
    yield Change("a row missing from the text", "rows missing", CONTENT, lambda: put(rows[:place] + rows[place + 1:]))
    yield Change("a hundred rows missing from the text", "rows missing", CONTENT, lambda: put(rows[:1] + rows[min(101, place):]))
    yield Change("a row twice in the text", "row twice", CONTENT, lambda: put(rows[:place] + [rows[place]] + rows[place:]))
    yield Change("a row with a column less", "row short", CONTENT, lambda: put([*rows[:place], short, *rows[place + 1:]]))
    yield Change("a row cut in its middle", "row short", CONTENT, lambda: put(
        [*rows[:place], rows[place][:len(rows[place]) // 2], *rows[place + 1:]]))
    if digits:
        other = b"9" if digits[0] != b"9" else b"8"
        yield Change("a digit changed", "other content", CONTENT, lambda: put(
            [*rows[:place], _without(rows[place], *digits.span(), other), *rows[place + 1:]]))


# -- a folder of files ----------------------------------------------------------------------------------------------


def _of_folder(specimen: Specimen, density: Density) -> Iterator[Damage]:
    tree = specimen.tree()
    names = [name for name in tree if not name.endswith("/")]
    chance = random.Random(specimen.name)
    for change in (*_files_missing(specimen, tree, names, chance, density), *_files_exchanged(specimen, tree, names, chance)):
        yield Damage(change.name, change.family, change.kind,
                     lambda target, change=change: specimen.lay(target, change.apply()))
    for name in _chosen(names, chance, density.files):
        stack = specimen.member(name)
        try:
            levels = stack.levels(tree[name])
        except Exception as reason:
            raise AssertionError(f"{specimen.name}: {name} is not what it ought to be: {reason}") from None
        # There are many files, and what is in them is damaged more densely where it is a backup by itself.
        few = FEW if density is QUICK else QUICK
        for change, depth in _at_depths(f"{specimen.name} {name}", stack, levels, range(len(levels)), few):
            yield Damage(f"{name}: {change.name}", change.family, change.kind,
                         lambda target, name=name, change=change, depth=depth, stack=stack: specimen.lay(
                             target, {**tree, name: stack.rewrap(change.apply(), depth)}))


@dataclass(frozen=True)
class TreeChange:
    name: str
    family: str
    kind: str
    apply: Callable[[], Tree]


def _chosen(names: list[str], chance: random.Random, count: int) -> list[str]:
    """Files of every ending first: the table of contents is one among many."""
    endings = {re.sub(r"^[^.]*", "", Path(name).name): name for name in names}
    rest = [name for name in names if name not in endings.values()]
    return sorted([*endings.values(), *chance.sample(rest, min(len(rest), max(0, count - len(endings))))])


def _files_missing(specimen: Specimen, tree: Tree, names: list[str], chance: random.Random,
                   density: Density) -> Iterator[TreeChange]:
    for name in _chosen(names, chance, density.files):
        # What a collection is beside its documents: a dump without it restores, with other indexes. A log of writes may
        # lie in an archive of its own.
        kind = CONTENT if ".metadata.json" in name or name.startswith("pg_wal.tar") else FRAMING
        less = {other: content for other, content in tree.items() if other != name}
        yield TreeChange(f"{name} missing", "file missing", kind, lambda less=less: less)
        stack = specimen.member(name)
        formless = stack.core.FORMLESS and not stack.layers
        # A log to which nothing was written yet is empty, and so is a collection without documents.
        yield TreeChange(f"{name} empty", "empty", CONTENT if formless or name.endswith((".aof", ".bson")) else kind,
                         lambda name=name: {**tree, name: b""})
        yield TreeChange(f"{name} under another name", "file renamed", kind,
                         lambda less=less, name=name: {**less, f"{name}.part": tree[name]})
        yield TreeChange(f"the error page for {name}", "error page", CONTENT if formless else kind, lambda name=name: {**tree, name: S3_ERROR})
    yield TreeChange("no files at all", "empty", FRAMING, lambda: {"nothing/": b""})
    if specimen.engine == "mongodb":
        # Both files of a collection: nothing in the folder tells that it was there.
        base = [name for name in names if ".bson" in name][0].split(".bson")[0]
        yield TreeChange(f"{base} missing altogether", "table missing", CONTENT, lambda: {
            name: content for name, content in tree.items() if not name.startswith(base + ".")})


def _files_exchanged(specimen: Specimen, tree: Tree, names: list[str], chance: random.Random) -> Iterator[TreeChange]:
    manifest = any("manifest" in name for name in names)
    kind = FRAMING if manifest else CONTENT
    alike = [name for name in names if re.search(r"\.(dat|bson)\b|\.tar\b", name) and tree[name]]
    pairs = [(one, two) for one in alike for two in alike if one < two and tree[one] != tree[two]]
    for one, two in chance.sample(pairs, min(3, len(pairs))):
        yield TreeChange(f"{one} and {two} exchanged", "swapped", kind,
                         lambda one=one, two=two: {**tree, one: tree[two], two: tree[one]})
        yield TreeChange(f"{one} in the place of {two}", "twice", kind, lambda one=one, two=two: {**tree, two: tree[one]})
