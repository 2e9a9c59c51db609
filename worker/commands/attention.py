"""What needs a person, read from the engine's own figures: one sentence each, and the remedy.

Pure judgement: it asks nobody and prints nothing. What the engine mends by itself in time (a stream
that failed once, a job that waits for the rate limit) is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from worker.commands.terminal import ago, error_text, span


if TYPE_CHECKING:
    from collections.abc import Iterable


# Three minutes without a tick are three ticks missed.
SCHEDULE_PATIENCE: Final = timedelta(minutes=3)
# A due job that nobody takes: workers poll every two seconds, and a full fleet takes turns.
QUEUE_PATIENCE: Final = timedelta(minutes=5)
# Before that many failures in a row the next attempt is likelier to help than a person.
FAILURES_TOLD: Final = 3
NAMES_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that does not mend itself."""

    topic: str
    what: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        """Return it as `--json` prints it."""
        return {"topic": self.topic, "what": self.what, "remedy": self.remedy}


def find_attention(engine: dict[str, Any], streams: list[dict[str, Any]]) -> list[Attention]:
    """Judge what `engine_status` and `list_streams` said; the gravest first."""
    now = datetime.fromisoformat(engine["now"]).astimezone(UTC)
    found = [
        _nobody_works(engine["jobs"]),
        _silent_schedule(engine["models"], engine["scheduler"] or {}, now),
        _reconnect(engine["models"], streams),
        _dead_jobs(engine["jobs"], streams),
        _failing(streams),
        _partial(engine["streams"] or {}, streams),
        _drift(engine["drift"] or {}),
        _failed_webhooks(engine["webhooks"] or {}),
        _parked_webhooks(engine["webhooks"] or {}),
    ]
    return [one for one in found if one is not None]


def headline(found: list[Attention]) -> str:
    """Say in one line whether there is anything to do."""
    if not found:
        return "All is well."
    if len(found) == 1:
        return "1 thing needs attention:"
    return f"{len(found)} things need attention:"


def _nobody_works(jobs: dict[str, Any]) -> Attention | None:
    waiting = jobs["oldest_due_seconds"]
    if waiting is None or waiting < QUEUE_PATIENCE.total_seconds():
        return None
    if jobs["running"]:
        return Attention(
            "queue",
            f"{_count(jobs['due'], 'job')} due, the oldest for {span(waiting)}: "
            "the workers do not keep up",
            "start another: fanvue-sync run",
        )
    return Attention(
        "queue",
        f"{_count(jobs['due'], 'job')} due, the oldest for {span(waiting)}, and no worker takes it",
        "start one: fanvue-sync run",
    )


def _silent_schedule(
    models: dict[str, int], ticks: dict[str, dict[str, Any]], now: datetime
) -> Attention | None:
    if not models.get("active"):
        return None
    last = {name: datetime.fromisoformat(tick["last_tick_at"]) for name, tick in ticks.items()}
    newest = max(last.values(), default=None)
    if newest is not None and now - newest < SCHEDULE_PATIENCE:
        return None
    when = "never ran" if newest is None else f"last ran {ago(newest.isoformat(), now)}"
    return Attention(
        "schedule",
        f"the schedule {when}: nothing new is queued",
        "fanvue-sync doctor finds out why; fanvue-sync enqueue queues what is due now",
    )


def _reconnect(models: dict[str, int], streams: list[dict[str, Any]]) -> Attention | None:
    count = models.get("reauth_required", 0)
    if not count:
        return None
    names = _names(one for one in streams if one["health"] == "the creator must connect again")
    return Attention(
        "grants",
        f"{_count(count, 'creator')} must connect again{names}",
        "send them to fanvue-connect, or fanvue-sync connect --replace; "
        "fanvue-sync tokens status says why",
    )


def _dead_jobs(jobs: dict[str, Any], streams: list[dict[str, Any]]) -> Attention | None:
    count = jobs["dead"]
    if not count:
        return None
    names = _names(one for one in streams if one["health"].startswith("gave up"))
    return Attention(
        "jobs",
        f"{_count(count, 'job')} gave up{names}",
        "fanvue-sync jobs list --state dead says why; then fanvue-sync jobs retry ID",
    )


def _failing(streams: list[dict[str, Any]]) -> Attention | None:
    failing = [
        one
        for one in streams
        if one["health"] == "failing" and one["consecutive_failures"] >= FAILURES_TOLD
    ]
    if not failing:
        return None
    worst = max(failing, key=lambda one: int(one["consecutive_failures"]))
    why = error_text(worst["last_error"])
    return Attention(
        "streams",
        f"{_count(len(failing), 'stream')} failing again and again{_names(failing)}: {why}",
        "fanvue-sync doctor finds what is wrong on our side",
    )


def _partial(counts: dict[str, int], streams: list[dict[str, Any]]) -> Attention | None:
    count = counts.get("partial", 0)
    if not count:
        return None
    partial = [one for one in streams if one["health"] == "partial"]
    why = f": {error_text(partial[0]['last_error'])}" if partial else ""
    return Attention(
        "streams",
        f"{_count(count, 'stream')} read but not wholly believed{_names(partial)}{why}",
        "compare with Fanvue; if the list is right, "
        "select ops.accept_shrink(model id, stream) in Studio",
    )


def _drift(kinds: dict[str, int]) -> Attention | None:
    count = sum(kinds.values())
    if not count:
        return None
    return Attention(
        "drift",
        f"{_count(count, 'finding')} where ledger and Fanvue do not agree",
        "select * from ops.drift in Studio; fanvue-sync reconcile proves it again",
    )


def _failed_webhooks(webhooks: dict[str, int]) -> Attention | None:
    count = webhooks.get("failed", 0)
    if not count:
        return None
    return Attention(
        "webhooks",
        f"{_count(count, 'announcement')} of Fanvue could not be applied",
        "webhook_events.error says why; then select ops.replay_webhook(id) in Studio",
    )


def _parked_webhooks(webhooks: dict[str, int]) -> Attention | None:
    count = webhooks.get("parked", 0)
    if not count:
        return None
    return Attention(
        "webhooks",
        f"{_count(count, 'announcement')} about creators that are not connected",
        "connect them: what waits is applied then; others are pruned in time",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _names(streams: Iterable[dict[str, Any]]) -> str:
    """Name a few of the creators concerned, each once."""
    names = list(dict.fromkeys(one["handle"] or str(one["model_id"]) for one in streams))
    if not names:
        return ""
    more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
    return f" ({', '.join(names[:NAMES_TOLD])}{more})"
