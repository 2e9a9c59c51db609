"""Who subscribes now. Only `/v1` says on what terms; without it the list alone is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.fanvue.wire_lists import Fan
from worker.streams.fans import listed
from worker.streams.money import price
from worker.streams.stream import ListStream, iso


if TYPE_CHECKING:
    from worker.streams.stream import Row, Seen


def _row(fan: Fan, _: Seen) -> Row:
    subscription = fan.subscription
    return listed(fan) | {
        "subscription_status": None if subscription is None else subscription.status,
        "price": None if subscription is None else price(subscription.price),
        "expires_at": None if subscription is None else iso(subscription.current_period_end),
        "auto_renews": None if subscription is None else subscription.auto_renewal_enabled,
        "subscribed_at": iso(fan.first_subscribed_at),
    }


SUBSCRIBERS: Final = ListStream(
    sync_type="subscribers",
    paths=("/subscribers",),
    scopes=("read:fan",),
    shape=Fan,
    row=_row,
)
