# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed URLs: what opens the door and what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sandbox.signing import Signer, redact  # noqa: E402

PATH = "/storage/a%2541/b.tar"
NOW = 1_700_000_000


@pytest.fixture(params=["v2", "v4"])
def signer(request: pytest.FixtureRequest) -> Signer:
    return Signer("secret", request.param)


def test_the_query_opens_only_after_one_layer_of_encoding_is_undone(signer: Signer) -> None:
    query = signer.query(PATH, NOW + 300)
    assert "%25" in query
    assert signer.refusal("GET", PATH, query, NOW)[0] == "SignatureDoesNotMatch"
    assert signer.refusal("GET", PATH, query.replace("%25", "%"), NOW) is None


def test_it_opens_nothing_else(signer: Signer) -> None:
    query = signer.query(PATH, NOW + 300).replace("%25", "%")
    assert signer.refusal("HEAD", PATH, query, NOW)
    assert signer.refusal("GET", PATH.replace("%25", "%"), query, NOW)
    assert signer.refusal("GET", PATH, query.replace("AKIA", "BKIA"), NOW)
    assert Signer("other").refusal("GET", PATH, query, NOW)
    assert signer.refusal("GET", PATH, "", NOW) == ("AccessDenied", "Access Denied")


def test_it_opens_for_five_minutes(signer: Signer) -> None:
    query = signer.query(PATH, NOW + 300).replace("%25", "%")
    assert signer.refusal("GET", PATH, query, NOW + 300) is None
    assert signer.refusal("GET", PATH, query, NOW + 301) == ("AccessDenied", "Request has expired")


def test_the_log_does_not_show_it(signer: Signer) -> None:
    shown = redact(signer.query(PATH, NOW))
    assert "REDACTED" in shown and "AKIA" not in shown
    assert not any(len(pair.partition("=")[2]) > 24 for pair in shown.split("&"))
