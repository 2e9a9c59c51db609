"""The database answers every call of this worker and of the one before it, to the argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.contract.worker_calls import UnreadableCallError, read_calls
from tests.support.postgres import PROJECT, empty_project, migrate
from tests.support.releases import candidates, older_worker, recorded, rpc_functions


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.database

RECORDED = recorded()
NOW = read_calls(PROJECT / "worker")


@pytest.fixture(scope="module")
def functions(stack: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
    with empty_project(stack["SUPABASE_DB_URL"]) as url:
        migrate(url)
        with psycopg.connect(url) as connection:
            yield rpc_functions(connection)


def test_the_record_is_of_the_worker_that_is_kept() -> None:
    kept = read_calls(older_worker())

    assert {name: frozenset(call["arguments"]) for name, call in RECORDED.items()} == kept


def test_the_older_worker_is_another_one() -> None:
    assert read_calls(older_worker()) != NOW


@pytest.mark.parametrize("name", RECORDED)
def test_the_older_worker_is_answered(functions: list[dict[str, Any]], name: str) -> None:
    call = RECORDED[name]

    found = candidates(functions, name, frozenset(call["arguments"]))

    assert len(found) == 1, f"{len(found)} functions {name} take {sorted(call['arguments'])}"
    types = {argument: found[0]["arguments"][argument] for argument in call["arguments"]}
    assert types == call["arguments"]
    assert found[0]["returns"] == call["returns"]
    assert found[0]["callable"]


@pytest.mark.parametrize("name", sorted(NOW))
def test_this_worker_is_answered(functions: list[dict[str, Any]], name: str) -> None:
    found = candidates(functions, name, NOW[name])

    assert len(found) == 1, f"{len(found)} functions {name} take {sorted(NOW[name])}"
    assert found[0]["callable"]


def test_a_call_that_the_source_does_not_tell_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    folder.mkdir()
    (folder / "store.py").write_text(
        "async def ask(self, name):\n    await self._database.call(name)\n"
    )

    with pytest.raises(UnreadableCallError):
        read_calls(folder)
