"""The creator's posts with their counters, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.fanvue.wire_lists import Post
from worker.streams.money import price
from worker.streams.stream import ListStream, iso


if TYPE_CHECKING:
    from worker.streams.stream import Row, Seen


def _row(post: Post, seen: Seen) -> Row:
    tips = post.tips
    return {
        "post_uuid": str(post.uuid),
        "at": iso(post.created_at),
        "body": post.text if seen.keep_text else None,
        "price": price(post.price),
        "audience": post.audience,
        "publish_at": iso(post.publish_at),
        "published_at": iso(post.published_at),
        "expires_at": iso(post.expires_at),
        "is_pinned": post.is_pinned,
        "likes": post.likes_count,
        "comments": post.comments_count,
        "tips": None if tips is None else tips.count,
        "tips_gross": None if tips is None else price(tips.total_gross),
        "tips_net": None if tips is None else price(tips.total_net),
    }


POSTS: Final = ListStream(
    sync_type="posts",
    paths=("/posts",),
    scopes=("read:post",),
    shape=Post,
    row=_row,
)
