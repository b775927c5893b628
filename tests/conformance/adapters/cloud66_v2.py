# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from .base import Shape, Write
from .cloud66 import Cloud66


class Cloud66V2(Cloud66):
    """The same stand-in in another shape: whole lists, and nothing but these."""

    name = "cloud66_v2"
    page = None
    writes = ("import",)
    shape = Shape(None)
    list_path = r"/managed_backups$"
    get_path = None
    files_path = r"/export$"
    stack, prefix = "crm", "^/api/2"

    def write(self, name: str) -> Write:
        call = f"POST /backups/{self.sandbox.group(self.stack)}/import"
        return Write("backup_import", self.importing(), [call], hidden=True)

    def list_calls(self, count: int) -> list[str]:
        return ["GET /stacks/SOURCE/managed_backups"]
