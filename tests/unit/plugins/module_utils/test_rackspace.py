# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rackspace, without a network: options, tokens and catalogs of every shape, records, what a schedule should be."""

from __future__ import annotations

import time

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._backup import RunRequest, TaskRecord
from ansible_collections.restorable.backups.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
)
from ansible_collections.restorable.backups.plugins.module_utils._http import Answer
from ansible_collections.restorable.backups.plugins.module_utils._operations._task_record import (
    ensure_record,
)
from ansible_collections.restorable.backups.plugins.module_utils._operations.task import SPEC
from ansible_collections.restorable.backups.plugins.module_utils._options import PROVIDER_OPTIONS
from ansible_collections.restorable.backups.plugins.module_utils._providers import PROVIDERS, Surroundings, connect
from ansible_collections.restorable.backups.plugins.module_utils._providers import rackspace
from ansible_collections.restorable.backups.plugins.module_utils._providers.rackspace import ApiKeyIdentity, Rackspace
from ansible_collections.restorable.backups.tests.unit.plugins.module_utils.worlds import World

ID = "44b277eb-39be-4921-be31-3d61b43651d7"
GROUP = "130922a2-b9ab-4e95-86be-9c5d79171b5e"
SCHEDULE = "2e351a71-dd28-4bcb-a7d6-d36a5b487173"
DAILY = {"frequency": "30 4 * * *", "full_backup_day": 7, "full_backup_retention": 2, "copy_to": []}
RECORD = {
    "id": "d9f56b04-e17d-41f0-ae92-30a3b47b8d29",
    "status": "COMPLETED",
    "name": "snapshot",
    "created": "2015-09-01T03:23:28Z",
    "updated": "2015-09-01T03:23:36Z",
    "datastore": {"version": "5.6", "type": "percona", "version_id": "c9760c5b"},
    "size": 0.18,
    "is_automated": 0,
    "parent_id": None,
    "instance_id": ID,
    "source": {"type": "instance", "id": ID},
    "locationRef": "https://snet-storage101.dfw1.example/v1/M/z_CLOUDDB_BACKUPS/d9f56b04.xbstream.gz",
    "type": "InnoBackupEx",
}
# As in the documentation of 2014.
SHORT = {
    "action": "backup",
    "created": "2014-10-30T12:30:00",
    "day_of_month": None,
    "day_of_week": 0,
    "hour": 14,
    "id": SCHEDULE,
    "instance_id": ID,
    "last_scheduled": None,
    "minute": 30,
    "month": None,
    "next_run": "2014-11-02T14:30:00",
    "updated": "2014-10-30T12:30:00",
}


# The same, as newer documentation shows it.
KEPT = dict(SHORT, hour=4, day_of_week=7, full_backup_retention=2)


class Turns(list):
    """Answers in their order."""


class FakeClient:
    """Answers each call by what stands for it: one answer for ever, or Turns."""

    def __init__(self, **answers):
        self.answers = {name.replace("__", " /", 1).replace("__", "/"): answer for name, answer in answers.items()}
        self.calls = []

    def _answer(self, method, path, body=None):
        call = "%s %s" % (method, path.replace(SCHEDULE, "S").replace(ID, "I"))
        self.calls.append((call, body) if body is not None else call)
        found = self.answers[call]
        if isinstance(found, Turns):
            found = found.pop(0)
        if isinstance(found, Exception):
            raise found
        return Answer(found, {}, 200)

    def get(self, path, params=None):
        return self._answer("GET", path)

    def post(self, path, body=None):
        return self._answer("POST", path, body)

    def put(self, path, body=None, empty=False):
        assert empty, "the documented answer has no body"
        return self._answer("PUT", path, body)

    def delete(self, path):
        return self._answer("DELETE", path)


class FakeAccess:
    def __init__(self, client):
        self._client = client

    def client(self, service, problem_of):
        assert service == "rax:database"
        return self._client


def provider(region="DFW", **answers):
    """(provider, its client, its warnings, its pauses)"""
    client, warnings, pauses = FakeClient(**answers), [], []
    made = Rackspace(FakeAccess(client), "address", region, warnings.append, sleep=pauses.append)
    return made, client, warnings, pauses


def given(**options):
    params = {name: about.get("default") for name, about in PROVIDER_OPTIONS.items()}
    params.update(
        provider="rackspace", api_url="https://identity.example", username="jo", api_token="the-key", region_name="DFW"
    )
    return dict(params, **options)


def asked(**options):
    """Options of backup_task."""
    params = {name: about.get("default") for name, about in SPEC["argument_spec"].items()}
    return dict(params, **options)


# -- options -----------------------------------------------------------------------------------------------------------


def test_it_declares_its_options_with_their_variables():
    assert PROVIDERS["rackspace"] is Rackspace
    assert {option: about.env for option, about in Rackspace.options.items()} == {
        "api_url": ("RAX_AUTH_URL",),
        "username": ("RAX_USERNAME",),
        "api_token": ("RAX_API_KEY",),
        "region_name": ("RAX_REGION",),
    }
    assert Rackspace.options["api_url"].default == "https://identity.api.rackspacecloud.com"


@pytest.mark.parametrize("nothing", [None, "", "  "])
@pytest.mark.parametrize(
    "option, variable", [("username", "RAX_USERNAME"), ("api_token", "RAX_API_KEY"), ("region_name", "RAX_REGION")]
)
def test_a_missing_option_says_where_it_may_come_from(option, variable, nothing):
    with pytest.raises(OptionError, match="^%s: .*%s" % (option, variable)):
        connect(given(**{option: nothing}), Surroundings())


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel"])
def test_a_key_that_was_pasted_badly_is_refused_and_not_shown(key):
    with pytest.raises(OptionError, match="^api_token: ") as caught:
        connect(given(api_token=key), Surroundings())
    assert key not in caught.value.message


@pytest.mark.parametrize(
    "url, base",
    [
        ("https://identity.example", "https://identity.example/v2.0"),
        ("https://identity.example/", "https://identity.example/v2.0"),
        ("https://identity.example/v2.0", "https://identity.example/v2.0"),
        ("https://identity.example/v2.0/", "https://identity.example/v2.0"),
        ("identity.example", "https://identity.example/v2.0"),
        ("http://127.0.0.1:8066/identity/v2.0", "http://127.0.0.1:8066/identity/v2.0"),
    ],
)
def test_the_address_may_end_in_the_version(url, base):
    assert ApiKeyIdentity(given(api_url=url)).address == base + "#jo#DFW"


@pytest.mark.parametrize(
    "url", ["", "http://identity.example", "ftp://identity.example", "https://u:p@identity.example"]
)
def test_addresses_that_no_key_should_go_to(url):
    with pytest.raises(OptionError, match="^api_url: "):
        connect(given(api_url=url), Surroundings())


def test_the_address_tells_accounts_and_regions_apart_and_holds_no_secret():
    addresses = {
        connect(given(**options), Surroundings()).address
        for options in ({}, {"username": "al"}, {"region_name": "ORD"}, {"api_url": "https://lon.identity.example"})
    }
    assert len(addresses) == 4 and "the-key" not in "".join(addresses)
    assert connect(given(region_name="dfw"), Surroundings()).address in addresses


def test_what_tells_tokens_apart_does_not_hold_more_than_it_must():
    keys = {
        ApiKeyIdentity(given(**options)).key
        for options in (
            {},
            {"api_token": "other"},
            {"validate_certs": False},
            {"region_name": "ORD"},
            {"api_timeout": 5},
        )
    }
    assert len(keys) == 4


def test_what_it_cannot_do_is_said_with_what_works_instead():
    api = provider()[0]
    with pytest.raises(UnsupportedError, match="rackspace cannot import a backup: .*backup_run"):
        api.require("import")
    for region in ("SYD", "HKG"):
        for operation in ("schedule", "unschedule"):
            with pytest.raises(UnsupportedError, match="no schedules in region %s; use backup_run" % region):
                provider(region)[0].require(operation)
        provider(region)[0].require("run")
    api.require("schedule")


def test_keep_count_counts_something_else():
    with pytest.raises(OptionError, match="^keep_count: .*use full_backup_retention"):
        provider()[0].check_understood("schedule", {"keep_count": True}, ["keep_count"])


# -- the token ---------------------------------------------------------------------------------------------------------

CATALOG = [
    {
        "type": "rax:database",
        "name": "cloudDatabases",
        "endpoints": [
            {"region": "DFW", "tenantId": "1", "publicURL": "https://dfw.example/v1.0/1"},
            {"region": "ORD", "tenantId": "1", "publicURL": "https://ord.example/v1.0/1"},
        ],
    },
    {
        "type": "object-store",
        "name": "cloudFiles",
        "endpoints": [
            {"region": "DFW", "publicURL": "https://files.example/v1/M", "internalURL": "https://snet.example/v1/M"}
        ],
    },
    {"type": "rax:dns", "endpoints": [{"publicURL": "https://dns.example"}]},
]


def logged_in(monkeypatch, answer, **options):
    """(the Grant, the bodies that were sent) where the identity service answers so."""
    client = FakeClient()
    client.answers["POST /tokens"] = answer
    monkeypatch.setattr(rackspace, "HttpClient", lambda url, credential, **settings: client)
    return ApiKeyIdentity(given(**options)).log_in(), client.calls


def answer(expires="2100-01-01T00:00:00.000Z", **access):
    token = {"id": "t-1", "expires": expires, "tenant": {"id": "1", "name": "1"}}
    return {"access": dict({"token": token, "user": {"name": "jo"}, "serviceCatalog": CATALOG}, **access)}


def test_a_token_and_where_everything_is(monkeypatch):
    grant, calls = logged_in(monkeypatch, answer(), region_name="dfw")
    assert calls == [
        ("POST /tokens", {"auth": {"RAX-KSKEY:apiKeyCredentials": {"username": "jo", "apiKey": "the-key"}}})
    ]
    assert (grant.token, grant.region, grant.interface) == ("t-1", "DFW", None)
    assert grant.expires > time.time() + 86400
    assert {"type": "object-store", "region": "DFW", "interface": "internal", "url": "https://snet.example/v1/M"} in (
        grant.catalog
    )
    assert len(grant.catalog) == 5


@pytest.mark.parametrize("expires", ["2001-01-01T00:00:00Z", None, "", "soon", 17])
def test_a_clock_that_is_wrong_does_not_make_every_call_ask_for_a_token(monkeypatch, expires):
    grant = logged_in(monkeypatch, answer(expires))[0]
    assert grant.usable(60, time.time())


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"access": None},
        {"access": {"token": {"id": "x"}}},
        answer(token={"id": None}),
        answer(token={"expires": "2100-01-01T00:00:00Z"}),
        answer(token="t-1"),
        answer(serviceCatalog=None),
        answer(serviceCatalog=["x"]),
        answer(serviceCatalog=[{"type": "rax:database"}]),
        answer(serviceCatalog=[{"type": "rax:database", "endpoints": ["x"]}]),
    ],
)
def test_an_answer_that_holds_no_token_or_no_catalog_is_an_error(monkeypatch, said):
    with pytest.raises(ApiError, match="holds no token or no catalog"):
        logged_in(monkeypatch, said)


@pytest.mark.parametrize(
    "error, kind, text",
    [
        (AuthError("POST /tokens answered 401: no", status=401), AuthError, "identity.example does not .*[(]401[)]"),
        (AuthError("POST /tokens answered 403: no", status=403), AuthError, "does not accept username and api_token"),
        (NotFoundError("POST /tokens answered 404"), ApiError, "no identity service at https://identity.example/v2.0"),
        (OutcomeUnknownError("POST /tokens answered 500; so", status=500), UnavailableError, "answered 500$"),
        (OutcomeUnknownError("POST /tokens: it broke off; so"), UnavailableError, "broke off$"),
        (
            OutcomeUnknownError("POST /tokens answered 200; so", status=200),
            ApiError,
            "is no identity service: .*api_url",
        ),
        (OutcomeUnknownError("POST /tokens was redirected; so", status=302), ApiError, "is no identity service"),
        (UnavailableError("POST /tokens: no connection"), UnavailableError, "no connection"),
    ],
)
def test_why_there_is_no_token(monkeypatch, error, kind, text):
    with pytest.raises(kind, match=text) as caught:
        logged_in(monkeypatch, error)
    assert caught.type is kind and "the-key" not in caught.value.message


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_whole_record():
    api = provider(GET__instances__I__backups={"backups": [RECORD]})[0]
    [found] = api.list_backups(ID).backups
    assert (found.provider, found.source, found.series) == ("rackspace", ID, ID + "/percona")
    assert (found.status, found.engine, found.name) == ("ok", "percona", "snapshot")
    assert found.size_bytes == round(0.18 * (1 << 30)) and found.raw == RECORD


@pytest.mark.parametrize(
    "fields, source",
    [
        ({}, ID),
        ({"source": {}}, ID),
        ({"source": None}, ID),
        ({"source": "x"}, ID),
        ({"instance_id": None}, ID),
        ({"instance_id": None, "source": {"type": "ha", "id": GROUP}}, "ha:" + GROUP),
        ({"instance_id": None, "source": {}}, ""),
        ({"instance_id": None, "source": {"type": "ha", "id": None}}, ""),
    ],
)
def test_whose_backup_it_is(fields, source):
    api = provider(GET__backups={"backups": [dict(RECORD, **fields)]})[0]
    assert [backup.source for backup in api.list_backups("*").backups] == [source]


ODD = ["", 0, -1, 7, 0.5, None, True, [], ["a"], {}, {"a": 1}, "odd ü"]


@pytest.mark.parametrize("field", sorted(set(RECORD) - {"id"}))
def test_no_field_but_the_id_is_needed_and_no_odd_value_breaks_a_record(field):
    records = [dict(RECORD, id=str(number), **{field: odd}) for number, odd in enumerate(ODD)]
    records.append({name: value for name, value in RECORD.items() if name != field})
    api = provider(GET__instances__I__backups={"backups": records})[0]
    found = api.list_backups(ID).backups
    assert [backup.raw for backup in found] == records


@pytest.mark.parametrize("number", [None, "", True, [], {}])
def test_a_record_without_an_id_is_an_error(number):
    api = provider(GET__instances__I__backups={"backups": [dict(RECORD, id=number)]})[0]
    with pytest.raises(ApiError, match="a record without an id"):
        api.list_backups(ID)


@pytest.mark.parametrize(
    "data, count",
    [
        ({"backups": [RECORD]}, 1),
        ({"backup": [RECORD]}, 1),
        ({"backup": RECORD}, 1),
        ([RECORD], 1),
        ({"backups": None}, 0),
        (None, 0),
    ],
)
def test_a_list_may_come_in_many_shapes(data, count):
    api = provider(GET__instances__I__backups=data, GET__instances__I={"instance": {}})[0]
    assert len(api.list_backups(ID).backups) == count


@pytest.mark.parametrize("datastore", [None, "percona"])
def test_null_in_place_of_backups_is_no_whole_list(datastore):
    api = provider(GET__instances__I__backups={"backups": None}, GET__instances__I={"instance": {}})[0]
    assert api.list_backups(ID, datastore=datastore).whole is False
    api = provider(GET__instances__I__backups={"backups": [RECORD]})[0]
    assert api.list_backups(ID, datastore=datastore).whole is True


@pytest.mark.parametrize("data", [7, "x", {}, {"backups": "x"}, {"backups": [7]}, {"backups": {"a": 1}}])
def test_what_is_no_list_is_never_taken_for_an_empty_one(data):
    with pytest.raises(ApiError, match="answered with"):
        provider(GET__instances__I__backups=data)[0].list_backups(ID)


def test_an_account_without_groups_has_instances_all_the_same():
    instances = {"instances": [{"id": ID, "name": "shop", "datastore": {"type": "mysql", "version": "5.7"}}]}
    api = provider(GET__ha=NotFoundError("no"), GET__instances=instances)[0]
    assert [(source.id, source.name, source.version) for source in api.list_sources()] == [(ID, "shop", "5.7")]


def test_null_in_place_of_groups_is_not_taken_for_none():
    api = provider(GET__ha={"ha_instances": None}, GET__instances={"instances": []})[0]
    with pytest.raises(ApiError, match="The list of high-availability groups: .*null") as caught:
        api.list_sources()
    assert caught.value.code == "incomplete"


def test_an_instance_and_a_group_of_one_name_are_told_apart_by_their_ids():
    groups = {"ha_instances": [{"id": GROUP, "name": "shop", "state": "ACTIVE"}]}
    api = provider(GET__ha=groups, GET__instances={"instances": [{"id": ID, "name": "shop"}]})[0]
    with pytest.raises(OptionError, match="^source: 2 .*%s, ha:%s" % (ID, GROUP)):
        api.instance_id("shop")
    assert api.instance_id("ha:" + GROUP) == "ha:" + GROUP


# -- backups on request ------------------------------------------------------------------------------------------------


def test_without_a_good_one_to_build_on_an_incremental_backup_is_a_full_one():
    failed = dict(RECORD, status="FAILED")
    api, client, _warnings, _pauses = provider(
        GET__instances__I__backups={"backups": [failed]}, POST__backups={"backup": dict(RECORD, status="NEW")}
    )
    assert api.run_backup(ID, RunRequest(name="n", incremental=True)).status == "running"
    assert client.calls[-1] == ("POST /backups", {"backup": {"instance": ID, "name": "n"}})


def test_a_parent_that_is_named_is_not_looked_for():
    api, client, _warnings, _pauses = provider(POST__backups={"backup": RECORD})
    api.run_backup(ID, RunRequest(name="n", incremental=True, parent_id="p"))
    assert client.calls == [("POST /backups", {"backup": {"instance": ID, "name": "n", "parent_id": "p"}})]


def test_a_backup_may_be_copied_to_other_regions():
    api, client, _warnings, _pauses = provider(POST__backups={"backup": RECORD})
    api.run_backup(ID, RunRequest(name="n", copy_to=["ord", "IAD"]))
    assert client.calls[-1] == ("POST /backups", {"backup": {"instance": ID, "name": "n", "copy_to": ["IAD", "ORD"]}})
    with pytest.raises(OptionError, match="^copy_to: "):
        api.run_backup(ID, RunRequest(name="n", copy_to=["MARS"]))


@pytest.mark.parametrize(
    "request_, option",
    [
        (RunRequest(name="n" * 65), "name"),
        (RunRequest(name="n", copy_to=["MARS"]), "copy_to"),
        (RunRequest(name="n", copy_to=["dfw"]), "copy_to"),
    ],
)
def test_what_a_backup_cannot_be_is_known_without_a_request(request_, option):
    api, client, _warnings, _pauses = provider()
    for refuse in (api.check_run, api.run_backup):
        with pytest.raises(OptionError, match="^%s: " % option):
            refuse(ID, request_)
    assert client.calls == []
    assert api.check_run(ID, RunRequest(name="n" * 64, copy_to=["ord"])) is None


# -- what a schedule should be -----------------------------------------------------------------------------------------


def wanted(current=None, region="DFW", **options):
    record = current and TaskRecord(SCHEDULE, dict(DAILY, **current))
    return provider(region)[0].wanted_task(asked(**options), record)


@pytest.mark.parametrize(
    "options, settings",
    [
        ({"frequency": "30 4 * * *"}, {}),
        ({"frequency": "30 4 * * 7"}, {"full_backup_day": 0}),
        ({"frequency": "30 4 * * fri"}, {"full_backup_day": 5}),
        ({"frequency": "30 4 * * *", "full_backup_day": 5}, {"full_backup_day": 5}),
        ({"frequency": "05 6 * * *"}, {"frequency": "5 6 * * *"}),
        ({"frequency": "30 4 * * *", "full_backup_retention": 9}, {"full_backup_retention": 9}),
        ({"frequency": "30 4 * * *", "copy_to": ["ord", " IAD ", "ORD"]}, {"copy_to": ["IAD", "ORD"]}),
        ({"frequency": "30 4 * * *", "copy_to": []}, {}),
    ],
)
def test_a_new_schedule(options, settings):
    assert wanted(**options) == dict(DAILY, **settings)


def test_of_an_existing_one_what_is_not_said_stays():
    current = {"full_backup_day": 3, "full_backup_retention": 4, "copy_to": ["IAD"]}
    assert wanted(current) == dict(DAILY, **current)
    assert wanted(current, copy_to=[]) == dict(DAILY, **dict(current, copy_to=[]))
    assert wanted(current, full_backup_day=7) == dict(DAILY, **dict(current, full_backup_day=7))


def test_a_daily_frequency_says_that_every_backup_is_a_full_one():
    assert wanted({"full_backup_day": 3}, frequency="30 4 * * *") == DAILY


def test_what_a_record_lacks_is_not_carried_on():
    assert wanted({"frequency": None, "full_backup_day": None}, frequency="30 4 * * *") == DAILY


HIDDEN = {"full_backup_retention": None, "copy_to": None}


def test_what_the_service_does_not_show_is_left_alone_and_told_once():
    api, _client, warnings, _pauses = provider()
    current = TaskRecord(SCHEDULE, dict(DAILY, **HIDDEN))
    assert api.wanted_task(asked(full_backup_retention=5, copy_to=["ORD"]), current) == current.settings
    assert len(warnings) == 2 and warnings[0].startswith("full_backup_retention: the service does not show it")
    assert warnings[1].startswith("copy_to: ") and "remove it (state: absent)" in warnings[1]
    del warnings[:]
    assert api.wanted_task(asked(frequency="0 5 * * *"), current) == dict(current.settings, frequency="0 5 * * *")
    assert warnings == []


@pytest.mark.parametrize(
    "options, text",
    [
        ({}, "^frequency: is needed"),
        ({"copy_to": ["ORD"]}, "^frequency: is needed"),
        ({"frequency": "0 */4 * * *"}, "^frequency: .*several times a day"),
        ({"frequency": "0 4 * * 1-5"}, "^frequency: .*several days"),
        ({"frequency": "0 4 * * 1", "full_backup_day": 2}, "^full_backup_day: is 2"),
        ({"frequency": "0 4 * * *", "full_backup_day": -1}, "^full_backup_day: must be 0"),
        ({"frequency": "0 4 * * *", "full_backup_day": 8}, "^full_backup_day: must be 0"),
        ({"frequency": "0 4 * * *", "full_backup_retention": 0}, "^full_backup_retention: must be 1"),
        ({"frequency": "0 4 * * *", "copy_to": ["LON"]}, "^copy_to: 'LON' is no region"),
        ({"frequency": "0 4 * * *", "copy_to": ["dfw"]}, "^copy_to: DFW is where"),
        ({"frequency": "0 4 * * *", "copy_to": [" "]}, "^copy_to: '' is no region"),
    ],
)
def test_what_no_schedule_can_be(options, text):
    with pytest.raises(OptionError, match=text):
        wanted(**options)


# -- schedules that are there ------------------------------------------------------------------------------------------


def read(*records):
    """(the task of the instance, warnings); the schedule itself shows what its record in the list does."""
    own = [record for record in records if record["id"] == SCHEDULE]
    api, _client, warnings, _pauses = provider(
        GET__schedules={"schedules": list(records)}, GET__schedules__S={"schedule": own[0] if own else None}
    )
    return api.read_task(ID), warnings


def test_a_schedule_as_older_documentation_shows_it():
    task, warnings = read(SHORT)
    assert (task.id, task.raw, warnings) == (SCHEDULE, SHORT, [])
    assert task.settings == dict(HIDDEN, frequency="30 14 * * *", full_backup_day=0)


@pytest.mark.parametrize(
    "fields, settings",
    [
        ({"full_backup_retention": None}, {"copy_to": []}),
        ({"full_backup_retention": 5}, {"full_backup_retention": 5, "copy_to": []}),
        ({"full_backup_retention": "5"}, {"full_backup_retention": 5, "copy_to": []}),
        ({"copy_to": None}, {"copy_to": []}),
        ({"copy_to": ["ORD", "IAD"]}, {"copy_to": ["IAD", "ORD"]}),
        ({"hour": "14", "minute": "30"}, {}),
        ({"hour": None}, {"frequency": None}),
        ({"minute": "x"}, {"frequency": None}),
        ({"day_of_week": None}, {"full_backup_day": None}),
        ({"instance_id": None, "source": {"id": ID, "type": "instance"}}, {}),
        ({"source": {}}, {}),
        ({"running": 0}, {}),
    ],
)
def test_schedules_of_other_shapes(fields, settings):
    task, warnings = read(dict(SHORT, **fields))
    assert task.settings == dict(HIDDEN, **dict({"frequency": "30 14 * * *", "full_backup_day": 0}, **settings))
    assert warnings == []


def test_the_schedule_itself_may_show_more_than_the_list():
    api = provider(GET__schedules={"schedules": [SHORT]}, GET__schedules__S={"schedule": KEPT})[0]
    assert api.read_task(ID).settings == DAILY


def test_a_schedule_that_goes_while_it_is_read_is_gone():
    api = provider(GET__schedules={"schedules": [SHORT]}, GET__schedules__S=NotFoundError("gone"))[0]
    assert api.read_task(ID) is None


@pytest.mark.parametrize("source", [ID, "ha:" + GROUP])
@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("check_mode", [True, False])
def test_null_in_place_of_schedules_is_not_taken_for_none(source, state, check_mode):
    api, client, _warnings, _pauses = provider(GET__schedules={"schedules": None})
    params = asked(source=source, state=state, evidence="api", frequency="30 4 * * *")
    with pytest.raises(ApiError, match="The list of schedules: .*null"):
        ensure_record(params, api, World(check_mode=check_mode))
    assert client.calls == ["GET /schedules"]


OWNER = {"instance_id": None, "source": {"type": "ha", "id": GROUP}}
NOBODY = {"instance_id": None}


def test_a_group_s_schedule_that_the_list_does_not_tell_is_looked_at():
    api, client, _warnings, _pauses = provider(
        GET__schedules={"schedules": [dict(SHORT, id="9"), dict(SHORT, **NOBODY), dict(SHORT, id="8", **NOBODY)]},
        GET__schedules__S={"schedule": dict(KEPT, **OWNER)},
        GET__schedules__8=NotFoundError("gone"),
    )
    assert api.read_task("ha:" + GROUP).settings == DAILY
    assert "GET /schedules/9" not in client.calls


def test_of_other_groups_schedules_none_is_taken():
    other = {"instance_id": None, "source": {"type": "ha", "id": "other"}}
    api = provider(
        GET__schedules={"schedules": [dict(SHORT, **NOBODY)]}, GET__schedules__S={"schedule": dict(KEPT, **other)}
    )[0]
    assert api.read_task("ha:" + GROUP) is None


@pytest.mark.parametrize("count", [1, 51])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_group_that_may_have_a_schedule_gets_no_second_one(count, state):
    records = [dict(SHORT, id="s%d" % number, **NOBODY) for number in range(count)]
    shown = dict(OWNER, source={"type": "ha", "id": "other"}) if count > 1 else NOBODY
    answers = {"GET__schedules__" + one["id"]: {"schedule": dict(one, **shown)} for one in records}
    api, client, _warnings, _pauses = provider(GET__schedules={"schedules": records}, **answers)
    params = asked(source="ha:" + GROUP, state=state, evidence="api", frequency="30 4 * * *")
    with pytest.raises(ApiError, match="does not say whose these are: s0") as caught:
        ensure_record(params, api, World())
    assert caught.value.code == "in_doubt"
    assert len(client.calls) == 1 + min(count, 50)


def test_an_instance_is_not_kept_waiting_by_schedules_of_groups():
    assert read(dict(SHORT, id="8", **NOBODY)) == (None, [])


def test_only_that_of_the_instance_counts():
    others = [dict(SHORT, id="1", instance_id="other"), dict(SHORT, id="2", instance_id=None)]
    others.append(dict(SHORT, id="3", instance_id=None, source={"type": "ha", "id": ID}))
    assert read(*others) == (None, [])
    assert read(SHORT, *others)[0].id == SCHEDULE


def test_the_oldest_of_several_counts():
    newer = dict(SHORT, id="newer", created="2015-01-01T00:00:00")
    task, warnings = read(newer, SHORT)
    assert task.id == SCHEDULE and len(warnings) == 1 and "2 schedules (%s, newer)" % SCHEDULE in warnings[0]


def test_a_schedule_for_everything_is_refused():
    with pytest.raises(OptionError, match="^source: means all"):
        provider()[0].read_task("*")


# -- writing schedules -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("said", [None, {}, {"schedule": None}, {"schedule": {"hour": 4}}, []])
def test_a_creation_whose_answer_does_not_say_which_is_in_doubt(said):
    with pytest.raises(OutcomeUnknownError, match="may have been carried out"):
        provider(POST__schedules=said)[0].write_task(ID, None, DAILY)


def test_a_change_is_looked_for_until_it_shows():
    shown = Turns([NotFoundError("not yet"), {"schedule": dict(KEPT, hour=5)}, {"schedule": KEPT}])
    api, client, _warnings, pauses = provider(PUT__schedules__S=None, GET__schedules__S=shown)
    current = TaskRecord(SCHEDULE, dict(DAILY, frequency="30 5 * * *"))
    assert api.write_task(ID, current, DAILY).settings == DAILY
    assert client.calls == [("PUT /schedules/S", {"schedule": {"hour": 4}})] + ["GET /schedules/S"] * 3
    assert pauses == [0.5, 1]


def test_a_change_that_never_shows_is_an_error_that_says_what_is_there():
    api, client, _warnings, pauses = provider(PUT__schedules__S=None, GET__schedules__S={"schedule": KEPT})
    with pytest.raises(ApiError, match="does not keep it: full_backup_retention is 2$") as caught:
        api.write_task(ID, TaskRecord(SCHEDULE, DAILY), dict(DAILY, full_backup_retention=3))
    assert (caught.value.code, caught.value.changed) == ("not_kept", True) and 10 < sum(pauses) < 30
    assert [call for call in client.calls if "PUT" in call[0]] == client.calls[:1], "it is sent once"


def test_a_schedule_that_does_not_come_to_be_is_an_error():
    api = provider(POST__schedules={"schedule": KEPT}, GET__schedules__S=NotFoundError("no"))[0]
    with pytest.raises(ApiError, match="it is not there"):
        api.write_task(ID, None, DAILY)


SHORT_DAILY = dict(SHORT, hour=4, day_of_week=7)


def test_what_is_not_shown_is_not_waited_for():
    """Nor asked for on every run."""
    api, client, warnings, pauses = provider(
        POST__schedules={"schedule": SHORT_DAILY},
        GET__schedules=Turns([{"schedules": []}, {"schedules": [SHORT_DAILY]}]),
        GET__schedules__S={"schedule": SHORT_DAILY},
    )
    params = asked(source=ID, evidence="api", frequency="30 4 * * *", full_backup_retention=5, copy_to=["ORD"])
    first = ensure_record(params, api, World())
    assert (first["action"], warnings, pauses) == ("created", [], [])
    assert first["diff"]["after"] == {"task": dict(DAILY, full_backup_retention=5, copy_to=["ORD"])}
    second = ensure_record(params, api, World())
    assert (second["action"], second["changed"], len(warnings)) == ("present", False, 2)
    assert second["diff"]["before"] == second["diff"]["after"] == {"task": dict(DAILY, **HIDDEN)}
    assert [call[0] for call in client.calls if isinstance(call, tuple)] == ["POST /schedules"]


def test_of_a_change_only_what_is_shown_is_sent_and_waited_for():
    api, client, _warnings, pauses = provider(
        PUT__schedules__S=None,
        GET__schedules={"schedules": [SHORT]},
        GET__schedules__S=Turns([{"schedule": SHORT}, {"schedule": SHORT_DAILY}]),
    )
    params = asked(source=ID, evidence="api", frequency="30 4 * * *", full_backup_retention=5)
    assert ensure_record(params, api, World())["action"] == "updated"
    assert client.calls[2] == ("PUT /schedules/S", {"schedule": {"hour": 4, "day_of_week": 7}})
    assert pauses == []


@pytest.mark.parametrize("current", [None, TaskRecord(SCHEDULE, dict(DAILY, frequency="0 5 * * *"))])
def test_a_change_that_cannot_be_read_back_was_made_all_the_same(current):
    api = provider(
        POST__schedules={"schedule": KEPT}, PUT__schedules__S=None, GET__schedules__S=UnavailableError("away")
    )[0]
    with pytest.raises(UnavailableError) as caught:
        api.write_task(ID, current, DAILY)
    assert caught.value.changed is True


@pytest.mark.parametrize("current", [None, TaskRecord(SCHEDULE, dict(DAILY, frequency="0 5 * * *"))])
def test_a_change_that_is_refused_was_not_made(current):
    api = provider(POST__schedules=ApiError("no"), PUT__schedules__S=ApiError("no"))[0]
    with pytest.raises(ApiError) as caught:
        api.write_task(ID, current, DAILY)
    assert caught.value.changed is False


@pytest.mark.parametrize("refusal, changed", [(ApiError("no"), False), (None, True)])
def test_a_removal_says_whether_it_was_accepted_when_it_fails(refusal, changed):
    api = provider(DELETE__schedules__S=refusal, GET__schedules__S=UnavailableError("away"))[0]
    with pytest.raises(ApiError) as caught:
        api.delete_task(ID, TaskRecord(SCHEDULE, DAILY))
    assert caught.value.changed is changed


def test_a_schedule_without_a_time_gets_one():
    api, client, _warnings, _pauses = provider(PUT__schedules__S=None, GET__schedules__S={"schedule": KEPT})
    current = TaskRecord(SCHEDULE, dict(DAILY, frequency=None, full_backup_day=None))
    api.write_task(ID, current, DAILY)
    assert client.calls[0] == ("PUT /schedules/S", {"schedule": {"day_of_week": 7, "hour": 4, "minute": 30}})


def test_a_schedule_that_somebody_else_removed_is_removed():
    api, client, _warnings, _pauses = provider(DELETE__schedules__S=NotFoundError("gone"))
    api.delete_task(ID, TaskRecord(SCHEDULE, DAILY))
    assert client.calls == ["DELETE /schedules/S"]


def test_a_schedule_that_stays_is_an_error():
    api, _client, _warnings, pauses = provider(DELETE__schedules__S=None, GET__schedules__S={"schedule": KEPT})
    with pytest.raises(ApiError, match="still there") as caught:
        api.delete_task(ID, TaskRecord(SCHEDULE, DAILY))
    assert (caught.value.code, caught.value.changed) == ("not_kept", True) and pauses
