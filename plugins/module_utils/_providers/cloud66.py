# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Cloud 66, API v3. Facts are from the vendor's API documentation ("doc"), its Go client ("client"), or inferred.

What version 2 has in common with it lies in ``Cloud66Api``.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from posixpath import dirname
from urllib.parse import urlsplit, urlunsplit

from .._backup import FAILED, OK, UNKNOWN, Backup, BackupFile, FileAccess, Source, engine_name
from .._errors import ApiError, OutcomeUnknownError
from .._http import HttpClient, check_url
from .._values import none_if_null
from . import _fields as fields
from ._base import Listing, Option, Provider

# Enough for 300,000 records; a server that announces more is not believed.
MAX_PAGES = 10000
PAGE_WORKERS = 24
# Pages in a row without a record that was not seen before, after which a list is held to go in circles.
_MAX_REPEATS = 3

_STATUS = {0: OK, 1: FAILED}
_RESTORE_STATUS = {0: "never", 1: "running", 2: "restored", 3: "failed"}
_VERIFY_STATUS = {0: "never", 1: "running", 2: "verified", 3: "failed", 4: "error"}

_SEPARATOR = re.compile(r"[,\s]+")


class Cloud66Api(Provider):
    """What the versions of the API have in common: connection, records, pages, signed URLs, the answers to writes."""

    version = None
    options = {
        "api_url": Option(default="https://app.cloud66.com", env=("CLOUD66_API_URL",)),
        "api_token": Option(env=("CLOUD66_TOKEN",)),
        "account": Option(env=("CLOUD66_ACCOUNT",)),
    }
    source_words = "the UID of a stack"
    engines = ("mysql", "postgresql", "redis", "mongodb")

    def __init__(self, client, address, allow_http=False):
        self._client, self._address, self._allow_http = client, address, allow_http

    @classmethod
    def from_options(cls, params, around):
        base_url = api_base(params["api_url"], cls.version)
        check_url("api_url", base_url, params["allow_http"])
        token = fields.token_of(params, "CLOUD66_TOKEN")
        account = none_if_null(params["account"])
        seen = set()

        def on_response(response):
            text = response.headers.get("X-Cloud66-Warning")
            if text and text not in seen:
                seen.add(text)
                around.warn("Cloud 66 says: %s" % text)

        client = HttpClient(
            base_url,
            ("Authorization", "Bearer " + token),
            headers={"X-Account": account} if account else None,
            timeout=params["api_timeout"],
            retries=params["api_retries"],
            validate_certs=params["validate_certs"],
            ca_path=params["ca_path"],
            on_response=on_response,
        )
        return cls(client, "%s#%s" % (base_url, account or ""), params["allow_http"])

    @property
    def address(self):
        return self._address

    def _access(self, backup_id, name, record, url):
        """The FileAccess in an answer that is to hold a URL."""
        url = fields.text(url)
        if record.get("ok") is False or not url:
            raise ApiError(
                "Cloud 66 gave no URL for file %s of backup %s: %s"
                % (name, backup_id, fields.text(record.get("message")) or "ok is false or the URL is empty"),
                code="no_url",
            )
        url = mend_signature(url)
        check_url("api_url", url, self._allow_http)
        return FileAccess(url)

    # -- answers ---------------------------------------------------------------------------------------------------

    def _post(self, path, body):
        """The message of the service, which has agreed."""
        answer = self._client.post(path, body)
        record = answer.data.get("response", answer.data) if isinstance(answer.data, dict) else None
        if not isinstance(record, dict):
            raise OutcomeUnknownError(
                "POST %s answered %d with JSON that does not say what was done; the request may have been carried out"
                % (path, answer.status),
                status=answer.status,
            )
        message = fields.text(record.get("message")) or ""
        if record.get("ok") in (False, "false") or record.get("error"):
            reason = message or fields.text(record.get("details") or record.get("error")) or "the answer says ok: false"
            raise ApiError("Cloud 66 refused: %s" % reason, code="not_ok")
        return message

    # -- records ---------------------------------------------------------------------------------------------------

    def _backup(self, source, record):
        engine = fields.text(record.get("db_type"))
        engine = engine_name(engine) if engine else None
        database = fields.text(record.get("database_name"))
        location = fields.text(record.get("storage_path"))
        logical = record.get("logical_backup")
        return Backup(
            id=fields.text(record.get("id")) or location or "",
            provider=self.name,
            source=source,
            series=_series_key(location, engine, database),
            engine=engine,
            database=database,
            status=_status(record.get("backup_status"), _STATUS) or UNKNOWN,
            created_at=fields.moment(record, "backup_date_iso", "created_at_iso"),
            size_bytes=fields.positive(record.get("backup_size")),
            verify_status=_status(record.get("verify_status"), _VERIFY_STATUS),
            restore_status=_status(record.get("restore_status"), _RESTORE_STATUS),
            location=location,
            message=fields.text(record.get("backup_result")),
            excluded_tables=_names(record.get("skip_tables")),
            logical=logical if isinstance(logical, bool) else None,
            raw=record,
        )

    # -- pages -----------------------------------------------------------------------------------------------------

    def _pages(self, path, params):
        """All records of a list, each once, in page order, and warnings: with one, records may be missing.

        At most MAX_PAGES pages are read. The first one tells how many there are; the others are then fetched together,
        and kept in page order. Records that moved to another page meanwhile are seen twice and kept once.
        """
        first = self._page(path, params, 1)
        known, records = set(), []
        _add_new(first.records, known, records)
        number = 1
        if first.pages and first.pages > 1:
            if first.pages > MAX_PAGES:
                raise ApiError("GET %s announces %d pages; that is not believed" % (path, first.pages), code="paging")
            rest = range(2, first.pages + 1)
            with ThreadPoolExecutor(min(PAGE_WORKERS, len(rest))) as pool:
                page = None
                for page in pool.map(lambda n: self._page(path, params, n), rest):
                    _add_new(page.records, known, records)
            number = first.pages
        else:
            page = first
        repeats = 0
        while page.has_next:
            number += 1
            page = self._page(path, params, number)
            repeats = 0 if _add_new(page.records, known, records) else repeats + 1
            if repeats >= _MAX_REPEATS or number > MAX_PAGES:
                raise ApiError(
                    "GET %s goes in circles: page %d brings nothing new and yet announces another; "
                    "no list is taken as complete" % (path, number),
                    code="paging",
                )
        warnings = []
        if first.is_null:
            warnings.append("%s answered null in place of a list" % path)
        # "count" is documented only by samples of one page: where it equals that page's length it says nothing of all.
        if first.count is not None and first.count > len(records) and first.count != len(first.records):
            warnings.append(
                "%s lists %d records but announces %d: some may have moved or gone while the pages were read"
                % (path, len(records), first.count)
            )
        return records, warnings

    def _page(self, path, params, number):
        query = {key: value for key, value in params.items() if value is not None}
        if number > 1:
            query["page"] = number
        return _Page(self._client.get(path, query).data, number)


class Cloud66(Cloud66Api):
    name = "cloud66"
    title = "Cloud 66"
    version = 3
    capabilities = frozenset(
        ("list", "get", "files", "fetch", "schedule", "import", "sources", "sizes", "verified", "restore_status")
    )
    understands = {
        "list": ("group",),
        "schedule": (
            "engines",
            "frequency",
            "default_frequency",
            "keep_count",
            "gzip",
            "excluded_tables",
            "run_on_replica",
            "logical_backup",
        ),
        "import": ("group", "engine", "remote_url"),
    }
    instead = {
        "unschedule": "the API has no call to list, change or delete a backup task; "
        "delete it by hand in the Cloud 66 dashboard (the stack's Database Backups page)",
        "run": "the API has no such call; backup_task makes a schedule, and the Cloud 66 dashboard can run one by hand",
        "delete": "the API has no such call; keep_count of backup_task bounds how many are kept",
    }

    # -- reading ---------------------------------------------------------------------------------------------------

    def list_backups(self, source, group=None, engine=None, datastore=None):
        params = {"group": group, "db_type": engine_name(engine) if engine else None}
        records, warnings = self._pages(fields.path("stacks", source, "backups"), params)
        return Listing([self._backup(source, record) for record in records], warnings, whole=not warnings)

    def get_backup(self, source, backup_id):
        record = self._client.get(fields.path("stacks", source, "backups", backup_id)).data
        return self._backup(source, unwrap(record, dict, "a backup"))

    def list_files(self, source, backup_id):
        records, warnings = self._pages(fields.path("stacks", source, "backups", backup_id, "files"), {})
        if warnings:
            raise ApiError("The list of files of backup %s: %s" % (backup_id, "; ".join(warnings)), code="incomplete")
        files = []
        for record in records:
            file_id = none_if_null(record.get("id"))
            if file_id is None:
                # Left out, it would make a backup that looks whole and is not.
                raise ApiError("The list of files of backup %s holds one without an id" % backup_id, code="incomplete")
            name = none_if_null(record.get("name")) or file_id
            files.append(BackupFile(str(file_id), str(name), fields.positive(record.get("size")), record))
        return files

    def file_access(self, source, backup_id, file):
        answer = self._client.get(fields.path("stacks", source, "backups", backup_id, "files", file.id)).data
        record = unwrap(answer, dict, "a file's URL")
        return self._access(backup_id, file.id, record, record.get("public_url"))

    def list_sources(self):
        records, warnings = self._pages("/stacks", {})
        if warnings:
            # Who is left out of an inventory is not backed up, and nobody is told.
            raise ApiError("The list of stacks: %s" % "; ".join(warnings), code="incomplete")
        return [
            Source(
                id=fields.text(record["uid"]),
                name=fields.text(record.get("name")),
                environment=fields.text(record.get("environment")),
                raw=record,
            )
            for record in records
            if fields.text(record.get("uid"))
        ]

    # -- writing ---------------------------------------------------------------------------------------------------

    def create_task(self, source, request):
        body = {
            "db_type": ",".join(request.engines) or "all",
            "frequency": request.frequency,
            "keep_count": request.keep_count,
            "gzip": request.gzip,
            "excluded_tables": ",".join(sorted(request.excluded_tables or ())) or None,
            "run_on_replica_server": request.run_on_replica,
            "logical_backup": request.logical_backup,
        }
        path = fields.path("stacks", source, "backups")
        return self._post(path, {key: value for key, value in body.items() if value is not None})

    def import_backup(self, source, request):
        body = {"group": request.group, "db_type": request.engine, "remote_url": request.url}
        return self._post(fields.path("stacks", source, "backups"), body)


class _Page:
    """One page of a list: enveloped with or without pagination, or a bare list."""

    def __init__(self, data, number):
        # Some servers write an empty list as null; others write null where they have failed.
        self.is_null = number == 1 and isinstance(data, dict) and data.get("response", data) is None
        self.records = [] if self.is_null else unwrap(data, list, "a list")
        if not all(isinstance(record, dict) for record in self.records):
            raise ApiError("Cloud 66 answered with a list of something else than records", code="bad_shape")
        pagination = data.get("pagination") if isinstance(data, dict) else None
        pagination = pagination if isinstance(pagination, dict) else {}
        self.pages = fields.positive(pagination.get("pages"))
        self.count = fields.positive(pagination.get("count"))
        following = fields.positive(pagination.get("next"))
        # client: it goes on while current < next, and stops where pagination is missing
        self.has_next = following is not None and following > number


def api_base(url, version):
    """The API's base from a host, an address, or an address with /api/3 (documented form) or /api/2.

    Which version it is depends on the provider: both read the same variables. Raises OptionError.
    """
    scheme, host, path = fields.parts_of_address(url)
    return urlunsplit((scheme, host, "%s/api/%d" % (re.sub(r"/api/[23]$", "", path), version), "", ""))


def mend_signature(url):
    """Undo the double encoding of the documented signed URLs (C(%252F)), in the query only; never in the path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=re.sub(r"%25([0-9A-Fa-f]{2})", r"%\1", parts.query)))


def unwrap(data, kind, what):
    """The ``response`` inside the documented envelope, or the bare value; ApiError where it is neither."""
    if isinstance(data, dict) and "response" in data:
        data = data["response"]
    elif kind is dict and isinstance(data, dict) and "error" in data:
        data = None
    if not isinstance(data, kind):
        raise ApiError("Cloud 66 answered with JSON that is not %s" % what, code="bad_shape")
    return data


def _add_new(page, known, records):
    """Append the records not seen before; True if there was one."""
    found = False
    for record in page:
        key = next((record[name] for name in ("id", "uid") if none_if_null(record.get(name)) is not None), None)
        if not isinstance(key, (int, str)):
            key = repr(sorted(record.items()))
        if key not in known:
            known.add(key)
            records.append(record)
            found = True
    return found


def _names(value):
    """The names in a comma list (or a list), None where there is none: that is not known."""
    if value is None:
        return None
    parts = value if isinstance(value, list) else _SEPARATOR.split(str(value))
    return frozenset(str(name) for name in parts if name)


def _status(value, names):
    """The word for a number of the API; UNKNOWN for a value that is no such number, None for none."""
    return None if none_if_null(value) is None else names.get(fields.number(value), UNKNOWN)


def _series_key(location, engine, database):
    """The folder of a backup's location: the dump tool's trigger in it is constant for a task (inferred).

    Without a location, engine and database stand in.
    """
    folder = dirname(location.rstrip("/")) if location else ""
    return folder or "/".join((engine or "unknown", database or "-"))
