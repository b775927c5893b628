# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The version of the collection, for what runs on hosts and writes it down. Kept equal to galaxy.yml by a test."""

from __future__ import annotations

VERSION = "0.1.0"
