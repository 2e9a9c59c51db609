"""Webhooks between a simulated Fanvue and the real function: where they go, what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.deliveries import deliver_all
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from tests.support.program import Program


# Fanvue repeats soon, and its time-out is not the subject.
REGISTRABLE: dict[str, Any] = {
    "rate_limit": 100_000,
    "webhook_loopback_urls": True,
    "webhook_retry_seconds": [0.05] * 20 + [1] * PATIENCE_SECONDS,
    "webhook_timeout_seconds": PATIENCE_SECONDS,
}


def address(program: Program) -> str:
    return f"{program.engine.environment['SUPABASE_URL']}/functions/v1/fanvue-webhook"


def handle_of(program: Program, creator: str) -> str:
    """Return the name by which a person calls a creator."""
    return program.engine.models[creator]


def at_fanvue(program: Program) -> list[dict[str, Any]]:
    return list(program.engine.fanvue.webhooks()["registrations"])


def stored(program: Program, query: str) -> list[tuple[Any, ...]]:
    return program.engine.database.execute(query.encode()).fetchall()


def refusals(program: Program) -> int:
    """Return how many deliveries the function said it refused; it says so a little later."""
    ((count,),) = stored(
        program, "select coalesce(sum(wrong_signature), 0) from private.webhook_refusals"
    )
    return int(count)


def wait_for_refusals(program: Program, count: int) -> None:
    wait_until(lambda: refusals(program) == count)


def tip(program: Program, creator: str, count: int) -> None:
    rows = [{"source": "tip", "gross_cents": 500 + number} for number in range(count)]
    program.engine.fanvue.add_sales(creator, rows=rows)


def deliver(program: Program) -> None:
    deliver_all(program.engine.fanvue, program.engine.database)
