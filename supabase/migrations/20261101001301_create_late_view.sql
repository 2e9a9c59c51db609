-- Purpose: ops.late: what is late, for how long, why in plain words, and the remedy.
-- Who may call: service_role, and the owner in Studio.
-- Cost follows what is late, and is linear in it: due streams by their index, the small queue, the creators once.

create or replace function private.models_without_grant(p_now timestamptz)
returns table (model_id uuid, since timestamptz)
language sql
stable
set search_path = ''
set enable_seqscan = off
as $$
  select m.id, x.since
  from public.models m
  -- not by updated_at: webhooks go on changing a model that nothing reads
  cross join lateral (
    select greatest(m.created_at, m.status_changed_at, m.connected_at, max(s.last_sync_at)) as since
    from public.sync_state s where s.model_id = m.id) x
  where not exists (select from private.queue_lanes l where l.agency_id = m.agency_id and l.paused)
    -- the words of models_without_grant_idx
    and m.status = 'active' and m.connection_id is null and m.fanvue_refresh_token is null and m.fanvue_access_token is null
    and x.since < p_now - interval '30 minutes'
$$;
comment on function private.models_without_grant(timestamptz) is
  'Active models that nothing can read because nobody consented, and since when at the earliest; not before half an hour, in which a model may be connected.';
revoke all on function private.models_without_grant(timestamptz) from public, anon, authenticated;
grant execute on function private.models_without_grant(timestamptz) to service_role;

create or replace function private.late_streams()
returns table (
  agency_id uuid, model_id uuid, sync_type text, cause text, since timestamptz, job_id bigint, worker text, attempt integer, max_attempts integer,
  at timestamptz, until timestamptz, error jsonb, open_walk boolean, bucket text, endpoints text, creator text, creator_uuid text)
language sql
stable
rows 10000
set search_path = ''
set jit = off
-- In an outage everything is late, and statistics are from before it: a nested loop may then be of any length, so what is
-- joined is hashed, and what is looked up by its key is fenced.
set enable_nestloop = off
set enable_mergejoin = off
set enable_seqscan = off
-- no creator is looked up twice
set enable_memoize = off
set work_mem = '32MB'
as $$
  with clock as materialized (
    -- The schedule steps once a minute: what nothing explains is late after two steps, what only waits its turn after five.
    select private.engine_now() as now, interval '2 minutes' as patience, interval '5 minutes' as a_turn, interval '15 minutes' as silence,
           private.last_claim() as claimed,
           exists (select from public.sync_jobs j where j.state = 'running' and j.lease_until > private.engine_now()) as anyone_runs
  ), suspects as (
    select s.model_id, s.sync_type, null::timestamptz as ungranted_at,
           s.last_success_at, s.last_sync_at, s.next_sync_at, s.consecutive_failures, s.last_error, s.walk_id is not null as open_walk
    from public.sync_state s
    where s.next_sync_at <= (select c.now from clock c)
    union all
    select s.model_id, s.sync_type, null,
           s.last_success_at, s.last_sync_at, s.next_sync_at, s.consecutive_failures, s.last_error, s.walk_id is not null
    from public.sync_state s
    where s.consecutive_failures > 0 and not coalesce(s.next_sync_at <= (select c.now from clock c), false)
    union all
    -- what only its job tells of
    select j.model_id, j.sync_type, null,
           s.last_success_at, s.last_sync_at, s.next_sync_at, s.consecutive_failures, s.last_error, s.walk_id is not null
    from (select distinct j.model_id, j.sync_type
          from public.sync_jobs j
          cross join clock c
          where (j.state = 'dead'
                 or (j.state = 'queued' and (j.run_at <= c.now or j.attempt > 0
                                             or j.last_error ->> 'kind' in ('misconfigured', 'schema_missing', 'seal_broken')))
                 or (j.state = 'running' and (j.lease_until < c.now or j.claimed_at < c.now - c.silence or j.attempt > 1)))
            and not exists (select from public.sync_state s
                            where s.model_id = j.model_id and s.sync_type = j.sync_type and s.next_sync_at <= (select x.now from clock x))
            and not exists (select from public.sync_state s
                            where s.model_id = j.model_id and s.sync_type = j.sync_type and s.consecutive_failures > 0)) j
    left join lateral (select x.* from public.sync_state x where x.model_id = j.model_id and x.sync_type = j.sync_type offset 0) s on true
    union all
    -- none of its streams is planned, so that no stream can say it
    select g.model_id, 'all', g.since, null, null, null, null, null, false from clock c cross join lateral private.models_without_grant(c.now) g
  ), concerned as materialized (
    -- each once, by its key
    select d.model_id, (o.m).agency_id, private.creator_name(o.m) as creator, (o.m).fanvue_user_uuid as creator_uuid, private.has_grant(o.m) as has_grant,
           l.max_running
    from (select distinct x.model_id from suspects x) d
    cross join lateral (select m from public.models m where m.id = d.model_id offset 0) o
    left join lateral (select y.paused, y.max_running from private.queue_lanes y where y.agency_id = (o.m).agency_id offset 0) l on true
    -- of a paused lane ops.late says it once
    where (o.m).status = 'active' and not coalesce(l.paused, false)
  ), blocked as (
    select e.bucket, s.sync_type, max(e.blocked_until) as until, string_agg(e.endpoint, ', ' order by e.endpoint) as endpoints
    from private.api_endpoints e
    cross join unnest(e.stops) s(sync_type)
    where e.blocked_until > (select c.now from clock c)
    group by e.bucket, s.sync_type
  )
  select o.agency_id, x.model_id, x.sync_type, k.cause,
         coalesce(x.ungranted_at, w.due_at, x.last_success_at, q.run_at, r.claimed_at, c.now), coalesce(r.id, q.id, d.id), r.claimed_by,
         case k.cause when 'failing' then q.attempt when 'dead' then d.attempt else x.consecutive_failures end, q.max_attempts,
         case k.cause when 'worker_gone' then r.lease_until when 'worker_stuck' then greatest(r.claimed_at, x.last_sync_at) when 'put_off' then w.due_at end,
         case k.cause when 'worker_stuck' then r.claimed_at when 'budget' then b.until when 'failing' then q.run_at when 'put_off' then q.run_at
                      else x.next_sync_at end,
         case k.cause when 'failing' then q.last_error when 'put_off' then q.last_error when 'dead' then d.last_error else x.last_error end,
         x.open_walk, q.bucket, b.endpoints, o.creator, o.creator_uuid
  from suspects x
  cross join clock c
  join concerned o on o.model_id = x.model_id
  -- state by state: at most one of each
  left join public.sync_jobs r on r.model_id = x.model_id and r.sync_type = x.sync_type and r.state = 'running'
  left join public.sync_jobs q on q.model_id = x.model_id and q.sync_type = x.sync_type and q.state = 'queued'
  left join public.sync_jobs d on d.model_id = x.model_id and d.sync_type = x.sync_type and d.state = 'dead'
  left join blocked b on b.bucket = q.bucket and b.sync_type = q.sync_type
  -- the rule of private.stream_settings, for all at once
  left join private.sync_streams t on t.sync_type = x.sync_type
  left join private.sync_overrides oa on oa.agency_id = o.agency_id and oa.sync_type = x.sync_type
  left join private.sync_overrides om on om.model_id = x.model_id and om.sync_type = x.sync_type
  cross join lateral (
    select case when x.next_sync_at <= c.now then least(x.next_sync_at, q.run_at) when q.run_at <= c.now then q.run_at end as due_at) w
  cross join lateral (
    select case
      when x.ungranted_at is not null then 'no_grant'
      when r.id is not null then case
        when r.lease_until < c.now then 'worker_gone'
        when greatest(r.claimed_at, x.last_sync_at) < c.now - c.silence then 'worker_stuck'
        when r.attempt > 1 or x.consecutive_failures > 0 then 'tried_now' end
      when q.id is not null and q.run_at <= c.now and o.max_running = 0 then 'agency_paused'
      when q.id is not null and b.until is not null and w.due_at is not null then 'budget'
      -- before any failure: what nobody takes up is not tried again by itself
      when q.id is not null and q.run_at < c.now - c.patience
           and (coalesce(c.claimed, '-infinity') <= q.run_at or (c.claimed < c.now - c.a_turn and not c.anyone_runs)) then 'no_worker'
      when q.id is not null and q.run_at < c.now - c.a_turn then 'turn'
      when q.id is not null and (q.attempt > 0 or q.last_error ->> 'kind' in ('misconfigured', 'schema_missing', 'seal_broken')) then 'failing'
      when d.id is not null and q.id is null then 'dead'
      -- said once, of the whole model
      when q.id is null and not o.has_grant then null
      when q.id is null and w.due_at < c.now - c.patience then 'not_queued'
      when x.consecutive_failures > 0 then case when x.last_error ->> 'kind' = 'partial' then 'partial' else 'failing_stream' end
      when q.id is not null and q.run_at > c.now and w.due_at < c.now - c.silence then 'put_off' end as cause
    offset 0) k
  where k.cause is not null and coalesce(om.enabled, oa.enabled, t.enabled, true)
$$;
comment on function private.late_streams() is
  'Streams of active models that are late or fail, each with one cause and the facts that ops.late makes words of. What is merely due for two minutes is not late, nor what waits because its agency was paused.';
revoke all on function private.late_streams() from public, anon, authenticated;
grant execute on function private.late_streams() to service_role;

create or replace view ops.late
with (security_invoker = true) as
-- Words come last: who reads the first hundred lines, as Studio does, pays for a hundred.
select a.name as agency, x.creator, x.stream, private.span_words(x.now - x.since) as late_for,
       coalesce(x.why, case x.cause
           when 'worker_gone' then format('worker %s went silent: its lease ended %s ago and nobody took the job back', x.worker, private.span_words(x.now - x.at))
           when 'worker_stuck' then format('worker %s has it for %s and brought no page for %s', x.worker, private.span_words(x.now - x.until), private.span_words(x.now - x.at))
           when 'tried_now' then format('it failed before and is being tried right now by %s', x.worker)
           when 'agency_paused' then 'the agency may run 0 jobs at once (max_running)'
           when 'budget' then format('waits for the rate budget of bucket %s, blocked by Fanvue%s until %s; it goes on by itself then', x.bucket,
                                     coalesce(' at ' || nullif(x.endpoints, ''), ''), private.clock_words(x.until, x.now))
           when 'failing' then format('%s; tried again by itself at %s: %s',
                                      case when x.attempt > 0 then format('failed %s of %s times', x.attempt, x.max_attempts) else 'cannot run' end,
                                      private.clock_words(x.until, x.now), coalesce(x.error ->> 'message', 'no error noted'))
           when 'dead' then format('gave up after %s%s: %s', private.counted(x.attempt, 'attempt'),
                                   coalesce('; tried again by itself at ' || private.clock_words(x.until, x.now), ''), coalesce(x.error ->> 'message', 'no error noted'))
           when 'partial' then format('read, but not wholly, %s times in a row; tried again by itself at %s: %s', x.attempt,
                                      coalesce(private.clock_words(x.until, x.now), '(not planned)'), x.error ->> 'message')
           when 'failing_stream' then format('failed %s times in a row; tried again by itself at %s: %s', x.attempt,
                                             coalesce(private.clock_words(x.until, x.now), '(not planned)'), coalesce(x.error ->> 'message', 'no error noted'))
           when 'no_grant' then 'the model is active but has no grant'
           -- said of every line in a big outage: the words are made once
           when 'not_queued' then 'nobody put it into the queue: '
             || coalesce('the schedule last ticked ' || (select private.span_words(private.engine_now() - private.last_tick())) || ' ago', 'the schedule never ticked')
           when 'no_worker' then coalesce('no worker has taken a job for ' || (select private.span_words(private.engine_now() - private.last_claim())),
                                          'no worker has ever taken a job')
           when 'turn' then 'workers are busy with other jobs; it waits its turn'
           when 'put_off' then format('due for %s and put off again, until %s: %s', private.span_words(x.now - x.at), private.clock_words(x.until, x.now),
                                      coalesce(x.error ->> 'message', 'no error noted')) end) as why,
       coalesce(x.remedy, case x.cause
           when 'worker_gone' then format('select ops.release_job(%s)', x.job_id)
           when 'worker_stuck' then format('select ops.release_job(%s)', x.job_id)
           when 'tried_now' then 'wait: the answer is here in a moment'
           when 'agency_paused' then format('select ops.resume_agency(%L)', x.agency_id)
           when 'budget' then format('select ops.unblock_bucket(%L)', x.bucket)
           when 'put_off' then format('select ops.retry_job(%s)', x.job_id)
           when 'no_grant' then private.connect_step(x.agency_id, x.creator_uuid)
           when 'not_queued' then 'select ops.wake_schedule()'
           when 'no_worker' then 'start a worker: fanvue-sync run'
           when 'turn' then 'start another worker, or raise max_running of the agency in private.queue_lanes; see ops.queue_health'
           else private.error_remedy(x.error, x.job_id, x.model_id, x.stream, x.open_walk) end) as remedy,
       x.deliberate, x.since as late_since, x.cause, x.job_id, x.model_id, a.id as agency_id
from (
  select l.agency_id, l.creator, l.sync_type as stream, l.since, l.cause, null as why, null as remedy, false as deliberate,
         l.job_id, l.model_id, n.now, l.worker, l.attempt, l.max_attempts, l.at, l.until, l.error, l.open_walk, l.bucket, l.endpoints, l.creator_uuid
  from (select private.engine_now() as now) n
  cross join private.late_streams() l
  union all
  select m.agency_id, private.creator_name(m), 'all', m.status_changed_at, m.status,
         case m.status when 'paused' then 'paused' else 'the token must be connected again' end || coalesce(': ' || m.status_reason, ''),
         case m.status when 'paused' then format('select ops.resume_model(%L)', m.id)
              else 'the ' || case when m.connection_id is null then 'creator' else 'agency''s administrator' end || ' connects again; see ops.reconnect' end,
         m.status = 'paused', null, m.id, private.engine_now(), null, null, null, null, null, null, null, null, null, null
  from public.models m
  where m.status <> 'active'
  union all
  select l.agency_id, 'all', 'all', coalesce(l.paused_at, n.now), 'agency_paused', concat_ws(': ', 'the agency is paused in the queue', l.paused_reason),
         format('select ops.resume_agency(%L)', l.agency_id), true, null, null, n.now, null, null, null, null, null, null, null, null, null, null
  from (select private.engine_now() as now) n
  cross join private.queue_lanes l
  where l.paused
  union all
  select coalesce(o.agency_id, m.agency_id), coalesce(private.creator_name(m), 'all'), o.sync_type, n.now, 'switched_off',
         concat_ws(': ', 'switched off for this ' || case when o.model_id is null then 'agency' else 'creator' end, o.note),
         format('update private.sync_overrides set enabled = true where id = %s', o.id), true, null, o.model_id, n.now, null, null, null, null, null, null, null, null, null, null
  from (select private.engine_now() as now) n
  cross join private.sync_overrides o
  left join public.models m on m.id = o.model_id
  where not o.enabled
) x
join public.agencies a on a.id = x.agency_id
order by x.deliberate, x.since, a.name, x.creator, x.stream;
comment on view ops.late is
  'What is late, for how long, why, and the remedy: run it as it stands, or take the step it names. Empty is good. What somebody paused or switched off on purpose comes last.';
comment on column ops.late.agency is 'The agency''s name.';
comment on column ops.late.creator is 'The creator''s handle; all: the whole agency.';
comment on column ops.late.stream is 'Which of the streams; all: every one.';
comment on column ops.late.late_for is 'For how long: since it was due or, for what fails, since it last worked.';
comment on column ops.late.why is 'Why, in words, with the last error.';
comment on column ops.late.remedy is 'What mends it: a call to run as it stands, or a step to take, or both.';
comment on column ops.late.deliberate is 'True: somebody paused it or switched it off.';
comment on column ops.late.late_since is 'Since when.';
comment on column ops.late.cause is 'The reason as one word, to group by.';
comment on column ops.late.job_id is 'The job in sync_jobs, if there is one.';
comment on column ops.late.model_id is 'The creator''s model; empty: the whole agency.';
comment on column ops.late.agency_id is 'The agency.';
revoke all on ops.late from public, anon, authenticated;
grant select on ops.late to service_role;
