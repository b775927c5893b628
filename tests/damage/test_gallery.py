# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gallery in its bounded form: of what only a restore can notice, a sixth. `make gallery` shows all of it."""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

from . import gallery
from .intact import BUILDERS


@pytest.fixture(scope="module")
def records(collections_path, tmp_path_factory):
    """What verify and drill said of every intact backup and of every damage."""
    if collections_path not in sys.path:
        sys.path.insert(0, collections_path)
    home = tmp_path_factory.mktemp("gallery")
    home.chmod(0o755)
    return gallery.run(home, thorough=False, only=(), jobs=len(os.sched_getaffinity(0)), tell=print, each=6)


@pytest.mark.parametrize("engine", BUILDERS)
class TestEngine:
    def test_there_are_many_kinds_of_damage(self, records, engine):
        kinds = Counter(one["family"] for one in records if one["engine"] == engine and one["damage"])
        assert len(kinds) > 10 and sum(kinds.values()) > 100

    def test_no_intact_backup_is_accused(self, records, engine):
        assert failures(records, engine, "ACCUSED") == []

    def test_every_damage_is_noticed(self, records, engine):
        assert failures(records, engine, "MISSED") == []

    def test_reading_alone_notices_damage_to_framing_and_checksums(self, records, engine):
        assert failures(records, engine, "TOO LATE") == []

    def test_nothing_falls_over(self, records, engine):
        assert failures(records, engine, "BROKEN") == []

    def test_changed_data_make_other_backups(self, records, engine):
        assert failures(records, engine, "NO DAMAGE") == []

    def test_few_damages_are_harmless(self, records, engine):
        """Or else the judge of what is harmless would have to be judged."""
        damaged = [one for one in records if one["engine"] == engine and one["damage"]]
        assert sum(one["outcome"] == gallery.HARMLESS for one in damaged) < len(damaged) / 5

    def test_intact_backups_were_drilled(self, records, engine):
        assert any(one["drill"] == [] for one in records if one["engine"] == engine and not one["damage"])


def failures(records, engine, kind):
    return [line for line in gallery.failures([one for one in records if one["engine"] == engine]) if line.startswith(kind)]
