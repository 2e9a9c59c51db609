"""`fanvue-sync tokens status|refresh`: the grants, without ever showing one.

Re-sealing is in `rotation`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_books, open_engine
from worker.clock import SystemClock
from worker.commands.refusals import remedy_of
from worker.commands.session import begin, wait_for
from worker.commands.terminal import (
    SHORT_ID,
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
from worker.errors import SyncError, UsageError
from worker.sealing import PREFIX, is_sealed


if TYPE_CHECKING:
    from worker.app import Engine
    from worker.settings import Settings


STATUS_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync tokens status
  fanvue-sync tokens status --json
"""
REFRESH_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync tokens refresh nova
  fanvue-sync tokens refresh --all
"""
COLUMNS: Final = ("account", "agency", "serves", "status", "key", "expires", "refreshed")
_STATUS: Final = {"reauth_required": "must connect"}
AT_ONCE: Final = 4
PLAIN: Final = "plain text"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How one refresh went; `error` is None when it went well."""

    grant_id: str
    model_id: str | None
    handle: str | None
    version: int | None
    error: SyncError | None

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        error = None if self.error is None else self.error.describe()
        return {
            "grant_id": self.grant_id,
            "model_id": self.model_id,
            "version": self.version,
            "error": error,
        }


def status(*, as_json: AsJson = False) -> None:
    """Show every grant: whose, which key seals it, when it expires, how refreshes went."""
    grants = wait_for(_read(begin({"supabase"})))
    shown = sorted(map(_without_tokens, grants), key=lambda grant: (grant["agency"], _name(grant)))
    if as_json:
        print_json(shown)
        return
    if not shown:
        say("no grants yet; fanvue-sync connect --help says how to connect a creator")
        return
    now = SystemClock().now()
    print_table(
        COLUMNS,
        [
            (
                _name(grant),
                grant["agency"],
                _serves(grant),
                _STATUS.get(grant["status"], grant["status"]),
                ", ".join(grant["sealed_by"]),
                "unknown" if grant["expires_at"] is None else ago(grant["expires_at"], now),
                ago(grant["last_refreshed_at"], now),
            )
            for grant in shown
        ],
        shrink=("account", "agency", "key"),
    )
    for grant in shown:
        if why := grant["last_error"] or grant["status_reason"]:
            say(f"  - {one_line(_name(grant))}: {error_text(why)}")


def refresh(
    grant_ids: Annotated[
        list[str] | None,
        typer.Argument(help="Accounts by handle or id, as `tokens status` lists them."),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every grant in use.")] = False,
    as_json: AsJson = False,
) -> None:
    """Refresh grants now, single-flight with all workers; exits 1 if one fails."""
    if bool(grant_ids) == every:
        raise UsageError("name the grants to refresh", remedy="give their ids, or --all")
    wanted = None if every else grant_ids
    results = wait_for(_refresh(begin(), wanted))
    if as_json:
        print_json([result.as_json() for result in results])
    else:
        for result in results:
            name = one_line(result.handle or result.grant_id)
            if result.error is None:
                say(f"{name}: refreshed, version {result.version}")
            else:
                say(f"{name}: {result.error.message}; {remedy_of(result.error)}")
    if any(result.error is not None for result in results):
        raise typer.Exit(1)


async def _read(settings: Settings) -> list[dict[str, Any]]:
    async with open_books(settings) as books:
        return await books.grants.stored()


def _without_tokens(grant: dict[str, Any]) -> dict[str, Any]:
    """Return what may be shown of a grant: named field by field, so that nothing slips through."""
    stored = [grant["access_token"], grant["refresh_token"]]
    keys = {_key_of(token) for token in stored if token is not None}
    return {
        "grant_id": grant["grant_id"],
        "model_id": grant["model_id"],
        "connection_id": grant["connection_id"],
        "creators": grant["creators"],
        "agency": grant["agency"],
        "handle": grant["handle"],
        "status": grant["status"],
        "status_reason": grant["status_reason"],
        "sealed_by": sorted(keys),
        "expires_at": grant["expires_at"],
        "version": grant["version"],
        "last_refreshed_at": grant["last_refreshed_at"],
        "failures": grant["failures"] or 0,
        "last_error": grant["last_error"],
    }


def _serves(grant: dict[str, Any]) -> str:
    if grant["connection_id"] is not None:
        return counted(grant["creators"], "creator")
    # A creator whom the agency's grant reads keeps a grant that nobody uses.
    return "itself" if grant["creators"] else "nobody"


def _name(grant: dict[str, Any]) -> str:
    return str(grant["handle"] or short_id(str(grant["grant_id"])))


def _key_of(stored: str) -> str:
    return stored.removeprefix(PREFIX).partition(".")[0] if is_sealed(stored) else PLAIN


def _choose(grants: list[dict[str, Any]], wanted: list[str]) -> list[dict[str, Any]]:
    """Return the grants that a person means, each once."""
    chosen: dict[str, dict[str, Any]] = {}
    for word in wanted:
        who = word.strip().removeprefix("@").lower()
        found = [one for one in grants if who in (one["grant_id"], str(one["handle"]).lower())]
        if not found and len(who) >= SHORT_ID:
            found = [one for one in grants if str(one["grant_id"]).startswith(who)]
        if not found:
            raise UsageError(
                f"no grant of {one_line(word)} is in use",
                remedy="fanvue-sync tokens status lists them",
            )
        if len(found) > 1:
            ids = ", ".join(f"{one['grant_id']} ({one_line(one['agency'])})" for one in found)
            raise UsageError(
                f"{len(found)} grants are called {one_line(word)}",
                remedy=f"give one of their ids: {ids}",
            )
        chosen[str(found[0]["grant_id"])] = found[0]
    return list(chosen.values())


async def _refresh(settings: Settings, wanted: list[str] | None) -> list[Refreshed]:
    async with open_engine(settings) as engine:
        stored = await engine.books.grants.stored()
        grants = [grant for grant in stored if grant["in_use"]]
        if wanted is None:
            chosen = [grant for grant in grants if grant["status"] == "active"]
        else:
            chosen = _choose(grants, wanted)
        slots = asyncio.Semaphore(AT_ONCE)
        return list(await asyncio.gather(*(_refresh_one(engine, one, slots) for one in chosen)))


async def _refresh_one(
    engine: Engine, grant: dict[str, Any], slots: asyncio.Semaphore
) -> Refreshed:
    grant_id, model_id, handle = str(grant["grant_id"]), grant["model_id"], grant["handle"]
    async with slots:
        try:
            # Calling the stored version refused is how a refresh is forced.
            token = await engine.grants.token(
                grant_id, grant_id=grant_id, rejected=int(grant["version"])
            )
        except SyncError as error:
            return Refreshed(grant_id, model_id, handle, None, error)
    return Refreshed(grant_id, model_id, handle, token.version, None)
