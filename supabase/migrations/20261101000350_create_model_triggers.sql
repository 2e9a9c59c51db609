-- Purpose: what follows a model: its streams and jobs follow its status, its rows its agency.
-- Who may call: triggers on public.models; the schedule asks private.next_slot.
-- Locks: a change of a model takes the model's row, then its jobs: the order of every page commit.

create or replace function private.next_slot(p_model_id uuid, p_sync_type text, p_every interval, p_now timestamptz)
returns timestamptz
language sql
immutable
set search_path = ''
as $$
  -- The model's own phase inside the interval: ten thousand models never fall due in the same second.
  select to_timestamp(
    (floor((extract(epoch from p_now) - s.phase) / s.period) + 1) * s.period + s.phase)
  from (
    select extract(epoch from p_every)::numeric as period,
           mod(abs(hashtextextended(p_model_id::text || p_sync_type, 0)::numeric), extract(epoch from p_every)::numeric) as phase
  ) s
$$;
comment on function private.next_slot(uuid, text, interval, timestamptz) is
  'First instant after p_now at which this model''s stream is due, phased by a hash of the model id.';
revoke all on function private.next_slot(uuid, text, interval, timestamptz) from public, anon, authenticated;
grant execute on function private.next_slot(uuid, text, interval, timestamptz) to service_role;

create or replace function private.follow_model_status()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
begin
  if new.status = 'active' and coalesce(new.fanvue_refresh_token, new.fanvue_access_token) is not null then
    -- A model that can sync has a state row per enabled stream; coming back to life makes them due.
    insert into public.sync_state as s (agency_id, model_id, sync_type, next_sync_at)
    select new.agency_id, new.id, t.sync_type, v_now
    from private.sync_streams t
    where t.enabled
    on conflict (model_id, sync_type) do nothing;
    if tg_op = 'UPDATE' and old.status <> 'active' then
      update public.sync_state s
      set next_sync_at = v_now, consecutive_failures = 0
      from private.sync_streams t
      where s.model_id = new.id and t.sync_type = s.sync_type and t.enabled;
    end if;
  elsif tg_op = 'UPDATE' and old.status = 'active' then
    -- A stopped model costs nothing: what runs is told to stop, what waits is cancelled. In this order, so that a job
    -- which its worker gives back meanwhile is found waiting.
    update public.sync_jobs j set cancel_requested = true where j.model_id = new.id and j.state = 'running';
    with gone as (
      delete from public.sync_jobs j where j.model_id = new.id and j.state = 'queued' returning j.*
    )
    insert into public.sync_runs (job_id, agency_id, model_id, sync_type, state, attempt, pages, requests,
                                  rows_inserted, rows_updated, rows_unchanged, queued_at, started_at, finished_at, error)
    select g.id, g.agency_id, g.model_id, g.sync_type, 'cancelled', g.attempt, g.pages, g.requests,
           g.rows_inserted, g.rows_updated, g.rows_unchanged, g.created_at, g.claimed_at, v_now,
           jsonb_build_object('kind', 'model_' || new.status, 'message', coalesce(new.status_reason, 'the model is ' || new.status))
    from gone g;
  end if;
  return null;
end
$$;
comment on function private.follow_model_status() is
  'Keeps streams and jobs in step with a model''s status: active gets state rows and becomes due, anything else is emptied from the queue.';
revoke all on function private.follow_model_status() from public, anon, authenticated;

create trigger models_follow_status
  after insert or update of status, fanvue_refresh_token, fanvue_access_token on public.models
  for each row execute function private.follow_model_status();

create or replace function private.follow_model_agency()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
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
  return null;
end
$$;
comment on function private.follow_model_agency() is
  'A model that an operator gives to another agency takes all its rows along.';
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
    return new;
  end if;
  new.updated_at := private.engine_now();
  if new.status is distinct from old.status then
    new.status_changed_at := new.updated_at;
  end if;
  return new;
end
$$;
comment on function private.stamp_model() is 'Dates a model''s changes and keeps its creator uuid in lower case.';
revoke all on function private.stamp_model() from public, anon, authenticated;
grant execute on function private.stamp_model() to service_role;
create trigger models_stamp
  before insert or update on public.models
  for each row execute function private.stamp_model();

-- Adopted models sync from their first tick.
insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at)
select m.agency_id, m.id, t.sync_type, now()
from public.models m
cross join private.sync_streams t
where m.status = 'active' and coalesce(m.fanvue_refresh_token, m.fanvue_access_token) is not null and t.enabled
on conflict do nothing;
