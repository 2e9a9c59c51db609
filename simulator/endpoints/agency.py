"""What an agency's administrator sees across creators.

The lists never contain the connected account itself; a creator calling them is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.call import check_uuid
from simulator.clock import stamp
from simulator.endpoint import Endpoint
from simulator.endpoints.chats import chat_row
from simulator.endpoints.fan_card import fan_card
from simulator.endpoints.growth import days_between
from simulator.paging import numbered
from simulator.replies import Forbidden, Invalid, NotFound, Reply
from simulator.transactions import REWARD_SOURCES, SALES


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.people import Agency, Creator
    from simulator.transactions import Transaction


AGENCY_SCOPES = ("read:agency", "read:creator")
ADMINISTRATOR = "ADMIN"
PER_MILLE = {"EUR": 920, "GBP": 790}


def creators(call: Call) -> Reply:
    """Answer /creators; empty for an account that administers no agency."""
    found = [] if call.agency is None else call.agency.creators
    return numbered(call, found, _creator)


def earnings(call: Call) -> Reply:
    """Answer /agencies/earnings: paid sales per creator and UTC day, newest day first.

    Amounts are in minor units of the row's own currency, which knobs choose for each day.
    """
    start, end = _required_window(call)
    rows = [row for creator in _chosen(call) for row in _days(call, creator, start, end)]
    rows.sort(key=lambda row: (row["date"], row["creatorUuid"]), reverse=True)
    return numbered(call, rows, lambda row: row)


def subscribers(call: Call) -> Reply:
    """Answer /agencies/subscribers."""
    rows = [
        {
            **fan_card(fan),
            "creatorUuid": creator.uuid,
            "subscribedAt": stamp(fan.subscription.period(call.now)[0]),
            "expiresAt": stamp(fan.subscription.period(call.now)[1]),
        }
        for creator in _chosen(call)
        for fan in creator.subscribers(call.now)
        if fan.subscription
    ]
    return numbered(call, rows, lambda row: row)


def subscribers_history(call: Call) -> Reply:
    """Answer /agencies/subscribers-history: one row per creator and day, newest first."""
    start, end = _required_window(call)
    rows = [
        {
            "creatorUuid": creator.uuid,
            "date": stamp(day.start)[:10],
            "newSubscribersCount": day.new,
            "cancelledSubscribersCount": day.cancelled,
            "total": day.total,
        }
        for creator in _chosen(call)
        for day in days_between(creator, start, min(end, call.now + 1))
    ]
    rows.sort(key=lambda row: (str(row["date"]), str(row["creatorUuid"])), reverse=True)
    return numbered(call, rows, lambda row: row)


def chats(call: Call) -> Reply:
    """Answer /agencies/chats, newest message first."""
    pairs = [(creator, chat) for creator in _chosen(call) for chat in creator.chats.values()]
    pairs.sort(key=lambda pair: pair[1].last_message_at, reverse=True)
    return numbered(call, pairs, lambda pair: {**chat_row(*pair), "creatorUuid": pair[0].uuid})


def team_members(call: Call) -> Reply:
    """Answer /agencies/team-members: a bare array."""
    agency = _agency(call)
    owner = agency.owner
    access = [{"uuid": creator.uuid, "role": ADMINISTRATOR} for creator in agency.creators]
    return Reply(
        [
            {
                "uuid": owner.uuid,
                "isAdmin": True,
                "nickname": None,
                "email": owner.email,
                "displayName": owner.display_name,
                "creatorAccess": access,
            }
        ]
    )


def _days(call: Call, creator: Creator, start: int, end: int) -> list[dict[str, Any]]:
    """Return a creator's days; kept while the ledger stands still and time changes nothing."""
    key = ("agency days", creator.uuid, start, end)
    version, found = call.cache.get(key, (None, []))
    if version == creator.ledger.version and call.knobs.agency_pending:
        return list(found)
    days: dict[str, dict[str, Any]] = {}
    for row in creator.ledger.between(start, end, SALES):
        if not _is_paid(call, row):
            continue
        date = row.date[:10]
        empty = {"creatorUuid": creator.uuid, "date": date, "gross": 0, "net": 0}
        currency = call.knobs.agency_currencies.get(date, "USD")
        day = days.setdefault(date, {**empty, "currency": currency})
        day["gross"] += _minor_units(row.gross, currency)
        day["net"] += _minor_units(row.net, currency)
    call.cache[key] = (creator.ledger.version, list(days.values()))
    return list(days.values())


def _is_paid(call: Call, row: Transaction) -> bool:
    """Tell whether a sale counts as a paid invoice, as far as knobs leave it open."""
    knobs = call.knobs
    return (
        (knobs.agency_rewards or row.source not in REWARD_SOURCES)
        and (knobs.agency_pending or row.available_at <= call.now)
        and (knobs.agency_reversed or row.reversed_by is None)
    )


def _minor_units(cents: int, currency: str | None) -> int:
    """Convert US cents at a fixed rate; what has no known rate stays."""
    return cents * PER_MILLE.get(currency or "USD", 1000) // 1000


def _agency(call: Call) -> Agency:
    if call.agency is None:
        raise Forbidden
    return call.agency


def _chosen(call: Call) -> list[Creator]:
    """Return the agency's creators, or those named that are its own, up to date."""
    agency = _agency(call)
    wanted = {check_uuid(word, "creatorUuids") for word in call.words("creatorUuids")}
    own = {creator.uuid for creator in agency.creators}
    if not wanted <= own:
        raise NotFound("Creator not found")
    found = [c for c in agency.creators if not wanted or c.uuid in wanted]
    for creator in found:
        creator.ledger.settle(call.now)
    return found


def _required_window(call: Call) -> tuple[int, int]:
    start, end = call.window()
    if start is None or end is None:
        missing = [name for name in ("startDate", "endDate") if name not in call.query]
        raise Invalid(*(f"{name} must be an ISO 8601 datetime" for name in missing))
    return start, end


def _creator(creator: Creator) -> dict[str, Any]:
    return {
        "uuid": creator.uuid,
        "handle": creator.handle,
        "displayName": creator.user.display_name,
        "nickname": None,
        "isTopSpender": False,
        "avatarUrl": None,
        "registeredAt": stamp(creator.user.created_at),
        "role": ADMINISTRATOR,
    }


ENDPOINTS = [
    Endpoint("/creators", ("read:creator",), creators, twin=False),
    Endpoint("/agencies/earnings", AGENCY_SCOPES, earnings, twin=False),
    Endpoint("/agencies/subscribers", AGENCY_SCOPES, subscribers, twin=False),
    Endpoint("/agencies/subscribers-history", AGENCY_SCOPES, subscribers_history, twin=False),
    Endpoint("/agencies/chats", (*AGENCY_SCOPES, "read:chat"), chats, twin=False),
    Endpoint("/agencies/team-members", AGENCY_SCOPES, team_members, twin=False),
]
