"""The simulated world: every agency, creator and account, and how to find them.

It holds the one source of randomness (seeded), the order numbers and the lock that keeps
requests and test threads apart. What happens in the world is in `population` and `sales`.
"""

from __future__ import annotations

import random
import uuid
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

from simulator.happenings import Happening, Kind, Listener
from simulator.people import Agency, Creator, User


if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.clock import SimulatedClock
    from simulator.content import Message
    from simulator.people import Fan
    from simulator.transactions import Transaction


class World:
    """A seeded world; equal seeds and equal calls give equal worlds."""

    def __init__(self, clock: SimulatedClock, seed: int = 7) -> None:
        self.clock = clock
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - reproducible on purpose, protects nothing
        self.lock = RLock()
        self.agencies: list[Agency] = []
        self.creators: dict[str, Creator] = {}
        self.users: dict[str, User] = {}
        self.listeners: list[Listener] = []
        self._silences = 0
        self._order_number = 90_000

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Let what is made while the block runs pass as history, which nobody hears of."""
        with self.lock:
            self._silences += 1
            try:
                yield
            finally:
                self._silences -= 1

    def announce(
        self,
        kind: Kind,
        creator: Creator,
        fan: Fan | None,
        *,
        row: Transaction | None = None,
        message: Message | None = None,
    ) -> None:
        """Tell the listeners what a fan and a creator had to do with each other just now."""
        if self._silences or fan is None or not self.listeners:
            return
        happening = Happening(kind, creator, fan, self.clock.now_ms(), row, message)
        for listener in self.listeners:
            listener(happening)

    def new_uuid(self) -> str:
        """Return a random version 4 UUID drawn from the seed."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def next_order_number(self) -> int:
        """Return a number no other order has."""
        self._order_number += 1
        return self._order_number

    def add_agency(self, name: str) -> Agency:
        """Add an agency with its administrator, who is nobody's creator."""
        with self.lock:
            handle = name.lower().replace(" ", "-")
            owner = self._add_user(self.new_uuid(), handle, name, is_creator=False)
            agency = Agency(uuid=self.new_uuid(), name=name, owner=owner)
            self.agencies.append(agency)
            return agency

    def add_creator(
        self, agency: Agency, handle: str, *, display_name: str = "", creator_uuid: str = ""
    ) -> Creator:
        """Add a creator without fans or money."""
        with self.lock:
            name = display_name or handle.replace("-", " ").title()
            user = self._add_user(creator_uuid or self.new_uuid(), handle, name, is_creator=True)
            creator = Creator(user=user, agency=agency)
            agency.creators.append(creator)
            self.creators[creator.uuid] = creator
            return creator

    def make_administrator(self, creator: Creator) -> None:
        """Let a creator administer its agency, whose lists then leave that account out."""
        with self.lock:
            creator.agency.owner = creator.user
            creator.agency.creators.remove(creator)

    def move_creator(self, creator: Creator, agency: Agency) -> None:
        """Let another agency look after a creator."""
        with self.lock:
            if creator not in creator.agency.creators:
                raise ValueError(f"{creator.handle} runs its agency and cannot leave it")
            creator.agency.creators.remove(creator)
            creator.agency = agency
            agency.creators.append(creator)

    def creator(self, name: str) -> Creator:
        """Find a creator by uuid or handle; raises KeyError with a readable message."""
        found = self.creators.get(name)
        if found is None:
            found = next((c for c in self.creators.values() if c.handle == name), None)
        if found is None:
            raise KeyError(f"no creator {name!r} in this world")
        return found

    def agency(self, name: str) -> Agency:
        """Find an agency by uuid or name; raises KeyError with a readable message."""
        for agency in self.agencies:
            if name in (agency.uuid, agency.name):
                return agency
        raise KeyError(f"no agency {name!r} in this world")

    def agency_of(self, user_uuid: str) -> Agency | None:
        """Return the agency this user administers, if any."""
        return next((a for a in self.agencies if a.owner.uuid == user_uuid), None)

    def _add_user(self, user_uuid: str, handle: str, name: str, *, is_creator: bool) -> User:
        if user_uuid in self.users or any(u.handle == handle for u in self.users.values()):
            raise ValueError(f"user {handle!r} ({user_uuid}) exists already")
        now = self.clock.now_ms()
        user = User(
            uuid=user_uuid,
            email=f"{handle}@example.test",
            handle=handle,
            display_name=name,
            bio=f"{name} on a simulated Fanvue",
            created_at=now - 600 * 86_400_000,
            updated_at=now - 20 * 86_400_000,
            is_creator=is_creator,
        )
        self.users[user_uuid] = user
        return user
