# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What can go wrong on the receiving side, in words for the user."""

from __future__ import annotations

import errno
import os
import re

# What a full disk or a used-up quota looks like.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class ReceiveError(Exception):
    """The fetch cannot go on. ``code`` is a stable word, ``details`` holds plain values."""

    def __init__(self, code, message, **details):
        super().__init__(message)
        self.code, self.message = code, message
        self.details = details


def os_reason(error):
    """The reason in an OSError without the paths and addresses that its text may hold."""
    if error.errno and not hasattr(error, "reason"):
        return os.strerror(error.errno)
    return type(error).__name__


def cannot(what, path, error):
    code = "no_space" if error.errno in NO_SPACE else "bad_dest"
    return ReceiveError(code, "cannot %s %s: %s" % (what, path, os_reason(error)), path=path)


def without_signatures(text, urls=(), credentials=()):
    """Text in which neither one of these URLs' queries nor that of any other URL can be read, and no credential."""
    secrets = {value for value in credentials if value}
    for url in urls:
        query = url.partition("?")[2]
        found = [query] + [pair.partition("=")[2] for pair in query.split("&")]
        secrets.update(one for one in found if len(one) > 7)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "...")
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]+", r"\1?...", text)


def credentials_of(headers):
    """What must not be read in such headers: their values, and the word after a scheme such as Bearer."""
    values = set(headers.values())
    return {value for value in values | {value.rpartition(" ")[2] for value in values} if value}
