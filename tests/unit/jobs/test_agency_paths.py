"""A creator is read on the path of the grant that their job names, and on no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.fanvue_stub import bench, json_answer
from tests.unit.jobs.grant_bench import Bench as GrantBench
from tests.unit.jobs.test_outcomes import JOB
from worker.errors import NotFound, ProviderContract
from worker.fanvue.calls import RequestMeter
from worker.jobs.grants import Token
from worker.jobs.pages import PageReader
from worker.jobs.roster import Roster
from worker.store.agencies import Creator
from worker.traffic import Lane


if TYPE_CHECKING:
    import httpx

    from tests.support.fanvue_stub import Bench


CREATOR = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10"
OTHER = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a11"
ACCOUNT = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a12"
PREFIX = f"/creators/{CREATOR}"
MISSING = {"message": "Creator not found"}


def reader(b: Bench, prefix: str, bucket: str) -> PageReader:
    grants = GrantBench()
    grants.connect()
    job = replace(JOB, grant_id="model", path_prefix=prefix, bucket=bucket)
    return PageReader(b.client, grants.keeper, job, Lane.LIVE, RequestMeter())


async def token(rejected: int | None) -> Token:
    return Token("made-up-access-token", 1 if rejected is None else rejected + 1)


def page(*rows: dict[str, object], number: int = 1, more: bool = False) -> httpx.Response:
    pagination = {"page": number, "size": len(rows), "hasMore": more}
    return json_answer({"data": list(rows), "pagination": pagination})


def row(uuid: str, handle: str) -> dict[str, object]:
    return {"uuid": uuid, "handle": handle, "displayName": handle.title()}


async def test_an_agencys_creator_is_read_below_their_own_path_and_from_their_own_budget() -> None:
    b = bench(json_answer({"data": [], "nextCursor": None}))

    await reader(b, PREFIX, "user:a:c").get("/insights/earnings", {})

    assert b.fanvue.paths == [f"/v1{PREFIX}/insights/earnings"]
    assert [bucket for bucket, _, _ in b.budget.acquired] == ["user:a:c"]


async def test_an_agency_finds_a_creators_account_at_a_path_of_its_own() -> None:
    b = bench(json_answer({}), json_answer({}))

    await reader(b, PREFIX, "user:a:c").get("/users/account", {})
    await reader(b, "", "user:c").get("/users/account", {})

    assert b.fanvue.paths == [f"/v1{PREFIX}/account", "/v1/users/account"]


async def test_a_creator_who_is_gone_is_never_looked_for_on_the_personal_path() -> None:
    b = bench(json_answer(MISSING, 404), json_answer(MISSING, 404))

    with pytest.raises(NotFound) as gone:
        await reader(b, PREFIX, "user:a:c").get("/insights/earnings", {})

    assert b.fanvue.paths == [f"/v1{PREFIX}/insights/earnings", f"{PREFIX}/insights/earnings"]
    assert "does not manage this creator (any more)" in gone.value.remedy
    assert CREATOR in gone.value.message


async def test_a_personal_path_that_is_missing_blames_no_agency() -> None:
    b = bench(json_answer(MISSING, 404), json_answer(MISSING, 404))

    with pytest.raises(NotFound) as gone:
        await reader(b, "", "user:c").get("/insights/earnings", {})

    assert "agency" not in gone.value.operator_message


async def test_the_roster_reads_every_page_and_names_each_creator_once() -> None:
    b = bench(
        page(row(CREATOR, "ana"), row(OTHER, "bea"), more=True), page(row(OTHER, "bea"), number=2)
    )

    found = await Roster(b.client, ACCOUNT, token).creators()

    assert found == [Creator(CREATOR, "ana", "Ana"), Creator(OTHER, "bea", "Bea")]
    assert b.fanvue.requests[1].url.params["page"] == "2"
    assert {bucket for bucket, _, _ in b.budget.acquired} == {f"user:{ACCOUNT}"}


async def test_a_roster_that_goes_on_for_ever_is_no_roster() -> None:
    b = bench(*(page(row(CREATOR, "ana"), more=True, number=n) for n in range(1, 40)))

    with pytest.raises(ProviderContract, match="does not end"):
        await Roster(b.client, ACCOUNT, token).creators()

    assert len(b.fanvue.requests) < 30


async def test_the_roster_renews_a_refused_token_once() -> None:
    b = bench(
        json_answer({"error": "Unauthorized"}, 401),
        json_answer({"uuid": ACCOUNT, "handle": "boss", "isCreator": False}),
    )

    me = await Roster(b.client, ACCOUNT, token).account()

    assert (str(me.uuid), me.is_creator) == (ACCOUNT, False)
