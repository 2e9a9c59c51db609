"""Run the tests of the whole system, of Realtime and of the dashboard on an external stack.

The official local stack (`supabase start`) or whatever else fills the names in
tests/support/stack.py. The tests empty it, so one that holds agencies, users or cached values is
refused first. `make test-hosted` runs this; CONTRIBUTING.md tells how to fill the file.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import httpx
import psycopg
import typer

from local.environment import read_env_file
from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.server import bind, running
from simulator.webhooks.signature import signature
from simulator.webhooks.targets import ALLOWED_HOST
from simulator.world import World
from tests.support.connect_stage import CLIENT, function_secrets
from tests.support.engine import Engine, forget
from tests.support.postgres import MIGRATIONS, PROJECT
from tests.support.stack import VARIABLE, fanvue_place, missing_names
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


FANVUE_PORT = 54400
UPSTASH_PORT = 8079
LONGEST_ANSWER = 200
SUITES = ("tests/system", "tests/realtime", "tests/browser")
CALLBACK = "/functions/v1/fanvue-connect/callback"
# As deploy/compose.yml runs it.
CONTAINER = (
    *("docker", "run", "--rm", "--init", "--network=host", "--read-only", "--tmpfs=/tmp"),
    *("--cap-drop=ALL", "--security-opt=no-new-privileges:true"),
)
EXAMPLES = """
Examples:

  .venv/bin/python -m tests.hosted secrets --host-address 172.17.0.1

  .venv/bin/python -m tests.hosted run .env.hosted

  .venv/bin/python -m tests.hosted run .env.hosted -- tests/browser -k sales

  .venv/bin/python -m tests.hosted image .env.hosted fanvue-sync-engine
"""

Settings = Annotated[Path, typer.Argument(help="The file with the stack's settings.")]
Empty = Annotated[bool, typer.Option("--empty", help="Go on although the stack holds something.")]
cli = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, epilog=EXAMPLES
)


@cli.command("secrets")
def print_secrets(
    host_address: Annotated[
        str, typer.Option(help="This machine's address as the functions see it.")
    ] = "127.0.0.1",
    url: Annotated[
        str, typer.Option(help="The stack's address as a browser sees it.")
    ] = "http://127.0.0.1:54321",
) -> None:
    """Print new settings for the functions, which the tests read as well."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    fanvue = f"http://{host_address}:{FANVUE_PORT}"
    values = {
        **function_secrets(f"hosted-1:{key}"),
        "FANVUE_API_URL": fanvue,
        "FANVUE_AUTH_URL": fanvue,
        "FANVUE_REDIRECT_URI": url + CALLBACK,
        "FANVUE_WEBHOOK_SECRETS": f"whsec_{secrets.token_urlsafe(24)}",
        "UPSTASH_REDIS_REST_URL": f"http://{host_address}:{UPSTASH_PORT}",
        "UPSTASH_REDIS_REST_TOKEN": secrets.token_urlsafe(24),
    }
    for name in sorted(values):
        typer.echo(f"{name}={values[name]}")


@cli.command("run")
def run_tests(
    settings: Settings,
    pytest_words: Annotated[list[str] | None, typer.Argument(help="Passed on to pytest.")] = None,
    *,
    empty: Empty = False,
) -> None:
    """Look whether the stack is ready and may be emptied; then run the tests on it."""
    values = _checked(settings, empty=empty)
    os.environ[VARIABLE] = str(settings.resolve())
    os.environ[ALLOWED_HOST] = urlsplit(values["SUPABASE_URL"]).hostname or ""
    chosen = pytest_words or []
    if not any((PROJECT / word.partition("::")[0]).exists() for word in chosen):
        chosen = [*chosen, *SUITES]
    sys.stdout.flush()
    os.chdir(PROJECT)
    # One process: there is one stack.
    words = [sys.executable, "-m", "pytest", "-m", "system or browser", *chosen]
    os.execv(sys.executable, words)  # noqa: S606 - our own words


@cli.command("image")
def run_image(
    settings: Settings,
    name: Annotated[str, typer.Argument(help="The worker's image, as built.")],
    *,
    empty: Empty = False,
) -> None:
    """Let the worker in its image read a creator's history, and compare the books."""
    values = _checked(settings, empty=empty)
    world = World(SimulatedClock())
    populate(world, agencies=1, models=0, transactions=0)
    with (
        running(world) as fanvue,
        SimulatorControl(fanvue.url) as control,
        psycopg.connect(values["SUPABASE_DB_URL"], autocommit=True) as database,
    ):
        addresses = {"FANVUE_API_URL": fanvue.url, "FANVUE_AUTH_URL": fanvue.url}
        engine = Engine({**values, **addresses, **CLIENT}, control, database)
        forget(database)
        creator = engine.creator(500)
        given = [f"--env={variable}" for variable in sorted(engine.environment)]
        subprocess.run(
            [*CONTAINER, *given, name, "run", "--drain"],
            env={**os.environ, **engine.environment},
            check=True,
        )
        engine.assert_exact(creator)
        typer.echo(f"{name}: {engine.ledger(creator).count} rows, exact to the cent")
        forget(database)


def _checked(settings: Path, *, empty: bool) -> dict[str, str]:
    """Return the settings of a stack that is ready and may be emptied, or end with what is not."""
    values = read_env_file(settings)
    problems = list(problems_of(values, empty=empty))
    for problem in problems:
        typer.echo(f"{settings}: {problem}", err=True)
    if problems:
        raise typer.Exit(2)
    return values


def problems_of(values: Mapping[str, str], *, empty: bool) -> Iterator[str]:
    """Yield what keeps the tests from running there, each with its next step."""
    if missing := missing_names(values):
        yield f"it does not say {', '.join(missing)} (CONTRIBUTING.md, An external stack)"
        return
    yield from _database(values["SUPABASE_DB_URL"], empty=empty)
    yield from _servers(values)
    if not empty:
        yield from _cache(values)
    yield from _fanvue(values)


def _database(url: str, *, empty: bool) -> Iterator[str]:
    newest = max(path.name for path in MIGRATIONS.glob("*_*.sql")).partition("_")[0]
    push = "npx --no-install supabase db push --remote=<the value of SUPABASE_DB_URL>"
    try:
        with psycopg.connect(url) as database:
            applied = database.execute(
                "select max(version) from supabase_migrations.schema_migrations"
            ).fetchone()
            if applied is None or applied[0] != newest:
                yield f"the stack's migrations do not end with {newest}: run {push}"
                return
            held = database.execute(
                "select (select count(*) from public.agencies), (select count(*) from auth.users)"
            ).fetchone()
            if held is not None and any(held) and not empty:
                yield (
                    f"the stack holds {held[0]} agencies and {held[1]} users, and the tests empty "
                    "it: use another, or say --empty"
                )
    except psycopg.errors.UndefinedTable:
        yield f"the stack has none of the migrations: run {push}"
    except psycopg.Error as error:
        yield f"SUPABASE_DB_URL cannot be reached: {error}"


def _servers(values: Mapping[str, str]) -> Iterator[str]:
    """Ask each server one question whose answer only the right key gives."""
    functions = f"{values['SUPABASE_URL']}/functions/v1"
    stranger = {"authorization": f"Bearer {values['SUPABASE_PUBLISHABLE_KEY']}"}
    raw = b"[]"
    secret = values["FANVUE_WEBHOOK_SECRETS"].partition(",")[0]
    # Signed well, it is refused for what it says: nothing is kept of it.
    delivery = {"x-fanvue-signature": signature([secret], int(time.time()), raw)}
    service = {"apikey": values["SUPABASE_SECRET_KEY"]}
    rest = f"{values['SUPABASE_URL']}/rest/v1/agencies?limit=0"
    cache = values["UPSTASH_REDIS_REST_URL"]
    token = {"authorization": f"Bearer {values['UPSTASH_REDIS_REST_TOKEN']}"}
    questions: list[tuple[str, int, str, str, dict[str, Any]]] = [
        ("SUPABASE_URL or SUPABASE_SECRET_KEY", 200, "GET", rest, {"headers": service}),
        (
            "function dashboard-stats",
            401,
            "GET",
            f"{functions}/dashboard-stats",
            {"headers": stranger},
        ),
        (
            "function fanvue-connect",
            401,
            "GET",
            f"{functions}/fanvue-connect/start",
            {"headers": stranger},
        ),
        (
            "function fanvue-webhook or its FANVUE_WEBHOOK_SECRETS",
            400,
            "POST",
            f"{functions}/fanvue-webhook",
            {"headers": delivery, "content": raw},
        ),
        (
            "UPSTASH_REDIS_REST_URL or UPSTASH_REDIS_REST_TOKEN",
            200,
            "POST",
            cache,
            {"headers": token, "json": ["PING"]},
        ),
    ]
    for what, expected, method, url, more in questions:
        try:
            answer = httpx.request(method, url, timeout=PATIENCE_SECONDS, **more)
        except httpx.HTTPError as error:
            yield f"{what}: no answer from {url}: {error}"
            continue
        if answer.status_code != expected:
            said = answer.text[:LONGEST_ANSWER]
            yield f"{what}: answered {answer.status_code} instead of {expected}: {said}"


def _cache(values: Mapping[str, str]) -> Iterator[str]:
    token = {"authorization": f"Bearer {values['UPSTASH_REDIS_REST_TOKEN']}"}
    url = values["UPSTASH_REDIS_REST_URL"]
    try:
        answer = httpx.post(url, headers=token, json=["DBSIZE"], timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
    except httpx.HTTPError:
        # Told already, by whoever asked it before.
        return
    if answer.json()["result"]:
        yield "the cache holds values, and the tests empty it: use another, or say --empty"


def _fanvue(values: Mapping[str, str]) -> Iterator[str]:
    """The simulated Fanvue stands where the functions look for it."""
    url = values["FANVUE_API_URL"]
    if values["FANVUE_AUTH_URL"] != url:
        yield "FANVUE_AUTH_URL differs from FANVUE_API_URL: one simulated Fanvue serves both"
    host, port = fanvue_place(values)
    try:
        bind(port, host).close()
    except OSError as error:
        yield (
            f"no Fanvue can be served at FANVUE_API_URL={url}: {error}; if it leads here through "
            "a tunnel, FANVUE_LISTEN says where the tunnel ends (127.0.0.1:54400)"
        )


if __name__ == "__main__":
    cli()
