-- Purpose: functions that mend models, agencies, budgets and the schedule. Each is safe to repeat: where there is nothing to
-- do it says so and changes nothing. What it changed stands in ops.actions.
-- Who may call: service_role, and the owner in Studio.
-- Lock order: model, job, state, as everywhere.

create or replace function private.require_model(p_model_id uuid)
returns public.models
language plpgsql
set search_path = ''
as $$
declare
  v_model public.models;
begin
  select m.* into v_model from public.models m where m.id = p_model_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = format('no model %s', p_model_id),
      hint = 'its id is in the column model_id of ops.late, or id of public.model_overview';
  end if;
  return v_model;
end
$$;
comment on function private.require_model(uuid) is 'Locks a model, or says that there is none and where ids are to be found.';
revoke all on function private.require_model(uuid) from public, anon, authenticated;
grant execute on function private.require_model(uuid) to service_role;

create or replace function private.require_lane(p_agency_id uuid)
returns private.queue_lanes
language plpgsql
set search_path = ''
as $$
declare
  v_lane private.queue_lanes;
begin
  select l.* into v_lane from private.queue_lanes l where l.agency_id = p_agency_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no agency %s', p_agency_id), hint = 'ops.queue_health lists the agencies';
  end if;
  return v_lane;
end
$$;
comment on function private.require_lane(uuid) is 'Locks an agency''s lane, or says that there is no such agency.';
revoke all on function private.require_lane(uuid) from public, anon, authenticated;
grant execute on function private.require_lane(uuid) to service_role;

create or replace function ops.pause_model(p_model_id uuid, p_reason text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_model public.models := private.require_model(p_model_id);
  v_reason text := coalesce(nullif(btrim(p_reason), ''), 'an operator paused it');
  v_name text := private.creator_name(v_model);
begin
  -- who waits for a consent is paused as well: else the next consent would be the end of it
  if private.status_with_grant(v_model) = 'paused' then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: %s is paused already (%s)', v_name,
                                                                  coalesce(v_model.status_reason, 'no reason noted')));
  end if;
  update public.models m set status = 'paused', reason_code = 'paused', status_reason = v_reason where m.id = p_model_id;
  perform private.note_action('pause_model', 'model ' || v_name, jsonb_build_object('model_id', p_model_id, 'reason', p_reason),
                              jsonb_build_object('status', jsonb_build_array(v_model.status, 'paused')));
  return jsonb_build_object('changed', true, 'message', format('%s is paused: what waited is cancelled, what runs stops at its next page', v_name));
end
$$;
comment on function ops.pause_model(uuid, text) is
  'Stops all syncing of one creator, whatever their status, until ops.resume_model: no consent ends it. Grants, places and money stay; webhooks are applied as ever.';
revoke all on function ops.pause_model(uuid, text) from public, anon, authenticated;
grant execute on function ops.pause_model(uuid, text) to service_role;

create or replace function ops.resume_model(p_model_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_model public.models := private.require_model(p_model_id);
  v_name text := private.creator_name(v_model);
begin
  if v_model.status = 'active' then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: %s is active', v_name));
  end if;
  if v_model.status = 'reauth_required' or not private.has_grant(v_model)
     or exists (select from public.agency_connections c where c.id = v_model.connection_id and c.status = 'reauth_required') then
    raise sqlstate 'PT409' using message = format('%s cannot be resumed: %s', v_name,
        case when private.has_grant(v_model) then 'its grant is dead' else 'it has no grant' end),
      hint = case when private.status_with_grant(v_model) = 'paused' then 'connect the account again, then resume'
                  else 'connect the account again (ops.reconnect says whose); that resumes it by itself' end;
  end if;
  update public.models m set status = 'active', status_reason = null where m.id = p_model_id;
  perform private.note_action('resume_model', 'model ' || v_name, jsonb_build_object('model_id', p_model_id),
                              jsonb_build_object('status', jsonb_build_array(v_model.status, 'active'), 'reason', v_model.status_reason));
  return jsonb_build_object('changed', true, 'message', format('%s is active: all their streams are due with the next tick', v_name));
end
$$;
comment on function ops.resume_model(uuid) is
  'Ends a pause: every stream is due at once and goes on where it stood. Refuses (409) without a usable grant: then the account must connect again.';
revoke all on function ops.resume_model(uuid) from public, anon, authenticated;
grant execute on function ops.resume_model(uuid) to service_role;

create or replace function ops.pause_agency(p_agency_id uuid, p_reason text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_lane private.queue_lanes := private.require_lane(p_agency_id);
  v_name text := (select a.name from public.agencies a where a.id = p_agency_id);
  v_running bigint := (select count(*) from public.sync_jobs j where j.agency_id = p_agency_id and j.lease_id >= v_lane.oldest_lease);
begin
  if v_lane.paused then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: agency %s is paused already', v_name));
  end if;
  update private.queue_lanes l set paused = true, paused_at = private.engine_now(), paused_reason = nullif(btrim(p_reason), '')
  where l.agency_id = p_agency_id;
  perform private.note_action('pause_agency', 'agency ' || v_name, jsonb_build_object('agency_id', p_agency_id, 'reason', p_reason),
                              jsonb_build_object('paused', jsonb_build_array(false, true)));
  return jsonb_build_object('changed', true, 'message', format('agency %s is paused: no further job of it is taken, %s that run go on to their ends', v_name, v_running));
end
$$;
comment on function ops.pause_agency(uuid, text) is
  'Keeps workers from taking jobs of one agency until ops.resume_agency. Its streams are queued as ever and wait; webhooks are applied.';
revoke all on function ops.pause_agency(uuid, text) from public, anon, authenticated;
grant execute on function ops.pause_agency(uuid, text) to service_role;

create or replace function ops.resume_agency(p_agency_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_lane private.queue_lanes := private.require_lane(p_agency_id);
  v_name text := (select a.name from public.agencies a where a.id = p_agency_id);
begin
  if not v_lane.paused and v_lane.max_running > 0 then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: agency %s is not paused', v_name));
  end if;
  update private.queue_lanes l
  set paused = false, paused_at = null, paused_reason = null, resumed_at = private.engine_now(),
      -- a cap of nothing is a pause, too
      max_running = case when l.max_running > 0 then l.max_running else 100 end
  where l.agency_id = p_agency_id;
  -- what waited for it looks like nothing to an idle worker
  perform private.note_due((select count(*) from public.sync_jobs j
                            where j.agency_id = p_agency_id and j.state = 'queued' and j.run_at <= private.engine_now()));
  perform private.note_action('resume_agency', 'agency ' || v_name, jsonb_build_object('agency_id', p_agency_id),
                              jsonb_build_object('paused', jsonb_build_array(v_lane.paused, false), 'max_running', v_lane.max_running));
  return jsonb_build_object('changed', true, 'message', format('agency %s goes on: workers take its jobs with their next claim', v_name));
end
$$;
comment on function ops.resume_agency(uuid) is 'Lets workers take jobs of a paused agency again; a cap of 0 running jobs becomes 100.';
revoke all on function ops.resume_agency(uuid) from public, anon, authenticated;
grant execute on function ops.resume_agency(uuid) to service_role;

create or replace function ops.unblock_bucket(p_bucket text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_blocks jsonb;
begin
  if not exists (select from private.api_endpoints e where e.bucket = p_bucket) then
    raise sqlstate 'PT404' using message = format('no bucket %L', p_bucket), hint = 'ops.budgets lists the buckets';
  end if;
  with blocked as (
    select e.endpoint, e.blocked_until from private.api_endpoints e
    where e.bucket = p_bucket and e.blocked_until > v_now
    order by e.endpoint
    for update
  ), opened as (
    update private.api_endpoints e set blocked_until = '-infinity' from blocked b where e.bucket = p_bucket and e.endpoint = b.endpoint
  )
  select jsonb_object_agg(b.endpoint, b.blocked_until) into v_blocks from blocked b;
  if v_blocks is null then
    return jsonb_build_object('changed', false, 'message', format('nothing to do: bucket %s is not blocked', p_bucket));
  end if;
  -- what is due already is skipped until then; idle workers wait for the end that they were told
  perform private.note_due((select count(*) from public.sync_jobs j where j.bucket = p_bucket and j.state = 'queued' and j.run_at <= v_now));
  -- what was put off because of the block need not wait for its end
  update public.sync_jobs j
  set run_at = v_now
  where j.id in (select q.id from public.sync_jobs q
                 where q.bucket = p_bucket and q.state = 'queued' and q.run_at > v_now and q.last_error ->> 'kind' = 'throttled'
                 order by q.model_id, q.sync_type
                 for update);
  perform private.note_action('unblock_bucket', 'bucket ' || p_bucket, jsonb_build_object('bucket', p_bucket),
                              jsonb_build_object('blocked_until', v_blocks));
  return jsonb_build_object('changed', true, 'message', format('bucket %s is open: its jobs are taken with the next claim', p_bucket));
end
$$;
comment on function ops.unblock_bucket(text) is
  'Lifts the blocks that 429s set on a bucket''s endpoints before their end. If Fanvue still refuses, the next answer sets it anew; the exact budget of the window stays.';
revoke all on function ops.unblock_bucket(text) from public, anon, authenticated;
grant execute on function ops.unblock_bucket(text) to service_role;

create or replace function private.wake_cron()
returns text
language plpgsql
set search_path = ''
as $$
declare
  v_idle text[] := array(select c.job from private.cron_runs() c where not c.active order by c.job);
begin
  if to_regclass('cron.job') is null then
    return 'pg_cron is not installed: the workers tick alone';
  end if;
  if cardinality(v_idle) = 0 and (select count(*) from private.cron_runs()) >= 5 then
    return 'pg_cron has all its jobs';
  end if;
  perform private.schedule_engine();
  execute $cron$select cron.alter_job(j.jobid, active := true) from cron.job j where j.jobname like 'fanvue-%' and not j.active$cron$;
  return 'pg_cron''s jobs are switched on again' || case when cardinality(v_idle) > 0 then ': ' || array_to_string(v_idle, ', ') else '' end;
exception when insufficient_privilege then
  return 'pg_cron was left alone: only the owner may schedule; run this in Studio';
end
$$;
comment on function private.wake_cron() is 'Puts the engine''s pg_cron jobs back and switches them on. Says what it did.';
revoke all on function private.wake_cron() from public, anon, authenticated;
grant execute on function private.wake_cron() to service_role;

create or replace function ops.wake_schedule()
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_tick jsonb := public.enqueue_due('operator');
  v_reaped jsonb := public.reap_expired_leases();
  v_cron text := private.wake_cron();
  v_queued integer := (v_tick ->> 'enqueued')::integer + (v_tick ->> 'revived')::integer;
  v_changed boolean := v_queued > 0 or v_reaped ->> 'reaped' <> '0' or v_cron like '%switched on%';
begin
  if v_changed then
    perform private.note_action('wake_schedule', 'the schedule', '{}', jsonb_build_object('queued', v_queued, 'taken_back', v_reaped -> 'reaped', 'pg_cron', v_cron));
  end if;
  return jsonb_build_object('changed', v_changed, 'message', format('%s jobs queued, %s taken back from silent workers; %s', v_queued, v_reaped ->> 'reaped', v_cron));
end
$$;
comment on function ops.wake_schedule() is
  'Makes one scheduling tick now, takes jobs back from silent workers, and switches pg_cron''s jobs on if somebody switched them off.';
revoke all on function ops.wake_schedule() from public, anon, authenticated;
grant execute on function ops.wake_schedule() to service_role;
