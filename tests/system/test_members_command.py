"""`fanvue-sync members` and `connect-link`: who belongs to an agency, and links for creators."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.program import Program


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

ROLES = "select role from public.agency_members order by created_at"


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    engine.database.execute("insert into public.agencies (name) values ('Nova Talent')")
    return Program(engine, tmp_path)


def new_user(engine: Engine, email: str | None = None) -> str:
    """Let Auth know somebody; return their address."""
    email = email or f"p{uuid.uuid4().hex[:8]}@example.test"
    engine.database.execute(
        "insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())",
        (uuid.uuid4(), email),
    )
    return email


def test_members_are_added_invited_listed_and_removed(engine: Engine, program: Program) -> None:
    ana = new_user(engine)
    nova = ("--agency", "Nova Talent")

    assert "no members yet" in program("members", "list", *nova).stdout
    added = program("members", "add", *nova, "--email", ana, "--role", "owner")
    invited = program("members", "add", *nova, "--email", "Bo@example.test")
    listed = program("members", "list", *nova)

    assert added.stdout == f"{ana} is owner of the agency\n"
    assert invited.stdout.startswith("bo@example.test is invited as member, until ")
    assert ana in listed.stdout
    assert "invited until" in listed.stdout
    assert engine.database.execute(ROLES).fetchall() == [("owner",)]
    assert "no mail was sent: make the user in Studio" in invited.stdout
    revoked = program("members", "remove", *nova, "--member", "bo@example.test")
    assert revoked.stdout == "the invitation of bo@example.test is taken back\n"
    again = program("members", "remove", *nova, "--member", "bo@example.test")
    assert again.stdout.startswith("bo@example.test is neither a member nor invited")
    assert (revoked.returncode, again.returncode) == (0, 1)
    told = json.loads(program("members", "list", *nova, "--json").stdout)
    assert [one["email"] for one in told["members"]] == [ana]


def test_the_step_after_an_invitation_makes_a_member(engine: Engine, program: Program) -> None:
    cy = f"cy{uuid.uuid4().hex[:8]}@example.test"
    add = ("members", "add", "--agency", "Nova Talent", "--email", cy)
    assert "then run this again" in program(*add).stdout
    new_user(engine, cy)

    assert program(*add).stdout == f"{cy} is member of the agency\n"
    told = json.loads(program("members", "list", "--agency", "Nova Talent", "--json").stdout)
    assert (len(told["members"]), told["invitations"]) == (1, [])


def test_what_cannot_be_done_is_one_line(engine: Engine, program: Program) -> None:
    ana = new_user(engine)
    nova = ("--agency", "Nova Talent")
    program("members", "add", *nova, "--email", ana, "--role", "owner")

    last = program("members", "remove", *nova, "--member", ana)
    demoted = program("members", "add", *nova, "--email", ana, "--role", "admin")
    nowhere = program("members", "list", "--agency", "Vona")
    nobody = program("members", "add", *nova, "--email", "nobody")

    for refused in (last, demoted):
        assert refused.returncode == 2
        assert "the last owner of an agency stays" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert "no agency 'Vona'" in nowhere.stderr
    assert "no e-mail address" in nobody.stderr
    assert engine.database.execute(ROLES).fetchall() == [("owner",)]
    count = "select count(*) from public.agencies"
    assert engine.database.execute(count).fetchall() == [(1,)]


def test_an_agency_is_made_with_its_first_owner_when_asked(
    engine: Engine, program: Program
) -> None:
    ana = new_user(engine)
    first = ("members", "add", "--agency", "Vona", "--email", ana, "--role", "owner", "--create")

    made, again = program(*first), program(*first)

    assert made.stdout == f"{ana} is owner of the agency\n"
    assert "nothing to do" in again.stdout
    assert engine.database.execute(ROLES).fetchall() == [("owner",)]


def test_a_link_is_made_for_one_creator_and_shown_once(engine: Engine, program: Program) -> None:
    nova = ("--agency", "Nova Talent")

    made = program("connect-link", *nova, "--label", "Ana", "--hours", "24")
    again = json.loads(program("connect-link", *nova, "--json").stdout)

    url = engine.environment["SUPABASE_URL"]
    assert made.stdout.startswith(f"{url}/functions/v1/fanvue-connect/start?invitation=")
    assert "it works once, until" in made.stderr
    assert again["url"] != made.stdout.strip()
    stored = engine.database.execute("select to_jsonb(l)::text from public.connect_links l")
    secrets = [link.partition("=")[2] for link in (made.stdout.strip(), again["url"])]
    assert not [secret for (row,) in stored.fetchall() for secret in secrets if secret in row]
