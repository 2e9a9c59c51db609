"""A digest of everything the engine knows, equal for equal knowledge however it was come by.

Left out: our own ids, when something was synced, and how far a reading got. Of instants that say
when we learned something, only whether there is one counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql


if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg


TABLES: Final = (
    "models",
    "fanvue_transactions",
    "earnings_daily",
    "fanvue_fans",
    "fanvue_chats",
    "fanvue_messages",
    "fanvue_posts",
    "fanvue_top_fans",
    "fanvue_accounts",
)
_IDS: Final = ("id", "agency_id", "model_id", "connection_id")
_SYNC: Final = (
    *("created_at", "updated_at", "synced_at", "first_seen_at", "last_seen_at", "seen_at"),
    *("missed_at", "subscriber_seen_at", "subscriber_missed_at", "follower_seen_at"),
    *("follower_missed_at", "changed_at", "read_until", "status_changed_at", "connected_at"),
)
_READING: Final = (
    *("known_until", "pending", "live_cursor", "live_newest", "history_cursor", "history_done"),
    *("counted_subscribers", "counted_followers"),
)
# Rotated by the clock; what they are worth shows in the calls that succeed.
_GRANT: Final = (
    *("fanvue_access_token", "fanvue_refresh_token", "fanvue_token_expires_at"),
    *("fanvue_token_issued_at", "token_version"),
)
LEFT_OUT: Final = [*_IDS, *_SYNC, *_READING, *_GRANT]
TODAY: Final = "t.day = (private.engine_now() at time zone 'UTC')::date"
WHETHER: Final = ("read_at", "ended_at", "unfollowed_at", "deleted_at")


def digest(database: psycopg.Connection[Any]) -> Mapping[str, str]:
    """Return a table's count of rows and the digest of them, for every table of content."""
    return {table: _of(database, table) for table in TABLES}


def _of(database: psycopg.Connection[Any], table: str) -> str:
    owner = sql.SQL("t.id" if table == "models" else "t.model_id")
    # the snapshot of a day that is over is its last poll's, whenever that was
    which = sql.SQL(TODAY if table == "fanvue_top_fans" else "true")
    statement = sql.SQL("""
        select count(*) || ' rows, ' || coalesce(md5(string_agg(x.row, ',' order by x.row)), '-')
        from (
          select md5((
            to_jsonb(t) - %(left_out)s::text[] - %(whether)s::text[]
            || (select coalesce(jsonb_object_agg(w.name, to_jsonb(t) ->> w.name is not null),
                                '{{}}')
                from unnest(%(whether)s::text[]) w (name) where to_jsonb(t) ? w.name)
            || jsonb_build_object('whose', m.fanvue_user_uuid))::text) as row
          from public.{} t
          join public.models m on m.id = {}
          where {}
        ) x
    """).format(sql.Identifier(table), owner, which)
    row = database.execute(statement, {"left_out": LEFT_OUT, "whether": list(WHETHER)}).fetchone()
    assert row is not None
    return str(row[0])
