# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin: which file is its own, which sources become hosts, and under which names."""

from __future__ import annotations

import itertools

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.doc_fragments import constructed, inventory_cache
from ansible_collections.restorable.backups.plugins.inventory import sources as plugin
from ansible_collections.restorable.backups.plugins.module_utils._backup import Source
from ansible_collections.restorable.backups.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.restorable.backups.plugins.module_utils._options import PROVIDER_OPTIONS
from ansible_collections.restorable.backups.plugins.module_utils._providers import PROVIDERS, Cloud66

TOKEN = "tok-3f8a9c"
PLAIN = ["{name}", "{name}-{short_id}"]


def source(source_id, name=None, **facts):
    return {**dict.fromkeys(plugin.FACTS), "id": source_id, "name": name, **facts}


def names(*sources, **options):
    found = plugin.hostnames(sources, options.get("patterns", PLAIN), options.get("prefix", ""))
    return {host: one["id"] for host, one in found.items()}


# -- names -------------------------------------------------------------------------------------------------------------

SHOP, CRM = "5999b763474b0eafa5fafb64bff0ba80", "8d1f0b9a-7c3e-4f5d-9b2a-1c0e7f6d5a4b"


def test_a_name_that_is_unique_is_the_hosts_name():
    assert names(source(SHOP, "shop"), source(CRM, "crm"), prefix="x-") == {"x-shop": SHOP, "x-crm": CRM}


def test_no_source_keeps_a_name_that_two_have():
    assert names(source(SHOP, "shop"), source(CRM, "shop")) == {"shop-5999b763": SHOP, "shop-8d1f0b9a": CRM}


def test_the_order_of_the_list_decides_nothing():
    several = [
        source(SHOP, "shop"),
        source(CRM, "shop"),
        source("1", "shop-8d1f0b9a"),
        source("2", "a b"),
        source("3", "a-b"),
    ]
    found = [names(*order) for order in itertools.permutations(several)]
    assert found == found[:1] * len(found) and len(found[0]) == 5


@pytest.mark.parametrize(
    "sources",
    [
        [source("5999b763-1", "shop"), source("5999b763-2", "shop")],
        [source("a b", "a b"), source("a-b", "a-b")],
        [source("!", "!"), source("?", "?")],
        [source(SHOP, "shop"), source(CRM, "shop"), source("3", "shop-5999b763")],
        [source("1"), source("2")],
    ],
    ids=["short ids alike", "labels alike", "nothing usable", "a name like another's with its id", "nameless"],
)
def test_no_two_sources_become_one_host(sources):
    assert sorted(names(*sources).values()) == sorted(one["id"] for one in sources)


def test_a_source_that_is_listed_twice_is_one():
    assert names(source(SHOP, "shop"), source(SHOP, "shop")) == {"shop": SHOP}


@pytest.mark.parametrize("name", ["all", "ungrouped", "localhost"])
def test_names_that_mean_something_to_ansible_are_avoided(name):
    assert names(source(SHOP, name)) == {name + "-5999b763": SHOP}
    assert names(source(SHOP, name), prefix="x-") == {"x-" + name: SHOP}


@pytest.mark.parametrize(
    "name, host",
    [
        ("Shop Nr. 1", "Shop-Nr.-1"),
        ("web[1:3],!x", "web-1-3-x"),
        ("größe", "größe"),
        (" a/b ", "a-b"),
        ("{{ x }}", "x"),
    ],
)
def test_what_ansible_would_take_for_a_pattern_becomes_a_hyphen(name, host):
    assert names(source(SHOP, name)) == {host: SHOP}


def test_a_pattern_whose_parts_are_missing_is_passed_over():
    patterns = ["{name}-{environment}", "{engine}.{id}", "{name}"]
    found = names(
        source(SHOP, "shop", environment="live"), source("2", "db", engine="mysql"), source("3", "x"), patterns=patterns
    )
    assert found == {"shop-live": SHOP, "mysql.2": "2", "x": "3"}


def test_an_id_that_is_a_label_is_no_short_id():
    assert plugin.short_id("main") is None and plugin.short_id("ha:" + CRM) == "8d1f0b9a"


@pytest.mark.parametrize(
    "pattern", ["name", "", "{status}", "{name", "{name}}", "{}", "{name!r}", "{name.upper}", {"name": None}, 1]
)
def test_patterns_that_cannot_be_understood(pattern):
    with pytest.raises(OptionError, match="^hostname: the pattern .* must be made of {name}"):
        plugin.check_patterns(["{name}", pattern])


# -- filters -----------------------------------------------------------------------------------------------------------

ONE = source("1", "shop-web", engine="postgresql", environment="Production", status="ACTIVE")


@pytest.mark.parametrize(
    "filters, wanted",
    [
        ({}, True),
        ({"name": "web$"}, True),
        ({"name": "^web"}, False),
        ({"engine": "postgres"}, True),
        ({"engine": ["mysql", "postgresql"]}, True),
        ({"engine": ["mysql"]}, False),
        ({"engine": []}, False),
        ({"environment": "production"}, True),
        ({"status": ["error", "active"]}, True),
        ({"name": "shop", "status": "ERROR"}, False),
        ({"name": None}, True),
    ],
)
def test_which_sources_are_wanted(filters, wanted):
    assert plugin.filter_of(filters)(ONE) is wanted


@pytest.mark.parametrize("fact", ["name", "engine", "environment", "status"])
def test_a_source_without_the_fact_is_left_out(fact):
    assert not plugin.filter_of({fact: "x"})(source("1"))


@pytest.mark.parametrize("filters, said", [({"name": "("}, "no regular expression"), ({"kind": "x"}, "no filter kind")])
def test_filters_that_cannot_be_understood(filters, said):
    with pytest.raises(OptionError, match="^filters: .*" + said):
        plugin.filter_of(filters)


# -- variables ---------------------------------------------------------------------------------------------------------


def test_what_is_handed_on_is_what_the_file_holds_but_no_secret():
    params = {option: about.get("default") for option, about in PROVIDER_OPTIONS.items()}
    params.update(
        provider="trove", api_token=TOKEN, region_name="one", cloud="demo", auth={"password": "x", "username": "y"}
    )
    given = {"api_key": TOKEN, "region": "one", "auth": {}}
    assert plugin.handed_on(params, given) == {"protect_provider": "trove", "protect_region_name": "one"}
    given["cloud"] = "demo"
    assert plugin.handed_on(params, given)["protect_cloud"] == "demo"
    params["cloud"] = {"auth": {"application_credential_secret": "x"}}
    assert "protect_cloud" not in plugin.handed_on(params, given)
    params["auth"] = {"auth_url": "https://cloud.example"}
    assert plugin.handed_on(params, given)["protect_auth"] == {"auth_url": "https://cloud.example"}


@pytest.mark.parametrize(
    "there",
    [
        {"protect_source": "other"},
        {"protect_source": "1", "protect_provider": "trove"},
        {"protect_source": "1", "backup_source_address": "elsewhere"},
    ],
)
def test_a_host_that_stands_for_another_source(there):
    mine = plugin.variables_of(ONE, "here", {"protect_provider": "cloud66"})
    with pytest.raises(OptionError, match="^hostname: host db stands for another source already"):
        plugin.check_same("db", there, mine)


@pytest.mark.parametrize(
    "there", [{}, {"ansible_host": "10.0.0.1"}, {"protect_source": "1"}, {"protect_source": "shop-web"}]
)
def test_a_host_that_is_known_otherwise_gains_variables(there):
    plugin.check_same("db", there, plugin.variables_of(ONE, "here", {"protect_provider": "cloud66"}))


# -- the plugin --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, own",
    [
        ("sources.yml", True),
        ("sources.yaml", True),
        ("shop.sources.yml", True),
        ("10-shop.live.sources.yaml", True),
        ("resources.yml", False),
        (".sources.yml", False),
        ("sources.yml.bak", False),
        ("sources.json", False),
        ("hosts.yml", False),
    ],
)
def test_which_files_are_its_own(tmp_path, name, own):
    (tmp_path / name).touch()
    assert plugin.InventoryModule().verify_file(str(tmp_path / name)) is own


def test_a_file_that_is_not_there_is_not_its_own(tmp_path):
    assert not plugin.InventoryModule().verify_file(str(tmp_path / "sources.yml"))


@pytest.fixture
def parse(tmp_path, monkeypatch):
    """Read a file of these options with a service that answers ``sources``; the inventory that comes of it."""
    for provider in PROVIDERS.values():
        for option in provider.options.values():
            for name in option.env:
                monkeypatch.delenv(name, raising=False)

    def run(options, sources=(Source("1", "shop"),)):
        def answer(_provider):
            if isinstance(sources, Exception):
                raise sources
            return list(sources)

        monkeypatch.setattr(Cloud66, "list_sources", answer)
        path = tmp_path / "shop.sources.yml"
        held = {"plugin": plugin.InventoryModule.NAME, **options} if isinstance(options, dict) else options
        path.write_text(yaml.safe_dump(held), encoding="utf-8")
        module = plugin.InventoryModule()
        # As ansible's loader leaves it; the options' definitions are those of the documentation.
        module._load_name = module.ansible_name = plugin.InventoryModule.NAME
        module._original_path, module._redirected_names = plugin.__file__, [plugin.InventoryModule.NAME]
        inventory = InventoryData()
        module.parse(inventory, DataLoader(), str(path), cache=False)
        return inventory

    return run


@pytest.fixture(autouse=True, scope="module")
def definitions():
    """What ansible's plugin loader tells its configuration of the options."""
    options = {}
    for text in (
        constructed.ModuleDocFragment.DOCUMENTATION,
        inventory_cache.ModuleDocFragment.DOCUMENTATION,
        plugin.DOCUMENTATION,
    ):
        options.update(yaml.safe_load(text)["options"])
    constants.config.initialize_plugin_configuration_definitions("inventory", plugin.InventoryModule.NAME, options)


def test_each_source_is_a_host_with_what_the_role_needs(parse):
    found = parse({"api_token": TOKEN, "account": 12, "prefix": "c66-"}, [Source("1", "shop", environment="live")])
    assert list(found.hosts) == ["c66-shop"]
    variables = {
        name: value for name, value in found.hosts["c66-shop"].vars.items() if not name.startswith("inventory_")
    }
    assert variables == {
        "protect_provider": "cloud66",
        "protect_source": "1",
        "protect_account": "12",
        "backup_source_id": "1",
        "backup_source_name": "shop",
        "backup_source_engine": None,
        "backup_source_version": None,
        "backup_source_environment": "live",
        "backup_source_status": None,
        "backup_source_address": "https://app.cloud66.com/api/3#12",
    }


def test_nothing_is_handed_on_that_comes_from_elsewhere(parse, monkeypatch):
    monkeypatch.setenv("CLOUD66_TOKEN", TOKEN)
    monkeypatch.setenv("CLOUD66_API_URL", "https://c66.example")
    variables = parse({}).hosts["shop"].vars
    assert "protect_api_url" not in variables and variables["backup_source_address"] == "https://c66.example/api/3#"


@pytest.mark.parametrize(
    "options, said",
    [
        ({"provider": "cloud99"}, "value of provider must be one of"),
        ({"filter": {}}, "filter: there is no such option"),
        ({"cloud": "demo"}, "cloud: provider cloud66 has no such option"),
        ({"api_timeout": "soon"}, "api_timeout"),
        ({"api_timeout": 0}, "api_timeout: must be more than 0 seconds"),
        ({"api_url": "http://elsewhere.example"}, "api_url"),
        ({"ca_path": "/nonexistent/ca.pem"}, "ca_path: /nonexistent/ca.pem does not exist"),
        ({"hostname": ["id"]}, "hostname: the pattern id"),
        ({"filters": {"kind": "x"}}, "filters: there is no filter kind"),
        ({"filters": ["x"]}, "filters"),
        ({"prefix": "{{ nope }}"}, "prefix: .*nope"),
        ({"provider": "cloud66_v2"}, "cannot list what it backs up: .*provider cloud66 lists the stacks"),
        ({"strict": True, "compose": {"x": "nope"}}, "nope"),
        ([], "is empty"),
        ([1], "the file must hold options by their names"),
        ({"plugin": "amazon.aws.aws_ec2"}, "Incorrect plugin name"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_file_is_named_with_its_option(parse, options, said):
    if isinstance(options, dict):
        options = {"api_token": TOKEN, **options}
    with pytest.raises(AnsibleParserError, match="(?s)shop.sources.yml: .*" + said) as caught:
        parse(options)
    assert TOKEN not in str(caught.value)


def test_without_a_token_the_message_says_where_to_put_it(parse):
    with pytest.raises(AnsibleParserError, match="api_token: .*CLOUD66_TOKEN"):
        parse({})


def test_an_error_of_the_service_names_the_file_and_no_secret(parse):
    with pytest.raises(AnsibleParserError, match="shop.sources.yml: GET /stacks") as caught:
        parse({"api_token": TOKEN}, ApiError("GET /stacks answered 500: %s is odd" % TOKEN))
    assert TOKEN not in str(caught.value) and caught.value.__suppress_context__


@pytest.mark.parametrize("secret", ["pw-{%SECRETWORD", "pw-{{ SECRETWORD }}", "{{ SECRETWORD", "pw-{{ x.SECRETWORD }}"])
def test_a_secret_that_looks_like_a_template_is_not_quoted(parse, secret):
    for options in ({"api_token": secret}, {"provider": "trove", "auth": {"password": secret}}):
        with pytest.raises(AnsibleParserError, match="(api_token|auth): a template or a vaulted text") as caught:
            parse(options)
        assert "SECRETWORD" not in str(caught.value)


def test_every_connection_option_is_documented():
    """Those that are not restated come from the fragment that modules have."""
    documentation = yaml.safe_load(plugin.DOCUMENTATION)
    assert "restorable.backups.provider" in documentation["extends_documentation_fragment"]
    assert documentation["options"]["provider"]["choices"] == PROVIDER_OPTIONS["provider"]["choices"]
