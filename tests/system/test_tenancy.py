"""What must never be seen: tokens and keys anywhere, one agency's ids in another one's texts.

Whole workers run with the most talkative logging while everything goes wrong that can.
"""

from __future__ import annotations

import io
import json
import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog

from tests.support.flaky_rest import FlakyRest, flaky
from tests.support.waiting import PATIENCE_SECONDS
from worker.errors import Rejected
from worker.logs import configure_logging


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.engine import Engine
    from worker.logs import LogFormat


pytestmark = pytest.mark.system

# Access tokens, refresh tokens, and both of them sealed.
SECRET = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+|ory_rt_[\w.-]+|fse1\.[\w-]+\.[\w-]+")
OTHER_KEY = "other:" + "A" * 43 + "="
ROWS = """
select coalesce(string_agg(x::text, E'\\n'), '') from (
  select to_jsonb(j)::text as x from public.sync_jobs j
  union all select to_jsonb(r)::text from public.sync_runs r
  union all select to_jsonb(s)::text from public.sync_state s
  union all select (to_jsonb(m) - 'fanvue_access_token' - 'fanvue_refresh_token')::text
            from public.models m
  union all select to_jsonb(t)::text from private.token_refreshes t
  union all select to_jsonb(b)::text from private.api_budgets b
  union all select to_jsonb(e)::text from private.api_endpoints e
) rows
"""


@contextmanager
def _overheard(engine: Engine) -> Iterator[tuple[FlakyRest, FlakyRest]]:
    """Listen between the worker and both of its other sides."""
    with (
        flaky(engine.environment["SUPABASE_URL"]) as rest,
        flaky(engine.environment["FANVUE_API_URL"]) as fanvue,
    ):
        engine.environment |= {
            "SUPABASE_URL": rest.url,
            "FANVUE_API_URL": fanvue.url,
            "FANVUE_AUTH_URL": fanvue.url,
        }
        yield rest, fanvue


@contextmanager
def _logged(engine: Engine, *formats: LogFormat) -> Iterator[list[io.StringIO]]:
    """Collect what a worker logs at its most talkative, in each of the formats."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    streams, listeners = [io.StringIO() for _ in formats], []
    for log_format, stream in zip(formats, streams, strict=True):
        configure_logging("debug", log_format, secrets=engine.settings().secrets(), stream=stream)
        listeners += root.handlers
    root.handlers[:] = listeners
    try:
        yield streams
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


def test_no_secret_is_logged_or_kept_whatever_goes_wrong(engine: Engine) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    # A lost answer of the token endpoint is asked for again within the grace, however late.
    engine.fanvue.freeze()
    with _overheard(engine) as (rest, fanvue), _logged(engine, "json", "console") as streams:
        well, refused, dead, swapped = (engine.creator(60) for _ in range(4))
        _drain(engine)
        # All tokens end; one is refused in use, one chain is dead, answers are lost.
        engine.pass_time(3500)
        engine.fanvue.kill_chain(dead)
        engine.fanvue.add_fault(
            "status", status=401, creator=refused, path="/insights/earnings$", times=1
        )
        fanvue.lose_answer("token")
        rest.spoil_answer("begin_sync_walk", b"{}")
        rest.lose_answer("finish_token_refresh", 2)
        _drain(engine)
        engine.pass_time(15)
        _drain(engine)
        # The key is missing for a while, and a grant was swapped with another row's.
        engine.database.execute(
            "update public.models m set fanvue_access_token = o.fanvue_access_token,"
            " fanvue_refresh_token = o.fanvue_refresh_token"
            " from public.models o where m.id = %s and o.id = %s",
            (engine.models[swapped], engine.models[well]),
        )
        engine.pass_time(1800)
        _drain(engine, TOKEN_ENCRYPTION_KEYS=OTHER_KEY)
        for _ in range(5):
            # Waits are jittered: which round brings the second refusal is a matter of chance.
            engine.pass_time(330)
            _drain(engine)
            if "grant_invalid" in streams[0].getvalue():
                break
        said = "\n".join(rest.overheard + fanvue.overheard)
        logs = [stream.getvalue() for stream in streams]

    secrets = set(SECRET.findall(said)) | _settings_secrets(engine)
    assert len(secrets) > 20
    row = engine.database.execute(ROWS).fetchone()
    assert row is not None
    for kept in (*logs, row[0]):
        assert [secret for secret in secrets if secret in kept] == []
    for logged in logs:
        for event in ("page_applied", "token_refreshed", "job_failed", "job_crashed", "KeyError"):
            assert event in logged
        for kind in ("misconfigured", "seal_broken", "grant_invalid"):
            assert kind in logged
    engine.assert_exact(well)


def test_rows_and_logs_of_one_agency_name_nothing_of_another_one(engine: Engine) -> None:
    ours = engine.creator(40)
    theirs = engine.fanvue.add_creators(transactions=40)[0]
    engine.connect(theirs["uuid"], "Agency B")
    engine.fanvue.add_fault("status", status=403, creator=ours, path="/insights/earnings$", nth=1)

    with _logged(engine, "json") as (stream,):
        engine.drain()

    text = stream.getvalue()
    foreign = _ids_of(engine, engine.models[theirs["uuid"]]) | {theirs["uuid"], theirs["handle"]}
    mine = engine.models[ours]
    lines = [line for line in text.splitlines() if mine in line]
    rows = engine.database.execute(
        """
        select to_jsonb(j)::text from public.sync_jobs j where model_id = %(mine)s
        union all select to_jsonb(r)::text from public.sync_runs r where model_id = %(mine)s
        union all select to_jsonb(s)::text from public.sync_state s where model_id = %(mine)s
        union all select to_jsonb(t)::text from public.fanvue_transactions t
                  where model_id = %(mine)s
        """,
        {"mine": mine},
    ).fetchall()
    assert lines
    assert rows
    assert all(json.loads(line)["model_id"] == mine for line in lines)
    assert [
        (name, found)
        for found in [*lines, *(row[0] for row in rows)]
        for name in foreign
        if name in found
    ] == []
    engine.assert_exact(theirs["uuid"])


def test_refused_connection_does_not_name_the_other_agency_s_model(engine: Engine) -> None:
    creator = engine.creator(0)

    with pytest.raises(Rejected) as refusal:
        engine.connect(creator, "Agency B")

    told = refusal.value.operator_message
    assert creator in told
    assert [name for name in _ids_of(engine, engine.models[creator]) if name in told] == []


def _drain(engine: Engine, **changes: str) -> None:
    """Do what is due now, with one tick before it."""
    engine.database.execute("select public.enqueue_due('test')")
    engine.drain(wait_seconds=0, **changes)


def _ids_of(engine: Engine, model_id: str) -> set[str]:
    row = engine.database.execute(
        """
        select array[m.id::text, m.agency_id::text]
          || array(select t.id::text from public.fanvue_transactions t where t.model_id = m.id)
          || array(select t.fanvue_id from public.fanvue_transactions t where t.model_id = m.id)
        from public.models m where m.id = %s
        """,
        (model_id,),
    ).fetchone()
    assert row is not None
    return set(row[0])


def _settings_secrets(engine: Engine) -> set[str]:
    values: dict[str, Any] = engine.environment
    names = ("SUPABASE_SECRET_KEY", "FANVUE_CLIENT_SECRET", "UPSTASH_REDIS_REST_TOKEN")
    keys = [part.partition(":")[2] for part in values["TOKEN_ENCRYPTION_KEYS"].split(",")]
    return {values[name] for name in names if values.get(name)} | set(keys)


def test_nobody_makes_an_account_alone(engine: Engine) -> None:
    answer = httpx.post(
        f"{engine.environment['SUPABASE_URL']}/auth/v1/signup",
        headers={"apikey": engine.environment["SUPABASE_PUBLISHABLE_KEY"]},
        json={"email": "stranger@example.com", "password": "a-long-one"},
        timeout=PATIENCE_SECONDS,
    )

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert answer.json()["error_code"] == "signup_disabled"
