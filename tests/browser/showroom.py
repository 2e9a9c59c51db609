"""An agency as it looks after months of work: the demo's cast, their sales, and today's news.

One creator must connect again, and a long history is being read while somebody looks.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from local.demo.world import AGENCIES, HANDLES
from tests.browser.stage import Agency
from tests.support.engine import forget


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.stage import BrowserStage


DAYS: Final = 90
CREATORS: Final = HANDLES[:6]
FEWEST_SALES: Final = 120
LONG_HISTORY: Final = 3_000
# After the first pages the rest takes minutes: it is still being read when pictures are taken.
FAST_PAGES: Final = 5
SLOW_MS: Final = 8_000
NEWS: Final = (
    ("nova", "message", 2500),
    ("iris", "tip", 1500),
    ("juno", "subscription", 999),
    ("vega", "mediaLink", 4999),
    ("nova", "renewal", 1200),
    ("luna", "fanExperience", 7900),
    ("iris", "post", 700),
    ("nova", "tip", 5000),
    ("juno", "message", 1800),
)


@contextmanager
def open_showroom(stage: BrowserStage) -> Iterator[Agency]:
    """Seed the agency; its long history is being read while the block runs."""
    owner = stage.sign_up()
    name = AGENCIES[0]
    made = stage.one("insert into public.agencies (name) values (%s) returning id::text", name)
    stage.add_member(made, owner)
    agency = Agency(made, name, owner)
    stage.database.execute("update private.sync_streams set enabled = true")
    try:
        creators = {
            handle: stage.new_creator(
                agency,
                FEWEST_SALES + 30 * place,
                handle=handle,
                days=DAYS,
                fans=20,
                messages=30,
                posts=12,
                subscribers=25 + 9 * place,
                followers=110 + 40 * place,
            )
            for place, handle in enumerate(CREATORS)
        }
        stage.drain()
        _name(stage, creators)
        _make_news(stage, creators)
        stage.database.execute(
            "update public.models set status = 'reauth_required' where id = %s",
            (stage.model(creators[CREATORS[-1]]),),
        )
        with _long_history(stage, agency):
            yield agency
    finally:
        # A job of the worker that was stopped would keep others waiting for its lease.
        forget(stage.database)


def _name(stage: BrowserStage, creators: dict[str, str]) -> None:
    """Give names to creators whose account was not read yet."""
    for handle, creator in creators.items():
        stage.database.execute(
            "update public.models set handle = coalesce(handle, %s),"
            " display_name = coalesce(display_name, initcap(%s)) where id = %s",
            (handle, handle, stage.model(creator)),
        )


def _make_news(stage: BrowserStage, creators: dict[str, str]) -> None:
    """Sell a little of everything within the last hours, and take one sale back."""
    now = datetime.now(UTC)
    for place, (handle, source, cents) in enumerate(NEWS):
        at = (now - timedelta(minutes=2 + 11 * (len(NEWS) - place))).isoformat()
        row = {"source": source, "gross_cents": cents, "at": at}
        stage.fanvue.add_sales(creators[handle], rows=[row])
    stage.fanvue.add_reversals(creators["iris"])
    stage.deliver()


@contextmanager
def _long_history(stage: BrowserStage, agency: Agency) -> Iterator[None]:
    handle = HANDLES[len(CREATORS)]
    creator = stage.new_creator(agency, LONG_HISTORY, handle=handle, days=DAYS)
    _name(stage, {handle: creator})
    pace = {"path": "/insights/earnings", "creator": creator}
    stage.fanvue.add_fault("slow", **pace, ms=200, times=FAST_PAGES)
    stage.fanvue.add_fault("slow", **pace, ms=SLOW_MS)
    try:
        with stage.engine.worker(FANVUE_TIMEOUT_SECONDS="120"):
            yield
    finally:
        stage.fanvue.clear_faults()
