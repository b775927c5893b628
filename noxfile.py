# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For those who use antsibull-nox on every collection. The Makefile is the way that is kept working here."""

import sys

import nox

try:
    import antsibull_nox
except ImportError:
    print("antsibull-nox is missing:   pip install antsibull-nox")
    sys.exit(1)

antsibull_nox.load_antsibull_nox_toml()

if __name__ == "__main__":
    nox.main()
