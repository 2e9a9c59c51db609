"""The signed-in account: profile, and totals that reconcile with its money rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.endpoint import Endpoint
from simulator.replies import Reply
from simulator.transactions import SALES


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.people import Creator


def me(call: Call) -> Reply:
    """Answer /users/me."""
    body = _profile(call)
    creator = call.owner
    if creator is not None:
        body["likesCount"] = sum(post.likes for post in creator.posts)
        body["fanCounts"] = {
            "followersCount": len(creator.followers(call.now)),
            "subscribersCount": len(creator.subscribers(call.now)),
        }
        body["contentCounts"] = {
            "imageCount": sum(len(post.media_uuids) for post in creator.posts),
            "videoCount": 0,
            "audioCount": 0,
            "postCount": len(creator.posts),
            "payToViewPostCount": sum(post.price is not None for post in creator.posts),
        }
    return Reply(body)


def account(call: Call) -> Reply:
    """Answer /users/account: the profile and all-time gross of paid invoices."""
    body = _profile(call)
    creator = call.creator
    body["account"] = {
        "status": "active",
        "earnings": {
            "total": sum(row.gross for row in creator.ledger.rows(SALES)),
            "availableBalance": _available(call, creator),
            "lastPayoutAt": None,
        },
        "fans": {
            "followers": len(creator.followers(call.now)),
            "subscribers": len(creator.subscribers(call.now)),
        },
    }
    if call.v1:
        prices = [fan.subscription.price for fan in creator.fans if fan.subscription]
        body["account"]["subscriptionPrice"] = max(prices, default=None)
    return Reply(body)


def _available(call: Call, creator: Creator) -> int:
    rows = creator.ledger.rows()
    return max(0, sum(row.net for row in rows if row.available_at <= call.now))


def _profile(call: Call) -> dict[str, Any]:
    user = call.user if call.owner is None else call.owner.user
    return {
        "uuid": user.uuid,
        "email": user.email,
        "handle": user.handle,
        "bio": user.bio,
        "displayName": user.display_name,
        "isCreator": user.is_creator,
        "createdAt": stamp(user.created_at),
        "updatedAt": stamp(user.updated_at),
        "avatarUrl": None,
        "bannerUrl": None,
    }


ENDPOINTS = [
    Endpoint("/users/me", ("read:self",), me, twin=False),
    Endpoint("/users/account", ("read:self",), account),
]
