"""Calls Fanvue for one job: the path, the token, and the condition under which a page is sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from worker.errors import NotFound, ProviderContract, Unauthorized
from worker.fanvue.calls import Access, Reply, RequestMeter, Validator
from worker.fanvue.paths import creators_path, is_offered
from worker.store.walks import OfferedValidator


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from worker.fanvue.client import FanvueClient, Parameter, Parameters
    from worker.jobs.grants import GrantKeeper, Token
    from worker.store.jobs import Job
    from worker.traffic import Lane


NOT_MANAGED: Final = (
    "the agency's account does not manage this creator (any more): let it manage them again on "
    "Fanvue, or connect them with a grant of their own"
)


class PageReader:
    """Reads for one job; refreshes the token when Fanvue refuses it."""

    def __init__(
        self, client: FanvueClient, grants: GrantKeeper, job: Job, lane: Lane, meter: RequestMeter
    ) -> None:
        self._client = client
        self._grants = grants
        self._job = job
        self._lane = lane
        self._meter = meter
        self._asked: asyncio.Task[Token] | None = None

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask for the first call's token while the walk is begun."""
        asked = self._asked = asyncio.create_task(self._token(), name="token-ahead")
        try:
            yield
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    def offers(self, path: str) -> bool:
        """Tell whether Fanvue has this list for the way in which the creator is read."""
        return is_offered(self._job.path_prefix, path)

    async def get(
        self,
        path: str,
        params: Parameters,
        *,
        hint: int | None = None,
        validator: Validator | None = None,
    ) -> Reply:
        """Call once; after a 401 refresh the token and call once more."""
        return await self._with_token(
            lambda token: self._call(path, params, token, hint, validator)
        )

    async def get_of_account(self, path: str, params: Parameters) -> Reply:
        """Call once on a path that is no creator's, from the budget of the grant's own account."""

        async def call(token: str) -> Reply:
            access = Access(token, self._job.account_bucket, self._lane)
            return await self._client.get(path, params, auth=access, meter=self._meter)

        return await self._with_token(call)

    async def _with_token(self, call: Callable[[str], Awaitable[Reply]]) -> Reply:
        asked, self._asked = self._asked, None
        token = await (asked or self._token())
        try:
            return await call(token.value)
        except Unauthorized:
            token = await self._token(rejected=token.version)
            return await call(token.value)

    async def _token(self, rejected: int | None = None) -> Token:
        job = self._job
        return await self._grants.token(job.model_id, grant_id=job.grant_id, rejected=rejected)

    async def _call(
        self,
        path: str,
        params: Parameters,
        token: str,
        hint: int | None,
        validator: Validator | None,
    ) -> Reply:
        access = Access(token, self._job.bucket, self._lane, hint)
        prefix = self._job.path_prefix
        sent = creators_path(prefix, path)
        try:
            return await self._client.get(
                sent, params, auth=access, meter=self._meter, validator=validator
            )
        except NotFound as error:
            if not prefix:
                raise
            # Never the personal path instead: it would show the administrator's own data.
            raise NotFound(f"{error.message} ({sent})", remedy=NOT_MANAGED) from error

    async def get_if_changed(
        self,
        path: str,
        params: Mapping[str, Parameter],
        known: OfferedValidator | None,
        *,
        hint: int | None = None,
        **kept: object,
    ) -> tuple[Reply, OfferedValidator | None]:
        """Call once, with what the same request was offered last time; return what it is now.

        `kept` is what else decides about the rows that come of the answer: after a change of it
        the same answer has to be read again.
        """
        name = self._name(path, params, kept)
        validator = None
        if known is not None and known.request == name:
            validator = Validator(known.etag, known.last_modified)
        reply = await self.get(path, params, hint=hint, validator=validator)
        if reply.not_modified and validator is None:
            raise ProviderContract("Fanvue answered 304 although nothing was known")
        if reply.validator is None:
            return reply, known if reply.not_modified else None
        offered = reply.validator
        return reply, OfferedValidator(name, offered.etag, offered.last_modified)

    def _name(self, path: str, params: Mapping[str, Parameter], kept: Mapping[str, object]) -> str:
        """Name a request alike at every poll: its account, its path and all that it asks for."""
        facts = [
            self._job.bucket,
            path,
            sorted((name, str(value)) for name, value in params.items()),
            sorted((name, str(value)) for name, value in kept.items()),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
