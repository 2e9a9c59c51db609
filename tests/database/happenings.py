"""Everything that may happen to the rows behind a dashboard, as statements with drawn values.

The creators are called a, b and c; few days, amounts and words, so that they meet often.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


Row = dict[str, Any]
Statement = tuple[str, Row]

INSTANTS = ["2026-03-01T23:59:59.999Z", "2026-03-02T00:00:00Z", "2026-03-02T12:00:00Z"]
AMOUNTS = ["5.00", "0.00", "-5.00", "0.01"]

SALES = """
  insert into public.fanvue_transactions
    (agency_id, model_id, fanvue_id, amount, net_amount, category, fanvue_created_at, origin,
     sent_currency, sent_minor_units)
  select m.agency_id, m.id, 'n' || nextval('private.lease_ids'), %(amount)s, %(net)s, %(category)s,
         %(at)s, %(origin)s, case when %(origin)s = 'webhook' then %(currency)s end,
         case when %(origin)s = 'webhook' and %(currency)s::text is not null then 1999 end
  from public.models m cross join generate_series(1, %(count)s) where m.handle = any (%(models)s)
"""
PAGE = """
  insert into public.fanvue_transactions
    (agency_id, model_id, fanvue_id, amount, net_amount, category, fanvue_created_at)
  select m.agency_id, m.id, x, %(amount)s, %(net)s, %(category)s, %(at)s
  from public.models m cross join unnest(array['u1', 'u2']) x where m.handle = any (%(models)s)
  on conflict (fanvue_id, model_id) do update
    set amount = excluded.amount, category = excluded.category,
        fanvue_created_at = excluded.fanvue_created_at
"""
AMEND = """
  update public.fanvue_transactions t
  set amount = t.amount + %(amount)s, net_amount = %(net)s, category = %(category)s,
      fanvue_created_at = %(at)s
  from public.models m where m.id = t.model_id and m.handle = any (%(models)s)
"""
CONFIRM = """
  update public.fanvue_transactions t
  set origin = 'api', sent_currency = null, sent_minor_units = null
  from public.models m where m.id = t.model_id and m.handle = any (%(models)s)
"""
PAY_OUT = "update public.fanvue_transactions set status = 'available', synced_at = now()"
HAND_OVER = """
  update public.fanvue_transactions t set model_id = m.id, agency_id = m.agency_id
  from public.models m where m.handle = %(target)s and t.fanvue_id not like 'u%%'
"""
DELETE = """
  delete from public.fanvue_transactions t using public.models m
  where m.id = t.model_id and m.handle = any (%(models)s) and t.amount <= %(amount)s
"""
TRUNCATE = "truncate public.fanvue_transactions cascade"
FANS = """
  insert into public.fanvue_top_fans as f
    (agency_id, model_id, day, rank, fan_uuid, handle, gross, net, messages)
  select m.agency_id, m.id, (%(at)s::timestamptz at time zone 'UTC')::date, %(count)s, 'fan',
         %(category)s, abs(%(amount)s::numeric), 1, %(count)s
  from public.models m where m.handle = any (%(models)s)
  on conflict (model_id, day, fan_uuid) do update
    set rank = excluded.rank, gross = excluded.gross, handle = excluded.handle,
        messages = excluded.messages, synced_at = now()
"""
FORGET_FANS = """
  delete from public.fanvue_top_fans f using public.models m
  where m.id = f.model_id and m.handle = %(target)s
"""
ACCOUNT = """
  insert into public.fanvue_accounts (model_id, agency_id, subscribers, followers, total_gross)
  select m.id, m.agency_id, %(count)s, null, %(amount)s
  from public.models m where m.handle = any (%(models)s)
  on conflict (model_id) do update
    set subscribers = excluded.subscribers, total_gross = excluded.total_gross, synced_at = now()
"""
PAUSE = "update public.models set status = %(status)s where handle = %(target)s"
RENAME = "update public.models set display_name = %(category)s where handle = %(target)s"
MOVE = """
  update public.models set agency_id = (select m.agency_id from public.models m
                                        where m.handle = (%(models)s::text[])[1])
  where handle = %(target)s and exists (select from public.models m
                                        where m.handle = (%(models)s::text[])[1])
"""
REMOVE = "delete from public.models where handle = %(target)s"

MONEY = [SALES, SALES, PAGE, AMEND, CONFIRM, PAY_OUT, HAND_OVER, DELETE, TRUNCATE]
OTHER = [FANS, FORGET_FANS, ACCOUNT, PAUSE, RENAME, MOVE, REMOVE]

statements = st.tuples(
    st.sampled_from([*MONEY, *MONEY, *OTHER]),
    st.fixed_dictionaries(
        {
            "amount": st.sampled_from(AMOUNTS),
            "net": st.sampled_from([*AMOUNTS, None]),
            "category": st.sampled_from(["tip", "message", None]),
            "at": st.sampled_from(INSTANTS),
            "origin": st.sampled_from(["api", "webhook"]),
            "currency": st.sampled_from(["EUR", "GBP", None]),
            "count": st.integers(1, 3),
            "models": st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True),
            "target": st.sampled_from(["a", "b", "c"]),
            "status": st.sampled_from(["active", "paused"]),
        }
    ),
)

# One set of values, for scenes that are not drawn.
VALUES: Row = {
    "amount": "5.00",
    "net": "4.00",
    "category": "tip",
    "at": INSTANTS[0],
    "origin": "webhook",
    "currency": "EUR",
    "count": 2,
    "models": ["a"],
    "target": "a",
    "status": "paused",
}
