"""`fanvue-sync connect`: stores a creator's grant, sealed, and queues the first sync.

Everything that was given is checked before anything is written. Tokens are never printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path  # noqa: TC003 - typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID  # noqa: TC003 - typer reads the annotation at run time

import typer

from worker.app import open_books
from worker.commands.given import (
    LONGEST_LIFETIME_SECONDS,
    check_agency,
    name_problems,
    raise_all,
    read_token,
    token_problems,
)
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, note, print_json, say
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring


if TYPE_CHECKING:
    from worker.settings import Settings


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync connect --agency "Nova Talent" --creator-uuid UUID --handle nova \\
      --refresh-token-file grant.txt
  printf %s "$REFRESH_TOKEN" | fanvue-sync connect --agency "Nova Talent" \\
      --creator-uuid UUID --refresh-token -
  fanvue-sync connect --agency "Nova Talent" --creator-uuid UUID \\
      --refresh-token "$REFRESH" --access-token "$ACCESS" --expires-in 3600 --json
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to connect, checked."""

    agency: str
    creator_uuid: str
    handle: str | None
    refresh_token: str = field(repr=False)
    access_token: str | None = field(repr=False)
    expires_in: timedelta | None
    replace: bool


def connect(  # noqa: PLR0913 - one parameter per option
    *,
    agency: Annotated[
        str, typer.Option(help="Name or id of the agency; a new name makes a new agency.")
    ],
    creator_uuid: Annotated[UUID, typer.Option(help="The creator's UUID on Fanvue.")],
    handle: Annotated[str | None, typer.Option(help="The creator's handle.")] = None,
    refresh_token: Annotated[
        str | None, typer.Option(help="The OAuth refresh token; - reads it from stdin.")
    ] = None,
    refresh_token_file: Annotated[
        Path | None,
        typer.Option(help="A file with the refresh token.", exists=True, dir_okay=False),
    ] = None,
    access_token: Annotated[
        str | None, typer.Option(help="The access token that came with it, if it is still good.")
    ] = None,
    expires_in: Annotated[
        int | None,
        typer.Option(
            help="Seconds the access token still lives.", min=0, max=LONGEST_LIFETIME_SECONDS
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the grant of a connected creator.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Connect a creator: store the grant sealed, queue the first sync, print the model id."""
    order = _check(
        agency=agency,
        creator_uuid=creator_uuid,
        handle=handle,
        refresh_token=read_token(refresh_token, refresh_token_file),
        access_token=access_token,
        expires_in=expires_in,
        replace=replace,
    )
    connected = wait_for(_connect(begin({"supabase", "sealing"}), order))
    if as_json:
        print_json(connected)
        return
    say(connected["model_id"])
    word = "connected" if connected["created"] else "connected again"
    note(f"{word}: the first sync is queued as job {connected['job_id']}")


def _check(  # noqa: PLR0913 - one parameter per option
    *,
    agency: str,
    creator_uuid: UUID,
    handle: str | None,
    refresh_token: str,
    access_token: str | None,
    expires_in: int | None,
    replace: bool,
) -> Order:
    """Collect everything that is wrong with the order before anything is written."""
    problems = [
        *name_problems("--agency", agency, "name the agency"),
        *token_problems("--refresh-token", refresh_token),
    ]
    if handle is not None:
        problems += name_problems("--handle", handle, "give the creator's handle or leave it out")
    if access_token is not None:
        problems += token_problems("--access-token", access_token)
    raise_all(problems)
    return Order(
        agency=agency.strip(),
        creator_uuid=str(creator_uuid),
        handle=None if handle is None else handle.strip().removeprefix("@"),
        refresh_token=refresh_token,
        access_token=None if access_token is None else access_token.strip(),
        # Without an access token there is nothing whose life could end.
        expires_in=(
            None if expires_in is None or access_token is None else timedelta(seconds=expires_in)
        ),
        replace=replace,
    )


async def _connect(settings: Settings, order: Order) -> dict[str, Any]:
    keyring = Keyring(settings.sealing.keys)
    async with open_books(settings) as books:
        await check_agency(books, order.agency)
        place = await books.grants.connect(
            order.agency, order.creator_uuid, order.handle, replace=order.replace
        )
        access = order.access_token
        job_id = await books.grants.store(
            place,
            None if access is None else keyring.seal(access, place.model_id, ACCESS_COLUMN),
            keyring.seal(order.refresh_token, place.model_id, REFRESH_COLUMN),
            order.expires_in,
        )
    return {
        "model_id": place.model_id,
        "agency_id": place.agency_id,
        "creator_uuid": order.creator_uuid,
        "created": place.created,
        "job_id": job_id,
    }
