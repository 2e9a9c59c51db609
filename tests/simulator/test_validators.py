"""Conditional requests: validators are off, and when on an unchanged answer is 304."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.sales import Sale, add_sale


if TYPE_CHECKING:
    import httpx

    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


EARNINGS = "/v1/insights/earnings"


async def again(me: Caller, path: str, **conditions: str) -> httpx.Response:
    """Get a path under conditions; names are written with underscores."""
    headers = {name.replace("_", "-"): value for name, value in conditions.items()}
    return await me.http.get(path, headers=me.headers | headers)


async def test_no_validator_is_offered_or_honoured_by_default(me: Caller) -> None:
    response = await again(me, EARNINGS, if_none_match="*")

    assert response.status_code == 200
    assert "etag" not in response.headers
    assert "last-modified" not in response.headers


@pytest.mark.parametrize("weak", [False, True])
async def test_matching_tag_gets_304_until_the_answer_changes(
    me: Caller, simulation: Simulation, world: World, creator: Creator, weak: bool
) -> None:
    simulation.knobs.update({"validators": "etag", "weak_etags": weak})
    tag = (await me.get(EARNINGS)).headers["etag"]

    same = await again(me, EARNINGS, if_none_match=f'"other", {tag}')
    add_sale(world, creator, Sale(source="tip", gross_cents=700))
    news = await again(me, EARNINGS, if_none_match=tag)

    assert tag.startswith("W/") is weak
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (news.status_code, len(news.json()["data"])) == (200, 1)
    assert news.headers["etag"] != tag


async def test_304_spends_a_call_and_is_written_down(me: Caller, simulation: Simulation) -> None:
    simulation.knobs.update({"validators": "both"})
    first = await me.get(EARNINGS)

    second = await again(me, EARNINGS, if_none_match=first.headers["etag"])

    left = int(first.headers["x-ratelimit-remaining"]) - 1
    assert second.headers["x-ratelimit-remaining"] == str(left)
    assert second.headers["date"]
    assert [entry.status for entry in simulation.journal.read()] == [200, 304]


async def test_date_moves_with_every_change_even_within_a_second(
    me: Caller, simulation: Simulation, world: World, creator: Creator, clock: SimulatedClock
) -> None:
    simulation.knobs.update({"validators": "last_modified"})
    dates = []
    for _ in range(3):
        dates.append((await me.get(EARNINGS)).headers["last-modified"])
        same = await again(me, EARNINGS, if_modified_since=dates[-1])
        assert (same.status_code, same.headers["last-modified"]) == (304, dates[-1])
        add_sale(world, creator, Sale(source="tip", gross_cents=700))
        clock.advance(0.2)

    assert len(set(dates)) == 3
    assert (await again(me, EARNINGS, if_modified_since=dates[-1])).status_code == 200
    assert (await again(me, EARNINGS, if_modified_since="nonsense")).status_code == 200


async def test_tag_outweighs_the_date(me: Caller, simulation: Simulation) -> None:
    simulation.knobs.update({"validators": "both"})
    date = (await me.get(EARNINGS)).headers["last-modified"]

    response = await again(me, EARNINGS, if_none_match='"other"', if_modified_since=date)

    assert response.status_code == 200


async def test_tag_of_one_caller_is_nothing_to_another_body(
    me: Caller, anyone: Caller, simulation: Simulation, world: World, creator: Creator
) -> None:
    simulation.knobs.update({"validators": "etag"})
    add_sale(world, creator, Sale(source="tip", gross_cents=700))
    other = anyone.sign_in(world.agencies[1].creators[0])
    tag = (await me.get(EARNINGS)).headers["etag"]

    assert (await again(other, EARNINGS, if_none_match=tag)).status_code == 200
    assert (await again(me, EARNINGS, if_none_match="*")).status_code == 304


async def test_errors_carry_no_validator(me: Caller, simulation: Simulation) -> None:
    simulation.knobs.update({"validators": "both"})

    response = await me.get(EARNINGS, size=51)

    assert response.status_code == 400
    assert "etag" not in response.headers
