"""New sales for the simulated Fanvue, and a refund now and then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from simulator.client import SimulatorControl


MOST_AT_ONCE: Final = 3
REFUND_EVERY: Final = 6


@dataclass(slots=True)
class Sales:
    """What has been sold so far."""

    fanvue: SimulatorControl
    creators: Sequence[str]
    random: Random
    rounds: int = 0
    sold: int = 0
    refunded: int = 0

    def next_round(self) -> None:
        """Let some creators sell something now."""
        self.rounds += 1
        for creator in self.random.sample(list(self.creators), 2):
            count = self.random.randint(1, MOST_AT_ONCE)
            self.fanvue.add_sales(creator, count)
            self.sold += count
        if self.rounds % REFUND_EVERY == 0:
            self.fanvue.add_reversals(self.random.choice(list(self.creators)))
            self.refunded += 1
