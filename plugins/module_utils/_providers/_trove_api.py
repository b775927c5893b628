# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What OpenStack Trove and Rackspace Cloud Databases have in common: API v1.0 with its backups, instances and pages."""

from __future__ import annotations

import math
import re
import threading
from urllib.parse import parse_qs, urlsplit

from .._backup import FAILED, OK, RUNNING, UNKNOWN, Backup, Source, engine_name
from .._errors import ApiError, AuthError, NotFoundError, OptionError, OutcomeUnknownError
from .._http import said_of
from .._values import none_if_null
from . import _fields as fields
from ._base import Listing, Provider
from ._swift import ObjectStore

ALL = "*"
GB = 1 << 30
# Enough for 2 million records of Trove and 200,000 of Rackspace.
MAX_PAGES = 10000
# Pages in a row without a record that was not seen before, after which a list is held to go in circles.
_MAX_REPEATS = 3
# Readings of a list in which records moved that were not seen yet, before it is taken as it is.
_MAX_READINGS = 4
# Names that are shown where one was not found.
_MAX_SHOWN = 10

_STATUS = {
    "COMPLETED": OK,
    "RESTORED": OK,
    "FAILED": FAILED,
    "DELETE_FAILED": FAILED,
    "COPY_ERROR": FAILED,
    "NEW": RUNNING,
    "BUILDING": RUNNING,
    "SAVING": RUNNING,
}
UUID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.I)


class TroveApi(Provider):
    """The calls that both services have, with their oddities. A subclass says what it has beside them."""

    engines = ("mysql", "mariadb", "percona", "postgresql")
    source_words = "the id or the name of an instance; * for all backups of the account"
    # The type of the service in the catalog.
    service = "database"
    # How many records are asked for at a time. For each of them Trove asks its database again: a thousand at once keep
    # a busy server longer than anybody waits.
    page_size = 200

    def __init__(self, access, address):
        self._access, self._address = access, address
        self._store = ObjectStore(access)
        self._lock = threading.RLock()
        self._made = self._sources = None

    @property
    def address(self):
        return self._address

    @property
    def _client(self):
        with self._lock:
            if self._made is None:
                self._made = self._access.client(self.service, problem_of)
            return self._made

    # -- reading ---------------------------------------------------------------------------------------------------

    def list_backups(self, source, group=None, engine=None, datastore=None):
        path, params = self._place(source)
        try:
            records, warnings = self._pages(path, dict(params, datastore=datastore), ("backups", "backup"))
        except NotFoundError:
            if datastore is None:
                raise
            known = [str(record.get(key)) for record in self._datastores() for key in ("name", "id")]
            if datastore in known:
                raise
            return Listing([], ["there is no datastore %s; there are: %s" % (datastore, shown(known[::2]))])
        if not records and datastore is None and source != ALL:
            self._check_instance(source)
        return Listing([self._backup(record) for record in records], warnings, whole=not warnings)

    def get_backup(self, source, backup_id):
        record = self._one(self._client.get(fields.path("backups", backup_id)).data, "backup")
        backup = self._backup(record)
        if source and source != ALL and backup.source not in ("", self.instance_id(source)):
            raise OptionError("id", "%s is no backup of %s, but of %s" % (backup_id, source, backup.source))
        return backup

    def list_files(self, source, backup_id):
        location = self.get_backup(source, backup_id).location
        # One that is not finished has none yet.
        return self._store.files(location) if location else []

    def file_access(self, source, backup_id, file):
        return self._store.file_access(file)

    def access_refused(self, access):
        self._store.access_refused(access)

    def list_sources(self):
        records, warnings = self._pages("/instances", {}, ("instances",))
        if warnings:
            # Who is left out of an inventory is not backed up, and nobody is told.
            raise ApiError("The list of instances: %s" % "; ".join(warnings), code="incomplete")
        return [source_of(record) for record in records]

    def source_key(self, source):
        return source if source == ALL else self.instance_id(source)

    def instance_id(self, source):
        """The id of an instance that is given by its id or its name. The service is asked once for all names."""
        if UUID.match(source):
            return source.lower()
        with self._lock:
            if self._sources is None:
                self._sources = self.list_sources()
        ids = [found.id for found in self._sources if source in (found.name, found.id)]
        if len(ids) > 1:
            candidates = (len(ids), source, shown(ids))
            raise OptionError("source", "%d instances have the name %s, give the id of one: %s" % candidates)
        if not ids:
            names = shown([found.name or found.id for found in self._sources])
            raise NotFoundError("There is no instance %s; there are: %s" % (source, names))
        return ids[0]

    # -- writing ---------------------------------------------------------------------------------------------------

    def run_backup(self, source, request):
        return self._create(self.run_body(source, request))

    def run_body(self, source, request):
        """What is asked for: only what was said, as some servers refuse what they do not know."""
        body = {
            "instance": self.instance_id(source),
            "name": request.name,
            "description": request.description,
            "incremental": None if request.incremental is None else int(request.incremental),
            "parent_id": request.parent_id,
            "swift_container": request.swift_container,
        }
        return {key: value for key, value in body.items() if value is not None}

    def delete_backup(self, source, backup_id):
        """Ask for the backup to be deleted, and those that build on it with it. It goes a while later."""
        try:
            self._client.delete(fields.path("backups", backup_id))
        except OutcomeUnknownError as doubt:
            # Trove answers 500 for a backup that is still running.
            try:
                backup = self.get_backup(ALL, backup_id)
            except NotFoundError:
                return
            except ApiError:
                raise doubt
            if backup.status == RUNNING:
                about = (backup_id, backup.raw.get("status"))
                text = "Backup %s cannot be deleted while it is running (its status is %s)" % about
                raise ApiError(text, code="backup_running", id=backup_id)
            raise

    def _create(self, body):
        answer = self._client.post("/backups", {"backup": body})
        try:
            return self._backup(self._one(answer.data, "backup"))
        except ApiError as error:
            raise OutcomeUnknownError("POST /backups: %s; the request may have been carried out" % error.message)

    # -- what may differ -------------------------------------------------------------------------------------------

    def _home(self, source):
        """The path of a source."""
        return fields.path("instances", self.instance_id(source))

    def _place(self, source):
        """(path, parameters) of the list of a source's backups."""
        return "/backups", {} if source == ALL else {"instance_id": self.instance_id(source)}

    def _source_of(self, record):
        """The source of a backup. One that was imported has none."""
        return fields.text(record.get("instance_id")) or ""

    def _check_instance(self, source):
        """Raise NotFoundError for a source without backups that does not exist either: most likely it is misspelt."""
        try:
            self._client.get(self._home(source))
        except NotFoundError:
            raise NotFoundError("There is no instance %s, and no backup of one" % source)
        except ApiError:
            pass  # not to be known is no reason to fail: the list itself was answered

    # -- records ---------------------------------------------------------------------------------------------------

    def _backup(self, record):
        number = self._id(record)
        source = self._source_of(record)
        datastore = datastore_of(record)
        status = fields.text(record.get("status"))
        return Backup(
            id=number,
            provider=self.name,
            source=source,
            series="%s/%s" % (source or "imported", fields.text(datastore.get("type")) or "unknown"),
            name=fields.text(record.get("name")),
            engine=_engine(datastore),
            status=_STATUS.get(status.upper(), UNKNOWN) if status else UNKNOWN,
            created_at=fields.moment(record, "created"),
            size_bytes=_bytes(record.get("size")),
            location=fields.text(record.get("locationRef")),
            parent_id=fields.text(record.get("parent_id")),
            raw=record,
        )

    def _one(self, data, name):
        """The record in an answer's envelope."""
        record = data.get(name) if isinstance(data, dict) else None
        if not isinstance(record, dict):
            raise self._bad_shape("JSON that does not hold a %s" % name)
        self._id(record)
        return record

    def _id(self, record):
        number = none_if_null(record.get("id"))
        if number is None or isinstance(number, (bool, dict, list)):
            raise self._bad_shape("a record without an id")
        return str(number)

    def _bad_shape(self, what):
        return ApiError("%s answered with %s" % (self.title, what), code="bad_shape")

    def _datastores(self):
        data = self._client.get("/datastores").data
        records = data.get("datastores") if isinstance(data, dict) else None
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise self._bad_shape("JSON that is not a list of datastores")
        return records

    # -- pages -----------------------------------------------------------------------------------------------------

    def _pages(self, path, params, names):
        """All records of a list, each once, in page order, and warnings: with one, records may be missing.

        While pages are read records move between them, and are seen twice, or not at all: then all is read again.
        """
        query = {key: value for key, value in params.items() if value is not None}
        query["limit"] = self.page_size
        for _reading in range(_MAX_READINGS):
            records, warnings, torn = self._read_pages(path, query, names)
            if not torn:
                break
        else:
            warnings.append("%s changed each time while its pages were read: records may be missing" % path)
        return records, warnings

    def _read_pages(self, path, query, names):
        """(records, warnings, whether records may have slipped by between two pages), read to the last page.

        Only the marker of a link is used: the address in it is often wrong, and always https. It may be the id of the
        last record or the number of records to pass. Of these one less are passed: if what comes first then was not
        seen before, something in front of it has gone, and it might have been something else that moved up unseen.
        """
        records, known, warnings, torn = [], set(), [], False
        markers, repeats, overlaps = {None}, 0, False
        while True:
            data = self._client.get(path, query).data
            page = self._page(data, names)
            if page is None:
                warnings.append("%s answered null in place of a list" % path)
            elif overlaps:
                torn = torn or not page or self._id(page[0]) not in known
            new = 0
            for record in page or ():
                number = self._id(record)
                if number not in known:
                    known.add(number)
                    records.append(record)
                    new += 1
            marker = _next_marker(data)
            if marker is None:
                return records, warnings, torn
            repeats = 0 if new else repeats + 1
            if marker in markers or repeats >= _MAX_REPEATS or len(markers) >= MAX_PAGES:
                raise ApiError(
                    "GET %s goes in circles: page %d announces another, and yet nothing new comes (marker %s); "
                    "no list is taken as complete" % (path, len(markers), marker),
                    code="paging",
                )
            markers.add(marker)
            overlaps = _is_number(marker) and not (page and self._id(page[-1]) == marker)
            query = dict(query, marker=int(marker) - 1 if overlaps else marker)

    def _page(self, data, names):
        """The records of a page, None for null."""
        records = data
        if isinstance(data, dict):
            name = next((name for name in names if name in data), None)
            if name is None:
                raise self._bad_shape("JSON that holds no %s" % names[0])
            records = data[name]
        if records is None:
            return None
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise self._bad_shape("something else than a list of %s" % names[0])
        return records


def source_of(record):
    """The Source that a record of an instance shows."""
    datastore = datastore_of(record)
    return Source(
        id=str(record["id"]),
        name=fields.text(record.get("name")),
        engine=_engine(datastore),
        version=fields.text(datastore.get("version")),
        status=fields.text(record.get("status")),
        raw=record,
    )


def problem_of(call, response):
    """What an error means where it is not what its status says."""
    status, text = response.status_code, said_of(response)[1]
    if status == 401 and "account not accessible" in text:
        return AuthError(
            "%s answered 401: %s. The token itself is good: the project has no usable account in the object store, "
            "or the user's role may not use it" % (call, text.rstrip(".")),
            code="no_object_store",
            status=status,
        )
    if status == 403 and b"cannot access this resource" in response.content:
        # Said before any policy is looked at, in HTML or, as we ask for it, in JSON.
        return AuthError(
            "%s answered 403: the token is not for the project of this address; check project and region" % call,
            code="other_project",
            status=status,
        )
    if status == 422 and call == "POST /backups":
        # Trove: "... is not currently available for an action to be performed (instance status was BACKUP)."
        doing = re.search(r"status was (\w+)", text)
        if doing or re.search(r"(?<!not )\b(running|in progress)\b", text, re.I):
            busy = doing is not None and doing.group(1) != "BACKUP"
            code = "instance_busy" if busy else "already_running"
            return ApiError("%s: %s" % (call, text), code=code, status=status)
    return None


def _next_marker(data):
    """The marker in a page's link to the next one, None on the last page."""
    links = data.get("links") if isinstance(data, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "next":
            try:
                markers = parse_qs(urlsplit(str(link.get("href"))).query).get("marker")
            except ValueError:
                markers = None
            if not markers:
                raise ApiError(
                    "The link to the next page holds no marker; no list is taken as complete", code="paging"
                )
            return markers[-1]
    return None


def _is_number(marker):
    """Whether a marker may be a number of records, and not the id of one."""
    return re.match(r"^[1-9][0-9]{0,17}$", marker) is not None


def datastore_of(record):
    """The type and version in a record, {} where it has none."""
    found = record.get("datastore")
    return found if isinstance(found, dict) else {}


def shown(names):
    return (", ".join(sorted(names)[:_MAX_SHOWN]) + (", ..." if len(names) > _MAX_SHOWN else "")) or "none"


def _engine(datastore):
    kind = fields.text(datastore.get("type"))
    return engine_name(kind) if kind else None


def _bytes(size):
    """Bytes of a size in GB, None for null and for what is no size."""
    if isinstance(size, bool):
        return None
    try:
        size = float(size)
    except (TypeError, ValueError):
        return None
    return round(size * GB) if math.isfinite(size) and size > 0 else None
