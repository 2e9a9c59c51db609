"""Adds a day's creators to Fanvue and connects them: by their own grants, or by their agency's."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring
from worker.store.agencies import AgencyStore, Creator


if TYPE_CHECKING:
    from simulator.client import Grant
    from tests.support.day import Day
    from worker.app import Engine


async def connect(day: Day, engine: Engine) -> None:
    """Add the creators to Fanvue and connect them, agency by agency."""
    shape = day.shape
    owners = {one["name"]: one["owner_uuid"] for one in day.control.world()["agencies"]}
    for number in range(shape.agencies):
        name = shape.agency(number)
        count = len(range(number, shape.creators, shape.agencies))
        if not count:
            continue
        made = day.control.add_creators(
            count,
            agency=name,
            transactions=shape.transactions,
            fans=shape.fans,
            messages=shape.messages,
            posts=shape.posts,
            subscribers=shape.subscribers,
            followers=shape.followers,
        )
        creators = [one["uuid"] for one in made]
        day.creators += creators
        if number < shape.connected:
            await connect_agency(day, engine, name, owners[name], creators)
        else:
            for creator in creators:
                await _connect_one(day, engine, name, creator)


async def connect_agency(
    day: Day, engine: Engine, name: str, owner: str, creators: list[str]
) -> None:
    """Connect creators through the grant of their agency's administrator."""
    pair = day.control.agency_grant(name)
    store = AgencyStore(engine.books.database)
    fingerprint = hashlib.sha256(str(pair.refresh_token).encode()).hexdigest()
    place = await store.connect(name, owner, fingerprint)
    access, refresh = _sealed(day, place.connection_id, pair)
    await store.store(
        place,
        access_token=access,
        refresh_token=refresh,
        expires_in=timedelta(seconds=pair.expires_in),
        fingerprint=fingerprint,
        handle=None,
    )
    day.connections[name] = place.connection_id
    await attach(day, engine, name, creators)


async def attach(day: Day, engine: Engine, agency: str, creators: list[str]) -> None:
    """Let creators be read through the agency's grant."""
    store = AgencyStore(engine.books.database)
    wanted = [Creator(creator) for creator in creators]
    for one in await store.attach(day.connections[agency], wanted, replace=False):
        day.models[one.creator_uuid] = str(one.model_id)


async def _connect_one(day: Day, engine: Engine, agency: str, creator: str) -> None:
    pair = day.control.grant(creator)
    grants = engine.books.grants
    connection = await grants.connect(agency, creator, None, replace=False)
    access, refresh = _sealed(day, connection.model_id, pair)
    lives = timedelta(seconds=pair.expires_in)
    await grants.store(connection, access, refresh, lives)
    day.models[creator] = connection.model_id


def _sealed(day: Day, owner: str, pair: Grant) -> tuple[str, str]:
    keyring = Keyring(day.settings().sealing.keys)
    return (
        keyring.seal(pair.access_token, owner, ACCESS_COLUMN),
        keyring.seal(str(pair.refresh_token), owner, REFRESH_COLUMN),
    )
