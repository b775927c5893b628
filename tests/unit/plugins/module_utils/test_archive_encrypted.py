# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encrypted files: never whole, and their framing looked at."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._archive import encrypted
from ansible_collections.restorable.backups.plugins.module_utils._archive._report import Report
from ansible_collections.restorable.backups.plugins.module_utils._archive._stream import Bytes, Damaged

# The begin of what gpg -c wrote.
GPG = base64.b64decode("jA0ECQMCcovIRV9Y45v/0uwB4fcOKtkFDvcc6kVtZKsCC677/3Qj+hJxZW9Z5R3Jf+3ET8MNTMHg9tFGXpAtCQ==")
OPENSSL = b"Salted__" + bytes(range(8)) + bytes(64)
AGE = b"age-encryption.org/v1\n-> X25519 abc\n" + bytes(100)
ARMOUR = b"-----BEGIN PGP MESSAGE-----\n\nabcd\n-----END PGP MESSAGE-----\n"
AGE_ARMOUR = b"-----BEGIN AGE ENCRYPTED FILE-----\nabcd\n-----END AGE ENCRYPTED FILE-----\n"


def look(content, name="backup.enc"):
    report = Report()
    member = report.member(name)
    stream = Bytes(content, [content[at : at + 7] for at in range(0, len(content), 7)])
    try:
        encrypted.read(stream, member, report)
    except Damaged as error:
        report.damaged(error, name)
    assert stream.at_end()
    return member, [problem["code"] for problem in report.problems]


@pytest.mark.parametrize(
    "content, kind",
    [
        (OPENSSL, "openssl"),
        (GPG, "gpg"),
        (ARMOUR, "gpg"),
        (AGE, "age"),
        (AGE_ARMOUR, "age"),
        (b"XBCRYP03" + bytes(100), "xbcrypt"),
    ],
)
def test_it_is_never_whole(content, kind):
    assert encrypted.matches(content[:4096], "x.gpg")
    member, codes = look(content, "x.gpg")
    assert codes == ["encrypted"]
    assert (member.format, member.engine, member.details) == ("encrypted", None, {"encryption": kind})


@pytest.mark.parametrize(
    "content",
    [OPENSSL[:-1], OPENSSL[:-5], OPENSSL[:16], OPENSSL[:9], ARMOUR[:-3], AGE_ARMOUR[:-9], AGE[:40]],
)
def test_framing(content):
    assert look(content)[1] == ["encrypted", "truncated"]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Salted",
        b"\x85",
        b"\x8c\x0d",
        b"\x85\x02\x0c\x03",
        b"-- PostgreSQL database dump\n",
        b"\x1f\x8b\x08\0\0\0\0\0",
        b"REDIS0010",
        b"XBSTCK01",
        b"PGDMP\x01\x0e",
        b"\x28\xb5\x2f\xfd" + bytes(100),
        b"\xfd7zXZ\0" + bytes(100),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        bytes(range(128, 256)),
        b"\xff" * 100,
    ],
)
def test_what_is_not_encrypted(head):
    assert not encrypted.matches(head, "x.sql")


def test_a_key_for_somebody():
    packet = b"\x85\x01\x0c\x03" + bytes(0x10B)
    assert encrypted.matches(packet, "x.gpg")
    assert not encrypted.matches(packet, "x.bin")
    assert encrypted.matches(packet + b"\xd2\xec", "x.bin")
    assert encrypted.matches(packet + packet, "x.bin")
    assert not encrypted.matches(packet + b"text", "x.bin")
