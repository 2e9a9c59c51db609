"""Members of an agency: an owner stays, owner_id agrees, the deleted are gone, the trail knows."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from tests.database.engine import WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine
    from tests.support.postgres import Connection


OWNER_ID = "select owner_id::text from public.agencies where id = %s"


@dataclass
class Agency:
    """An agency with people, by the names that a test gives them."""

    engine: Engine
    id: uuid.UUID
    connection: Connection
    people: dict[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls, engine: Engine) -> Agency:
        """Make an agency without members."""
        return cls(engine, engine.agency("Atlas"), engine.another().connection)

    def add(self, name: str, role: str, *, email: str | None = None) -> str:
        """Add a person whom Auth knows."""
        user_id = self.user(name, email=email)
        self.engine.rows(
            "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, %s)",
            self.id,
            user_id,
            role,
        )
        return user_id

    def user(self, name: str, *, email: str | None = None, confirmed: bool = True) -> str:
        """Let Auth know a person."""
        user_id = self.people[name] = str(uuid.uuid4())
        self.engine.rows(
            "insert into auth.users (id, email, email_confirmed_at) values (%s, %s, %s)",
            user_id,
            email or f"{name}@example.test",
            "2026-01-01" if confirmed else None,
        )
        return user_id

    def call(self, who: str, name: str, *values: Any) -> Any:
        """Call a function as a signed-in person."""
        connection = self.connection
        with connection.transaction():
            claims = json.dumps({"sub": self.people[who], "role": "authenticated"})
            connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
            connection.execute("set local role authenticated")
            marks = sql.SQL(", ").join([sql.Placeholder()] * len(values))
            statement = sql.SQL("select {}({}) as reply").format(
                sql.Identifier("public", name), marks
            )
            row = connection.execute(statement, values).fetchone()
        assert row is not None
        return row["reply"]

    def refused(self, who: str, name: str, *values: Any) -> str | None:
        """Call what is refused; return the code."""
        with pytest.raises(psycopg.Error) as caught:
            self.call(who, name, *values)
        return caught.value.sqlstate

    def read(self, who: str) -> list[dict[str, Any]]:
        """Read all that the catalog lets a signed-in person read, as that person."""
        relations = self.engine.rows(
            "select c.oid::regclass::text as name,"
            " string_agg(quote_ident(a.attname), ', ') as columns"
            " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
            " and not a.attisdropped"
            " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')"
            " and has_column_privilege('authenticated', c.oid, a.attnum, 'select')"
            " group by c.oid"
        )
        connection = self.connection
        with connection.transaction():
            claims = json.dumps({"sub": self.people[who], "role": "authenticated"})
            connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
            connection.execute("set local role authenticated")
            return [
                row
                for one in relations
                for row in connection.execute(
                    f"select {one['columns']} from {one['name']}".encode()  # noqa: S608 - from the catalog
                ).fetchall()
            ]

    def roles(self) -> dict[str, str]:
        """Return who is what."""
        names = {user_id: name for name, user_id in self.people.items()}
        rows = self.engine.rows(
            "select user_id::text, role from public.agency_members where agency_id = %s", self.id
        )
        return {names[row["user_id"]]: row["role"] for row in rows}

    def owner(self) -> str | None:
        """Return who stands in agencies.owner_id."""
        names = {user_id: name for name, user_id in self.people.items()}
        return names.get(self.engine.value(OWNER_ID, self.id))

    def trail(self, *actions: str) -> list[dict[str, Any]]:
        """Return the lines of the trail, oldest first."""
        return self.engine.rows(
            "select action, who, user_id::text, subject_id::text, detail"
            " from public.agency_trail where agency_id = %s and action = any (%s) order by at",
            self.id,
            list(actions),
        )


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency.made(engine)


GOING = {
    "deleted": "delete from public.agency_members where user_id = %s",
    "demoted": "update public.agency_members set role = 'admin' where user_id = %s",
    "handed over": "update public.agency_members set user_id = gen_random_uuid(), role = 'member'"
    " where user_id = %s",
    "deleted in Auth": "delete from auth.users where id = %s",
    "deleted softly in Auth": "update auth.users set deleted_at = now() where id = %s",
    "taken out of owner_id": "update public.agencies set owner_id = null where owner_id = %s",
}


@pytest.mark.parametrize("how", GOING)
def test_the_last_owner_stays(agency: Agency, how: str) -> None:
    ana = agency.add("ana", "owner")
    agency.add("bo", "admin")

    with pytest.raises(psycopg.Error, match="last owner") as caught:
        agency.engine.rows(GOING[how], ana)

    assert caught.value.sqlstate == "PT409"
    assert agency.roles() == {"ana": "owner", "bo": "admin"}
    assert agency.owner() == "ana"
    assert agency.engine.value("select count(*) from auth.users where id = %s", ana) == 1


@pytest.mark.parametrize("how", GOING)
def test_one_of_two_owners_may_go_and_the_other_stands_in_owner_id(
    agency: Agency, how: str
) -> None:
    ana = agency.add("ana", "owner")
    agency.add("bo", "owner")
    assert agency.owner() == "ana"

    agency.engine.rows(GOING[how], ana)

    assert agency.owner() == "bo"
    assert agency.engine.value(
        "select array_agg(user_id::text) from public.agency_members where role = 'owner'"
    ) == [agency.people["bo"]]


def test_all_owners_do_not_go_in_one_statement(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.add("bo", "owner")

    with pytest.raises(psycopg.Error, match="last owner"):
        agency.engine.rows("delete from public.agency_members where agency_id = %s", agency.id)

    assert agency.roles() == {"ana": "owner", "bo": "owner"}


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_two_owners_who_remove_each_other_at_once_leave_one(agency: Agency, isolation: str) -> None:
    owners = [agency.add("ana", "owner"), agency.add("bo", "owner")]
    first, second = agency.engine.another(), agency.engine.another()
    for worker in (first, second):
        worker.connection.execute("reset role")
        worker.connection.execute(f"begin isolation level {isolation}".encode())
        # the snapshot of a stricter transaction is from now
        worker.connection.execute("select from public.agency_members")
    remove = "delete from public.agency_members where user_id = %s"

    first.connection.execute(remove, [owners[0]])
    blocked = second.run(second.connection.execute, remove, [owners[1]])
    agency.engine.wait_until_blocked(second)
    first.connection.execute("commit")

    with pytest.raises(psycopg.Error) as caught:
        blocked.result(WAIT)
    expected = {"read committed": "PT409", "repeatable read": "40001"}[isolation]
    assert caught.value.sqlstate == expected
    second.connection.execute("rollback")
    assert agency.roles() == {"bo": "owner"}
    assert agency.owner() == "bo"


def test_an_agency_is_deleted_with_its_last_owner(agency: Agency) -> None:
    agency.add("ana", "owner")

    agency.engine.rows("delete from public.agencies where id = %s", agency.id)

    assert agency.roles() == {}
    assert agency.trail("member_removed") == []


def test_a_former_owner_id_is_an_owner_no_more(agency: Agency) -> None:
    agency.add("ana", "owner")
    bo = agency.user("bo")

    agency.engine.rows("update public.agencies set owner_id = %s where id = %s", bo, agency.id)

    assert agency.roles() == {"ana": "admin", "bo": "owner"}
    assert agency.owner() == "bo"


def test_the_first_owner_stands_in_owner_id(agency: Agency) -> None:
    agency.add("ana", "member")
    assert agency.owner() is None

    agency.engine.rows("update public.agency_members set role = 'owner'")

    assert agency.owner() == "ana"


DELETED = ["deleted in Auth", "deleted softly in Auth"]
ADDRESSES = (
    "select coalesce(string_agg(email, ' '), '') from public.invitations"
    " where email not like 'someone%%'"
)


def invited_twice(agency: Agency) -> str:
    """Let an admin be one by invitation, and be invited by a second agency, too."""
    bo = agency.user("bo")
    agency.call("ana", "invite_member", agency.id, "Bo@Example.test", "admin")
    (invitation,) = agency.call("bo", "my_invitations")
    agency.call("bo", "accept_invitation", invitation["id"])
    agency.engine.agency("Borealis")
    agency.engine.rows("update auth.users set email_confirmed_at = null")
    for email in ("bo@example.test", "someone@example.test"):
        assert agency.engine.call("add_member", "Borealis", email)["outcome"] == "invited"
    return bo


@pytest.mark.parametrize("how", DELETED)
def test_a_deleted_user_leaves_no_membership_and_no_address(agency: Agency, how: str) -> None:
    agency.add("ana", "owner")
    bo = invited_twice(agency)
    # an address that changed since is known by who accepted
    agency.engine.rows("update public.invitations set email = 'b@x' where accepted_by = %s", bo)

    agency.engine.rows(GOING[how], bo)

    assert agency.roles() == {"ana": "owner"}
    assert agency.engine.value(ADDRESSES) == ""
    assert agency.engine.value("select count(*) from public.invitations") == 1


def test_where_auth_takes_no_trigger_the_night_sweeps(supabase: Engine) -> None:
    agency = Agency.made(supabase)
    ana, bo = agency.add("ana", "owner"), agency.add("bo", "admin")
    swept = "select private.forget_missing_users()"
    agency.engine.rows("alter table auth.users disable trigger fanvue_forget_user")
    try:
        agency.engine.rows("delete from auth.users where id in (%s, %s)", ana, bo)
        assert agency.engine.value(swept) == 1
        # somebody has to be able to take over
        assert agency.roles() == {"ana": "owner"}
        agency.add("cy", "owner")
        assert agency.engine.value(swept) == 1
        assert agency.roles() == {"cy": "owner"}
    finally:
        agency.engine.rows("alter table auth.users enable trigger fanvue_forget_user")


@pytest.mark.parametrize("how", DELETED)
def test_the_sweep_knows_who_is_kept_as_deleted_and_forgets_addresses(
    supabase: Engine, how: str
) -> None:
    agency = Agency.made(supabase)
    agency.add("ana", "owner")
    bo = invited_twice(agency)
    agency.engine.rows("alter table auth.users disable trigger user")
    try:
        agency.engine.rows(GOING[how], bo)
        assert agency.engine.value("select private.forget_missing_users()") == 1
    finally:
        agency.engine.rows("alter table auth.users enable trigger user")

    assert agency.roles() == {"ana": "owner"}
    assert agency.engine.value(ADDRESSES) == ""
    assert agency.engine.value("select count(*) from public.invitations") == 1


def test_members_of_no_known_user_stay_where_the_trigger_watches(agency: Agency) -> None:
    agency.engine.rows(
        "insert into public.agency_members (agency_id, user_id) values (%s, %s)",
        agency.id,
        uuid.uuid4(),
    )

    assert agency.engine.value("select private.forget_missing_users()") == 0


# Invitations ----------------------------------------------------------------------------------


def test_an_invited_address_joins_when_it_accepts(agency: Agency) -> None:
    agency.add("ana", "owner")
    invited = agency.call("ana", "invite_member", agency.id, " Bo@Example.test ", "admin")
    agency.user("bo")

    (seen,) = agency.call("bo", "my_invitations")
    joined = agency.call("bo", "accept_invitation", seen["id"])

    assert (seen["id"], seen["agency"], seen["role"]) == (invited["id"], "Atlas", "admin")
    assert joined == {"agency_id": str(agency.id), "role": "admin"}
    # its answer may be lost
    assert agency.call("bo", "accept_invitation", seen["id"]) == joined
    assert agency.roles() == {"ana": "owner", "bo": "admin"}
    assert agency.call("bo", "my_invitations") == []


def test_who_was_removed_does_not_come_back_by_the_old_invitation(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.call("ana", "invite_member", agency.id, "bo@example.test")
    bo = agency.user("bo")
    (seen,) = agency.call("bo", "my_invitations")
    agency.call("bo", "accept_invitation", seen["id"])
    agency.call("ana", "remove_member", agency.id, bo)

    assert agency.call("bo", "accept_invitation", seen["id"])["role"] is None
    assert agency.roles() == {"ana": "owner"}


def test_an_address_that_auth_did_not_confirm_accepts_nothing(agency: Agency) -> None:
    agency.add("ana", "owner")
    invited = agency.call("ana", "invite_member", agency.id, "bo@example.test")
    agency.user("bo", confirmed=False)
    agency.user("eve")

    for who in ("bo", "eve"):
        assert agency.call(who, "my_invitations") == []
        assert agency.refused(who, "accept_invitation", invited["id"]) == "PT404"


def test_an_invitation_ends_and_can_be_renewed_or_revoked(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.user("bo")
    invited = agency.call("ana", "invite_member", agency.id, "bo@example.test")
    agency.engine.move_clock(hours=24 * 15)
    assert agency.call("bo", "my_invitations") == []
    assert agency.refused("bo", "accept_invitation", invited["id"]) == "PT410"

    again = agency.call("ana", "invite_member", agency.id, "bo@example.test")

    assert again["id"] == invited["id"]
    assert len(agency.call("bo", "my_invitations")) == 1
    assert agency.call("ana", "revoke_invitation", invited["id"]) == {"changed": True}
    assert agency.call("ana", "revoke_invitation", invited["id"]) == {"changed": False}
    assert agency.refused("bo", "accept_invitation", invited["id"]) == "PT404"


def test_an_admin_does_not_touch_the_invitation_of_an_owner(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.add("bo", "admin")
    invited = agency.call("ana", "invite_member", agency.id, "cy@example.test", "owner")

    assert agency.refused("bo", "revoke_invitation", invited["id"]) == "PT403"
    again = ("invite_member", agency.id, "cy@example.test", "member")
    assert agency.refused("bo", *again) == "PT403"


LOST = {
    "removed": "delete from public.agency_members where user_id = %s",
    "a member only": "update public.agency_members set role = 'member' where user_id = %s",
    "deleted in Auth": "delete from auth.users where id = %s",
}


@pytest.mark.parametrize("how", LOST)
def test_an_invitation_ends_with_the_right_of_who_invited(agency: Agency, how: str) -> None:
    agency.add("ana", "owner")
    bo = agency.add("bo", "admin")
    invited = agency.call("bo", "invite_member", agency.id, "cy@example.test", "admin")
    agency.user("cy")

    agency.engine.rows(LOST[how], bo)

    assert agency.call("cy", "my_invitations") == []
    assert agency.call("ana", "members_of", agency.id)["invitations"] == []
    assert agency.refused("cy", "accept_invitation", invited["id"]) == "PT410"
    assert "cy" not in agency.roles()
    # whoever may, invites again
    agency.call("ana", "invite_member", agency.id, "cy@example.test", "member")
    assert agency.call("cy", "accept_invitation", invited["id"])["role"] == "member"


def test_an_owner_who_is_one_no_more_makes_no_owner(agency: Agency) -> None:
    agency.add("ana", "owner")
    bo = agency.add("bo", "owner")
    invited = agency.call("bo", "invite_member", agency.id, "cy@example.test", "owner")
    other = agency.call("bo", "invite_member", agency.id, "di@example.test", "admin")
    agency.user("cy")
    agency.user("di")

    agency.call("ana", "set_member_role", agency.id, bo, "admin")

    assert agency.refused("cy", "accept_invitation", invited["id"]) == "PT410"
    # an admin still invites admins, and an address whose invitation fell
    assert agency.call("di", "accept_invitation", other["id"])["role"] == "admin"
    agency.call("bo", "invite_member", agency.id, "cy@example.test", "member")
    assert agency.call("cy", "accept_invitation", invited["id"])["role"] == "member"


def test_invitations_are_limited_and_addresses_are_addresses(agency: Agency) -> None:
    agency.add("ana", "owner", email="ana@example.test")
    for number in range(20):
        agency.call("ana", "invite_member", agency.id, f"p{number}@example.test")

    assert agency.refused("ana", "invite_member", agency.id, "p20@example.test") == "PT429"
    # who is invited already may be invited again
    agency.call("ana", "invite_member", agency.id, "p0@example.test")
    agency.engine.move_clock(minutes=61)
    agency.call("ana", "invite_member", agency.id, "p20@example.test")
    assert agency.refused("ana", "invite_member", agency.id, "ana@example.test") == "PT409"
    assert agency.refused("ana", "invite_member", agency.id, "nobody") == "PT422"
    assert agency.refused("ana", "invite_member", agency.id, "x@example.test", "boss") == "PT422"


def test_members_are_listed_with_addresses_for_owners_and_admins_alone(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.add("bo", "member")
    agency.call("ana", "invite_member", agency.id, "cy@example.test")

    told = agency.call("ana", "members_of", agency.id)
    assert [(one["email"], one["role"]) for one in told["members"]] == [
        ("ana@example.test", "owner"),
        ("bo@example.test", "member"),
    ]
    assert [one["email"] for one in told["invitations"]] == ["cy@example.test"]
    assert "example.test" not in str(agency.call("bo", "members_of", agency.id))


# The trail ------------------------------------------------------------------------------------


def test_members_do_not_read_who_was_invited(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.add("bo", "member")
    invited = agency.call("ana", "invite_member", agency.id, "cy@example.test", "admin")
    agency.call("ana", "revoke_invitation", invited["id"])
    agency.engine.call("add_member", "Atlas", "di@example.test")
    agency.engine.call("drop_member", "Atlas", "di@example.test")

    lines = agency.trail("member_invited", "invitation_revoked")

    assert [(one["who"], one["detail"]) for one in lines] == [
        ("member", {"role": "admin"}),
        ("member", {"role": "admin"}),
        ("service", {"role": "member"}),
        ("service", {"role": "member"}),
    ]
    assert [one["subject_id"] for one in lines[:2]] == [invited["id"]] * 2
    with agency.connection.transaction():
        claims = json.dumps({"sub": agency.people["bo"], "role": "authenticated"})
        agency.connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        agency.connection.execute("set local role authenticated")
        seen = agency.connection.execute("select * from public.agency_trail").fetchall()
    assert len(seen) >= len(lines)
    assert "example.test" not in str(seen)


def test_the_trail_says_who_did_what_to_whom(agency: Agency) -> None:
    ana, bo = agency.add("ana", "owner"), agency.add("bo", "member")

    agency.call("ana", "set_member_role", agency.id, bo, "admin")
    agency.call("bo", "remove_member", agency.id, bo)

    changed, removed = agency.trail("role_changed", "member_removed")
    assert changed == {
        "action": "role_changed",
        "who": "member",
        "user_id": ana,
        "subject_id": bo,
        "detail": {"from": "member", "to": "admin"},
    }
    assert (removed["who"], removed["user_id"], removed["subject_id"]) == ("member", bo, bo)


def test_pauses_and_disconnections_stand_in_the_trail(agency: Agency) -> None:
    ana = agency.add("ana", "owner")
    model = agency.engine.model(agency.id)

    words = "subpoena 4711"
    agency.engine.rows("select ops.pause_model(%s, %s)", model, words)
    agency.engine.rows("select ops.resume_model(%s)", model)
    agency.engine.rows("select ops.pause_agency(%s, %s)", agency.id, words)
    agency.call("ana", "disconnect_creator", model)

    lines = agency.trail(
        "creator_paused", "creator_resumed", "agency_paused", "creator_disconnected"
    )
    assert [(one["action"], one["who"], one["detail"]) for one in lines] == [
        ("creator_paused", "operator", {"reason_code": "paused"}),
        ("creator_resumed", "operator", {}),
        ("agency_paused", "operator", {}),
        ("creator_disconnected", "member", {}),
    ]
    assert (lines[3]["user_id"], lines[3]["subject_id"]) == (ana, str(model))
    # operators alone read their words
    assert words in str(agency.engine.rows("select arguments from ops.actions"))
    assert agency.read("ana")
    assert words not in str(agency.read("ana"))


def test_a_sale_writes_nothing_into_the_trail(agency: Agency) -> None:
    model = agency.engine.model(agency.id)
    agency.engine.rows("delete from public.agency_trail where agency_id = %s", agency.id)

    agency.engine.rows("update public.models set revenue_total = 5 where id = %s", model)

    assert agency.engine.value("select count(*) from public.agency_trail") == 0


def test_the_trail_and_what_is_over_go_with_their_time(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.call("ana", "invite_member", agency.id, "bo@example.test")
    agency.call("ana", "create_connect_link", agency.id)

    agency.engine.move_clock(hours=24 * 400)
    agency.engine.call("prune_history")

    counts = "select (select count(*) from public.{}) + (select count(*) from public.{})"
    assert agency.engine.value(counts.format("agency_trail", "invitations")) == 0
    assert agency.engine.value("select count(*) from public.connect_links") == 0


# The command line -----------------------------------------------------------------------------


def test_an_operator_adds_whom_auth_knows_and_invites_the_others(agency: Agency) -> None:
    agency.user("ana")
    add, drop = "add_member", "drop_member"

    def outcome(name: str, *values: str) -> str:
        return str(agency.engine.call(name, "Atlas", *values)["outcome"])

    assert outcome(add, "ANA@example.test", "owner") == "added"
    assert outcome(add, "ana@example.test", "owner") == "unchanged"
    assert outcome(add, "bo@example.test", "admin") == "invited"
    agency.user("bo")
    assert outcome(add, "bo@example.test", "admin") == "added"
    listed = agency.engine.call("list_members", "Atlas")
    assert [one["email"] for one in listed["members"]] == ["ana@example.test", "bo@example.test"]
    assert listed["invitations"] == []
    assert outcome(add, "bo@example.test", "member") == "changed"
    assert outcome(drop, "bo@example.test") == "removed"
    assert outcome(drop, "bo@example.test") == "unchanged"
    with pytest.raises(psycopg.Error, match="last owner"):
        outcome(drop, "ana@example.test")
    assert [one["who"] for one in agency.trail("role_changed")] == ["service"]


def test_a_member_is_found_by_an_address_that_auth_did_not_confirm(agency: Agency) -> None:
    agency.add("ana", "owner")
    agency.add("bo", "admin")
    agency.engine.rows("update auth.users set email_confirmed_at = null")
    call = agency.engine.call

    changed = call("add_member", "Atlas", "bo@example.test", "member")
    assert (changed["outcome"], changed["user_id"]) == ("changed", agency.people["bo"])
    assert agency.refused("ana", "invite_member", agency.id, "bo@example.test") == "PT409"
    assert call("list_members", "Atlas")["invitations"] == []
    assert call("drop_member", "Atlas", "BO@example.test")["outcome"] == "removed"
    assert agency.roles() == {"ana": "owner"}
    # whom nobody knows by that address is invited, and joins after Auth confirmed it
    assert call("add_member", "Atlas", "bo@example.test")["outcome"] == "invited"
