"""How each fault looks from outside: late, lost, cut off or wrong answers.

A fault strikes before the request takes effect or after it; in the latter case only the
answer is spoilt.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import socket
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from simulator.faults import FaultKind
from simulator.replies import STANDARD_BODIES, encode


if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.requests import Request

    from simulator.faults import Fault
    from simulator.replies import Reply


TRANSPORT_KEY = "simulator.transport"
HANG_SECONDS = 3600
HTML = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>oops</body></html>"
BODY_FAULTS = frozenset(
    {
        FaultKind.TRUNCATED_JSON,
        FaultKind.INVALID_PAGE_ORDER,
        FaultKind.MISSING_FIELD,
        FaultKind.UNKNOWN_ENUM,
        FaultKind.EMPTY_LIST,
        FaultKind.EARLY_END,
    }
)
MIN_ROWS_TO_SWAP = 2
# What a hostile answer becomes once decoded.
HUGE_BYTES = 64 * 1024 * 1024


async def suffer(fault: Fault, request: Request) -> Response | None:
    """Act out a fault that replaces the answer; None means the request goes on."""
    match fault.kind:
        case FaultKind.SLOW:
            await asyncio.sleep(fault.ms / 1000)
        case FaultKind.TIMEOUT:
            await _hang(fault, request)
        case FaultKind.RESET:
            _reset(request)
        case _:
            pass
    return _replacement(fault)


def _replacement(fault: Fault) -> Response | None:
    """Return the answer given instead of the true one, if the fault replaces it."""
    match fault.kind:
        case FaultKind.TIMEOUT | FaultKind.RESET:
            return Response(status_code=504)
        case FaultKind.HTML:
            status = fault.status if "status" in fault.model_fields_set else 502
            return Response(HTML, status_code=status, media_type="text/html")
        case FaultKind.STATUS:
            body = STANDARD_BODIES.get(fault.status, {"error": "Error"})
            return _json(body, fault.status)
        case FaultKind.EMPTY_400:
            return _json({"error": ""}, 400)
        case FaultKind.CURSOR_EXPIRED:
            return _json({"errors": ["cursor is invalid or has expired"]}, 400)
        case _:
            return _hostile(fault.kind)


def spoil(fault: Fault, reply: Reply) -> Response:
    """Return the answer with the fault's damage in its body."""
    if fault.kind is FaultKind.TRUNCATED_JSON:
        whole = encode(reply.body)
        raw = whole[: max(1, len(whole) // 2)]
    else:
        raw = encode(_damage(fault, copy.deepcopy(reply.body)))
    return Response(
        raw, status_code=reply.status, headers=reply.headers, media_type="application/json"
    )


def _damage(fault: Fault, body: Any) -> Any:
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not rows:
        return body
    if fault.kind in {FaultKind.EMPTY_LIST, FaultKind.EARLY_END}:
        return _end(body, [] if fault.kind is FaultKind.EMPTY_LIST else rows)
    first: MutableMapping[str, Any] = rows[0]
    if fault.kind is FaultKind.MISSING_FIELD:
        first.pop(fault.field, None)
    elif fault.kind is FaultKind.UNKNOWN_ENUM:
        name = fault.field if "field" in fault.model_fields_set else "source"
        first[name] = fault.value
    elif len(rows) >= MIN_ROWS_TO_SWAP:
        rows[0], rows[-1] = rows[-1], rows[0]
    return body


def _end(body: dict[str, Any], rows: list[Any]) -> dict[str, Any]:
    """Return the page as if its rows were the last of the list."""
    body["data"] = rows
    if "nextCursor" in body:
        body["nextCursor"] = None
    if "total" in body:
        body["total"] = len(rows)
    if "pagination" in body:
        body["pagination"] |= {"size": len(rows), "hasMore": False}
    if "dateFilter" in body:
        body["dateFilter"] = dict.fromkeys(body["dateFilter"])
    return body


async def _hang(fault: Fault, request: Request) -> None:
    """Say nothing until the client gives up or the fault's time is over."""
    seconds = fault.ms / 1000 if fault.ms else HANG_SECONDS
    try:
        async with asyncio.timeout(seconds):
            while not await request.is_disconnected():
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    return
    except TimeoutError:
        return


def _reset(request: Request) -> None:
    """Drop the connection with a TCP reset; without a socket, raise what a client would see."""
    transport: asyncio.Transport | None = request.scope.get(TRANSPORT_KEY)
    if transport is None:
        raise ConnectionResetError("connection reset by the simulator")
    raw: socket.socket = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _hostile(kind: FaultKind) -> Response | None:
    """Return an answer that is meant to harm whoever reads it."""
    match kind:
        case FaultKind.GZIP_BOMB:
            return _coded(_bomb(), "gzip")
        case FaultKind.GZIPPED_TWICE:
            return _coded(gzip.compress(_bomb()), "gzip, gzip")
        case FaultKind.UNKNOWN_CODING:
            return _coded(b"{}", "zstd")
        case FaultKind.HUGE_BODY:
            return Response(b" " * HUGE_BYTES, media_type="application/json")
        case _:
            return None


@cache
def _bomb() -> bytes:
    """Return a few kilobytes that become many megabytes."""
    return gzip.compress(b" " * HUGE_BYTES)


def _coded(body: bytes, coding: str) -> Response:
    return Response(body, media_type="application/json", headers={"content-encoding": coding})


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(encode(body), status_code=status, media_type="application/json")
