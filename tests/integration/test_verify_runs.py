# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_file_verify by ansible-playbook and ansible: what was fetched by the modules is read, and what was done to it is seen."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from pathlib import Path

from drill_runs import FETCH, HERE, VERIFY, counts

MIB = 1 << 20


def problems(answer):
    return [problem["code"] for problem in answer["problems"]]


def test_what_was_fetched_is_whole_and_holds_what_is_live(drills, databases, fetched):
    answers = drills.tasks(*({VERIFY: {"path": str(path)}} for path in fetched.values()))
    for (name, path), answer in zip(fetched.items(), answers, strict=True):
        stack = name.removeprefix("backupman-")
        assert (answer["valid"], answer["problems"], answer["changed"]) == (True, [], False), f"{name}: {answer.result}"
        (contents,) = answer["contents"]
        assert contents["engine"] == databases.stack(stack)["engine"]
        assert counts(contents) == databases.tables(stack)
        content = path.read_bytes()
        assert (answer["size_bytes"], answer["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_parts_and_what_is_expected(drills, databases, fetched):
    """As fetch has made them: in a folder, with a note; or named one by one, in their order."""
    there = databases.tables("shop")
    baseline = {"contents": [{"engine": "postgresql", "database": None, "tables": [
        {"database": None, "name": "public.customers", "rows": there["customers"] * 2}, {"database": None, "name": "public.gone", "rows": 1}]}]}
    options = {"source": databases.uid("shop"), "latest": True, "dest": str(drills.place / "parts/"), "parts": "keep"}
    (drills.place / "parts").mkdir()
    got, folder, listed, swapped, short, expected, too_much, before = drills.tasks(
        {FETCH: options, "register": "got"},
        {VERIFY: {"path": "{{ got.dest }}"}},
        {VERIFY: {"path": "{{ got.files | map(attribute='path') | list }}"}},
        {VERIFY: {"path": "{{ got.files | map(attribute='path') | list | reverse }}", "fail_on_problem": False}},
        {VERIFY: {"path": "{{ (got.files | map(attribute='path') | list)[:1] }}"}},
        {VERIFY: {"path": str(fetched["shop"]), "expect": {
            "engine": "postgresql", "tables": list(there), "exact": True, "min_rows": {"customers": there["customers"]}}}},
        {VERIFY: {"path": str(fetched["shop"]), "expect": {
            "engine": "mysql", "tables": ["customers", "invoices"], "exact": True, "min_rows": {"customers": there["customers"] + 1}}}},
        {VERIFY: {"path": str(fetched["shop"]), "expect": {"baseline": baseline, "max_row_drop": 40}}})
    assert len(got["files"]) > 2
    whole = hashlib.sha256(fetched["shop"].read_bytes()).hexdigest()
    assert (folder["valid"], folder["sha256"]) == (listed["valid"], listed["sha256"]) == (True, whole)
    assert (swapped.failed, swapped["valid"]) == (False, False) and problems(swapped)
    assert short.failed and set(problems(short)) & {"truncated", "incomplete", "missing_member"}
    assert not expected.failed
    assert "wrong_engine" in problems(too_much)
    assert set(problems(before)) == {"table_gone", "rows_fell"}


def test_what_was_done_to_a_file(drills, fetched):
    """One of each kind; the gallery has them all."""
    plain, place = fetched["backupman-shop"].read_bytes(), drills.place
    packed = gzip.compress(plain)
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 1
    page = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    files = {
        "cut.sql": (plain[:len(plain) // 2], {"incomplete", "open_copy", "open_statement", "truncated"}),
        "cut.sql.gz": (packed[:-9], {"truncated"}),
        "flipped.sql.gz": (bytes(flipped), {"bad_checksum", "bad_structure"}),
        "twice.sql": (plain + plain, {"duplicate", "trailing_garbage"}),
        "page.sql.gz": (page, {"error_page"}),
        "empty.sql": (b"", {"empty"}),
        "bomb.sql.gz": (gzip.compress(bytes(300 * MIB)), {"bomb"}),
        "command.sql": (plain.replace(b"\nCOPY public.customers", b"\nCOPY public.customers FROM PROGRAM 'id';\nCOPY public.customers", 1),
                        {"unsafe_statement"}),
        "noise.bin": (hashlib.sha512(b"x").digest() * 64, {"unknown_format"}),
    }
    for name, (content, _codes) in files.items():
        (place / name).write_bytes(content)
    with tarfile.open(place / "escape.tar", "w") as archive:
        archive.add(place / "cut.sql", "../../etc/cron.d/x")
    before = sorted(path.name for path in place.iterdir())
    answers = drills.tasks(*({VERIFY: {"path": str(place / name)}} for name in [*files, "escape.tar", "absent.tar"]))
    for (name, (_content, codes)), answer in zip(files.items(), answers, strict=False):
        assert answer.failed and answer["valid"] is False, name
        assert set(problems(answer)) & codes, f"{name}: {answer['problems']}"
        assert answer["msg"] and name in str(answer["problems"] or answer["msg"])
    assert "unsafe_member" in problems(answers[-2])
    assert answers[-1].failure == "bad_option" and "absent.tar" in answers[-1]["msg"]
    # Nothing is unpacked.
    assert set(before) >= {path.name for path in place.iterdir() if path.is_file() and path.suffix in (".sql", ".gz", ".tar", ".bin")}
    assert not Path("/etc/cron.d/x").exists()


def test_ad_hoc_and_in_check_mode(drills, fetched):
    run = drills.adhoc("backup_file_verify", f"path={fetched['wiki']}", "--check", hosts={"here": HERE})
    assert run.code == 0 and '"valid": true' in run.output, run.output
    run = drills.adhoc("backup_file_verify", f"path={fetched['wiki']} max_ratio=0", hosts={"here": HERE})
    assert run.code != 0 and "max_ratio" in run.output
