"""Cents on the wire as the exact dollar texts that rows carry."""

from __future__ import annotations

from worker.sync.rows import dollars


def price(cents: int | None) -> str | None:
    """Return cents as dollars with two decimals; what Fanvue did not say stays unsaid."""
    return None if cents is None else str(dollars(cents))
