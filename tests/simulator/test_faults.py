"""Each fault as a client sees it, and which requests a rule picks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from simulator.client import SimulatorControl
from simulator.faults import ArmedFault, Fault, FaultKind, Match
from simulator.mishaps import HUGE_BYTES
from simulator.sales import add_sales
from simulator.server import running
from tests.simulator.press import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.transactions import Transaction
    from simulator.world import World
    from tests.simulator.caller import Caller

    Arm = Callable[..., ArmedFault]


EARNINGS = "/v1/insights/earnings"


@pytest.fixture
def arm(simulation: Simulation) -> Arm:
    def arm_fault(kind: str, path: str = "/insights/earnings", **rule: Any) -> ArmedFault:
        match = Match(path=path, method=rule.pop("method", None), creator=rule.pop("creator", None))
        return simulation.faults.arm(Fault(match=match, kind=FaultKind(kind), **rule))

    return arm_fault


@pytest.fixture(autouse=True)
def rows(world: World, creator: Creator) -> list[Transaction]:
    return add_sales(world, creator, 10)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500, 503])
async def test_status_fault_answers_in_fanvues_words(me: Caller, arm: Arm, status: int) -> None:
    arm("status", status=status)

    response = await me.get(EARNINGS)

    assert response.status_code == status
    assert isinstance(response.json(), dict)
    assert "X-RateLimit-Remaining" in response.headers


async def test_html_fault_is_not_json(me: Caller, arm: Arm) -> None:
    arm("html")

    response = await me.get(EARNINGS)

    assert (response.status_code, response.headers["Content-Type"][:9]) == (502, "text/html")


async def test_truncated_json_cannot_be_parsed(me: Caller, arm: Arm) -> None:
    arm("truncated_json")

    response = await me.get(EARNINGS)

    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


async def test_empty_400_and_expired_cursor_have_their_bodies(me: Caller, arm: Arm) -> None:
    arm("empty_400", nth=1)
    arm("cursor_expired", next_n=1)

    first, second, third = [await me.get(EARNINGS) for _ in range(3)]

    assert (first.status_code, first.json()) == (400, {"error": ""})
    assert second.json() == {"errors": ["cursor is invalid or has expired"]}
    assert third.status_code == 200


async def test_rows_can_be_out_of_order_incomplete_or_unknown(me: Caller, arm: Arm) -> None:
    arm("invalid_page_order", nth=1)
    arm("missing_field", nth=1, field="net")
    arm("unknown_enum", nth=1, value="hologram")

    swapped, incomplete, unknown, whole = [await me.json(EARNINGS) for _ in range(4)]

    assert swapped["data"][0] == whole["data"][-1]
    assert "net" not in incomplete["data"][0]
    assert unknown["data"][0]["source"] == "hologram"


@pytest.mark.parametrize(
    ("kind", "coding", "most_bytes"),
    [
        ("gzip_bomb", "gzip", HUGE_BYTES // 500),
        ("gzipped_twice", "gzip, gzip", HUGE_BYTES // 50_000),
        ("unknown_coding", "zstd", 10),
        ("huge_body", None, HUGE_BYTES),
    ],
)
async def test_hostile_answers_are_small_on_the_wire(
    me: Caller, arm: Arm, kind: str, coding: str | None, most_bytes: int
) -> None:
    arm(kind)

    # Its body is not read: httpx would open all of it.
    async with me.http.stream("GET", EARNINGS, headers=me.headers) as response:
        pass

    assert (response.status_code, response.headers.get("content-encoding")) == (200, coding)
    assert 0 < int(response.headers["content-length"]) <= most_bytes


async def test_slow_answer_still_comes(me: Caller, arm: Arm) -> None:
    arm("slow", ms=5)

    assert (await me.get(EARNINGS)).status_code == 200


async def test_rules_choose_the_nth_the_next_or_some(me: Caller, arm: Arm) -> None:
    armed = arm("status", nth=2)
    assert [(await me.get(EARNINGS)).status_code for _ in range(3)] == [200, 503, 200]
    assert (armed.matched, armed.hits) == (3, 1)

    arm("status", next_n=2)
    assert [(await me.get(EARNINGS)).status_code for _ in range(3)] == [503, 503, 200]

    some = arm("status", probability=0.5)
    statuses = [(await me.get(EARNINGS)).status_code for _ in range(60)]
    assert {200, 503} == set(statuses)
    assert some.hits == statuses.count(503)


async def test_times_bounds_the_hits(me: Caller, arm: Arm) -> None:
    arm("status", times=2)

    assert [(await me.get(EARNINGS)).status_code for _ in range(3)] == [503, 503, 200]


async def test_rules_match_path_method_and_creator(
    me: Caller, arm: Arm, world: World, anyone: Caller
) -> None:
    arm("status", path="/chats")
    arm("status", method="POST")
    other = world.agencies[1].creators[0]
    arm("status", creator=other.uuid)

    assert (await me.get(EARNINGS)).status_code == 200
    assert (await me.get("/chats")).status_code == 503
    assert (await anyone.sign_in(other).get(EARNINGS)).status_code == 503


async def test_message_sent_before_the_answer_was_lost_is_sent(
    me: Caller, arm: Arm, creator: Creator
) -> None:
    fan = creator.fans[0]
    before = len(creator.chats[fan.uuid].messages)
    arm("status", path="/message$", moment="after")

    response = await me.post(f"/chats/{fan.uuid}/message", {"text": "hello"})

    assert response.status_code == 503
    assert len(creator.chats[fan.uuid].messages) == before + 1


async def test_fault_is_noted_in_journal_and_stats(
    me: Caller, arm: Arm, simulation: Simulation, creator: Creator
) -> None:
    arm("status")
    await me.get(EARNINGS)

    assert simulation.journal.read()[-1].fault == "status"
    assert simulation.stats.by_creator()[creator.uuid]["faults"] == 1


class TestOverARealSocket:
    @pytest.fixture
    def control(self, world: World, clock: SimulatedClock) -> Iterator[SimulatorControl]:
        with running(world, clock) as sim, SimulatorControl(sim.url) as control:
            yield control

    @pytest.fixture
    def http(self, control: SimulatorControl, creator: Creator) -> Iterator[httpx.Client]:
        token = control.grant(creator.uuid).access_token
        headers = {"Authorization": f"Bearer {token}", "X-Fanvue-API-Version": "2025-06-26"}
        with httpx.Client(
            base_url=control.url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False
        ) as http:
            yield http

    def test_reset_drops_the_connection(
        self, control: SimulatorControl, http: httpx.Client
    ) -> None:
        control.add_fault("reset", next_n=1)

        with pytest.raises(httpx.NetworkError):
            http.get(EARNINGS)
        assert http.get(EARNINGS).status_code == 200

    def test_timeout_says_nothing_until_the_client_gives_up(
        self, control: SimulatorControl, http: httpx.Client
    ) -> None:
        control.add_fault("timeout", next_n=1)

        with pytest.raises(httpx.ReadTimeout):
            http.get(EARNINGS, timeout=httpx.Timeout(PATIENCE_SECONDS, read=0.1))
        while not control.faults()[0]["hits"]:
            """A busy simulator reads it later than the client gives up."""
        assert http.get(EARNINGS).status_code == 200

    def test_refresh_whose_answer_is_lost_has_rotated(
        self, control: SimulatorControl, http: httpx.Client, creator: Creator
    ) -> None:
        grant = control.grant(creator.uuid)
        control.add_fault("reset", path="/oauth2/token", moment="after", next_n=1)
        form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
        auth = ("simulator-client", "simulator-secret")

        with pytest.raises(httpx.NetworkError):
            http.post("/oauth2/token", data=form, auth=auth)

        assert control.stats()["total"]["refreshes"] == 1
        assert http.post("/oauth2/token", data=form, auth=auth).status_code == 200
        assert control.stats()["total"]["grace_hits"] == 1
