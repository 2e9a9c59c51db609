"""A grant is refreshed once, stored before it is used, and never lost, whoever is cancelled."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import structlog

from tests.support.clock import ManualClock
from tests.unit.jobs.grant_book import Grant, GrantBook
from tests.unit.jobs.test_outcomes import JOB
from tests.unit.jobs.token_desk import INVALID_GRANT, TokenDesk
from worker.errors import GrantInvalid, GrantMoved, Misconfigured, SealBroken, SyncError, Transient
from worker.jobs.grants import (
    ACCESS_COLUMN,
    MODELS_KEPT,
    PATIENCE,
    REFRESH_COLUMN,
    GrantKeeper,
    RefusedRefresh,
    Token,
)
from worker.jobs.outcomes import Done
from worker.jobs.refresh_token import refresh_token
from worker.sealing import Keyring, SealingKey, is_sealed
from worker.store.grants import GrantStore


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.unit.store.rpc_stub import RpcStub


MODEL = JOB.model_id
HOUR = timedelta(hours=1)
KEY = SealingKey("k1", b"1" * 32)
NEWER_KEY = SealingKey("k2", b"2" * 32)
PAIRS_TO_CANCEL_AT = 40


@dataclass
class Bench:
    """Two workers around one database and one Fanvue."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(skips=True))
    keyring: Keyring = field(default_factory=lambda: Keyring([KEY]))

    def __post_init__(self) -> None:
        self.book = GrantBook(self.clock)
        self.desk = TokenDesk(self.clock)
        self.stub = self.book.stub()
        self.keeper = self.worker("one", self.stub)
        self.other = self.worker("two", self.book.stub())

    def worker(self, name: str, stub: RpcStub) -> GrantKeeper:
        return GrantKeeper(GrantStore(stub.database), self.desk, self.keyring, self.clock, name)

    def connect(self, lifetime: timedelta | None = HOUR, model: str = MODEL) -> Grant:
        now = self.clock.now()
        self.book.grants[model] = Grant(
            self.keyring.seal("access-0", model, ACCESS_COLUMN),
            self.keyring.seal("refresh-0", model, REFRESH_COLUMN),
            None if lifetime is None else now + lifetime,
            now - HOUR + (lifetime or HOUR),
        )
        return self.grant

    @property
    def grant(self) -> Grant:
        return self.book.grants[MODEL]

    def stored(self) -> tuple[str, str]:
        """Return the stored pair in the clear."""
        assert self.grant.access is not None
        assert self.grant.refresh is not None
        return (
            self.keyring.open(self.grant.access, MODEL, ACCESS_COLUMN).value,
            self.keyring.open(self.grant.refresh, MODEL, REFRESH_COLUMN).value,
        )


def due() -> Bench:
    """Return a bench whose token has ended: nothing works without a refresh."""
    bench = Bench()
    bench.connect(timedelta(0))
    return bench


async def test_a_good_token_is_handed_out_and_remembered_as_long_as_the_database_said() -> None:
    b = Bench()
    b.connect()

    first = await b.keeper.token(MODEL)
    await b.keeper.token(MODEL)
    asked_within = len(b.stub.named("begin_token_refresh"))
    b.clock.jump(HOUR - b.grant.margin)
    await b.keeper.token(MODEL)

    assert first == Token("access-0", 1)
    assert asked_within == 1
    assert len(b.stub.named("begin_token_refresh")) > 1


async def test_a_token_that_is_due_is_refreshed_and_stored_before_it_is_used() -> None:
    b = due()

    token = await b.keeper.token(MODEL)

    assert token == Token("access-1", 2)
    assert b.stored() == ("access-1", b.desk.current)
    assert [name for name, _ in b.stub.calls] == [
        "begin_token_refresh",
        "finish_token_refresh",
        "begin_token_refresh",
    ]


async def test_many_jobs_of_one_worker_cause_one_refresh() -> None:
    b = due()

    tokens = await asyncio.gather(*(b.keeper.token(MODEL) for _ in range(50)))

    assert set(tokens) == {Token("access-1", 2)}
    assert b.desk.asked == ["refresh-0"]
    assert len(b.stub.calls) == 3


async def test_many_workers_cause_one_refresh() -> None:
    b = due()
    workers = [b.worker(f"worker {n}", b.book.stub()) for n in range(8)]
    b.desk.open.clear()

    waiting = [asyncio.create_task(worker.token(MODEL)) for worker in workers]
    await _until(lambda: bool(b.desk.asked))
    b.desk.open.set()
    tokens = await asyncio.gather(*waiting)

    assert set(tokens) == {Token("access-1", 2)}
    assert b.desk.asked == ["refresh-0"]


async def test_other_models_do_not_wait_for_a_refresh() -> None:
    b = due()
    b.connect(model="another")
    b.desk.open.clear()
    stuck = asyncio.create_task(b.keeper.token(MODEL))
    await _until(lambda: bool(b.desk.asked))

    assert (await b.keeper.token("another")).version == 1

    b.desk.open.set()
    await stuck


async def test_a_worker_that_lost_the_race_uses_the_winners_token() -> None:
    b = due()
    late = await _stuck_refresh(b)
    b.clock.jump(timedelta(seconds=13))
    winner = await _while_open(b, b.other.token(MODEL))

    b.desk.open.set()

    assert (await late) == winner
    assert b.stored()[0] == winner.value
    assert not b.desk.dead


async def test_a_losers_invalid_grant_is_no_verdict() -> None:
    b = due()
    b.desk.instead.append(INVALID_GRANT)
    late = await _stuck_refresh(b)
    b.clock.jump(timedelta(seconds=13))
    winner = await _while_open(b, b.other.token(MODEL))

    b.desk.open.set()

    assert (await late) == winner
    assert b.grant.status == "active"
    assert b.grant.suspect_at is None


async def test_a_loser_whose_token_was_rejected_waits_for_the_winner() -> None:
    b = Bench()
    b.connect()
    b.desk.instead.append(INVALID_GRANT)
    late = await _stuck_refresh(b, rejected=1)
    b.clock.jump(timedelta(seconds=13))
    view = b.book.begin({"p_model_id": MODEL, "p_holder": "other", "p_rejected_version": 1})
    assert view["state"] == "refresh"

    b.desk.open.set()

    with pytest.raises(GrantMoved):
        await late


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


@pytest.mark.parametrize("step", range(PAIRS_TO_CANCEL_AT))
async def test_a_job_cancelled_anywhere_leaves_the_pair_stored_or_never_asked_for(
    step: int,
) -> None:
    b = due()
    job = asyncio.create_task(b.keeper.token(MODEL))
    for _ in range(step):
        await asyncio.sleep(0)

    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await b.keeper.finish()

    assert not b.desk.asked or b.stored() == ("access-1", b.desk.current)
    b.clock.jump(timedelta(seconds=13))
    await b.other.token(MODEL)
    assert b.stored()[1] == b.desk.current
    assert b.desk.asked == ["refresh-0"]


async def test_cancelling_is_tried_at_every_step_of_a_refresh() -> None:
    b = due()
    job = asyncio.create_task(b.keeper.token(MODEL))
    steps = 0
    while not job.done():
        await asyncio.sleep(0)
        steps += 1

    assert 10 < steps < PAIRS_TO_CANCEL_AT


async def test_a_refresh_outlives_the_job_that_began_it() -> None:
    b = due()
    job = await _stuck_refresh(b)

    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    finishing = asyncio.create_task(b.keeper.finish())
    await asyncio.sleep(0)
    waited_for = not finishing.done()
    b.desk.open.set()
    await finishing

    assert waited_for
    assert b.stored() == ("access-1", "refresh-1")


async def test_a_pair_is_stored_even_if_the_database_is_away_for_a_while() -> None:
    b = due()
    job = await _stuck_refresh(b)
    b.stub.instead += [httpx.ConnectError("refused")] * 12

    b.desk.open.set()

    assert (await job).value == "access-1"
    assert b.stored() == ("access-1", "refresh-1")


async def test_a_lost_reply_to_storing_is_answered_by_storing_again() -> None:
    b = due()
    finish = b.stub.functions["finish_token_refresh"]

    def stored_but_unheard(asked: dict[str, object]) -> object:
        b.stub.functions["finish_token_refresh"] = finish
        finish(asked)
        raise httpx.ReadError("connection reset")

    b.stub.functions["finish_token_refresh"] = stored_but_unheard

    assert await b.keeper.token(MODEL) == Token("access-1", 2)
    assert len(b.desk.asked) == 1


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


async def test_remembering_models_is_bounded() -> None:
    b = Bench()
    for number in range(MODELS_KEPT + 5):
        b.keeper._held(f"model {number}")

    assert len(b.keeper._models) == MODELS_KEPT


async def test_the_refresh_job_obtains_a_token_and_is_done() -> None:
    b = due()

    assert await refresh_token(JOB, b.keeper) == Done()
    assert b.stored() == ("access-1", "refresh-1")


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


async def _until(condition: Callable[[], bool]) -> None:

    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def _stuck_refresh(b: Bench, *, rejected: int | None = None) -> asyncio.Task[Token]:
    """Begin a refresh whose answer stays away until the desk opens."""
    b.desk.open.clear()
    asked = len(b.desk.asked)
    job = asyncio.create_task(b.keeper.token(MODEL, rejected=rejected))
    await _until(lambda: len(b.desk.asked) > asked)
    # The endpoint has decided; only its answer is on the way.
    for _ in range(5):
        await asyncio.sleep(0)
    return job


async def _while_open(b: Bench, call: Coroutine[None, None, Token]) -> Token:
    """Let the desk serve another worker, while the first answer is still on its way."""
    stuck, b.desk.open = b.desk.open, asyncio.Event()
    b.desk.open.set()
    token = await call
    b.desk.open = stuck
    return token
