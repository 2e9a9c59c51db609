"""One grant of an agency serves all its creators, and nobody else's data is ever read with it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.agency_stage import AgencyStage
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS
from worker.sync.rows import REVERSALS


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

HOUR = 3600


@pytest.fixture
def agency(engine: Engine, tmp_path: Path) -> AgencyStage:
    return AgencyStage(engine, Program(engine, tmp_path))


def test_one_grant_reads_many_creators_to_the_cent(agency: AgencyStage) -> None:
    engine = agency.engine
    creators = agency.creators(8, transactions=60)
    result = agency.connect(*agency.consent())
    engine.fanvue.clear_requests()
    engine.fanvue.clear_stats()

    engine.drain()
    for _ in range(2):
        engine.pass_time(HOUR - 60)
        for creator in creators:
            engine.fanvue.add_sales(creator, 2)
        agency.tick()
        engine.drain()

    assert set(agency.outcomes(result).values()) == {"created"}
    for creator in creators:
        engine.assert_exact(creator)
    assert agency.connection()["token_version"] == 3
    assert (agency.stats()["refreshes"], agency.stats()["chain_kills"]) == (2, 0)
    for call in agency.data_paths():
        assert f"/creators/{call['creator']}/" in call["path"]
        assert call["creator"] in creators
    owner = agency.account
    wanted = {f"simulator-client:{owner}:{creator}" for creator in creators}
    assert wanted == set(engine.fanvue.stats()["buckets"])


def test_every_stream_of_a_managed_creator_is_read_on_their_path(agency: AgencyStage) -> None:
    engine = agency.engine
    engine.database.execute("update private.sync_streams set enabled = true")
    made = engine.fanvue.add_creators(2, transactions=20, messages=30, posts=5, subscribers=4)
    agency.connect(*agency.consent())
    agency.tick()
    engine.fanvue.clear_requests()

    tally = engine.drain()

    assert (tally.outcomes["dead"], tally.outcomes["retry"]) == (0, 0)
    assert tally.outcomes["succeeded"] >= 14
    for call in agency.data_paths():
        assert f"/creators/{call['creator']}/" in call["path"], call
    for creator in made:
        engine.assert_exact(creator["uuid"])


def test_reversals_that_fanvue_lists_to_no_agency_make_the_run_partial_and_hold_nothing_up(
    agency: AgencyStage,
) -> None:
    engine = agency.engine
    (creator,) = agency.creators(1)
    engine.fanvue.turn(v1="missing")
    engine.fanvue.add_reversals(creator, 2)
    agency.connect(*agency.consent())
    engine.drain()

    books, ours = engine.fanvue.books(creator), engine.ledger(creator)
    kept_apart = [books.by_category[kind] for kind in books.by_category if kind in REVERSALS]
    assert sum(kind.count for kind in kept_apart) == 2
    assert ours.count == books.count - 2
    assert ours.gross * 100 == books.gross_cents - sum(kind.gross_cents for kind in kept_apart)
    run = engine.database.execute(
        "select state, error from public.sync_runs where sync_type = 'earnings' order by id limit 1"
    ).fetchone()
    assert run is not None
    assert run[0] == "partial"
    assert "no list of refunds and chargebacks" in run[1]["message"]

    # The list itself was read to its end: the next poll is a poll, and asks nothing in vain.
    engine.fanvue.clear_requests()
    engine.fanvue.add_sales(creator, 3)
    engine.pass_time(16 * 60)
    agency.tick()
    engine.drain()
    state = engine.database.execute(
        "select high_water is not null, last_error, consecutive_failures from public.sync_state"
        " where sync_type = 'earnings'"
    ).fetchone()
    assert state == (True, None, 0)
    paths = {call["path"].removeprefix("/v1") for call in agency.data_paths()}
    assert paths == {f"/creators/{creator}/insights/earnings"}
    assert engine.run_states(creator)[-1] == "succeeded"


def test_an_administrator_who_is_a_creator_is_read_on_the_personal_path(
    agency: AgencyStage,
) -> None:
    engine = agency.engine
    (managed,) = agency.creators(1)
    engine.fanvue.add_creators(administrator=True, transactions=40)
    owner = agency.account
    engine.fanvue.clear_requests()

    result = agency.connect(*agency.consent(), "--include-self")
    engine.drain()

    assert agency.outcomes(result) == {managed: "created", owner: "created"}
    engine.assert_exact(owner)
    engine.assert_exact(managed)
    paths = [call["path"] for call in engine.fanvue.requests(limit=10_000)]
    assert not [path for path in paths if f"/creators/{owner}" in path]
    mine = [call for call in agency.data_paths() if call["creator"] == owner]
    assert mine
    assert {call["bucket"] for call in mine} == {f"simulator-client:{owner}"}


def test_two_workers_at_the_expiry_refresh_once(agency: AgencyStage) -> None:
    engine = agency.engine
    creators = agency.creators(8, transactions=10)
    agency.connect(*agency.consent())
    engine.drain()
    engine.fanvue.clear_stats()
    engine.pass_time(HOUR + 60)
    agency.tick()

    with ExitStack() as stack:
        workers = [stack.enter_context(engine.worker(drain=True)) for _ in range(2)]
        for worker in workers:
            worker.join(PATIENCE_SECONDS)

    assert [worker.exitcode for worker in workers] == [0, 0]
    assert agency.connection()["token_version"] == 2
    counts = agency.stats()
    assert (counts["refreshes"], counts["grace_hits"], counts["chain_kills"]) == (1, 0, 0)
    for creator in creators:
        engine.assert_exact(creator)


def test_a_dead_grant_stops_every_creator_and_a_reconnect_mends_them_all(
    agency: AgencyStage,
) -> None:
    engine = agency.engine
    creators = agency.creators(6, transactions=10)
    agency.connect(*agency.consent())
    engine.drain()
    before = agency.connection()
    engine.fanvue.kill_chain(agency.account)
    engine.pass_time(HOUR + 60)
    agency.tick()

    engine.drain()
    assert agency.statuses() == {"active": 6}
    engine.pass_time(30)
    engine.drain()

    dead = agency.connection()
    assert agency.statuses() == {"reauth_required": 6}
    assert dead["status"] == "reauth_required"
    assert "the agency's account must connect again" in dead["status_reason"]
    assert dead["refresh_token"] == before["refresh_token"]
    again = agency.run()
    assert again.returncode == 2
    assert "consent again" in again.stderr

    for creator in creators:
        engine.fanvue.add_sales(creator, 1)
    mended = agency.connect(*agency.consent())
    agency.tick()
    engine.drain()

    assert (mended["mended"], mended["stored"]) == (6, True)
    assert agency.statuses() == {"active": 6}
    for creator in creators:
        engine.assert_exact(creator)


def test_a_creator_who_left_the_agency_fails_with_a_remedy_and_nobody_elses_money(
    agency: AgencyStage,
) -> None:
    engine = agency.engine
    stays, leaves = agency.creators(2)
    engine.fanvue.add_creators(administrator=True, transactions=40)
    agency.connect(*agency.consent())
    engine.drain()
    engine.fanvue.move_creator(leaves, "Elsewhere")
    engine.fanvue.add_sales(leaves, 5)
    engine.fanvue.clear_requests()
    before = engine.ledger(leaves)

    engine.sync(stays)
    engine.sync(leaves)

    assert engine.run_states(leaves)[-1] == "failed"
    row = engine.database.execute(
        "select last_error from public.sync_jobs where state = 'dead' and model_id = %s",
        (engine.models[leaves],),
    ).fetchone()
    assert row is not None
    assert row[0]["kind"] == "not_found"
    assert "does not manage this creator (any more)" in row[0]["remedy"]
    assert engine.ledger(leaves) == before
    assert all("/creators/" in call["path"] for call in agency.data_paths())
    engine.assert_exact(stays)


def test_a_repeated_command_adds_newcomers_and_stores_no_grant_twice(agency: AgencyStage) -> None:
    engine = agency.engine
    first = agency.creators(2, transactions=5)
    words = agency.consent()
    agency.connect(*words)
    engine.drain()
    engine.pass_time(HOUR + 60)
    agency.tick()
    engine.drain()
    rotated = agency.connection()["refresh_token"]
    (newcomer,) = agency.creators(1, transactions=7)

    with_the_old_token = agency.connect(*words)
    without_token = agency.connect()
    engine.drain()

    known = dict.fromkeys(first, "unchanged")
    assert agency.outcomes(with_the_old_token) == known | {newcomer: "created"}
    assert agency.outcomes(without_token) == known | {newcomer: "unchanged"}
    assert not with_the_old_token["stored"]
    assert agency.connection()["refresh_token"] == rotated
    assert agency.stats()["chain_kills"] == 0
    engine.assert_exact(newcomer)


def test_a_creator_with_a_grant_of_their_own_moves_only_on_purpose(agency: AgencyStage) -> None:
    engine = agency.engine
    own, other = agency.creators(2)
    engine.connect(own, "Nova")
    engine.drain()
    engine.fanvue.clear_requests()

    kept = agency.connect(*agency.consent())
    engine.sync(own)
    assert agency.outcomes(kept) == {own: "kept", other: "created"}
    assert not [c for c in agency.data_paths() if f"/creators/{own}/" in c["path"]]

    moved = agency.connect("--replace")
    engine.fanvue.clear_requests()
    engine.fanvue.add_sales(own, 3)
    engine.sync(own)

    assert agency.outcomes(moved) == {own: "attached", other: "unchanged"}
    assert all(f"/creators/{own}/" in call["path"] for call in agency.data_paths())
    engine.assert_exact(own)

    engine.fanvue.clear_requests()
    done = agency.program.connect(
        own, "--refresh-token", str(engine.fanvue.grant(own).refresh_token), "--replace"
    )
    engine.sync(own)

    assert done.returncode == 0, done.stderr
    assert not [call for call in agency.data_paths() if "/creators/" in call["path"]]
    engine.assert_exact(own)


def test_a_creator_of_another_agency_is_named_and_the_others_go_on(agency: AgencyStage) -> None:
    engine = agency.engine
    theirs, ours = agency.creators(2)
    engine.connect(theirs, "Rival")

    done = agency.run(*agency.consent())

    assert done.returncode == 1
    assert f"creator {theirs} is connected by another agency" in done.stdout
    rows = engine.database.execute(
        "select m.fanvue_user_uuid from public.models m where m.connection_id is not null"
    ).fetchall()
    assert rows == [(ours,)]


def test_only_named_creators_are_added_and_an_unlisted_one_is_refused(agency: AgencyStage) -> None:
    wanted, _ = agency.creators(2, transactions=1)
    unknown = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10"

    done = agency.run(*agency.consent(), "--creator", wanted, "--creator", unknown)

    assert done.returncode == 1
    assert "Fanvue does not list them for this account" in done.stdout
    assert agency.statuses() == {"active": 1}


def test_a_grant_of_another_account_replaces_nothing(agency: AgencyStage) -> None:
    engine = agency.engine
    creators = agency.creators(2, transactions=5)
    agency.connect(*agency.consent())
    before = agency.connection()
    stray = engine.fanvue.grant(creators[0])

    done = agency.run("--refresh-token", str(stray.refresh_token))

    assert done.returncode == 2
    assert "the grant is of account" in done.stderr
    assert agency.connection() == before
    engine.drain()
    engine.assert_exact(creators[1])


def test_a_rotated_key_seals_the_connection_anew(agency: AgencyStage) -> None:
    agency.creators(2, transactions=5)
    agency.connect(*agency.consent())
    old = agency.engine.environment["TOKEN_ENCRYPTION_KEYS"]
    keys = f"k2:{'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='},{old}"

    rotated = agency.program.json("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=keys)
    (shown,) = agency.program.json("tokens", "status", TOKEN_ENCRYPTION_KEYS=keys)
    refreshed = agency.program.json("tokens", "refresh", "--all", TOKEN_ENCRYPTION_KEYS=keys)

    assert (rotated["resealed"], rotated["failed"]) == (1, [])
    stored = agency.connection()
    assert stored["access_token"].startswith("fse1.k2.")
    assert stored["refresh_token"].startswith("fse1.k2.")
    assert (shown["connection_id"], shown["creators"]) == (stored["id"], 2)
    assert [one["version"] for one in refreshed] == [2]


def test_people_are_told_what_was_done_and_never_a_token(agency: AgencyStage) -> None:
    (made,) = agency.engine.fanvue.add_creators(transactions=1)
    words = agency.consent()
    who = ("--agency", "Nova", "--user-uuid", agency.account)

    done = agency.program("connect-agency", *who, *words)
    again = agency.program("connect-agency", *who)

    (line,) = [line for line in done.stdout.splitlines() if made["handle"] in line]
    assert "created" in line
    assert "the first sync is queued as job" in line
    assert "grant stored" in done.stderr
    assert "grant unchanged" in again.stderr
    said = done.stdout + done.stderr + again.stdout + again.stderr
    assert not [token for token in (words[1], words[3]) if token in said]


def test_an_account_that_is_not_connected_needs_a_token(agency: AgencyStage) -> None:
    unconnected = agency.run()
    alone = agency.run("--access-token", "made-up")

    assert unconnected.returncode == alone.returncode == 2
    assert "is not connected yet" in unconnected.stderr
    assert "give the refresh token" in alone.stderr
    assert agency.engine.database.execute("select count(*) from public.agencies").fetchone() == (0,)


def test_an_account_without_creators_is_connected_and_told_so(agency: AgencyStage) -> None:
    who = ("--agency", "Nova", "--user-uuid", agency.account)

    done = agency.program("connect-agency", *who, *agency.consent())

    assert done.returncode == 0, done.stderr
    assert "Fanvue lists no creators for this account" in done.stderr
    assert agency.connection()["status"] == "active"
