-- Purpose: taking work from the queue: claim, targeted claim, heartbeat.
-- Who may call: service_role (the worker). Every function is idempotent: its reply may be lost.
-- Locks: lanes, then jobs, with SKIP LOCKED; only the claim of one model waits, for a claim on its agency's lane.

create or replace function private.cause_of(p_cause text, p_created_at timestamptz)
returns text
-- plpgsql here and below: these run once per job, and a function in SQL that sets its search_path begins a query each time
language plpgsql
stable
set search_path = ''
as $$
begin
  -- the schedule's jobs are most of all and bear no text: their tick is known by its time
  return coalesce(p_cause, 'tick ' || to_char(p_created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'));
end
$$;
comment on function private.cause_of(text, timestamptz) is 'Who wanted a job, in the words by which logs find all that came of it.';
revoke all on function private.cause_of(text, timestamptz) from public, anon, authenticated;
grant execute on function private.cause_of(text, timestamptz) to service_role;

create or replace function private.job_replies(p_ids bigint[])
-- rows written as text and read once by whoever puts them into a reply: half of what building them of keys and values costs
returns json
-- plpgsql, and told the ids alone: planned once a session, where a function in SQL is planned with each claim
language plpgsql
stable
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  -- What cause_of, bucket_of and path_prefix say of one job, for all of them at once: calls for each cost more than all else of a claim.
  return (
    select coalesce(json_agg(r order by k.place), '[]')
    from unnest(p_ids) with ordinality k(id, place)
    join public.sync_jobs j on j.id = k.id
    left join public.models m on m.id = j.model_id
    left join public.agency_connections c on c.id = m.connection_id
    -- grant, path and bucket of one moment: a model that changes its grant meanwhile must not mix two of them
    cross join lateral (
      select m.fanvue_user_uuid, m.handle, coalesce(m.connection_id, m.id) as grant_id,
             case when m.connection_id is null or c.fanvue_user_uuid = m.fanvue_user_uuid then case when m.id is not null then '' end
                  else '/creators/' || m.fanvue_user_uuid end as path_prefix) who
    cross join lateral (
      select j.id, j.lease_id, j.agency_id, j.model_id, j.sync_type, j.attempt, j.max_attempts, j.priority,
             coalesce(j.progress, '{}'::jsonb) as progress,
             greatest(0, round(extract(epoch from j.claimed_at - greatest(j.run_at, j.created_at)) * 1000)) as waited_ms,
             coalesce(j.cause, 'tick ' || to_char(j.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as cause,
             coalesce(case when m.connection_id is null then 'user:' || coalesce(m.fanvue_user_uuid, m.id::text)
                           when c.fanvue_user_uuid = m.fanvue_user_uuid then 'user:' || c.fanvue_user_uuid
                           else 'user:' || c.fanvue_user_uuid || ':' || m.fanvue_user_uuid end, j.bucket) as bucket,
             who as model) r);
end
$$;
comment on function private.job_replies(bigint[]) is 'Claimed jobs as the worker gets them, in the order of their ids as given. No secrets.';
revoke all on function private.job_replies(bigint[]) from public, anon, authenticated;
grant execute on function private.job_replies(bigint[]) to service_role;

create or replace function public.claim_sync_jobs(
  p_worker text, p_limit integer, p_lease_seconds integer default 60, p_claim_id uuid default null,
  p_drain boolean default false)
returns jsonb
language plpgsql
set search_path = ''
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
-- an index scan marks what is dead for the next one, a bitmap does not
set enable_bitmapscan = off
-- a lane's head comes from the index in its order: statistics of an empty queue would read all that is queued, and sort it
set enable_sort = off
set enable_incremental_sort = off
as $$
declare
  v_now timestamptz := private.engine_now();
  v_heads public.sync_jobs[];
  -- whose lanes are looked at: null until that is known, then all of those that have work, or everybody's where they are many
  v_busy uuid[];
  v_few constant integer := 64;
  v_few_jobs constant integer := 256;
  v_left integer;
  v_ids bigint[];
  v_taken bigint[];
  -- one look instead of one for each job that is looked at: mostly Fanvue refuses nothing
  v_is_refused boolean := exists (select from private.api_endpoints e where e.blocked_until > v_now);
  v_later timestamptz;
  v_next timestamptz;
  v_running boolean;
begin
  if p_limit < 1 or p_limit > 1000 or p_lease_seconds < 1 then
    raise sqlstate 'PT422' using message = 'claim_sync_jobs wants a limit of 1..1000 and a lease of at least one second';
  end if;
  if p_claim_id is not null then
    select array_agg(j.id order by j.id) into v_ids
    from public.sync_jobs j
    where j.claim_id = p_claim_id and j.claimed_by = p_worker;
    if v_ids is not null then
      return jsonb_build_object('jobs', private.job_replies(v_ids), 'next_due_in', 0);
    end if;
  end if;

  -- First the lanes that were not served for longest; then, until the batch is full, those that have work: a claim for a single
  -- busy agency costs the same however many agencies there are.
  for v_round in 1 .. p_limit + 1 loop
    v_left := p_limit - coalesce(cardinality(v_ids), 0);
    exit when v_left = 0;
    -- one probe, before any lane is looked at. From now backwards: entries of finished jobs, kept for an old snapshot, are older.
    perform from public.sync_jobs j where j.state = 'queued' and j.run_at <= v_now order by j.run_at desc limit 1;
    if not found then
      v_busy := '{}';
      exit;
    end if;
    if v_round = 2 then
      -- from agency to agency that has something queued: a probe for each
      with recursive busy as (
        (select j.agency_id, 1 as place from public.sync_jobs j where j.state = 'queued' order by j.agency_id limit 1)
        union all
        select n.agency_id, b.place + 1
        from busy b
        cross join lateral (select j.agency_id from public.sync_jobs j
                            where j.state = 'queued' and j.agency_id > b.agency_id order by j.agency_id limit 1) n
        where b.place <= v_few
      )
      select coalesce(array_agg(b.agency_id), '{}') into v_busy from busy b;
      if cardinality(v_busy) > v_few then
        -- many wait for later: those that have something due, where that is little
        select case when count(*) <= v_few_jobs then coalesce(array_agg(distinct d.agency_id), '{}') end into v_busy
        from (select j.agency_id from public.sync_jobs j
              where j.state = 'queued' and j.run_at <= v_now order by j.run_at desc limit v_few_jobs + 1) d;
      end if;
      exit when v_busy = '{}';
    end if;
    select array_agg(x.head) into v_heads
    from (
      select first.head
      from ((select l.agency_id, l.max_running, l.oldest_lease
             from private.queue_lanes l
             where v_busy is null and not l.paused
             order by l.served_at
             limit case v_round when 1 then 32 end)
            union all
            (select l.agency_id, l.max_running, l.oldest_lease
             from unnest(v_busy) b(agency_id)
             join private.queue_lanes l on l.agency_id = b.agency_id
             where not l.paused
             order by l.served_at)
            offset 0) o
      cross join lateral (select count(*) as running from public.sync_jobs r
                          where r.agency_id = o.agency_id and r.lease_id >= o.oldest_lease) c
      -- LIMIT 1 inside LATERAL keeps this one probe per lane; flattened, it scans the whole backlog.
      cross join lateral (select j as head
                          from public.sync_jobs j
                          where c.running < o.max_running and j.agency_id = o.agency_id and j.state = 'queued' and j.run_at <= v_now
                            and not exists (select from public.sync_jobs r
                                            where r.state = 'running' and r.model_id = j.model_id and r.sync_type = j.sync_type offset 0)
                            and not (v_is_refused and exists (
                              select from private.api_endpoints e
                              where e.bucket = j.bucket and e.blocked_until > v_now and j.sync_type = any (e.stops) offset 0))
                          order by j.priority, j.run_at, j.id
                          limit 1) first
      cross join lateral (select from private.queue_lanes l
                          where l.agency_id = o.agency_id and not l.paused offset 0 for no key update skip locked) mine
      -- few lanes and more jobs of each: walking dead index entries is paid once per lane. What is left over is spread thin.
      limit least(32, case v_round when 1 then greatest(4, ceil(p_limit / 8.0)::integer) else v_left end)
    ) x;
    if v_heads is null then
      exit when v_round > 1;
      continue;
    end if;

    with room as (
      select l.agency_id, l.weight, c.running, c.oldest_lease, h.priority, h.run_at, h.id,
             -- at most twice its even share of the batch, so a claim's cost does not grow with agencies x limit
             least(l.max_running - c.running, v_left, ceil(2.0 * v_left / cardinality(v_heads))::integer) as free
      from unnest(v_heads) h
      join private.queue_lanes l on l.agency_id = h.agency_id
      cross join lateral (select count(*) as running, min(r.lease_id) as oldest_lease
                          from public.sync_jobs r
                          where r.agency_id = l.agency_id and r.lease_id >= l.oldest_lease) c
    ), candidates as (
      select p.id,
             (room.running + row_number() over (partition by room.agency_id order by p.priority, p.run_at, p.id))::numeric
               / room.weight as turn
      from room
      cross join lateral (
        select j.id, j.priority, j.run_at
        from public.sync_jobs j
        -- from the lane's first job on: what the probe walked past is not walked again
        where room.free > 0 and j.agency_id = room.agency_id and j.state = 'queued' and j.run_at <= v_now
          and (j.priority, j.run_at, j.id) >= (room.priority, room.run_at, room.id)
          and not exists (select from public.sync_jobs r
                          where r.state = 'running' and r.model_id = j.model_id and r.sync_type = j.sync_type offset 0)
          and not (v_is_refused and exists (
            select from private.api_endpoints e
            where e.bucket = j.bucket and e.blocked_until > v_now and j.sync_type = any (e.stops) offset 0))
        order by j.priority, j.run_at, j.id
        limit greatest(room.free, 0)) p
    ), chosen as (
      select w.id from candidates w order by w.turn, w.id limit v_left
    ), locked as (
      -- primary key only inside the fence; the state is checked outside it
      select s.id
      from chosen c
      cross join lateral (select j.id, j.state from public.sync_jobs j where j.id = c.id offset 0 for update skip locked) s
      where s.state = 'queued'
    ), taken as (
      update public.sync_jobs j
      set state = 'running', attempt = j.attempt + 1, lease_id = nextval('private.lease_ids'),
          lease_until = v_now + make_interval(secs => p_lease_seconds), claimed_at = v_now,
          claimed_by = p_worker, claim_id = p_claim_id, cancel_requested = false
      from locked
      where j.id = locked.id
      returning j.id, j.agency_id, j.lease_id, j.priority, j.run_at
    ), served as (
      update private.queue_lanes l
      set served_at = clock_timestamp(), claimed_at = v_now, oldest_lease = coalesce(room.oldest_lease, t.first_lease)
      from (select t.agency_id, min(t.lease_id) as first_lease from taken t group by t.agency_id) t
      join room on room.agency_id = t.agency_id
      where l.agency_id = t.agency_id
    )
    select array_agg(t.id order by t.priority, t.run_at, t.id) into v_taken from taken t;
    v_ids := v_ids || v_taken;
    -- what is due is in others' hands at this moment
    exit when v_round > 1 and v_taken is null;
  end loop;

  if v_ids is null and p_drain then
    -- Before the look at what is due next: a job that runs no more by then is seen there, if it was given back.
    v_running := exists (select from public.sync_jobs j where j.state = 'running');
  end if;
  if coalesce(cardinality(v_ids), 0) < p_limit then
    -- No more to do: say how long the rest of the worker may sleep. One due job that waits for room settles a lane, however many are
    -- behind it; where all that is due is refused, the first block to end is early enough, whosever it is.
    select j.run_at into v_later from public.sync_jobs j where j.state = 'queued' and j.run_at > v_now order by j.run_at limit 1;
    select least(v_later, min(n.run_at)) into v_next
    from (select l.agency_id from private.queue_lanes l where v_busy is null and not l.paused
          union all
          select l.agency_id from unnest(v_busy) b(agency_id) join private.queue_lanes l on l.agency_id = b.agency_id where not l.paused
          offset 0) l
    cross join lateral (
      select coalesce(
        (select j.run_at
         from public.sync_jobs j
         where j.agency_id = l.agency_id and j.state = 'queued' and j.run_at <= v_now
           and not exists (select from private.api_endpoints e
                           where e.bucket = j.bucket and e.blocked_until > v_now and j.sync_type = any (e.stops) offset 0)
         order by j.priority, j.run_at, j.id
         limit 1),
        (select (select min(e.blocked_until) from private.api_endpoints e where e.blocked_until > v_now)
         from public.sync_jobs j
         where j.agency_id = l.agency_id and j.state = 'queued' and j.run_at <= v_now
         order by j.priority, j.run_at, j.id
         limit 1)) as run_at
      offset 0) n;
  end if;
  return jsonb_build_object(
    'jobs', case when v_ids is null then '[]'::json else private.job_replies(v_ids) end,
    'next_due_in', case when cardinality(v_ids) = p_limit then 0
                        when v_next is null then null
                        else greatest(0, round(extract(epoch from v_next - v_now)::numeric, 3)) end)
    || case when v_running is null then '{}' else jsonb_build_object('running', v_running) end;
end
$$;
comment on function public.claim_sync_jobs(text, integer, integer, uuid, boolean) is
  'Takes up to p_limit due jobs, fairly across agencies, within their caps, skipping streams whose endpoint Fanvue refuses. '
  'The same p_claim_id again returns the same jobs. next_due_in: seconds until the next queued job, null when none waits; 0 when there may be more at once. '
  'p_drain: where nothing is found, running tells whether jobs run anywhere.';
revoke all on function public.claim_sync_jobs(text, integer, integer, uuid, boolean) from public, anon, authenticated;
grant execute on function public.claim_sync_jobs(text, integer, integer, uuid, boolean) to service_role;

create or replace function public.claim_model_job(
  p_worker text, p_model_id uuid, p_sync_type text, p_lease_seconds integer default 60, p_claim_id uuid default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs;
  v_running public.sync_jobs;
  v_queued public.sync_jobs;
begin
  select j.* into v_running
  from public.sync_jobs j
  where j.model_id = p_model_id and j.sync_type = p_sync_type and j.state = 'running';
  if found then
    if v_running.claim_id = p_claim_id and v_running.claimed_by = p_worker then
      return jsonb_build_object('jobs', private.job_replies(array[v_running.id]), 'running_by', p_worker, 'due_in', 0);
    end if;
    return jsonb_build_object('jobs', '[]'::jsonb, 'running_by', v_running.claimed_by, 'due_in', 0);
  end if;
  -- Leases of an agency are given out under its lane's lock only, so that oldest_lease holds.
  perform from private.queue_lanes l
  where l.agency_id = (select m.agency_id from public.models m where m.id = p_model_id)
  for no key update;
  select j.* into v_queued
  from public.sync_jobs j
  where j.model_id = p_model_id and j.sync_type = p_sync_type and j.state = 'queued'
  for update skip locked;
  if not found then
    -- nothing waits, or another worker's claim holds it at this moment
    select j.* into v_running
    from public.sync_jobs j
    where j.model_id = p_model_id and j.sync_type = p_sync_type and j.state in ('queued', 'running')
    order by j.state desc
    limit 1;
    return jsonb_build_object('jobs', '[]'::jsonb,
                              'running_by', case when found then coalesce(v_running.claimed_by, 'another worker') end,
                              'due_in', case when v_running.id is not null then 0 end);
  end if;
  if v_queued.run_at > v_now then
    return jsonb_build_object('jobs', '[]'::jsonb, 'running_by', null,
                              'due_in', round(extract(epoch from v_queued.run_at - v_now)::numeric, 3));
  end if;
  update public.sync_jobs j
  set state = 'running', attempt = j.attempt + 1, lease_id = nextval('private.lease_ids'),
      lease_until = v_now + make_interval(secs => p_lease_seconds), claimed_at = v_now,
      claimed_by = p_worker, claim_id = p_claim_id, cancel_requested = false
  where j.id = v_queued.id
  returning j.* into v_job;
  update private.queue_lanes l set claimed_at = v_now where l.agency_id = v_job.agency_id;
  return jsonb_build_object('jobs', private.job_replies(array[v_job.id]), 'running_by', p_worker, 'due_in', 0);
exception when unique_violation then
  -- another worker took it between the look and the update
  return jsonb_build_object('jobs', '[]'::jsonb, 'running_by', 'another worker', 'due_in', 0);
end
$$;
comment on function public.claim_model_job(text, uuid, text, integer, uuid) is
  'Takes the waiting job of one model and stream, for a person who wants it now. running_by names who has it already; due_in says when it may run.';
revoke all on function public.claim_model_job(text, uuid, text, integer, uuid) from public, anon, authenticated;
grant execute on function public.claim_model_job(text, uuid, text, integer, uuid) to service_role;

create or replace function public.heartbeat_sync_jobs(p_worker text, p_jobs jsonb, p_lease_seconds integer default 60)
returns jsonb
language sql
set search_path = ''
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  with held as (
    -- in the order in which settle takes them, so that the two cannot dead-lock
    select j.id
    from jsonb_to_recordset(p_jobs) as h(id bigint, lease_id bigint)
    join public.sync_jobs j on j.id = h.id and j.lease_id = h.lease_id
    order by j.model_id, j.sync_type
    for no key update of j
  ), beats as (
    update public.sync_jobs j
    set lease_until = private.engine_now() + make_interval(secs => p_lease_seconds)
    from held
    where j.id = held.id
    returning j.id, j.cancel_requested
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'cancel', b.cancel_requested)), '[]'::jsonb) from beats b
$$;
comment on function public.heartbeat_sync_jobs(text, jsonb, integer) is
  'Extends the leases of [{id, lease_id}] and returns those still held, each with whether it is to be cancelled. What does not come back is lost: stop it.';
revoke all on function public.heartbeat_sync_jobs(text, jsonb, integer) from public, anon, authenticated;
grant execute on function public.heartbeat_sync_jobs(text, jsonb, integer) to service_role;
