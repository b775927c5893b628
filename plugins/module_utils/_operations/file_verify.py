# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_file_verify: read a backup file to its last byte, say what is in it, and hold that against what is expected."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from .. import _archive
from .._errors import BackupError, OptionError
from .._expectations import Expectations, judge, tables_of
from .._values import format_size, parse_size

# How a file is read; the drill reads it in the same way.
READING_OPTIONS = {
    "path": {"type": "list", "elements": "path", "required": True, "aliases": ["src", "paths"]},
    "max_ratio": {"type": "float", "default": 250.0},
    "max_plain_size": {"type": "str"},
}
SPEC = {
    "argument_spec": dict(
        READING_OPTIONS,
        expect={
            "type": "dict",
            "options": {
                "engine": {"type": "str", "choices": ["postgresql", "mysql", "redis", "mongodb", "sqlite"]},
                "database": {"type": "str"},
                "tables": {"type": "list", "elements": "str"},
                "exact": {"type": "bool", "default": False},
                "min_rows": {"type": "dict"},
                "baseline": {"type": "dict"},
                "max_row_drop": {"type": "float", "default": 0.0},
            },
        },
        fail_on_problem={"type": "bool", "default": True},
    ),
    "supports_check_mode": True,
}


def run(params):
    """The module's result. Raises BackupError where the file cannot be read, or an option makes no sense."""
    wanted = expectations(params["expect"])
    result = dict(examine(params).to_result(), changed=False)
    contents = result["contents"]
    found = judge(
        tables_of(contents),
        wanted,
        engines={member["engine"] for member in contents if member["engine"]},
        databases={name for member in contents for name in databases_of(member)},
    )
    result["problems"] = result["problems"] + [dict(problem, member=None, offset=None) for problem in found]
    result["valid"] = not result["problems"]
    if not result["valid"] and params["fail_on_problem"]:
        result.update(failed=True, msg=summary(result))
    return result


def examine(params):
    """What ``_archive`` says of the files that the options name. Raises BackupError, also where they change meanwhile."""
    bounds = limits(params)
    try:
        with unchanged(params["path"]):
            return _archive.examine(params["path"], bounds)
    except OSError as error:
        raise unreadable(params["path"], error)
    except ValueError as error:
        raise OptionError("path", str(error))


@contextmanager
def unchanged(paths, option="path"):
    """Raises BackupError at the end where the files are not those any more that they were at the beginning: what was found
    out is said of bytes that are not there."""
    before = _state_of(paths)
    yield
    for path, now in _state_of(paths).items():
        if now != before[path]:
            raise BackupError(
                "%s: %s changed while it was read: something writes, replaces or removes it. Try again when it is complete"
                % (option, path),
                code="changed",
            )


def _state_of(paths):
    found = {}
    for path in paths:
        try:
            found[path] = _archive.state_of(path)
        except OSError:
            # Who reads it tells why.
            found[path] = None
    return found


def limits(params):
    """Raises OptionError. Also says at once which file is missing: none of them is read in vain."""
    if not params["path"]:
        raise OptionError("path", "names no file")
    for path in params["path"]:
        check_readable("path", path)
    if params["max_ratio"] < 1:
        raise OptionError("max_ratio", "must be 1 or more")
    if params["max_plain_size"] is None:
        return _archive.Limits(max_ratio=params["max_ratio"])
    try:
        return _archive.Limits(max_ratio=params["max_ratio"], max_plain_bytes=parse_size(params["max_plain_size"]))
    except ValueError as error:
        raise OptionError("max_plain_size", str(error))


def check_readable(option, path):
    """Raises OptionError for what is neither a file nor a folder: a pipe or a device could be read for ever."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if os.path.islink(path):
            raise OptionError(option, "%s is a link to nothing" % path)
        raise OptionError(option, "%s does not exist on this host" % (path or "a file without a name"))
    except OSError as error:
        raise OptionError(option, "%s cannot be read: %s" % (path, os.strerror(error.errno or 0)))
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OptionError(option, "%s is neither a file nor a folder" % path)


def unreadable(paths, error):
    where = error.filename or ", ".join(paths)
    return BackupError("path: %s cannot be read: %s" % (where, os.strerror(error.errno or 0)), code="unreadable")


def databases_of(member):
    """All databases that a member's result names."""
    named = {table["database"] for table in member["tables"]} | {member["database"]}
    return named - {None}


def expectations(options):
    """Expectations from the option ``expect``. Raises OptionError."""
    options = options or {}
    if options.get("exact") and not options.get("tables"):
        raise OptionError("expect.exact", "needs expect.tables, which says what may be there")
    if not 0 <= (options.get("max_row_drop") or 0.0) <= 100:
        raise OptionError("expect.max_row_drop", "must be between 0 and 100")
    return Expectations(
        engine=options.get("engine"),
        database=options.get("database"),
        tables=tuple(options.get("tables") or ()),
        exact=bool(options.get("exact")),
        min_rows=whole_numbers(options.get("min_rows"), "expect.min_rows"),
        baseline=_baseline(options.get("baseline")),
        max_row_drop=options.get("max_row_drop") or 0.0,
    )


def whole_numbers(values, option):
    """A dict of names to numbers, as playbooks write them: a template makes text of a number."""
    try:
        numbers = {} if values is None else {str(name): int(value) for name, value in values.items()}
    except (TypeError, ValueError):
        raise OptionError(option, "must map names of tables to whole numbers")
    if any(number < 0 for number in numbers.values()):
        raise OptionError(option, "must not ask for fewer than no rows")
    return None if values is None else numbers


def _baseline(earlier):
    if earlier is None:
        return None
    if earlier.get("valid") is False:
        raise OptionError("expect.baseline", "is the result of a backup that was not valid itself")
    contents = earlier.get("contents")
    if not isinstance(contents, list):
        raise OptionError("expect.baseline", "must be an earlier result of backup_file_verify: it has no list contents")
    try:
        return tables_of(contents)
    except (AttributeError, KeyError, TypeError):
        raise OptionError("expect.baseline", "is no result of backup_file_verify")


def summary(result):
    """All problems in one message for people; the first one counts most."""
    first = result["problems"][0]
    where = " in %s" % first["member"] if first["member"] else ""
    at = " at byte %d" % first["offset"] if first["offset"] is not None else ""
    more = len(result["problems"]) - 1
    return "The backup (%s) is not what it should be: %s%s%s (%s)%s" % (
        format_size(result["size_bytes"]),
        first["message"],
        where,
        at,
        first["code"],
        "; and %d more" % more if more else "",
    )
