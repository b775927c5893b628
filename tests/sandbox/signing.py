# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed, expiring storage URLs in the manner of S3, in its older and its newer way.

The signature is real: it covers method, path and expiry, and is checked. How it is computed is the sandbox's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote

KEY_ID = "AKIASANDBOX"
_DATE = "%Y%m%dT%H%M%SZ"
_SECRETS = {"signature", "awsaccesskeyid", "x-amz-signature", "x-amz-credential", "x-amz-security-token"}


class Signer:
    def __init__(self, secret: str, version: str = "v2") -> None:
        self._secret = secret.encode()
        self._version = version

    def fields(self, method: str, path: str, expires: int, version: str, lifetime: int = 300) -> dict[str, str]:
        """The query of a signed URL, not yet encoded. ``path`` is as it stands on the wire: whoever changes its
        escapes breaks the signature."""
        digest = hmac.new(self._secret, f"{version}\n{method}\n{expires}\n{path}".encode(), hashlib.sha256).digest()
        if version == "v2":
            return {"AWSAccessKeyId": KEY_ID, "Expires": str(expires),
                    "Signature": base64.b64encode(digest[:20]).decode()}
        signed_at = datetime.fromtimestamp(expires - lifetime, timezone.utc)
        return {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{KEY_ID}/{signed_at:%Y%m%d}/eu-west-1/s3/aws4_request",
            "X-Amz-Date": signed_at.strftime(_DATE),
            "X-Amz-Expires": str(lifetime),
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": digest.hex(),
        }

    def query(self, path: str, expires: int) -> str:
        """The quirk that clients have to mend: every value is percent-encoded twice."""
        fields = self.fields("GET", path, expires, self._version)
        return "&".join(f"{name}={quote(quote(value, safe=''), safe='')}" for name, value in fields.items())

    def refusal(self, method: str, path: str, query: str, now: float) -> tuple[str, str] | None:
        """(code, message) of S3's error, or None when the request may pass. The query is decoded once, no more."""
        given = dict(parse_qsl(query, keep_blank_values=True))
        version, lifetime = ("v4" if "X-Amz-Signature" in given else "v2"), 300
        try:
            if version == "v4":
                lifetime = int(given["X-Amz-Expires"])
                signed_at = datetime.strptime(given["X-Amz-Date"], _DATE).replace(tzinfo=timezone.utc)
                expires = int(signed_at.timestamp()) + lifetime
            else:
                expires = int(given["Expires"])
        except KeyError:
            return "AccessDenied", "Access Denied"
        except (ValueError, OverflowError):
            return "AccessDenied", "Invalid date"
        if expires < now:
            return "AccessDenied", "Request has expired"
        expected = self.fields(method, path, expires, version, lifetime)
        if not all(hmac.compare_digest(value.encode(), given.get(name, "").encode())
                   for name, value in expected.items()):
            return ("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you "
                    "provided. Check your key and signing method.")
        return None


def redact(query: str) -> str:
    """The query with its secrets taken out, for the request log."""
    shown = []
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        shown.append(f"{name}{equals}{'REDACTED' if name.lower() in _SECRETS else value}")
    return "&".join(shown)
