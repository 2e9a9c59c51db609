"""`fanvue-sync status`: one screen. First whether anything needs a person, then the figures.

Streams that are as they should be are counted; what is wrong is told once for each root cause.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_books
from worker.commands.attention import headline, read_attention
from worker.commands.session import begin, wait_for
from worker.commands.terminal import (
    AsJson,
    ago,
    counted,
    error_text,
    one_line,
    print_json,
    print_table,
    say,
    short_id,
    span,
)


if TYPE_CHECKING:
    from worker.settings import Settings


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync status
  fanvue-sync status --streams
  fanvue-sync status --json
"""
LISTED: Final = 12
# The words of sync_health that are too long for a table.
_HEALTH: Final = {
    "the creator must connect again": "must connect again",
    "gave up; tried again when due": "gave up",
    "waiting for its first sync": "not read yet",
}


def status(
    *,
    every: Annotated[bool, typer.Option("--streams", help="List every stream.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether all is well, else what needs attention and what to do; then the figures."""
    engine, streams, troubles, reply = wait_for(
        _read(begin({"supabase"}), streams=every or as_json)
    )
    found = read_attention(reply)
    if as_json:
        attention = [one.as_json() for one in found]
        more = {"attention": attention, "troubles": troubles["listed"], "stream_list": streams}
        print_json({**engine, "well": not found, **more})
        return
    now = datetime.fromisoformat(engine["now"]).astimezone(UTC)
    say(headline(found))
    for one in found:
        say(f"  - {one.line()}")
    say("")
    for line in glance(engine, now):
        say(line)
    if not engine["streams"]:
        say("no streams yet; fanvue-sync connect --help says how to connect a creator")
    elif every:
        say("")
        _print_streams(streams, now)
    elif troubles["listed"]:
        say("")
        for one in troubles["listed"]:
            say(f"  - {_trouble(one, now)}")
        if (more := troubles["causes"] - len(troubles["listed"])) > 0:
            say(f"{more} more; fanvue-sync status --streams lists every stream")


def _trouble(one: dict[str, Any], now: datetime) -> str:
    """Say one root cause: what of whom, since when, why."""
    names = ", ".join(one["named"])
    if one["creators"] > len(one["named"]):
        names = f"{one['named'][0]} and {counted(one['creators'] - 1, 'more', 'more')}"
    agencies = ", ".join(one["agencies"]) if len(one["agencies"]) == 1 else ""
    few = one["streams"] <= len(one["sync_types"])
    what = ", ".join(one["sync_types"]) if few else counted(one["streams"], "stream")
    why = f": {error_text(one['reason'])}" if one["reason"] else ""
    since = f", last read {ago(one['since'], now)}" if one["since"] else ""
    place = f" ({agencies})" if agencies else ""
    return one_line(
        f"{names}{place}: {what} {_HEALTH.get(one['health'], one['health'])}{since}{why}"
    )


def _print_streams(streams: list[dict[str, Any]], now: datetime) -> None:
    print_table(
        ("creator", "stream", "health", "synced", "next", "note"),
        [
            (
                stream["handle"] or short_id(stream["model_id"]),
                stream["sync_type"],
                _HEALTH.get(stream["health"], stream["health"]),
                ago(stream["last_success_at"], now),
                ago(stream["next_sync_at"], now),
                error_text(stream["last_error"]) if stream["consecutive_failures"] else "",
            )
            for stream in streams
        ],
        shrink=("creator", "note"),
    )


async def _read(
    settings: Settings, *, streams: bool
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
    async with open_books(settings) as books:
        overview = books.overview
        return (
            await overview.status(),
            await overview.streams(None) if streams else [],
            await overview.troubles(LISTED),
            await overview.attention(),
        )


def glance(engine: dict[str, Any], now: datetime) -> list[str]:
    """Return the lines of figures."""
    jobs = engine["jobs"]
    waiting = jobs["oldest_due_seconds"]
    late = f", the oldest for {span(waiting)}" if waiting is not None else ""
    due = f"{jobs['due']} due{late}"
    ticks = [
        f"{name} {ago(tick['last_tick_at'], now)}"
        for name, tick in sorted((engine["scheduler"] or {}).items())
    ]
    # an older schema counts to the end
    at_least = engine.get("at_least") or {}
    return [
        f"models    {_counts(engine['models'])}",
        f"jobs      {jobs['running']} running, {due}, {jobs['queued']} queued, {jobs['dead']} dead",
        f"streams   {_counts(engine['streams'], at_least.get('streams'))}",
        f"runs 24h  {_counts(engine['runs_24h'], at_least.get('runs_24h'))}",
        f"ticks     {', '.join(ticks) or 'none yet'}",
        f"webhooks  {_counts(engine['webhooks'])}",
        f"drift     {_counts(engine['drift'])}",
    ]


def _counts(counts: dict[str, int] | None, more: list[str] | None = None) -> str:
    """Say how many of each there are; of `more` there may be more than were counted."""
    parts = [
        f"{'at least ' if name in (more or ()) else ''}{count} {name}"
        for name, count in sorted((counts or {}).items())
        if count
    ]
    return ", ".join(parts) or "none"
