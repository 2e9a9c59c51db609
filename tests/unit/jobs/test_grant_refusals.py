"""Who is blamed for a refused token, when tokens are sealed, and that every wait has an end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import structlog

from tests.unit.jobs.grant_bench import HOUR, KEY, MODEL, NEWER_KEY, Bench, due
from worker.errors import (
    GrantInvalid,
    GrantMoved,
    Misconfigured,
    SealBroken,
    SyncError,
    Throttled,
    Transient,
)
from worker.jobs.grants import PATIENCE, GrantKeeper, RefusedRefresh, Token
from worker.sealing import Keyring, SealingKey, is_sealed
from worker.store.grants import GrantStore


async def test_one_unexplained_invalid_grant_is_a_suspicion_and_a_second_one_a_verdict() -> None:
    b = due()
    b.desk.dead = True

    with pytest.raises(GrantMoved) as suspected:
        await b.keeper.token(MODEL)
    status_then = b.grant.status
    b.clock.jump(timedelta(seconds=11))
    with pytest.raises(GrantInvalid):
        await b.keeper.token(MODEL)

    assert suspected.value.retry_after == timedelta(seconds=10)
    assert status_then == "active"
    assert b.grant.status == "reauth_required"
    assert b.stored() == ("access-0", "refresh-0")


async def test_our_own_client_being_refused_blames_no_creator() -> None:
    b = due()
    b.desk.instead.append(RefusedRefresh("config", "invalid_client"))

    with pytest.raises(Misconfigured) as caught:
        await b.keeper.token(MODEL)

    assert caught.value.retry_after == timedelta(minutes=5)
    assert b.grant.status == "active"
    assert b.stored() == ("access-0", "refresh-0")


async def test_a_refresh_that_failed_for_now_waits_for_the_longer_of_both_pauses() -> None:
    b = due()
    b.desk.instead.append(RefusedRefresh("transient", "503", timedelta(seconds=45)))

    with pytest.raises(Transient) as caught:
        await b.keeper.token(MODEL)

    assert caught.value.retry_after == timedelta(seconds=45)
    assert b.grant.status == "active"


async def test_while_refreshing_fails_a_token_that_still_works_is_used() -> None:
    b = Bench()
    b.connect(timedelta(minutes=2))
    b.desk.instead.append(RefusedRefresh("transient", "503"))

    with pytest.raises(Transient):
        await b.keeper.token(MODEL)

    assert await b.keeper.token(MODEL) == Token("access-0", 1)
    assert len(b.desk.asked) == 1


@pytest.mark.parametrize(("asked_for", "waits"), [(45, 45), (None, 60), (0, 1)])
async def test_a_rate_limit_at_the_token_endpoint_pauses_and_counts_no_failure(
    asked_for: int | None, waits: int
) -> None:
    b = due()
    pause = None if asked_for is None else timedelta(seconds=asked_for)
    b.desk.instead.append(RefusedRefresh("throttled", "429", pause))

    with pytest.raises(Throttled) as caught:
        await b.keeper.token(MODEL)

    assert caught.value.until == b.clock.now() + timedelta(seconds=waits)
    assert (b.grant.failures, b.grant.status) == (0, "active")
    with pytest.raises(Throttled):
        await b.keeper.token(MODEL)
    assert len(b.desk.asked) == 1
    b.clock.jump(timedelta(seconds=waits))
    assert await b.keeper.token(MODEL) == Token("access-1", 2)


async def test_under_a_rate_limit_of_refreshes_a_token_that_still_works_is_used() -> None:
    b = Bench()
    b.connect(timedelta(minutes=2))
    b.desk.instead.append(RefusedRefresh("throttled", "429", timedelta(seconds=30)))

    assert await b.keeper.token(MODEL) == Token("access-0", 1)
    assert len(b.desk.asked) == 1


@pytest.mark.parametrize(("asked_for", "waits"), [(45, 45), (None, 60)])
async def test_a_rate_limit_while_connecting_says_until_when(
    asked_for: int | None, waits: int
) -> None:
    b = Bench()
    pause = None if asked_for is None else timedelta(seconds=asked_for)
    b.desk.instead.append(RefusedRefresh("throttled", "429", pause))

    with pytest.raises(Throttled) as caught:
        await b.keeper.exchange("refresh-0")

    assert caught.value.until == b.clock.now() + timedelta(seconds=waits)


async def test_plain_tokens_of_an_older_application_are_sealed_at_first_use() -> None:
    b = Bench()
    grant = b.connect()
    grant.access, grant.refresh = "access-0", "refresh-0"

    assert (await b.keeper.token(MODEL)).value == "access-0"

    assert is_sealed(grant.access)
    assert is_sealed(grant.refresh)
    assert b.stored() == ("access-0", "refresh-0")


async def test_plain_tokens_that_are_due_are_refreshed_and_stored_sealed() -> None:
    b = due()
    b.grant.access, b.grant.refresh = None, "refresh-0"

    assert (await b.keeper.token(MODEL)).value == "access-1"

    assert b.stored() == ("access-1", "refresh-1")


async def test_tokens_sealed_with_an_older_key_move_to_the_new_one() -> None:
    b = Bench()
    b.connect()
    rotated = Keyring([NEWER_KEY, KEY])
    keeper = GrantKeeper(GrantStore(b.stub.database), b.desk, rotated, b.clock, "rotated")

    assert (await keeper.token(MODEL)).value == "access-0"

    for stored in (b.grant.access, b.grant.refresh):
        assert stored is not None
        assert stored.startswith("fse1.k2.")


async def test_sealing_gives_way_to_a_refresh_in_between() -> None:
    b = Bench()
    grant = b.connect()
    grant.access = "access-0"

    def moved(_: object) -> bool:
        return False

    b.stub.functions["seal_tokens"] = moved

    assert (await b.keeper.token(MODEL)).value == "access-0"
    assert grant.access == "access-0"


@pytest.mark.parametrize("lifetime", [HOUR, timedelta(0)], ids=["good", "due"])
@pytest.mark.parametrize(
    ("keys", "kind"),
    [([NEWER_KEY], Misconfigured), ([SealingKey("k1", b"x" * 32)], SealBroken)],
    ids=["missing key", "other bytes"],
)
async def test_a_wrong_key_is_our_fault_and_costs_no_grant(
    lifetime: timedelta, keys: list[SealingKey], kind: type[SyncError]
) -> None:
    b = Bench()
    b.connect(lifetime)
    before = (b.grant.access, b.grant.refresh)
    stranger = GrantKeeper(GrantStore(b.stub.database), b.desk, Keyring(keys), b.clock, "stranger")

    with pytest.raises(Misconfigured) as caught:
        await stranger.token(MODEL)

    assert type(caught.value) is kind
    assert b.grant.status == "active"
    assert (b.grant.access, b.grant.refresh) == before
    assert b.desk.asked == []


async def test_a_refused_token_is_refreshed_although_it_was_not_due() -> None:
    b = Bench()
    b.connect()
    refused = await b.keeper.token(MODEL)

    token = await b.keeper.token(MODEL, rejected=refused.version)

    assert token == Token("access-1", 2)


async def test_many_jobs_refused_together_cause_one_refresh() -> None:
    b = Bench()
    b.connect()
    await b.keeper.token(MODEL)

    tokens = await asyncio.gather(*(b.keeper.token(MODEL, rejected=1) for _ in range(20)))

    assert set(tokens) == {Token("access-1", 2)}
    assert b.desk.asked == ["refresh-0"]


async def test_a_token_refused_after_another_worker_refreshed_is_only_loaded_again() -> None:
    b = Bench()
    b.connect()
    await b.keeper.token(MODEL)
    await b.other.token(MODEL, rejected=1)

    assert await b.keeper.token(MODEL, rejected=1) == Token("access-1", 2)
    assert b.desk.asked == ["refresh-0"]


async def test_waiting_for_another_worker_ends() -> None:
    b = due()
    b.grant.holder, b.grant.fence = "somebody else", 99
    b.grant.lease_until = b.clock.now() + timedelta(days=1)
    started = b.clock.monotonic()

    with pytest.raises(GrantMoved) as caught:
        await b.keeper.token(MODEL)

    assert b.clock.monotonic() - started <= PATIENCE.total_seconds()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= timedelta(seconds=1)


async def test_a_long_pause_after_a_failure_is_left_to_the_queue() -> None:
    b = due()
    b.grant.next_try_at = b.clock.now() + timedelta(minutes=4)
    b.grant.last_error = "the token endpoint answered 503"

    with pytest.raises(GrantMoved, match="503") as caught:
        await b.keeper.token(MODEL)

    assert caught.value.retry_after == timedelta(minutes=4)
    assert b.clock.slept == []


async def test_tokens_that_end_at_once_are_not_asked_for_again_and_again() -> None:
    b = due()
    b.desk.lifetime = timedelta(seconds=5)

    with pytest.raises(Transient):
        await b.keeper.token(MODEL)

    assert len(b.desk.asked) <= 2
    assert b.stored()[1] == b.desk.current


@pytest.mark.parametrize("state", ["missing", "reauth_required"])
async def test_without_a_grant_the_creator_has_to_connect(state: str) -> None:
    b = Bench()
    grant = b.connect()
    if state == "missing":
        grant.access = grant.refresh = None
    else:
        grant.status = state

    with pytest.raises(GrantInvalid):
        await b.keeper.token(MODEL)


async def test_an_access_token_without_a_refresh_token_is_used_to_its_end() -> None:
    b = Bench()
    b.connect().refresh = None

    assert (await b.keeper.token(MODEL)).value == "access-0"
    b.clock.jump(HOUR)
    with pytest.raises(GrantInvalid):
        await b.keeper.token(MODEL)


async def test_no_token_shows_in_logs_or_values() -> None:
    b = due()
    with structlog.testing.capture_logs() as logged:
        token = await b.keeper.token(MODEL)
        b.desk.dead = True
        with pytest.raises(SyncError) as caught:
            await b.keeper.token(MODEL, rejected=token.version)

    shown = f"{logged} {token!r} {caught.value!r}"
    assert [event["event"] for event in logged] == ["token_refreshed", "token_refresh_failed"]
    assert "access-" not in shown
    assert "refresh-" not in shown
    assert "fse1." not in shown
