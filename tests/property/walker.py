"""Walks a modelled list with the worker's own arithmetic and books what it commits.

The state after a crash is what the last commit left; a page read but not committed is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.property.fanvue_list import CursorRefused, never
from tests.property.ledger import Entry, Ledger
from worker.sync.window import Place, query_span, turn_page


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.property.fanvue_list import FanvueList
    from worker.sync.window import Span, Turn


PLACES_TRIED = 4


@dataclass
class Walker:
    """One walk from its first place to its end."""

    fanvue: FanvueList
    span: Span
    place: Place
    crashes: Callable[[], bool] = never
    ledger: Ledger = field(default_factory=Ledger)
    border: list[Entry] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)

    def walk(self) -> Ledger:
        """Walk to the end; a walk that does not end fails."""
        patience = 20 * (len(self.fanvue.rows) + 10)
        going = True
        while going:
            assert self.fanvue.calls < patience, "the walk does not end"
            turn = self._read()
            if self.crashes():
                continue
            going = self._commit(turn)
        return self.ledger

    def _read(self) -> Turn:
        place = self.place
        for _ in range(PLACES_TRIED):
            try:
                rows, following = self.fanvue.page(query_span(self.span, place), place.cursor)
            except CursorRefused:
                place = Place("window", position=self.place.position)
                continue
            turn = turn_page(rows, following, place)
            if turn.reread is None:
                return turn
            place = turn.reread
        raise AssertionError("the list cannot be turned")

    def _commit(self, turn: Turn) -> bool:
        self.ledger.apply(turn.rows, self.border)
        if turn.after is None:
            return False
        self.place = turn.after
        self.modes.append(self.place.mode)
        by_instants = self.place.mode == "window"
        self.border = [] if by_instants else self.ledger.at(self.place.position)
        return True
