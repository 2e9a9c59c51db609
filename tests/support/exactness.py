"""Our tables against the whole truth: money, fans, chats, messages, posts, figures.

Reads each table once for all creators; says what differs instead of failing at the first.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    from simulator.truths import Audience


_MONEY: Final = """
select m.fanvue_user_uuid,
       (select count(*) from public.fanvue_transactions t where t.model_id = m.id),
       (select coalesce(sum(t.amount), 0) from public.fanvue_transactions t
        where t.model_id = m.id),
       (select coalesce(sum(t.net_amount), 0) from public.fanvue_transactions t
        where t.model_id = m.id),
       (select coalesce(sum(d.gross), 0) from public.earnings_daily d where d.model_id = m.id),
       m.revenue_total
from public.models m
"""
_FANS: Final = """
select m.fanvue_user_uuid, f.fan_uuid
from public.fanvue_fans f join public.models m on m.id = f.model_id where f.{}
"""
_MESSAGES: Final = """
select m.fanvue_user_uuid, t.message_uuid, t.fan_uuid, t.purchased_at is not null
from public.fanvue_messages t join public.models m on m.id = t.model_id
where t.deleted_at is null
"""
_POSTS: Final = """
select m.fanvue_user_uuid, p.post_uuid, p.likes, p.comments, p.tips, p.tips_gross
from public.fanvue_posts p join public.models m on m.id = p.model_id where p.deleted_at is null
"""
_TOP_FANS: Final = """
select m.fanvue_user_uuid, t.fan_uuid, t.gross, t.net, t.messages
from public.fanvue_top_fans t join public.models m on m.id = t.model_id
where t.day = (private.engine_now() at time zone 'UTC')::date
"""
_ACCOUNTS: Final = """
select m.fanvue_user_uuid, a.total_gross, a.available_balance, a.subscribers, a.followers
from public.fanvue_accounts a join public.models m on m.id = a.model_id
"""
TOP_FANS_SHOWN: Final = 50


def money_differences(
    database: psycopg.Connection[Any], books: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Compare every creator's ledger, rollup and total with Fanvue's books."""
    ours = {row[0]: row[1:] for row in database.execute(_MONEY)}
    wrong = []
    for creator, book in books.items():
        gross = _dollars(book["gross_cents"])
        theirs = (book["count"], gross, _dollars(book["net_cents"]), gross, gross)
        if ours.get(creator) != theirs:
            wrong.append(f"money of {creator}: ours {ours.get(creator)}, theirs {theirs}")
    return wrong


def audience_differences(
    database: psycopg.Connection[Any], truths: Iterable[Audience]
) -> list[str]:
    """Compare every creator's people, messages, posts and figures with the truth."""
    truths = list(truths)
    wrong = []
    for what, ours, theirs in (
        ("subscribers", _sets(database, _FANS.format("is_subscriber")), _subscribers(truths)),
        ("followers", _sets(database, _FANS.format("is_follower")), _followers(truths)),
        ("messages", _sets(database, _MESSAGES), _messages(database, truths)),
        ("posts", _sets(database, _POSTS), _posts(truths)),
        ("top fans", _sets(database, _TOP_FANS), _top_fans(truths)),
        ("account", _sets(database, _ACCOUNTS), _accounts(truths)),
    ):
        for truth in truths:
            found, wanted = ours[truth.creator], theirs[truth.creator]
            if found != wanted:
                extra, missing = sorted(found - wanted)[:3], sorted(wanted - found)[:3]
                wrong.append(
                    f"{what} of {truth.creator}: {len(found - wanted)} too many {extra}, "
                    f"{len(wanted - found)} missing {missing}"
                )
    return wrong


Rows = dict[str, set[Any]]


def _sets(database: psycopg.Connection[Any], statement: str) -> Rows:
    found: Rows = defaultdict(set)
    for creator, *facts in database.execute(statement.encode()):
        found[creator].add(tuple(facts))
    return found


def _subscribers(truths: Iterable[Audience]) -> Rows:
    return {truth.creator: {(fan,) for fan in truth.subscribers} for truth in truths}


def _followers(truths: Iterable[Audience]) -> Rows:
    return {truth.creator: {(fan,) for fan in truth.followers} for truth in truths}


def _messages(database: psycopg.Connection[Any], truths: Iterable[Audience]) -> Rows:
    # which of them were bought is told by the ledger, whose exactness is checked by itself
    sold = {
        row[0]
        for row in database.execute(
            """select message_uuid from public.fanvue_transactions
               where message_uuid is not null and category = 'message'"""
        )
    }
    return {
        truth.creator: {
            (uuid, fan, uuid in sold)
            for fan, chat in truth.chats.items()
            for uuid in chat.message_uuids
        }
        for truth in truths
    }


def _posts(truths: Iterable[Audience]) -> Rows:
    return {
        truth.creator: {
            (uuid, post.likes, post.comments, post.tips, _dollars(post.tips_gross_cents))
            for uuid, post in truth.posts.items()
        }
        for truth in truths
    }


def _top_fans(truths: Iterable[Audience]) -> Rows:
    return {
        truth.creator: {
            (one.fan_uuid, _dollars(one.gross_cents), _dollars(one.net_cents), one.messages)
            for one in truth.top_spenders[:TOP_FANS_SHOWN]
        }
        for truth in truths
    }


def _accounts(truths: Iterable[Audience]) -> Rows:
    return {
        truth.creator: {
            (
                _dollars(truth.account.total_gross_cents),
                _dollars(truth.account.available_balance_cents),
                truth.account.subscribers,
                truth.account.followers,
            )
        }
        for truth in truths
    }


def _dollars(cents: int) -> Decimal:
    return Decimal(cents) / 100
