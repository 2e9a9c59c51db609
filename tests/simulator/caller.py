"""A signed-in client of an in-process simulator, and the version header it must send.

It only saves typing in tests; it judges nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    import httpx

    from simulator.people import Agency, Creator
    from simulator.simulation import Simulation


VERSION = {"X-Fanvue-API-Version": "2025-06-26"}


class Caller:
    """Calls the API as a creator or as an agency's administrator."""

    def __init__(self, http: httpx.AsyncClient, simulation: Simulation) -> None:
        self.http = http
        self.simulation = simulation
        self.headers: dict[str, str] = dict(VERSION)

    def sign_in(self, who: Creator | Agency, *scopes: str) -> Caller:
        """Return a caller with a fresh grant."""
        control = self.simulation.tokens
        user = who.user if hasattr(who, "user") else who.owner
        pair = control.grant("simulator-client", user.uuid, scopes or ALL_SCOPES)
        other = Caller(self.http, self.simulation)
        other.headers["Authorization"] = f"Bearer {pair.access.text}"
        return other

    async def get(self, path: str, **params: Any) -> httpx.Response:
        """Get a path."""
        return await self.http.get(path, params=params, headers=self.headers)

    async def post(self, path: str, body: Any) -> httpx.Response:
        """Post JSON."""
        return await self.http.post(path, json=body, headers=self.headers)

    async def json(self, path: str, **params: Any) -> Any:
        """Get a path that must succeed and return its body."""
        response = await self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()

    async def walk(self, path: str, **params: Any) -> list[list[dict[str, Any]]]:
        """Follow nextCursor to the end and return all pages."""
        pages: list[list[dict[str, Any]]] = []
        cursor: dict[str, str] = {}
        while True:
            body = await self.json(path, **params, **cursor)
            pages.append(body["data"])
            assert len(pages) < 500, "the walk does not end"
            if body["nextCursor"] is None:
                return pages
            cursor = {"cursor": body["nextCursor"]}


ALL_SCOPES = (
    *("openid", "offline_access", "offline", "read:self", "read:insights", "read:fan"),
    *("read:chat", "write:chat", "read:post", "read:creator", "write:creator", "read:agency"),
)
