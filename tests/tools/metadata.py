# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts that stand in several files and must agree. Each check is a name and a complaint, or None where all is well."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

README_SECTIONS = ["Description", "Requirements", "Installation", "Use cases", "Testing", "Support",
                   "Release notes", "License information"]


def checks(collection: Path) -> Iterator[tuple[str, str | None]]:
    runtime = yaml.safe_load((collection / "meta/runtime.yml").read_text(encoding="utf-8"))
    galaxy = yaml.safe_load((collection / "galaxy.yml").read_text(encoding="utf-8"))
    modules = {file.stem for file in (collection / "plugins/modules").glob("[!_]*.py") if asks_a_provider(file)}

    yield ("the action group holds every module that has the options it is for, and no other",
           differs(set(runtime["action_groups"]["backups"]), modules))
    yield ("the execution environment gets what the controller needs",
           differs(requirements(collection / "meta/ee-requirements.txt"),
                   requirements(collection / "requirements.txt")))
    yield ("the unit tests get the same, and what single providers need",
           differs(requirements(collection / "tests/unit/requirements.txt"),
                   requirements(collection / "requirements.txt")
                   | requirements(collection / "requirements-optional.txt")))
    version = ast.parse((collection / "plugins/module_utils/_version.py").read_text(encoding="utf-8")).body[-1]
    yield ("proofs name this version of the collection", differs(ast.literal_eval(version.value), galaxy["version"]))
    all_files = [*collection.glob("requirements*.txt"), collection / "meta/ee-requirements.txt"]
    bounded = [f"{file.name}: {line}" for file in all_files for line in requirements(file)
               if not line.startswith("-r") and re.search(r"==|<|~=|!=", line)]
    yield "requirements have lower bounds only", "; ".join(bounded) or None
    readme = (collection / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", readme, re.MULTILINE)
    yield ("README has the sections that Automation Hub asks for, in their order",
           differs([heading for heading in headings if heading in README_SECTIONS], README_SECTIONS))
    file = collection / "CHANGELOG.md"
    changelog = file.read_text(encoding="utf-8") if file.exists() else ""
    yield ("CHANGELOG.md knows this version",
           None if f"v{galaxy['version']}" in changelog.replace("\\.", ".") else "it does not: run `make changelog`")


def asks_a_provider(module: Path) -> bool:
    """Whether the module takes the credential and the address that module_defaults for the group would set."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            fragments = yaml.safe_load(ast.literal_eval(node.value)).get("extends_documentation_fragment", [])
            return "restorable.backups.provider" in fragments
    return False


def requirements(file: Path) -> set[str]:
    lines = (line.split(" #")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def differs(found, wanted) -> str | None:
    if found == wanted:
        return None
    if isinstance(found, set):
        return f"missing: {sorted(wanted - found)}, too many: {sorted(found - wanted)}"
    return f"found {found}, wanted {wanted}"
