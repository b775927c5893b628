# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A long list in pages, read by the provider and by the loop that one would write."""

from __future__ import annotations

import requests
from bench import TOKEN, Controller, Goal, Options, Row, expect
from measure import Cost, inside, median, rounds, serving

LATENCY = 0.02


def sequential(url: str) -> list[dict]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        records, page = [], 1
        while page:
            answer = session.get(f"{url}/api/3/stacks/big/backups", params={"page": page}, timeout=30)
            answer.raise_for_status()
            data = answer.json()
            records += data["response"]
            page = data["pagination"]["next"]
        return records


def measure(controller: Controller, options: Options) -> Row:
    from ansible_collections.restorable.backups.plugins.module_utils._options import PROVIDER_OPTIONS
    from ansible_collections.restorable.backups.plugins.module_utils._providers import connect

    count = options.many(10000, 600)
    defaults = {name: about.get("default") for name, about in PROVIDER_OPTIONS.items()}
    with serving(backups=count, latency=LATENCY) as server:
        expected = sequential(server.url)
        expect(len(expected) == count, f"the loop reads {count} records")
        pages = server.calls()["big"]

        def loop() -> Cost:
            cost, records = inside(lambda: sequential(server.url))
            expect(records == expected and server.calls() == {"big": pages}, "the loop reads the same again")
            return cost

        def ours() -> Cost:
            params = dict(defaults, api_url=server.url, api_token=TOKEN)
            cost, listing = inside(lambda: connect(params, print).list_backups("big"))
            expect([backup.raw for backup in listing.backups] == expected, "the same records in the same order")
            expect(server.calls() == {"big": pages} and not listing.warnings, "every page is asked for once")
            return cost

        names = {"provider cloud66": ours, "a loop with requests.Session": loop}
        ours()
        runs = dict.fromkeys(names, options.many(3, 1))
        costs = {name: median(found) for name, found in rounds(names, runs).items()}
    ratio = costs["a loop with requests.Session"].wall / costs["provider cloud66"].wall
    return Row(
        f"{count} backups in {pages} pages, an answer takes {LATENCY * 1000:.0f} ms",
        costs, runs,
        [Goal("the loop to the provider", ratio, 10, at_least=True)],
        ["Order and content were the same"],
    )
