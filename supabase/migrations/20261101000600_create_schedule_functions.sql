-- Purpose: putting work into the queue: the scheduling tick, a worker's or an operator's request, a user's "sync now".
-- Who may call: enqueue_due and enqueue_sync service_role (and pg_cron as owner); request_sync members of the agency.
-- Lock order: rows are taken ordered by (model_id, sync_type).

create or replace function private.priority_now(p_state public.sync_state, p_priority smallint, p_now timestamptz)
returns smallint
-- plpgsql: asked of every stream that is due, and a function in SQL that sets its search_path begins a query each time
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- the first walk of a creator is a backfill: it does not go before live work
  return case when (p_state.high_water is null and not coalesce(p_state.whole_after > p_now, false))
                   or (p_state.walk_id is not null and p_state.walk_kind <> 'incremental')
              then greatest(p_priority, 100::smallint) else p_priority end;
end
$$;
comment on function private.priority_now(public.sync_state, smallint, timestamptz) is 'The priority of a stream''s next job, given the one in its settings.';
revoke all on function private.priority_now(public.sync_state, smallint, timestamptz) from public, anon, authenticated;
grant execute on function private.priority_now(public.sync_state, smallint, timestamptz) to service_role;

create or replace function public.enqueue_due(p_by text default 'pg_cron', p_limit integer default 5000)
returns jsonb
language plpgsql
set search_path = ''
-- an idle tick would spend half its time on planning anew
set plan_cache_mode = force_generic_plan
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
-- nothing here is asked twice; and streams are read in the order of their instants, so that a limit ends the reading
set enable_memoize = off
set enable_bitmapscan = off
as $$
declare
  v_now timestamptz := private.engine_now();
  v_new integer;
  v_revived integer;
  v_is_overridden boolean := exists (select from private.sync_overrides);
begin
  -- One tick at a time: a slow one must not queue, from its old snapshot, what a quick one queued and a worker took since.
  perform pg_advisory_xact_lock(hashtextextended('fanvue-enqueue-due', 0));
  -- pg_cron may have stopped: the money is proved all the same.
  perform private.start_missed_night(v_now);
  -- A dead job whose stream is due again gets another life under its number instead of a twin. Taken out and put in anew:
  -- what somebody queues at this very moment takes its place, where an update would fail and the whole tick with it.
  with due as (
    select d.id, private.priority_now(s, t.priority, v_now) as priority
    from public.sync_jobs d
    join public.sync_state s on s.model_id = d.model_id and s.sync_type = d.sync_type
    join public.models m on m.id = d.model_id
    cross join lateral private.stream_settings(m.agency_id, m.id, d.sync_type) t
    where d.state = 'dead' and s.next_sync_at <= v_now and m.status = 'active' and t.enabled
      and not exists (select from public.sync_jobs j
                      where j.model_id = d.model_id and j.sync_type = d.sync_type and j.state = 'queued')
      and not exists (select from public.sync_jobs j
                      where j.model_id = d.model_id and j.sync_type = d.sync_type and j.state = 'running')
    order by d.model_id, d.sync_type
    limit p_limit
    for update of d skip locked
  ), gone as (
    delete from public.sync_jobs j using due where j.id = due.id returning j as job, due.priority
  )
  insert into public.sync_jobs (id, agency_id, model_id, sync_type, priority, run_at, created_at, bucket, max_attempts, progress, last_error)
  overriding system value
  select (g.job).id, (g.job).agency_id, (g.job).model_id, (g.job).sync_type, g.priority, v_now, v_now, (g.job).bucket, (g.job).max_attempts,
         (g.job).progress, (g.job).last_error
  from gone g
  order by (g.job).model_id, (g.job).sync_type
  on conflict (model_id, sync_type) where state = 'queued' do nothing;
  get diagnostics v_revived = row_count;

  with streams as materialized (
    select x.sync_type, x.enabled, x.priority from private.sync_streams x
  )
  insert into public.sync_jobs (agency_id, model_id, sync_type, priority, run_at, created_at, bucket)
  select d.agency_id, d.model_id, d.sync_type, d.priority, v_now, v_now, d.bucket
  from (
    -- The rules of private.stream_settings, has_grant, bucket_of and priority_now, without a call of each for each stream: calls
    -- were half of what a tick with ten thousand due streams cost.
    select m.agency_id, s.model_id, s.sync_type,
           case when m.connection_id is null then 'user:' || coalesce(m.fanvue_user_uuid, m.id::text) else private.bucket_of(m.row) end as bucket,
           case when (s.high_water is null and not coalesce(s.whole_after > v_now, false))
                     or (s.walk_id is not null and s.walk_kind <> 'incremental')
                then greatest(t.priority, 100::smallint) else t.priority end as priority
    from public.sync_state s
    -- One probe per due stream, fenced: from statistics that know few active models, all models would be read.
    cross join lateral (select x.id, x.agency_id, x.connection_id, x.fanvue_user_uuid, case when x.connection_id is not null then x end as row
                        from public.models x
                        where x.id = s.model_id and x.status = 'active'
                          and (x.connection_id is not null or coalesce(x.fanvue_refresh_token, x.fanvue_access_token) is not null) offset 0) m
    cross join lateral (select x.enabled, x.priority from streams x where x.sync_type = s.sync_type offset 0) x
    left join lateral (select o.enabled, o.priority from private.sync_overrides o
                       where v_is_overridden and o.agency_id = m.agency_id and o.sync_type = s.sync_type offset 0) oa on true
    left join lateral (select o.enabled, o.priority from private.sync_overrides o
                       where v_is_overridden and o.model_id = s.model_id and o.sync_type = s.sync_type offset 0) om on true
    cross join lateral (select coalesce(om.enabled, oa.enabled, x.enabled) as enabled, coalesce(om.priority, oa.priority, x.priority) as priority) t
    where s.next_sync_at <= v_now and t.enabled
      -- state by state, so that each look is one probe of the partial index for that state; fenced: from statistics of a queue in
      -- which nothing ran, all that runs would be gone through for each stream
      and not exists (select from public.sync_jobs j
                      where j.model_id = s.model_id and j.sync_type = s.sync_type and j.state = 'queued' offset 0)
      and not exists (select from public.sync_jobs j
                      where j.model_id = s.model_id and j.sync_type = s.sync_type and j.state = 'running' offset 0)
    order by s.next_sync_at
    limit p_limit
  ) d
  order by d.model_id, d.sync_type
  on conflict (model_id, sync_type) where state = 'queued' do nothing;
  get diagnostics v_new = row_count;

  -- last, for it holds streams, and waits for nobody
  perform private.follow_settings_changes(2000, v_now);
  insert into private.scheduler_ticks as k (source, last_tick_at, last_enqueued)
  values (p_by, v_now, v_new + v_revived)
  on conflict (source) do update
    set last_tick_at = excluded.last_tick_at, last_enqueued = excluded.last_enqueued, ticks = k.ticks + 1;
  return jsonb_build_object('enqueued', v_new, 'revived', v_revived)
         || case when v_new + v_revived = 0 then '{}'
                 else jsonb_build_object('cause', private.cause_of(null, v_now)) end;
end
$$;
comment on function public.enqueue_due(text, integer) is
  'One scheduling tick: queues every stream that is due and neither queued nor running. Called by pg_cron and by each worker; any number of callers enqueue nothing twice.';
revoke all on function public.enqueue_due(text, integer) from public, anon, authenticated;
grant execute on function public.enqueue_due(text, integer) to service_role;

create or replace function private.put_job(
  p_model public.models, p_sync_type text, p_priority smallint, p_run_at timestamptz, p_now timestamptz, p_cause text default 'operator')
returns public.sync_jobs
language plpgsql
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_job public.sync_jobs;
begin
  insert into public.sync_jobs as j (agency_id, model_id, sync_type, priority, run_at, created_at, bucket, cause)
  values (p_model.agency_id, p_model.id, p_sync_type, p_priority, p_run_at, p_now, private.bucket_of(p_model), left(p_cause, 200))
  on conflict (model_id, sync_type) where state = 'queued' do update
    set run_at = least(j.run_at, excluded.run_at), priority = least(j.priority, excluded.priority), cause = excluded.cause
    where excluded.run_at < j.run_at or excluded.priority < j.priority
  returning j.* into v_job;
  if not found then
    select j.* into v_job
    from public.sync_jobs j
    where j.model_id = p_model.id and j.sync_type = p_sync_type and j.state = 'queued';
  end if;
  return v_job;
end
$$;
comment on function private.put_job(public.models, text, smallint, timestamptz, timestamptz, text) is
  'Queues one job, or brings the waiting one forward: then it is p_cause''s. Repeated, it writes nothing.';
revoke all on function private.put_job(public.models, text, smallint, timestamptz, timestamptz, text) from public, anon, authenticated;
grant execute on function private.put_job(public.models, text, smallint, timestamptz, timestamptz, text) to service_role;

create or replace function private.job_summary(p_job public.sync_jobs)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select jsonb_build_object('id', p_job.id, 'model_id', p_job.model_id, 'sync_type', p_job.sync_type, 'state', p_job.state,
                            'priority', p_job.priority, 'run_at', p_job.run_at, 'attempt', p_job.attempt,
                            'progress', coalesce(p_job.progress, '{}'::jsonb))
$$;
comment on function private.job_summary(public.sync_jobs) is 'A job as people see it.';
revoke all on function private.job_summary(public.sync_jobs) from public, anon, authenticated;
grant execute on function private.job_summary(public.sync_jobs) to service_role;

create or replace function public.enqueue_sync(
  p_model_id uuid, p_sync_type text, p_full boolean default false, p_priority integer default 0)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_model public.models;
  v_job public.sync_jobs;
begin
  -- held: the job belongs to the agency that the creator is in when it is committed
  select m.* into v_model from public.models m where m.id = p_model_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = format('no model %s', p_model_id),
      hint = 'fanvue-sync creators lists them';
  end if;
  if not exists (select from private.sync_streams t where t.sync_type = p_sync_type) then
    raise sqlstate 'PT422' using message = format('no stream %L', p_sync_type),
      hint = (select 'streams: ' || string_agg(t.sync_type, ', ' order by t.sync_type) from private.sync_streams t);
  end if;
  if v_model.status <> 'active' then
    raise sqlstate 'PT409' using message = format('model %s is %s: %s', p_model_id, v_model.status, coalesce(v_model.status_reason, 'no reason noted')),
      hint = case v_model.status when 'reauth_required' then private.connect_step(v_model.agency_id, v_model.fanvue_user_uuid)
                  else format('resume it: select ops.resume_model(%L)', v_model.id) end;
  end if;
  if not (select t.enabled from private.stream_settings(v_model.agency_id, v_model.id, p_sync_type) t) then
    raise sqlstate 'PT422' using message = format('the stream %s is switched off for model %s', p_sync_type, p_model_id),
      hint = 'switch it on in private.sync_streams or private.sync_overrides';
  end if;
  -- the job before the state: the order in which a settlement takes them
  v_job := private.put_job(v_model, p_sync_type, p_priority::smallint, v_now, v_now);
  insert into public.sync_state as s (agency_id, model_id, sync_type, next_sync_at, full_requested)
  values (v_model.agency_id, p_model_id, p_sync_type, v_now, p_full)
  on conflict (model_id, sync_type) do update set full_requested = true, whole_after = null
    where p_full and (not s.full_requested or s.whole_after is not null);
  return private.job_summary(v_job);
end
$$;
comment on function public.enqueue_sync(uuid, text, boolean, integer) is
  'Queues a sync of one model''s stream now; p_full re-reads all history. Returns the job.';
revoke all on function public.enqueue_sync(uuid, text, boolean, integer) from public, anon, authenticated;
grant execute on function public.enqueue_sync(uuid, text, boolean, integer) to service_role;

create or replace function private.request_sync_as_member(p_model_id uuid, p_sync_type text)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_pause constant interval := interval '1 minute';
  v_model public.models;
  v_state public.sync_state;
  v_job public.sync_jobs;
  v_waits boolean;
begin
  select m.* into v_model
  from public.models m
  where m.id = p_model_id and m.agency_id in (select private.member_agency_ids())
  for no key update;
  if not found then
    raise sqlstate 'PT404' using message = 'no such model in your agencies';
  end if;
  if v_model.status <> 'active' then
    raise sqlstate 'PT409' using message = format('the model is %s', v_model.status),
      hint = case v_model.status when 'reauth_required' then 'the creator must connect again' else 'an operator paused it' end;
  end if;
  if not coalesce((select t.enabled from private.stream_settings(v_model.agency_id, v_model.id, p_sync_type) t), false) then
    raise sqlstate 'PT422' using message = format('no stream %L', p_sync_type),
      hint = 'it does not exist, or is switched off for this model';
  end if;
  -- Work that waits or runs already is the answer to a second request.
  select j.* into v_job
  from public.sync_jobs j
  where j.model_id = p_model_id and j.sync_type = p_sync_type
    and (j.state = 'running' or (j.state = 'queued' and j.run_at <= v_now))
  order by j.state desc
  limit 1
  -- held: what a settlement ends at this moment is no answer
  for update;
  v_waits := found;
  if not v_waits then
    -- the job before the state: the order in which a settlement takes them
    -- what waits for its next try is tried now; a walk through history stays behind live work all the same
    v_job := private.put_job(v_model, p_sync_type,
                             coalesce((select j.priority from public.sync_jobs j
                                       where j.model_id = p_model_id and j.sync_type = p_sync_type and j.state = 'queued' and j.priority >= 100),
                                      5::smallint),
                             v_now, v_now, concat_ws(' ', 'request', (select auth.uid())));
  end if;
  -- Now somebody waits for it: they hear how far it is, and how it ended. Where it is in the queue is not for them to say.
  update public.sync_jobs j set asked_at = v_now where j.id = v_job.id and j.asked_at is null;
  if v_waits then
    return private.job_summary(v_job);
  end if;
  insert into public.sync_state as s (agency_id, model_id, sync_type, next_sync_at)
  values (v_model.agency_id, p_model_id, p_sync_type, v_now)
  on conflict (model_id, sync_type) do nothing;
  select s.* into v_state from public.sync_state s where s.model_id = p_model_id and s.sync_type = p_sync_type for update;
  if v_state.requested_at > v_now - v_pause then
    raise sqlstate 'PT429' using message = 'this stream was asked for less than a minute ago',
      hint = format('try again in %s seconds', ceil(extract(epoch from v_state.requested_at + v_pause - v_now)));
  end if;
  update public.sync_state s set requested_at = v_now where s.id = v_state.id;
  perform private.wake_stream(p_model_id, p_sync_type, v_now);
  return private.job_summary(v_job);
end
$$;
comment on function private.request_sync_as_member(uuid, text) is 'What request_sync does, with the right to write the queue.';
revoke all on function private.request_sync_as_member(uuid, text) from public, anon;
grant execute on function private.request_sync_as_member(uuid, text) to authenticated;

create or replace function public.request_sync(p_model_id uuid, p_sync_type text)
returns jsonb
language sql
set search_path = ''
as $$
  select private.request_sync_as_member(p_model_id, p_sync_type)
$$;
comment on function public.request_sync(uuid, text) is
  '"Sync now" for dashboards: queues the stream of one of your models and returns the job. Errors: 404 not yours, 409 not active, 422 no such stream, 429 asked less than a minute ago.';
revoke all on function public.request_sync(uuid, text) from public, anon, authenticated;
grant execute on function public.request_sync(uuid, text) to authenticated;

-- Operators ------------------------------------------------------------------------------------------

create or replace function ops.retry_job(p_id bigint)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs;
  v_model public.models;
begin
  select j.* into v_job from public.sync_jobs j where j.id = p_id for update;
  if not found then
    -- the reply to the first call may have been lost: a dead job goes on under another number
    select j.* into v_job
    from public.sync_jobs j
    where j.state in ('queued', 'running')
      and exists (select from ops.actions a where a.action = 'retry_job' and a.arguments ->> 'id' = p_id::text)
      and (j.model_id, j.sync_type) in (select r.model_id, r.sync_type from public.sync_runs r where r.job_id = p_id)
    order by j.state limit 1;
    if found then
      return private.job_summary(v_job) || jsonb_build_object('message', format('nothing to do: job %s was retried already, as job %s', p_id, v_job.id));
    end if;
    raise sqlstate 'PT404' using message = format('no job %s', p_id), hint = 'finished jobs are in sync_runs';
  end if;
  if v_job.state = 'running' then
    return private.job_summary(v_job) || jsonb_build_object('message', format('nothing to do: job %s runs, with %s', p_id, v_job.claimed_by));
  end if;
  if v_job.state = 'queued' and v_job.attempt = 0 and v_job.run_at <= v_now and v_job.priority <= 20 then
    return private.job_summary(v_job) || jsonb_build_object('message', format('nothing to do: job %s is due and waits for a worker', p_id));
  end if;
  select m.* into v_model from public.models m where m.id = v_job.model_id;
  if v_model.status <> 'active' then
    raise sqlstate 'PT409' using message = format('the model of job %s is %s', p_id, v_model.status),
      hint = case v_model.status when 'paused' then format('select ops.resume_model(%L)', v_model.id) else 'the account must connect again: ops.reconnect says whose' end;
  end if;
  if not private.is_switched_on(v_model, v_job.sync_type) then
    raise sqlstate 'PT409' using message = format('the stream %s of job %s is switched off', v_job.sync_type, p_id),
      hint = 'switch it on in private.sync_streams or private.sync_overrides, or: select ops.cancel_job(' || p_id || ')';
  end if;
  if v_job.state = 'dead' then
    delete from public.sync_jobs j where j.id = p_id;
  else
    update public.sync_jobs j set attempt = 0 where j.id = p_id and j.attempt <> 0;
  end if;
  perform private.note_action('retry_job', format('job %s (%s of %s)', p_id, v_job.sync_type, private.creator_name(v_model)),
                              jsonb_build_object('id', p_id), jsonb_build_object('state', v_job.state, 'attempt', v_job.attempt, 'run_at', v_job.run_at));
  return private.job_summary(private.put_job(v_model, v_job.sync_type, least(v_job.priority, 20::smallint), v_now, v_now));
end
$$;
comment on function ops.retry_job(bigint) is
  'Runs a dead or waiting job now, with all its attempts back. On a running or due job it does nothing. Returns the job that will run. '
  'Refuses (409) while the model is not active or the stream is switched off.';
revoke all on function ops.retry_job(bigint) from public, anon, authenticated;
grant execute on function ops.retry_job(bigint) to service_role;

create or replace function ops.cancel_job(p_id bigint)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_job public.sync_jobs;
begin
  select j.* into v_job from public.sync_jobs j where j.id = p_id for update;
  if not found then
    -- the reply to the first call may have been lost
    if exists (select from public.sync_runs r where r.job_id = p_id and r.state = 'cancelled') then
      return jsonb_build_object('id', p_id, 'state', 'cancelled', 'cancel_requested', true, 'message', format('nothing to do: job %s is cancelled already', p_id));
    end if;
    raise sqlstate 'PT404' using message = format('no job %s', p_id), hint = 'finished jobs are in sync_runs';
  end if;
  if v_job.cancel_requested and v_job.state = 'running' then
    return private.job_summary(v_job) || jsonb_build_object('cancel_requested', true, 'message', format('nothing to do: job %s is stopping already', p_id));
  end if;
  perform private.note_action('cancel_job', format('job %s (%s)', p_id, v_job.sync_type), jsonb_build_object('id', p_id),
                              jsonb_build_object('state', v_job.state, 'model_id', v_job.model_id));
  if v_job.state = 'running' then
    -- the worker hears of it with its next page or heartbeat
    update public.sync_jobs j set cancel_requested = true where j.id = p_id returning j.* into v_job;
  else
    perform private.archive_job(v_job, 'cancelled',
      jsonb_build_object('kind', 'cancelled', 'message', 'cancelled by an operator'), '{}', private.engine_now());
    perform private.move_stream_on(v_job, private.engine_now());
    delete from public.sync_jobs j where j.id = p_id;
    v_job.state := 'cancelled';
  end if;
  return private.job_summary(v_job) || jsonb_build_object('cancel_requested', v_job.cancel_requested);
end
$$;
comment on function ops.cancel_job(bigint) is
  'Cancels a waiting or dead job at once, a running one at its next page. What it has committed stays. The schedule will queue the stream again when due.';
revoke all on function ops.cancel_job(bigint) from public, anon, authenticated;
grant execute on function ops.cancel_job(bigint) to service_role;

-- The API does not expose schema ops; the command line reaches it through these.
create or replace function public.retry_sync_job(p_id bigint)
returns jsonb
language sql
set search_path = ''
as $$
  select ops.retry_job(p_id)
$$;
comment on function public.retry_sync_job(bigint) is 'ops.retry_job for the command line.';
revoke all on function public.retry_sync_job(bigint) from public, anon, authenticated;
grant execute on function public.retry_sync_job(bigint) to service_role;

create or replace function public.cancel_sync_job(p_id bigint)
returns jsonb
language sql
set search_path = ''
as $$
  select ops.cancel_job(p_id)
$$;
comment on function public.cancel_sync_job(bigint) is 'ops.cancel_job for the command line.';
revoke all on function public.cancel_sync_job(bigint) from public, anon, authenticated;
grant execute on function public.cancel_sync_job(bigint) to service_role;
