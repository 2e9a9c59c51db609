-- Purpose: what an engineer on call is told, once per change of state; and the figures that monitoring reads.
-- Who may call: claim_alerts, settle_alerts and engine_gauges service_role (the worker); operators read ops.alerts.
-- Texts name creators and agencies by id alone: they leave the system. Locks: none on existing tables.

create table private.alert_settings (
  singleton boolean primary key default true check (singleton),
  silence_after interval not null default '20 minutes' check (silence_after >= interval '1 minute'),
  no_tick_after interval not null default '5 minutes' check (no_tick_after >= interval '2 minutes'),
  late_after interval not null default '10 minutes' check (late_after >= interval '1 minute'),
  keep interval not null default '30 days',
  access_asked_at timestamptz not null default '-infinity'
);
comment on table private.alert_settings is 'When the engine calls for help. One row.';
comment on column private.alert_settings.silence_after is
  'Silence: no earnings of any active creator were read for this long after the shortest poll interval in force.';
comment on column private.alert_settings.no_tick_after is 'A scheduler that ticked before and does not for this long has stopped.';
comment on column private.alert_settings.late_after is 'A stream is late when it is due, and nothing of it was read, for this long.';
comment on column private.alert_settings.keep is 'Solved alerts are forgotten after this time.';
comment on column private.alert_settings.access_asked_at is 'When private.foreign_access was last asked for alerts: it reads the catalog, and is asked again after five minutes.';
revoke all on private.alert_settings from public, anon, authenticated;
grant select, update on private.alert_settings to service_role;
insert into private.alert_settings default values;

create table private.alert_states (
  kind text not null,
  subject text not null,
  state text not null check (state in ('raised', 'clear')),
  mark bigint not null default 0,
  problem text not null,
  remedy text not null,
  raised_at timestamptz not null,
  changed_at timestamptz not null,
  told text not null default 'clear' check (told in ('raised', 'clear')),
  told_mark bigint not null default 0,
  told_at timestamptz,
  claimed_by text,
  claimed_until timestamptz not null default '-infinity',
  attempts integer not null default 0,
  primary key (kind, subject)
);
comment on table private.alert_states is
  'One row per trouble: whether it stands, and what was told of it. It is told when state differs from told, or when a standing trouble grew.';
comment on column private.alert_states.kind is 'reauth_required, agency_reauth, dead_job, drift, unproved, not_whole, silence, schedule, no_grant, webhooks_failed, announcements or foreign_access.';
comment on column private.alert_states.subject is 'What it is about: a model, a connection, a model''s stream, a scheduler, a policy.';
comment on column private.alert_states.state is 'raised: it stands. clear: it is over.';
comment on column private.alert_states.mark is 'Grows when a standing trouble becomes worse in a way that is worth another word.';
comment on column private.alert_states.problem is 'What is the case, in plain words without names or secrets.';
comment on column private.alert_states.remedy is 'What mends it.';
comment on column private.alert_states.raised_at is 'Since when it stands, or stood.';
comment on column private.alert_states.changed_at is 'When state last changed.';
comment on column private.alert_states.told is 'What was sent last.';
comment on column private.alert_states.told_mark is 'How bad it was when it was sent last.';
comment on column private.alert_states.told_at is 'When it was sent last; null: never, because ALERT_WEBHOOK_URL is not set or sending fails.';
comment on column private.alert_states.claimed_by is 'The worker that is sending it.';
comment on column private.alert_states.claimed_until is 'Nobody else sends it before then; after a failed try, nobody at all.';
comment on column private.alert_states.attempts is 'Tries in a row that failed to send it.';
revoke all on private.alert_states from public, anon, authenticated;
grant select, insert, update, delete on private.alert_states to service_role;

create or replace view ops.alerts
with (security_invoker = true) as
select s.kind, s.problem, s.remedy, s.raised_at as since, s.told_at,
       case when s.state = s.told and s.mark <= s.told_mark then 'told' when s.attempts > 0 then 'sending fails' else 'not told yet' end as telling,
       s.attempts, s.subject
from private.alert_states s
where s.state = 'raised';
comment on view ops.alerts is 'The troubles that stand, as they are sent to ALERT_WEBHOOK_URL. Kept up to date by the workers'' ticks.';
comment on column ops.alerts.kind is 'What sort of trouble it is.';
comment on column ops.alerts.problem is 'What is the case.';
comment on column ops.alerts.remedy is 'What mends it.';
comment on column ops.alerts.since is 'Since when it stands.';
comment on column ops.alerts.told_at is 'When somebody was told.';
comment on column ops.alerts.telling is 'told, not told yet, or sending fails (look at the worker''s log and at ALERT_WEBHOOK_URL).';
comment on column ops.alerts.attempts is 'Tries in a row that failed to send it.';
comment on column ops.alerts.subject is 'The ids or the name of what it is about.';
revoke all on ops.alerts from public, anon, authenticated;
grant select on ops.alerts to service_role;

-- What is the case -------------------------------------------------------------------------------------

-- Written so that no other query takes them for small ones that serve it, and walks them from end to end: all creators are in both.
create index sync_state_earnings_read_idx on public.sync_state (last_success_at) where sync_type || '' = 'earnings';
create index models_begun_idx on public.models (greatest(connected_at, status_changed_at));

create or replace function private.is_heard(p_model_id uuid)
returns boolean
language plpgsql
stable
set search_path = ''
set enable_seqscan = off
as $$
begin
  return exists (select from public.sync_state s where s.model_id = p_model_id and s.sync_type = 'earnings' and s.next_sync_at is not null)
         and exists (select from public.models m
                     left join private.queue_lanes l on l.agency_id = m.agency_id
                     where m.id = p_model_id and m.status = 'active' and not coalesce(l.paused, false));
end
$$;
comment on function private.is_heard(uuid) is 'Whether the money of a model is to be read: planned, active, its agency not paused.';
revoke all on function private.is_heard(uuid) from public, anon, authenticated;
grant execute on function private.is_heard(uuid) to service_role;

create or replace function private.earnings_seen_among_few()
returns timestamptz
language sql
stable
set search_path = ''
set enable_seqscan = off
set enable_sort = off
as $$
  -- Of each of these the newest, from the end of its index: nobody else is looked at.
  select greatest(
    (select case when z.n = 200 then 'infinity' else z.at end
     from (select s.model_id, s.last_success_at as at, row_number() over (order by s.last_success_at desc rows unbounded preceding) as n
           from public.sync_state s
           where s.sync_type || '' = 'earnings' and s.last_success_at is not null) z
     where z.n <= 200 and (z.n = 200 or private.is_heard(z.model_id)) limit 1),
    -- a page without a success: its reading goes on, or failed
    (select case when z.n >= 200 then 'infinity' else z.at end
     from (select u.model_id, u.n, s.last_sync_at as at
           from (select x.model_id, count(*) over () as n
                 from ((select j.model_id from public.sync_jobs j where j.sync_type = 'earnings' limit 200)
                       union
                       (select d.model_id from public.sync_state d
                        where d.sync_type = 'earnings' and d.next_sync_at <= (select private.engine_now()) order by d.next_sync_at limit 200)
                       union
                       (select f.model_id from public.sync_state f
                        where f.sync_type = 'earnings' and (f.consecutive_failures > 0 or f.last_error is not null) limit 200)) x) u
           left join lateral (select y.last_sync_at from public.sync_state y
                              where u.n < 200 and y.model_id = u.model_id and y.sync_type = 'earnings' offset 0) s on true
           order by s.last_sync_at desc nulls last offset 0) z
     where z.n >= 200 or (z.at is not null and private.is_heard(z.model_id)) limit 1),
    (select case when z.n = 200 then 'infinity' else z.at end
     from (select m.id, greatest(m.connected_at, m.status_changed_at) as at,
                  row_number() over (order by greatest(m.connected_at, m.status_changed_at) desc rows unbounded preceding) as n
           from public.models m
           where greatest(m.connected_at, m.status_changed_at) is not null) z
     where z.n <= 200 and (z.n = 200 or private.is_heard(z.id)) limit 1),
    (select case when z.n = 200 then 'infinity' else z.at end
     from (select m.id, l.resumed_at as at, row_number() over (order by l.resumed_at desc rows unbounded preceding) as n
           from private.queue_lanes l
           cross join lateral (select x.id from public.models x where x.agency_id = l.agency_id limit 200) m
           where l.resumed_at is not null and not l.paused) z
     where z.n <= 200 and (z.n = 200 or private.is_heard(z.id)) limit 1))
$$;
comment on function private.earnings_seen_among_few() is
  'private.earnings_seen_at while few creators have to be asked after; infinity: it would be two hundred or more.';
revoke all on function private.earnings_seen_among_few() from public, anon, authenticated;
grant execute on function private.earnings_seen_among_few() to service_role;

create or replace function private.earnings_seen_at()
returns timestamptz
language sql
stable
set search_path = ''
set jit = off
set enable_nestloop = off
set enable_mergejoin = off
as $$
  -- A creator who was connected or resumed a moment ago is not silent yet; a long first reading speaks with every page.
  select case when f.seen_at is distinct from 'infinity' then f.seen_at
              -- in an outage everybody at once is cheaper than one after the other
              else (select max(greatest(s.last_success_at, s.last_sync_at, m.connected_at, m.status_changed_at, l.resumed_at))
                    from public.sync_state s
                    join public.models m on m.id = s.model_id
                    left join private.queue_lanes l on l.agency_id = m.agency_id
                    where s.sync_type = 'earnings' and s.next_sync_at is not null and m.status = 'active' and not coalesce(l.paused, false))
         end
  from (select private.earnings_seen_among_few() as seen_at offset 0) f
$$;
comment on function private.earnings_seen_at() is 'When the money of any active creator was last read; null when nobody''s is to be read. Paused agencies are left out.';
revoke all on function private.earnings_seen_at() from public, anon, authenticated;
grant execute on function private.earnings_seen_at() to service_role;

create or replace function private.silence_since(p_now timestamptz, p_seen_at timestamptz default private.earnings_seen_at())
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
declare
  v_patience constant interval := (select a.silence_after from private.alert_settings a);
begin
  if p_seen_at is null or p_seen_at > p_now - v_patience - (
       -- nobody is polled more often than this
       select min(x.every) from (select t.every from private.sync_streams t where t.sync_type = 'earnings'
                                 union all
                                 select o.every from private.sync_overrides o where o.sync_type = 'earnings') x) then
    return null;
  end if;
  -- Quiet creators are polled ever more seldom: only what was to be read and was not is silence. One such creator says it.
  if exists (
    select
    from public.sync_state s
    join public.models m on m.id = s.model_id
    cross join lateral private.stream_settings(m.agency_id, m.id, 'earnings') t
    where s.sync_type = 'earnings' and s.next_sync_at is not null and m.status = 'active'
      and not exists (select from private.queue_lanes l where l.agency_id = m.agency_id and l.paused)
      and p_seen_at + private.current_interval(t, s.quiet_runs) + v_patience < p_now
  ) then
    return p_seen_at;
  end if;
  return null;
end
$$;
comment on function private.silence_since(timestamptz, timestamptz) is
  'Since when no earnings were read although they were due; null while all is as it should be. p_seen_at: for who asked private.earnings_seen_at already.';
revoke all on function private.silence_since(timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function private.silence_since(timestamptz, timestamptz) to service_role;

create or replace function private.is_access_asked(p_now timestamptz)
returns boolean
language sql
stable
set search_path = ''
as $$
  select g.access_asked_at not between p_now - interval '5 minutes' and p_now from private.alert_settings g
$$;
comment on function private.is_access_asked(timestamptz) is 'Whether private.troubles asks private.foreign_access, which reads the catalog: every five minutes, whoever asks.';
revoke all on function private.is_access_asked(timestamptz) from public, anon, authenticated;
grant execute on function private.is_access_asked(timestamptz) to service_role;

create or replace function private.troubles(p_now timestamptz)
returns table (kind text, subject text, mark bigint, problem text, remedy text)
language sql
stable
set search_path = ''
as $$
  select 'reauth_required', m.id::text, 0::bigint,
         format('Creator %s must connect to Fanvue again; nothing of theirs is synced until then.', m.id),
         private.connect_step(m.agency_id, m.fanvue_user_uuid)
  from public.models m
  left join public.agency_connections c on c.id = m.connection_id
  where m.status = 'reauth_required' and coalesce(c.status, 'active') = 'active'
  union all
  select 'no_grant', g.model_id::text, 0,
         format('Creator %s is active and has no grant; nothing of theirs is synced.', g.model_id),
         format('%s; or select ops.pause_model(%L)', private.connect_step(m.agency_id, m.fanvue_user_uuid), m.id)
  from private.models_without_grant(p_now) g
  join public.models m on m.id = g.model_id
  union all
  -- Behind one account there may be hundreds of creators: one trouble, one word.
  select 'agency_reauth', c.id::text, 0,
         format('Agency %s must connect its Fanvue account again; %s not synced until then.', c.agency_id,
                private.counted((select count(*) from public.models m where m.connection_id = c.id and m.status = 'reauth_required'),
                                'creator is', 'creators are')),
         'let its owner or an admin press "Reconnect" in the dashboard, signed in at Fanvue as that account'
  from public.agency_connections c
  where c.status = 'reauth_required' and c.reason_code is distinct from 'connecting'
  union all
  select 'dead_job', j.model_id || ' ' || j.sync_type, 0,
         format('The stream %s of creator %s gave up after %s (%s).', j.sync_type, j.model_id, private.counted(j.attempt, 'attempt'),
                coalesce(substring(j.last_error ->> 'kind' from '^[a-z0-9_]{1,40}$'), 'unknown')),
         format('read ops.dead_jobs, mend the cause, then select ops.retry_job(%s)', j.id)
  from public.sync_jobs j
  join public.models m on m.id = j.model_id
  where j.state = 'dead' and m.status = 'active' and private.is_switched_on(m, j.sync_type)
  union all
  -- A schedule that gives a dead job another life has not mended it: that is told when the stream succeeds.
  select a.kind, a.subject, a.mark, a.problem, a.remedy
  from private.alert_states a
  cross join lateral (select split_part(a.subject, ' ', 1)::uuid as model_id, split_part(a.subject, ' ', 2) as sync_type) x
  where a.kind = 'dead_job' and a.state = 'raised'
    and not exists (select from public.sync_jobs d
                    where d.model_id = x.model_id and d.sync_type = x.sync_type and d.state = 'dead')
    and exists (select from public.sync_state s
                join public.models m on m.id = s.model_id
                where s.model_id = x.model_id and s.sync_type = x.sync_type and s.consecutive_failures > 0
                  and s.next_sync_at is not null and m.status = 'active')
  union all
  select 'drift', f.model_id::text, max(f.id),
         format('Creator %s: %s between the ledger and Fanvue''s books.', f.model_id, private.counted(count(*), 'difference')),
         'ops.drift in Studio says of each what to do, and has the call that closes it'
  from public.reconciliation_findings f
  where f.state = 'open'
  group by f.model_id
  union all
  select 'unproved', u.model_id::text, 0,
         format('The money of creator %s was not proved since %s UTC.', u.model_id, to_char(u.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI')),
         'ops.unproved says why; compare with what Fanvue shows'
  from private.unproved_models(p_now) u
  union all
  select 'not_whole', s.model_id || ' ' || s.sync_type, 0,
         format('The stream %s of creator %s was not read wholly for hours.', s.sync_type, s.model_id),
         'ops.late says what is missing, and what to do if it is right'
  from public.sync_state s
  join public.models m on m.id = s.model_id and m.status = 'active'
  where s.consecutive_failures > 0 and s.next_sync_at is not null and s.last_error ->> 'kind' = 'partial'
    and greatest(s.last_success_at, m.created_at, m.status_changed_at) < p_now - interval '6 hours'
  union all
  select 'silence', 'earnings', 0,
         format('No earnings of any active creator were read since %s UTC.', to_char(x.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI')),
         'run fanvue-sync doctor; look at Fanvue''s status and at the workers'' logs'
  from (select private.silence_since(p_now) as since offset 0) x
  where x.since is not null
  union all
  select 'schedule', k.source, 0,
         format('The scheduler %s has not ticked since %s UTC; %s.', k.source, to_char(k.last_tick_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
                case when exists (select from private.scheduler_ticks o where o.last_tick_at >= p_now - g.no_tick_after)
                     then 'another one does its work' else 'nothing is queued any more' end),
         case k.source when 'pg_cron' then 'look at cron.job_run_details in Studio; select private.schedule_engine() writes the schedules anew'
                       else 'start a worker: fanvue-sync run' end
  from private.scheduler_ticks k
  cross join private.alert_settings g
  where k.source in ('pg_cron', 'worker') and k.last_tick_at < p_now - g.no_tick_after
  union all
  -- told anew at ten, a hundred, a thousand
  select 'webhooks_failed', 'failed', floor(log(count(*)))::bigint + 1,
         format('%s could not be applied.', private.counted(count(*), 'webhook event')),
         'ops.webhooks_waiting says why, and has the calls that apply each or set it aside; all once more: select ops.replay_webhooks()'
  from public.webhook_events w
  -- what the worker tries again is news once that did not help
  where w.status = 'failed' and (w.retry_at is null or w.received_at < p_now - interval '10 minutes')
  having count(*) > 0
  union all
  select 'announcements', x.subject, x.mark, x.problem, 'run fanvue-sync webhooks test; ops.announcements says more; polls find meanwhile what is not announced'
  from private.announcement_facts(p_now) f
  cross join lateral (values
    -- told anew at ten times as many, as above
    (f.is_refused, 'refused', floor(log(greatest(f.refused, 1)))::bigint,
     format('Announcements are refused since %s UTC: their signature fits no secret that the webhook function has.', to_char(f.refused_first_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))),
    (f.silent > 0, 'missing', floor(log(greatest(f.silent, 1)))::bigint,
     format('Sales of some creators are found by polls and not announced, since %s UTC.', to_char(f.silent_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))),
    (f.unopened > 0, 'unopened', 0,
     'The webhook function cannot open the stored secrets of some webhooks: a key is missing in its TOKEN_ENCRYPTION_KEYS.')) x(stands, subject, mark, problem)
  where x.stands
  union all
  select 'foreign_access', a.object, 0,
         format('The engine did not make this, and it opens or closes its tables: %s.', a.object),
         'ops.foreign_access has the statement that puts it right, and the call that keeps it with a reason'
  from private.foreign_access() a
  where a.kept is null and (select private.is_access_asked(p_now))
  union all
  -- in between what stood stands
  select a.kind, a.subject, a.mark, a.problem, a.remedy
  from private.alert_states a
  where a.kind = 'foreign_access' and a.state = 'raised' and not (select private.is_access_asked(p_now))
$$;
comment on function private.troubles(timestamptz) is 'Everything that somebody should be told of now, in plain words with the remedy.';
revoke all on function private.troubles(timestamptz) from public, anon, authenticated;
grant execute on function private.troubles(timestamptz) to service_role;

-- What is told -----------------------------------------------------------------------------------------

create or replace function public.claim_alerts(p_worker text, p_limit integer default 1000, p_lease_seconds integer default 60)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_alerts jsonb;
begin
  if p_limit < 0 or p_limit > 1000 or p_lease_seconds < 1 then
    raise sqlstate 'PT422' using message = 'claim_alerts wants a limit of 0..1000 and a lease of at least one second';
  end if;
  -- One worker at a time compares; the others have nothing to add.
  if not pg_try_advisory_xact_lock(hashtextextended('fanvue-alerts', 0)) then
    return '[]'::jsonb;
  end if;
  v_now := private.engine_now();
  with found as materialized (
    select distinct on (t.kind, t.subject) t.* from private.troubles(v_now) t order by t.kind, t.subject, t.mark desc
  ), noted as (
    insert into private.alert_states as a (kind, subject, state, mark, problem, remedy, raised_at, changed_at)
    select f.kind, f.subject, 'raised', f.mark, f.problem, f.remedy, v_now, v_now
    from found f
    -- What stands as it stood is neither written nor locked. Hashed, as below: joined by a plan from when few
    -- troubles stood, ten thousand of them take a quarter of a minute.
    where (f.kind, f.subject, f.mark, f.problem, f.remedy)
          not in (select o.kind, o.subject, o.mark, o.problem, o.remedy from private.alert_states o where o.state = 'raised')
    on conflict (kind, subject) do update
      set state = 'raised', mark = excluded.mark, problem = excluded.problem, remedy = excluded.remedy,
          raised_at = case a.state when 'raised' then a.raised_at else v_now end,
          changed_at = case a.state when 'raised' then a.changed_at else v_now end
  )
  update private.alert_states a
  set state = 'clear', changed_at = v_now
  where a.state = 'raised' and (a.kind, a.subject) not in (select f.kind, f.subject from found f);
  update private.alert_settings g set access_asked_at = v_now where g.singleton and private.is_access_asked(v_now);
  delete from private.alert_states a
  using private.alert_settings g
  where a.state = 'clear' and a.told = 'clear' and a.changed_at < v_now - g.keep;

  with claimed as (
    update private.alert_states a
    set claimed_by = p_worker, claimed_until = v_now + make_interval(secs => p_lease_seconds)
    where (a.kind, a.subject) in (
      select p.kind, p.subject
      from private.alert_states p
      where (p.state <> p.told or (p.state = 'raised' and p.mark > p.told_mark)) and p.claimed_until <= v_now
      order by p.changed_at, p.kind, p.subject
      limit p_limit)
    returning a.*
  )
  select coalesce(jsonb_agg(jsonb_build_object(
           'kind', c.kind, 'subject', c.subject, 'state', c.state, 'mark', c.mark, 'problem', c.problem, 'remedy', c.remedy,
           'lasted_s', round(extract(epoch from v_now - c.raised_at))) order by c.state desc, c.kind, c.subject), '[]') into v_alerts
  from claimed c;
  return v_alerts;
end
$$;
comment on function public.claim_alerts(text, integer, integer) is
  'Compares what is the case with what was told, and hands the differences to one worker to send: raised and clear; with p_limit 0 it only brings ops.alerts up to date. What it does not settle comes back when the lease ends.';
revoke all on function public.claim_alerts(text, integer, integer) from public, anon, authenticated;
grant execute on function public.claim_alerts(text, integer, integer) to service_role;

create or replace function public.settle_alerts(p_worker text, p_items jsonb, p_sent boolean)
returns integer
language sql
set search_path = ''
as $$
  with settled as (
    update private.alert_states a
    set told = case when p_sent then i.state else a.told end,
        told_mark = case when not p_sent then a.told_mark when i.state = 'raised' then i.mark else 0 end,
        told_at = case when p_sent then n.now else a.told_at end,
        attempts = case when p_sent then 0 else a.attempts + 1 end,
        claimed_by = null,
        -- a receiver that is down is asked ever more seldom, every quarter of an hour at least
        claimed_until = case when p_sent then '-infinity' else n.now + least(interval '15 minutes', interval '15 seconds' * 2 ^ least(a.attempts, 10)) end
    from jsonb_to_recordset(p_items) as i(kind text, subject text, state text, mark bigint)
    cross join (select private.engine_now() as now) n
    where a.kind = i.kind and a.subject = i.subject and a.claimed_by = p_worker
    returning 1
  )
  select count(*)::integer from settled
$$;
comment on function public.settle_alerts(text, jsonb, boolean) is
  'Notes that a worker sent what it claimed ([{kind, subject, state, mark}]), or failed to: then it is tried again later. Returns how many were still its own.';
revoke all on function public.settle_alerts(text, jsonb, boolean) from public, anon, authenticated;
grant execute on function public.settle_alerts(text, jsonb, boolean) to service_role;
