"""What a proxy, a bug or a careless sender makes of JSON: parts lost, of another type, or garbage.

Drawn from a seed, much faster than a shrinking search: these are for runs of many thousands. The
number of examples is the variable FUZZ; each complaint names its seed, with which it comes again.
"""

from __future__ import annotations

import copy
import json
import os
import random
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterator


USUAL_EXAMPLES = 1_000
GARBAGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**18)),
    *("", " ", "x" * 250, "NaN", "soon", "2000", "20.00", "\0", "\ud83d", "\x1b[2J", "\u202e"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-11-22", "2026-11-22T10:00:00"),
    *([], {}, [None], [5, "a"], {"uuid": None}, {"count": None}, {"uuid": "x", "handle": 5}),
)
# What stands in a text for bytes that no JSON may hold as they are.
_MARK = "@@"
_BYTES = (b"\xed\xa0\xbd", b"\xe9", b"\xff\xfe", b"\x00", b"\x07", b"\x7f", b"\\ud83d", b"\\u0000")

_LETTERS = ("\u00e9", "e\u0301", "\u202e", "\U0001f600")


def examples() -> Iterator[tuple[int, random.Random]]:
    """Yield the seeds of this run and what they draw: FUZZ=200000, or FUZZ=100000:200000."""
    first, _, until = (os.environ.get("FUZZ") or str(USUAL_EXAMPLES)).rpartition(":")
    for seed in range(int(first or 0), int(until)):
        yield seed, random.Random(seed)  # noqa: S311 - no secret is drawn


def mangled(
    record: dict[str, Any], draw: random.Random, spare: frozenset[tuple[str, ...]], most: int = 3
) -> dict[str, Any]:
    """Return a record with some parts lost or replaced, but for those to `spare` and their ways."""
    record = copy.deepcopy(record)
    for _ in range(draw.randint(0, most)):
        places = [place for place in _places(record) if not _is_spared(place, spare)]
        if not places:
            break
        place = draw.choice(places)
        inner: Any = record
        for name in place[:-1]:
            inner = inner[name]
        change = draw.random()
        if change < 0.25:
            del inner[place[-1]]
        elif change < 0.5 and isinstance(inner[place[-1]], str):
            inner[place[-1]] = inner[place[-1]][:3] + _MARK
        else:
            inner[place[-1]] = copy.deepcopy(draw.choice(GARBAGE))
    return record


def as_bytes(body: Any, draw: random.Random) -> bytes:
    """Write JSON as bytes, with what JSON may not hold where the marks are."""
    text = json.dumps(body, ensure_ascii=draw.random() < 0.5)
    parts = text.encode("utf-8", "surrogatepass").split(_MARK.encode())
    return b"".join(part + _piece(draw) for part in parts[:-1]) + parts[-1]


def as_json(body: Any, draw: random.Random) -> Any:
    """Return the same for a reader that is handed JSON which Postgres can hold."""
    text = json.dumps(body).replace(
        _MARK, draw.choice(["\u00e9", "e\u0301", "\u202e", "\U0001f600"])
    )
    return json.loads(text.replace("\\u0000", " ").replace("\\ud83d", "?"))


def _piece(draw: random.Random) -> bytes:
    return draw.choice(_BYTES)


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    parts = (
        value.items()
        if isinstance(value, dict)
        else list(enumerate(value))[:2]
        if isinstance(value, list)
        else ()
    )
    for name, part in parts:
        yield (*place, name)
        yield from _places(part, (*place, name))


def _is_spared(place: tuple[Any, ...], spare: frozenset[tuple[str, ...]]) -> bool:
    """Tell whether a place is to be spared, is on the way to one, or lies in one."""
    return any(place == kept[: len(place)] or kept == place[: len(kept)] for kept in spare)
