"""A database behind httpx's own transport seam: named functions answer the engine's RPCs.

The real `Database` and stores run on top of it. Every call yields before and after its function
runs, so that a test can cancel a caller whose request was not heard, or whose reply was lost.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache
from inspect import isawaitable
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

from worker.settings import SupabaseSettings
from worker.store.database import Database, open_database_http


if TYPE_CHECKING:
    from tests.support.clock import ManualClock


Function = Callable[[dict[str, Any]], Any]

KEY = "sb_secret_made_up"


class Refusal(Exception):  # noqa: N818 - says what is the case
    """What PostgREST answers when a function raises."""

    def __init__(
        self, status: int, code: str, message: str = "refused", hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "hint": hint, "details": None}


def lost_lease() -> Refusal:
    return Refusal(410, "PT410", "the lease is lost")


@cache
def settings(key: str = KEY) -> SupabaseSettings:
    return SupabaseSettings.model_validate(
        {"SUPABASE_URL": "https://project.supabase.test", "SUPABASE_SECRET_KEY": key}
    )


class RpcStub:
    """Answers RPCs by name; a name nobody registered is not in the schema."""

    def __init__(self, clock: ManualClock, **functions: Function) -> None:
        self.functions = functions
        self.clock = clock
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.requests: list[httpx.Request] = []
        # Answers or failures that come before any function is asked, in order.
        self.instead: list[httpx.Response | Exception] = []
        self.database = self.connect()

    def connect(self, key: str = KEY) -> Database:
        rng = Random(1)  # noqa: S311 - jitter is no secret
        return Database(self.http(), settings(key), self.clock, rng)

    def http(self) -> httpx.AsyncClient:
        """Return the client that the worker opens, its transport replaced."""
        http = open_database_http(connections=4)
        http._transport = httpx.MockTransport(self._answer)
        return http

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the parameters of every call of one function."""
        return [parameters for called, parameters in self.calls if called == name]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(0)
        if self.instead:
            answer = self.instead.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        name = request.url.path.rpartition("/")[2]
        parameters = json.loads(request.content)
        self.calls.append((name, parameters))
        function = self.functions.get(name)
        if function is None:
            return _refused(Refusal(404, "PGRST202", f"no function {name}"))
        try:
            reply = function(parameters)
            if isawaitable(reply):
                reply = await reply
        except Refusal as refusal:
            return _refused(refusal)
        await asyncio.sleep(0)
        return httpx.Response(200, json=reply)


def _refused(refusal: Refusal) -> httpx.Response:
    return httpx.Response(refusal.status, json=refusal.body)
