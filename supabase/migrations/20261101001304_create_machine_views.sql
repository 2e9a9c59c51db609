-- Purpose: ops.schedule_health and ops.queue_health: whether the machine itself is well.
-- Who may call: service_role, and the owner in Studio (who alone sees other sessions' queries).
-- Locks: scheduler_ticks gets columns and a trigger.

alter table private.scheduler_ticks
  add column first_tick_at timestamptz,
  add column last_hour bit(60) not null default repeat('0', 60)::bit(60);
comment on column private.scheduler_ticks.first_tick_at is 'When this source ticked first.';
comment on column private.scheduler_ticks.last_hour is 'The sixty minutes that end with last_tick_at, one bit each: 1 where the source ticked.';

create or replace function private.mark_tick()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_minutes integer := 60;
begin
  if tg_op = 'UPDATE' then
    v_minutes := least(60, greatest(0, floor(extract(epoch from new.last_tick_at) / 60) - floor(extract(epoch from old.last_tick_at) / 60)))::integer;
    new.last_hour := old.last_hour << v_minutes;
  end if;
  new.first_tick_at := coalesce(new.first_tick_at, new.last_tick_at);
  new.last_hour := set_bit(new.last_hour, 59, 1);
  return new;
end
$$;
comment on function private.mark_tick() is 'Remembers in which minutes of its last hour a scheduler ticked.';
revoke all on function private.mark_tick() from public, anon, authenticated;
grant execute on function private.mark_tick() to service_role;
create trigger scheduler_ticks_mark
  before insert or update of last_tick_at on private.scheduler_ticks
  for each row execute function private.mark_tick();

create or replace function private.cron_runs()
returns table (job text, active boolean, schedule text, last_run_at timestamptz, last_status text, failures integer, last_error text)
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if to_regclass('cron.job') is null then
    return;
  end if;
  -- Three days of entries, by their key: the table has no other index and may be long.
  return query execute $cron$
    select j.jobname::text, j.active, j.schedule::text, max(d.start_time),
           (array_agg(d.status::text order by d.runid desc) filter (where d.runid is not null))[1],
           count(*) filter (where d.status = 'failed' and d.start_time > now() - interval '1 day')::integer,
           (array_agg(left(d.return_message::text, 300) order by d.runid desc) filter (where d.status = 'failed'))[1]
    from cron.job j
    left join (select * from cron.job_run_details order by runid desc limit 10000) d on d.jobid = j.jobid
    where j.jobname like 'fanvue-%'
    group by j.jobname, j.active, j.schedule $cron$;
exception when insufficient_privilege then
  -- a hosted project may not let its owner look: the ticks tell whether pg_cron works
  return;
end
$$;
comment on function private.cron_runs() is 'The engine''s pg_cron jobs and how their last runs went; no rows without pg_cron. Definer, because the API''s roles may not look there.';
revoke all on function private.cron_runs() from public, anon, authenticated;
grant execute on function private.cron_runs() to service_role;

create or replace view ops.schedule_health
with (security_invoker = true) as
select x.source, x.state, x.what, x.remedy, x.ticks_expected, x.ticks_seen, x.last_at, x.last_enqueued, x.last_error
from (
  select 0 as place, e.source,
         case when k.last_tick_at > n.now - interval '3 minutes' then 'ok' when e.source = 'pg_cron' and not i.installed then 'absent' else 'silent' end as state,
         case when e.source = 'pg_cron' and not i.installed then 'pg_cron has no job of the engine: the workers tick alone'
              when k.source is null then e.missing
              when k.last_tick_at > n.now - interval '3 minutes' then format('ticked %s ago and queued %s', private.span_words(n.now - k.last_tick_at), k.last_enqueued)
              else format('silent for %s', private.span_words(n.now - k.last_tick_at)) end as what,
         case when k.last_tick_at > n.now - interval '3 minutes' then null
              when e.source = 'pg_cron' and not i.installed then 'enable pg_cron in Studio (Database, Extensions); then: select private.schedule_engine()'
              else e.remedy end as remedy,
         case when k.source is not null then least(60, 1 + floor(extract(epoch from n.now) / 60) - floor(extract(epoch from k.first_tick_at) / 60))::integer end as ticks_expected,
         bit_count(k.last_hour << least(60, floor(extract(epoch from n.now) / 60) - floor(extract(epoch from k.last_tick_at) / 60))::integer)::integer as ticks_seen,
         k.last_tick_at as last_at, k.last_enqueued, null as last_error
  from (select private.engine_now() as now) n
  cross join (values ('pg_cron', 'pg_cron has never ticked', 'select ops.wake_schedule()'),
                     ('worker', 'no worker has ever ticked', 'start a worker: fanvue-sync run')) e(source, missing, remedy)
  cross join (select exists (select from private.cron_runs()) as installed) i
  left join private.scheduler_ticks k on k.source = e.source
  union all
  select 1, c.job,
         case when not c.active then 'switched off' when c.last_status = 'failed' then 'failing' else 'ok' end,
         case when not c.active then 'switched off in pg_cron'
              when c.last_status = 'failed' then format('its last run failed; %s failed within a day', c.failures)
              when c.last_run_at is null then format('waits for its hour (%s)', c.schedule)
              else format('ran %s ago (%s)', private.span_words(clock_timestamp() - c.last_run_at), c.schedule) end,
         case when not c.active then 'select ops.wake_schedule()'
              when c.last_status = 'failed' then 'read last_error; the whole story is in cron.job_run_details' end,
         null, null, c.last_run_at, null, c.last_error
  from private.cron_runs() c
) x
order by x.place, x.source;
comment on view ops.schedule_health is
  'Who puts work into the queue: pg_cron and the workers'' own clock, either is enough. And the engine''s pg_cron jobs, where pg_cron is installed.';
comment on column ops.schedule_health.source is 'pg_cron, worker (all of them together), or the name of a pg_cron job.';
comment on column ops.schedule_health.state is 'ok, silent, absent (no pg_cron), switched off or failing.';
comment on column ops.schedule_health.what is 'The same in words.';
comment on column ops.schedule_health.remedy is 'What mends it; empty: nothing to do.';
comment on column ops.schedule_health.ticks_expected is 'Minutes of the last hour in which a tick was to be expected.';
comment on column ops.schedule_health.ticks_seen is 'Minutes of the last hour in which it ticked.';
comment on column ops.schedule_health.last_at is 'When it last ticked or ran.';
comment on column ops.schedule_health.last_enqueued is 'How many jobs its last tick put into the queue.';
comment on column ops.schedule_health.last_error is 'What the last failed run said.';
revoke all on ops.schedule_health from public, anon, authenticated;
grant select on ops.schedule_health to service_role;

create or replace view ops.queue_health
with (security_invoker = true) as
select a.name as agency, case when l.paused then 'paused' when l.max_running = 0 then 'capped at 0' when r.running >= l.max_running then 'full' else 'open' end as lane,
       coalesce(q.due, 0) as due, private.span_words(n.now - q.oldest) as oldest_due_for, coalesce(q.later, 0) as later, coalesce(r.running, 0) as running,
       l.max_running, l.weight, coalesce(d.dead, 0) as dead, q.oldest as oldest_due_at, nullif(l.served_at, '-infinity') as last_served_at, l.agency_id
from (select private.engine_now() as now) n
cross join private.queue_lanes l
join public.agencies a on a.id = l.agency_id
left join (select j.agency_id, count(*) filter (where j.run_at <= k.now) as due, count(*) filter (where j.run_at > k.now) as later,
                  min(j.run_at) filter (where j.run_at <= k.now) as oldest
           from (select private.engine_now() as now offset 0) k
           cross join public.sync_jobs j where j.state = 'queued' group by j.agency_id) q on q.agency_id = l.agency_id
left join (select j.agency_id, count(*) as running from public.sync_jobs j where j.state = 'running' group by j.agency_id) r on r.agency_id = l.agency_id
left join (select j.agency_id, count(*) as dead from public.sync_jobs j where j.state = 'dead' group by j.agency_id) d on d.agency_id = l.agency_id
order by q.oldest nulls last, a.name;
comment on view ops.queue_health is 'The queue, one line per agency: what is due and for how long, what runs, what may run. weight and max_running are set in private.queue_lanes.';
comment on column ops.queue_health.agency is 'The agency''s name.';
comment on column ops.queue_health.lane is 'open, full (max_running reached), paused or capped at 0.';
comment on column ops.queue_health.due is 'Jobs that could run now.';
comment on column ops.queue_health.oldest_due_for is 'How long the oldest of them has been waiting.';
comment on column ops.queue_health.later is 'Jobs that wait for their time, mostly after an error.';
comment on column ops.queue_health.running is 'Jobs that workers have.';
comment on column ops.queue_health.max_running is 'Most that may run at once.';
comment on column ops.queue_health.weight is 'Share relative to other agencies.';
comment on column ops.queue_health.dead is 'Jobs that gave up: ops.dead_jobs.';
comment on column ops.queue_health.oldest_due_at is 'Since when the oldest is due.';
comment on column ops.queue_health.last_served_at is 'When a worker last took a job of this agency, by the server''s clock.';
comment on column ops.queue_health.agency_id is 'The agency.';
revoke all on ops.queue_health from public, anon, authenticated;
grant select on ops.queue_health to service_role;

create or replace function private.held_snapshots()
returns table (pid integer, held_for interval, application_name text, state text)
language sql
volatile
security definer
set search_path = ''
as $$
  select b.pid, clock_timestamp() - coalesce(b.xact_start, b.query_start, b.backend_start), b.application_name, b.state
  from pg_catalog.pg_stat_activity b
  where b.backend_xmin is not null and b.pid <> pg_backend_pid() and b.datname = current_database()
    -- an autovacuum ends by itself, and nobody should end it
    and b.backend_type is distinct from 'autovacuum worker'
$$;
comment on function private.held_snapshots() is
  'Sessions of this database that hold a snapshot, and for how long; no autovacuum. With its owner''s rights: to others Postgres hides when a session began. No query is told.';
revoke all on function private.held_snapshots() from public, anon, authenticated;
grant execute on function private.held_snapshots() to service_role;

create or replace view ops.queue_table
with (security_invoker = true) as
select t.n_live_tup as live_rows, t.n_dead_tup as dead_rows, pg_size_pretty(pg_total_relation_size('public.sync_jobs')) as size,
       greatest(t.last_autovacuum, t.last_vacuum) as vacuumed_at, h.held_for, h.holder, h.query, h.pid,
       case when h.age > interval '10 minutes' and h.pid is not null then format('select pg_terminate_backend(%s)', h.pid)
            when h.age > interval '10 minutes' then 'end the prepared transaction, or drop the replication slot that nobody reads' end as remedy
from pg_catalog.pg_stat_user_tables t
left join lateral (
  select private.span_words(x.age) as held_for, x.age, x.holder, x.query, x.pid
  from (
    select s.held_for as age, concat_ws(' ', b.usename, nullif(s.application_name, ''), s.state) as holder, left(b.query, 200) as query, s.pid
    from private.held_snapshots() s
    -- with the caller's rights: Postgres shows the query to the owner alone
    left join pg_catalog.pg_stat_activity b on b.pid = s.pid
    union all
    select clock_timestamp() - p.prepared, 'prepared transaction ' || p.gid, null, null
    from pg_catalog.pg_prepared_xacts p where p.database = current_database()
  ) x
  order by x.age desc nulls last
  limit 1
) h on true
where t.relid = 'public.sync_jobs'::regclass;
comment on view ops.queue_table is
  'The table under the queue: dead rows, and the oldest snapshot that keeps vacuum from removing them (a report, a dump, a session left open). While one is held for long, claims get slower.';
comment on column ops.queue_table.live_rows is 'Jobs, about.';
comment on column ops.queue_table.dead_rows is 'Row versions that vacuum has not removed yet. Some thousands are harmless.';
comment on column ops.queue_table.size is 'The table with its indexes.';
comment on column ops.queue_table.vacuumed_at is 'When it was last vacuumed.';
comment on column ops.queue_table.held_for is 'How long the oldest snapshot has been held.';
comment on column ops.queue_table.holder is 'Who holds it.';
comment on column ops.queue_table.query is 'Its query, or its last one; only the owner sees it.';
comment on column ops.queue_table.pid is 'The server process that holds it.';
comment on column ops.queue_table.remedy is 'What ends it, if it is held for more than ten minutes.';
revoke all on ops.queue_table from public, anon, authenticated;
grant select on ops.queue_table to service_role;
