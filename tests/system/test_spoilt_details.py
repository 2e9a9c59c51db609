"""Records whose details are spoilt are kept, whole runs of them, and ids are folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.audience_books import FAMILIES, AudienceBooks


if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.system

# What says which records there are, whatever else is known of them.
ESSENTIALS = {
    "earnings": "select count(*), sum(amount) from public.fanvue_transactions where",
    "subscribers": "select count(*) from public.fanvue_fans where is_subscriber and",
    "followers": "select count(*) from public.fanvue_fans where is_follower and",
    "posts": "select count(*) from public.fanvue_posts where",
    "top_fans": "select count(*) from public.fanvue_top_fans where",
    "messages": "select count(*) from public.fanvue_chats where",
}


@FAMILIES
@pytest.mark.parametrize("sync_type", ESSENTIALS)
def test_spoilt_details_cost_no_record_and_no_walk(
    books: Callable[..., AudienceBooks], family: str, sync_type: str
) -> None:
    b = books(family)
    essentials = f"{ESSENTIALS[sync_type]} model_id = %(model)s"
    b.engine.fanvue.turn(spoilt_details=2)

    run = b.sync(sync_type, full=True)

    assert run["state"] == "succeeded"
    noted = b.rows(
        "select (detail ->> 'details')::integer, detail ->> 'details_example'"
        " from public.sync_runs where model_id = %(model)s order by id desc limit 1"
    )
    assert noted[0][0] > 0
    assert noted[0][1].startswith("data[")
    kept = b.rows(essentials)

    b.engine.fanvue.turn(spoilt_details=0)
    assert b.sync(sync_type, full=True)["state"] == "succeeded"

    # Nothing was missing, nothing came twice, and what was lost has been told since.
    assert b.rows(essentials) == kept
    if sync_type != "messages":
        b.assert_exact(sync_type)


@FAMILIES
def test_what_was_told_once_is_not_forgotten_for_a_spoilt_detail(
    books: Callable[..., AudienceBooks], family: str
) -> None:
    b = books(family)
    b.sync("earnings")
    told = (
        "select fanvue_id, amount, net_amount, source, category, fan_uuid, message_uuid"
        " from public.fanvue_transactions where model_id = %(model)s order by id"
    )
    before = b.rows(told)

    b.engine.fanvue.turn(spoilt_details=2)
    run = b.sync("earnings", full=True)

    assert run["state"] == "succeeded"
    assert b.rows(told) == before
    b.assert_exact("earnings")


@FAMILIES
def test_an_id_in_capitals_names_the_same_record(
    books: Callable[..., AudienceBooks], family: str
) -> None:
    b = books(family)
    kept = []
    # First of all, after small letters, and the other way round.
    for capitals in (True, False, True):
        b.engine.fanvue.turn(ids_in_capitals=capitals)
        states = [b.sync(sync_type, full=True)["state"] for sync_type in ESSENTIALS]
        assert states == ["succeeded"] * len(ESSENTIALS)
        kept.append([b.rows(f"{query} model_id = %(model)s") for query in ESSENTIALS.values()])

    assert kept[0] == kept[1] == kept[2]
    b.engine.fanvue.turn(ids_in_capitals=False)
    for sync_type in ESSENTIALS.keys() - {"messages"}:
        b.assert_exact(sync_type)


def test_days_whose_nets_were_not_told_are_not_compared_and_not_proved(
    books: Callable[..., AudienceBooks],
) -> None:
    # Within the days of each run: of older months a run proves one, and how many there are depends
    # on the date.
    b = books("v1", days=30)
    b.engine.fanvue.turn(spoilt_details=2)
    b.sync("earnings", full=True)
    b.engine.pass_time(24 * 3600)

    first = _reconciled(b)
    b.engine.fanvue.turn(spoilt_details=0)
    second = _reconciled(b)

    assert first[0] == "partial"
    assert "the days they are of were not compared" in first[1]["message"]
    assert second == ("succeeded", None)
    assert b.rows("select kind from public.reconciliation_findings where state = 'open'") == []


def _reconciled(b: AudienceBooks) -> tuple[str, Any]:
    """Prove the creator's money now; return the run's state and error."""
    b.engine.database.execute("select public.enqueue_reconcile(%s::uuid)", (b.model,))
    b.engine.drain()
    ((state, error),) = b.rows(
        "select state, error from public.sync_runs where model_id = %(model)s"
        " and sync_type = 'reconcile' order by id desc limit 1"
    )
    return state, error
