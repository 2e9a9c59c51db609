"""The doctor's checks of the database's answer, from migrations and access to keys and creators.

Pure: each takes facts and returns findings.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from worker import SCHEMA_VERSION
from worker.commands.findings import Finding, fail, ok, warn
from worker.commands.terminal import counted, span
from worker.commands.webhook_check import open_secret
from worker.errors import Misconfigured
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN


if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.sealing import Keyring
    from worker.store.webhooks import WebhookCreator


SCHEDULES: Final = (
    "fanvue-enqueue-due",
    "fanvue-prune",
    "fanvue-reap",
    "fanvue-reconcile-nightly",
    "fanvue-retry-webhooks",
)
SCHEDULERS: Final = ("pg_cron", "worker")
FRESH_TICK: Final = timedelta(minutes=3)
SKEW_ALLOWED: Final = timedelta(seconds=30)
APPLY: Final = "apply the migrations: supabase db push --remote"
RESCHEDULE: Final = "run `select private.schedule_engine()` in Studio's SQL editor"


def check_migrations(facts: dict[str, Any]) -> Finding:
    """Compare what is applied with what this worker was built for."""
    applied, listed = str(facts["schema_version"]), facts.get("migrations")
    if listed is not None and SCHEMA_VERSION not in listed and applied <= SCHEMA_VERSION:
        return fail("migrations", f"migration {SCHEMA_VERSION} is not applied; {APPLY}")
    if applied < SCHEMA_VERSION:
        return fail(
            "migrations", f"the schema is {applied}, this worker needs {SCHEMA_VERSION}; {APPLY}"
        )
    if applied > SCHEMA_VERSION:
        return warn(
            "migrations",
            f"the schema {applied} is newer than this worker ({SCHEMA_VERSION}); update the worker",
        )
    return ok("migrations", f"applied up to {applied}")


def check_schedules(facts: dict[str, Any]) -> list[Finding]:
    """See that pg_cron has our jobs and that somebody ticks."""
    return [_schedules(facts.get("cron")), _ticks(facts.get("cron"), facts.get("scheduler") or {})]


def _schedules(cron: dict[str, bool] | None) -> Finding:
    if cron is None:
        return warn(
            "schedules",
            "pg_cron has no schedule of ours, only the workers tick; enable pg_cron in Studio "
            f"(Database, Extensions), then {RESCHEDULE}",
        )
    if "unknown" in cron:
        return warn(
            "schedules", "this key may not look at pg_cron's schedules; the ticks below tell"
        )
    missing = [name for name in SCHEDULES if name not in cron]
    if missing:
        return fail("schedules", f"pg_cron lacks {', '.join(missing)}; {RESCHEDULE}")
    idle = [name for name in SCHEDULES if not cron[name]]
    if idle:
        return fail(
            "schedules",
            f"pg_cron's {', '.join(idle)} is switched off; switch it on in Studio (Integrations, "
            f"Cron)",
        )
    return ok("schedules", f"pg_cron has all {len(SCHEDULES)}, active")


def _ticks(cron: dict[str, bool] | None, ages: dict[str, float]) -> Finding:
    # An operator's tick by hand says nothing about the schedulers.
    ages = {name: float(age) for name, age in ages.items() if name in SCHEDULERS}
    fresh = {name: age for name, age in ages.items() if age <= FRESH_TICK.total_seconds()}
    if "pg_cron" in fresh:
        return ok("ticks", f"pg_cron ticked {span(fresh['pg_cron'])} ago")
    if "worker" in fresh:
        return warn(
            "ticks",
            f"only a worker ticks ({span(fresh['worker'])} ago), pg_cron does not; "
            "look at cron.job_run_details in Studio",
        )
    if not ages and cron:
        return warn("ticks", "nothing has ticked yet; wait a minute and run doctor again")
    said = f"for {span(min(ages.values()))}" if ages else "ever"
    return fail(
        "ticks",
        f"no scheduler has ticked {said}; start a worker, and look at cron.job_run_details",
    )


def check_access(facts: dict[str, Any]) -> Finding:
    """See that nothing but the engine's own rules opens its tables."""
    known = facts.get("foreign_access") or []
    foreign = [one for one in known if one["kept"] is None]
    if foreign:
        return fail(
            "access",
            f"the engine did not make {counted(len(foreign), 'thing')} that open its tables, first "
            f"{foreign[0]['object']}; ops.foreign_access has the remedies",
        )
    return ok("access", f"by the engine's own rules, {len(known)} kept by decision")


def check_clock(facts: dict[str, Any], here: datetime) -> Finding:
    """Compare the database's clock with this machine's at the middle of the question."""
    shift = timedelta(seconds=float(facts["clock_shift_seconds"]))
    skew = datetime.fromisoformat(facts["now"]).astimezone(UTC) - shift - here
    if shift:
        return warn(
            "clock", f"the engine's clock is shifted by {shift}; empty private.engine_clock"
        )
    if abs(skew) > SKEW_ALLOWED:
        return warn(
            "clock",
            f"this machine's clock is {span(abs(skew.total_seconds()))} off the database's; "
            "let NTP set it",
        )
    return ok("clock", f"within {abs(skew.total_seconds()):.1f} s of the database's")


def check_keys(
    used: dict[str, int] | None,
    keyring: Keyring,
    grants: Iterable[dict[str, Any]],
    creators: Iterable[WebhookCreator] = (),
) -> Finding:
    """See that every key in use is known, and that it opens what it sealed."""
    used = used or {}
    unknown = sorted(set(used) - {"plain", *keyring.key_ids})
    if unknown:
        return fail(
            "sealing keys",
            f"{counted(used[unknown[0]], 'token is', 'tokens are')} sealed with key "
            f"'{unknown[0]}', which is not known; "
            f"add it to TOKEN_ENCRYPTION_KEYS, after the first one",
        )
    for grant in grants:
        broken = _seal_problem(grant, keyring)
        if broken is not None:
            return fail("sealing keys", broken)
    for creator in creators:
        for webhook in creator.active:
            try:
                open_secret(keyring, webhook)
            except Misconfigured as error:
                return fail("sealing keys", error.operator_message)
    older = sum(count for key, count in used.items() if key != keyring.sealing_id)
    if older:
        return warn(
            "sealing keys",
            f"{counted(older, 'token is', 'tokens are')} not sealed with the first key "
            f"'{keyring.sealing_id}'; "
            "run fanvue-sync tokens rotate-key",
        )
    return ok(
        "sealing keys", f"{counted(sum(used.values()), 'token')} sealed with '{keyring.sealing_id}'"
    )


def _seal_problem(grant: dict[str, Any], keyring: Keyring) -> str | None:
    stored = ((grant["access_token"], ACCESS_COLUMN), (grant["refresh_token"], REFRESH_COLUMN))
    for token, column in stored:
        if token is None:
            continue
        try:
            keyring.open(token, grant["grant_id"], column)
        except Misconfigured as error:
            return error.operator_message
    return None


def check_creators(models: dict[str, int]) -> Finding:
    """Say how many creators must connect again."""
    lost = models.get("reauth_required", 0)
    if lost:
        return warn(
            "creators",
            f"{lost} must connect again; fanvue-sync creators names them and says how",
        )
    return ok("creators", f"{models.get('active', 0)} active, {models.get('paused', 0)} paused")
