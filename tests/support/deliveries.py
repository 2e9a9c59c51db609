"""Deliveries to the webhook function made by hand: any bytes, in any order, signed with any secret.

What Fanvue would have sent is written down by the simulated Fanvue and kept back, so that a test
decides when each body arrives.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from simulator.webhooks.signature import HEADER, signature
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx

    from simulator.client import SimulatorControl
    from tests.support.postgres import Connection


# Nobody listens at the discard port: what is sent there is written down and given up at once.
NOWHERE = "http://127.0.0.1:9/"


@dataclass(frozen=True, slots=True)
class Postman:
    """Delivers to one address, with the secrets given."""

    http: httpx.Client
    url: str
    secrets: Sequence[str]

    def deliver(
        self, body: bytes, *, secrets: Sequence[str] = (), hints: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Deliver one body, signed now; again, as Fanvue would, while it is put off."""
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            signed = signature(secrets or self.secrets, int(time.time()), body)
            headers = {HEADER: signed, "content-type": "application/json", **(hints or {})}
            answers.append(self.http.post(self.url, content=body, headers=headers))
            return answers[-1].status_code != HTTPStatus.SERVICE_UNAVAILABLE

        wait_until(is_answered, "an answer to a delivery")
        return answers[-1]

    def statuses(self, bodies: Sequence[bytes]) -> list[str]:
        """Deliver bodies one after the other; return what each was answered, all of them 200."""
        answers = [self.deliver(body) for body in bodies]
        assert {answer.status_code for answer in answers} <= {200}
        return [answer.json()["status"] for answer in answers]


def deliver_all(fanvue: SimulatorControl, database: Connection) -> None:
    """Deliver what Fanvue announced; what a busy machine did not apply in time, ticks apply."""
    outcome = fanvue.flush_webhooks(PATIENCE_SECONDS)
    if not outcome["done"]:
        raise RuntimeError(f"not everything was delivered: {outcome}")
    late = "select from public.webhook_events where retry_at <= private.engine_now()"
    # Who is busy is passed over, and has their turn at the next tick.
    wait_until(
        lambda: not database.execute(late).fetchall(),
        "the late events",
        rest=lambda: database.execute("select public.retry_webhook_events(1000)"),
    )


@contextmanager
def kept_back(fanvue: SimulatorControl, **knobs: Any) -> Iterator[list[bytes]]:
    """Collect what Fanvue announces while the block runs, in the order it happened."""
    fanvue.turn(webhook_retry_seconds=[], **knobs)
    fanvue.clear_webhooks()
    fanvue.set_webhook_target(NOWHERE, "unused")
    bodies: list[bytes] = []
    try:
        yield bodies
        assert fanvue.flush_webhooks()["done"]
        log = fanvue.webhooks(bodies="true", limit=10_000)
        bodies += [json.dumps(sent["body"]).encode() for sent in log["deliveries"]]
    finally:
        fanvue.drop_webhook_target()
