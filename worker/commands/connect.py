"""`fanvue-sync connect`: stores a creator's grant, sealed, and queues the first sync.

Everything that was given is tried before anything is written. Tokens are never printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID  # noqa: TC003 - typer reads the annotation at run time

import typer

from worker.app import open_engine
from worker.commands.consent import (
    Consent,
    ask_for_agency,
    plan_connection,
    refuse_other,
    use_consent,
)
from worker.commands.given import (
    LONGEST_LIFETIME_SECONDS,
    Given,
    name_problems,
    raise_all,
    read_token,
    token_problems,
)
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, note, print_json, say
from worker.errors import Rejected
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring


if TYPE_CHECKING:
    from worker.fanvue.wire import Me
    from worker.jobs.grants import FreshPair
    from worker.settings import Settings
    from worker.store.grants import Connection


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync connect --agency "Nova Talent" --creator-uuid UUID --handle nova \\
      --refresh-token-file grant.txt
  printf %s "$REFRESH_TOKEN" | fanvue-sync connect --agency "Nova Talent" \\
      --creator-uuid UUID --refresh-token -
  fanvue-sync connect --agency "Nova Talent" --creator-uuid UUID \\
      --refresh-token "$REFRESH" --access-token "$ACCESS" --expires-in 3600 --yes --json
\b
The token is tried first, and one that Fanvue refuses writes nothing. A refresh token works once:
connecting uses it up and stores the one that Fanvue gives instead.
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to connect, checked."""

    agency: str
    creator_uuid: str
    handle: str | None
    consent: Consent
    replace: bool


def connect(  # noqa: PLR0913 - one parameter per option
    *,
    agency: Annotated[
        str, typer.Option(help="Name or id of the agency; asks before it makes a new one.")
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
            help="Seconds that access token lives; its successor's are Fanvue's to say.",
            min=0,
            max=LONGEST_LIFETIME_SECONDS,
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the grant of a connected creator.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Make the agency if there is none, without asking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Connect a creator: store the grant sealed, queue the first sync, print the model id."""
    order = _check(
        agency=agency,
        creator_uuid=creator_uuid,
        handle=handle,
        refresh_token=read_token(refresh_token, refresh_token_file),
        # One that has ended says nothing.
        access_token=None if expires_in == 0 else access_token,
        replace=replace,
    )
    settings = begin()
    who = (order.agency, order.creator_uuid)
    plan = wait_for(plan_connection(settings, "creator", *who, replace=replace))
    if not yes:
        ask_for_agency(order.agency, plan, quiet=as_json)
    connected = wait_for(_connect(settings, order))
    if as_json:
        print_json(connected)
        return
    say(connected["model_id"])
    word = "connected" if connected["created"] else "connected again"
    if connected["job_id"] is None:
        note(f"{word}: an operator paused the creator, who stays paused (ops.resume_model)")
        return
    note(f"{word}: the first sync is queued as job {connected['job_id']}")


def _check(  # noqa: PLR0913 - one parameter per option
    *,
    agency: str,
    creator_uuid: UUID,
    handle: str | None,
    refresh_token: Given,
    access_token: str | None,
    replace: bool,
) -> Order:
    """Collect everything that is wrong with the order before anything is written."""
    problems = [
        *name_problems("--agency", agency, "name the agency"),
        *token_problems(refresh_token.source, refresh_token.token),
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
        consent=Consent(
            str(creator_uuid),
            refresh_token.token,
            None if access_token is None else access_token.strip(),
        ),
        replace=replace,
    )


async def _connect(settings: Settings, order: Order) -> dict[str, Any]:
    keyring = Keyring(settings.sealing.keys)
    async with open_engine(settings) as engine:
        books = engine.books

        def accept(me: Me) -> None:
            refuse_other(
                me, order.creator_uuid, "name the creator whose it is; nothing was written"
            )
            if me.is_creator is False:
                raise Rejected(
                    "the account is no creator's: it can only manage creators",
                    remedy="fanvue-sync connect-agency --help says how to connect it",
                )

        async def store(pair: FreshPair, me: Me) -> tuple[Connection, int | None]:
            handle = me.handle or order.handle
            place = await books.grants.connect(
                order.agency, order.creator_uuid, handle, replace=order.replace
            )
            return place, await books.grants.store(
                place,
                keyring.seal(pair.access_token, place.model_id, ACCESS_COLUMN),
                keyring.seal(pair.refresh_token, place.model_id, REFRESH_COLUMN),
                pair.expires_in,
            )

        place, job_id = await use_consent(engine, keyring, order.consent, store, accept)
    return {
        "model_id": place.model_id,
        "agency_id": place.agency_id,
        "creator_uuid": order.creator_uuid,
        "created": place.created,
        "job_id": job_id,
    }
