"""What a complete reading says of the ledger: each drift once, and nobody accused wrongly."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.proof import Proof


if TYPE_CHECKING:
    from tests.database.engine import Engine


@pytest.fixture
def proof(engine: Engine) -> Proof:
    return Proof(engine)


def test_a_row_that_is_not_listed_is_told_once_and_resolved_when_it_is_listed(
    proof: Proof,
) -> None:
    at = proof.ago(days=3)
    rows = [proof.listed("A", at), proof.listed("B", at)]
    proof.store(*rows)

    told = [proof.prove(rows[0])["drift"] for _ in range(2)]
    findings = proof.findings()
    back = proof.prove(*rows)["drift"]

    assert told == [{"not_listed": 1}] * 2
    assert [finding[:2] for finding in findings] == [("not_listed", "open")]
    assert back == {}
    assert [finding[:2] for finding in proof.findings()] == [("not_listed", "resolved")]
    assert proof.engine.value("select count(*) from public.fanvue_transactions") == 2


def test_rows_at_the_edges_of_a_range_and_rows_written_meanwhile_are_not_accused(
    proof: Proof,
) -> None:
    outside, edge = proof.ago(days=32), proof.ago(minutes=5)
    proof.store(proof.listed("old", outside), proof.listed("fresh", edge))
    job = proof.job()
    run = proof.begin(job)
    done = proof.commit(job, run, proof.page(run))
    proof.store(proof.listed("late", proof.ago(days=3)))

    proved = proof.finish(job, done["version"], run)

    assert proved["drift"] == {}


@pytest.mark.parametrize(
    ("age", "told"), [({"days": 2}, 1), ({"hours": 1}, 0), ({"minutes": 1}, 0)], ids=str
)
def test_an_announced_sale_that_stays_unconfirmed_is_told_after_the_tolerance(
    proof: Proof, age: dict[str, float], told: int
) -> None:
    proof.provisional(proof.ago(**age))

    proof.prove()

    assert len(proof.findings("open")) == told


def test_an_announced_sale_that_is_listed_is_confirmed_and_no_finding(proof: Proof) -> None:
    at = proof.ago(days=2)
    row = proof.provisional(at)

    proof.prove(proof.listed("FV-1", at, 500, fan_uuid=None))

    assert proof.findings() == []
    assert (
        proof.engine.value("select origin from public.fanvue_transactions where id = %s", row)
        == "api"
    )


def test_a_partial_run_accuses_and_resolves_nothing(proof: Proof) -> None:
    at = proof.ago(days=3)
    proof.store(proof.listed("A", at))
    proof.prove()

    proved = proof.prove(proof.listed("A", at), partial="a row could not be read")

    assert proved["drift"] == {"not_listed": 1}
    assert [finding[:2] for finding in proof.findings()] == [("not_listed", "open")]


def test_a_list_that_lacks_most_of_the_ledger_is_not_believed(proof: Proof) -> None:
    rows = [proof.listed(f"o{n}", proof.ago(days=3, minutes=n)) for n in range(240)]
    proof.store(*rows)

    empty = proof.prove()
    most = proof.prove(*rows[:130])

    assert "is not believed" in empty["partial"]
    assert empty["drift"] == {}
    assert most["partial"] is None
    assert most["drift"] == {"not_listed": 110}


def test_days_that_could_not_be_compared_prove_nothing_but_rows_are_judged(proof: Proof) -> None:
    at = proof.ago(days=3)
    proof.store(proof.listed("A", at), proof.listed("B", at))

    proved = proof.prove(proof.listed("A", at), uncompared="no day was compared: 403")

    assert proved["partial"] == "no day was compared: 403"
    assert proved["drift"] == {"not_listed": 1}
    assert proof.engine.value("select last_proved_at from private.reconciliations") is None


def test_drift_is_for_people_to_close_only_where_the_last_run_read_everything(
    proof: Proof,
) -> None:
    at = proof.ago(days=3)
    proof.store(proof.listed("A", at))
    proof.prove()
    advice = "select what_to_do, remedy from ops.drift"
    (proved,) = proof.engine.rows(advice)

    proof.prove(partial="2 rows could not be read")
    (unread,) = proof.engine.rows(advice)

    assert "accept_drift" in proved["what_to_do"]
    assert "accept_drift" in proved["remedy"]
    assert "accept_drift" not in unread["what_to_do"] + unread["remedy"]
    assert proof.engine.value(unread["remedy"])[0]["sync_type"] == "reconcile"


def test_a_row_of_an_older_application_is_completed_and_never_accused(proof: Proof) -> None:
    at = proof.ago(days=3)
    proof.engine.rows(
        "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount,"
        " fanvue_created_at) values (%s, %s, 'legacy-1', 10.00, %s)",
        proof.agency_id,
        proof.model_id,
        at,
    )

    proved = proof.prove(proof.listed("A", at))

    assert proved["drift"] == {}
    rows = proof.engine.rows("select fanvue_id, net_amount from public.fanvue_transactions")
    assert [tuple(row.values()) for row in rows] == [("A", 8)]


def test_accepted_drift_stays_closed_until_its_figures_change(proof: Proof) -> None:
    at = proof.ago(days=3)
    proof.store(proof.listed("A", at))
    proof.prove()
    drift_id = proof.engine.value("select id from ops.drift")

    accepted = proof.engine.value("select ops.accept_drift(%s, 'known to finance')", drift_id)
    proof.prove()
    quiet = proof.findings("accepted")
    proof.engine.rows("update public.fanvue_transactions set net_amount = 1")
    proof.prove()

    assert accepted["state"] == "accepted"
    assert len(quiet) == 1
    assert len(proof.findings("open")) == 1
    assert proof.engine.value("select count(*) from public.reconciliation_findings") == 1


def test_drift_is_accepted_with_a_word_or_not_at_all(proof: Proof) -> None:
    for drift_id, note, state in ((1, " ", "PT422"), (1, "why", "PT404")):
        with pytest.raises(psycopg.Error) as refused:
            proof.engine.value("select ops.accept_drift(%s, %s)", drift_id, note)
        assert refused.value.sqlstate == state


def test_a_day_that_differs_is_told_once_and_resolved_when_it_agrees(proof: Proof) -> None:
    day = proof.ago(days=3).date()
    judged = {
        "kind": "summary",
        "from": str(day - timedelta(days=9)),
        "until": str(day + timedelta(1)),
    }
    differ = {
        "day": str(day),
        "ledger_gross": "1",
        "ledger_net": "1",
        "fanvue_gross": "2",
        "fanvue_net": "2",
    }

    told = [proof.prove(sums=[{**judged, "differ": [differ]}])["drift"] for _ in range(2)]
    known = proof.engine.value("select what from ops.drift")
    agrees = proof.prove(sums=[{**judged, "differ": []}])["drift"]

    assert told == [{"summary": 1}] * 2
    assert "1.00 US dollars after fees in the ledger, to 2.00" in known
    assert agrees == {}


def test_sums_leave_out_reversals_and_what_has_a_finding_of_its_own(proof: Proof) -> None:
    at = proof.ago(days=3)
    listed = [proof.listed("A", at), proof.listed("R", at, -400, category="refund")]
    proof.store(*listed, proof.listed("gone", at))
    proof.provisional(at)
    job = proof.job()
    run = proof.begin(job)
    proof.commit(job, run, proof.page(run, *listed))

    sums = proof.engine.call(
        "reconcile_sums", job["id"], job["lease_id"], at.date(), at.date() + timedelta(days=1)
    )

    told = {str(at.date()): {"gross": "10.00", "net": "8.00"}}
    assert sums == {"days": told, "known": {}, "unknown": []}


def test_a_walk_gets_all_that_the_api_listed_whatever_the_last_run_was_shown(proof: Proof) -> None:
    at = proof.ago(days=3)
    proof.store(proof.listed("A", at))
    proof.prove(proof.listed("A", at))
    job = proof.engine.running_job(proof.model_id)

    sums = proof.engine.call(
        "reconcile_sums", job["id"], job["lease_id"], at.date(), at.date() + timedelta(days=1)
    )

    assert sums["days"] == {str(at.date()): {"gross": "10.00", "net": "8.00"}}


def test_without_a_list_of_reversals_only_the_other_rows_are_judged(proof: Proof) -> None:
    at = proof.ago(days=3)
    back = proof.listed("R", at, -500, category="refund", source="refund")
    proof.store(proof.listed("A", at), proof.listed("B", at), back)
    proof.provisional(at, "FV-9")
    proof.engine.rows(
        "update public.fanvue_transactions set category = 'refund' where fanvue_id = 'FV-9'"
    )
    known = proof.prove(proof.listed("A", at), proof.listed("B", at))["drift"]
    unlisted: dict[str, Any] = {"page": {"notes": {"unlisted": "no list"}}, "uncompared": "no list"}

    proved = proof.prove(proof.listed("A", at), **unlisted)

    assert known == {"not_listed": 1, "unconfirmed": 1}
    assert proved["partial"] == "no list"
    # What was told of reversals before stands, and the sale that is gone is told.
    assert proved["drift"] == {"not_listed": 2, "unconfirmed": 1}
    assert proof.engine.value("select last_proved_at from private.reconciliations") is not None
    proof.engine.rows("delete from public.reconciliation_findings")
    assert proof.prove(proof.listed("A", at), **unlisted)["drift"] == {"not_listed": 1}
