# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure the collection against the usual ways, on this machine, and say which of the design's goals are met.

Run by `make bench`. A goal that is missed is reported and fails nothing; a contestant that does the wrong thing fails
all. docs/benchmarks.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import machine  # noqa: E402
import tree  # noqa: E402
from bench import Controller, Options  # noqa: E402
from measure import Wrong  # noqa: E402

ROWS = {"hosts": "row_per_host", "sources": "row_many_sources", "pages": "row_pages", "fetch": "row_fetch",
        "verify": "row_verify", "drill": "row_drill"}
PLACE = machine.BUILD / "bench"
RESULT = machine.BUILD / "bench.json"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test: small, once; its numbers mean nothing")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"which to measure, of {','.join(ROWS)}")
    parser.add_argument("--runs", type=int, default=5, help="runs of quick contestants (default 5); slow ones run less")
    parser.add_argument("--gib", type=float, default=1, help="size of the backup that is fetched (default 1)")
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    if set(options.rows) - set(ROWS):
        parser.error(f"--rows: there are {', '.join(ROWS)}")
    return options


def missing_programs() -> str | None:
    for program, package in (("curl", "curl"), ("sha256sum", "coreutils")):
        if shutil.which(program) is None:
            return f"{program} is missing. On Debian and Ubuntu:   apt-get install {package}"
    return None


def about_this_machine() -> dict[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in ("ansible-core", "requests", "urllib3")}
    return {"processors": len(os.sched_getaffinity(0)), "python": platform.python_version(), **versions,
            "load_before": round(os.getloadavg()[0], 1)}


def main() -> int:
    options = parsed()
    problem = missing_programs() if "fetch" in options.rows else None
    if problem:
        print(problem, file=sys.stderr)
        return 1
    tree.make_tree()
    # As with any Ansible of a user: bytecode is kept, settings and proxies of this shell are not looked at.
    environment = machine.test_environment({})
    environment = {name: value for name, value in environment.items() if not name.lower().endswith("_proxy")}
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    sys.path.insert(0, str(tree.TREE))
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    controller = Controller(PLACE, environment, tree.TREE)
    size = 32 << 20 if options.quick else int(options.gib * (1 << 30))
    how_much = Options(options.quick, options.runs, size)

    about = about_this_machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    if about["load_before"] > about["processors"] / 2:
        print("This machine is busy with something else: expect numbers that jump.", flush=True)
    started, rows = time.monotonic(), []
    try:
        for name in options.rows:
            row = importlib.import_module(ROWS[name]).measure(controller, how_much)
            rows.append(row)
            print(f"{chr(13) if sys.stderr.isatty() else ''}\n{row.as_text(judged=not options.quick)}", flush=True)
    except Wrong as reason:
        print(f"\nThe benchmark is void: {reason}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)

    took = time.monotonic() - started
    goals = [goal for row in rows for goal in row.goals]
    report = {"machine": about, "quick": options.quick, "took_seconds": round(took, 1),
              "rows": {name: row.as_dict() for name, row in zip(options.rows, rows)}}
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    met = sum(goal.met for goal in goals)
    verdict = "A smoke test: its numbers mean nothing" if options.quick else f"{met} of {len(goals)} goals met"
    print(f"\n{verdict}. It took {took:.0f} s; all numbers are in {RESULT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
