"""`fanvue-sync creators`: who they are, what commands call them, and who must connect again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from worker.app import open_books
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
)


if TYPE_CHECKING:
    from worker.settings import Settings


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync creators
  fanvue-sync creators --json
"""
_STATUS: Final = {"reauth_required": "must connect"}


def creators(*, as_json: AsJson = False) -> None:
    """List the creators: agency, status, all money, and when it was last read to its end."""
    reply = wait_for(_read(begin({"supabase"})))
    if as_json:
        print_json(reply)
        return
    if not reply["creators"]:
        say("no creators yet; fanvue-sync connect --help says how to connect one")
        return
    now = datetime.fromisoformat(reply["now"]).astimezone(UTC)
    print_table(
        ("creator", "agency", "status", "US dollars", "read"),
        [
            (
                # What commands take: the handle, else the beginning of the id.
                one["handle"] or f"{short_id(one['model_id'])} {one['display_name'] or ''}",
                one["agency"],
                _STATUS.get(one["status"], one["status"]),
                one["revenue_total"] or "",
                ago(one["earnings_synced_at"], now),
            )
            for one in reply["creators"]
        ],
        shrink=("creator", "agency"),
    )
    if reply["reconnect"]:
        say("\nmust connect again")
    for one in reply["reconnect"]:
        say(f"  - {_reconnect(one)}")


def _reconnect(one: dict[str, Any]) -> str:
    waits = counted(one["creators"], "creator waits", "creators wait")
    why = error_text(one["reason"]) or "no reason noted"
    return one_line(f"{one['account']} ({one['agency']}), {waits}: {why}; {one['remedy']}")


async def _read(settings: Settings) -> dict[str, Any]:
    async with open_books(settings) as books:
        return await books.overview.creators()
