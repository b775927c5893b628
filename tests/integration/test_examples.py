# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example that the documentation shows is run as it stands, so that none can rot."""

from __future__ import annotations

import ast
import getpass
import grp
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = {path.stem: path for path in sorted((ROOT / "plugins/modules").glob("[!_]*.py"))}
FILTERS = {path.stem: path for path in sorted((ROOT / "plugins/filter").glob("[!_]*.py"))}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("roles/*/README.md"))]
# Examples that rest on what others leave behind.
AFTER = {"backup_report": ["backup_record"], "proof_chain_problems": ["backup_drill"]}
# These alone do anything on the host of their task.
ON_THE_HOST = {"backup_file_fetch", "backup_file_verify", "backup_drill", "proof_chain_problems"}
IMPATIENT = {"restorable.backups.backup_run": {"wait_interval": 1}}
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def examples_of(name):
    """The text of the EXAMPLES of a module or a filter."""
    for node in ast.parse({**MODULES, **FILTERS}[name].read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "EXAMPLES":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{name} has no EXAMPLES")


def blocks_of(page):
    """(name, YAML text) of each code block in a page."""
    found = re.findall(r"^```ya?ml\n(.*?)^```", page.read_text(), re.M | re.S)
    return [(f"{page.relative_to(ROOT)} {number}", text) for number, text in enumerate(found, 1)]


# An inventory of the plugin, and what pages show of one without the rest.
SOURCES = {"plugin": "restorable.backups.sources"}
PARTS_OF_SOURCES = {"compose", "filters", "cache", "cache_plugin", "cache_connection", "cache_timeout"}
BLOCKS = dict(block for page in PAGES for block in blocks_of(page))


@pytest.fixture
def scratch():
    """Where scratch servers are made: a short path, because of their sockets, that their user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="rbt-"))
    folder.chmod(0o755)
    yield folder
    left = os.listdir(folder)
    shutil.rmtree(folder)
    assert [name for name in left if name.startswith("rbd-")] == []


@pytest.fixture
def world(controller, stacks, scratch):
    """Two stacks with fresh backups, and how the examples' own names for things read here."""
    files = []
    for stack in stacks[:2]:
        number = stack.sandbox.backup(stack.name)[0]  # the first of its task groups
        files.append(stack.sandbox.facts(stack.name, number)["path"])
        stack.record(age=3600, database_name=stack.sandbox.stack(stack.name)["database"])
    (controller.place / "srv/backups").mkdir(parents=True)
    shutil.copy(files[0], controller.place / "srv/backups/shop.tar")
    controller.env["TMPDIR"] = str(scratch)
    stack = stacks[0]
    login = stack.sandbox.login(stack.name)
    rackspace, backupman = stack.sandbox.ready["rackspace"], stack.sandbox.ready["backupman"]
    newest = stack.sandbox.api("GET", f"/stacks/{stack.uid}/backups")[1]["response"]
    variables = {
        "stack": stack.uid, "stacks": [one.uid for one in stacks[:2]], "dump_url": stack.sandbox.import_source(),
        "database": stack.sandbox.stack(stack.name)["database"],
        "accounts": {"shop": {"source": stack.uid, "token": stack.sandbox.token}},
        "rackspace_username": rackspace["username"], "rackspace_api_key": rackspace["api_key"],
        "instance": rackspace["instances"][0]["id"], "backupman_key": backupman["api_key"],
        "reader_password": login["password"],
        "backup_id": next(str(record["id"]) for record in newest if not record.get("synthetic")),
    }
    at_rackspace = f"api_url: {rackspace['auth_url']}"
    local = [
        # Trove's own tests are elsewhere: Rackspace understands the same words, but for those that reach the service.
        (r"^( +)provider: trove\n +cloud: production$", "\n".join((
            r"\1provider: rackspace", rf"\1{at_rackspace}", rf"\1username: {rackspace['username']}",
            rf"\1api_key: {rackspace['api_key']}", r"\1region_name: DFW"))),
        (r"^( +)(provider: rackspace)(?=\n +username)", rf"\1\2\n\1{at_rackspace}"),
        (r"\bsource: shop-db$", f"source: {rackspace['instances'][1]['name']}"),
        (r"https://backupman\.example\.com", backupman["api_url"]),
        (r"\blabel: shop$", f"label: {backupman['labels'][0]}"),
        (r"/run/postgresql\b", login["unix_socket"]), (r"\bdatabase: shop$", f"database: {login['database']}"),
        (r"/srv\b", str(controller.place / "srv")),
        (r"\bgroup: backup$", f"group: {grp.getgrgid(os.getgid()).gr_name}"),
        (r"\bowner: backup$", f"owner: {getpass.getuser()}"), (r"\bgroup: 1$", f"group: {stack.group}"),
        (r"5999b763474b0eafa5fafb64bff0ba80", stacks[0].uid), (r"8d1f0b9a7c3e4f5d9b2a1c0e7f6d5a4b", stacks[1].uid),
    ]

    def here(text):
        for pattern, value in local:
            text = re.sub(pattern, value, text, flags=re.M)
        return yaml.safe_load(text)

    return variables, here


@pytest.mark.parametrize("module", [*MODULES, *FILTERS])
def test_the_examples_of_a_module_or_a_filter(controller, world, module, request):
    variables, here = world
    names = [*AFTER.get(module, ()), module]
    tasks = [task for name in names for task in here(examples_of(name))]
    environment = {}
    if "{{ cloud }}" in examples_of(module):
        lab = request.getfixturevalue("lab")
        variables.update(cloud="demo", object_url=lab.back_up("db1")["locationRef"])
        environment = {"OS_CLIENT_CONFIG_FILE": str(lab.clouds)}
    hosts = {"shop": HERE if module in ON_THE_HOST else {}}
    run = controller.play(tasks, hosts=hosts, vars=variables, module_defaults=IMPATIENT, env=environment).passed()
    assert [answer.event for answer in run.answers] == ["ok"] * len(tasks)
    assert all(task["name"] for task in tasks)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_snippets_of_a_page(controller, world, stacks, block, request):
    variables, here = world
    content = here(BLOCKS[block])
    if isinstance(content, list) and all("hosts" in play for play in content):
        (controller.place / "site.yml").write_text(yaml.safe_dump(content))
        inventory = controller.inventory({"shop": {}})
        run = controller.command("ansible-playbook", "-i", str(inventory), "site.yml").ended().passed()
        assert list((controller.place / "backup-results").glob("*.json")), run.output
    elif isinstance(content, list):
        hosts = {"shop": HERE if any(name in BLOCKS[block] for name in ON_THE_HOST) else {}}
        run = controller.play(content, hosts=hosts, vars=variables).passed()
        assert run.answers
    elif "all" in content:
        if "protect_drill" in BLOCKS[block]:
            # Only what has a file can be restored.
            for stack in stacks[:2]:
                stack.clear()
                stack.sandbox.backup(stack.name)
        (controller.place / "inventory.yml").write_text(yaml.safe_dump(content))
        controller.command("ansible-playbook", "-i", "inventory.yml", "restorable.backups.protect").ended().passed()
        records = {path.stem for path in (controller.place / "backup-results").glob("*.json")}
        assert records == set(content["all"]["hosts"])
        if "protect_drill" in BLOCKS[block]:
            assert len(list((controller.place / "srv/proofs").glob("*/*.json"))) == len(records)
    elif "plugin" in content or set(content) <= PARTS_OF_SOURCES:
        environment = {"SECOND_TOKEN": controller.env["CLOUD66_TOKEN"]}
        if content.get("provider") == "trove":
            environment.update(request.getfixturevalue("lab").environment)
        (controller.place / "page.sources.yml").write_text(yaml.safe_dump({**SOURCES, **content}))
        run = controller.wait(controller.command(
            "ansible-inventory", "-i", "page.sources.yml", "--list", env=environment)).passed()
        assert '"_meta"' in run.output
    else:
        assert set(content) == {"collections"}, f"{block} is neither a playbook nor an inventory: run it here"
