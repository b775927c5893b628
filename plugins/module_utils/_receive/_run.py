# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""What one run of the module on the host does: look at the destination, or bring in a slice of the backup.

An order is a plain dict from the controller:

- ``dest``, ``name`` (for a ``dest`` that is a folder), ``kept`` (parts stay single files), ``checksum``, ``force``;
- ``what``: a plain dict that tells this backup from every other; ``backup``: what the note shall say of it;
- ``files``: [{"id", "name", "size", "md5"}] in order; with an ``md5`` both are compared with what arrives;
- ``urls``: {part number as text: fresh URL} of the parts to fetch now; ``credentials``: {part number as text: headers}
  where the URL alone is not enough;
- ``run``: tells this run of the task from others; ``first``: whether this is its first slice; ``seen``: what
  ``inspect`` has seen, or None; ``rate``: bytes per second of the slice before; ``seconds``: how long the slice may
  last (None: to the end);
- ``workers``, ``timeout``, ``tries``, ``validate_certs``, ``ca_data``, ``allow_http``: how to fetch;
- ``storage_name``: what to call the storage where the URLs lead to a relay, or None; ``proxies``: None for those of the
  environment; ``client_cert``: paths of a certificate and its key, or None;
- ``expected_bytes``: the size of the whole as it is known before, or None; ``keep_partial``;
- ``handed``: None, or what the controller has brought to this host itself: ``folder``, and once it is there ``paths``,
  ``sizes`` of the parts and ``sha256``.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from ._destination import describe, holds, publish_file, publish_parts, resolve, signature
from ._failures import NO_SPACE, ReceiveError, cannot
from ._partial import Partial, look
from ._storage import MISFIT, Storage
from ._transfer import Hasher, Transfer, free_space, hash_file

# Up to so many bytes are hashed without a word; before more, the controller gets a chance to say so.
_QUIETLY = 4 << 30


def inspect(order):
    """Look, and write nothing. ``current`` tells that the destination holds exactly these bytes."""
    target = _target(order)
    answer = {"state": "needed", "path": target.path, "before": describe(target), "complete": [], "have": 0}
    answer["seen"] = signature(target)
    if not order["force"]:
        note = holds(target, order["what"], order["checksum"])
        if note is not None:
            return dict(answer, state="current", **_facts(target, order, note))
    what, complete, have = look(target.partial)
    if what == order["what"]:
        answer.update(complete=complete, have=have)
    if order["handed"] is not None:
        # A folder that this user cannot see yet will be opened to it with the file.
        with suppress(OSError):
            free_space(order["handed"]["folder"], order["expected_bytes"])
    if order["expected_bytes"] is not None:
        free_space(target.folder, order["expected_bytes"] - answer["have"])
    return answer


def receive(order, apply_attributes, sleep=time.sleep):
    """Bring in what a slice of time allows, and put the whole in its place once it is complete.

    ``apply_attributes(path, is_folder)`` gives a file its mode and owner. Raises ReceiveError.
    """
    target = _target(order)
    before = describe(target)
    partial = Partial.take(target.partial, order["run"], sleep)
    work = _slice if order["handed"] is None else _take_over
    try:
        return dict(work(order, target, partial, apply_attributes), path=target.path, before=before)
    except BaseException as error:
        _end(order, partial, error)
        if isinstance(error, OSError):
            raise cannot("write to", order["dest"], error)
        if isinstance(error, ReceiveError):
            error.details.setdefault("path", target.path)
        raise


def release(order):
    """The controller gives up: let go of the destination, and tidy up unless what has arrived is to be kept."""
    target = _target(order)
    if os.path.isdir(target.partial):
        partial = Partial.take(target.partial, order["run"])
        partial.leave() if order["keep_partial"] else partial.remove()  # pylint: disable=expression-not-assigned
    return {"state": "released"}


def _target(order):
    return resolve(order["dest"], order["name"], order["kept"], [file["name"] for file in order["files"]])


def _end(order, partial, error):
    """After a failure. A disk that is full is given its space back: it harms more than this fetch.

    What the controller has handed on it still has.
    """
    full = isinstance(error, OSError) and error.errno in NO_SPACE
    if isinstance(error, ReceiveError):
        full = error.code == "no_space" and "needed_bytes" not in error.details
    try:
        if full or not order["keep_partial"] or order["handed"] is not None:
            partial.remove()
        else:
            partial.leave()
    except (OSError, ReceiveError):
        partial.close()


def _slice(order, target, partial, apply_attributes):
    started = time.monotonic()
    done = _published_before(order, target, partial, apply_attributes)
    if done is None and order["first"] and not order["force"] and order["seen"] != signature(target):
        # Another run may have brought it since this one looked.
        note = holds(target, order["what"], order["checksum"])
        if note is not None:
            partial.remove()
            return dict(state="current", **_facts(target, order, note))
    if done is not None:
        return done

    earlier = partial.outcome_of(order["what"])
    partial.begin(order["what"], len(order["files"]), not order["kept"])
    if earlier.get("stage") == "mismatch" and order["checksum"] not in (None, earlier["sha256"]):
        # These very bytes have been refused before.
        with partial.changed:
            for index in range(len(partial.parts)):
                partial.forget_from(index)
        partial.resumed_bytes = 0

    hasher = None
    if partial.complete or _may_finish(order, partial):
        hasher = _hasher(order, partial)
    storage = Storage(
        order["timeout"],
        order["validate_certs"],
        order["ca_data"],
        order["allow_http"],
        order["proxies"],
        order["storage_name"],
        order["client_cert"],
    )
    transfer = Transfer(
        partial,
        storage,
        {int(index): url for index, url in order["urls"].items()},
        order["files"],
        credentials={int(index): headers for index, headers in order["credentials"].items()},
        workers=order["workers"],
        seconds=order["seconds"],
        expected_bytes=order["expected_bytes"],
        tries=order["tries"],
        hasher=hasher,
    )
    try:
        transfer.run()
    except BaseException:
        if hasher is not None:
            hasher.cancel()
        raise
    if not partial.complete or (hasher is None and partial.have > _QUIETLY):
        if hasher is not None:
            hasher.cancel()
        partial.rest()
        return _progress(partial, transfer, started)
    hasher = hasher or _hasher(order, partial)
    sha256, each = hasher.finish()
    if hasher.misfits:
        with partial.changed:
            for index in hasher.misfits:
                partial.forget(index)
        partial.rest()
        transfer.outcomes.update({index: (MISFIT, problem) for index, problem in hasher.misfits.items()})
        return _progress(partial, transfer, started)
    size = partial.have
    if not size:
        raise ReceiveError("empty", "the storage holds no bytes for this backup")
    if order["checksum"] not in (None, sha256):
        partial.conclude("mismatch", sha256)
        raise ReceiveError(
            "checksum_mismatch",
            "the backup has the checksum sha256:%s, not the expected sha256:%s; the destination is as it was before"
            % (sha256, order["checksum"]),
            sha256=sha256,
            expected=order["checksum"],
        )
    partial.trim()
    partial.conclude("publishing", sha256, each)
    answer = _publish(
        order, target, partial, apply_attributes, sha256, size, each, [part.size for part in partial.parts]
    )
    return dict(_progress(partial, transfer, started), without_md5=hasher.without_md5, **answer)


def _take_over(order, target, partial, apply_attributes):
    """Put in place what the controller has brought, if it is what was sent. It is on this host only for that."""
    handed = order["handed"]
    partial.begin(order["what"], len(order["files"]), not order["kept"])
    partial.fill(handed["paths"], handed["sizes"])
    sha256, each = _hasher(order, partial).finish()
    if sha256 != handed["sha256"]:
        raise ReceiveError("damaged", "the bytes were damaged on their way from the controller to the host")
    partial.conclude("publishing", sha256, each)
    return _publish(order, target, partial, apply_attributes, sha256, partial.have, each, handed["sizes"])


def _hasher(order, partial):
    hasher = Hasher(partial, order["files"], each=order["kept"])
    hasher.start()
    return hasher


def _published_before(order, target, partial, apply_attributes):
    """Finish what a run left that died after it had put the whole file in its place. None if there is no such thing."""
    outcome = partial.outcome_of(order["what"])
    if outcome.get("stage") != "publishing" or order["kept"] or os.path.lexists(os.path.join(partial.folder, "data")):
        return None
    if order["checksum"] not in (None, outcome["sha256"]):
        return None
    try:
        size, sha256 = hash_file(target.path)
    except OSError:
        return None
    if sha256 != outcome["sha256"]:
        return None
    sizes = partial.known_sizes()
    return dict(
        _publish(order, target, partial, apply_attributes, sha256, size, None, sizes),
        resumed=size,
        received=0,
        have=size,
        size=size,
        seconds=0.0,
        outcomes={},
        parts=[],
        unmeasured=[],
    )


def _publish(order, target, partial, apply_attributes, sha256, size, each, sizes):
    each = each if order["kept"] else [sha256 if len(order["files"]) == 1 else None] * len(order["files"])
    note = {
        "what": order["what"],
        "backup": order["backup"],
        "name": target.name,
        "size_bytes": size,
        "sha256": sha256,
        "files": [
            {"id": file["id"], "name": file["name"], "size_bytes": length, "sha256": one}
            for file, length, one in zip(order["files"], sizes, each)
        ],
    }
    (publish_parts if order["kept"] else publish_file)(target, partial, note, apply_attributes)
    partial.remove()
    return dict(state="done", **_facts(target, order, note))


def _facts(target, order, note):
    """What a result says of a destination that holds the backup."""
    files = note["files"]
    if files is None:
        files = [
            {"id": file["id"], "name": file["name"], "size_bytes": None, "sha256": None} for file in order["files"]
        ]
    for file in files:
        file["path"] = os.path.join(target.path, file["name"]) if target.kept else None
    return {"sha256": note["sha256"], "size_bytes": note["size_bytes"], "files": files}


def _progress(partial, transfer, started):
    sizes = [part.size for part in partial.parts]
    return {
        "state": "progress",
        "parts": [{"have": part.have, "size": part.size} for part in partial.parts],
        "outcomes": {str(index): list(outcome) for index, outcome in transfer.outcomes.items()},
        "received": transfer.received,
        "resumed": partial.resumed_bytes,
        "have": partial.have,
        "size": None if None in sizes else sum(sizes),
        "seconds": time.monotonic() - started,
        "unmeasured": sorted(transfer.unmeasured),
    }


def _may_finish(order, partial):
    """Whether hashing may begin while bytes still come: the work is lost unless this slice is the last one."""
    if order["seconds"] is None:
        return True
    if partial.have > _QUIETLY:
        return False
    if order["first"]:
        return True
    sizes = [part.size for part in partial.parts]
    return (
        bool(order["rate"]) and None not in sizes and sum(sizes) - partial.have < order["rate"] * order["seconds"] * 0.7
    )
