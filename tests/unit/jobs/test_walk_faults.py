"""What a walk does with answers that are late, broken, refused or unreadable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.fanvue_stub import json_answer
from tests.unit.jobs.walk_bench import walking
from worker.errors import NotFound, ProviderContract, ScopeMissing, Transient, Unauthorized
from worker.jobs.outcomes import Done


if TYPE_CHECKING:
    from tests.unit.jobs.walk_bench import WalkBench


EARNINGS = "/v1/insights/earnings"


def breaks(bench: WalkBench, *, first: int, times: int, how: Any) -> None:
    """Let so many earnings answers be broken by `how(body)`."""

    def tamper(path: str, number: int, body: Any) -> Any:
        hit = path == "/insights/earnings" and first <= number < first + times
        return how(body) if hit else body

    bench.api.tamper = tamper


def without_gross(body: dict[str, Any]) -> dict[str, Any]:
    first, *others = body["data"]
    return {**body, "data": [{k: v for k, v in first.items() if k != "gross"}, *others]}


async def test_cursors_that_always_expire_stop_no_walk() -> None:
    w = walking(240, kind="full")
    w.api.list.expires = lambda: True

    assert await w.run() == Done()

    w.assert_exact()


async def test_rows_that_stay_unreadable_make_the_walk_partial_and_hold_the_high_water_mark() -> (
    None
):
    w = walking(120)
    breaks(w, first=1, times=2, how=without_gross)

    result = await w.run()

    assert isinstance(result, Done)
    assert result.partial is not None
    assert result.partial.startswith("1 rows could not be read, such as: EarningRow at data[0]")
    assert w.book.pages[-1]["partial"] == result.partial
    assert w.book.high_water is None
    assert sum(w.book.ledger.contents().values()) == 119


async def test_a_row_that_is_readable_at_the_second_look_is_no_matter() -> None:
    w = walking(120)
    breaks(w, first=1, times=1, how=without_gross)

    assert await w.run() == Done()

    w.assert_exact()
    assert len(w.api.calls) == 4


async def test_after_a_partial_walk_the_next_one_mends_it() -> None:
    w = walking(30)
    breaks(w, first=1, times=2, how=without_gross)
    await w.run()

    assert await w.run() == Done()

    w.assert_exact()
    assert w.book.high_water == w.rows[-1].at


@pytest.mark.parametrize(
    "how",
    [
        lambda body: {**body, "data": None},
        lambda body: {"data": body["data"]},
        lambda _: [],
    ],
    ids=["no rows", "no cursor", "no object"],
)
async def test_a_page_out_of_contract_is_asked_for_once_more_and_never_committed(how: Any) -> None:
    forgiven, broken = walking(120), walking(120)
    breaks(forgiven, first=2, times=1, how=how)
    breaks(broken, first=2, times=99, how=how)

    assert await forgiven.run() == Done()
    with pytest.raises(ProviderContract):
        await broken.run()

    forgiven.assert_exact()
    assert len(broken.book.pages) == 1
    assert len(broken.api.calls) == 3


async def test_a_refused_token_is_refreshed_and_the_page_read_again() -> None:
    w = walking(120)
    w.api.tokens = {"access-1"}

    assert await w.run() == Done()

    w.assert_exact()
    assert len(w.api.calls) == 4
    assert len(w.grants.desk.asked) == 1
    assert w.grants.stored()[0] == "access-1"


async def test_a_fresh_token_that_is_refused_too_is_left_to_the_queue() -> None:
    w = walking(120)
    w.api.tokens = set()

    with pytest.raises(Unauthorized):
        await w.run()

    assert len(w.api.calls) == 2
    assert len(w.grants.desk.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(403, ScopeMissing), (404, NotFound), (503, Transient)]
)
async def test_a_list_that_is_refused_leaves_what_was_committed(
    status: int, kind: type[Exception]
) -> None:
    w = walking(120)
    breaks(w, first=2, times=99, how=lambda _: json_answer({"error": "no"}, status))

    with pytest.raises(kind):
        await w.run()

    assert len(w.book.pages) == 1
    assert w.book.walk is not None
    w.api.tamper = None
    assert await w.run() == Done()
    w.assert_exact()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(502, html="<html>bad gateway</html>"),
        lambda: httpx.Response(200, html="<html>hello</html>"),
        lambda: httpx.Response(200, content=b'{"data": [{"gross": 1'),
    ],
    ids=["502", "html", "cut"],
)
async def test_a_broken_answer_is_asked_for_again_and_counted(answer: Any) -> None:
    w = walking(120)
    breaks(w, first=2, times=1, how=lambda _: answer())

    assert await w.run() == Done()

    w.assert_exact()
    assert (w.meter.requests, w.meter.retries) == (4, 1)
