"""The demo's cast: agencies, creators and their history, as the simulator's world file has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from pathlib import Path


AGENCIES: Final = ("Northern Light Talent", "Harbour Street Agency", "Studio Calla")
HANDLES: Final = (
    *("nova", "iris", "juno", "vega", "luna", "cleo"),
    *("mira", "skye", "aria", "dahlia", "ember", "freya"),
)
LONGEST_HISTORY: Final = 5_000
# Short enough that every token is refreshed within a minute of work.
TOKEN_SECONDS: Final = 40
CALLS_A_MINUTE: Final = 100


def history_of(position: int) -> int:
    """Return how many past transactions a creator has: one has very many, the others hundreds."""
    return LONGEST_HISTORY if position == 0 else 150 + 40 * position


def write_world(path: Path) -> Path:
    """Write the world file."""
    agencies: list[dict[str, Any]] = [{"name": name, "creators": []} for name in AGENCIES]
    for position, handle in enumerate(HANDLES):
        agencies[position % len(AGENCIES)]["creators"].append(
            {"handle": handle, "transactions": history_of(position)}
        )
    knobs = {"access_token_seconds": TOKEN_SECONDS, "rate_limit": CALLS_A_MINUTE}
    path.write_text(json.dumps({"knobs": knobs, "agencies": agencies}), encoding="utf-8")
    return path
