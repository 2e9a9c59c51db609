"""`fanvue-sync doctor`: checks every setting, server, migration and schedule, one line each.

A check never stops the next one, except that without the database nothing can be asked of it.
Everything together ends in less than ten seconds, whatever is down.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from worker.app import open_books
from worker.clock import SystemClock
from worker.commands.database_checks import (
    check_access,
    check_clock,
    check_creators,
    check_keys,
    check_migrations,
    check_schedules,
)
from worker.commands.findings import Finding, Verdict, fail, ok
from worker.commands.server_checks import (
    PROBE_SECONDS,
    check_api,
    check_client,
    check_redis,
    check_sign_ups,
)
from worker.commands.session import wait_for
from worker.commands.terminal import AsJson, print_json, say
from worker.commands.webhook_check import check_announcements, check_webhooks
from worker.errors import DatabaseUnavailable, Misconfigured, SchemaMissing, SyncError
from worker.fanvue.connection import open_http
from worker.logs import configure_logging
from worker.sealing import Keyring
from worker.settings import EVERYTHING, load_settings
from worker.store.webhooks import WebhookStore


if TYPE_CHECKING:
    from datetime import datetime

    from worker.settings import Settings
    from worker.store.webhooks import WebhookCreator


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync doctor
  fanvue-sync doctor --json
"""
DATABASE_PATIENCE_SECONDS: Final = 9.0
# Enough to see that our keys open what they sealed, without reading every grant.
GRANTS_TRIED: Final = 200
_STYLES: Final = {
    Verdict.OK: typer.colors.GREEN,
    Verdict.WARN: typer.colors.YELLOW,
    Verdict.FAIL: typer.colors.RED,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database said, and what this machine's clock showed meanwhile."""

    engine: dict[str, Any]
    models: dict[str, int]
    grants: list[dict[str, Any]]
    creators: list[WebhookCreator]
    webhooks: Finding
    asked_at: datetime


def doctor(*, as_json: AsJson = False) -> None:
    """Check every setting, server, migration and schedule; exits 1 if one fails."""
    configure_logging("error", "console")
    findings, settings = _check_settings()
    if settings is not None:
        configure_logging("error", "console", secrets=settings.secrets())
        findings += wait_for(_examine(settings))
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            # Apart from the text, in which a colour would be somebody else's.
            typer.secho(f"{finding.verdict.value:<4}", fg=_STYLES[finding.verdict], nl=False)
            say(f"  {finding.check:<{width}}  {finding.text}")
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)


def _check_settings() -> tuple[list[Finding], Settings | None]:
    """Load all settings; with some of them wrong, load what the other checks can use."""
    try:
        return [ok("settings", "complete")], load_settings(need=EVERYTHING)
    except Misconfigured as error:
        findings = [fail("settings", line) for line in error.message.splitlines()]
    try:
        return findings, load_settings(need=())
    except Misconfigured:
        return findings, None


async def _examine(settings: Settings) -> list[Finding]:
    """Ask everybody at once, so that the slowest decides how long it takes."""
    database, servers = await asyncio.gather(
        _examine_database(settings), _examine_servers(settings)
    )
    return database + servers


async def _examine_database(settings: Settings) -> list[Finding]:
    if settings.supabase_or_none is None:
        return []
    try:
        async with asyncio.timeout(DATABASE_PATIENCE_SECONDS):
            facts = await _ask(settings)
    except (TimeoutError, DatabaseUnavailable):
        return [
            fail(
                "database",
                f"no answer from {settings.supabase.url}; check SUPABASE_URL and that the project "
                "is up",
            )
        ]
    except Misconfigured as error:
        return [_refusal(error)]
    except SyncError as error:
        return [fail("database", error.operator_message)]
    findings = [
        ok("database", f"PostgreSQL {facts.engine['server_version']} answers and takes the key"),
        check_migrations(facts.engine),
        *check_schedules(facts.engine),
        check_access(facts.engine),
        check_clock(facts.engine, facts.asked_at),
    ]
    if settings.sealing_or_none is not None:
        keyring = Keyring(settings.sealing.keys)
        findings.append(check_keys(facts.engine["key_ids"], keyring, facts.grants, facts.creators))
    arrivals = check_announcements(facts.engine["announcements"])
    return [*findings, check_creators(facts.models), facts.webhooks, arrivals]


def _refusal(error: Misconfigured) -> Finding:
    what = "migrations" if isinstance(error, SchemaMissing) else "database"
    return fail(what, error.operator_message)


async def _ask(settings: Settings) -> Facts:
    clock = SystemClock()
    async with open_books(settings, clock) as books:
        asked = clock.now()
        engine = await books.overview.doctor()
        answered = clock.now()
        models = (await books.overview.status())["models"]
        grants = await books.overview.grants(GRANTS_TRIED)
        store = WebhookStore(books.database)
        creators = await store.creators()
        heard = engine["announcements"]["last_accepted_at"] is not None
        webhooks = await check_webhooks(
            settings, creators, store, clock, heard=heard, seconds=PROBE_SECONDS
        )
    middle = asked + (answered - asked) / 2
    return Facts(engine, models, grants, creators, webhooks, middle)


async def _examine_servers(settings: Settings) -> list[Finding]:
    findings: list[Finding] = []
    fanvue = settings.fanvue_or_none
    if fanvue is not None:
        quick = fanvue.model_copy(update={"timeout_seconds": PROBE_SECONDS})
        async with open_http(timeout_seconds=PROBE_SECONDS, connections=2) as http:
            findings += await asyncio.gather(
                check_api(http, quick), check_client(http, SystemClock(), quick)
            )
    if settings.supabase_or_none is not None:
        findings.append(await check_sign_ups(settings.supabase))
    findings.append(await check_redis(settings.upstash))
    return findings
