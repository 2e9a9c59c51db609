-- Purpose: the history of finished jobs. A run that found nothing new is counted by stream and hour (quiet_runs); what is news, failed,
-- was read in part, took several attempts, read history or was asked for by a person is a row of its own (sync_runs).
-- Who may call: the functions that settle, as service_role.
-- Locks: the rows written.

create table private.quiet_runs (
  model_id uuid not null references public.models (id) on delete cascade,
  sync_type text not null,
  hour timestamptz not null,
  runs integer not null,
  requests integer not null,
  last_lease_id bigint not null,
  primary key (model_id, sync_type, hour)
  -- a poll counts in place, and indexes nothing anew
) with (fillfactor = 70);
comment on table private.quiet_runs is
  'Runs that succeeded and found nothing new, counted by stream and hour: most of what an engine does, and nothing that anybody reads run by run. All others are rows of sync_runs.';
comment on column private.quiet_runs.hour is 'The UTC hour in which they ended.';
comment on column private.quiet_runs.runs is 'How many there were.';
comment on column private.quiet_runs.requests is 'Their calls to Fanvue, retries included.';
comment on column private.quiet_runs.last_lease_id is 'The lease under which the last one ended: it is accepted once more when the reply was lost.';
create index quiet_runs_hour_idx on private.quiet_runs (hour);
revoke all on private.quiet_runs from public, anon, authenticated;
grant select, insert, update, delete on private.quiet_runs to service_role;

create or replace function private.archive_job(
  p_job public.sync_jobs, p_state text, p_error jsonb, p_stats jsonb, p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  insert into public.sync_runs (job_id, lease_id, agency_id, model_id, sync_type, state, attempt, pages, requests,
                                rows_inserted, rows_updated, rows_unchanged, throttled, waited_ms,
                                queued_at, started_at, finished_at, worker, error, detail)
  values (p_job.id, p_job.lease_id, p_job.agency_id, p_job.model_id, p_job.sync_type, p_state, p_job.attempt, p_job.pages,
          p_job.requests + coalesce((p_stats ->> 'requests')::integer, 0),
          p_job.rows_inserted, p_job.rows_updated, p_job.rows_unchanged,
          coalesce((p_stats ->> 'throttled')::integer, 0), coalesce((p_stats ->> 'waited_ms')::bigint, 0),
          p_job.created_at, p_job.claimed_at, p_now, p_job.claimed_by, p_error,
          coalesce(p_job.progress, '{}'::jsonb) || jsonb_build_object('cause', private.cause_of(p_job.cause, p_job.created_at)))
$$;
comment on function private.archive_job(public.sync_jobs, text, jsonb, jsonb, timestamptz) is
  'Writes a job that leaves the queue without success into sync_runs.';
revoke all on function private.archive_job(public.sync_jobs, text, jsonb, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.archive_job(public.sync_jobs, text, jsonb, jsonb, timestamptz) to service_role;

create or replace function private.archive_done(p_ids bigint[], p_items jsonb[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  with items as (
    select i.id, i.item, coalesce(i.item ->> 'state', 'succeeded') as state, nullif(i.item -> 'error', 'null') as error,
           coalesce((i.item -> 'stats' ->> 'requests')::integer, 0) as requests,
           coalesce((i.item -> 'stats' ->> 'throttled')::integer, 0) as throttled,
           coalesce((i.item -> 'stats' ->> 'waited_ms')::bigint, 0) as waited_ms
    from unnest(p_ids, p_items) i(id, item)
  ), ended as (
    delete from public.sync_jobs j using items i where j.id = i.id
    returning j.*, i.state as ended_as, i.error, j.requests + i.requests as calls, i.throttled, i.waited_ms,
      -- nothing new, no trouble, nobody asked, no history read
      i.state = 'succeeded' and i.error is null and i.throttled = 0 and j.attempt <= 1 and j.priority > 5 and j.asked_at is null
      and j.rows_inserted + j.rows_updated = 0 and coalesce(j.cause like 'webhook %', true) and j.sync_type <> 'reconcile'
      and coalesce(j.progress ->> 'kind' in ('incremental', 'deep') and not j.progress ? 'details', true) as is_quiet
  ), counted as (
    insert into private.quiet_runs as q (model_id, sync_type, hour, runs, requests, last_lease_id)
    select e.model_id, e.sync_type, date_trunc('hour', p_now, 'UTC'), count(*), sum(e.calls), max(e.lease_id)
    from ended e
    where e.is_quiet
    group by e.model_id, e.sync_type
    on conflict (model_id, sync_type, hour) do update
      set runs = q.runs + excluded.runs, requests = q.requests + excluded.requests,
          last_lease_id = excluded.last_lease_id
  )
  insert into public.sync_runs (job_id, lease_id, agency_id, model_id, sync_type, state, attempt, pages, requests,
                                rows_inserted, rows_updated, rows_unchanged, throttled, waited_ms,
                                queued_at, started_at, finished_at, worker, error, detail)
  select e.id, e.lease_id, e.agency_id, e.model_id, e.sync_type, e.ended_as, e.attempt, e.pages, e.calls,
         e.rows_inserted, e.rows_updated, e.rows_unchanged, e.throttled, e.waited_ms,
         e.created_at, e.claimed_at, p_now, e.claimed_by, e.error,
         -- what the counters say already is not said twice, nor the window of a poll, which is the stream's state
         case when e.sync_type = 'reconcile' or e.ended_as <> 'succeeded' then coalesce(e.progress, '{}')
              else jsonb_strip_nulls(coalesce(e.progress, '{}')
                     - case when e.progress ->> 'kind' = 'incremental' then '{phase,pages,rows,position,floor,ceiling}'::text[]
                            else '{phase,pages,rows,position}'::text[] end) end
         || jsonb_build_object('cause', private.cause_of(e.cause, e.created_at))
  from ended e
  where not e.is_quiet;
end
$$;
comment on function private.archive_done(bigint[], jsonb[], timestamptz) is
  'Takes jobs that are done out of the queue: into quiet_runs where nothing was new, else into sync_runs. The caller holds their rows.';
revoke all on function private.archive_done(bigint[], jsonb[], timestamptz) from public, anon, authenticated;
grant execute on function private.archive_done(bigint[], jsonb[], timestamptz) to service_role;
