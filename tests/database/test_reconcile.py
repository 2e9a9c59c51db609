"""Reconciliations as the database guards them: fenced, repeatable, each mending counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from tests.database.proof import Proof


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.engine import Engine


NIGHT = "select private.start_nightly_reconcile() as done"


@pytest.fixture
def proof(engine: Engine) -> Proof:
    return Proof(engine)


def test_the_same_page_again_gets_the_same_answer_and_counts_once(proof: Proof) -> None:
    job = proof.job()
    run = proof.begin(job)
    page = proof.page(run, proof.listed("A", proof.ago(days=3)))

    first = proof.commit(job, run, page)
    again = proof.commit(job, run, page)

    assert again == first
    assert proof.findings() == [("mended", "mended", 1, "inserted", [])]
    end = proof.finish(job, first["version"], run)
    assert proof.finish(job, first["version"], run) == end


@pytest.mark.parametrize("call", ["begin", "commit", "sums", "finish"])
def test_a_stale_lease_is_refused_and_writes_nothing(proof: Proof, call: str) -> None:
    job = proof.job()
    run = proof.begin(job)
    proof.engine.move_clock(minutes=2)
    proof.engine.call("reap_expired_leases")
    calls: dict[str, Callable[[], Any]] = {
        "begin": lambda: proof.begin(job),
        "commit": lambda: proof.commit(job, run, proof.page(run, proof.listed("A", proof.now))),
        "sums": lambda: proof.engine.call(
            "reconcile_sums", job["id"], job["lease_id"], "2026-01-01", "2026-01-02"
        ),
        "finish": lambda: proof.finish(job, run["version"], run),
    }

    with pytest.raises(psycopg.Error) as refused:
        calls[call]()

    assert refused.value.sqlstate == "PT410"
    assert proof.engine.value("select count(*) from public.fanvue_transactions") == 0
    assert proof.findings() == []


def test_a_page_read_on_another_version_is_refused(proof: Proof) -> None:
    job = proof.job()
    run = proof.begin(job)
    proof.commit(job, run, proof.page(run, key="first"))

    with pytest.raises(psycopg.Error) as refused:
        proof.commit(job, run, proof.page(run, key="other"))

    assert refused.value.sqlstate == "PT410"


def test_an_open_run_is_resumed_and_a_request_for_other_days_begins_anew(proof: Proof) -> None:
    job = proof.job(30)
    first = proof.begin(job)
    proof.engine.settle(job, "yield")
    resumed = proof.begin(proof.job(30))
    proof.engine.rows("delete from public.sync_jobs")
    other = proof.begin(proof.job(7))

    assert resumed["run_id"] == first["run_id"]
    assert other["run_id"] != first["run_id"]
    assert other["days"] == 7


def test_what_was_wrong_is_counted_by_day_category_and_kind(proof: Proof) -> None:
    day, other = proof.ago(days=3), proof.ago(days=4)
    rows = [proof.listed(name, day) for name in "ABC"] + [proof.listed("D", other)]
    proof.store(*rows)
    proof.engine.rows("delete from public.fanvue_transactions where fanvue_id in ('A', 'D')")
    proof.engine.rows("update public.fanvue_transactions set amount = 1 where fanvue_id = 'B'")
    proof.engine.rows("update public.fanvue_transactions set status = 'x' where fanvue_id = 'C'")

    proved = proof.prove(*rows)

    assert proved["mended"] == {"inserted": 2, "changed": 2}
    assert sorted(proof.findings()) == [
        ("mended", "mended", 1, "inserted", []),
        ("mended", "mended", 1, "inserted", []),
        ("mended", "mended", 2, "changed", ["amount", "status"]),
    ]
    before, after = proof.engine.rows(
        "select ledger_gross, fanvue_gross from public.reconciliation_findings"
        " where what = 'changed'"
    )[0].values()
    assert (before, after) == (11, 20)


def test_what_is_newer_than_the_last_poll_is_news_and_mends_nothing(proof: Proof) -> None:
    proof.engine.rows(
        "update public.sync_state set high_water = private.engine_now() - interval '2 days'"
    )

    proved = proof.prove(
        proof.listed("A", proof.ago(hours=3)), proof.listed("B", proof.ago(minutes=5))
    )

    assert proved["mended"] == {"inserted": 0, "changed": 0}
    assert proof.findings() == []


def test_a_fan_who_renamed_herself_is_no_mending(proof: Proof) -> None:
    at = proof.ago(days=3)
    proof.store(proof.listed("A", at, fan_handle="old"))

    proved = proof.prove(proof.listed("A", at, fan_handle="new"))

    assert proved["mended"] == {"inserted": 0, "changed": 0}


def test_a_night_reads_one_older_month_and_the_next_night_the_one_before(proof: Proof) -> None:
    proof.store(*[proof.listed(f"m{n}", proof.ago(days=50 + 30 * n)) for n in range(4)])
    months = []
    for _ in range(6):
        job = proof.job(None)
        run = proof.begin(job)
        months.append(run["ranges"][1]["start"][:7])
        proof.finish(job, run["version"], run)
        proof.engine.settle(job, "done")

    distinct = list(dict.fromkeys(months))
    assert distinct[:-1] == sorted(distinct[:-1], reverse=True)
    assert distinct[-1] == "2020-01", "the first month begins with history itself"
    assert months[len(distinct)] == months[0], "after the oldest comes the newest again"


def test_a_proof_of_the_deep_days_spares_the_next_deep_poll(proof: Proof) -> None:
    proof.engine.rows("update public.sync_state set last_deep_at = null")

    proof.prove(days=7)
    short = proof.engine.value("select last_deep_at from public.sync_state")
    proof.prove(days=40)

    assert short is None
    assert proof.engine.value("select last_deep_at is not null from public.sync_state")


def test_a_run_ends_in_history_with_what_it_proved(proof: Proof) -> None:
    proof.prove(proof.listed("A", proof.ago(days=3)))

    (row,) = proof.engine.rows(
        "select state, detail from public.sync_runs where sync_type = 'reconcile'"
    )
    assert row["state"] == "succeeded"
    assert (row["detail"]["days"], row["detail"]["rows"]) == (30, 1)
    assert row["detail"]["mended"] == {"inserted": 1, "changed": 0}
    assert proof.engine.value("select count(*) from private.reconciliation_pages") == 0


def test_findings_that_are_over_are_forgotten_after_their_time(proof: Proof) -> None:
    proof.store(proof.listed("B", proof.ago(days=3)))
    proof.prove(proof.listed("A", proof.ago(days=3)))
    proof.engine.move_clock(hours=24 * 91)

    proof.engine.call("prune_history")

    assert [finding[0] for finding in proof.findings()] == ["not_listed"]


def test_a_night_that_nobody_began_is_begun_by_a_tick(proof: Proof) -> None:
    engine = proof.engine
    engine.rows("update private.reconcile_settings set last_night_at = private.engine_now()")
    queued = "select count(*) from public.sync_jobs where sync_type = 'reconcile'"
    engine.move_clock(hours=29)
    engine.call("enqueue_due", "worker")
    in_time = engine.value(queued)

    engine.move_clock(hours=2)
    for _ in range(2):
        engine.call("enqueue_due", "worker")

    assert (in_time, engine.value(queued)) == (0, 1)


@pytest.mark.parametrize("days", [0, 4001])
def test_a_silly_number_of_days_is_refused(proof: Proof, days: int) -> None:
    with pytest.raises(psycopg.Error) as refused:
        proof.engine.call("enqueue_reconcile", proof.model_id, days)

    assert refused.value.sqlstate == "PT422"


def test_a_paused_or_unknown_model_is_refused_and_left_out_of_all(proof: Proof) -> None:
    proof.engine.rows("update public.models set status = 'paused'")

    for model_id, state in ((proof.model_id, "PT409"), (uuid4(), "PT404")):
        with pytest.raises(psycopg.Error) as refused:
            proof.engine.call("enqueue_reconcile", model_id)
        assert refused.value.sqlstate == state
    assert proof.engine.call("enqueue_reconcile") == []


def test_nobody_else_sees_an_agencys_findings(proof: Proof) -> None:
    proof.prove(proof.listed("A", proof.ago(days=3)))
    stranger = proof.engine.another().connection
    stranger.execute("set role authenticated")

    seen = stranger.execute("select count(*) as n from public.reconciliation_findings").fetchone()

    assert seen == {"n": 0}
