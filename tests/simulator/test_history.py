"""Bulk history: exact counts, mixed directions, ties, silence, and pages that stay cheap."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from simulator.audience import audience
from simulator.client import SimulatorControl
from simulator.clock import to_millis
from simulator.history import add_history
from simulator.memberships import add_fans
from simulator.population import add_model
from simulator.server import running
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.content import Message
    from simulator.happenings import Happening
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


DAY_MS = 86_400_000


@pytest.fixture
def quiet(world: World) -> Creator:
    return add_model(world, handle="quiet", fans=0, messages=0, posts=0)


def all_messages(creator: Creator) -> list[Message]:
    return [message for chat in creator.chats.values() for message in chat.messages]


def test_history_has_exactly_the_messages_ordered(world: World, quiet: Creator) -> None:
    tied = add_history(world, quiet, 3000, fans=20, days=30, ties=40)

    messages = all_messages(quiet)
    now = to_millis(NOON)
    assert len(messages) == 3000
    assert len(quiet.chats) == 20
    assert all(now - 30 * DAY_MS <= message.at < now for message in messages)
    assert {message.sent for message in messages} == {True, False}
    assert 30 <= tied <= 40
    assert len({message.at for message in messages}) == 3000 - tied
    assert {message.purchased_at for message in messages if message.price} == {None}
    for chat in quiet.chats.values():
        assert [m.at for m in chat.messages] == sorted(m.at for m in chat.messages)
        assert chat.unread_count == sum(not m.sent and not m.is_read for m in chat.messages)


def test_nobody_hears_of_history(world: World, quiet: Creator) -> None:
    heard: list[Happening] = []
    world.listeners.append(heard.append)

    add_history(world, quiet, 50, fans=3)

    assert heard == []


async def test_long_chats_are_paged_exactly_in_both_families(
    world: World, anyone: Caller, quiet: Creator
) -> None:
    add_history(world, quiet, 400, fans=2, ties=0)
    me = anyone.sign_in(quiet)
    for uuid, chat in quiet.chats.items():
        expected = [message.uuid for message in reversed(chat.messages)]
        numbered: list[str] = []
        for page in range(1, 1 + len(expected) // 7 + 1):
            body = await me.json(f"/chats/{uuid}/messages", page=page, size=7)
            numbered += [row["uuid"] for row in body["data"]]
        dated: list[str] = []
        cursors: dict[str, str] = {}
        while True:
            body = await me.json(f"/v1/chats/{uuid}/messages", limit=9, **cursors)
            dated += [row["uuid"] for row in body["data"]]
            cursors = {name: at for name, at in body["dateFilter"].items() if at is not None}
            if not cursors:
                break
        assert numbered == dated == expected


async def test_cursor_survives_that_the_row_it_names_is_gone(
    world: World, anyone: Caller, quiet: Creator
) -> None:
    add_history(world, quiet, 60, fans=6)
    me = anyone.sign_in(quiet)
    whole = [row["user"]["uuid"] for page in await me.walk("/v1/chats") for row in page]
    first = await me.json("/v1/chats", size=2)

    del quiet.chats[whole[1]]
    rest = await me.json("/v1/chats", cursor=first["nextCursor"])

    assert [row["user"]["uuid"] for row in rest["data"]] == whole[2:]


async def test_numbered_lists_shift_when_a_row_is_added_between_pages(
    world: World, anyone: Caller
) -> None:
    creator = add_model(world, fans=0, followers=9)
    me = anyone.sign_in(creator)
    one = (await me.json("/followers", page=1, size=3))["data"]

    add_fans(world, creator, followers=1)
    two = (await me.json("/followers", page=2, size=3))["data"]

    assert two[0] == one[-1]


@pytest.mark.parametrize("name", ["followers", "subscribers"])
async def test_new_creators_have_exactly_the_people_and_content_asked_for(
    world: World, simulation: Simulation, anyone: Caller, name: str
) -> None:
    creator = add_model(world, fans=0, messages=70, posts=30, subscribers=22, followers=22)

    told = audience(world, creator, simulation.knobs.of(creator.uuid))
    listed = await anyone.sign_in(creator).walk(f"/v1/{name}", size=4)

    assert told["messages"] == 70
    assert len(told["posts"]) == 30
    assert len(told[name]) == 22
    assert [fan["uuid"] for page in listed for fan in page] == told[name]


def test_hundred_thousand_messages_are_made_and_told_in_one_call_each(world: World) -> None:
    with running(world, world.clock) as sim, SimulatorControl(sim.url) as control:
        (made,) = control.add_creators(handle="chatty", fans=0, messages=0)
        answer = control.add_history("chatty", 100_000, fans=300, days=365)
        told = control.audience("chatty")

    instants = Counter(m.at for m in all_messages(world.creator(made["uuid"])))
    assert answer["messages"] == told.messages == 100_000
    assert 100_000 - len(instants) == answer["tied"] > 500
    assert len(told.chats) == 300
