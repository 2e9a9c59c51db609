"""Agencies, users and creators for a browser to look at; every test makes its own.

Sales happen at the simulated Fanvue and arrive by its webhooks. Judges nothing.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg

from tests.support.browser import sign_up
from tests.support.deliveries import deliver_all


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.stack import Stack
    from simulator.client import SimulatorControl
    from tests.support.browser import User
    from tests.support.engine import Engine


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency, one of its users, and its creators."""

    id: str
    name: str
    owner: User

    @property
    def topic(self) -> str:
        """Where its pushes are told."""
        return f"agency:{self.id}"


@dataclass(frozen=True, slots=True)
class Sold:
    """A sale or a refund as Fanvue has it."""

    fanvue_id: str
    amount: Decimal


@dataclass(slots=True)
class BrowserStage:
    """What runs between Fanvue and the dashboard, but for the browser."""

    environment: Mapping[str, str]
    engine: Engine
    dashboard: str
    _aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    @property
    def fanvue(self) -> SimulatorControl:
        """The simulated Fanvue."""
        return self.engine.fanvue

    @property
    def database(self) -> psycopg.Connection[Any]:
        """The database, as its owner."""
        return self.engine.database

    @property
    def connect_settings(self) -> dict[str, str]:
        """What the function that connects accounts needs to know of this Fanvue and dashboard."""
        given = ("FANVUE_API_URL", "FANVUE_AUTH_URL", "FANVUE_CLIENT_ID", "FANVUE_CLIENT_SECRET")
        known = {name: self.engine.environment[name] for name in given}
        return {**known, "DASHBOARD_URL": self.dashboard}

    def aside(self, work: Callable[[], Any]) -> Any:
        """Do what runs an event loop in another thread: the browser has one in this."""
        return self._aside.submit(work).result()

    def sign_up(self) -> User:
        """Make a user who belongs to no agency."""
        return sign_up(self.environment)

    def new_agency(self, name: str = "Agency") -> Agency:
        """Make an agency with an owner and without creators."""
        unique = f"{name} {uuid.uuid4().hex[:6]}"
        made = self.one("insert into public.agencies (name) values (%s) returning id::text", unique)
        owner = self.sign_up()
        self.add_member(made, owner)
        return Agency(made, unique, owner)

    def add_member(self, agency_id: str, user: User) -> None:
        """Let a user see an agency."""
        self.database.execute(
            "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'owner')",
            (agency_id, user.id),
        )

    def new_creator(self, agency: Agency, transactions: int = 0, **order: Any) -> str:
        """Add a creator to Fanvue and connect them; return their uuid at Fanvue."""
        made = self.fanvue.add_creators(transactions=transactions, **order)
        creator = made[0]["uuid"]
        self.aside(lambda: self.engine.connect(creator, agency.name))
        return creator

    def model(self, creator: str) -> str:
        """Return the id of a creator's model."""
        return self.engine.models[creator]

    def sell(self, creator: str, *cents: int) -> list[Sold]:
        """Sell at Fanvue, once for each amount; returns when the announcements were delivered."""
        rows = [{"source": "message", "gross_cents": each} for each in cents]
        sold = _sold(self.fanvue.add_sales(creator, rows=rows))
        self.deliver()
        return sold

    def refund(self, creator: str, sale: Sold) -> Sold:
        """Take a sale back at Fanvue."""
        (row,) = _sold(self.fanvue.add_reversals(creator, order_ids=[sale.fanvue_id]))
        self.deliver()
        return row

    def deliver(self) -> None:
        """Deliver what Fanvue announced."""
        deliver_all(self.fanvue, self.database)

    def drain(self) -> None:
        """Run a worker here until nothing is due and nothing runs."""
        self.aside(self.engine.drain)

    def one(self, statement: str, *values: Any) -> Any:
        """Return the only column of the only row of a query."""
        row = self.database.execute(statement.encode(), values).fetchone()
        assert row is not None
        return row[0]

    def gross(self, agency: Agency) -> str:
        """Return the agency's gross of all days, as the page writes it."""
        return str(
            self.one(
                "select coalesce(sum(amount), 0)::numeric(14,2)::text"
                " from public.fanvue_transactions where agency_id = %s",
                agency.id,
            )
        )

    def restart_database(self, local_stack: Stack) -> None:
        """Restart PostgreSQL, which ends every connection to it."""
        self.database.close()
        local_stack.stop_postgres()
        local_stack.start_postgres()
        url = self.environment["SUPABASE_DB_URL"]
        self.engine.database = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        """Let go of the thread and of the database."""
        self._aside.shutdown()
        self.database.close()


def _sold(answer: dict[str, Any]) -> list[Sold]:
    return [Sold(row["order_id"], Decimal(row["gross_cents"]) / 100) for row in answer["rows"]]
