"""Creators who are read through their agency's grant are proved by the agency's report as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.agency_stage import AgencyStage
from tests.support.ledger_faults import LedgerFaults
from tests.support.program import Program
from tests.support.reconciling import (
    NO_LIMIT,
    drift,
    drop_phantoms,
    mended,
    reconcile,
    runs,
    settled,
)


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

REPORT = "/agencies/earnings"


@pytest.fixture
def agency(engine: Engine, tmp_path: Path) -> AgencyStage:
    engine.fanvue.turn(**NO_LIMIT)
    return AgencyStage(engine, Program(engine, tmp_path))


def test_faults_are_mended_on_the_creators_paths_and_the_report_agrees(agency: AgencyStage) -> None:
    engine = agency.engine
    creators = agency.creators(3, transactions=150)
    agency.connect(*agency.consent())
    engine.drain()
    faults = LedgerFaults(engine.database, seed=21)
    faults.inject(100, among=settled(engine))
    engine.fanvue.clear_requests()
    engine.fanvue.clear_stats()

    reconcile(engine, days=80)

    faults.assert_mended()
    assert mended(engine) == 80
    assert {row for _, row, *_ in drift(engine)} == faults.phantoms
    assert [detail["compared"] for _, detail in runs(engine)] == [["summary", "agency"]] * 3
    paths = [call["path"] for call in agency.data_paths()]
    assert all(path.endswith(REPORT) or "/creators/" in path for path in paths)
    owner = agency.account
    own = {f"simulator-client:{owner}:{creator}" for creator in creators}
    assert set(engine.fanvue.stats()["buckets"]) == {*own, f"simulator-client:{owner}"}


def test_without_a_list_of_reversals_rows_and_sums_are_judged_and_nothing_is_proved(
    agency: AgencyStage,
) -> None:
    engine = agency.engine
    engine.fanvue.turn(v1="missing")
    (creator,) = agency.creators(1, transactions=150)
    agency.connect(*agency.consent())
    engine.drain()
    before = engine.ledger(creator)
    faults = LedgerFaults(engine.database, seed=22)
    faults.inject(40, among=settled(engine))

    reconcile(engine, days=80)

    faults.assert_mended()
    assert {row for _, row, *_ in drift(engine)} == faults.phantoms
    ((state, detail),) = runs(engine)
    assert (state, detail["compared"]) == ("partial", ["summary", "agency"])
    drop_phantoms(engine, faults)
    assert engine.ledger(creator) == before


def test_an_account_that_may_not_read_the_report_is_proved_without_it(agency: AgencyStage) -> None:
    engine = agency.engine
    agency.creators(1, transactions=40)
    scopes = ["openid", "offline_access", "offline", "read:self", "read:insights", "read:creator"]
    agency.connect(*agency.consent(scopes=scopes))
    engine.drain()

    reconcile(engine, days=80)

    (run,) = runs(engine)
    assert run[0] == "succeeded"
    assert run[1]["compared"] == ["summary"]


def test_a_creator_with_a_grant_of_their_own_asks_for_no_report(agency: AgencyStage) -> None:
    engine = agency.engine
    creator = engine.creator(40)
    engine.drain()
    engine.fanvue.clear_requests()

    reconcile(engine, days=80)

    asked = [call for call in engine.fanvue.requests(creator=creator) if REPORT in call["path"]]
    assert asked == []
