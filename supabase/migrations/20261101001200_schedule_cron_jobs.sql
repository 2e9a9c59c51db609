-- Purpose: the schedule. pg_cron only enqueues, applies late events and tidies, in SQL; the workers' own tick does the same if it stops.
-- A database without pg_cron migrates all the same: then the workers' tick is the only one.
-- Locks: none.

create or replace function private.start_nightly_reconcile()
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_spread numeric := (select extract(epoch from s.spread) from private.reconcile_settings s);
  v_jobs integer;
begin
  -- Each model at its own moment of the night; what still waits or runs from last night goes on instead.
  insert into public.sync_jobs (agency_id, model_id, sync_type, priority, run_at, created_at, bucket, cause)
  select m.agency_id, m.id, 'reconcile', 200,
         v_now + make_interval(secs => (mod(abs(hashtextextended(m.id::text || 'reconcile', 0)::numeric), greatest(v_spread, 1)))::double precision),
         v_now, private.bucket_of(m), 'night'
  from public.models m
  where m.status = 'active' and private.has_grant(m)
    and not exists (select from public.sync_jobs j where j.model_id = m.id and j.sync_type = 'reconcile' and j.state = 'queued')
    and not exists (select from public.sync_jobs j where j.model_id = m.id and j.sync_type = 'reconcile' and j.state = 'running')
  order by m.id
  on conflict (model_id, sync_type) where state = 'queued' do nothing;
  get diagnostics v_jobs = row_count;
  -- hosted, safeupdate refuses a write without WHERE
  update private.reconcile_settings s set last_night_at = v_now where s.singleton;
  return jsonb_build_object('jobs', v_jobs);
end
$$;
comment on function private.start_nightly_reconcile() is
  'Queues tonight''s proof of the money of every active model, spread over the night at the lowest priority. Repeated, it queues nothing twice.';
revoke all on function private.start_nightly_reconcile() from public, anon, authenticated;
grant execute on function private.start_nightly_reconcile() to service_role;

create or replace function private.start_missed_night(p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if exists (select from private.reconcile_settings s where s.last_night_at < p_now - interval '30 hours') then
    perform private.start_nightly_reconcile();
  end if;
end
$$;
comment on function private.start_missed_night(timestamptz) is
  'Begins the night''s proofs when nobody did for thirty hours. Every scheduling tick asks.';
revoke all on function private.start_missed_night(timestamptz) from public, anon, authenticated;
grant execute on function private.start_missed_night(timestamptz) to service_role;

create or replace function private.schedule_engine()
returns text
language plpgsql
set search_path = ''
as $$
begin
  if not exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
    return 'pg_cron is not installed: only the workers'' own scheduler ticks';
  end if;
  -- the same name replaces the schedule, so this may run again
  execute $cron$select cron.schedule('fanvue-enqueue-due', '* * * * *', 'select public.enqueue_due(''pg_cron'')')$cron$;
  execute $cron$select cron.schedule('fanvue-reap', '* * * * *', 'select public.reap_expired_leases()')$cron$;
  execute $cron$select cron.schedule('fanvue-reconcile-nightly', '10 3 * * *', 'select private.start_nightly_reconcile()')$cron$;
  execute $cron$select cron.schedule('fanvue-prune', '* * * * *', 'select public.prune_history()')$cron$;
  -- as many as are applied in seconds; workers call it until nothing is left
  execute $cron$select cron.schedule('fanvue-retry-webhooks', '* * * * *', 'select public.retry_webhook_events(500)')$cron$;
  return 'scheduled';
end
$$;
comment on function private.schedule_engine() is 'Writes the engine''s pg_cron jobs by name. Run it again after installing pg_cron later.';
revoke all on function private.schedule_engine() from public, anon, authenticated;

do $$
begin
  begin
    create extension if not exists pg_cron;
  exception when others then
    raise notice 'pg_cron could not be installed (%): only the workers'' own scheduler ticks', sqlerrm;
  end;
  raise notice '%', private.schedule_engine();
end
$$;

create or replace function private.schedule_facts()
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_cron jsonb := null;
  v_migrations jsonb := null;
begin
  if to_regclass('cron.job') is not null then
    execute 'select jsonb_object_agg(j.jobname, j.active) from cron.job j where j.jobname like ''fanvue-%''' into v_cron;
  end if;
  if to_regclass('supabase_migrations.schema_migrations') is not null then
    execute 'select jsonb_agg(m.version order by m.version) from supabase_migrations.schema_migrations m' into v_migrations;
  end if;
  return jsonb_build_object('cron', v_cron, 'migrations', v_migrations);
end
$$;
comment on function private.schedule_facts() is
  'The engine''s pg_cron jobs (name to active) and the applied migrations; definer, because the API''s roles may not look there.';
revoke all on function private.schedule_facts() from public, anon, authenticated;
grant execute on function private.schedule_facts() to service_role;

create or replace function public.engine_doctor()
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_facts jsonb;
begin
  begin
    v_facts := private.schedule_facts();
  exception when insufficient_privilege then
    -- hosted projects may not let the owner look: the ticks below still tell whether pg_cron works
    v_facts := '{"cron": {"unknown": true}}';
  end;
  return jsonb_build_object(
    'now', private.engine_now(),
    'server_version', current_setting('server_version'),
    'clock_shift_seconds', coalesce((select extract(epoch from c.shift) from private.engine_clock c), 0),
    'cron', v_facts -> 'cron',
    'migrations', v_facts -> 'migrations',
    'schema_version', private.schema_version(),
    'scheduler', (select jsonb_object_agg(k.source, round(extract(epoch from private.engine_now() - k.last_tick_at)))
                  from private.scheduler_ticks k),
    'key_ids', (select jsonb_object_agg(coalesce(x.key_id, 'plain'), x.tokens)
                from (select case when t.token like 'fse1.%' then split_part(t.token, '.', 2) end as key_id, count(*) as tokens
                      from (select unnest(array[g.access_token, g.refresh_token]) as token from private.grants g
                            union all
                            select w.secret from private.webhook_subscriptions w) t
                      where t.token is not null
                      group by 1) x),
    'foreign_access', (select coalesce(jsonb_agg(jsonb_build_object('object', a.object, 'remedy', a.remedy, 'kept', a.kept)), '[]'::jsonb)
                       from private.foreign_access() a),
    'announcements', to_jsonb(private.announcement_facts(private.engine_now())));
end
$$;
comment on function public.engine_doctor() is
  'Facts for `fanvue-sync doctor`: versions, schedules (name to active), seconds since each scheduler ticked, which keys seal the stored tokens and webhook secrets, what opens tables that the engine did not make, whether announcements arrive.';
revoke all on function public.engine_doctor() from public, anon, authenticated;
grant execute on function public.engine_doctor() to service_role;

create or replace function private.schema_version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '20261101001200'
$$;
comment on function private.schema_version() is 'The newest migration that is applied; the worker''s doctor compares it with the one it was built for.';
revoke all on function private.schema_version() from public, anon, authenticated;
grant execute on function private.schema_version() to service_role;
