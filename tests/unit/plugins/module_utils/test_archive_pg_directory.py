# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_dump's directory and tar formats: files of a real dump, in any order, whole and damaged."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import pg_directory, pg_tar
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils import archive_reading
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.pg_dump_samples import CONTENTS_18

ROWS = b"1\t\xc3\xa4\n2\ta\\\\b\\t\\nc\n3\t\\N\n\\.\n\n\n"
FILES = {
    "2567.dat": ROWS,
    "2568.dat": b"\\.\n\n\n",
    "blob_77.dat": b"large object",
    "blobs_2570.toc": b"77 blob_77.dat\n",
    "toc.dat": CONTENTS_18,
}
SCRIPT = b"-- a script\n\n--\n-- PostgreSQL database dump complete\n--\n\n"


def packed(files):
    """The same as pg_dump compresses them."""
    return {
        name + ".gz" if name.endswith(".dat") and name != "toc.dat" else name: (
            gzip.compress(content, mtime=0) if name.endswith(".dat") and name != "toc.dat" else content
        )
        for name, content in files.items()
    }


def look(files):
    report = Report()
    reader = pg_directory.PgDirectory("dump", report)
    for name, content in files.items():
        path = "dump/" + name
        assert reader.accepts(path)
        try:
            reader.entry(path, Bytes(content))
        except Damaged as error:
            report.damaged(error, path)
    reader.finish()
    (member,) = report.members
    return member, report.problems


def changed(change):
    return {name: content for name, content in dict(FILES, **change).items() if content is not None}


def codes(files):
    return [problem["code"] for problem in look(files)[1]]


def test_names():
    accepts = pg_directory.PgDirectory.accepts
    for name in (
        "toc.dat",
        "x/toc.dat",
        "1.dat",
        "1.dat.gz",
        "2.dat.lz4",
        "3.dat.zst",
        "blobs.toc",
        "blobs_5.toc",
        "blob_7.dat.gz",
    ):
        assert accepts(name)
    for name in ("restore.sql", "a.dat", "toc.txt", "blob_x.dat", "1.dat.bz2", "x.toc", "toc.dat/x"):
        assert not accepts(name)


@pytest.mark.parametrize("files", [FILES, packed(FILES)])
@pytest.mark.parametrize("order", [1, -1])
def test_a_whole_dump_in_any_order(files, order):
    member, problems = look({name: files[name] for name in list(files)[::order]})
    assert not problems
    assert (member.format, member.engine, member.database) == ("pg_dump-directory", "postgresql", "tiny")
    assert (member.server_version, member.encoding) == ("18.4", "UTF8")
    assert member.compression == (["gzip"] if files is not FILES else [])
    assert member.tables == {(None, "public.t"): 3, (None, "public.u"): 0}
    assert member.plain_bytes == sum(map(len, FILES.values()))
    assert member.details["large_objects"] == 1


@pytest.mark.parametrize(
    "change, code",
    [
        ({"toc.dat": None}, "missing_member"),
        ({"toc.dat": CONTENTS_18[:-1]}, "truncated"),
        ({"toc.dat": CONTENTS_18 + b"x"}, "trailing_garbage"),
        ({"toc.dat": CONTENTS_18.replace(b"(id, v) FROM", b"(id, v' FROM")}, "open_statement"),
        ({"toc.dat": CONTENTS_18.replace(b"COPY public.t", b"LOCK public.t")}, "bad_structure"),
        ({"2567.dat": None}, "missing_table_data"),
        ({"2568.dat": None}, "missing_table_data"),
        ({"blob_77.dat": None}, "missing_table_data"),
        ({"blobs_2570.toc": None}, "missing_table_data"),
        ({"blobs_2570.toc": b""}, "missing_table_data"),
        ({"blobs_2570.toc": b"77 blob_77.dat"}, "truncated"),
        ({"blobs_2570.toc": b"77 ../blob_77.dat\n"}, "bad_structure"),
        ({"blobs_2570.toc": b"78 blob_77.dat\n"}, "bad_structure"),
        ({"blobs_2570.toc": b"77 blob_77.dat\n78 blob_78.dat\n"}, "missing_table_data"),
        ({"blobs_2570.toc": b"7" * 5000}, "bad_structure"),
        ({"9999.dat": ROWS}, "extra_member"),
        ({"blob_78.dat": b"x"}, "extra_member"),
        ({"2567.dat.gz": gzip.compress(ROWS)}, "duplicate"),
        ({"2567.dat": b""}, "open_copy"),
        ({"2567.dat": ROWS[:-5]}, "open_copy"),
        ({"2567.dat": ROWS.replace(b"\xc3\xa4", b"\xe4")}, "bad_encoding"),
        ({"2567.dat": b"1\n2\n\\.\n\n\n"}, "wrong_rows"),
        ({"2567.dat": b"1\tx\n2\n\\.\n\n\n"}, "wrong_rows"),
        ({"2567.dat": gzip.compress(ROWS)[:-9]}, "truncated"),
        ({"2567.dat": b"\x04\x22\x4d\x18lz4"}, "unsupported"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_damage_has_a_name(change, code, order):
    files = changed(change)
    assert code in codes({name: files[name] for name in list(files)[::order]})


def test_a_file_that_cannot_be_read_is_not_missing():
    member, problems = look(changed({"2567.dat": b"\x04\x22\x4d\x18lz4"}))
    assert [problem["code"] for problem in problems] == ["unsupported"]
    assert member.tables[(None, "public.t")] is None


def test_rows_as_inserts():
    # As the table of contents says; this one has no statement for COPY.
    statement = b"COPY public.t (id, v) FROM stdin;\n"
    contents = CONTENTS_18.replace(struct.pack("<BI", 0, len(statement)) + statement, struct.pack("<BI", 0, 0))
    assert contents != CONTENTS_18
    rows = b"INSERT INTO public.t VALUES (1, 'a');\nINSERT INTO public.t VALUES (2, 'b');\n\n\n"
    for content, number in ((rows, 2), (b"\n\n", 0)):
        member, problems = look(changed({"2567.dat": content, "toc.dat": contents}))
        assert not problems
        assert member.tables[(None, "public.t")] == number
        assert codes(changed({"2567.dat": content})) == ["open_copy"]
    assert codes(changed({"toc.dat": contents})) == ["bad_structure"]


# -- the tar format


def tarred(files, script=SCRIPT):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in list(files.items()) + ([("restore.sql", script)] if script else []):
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return made.getvalue()


IN_TAR = {name: FILES[name] for name in ("toc.dat", "2567.dat", "2568.dat", "blob_77.dat", "blobs_2570.toc")}


def test_a_tar():
    content = tarred(IN_TAR)
    assert pg_tar.matches(content[:4096], "x")
    assert not pg_tar.matches(tarred({"2567.dat": ROWS})[:4096], "x")
    member, problems = archive_reading.look(pg_tar, content)
    assert not problems
    assert member.format == "pg_dump-tar"
    assert member.tables == {(None, "public.t"): 3, (None, "public.u"): 0}
    # In a tar pg_dump gives its list of large objects another name than it says.
    renamed = dict(IN_TAR, **{"toc.dat": CONTENTS_18.replace(b"\x0e\0\0\0blobs_2570.toc", b"\x08\0\0\0" + b"2570.dat")})
    assert renamed["toc.dat"] != CONTENTS_18
    assert not archive_reading.look(pg_tar, tarred(renamed))[1]


def test_the_script_in_a_tar_comes_to_its_end():
    for script, code in ((SCRIPT[:-40], "incomplete"), (SCRIPT.replace(b"script", b"scr\0pt"), "bad_structure")):
        _member, problems = archive_reading.look(pg_tar, tarred(IN_TAR, script))
        assert [problem["code"] for problem in problems] == [code]


def test_every_truncation_of_a_tar():
    content = tarred(IN_TAR)
    # Behind the last file two blocks of zeros are the end.
    written = len(content.rstrip(b"\0"))
    end = written + (-written) % 512 + 1024
    assert not archive_reading.look(pg_tar, content[:end])[1]
    for size in [*range(0, end, 97), end - 1, end - 512, end - 1024]:
        assert archive_reading.look(pg_tar, content[:size])[1], size


@pytest.mark.parametrize(
    "files, script, code",
    [
        (IN_TAR, None, "missing_member"),
        (dict(IN_TAR, **{"other.txt": b"x"}), SCRIPT, "extra_member"),
        (dict(IN_TAR, **{"2567.dat": ROWS[:-5]}), SCRIPT, "open_copy"),
        ({name: IN_TAR[name] for name in list(IN_TAR)[:-1]}, SCRIPT, "missing_table_data"),
        (dict(IN_TAR, **{"../2569.dat": b"x"}), SCRIPT, "unsafe_member"),
    ],
)
def test_damage_of_a_tar(files, script, code):
    problems = archive_reading.look(pg_tar, tarred(files, script))[1]
    assert code in [problem["code"] for problem in problems]
