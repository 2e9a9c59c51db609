"""A member of the demo's agencies: listens to their topics and reads their figures, as browsers do.

Signs in like anybody; what it hears and reads is what the promises are judged by.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
from realtime import AsyncRealtimeClient

from local.demo.watching import Figures
from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from realtime.message import SuccessSystemPayload
    from realtime.types import RealtimeChannelOptions

    from local.demo.stage import Login
    from local.demo.waiting import Patience


# Ends a hang alone.
REQUEST_SECONDS: Final = 300.0
# A session lives for an hour.
SIGN_IN_EVERY_SECONDS: Final = 1800.0
# On a slow machine the cache is passed by for a while, and a question may end unanswered.
MOST_QUESTIONS: Final = 60
QUESTION_EVERY_SECONDS: Final = 1.0
HIT: Final = "hit"
# What the server says to those who asked for `replication_ready`.
FLOWING: Final = "Replication connection established"
LEAVE_SECONDS: Final = 15.0
# Nothing else happens any more, so that a message which is on its way comes.
LAST_WORD_SECONDS: Final = 90.0
# Before that the demo's creators had not begun.
DAYS: Final = 1000


class Member:
    """One signed-in user."""

    def __init__(
        self,
        settings: Mapping[str, str],
        login: Login,
        agencies: Sequence[str],
        patience: Patience,
    ) -> None:
        self._settings = settings
        self._login = login
        self._agencies = agencies
        self._patience = patience
        self._token = self._sign_in()
        # The ids of the messages that came.
        self.heard: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="member", daemon=True)

    def listen(self) -> None:
        """Join every agency's topic; returns when all are heard."""
        self._thread.start()
        self._patience.need(
            self._listening.is_set, "the answer to joining the agencies' topics", "realtime.log"
        )

    def wait_for(self, ids: set[str]) -> set[str]:
        """Wait until all of them are heard; return those that never come."""
        self._patience.until(
            lambda: ids <= self.heard,
            "the last messages to the agencies' topics",
            moving=lambda: len(self.heard),
            hang=LAST_WORD_SECONDS,
        )
        return ids - self.heard

    def leave(self) -> None:
        """Stop listening."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(LEAVE_SECONDS)

    def figures(self) -> list[Figures]:
        """Ask for every agency's figures, to the last day, until they come from the cache."""
        self._token = self._sign_in()
        with httpx.Client(base_url=self._settings["SUPABASE_URL"], timeout=REQUEST_SECONDS) as http:
            return [self._figures_of(http, agency) for agency in self._agencies]

    def _figures_of(self, http: httpx.Client, agency: str) -> Figures:
        caches: list[str] = []
        totals: dict[str, Any] = {"transactions": 0, "gross": ""}
        for question in range(MOST_QUESTIONS):
            if question > 1:
                self._patience.pause(QUESTION_EVERY_SECONDS)
            answer = self._stats(http, agency, datetime.now(UTC).date())
            if answer.is_server_error:
                caches.append(f"answered {answer.status_code}")
                continue
            caches.append(answer.headers["x-cache"])
            totals = answer.json()["totals"]
            if question and caches[-1] == HIT:
                break
        return Figures(agency, int(totals["transactions"]), totals["gross"], tuple(caches))

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
        if answer.is_client_error:
            raise StackError(f"dashboard-stats answered {answer.status_code}: {answer.text[:200]}")
        return answer

    def _sign_in(self) -> str:
        answer = httpx.post(
            f"{self._settings['SUPABASE_URL']}/auth/v1/token?grant_type=password",
            headers={"apikey": self._settings["SUPABASE_PUBLISHABLE_KEY"]},
            json={"email": self._login.email, "password": self._login.password},
            timeout=REQUEST_SECONDS,
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
        heard: set[str] = set()
        for agency in self._agencies:
            options: RealtimeChannelOptions = {
                "config": {"private": True, "broadcast": {"replication_ready": True}}  # type: ignore[typeddict-item]  # the client takes parts too
            }
            channel = client.channel(f"agency:{agency}", options)
            channel.on_broadcast("*", self._hear).on_system(partial(self._note, heard, agency))
            await channel.subscribe()
        while not self._ended.is_set():
            try:
                async with asyncio.timeout(SIGN_IN_EVERY_SECONDS):
                    await self._ended.wait()
            except TimeoutError:
                await client.set_auth(await asyncio.to_thread(self._sign_in))
        await client.close()

    def _note(self, heard: set[str], agency: str, said: SuccessSystemPayload) -> None:
        # A topic that is joined hears nothing before the server's stream of commits flows.
        if said.message == FLOWING:
            heard.add(agency)
        if len(heard) == len(self._agencies):
            self._listening.set()

    def _hear(self, message: Mapping[str, Any]) -> None:
        self.heard.add(str(message["payload"]["id"]))
