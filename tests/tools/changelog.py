# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the entry of galaxy.yml's version, from the fragments and the modules' documentation, into CHANGELOG.md.

Again and again until that version is released. antsibull-changelog asks ansible-doc, which finds the collection by its
place only, so it works in the tree and what it wrote is brought back.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import tree
from machine import ROOT, real_pythons, test_environment


def main() -> int:
    collection = tree.make_tree()
    env = test_environment(real_pythons())
    command = ["antsibull-changelog", "release", "--reload-plugins", "--refresh", "--update-existing", *sys.argv[1:]]
    code = subprocess.run([shutil.which(command[0], path=env["PATH"]) or command[0], *command[1:]],
                          cwd=collection, env=env, check=False).returncode
    (collection / "changelogs/.plugin-cache.yaml").unlink(missing_ok=True)
    if code == 0:
        for name in ("CHANGELOG.md", "changelogs/changelog.yaml"):
            shutil.copy(collection / name, ROOT / name)
    return code


if __name__ == "__main__":
    sys.exit(main())
