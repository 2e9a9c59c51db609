"""Run the system's, Realtime's and the browser's tests on a stack that was started elsewhere.

The official local stack (`supabase start`) or a linked throw-away project: whatever fills the names
in tests/support/stack.py. The tests empty it, so a project that holds anything is refused first.
`make test-hosted` runs this; CONTRIBUTING.md tells how to fill the file.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
import time
from pathlib import Path  # noqa: TC003 - typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import httpx
import psycopg
import typer

from local.environment import read_env_file
from simulator.server import bind
from simulator.webhooks.signature import signature
from simulator.webhooks.targets import ALLOWED_HOST
from tests.support.connect_stage import function_secrets
from tests.support.postgres import MIGRATIONS, PROJECT
from tests.support.stack import VARIABLE, missing_names


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


FANVUE_PORT = 54400
UPSTASH_PORT = 8079
ANSWER_SECONDS = 30
LONGEST_ANSWER = 200
SUITES = ("tests/system", "tests/realtime", "tests/browser")
CALLBACK = "/functions/v1/fanvue-connect/callback"
EXAMPLES = """
Examples:

  python -m tests.hosted secrets --near 172.17.0.1 > supabase/functions/.env

  python -m tests.hosted run .env.hosted

  python -m tests.hosted run .env.hosted -- -k earnings
"""

cli = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, epilog=EXAMPLES
)


@cli.command("secrets")
def print_secrets(
    near: Annotated[
        str, typer.Option(help="This machine's address as the functions see it.")
    ] = "127.0.0.1",
    url: Annotated[
        str, typer.Option(help="The project's address as a browser sees it.")
    ] = "http://127.0.0.1:54321",
) -> None:
    """Print new settings for the functions, which the tests read as well."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    fanvue = f"http://{near}:{FANVUE_PORT}"
    values = {
        **function_secrets(f"hosted-1:{key}"),
        "FANVUE_API_URL": fanvue,
        "FANVUE_AUTH_URL": fanvue,
        "FANVUE_REDIRECT_URI": url + CALLBACK,
        "FANVUE_WEBHOOK_SECRETS": f"whsec_{secrets.token_urlsafe(24)}",
        "UPSTASH_REDIS_REST_URL": f"http://{near}:{UPSTASH_PORT}",
        "UPSTASH_REDIS_REST_TOKEN": secrets.token_urlsafe(24),
    }
    for name in sorted(values):
        typer.echo(f"{name}={values[name]}")


@cli.command("run")
def run(
    settings: Annotated[Path, typer.Argument(help="The file with the stack's settings.")],
    pytest_words: Annotated[list[str] | None, typer.Argument(help="Passed on to pytest.")] = None,
    *,
    empty: Annotated[
        bool, typer.Option("--empty", help="Go on although the project holds something.")
    ] = False,
) -> None:
    """Look whether the stack is ready and may be emptied; then run the tests on it."""
    values = read_env_file(settings)
    for problem in problems_of(values, empty=empty):
        typer.echo(f"{settings}: {problem}", err=True)
        raise typer.Exit(2)
    os.environ[VARIABLE] = str(settings.resolve())
    os.environ[ALLOWED_HOST] = urlsplit(values["SUPABASE_URL"]).hostname or ""
    words = [sys.executable, "-m", "pytest", "-m", "system or browser"]
    sys.stdout.flush()
    # One process: there is one stack.
    os.chdir(PROJECT)
    os.execv(sys.executable, [*words, *(pytest_words or SUITES)])  # noqa: S606 - our own words


def problems_of(values: Mapping[str, str], *, empty: bool) -> Iterator[str]:
    """Yield what keeps the tests from running there, each with its next step; the first counts."""
    if missing := missing_names(values):
        yield f"it does not say {', '.join(missing)} (CONTRIBUTING.md, A stack elsewhere)"
        return
    yield from _database(values["SUPABASE_DB_URL"], empty=empty)
    yield from _answers(values)
    yield from _fanvue(values["FANVUE_API_URL"])


def _database(url: str, *, empty: bool) -> Iterator[str]:
    newest = max(path.name for path in MIGRATIONS.glob("*_*.sql")).partition("_")[0]
    push = 'npx --no-install supabase db push --db-url "$SUPABASE_DB_URL"'
    try:
        with psycopg.connect(url, connect_timeout=ANSWER_SECONDS) as database:
            applied = database.execute(
                "select max(version) from supabase_migrations.schema_migrations"
            ).fetchone()
            if applied is None or applied[0] != newest:
                yield f"the project's migrations do not end with {newest}: run `{push}`"
            held = database.execute("select count(*) from public.agencies").fetchone()
            if held is not None and held[0] and not empty:
                yield (
                    f"the project holds {held[0]} agencies, and the tests empty it: use another, "
                    "or say --empty"
                )
    except psycopg.errors.UndefinedTable:
        yield f"the project has none of the migrations: run `{push}`"
    except psycopg.OperationalError as error:
        yield f"SUPABASE_DB_URL cannot be reached: {error}"


def _answers(values: Mapping[str, str]) -> Iterator[str]:
    """Ask each server one question whose answer only the right key gives."""
    functions = f"{values['SUPABASE_URL']}/functions/v1"
    member = {"authorization": f"Bearer {values['SUPABASE_PUBLISHABLE_KEY']}"}
    raw, moment = b"[]", int(time.time())
    signed = signature([values["FANVUE_WEBHOOK_SECRETS"].partition(",")[0]], moment, raw)
    questions: list[tuple[str, int, dict[str, Any]]] = [
        (
            "SUPABASE_URL or SUPABASE_SECRET_KEY",
            200,
            {
                "method": "GET",
                "url": f"{values['SUPABASE_URL']}/rest/v1/agencies?select=id&limit=1",
                "headers": {"apikey": values["SUPABASE_SECRET_KEY"]},
            },
        ),
        (
            "function dashboard-stats",
            401,
            {"method": "GET", "url": f"{functions}/dashboard-stats", "headers": member},
        ),
        (
            "function fanvue-connect",
            401,
            {"method": "GET", "url": f"{functions}/fanvue-connect/start", "headers": member},
        ),
        (
            # Signed well, it is refused for what it says: nothing is kept of it.
            "function fanvue-webhook or its FANVUE_WEBHOOK_SECRETS",
            400,
            {
                "method": "POST",
                "url": f"{functions}/fanvue-webhook",
                "headers": {"x-fanvue-signature": signed},
                "content": raw,
            },
        ),
        (
            "UPSTASH_REDIS_REST_URL or UPSTASH_REDIS_REST_TOKEN",
            200,
            {
                "method": "POST",
                "url": values["UPSTASH_REDIS_REST_URL"],
                "headers": {"authorization": f"Bearer {values['UPSTASH_REDIS_REST_TOKEN']}"},
                "json": ["PING"],
            },
        ),
    ]
    for what, expected, question in questions:
        try:
            answer = httpx.request(**question, timeout=ANSWER_SECONDS)
        except httpx.HTTPError as error:
            yield f"{what}: no answer from {question['url']}: {error}"
            continue
        if answer.status_code != expected:
            said = answer.text[:LONGEST_ANSWER]
            yield f"{what}: answered {answer.status_code} instead of {expected}: {said}"


def _fanvue(url: str) -> Iterator[str]:
    """The simulated Fanvue stands where the functions look for it."""
    address = urlsplit(url)
    try:
        bind(address.port or 0, address.hostname or "").close()
    except OSError as error:
        yield f"no Fanvue can be served at FANVUE_API_URL={url}: {error}"


if __name__ == "__main__":
    cli()
