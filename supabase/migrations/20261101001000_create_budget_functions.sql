-- Purpose: one exact rate budget per bucket and limit, shared by all workers; response headers are the truth about its size.
-- Fanvue's headers speak of the endpoint that was called. Endpoints that are told the same number share one count, as they
-- share one limit; an endpoint that is told another number has a count of its own, and a refusal stops that endpoint alone.
-- Who may call: service_role.
-- Locks: an advisory lock on the bucket, for the length of one small update.

create or replace function private.slid(p_budget private.api_budgets, p_second bigint, p_size integer)
returns private.api_budgets
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_shift integer;
begin
  if cardinality(p_budget.slots) <> p_size then
    p_budget.slots := array_fill(0, array[p_size]);
    p_budget.head_s := p_second;
  end if;
  v_shift := least(greatest(p_second - p_budget.head_s, 0), p_size)::integer;
  if v_shift > 0 then
    p_budget.slots := p_budget.slots[v_shift + 1 : p_size] || array_fill(0, array[v_shift]);
    p_budget.head_s := p_second;
  end if;
  return p_budget;
end
$$;
comment on function private.slid(private.api_budgets, bigint, integer) is 'A budget with its window moved on to a second; a clock that steps back refills nothing.';
revoke all on function private.slid(private.api_budgets, bigint, integer) from public, anon, authenticated;
grant execute on function private.slid(private.api_budgets, bigint, integer) to service_role;

create or replace function private.lane_cap(p_max_calls integer, p_lane text)
returns integer
language sql
immutable
set search_path = ''
as $$
  -- A lower lane never takes the last share of the window; of the smallest limits it is left one call.
  select greatest(1, p_max_calls - ceil(p_max_calls * case p_lane when 'live' then 0 when 'normal' then 0.02 when 'backfill' then 0.04 when 'low' then 0.2 end))::integer
$$;
comment on function private.lane_cap(integer, text) is 'How many calls of a window a lane may use up to.';
revoke all on function private.lane_cap(integer, text) from public, anon, authenticated;
grant execute on function private.lane_cap(integer, text) to service_role;

create or replace function private.learn_limit(p_bucket text, p_endpoint text, p_from integer, p_limit integer)
returns void
language sql
set search_path = ''
as $$
  -- what was called until now counts under the new limit too: it may be the same one, changed
  insert into private.api_budgets (bucket, max_calls, window_seconds, head_s, slots)
  select b.bucket, p_limit, b.window_seconds, b.head_s, b.slots
  from private.api_budgets b
  where b.bucket = p_bucket and b.max_calls = p_from
  on conflict do nothing;
  update private.api_endpoints e set max_calls = p_limit where e.bucket = p_bucket and e.endpoint = p_endpoint;
  delete from private.api_budgets b
  where b.bucket = p_bucket and b.max_calls <> p_limit
    and not exists (select from private.api_endpoints e
                    where e.bucket = b.bucket and e.max_calls = b.max_calls and e.endpoint <> p_endpoint);
$$;
comment on function private.learn_limit(text, text, integer, integer) is
  'Moves an endpoint to the count of the limit that it was told; a count that no endpoint has any more is dropped.';
revoke all on function private.learn_limit(text, text, integer, integer) from public, anon, authenticated;
grant execute on function private.learn_limit(text, text, integer, integer) to service_role;

create or replace function public.take_calls(
  p_bucket text, p_want integer, p_lane text default 'normal', p_seen jsonb default null, p_endpoint text default '')
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- Permits may be used a little later than they were granted: they are valid for so long, and the window is that much wider.
  v_valid_s constant integer := 2;
  v_until_told constant integer := 100;
  v_now timestamptz;
  v_told integer;
  v_largest integer;
  v_probed_at timestamptz;
  v_limit integer;
  v_budgets private.api_budgets[];
  v_used integer;
  v_room integer;
  v_granted integer;
  v_blocked_until timestamptz;
  v_seen_limit integer := (p_seen ->> 'limit')::integer;
  v_seen_left integer := greatest((p_seen ->> 'remaining')::integer, 0);
  v_wait integer := 0;
begin
  if coalesce(p_bucket, '') = '' or p_want < 0 or p_want > 1000 or p_endpoint is null then
    raise sqlstate 'PT422' using message = 'take_calls wants a bucket, an endpoint and 0..1000 calls';
  end if;
  if coalesce(p_lane, '') not in ('live', 'normal', 'backfill', 'low') then
    raise sqlstate 'PT422' using message = format('no lane %L', p_lane);
  end if;
  perform pg_advisory_xact_lock(hashtextextended('fanvue-budget:' || p_bucket, 0));
  v_now := private.engine_now();
  select max(e.max_calls) filter (where e.endpoint = p_endpoint), max(e.probed_at) filter (where e.endpoint = p_endpoint),
         max(e.max_calls), max(e.blocked_until) filter (where e.endpoint in ('', p_endpoint))
  into v_told, v_probed_at, v_largest, v_blocked_until
  from private.api_endpoints e
  where e.bucket = p_bucket;
  v_limit := coalesce(v_told, v_largest, v_until_told);
  if v_probed_at is null then
    insert into private.api_endpoints (bucket, endpoint) values (p_bucket, p_endpoint) on conflict do nothing;
  end if;
  if not exists (select from private.api_budgets b where b.bucket = p_bucket and b.max_calls = v_limit) then
    insert into private.api_budgets (bucket, max_calls) values (p_bucket, v_limit) on conflict do nothing;
  end if;
  if v_seen_limit between 1 and 100000 and v_seen_limit is distinct from v_told then
    perform private.learn_limit(p_bucket, p_endpoint, v_limit, v_seen_limit);
    v_told := v_seen_limit;
    v_limit := v_seen_limit;
  end if;

  -- its own count first, then those of larger limits, which may be limits of the whole bucket
  select array_agg(private.slid(b, floor(extract(epoch from v_now))::bigint, b.window_seconds + v_valid_s + 1) order by b.max_calls)
  into v_budgets
  from private.api_budgets b
  where b.bucket = p_bucket and b.max_calls >= v_limit;
  if v_seen_limit = v_limit and coalesce((p_seen ->> 'reset_in_s')::numeric, 1) > 0 then
    v_used := (select sum(s.calls) from unnest(v_budgets[1].slots) s(calls));
    -- Somebody else uses this grant too: what they took is gone for us.
    v_budgets[1].slots[cardinality(v_budgets[1].slots)] :=
      v_budgets[1].slots[cardinality(v_budgets[1].slots)] + greatest(0, v_limit - v_used - v_seen_left);
  end if;
  if v_blocked_until > v_now then
    v_granted := 0;
    v_wait := ceil(extract(epoch from v_blocked_until - v_now) * 1000);
  else
    select min(private.lane_cap(b.max_calls, p_lane) - u.used) into v_room
    from unnest(v_budgets) b
    cross join lateral (select sum(s.calls) as used from unnest(b.slots) s(calls)) u;
    v_granted := greatest(least(p_want, v_room), 0);
    if p_want > 0 and v_granted = 0 and v_told is null and v_limit < v_until_told
       and coalesce(v_probed_at, '-infinity') <= v_now - make_interval(secs => v_budgets[1].window_seconds) then
      -- only others were told this small limit: one call shows whether it is this endpoint's as well
      v_granted := 1;
      update private.api_endpoints e set probed_at = v_now where e.bucket = p_bucket and e.endpoint = p_endpoint;
    end if;
    if v_granted = 0 then
      -- the instant at which enough slots have left the windows for one call of this lane
      select coalesce(max(f.k), 1) * 1000 into v_wait
      from unnest(v_budgets) b
      cross join lateral (
        select coalesce(min(w.k), 1) as k
        from (select s.k, sum(s.calls) over () - sum(s.calls) over (order by s.k) as kept
              from unnest(b.slots) with ordinality s(calls, k)) w
        where w.kept < private.lane_cap(b.max_calls, p_lane)) f
      where (select sum(s.calls) from unnest(b.slots) s(calls)) >= private.lane_cap(b.max_calls, p_lane);
    end if;
  end if;

  update private.api_budgets b
  set slots = n.slots[: cardinality(n.slots) - 1] || (n.slots[cardinality(n.slots)] + v_granted), head_s = n.head_s,
      seen_at = case when n.max_calls = v_seen_limit then v_now else b.seen_at end
  from unnest(v_budgets) n
  where b.bucket = n.bucket and b.max_calls = n.max_calls;
  return jsonb_build_object('granted', v_granted, 'wait_ms', v_wait, 'limit', v_limit, 'valid_ms', v_valid_s * 1000);
end
$$;
comment on function public.take_calls(text, integer, text, jsonb, text) is
  'Takes up to p_want calls (none: it only counts what p_seen says) of an endpoint''s window for a lane (live, normal, backfill, low): granted, or wait_ms until one is free. '
  'p_seen {limit, remaining, reset_in_s}: what Fanvue''s headers last said of this endpoint. p_endpoint empty: of no particular one. A lost reply costs its permits, never the limit.';
revoke all on function public.take_calls(text, integer, text, jsonb, text) from public, anon, authenticated;
grant execute on function public.take_calls(text, integer, text, jsonb, text) to service_role;

create or replace function private.streams_without(p_endpoint text)
returns text[]
language sql
immutable
set search_path = ''
as $$
  select case p_endpoint
    when '' then array['earnings', 'messages', 'message_history', 'subscribers', 'followers', 'posts', 'top_fans', 'account', 'reconcile', 'token_refresh']
    when '/insights/earnings' then array['earnings', 'reconcile']
    when '/chats' then array['messages']
    when '/chats/{uuid}/messages' then array['messages', 'message_history']
    when '/subscribers' then array['subscribers']
    when '/followers' then array['followers']
    when '/posts' then array['posts']
    when '/insights/top-spenders' then array['top_fans']
    when '/users/account' then array['account']
    when '/oauth2/token' then array['token_refresh']
    -- what no stream begins with stops none: whoever needs it later waits for it there
    else array[]::text[] end
$$;
comment on function private.streams_without(text) is 'The streams that cannot go on while an endpoint refuses; all of them where the whole bucket does.';
revoke all on function private.streams_without(text) from public, anon, authenticated;
grant execute on function private.streams_without(text) to service_role;

create or replace function public.block_bucket(p_bucket text, p_seconds numeric, p_endpoint text default '', p_seen jsonb default null)
returns void
language sql
set search_path = ''
as $$
  -- at once: endpoints that share the count need no refusals of their own, and what was left is untold once its window is over
  select public.take_calls(p_bucket, 0, 'live', p_seen, p_endpoint) where p_seen is not null;
  insert into private.api_endpoints as e (bucket, endpoint, blocked_until, blocked_since, stops)
  select p_bucket, p_endpoint, n.now + make_interval(secs => least(greatest(p_seconds, 0), 3600)::double precision), n.now,
         private.streams_without(p_endpoint)
  from (select private.engine_now() as now) n
  on conflict (bucket, endpoint) do update
  set blocked_until = greatest(e.blocked_until, excluded.blocked_until), stops = excluded.stops,
      blocked_since = case when e.blocked_until > excluded.blocked_since - interval '5 minutes' then e.blocked_since else excluded.blocked_since end
$$;
comment on function public.block_bucket(text, numeric, text, jsonb) is
  'After a 429: no worker calls this endpoint of the bucket (empty: any) for so many seconds, an hour at most, and streams that need it are not claimed. '
  'p_seen {limit, remaining, reset_in_s}: what its headers said, counted for all endpoints that are told this limit.';
revoke all on function public.block_bucket(text, numeric, text, jsonb) from public, anon, authenticated;
grant execute on function public.block_bucket(text, numeric, text, jsonb) to service_role;
