"""The earnings summary and percentile.

Reversals are left out of every figure, so the summary does not reconcile with v1 rows; the
answer is cached per creator and parameters, so it may be minutes old.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulator.clock import stamp, to_millis
from simulator.endpoint import Endpoint
from simulator.replies import Invalid, Reply
from simulator.transactions import SALES, Transaction


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simulator.call import Call


GROUPS = {
    "subscription": "subs",
    "message": "messages",
    "post": "posts",
    "tip": "tips",
    "referral": "referrals",
    "affiliate": "referrals",
    "renewal": "renewals",
}
BY_SOURCE = ("subs", "messages", "posts", "tips", "referrals", "renewals", "other")
BY_TYPE = ("subs", "messages", "tips", "renewals")
GRANULARITIES = ("day", "week")
DAYS_PER_WEEK = 7
MAX_PERIODS = 4000


@dataclass(frozen=True, slots=True)
class Slip:
    """An error of the summary that no row explains, in US cents."""

    at: int
    gross: int
    net: int
    source: str = "tip"


Row = Transaction | Slip


def summary(call: Call) -> Reply:
    """Answer /insights/earnings/summary."""
    start, end = call.window()
    granularity = call.query.get("granularity", "day")
    if granularity not in GRANULARITIES:
        raise Invalid("granularity must be one of the following values: day, week")
    name = call.query.get("timezone", "UTC")
    zone = _zone(name)
    key = ("summary", call.creator.uuid, call.v1, start, end, granularity, name)
    made_at, body = call.cache.get(key, (None, None))
    age_limit = call.knobs.summary_cache_seconds * 1000
    if made_at is None or not 0 <= call.now - made_at < age_limit:
        rows: list[Row] = [*call.creator.ledger.between(start, end, SALES)]
        slips = _slips(call)
        rows += [s for s in slips if (start or 0) <= s.at and (end is None or s.at < end)]
        rows.sort(key=lambda row: row.at)
        body = {
            "totals": _totals(call, zone, slips),
            **_breakdowns(rows),
            "overTime": _over_time(call, rows, (start, end), zone, granularity),
            **_averages(rows, zone),
            "period": {
                "startDate": None if start is None else stamp(start),
                "endDate": None if end is None else stamp(end),
                "granularity": granularity,
                "timezone": name,
            },
        }
        call.cache[key] = (call.now, body)
    return Reply(body)


def percentile(call: Call) -> Reply:
    """Answer /insights/earnings/percentile: a fixed figure per creator."""
    return Reply({"percentile": int(call.creator.uuid[:4], 16) % 10_000 / 100})


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid("timezone must be a valid IANA timezone") from error


def _sum(rows: Iterable[Row]) -> dict[str, int]:
    gross = net = 0
    for row in rows:
        gross += row.gross
        net += row.net
    return {"gross": gross, "net": net}


def _slips(call: Call) -> list[Slip]:
    """Return the errors that knobs put into days, at each day's UTC noon."""
    noons = {
        day: to_millis(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
        for day in call.knobs.summary_error_cents
    }
    return [Slip(noons[day], cents, cents) for day, cents in call.knobs.summary_error_cents.items()]


def _totals(call: Call, zone: ZoneInfo, slips: list[Slip]) -> dict[str, Any]:
    ledger = call.creator.ledger
    now = datetime.fromtimestamp(call.now / 1000, tz=zone)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    before = (month - timedelta(days=1)).replace(day=1)
    month_ms, before_ms = to_millis(month), to_millis(before)
    this = _sum([*ledger.between(month_ms, None, SALES), *(s for s in slips if s.at >= month_ms)])
    previous = _sum(
        [
            *ledger.between(before_ms, month_ms, SALES),
            *(s for s in slips if before_ms <= s.at < month_ms),
        ]
    )
    whole, wrong = ledger.total(SALES), sum(slip.gross for slip in slips)
    return {
        "allTime": {"gross": whole.gross + wrong, "net": whole.net + wrong},
        "thisMonth": {
            **this,
            "previousMonthGross": previous["gross"],
            "previousMonthNet": previous["net"],
            "grossChangePercentage": _change(this["gross"], previous["gross"]),
            "netChangePercentage": _change(this["net"], previous["net"]),
        },
    }


def _change(this: int, previous: int) -> float | None:
    return None if previous == 0 else round((this - previous) * 100 / previous, 2)


def _breakdowns(rows: Sequence[Row]) -> dict[str, Any]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[GROUPS.get(row.source, "other")].append(row)
    return {
        "breakdownBySource": {name: _sum(groups[name]) for name in BY_SOURCE},
        "earningsByType": {name: _sum(groups[name]) for name in BY_TYPE},
    }


def _local(row: Row, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(row.at // 1000, tz=UTC).astimezone(zone)


def _period_start(moment: datetime, granularity: str) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if granularity == "week":
        midnight -= timedelta(days=midnight.weekday())
    return midnight


def _over_time(
    call: Call,
    rows: Sequence[Row],
    window: tuple[int | None, int | None],
    zone: ZoneInfo,
    granularity: str,
) -> list[dict[str, Any]]:
    """Return every period of the window up to now, empty ones included."""
    sums: defaultdict[datetime, list[Row]] = defaultdict(list)
    for row in rows:
        sums[_period_start(_local(row, zone), granularity)].append(row)
    start, end = window
    if start is None and not rows:
        return []
    first_ms = rows[0].at if start is None else start
    last_ms = min(call.now, call.now if end is None else end - 1)
    period = _period_start(datetime.fromtimestamp(first_ms // 1000, tz=zone), granularity)
    step = timedelta(days=1 if granularity == "day" else DAYS_PER_WEEK)
    result: list[dict[str, Any]] = []
    while to_millis(period) <= last_ms and len(result) < MAX_PERIODS:
        result.append({"periodStart": stamp(to_millis(period)), **_sum(sums[period])})
        period += step
    return result


def _averages(rows: Sequence[Row], zone: ZoneInfo) -> dict[str, Any]:
    """Return average gross per weekday (1 is Monday) and per hour, over days with sales."""
    weekdays: defaultdict[int, int] = defaultdict(int)
    hours: defaultdict[int, int] = defaultdict(int)
    days: defaultdict[int, set[str]] = defaultdict(set)
    for row in rows:
        local = _local(row, zone)
        weekdays[local.isoweekday()] += row.gross
        hours[local.hour] += row.gross
        days[local.isoweekday()].add(f"{local:%Y-%m-%d}")
    count = sum(len(found) for found in days.values())
    return {
        "averageByDayOfWeek": {
            str(day): weekdays[day] // max(1, len(days[day])) for day in range(1, 8)
        },
        "averageByHourOfDay": {str(hour): hours[hour] // max(1, count) for hour in range(24)},
    }


ENDPOINTS = [
    Endpoint("/insights/earnings/summary", ("read:insights",), summary),
    Endpoint("/insights/earnings/percentile", ("read:insights",), percentile, twin=False),
]
