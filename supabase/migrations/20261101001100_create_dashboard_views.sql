-- Purpose: what people read: models without secrets and the health of every stream for dashboards, lists for the command line.
-- Who may call: members see their own agency through the views (caller's rights); the functions are service_role's.
-- Locks: none.

create or replace view public.model_overview
with (security_invoker = true) as
select m.id, m.agency_id, m.fanvue_user_uuid, m.handle, m.display_name, m.status,
       private.reason_words(m.reason_code) as status_reason, m.status_changed_at, m.connected_at, m.revenue_total, m.fanvue_token_expires_at,
       s.last_success_at as earnings_synced_at, s.high_water as newest_earning_at,
       exists (select from public.sync_jobs j where j.model_id = m.id and j.state = 'running') as is_syncing,
       m.connection_id, m.reason_code
from public.models m
left join public.sync_state s on s.model_id = m.id and s.sync_type = 'earnings';
comment on view public.model_overview is 'One line per creator: who, status, total, and how fresh their money is. No secrets.';
revoke all on public.model_overview from public, anon, authenticated;
grant select on public.model_overview to authenticated, service_role;

create or replace view public.sync_health
with (security_invoker = true) as
select s.agency_id, s.model_id, m.handle, s.sync_type, m.status as model_status,
       s.last_success_at, s.next_sync_at, s.high_water, s.consecutive_failures, s.member_error as last_error,
       j.state as job_state, j.run_at as job_run_at, j.attempt as job_attempt, j.progress as job_progress,
       greatest(interval '0', (select private.engine_now()) - s.next_sync_at) as overdue_by,
       case
         when m.status = 'reauth_required' then 'the creator must connect again'
         when m.status = 'paused' then 'paused'
         when j.state = 'running' then 'syncing'
         when j.state = 'dead' then 'gave up; tried again when due'
         when s.member_error ->> 'kind' in ('partial', 'shrunk') then 'partial'
         when s.consecutive_failures > 0 then 'failing'
         when s.next_sync_at is null and j.state is null then 'at rest'
         when s.last_success_at is null then 'waiting for its first sync'
         when s.next_sync_at < (select private.engine_now()) - interval '5 minutes' then 'late'
         else 'fresh'
       end as health
from public.sync_state s
join public.models m on m.id = s.model_id
left join lateral (
  -- Three probes, one of each state's partial index: the table has no index over all states.
  select x.state, x.run_at, x.attempt, x.progress
  from (
    select 0 as place, r.state, r.run_at, r.attempt, r.progress
    from public.sync_jobs r
    where r.model_id = s.model_id and r.sync_type = s.sync_type and r.state = 'running'
    union all
    select 1, q.state, q.run_at, q.attempt, q.progress
    from public.sync_jobs q
    where q.model_id = s.model_id and q.sync_type = s.sync_type and q.state = 'queued'
    union all
    select 2, d.state, d.run_at, d.attempt, d.progress
    from public.sync_jobs d
    where d.model_id = s.model_id and d.sync_type = s.sync_type and d.state = 'dead'
  ) x
  order by x.place
  limit 1
) j on true;
comment on view public.sync_health is 'One line per model and stream: fresh, syncing, late, failing, partial (read, but not wholly believed; see last_error), at rest (switched off, or nothing to do). health is meant to be read by people.';
revoke all on public.sync_health from public, anon, authenticated;
grant select on public.sync_health to authenticated, service_role;

create or replace function private.health_rank(p_health text)
returns integer
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- From the worst to the best: below zero somebody is to look. A word that is not here comes first.
  return coalesce(array_position(array['the creator must connect again', 'gave up; tried again when due', 'failing', 'partial', 'late',
                                       'waiting for its first sync', 'syncing', 'fresh', 'at rest', 'paused'], p_health), 0) - 6;
end
$$;
comment on function private.health_rank(text) is 'How bad a word of sync_health is: the lowest is the worst, from zero on all is well.';
revoke all on function private.health_rank(text) from public, anon, authenticated;
grant execute on function private.health_rank(text) to service_role;

create or replace function private.model_counts()
returns table (status text, models bigint)
language sql
stable
set search_path = ''
set enable_seqscan = off
as $$
  -- Few are stopped, and have an index of their own; the others are all but those, counted in an index alone.
  with stopped as materialized (
    select m.status, count(*) as models from public.models m where m.status <> 'active' group by m.status
  ), active as materialized (
    select 'active', (select count(*) from public.models) - coalesce((select sum(s.models) from stopped s), 0)::bigint as models
  )
  select * from stopped
  union all
  select * from active a where a.models > 0
$$;
comment on function private.model_counts() is 'How many models there are of each status that any has.';
revoke all on function private.model_counts() from public, anon, authenticated;
grant execute on function private.model_counts() to service_role;

create or replace function private.streams_to_judge(p_most integer)
returns table (model_id uuid, sync_type text)
language sql
stable
rows 1000
set search_path = ''
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  -- each kind by an index that holds no other
  (select s.model_id, s.sync_type from public.models m join public.sync_state s on s.model_id = m.id where m.status <> 'active' limit p_most)
  union
  (select s.model_id, s.sync_type from public.sync_state s where s.consecutive_failures > 0 or s.last_error is not null limit p_most)
  union
  (select s.model_id, s.sync_type from public.sync_state s where s.last_success_at is null and s.next_sync_at is not null limit p_most)
  union
  (select s.model_id, s.sync_type from public.sync_state s where s.next_sync_at < (select private.engine_now()) - interval '5 minutes' limit p_most)
  union
  (select j.model_id, j.sync_type from public.sync_jobs j where j.state = 'queued' limit p_most)
  union
  (select j.model_id, j.sync_type from public.sync_jobs j where j.state = 'running' limit p_most)
  union
  (select j.model_id, j.sync_type from public.sync_jobs j where j.state = 'dead' limit p_most)
$$;
comment on function private.streams_to_judge(integer) is
  'Streams of which sync_health may say anything but fresh or at rest, found without a look at the others: stopped, failing, never read, overdue, or with a job. Up to p_most of each kind.';
revoke all on function private.streams_to_judge(integer) from public, anon, authenticated;
grant execute on function private.streams_to_judge(integer) to service_role;

create or replace function private.judged_streams()
returns setof public.sync_health
language plpgsql
stable
rows 1000
set search_path = ''
set jit = off
set enable_seqscan = off
as $$
declare
  v_most constant integer := 5000;
begin
  if (select count(*) from private.streams_to_judge(v_most + 1)) > v_most then
    return query select h.* from public.sync_health h;
  else
    -- one by one: joined, the view would judge every stream first
    return query
    select h.*
    from private.streams_to_judge(v_most) j
    cross join lateral (select x.* from public.sync_health x where x.model_id = j.model_id and x.sync_type = j.sync_type offset 0) h;
  end if;
end
$$;
comment on function private.judged_streams() is
  'sync_health of every stream that is not simply fresh or at rest, and of some that are; in a big outage, of all.';
revoke all on function private.judged_streams() from public, anon, authenticated;
grant execute on function private.judged_streams() to service_role;

create or replace function public.engine_status()
returns jsonb
language sql
set search_path = ''
set jit = off
set enable_seqscan = off
as $$
  with judged as materialized (
    select h.health, h.next_sync_at is not null as is_planned, count(*) as streams
    from private.judged_streams() h
    group by 1, 2
  ), known as materialized (
    -- What is well is counted up to a bound. Those judged are not in its way: as many more are looked at.
    select b.health, (select count(*) from (
             (select from public.sync_state s where b.is_planned and s.next_sync_at is not null limit 1001 + b.judged)
             union all
             (select from public.sync_state s where not b.is_planned and s.next_sync_at is null limit 1001 + b.judged)) c) - b.judged as streams
    from (select x.*, coalesce((select sum(j.streams) from judged j where j.is_planned = x.is_planned), 0)::bigint as judged
          from (values ('fresh', true), ('at rest', false)) x(health, is_planned)) b
  ), streams as materialized (
    select x.health, least(sum(x.streams), x.most) as streams, sum(x.streams) > x.most as is_more
    from (select u.health, u.streams, case when u.health in ('fresh', 'at rest') then 1000 end as most
          from (select j.health, j.streams from judged j union all select k.health, k.streams from known k) u) x
    group by x.health, x.most
    having sum(x.streams) > 0
  ), runs as materialized (
    select s.state, s.most, count(r.runs) as counted, sum(r.runs) as runs
    from (select x.state, case when x.state = 'succeeded' then 1000 end as most, private.engine_now() - interval '24 hours' as since
          from unnest(array['succeeded', 'partial', 'failed', 'cancelled']) x(state)) s
    cross join lateral (
      (select 1 as runs from public.sync_runs u where u.state = s.state and u.finished_at > s.since limit s.most + 1)
      union all
      (select q.runs from private.quiet_runs q where s.state = 'succeeded' and q.hour > s.since order by q.hour desc limit s.most + 1)
    ) r
    group by s.state, s.most
  )
  select jsonb_build_object(
    'now', n.now,
    'models', (select jsonb_build_object('active', 0, 'paused', 0, 'reauth_required', 0) || coalesce(jsonb_object_agg(c.status, c.models), '{}')
               from private.model_counts() c),
    'jobs', (select jsonb_build_object('queued', count(*) filter (where j.state = 'queued'),
                                       'running', count(*) filter (where j.state = 'running'),
                                       'dead', count(*) filter (where j.state = 'dead'),
                                       'due', count(*) filter (where j.state = 'queued' and j.run_at <= n.now),
                                       'oldest_due_seconds', round(extract(epoch from n.now - min(j.run_at)
                                                               filter (where j.state = 'queued' and j.run_at <= n.now))))
             from public.sync_jobs j),
    'streams', (select jsonb_object_agg(s.health, s.streams) from streams s),
    'troubled', (select coalesce(sum(j.streams) filter (where private.health_rank(j.health) < 0), 0) from judged j),
    'runs_24h', (select jsonb_object_agg(r.state, r.runs) from runs r),
    'at_least', jsonb_build_object('streams', (select jsonb_agg(s.health order by s.health) from streams s where s.is_more),
                                   'runs_24h', (select jsonb_agg(r.state) from runs r where r.counted > r.most)),
    'scheduler', (select jsonb_object_agg(k.source, jsonb_build_object('last_tick_at', k.last_tick_at, 'enqueued', k.last_enqueued))
                  from private.scheduler_ticks k),
    'webhooks', (select jsonb_build_object('parked', count(*) filter (where e.status = 'parked'),
                                           'failed', count(*) filter (where e.status = 'failed'))
                 from public.webhook_events e where e.status in ('parked', 'failed')),
    'drift', private.drift_counts())
  from (select private.engine_now() as now) n
$$;
comment on function public.engine_status() is
  'The engine at a glance, for the command line. What is wrong is counted to the end; what is well (fresh, at rest, succeeded) up to 1,000 of each: at_least names what is more.';
revoke all on function public.engine_status() from public, anon, authenticated;
grant execute on function public.engine_status() to service_role;

create or replace function public.list_streams(p_limit integer default null)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(x) - '{place, rank}'::text[] order by x.place), '[]'::jsonb)
  from (
    select row_number() over (order by r.rank, a.name, h.handle nulls last, h.model_id, h.sync_type) as place, r.rank, r.rank >= 0 as calm,
           a.name as agency, h.model_id, h.handle, h.sync_type, h.health, h.last_success_at, h.next_sync_at,
           extract(epoch from h.overdue_by) as overdue_seconds, h.consecutive_failures, s.last_error, h.job_progress
    from public.sync_health h
    join public.sync_state s on s.model_id = h.model_id and s.sync_type = h.sync_type
    join public.agencies a on a.id = h.agency_id
    cross join lateral (select private.health_rank(h.health) as rank) r
    order by place
    limit p_limit
  ) x
$$;
comment on function public.list_streams(integer) is
  'sync_health with agency names for the command line, the worst health first, each calm or not; p_limit null is all.';
revoke all on function public.list_streams(integer) from public, anon, authenticated;
grant execute on function public.list_streams(integer) to service_role;

create or replace function public.list_jobs(p_state text default null, p_limit integer default 100)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(x) order by x.place), '[]'::jsonb)
  from (
    select row_number() over (order by case j.state when 'running' then 0 when 'dead' then 1 else 2 end, j.priority, j.run_at, j.id) as place,
           j.id, a.name as agency, j.model_id, m.handle, j.sync_type, j.state, j.priority, j.run_at, j.attempt, j.max_attempts,
           j.claimed_by, j.lease_until, j.cancel_requested, j.progress, j.last_error
    from public.sync_jobs j
    join public.models m on m.id = j.model_id
    join public.agencies a on a.id = j.agency_id
    where p_state is null or j.state = p_state
    order by place
    limit p_limit
  ) x
$$;
comment on function public.list_jobs(text, integer) is 'The queue with names for the command line: what runs, what gave up, what waits, the most urgent of each first.';
revoke all on function public.list_jobs(text, integer) from public, anon, authenticated;
grant execute on function public.list_jobs(text, integer) to service_role;

create or replace function public.sale_totals(p_model_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  -- Fanvue's summary leaves reversals out, so they are left out here.
  select coalesce(jsonb_object_agg(d.day, d.gross::text), '{}'::jsonb)
  from (
    select e.day, sum(e.gross) as gross
    from public.earnings_daily e
    where e.model_id = p_model_id and e.category not in ('refund', 'chargeback')
    group by e.day
  ) d
$$;
comment on function public.sale_totals(uuid) is
  'Gross per UTC day of one model without reversals, US dollars as text. Kept for the worker of the release before, which compared Fanvue''s summary with it.';
revoke all on function public.sale_totals(uuid) from public, anon, authenticated;
grant execute on function public.sale_totals(uuid) to service_role;
