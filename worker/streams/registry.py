"""Every stream there is: one line each, beside the file that declares it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from worker.streams.account import ACCOUNT
from worker.streams.earnings import EARNINGS
from worker.streams.followers import FOLLOWERS
from worker.streams.message_history import MESSAGE_HISTORY
from worker.streams.messages import MESSAGES
from worker.streams.posts import POSTS
from worker.streams.subscribers import SUBSCRIBERS
from worker.streams.top_fans import TOP_FANS


if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.streams.stream import Stream


_REGISTERED: Final[tuple[Stream, ...]] = (
    EARNINGS,
    MESSAGES,
    MESSAGE_HISTORY,
    SUBSCRIBERS,
    FOLLOWERS,
    POSTS,
    TOP_FANS,
    ACCOUNT,
)

STREAMS: Final[Mapping[str, Stream]] = MappingProxyType(
    {stream.sync_type: stream for stream in _REGISTERED}
)
