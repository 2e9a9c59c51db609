"""Fanvue's token endpoint: exchanges a code, refreshes a pair, and says why it was refused.

Refresh tokens work once, so nothing here repeats a call that the server may have understood,
except once and at once, within the grace that Fanvue allows. Storing is the caller's duty.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

import httpx

from worker.errors import GrantInvalid, Misconfigured, SyncError, Transient
from worker.fanvue.client import USER_AGENT
from worker.fanvue.connection import RawAnswer, exchange
from worker.fanvue.headers import retry_after
from worker.fanvue.verdicts import parse_json


if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.clock import Clock
    from worker.settings import FanvueSettings


USUAL_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=366)
# Fanvue accepts a used refresh token for 30 s; half of that leaves room for the second answer.
REPEAT_WITHIN = timedelta(seconds=15)
LONGEST_ERROR_WORD = 64

RefusalKind = Literal["transient", "throttled", "invalid_grant", "config"]

_CLIENT_IS_WRONG = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A fresh pair; the refresh token is the old one where the answer brought none."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime
    scope: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no pair; `invalid_grant` may only mean that another worker was faster."""

    kind: RefusalKind
    message: str
    retry_after: timedelta | None = None

    def as_error(self) -> SyncError:
        """Return the error for callers that have nobody to compare notes with."""
        if self.kind == "invalid_grant":
            return GrantInvalid(self.message)
        if self.kind == "config":
            return Misconfigured(
                self.message,
                remedy="check FANVUE_CLIENT_ID, FANVUE_CLIENT_SECRET and FANVUE_AUTH_URL",
            )
        return Transient(self.message, retry_after=self.retry_after)


class TokenEndpoint:
    """Talks to `/oauth2/token` as our client, with HTTP Basic."""

    def __init__(self, http: httpx.AsyncClient, clock: Clock, settings: FanvueSettings) -> None:
        self._http = http
        self._clock = clock
        self._url = f"{settings.auth_url}/oauth2/token"
        self._timeout = settings.timeout_seconds
        self._client_id = settings.client_id
        self._authorization = _basic(settings.client_id, settings.client_secret.get_secret_value())

    async def refresh(self, refresh_token: str) -> TokenPair | Refused:
        """Trade a refresh token for a new pair."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self._ask(form, old_refresh_token=refresh_token)

    async def exchange_code(
        self, code: str, *, redirect_uri: str, code_verifier: str
    ) -> TokenPair | Refused:
        """Trade an authorization code for the first pair."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
        }
        return await self._ask(form, old_refresh_token=None)

    async def _ask(
        self, form: Mapping[str, str], *, old_refresh_token: str | None
    ) -> TokenPair | Refused:
        asked_at, started = self._clock.now(), self._clock.monotonic()
        try:
            try:
                answer = await self._send(form)
            except Transient as error:
                if not self._may_repeat(error, started):
                    raise
                answer = await self._send(form)
        except SyncError as error:
            return Refused("transient", error.message, error.retry_after)
        if answer.status == 200:  # noqa: PLR2004 - the status is the meaning
            return _pair(answer, asked_at, old_refresh_token)
        return _refusal(answer, now=self._clock.now())

    def _may_repeat(self, error: Transient, started: float) -> bool:
        """Repeat only what broke before any byte of an answer came, and soon."""
        broke_early = isinstance(
            error.__cause__,
            httpx.ConnectError
            | httpx.ConnectTimeout
            | httpx.ReadError
            | httpx.WriteError
            | httpx.RemoteProtocolError,
        )
        elapsed = self._clock.monotonic() - started
        return broke_early and elapsed < REPEAT_WITHIN.total_seconds()

    async def _send(self, form: Mapping[str, str]) -> RawAnswer:
        request = self._http.build_request(
            "POST",
            self._url,
            content=urlencode({**form, "client_id": self._client_id}).encode("ascii"),
            headers={
                "authorization": self._authorization,
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
                "user-agent": USER_AGENT,
            },
        )
        return await exchange(self._http, request, timeout_seconds=self._timeout)


def _basic(client_id: str, client_secret: str) -> str:
    # RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
    joined = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return "Basic " + base64.b64encode(joined.encode("ascii")).decode("ascii")


def _pair(
    answer: RawAnswer, asked_at: datetime, old_refresh_token: str | None
) -> TokenPair | Refused:
    fields = _object(answer)
    access_token = fields.get("access_token")
    if not isinstance(access_token, str) or not access_token:
        return Refused("transient", "the token endpoint answered 200 without an access token")
    refresh_token, scope = fields.get("refresh_token"), fields.get("scope")
    return TokenPair(
        access_token=access_token,
        refresh_token=(
            refresh_token if isinstance(refresh_token, str) and refresh_token else old_refresh_token
        ),
        # Counted from the question: the answer's own way takes from the lifetime.
        expires_at=asked_at + _lifetime(fields.get("expires_in")),
        scope=scope if isinstance(scope, str) else None,
    )


def _lifetime(value: object) -> timedelta:
    try:
        seconds = int(str(value))
    except ValueError:
        return USUAL_LIFETIME
    if not 0 < seconds <= LONGEST_LIFETIME.total_seconds():
        return USUAL_LIFETIME
    return timedelta(seconds=seconds)


def _refusal(answer: RawAnswer, *, now: datetime) -> Refused:
    wait = retry_after(answer.headers, now=now)
    said = f"the token endpoint answered {answer.status}"
    if answer.status == httpx.codes.TOO_MANY_REQUESTS:
        return Refused("throttled", said, wait)
    if answer.status >= 500:  # noqa: PLR2004 - HTTP's own class
        return Refused("transient", said, wait)
    fields = _object(answer)
    error = fields.get("error")
    word = error[:LONGEST_ERROR_WORD] if isinstance(error, str) else None
    if word == "invalid_grant":
        return Refused("invalid_grant", f"{said}: invalid_grant")
    if word in _CLIENT_IS_WRONG or (fields and answer.status == 401):  # noqa: PLR2004 - HTTP's own
        return Refused("config", f"{said}: {word or 'the client was refused'}")
    if answer.status in {404, 405, 410} or 300 <= answer.status < 400:  # noqa: PLR2004 - HTTP's own
        return Refused("config", f"{said}: this is not Fanvue's token endpoint")
    # Unclear refusals condemn neither the grant nor our client.
    return Refused("transient", f"{said}: {word}" if word else said, wait)


def _object(answer: RawAnswer) -> dict[str, Any]:
    try:
        parsed = parse_json(answer.body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
