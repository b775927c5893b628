# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_drill by ansible-playbook with hostile dumps, and with drills that are interrupted: nothing is left of either."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_runs import descendants
from damage import servers
from drill_runs import DRILL, MARIADB, POSTGRESQL, proven, working_in
from in_process import load

# Each writes the file TRACE, reads /etc/passwd into a table, reaches the database "other", or makes itself more than it is.
HOSTILE = {
    "postgresql": (POSTGRESQL, {
        "shell": "\\! touch TRACE",
        "program": "COPY public.t FROM PROGRAM 'touch TRACE';",
        "hidden program": "DO $$ BEGIN EXECUTE 'COPY public.t FROM PRO' || 'GRAM ''touch TRACE'''; END $$;",
        "hidden file": "DO $$ BEGIN EXECUTE 'COPY public.t FROM ' || '''/etc/passwd'''; END $$;",
        "another database": "\\connect other\nDROP TABLE public.precious;",
        "drop": "DROP DATABASE other;",
        "more rights": "DO $$ BEGIN EXECUTE 'ALTER ROLE CURRENT_USER SUPER' || 'USER'; END $$;",
    }),
    "mysql": (MARIADB, {
        "shell": "\\! touch TRACE",
        "system": "system touch TRACE",
        "outfile": "SELECT 'x' INTO OUTFILE 'TRACE';",
        "local file": "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE `t`;",
        "hidden file": "SET @s = CONCAT('INSERT INTO `t` SELECT LOAD_', 'FILE(''/etc/passwd'')'); PREPARE p FROM @s; EXECUTE p;",
        "another database": "USE `other`; DROP TABLE `precious`;",
        "hidden drop": "SET @s = CONCAT('DROP TABLE ', '`other`.`precious`'); PREPARE p FROM @s; EXECUTE p;",
        "drop": "DROP DATABASE `other`;",
    }),
}
# The last one: MariaDB answers NULL where a file must not be read, which makes a row more than the file holds.
REFUSALS = {"unsafe", "unsafe_statement", "unsupported", "restore_failed", "count_mismatch"}
NOTHING_READ = [{"sql": "SELECT count(*) FROM t WHERE a LIKE '%root:%'", "expect": 0}]
SLOW = {"postgresql": POSTGRESQL % "SELECT pg_sleep(600);", "mysql": MARIADB % "DO SLEEP(600);"}
HONEST = {"postgresql": "backupman-shop", "mysql": "backupman-wiki"}


class Existing:
    """A server that somebody has, with a database that matters, and a login that may make further ones."""

    PASSWORD = "p#'\"; =y"
    PRECIOUS = "CREATE TABLE precious (a text); INSERT INTO precious VALUES ('kept');"

    def __init__(self, engine, folder):
        self.engine = engine
        if engine == "postgresql":
            programs = servers.PostgreSQL.installations()
            server = servers.PostgreSQL(folder, programs[max(programs)])
        else:
            server = servers.MariaDB(folder)
        self.server = server.__enter__()
        # The programs of a drill run as another user.
        server.sockets.chmod(0o755)
        server.sql("CREATE DATABASE other;")
        server.sql(self.PRECIOUS, "other")
        if engine == "postgresql":
            server.sql("CREATE ROLE boss LOGIN CREATEDB CREATEROLE;")
        else:
            server.sql("CREATE USER boss@localhost IDENTIFIED BY '%s'; GRANT ALL ON *.* TO boss@localhost WITH GRANT OPTION;"
                       % self.PASSWORD.replace("'", "''"))

    def close(self):
        self.server.__exit__()

    @property
    def login(self):
        found = {"login_user": "boss", "login_password": self.PASSWORD, "login_unix_socket": self.server.login()["unix_socket"]}
        return {**found, "login_database": "postgres"} if self.engine == "postgresql" else found

    def state(self):
        """Databases, accounts, who is there, and what matters."""
        if self.engine == "postgresql":
            queries = ("SELECT datname FROM pg_database ORDER BY 1",
                       "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles ORDER BY 1",
                       "SELECT query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
            return [*map(self.server.sql, queries), self.server.sql("SELECT * FROM precious", "other")]
        return [*map(self.server.sql, (
            "SHOW DATABASES", "SELECT user, host FROM mysql.global_priv ORDER BY 1, 2",
            "SELECT info FROM information_schema.processlist WHERE id <> connection_id()", "SELECT * FROM other.precious"))]

    def asleep(self):
        """Whether a slow dump has come to its long statement."""
        if self.engine == "postgresql":
            return self.server.sql("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_slee[p]'").strip() == "1"
        return self.server.sql("SELECT 1 FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'").strip() == "1"


@pytest.fixture(scope="module")
def existing():
    """Gives the server of an engine that was there before, started at the first call."""
    made = {}
    home = Path(tempfile.mkdtemp(prefix="rbe-"))
    home.chmod(0o755)

    def get(engine):
        if engine not in made:
            made[engine] = Existing(engine, home / engine)
        return made[engine]

    yield get
    for one in made.values():
        one.close()
    home.rmdir()


# -- hostile dumps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["scratch", "existing"])
@pytest.mark.parametrize("engine", HOSTILE)
def test_a_hostile_dump_leaves_no_trace(drills, existing, engine, place):
    template, attempts = HOSTILE[engine]
    traces = Path(tempfile.mkdtemp(prefix="rbt-"))
    traces.chmod(0o777)
    server = existing(engine)
    before = server.state()
    assert "kept" in before[-1]
    tasks = []
    for number, text in enumerate(attempts.values()):
        path = drills.place / f"{number}.sql"
        path.write_text(template % text.replace("TRACE", str(traces / "trace")))
        tasks.append({DRILL: {"path": str(path), "queries": NOTHING_READ, **(server.login if place == "existing" else {})}})
    try:
        answers = drills.tasks(*tasks, arguments=("-vvv",))
        assert list(traces.iterdir()) == []
    finally:
        shutil.rmtree(traces)
    assert server.state() == before
    assert "root:x:0" not in drills.output
    for name, answer in zip(attempts, answers, strict=True):
        # What belongs to the server, such as other databases, may also be left out; but then it is told.
        if answer.failed:
            assert refusals(answer) & REFUSALS and "query_mismatch" not in refusals(answer), f"{name}: {answer.result}"
        else:
            assert answer["restored"][0]["left_out"], f"{name}: {answer.result}"
    assert drills.left() == []


def refusals(answer):
    if "violations" not in answer.result:
        return {answer.failure}
    return {one["observed"] if one["code"] == "file_invalid" else one["code"] for one in answer["violations"]}


# -- interrupted drills -------------------------------------------------------------------------------------------


def begin_slow(drills, engine, server=None):
    """A drill whose restore has come to a statement that does not end: (the run, the module's process)."""
    path = drills.place / "slow.sql"
    path.write_text(SLOW[engine])
    started = drills.begin({DRILL: {"path": str(path), **(server.login if server else {})}})

    def in_a_client():
        def clients():
            # One that begins or ends has no words; those that ask the server something come and go.
            return [words for words in map(str.split, working_in(drills.scratch)) if words and feeds(words)]
        first = clients()
        time.sleep(0.5)
        return first != [] and clients() == first

    return started, drills.running(started, server.asleep if server else in_a_client)


def feeds(words):
    """Whether a program is a client that restores a dump, and none that asks."""
    name = Path(words[0]).name
    return name == "psql" and "-A" not in words or name in ("mariadb", "mysql") and "--binary-mode" in words


@pytest.mark.parametrize("place", ["scratch", "existing"])
@pytest.mark.parametrize("engine", SLOW)
def test_what_a_killed_drill_left_is_gone_after_the_next(drills, existing, fetched, engine, place):
    server = existing(engine) if place == "existing" else None
    before = server.state() if server else None
    started, process = begin_slow(drills, engine, server)
    os.kill(process, signal.SIGKILL)
    (answer,) = started.ended().answers
    assert answer.failed and "failure" not in answer.result
    assert drills.left() != []
    if server:
        assert server.state()[0] != before[0]
    proven(drills.drill(fetched[HONEST[engine]], **(server.login if server else {})))
    assert drills.left() == []
    if server:
        assert server.state() == before


@pytest.mark.parametrize(("number", "engine", "place"), [
    (signal.SIGTERM, "postgresql", "scratch"), (signal.SIGINT, "postgresql", "existing"),
    (signal.SIGHUP, "mysql", "scratch"), (signal.SIGTERM, "mysql", "existing")])
def test_a_drill_that_is_told_to_stop_leaves_nothing(drills, existing, number, engine, place):
    """The module itself is told, as by a time limit or a shutdown."""
    server = existing(engine) if place == "existing" else None
    before = server.state() if server else None
    started, process = begin_slow(drills, engine, server)
    os.kill(process, number)
    (answer,) = started.ended().answers
    assert answer.failure == "interrupted"
    assert drills.left() == []
    if server:
        assert server.state() == before


def test_ctrl_c(drills):
    """A terminal sends the signal to all processes of the run's group."""
    started, process = begin_slow(drills, "mysql")
    group = os.getpgid(started.process.pid)
    for pid in [started.process.pid, *descendants(started.process.pid)]:
        with suppress(ProcessLookupError):  # some come and go
            if os.getpgid(pid) == group:
                os.kill(pid, signal.SIGINT)
    assert started.ended().code != 0
    give_up = time.monotonic() + 30
    while drills.left() or Path(f"/proc/{process}").exists():
        assert time.monotonic() < give_up, drills.left()
        time.sleep(0.1)


def test_two_drills_of_one_file_at_once(drills, fetched):
    options = {"path": str(fetched["wiki"]), "source": "wiki", "proof_dir": str(drills.proofs)}
    started = [drills.begin({DRILL: options}) for _number in range(2)]
    answers = [proven(each.ended()) for each in started]
    assert sorted(answer["proof"]["sequence"] for answer in answers) == [1, 2]
    proofs = [json.loads(path.read_text()) for path in drills.proofs.rglob("*.json")]
    assert load("_proof").chain_problems(proofs) == []
    assert drills.left() == []
