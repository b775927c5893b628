# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The usual good script: requests, in chunks, hashed on the way. Prints the checksum."""

from __future__ import annotations

import hashlib
import sys

import requests

url, dest = sys.argv[1:]
digest = hashlib.sha256()
with requests.get(url, stream=True, timeout=30) as answer, open(dest, "wb") as file:
    answer.raise_for_status()
    for chunk in answer.iter_content(1 << 20):
        file.write(chunk)
        digest.update(chunk)
print(digest.hexdigest())
