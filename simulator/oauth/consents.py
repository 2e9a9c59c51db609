"""Registered clients and authorization codes waiting to be exchanged.

Checks what an authorize request must bring (PKCE S256, state, a registered redirect) and
what the exchange must prove. No HTTP here; tokens come from `tokens`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.oauth.tokens import InvalidGrant


if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.knobs import KnobBook
    from simulator.oauth.tokens import Chain, TokenPair, Tokens
    from simulator.world import World


SCOPES = frozenset(
    {
        *("openid", "offline_access", "offline"),
        *("read:self", "read:chat", "write:chat", "read:fan", "read:post", "write:post"),
        *("read:media", "write:media", "read:creator", "write:creator", "read:insights"),
        *("read:tracking_links", "write:tracking_links", "read:agency", "write:agency"),
    }
)
CREATOR_SCOPES = (
    *("openid", "offline_access", "offline"),
    *("read:self", "read:insights", "read:fan", "read:chat", "write:chat", "read:post"),
    "read:creator",
)
AGENCY_SCOPES = (*CREATOR_SCOPES, "read:agency")
MIN_STATE = 8
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
LOOPBACK_REDIRECT = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/.*)?")


@dataclass(slots=True)
class Client:
    """A registered application; without redirects listed, any loopback address will do."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...] = ()

    def allows(self, redirect_uri: str) -> bool:
        """Tell whether a redirect address is exactly a registered one."""
        if self.redirect_uris:
            return redirect_uri in self.redirect_uris
        return LOOPBACK_REDIRECT.fullmatch(redirect_uri) is not None


@dataclass(slots=True, eq=False)
class Code:
    """An authorization code."""

    text: str
    client_id: str
    redirect_uri: str
    user_uuid: str
    scopes: tuple[str, ...]
    challenge: str
    expires_at: int
    chain: Chain | None = None


@dataclass(slots=True, frozen=True)
class Refusal:
    """An OAuth error: code and description."""

    error: str
    description: str


@dataclass(slots=True)
class Consents:
    """Clients and codes."""

    world: World
    knobs: KnobBook
    tokens: Tokens
    clients: dict[str, Client] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)

    def register(self, client: Client) -> None:
        """Add or replace a client."""
        self.clients[client.client_id] = client

    def authenticate(self, client_id: str, client_secret: str) -> bool:
        """Check a client's secret."""
        client = self.clients.get(client_id)
        return client is not None and hmac.compare_digest(
            client.client_secret.encode(), client_secret.encode()
        )

    def review(self, query: Mapping[str, str]) -> Refusal | None:
        """Return what is wrong with an authorize request of a known client, if anything."""
        scopes = query.get("scope", "").split()
        if query.get("response_type") != "code":
            return Refusal("unsupported_response_type", "Only response_type=code is supported.")
        if len(query.get("state", "")) < MIN_STATE:
            return Refusal("invalid_state", f"state must have at least {MIN_STATE} characters.")
        if not CHALLENGE.fullmatch(query.get("code_challenge", "")):
            return Refusal("invalid_request", "A PKCE code_challenge is required.")
        if query.get("code_challenge_method") != "S256":
            return Refusal("invalid_request", "code_challenge_method must be S256.")
        return self._review_scopes(scopes)

    def _review_scopes(self, scopes: list[str]) -> Refusal | None:
        knobs = self.knobs.base
        ticked = SCOPES if knobs.app_scopes is None else SCOPES.intersection(knobs.app_scopes)
        missing = [scope for scope in scopes if scope not in ticked]
        if scopes and not missing:
            return None
        # The words of Ory Hydra, which Fanvue's authorization server is.
        said = "The requested scope is invalid, unknown, or malformed."
        if missing and knobs.scope_named:
            said += f" The OAuth 2.0 Client is not allowed to request scope '{missing[0]}'."
        return Refusal("invalid_scope", said)

    def consent(self, query: Mapping[str, str], user_uuid: str) -> str:
        """Issue a code, as if the user had agreed."""
        knobs = self.knobs.of(user_uuid)
        text = f"ory_ac_{urlsafe_b64encode(self.world.random.randbytes(32)).decode().rstrip('=')}"
        self.codes[text] = Code(
            text=text,
            client_id=query["client_id"],
            redirect_uri=query["redirect_uri"],
            user_uuid=user_uuid,
            scopes=tuple(query["scope"].split()),
            challenge=query["code_challenge"],
            expires_at=self.world.clock.now_ms() + round(knobs.code_seconds * 1000),
        )
        return text

    def exchange(self, client_id: str, form: Mapping[str, str]) -> TokenPair:
        """Turn a code into the first pair of a chain; raise InvalidGrant when it may not."""
        code = self.codes.get(form.get("code", ""))
        if code is None or code.client_id != client_id:
            raise InvalidGrant("The authorization code is malformed or not known.")
        if code.chain is not None:
            self.tokens.kill(code.chain)
            raise InvalidGrant("The authorization code was already used.")
        if self.world.clock.now_ms() >= code.expires_at:
            raise InvalidGrant("The authorization code has expired.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise InvalidGrant("redirect_uri differs from the authorize request.")
        verifier = form.get("code_verifier", "")
        digest = hashlib.sha256(verifier.encode()).digest()
        derived = urlsafe_b64encode(digest).decode().rstrip("=")
        if not VERIFIER.fullmatch(verifier) or not hmac.compare_digest(derived, code.challenge):
            raise InvalidGrant("The PKCE code_verifier does not match the code_challenge.")
        pair = self.tokens.grant(client_id, code.user_uuid, code.scopes)
        code.chain = pair.access.chain
        return pair
