"""The promises that a demo run must keep, judged from what both sides recorded. Pure.

They judge what the engine did: counts, exactness, calls, losses. How long it took is a fact about
the machine as much, and stands beside them as figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from local.demo.audience import Content
from local.demo.calls import judge_calls
from local.demo.promise import Figure, Promise
from local.demo.watching import judge_watching


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.demo.books import GrantBooks, ModelBooks
    from local.demo.calls import Calls
    from local.demo.pace import Pace
    from local.demo.watching import Watched


@dataclass(frozen=True, slots=True)
class Records:
    """What both sides say at the end of a run."""

    ours: Mapping[str, ModelBooks]
    # Fanvue's books by creator: count, gross_cents, net_cents.
    theirs: Mapping[str, Mapping[str, Any]]
    # People and content, by creator.
    our_content: Mapping[str, Content]
    their_content: Mapping[str, Content]
    grants: Sequence[GrantBooks]
    calls: Calls
    # What the reconciliation said.
    proof: Mapping[str, Any]
    stats: Mapping[str, Any]
    # Fanvue's counters of its webhook deliveries.
    deliveries: Mapping[str, int]
    runs: Mapping[str, Any]
    # What each worker said of itself whenever it stopped.
    workers: Sequence[Mapping[str, Any]]
    # The same of the time in which news arrived, alone.
    shift: Sequence[Mapping[str, Any]]
    # When the workers had stopped for good.
    queue: Mapping[str, int]
    # What happened meanwhile, counted by kind.
    news: Mapping[str, int]
    watched: Watched
    pace: Pace
    # Sales that were announced while no worker was at work, and how many rows that made.
    announced: int
    booked: int
    caught_up: bool = field(default=True)


def check_promises(records: Records) -> list[Promise]:
    """Judge every promise."""
    return [
        *_books(records),
        _content(records),
        _news(records),
        _webhooks(records),
        _announced(records),
        _rollups(records),
        *judge_watching(records.watched),
        _proof(records),
        _streams(records),
        *judge_calls(records.calls),
        _throttling(records),
        *_tokens(records),
        _outcomes(records),
        _claims(records),
        _schedule(records),
    ]


def take_figures(records: Records) -> list[Figure]:
    """Say how fast it went, and how fast nothing went in the same minutes."""
    arrival, pace = records.runs["arrival"], records.pace
    told = [worker["pickup_ms"] for worker in records.shift if worker["claimed"]]
    # The slower worker's word: seconds from due to claimed.
    p50, p95 = (max((one[at] / 1000 for one in told), default=0.0) for at in ("p50", "p95"))
    return [
        Figure(
            "from a sale to its row in the books",
            f"p50 {arrival['p50']:.2f} s, p95 {arrival['p95']:.2f} s of {arrival['rows']} rows",
        ),
        Figure(
            "from due to claimed",
            f"p50 {p50:.2f} s, p95 {p95:.2f} s of {_claimed(records.shift)} claims",
        ),
        Figure(
            "a call that does nothing, meanwhile",
            f"p50 {pace.p50:.2f} s, p95 {pace.p95:.2f} s of {pace.trips}, "
            f"slowest {pace.slowest:.2f} s",
        ),
    ]


def _books(records: Records) -> list[Promise]:
    promises = []
    for creator, theirs in sorted(records.theirs.items(), key=lambda item: -item[1]["count"]):
        ours = records.ours.get(creator)
        name = creator if ours is None else ours.handle
        gross, net = _dollars(theirs["gross_cents"]), _dollars(theirs["net_cents"])
        holds = ours is not None and (ours.count, ours.gross, ours.net) == (
            theirs["count"],
            gross,
            net,
        )
        figure = f"{theirs['count']:,} rows, gross ${gross:,.2f}, net ${net:,.2f}"
        if not holds and ours is not None:
            figure = (
                f"{ours.count:,} rows, ${ours.gross:,.2f}, ${ours.net:,.2f} instead of {figure}"
            )
        promises.append(Promise(f"books of {name} equal Fanvue's", figure, holds))
    return promises


def _content(records: Records) -> Promise:
    wrong = []
    for creator, theirs in records.their_content.items():
        differences = records.our_content.get(creator, Content()).differences(theirs)
        if differences:
            ours = records.ours.get(creator)
            wrong.append(f"{creator if ours is None else ours.handle}: {', '.join(differences)}")
    everyone = records.their_content.values()
    figure = (
        f"{sum(one.fans for one in everyone):,} fans, "
        f"{sum(len(one.chats) for one in everyone):,} chats, "
        f"{sum(len(one.messages) for one in everyone):,} messages, "
        f"{sum(len(one.posts) for one in everyone):,} posts"
    )
    if wrong:
        figure = f"{figure}; not the same: {'; '.join(wrong)}"
    exact = not wrong and bool(records.their_content)
    return Promise("fans, chats, messages and posts equal Fanvue's", figure, exact)


def _news(records: Records) -> Promise:
    told = ", ".join(f"{count} {kind}" for kind, count in records.news.items())
    return Promise("everything that happened meanwhile arrived", told, records.caught_up)


def _webhooks(records: Records) -> Promise:
    sent, events = records.deliveries, records.runs["webhooks"]
    became = ", ".join(f"{count} {status}" for status, count in sorted(events.items()))
    figure = f"{sent['delivered']} of {sent['deliveries']} acknowledged ({became or 'none sent'})"
    lost = sent["deliveries"] - sent["delivered"]
    stuck = events.get("failed", 0) + events.get("parked", 0)
    return Promise("every webhook is taken and applied", figure, not lost and not stuck)


def _announced(records: Records) -> Promise:
    figure = f"{records.booked} of {records.announced} while no worker was at work"
    holds = records.booked == records.announced > 0
    return Promise("a sale is in the books by its webhook alone", figure, holds)


def _rollups(records: Records) -> Promise:
    wrong = [
        model.handle
        for model in records.ours.values()
        if model.daily != (model.count, model.gross, model.net)
        or model.revenue_total != model.gross
    ]
    figure = f"{len(records.ours) - len(wrong)} of {len(records.ours)} creators"
    return Promise("daily sums and totals equal the rows", figure, not wrong)


def _proof(records: Records) -> Promise:
    proof = records.proof
    proved = [one for one in proof["models"] if one["state"] == "succeeded"]
    rows = sum(int(one["rows"]) for one in proved)
    figure = (
        f"{len(proved)} of {len(records.ours)} creators, {rows:,} rows read again, "
        f"{len(proof['mended'])} mended, {proof['open']} findings"
    )
    failed = next((one for one in proof["models"] if one["state"] != "succeeded"), None)
    if failed is not None:
        figure = f"{figure}; {failed['handle']}: {failed['error']}"
    sound = len(proved) == len(records.ours) and not proof["mended"] and not proof["open"]
    return Promise("reconciliation finds no drift", figure, sound)


def _streams(records: Records) -> Promise:
    streams = records.runs["streams"]
    figure = f"{streams['finished']} of {streams['all']} over {len(records.ours)} creators"
    done = streams["finished"] == streams["all"] > 0
    return Promise("every stream finished", figure, done)


def _throttling(records: Records) -> Promise:
    total = records.stats["total"]
    windows = [bucket["max_used"] for bucket in records.stats["buckets"].values()]
    figure = f"{total['throttled']} answers 429, fullest window {max(windows, default=0)} calls"
    # Each call was granted before it was made; where the machine stood still in between, it may
    # have come into a later window than the one it was granted in.
    return Promise(
        *("the rate limit is never broken", _with_stall(records, figure, total["throttled"])),
        records.pace.excuses(total["throttled"]),
    )


def _tokens(records: Records) -> list[Promise]:
    total, accounts = records.stats["total"], records.stats["creators"]
    grants = records.grants
    refreshed = [accounts.get(one.account, {}).get("refreshes", 0) for one in grants]
    # Connecting trades the consent's token for version 1; every expiry stores one more.
    stored = sum(one.token_version for one in grants)
    repeated, killed = total["grace_hits"], total["chain_kills"]
    lost = {one.handle for one in records.ours.values() if one.status != "active"}
    lost |= {one.name for one in grants if one.status != "active"}
    return [
        Promise(
            "tokens are refreshed while they are used",
            f"{sum(refreshed)} refreshes over {len(grants)} grants",
            bool(grants) and all(count > 1 for count in refreshed),
        ),
        Promise(
            "each expiry costs one refresh, stored",
            _with_stall(records, f"{stored} stored, {repeated} repeated", repeated),
            # What could not be stored in time is asked for again, and Fanvue gives the same.
            stored == sum(refreshed) and records.pace.excuses(repeated),
        ),
        Promise(
            "no grant is lost",
            f"{killed} chains killed, {len(lost)} to reconnect",
            not killed + len(lost),
        ),
    ]


def _outcomes(records: Records) -> Promise:
    outcomes = records.runs["outcomes"]
    told = ", ".join(f"{count} {state}" for state, count in sorted(outcomes.items()))
    bad = records.queue["dead"] + outcomes.get("failed", 0) + outcomes.get("partial", 0)
    return Promise("every job succeeds", f"{told}, {records.queue['dead']} dead", bad == 0)


def _claims(records: Records) -> Promise:
    due, running = records.queue["due"], records.queue["running"]
    figure = f"{_claimed(records.workers)} claims, {due} left due, {running} left running"
    holds = _claimed(records.workers) > 0 and not due and not running
    return Promise("all due work is picked up and settled", figure, holds)


def _claimed(workers: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(worker["claimed"]) for worker in workers)


def _with_stall(records: Records, figure: str, concerned: int) -> str:
    if not concerned or not records.pace.stalled:
        return figure
    return f"{figure}; the machine stood still for {records.pace.slowest:.1f} s"


def _schedule(records: Records) -> Promise:
    ticks = int(records.runs["ticks"])
    return Promise("pg_cron keeps the schedule", f"{ticks} ticks", ticks > 0)


def _dollars(cents: int) -> Decimal:
    return Decimal(cents) / 100
