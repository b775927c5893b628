# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proofs and their chain."""

from __future__ import annotations

import copy
import json
import os
import threading

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _proof
from ansible_collections.restorable.backups.plugins.module_utils._proof import ProofError, append, chain_problems, check, digest

FACTS = {"source": "shop", "when": "2026-01-31T03:00:00Z", "proven": True, "timings": {"restore": 1.25}}


@pytest.fixture
def chain(tmp_path):
    return [append(str(tmp_path), "shop", dict(FACTS, backup_id=str(number)))[1] for number in range(4)]


def codes(proofs, **options):
    return [(problem["code"], problem["sequence"]) for problem in chain_problems(proofs, **options)]


def test_each_proof_holds_the_digest_of_the_one_before(chain, tmp_path):
    assert [proof["sequence"] for proof in chain] == [1, 2, 3, 4]
    assert chain[0]["previous_sha256"] is None
    assert [proof["previous_sha256"] for proof in chain[1:]] == [proof["sha256"] for proof in chain[:3]]
    assert sorted(os.listdir(str(tmp_path / "shop")))[1] == "000001-20260131T030000Z.json"


def test_a_whole_chain_holds_in_any_order_and_after_another_json(chain):
    again = json.loads(json.dumps(list(reversed(chain))))
    assert codes(again) == [] and codes([]) == []
    assert codes(again, last_sha256=chain[-1]["sha256"]) == []


@pytest.mark.parametrize("key, value", [("proven", False), ("backup_id", "9"), ("timings", {}), ("note", "new"), ("when", None)])
def test_whatever_is_changed_is_noticed(chain, key, value):
    forged = copy.deepcopy(chain)
    forged[1][key] = value
    assert codes(forged) == [("changed", 2)]
    # Also when the forger knows how digests are made.
    forged[1]["sha256"] = digest(forged[1])
    assert codes(forged) == [("broken", 3)]


def test_what_is_missing_double_or_foreign_is_noticed(chain):
    assert codes(chain[:1] + chain[2:]) == [("missing", 2)]
    assert codes(chain[1:]) == [("missing", 1)]
    assert codes(chain + [chain[2]]) == [("duplicate", 3)]
    assert codes(chain[:2], last_sha256=chain[-1]["sha256"]) == [("cut", None)]
    foreign = dict(chain[3], source="crm")
    foreign["sha256"] = digest(foreign)
    assert codes(chain[:3] + [foreign]) == [("foreign", None)]


@pytest.mark.parametrize("thing", [None, "text", {}, {"schema": "other/1"}, {"schema": _proof.SCHEMA, "sequence": "1"}])
def test_what_is_no_proof_is_said(chain, thing):
    assert ("unreadable", None) in codes(chain + [thing])


@pytest.mark.parametrize("source", ["shop", "a/b", "..", ".hidden", "../../etc", "Zo\u00eb", "5999b763"])
def test_no_source_leaves_the_folder(tmp_path, source):
    path, _made = append(str(tmp_path), source, FACTS)
    assert os.path.dirname(os.path.dirname(os.path.realpath(path))) == os.path.realpath(str(tmp_path))


def test_two_at_once_do_not_take_the_same_number(tmp_path):
    def some():
        for _number in range(10):
            append(str(tmp_path), "shop", FACTS)

    threads = [threading.Thread(target=some) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    proofs = [json.loads(path.read_text()) for path in (tmp_path / "shop").glob("*.json")]
    assert len(proofs) == 40 and codes(proofs) == []


def test_a_damaged_proof_is_not_built_upon(tmp_path):
    path, _proof_made = append(str(tmp_path), "shop", FACTS)
    with open(path, "w") as file:
        file.write('{"half": ')
    with pytest.raises(ProofError, match="000001-20260131T030000Z.json is no proof"):
        append(str(tmp_path), "shop", FACTS)
    assert len(list((tmp_path / "shop").glob("*.json"))) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProofError, match="proof_dir: cannot write to .*file"):
        append(str(tmp_path / "file"), "shop", FACTS)


def test_a_full_disk_leaves_no_half_proof(tmp_path, monkeypatch):
    append(str(tmp_path), "shop", FACTS)

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_proof.os, "fsync", full)
    with pytest.raises(ProofError, match="No space left"):
        append(str(tmp_path), "shop", FACTS)
    assert sorted(os.listdir(str(tmp_path / "shop"))) == [".lock", "000001-20260131T030000Z.json"]


def test_what_append_would_refuse_is_told_beforehand(tmp_path):
    check(str(tmp_path / "not" / "yet"), "shop")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        with pytest.raises(ProofError, match="proof_dir: cannot write to .*file is no folder"):
            check(str(tmp_path / place), "shop")
    path, _proof_made = append(str(tmp_path), "shop", FACTS)
    check(str(tmp_path), "shop")
    with open(path, "w", encoding="utf-8") as file:
        file.write("{}")
    with pytest.raises(ProofError, match="is no proof, and the next one must follow from it"):
        check(str(tmp_path), "shop")
