"""A typed client of the control API, for tests and demos.

It only speaks HTTP to /_sim; it knows nothing of the simulator's insides.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.life_client import LifeControl
from simulator.truths import Books, RequestCounts, read_books, read_counts


if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """A ready pair of tokens."""

    access_token: str
    refresh_token: str | None
    expires_in: int
    creator_uuid: str


class SimulatorControl(LifeControl):
    """Steers a running simulator; every method is one control call and raises on failure."""

    def world(self) -> dict[str, Any]:
        """Return agencies and creators."""
        return self._call("GET", "world")

    def books(self, creator: str, upto_ms: int | None = None) -> Books:
        """Return a creator's exact totals, of rows dated before `upto_ms` if given."""
        answer = self._call("GET", "books", query={"creator": creator, "upto_ms": upto_ms})
        return read_books(answer)

    def all_books(self) -> dict[str, Any]:
        """Return the totals of every creator and their sum."""
        return self._call("GET", "books")

    def add_sales(
        self,
        creator: str,
        count: int = 0,
        *,
        rows: list[dict[str, Any]] | None = None,
        **order: Any,
    ) -> dict[str, Any]:
        """Add so many varied sales, or described rows; see `control.orders.NewSales`."""
        body = {"creator": creator, "count": count, "rows": rows or [], **order}
        return self._call("POST", "sales", body)

    def add_reversals(self, creator: str, count: int = 1, **order: Any) -> dict[str, Any]:
        """Refund or charge back sales; see `control.orders.NewReversals`."""
        return self._call("POST", "reversals", {"creator": creator, "count": count, **order})

    def pay_out(self, creator: str) -> int:
        """Pay out the available balance now; return the cents."""
        return int(self._call("POST", "payouts", {"creator": creator})["paid_out_cents"])

    def set_account_status(self, creator: str, status: str) -> None:
        """Let an account be `active` or `suspended`."""
        self._call("POST", "account-status", {"creator": creator, "status": status})

    def flip_statuses(self, creator: str, **order: Any) -> dict[str, Any]:
        """Make pending rows available for payout."""
        return self._call("POST", "status-flips", {"creator": creator, **order})

    def happen(self, *orders: dict[str, Any]) -> list[dict[str, Any]]:
        """Let many things happen in one call; each order has `do`, a route, and its fields."""
        return list(self._call("POST", "batch", {"orders": orders})["answers"])

    def set_webhook_target(
        self, url: str, secret: str, previous_secret: str | None = None
    ) -> dict[str, Any]:
        """Send all events to a loopback address from now on."""
        body = {"url": url, "secret": secret, "previous_secret": previous_secret}
        return self._call("POST", "webhooks/target", body)

    def drop_webhook_target(self) -> None:
        """Send events to registered subscriptions only."""
        self._call("DELETE", "webhooks/target")

    def send_webhook(
        self,
        creator: str,
        kind: str = "test",
        body: dict[str, Any] | None = None,
        raw: bytes | None = None,
    ) -> dict[str, Any]:
        """Send an event made by hand; see `control.press.Sample`."""
        order: dict[str, Any] = {"creator": creator, "kind": kind, "body": body or {}}
        if raw is not None:
            order["raw"] = b64encode(raw).decode()
        return self._call("POST", "webhooks/send", order)

    def webhooks(self, creator: str | None = None, **query: Any) -> dict[str, Any]:
        """Return counters and the log of deliveries; see `control.press.Press.read`."""
        return self._call("GET", "webhooks", query={"creator": creator, **query})

    def flush_webhooks(self, timeout_seconds: float = 300) -> dict[str, Any]:
        """Wait until no delivery is pending; return the counters and whether it is `done`."""
        body = {"timeout_seconds": timeout_seconds}
        return self._call("POST", "webhooks/flush", body, timeout=timeout_seconds + 60)

    def clear_webhooks(self) -> None:
        """Forget all deliveries, also those on their way."""
        self._call("DELETE", "webhooks")

    def knobs(self, creator: str | None = None) -> dict[str, Any]:
        """Return the knobs in force."""
        return self._call("GET", "knobs", query={"creator": creator})

    def turn(self, creator: str | None = None, /, **knobs: Any) -> dict[str, Any]:
        """Set the named knobs."""
        return self._call("PATCH", "knobs", knobs, query={"creator": creator})

    def reset_knobs(self, creator: str | None = None, /, **knobs: Any) -> dict[str, Any]:
        """Return to the defaults plus the named knobs."""
        return self._call("PUT", "knobs", knobs, query={"creator": creator})

    def add_fault(self, kind: str, path: str = ".*", **rule: Any) -> dict[str, Any]:
        """Arm a fault on requests whose path matches; see `faults.Fault`."""
        match = {"path": path}
        for name in ("method", "creator"):
            if name in rule:
                match[name] = rule.pop(name)
        return self._call("POST", "faults", {"match": match, "kind": kind, **rule})

    def faults(self) -> list[dict[str, Any]]:
        """Return the armed faults and how often they hit."""
        return list(self._call("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._call("DELETE", "faults")

    def clock(self) -> dict[str, Any]:
        """Return the simulator's time."""
        return self._call("GET", "clock")

    def advance(self, seconds: float) -> dict[str, Any]:
        """Move time."""
        return self._call("POST", "clock", {"advance_seconds": seconds})

    def set_clock(self, moment: datetime) -> dict[str, Any]:
        """Jump to an instant."""
        return self._call("POST", "clock", {"set": moment.isoformat()})

    def freeze(self, *, frozen: bool = True) -> dict[str, Any]:
        """Freeze or thaw time."""
        return self._call("POST", "clock", {"freeze": frozen})

    def grant(self, creator: str, **order: Any) -> Grant:
        """Return a ready grant of a creator, or of any account by its uuid."""
        return _grant(self._call("POST", "grants", {"creator": creator, **order}))

    def agency_grant(self, agency: str, **order: Any) -> Grant:
        """Return a ready grant of an agency's administrator."""
        return _grant(self._call("POST", "grants", {"agency": agency, **order}))

    def add_client(
        self, client_id: str, client_secret: str, redirect_uris: list[str] | None = None
    ) -> None:
        """Register an OAuth client."""
        body = {"client_id": client_id, "client_secret": client_secret}
        self._call("POST", "clients", {**body, "redirect_uris": redirect_uris or []})

    def expire_tokens(self, creator: str) -> int:
        """Let a creator's access tokens run out; return how many did."""
        return int(self._call("POST", "tokens/expire", {"creator": creator})["expired"])

    def kill_chain(self, creator: str) -> int:
        """Revoke a creator's grants; return how many were alive."""
        return int(self._call("POST", "tokens/kill-chain", {"creator": creator})["killed"])

    def requests(
        self,
        path: str | None = None,
        creator: str | None = None,
        since: int | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the request log."""
        query = {"path": path, "creator": creator, "since": since, "limit": limit}
        return list(self._call("GET", "requests", query=query)["requests"])

    def request_counts(
        self,
        since: int | None = None,
        by: tuple[str, ...] = ("creator", "template", "status"),
        *,
        path: str | None = None,
        creator: str | None = None,
    ) -> RequestCounts:
        """Count requests after an entry, or all; see `journal.FACETS` for what to count by.

        `path` is a part of the template, such as /v1/creators/{creatorUserUuid}/chats.
        """
        query = {"since": since, "by": ",".join(by), "path": path, "creator": creator}
        return read_counts(self._call("GET", "requests/counts", query=query))

    def clear_requests(self) -> None:
        """Forget the request log."""
        self._call("DELETE", "requests")

    def stats(self) -> dict[str, Any]:
        """Return counters and bucket use."""
        return self._call("GET", "stats")

    def clear_stats(self) -> None:
        """Forget counters and buckets."""
        self._call("DELETE", "stats")


def _grant(answer: dict[str, Any]) -> Grant:
    return Grant(
        answer["access_token"],
        answer["refresh_token"],
        answer["expires_in"],
        answer["creator_uuid"],
    )
