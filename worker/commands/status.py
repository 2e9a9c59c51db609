"""`fanvue-sync status`: one screen. First whether anything needs a person, then the figures.

Streams that are as they should be are counted; those that are not are listed, as many as fit.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_books
from worker.commands.attention import headline, read_attention
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, ago, error_text, print_json, print_table, say, span


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


def status(
    *,
    every: Annotated[bool, typer.Option("--streams", help="List every stream.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether all is well, else what needs attention and what to do; then the figures."""
    limit = None if every or as_json else LISTED
    engine, streams, reply = wait_for(_read(begin({"supabase"}), limit))
    found = read_attention(reply)
    if as_json:
        attention = [one.as_json() for one in found]
        print_json({**engine, "well": not found, "attention": attention, "stream_list": streams})
        return
    now = datetime.fromisoformat(engine["now"]).astimezone(UTC)
    say(headline(found))
    for one in found:
        say(f"  - {one.line()}")
    say("")
    for line in _glance(engine, now):
        say(line)
    if not streams:
        say("no streams yet: connect a creator with fanvue-sync connect")
        return
    shown = streams if every else [one for one in streams if not one["calm"]]
    if shown:
        say("")
        _print_streams(shown, now)
    more = engine["troubled"] - len(shown)
    if more > 0 and not every:
        say(f"{more} more; fanvue-sync status --streams lists all")


def _print_streams(streams: list[dict[str, Any]], now: datetime) -> None:
    print_table(
        ("model", "agency", "creator", "stream", "health", "synced", "next", "note"),
        [
            (
                stream["model_id"],
                stream["agency"],
                stream["handle"],
                stream["sync_type"],
                stream["health"],
                ago(stream["last_success_at"], now),
                ago(stream["next_sync_at"], now),
                error_text(stream["last_error"]) if stream["consecutive_failures"] else "",
            )
            for stream in streams
        ],
    )


async def _read(
    settings: Settings, limit: int | None
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    async with open_books(settings) as books:
        overview = books.overview
        return await overview.status(), await overview.streams(limit), await overview.attention()


def _glance(engine: dict[str, Any], now: datetime) -> list[str]:
    jobs = engine["jobs"]
    waiting = jobs["oldest_due_seconds"]
    late = f", the oldest for {span(waiting)}" if waiting is not None else ""
    due = f"{jobs['due']} due{late}"
    ticks = [
        f"{name} {ago(tick['last_tick_at'], now)}"
        for name, tick in sorted((engine["scheduler"] or {}).items())
    ]
    return [
        f"models    {_counts(engine['models'])}",
        f"jobs      {jobs['running']} running, {due}, {jobs['queued']} queued, {jobs['dead']} dead",
        f"streams   {_counts(engine['streams'])}",
        f"runs 24h  {_counts(engine['runs_24h'])}",
        f"ticks     {', '.join(ticks) or 'none yet'}",
        f"webhooks  {_counts(engine['webhooks'])}",
        f"drift     {_counts(engine['drift'])}",
    ]


def _counts(counts: dict[str, int] | None) -> str:
    parts = [f"{count} {name}" for name, count in sorted((counts or {}).items()) if count]
    return ", ".join(parts) or "none"
