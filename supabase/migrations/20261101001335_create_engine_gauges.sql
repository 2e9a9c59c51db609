-- Purpose: the figures that monitoring reads of the whole engine, in one cheap call.
-- Who may call: service_role (each worker, at most every few seconds, when it is scraped).
-- Locks: none.

create or replace function public.engine_gauges()
returns jsonb
language sql
stable
set search_path = ''
set jit = off
as $$
  select jsonb_build_object(
    'models', (select jsonb_object_agg(c.status, c.models) from private.model_counts() c),
    'jobs', (select jsonb_build_object('queued', count(*) filter (where j.state = 'queued'),
                                       'due', count(*) filter (where j.state = 'queued' and j.run_at <= n.now),
                                       'running', count(*) filter (where j.state = 'running'),
                                       'dead', count(*) filter (where j.state = 'dead'))
             from public.sync_jobs j),
    'oldest_due_s', (select jsonb_object_agg(d.lane, extract(epoch from n.now - d.run_at))
                     from (select case when j.priority <= 20 then 'live' when j.priority <= 60 then 'normal'
                                       when j.priority <= 120 then 'backfill' else 'low' end as lane, min(j.run_at) as run_at
                           from public.sync_jobs j
                           join private.queue_lanes l on l.agency_id = j.agency_id and not l.paused
                           where j.state = 'queued' and j.run_at <= n.now
                           group by 1) d),
    -- a few thousand late streams say as much as all of them
    'late', (select count(*)
             from (select from public.sync_state s
                   join public.models m on m.id = s.model_id
                   left join private.queue_lanes l on l.agency_id = m.agency_id
                   where s.next_sync_at < n.now - g.late_after and m.status = 'active' and not coalesce(l.paused, false)
                     and coalesce(s.last_sync_at, '-infinity') < n.now - g.late_after
                   limit 5000) x),
    'webhooks', (select jsonb_build_object('parked', count(*) filter (where e.status = 'parked'),
                                           'failed', count(*) filter (where e.status = 'failed'))
                 from public.webhook_events e where e.status in ('parked', 'failed')),
    'refused', (select jsonb_build_object('wrong_signature', coalesce(sum(r.wrong_signature), 0), 'too_old', coalesce(sum(r.too_old), 0),
                                          'not_configured', coalesce(sum(r.not_configured), 0), 'unsigned', coalesce(sum(r.unsigned), 0))
                from private.webhook_refusals r where r.minute > n.now - interval '15 minutes'),
    'announcement_age_s', (select extract(epoch from n.now - f.last_accepted_at)),
    'announcements_silent', f.is_refused or f.silent > 0 or f.unopened > 0,
    'drift', (select count(*) from public.reconciliation_findings f where f.state = 'open'),
    -- only buckets that were used within their window hold anything
    'budget_used', (select coalesce(max(u.used), 0)
                    from (select sum(c.calls)::numeric / b.max_calls as used
                          from private.api_budgets b
                          cross join lateral unnest(b.slots) with ordinality c(calls, place)
                          where b.head_s > extract(epoch from n.now) - b.window_seconds
                            and b.head_s - cardinality(b.slots) + c.place > extract(epoch from n.now) - b.window_seconds
                          group by b.bucket, b.max_calls) u),
    'buckets_blocked', (select count(distinct e.bucket) from private.api_endpoints e where e.blocked_until > n.now),
    'earnings_age_s', (select extract(epoch from n.now - e.seen_at)),
    'silent', private.silence_since(n.now, e.seen_at) is not null,
    'tick_age_s', (select jsonb_object_agg(k.source, extract(epoch from n.now - k.last_tick_at))
                   from private.scheduler_ticks k where k.source in ('pg_cron', 'worker')),
    'alerts', (select count(*) from private.alert_states a where a.state = 'raised'))
  from (select private.engine_now() as now) n
  -- once, fenced, for the two who ask
  cross join (select private.earnings_seen_at() as seen_at offset 0) e
  cross join private.alert_settings g
  cross join lateral private.announcement_facts(n.now) f
$$;
comment on function public.engine_gauges() is
  'The whole engine in figures, for each worker''s /metrics: queue, delays, budgets, webhooks, drift, schedulers. Reads small tables and indexes only.';
revoke all on function public.engine_gauges() from public, anon, authenticated;
grant execute on function public.engine_gauges() to service_role;

create or replace function private.schema_version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '20261101001335'
$$;
