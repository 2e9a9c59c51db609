"""`fanvue-sync connect-link`: a link by which one creator connects without a dashboard account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_books
from worker.commands.given import name_problems, raise_all
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, note, print_json, say
from worker.store.members import MemberStore


if TYPE_CHECKING:
    from worker.settings import Settings


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync connect-link --agency "Nova Talent" --label "Ana, by e-mail"
  fanvue-sync connect-link --agency "Nova Talent" --creator nova --hours 24
\b
The link is shown this once. It connects one account, and only after the creator read whose agency
it is; owners and admins see it under connect_links and can take it back.
"""


def connect_link(
    *,
    agency: Annotated[str, typer.Option(help="Name or id of the agency.")],
    creator: Annotated[
        str | None, typer.Option(help="Handle or model id of the creator who connects again.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="For whom it is, in your words.")] = None,
    hours: Annotated[int, typer.Option(help="How long it works.", min=1, max=720)] = 168,
    as_json: AsJson = False,
) -> None:
    """Make a link by which one creator connects, and print it."""
    raise_all(name_problems("--agency", agency, "name the agency"))
    settings = begin({"supabase"})
    made = wait_for(_make(settings, agency, creator, label, hours))
    if as_json:
        print_json(made)
        return
    say(made["url"])
    note(f"send it to the creator; it works once, until {made['expires_at'][:16]} UTC")


async def _make(
    settings: Settings, agency: str, creator: str | None, label: str | None, hours: int
) -> dict[str, Any]:
    async with open_books(settings) as books:
        model_id = None
        if creator is not None:
            model_id = (await books.overview.find_model(creator))["model_id"]
        made = await MemberStore(books.database).connect_link(agency, model_id, label, hours)
    url = f"{str(settings.supabase.url).rstrip('/')}{made['path']}"
    return {"id": made["id"], "url": url, "expires_at": made["expires_at"]}
