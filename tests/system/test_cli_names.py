"""Creators go by their handles, and every table fits a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from tests.support.program import Program


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

# Long, wide, of several signs, and with what a terminal would obey.
HANDLES = [
    "nova",
    "a_handle_that_is_far_longer_than_any_column",
    "日本の創作者さん",
    "👩‍🎤 star [b]",
]
CROWD = """
insert into public.agencies (name)
values ('An agency whose name is written out in full and then some'), ('事務所');
insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token, handle, status,
                           status_reason)
select a.id, gen_random_uuid()::text, 'refresh',
       case when mod(n, 50) = 0 then null else (%(handles)s::text[])[1 + mod(n, 4)] || n end,
       case when mod(n, 100) = 7 then 'reauth_required' else 'active' end,
       case when mod(n, 100) = 7 then 'Fanvue refused the refresh token' end
from (select id, row_number() over (order by name) as place from public.agencies) a
join generate_series(1, 300) n on mod(n, 2) + 1 = a.place;
update public.sync_state s
set consecutive_failures = 2, last_error = jsonb_build_object('message',
      'Fanvue answered 500: a long story that goes on and on, far beyond the end of the line')
from public.models m where m.id = s.model_id and m.handle like '%%9';
select public.enqueue_due('test');
"""


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@pytest.fixture
def crowd(program: Program) -> Program:
    database = program.engine.database
    for statement in CROWD.split(";\n"):
        if statement.strip():
            database.execute(statement.encode(), {"handles": HANDLES})
    return program


def named(engine: Engine, creator: str, handle: str) -> None:
    engine.database.execute(
        "update public.models set handle = %s where id = %s", (handle, engine.models[creator])
    )


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (("creators",), 300),
        (("jobs", "list", "--limit", "200"), 200),
        (("status", "--streams"), 297),
        (("tokens", "status"), 300),
    ],
    ids=str,
)
def test_a_table_of_300_creators_fits_80_columns_a_line_for_each(
    crowd: Program, words: tuple[str, ...], lines: int
) -> None:
    shown = crowd.on_a_terminal(*words)

    heads = ("creator", "account", "job ")
    start = next(n for n, line in enumerate(shown) if line.startswith(heads))
    end = next((n for n in range(start, len(shown)) if not shown[n].strip()), len(shown))
    table = [line for line in shown[start + 1 : end] if not line.startswith("  - ")]
    assert max(cell_len(line) for line in table) <= 80
    assert len(table) >= lines
    assert not [line for line in table if line.startswith(" ") and not line[3:].strip()]
    assert "日本" in "".join(table)


def test_what_is_piped_is_cut_nowhere(crowd: Program) -> None:
    listed = crowd("creators").stdout

    assert HANDLES[1] in listed
    assert "An agency whose name is written out in full and then some" in listed


def test_each_account_that_must_connect_comes_with_its_command(crowd: Program) -> None:
    listed = crowd("creators").stdout
    told = crowd.json("creators")

    assert listed.count("must connect ") >= 3
    assert len(told["creators"]) == 300
    assert len(told["reconnect"]) == 3
    for one in told["reconnect"]:
        assert f"{one['account']} (" in listed.partition("must connect again")[2]
        assert "fanvue-sync connect --agency" in one["remedy"]


@pytest.mark.parametrize("word", ["nova", "@Nova", " NOVA "])
def test_a_creator_goes_by_the_handle_in_every_command(program: Program, word: str) -> None:
    engine = program.engine
    creator = engine.creator(5)
    named(engine, creator, "nova")

    synced = program.json("sync", word)
    proved = program.json("reconcile", "--model", word)
    refreshed = program.json("tokens", "refresh", word)

    assert synced["model_id"] == engine.models[creator]
    assert [one["model_id"] for one in proved["models"]] == [engine.models[creator]]
    assert [one["grant_id"] for one in refreshed] == [engine.models[creator]]


def test_ids_go_whole_or_by_their_beginning_and_uuids_of_fanvue_too(program: Program) -> None:
    engine = program.engine
    creator = engine.creator(5)
    model = engine.models[creator]

    found = {program.json("sync", who)["model_id"] for who in (model, model[:8], creator)}

    assert found == {model}
    assert program("tokens", "refresh", model[:8]).returncode == 0


def test_a_handle_of_two_creators_is_refused_with_their_ids(program: Program) -> None:
    engine = program.engine
    one, other = engine.creator(1), engine.creator(1)
    for creator in (one, other):
        named(engine, creator, "twin")

    for words in (
        *(("sync",), ("reconcile", "--model"), ("tokens", "refresh")),
        *(("webhooks", "list"), ("webhooks", "test"), ("webhooks", "delete", "--yes")),
    ):
        done = program(*words, "twin")

        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert engine.models[one] in done.stderr
        assert engine.models[other] in done.stderr


def test_an_unknown_creator_is_one_line_with_the_next_step(program: Program) -> None:
    done = program("sync", "nobody")

    assert done.returncode == 2
    assert done.stderr == (
        "error: no creator is called 'nobody'; fanvue-sync creators lists them\n"
    )


def test_all_creators_behind_a_dead_grant_are_one_line(program: Program) -> None:
    database = program.engine.database
    database.execute("update private.sync_streams set enabled = true")
    database.execute(
        """
        with agency as (insert into public.agencies (name) values ('Atlas') returning id),
        connection as (
          insert into public.agency_connections as k (agency_id, fanvue_user_uuid, refresh_token)
          select id, gen_random_uuid()::text, 'refresh' from agency returning k.id, k.agency_id)
        insert into public.models (agency_id, connection_id, fanvue_user_uuid, handle)
        select agency_id, id, gen_random_uuid()::text, 'c' || n
        from connection, generate_series(1, 30) n
        """
    )
    database.execute(
        "update public.agency_connections set status = 'reauth_required',"
        " status_reason = 'Fanvue refused it'"
    )
    database.execute(
        "update public.models set status = 'reauth_required', status_reason = 'the agency must'"
    )

    shown = program("status").stdout.splitlines()
    listed = program("creators").stdout

    (line,) = [one for one in shown if "must connect again: " in one]
    assert line.startswith("  - c1 and 29 more (Atlas): ")
    assert line.endswith(" streams must connect again: Fanvue refused it")
    assert listed.partition("\nmust connect again")[2].count("  - ") == 1


def test_a_worker_logs_for_eyes_on_a_terminal_and_for_machines_in_a_pipe(program: Program) -> None:
    shown = program.on_a_terminal("run", "--drain", with_errors=True)
    asked = program.on_a_terminal("run", "--drain", with_errors=True, WORKER_LOG_FORMAT="json")
    piped = program.process("run", "--drain")

    said = "0 jobs claimed (nothing to do), 0 calls to Fanvue, 0 of them throttled"
    assert any("worker_started" in line for line in shown)
    assert not any('"event"' in line for line in shown)
    assert any('"event": "worker_started"' in line for line in asked)
    assert all(line.startswith("{") for line in piped.stderr.splitlines())
    assert (piped.returncode, piped.stdout, said in shown[-1]) == (0, f"{said}\n", True)
