# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real MariaDB server of the sandbox's own, with one database per stack. Its programs come from the system."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from .servers import READER, Order, Server, find_programs, own_name, run, seed_of

SAMPLE = Path(__file__).with_name("sample_mysql.sql")
REMEDY = "apt-get install mariadb-server"
PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump")
SETTINGS = (
    "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=8M", "--performance-schema=off", "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00", "--skip-name-resolve")
KINDS = {
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry"), "binary"),
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), "number"),
    **dict.fromkeys(("decimal", "float", "double"), "number"),
    "bit": "bits",
}
ROWS_PER_INSERT = 100
HEAD = """\
-- SQL dump by the sandbox, in the manner of Backupman
--
-- Database: {database}
-- Server version: {version}

SET NAMES utf8mb4;
SET FOREIGN_KEY_CHECKS = 0;
"""


class Column(NamedTuple):
    name: str
    kind: str  # number, bits, text or binary


class MariaDB:
    """One server in ``home``."""

    def __init__(self, home: Path, password: str) -> None:
        self._server = Server(home, "mariadb")
        self._password = password
        self._programs: dict[str, str] = {}

    @property
    def socket(self) -> Path:
        return self._server.socket_dir / "my.sock"

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, _names: list[str]) -> None:
        self._programs = find_programs(PROGRAMS, "MariaDB", REMEDY)
        server = self._server
        server.settle()
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        complete = server.folder / "complete"
        if not complete.exists():
            shutil.rmtree(server.data, ignore_errors=True)
            for filled in server.folder.glob("filled-*"):
                filled.unlink()
            # Nobody but who runs the sandbox is let in without a password: the system says who that is.
            run([self._programs["mariadb-install-db"], "--no-defaults", f"--datadir={server.data}",
                 "--auth-root-authentication-method=socket", f"--auth-root-socket-user={own_name()}",
                 "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M", *as_root])
            complete.touch()
        server.launch([
            self._programs["mariadbd"], "--no-defaults", f"--datadir={server.data}", f"--socket={self.socket}",
            f"--pid-file={server.folder}/my.pid", *SETTINGS, *as_root], lambda: accepts(self.socket))
        self._client(None, f"CREATE USER IF NOT EXISTS {READER}@localhost; "
                           f"ALTER USER {READER}@localhost IDENTIFIED BY '{self._password}'; "
                           f"GRANT SELECT, SHOW VIEW, TRIGGER ON *.* TO {READER}@localhost")

    def stop(self) -> None:
        self._server.stop()

    def login(self, database: str) -> dict[str, Any]:
        return {"unix_socket": str(self.socket), "user": READER, "password": self._password, "database": database}

    # -- databases ----------------------------------------------------------------------------------------------

    def ensure(self, names: list[str]) -> None:
        for name in names:
            filled = self._server.folder / f"filled-{name}"
            if not filled.exists():
                self._client(None, f"DROP DATABASE IF EXISTS {_quoted(name)}; CREATE DATABASE {_quoted(name)}")
                self._client(name, f"SET @seed = {seed_of(name)};\n{SAMPLE.read_text()}")
                filled.touch()

    def _connection(self) -> list[str]:
        return ["--no-defaults", f"--socket={self.socket}", f"--user={own_name()}"]

    def _client(self, database: str | None, sql: str, *options: str) -> bytes:
        command = [self._programs["mariadb"], *self._connection(), "--batch", "--skip-column-names",
                   "--default-character-set=utf8mb4", "--binary-mode", *options]
        if database:
            command.append(f"--database={database}")
        return run(command, sql.encode())

    def query(self, database: str, sql: str) -> str:
        return self._client(database, sql).decode(errors="replace")

    def command(self, database: str, body: dict[str, Any]) -> Any:
        raise ValueError("MariaDB takes SQL")

    def _names(self, database: str, kind: str = "BASE TABLE") -> list[str]:
        found = self._client("information_schema", "SELECT HEX(table_name) FROM tables WHERE table_type = "
                             f"'{kind}' AND table_schema = '{database}' ORDER BY table_name")
        return [bytes.fromhex(line).decode() for line in found.decode().split()]

    def tables(self, database: str) -> dict[str, int]:
        names = self._names(database)
        sql = " UNION ALL ".join(f"SELECT {number}, COUNT(*) FROM {_quoted(name)}" for number, name in enumerate(names))
        rows = self.query(database, sql).splitlines() if names else []
        return {names[int(number)]: int(count) for number, count in (row.split("\t") for row in rows)}

    # -- backups ------------------------------------------------------------------------------------------------

    def back_up(self, database: str, scratch: Path, order: Order) -> tuple[Path, str]:
        if order.logical:
            target = scratch / "dump"
            self.dump(database, target, order.gzip, order.excluded)
            return target, ".sql.gz" if order.gzip else ".sql"
        if order.stream:
            self.stream(scratch / "stream", order.gzip)
            return scratch / "stream", ".xbstream.gz" if order.gzip else ".xbstream"
        self._copy("--target-dir", scratch / "folder")
        return scratch / "folder", ""

    def dump(self, database: str, target: Path, gzip: bool, excluded: tuple[str, ...] = ()) -> None:
        """A text dump, as the backup gem has mariadb-dump make it."""
        ignored = [f"--ignore-table={database}.{name}" for name in excluded]
        run([self._programs["mariadb-dump"], *self._connection(), "--quick", "--single-transaction", *ignored,
             database], target=target, gzip=gzip)

    def stream(self, target: Path, gzip: bool, since: str | None = None) -> str:
        """A binary backup of the whole server as one stream: everything or, with ``since``, what has changed since
        that number. The answer is the number that the next one can go on from."""
        more = [f"--incremental-lsn={since}"] if since else []
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            notes, scratch = Path(folder, "notes"), Path(folder, "scratch")
            scratch.mkdir()
            run([self._backup_program(), *self._connection(), "--backup", "--stream=xbstream",
                 f"--target-dir={scratch}", f"--extra-lsndir={notes}", *more], target=target, gzip=gzip)
            facts = dict(line.split(" = ") for line in (notes / "xtrabackup_checkpoints").read_text().splitlines())
        return facts["to_lsn"]

    def _copy(self, option: str, target: Path) -> None:
        """A binary backup as a folder, not prepared yet."""
        run([self._backup_program(), *self._connection(), "--backup", f"{option}={target}"])

    @staticmethod
    def _backup_program() -> str:
        return find_programs(["mariadb-backup"], "mariadb-backup", "apt-get install mariadb-backup")["mariadb-backup"]

    # -- a dump in the manner of Backupman ----------------------------------------------------------------------

    def dump_by_inserts(self, database: str, target: Path, damage: str) -> None:
        r"""INSERT statements, written by the sandbox's own stand-in for Backupman's writer.

        Without damage everything is escaped as it has to be. ``backslashes`` escapes none but those at a value's end:
        C:\new restores as C:, a line feed and ew. ``trailing_backslash`` does not escape those at the end either, so
        that they take the quote after them along, and ``binary`` writes bytes that are no text as if they were some:
        neither restores.
        """
        version = self.query(database, "SELECT VERSION()").strip()
        with target.open("wb") as stream:
            stream.write(HEAD.format(database=database, version=version).encode())
            for name in self._names(database):
                stream.write(f"\n--\n-- Table {_quoted(name)}\n--\n\nDROP TABLE IF EXISTS {_quoted(name)};\n".encode())
                stream.write(self._definition(database, "TABLE", name) + b";\n")
                for statement in self._inserts(database, name, _writer(damage)):
                    stream.write(statement)
            for name in self._names(database, "VIEW"):
                stream.write(f"\n--\n-- View {_quoted(name)}\n--\n\nDROP VIEW IF EXISTS {_quoted(name)};\n".encode())
                stream.write(self._definition(database, "VIEW", name) + b";\n")
            stream.write(b"\nSET FOREIGN_KEY_CHECKS = 1;\n\n")

    def _definition(self, database: str, kind: str, name: str) -> bytes:
        found = self._client(database, f"SHOW CREATE {kind} {_quoted(name)}", "--raw")
        text = found.split(b"\t", 1)[1].rstrip(b"\n")
        return text.rsplit(b"\t", 2)[0] if kind == "VIEW" else text  # behind a view stand two encodings

    def _columns(self, database: str, table: str) -> list[Column]:
        found = self._client("information_schema", (
            "SELECT HEX(column_name), data_type FROM columns WHERE is_generated = 'NEVER' AND"
            f" table_schema = '{database}' AND table_name = X'{table.encode().hex()}' ORDER BY ordinal_position"))
        columns = (line.split("\t") for line in found.decode().splitlines())
        return [Column(bytes.fromhex(name).decode(), KINDS.get(kind, "text")) for name, kind in columns]

    def _inserts(self, database: str, table: str, write: Callable[[Column, bytes], bytes]) -> Iterator[bytes]:
        columns = self._columns(database, table)
        wanted = ", ".join(_in_hex(column) for column in columns)
        rows = self._client(database, f"SELECT {wanted} FROM {_quoted(table)}").splitlines()
        head = f"INSERT INTO {_quoted(table)} ({', '.join(_quoted(column.name) for column in columns)}) VALUES\n"
        for start in range(0, len(rows), ROWS_PER_INSERT):
            yield head.encode() + b",\n".join(
                b"(" + b", ".join(
                    b"NULL" if cell == b"NULL" else write(column, bytes.fromhex(cell.decode()))
                    for column, cell in zip(columns, row.split(b"\t"))) + b")"
                for row in rows[start:start + ROWS_PER_INSERT]) + b";\n"


def accepts(path: Path) -> bool:
    """Whether a server takes connections there."""
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(path)) == 0


def _quoted(name: str) -> str:
    return "`{}`".format(name.replace("`", "``"))


def _in_hex(column: Column) -> str:
    """No value has to be read from text: all of them come as the hex of their bytes."""
    name = _quoted(column.name)
    if column.kind in ("binary", "bits"):
        return f"HEX(CAST({name} AS BINARY))"
    return f"HEX(CONVERT({name} USING utf8mb4))"


def _writer(damage: str) -> Callable[[Column, bytes], bytes]:
    def write(column: Column, value: bytes) -> bytes:
        if column.kind == "number":
            return value
        if column.kind == "bits" or (column.kind == "binary" and damage != "binary"):
            return b"X'" + value.hex().encode() + b"'"
        body = value.rstrip(b"\\")
        end = value[len(body):]
        if damage not in ("backslashes", "trailing_backslash") and column.kind == "text":
            body = body.replace(b"\\", b"\\\\")
        if damage != "trailing_backslash" and column.kind == "text":
            end *= 2
        return b"'" + (body + end).replace(b"'", b"''") + b"'"
    return write
