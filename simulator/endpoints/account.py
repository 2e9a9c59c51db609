"""The signed-in account: profile, and totals that reconcile with its money rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.audience import account_figures
from simulator.clock import stamp
from simulator.endpoint import Endpoint
from simulator.replies import Reply
from simulator.rosters import roster


if TYPE_CHECKING:
    from simulator.call import Call


def me(call: Call) -> Reply:
    """Answer /users/me."""
    body = _profile(call)
    creator = call.owner
    if creator is not None:
        body["likesCount"] = sum(post.likes for post in creator.posts)
        people = roster(creator, call.now)
        body["fanCounts"] = {
            "followersCount": len(people.followers),
            "subscribersCount": len(people.subscribers),
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
    figures = account_figures(creator, call.now)
    body["account"] = {
        "status": figures.status,
        "earnings": {
            "total": figures.total_gross_cents,
            "availableBalance": figures.available_balance_cents,
            "lastPayoutAt": figures.last_payout_at,
        },
        "fans": {"followers": figures.followers, "subscribers": figures.subscribers},
    }
    if call.v1:
        prices = [fan.subscription.price for fan in creator.fans if fan.subscription]
        body["account"]["subscriptionPrice"] = max(prices, default=None)
    return Reply(body)


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
    Endpoint("/users/account", ("read:self",), account, twin_path="/account"),
]
