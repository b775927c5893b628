# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Trove and Rackspace have in common, without a network: pages, records of every shape, names, files."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import RunRequest
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
)
from ansible_collections.restorable.backups.plugins.module_utils._providers._swift import place_of, segments_of
from ansible_collections.restorable.backups.plugins.module_utils._providers._trove_api import TroveApi, problem_of
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.openstack_world import (
    ONE,
    TWO,
    Cloud,
    Turns,
    instance,
    link,
    paged,
    response,
    row,
)


class Service(TroveApi):
    name = "service"
    title = "The service"
    page_size = 3


def provider(cloud):
    return Service(cloud, "address")


def listing(answer, source=ONE, **given):
    cloud = Cloud().on("GET /backups", answer).on("GET /instances/" + ONE, {"instance": instance()})
    return provider(cloud).list_backups(source, **given), cloud


def the_backup(**fields):
    (found,) = listing({"backups": [row(**fields)]})[0].backups
    return found


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "count, by_id, calls",
    [(count, by_id, calls) for count, calls in enumerate((1, 1, 1, 2, 2)) for by_id in (False, True)]
    + [(6, False, 3), (6, True, 3), (7, False, 4), (7, True, 3)],
)
def test_pages_are_read_to_their_end(count, by_id, calls):
    found, cloud = listing(paged([row(number) for number in range(count)], 3, by_id))
    assert [backup.id for backup in found.backups] == ["b%d" % number for number in range(count)]
    assert found.warnings == [] and found.whole
    asked = [sent for _method, path, sent in cloud.calls if path == "/backups"]
    assert len(asked) == calls
    assert all(sent["limit"] == 3 and sent["instance_id"] == ONE for sent in asked), "no page loses the filter"


def test_a_record_that_moves_between_pages_is_kept_once():
    pages = [
        {"backups": [row(1), row(2), row(3)], "links": link(3)},
        {"backups": [row(2), row(3), row(4)], "links": link(5)},
        {"backups": [row(4), row(5)]},
    ]
    found, cloud = listing(Turns(pages))
    assert [backup.id for backup in found.backups] == ["b1", "b2", "b3", "b4", "b5"]
    assert found.whole and [sent.get("marker") for _method, _path, sent in cloud.calls] == [None, 2, 4]


class Deleting:
    """A list from which the first record goes after each of so many first pages."""

    def __init__(self, records, times):
        self.records, self.times = list(records), times

    def __call__(self, sent):
        answer = paged(self.records, 3)(sent)
        if "marker" not in sent and self.times:
            self.times -= 1
            del self.records[0]
        return answer


@pytest.mark.parametrize("times, readings", [(1, 2), (3, 4)])
@pytest.mark.parametrize("count", [5, 8, 20])
def test_what_a_deletion_hides_is_found_by_reading_again(count, times, readings):
    found, cloud = listing(Deleting([row(number) for number in range(count + times)], times))
    assert [backup.id for backup in found.backups] == ["b%d" % number for number in range(times, count + times)]
    assert found.whole and found.warnings == []
    assert len([sent for _method, _path, sent in cloud.calls if "marker" not in sent]) == readings


@pytest.mark.parametrize("count", [7, 8, 20])
def test_a_list_that_changes_each_time_is_not_called_whole(count):
    found, cloud = listing(Deleting([row(number) for number in range(count)], 4))
    assert not found.whole
    assert found.warnings == ["/backups changed each time while its pages were read: records may be missing"]
    assert len([sent for _method, _path, sent in cloud.calls if "marker" not in sent]) == 4


def test_a_number_that_is_an_id_is_no_number_of_records():
    records = [row(id=number) for number in (90, 70, 50, 30, 10)]
    pages = [{"backups": records[:3], "links": link(50)}, {"backups": records[3:]}]
    found, cloud = listing(Turns(pages))
    assert len(found.backups) == 5 and found.whole
    assert cloud.calls[1][2]["marker"] == "50"


@pytest.mark.parametrize(
    "pages",
    [
        [{"backups": [row(1)], "links": link("")}],
        [{"backups": [row(1)], "links": [{"rel": "next"}]}],
        [{"backups": [row(1)], "links": [{"rel": "next", "href": "https://[x?marker=1"}]}],
        [{"backups": [row(1)], "links": link(1)}, {"backups": [row(2)], "links": link(1)}],
        [{"backups": [row(1)], "links": link(number)} for number in range(1, 6)],
        [{"backups": [], "links": link(number)} for number in range(1, 6)],
    ],
)
def test_links_that_lead_nowhere_are_an_error(pages):
    with pytest.raises(ApiError) as caught:
        listing(Turns(pages))
    assert caught.value.code == "paging"


def test_a_server_that_links_for_ever_is_left(monkeypatch):
    monkeypatch.setattr("%s.MAX_PAGES" % problem_of.__module__, 5)
    counter = iter(range(100))

    def answer(_params):
        number = next(counter)
        return {"backups": [row(number)], "links": link(number + 1)}

    with pytest.raises(ApiError, match="goes in circles: page 5"):
        listing(answer)


@pytest.mark.parametrize("links", [None, [], {}, "x", [None], [{"rel": "self", "href": "x"}]])
def test_a_list_without_a_link_to_more_ends(links):
    assert len(listing({"backups": [row()], "links": links})[0].backups) == 1


# -- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [{"backups": [row()]}, {"backup": [row()]}, [row()]])
def test_every_documented_envelope_is_read(answer):
    assert [backup.id for backup in listing(answer)[0].backups] == ["b1"]


@pytest.mark.parametrize(
    "answer",
    [{}, {"instances": []}, {"backups": {}}, {"backups": "none"}, {"backups": [1]}, {"backup": row()}, 7, "x"],
)
def test_what_is_no_list_is_an_error_and_never_an_empty_list(answer):
    with pytest.raises(ApiError, match="^The service answered with") as caught:
        listing(answer)
    assert caught.value.code == "bad_shape"


@pytest.mark.parametrize("answer", [None, {"backups": None}])
def test_null_in_place_of_a_list_is_warned_of(answer):
    found, _cloud = listing(answer)
    assert found.backups == [] and found.warnings == ["/backups answered null in place of a list"]
    assert not found.whole


@pytest.mark.parametrize("number", [None, "", " ", True, {}, []])
def test_a_record_without_an_id_is_an_error(number):
    with pytest.raises(ApiError, match="a record without an id") as caught:
        the_backup(id=number)
    assert caught.value.code == "bad_shape"


def test_a_whole_record():
    found = the_backup(parent_id="b0", unknown_field={"x": 1})
    assert found.id == "b1" and found.name == "nightly" and found.parent_id == "b0"
    assert found.provider == "service" and found.source == ONE and found.series == ONE + "/mysql"
    assert found.engine == "mysql" and found.status == "ok"
    assert found.created_at == datetime(2026, 3, 18, 3, 0, 5, tzinfo=timezone.utc)
    assert found.size_bytes == round(0.14 * 2**30)
    assert found.location.endswith("/database_backups/b1.xbstream.gz")
    assert found.raw["unknown_field"] == {"x": 1}


@pytest.mark.parametrize(
    "status, meant",
    [
        ("COMPLETED", "ok"),
        ("completed", "ok"),
        ("RESTORED", "ok"),
        ("FAILED", "failed"),
        ("DELETE_FAILED", "failed"),
        ("COPY_ERROR", "failed"),
        ("NEW", "running"),
        ("BUILDING", "running"),
        ("SAVING", "running"),
        ("HIBERNATING", "unknown"),
        (7, "unknown"),
        (None, "unknown"),
    ],
)
def test_statuses(status, meant):
    assert the_backup(status=status).status == meant


@pytest.mark.parametrize(
    "size, meant",
    [
        (1, 2**30),
        (0.01, 10737418),
        ("0.5", 2**29),
        (None, None),
        (0, None),
        (-1, None),
        ("much", None),
        (True, None),
        ("nan", None),
        ("inf", None),
        ([1], None),
    ],
)
def test_sizes(size, meant):
    assert the_backup(size=size).size_bytes == meant


@pytest.mark.parametrize(
    "created, hour", [("2026-03-18T03:00:05", 3), ("2026-03-18T03:00:05Z", 3), ("2026-03-18T03:00:05+02:00", 1)]
)
def test_times_with_and_without_a_zone(created, hour):
    assert the_backup(created=created).created_at.hour == hour


@pytest.mark.parametrize("created", [None, "", "yesterday", 7])
def test_times_that_are_none(created):
    assert the_backup(created=created).created_at is None


@pytest.mark.parametrize("datastore", [None, "mysql", {}, {"type": None}])
def test_a_record_without_a_datastore(datastore):
    found = the_backup(datastore=datastore)
    assert found.engine is None and found.series == ONE + "/unknown"


def test_engines_have_one_spelling():
    assert the_backup(datastore={"type": "MariaDB"}).engine == "mariadb"
    assert the_backup(datastore={"type": "postgres"}).engine == "postgresql"


def test_an_imported_backup_has_no_instance():
    found, _cloud = listing({"backups": [row(instance_id=None)]}, source="*")
    assert found.backups[0].source == "" and found.backups[0].series == "imported/mysql"


def test_numbers_in_place_of_texts_are_read():
    found = the_backup(id=17, name=5, instance_id=ONE)
    assert found.id == "17" and found.name == "5"


# -- what is listed ----------------------------------------------------------------------------------------------------


def test_all_of_the_account():
    _found, cloud = listing({"backups": [row()]}, source="*")
    assert cloud.calls == [("GET", "/backups", {"limit": 3})]


def test_one_datastore():
    _found, cloud = listing({"backups": [row()]}, datastore="mysql")
    assert cloud.calls == [("GET", "/backups", {"instance_id": ONE, "datastore": "mysql", "limit": 3})]


def test_an_unknown_datastore_is_an_empty_list_with_a_warning():
    cloud = Cloud().on("GET /backups", NotFoundError("no"))
    cloud.on("GET /datastores", {"datastores": [{"name": "mysql", "id": "d1"}, {"name": "mariadb", "id": "d2"}]})
    found = provider(cloud).list_backups(ONE, datastore="MySQL")
    assert found.backups == [] and found.warnings == ["there is no datastore MySQL; there are: mariadb, mysql"]
    assert found.whole


def test_not_found_for_another_reason_is_no_empty_list():
    cloud = Cloud().on("GET /backups", NotFoundError("no"))
    cloud.on("GET /datastores", {"datastores": [{"name": "mysql", "id": "d1"}]})
    for datastore in (None, "mysql", "d1"):
        with pytest.raises(NotFoundError):
            provider(cloud).list_backups(ONE, datastore=datastore)


def test_an_instance_that_neither_exists_nor_has_backups_is_not_found():
    cloud = Cloud().on("GET /backups", {"backups": []}).on("GET /instances/" + ONE, NotFoundError("no"))
    with pytest.raises(NotFoundError, match="There is no instance " + ONE):
        provider(cloud).list_backups(ONE)


def test_an_instance_that_is_gone_still_has_its_backups():
    cloud = Cloud().on("GET /backups", {"backups": [row()]})
    assert len(provider(cloud).list_backups(ONE).backups) == 1
    assert len(cloud.calls) == 1


def test_an_empty_list_stands_where_the_instance_cannot_be_looked_at():
    cloud = Cloud().on("GET /backups", {"backups": []}).on("GET /instances/" + ONE, UnavailableError("no"))
    assert provider(cloud).list_backups(ONE).backups == []


# -- names of instances ------------------------------------------------------------------------------------------------


def named(*instances):
    cloud = Cloud().on("GET /backups", {"backups": [row()]})
    return cloud.on("GET /instances", paged(list(instances), 3, by_id=True, name="instances"))


def test_names_are_looked_up_once_for_all():
    cloud = named(*[instance("i%d" % number, "n%d" % number) for number in range(5)])
    known = provider(cloud)
    for name in ("n4", "n4", "n1"):
        known.list_backups(name)
    assert [path for _method, path, _sent in cloud.calls] == ["/instances"] * 2 + ["/backups"] * 3
    assert [sent["instance_id"] for _method, _path, sent in cloud.calls[2:]] == ["i4", "i4", "i1"]


def test_several_instances_of_a_name_are_named():
    with pytest.raises(OptionError, match="^source: 2 instances have the name shop, .*: %s, %s$" % (ONE, TWO)):
        provider(named(instance(ONE), instance(TWO))).list_backups("shop")


def test_an_unknown_name_shows_known_ones_but_not_hundreds():
    with pytest.raises(NotFoundError, match="There is no instance shoop; there are: blog, shop$"):
        provider(named(instance(ONE), instance(TWO, "blog"))).list_backups("shoop")
    with pytest.raises(NotFoundError) as caught:
        provider(named(*[instance("i%d" % n, "n%d" % n) for n in range(100)])).list_backups("shop")
    assert len(caught.value.message) < 200 and caught.value.message.endswith(", ...")
    with pytest.raises(NotFoundError, match="there are: none$"):
        provider(named()).list_backups("shop")


@pytest.mark.parametrize(
    "answer, code",
    [
        (None, "incomplete"),
        ({"instances": None}, "incomplete"),
        ({}, "bad_shape"),
        ({"instances": [{"name": "shop"}]}, "bad_shape"),
    ],
)
def test_instances_that_are_no_list(answer, code):
    with pytest.raises(ApiError) as caught:
        provider(Cloud().on("GET /instances", answer)).list_backups("shop")
    assert caught.value.code == code


def test_an_id_in_capitals_is_the_same_id():
    letters = "abcdef00-1111-1111-1111-111111111111"
    cloud = Cloud().on("GET /backups", {"backups": [row(instance_id=letters)]})
    assert provider(cloud).list_backups(letters.upper()).backups[0].source == letters
    assert cloud.calls[0][2]["instance_id"] == letters
    cloud.on("GET /backups/b1", {"backup": row(instance_id=letters)})
    assert provider(cloud).get_backup(letters.upper(), "b1").id == "b1"


def test_sources():
    found = provider(named(instance(ONE), instance(TWO, None, datastore=None, status=None))).list_sources()
    assert [(s.id, s.name, s.engine, s.version, s.status) for s in found] == [
        (ONE, "shop", "mysql", "8.0", "ACTIVE"),
        (TWO, None, None, None, None),
    ]
    assert found[0].raw["region"] == "RegionOne"


# -- one backup --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [ONE, "*", "", None])
def test_one_backup(source):
    cloud = Cloud().on("GET /backups/b1", {"backup": row()})
    assert provider(cloud).get_backup(source, "b1").id == "b1"
    assert len(cloud.calls) == 1


def test_a_backup_of_another_source_is_refused():
    cloud = Cloud().on("GET /backups/b1", {"backup": row()})
    with pytest.raises(OptionError, match="^id: b1 is no backup of %s, but of %s" % (TWO, ONE)):
        provider(cloud).get_backup(TWO, "b1")


@pytest.mark.parametrize("answer", [None, {}, [], {"backup": None}, {"backup": []}, {"backups": [row()]}])
def test_an_answer_that_holds_no_backup(answer):
    with pytest.raises(ApiError, match="does not hold a backup") as caught:
        provider(Cloud().on("GET /backups/b1", answer)).get_backup("*", "b1")
    assert caught.value.code == "bad_shape"


def test_ids_stay_one_part_of_the_path():
    cloud = Cloud().on("GET /backups/..%2Finstances", {"backup": row()})
    provider(cloud).get_backup("*", "../instances")


# -- files -------------------------------------------------------------------------------------------------------------

MD5S = [hashlib.md5(text).hexdigest() for text in (b"one", b"two")]
ETAG = hashlib.md5("".join(MD5S).encode()).hexdigest()
OBJECT = "/database_backups/b1.xbstream.gz"


def segment(number, **fields):
    found = {"name": "/database_backups/b1_0000000%d" % number, "bytes": 3, "hash": MD5S[number], "content_type": "x"}
    found.update(fields)
    return found


def stored(headers, manifest=None, **fields):
    cloud = Cloud().on("GET /backups/b1", {"backup": row(**fields)})
    cloud.on("HEAD " + OBJECT, (headers, None)).on("GET " + OBJECT, manifest)
    return provider(cloud), cloud


def test_a_plain_object_is_one_file():
    known, cloud = stored({"Content-Length": "3", "ETag": '"%s"' % MD5S[0]})
    (file,) = known.list_files(ONE, "b1")
    assert (file.id, file.name, file.size_bytes, file.md5) == (OBJECT[1:], "b1.xbstream.gz", 3, MD5S[0])
    assert [call[:2] for call in cloud.calls] == [("GET", "/backups/b1"), ("HEAD", OBJECT)]
    access = known.file_access(ONE, "b1", file)
    assert access.url == "https://object-store.example/v1/AUTH_p1" + OBJECT
    assert access.headers == {"X-Auth-Token": "t"}
    assert (access.ca_path, access.client_cert) == ("/ca.pem", ("/cert.pem", None))
    assert cloud.asked_seconds == [600], "the token outlives the beginning of a download"


@pytest.mark.parametrize("headers", [{}, {"ETag": "short"}, {"ETag": MD5S[0], "X-Object-Manifest": "c/p"}])
def test_an_etag_that_is_no_md5_of_the_content(headers):
    (file,) = stored(dict(headers))[0].list_files(ONE, "b1")
    assert file.md5 is None and file.size_bytes is None


@pytest.mark.parametrize("etag", [ETAG, '"%s"' % ETAG])
def test_a_large_object_is_its_segments(etag):
    headers = {"Content-Length": "6", "ETag": etag, "X-Static-Large-Object": "True"}
    known, cloud = stored(headers, [segment(0), segment(1)])
    files = known.list_files(ONE, "b1")
    assert [(file.name, file.size_bytes, file.md5) for file in files] == [
        ("b1_00000000", 3, MD5S[0]),
        ("b1_00000001", 3, MD5S[1]),
    ]
    assert cloud.calls[-1] == ("GET", OBJECT, {"multipart-manifest": "get"})
    assert known.file_access(ONE, "b1", files[1]).url.endswith("/AUTH_p1/database_backups/b1_00000001")


def test_a_python_that_refuses_md5_leaves_the_segments_to_be_checked_where_they_arrive(monkeypatch):
    def refuse(*_about, **_options):
        raise ValueError("disabled for FIPS")

    monkeypatch.setattr(hashlib, "md5", refuse)
    assert [file.md5 for file in segments_of([segment(0), segment(1)], ETAG, "x")] == MD5S


def test_a_segment_lies_where_its_own_path_says():
    other = hashlib.md5(MD5S[0].encode()).hexdigest()
    (file,) = segments_of([segment(0, name="/other/a b/c?d")], other, "x")
    assert (file.id, file.name) == ("other/a b/c?d", "c?d")
    url = provider(Cloud()).file_access(ONE, "b1", file).url
    assert url == "https://object-store.example/v1/AUTH_p1/other/a%20b/c%3Fd"


@pytest.mark.parametrize(
    "manifest, code",
    [
        ([segment(0)], "bad_manifest"),
        ([segment(1), segment(0)], "bad_manifest"),
        ([segment(0), segment(1, sub_slo=True)], "bad_manifest"),
        ([segment(0), segment(1, range="0-1")], "bad_manifest"),
        ([segment(0), {"data": "eA=="}], "bad_manifest"),
        ([], "bad_shape"),
        ({}, "bad_shape"),
        (None, "bad_shape"),
        ([1], "bad_shape"),
        ([segment(0, name=None)], "bad_shape"),
        ([segment(0, name="alone")], "bad_shape"),
        ([segment(0, bytes="3")], "bad_shape"),
        ([segment(0, bytes=-1)], "bad_shape"),
        ([segment(0, bytes=True)], "bad_shape"),
        ([segment(0, hash=None)], "bad_shape"),
    ],
)
def test_manifests_that_cannot_be_trusted(manifest, code):
    with pytest.raises(ApiError, match="anifest|vouches") as caught:
        segments_of(manifest, ETAG, "c/o")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "location, code",
    [
        ("cinder://volume/1", "no_file"),
        ("http://host/alone", "bad_location"),
        ("http://[", "bad_location"),
        ("x", "bad_location"),
    ],
)
def test_locations_without_a_file(location, code):
    with pytest.raises(ApiError) as caught:
        stored({}, locationRef=location)[0].list_files(ONE, "b1")
    assert caught.value.code == code


def test_a_backup_that_has_no_file_yet():
    assert stored({}, locationRef=None, status="BUILDING")[0].list_files(ONE, "b1") == []


def test_places():
    assert place_of("http://10.0.0.1:8080/v1/AUTH_p/c%20d/a.gz") == ("c d", "a.gz")
    assert place_of("https://snet-storage101.x.example/v1/MossoCloudFS_1/z_CLOUDDB_BACKUPS/i.xbstream.gz.enc") == (
        "z_CLOUDDB_BACKUPS",
        "i.xbstream.gz.enc",
    )


def store_problem(status):
    cloud = Cloud().on("HEAD " + OBJECT, ({}, None)).on("GET /backups/b1", {"backup": row()})
    provider(cloud).list_files(ONE, "b1")
    return cloud.problems["object-store"]("HEAD " + OBJECT, response(status, "<html>no</html>", "text/html"))


def test_what_the_object_store_refuses_is_said_in_words():
    forbidden, missing = store_problem(403), store_problem(404)
    assert isinstance(forbidden, AuthError) and forbidden.code == "no_read_access"
    assert "a role that may read container database_backups, such as member" in forbidden.message
    assert isinstance(missing, NotFoundError) and missing.code == "file_missing"
    assert missing.message == "The backup's object is gone from the object store: database_backups/b1.xbstream.gz"
    assert store_problem(500) is None


# -- writes ------------------------------------------------------------------------------------------------------------


def test_only_what_was_said_is_sent():
    cloud = Cloud().on("POST /backups", {"backup": row(status="NEW", locationRef=None)})
    found = provider(cloud).run_backup(ONE, RunRequest(name="n"))
    assert found.id == "b1" and found.status == "running"
    assert cloud.calls == [("POST", "/backups", {"backup": {"instance": ONE, "name": "n"}})]
    full = RunRequest("n", description="d", incremental=True, parent_id="b0", swift_container="c")
    provider(cloud).run_backup(ONE, full)
    assert cloud.calls[-1][2]["backup"] == {
        "instance": ONE,
        "name": "n",
        "description": "d",
        "incremental": 1,
        "parent_id": "b0",
        "swift_container": "c",
    }


def test_an_accepted_backup_that_is_not_shown_is_in_doubt():
    with pytest.raises(OutcomeUnknownError):
        provider(Cloud().on("POST /backups", {})).run_backup(ONE, RunRequest(name="n"))


UNAVAILABLE = "Instance x is not currently available for an action to be performed (%s)."


@pytest.mark.parametrize(
    "status, text, kind, code",
    [
        (422, UNAVAILABLE % "instance status was BACKUP", ApiError, "already_running"),
        (422, UNAVAILABLE % "task status was RESIZING", ApiError, "instance_busy"),
        (422, UNAVAILABLE % "instance status was BUILD", ApiError, "instance_busy"),
        (422, "Backup for x is already running.", ApiError, "already_running"),
        (422, "A backup is in progress.", ApiError, "already_running"),
        (401, "Swift account not accessible for tenant p1.", AuthError, "no_object_store"),
    ],
)
def test_refusals_in_words(status, text, kind, code):
    problem = problem_of(
        "POST /backups", response(status, '{"fault": {"code": %d, "message": "%s"}}' % (status, text))
    )
    assert isinstance(problem, kind) and problem.code == code
    assert text.rstrip(".") in problem.message


@pytest.mark.parametrize(
    "content, kind",
    [
        ("<html><head><title>403 Forbidden</title></head><body>%s</body></html>", "text/html"),
        ('{"message": "Access was denied to this resource.<br /> %s", "code": "403 Forbidden"}', "application/json"),
    ],
)
def test_the_token_of_another_project_is_named_as_what_it_is(content, kind):
    text = "User with tenant id p1 cannot access this resource."
    problem = problem_of("GET /backups", response(403, content % text, kind))
    assert isinstance(problem, AuthError) and problem.code == "other_project"
    assert "the token is not for the project of this address" in problem.message


@pytest.mark.parametrize(
    "call, status, text",
    [("GET /backups", status, "m") for status in (401, 403, 404, 422, 500)]
    + [
        ("POST /backups", 422, "This cannot be done now."),
        ("POST /backups", 422, "The instance is not running."),
        ("POST /schedules", 422, "Backup for x is already running."),
    ],
)
def test_usual_errors_are_left_to_the_usual_reading(call, status, text):
    assert problem_of(call, response(status, '{"x": {"code": 1, "message": "%s"}}' % text)) is None


def test_delete():
    cloud = Cloud().on("DELETE /backups/b1", None)
    assert provider(cloud).delete_backup(ONE, "b1") is None
    assert cloud.calls == [("DELETE", "/backups/b1", {})]
    with pytest.raises(NotFoundError):
        provider(Cloud().on("DELETE /backups/b1", NotFoundError("gone"))).delete_backup(ONE, "b1")


def in_doubt(answer):
    cloud = Cloud().on("DELETE /backups/b1", OutcomeUnknownError("500", status=500)).on("GET /backups/b1", answer)
    return provider(cloud)


def test_a_delete_in_doubt_is_looked_at():
    assert in_doubt(NotFoundError("gone")).delete_backup(ONE, "b1") is None
    for answer in ({"backup": row()}, UnavailableError("502"), {"backup": None}):
        with pytest.raises(OutcomeUnknownError, match="^500$"):
            in_doubt(answer).delete_backup(ONE, "b1")
    with pytest.raises(
        ApiError, match=r"Backup b1 cannot be deleted while it is running \(its status is BUILDING\)"
    ) as e:
        in_doubt({"backup": row(status="BUILDING")}).delete_backup(ONE, "b1")
    assert e.value.code == "backup_running"


def test_a_token_that_a_download_was_refused_with_is_renewed():
    known, cloud = stored({"Content-Length": "3"})
    (file,) = known.list_files(ONE, "b1")
    known.access_refused(known.file_access(ONE, "b1", file))
    assert cloud.calls[-1] == ("RENEW", "t", None)
