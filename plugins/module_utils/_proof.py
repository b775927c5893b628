# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Proofs: the record of a drill, and the chain that the records of one source form. Pure but for ``append``.

Each proof holds its own digest and that of the one before it, both over the same canonical text: whoever changes, removes
or reorders one of them later breaks the chain behind it. The newest proof is not held by another one: keep its digest
elsewhere (a report, a mail) to know that none was cut off.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
from urllib.parse import quote

from ._errors import BackupError

SCHEMA = "restorable.backups/proof/1"
_FILE = re.compile(r"^(\d{6,})-.*\.json$")


class ProofError(BackupError):
    """A proof cannot be read or written; the message names the file."""

    code = "proof"


def digest(proof):
    """SHA-256 of a proof's canonical text: keys in order, no white space, without the digest itself."""
    plain = {key: value for key, value in proof.items() if key != "sha256"}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def linked(facts, previous):
    """The proof of these facts, as the one behind ``previous`` (None for the first)."""
    proof = dict(
        facts,
        schema=SCHEMA,
        sequence=1 if previous is None else previous["sequence"] + 1,
        previous_sha256=None if previous is None else previous["sha256"],
    )
    proof["sha256"] = digest(proof)
    return proof


def chain_problems(proofs, last_sha256=None):
    """What is wrong with the chain of one source, as [{"code", "sequence", "message"}]; empty where it holds.

    ``proofs`` in any order. ``last_sha256`` is the digest that the newest one is known to have. Codes: C(changed),
    C(missing), C(duplicate), C(broken), C(cut), C(foreign), C(unreadable).
    """
    problems = []

    def problem(code, sequence, message):
        problems.append({"code": code, "sequence": sequence, "message": message})

    known = []
    for number, proof in enumerate(proofs):
        if not isinstance(proof, dict) or proof.get("schema") != SCHEMA or not isinstance(proof.get("sequence"), int):
            problem("unreadable", None, "number %d of those given is no proof of this collection" % (number + 1))
        else:
            known.append(proof)
    known.sort(key=lambda proof: proof["sequence"])
    sources = {str(proof.get("source")) for proof in known}
    if len(sources) > 1:
        problem("foreign", None, "these are proofs of several sources: %s" % ", ".join(sorted(sources)))
    before = None
    for proof in known:
        sequence = proof["sequence"]
        if proof.get("sha256") != _digest_or_none(proof):
            problem("changed", sequence, "proof %d was changed after it was written" % sequence)
        expected = 1 if before is None else before["sequence"] + 1
        if sequence < expected:
            problem("duplicate", sequence, "there are two proofs with the number %d" % sequence)
        elif sequence > expected:
            problem("missing", expected, "proof %d is missing" % expected)
        elif proof.get("previous_sha256") != (None if before is None else before.get("sha256")):
            problem("broken", sequence, "proof %d does not follow from the one before it" % sequence)
        before = proof
    if last_sha256 is not None and (before is None or before.get("sha256") != last_sha256):
        problem("cut", None, "the newest proof is not the one with the SHA-256 %s" % last_sha256)
    return problems


def _digest_or_none(proof):
    try:
        return digest(proof)
    except (TypeError, ValueError):
        return None


def folder_for(proof_dir, source):
    """The folder of a source's proofs. No source, however odd its name, leaves ``proof_dir``."""
    name = quote(str(source), safe="")
    return os.path.join(os.path.abspath(proof_dir), "%2E" + name[1:] if name.startswith(".") else name)


def check(proof_dir, source):
    """Raises ProofError where append() would, as far as that can be told beforehand. Writes nothing."""
    folder = folder_for(proof_dir, source)
    if os.access(folder, os.R_OK | os.X_OK) and os.path.isdir(folder):
        _newest(folder)
    there = folder
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there) or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if os.path.isdir(there) else "is no folder"
        raise ProofError("proof_dir: cannot write to %s: %s %s" % (folder, there, why), option="proof_dir")


def append(proof_dir, source, facts):
    """Write the next proof of a source: (path, proof). Two drills at once wait for each other. Raises ProofError."""
    folder = folder_for(proof_dir, source)
    try:
        os.makedirs(folder, mode=0o750, exist_ok=True)
        with open(os.path.join(folder, ".lock"), "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            proof = linked(facts, _newest(folder))
            name = "%06d-%s.json" % (proof["sequence"], re.sub(r"[^0-9TZ]", "", str(proof.get("when"))))
            path = os.path.join(folder, name)
            _write_whole(path, proof)
    except OSError as error:
        raise ProofError("proof_dir: cannot write to %s: %s" % (folder, os.strerror(error.errno or 0)), option="proof_dir")
    return path, proof


def _newest(folder):
    names = sorted((name for name in os.listdir(folder) if _FILE.match(name)), key=lambda name: int(_FILE.match(name)[1]))
    if not names:
        return None
    path = os.path.join(folder, names[-1])
    try:
        with open(path, "rb") as file:
            proof = json.loads(file.read().decode("utf-8"))
        if isinstance(proof["sequence"], int) and isinstance(proof["sha256"], str):
            return proof
    except (ValueError, KeyError, TypeError):
        pass
    raise ProofError("proof_dir: %s is no proof, and the next one must follow from it: move it away" % path)


def _write_whole(path, proof):
    """The whole file or nothing, on the disk before it is seen."""
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(proof, file, indent=2, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o640)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
