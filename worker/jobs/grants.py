"""Tokens for jobs: load, refresh single-flight, seal. The only place where a token is in the clear.

A grant is a model's own or its agency's, which serves many models; tokens are sealed for a grant.
Order matters: a new pair is stored before it is used, and an `invalid_grant` counts only after
the database confirmed that nobody refreshed first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

import structlog

from worker.errors import (
    GrantInvalid,
    GrantMoved,
    Misconfigured,
    Rejected,
    SyncError,
    Throttled,
    Transient,
)


if TYPE_CHECKING:
    from datetime import datetime

    from worker.clock import Clock
    from worker.sealing import Keyring
    from worker.store.grants import GrantStore, GrantView

    class _Pair(Protocol):
        """A fresh pair of tokens."""

        @property
        def access_token(self) -> str: ...
        @property
        def refresh_token(self) -> str | None: ...
        @property
        def expires_at(self) -> datetime: ...


ACCESS_COLUMN: Final = "fanvue_access_token"
REFRESH_COLUMN: Final = "fanvue_refresh_token"
PATIENCE: Final = timedelta(seconds=10)
# A longer wait is spent in the queue, not in a worker's slot.
LONGEST_NAP: Final = timedelta(seconds=2)
GRANTS_KEPT: Final = 4096
# Fanvue has rotated already, and after its grace the old token kills the chain: whoever holds the
# new pair goes on trying to store it through any outage of ours that a process outlives.
STORE_PATIENCE: Final = timedelta(minutes=30)
STORE_PAUSE: Final = timedelta(seconds=1)
WINDOW: Final = timedelta(seconds=60)
CLIENT_REMEDY: Final = "check FANVUE_CLIENT_ID, FANVUE_CLIENT_SECRET and FANVUE_AUTH_URL"
# One of ours, and one more should another worker's come to nothing meanwhile.
REFRESHES_PER_CALL: Final = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token in the clear, and the version it came from."""

    value: str = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class FreshPair:
    """A pair in the clear, as Fanvue just issued it."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: timedelta | None


@dataclass(frozen=True, slots=True)
class RefusedRefresh:
    """Why the token endpoint gave no pair: transient, throttled, invalid_grant or config."""

    kind: str
    message: str
    retry_after: timedelta | None = None


class Refresher(Protocol):
    """Trades a refresh token for a new pair."""

    async def __call__(self, refresh_token: str) -> _Pair | RefusedRefresh:
        """Return the pair, or why there is none."""
        ...


@dataclass(slots=True)
class _Held:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: Token | None = None
    good_until: float = 0.0


class GrantKeeper:
    """Hands out access tokens; remembers them only as long as the database said."""

    def __init__(
        self, store: GrantStore, refresher: Refresher, keyring: Keyring, clock: Clock, holder: str
    ) -> None:
        self._store = store
        self._refresh = refresher
        self._keyring = keyring
        self._clock = clock
        self._holder = holder
        self._grants: OrderedDict[str, _Held] = OrderedDict()
        self._underway: set[asyncio.Task[None]] = set()

    async def token(
        self, model_id: str, *, grant_id: str | None = None, rejected: int | None = None
    ) -> Token:
        """Return a token to call with; `rejected` is the version that Fanvue refused.

        `grant_id` is the grant whose path and bucket the caller uses: a token of another one is
        never returned. Without it the token is of whatever grant the model has.
        Raises `GrantInvalid`, `GrantMoved` (come back soon), `Throttled`, `Transient`,
        `Misconfigured`.
        """
        held = self._held(grant_id or model_id)
        async with held.lock:
            if held.token is not None and rejected is not None and held.token.version > rejected:
                return held.token
            if rejected is None and held.token and self._clock.monotonic() < held.good_until:
                return held.token
            held.token, held.good_until = await self._obtain(model_id, grant_id, rejected)
            return held.token

    def _held(self, grant_id: str) -> _Held:
        held = self._grants.setdefault(grant_id, _Held())
        self._grants.move_to_end(grant_id)
        while (
            len(self._grants) > GRANTS_KEPT and not next(iter(self._grants.values())).lock.locked()
        ):
            self._grants.popitem(last=False)
        return held

    async def _obtain(
        self, model_id: str, grant_id: str | None, rejected: int | None
    ) -> tuple[Token, float]:
        give_up = self._clock.monotonic() + PATIENCE.total_seconds()
        holder = f"{self._holder}:{uuid4()}"
        refreshes = 0
        while True:
            view = await self._store.begin(model_id, holder, rejected)
            match view.state:
                case "ready":
                    _refuse_other(view, grant_id)
                    return await self._open(view)
                case "refresh":
                    if refreshes == REFRESHES_PER_CALL:
                        raise Transient("Fanvue's tokens end before they can be used")
                    refreshes += 1
                    await self._do_refresh(model_id, view)
                case "wait" if view.throttled:
                    _refuse_other(view, grant_id)
                    raise Throttled(
                        view.reason or "Fanvue's rate limit for refreshing tokens is spent",
                        until=self._clock.now() + view.retry_in,
                    )
                case "wait":
                    _refuse_other(view, grant_id)
                    resumes = self._clock.monotonic() + view.retry_in.total_seconds()
                    if view.retry_in > LONGEST_NAP or resumes > give_up:
                        raise GrantMoved(
                            view.reason or "another worker refreshes this grant",
                            retry_after=max(view.retry_in, timedelta(seconds=1)),
                        )
                    await self._clock.sleep(view.retry_in)
                case "missing":
                    raise GrantInvalid("the model has no grant")
                case _:
                    raise GrantInvalid(view.reason or "the account must connect again")

    async def _open(self, view: GrantView) -> tuple[Token, float]:
        assert view.access_token is not None and view.version is not None  # noqa: S101, PT018 - the database's promise for 'ready'
        opened = self._keyring.open(view.access_token, view.grant_id, ACCESS_COLUMN)
        stored = (view.access_token, view.refresh_token)
        if any(token and self._keyring.needs_sealing(token) for token in stored):
            await self._seal(view.grant_id, stored)
        good_until = self._clock.monotonic() + view.use_for.total_seconds()
        return Token(opened.value, view.version), good_until

    async def _seal(self, grant_id: str, before: tuple[str | None, str | None]) -> None:
        """Seal what an older application left in the clear, or an older key sealed."""
        try:
            after = self.sealed(grant_id, before)
        except Misconfigured as error:
            # The access token in hand works; the refresh will say what is missing.
            log.warning("tokens_not_sealed", grant_id=grant_id, reason=error.message)
            return
        if await self._store.reseal(grant_id, before, after):
            log.info("tokens_sealed", grant_id=grant_id, key_id=self._keyring.sealing_id)

    def sealed(
        self, grant_id: str, stored: tuple[str | None, str | None]
    ) -> tuple[str | None, str | None]:
        """Return a stored (access, refresh) pair sealed with the current key."""
        access, refresh = stored
        return self._resealed(access, grant_id, ACCESS_COLUMN), self._resealed(
            refresh, grant_id, REFRESH_COLUMN
        )

    def _resealed(self, stored: str | None, grant_id: str, column: str) -> str | None:
        if stored is None or not self._keyring.needs_sealing(stored):
            return stored
        return self._keyring.seal(
            self._keyring.open(stored, grant_id, column).value, grant_id, column
        )

    async def exchange(self, refresh_token: str) -> FreshPair:
        """Trade a consent's refresh token for a pair that is stored nowhere yet: store it next.

        Raises `GrantInvalid`, `Misconfigured`, `Throttled`, `Transient`.
        """
        answer = await self._refresh(refresh_token)
        if not isinstance(answer, RefusedRefresh):
            lifetime = max(answer.expires_at - self._clock.now(), timedelta(0))
            return FreshPair(answer.access_token, answer.refresh_token or refresh_token, lifetime)
        if answer.kind == "invalid_grant":
            raise GrantInvalid(answer.message)
        if answer.kind == "config":
            raise Misconfigured(answer.message, remedy=CLIENT_REMEDY)
        if answer.kind == "throttled":
            until = self._clock.now() + (answer.retry_after or WINDOW)
            raise Throttled(answer.message, until=until)
        raise Transient(answer.message, retry_after=answer.retry_after)

    async def _do_refresh(self, model_id: str, view: GrantView) -> None:
        # Shielded: once Fanvue may have rotated, not even our own shutdown may lose the pair.
        task = asyncio.create_task(self._refresh_and_store(model_id, view))
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)
        await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for refreshes that outlived the jobs that began them."""
        await asyncio.gather(*self._underway, return_exceptions=True)

    async def _refresh_and_store(self, model_id: str, view: GrantView) -> None:
        assert view.refresh_token is not None  # noqa: S101 - the database's promise for 'refresh'
        old = self._keyring.open(view.refresh_token, view.grant_id, REFRESH_COLUMN).value
        answer = await self._refresh(old)
        if isinstance(answer, RefusedRefresh):
            await self._refused(model_id, view, answer)
            return
        access = self._keyring.seal(answer.access_token, view.grant_id, ACCESS_COLUMN)
        refresh = self._keyring.seal(answer.refresh_token or old, view.grant_id, REFRESH_COLUMN)
        state = await self._store_pair(view, access, refresh, answer.expires_at)
        log.info(
            "token_refreshed",
            model_id=model_id,
            grant_id=view.grant_id,
            state=state,
            version=view.version,
        )

    async def _store_pair(
        self, view: GrantView, access: str, refresh: str, expires_at: datetime
    ) -> str:
        give_up = self._clock.monotonic() + STORE_PATIENCE.total_seconds()
        while True:
            lifetime = max(expires_at - self._clock.now(), timedelta(0))
            try:
                return await self._store.finish(view, access, refresh, lifetime)
            except Rejected:
                # There is no such grant any more.
                raise
            except SyncError as error:
                if self._clock.monotonic() >= give_up:
                    raise
                log.warning("pair_not_stored_yet", grant_id=view.grant_id, reason=error.message)
            await self._clock.sleep(STORE_PAUSE)

    async def _refused(self, model_id: str, view: GrantView, refused: RefusedRefresh) -> None:
        state, wait = await self._store.fail(
            view, refused.kind, refused.message, refused.retry_after
        )
        log.warning(
            "token_refresh_failed",
            model_id=model_id,
            grant_id=view.grant_id,
            kind=refused.kind,
            verdict=state,
            reason=refused.message,
        )
        if state in {"moved", "throttled"}:
            # Asked again, the database says what to use meanwhile, or until when to wait.
            return
        if state == "reauth_required":
            raise GrantInvalid(refused.message)
        if refused.kind == "config":
            raise Misconfigured(
                refused.message,
                remedy=CLIENT_REMEDY,
                retry_after=wait,
            )
        if state == "suspect":
            raise GrantMoved(
                "Fanvue refused the refresh token once; it is asked again", retry_after=wait
            )
        raise Transient(refused.message, retry_after=max(wait, refused.retry_after or wait))


def _refuse_other(view: GrantView, grant_id: str | None) -> None:
    if grant_id is not None and view.grant_id != grant_id:
        raise GrantMoved(
            "the model changed its grant while this job ran", retry_after=timedelta(seconds=1)
        )
