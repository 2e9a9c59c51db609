"""The agency's report: asked from the account's own budget, read to its end, or left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.jobs.test_outcomes import JOB
from worker.errors import (
    DatabaseUnavailable,
    NotFound,
    SchemaMissing,
    ScopeMissing,
    SyncError,
    Throttled,
    Transient,
)
from worker.fanvue.calls import Family, Reply
from worker.jobs.reconcile_sums import FanvueSums
from worker.sync.drift import DaySum
from worker.sync.reconcile import Days


if TYPE_CHECKING:
    from worker.jobs.pages import PageReader


CREATOR = "0e1d9f6c-1111-4222-8333-444455556666"
DAYS = Days(date(2026, 11, 1), date(2026, 11, 20))
THROUGH_AGENCY = replace(
    JOB, creator_uuid=CREATOR, path_prefix=f"/creators/{CREATOR}", bucket=f"user:admin:{CREATOR}"
)


def row(day: int) -> dict[str, Any]:
    when = f"2026-11-{day:02}"
    return {"creatorUuid": CREATOR, "date": when, "gross": 100, "net": 80, "currency": "USD"}


@dataclass
class Report:
    """Answers for the administrator's account, page by page; an exception is raised."""

    pages: list[Any]
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def get_of_account(self, path: str, params: dict[str, Any]) -> Reply:
        assert path == "/agencies/earnings"
        self.asked.append(params)
        answer = self.pages[len(self.asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        more = len(self.asked) < len(self.pages)
        pagination = {"page": len(self.asked), "size": len(answer), "hasMore": more}
        return Reply(200, {"data": answer, "pagination": pagination}, {}, None, None, Family.V1)

    def sums(self, job: Any = THROUGH_AGENCY) -> FanvueSums:
        return FanvueSums(job, cast("PageReader", self))


async def test_the_report_is_read_to_its_last_page() -> None:
    report = Report([[row(1), row(2)], [row(3)]])

    sums = await report.sums().report(DAYS)

    assert sums is not None
    assert sorted(sums) == [date(2026, 11, day) for day in (1, 2, 3)]
    assert sums[date(2026, 11, 1)] == DaySum(Decimal("1.00"), Decimal("0.80"))
    assert [asked.get("page") for asked in report.asked] == [None, "2"]
    assert {asked["creatorUuids"] for asked in report.asked} == {CREATOR}


async def test_a_creator_with_their_own_grant_has_no_report() -> None:
    report = Report([])

    assert await report.sums(JOB).report(DAYS) is None
    assert report.asked == []


@pytest.mark.parametrize("error", [ScopeMissing("no"), NotFound("no")], ids=repr)
async def test_a_report_that_may_not_be_read_is_no_opinion(error: Exception) -> None:
    assert await Report([error]).sums().report(DAYS) is None


async def test_a_broken_report_is_tried_again_before_it_is_left_out() -> None:
    broken = Transient("it broke")
    last = replace(THROUGH_AGENCY, attempt=3)

    with pytest.raises(Transient):
        await Report([broken]).sums().report(DAYS)
    assert await Report([broken]).sums(last).report(DAYS) is None


PAUSES = [
    Throttled("later", until=datetime.now(UTC)),
    DatabaseUnavailable("it is away"),
    SchemaMissing("the database has no take_calls"),
]


@pytest.mark.parametrize("error", PAUSES, ids=lambda error: error.code)
async def test_what_says_nothing_of_the_report_is_no_opinion_but_a_pause(error: SyncError) -> None:
    with pytest.raises(type(error)):
        await Report([error]).sums(replace(THROUGH_AGENCY, attempt=3)).report(DAYS)


def test_the_accounts_budget_is_the_creators_without_the_creator() -> None:
    assert THROUGH_AGENCY.account_bucket == "user:admin"
    assert JOB.account_bucket == JOB.bucket
