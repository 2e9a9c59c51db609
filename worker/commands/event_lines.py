"""What a pushed event says, in a line for people: whose it is, and what happened.

Pure texts of payloads; nothing here looks anything up. A field that is missing or odd leaves its
part of the line out, because a hint is not worth an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from worker.commands.terminal import counted


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


_MANY: Final = {
    "transactions": "the money of many creators changed",
    "job": "many jobs moved on",
    "model": "many creators changed",
    "sync_state": "many streams were synced",
}
_MODEL_WORDS: Final = {
    "active": "active",
    "paused": "paused",
    "reauth_required": "must reconnect",
    "removed": "removed",
}
_JOB_WORDS: Final = {
    "queued": "queued",
    "succeeded": "done",
    "partial": "done in part, see fanvue-sync status",
    "failed": "failed, see fanvue-sync status",
    "cancelled": "cancelled",
    "dead": "gave up, see fanvue-sync jobs list --state dead",
}
_KIND_WORDS: Final = {"full": "backfill", "backfill": "backfill"}


class EventKind(StrEnum):
    """What people call the events."""

    SALES = "sales"
    JOBS = "jobs"
    CREATORS = "creators"
    STREAMS = "streams"


_EVENTS: Final = {
    EventKind.SALES: "transactions",
    EventKind.JOBS: "job",
    EventKind.CREATORS: "model",
    EventKind.STREAMS: "sync_state",
}


def events_of(kinds: Collection[EventKind]) -> frozenset[str]:
    """Return the names of the events of some kinds."""
    return frozenset(_EVENTS[kind] for kind in kinds)


@dataclass(frozen=True, slots=True)
class EventLine:
    """What happened to one creator; None stands for no single one."""

    model_id: str | None
    text: str


def lines_of(event: str, payload: Mapping[str, Any]) -> list[EventLine]:
    """Say what an event tells, a line for each of its items."""
    if payload.get("many"):
        return [EventLine(None, _MANY.get(event, f"many changes: {event}"))]
    items = payload.get("items", [payload])
    return [
        EventLine(_text(item.get("model_id")), _describe(event, item))
        for item in items
        if isinstance(item, dict)
    ]


def _describe(event: str, item: Mapping[str, Any]) -> str:
    teller = _TELLERS.get(event)
    return event if teller is None else teller(item)


def _sales(item: Mapping[str, Any]) -> str:
    inserted, updated = _count(item, "inserted"), _count(item, "updated")
    parts = []
    refunds = min(_count(item, "refunds"), inserted)
    if sales := inserted - refunds:
        parts.append(counted(sales, "new sale"))
    if refunds:
        parts.append(counted(refunds, "refund"))
    if updated:
        parts.append(f"{updated:,} changed")
    if removed := _count(item, "deleted"):
        parts.append(f"{removed:,} removed")
    if (moved := _money(item.get("amount"))) is not None:
        parts.append(moved)
    job = item.get("job")
    if isinstance(job, dict) and _kind(job):
        parts.append(f"({_job(job)})")
    return ", ".join(parts).replace(", (", " (") or "sales changed"


def _job(item: Mapping[str, Any]) -> str:
    what = " ".join(filter(None, (_text(item.get("sync_type")) or "job", _kind(item))))
    state = _text(item.get("state")) or "changed"
    if state != "running":
        return f"{what} {_JOB_WORDS.get(state, state)}"
    progress = item.get("progress") or {}
    reached = _text(progress.get("position"))
    parts = [counted(_count(progress, "pages"), "page"), counted(_count(progress, "rows"), "row")]
    if reached is not None:
        parts.append(f"back to {reached[:10]}")
    return f"{what}: {', '.join(parts)}" if progress else f"{what} running"


def _kind(item: Mapping[str, Any]) -> str:
    progress = item.get("progress")
    return _KIND_WORDS.get(str(progress.get("kind")), "") if isinstance(progress, dict) else ""


def _model(item: Mapping[str, Any]) -> str:
    status = _text(item.get("status")) or "changed"
    return _MODEL_WORDS.get(status, status)


def _stream(item: Mapping[str, Any]) -> str:
    what, failures = _text(item.get("sync_type")) or "a stream", _count(item, "failures")
    if not failures:
        return f"{what} synced"
    return f"{what} failing, {failures:,} {'time' if failures == 1 else 'times in a row'}"


_TELLERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "transactions": _sales,
    "job": _job,
    "model": _model,
    "sync_state": _stream,
}


def _count(item: Mapping[str, Any], name: str) -> int:
    value = item.get(name)
    return value if isinstance(value, int) else 0


def _money(amount: object) -> str | None:
    try:
        dollars = Decimal(str(amount))
    except InvalidOperation:
        return None
    if not dollars.is_finite():
        return None
    sign = "-" if dollars < 0 else "+" if dollars else ""
    return f"{sign}${abs(dollars):,.2f}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
