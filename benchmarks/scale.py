"""What each step costs in small and in large databases: in turn on one server, as ratios.

Every creator has the same books at each size, so whatever grows depends on others' rows. The
lively creator's ledger alone grows with the size. Counted is the CPU of the server's process: what
others do on the machine shows less in it than in the time of day.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.crowd import open_towns
from benchmarks.ledger import commit_pages
from benchmarks.table import Row, compare
from benchmarks.webhooks import AIM_SQL_MS, Sender


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.crowd import Town
    from benchmarks.stage import Size, Stage


AIM_TICK_MS: Final = 250
CLAIM_LIMIT: Final = 2
TIMES: Final = 5
SHORT_READS: Final = 9
PAGES: Final = 3
SALES: Final = 100
REFUNDS: Final = 5

_READABLE = """
  select c.relname::text, string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    and has_column_privilege('authenticated', c.oid, a.attnum, 'select')
  group by c.oid
  order by c.relname
"""
_OPS = """
  select relname::text from pg_class
  where relnamespace = 'ops'::regnamespace and relkind in ('r', 'v') order by relname
"""
_CALLS = {
    "dashboard_stats": "select public.dashboard_stats('{}', current_date - 30, current_date)",
    "stats_head": "select public.stats_head('{}')",
    "announcements": "select public.announcements('{}')",
    "members_of": "select public.members_of('{}')",
}
_LOOKS = ("engine_status", "engine_attention", "engine_gauges")
_ONE_JOB_A_MODEL = """
  insert into public.sync_jobs (agency_id, model_id, sync_type, priority, run_at, bucket)
  select agency_id, id, 'earnings', 10, now(), 'user:' || fanvue_user_uuid from public.models
"""


@dataclass(slots=True)
class Steps:
    """The steps of the engine on one database after the other."""

    senders: dict[int, Sender]

    def idle_tick(self, town: Town, _turn: int) -> Sequence[float]:
        """Tick when nothing is due."""
        _rest(town)
        return [town.stage.timed_call("enqueue_due", p_by="bench")[0] for _ in range(TIMES)]

    def tick(self, town: Town, _turn: int) -> Sequence[float]:
        """Tick when one agency's models are due."""
        return [_tick(town, every=False) for _ in range(TIMES)]

    def full_tick(self, town: Town, _turn: int) -> Sequence[float]:
        """Tick when every model is due."""
        return [_tick(town, every=True)]

    def idle_claim(self, town: Town, _turn: int) -> Sequence[float]:
        """Claim when nothing is queued."""
        _rest(town)
        return [_claim(town) for _ in range(TIMES)]

    def claim(self, town: Town, _turn: int) -> Sequence[float]:
        """Claim a few when each model has a job queued."""
        _rest(town)
        town.stage.run(_ONE_JOB_A_MODEL)
        town.stage.settle("public.sync_jobs", "private.queue_lanes")
        took = [_claim(town) for _ in range(2)]
        # what is read below is read of an engine at rest
        _rest(town)
        return took

    def sale(self, town: Town, _turn: int) -> Sequence[float]:
        """Receive sales of one agency's creators."""
        sender = self.senders[town.models]
        return sender.straight(sender.sales(SALES)).took

    def refund(self, town: Town, turn: int, *, lively: bool) -> Sequence[float]:
        """Receive refunds of the oldest sales of a creator."""
        sender = self.senders[town.models]
        model_id, creator = town.lively if lively else town.creator
        name, held = ("lively-", town.lively_sales) if lively else ("old-", town.sales_a_model)
        last = held - turn * REFUNDS
        sales = [f"{name}{number}-{model_id[:8]}" for number in range(last, last - REFUNDS, -1)]
        return sender.straight(sender.refunds(sales, creator)).took


def scale(stage: Stage, size: Size) -> list[Row]:
    """Measure every step in each database, the databases in turn."""
    took: dict[tuple[str, int], list[float]] = {}
    slow: list[float] = []
    with open_towns(stage.environment, size.towns, size.town_sales) as towns:
        measures = dict(_measures(towns))
        # The first turn fills what sessions and the server keep.
        for turn in range(size.town_rounds + 1):
            for name, measure in measures.items():
                for town in towns:
                    figures = measure(town, turn)
                    if turn:
                        took.setdefault((name, town.models), []).append(median(figures))
                    if turn and name == "webhook of a sale" and town is towns[-1]:
                        slow.append(sorted(figures)[int(len(figures) * 0.99)])
    smallest, largest = towns[0], towns[-1]
    rows = [
        _row(name, town.name, f"{smallest.name}", took[name, town.models], base)
        for name in measures
        if (base := took[name, smallest.models]) and name != "tick, all due"
        for town in towns[1:]
    ]
    return [
        *rows,
        _aim("tick, all due", largest, AIM_TICK_MS, took["tick, all due", largest.models]),
        _aim("webhook of a sale, p99", largest, AIM_SQL_MS, slow),
    ]


def _measures(towns: Sequence[Town]) -> Iterator[tuple[str, Callable[[Town, int], Any]]]:
    steps = Steps({town.models: _sender(town) for town in towns})
    yield "tick, nothing due", steps.idle_tick
    yield "tick, one agency due", steps.tick
    yield "tick, all due", steps.full_tick
    yield "claim, nothing queued", steps.idle_claim
    yield f"claim of {CLAIM_LIMIT}, one job a model", steps.claim
    for whose, lively in (("", False), ("the lively creator's ", True)):
        yield f"{whose}page of 50 new rows", partial(_pages, lively=lively, new=True)
        yield f"{whose}page of 50 unchanged rows", partial(_pages, lively=lively, new=False)
    yield "webhook of a sale", steps.sale
    yield "webhook of an old sale's refund", partial(steps.refund, lively=False)
    yield "webhook of a lively creator's old sale's refund", partial(steps.refund, lively=True)
    for name, statement in _CALLS.items():
        yield f"member: {name}", partial(_as_member, statement=statement)
    owner = towns[0].stage.owner
    for name, columns in owner.execute(_READABLE).fetchall():
        # the two that every table has: what is shown, and how many there are
        yield (
            f"member: first 50 of {name}",
            partial(_as_member, statement=f"select {columns} from {name} limit 50"),  # noqa: S608 - from the catalog
        )
        yield (
            f"member: count of {name}",
            partial(_as_member, statement=f"select count(*) from {name}"),  # noqa: S608 - from the catalog
        )
    for (name,) in owner.execute(_OPS).fetchall():
        statement = f"select * from ops.{name} limit 100"  # noqa: S608 - from the catalog
        yield f"ops.{name}", partial(_as_operator, statement=statement)
    for name in _LOOKS:
        yield name, partial(_as_operator, statement=f"select public.{name}()")


def _sender(town: Town) -> Sender:
    creators = town.stage.run(
        "select fanvue_user_uuid from public.models where agency_id = %(agency)s",
        {"agency": town.agency_id},
    )
    return Sender(town.stage, creators)


def _rest(town: Town) -> None:
    """Leave nothing queued and nothing due."""
    town.stage.run("truncate public.sync_jobs")
    town.stage.run(
        "update public.sync_state set next_sync_at = now() + interval '1 hour'"
        " where next_sync_at < now() + interval '10 minutes'"
    )
    town.stage.settle("public.sync_jobs", "public.sync_state")


def _tick(town: Town, *, every: bool) -> float:
    _rest(town)
    town.stage.run(
        "update public.sync_state set next_sync_at = now() - interval '1 second'"
        " where sync_type = 'earnings' and (agency_id = %(agency)s or %(all)s)",
        {"agency": town.agency_id, "all": every},
    )
    return town.stage.timed_call("enqueue_due", p_by="bench", p_limit=2 * town.models)[0]


def _claim(town: Town) -> float:
    return town.stage.timed_call(
        "claim_sync_jobs", p_worker="bench", p_limit=CLAIM_LIMIT, p_claim_id=uuid.uuid4()
    )[0]


def _pages(town: Town, turn: int, *, lively: bool, new: bool) -> Sequence[float]:
    model_id, _ = town.lively if lively else town.creator
    town.stage.run("delete from public.sync_jobs where model_id = %(id)s", {"id": model_id})
    first = (2 * turn + new) * PAGES
    return commit_pages(town.stage, model_id, range(first, first + PAGES))[0 if new else 1]


def _as_member(town: Town, _turn: int, *, statement: str) -> Sequence[float]:
    owner = town.stage.owner
    with owner.transaction():
        owner.execute("select set_config('request.jwt.claims', %s, true)", (town.claims,))
        owner.execute("set local role authenticated")
        return _reads(town, statement.format(town.agency_id), SHORT_READS)


def _as_operator(town: Town, _turn: int, *, statement: str) -> Sequence[float]:
    return _reads(town, statement, TIMES)


def _reads(town: Town, statement: str, times: int) -> Sequence[float]:
    took = []
    for _ in range(times):
        began = town.stage.clock()
        town.stage.run(statement)
        took.append((town.stage.clock() - began) * 1000)
    return took


def _row(
    name: str, measured: str, against: str, figures: Sequence[float], baselines: Sequence[float]
) -> Row:
    return compare(
        "scale",
        f"{name}: {measured}",
        against,
        path="SQL",
        unit="ms CPU",
        figures=figures,
        baselines=baselines,
    )


def _aim(name: str, town: Town, aim: int, figures: Sequence[float]) -> Row:
    verdict = "holds" if median(figures) < aim else "missed"
    return _row(name, town.name, f"aim of {aim} ms: {verdict}", figures, [aim] * len(figures))
