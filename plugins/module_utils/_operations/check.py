# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_check: what a policy says of the backups of one or many sources."""

from __future__ import annotations

from .._backup import engine_name, group_series, newest_first
from .._errors import OptionError
from .._options import duration, size, source_option, with_provider
from .._policy import Policy, Violation, judge
from .._schedule import Schedule
from ._reading import LIST_FILTERS, list_filters, read_sources, selected, wanted_sources

SPEC = {
    "argument_spec": with_provider(
        source=source_option(required=False),
        sources={"type": "list", "elements": "str", "aliases": ["stacks", "instances", "labels"]},
        group={"type": "int", "aliases": ["group_id"]},
        datastore={"type": "str"},
        series={"type": "list", "elements": "str"},
        exclude_series={"type": "list", "elements": "str"},
        max_age={"type": "str"},
        frequency={"type": "str"},
        grace={"type": "str"},
        min_size={"type": "str"},
        max_size_drop={"type": "float"},
        min_count={"type": "int", "aliases": ["keep_count"]},
        engines={"type": "list", "elements": "str", "aliases": ["db_type"]},
        databases={"type": "list", "elements": "str", "aliases": ["database_name"]},
        require_verified={"type": "bool", "default": False},
        allow_failed={"type": "bool", "default": False},
        fail_on_violation={"type": "bool", "default": True},
    ),
    "mutually_exclusive": [("source", "sources")],
    "required_one_of": [("source", "sources")],
    "supports_check_mode": True,
}


def run(params, provider, context):
    now = context.now()
    policy = policy_from(params)
    if not wanted_sources(params):
        # Nothing that was judged would be everything that holds.
        raise OptionError("sources", "is empty: there is nothing to judge")
    provider.require("list")
    provider.check_understood("list", params, LIST_FILTERS)
    if policy.min_size is not None or policy.max_size_drop is not None:
        provider.require("sizes")
    if policy.require_verified:
        provider.require("verified")
    readings = read_sources(
        provider, wanted_sources(params), lambda s: provider.list_backups(s, **list_filters(params)), context.warn
    )
    judged = [_judge(reading, policy, params, now) for reading in readings]
    violations = [dict(violation, source=one["source"]) for one in judged for violation in one["violations"]]
    all_series = [series for one in judged for series in one.pop("series")]
    all_series.sort(key=lambda series: (series.source, series.key))
    result = {
        "changed": False,
        "compliant": not violations,
        "violations": violations,
        "backups": [_without_raw(backup.to_result(now)) for backup in _decisive(all_series)],
        "series": [series.to_result() for series in all_series],
        "sources": judged,
    }
    if policy.age_limit is None:
        context.warn("The age of the backups is not judged: set max_age or frequency")
    if violations:
        result["msg"] = _sentence(judged, violations)
        result["failed"] = params["fail_on_violation"]
    else:
        count = sum(one["count"] for one in judged)
        result["msg"] = "%d backups in %d series hold the policy" % (count, len(all_series))
    return result


def policy_from(params):
    """The Policy of the options. Raises OptionError."""
    if params["min_count"] is not None and params["min_count"] < 1:
        raise OptionError("min_count", "must be 1 or more")
    for option in ("engines", "databases"):
        if any(not name.strip() for name in params[option] or ()):
            raise OptionError(option, "holds an empty name")
    if params["max_size_drop"] is not None and not 0 <= params["max_size_drop"] <= 100:
        raise OptionError("max_size_drop", "is a percentage: 0 to 100")
    return Policy(
        max_age=duration(params, "max_age"),
        schedule=Schedule(params["frequency"]) if params["frequency"] is not None else None,
        grace=duration(params, "grace"),
        min_size=size(params, "min_size"),
        max_size_drop=params["max_size_drop"],
        min_count=params["min_count"],
        engines=tuple(engine_name(name) for name in params["engines"] or () if name != "all"),
        databases=tuple(params["databases"] or ()),
        require_verified=params["require_verified"],
        allow_failed=params["allow_failed"],
    )


def _judge(reading, policy, params, now):
    backups = selected(reading.backups, series=params["series"], exclude_series=params["exclude_series"])
    if reading.error:
        violations = [Violation("unreachable", reading.error.message, observed=reading.error.code, expected="an answer")]
    else:
        violations = judge(backups, policy, now)
        if not backups:
            violations[0].message += _why_none(reading, params)
    return {
        "source": reading.source,
        "compliant": not violations,
        "violations": [violation.to_result() for violation in violations],
        "error": reading.error.to_failure() if reading.error else None,
        "count": len(backups),
        "series": group_series(backups),
    }


def _why_none(reading, params):
    """What a source without any backup to judge owes to the options."""
    if reading.backups:
        names = ", ".join(params["series"] or ())
        return " in %s, of the source's %d" % ("series " + names if names else "the series that are left", len(reading.backups))
    return " in group %d" % params["group"] if params["group"] is not None else ""


def _decisive(all_series):
    """The backups that verdicts rest on: the newest of each series, and its newest good one. Results stay small."""
    found = {}
    for series in all_series:
        for backup in filter(None, (series.newest, series.newest_good)):
            found.setdefault((backup.source, backup.id), backup)
    return newest_first(found.values())


def _without_raw(result):
    del result["raw"]
    return result


def _sentence(judged, violations):
    """The whole verdict in one line, as somebody paged at night should read it."""
    many = len(judged) > 1
    parts = []
    for violation in violations[:5]:
        where = "%s: " % violation["source"] if many else ""
        parts.append("%s%s (%s)" % (where, violation["message"], violation["code"]))
    if len(violations) > 5:
        parts.append("and %d more" % (len(violations) - 5))
    failing = sum(1 for one in judged if not one["compliant"])
    start = "%d of %d sources break the policy: " % (failing, len(judged)) if many else "%s: " % judged[0]["source"]
    return start + "; ".join(parts)
