# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make intact backups by the real tools from real servers, which go on living beside them.

    python tests/damage/intact.py --home build/intact [--thorough] [--engines postgresql,redis]

makes them to be looked at. As part of the gallery, ``backups()`` does.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

if not __package__:  # run as a file: make it part of the package that it belongs to
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = Path(__file__).resolve().parent.name
    __import__(__package__)

from sandbox.mariadb import MariaDB as SandboxMariaDB  # noqa: E402

from . import intact_mariadb, intact_mongodb, intact_postgresql, intact_redis, intact_sqlite  # noqa: E402
from .servers import MariaDB, MongoDB, PostgreSQL, Redis, ServerError, may_enter, unprivileged  # noqa: E402
from .specimen import Shelf, Specimen  # noqa: E402


@contextmanager
def backups(home: Path, thorough: bool, engines: tuple[str, ...] = ()) -> Iterator[list[Specimen]]:
    """All intact backups in an empty folder, and their servers alive as long as the block lasts."""
    shelf = Shelf(home / "intact", thorough)
    shelf.home.mkdir(parents=True)
    with ExitStack() as stack:
        servers = home / "servers"
        owner = unprivileged()
        if owner and not may_enter(home, owner):
            # The user that some servers run as cannot come here (below root's home, for example).
            servers = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rbg-")))
            servers.chmod(0o755)
        for name, build in BUILDERS.items():
            if not engines or name in engines:
                build(stack, servers, shelf)
        yield shelf.specimens


def _postgresql(stack: ExitStack, servers: Path, shelf: Shelf) -> None:
    found = list(PostgreSQL.installations().items())
    # The newest, and the oldest for dumps by another version; all of them where there is time.
    for number, (version, programs) in enumerate(found if shelf.thorough else [found[0], *found[1:][-1:]]):
        server = stack.enter_context(PostgreSQL(servers / f"postgresql-{version}", programs))
        intact_postgresql.fill(server, [name for name in intact_postgresql.DATABASES
                                        if name != "big" or shelf.thorough and not number])
        intact_postgresql.build(server, shelf, newest=not number)
        if shelf.thorough or not number:
            # A copy of the whole server is as large as the server: it gets a small one.
            small = stack.enter_context(PostgreSQL(servers / f"postgresql-{version}-small", programs))
            intact_postgresql.build_base(small, shelf, newest=not number)


def _mysql(stack: ExitStack, servers: Path, shelf: Shelf) -> None:
    live = stack.enter_context(MariaDB(servers / "mariadb"))
    with MariaDB(servers / "mariadb-other") as other:
        intact_mariadb.build(live, other, shelf)
    if shelf.thorough:
        intact_mariadb.build_big(stack.enter_context(MariaDB(servers / "mariadb-big")), shelf)
    home = servers / "backupman"
    home.mkdir()
    backupman = SandboxMariaDB(home, "gallery")
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    stack.callback(backupman.stop)
    backupman.start(["shop"])
    intact_mariadb.build_backupman(backupman, shelf, live)


def _redis(stack: ExitStack, servers: Path, shelf: Shelf) -> None:
    names = ["empty", "one", "odd", "medium", *(["big"] if shelf.thorough else [])]
    found = {name: stack.enter_context(Redis(servers / f"redis-{name}")) for name in names}
    found["log"] = stack.enter_context(Redis(servers / "redis-log", append_only=True))
    intact_redis.build(found, shelf)


def _mongodb(stack: ExitStack, servers: Path, shelf: Shelf) -> None:
    intact_mongodb.build(stack.enter_context(MongoDB(servers / "mongodb")), shelf)


def _sqlite(_stack: ExitStack, servers: Path, shelf: Shelf) -> None:
    servers.mkdir(exist_ok=True)
    intact_sqlite.build(servers / "sqlite", shelf)


BUILDERS: dict[str, Callable[[ExitStack, Path, Shelf], None]] = {
    "postgresql": _postgresql, "mysql": _mysql, "redis": _redis, "mongodb": _mongodb, "sqlite": _sqlite,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="where they go; emptied before")
    parser.add_argument("--thorough", action="store_true", help="all formats, and data sets of 200 MB")
    parser.add_argument("--engines", default="", help="which, of " + ",".join(BUILDERS))
    options = parser.parse_args()
    shutil.rmtree(options.home, ignore_errors=True)
    try:
        with backups(options.home.resolve(), options.thorough, tuple(filter(None, options.engines.split(",")))) as found:
            for specimen in found:
                print(f"{specimen.name:44} {specimen.weight:12,} bytes, {len(specimen.changed)} of changed data")
    except ServerError as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
