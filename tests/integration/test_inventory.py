# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin, as ``ansible-inventory``, ``ansible`` and ``ansible-playbook`` use it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs/inventory.md").read_text()
POOL = {"name": "^pool"}
FAILING = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}


def write(controller, name, **options):
    """A file for the plugin; JSON is YAML. The first line is no secret: Ansible's other plugins quote it."""
    path = controller.place / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("---\n" + json.dumps({"plugin": "restorable.backups.sources", **options}, indent=2))
    return path


def plain(value: Any) -> Any:
    """Without the marks that newer cores put on what is no template."""
    if isinstance(value, dict):
        if list(value) == ["__ansible_unsafe"]:
            return value["__ansible_unsafe"]
        return {name: plain(inner) for name, inner in value.items()}
    return value


class Inventory:
    def __init__(self, run, found):
        self.run, self.hosts = run, plain(found["_meta"]["hostvars"])
        self.groups = {name: about["hosts"] for name, about in found.items() if "hosts" in about}


def listed(controller, *sources, env=None, arguments=()):
    """What ``ansible-inventory --list`` tells of these files."""
    target = controller.place / "inventory.json"
    inventories = [word for source in sources for word in ("-i", str(source))]
    run = controller.wait(controller.command("ansible-inventory", "--list", "--output", str(target), *inventories,
                                             *arguments, env=env))
    if run.code:
        return Inventory(run, {"_meta": {"hostvars": {}}})
    return Inventory(run, json.loads(target.read_text()))


class Said(str):
    """An output, of which older cores break the lines even within words: blanks count for nothing."""

    def __contains__(self, text):
        return "".join(text.split()) in "".join(self.split())


def refused(controller, source, env=None):
    """The output of a run over a file that cannot be used."""
    found = listed(controller, source, env=env)
    said = Said(found.run.output)
    assert found.hosts == {} and f"Unable to parse {source}" in said
    return said


@pytest.fixture
def elsewhere(controller, sandbox):
    """Options that reach the other services of the sandbox."""
    rackspace, backupman = sandbox.ready["rackspace"], sandbox.ready["backupman"]
    return {
        "rackspace": {"provider": "rackspace", "api_url": rackspace["auth_url"], "username": rackspace["username"],
                      "api_token": rackspace["api_key"], "region": rackspace["region"]},
        "backupman": {"provider": "backupman", "api_url": backupman["api_url"], "api_key": backupman["api_key"]},
    }


@pytest.fixture
def labels(sandbox):
    """Backupman knows a source by its backups only; those of other tests are removed."""
    sandbox.service("backupman", "DELETE", "/backups")
    sandbox.service("backupman", "POST", "/backup", labels=["pool1", "pool2"])
    yield ["pool1", "pool2"]
    sandbox.service("backupman", "DELETE", "/backups")


def stacks_answer(sandbox, *stacks):
    """The service lists these, whatever there is."""
    sandbox.fault("status", route="stacks", code=200, body={"response": [
        {"uid": uid, "name": name, "environment": environment} for uid, name, environment in stacks]})


# -- hosts and groups --------------------------------------------------------------------------------------------------


def test_stacks_with_groups_and_composed_variables(controller, stacks):
    found = listed(controller, write(
        controller, "c66.sources.yml", prefix="c66-", group="cloud 66", filters=POOL, strict=True,
        compose={"protect_max_age": "'26h' if backup_source_name == 'pool1' else '2d'"},
        groups={"first": "protect_max_age == '26h'"},
        keyed_groups=[{"key": "backup_source_environment", "prefix": "env"},
                      {"key": "backup_source_engine | default('unknown', true)", "prefix": "engine"}]))
    found.run.passed()
    names = [f"c66-{stack.name}" for stack in stacks]
    assert found.groups == {"cloud_66": names, "env_production": names, "engine_unknown": names, "first": ["c66-pool1"]}
    assert found.hosts["c66-pool1"] == {
        "protect_provider": "cloud66", "protect_source": stacks[0].uid, "protect_max_age": "26h",
        "backup_source_id": stacks[0].uid, "backup_source_name": "pool1", "backup_source_environment": "production",
        "backup_source_engine": None, "backup_source_version": None, "backup_source_status": None,
        "backup_source_address": f"{stacks[0].sandbox.api_url}/api/3#",
    }
    assert found.hosts["c66-pool2"]["protect_max_age"] == "2d"


def test_mistakes_in_expressions_count_if_strict(controller, stacks):
    options = {"filters": POOL, "compose": {"x": "no_such_variable"}}
    assert len(listed(controller, write(controller, "sources.yml", **options)).hosts) == 4
    assert "no_such_variable" in listed(
        controller, write(controller, "sources.yml", strict=True, **options), env=FAILING).run.output


def test_stacks_of_one_name_stay_two_hosts(controller, sandbox):
    stacks_answer(sandbox, ("a" * 32, "shop", "live"), ("b" * 32, "shop", "test"), ("c" * 32, "crm", "live"))
    found = listed(controller, write(controller, "sources.yml"))
    assert {host: about["protect_source"][0] for host, about in found.hosts.items()} == {
        "shop-aaaaaaaa": "a", "shop-bbbbbbbb": "b", "crm": "c"}
    found = listed(controller, write(controller, "sources.yml", hostname=["{name}-{environment}"]))
    assert sorted(found.hosts) == ["crm-live", "shop-live", "shop-test"]


def test_instances_and_groups_of_rackspace(controller, sandbox, elsewhere):
    found = listed(controller, write(controller, "rax.sources.yml", filters={"engine": "mysql", "status": "active"},
                                     **elsewhere["rackspace"]))
    known = sandbox.ready["rackspace"]
    assert {about["protect_source"] for about in found.hosts.values()} == {
        *(each["id"] for each in known["instances"]), *("ha:" + each["id"] for each in known["ha"])}
    assert {about["protect_region_name"] for about in found.hosts.values()} == {known["region"]}
    assert known["api_key"] not in found.run.output + json.dumps(found.hosts)


def test_labels_of_backupman(controller, elsewhere, labels):
    found = listed(controller, write(controller, "bm.sources.yaml", **elsewhere["backupman"]))
    assert {host: about["protect_source"] for host, about in found.hosts.items()} == dict(zip(labels, labels))


def test_what_a_service_says_is_never_a_template(controller, sandbox):
    trap = controller.place / "trap"
    evil = "{{ lookup('ansible.builtin.pipe', 'touch %s') }}" % trap
    stacks_answer(sandbox, ("a" * 32, evil, evil))
    source = write(controller, "sources.yml", hostname=["{id}"], compose={"copy": "backup_source_name"})
    run = controller.wait(controller.command(
        "ansible", "all", "-i", str(source), "-m", "ansible.builtin.debug",
        "-a", "msg={{ backup_source_environment }}{{ backup_source_name }}{{ copy }}", "-c", "local")).passed()
    assert not trap.exists() and run.output.count("ansible.builtin.pipe") >= 3


def graph_of_the_page(controller, name, env=None):
    """(what the page says that ``--graph`` prints for this file of the page, what it prints)."""
    content, shown = re.search(rf"```yaml\n# {name}\n(.*?)```.*?```text\n(.*?)```", PAGE, re.DOTALL).groups()
    (controller.place / name).write_text(content)
    run = controller.wait(controller.command("ansible-inventory", "-i", name, "--graph", env=env)).passed()
    return shown.strip(), run.output.strip()


def test_the_page_shows_what_is_printed_for_cloud_66(controller, sandbox):
    stacks_answer(sandbox, *((name * 8, name, "staging" if name == "shop-next" else "production")
                             for name in ("shop", "crm", "search", "shop-next")))
    shown, printed = graph_of_the_page(controller, "shop.sources.yml")
    assert shown == printed


# -- several files -----------------------------------------------------------------------------------------------------


def test_several_accounts_in_one_folder_serve_playbooks_and_commands(controller, stack, sandbox, elsewhere, labels):
    """The credentials are in the files for the inventory and in group_vars for the tasks, never in the environment."""
    stack.history(2)
    (controller.place / "token").write_text(sandbox.token + "\n")
    lookup = "{{ lookup('ansible.builtin.file', '%s/token') }}" % controller.place
    own = {"api_url": sandbox.api_url, "api_token": lookup}
    write(controller, "fleet/c66.sources.yml", group="c66", prefix="c66-", filters={"name": "^pool1$"}, **own)
    write(controller, "fleet/bm.sources.yml", group="bm", prefix="bm-", **elsewhere["backupman"])
    known = {"all": {"hosts": {"c66-pool1": {"ansible_host": "192.0.2.1"}}}}
    (controller.place / "fleet/hosts.yml").write_text(json.dumps(known))
    variables = controller.place / "fleet/group_vars"
    variables.mkdir()
    (variables / "c66.yml").write_text(json.dumps({"protect_api_token": sandbox.token}))
    (variables / "bm.yml").write_text(json.dumps({"protect_api_token": sandbox.ready["backupman"]["api_key"]}))
    nothing = {"CLOUD66_TOKEN": "", "CLOUD66_API_URL": "http://127.0.0.1:9", "ANSIBLE_STDOUT_CALLBACK": "minimal"}
    fleet = str(controller.place / "fleet")
    run = controller.wait(controller.command(
        "ansible", "all", "-i", fleet, "-m", "restorable.backups.backup_info", env=nothing)).passed()
    assert {answer.host: len(answer["backups"]) for answer in run.answers} == {
        "c66-pool1": 2, "bm-pool1": 1, "bm-pool2": 1}
    run = controller.wait(controller.command(
        "ansible-playbook", "restorable.backups.check", "-i", fleet, env=nothing)).passed()
    records = {path.stem: json.loads(path.read_text()) for path in (controller.place / "backup-results").glob("*.json")}
    assert {host: record["status"] for host, record in records.items()} == dict.fromkeys(
        ("c66-pool1", "bm-pool1", "bm-pool2"), "ok")


def test_files_whose_hosts_would_be_mixed_up(controller, stacks, elsewhere, labels):
    write(controller, "fleet/a.sources.yml", filters=POOL)
    second = write(controller, "fleet/b.sources.yml", **elsewhere["backupman"])
    found = listed(controller, controller.place / "fleet")
    assert {about["protect_provider"] for about in found.hosts.values()} == {"cloud66"}
    said = Said(found.run.output)
    assert f"{second}: hostname: host pool1 stands for another source already" in said and "set prefix" in said
    assert listed(controller, controller.place / "fleet", env=FAILING).run.code != 0


def test_two_files_may_know_the_same_source(controller, stacks):
    write(controller, "fleet/a.sources.yml", filters=POOL, group="one")
    write(controller, "fleet/b.sources.yml", filters={"name": "pool[12]"}, group="two")
    found = listed(controller, controller.place / "fleet")
    assert found.run.passed() and found.groups["two"] == ["pool1", "pool2"] and len(found.groups["one"]) == 4


# -- cache -------------------------------------------------------------------------------------------------------------


def test_a_cached_list_needs_no_request_and_holds_no_secret(controller, stacks, sandbox):
    cached = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "api_token": sandbox.token,
              "cache_connection": str(controller.place / "cache")}
    source = write(controller, "sources.yml", filters=POOL, **cached)
    first = listed(controller, source)
    assert first.run.passed() and len(first.hosts) == 4 and len(sandbox.requests()) == 1
    sandbox.clear_requests()
    assert listed(controller, source).hosts == first.hosts
    # What becomes of the list may change meanwhile.
    write(controller, "sources.yml", filters={"name": "pool1$"}, prefix="x-", **cached)
    assert list(listed(controller, source).hosts) == ["x-pool1"]
    assert sandbox.requests() == []
    [file] = (controller.place / "cache").iterdir()
    assert stacks[0].uid in file.read_text() and sandbox.token not in file.read_text()
    # Another account is another list, and --flush-cache asks anew.
    write(controller, "sources.yml", account="2", **cached)
    assert list(listed(controller, source).hosts) == ["elsewhere"]
    controller.wait(controller.command(
        "ansible-playbook", "restorable.backups.check", "-i", str(source), "--list-hosts", "--flush-cache")).passed()
    assert len(sandbox.requests()) == 2


def test_an_answer_that_failed_is_not_cached(controller, sandbox):
    source = write(controller, "sources.yml", cache=True, cache_plugin="ansible.builtin.jsonfile", api_retries=0,
                   cache_connection=str(controller.place / "cache"))
    sandbox.fault("html", route="stacks", code=500)
    assert "answered 500" in refused(controller, source)
    sandbox.clear_faults()
    assert listed(controller, source).hosts


# -- bad files, bad services -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, said", [
    ({"filter": POOL}, "filter: there is no such option"),
    ({"provider": "cloud99"}, "provider"),
    ({"cloud": "demo"}, "cloud: provider cloud66 has no such option"),
    ({"hostname": ["name"]}, "hostname: the pattern name must be made of {name}"),
    ({"hostname": [{"name": None}]}, "hostname"),
    ({"filters": {"name": "["}}, "filters: name is no regular expression"),
    ({"api_token": "{{ lookup('ansible.builtin.file', '/nonexistent') }}"}, "api_token: The"),
    ({"cache": True, "cache_plugin": "no.such.plugin"}, "cache"),
    ({"provider": "cloud66_v2"}, "provider cloud66 lists the stacks"),
    ({"provider": "trove", "auth": {"auth_url": "{{ where }}"}}, "auth: a template or a vaulted text"),
], ids=lambda value: json.dumps(value)[:40])
def test_a_bad_file_is_refused_before_any_request(controller, sandbox, options, said):
    source = write(controller, "bad.sources.yml", **options)
    output = refused(controller, source)
    assert f"{source}: " in output and said in output
    assert sandbox.requests() == []


def test_a_file_that_holds_a_list(controller):
    path = controller.place / "sources.yml"
    path.write_text("[1]")
    enabled = {"ANSIBLE_INVENTORY_ENABLED": "restorable.backups.sources"}
    assert f"{path}: the file must hold options by their names" in refused(controller, path, env=enabled)


def test_a_file_of_another_name_is_not_looked_at(controller, sandbox):
    source = write(controller, "stacks.yml")
    assert "could not be verified by inventory plugin" in refused(controller, source)
    assert sandbox.requests() == []


@pytest.mark.parametrize("options, said", [
    ({"api_url": "http://127.0.0.1:9", "api_retries": 0}, "no connection to 127.0.0.1:9"),
    ({"api_token": "wrong"}, "401"),
], ids=["nobody there", "wrong token"])
def test_a_service_that_does_not_answer(controller, options, said):
    source = write(controller, "sources.yml", **options)
    output = refused(controller, source)
    assert f"{source}: GET /stacks" in output and said in output
    assert listed(controller, source, env=FAILING).run.code != 0


# -- secrets -----------------------------------------------------------------------------------------------------------


def leaks(controller, run, secret):
    """Where a secret is seen, but for the files that the test wrote itself."""
    given = {"sources.yml", "token"}
    files = [path for path in controller.place.rglob("*") if path.is_file() and path.name not in given]
    found = [str(path) for path in files if secret in path.read_text(errors="replace")]
    return found + ["the output"] * (secret in run.output)


WELL = {"filters": POOL}


@pytest.mark.parametrize("given, options", [
    ("in clear", WELL), ("by a lookup", WELL), ("in a vaulted file", WELL),
    ("in clear", {"strict": True, "compose": {"x": "nope"}}), ("in clear", {"filter": {}}),
    ("in clear", {"api_timeout": "soon"}), ("in clear", {"api_url": "http://127.0.0.1:9", "api_retries": 0}),
    ("in clear", {"prefix": "{{ nope"}), ("in clear", {"hostname": {"name": None}}),
    ("in a vaulted file", {"prefix": "{{ nope"}),
], ids=lambda value: json.dumps(value)[:40])
def test_no_token_is_seen_at_any_verbosity(controller, stacks, sandbox, given, options):
    token, arguments = sandbox.token, []
    controller.env.pop("CLOUD66_TOKEN")
    if given == "by a lookup":
        (controller.place / "token").write_text(token)
        token = "{{ lookup('ansible.builtin.file', '%s/token') }}" % controller.place
    source = write(controller, "sources.yml", api_token=token, **options)
    if given == "in a vaulted file":
        (controller.place / "password").write_text("open sesame")
        arguments = ["--vault-password-file", "password"]
        controller.wait(controller.command("ansible-vault", "encrypt", str(source), *arguments)).passed()
    found = listed(controller, source, arguments=["-vvvvv", *arguments], env={"ANSIBLE_LOG_PATH": "ansible.log"})
    assert (len(found.hosts) == 4) is (options is WELL), found.run.output
    assert leaks(controller, found.run, sandbox.token) == []


def test_a_vaulted_value(controller, stacks, sandbox):
    controller.env.pop("CLOUD66_TOKEN")
    (controller.place / "password").write_text("open sesame")
    (controller.place / "token").write_text(sandbox.token)
    password = ["--vault-password-file", "password"]
    controller.wait(controller.command("ansible-vault", "encrypt", "token", *password)).passed()
    vaulted = (controller.place / "token").read_text().replace("\n", "\n  ")
    source = controller.place / "sources.yml"
    source.write_text("plugin: restorable.backups.sources\nfilters: {name: ^pool}\napi_token: !vault |\n  " + vaulted)
    found = listed(controller, source, arguments=["-vvvvv", *password])
    assert len(found.hosts) == 4 and leaks(controller, found.run, sandbox.token) == []
    assert "api_token: a template or a vaulted text in it cannot be read" in refused(controller, source)


# -- the real Trove ----------------------------------------------------------------------------------------------------


def test_instances_of_the_real_trove(controller, lab):
    """One token serves the inventory and every host of the run."""
    source = write(controller, "trove.sources.yml", provider="trove", cloud="demo", filters={"name": "^(db|pg|twin)"},
                   keyed_groups=[{"key": "backup_source_engine", "prefix": "engine"}])
    found = listed(controller, source, env=lab.environment)
    found.run.passed()
    twins = ["twin-" + each["id"][:8] for each in lab.ready["instances"] if each["name"] == "twin"]
    assert found.groups == {
        "engine_mariadb": ["db1", *sorted(twins)], "engine_mysql": ["db2"], "engine_postgresql": ["pg1"]}
    assert found.hosts["db1"]["protect_source"] == lab.instance("db1") and found.hosts["db1"]["protect_cloud"] == "demo"
    lab.add_backup("db1")
    lab.clear_requests()
    run = controller.wait(controller.command(
        "ansible", "all", "-i", str(source), "-m", "restorable.backups.backup_info", env=lab.environment)).passed()
    assert {answer.host: len(answer["backups"]) for answer in run.answers} == {
        "db1": 1, "db2": 0, "pg1": 0, **dict.fromkeys(twins, 0)}
    assert len(lab.token_requests()) == 1


def test_the_page_shows_what_is_printed_for_trove(controller, lab):
    shown, printed = graph_of_the_page(controller, "demo.sources.yml", env=lab.environment)
    assert shown == printed
    host = re.search(r"--host (\S+)`.*?```json\n(.*?)```", PAGE, re.DOTALL)
    run = controller.wait(controller.command(
        "ansible-inventory", "-i", "demo.sources.yml", "--host", host.group(1), env=lab.environment)).passed()
    assert json.loads(host.group(2)) == plain(json.loads(run.output))


def test_a_cloud_that_is_not_in_clouds_yaml(controller, lab):
    source = write(controller, "trove.sources.yml", provider="trove", cloud="nowhere")
    output = refused(controller, source, env=lab.environment)
    assert f"{source}: cloud: " in output and "nowhere" in output
