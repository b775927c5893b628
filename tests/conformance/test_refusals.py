# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused: credentials that are missing or wrong, options of others, operations that a service has not got."""

from __future__ import annotations

from .adapters.base import WRONG
from .runner import OPERATIONS, load

# How each operation is asked for.
MODULES = {
    "list": ("backup_info", {}),
    "schedule": ("backup_task", {}),
    "unschedule": ("backup_task", {"state": "absent"}),
    "run": ("backup_run", {}),
    "import": ("backup_import", {}),
    "delete": ("backup_run", {"state": "absent", "id": "17"}),
}
# The modules whose options only some providers have, by the operation that needs these.
OWN_OPTIONS = {
    "list": ("backup_info", "_operations._reading", "LIST_FILTERS"),
    "schedule": ("backup_task", "_operations.task", "SETTINGS"),
    "run": ("backup_run", "_operations.run_backup", "_REQUESTED"),
    "import": ("backup_import", "_operations.import_backup", "_REQUEST_OPTIONS"),
}
SAMPLES = {"int": 1, "bool": True, "str": "sample", "list": ["sample"], "dict": {"sample": "sample"}, "raw": "sample",
           "path": "/dev/null"}


def nothing_was_asked(service):
    return service.calls() == [] and service.token_requests() == 0


def test_a_wrong_credential_is_refused(run, service):
    service.fill(1)
    outcome = run("backup_info", source=service.source, connection=service.with_wrong_credential())
    assert isinstance(outcome.error, load("_errors").AuthError), outcome.error
    assert outcome.code in ("refused", "unauthenticated", "unauthorized")
    # It says where to look, and is not tried again and again: services lock accounts for that.
    assert any(word in outcome.error.message for word in ("api_token", "auth", "cloud", "credential"))
    assert len(service.calls()) + service.token_requests() == 1


def test_a_wrong_credential_writes_nothing(run, service, write):
    wanted = service.write(write)
    outcome = run(wanted.module, source=service.source, connection=service.with_wrong_credential(), **wanted.options)
    assert isinstance(outcome.error, load("_errors").AuthError), outcome.error
    assert WRONG not in outcome.error.message


def test_a_missing_credential_is_said_before_any_request(run, service):
    outcome = run("backup_info", source=service.source, connection=service.without_credential())
    assert isinstance(outcome.error, load("_errors").OptionError), outcome.error
    assert outcome.error.message.startswith(service.credential + ": ")
    assert nothing_was_asked(service)


def test_a_connection_option_of_others_is_refused_before_any_request(run, service):
    options = load("_options")
    provider = load("_providers").PROVIDERS[service.name]
    foreign = set(options.PROVIDER_OPTIONS) - set(options.SHARED_OPTIONS) - set(provider.options)
    for option in sorted(foreign):
        sample = SAMPLES[options.PROVIDER_OPTIONS[option]["type"]]
        outcome = run("backup_info", source=service.source, **{option: sample})
        assert isinstance(outcome.error, load("_errors").OptionError), option
        assert outcome.error.details["option"] == option and service.name in outcome.error.message
    assert nothing_was_asked(service)


def test_a_request_option_of_others_is_refused_before_any_request(run, service):
    provider = load("_providers").PROVIDERS[service.name]
    tried = 0
    for operation in set(OWN_OPTIONS) & provider.capabilities:
        module, place, names = OWN_OPTIONS[operation]
        spec = load(f"_operations.{OPERATIONS[module]}").SPEC
        about = spec["argument_spec"]
        # What the module wants of this provider in any case stands beside the option.
        needed = {name for rule in spec.get("required_if", ()) if rule[1] == service.name for name in rule[2]}
        for option in set(getattr(load(place), names)) - set(provider.understands.get(operation, ())):
            given = {name: SAMPLES[about[name]["type"]] for name in needed | {option}}
            outcome = run(module, **{**given, "source": service.source})
            assert isinstance(outcome.error, load("_errors").OptionError), (operation, option, outcome)
            assert outcome.error.details["option"] == option
            tried += 1
    assert tried
    assert nothing_was_asked(service)


def test_what_a_service_cannot_do_is_said_before_any_request(run, service):
    providers = load("_providers")
    provider = providers.PROVIDERS[service.name]
    for operation in set(providers.OPERATIONS) - provider.capabilities:
        if operation in MODULES:
            module, options = MODULES[operation]
            error = run(module, source=service.source, **options).error
        else:
            error = refusal(run.provider(), operation)
        assert isinstance(error, load("_errors").UnsupportedError), (operation, error)
        assert error.details == {"provider": service.name, "operation": operation}
        assert error.message.startswith(f"provider {service.name} cannot ")
        assert error.message.endswith(provider.instead[operation])
    assert nothing_was_asked(service)


def refusal(provider, operation):
    try:
        provider.require(operation)
    except load("_errors").UnsupportedError as error:
        return error
    return None


def test_each_operation_is_either_there_or_has_a_way_around(service, collections_path):
    providers = load("_providers")
    provider = providers.PROVIDERS[service.name]
    assert set(provider.instead) == set(providers.OPERATIONS) - provider.capabilities
    assert provider.capabilities <= set(providers.OPERATIONS) | set(providers.FACTS)


def test_the_adapter_has_every_write_that_the_provider_declares(service, collections_path):
    """So that a new capability cannot stay out of the suite."""
    declared = load("_providers").PROVIDERS[service.name].capabilities
    assert {"schedule", "unschedule", "run", "import", "delete"} & declared == set(service.writes) - {"reschedule"}


def test_an_account_is_told_from_another_without_a_secret(run, service):
    address = run.provider().address
    assert address and not any(secret in address for secret in service.secrets)
    assert nothing_was_asked(service)
