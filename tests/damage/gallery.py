# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show every intact backup and every damage to the collection, and say what it noticed.

    make gallery                                        everything, more than an hour
    python tests/damage/gallery.py --quick              a choice, about 6 minutes; `make test` has a part of that
    python tests/damage/gallery.py --only redis --list  also each damage by its name

Each file is read by backup_file_verify. Damage that it does not notice is restored by backup_drill, which compares with
the live database by checksums; so is every intact backup. Those of one database are restored beside the live one. Damage
that nothing notices is either harmless, which the tools of the engine have to say and not the collection, or missed. It
ends with 0 if none is missed, if reading alone noticed all damage to framing and checksums, and if no intact backup was
accused. Everything is in build/gallery.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: make it part of the package that it belongs to
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = Path(__file__).resolve().parent.name
    __import__(__package__)

from .damages import FRAMING, Damage, damages  # noqa: E402
from .intact import BUILDERS, backups  # noqa: E402
from .servers import ServerError  # noqa: E402
from .shapes import Broken, read_folder, what_a_server_reads  # noqa: E402
from .specimen import Specimen  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build/gallery.json"
# A hang must not look like work.
ITEM_SECONDS = 600
SHARES = 4
# Trouble of this host says nothing of the backup.
OF_THE_HOST = ("no_engine", "no_space", "start_failed", "bad_option", "unreadable")

VERIFY, DRILL, HARMLESS, NEITHER, BROKEN, OPEN = "verify", "drill", "harmless", "neither", "broken", "open"


class Hung(Exception):
    """It did not come to an end."""


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """Raise Hung when the block takes longer. Only in a main thread."""
    def ring(_number: int, _frame: object) -> None:
        raise Hung(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# -- the collection, asked --------------------------------------------------------------------------------------------


def verify(paths: list[Path]) -> list[str]:
    """The codes of what backup_file_verify finds wrong."""
    from ansible_collections.restorable.backups.plugins.module_utils import _archive

    found = _archive.examine([str(path) for path in paths])
    return [problem["code"] for problem in found.problems]


def drill(specimen: Specimen, paths: list[Path], parents: tuple[Path, ...], engine: str,
          beside: dict[str, Any] | None) -> tuple[list[str], str]:
    """(codes of what backup_drill finds wrong, the first messages). Raises BackupError where the host is to blame.

    It restores into a server of its own, or into a new database of the server that ``beside`` logs in to.
    """
    from ansible_collections.restorable.backups.plugins.module_utils._errors import BackupError
    from ansible_collections.restorable.backups.plugins.module_utils._operations import drill as operation

    params = {name: option.get("default") for name, option in operation.SPEC["argument_spec"].items()}
    params.update(path=[str(path) for path in paths], parents=[str(path) for path in parents], fail_on_violation=False,
                  engine=engine, timeout=ITEM_SECONDS // 2, **logins_of(beside or {}))
    if specimen.live is not None:
        compare = {name: option.get("default")
                   for name, option in operation.SPEC["argument_spec"]["compare"]["options"].items()}
        login = {name: value for name, value in specimen.live.items() if name != "database"}
        params["compare"] = {**compare, "mode": specimen.compare, "database": specimen.live["database"], **logins_of(login)}
    try:
        result = operation.run(params, warn=lambda _text: None)
    except BackupError as reason:
        if reason.code in OF_THE_HOST and reason.details.get("option") not in ("engine", "parents"):
            raise
        return [reason.code], str(reason)
    return [one["code"] for one in result["violations"]], "; ".join(one["message"] for one in result["violations"][:2])


def logins_of(login: dict[str, Any]) -> dict[str, Any]:
    return {f"login_{name}": value for name, value in login.items()}


# -- one backup after the other ---------------------------------------------------------------------------------------

_specimens: list[Specimen] = []
_strangers: dict[str, Path] = {}
_thorough = False
_restores = True
_each = 1
_stopped = get_context("fork").Event()


def work(number: int, share: int, shares: int) -> list[dict[str, Any]]:
    """What happens to one backup: the first share begins with the intact one, all take turns with the damages."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that we work for says when to stop
    specimen = _specimens[number]
    found = [shown(specimen, None)] if share == 0 else []
    for place, damage in enumerate(chosen(specimen)):
        if place % shares == share and not _stopped.is_set():
            found.append(shown(specimen, damage))
    return found


def chosen(specimen: Specimen) -> Iterator[Damage]:
    """All damages, or all that reading alone notices and each sixth, say, of the others: restoring takes its time."""
    turn = zlib.crc32(specimen.name.encode())  # so that it is not the same kind of damage of every backup
    for damage in damages(specimen, _thorough, _strangers):
        turn += damage.kind != FRAMING
        if damage.kind == FRAMING or turn % _each == 0:
            yield damage


def shown(specimen: Specimen, damage: Damage | None) -> dict[str, Any]:
    """Show one file to the collection; the record of what it said."""
    record: dict[str, Any] = {
        "backup": specimen.name, "engine": specimen.engine, "format": specimen.format,
        "damage": damage.name if damage else None, "family": damage.family if damage else None,
        "kind": damage.kind if damage else None, "made": damage is not None and damage.name in specimen.changed,
        "verify": None, "drill": None, "message": None}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rbg-") as folder:
        try:
            with patience(ITEM_SECONDS):
                _judge(specimen, damage, Path(folder, "damaged"), record)
        except Exception as reason:  # the collection may only report, never fall over
            record["outcome"] = BROKEN
            record["message"] = f"{type(reason).__name__}: {reason}"
            record["trace"] = traceback.format_exc()[-3000:]
    record["seconds"] = round(time.monotonic() - started, 2)
    return record


def _judge(specimen: Specimen, damage: Damage | None, place: Path, record: dict[str, Any]) -> None:
    parents = specimen.parents
    if damage is None:
        place = specimen.place
    else:
        place.mkdir(mode=0o755)
        damage.write(place)
        parents = parents if damage.parents is None else damage.parents
    paths = specimen.paths(place)
    record["verify"] = verify(paths)
    if record["verify"]:
        record["outcome"] = VERIFY
        return
    if damage is not None and damage.parents is None and harmless(specimen, place):
        record["outcome"] = HARMLESS
        return
    if damage is None and not (specimen.drilled or _thorough):
        record["outcome"] = NEITHER
        return
    if not _restores:
        record["outcome"] = OPEN if damage else NEITHER
        return
    # What is intact goes to a server of its own. For each of many damages that would take long.
    engine, beside = (specimen.engine, specimen.beside) if damage else ("auto", None)
    record["drill"], record["message"] = drill(specimen, paths, parents, engine, beside)
    record["outcome"] = DRILL if record["drill"] else NEITHER
    if damage is not None and record["outcome"] == NEITHER and restores_to_the_same(specimen, paths):
        record["outcome"] = HARMLESS


def harmless(specimen: Specimen, place: Path) -> bool:
    """Whether the damaged files say the same as the intact ones, by the judgement of other programs."""
    paths = specimen.paths(place)
    if specimen.shape != "folder":
        return specimen.stack.same(specimen.stream(), b"".join(path.read_bytes() for path in paths))
    mine, theirs = specimen.tree(), read_folder(paths[0])
    if "backup_manifest" in mine and "backup_manifest" not in theirs:
        # PostgreSQL makes base backups without one as well: it holds no data.
        theirs = {**theirs, "backup_manifest": mine["backup_manifest"]}
        theirs.pop("backup_manifest.part", None)
    manifest = mine.get("backup_manifest")
    if manifest and what_a_server_reads(mine, manifest) == what_a_server_reads(theirs, manifest):
        return True
    return mine.keys() == theirs.keys() and all(
        mine[name] == theirs[name] or specimen.member(name).same(mine[name], theirs[name]) for name in mine)


def restores_to_the_same(specimen: Specimen, paths: list[Path]) -> bool:
    """Whether the engine's own tools make the same database of it: bits of statements may mean nothing."""
    if specimen.shape == "folder":
        return specimen.judge_folder is not None and specimen.judge_folder(paths[0])
    if specimen.judge is None or specimen.stack is None:
        return False
    try:
        content = specimen.stack.levels(b"".join(path.read_bytes() for path in paths))[-1]
        return specimen.judge(content)
    except (Broken, tarfile.TarError):
        return False


# -- all of them ------------------------------------------------------------------------------------------------------


def run(home: Path, thorough: bool, only: tuple[str, ...], jobs: int, tell: Any, restores: bool = True,
        each: int = 1) -> list[dict[str, Any]]:
    """Make the backups and show all of them; the records. Raises ServerError."""
    global _specimens, _strangers, _thorough, _restores, _each
    _thorough, _restores, _each = thorough, restores, each
    engines = tuple({word.split("/")[0] for word in only})
    started = time.monotonic()
    with backups(home, thorough, engines) as found:
        tell(f"{len(found)} intact backups made in {time.monotonic() - started:.0f} s")
        _strangers = {specimen.engine: specimen.paths()[0] for specimen in reversed(found) if specimen.shape == "file"
                      and specimen.data == "one"}
        _specimens = [specimen for specimen in found if not only or specimen.name.startswith(only)]
        return _shown_all(jobs, tell)


@contextmanager
def only_what_is_begun(pool: ProcessPoolExecutor) -> Iterator[None]:
    """Told to stop, do not work off the rest of the list."""
    _stopped.clear()
    try:
        yield
    except BaseException:
        _stopped.set()
        pool.shutdown(cancel_futures=True)
        raise


def _shown_all(jobs: int, tell: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    # The heaviest first, so that no processor is left alone with one of them in the end.
    order = sorted(range(len(_specimens)), key=lambda number: -_specimens[number].weight)
    # Forked: each worker has the list, and its main thread the signals.
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool, only_what_is_begun(pool):
        waiting = {pool.submit(work, number, share, SHARES): number for number in order for share in range(SHARES)}
        left = Counter(waiting.values())
        for done in as_completed(waiting):
            number = waiting[done]
            records += done.result()
            left[number] -= 1
            if not left[number]:
                about = [one for one in records if one["backup"] == _specimens[number].name]
                counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(
                    one["outcome"] for one in about).items()))
                tell("\n".join([f"{_specimens[number].name}: {counts} ({sum(one['seconds'] for one in about):.0f} s)",
                                *(f"    {line}" for line in failures(about))]))
    return records


def failures(records: list[dict[str, Any]]) -> list[str]:
    """Why the gallery does not hold, one line each."""
    found = []
    for one in records:
        name = f"{one['backup']}: {one['damage'] or 'intact'}"
        if one["outcome"] == BROKEN:
            found.append(f"BROKEN    {name}: {one['message']}")
        elif one["damage"] is None:
            if one["outcome"] != NEITHER:
                found.append(f"ACCUSED   {name}: {one['outcome']}: {one['verify'] or one['drill']} {one['message'] or ''}")
        elif one["outcome"] == NEITHER:
            found.append(f"MISSED    {name}")
        elif one["outcome"] == HARMLESS and one["made"]:
            found.append(f"NO DAMAGE {name}: the tool made the same of changed data")
        elif one["outcome"] in (DRILL, OPEN) and one["kind"] == FRAMING:
            found.append(f"TOO LATE  {name}: reading did not notice: {one['drill'] or 'not drilled'}")
    return sorted(found)


def table(records: list[dict[str, Any]]) -> str:
    """Counts by engine and format."""
    columns = ("intact", "accused", "drilled", "damages", "verify", "drill", "harmless", "neither", "open", "too late", "broken")
    rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in records:
        for row in (rows[one["engine"], one["format"]], rows["", "together"]):
            if one["damage"] is None:
                row.update(intact=1, drilled=one["drill"] is not None, accused=one["outcome"] not in (NEITHER, BROKEN))
            else:
                row.update({"damages": 1, one["outcome"]: one["outcome"] != BROKEN,
                            "too late": one["outcome"] in (DRILL, OPEN) and one["kind"] == FRAMING})
            row["broken"] += one["outcome"] == BROKEN
    lines = [f"{'engine':12}{'format':26}" + "".join(f"{name:>9}" for name in columns)]
    for engine, form in sorted(rows, key=lambda key: (not key[0], key)):
        lines.append(f"{engine:12}{form:26}" + "".join(f"{rows[engine, form][name] or '.':>9}" for name in columns))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a choice that takes a few minutes")
    parser.add_argument("--only", default="", help="beginnings of names, such as mysql or postgresql/odd/custom")
    parser.add_argument("--reading", action="store_true", help="restore nothing: only what verify notices")
    parser.add_argument("--list", action="store_true", help="also print what became of each damage")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="how many at once")
    options = parser.parse_args()
    only = tuple(filter(None, options.only.split(",")))
    for word in only:
        if word.split("/")[0] not in BUILDERS:
            parser.error(f"--only: names begin with one of {', '.join(BUILDERS)}")
    find_collection()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_about: sys.exit("stopped"))
    started = time.monotonic()
    REPORT.parent.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="gallery-", dir=REPORT.parent) as folder:
            home = Path(folder)
            home.chmod(0o755)
            records = run(home, not options.quick, only, options.jobs, lambda text: print(text, flush=True),
                          restores=not options.reading)
    except ServerError as reason:
        print(reason, file=sys.stderr)
        return 1
    report(records, time.monotonic() - started, not options.quick)
    if options.list:
        for one in sorted(records, key=lambda one: (one["backup"], one["damage"] or "")):
            print(f"{one['outcome']:9}{one['backup']}: {one['damage'] or 'intact'} ({one['kind']}) "
                  f"{one['verify'] or one['drill'] or ''}")
    print(f"\n{table(records)}\n")
    wrong = failures(records)
    for line in wrong:
        print(line)
    damaged = sum(one["damage"] is not None for one in records)
    print(f"\n{damaged} damages and {len(records) - damaged} intact backups in {time.monotonic() - started:.0f} s: "
          f"{len(wrong)} that must not be")
    return 1 if wrong else 0


def report(records: list[dict[str, Any]], seconds: float, thorough: bool) -> None:
    REPORT.write_text(json.dumps({"thorough": thorough, "seconds": round(seconds, 1), "failures": failures(records),
                                  "records": records}, indent=1) + "\n", encoding="utf-8")


def find_collection() -> None:
    """Have the collection of this checkout importable by its name."""
    sys.path.append(str(ROOT / "tests/tools"))
    import tree

    tree.make_tree()
    sys.path.insert(0, str(tree.TREE))


if __name__ == "__main__":
    sys.exit(main())
