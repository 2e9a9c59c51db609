"""`fanvue-sync webhooks`: lets Fanvue announce what happens, over its API, and sees that it does.

A subscription is one creator's and has a secret of its own, which is kept sealed in the database
and read there by the webhook function. A webhook that was added by hand in Fanvue's dashboard has
its secret in FANVUE_WEBHOOK_SECRETS instead; both ways work side by side.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_books, open_engine
from worker.clock import SystemClock
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, note, print_json, print_table
from worker.commands.webhook_check import function_address, open_test_http, send_test, signers
from worker.commands.webhook_desk import Desk, NotForThisCreator, Outcome
from worker.errors import Misconfigured, SyncError, UsageError
from worker.store.webhooks import WebhookStore


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.commands.webhook_check import Signer
    from worker.settings import Settings
    from worker.store.overview import OverviewStore
    from worker.store.webhooks import WebhookCreator


LIST_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync webhooks list
  fanvue-sync webhooks list nova --json
"""
REGISTER_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync webhooks register nova
  fanvue-sync webhooks register --all
  fanvue-sync webhooks register --all --no-messages
"""
TEST_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync webhooks test
  fanvue-sync webhooks test nova --json
"""
ROTATE_EXAMPLES: Final = """
\b
Example:
  fanvue-sync webhooks rotate nova
"""
DELETE_EXAMPLES: Final = """
\b
Example:
  fanvue-sync webhooks delete nova --yes
"""
AT_ONCE: Final = 4

Creators = Annotated[
    list[str] | None,
    typer.Argument(metavar="CREATOR", help="Handles, names, model ids or Fanvue's uuids."),
]
Every = Annotated[bool, typer.Option("--all", help="Every active creator.")]
Url = Annotated[
    str | None,
    typer.Option(help="Where Fanvue delivers, if it is not this project's fanvue-webhook."),
]


def list_webhooks(names: Creators = None, *, as_json: AsJson = False) -> None:
    """List webhooks, as stored here and as Fanvue has them."""
    outcomes = wait_for(_for_each(begin(), names or None, Desk.look))
    _show(outcomes, as_json=as_json)


def register(
    names: Creators = None,
    *,
    every: Every = False,
    messages: Annotated[
        bool | None,
        typer.Option(
            "--messages/--no-messages",
            help="Announce messages as well, each by a call of the function, as at first; or leave "
            "them to polls, which find them within five minutes, within half an hour after two "
            "quiet hours. Not said: as it was chosen.",
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let Fanvue announce what happens.

    Subscribes the webhook function to every topic that the creator's scopes allow, and keeps the
    subscription's secret sealed in the database. Run again, it changes nothing.
    """
    wanted = _named(names, "fanvue-sync webhooks register --all", every=every)

    def act(desk: Desk, creator: WebhookCreator) -> Awaitable[Outcome]:
        return desk.register(creator, messages=messages)

    _show(wait_for(_for_each(begin(), wanted, act, url)), as_json=as_json)


def rotate(names: Creators = None, *, every: Every = False, as_json: AsJson = False) -> None:
    """Replace webhooks and their secrets.

    Both secrets are accepted while deliveries are under way: none is lost.
    """
    wanted = _named(names, "fanvue-sync webhooks rotate --all", every=every)
    _show(wait_for(_for_each(begin(), wanted, Desk.rotate)), as_json=as_json)


def delete(
    names: Creators = None,
    *,
    every: Every = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete webhooks at Fanvue.

    What happens is found by polls from then on.
    """
    wanted = _named(names, "fanvue-sync webhooks delete --all", every=every)
    if not yes:
        words = "all webhooks" if every else f"the webhooks of {', '.join(wanted or ())}"
        if not sys.stdin.isatty():
            again = shlex.join(["--all"] if every else wanted or ())
            raise UsageError(
                f"deleting {words} needs a yes", remedy=f"fanvue-sync webhooks delete {again} --yes"
            )
        typer.confirm(f"delete {words} at Fanvue?", abort=True, err=True)
    _show(wait_for(_for_each(begin(), wanted, Desk.delete)), as_json=as_json)


def send_tests(names: Creators = None, *, url: Url = None, as_json: AsJson = False) -> None:
    """Send a signed test event and see it arrive.

    Goes through the real webhook function, once for each secret. Leaves no trace.
    """
    address, tested = wait_for(_test(begin({"supabase"}), names, url))
    failed = [one for one in tested if one.problem is not None]
    if as_json:
        tests = [one.as_json() for one in tested]
        print_json({"url": address, "arrived": not failed, "tests": tests})
    else:
        print_table(
            ("signed by", "", "note"),
            [
                (
                    one.signed_by,
                    "arrived" if one.problem is None else "failed",
                    "" if one.problem is None else f"{one.problem}; {one.remedy}",
                )
                for one in tested
            ],
        )
    if failed:
        raise typer.Exit(1)


def _named(names: list[str] | None, for_all: str, *, every: bool) -> list[str] | None:
    if bool(names) == every:
        raise UsageError("name the creators, or ask for all of them", remedy=for_all)
    return names


def _show(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    errors = [one.error for one in outcomes if one.error is not None]
    if errors and len(errors) == len(outcomes) and len({str(one) for one in errors}) == 1:
        # One cause is one line, however many creators it keeps waiting.
        raise errors[0]
    if as_json:
        print_json([one.as_json() for one in outcomes])
    elif not outcomes:
        note("no creators are connected; fanvue-sync connect --help says how to connect one")
    else:
        print_table(
            ("creator", "webhook", "events", "note"),
            [
                (
                    one.creator.name,
                    one.word,
                    len(one.events) or "",
                    one.text if one.error is None else one.error.operator_message,
                )
                for one in outcomes
            ],
        )
    if any(one.error is not None for one in outcomes):
        raise typer.Exit(1)


async def _choose(
    overview: OverviewStore, creators: Sequence[WebhookCreator], names: Sequence[str]
) -> list[WebhookCreator]:
    wanted = {(await overview.find_model(name))["model_id"] for name in names}
    return [one for one in creators if one.model_id in wanted]


async def _for_each(
    settings: Settings,
    names: list[str] | None,
    act: Callable[[Desk, WebhookCreator], Awaitable[Outcome]],
    url: str | None = None,
) -> list[Outcome]:
    """Do something for the named creators, or all; one that fails stops no other."""
    slots = asyncio.Semaphore(AT_ONCE)
    async with open_engine(settings) as engine, open_test_http() as http:
        desk = Desk(settings, engine, http, url or function_address(settings))
        creators = await desk.store.creators()

        async def one(creator: WebhookCreator) -> Outcome:
            async with slots:
                try:
                    return await act(desk, creator)
                except NotForThisCreator as error:
                    # Where all were asked for that is no failure.
                    if names is None:
                        return Outcome(creator, "skipped", text=error.message)
                    return Outcome(creator, "refused", error=error)
                except SyncError as error:
                    return Outcome(creator, "failed", error=error)

        if names is not None:
            creators = await _choose(engine.books.overview, creators, names)
        return list(await asyncio.gather(*map(one, creators)))


async def _test(
    settings: Settings, names: list[str] | None, url: str | None
) -> tuple[str, list[Any]]:
    address = url or function_address(settings)
    async with open_books(settings) as books, open_test_http() as http:
        store = WebhookStore(books.database)
        creators = await store.creators()
        if names:
            creators = await _choose(books.overview, creators, names)
        known = signers(settings, creators, with_settings=not names)
        if not known:
            raise Misconfigured(
                "there is no secret to sign a test event with",
                remedy="set FANVUE_WEBHOOK_SECRETS, or run fanvue-sync webhooks register --all",
            )
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(signer: Signer) -> Any:
            async with slots:
                return await send_test(http, address, signer, store, SystemClock())

        return address, list(await asyncio.gather(*map(one, known)))
