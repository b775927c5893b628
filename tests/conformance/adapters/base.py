# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the suite asks of an adapter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from ..proxy import Reply

HOUR = 3600
DAY = 24 * HOUR
WRONG = "wrong-credential-0a1b2c3d"


def ago(seconds: float) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=seconds)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Held:
    """A backup with its files in the service, and the bytes that a fetch has to bring."""

    id: str
    content: bytes
    # The sizes of the files in their order, where the service says them.
    sizes: list[int | None]


@dataclass
class Write:
    """One way to change something: the module, its options, and the calls that carry it out (``writes_seen``).

    A run of the module finds the change to be made before, and nothing to do after.
    """

    module: str
    options: dict[str, Any]
    sends: list[str]
    # The action that the result names, and that of the second run.
    action: str = "created"
    then: str = "present"
    # Whether the service never shows it, so that only a controller that has asked for it knows.
    hidden: bool = False


@dataclass
class Shape:
    """How the answer looks that lists backups: the key of the list in it (None: it is the list) and that of an id."""

    key: str | None
    id: str = "id"


class Adapter:
    """A service with one source that is empty before each test.

    Texts of calls are ``METHOD /path?query`` below the API's own prefix, with SOURCE in the place of the source's id.
    """

    name = ""
    # The fixture that ``__init__`` gets: the servers.
    servers = "sandbox_of_suite"

    # -- what is true of the service --------------------------------------------------------------------------------
    # Records of a page of the list; None: all come at once.
    page: int | None = None
    statuses: tuple[str, ...] = ("ok", "failed", "running")
    # The engine that its records usually have, and another one.
    engines: tuple[str | None, str] = (None, "sqlite")
    # Kinds of backups with files: ``one`` file, or ``many`` that make up one backup.
    kinds: tuple[str, ...] = ("one",)
    # Whether a list tells an unknown source from one without backups; if not, a warning has to.
    knows_sources = True
    # Whether the source * stands for all of them.
    lists_all = False
    # The names of its writes, for ``write``.
    writes: tuple[str, ...] = ()
    shape = Shape(None)
    # Paths of the list, of a single backup and of a backup's files; None where there is no such call.
    list_path = ""
    get_path: str | None = None
    files_path: str | None = None
    # How it may fail to say what files a backup has: spoilt answers to ``files_path``, by name, or they are ``lost``.
    unsaid: tuple[str, ...] = ()
    # What it answers to too many requests, and the option that is named when the credential is missing.
    throttled: Reply
    credential = "api_token"
    # The source, one that does not exist, and a backup that does not exist.
    source: str
    unknown_source = "no-such-source"
    unknown_id = "0c1d2e3f-0000-4000-8000-000000000000"
    # What must be in no output.
    secrets: tuple[str, ...] = (WRONG,)

    def __init__(self, servers: Any) -> None:
        raise NotImplementedError

    # -- how it is reached ------------------------------------------------------------------------------------------

    def connection(self) -> dict[str, Any]:
        """The connection options."""
        raise NotImplementedError

    def without_credential(self) -> dict[str, Any]:
        raise NotImplementedError

    def with_wrong_credential(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def upstream(self) -> str:
        """The address of the server whose answers may be spoiled."""
        raise NotImplementedError

    def through(self, url: str) -> dict[str, Any]:
        """The connection options, with a proxy's address in the place of ``upstream``."""
        raise NotImplementedError

    # -- what it holds ----------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """No backup of the source, no schedule; no request seen."""
        raise NotImplementedError

    def fill(self, count: int) -> list[str]:
        """So many good backups, one an hour, the newest now; their ids, newest first."""
        raise NotImplementedError

    def add(self, age: float = HOUR, status: str = "ok", engine: str | None = None) -> str:
        """One backup that is so many seconds old; its id. ``engine``: one of ``engines``."""
        raise NotImplementedError

    def hold(self, kind: str) -> Held:
        """A real backup, taken now, with its files."""
        raise NotImplementedError

    def lose(self, backup_id: str) -> None:
        """Remove the files of a backup that is held, and leave its record."""
        raise NotImplementedError

    def write(self, name: str) -> Write:
        """One of ``writes``, with everything prepared that it needs."""
        raise NotImplementedError

    # -- what it was asked ------------------------------------------------------------------------------------------

    def calls(self) -> list[str]:
        """The calls of the API since ``clear``, without token requests."""
        raise NotImplementedError

    def token_requests(self) -> int:
        """How often a token was asked for since ``clear``."""
        return 0

    def writes_seen(self) -> list[str]:
        """Those of the calls that are not for reading."""
        return [call for call in self.calls() if not call.startswith(("GET ", "HEAD "))]

    def list_calls(self, count: int) -> list[str]:
        """What a list of so many backups costs."""
        raise NotImplementedError


@dataclass
class Shown:
    """Makes readable calls of a log's entries."""

    prefix: str
    names: dict[str, str] = field(default_factory=dict)

    def __call__(self, entry: dict[str, Any]) -> str:
        path = unquote(entry["path"])
        text = f"{entry['method']} {re.sub(self.prefix, '', path)}" + (f"?{entry['query']}" if entry["query"] else "")
        for name, shown in self.names.items():
            text = text.replace(name, shown)
        return text
