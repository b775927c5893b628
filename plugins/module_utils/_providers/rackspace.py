# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Rackspace Cloud Databases, API v1.0: Trove's calls with an account of its own, HA groups and schedules.

All facts are from the vendor's documentation; no public server of this API exists to try them on.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

from .._backup import TaskRecord, newest_first
from .._errors import (
    ApiError,
    AuthError,
    NotFoundError,
    OptionError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
    done_before,
)
from .._http import HttpClient, check_url
from .._schedule import Schedule
from . import _fields as fields
from ._base import Option
from ._openstack import CloudAccess, Grant
from ._trove_api import ALL, TroveApi, datastore_of, shown, source_of
from ._weekly import EVERY_DAY, Week, week_of

# Sources that are high-availability groups are written with it: their ids are known to other calls than an instance's.
HA = "ha:"
_WITHOUT_SCHEDULES = ("SYD", "HKG")
# LON is a cloud of its own, where no copy comes from or goes to.
_COPY_REGIONS = ("DFW", "HKG", "IAD", "ORD", "SYD")
# What the service does where a schedule does not say it.
_RETENTION = 2
_LONGEST_NAME = 64
# What samples of older documentation do not show of a schedule, which says nothing of whether the service knows it.
_MAY_BE_HIDDEN = ("full_backup_retention", "copy_to")
# Schedules that do not say in the list whose they are, and are looked at one by one.
_MAX_CANDIDATES = 50
# Seconds between looks at a schedule whose change was accepted (202) and does not show yet.
_PAUSES = (0.5, 1, 2, 4, 8)
# A token lives that long at least, whatever this machine's clock says of the time when it expires.
_LEAST_LIFE = 600


class Rackspace(TroveApi):
    name = "rackspace"
    title = "Rackspace Cloud Databases"
    capabilities = frozenset(
        ("list", "get", "files", "fetch", "sources", "schedule", "unschedule", "run", "delete", "sizes")
    )
    options = {
        "api_url": Option(default="https://identity.api.rackspacecloud.com", env=("RAX_AUTH_URL",)),
        "username": Option(env=("RAX_USERNAME",)),
        "api_token": Option(env=("RAX_API_KEY",)),
        "region_name": Option(env=("RAX_REGION",)),
    }
    source_words = (
        "the id or the name of an instance, the name of a high-availability group or ha: and its id; "
        "* for all backups of the account"
    )
    engines = ("mysql", "mariadb", "percona")
    instead = {
        "import": "the service restores only what it has backed up itself; load the dump into an instance with the "
        "database's own client, and take a backup of that with backup_run",
    }
    understands = {
        "list": ("datastore",),
        "schedule": (
            "frequency",
            "default_frequency",
            "full_backup_day",
            "full_backup_retention",
            "copy_to",
            "run_now",
        ),
        "run": ("name", "description", "incremental", "parent_id", "copy_to"),
    }
    why_not = {
        "keep_count": "provider rackspace counts full backups, and drops with one those that build on it: "
        "use full_backup_retention",
    }
    task_kind = "record"
    service = "rax:database"
    page_size = 20

    def __init__(self, access, address, region, warn, sleep=time.sleep):
        super().__init__(access, address)
        self._region, self._warn, self._sleep = region, warn, sleep

    @classmethod
    def from_options(cls, params, around):
        identity = ApiKeyIdentity(params)
        return cls(CloudAccess(identity, params, around), identity.address, identity.region, around.warn)

    def require(self, operation):
        super().require(operation)
        if operation in ("schedule", "unschedule") and self._region in _WITHOUT_SCHEDULES:
            raise UnsupportedError(
                "provider rackspace has no schedules in region %s; use backup_run from a timer or an AWX schedule"
                % self._region,
                provider=self.name,
                operation=operation,
            )

    # -- instances and groups --------------------------------------------------------------------------------------

    def list_sources(self):
        try:
            records = self._whole_list("/ha", "ha_instances", "high-availability groups")
        except NotFoundError:
            records = []
        groups = [
            replace(source_of(record), id=HA + str(record["id"]), status=fields.text(record.get("state")))
            for record in records
        ]
        return super().list_sources() + groups

    def instance_id(self, source):
        return source if source.startswith(HA) else super().instance_id(source)

    def _home(self, source):
        number = self.instance_id(source)
        return fields.path("ha", number[len(HA) :]) if number.startswith(HA) else fields.path("instances", number)

    def _place(self, source):
        return ("/backups" if source == ALL else self._home(source) + "/backups"), {}

    def _source_of(self, record):
        about = record.get("source") if isinstance(record.get("source"), dict) else {}
        number = fields.text(about.get("id"))
        if number and about.get("type") == "ha":
            return HA + number
        return fields.text(record.get("instance_id")) or number or ""

    # -- backups ---------------------------------------------------------------------------------------------------

    def list_backups(self, source, group=None, engine=None, datastore=None):
        if source == ALL:
            return super().list_backups(source, group, engine, datastore)
        try:
            listing = super().list_backups(source, group, engine)
        except NotFoundError as error:
            error.message += "; the backups of an instance that is gone are among those of source: '*'"
            raise
        if datastore is None:
            return listing
        # Only the list of all backups is documented to know this filter.
        wanted = datastore.strip().lower()
        kept = [one for one in listing.backups if str(datastore_of(one.raw).get("type")).lower() == wanted]
        return replace(listing, backups=kept)

    def _page(self, data, names):
        if isinstance(data, dict) and isinstance(data.get("backup"), dict):
            # The documented list of an instance's backups is a single one without a list around it.
            return [data["backup"]]
        return super()._page(data, names)

    def check_run(self, source, request):
        if request.name is not None and len(request.name) > _LONGEST_NAME:
            raise OptionError("name", "has %d characters, %d are allowed" % (len(request.name), _LONGEST_NAME))
        self._regions(request.copy_to or ())

    def run_body(self, source, request):
        self.check_run(source, request)
        parent = request.parent_id
        if request.incremental and parent is None:
            # The service wants the parent named. Without one there is nothing to build on: it becomes a full backup.
            good = (backup for backup in newest_first(self.list_backups(source).backups) if backup.good)
            parent = next((backup.id for backup in good), None)
        body = super().run_body(source, replace(request, incremental=None, parent_id=parent))
        if request.copy_to:
            body["copy_to"] = self._regions(request.copy_to)
        number = body["instance"]
        if number.startswith(HA):
            body.update(instance=None, source={"type": "ha", "id": number[len(HA) :]})
        return body

    # -- schedules -------------------------------------------------------------------------------------------------

    def read_task(self, source):
        number = self._scheduled(source)
        records = self._whole_list("/schedules", "schedules", "schedules")
        found = [record for record in records if self._source_of(record) == number]
        if not found and number.startswith(HA):
            found = self._among_unclear([record for record in records if not self._source_of(record)], number)
        found.sort(key=lambda record: (str(record.get("created")), str(record["id"])))
        if len(found) > 1:
            self._warn(
                "%s has %d schedules (%s): only the oldest is looked at"
                % (source, len(found), ", ".join(str(record["id"]) for record in found))
            )
        # By itself, as it is read after a change: the list may show less of it.
        return self._schedule(str(found[0]["id"])) if found else None

    def _among_unclear(self, records, group):
        """Those of a group among schedules that do not say in the list whose they are: its own may be such a one."""
        details = [self._schedule_record(str(record["id"])) for record in records[:_MAX_CANDIDATES]]
        details = [record for record in details if record is not None]
        found = [record for record in details if self._source_of(record) == group]
        if not found and (records[_MAX_CANDIDATES:] or not all(map(self._source_of, details))):
            raise ApiError(
                "Whether %s has a schedule is not to be known: the service does not say whose these are: %s"
                % (group, shown([str(record["id"]) for record in records])),
                code="in_doubt",
            )
        return found

    def wanted_task(self, params, current):
        wanted = dict(current.settings) if current else {"full_backup_retention": _RETENTION, "copy_to": []}
        day = params["full_backup_day"]
        if day is not None and not 0 <= day <= EVERY_DAY:
            raise OptionError("full_backup_day", "must be 0 (Sunday) to 6, or 7 for every day")
        if params["frequency"] is not None:
            week = week_of(params["frequency"], day)
            wanted.update(frequency=week.frequency, full_backup_day=week.full_day)
        elif current is None:
            raise OptionError("frequency", "is needed, as there is no schedule yet: M H * * * for every day, in UTC")
        elif day is not None:
            wanted["full_backup_day"] = day
        if params["full_backup_retention"] is not None:
            if params["full_backup_retention"] < 1:
                raise OptionError("full_backup_retention", "must be 1 or more")
            wanted["full_backup_retention"] = params["full_backup_retention"]
        if params["copy_to"] is not None:
            wanted["copy_to"] = self._regions(params["copy_to"])
        for name in _MAY_BE_HIDDEN if current else ():
            if current.settings[name] is None and wanted[name] is not None:
                wanted[name] = None
                self._warn(
                    "%s: the service does not show it of schedule %s, which is left as it is in this; to have another, "
                    "remove it (state: absent) and create it anew" % (name, current.id)
                )
        return wanted

    def write_task(self, source, current, settings):
        if current is None:
            number = self._create_schedule(source, settings)
        else:
            number, before, after = current.id, _sent(current.settings), _sent(settings)
            changes = {name: value for name, value in after.items() if before.get(name) != value}
            self._client.put(fields.path("schedules", number), {"schedule": changes}, empty=True)
        with done_before(True):
            for pause in _PAUSES + (None,):
                task = self._schedule(number)
                if task is not None and not _differences(task.settings, settings):
                    return task
                if pause is not None:
                    self._sleep(pause)
            raise _not_kept(number, task, settings)

    def delete_task(self, source, current):
        try:
            self._client.delete(fields.path("schedules", current.id))
        except NotFoundError:
            return
        with done_before(True):
            for pause in _PAUSES + (None,):
                if self._schedule(current.id) is None:
                    return
                if pause is not None:
                    self._sleep(pause)
            text = "Schedule %s is still there, although its removal was accepted" % current.id
            raise ApiError(text, code="not_kept")

    def run_task_now(self, source, current):
        # As text: so is the sample in the documentation.
        self._client.put(fields.path("schedules", current.id), {"schedule": {"run_now": "true"}}, empty=True)

    def _create_schedule(self, source, settings):
        number = self._scheduled(source)
        if number.startswith(HA):
            whose = {"source_id": number[len(HA) :], "source_type": "ha"}
        else:
            whose = {"instance_id": number}
        body = dict(_sent(settings), action="backup", **whose)
        if not settings["copy_to"]:
            del body["copy_to"]
        answer = self._client.post("/schedules", {"schedule": body})
        try:
            return self._id(self._one(answer.data, "schedule"))
        except ApiError as error:
            raise OutcomeUnknownError("POST /schedules: %s; the request may have been carried out" % error.message)

    def _schedule(self, number):
        record = self._schedule_record(number)
        return record and _task(record)

    def _schedule_record(self, number):
        try:
            return self._one(self._client.get(fields.path("schedules", number)).data, "schedule")
        except NotFoundError:
            return None

    def _whole_list(self, path, name, words):
        records, warnings = self._pages(path, {}, (name,))
        if warnings:
            # What is taken for missing would be created once more, or called gone.
            raise ApiError("The list of %s: %s" % (words, "; ".join(warnings)), code="incomplete")
        return records

    def _scheduled(self, source):
        if source == ALL:
            raise OptionError("source", "means all sources: name the instance that the schedule is for")
        return self.instance_id(source)

    def _regions(self, names):
        regions = sorted({name.strip().upper() for name in names})
        for region in regions:
            if region == self._region:
                raise OptionError("copy_to", "%s is where the backups are made: name other regions" % region)
            if region not in _COPY_REGIONS:
                known = ", ".join(_COPY_REGIONS)
                raise OptionError("copy_to", "%r is no region that copies can go to; these are: %s" % (region, known))
        return regions


class ApiKeyIdentity:
    """The identity service, version 2.0, with a user's name and API key."""

    def __init__(self, params):
        scheme, host, path = fields.parts_of_address(params["api_url"])
        self._params, self._host = params, host
        self._url = "%s://%s%s" % (scheme, host, path if path.endswith("/v2.0") else path + "/v2.0")
        check_url("api_url", self._url, params["allow_http"])
        self._username = _given(params, "username", "RAX_USERNAME")
        self._key = fields.token_of(params, "RAX_API_KEY", "API key")
        self.region = _given(params, "region_name", "RAX_REGION").upper()

    @property
    def address(self):
        """What tells this account from another, without a secret."""
        return "%s#%s#%s" % (self._url, self._username, self.region)

    @property
    def key(self):
        """Everything that chooses the account, and how it is asked for."""
        params = self._params
        return json.dumps([self.address, self._key, params["validate_certs"], params["ca_path"]])

    def log_in(self):
        params = self._params
        client = HttpClient(
            self._url,
            None,
            timeout=params["api_timeout"],
            retries=0,
            validate_certs=params["validate_certs"],
            ca_path=params["ca_path"],
        )
        credentials = {"username": self._username, "apiKey": self._key}
        try:
            answer = client.post("/tokens", {"auth": {"RAX-KSKEY:apiKeyCredentials": credentials}})
        except AuthError as error:
            status = error.details.get("status")
            raise AuthError(
                "The identity service at %s does not accept username and api_token (%s)" % (self._host, status),
                status=status,
            )
        except NotFoundError:
            raise ApiError("There is no identity service at %s: check api_url" % self._url, code="no_identity")
        except OutcomeUnknownError as error:
            status = error.details.get("status")
            if status is not None and status < 400:
                raise ApiError(
                    "What answers at %s (%s) is no identity service: check api_url" % (self._url, status),
                    code="no_identity",
                )
            # To ask for another token does no harm.
            raise UnavailableError("No answer of the identity service: %s" % error.message.rpartition(";")[0])
        return Grant(
            region=self.region,
            validate_certs=params["validate_certs"],
            ca_path=params["ca_path"],
            **_granted(answer.data, time.time()),
        )


def _given(params, option, variable):
    value = fields.text(params[option])
    if value is None:
        raise OptionError(option, "is not given: set this option or the environment variable %s" % variable)
    return value


def _granted(data, now):
    """The fields of a Grant that an answer to a token request tells."""
    try:
        access = data["access"]
        token = fields.text(access["token"]["id"])
        expires = fields.moment(access["token"], "expires")
        catalog = [
            {
                "type": service["type"],
                "region": str(endpoint.get("region") or "").upper(),
                "interface": interface,
                "url": str(endpoint[name]),
            }
            for service in access["serviceCatalog"]
            for endpoint in service["endpoints"]
            for name, interface in (("publicURL", "public"), ("internalURL", "internal"))
            if endpoint.get(name)
        ]
    except (KeyError, TypeError, AttributeError):
        token = None
    if token is None:
        raise ApiError("The identity service answered with JSON that holds no token or no catalog", code="bad_shape")
    life = max(_LEAST_LIFE, expires.timestamp() - now) if expires else _LEAST_LIFE
    return {"token": token, "obtained": now, "expires": now + life, "catalog": catalog}


def _task(record):
    """The TaskRecord of a schedule. A setting that samples of older documentation do not show is None there."""
    hour, minute = fields.number(record.get("hour")), fields.number(record.get("minute"))
    day = fields.number(record.get("day_of_week"))
    copies = record.get("copy_to") if isinstance(record.get("copy_to"), list) else []
    # A schedule without copies has no such field; that the record would show one is seen from the other new field.
    shows_copies = any(name in record for name in _MAY_BE_HIDDEN)
    settings = {
        "frequency": None if hour is None or minute is None else Week(hour, minute, day).frequency,
        "full_backup_day": day,
        "full_backup_retention": fields.positive(record.get("full_backup_retention")),
        "copy_to": sorted({str(region).upper() for region in copies}) if shows_copies else None,
    }
    set_at = fields.moment(record, "updated", "created")
    has_run = fields.text(record.get("last_scheduled")) is not None
    if has_run or set_at is None or settings["frequency"] is None:
        return TaskRecord(str(record["id"]), settings, record)
    return TaskRecord(str(record["id"]), settings, record, Schedule(settings["frequency"]).next_run(set_at))


def _sent(settings):
    """The settings in the service's words."""
    words = {"day_of_week": settings["full_backup_day"]}
    if settings["frequency"] is not None:
        week = week_of(settings["frequency"], settings["full_backup_day"])
        words.update(hour=week.hour, minute=week.minute)
    return dict(words, **{name: settings[name] for name in ("full_backup_retention", "copy_to")})


def _differences(seen, wanted):
    """The names of the settings that are shown otherwise than wanted."""
    return sorted(
        name
        for name, value in wanted.items()
        if seen.get(name) != value and not (name in _MAY_BE_HIDDEN and seen.get(name) is None)
    )


def _not_kept(number, task, settings):
    kept = task.settings if task else {}
    wrong = _differences(kept, settings)
    seen = ", ".join("%s is %s" % (name, json.dumps(kept.get(name))) for name in wrong) if task else "it is not there"
    hint = ""
    if wrong == ["copy_to"]:
        hint = "; copies of an existing schedule cannot be changed then: remove it (state: absent) and create it anew"
    return ApiError(
        "The service accepted what schedule %s should be, but does not keep it: %s%s" % (number, seen, hint),
        code="not_kept",
        schedule=number,
    )
