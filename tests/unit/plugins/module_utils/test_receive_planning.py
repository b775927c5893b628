# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_file_fetch before anything touches a host: which backup, which names, which URLs when, when to give up."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import Backup, BackupFile, FileAccess
from ansible_collections.restorable.backups.plugins.module_utils._errors import ApiError, BackupError, OptionError
from ansible_collections.restorable.backups.plugins.module_utils._operations import Context
from ansible_collections.restorable.backups.plugins.module_utils._operations._fetch_options import SPEC
from ansible_collections.restorable.backups.plugins.module_utils._operations.file_fetch import (
    backup_name,
    run,
    safe_name,
    safe_names,
    wanted_checksum,
)
from ansible_collections.restorable.backups.plugins.module_utils._providers import Listing

NOW = datetime(2026, 1, 31, 4, 0, tzinfo=timezone.utc)


def backup(number, **changes):
    made = {"engine": "postgresql", "database": "shop", "status": "ok", "created_at": NOW - timedelta(hours=number)}
    made.update(changes)
    made.setdefault("series", "x/%s" % made["engine"])
    return Backup(str(number), "cloud66", "stack", **made)


class FakeProvider:
    """Answers from lists, and counts."""

    address = "https://service"

    def __init__(self, backups=(), parts=1, sizes=None):
        self.backups, self.calls = list(backups), []
        self.files = [
            BackupFile("tar-%d" % number, "tar-%d" % number, sizes[number] if sizes else None)
            for number in range(parts)
        ]

    def require(self, operation):
        pass

    def list_backups(self, source, group=None, engine=None):
        self.calls.append("list")
        return Listing([one for one in self.backups if engine in (None, one.engine)])

    def get_backup(self, source, backup_id):
        self.calls.append("get")
        return next(one for one in self.backups if one.id == backup_id)

    def list_files(self, source, backup_id):
        self.calls.append("files")
        return self.files

    def file_access(self, source, backup_id, file):
        self.calls.append("url " + file.id)
        return FileAccess("https://storage/%s?Signature=%d" % (file.id, len(self.calls)))

    def access_refused(self, access):
        self.calls.append("refused " + access.url.partition("?")[2])


class FakeHost:
    """Gives the answers it was told, one for every order; the last one again and again."""

    def __init__(self, *answers, looked=None, free=False):
        self.answers, self.orders, self.released = list(answers), [], []
        self.looked, self.free, self.inspected = looked, free, 0

    def is_free(self, order):
        return self.free

    def inspect(self, order):
        self.inspected += 1
        found = {"state": "needed", "path": "/srv/x.tar", "complete": [], "have": 0, "seen": "seen", "diff": {}}
        return dict(found, **(self.looked or {}))

    def receive(self, order, accesses):
        self.orders.append(dict(order, urls={index: access.url for index, access in accesses.items()}))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def release(self, order):
        self.released.append(order)


def slice_of(*parts, received=10, outcomes=None, state="progress", **more):
    """A host's answer; a part is (have, size)."""
    sizes = [size for have, size in parts]
    made = {
        "state": state,
        "path": "/srv/x.tar",
        "parts": [{"have": have, "size": size} for have, size in parts],
        "outcomes": outcomes or {},
        "received": received,
        "resumed": 0,
        "have": sum(have for have, size in parts),
        "size": None if None in sizes else sum(sizes),
        "seconds": 1.0,
        "unmeasured": [],
        "diff": {},
    }
    made.update(more)
    return made


def done(*sizes, **more):
    return slice_of(
        *[(size, size) for size in sizes], state="done", sha256="ab", size_bytes=sum(sizes), files=[], **more
    )


def params(**given):
    found = {name: about.get("default") for name, about in SPEC["argument_spec"].items()}
    found.update({"source": "stack", "dest": "/srv/"}, **given)
    return found


class Clock:
    def __init__(self):
        self.now = NOW
        self.warnings, self.lines = [], []

    def context(self, **more):
        return Context(warn=self.warnings.append, progress=self.lines.append, now=lambda: self.now, **more)


@pytest.fixture
def clock():
    return Clock()


# -- which backup --------------------------------------------------------------------------------------------------


def chosen(clock, backups, **options):
    host = FakeHost(done(5))
    return run(params(**options), FakeProvider(backups), clock.context(), host)["backup"]["id"]


def test_latest_passes_over_what_is_bad(clock):
    backups = [
        backup(3),
        backup(1, status="failed"),
        backup(2),
        backup(4, status="running"),
        backup(0, status="unknown"),
    ]
    assert chosen(clock, backups, latest=True) == "2"


def test_latest_is_narrowed(clock):
    backups = [
        backup(1, engine="redis", database=None),
        backup(2),
        backup(3, database="blog"),
        backup(4, series="x/other"),
    ]
    assert chosen(clock, backups, latest=True, engine="redis") == "1"
    assert chosen(clock, backups, latest=True, engine="postgres", database="shop") == "2"
    assert chosen(clock, backups, latest=True, database="blog") == "3"
    assert chosen(clock, backups, latest=True, series="other") == "4"
    with pytest.raises(OptionError) as caught:
        chosen(clock, backups, latest=True)
    assert "postgresql blog, postgresql shop, redis" in caught.value.message


@pytest.mark.parametrize("options", [{}, {"id": "1", "latest": True}, {"latest": False}])
def test_one_way_to_say_which(clock, options):
    provider = FakeProvider([backup(1)])
    with pytest.raises(OptionError):
        run(params(**options), provider, clock.context(), FakeHost())
    assert provider.calls == []


@pytest.mark.parametrize("status, code", [("failed", "backup_failed"), ("running", "backup_running")])
def test_a_bad_backup_needs_force(clock, status, code):
    backups = [backup(1, status=status, message="disk full")]
    with pytest.raises(BackupError) as caught:
        chosen(clock, backups, id="1")
    assert caught.value.code == code and "disk full" in caught.value.message
    assert chosen(clock, backups, id="1", force=True) == "1"


def test_what_is_said_beside_an_id_must_be_true(clock):
    assert chosen(clock, [backup(1)], id="1", engine="postgres", database="shop", series="postgresql") == "1"
    for wrong in ({"engine": "mysql"}, {"database": "blog"}, {"series": "other"}):
        with pytest.raises(OptionError) as caught:
            chosen(clock, [backup(1)], id="1", **wrong)
        assert caught.value.details["option"] in wrong


def test_an_unknown_status_is_warned_of(clock):
    assert chosen(clock, [backup(1, status="unknown")], id="1") == "1"
    assert "backup 1" in clock.warnings[0]


@pytest.mark.parametrize("options", [{"id": "1"}, {"latest": True}])
def test_backups_that_share_a_file_need_force(clock, options):
    """Not even the newest is passed over in silence for an older one."""
    backups = [backup(1, shares_file_with=("7 (crm)", "8 (blog)")), backup(2)]
    with pytest.raises(BackupError) as caught:
        chosen(clock, backups, **options)
    assert (caught.value.code, caught.value.details["shares_file_with"]) == ("collision", ["7 (crm)", "8 (blog)"])
    assert "shares its stored file with 7 (crm), 8 (blog)" in caught.value.message
    assert chosen(clock, backups, force=True, **options) == "1"
    assert "Backup 1 of stack shares its stored file with 7 (crm)" in clock.warnings[0]


def test_no_files(clock):
    with pytest.raises(BackupError) as caught:
        run(params(id="1"), FakeProvider([backup(1)], parts=0), clock.context(), FakeHost())
    assert caught.value.code == "no_files"


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, safe",
    [
        ("tar-aa", "tar-aa"),
        ("../../etc/passwd", "____etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("..", "x"),
        (".", "x"),
        ("", "x"),
        ("///", "x"),
        (".ssh", "_ssh"),
        ("-rf", "_rf"),
        ("a\\b:c", "a_b_c"),
        ("a\x00b\nc\x1b[31m", "a_b_c_[31m"),
        ("\u202egnp.tar", "_gnp.tar"),
        ("caf\u00e9 \u4e2d\u6587.tar", "caf\u00e9 \u4e2d\u6587.tar"),
        ("lone \udc80 half", "lone _ half"),
        ("NUL.tar", "_NUL.tar"),
        ("name.", "name"),
        (17, "17"),
    ],
)
def test_safe_names(text, safe):
    assert safe_name(text, "x") == safe


def test_long_names_keep_their_ending_and_differ():
    long = ["\u00e9" * 300 + "%d.tar" % number for number in range(2)]
    names = safe_names(long)
    assert len(set(names)) == 2
    assert all(name.endswith(".tar") and len(name.encode()) <= 180 for name in names)


def test_equal_names_are_told_apart():
    assert safe_names(["a.tar", "A.tar", "a.tar", "b", "b", "/", ""]) == [
        "a.tar",
        "A-2.tar",
        "a-3.tar",
        "b",
        "b-2",
        "part-0005",
        "part-0006",
    ]


@pytest.mark.parametrize(
    "first, joined, name",
    [
        ("tar", True, "postgresql-shop-20260131T030000Z-1.tar"),
        ("tar-aa", True, "postgresql-shop-20260131T030000Z-1.tar"),
        ("mysql.tar.aa", True, "postgresql-shop-20260131T030000Z-1.tar"),
        ("d9f0.tar-aaa", True, "postgresql-shop-20260131T030000Z-1.tar"),
        ("x.tar.gz", True, "postgresql-shop-20260131T030000Z-1.tar.gz"),
        ("x.xbstream.gz", True, "postgresql-shop-20260131T030000Z-1.xbstream.gz"),
        ("17", True, "postgresql-shop-20260131T030000Z-1"),
        ("tar-aa", False, "postgresql-shop-20260131T030000Z-1"),
    ],
)
def test_the_name_of_the_whole(first, joined, name):
    assert backup_name(backup(1), [BackupFile("x", first)], joined) == name


def test_segments_of_an_object_make_a_file_with_the_ending_of_the_object():
    parts = [BackupFile("c/1_%08d" % number, "1_%08d" % number) for number in range(2)]
    one = backup(1, location="https://swift.example/v1/AUTH_p/backups/1.xbstream.gz")
    assert backup_name(one, parts, True) == "postgresql-shop-20260131T030000Z-1.xbstream.gz"
    assert backup_name(one, parts, False) == "postgresql-shop-20260131T030000Z-1"


def test_the_name_of_a_backup_of_which_little_is_known():
    one = backup(1, engine=None, database="../..", created_at=None)
    assert backup_name(one, [BackupFile("x", "tar")], True) == "___-1.tar"


def test_checksums():
    digits = "0123456789abcdef" * 4
    for text in (digits, "sha256:" + digits, " SHA256:%s " % digits.upper()):
        assert wanted_checksum(text) == digits
    assert wanted_checksum(None) is None
    for text in ("", "sha256:", "md5:" + digits, digits[:-1], digits + "0", "https://sums/x", "sha256:" + "g" * 64):
        with pytest.raises(OptionError):
            wanted_checksum(text)


# -- looking, and asking for URLs ----------------------------------------------------------------------------------


def test_check_mode_looks_and_asks_for_no_url(clock):
    provider, host = FakeProvider([backup(1)]), FakeHost(free=True)
    result = run(params(id="1"), provider, clock.context(check_mode=True), host)
    assert (result["changed"], result["dest"], result["sha256"]) == (True, "/srv/x.tar", None)
    assert provider.calls == ["get", "files"]
    assert (host.inspected, host.orders) == (1, [])


def test_unchanged_asks_for_no_url(clock):
    provider = FakeProvider([backup(1)])
    host = FakeHost(
        looked={"state": "current", "sha256": "ab", "size_bytes": 5, "files": [], "attributes_changed": False}
    )
    result = run(params(id="1"), provider, clock.context(), host)
    assert (result["changed"], result["sha256"], "diff" in result) == (False, "ab", False)
    assert provider.calls == ["get", "files"]


def test_a_free_destination_is_not_looked_at_twice(clock):
    for host, options in ((FakeHost(done(5), free=True), {}), (FakeHost(done(5)), {"force": True})):
        assert run(params(id="1", **options), FakeProvider([backup(1)]), clock.context(), host)["changed"]
        assert host.inspected == 0
        assert host.orders[0]["seen"] is None


def test_urls_come_in_portions_that_grow(clock):
    sizes = [5] * 20
    answers = []
    for complete in (2, 6, 14, 20):
        parts = [(5, 5)] * complete + [(0, None)] * (20 - complete)
        answers.append(slice_of(*parts) if complete < 20 else done(*sizes))
    provider, host = FakeProvider([backup(1)], parts=20), FakeHost(*answers)
    result = run(params(id="1", workers=2), provider, clock.context(), host)
    assert [len(order["urls"]) for order in host.orders] == [2, 4, 8, 6]
    assert len([call for call in provider.calls if call.startswith("url")]) == 20
    assert result["bytes_received"] == 40
    assert [order["first"] for order in host.orders] == [True, False, False, False]
    assert len([line for line in clock.lines if "is here" in line]) == 20
    assert "Signature" not in "".join(clock.lines)


def test_young_urls_are_used_again_and_old_ones_are_not(clock):
    provider = FakeProvider([backup(1)])

    class Slow(FakeHost):
        def receive(self, order, accesses):
            clock.now += timedelta(seconds=50)
            return super().receive(order, accesses)

    answers = [slice_of((have, 100)) for have in range(10, 60, 10)] + [done(100)]
    run(params(id="1"), provider, clock.context(), Slow(*answers))
    assert provider.calls.count("url tar-0") == 2


def test_complete_parts_need_no_url(clock):
    provider, host = FakeProvider([backup(1)], parts=3), FakeHost(done(5, 5, 5), looked={"complete": [0, 2]})
    run(params(id="1"), provider, clock.context(), host)
    assert provider.calls == ["get", "files", "url tar-1"]


# -- when to give up -----------------------------------------------------------------------------------------------


def failure(clock, host, parts=1, **options):
    with pytest.raises(BackupError) as caught:
        run(params(id="1", **options), FakeProvider([backup(1)], parts=parts), clock.context(), host)
    return caught.value


def test_an_expired_url_is_asked_for_once_more(clock):
    expired = {"0": ["expired", "storage x answered 403"]}
    provider, host = FakeProvider([backup(1)]), FakeHost(slice_of((0, None), received=0, outcomes=expired), done(5))
    run(params(id="1"), provider, clock.context(), host)
    assert [order["urls"][0] for order in host.orders] == [
        "https://storage/tar-0?Signature=3",
        "https://storage/tar-0?Signature=5",
    ]
    error = failure(clock, FakeHost(slice_of((0, None), received=0, outcomes=expired)))
    assert "403, also with a fresh URL" in error.message


def test_a_credential_that_was_refused_is_renewed(clock):
    expired = {"0": ["expired", "storage x answered 401"]}
    provider, host = FakeProvider([backup(1)]), FakeHost(slice_of((0, None), received=0, outcomes=expired), done(5))
    run(params(id="1"), provider, clock.context(), host)
    assert provider.calls[2:] == ["url tar-0", "refused Signature=3", "url tar-0"]


def test_a_url_that_expires_again_after_progress_is_no_failure(clock):
    answers = [slice_of((have, 100), outcomes={"0": ["expired", "403"]}) for have in (10, 20, 30)]
    assert run(params(id="1"), FakeProvider([backup(1)]), clock.context(), FakeHost(*answers, done(100)))["changed"]


WRONG = "its MD5 is aa, not bb as the service says"


def test_a_part_that_does_not_fit_is_fetched_once_more(clock):
    provider = FakeProvider([backup(1)], parts=2)
    host = FakeHost(slice_of((5, 5), (0, 5), outcomes={"0": ["done", ""], "1": ["misfit", WRONG]}), done(5, 5))
    assert run(params(id="1"), provider, clock.context(), host)["changed"]
    assert [list(order["urls"]) for order in host.orders] == [[0, 1], [1]]
    # Where it lies is asked anew too.
    assert provider.calls.count("url tar-1") == 2
    assert any("part tar-1: %s; fetching it once more" % WRONG in line for line in clock.lines)


def test_a_part_that_does_not_fit_again_is_the_end(clock):
    host = FakeHost(slice_of((5, 5), (0, 5), outcomes={"1": ["misfit", WRONG]}))
    error = failure(clock, host, parts=2)
    assert (error.code, error.details["part"], len(host.orders)) == ("checksum_mismatch", "tar-1", 2)
    assert "part tar-1: %s, also when fetched anew; the destination is as it was before." % WRONG in error.message
    assert len(host.released) == 1


def test_what_the_service_vouches_for_tells_backups_apart(clock):
    """What was written over under the same name is another backup, for the note beside the file as for a partial."""
    orders = []
    for md5 in ("aa", "bb", None):
        provider, host = FakeProvider([backup(1)]), FakeHost(done(5))
        provider.files[0].md5 = md5
        run(params(id="1"), provider, clock.context(), host)
        orders.append(host.orders[0])
    assert [order["files"][0]["md5"] for order in orders] == ["aa", "bb", None]
    assert [order["what"].get("md5") for order in orders] == [["aa"], ["bb"], None]


@pytest.mark.parametrize("kind", ["final", "transient"])
def test_what_the_host_gave_up_is_given_up(clock, kind):
    host = FakeHost(slice_of((5, 5), (0, None), outcomes={"1": [kind, "storage x answered 404"]}))
    error = failure(clock, host, parts=2)
    assert (error.code, error.details["part"]) == ("storage", "tar-1")
    assert "part tar-1: storage x answered 404" in error.message
    assert len(host.orders) == len(host.released) == 1


@pytest.mark.parametrize(
    "have, options, words",
    [
        (5, {}, "404. What has arrived (5 B) is kept; running the same task again goes on from there"),
        (0, {}, "404. Nothing has arrived yet; run the same task again"),
        (5, {"keep_partial": False}, "404. Nothing is kept (keep_partial: false); running the same task again"),
    ],
)
def test_a_failure_says_the_next_step(clock, have, options, words):
    host = FakeHost(slice_of((have, 9), outcomes={"0": ["final", "storage x answered 404"]}))
    assert words in failure(clock, host, **options).message


def test_an_empty_dest_is_refused_before_the_api_is_asked(clock):
    provider = FakeProvider([backup(1)])
    with pytest.raises(OptionError, match="dest: is empty"):
        run(params(id="1", dest=""), provider, clock.context(), FakeHost())
    assert provider.calls == []


def test_silence_is_given_up(clock):
    host = FakeHost(slice_of((5, 10), received=0, outcomes={"0": ["paused", "storage x sent nothing"]}))
    assert "no byte has come for a while: storage x sent nothing" in failure(clock, host).message
    assert len(host.orders) == 3


def test_a_storage_that_keeps_changing_is_given_up(clock):
    host = FakeHost(*[slice_of((have, 100)) for have in (50, 10) * 10])
    assert "keeps changing" in failure(clock, host).message


def test_when_the_api_fails_the_host_is_told(clock):
    class Broken(FakeProvider):
        def file_access(self, source, backup_id, file):
            raise ApiError("gone")

    host = FakeHost()
    with pytest.raises(ApiError):
        run(params(id="1"), Broken([backup(1)]), clock.context(), host)
    assert len(host.released) == 1


def test_what_the_host_complains_of_itself_it_knows(clock):
    error = BackupError("busy", code="busy")
    error.on_host = True
    host = FakeHost(error)
    assert failure(clock, host).code == "busy"
    assert host.released == []


def test_a_host_without_md5_is_told_of(clock):
    run(params(id="1"), FakeProvider([backup(1)]), clock.context(), FakeHost(done(5, without_md5=True)))
    assert ["refuses MD5" in warning for warning in clock.warnings] == [True]


def test_doubts_are_told(clock):
    host = FakeHost(done(7, unmeasured=[0]))
    run(params(id="1"), FakeProvider([backup(1)], sizes=[5]), clock.context(), host)
    assert ["does not say how long" in clock.warnings[0], "as 5 bytes, the storage sent 7" in clock.warnings[1]] == [
        True,
        True,
    ]
