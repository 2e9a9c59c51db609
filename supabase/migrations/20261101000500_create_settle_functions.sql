-- Purpose: giving work back: settle (done, retry, snooze, yield, cancelled, fail, dead), and the reaper of dead workers' leases.
-- Who may call: service_role; pg_cron calls reap as the migration's owner.
-- Lock order: enqueue, settle and reap take rows ordered by (model_id, sync_type), so they cannot dead-lock.

create or replace function private.note_stream_failure(p_job public.sync_jobs, p_error jsonb, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  -- A stream that keeps failing is tried ever more seldom, up to every six hours: visible, cheap, and it heals by itself.
  update public.sync_state s
  set consecutive_failures = s.consecutive_failures + 1,
      last_error = p_error || jsonb_build_object('at', p_now),
      next_sync_at = case when m.status = 'active' and coalesce(t.enabled, true) then p_now + least(interval '6 hours', coalesce(t.every, interval '15 minutes') * (2 ^ least(s.consecutive_failures, 8))) end
  from public.models m
  left join lateral private.stream_settings(m.agency_id, m.id, p_job.sync_type) t on true
  where s.model_id = p_job.model_id and s.sync_type = p_job.sync_type and m.id = p_job.model_id
$$;
comment on function private.note_stream_failure(public.sync_jobs, jsonb, timestamptz) is 'Counts a failed run on its stream and sets when it is tried again.';
revoke all on function private.note_stream_failure(public.sync_jobs, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.note_stream_failure(public.sync_jobs, jsonb, timestamptz) to service_role;

create or replace function private.move_stream_on(p_job public.sync_jobs, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  update public.sync_state s
  set next_sync_at = private.next_due(s, p_now)
  where s.model_id = p_job.model_id and s.sync_type = p_job.sync_type and s.next_sync_at <= p_now
$$;
comment on function private.move_stream_on(public.sync_jobs, timestamptz) is
  'Moves a due stream to its next slot, so that a cancelled run is not queued again by the very next tick.';
revoke all on function private.move_stream_on(public.sync_jobs, timestamptz) from public, anon, authenticated;
grant execute on function private.move_stream_on(public.sync_jobs, timestamptz) to service_role;

create or replace function private.requeue_job(p_job public.sync_jobs, p_run_at timestamptz, p_attempt integer,
                                               p_priority smallint, p_error jsonb, p_stats jsonb)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  update public.sync_jobs j
  set state = 'queued', run_at = p_run_at, attempt = p_attempt,
      priority = coalesce(p_priority, j.priority), lease_id = null, lease_until = null, claimed_by = null, claim_id = null,
      requests = j.requests + coalesce((p_stats ->> 'requests')::integer, 0),
      last_error = coalesce(p_error, j.last_error)
  where j.id = p_job.id;
  return true;
exception when unique_violation then
  -- A successor was queued meanwhile: it inherits the work, and what was already done is kept in sync_state.
  return false;
end
$$;
comment on function private.requeue_job(public.sync_jobs, timestamptz, integer, smallint, jsonb, jsonb) is
  'Puts a running job back; false when a successor is queued already and the job must fold into it.';
revoke all on function private.requeue_job(public.sync_jobs, timestamptz, integer, smallint, jsonb, jsonb) from public, anon, authenticated;
grant execute on function private.requeue_job(public.sync_jobs, timestamptz, integer, smallint, jsonb, jsonb) to service_role;

create or replace function private.settle_job(p_job public.sync_jobs, p_item jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_outcome text := p_item ->> 'outcome';
  v_error jsonb := p_item -> 'error';
  v_stats jsonb := coalesce(p_item -> 'stats', '{}');
  v_wait double precision := (p_item ->> 'retry_in_s')::double precision;
  v_requeued boolean;
begin
  if v_outcome = 'retry' and p_job.attempt >= p_job.max_attempts then
    v_outcome := 'dead';
  end if;
  if v_outcome in ('retry', 'snooze', 'yield')
     and (p_job.cancel_requested
          or exists (select from public.models m where m.id = p_job.model_id and m.status <> 'active')) then
    -- A worker that had not heard of the cancellation yet does not undo it; a stopped model costs nothing.
    v_outcome := 'cancelled';
  end if;
  if v_outcome in ('retry', 'snooze', 'yield')
     and exists (select from public.models m
                 cross join lateral private.stream_settings(m.agency_id, m.id, p_job.sync_type) t
                 where m.id = p_job.model_id and not t.enabled) then
    -- A backfill takes hours: a stream that was switched off meanwhile does not wait for its end.
    v_outcome := 'cancelled';
    v_error := coalesce(v_error, jsonb_build_object('kind', 'stream_off', 'message', 'the stream was switched off'));
  end if;
  if v_outcome in ('retry', 'snooze', 'yield') then
    v_requeued := private.requeue_job(
      p_job,
      p_now + make_interval(secs => coalesce(v_wait, case v_outcome
        when 'retry' then least(3600, 5 * 2 ^ p_job.attempt) * (0.8 + 0.4 * random())
        when 'snooze' then 1 else 0 end)),
      -- attempts count what fails in a row: a long walk that gets on survives any number of mishaps
      case v_outcome when 'yield' then 0 when 'snooze' then p_job.attempt - 1 else p_job.attempt end,
      -- a slice of a long walk goes behind everything live; a poll that has much to read stays live
      case when v_outcome = 'yield' and coalesce(p_job.progress ->> 'kind', 'full') <> 'incremental'
           then greatest(p_job.priority, 100::smallint) end,
      v_error, v_stats);
    if not v_requeued then
      perform private.archive_job(p_job, 'partial',
        coalesce(v_error, jsonb_build_object('kind', 'folded', 'message', 'a newer job of the same stream took over')), v_stats, p_now);
      delete from public.sync_jobs j where j.id = p_job.id;
    end if;
    return;
  end if;
  if v_outcome = 'dead' then
    delete from public.sync_jobs j
    where j.model_id = p_job.model_id and j.sync_type = p_job.sync_type and j.state = 'dead';
    update public.sync_jobs j
    set state = 'dead', lease_id = null, lease_until = null, claim_id = null, last_error = coalesce(v_error, j.last_error),
        requests = j.requests + coalesce((v_stats ->> 'requests')::integer, 0)
    where j.id = p_job.id;
    perform private.archive_job(p_job, 'failed', v_error, v_stats, p_now);
    perform private.note_stream_failure(p_job, coalesce(v_error, '{}'), p_now);
    return;
  end if;
  if v_outcome not in ('cancelled', 'fail') then
    raise sqlstate 'PT422' using message = format('a job is not settled alone with the outcome %L', v_outcome);
  end if;
  perform private.archive_job(p_job, case v_outcome when 'cancelled' then 'cancelled' else 'failed' end, v_error, v_stats, p_now);
  delete from public.sync_jobs j where j.id = p_job.id;
  if v_outcome = 'fail' then
    perform private.note_stream_failure(p_job, coalesce(v_error, '{}'), p_now);
  else
    perform private.move_stream_on(p_job, p_now);
  end if;
end
$$;
comment on function private.settle_job(public.sync_jobs, jsonb, timestamptz) is
  'Applies one outcome other than done to one leased job, whose row the caller has locked.';
revoke all on function private.settle_job(public.sync_jobs, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.settle_job(public.sync_jobs, jsonb, timestamptz) to service_role;

create or replace function private.settle_done(p_ids bigint[], p_items jsonb[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_models uuid[];
  v_types text[];
  v_good boolean[];
begin
  select array_agg(j.model_id order by j.model_id, j.sync_type), array_agg(j.sync_type order by j.model_id, j.sync_type),
         array_agg(coalesce(i.item ->> 'state', 'succeeded') = 'succeeded' order by j.model_id, j.sync_type)
  into v_models, v_types, v_good
  from unnest(p_ids, p_items) i(id, item)
  join public.sync_jobs j on j.id = i.id;
  perform private.archive_done(p_ids, p_items, p_now);
  -- a stream that is due still moves to its next slot, so that the very next tick does not queue it again
  update public.sync_state s
  set next_sync_at = private.next_due(s, p_now)
  from unnest(v_models, v_types) e(model_id, sync_type)
  where s.model_id = e.model_id and s.sync_type = e.sync_type and s.next_sync_at <= p_now;
  -- A stream that works again has no dead job. Whoever holds one brings it back, or takes it away, themselves.
  delete from public.sync_jobs j
  where j.id in (select d.id
                 from unnest(v_models, v_types, v_good) e(model_id, sync_type, good)
                 join public.sync_jobs d on d.model_id = e.model_id and d.sync_type = e.sync_type and d.state = 'dead'
                 where e.good
                 for update of d skip locked);
end
$$;
comment on function private.settle_done(bigint[], jsonb[], timestamptz) is
  'Ends jobs that are done, all at once. The caller holds their rows, in the order of model and stream.';
revoke all on function private.settle_done(bigint[], jsonb[], timestamptz) from public, anon, authenticated;
grant execute on function private.settle_done(bigint[], jsonb[], timestamptz) to service_role;

create or replace function private.tell_given_back(p_ids bigint[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.note_due((select count(*)
                            from unnest(p_ids) i(id)
                            cross join lateral (select s.state, s.run_at from public.sync_jobs s where s.id = i.id offset 0) j
                            -- whoever is told looks when the next is due, and until then sleeps no longer than so
                            where j.state = 'queued' and j.run_at <= p_now + interval '20 seconds'));
end
$$;
comment on function private.tell_given_back(bigint[], timestamptz) is
  'Tells the workers which of these jobs are due, or will be before an idle worker looks by itself: their worker left and takes them no more.';
revoke all on function private.tell_given_back(bigint[], timestamptz) from public, anon, authenticated;
grant execute on function private.tell_given_back(bigint[], timestamptz) to service_role;

create or replace function public.settle_sync_jobs(p_worker text, p_items jsonb)
returns jsonb
language plpgsql
set search_path = ''
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_now timestamptz := private.engine_now();
  v_ids bigint[];
  v_items jsonb[];
  v_accepted bigint[];
  v_left bigint[];
  v_bad text;
  v_job public.sync_jobs;
  r record;
begin
  select i ->> 'outcome' into v_bad
  from jsonb_array_elements(p_items) i
  where coalesce(i ->> 'outcome', '') not in ('done', 'retry', 'snooze', 'yield', 'cancelled', 'fail', 'dead')
     or (i ->> 'id') is null or (i ->> 'lease_id') is null
  limit 1;
  if found then
    raise sqlstate 'PT422' using message = format('worker %s settles with the unknown outcome %L, or an item has no id and lease_id', p_worker, v_bad);
  end if;
  select array_agg(l.id), array_agg(o.item) into v_ids, v_items
  from (select i.id, i.lease_id, i.item
        from (select distinct on (e ->> 'id', e ->> 'lease_id') e as item, (e ->> 'id')::bigint as id, (e ->> 'lease_id')::bigint as lease_id
              from jsonb_array_elements(p_items) e) i
        -- One primary-key probe per item, fenced: no predicate inside that a partial index could answer.
        cross join lateral (select s.model_id, s.sync_type from public.sync_jobs s where s.id = i.id and s.lease_id = i.lease_id offset 0) j
        order by j.model_id, j.sync_type) o
  cross join lateral (select s.id from public.sync_jobs s where s.id = o.id and s.lease_id = o.lease_id for update) l;
  v_accepted := coalesce(v_ids, '{}');
  for r in
    select i.id, i.item from unnest(v_ids, v_items) with ordinality i(id, item, place)
    where i.item ->> 'outcome' <> 'done' order by i.place
  loop
    select s.* into strict v_job from public.sync_jobs s where s.id = r.id;
    perform private.settle_job(v_job, r.item, v_now);
    if r.item ->> 'leaving' = 'true' then
      v_left := v_left || r.id;
    end if;
  end loop;
  if v_left is not null then
    perform private.tell_given_back(v_left, v_now);
  end if;
  select array_agg(i.id), array_agg(i.item) into v_ids, v_items
  from unnest(v_ids, v_items) i(id, item) where i.item ->> 'outcome' = 'done';
  if v_ids is not null then
    perform private.settle_done(v_ids, v_items, v_now);
  end if;
  if cardinality(v_accepted) < jsonb_array_length(p_items) then
    -- Sent again after a lost reply: a job that left under this very lease counts as accepted.
    select v_accepted || coalesce(array_agg(distinct x.id), '{}') into v_accepted
    from jsonb_to_recordset(p_items) x(id bigint, lease_id bigint, model_id uuid, sync_type text)
    where x.id <> all (v_accepted)
      -- One probe per item: joined, history is read from end to end by a plan from when it was short.
      and (exists (select from public.sync_runs h where h.job_id = x.id and h.lease_id = x.lease_id offset 0)
           or exists (select from private.quiet_runs q
                      where q.model_id = x.model_id and q.sync_type = x.sync_type and q.hour >= v_now - interval '2 hours'
                        and q.last_lease_id = x.lease_id offset 0));
  end if;
  return to_jsonb(v_accepted);
end
$$;
comment on function public.settle_sync_jobs(text, jsonb) is
  'Ends or returns leased jobs: [{id, lease_id, outcome, model_id?, sync_type?, state?, retry_in_s?, error?, stats?, leaving?}]. Returns the ids accepted; a stale lease is not. '
  'retry counts an attempt and becomes dead after max_attempts; snooze does not count, yield counts anew. What a leaving worker gives back is told to the others.';
revoke all on function public.settle_sync_jobs(text, jsonb) from public, anon, authenticated;
grant execute on function public.settle_sync_jobs(text, jsonb) to service_role;

create or replace function public.reap_expired_leases(p_limit integer default 500)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_ids bigint[];
  v_job public.sync_jobs;
begin
  for v_job in
    select j.*
    from public.sync_jobs j
    where j.state = 'running' and j.lease_until < v_now
    order by j.model_id, j.sync_type
    limit p_limit
    for update skip locked
  loop
    v_ids := v_ids || v_job.id;
    perform private.settle_job(v_job, jsonb_build_object(
      'outcome', 'retry',
      -- the first loss of a worker costs no delay: a deploy or a crash says nothing about the job
      'retry_in_s', case when v_job.attempt <= 1 then 0 end,
      'error', jsonb_build_object('kind', 'lease_expired', 'message',
        format('worker %s stopped without a word; the job was taken back', v_job.claimed_by))), v_now);
  end loop;
  if v_ids is not null then
    perform private.tell_given_back(v_ids, v_now);
  end if;
  return jsonb_build_object('reaped', coalesce(cardinality(v_ids), 0));
end
$$;
comment on function public.reap_expired_leases(integer) is
  'Gives the jobs of vanished workers back to the queue. pg_cron calls it every minute, an idle worker more often.';
revoke all on function public.reap_expired_leases(integer) from public, anon, authenticated;
grant execute on function public.reap_expired_leases(integer) to service_role;
