# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What providers read out of records and options, whatever stands there. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from .._errors import OptionError
from .._values import none_if_null, parse_time

_HEADER_VALUE = re.compile(r"^[\x21-\x7e]+$")


def text(value):
    """Text of whatever stands in a text field, None for null-like values."""
    value = none_if_null(value)
    return None if value is None else str(value)


def number(value):
    """A whole number, also from text; None for anything else, true and false included."""
    if isinstance(value, bool):
        return None
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if isinstance(value, str) or found == value else None


def positive(value):
    """A whole number above 0, also from text, else None."""
    found = number(value)
    return found if found is not None and found > 0 else None


def moment(record, *names):
    """The first of these fields that holds a time, None where none does."""
    for name in names:
        try:
            found = parse_time(record.get(name))
        except (TypeError, ValueError):
            found = None
        if found:
            return found
    return None


def path(*segments):
    """A path of segments, each of which stays one whatever it holds."""
    return "".join("/" + quote(str(segment), safe="") for segment in segments)


def parts_of_address(url):
    """(scheme, host and port, path) of an address or a bare host, in one spelling: markers are found by it.

    Raises OptionError.
    """
    url = none_if_null(url) or ""
    if "://" not in url:
        url = "https://" + url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise OptionError("api_url", "is not a URL: %s" % error)
    return parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/")


def token_of(params, variable, what="token"):
    """The credential in C(api_token), fit for a header. Raises OptionError."""
    token = none_if_null(params["api_token"])
    if not token:
        empty = " (what is set is empty)" if params["api_token"] is not None else ""
        raise OptionError(
            "api_token", "no %s given: set this option or the environment variable %s%s" % (what, variable, empty)
        )
    if not _HEADER_VALUE.match(token):
        raise OptionError("api_token", "holds blanks or control characters: was it pasted with a line break?")
    return token
