"""What Fanvue says of the account as a whole: its status, totals and number of fans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.fanvue.wire import Account, AccountEarnings, AccountFans, AccountState
from worker.streams.money import price
from worker.streams.stream import Extent, ListStream, iso


if TYPE_CHECKING:
    from worker.streams.stream import Row, Seen


def _row(account: Account, _: Seen) -> Row:
    state = account.account or AccountState()
    earnings = state.earnings or AccountEarnings()
    fans = state.fans or AccountFans()
    return {
        "status": state.status,
        "total_gross": price(earnings.total),
        "available_balance": price(earnings.available_balance),
        "last_payout_at": iso(earnings.last_payout_at),
        "followers": fans.followers,
        "subscribers": fans.subscribers,
        "handle": account.handle,
        "display_name": account.display_name,
    }


ACCOUNT: Final = ListStream(
    sync_type="account",
    paths=("/users/account",),
    scopes=("read:self",),
    shape=Account,
    row=_row,
    extent=Extent.OBJECT,
)
