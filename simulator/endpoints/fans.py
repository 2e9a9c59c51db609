"""Subscribers, followers and smart lists.

Unversioned lists are numbered pages; v1 lists go by cursor and say more of a subscription.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.endpoint import Endpoint
from simulator.endpoints.fan_card import fan_card
from simulator.paging import by_key, by_name, listed, numbered
from simulator.replies import NotFound, Reply
from simulator.rosters import follower_key, followers_shown, subscriber_key, subscribers_shown
from simulator.transactions import SALES


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.people import Creator, Fan


BIG_SPENDER_CENTS = 5000
LIST_NAMES = {
    "subscribers": "Subscribers",
    "auto_renewing": "Auto renewing",
    "non_renewing": "Non renewing",
    "followers": "Followers",
    "free_trial_subscribers": "Free trial",
    "expired_subscribers": "Expired",
    "spent_more_than_50": "Spent more than 50",
}


def subscribers(call: Call) -> Reply:
    """Answer /subscribers, newest subscription first."""
    expired = call.knobs.subscribers_include_expired
    fans = subscribers_shown(call.creator, call.now, with_expired=expired)
    if call.v1:
        return by_key(call, fans, lambda fan: _subscriber(call, fan), subscriber_key)
    return numbered(call, fans, fan_card)


def followers(call: Call) -> Reply:
    """Answer /followers, newest first; active subscribers are not among them."""
    fans = followers_shown(call.creator, call.now)
    if call.v1:
        return by_key(call, fans, fan_card, follower_key)
    return numbered(call, fans, fan_card)


def smart_lists(call: Call) -> Reply:
    """Answer /chats/lists/smart: a bare array."""
    names = LIST_NAMES | ({"muted": "Muted", "creators": "Creators"} if call.v1 else {})
    return Reply(
        [
            {"name": name, "uuid": word, "count": len(members(call, call.creator, word))}
            for word, name in names.items()
        ]
    )


def smart_list_members(call: Call) -> Reply:
    """Answer /chats/lists/smart/{word}."""
    word = call.path["listUuid"]
    if word not in LIST_NAMES and not (call.v1 and word in {"muted", "creators"}):
        raise NotFound("List not found")
    found = members(call, call.creator, word)
    if not call.v1:
        return numbered(call, found, _member)
    reply = by_name(call, found, _member, lambda fan: fan.uuid)
    reply.body["total"] = len(listed(call, found))
    return reply


def members(call: Call, creator: Creator, word: str) -> list[Fan]:
    """Return the fans on a smart list."""
    active = creator.subscribers(call.now)
    match word:
        case "subscribers":
            found = active
        case "auto_renewing":
            found = [f for f in active if f.subscription and f.subscription.auto_renews]
        case "non_renewing":
            found = [f for f in active if f.subscription and not f.subscription.auto_renews]
        case "followers":
            found = creator.followers(call.now)
        case "expired_subscribers":
            found = [f for f in creator.inactive(call.now) if f.subscription]
        case "spent_more_than_50":
            totals = spent(creator)
            found = [f for f in creator.fans if totals.get(f.uuid, 0) > BIG_SPENDER_CENTS]
        case "muted":
            found = [chat.fan for chat in creator.chats.values() if chat.is_muted]
        case _:
            found = []
    return found


def spent(creator: Creator) -> dict[str, int]:
    """Return what each fan ever paid, in gross cents; reversals do not lessen it."""
    totals: dict[str, int] = {}
    for row in creator.ledger.rows(SALES):
        if row.fan is not None:
            totals[row.fan.uuid] = totals.get(row.fan.uuid, 0) + row.gross
    return totals


def _subscriber(call: Call, fan: Fan) -> dict[str, Any]:
    card = fan_card(fan)
    subscription = fan.subscription
    if subscription is None:
        return card | {"subscription": None, "firstSubscribedAt": None}
    active = subscription.is_active(call.now)
    start, end = subscription.period(call.now)
    card["subscription"] = {
        "status": "active" if active and subscription.auto_renews else "cancelled",
        "price": subscription.price,
        "amountPaid": subscription.price,
        "currentPeriodStart": stamp(start),
        "currentPeriodEnd": stamp(end),
        "autoRenewalEnabled": subscription.auto_renews,
    }
    card["firstSubscribedAt"] = stamp(subscription.first_at)
    return card


def _member(fan: Fan) -> dict[str, Any]:
    return {
        "uuid": fan.uuid,
        "displayName": fan.display_name,
        "handle": fan.handle,
        "isCreator": False,
    }


ENDPOINTS = [
    Endpoint("/subscribers", ("read:fan",), subscribers),
    Endpoint("/followers", ("read:fan",), followers),
    Endpoint("/chats/lists/smart", ("read:fan",), smart_lists),
    Endpoint("/chats/lists/smart/{listUuid}", ("read:fan",), smart_list_members),
]
