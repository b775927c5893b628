# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed, expiring storage URLs in the manner of S3's signature version 2."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, quote

KEY_ID = "AKIASANDBOX"


class Signer:
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def signature(self, method: str, path: str, expires: int) -> str:
        """``path`` as it stands on the wire: whoever changes its escapes breaks the signature."""
        text = f"{method}\n\n\n{expires}\n{path}"
        return base64.b64encode(hmac.new(self._secret, text.encode(), hashlib.sha1).digest()).decode()

    def query(self, path: str, expires: int) -> str:
        """The quirk that clients have to mend: the signature is percent-encoded twice."""
        twice = quote(quote(self.signature("GET", path, expires), safe=""), safe="")
        return f"AWSAccessKeyId={KEY_ID}&Expires={expires}&Signature={twice}"

    def refusal(self, method: str, path: str, query: str, now: float) -> tuple[str, str] | None:
        """(code, message) of S3's error, or None when the request may pass. The query is decoded once, no more."""
        values = dict(parse_qsl(query, keep_blank_values=True))
        if not {"AWSAccessKeyId", "Expires", "Signature"} <= values.keys():
            return "AccessDenied", "Access Denied"
        if not values["Expires"].isdigit():
            return "AccessDenied", "Invalid date (should be seconds since epoch)"
        expires = int(values["Expires"])
        if expires < now:
            return "AccessDenied", "Request has expired"
        expected = self.signature(method, path, expires)
        if not hmac.compare_digest(expected.encode(), values["Signature"].encode()):
            return ("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you "
                    "provided. Check your key and signing method.")
        return None


def redact(query: str) -> str:
    """The query with its secrets taken out, for the request log."""
    shown = []
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        secret = name.lower() in ("signature", "x-amz-signature", "x-amz-credential", "awsaccesskeyid")
        shown.append(f"{name}{equals}{'REDACTED' if secret else value}")
    return "&".join(shown)
