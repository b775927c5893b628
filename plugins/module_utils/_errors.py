# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Typed errors. Everything below the modules raises these; only the outermost layer turns them into a failed task."""

from __future__ import annotations

import sys
from contextlib import contextmanager


class BackupError(Exception):
    """Base of all errors a user is meant to read.

    ``code`` is a stable word for playbooks (``failure.code``), ``details`` a flat dict of plain values.
    Messages never hold a token or the query string of a URL.
    """

    code = "error"
    # Whether something had been done before this came up.
    changed = False

    def __init__(self, message, code=None, **details):
        super().__init__(message)
        self.message = message
        if code:
            self.code = code
        self.details = {key: value for key, value in details.items() if value is not None}

    def __str__(self):
        # The message may have been added to on its way up.
        return self.message

    def to_failure(self):
        return {"message": self.message, "code": self.code, "details": self.details}


@contextmanager
def done_before(changed):
    """What fails in here does not undo the request before it: the error says that something was changed."""
    try:
        yield
    except BackupError as error:
        error.changed = changed
        raise


class OptionError(BackupError):
    """An option of the task is wrong; nothing has been asked of any service. ``option`` names it."""

    code = "bad_option"

    def __init__(self, option, message, **details):
        super().__init__("%s: %s" % (option, message), option=option, **details)


class UnsupportedError(BackupError):
    """The provider has no way to do this; said before any request."""

    code = "unsupported"


class MissingLibraryError(BackupError):
    """A Python library of the controller is missing. ``library`` is its name on PyPI, ``feature`` what alone needs it."""

    code = "missing_library"

    def __init__(self, library, traceback=None, feature=None):
        needed = "%s needs it. Install it" % feature if feature else "Install what this collection needs"
        super().__init__(
            "The Python library %s is missing on the controller, in the Python that runs Ansible. %s there: "
            "%s -m pip install %s" % (library, needed, sys.executable, library if feature else "requests cronsim"),
            library=library,
        )
        self.library = library
        self.traceback = traceback


class ApiError(BackupError):
    """The service answered, and the answer is a refusal or makes no sense."""

    code = "api_error"


class AuthError(ApiError):
    """401, 402 or 403: the token, its scope or the account is not accepted."""

    code = "refused"


class NotFoundError(ApiError):
    code = "not_found"


class UnavailableError(ApiError):
    """No usable answer: no connection, a timeout, throttling or a server error that outlived the retries."""

    code = "unavailable"


class OutcomeUnknownError(ApiError):
    """A write was sent and its answer never came, or was a server error. It must not be sent again unseen."""

    code = "outcome_unknown"
