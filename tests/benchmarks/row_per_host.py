# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task that asks the API costs for each of many hosts."""

from __future__ import annotations

import functools
from pathlib import Path

import certifi
import trustme
from bench import TOKEN, Controller, Goal, Options, Row, expect, uri
from measure import Cost, Server, median, rounds, serving

# All of them say something about the host they run for, as a task in real life does.
DEBUG = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }}"}}
CHECK = {"restorable.backups.backup_check": {"source": "{{ inventory_hostname }}", "max_age": "26h"}}
# The usual way to ask an API for a host: from the controller, with the controller's own Python.
ON_CONTROLLER = {"delegate_to": "localhost"}


def measure(controller: Controller, options: Options) -> Row:
    hosts = options.many(100, 5)
    inventory = controller.write("hosts.ini", "[all]\n" + "".join(f"shop{n:03d}\n" for n in range(hosts)))
    authority = trustme.CA()
    # The private authority stands behind the usual ones, so that reading them takes as long as it does in real life.
    usual = Path(certifi.where()).read_text()
    bundle = controller.write("authorities.pem", usual + authority.cert_pem.bytes().decode())
    certificate = controller.place / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))

    with serving() as server, serving(certificate=certificate) as secure:

        def run(name: str, at: Server, *tasks: dict, asks: bool = True, trust: str = "") -> Cost:
            play = controller.play(name, *tasks)
            outcome = controller.run(play, inventory, at.url, hosts, len(tasks), REQUESTS_CA_BUNDLE=trust)
            calls = at.calls()
            expect(sorted(calls) == [f"shop{n:03d}" for n in range(hosts)] * asks and set(calls.values()) <= {1},
                   f"{name} asks once for each of {hosts} hosts" if asks else f"{name} asks nobody")
            return outcome.cost

        url = server.url + "/api/3/stacks/{{ inventory_hostname }}/backups"
        module = {"requests_get": {"url": url, "token": TOKEN}, **ON_CONTROLLER}
        contestants = {
            "an empty play": functools.partial(run, "empty", server, asks=False),
            "debug": functools.partial(run, "debug", server, DEBUG, asks=False),
            "backup_check": functools.partial(run, "check", server, CHECK),
            "backup_check, https": functools.partial(run, "check", secure, CHECK, trust=str(bundle)),
            "uri": functools.partial(run, "uri", server, {**uri(url), **ON_CONTROLLER}),
            "a module with requests": functools.partial(run, "module", server, module),
        }
        # Bytecode is compiled and caches are filled before anything counts.
        for name in ("debug", "backup_check", "backup_check, https"):
            contestants[name]()
        slow = options.many(3, 1)
        runs = {**dict.fromkeys(contestants, options.many(options.runs + 2, 1)), "uri": slow,
                "a module with requests": 1}
        medians = {name: median(costs) for name, costs in rounds(contestants, runs).items()}

    empty = medians.pop("an empty play")
    costs = {name: (cost - empty) / hosts for name, cost in medians.items()}
    ours, debug, theirs = costs["backup_check"], costs["debug"], costs["uri"]
    return Row(
        f"A task on {hosts} hosts, default forks: cost per host, an empty play of {empty.wall:.2f} s subtracted",
        costs, runs,
        [Goal("backup_check to debug", ours.wall / debug.wall, 1.5),
         Goal("uri to backup_check", theirs.wall / ours.wall, 15, at_least=True)],
        [f"In processor time backup_check takes {ours.cpu / debug.cpu:.2f}x of debug, "
         f"uri {theirs.cpu / ours.cpu:.1f}x of backup_check",
         "Each backup_check was one call, and read 30 backups"],
    )
