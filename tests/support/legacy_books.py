"""The books of an older application: Fanvue's own rows with the faults that such books have.

Doubled rows under other ids, whole days missing, parts of a cent from float arithmetic, cents lost
by cutting off, a running total that drifted. It remembers what it did, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4


if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.people import Creator
    from simulator.transactions import Transaction
    from tests.support.postgres import Connection


CENT: Final = Decimal("0.01")
# What adding floats leaves behind a round amount.
FLOAT_DUST: Final = Decimal("0.0000000000000018")
MISSING_DAYS: Final = 3
DOUBLED: Final = 0.02
OWN_NAMES: Final = 0.2
DUSTY: Final = 0.1
CUT_OFF: Final = 0.01


@dataclass(slots=True)
class LegacyModel:
    """One creator as the older application knew them."""

    id: UUID
    agency_id: UUID
    creator: str
    # Each double beside the row that it repeats; which of the two is which, nobody can tell.
    doubles: list[set[UUID]] = field(default_factory=list)
    rows: int = 0
    missing: int = 0
    missing_days: set[str] = field(default_factory=set)
    # Days that do not add up, whatever the reason.
    wrong_days: set[str] = field(default_factory=set)


@dataclass(slots=True)
class LegacyBooks:
    """Writes the older application's tables."""

    database: Connection
    seed: int
    random: Random = field(init=False)
    names: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - a choice that can be repeated

    def agency(self, name: str, owner: UUID) -> UUID:
        """Add an agency."""
        agency_id = uuid4()
        self.database.execute(
            "insert into public.agencies (id, name, owner_id) values (%s, %s, %s)",
            (agency_id, name, owner),
        )
        return agency_id

    def model(self, agency_id: UUID, creator: Creator, truth: Iterable[Transaction]) -> LegacyModel:
        """Add a creator with the rows that the older application made of theirs."""
        model = LegacyModel(uuid4(), agency_id, creator.uuid)
        self.database.execute(
            "insert into public.models (id, agency_id, name, fanvue_user_uuid, fanvue_access_token,"
            " revenue_total) values (%s, %s, %s, %s, %s, 0)",
            (model.id, agency_id, creator.handle, f" {creator.uuid.upper()}", "an-old-plain-token"),
        )
        listed = [row for row in truth if not self._is_reversal(model, row)]
        days = sorted({row.date[:10] for row in listed})
        model.missing_days = set(self.random.sample(days, MISSING_DAYS))
        model.wrong_days |= model.missing_days
        with self.database.cursor().copy(
            "copy public.fanvue_transactions (id, agency_id, model_id, fanvue_id, amount, category,"
            " fanvue_created_at) from stdin"
        ) as copy:
            for row in listed:
                for values in self._written(model, row):
                    copy.write_row(values)
        drift = Decimal(self.random.randint(100, 9999)) / 100
        self.database.execute(
            "update public.models m set revenue_total = %s + (select sum(t.amount)"
            " from public.fanvue_transactions t where t.model_id = m.id) where m.id = %s",
            (drift, model.id),
        )
        return model

    def _is_reversal(self, model: LegacyModel, row: Transaction) -> bool:
        """The older application kept no reversals."""
        if row.is_reversal:
            model.missing += 1
            model.wrong_days.add(row.date[:10])
        return row.is_reversal

    def _written(
        self, model: LegacyModel, row: Transaction
    ) -> Iterable[tuple[UUID, UUID, UUID, str, Decimal, str, datetime]]:
        day = row.date[:10]
        if day in model.missing_days:
            model.missing += 1
            return
        amount = Decimal(row.gross) / 100
        name = row.order_id if self.random.random() >= OWN_NAMES else self._own_name()
        if name == row.order_id and self.random.random() < CUT_OFF:
            # Only a row that bears Fanvue's id can be known again by it.
            model.wrong_days.add(day)
            yield self._row(model, row, name, amount - CENT)
            return
        if self.random.random() < DUSTY:
            amount += FLOAT_DUST
        first = self._row(model, row, name, amount)
        yield first
        if self.random.random() < DOUBLED:
            second = self._row(model, row, self._own_name(), amount)
            model.doubles.append({first[0], second[0]})
            model.wrong_days.add(day)
            yield second

    def _own_name(self) -> str:
        self.names += 1
        return f"purchase-{self.names}"

    @staticmethod
    def _row(
        model: LegacyModel, row: Transaction, name: str, amount: Decimal
    ) -> tuple[UUID, UUID, UUID, str, Decimal, str, datetime]:
        model.rows += 1
        at = datetime.fromtimestamp(row.at // 1000, UTC).replace(microsecond=row.at % 1000 * 1000)
        return uuid4(), model.agency_id, model.id, name, amount, row.source, at
