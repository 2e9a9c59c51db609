"""Who follows without subscribing, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.fanvue.wire_lists import Fan
from worker.streams.fans import listed
from worker.streams.stream import ListStream


if TYPE_CHECKING:
    from worker.streams.stream import Row, Seen


def _row(fan: Fan, _: Seen) -> Row:
    return listed(fan)


FOLLOWERS: Final = ListStream(
    sync_type="followers",
    paths=("/followers",),
    scopes=("read:fan",),
    shape=Fan,
    row=_row,
)
