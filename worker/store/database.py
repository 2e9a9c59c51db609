"""The one way to the database: RPCs through PostgREST, repeated when that helps, errors mapped.

Every RPC is idempotent, so a lost reply is answered by sending the call again. No SQL here, and
no raw connection: the worker speaks PostgREST only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx
from postgrest import APIError, APIResponse, AsyncPostgrestClient

from worker.clock import full_jitter
from worker.errors import (
    DatabaseUnavailable,
    LeaseLost,
    Misconfigured,
    Rejected,
    SchemaMissing,
    SyncError,
)
from worker.metrics import Metric, Metrics, unheard
from worker.transport import open_client


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from random import Random

    from worker.clock import Clock
    from worker.settings import SupabaseSettings


ATTEMPTS: Final = 5
FIRST_BACKOFF: Final = timedelta(milliseconds=200)
LONGEST_BACKOFF: Final = timedelta(seconds=3)
# How long a job waits for a migration that may be under way.
MIGRATION_PAUSE: Final = timedelta(minutes=1)
TIMEOUT: Final = httpx.Timeout(15.0, connect=5.0)
# What lists every creator of the largest project.
LARGEST_ANSWER_BYTES: Final = 32 * 1024 * 1024

# SQLSTATE classes and PostgREST codes after which the same call may succeed.
_PASSING_CODES: Final = ("08", "53", "57P", "58", "PGRST00")
# 25006: a project whose disk is full reads only, until somebody gives it more.
_PASSING: Final = frozenset({"25006", "40001", "40P01", "55P03", "57014"})
# After a migration PostgREST knows the new schema half a second later, or whenever it is loaded.
_MISSING: Final = frozenset({"PGRST202", "PGRST205", "PGRST106", "42883", "42P01", "3F000"})
# Hosted makes a token of the secret key for each call; where its clocks differ, one is refused and
# the next one is not.
_REFUSED_TOKEN: Final = frozenset({"PGRST301", "PGRST303"})
_REFUSED_KEY: Final = _REFUSED_TOKEN | {"PGRST302", "42501"}


class DatabaseBroken(SyncError):  # noqa: N818 - named by what is the case, like its family
    """The database answered with an error that no retry will cure: a bug of ours."""

    code = "database_error"
    remedy_by_default = "report it with the worker's log"


@dataclass(frozen=True, slots=True)
class Failure:
    """A refusal as it came over the wire."""

    status: int
    code: str
    message: str
    hint: str | None

    @property
    def passes(self) -> bool:
        """Tell whether the same call may succeed later."""
        if self.code in _PASSING | _MISSING | _REFUSED_TOKEN or self.code.startswith(
            _PASSING_CODES
        ):
            return True
        if self.code:
            # The database itself spoke; a gateway before it knows no such codes.
            return self.status in {429, 502, 503, 504} and not self.code.startswith("PT")
        return self.status == 429 or self.status >= 500  # noqa: PLR2004 - HTTP's own classes


class _Refused(Exception):  # noqa: N818 - carries a failure through the client library
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def _raise_refusals(response: httpx.Response) -> None:
    """Keep the HTTP status, which the client library drops."""
    if response.is_success:
        return
    await response.aread()
    try:
        body = response.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    raise _Refused(
        Failure(
            status=response.status_code,
            code=str(body.get("code") or ""),
            message=str(body.get("message") or body.get("error") or f"HTTP {response.status_code}"),
            hint=str(body["hint"]) if body.get("hint") else None,
        )
    )


def open_database_http(*, connections: int) -> httpx.AsyncClient:
    """Open the database's HTTP client, which keeps the statuses of refusals."""
    return open_client(
        timeout=TIMEOUT,
        connections=connections,
        largest_bytes=LARGEST_ANSWER_BYTES,
        on_response=_raise_refusals,
    )


class Database:
    """Calls the engine's RPCs with the secret key."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        settings: SupabaseSettings,
        clock: Clock,
        rng: Random,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        key = settings.secret_key.get_secret_value()
        headers = {"apikey": key, "accept": "application/json", "content-type": "application/json"}
        if not key.startswith("sb_"):
            # Keys of the old form are JWTs and go into both headers.
            headers["authorization"] = f"Bearer {key}"
        self._rest = AsyncPostgrestClient(
            f"{settings.url}/rest/v1", headers=headers, http_client=http, retry_enabled=False
        )
        http.headers.update(headers)
        self._clock = clock
        self._rng = rng
        self._metrics = metrics or unheard()

    async def call(self, name: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Call one RPC and return its JSON.

        Raises `LeaseLost`, `Rejected`, `Misconfigured`, `SchemaMissing`, `DatabaseUnavailable`,
        `DatabaseBroken`.
        """
        return await self._ask(name, lambda: self._rest.rpc(name, dict(parameters or {})).execute())

    async def select(
        self, table: str, columns: str, *, newest_by: str | None = None, **equals: str
    ) -> list[dict[str, Any]]:
        """Read rows by equality, or the newest one; for people's commands, not for the loop.

        The API cuts what is long without a word: ask for what is a few rows by its nature.
        """

        def query() -> Awaitable[APIResponse]:
            chosen = self._rest.from_(table).select(columns)
            for column, value in equals.items():
                chosen = chosen.eq(column, value)
            if newest_by is not None:
                chosen = chosen.order(newest_by, desc=True).limit(1)
            return chosen.execute()

        return [row for row in await self._ask(table, query) if isinstance(row, dict)]

    async def _ask(self, name: str, request: Callable[[], Awaitable[APIResponse]]) -> Any:
        started, result = self._clock.monotonic(), "answered"
        try:
            return await self._persist(name, request)
        except DatabaseUnavailable:
            result = "unavailable"
            raise
        except SyncError:
            result = "refused"
            raise
        finally:
            self._metrics.count(Metric.DATABASE_CALLS, result=result)
            self._metrics.observe(Metric.DATABASE_SECONDS, self._clock.monotonic() - started)

    async def _persist(self, name: str, request: Callable[[], Awaitable[APIResponse]]) -> Any:
        attempt = 0
        while True:
            error: SyncError
            try:
                data = (await request()).data
                if not (isinstance(data, str) and data):
                    return data
                # The client library hands over what it cannot parse; nothing answers with a text.
                error = _unavailable(name, "its answer was cut short or is not JSON")
            except _Refused as refused:
                error = _as_error(name, refused.failure)
                if not refused.failure.passes:
                    raise error from None
            except httpx.HTTPError as lost:
                error = _unavailable(name, f"{type(lost).__name__}: {lost}".rstrip(": "))
            except (APIError, ValueError):
                error = _unavailable(name, "its answer is not JSON")
            attempt += 1
            if attempt >= ATTEMPTS:
                raise error
            await self._clock.sleep(
                full_jitter(attempt, first=FIRST_BACKOFF, cap=LONGEST_BACKOFF, rng=self._rng)
            )


def _unavailable(name: str, reason: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"the database did not answer {name}: {reason}")


def _as_error(name: str, failure: Failure) -> SyncError:
    if failure.code.startswith("PT4"):
        rejected = Rejected(failure.message, remedy=failure.hint)
        return LeaseLost(failure.message) if failure.code == "PT410" else rejected
    if failure.code in _MISSING:
        return SchemaMissing(f"the database has no {name}", retry_after=MIGRATION_PAUSE)
    if failure.code in _REFUSED_KEY or (not failure.passes and failure.status in {401, 403}):
        return Misconfigured(
            f"the database refuses the key: {failure.message}",
            remedy="set SUPABASE_SECRET_KEY to this project's secret key",
        )
    if failure.passes:
        return _unavailable(name, failure.message)
    if failure.status == httpx.codes.NOT_FOUND and not failure.code:
        return Misconfigured(
            "there is no REST API at SUPABASE_URL", remedy="set SUPABASE_URL to the API address"
        )
    return DatabaseBroken(f"{name}: {failure.code} {failure.message}")
