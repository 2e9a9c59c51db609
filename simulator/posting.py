"""What happens to posts while the world runs: published, liked, commented on and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.content import Post


if TYPE_CHECKING:
    from simulator.people import Creator
    from simulator.world import World


def add_posts(
    world: World, creator: Creator, count: int = 1, *, price: int | None = None
) -> list[Post]:
    """Publish posts now."""
    with world.lock:
        now = world.clock.now_ms()
        posts = [
            Post(world.new_uuid(), now, "a new post", price, "subscribers", [world.new_uuid()])
            for _ in range(count)
        ]
        for post in posts:
            creator.add_post(post)
        return posts


def react_to_posts(
    world: World, creator: Creator, post_uuids: list[str], *, likes: int = 1, comments: int = 0
) -> list[Post]:
    """Let fans like the named posts, or the newest, and comment on them."""
    with world.lock:
        posts = _named(creator, post_uuids)
        for post in posts:
            post.likes = max(0, post.likes + likes)
            post.comments = max(0, post.comments + comments)
        return posts


def delete_posts(world: World, creator: Creator, post_uuids: list[str]) -> list[Post]:
    """Delete the named posts, or the newest; their money stays."""
    with world.lock:
        gone = _named(creator, post_uuids)
        creator.posts[:] = [post for post in creator.posts if post not in gone]
        return gone


def _named(creator: Creator, post_uuids: list[str]) -> list[Post]:
    if not post_uuids:
        return creator.posts[-1:]
    return [creator.post(uuid) for uuid in dict.fromkeys(post_uuids)]
