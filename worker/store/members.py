"""The members of agencies in the database, invitations, and links by which creators connect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from worker.store.database import Database


class MemberStore:
    """The RPCs that concern who belongs to an agency. Agencies go by name or id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def members(self, agency: str) -> dict[str, Any]:
        """Return the members and the open invitations of an agency."""
        reply: dict[str, Any] = await self._database.call("list_members", {"p_agency": agency})
        return reply

    async def add(self, agency: str, email: str, role: str, *, create: bool) -> dict[str, Any]:
        """Make somebody a member, or invite an address that nobody confirmed yet."""
        reply: dict[str, Any] = await self._database.call(
            "add_member",
            {"p_agency": agency, "p_email": email, "p_role": role, "p_create": create},
        )
        return reply

    async def remove(self, agency: str, member: str) -> dict[str, Any]:
        """Remove a member, or take an invitation back."""
        reply: dict[str, Any] = await self._database.call(
            "drop_member", {"p_agency": agency, "p_member": member}
        )
        return reply

    async def connect_link(
        self, agency: str, model_id: str | None, label: str | None, hours: int
    ) -> dict[str, Any]:
        """Make a link by which one creator connects; a lost answer is a link that nobody knows."""
        reply: dict[str, Any] = await self._database.call(
            "make_connect_link",
            {"p_agency": agency, "p_model_id": model_id, "p_label": label, "p_hours": hours},
        )
        return reply
