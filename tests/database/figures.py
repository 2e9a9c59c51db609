"""What an agency's dashboard must show, added up from the rows with Decimal.

The tests compare it with what the database says; only `stats` asks the database for sums.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


Row = dict[str, Any]


# Days that meet at their ends, and one that holds both.
PERIODS = [
    (date(2026, 2, 28), date(2026, 3, 2)),
    (date(2026, 3, 1), date(2026, 3, 1)),
    (date(2026, 3, 2), date(2026, 3, 2)),
]


def stats(engine: Engine, agency_id: uuid.UUID, first: date, last: date) -> Row:
    """Ask for the object without what differs at every moment."""
    found = engine.value("select public.dashboard_stats(%s, %s, %s)", agency_id, first, last)
    return {key: value for key, value in found.items() if key not in {"as_of", "freshness"}}


def money(amount: Decimal | int) -> str:
    """Write an amount as the object does."""
    return f"{Decimal(amount):.2f}"


def sums(rows: list[Row]) -> Row:
    """Add up ledger rows."""
    return {
        "gross": money(sum((row["amount"] for row in rows), Decimal(0))),
        "net": money(sum((row["net"] for row in rows), Decimal(0))),
        "transactions": len(rows),
    }


def split(rows: list[Row], key: str) -> dict[Any, list[Row]]:
    """Sort rows by what they have in a column."""
    parts = defaultdict(list)
    for row in rows:
        parts[row[key]].append(row)
    return parts


class Rows:
    """An agency's rows, as they are in the tables."""

    def __init__(self, engine: Engine, agency_id: uuid.UUID) -> None:
        self.agency_id = str(agency_id)
        self.models = engine.rows(
            "select m.id::text, m.handle, m.display_name, m.status, a.subscribers, a.followers"
            " from public.models m left join public.fanvue_accounts a on a.model_id = m.id"
            " where m.agency_id = %s order by m.handle",
            agency_id,
        )
        self.ledger = engine.rows(
            "select t.model_id::text, (t.fanvue_created_at at time zone 'UTC')::date as day,"
            " coalesce(t.category, 'uncategorised') as category, t.amount,"
            " coalesce(t.net_amount, 0) as net, t.origin, t.sent_currency, t.sent_minor_units"
            " from public.fanvue_transactions t join public.models m on m.id = t.model_id"
            " where m.agency_id = %s",
            agency_id,
        )
        self.fans = engine.rows(
            "select f.model_id::text, f.day, f.fan_uuid, f.handle, f.display_name, f.gross, f.net"
            " from public.fanvue_top_fans f join public.models m on m.id = f.model_id"
            " where m.agency_id = %s",
            agency_id,
        )

    def between(self, first: date, last: date) -> list[Row]:
        """Return the ledger rows of some days."""
        return [row for row in self.ledger if first <= row["day"] <= last]

    def stats(self, first: date, last: date) -> Row:
        """Return what the dashboard must show, but for its stamp."""
        rows = self.between(first, last)
        days = (last - first).days + 1
        start, end = first - timedelta(days=days), first - timedelta(days=1)
        before = self.between(start, end)
        return {
            "agency_id": self.agency_id,
            "from": first.isoformat(),
            "to": last.isoformat(),
            "currency": "USD",
            "totals": sums(rows),
            "previous": {"from": start.isoformat(), "to": end.isoformat(), **sums(before)},
            "by_category": sorted(
                ({"category": key, **sums(part)} for key, part in split(rows, "category").items()),
                key=lambda line: (-abs(Decimal(line["gross"])), line["category"]),
            ),
            "by_model": self._by_model(split(rows, "model_id"), split(before, "model_id")),
            "by_day": [
                self._day(first + timedelta(days=number), split(rows, "day"))
                for number in range(days)
            ],
            "top_fans": self._top_fans(last),
            "audience": self._audience(),
            "unconfirmed": self._unconfirmed([row for row in rows if row["origin"] == "webhook"]),
        }

    def _by_model(self, now: dict[str, list[Row]], before: dict[str, list[Row]]) -> list[Row]:
        lines = [
            {
                "model_id": model["id"],
                **{key: model[key] for key in ("handle", "display_name", "status")},
                **sums(now.get(model["id"], [])),
                "previous_gross": sums(before.get(model["id"], []))["gross"],
            }
            for model in self.models
        ]
        return sorted(lines, key=lambda line: -Decimal(line["gross"]))

    @staticmethod
    def _day(day: date, days: dict[date, list[Row]]) -> Row:
        rows = days.get(day, [])
        categories = {key: sums(part)["gross"] for key, part in split(rows, "category").items()}
        return {"day": day.isoformat(), **sums(rows), "categories": categories}

    def _top_fans(self, last: date) -> list[Row]:
        recent = [f for f in self.fans if last - timedelta(days=7) <= f["day"] <= last]
        newest = {
            key: max(f["day"] for f in part) for key, part in split(recent, "model_id").items()
        }
        shown = [f for f in recent if f["day"] == newest[f["model_id"]]]
        shown.sort(key=lambda f: (-f["gross"], -f["net"], f["model_id"], f["fan_uuid"]))
        return [
            {**f, "gross": money(f["gross"]), "net": money(f["net"]), "day": f["day"].isoformat()}
            for f in shown[:10]
        ]

    def _audience(self) -> Row:
        known = {
            key: [model[key] for model in self.models if model[key] is not None]
            for key in ("subscribers", "followers")
        }
        return {
            **{key: sum(values) if values else None for key, values in known.items()},
            "models": [
                {
                    "model_id": model["id"],
                    "subscribers": model["subscribers"],
                    "followers": model["followers"],
                }
                for model in self.models
            ],
        }

    @staticmethod
    def _unconfirmed(rows: list[Row]) -> Row:
        foreign = split([row for row in rows if row["sent_currency"]], "sent_currency")
        return {
            "transactions": len(rows),
            "amount": sums(rows)["gross"],
            "other_currencies": [
                {
                    "currency": currency,
                    "minor_units": sum(row["sent_minor_units"] for row in foreign[currency]),
                    "transactions": len(foreign[currency]),
                }
                for currency in sorted(foreign)
            ],
        }
