"""Money: earnings rows, and beside them the reversals and day sums that complete the picture.

Rows become ledger rows in `worker.sync.rows`; the window and the turning of pages, which look at
instants because cursors may lose rows, are in `worker.sync.window`.
"""

from __future__ import annotations

from typing import Final

from worker.fanvue.wire import EarningRow
from worker.streams.stream import MoneyStream
from worker.sync.window import PAGE_SIZE


EARNINGS: Final = MoneyStream(
    sync_type="earnings",
    rows="/insights/earnings",
    reversals="/insights/spending",
    summary="/insights/earnings/summary",
    scopes=("read:insights",),
    shape=EarningRow,
    page_size=PAGE_SIZE,
)
