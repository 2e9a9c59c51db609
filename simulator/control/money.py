"""Control of money: books, sales, reversals and status flips."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from simulator.accounts import pay_out, set_status
from simulator.books import books
from simulator.clock import to_millis
from simulator.control import orders
from simulator.sales import add_reversals, add_sale, add_sales, add_sales_with_ties, flip_statuses
from simulator.unlocking import buy_messages


if TYPE_CHECKING:
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.transactions import Transaction


MAX_ECHOED_ROWS = 200


class Money:
    """Acts on the ledgers of a world; each method answers one route."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def books(self, query: dict[str, str], _body: Any) -> Any:
        """Return exact totals of one creator, or of all with their sum."""
        world = self._sim.world
        upto = int(query["upto_ms"]) if "upto_ms" in query else None
        if "creator" in query:
            creator = world.creator(query["creator"])
            return {"creator": creator.uuid, **books(world, creator, upto).as_json()}
        single = {uuid: books(world, c, upto) for uuid, c in world.creators.items()}
        return {
            "count": sum(b.count for b in single.values()),
            "gross_cents": sum(b.gross_cents for b in single.values()),
            "net_cents": sum(b.net_cents for b in single.values()),
            "creators": {uuid: b.as_json() for uuid, b in single.items()},
        }

    def add_sales(self, _query: dict[str, str], body: Any) -> Any:
        """Add sales."""
        order = orders.NewSales.model_validate(body)
        world = self._sim.world
        creator = world.creator(order.creator)
        with nullcontext() if order.announce else world.silence():
            return _echo(creator, self._make_sales(creator, order))

    def _make_sales(self, creator: Creator, order: orders.NewSales) -> list[Transaction]:
        world = self._sim.world
        rows: list[Transaction] = []
        if order.ties is not None:
            rows += add_sales_with_ties(
                world,
                creator,
                order.count,
                page_size=order.ties.page_size,
                borders=order.ties.borders,
                width=order.ties.width,
                since=None if order.since is None else to_millis(order.since),
            )
        elif order.count:
            rows += add_sales(
                world,
                creator,
                order.count,
                since=None if order.since is None else to_millis(order.since),
                until=None if order.until is None else to_millis(order.until),
                visible_at=None if order.visible_at is None else to_millis(order.visible_at),
            )
        for sale in order.rows:
            rows += add_sale(world, creator, sale)
        return rows

    def add_reversals(self, _query: dict[str, str], body: Any) -> Any:
        """Add refunds or chargebacks."""
        order = orders.NewReversals.model_validate(body)
        world = self._sim.world
        creator = world.creator(order.creator)
        with nullcontext() if order.announce else world.silence():
            rows = add_reversals(
                world,
                creator,
                count=order.count,
                order_ids=order.order_ids,
                kind=order.kind,
                at=None if order.at is None else to_millis(order.at),
            )
        return _echo(creator, rows)

    def buy_messages(self, _query: dict[str, str], body: Any) -> Any:
        """Let fans buy locked messages."""
        order = orders.NewPurchases.model_validate(body)
        world = self._sim.world
        creator = world.creator(order.creator)
        with nullcontext() if order.announce else world.silence():
            bought = buy_messages(
                world, creator, order.message_uuids, count=order.count, fan_uuid=order.fan_uuid
            )
        return {
            "purchases": [
                {
                    "message_uuid": message.uuid,
                    "fan_uuid": fan.uuid,
                    "order_id": row.order_id,
                    "gross_cents": row.gross,
                    "purchased_at": row.date,
                }
                for fan, message, row in bought
            ]
        }

    def pay_out(self, _query: dict[str, str], body: Any) -> Any:
        """Pay out the available balance."""
        order = orders.Payout.model_validate(body)
        creator = self._sim.world.creator(order.creator)
        return {"creator": creator.uuid, "paid_out_cents": pay_out(self._sim.world, creator)}

    def set_status(self, _query: dict[str, str], body: Any) -> Any:
        """Set an account's status."""
        order = orders.AccountStatus.model_validate(body)
        creator = self._sim.world.creator(order.creator)
        set_status(self._sim.world, creator, order.status)
        return {"creator": creator.uuid, "status": creator.status}

    def flip_statuses(self, _query: dict[str, str], body: Any) -> Any:
        """Make pending rows available."""
        order = orders.StatusFlips.model_validate(body)
        creator = self._sim.world.creator(order.creator)
        rows = flip_statuses(self._sim.world, creator, count=order.count, order_ids=order.order_ids)
        return _echo(creator, rows)


def _echo(creator: Creator, rows: list[Transaction]) -> dict[str, Any]:
    return {
        "creator": creator.uuid,
        "count": len(rows),
        "gross_cents": sum(row.gross for row in rows),
        "net_cents": sum(row.net for row in rows),
        "rows": [
            {
                "order_id": row.order_id,
                "date": row.date,
                "source": row.source,
                "gross_cents": row.gross,
                "net_cents": row.net,
                "fan_uuid": None if row.fan is None else row.fan.uuid,
                "message_uuid": row.message_uuid,
                "post_uuid": row.post_uuid,
            }
            for row in rows[:MAX_ECHOED_ROWS]
        ],
    }
