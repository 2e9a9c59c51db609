"""A member of the demo's agencies: listens to their topics and reads their figures, as browsers do.

Signs in like anybody; what it hears and reads is what the promises are judged by.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
from realtime import AsyncRealtimeClient, RealtimeSubscribeStates

from local.demo.watching import Figures
from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from realtime.types import RealtimeChannelOptions

    from local.demo.stage import Login


JOIN_SECONDS: Final = 15.0
# What was told last is on its way for a moment.
LAST_WORD_SECONDS: Final = 3.0
# Before that the demo's creators had not begun.
DAYS: Final = 1000


class Member:
    """One signed-in user."""

    def __init__(self, settings: Mapping[str, str], login: Login, agencies: Sequence[str]) -> None:
        self._settings = settings
        self._agencies = agencies
        self._token = self._sign_in(login)
        # The ids of the messages that came.
        self.heard: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="member", daemon=True)

    def listen(self) -> None:
        """Join every agency's topic; returns when all are joined."""
        self._thread.start()
        if not self._listening.wait(JOIN_SECONDS):
            raise StackError("the demo's user could not join the agencies' topics")

    def wait_for(self, ids: set[str]) -> set[str]:
        """Wait a moment until all of them are heard; return those that are not."""
        deadline = time.monotonic() + LAST_WORD_SECONDS
        while (missing := ids - self.heard) and time.monotonic() < deadline:
            time.sleep(0.05)
        return missing

    def leave(self) -> None:
        """Stop listening."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(JOIN_SECONDS)

    def figures(self) -> list[Figures]:
        """Ask for every agency's figures twice, to the last day."""
        today = datetime.now(UTC).date()
        answers = []
        with httpx.Client(base_url=self._settings["SUPABASE_URL"], timeout=10) as http:
            for agency in self._agencies:
                two = [self._stats(http, agency, today) for _ in range(2)]
                totals = two[-1].json()["totals"]
                caches = (two[0].headers["x-cache"], two[1].headers["x-cache"])
                answers.append(
                    Figures(agency, int(totals["transactions"]), totals["gross"], caches)
                )
        return answers

    def page(self, url: str) -> int:
        """Open the dashboard; return how it answered."""
        return httpx.get(url, timeout=10).status_code

    def _stats(self, http: httpx.Client, agency: str, today: date) -> httpx.Response:
        answer = http.get(
            "/functions/v1/dashboard-stats",
            params={
                "agency_id": agency,
                "from": str(today - timedelta(days=DAYS)),
                "to": str(today),
            },
            headers={
                "apikey": self._settings["SUPABASE_PUBLISHABLE_KEY"],
                "authorization": f"Bearer {self._token}",
            },
        )
        if answer.is_error:
            raise StackError(f"dashboard-stats answered {answer.status_code}: {answer.text[:200]}")
        return answer

    def _sign_in(self, login: Login) -> str:
        answer = httpx.post(
            f"{self._settings['SUPABASE_URL']}/auth/v1/token?grant_type=password",
            headers={"apikey": self._settings["SUPABASE_PUBLISHABLE_KEY"]},
            json={"email": login.email, "password": login.password},
            timeout=JOIN_SECONDS,
        )
        if answer.is_error:
            raise StackError(f"the demo's user could not sign in: {answer.status_code}")
        return str(answer.json()["access_token"])

    def _run(self) -> None:
        logging.getLogger("realtime").setLevel(logging.CRITICAL)
        self._loop.run_until_complete(self._listen())
        self._loop.close()

    async def _listen(self) -> None:
        client = AsyncRealtimeClient(
            f"{self._settings['SUPABASE_URL'].replace('http', 'ws', 1)}/realtime/v1",
            self._settings["SUPABASE_PUBLISHABLE_KEY"],
        )
        await client.set_auth(self._token)
        await client.connect()
        joined: set[str] = set()
        for agency in self._agencies:
            options: RealtimeChannelOptions = {"config": {"private": True}}  # type: ignore[typeddict-item]  # the client takes parts too
            channel = client.channel(f"agency:{agency}", options)
            channel.on_broadcast("*", self._hear)
            await channel.subscribe(partial(self._note, joined, agency))
        await self._ended.wait()
        await client.close()

    def _note(
        self, joined: set[str], agency: str, state: RealtimeSubscribeStates, _: Exception | None
    ) -> None:
        if state is RealtimeSubscribeStates.SUBSCRIBED:
            joined.add(agency)
        if len(joined) == len(self._agencies):
            self._listening.set()

    def _hear(self, message: Mapping[str, Any]) -> None:
        self.heard.add(str(message["payload"]["id"]))
