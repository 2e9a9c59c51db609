"""Control of everything that is not money: creators, fans, messages, posts, leavers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.accounts import rename_fan
from simulator.clock import stamp
from simulator.control.life_orders import (
    Cancellations,
    DeletedChat,
    DeletedMessages,
    DeletedPosts,
    MutedChat,
    NewFans,
    NewHistory,
    NewMessages,
    NewName,
    NewPosts,
    Reactions,
    ReadMessages,
    SubscriptionChanges,
    Unfollows,
)
from simulator.control.orders import CreatorMove, NewCreators
from simulator.conversations import (
    add_messages,
    delete_chat,
    delete_messages,
    mute_chat,
    read_messages,
)
from simulator.history import add_history
from simulator.memberships import (
    Change,
    add_fans,
    change_subscriptions,
    follow_again,
    unfollow,
)
from simulator.population import add_model
from simulator.posting import add_posts, delete_posts, react_to_posts


if TYPE_CHECKING:
    from simulator.people import Fan
    from simulator.simulation import Simulation


class Life:
    """Acts on the people and content of a world; each method answers one route."""

    def __init__(self, simulation: Simulation) -> None:
        self._world = simulation.world

    def add_creators(self, _query: dict[str, str], body: Any) -> Any:
        """Add creators."""
        order = NewCreators.model_validate(body)
        if order.count > 1 and (order.handle or order.creator_uuid or order.administrator):
            raise ValueError("handle, creator_uuid and administrator need a count of 1")
        added = [
            add_model(
                self._world,
                agency=order.agency,
                handle=order.handle,
                creator_uuid=order.creator_uuid,
                transactions=order.transactions,
                fans=order.fans,
                days=order.days,
                messages=order.messages,
                posts=order.posts,
                subscribers=order.subscribers,
                followers=order.followers,
                administrator=order.administrator,
            )
            for _ in range(order.count)
        ]
        return {"creators": [{"uuid": c.uuid, "handle": c.handle} for c in added]}

    def move_creator(self, _query: dict[str, str], body: Any) -> Any:
        """Let another agency look after a creator."""
        order = CreatorMove.model_validate(body)
        creator = self._world.creator(order.creator)
        home = next((a for a in self._world.agencies if order.agency in (a.uuid, a.name)), None)
        self._world.move_creator(creator, home or self._world.add_agency(order.agency))
        return {"creator": creator.uuid, "agency": creator.agency.uuid}

    def add_fans(self, _query: dict[str, str], body: Any) -> Any:
        """Add fans."""
        order = NewFans.model_validate(body)
        creator = self._world.creator(order.creator)
        fans = add_fans(
            self._world, creator, followers=order.followers, subscribers=order.subscribers
        )
        return _people(fans)

    def add_messages(self, _query: dict[str, str], body: Any) -> Any:
        """Add messages."""
        order = NewMessages.model_validate(body)
        pairs = add_messages(
            self._world,
            self._world.creator(order.creator),
            order.count,
            fan_uuid=order.fan_uuid,
            text=order.text,
            sent=order.sent,
            price=order.price,
        )
        return {
            "messages": [
                {"uuid": message.uuid, "fan_uuid": fan.uuid, "sent_at": stamp(message.at)}
                for fan, message in pairs
            ]
        }

    def add_history(self, _query: dict[str, str], body: Any) -> Any:
        """Add old messages, silently."""
        order = NewHistory.model_validate(body)
        creator = self._world.creator(order.creator)
        tied = add_history(
            self._world, creator, order.count, fans=order.fans, days=order.days, ties=order.ties
        )
        return {"creator": creator.uuid, "messages": order.count, "tied": tied}

    def delete_chat(self, _query: dict[str, str], body: Any) -> Any:
        """Delete a chat."""
        order = DeletedChat.model_validate(body)
        creator = self._world.creator(order.creator)
        return {"deleted": delete_chat(self._world, creator, order.fan_uuid)}

    def mute_chat(self, _query: dict[str, str], body: Any) -> Any:
        """Mute a chat."""
        order = MutedChat.model_validate(body)
        creator = self._world.creator(order.creator)
        mute_chat(self._world, creator, order.fan_uuid, muted=order.muted)
        return {"muted": order.muted}

    def rename_fan(self, _query: dict[str, str], body: Any) -> Any:
        """Give a fan another name."""
        order = NewName.model_validate(body)
        creator = self._world.creator(order.creator)
        fan = rename_fan(
            self._world,
            creator,
            order.fan_uuid,
            handle=order.handle,
            display_name=order.display_name,
        )
        return _people([fan])

    def add_posts(self, _query: dict[str, str], body: Any) -> Any:
        """Add posts."""
        order = NewPosts.model_validate(body)
        creator = self._world.creator(order.creator)
        posts = add_posts(self._world, creator, order.count, price=order.price)
        return {"posts": [{"uuid": post.uuid} for post in posts]}

    def delete_posts(self, _query: dict[str, str], body: Any) -> Any:
        """Delete posts."""
        order = DeletedPosts.model_validate(body)
        creator = self._world.creator(order.creator)
        gone = delete_posts(self._world, creator, order.post_uuids)
        return {"deleted": [post.uuid for post in gone]}

    def react_to_posts(self, _query: dict[str, str], body: Any) -> Any:
        """Like posts and comment on them."""
        order = Reactions.model_validate(body)
        creator = self._world.creator(order.creator)
        posts = react_to_posts(
            self._world, creator, order.post_uuids, likes=order.likes, comments=order.comments
        )
        return {"posts": [post.uuid for post in posts]}

    def unfollow(self, _query: dict[str, str], body: Any) -> Any:
        """Let followers leave."""
        order = Unfollows.model_validate(body)
        creator = self._world.creator(order.creator)
        return _people(unfollow(self._world, creator, order.fan_uuids, count=order.count))

    def follow_again(self, _query: dict[str, str], body: Any) -> Any:
        """Let those who left follow again."""
        order = Unfollows.model_validate(body)
        creator = self._world.creator(order.creator)
        return _people(follow_again(self._world, creator, order.fan_uuids, count=order.count))

    def cancel_subscriptions(self, _query: dict[str, str], body: Any) -> Any:
        """End subscriptions."""
        order = Cancellations.model_validate(body)
        return self._change(order.creator, order.count, Change.END)

    def change_subscriptions(self, _query: dict[str, str], body: Any) -> Any:
        """Renew or end subscriptions, or stop their renewal."""
        order = SubscriptionChanges.model_validate(body)
        return self._change(order.creator, order.count, order.change)

    def read_messages(self, _query: dict[str, str], body: Any) -> Any:
        """Let the creator read a chat."""
        order = ReadMessages.model_validate(body)
        creator = self._world.creator(order.creator)
        return {"read": read_messages(self._world, creator, order.fan_uuid)}

    def delete_messages(self, _query: dict[str, str], body: Any) -> Any:
        """Delete messages."""
        order = DeletedMessages.model_validate(body)
        creator = self._world.creator(order.creator)
        gone = delete_messages(self._world, creator, order.fan_uuid, order.message_uuids)
        return {"deleted": [message.uuid for message in gone]}

    def _change(self, name: str, count: int, change: Change) -> Any:
        fans = change_subscriptions(self._world, self._world.creator(name), count, change)
        return _people(fans)


def _people(fans: list[Fan]) -> dict[str, Any]:
    return {"fans": [{"uuid": fan.uuid, "handle": fan.handle} for fan in fans]}
