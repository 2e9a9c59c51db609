"""Asks Fanvue who an account is and which creators it manages.

Reads only, paid from the account's own budget. Nothing is stored here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from worker.errors import ProviderContract, Unauthorized
from worker.fanvue.calls import Access
from worker.fanvue.pages import position, read_envelope
from worker.fanvue.wire import Me, parse, parse_rows
from worker.fanvue.wire_lists import Fan
from worker.store.agencies import Creator
from worker.sync.listing import is_endless
from worker.traffic import Lane


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.fanvue.calls import Reply
    from worker.fanvue.client import FanvueClient
    from worker.jobs.grants import Token

    # Called with the version that Fanvue refused, or None.
    TokenSource = Callable[[int | None], Awaitable[Token]]


PAGE_SIZE: Final = 50


class Roster:
    """Speaks to Fanvue as one account."""

    def __init__(self, client: FanvueClient, user_uuid: str, token: TokenSource) -> None:
        self._client = client
        self._bucket = f"user:{user_uuid}"
        self._token = token

    async def account(self) -> Me:
        """Return the account behind the token."""
        return parse(Me, (await self._get("/users/me", {})).body)

    async def creators(self) -> list[Creator]:
        """Return every creator whom the account manages, in Fanvue's order."""
        found: dict[str, Creator] = {}
        cursor: str | None = None
        pages = 0
        while not is_endless(pages, len(found)):
            asked = {"size": str(PAGE_SIZE), **position(cursor)}
            rows, cursor = read_envelope(await self._get("/creators", asked))
            pages += 1
            for one in _creators(rows):
                found.setdefault(one.uuid, one)
            if cursor is None:
                return list(found.values())
        raise ProviderContract("the list of creators does not end", json_path="pagination")

    async def _get(self, path: str, params: dict[str, str]) -> Reply:
        token = await self._token(None)
        try:
            return await self._call(path, params, token.value)
        except Unauthorized:
            token = await self._token(token.version)
            return await self._call(path, params, token.value)

    async def _call(self, path: str, params: dict[str, str], token: str) -> Reply:
        access = Access(token, self._bucket, Lane.NORMAL)
        return await self._client.get(path, params, auth=access)


def _creators(rows: list[Any]) -> list[Creator]:
    good, complaints = parse_rows(Fan, rows)
    if complaints.records:
        # A creator whom nobody notices would be missed: better no list than one with a hole.
        raise complaints.records[0]
    return [Creator(str(row.uuid), row.handle, row.display_name) for row in good]
