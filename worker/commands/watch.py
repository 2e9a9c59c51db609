"""`fanvue-sync watch`: what is pushed to agencies' dashboards, line by line in the terminal.

Shows hints as they come; what happened while the connection was lost is not shown. Agencies that
are founded meanwhile are heard after the next start.
"""

from __future__ import annotations

import asyncio
import os
import sys
import unicodedata
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from worker.app import open_books
from worker.clock import SystemClock
from worker.commands.event_lines import EventKind, events_of, lines_of
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, counted, note, one_line, print_json, say
from worker.errors import SyncError, UsageError
from worker.subscription import MOST_TOPICS, Subscription


if TYPE_CHECKING:
    from datetime import datetime

    from worker.clock import Clock
    from worker.settings import Settings
    from worker.store.database import Database


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync watch
  fanvue-sync watch --agency Nova --only sales
  fanvue-sync watch --json | jq 'select(.event == "transactions")'
"""
TOPIC: Final = "agency:"
# A name is no reason to let sales wait.
NAME_SECONDS: Final = 2.0


class RealtimeUnreachableError(SyncError):
    """Nothing can be heard."""

    code = "realtime_unreachable"
    remedy_by_default = (
        "check that Realtime is on for the project (Studio: Realtime, Settings), then try again"
    )


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was said to an agency."""

    received_at: datetime
    agency_id: str
    name: str
    payload: dict[str, Any]


def watch(
    *,
    agency: Annotated[str | None, typer.Option(help="Name or id of the only agency.")] = None,
    only: Annotated[
        list[EventKind] | None, typer.Option(help="Only these; may be given several times.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show live what dashboards are told: sales, jobs, creators, streams. Ctrl-C ends."""
    kinds = events_of(only or [])
    wait_for(_watch(begin({"supabase"}), agency, kinds, as_json=as_json))


async def _watch(
    settings: Settings, wanted: str | None, kinds: frozenset[str], *, as_json: bool
) -> None:
    clock = SystemClock()
    async with open_books(settings, clock) as books:
        agencies = await _find_agencies(books.database, wanted)
        ear = Ear(len(agencies), clock, kinds)
        topics = [TOPIC + agency_id for agency_id in agencies]
        subscription = Subscription(settings.supabase, topics, clock, SystemRandom())
        teller = Teller(agencies, books.database)
        tasks = [
            asyncio.create_task(subscription.run(ear)),
            asyncio.create_task(_tell(ear, None if as_json else teller)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


async def _find_agencies(database: Database, wanted: str | None) -> dict[str, str]:
    """Return the names of the agencies to hear, by id."""
    # Stored in the one spelling of Unicode that connecting uses.
    name = unicodedata.normalize("NFC", wanted or "").strip()
    by = {} if wanted is None else {"id" if _is_id(wanted) else "name": name}
    rows = await database.select("agencies", "id,name", **by)
    if not rows and wanted is not None:
        raise UsageError(f"there is no agency {wanted!r}", remedy="fanvue-sync creators lists them")
    if not rows:
        raise UsageError(
            "there is no agency yet",
            remedy="fanvue-sync connect --help says how to connect a creator",
        )
    if len(rows) > MOST_TOPICS:
        raise UsageError(
            f"there are more than {MOST_TOPICS} agencies, which is all that a connection can carry",
            remedy="name one with --agency",
        )
    return {str(row["id"]): str(row["name"]) for row in rows}


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


class Ear:
    """Hears the topics, and tells people on stderr whether it does."""

    def __init__(self, agencies: int, clock: Clock, only: frozenset[str] = frozenset()) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._agencies = counted(agencies, "agency", "agencies")
        self._clock = clock
        self._only = only
        self._was_connected = False

    def connected(self) -> None:
        """Say that events can be expected now."""
        if self._was_connected:
            note("connected again; what happened meanwhile was not heard")
        else:
            note(f"connected: hearing {self._agencies}, Ctrl-C ends")
        self._was_connected = True

    def lost(self, reason: str) -> None:
        """Say that nothing is heard; give up if nothing ever was."""
        if not self._was_connected:
            raise RealtimeUnreachableError(f"Realtime does not let us listen: {reason}")
        note(f"connection lost ({reason}); trying again")

    def heard(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        """Keep what was said until it is told."""
        if self._only and event not in self._only:
            return
        agency_id = topic.removeprefix(TOPIC)
        self.events.put_nowait(Event(self._clock.now(), agency_id, event, payload))


async def _tell(ear: Ear, teller: Teller | None) -> None:
    """Print event after event, until nobody reads any more."""
    try:
        while True:
            event = await ear.events.get()
            if teller is None:
                print_json(_as_json(event))
            else:
                await teller.tell(event)
    except BrokenPipeError:
        # Else the last flush of a pipe that `head` closed would complain at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_json(event: Event) -> dict[str, Any]:
    return {
        **event.payload,
        "agency_id": event.agency_id,
        "event": event.name,
        "received_at": event.received_at.isoformat(),
    }


class Teller:
    """Prints events for people, with the names that they know."""

    def __init__(self, agencies: dict[str, str], database: Database) -> None:
        self._agencies = agencies
        self._database = database
        self._creators: dict[str, str] = {}

    async def tell(self, event: Event) -> None:
        """Print the lines of one event."""
        for line in lines_of(event.name, event.payload):
            if event.name == "model" and line.model_id is not None:
                # It may be the name that changed.
                self._creators.pop(line.model_id, None)
            parts = [
                f"{event.received_at:%H:%M:%S}",
                self._agencies.get(event.agency_id, event.agency_id),
                "" if line.model_id is None else await self._name_of(line.model_id),
                line.text,
            ]
            say("  ".join(one_line(part) for part in parts if part))

    async def _name_of(self, model_id: str) -> str:
        if model_id not in self._creators:
            try:
                async with asyncio.timeout(NAME_SECONDS):
                    rows = await self._database.select("models", "handle,display_name", id=model_id)
            except (SyncError, TimeoutError):
                return model_id
            row = rows[0] if rows else {}
            handle = row.get("handle")
            name = f"@{handle}" if handle else row.get("display_name")
            self._creators[model_id] = str(name or model_id)
        return self._creators[model_id]
