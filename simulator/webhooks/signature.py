"""The signature header over the raw body: `t=<unix seconds>,v0=<hex>`.

While a secret is rotated it is `v0=<old>,<new>`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Sequence


HEADER = "X-Fanvue-Signature"


def sign(secret: str, seconds: int, raw: bytes) -> str:
    """Return the hex HMAC-SHA256 of `t.body`; the secret is plain text."""
    return hmac.new(secret.encode(), b"%d." % seconds + raw, hashlib.sha256).hexdigest()


def signature(secrets: Sequence[str], seconds: int, raw: bytes) -> str:
    """Return the header's value; the digests of several secrets stand in one v0."""
    return f"t={seconds},v0=" + ",".join(sign(secret, seconds, raw) for secret in secrets)
