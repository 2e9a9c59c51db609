"""Reads a world from a JSON file: agencies, creators with exact money, and knobs.

The file names what matters; people and content around it come from the seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from simulator.population import add_model
from simulator.sales import Sale, add_sale


if TYPE_CHECKING:
    from pathlib import Path

    from simulator.knobs import KnobBook
    from simulator.world import World


class Section(BaseModel):
    """A part of the file; unknown names are refused."""

    model_config = ConfigDict(extra="forbid")


class CreatorEntry(Section):
    """A creator: so many varied transactions plus the rows described."""

    handle: str
    uuid: str = ""
    transactions: int = Field(default=0, ge=0)
    fans: int = Field(default=25, ge=0)
    days: int = Field(default=60, ge=1)
    messages: int | None = Field(default=None, ge=0)
    posts: int | None = Field(default=None, ge=0)
    subscribers: int = Field(default=0, ge=0)
    followers: int = Field(default=0, ge=0)
    rows: list[Sale] = []
    knobs: dict[str, Any] = {}


class AgencyEntry(Section):
    """An agency with its creators."""

    name: str
    creators: list[CreatorEntry] = []


class WorldFile(Section):
    """The whole file."""

    clock: AwareDatetime | None = None
    knobs: dict[str, Any] = {}
    agencies: list[AgencyEntry]


def load_world(path: Path, world: World, knobs: KnobBook) -> None:
    """Fill a world from a file."""
    described = WorldFile.model_validate_json(path.read_bytes())
    if described.clock is not None:
        world.clock.set(described.clock)
    if described.knobs:
        knobs.update(described.knobs)
    for agency in described.agencies:
        home = world.add_agency(agency.name)
        for entry in agency.creators:
            creator = add_model(
                world,
                agency=home.uuid,
                handle=entry.handle,
                creator_uuid=entry.uuid,
                transactions=entry.transactions,
                fans=entry.fans,
                days=entry.days,
                messages=entry.messages,
                posts=entry.posts,
                subscribers=entry.subscribers,
                followers=entry.followers,
            )
            for sale in entry.rows:
                add_sale(world, creator, sale)
            if entry.knobs:
                knobs.update(entry.knobs, creator.uuid)
