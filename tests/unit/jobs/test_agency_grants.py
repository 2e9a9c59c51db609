"""One grant behind many creators: one refresh for all their jobs, and never a stranger's token."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.unit.jobs.grant_bench import HOUR, Bench
from tests.unit.jobs.token_desk import INVALID_GRANT
from worker.errors import GrantInvalid, GrantMoved, Misconfigured, SyncError, Transient
from worker.jobs.grants import ACCESS_COLUMN, RefusedRefresh, Token


CONNECTION = "connection"
CREATORS = [f"creator {number}" for number in range(50)]


def agency(lifetime: timedelta = HOUR) -> Bench:
    """Return a bench with fifty creators behind one connection."""
    bench = Bench()
    now = bench.clock.now()
    bench.connect(lifetime)
    bench.book.grants[CONNECTION] = bench.book.grants.pop("model")
    grant = bench.book.grants[CONNECTION]
    grant.access = bench.keyring.seal("access-0", CONNECTION, ACCESS_COLUMN)
    grant.refresh = bench.keyring.seal("refresh-0", CONNECTION, "fanvue_refresh_token")
    grant.expires_at = now + lifetime
    bench.book.behind = dict.fromkeys(CREATORS, CONNECTION)
    return bench


async def test_fifty_creators_jobs_cause_one_refresh_and_three_calls() -> None:
    b = agency(timedelta(0))

    tokens = await asyncio.gather(*(b.keeper.token(c, grant_id=CONNECTION) for c in CREATORS))

    assert set(tokens) == {Token("access-1", 2)}
    assert b.desk.asked == ["refresh-0"]
    assert [name for name, _ in b.stub.calls] == [
        "begin_token_refresh",
        "finish_token_refresh",
        "begin_token_refresh",
    ]


async def test_fifty_creators_refused_tokens_cause_one_refresh() -> None:
    b = agency()
    await b.keeper.token(CREATORS[0], grant_id=CONNECTION)

    tokens = await asyncio.gather(
        *(b.keeper.token(c, grant_id=CONNECTION, rejected=1) for c in CREATORS)
    )

    assert {token.version for token in tokens} == {2}
    assert len(b.desk.asked) == 1


async def test_two_workers_with_all_creators_cause_one_refresh() -> None:
    b = agency(timedelta(0))

    tokens = await asyncio.gather(
        *(keeper.token(c, grant_id=CONNECTION) for c in CREATORS for keeper in (b.keeper, b.other))
    )

    assert set(tokens) == {Token("access-1", 2)}
    assert b.desk.asked == ["refresh-0"]


async def test_a_new_pair_is_sealed_for_the_connection() -> None:
    b = agency(timedelta(0))

    await b.keeper.token(CREATORS[0], grant_id=CONNECTION)

    stored = b.book.grants[CONNECTION].access
    assert stored is not None
    assert b.keyring.open(stored, CONNECTION, ACCESS_COLUMN).value == "access-1"


@pytest.mark.parametrize("lifetime", [HOUR, timedelta(0)])
async def test_a_job_never_gets_the_token_of_a_grant_that_its_path_is_not_for(
    lifetime: timedelta,
) -> None:
    b = agency(lifetime)
    creator = CREATORS[0]

    with pytest.raises(GrantMoved) as moved:
        await b.keeper.token(creator, grant_id=creator)

    assert moved.value.retry_after == timedelta(seconds=1)


async def test_a_creator_whose_grant_changed_keeps_the_pair_of_their_running_job() -> None:
    b = agency()
    creator = CREATORS[0]
    before = await b.keeper.token(creator, grant_id=CONNECTION)
    b.book.behind.pop(creator)

    assert await b.keeper.token(creator, grant_id=CONNECTION) == before


async def test_a_consents_refresh_token_is_traded_for_a_pair_that_is_stored_nowhere() -> None:
    b = Bench()

    pair = await b.keeper.exchange("refresh-0")

    assert (pair.access_token, pair.refresh_token) == ("access-1", "refresh-1")
    assert pair.expires_in == HOUR
    assert b.stub.calls == []
    assert "access-1" not in repr(pair)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (INVALID_GRANT, GrantInvalid),
        (RefusedRefresh("config", "invalid_client"), Misconfigured),
        (RefusedRefresh("transient", "503"), Transient),
    ],
)
async def test_a_consent_that_brings_no_pair_says_why(
    refused: RefusedRefresh, error: type[SyncError]
) -> None:
    b = Bench()
    b.desk.instead.append(refused)

    with pytest.raises(error):
        await b.keeper.exchange("refresh-0")
