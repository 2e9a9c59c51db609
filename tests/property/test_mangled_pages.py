"""However a page is mangled, a walk ends in one of the ways we know, and never in a crash."""

from __future__ import annotations

import asyncio
import copy
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs.house import fan, post, uuid_of
from tests.unit.jobs.stream_bench import StreamBench
from tests.unit.jobs.stream_book import StreamBook
from worker.errors import SyncError
from worker.jobs.outcomes import Done


if TYPE_CHECKING:
    from collections.abc import Iterator


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "2026-11-22", "\0"]),
    st.just([]),
    st.just({}),
    st.lists(st.integers(), max_size=2),
)
# Three pages: each of them can be the first that is spoilt.
PAGE, ROWS = 8, 20
STREAMS = ["subscribers", "followers", "posts", "top_fans", "account", "messages"]


@cache
def filled(sync_type: str, *, v1: bool) -> StreamBench:
    """Return a bench with three pages on every list, built once."""
    bench = StreamBench(sync_type, v1=v1)
    bench.house.largest = PAGE
    subscription = {"status": "active", "price": 999, "currentPeriodEnd": "2026-12-01T00:00:00Z"}
    fans = [fan(n, subscription=subscription, registeredAt=None) for n in range(ROWS)]
    bench.house.lists = {
        "/subscribers": fans,
        "/followers": fans,
        "/posts": [post(n, tips={"count": 1, "totalGross": 7, "totalNet": 5}) for n in range(ROWS)],
        "/insights/top-spenders": [{"gross": 9, "net": 7, "user": one} for one in fans],
    }
    earned = {"total": 1, "availableBalance": 1}
    state = {"status": "active", "earnings": earned, "fans": {"followers": 1, "subscribers": 1}}
    profile = {"uuid": uuid_of("creator", 1), "handle": "nova"}
    bench.house.objects["/users/account"] = profile | {"account": state}
    for number in range(1, 4):
        bench.house.talk(number, *range(1, ROWS))
    return bench


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every part of some JSON, its first rows only."""
    yield path
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = list(enumerate(value))[:2]
    for name, part in parts:
        yield from places(part, (*path, name))


def mangle(body: Any, data: st.DataObject) -> Any:
    """Replace or remove some parts of a body."""
    body = copy.deepcopy(body)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(body))))
        if not path:
            return data.draw(ODD)
        inner = body
        for name in path[:-1]:
            inner = inner[name]
        if isinstance(inner, dict) and data.draw(st.booleans()):
            inner.pop(path[-1])
        else:
            inner[path[-1]] = data.draw(ODD)
    return body


@pytest.mark.parametrize("v1", [True, False], ids=["v1", "unversioned"])
@pytest.mark.parametrize("sync_type", STREAMS)
@given(data=st.data())
def test_a_mangled_page_is_mapped_or_refused(
    sync_type: str, *, v1: bool, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["full", "incremental"]))
    b = filled(sync_type, v1=v1)
    b.book = StreamBook(sync_type, kind)
    b.house.calls.clear()
    b.attempt = data.draw(st.sampled_from([1, 3]))
    spoilt = data.draw(st.integers(1, 3))
    lasting = data.draw(st.booleans())

    def tamper(_: str, number: int, body: Any) -> Any:
        broken = number >= spoilt if lasting else number == spoilt
        return mangle(body, data) if broken else body

    b.house.tamper = tamper

    try:
        result = asyncio.run(b.run())
    except SyncError:
        return

    assert isinstance(result, Done)
