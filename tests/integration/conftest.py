# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_runs import Controller


@pytest.fixture
def controller(tmp_path, sandbox_process, collections_path):
    """Where Ansible runs: no settings but those that reach the sandbox."""
    controller = Controller(tmp_path, sandbox_process, collections_path)
    yield controller
    controller.close()
