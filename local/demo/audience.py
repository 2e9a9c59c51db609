"""A creator's people and content on both sides: our tables, and what Fanvue would show.

Whole sets, not only counts: a lost fan and an invented one do not balance each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from local.stack import Stack
    from simulator.truths import Audience


_OURS: Final = """
select coalesce(jsonb_object_agg(m.fanvue_user_uuid, jsonb_build_object(
  'subscribers', (select coalesce(jsonb_agg(f.fan_uuid), '[]') from public.fanvue_fans f
                  where f.model_id = m.id and f.is_subscriber),
  'followers', (select coalesce(jsonb_agg(f.fan_uuid), '[]') from public.fanvue_fans f
                where f.model_id = m.id and f.is_follower),
  'chats', (select coalesce(jsonb_agg(c.fan_uuid), '[]') from public.fanvue_chats c
            where c.model_id = m.id and c.last_message_at is not null),
  'messages', (select coalesce(jsonb_agg(e.message_uuid), '[]') from public.fanvue_messages e
               where e.model_id = m.id and e.deleted_at is null),
  'posts', (select coalesce(jsonb_agg(jsonb_build_array(p.post_uuid, p.likes, p.comments)), '[]')
            from public.fanvue_posts p where p.model_id = m.id and p.deleted_at is null))), '{}')
from public.models m
"""
_COUNTS: Final = """
select jsonb_build_object(
  'fans', (select count(*) from public.fanvue_fans),
  'messages', (select count(*) from public.fanvue_messages))
"""


@dataclass(frozen=True, slots=True)
class Content:
    """Who and what one side names; posts with their likes and comments."""

    subscribers: frozenset[str] = frozenset()
    followers: frozenset[str] = frozenset()
    chats: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    posts: frozenset[tuple[str, int, int]] = frozenset()

    @property
    def fans(self) -> int:
        """Return how many people are on either list."""
        return len(self.subscribers | self.followers)

    def differences(self, other: Content) -> list[str]:
        """Name what is not the same."""
        return [
            one.name for one in fields(self) if getattr(self, one.name) != getattr(other, one.name)
        ]


def our_content(stack: Stack) -> dict[str, Content]:
    """Read our tables: content by the creator's uuid."""
    found: dict[str, dict[str, list[Any]]] = json.loads(stack.query(_OURS))
    return {
        creator: Content(
            subscribers=frozenset(one["subscribers"]),
            followers=frozenset(one["followers"]),
            chats=frozenset(one["chats"]),
            messages=frozenset(one["messages"]),
            posts=frozenset((uuid, likes, comments) for uuid, likes, comments in one["posts"]),
        )
        for creator, one in found.items()
    }


def our_counts(stack: Stack) -> dict[str, int]:
    """Return how many fans and messages there are so far."""
    found: dict[str, int] = json.loads(stack.query(_COUNTS))
    return found


def their_content(truth: Audience) -> Content:
    """Take what is compared out of Fanvue's truth."""
    chats = {fan: chat.message_uuids for fan, chat in truth.chats.items() if chat.message_uuids}
    return Content(
        subscribers=frozenset(truth.subscribers),
        followers=frozenset(truth.followers),
        chats=frozenset(chats),
        messages=frozenset(uuid for uuids in chats.values() for uuid in uuids),
        posts=frozenset((uuid, one.likes, one.comments) for uuid, one in truth.posts.items()),
    )
