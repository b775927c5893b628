# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import configparser
import os
import sys
from threading import Barrier

import machine
import pytest
import stages


@pytest.fixture(name="stage")
def stage_fixture(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "LOG", tmp_path)
    monkeypatch.setattr(stages, "ROOT", tmp_path)
    return stages.Stage("lint", {"PATH": os.environ["PATH"]}, {})


def test_a_missing_program_is_an_error_that_says_what_to_do(stage):
    with pytest.raises(stages.Broken, match="make clean"):
        stage.run("no-such-program")


def test_a_command_passes_or_fails_and_its_output_is_kept(stage, tmp_path):
    stage.check(sys.executable, "-c", "print('fine')", cwd=tmp_path)
    stage.check(sys.executable, "-c", "import sys; print('wrong', file=sys.stderr); sys.exit(3)", cwd=tmp_path)

    assert (stage.passed, stage.failed) == (1, 1)
    assert "fine" in stage.log.read_text() and "wrong" in stage.log.read_text()


def test_a_hanging_command_is_stopped(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "COMMAND_SECONDS", 0.5)
    with pytest.raises(stages.Broken, match="did not end"):
        stage.run(sys.executable, "-c", "import time; time.sleep(60)", cwd=tmp_path)


def test_skipped_tests_count_as_failed_and_are_named(stage, tmp_path):
    (tmp_path / "report.xml").write_text(
        '<testsuites><testsuite><testcase classname="a" name="good"/>'
        '<testcase classname="a" name="bad"><failure message="no"/></testcase>'
        '<testcase classname="a" name="left"><skipped message="no server"/></testcase></testsuite></testsuites>')

    assert stage.count_junit("*.xml", tmp_path) == 3
    assert (stage.passed, stage.failed) == (1, 2)
    assert "a.left: no server" in stage.log.read_text()


@pytest.mark.parametrize("death", [stages.Broken("nothing there"), ValueError("a surprise")])
def test_a_stage_that_dies_has_failed_and_the_run_goes_on(monkeypatch, tmp_path, capsys, death):
    def dying(_stage):
        """dies"""
        raise death
    monkeypatch.setattr(stages, "LOG", tmp_path)
    monkeypatch.setattr(stages, "ROOT", tmp_path)
    monkeypatch.setitem(stages.STAGES, "dying", dying)

    stage, _seconds = stages.run_stage("dying", {}, {})

    assert stage.failed == 1
    assert str(death) in capsys.readouterr().out


def test_some_stages_run_beside_each_other_and_the_order_stays(monkeypatch, tmp_path, capsys):
    together = Barrier(2, timeout=20)
    monkeypatch.setattr(stages, "LOG", tmp_path)
    monkeypatch.setattr(stages, "ROOT", tmp_path)
    monkeypatch.setattr(stages, "HOME", tmp_path)

    def passing(stage):
        """passes"""
        if stage.name in stages.BESIDE:
            together.wait()  # one alone would wait in vain
        stage.count(True)
    names = ["lint", *sorted(stages.BESIDE), "molecule"]
    for name in names:
        monkeypatch.setitem(stages.STAGES, name, passing)

    done = list(stages.run_stages(names, {}, {}))

    assert [(stage.name, stage.passed, stage.failed) for stage, _seconds in done] == [(name, 1, 0) for name in names]
    assert "sanity and units ..." in capsys.readouterr().out


def test_users_credentials_and_settings_do_not_reach_the_tests(monkeypatch):
    monkeypatch.setenv("CLOUD66_TOKEN", "secret")
    monkeypatch.setenv("ANSIBLE_CONFIG", "/somewhere/ansible.cfg")

    env = machine.test_environment({})

    assert not {"CLOUD66_TOKEN", "ANSIBLE_CONFIG"} & env.keys()
    assert env["HOME"] == str(machine.HOME)


def test_pip_settings_of_every_kind_reach_the_other_home(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "HOME", tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:pass%40word@mirror.example/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/one /two")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")

    machine.carry_over_pip_settings()

    written = tmp_path / ".config/pip/pip.conf"
    settings = configparser.RawConfigParser()
    settings.read(written)
    assert settings["global"]["index-url"] == "https://user:pass%40word@mirror.example/simple"
    assert settings["global"]["find-links"] == "/one /two"
    assert settings["global"]["proxy"] == "http://proxy.example:3128"
    assert written.stat().st_mode & 0o077 == 0


def test_only_interpreters_that_are_what_they_say_are_taken(tmp_path, monkeypatch):
    shims = tmp_path / "shims"
    liar = tmp_path / "bin"
    for folder in (shims, liar):
        folder.mkdir()
        (folder / "python3.8").write_text("#!/bin/sh\necho 3.7\n")
        (folder / "python3.8").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(shims), str(liar)]))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))

    found = machine.real_pythons()

    assert "3.8" not in found
    assert machine.THIS_PYTHON in found
