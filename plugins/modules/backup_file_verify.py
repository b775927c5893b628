#!/usr/bin/python

# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_file_verify
short_description: Read a backup file to its last byte and say what is in it
version_added: 0.1.0
author:
  - Restorable Backups contributors (@restorable)
description:
  - Reads a backup as a stream, in bounded memory, and unpacks nothing to the disk. Every checksum that the formats have is
    compared, every framing followed to its end, and tables, collections or keys are counted with their rows.
  - Understands the tar of Cloud 66, whole or in parts; SQL dumps of C(pg_dump), C(pg_dumpall), C(mysqldump), C(mariadb-dump)
    and Backupman; C(pg_dump)'s custom, directory and tar formats; C(pg_basebackup) with its manifest; C(xbstream) of MariaDB and
    Percona; Redis RDB and AOF; C(mongodump) archives and folders; SQLite files. All of them plain or compressed with gzip, bzip2,
    xz or zstandard, and inside of tars.
  - An encrypted file is reported as such and never called valid.
  - The page C(docs/verify.md) of the collection says what each format can tell, and what only a restore can
    (M(restorable.backups.backup_drill)).
  - Reads with C(isal) where that Python package is installed on the host, which makes gzip twice as fast.
extends_documentation_fragment:
  - restorable.backups.backup_file
  - restorable.backups.backup_file.on_host
options:
  expect:
    description:
      - What must be in the backup. What is not set is not asked for.
      - Tables may be named as in RV(contents[].tables), with their database before them, and those of PostgreSQL's schema
        C(public) without it.
    type: dict
    suboptions:
      engine:
        description: There must be a dump of this engine.
        type: str
        choices: [postgresql, mysql, redis, mongodb, sqlite]
      database:
        description: There must be a dump of this database. A backup that does not say of which one it is has a problem then.
        type: str
      tables:
        description: Tables, collections or keyspaces (such as C(db0) of Redis) that must be there.
        type: list
        elements: str
      exact:
        description: Whether there may be no tables but those.
        type: bool
        default: false
      min_rows:
        description: How many rows, documents or keys there must be at least, by the name of the table.
        type: dict
      baseline:
        description:
          - An earlier result of this module. Tables that were there must still be there, with no fewer rows than
            O(expect.max_row_drop) allows.
        type: dict
      max_row_drop:
        description: By how many percent a table may have fewer rows than in O(expect.baseline).
        type: float
        default: 0
  fail_on_problem:
    description: Whether a problem fails the task.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - It never writes.
seealso:
  - module: restorable.backups.backup_file_fetch
  - module: restorable.backups.backup_drill
"""

EXAMPLES = r"""
- name: The backup is whole
  restorable.backups.backup_file_verify:
    path: /srv/backups/shop.tar

- name: It is of PostgreSQL, has the tables that matter, and enough in them
  restorable.backups.backup_file_verify:
    path: /srv/backups/shop.tar
    expect:
      engine: postgresql
      tables: [customers, order]
      min_rows:
        customers: 1000
  register: today

- name: Nothing has got lost since
  restorable.backups.backup_file_verify:
    path: /srv/backups/shop.tar
    expect:
      baseline: "{{ today }}"
      max_row_drop: 10
"""

RETURN = r"""
valid:
  description: Whether the backup is whole and holds what is expected.
  returned: when it could be read
  type: bool
problems:
  description: What is wrong with it.
  returned: when it could be read
  type: list
  elements: dict
  contains:
    code:
      description:
        - Stable name. Of the file are V(empty), V(error_page), V(truncated), V(bad_checksum), V(bad_structure), V(trailing_garbage),
          V(incomplete), V(open_statement), V(open_copy), V(missing_table_data), V(missing_member), V(extra_member),
          V(duplicate), V(bad_encoding), V(tool_message), V(unsafe_member), V(bomb), V(unsafe_statement), V(wrong_rows),
          V(unknown_format), V(encrypted) and V(unsupported).
        - Of what is expected are V(wrong_engine), V(wrong_database), V(database_unknown), V(missing_table), V(extra_table),
          V(too_few_rows), V(rows_unknown), V(table_gone) and V(rows_fell).
      returned: always
      type: str
      sample: truncated
    member:
      description: The file inside of the backup, V(null) for the whole.
      returned: always
      type: str
    offset:
      description: Where, in bytes of what is being read there. V(null) where that is not known.
      returned: always
      type: int
    message:
      description: One sentence for people.
      returned: always
      type: str
contents:
  description: The dumps in the backup.
  returned: when it could be read
  type: list
  elements: dict
  contains:
    member:
      description: Path of the dump inside of the backup.
      returned: always
      type: str
      sample: db/databases/PostgreSQL.sql.gz
    engine:
      description: One of V(postgresql), V(mysql), V(redis), V(mongodb), V(sqlite), or V(null).
      returned: always
      type: str
    format:
      description: What kind of dump it is.
      returned: always
      type: str
      sample: pg_dump-plain
    database:
      description: The database, where the dump is of one and says which.
      returned: always
      type: str
    tool:
      description: What made the dump, where it says so.
      returned: always
      type: str
    tool_version:
      description: The version of that tool.
      returned: always
      type: str
    server_version:
      description: The version of the server that was dumped, where the dump says so.
      returned: always
      type: str
    encoding:
      description: The encoding of its texts, where the dump says so.
      returned: always
      type: str
    compression:
      description: How it is compressed, outermost first.
      returned: always
      type: list
      elements: str
    stored_bytes:
      description: Its size as it is stored.
      returned: always
      type: int
    plain_bytes:
      description: Its size without compression.
      returned: always
      type: int
    sha256:
      description: SHA-256 of the stored bytes, V(null) for a dump of many files.
      returned: always
      type: str
    tables:
      description:
        - Its tables, collections or keyspaces, each with C(database) (V(null) where the dump does not name it), C(name) and
          C(rows) (V(null) where the format does not tell).
      returned: always
      type: list
      elements: dict
      sample: [{database: null, name: public.customers, rows: 1204}]
    rows:
      description: All rows together, V(null) where the format does not tell.
      returned: always
      type: int
    start_mark:
      description: The words that begin the dump.
      returned: always
      type: str
    end_mark:
      description: The words that end it, which its tool writes last.
      returned: always
      type: str
    details:
      description: What else the format tells.
      returned: always
      type: dict
size_bytes:
  description: Size of all files.
  returned: when it could be read
  type: int
plain_bytes:
  description: Size of all dumps without compression.
  returned: when it could be read
  type: int
sha256:
  description: SHA-256 of the joined files; for a folder of many files, that of their list as C(sha256sum) prints it.
  returned: when it could be read
  type: str
inflater:
  description: What decompressed gzip, V(isal) or V(zlib), V(null) where there was none.
  returned: when it could be read
  type: str
notes:
  description: What is not wrong and good to know.
  returned: when it could be read
  type: list
  elements: str
"""

from ansible_collections.restorable.backups.plugins.module_utils._host_side import main_for
from ansible_collections.restorable.backups.plugins.module_utils._operations import file_verify


def main():
    main_for(file_verify.SPEC, lambda module: file_verify.run(module.params))


if __name__ == "__main__":
    main()
