# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches stay where they were put, and the log never shows what opens doors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("cronsim")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox.calls import Call, parse_body, without_secrets  # noqa: E402
from sandbox.catalogue import Catalogue  # noqa: E402
from sandbox.faults import Faults  # noqa: E402
from sandbox.switches import Switches  # noqa: E402


def test_switches_are_kept_and_reset(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "catalogue")
    Switches(catalogue).change({"cloud66_v2": {"enveloped": True}})
    again = Switches(catalogue)
    assert again.get("cloud66_v2", "enveloped") is True
    again.reset()
    assert Switches(catalogue).get("cloud66_v2", "enveloped") is False
    catalogue.close()


@pytest.mark.parametrize("wrong", [{"nobody": {}}, {"cloud66_v2": {"x": 1}}, {"cloud66_v2": {"enveloped": "yes"}}])
def test_a_switch_that_is_misspelt_is_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"switches|must be"):
        Switches(Catalogue(tmp_path / "catalogue")).change(wrong)


def test_secrets_are_taken_out_at_any_depth() -> None:
    body = {"auth": {"RAX-KSKEY:apiKeyCredentials": {"username": "me", "apiKey": "key"}}, "list": [{"password": "x"}]}
    assert without_secrets(body) == {
        "auth": {"RAX-KSKEY:apiKeyCredentials": {"username": "me", "apiKey": "REDACTED"}},
        "list": [{"password": "REDACTED"}]}
    assert Call("POST", "tokens", {}, {}, parse_body(b'{"apiKey": "cut o')).shown == "REDACTED"
    assert Call("GET", "list", {}, {}, {"x": 1}).shown is None


def test_a_fault_may_belong_to_one_api() -> None:
    faults = Faults()
    faults.add({"kind": "throttle", "surface": "cloud66_v2"})
    assert "throttle" not in faults.take("GET", "list", None, "cloud66")
    assert "throttle" in faults.take("GET", "list", None, "cloud66_v2")
    with pytest.raises(ValueError, match="surface"):
        faults.add({"kind": "throttle", "surface": "cloud65"})
