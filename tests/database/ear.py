"""Hears what commits tell: reads realtime.messages, where Realtime reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_INSERT = """
insert into public.fanvue_transactions
  (agency_id, model_id, fanvue_id, amount, category, fanvue_created_at)
select m.agency_id, m.id, %s || n, %s, 'tip', %s::timestamptz + n * interval '1 second'
from public.models m, generate_series(1, %s) n where m.id = %s
"""


# The owner of a project may take nothing away there: what is older was another test's.
_SENT: Final = """
(select m.*, m.xmin::text as commit from realtime.messages m where m.xmin::text::bigint > %s) m
"""


class Ear:
    """Hears what was sent since it was made."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._since = engine.value("select pg_current_xact_id()::text::bigint")

    def heard(self, topic: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Return events and payloads in the order of their sending; without Realtime's own id."""
        rows = self.engine.rows(
            "select event, payload - 'id' as payload from" + _SENT + "where %s::text is null"
            " and topic <> 'workers' or topic = %s order by inserted_at, id",
            self._since,
            topic,
            topic,
        )
        return [(row["event"], row["payload"]) for row in rows]

    def kinds(self) -> set[tuple[str, bool]]:
        """Return which extensions the messages belong to, and whether they are private."""
        rows = self.engine.rows("select distinct extension, private from" + _SENT, self._since)
        return {(row["extension"], row["private"]) for row in rows}

    def most_per_commit(self) -> int:
        """Return the greatest number of messages that one commit sent to one topic."""
        rows = self.engine.rows(
            "select count(*) as n from" + _SENT + "group by commit, topic", self._since
        )
        return max((row["n"] for row in rows), default=0)


def add(
    engine: Engine, model: uuid.UUID, count: int, amount: str = "5.00", prefix: str = "T"
) -> None:
    engine.rows(_INSERT, prefix, Decimal(amount), NOON, count, model)


def topic(agency: uuid.UUID) -> str:
    return f"agency:{agency}"
