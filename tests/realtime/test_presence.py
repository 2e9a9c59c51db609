from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.realtime.conftest import User

    Connect = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.system


async def present(channel: Any, *keys: str) -> dict[str, Any]:
    """Wait until exactly these are present."""
    while True:
        state: dict[str, Any] = (await channel.next("presence"))["state"]
        if set(state) == set(keys):
            return state


async def test_everybody_sees_who_comes_and_goes(connect: Connect, kind: str, topic: str) -> None:
    one, two = await connect(kind), await connect("javascript")
    first = await one.join(topic, presence="one")
    second = await two.join(topic, presence="two")
    await first.joined()
    await second.joined()

    await one.track(topic, {"mood": "good"})
    seen = await present(second, "one")
    await two.track(topic, {})
    await present(first, "one", "two")
    await one.untrack(topic)

    assert seen["one"][0]["mood"] == "good"
    await present(second, "two")


async def test_who_joins_later_sees_who_is_there_and_who_leaves_is_gone(
    connect: Connect, kind: str, topic: str
) -> None:
    early, late = await connect("javascript"), await connect(kind)
    first = await early.join(topic, presence="early")
    await first.joined()
    await early.track(topic, {})

    second = await late.join(topic, presence="late")
    await present(second, "early")
    await early.leave(topic)

    await present(second)


async def test_being_present_on_a_private_channel_needs_a_policy_for_it(
    connect: Connect, topic: str, user: User, new_user: Callable[[], User]
) -> None:
    user.enter(topic)
    writer = new_user()
    writer.enter(topic, writes=True)
    reader = await connect("javascript", user.token())
    speaker = await connect("javascript", writer.token())
    channel = await reader.join(topic, private=True, presence="reader")
    await channel.joined()
    await (await speaker.join(topic, private=True, presence="writer")).joined()

    await reader.track(topic, {})
    await speaker.track(topic, {})

    await present(channel, "writer")
