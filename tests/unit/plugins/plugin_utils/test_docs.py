# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages in docs/ say what the code does."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from ansible_collections.restorable.backups.plugins.module_utils import (
    _evidence,
    _expectations,
    _http,
    _markers,
    _policy,
    _providers,
)
from ansible_collections.restorable.backups.plugins.module_utils._operations import (
    check,
    _fetch_options,
    _task_order,
    import_backup,
    run_backup,
    task,
)
from ansible_collections.restorable.backups.plugins.module_utils._options import PROVIDER_OPTIONS
from ansible_collections.restorable.backups.plugins.module_utils._providers import PROVIDERS, cloud66
from ansible_collections.restorable.backups.plugins.module_utils._schedule import Schedule

ROOT = Path(__file__).resolve().parents[4]
PAGES = ("violations", "idempotency", "providers", "secrets", "files", "inventory")


def page(name):
    return (ROOT / "docs" / (name + ".md")).read_text(encoding="utf-8")


def rows(name, first=re.compile(r"^`([a-z_0-9]+)`$")):
    """Cells of the table rows whose first cell is one word of code."""
    found = []
    for line in page(name).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else [""]
        if first.match(cells[0]):
            found.append([cells[0].strip("`")] + cells[1:])
    return found


def of_checks():
    """The rows about the codes of backup_check: they have a column more than those about files and drills."""
    return [row for row in rows("violations") if len(row) == 4]


def explained(heading):
    """The codes that the table below a heading of violations.md explains. A row may explain several."""
    section = page("violations").partition("\n## %s\n" % heading)[2].partition("\n## ")[0]
    return [code for first in re.findall(r"^\| (`[^|]+`) \|", section, re.M) for code in re.findall(r"`([a-z_]+)`", first)]


def documented(module):
    """The codes that a module's documentation names, and how often each."""
    text = (ROOT / "plugins" / "modules" / ("%s.py" % module)).read_text(encoding="utf-8")
    (said,) = re.findall(r"^ +code:\n +description:\n(.*?)^ +returned:", text, re.M | re.S)
    return re.findall(r"V\(([a-z_]+)\)", said)


def raised(*folders, by):
    """The codes that the sources of some folders raise, by the names of what takes a code first."""
    found = set()
    for folder in folders:
        for path in (ROOT / "plugins" / "module_utils").glob(folder):
            found |= set(re.findall(r"\b(?:%s)\(\s*\"([a-z_]+)\"" % "|".join(by), path.read_text(encoding="utf-8")))
    return found


def test_every_violation_code_is_explained_once_and_no_other():
    assert tuple(row[0] for row in of_checks()) == _policy.CODES


def test_every_problem_of_a_file_is_explained_once_and_no_other():
    codes = documented("backup_file_verify")
    assert sorted(explained("Of files")) == sorted(codes)
    assert raised("_archive/*.py", by=("Damaged", "problem", "_wrong")) | set(_expectations.CODES) == set(codes)


def test_every_violation_of_a_drill_is_explained_once_and_no_other():
    codes = documented("backup_drill")
    assert sorted(explained("Of drills")) == sorted(codes)
    assert raised("_operations/*drill*.py", "_operations/_assertions.py", by=("_?violation",)) <= set(codes)


@pytest.mark.parametrize("row", of_checks(), ids=lambda row: row[0])
def test_each_code_has_one_sentence_of_meaning_and_one_of_advice(row):
    _code, meaning, asked_by, advice = row
    for sentence in (meaning, advice):
        assert re.match(r"^[A-Z][^.]*\.$", sentence), sentence
    assert asked_by
    for option in re.findall(r"`([a-z_]+)`", asked_by):
        assert option in check.SPEC["argument_spec"]


def test_the_modules_documentation_names_every_code():
    text = (ROOT / "plugins" / "modules" / "backup_check.py").read_text(encoding="utf-8")
    assert [code for code in _policy.CODES if "V(%s)" % code not in text] == []


def test_every_code_in_the_policy_is_declared():
    source = (ROOT / "plugins" / "module_utils" / "_policy.py").read_text(encoding="utf-8")
    source += (ROOT / "plugins" / "module_utils" / "_operations" / "check.py").read_text(encoding="utf-8")
    raised = set(re.findall(r"Violation\(\s*\"([a-z_]+)\"", source)) | {"missing_engine", "missing_database"}
    assert raised == set(_policy.CODES)


def test_the_tables_of_providers_are_those_of_the_code(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "tools"))
    tables = importlib.import_module("provider_tables")
    assert page("providers") == tables.render(page("providers"), _providers), "run `make docs`"


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_says_what_it_can_and_what_to_do_instead(name):
    provider = PROVIDERS[name]
    assert provider.capabilities <= set(_providers.OPERATIONS) | set(_providers.FACTS)
    assert set(provider.instead) == set(_providers.OPERATIONS) - provider.capabilities
    assert set(provider.options) <= set(PROVIDER_OPTIONS)
    assert provider.title and provider.source_words and provider.task_kind in ("order", "record")


def test_numbers_in_the_pages_are_those_of_the_code():
    assert "`%s`" % "`, `".join(cloud66.Cloud66.engines) in page("providers")
    assert "above {:,} pages".format(cloud66.MAX_PAGES) in page("providers")
    assert cloud66._MAX_REPEATS == 3 and "three pages without news" in page("providers")
    assert _http._BACKOFF_LIMIT == 20 and "up to 20 seconds" in page("providers")
    assert _http.RETRY_AFTER_LIMIT == 120 and "more than two minutes" in page("providers")
    retried = ", ".join(map(str, sorted(_http._RETRIED)[:-1])) + " and 504"
    assert retried.replace("413", "413 (with `Retry-After`)") in page("providers")
    assert _markers._LOCK_WAIT == 30 and "half a minute" in page("idempotency")
    assert _evidence._LOOK_BACK == 10 and _evidence._ENOUGH == 3
    assert "up to ten newest backups, three at least" in page("idempotency")
    assert _task_order._SERVER_FREQUENCY == "0 */1 * * *" and "every hour when none was given" in page("idempotency")
    assert Schedule("0 * * * *").default_grace == 900 and Schedule("0 0 1 * *").default_grace == 6 * 3600
    assert run_backup._SKEW.total_seconds() == 300 and "no more than 5 minutes older" in page("idempotency")
    for name in ("violations", "idempotency"):
        assert "at least 15 minutes and at most 6 hours" in re.sub(r"\s+", " ", page(name))
    assert Schedule("0 3 * * 1-5").longest_gap == 3 * 86400


@pytest.mark.parametrize("name", PAGES)
def test_options_and_files_that_are_named_exist(name):
    text = page(name)
    known = set(PROVIDER_OPTIONS) | {"id", "files", "mode"}
    for spec in (check.SPEC, task.SPEC, import_backup.SPEC, run_backup.SPEC, _fetch_options.SPEC):
        known |= set(spec["argument_spec"])
    for option in re.findall(r"`([a-z_]+): [a-z]+`", text):
        assert option in known | {"no_log", "ok"}, option
    for target in re.findall(r"\]\(([a-z_]+\.md)\)", text):
        assert (ROOT / "docs" / target).exists()


@pytest.mark.parametrize("name", PAGES)
def test_environment_variables_that_are_named_are_read(name):
    read = set(task.STATE_DIR_OPTION["fallback"][1])
    read |= {name for provider in PROVIDERS.values() for option in provider.options.values() for name in option.env}
    foreign = {"REQUESTS_CA_BUNDLE", "XDG_STATE_HOME", "ANSIBLE_DEBUG", "ANSIBLE_KEEP_REMOTE_FILES", "OS_AUTH_URL"}
    for variable in re.findall(r"`\$?([A-Z][A-Z0-9]+_[A-Z0-9_]+)`", page(name)):
        assert variable in read | foreign, variable


def test_the_order_of_the_tokens_sources_in_the_page():
    listed = re.findall(r"^\d\. (?:the option |the host's variable )?`([A-Za-z0-9_]+)`", page("secrets"), re.M)
    assert listed == ["api_token", "protect_api_token", "CLOUD66_TOKEN", "CLOUD66_TOKEN"]


def test_the_role_knows_which_services_have_schedules():
    text = (ROOT / "roles" / "protect" / "vars" / "main.yml").read_text(encoding="utf-8")
    scheduled = re.search(r"^protect_providers_with_schedules: \[(.*)\]$", text, re.M).group(1).split(", ")
    asked = re.search(r"^protect_providers_without: \[(.*)\]$", text, re.M).group(1).split(", ")
    timed = [name for name, one in PROVIDERS.items() if "frequency" in one.understands.get("schedule", ())]
    # A run that starts the backups of other sources too is nothing to be done unasked.
    alone = [name for name, one in PROVIDERS.items() if "run" in one.capabilities and "all_sources" not in one.understands["run"]]
    assert scheduled == timed
    assert asked == [name for name in alone if name not in timed]
