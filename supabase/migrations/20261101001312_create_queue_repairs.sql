-- Purpose: functions that mend jobs, walks and webhooks. Each is safe to repeat: where there is nothing to do it says so
-- and changes nothing. What it changed stands in ops.actions.
-- Who may call: service_role, and the owner in Studio.
-- Lock order: model, job, state, as everywhere; of several models by their ids.

create or replace function ops.sync_now(p_model_id uuid, p_sync_type text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_model public.models := private.require_model(p_model_id);
  v_job jsonb;
begin
  if p_sync_type = 'reconcile' then
    v_job := public.enqueue_reconcile(p_model_id) -> 0;
  else
    v_job := public.enqueue_sync(p_model_id, p_sync_type);
  end if;
  perform private.note_action('sync_now', format('%s of %s', p_sync_type, private.creator_name(v_model)),
                              jsonb_build_object('model_id', p_model_id, 'sync_type', p_sync_type), jsonb_build_object('job', v_job -> 'id'));
  return jsonb_build_object('changed', true, 'message', format('job %s reads %s of %s as soon as a worker is free', v_job ->> 'id', p_sync_type,
                                                               private.creator_name(v_model)), 'job', v_job);
end
$$;
comment on function ops.sync_now(uuid, text) is
  'Queues one stream of one creator now (or reconcile: the proof of their money), or brings its waiting job forward. Repeated, it is the same job.';
revoke all on function ops.sync_now(uuid, text) from public, anon, authenticated;
grant execute on function ops.sync_now(uuid, text) to service_role;

create or replace function private.take_back(p_job public.sync_jobs, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
declare
  v_state text;
begin
  -- like a snooze of no time: no attempt is counted, a cancellation or a stopped model is obeyed
  perform private.settle_job(p_job, jsonb_build_object('outcome', 'snooze', 'retry_in_s', 0, 'error', jsonb_build_object(
    'kind', 'released', 'message', format('an operator took it back from %s', p_job.claimed_by))), p_now);
  perform private.tell_given_back(array[p_job.id], p_now);
  select j.state into v_state from public.sync_jobs j where j.id = p_job.id;
  return coalesce(v_state, 'gone');
end
$$;
comment on function private.take_back(public.sync_jobs, timestamptz) is
  'Ends a running job''s lease, whose row the caller has locked, and puts it back to the queue. What its worker still sends is refused. Returns its state: queued, or gone.';
revoke all on function private.take_back(public.sync_jobs, timestamptz) from public, anon, authenticated;
grant execute on function private.take_back(public.sync_jobs, timestamptz) to service_role;

create or replace function ops.release_job(p_id bigint)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_job public.sync_jobs;
  v_state text;
begin
  select j.* into v_job from public.sync_jobs j where j.id = p_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no job %s', p_id), hint = 'ops.running lists what runs; finished jobs are in sync_runs';
  end if;
  if v_job.state <> 'running' then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: job %s is %s, nobody holds it', p_id, v_job.state));
  end if;
  v_state := private.take_back(v_job, private.engine_now());
  perform private.note_action('release_job', format('job %s (%s)', p_id, v_job.sync_type), jsonb_build_object('id', p_id),
                              jsonb_build_object('worker', v_job.claimed_by, 'lease_id', v_job.lease_id, 'lease_until', v_job.lease_until, 'state', v_state));
  return jsonb_build_object('changed', true, 'message', case v_state
    when 'queued' then format('job %s waits for another worker; whatever %s still sends is refused', p_id, v_job.claimed_by)
    else format('job %s ended: it was cancelled, or a newer one of the same stream waits', p_id) end);
end
$$;
comment on function ops.release_job(bigint) is
  'Takes a running job from its worker at once and gives it to the next one. No page is lost or written twice: what the old worker still sends is refused.';
revoke all on function ops.release_job(bigint) from public, anon, authenticated;
grant execute on function ops.release_job(bigint) to service_role;

create or replace function ops.reset_cursor(p_model_id uuid, p_sync_type text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_model public.models := private.require_model(p_model_id);
  v_name text := private.creator_name(v_model);
  v_job public.sync_jobs;
  v_state public.sync_state;
  v_run private.reconciliations;
begin
  select s.* into v_state from public.sync_state s where s.model_id = p_model_id and s.sync_type = p_sync_type;
  select r.* into v_run from private.reconciliations r where r.model_id = p_model_id and p_sync_type = 'reconcile';
  if v_state.id is null and v_run.model_id is null then
    raise sqlstate 'PT404' using message = format('%s has no stream %L', v_name, p_sync_type),
      hint = 'the streams there are: ' || coalesce((select string_agg(s.sync_type, ', ' order by s.sync_type) from public.sync_state s where s.model_id = p_model_id), 'none');
  end if;
  select j.* into v_job from public.sync_jobs j where j.model_id = p_model_id and j.sync_type = p_sync_type and j.state = 'running' for update;
  if v_job.id is null and v_state.full_requested and v_state.walk_id is null and v_state.validator is null and v_state.whole_after is null then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: %s of %s is about to be read from its beginning', p_sync_type, v_name));
  end if;
  if v_job.id is null and v_run.model_id is not null and v_run.run_id is null
     and (v_model.status <> 'active' or exists (select from public.sync_jobs j where j.model_id = p_model_id and j.sync_type = p_sync_type
                                                  and j.state = 'queued' and j.run_at <= v_now)) then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: the proof of %s''s money has not begun', v_name));
  end if;
  if v_job.id is not null then
    -- its worker's next page finds no lease, and stops
    perform private.take_back(v_job, v_now);
  end if;
  if v_model.status = 'active' then
    perform private.put_job(v_model, p_sync_type, case when p_sync_type = 'reconcile' then 0 else 100 end::smallint, v_now, v_now);
  end if;
  update private.reconciliations r
  set run_id = null, todo = '[]', place = '{}', border = '{}', notes = '{}', version = r.version + 1, last_page_key = null, last_page_reply = null
  where r.model_id = v_run.model_id;
  delete from private.reconciliation_pages p where p.model_id = v_run.model_id;
  -- The high-water mark stays: nothing that is known is forgotten, everything is read once more.
  update public.sync_state s
  set walk_id = null, walk_kind = null, walk_phase = null, walk_mode = null, walk_floor = null, walk_ceiling = null, walk_position = null,
      walk_newest = null, walk_started_at = null, walk_border = '{}', walk_pages = 0, walk_rows = 0, walk_changed = 0, walk_notes = '{}',
      last_cursor = null, validator = null, last_page_key = null, last_page_reply = null, version = s.version + 1,
      full_requested = true, whole_after = null, quiet_runs = 0,
      next_sync_at = case when s.next_sync_at is not null then least(s.next_sync_at, v_now) end
  where s.id = v_state.id;
  perform private.note_action('reset_cursor', format('%s of %s', p_sync_type, v_name),
                              jsonb_build_object('model_id', p_model_id, 'sync_type', p_sync_type),
                              jsonb_build_object('dropped', jsonb_build_object('kind', coalesce(v_state.walk_kind, 'none'), 'pages', coalesce(v_run.pages, v_state.walk_pages),
                                                                               'cursor', v_state.last_cursor is not null), 'job_taken_back', v_job.id));
  return jsonb_build_object('changed', true, 'message', format('%s of %s is read from its beginning, %s; what is stored stays', p_sync_type, v_name,
    case when v_model.status = 'active' then 'as soon as a worker is free' else 'when the model is active again' end));
end
$$;
comment on function ops.reset_cursor(uuid, text) is
  'Drops the open walk of a stream with its cursor and validators, and has everything read once more. No money is lost or lowered: rows that are known are recognised. '
  'A job that runs is taken from its worker, which stops. It costs a call for every fifty rows of history.';
revoke all on function ops.reset_cursor(uuid, text) from public, anon, authenticated;
grant execute on function ops.reset_cursor(uuid, text) to service_role;

create or replace function ops.retry_dead_jobs(p_agency_id uuid default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_jobs bigint[];
  v_stopped bigint;
begin
  if p_agency_id is not null and not exists (select from public.agencies a where a.id = p_agency_id) then
    raise sqlstate 'PT404' using message = format('no agency %s', p_agency_id), hint = 'ops.queue_health lists the agencies';
  end if;
  -- Not beside a tick, which revives the dead as well: each would wait for what the other has.
  perform pg_advisory_xact_lock(hashtextextended('fanvue-enqueue-due', 0));
  with dead as (
    select j.id
    from public.sync_jobs j
    join public.models m on m.id = j.model_id
    where j.state = 'dead' and m.status = 'active' and private.is_switched_on(m, j.sync_type)
      and (p_agency_id is null or j.agency_id = p_agency_id)
      -- what runs already is the answer
      and not exists (select from public.sync_jobs r where r.model_id = j.model_id and r.sync_type = j.sync_type and r.state = 'running')
    order by j.model_id, j.sync_type
    for update of j
  ), gone as (
    delete from public.sync_jobs j using dead where j.id = dead.id returning j as job
  ), again as (
    insert into public.sync_jobs as q (id, agency_id, model_id, sync_type, priority, run_at, created_at, bucket, cause)
    overriding system value
    select (g.job).id, m.agency_id, m.id, (g.job).sync_type, least((g.job).priority, 20::smallint), v_now, v_now, private.bucket_of(m), 'operator'
    from gone g
    join public.models m on m.id = (g.job).model_id
    order by m.id, (g.job).sync_type
    on conflict (model_id, sync_type) where state = 'queued' do update
      set run_at = least(q.run_at, excluded.run_at), priority = least(q.priority, excluded.priority), attempt = 0, cause = excluded.cause
    returning q.id
  )
  select coalesce(array_agg(a.id order by a.id), '{}') into v_jobs from again a;
  select count(*) into v_stopped from public.sync_jobs j where j.state = 'dead' and (p_agency_id is null or j.agency_id = p_agency_id);
  if cardinality(v_jobs) > 0 then
    perform private.note_action('retry_dead_jobs', coalesce('agency ' || p_agency_id, 'all agencies'), jsonb_build_object('agency_id', p_agency_id),
                                jsonb_build_object('jobs', v_jobs));
  end if;
  return jsonb_build_object('changed', cardinality(v_jobs) > 0, 'message', format('%s again; %s dead: their creators do not sync, or their streams are switched off',
      private.counted(cardinality(v_jobs), 'job runs', 'jobs run'), private.counted(v_stopped, 'stays', 'stay')));
end
$$;
comment on function ops.retry_dead_jobs(uuid) is
  'Runs every dead job of an agency, or of all, again with all attempts back. Jobs of models that are not active, and of streams that are switched off, stay.';
revoke all on function ops.retry_dead_jobs(uuid) from public, anon, authenticated;
grant execute on function ops.retry_dead_jobs(uuid) to service_role;

create or replace function ops.replay_webhooks(p_topic text default null, p_status text default 'failed', p_limit integer default 1000)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
  v_status text;
  v_counts jsonb := '{}'::jsonb;
  v_total integer := 0;
  v_left bigint;
begin
  if p_status not in ('failed', 'parked', 'ignored') or p_limit not between 1 and 10000 then
    raise sqlstate 'PT422' using message = 'replay failed, parked or ignored events, 1 to 10000 at a time', hint = 'ops.webhooks_waiting lists the first two';
  end if;
  for v_id in
    select w.id
    from (select e.id, e.creator_uuid, e.received_at, e.payload, e.topic from public.webhook_events e
          where e.status = p_status and (p_topic is null or e.topic = p_topic)
            -- what still waits for its creator cannot be applied
            and exists (select from public.models m where m.fanvue_user_uuid = e.creator_uuid)
          order by e.received_at, e.id
          limit p_limit) w
    join public.models m on m.fanvue_user_uuid = w.creator_uuid
    cross join lateral private.read_event(w.payload, w.topic) e
    -- by model and stream, as the schedule queues jobs: neither waits for what the other has
    order by m.id, private.stream_of_event(e.kind), w.received_at, w.id
  loop
    v_status := ops.replay_webhook(v_id) ->> 'status';
    v_counts := v_counts || jsonb_build_object(v_status, coalesce((v_counts ->> v_status)::integer, 0) + 1);
    v_total := v_total + 1;
  end loop;
  select count(*) into v_left from public.webhook_events e where e.status = p_status and (p_topic is null or e.topic = p_topic);
  if v_total > 0 then
    perform private.note_action('replay_webhooks', format('%s events%s', p_status, coalesce(' of ' || p_topic, '')),
                                jsonb_build_object('topic', p_topic, 'status', p_status, 'limit', p_limit), v_counts);
  end if;
  return jsonb_build_object('changed', v_total > 0, 'message', format('%s replayed, %s %s', private.counted(v_total, 'event'), private.counted(v_left, 'is', 'are'), p_status), 'became', v_counts);
end
$$;
comment on function ops.replay_webhooks(text, text, integer) is
  'Applies many events again, those of a stream in the order they came: failed ones, or parked (whose creator is connected by now) or ignored; of one topic or all. Money is counted once, however often.';
revoke all on function ops.replay_webhooks(text, text, integer) from public, anon, authenticated;
grant execute on function ops.replay_webhooks(text, text, integer) to service_role;

create or replace function ops.ignore_webhook(p_event_id uuid, p_reason text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_event public.webhook_events := private.require_event(p_event_id);
  v_reason text := nullif(btrim(p_reason), '');
begin
  if v_event.status = 'ignored' then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: the event is ignored already%s', coalesce(' (' || v_event.error || ')', '')));
  end if;
  if v_event.status in ('applied', 'duplicate_of_api') then
    return jsonb_build_object('changed', false, 'message', 'nothing to do: the event is applied, and what it booked stays');
  end if;
  if v_reason is null then
    raise sqlstate 'PT422' using message = 'an event is ignored for a reason', hint = 'say why: it is money that a creator may miss';
  end if;
  -- the failure goes to the trail; with the event stays why nobody waits for it
  update public.webhook_events w set status = 'ignored', error = 'an operator ignored it: ' || v_reason, retry_at = null where w.id = p_event_id;
  perform private.note_action('ignore_webhook', 'webhook event ' || p_event_id, jsonb_build_object('id', p_event_id, 'reason', v_reason),
                              jsonb_build_object('status', jsonb_build_array(v_event.status, 'ignored'), 'error', v_event.error));
  return jsonb_build_object('changed', true, 'message', format('the event no longer waits; select ops.replay_webhook(%L) tries it after all', p_event_id));
end
$$;
comment on function ops.ignore_webhook(uuid, text) is
  'Sets a failed or parked event aside, with the reason: nothing waits for it any more. It stays stored as long as private.retention keeps events, and ops.replay_webhook still applies it.';
revoke all on function ops.ignore_webhook(uuid, text) from public, anon, authenticated;
grant execute on function ops.ignore_webhook(uuid, text) to service_role;
