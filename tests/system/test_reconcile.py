"""The proof that the money is right: whatever happened to the ledger, it is mended or told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ledger_faults import LedgerFaults
from tests.support.reconciling import (
    NO_LIMIT,
    assert_rollups_equal_rows,
    drift,
    drop_phantoms,
    mended,
    midnight,
    now_at_fanvue,
    reconcile,
    runs,
    settled,
    synced,
)


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system


def test_hundreds_of_faults_are_mended_row_for_row_and_phantoms_told_once(engine: Engine) -> None:
    creators = synced(engine, 300, 220, 140, 60)
    faults = LedgerFaults(engine.database, seed=20261123)
    faults.inject(
        300, among=lambda row: row["fanvue_created_at"] < now_at_fanvue(engine) - timedelta(days=1)
    )

    reconcile(engine, days=90)

    faults.assert_mended()
    faults.assert_others_untouched()
    told = drift(engine)
    assert sorted(one[1] for one in told) == sorted(faults.phantoms)
    assert {one[0] for one in told} == {"unconfirmed"}
    assert mended(engine) == 240
    assert_rollups_equal_rows(engine)
    assert [state for state, _ in runs(engine)] == ["succeeded"] * len(creators)
    drop_phantoms(engine, faults)
    for creator in creators:
        engine.assert_exact(creator)


def test_a_second_run_mends_nothing_and_adds_no_finding(engine: Engine) -> None:
    synced(engine, 120, 60)
    faults = LedgerFaults(engine.database, seed=2)
    faults.inject(
        50, among=lambda row: row["fanvue_created_at"] < now_at_fanvue(engine) - timedelta(days=1)
    )
    reconcile(engine, days=90)
    before, rows = drift(engine), faults.current()

    reconcile(engine, days=90)

    assert drift(engine) == before
    assert faults.current() == rows
    assert mended(engine) == 40
    assert runs(engine)[-1][1]["mended"] == {"inserted": 0, "changed": 0}


def test_phantoms_that_are_removed_are_resolved(engine: Engine) -> None:
    synced(engine, 200)
    faults = LedgerFaults(engine.database, seed=3)
    faults.inject(50, among=settled(engine))
    reconcile(engine, days=90)

    drop_phantoms(engine, faults)
    reconcile(engine, days=90)

    assert {state for *_, state in drift(engine)} == {"resolved"}
    assert runs(engine)[-1][1]["drift"] == {}


def test_a_row_of_the_api_that_fanvue_does_not_list_is_told_and_kept(engine: Engine) -> None:
    (creator,) = synced(engine, 120)
    stray = engine.database.execute(
        """
        insert into public.fanvue_transactions (
          agency_id, model_id, fanvue_id, amount, net_amount, currency, source, category, status,
          origin, fanvue_created_at, synced_at, created_at)
        select agency_id, model_id, 'FV-ORDER-0', 12.00, 9.60, 'USD', 'tip', 'tip', 'pending',
               'api', n.now - interval '3 days', n.now - interval '1 hour', n.now
        from public.fanvue_transactions, (select private.engine_now() as now) n
        where model_id = %s limit 1 returning id
        """,
        (engine.models[creator],),
    ).fetchone()
    assert stray is not None

    reconcile(engine, days=30)

    assert [(kind, row) for kind, row, *_ in drift(engine)] == [("not_listed", stray[0])]
    assert engine.ledger(creator).count == engine.fanvue.books(creator).count + 1


@pytest.mark.parametrize("size", [40, 500])
def test_a_run_costs_a_call_for_fifty_rows_and_two_more(engine: Engine, size: int) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creator = engine.creator(size, days=30)
    engine.drain()
    engine.fanvue.clear_requests()

    reconcile(engine)

    calls = engine.calls(creator)
    assert len(calls) <= -(-size // 50) + 2
    assert sum(call["path"].endswith("/summary") for call in calls) == 1
    assert runs(engine)[0][0] == "succeeded"


def test_only_the_days_asked_for_are_read_and_judged(engine: Engine) -> None:
    synced(engine, 450)
    border = midnight(now_at_fanvue(engine) - timedelta(days=10))
    faults = LedgerFaults(engine.database, seed=4)
    faults.inject(
        60,
        among=lambda row: (
            border <= row["fanvue_created_at"] < now_at_fanvue(engine) - timedelta(days=1)
        ),
    )
    outside = LedgerFaults(engine.database, seed=5)
    outside.inject(60, among=lambda row: row["fanvue_created_at"] < border)

    reconcile(engine, days=10)

    assert {row for _, row, *_ in drift(engine)} == faults.phantoms
    assert mended(engine) == 48
    now = faults.current()
    kept = {key: row for key, row in outside.current().items() if row["fanvue_created_at"] < border}
    assert kept == {key: row for key, row in now.items() if row["fanvue_created_at"] < border}
    assert not outside.harmed["deleted"] & now.keys()


def test_history_is_proved_month_by_month_night_after_night(engine: Engine) -> None:
    synced(engine, 300, days=150)
    faults = LedgerFaults(engine.database, seed=6)
    faults.inject(
        100, among=lambda row: row["fanvue_created_at"] < now_at_fanvue(engine) - timedelta(days=1)
    )

    for _ in range(6):
        reconcile(engine)

    faults.assert_mended()
    assert {row for _, row, *_ in drift(engine)} == faults.phantoms
    months = [detail["ranges"][1]["start"][:7] for _, detail in runs(engine)]
    assert len(set(months[:4])) == 4, "each night another month, the newest first"


def test_lost_days_beyond_the_range_are_found_by_their_sums(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creator = engine.creator(300, days=300)
    engine.drain()
    engine.database.execute(
        "delete from public.fanvue_transactions where fanvue_created_at between %s and %s",
        (now_at_fanvue(engine) - timedelta(days=250), now_at_fanvue(engine) - timedelta(days=240)),
    )

    reconcile(engine)

    engine.assert_exact(creator)


@pytest.mark.parametrize(
    "knobs",
    [
        {"ids": "absent"},
        {"ids": "duplicate"},
        {"ids": "absent", "ties": "skip"},
        {"ids": "duplicate", "ties": "repeat"},
        {"v1": "missing"},
        {"v1": "missing", "ids": "absent"},
        {"v1": "missing", "unversioned_gross": "paid"},
        {"reversal_ids": "shared"},
        {"reversal_ids": "none"},
        {"start_inclusive": False},
        {"dates_truncated_to_day": True},
        {"null_optionals": True},
    ],
    ids=str,
)
def test_faults_are_mended_when_fanvue_behaves_like(engine: Engine, knobs: dict[str, Any]) -> None:
    engine.fanvue.turn(**NO_LIMIT, **knobs)
    creator = engine.creator(150, days=30)
    engine.fanvue.add_sales(creator, 20, ties={"borders": [1, 2], "width": 4})
    engine.fanvue.add_reversals(creator, 6)
    engine.fanvue.add_reversals(creator, 3, kind="chargeback")
    engine.drain()
    faults = LedgerFaults(engine.database, seed=7)
    faults.inject(
        75, among=lambda row: row["fanvue_created_at"] < now_at_fanvue(engine) - timedelta(days=1)
    )

    reconcile(engine)

    faults.assert_mended()
    faults.assert_others_untouched()
    assert {(kind, row) for kind, row, *_ in drift(engine)} == {
        ("unconfirmed", row) for row in faults.phantoms
    }
    assert mended(engine) == 60


@pytest.mark.parametrize("ties", ["exact", "offset"])
def test_a_crowd_of_one_millisecond_is_proved_row_for_row(engine: Engine, ties: str) -> None:
    engine.fanvue.turn(**NO_LIMIT, ties=ties, ids="absent")
    creator = engine.creator(30, days=20)
    at = (now_at_fanvue(engine) - timedelta(days=3)).isoformat()
    tip = {"source": "tip", "gross_cents": 500, "at": at}
    engine.fanvue.add_sales(creator, rows=[tip] * 70)
    engine.drain()
    engine.database.execute(
        "delete from public.fanvue_transactions where id in"
        " (select id from public.fanvue_transactions where fanvue_created_at = %s limit 25)",
        (at,),
    )

    reconcile(engine, days=10)

    engine.assert_exact(creator)
    assert mended(engine) == 25
    assert drift(engine) == []
    assert [state for state, _ in runs(engine)] == ["succeeded"]


@pytest.mark.parametrize(("crowd", "knobs"), [(60, {"ties": "skip"}), (1, {"swap_every": 50})])
def test_a_list_that_cannot_be_vouched_for_proves_nothing(
    engine: Engine, crowd: int, knobs: dict[str, Any]
) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creator = engine.creator(90, days=8)
    at = (now_at_fanvue(engine) - timedelta(days=3)).isoformat()
    engine.fanvue.add_sales(creator, rows=[{"source": "tip", "at": at}] * crowd)
    engine.drain()
    engine.assert_exact(creator)
    engine.fanvue.turn(**knobs)

    reconcile(engine, days=10)

    assert [state for state, _ in runs(engine)] == ["partial"]
    assert drift(engine) == []
    engine.assert_exact(creator)


def test_what_cannot_be_read_makes_the_run_partial_and_accuses_no_row(engine: Engine) -> None:
    (creator,) = synced(engine, 120)
    faults = LedgerFaults(engine.database, seed=8)
    faults.inject(40, among=settled(engine))
    engine.fanvue.add_fault("missing_field", path="/insights/earnings$", field="gross")

    reconcile(engine, days=90)

    assert [state for state, _ in runs(engine)] == ["partial"]
    assert drift(engine) == []

    engine.fanvue.clear_faults()
    reconcile(engine, days=90)

    faults.assert_mended()
    assert {row for _, row, *_ in drift(engine)} == faults.phantoms
    drop_phantoms(engine, faults)
    engine.assert_exact(creator)
