"""Who pays: top spenders, and what is known of one fan or of several.

All figures come from the ledger, so they agree with the earnings rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.audience import Spender
from simulator.audience import top_spenders as biggest
from simulator.call import UUID, Family, check_uuid
from simulator.clock import stamp
from simulator.endpoint import Endpoint
from simulator.endpoints.fan_card import fan_card
from simulator.paging import numbered
from simulator.replies import Invalid, Reply


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.people import Fan
    from simulator.transactions import Transaction


MAX_BULK = 20
MAX_BATCH = 100


def top_spenders(call: Call) -> Reply:
    """Answer /insights/top-spenders, biggest first."""
    start, end = call.window()
    ledger = call.creator.ledger
    key = ("spenders", call.creator.uuid, start, end)
    version, found = call.cache.get(key, (None, []))
    if version != ledger.version:
        found = biggest(call.creator, start, end)
        call.cache[key] = (ledger.version, found)
    return numbered(call, found, _spender)


def fan_insight(call: Call) -> Reply:
    """Answer /insights/fans/{userUuid}."""
    return Reply(_insight(call, call.fan()))


def fan_insights(call: Call) -> Reply:
    """Answer /insights/fans?fanUuids=…: what is found, and an error for each that is not."""
    wanted = call.words("fanUuids")
    if not 1 <= len(wanted) <= MAX_BULK:
        raise Invalid(f"fanUuids must contain between 1 and {MAX_BULK} elements")
    results: dict[str, Any] = {}
    errors = []
    for text in wanted:
        uuid = check_uuid(text, "fanUuids")
        fan = call.creator.fans_by_uuid.get(uuid)
        results[uuid] = None if fan is None else _insight(call, fan)
        if fan is None:
            message = "Fan is not connected to this creator"
            errors.append({"fanUuid": uuid, "code": "NOT_FOUND", "message": message})
    return Reply({"results": results, "errors": errors})


def fan_batch(call: Call) -> Reply:
    """Answer POST /insights/fans/batch: a map with an error for each that is not found."""
    wanted = call.body.get("userUuids") if isinstance(call.body, dict) else None
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MAX_BATCH:
        raise Invalid(f"userUuids must contain between 1 and {MAX_BATCH} elements")
    if not all(isinstance(uuid, str) and UUID.fullmatch(uuid) for uuid in wanted):
        raise Invalid("each value in userUuids must be a UUID")
    fans = call.creator.fans_by_uuid
    return Reply(
        {
            uuid: _insight(call, fans[uuid]) if uuid in fans else {"error": "not_found"}
            for uuid in wanted
        }
    )


def _spender(spender: Spender) -> dict[str, Any]:
    return {
        "gross": spender.gross,
        "net": spender.net,
        "messages": spender.messages,
        "user": fan_card(spender.fan),
    }


def _insight(call: Call, fan: Fan) -> dict[str, Any]:
    """Describe a fan; in v1 every figure is both gross and net of reversals."""
    rows = call.creator.ledger.of_fan(fan.uuid)
    sales = [row for row in rows if not row.is_reversal]
    sources: dict[str, list[Transaction]] = {}
    for row in sales:
        sources.setdefault(row.source, []).append(row)
    subscription = fan.subscription
    active = subscription is not None and subscription.is_active(call.now)
    status = "subscriber" if active else "expired" if subscription else "follower"
    return {
        "status": status,
        "spending": {
            "lastPurchaseAt": sales[-1].date if sales else None,
            "total": _amount(call, sales),
            "maxSinglePayment": _amount(call, sorted(sales, key=lambda r: r.gross)[-1:]),
            "sources": {name: _amount(call, found) for name, found in sorted(sources.items())},
        },
        "subscription": {
            "createdAt": stamp(subscription.first_at) if subscription else None,
            "renewsAt": stamp(subscription.period(call.now)[1])
            if subscription and subscription.auto_renews
            else None,
            "autoRenewalEnabled": bool(subscription and subscription.auto_renews),
        },
    }


def _amount(call: Call, rows: list[Transaction]) -> dict[str, int]:
    gross = sum(row.gross for row in rows)
    standing = sum(row.gross for row in rows if row.reversed_by is None)
    return {"gross": gross, "total": standing if call.v1 else gross}


ENDPOINTS = [
    Endpoint("/insights/top-spenders", ("read:insights", "read:fan"), top_spenders),
    Endpoint(
        "/insights/fans/top-spenders",
        ("read:insights", "read:fan"),
        top_spenders,
        families=(Family.V1,),
    ),
    Endpoint("/insights/fans", ("read:insights", "read:fan"), fan_insights, twin=False),
    Endpoint(
        "/insights/fans/batch", ("read:insights", "read:fan"), fan_batch, method="POST", twin=False
    ),
    Endpoint("/insights/fans/{userUuid}", ("read:insights", "read:fan"), fan_insight, twin=False),
]
