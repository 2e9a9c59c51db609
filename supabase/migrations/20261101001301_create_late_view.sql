-- Purpose: ops.late: what is late, for how long, why in plain words, and the remedy.
-- Who may call: service_role, and the owner in Studio.
-- Cost follows what is late: due streams by their index, the small queue, partial indexes; never a table from end to end.

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
returns table (agency_id uuid, model_id uuid, sync_type text, job_id bigint, since timestamptz, cause text, why text, remedy text)
language sql
stable
set search_path = ''
set jit = off
-- probe by probe: a plan must not depend on statistics from when the tables were short
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  with clock as materialized (
    -- The schedule steps once a minute: what nothing explains is late after two steps, what only waits its turn after five.
    select private.engine_now() as now, interval '2 minutes' as patience, interval '5 minutes' as a_turn, interval '15 minutes' as silence,
           private.last_claim() as claimed, private.last_tick() as ticked,
           exists (select from public.sync_jobs j where j.state = 'running' and j.lease_until > private.engine_now()) as anyone_runs
  ), suspects as (
    select s.model_id, s.sync_type, null::timestamptz as ungranted_at from clock c join public.sync_state s on s.next_sync_at <= c.now
    union
    select s.model_id, s.sync_type, null from public.sync_state s where s.consecutive_failures > 0
    union
    select j.model_id, j.sync_type, null
    from clock c
    join public.sync_jobs j on j.state = 'queued'
      and (j.run_at <= c.now or j.attempt > 0 or j.last_error ->> 'kind' in ('misconfigured', 'schema_missing', 'seal_broken'))
    union
    select j.model_id, j.sync_type, null from public.sync_jobs j where j.state = 'dead'
    union
    select j.model_id, j.sync_type, null
    from clock c
    join public.sync_jobs j on j.state = 'running' and (j.lease_until < c.now or j.claimed_at < c.now - c.silence or j.attempt > 1)
    union
    -- none of its streams is planned, so that no stream can say it
    select g.model_id, 'all', g.since from clock c cross join lateral private.models_without_grant(c.now) g
  ), facts as (
    select c.*, m.agency_id, m.id as model_id, m.fanvue_user_uuid as creator_uuid, x.sync_type, x.ungranted_at, private.has_grant(m) as has_grant,
           s.last_success_at, s.consecutive_failures as failures, s.next_sync_at, s.walk_id is not null as open_walk,
           s.last_error as stream_error, s.last_sync_at,
           r.id as running_id, r.claimed_by, r.claimed_at, r.lease_until, r.attempt as running_attempt,
           q.id as queued_id, q.run_at, q.attempt, q.max_attempts, q.bucket, q.last_error as queued_error,
           d.id as dead_id, d.attempt as dead_attempt, d.last_error as dead_error,
           l.max_running, b.blocked_until, b.endpoints,
           case when s.next_sync_at <= c.now then least(s.next_sync_at, q.run_at) when q.run_at <= c.now then q.run_at end as due_at
    from suspects x
    cross join clock c
    join public.models m on m.id = x.model_id and m.status = 'active'
    left join public.sync_state s on s.model_id = x.model_id and s.sync_type = x.sync_type
    -- state by state, so that each look is one probe of the partial index for that state
    left join public.sync_jobs r on r.model_id = x.model_id and r.sync_type = x.sync_type and r.state = 'running'
    left join public.sync_jobs q on q.model_id = x.model_id and q.sync_type = x.sync_type and q.state = 'queued'
    left join public.sync_jobs d on d.model_id = x.model_id and d.sync_type = x.sync_type and d.state = 'dead'
    left join private.queue_lanes l on l.agency_id = m.agency_id
    left join lateral (select max(e.blocked_until) as blocked_until, string_agg(e.endpoint, ', ' order by e.endpoint) as endpoints
                       from private.api_endpoints e
                       where e.bucket = q.bucket and e.blocked_until > c.now and q.sync_type = any (e.stops)) b on true
    where private.is_switched_on(m, x.sync_type)
      -- ops.late says it once, of the whole lane
      and not coalesce(l.paused, false)
  )
  select f.agency_id, f.model_id, f.sync_type, coalesce(f.running_id, f.queued_id, f.dead_id),
         coalesce(f.ungranted_at, f.due_at, f.last_success_at, f.run_at, f.claimed_at, f.now), v.cause, v.why, v.remedy
  from facts f
  cross join lateral (
    select case
      when f.ungranted_at is not null then 'no_grant'
      when f.running_id is not null then case
        when f.lease_until < f.now then 'worker_gone'
        when greatest(f.claimed_at, f.last_sync_at) < f.now - f.silence then 'worker_stuck'
        when f.running_attempt > 1 or f.failures > 0 then 'tried_now' end
      when f.queued_id is not null and f.run_at <= f.now and f.max_running = 0 then 'agency_paused'
      when f.queued_id is not null and f.blocked_until is not null and f.due_at is not null then 'budget'
      -- before any failure: what nobody takes up is not tried again by itself
      when f.queued_id is not null and f.run_at < f.now - f.patience
           and (coalesce(f.claimed, '-infinity') <= f.run_at or (f.claimed < f.now - f.a_turn and not f.anyone_runs)) then 'no_worker'
      when f.queued_id is not null and f.run_at < f.now - f.a_turn then 'turn'
      when f.queued_id is not null and (f.attempt > 0 or f.queued_error ->> 'kind' in ('misconfigured', 'schema_missing', 'seal_broken')) then 'failing'
      when f.dead_id is not null and f.queued_id is null then 'dead'
      -- said once, of the whole model
      when f.queued_id is null and not f.has_grant then null
      when f.queued_id is null and f.due_at < f.now - f.patience then 'not_queued'
      when f.failures > 0 then case when f.stream_error ->> 'kind' = 'partial' then 'partial' else 'failing_stream' end
      when f.queued_id is not null and f.run_at > f.now and f.due_at < f.now - f.silence then 'put_off' end as cause
  ) k
  cross join lateral (
    select k.cause,
      case k.cause
        when 'worker_gone' then format('worker %s went silent: its lease ended %s ago and nobody took the job back', f.claimed_by, private.span_words(f.now - f.lease_until))
        when 'worker_stuck' then format('worker %s has it for %s and brought no page for %s', f.claimed_by,
                                        private.span_words(f.now - f.claimed_at), private.span_words(f.now - greatest(f.claimed_at, f.last_sync_at)))
        when 'tried_now' then format('it failed before and is being tried right now by %s', f.claimed_by)
        when 'agency_paused' then 'the agency may run 0 jobs at once (max_running)'
        when 'budget' then format('waits for the rate budget of bucket %s, blocked by Fanvue%s until %s; it goes on by itself then', f.bucket, coalesce(' at ' || nullif(f.endpoints, ''), ''),
                                  private.clock_words(f.blocked_until, f.now))
        when 'failing' then format('%s; tried again by itself at %s: %s',
                                   case when f.attempt > 0 then format('failed %s of %s times', f.attempt, f.max_attempts) else 'cannot run' end,
                                   private.clock_words(f.run_at, f.now), coalesce(f.queued_error ->> 'message', 'no error noted'))
        when 'dead' then format('gave up after %s%s: %s', private.counted(f.dead_attempt, 'attempt'),
                                coalesce('; tried again by itself at ' || private.clock_words(f.next_sync_at, f.now), ''),
                                coalesce(f.dead_error ->> 'message', 'no error noted'))
        when 'partial' then format('read, but not wholly, %s times in a row; tried again by itself at %s: %s', f.failures,
                                   coalesce(private.clock_words(f.next_sync_at, f.now), '(not planned)'), f.stream_error ->> 'message')
        when 'failing_stream' then format('failed %s times in a row; tried again by itself at %s: %s', f.failures,
                                          coalesce(private.clock_words(f.next_sync_at, f.now), '(not planned)'),
                                          coalesce(f.stream_error ->> 'message', 'no error noted'))
        when 'no_grant' then 'the model is active but has no grant'
        when 'not_queued' then format('nobody put it into the queue: %s',
                                      coalesce('the schedule last ticked ' || private.span_words(f.now - f.ticked) || ' ago', 'the schedule never ticked'))
        when 'no_worker' then coalesce('no worker has taken a job for ' || private.span_words(f.now - f.claimed), 'no worker has ever taken a job')
        when 'turn' then 'workers are busy with other jobs; it waits its turn'
        when 'put_off' then format('due for %s and put off again, until %s: %s', private.span_words(f.now - f.due_at),
                                   private.clock_words(f.run_at, f.now), coalesce(f.queued_error ->> 'message', 'no error noted')) end as why,
      case k.cause
        when 'worker_gone' then format('select ops.release_job(%s)', f.running_id)
        when 'worker_stuck' then format('select ops.release_job(%s)', f.running_id)
        when 'tried_now' then 'wait: the answer is here in a moment'
        when 'agency_paused' then format('select ops.resume_agency(%L)', f.agency_id)
        when 'budget' then format('select ops.unblock_bucket(%L)', f.bucket)
        when 'failing' then private.error_remedy(f.queued_error, f.queued_id, f.model_id, f.sync_type, f.open_walk)
        when 'dead' then private.error_remedy(f.dead_error, f.dead_id, f.model_id, f.sync_type, f.open_walk)
        when 'put_off' then format('select ops.retry_job(%s)', f.queued_id)
        when 'no_grant' then private.connect_step(f.agency_id, f.creator_uuid)
        when 'not_queued' then 'select ops.wake_schedule()'
        when 'no_worker' then 'start a worker: fanvue-sync run'
        when 'turn' then 'start another worker, or raise max_running of the agency in private.queue_lanes; see ops.queue_health'
        else private.error_remedy(f.stream_error, f.queued_id, f.model_id, f.sync_type, f.open_walk) end as remedy
  ) v
  where v.cause is not null
$$;
comment on function private.late_streams() is
  'Streams of active models that are late or fail, each with one cause, why in words, and the remedy. What is merely due for two minutes is not late, nor what waits because its agency was paused.';
revoke all on function private.late_streams() from public, anon, authenticated;
grant execute on function private.late_streams() to service_role;

create or replace view ops.late
with (security_invoker = true) as
select a.name as agency, x.creator, x.stream, private.span_words(n.now - x.since) as late_for, x.why, x.remedy, x.deliberate,
       x.since as late_since, x.cause, x.job_id, x.model_id, a.id as agency_id
from (select private.engine_now() as now) n
cross join lateral (
  select l.agency_id, private.creator_name(m) as creator, l.sync_type as stream, l.since, l.cause, l.why, l.remedy, false as deliberate,
         l.job_id, l.model_id
  from private.late_streams() l
  join public.models m on m.id = l.model_id
  union all
  select m.agency_id, private.creator_name(m), 'all', m.status_changed_at, m.status,
         case m.status when 'paused' then 'paused' else 'the token must be connected again' end || coalesce(': ' || m.status_reason, ''),
         case m.status when 'paused' then format('select ops.resume_model(%L)', m.id)
              else 'the ' || case when m.connection_id is null then 'creator' else 'agency''s administrator' end || ' connects again; see ops.reconnect' end,
         m.status = 'paused', null, m.id
  from public.models m
  where m.status <> 'active'
  union all
  select l.agency_id, 'all', 'all', coalesce(l.paused_at, n.now), 'agency_paused', concat_ws(': ', 'the agency is paused in the queue', l.paused_reason),
         format('select ops.resume_agency(%L)', l.agency_id), true, null, null
  from private.queue_lanes l
  where l.paused
  union all
  select coalesce(o.agency_id, m.agency_id), coalesce(private.creator_name(m), 'all'), o.sync_type, n.now, 'switched_off',
         concat_ws(': ', 'switched off for this ' || case when o.model_id is null then 'agency' else 'creator' end, o.note),
         format('update private.sync_overrides set enabled = true where id = %s', o.id), true, null, o.model_id
  from private.sync_overrides o
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
