"""Command line: serve a seeded simulated Fanvue until Ctrl-C.

Parses options and prints where to find it; everything else is elsewhere.
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotation at run time
from typing import Annotated

import typer

from simulator.app import create_app
from simulator.clock import SimulatedClock
from simulator.knob_list import knob_lines, set_knobs
from simulator.knobs import KnobBook, Knobs
from simulator.oauth.consents import Client
from simulator.population import populate
from simulator.server import LOOPBACK, bind, make_server
from simulator.simulation import DEFAULT_CLIENT
from simulator.webhooks.targets import ALLOWED_HOST, Target, is_allowed
from simulator.world import World
from simulator.world_file import load_world


DEFAULT_WEBHOOK_SECRET = "simulator-webhook-secret"  # noqa: S105 - made up, told to everybody
EXAMPLES = """
Examples:

  python -m simulator

  python -m simulator --port 54400 --seed 7 --agencies 3 --models 12 --transactions 200

  python -m simulator --world world.json --rate-limit 200 --json

  python -m simulator --webhook-url http://127.0.0.1:54321/functions/v1/fanvue-webhook

  python -m simulator --knob validators=both --knob 'list_share={"/followers": 0.5}'

  python -m simulator --list-knobs
"""

cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@cli.command(epilog=EXAMPLES)
def serve(  # noqa: PLR0913 - one parameter per option
    *,
    port: Annotated[int, typer.Option(help="Loopback port; 0 takes a free one.")] = 54400,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal worlds.")] = 7,
    agencies: Annotated[int, typer.Option(min=1, help="Agencies in the world.")] = 3,
    models: Annotated[int, typer.Option(min=0, help="Creators, dealt in turn.")] = 12,
    transactions: Annotated[int, typer.Option(min=0, help="Transactions per creator.")] = 120,
    fans: Annotated[int, typer.Option(min=0, help="Fans per creator.")] = 25,
    days: Annotated[int, typer.Option(min=1, help="Days of history.")] = 60,
    world: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON description of a world.")
    ] = None,
    rate_limit: Annotated[int, typer.Option(min=1, help="Calls per window and bucket.")] = 100,
    client_id: Annotated[str, typer.Option(help="OAuth client.")] = DEFAULT_CLIENT.client_id,
    client_secret: Annotated[str, typer.Option(help="Its secret.")] = DEFAULT_CLIENT.client_secret,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option(help="Registered redirect; repeatable; none: any loopback address."),
    ] = None,
    webhook_url: Annotated[str, typer.Option(help="Loopback address that gets all events.")] = "",
    webhook_secret: Annotated[str, typer.Option(help="Signs them.")] = DEFAULT_WEBHOOK_SECRET,
    knob: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, the value as JSON; repeatable.")
    ] = None,
    list_knobs: Annotated[bool, typer.Option(help="Print every knob and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Serve a simulated Fanvue (API, OAuth and /_sim control) on a loopback address."""
    if list_knobs:
        typer.echo("\n".join(knob_lines()))
        return
    clock = SimulatedClock()
    place = World(clock, seed)
    knobs = KnobBook(Knobs(rate_limit=rate_limit))
    try:
        set_knobs(knobs, knob or [])
    except ValueError as error:
        typer.echo(f"--knob: {error}", err=True)
        raise typer.Exit(2) from error
    if world is None:
        populate(
            place, agencies=agencies, models=models, transactions=transactions, fans=fans, days=days
        )
    else:
        try:
            load_world(world, place, knobs)
        except (KeyError, ValueError) as error:
            typer.echo(f"{world}: {error}", err=True)
            raise typer.Exit(2) from error
    client = Client(client_id, client_secret, tuple(redirect_uri or ()))
    app = create_app(place, clock, knobs, client)
    newsroom = app.state.simulation.newsroom
    if webhook_url:
        if not is_allowed(webhook_url):
            typer.echo(f"--webhook-url must be a loopback address or at ${ALLOWED_HOST}", err=True)
            raise typer.Exit(2)
        newsroom.targets.configured = Target(webhook_url, webhook_secret)
    try:
        listener = bind(port)
    except OSError as error:
        typer.echo(f"port {port} on {LOOPBACK} is not free: choose another --port", err=True)
        raise typer.Exit(2) from error
    _announce(place, client, f"http://{LOOPBACK}:{listener.getsockname()[1]}", as_json=as_json)
    server = make_server(app, newsroom.courier)

    with listener:
        server.run(sockets=[listener])
    if not as_json:
        typer.echo("stopped")


def _announce(world: World, client: Client, url: str, *, as_json: bool) -> None:
    count = sum(len(creator.ledger) for creator in world.creators.values())
    facts = {
        "url": url,
        "client_id": client.client_id,
        "seed": world.seed,
        "agencies": len(world.agencies),
        "creators": len(world.creators),
        "transactions": count,
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"Simulated Fanvue: {url}  (control: {url}/_sim/world)")
    typer.echo(
        f"{facts['agencies']} agencies, {facts['creators']} creators, {count} transactions, "
        f"seed {world.seed}, client {client.client_id}. Ctrl-C stops."
    )


if __name__ == "__main__":
    cli()
