# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess

import pytest
import tree


@pytest.fixture(name="checkout")
def checkout_fixture(tmp_path, monkeypatch):
    root = tmp_path / "a checkout"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", root], check=True)
    (root / ".gitignore").write_text("/build/\n/tests/output/\n")
    (root / "galaxy.yml").write_text("name: backups\n")
    monkeypatch.setattr(tree, "ROOT", root)
    monkeypatch.setattr(tree, "COLLECTION", root / "build/tree/ansible_collections/restorable/backups")
    return root


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")
                  if path.is_file() and ".git/" not in f"{path.relative_to(folder)}/")


def test_copies_what_git_knows_or_would_add(checkout):
    (checkout / "plugins/modules").mkdir(parents=True)
    (checkout / "plugins/modules/new.py").write_text("new\n")
    (checkout / "tests/output").mkdir(parents=True)
    (checkout / "tests/output/report.xml").write_text("not ours\n")

    assert files(tree.make_tree()) == [".gitignore", "galaxy.yml", "plugins/modules/new.py"]


def test_follows_changes_and_deletions_but_keeps_what_tools_left(checkout):
    (checkout / "plugins").mkdir()
    (checkout / "plugins/old.py").write_text("old\n")
    copy = tree.make_tree()
    (copy / "tests/output").mkdir(parents=True)
    (copy / "tests/output/cache").write_text("kept\n")

    (checkout / "plugins/old.py").unlink()
    (checkout / "galaxy.yml").write_text("name: other\n")

    assert files(tree.make_tree()) == [".gitignore", "galaxy.yml", "tests/output/cache"]
    assert (copy / "galaxy.yml").read_text() == "name: other\n"
    assert not (copy / "plugins").exists()


def test_a_file_deleted_but_still_in_the_index_is_left_out(checkout):
    subprocess.run(["git", "-C", checkout, "add", "."], check=True)
    (checkout / "galaxy.yml").unlink()

    assert files(tree.make_tree()) == [".gitignore"]


def test_modes_and_links_are_kept(checkout):
    (checkout / "run").write_text("#!/bin/sh\n")
    (checkout / "run").chmod(0o755)
    (checkout / "link").symlink_to("run")

    copy = tree.make_tree()

    assert os.access(copy / "run", os.X_OK)
    assert os.readlink(copy / "link") == "run"


def test_a_git_hook_does_not_lead_it_astray(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))

    assert files(tree.make_tree()) == [".gitignore", "galaxy.yml"]


def test_an_unpacked_archive_without_git_is_copied_whole(checkout, tmp_path):
    (checkout / ".git").rename(tmp_path / "gone")
    (checkout / "plugins/__pycache__").mkdir(parents=True)
    (checkout / "plugins/__pycache__/x.pyc").write_text("")

    assert files(tree.make_tree()) == [".gitignore", "galaxy.yml"]
