"""Lists that are not whole but look it: they end early, have gaps, or are empty."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from simulator.audience import audience
from simulator.faults import Fault, FaultKind
from simulator.population import add_model
from simulator.sales import Sale, add_sale, add_sales


if TYPE_CHECKING:
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


PATHS = ["/subscribers", "/followers", "/posts", "/chats"]
V1_PATHS = ["/subscribers", "/followers", "/chats", "/insights/earnings"]


@pytest.fixture
def crowded(world: World) -> Creator:
    creator = add_model(
        world, handle="crowded", fans=0, messages=300, posts=20, subscribers=20, followers=20
    )
    add_sales(world, creator, 20)
    return creator


@pytest.fixture
def me(anyone: Caller, crowded: Creator) -> Caller:
    return anyone.sign_in(crowded)


async def numbered(me: Caller, path: str) -> list[Any]:
    """Read a numbered list until it says that it ends."""
    rows: list[Any] = []
    for page in range(1, 100):
        body = await me.json(path, page=page, size=3)
        rows += body["data"]
        if not body["pagination"]["hasMore"]:
            break
    return rows


async def by_cursor(me: Caller, path: str) -> list[Any]:
    """Read a list by cursor until it says that it ends."""
    return [row for page in await me.walk(path, size=3) for row in page]


@pytest.mark.parametrize("path", PATHS)
async def test_half_a_numbered_list_claims_to_be_whole(
    me: Caller, simulation: Simulation, path: str
) -> None:
    whole = await numbered(me, path)
    simulation.knobs.update({"list_share": {path: 0.5}})

    assert await numbered(me, path) == whole[: (len(whole) + 1) // 2]


@pytest.mark.parametrize("path", V1_PATHS)
async def test_half_a_list_by_cursor_claims_to_be_whole(
    me: Caller, simulation: Simulation, path: str
) -> None:
    whole = await by_cursor(me, f"/v1{path}")
    simulation.knobs.update({"list_share": {path: 0.5}})

    assert await by_cursor(me, f"/v1{path}") == whole[: (len(whole) + 1) // 2]


@pytest.mark.parametrize("path", ["/followers", "/insights/earnings"])
async def test_gaps_leave_out_rows_between_others(
    me: Caller, simulation: Simulation, path: str
) -> None:
    whole = await by_cursor(me, f"/v1{path}")
    simulation.knobs.update({"list_share": {path: 0.25}, "list_gaps": True})

    shown = await by_cursor(me, f"/v1{path}")

    assert len(shown) == 5
    assert shown == whole[::4]


@pytest.mark.parametrize("path", [*PATHS, "/v1/subscribers", "/v1/followers", "/v1/chats"])
async def test_empty_page_may_claim_to_be_the_whole_list(
    me: Caller, simulation: Simulation, path: str
) -> None:
    simulation.knobs.update({"list_share": {path.removeprefix("/v1"): 0}})

    body = await me.json(path)

    assert body["data"] == []
    if "pagination" in body:
        assert body["pagination"] == {"page": 1, "size": 0, "hasMore": False}
    else:
        assert body["nextCursor"] is None
    assert body.get("total", 0) == 0


async def test_half_a_chat_claims_to_be_whole_in_both_families(
    me: Caller, simulation: Simulation, crowded: Creator
) -> None:
    uuid, chat = max(crowded.chats.items(), key=lambda pair: len(pair[1].messages))
    half = (len(chat.messages) + 1) // 2
    simulation.knobs.update({"list_share": {"/chats/{userUuid}/messages": 0.5}})

    dated: list[Any] = []
    cursors: dict[str, str] = {}
    while True:
        body = await me.json(f"/v1/chats/{uuid}/messages", limit=3, **cursors)
        dated += body["data"]
        cursors = {name: at for name, at in body["dateFilter"].items() if at is not None}
        if not cursors:
            break

    assert len(await numbered(me, f"/chats/{uuid}/messages")) == half
    assert half - 2 <= len(dated) <= half


@pytest.mark.parametrize(
    "path", ["/followers", "/v1/followers", "/v1/chats", "/v1/insights/earnings"]
)
@pytest.mark.parametrize(("kind", "count"), [("empty_list", 0), ("early_end", 4)])
async def test_fault_ends_a_list_once(
    me: Caller, simulation: Simulation, path: str, kind: str, count: int
) -> None:
    simulation.faults.arm(Fault(kind=FaultKind(kind), nth=2))
    walk = await me.json(path, size=4)
    second = {"page": 2} if "pagination" in walk else {"cursor": walk["nextCursor"]}

    broken = await me.json(path, size=4, **second)
    whole = await me.json(path, size=4, **second)

    assert len(broken["data"]) == count
    assert broken.get("nextCursor") is None
    assert broken.get("pagination", {"hasMore": False})["hasMore"] is False
    assert len(whole["data"]) == 4
    assert whole.get("nextCursor") or whole["pagination"]["hasMore"]


async def test_only_the_named_list_of_the_named_creator_is_broken(
    me: Caller, anyone: Caller, simulation: Simulation, crowded: Creator, creator: Creator
) -> None:
    simulation.knobs.update({"list_share": {"followers": 0}}, crowded.uuid)

    assert (await me.json("/followers"))["data"] == []
    assert (await me.json("/subscribers"))["data"]
    assert (await anyone.sign_in(creator).json("/followers"))["data"]


def test_truth_and_counts_know_nothing_of_broken_lists(
    world: World, simulation: Simulation, crowded: Creator
) -> None:
    simulation.knobs.update({"list_share": {"followers": 0}})

    told = audience(world, crowded, simulation.knobs.of(crowded.uuid))

    assert len(told["followers"]) == told["account"]["followers"] == 20


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_share_is_a_part_of_the_whole(simulation: Simulation, share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        simulation.knobs.update({"list_share": {"/followers": share}})


async def test_every_second_row_has_a_detail_spoilt_and_is_still_there(
    me: Caller, simulation: Simulation
) -> None:
    whole = (await me.get("/v1/insights/earnings")).json()["data"]

    simulation.knobs.update({"spoilt_details": 2})
    spoilt = (await me.get("/v1/insights/earnings")).json()["data"]

    assert spoilt[1::2] == whole[1::2]
    assert all(one != other for one, other in zip(spoilt[::2], whole[::2], strict=True))
    essentials = ("date", "gross")
    assert [[row[name] for name in essentials] for row in spoilt] == [
        [row[name] for name in essentials] for row in whole
    ]


@pytest.mark.parametrize("places", [1, 2])
async def test_rows_come_late_and_none_is_lost_by_offset(
    me: Caller, simulation: Simulation, places: int
) -> None:
    whole = [row["date"] for row in await by_cursor(me, "/v1/insights/earnings")]
    simulation.knobs.update({"swap_every": 3, "late_by": places})

    shown = [row["date"] for row in await by_cursor(me, "/v1/insights/earnings")]

    assert shown != whole
    assert shown[2 : 3 + places] == [*whole[3 : 3 + places], whole[2]]
    assert sorted(shown, reverse=True) == whole


async def test_pages_may_stand_in_any_order(me: Caller, simulation: Simulation) -> None:
    whole = await me.walk("/insights/earnings", size=10)
    simulation.knobs.update({"pages_shuffled": True})

    shown = await me.walk("/insights/earnings", size=10)

    assert shown != whole
    dates = [[row["date"] for row in page] for page in whole]
    assert [sorted((row["date"] for row in page), reverse=True) for page in shown] == dates


async def test_an_offset_is_skipped_in_whatever_list_is_asked_for(
    me: Caller, simulation: Simulation
) -> None:
    simulation.knobs.update({"ties": "offset"})
    whole = await by_cursor(me, "/insights/earnings")
    cursor = (await me.json("/insights/earnings", size=3))["nextCursor"]

    other = await me.json("/insights/earnings", cursor=cursor, endDate=whole[5]["date"])

    assert other["data"][0] == whole[6 + 3]


async def test_a_cursor_made_of_a_date_ends_where_nothing_is_older(
    world: World, crowded: Creator, me: Caller, simulation: Simulation
) -> None:
    simulation.knobs.update({"ties": "skip"})
    oldest = (await by_cursor(me, "/insights/earnings"))[-1]["date"]
    add_sale(world, crowded, Sale(source="tip", at=datetime.fromisoformat(oldest), copies=2))

    pages = await me.walk("/insights/earnings", size=21)

    assert [len(page) for page in pages] == [21]


@pytest.mark.parametrize("how", ["empty", "repeated"])
@pytest.mark.parametrize("path", [f"/v1{path}" for path in V1_PATHS])
async def test_a_list_may_never_end(
    me: Caller, simulation: Simulation, path: str, how: str
) -> None:
    first = (await me.json(path, size=50))["data"]
    simulation.knobs.update({"endless": {path.removeprefix("/v1"): how}})

    cursor: dict[str, str] = {}
    cursors: list[str] = []
    shown: list[Any] = []
    for _ in range(6):
        body = await me.json(path, size=50, **cursor)
        shown.append(body["data"])
        cursor = {"cursor": body["nextCursor"]}
        cursors.append(body["nextCursor"])

    assert shown == [first] + [first if how == "repeated" else []] * 5
    assert len(set(cursors)) == 6


async def test_a_numbered_list_may_never_end(me: Caller, simulation: Simulation) -> None:
    simulation.knobs.update({"endless": {"posts": "repeated"}})
    first = await me.json("/posts", size=50)

    later = await me.json("/posts", size=50, page=40)

    assert later["data"] == first["data"]
    assert later["pagination"]["page"] == 40
    assert later["pagination"]["hasMore"]
