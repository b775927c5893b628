#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_drill
short_description: Prove that a backup can be restored
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Reads a backup as M(restorable.backups.backup_file_verify) does, restores it into a scratch database on the host of the task,
    asserts what must be in it, measures how long that took, writes the proof, and leaves nothing else behind.
  - The scratch server is started by the module in a private folder, listens on a socket in there only, runs as an
    unprivileged user when the task runs as root, uses little memory and gives way to other processes. With O(login_host)
    or O(login_unix_socket) an existing server is used instead, with a new database that is dropped in the end.
    Nothing that existed before is ever written to.
  - A dump is taken for untrusted input. Shell escapes, programs and files of the server, and other databases are out of its
    reach. The page C(docs/drill.md) of the collection says how.
  - What a drill that was killed has left behind is removed by the next one.
requirements:
  - The programs of the engine on the host, such as those of the packages C(postgresql), C(mariadb-server) and C(mariadb-backup),
    C(redis-server), or MongoDB's C(mongod) with C(mongorestore) or the Python package C(pymongo). SQLite needs nothing.
extends_documentation_fragment:
  - restorable.backups.backup_file
  - restorable.backups.backup_file.on_host
options:
  engine:
    description: Restore the dumps of this engine only. With V(auto) all that the backup holds.
    type: str
    default: auto
    choices: [auto, postgresql, mysql, redis, mongodb, sqlite]
  member:
    description: Restore this dump only, named as in RV(restorable.backups.backup_file_verify#module:contents[].member).
    type: str
  parents:
    description: The backups that an incremental one builds on, the full one first.
    type: list
    elements: path
    default: []
  jobs:
    description: How many things are done at once where the format allows it. The number of processors when not set.
    type: int
  bin_dir:
    description: Folder of the engine's programs. When not set they are looked for, and a version that fits the dump is chosen.
    type: path
  memory_mb:
    description: How much memory the scratch server may use for its caches, in MiB.
    type: int
    default: 256
  scratch_dir:
    description:
      - Folder on the host in which the scratch server's private folder is made. The system's temporary folder when not set.
      - Its path must be short, because that of a socket may have 107 bytes.
    type: path
  space_factor:
    description: How much space must be free in O(scratch_dir), as a multiple of the plain size of the dump.
    type: float
    default: 3
  timeout:
    description: Seconds after which a program of the restore is stopped.
    type: int
    default: 14400
  login_host:
    description: Host of an existing server to restore into.
    type: str
  login_port:
    description: Its port.
    type: int
  login_user:
    description: A user of it who may make databases.
    type: str
  login_password:
    description: The password of that user. It is never put into an argument list, and kept by nothing.
    type: str
  login_unix_socket:
    description: Socket of the existing server, or the folder of it for PostgreSQL.
    type: path
  login_database:
    description: Database to connect to first.
    type: str
  expect_counts:
    description: Whether each table must have as many rows after the restore as the file holds.
    type: bool
    default: true
  tables:
    description: Tables that must be there after the restore.
    type: list
    elements: str
    default: []
  min_rows:
    description: How many rows there must be at least, by the name of the table.
    type: dict
  queries:
    description: Questions to the restored database, in a transaction that cannot write.
    type: list
    elements: dict
    default: []
    suboptions:
      sql:
        description:
          - The query. For Redis a command such as C(GET greeting).
          - 'For MongoDB JSON such as C({"db": "shop", "collection": "orders", "pipeline": [{"$count": "n"}]}).'
        type: str
        required: true
      database:
        description: The database to ask, where the backup holds several.
        type: str
      expect:
        description:
          - The answer. One value, a row, or a list of rows; values are compared as the database prints them.
          - A row of one NULL is C([null]).
        type: raw
      min:
        description: The least number that it may answer.
        type: float
      max:
        description: The largest number that it may answer.
        type: float
  max_restore_seconds:
    description: How long the restore may take. This is your recovery time objective.
    type: float
  compare:
    description: Compare with the live database.
    type: dict
    suboptions:
      mode:
        description:
          - V(counts) compares the rows of each table, V(checksum) their content as well, and the definitions of tables, views,
            indexes and whatever else the engine has. Only the latter notices a dump that restores without an error to other bytes.
          - V(definitions) compares definitions alone, for a dump that holds a schema and no rows.
        type: str
        default: counts
        choices: [counts, checksum, definitions]
      tables:
        description: Only these tables, by their names without quotes. A partitioned table stands for its partitions. All when not set.
        type: list
        elements: str
      tolerance:
        description:
          - How many rows a live table may have more or fewer, because it was written to since.
          - A table that differs by no more than that, but differs, is not asked for its checksum. A sequence of PostgreSQL
            may be ahead by as many numbers as such rows can have taken.
        type: int
        default: 0
      database:
        description:
          - The live database. Of a backup of several databases only this one is compared.
          - Without it, all that are in the backup and may be seen there.
        type: str
      login_host:
        description: Host of the live server.
        type: str
      login_port:
        description: Its port.
        type: int
      login_user:
        description: A user of it. One who may only read is enough.
        type: str
      login_password:
        description: The password of that user.
        type: str
      login_unix_socket:
        description: Socket of the live server, or the folder of it for PostgreSQL.
        type: path
  source:
    description: What the backup is of, for the proof.
    type: str
  backup_id:
    description: Which backup it is, for the proof.
    type: str
  proof_dir:
    description:
      - Folder on the host for the proofs, in a folder for each O(source). Each proof holds the digest of the one before it.
        P(restorable.backups.proof_chain_problems#filter) verifies a chain.
      - No proof is written when this is not set, and none in check mode.
    type: path
  fail_on_violation:
    description: Whether the task fails when the backup is not proven.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - Reads the file, chooses the programs, and says what would be restored where. Fails where the real run fails before
        it restores.
notes:
  - The task is never changed, whatever it did in its scratch database.
seealso:
  - module: restorable.backups.backup_file_fetch
  - module: restorable.backups.backup_file_verify
"""

EXAMPLES = r"""
- name: The backup can be restored, with every row that it holds
  restorable.backups.backup_drill:
    path: /srv/backups/shop.tar

- name: It can be restored within a minute, and yesterday's orders are in it
  restorable.backups.backup_drill:
    path: /srv/backups/shop.tar
    engine: postgresql
    max_restore_seconds: 60
    min_rows:
      customers: 1000
    queries:
      - sql: SELECT count(*) FROM "order" WHERE note IS NOT NULL
        min: 1
    source: shop
    proof_dir: /srv/proofs
  register: drill
"""

RETURN = r"""
proven:
  description: Whether the backup was restored and everything that was asserted held.
  returned: when it was tried
  type: bool
violations:
  description: All ways in which it is not proven.
  returned: when the file could be read
  type: list
  elements: dict
  contains:
    code:
      description:
        - Stable name, one of V(file_invalid), V(nothing_to_restore), V(restore_failed), V(unsafe), V(table_missing), V(count_mismatch), V(missing_table),
          V(too_few_rows), V(query_failed), V(query_mismatch), V(too_slow), V(live_mismatch), V(checksum_mismatch) and V(definition_mismatch).
      returned: always
      type: str
      sample: checksum_mismatch
    member:
      description: The dump it is about.
      returned: always
      type: str
    message:
      description: One sentence for people.
      returned: always
      type: str
    observed:
      description: What was found. With V(file_invalid) the code of the problem.
      returned: always
      type: raw
    expected:
      description: What was asked for.
      returned: always
      type: raw
plan:
  description: What would be restored where.
  returned: in check mode
  type: list
  elements: dict
verified:
  description: What reading the file found, as RV(restorable.backups.backup_file_verify#module:problems) and what stands beside it.
  returned: when the file could be read
  type: dict
restored:
  description: Each dump that was restored.
  returned: when it was tried
  type: list
  elements: dict
  contains:
    member:
      description: The dump.
      returned: always
      type: str
    engine:
      description: Its engine.
      returned: always
      type: str
    format:
      description: Its format.
      returned: always
      type: str
    dump_version:
      description: The version of the server that was dumped, where the dump says so.
      returned: always
      type: str
    server_version:
      description: The version of the server that it was restored into.
      returned: always
      type: str
    tables:
      description:
        - The tables after the restore, with C(database), C(name) and C(rows).
        - The rows are V(null) for a view of MongoDB, and for an unlogged table of a base backup, which holds none of its rows.
      returned: always
      type: list
      elements: dict
    rows:
      description: All rows together.
      returned: always
      type: int
    checksums:
      description: Checksums of the tables that were compared with the live database.
      returned: always
      type: list
      elements: dict
    asserted:
      description: What was asserted, and whether it held.
      returned: always
      type: list
      elements: dict
    left_out:
      description: What of the dump was left out, because a scratch database has no use for it. Owners and grants, for example.
      returned: always
      type: list
      elements: str
    notes:
      description: What is good to know about the restore.
      returned: always
      type: list
      elements: str
    bin_dir:
      description: Where the programs were found.
      returned: always
      type: str
    timings:
      description: Seconds for C(start), C(restore) and C(assert).
      returned: always
      type: dict
    plain_bytes:
      description: Size of the dump without compression.
      returned: always
      type: int
    bytes_per_second:
      description: How much of it was restored in a second.
      returned: always
      type: int
timings:
  description: Seconds for C(verify), C(start), C(restore), C(assert) and C(total).
  returned: when it was tried
  type: dict
bytes_per_second:
  description: How much was restored in a second, without compression.
  returned: when it was tried
  type: int
proof:
  description: The record of the drill, as it was written to O(proof_dir).
  returned: when it was tried
  type: dict
proof_path:
  description: The file of the proof, V(null) when O(proof_dir) is not set.
  returned: when it was tried
  type: str
"""

from ansible_collections.restorable.backups.plugins.module_utils._host_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations import drill


def main():
    main_for(drill.SPEC, lambda module: drill.run(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
