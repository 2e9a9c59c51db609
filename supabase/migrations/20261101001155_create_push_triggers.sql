-- Purpose: what is told: new money, models, jobs that people wait for, streams, and work that is due.
-- Who may call: triggers only. A statement is looked at once, whatever the number of its rows.
-- Locks: the short one that a new trigger takes.

-- Money: one item per model, with how many rows and by how much the total moved ------------------------

create or replace function private.push_transactions()
returns trigger
language plpgsql
security definer
set search_path = ''
set timezone = 'UTC'
as $$
declare
  v_changes jsonb;
begin
  if tg_op = 'INSERT' then
    select jsonb_agg(to_jsonb(c)) into v_changes
    from (select n.agency_id, n.model_id, count(*) as inserted, 0 as updated, 0 as deleted, sum(n.amount) as amount, max(n.fanvue_created_at) as latest_at,
                 nullif(count(*) filter (where n.amount < 0), 0) as refunds
          from new_rows n group by n.agency_id, n.model_id) c;
  elsif tg_op = 'UPDATE' then
    -- A row that was handed over has left the one and come to the other.
    select jsonb_agg(to_jsonb(c)) into v_changes
    from (select v.agency_id, v.model_id, greatest(sum(v.rows), 0) as inserted,
                 count(*) filter (where v.rows = 1) - greatest(sum(v.rows), 0) as updated, greatest(-sum(v.rows), 0) as deleted,
                 sum(v.amount) as amount, max(v.fanvue_created_at) as latest_at
          from (select n.agency_id, n.model_id, 1 as rows, n.amount, n.fanvue_created_at from new_rows n
                union all
                select o.agency_id, o.model_id, -1, -o.amount, o.fanvue_created_at from old_rows o) v
          group by v.agency_id, v.model_id) c;
  else
    select jsonb_agg(to_jsonb(c)) into v_changes
    from (select o.agency_id, o.model_id, 0 as inserted, 0 as updated, count(*) as deleted, -sum(o.amount) as amount, max(o.fanvue_created_at) as latest_at
          from old_rows o group by o.agency_id, o.model_id) c;
  end if;
  -- What one transaction does in several statements adds up to one item.
  insert into private.pushes as p (topic, kind, key, item)
  select 'agency:' || (c.value ->> 'agency_id'), 'transactions', c.value ->> 'model_id',
         jsonb_strip_nulls(c.value - 'agency_id') || jsonb_build_object('amount', c.value ->> 'amount')
  from jsonb_array_elements(v_changes) c
  order by 1, 3
  on conflict (xid, topic, kind, key) do update
    set item = p.item || jsonb_build_object(
      'inserted', (p.item ->> 'inserted')::bigint + (excluded.item ->> 'inserted')::bigint,
      'updated', (p.item ->> 'updated')::bigint + (excluded.item ->> 'updated')::bigint,
      'deleted', (p.item ->> 'deleted')::bigint + (excluded.item ->> 'deleted')::bigint,
      'amount', ((p.item ->> 'amount')::numeric + (excluded.item ->> 'amount')::numeric)::text,
      'latest_at', greatest((p.item ->> 'latest_at')::timestamptz, (excluded.item ->> 'latest_at')::timestamptz))
      || jsonb_strip_nulls(jsonb_build_object(
        'refunds', nullif(coalesce((p.item ->> 'refunds')::bigint, 0) + coalesce((excluded.item ->> 'refunds')::bigint, 0), 0)));
  return null;
end
$$;
comment on function private.push_transactions() is 'Notes which models'' money changed: rows inserted (refunds: how many of them are negative), updated, deleted, and by how many US dollars the total moved.';
revoke all on function private.push_transactions() from public, anon, authenticated;
create trigger fanvue_transactions_push_insert
  after insert on public.fanvue_transactions
  referencing new table as new_rows
  for each statement execute function private.push_transactions();
create trigger fanvue_transactions_push_update
  after update on public.fanvue_transactions
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.push_transactions();
create trigger fanvue_transactions_push_delete
  after delete on public.fanvue_transactions
  referencing old table as old_rows
  for each statement execute function private.push_transactions();

create or replace function private.push_truncated()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.note_push('agency:' || a.id, 'transactions', '*', '{}') from public.agencies a;
  return null;
end
$$;
comment on function private.push_truncated() is 'Tells every agency to look for itself: the ledger was emptied.';
revoke all on function private.push_truncated() from public, anon, authenticated;
create trigger fanvue_transactions_push_truncate
  after truncate on public.fanvue_transactions
  for each statement execute function private.push_truncated();

-- Models: who they are and whether they sync -----------------------------------------------------------

create or replace function private.push_models()
returns trigger
language plpgsql
security definer
set search_path = ''
-- a plan from a statement of one row joins the next one's 50,000 row by row
set enable_nestloop = off
as $$
declare
  v_changes jsonb;
begin
  if tg_op = 'INSERT' then
    select jsonb_agg(jsonb_build_object('agency_id', n.agency_id, 'key', n.id, 'item', jsonb_build_object('model_id', n.id, 'status', n.status))) into v_changes
    from new_rows n;
  elsif tg_op = 'UPDATE' then
    select jsonb_agg(c.change) into v_changes
    from new_rows n
    join old_rows o on o.id = n.id
    cross join lateral (
      select jsonb_build_object('agency_id', n.agency_id, 'key', n.id, 'item', jsonb_build_object('model_id', n.id, 'status', n.status)) as change
      union all
      -- the agency that a model left hears so
      select jsonb_build_object('agency_id', o.agency_id, 'key', o.id, 'item', jsonb_build_object('model_id', o.id, 'status', 'removed'))
      where o.agency_id <> n.agency_id
    ) c
    where (n.status, n.status_reason, n.handle, n.display_name, n.agency_id)
          is distinct from (o.status, o.status_reason, o.handle, o.display_name, o.agency_id);
  else
    select jsonb_agg(jsonb_build_object('agency_id', o.agency_id, 'key', o.id, 'item', jsonb_build_object('model_id', o.id, 'status', 'removed'))) into v_changes
    from old_rows o;
  end if;
  if v_changes is not null then
    perform private.note_pushes('model', v_changes);
  end if;
  return null;
end
$$;
comment on function private.push_models() is 'Notes models that came, went, or changed their status or name.';
revoke all on function private.push_models() from public, anon, authenticated;
create trigger models_push_insert
  after insert on public.models
  referencing new table as new_rows
  for each statement execute function private.push_models();
create trigger models_push_update
  after update on public.models
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.push_models();
create trigger models_push_delete
  after delete on public.models
  referencing old table as old_rows
  for each statement execute function private.push_models();

-- Jobs: what people wait for ---------------------------------------------------------------------------

create or replace function private.is_watched(p_job public.sync_jobs)
returns boolean
-- plpgsql: asked of every job that is claimed or settled, and a function in SQL that sets its search_path begins a query each time
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- Polls come and go by the thousand, and lists are read whole every day; their streams tell what they found.
  return p_job.sync_type <> 'token_refresh'
         and (p_job.state = 'dead' or p_job.priority <= 5 or p_job.asked_at is not null
              or (p_job.priority >= 100 and coalesce(p_job.progress ->> 'kind' = 'full', false)));
end
$$;
comment on function private.is_watched(public.sync_jobs) is
  'Whether a job is one that people watch: asked for by somebody, reading history, or dead. Nobody watches the dead man''s switch of a token''s refresh.';
revoke all on function private.is_watched(public.sync_jobs) from public, anon, authenticated;

create or replace function private.job_change(p_job public.sync_jobs, p_state text)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return jsonb_build_object('agency_id', p_job.agency_id, 'key', p_job.id, 'item', jsonb_build_object(
    'job_id', p_job.id, 'model_id', p_job.model_id, 'sync_type', p_job.sync_type, 'state', p_state,
    'progress', coalesce(p_job.progress, '{}'::jsonb)));
end
$$;
comment on function private.job_change(public.sync_jobs, text) is 'What is told of a job.';
revoke all on function private.job_change(public.sync_jobs, text) from public, anon, authenticated;

create or replace function private.push_jobs()
returns trigger
language plpgsql
security definer
set search_path = ''
-- a plan from a statement of one row joins the next one's 50,000 row by row
set enable_nestloop = off
as $$
declare
  v_now timestamptz := private.engine_now();
  v_changes jsonb;
  v_due integer := 0;
begin
  -- Nearly all jobs are the schedule's polls: by their priority nobody watches them, seen before is_watched is called for each.
  if tg_op = 'INSERT' then
    select jsonb_agg(private.job_change(n, n.state))
             filter (where (n.priority not between 6 and 99 or n.asked_at is not null or n.state = 'dead') and private.is_watched(n)),
           count(*) filter (where n.state = 'queued' and n.run_at <= v_now)
      into v_changes, v_due
    from new_rows n;
  elsif tg_op = 'UPDATE' then
    -- a poll that a worker takes is news for nobody: seen without joining before and after
    if not exists (select from new_rows n
                   where n.state <> 'running' or ((n.priority not between 6 and 99 or n.asked_at is not null) and private.is_watched(n))) then
      return null;
    end if;
    select jsonb_agg(private.job_change(n, n.state))
             filter (where private.is_watched(n) and (n.state, n.progress) is distinct from (o.state, o.progress)),
           -- made due earlier; what a worker gave back it takes again by itself, and who takes from a worker that cannot tells it (note_due)
           count(*) filter (where n.state = 'queued' and o.state <> 'running' and n.run_at <= v_now
                              and (o.state = 'dead' or o.run_at > v_now or n.priority < o.priority))
      into v_changes, v_due
    from new_rows n
    join old_rows o on o.id = n.id;
  else
    select jsonb_agg(private.job_change(o, coalesce(r.state, 'cancelled'))) into v_changes
    from old_rows o
    left join lateral (select u.state from public.sync_runs u where u.job_id = o.id order by u.id desc limit 1) r on true
    -- a dead job that a success cleared away was told already
    where (o.priority not between 6 and 99 or o.asked_at is not null) and private.is_watched(o) and o.state <> 'dead';
  end if;
  if v_changes is not null then
    perform private.note_pushes('job', v_changes);
  end if;
  if v_due > 0 then
    perform private.note_due(v_due);
  end if;
  return null;
end
$$;
comment on function private.push_jobs() is
  'Notes jobs that people watch when their state or progress changes, and tells the workers'' topic when work became due.';
revoke all on function private.push_jobs() from public, anon, authenticated;
create trigger sync_jobs_push_insert
  after insert on public.sync_jobs
  referencing new table as new_rows
  for each statement execute function private.push_jobs();
create trigger sync_jobs_push_update
  after update on public.sync_jobs
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.push_jobs();
create trigger sync_jobs_push_delete
  after delete on public.sync_jobs
  referencing old table as old_rows
  for each statement execute function private.push_jobs();

-- Streams: how fresh, and whether they fail ------------------------------------------------------------

create or replace function private.push_streams()
returns trigger
language plpgsql
security definer
set search_path = ''
-- a plan from a statement of one row joins the next one's 50,000 row by row
set enable_nestloop = off
set timezone = 'UTC'
as $$
declare
  v_changes jsonb;
begin
  select jsonb_agg(jsonb_build_object('agency_id', n.agency_id, 'key', n.model_id || ':' || n.sync_type, 'item', jsonb_build_object(
           'model_id', n.model_id, 'sync_type', n.sync_type, 'last_success_at', n.last_success_at,
           'next_sync_at', n.next_sync_at, 'failures', n.consecutive_failures)))
    into v_changes
  from new_rows n
  join old_rows o on o.id = n.id
  where (n.last_error, n.consecutive_failures) is distinct from (o.last_error, o.consecutive_failures)
     or (n.last_success_at is distinct from o.last_success_at and (o.last_success_at is null or n.quiet_runs = 0 or n.last_success_at is null));
  if v_changes is not null then
    perform private.note_pushes('sync_state', v_changes);
  end if;
  return null;
end
$$;
comment on function private.push_streams() is
  'Notes streams that found news, failed, or work again. A poll that found nothing is not told: whoever shows how fresh a stream is looks again by themselves.';
revoke all on function private.push_streams() from public, anon, authenticated;
create trigger sync_state_push_update
  after update on public.sync_state
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.push_streams();
