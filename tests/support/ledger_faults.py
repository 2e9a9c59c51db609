"""Harm done to a ledger behind the engine's back, by kind, and the copy to compare the cure with.

Writes straight into the database, as a bug or a person would; the engine is not told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from psycopg.rows import dict_row


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.postgres import Connection


# What a row says, whoever wrote it and when; its id and its dates of writing are ours.
FACTS: Final = (
    "agency_id, model_id, fanvue_id, amount, net_amount, currency, source, category, status, "
    "fan_uuid, fan_handle, message_uuid, post_uuid, reverses_fanvue_id, origin, fanvue_created_at"
)
_ALL: Final = "select *, xmin::text as written_by from public.fanvue_transactions order by id"
_CATEGORIES: Final = ("tip", "message", "post", "subscription")
MENDABLE: Final = ("deleted", "amount", "status", "category")
KINDS: Final = (*MENDABLE, "phantom")


@dataclass
class LedgerFaults:
    """The ledger as it was, and what was done to it."""

    database: Connection
    seed: int
    rows: dict[UUID, dict[str, Any]] = field(init=False)
    harmed: dict[str, set[UUID]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - a choice that can be repeated
        self.rows = self.current()

    def current(self) -> dict[UUID, dict[str, Any]]:
        """Return the ledger by primary key."""
        cursor = self.database.cursor(row_factory=dict_row)
        return {row["id"]: row for row in cursor.execute(_ALL)}

    def inject(self, count: int, *, among: Callable[[dict[str, Any]], bool] | None = None) -> None:
        """Do so many faults, evenly over the kinds, each to a row of its own."""
        candidates = [row for row in self.rows.values() if among is None or among(row)]
        chosen = self.random.sample(candidates, count)
        for number, row in enumerate(chosen):
            kind = KINDS[number % len(KINDS)]
            harmed = getattr(self, f"_{kind}")(row)
            self.harmed.setdefault(kind, set()).add(harmed)

    def _deleted(self, row: dict[str, Any]) -> UUID:
        self.database.execute("delete from public.fanvue_transactions where id = %s", (row["id"],))
        return UUID(str(row["id"]))

    def _amount(self, row: dict[str, Any]) -> UUID:
        delta = Decimal(self.random.randint(1, 500_000)) / 100
        return self._set(row, "amount = amount + %s, net_amount = net_amount + %s", delta, delta)

    def _status(self, row: dict[str, Any]) -> UUID:
        if row["status"] is None:
            # Fanvue tells no status of it, and so cannot set it right.
            return self._category(row)
        other = "available" if row["status"] == "pending" else "pending"
        return self._set(row, "status = %s", other)

    def _category(self, row: dict[str, Any]) -> UUID:
        others = [name for name in _CATEGORIES if name != row["category"]]
        return self._set(row, "category = %s", self.random.choice(others))

    def _phantom(self, row: dict[str, Any]) -> UUID:
        """Announce money that there is not, at the instant of a row."""
        phantom = uuid4()
        self.database.execute(
            """
            insert into public.fanvue_transactions (
              id, agency_id, model_id, fanvue_id, amount, net_amount, currency, source, category,
              status, fan_uuid, origin, fanvue_created_at, synced_at, created_at)
            select %s, %s, %s, %s, %s, %s, 'USD', 'tip', 'tip', 'pending', %s, 'webhook', %s,
                   n.yesterday, n.yesterday
            from (select private.engine_now() - interval '1 day' as yesterday) n
            """,
            (
                phantom,
                row["agency_id"],
                row["model_id"],
                f"FV-{phantom.hex}",
                self.random.randint(90_000, 99_999),
                self.random.randint(70_000, 79_999),
                str(uuid4()),
                row["fanvue_created_at"],
            ),
        )
        return phantom

    def _set(self, row: dict[str, Any], assignment: str, *values: object) -> UUID:
        self.database.execute(
            f"update public.fanvue_transactions set {assignment} where id = %s",  # noqa: S608 - our own text
            (*values, row["id"]),
        )
        return UUID(str(row["id"]))

    # The cure ------------------------------------------------------------------------------------

    @property
    def phantoms(self) -> set[UUID]:
        """Return the rows that no source has."""
        return self.harmed.get("phantom", set())

    def assert_mended(self) -> None:
        """Compare the ledger, phantoms aside, with the copy: fact by fact, row by row."""
        now = {key: row for key, row in self.current().items() if key not in self.phantoms}
        found, wanted = _counted(now), _counted(self.rows)
        assert found == wanted, f"too many: {found - wanted}, missing: {wanted - found}"
        altered = set().union(*(self.harmed.get(kind, set()) for kind in MENDABLE[1:]))
        assert altered <= now.keys(), "a row that was put right is still itself"

    def assert_others_untouched(self) -> None:
        """Compare every row that was not harmed, to the transaction that wrote it."""
        harmed = set().union(*self.harmed.values())
        now = self.current()
        untouched = {key: row for key, row in self.rows.items() if key not in harmed}
        assert untouched
        assert {key: now.get(key) for key in untouched} == untouched


def _counted(rows: dict[UUID, dict[str, Any]]) -> Counter[tuple[object, ...]]:
    """Count rows by what they say.

    Of rows that share one id at Fanvue, whichever comes first bears it plainly and the others with
    their hash behind it: which is which is no fact of theirs.
    """
    columns = [name.strip() for name in FACTS.split(",")]
    return Counter(
        tuple(row[name].partition("#")[0] if name == "fanvue_id" else row[name] for name in columns)
        for row in rows.values()
    )
