# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cloud without a network, for the providers of Trove's API: answers from a script, and what was asked."""

from __future__ import annotations

from types import SimpleNamespace

from ansible_collections.restorable.backups.plugins.module_utils._http import Answer
from ansible_collections.restorable.backups.plugins.module_utils._providers._openstack import Grant

ONE = "11111111-1111-1111-1111-111111111111"
TWO = "22222222-2222-2222-2222-222222222222"
VERSION = "44444444-4444-4444-4444-444444444444"


class Turns(list):
    """Answers of which each is given once."""


class Cloud:
    """Stands in for a CloudAccess and for its clients. ``calls`` are (method, path, what was sent with it).

    ``answers`` maps "METHOD /path" to an answer, to Turns, to an exception, or to a function of what was sent; an
    answer with headers is (headers, data).
    """

    def __init__(self, **answers):
        self.answers, self.calls, self.problems, self.asked_seconds = dict(answers), [], {}, []

    def on(self, call, answer):
        self.answers[call] = answer
        return self

    # as CloudAccess

    def client(self, service, problem_of):
        self.problems[service] = problem_of
        return self

    def endpoint(self, service):
        return "https://%s.example/v1/AUTH_p1" % service

    def grant(self, seconds=60):
        self.asked_seconds.append(seconds)
        return Grant("t", 0.0, 0.0, [], ca_path="/ca.pem", client_cert=["/cert.pem", None])

    def renew(self, stale):
        self.calls.append(("RENEW", stale, None))
        return True

    # as HttpClient

    def _answer(self, method, path, sent):
        self.calls.append((method, path, sent))
        found = self.answers["%s %s" % (method, path)]
        if isinstance(found, Turns):
            found = found.pop(0)
        if callable(found):
            found = found(sent)
        if isinstance(found, Exception):
            raise found
        headers, data = found if isinstance(found, tuple) else ({}, found)
        return Answer(data, headers, 200)

    def get(self, path, params=None):
        return self._answer("GET", path, dict(params or {}))

    def head(self, path, params=None):
        return self._answer("HEAD", path, dict(params or {}))

    def post(self, path, body=None):
        return self._answer("POST", path, body)

    def delete(self, path, params=None):
        return self._answer("DELETE", path, dict(params or {}))


def response(status, content, kind="application/json"):
    """As requests gives one, for what reads errors."""
    return SimpleNamespace(status_code=status, content=content.encode(), headers={"Content-Type": kind})


def row(number=1, **fields):
    """A backup as Trove shows it."""
    found = {
        "id": "b%d" % number,
        "name": "nightly",
        "description": None,
        "locationRef": "http://10.0.0.1:8080/v1/AUTH_p1/database_backups/b%d.xbstream.gz" % number,
        "instance_id": ONE,
        "created": "2026-03-18T03:00:05",
        "updated": "2026-03-18T03:05:00",
        "size": 0.14,
        "status": "COMPLETED",
        "parent_id": None,
        "project_id": "p1",
        "datastore": {"type": "mysql", "version": "8.0", "version_id": VERSION},
    }
    found.update(fields)
    return found


def instance(number=ONE, name="shop", **fields):
    found = {"id": number, "name": name, "status": "ACTIVE", "datastore": {"type": "mysql", "version": "8.0"}}
    found.update(fields, region="RegionOne")
    return found


def link(marker, **more):
    """The link to the next page, as wrong as Trove makes it."""
    query = "&".join("%s=%s" % item for item in dict(more, marker=marker).items())
    return [{"rel": "next", "href": "https://127.0.0.1:1/v1.0/p1/backups?%s" % query}]


def paged(records, size, by_id=False, name="backups"):
    """A function that answers as the server does: a full page has a link, even where nothing follows."""

    def answer(params):
        marker = params.get("marker")
        ids = [record["id"] for record in records]
        start = 0 if marker is None else ids.index(marker) + 1 if by_id else int(marker)
        page = records[start : start + size]
        found = {name: page}
        if len(page) == size:
            found["links"] = link(page[-1]["id"] if by_id else start + size, limit=size)
        return found

    return answer
