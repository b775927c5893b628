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
      - The flavour of the API that is called.
      - For this option, O(source) and every option that says how the service is reached, the variable
        C(protect_<option>) of the host is used when the option is not set, before the environment is. So an inventory
        made for the role P(restorable.backups.protect#role) serves ad-hoc commands too.
    type: str
    default: cloud66
    choices:
      - cloud66
  api_url:
    description:
      - Address of the API. A host alone is enough; V(/api/3) at its end is understood.
      - The environment variable E(CLOUD66_API_URL) is used when this is not set.
    type: str
    default: https://app.cloud66.com
  api_token:
    description:
      - Token that the API is called with. Reading needs the scope C(public), writing the scope C(admin).
      - The environment variable E(CLOUD66_TOKEN) is used when this is not set. It is read on the controller, or from
        the task's C(environment).
      - It never leaves the controller, and never appears in output.
    type: str
  account:
    description:
      - Id of the account to use, for tokens that may use several. Sent as C(X-Account).
      - The environment variable E(CLOUD66_ACCOUNT) is used when this is not set.
    type: str
    aliases:
      - account_id
  validate_certs:
    description: Whether the TLS certificate of the service must be valid.
    type: bool
    default: true
  ca_path:
    description:
      - File or folder of certificates of authorities to trust, in place of the system's.
      - C(REQUESTS_CA_BUNDLE) in the environment is heeded when this is not set.
    type: path
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
    description: Allow C(http://) to other hosts than this one. The token then travels in clear.
    type: bool
    default: false
requirements:
  - requests >= 2.31 (on the controller)
  - cronsim >= 2.6 (on the controller, for cron expressions)
"""

    # What is backed up, where exactly one source is meant.
    SOURCE = r"""
options:
  source:
    description:
      - What is backed up. For V(cloud66) the UID of a stack.
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
      - What is backed up. For V(cloud66) the UID of a stack.
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
    description: Only backups of this database group of the source.
    type: int
    aliases:
      - group_id
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
