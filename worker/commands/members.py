"""`fanvue-sync members`: who belongs to an agency, as what, and who is invited."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_books
from worker.commands.given import name_problems, raise_all
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, print_json, print_table, say
from worker.store.members import MemberStore


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


LIST_EXAMPLES: Final = """
\b
Example:
  fanvue-sync members list --agency "Nova Talent"
"""
ADD_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync members add --agency "Nova Talent" --email ana@example.com --role owner --create
  fanvue-sync members add --agency "Nova Talent" --email bo@example.com
\b
Whoever signs in with that address already is a member at once. Anybody else is invited for two
weeks; no mail is sent. They join when the same command is run again once Auth knows the address,
confirmed, or by accepting in a dashboard that asks for my_invitations.
"""
REMOVE_EXAMPLES: Final = """
\b
Example:
  fanvue-sync members remove --agency "Nova Talent" --member ana@example.com
\b
The last owner stays: add another one first. It exits with 1 where nobody of that name is a member
or invited.
"""
_WORDS: Final = {
    "added": "{who} is {role} of the agency",
    "changed": "{who} is {role} of the agency now",
    "unchanged": "nothing to do: {who} is {role} of the agency already",
    "invited": (
        "{who} is invited as {role}, until {until}; Auth knows nobody with that address, "
        "confirmed, and no mail was sent: make the user in Studio (Authentication, Users, "
        "Add user), then run this again"
    ),
    "removed": "{who} is no member any more",
    "revoked": "the invitation of {who} is taken back",
}
_NOBODY: Final = "{who} is neither a member nor invited; look at the list of members"

Agency = Annotated[str, typer.Option(help="Name or id of the agency.")]


class Role(StrEnum):
    """What a member may do: owners and admins act, members read and ask for a sync."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


def list_members(*, agency: Agency, as_json: AsJson = False) -> None:
    """List the members of an agency and who is invited."""
    _check(agency)
    reply = _ask(lambda store: store.members(agency))
    if as_json:
        print_json(reply)
        return
    members = [(one["email"] or one["user_id"], one["role"], "") for one in reply["members"]]
    invited = [
        (one["email"], one["role"], f"invited until {one['expires_at'][:10]}")
        for one in reply["invitations"]
    ]
    if not members and not invited:
        say("no members yet; fanvue-sync members add --help says how to add one")
        return
    print_table(("member", "role", ""), [*members, *invited], shrink=("member",))


def add(
    *,
    agency: Agency,
    email: Annotated[str, typer.Option(help="The address they sign in with.")],
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.MEMBER,
    create: Annotated[
        bool, typer.Option("--create", help="Make the agency if there is none of that name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make somebody a member of an agency, or change what they may do."""
    _check(agency)
    reply = _ask(lambda store: store.add(agency, email, role.value, create=create))
    if as_json:
        print_json(reply)
        return
    until = str(reply.get("expires_at", ""))[:10]
    words = _WORDS[reply["outcome"]]
    say(words.format(who=reply["email"], role=reply["role"], until=until))


def remove(
    *,
    agency: Agency,
    member: Annotated[str, typer.Option(help="Their address, or their user id.")],
    as_json: AsJson = False,
) -> None:
    """Remove a member of an agency, or take an invitation back."""
    _check(agency)
    reply = _ask(lambda store: store.remove(agency, member))
    was_nobody = reply["outcome"] == "unchanged"
    if as_json:
        print_json(reply)
    else:
        words = _NOBODY if was_nobody else _WORDS[reply["outcome"]]
        say(words.format(who=reply["member"]))
    if was_nobody:
        raise typer.Exit(1)


def _check(agency: str) -> None:
    raise_all(name_problems("--agency", agency, "name the agency"))


def _ask(question: Callable[[MemberStore], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    settings = begin({"supabase"})

    async def answer() -> dict[str, Any]:
        async with open_books(settings) as books:
            return await question(MemberStore(books.database))

    return wait_for(answer())
