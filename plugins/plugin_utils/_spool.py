# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""A place on the controller for a backup on its way to a host that must not see the credential.

Here it is received as it would be on the host, by the same code: resumed, checked, whole. The host gets it from here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from contextlib import suppress

from ..module_utils import _receive
from ..module_utils._errors import OptionError


def default_spool_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "restorable.backups", "spool")


class Spool:
    """The folder for one backup, one host and one destination there: the same for the same task, run after run.

    ``key`` is what makes it the same. Nothing is written before ``receive``.
    """

    def __init__(self, base, key):
        base = os.path.expanduser(base or default_spool_dir())
        if not os.path.isabs(base):
            raise OptionError("spool_dir", "%s is a relative path; what is kept there needs a fixed place" % base)
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode("utf-8")).hexdigest()[:32]
        self._base, self._folder = base, os.path.join(base, name)

    @property
    def exists(self):
        return os.path.isdir(self._folder)

    def receive(self, order):
        """What the module on the host would answer to this order; ``paths`` are the files that came of it at the end."""
        self._make()
        answer = _receive.receive(self._own(order), lambda path, is_folder: None)
        if answer["state"] == "current":
            # An earlier run brought all of it, and could not hand it on.
            answer.update(received=0, resumed=answer["size_bytes"], parts=[], unmeasured=[])
        if answer["state"] != "progress":
            answer["paths"] = [file["path"] for file in answer["files"]] if order["kept"] else [answer["path"]]
        return answer

    def release(self, order):
        """Let go of it, and remove it unless what has arrived is to be kept. Raises ReceiveError if another is at it."""
        if self.exists:
            _receive.release(self._own(order))
            self.tidy(order["keep_partial"])

    def tidy(self, keep):
        if keep:
            # Only where nothing is in it.
            with suppress(OSError):
                os.rmdir(self._folder)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _own(self, order):
        return dict(order, dest=self._folder + "/", seen=None)

    def _make(self):
        try:
            for folder in (self._base, self._folder):
                os.makedirs(folder, mode=0o700, exist_ok=True)
            about = os.lstat(self._folder)
        except OSError as error:
            raise OptionError("spool_dir", "cannot make %s: %s" % (self._folder, os.strerror(error.errno or 0)))
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise OptionError("spool_dir", "%s is in the way: nobody but this user may enter it" % self._folder)
