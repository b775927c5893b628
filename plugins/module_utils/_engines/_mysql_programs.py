# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""The servers of MariaDB and MySQL on this host, their programs, and which of them fits a dump."""

from __future__ import annotations

import glob
import os
import re

from ._base import EngineError, Installation, find_installations, path_folders

_SERVERS = ("mariadbd", "mysqld")
_CLIENTS = {"mariadb": ("mariadb", "mysql"), "mysql": ("mysql",)}
_INSTALLERS = ("mariadb-install-db", "mysql_install_db")
_BACKUP = {"mariadb": ("mariadb-backup", "mariabackup"), "mysql": ("xtrabackup",)}
_UNPACK = {"mariadb": ("mbstream",), "mysql": ("xbstream",)}
_TITLE = {"mariadb": "MariaDB", "mysql": "MySQL"}
PACKAGES = "install mariadb-server (Debian, Ubuntu, Fedora) or mysql-server, or name its folder in bin_dir"
_BACKUP_PACKAGES = {
    "mariadb": "install mariadb-backup (Debian, Ubuntu, Fedora)",
    "mysql": "install percona-xtrabackup-80 or the series of the server",
}
_MORE_FOLDERS = (
    "/usr/libexec",
    "/usr/local/libexec",
    "/usr/local/mysql/bin",
    "/usr/local/mariadb/bin",
    "/opt/mysql*/bin",
    "/usr/local/mysql*/bin",
    "/usr/local/mariadb*/bin",
    "/opt/mariadb*/bin",
)
_VERSION = re.compile(r"(?:\b|5\.5\.5-)(\d+)\.(\d+)\.(\d+)")
# MariaDB has MySQL 8's collations from here on.
_NEW_COLLATIONS = (11, 4, 5)


class Programs:
    """Where the programs of one installation are. Servers are often in another folder than the rest."""

    def __init__(self, installation, chosen=None, client_of=("mariadb", "mysql")):
        self.installation = installation
        self._flavours = [installation.flavour] if installation else list(client_of)
        self._folders = []
        if installation:
            self.server_folder = installation.bin_dir
            self._folders += _neighbours(installation.bin_dir)
        if chosen:
            self._folders = _neighbours(os.path.expanduser(chosen)) + self._folders
        self._folders += folders()
        self.server = (
            next(
                (
                    path
                    for path in (os.path.join(installation.bin_dir, name) for name in _SERVERS)
                    if os.access(path, os.X_OK)
                ),
                None,
            )
            if installation
            else None
        )
        self.client = self._first(sum((_CLIENTS[flavour] for flavour in self._flavours), ()))

    @classmethod
    def client_only(cls, chosen):
        programs = cls(None, chosen)
        if programs.client is None:
            raise EngineError(
                "no_engine",
                "no client (mariadb or mysql) on this host: install mariadb-client (Debian, Ubuntu), "
                "mariadb (Fedora), or name its folder in bin_dir",
            )
        return programs

    def find(self, name):
        return self._first((name,))

    def need_client(self):
        return self.client or self._missing(
            "client",
            _CLIENTS[self.installation.flavour],
            "install mariadb-client (Debian, Ubuntu), mariadb (Fedora), or mysql-client",
        )

    def need_installer(self):
        return self._first(_INSTALLERS) or self._missing("program for new data folders", _INSTALLERS, PACKAGES)

    def need_backup(self):
        flavour = self.installation.flavour
        return self._first(_BACKUP[flavour]) or self._missing(
            "backup program", _BACKUP[flavour], _BACKUP_PACKAGES[flavour]
        )

    def need_unpack(self):
        flavour = self.installation.flavour
        return self._first(_UNPACK[flavour]) or self._missing(
            "unpacking program", _UNPACK[flavour], _BACKUP_PACKAGES[flavour]
        )

    def _missing(self, what, names, remedy):
        raise EngineError(
            "no_engine",
            "no %s (%s) of %s on this host: %s" % (what, " or ".join(names), _TITLE[self.installation.flavour], remedy),
        )

    def _first(self, names):
        for folder in self._folders:
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and os.access(path, os.X_OK):
                    return path
        return None


COLLATIONS = (
    "the dump uses collations of MySQL 8 (utf8mb4_0900_...), which MariaDB knows from %d.%d.%d on" % _NEW_COLLATIONS
)


def folders():
    more = [folder for pattern in _MORE_FOLDERS for folder in sorted(glob.glob(pattern))]
    return path_folders() + more


def _neighbours(folder):
    """A folder, and those that distributions and builds put beside it."""
    base = os.path.dirname(folder.rstrip("/"))
    return [folder] + [os.path.join(base, name) for name in ("bin", "sbin", "libexec", "scripts")]


def installations(bin_dir=None):
    """All servers on this host (in ``bin_dir`` and beside it only, if that is given). Raises EngineError for none."""
    places = _neighbours(os.path.expanduser(bin_dir)) if bin_dir else folders()
    found = {}
    for program in _SERVERS:
        for each in find_installations(places, program, r"Ver (\d+\.\d+\.\d+)"):
            each.flavour = "mariadb" if "mariadb" in each.version_text.lower() else "mysql"
            found.setdefault((each.bin_dir, each.version), each)
    if not found and bin_dir:
        raise EngineError(
            "bad_option",
            "bin_dir: %s holds no mariadbd and no mysqld that can be run, and so do bin, sbin and libexec "
            "beside it" % bin_dir,
            option="bin_dir",
        )
    if not found:
        raise EngineError("no_engine", "neither mariadbd nor mysqld on this host: %s" % PACKAGES)
    return list(found.values())


def parse_version(text):
    """("mariadb" or "mysql", (major, minor, patch)) of what a server says of itself, None for what is no version."""
    if not text:
        return None
    plain = re.sub(r"^5\.5\.5-(?=\d+\.\d+\.\d+-MariaDB)", "", text)
    match = _VERSION.search(plain)
    if match is None:
        return None
    return "mariadb" if "mariadb" in text.lower() else "mysql", tuple(int(number) for number in match.groups())


def dialect_of(text):
    version = parse_version(text)
    return text if version is None else "%s %s" % (version[0], dotted(version[1][:2]))


def choose_installation(found, member, is_physical):
    """(installation, warnings): the server to restore a dump with. Raises EngineError engine_too_old.

    A server of the dump's own kind comes first, and of those the oldest that is not older than the dump: what a dump
    holds was made for such a one. Without a version in the dump the newest.
    """
    wanted = parse_version(member.server_version)
    newest_first = sorted(found, key=lambda each: each.version, reverse=True)
    if wanted is None:
        kind = "mariadb" if "mariadb" in (member.tool or "").lower() else None
        return next((each for each in newest_first if each.flavour == kind), newest_first[0]), []
    flavour, version = wanted
    same = [each for each in newest_first if each.flavour == flavour]
    if is_physical:
        fit = [each for each in same if each.version[:2] == version[:2]]
        if not fit:
            raise no_fit_for_physical(member.server_version, found)
        return fit[0], []
    fit = [each for each in same if each.version[:2] >= version[:2]]
    if fit:
        return fit[-1], []
    other = [each for each in newest_first if each.flavour != flavour]
    if same and not (other and flavour == "mysql"):
        raise EngineError(
            "engine_too_old",
            "the dump is of %s %s, newer than the newest server found here, %s"
            % (_TITLE[flavour], dotted(version), _described(same[0])),
        )
    chosen = other[0]
    if chosen.flavour == "mariadb" and version >= (8,) and chosen.version < _NEW_COLLATIONS and _new_collations(member):
        raise EngineError("engine_too_old", "%s; here is %s" % (COLLATIONS, _described(chosen)))
    return chosen, [
        "a dump of %s %s was restored into %s: what only one of them knows may fail or differ"
        % (_TITLE[flavour], dotted(version), _described(chosen))
    ]


def _new_collations(member):
    return any("_0900_" in str(name) for name in member.details.get("collations") or ())


def no_fit_for_physical(text, found):
    version = parse_version(text)
    return EngineError(
        "engine_too_old",
        "a physical backup of %s %s needs a server of the same series; found: %s"
        % (_TITLE[version[0]], dotted(version[1]), ", ".join(map(_described, found))),
    )


def _described(installation: Installation):
    return "%s %s in %s" % (_TITLE[installation.flavour], dotted(installation.version[:3]), installation.bin_dir)


def dotted(version):
    return ".".join(map(str, version))
