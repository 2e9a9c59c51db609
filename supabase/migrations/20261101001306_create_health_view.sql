-- Purpose: ops.health, the front page of the console: one row per question, ok or attention, one sentence, where to look.
-- Who may call: service_role, and the owner in Studio. Cost: that of the views behind it, each read once.

create or replace function private.unproved_models(p_now timestamptz)
returns table (model_id uuid, agency_id uuid, since timestamptz, why text)
language sql
stable
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  select m.id, m.agency_id, x.since,
         coalesce(r.last_page_reply ->> 'partial', case when r.run_id is not null then 'a proof began and did not reach its end' else 'no proof reached its end' end)
  from (select y.* from private.reconciliations y where y.last_proved_at < p_now - interval '50 hours'
        union all
        select y.* from private.reconciliations y where y.last_proved_at is null) r
  join public.models m on m.id = r.model_id
  left join private.queue_lanes l on l.agency_id = m.agency_id
  -- what was just connected, resumed or installed had no night yet
  cross join lateral (select greatest(r.last_proved_at, m.status_changed_at, m.created_at,
                                      (select min(k.first_tick_at) from private.scheduler_ticks k)) as since) x
  where m.status = 'active' and private.has_grant(m) and not coalesce(l.paused, false) and x.since < p_now - interval '50 hours'
$$;
comment on function private.unproved_models(timestamptz) is
  'Active creators of whom no proof of the money reached its end for two nights, and why the last one did not.';
revoke all on function private.unproved_models(timestamptz) from public, anon, authenticated;
grant execute on function private.unproved_models(timestamptz) to service_role;

create or replace view ops.unproved
with (security_invoker = true) as
select a.name as agency, private.creator_name(m) as creator, private.span_words(n.now - u.since) as unproved_for, u.why,
       format('select ops.sync_now(%L, %L)', u.model_id, 'reconcile') as remedy, u.since, u.model_id, u.agency_id
from (select private.engine_now() as now) n
cross join lateral private.unproved_models(n.now) u
join public.models m on m.id = u.model_id
join public.agencies a on a.id = u.agency_id
order by u.since, a.name, private.creator_name(m);
comment on view ops.unproved is
  'Creators whose money was not proved for two nights, though the proof was tried: such a list is not believed, or the run never ends. Empty is good. Compare with what Fanvue shows.';
comment on column ops.unproved.agency is 'The agency''s name.';
comment on column ops.unproved.creator is 'The creator''s handle.';
comment on column ops.unproved.unproved_for is 'Since when no proof reached its end.';
comment on column ops.unproved.why is 'What the last proof said.';
comment on column ops.unproved.remedy is 'The call that proves it now.';
comment on column ops.unproved.since is 'When it was proved last, or could have been first.';
comment on column ops.unproved.model_id is 'The creator''s model.';
comment on column ops.unproved.agency_id is 'The agency.';
revoke all on ops.unproved from public, anon, authenticated;
grant select on ops.unproved to service_role;

create or replace view private.health_answers
with (security_invoker = true) as
with clock as materialized (
  select private.engine_now() as now
), late as materialized (
  select c.cause, count(*) as streams, min(l.since) as since
  from private.late_streams() l
  cross join lateral (select case l.cause when 'failing_stream' then 'failing' else l.cause end as cause) c
  group by c.cause
), answers as (
  select 1 as place, 'Is everything read on time?' as question,
         case when bool_or(l.cause <> 'tried_now') then 'attention' else 'ok' end as state,
         case when count(l.cause) = 0 then 'yes'
              else format('%s late or failing, the oldest for %s: %s', private.counted(sum(l.streams)::bigint, 'stream'), private.span_words(max(c.now) - min(l.since)),
                          string_agg(l.streams || ' ' || replace(l.cause, '_', ' '), ', ' order by l.streams desc)) end as answer,
         'ops.late' as look
  from clock c left join late l on true
  union all
  select 2, 'Do workers work?',
         case when w.waiting or w.lost > 0 then 'attention' else 'ok' end,
         case when w.waiting then coalesce('no worker has taken a job for ' || private.span_words(c.now - w.claimed), 'no worker has ever taken a job') || ', and work waits: start one (fanvue-sync run)'
              when w.lost > 0 then private.counted(w.lost, 'job') || ' with workers that went silent, and nobody takes back what they had'
              else private.counted(w.running, 'job runs', 'jobs run') || coalesce('; the last one was taken ' || private.span_words(c.now - w.claimed) || ' ago', '') end,
         'ops.running'
  from clock c
  cross join lateral (
    select exists (select from late l where l.cause = 'no_worker') as waiting, private.last_claim() as claimed,
           (select count(*) from public.sync_jobs j where j.state = 'running') as running,
           (select count(*) from public.sync_jobs j where j.state = 'running' and j.lease_until < c.now - interval '2 minutes') as lost) w
  union all
  select 3, 'Does the schedule tick?',
         case when k.ticked > c.now - interval '3 minutes' and s.trouble is null then 'ok' else 'attention' end,
         concat_ws('; ', case when k.ticked is null then 'it has never ticked' else 'it ticked ' || private.span_words(c.now - k.ticked) || ' ago' end, s.trouble),
         'ops.schedule_health'
  from clock c
  cross join lateral (select private.last_tick() as ticked) k
  cross join lateral (select string_agg(h.source || ' is ' || h.state, ', ' order by h.source) as trouble
                      from ops.schedule_health h
                      -- either of the two clocks is enough, and a database without pg_cron has but one
                      where h.state not in ('ok', 'absent') and h.source <> 'worker') s
  union all
  select 4, 'Are all accounts connected?', case when r.accounts > 0 then 'attention' else 'ok' end,
         case when r.accounts = 0 then 'yes'
              else format('%s must connect again, %s; about %s US dollars are missing on the dashboards', private.counted(r.accounts, 'account'),
                          private.counted(r.creators::bigint, 'creator waits', 'creators wait'), coalesce(r.missing, 0)) end,
         'ops.reconnect'
  from (select count(*) as accounts, sum(x.creators) as creators, sum(x.possibly_missing) as missing from ops.reconnect x) r
  union all
  select 5, 'Did any job give up?', case when d.jobs > 0 then 'attention' else 'ok' end,
         case when d.jobs = 0 then 'no' else private.counted(d.jobs, 'job is dead', 'jobs are dead') end, 'ops.dead_jobs'
  from (select count(*) as jobs from public.sync_jobs j join public.models m on m.id = j.model_id and m.status = 'active'
        where j.state = 'dead' and private.is_switched_on(m, j.sync_type)) d
  union all
  select 6, 'Are all webhooks applied?', case when w.failed > 0 or w.known > 0 then 'attention' else 'ok' end,
         case when w.failed = 0 and w.parked = 0 then 'yes'
              else concat_ws('; ', case when w.failed > 0 then w.failed || ' failed' end,
                                   case when w.known > 0 then 'some are parked though their creator is connected' end,
                                   case when w.parked > 0 then w.parked || ' parked' || case when w.known = 0 then ' for creators who are not connected' else '' end end) end,
         'ops.webhooks_waiting'
  from (select (select count(*) from public.webhook_events e where e.status = 'failed') as failed,
               (select count(*) from public.webhook_events e where e.status = 'parked') as parked,
               (select count(*) from public.models m
                where m.fanvue_user_uuid is not null
                  and exists (select from public.webhook_events e where e.creator_uuid = m.fanvue_user_uuid and e.status = 'parked')) as known) w
  union all
  select 7, 'Does the money agree with Fanvue?',
         case when f.open > 0 or u.creators > 0 or s.last_night_at < c.now - interval '36 hours' then 'attention' else 'ok' end,
         concat_ws('; ', case when f.open > 0 then private.counted(f.open, 'difference stands', 'differences stand') else 'no difference stands' end,
                   case when u.creators > 0 then format('the books of %s were not proved for two nights', private.counted(u.creators, 'creator')) end,
                   'the nightly proof last began ' || private.span_words(c.now - s.last_night_at) || ' ago'),
         case when f.open = 0 and u.creators > 0 then 'ops.unproved' else 'ops.drift' end
  from clock c
  cross join private.reconcile_settings s
  cross join lateral (select count(*) as creators from private.unproved_models(c.now)) u
  cross join (select count(*) as open from public.reconciliation_findings x where x.state = 'open') f
  union all
  -- A block of seconds is the engine's daily bread; one after the other for minutes is not.
  select 8, 'Does Fanvue let us call?', case when b.blocked > 0 then 'attention' else 'ok' end,
         case when b.blocked is null then 'yes' else format('Fanvue refuses %s, ', b.what) || case when b.until > b.now + interval '1 minute' then 'the last until ' || private.clock_words(b.until, b.now)
                                                                       else 'again and again since ' || private.clock_words(b.since, b.now) end end,
         'ops.budgets'
  from (select sum(a.buckets) as blocked, max(a.until) as until, min(a.since) as since, max(a.now) as now,
               string_agg(coalesce(nullif(a.endpoint, ''), 'all calls') || case when a.buckets > 1 then format(' to %s accounts', a.buckets) else '' end, ', ' order by a.endpoint) as what
        from (select e.endpoint, count(*) as buckets, max(e.blocked_until) as until, min(e.blocked_since) as since, c.now
              from clock c
              join private.api_endpoints e on e.blocked_until > c.now + interval '1 minute'
                or (e.blocked_until > c.now - interval '2 minutes' and e.blocked_since < c.now - interval '5 minutes')
              group by e.endpoint, c.now) a) b
  union all
  select 9, 'Is the queue''s table in good health?', case when t.remedy is not null or t.dead_rows > 100000 then 'attention' else 'ok' end,
         concat_ws('; ', private.counted(t.dead_rows, 'dead row'), case when t.remedy is not null then 'a snapshot has been held for ' || t.held_for || ' by ' || t.holder end),
         'ops.queue_table'
  from ops.queue_table t
  union all
  select 10, 'Is anything stopped on purpose?', case when p.money_off then 'attention' else 'ok' end,
         case when p.models + p.lanes + p.off = 0 and p.off_for_all is null then 'no'
              else concat_ws(', ', case when p.models > 0 then private.counted(p.models, 'creator') || ' paused' end,
                                   case when p.lanes > 0 then private.counted(p.lanes, 'agency', 'agencies') || ' paused' end,
                                   case when p.off > 0 then private.counted(p.off, 'stream') || ' switched off' end,
                                   'off for everybody in private.sync_streams: ' || p.off_for_all,
                                   case when p.money_off then 'nobody''s money is read' end) end,
         'ops.late where deliberate'
  from (select (select count(*) from public.models m where m.status = 'paused') as models,
               (select count(*) from private.queue_lanes l where l.paused) as lanes,
               exists (select from private.sync_streams s where s.sync_type = 'earnings' and not s.enabled) as money_off,
               (select count(*) from private.sync_overrides o where not o.enabled) as off,
               (select string_agg(s.sync_type, ' ' order by s.sync_type) from private.sync_streams s where not s.enabled) as off_for_all) p
  union all
  select 11, 'Do announcements arrive?', case when f.is_refused or f.silent > 0 or f.unopened > 0 then 'attention' else 'ok' end,
         case when f.last_accepted_at is null and not f.is_expected and f.refused = 0
                then 'none ever did: nobody set webhooks up, and polls find everything, a few minutes later (fanvue-sync webhooks register --all)'
              else concat_ws('; ', coalesce('the last one was accepted ' || private.span_words(f.now - f.last_accepted_at) || ' ago', 'none was ever accepted'),
                             case when f.refused > 0 then format('%s were refused within a day, the last one %s ago%s', f.refused, private.span_words(f.now - f.refused_last_at),
                                                                 case when f.is_refused then '' else ': fewer than would mean anything, anybody can send one' end) end,
                             case when f.unopened > 0 then format('the function cannot open the secrets of %s webhooks', f.unopened) end,
                             case when f.silent > 0 then format('the sales of %s creators are found by polls and not announced, since %s', f.silent,
                                                                private.clock_words(f.silent_since, f.now)) end) end,
         'ops.announcements'
  from (select c.now, x.* from clock c cross join lateral private.announcement_facts(c.now) x) f
  union all
  select 13, 'Do the engine''s rules alone open its tables?', case when a.things > 0 then 'attention' else 'ok' end,
         case when a.things = 0 then 'yes'
              else format('%s: %s', private.counted(a.things, 'thing opens or closes them that the engine did not make', 'things open or close them that the engine did not make'), a.first) end,
         'ops.foreign_access'
  from (select count(*) as things, (array_agg(x.object))[1] as first from private.foreign_access() x where x.kept is null) a
  union all
  select 12, 'Is history kept no longer than promised?', case when o.tables is not null then 'attention' else 'ok' end,
         case when o.tables is null then 'yes' else 'rows that should be gone for a day remain in ' || o.tables end, 'ops.retention'
  from clock c
  cross join lateral (select string_agg(distinct x.table_name, ', ') as tables from private.overdue_rows(c.now) x) o
)
select a.place, a.question, a.state, a.answer, a.look as where_to_look,
       case when a.look = 'ops.late' then (select array_agg(l.cause) from late l) end as causes
from answers a;
comment on view private.health_answers is 'What ops.health shows. causes: why streams are late, of all that are, so that nobody need read them again.';
revoke all on private.health_answers from public, anon, authenticated;
grant select on private.health_answers to service_role;

create or replace view ops.health
with (security_invoker = true) as
select h.question, h.state, h.answer, h.where_to_look from private.health_answers h order by h.place;
comment on view ops.health is
  'The front page: one row per question. Where state says attention, open the view that where_to_look names; it says what to do.';
comment on column ops.health.question is 'What an operator wants to know.';
comment on column ops.health.state is 'ok or attention.';
comment on column ops.health.answer is 'The answer in a sentence.';
comment on column ops.health.where_to_look is 'The view with the details and the remedies.';
revoke all on ops.health from public, anon, authenticated;
grant select on ops.health to service_role;
