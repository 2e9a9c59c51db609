-- Purpose: ops.running and ops.dead_jobs: what workers do now, and what gave up.
-- Who may call: service_role, and the owner in Studio. Cost: running and dead jobs only, by their partial indexes.

create or replace function private.walk_share(p_job public.sync_jobs)
returns numeric
language sql
stable
set search_path = ''
set enable_seqscan = off
as $$
  -- A list of money is read from now back to its floor; of a first backfill nobody knows how far that is.
  select round(100 * least(1, greatest(0, x.share)), 0)
  from (
    select case
      when p_job.sync_type in ('earnings', 'reconcile') and (p.progress ->> 'position') is not null
        then (extract(epoch from (p.progress ->> 'ceiling')::timestamptz - (p.progress ->> 'position')::timestamptz)
              / nullif(extract(epoch from (p.progress ->> 'ceiling')::timestamptz
                                          - coalesce((p.progress ->> 'floor')::timestamptz,
                                                     case when s.last_full_at is not null then
                                                       (select min(t.fanvue_created_at) from public.fanvue_transactions t
                                                        where t.model_id = p_job.model_id) end)), 0))
      when p_job.sync_type = 'message_history'
        then (select count(*) filter (where c.history_done)::numeric / nullif(count(*), 0)
              from public.fanvue_chats c where c.model_id = p_job.model_id)
      when p_job.sync_type in ('subscribers', 'followers') and p.progress ->> 'kind' = 'full'
        then (select (p.progress ->> 'rows')::numeric / nullif(case p_job.sync_type when 'subscribers' then u.subscribers else u.followers end, 0)
              from public.fanvue_accounts u where u.model_id = p_job.model_id) end as share
    from (select p_job.progress as progress) p
    left join public.sync_state s on s.model_id = p_job.model_id and s.sync_type = p_job.sync_type
  ) x
$$;
comment on function private.walk_share(public.sync_jobs) is 'How much of a running job''s walk is done, in per cent; null where that cannot be known.';
revoke all on function private.walk_share(public.sync_jobs) from public, anon, authenticated;
grant execute on function private.walk_share(public.sync_jobs) to service_role;

create or replace view ops.running
with (security_invoker = true) as
select a.name as agency, private.creator_name(m) as creator, j.sync_type as stream, private.span_words(n.now - j.claimed_at) as running_for,
       case when j.progress is null then 'begun'
            else concat_ws(', ',
                   case j.progress ->> 'kind' when 'full' then 'reads everything' when 'deep' then 'looks back far'
                        when 'reconcile' then 'proves ' || (j.progress ->> 'days') || ' days' else 'reads news' end,
                   (j.progress ->> 'pages') || ' pages', (j.progress ->> 'rows') || ' rows',
                   'down to ' || left(j.progress ->> 'position', 10)) end as progress,
       private.walk_share(j) as per_cent,
       case when j.lease_until < n.now then 'ended ' || private.span_words(n.now - j.lease_until) || ' ago: the worker is gone'
            else private.span_words(j.lease_until - n.now) end as lease_left,
       j.claimed_by as worker, j.attempt, j.requests as calls, j.cancel_requested as stopping,
       case when j.lease_until < n.now then format('select ops.release_job(%s)', j.id) else format('select ops.cancel_job(%s)', j.id) end as to_stop_it,
       j.claimed_at as running_since, j.id as job_id, j.model_id, j.agency_id
from (select private.engine_now() as now) n
cross join public.sync_jobs j
join public.models m on m.id = j.model_id
join public.agencies a on a.id = j.agency_id
where j.state = 'running'
order by j.claimed_at, j.id;
comment on view ops.running is 'What workers do at this moment: since when, how far, how long their leases last.';
comment on column ops.running.agency is 'The agency''s name.';
comment on column ops.running.creator is 'The creator''s handle.';
comment on column ops.running.stream is 'What is read.';
comment on column ops.running.running_for is 'How long this attempt has been running.';
comment on column ops.running.progress is 'What it is doing and how far it got.';
comment on column ops.running.per_cent is 'How much is done; empty where that cannot be known, as of a first backfill.';
comment on column ops.running.lease_left is 'How long the job stays the worker''s without a word from it. Workers renew every few seconds.';
comment on column ops.running.worker is 'The worker that has it.';
comment on column ops.running.attempt is 'Which attempt in a row this is; 1 after any page that was committed.';
comment on column ops.running.calls is 'Calls to Fanvue in earlier slices of this job.';
comment on column ops.running.stopping is 'It was told to stop and will at its next page.';
comment on column ops.running.to_stop_it is 'The call that stops it, or takes it back from a worker that is gone.';
comment on column ops.running.running_since is 'When this attempt began.';
comment on column ops.running.job_id is 'The job in sync_jobs.';
comment on column ops.running.model_id is 'The creator''s model.';
comment on column ops.running.agency_id is 'The agency.';
revoke all on ops.running from public, anon, authenticated;
grant select on ops.running to service_role;

create or replace view ops.dead_jobs
with (security_invoker = true) as
select a.name as agency, private.creator_name(m) as creator, j.sync_type as stream, coalesce(j.last_error ->> 'message', 'no error noted') as cause,
       case when m.status <> 'active' then 'the model is ' || m.status || coalesce(': ' || m.status_reason, '') || '; first mend that (ops.late)'
            when not private.is_switched_on(m, j.sync_type) then format('its stream is switched off: select ops.cancel_job(%s)', j.id)
            else private.error_remedy(j.last_error, j.id, j.model_id, j.sync_type, coalesce(s.walk_id is not null, false)) end as remedy,
       j.attempt as attempts, coalesce(f.first_at, l.last_at) as first_failed_at, l.last_at as last_failed_at, s.next_sync_at as tried_again_at,
       j.last_error ->> 'kind' as kind, j.id as job_id, j.model_id, j.agency_id
from public.sync_jobs j
join public.models m on m.id = j.model_id
join public.agencies a on a.id = j.agency_id
left join public.sync_state s on s.model_id = j.model_id and s.sync_type = j.sync_type
left join lateral (select min(r.finished_at) as first_at from public.sync_runs r
                   where r.model_id = j.model_id and r.sync_type = j.sync_type and r.state = 'failed'
                     and r.finished_at > coalesce(s.last_success_at, '-infinity')) f on true
left join lateral (select max(r.finished_at) as last_at from public.sync_runs r where r.job_id = j.id and r.state = 'failed') l on true
where j.state = 'dead'
order by l.last_at desc nulls last, j.id;
comment on view ops.dead_jobs is 'Jobs that gave up: cause and remedy. Empty is good. A dead job gets another life when its stream is due again.';
comment on column ops.dead_jobs.agency is 'The agency''s name.';
comment on column ops.dead_jobs.creator is 'The creator''s handle.';
comment on column ops.dead_jobs.stream is 'What was read.';
comment on column ops.dead_jobs.cause is 'The last error, in words.';
comment on column ops.dead_jobs.remedy is 'What mends it: a call to run as it stands, after the step that it names, if it names one.';
comment on column ops.dead_jobs.attempts is 'Attempts in a row that failed.';
comment on column ops.dead_jobs.first_failed_at is 'The first failed run since the stream last worked, as far as history is kept.';
comment on column ops.dead_jobs.last_failed_at is 'When it gave up.';
comment on column ops.dead_jobs.tried_again_at is 'When the schedule tries it again by itself; empty: never.';
comment on column ops.dead_jobs.kind is 'The kind of error, as one word.';
comment on column ops.dead_jobs.job_id is 'The job in sync_jobs.';
comment on column ops.dead_jobs.model_id is 'The creator''s model.';
comment on column ops.dead_jobs.agency_id is 'The agency.';
revoke all on ops.dead_jobs from public, anon, authenticated;
grant select on ops.dead_jobs to service_role;
