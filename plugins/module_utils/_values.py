# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Durations, sizes, times and texts as people and services write them. Pure; times are aware datetimes in UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

UTC = timezone.utc
# What the services write for "not set" (Go's zero time, Cloud 66's and Backupman's empty strings).
_NULL_LIKE = ("", "0001-01-01T00:00:00Z", "null", "None")
_DURATION_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_WHOLE = re.compile(r"^\d+$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([wdhms])", re.I)
# Longer than any policy can mean, and short enough that no date is computed out of the calendar.
_LONGEST_DURATION = 100 * 366 * 86400
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?b)?\s*$", re.I)
_FRACTION = re.compile(r"\.(\d+)")
# What Python makes of the bytes of a name that is no UTF-8.
_SURROGATE = re.compile("[\udc80-\udcff]")


def none_if_null(value):
    """None for null-like values, text without surrounding blanks, anything else as it is."""
    if value is None:
        return None
    if isinstance(value, str):
        value = value.strip()
        return None if value in _NULL_LIKE else value
    return value


def parse_duration(text):
    """Seconds (int) from C(26h), C(2d), C(1h30m), or a plain number of seconds. Raises ValueError."""
    text = str(text).strip()
    if _WHOLE.match(text):
        seconds = int(text)
    else:
        parts = _DURATION.findall(text)
        if not parts or _DURATION.sub("", text).strip():
            raise ValueError("%r is not a duration: write for example 90m, 26h, 2d or 1h30m" % text)
        seconds = sum(float(number) * _DURATION_UNITS[unit.lower()] for number, unit in parts)
    if seconds > _LONGEST_DURATION:
        raise ValueError("%r is longer than a century" % text)
    return int(seconds)


def format_duration(seconds):
    """The two largest units of a number of seconds: ``1d 2h``, ``90s`` becomes ``1m 30s``."""
    seconds = int(seconds)
    if seconds < 0:
        return "-" + format_duration(-seconds)
    parts = []
    for unit in ("d", "h", "m", "s"):
        size = _DURATION_UNITS[unit]
        if seconds >= size:
            parts.append("%d%s" % (seconds // size, unit))
            seconds %= size
        elif parts:
            break
    return " ".join(parts[:2]) or "0s"


def parse_size(text):
    """Bytes (int) from C(10MB), C(1.5 GiB) or a plain number; units are powers of 1024. Raises ValueError."""
    match = _SIZE.match(str(text))
    if not match:
        raise ValueError("%r is not a size: write for example 500KB, 10MB or 2GB" % text)
    return int(float(match.group(1)) * _SIZE_UNITS[match.group(2).lower()])


def format_size(size):
    if size is None:
        return "unknown size"
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return "%d B" % value if unit == "B" else "%.1f %s" % (value, unit)
        value /= 1024


def parse_time(value):
    """An aware UTC datetime from a service's timestamp, or None when it is null-like.

    Times without a zone are UTC (every service of ours says so somewhere), and the year 1 is "never" however it is
    written. Raises ValueError.
    """
    value = none_if_null(value)
    if value is None:
        return None
    if isinstance(value, datetime):
        moment = value
    else:
        text = str(value)
        if text[-1:] in "zZ":
            text = text[:-1] + "+00:00"
        elif text.endswith(" UTC"):
            text = text[:-4] + "+00:00"
        # Before Python 3.11 only 3 or 6 digits of a second's fraction are read: keep 6 of whatever is there.
        text = _FRACTION.sub(lambda match: "." + (match.group(1) + "000000")[:6], text)
        moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.year == 1:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("%r is outside the calendar" % (value,))


def format_time(moment):
    """RFC 3339 in UTC to the second, or None."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_moment(text, now):
    """A time, or a duration back from ``now``: both C(2026-01-31T00:00:00Z) and C(7d) are a moment. Raises ValueError."""
    try:
        return now - timedelta(seconds=parse_duration(text))
    except ValueError:
        pass
    try:
        moment = parse_time(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError("%r is neither a time such as 2026-01-31T00:00:00Z nor a duration such as 7d" % text)
    return moment


def median(numbers):
    """The middle number; the mean of the two middle ones as int; None of nothing."""
    ordered = sorted(numbers)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def readable(value):
    """A result of which all texts can be written: of names of files that are no UTF-8, bytes are shown as ``\\xff``.

    Ansible refuses an answer with anything else.
    """
    if isinstance(value, str):
        return _SURROGATE.sub(lambda found: "\\x%02x" % (ord(found.group()) - 0xDC00), value)
    if isinstance(value, dict):
        return {readable(key): readable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [readable(one) for one in value]
    return value
