# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy the collection to build/tree/ansible_collections/restorable/backups, the only kind of place where Ansible's
tools find a collection by its name. They resolve symlinks and ask git for the files, so it is a real copy and a git
work tree of its own. What the tools left there (tests/output) stays, so that the next run can use it again."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "build" / "tree"
COLLECTION = TREE / "ansible_collections" / "restorable" / "backups"

# Where nothing says what belongs to the collection (no git, an unpacked archive), everything does but these.
GENERATED = {".venv", "build", ".git", ".ansible", ".cache", ".pytest_cache", "__pycache__"}


def clean_git_environment() -> dict[str, str]:
    """Without GIT_DIR and the like, which point elsewhere when make runs in a git hook."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def git_files(folder: Path) -> list[str] | None:
    """Every file git knows or would add, or None where this is not a work tree of its own."""
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "-c", f"safe.directory={folder}",
               "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, capture_output=True, check=True, env=clean_git_environment())
    return sorted(set(answer.stdout.decode().split("\0")) - {""})


def walked_files(folder: Path) -> list[str]:
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - GENERATED)
        found += [str(Path(where, name).relative_to(folder)) for name in files]
    return found


def same(source: Path, target: Path) -> bool:
    if source.is_symlink() or target.is_symlink():
        return source.is_symlink() and target.is_symlink() and os.readlink(source) == os.readlink(target)
    return (target.is_file() and source.stat().st_mode == target.stat().st_mode
            and filecmp.cmp(source, target, shallow=True))


def make_tree() -> Path:
    names = git_files(ROOT)
    if names is None:
        names = walked_files(ROOT)
    # A file that was deleted but not yet committed is still in git's list.
    wanted = {name for name in names if (ROOT / name).is_symlink() or (ROOT / name).is_file()}

    COLLECTION.mkdir(parents=True, exist_ok=True)
    if not (COLLECTION / ".git").exists():
        subprocess.run(["git", "init", "--quiet", str(COLLECTION)], check=True, env=clean_git_environment())

    # .gitignore first: it decides which of the files there are ours to delete and which are the tools' own.
    for name in sorted(wanted, key=lambda name: (name != ".gitignore", name)):
        source, target = ROOT / name, COLLECTION / name
        if same(source, target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)

    for name in git_files(COLLECTION) or []:
        gone = COLLECTION / name
        if name not in wanted and (gone.is_symlink() or gone.exists()):
            gone.unlink()
            for folder in gone.parents:
                if folder == COLLECTION or any(folder.iterdir()):
                    break
                folder.rmdir()
    # In git's index too: with an empty one, git (and so REUSE) does not name what is ignored below a new folder.
    subprocess.run(["git", "-C", str(COLLECTION), "add", "--all"], check=True, env=clean_git_environment())
    return COLLECTION


if __name__ == "__main__":
    if shutil.which("git") is None:
        sys.exit("git is missing. On Debian and Ubuntu:   apt-get install git")
    print(make_tree().relative_to(ROOT))
