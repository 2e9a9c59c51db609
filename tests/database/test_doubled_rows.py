"""The document's way to take doubled rows out takes only what has a twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.database.streams import Creator
from tests.docs.fences import read_fences
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from tests.database.engine import Engine


HEADING = "Take the doubled rows out"
OLD: dict[str, Any] = {"source": None, "fan_uuid": "a"}
LISTED: dict[str, Any] = {"source": "tip", "fan_uuid": "a"}


def doubles() -> str:
    """Return the query of the document."""
    (block,) = [
        one.text
        for one in read_fences(PROJECT / "docs" / "adopt.md")
        if one.heading == HEADING and "create temp table doubles" in one.text
    ]
    return block[block.index("select t.*") : block.index(";")]


def write(engine: Engine, creator: Creator, name: str, **columns: Any) -> None:
    engine.rows(
        "insert into public.fanvue_transactions"
        " (agency_id, model_id, fanvue_id, amount, net_amount, category, source, fan_uuid,"
        "  fanvue_created_at)"
        " values (%s, %s, %s, 50, 40, 'tip', %s, %s, timestamptz '2026-10-01')",
        creator.agency_id,
        creator.model_id,
        name,
        columns["source"],
        columns["fan_uuid"],
    )


@pytest.mark.parametrize(
    ("doubted", "beside", "taken"),
    [
        (OLD, LISTED, ["doubted"]),
        (OLD | {"fan_uuid": None}, LISTED, ["doubted"]),
        (OLD, LISTED | {"fan_uuid": "b"}, []),
        (OLD, OLD, []),
        (OLD, None, []),
        (LISTED, LISTED, []),
        (LISTED, None, []),
    ],
    ids=[
        "a twin",
        "a twin without a fan",
        "another fan",
        "no listed one",
        "alone",
        "ours",
        "ours alone",
    ],
)
def test_only_an_older_row_with_a_listed_twin_of_the_same_fan_is_taken_out(
    engine: Engine, doubted: dict[str, Any], beside: dict[str, Any] | None, taken: list[str]
) -> None:
    creator = Creator(engine, "earnings")
    write(engine, creator, "doubted", **doubted)
    if beside is not None:
        write(engine, creator, "beside", **beside)
    engine.rows(
        "insert into public.reconciliation_findings"
        " (agency_id, model_id, run_id, kind, state, subject, day, happened_at, transaction_id,"
        "  transactions, first_seen_at, last_seen_at)"
        " select agency_id, model_id, gen_random_uuid(), 'not_listed', 'open', fanvue_id,"
        " '2026-10-01', fanvue_created_at, id, 1, now(), now()"
        " from public.fanvue_transactions where fanvue_id = 'doubted'"
    )

    assert [row["fanvue_id"] for row in engine.rows(doubles())] == taken
