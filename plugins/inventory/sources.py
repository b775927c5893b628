# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: sources
short_description: Hosts from what a service backs up
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Asks a service what it backs up and makes one host of each source - of each stack (Cloud 66), of each instance
    (OpenStack Trove, Rackspace Cloud Databases), of each label (Backupman).
  - The hosts have what the role P(restorable.backups.protect#role) and the modules of this collection need to reach the
    same account, so that playbooks and ad-hoc commands work without another word.
  - The name of the file must be C(sources.yml) or end in C(.sources.yml); C(.yaml) is fine too. One file is one
    account. Several accounts are several files in one inventory folder.
  - Every option may be a template, with lookups and extra variables, but for C(compose), C(groups) and C(keyed_groups),
    which hold expressions.
extends_documentation_fragment:
  - restorable.backups.provider
  - constructed
  - inventory_cache
options:
  plugin:
    description: Says that the file is meant for this plugin.
    type: str
    required: true
    choices:
      - restorable.backups.sources
  provider:
    description:
      - The flavour of the API that is called. Each has connection options of its own, beside those that all have
        (O(validate_certs), O(ca_path), O(api_timeout), O(api_retries), O(allow_http)).
      - V(cloud66), that is Cloud 66 with version 3 of its API, has O(api_url), O(api_token) and O(account).
      - V(trove), that is OpenStack, has O(cloud), O(auth), O(auth_type), O(region_name), O(interface), O(client_cert)
        and O(client_key), as the modules of C(openstack.cloud) have them.
      - V(rackspace), that is Rackspace Cloud Databases, has O(username), O(api_token), O(region_name) and O(api_url).
      - V(backupman) has O(api_url) and O(api_token). It knows its sources by their backups only, so that one without a
        backup is not found.
      - V(cloud66_v2) cannot list what it backs up, and says so.
      - An option that the provider does not have is refused, because it was meant for another service.
      - In place of an option that is not set stand the environment variables that are named at it.
    type: str
    default: cloud66
    choices:
      - cloud66
      - cloud66_v2
      - trove
      - rackspace
      - backupman
  hostname:
    description:
      - How hosts are named - patterns of C({name}), C({id}), C({short_id}), C({engine}), C({version}) and
        C({environment}), the best first. C({short_id}) are the first eight hexadecimal digits of the id.
      - A source gets the first pattern that it has all parts of, and that makes a name which no other source of the
        file has. If none does, a part of a checksum of the id is added to its name. No two sources become one host.
      - Whatever is no letter, digit, underscore, dot or hyphen becomes a hyphen.
      - A source that is added to the account may so take away the plain name of another. V({id}) never changes.
    type: list
    elements: str
    default:
      - "{name}"
      - "{name}-{short_id}"
  prefix:
    description: Put in front of every host's name. Keeps the hosts of several accounts apart.
    type: str
    default: ""
  group:
    description:
      - A group that all hosts of this file are put into.
      - Its C(group_vars) are the place for the credential of the account, in a vault.
    type: str
  filters:
    description:
      - Which sources become hosts. All that is given must hold.
      - A source of which the service does not say what is asked for is left out.
    type: dict
    default: {}
    suboptions:
      name:
        description: A regular expression that is found somewhere in the name.
        type: str
      engine:
        description: The engine or engines, such as V(postgresql).
        type: list
        elements: str
      environment:
        description: The environment or environments, as the service calls them. Upper and lower case are the same.
        type: list
        elements: str
      status:
        description: The status or several, as the service calls them. Upper and lower case are the same.
        type: list
        elements: str
notes:
  - Every host has C(protect_provider), C(protect_source), and as C(protect_<option>) each connection option that the
    file holds, but for those with a secret in them. The credential itself is not handed on, as
    C(ansible-inventory --list) would print it. Tasks take it from the environment or from C(protect_api_token) in C(group_vars).
  - Every host also has C(backup_source_id), C(backup_source_name), C(backup_source_engine), C(backup_source_version),
    C(backup_source_environment) and C(backup_source_status), null where the service does not say it, and
    C(backup_source_address), which tells accounts apart.
  - A host that is there already from another file gets the variables too, unless it stands for another source. The file
    is then refused; O(prefix) helps.
  - What is cached is the list of sources, without any credential and before O(filters), O(hostname) and the rest are
    used.
seealso:
  - module: restorable.backups.backup_info
"""

EXAMPLES = r"""
# shop.sources.yml: all stacks of a Cloud 66 account; the token comes from the environment (CLOUD66_TOKEN)
plugin: restorable.backups.sources

---
# prod.sources.yml: the production stacks of a second account
plugin: restorable.backups.sources
api_token: "{{ lookup('ansible.builtin.env', 'SECOND_TOKEN') }}"
account: "12"
prefix: second-
group: second        # group_vars/second.yml holds protect_api_token for the tasks
filters:
  environment: production
compose:
  protect_max_age: "'26h' if backup_source_name is match('shop') else '2d'"

---
# trove.sources.yml: what clouds.yaml calls demo, in groups such as engine_mysql
plugin: restorable.backups.sources
provider: trove
cloud: demo
filters:
  status: [ACTIVE, HEALTHY]
keyed_groups:
  - key: backup_source_engine
    prefix: engine

---
# rack.sources.yml: instances and high-availability groups of one region, asked for once an hour
plugin: restorable.backups.sources
provider: rackspace
username: ops
api_token: "{{ lookup('ansible.builtin.file', '/run/secrets/rackspace') }}"
region_name: IAD
hostname: ["{name}-{engine}", "{id}"]
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/ansible-inventory
cache_timeout: 3600
"""

import hashlib
import os
import re

from ansible import constants as C
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ..module_utils._backup import engine_name
from ..module_utils._errors import BackupError, OptionError
from ..module_utils._options import PROVIDER_OPTIONS, complete, is_given, secrets_in
from ..module_utils._providers import PROVIDERS, Surroundings, connect
from ..plugin_utils._action import hide, register_secrets, validated

try:
    # Where only marked text can be a template, what a service says is none.
    from ansible.template import trust_as_template as _  # noqa: F401
except ImportError:
    from ansible.utils.unsafe_proxy import wrap_var as _never_a_template
else:

    def _never_a_template(value):
        return value


FACTS = ("id", "name", "engine", "version", "environment", "status")
_FILE_NAMES = re.compile(r"^(.+\.)?sources\.ya?ml$")
_CONNECTION = {name for option, about in PROVIDER_OPTIONS.items() for name in [option] + about.get("aliases", [])}
_SECRETIVE = ("api_token", "api_key", "auth", "cloud")
_EXPRESSIONS = ("compose", "groups", "keyed_groups")
_PART = re.compile(r"\{([^{}]*)\}")
_PARTS_OF_A_NAME = ("name", "id", "short_id", "engine", "version", "environment")
# Names that mean something else to Ansible.
_RESERVED = ("all", "ungrouped", "localhost")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "restorable.backups.sources"

    def verify_file(self, path):
        return super().verify_file(path) and bool(_FILE_NAMES.match(os.path.basename(path)))

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        secrets = set()
        try:
            if not isinstance(loader.load_from_file(path, cache="none") or {}, dict):
                raise AnsibleParserError("the file must hold options by their names")
            self._read_config_data(path)
            wanted = filter_of(self.get_option("filters"))
            check_patterns(self.get_option("hostname"))
            params, found = self._connection_params()
            secrets |= found
            register_secrets(secrets)
            provider = connect(params, self._surroundings(secrets))
            provider.require("sources")
            sources = [source for source in self._sources(provider, path, cache) if wanted(source)]
            self._populate(sources, provider.address, handed_on(params, self._given))
        except (BackupError, AnsibleError) as error:
            # Without the cause: newer cores show lines of the file around it, where a credential may stand.
            raise AnsibleParserError("%s: %s" % (path, hide(_text_of(error), secrets))) from None

    # -- options ---------------------------------------------------------------------------------------------------

    def set_options(self, task_keys=None, var_options=None, direct=None):
        """Called by the base class with what the file holds.

        How the service is reached is kept apart, to be read as modules read it, and to let no credential into the
        options. All else is templated before its type is looked at.
        """
        direct = {str(name): value for name, value in (direct or {}).items() if value is not None}
        self.templar.available_variables = self._vars
        self._given = {name: self._evaluated(name, direct.pop(name)) for name in sorted(_CONNECTION & set(direct))}
        for name in direct:
            if name not in _EXPRESSIONS:
                direct[name] = self._evaluated(name, direct[name])
        super().set_options(task_keys, var_options, direct)
        for name in direct:
            if not self.has_option(name):
                raise OptionError(name, "there is no such option")

    def _evaluated(self, option, value):
        """The value of an option that may be a template or come from a vault, of plain types."""
        try:
            return _plain(self.templar.template(value))
        except AnsibleError as error:
            texts = set(_texts(value))
            reason = hide(_text_of(error), texts)
            if option in _SECRETIVE and not any("lookup(" in text for text in texts):
                # A password with {% in it is taken for a template, and the reason quotes what follows there.
                reason = "a template or a vaulted text in it cannot be read (%s)" % type(error).__name__
            raise OptionError(option, reason)

    def _connection_params(self):
        """(validated connection options, secrets found in them)."""
        arguments = {"provider": PROVIDER_OPTIONS["provider"]["default"], **self._given}
        provider = PROVIDERS.get(arguments["provider"])
        if provider is not None:  # else the validation says which there are
            arguments = complete(arguments, PROVIDER_OPTIONS, provider.options, {}, os.environ)
        return validated(arguments, ArgumentSpecValidator(PROVIDER_OPTIONS))

    def _surroundings(self, secrets):
        def learn(secret):
            secrets.add(secret)
            register_secrets([secret])

        def warn(text):
            self.display.warning(hide(text, secrets))

        return Surroundings(warn, os.environ, C.DEFAULT_LOCAL_TMP, learn)

    # -- sources ---------------------------------------------------------------------------------------------------

    def _sources(self, provider, path, cache):
        """The facts of every source, from the cache where it may be asked and knows."""
        use_cache = self.get_option("cache")
        key = cache_key(path, provider)
        if use_cache and cache:
            try:
                return self._cache[key]
            except KeyError:
                pass
        found = [{fact: getattr(source, fact) for fact in FACTS} for source in provider.list_sources()]
        if use_cache:
            self._cache[key] = found
        return found

    def _populate(self, sources, address, connection):
        """Make the hosts, all or, where one of them stands for something else already, none."""
        hosts = {
            host: _as_data(variables_of(source, address, connection))
            for host, source in hostnames(sources, self.get_option("hostname"), self.get_option("prefix")).items()
        }
        for host, variables in hosts.items():
            if host in self.inventory.hosts:
                check_same(host, self.inventory.hosts[host].vars, variables)
        group = self.get_option("group")
        if group:
            group = self.inventory.add_group(self._sanitize_group_name(group))
        strict = self.get_option("strict")
        for host, variables in hosts.items():
            self._populate_host_vars([host], variables, group)
            known = self.inventory.hosts[host].get_vars()
            self._set_composite_vars(self.get_option("compose"), known, host, strict)
            # These look at the host once more, and so see what was composed.
            self._add_host_to_composed_groups(self.get_option("groups"), known, host, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, host, strict)


def handed_on(params, given):
    """The connection options of the file that hold no secret, as variables of the role."""
    return {
        "protect_" + option: params[option]
        for option, about in PROVIDER_OPTIONS.items()
        if option == "provider" or is_given(option, PROVIDER_OPTIONS, given)
        if not about.get("no_log") and not secrets_in({option: params[option]})
    }


def cache_key(path, provider):
    """A text that differs between files and accounts, as far as they are known without a secret."""
    whole = "\n".join((path, provider.name, provider.address))
    return "restorable.backups.sources_" + hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()


def variables_of(source, address, connection):
    """The variables of a source's host."""
    facts = {"backup_source_" + fact: source[fact] for fact in FACTS}
    return {**connection, "protect_source": source["id"], **facts, "backup_source_address": address}


def check_same(host, there, variables):
    """Raise OptionError where a host that is there already stands for another source."""
    # Elsewhere a source may be written by its name, where the service knows it by that.
    same = {"protect_source": (variables["backup_source_id"], variables["backup_source_name"])}
    for name in ("protect_source", "protect_provider", "backup_source_address"):
        if there.get(name) is not None and there[name] not in same.get(name, (variables[name],)):
            raise OptionError(
                "hostname",
                "host %s stands for another source already (%s %s, here %s); set prefix, or another hostname"
                % (host, name, there[name], variables[name]),
            )


# -- filters -----------------------------------------------------------------------------------------------------------


def filter_of(filters):
    """A function that tells whether a source is wanted. Raises OptionError for a filter that cannot be understood."""
    rules = [_rule(fact, wanted) for fact, wanted in filters.items() if wanted is not None]
    return lambda source: all(holds(source) for holds in rules)


def _rule(fact, wanted):
    if fact == "name":
        try:
            pattern = re.compile(str(wanted))
        except re.error as error:
            raise OptionError("filters", "name is no regular expression: %s" % error)
        return lambda source: pattern.search(source["name"] or "") is not None
    if fact not in ("engine", "environment", "status"):
        raise OptionError("filters", "there is no filter %s; there are name, engine, environment, status" % fact)

    def spelled(word):
        return engine_name(word) if fact == "engine" else str(word).lower()

    words = {spelled(word) for word in (wanted if isinstance(wanted, list) else [wanted])}
    return lambda source: source[fact] is not None and spelled(source[fact]) in words


# -- names -------------------------------------------------------------------------------------------------------------


def hostnames(sources, patterns, prefix=""):
    """Host name -> source. Each source gets the first pattern that makes a name no other source has."""
    left = {source["id"]: source for source in sources}
    named = {}
    for make in [lambda source, pattern=pattern: filled(pattern, source) for pattern in patterns] + [certain_name]:
        claims = {}
        for source in left.values():
            name = make(source)
            if name is not None:
                claims.setdefault(prefix + name, []).append(source)
        for name, claimants in claims.items():
            if len(claimants) == 1 and name not in named and name not in _RESERVED:
                named[name] = left.pop(claimants[0]["id"])
    return {name: named[name] for name in sorted(named)}


def check_patterns(patterns):
    for pattern in patterns:
        parts = _PART.findall(pattern) if isinstance(pattern, str) else []
        if not parts or not set(parts) <= set(_PARTS_OF_A_NAME) or re.search("[{}]", _PART.sub("", pattern)):
            known = ", ".join("{%s}" % part for part in _PARTS_OF_A_NAME)
            raise OptionError("hostname", "the pattern %s must be made of %s" % (pattern, known))


def filled(pattern, source):
    """The name that a pattern makes, None where the source lacks a part of it or nothing usable is left."""
    parts = {**source, "short_id": short_id(source["id"])}
    if not all(parts[part] for part in _PART.findall(pattern)):
        return None
    return as_hostname(_PART.sub(lambda part: parts[part.group(1)], pattern)) or None


def certain_name(source):
    """A name that only this source has, and not a pretty one."""
    checksum = hashlib.sha256(source["id"].encode("utf-8")).hexdigest()[:16]
    return "-".join(filter(None, (as_hostname(source["name"] or ""), checksum)))


def short_id(source_id):
    """The first eight digits of an id that is a number, as most are; None for a label or another word."""
    found = re.search(r"[0-9a-f]{8}", source_id)
    return found.group() if found else None


def as_hostname(text):
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


# -- values ------------------------------------------------------------------------------------------------------------


def _plain(value):
    """The value without what ansible-core notes on it; vaulted texts are opened."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _texts(value):
    """All texts that a value is made of, as they were written."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _as_data(value):
    """The value, marked where an older core would take what a service says for a template."""
    if isinstance(value, dict):
        return {name: _as_data(inner) for name, inner in value.items()}
    return _never_a_template(value) if isinstance(value, str) and "{" in value else value


def _text_of(error):
    return str(error.message if isinstance(error, AnsibleError) else error)
