"""Sends signed test events through the real webhook function, and looks whether they arrived.

What it proves: the address is reached, the function knows the secret, and it works on this
database. What it cannot: that Fanvue signs with the same secret; arrivals prove that. A test event
is stored nowhere but in a table of its own, from which it is taken away again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import httpx

from worker.commands.findings import Finding, fail, ok, warn
from worker.errors import Misconfigured, SyncError
from worker.sealing import Keyring
from worker.transport import open_client


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.clock import Clock
    from worker.settings import Settings
    from worker.store.webhooks import StoredWebhook, WebhookCreator, WebhookStore


TEST_SECONDS: Final = 10.0
TOPIC: Final = "fanvue_sync.test"
SIGNATURE: Final = "x-fanvue-signature"
SECRET_TABLE: Final = "webhook_subscriptions"  # noqa: S105 - a table, not a secret
SECRET_COLUMN: Final = "secret"  # noqa: S105 - a column, not a secret
DEPLOY: Final = "supabase functions deploy fanvue-webhook"


@dataclass(frozen=True, slots=True)
class Signer:
    """A secret with which a test is signed; without it, why it could not be opened."""

    name: str
    secret: str | None = field(repr=False)
    creator_uuid: str | None = None
    webhook_id: str | None = None
    problem: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """How one test ended; `problem` is None when the event arrived."""

    signed_by: str
    problem: str | None = None
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "signed_by": self.signed_by,
            "arrived": self.problem is None,
            "message": self.problem,
            "remedy": self.remedy,
        }


def function_address(settings: Settings) -> str:
    """Return where the webhook function of the project is."""
    return f"{settings.supabase.url}/functions/v1/fanvue-webhook"


def open_secret(keyring: Keyring, webhook: StoredWebhook) -> str:
    """Open the secret of a registered webhook."""
    sealed = str(webhook.sealed)
    return keyring.open(sealed, webhook.id, SECRET_COLUMN, table=SECRET_TABLE).value


def seal_secret(keyring: Keyring, secret: str, webhook_id: str) -> str:
    """Seal the secret of a webhook for its row."""
    return keyring.seal(secret, webhook_id, SECRET_COLUMN, table=SECRET_TABLE)


def signers(
    settings: Settings, creators: Iterable[WebhookCreator], *, with_settings: bool = True
) -> list[Signer]:
    """Return every secret that deliveries may be signed with: of the settings, of webhooks."""
    found: list[Signer] = []
    if with_settings and settings.fanvue_or_none is not None:
        ours = settings.fanvue.webhook_secrets
        found += [
            Signer(
                "FANVUE_WEBHOOK_SECRETS" + (f" ({number} of {len(ours)})" if ours[1:] else ""),
                secret.get_secret_value(),
            )
            for number, secret in enumerate(ours, start=1)
        ]
    for creator in creators:
        found += [_registered(settings, creator, webhook) for webhook in creator.active]
    return found


def _registered(settings: Settings, creator: WebhookCreator, webhook: StoredWebhook) -> Signer:
    name = f"the webhook of {creator.name}"
    try:
        secret = open_secret(Keyring(settings.sealing.keys), webhook)
    except Misconfigured as error:
        return Signer(name, None, problem=error.message, remedy=error.remedy)
    return Signer(name, secret, creator.uuid, webhook.id)


async def send_test(
    http: httpx.AsyncClient, url: str, signer: Signer, store: WebhookStore, clock: Clock
) -> Tested:
    """Send one test event and look for it in the database."""
    if signer.secret is None:
        return Tested(signer.name, signer.problem, signer.remedy)
    event_id = str(uuid4())
    answer = await post_event(http, url, event_id, signer, clock)
    if isinstance(answer, str):
        remedy = "check SUPABASE_URL, or the address given with --url"
        return Tested(signer.name, f"no answer from {url} ({answer})", remedy)
    if answer != httpx.codes.OK:
        problem, remedy = _refusal(url, answer, signer)
        return Tested(signer.name, problem, remedy)
    if not await store.take_test(event_id, signer.webhook_id):
        return Tested(
            signer.name,
            f"{url} took the test event, and it is not in this database",
            "the function is deployed in another project: give its SUPABASE_URL, or deploy it here",
        )
    return Tested(signer.name)


async def post_event(
    http: httpx.AsyncClient, url: str, event_id: str, signer: Signer | None, clock: Clock
) -> int | str:
    """Post an event, unsigned without a signer; return the status, or why there is none."""
    now = clock.now()
    data: dict[str, Any] = {"object": "test"}
    if signer is not None and signer.creator_uuid is not None:
        data["creator"] = {"uuid": signer.creator_uuid}
    event = {"id": event_id, "type": TOPIC, "timestamp": now.isoformat(), "data": data}
    body, headers = json.dumps(event).encode(), {"content-type": "application/json"}
    if signer is not None and signer.secret is not None:
        seconds = int(now.timestamp())
        signed = b"%d." % seconds + body
        digest = hmac.new(signer.secret.encode(), signed, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"t={seconds},v0={digest}"
    try:
        return (await http.post(url, content=body, headers=headers)).status_code
    except httpx.HTTPError as error:
        return type(error).__name__


def _refusal(url: str, status: int, signer: Signer) -> tuple[str, str]:
    if status == httpx.codes.UNAUTHORIZED:
        if signer.webhook_id is not None:
            return (
                f"the function refuses what {signer.name} signs",
                "try again in a minute; then make it anew: fanvue-sync webhooks rotate --all",
            )
        return (
            f"the function refuses what {signer.name} signs",
            "give both the same secrets: supabase secrets set FANVUE_WEBHOOK_SECRETS=…",
        )
    if status == httpx.codes.NOT_FOUND:
        return f"there is no function at {url}", DEPLOY
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return (
            "the function cannot take deliveries now: a secret, a key or the database is missing",
            "try again in a minute; then its log says which: supabase secrets set",
        )
    return f"the function answers {status}", "look at its log in Supabase (Edge Functions)"


def open_test_http(seconds: float = TEST_SECONDS) -> httpx.AsyncClient:
    """Open the way that deliveries take; redirects are refusals, as for Fanvue."""
    return open_client(timeout=seconds)


async def check_webhooks(  # noqa: PLR0913 - what a check needs of its surroundings
    settings: Settings,
    creators: Sequence[WebhookCreator],
    store: WebhookStore,
    clock: Clock,
    *,
    heard: bool,
    seconds: float,
) -> Finding:
    """See that a signed event comes through: with the settings' secret, and one webhook's."""
    known = signers(settings, [])[:1] + signers(settings, creators, with_settings=False)[:1]
    if not known and heard:
        return ok("webhooks", "not tested: FANVUE_WEBHOOK_SECRETS is not set here")
    if not known:
        return ok(
            "webhooks",
            "none are set up: polls find everything, a few minutes later; "
            "fanvue-sync webhooks register --all sets them up",
        )
    async with open_test_http(seconds) as http:
        for signer in known:
            try:
                tested = await send_test(http, function_address(settings), signer, store, clock)
            except SyncError as error:
                return fail("webhooks", error.operator_message)
            if tested.problem is not None:
                return fail("webhooks", f"{tested.problem}; {tested.remedy}")
    return ok("webhooks", f"a test event signed by {known[-1].name} came through and arrived")


def check_announcements(facts: dict[str, Any]) -> Finding:
    """Say whether announcements arrive, as the console's front page judges it."""
    if facts["is_refused"]:
        return warn(
            "announcements",
            f"{facts['refused']} deliveries were refused within a day: their signature fits no "
            "secret of the function; compare FANVUE_WEBHOOK_SECRETS of the functions with the "
            "Fanvue app's Events tab",
        )
    if facts["unopened"]:
        return warn(
            "announcements",
            f"the function cannot open the secrets of {facts['unopened']} webhooks; give it the "
            "workers' TOKEN_ENCRYPTION_KEYS (supabase secrets set)",
        )
    if facts["silent"]:
        return warn(
            "announcements",
            f"polls find sales of {facts['silent']} creators that nobody announced; "
            "fanvue-sync webhooks list",
        )
    if facts["last_accepted_at"] is None:
        return ok("announcements", "none ever arrived; polls find everything")
    return ok("announcements", "they arrive")
