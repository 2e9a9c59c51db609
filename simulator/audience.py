"""The truth about a creator's people and content at an instant: what the lists would show.

Checks compare a database with these figures. No knob and no fault changes them, but the one
that says whether expired subscribers stand on their list.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.rosters import followers_shown, roster, subscribers_shown
from simulator.transactions import SALES


if TYPE_CHECKING:
    from simulator.content import Chat, Post
    from simulator.knobs import Knobs
    from simulator.people import Creator, Fan
    from simulator.world import World


@dataclass(slots=True)
class Spender:
    """A fan with what they paid in a window, in US cents."""

    fan: Fan
    gross: int = 0
    net: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """The totals of an account; money in US cents, reversals only in the balance."""

    status: str
    total_gross_cents: int
    available_balance_cents: int
    last_payout_at: str | None
    followers: int
    subscribers: int


def top_spenders(creator: Creator, start: int | None, end: int | None) -> list[Spender]:
    """Return who paid within the window, biggest first; reversals lessen nothing."""
    spenders: dict[str, Spender] = {}
    for row in creator.ledger.between(start, end, SALES):
        if row.fan is not None:
            spender = spenders.setdefault(row.fan.uuid, Spender(row.fan))
            spender.gross += row.gross
            spender.net += row.net
            spender.messages += row.source == "message"
    return sorted(spenders.values(), key=lambda s: (-s.gross, s.fan.uuid))


def account_figures(creator: Creator, now_ms: int) -> AccountFigures:
    """Return the totals of an account."""
    people = roster(creator, now_ms)
    return AccountFigures(
        status=creator.status,
        total_gross_cents=creator.ledger.total(SALES).gross,
        available_balance_cents=creator.balance(now_ms),
        last_payout_at=None if creator.last_payout_at is None else stamp(creator.last_payout_at),
        followers=len(people.followers),
        subscribers=len(people.subscribers),
    )


def audience(
    world: World,
    creator: Creator,
    knobs: Knobs,
    start: int | None = None,
    end: int | None = None,
) -> dict[str, Any]:
    """Return everything at once; the window bounds only the top spenders."""
    with world.lock:
        now = world.clock.now_ms()
        creator.ledger.settle(now)
        expired = knobs.subscribers_include_expired
        chats = {uuid: _chat(chat, now) for uuid, chat in creator.chats.items()}
        return {
            "creator": creator.uuid,
            "now": stamp(now),
            "subscribers": [
                fan.uuid for fan in subscribers_shown(creator, now, with_expired=expired)
            ],
            "followers": [fan.uuid for fan in followers_shown(creator, now)],
            "chats": chats,
            "messages": sum(len(chat["message_uuids"]) for chat in chats.values()),
            "posts": {post.uuid: _post(post) for post in creator.posts},
            "top_spenders": [
                {
                    "fan_uuid": spender.fan.uuid,
                    "gross_cents": spender.gross,
                    "net_cents": spender.net,
                    "messages": spender.messages,
                }
                for spender in top_spenders(creator, start, end)
            ],
            "account": asdict(account_figures(creator, now)),
        }


def _chat(chat: Chat, now: int) -> dict[str, Any]:
    """Describe a chat: its messages until now, newest first."""
    return {
        "message_uuids": [m.uuid for m in reversed(chat.messages) if m.at <= now],
        "last_message_at": stamp(chat.last_message_at),
        "unread": chat.unread_count,
    }


def _post(post: Post) -> dict[str, Any]:
    return {
        "likes": post.likes,
        "comments": post.comments,
        "tips": len(post.tips),
        "tips_gross_cents": sum(tip.gross for tip in post.tips),
        "tips_net_cents": sum(tip.net for tip in post.tips),
        "price_cents": post.price,
        "is_pinned": post.is_pinned,
    }
