"""What an engine costs a month: a day's costs, reckoned for so many creators, against plans.

Reckoned on the dear side: one agency has all creators, every dashboard shows all of them, of what
Supabase answers nothing is compressed (our function compresses its own answers), changes come at
any moment instead of with the tick, and after each, or when a gap is over, every open dashboard
fetches and the cache is filled anew. What is kept for a time is there in full; of data that stays,
a month's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.support.news import RHYTHM
from worker.runner import TOLD_WAIT
from worker.schedule import REAP_EVERY
from worker.stats_cache import GATHERING, UNREAD


if TYPE_CHECKING:
    from tests.support.day_costs import Costs


MB: Final = 1_000_000
GB: Final = 1000 * MB
DAYS: Final = 30
DASHBOARDS: Final = 3
OPEN_SECONDS: Final = 8 * 3600
# Of a day's sales those in these hours, from ten to six (tests/support/news.py).
OPEN_SHARE: Final = sum(RHYTHM[10:18]) / sum(RHYTHM)
DAY_SECONDS: Final = 86_400
# The dashboard's own clocks (whether figures changed, everything), the least time between two
# fetches of its sums, and the sales on its first page (examples/dashboard/lib).
LOOK_SECONDS: Final = 60
WHOLE_SECONDS: Final = 300
SUMS_GAP_SECONDS: Final = 10
FEED_ROWS: Final = 50
# An idle worker's claims while Realtime tells it of work (worker/runner.py), and what one
# answers; their headers included.
CLAIM_SECONDS: Final = TOLD_WAIT.total_seconds()
CLAIM_BYTES: Final = 450
TICKS_A_DAY: Final = 1440
# An idle worker's own clockwork (worker/schedule.py), headers included: the reaper's answer, and
# each minute's: the tick, late webhooks, pruning, alerts.
REAP_BYTES: Final = 246
TICK_BYTES: Final = 262 + 275 + 278 + 250
STREAMS: Final = 8
# A response's headers as the worker's calls have them; a dashboard's are no shorter.
HEADER_BYTES: Final = 190
# An empty project with the migrations.
EMPTY_MB: Final = 30
# A fetch after a change: GET, SET NX, SET XX, DEL; the others that ask at that moment: GET, SET NX,
# MGET. Where a value ran out, three more note that it is read.
FILL_COMMANDS: Final = 4 + 3 * (DASHBOARDS - 1)
# What a look finds: looks are spread, so that the others find what the first one filled.
LOOK_COMMANDS: Final = 4 + (DASHBOARDS - 1)
NOTE_COMMANDS, VALUE_SECONDS = 3, 600
# What a worker asks and replaces after a change: the ranges read, and the one that all show.
REFRESH_COMMANDS: Final = 2
# A stored announcement with its entries in the indexes, and one of money that was emptied, with
# what is dead beside it; for how long they are kept (private.retention). Each is one call of the
# webhook function.
EVENT_BYTES: Final = 1_200
BOOKED_BYTES: Final = 850
PLAIN_DAYS, PAYLOAD_DAYS, MONEY_DAYS = 7, 14, 90
# A creator's share of compressed figures among 200 who all sell; a played day has few that do.
STATS_BYTES_OF_A_CREATOR: Final = 82
# Realtime keeps its messages for three days.
MESSAGE_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Quota:
    """What the free plan and the first paid one include (docs/costs.md says where from)."""

    name: str
    unit: str
    free: float
    paid: float | None


QUOTAS: Final = (
    Quota("database", "MB", 500, 8_000),
    Quota("Realtime messages", "", 2_000_000, 5_000_000),
    Quota("function calls", "", 500_000, 2_000_000),
    Quota("egress", "MB", 5_000, 250_000),
    # pay as you go: 0.20 dollars for 100,000
    Quota("Upstash commands", "", 500_000, None),
)


def _gathered(times: float, gap: float) -> float:
    """Return how often something is done for so many occasions a day that come by chance.

    It is done at once, and no more for a while: all that comes meanwhile is done together.
    """
    return times / (1 + times * gap / OPEN_SECONDS)


def month_of(costs: Costs, creators: int, *, messages: bool = True) -> dict[str, float]:
    """Return what so many creators cost a month, by the names of QUOTAS.

    `messages`: whether Fanvue announces them, or leaves them to polls.
    """
    announced = sum(n for about, n in costs.announced.items() if messages or about != "chats")
    looks = DASHBOARDS * OPEN_SECONDS / LOOK_SECONDS
    whole = DASHBOARDS * OPEN_SECONDS / WHOLE_SECONDS
    # each sale is told when it is announced, and once more when a poll has confirmed it
    sales_open = creators * costs.sales * OPEN_SHARE
    refreshes = creators * costs.refreshes_open + sales_open
    told_of = _gathered(refreshes, SUMS_GAP_SECONDS)
    found = _gathered(creators * costs.counted_open, LOOK_SECONDS)
    changes = DASHBOARDS * (told_of + found)
    heard = DASHBOARDS * creators * costs.hints_open
    sold = DASHBOARDS * refreshes
    told = 2 * min(costs.worker_messages, TICKS_A_DAY)
    share = max(costs.stats_bytes_of_a_creator, STATS_BYTES_OF_A_CREATOR)
    stats = costs.stats_bytes + creators * share
    health = costs.health_bytes * costs.health_changed
    fetched = (
        changes * stats
        + looks * costs.head_bytes
        + whole * (costs.feed_bytes + creators * (costs.overview_bytes + health))
        # a hint about one creator fetches what changed of that one's streams since everything was
        # looked at, and now; about money that one's sales
        + heard * (health + costs.health_bytes / STREAMS)
        + sold * (FEED_ROWS / creators + 1) * costs.feed_bytes / FEED_ROWS
        + (heard + DASHBOARDS * sales_open) * costs.hint_bytes
        # figures, and at most so often sales, after a change; sales and streams after a hint; the
        # look each minute; and at a look at everything the figures, sales, creators and streams
        + (2 * changes + sold + heard + looks + 4 * whole) * HEADER_BYTES
    )
    idle = (
        DAY_SECONDS / CLAIM_SECONDS * CLAIM_BYTES
        + DAY_SECONDS / REAP_EVERY.total_seconds() * REAP_BYTES
        + TICKS_A_DAY * TICK_BYTES
    )
    polled = creators * (costs.refreshes_open + costs.counted_open)
    commands = (
        told_of * FILL_COMMANDS
        + found * LOOK_COMMANDS
        + OPEN_SECONDS / VALUE_SECONDS * NOTE_COMMANDS
        + _gathered(polled, GATHERING.total_seconds()) * REFRESH_COMMANDS
        # who finds that nobody reads asks again a while later
        + (DAY_SECONDS - OPEN_SECONDS) / UNREAD.total_seconds()
    )
    kept = creators * (
        costs.history_of_a_month
        + DAYS * costs.data_bytes
        + PLAIN_DAYS * (announced - costs.sales) * EVENT_BYTES
        + costs.sales * (PAYLOAD_DAYS * EVENT_BYTES + (MONEY_DAYS - PAYLOAD_DAYS) * BOOKED_BYTES)
        + MESSAGE_DAYS * (costs.hints + costs.sales) * costs.hint_bytes
    )
    return {
        "database": EMPTY_MB + kept / MB,
        "Realtime messages": DAYS
        * (creators * (costs.hints + costs.sales) + heard + DASHBOARDS * sales_open + told),
        "function calls": DAYS * (whole + changes + creators * announced),
        "egress": DAYS * (creators * costs.worker_bytes + idle + fetched) / MB,
        "Upstash commands": DAYS * commands,
    }
