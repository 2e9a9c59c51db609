"""The demo's cast: agencies, creators and their history, as the simulator's world file has them.

One creator has far more money rows than a minute's calls can read; all others have enough of
everything to fill pages, so that it stays a short demonstration.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# The last one is connected by one grant of its administrator, the others creator by creator.
AGENCIES: Final = ("Northern Light Talent", "Harbour Street Agency", "Studio Calla")
HANDLES: Final = (
    *("nova", "iris", "juno", "vega", "luna", "cleo"),
    *("mira", "skye", "aria", "dahlia", "ember", "freya"),
)
LONGEST_HISTORY: Final = 5_000
# Short enough that every token is refreshed within a minute of work.
TOKEN_SECONDS: Final = 40
CALLS_A_MINUTE: Final = 100
# A slow machine takes its time to acknowledge a webhook and to store a token: neither is a fault.
UNHURRIED: Final = {"webhook_timeout_seconds": 300, "grace_seconds": 600}
# Who was there when the money was made: these chat with the creator.
FANS: Final = 12
FEWEST_FANS: Final = 6
OLD_MESSAGES: Final = 600
POSTS: Final = 40
# Who came since, and only looks on.
NEW_FANS: Final = {"followers": 160, "subscribers": 120}
# To the creator whose money takes the calls, a page of each.
FEWEST_NEW_FANS: Final = {"followers": 40, "subscribers": 40}


def history_of(position: int) -> int:
    """Return how many past transactions a creator has: one has very many, the others hundreds."""
    return LONGEST_HISTORY if position == 0 else 150 + 40 * position


def write_world(path: Path) -> Path:
    """Write the world file."""
    agencies: list[dict[str, Any]] = [{"name": name, "creators": []} for name in AGENCIES]
    for position, handle in enumerate(HANDLES):
        agencies[position % len(AGENCIES)]["creators"].append(
            {
                "handle": handle,
                "transactions": history_of(position),
                "fans": FANS if position else FEWEST_FANS,
                "messages": OLD_MESSAGES if position else 0,
                "posts": POSTS,
            }
        )
    knobs = {
        "access_token_seconds": TOKEN_SECONDS,
        "rate_limit": CALLS_A_MINUTE,
        **UNHURRIED,
    }
    path.write_text(json.dumps({"knobs": knobs, "agencies": agencies}), encoding="utf-8")
    return path


def newcomers(histories: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the orders that let fans come who have neither paid nor written."""
    return [
        {
            "do": "fans",
            "creator": creator,
            **(NEW_FANS if sales < LONGEST_HISTORY else FEWEST_NEW_FANS),
        }
        for creator, sales in histories.items()
    ]
