"""What happens in chats while the world runs: messages are sent, read and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.content import Message
from simulator.happenings import Kind


if TYPE_CHECKING:
    from simulator.content import Chat
    from simulator.people import Creator, Fan
    from simulator.world import World


def add_messages(  # noqa: PLR0913 - who, how many and what
    world: World,
    creator: Creator,
    count: int = 1,
    *,
    fan_uuid: str | None = None,
    text: str | None = "hi there",
    sent: bool = False,
    price: int | None = None,
) -> list[tuple[Fan, Message]]:
    """Add unread messages dated now, with one fan or with random ones; a price locks them."""
    with world.lock:
        now = world.clock.now_ms()
        pairs = []
        for _ in range(count):
            fan = world.random.choice(creator.fans) if fan_uuid is None else creator.fan(fan_uuid)
            message = Message(world.new_uuid(), now, text, sent=sent, price=price, is_read=False)
            if price is not None:
                message.media_uuids = [world.new_uuid()]
            say(world, creator, fan, message)
            pairs.append((fan, message))
        return pairs


def say(world: World, creator: Creator, fan: Fan, message: Message) -> None:
    """Put a message into the chat with a fan, which begins with it if need be."""
    creator.chats.with_fan(fan, message.at).add(message)
    kind = Kind.MESSAGE_SENT if message.sent else Kind.MESSAGE_RECEIVED
    world.announce(kind, creator, fan, message=message)


def read_messages(world: World, creator: Creator, fan_uuid: str) -> int:
    """Let the creator read all that a fan wrote until now; return how many were unread."""
    with world.lock:
        chat = _chat(creator, fan_uuid)
        unread = chat.read(world.clock.now_ms())
        if unread:
            world.announce(Kind.MESSAGE_READ, creator, chat.fan, message=unread[-1])
        return len(unread)


def delete_messages(
    world: World, creator: Creator, fan_uuid: str, message_uuids: list[str]
) -> list[Message]:
    """Delete the named messages of a chat, or its newest when none is named."""
    with world.lock:
        chat = _chat(creator, fan_uuid)
        wanted = message_uuids or [m.uuid for m in chat.messages[-1:]]
        gone = chat.remove(set(wanted))
        for message in gone:
            world.announce(Kind.MESSAGE_DELETED, creator, chat.fan, message=message)
        return gone


def delete_chat(world: World, creator: Creator, fan_uuid: str) -> int:
    """Delete a chat as if it had never been; return how many messages it had."""
    with world.lock:
        count = len(_chat(creator, fan_uuid).messages)
        del creator.chats[fan_uuid]
        return count


def mute_chat(world: World, creator: Creator, fan_uuid: str, *, muted: bool) -> None:
    """Mute a chat or let it be heard again."""
    with world.lock:
        _chat(creator, fan_uuid).is_muted = muted


def _chat(creator: Creator, fan_uuid: str) -> Chat:
    found = creator.chats.get(creator.fan(fan_uuid).uuid)
    if found is None:
        raise KeyError(f"{creator.handle} has no chat with {fan_uuid!r}")
    return found
