-- Purpose: one exact rate budget per bucket, shared by all workers; response headers are the truth about its size.
-- Who may call: service_role.
-- Locks: the bucket's row, for the length of one small update.

create or replace function public.take_calls(
  p_bucket text, p_want integer, p_lane text default 'normal', p_seen jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- Permits may be used a little later than they were granted: they are valid for so long, and the window is that much wider.
  v_valid_s constant integer := 2;
  v_now timestamptz;
  v_budget private.api_budgets;
  v_size integer;
  v_second bigint;
  v_shift integer;
  v_used integer;
  v_cap integer;
  v_granted integer;
  v_seen_limit integer := (p_seen ->> 'limit')::integer;
  v_seen_left integer := (p_seen ->> 'remaining')::integer;
  v_wait integer := 0;
begin
  if coalesce(p_bucket, '') = '' or p_want < 1 or p_want > 1000 then
    raise sqlstate 'PT422' using message = 'take_calls wants a bucket and 1..1000 calls';
  end if;
  insert into private.api_budgets (bucket) values (p_bucket) on conflict do nothing;
  select b.* into v_budget from private.api_budgets b where b.bucket = p_bucket for update;
  v_now := private.engine_now();
  v_second := floor(extract(epoch from v_now))::bigint;
  v_size := v_budget.window_seconds + v_valid_s + 1;

  if cardinality(v_budget.slots) <> v_size then
    v_budget.slots := array_fill(0, array[v_size]);
    v_budget.head_s := v_second;
  end if;
  v_shift := least(greatest(v_second - v_budget.head_s, 0), v_size)::integer;
  if v_shift > 0 then
    v_budget.slots := v_budget.slots[v_shift + 1 : v_size] || array_fill(0, array[v_shift]);
    v_budget.head_s := v_second;
  end if;
  select coalesce(sum(x), 0) into v_used from unnest(v_budget.slots) x;

  if v_seen_limit between 1 and 100000 then
    v_budget.max_calls := v_seen_limit;
  end if;
  if v_seen_left is not null and coalesce((p_seen ->> 'reset_in_s')::numeric, 1) > 0
     and v_seen_left < v_budget.max_calls - v_used then
    -- Somebody else uses this grant too: what they took is gone for us.
    v_budget.slots[v_size] := v_budget.slots[v_size] + (v_budget.max_calls - v_used - greatest(v_seen_left, 0));
    v_used := v_budget.max_calls - greatest(v_seen_left, 0);
  end if;

  -- A lower lane never takes the last share of the window.
  v_cap := v_budget.max_calls - case p_lane
    when 'live' then 0
    when 'normal' then ceil(v_budget.max_calls * 0.02)
    when 'backfill' then ceil(v_budget.max_calls * 0.04)
    else ceil(v_budget.max_calls * 0.2) end;

  if v_budget.blocked_until > v_now then
    v_granted := 0;
    v_wait := ceil(extract(epoch from v_budget.blocked_until - v_now) * 1000);
  else
    v_granted := least(p_want, greatest(v_cap - v_used, 0));
    if v_granted > 0 then
      v_budget.slots[v_size] := v_budget.slots[v_size] + v_granted;
    else
      -- the instant at which enough slots have left the window for one call of this lane
      select coalesce(min(w.k), 1) * 1000 into v_wait
      from (select s.k, sum(s.calls) over (order by s.k) as freed
            from unnest(v_budget.slots) with ordinality s(calls, k)) w
      where v_used - w.freed < v_cap;
    end if;
  end if;

  update private.api_budgets b
  set slots = v_budget.slots, head_s = v_budget.head_s, max_calls = v_budget.max_calls,
      seen_at = case when p_seen is null then b.seen_at else v_now end
  where b.bucket = p_bucket;
  return jsonb_build_object('granted', v_granted, 'wait_ms', v_wait, 'limit', v_budget.max_calls, 'valid_ms', v_valid_s * 1000);
end
$$;
comment on function public.take_calls(text, integer, text, jsonb) is
  'Takes up to p_want calls of a bucket''s window for a lane (live, normal, backfill, low): granted, or wait_ms until one is free. '
  'p_seen {limit, remaining, reset_in_s}: what Fanvue''s headers last said. A lost reply costs its permits, never the limit.';
revoke all on function public.take_calls(text, integer, text, jsonb) from public, anon, authenticated;
grant execute on function public.take_calls(text, integer, text, jsonb) to service_role;

create or replace function public.block_bucket(p_bucket text, p_seconds numeric)
returns void
language sql
set search_path = ''
as $$
  insert into private.api_budgets as b (bucket, blocked_until)
  values (p_bucket, private.engine_now() + make_interval(secs => least(greatest(p_seconds, 0), 3600)::double precision))
  on conflict (bucket) do update set blocked_until = greatest(b.blocked_until, excluded.blocked_until)
$$;
comment on function public.block_bucket(text, numeric) is 'After a 429: no worker calls on this bucket for so many seconds (an hour at most), and its jobs are not claimed.';
revoke all on function public.block_bucket(text, numeric) from public, anon, authenticated;
grant execute on function public.block_bucket(text, numeric) to service_role;
