"""Token chains: what one consent gave, how it rotates, and how reuse kills it.

A chain is one consent. Refresh tokens are single-use; a short grace absorbs retries; reuse
after the grace, or reuse of a code, revokes every token of the chain. No HTTP here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.knobs import GraceAnswer


if TYPE_CHECKING:
    from simulator.knobs import KnobBook, Knobs
    from simulator.stats import Stats
    from simulator.world import World


OFFLINE_SCOPES = frozenset({"offline", "offline_access"})


@dataclass(slots=True, eq=False)
class Chain:
    """Everything that descends from one consent."""

    client_id: str
    user_uuid: str
    scopes: tuple[str, ...]
    alive: bool = True


@dataclass(slots=True, eq=False)
class AccessToken:
    """A bearer token; opaque to clients though it looks like a JWT."""

    text: str
    chain: Chain
    expires_at: int
    revoked: bool = False


@dataclass(slots=True, eq=False)
class RefreshToken:
    """A single-use token and what it was exchanged for."""

    text: str
    chain: Chain
    expires_at: int | None
    access: AccessToken
    used_at: int | None = None
    successors: list[TokenPair] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class TokenPair:
    """An access token and, for offline grants, a refresh token."""

    access: AccessToken
    refresh: RefreshToken | None


class InvalidGrant(Exception):  # noqa: N818 - the protocol's own name
    """The code or refresh token is dead; the text says why."""


class Tokens:
    """Issues, rotates, revokes and looks up every token of the world."""

    def __init__(self, world: World, knobs: KnobBook, stats: Stats) -> None:
        self._world = world
        self._knobs = knobs
        self._stats = stats
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}
        self._chains: dict[str, list[Chain]] = {}

    def grant(
        self,
        client_id: str,
        user_uuid: str,
        scopes: tuple[str, ...],
        access_seconds: float | None = None,
    ) -> TokenPair:
        """Start a chain, as if the user had just consented."""
        chain = Chain(client_id, user_uuid, scopes)
        self._chains.setdefault(user_uuid, []).append(chain)
        return self._issue(chain, access_seconds)

    def lookup(self, text: str) -> AccessToken | None:
        """Return the access token with this text, valid or not."""
        return self._access.get(text)

    def owner_of(self, text: str) -> str | None:
        """Return whose token this is, refresh or access."""
        token = self._refresh.get(text) or self._access.get(text)
        return None if token is None else token.chain.user_uuid

    def is_valid(self, token: AccessToken) -> bool:
        """Tell whether an access token still opens the API."""
        now = self._world.clock.now_ms()
        return token.chain.alive and not token.revoked and now < token.expires_at

    def refresh(self, client_id: str, text: str) -> TokenPair:
        """Exchange a refresh token for a new pair; raise InvalidGrant when it is dead."""
        token = self._refresh.get(text)
        if token is None or token.chain.client_id != client_id:
            raise InvalidGrant("The refresh token is malformed or not known.")
        now = self._world.clock.now_ms()
        knobs = self._knobs.of(token.chain.user_uuid)
        if not token.chain.alive:
            raise InvalidGrant("The refresh token has been revoked.")
        if token.used_at is not None:
            return self._reuse(token, now, knobs)
        if token.expires_at is not None and now >= token.expires_at:
            raise InvalidGrant("The refresh token has expired.")
        token.used_at = now
        if knobs.refresh_revokes_access:
            token.access.revoked = True
        pair = self._issue(token.chain)
        token.successors.append(pair)
        self._stats.count("refreshes", token.chain.user_uuid)
        return pair

    def revoke(self, client_id: str, text: str) -> None:
        """Revoke the chain of a refresh token, or one access token; unknown ones are fine."""
        refresh = self._refresh.get(text)
        access = self._access.get(text)
        if refresh is not None and refresh.chain.client_id == client_id:
            refresh.chain.alive = False
        elif access is not None and access.chain.client_id == client_id:
            access.revoked = True

    def expire_access(self, user_uuid: str) -> int:
        """Let all access tokens of a user run out now; return how many were valid."""
        now = self._world.clock.now_ms()
        valid = [
            t for t in self._access.values() if t.chain.user_uuid == user_uuid and self.is_valid(t)
        ]
        for token in valid:
            token.expires_at = now
        return len(valid)

    def kill_chains(self, user_uuid: str) -> int:
        """Revoke everything a user ever granted; return how many chains were alive."""
        alive = [chain for chain in self._chains.get(user_uuid, []) if chain.alive]
        for chain in alive:
            self.kill(chain)
        return len(alive)

    def kill(self, chain: Chain) -> None:
        """Revoke every token of a chain."""
        if chain.alive:
            chain.alive = False
            self._stats.count("chain_kills", chain.user_uuid)

    def expires_in(self, token: AccessToken) -> int:
        """Return the whole seconds an access token has left, as a token answer says it."""
        return max(0, (token.expires_at - self._world.clock.now_ms() - 1) // 1000)

    def _reuse(self, token: RefreshToken, now: int, knobs: Knobs) -> TokenPair:
        used_at = token.used_at or 0
        if now - used_at > knobs.grace_seconds * 1000 or knobs.grace_seconds == 0:
            self.kill(token.chain)
            raise InvalidGrant("The refresh token was already used; the grant is revoked.")
        self._stats.count("grace_hits", token.chain.user_uuid)
        if knobs.grace_answer is GraceAnswer.SAME:
            return token.successors[0]
        pair = self._issue(token.chain)
        token.successors.append(pair)
        return pair

    def _issue(self, chain: Chain, access_seconds: float | None = None) -> TokenPair:
        now = self._world.clock.now_ms()
        knobs = self._knobs.of(chain.user_uuid)
        seconds = knobs.access_token_seconds if access_seconds is None else access_seconds
        expires_at = now + round(seconds * 1000)
        access = AccessToken(self._jwt(chain, now, expires_at), chain, expires_at)
        self._access[access.text] = access
        if not OFFLINE_SCOPES.intersection(chain.scopes):
            return TokenPair(access, None)
        lifetime = knobs.refresh_token_seconds
        refresh = RefreshToken(
            text=f"ory_rt_{self._secret(32)}.{self._secret(32)}",
            chain=chain,
            expires_at=None if lifetime is None else now + round(lifetime * 1000),
            access=access,
        )
        self._refresh[refresh.text] = refresh
        return TokenPair(access, refresh)

    def _jwt(self, chain: Chain, now: int, expires_at: int) -> str:
        header = {"alg": "RS256", "kid": "simulator", "typ": "JWT"}
        claims = {
            "client_id": chain.client_id,
            "exp": expires_at // 1000,
            "iat": now // 1000,
            "jti": self._world.new_uuid(),
            "scp": list(chain.scopes),
            "sub": chain.user_uuid,
        }
        body = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
        digest = hmac.digest(b"simulator", body.encode(), hashlib.sha256)
        return f"{body}.{_encode(digest)}"

    def _secret(self, size: int) -> str:
        return _encode(self._world.random.randbytes(size))


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
