# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of Redis with a real server."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from files import USERS, drill, engines, job_of, killed_drill, runs, short_folder, unread_job

from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._engines import EngineError, Scratch, _resp
from ansible_collections.restorable.backups.plugins.module_utils._engines import redis as redis_engine
from ansible_collections.restorable.backups.plugins.module_utils._engines.redis import Redis


class Source:
    """A server that backups are made of."""

    def __init__(self, folder, *options):
        self.folder = Path(folder)
        self.socket = str(self.folder / "s")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", str(folder), "--save", "", *options],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                self.connection = _resp.Connection(self.socket)
                self.ask = self.connection.ask
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def fill(self, lines):
        answers = self.connection.ask_all([line if isinstance(line, list) else line.split() for line in lines])
        assert not [answer for answer in answers if isinstance(answer, _resp.Refusal)]

    def save(self, path):
        assert self.ask("SAVE") == b"OK"
        shutil.copy(self.folder / "dump.rdb", path)
        return path

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def folder():
    with short_folder() as path:
        yield path


@pytest.fixture
def source(folder):
    made = []

    def make(*options):
        place = folder / ("source%d" % len(made))
        place.mkdir()
        made.append(Source(place, *options))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture(params=USERS)
def engine(request, folder):
    with engines(Redis, folder, USERS[request.param], timeout=30) as make:
        yield make


EVERYTHING = [
    "SET text hello",
    ["SET", "Schlüssel", "Grüße"],
    ["SET", b"\x00\xff\r\n", b"\r\n\x00"],
    "SET number 12345",
    "SET empty_value x",
    ["SET", "big", "x" * 100000],
    "SETBIT bits 1000 1",
    "PFADD hll a b c",
    "RPUSH list 1 2 3 four",
    ["RPUSH", "long list"] + ["element %d" % at for at in range(5000)],
    "SADD ints 1 2 3",
    "SADD texts a b c",
    ["SADD", "big set"] + ["member %d" % at for at in range(3000)],
    "HSET hash a 1 b 2",
    ["HSET", "big hash"] + [str(at) for at in range(4000)],
    "ZADD scores 1.5 a -inf b 3e100 c",
    ["ZADD", "big scores"] + [str(at) for at in range(4000)],
    "XADD stream 1-1 a 1",
    "XADD stream 2-1 b 2",
    "XGROUP CREATE stream readers 0",
    "SELECT 3",
    "SET three 3",
    "SELECT 15",
    "SET fifteen 15",
    "SELECT 0",
]


def test_every_kind_of_value(engine, source, folder):
    server = source()
    server.fill(EVERYTHING + [["XADD", "long stream", "%d-0" % at, "f", "v%d" % at] for at in range(1, 4500)])
    job = job_of(server.save(folder / "dump.rdb"))
    made = engine()
    counts = drill(made, job)
    assert counts == job.member.tables == {(None, "db0"): 19, (None, "db3"): 1, (None, "db15"): 1}
    assert made.version() == job.member.server_version
    live = Redis.live(None, {}, {"unix_socket": server.socket})
    assert live.counts() == counts
    for _database, name in counts:
        assert made.checksum(name) == live.checksum(name)
    before = live.checksum("db0")
    for change, undo in (
        ("SET text hallo", "SET text hello"),
        ("LSET list 1 9", "LSET list 1 2"),
        ("SREM ints 1", "SADD ints 1"),
        ("HSET hash a 2", "HSET hash a 1"),
        ("ZADD scores 1.6 a", "ZADD scores 1.5 a"),
        ("RENAME text texu", "RENAME texu text"),
        (["LSET", "long list", "4999", "x"], ["LSET", "long list", "4999", "element 4999"]),
    ):
        server.fill([change])
        assert live.checksum("db0") != before, change
        server.fill([undo])
        assert live.checksum("db0") == before, undo
    server.fill([["XADD", "long stream", "5000-0", "f", "v"]])
    assert live.checksum("db0") != before
    live.close()


@pytest.mark.parametrize("number", [0, 1, 20000])
def test_sizes(engine, source, folder, number):
    server = source()
    for start in range(0, number, 1000):
        server.fill([["SET", "key %d" % at, "value %d" % at] for at in range(start, min(number, start + 1000))])
    job = job_of(server.save(folder / "dump.rdb"))
    made = engine()
    assert drill(made, job) == job.member.tables == ({(None, "db0"): number} if number else {})
    assert made.query("DBSIZE") == [[str(number)]]
    live = Redis.live(None, {}, {"unix_socket": server.socket})
    assert made.checksum("db0") == live.checksum("db0")
    live.close()


def test_keys_that_are_past_their_time_are_counted_and_stay(engine, source, folder):
    server = source()
    server.fill(["SET a 1", "SET b 2 PX 60", "SET c 3 EX 1000", "SELECT 3", "SET d 4 PX 60"])
    job = job_of(server.save(folder / "dump.rdb"))
    time.sleep(0.1)
    made = engine()
    assert drill(made, job) == {(None, "db0"): 3, (None, "db3"): 1} == job.member.tables
    # Longer than the server's cycle of expiry.
    time.sleep(0.3)
    assert made.counts() == job.member.tables
    assert made.left_out == []
    assert made.query("TTL c")[0][0] in ("999", "1000", "998")
    # Those do not count in a checksum, which is taken later of the live server.
    live = Redis.live(None, {}, {"unix_socket": server.socket})
    assert made.checksum("db0") == live.checksum("db0")
    live.close()


def test_queries(engine, source, folder):
    server = source()
    server.fill(EVERYTHING)
    made = engine()
    drill(made, job_of(server.save(folder / "dump.rdb")))
    for line, database, rows in (
        ("GET text", None, [["hello"]]),
        ("get 'Schlüssel'", "db0", [["Grüße"]]),
        ("GET three", 3, [["3"]]),
        ("GET three", "db3", [["3"]]),
        ("GET three", None, [[None]]),
        ("LRANGE list 0 1", None, [["1"], ["2"]]),
        ("XRANGE stream - + COUNT 1", None, [["1-1", "a 1"]]),
        ("HGET hash a", None, [["1"]]),
        ("OBJECT ENCODING ints", None, [["intset"]]),
        ("EXISTS text nothing", None, [["1"]]),
    ):
        assert made.query(line, database) == rows, line
    assert made.query("INFO server")[0][0].startswith("# Server")


MORE_THAN_READING = [
    "SET a b",
    "DEL text",
    "FLUSHALL",
    "CONFIG GET requirepass",
    "CONFIG SET dir /tmp",
    "DEBUG SLEEP 1",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "REPLICAOF NO ONE",
    "MODULE LOAD /tmp/x.so",
    "EVAL 'return 1' 0",
    "EVAL_RO 'return 1' 0",
    "SCRIPT LOAD 'return 1'",
    "SUBSCRIBE x",
    "BLPOP list 0",
    "MONITOR",
    "MULTI",
    "SORT list STORE x",
    "GETDEL text",
    "GETEX text EX 1",
    "nonsense",
    "",
    "GET 'text",
    "GET",
    "FUNCTION LIST",
    "FCALL f 0",
    "CLIENT KILL ID 1",
    "MIGRATE 127.0.0.1 1 text 0 10",
    "SELECT 1",
    "AUTH x",
    "ACL LIST",
]


def test_queries_that_do_more_than_read(engine, source, folder):
    server = source()
    server.fill(EVERYTHING)
    made = engine()
    job = job_of(server.save(folder / "dump.rdb"))
    drill(made, job)
    before = made.checksum("db0")
    for line in MORE_THAN_READING:
        with pytest.raises(EngineError) as failure:
            made.query(line)
        assert failure.value.code == "query_failed", line
    assert (made.checksum("db0"), made.counts()) == (before, job.member.tables)


def test_a_database_that_cannot_be(engine, source, folder):
    made = engine()
    drill(made, job_of(source().save(folder / "dump.rdb")))
    for database in ("shop", "db", "-1", "db99"):
        with pytest.raises(EngineError) as failure:
            made.query("DBSIZE", database)
        assert failure.value.code == "query_failed"


def test_more_databases_than_usual(engine, source, folder):
    server = source("--databases", "300")
    server.fill(["SELECT 299", "SET a b"])
    made = engine()
    assert drill(made, job_of(server.save(folder / "dump.rdb"))) == {(None, "db299"): 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-9],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-30] + bytes([content[-30] ^ 4]) + content[-29:],
        lambda content: content[:-8] + bytes([content[-8] ^ 1]) + content[-7:],
        lambda content: b"<html>" + content,
        lambda content: b"",
    ],
)
def test_a_damaged_file_is_refused(engine, source, folder, damage):
    server = source()
    server.fill(EVERYTHING)
    content = server.save(folder / "dump.rdb").read_bytes()
    (folder / "dump.rdb").write_bytes(damage(content))
    with pytest.raises(EngineError) as failure:
        drill(engine(), unread_job(folder / "dump.rdb", "dump.rdb", "redis-rdb"))
    assert failure.value.code == "restore_failed"


def test_a_file_newer_than_every_server(engine, source, folder):
    content = source().save(folder / "dump.rdb").read_bytes()
    job = job_of(folder / "dump.rdb")
    job.member.details["rdb_version"] = 12
    with pytest.raises(EngineError) as failure:
        engine().choose(job.member)
    assert failure.value.code == "engine_too_old"
    assert (
        "version 12 of the RDB format" in failure.value.message
        and "needs Redis 7.4 or later; this host has redis 7" in (failure.value.message)
    )
    # Nobody has looked into the file: the server says it.
    (folder / "dump.rdb").write_bytes(content[:5] + b"0012" + content[9:])
    with pytest.raises(EngineError) as failure:
        drill(engine(), unread_job(folder / "dump.rdb", "dump.rdb", "redis-rdb"))
    assert failure.value.code == "engine_too_old"


def test_data_of_a_module(engine, folder):
    (folder / "dump.rdb").write_bytes(
        b"REDIS0010\xfe\x00\x07\x01k\x81" + (0x4B5E2D5F5A1B9C01).to_bytes(8, "big") + b"\x00\xff" + bytes(8)
    )
    with pytest.raises(EngineError) as failure:
        drill(engine(), unread_job(folder / "dump.rdb", "dump.rdb", "redis-rdb"))
    assert failure.value.code == "unsupported"
    assert "module" in failure.value.message


def test_append_only_files(engine, source, folder):
    server = source("--appendonly", "yes", "--appendfsync", "always")
    server.fill(["SET a 1", "SET b 2 PX 50", "SELECT 2", "RPUSH l 1 2 3"])
    server.ask("BGREWRITEAOF")
    deadline = time.monotonic() + 20
    while b"aof_rewrite_in_progress:1" in server.ask("INFO", "persistence") or b"aof_rewrite_scheduled:1" in server.ask(
        "INFO", "persistence"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.fill(["SET c 3", "SELECT 0", "SET d 4", "GET b"])
    # The server itself drops what is past its time, and writes that down.
    while server.ask("EXISTS", "b"):
        assert time.monotonic() < deadline
    live = Redis.live(None, {}, {"unix_socket": server.socket})
    expected, sums = live.counts(), {name: live.checksum(name) for name in ("db0", "db2")}
    live.close()
    server.stop()
    path = server.folder / "appendonlydir"
    made = engine()
    job = unread_job(path, "appendonlydir", "redis-aof")
    assert drill(made, job) == expected == {(None, "db0"): 2, (None, "db2"): 2}
    assert {name: made.checksum(name) for name in sums} == sums
    (last,) = path.glob("*.incr.aof")
    content = last.read_bytes()
    last.write_bytes(content[:-3])
    with pytest.raises(EngineError) as failure:
        drill(engine(), job)
    assert failure.value.code == "restore_failed"
    # One file by itself, as before Redis 7.
    single = folder / "appendonly.aof"
    single.write_bytes(content)
    made = engine()
    drill(made, unread_job(single, "appendonly.aof", "redis-aof"))
    assert made.query("GET c", "db2") == [["3"]]
    for name in list(path.glob("*.manifest")):
        name.unlink()
    with pytest.raises(EngineError) as failure:
        drill(engine(), job)
    assert failure.value.code == "restore_failed"


def test_a_server_that_is_killed_while_it_loads(engine, source, folder, monkeypatch):
    server = source()
    server.fill(["SET key%d x" % at for at in range(500)])
    made = engine()
    config = made._config
    monkeypatch.setattr(made, "_config", lambda *about: config(*about) + "key-load-delay 20000\n")

    def kill():
        while made._server is None:
            time.sleep(0.01)
        time.sleep(0.3)
        made._server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(EngineError) as failure:
        drill(made, job_of(server.save(folder / "dump.rdb")))
    killer.join()
    assert failure.value.code == "server_died"


def test_a_server_that_is_killed_while_it_is_asked(engine, source, folder):
    made = engine()
    drill(made, job_of(source().save(folder / "dump.rdb")))
    made._server.kill()
    for question in (made.counts, lambda: made.query("DBSIZE"), lambda: made.checksum("db0")):
        with pytest.raises(EngineError) as failure:
            question()
        assert failure.value.code == "server_died"


def test_a_load_that_takes_too_long(engine, source, folder, monkeypatch):
    server = source()
    server.fill(["SET key%d x" % at for at in range(500)])
    made = engine(timeout=1)
    config = made._config
    monkeypatch.setattr(made, "_config", lambda *about: config(*about) + "key-load-delay 20000\n")
    with pytest.raises(EngineError, match="within 1 seconds"):
        drill(made, job_of(server.save(folder / "dump.rdb")))


def test_what_the_server_may_do(engine, source, folder):
    """No port, no save, no debug commands, a password, and another user where we are root."""
    made = engine()
    drill(made, job_of(source().save(folder / "dump.rdb")))
    ask = made._reader.connection.ask
    assert ask("CONFIG", "GET", "port") == [b"port", b"0"]
    assert ask("CONFIG", "GET", "save") == [b"save", b""]
    with pytest.raises(_resp.Refusal):
        ask("DEBUG", "JMAP")
    with pytest.raises(_resp.Refusal):
        ask("CONFIG", "SET", "dir", "/tmp")
    with pytest.raises(_resp.Refusal, match="READONLY"):
        ask("SET", "a", "b")
    socket_path = os.path.join(made.scratch.path, "redis", "s")
    with pytest.raises(_resp.Refusal, match="NOAUTH"):
        _resp.Connection(socket_path).ask("DBSIZE")
    process = Path("/proc/%d" % made._server.pid)
    assert process.stat().st_uid == (made.scratch.run_as.pw_uid if made.scratch.run_as else os.geteuid())
    assert ask("CONFIG", "GET", "requirepass")[1] not in (process / "cmdline").read_bytes()


def test_no_server_on_this_host(engine, source, folder, monkeypatch):
    member = job_of(source().save(folder / "dump.rdb")).member
    monkeypatch.setattr(redis_engine, "path_folders", lambda: [str(folder)])
    with pytest.raises(EngineError) as failure:
        engine().choose(member)
    assert failure.value.code == "no_engine"
    assert "install redis-server" in failure.value.message
    with pytest.raises(EngineError) as failure:
        engine(bin_dir=str(folder)).choose(member)
    assert failure.value.code == "no_engine"
    assert str(folder) in failure.value.message


def test_programs_where_the_servers_user_cannot_enter(engine, source, folder):
    closed = folder / "closed" / "bin"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    shutil.copy(os.path.realpath(shutil.which("redis-server")), closed / "redis-server")
    made = engine(bin_dir=str(closed))
    assert drill(made, job_of(source().save(folder / "dump.rdb"))) == {}


def test_an_existing_server_is_never_written_to(engine, source, folder):
    server = source()
    made = engine(login={"unix_socket": server.socket})
    with pytest.raises(EngineError) as failure:
        made.choose(job_of(server.save(folder / "dump.rdb")).member)
    assert failure.value.code == "bad_option"
    assert "numbered and shared" in failure.value.message


def test_a_live_server_with_a_password(source):
    server = source("--requirepass", "secret")
    live = Redis.live(None, {}, {"unix_socket": server.socket, "password": "secret"})
    assert live.counts() == {}
    for line in ("SET a b", "FLUSHALL", "CONFIG GET requirepass"):
        with pytest.raises(EngineError):
            live.query(line)
    live.close()
    with pytest.raises(EngineError) as failure:
        Redis.live(None, {}, {"unix_socket": server.socket, "password": "wrong"})
    assert failure.value.code == "query_failed" and "wrong" not in failure.value.message.replace("WRONGPASS", "")
    with pytest.raises(EngineError):
        Redis.live(None, {}, {"unix_socket": "/nonexistent"})
    live = Redis.live(None, {}, {"unix_socket": server.socket, "password": "secret"})
    server.stop()
    with pytest.raises(EngineError) as failure:
        live.counts()
    assert failure.value.code == "query_failed"


def test_what_a_killed_drill_left_is_swept(source, folder):
    pid = killed_drill(Redis, folder, source().save(folder / "dump.rdb"), {})
    assert len(Scratch.sweep(str(folder))) == 1
    assert not runs(pid)
    assert not [name for name in os.listdir(folder) if name.startswith("rbd-")]


def test_two_drills_of_one_file(engine, source, folder):
    server = source()
    server.fill(EVERYTHING)
    job = job_of(server.save(folder / "dump.rdb"))
    one, other = engine(), engine()
    assert drill(one, job) == drill(other, job)
    assert one.checksum("db0") == other.checksum("db0")
    one.stop()
    assert other.counts() == job.member.tables


def test_a_damaged_stream_stops_the_restore(engine, folder):
    def broken():
        raise _archive.Damaged("truncated", "ends too early", 3)

    class Broken(_archive.Stream):
        def _more(self):
            broken()

    job = unread_job(folder / "x", "dump.rdb", "redis-rdb")
    job.path, job.open = None, Broken
    with pytest.raises(EngineError) as failure:
        drill(engine(), job)
    assert failure.value.code == "restore_failed"


def test_the_services_own_user_is_known():
    assert Redis.users[0] == "redis"
    assert pwd.getpwuid(os.geteuid())


LIBRARY = "#!lua name=%s\nredis.register_function('%s', function() return 42 end)"


def test_definitions(engine, source, folder):
    server = source()
    far = int(time.time() * 1000) + (300 << 30)
    server.fill(EVERYTHING + [["FUNCTION", "LOAD", LIBRARY % (name, name)] for name in ("second", "first")])
    server.fill([["SET", "ends %d" % at, "x", "PXAT", far + at] for at in range(2500)] + ["SET soon x EX 1"])
    made = engine()
    drill(made, job_of(server.save(folder / "dump.rdb")))
    ours = made.definitions()
    live = Redis.live(None, {}, {"unix_socket": server.socket})
    assert live.definitions() == ours
    assert set(ours) == {
        (None, "function library", "first"),
        (None, "function library", "second"),
        (None, "option", "db0 keys with a TTL"),
    }
    assert ours[(None, "option", "db0 keys with a TTL")].startswith("2500-")
    made._reader._ask("SELECT", 0)
    assert dict(made._reader._ends_of([b"ends 7", b"text", b"none"])) == {b"ends 7": far + 7}
    server.fill(["SET soon y EX 100", ["PEXPIREAT", "ends 1", far]])
    assert live.definitions()[(None, "option", "db0 keys with a TTL")] != ours[(None, "option", "db0 keys with a TTL")]
    server.fill([["PEXPIREAT", "ends 1", far + 1], ["FUNCTION", "DELETE", "first"]])
    server.fill([["FUNCTION", "LOAD", "REPLACE", LIBRARY % ("second", "other")]])
    theirs = live.definitions()
    assert {key[2] for key in ours if ours[key] != theirs.get(key)} == {"first", "second"}
    live.close()
    server.fill(["ACL SETUSER reader on nopass ~* +@read +@connection +info"])
    live = Redis.live(None, {}, {"unix_socket": server.socket, "user": "reader", "password": "x"})
    hidden = live.definitions()
    assert hidden.pop((None, "function library", None)) is None
    assert hidden == {(None, "option", None): None}
    live.close()
