# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""OpenStack Trove, API v1.0, as it answers since release 2025.2; found through Keystone, its files in Swift."""

from __future__ import annotations

from dataclasses import replace

from .._backup import TaskRecord
from .._errors import NotFoundError, OptionError, OutcomeUnknownError, done_before
from . import _fields as fields
from ._base import OPERATIONS, Option
from ._openstack import CloudAccess, OpenStackIdentity
from ._swift import place_of
from ._trove_api import ALL, GB, UUID, TroveApi, datastore_of, shown

_TASK = "swift_container"


class Trove(TroveApi):
    name = "trove"
    title = "OpenStack Trove"
    options = {
        "cloud": Option(env=("OS_CLOUD",)),
        # All other OS_* variables are read by openstacksdk.
        "auth": Option(),
        "auth_type": Option(),
        "region_name": Option(),
        "interface": Option(),
        "client_cert": Option(),
        "client_key": Option(),
    }
    capabilities = frozenset(OPERATIONS) | {"sizes"}
    understands = {
        "list": ("datastore",),
        "schedule": (_TASK,),
        "run": ("name", "description", "incremental", "parent_id", "swift_container"),
        "import": ("location", "datastore", "datastore_version", "name", "description", "size"),
    }
    why_not = {
        "frequency": "Trove keeps no timetable, and a task here is only the container that backups go to: take backups "
        "with backup_run or the role protect, started by a timer (cron, systemd) or by a schedule in AWX",
    }
    task_kind = "record"
    import_kind = "record"

    @classmethod
    def from_options(cls, params, around):
        identity = OpenStackIdentity(params, around)
        return cls(CloudAccess(identity, params, around), identity.address)

    # -- the task: an instance's backup strategy -------------------------------------------------------------------

    def read_task(self, source):
        number = self.instance_id(source)
        data = self._client.get("/backup_strategies", {"instance_id": number}).data
        records = self._page(data, ("backup_strategies",))
        if records is None:
            raise self._bad_shape("null in place of a list of strategies")
        # Without one of its own an instance follows the project's, which is not ours to change.
        found = next((record for record in records if fields.text(record.get("instance_id")) == number), None)
        return found and TaskRecord(number, {_TASK: fields.text(found.get(_TASK))}, found)

    def wanted_task(self, params, current):
        container = (params[_TASK] or "").strip() or (current and current.settings[_TASK])
        if not container or "/" in container:
            raise OptionError(_TASK, "must name the container that the backups of this instance go to")
        return {_TASK: container}

    def write_task(self, source, current, settings):
        number = self.instance_id(source)
        self._client.post("/backup_strategies", {"backup_strategy": {"instance_id": number, _TASK: settings[_TASK]}})
        with done_before(True):
            written = self.read_task(source)
            if written is None or written.settings != settings:
                shown_now = written and written.settings
                raise OutcomeUnknownError(
                    "Trove accepted the backup strategy of %s, and yet shows %s" % (source, shown_now)
                )
        return written

    def delete_task(self, source, current):
        self._client.delete("/backup_strategies", {"instance_id": self.instance_id(source)})

    # -- imports ---------------------------------------------------------------------------------------------------

    def find_imported(self, request):
        """The good backups at the wanted location, of the wanted version of the datastore."""
        version = self._version_id(request)
        listing = self.list_backups(ALL)
        found = [
            backup
            for backup in listing.backups
            if backup.good
            and backup.location == request.location
            and datastore_of(backup.raw).get("version_id") == version
        ]
        return replace(listing, backups=found)

    def check_import(self, request):
        place_of(request.location)
        if request.size is None:
            self._size(request.location)

    def import_backup(self, source, request):
        name = place_of(request.location)[1]
        size = request.size or self._size(request.location)
        body = {
            "name": request.name or name,
            "description": request.description,
            "restore_from": {
                "remote_location": request.location,
                "local_datastore_version_id": self._version_id(request),
                "size": size / GB,
            },
        }
        return self._create({key: value for key, value in body.items() if value is not None})

    def _size(self, location):
        try:
            size = self._store.size(location)
        except NotFoundError:
            place = place_of(location)[::-1]
            raise OptionError("location", "the object store of this project has no object %s in container %s" % place)
        if size is None:
            raise OptionError("size", "is needed, as the object store does not say it")
        return size

    def _version_id(self, request):
        """The id of a datastore's version, which may be given by its name. Raises OptionError."""
        wanted = request.datastore_version.strip()
        if UUID.match(wanted):
            return wanted.lower()
        stores = self._datastores()
        if request.datastore is not None:
            names = [str(store.get("name")) for store in stores]
            stores = [store for store in stores if request.datastore in (store.get("name"), store.get("id"))]
            if not stores:
                raise OptionError("datastore", "there is no %s; there are: %s" % (request.datastore, shown(names)))
        versions = [
            ("%s %s (%s)" % (store.get("name"), version.get("name"), version.get("id")), version)
            for store in stores
            for version in store.get("versions") or ()
        ]
        found = [(title, version) for title, version in versions if version.get("name") == wanted]
        if len(found) == 1:
            return str(found[0][1]["id"])
        if found:
            text = "several datastores have a version %s, set datastore or give an id: %s"
            raise OptionError("datastore_version", text % (wanted, shown([title for title, _version in found])))
        text = "there is no version %s; there are: %s" % (wanted, shown([title for title, _version in versions]))
        raise OptionError("datastore_version", text)
