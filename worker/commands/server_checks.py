"""The doctor's checks of other people's servers: Fanvue's API and token endpoint, Auth, Redis.

No real token is ever sent: Fanvue is asked with one that cannot exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from worker.commands.findings import Finding, fail, ok, warn
from worker.errors import SyncError
from worker.fanvue.connection import exchange
from worker.fanvue.oauth import Refused, TokenEndpoint
from worker.transport import open_client


if TYPE_CHECKING:
    from worker.clock import Clock
    from worker.settings import FanvueSettings, SupabaseSettings, UpstashSettings


PROBE_SECONDS: Final = 2.5
NO_TOKEN: Final = "fanvue-sync-doctor-sends-no-token"  # noqa: S105 - cannot be one


async def check_api(http: httpx.AsyncClient, settings: FanvueSettings) -> Finding:
    """See whether anything answers at Fanvue's API; a refusal counts, too."""
    request = http.build_request(
        "GET",
        f"{settings.api_url}/v1/users/me",
        headers={"x-fanvue-api-version": settings.api_version},
    )
    try:
        answer = await exchange(http, request, timeout_seconds=PROBE_SECONDS)
    except SyncError as error:
        return fail(
            "Fanvue API", f"{error.message}; check FANVUE_API_URL and the way to the internet"
        )
    if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return warn("Fanvue API", f"it answers {answer.status}; see Fanvue's status page")
    return ok("Fanvue API", f"{settings.api_url} answers")


async def check_client(http: httpx.AsyncClient, clock: Clock, settings: FanvueSettings) -> Finding:
    """See whether the token endpoint knows our client: it must refuse the token, not us."""
    answer = await TokenEndpoint(http, clock, settings).refresh(NO_TOKEN)
    if not isinstance(answer, Refused):
        return warn("Fanvue client", "the token endpoint accepts any token; is it Fanvue's?")
    if answer.kind == "invalid_grant":
        return ok("Fanvue client", "the token endpoint knows our client")
    if answer.kind == "config":
        return fail("Fanvue client", answer.as_error().operator_message)
    return fail(
        "Fanvue client", f"{answer.message}; check FANVUE_AUTH_URL, or try again in a moment"
    )


async def check_sign_ups(settings: SupabaseSettings) -> Finding:
    """See that nobody makes an account of their own, least of all with somebody else's address.

    Members are invited, by address: an account whose address nobody confirmed could accept.
    """
    key = settings.secret_key.get_secret_value()
    try:
        async with open_client(timeout=PROBE_SECONDS) as http:
            answer = await http.get(f"{settings.url}/auth/v1/settings", headers={"apikey": key})
        told = answer.raise_for_status().json()
        is_closed, is_unconfirmed = told["disable_signup"], told["mailer_autoconfirm"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return warn("sign-ups", f"Auth does not tell ({type(error).__name__}); look in Studio")
    if is_closed:
        return ok("sign-ups", "closed, members are invited")
    if is_unconfirmed:
        return fail(
            "sign-ups",
            "anybody may make an account with any address, unconfirmed, and accept the invitations"
            " for it; close sign-ups and turn on Confirm email in Studio (Authentication,"
            " Sign In / Providers)",
        )
    return warn(
        "sign-ups",
        "anybody may make an account; close them in Studio (Authentication, Sign In / Providers)",
    )


async def check_redis(settings: UpstashSettings | None) -> Finding:
    """Ping the cache; without it everything is right, only slower."""
    if settings is None:
        return ok("Redis", "not configured; dashboards read the database")
    token = settings.token.get_secret_value()
    try:
        async with open_client(timeout=PROBE_SECONDS) as http:
            answer = await http.post(
                settings.url, json=["PING"], headers={"authorization": f"Bearer {token}"}
            )
    except httpx.HTTPError as error:
        return fail(
            "Redis",
            f"no answer ({type(error).__name__}); check UPSTASH_REDIS_REST_URL, or remove it",
        )
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return fail("Redis", "it refuses the token; correct UPSTASH_REDIS_REST_TOKEN")
    if answer.is_error:
        return fail(
            "Redis", f"it answers {answer.status_code}; check the database in Upstash's console"
        )
    return ok("Redis", "answers")
