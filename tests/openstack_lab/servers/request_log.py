# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A WSGI filter that notes every request with its answer's status, one JSON object a line. No token, no password."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time

LARGEST_BODY = 65536


class RequestLog:
    def __init__(self, app, file):
        self.app = app
        self.log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __getattr__(self, name):
        return getattr(self.app, name)

    def __call__(self, environ, start_response):
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        entry = {
            "at": time.time(),
            "method": environ["REQUEST_METHOD"],
            "path": path,
            "query": environ.get("QUERY_STRING", ""),
            "agent": environ.get("HTTP_USER_AGENT", ""),
            "range": environ.get("HTTP_RANGE"),
            "token": fingerprint(environ.get("HTTP_X_AUTH_TOKEN")),
        }
        body = json_body(environ)
        if path.endswith("/auth/tokens"):
            entry["user"] = who(body)
        elif body is not None:
            entry["body"] = body

        def answered(status, *details):
            entry["status"] = int(status.split()[0])
            os.write(self.log, (json.dumps(entry) + "\n").encode())
            return start_response(status, *details)

        return self.app(environ, answered)


def fingerprint(token):
    """Tells one token from another."""
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else None


def json_body(environ):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not 0 < length <= LARGEST_BODY or "json" not in environ.get("CONTENT_TYPE", ""):
        return None
    text = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(text)
    try:
        return json.loads(text)
    except ValueError:
        return None


def who(body):
    """The user, or the application credential's id, that a token was asked for."""
    try:
        identity = body["auth"]["identity"]
        method = identity[identity["methods"][0]]
        return method.get("id") or method["user"].get("name") or method["user"]["id"]
    except (KeyError, TypeError, IndexError, AttributeError):
        return None


def filter_factory(_global_conf, **options):
    """For paste. Swift adds options of its own."""
    return lambda app: RequestLog(app, options["file"])
