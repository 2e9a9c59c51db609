-- Purpose: a walk over a stream's pages: begin (freeze the window) and commit (rows, cursor, counters and lease in one transaction).
-- Who may call: service_role. A stale lease gets PT410 and writes nothing; a repeated commit gets its first answer again.
-- Locks: a commit takes the model's row, the job's, the state's, in this order: as a change of the model's status does.

create or replace function private.hold_job(p_job_id bigint, p_lease_id bigint)
returns public.sync_jobs
language plpgsql
set search_path = ''
as $$
declare
  v_job public.sync_jobs;
begin
  select j.* into v_job from public.sync_jobs j where j.id = p_job_id and j.lease_id = p_lease_id for update;
  if not found then
    raise sqlstate 'PT410' using message = format('the lease %s of job %s is lost', p_lease_id, p_job_id),
      hint = 'stop the task and write nothing';
  end if;
  return v_job;
end
$$;
comment on function private.hold_job(bigint, bigint) is 'Locks a job under its current lease, or raises PT410.';
revoke all on function private.hold_job(bigint, bigint) from public, anon, authenticated;
grant execute on function private.hold_job(bigint, bigint) to service_role;

create or replace function private.walk_reply(p_state public.sync_state)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'version', p_state.version, 'walk_id', p_state.walk_id, 'kind', p_state.walk_kind, 'phase', p_state.walk_phase,
    'mode', p_state.walk_mode, 'cursor', p_state.last_cursor, 'floor', p_state.walk_floor, 'ceiling', p_state.walk_ceiling,
    'position', p_state.walk_position, 'newest', p_state.walk_newest, 'pages', p_state.walk_pages, 'rows', p_state.walk_rows,
    'notes', p_state.walk_notes, 'high_water', p_state.high_water, 'aside_checked_at', p_state.aside_checked_at,
    'aside_due', p_state.aside_checked_at is null
      or p_state.aside_checked_at <= private.engine_now()
           - coalesce((select t.aside_every from private.sync_streams t where t.sync_type = p_state.sync_type), interval '1 hour'))
$$;
comment on function private.walk_reply(public.sync_state) is 'The state of a walk as the worker gets it.';
revoke all on function private.walk_reply(public.sync_state) from public, anon, authenticated;
grant execute on function private.walk_reply(public.sync_state) to service_role;

create or replace function public.begin_sync_walk(p_job_id bigint, p_lease_id bigint)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs := private.hold_job(p_job_id, p_lease_id);
  v_state public.sync_state;
  v_stream private.sync_streams;
  v_kind text;
  v_floor timestamptz;
  v_reach timestamptz;
begin
  insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at)
  values (v_job.agency_id, v_job.model_id, v_job.sync_type, v_now)
  on conflict (model_id, sync_type) do nothing;
  select s.* into v_state
  from public.sync_state s
  where s.model_id = v_job.model_id and s.sync_type = v_job.sync_type
  for update;
  select t.* into v_stream from private.sync_streams t where t.sync_type = v_job.sync_type;
  if not found then
    raise sqlstate 'PT422' using message = format('stream %L has no row in private.sync_streams', v_job.sync_type);
  end if;

  if v_state.walk_id is not null and (v_state.walk_kind = 'full' or not v_state.full_requested) then
    return private.walk_reply(v_state);
  end if;

  if v_state.high_water is null or v_state.full_requested then
    v_kind := 'full';
  elsif v_state.last_deep_at is null or v_state.last_deep_at <= v_now - v_stream.deep_every then
    v_kind := 'deep';
    v_floor := v_state.high_water - v_stream.deep_lookback;
  else
    v_kind := 'incremental';
    select t.fanvue_created_at into v_reach
    from public.fanvue_transactions t
    where t.model_id = v_job.model_id
    order by t.fanvue_created_at desc
    offset v_stream.lookback_rows - 1 limit 1;
    -- free look-back inside the one page that a poll pays for anyway, bounded on both sides
    v_floor := least(v_state.high_water - v_stream.lookback_min,
                     greatest(v_state.high_water - v_stream.lookback_max, v_reach));
  end if;

  update public.sync_state s
  set walk_id = gen_random_uuid(), walk_kind = v_kind, walk_phase = 'rows', walk_mode = 'cursor', walk_started_at = v_now,
      walk_floor = v_floor, walk_ceiling = null, walk_position = null, walk_newest = null, walk_border = '{}',
      walk_pages = 0, walk_rows = 0, walk_notes = '{}', last_cursor = null, full_requested = false,
      last_page_key = null, last_page_reply = null
  where s.id = v_state.id
  returning s.* into v_state;
  return private.walk_reply(v_state);
end
$$;
comment on function public.begin_sync_walk(bigint, bigint) is
  'Opens the walk of a leased job, or returns the open one to resume. Its floor is frozen here, its ceiling with the first page.';
revoke all on function public.begin_sync_walk(bigint, bigint) from public, anon, authenticated;
grant execute on function public.begin_sync_walk(bigint, bigint) to service_role;

create or replace function public.commit_sync_page(
  p_job_id bigint, p_lease_id bigint, p_version bigint, p_page jsonb, p_lease_seconds integer default 60)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs;
  v_state public.sync_state;
  v_stream private.sync_streams;
  v_done record;
  v_rows jsonb := coalesce(p_page -> 'rows', '[]');
  v_complete boolean := coalesce((p_page ->> 'complete')::boolean, false);
  -- read to the end, but something on the way could not be read: the walk closes and the high-water mark stays
  v_partial text := p_page ->> 'partial';
  v_position timestamptz := (p_page ->> 'position')::timestamptz;
  v_newest timestamptz;
  v_ceiling timestamptz;
  v_version bigint;
  v_reply jsonb;
begin
  perform private.lock_model(j.model_id) from public.sync_jobs j where j.id = p_job_id;
  v_job := private.hold_job(p_job_id, p_lease_id);
  -- events that came before the model was known, and were too many for the moment of her grant
  perform private.apply_parked(m.fanvue_user_uuid, v_now) from public.models m where m.id = v_job.model_id;
  select s.* into v_state
  from public.sync_state s
  where s.model_id = v_job.model_id and s.sync_type = v_job.sync_type
  for update;
  if v_state.version = p_version + 1 and v_state.last_page_key = p_page ->> 'key' then
    return v_state.last_page_reply;
  end if;
  if not found or v_state.version <> p_version or v_state.walk_id is null
     or v_state.walk_id is distinct from (p_page ->> 'walk_id')::uuid then
    raise sqlstate 'PT410' using message = format('the walk of job %s moved on to version %s; the page was read on version %s',
                                                  p_job_id, v_state.version, p_version),
      hint = 'stop the task and write nothing';
  end if;

  select a.inserted, a.updated, a.unchanged, a.amount into v_done
  from private.apply_transactions(v_job.agency_id, v_job.model_id, v_rows, v_state.walk_border, v_now) a;

  v_ceiling := coalesce(v_state.walk_ceiling, (p_page ->> 'ceiling')::timestamptz, v_now);
  if coalesce(p_page ->> 'phase', 'rows') = 'rows' then
    select greatest(v_state.walk_newest, max((r ->> 'at')::timestamptz)) into v_newest from jsonb_array_elements(v_rows) r;
  else
    v_newest := v_state.walk_newest;
  end if;
  v_version := v_state.version + 1;
  v_reply := jsonb_build_object('version', v_version, 'inserted', v_done.inserted, 'updated', v_done.updated,
                                'unchanged', v_done.unchanged, 'amount', v_done.amount::text,
                                'cancel', v_job.cancel_requested, 'complete', v_complete);
  select t.* into v_stream from private.sync_streams t where t.sync_type = v_job.sync_type;

  update public.sync_state s
  set version = v_version, last_page_key = p_page ->> 'key', last_page_reply = v_reply, last_sync_at = v_now,
      walk_id = case when not v_complete then s.walk_id end,
      walk_kind = case when not v_complete then s.walk_kind end,
      walk_phase = case when not v_complete then coalesce(p_page ->> 'next_phase', s.walk_phase) end,
      walk_mode = case when not v_complete then coalesce(p_page ->> 'mode', s.walk_mode) end,
      walk_ceiling = case when not v_complete then v_ceiling end,
      walk_newest = case when not v_complete then v_newest end,
      walk_position = case when v_complete then null else v_position end,
      walk_floor = case when not v_complete then s.walk_floor end,
      walk_started_at = case when not v_complete then s.walk_started_at end,
      walk_border = case when v_complete or v_position is null or p_page ->> 'mode' = 'window' then '{}'
                    else array(select t.id from public.fanvue_transactions t
                               where t.model_id = v_job.model_id and t.fanvue_created_at = v_position) end,
      walk_pages = s.walk_pages + 1,
      walk_rows = s.walk_rows + jsonb_array_length(v_rows),
      walk_notes = case when v_complete then '{}'::jsonb else s.walk_notes || coalesce(p_page -> 'notes', '{}') end,
      last_cursor = case when not v_complete then p_page ->> 'cursor' end,
      -- the high-water mark: only when the enumeration finished, never past the ceiling, never backwards
      high_water = case when v_complete and v_partial is null
                   then greatest(s.high_water, case when v_newest is not null then least(v_newest, v_ceiling)
                                                    when s.high_water is null then v_ceiling end)
                   else s.high_water end,
      last_success_at = case when v_complete and v_partial is null then v_now else s.last_success_at end,
      last_full_at = case when v_complete and v_partial is null and s.walk_kind = 'full' then v_now else s.last_full_at end,
      last_deep_at = case when v_complete and v_partial is null and s.walk_kind in ('full', 'deep') then v_now else s.last_deep_at end,
      aside_checked_at = case when coalesce((p_page ->> 'aside_checked')::boolean, false) then v_now else s.aside_checked_at end,
      consecutive_failures = case when not v_complete then s.consecutive_failures when v_partial is null then 0
                             else s.consecutive_failures + 1 end,
      last_error = case when not v_complete then s.last_error
                        when v_partial is not null then jsonb_build_object('kind', 'partial', 'message', v_partial, 'at', v_now) end,
      next_sync_at = case when v_complete then private.next_slot(s.model_id, s.sync_type, v_stream.every, v_now)
                     else s.next_sync_at end
  where s.id = v_state.id;

  update public.sync_jobs j
  set lease_until = greatest(j.lease_until, v_now + make_interval(secs => p_lease_seconds)),
      -- a job that gets on is no poison, however often its workers die
      attempt = least(j.attempt, 1::smallint),
      pages = j.pages + coalesce((p_page ->> 'pages')::integer, 1),
      rows_inserted = j.rows_inserted + v_done.inserted,
      rows_updated = j.rows_updated + v_done.updated,
      rows_unchanged = j.rows_unchanged + v_done.unchanged,
      progress = jsonb_build_object('kind', v_state.walk_kind, 'phase', coalesce(p_page ->> 'phase', v_state.walk_phase),
                                    'pages', v_state.walk_pages + 1,
                                    'rows', v_state.walk_rows + jsonb_array_length(v_rows),
                                    'position', coalesce(v_position, v_state.walk_position),
                                    'floor', v_state.walk_floor, 'ceiling', v_ceiling)
                   || case when p_page -> 'notes' ? 'verified'
                           then jsonb_build_object('verified', p_page -> 'notes' -> 'verified') else '{}'::jsonb end
  where j.id = v_job.id;
  return v_reply;
end
$$;
comment on function public.commit_sync_page(bigint, bigint, bigint, jsonb, integer) is
  'Commits one page of a walk: rows, cursor, position, counters, progress and the extended lease in one transaction, guarded by lease and version. '
  'The same page again returns the same answer. complete closes the walk and moves the high-water mark; complete with partial closes it and does not.';
revoke all on function public.commit_sync_page(bigint, bigint, bigint, jsonb, integer) from public, anon, authenticated;
grant execute on function public.commit_sync_page(bigint, bigint, bigint, jsonb, integer) to service_role;
