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
from worker.commands.webhook_check import DEPLOY, Signer, open_secret, post_event, seal_secret
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
            return Outcome(creator, "active", listed[str(kept[0].fanvue_id)].events, text)
        again = f"fanvue-sync webhooks register {_called(creator)}"
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
        """Make the subscription unless it is there, and leave no other at this address.

        `messages`: whether they are to be announced; None leaves it as it was chosen.
        """
        subscriptions = self._subscriptions(creator)
        listed = {one.id: one for one in await subscriptions.listed()}
        here = [one for one in creator.active if one.url == self._url]
        if messages is None:
            messages = _chose_messages(here or creator.active)
        wanted = wanted_topics(messages=messages)
        live = [one for one in here if one.fanvue_id in listed]
        # The newest: where a switch broke off, or a rotation, it is the one that was wanted.
        fits = [one for one in live if tells_of_chats(one.events) is messages][-1:]
        others = [one for one in live if one not in fits]
        if fits:
            word, events = "unchanged", listed[str(fits[0].fanvue_id)].events
            if others:
                secret = open_secret(self._keyring, fits[0])
                signer = Signer(creator.name, secret, creator.uuid, fits[0].id)
                await self._until_taken(self._url, signer)
        else:
            word = "registered"
            events = (await self._make(creator, subscriptions, self._url, wanted)).events
        for old in others:
            await self._remove(subscriptions, old)
        # Only now: they tell what was chosen, should this break off.
        for lost in creator.active:
            if lost.fanvue_id not in listed:
                await self.store.retire(lost.id)
        kept = {one.fanvue_id for one in creator.active}
        strays = [one for one in listed.values() if one.url == self._url and one.id not in kept]
        await self._delete(subscriptions, strays)
        return Outcome(creator, word, events, _left_out(creator, events, wanted))

    async def rotate(self, creator: WebhookCreator) -> Outcome:
        """Make new subscriptions, then delete the old ones; both secrets are good meanwhile.

        What was chosen for an address stays; what the creator's scopes allow by now is added.
        """
        subscriptions = self._subscriptions(creator)
        if not creator.active:
            raise NotForThisCreator(
                f"{creator.name} has no registered webhook",
                remedy=f"fanvue-sync webhooks register {_called(creator)}",
            )
        urls = dict.fromkeys(one.url for one in creator.active)
        kept = {one.fanvue_id for one in creator.active}
        listed = await subscriptions.listed()
        events: tuple[str, ...] = ()
        text = ""
        for url in urls:
            there = [one for one in creator.active if one.url == url]
            wanted = wanted_topics(messages=_chose_messages(there))
            events = (await self._make(creator, subscriptions, url, wanted)).events
            text = text or _left_out(creator, events, wanted)
            for old in there:
                await self._remove(subscriptions, old)
        ours = {*urls, self._url}
        strays = [one for one in listed if one.url in ours and one.id not in kept]
        await self._delete(subscriptions, strays)
        return Outcome(creator, "rotated", events, text)

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
            # What was wanted; what the scopes allowed of it is in Fanvue's list.
            await self.store.finish(webhook_id, made.id, wanted, sealed)
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


def _called(creator: WebhookCreator) -> str:
    return creator.handle or creator.model_id


def _chose_messages(webhooks: Sequence[StoredWebhook]) -> bool:
    """Tell whether messages were wanted, by the newest; at first they are."""
    return not webhooks or tells_of_chats(webhooks[-1].events)


def _left_out(creator: WebhookCreator, events: Sequence[str], wanted: Sequence[str]) -> str:
    scopes = missing_scopes(events, wanted)
    if not scopes:
        return ""
    return (
        f"without what {' and '.join(scopes)} allows: tick it in the Fanvue app, connect again, "
        f"then fanvue-sync webhooks rotate {_called(creator)}"
    )
