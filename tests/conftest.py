# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the contract and integration tests: one sandbox for the whole session, an empty stack for every test.

ansible-test reads this file too, with every Python that a managed host may have: only old and plain things here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

# Emptied after each test and handed out again. A stack costs a quarter of a second to make.
POOL = ["pool1", "pool2", "pool3", "pool4"]
# Handed out once each, to tests that let the clock run: a task that was created cannot be deleted.
ONCE = ["once1", "once2", "once3", "once4", "once5", "once6", "once7", "once8"]


@pytest.fixture(scope="session")
def collections_path():
    """The folder that holds ansible_collections/restorable/backups: the test stage's own, or one made now."""
    if os.environ.get("ANSIBLE_COLLECTIONS_PATH"):
        return os.environ["ANSIBLE_COLLECTIONS_PATH"]
    sys.path.append(str(TESTS / "tools"))
    import tree

    tree.make_tree()
    return str(tree.TREE)


@pytest.fixture(scope="session")
def sandbox_process():
    """The sandbox that all tests share. Its clock starts at the real time and only ever goes forward."""
    from sandbox.client import Sandbox

    with Sandbox.start(stacks=",".join(POOL + ONCE + ["elsewhere@2"]), part_size=65536) as sandbox:
        for name in POOL + ["elsewhere"]:
            # Tasks that tests leave behind must not run when another test moves the clock.
            sandbox.schedule(name, False)
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process):
    """The shared sandbox with an empty request log and no faults."""
    sandbox_process.clear_faults()
    sandbox_process.clear_requests()
    yield sandbox_process
    sandbox_process.clear_faults()


@pytest.fixture
def stacks(sandbox):
    """All stacks of the pool, without any backup."""
    from support import Stack

    pool = [Stack(sandbox, name) for name in POOL]
    yield pool
    sandbox.clear_faults()
    for stack in pool:
        stack.clear()


@pytest.fixture
def stack(stacks):
    """A stack without any backup. Its schedules never run."""
    return stacks[0]


@pytest.fixture
def scheduled_stack(sandbox):
    """A stack that no other test has: its tasks run when the clock is moved."""
    from support import Stack

    stack = Stack(sandbox, ONCE.pop())
    yield stack
    sandbox.schedule(stack.name, False)


@pytest.fixture(scope="session")
def openstack_lab():
    """The real Keystone, Trove and Swift that all tests share."""
    from openstack_lab import Lab

    with Lab.start() as lab:
        yield lab


@pytest.fixture
def lab(openstack_lab):
    """The shared OpenStack without any backup, with an empty request log."""
    openstack_lab.reset()
    yield openstack_lab
    openstack_lab.reset()
