"""The stamp of an agency's dashboard changes when what it shows changes, and at nothing else.

Each case is one statement, as a page commit, a webhook or an operator may write it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.figures import PERIODS, stats
from tests.database.happenings import ACCOUNT, FANS, PAGE, PAY_OUT, SALES, VALUES


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


@pytest.fixture
def house(engine: Engine) -> tuple[Engine, uuid.UUID, uuid.UUID]:
    """Return two agencies, each with a creator who has one of everything."""
    first, second = engine.agency(), engine.agency()
    for handle, agency_id in (("a", first), ("b", second)):
        engine.model(agency_id, due=False, handle=handle)
        for statement in (SALES, PAGE, FANS, ACCOUNT):
            engine.owner.execute(statement.encode(), VALUES | {"models": [handle]})
    return engine, first, second


@pytest.mark.parametrize(
    "silent",
    [
        PAY_OUT,
        "update public.fanvue_transactions set amount = amount",
        "update public.fanvue_top_fans set synced_at = now(), rank = 9, messages = 99",
        (
            "update public.fanvue_accounts set synced_at = now(), total_gross = 9,"
            " status = 'active', available_balance = 9, counted_followers = 9,"
            " last_payout_at = now()"
        ),
        "update public.models set status_reason = 'x', connected_at = now(), token_version = 9",
        "update public.sync_state set last_success_at = now(), consecutive_failures = 3",
        "delete from public.fanvue_transactions where false",
        (
            "insert into public.fanvue_accounts (model_id, agency_id)"
            " select id, agency_id from public.models on conflict do nothing"
        ),
    ],
)
def test_what_the_dashboard_does_not_show_leaves_the_stamp(
    house: tuple[Engine, uuid.UUID, uuid.UUID], silent: str
) -> None:
    engine, first, _ = house
    before = stats(engine, first, *PERIODS[0])

    engine.rows(silent)

    assert stats(engine, first, *PERIODS[0]) == before


@pytest.mark.parametrize(
    "loud",
    [
        "update public.fanvue_transactions set amount = amount + 0.01 where fanvue_id = 'u1'",
        "update public.fanvue_transactions set net_amount = net_amount + 0.01",
        "update public.fanvue_transactions set category = 'new' where fanvue_id = 'u1'",
        "update public.fanvue_transactions set sent_minor_units = 5 where origin = 'webhook'",
        "update public.fanvue_transactions set sent_currency = 'GBP' where origin = 'webhook'",
        "update public.fanvue_transactions set origin = 'webhook'",
        "delete from public.fanvue_transactions where fanvue_id = 'u1'",
        "truncate public.fanvue_transactions cascade",
        "truncate public.fanvue_accounts",
        "truncate public.fanvue_top_fans",
        "update public.fanvue_top_fans set gross = gross + 1",
        "update public.fanvue_top_fans set display_name = 'Fan'",
        "delete from public.fanvue_top_fans",
        "update public.fanvue_accounts set subscribers = subscribers + 1",
        "update public.fanvue_accounts set followers = 1",
        "delete from public.fanvue_accounts",
        "update public.models set handle = handle || 'x'",
        "update public.models set display_name = 'x'",
        "update public.models set status = 'paused'",
        "delete from public.models",
    ],
)
def test_what_the_dashboard_shows_changes_the_stamp(
    house: tuple[Engine, uuid.UUID, uuid.UUID], loud: str
) -> None:
    engine, first, _ = house
    before = stats(engine, first, *PERIODS[0])

    engine.rows(loud)

    after = stats(engine, first, *PERIODS[0])
    assert after["stamp"] != before["stamp"]
    assert after | {"stamp": None} != before | {"stamp": None}


def test_nothing_sent_and_nought_sent_are_not_the_same(
    house: tuple[Engine, uuid.UUID, uuid.UUID],
) -> None:
    engine, first, _ = house
    engine.rows(
        "update public.fanvue_transactions"
        " set origin = 'webhook', sent_currency = 'EUR', sent_minor_units = null"
    )
    before = stats(engine, first, *PERIODS[0])

    engine.rows("update public.fanvue_transactions set sent_minor_units = 0")

    assert stats(engine, first, *PERIODS[0])["stamp"] != before["stamp"]


def test_figures_that_are_written_anew_get_no_old_stamp_back(
    house: tuple[Engine, uuid.UUID, uuid.UUID],
) -> None:
    engine, first, _ = house
    stamps = [stats(engine, first, *PERIODS[0])["stamp"]]
    for handle in ("a", "a"):
        model_id = engine.value("delete from public.models where handle = %s returning id", handle)
        engine.model(first, due=False, handle=handle, id=model_id)
        engine.owner.execute(SALES.encode(), VALUES | {"models": [handle]})
        stamps.append(stats(engine, first, *PERIODS[0])["stamp"])

    assert len(set(stamps)) == len(stamps)


def test_a_creator_who_moves_changes_both_agencies(
    house: tuple[Engine, uuid.UUID, uuid.UUID],
) -> None:
    engine, first, second = house
    before = [stats(engine, agency_id, *PERIODS[0]) for agency_id in (first, second)]

    engine.rows("update public.models set agency_id = %s where handle = 'a'", second)

    left, joined = (stats(engine, agency_id, *PERIODS[0]) for agency_id in (first, second))
    assert (left["by_model"], left["top_fans"]) == ([], [])
    assert [line["handle"] for line in joined["by_model"]] == ["a", "b"]
    assert left["stamp"] != before[0]["stamp"]
    assert joined["stamp"] != before[1]["stamp"]


def test_a_creator_who_is_entered_again_under_their_id_gets_no_old_stamp_back(
    house: tuple[Engine, uuid.UUID, uuid.UUID],
) -> None:
    engine, first, _ = house
    before = stats(engine, first, *PERIODS[0])
    model_id = engine.value("delete from public.models where handle = 'a' returning id")

    engine.model(first, due=False, handle="a", id=model_id)
    for statement in (SALES, PAGE, FANS, ACCOUNT):
        engine.owner.execute(statement.encode(), VALUES | {"amount": "6.00"})

    assert stats(engine, first, *PERIODS[0])["stamp"] != before["stamp"]


def test_one_agency_s_sale_leaves_the_other_s_stamp(
    house: tuple[Engine, uuid.UUID, uuid.UUID],
) -> None:
    engine, _, second = house
    before = stats(engine, second, *PERIODS[0])

    engine.owner.execute(SALES.encode(), VALUES)

    assert stats(engine, second, *PERIODS[0]) == before
