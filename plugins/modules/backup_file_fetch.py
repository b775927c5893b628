#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_file_fetch
short_description: Fetch a backup to a host, resumed, checked and put in place at once
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Brings the files of one backup to the host of the task, as one joined file or as its parts.
  - The API is asked on the controller; the host gets signed URLs that expire within minutes, one for each part and just
    before it is fetched, and no credential. It needs Python and nothing else, and a way to the storage.
  - Services that do not sign (Backupman, object stores of OpenStack) want the credential with every download. It stays
    on the controller unless O(credentials_on_host=true). With a local connection the module then asks a relay on the
    loopback address, which adds the credential and lives no longer than the task. With any other connection the backup
    is received and checked on the controller, in O(spool_dir), handed on through the connection, and checked again.
  - What arrives is written to a hidden folder beside the destination (C(.NAME.partial)), several parts at a time,
    each at its own place in the joined file, and hashed in the same pass. Only the whole and checked backup is
    renamed to its destination, which therefore is at every moment absent, as it was before, or exactly right.
  - A run that was interrupted in any way is gone on with by the next one. Bytes that have arrived are not fetched again
    as long as the storage still holds the same content (C(If-Range)).
  - Status, length and range of every answer are checked, and an error page is never taken for a backup.
    For files that are named as archives or compressed data neither is text or JSON, nor a small first part of a tar
    that does not begin as a tar does.
  - Where the service says the MD5 of a part, as an object store does of each segment of a large object, size and MD5 of
    the part must be right. One that is not is fetched once more; if it is wrong again the task fails with the code
    V(checksum_mismatch) and the name of the part, and the destination stays as it was.
  - Long fetches are carried out in slices; a line of progress is shown for each part and each slice, on the standard
    error.
extends_documentation_fragment:
  - restorable.backups.provider
  - restorable.backups.provider.source
  - restorable.backups.attributes
  - restorable.backups.attributes.writing
attributes:
  action:
    description: Runs on the controller, and so needs no connection and no Python on the host.
    support: partial
    details:
      - The API is asked on the controller; the bytes are received by a module on the host, which needs Python 3.8 or
        later and no library.
  platform:
    description: Target operating systems.
    support: full
    platforms: posix
options:
  _plan:
    description: Internal, what the action plugin sends to the host. Refused in a playbook.
    type: str
  id:
    description:
      - Id of the backup. Either this or O(latest=true) is needed.
      - A backup that is known to have failed, or is still being made, is refused unless O(force=true).
    type: str
    aliases:
      - backup_id
  latest:
    description:
      - Fetch the newest good backup of those that O(series), O(engine) and O(database) leave.
      - It fails where these belong to several databases, since nobody could tell which one is meant.
    type: bool
    default: false
  series:
    description: Only a backup of this series, named by its whole key or by its last part.
    type: str
  engine:
    description: Only a backup of this database engine. With O(id) the backup must be of this engine.
    type: str
    aliases:
      - db_type
  database:
    description: Only a backup of this database. With O(id) the backup must be of this database.
    type: str
    aliases:
      - database_name
  dest:
    description:
      - Path on the host. An existing folder, or a path that ends in a slash, is a folder to put the backup into,
        under a name made of engine, database, time and id. Anything else is the file itself.
      - The folder must exist. A symbolic link stays, and what it points to is replaced.
      - Names that come from the service never lead out of this folder.
      - A relative path is taken from the folder that the module runs in on the host, commonly the home of the remote
        user; an absolute one is clearer. An empty one is refused.
    type: path
    required: true
  parts:
    description:
      - V(join) makes one file of all parts, which is what the backup was before the service cut it.
      - V(keep) keeps the parts as files in a folder named after the backup; O(dest) must be a folder then.
    type: str
    default: join
    choices:
      - join
      - keep
  checksum:
    description:
      - Expected SHA-256 of the whole backup (of all parts in order), as V(sha256:) and 64 hexadecimal digits.
      - Where it differs the task fails and the destination stays as it was.
    type: str
  mode:
    description:
      - Permissions of the file, octal or symbolic. With O(parts=keep) of every part, and of the folder with the right
        to enter for all who may read.
      - Until they are set nobody but the owner can read what arrives.
    type: raw
    default: "0600"
  owner:
    description:
      - User who shall own the file, a name that the host knows or a number.
      - An unknown one is refused before anything is fetched, in check mode too, and so is a wrong O(group) or O(mode).
    type: str
  group:
    description: Group that shall own the file.
    type: str
  force:
    description:
      - Fetch even if the destination holds the backup already, even if the backup given by O(id) is known to be bad,
        and even if other backups share its stored file, so that nobody can tell whose data it is.
      - The result is changed then, whether the bytes differ or not.
    type: bool
    default: false
  keep_partial:
    description:
      - Keep what has arrived when a fetch fails, for the next run to go on from. A run that was killed always leaves
        it.
      - After a wrong O(checksum) it is good for a run with another one, in case this one was mistyped; the next run
        with the same one fetches anew.
      - When the disk has run full during the fetch it is removed in any case, because a full disk harms all that runs
        there.
    type: bool
    default: true
  credentials_on_host:
    description:
      - Whether a credential that a download needs may go to the host, which then downloads by itself.
      - It is sent over TLS only, unless O(allow_http=true), to the server that the API names, and to no other that this
        one may redirect to. On the host it is in the memory of the module, and without pipelining in Ansible's own
        temporary file, as all arguments of modules are.
      - Of no meaning where signed URLs do.
    type: bool
    default: false
    version_added: 0.1.0
  spool_dir:
    description:
      - Folder on the controller for backups on their way to hosts that must not see the credential. It needs room for
        the whole of each; what is in it is readable for the user of the controller only, and removed at the end of the
        task. After a failure what has arrived is kept there if O(keep_partial=true), for the next run.
      - An absolute path. The default is C(restorable.backups/spool) in E(XDG_CACHE_HOME) or C(~/.cache).
      - E(RESTORABLE_SPOOL_DIR) stands in for it.
    type: path
    version_added: 0.1.0
  workers:
    description: How many parts to fetch at the same time, 1 to 32.
    type: int
    default: 4
  progress_interval:
    description:
      - Seconds that a slice lasts, and so the time between two lines of progress. Each slice costs a start of the
        module on the host. V(0) fetches everything in one go, without a line.
      - A storage that cannot resume a part is not interrupted in it.
    type: int
    default: 20
notes:
  - Unchanged means proved. A hidden note beside the destination (C(.NAME.restorable.json)) tells which backup was
    fetched and its checksum, and the file is read to its end and must have that checksum. Without such a note a file
    is unchanged only if it has the O(checksum) that is given; otherwise the backup is fetched and replaces it.
  - Two runs that fetch to the same destination do not mix. The second fails, or goes on from where the first has
    stopped if that one has died.
  - Free space is compared with what is still to come before the first byte where the API knows the size, and
    otherwise as soon as the storage tells the sizes of parts. Before a backup is handed on through the connection there
    must be room for it both in Ansible's temporary folder on the host and beside the destination.
  - The hidden folder belongs to a destination, not to a backup. A fetch of another backup to the same destination
    replaces it.
  - Proxies are taken from the environment of the host (C(http_proxy), C(https_proxy), C(no_proxy)), or of the
    controller where that downloads; the task's C(environment) can set them. Certificates of O(ca_path) are handed to
    the host and trusted there beside its own.
  - In check mode the destination is looked at, and read where a note says that it holds the backup; no signed URL is
    asked for.
seealso:
  - module: restorable.backups.backup_info
  - module: restorable.backups.backup_check
"""

EXAMPLES = r"""
- name: Fetch the newest good backup into a folder
  restorable.backups.backup_file_fetch:
    source: "{{ stack }}"
    latest: true
    dest: /srv/backups/

- name: Fetch the newest PostgreSQL backup of one database to a file that a group may read
  restorable.backups.backup_file_fetch:
    stack_id: "{{ stack }}"
    latest: true
    engine: postgresql
    database: "{{ database }}"
    dest: /srv/backups/newest.tar
    mode: "0640"
    group: backup

- name: Fetch a certain backup in its parts
  restorable.backups.backup_file_fetch:
    source: "{{ stack }}"
    id: "{{ backup_id }}"
    dest: /srv/backups
    parts: keep
  register: fetched

- name: Prove that a copy made earlier still is this backup, to the last bit
  restorable.backups.backup_file_fetch:
    source: "{{ stack }}"
    id: "{{ backup_id }}"
    dest: /srv/backups/certain.tar
    checksum: "sha256:{{ fetched.sha256 }}"
"""

RETURN = r"""
dest:
  description: The file, or with O(parts=keep) the folder of the parts.
  returned: success
  type: str
  sample: /srv/backups/postgresql-shop-20260131T030012Z-1874.tar
sha256:
  description: SHA-256 of the whole backup, of all its parts in order. V(null) in check mode before it was ever fetched.
  returned: success
  type: str
  sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
size_bytes:
  description: Size of the whole backup. V(null) in check mode before it was ever fetched.
  returned: success
  type: int
  sample: 1073741824
backup:
  description: The backup, as in RV(restorable.backups.backup_info#module:backups).
  returned: success
  type: dict
files:
  description: The parts in order.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The service's id of the part.
      returned: always
      type: str
      sample: tar-aa
    name:
      description: Its name, made safe.
      returned: always
      type: str
      sample: tar-aa
    path:
      description: Where it is, V(null) for parts that were joined.
      returned: always
      type: str
    size_bytes:
      description: Its size, V(null) if that is not known yet.
      returned: always
      type: int
      sample: 367001600
    sha256:
      description: Its SHA-256, V(null) for one of several that were joined, since only the whole is hashed then.
      returned: always
      type: str
bytes_received:
  description: Bytes that this run took from the storage.
  returned: success
  type: int
  sample: 1073741824
bytes_resumed:
  description: Bytes that an earlier, interrupted run had left.
  returned: success
  type: int
  sample: 0
failure:
  description: Why the task failed.
  returned: failure
  type: dict
  contains:
    code:
      description: >-
        A stable word, among them V(backup_failed), V(no_backups), V(collision), V(bad_dest), V(no_space), V(busy),
        V(checksum_mismatch), V(damaged) for what changed between controller and host, V(storage) for what the storage
        refuses, and the API's own.
      returned: always
      type: str
      sample: checksum_mismatch
    message:
      description: The same as RV(ignore:msg).
      returned: always
      type: str
    details:
      description: What a playbook may want to know.
      returned: always
      type: dict
"""

import json
import traceback

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.restorable.backups.plugins.module_utils import _receive
from ansible_collections.restorable.backups.plugins.module_utils._operations._fetch_options import SPEC


def main():
    module = AnsibleModule(**SPEC)
    if not module.params["_plan"]:
        module.fail_json(
            msg="This module is sent to hosts by its action plugin, which asks the API; it cannot run on its own."
        )
    order = json.loads(module.params["_plan"])
    order["dest"] = module.params["dest"]
    urls = set(order["urls"].values())
    credentials = set().union(*map(_receive.credentials_of, order["credentials"].values()))
    module.no_log_values.update(urls | credentials)

    def clean(text):
        return _receive.without_signatures(text, urls, credentials)

    try:
        module.exit_json(**carry_out(module, order))
    except _receive.ReceiveError as error:
        message = clean(error.message)
        module.fail_json(msg=message, failure={"code": error.code, "message": message, "details": error.details})
    except Exception as error:  # pylint: disable=broad-exception-caught  # its own text could hold a URL
        message = clean("%s: %s" % (type(error).__name__, error))
        module.fail_json(msg=message, exception=clean(traceback.format_exc()))


def carry_out(module, order):
    """What the order asks for, as keywords for exit_json."""

    def apply_attributes(path, is_folder):
        wanted = (
            dict(module.params, mode=_receive.readable_mode(module.params["mode"], True))
            if is_folder
            else module.params
        )
        return module.set_fs_attributes_if_different(module.load_file_common_arguments(wanted, path), False)

    if order["do"] == "release":
        return {"changed": False, "answer": _receive.release(order)}
    # What would show only when all bytes are here is said before the first one, and in check mode too.
    _receive.check_attributes(*[module.params[option] for option in ("mode", "owner", "group")])
    if order["do"] == "inspect" or module.check_mode:
        answer = _receive.inspect(order)
    else:
        _receive.check_rights(module.params["owner"], module.params["group"])
        answer = _receive.receive(order, apply_attributes)
    if answer["state"] == "needed":
        _receive.check_rights(module.params["owner"], module.params["group"])
    answer["diff"] = difference(module.params, order, answer)
    answer["attributes_changed"] = False
    if answer["state"] == "current":
        paths = [(answer["path"], order["kept"])] + [(file["path"], False) for file in answer["files"] if file["path"]]
        # All of them first: any() alone would stop at the first that changed.
        applied = [apply_attributes(path, is_folder) for path, is_folder in paths]
        answer["attributes_changed"] = any(applied)
    return {"changed": answer["attributes_changed"] or answer["state"] == "done", "answer": answer}


def difference(params, order, answer):
    """The diff of what is known before a byte is fetched; the same in check mode and in a real run."""
    before = answer.pop("before")
    after = {
        "path": answer["path"],
        "state": "folder" if order["kept"] else "file",
        "backup_id": order["backup"]["id"],
        "created_at": order["backup"]["created_at"],
        "parts": len(order["files"]),
        "mode": _receive.readable_mode(params["mode"], order["kept"]),
    }
    for option in ("owner", "group"):
        if params[option] is None:
            del before[option]
        else:
            after[option] = params[option]
    return {"before": before, "after": after}


if __name__ == "__main__":
    main()
