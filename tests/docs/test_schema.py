"""docs/schema.md and the rights in docs/security.md say what the migrated database says."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from local.schema_docs import (
    DOCUMENT,
    QUERY,
    SECURITY,
    describe,
    describe_rights,
    replace_rights,
)
from tests.support.postgres import empty_project, migrate


if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def facts(stack: dict[str, str]) -> Iterator[dict[str, Any]]:
    with empty_project(stack["SUPABASE_DB_URL"]) as url:
        migrate(url)
        with psycopg.connect(url) as connection:
            row = connection.execute(QUERY.read_text("utf-8").encode()).fetchone()
            assert row is not None
            yield row[0]


def test_the_document_is_of_this_schema(facts: dict[str, Any]) -> None:
    written, wanted = DOCUMENT.read_text("utf-8"), describe(facts)
    difference = "\n".join(
        difflib.unified_diff(
            written.splitlines(), wanted.splitlines(), "docs/schema.md", "database"
        )
    )

    assert not difference, f"run `python -m local.schema_docs`:\n{difference[:4000]}"


def test_the_rights_of_members_are_those_of_the_catalog(facts: dict[str, Any]) -> None:
    written, rights = SECURITY.read_text("utf-8"), describe_rights(facts)

    assert replace_rights(written, rights) == written, (
        f"run `python -m local.schema_docs`:\n{rights}"
    )
    assert rights.count("\n| `") > 10


def test_every_table_and_every_function_says_what_it_is_for(facts: dict[str, Any]) -> None:
    things = [*facts["relations"], *facts["functions"]]

    assert things
    assert [one["name"] for one in things if not one["comment"]] == []


def test_anonymous_callers_have_no_rights(facts: dict[str, Any]) -> None:
    rights = [
        line.partition("; ")[0] for line in describe(facts).splitlines() if "anon may" in line
    ]

    # Keys of the tables that clients may follow: docs/decisions, 21.
    assert rights == ["- grants: anon may select (id)"] * 3
    assert not [one["name"] for one in facts["functions"] if "anon" in (one["callers"] or ())]
