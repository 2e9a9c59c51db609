"""docs/operations.md explains every word that an operator can meet, and no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.docs.markdown import table
from tests.support.postgres import MIGRATIONS, PROJECT, empty_project, migrate
from worker import errors
from worker.errors import SyncError
from worker.store.database import DatabaseBroken


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import Connection


OPERATIONS = PROJECT / "docs" / "operations.md"
# Told to whoever sits at the command line, never kept on a job.
SPOKEN = {"usage", "sync_error"}


def migration(part: str) -> str:
    (path,) = MIGRATIONS.glob(f"*_{part}.sql")
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def database(stack: dict[str, str]) -> Iterator[Connection]:
    with empty_project(stack["SUPABASE_DB_URL"]) as url:
        migrate(url)
        with psycopg.connect(url) as connection:
            yield connection


@pytest.mark.database
def test_every_question_of_the_front_page_is_explained_in_its_order(database: Connection) -> None:
    rows = database.execute("select question from ops.health").fetchall()

    assert table(OPERATIONS, "question") == [row[0] for row in rows]


@pytest.mark.database
def test_every_bound_of_retention_is_explained(database: Connection) -> None:
    rows = database.execute(
        "select table_name || coalesce(': ' || nullif(part, 'all'), '') from private.retention"
        " where keep is not null"
    ).fetchall()

    assert sorted(table(OPERATIONS, "rows")) == sorted(row[0] for row in rows)


def test_every_cause_of_lateness_is_explained() -> None:
    causes = set(re.findall(r"when '([a-z_]+)' then", migration("create_late_view")))
    causes -= {"paused"}

    assert set(table(OPERATIONS, "cause")) == causes


def test_every_word_of_stream_health_is_explained() -> None:
    view = migration("create_dashboard_views").partition("as health")[0]
    words = re.findall(r"(?:then|else) '([^']+)'", view.rpartition("case")[2])

    assert set(table(OPERATIONS, "word")) == set(words)


def test_every_kind_of_error_is_explained() -> None:
    kinds = {
        value.code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, SyncError)
    }

    assert set(table(OPERATIONS, "kind")) == (kinds | {DatabaseBroken.code}) - SPOKEN


def test_every_trouble_that_is_told_is_explained() -> None:
    (kinds,) = re.findall(
        r"comment on column private\.alert_states\.kind is '([^']+)'", migration("create_alerts")
    )
    told = set(re.findall(r"[a-z_]+", kinds.replace(" or ", ", ")))

    assert set(table(OPERATIONS, "told by the engine")) == told


def test_every_alert_of_prometheus_is_explained() -> None:
    rules = (PROJECT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8")

    assert table(OPERATIONS, "Prometheus") == re.findall(r"- alert: (\w+)", rules)
