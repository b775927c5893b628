# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""One JSON record per host: made from the results of a run, written, read again, merged into a report."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from urllib.parse import quote

from ansible_collections.restorable.backups.plugins.module_utils._values import (
    format_duration,
    format_size,
    parse_time,
)

RECORD_SCHEMA = "restorable.backups/record/1"
REPORT_SCHEMA = "restorable.backups/report/1"

OK, PENDING, VIOLATIONS, ERROR, UNCHECKED = "ok", "pending", "violations", "error", "unchecked"
# The order of the report: what needs a person comes first.
STATUSES = (ERROR, VIOLATIONS, PENDING, UNCHECKED, OK)

# A task that was just asked for has no backup yet. These codes say nothing but that; every other code speaks of a
# backup that exists, and counts as usual.
NO_BACKUPS = "no_backups"
PENDING_CODES = frozenset(
    (NO_BACKUPS, "stale", "stalled", "schedule_gap", "too_few", "missing_engine", "missing_database")
)
UNREACHABLE = "unreachable"
_BACKUP_FIELDS = (
    "id",
    "series",
    "engine",
    "database",
    "status",
    "created_at",
    "size_bytes",
    "verify_status",
    "restore_status",
)
# What newer ansible-core puts before the words of whoever raised the error.
_WRAPPING = re.compile(
    r"^Task failed: (?:Finalization of task args for '\S+' failed: )?(?:Error while resolving value for '\w+': )?"
    r"(?:The filter plugin '\S+' failed: )?"
)
_URL_QUERY = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]+")


class RecordError(Exception):
    """A record or a report cannot be read or written; the message says which and why."""


# ---------------------------------------------------------------- making a record


def make_record(
    host,
    when,
    provider=None,
    source=None,
    task=None,
    run=None,
    check=None,
    fetch=None,
    verify=None,
    drill=None,
    proof=None,
    drill_choice=None,
):
    """The record of one run for one host. task to drill are results of the modules, None if not run.

    ``proof`` is the newest earlier one, which counts while no drill is due; ``drill_choice`` says why this backup.
    """
    task, run, check, fetch = _ran(task), _ran(run), _ran(check), _ran(fetch)
    verify, drill = _ran(verify), _ran(drill)
    is_pending = _is_under_way(task, ("created", "pending")) or (
        _is_under_way(run, ("created", "running")) and (run.get("backup") or {}).get("status") != "ok"
    )
    # The role does not call it a failure that a task without a first backup has nothing to fetch.
    awaited = fetch if is_pending and fetch and (fetch.get("failure") or {}).get("code") == NO_BACKUPS else None
    if awaited:
        fetch = None
    errors = [
        _error(step, result)
        for step, result in (
            ("task", task),
            ("run", run),
            ("check", check),
            ("fetch", fetch),
            ("verify", verify),
            ("drill", drill),
        )
        if result and _failed(result)
    ]
    judged = check if check and not _failed(check) else None
    all_violations = [_plain(violation) for violation in (judged or {}).get("violations") or []]
    for silence in [v for v in all_violations if v.get("code") == UNREACHABLE]:
        # The service gave no answer, so there was nothing to judge.
        errors.append({"step": "check", "code": silence.get("observed") or UNREACHABLE, "message": silence["message"]})
        judged, all_violations = None, []
    tolerated = [v for v in all_violations if is_pending and v.get("code") in PENDING_CODES]
    violations = [v for v in all_violations if v not in tolerated]
    if awaited and not any(v.get("code") == NO_BACKUPS for v in tolerated):
        message = _error("fetch", awaited)["message"]
        tolerated.append({"code": NO_BACKUPS, "series": None, "message": message, "observed": 0, "expected": 1})
    violations += _broken(verify, "problems") + _broken(drill, "violations")
    newest = next((b for b in (judged or {}).get("backups") or [] if b.get("status") == "ok"), None)

    if errors:
        status = ERROR
    elif violations:
        status = VIOLATIONS
    elif tolerated:
        status = PENDING
    else:
        status = OK if judged or (drill and not _failed(drill)) else UNCHECKED

    return {
        "schema": RECORD_SCHEMA,
        "host": host,
        "provider": provider,
        "source": source,
        "when": when,
        "status": status,
        # Neither yes nor no while nothing could be judged, or the first backup of a new task is still to come.
        "compliant": None if judged is None or (tolerated and not violations) else not violations,
        "task": None if task is None or _failed(task) else {
            "action": task.get("action"),
            "changed": bool(task.get("changed")),
            "drift": [_plain(drift) for drift in task.get("drift") or []],
        },
        "run": None if run is None or _failed(run) else {
            "action": run.get("action"),
            "changed": bool(run.get("changed")),
            "backup_id": (run.get("backup") or {}).get("id"),
        },
        "violations": violations,
        "pending": tolerated,
        "series": [_plain(series) for series in (judged or task or {}).get("series") or []],
        "newest_backup": None if newest is None else {field: newest.get(field) for field in _BACKUP_FIELDS},
        "fetch": None if fetch is None or _failed(fetch) else {
            "backup_id": (fetch.get("backup") or {}).get("id"),
            "dest": fetch.get("dest"),
            "sha256": fetch.get("sha256"),
            "size_bytes": fetch.get("size_bytes"),
            "changed": bool(fetch.get("changed")),
        },
        "verify": None if verify is None or _failed(verify) else {
            "valid": verify.get("valid"),
            "sha256": verify.get("sha256"),
            "plain_bytes": verify.get("plain_bytes"),
            "dumps": len(verify.get("contents") or []),
        },
        "drill": _drilled(drill, proof, drill_choice),
        "errors": errors,
    }


def _broken(result, key):
    """What a file or a drill breaks, as violations of the host."""
    found = [] if result is None or _failed(result) else result.get(key) or []
    return [
        {
            "code": one.get("code"),
            "series": None,
            "message": one.get("message"),
            "observed": one.get("observed"),
            "expected": one.get("expected"),
        }
        for one in found
    ]


def _drilled(drill, earlier, choice):
    """What is known of the newest drill: of this run, or of an earlier one whose proof still counts."""
    fresh = drill is not None and not _failed(drill)
    proof = (drill.get("proof") if fresh else earlier) or None
    if proof is None:
        return None
    return {
        "fresh": fresh,
        "proven": proof.get("proven"),
        "when": proof.get("when"),
        "backup_id": proof.get("backup_id"),
        "file_sha256": (proof.get("file") or {}).get("sha256"),
        "rows": sum(one.get("rows") or 0 for one in proof.get("restored") or []),
        "restore_seconds": (proof.get("timings") or {}).get("restore"),
        "sequence": proof.get("sequence"),
        "proof_sha256": proof.get("sha256"),
        "proof_path": drill.get("proof_path") if fresh else None,
        "choice": choice if fresh else None,
    }


def _is_under_way(result, actions):
    """Whether a step has asked for a backup, so that there may be none yet."""
    return bool(result) and not _failed(result) and result.get("action") in actions


def _ran(result):
    return None if not result or result.get("skipped") else result


def _failed(result):
    # A failed_when may have called it no failure; nothing was judged or fetched all the same.
    return bool(result.get("failed") or result.get("unreachable") or result.get("failure"))


def _error(step, result):
    failure = result.get("failure") or {}
    code = failure.get("code") or (UNREACHABLE if result.get("unreachable") else "failed")
    message = _WRAPPING.sub("", str(result.get("msg") or "")) or "The task failed without a message."
    # The modules redact what they know of; an error of something else may quote a signed URL.
    return {"step": step, "code": code, "message": _URL_QUERY.sub(r"\1?...", message)}


def _plain(item):
    return {key: value for key, value in item.items() if key != "raw"} if isinstance(item, dict) else item


def summary(record):
    """The record in one sentence, for the message of a task."""
    steps = {}
    for error in record["errors"]:
        steps.setdefault(error["message"], []).append(error["step"])
    parts = ["%s: %s" % (" and ".join(names), message) for message, names in steps.items()]
    parts += ["%s (%s)" % (v.get("message"), v.get("code")) for v in record["violations"]]
    if not parts and record["status"] == PENDING:
        ordered = (record["task"] or {}).get("action") in ("created", "pending")
        parts = [
            "the backup task was asked for; its first backup is still to come" if ordered
            else "a backup was asked for, and is still being made"
        ]
    return "%s: %s" % (record["status"], "; ".join(parts)) if parts else record["status"]


def unchanged(old, new):
    """Whether two records say the same apart from times, ages and what follows from them."""
    return _timeless(old) == _timeless(new)


def _timeless(record):
    if not isinstance(record, dict):
        return None
    kept = {key: record.get(key) for key in ("schema", "host", "provider", "source", "status", "compliant", "fetch")}
    kept["violations"] = [(v.get("code"), v.get("series")) for v in record.get("violations") or []]
    kept["pending"] = [(v.get("code"), v.get("series")) for v in record.get("pending") or []]
    kept["errors"] = [(e.get("step"), e.get("code")) for e in record.get("errors") or []]
    kept["verify"] = record.get("verify")
    kept["drill"] = {key: (record.get("drill") or {}).get(key) for key in ("proven", "backup_id", "file_sha256", "rows")}
    kept["task"] = (record.get("task") or {}).get("action")
    kept["run"] = (record.get("run") or {}).get("action")
    kept["newest"] = (record.get("newest_backup") or {}).get("id")
    if kept["fetch"]:
        kept["fetch"] = {key: value for key, value in kept["fetch"].items() if key != "changed"}
    return kept


# ---------------------------------------------------------------- files


def record_path(folder, name):
    """The record's file. No name, however odd, leaves the folder, and no two names share a file."""
    encoded = quote(str(name), safe=" @+=,")
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    return os.path.join(os.path.abspath(folder), encoded + ".json")


def read_json(path):
    with open(path, "rb") as stream:
        return json.loads(stream.read().decode("utf-8"))


def write_json(path, document):
    """Writes a whole file or nothing: readers never see half a record, and a crash leaves the old one."""
    text = json.dumps(document, indent=2, sort_keys=False, ensure_ascii=False, default=str) + "\n"
    folder, temporary = os.path.dirname(os.path.abspath(path)), None
    try:
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8", "replace"))
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, _usual_mode(path))
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise RecordError("Cannot write %s: %s" % (path, error.strerror or error))
    finally:
        if temporary is not None:
            try:
                os.unlink(temporary)
            except OSError:
                pass


def _usual_mode(path):
    """The old file's mode; for a new one what open() would give it."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


# ---------------------------------------------------------------- the report


def find_files(paths):
    """JSON files named or found below folders, each once. A path that does not exist is an error."""
    found = {}
    for path in paths:
        path = os.path.abspath(path)
        if os.path.isfile(path):
            found[path] = True
        elif os.path.isdir(path):
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                for name in sorted(names):
                    if name.endswith(".json") and not name.startswith("."):
                        found[os.path.join(folder, name)] = True
        else:
            raise RecordError("%s does not exist" % path)
    return list(found)


def read_records(files):
    """(records, unreadable): records that share host and source count once, the newest; other JSON is passed over."""
    newest, unreadable = {}, []
    for path in files:
        try:
            document = read_json(path)
        except (OSError, ValueError) as error:
            unreadable.append({"path": path, "message": "not readable as JSON: %s" % error})
            continue
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != RECORD_SCHEMA:
            if isinstance(schema, str) and schema.startswith("restorable.backups/record/"):
                unreadable.append({"path": path, "message": "written by a newer release: %s" % schema})
            continue
        key = (document.get("host"), document.get("source"))
        if key not in newest or str(document.get("when") or "") > str(newest[key].get("when") or ""):
            newest[key] = document
    order = {status: number for number, status in enumerate(STATUSES)}
    records = sorted(
        newest.values(),
        key=lambda r: (order.get(r.get("status"), 0), str(r.get("host")), str(r.get("source"))),
    )
    return records, unreadable


def make_report(records, unreadable, when, max_age=None):
    """The merged document. Records older than max_age seconds, if that is given, are listed as outdated."""
    counts = {status: sum(1 for record in records if record.get("status") == status) for status in reversed(STATUSES)}
    old = [record for record in records if max_age is not None and _is_outdated(record, parse_time(when), max_age)]
    # What said that all is well, but said so too long ago, needs a person too: it stands behind errors and violations.
    alarms, outdated = (ERROR, VIOLATIONS), {id(record) for record in old}
    records = sorted(records, key=lambda r: 0 if r.get("status") in alarms else 1 if id(r) in outdated else 2)
    return {
        "schema": REPORT_SCHEMA,
        "when": when,
        "summary": dict(counts, hosts=len(records), outdated=len(old), unreadable=len(unreadable)),
        "records": records,
        # Without the age, which would make a new document of every merge.
        "outdated": [
            {
                "host": record.get("host"),
                "source": record.get("source"),
                "when": record.get("when"),
                "message": "The record of %s is older than %s" % (record.get("when"), format_duration(max_age)),
            }
            for record in old
        ],
        "unreadable": unreadable,
    }


def _is_outdated(record, now, max_age):
    """A record that does not say when it was made may be of any age."""
    try:
        moment = parse_time(record.get("when"))
    except ValueError:
        return True
    return moment is None or (now - moment).total_seconds() > max_age


def table(report):
    """The report as aligned lines for a terminal: a row per host, then violations and errors in words."""
    now = parse_time(report["when"])
    rows = [("HOST", "SOURCE", "STATUS", "ASKED", "NEWEST GOOD BACKUP", "AGE", "SIZE", "SERIES", "PROVEN", "CHECKED")]
    remarks = []
    outdated = {(item["host"], item["source"]): item["message"] for item in report["outdated"]}
    for record in report["records"]:
        too_old = outdated.get((record.get("host"), record.get("source")))
        newest = record.get("newest_backup") or {}
        rows.append(
            (
                record.get("host"),
                record.get("source"),
                "outdated (%s)" % record.get("status") if too_old else record.get("status"),
                ", ".join(step["action"] for step in (record.get("task"), record.get("run")) if step) or None,
                newest.get("created_at"),
                _age(newest.get("created_at"), now),
                format_size(newest["size_bytes"]) if newest.get("size_bytes") else None,
                len(record.get("series") or []),
                _proven(record.get("drill"), now),
                _age(record.get("when"), now, " ago"),
            )
        )
        name = record.get("host")
        if too_old:
            remarks.append((name, "record", "outdated", too_old))
        for error in record.get("errors") or []:
            remarks.append((name, error.get("step"), error.get("code"), error.get("message")))
        for violation in record.get("violations") or []:
            # The last part of a series' key is enough for people, and for the modules' option series.
            where = str(violation.get("series") or "-").rpartition("/")[2]
            remarks.append((name, where, violation.get("code"), violation.get("message")))
        for drift in (record.get("task") or {}).get("drift") or []:
            remarks.append((name, drift.get("field"), "drift", drift.get("message")))
    lines = _aligned(rows)
    if remarks:
        lines += [""] + _aligned([("HOST", "WHERE", "CODE", "MESSAGE")] + remarks)
    if report["unreadable"]:
        lines += [""] + ["%s: %s" % (item["path"], item["message"]) for item in report["unreadable"]]
    counts = report["summary"]
    words = ["%d %s" % (counts[status], status) for status in reversed(STATUSES) if counts.get(status)]
    if counts["unreadable"]:
        words.append("%d unreadable" % counts["unreadable"])
    lines += ["", "%d host%s: %s" % (counts["hosts"], "" if counts["hosts"] == 1 else "s", ", ".join(words) or "none")]
    if counts["outdated"]:
        lines[-1] += "; %d of them outdated" % counts["outdated"]
    return lines


def _proven(drill, now):
    if not drill:
        return None
    return (_age(drill.get("when"), now, " ago") or "yes") if drill.get("proven") else "no"


def _age(moment, now, suffix=""):
    try:
        moment = parse_time(moment)
    except ValueError:
        return None
    return None if moment is None else format_duration(max(0, (now - moment).total_seconds())) + suffix


def _aligned(rows):
    # Control characters in a service's text would break the table, or do worse to a terminal.
    rows = [[re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", "-" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
