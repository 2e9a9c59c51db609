"""Our books of a creator's people and content, beside Fanvue's own truth of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from worker.commands.sync import _sync


if TYPE_CHECKING:
    from simulator.truths import Audience
    from tests.support.engine import Engine


FAMILIES = pytest.mark.parametrize("family", ["v1", "unversioned"])
POLLED = ["earnings", "messages", "subscribers", "followers", "posts", "top_fans", "account"]
STREAMS = [*POLLED, "message_history"]
TABLES = {
    "earnings": ["fanvue_transactions"],
    "messages": ["fanvue_chats", "fanvue_messages"],
    "message_history": ["fanvue_messages"],
    "subscribers": ["fanvue_fans"],
    "followers": ["fanvue_fans"],
    "posts": ["fanvue_posts"],
    "top_fans": ["fanvue_top_fans"],
    "account": ["fanvue_accounts"],
}


@dataclass
class AudienceBooks:
    """One creator whose streams are synced one by one, when the test says so."""

    engine: Engine
    creator: str
    family: str = "v1"

    @property
    def model(self) -> str:
        return self.engine.models[self.creator]

    def sync(self, sync_type: str, *, full: bool = False, **changes: str) -> dict[str, Any]:
        """Run one stream now, as the command line does; return how its run ended."""
        settings = self.engine.settings(FANVUE_API_FAMILY=self.family, **changes)
        self.engine.fanvue.clear_requests()
        return asyncio.run(_sync(settings, self.model, sync_type, full=full, quiet=True))

    def calls(self) -> list[dict[str, Any]]:
        """Return Fanvue's log since the last sync began."""
        return self.engine.fanvue.requests(creator=self.creator, limit=100_000)

    def truth(self) -> Audience:
        """Return what Fanvue would show now; spenders of the last thirty days."""
        end = self._now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        start = end - timedelta(days=30)
        return self.engine.fanvue.audience(self.creator, start=start, end=end, details=True)

    def _now(self) -> datetime:
        return datetime.fromisoformat(self.engine.fanvue.audience(self.creator).now)

    def rows(self, query: str) -> list[Any]:
        return self.engine.database.execute(query, {"model": self.model}).fetchall()

    def written(self, sync_type: str) -> set[Any]:
        """Return which version of which row a stream's tables hold; a write changes it."""
        found: set[Any] = set()
        for table in TABLES[sync_type]:
            query = f"select xmin::text, ctid::text from public.{table} where model_id = %(model)s"  # noqa: S608 - our own tables
            found |= {(table, *row) for row in self.rows(query)}
        return found

    def assert_exact(self, sync_type: str) -> None:
        """Compare a stream's rows with Fanvue's truth."""
        getattr(self, f"_check_{sync_type}")(self.truth())

    def _check_earnings(self, _: Audience) -> None:
        self.engine.assert_exact(self.creator)

    def _check_subscribers(self, truth: Audience) -> None:
        ours = self.rows(
            "select fan_uuid, price, auto_renews, expires_at, subscribed_at"
            " from public.fanvue_fans where model_id = %(model)s and is_subscriber"
        )
        assert {row[0] for row in ours} == set(truth.subscribers)
        if self.family == "v1":
            assert {tuple(row) for row in ours} == {
                (
                    uuid,
                    dollars(one.price_cents),
                    one.auto_renews,
                    instant(one.period_end),
                    instant(one.first_at),
                )
                for uuid, one in truth.subscriptions.items()
            }

    def _check_followers(self, truth: Audience) -> None:
        ours = self.rows(
            "select fan_uuid from public.fanvue_fans where model_id = %(model)s and is_follower"
        )
        assert {row[0] for row in ours} == set(truth.followers)

    def _check_posts(self, truth: Audience) -> None:
        ours = self.rows(
            "select post_uuid, body, price, likes, comments, tips, tips_gross, tips_net,"
            " fanvue_created_at from public.fanvue_posts"
            " where model_id = %(model)s and deleted_at is null"
        )
        assert {tuple(row) for row in ours} == {
            (
                uuid,
                truth.post_rows[uuid].body,
                dollars(post.price_cents),
                post.likes,
                post.comments,
                post.tips,
                dollars(post.tips_gross_cents),
                dollars(post.tips_net_cents),
                instant(truth.post_rows[uuid].at),
            )
            for uuid, post in truth.posts.items()
        }

    def _check_top_fans(self, truth: Audience) -> None:
        ours = self.rows(
            "select fan_uuid, rank, gross, net, messages from public.fanvue_top_fans"
            " where model_id = %(model)s order by rank"
        )
        assert [tuple(row) for row in ours] == [
            (
                one.fan_uuid,
                rank,
                dollars(one.gross_cents),
                dollars(one.net_cents),
                one.messages,
            )
            for rank, one in enumerate(truth.top_spenders[:50], 1)
        ]

    def _check_account(self, truth: Audience) -> None:
        ours = self.rows(
            "select status, total_gross, available_balance, subscribers, followers"
            " from public.fanvue_accounts where model_id = %(model)s"
        )
        account = truth.account
        assert [tuple(row) for row in ours] == [
            (
                account.status,
                dollars(account.total_gross_cents),
                dollars(account.available_balance_cents),
                account.subscribers,
                account.followers,
            )
        ]

    def _check_messages(self, truth: Audience) -> None:
        """Compare every stored message, and that the newest page of every chat is stored."""
        ours = self._messages()
        theirs = self._true_messages(truth)
        assert ours <= theirs
        newest = {uuid for chat in truth.chats.values() for uuid in chat.message_uuids[:20]}
        assert newest <= {row[0] for row in ours}
        chats = self.rows(
            "select fan_uuid, last_message_at, unread_count from public.fanvue_chats"
            " where model_id = %(model)s and last_message_at is not null"
        )
        assert {tuple(row) for row in chats} == {
            (uuid, instant(chat.last_message_at), chat.unread)
            for uuid, chat in truth.chats.items()
            if chat.message_uuids
        }

    def _check_message_history(self, truth: Audience) -> None:
        assert self._messages() == self._true_messages(truth)

    def _messages(self) -> set[Any]:
        ours = self.rows(
            "select message_uuid, fan_uuid, sent_at, sender, body, type, media_count, price,"
            " purchased_at from public.fanvue_messages where model_id = %(model)s"
        )
        return {tuple(row) for row in ours}

    @staticmethod
    def _true_messages(truth: Audience) -> set[Any]:
        return {
            (
                uuid,
                row.fan_uuid,
                instant(row.at),
                row.sender,
                row.body,
                row.type,
                row.media_count,
                dollars(row.price_cents),
                None if row.purchased_at is None else instant(row.purchased_at),
            )
            for uuid, row in truth.message_rows.items()
        }


def dollars(cents: int | None) -> Decimal | None:
    """Return cents as dollars, exactly."""
    return None if cents is None else Decimal(cents) / 100


def instant(text: str) -> datetime:
    """Return an instant as the database has it."""
    return datetime.fromisoformat(text)


def first_sync(books: AudienceBooks, sync_type: str) -> dict[str, Any]:
    """Run a stream for the first time, after the one that finds its work."""
    if sync_type == "message_history":
        books.sync("messages")
    return books.sync(sync_type)
