# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""backup_drill: restore a backup into a scratch database, assert what must be in it, measure, and write the proof."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime

from .. import _archive, _proof
from .._engines import ENGINES, EngineError, Job, Scratch
from .._errors import BackupError, OptionError
from .._expectations import Expectations, Table, judge
from .._values import UTC, format_size, format_time, readable
from .._version import VERSION
from . import _assertions
from .file_verify import READING_OPTIONS, check_readable, examine, limits, unchanged, unreadable, whole_numbers

ENGINE_NAMES = ["postgresql", "mysql", "redis", "mongodb", "sqlite"]
# What a scratch database, its logs and its indexes need, as a multiple of the plain bytes.
_SPACE_FACTOR = 3.0
# Bytes that a server has on the disk before it holds anything.
_EMPTY_SERVER = {"postgresql": 64 << 20, "mysql": 160 << 20, "redis": 1 << 20, "mongodb": 16 << 20, "sqlite": 0}
# Errors that speak of the backup. All others speak of the host, and prove nothing about it.
_OF_THE_BACKUP = ("restore_failed", "unsafe", "unsupported")

LOGIN_OPTIONS = {
    "login_host": {"type": "str"},
    "login_port": {"type": "int"},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "login_unix_socket": {"type": "path"},
}
SPEC = {
    "argument_spec": dict(
        READING_OPTIONS,
        engine={"type": "str", "default": "auto", "choices": ["auto"] + ENGINE_NAMES},
        member={"type": "str"},
        parents={"type": "list", "elements": "path", "default": []},
        jobs={"type": "int"},
        bin_dir={"type": "path"},
        memory_mb={"type": "int", "default": 256},
        scratch_dir={"type": "path"},
        space_factor={"type": "float", "default": _SPACE_FACTOR},
        timeout={"type": "int", "default": 14400},
        login_database={"type": "str"},
        expect_counts={"type": "bool", "default": True},
        tables={"type": "list", "elements": "str", "default": []},
        min_rows={"type": "dict"},
        queries={
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "sql": {"type": "str", "required": True},
                "database": {"type": "str"},
                "expect": {"type": "raw"},
                "min": {"type": "float"},
                "max": {"type": "float"},
            },
        },
        max_restore_seconds={"type": "float"},
        compare={
            "type": "dict",
            "options": dict(
                LOGIN_OPTIONS,
                database={"type": "str"},
                mode={"type": "str", "default": "counts", "choices": ["counts", "checksum", "definitions"]},
                tables={"type": "list", "elements": "str"},
                tolerance={"type": "int", "default": 0},
            ),
        },
        source={"type": "str"},
        backup_id={"type": "str"},
        proof_dir={"type": "path"},
        fail_on_violation={"type": "bool", "default": True},
        **LOGIN_OPTIONS
    ),
    "supports_check_mode": True,
    "required_together": [["login_user", "login_password"]],
}


def run(params, check_mode=False, warn=print, clock=time):
    """The module's result. Raises BackupError where the host, the options or the login keep it from proving anything."""
    started = clock.monotonic()
    _check(params)
    if params["proof_dir"] is not None and not check_mode:
        # Known before hours of restoring, not after.
        _proof.check(params["proof_dir"], params["source"])
    drill = _Drill(params, warn, clock)
    # A proof speaks of the bytes that were restored.
    with unchanged(params["path"]), unchanged(params["parents"], "parents"):
        result, examination = _drilled(params, check_mode, drill, started, clock)
    if not check_mode:
        return _conclude(result, params, examination, drill, started, clock)
    if result["violations"] and params["fail_on_violation"]:
        result.update(failed=True, msg=summary(result))
    return result


def _drilled(params, check_mode, drill, started, clock):
    """(the result as far as it is known, the reading of the file)"""
    examination = examine(params)
    verified = clock.monotonic() - started
    result = {
        "changed": False,
        "proven": False,
        "violations": [],
        "verified": _brief(examination),
        "restored": [],
        "timings": {"verify": verified},
    }
    if check_mode:
        result["plan"] = []
    if not examination.valid:
        result["violations"] = [
            _violation("file_invalid", problem["message"], problem["member"], problem["code"], None)
            for problem in examination.problems
        ]
    else:
        members = _chosen(examination.contents, params)
        result["violations"] = [
            _violation("nothing_to_restore", words, member.name, None, None)
            for member, words in ((member, _nothing_in(member)) for member in members)
            if words
        ]
        if result["violations"]:
            return result, examination
        _check_logins(params, members)
        parents = drill.parents(members)
        drill.check_space(members, parents)
        if check_mode:
            result["plan"] = drill.plan(members)
            del result["proven"]
            return result, examination
        for member in members:
            restored, violations = drill.member(member, parents)
            result["restored"].append(restored)
            result["violations"] += violations
    return result, examination


def _check(params):
    """Everything that can be said of the options before a byte is read."""
    limits(params)
    _proof_options(params)
    if params["space_factor"] < 0:
        raise OptionError("space_factor", "must not be negative")
    if params["jobs"] is not None and params["jobs"] < 1:
        raise OptionError("jobs", "must be 1 or more")
    for path in params["parents"]:
        check_readable("parents", path)
    if params["max_restore_seconds"] is not None and params["max_restore_seconds"] < 0:
        raise OptionError("max_restore_seconds", "must not be negative")
    if params["compare"] and params["compare"]["tolerance"] < 0:
        raise OptionError("compare.tolerance", "must not be negative")
    if params["compare"] and params["compare"]["mode"] == "definitions" and params["compare"]["tables"]:
        raise OptionError("compare.tables", "says whose rows are compared, and compare.mode=definitions compares none")
    params["min_rows"] = whole_numbers(params["min_rows"], "min_rows")
    _assertions.check_queries(params["queries"])


def _proof_options(params):
    if params["proof_dir"] is not None and not params["source"]:
        raise OptionError("proof_dir", "needs source, which says whose proofs these are")


def _check_logins(params, members):
    """A server that is not named would be taken for one on this host, by its programs' own defaults."""
    places = [("login", params)] + ([("compare.login", params["compare"])] if params["compare"] else [])
    for prefix, options in places:
        named = [name for name in LOGIN_OPTIONS if options[name]]
        somewhere = options["login_host"] or options["login_unix_socket"]
        is_file = all(member.engine == "sqlite" for member in members) and options.get("database")
        if (named or options is params["compare"]) and not somewhere and not is_file:
            raise OptionError(prefix + "_host", "or %s_unix_socket must say where the server is" % prefix)


def _chosen(contents, params):
    """The members to restore. Raises OptionError where the options leave none, or do not say which."""
    found = [member for member in contents if member.engine in ENGINES]
    if params["engine"] != "auto":
        found = [member for member in found if member.engine == params["engine"]]
    if params["member"] is not None:
        found = [member for member in found if member.name == params["member"]]
    there = ", ".join("%s (%s)" % (member.name, member.engine or member.format or "unknown") for member in contents)
    if not found:
        option = "member" if params["member"] is not None else "engine" if params["engine"] != "auto" else "path"
        raise OptionError(option, "there is nothing to restore; the backup holds %s" % (there or "nothing that is known"))
    if len(found) > 1:
        for option in ("compare", "queries", "parents"):
            if params[option]:
                raise OptionError(option, "belongs to one dump, and there are several: choose one of %s by member" % there)
    return found


def _nothing_in(member):
    """Why a dump, whole as it is, brings no database back by itself; None where nothing is known against it."""
    if member.details.get("data_only"):
        return "The dump holds rows without the definitions of their tables: they can be restored into an older copy only"
    if member.details.get("cluster") and not member.details.get("databases"):
        return "The dump holds what belongs to the server (roles, tablespaces), and no database"
    return None


class _Drill:
    """What the drills of all members of one file share."""

    def __init__(self, params, warn, clock):
        self._params, self._warn, self._clock = params, warn, clock
        self._parent = os.path.abspath(params["scratch_dir"] or tempfile.gettempdir())
        self._limits = limits(params)
        self._unpacked = 0

    # -- before ------------------------------------------------------------------------------------------------------

    def parents(self, members):
        """The members that an incremental backup builds on, oldest first: [(paths, member)]."""
        found = []
        for path in self._params["parents"]:
            params = dict(self._params, path=[path])
            examination = examine(params)
            if not examination.valid:
                problem = examination.problems[0]
                raise OptionError("parents", "%s: %s (%s)" % (path, problem["message"], problem["code"]))
            same = [member for member in examination.contents if member.engine == members[0].engine]
            if len(same) != 1:
                raise OptionError("parents", "%s holds %d dumps of %s" % (path, len(same), members[0].engine))
            found.append(([path], same[0]))
        return found

    def plan(self, members):
        """What would be restored where, for check mode. Raises what a real run would raise for want of programs."""
        plan = []
        for member in members:
            with ExitStack() as stack:
                engine = self._engine(member, stack, make=False)
                about = engine.choose(member)
                where = "an existing server" if self._login() else "a scratch server below %s" % self._parent
                plan.append(
                    {
                        "member": member.name,
                        "engine": member.engine,
                        "format": member.format,
                        "where": where,
                        "server_version": about.get("server_version"),
                        "bin_dir": about.get("bin_dir"),
                        "plain_bytes": member.plain_bytes,
                        "tables": len(member.tables),
                    }
                )
        return plan

    def check_space(self, members, parents):
        """A disk that fills up harms more than this drill."""
        plain = max([member.plain_bytes or 0 for member in members] + [0])
        plain += sum(member.plain_bytes or 0 for _paths, member in parents)
        # An empty server takes its part, too.
        needed = int(plain * self._params["space_factor"]) + max(_EMPTY_SERVER[member.engine] for member in members)
        try:
            free = shutil.disk_usage(self._parent).free
        except OSError as error:
            raise OptionError("scratch_dir", "%s: %s" % (self._parent, os.strerror(error.errno or 0)))
        if needed > free and not self._login():
            raise BackupError(
                "scratch_dir: %s has %s free, and the drill may need %s (space_factor %g)"
                % (self._parent, format_size(free), format_size(needed), self._params["space_factor"]),
                code="no_space",
                needed_bytes=needed,
                free_bytes=free,
            )

    # -- one member --------------------------------------------------------------------------------------------------

    def member(self, member, parents):
        """Restore one dump and assert: (what was restored, violations)."""
        times = {"start": 0.0, "restore": 0.0, "assert": 0.0}
        restored = {
            "member": member.name,
            "engine": member.engine,
            "format": member.format,
            "dump_version": member.server_version,
            "server_version": None,
            "bin_dir": None,
            "tables": [],
            "rows": None,
            "plain_bytes": member.plain_bytes,
            "bytes_per_second": None,
            "checksums": [],
            "asserted": [],
            "left_out": [],
            "notes": [],
            "timings": times,
        }
        violations = []
        with ExitStack() as stack:
            engine = self._engine(member, stack)
            stack.callback(engine.stop)
            with self._measured(times, "start"), _named("login_*: " if self._login() else ""):
                about = engine.choose(member)
                restored["bin_dir"] = about.get("bin_dir")
                for text in about.get("warnings") or ():
                    self._warn(text)
                engine.start()
                restored["server_version"] = engine.version()
            try:
                with self._measured(times, "restore"):
                    self._restore(engine, member, parents, stack)
            except (EngineError, _archive.Damaged) as error:
                if isinstance(error, EngineError) and error.code not in _OF_THE_BACKUP:
                    raise
                code = "unsafe" if error.code in ("unsafe", "unsafe_statement") else "restore_failed"
                violations.append(_violation(code, error.message, member.name, error.code, None))
                return restored, violations
            restored["left_out"] = list(getattr(engine, "left_out", ()))
            restored["notes"] = list(getattr(engine, "notes", ()))
            if times["restore"] > 0 and member.plain_bytes:
                restored["bytes_per_second"] = int(member.plain_bytes / times["restore"])
            with self._measured(times, "assert"):
                violations += self._assert(engine, member, restored, stack)
        violations += self._judge_time(times["restore"], member, restored)
        return restored, violations

    def _engine(self, member, stack, make=True):
        kind = ENGINES[member.engine]
        scratch = None
        if make:
            Scratch.sweep(self._parent)
            scratch = Scratch.create(self._parent, _service_user(kind))
            stack.callback(scratch.close)
        settings = {name: self._params[name] for name in ("bin_dir", "jobs", "memory_mb", "timeout")}
        return kind(scratch, dict(settings, login=self._login()))

    def _login(self):
        """The existing server to restore into, None for one of our own."""
        params = self._params
        if not any(params[name] for name in LOGIN_OPTIONS):
            return None
        return dict(_login_of(params), database=params["login_database"])

    def _restore(self, engine, member, parents, stack):
        before = [self._job(paths, parent, engine, stack) for paths, parent in parents]
        job = self._job(self._params["path"], member, engine, stack)
        job.parents = before
        engine.restore(job)

    def _job(self, paths, member, engine, stack):
        path = None
        if member.collection is not None:
            path = self._folder_of(paths, member, engine, stack)
        elif len(paths) == 1 and os.path.isfile(paths[0]) and not member.compression and member.name == os.path.basename(paths[0]):
            path = os.path.abspath(paths[0])

        def opened():
            stream = _archive.Opened(paths, member.name, self._limits)
            stack.callback(stream.close)
            return stream

        return Job(member, opened, path, jobs=self._params["jobs"] or os.cpu_count() or 1)

    def _folder_of(self, paths, member, engine, stack):
        """The folder of a dump of many files: where it lies, or unpacked from its container."""
        _kind, root, container = member.collection
        if container is None:
            return os.path.abspath(os.path.join(paths[0], *root.split("/")))
        self._unpacked += 1
        folder = engine.scratch.folder("unpacked-%d" % self._unpacked)
        try:
            _archive.unpack(paths, member.collection, folder, self._limits)
        except OSError as error:
            raise unreadable(paths, error)
        engine.scratch.give(folder)
        return os.path.join(folder, *root.split("/"))

    # -- assertions --------------------------------------------------------------------------------------------------

    def _assert(self, engine, member, restored, stack):
        params = self._params
        counts = engine.counts()
        tables = [Table(name, rows, database) for (database, name), rows in counts.items()]
        restored["tables"] = [
            {"database": table.database, "name": table.name, "rows": table.rows}
            for table in sorted(tables, key=lambda table: (table.database or "", table.name))
        ]
        restored["rows"] = sum(table.rows or 0 for table in tables)
        found = []
        if params["expect_counts"]:
            problems = _assertions.counts(member, counts)
            if problems:
                problems = _assertions.counts(member, engine.held())
            restored["notes"] += [
                "the rows of %s were not counted: row security hides some from the restoring login" % name
                for name in _assertions.uncounted(member, counts)
            ]
            found += self._asserted(restored, "counts equal those of the file", problems)
        if params["tables"] or params["min_rows"]:
            wanted = Expectations(tables=tuple(params["tables"]), min_rows=params["min_rows"])
            problems = judge(_assertions.restored_tables(engine, counts), wanted)
            found += self._asserted(restored, "tables and rows are there", problems)
        for query in params["queries"]:
            what = "query: %s" % query["sql"]
            found += self._asserted(restored, what, _assertions.query(engine, query))
        if params["compare"]:
            compare = params["compare"]
            login = dict(_login_of(compare), database=compare["database"])
            with _named("compare: "):
                live = type(engine).live(engine.scratch, {"bin_dir": params["bin_dir"], "timeout": params["timeout"]}, login)
                if hasattr(live, "close"):
                    stack.callback(live.close)
                problems, sums, untold = _assertions.compare(engine, counts, live, compare, member.through_root)
            restored["checksums"] = sums
            restored["notes"] += ["%s could not be compared: one side, or its login, does not tell them" % what for what in untold]
            found += self._asserted(restored, "%s equal those of the live database" % compare["mode"], problems)
        return [dict(one, member=member.name) for one in found]

    def _asserted(self, restored, what, problems):
        restored["asserted"].append({"what": what, "held": not problems})
        return problems

    def _judge_time(self, seconds, member, restored):
        limit = self._params["max_restore_seconds"]
        if limit is None:
            return []
        held = seconds <= limit
        restored["asserted"].append({"what": "restored within %g seconds" % limit, "held": held})
        if held:
            return []
        message = "The restore took %.1f seconds, %g are allowed" % (seconds, limit)
        return [_violation("too_slow", message, member.name, round(seconds, 3), limit)]

    def _measured(self, times, name):
        return _Measured(times, name, self._clock)


@contextmanager
def _named(option):
    """Errors in here say which option they are about."""
    try:
        yield
    except EngineError as error:
        error.message = option + error.message
        raise


class _Measured:
    """Adds the seconds of a with block to a dict, also where it fails."""

    def __init__(self, times, name, clock):
        self._times, self._name, self._clock = times, name, clock

    def __enter__(self):
        self._started = self._clock.monotonic()

    def __exit__(self, *_about):
        self._times[self._name] += self._clock.monotonic() - self._started


def _service_user(kind):
    """Whom the programs run as: not root. None for the user that we are."""
    if os.geteuid() != 0:
        return None
    for name in tuple(getattr(kind, "users", ())) + ("nobody",):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EngineError("start_failed", "scratch servers do not run as root, and there is no user nobody")


def _login_of(options):
    return {name[len("login_") :]: options[name] for name in LOGIN_OPTIONS}


def _violation(code, message, member, observed, expected):
    return {"code": code, "message": message, "member": member, "observed": observed, "expected": expected}


def _brief(examination):
    """The reading of the file, without what the restore tells more exactly."""
    whole = examination.to_result()
    return {name: whole[name] for name in ("valid", "problems", "size_bytes", "plain_bytes", "sha256", "inflater", "notes")}


# ---------------------------------------------------------------- the end


def _conclude(result, params, examination, drill, started, clock):
    timings = result["timings"]
    for name in ("start", "restore", "assert"):
        timings[name] = sum(one["timings"][name] for one in result["restored"])
    timings["total"] = clock.monotonic() - started
    for times in [timings] + [one["timings"] for one in result["restored"]]:
        for name in times:
            times[name] = round(times[name], 3)
    plain = sum(one["plain_bytes"] or 0 for one in result["restored"])
    result["bytes_per_second"] = int(plain / timings["restore"]) if timings["restore"] > 0 else None
    result["proven"] = not result["violations"]
    facts = readable(_facts(result, params, examination))
    if params["proof_dir"] is not None:
        result["proof_path"], result["proof"] = _proof.append(params["proof_dir"], params["source"], facts)
    else:
        result["proof_path"], result["proof"] = None, _proof.linked(facts, None)
    if not result["proven"] and params["fail_on_violation"]:
        result.update(failed=True, msg=summary(result))
    return result


def _facts(result, params, examination):
    """What a proof says. Nothing secret: logins stay out, and so does what queries answered."""
    kept = ("member", "engine", "format", "dump_version", "server_version", "tables", "rows", "checksums", "asserted", "left_out", "timings")
    return {
        "source": params["source"],
        "backup_id": params["backup_id"],
        "host": socket.gethostname(),
        "when": format_time(datetime.now(UTC)),
        "collection_version": VERSION,
        "file": {
            "names": [os.path.basename(os.path.abspath(path)) for path in params["path"]],
            "parents": [os.path.basename(os.path.abspath(path)) for path in params["parents"]],
            "size_bytes": examination.size_bytes,
            "sha256": examination.sha256,
        },
        "restored": [{name: one[name] for name in kept} for one in result["restored"]],
        "violations": [_without_answers(violation) for violation in result["violations"]],
        "timings": result["timings"],
        "proven": result["proven"],
    }


def _without_answers(violation):
    """What a query answered may be anybody's data, and a proof is kept and shown."""
    return dict(violation, observed=None, expected=None) if violation["code"].startswith("query_") else violation


def summary(result):
    first = result["violations"][0]
    more = len(result["violations"]) - 1
    where = " (%s, in %s)" % (first["code"], first["member"]) if first.get("member") else " (%s)" % first["code"]
    return "The backup is not proven to be restorable: %s%s%s" % (
        first["message"],
        where,
        "; and %d more" % more if more else "",
    )
