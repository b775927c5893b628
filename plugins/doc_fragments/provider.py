# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How a service is reached; shared by every module that calls one.
    DOCUMENTATION = r"""
options:
  provider:
    description:
      - The flavour of the API that is called. Each has connection options of its own, beside those that all have
        (O(validate_certs), O(ca_path), O(api_timeout), O(api_retries), O(allow_http)).
      - V(cloud66) and V(cloud66_v2), that is Cloud 66 with version 3 and 2 of its API, have O(api_url), O(api_token) and
        O(account).
      - V(trove), that is OpenStack, has O(cloud), O(auth), O(auth_type), O(region_name), O(interface), O(client_cert) and
        O(client_key), as the modules of C(openstack.cloud) have them.
      - V(rackspace), that is Rackspace Cloud Databases, has O(username), O(api_token), O(region_name) and O(api_url).
      - V(backupman) has O(api_url) and O(api_token).
      - An option that the provider does not have is refused, because it was meant for another service.
      - In place of every connection option, and of O(source), stands the variable C(protect_<option>) of the host when the
        option is not set; then the environment variables that are named at the option, read from the task's
        C(environment) and from the controller's. The host's variables are those of its C(protect_provider); a task that
        names another provider gets none of them. So an inventory made for the role P(restorable.backups.protect#role)
        serves ad-hoc commands too.
    type: str
    default: cloud66
    choices:
      - cloud66
      - cloud66_v2
      - trove
      - rackspace
      - backupman
  api_url:
    description:
      - For V(cloud66), V(cloud66_v2), V(rackspace), V(backupman). Address of the API.
      - V(cloud66) and V(cloud66_v2) - a host alone is enough, V(/api/3) or V(/api/2) at its end is understood.
        V(https://app.cloud66.com) when neither this nor E(CLOUD66_API_URL) is set.
      - V(rackspace) - the address of the identity service. V(https://identity.api.rackspacecloud.com) when neither this nor
        E(RAX_AUTH_URL) is set.
      - V(backupman) - the address of your server, required here or as E(BACKUPMAN_URL).
    type: str
  api_token:
    description:
      - For V(cloud66), V(cloud66_v2), V(rackspace), V(backupman). The secret that the API is called with.
      - V(cloud66) and V(cloud66_v2) - a token, or E(CLOUD66_TOKEN). Reading needs the scope C(public), writing the scope
        C(admin).
      - V(rackspace) - the API key of O(username), or E(RAX_API_KEY).
      - V(backupman) - the server's API key, or E(BACKUPMAN_API_KEY).
      - It never appears in output, and it never leaves the controller unless you allow it with
        O(restorable.backups.backup_file_fetch#module:credentials_on_host).
    type: str
    aliases:
      - api_key
  account:
    description:
      - For V(cloud66), V(cloud66_v2). Id of the account to use, for tokens that may use several, or E(CLOUD66_ACCOUNT).
        Sent as C(X-Account).
    type: str
    aliases:
      - account_id
  username:
    description:
      - For V(rackspace). The user that the API key belongs to, or E(RAX_USERNAME).
    type: str
  cloud:
    description:
      - For V(trove). Name of a cloud in C(clouds.yaml), or E(OS_CLOUD); or a dictionary with what would stand there.
      - Without it, O(auth) or the usual variables of OpenStack (E(OS_AUTH_URL) and others) say where the cloud is.
    type: raw
  auth:
    description:
      - For V(trove). What the plugin O(auth_type) needs, such as C(auth_url), C(username), C(password),
        C(project_name), C(user_domain_name), or C(application_credential_id) and C(application_credential_secret).
    type: dict
  auth_type:
    description:
      - For V(trove). Name of the authentication plugin, such as V(password) or V(v3applicationcredential).
    type: str
  region_name:
    description:
      - For V(trove), V(rackspace). Region whose services are used, or E(OS_REGION_NAME) and E(RAX_REGION).
    type: str
    aliases:
      - region
  interface:
    description:
      - For V(trove). Which of a service's endpoints to use. V(public) when not set anywhere.
    type: str
    choices:
      - public
      - internal
      - admin
    aliases:
      - endpoint_type
  client_cert:
    description:
      - For V(trove). File of a certificate to show to the services, on the controller.
    type: path
    aliases:
      - cert
  client_key:
    description:
      - For V(trove). File of the key of O(client_cert), where that does not hold it.
    type: path
    aliases:
      - key
  validate_certs:
    description: Whether the TLS certificate of the service must be valid.
    type: bool
    default: true
  ca_path:
    description:
      - File or folder of certificates of authorities to trust, in place of the system's.
      - C(REQUESTS_CA_BUNDLE) in the environment is heeded when this is not set.
    type: path
    aliases:
      - ca_cert
      - cacert
  api_timeout:
    description: Seconds to wait for a connection, and for each part of an answer.
    type: float
    default: 30.0
  api_retries:
    description:
      - How often a request that only reads is sent again after a connection error, a throttled answer or a server
        error, with growing pauses, or after the pause that the service asks for.
      - A request that writes is never sent again.
    type: int
    default: 4
  allow_http:
    description: Allow C(http://) to other hosts than this one. The credential then travels in clear.
    type: bool
    default: false
requirements:
  - requests >= 2.31 (on the controller)
  - cronsim >= 2.6 (on the controller, for cron expressions)
  - openstacksdk >= 4.0 (on the controller, for O(provider=trove) only)
"""

    # What is backed up, where exactly one source is meant.
    SOURCE = r"""
options:
  source:
    description:
      - What is backed up. For V(cloud66) and V(cloud66_v2) the UID of a stack, for V(trove) and V(rackspace) the id or name of
        an instance, for V(backupman) the label of a data source.
      - V(*) means all that the account has, for V(trove), V(rackspace) and V(backupman), where only reading is meant.
      - The host's variable C(protect_source) is used when this is not set.
    type: str
    required: true
    aliases:
      - stack
      - stack_id
      - instance
      - instance_id
      - label
"""

    # What is backed up, where many sources may be asked at once.
    SOURCES = r"""
options:
  source:
    description:
      - What is backed up. For V(cloud66) and V(cloud66_v2) the UID of a stack, for V(trove) and V(rackspace) the id or name of
        an instance, for V(backupman) the label of a data source.
      - V(*) means all that the account has, for V(trove), V(rackspace) and V(backupman), where only reading is meant.
      - Either this or O(sources) is needed. The host's variable C(protect_source) is used when neither is set.
    type: str
    aliases:
      - stack
      - stack_id
      - instance
      - instance_id
      - label
  sources:
    description:
      - Several sources, asked at the same time. One that fails does not lose the others.
      - Either this or O(source) is needed.
    type: list
    elements: str
    aliases:
      - stacks
      - instances
      - labels
  group:
    description:
      - For V(cloud66). Only backups of this database group of the source.
    type: int
    aliases:
      - group_id
  datastore:
    description:
      - For V(trove), V(rackspace). Only backups of this datastore, by its exact name or its id.
    type: str
"""

    # Waiting for the first backup that a request leads to.
    WAIT = r"""
options:
  wait:
    description: Wait until the backup that was asked for is listed. One that has failed ends the wait at once.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait at the most.
    type: int
    default: 7200
  wait_interval:
    description: Seconds between two looks.
    type: int
    default: 30
  state_dir:
    description:
      - Folder on the controller for the markers of what was asked of the service.
      - C(restorable.backups) below C($XDG_STATE_HOME) (C(~/.local/state)) when not set. The environment variable
        E(RESTORABLE_STATE_DIR) is used when this is not set.
      - Put it on storage that outlives the controller where that is a container. A relative path is refused.
    type: path
"""
