-- Purpose: a walk over a stream's pages: begin (freeze the window) and commit (rows, cursor, counters and lease in one transaction).
-- A walk's beginning takes its first call along, and its last page ends the job: a poll of one page is claim, begin and commit.
-- What a page changes, and what the end of a walk means, is decided in the functions for pages.
-- Who may call: service_role. A stale lease gets PT410 and writes nothing; a repeated commit gets its first answer again.
-- Locks: a commit takes the model's row, the job's, the state's, in this order: as a change of the model's status does.

create or replace function private.hold_job(p_job_id bigint, p_lease_id bigint)
returns public.sync_jobs
language plpgsql
set search_path = ''
as $$
declare
  v_job public.sync_jobs;
  v_agency_id uuid;
begin
  select j.* into v_job from public.sync_jobs j where j.id = p_job_id and j.lease_id = p_lease_id for update;
  if not found then
    raise sqlstate 'PT410' using message = format('the lease %s of job %s is lost', p_lease_id, p_job_id),
      hint = 'stop the task and write nothing';
  end if;
  -- queued while the agency was changing: what it writes belongs to the one the creator is in
  select m.agency_id into v_agency_id from public.models m where m.id = v_job.model_id;
  if v_agency_id <> v_job.agency_id then
    update public.sync_jobs j set agency_id = v_agency_id where j.id = v_job.id returning j.* into v_job;
  end if;
  return v_job;
end
$$;
comment on function private.hold_job(bigint, bigint) is 'Locks a job under its current lease, or raises PT410. It belongs to its model''s agency from then on.';
revoke all on function private.hold_job(bigint, bigint) from public, anon, authenticated;
grant execute on function private.hold_job(bigint, bigint) to service_role;

create or replace function private.known_rows(p_model_id uuid, p_sync_type text)
returns bigint
language plpgsql
stable
set search_path = ''
as $$
declare
  v_known bigint;
begin
  case
    when p_sync_type = 'earnings' then
      select count(*) into v_known from public.fanvue_transactions t where t.model_id = p_model_id;
    when p_sync_type in ('subscribers', 'followers') then
      select count(*) into v_known from public.fanvue_fans f where f.model_id = p_model_id;
    when p_sync_type = 'posts' then
      select count(*) into v_known from public.fanvue_posts p where p.model_id = p_model_id;
    when p_sync_type in ('messages', 'message_history') then
      select count(*) into v_known from public.fanvue_chats c where c.model_id = p_model_id;
    when p_sync_type in ('top_fans', 'account') then
      v_known := 0;
    else
      raise sqlstate 'PT422' using message = format('stream %L has no list', p_sync_type);
  end case;
  return v_known;
end
$$;
comment on function private.known_rows(uuid, text) is 'How many rows of a stream''s list are held of a model: the bound on the pages of a long walk grows with it.';
revoke all on function private.known_rows(uuid, text) from public, anon, authenticated;
grant execute on function private.known_rows(uuid, text) to service_role;

create or replace function private.walk_reply(p_state public.sync_state)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'version', p_state.version, 'walk_id', p_state.walk_id, 'kind', p_state.walk_kind, 'phase', p_state.walk_phase,
      'mode', p_state.walk_mode, 'cursor', p_state.last_cursor, 'floor', p_state.walk_floor, 'ceiling', p_state.walk_ceiling,
      'position', p_state.walk_position, 'newest', p_state.walk_newest, 'pages', p_state.walk_pages, 'rows', p_state.walk_rows,
      'notes', p_state.walk_notes, 'high_water', p_state.high_water, 'aside_checked_at', p_state.aside_checked_at,
      'aside_due', p_state.aside_checked_at is null
        or p_state.aside_checked_at <= private.engine_now() - coalesce(t.aside_every, interval '1 hour'),
      'todo', case when p_state.sync_type in ('messages', 'message_history')
                   then private.chats_to_read(p_state.model_id, p_state.sync_type, p_state.walk_notes -> 'skipped') else '[]'::jsonb end,
      -- a poll of a few pages needs no bound, so nothing is counted for it
      'known', case when p_state.walk_kind <> 'incremental' or p_state.walk_pages > 0
                    then private.known_rows(p_state.model_id, p_state.sync_type) end,
      'validator', case when p_state.walk_kind = 'incremental' and p_state.walk_pages = 0
                         -- what is never read whole is read without asking once in a while: our row may have been altered
                         and (p_state.sync_type not in ('top_fans', 'account')
                              or p_state.last_deep_at > private.engine_now() - t.deep_every) then p_state.validator end,
      'settings', jsonb_build_object('keep_text', coalesce(t.keep_text, true), 'day', (private.engine_now() at time zone 'UTC')::date))
    from private.stream_settings(p_state.agency_id, p_state.model_id, p_state.sync_type) t);
end
$$;
comment on function private.walk_reply(public.sync_state) is 'The state of a walk as the worker gets it.';
revoke all on function private.walk_reply(public.sync_state) from public, anon, authenticated;
grant execute on function private.walk_reply(public.sync_state) to service_role;

create or replace function private.walk_window(p_state public.sync_state, p_settings private.sync_streams, p_now timestamptz,
                                               out kind text, out floor timestamptz)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_reach timestamptz;
  v_known timestamptz := p_state.high_water;
  v_held boolean := coalesce(p_state.whole_after > p_now, false);
begin
  if p_state.sync_type in ('top_fans', 'account', 'message_history') then
    kind := 'incremental';
  elsif not v_held and (p_state.high_water is null or p_state.full_requested) then
    kind := 'full';
  elsif p_state.sync_type in ('subscribers', 'followers', 'posts') then
    -- the newest page tells who came; only the whole list tells who left
    kind := case when not v_held and (p_state.last_full_at is null or p_state.last_full_at <= p_now - p_settings.deep_every)
                 then 'full' else 'incremental' end;
  elsif not v_held and (p_state.last_deep_at is null or p_state.last_deep_at <= p_now - p_settings.deep_every) then
    kind := 'deep';
    floor := p_state.high_water - p_settings.deep_lookback;
  else
    kind := 'incremental';
    if v_held then
      -- what the long reading could not read waits for the next one: meanwhile the newest row is where known things begin
      select greatest(v_known, max(x.at)) into v_known
      from (select max(t.fanvue_created_at) from public.fanvue_transactions t
            where t.model_id = p_state.model_id and t.origin = 'api' and p_state.sync_type = 'earnings'
            union all
            select max(c.last_message_at) from public.fanvue_chats c
            where c.model_id = p_state.model_id and p_state.sync_type = 'messages') x(at);
    end if;
    floor := v_known - p_settings.lookback_min;
    if p_state.sync_type = 'earnings' then
      select t.fanvue_created_at into v_reach
      from public.fanvue_transactions t
      where t.model_id = p_state.model_id
      order by t.fanvue_created_at desc
      offset p_settings.lookback_rows - 1 limit 1;
      -- free look-back inside the one page that a poll pays for anyway, bounded on both sides
      floor := least(floor, greatest(v_known - p_settings.lookback_max, v_reach));
    end if;
  end if;
end
$$;
comment on function private.walk_window(public.sync_state, private.sync_streams, timestamptz) is
  'What the next walk of a stream reads: its kind (incremental, deep, full) and how far back.';
revoke all on function private.walk_window(public.sync_state, private.sync_streams, timestamptz) from public, anon, authenticated;
grant execute on function private.walk_window(public.sync_state, private.sync_streams, timestamptz) to service_role;

create or replace function private.paid_reply(p_state public.sync_state, p_calls jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  -- a walk that goes on may call another endpoint next
  return private.walk_reply(p_state) || case
    when p_calls is null or p_state.walk_pages > 0 then '{}'
    else jsonb_build_object('calls', public.take_calls(
      p_calls ->> 'bucket', (p_calls ->> 'want')::integer, p_calls ->> 'lane', p_calls -> 'seen', p_calls ->> 'endpoint')) end;
end
$$;
comment on function private.paid_reply(public.sync_state, jsonb) is
  'The state of a walk as the worker gets it, and with it the calls of its first page, as take_calls gives them.';
revoke all on function private.paid_reply(public.sync_state, jsonb) from public, anon, authenticated;
grant execute on function private.paid_reply(public.sync_state, jsonb) to service_role;

create or replace function public.begin_sync_walk(p_job_id bigint, p_lease_id bigint, p_calls jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs := private.hold_job(p_job_id, p_lease_id);
  v_state public.sync_state;
  v_settings private.sync_streams;
  v_window record;
  v_held boolean;
begin
  insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at)
  values (v_job.agency_id, v_job.model_id, v_job.sync_type, v_now)
  on conflict (model_id, sync_type) do nothing;
  select s.* into v_state
  from public.sync_state s
  where s.model_id = v_job.model_id and s.sync_type = v_job.sync_type
  for update;
  select t.* into v_settings from private.stream_settings(v_job.agency_id, v_job.model_id, v_job.sync_type) t;
  if v_settings.sync_type is null then
    raise sqlstate 'PT422' using message = format('stream %L has no row in private.sync_streams', v_job.sync_type);
  end if;

  v_held := coalesce(v_state.whole_after > v_now, false);
  if v_state.walk_id is not null and (v_state.walk_kind = 'full' or not v_state.full_requested or v_held) then
    return private.paid_reply(v_state, p_calls);
  end if;

  select w.kind, w.floor into v_window from private.walk_window(v_state, v_settings, v_now) w;
  if v_state.full_requested and not v_held and v_job.sync_type in ('messages', 'message_history') then
    perform private.forget_reading(v_job.model_id);
  end if;
  update public.sync_state s
  set walk_id = gen_random_uuid(), walk_kind = v_window.kind, walk_phase = 'rows',
      walk_mode = case when v_job.sync_type = 'earnings' then 'window' else 'cursor' end, walk_started_at = v_now,
      walk_floor = v_window.floor, walk_ceiling = null, walk_position = null, walk_newest = null, walk_border = '{}',
      walk_pages = 0, walk_rows = 0, walk_changed = 0, walk_notes = '{}', last_cursor = null,
      -- asked for everything: what is read by polls alone is read without asking whether it changed
      validator = case when not (v_state.full_requested and v_window.kind = 'incremental') then s.validator end,
      full_requested = s.full_requested and v_held, whole_after = case when v_held then s.whole_after end,
      last_page_key = null, last_page_reply = null
  where s.id = v_state.id
  returning s.* into v_state;
  return private.paid_reply(v_state, p_calls);
end
$$;
comment on function public.begin_sync_walk(bigint, bigint, jsonb) is
  'Opens the walk of a leased job, or returns the open one to resume. Its floor is frozen here, its ceiling with the first page. '
  'p_calls {bucket, endpoint, want, lane, seen}: the calls of the first page are taken too, and answered as take_calls does; none for a walk that goes on.';
revoke all on function public.begin_sync_walk(bigint, bigint, jsonb) from public, anon, authenticated;
grant execute on function public.begin_sync_walk(bigint, bigint, jsonb) to service_role;

create or replace function public.commit_sync_page(
  p_job_id bigint, p_lease_id bigint, p_version bigint, p_page jsonb, p_lease_seconds integer default 60,
  p_settle jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs;
  v_state public.sync_state;
  v_settings private.sync_streams;
  v_done record;
  v_rows jsonb := coalesce(p_page -> 'rows', '[]');
  v_pages integer := coalesce((p_page ->> 'pages')::integer, 1);
  v_complete boolean := coalesce((p_page ->> 'complete')::boolean, false);
  v_unmodified boolean := coalesce((p_page ->> 'not_modified')::boolean, false);
  -- read to the end, but something on the way could not be read: the walk closes and the high-water mark stays
  v_partial text := p_page ->> 'partial';
  v_position timestamptz := (p_page ->> 'position')::timestamptz;
  v_newest timestamptz;
  v_ceiling timestamptz;
  v_todo jsonb := '[]'::jsonb;
  v_phase text := coalesce(p_page ->> 'next_phase', p_page ->> 'phase', 'rows');
  v_reply jsonb;
begin
  perform private.lock_page(p_job_id);
  if p_settle is not null and not exists (select from public.sync_jobs j where j.id = p_job_id and j.lease_id = p_lease_id) then
    -- sent again after a lost reply: the page has ended its job
    select s.last_page_reply into v_reply
    from public.sync_state s
    where s.model_id = (p_settle ->> 'model_id')::uuid and s.sync_type = p_settle ->> 'sync_type'
      and s.version = p_version + 1 and s.last_page_key = p_page ->> 'key';
    if found then
      return v_reply;
    end if;
  end if;
  v_job := private.hold_job(p_job_id, p_lease_id);
  -- events that came before the model was known, and were too many for the moment of the grant
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
  -- pages that were read while the last one was committed come as one: the walk as it stood before the last of them
  v_state.walk_pages := v_state.walk_pages + v_pages - 1;
  select t.* into v_settings from private.stream_settings(v_job.agency_id, v_job.model_id, v_job.sync_type) t;
  select a.inserted, a.updated, a.unchanged, a.amount into v_done from private.apply_page(v_job, v_state, v_settings, p_page, v_now) a;

  v_ceiling := coalesce(v_state.walk_ceiling, (p_page ->> 'ceiling')::timestamptz, v_now);
  v_newest := v_state.walk_newest;
  if coalesce(p_page ->> 'phase', 'rows') = 'rows' then
    select greatest(v_newest, max((r ->> 'at')::timestamptz)) into v_newest from jsonb_array_elements(v_rows) r;
  end if;
  -- Nothing modified, or a poll that found only what is known: the list need not be read on.
  v_complete := v_complete or v_unmodified
    or (v_state.walk_kind = 'incremental' and v_done.inserted = 0 and coalesce((p_page ->> 'until_known')::boolean, false));
  if v_job.sync_type in ('messages', 'message_history') then
    v_todo := private.chats_to_read(v_job.model_id, v_job.sync_type, (v_state.walk_notes || coalesce(p_page -> 'notes', '{}')) -> 'skipped');
    if v_complete or v_phase <> 'rows' then
      -- a walk over chats ends when none is left to read, or when its worker gave up on what is left
      v_complete := v_todo = '[]' or (v_complete and coalesce(p_page ->> 'phase', 'rows') <> 'rows');
      v_phase := case when v_job.sync_type = 'messages' then 'talk' else 'history' end;
    end if;
  end if;

  v_reply := jsonb_build_object('version', v_state.version + 1, 'inserted', v_done.inserted, 'updated', v_done.updated,
                                'unchanged', v_done.unchanged, 'amount', v_done.amount::text,
                                'cancel', v_job.cancel_requested, 'complete', v_complete, 'partial', null, 'todo', v_todo,
                                'settled', v_complete and v_partial is null and p_settle is not null);
  update public.sync_state s
  set version = s.version + 1, agency_id = v_job.agency_id, last_page_key = p_page ->> 'key', last_page_reply = v_reply, last_sync_at = v_now,
      walk_phase = v_phase, walk_mode = coalesce(p_page ->> 'mode', s.walk_mode), walk_ceiling = v_ceiling, walk_newest = v_newest,
      walk_position = v_position,
      -- only where a cursor may have split an instant; an older worker's cursor does so by days, too
      walk_border = case when v_job.sync_type <> 'earnings' or v_position is null or p_page ->> 'mode' = 'window' or p_page ->> 'cursor' is null then '{}'
                    else array(select t.id from public.fanvue_transactions t
                               where t.model_id = v_job.model_id and t.fanvue_created_at = v_position) end,
      walk_pages = v_state.walk_pages + 1,
      walk_rows = s.walk_rows + jsonb_array_length(v_rows),
      walk_changed = s.walk_changed + v_done.inserted + v_done.updated,
      walk_notes = s.walk_notes || coalesce(p_page -> 'notes', '{}'),
      last_cursor = p_page ->> 'cursor',
      validator = case when s.walk_pages > 0 or s.walk_kind <> 'incremental' or v_unmodified then s.validator
                       when jsonb_typeof(p_page -> 'validator') = 'object' then p_page -> 'validator' end,
      last_deep_at = case when v_job.sync_type in ('top_fans', 'account') and not v_unmodified then v_now else s.last_deep_at end,
      aside_checked_at = case when coalesce((p_page ->> 'aside_checked')::boolean, false) then v_now else s.aside_checked_at end
  where s.id = v_state.id;
  if v_complete then
    -- a list of one page needs no second look
    v_partial := private.finish_walk(v_state, v_settings, v_newest, v_ceiling, v_partial,
                                     v_state.walk_changed + v_done.inserted + v_done.updated > 0, v_now);
    if v_partial is null and v_state.walk_kind = 'incremental' and v_state.walk_pages = 0 and not v_unmodified
       and v_job.sync_type in ('subscribers', 'followers') and coalesce((p_page ->> 'complete')::boolean, false) then
      -- the poll happened to see the whole list, and it is shorter than ours: somebody left
      update public.sync_state s
      -- not at once: what is due when this job is settled moves on to its next slot
      set full_requested = true, next_sync_at = case when s.next_sync_at is not null then v_now + interval '30 seconds' end
      from public.models m
      where s.id = v_state.id and m.id = v_job.model_id
        and case v_job.sync_type when 'subscribers' then m.subscribers_count else m.followers_count end > jsonb_array_length(v_rows);
    end if;
  end if;
  if v_complete and v_partial is not null then
    v_reply := v_reply || jsonb_build_object('partial', v_partial, 'settled', false);
    update public.sync_state s set last_page_reply = v_reply where s.id = v_state.id;
  end if;

  update public.sync_jobs j
  set lease_until = greatest(j.lease_until, v_now + make_interval(secs => p_lease_seconds)),
      -- a job that gets on is no poison, however often its workers die
      attempt = least(j.attempt, 1::smallint),
      pages = j.pages + v_pages,
      rows_inserted = j.rows_inserted + v_done.inserted,
      rows_updated = j.rows_updated + v_done.updated,
      rows_unchanged = j.rows_unchanged + v_done.unchanged,
      progress = jsonb_build_object('kind', case when v_job.sync_type = 'message_history' then 'full' else v_state.walk_kind end,
                                    'phase', coalesce(p_page ->> 'phase', v_state.walk_phase),
                                    'pages', v_state.walk_pages + 1,
                                    'rows', v_state.walk_rows + jsonb_array_length(v_rows),
                                    'position', coalesce(v_position, v_state.walk_position),
                                    'floor', v_state.walk_floor, 'ceiling', v_ceiling)
                   -- details that records were read without: how many, and the JSON path of one
                   || jsonb_strip_nulls(jsonb_build_object('details', p_page -> 'notes' -> 'details',
                                                           'details_example', p_page -> 'notes' -> 'details_example'))
  where j.id = v_job.id;
  if (v_reply ->> 'settled')::boolean then
    perform public.settle_sync_jobs(v_job.claimed_by, jsonb_build_array(
      p_settle || jsonb_build_object('id', p_job_id, 'lease_id', p_lease_id, 'outcome', 'done', 'state', 'succeeded')));
  end if;
  return v_reply;
end
$$;
comment on function public.commit_sync_page(bigint, bigint, bigint, jsonb, integer, jsonb) is
  'Commits one page of a walk, or several as one: rows, cursor, position, counters, progress and the extended lease in one transaction, guarded by lease and version. '
  'The same page again returns the same answer. complete closes the walk and moves the high-water mark; complete with partial closes it and does not. '
  'The answer''s complete counts: a poll that found only what is known, or an answer 304, closes the walk too. '
  'p_settle {model_id, sync_type, stats}: if the page ends the walk and nothing is partial, the job is done with it (settled), as by settle_sync_jobs.';
revoke all on function public.commit_sync_page(bigint, bigint, bigint, jsonb, integer, jsonb) from public, anon, authenticated;
grant execute on function public.commit_sync_page(bigint, bigint, bigint, jsonb, integer, jsonb) to service_role;
