"""Authorised calls to Fanvue: budget, path family, retries, and errors by recovery.

Every request, retries included, is paid for from the budget. A 429 is never retried here: the
budget is told and the caller snoozes. Writes are never repeated, because Fanvue has no idempotency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import httpx
import structlog

from worker.clock import full_jitter
from worker.errors import (
    CursorExpired,
    Gone,
    Misconfigured,
    ProviderContract,
    SyncError,
    Throttled,
    Transient,
    Unauthorized,
    Unavailable,
)
from worker.fanvue.calls import Access, CallBudget, Family, Reply, RequestMeter, Validator
from worker.fanvue.connection import RawAnswer, exchange
from worker.fanvue.headers import rate_seen, retry_after, server_date
from worker.fanvue.paths import PathFamilies, endpoint_of, full_path, template_of
from worker.fanvue.verdicts import EmptyRefusal, Refusal, VersionRetired, judge, parse_json
from worker.metrics import Metric, Metrics, unheard


if TYPE_CHECKING:
    from random import Random

    from worker.clock import Clock
    from worker.settings import FanvueSettings


ATTEMPTS = 3
FIRST_BACKOFF = timedelta(milliseconds=500)
LONGEST_BACKOFF = timedelta(seconds=4)
# A server that asks for a longer pause gets it from the queue, not from a waiting job.
LONGEST_PAUSE_HERE = timedelta(seconds=3)
WINDOW = timedelta(seconds=60)
SHORTEST_SNOOZE = timedelta(seconds=1)
USER_AGENT = "fanvue-sync-engine"

KEPT_HEADERS = ("etag", "last-modified", "x-request-id", "deprecation", "sunset")
NEXT_VERSION_HEADER = "x-fanvue-api-next-version"

Parameter: TypeAlias = str | int | datetime | None
Parameters: TypeAlias = Mapping[str, Parameter] | Callable[[Family], Mapping[str, Parameter]]

log = structlog.get_logger(__name__)


class FanvueClient:
    """Reads from Fanvue on behalf of one grant at a time."""

    def __init__(  # noqa: PLR0913 - what one client needs of its surroundings
        self,
        http: httpx.AsyncClient,
        budget: CallBudget,
        clock: Clock,
        rng: Random,
        settings: FanvueSettings,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._http = http
        self._budget = budget
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._families = PathFamilies(settings.api_family, clock)
        self._announced: set[str] = set()
        self._metrics = metrics or unheard()

    async def get(
        self,
        path: str,
        params: Parameters | None = None,
        *,
        auth: Access,
        meter: RequestMeter | None = None,
        validator: Validator | None = None,
    ) -> Reply:
        """Read one resource; `path` is without its family's prefix and begins with '/'.

        `params` may be a function of the family, where the two take different parameters.
        Raises only `SyncError`s: `Throttled`, `Transient`, `CursorExpired`, `Unauthorized`,
        `ScopeMissing`, `NotFound`, `Gone`, `ProviderContract`, `Misconfigured`.
        """
        meter = RequestMeter() if meter is None else meter
        auth = replace(auth, endpoint=endpoint_of(path))
        missing: list[Unavailable] = []
        for family in self._families.candidates(path):
            query = params(family) if callable(params) else params
            request = self._request(
                "GET", full_path(family, path), auth, params=query, validator=validator
            )
            try:
                reply = await self._persist(request, family, auth, meter)
            except Unavailable as error:
                missing.append(error)
                continue
            self._families.answered(path, family, other_was_missing=bool(missing))
            self._notice_deprecation(path, reply)
            return reply
        raise _most_telling(missing)

    async def send(self, method: str, path: str, body: object = None, *, auth: Access) -> Reply:
        """Write once: after a `Transient` nobody knows whether it had its effect; look first.

        Raises what `get` raises.
        """
        auth = replace(auth, endpoint=endpoint_of(path))
        meter, missing = RequestMeter(), []
        for family in self._families.candidates(path):
            request = self._request(method, full_path(family, path), auth, body=body)
            await self._take_permit(auth, meter)
            try:
                return await self._once(request, family, auth, meter)
            except Unavailable as error:
                missing.append(error)
        raise _most_telling(missing)

    def _request(  # noqa: PLR0913 - what a request may have
        self,
        method: str,
        path: str,
        auth: Access,
        *,
        params: Mapping[str, Parameter] | None = None,
        validator: Validator | None = None,
        body: object = None,
    ) -> httpx.Request:
        if not (auth.token.isascii() and auth.token.isprintable()):
            raise Unauthorized("the stored access token is not one that can be sent")
        headers = {
            "authorization": f"Bearer {auth.token}",
            "x-fanvue-api-version": self._settings.api_version,
            "accept": "application/json",
            "user-agent": USER_AGENT,
        }
        if validator is not None and validator.etag:
            headers["if-none-match"] = validator.etag
        if validator is not None and validator.last_modified:
            headers["if-modified-since"] = validator.last_modified
        query = {
            name: _as_text(value) for name, value in (params or {}).items() if value is not None
        }
        return self._http.build_request(
            method, self._settings.api_url + path, params=query, headers=headers, json=body
        )

    async def _persist(
        self, request: httpx.Request, family: Family, auth: Access, meter: RequestMeter
    ) -> Reply:
        failures: list[Transient] = []
        while True:
            await self._take_permit(auth, meter)
            try:
                return await self._once(request, family, auth, meter)
            except (Throttled, CursorExpired):
                raise
            except Transient as error:
                failures.append(error)
                self._give_up_or_continue(failures)
            meter.retries += 1
            await self._pause(failures, meter)

    @staticmethod
    def _give_up_or_continue(failures: list[Transient]) -> None:
        latest = failures[-1]
        if isinstance(latest, EmptyRefusal) and any(
            isinstance(earlier, EmptyRefusal) for earlier in failures[:-1]
        ):
            raise ProviderContract(f"{latest.message}, twice in a row") from latest
        asked_to_wait = latest.retry_after or timedelta(0)
        if len(failures) >= ATTEMPTS or asked_to_wait > LONGEST_PAUSE_HERE:
            raise latest

    async def _pause(self, failures: list[Transient], meter: RequestMeter) -> None:
        jitter = full_jitter(
            len(failures) - 1, first=FIRST_BACKOFF, cap=LONGEST_BACKOFF, rng=self._rng
        )
        delay = max(jitter, failures[-1].retry_after or timedelta(0))
        started = self._clock.monotonic()
        await self._clock.sleep(delay)
        meter.waited_ms += self._milliseconds_since(started)

    async def _take_permit(self, auth: Access, meter: RequestMeter) -> None:
        started = self._clock.monotonic()
        try:
            await self._budget.acquire(
                auth.bucket, auth.lane, endpoint=auth.endpoint, hint=auth.hint
            )
        except Throttled:
            meter.throttled += 1
            self._metrics.count(Metric.THROTTLED, by="budget", lane=auth.lane.value)
            raise
        finally:
            meter.waited_ms += self._milliseconds_since(started)

    async def _once(
        self, request: httpx.Request, family: Family, auth: Access, meter: RequestMeter
    ) -> Reply:
        meter.requests += 1
        answer = await self._exchange(request)
        meter.bytes += len(answer.body)
        now = self._clock.now()
        rate = rate_seen(answer.headers, now=now)
        if rate is not None:
            self._budget.observe(auth.bucket, rate, endpoint=auth.endpoint)
        if answer.status == 429:  # noqa: PLR2004 - the status is the meaning
            meter.throttled += 1
            self._metrics.count(Metric.THROTTLED, by="fanvue", lane=auth.lane.value)
            raise await self._throttled(answer, auth, now)
        if answer.status in {204, 304}:
            body = None
        elif 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own class
            body = _json_of(answer)
        else:
            raise _refused(answer, asked_with_cursor="cursor" in request.url.params, now=now)
        kept = (*KEPT_HEADERS, NEXT_VERSION_HEADER)
        headers = {name: answer.headers[name] for name in kept if name in answer.headers}
        return Reply(answer.status, body, headers, server_date(answer.headers), rate, family)

    async def _exchange(self, request: httpx.Request) -> RawAnswer:
        template, status = template_of(request.url.path), "none"
        started = self._clock.monotonic()
        try:
            answer = await exchange(
                self._http, request, timeout_seconds=self._settings.timeout_seconds
            )
            status = _status_class(answer.status)
        finally:
            took = self._clock.monotonic() - started
            self._metrics.count(Metric.CALLS, template=template, status=status)
            self._metrics.observe(Metric.CALL_SECONDS, took, template=template)
        return answer

    async def _throttled(self, answer: RawAnswer, auth: Access, now: datetime) -> Throttled:
        wait = retry_after(answer.headers, now=now)
        seen = rate_seen(answer.headers, now=now)
        if wait is None:
            wait = seen.reset_at - now if seen is not None and seen.reset_at else WINDOW
        until = now + max(wait, SHORTEST_SNOOZE)
        await self._budget.penalize(auth.bucket, until, endpoint=auth.endpoint)
        return Throttled(f"Fanvue answered 429 at {auth.endpoint}", until=until)

    def _milliseconds_since(self, started: float) -> int:
        return round((self._clock.monotonic() - started) * 1000)

    def _notice_deprecation(self, path: str, reply: Reply) -> None:
        if not {"deprecation", "sunset", NEXT_VERSION_HEADER} & reply.headers.keys():
            return
        template = template_of(path)
        if template not in self._announced:
            self._announced.add(template)
            log.warning(
                "api_deprecation_announced",
                path=template,
                family=reply.family.value,
                sunset=reply.headers.get("sunset"),
                next_version=reply.headers.get(NEXT_VERSION_HEADER),
            )


def _status_class(status: int) -> str:
    return str(status) if status == httpx.codes.TOO_MANY_REQUESTS else f"{status // 100}xx"


def _as_text(value: str | int | datetime) -> str:
    """Write a parameter; moments as Fanvue wants them, with milliseconds and an offset."""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    return str(value)


def _json_of(answer: RawAnswer) -> object:
    try:
        parsed: object = parse_json(answer.body)
    except ValueError as error:
        raise Transient(f"Fanvue answered {answer.status} with a body that is not JSON") from error
    return parsed


def _refused(answer: RawAnswer, *, asked_with_cursor: bool, now: datetime) -> SyncError:
    pause = retry_after(answer.headers, now=now)
    return judge(Refusal(answer.status, answer.body, asked_with_cursor, pause))


def _most_telling(missing: list[Unavailable]) -> SyncError:
    """Choose among the refusals of both families the one that tells an operator most."""
    for error in missing:
        if isinstance(error, VersionRetired):
            return Misconfigured(error.message, remedy=error.remedy)
    # One family retired and the other unknown: the path is gone rather than the object missing.
    return next((error for error in missing if isinstance(error, Gone)), missing[-1])
