# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest

from in_process import Outcome, Runner


@pytest.fixture
def collection(collections_path):
    """Lets the collection be imported."""
    if collections_path not in sys.path:
        sys.path.insert(0, collections_path)


@pytest.fixture
def connection(sandbox):
    """How the service of these tests is reached; overridden by those of other providers."""
    return {"provider": "cloud66", "api_url": sandbox.api_url, "api_token": sandbox.token}


@pytest.fixture
def run(connection, tmp_path, collection):
    """``run("backup_info", source=stack.uid)``: an Outcome. Pauses are noted instead of waited for."""
    return Runner(connection, tmp_path)


@pytest.fixture
def provider(run):
    """The provider, ready to be asked. What it warns of is in ``provider.told``."""
    outcome = Outcome()
    provider = run.provider(outcome)
    provider.told, provider.pauses = outcome.warnings, outcome.pauses
    return provider
