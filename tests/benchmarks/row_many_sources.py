# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many sources judged in one task, by a service that takes its time for each answer."""

from __future__ import annotations

import json
import sys

from bench import Controller, Goal, Options, Row, expect, uri
from measure import Cost, median, rounds, serving

LATENCY = 0.1


def measure(controller: Controller, options: Options) -> Row:
    count, sample = options.many(1000, 50), options.many(20, 3)
    stale = [f"stale{n}" for n in range(10)]
    sources = [f"shop{n:04d}" for n in range(count - len(stale))] + stale
    inventory = controller.write("one.ini", "[all]\nlocalhost ansible_connection=local "
                                            f"ansible_python_interpreter={sys.executable}\n")
    policy = {"sources": "{{ sources }}", "max_age": "26h", "fail_on_violation": False}
    check = {"restorable.backups.backup_check": policy, "vars": {"sources": sources}, "register": "judged"}
    judged = controller.place / "judged.json"
    keep = {"ansible.builtin.copy": {"content": "{{ judged | to_json }}", "dest": str(judged), "mode": "0600"}}

    with serving(latency=LATENCY) as server:
        loop = {**uri(server.url + "/api/3/stacks/{{ item }}/backups"), "loop": sources[:sample]}

        def run(name: str, wanted: list[str], *tasks: dict) -> Cost:
            outcome = controller.run(controller.play(name, *tasks), inventory, server.url, 1, len(tasks))
            expect(server.calls() == dict.fromkeys(wanted, 1), f"{name} asks once for each of {len(wanted)} sources")
            return outcome.cost

        run("check_and_keep", sources, check, keep)
        verdict = json.loads(judged.read_text())
        accused = sorted((violation["source"], violation["code"]) for violation in verdict["violations"])
        expect(accused == sorted((source, "stale") for source in stale), "the stale sources are found, and no other")
        expect([one["source"] for one in verdict["sources"]] == sources, "every source is judged, in the order given")

        contestants = {"empty": lambda: run("empty", []), "check": lambda: run("check_many", sources, check),
                       "uri": lambda: run("uri_loop", sources[:sample], loop)}
        runs = dict.fromkeys(contestants, options.many(3, 1))
        medians = {name: median(costs) for name, costs in rounds(contestants, runs).items()}

    ours = medians["check"] - medians["empty"]
    each = (medians["uri"] - medians["empty"]) / sample
    names = {"check": "backup_check, one task for all", "uri": f"uri, one source of a loop of {sample}"}
    return Row(
        f"{count} sources, an answer takes {LATENCY * 1000:.0f} ms; an empty play subtracted",
        {names["check"]: ours, names["uri"]: each},
        {names[key]: runs[key] for key in names},
        [Goal("backup_check", ours.wall, 5, unit=" s")],
        [f"uri in a loop would take {each.wall * count:.0f} s for all, to judge by {sample}: "
         f"{each.wall * count / ours.wall:.0f}x of backup_check",
         f"One call per source. All {len(stale)} stale sources were found, and no other was accused"],
    )
