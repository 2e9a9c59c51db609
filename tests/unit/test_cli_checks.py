"""The doctor's judgements and what other commands may show, from facts alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import pytest

from worker import SCHEMA_VERSION
from worker.commands import doctor, server_checks
from worker.commands.database_checks import (
    SCHEDULES,
    check_access,
    check_clock,
    check_creators,
    check_keys,
    check_migrations,
    check_schedules,
)
from worker.commands.findings import Verdict
from worker.commands.run import summary
from worker.commands.tokens import _without_tokens
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring, SealingKey
from worker.settings import load_settings
from worker.tally import Tally


if TYPE_CHECKING:
    from worker.settings import Settings


MODEL = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ALL_ACTIVE = dict.fromkeys(SCHEDULES, True)


async def test_everything_that_is_down_keeps_the_doctor_for_less_than_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The database and the servers are asked at once, and a server at most twice.
    assert max(doctor.DATABASE_PATIENCE_SECONDS, 3 * server_checks.PROBE_SECONDS) < 10

    async def silence(_: Settings) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(doctor, "DATABASE_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(doctor, "_ask", silence)
    known = {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SECRET_KEY": "sb_secret_made_up"}
    settings = load_settings(known, None, need=())

    (finding,) = await doctor._examine_database(settings)

    assert (finding.check, finding.verdict) == ("database", Verdict.FAIL)


@pytest.mark.parametrize(
    ("closed", "unconfirmed", "verdict"),
    [
        (True, False, Verdict.OK),
        (True, True, Verdict.OK),
        (False, False, Verdict.WARN),
        (False, True, Verdict.FAIL),
    ],
)
async def test_open_sign_ups_are_worst_where_nobody_confirms_an_address(
    monkeypatch: pytest.MonkeyPatch, *, closed: bool, unconfirmed: bool, verdict: Verdict
) -> None:
    def auth(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/auth/v1/settings"
        told = {"disable_signup": closed, "mailer_autoconfirm": unconfirmed}
        return httpx.Response(200, json=told)

    monkeypatch.setattr(
        server_checks,
        "open_client",
        lambda **_: httpx.AsyncClient(transport=httpx.MockTransport(auth)),
    )
    known = {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SECRET_KEY": "sb_secret_made_up"}

    finding = await server_checks.check_sign_ups(load_settings(known, None, need=()).supabase)

    assert (finding.check, finding.verdict) == ("sign-ups", verdict)


def keyring(*ids: str, fill: int = 0) -> Keyring:
    return Keyring(SealingKey(key_id, bytes([fill]) * 32) for key_id in ids)


def grant(ring: Keyring) -> dict[str, Any]:
    return {
        "grant_id": MODEL,
        "model_id": MODEL,
        "connection_id": None,
        "creators": 1,
        "in_use": True,
        "agency": "Nova",
        "handle": "nova",
        "status": "active",
        "status_reason": None,
        "access_token": ring.seal("made-up-access", MODEL, ACCESS_COLUMN),
        "refresh_token": ring.seal("made-up-refresh", MODEL, REFRESH_COLUMN),
        "expires_at": NOW.isoformat(),
        "version": 3,
        "last_refreshed_at": None,
        "failures": None,
        "last_error": None,
    }


@pytest.mark.parametrize(
    ("applied", "listed", "verdict"),
    [
        (SCHEMA_VERSION, [SCHEMA_VERSION], Verdict.OK),
        (SCHEMA_VERSION, None, Verdict.OK),
        ("20200101000000", None, Verdict.FAIL),
        (SCHEMA_VERSION, ["20200101000000"], Verdict.FAIL),
        ("20990101000000", [SCHEMA_VERSION, "20990101000000"], Verdict.WARN),
    ],
)
def test_migrations_are_compared_with_those_the_worker_was_built_for(
    applied: str, listed: list[str] | None, verdict: Verdict
) -> None:
    finding = check_migrations({"schema_version": applied, "migrations": listed})

    assert finding.verdict is verdict
    if verdict is Verdict.FAIL:
        assert finding.text.endswith("apply the migrations: supabase db push --remote")


@pytest.mark.parametrize(
    ("cron", "ages", "verdicts"),
    [
        (ALL_ACTIVE, {"pg_cron": 30}, [Verdict.OK, Verdict.OK]),
        (ALL_ACTIVE, {"pg_cron": 181, "worker": 5}, [Verdict.OK, Verdict.WARN]),
        (ALL_ACTIVE, {"pg_cron": 181, "worker": 500}, [Verdict.OK, Verdict.FAIL]),
        (ALL_ACTIVE, None, [Verdict.OK, Verdict.WARN]),
        (ALL_ACTIVE, {"operator": 1}, [Verdict.OK, Verdict.WARN]),
        (ALL_ACTIVE | {"fanvue-reap": False}, {"pg_cron": 1}, [Verdict.FAIL, Verdict.OK]),
        ({"fanvue-reap": True}, {"worker": 1}, [Verdict.FAIL, Verdict.WARN]),
        (None, {"worker": 1}, [Verdict.WARN, Verdict.WARN]),
        (None, None, [Verdict.WARN, Verdict.FAIL]),
        ({"unknown": True}, {"pg_cron": 1}, [Verdict.WARN, Verdict.OK]),
    ],
)
def test_schedules_must_be_there_and_tick(
    cron: dict[str, bool] | None, ages: dict[str, float] | None, verdicts: list[Verdict]
) -> None:
    findings = check_schedules({"cron": cron, "scheduler": ages})

    assert [finding.verdict for finding in findings] == verdicts


@pytest.mark.parametrize(
    ("ahead", "verdict"), [(0, Verdict.OK), (-29, Verdict.OK), (31, Verdict.WARN)]
)
def test_clocks_may_differ_by_half_a_minute(ahead: int, verdict: Verdict) -> None:
    facts = {"now": (NOW + timedelta(seconds=ahead)).isoformat(), "clock_shift_seconds": 0}

    assert check_clock(facts, NOW).verdict is verdict


def test_a_shifted_engine_clock_is_told_from_skew() -> None:
    facts = {"now": (NOW + timedelta(hours=1)).isoformat(), "clock_shift_seconds": 3600}

    assert "private.engine_clock" in check_clock(facts, NOW).text


def test_tokens_sealed_with_an_unknown_key_name_it_and_the_setting() -> None:
    finding = check_keys({"old": 4, "new": 2}, keyring("new"), [])

    assert finding.verdict is Verdict.FAIL
    assert "'old'" in finding.text
    assert "TOKEN_ENCRYPTION_KEYS" in finding.text


def test_a_key_with_the_right_name_and_wrong_bytes_is_found() -> None:
    finding = check_keys({"k": 2}, keyring("k", fill=1), [grant(keyring("k"))])

    assert finding.verdict is Verdict.FAIL
    assert "TOKEN_ENCRYPTION_KEYS" in finding.text


@pytest.mark.parametrize("used", [{"old": 2}, {"plain": 2}])
def test_tokens_not_sealed_by_the_first_key_suggest_a_rotation(used: dict[str, int]) -> None:
    finding = check_keys(used, keyring("new", "old"), [])

    assert finding.verdict is Verdict.WARN
    assert "rotate-key" in finding.text


def test_keys_that_open_everything_are_fine() -> None:
    assert check_keys({"k": 2}, keyring("k"), [grant(keyring("k"))]).verdict is Verdict.OK


def test_creators_who_must_connect_again_are_counted() -> None:
    assert check_creators({"active": 2, "reauth_required": 1}).verdict is Verdict.WARN
    assert check_creators({"active": 2, "paused": 1}).verdict is Verdict.OK


def test_the_status_of_a_grant_names_its_key_and_shows_no_token() -> None:
    shown = _without_tokens(grant(keyring("k")))

    assert shown["sealed_by"] == ["k"]
    assert "fse1." not in str(shown)
    assert _without_tokens(grant(keyring("k")) | {"refresh_token": "plain"})["sealed_by"] == [
        "k",
        "plain text",
    ]


def test_a_run_is_summed_up_with_its_waits() -> None:
    tally = Tally(claimed=3, outcomes=Counter(succeeded=2, dead=1), requests=7)
    for milliseconds in (30, 10, 20):
        tally.pickup.add(timedelta(milliseconds=milliseconds))

    told = summary(tally)

    assert told["outcomes"] == {"dead": 1, "succeeded": 2}
    assert told["dead"] == 1
    assert told["pickup_ms"] == {"p50": 20, "p95": 30}


def test_access_that_the_engine_did_not_give_fails_until_it_is_kept() -> None:
    policy = {"object": "policy mine on public.models", "remedy": "drop …", "kept": None}

    assert check_access({"foreign_access": []}).verdict is Verdict.OK
    assert check_access({"foreign_access": [{**policy, "kept": "ours"}]}).verdict is Verdict.OK
    finding = check_access({"foreign_access": [policy]})
    assert finding.verdict is Verdict.FAIL
    assert "policy mine on public.models" in finding.text
