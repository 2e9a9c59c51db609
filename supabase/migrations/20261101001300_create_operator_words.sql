-- Purpose: the words of the operators' console: how long, how far, who; and the indexes that its views stand on.
-- Who may call: the views of schema ops (service_role, and the owner in Studio).
-- Locks: short SHARE locks on models and sync_state while small partial indexes are built; queue_lanes gets three columns.

-- Few at any time: what stands still, and what fails.
create index models_stopped_idx on public.models (status_changed_at) where status <> 'active';
create index models_without_grant_idx on public.models (created_at)
  where status = 'active' and connection_id is null and fanvue_refresh_token is null and fanvue_access_token is null;
create index sync_state_failing_idx on public.sync_state (model_id, sync_type) where consecutive_failures > 0 or last_error is not null;
create index sync_state_unread_idx on public.sync_state (model_id, sync_type) where last_success_at is null and next_sync_at is not null;

alter table private.queue_lanes
  add column paused_at timestamptz,
  add column paused_reason text,
  add column resumed_at timestamptz;
create index queue_lanes_resumed_at_idx on private.queue_lanes (resumed_at) where resumed_at is not null;
comment on column private.queue_lanes.paused is 'Nothing of this agency is taken from the queue: ops.pause_agency and ops.resume_agency. What runs goes on.';
comment on column private.queue_lanes.paused_at is 'Since when it is paused, if ops.pause_agency did it.';
comment on column private.queue_lanes.paused_reason is 'Why, for the next operator.';
comment on column private.queue_lanes.resumed_at is 'When ops.resume_agency last ended a pause: what was not read before then is no silence.';

-- PL/pgSQL: a view calls these once a row, and its plan lasts for the session; in SQL a call costs five times as much.
create or replace function private.span_words(p_span interval)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_exact double precision := extract(epoch from p_span);
  v_s bigint;
begin
  if v_exact is null or v_exact = 'infinity' then
    return null;
  end if;
  v_s := floor(greatest(0, v_exact));
  return case
    when v_s < 60 then v_s || ' s'
    when v_s < 7200 then (v_s + 30) / 60 || ' min'
    when v_s < 172800 then (v_s + 1800) / 3600 || ' h'
    else (v_s + 43200) / 86400 || ' days' end;
end
$$;
comment on function private.span_words(interval) is 'A span of time as people say it: 40 s, 12 min, 5 h, 3 days.';
revoke all on function private.span_words(interval) from public, anon, authenticated;
grant execute on function private.span_words(interval) to service_role;

create or replace function private.counted(p_count bigint, p_one text, p_many text default null)
returns text
language sql
immutable
set search_path = ''
as $$
  select p_count || ' ' || case when p_count = 1 then p_one else coalesce(p_many, p_one || 's') end
$$;
comment on function private.counted(bigint, text, text) is 'So many of something as people say it: 1 row, 2 rows.';
revoke all on function private.counted(bigint, text, text) from public, anon, authenticated;
grant execute on function private.counted(bigint, text, text) to service_role;

create or replace function private.clock_words(p_at timestamptz, p_now timestamptz)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return to_char(p_at at time zone 'UTC', case when p_now - p_at between interval '-12 hours' and interval '12 hours' then 'HH24:MI' else 'YYYY-MM-DD HH24:MI' end) || ' UTC';
end
$$;
comment on function private.clock_words(timestamptz, timestamptz) is 'An instant as people say it: the time, with the day where that is not today''s.';
revoke all on function private.clock_words(timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function private.clock_words(timestamptz, timestamptz) to service_role;

create or replace function private.creator_name(p_model public.models)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(p_model.handle, p_model.display_name, p_model.fanvue_user_uuid, p_model.id::text);
end
$$;
comment on function private.creator_name(public.models) is 'What a creator is called: handle, name, uuid, whichever is known first.';
revoke all on function private.creator_name(public.models) from public, anon, authenticated;
grant execute on function private.creator_name(public.models) to service_role;

create or replace function private.connect_step(p_agency_id uuid, p_creator_uuid text)
returns text
language sql
immutable
set search_path = ''
as $$
  select 'the creator connects on the dashboard''s connect page'
    -- the command asks for the token; without a uuid nobody can say whose it is
    || case when p_agency_id is not null and p_creator_uuid ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            then format(', or run: fanvue-sync connect --agency %s --creator-uuid %s --refresh-token -', p_agency_id, p_creator_uuid) else '' end
$$;
comment on function private.connect_step(uuid, text) is 'How a creator connects: in the dashboard, or by a command that runs as it stands and asks for the token.';
revoke all on function private.connect_step(uuid, text) from public, anon, authenticated;
grant execute on function private.connect_step(uuid, text) to service_role;

create or replace function private.last_claim()
returns timestamptz
language sql
stable
set search_path = ''
as $$
  -- a row per agency, whatever they did since
  select max(l.claimed_at) from private.queue_lanes l
$$;
comment on function private.last_claim() is 'When a worker last took a job; null: never.';
revoke all on function private.last_claim() from public, anon, authenticated;
grant execute on function private.last_claim() to service_role;

create or replace function private.last_tick()
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select max(k.last_tick_at) from private.scheduler_ticks k where k.source in ('pg_cron', 'worker')
$$;
comment on function private.last_tick() is 'When a scheduler last ticked by itself; null: never. A tick by hand says nothing about the schedulers.';
revoke all on function private.last_tick() from public, anon, authenticated;
grant execute on function private.last_tick() to service_role;

create or replace function private.error_remedy(
  p_error jsonb, p_job_id bigint, p_model_id uuid, p_sync_type text, p_open_walk boolean)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_kind text := coalesce(p_error ->> 'kind', '');
  v_named text := substring(p_error ->> 'message' from 'select ops\.[a-z_]+\([^)]*\)');
  v_call text := case when p_job_id is null then format('select ops.sync_now(%L, %L)', p_model_id, p_sync_type)
                      else format('select ops.retry_job(%s)', p_job_id) end;
begin
  return case
    -- a refusal that names its own remedy
    when v_named is not null then v_named
    when v_kind = 'cursor_expired' or (v_kind = 'provider_contract' and p_open_walk) or (v_kind = 'partial' and p_job_id is null)
      then format('select ops.reset_cursor(%L, %L)', p_model_id, p_sync_type)
    when v_kind in ('misconfigured', 'schema_missing', 'seal_broken', 'scope_missing', 'not_found', 'gone', 'unavailable', 'grant_error', 'database_unavailable')
      then concat_ws('; then: ', nullif(p_error ->> 'remedy', ''), v_call)
    else v_call end;
end
$$;
comment on function private.error_remedy(jsonb, bigint, uuid, text, boolean) is
  'What to do about the error of a job or stream: the call that mends it, after the step that a person must take first, if there is one.';
revoke all on function private.error_remedy(jsonb, bigint, uuid, text, boolean) from public, anon, authenticated;
grant execute on function private.error_remedy(jsonb, bigint, uuid, text, boolean) to service_role;
