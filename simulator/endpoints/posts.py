"""Posts and the tips given on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.endpoint import Endpoint
from simulator.endpoints.fan_card import fan_card
from simulator.paging import NewestFirst, numbered
from simulator.replies import NotFound


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.content import Post, Tip
    from simulator.replies import Reply


def posts(call: Call) -> Reply:
    """Answer /posts, newest first."""
    return numbered(call, NewestFirst(call.creator.posts), _post)


def tips(call: Call) -> Reply:
    """Answer /posts/{uuid}/tips, newest first."""
    uuid = call.uuid("uuid")
    post = next((post for post in call.creator.posts if post.uuid == uuid), None)
    if post is None:
        raise NotFound("Post not found")
    found = [tip for tip in post.tips if tip.at <= call.now]
    return numbered(call, sorted(found, key=lambda tip: tip.at, reverse=True), _tip)


def _post(post: Post) -> dict[str, Any]:
    return {
        "uuid": post.uuid,
        "createdAt": stamp(post.at),
        "text": post.text,
        "price": post.price,
        "audience": post.audience,
        "publishAt": None,
        "publishedAt": stamp(post.at + 1000),
        "expiresAt": None,
        "mediaUuids": post.media_uuids,
        "mediaPreviewUuid": None,
        "isPinned": post.is_pinned,
        "likesCount": post.likes,
        "commentsCount": post.comments,
        "tips": {
            "count": len(post.tips),
            "totalGross": sum(tip.gross for tip in post.tips),
            "totalNet": sum(tip.net for tip in post.tips),
        },
        "collections": [],
    }


def _tip(tip: Tip) -> dict[str, Any]:
    return {
        "user": fan_card(tip.fan),
        "createdAt": stamp(tip.at),
        "gross": tip.gross,
        "net": tip.net,
    }


ENDPOINTS = [
    Endpoint("/posts", ("read:post",), posts),
    Endpoint("/posts/{uuid}/tips", ("read:post",), tips, twin=False),
]
