"""Job queues on one durable server: jobs a second and pickup, in turn with the engine's own.

The engine's queue does what it always does: fairness, caps, fences, history, hints. What each of
them costs is measured by taking it away.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks.peers.programs import PEERS, filled, finish, pickups


if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.programs import Peer
    from benchmarks.stage import Stage


WORKER = "bench"
AGENCIES = 20
OURS = "this engine"
BATCHES = (50, 500)
Figures = dict[tuple[str, str], list[float]]

# what is left without fairness, caps, fences and history: conditions of the same statements
_BARE_CLAIM = """
  update public.sync_jobs j
  set state = 'running', attempt = j.attempt + 1, lease_id = nextval('private.lease_ids'),
      lease_until = now() + interval '1 minute', claimed_at = now(), claimed_by = 'bench'
  where j.id = any (array(select q.id from public.sync_jobs q where q.state = 'queued'
                          order by q.run_at limit %(batch)s for update skip locked))
  returning j.id
"""
_BARE_END = "delete from public.sync_jobs where id = any (%(ids)s) returning id"
_DURABLE = "select current_setting('fsync') || current_setting('synchronous_commit')"


def drains(stage: Stage, jobs: int, rounds: int) -> Iterator[tuple[str, Figures]]:
    """Yield the rates after each round, with and without a snapshot held elsewhere."""
    if stage.run(_DURABLE) != ["onon"]:
        raise RuntimeError("commits of this server are not durable")
    figures: Figures = {}
    stage.populate(agencies=AGENCIES, models=jobs)
    for turn in range(rounds):
        for hold in (False, True):
            held = "held" if hold else "free"
            for batch in BATCHES:
                rate = _drain_ours(stage, jobs, batch, hold=hold)
                figures.setdefault((f"{OURS}, by {batch}", held), []).append(rate)
            for peer in PEERS:
                rate = _drain_peer(stage, peer, jobs, hold=hold)
                figures.setdefault((f"{peer.name}, {peer.how}", held), []).append(rate)
        yield f"round {turn + 1}", figures


def prices(stage: Stage, jobs: int, rounds: int) -> Figures:
    """Return our rate, and what the server computes for a job, without one part after the other."""
    figures: Figures = {}

    def note(what: str, priority: int = 10, *, bare: bool = False) -> None:
        for batch in BATCHES:
            stage.fill_queue(jobs, priority)
            burnt = stage.cpu()
            rate = _rate(stage, jobs, batch, bare=bare)
            microseconds = (stage.cpu() - burnt) / jobs * 1e6
            figures.setdefault((what, f"jobs/s by {batch}"), []).append(rate)
            figures.setdefault((what, f"CPU, us a job by {batch}"), []).append(microseconds)

    for _ in range(rounds):
        stage.populate(agencies=AGENCIES, models=jobs)
        note("polls without news, all of it")
        with stage.without_hints():
            note("polls, hints off")
            note("hints off, and neither fairness, caps, fences nor history", bare=True)
        note("asked for by a person: a row of history and hints each", priority=5)
        with stage.without_hints():
            note("asked for, hints off", priority=5)
        stage.populate(agencies=1, models=jobs)
        note("polls of one agency: a single lane")
    return figures


def peer_pickups(stage: Stage, count: int) -> Iterator[tuple[str, list[float]]]:
    """Yield each peer's milliseconds from adding a job to an idle worker until it runs."""
    for peer in {peer.name: peer for peer in PEERS}.values():
        with database(stage) as url:
            yield peer.name, pickups(peer, url, count)


def _drain_ours(stage: Stage, jobs: int, batch: int, *, hold: bool) -> float:
    stage.fill_queue(jobs)
    with stage.held_snapshot() if hold else nullcontext():
        return _rate(stage, jobs, batch)


def _rate(stage: Stage, jobs: int, batch: int, *, bare: bool = False) -> float:
    """Drain what is queued; return the jobs a second."""
    done = 0
    began = perf_counter()
    while ended := (_bare if bare else _whole)(stage, batch):
        done += ended
    if done != jobs:
        raise RuntimeError(f"the drain finished {done} of {jobs} jobs")
    return done / (perf_counter() - began)


def _whole(stage: Stage, batch: int) -> int:
    taken = stage.call("claim_sync_jobs", p_worker=WORKER, p_limit=batch, p_claim_id=uuid.uuid4())
    items = [
        {"id": job["id"], "lease_id": job["lease_id"], "outcome": "done"} for job in taken["jobs"]
    ]
    return len(stage.call("settle_sync_jobs", p_worker=WORKER, p_items=items)) if items else 0


def _bare(stage: Stage, batch: int) -> int:
    taken = stage.run(_BARE_CLAIM, {"batch": batch})
    return len(stage.run(_BARE_END, {"ids": taken})) if taken else 0


def _drain_peer(stage: Stage, peer: Peer, jobs: int, *, hold: bool) -> float:
    jobs = max(1, jobs // peer.slowness)
    with database(stage) as url, filled(peer, url, jobs) as process:
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("vacuum analyze")
        with _held(url) if hold else nullcontext():
            return finish(peer, process, jobs)


@contextmanager
def _held(url: str) -> Iterator[None]:
    with psycopg.connect(url) as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from pg_class")
        yield
        holder.rollback()


@contextmanager
def database(stage: Stage) -> Iterator[str]:
    """Make a database on the same server, and drop it."""
    name = f"peer_{uuid.uuid4().hex}"
    stage.run(f"create database {name}")
    try:
        yield urlunsplit(urlsplit(stage.url)._replace(path=f"/{name}"))
    finally:
        stage.run(f"drop database {name} with (force)")
