# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_drill by ansible-playbook: what was fetched by the modules is restored and held against the live databases."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import venv
from pathlib import Path

import pytest
from drill_runs import DRILL, FETCH, MARIADB, POSTGRESQL, VERIFY, codes, counts, live, proven

CHECK, INFO, RUN = (f"restorable.backups.backup_{name}" for name in ("check", "info", "run"))
# {file of the fixture: (stack, engine)}
FILES = {
    "shop": ("shop", "postgresql"), "wiki": ("wiki", "mysql"), "cache": ("cache", "redis"), "docs": ("docs", "mongodb"),
    "backupman-shop": ("shop", "postgresql"), "backupman-wiki": ("wiki", "mysql"), "backupman-lite": ("lite", "sqlite"),
}


# What Backupman leaves out of every dump of MariaDB, damaged or not.
NO_TRIGGER = "the trigger customers.tidy of the live database is not in the backup"


# -- honest backups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_what_was_fetched_is_what_is_live(drills, databases, fetched, name):
    stack, engine = FILES[name]
    there = databases.tables(stack)
    answer = drills.drill(
        fetched[name], compare={"mode": "checksum", **live(databases.login(stack))}, source=stack, backup_id="17",
        proof_dir=str(drills.proofs), arguments=("-vvvv",))
    whole = name != "backupman-wiki"
    if whole:
        proven(answer)
    else:
        assert [violation["message"] for violation in answer["violations"]] == [NO_TRIGGER]
        assert codes(answer) == ["definition_mismatch"]
    (restored,) = answer["restored"]
    assert (restored["engine"], counts(restored)) == (engine, there)
    assert sum(there.values()) > 1000
    assert {one["name"].removeprefix("public.") for one in restored["checksums"]} == set(there)
    assert [one["held"] for one in restored["asserted"]] == [True, whole]
    assert answer["changed"] is False and answer["bytes_per_second"] > 0
    assert answer["timings"]["total"] >= answer["timings"]["restore"] > 0

    (path,) = drills.proofs.rglob("*.json")
    assert str(path) == answer["proof_path"]
    proof = json.loads(path.read_text())
    assert proof == answer["proof"]
    assert (proof["source"], proof["backup_id"], proof["proven"]) == (stack, "17", whole)
    password = databases.login(stack).get("password", "no password")
    assert password not in path.read_text()
    assert password not in drills.output
    assert drills.left() == []


def test_incremental_backups_of_trove(drills, lab):
    """From the real Swift: the newest one and all that it builds on, in the order that the filter tells."""
    trove = {"provider": "trove", "source": "db1"}
    another = {**trove, "max_age": "0", "wait_interval": 1}
    cloud = {**lab.environment, "OS_CLOUD": "demo"}
    lab.sql("CREATE TABLE notes (n INT PRIMARY KEY); INSERT INTO notes VALUES (0)")
    try:
        taken = drills.tasks({RUN: {**another, "incremental": False}}, {RUN: {**another, "incremental": True}}, env=cloud)
        assert [answer["action"] for answer in taken] == ["created", "created"]
        lab.sql("INSERT INTO notes VALUES (1), (2), (3)")
        there = {name: int(lab.sql(f"SELECT count(*) FROM {name}")[0][0]) for name in ("customers", "orders", "notes")}
        # The programs of a drill run as another user.
        Path(lab.ready["socket"]).parent.chmod(0o755)
        login = {"login_unix_socket": lab.ready["socket"], "login_user": "root", "login_password": "", "database": "shop"}
        _run, _all, got, whole, alone = drills.tasks(
            {RUN: {**another, "incremental": True}},
            {INFO: trove, "register": "all"},
            {FETCH: {**trove, "id": "{{ item }}", "dest": f"{drills.place}/"}, "register": "got",
             "loop": "{{ all.backups | restorable.backups.backup_chain(all.backups[0].id) }}"},
            {DRILL: {"path": "{{ files[-1] }}", "parents": "{{ files[:-1] }}", "compare": {"mode": "checksum", **login}}},
            {DRILL: {"path": "{{ files[-1] }}"}},
            env=cloud, files="{{ got.results | map(attribute='dest') | list }}")
    finally:
        lab.sql("DROP TABLE notes")
    assert len(got["results"]) == 3, drills.output
    (restored,) = proven(whole)["restored"]
    assert there["notes"] == 4
    assert {table["name"]: table["rows"] for table in restored["tables"] if table["database"] == "shop"} == there
    assert restored["format"] == "xbstream"
    assert alone.failed and "parents" in alone["msg"]


# -- what Backupman calls finished --------------------------------------------------------------------------------


def backed_up(databases, label, **switches):
    """The id of a backup that goes wrong by these switches, and is finished all the same."""
    databases.switch("backupman", **switches)
    try:
        (number,) = databases.service("backupman", "POST", "/backup", labels=[label])["ids"]
    finally:
        databases.reset_switches()
    return number


def from_backupman(label, number, dest, **options):
    return {FETCH: {"provider": "backupman", "source": label, "id": number, "dest": str(dest), "api_retries": 0, **options}}


@pytest.mark.parametrize("label", ["shop", "wiki"])
def test_dumps_that_come_back_otherwise_or_not_at_all(drills, databases, label):
    tasks = []
    compare = live(databases.login(label))
    for damage in ("backslashes", "trailing_backslash", "binary"):
        number = backed_up(databases, label, damage=damage)
        path = drills.place / damage
        tasks += [from_backupman(label, number, path),
                  {VERIFY: {"path": str(path), "fail_on_problem": False}},
                  {DRILL: {"path": str(path), "compare": {"mode": "counts", **compare}}},
                  {DRILL: {"path": str(path), "compare": {"mode": "checksum", **compare}}}]
    answers = drills.tasks(*tasks)
    fetches, reads, by_counts, by_checksums = (answers[start::4] for start in range(4))
    assert not any(fetch.failed for fetch in fetches)
    # It restores, and the number of rows is right: only what is in them tells.
    assert reads[0]["valid"] is True
    proven(by_counts[0])
    assert by_checksums[0].failed
    messages = {violation["message"] for violation in by_checksums[0]["violations"]}
    assert any("has other content after the restore than in the live database" in message for message in messages)
    assert {violation["code"] for violation in by_checksums[0]["violations"] if violation["message"] != NO_TRIGGER} == {"checksum_mismatch"}
    for read, drill in zip(reads[1:], by_checksums[1:], strict=True):
        assert drill.failed and drill["proven"] is False
        if read["valid"]:
            assert codes(drill) == ["restore_failed"]
        else:
            assert set(codes(drill)) == {"file_invalid"}
            assert [violation["observed"] for violation in drill["violations"]] == [one["code"] for one in read["problems"]]


def test_two_sources_that_share_a_file(drills, databases):
    before = backed_up(databases, "shop")
    # Files are named after the second.
    time.sleep(1.5)
    databases.switch("backupman", collision=True)
    shop, wiki = databases.service("backupman", "POST", "/backup", labels=["shop", "wiki"])["ids"]
    databases.reset_switches()
    path, earlier = str(drills.place / "shop.sql"), str(drills.place / "earlier.sql")
    try:
        check, refused, forced, got, engine, table, read, baseline, drill, compared = drills.tasks(
            {CHECK: {"provider": "backupman", "source": "shop"}},
            from_backupman("shop", shop, path),
            from_backupman("shop", shop, path, force=True),
            from_backupman("shop", before, earlier),
            {VERIFY: {"path": path, "expect": {"engine": "postgresql"}}},
            {VERIFY: {"path": path, "expect": {"tables": ["public.customers"]}}},
            {VERIFY: {"path": earlier}, "register": "good"},
            {VERIFY: {"path": path, "expect": {"baseline": "{{ good }}"}}},
            {DRILL: {"path": path, "engine": "postgresql"}},
            {DRILL: {"path": path, "compare": {**live(databases.login("wiki")), "database": "information_schema"}}})
    finally:
        for number in (shop, wiki):
            databases.service("backupman", "DELETE", f"/backups/{number}")
    assert [answer.result for answer in (forced, got, read) if answer.failed] == []
    assert "collision" in codes(check)
    assert refused.failure == "collision"
    assert problems(engine) == {"wrong_engine"}
    assert problems(table) == {"missing_table"}
    assert "table_gone" in problems(baseline)
    assert drill.failed and "there is nothing to restore" in drill["msg"]
    assert "live_mismatch" in codes(compared)


def problems(answer):
    assert answer.failed, answer.result
    return {problem["code"] for problem in answer["problems"]}


def test_dumps_that_never_ended_and_files_that_are_gone(drills, databases):
    databases.switch("backupman", pending=True)
    (pending,) = databases.service("backupman", "POST", "/backup", labels=["lite"])["ids"]
    databases.reset_switches()
    lost = backed_up(databases, "shop", lose_files=True)
    try:
        check, of_pending, of_lost = drills.tasks(
            {CHECK: {"provider": "backupman", "source": "lite", "max_age": "1s"}},
            from_backupman("lite", pending, drills.place / "x"),
            from_backupman("shop", lost, drills.place / "y"))
    finally:
        for number in (pending, lost):
            databases.service("backupman", "DELETE", f"/backups/{number}")
    assert "stale" in codes(check)
    assert of_pending.failure == "backup_running"
    assert of_lost.failure == "storage" and "failed to read file" in of_lost["msg"]
    assert [path.name for path in drills.place.glob("[xy]")] == []


def test_a_dump_that_was_cut(drills, databases):
    number = backed_up(databases, "wiki", damage="cut")
    path = str(drills.place / "cut")
    _got, read, drill = drills.tasks(from_backupman("wiki", number, path), {VERIFY: {"path": path}}, {DRILL: {"path": path}})
    assert problems(read) & {"incomplete", "open_statement"}
    assert set(codes(drill)) == {"file_invalid"} and drill["restored"] == []


# -- what is asked of it ------------------------------------------------------------------------------------------

# A query that writes, and one that does not, with its answer.
QUERIES = {
    "backupman-shop": ("DELETE FROM customers", "SELECT count(*) FROM customers"),
    "backupman-wiki": ("DELETE FROM sessions", "SELECT count(*) FROM customers"),
    "cache": ("SET greeting x", "DBSIZE"),
    "docs": ('{"collection": "customers", "pipeline": [{"$out": "stolen"}]}', '{"collection": "customers", "pipeline": [{"$count": "n"}]}'),
    "backupman-lite": ("DELETE FROM customers", "SELECT count(*) FROM customers"),
}


@pytest.mark.parametrize("name", QUERIES)
def test_questions_and_one_that_writes(drills, databases, fetched, name):
    stack, _engine = FILES[name]
    writes, reads = QUERIES[name]
    rows = databases.tables(stack)["db0" if stack == "cache" else "customers"]
    answer = drills.drill(fetched[name], queries=[
        {"sql": writes, "min": 0}, {"sql": reads, "expect": rows}, {"sql": reads, "min": rows, "max": rows}, {"sql": reads, "min": rows + 1}])
    assert answer.failed and codes(answer) == ["query_failed", "query_mismatch"], answer.result
    assert answer["violations"][1]["observed"] == rows
    # Nothing was written, or the count would be another one.
    assert counts(answer["restored"][0])["db0" if stack == "cache" else "customers"] == rows


def test_assertions_that_do_not_hold(drills, fetched, databases):
    path = str(fetched["backupman-lite"])
    few, slow, plan = drills.tasks(
        {DRILL: {"path": path, "tables": ["customers", "invoices"], "min_rows": {"customers": 10 ** 6}}},
        {DRILL: {"path": path, "max_restore_seconds": 0, "fail_on_violation": False}},
        {DRILL: {"path": path, "proof_dir": str(drills.proofs), "source": "lite"}, "check_mode": True})
    assert codes(few) == ["missing_table", "too_few_rows"]
    assert (slow.failed, codes(slow)) == (False, ["too_slow"])
    assert (plan["plan"][0]["engine"], plan.failed, "proven" in plan.result) == ("sqlite", False, False)
    assert not drills.proofs.exists()


# -- bad input ----------------------------------------------------------------------------------------------------


def test_hosts_and_options_that_prevent_a_drill(drills, fetched, existing_python):
    empty, long = drills.place / "empty", Path(tempfile.mkdtemp(prefix="rbt-" + 80 * "x"))
    empty.mkdir()
    for name, text in (("pg.sql", POSTGRESQL.replace("version 14.1", "version 99.1")),
                       ("my.sql", MARIADB.replace("10.6.12", "99.6.12"))):
        (drills.place / name).write_text(text % "")
    shop, lite = str(fetched["backupman-shop"]), str(fetched["backupman-lite"])
    try:
        answers = drills.tasks(
            {DRILL: {"path": str(fetched["docs"])}, "vars": {"ansible_python_interpreter": existing_python}},
            {DRILL: {"path": shop, "bin_dir": str(empty)}},
            {DRILL: {"path": str(drills.place / "pg.sql")}},
            {DRILL: {"path": str(drills.place / "my.sql")}},
            {DRILL: {"path": shop, "scratch_dir": str(long)}},
            {DRILL: {"path": shop, "scratch_dir": str(drills.place / "nothing")}},
            {DRILL: {"path": shop, "space_factor": 10 ** 9}},
            {DRILL: {"path": lite, "source": "lite", "proof_dir": lite + "/proofs"}},
            {DRILL: {"path": lite, "proof_dir": str(drills.proofs)}},
            {DRILL: {"path": shop, "login_unix_socket": str(empty), "login_user": "boss", "login_password": "x"}},
            {DRILL: {"path": lite, "member": "other"}},
            {DRILL: {"path": lite, "queries": [{"sql": "SELECT 1"}]}},
            {DRILL: {"path": str(drills.place / "absent")}})
    finally:
        long.rmdir()
    for answer, (code, *words) in zip(answers, (
        ("no_engine", "mongod", "install"),
        ("bad_option", "bin_dir", "holds no"),
        ("engine_too_old", "99", "newer than"),
        ("engine_too_old", "99", "newer than"),
        ("bad_option", "scratch_dir", "too long"),
        ("bad_option", "scratch_dir"),
        ("no_space", "scratch_dir", "space_factor"),
        ("proof", "proof_dir"),
        ("bad_option", "proof_dir", "source"),
        ("start_failed",),
        ("bad_option", "member", "the backup holds"),
        ("bad_option", "queries", "none of expect, min and max"),
        ("bad_option", "path", "does not exist"),
    ), strict=True):
        assert answer.failure == code, answer.result
        assert all(word in answer["msg"] for word in words), answer["msg"]
    assert drills.left() == []


@pytest.fixture
def existing_python(tmp_path):
    """A Python that has none of the packages which bring servers."""
    venv.create(tmp_path / "python", with_pip=False)
    assert not shutil.which("mongod"), "take the mongod of this machine out of PATH: this test looks for the sentence that it is missing"
    return str(tmp_path / "python/bin/python")


def test_a_disk_that_fills_up_in_the_middle(drills):
    """Rows that take little room in the dump and much in the database."""
    (drills.place / "large.sql").write_text(
        POSTGRESQL % "DO $$ BEGIN INSERT INTO public.t SELECT repeat(md5(n::text), 40) FROM generate_series(1, 200000) n; END $$;\n")
    run = drills.in_a_small_file_system(96 << 20, {DRILL: {"path": str(drills.place / "large.sql"), "space_factor": 0}})
    assert run.only.failure == "no_space", run.output
    assert "No space left on device" in run.only["msg"]


def test_passwords_are_told_to_nobody(drills, databases, fetched):
    """Neither those of the live database nor those of a server to restore into, whether the drill goes well or not."""
    password = databases.login("wiki")["password"]
    where = live(databases.login("wiki"))
    path = str(fetched["backupman-wiki"])
    names = {"source": "wiki", "proof_dir": str(drills.proofs)}
    good, refused, wrong = drills.tasks(
        {DRILL: {"path": path, "compare": where, **names}},
        {DRILL: {"path": path, "compare": {**where, "login_password": "not-the-pass-word"}, **names}},
        {DRILL: {"path": path, "login_unix_socket": where["login_unix_socket"], "login_user": "reader", "login_password": password, **names}},
        arguments=("-vvvvv",))
    proven(good)
    assert refused.failed and wrong.failed
    texts = [drills.output, json.dumps([good.result, refused.result, wrong.result])]
    texts += [path.read_text() for path in drills.proofs.rglob("*.json")]
    assert len(texts) > 2
    for text in texts:
        assert password not in text and "not-the-pass-word" not in text
