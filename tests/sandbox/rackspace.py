# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rackspace Cloud Databases, version 1.0: a stand-in built from its documentation.

Identity, backups, schedules, high-availability groups and the object storage. Every stack is one instance; the first
stack is a high-availability group as well. The service backs MySQL up in Percona's xbstream format, and the records
say so; the files hold a gzipped pg_dump of the stack's database, and incremental ones are whole dumps too.
"""

from __future__ import annotations

import asyncio
import copy
import re
import secrets
import time
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from . import archive
from .calls import Call, Refused, parse_body, parse_query
from .catalogue import Catalogue, Stack, identity
from .clock import Clock, iso, parse_duration
from .engines import SQL_ENGINES, Engines
from .faults import Active
from .reply import Reply, Slice, as_json
from .scheduler import Scheduler
from .servers import DatabaseError
from .shelf import Record, Shelf, adjusted, check_overrides, fresh_id
from .storage import parse_range
from .switches import Switches

USERNAME, ACCOUNT, REGION = "restorable", "654321", "DFW"
CONTAINER = "z_CLOUDDB_BACKUPS"
STORE = f"MossoCloudFS_{identity('cloud files')}"
INTERNAL = "https://snet-storage101.dfw1.clouddrive.com"
# Where copies can go. The documentation excludes LON, a cloud of its own.
REGIONS = ("DFW", "HKG", "IAD", "ORD", "SYD")
PAGE = 20
MYSQL = {"type": "mysql", "version": "5.7", "version_id": "b00000b0-00b0-0b00-00b0-000b000000b7"}
DATASTORE = "10000000-0000-0000-0000-000000000001"
RUNNING = ("NEW", "BUILDING", "SAVING")
GOOD = ("COMPLETED", "RESTORED")
FAULTS = {
    400: ("badRequest", "The request is not valid."), 401: ("unauthorized", "Unable to authenticate user."),
    403: ("forbidden", "You have no access to this resource."), 404: ("itemNotFound", "The resource was not found."),
    405: ("badMethod", "The method is not allowed."), 413: ("overLimit", "Too many requests."),
    415: ("badMediaType", "Unsupported media type."), 422: ("unprocessableEntity", "This cannot be done now."),
    500: ("instanceFault", "The server has either erred or is incapable of performing the requested operation."),
    501: ("notImplemented", "Not implemented."), 503: ("serviceUnavailable", "The service is not available."),
}
_V1, _ID = rf"/v1\.0/{ACCOUNT}", r"(?P<id>[^/]+)"
_PATHS = tuple((route, verb, re.compile(pattern)) for route, verb, pattern in (
    ("tokens", "POST", r"/identity/v2\.0/tokens"),
    ("list", "GET", rf"{_V1}/backups"),
    ("create", "POST", rf"{_V1}/backups"),
    ("get", "GET", rf"{_V1}/backups/{_ID}"),
    ("delete", "DELETE", rf"{_V1}/backups/{_ID}"),
    ("copy", "POST", rf"{_V1}/backups/{_ID}/action"),
    ("instances", "GET", rf"{_V1}/instances"),
    ("instance", "GET", rf"{_V1}/instances/{_ID}"),
    ("list", "GET", rf"{_V1}/instances/(?P<uid>[^/]+)/backups"),
    ("datastores", "GET", rf"{_V1}/datastores"),
    ("groups", "GET", rf"{_V1}/ha"),
    ("group", "GET", rf"{_V1}/ha/{_ID}"),
    ("list", "GET", rf"{_V1}/ha/(?P<uid>[^/]+)/backups"),
    ("schedules", "GET", rf"{_V1}/schedules"),
    ("create_schedule", "POST", rf"{_V1}/schedules"),
    ("schedule", "GET", rf"{_V1}/schedules/{_ID}"),
    ("update_schedule", "PUT", rf"{_V1}/schedules/{_ID}"),
    ("delete_schedule", "DELETE", rf"{_V1}/schedules/{_ID}"),
    ("container", "GET", rf"/v1/{STORE}/{CONTAINER}"),
    ("object", "GET", rf"/v1/{STORE}/{CONTAINER}/(?P<name>[^/]+)"),
    ("object", "HEAD", rf"/v1/{STORE}/{CONTAINER}/(?P<name>[^/]+)"),
    ("object", "GET", r"/v1/(?P<elsewhere>.+)"),
))


def understand(method: str, path: str, query: str, body: bytes) -> Call:
    values, content = parse_query(query), parse_body(body)
    for route, verb, pattern in _PATHS:
        match = pattern.fullmatch(path.rstrip("/"))
        if match and verb == method:
            ids = {name: unquote(value) for name, value in match.groupdict().items()}
            if route == "list":
                ids["kind"] = "ha" if "/ha/" in path else "instance" if "uid" in ids else "all"
                ids.setdefault("uid", values.get("instance_id", ""))
            elif route in ("create", "create_schedule"):
                ids["uid"] = _meant(content)
            return Call(method, route, {name: value for name, value in ids.items() if value}, values, content)
    return Call(method, "unknown", {}, values, content)


def _meant(body: Any) -> str:
    """The source that a body names, for faults and the log."""
    for inner in body.values() if isinstance(body, dict) else ():
        if isinstance(inner, dict):
            return str(inner.get("instance") or inner.get("instance_id") or inner.get("source_id") or "")
    return ""


def error(status: int, details: str = "", name: str = "") -> Reply:
    """An error as this API words it. Excess is 413 here, and says when to come back."""
    status = 413 if name == "throttled" else status
    fault, message = FAULTS.get(status, ("computeFault", "Error."))
    reply = as_json(status, {fault: {"code": status, "message": details or message}})
    if name == "throttled":
        reply.headers["Retry-After"] = "1"
    return reply


def refuse(status: int, details: str = "") -> Refused:
    return Refused(error(status, details), details)


def as_html(status: int, title: str) -> Reply:
    """An error as the object storage words it."""
    return Reply(status, f"<html><h1>{title}</h1><p>{title}.</p></html>".encode(),
                 {"Content-Type": "text/html; charset=UTF-8"})


def position(marker: str | None, ids: list[str]) -> int:
    """Where the page after this marker begins: it is the number of records to pass, or the last record's id."""
    if not marker:
        return 0
    if marker.isdigit() and len(marker) < 10:
        return int(marker)
    if marker in ids:
        return ids.index(marker) + 1
    raise refuse(400, f"marker {marker} could not be found")


def next_time(schedule: Record, after: float) -> int:
    """A schedule runs every day at its hour and minute; its day of the week only says when the backup is a full one."""
    moment = datetime.fromtimestamp(after, timezone.utc).replace(
        hour=schedule["hour"], minute=schedule["minute"], second=0, microsecond=0)
    return int((moment if moment.timestamp() > after else moment + timedelta(days=1)).timestamp())


def is_full(schedule: Record, moment: float) -> bool:
    """On its day, 0 being Sunday; 7 means every day."""
    weekday = datetime.fromtimestamp(moment, timezone.utc).isoweekday() % 7
    return schedule["day_of_week"] in (7, weekday)


def checked_schedule(wanted: Any, before: Record | None = None) -> Record:
    """The fields of a schedule that a request may set, with what they were before or are by default."""
    if not isinstance(wanted, dict):
        raise refuse(400, "Required element/key - schedule was not specified.")
    if wanted.get("action", "backup") != "backup" or (before is None and "action" not in wanted):
        raise refuse(400, "The action of a schedule must be backup.")
    found = dict(before or {"full_backup_retention": 2, "copy_to": None})
    for name, least, most in (("day_of_week", 0, 7), ("hour", 0, 23), ("minute", 0, 59),
                              ("full_backup_retention", 1, 365)):
        value = wanted.get(name, found.get(name))
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise refuse(400, f"{name} must be a number from {least} to {most}.")
        found[name] = value
    found["copy_to"] = checked_regions(wanted.get("copy_to", found["copy_to"]))
    return found


def checked_regions(wanted: Any) -> list[str] | None:
    """Regions to copy to, in an order of the service's own: the documentation's sample turns it round."""
    if wanted is None:
        return None
    if not isinstance(wanted, list) or not set(wanted) <= set(REGIONS) - {REGION}:
        raise refuse(400, f"copy_to must be a list of other regions: {', '.join(REGIONS)}")
    return sorted(set(wanted), reverse=True) or None


def is_true(value: Any) -> bool:
    """A flag as people write it: the documentation's sample has the text "true"."""
    return str(value).lower() in ("true", "1")


class Rackspace:
    name = "rackspace"

    def __init__(self, catalogue: Catalogue, clock: Clock, scheduler: Scheduler, engines: Engines, switches: Switches,
                 files: Path, key: str) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._scheduler = scheduler
        self._engines = engines
        self._switches = switches
        self._container = files / "rackspace"
        self._container.mkdir(exist_ok=True)
        for leftover in self._container.glob("tmp-*"):
            leftover.unlink()
        self._key = key
        self._backups = Shelf(catalogue, "rackspace backups")
        self._schedules = Shelf(catalogue, "rackspace schedules")
        self._tokens = Shelf(catalogue, "rackspace tokens")
        self._used: list[float] = []
        self._before: tuple[float, list[Record]] | None = None
        self.base_url = ""
        self.understand = understand
        self.error = error
        # Runs that fell due while the sandbox was off are not made up for.
        for schedule in self._schedules.all():
            self._reschedule(schedule, max(schedule["next_run"] - 1, clock.seconds()))

    def owns(self, path: str) -> bool:
        return path.startswith(("/identity/", "/v1.0/", "/v1/"))

    def _switch(self, name: str) -> Any:
        return self._switches.get(self.name, name)

    # -- instances ----------------------------------------------------------------------------------------------

    @property
    def sources(self) -> dict[str, tuple[str, Stack]]:
        """By id: whether it is an instance or a high-availability group, and whose database it has."""
        stacks = [stack for stack in self._catalogue.stacks() if set(stack.databases) & set(SQL_ENGINES)]
        found = {_uuid("instance", stack.uid): ("instance", stack) for stack in stacks}
        return {**found, **{_uuid("ha", stack.uid): ("ha", stack) for stack in stacks[:1]}}

    def facts_of_sources(self) -> list[Record]:
        return [{"id": number, "name": stack.name + ("-ha" if kind == "ha" else ""), "type": kind, "stack": stack.uid}
                for number, (kind, stack) in self.sources.items()]

    def _instance(self, number: str) -> Record:
        kind, stack = self.sources.get(number, ("", None))
        if not stack or kind != "instance":
            raise refuse(404, f"Resource {number} cannot be found.")
        return {"id": number, "name": stack.name, "status": "ACTIVE", "datastore": MYSQL, "flavor": {"id": "2"},
                "volume": {"size": 2}, "created": self._date(0), "updated": self._date(0), "ha_id": None}

    # -- the API ------------------------------------------------------------------------------------------------

    def token_kind(self, headers: dict[str, str]) -> str:
        given = headers.get("x-auth-token")
        if not given:
            return "none"
        token = self._tokens.get(given)
        return "admin" if token and token["expires"] > self._clock.seconds() else "bad"

    def count(self, call: Call, _token: str) -> dict[str, str]:
        if call.method == "GET" and call.route not in ("object", "container"):
            now = self._clock.seconds()
            self._used = [moment for moment in self._used if moment > now - 60] + [now]
        return {}

    def answer(self, call: Call, headers: dict[str, str], token: str, active: Active) -> Reply:
        try:
            if call.route == "tokens":
                return as_json(200, self._authenticate(call.body))
            if call.route in ("object", "container"):
                return self._stored(call, headers, token, active)
            if token != "admin":
                raise refuse(401)
            limit = self._switch("rate_limit")
            if limit is not None and call.method == "GET" and len(self._used) > limit:
                reply = error(413, "This request was rate-limited.")
                reply.headers["Retry-After"] = str(max(1, int(self._used[0] + 61 - self._clock.seconds())))
                return reply
            action = getattr(self, f"_on_{call.route}", None)
            if not action:
                raise refuse(404)
            if "schedule" in call.route and not self._switch("schedules"):
                raise refuse(404, "Schedules do not exist in this region.")
            found = action(call)
            return found if isinstance(found, Reply) else as_json(202 if call.method != "GET" else 200, found)
        except Refused as refused:
            return refused.reply

    def _authenticate(self, body: Any) -> Record:
        """A new token for the right API key, and where everything is."""
        given = body.get("auth") if isinstance(body, dict) else None
        given = given.get("RAX-KSKEY:apiKeyCredentials") if isinstance(given, dict) else None
        if not isinstance(given, dict):
            raise refuse(400, "Unable to parse the credentials.")
        if (given.get("username"), given.get("apiKey")) != (USERNAME, self._key):
            raise refuse(401, "Unable to authenticate user with credentials provided.")
        now = self._clock.seconds()
        for token in self._tokens.all():
            if token["expires"] <= now:
                self._tokens.drop(token["id"])
        token = {"id": secrets.token_hex(24), "expires": now + self._switch("token_seconds")}
        self._tokens.put(token)
        return {"access": {
            "token": {"id": token["id"], "expires": iso(token["expires"]).replace("Z", ".000Z"),
                      "tenant": {"id": ACCOUNT, "name": ACCOUNT}, "RAX-AUTH:authenticatedBy": ["APIKEY"]},
            "user": {"id": "1", "name": USERNAME, "roles": [], "RAX-AUTH:defaultRegion": REGION},
            "serviceCatalog": self._services(),
        }}

    def _services(self) -> list[Record]:
        """Another region is listed beside the right one; what it names leads nowhere."""
        found, missing = [], self._switch("catalog")
        for kind, title, tenant, path, internal in (
                ("rax:database", "cloudDatabases", ACCOUNT, f"/v1.0/{ACCOUNT}", ""),
                ("object-store", "cloudFiles", STORE, f"/v1/{STORE}", f"{INTERNAL}/v1/{STORE}")):
            if missing == {"rax:database": "no_database", "object-store": "no_object_store"}[kind]:
                continue
            right = {"region": REGION, "tenantId": tenant, "publicURL": self.base_url + path}
            if internal:
                right["internalURL"] = internal
            found.append({"type": kind, "name": title, "endpoints": [
                {"region": "ORD", "tenantId": tenant, "publicURL": f"{self.base_url}/ord{path}"}, right]})
        return found

    # -- reading ------------------------------------------------------------------------------------------------

    def _page(self, call: Call, name: str, records: list[Record]) -> Record:
        """A page of at most twenty. A full one has a link to the next, which may be empty; links are always https."""
        asked = call.query.get("limit", str(PAGE))
        if not asked.isdigit():
            raise refuse(400, "limit must be a number")
        limit = min(int(asked), PAGE)
        ids = [record["id"] for record in records]
        start = position(call.query.get("marker"), ids)
        shown = records[start:start + limit]
        found: Record = {name: shown, "links": []}
        if shown and len(shown) == limit:
            marker = str(start + limit) if self._switch("marker") == "offset" else shown[-1]["id"]
            kept = {key: value for key, value in call.query.items() if key not in ("limit", "marker")}
            base = self.base_url.replace("http://", "https://", 1) + f"/v1.0/{ACCOUNT}"
            path = {"list": {"all": "/backups", "ha": f"/ha/{call.source}/backups",
                             "instance": f"/instances/{call.source}/backups"}.get(call.ids.get("kind", ""), ""),
                    "groups": "/ha"}.get(call.route, f"/{call.route}")
            query = urlencode({**kept, "limit": limit, "marker": marker})
            found["links"] = [{"rel": "next", "href": f"{base}{path}?{query}"}]
        return found

    def _on_list(self, call: Call) -> Record:
        kind, source = call.ids["kind"], call.source
        if kind != "all" and self.sources.get(source or "", ("",))[0] != kind:
            raise refuse(404, f"Resource {source} cannot be found.")
        wanted = call.query.get("datastore")
        if wanted and wanted not in (MYSQL["type"], DATASTORE):
            raise refuse(404, f"Datastore '{wanted}' cannot be found.")
        found = [record for record in reversed(self._backups.all()) if source in (None, record["source"])]
        found.sort(key=lambda record: record["updated"], reverse=True)
        shown = [self.present(record) for record in found]
        name = self._switch("instance_list") if kind == "instance" else "backups"
        if name == "single":
            return {"backup": shown[0]} if len(shown) == 1 else self._page(call, "backups", shown)
        return self._page(call, name, shown)

    def _on_datastores(self, call: Call) -> Record:
        versions = [{"id": MYSQL["version_id"], "name": MYSQL["version"]}]
        return {"datastores": [{"id": DATASTORE, "name": MYSQL["type"], "versions": versions, "links": []}]}

    def _on_get(self, call: Call) -> Record:
        return {"backup": self.present(self._record(call.ids["id"]), whole=True)}

    def _on_instances(self, call: Call) -> Record:
        return self._page(call, "instances", [self._instance(number) for number, (kind, _stack)
                                              in self.sources.items() if kind == "instance"])

    def _on_instance(self, call: Call) -> Record:
        return {"instance": self._instance(call.ids["id"])}

    def _groups(self) -> list[Record]:
        return [{"id": source["id"], "name": source["name"], "state": "ACTIVE", "datastore": MYSQL}
                for source in self.facts_of_sources() if source["type"] == "ha"]

    def _on_groups(self, call: Call) -> Record:
        return self._page(call, "ha_instances", self._groups())

    def _on_group(self, call: Call) -> Record:
        for group in self._groups():
            if group["id"] == call.ids["id"]:
                return {"ha_instance": group}
        raise refuse(404, f"Resource {call.ids['id']} cannot be found.")

    def _on_schedules(self, call: Call) -> Record:
        return self._page(call, "schedules", [self._present_schedule(record) for record in self._shown_schedules()])

    def _on_schedule(self, call: Call) -> Record:
        for record in self._shown_schedules():
            if record["id"] == call.ids["id"]:
                return {"schedule": self._present_schedule(record)}
        raise refuse(404, f"Schedule {call.ids['id']} cannot be found.")

    def _shown_schedules(self) -> list[Record]:
        """What readers see: writes are accepted (202) and show after ``schedule_seconds``."""
        delay = self._switch("schedule_seconds")
        if self._before is not None and (not delay or time.monotonic() >= self._before[0] + delay):
            self._before = None
        return self._schedules.all() if self._before is None else self._before[1]

    def _note_schedules(self) -> None:
        """Keep what readers see until the write that comes now shows."""
        self._before = (time.monotonic(), copy.deepcopy(self._schedules.all()))

    def _record(self, number: str) -> Record:
        record = self._backups.get(number)
        if not record:
            raise refuse(404, f"Backup {number} cannot be found.")
        return record

    def _schedule(self, call: Call) -> Record:
        schedule = self._schedules.get(call.ids["id"])
        if not schedule:
            raise refuse(404, f"Schedule {call.ids['id']} cannot be found.")
        return schedule

    def _date(self, moment: float | None) -> str | None:
        if moment is None:
            return None
        return iso(moment) if self._switch("dates") == "z" else iso(moment).rstrip("Z")

    def _flag(self, value: bool) -> int | bool:
        return value if self._switch("is_automated") == "bool" else int(value)

    def _location(self, record: Record) -> str | None:
        return f"{INTERNAL}/v1/{STORE}/{CONTAINER}/{record['id']}.xbstream.gz" if record["etag"] else None

    def present(self, record: Record, whole: bool = False) -> Record:
        kind = "ha" if record["kind"] == "ha" else "instance"
        shown = {
            "id": record["id"], "name": record["name"], "description": record["description"],
            "instance_id": record["source"] if kind == "instance" else None, "status": record["status"],
            "created": self._date(record["created"]), "updated": self._date(record["updated"]),
            "size": round(record["bytes"] / (1 << 30), 9) if record["bytes"] is not None else None,
            "locationRef": self._location(record), "parent_id": record["parent_id"], "datastore": dict(MYSQL),
        }
        if whole or self._switch("is_automated") != "absent":
            shown["type"] = "InnoBackupExIncremental" if record["parent_id"] else "InnoBackupEx"
            shown["source"] = {"type": kind, "id": record["source"]}
        if self._switch("is_automated") != "absent":
            shown["is_automated"] = self._flag(bool(record["schedule"]))
        if record.get("synthetic"):
            shown["synthetic"] = True
        return adjusted(shown, record.get("overrides"))

    def _present_schedule(self, schedule: Record) -> Record:
        """As in the samples of the documentation; those of 2014 leave fields out that came later."""
        kind = schedule["kind"]
        shown = {
            **{name: schedule[name] for name in ("id", "day_of_week", "hour", "minute")}, "day_of_month": None,
            "month": None, "action": "backup", "instance_id": schedule["source"] if kind == "instance" else None,
            "created": self._date(schedule["created"]), "updated": self._date(schedule["updated"]),
            "last_scheduled": self._date(schedule["last_scheduled"]), "next_run": self._date(schedule["next_run"]),
        }
        if self._switch("schedule_record") == "whole":
            shown.update(full_backup_retention=schedule["full_backup_retention"],
                         source={"type": kind, "id": schedule["source"]},
                         running=self._flag(bool(schedule["running"])))
            if schedule["copy_to"]:
                shown["copy_to"] = schedule["copy_to"]
        return shown

    # -- writing ------------------------------------------------------------------------------------------------

    def _source(self, wanted: Record, *names: str) -> tuple[str, str]:
        """(id, kind) of what a request is about."""
        nested = wanted.get("source") if isinstance(wanted.get("source"), dict) else {}
        given = {**{"source_id": nested.get("id"), "source_type": nested.get("type")}, **wanted}
        kind = given.get("source_type") or "instance"
        number = next((given[name] for name in (*names, "source_id") if given.get(name)), None)
        if not number:
            raise refuse(400, f"Required element/key - {names[0]} was not specified.")
        if self.sources.get(str(number), ("",))[0] != kind:
            raise refuse(404, f"Resource {number} cannot be found.")
        return str(number), kind

    def _wanted(self, call: Call, name: str) -> Record:
        wanted = call.body.get(name) if isinstance(call.body, dict) else None
        if not isinstance(wanted, dict):
            raise refuse(400, f"Required element/key - {name} was not specified.")
        return wanted

    def _on_create(self, call: Call) -> Record:
        wanted = self._wanted(call, "backup")
        if wanted.get("restore_from"):
            raise refuse(400, "Additional properties are not allowed ('restore_from' was unexpected)")
        source, kind = self._source(wanted, "instance", "instance_id")
        name = wanted.get("name")
        if not isinstance(name, str) or not name:
            raise refuse(400, "Required element/key - name was not specified.")
        if any(record["source"] == source and record["status"] in RUNNING for record in self._backups.all()):
            raise refuse(422, f"Backup for {source} is already running.")
        parent = wanted.get("parent_id")
        if parent and self._record(str(parent))["source"] != source:
            raise refuse(404, f"Backup {parent} cannot be found.")
        if not parent and str(wanted.get("incremental", 0)) in ("1", "True"):
            last = self._last_good(source)
            parent = last["id"] if last else None
        record = self._begin(source, kind, name, str(wanted.get("description") or ""), parent,
                             copy_to=checked_regions(wanted.get("copy_to")))
        shown = self.present(record, whole=True)
        self._scheduler.spawn(self._work(record))
        return {"backup": shown}

    def _on_delete(self, call: Call) -> Reply:
        record = self._record(call.ids["id"])
        if record["status"] in RUNNING:
            raise refuse(422, f"Backup {record['id']} is running.")
        self._remove(record)
        return Reply(202)

    def _on_copy(self, call: Call) -> Reply:
        """A copy is noted with the backup; the other region is not there to have it."""
        record, wanted = self._record(call.ids["id"]), self._wanted(call, "copy-backup")
        region = (checked_regions([wanted.get("target_backup_region")]) or [""])[0]
        parent = self._backups.get(record["parent_id"]) if record["parent_id"] else None
        if parent and region not in parent.get("copies", ()):
            raise refuse(400, f"The parent of backup {record['id']} is not found in {region}.")
        if record["status"] not in GOOD:
            raise refuse(422, f"Backup {record['id']} is {record['status']}.")
        record["copies"] = sorted({*record.get("copies", ()), region})
        self._backups.put(record)
        return Reply(202)

    def _on_create_schedule(self, call: Call) -> Record:
        wanted = self._wanted(call, "schedule")
        fields = checked_schedule(wanted)
        source, kind = self._source(wanted, "instance_id")
        if self._switch("one_schedule") and any(one["source"] == source for one in self._schedules.all()):
            raise refuse(422, f"A schedule exists for {source} already.")
        now = int(self._clock.seconds())
        schedule = {**fields, "id": fresh_id(), "source": source, "kind": kind, "created": now, "updated": now,
                    "last_scheduled": None, "running": False, "next_run": next_time(fields, now)}
        self._note_schedules()
        self._schedules.put(schedule)
        return {"schedule": self._present_schedule(schedule)}

    def _on_update_schedule(self, call: Call) -> Reply:
        schedule, wanted = self._schedule(call), self._wanted(call, "schedule")
        found = checked_schedule(wanted, schedule)
        self._note_schedules()
        lost = {"kept": (), "no_copy_to": ("copy_to",), "lost": tuple(found)}[self._switch("updates")]
        schedule.update({name: value for name, value in found.items() if name not in lost},
                        updated=int(self._clock.seconds()))
        self._reschedule(schedule, self._clock.seconds())
        if is_true(wanted.get("run_now")):
            self._scheduler.spawn(self._run_schedule(schedule, int(self._clock.seconds()), True))
        return Reply(202)

    def _on_delete_schedule(self, call: Call) -> Reply:
        number = self._schedule(call)["id"]
        self._note_schedules()
        self._schedules.drop(number)
        return Reply(202)

    # -- backups ------------------------------------------------------------------------------------------------

    def _last_good(self, source: str) -> Record | None:
        found = [record for record in self._backups.all() if record["source"] == source and record["status"] in GOOD]
        return max(found, key=lambda record: record["created"], default=None)

    def _begin(self, source: str, kind: str, name: str, description: str, parent: str | None,
               schedule: str | None = None, copy_to: Any = None) -> Record:
        now = int(self._clock.seconds())
        record = {"id": fresh_id(), "source": source, "kind": kind, "name": name, "description": description,
                  "status": "NEW", "created": now, "updated": now, "bytes": None, "etag": None, "parent_id": parent,
                  "schedule": schedule, "copy_to": copy_to}
        self._backups.put(record)
        return record

    def _path(self, record: Record) -> Path:
        return self._container / f"{record['id']}.xbstream.gz"

    async def _work(self, record: Record, outcome: str = "COMPLETED") -> None:
        """From NEW by BUILDING to the end. A failed one gives no reason."""
        outcome = self._switch("outcome") if outcome == "COMPLETED" else outcome
        self._set(record, "BUILDING")
        if outcome == "BUILDING":
            return
        await asyncio.sleep(self._switch("build_seconds"))
        path = self._path(record)
        scratch = path.with_name(f"tmp-{record['id']}")
        try:
            if outcome == "COMPLETED":
                record["to_lsn"] = await self._scheduler.at_work(
                    self._make_file, self.sources[record["source"]][1], record["parent_id"], scratch)
                record["etag"] = await asyncio.to_thread(archive.digest, scratch)
                scratch.rename(path)
                record["bytes"] = path.stat().st_size
        except DatabaseError:
            outcome = "FAILED"
        finally:
            scratch.unlink(missing_ok=True)
        if self._backups.get(record["id"]):
            self._set(record, outcome)
        else:
            path.unlink(missing_ok=True)

    def _make_file(self, stack: Stack, parent_id: str | None, target: Path) -> str | None:
        """MariaDB's own backup, upon that of the parent if there is one; of PostgreSQL it is a whole dump always."""
        if "mysql" not in stack.databases:
            self._engines.postgres.dump(stack.database, target, True)
            return None
        parent = self._backups.get(parent_id or "")
        return self._engines.mariadb.stream(target, True, parent.get("to_lsn") if parent else None)

    def _set(self, record: Record, status: str) -> None:
        record.update(status=status, updated=max(record["created"], int(self._clock.seconds())))
        self._backups.put(record)

    def _remove(self, record: Record) -> None:
        """Incremental backups go with what they build upon."""
        for child in [other for other in self._backups.all() if other["parent_id"] == record["id"]]:
            self._remove(child)
        self._path(record).unlink(missing_ok=True)
        self._backups.drop(record["id"])

    # -- time ---------------------------------------------------------------------------------------------------

    def _reschedule(self, schedule: Record, after: float) -> None:
        schedule["next_run"] = next_time(schedule, after)
        self._schedules.put(schedule)

    def next_run(self) -> int | None:
        return min((schedule["next_run"] for schedule in self._schedules.all()
                    if self._runs_by_itself(schedule)), default=None)

    def _runs_by_itself(self, schedule: Record) -> bool:
        return bool(self.sources[schedule["source"]][1].running) if schedule["source"] in self.sources else False

    async def run(self, moment: int) -> int:
        due = [schedule for schedule in self._schedules.all()
               if schedule["next_run"] <= moment and self._runs_by_itself(schedule)]
        for schedule in due:
            self._reschedule(schedule, moment)
        await asyncio.gather(*(self._run_schedule(schedule, moment) for schedule in due))
        return len(due)

    def runs(self, until: float, limit: int) -> int:
        return sum(max(0, int((until - schedule["next_run"]) // 86400) + 1) for schedule in self._schedules.all()
                   if self._runs_by_itself(schedule))

    async def _run_schedule(self, schedule: Record, moment: int, full: bool = False) -> None:
        last = None if full or is_full(schedule, moment) else self._last_good(schedule["source"])
        schedule.update(last_scheduled=moment, running=True)
        self._schedules.put(schedule)
        name = f"automated-{datetime.fromtimestamp(moment, timezone.utc):%Y%m%d%H%M%S}"
        record = self._begin(schedule["source"], schedule["kind"], name, "", last["id"] if last else None,
                             schedule["id"], schedule["copy_to"])
        await self._work(record)
        schedule["running"] = False
        if self._schedules.get(schedule["id"]):
            self._schedules.put(schedule)
        fulls = [other for other in self._backups.all() if other["schedule"] == schedule["id"]
                 and not other["parent_id"] and other["status"] in GOOD]
        fulls.sort(key=lambda other: other["created"])
        for old in fulls[:-schedule["full_backup_retention"]]:
            self._remove(old)

    # -- object storage -----------------------------------------------------------------------------------------

    def _stored(self, call: Call, headers: dict[str, str], token: str, active: Active) -> Reply:
        """What the token opens, in the manner of Swift: its errors are HTML."""
        if token != "admin" or "expire" in active:
            return as_html(401, "Unauthorized")
        if self._switch("files_forbidden") or "elsewhere" in call.ids:
            return as_html(403, "Forbidden")
        return self._listing(call) if call.route == "container" else self._object(call, headers, active)

    def _listing(self, call: Call) -> Reply:
        """The container's objects by name, as JSON when that is asked for."""
        found = []
        for path in sorted(self._container.glob(f"{call.query.get('prefix', '')}*.xbstream.gz")):
            record = self._backups.get(path.name.removesuffix(".xbstream.gz"))
            if record and path.name > call.query.get("marker", ""):
                found.append({"name": path.name, "bytes": path.stat().st_size, "hash": record["etag"],
                              "content_type": "application/octet-stream",
                              "last_modified": iso(record["updated"]).replace("Z", ".000000")})
        found = found[:int(call.query.get("limit", "10000"))]
        if call.query.get("format") == "json":
            return as_json(200, found)
        return Reply(200 if found else 204, "".join(one["name"] + "\n" for one in found).encode(),
                     {"Content-Type": "text/plain; charset=utf-8"})

    def _object(self, call: Call, headers: dict[str, str], active: Active) -> Reply:
        """An object: an ETag without quotes, ranges."""
        record = self._backups.get(call.ids["name"].removesuffix(".xbstream.gz"))
        path = self._path(record) if record else None
        if not record or not path or not path.exists() or path.name != call.ids["name"]:
            return as_html(404, "Not Found")
        size, etag = path.stat().st_size, secrets.token_hex(16) if "etag_change" in active else record["etag"]
        common = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream",
                  "Last-Modified": formatdate(record["updated"], usegmt=True), "X-Timestamp": f"{record['updated']}.0"}
        if headers.get("if-match", etag).strip('"') not in (etag, "*"):
            return as_html(412, "Precondition Failed")
        span = None
        if "no_range" not in active and headers.get("if-range", etag).strip('"') in (etag, common["Last-Modified"]):
            span = parse_range(headers.get("range", ""), size)
        start, length = span or (0, size)
        if start < 0:
            reply = as_html(416, "Requested Range Not Satisfiable")
            reply.headers["Content-Range"] = f"bytes */{size}"
            return reply
        if span:
            common["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
        if call.method == "HEAD":
            return Reply(200, b"", {**common, "Content-Length": str(size)})
        return Reply(206 if span else 200, Slice(path, start, length), common)

    # -- made to order ------------------------------------------------------------------------------------------

    def _named(self, body: Record) -> tuple[str, str]:
        """The source that a control call means, by id or by name; the first instance when it names none."""
        found = self.facts_of_sources()
        wanted = body.get("source", found[0]["id"])
        for source in found:
            if wanted in (source["id"], source["name"]):
                return source["id"], source["type"]
        raise KeyError(f"no instance {wanted}")

    async def take(self, body: Record) -> Record:
        """A backup now, waited for; ``status`` says how it ends."""
        source, kind = self._named(body)
        record = self._begin(source, kind, str(body.get("name", "by hand")), "", body.get("parent_id"))
        await self._work(record, str(body.get("status", "COMPLETED")))
        return {"ids": [record["id"]]}

    def synthetic(self, body: Record) -> Record:
        """Records without files, one ``every`` so much time up to now; ``record`` is put over each."""
        source, kind = self._named(body)
        count, every = int(body.get("count", 100)), parse_duration(body.get("every", "1h")).total_seconds()
        now, records = self._clock.seconds(), []
        for number in range(count):
            moment = int(now - every * (count - 1 - number))
            records.append({
                "id": fresh_id(), "source": source, "kind": kind, "name": f"synthetic-{number}", "description": "",
                "status": "COMPLETED", "created": moment, "updated": moment, "bytes": 1 << 30, "etag": "0" * 32,
                "parent_id": None, "schedule": None, "copy_to": None, "synthetic": True,
                "overrides": {"set": body.get("record", {})}})
        self._backups.put(*records)
        return {"count": count, "ids": [record["id"] for record in records]}

    def _made(self, number: str) -> Record:
        record = self._backups.get(number)
        if not record:
            raise KeyError(f"no backup {number}")
        return record

    def facts(self, number: str) -> Record:
        record = self._made(number)
        path = self._path(record)
        there = path.exists()
        return {"id": number, "record": self.present(record, whole=True), "path": str(path) if there else None,
                "size": path.stat().st_size if there else None,
                "sha256": archive.digest(path, algorithm="sha256") if there else None}

    def change(self, number: str, body: Record) -> Record:
        record = self._made(number)
        record["overrides"] = check_overrides(body)
        self._backups.put(record)
        return self.facts(number)

    def lose(self, number: str) -> Record:
        path = self._path(self._made(number))
        path.unlink(missing_ok=True)
        return {"lost": str(path)}

    def delete(self, number: str) -> Record:
        self._remove(self._made(number))
        return {"deleted": number}

    def clear(self) -> None:
        self._before = None
        for schedule in self._schedules.all():
            self._schedules.drop(schedule["id"])
        for record in self._backups.all():
            self._remove(record)

    def state(self) -> Record:
        moment = self.next_run()
        return {"sources": self.facts_of_sources(), "backups": len(self._backups), "tokens": len(self._tokens),
                "schedules": [self._present_schedule(schedule) for schedule in self._schedules.all()],
                "next_run": iso(moment) if moment else None}

    def ready(self) -> Record:
        """How to reach it, for the ready file."""
        sources = self.facts_of_sources()
        return {"auth_url": f"{self.base_url}/identity/v2.0", "username": USERNAME, "api_key": self._key,
                "region": REGION, "account": ACCOUNT,
                "instances": [source for source in sources if source["type"] == "instance"],
                "ha": [source for source in sources if source["type"] == "ha"]}


def _uuid(*words: str) -> str:
    """An id in the usual shape, the same in every sandbox."""
    found = identity("rackspace", *words)
    return "-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:]))
