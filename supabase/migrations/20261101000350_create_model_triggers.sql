-- Purpose: what follows a model: its streams and jobs follow its status, its rows its agency.
-- Who may call: triggers on public.models; the schedule asks private.next_slot.
-- Locks: a change of a model takes the model's row, then its jobs: the order of every page commit.

create or replace function private.next_slot(p_model_id uuid, p_sync_type text, p_every interval, p_now timestamptz)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_period constant numeric := extract(epoch from p_every);
  -- The model's own phase inside the interval: ten thousand models never fall due in the same second.
  v_phase constant numeric := mod(abs(hashtextextended(p_model_id::text || p_sync_type, 0)::numeric), v_period);
begin
  return to_timestamp((floor((extract(epoch from p_now) - v_phase) / v_period) + 1) * v_period + v_phase);
end
$$;
comment on function private.next_slot(uuid, text, interval, timestamptz) is
  'First instant after p_now at which this model''s stream is due, phased by a hash of the model id.';
revoke all on function private.next_slot(uuid, text, interval, timestamptz) from public, anon, authenticated;
grant execute on function private.next_slot(uuid, text, interval, timestamptz) to service_role;

create or replace function private.next_due(p_state public.sync_state, p_now timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
declare
  v_agency_id uuid;
  v_settings private.sync_streams;
begin
  select m.agency_id into v_agency_id from public.models m where m.id = p_state.model_id and m.status = 'active';
  if not found then
    return null;
  end if;
  v_settings := private.stream_settings(v_agency_id, p_state.model_id, p_state.sync_type);
  return case when v_settings.enabled and not v_settings.on_demand
              then private.next_slot(p_state.model_id, p_state.sync_type, private.current_interval(v_settings, p_state.quiet_runs), p_now) end;
end
$$;
comment on function private.next_due(public.sync_state, timestamptz) is
  'When a stream is due after p_now by the settings in force; null when it is not scheduled.';
revoke all on function private.next_due(public.sync_state, timestamptz) from public, anon, authenticated;
grant execute on function private.next_due(public.sync_state, timestamptz) to service_role;

create or replace function private.wake_stream(p_model_id uuid, p_sync_type text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
set enable_seqscan = off
as $$
begin
  update public.sync_state s
  set quiet_runs = 0,
      next_sync_at = least(s.next_sync_at, private.next_due(jsonb_populate_record(s, '{"quiet_runs": 0}'), p_now))
  where s.model_id = p_model_id and s.sync_type = p_sync_type and s.quiet_runs > 0 and s.next_sync_at is not null;
end
$$;
comment on function private.wake_stream(uuid, text, timestamptz) is 'Gives a stream that had slowed down its own interval back. On a lively one it writes nothing.';
revoke all on function private.wake_stream(uuid, text, timestamptz) from public, anon, authenticated;
grant execute on function private.wake_stream(uuid, text, timestamptz) to service_role;

create or replace function private.follow_model_status()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
begin
  if new.status = 'active' and private.has_grant(new) then
    -- A model that can sync has a state row per enabled stream; coming back to life makes them due.
    insert into public.sync_state as s (agency_id, model_id, sync_type, next_sync_at)
    select new.agency_id, new.id, t.sync_type, case when not t.on_demand then v_now end
    from private.sync_streams d
    cross join lateral private.stream_settings(new.agency_id, new.id, d.sync_type) t
    where t.enabled
    on conflict (model_id, sync_type) do nothing;
    -- so that a creator of whom no proof ever begins is found like one whose proofs do not end
    insert into private.reconciliations (model_id) values (new.id) on conflict do nothing;
    if tg_op = 'UPDATE' and old.status <> 'active' then
      perform from public.sync_state s where s.model_id = new.id order by s.sync_type for update;
      update public.sync_state s
      -- streams on demand too: their work may have been left half done
      set next_sync_at = v_now, consecutive_failures = 0, quiet_runs = 0
      from private.sync_streams d
      cross join lateral private.stream_settings(new.agency_id, new.id, d.sync_type) t
      where s.model_id = new.id and s.sync_type = d.sync_type and t.enabled;
    end if;
  elsif tg_op = 'UPDATE' and old.status = 'active' then
    -- A stopped model costs nothing: what runs is told to stop, what waits is cancelled. In this order, so that a job
    -- which its worker gives back meanwhile is found waiting. Locked stream by stream, as a settlement of several does.
    perform from public.sync_jobs j where j.model_id = new.id order by j.sync_type, j.state = 'queued', j.id for update;
    update public.sync_jobs j set cancel_requested = true where j.model_id = new.id and j.state = 'running';
    with gone as (
      delete from public.sync_jobs j where j.model_id = new.id and j.state = 'queued' returning j.*
    )
    insert into public.sync_runs (job_id, agency_id, model_id, sync_type, state, attempt, pages, requests,
                                  rows_inserted, rows_updated, rows_unchanged, queued_at, started_at, finished_at, error, detail)
    select g.id, g.agency_id, g.model_id, g.sync_type, 'cancelled', g.attempt, g.pages, g.requests,
           g.rows_inserted, g.rows_updated, g.rows_unchanged, g.created_at, g.claimed_at, v_now,
           jsonb_build_object('kind', 'model_' || new.status, 'message', coalesce(new.status_reason, 'the model is ' || new.status)),
           jsonb_build_object('cause', private.cause_of(g.cause, g.created_at))
    from gone g;
    perform from public.sync_state s where s.model_id = new.id order by s.sync_type for update;
    update public.sync_state s set next_sync_at = null where s.model_id = new.id and s.next_sync_at is not null;
  end if;
  return null;
end
$$;
comment on function private.follow_model_status() is
  'Keeps streams and jobs in step with a model''s status: active gets state rows and becomes due, anything else is emptied from queue and schedule.';
revoke all on function private.follow_model_status() from public, anon, authenticated;

create trigger models_follow_status
  after insert or update of status, fanvue_refresh_token, fanvue_access_token, connection_id on public.models
  for each row execute function private.follow_model_status();

create or replace function private.follow_model_agency()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_table regclass;
begin
  -- By the catalog, so that no table is forgotten: the old agency must not keep a single row in sight.
  for v_table in
    select c.oid::regclass
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      and 2 = (select count(*) from pg_catalog.pg_attribute a
               where a.attrelid = c.oid and a.attname in ('agency_id', 'model_id') and not a.attisdropped)
    order by c.relname
  loop
    execute format('update %s t set agency_id = $1 where t.model_id = $2 and t.agency_id is distinct from $1', v_table)
      using new.agency_id, new.id;
  end loop;
  -- The new agency's settings: what the old one had switched off begins, what this one has switched off stops.
  insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at)
  select new.agency_id, new.id, t.sync_type, case when not t.on_demand then v_now end
  from private.sync_streams d
  cross join lateral private.stream_settings(new.agency_id, new.id, d.sync_type) t
  where t.enabled and new.status = 'active' and private.has_grant(new)
  on conflict (model_id, sync_type) do nothing;
  perform from public.sync_state s where s.model_id = new.id order by s.sync_type for update;
  update public.sync_state s
  set next_sync_at = case when private.next_due(s, v_now) is not null then least(s.next_sync_at, private.next_due(s, v_now)) end
  from private.sync_streams d
  cross join lateral private.stream_settings(new.agency_id, new.id, d.sync_type) t
  where s.model_id = new.id and s.sync_type = d.sync_type and not (t.on_demand and t.enabled and new.status = 'active');
  return null;
end
$$;
comment on function private.follow_model_agency() is
  'A model that an operator gives to another agency takes all its rows along and is scheduled by that one''s settings.';
revoke all on function private.follow_model_agency() from public, anon, authenticated;
create trigger models_follow_agency
  after update of agency_id on public.models
  for each row when (new.agency_id is distinct from old.agency_id)
  execute function private.follow_model_agency();

create or replace function private.stamp_model()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.fanvue_user_uuid := lower(new.fanvue_user_uuid);
  if tg_op = 'INSERT' then
    new.reason_code := coalesce(new.reason_code, private.usual_reason_code(new.status));
    return new;
  end if;
  new.updated_at := private.engine_now();
  if new.agency_id is distinct from old.agency_id then
    -- for private.move_erasures: what this transaction holds of agencies that it has taken creators from
    perform set_config('fanvue.left_agencies', concat_ws(' ', current_setting('fanvue.left_agencies', true), old.agency_id), true);
  end if;
  if new.status is distinct from old.status then
    new.status_changed_at := new.updated_at;
    -- Whoever pauses without saying why is an operator, in Studio too: no connection ends that.
    if new.reason_code is not distinct from old.reason_code then
      new.reason_code := private.usual_reason_code(new.status);
    end if;
  end if;
  return new;
end
$$;
comment on function private.stamp_model() is 'Dates a model''s changes, keeps its creator uuid in lower case, gives it a reason code where the writer does not, and notes until the transaction ends which agency it left.';
revoke all on function private.stamp_model() from public, anon, authenticated;
grant execute on function private.stamp_model() to service_role;
create trigger models_stamp
  before insert or update on public.models
  for each row execute function private.stamp_model();

-- Settings: an operator's change of an interval concerns every creator there is. It brings the schedule in step a batch of
-- creators at a time: the first at once, the others with the ticks, so that nobody's rows are held for long.

create table private.settings_changes (
  agency_id uuid,
  model_id uuid,
  sync_type text not null references private.sync_streams (sync_type) on delete cascade,
  after_model uuid not null default '00000000-0000-0000-0000-000000000000',
  constraint settings_changes_whose_key unique nulls not distinct (sync_type, agency_id, model_id)
);
comment on table private.settings_changes is
  'Changes of stream settings with which the schedule is not in step yet. The ticks work them off; empty is normal.';
comment on column private.settings_changes.agency_id is 'The agency whose settings changed; with model_id empty: everybody''s.';
comment on column private.settings_changes.model_id is 'The one model whose settings changed.';
comment on column private.settings_changes.after_model is 'The creators up to this id are done.';
revoke all on private.settings_changes from public, anon, authenticated;
grant select, insert, update, delete on private.settings_changes to service_role;

create or replace function private.plan_streams(p_models uuid[], p_sync_type text, p_now timestamptz)
returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_passed_over uuid;
begin
  insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at)
  select m.agency_id, m.id, t.sync_type, case when not t.on_demand then p_now end
  from unnest(p_models) k(id)
  join public.models m on m.id = k.id
  cross join lateral private.stream_settings(m.agency_id, m.id, p_sync_type) t
  where t.enabled and m.status = 'active' and private.has_grant(m)
    -- what is there is not tried: the insert would wait for whoever is changing it
    and not exists (select from public.sync_state s where s.model_id = m.id and s.sync_type = p_sync_type)
  on conflict (model_id, sync_type) do nothing;
  -- Off: off the schedule. On, or another interval: due at the next slot of it, unless that is later than planned.
  with free as (
    select s.id, s.model_id
    from public.sync_state s
    where s.model_id = any (p_models) and s.sync_type = p_sync_type
    order by s.model_id
    for update skip locked
  ), planned as (
    select s.id, s.next_sync_at, private.next_due(s, p_now) as next_due
    from free f
    join public.sync_state s on s.id = f.id
    cross join lateral private.stream_settings(s.agency_id, s.model_id, s.sync_type) t
    where not (t.on_demand and t.enabled)
  ), moved as (
    update public.sync_state s
    set next_sync_at = case when p.next_due is not null then least(s.next_sync_at, p.next_due) end
    from planned p
    where s.id = p.id and s.next_sync_at is distinct from case when p.next_due is not null then least(p.next_sync_at, p.next_due) end
  )
  select s.model_id into v_passed_over
  from public.sync_state s
  where s.model_id = any (p_models) and s.sync_type = p_sync_type and not exists (select from free f where f.id = s.id)
  order by s.model_id
  limit 1;
  return v_passed_over;
end
$$;
comment on function private.plan_streams(uuid[], text, timestamptz) is
  'Plans one stream of some models by the settings in force. Waits for nobody: returns the first model whose stream somebody holds, null when there is none.';
revoke all on function private.plan_streams(uuid[], text, timestamptz) from public, anon, authenticated;
grant execute on function private.plan_streams(uuid[], text, timestamptz) to service_role;

create or replace function private.follow_settings_changes(p_limit integer, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_change private.settings_changes;
  v_models uuid[];
  v_passed_over uuid;
begin
  for v_change in
    select c.* from private.settings_changes c order by c.sync_type, c.agency_id, c.model_id for update skip locked
  loop
    select coalesce(array_agg(x.id order by x.id), '{}') into v_models
    from (select m.id
          from public.models m
          where m.id > v_change.after_model and (v_change.model_id is null or m.id = v_change.model_id)
            and (v_change.agency_id is null or m.agency_id = v_change.agency_id)
          order by m.id
          limit p_limit) x;
    v_passed_over := private.plan_streams(v_models, v_change.sync_type, p_now);
    if v_passed_over is null and cardinality(v_models) < p_limit then
      delete from private.settings_changes c
      where (c.sync_type, c.agency_id, c.model_id) is not distinct from (v_change.sync_type, v_change.agency_id, v_change.model_id);
    else
      update private.settings_changes c
      set after_model = coalesce((select k.id from unnest(v_models) k(id) where v_passed_over is null or k.id < v_passed_over order by k.id desc limit 1), c.after_model)
      where (c.sync_type, c.agency_id, c.model_id) is not distinct from (v_change.sync_type, v_change.agency_id, v_change.model_id);
    end if;
    p_limit := p_limit - cardinality(v_models);
    exit when p_limit <= 0;
  end loop;
end
$$;
comment on function private.follow_settings_changes(integer, timestamptz) is
  'Brings the schedule of so many creators in step with settings that an operator changed, and remembers how far it got. Where a stream is held at this moment it goes on from there next time.';
revoke all on function private.follow_settings_changes(integer, timestamptz) from public, anon, authenticated;
grant execute on function private.follow_settings_changes(integer, timestamptz) to service_role;

create or replace function private.follow_settings()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.settings_changes (agency_id, model_id, sync_type)
  select distinct c.agency_id, c.model_id, c.sync_type
  from (select to_jsonb(n) as item from new_rows n) r
  cross join lateral jsonb_to_record(r.item) as c(agency_id uuid, model_id uuid, sync_type text)
  on conflict (sync_type, agency_id, model_id) do update set after_model = excluded.after_model;
  perform private.follow_settings_changes(500, private.engine_now());
  return null;
end
$$;
comment on function private.follow_settings() is
  'Brings the schedule in step with settings that an operator changed: of up to 500 creators at once, of the others with the next ticks.';
revoke all on function private.follow_settings() from public, anon, authenticated;

create or replace function private.follow_stream_settings()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.settings_changes (sync_type)
  select n.sync_type
  from new_rows n
  join old_rows o on o.sync_type = n.sync_type
  -- what the schedule is made of
  where (n.enabled, n.on_demand, n.every, n.slow_after, n.slowest) is distinct from (o.enabled, o.on_demand, o.every, o.slow_after, o.slowest)
  on conflict (sync_type, agency_id, model_id) do update set after_model = excluded.after_model;
  perform private.follow_settings_changes(500, private.engine_now());
  return null;
end
$$;
comment on function private.follow_stream_settings() is 'What private.follow_settings does, for everybody''s settings.';
revoke all on function private.follow_stream_settings() from public, anon, authenticated;
create trigger sync_streams_follow_settings
  after update on private.sync_streams
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.follow_stream_settings();
create trigger sync_overrides_follow_insert
  after insert on private.sync_overrides
  referencing new table as new_rows
  for each statement execute function private.follow_settings();
create trigger sync_overrides_follow_update
  after update on private.sync_overrides
  referencing new table as new_rows
  for each statement execute function private.follow_settings();
-- the row that it was about before
create trigger sync_overrides_follow_move
  after update on private.sync_overrides
  referencing old table as new_rows
  for each statement execute function private.follow_settings();
create trigger sync_overrides_follow_delete
  after delete on private.sync_overrides
  referencing old table as new_rows
  for each statement execute function private.follow_settings();

-- Adopted models sync from their first tick.
insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at)
select m.agency_id, m.id, t.sync_type, case when not t.on_demand then now() end
from public.models m
cross join private.sync_streams t
where m.status = 'active' and private.has_grant(m) and t.enabled
on conflict do nothing;
insert into private.reconciliations (model_id) select m.id from public.models m where m.status = 'active' and private.has_grant(m) on conflict do nothing;
