"""`fanvue-sync connect-agency`: one grant of an agency's administrator, for all its creators.

The grant is proven to be the named account's before it replaces anything. Tokens are never printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
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
from worker.commands.terminal import AsJson, counted, note, print_json, print_table
from worker.errors import UsageError
from worker.jobs.roster import Roster
from worker.sealing import Keyring
from worker.store.agencies import AgencyStore, Attachment, Creator


if TYPE_CHECKING:
    from worker.app import Engine
    from worker.fanvue.wire import Me
    from worker.jobs.grants import FreshPair, Token
    from worker.settings import Settings
    from worker.store.agencies import AgencyConnection
    from worker.store.grants import Foreseen


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync connect-agency --agency "Nova Talent" --user-uuid UUID \\
      --refresh-token-file grant.txt
  fanvue-sync connect-agency --agency "Nova Talent" --user-uuid UUID \\
      --refresh-token "$REFRESH" --access-token "$ACCESS" --expires-in 3600 --include-self
Once connected, without a token: adds the creators whom the account manages by now.
  fanvue-sync connect-agency --agency "Nova Talent" --user-uuid UUID
  fanvue-sync connect-agency --agency "Nova Talent" --user-uuid UUID --creator UUID --replace
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to connect, checked."""

    agency: str
    user_uuid: str
    refresh_token: str | None = field(repr=False)
    access_token: str | None = field(repr=False)
    creators: frozenset[str]
    include_self: bool
    replace: bool

    @property
    def fingerprint(self) -> str | None:
        """Name the consent without its token."""
        token = self.refresh_token
        return None if token is None else sha256(token.encode()).hexdigest()


def connect_agency(  # noqa: PLR0913 - one parameter per option
    *,
    agency: Annotated[
        str, typer.Option(help="Name or id of the agency; asks before it makes a new one.")
    ],
    user_uuid: Annotated[UUID, typer.Option(help="The administrator account's UUID on Fanvue.")],
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
    creator: Annotated[
        list[UUID] | None,
        typer.Option(metavar="UUID", help="Only this creator; may be given several times."),
    ] = None,
    include_self: Annotated[
        bool, typer.Option("--include-self", help="The account itself too, if it is a creator.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Also creators who have a working grant of their own."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Make the agency if there is none, without asking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Connect an agency: store its grant sealed and add every creator whom it manages."""
    given = refresh_token is not None or refresh_token_file is not None
    order = _check(
        agency=agency,
        user_uuid=user_uuid,
        refresh_token=read_token(refresh_token, refresh_token_file) if given else None,
        # One that has ended says nothing.
        access_token=None if expires_in == 0 else access_token,
        creators=creator or [],
        include_self=include_self,
        replace=replace,
    )
    settings = begin()
    who = (order.agency, order.user_uuid)
    plan = wait_for(plan_connection(settings, "agency", *who, fingerprint=order.fingerprint))
    if not yes:
        ask_for_agency(order.agency, plan, quiet=as_json)
    result = wait_for(_connect(settings, order, plan.foreseen))
    if as_json:
        print_json(result)
    else:
        _show(result)
    if any(one["outcome"] == "refused" for one in result["creators"]):
        raise typer.Exit(1)


def _check(  # noqa: PLR0913 - one parameter per option
    *,
    agency: str,
    user_uuid: UUID,
    refresh_token: Given | None,
    access_token: str | None,
    creators: list[UUID],
    include_self: bool,
    replace: bool,
) -> Order:
    """Collect everything that is wrong with the order before anything is written."""
    problems = name_problems("--agency", agency, "name the agency")
    if refresh_token is not None:
        problems += token_problems(refresh_token.source, refresh_token.token)
    if access_token is not None:
        problems += token_problems("--access-token", access_token)
        if refresh_token is None:
            problems.append("--access-token stands alone; give the refresh token too")
    raise_all(problems)
    return Order(
        agency=agency.strip(),
        user_uuid=str(user_uuid),
        refresh_token=None if refresh_token is None else refresh_token.token,
        access_token=None if access_token is None else access_token.strip(),
        creators=frozenset(str(one) for one in creators),
        include_self=include_self,
        replace=replace,
    )


def _show(result: dict[str, Any]) -> None:
    word = "stored" if result["stored"] else "unchanged"
    woken = counted(result["mended"], "creator")
    note(f"connection {result['connection_id']}: grant {word}, {woken} woken")
    if not result["creators"]:
        note("Fanvue lists no creators for this account: is it the agency's administrator?")
        return
    print_table(
        ("creator", "outcome", "note"),
        [
            (
                one["handle"] or one["creator_uuid"],
                one["outcome"],
                one["message"] or _remark(one),
            )
            for one in result["creators"]
        ],
        shrink=("creator",),
        wrap="note",
    )


def _remark(one: dict[str, Any]) -> str:
    if one["job_id"] is not None:
        return f"the first sync is queued as job {one['job_id']}"
    if one["outcome"] == "kept":
        return "has a grant of their own; --replace moves them to the agency's"
    return "" if one["status"] == "active" else f"the model is {one['status']}"


async def _connect(settings: Settings, order: Order, foreseen: Foreseen) -> dict[str, Any]:
    async with open_engine(settings) as engine:
        store = AgencyStore(engine.books.database)
        mended = 0
        if stored := order.refresh_token is not None and not foreseen.repeated:
            mended = await _store_consent(engine, Keyring(settings.sealing.keys), store, order)
        place = await store.connect(order.agency, order.user_uuid, order.fingerprint)
        if place.status != "active":
            raise UsageError(
                f"the grant of account {order.user_uuid} is dead",
                remedy="let the administrator consent again and give the new refresh token",
            )

        async def token(rejected: int | None) -> Token:
            grant_id = place.connection_id
            return await engine.grants.token(grant_id, grant_id=grant_id, rejected=rejected)

        attached = await _attach(store, place, order, Roster(engine.client, order.user_uuid, token))
    return {
        "connection_id": place.connection_id,
        "agency_id": place.agency_id,
        "user_uuid": order.user_uuid,
        "created": foreseen.new_account,
        "stored": stored,
        "mended": mended,
        "creators": [_as_json(one) for one in attached],
    }


async def _store_consent(engine: Engine, keyring: Keyring, store: AgencyStore, order: Order) -> int:
    """Prove whose the new grant is, then store it; what was stored before stands until then."""
    consent = Consent(order.user_uuid, str(order.refresh_token), order.access_token)

    def accept(me: Me) -> None:
        refuse_other(
            me,
            order.user_uuid,
            "let the administrator consent, signed in as the account you name",
        )

    async def put(pair: FreshPair, me: Me) -> int:
        place = await store.connect(order.agency, order.user_uuid, order.fingerprint)
        access, refresh = engine.grants.sealed(
            place.connection_id, (pair.access_token, pair.refresh_token)
        )
        return await store.store(
            place,
            access_token=access,
            refresh_token=str(refresh),
            expires_in=pair.expires_in,
            fingerprint=str(order.fingerprint),
            handle=me.handle,
        )

    return await use_consent(engine, keyring, consent, put, accept)


async def _attach(
    store: AgencyStore, place: AgencyConnection, order: Order, roster: Roster
) -> list[Attachment]:
    listed = {one.uuid: one for one in await roster.creators()}
    # Its own data is not to be had as a creator's of its own.
    listed.pop(order.user_uuid, None)
    wanted = [one for one in listed.values() if not order.creators or one.uuid in order.creators]
    refused = [
        Attachment(uuid, None, "refused", message="Fanvue does not list them for this account")
        for uuid in sorted(order.creators - listed.keys() - {order.user_uuid})
    ]
    if order.include_self or order.user_uuid in order.creators:
        me = await roster.account()
        if me.is_creator:
            wanted.append(Creator(order.user_uuid, me.handle, me.display_name))
        else:
            no = "the account itself is no creator"
            refused.append(Attachment(order.user_uuid, me.handle, "refused", message=no))
    return await store.attach(place.connection_id, wanted, replace=order.replace) + refused


def _as_json(one: Attachment) -> dict[str, Any]:
    return {
        "creator_uuid": one.creator_uuid,
        "handle": one.handle,
        "model_id": one.model_id,
        "outcome": one.outcome,
        "status": one.status,
        "job_id": one.job_id,
        "message": one.message,
    }
