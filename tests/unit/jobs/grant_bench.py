"""Two workers that share one database and one Fanvue, and ways to hold a refresh half done."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.support.clock import ManualClock
from tests.unit.jobs.grant_book import Grant, GrantBook
from tests.unit.jobs.token_desk import TokenDesk
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN, GrantKeeper, Token
from worker.sealing import Keyring, SealingKey
from worker.store.grants import GrantStore


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.unit.store.rpc_stub import RpcStub


MODEL = "model"
HOUR = timedelta(hours=1)
KEY = SealingKey("k1", b"1" * 32)
NEWER_KEY = SealingKey("k2", b"2" * 32)


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


async def until(condition: Callable[[], bool]) -> None:

    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def stuck_refresh(b: Bench, *, rejected: int | None = None) -> asyncio.Task[Token]:
    """Begin a refresh whose answer stays away until the desk opens."""
    b.desk.open.clear()
    asked = len(b.desk.asked)
    job = asyncio.create_task(b.keeper.token(MODEL, rejected=rejected))
    await until(lambda: len(b.desk.asked) > asked)
    # The endpoint has decided; only its answer is on the way.
    for _ in range(5):
        await asyncio.sleep(0)
    return job


async def while_open(b: Bench, call: Coroutine[None, None, Token]) -> Token:
    """Let the desk serve another worker, while the first answer is still on its way."""
    stuck, b.desk.open = b.desk.open, asyncio.Event()
    b.desk.open.set()
    token = await call
    b.desk.open = stuck
    return token
