"""A scripted Fanvue behind httpx's own transport seam: answers in order, remembers requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from tests.support.clock import ManualClock
from worker.fanvue.calls import Access
from worker.fanvue.client import FanvueClient
from worker.fanvue.connection import LARGEST_ANSWER_BYTES
from worker.settings import ApiFamily, FanvueSettings
from worker.traffic import Lane
from worker.transport import BoundedTransport


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.traffic import RateSeen


Answer = httpx.Response | Exception

ACCESS = Access(token="made-up-access-token", bucket="app:creator", lane=Lane.LIVE)


def json_answer(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    return httpx.Response(
        status,
        content=json.dumps(body).encode(),
        headers={"content-type": "application/json", **(headers or {})},
    )


@dataclass
class RecordingBudget:
    """A budget that always grants, unless told to raise."""

    acquired: list[tuple[str, Lane, int | None]] = field(default_factory=list)
    seen: list[tuple[str, RateSeen]] = field(default_factory=list)
    endpoints: list[str] = field(default_factory=list)
    penalties: list[tuple[str, datetime]] = field(default_factory=list)
    refusal: Exception | None = None

    async def acquire(
        self, bucket: str, lane: Lane, *, endpoint: str = "", hint: int | None = None
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.endpoints.append(endpoint)
        self.acquired.append((bucket, lane, hint))

    def observe(self, bucket: str, seen: RateSeen, *, endpoint: str = "") -> None:
        self.endpoints.append(endpoint)
        self.seen.append((bucket, seen))

    async def penalize(self, bucket: str, until: datetime, *, endpoint: str = "") -> None:
        self.endpoints.append(endpoint)
        self.penalties.append((bucket, until))


class ScriptedFanvue:
    """Plays a list of answers; a call too many fails the test."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.http = httpx.AsyncClient(
            transport=BoundedTransport(httpx.MockTransport(self._answer), LARGEST_ANSWER_BYTES)
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert self.answers, f"unexpected call: {request.method} {request.url}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]


@cache
def fanvue_settings(family: ApiFamily = ApiFamily.AUTO) -> FanvueSettings:
    return FanvueSettings.model_validate(
        {
            "FANVUE_API_URL": "https://api.fanvue.test",
            "FANVUE_AUTH_URL": "https://auth.fanvue.test",
            "FANVUE_CLIENT_ID": "client id+1",
            "FANVUE_CLIENT_SECRET": SecretStr("made:up/secret"),
            "FANVUE_API_FAMILY": family,
        }
    )


@dataclass
class Bench:
    """A client with everything around it in sight."""

    fanvue: ScriptedFanvue
    budget: RecordingBudget
    clock: ManualClock
    client: FanvueClient


def bench(*answers: Answer, family: ApiFamily = ApiFamily.AUTO) -> Bench:
    fanvue, budget, clock = ScriptedFanvue(*answers), RecordingBudget(), ManualClock(skips=True)
    client = FanvueClient(
        fanvue.http,
        budget,
        clock,
        Random(1),  # noqa: S311 - jitter is no secret
        fanvue_settings(family),
    )
    return Bench(fanvue, budget, clock, client)
