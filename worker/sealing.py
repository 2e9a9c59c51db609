"""Seals tokens and webhook secrets before they are stored, and opens them when they are used.

A sealed value is `fse1.<key id>.<base64url without padding of nonce, ciphertext and tag>`,
AES-256-GCM, bound to one column of one row. Values without the prefix are plain text of
an older application and pass through. No text here ever contains a token or a key.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worker.errors import Misconfigured, SealBroken


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID


PREFIX = "fse1."
NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class SealingKey:
    """One key of `TOKEN_ENCRYPTION_KEYS`."""

    id: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.id):
            raise ValueError("a key id has 1 to 32 letters, digits, '_' or '-'")
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"the key must be {KEY_BYTES} bytes, it is {len(self.key)}")

    @classmethod
    def parse(cls, text: str) -> SealingKey:
        """Read `id:base64`; either base64 alphabet, padded or not."""
        key_id, colon, encoded = text.strip().partition(":")
        if not colon:
            raise ValueError("each key is written id:base64")
        standard = encoded.strip().rstrip("=").replace("-", "+").replace("_", "/")
        try:
            key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        except binascii.Error:
            raise ValueError("what follows the colon is not base64") from None
        return cls(key_id.strip(), key)


@dataclass(frozen=True, slots=True)
class Opened:
    """A stored value, opened; `key_id` is None when it was plain text."""

    value: str = field(repr=False)
    key_id: str | None

    @property
    def was_plaintext(self) -> bool:
        """Tell whether the stored value was not sealed at all."""
        return self.key_id is None


class Keyring:
    """All keys of this installation: the first seals, every one opens."""

    def __init__(
        self, keys: Iterable[SealingKey], *, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        ordered = tuple(keys)
        if not ordered:
            raise Misconfigured(
                "there is no key to seal tokens with",
                remedy="set TOKEN_ENCRYPTION_KEYS to id:base64 of 32 random bytes",
            )
        self._ciphers = {key.id: AESGCM(key.key) for key in ordered}
        self._sealing_id = ordered[0].id
        self._random_bytes = random_bytes

    @property
    def sealing_id(self) -> str:
        """Return the id of the key that seals new values."""
        return self._sealing_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Return the ids of all keys, the sealing one first."""
        return tuple(self._ciphers)

    def seal(
        self, plaintext: str, row_id: UUID | str, column: str, *, table: str = "models"
    ) -> str:
        """Seal a value for one column of one row; a grant's row is a model's, whoever it is of."""
        nonce = self._random_bytes(NONCE_BYTES)
        cipher = self._ciphers[self._sealing_id]
        body = nonce + cipher.encrypt(nonce, plaintext.encode(), _bound_to(table, row_id, column))
        encoded = base64.urlsafe_b64encode(body).rstrip(b"=").decode("ascii")
        return f"{PREFIX}{self._sealing_id}.{encoded}"

    def open(
        self, stored: str, row_id: UUID | str, column: str, *, table: str = "models"
    ) -> Opened:
        """Open a stored value; refuse one that was changed or moved from another row or column."""
        if not is_sealed(stored):
            return Opened(value=stored, key_id=None)
        key_id, body = _unpack(stored)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise Misconfigured(
                f"a token was sealed with key '{key_id}', which is not among the keys",
                remedy=f"add key '{key_id}' to TOKEN_ENCRYPTION_KEYS, after the first one",
            )
        nonce, ciphertext = body[:NONCE_BYTES], body[NONCE_BYTES:]
        try:
            value = cipher.decrypt(nonce, ciphertext, _bound_to(table, row_id, column)).decode()
        except (InvalidTag, UnicodeDecodeError):
            raise SealBroken(
                f"{column} of {table.removesuffix('s')} {row_id} does not open with key '{key_id}':"
                " the key bytes differ, or the value was changed or belongs to another row",
                model_id=str(row_id) if table == "models" else None,
            ) from None
        return Opened(value=value, key_id=key_id)

    def needs_sealing(self, stored: str) -> bool:
        """Tell whether a stored value is plain text or sealed with an older key."""
        return not stored.startswith(f"{PREFIX}{self._sealing_id}.")


def is_sealed(stored: str) -> bool:
    """Tell a sealed value from the plain text of an older application."""
    return stored.startswith(PREFIX)


def _bound_to(table: str, row_id: UUID | str, column: str) -> bytes:
    return f"{table}:{str(row_id).lower()}:{column}".encode()


def _unpack(stored: str) -> tuple[str, bytes]:
    key_id, _, encoded = stored.removeprefix(PREFIX).partition(".")
    try:
        body = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _malformed() from None
    # One value has one spelling: stray bits and padding are refused, not ignored.
    canonical = base64.urlsafe_b64encode(body).rstrip(b"=").decode("ascii") == encoded
    if not canonical or len(body) < NONCE_BYTES + TAG_BYTES or not _KEY_ID.fullmatch(key_id):
        raise _malformed()
    return key_id, body


def _malformed() -> SealBroken:
    return SealBroken(
        "a stored token begins like a sealed one but is not well formed",
        remedy="restore the column from a backup, or connect the creator again",
    )
