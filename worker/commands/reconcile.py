"""`fanvue-sync reconcile`: reads money again now, mends what was wrong, tells what does not agree.

The work goes through the queue like any other, so it is safe beside running workers. Ends with 1
while drift stands; drift is a matter for people, see ops.drift.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_engine
from worker.commands.progress import SyncProgress
from worker.commands.session import begin, wait_for
from worker.commands.sync import SyncFailedError, Watch, follow
from worker.commands.terminal import (
    AsJson,
    error_text,
    note,
    print_json,
    print_table,
    say,
    short_id,
)
from worker.errors import DatabaseUnavailable, Misconfigured, SyncError
from worker.store.reconcile import ReconcileStore


if TYPE_CHECKING:
    from worker.app import Engine
    from worker.settings import Settings


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync reconcile
  fanvue-sync reconcile --model nova --days 7
  fanvue-sync reconcile --days 90 --json
"""
JOB_TYPE: Final = "reconcile"
DRIFT_REMAINS: Final = 1
UNREAD_FIRST: Final = "found by an earlier run; this one did not prove it: run it again first"


def reconcile(
    *,
    model: Annotated[
        str | None,
        typer.Option(help="Only this creator, by handle or model id; else all that are active."),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(help="Read exactly so many days; else what a night reads.", min=1, max=4000),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove the money now: read it again, mend the ledger, report what does not agree."""
    settings = begin()
    result = wait_for(_reconcile(settings, model, days, quiet=as_json))
    if as_json:
        print_json(result)
    else:
        _print(result)
    if result["not_proved"]:
        raise _not_proved(result["not_proved"], len(result["models"]))
    if result["open"]:
        raise typer.Exit(DRIFT_REMAINS)


async def _reconcile(
    settings: Settings, who: str | None, days: int | None, *, quiet: bool
) -> dict[str, Any]:
    async with open_engine(settings) as engine:
        overview = engine.books.overview
        model_id = None if who is None else (await overview.find_model(who))["model_id"]
        lease = timedelta(seconds=settings.worker.lease_seconds)
        store = ReconcileStore(engine.books.database, lease)
        jobs = await store.enqueue(model_id, days)
        # One after the other here; workers that run elsewhere take theirs meanwhile.
        models = [
            await _prove(engine, job, f"{number} of {len(jobs)}", quiet=quiet)
            for number, job in enumerate(jobs, start=1)
        ]
        runs = [one["run_id"] for one in models if one["run_id"]]
        report = await store.report([one["model_id"] for one in models], runs)
        return _verdict(models, report)


def _verdict(models: list[dict[str, Any]], report: dict[str, Any]) -> dict[str, Any]:
    """Say what the runs prove; drift is advised on only where every row was read and compared."""
    not_proved = [
        {
            "model_id": one["model_id"],
            "handle": one["handle"],
            "reason": error_text(one["error"] or {}) or f"the run was {one['state']}",
            "remedy": (one["error"] or {}).get("remedy") or "see fanvue-sync jobs list",
        }
        for one in models
        if one["state"] != "succeeded"
    ]
    unread = {one["model_id"] for one in not_proved}
    drift = [
        {**one, "what_to_do": UNREAD_FIRST} if one["model_id"] in unread else one
        for one in report["drift"]
    ]
    verdict = "not_proved" if not_proved else "drift" if report["open"] else "no_drift"
    judged = {"verdict": verdict, "not_proved": not_proved, "drift": drift}
    return {"models": models, **report, **judged}


async def _prove(engine: Engine, job: dict[str, Any], place: str, *, quiet: bool) -> dict[str, Any]:
    """Follow one model's run to its end; what fails is told with the result."""
    model_id, handle = str(job["model_id"]), job["handle"]
    found: dict[str, Any] = {}
    try:
        with SyncProgress(f"{handle or model_id} ({place})", quiet=quiet) as view:
            watch = Watch(model_id, JOB_TYPE, view)
            watch.saw(int(job["id"]))
            found = await follow(engine, watch)
    except (DatabaseUnavailable, Misconfigured):
        # It would meet every other model, too.
        raise
    except SyncError as error:
        found = {"state": "failed", "error": error.describe()}
    detail = found.get("detail") or {}
    return {
        "model_id": model_id,
        "handle": handle,
        "state": found["state"],
        "error": found.get("error"),
        "run_id": detail.get("run_id"),
        "days": detail.get("days"),
        "rows": detail.get("rows", 0),
        "mended": detail.get("mended") or {"inserted": 0, "changed": 0},
        "drift": detail.get("drift") or {},
        "pages": found.get("pages", 0),
        "requests": found.get("requests", 0),
    }


def _print(result: dict[str, Any]) -> None:
    if not result["models"]:
        say("no active models")
        return
    print_table(
        ("creator", "state", "days", "rows", "inserted", "changed", "drift", "calls"),
        [
            (
                one["handle"] or short_id(one["model_id"]),
                one["state"],
                one["days"],
                one["rows"],
                one["mended"]["inserted"],
                one["mended"]["changed"],
                sum(one["drift"].values()),
                one["requests"],
            )
            for one in result["models"]
        ],
        shrink=("creator",),
    )
    _print_mended(result["mended"])
    _print_not_proved(result["not_proved"])
    _print_drift(result)


def _print_mended(mended: list[dict[str, Any]]) -> None:
    if not mended:
        return
    say("\nmended, in US dollars")
    print_table(
        ("creator", "day", "category", "rows", "what", "before", "after"),
        [
            (
                one["handle"] or short_id(one["model_id"]),
                one["day"],
                one["category"],
                one["transactions"],
                _what(one),
                one["ledger_gross"],
                one["fanvue_gross"],
            )
            for one in mended
        ],
        shrink=("creator", "category", "what"),
    )


def _what(one: dict[str, Any]) -> str:
    columns = ", ".join(one["changed_columns"])
    return f"{one['what']}: {columns}" if columns else str(one["what"])


def _print_not_proved(models: list[dict[str, Any]]) -> None:
    if not models:
        return
    say(f"\nnot proved: {len(models)}")
    print_table(
        ("creator", "why"),
        [(one["handle"] or short_id(one["model_id"]), one["reason"]) for one in models],
    )


def _print_drift(result: dict[str, Any]) -> None:
    drift, proved = result["drift"], len(result["models"]) - len(result["not_proved"])
    if result["verdict"] == "no_drift":
        say("\nno drift: the ledger agrees with Fanvue")
    if not result["open"]:
        if result["not_proved"] and proved:
            say(f"\nno drift in the other {proved}: there the ledger agrees with Fanvue")
        return
    say(f"\ndrift that remains: {result['open']}")
    print_table(
        ("finding", "creator", "day", "kind", "what"),
        [
            (
                one["id"],
                one["handle"] or short_id(one["model_id"]),
                one["day"],
                one["kind"],
                one["what"],
            )
            for one in drift
        ],
        shrink=("creator",),
        wrap="what",
    )
    for advice in sorted({f"{one['kind']}: {one['what_to_do']}" for one in drift}):
        note(advice)


def _not_proved(models: list[dict[str, Any]], count: int) -> SyncFailedError:
    first = models[0]
    reason, remedy = first["reason"], str(first["remedy"])
    if count == 1:
        return SyncFailedError(reason, remedy=remedy, model_id=first["model_id"])
    name = first["handle"] or first["model_id"]
    return SyncFailedError(
        f"{len(models)} of {count} models are not proved; {name}: {reason}", remedy=remedy
    )
