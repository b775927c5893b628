# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No token and no signature is seen anywhere: output at every verbosity, results, logs, markers, files left over."""

from __future__ import annotations

import json
import sys

import pytest

SIGNATURE = "c2lnbmVkLWJ5LW5vYm9keQ"
PASSWORD = "hunter2-and-more"
# What only signed URLs hold, those of the sandbox's storage included.
OF_SIGNED_URLS = ("AWSAccessKeyId=", "AKIA", "X-Amz-Signature=", "Signature=")
LOUD = {"ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1", "ANSIBLE_LOG_PATH": "ansible.log", "ANSIBLE_LOG_VERBOSITY": "5"}
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def leaks(controller, run, secrets):
    """Where a secret is seen: in the output, or in any file of the controller that the test did not write itself."""
    given = {"password", "vars.json"}
    places = {"output": run.output}
    for path in controller.place.rglob("*"):
        if path.is_file() and path.name not in given and path.suffix not in (".pyc", ".tar", ".gz"):
            places[str(path.relative_to(controller.place))] = path.read_text(errors="replace")
    return [(place, secret) for place, text in places.items() for secret in secrets if secret in text]


@pytest.fixture
def signed_url(stack):
    return f"{stack.sandbox.import_source()}?AWSAccessKeyId=AKIAEXAMPLE&Expires=1767225600&Signature={SIGNATURE}%3D"


def tasks_of(stack, url, place):
    """One task of every module that knows a secret, and one of each that fails."""
    backupman = {"provider": "backupman", "api_url": stack.sandbox.ready["backupman"]["api_url"]}
    fetch = {"latest": True, "dest": f"{place}/fetched.tar"}
    fine = {
        "backup_info": {"files": True},
        "backup_check": {"max_age": "1d"},
        "backup_task": {"engines": ["redis"], "frequency": "0 3 * * *"},
        "backup_import": {"group": stack.group, "engine": "postgresql", "remote_url": "{{ url }}"},
        "backup_file_fetch": fetch,
        "backup_run": {**backupman, "max_age": "3650d", "all_sources": True, "wait": False},
    }
    for module, options in fine.items():
        token = "{{ key }}" if options.get("provider") else "{{ token }}"
        shared = {"source": stack.sandbox.ready["backupman"]["labels"][0] if options.get("provider") else stack.uid,
                  "api_token": token}
        bad = {"source": "nothing", "api_token": token + "x", "api_retries": 0}
        yield {"name": f"{module} works", f"restorable.backups.{module}": {**shared, **options}, "register": "result"}
        yield {"name": f"{module} shown", "ansible.builtin.debug": {"var": "result"}}
        yield {"name": f"{module} fails", f"restorable.backups.{module}": {**bad, **options}, "ignore_errors": True}
        misused = {**shared, **options, "oops": token}
        yield {"name": f"{module} misused", f"restorable.backups.{module}": misused, "ignore_errors": True}


@pytest.fixture
def secret_variables(controller, sandbox, signed_url):
    """Extra variables in a file, as a vault would hold them: the only place that has the secrets in clear."""
    (controller.place / "vars.json").write_text(json.dumps(
        {"token": sandbox.token, "url": signed_url, "key": sandbox.ready["backupman"]["api_key"]}))
    return ["--extra-vars", "@vars.json"]


def test_no_module_tells_a_secret_at_any_verbosity(controller, stack, sandbox, signed_url, secret_variables):
    sandbox.backup(stack.name)
    tasks = list(tasks_of(stack, signed_url, controller.place))
    run = controller.play(tasks, "-vvvvv", "--diff", *secret_variables, hosts={"shop": HERE}, env=LOUD).passed()
    failed = [answer.task for answer in run.answers if answer.failed]
    assert failed == [task["name"] for task in tasks if task["name"].endswith(("fails", "misused"))]
    secrets = [sandbox.token, sandbox.ready["backupman"]["api_key"], SIGNATURE, *OF_SIGNED_URLS]
    assert leaks(controller, run, secrets) == []
    # What is no secret is still told.
    assert signed_url.partition("?")[0] in run.output


def test_every_module_with_a_token_is_looked_at(controller, stack, collections_path):
    """A new module must be added to the test above."""
    from pathlib import Path

    plugins = Path(collections_path) / "ansible_collections/restorable/backups/plugins"
    knowing = {path.stem for path in (plugins / "modules").glob("*.py") if "backups.provider\n" in path.read_text()}
    named = {task["name"].split()[0] for task in tasks_of(stack, "", "")}
    assert knowing == named


def test_nor_ad_hoc_with_a_token_from_the_environment(controller, stack, sandbox):
    stack.history(1)
    for arguments in (f"source={stack.uid}", "source=nothing"):
        run = controller.adhoc("backup_info", arguments, "-vvvvv", env=LOUD)
        assert leaks(controller, run, [sandbox.token]) == []


@pytest.mark.parametrize("fault", [
    {"kind": "reset"}, {"kind": "html", "code": 500}, {"kind": "commit_then_500"}, {"kind": "malformed_json"},
    {"kind": "status", "code": 400, "body": "ECHO"},
], ids=lambda fault: fault["kind"])
def test_nor_when_an_import_goes_wrong(controller, stack, sandbox, fault, secret_variables, signed_url):
    """A service may even repeat the URL in its error."""
    if fault.get("body") == "ECHO":
        fault = dict(fault, body={"error": "bad_request", "details": f"Cannot fetch {signed_url} (403), sorry"})
    sandbox.fault(route="import", **fault)
    run = controller.play([
        {"name": "Import", "ignore_errors": True, "restorable.backups.backup_import": {
            "source": stack.uid, "group": stack.group, "engine": "postgresql", "remote_url": "{{ url }}"}},
        {"name": "Again", "ignore_errors": True, "restorable.backups.backup_import": {
            "source": stack.uid, "group": stack.group, "engine": "postgresql", "remote_url": "{{ url }}"}},
    ], "-vvvvv", *secret_variables, env=LOUD).passed()
    assert run["Import"].failed
    assert leaks(controller, run, [sandbox.token, SIGNATURE, *OF_SIGNED_URLS]) == []


def test_a_password_in_the_url_to_import_is_a_secret_too(controller, stack, sandbox):
    url = stack.sandbox.import_source().replace("://", f"://operator:{PASSWORD}@")
    (controller.place / "vars.json").write_text(json.dumps({"url": url}))
    said = f"Cannot fetch {url.replace('dump', 'other')} (403)"
    sandbox.fault("status", route="import", code=400, body=said, times=1)
    run = controller.play([
        {"name": name, "ignore_errors": True, "restorable.backups.backup_import": {
            "source": stack.uid, "group": stack.group, "engine": "postgresql", "remote_url": "{{ url }}"}}
        for name in ("Refused", "Fine")], "-vvvvv", "--extra-vars", "@vars.json", env=LOUD).passed()
    assert run["Refused"].failed and run["Fine"]["action"] == "created"
    assert leaks(controller, run, [PASSWORD]) == []


def test_a_signature_in_a_record_of_the_service_stays_there(controller, stack, sandbox, signed_url):
    """What the service says of a backup is shown, but for the query of a URL in it; in the raw record, too."""
    stack.record(backup_status=1, backup_result=f"Import failed: GET {signed_url} answered 403")
    run = controller.adhoc("backup_info", f"source={stack.uid}", "-vvvvv", env=LOUD).passed()
    assert leaks(controller, run, [SIGNATURE]) == []
