"""Lists that never end: page after page with a position that is new and rows that are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulator.call import read_cursor, write_cursor
from simulator.knobs import Endless


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.endpoint import Handler
    from simulator.replies import Reply


def answer(handler: Handler, call: Call) -> Reply:
    """Let the endpoint answer; a list that is to be endless goes on after its last page."""
    how = call.knobs.endless.get(call.template)
    if how is None:
        return handler(call)
    number = _beyond(call)
    query = {name: text for name, text in call.query.items() if name not in {"cursor", "page"}}
    first = replace(call, query=query)
    reply = handler(first if number else call)
    if how is Endless.REPEATED and not reply.body["data"]:
        reply = handler(first)
    if how is Endless.EMPTY and number:
        reply.body["data"] = []
    _promise_more(reply.body, number, call)
    return reply


def _beyond(call: Call) -> int:
    """Return how many pages after its last one the list has come; 0: not there yet."""
    text = call.query.get("cursor")
    number = read_cursor(text).get("endless", 0) if text is not None else 0
    return number if isinstance(number, int) else 0


def _promise_more(body: Any, number: int, call: Call) -> None:
    if number or body.get("nextCursor", "") is None:
        body["nextCursor"] = write_cursor({"endless": number + 1})
    if "pagination" in body:
        body["pagination"] |= {"page": call.integer("page", 1), "hasMore": True}
