# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups by pg_basebackup: small ones laid out as those of PostgreSQL 15 to 18, as folders and as tars."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import _archive
from ansible_collections.restorable.backups.plugins.module_utils._archive import pg_basebackup
from ansible_collections.restorable.backups.plugins.module_utils._archive._crc import crc32c
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Limits, Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.archive_reading import flipped

LABEL = (
    b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000080\n"
    b"BACKUP METHOD: streamed\nSTART TIME: 2026-11-26 13:20:18 UTC\nLABEL: nightly\nSTART TIMELINE: 1\n"
)
DATA = {
    "backup_label": LABEL,
    "PG_VERSION": b"15\n",
    "base/1/1259": b"pages of a table",
    "base/1/PG_VERSION": b"15\n",
    "global/pg_control": bytes(16) + b"\x06\0\0\0" + bytes(20),
    "postgresql.auto.conf": b"# may be changed\n",
}
WAL = bytes(1 << 20)
# In segments of 1 MiB the position 0/2000028 is in the 32nd.
WALS = {"pg_wal/000000010000000000000020": WAL}


def checksum(algorithm, content):
    if algorithm == "CRC32C":
        return crc32c(content).to_bytes(4, "little").hex()
    return hashlib.new(algorithm.lower(), content).hexdigest()


def manifest(files, algorithm="CRC32C", ranges=((1, "0/2000028", "0/2000158"),), version=1):
    head = '{ "PostgreSQL-Backup-Manifest-Version": %d,\n' % version
    if version > 1:
        head += '"System-Identifier": 7712465830163594498,\n'
    lines = []
    for path, content in files.items():
        about = {"Path": path, "Size": len(content), "Last-Modified": "2026-11-26 13:06:27 GMT"}
        if algorithm != "NONE":
            about.update({"Checksum-Algorithm": algorithm, "Checksum": checksum(algorithm, content)})
        lines.append(json.dumps(about))
    spans = ['{ "Timeline": %d, "Start-LSN": "%s", "End-LSN": "%s" }' % span for span in ranges]
    text = head + '"Files": [\n' + ",\n".join(lines) + '\n],\n"WAL-Ranges": [\n' + ",\n".join(spans) + "\n],\n"
    return text.encode() + b'"Manifest-Checksum": "%s"}\n' % hashlib.sha256(text.encode()).hexdigest().encode()


def folder(**options):
    return dict({"backup_manifest": manifest(DATA, **options)}, **DATA, **WALS)


def tar(files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            writer.addfile(about, io.BytesIO(content))
    return made.getvalue()


def look(files, limits=None):
    report = Report(limits)
    reader = pg_basebackup.PgBaseBackup("backup", report)
    for name, content in files.items():
        path = "backup/" + name
        if not reader.accepts(path):
            continue
        assert reader.root_of(path) == "backup"
        try:
            reader.entry(path, Bytes(content))
        except Damaged as error:
            report.damaged(error, path)
    reader.finish()
    return report


def codes(files, **options):
    return [problem["code"] for problem in look(files, **options).problems]


def changed(files, change):
    return {name: content for name, content in dict(files, **change).items() if content is not None}


@pytest.mark.parametrize(
    "name, root",
    [
        ("PG_VERSION", ""),
        ("base/1/PG_VERSION", ""),
        ("x/y/base/1/2", "x/y"),
        ("x/pg_wal/000000010000000000000002", "x"),
        ("x/global/pg_control", "x"),
        ("x/base.tar.gz", "x"),
        ("x/16436.tar", "x"),
        ("x/pg_tblspc/16436/PG_15_202209061/5/16437", "x"),
        ("backup_manifest", ""),
    ],
)
def test_names(name, root):
    assert pg_basebackup.PgBaseBackup.accepts(name)
    assert pg_basebackup.PgBaseBackup.root_of(name) == root


def test_names_that_are_not_its_own():
    for name in ("20261126.tar.gz", "mysql.tar", "base/x", "base.tar.gz.part", "global/x", "shop/a.bson", "toc.dat"):
        assert not pg_basebackup.PgBaseBackup.accepts(name)


@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA224", "SHA256", "SHA384", "SHA512", "NONE"])
def test_a_folder(algorithm):
    files = folder(algorithm=algorithm, version=2)
    report = look(files)
    assert not report.problems and not report.notes
    (member,) = report.members
    assert (member.format, member.engine, member.server_version) == ("pg_basebackup", "postgresql", "15")
    assert member.tables == {}
    assert member.plain_bytes == sum(map(len, files.values()))
    assert member.details == {
        "label": "nightly",
        "start_time": "2026-11-26 13:20:18 UTC",
        "start_wal": "0/2000028",
        "incremental": False,
        "manifest": True,
        "files": 8,
        "wal_segments": 1,
        "tablespaces": [],
    }


@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA256", "SHA512"])
def test_the_manifest_may_come_last(algorithm):
    files = folder(algorithm=algorithm)
    files = {name: files[name] for name in list(files)[::-1]}
    report = look(files)
    assert not report.problems and not report.notes
    assert codes(dict(files, **{"base/1/1259": b"pages of A table"})) == ["bad_checksum"]


def test_a_kind_of_checksum_that_is_known_too_late():
    files = folder(algorithm="SHA384")
    report = look({name: files[name] for name in list(files)[::-1]})
    assert not report.problems
    assert "known too late" in report.notes[0]


TABLESPACE = {"PG_15_202209061/5/16437": b"rows in another place"}


def tars(**options):
    listed = dict(DATA, **{"pg_tblspc/16436/" + name: content for name, content in TABLESPACE.items()})
    return {
        "base.tar.gz": gzip.compress(tar(dict(DATA, tablespace_map=b"16436 /srv/ts\n"))),
        "16436.tar": tar(TABLESPACE),
        "pg_wal.tar": tar({name.rpartition("/")[2]: content for name, content in WALS.items()}),
        "backup_manifest": manifest(dict(listed, tablespace_map=b"16436 /srv/ts\n"), **options),
    }


@pytest.mark.parametrize("order", [1, -1])
def test_tars(order):
    files = tars()
    report = look({name: files[name] for name in list(files)[::order]})
    assert not report.problems and not report.notes
    (member,) = report.members
    assert (member.compression, member.details["tablespaces"]) == (["gzip"], ["16436"])


@pytest.mark.parametrize(
    "change, code",
    [
        ({"base.tar.gz": None}, "missing_member"),
        ({"16436.tar": None}, "missing_member"),
        ({"16436.tar": tar({"PG_15_202209061/5/16437": b"rows in Another place"})}, "bad_checksum"),
        ({"16436.tar": tar(dict(TABLESPACE, other=b"x"))}, "extra_member"),
        ({"pg_wal.tar": tar({"000000010000000000000021": WAL})}, "missing_member"),
        ({"pg_wal.tar": tar(WALS)[:5000]}, "truncated"),
        ({"pg_wal.tar": tar(dict(DATA))}, "extra_member"),
        ({"base.tar": tar(DATA)}, "duplicate"),
        ({"base.tar.gz": gzip.compress(tar(DATA))[:-8]}, "truncated"),
    ],
)
def test_damage_of_tars(change, code):
    assert code in codes(changed(tars(), change))


@pytest.mark.parametrize(
    "change, code",
    [
        ({"base/1/1259": None}, "missing_member"),
        ({"base/1/1259": b"pages of A table"}, "bad_checksum"),
        ({"base/1/1259": b""}, "bad_checksum"),
        ({"base/1/9999": b""}, "extra_member"),
        ({"PG_VERSION": None}, "missing_member"),
        ({"global/pg_control": None}, "missing_member"),
        ({"backup_label": None}, "missing_member"),
        ({next(iter(WALS)): WAL[:-1]}, "truncated"),
        ({"pg_wal/000000010000000000000021": WAL[:-1]}, "truncated"),
        ({next(iter(WALS)): None, "pg_wal/000000010000000000000021": WAL}, "missing_member"),
        ({"backup_manifest": b""}, "truncated"),
        ({"backup_manifest": b'{"json": 1}\n'}, "bad_structure"),
        ({"backup_manifest": b"x" * 100000}, "bad_structure"),
        ({"backup_manifest": manifest(DATA) + b"more\n"}, "trailing_garbage"),
        ({"backup_manifest": manifest(DATA)[:-1]}, "truncated"),
        ({"backup_manifest": manifest(DATA).replace(b"2026", b"2025", 1)}, "bad_checksum"),
        ({"backup_manifest": manifest(DATA).replace(b"CRC32C", b"CRC99X")}, "unsupported"),
        ({"backup_manifest": manifest(DATA).replace(b'"Path"', b'"Pfad"')}, "bad_structure"),
        ({"backup_manifest": manifest(DATA).replace(b'"0/2000028"', b'"2000028"')}, "bad_structure"),
    ],
)
def test_damage_of_a_folder(change, code):
    assert code in codes(changed(folder(), change))


def test_every_truncation_and_flip_of_the_manifest():
    content, files = manifest(DATA), changed(folder(), {next(iter(WALS)): None})
    assert not codes(files)
    for size in range(len(content)):
        assert codes(dict(files, backup_manifest=content[:size])), size
    for bit in range(0, len(content) * 8, 5):
        assert codes(dict(files, backup_manifest=flipped(content, bit))), bit


def test_files_that_change_later_are_left_alone():
    files = dict(folder(), **{"postgresql.auto.conf": b"changed", "standby.signal": b"", "recovery.signal": b""})
    assert not codes(files)
    assert not codes(changed(files, {"postgresql.auto.conf": None}))


def test_files_that_are_not_postgresqls_own():
    listed = dict(DATA, **{"server.key": b"secret"})
    assert codes({"base.tar": tar(listed), "backup_manifest": manifest(listed)}) == []
    assert codes({"base.tar": tar(DATA), "backup_manifest": manifest(listed)}) == ["missing_member"]


@pytest.mark.parametrize("root", ["", "monday/"])
def test_all_files_of_a_data_folder_are_the_backups(tmp_path, root):
    log = b"2026-11-26 13:20:18 UTC ERROR: CREATE TABLE public.t (\n  a jsonb\n);\n"

    def examined(**change):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        listed = dict(DATA, log=log, **{"dump/toc.dat": b"of somebody's"})
        files = dict(listed, backup_manifest=manifest(listed), **WALS)
        for name, content in changed(files, change).items():
            (place / root / name).parent.mkdir(parents=True, exist_ok=True)
            (place / root / name).write_bytes(content)
        return _archive.examine([str(place)])

    found = examined()
    assert found.valid and [member.format for member in found.contents] == ["pg_basebackup"]
    assert [problem["code"] for problem in examined(log=log[:-1]).problems] == ["bad_checksum"]
    assert [problem["code"] for problem in examined(log=None).problems] == ["missing_member"]
    found = examined(server_log=log)
    assert found.valid and "server_log" in found.notes[0]
    assert [problem["code"] for problem in examined(pg_xact_0000=b"", **{"pg_xact/0000": b""}).problems] == ["extra_member"]


def test_without_a_manifest():
    report = look(changed(folder(), {"backup_manifest": None}))
    assert not report.problems
    assert "without a manifest" in report.notes[0]
    # backup_label says where the log must begin.
    assert codes(
        changed(folder(), {"backup_manifest": None, next(iter(WALS)): None, "pg_wal/" + "0" * 23 + "F": WAL})
    ) == ["missing_member"]


def test_without_log():
    report = look(changed(folder(), {next(iter(WALS)): None}))
    assert not report.problems
    assert "holds no WAL" in report.notes[0]


def test_a_server_that_was_shut_down_needs_no_label():
    stopped = changed(
        folder(),
        {"backup_manifest": None, "backup_label": None, "global/pg_control": bytes(16) + b"\1\0\0\0" + bytes(9)},
    )
    assert not codes(stopped)


def test_an_incremental_backup():
    files = dict(DATA, backup_label=LABEL + b"INCREMENTAL FROM LSN: 0/1000028\n")
    report = look(dict(files, backup_manifest=manifest(files), **WALS))
    assert not report.problems
    assert report.members[0].details["incremental"] is True


def test_segments_of_the_usual_size():
    files = dict(DATA, backup_manifest=manifest(DATA, ranges=((1, "0/1FFFFFF0", "0/21000000"),)))
    wanted = ["pg_wal/0000000100000000000000%s" % number for number in ("1F", "20")]
    assert not codes(dict(files, **{name: bytes(16 << 20) for name in wanted}))
    report = look(dict(files, **{wanted[0]: bytes(16 << 20)}))
    assert [problem["message"].split(",")[0] for problem in report.problems] == [wanted[1]]


def test_ranges_that_lie_ask_for_little():
    files = dict(folder(), backup_manifest=manifest(DATA, ranges=((1, "0/0", "FFFFFFFF/FFFFFFFF"),)))
    assert len(codes(files)) == 20


def test_no_more_files_than_allowed():
    assert "bomb" in codes(folder(), limits=Limits(max_members=3))
