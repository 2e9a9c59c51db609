"""Tries a consent before anything is written, and loses none: what connecting commands share.

A refresh token works once. It is used only when the database has agreed to everything else, and
whatever fails from then on, its successor is stored, or kept sealed in a file and told.
"""

from __future__ import annotations

import asyncio
import os
import sys
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from uuid import UUID

import typer

from worker.app import open_books
from worker.commands.refusals import remedy_of
from worker.commands.terminal import note, one_line
from worker.errors import (
    DatabaseUnavailable,
    GrantInvalid,
    Rejected,
    SyncError,
    Unauthorized,
    UsageError,
)
from worker.jobs.grants import REFRESH_COLUMN, FreshPair, Token
from worker.jobs.roster import Roster


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.app import Engine
    from worker.fanvue.wire import Me
    from worker.jobs.roster import TokenSource
    from worker.sealing import Keyring
    from worker.settings import Settings
    from worker.store.grants import Foreseen


# What a kept token is sealed for: no row.
KEPT: Final = "kept"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Consent:
    """The tokens of one account, as they were given."""

    account_uuid: str
    refresh_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What connecting would do, and the agency that may be meant where a new one would be made."""

    foreseen: Foreseen
    like: str | None


async def plan_connection(  # noqa: PLR0913 - what try_connecting asks for
    settings: Settings,
    kind: Literal["creator", "agency"],
    agency: str,
    account_uuid: str,
    *,
    replace: bool = False,
    fingerprint: str | None = None,
) -> Plan:
    """Find whatever the database would refuse; write nothing."""
    async with open_books(settings) as books:
        if _is_id(agency) and not await books.database.select("agencies", "id", id=agency):
            # It would become the name of a new one.
            raise UsageError(
                f"no agency has the id {agency}", remedy="give an agency's id, or a name"
            )
        foreseen = await books.grants.try_connecting(
            kind, agency, account_uuid, replace=replace, fingerprint=fingerprint
        )
        like = None
        if foreseen.new_agency and not foreseen.first_agency:
            known = {str(row["name"]) for row in await books.database.select("agencies", "name")}
            like = _like(agency, known)
        return Plan(foreseen, like)


def ask_for_agency(agency: str, plan: Plan, *, quiet: bool) -> None:
    """Ask before an agency is made: a slip in a name makes one that nobody wants.

    The very first agency is no slip of another. Outside the event loop, where Ctrl-C ends a
    question at once.
    """
    if not plan.foreseen.new_agency or plan.foreseen.first_agency:
        return
    name = one_line(agency)
    meant = "" if plan.like is None else f' Did you mean "{one_line(plan.like)}"?'
    if quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f'there is no agency "{name}" yet.{meant}'.rstrip("."),
            remedy="correct the name, or make the agency with --yes",
        )
    if not typer.confirm(f'There is no agency "{name}" yet.{meant} Make it?', err=True):
        raise typer.Abort


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _like(agency: str, known: set[str]) -> str | None:
    folded = {unicodedata.normalize("NFKC", name).casefold(): name for name in known}
    close = get_close_matches(
        unicodedata.normalize("NFKC", agency).casefold(), folded, n=1, cutoff=0.75
    )
    return folded[close[0]] if close else None


async def use_consent(
    engine: Engine,
    keyring: Keyring,
    consent: Consent,
    store: Callable[[FreshPair, Me], Awaitable[_T]],
    accept: Callable[[Me], None],
) -> _T:
    """Trade the refresh token, make sure whose it is, store the new pair; else write nothing.

    `accept` raises for an account that is not the one to connect.
    """
    if consent.access_token is not None:
        # It tells whose the consent is while nothing is used up, unless it ended meanwhile.
        with suppress(Unauthorized):
            accept(await _account(engine, consent, consent.access_token))
    task = asyncio.create_task(_trade(engine, keyring, consent, store, accept))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # Not even Ctrl-C loses a pair that Fanvue has issued.
        await asyncio.wait({task})
        error = task.exception()
        if isinstance(error, SyncError):
            note(error.operator_message)
        elif error is None:
            note("the grant was stored all the same")
        raise


async def _trade(
    engine: Engine,
    keyring: Keyring,
    consent: Consent,
    store: Callable[[FreshPair, Me], Awaitable[_T]],
    accept: Callable[[Me], None],
) -> _T:
    given = keyring.open(consent.refresh_token, KEPT, REFRESH_COLUMN).value
    try:
        pair = await engine.grants.exchange(given)
    except GrantInvalid as error:
        raise GrantInvalid(
            f"Fanvue refuses the refresh token ({error.message}); nothing was written",
            remedy="let the account consent again: a refresh token works only once",
        ) from error
    owner = consent.account_uuid
    try:
        me = await _account(engine, consent, pair.access_token)
        owner = str(me.uuid)
        accept(me)
        return await store(pair, me)
    except Exception as error:
        _keep(keyring, pair, owner, error)
        raise


def _keep(keyring: Keyring, pair: FreshPair, owner: str, error: Exception) -> None:
    """Keep the successor of the token that is used up; who reads the error learns where."""
    file = Path(f"fanvue-grant-{owner}.sealed")
    try:
        # Whoever may read the keys may open it, nobody else.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as kept:
            kept.write(keyring.seal(pair.refresh_token, KEPT, REFRESH_COLUMN) + "\n")
    except OSError as failure:
        where = (
            "the refresh token is used up, and its successor could not be kept "
            f"({failure.strerror}): let the account consent again"
        )
    else:
        # A lost answer may have been a yes, and a token that was used twice ends the grant.
        doubt = (
            "if fanvue-sync tokens status does not show it stored, "
            if isinstance(error, DatabaseUnavailable)
            else ""
        )
        where = (
            "the refresh token is used up, its successor is sealed in this folder: "
            f"{doubt}connect with --refresh-token-file {file}"
        )
    if isinstance(error, SyncError):
        error.remedy = f"{remedy_of(error)}; {where}"
    else:
        note(where)


async def _account(engine: Engine, consent: Consent, access_token: str) -> Me:
    return await Roster(engine.client, consent.account_uuid, _only(access_token)).account()


def _only(value: str) -> TokenSource:
    async def token(rejected: int | None) -> Token:
        if rejected is not None:
            raise Unauthorized("Fanvue refuses the access token")
        return Token(value, 0)

    return token


def refuse_other(me: Me, wanted: str, remedy: str) -> None:
    """Refuse an account that is not the one that was named."""
    if str(me.uuid) != wanted:
        name = f" (@{one_line(me.handle)})" if me.handle else ""
        raise Rejected(f"the grant is of account {me.uuid}{name}, not of {wanted}", remedy=remedy)
