# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from collections import Counter, defaultdict

import pytest

from .adapters import ADAPTERS
from .proxy import Proxy
from .runner import Runner


@pytest.fixture(scope="session")
def sandbox_of_suite():
    """A sandbox of its own: its clock is right, and nobody else's schedules run in it."""
    from sandbox.client import Sandbox

    with Sandbox.start(stacks="shop,crm,blog", part_size=65536) as sandbox:
        yield sandbox


# What a test may ask for beside the service, and what there is of it for an adapter: one test for each.
CASES = {
    "count": lambda adapter: sorted({1, adapter.page or 50, (adapter.page or 50) + 1, 1000}),
    "kind": lambda adapter: adapter.kinds,
    "unsaid": lambda adapter: adapter.unsaid,
    "write": lambda adapter: adapter.writes,
}


def pytest_generate_tests(metafunc):
    """Tests of the suite run for every provider, and for every case that it has."""
    if "servers" not in metafunc.fixturenames:
        return
    [wanted] = [name for name in CASES if name in metafunc.fixturenames] or [None]
    if wanted is None:
        metafunc.parametrize("servers", ADAPTERS, indirect=True, scope="session")
        return
    cases = [(name, case) for name, adapter in ADAPTERS.items() for case in CASES[wanted](adapter)]
    metafunc.parametrize(("servers", wanted), cases, indirect=["servers"], ids=["%s-%s" % case for case in cases],
                         scope="session")


@pytest.fixture(scope="session")
def servers(request):
    """The adapter of each provider, one after the other."""
    adapter = ADAPTERS[request.param]
    return adapter(request.getfixturevalue(adapter.servers))


@pytest.fixture
def service(servers):
    """The adapter, of a service without any backup that has not been asked anything."""
    servers.clear()
    return servers


@pytest.fixture
def run(service, tmp_path, collections_path):
    if collections_path not in sys.path:
        sys.path.insert(0, collections_path)
    return Runner(service, tmp_path)


@pytest.fixture
def proxy(service):
    """A proxy in front of the service, which spoils nothing yet."""
    proxy = Proxy(service.upstream)
    yield proxy
    proxy.close()


# -- the table at the end -----------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter):
    """How many tests of the suite ran for each provider."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            provider = report.nodeid.partition("[")[2].rstrip("]").split("-")[0]
            if "conformance/" in report.nodeid and provider in ADAPTERS:
                counts[provider][outcome] += 1
    if not counts:
        return
    terminalreporter.section("conformance")
    terminalreporter.write_line(f"{'provider':12}{'passed':>8}{'failed':>8}")
    for provider in ADAPTERS:
        found = counts[provider]
        terminalreporter.write_line(f"{provider:12}{found['passed']:8}{found['failed'] + found['error']:8}")
