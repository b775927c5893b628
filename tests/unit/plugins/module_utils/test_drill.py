# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_drill: what is asserted, what is an error and what a violation, what is always cleaned up. The engine is a stand-in."""

from __future__ import annotations

import os

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import _formats, _report
from ansible_collections.restorable.backups.plugins.module_utils._engines import EngineError
from ansible_collections.restorable.backups.plugins.module_utils._engines._postgresql_definitions import moved_on
from ansible_collections.restorable.backups.plugins.module_utils._errors import BackupError, OptionError
from ansible_collections.restorable.backups.plugins.module_utils._operations import _assertions, drill
from ansible_collections.restorable.backups.plugins.module_utils._proof import chain_problems

DUMP = b"words\npublic.customers 7\npublic.order 3\n"


class Words:
    """A format for these tests: a line for each table, with its number of rows."""

    FORMAT = "words"

    @staticmethod
    def matches(head, name):
        return head.startswith(b"words\n")

    @staticmethod
    def read(stream, member, report):
        member.engine = "postgresql"
        for line in stream.read(len(stream.peek(4096))).decode().splitlines()[1:]:
            if line == "damaged":
                report.problem("bad_structure", "is damaged", member.name, 6)
                return
            name, _space, rows = line.partition(" ")
            member.table(name, int(rows))


class Engine:
    """Restores such dumps into a dict. ``trouble`` maps the name of a method to the error that it raises."""

    users = ()
    trouble: dict = {}
    made: list = []
    lives = None
    sums: dict = {}
    defined = {("shop", "view", "public.revenue"): "SELECT 1", ("shop", "sequence", "public.ids"): "7"}
    words = "words 15"

    def __init__(self, scratch, settings):
        self.scratch, self.settings, self.rows, self.calls = scratch, settings, {}, []
        self.left_out = ["owners"]
        Engine.made.append(self)

    def _step(self, name):
        self.calls.append(name)
        if name in self.trouble:
            raise self.trouble[name]

    def choose(self, member):
        self._step("choose")
        return {"server_version": "15.4", "bin_dir": "/usr/lib/words"}

    def start(self):
        self._step("start")
        assert os.path.isdir(self.scratch.path)

    def restore(self, job):
        self._step("restore")
        with job.open() as stream:
            lines = stream.read(len(stream.peek(4096))).decode().splitlines()[1:]
        self.rows = {(None, line.split(" ")[0]): int(line.split(" ")[1]) for line in lines}

    def counts(self):
        self._step("counts")
        return self.rows

    def held(self):
        return self.counts()

    def query(self, sql, database=None):
        self._step("query")
        return {"one": [["7"]], "two": [["a", None], ["b", "t"]], "nothing": []}[sql]

    def checksum(self, table, database=None):
        return "sum of %s" % table

    def definitions(self):
        return {(None, "view", "public.revenue"): "SELECT 1", (None, "sequence", "public.ids"): "7"}

    def dialect(self):
        return "words 15"

    def version(self):
        return "15.5"

    def stop(self):
        self._step("stop")

    @classmethod
    def live(cls, scratch, settings, login):
        cls.login = login
        return Live(cls.lives)


class Live:
    def __init__(self, rows):
        self._rows = rows

    def counts(self):
        return self._rows

    def checksum(self, table, database=None):
        return Engine.sums.get(table, "sum of %s" % table)

    def definitions(self):
        return Engine.defined

    def dialect(self):
        return Engine.words


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(_formats, "READERS", (Words,))
    monkeypatch.setattr(drill, "ENGINES", {"postgresql": Engine})
    monkeypatch.setattr(drill, "_service_user", lambda kind: None)
    monkeypatch.setattr(Engine, "trouble", {})
    monkeypatch.setattr(Engine, "made", [])
    monkeypatch.setattr(Engine, "lives", None)
    monkeypatch.setattr(Engine, "sums", {})
    scratch = tmp_path / "s"
    scratch.mkdir()
    # A socket's path is short; that of pytest's folders is not.
    monkeypatch.chdir(tmp_path)

    def call(content=DUMP, check_mode=False, **params):
        (tmp_path / "shop.dump").write_bytes(content)
        given = {name: about.get("default") for name, about in drill.SPEC["argument_spec"].items()}
        given.update(path=[str(tmp_path / "shop.dump")], fail_on_violation=False)
        given.update(params)
        try:
            return drill.run(given, check_mode, clock=drill.time)
        finally:
            for engine in Engine.made:
                if engine.scratch is not None:
                    assert engine.calls[-1] == "stop"
                    assert not os.path.exists(engine.scratch.path)

    return call


def codes(result):
    return [violation["code"] for violation in result["violations"]]


def test_a_backup_that_comes_back_whole_is_proven(run):
    result = run()
    assert result["proven"] and not result["violations"] and result["changed"] is False
    (restored,) = result["restored"]
    assert restored["tables"] == [
        {"database": None, "name": "public.customers", "rows": 7},
        {"database": None, "name": "public.order", "rows": 3},
    ]
    assert (restored["rows"], restored["server_version"], restored["left_out"]) == (10, "15.5", ["owners"])
    assert restored["asserted"] == [{"what": "counts equal those of the file", "held": True}]
    assert set(result["timings"]) == {"verify", "start", "restore", "assert", "total"}
    assert result["proof"]["proven"] and result["proof_path"] is None


@pytest.mark.parametrize(
    "details, words", [({"data_only": True}, "without the definitions"), ({"cluster": True, "databases": []}, "and no database")]
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_what_brings_no_database_back_is_not_restored(run, monkeypatch, details, words, check_mode):
    def read(stream, member, report):
        usual(stream, member, report)
        member.details.update(details)

    usual = Words.read
    monkeypatch.setattr(Words, "read", staticmethod(read))
    result = run(check_mode=check_mode)
    assert codes(result) == ["nothing_to_restore"] and not result["proven"] and not Engine.made
    assert words in result["violations"][0]["message"]


def test_a_damaged_file_is_not_restored(run):
    result = run(b"words\ndamaged\n")
    assert codes(result) == ["file_invalid"] and not result["proven"] and not Engine.made
    assert result["violations"][0]["observed"] == "bad_structure"
    assert run(b"words\ndamaged\n", fail_on_violation=True)["failed"]


@pytest.mark.parametrize(
    "restored, code",
    [
        ({(None, "public.customers"): 6, (None, "public.order"): 3}, "count_mismatch"),
        ({(None, "public.customers"): 7}, "table_missing"),
    ],
)
def test_rows_that_do_not_come_back_are_noticed(run, monkeypatch, restored, code):
    monkeypatch.setattr(Engine, "counts", lambda self: restored)
    assert codes(run()) == [code]
    assert run(expect_counts=False)["proven"]


@pytest.mark.parametrize(
    "code, violation",
    [("restore_failed", "restore_failed"), ("unsafe", "unsafe"), ("unsupported", "restore_failed")],
)
def test_what_the_restore_says_of_the_backup_is_a_violation(run, monkeypatch, code, violation):
    monkeypatch.setattr(Engine, "trouble", {"restore": EngineError(code, "psql: ERROR at line 7")})
    result = run()
    assert codes(result) == [violation] and "line 7" in result["violations"][0]["message"]


@pytest.mark.parametrize("step", ["choose", "start", "restore", "counts"])
@pytest.mark.parametrize("code", ["no_engine", "engine_too_old", "no_space", "start_failed", "server_died"])
def test_what_speaks_of_the_host_proves_nothing_and_fails(run, monkeypatch, step, code):
    monkeypatch.setattr(Engine, "trouble", {step: EngineError(code, "not today")})
    with pytest.raises(BackupError) as caught:
        run()
    assert caught.value.code == code


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_everything_is_cleaned_up_whatever_happens(run, monkeypatch, error):
    monkeypatch.setattr(Engine, "trouble", {"restore": error()})
    with pytest.raises(error):
        run()
    assert "stop" in Engine.made[0].calls


@pytest.mark.parametrize(
    "query, code",
    [
        ({"sql": "one", "expect": 7}, None),
        ({"sql": "one", "expect": "7"}, None),
        ({"sql": "one", "expect": [7]}, None),
        ({"sql": "one", "expect": 8}, "query_mismatch"),
        ({"sql": "one", "min": 7.0, "max": 7.0}, None),
        ({"sql": "one", "min": 8.0}, "query_mismatch"),
        ({"sql": "one", "max": 6.0}, "query_mismatch"),
        ({"sql": "two", "expect": [["a", None], ["b", True]]}, None),
        ({"sql": "two", "min": 1.0}, "query_mismatch"),
        ({"sql": "nothing", "expect": []}, None),
        ({"sql": "nothing", "min": 0.0}, "query_mismatch"),
    ],
)
def test_queries(run, query, code):
    result = run(queries=[dict({"database": None, "expect": None, "min": None, "max": None}, **query)])
    assert codes(result) == ([] if code is None else [code])
    assert result["restored"][0]["asserted"][-1] == {"what": "query: " + query["sql"], "held": code is None}


def test_a_query_that_fails_is_a_violation(run, monkeypatch):
    monkeypatch.setattr(Engine, "trouble", {"query": EngineError("query_failed", "cannot execute INSERT")})
    query = {"sql": "INSERT", "database": None, "expect": 1, "min": None, "max": None}
    assert codes(run(queries=[query])) == ["query_failed"]


def test_tables_rows_and_time(run):
    assert run(tables=["customers"], min_rows={"order": 3}, max_restore_seconds=600.0)["proven"]
    result = run(tables=["orders"], min_rows={"order": 4}, max_restore_seconds=0.0)
    assert codes(result) == ["missing_table", "too_few_rows", "too_slow"]
    assert not result["proven"]


# -- the live database -------------------------------------------------------------------------------------------------


def compare(**options):
    given = dict.fromkeys(drill.SPEC["argument_spec"]["compare"]["options"])
    given.update(mode="counts", tolerance=0)
    given.update(options)
    return given


def live(**options):
    return compare(login_host="db", login_user="reader", login_password="x", **options)


SAME = {(None, "public.customers"): 7, (None, "public.order"): 3}


@pytest.mark.parametrize(
    "lives, options, code",
    [
        (SAME, {}, None),
        ({("shop", "public.customers"): 7, ("shop", "public.order"): 3}, {}, None),
        (dict(SAME, **{}), {"mode": "checksum"}, None),
        ({(None, "public.customers"): 9, (None, "public.order"): 3}, {}, "live_mismatch"),
        ({(None, "public.customers"): 9, (None, "public.order"): 3}, {"tolerance": 2}, None),
        ({(None, "public.customers"): 9, (None, "public.order"): 3}, {"tables": ["order"]}, None),
        ({(None, "public.customers"): 7}, {}, "live_mismatch"),
        ({(None, "public.customers"): 7, (None, "public.order"): 3, (None, "public.new"): 1}, {}, "live_mismatch"),
        ({(None, "public.customers"): 7, (None, "public.order"): 3, (None, "public.new"): 0}, {}, None),
        (SAME, {"tables": ["nothing"]}, "missing_table"),
    ],
)
def test_the_live_database_is_the_measure(run, monkeypatch, lives, options, code):
    monkeypatch.setattr(Engine, "lives", lives)
    assert codes(run(compare=live(**options))) == ([] if code is None else [code])


def test_other_content_is_found_by_checksum_only(run, monkeypatch):
    monkeypatch.setattr(Engine, "lives", SAME)
    monkeypatch.setattr(Engine, "sums", {"public.order": "another sum"})
    assert run(compare=live())["proven"]
    result = run(compare=compare(mode="checksum", login_host="db", login_user="reader", login_password="secret-word"))
    assert codes(result) == ["checksum_mismatch"]
    assert Engine.login["password"] == "secret-word" and "secret-word" not in repr(result)


VIEW, IDS = ("shop", "view", "public.revenue"), ("shop", "sequence", "public.ids")


@pytest.mark.parametrize(
    "defined, words, held",
    [
        ({VIEW: "SELECT 1", IDS: "7"}, "words 15", True),
        ({IDS: "7"}, "words 15", False),
        ({VIEW: "SELECT 2", IDS: "7"}, "words 15", False),
        ({VIEW: "SELECT 1", IDS: "8"}, "words 15", False),
        ({VIEW: "SELECT 1", IDS: "7", ("shop", "index", "public.name"): "btree (name)"}, "words 15", False),
        # Another version has other words for the same; values and names it has not.
        ({VIEW: "SELECT (1)", IDS: "7"}, "words 16", True),
        ({VIEW: "SELECT (1)", IDS: "8"}, "words 16", False),
        ({IDS: "7"}, "words 16", False),
        # What may not be read there.
        ({VIEW: "SELECT 1", IDS: None}, "words 15", True),
        # What only one side tells, and needs not be told.
        ({VIEW: "SELECT 1", IDS: "7", ("shop", "encoding", ""): "UTF8"}, "words 15", True),
        ({VIEW: "SELECT 1", IDS: "7", (None, "system tables", "sys of 1.0"): "config"}, "words 15", True),
    ],
)
def test_what_is_no_row_is_compared_too(run, monkeypatch, defined, words, held):
    monkeypatch.setattr(Engine, "lives", SAME)
    monkeypatch.setattr(Engine, "defined", defined)
    monkeypatch.setattr(Engine, "words", words)
    assert codes(run(compare=live(mode="checksum"))) == ([] if held else ["definition_mismatch"])
    assert run(compare=live(mode="checksum", tables=["customers"]))["proven"]


def test_of_a_schema_the_definitions_are_compared(run, monkeypatch):
    monkeypatch.setattr(Engine, "lives", {(None, "public.customers"): 10**6})
    monkeypatch.setattr(Engine, "defined", {VIEW: "SELECT 1", IDS: "900"})
    assert run(compare=live(mode="definitions"))["proven"]
    assert codes(run(compare=live(mode="checksum"))) != []
    # What is data as well: a comment on an object that is not there, a view that nobody has filled.
    stored = ("shop", "materialized view", "sums")
    monkeypatch.setattr(Engine, "definitions", lambda self: {VIEW: "SELECT 1", stored: "SELECT 3; EMPTY"})
    there = {VIEW: "SELECT 1", stored: "SELECT 3;", ("shop", "comment", "large object 7"): "a"}
    monkeypatch.setattr(Engine, "defined", there)
    assert run(compare=live(mode="definitions"))["proven"]
    monkeypatch.setattr(Engine, "defined", {**there, VIEW: "SELECT 2"})
    assert codes(run(compare=live(mode="definitions"))) == ["definition_mismatch"]
    with pytest.raises(OptionError, match="compare.tables"):
        run(compare=live(mode="definitions", tables=["customers"]))


@pytest.mark.parametrize("defined", [{VIEW: "SELECT 1", IDS: None}, {VIEW: "SELECT 1", ("shop", "sequence", None): None}])
def test_what_the_live_login_is_not_shown_stands_in_the_notes(run, monkeypatch, defined):
    monkeypatch.setattr(Engine, "lives", SAME)
    monkeypatch.setattr(Engine, "defined", defined)
    result = run(compare=live(mode="checksum"))
    assert result["proven"]
    assert result["restored"][0]["notes"] == ["all sequences could not be compared: one side, or its login, does not tell them"]


def test_rows_that_cannot_be_counted_stand_in_the_notes(run, monkeypatch):
    monkeypatch.setattr(Engine, "counts", lambda self: {**SAME, (None, "public.order"): None})
    result = run()
    assert result["proven"] and "the rows of public.order were not counted" in result["restored"][0]["notes"][0]


def test_rows_that_find_another_partition_are_those_of_their_table(run, monkeypatch):
    def read(stream, member, report):
        usual(stream, member, report)
        member.gather((None, "public.p"), [(None, "public.customers"), (None, "public.order")])

    usual = Words.read
    monkeypatch.setattr(Words, "read", staticmethod(read))
    monkeypatch.setattr(Engine, "lives", SAME)
    for customers, order, found in ((6, 4, []), (7, 3, []), (6, 3, ["count_mismatch", "live_mismatch"])):
        there = {(None, "public.customers"): customers, (None, "public.order"): order}
        monkeypatch.setattr(Engine, "counts", lambda self, there=there: there)
        result = run(compare=live(mode="checksum"))
        assert codes(result) == found
        assert [one["name"] for one in result["restored"][0]["checksums"]] == (["public.p"] if not found else [])
    assert result["violations"][0]["message"] == "public.p has 9 rows after the restore, the file holds 10"
    assert codes(run(compare=live(tables=["order"]))) == ["count_mismatch", "live_mismatch"]
    monkeypatch.setattr(Engine, "counts", lambda self: {})
    assert codes(run()) == ["table_missing"]


def test_partitions_of_which_one_is_not_counted():
    member = _report.Member("dump")
    member.table("public.a", 3)
    member.table("public.b", None)
    member.gather((None, "public.p"), [(None, "public.a"), (None, "public.b")])
    assert member.through_root[None, "public.p"][0] is None
    there = {(None, "public.a"): 1, (None, "public.b"): 1}
    assert _assertions.counts(member, there) == [] and _assertions.at_roots(there, member.through_root) == {(None, "public.p"): 2}


def test_a_partitioned_table_stands_for_its_partitions(run, monkeypatch):
    partitions = {(None, "public.p"): [(None, "public.customers"), (None, "public.order")]}
    monkeypatch.setattr(Engine, "partitions", lambda self: partitions, raising=False)
    monkeypatch.setattr(Engine, "lives", SAME)
    assert codes(run(tables=["p"], min_rows={"p": 10})) == []
    assert codes(run(min_rows={"p": 11})) == ["too_few_rows"]
    result = run(compare=live(mode="checksum", tables=["p"]))
    assert codes(result) == [] and [one["name"] for one in result["restored"][0]["checksums"]] == ["public.customers", "public.order"]
    assert codes(run(compare=live(tables=["q"]))) == ["missing_table"]


def test_a_sequence_may_have_given_numbers_to_rows_that_are_allowed_for(run, monkeypatch):
    monkeypatch.setattr(Engine, "lives", SAME)
    monkeypatch.setattr(Engine, "moved_on", staticmethod(moved_on), raising=False)
    steps = {(None, "steps of sequence", "public.s"): "bigint, 1, 1, 1, 9, 1, f"}
    key = (None, "sequence", "public.s")
    monkeypatch.setattr(Engine, "definitions", lambda self: {**steps, key: "37"})
    for value, tolerance, found in (("43", 6, []), ("43", 5, ["definition_mismatch"]), ("43", 0, ["definition_mismatch"]), ("36", 6, ["definition_mismatch"])):
        monkeypatch.setattr(Engine, "defined", {**steps, key: value})
        assert codes(run(compare=live(mode="checksum", tolerance=tolerance))) == found, (value, tolerance)


@pytest.mark.parametrize(
    "before, now, steps, rows, may",
    [
        ("unused", "3", "integer, 1, 1, 1, 9, 1, f", 3, True),
        ("unused", "4", "integer, 1, 1, 1, 9, 1, f", 3, False),
        ("-2", "-6", "integer, -1, -2, -9, -1, 1, f, owned by t i", 2, True),
        ("-6", "-2", "integer, -1, -2, -9, -1, 1, f", 2, False),
        ("20", "40", "integer, 1, 1, 1, 99, 20, f", 1, True),
        ("3", "unused", "integer, 1, 1, 1, 9, 1, f", 3, False),
    ],
)
def test_how_far_rows_move_a_sequence(before, now, steps, rows, may):
    assert moved_on(before, now, steps, rows) is may


def test_what_both_sides_tell_is_compared(run, monkeypatch):
    tables, encoding = (None, "system tables", "sys of 1.0"), ("shop", "encoding", "")
    monkeypatch.setattr(Engine, "lives", SAME)
    monkeypatch.setattr(Engine, "definitions", lambda self: {tables: "config, version", encoding: "UTF8"})
    for defined, held in (({tables: "config, version", encoding: "UTF8"}, True), ({tables: "config"}, False), ({encoding: "LATIN1"}, False)):
        monkeypatch.setattr(Engine, "defined", defined)
        assert codes(run(compare=live(mode="checksum"))) == ([] if held else ["definition_mismatch"])


def test_what_has_no_rows_of_its_own_is_not_counted(run, monkeypatch):
    monkeypatch.setattr(Engine, "counts", lambda self: {**SAME, (None, "public.view"): None})
    for there in (None, 5):
        monkeypatch.setattr(Engine, "lives", {**SAME, (None, "public.view"): there})
        result = run(compare=live(mode="checksum"))
        assert result["proven"] and result["restored"][0]["rows"] == 10
        # Where one side tells, nobody must think that the other was held to it.
        assert len(result["restored"][0]["notes"]) == (there is not None)
        assert [one["name"] for one in result["restored"][0]["checksums"]] == ["public.customers", "public.order"]


def test_roles_of_what_was_left_out_are_those_of_the_live_server(run, monkeypatch):
    monkeypatch.setattr(Engine, "lives", SAME)
    monkeypatch.setattr(Engine, "roles", lambda self: {"app", "apq"}, raising=False)
    monkeypatch.setattr(Live, "roles", lambda self: {"app", "boss"}, raising=False)
    (violation,) = run(compare=live(mode="checksum"))["violations"]
    assert (violation["code"], violation["observed"]) == ("definition_mismatch", "apq")
    assert run(compare=live())["proven"]


def test_one_database_of_a_backup_of_many(run, monkeypatch):
    many = {("shop", "t"): 7, ("crm", "t"): 3}
    monkeypatch.setattr(Engine, "counts", lambda self: many)
    monkeypatch.setattr(Engine, "defined", {("shop", "view", "v"): "1"})
    monkeypatch.setattr(Engine, "definitions", lambda self: {("shop", "view", "v"): "1", ("crm", "view", "v"): "2"})
    monkeypatch.setattr(Engine, "lives", {("shop", "t"): 7})
    given = live(mode="checksum", database="shop")
    assert run(DUMP[:6], compare=given)["proven"]
    monkeypatch.setattr(Engine, "lives", {("shop", "t"): 8})
    assert codes(run(DUMP[:6], compare=given)) == ["live_mismatch"]
    with pytest.raises(OptionError, match="the backup holds crm, shop, not new"):
        run(DUMP[:6], compare=live(database="new"))


def test_what_differs_is_shown(run, monkeypatch):
    monkeypatch.setattr(Engine, "lives", SAME)
    monkeypatch.setattr(Engine, "defined", {VIEW: "SELECT 1", IDS: "8"})
    (violation,) = run(compare=live(mode="checksum"))["violations"]
    assert violation["message"].endswith("live database: '7' instead of '8'")


@pytest.mark.parametrize(
    "ours, theirs, shown",
    [
        ("a integer NOT NULL, b text", "a bigint NOT NULL, b text", "'integer' instead of 'bigint'"),
        ("one two", "one", "'one two' instead of 'one'"),
        ("one two four", "one two three four", "'four' instead of 'three four'"),
        ("", "x" * 100, "'' instead of '%s...'" % ("x" * 80)),
    ],
)
def test_differences_are_told_by_whole_words(ours, theirs, shown):
    assert _assertions._difference(ours, theirs) == shown


# -- proofs ------------------------------------------------------------------------------------------------------------


def test_proofs_are_written_for_both_outcomes_and_form_a_chain(run, tmp_path):
    place = str(tmp_path / "proofs")
    proofs = [run(source="shop", backup_id=number, proof_dir=place)["proof"] for number in ("1", "2")]
    query = {"sql": "one", "database": None, "expect": "somebody's data", "min": None, "max": None}
    asked = run(source="other", backup_id="1", proof_dir=place, queries=[query])
    assert asked["violations"][0]["expected"] and "somebody" not in repr(asked["proof"])
    proofs.append(run(b"words\ndamaged\n", source="shop", backup_id="3", proof_dir=place)["proof"])
    assert [proof["proven"] for proof in proofs] == [True, True, False]
    assert chain_problems(proofs) == []
    assert proofs[0]["file"]["names"] == ["shop.dump"] and len(proofs[0]["file"]["sha256"]) == 64
    assert len(list((tmp_path / "proofs" / "shop").glob("*.json"))) == 3


def test_check_mode_says_what_would_be_done_and_does_nothing(run, tmp_path):
    result = run(check_mode=True, source="shop", proof_dir=str(tmp_path / "proofs"))
    (plan,) = result["plan"]
    assert (plan["engine"], plan["server_version"], plan["tables"]) == ("postgresql", "15.4", 2)
    assert "proven" not in result and not (tmp_path / "proofs").exists()
    assert [engine.calls for engine in Engine.made] == [["choose"]]
    assert codes(run(b"words\ndamaged\n", check_mode=True)) == ["file_invalid"]


def test_check_mode_fails_where_the_real_run_would(run, tmp_path):
    damaged = run(b"words\ndamaged\n", check_mode=True, fail_on_violation=True)
    assert damaged["failed"] and damaged["msg"] == run(b"words\ndamaged\n", fail_on_violation=True)["msg"]
    with pytest.raises(OptionError, match="scratch_dir: .*No such file"):
        run(check_mode=True, scratch_dir=str(tmp_path / "nowhere"))
    with pytest.raises(BackupError) as caught:
        run(check_mode=True, space_factor=1e15)
    assert caught.value.code == "no_space"


@pytest.mark.parametrize("when", ["choose", "restore"])
def test_a_file_that_is_replaced_meanwhile_is_proof_of_nothing(run, monkeypatch, tmp_path, when):
    def swapped(self, *about):
        (tmp_path / "other").write_bytes(DUMP)
        (tmp_path / "other").replace(tmp_path / "shop.dump")
        return usual(self, *about)

    usual = getattr(Engine, when)
    monkeypatch.setattr(Engine, when, swapped)
    with pytest.raises(BackupError, match="shop.dump changed while it was read") as caught:
        run(source="shop", proof_dir=str(tmp_path / "proofs"))
    assert caught.value.code == "changed"
    assert not list(tmp_path.glob("proofs/**/*.json"))


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, option",
    [
        ({"path": ["/nonexistent"]}, "path"),
        ({"parents": ["/nonexistent"]}, "parents"),
        ({"engine": "redis"}, "engine"),
        ({"member": "other"}, "member"),
        ({"proof_dir": "/tmp/x"}, "proof_dir"),
        ({"space_factor": -1.0}, "space_factor"),
        ({"jobs": 0}, "jobs"),
        ({"max_restore_seconds": -1.0}, "max_restore_seconds"),
        ({"login_user": "admin", "login_password": "x"}, "login_host"),
        ({"compare": compare(mode="checksum")}, "compare.login_host"),
        ({"compare": compare(login_host="db", tolerance=-1)}, "compare.tolerance"),
        ({"queries": [{"sql": " ", "database": None, "expect": 1, "min": None, "max": None}]}, "queries"),
        ({"min_rows": {"a": "b"}}, "min_rows"),
        ({"queries": [{"sql": "one", "database": None, "expect": None, "min": None, "max": None}]}, "queries"),
        ({"queries": [{"sql": "one", "database": None, "expect": 1, "min": 1.0, "max": None}]}, "queries"),
    ],
)
def test_bad_options_are_named(run, params, option):
    with pytest.raises(OptionError) as caught:
        run(**params)
    assert caught.value.details["option"] == option
    assert not Engine.made


def test_too_little_space_is_said_before_anything_is_done(run):
    with pytest.raises(BackupError, match="scratch_dir: .* free, and the drill may need") as caught:
        run(space_factor=1e18)
    assert caught.value.code == "no_space" and not Engine.made
