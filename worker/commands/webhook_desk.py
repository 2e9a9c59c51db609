"""What `fanvue-sync webhooks` does for one creator: Fanvue's side and ours, in the right order.

Ours comes first and last: the function must let Fanvue's own call in before a subscription is made,
and must know its secret before an older one goes. A subscription whose secret nobody keeps is only
refused, so none is left behind.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from worker.commands.terminal import ago
from worker.commands.webhook_check import DEPLOY, Signer, post_event, seal_secret
from worker.errors import Misconfigured, SyncError, Transient, UsageError
from worker.jobs.subscriptions import (
    Subscriptions,
    missing_scopes,
    tells_of_chats,
    wanted_topics,
)
from worker.sealing import Keyring
from worker.store.webhooks import WebhookStore


if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from worker.app import Engine
    from worker.jobs.grants import Token
    from worker.jobs.subscriptions import NewSubscription, Subscription
    from worker.settings import Settings
    from worker.store.webhooks import StoredWebhook, WebhookCreator


# The function looks for what it does not know at most every three seconds.
LOOKS: Final = 30
LOOK_PAUSE_SECONDS: Final = 0.5
BY_HAND: Final = "read with the agency's grant: add the webhook by hand in the Fanvue app, Events"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one creator's webhook."""

    creator: WebhookCreator
    word: str
    events: tuple[str, ...] = ()
    text: str = ""
    error: SyncError | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "model_id": self.creator.model_id,
            "creator": self.creator.name,
            "outcome": self.word,
            "events": list(self.events),
            "note": self.text or None,
            "error": None if self.error is None else self.error.describe(),
        }


class NotForThisCreator(UsageError):  # noqa: N818 - named by what is the case, like its family
    """There is no webhook to do this with, or Fanvue takes none over its API."""


class Desk:
    """Does for one creator what a command asks."""

    def __init__(
        self, settings: Settings, engine: Engine, http: httpx.AsyncClient, url: str
    ) -> None:
        self.store = WebhookStore(engine.books.database)
        self._keyring = Keyring(settings.sealing.keys)
        self._engine = engine
        self._http = http
        self._url = url

    async def look(self, creator: WebhookCreator) -> Outcome:
        """Compare what is stored with what Fanvue has."""
        if creator.grant != "own" or creator.status != "active":
            stored = creator.active
            text = BY_HAND if creator.grant == "agency" else f"the model is {creator.status}"
            if stored:
                return Outcome(creator, "not checked", stored[0].events, text)
            return Outcome(creator, "none", text=text)
        listed = {one.id: one for one in await self._subscriptions(creator).listed()}
        kept = [one for one in creator.active if one.fanvue_id in listed]
        if kept:
            now = self._engine.clock.now()
            text = f"since {ago(kept[0].since, now)}, to {kept[0].url}"
            if kept[0].unopened_at is not None:
                text = "the function cannot open its secret: it lacks the key; " + text
            return Outcome(creator, "active", kept[0].events, text)
        again = f"fanvue-sync webhooks register {creator.handle or creator.model_id}"
        if creator.active:
            return Outcome(creator, "gone", text=f"deleted at Fanvue; {again}")
        here = [one for one in listed.values() if one.url == self._url]
        if here:
            text = f"nobody kept its secret, its deliveries are refused; {again}"
            return Outcome(creator, "unknown", here[0].events, text)
        other = [one for one in listed.values() if one.url != self._url]
        text = f"Fanvue delivers to {other[0].url}" if other else ""
        return Outcome(creator, "none", text=text)

    async def register(self, creator: WebhookCreator, *, messages: bool | None = None) -> Outcome:
        """Make a subscription unless there is one; replace those whose secret nobody kept.

        `messages`: whether they are to be announced; None leaves a subscription as it is.
        """
        subscriptions = self._subscriptions(creator)
        listed = await subscriptions.listed()
        here = [one for one in listed if one.url == self._url]
        kept = {one.fanvue_id: one for one in creator.active}
        ids = {one.id for one in listed}
        for lost in creator.active:
            if lost.fanvue_id not in ids:
                await self.store.retire(lost.id)
        known = next((kept[one.id] for one in here if one.id in kept), None)
        strays = [one for one in here if one.id not in kept]
        if known is not None and messages in {None, tells_of_chats(known.events)}:
            await self._delete(subscriptions, strays)
            return Outcome(creator, "unchanged", known.events)
        wanted = wanted_topics(messages=messages is not False)
        made = await self._make(creator, subscriptions, self._url, wanted)
        if known is not None:
            await self._remove(subscriptions, known)
        await self._delete(subscriptions, strays)
        return Outcome(creator, "registered", made.events, _left_out(made, wanted))

    async def rotate(self, creator: WebhookCreator) -> Outcome:
        """Make new subscriptions, then delete the old ones; both secrets are good meanwhile.

        What is announced stays: who is not told of messages is not told of them afterwards.
        """
        subscriptions = self._subscriptions(creator)
        if not creator.active:
            again = creator.handle or creator.model_id
            raise NotForThisCreator(
                f"{creator.name} has no registered webhook",
                remedy=f"fanvue-sync webhooks register {again}",
            )
        urls = dict.fromkeys(one.url for one in creator.active)
        kept = {one.fanvue_id for one in creator.active}
        listed = await subscriptions.listed()
        wanted = wanted_topics(messages=any(tells_of_chats(one.events) for one in creator.active))
        made: NewSubscription | None = None
        for url in urls:
            made = await self._make(creator, subscriptions, url, wanted)
            for old in creator.active:
                if old.url == url:
                    await self._remove(subscriptions, old)
        ours = {*urls, self._url}
        strays = [one for one in listed if one.url in ours and one.id not in kept]
        await self._delete(subscriptions, strays)
        events = () if made is None else made.events
        return Outcome(creator, "rotated", events, "" if made is None else _left_out(made, wanted))

    async def delete(self, creator: WebhookCreator) -> Outcome:
        """Delete what is registered here, and what was made for this address and got lost."""
        subscriptions = self._subscriptions(creator)
        here = [one for one in await subscriptions.listed() if one.url == self._url]
        for old in creator.active:
            await self._remove(subscriptions, old, expect_none=True)
        await self._delete(subscriptions, here)
        for begun in creator.webhooks:
            if begun.state == "registering":
                await self.store.retire(begun.id)
        return Outcome(creator, "deleted" if creator.active or here else "none")

    async def _make(
        self,
        creator: WebhookCreator,
        subscriptions: Subscriptions,
        url: str,
        wanted: Sequence[str],
    ) -> NewSubscription:
        webhook_id = str(uuid4())
        await self.store.begin(webhook_id, creator.model_id, url, wanted)
        try:
            # Fanvue's own call must find the function ready for it.
            await self._until_taken(url, None)
            made = await self._ask(subscriptions, url, wanted)
        except BaseException:
            await self.store.retire(webhook_id)
            raise
        try:
            sealed = seal_secret(self._keyring, made.secret, webhook_id)
            await self.store.finish(webhook_id, made.id, made.events, sealed)
        except SyncError:
            # A webhook whose secret nobody keeps would only be refused.
            await subscriptions.delete(made.id)
            raise
        signer = Signer(creator.name, made.secret, creator.uuid, webhook_id)
        await self._until_taken(url, signer)
        return made

    async def _ask(
        self, subscriptions: Subscriptions, url: str, wanted: Sequence[str]
    ) -> NewSubscription:
        """Make a subscription; where the answer got lost, leave none whose secret nobody has."""
        before = {one.id for one in await subscriptions.listed()}
        try:
            return await subscriptions.make(url, messages=tells_of_chats(wanted))
        except Transient:
            with suppress(SyncError):
                listed = await subscriptions.listed()
                lost = [one for one in listed if one.url == url and one.id not in before]
                await self._delete(subscriptions, lost)
            raise

    async def _until_taken(self, url: str, signer: Signer | None) -> None:
        """Wait until the function lets an event in: unsigned while we register, or signed."""
        event_id = str(uuid4())
        answer: int | str = "nothing"
        for _ in range(LOOKS):
            answer = await post_event(self._http, url, event_id, signer, self._engine.clock)
            if answer == 200:  # noqa: PLR2004 - HTTP's own
                if signer is not None:
                    await self.store.take_test(event_id, signer.webhook_id)
                return
            # 503: what an isolate of the function learned a moment ago has no secret yet.
            if answer not in {401, 503}:
                break
            await asyncio.sleep(LOOK_PAUSE_SECONDS)
        told = f"answers {answer}" if isinstance(answer, int) else f"does not answer ({answer})"
        raise Misconfigured(
            f"{url} {told}, so Fanvue would be refused, too",
            remedy=f"{DEPLOY}, then: fanvue-sync doctor",
        )

    async def _remove(
        self, subscriptions: Subscriptions, old: StoredWebhook, *, expect_none: bool = False
    ) -> None:
        if old.fanvue_id is not None:
            await subscriptions.delete(old.fanvue_id)
        await self.store.retire(old.id, expect_none=expect_none)

    @staticmethod
    async def _delete(subscriptions: Subscriptions, strays: Sequence[Subscription]) -> None:
        for stray in strays:
            await subscriptions.delete(stray.id)

    def _subscriptions(self, creator: WebhookCreator) -> Subscriptions:
        if creator.grant == "agency":
            raise NotForThisCreator(
                f"{creator.name} is {BY_HAND}", remedy="see docs/operations.md, Webhooks"
            )
        if creator.grant != "own" or creator.uuid is None or creator.status != "active":
            raise NotForThisCreator(
                f"{creator.name} is not connected", remedy="connect the creator, then try again"
            )

        async def token(rejected: int | None) -> Token:
            model_id = creator.model_id
            return await self._engine.grants.token(model_id, grant_id=model_id, rejected=rejected)

        return Subscriptions(self._engine.client, creator.uuid, token)


def _left_out(made: NewSubscription, wanted: Sequence[str]) -> str:
    scopes = missing_scopes(made.events, wanted)
    if not scopes:
        return ""
    return f"without what {' and '.join(scopes)} allows: tick it in the Fanvue app, connect again"
