-- Purpose: the nightly proof of the money: begin a run, commit its pages, compare its sums, close it with a verdict.
-- Who may call: service_role. A stale lease gets PT410 and writes nothing; a repeated call gets its first answer again.
-- Locks: the model's row, the job's, the run's, in this order: as every page commit does.

create or replace function private.reconcile_reply(p_run private.reconciliations)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'version', p_run.version, 'run_id', p_run.run_id, 'days', p_run.days, 'ranges', p_run.ranges, 'todo', p_run.todo,
    'place', p_run.place, 'notes', p_run.notes, 'ceiling', p_run.ceiling,
    'pages', p_run.pages, 'known', private.known_rows(p_run.model_id, 'earnings'),
    'settle_seconds', (select extract(epoch from s.settle_after) from private.reconcile_settings s))
$$;
comment on function private.reconcile_reply(private.reconciliations) is 'A run as the worker gets it.';
revoke all on function private.reconcile_reply(private.reconciliations) from public, anon, authenticated;
grant execute on function private.reconcile_reply(private.reconciliations) to service_role;

create or replace function private.older_month(p_model_id uuid, p_history_from timestamptz, p_last date, p_before timestamptz)
returns date
language sql
immutable
set search_path = ''
as $$
  -- From the newest to the oldest, then the newest again; none when history is not that long.
  select case
    when p_history_from is null or p_history_from >= p_before then null
    when p_last is null or p_last <= m.oldest or p_last > m.newest then m.newest
    else (p_last - interval '1 month')::date end
  from (select date_trunc('month', p_history_from at time zone 'UTC')::date as oldest,
               date_trunc('month', (p_before - interval '1 ms') at time zone 'UTC')::date as newest) m
$$;
comment on function private.older_month(uuid, timestamptz, date, timestamptz) is 'Which month before an instant is to be proved next, given the one proved last.';
revoke all on function private.older_month(uuid, timestamptz, date, timestamptz) from public, anon, authenticated;
grant execute on function private.older_month(uuid, timestamptz, date, timestamptz) to service_role;

create or replace function public.begin_reconcile(p_job_id bigint, p_lease_id bigint)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs := private.hold_job(p_job_id, p_lease_id);
  v_history_begins constant timestamptz := timestamptz '2020-01-01 00:00:00+00';
  v_settings private.reconcile_settings;
  v_run private.reconciliations;
  v_days integer;
  v_start timestamptz;
  v_history timestamptz;
  v_high_water timestamptz;
  v_month date;
  v_ranges jsonb;
begin
  insert into private.reconciliations (model_id) values (v_job.model_id) on conflict do nothing;
  select r.* into v_run from private.reconciliations r where r.model_id = v_job.model_id for update;
  if v_run.run_id is not null and v_run.started_at > v_now - interval '1 day'
     and (v_run.requested_days is null or v_run.requested_days = (v_run.notes ->> 'requested')::integer) then
    return private.reconcile_reply(v_run);
  end if;
  select s.* into v_settings from private.reconcile_settings s;
  v_days := coalesce(v_run.requested_days, v_settings.days, 35);
  v_start := greatest(v_history_begins,
                      (date_trunc('day', v_now at time zone 'UTC') - make_interval(days => v_days)) at time zone 'UTC');
  select min(t.fanvue_created_at) into v_history from public.fanvue_transactions t where t.model_id = v_job.model_id;
  v_history := least(v_run.history_from, v_history);
  select s.high_water into v_high_water
  from public.sync_state s where s.model_id = v_job.model_id and s.sync_type = 'earnings';
  v_ranges := jsonb_build_array(jsonb_build_object('start', v_start, 'end', null));
  if v_run.requested_days is null and coalesce(v_settings.older_months, true) then
    v_month := private.older_month(v_job.model_id, v_history, v_run.older_month, v_start);
    if v_month is not null then
      v_ranges := v_ranges || jsonb_build_object(
        -- the first month begins with history itself: nobody knows what was lost before it
        'start', case when v_month <= v_history at time zone 'UTC' then v_history_begins else v_month::timestamp at time zone 'UTC' end,
        'end', least(v_start, (v_month + interval '1 month') at time zone 'UTC'));
    end if;
  end if;
  delete from private.reconciliation_pages p where p.model_id = v_job.model_id;
  update private.reconciliations r
  set version = r.version + 1, run_id = gen_random_uuid(), days = v_days, requested_days = null, ranges = v_ranges,
      todo = (select jsonb_agg(x.item || '{"list": "earnings"}') from jsonb_array_elements(v_ranges) x(item)),
      place = '{}', border = '{}',
      notes = jsonb_strip_nulls(jsonb_build_object('requested', v_run.requested_days, 'older_month', v_month)),
      started_at = v_now,
      news_from = least(coalesce(v_high_water, '-infinity'), v_now - interval '15 minutes'),
      ceiling = null, pages = 0, listed = 0, inserted = 0, changed = 0, history_from = v_history,
      last_page_key = null, last_page_reply = null
  where r.model_id = v_job.model_id
  returning r.* into v_run;
  return private.reconcile_reply(v_run);
end
$$;
comment on function public.begin_reconcile(bigint, bigint) is
  'Opens the reconciliation of a leased job, or returns the open one to resume. Its ranges are frozen here.';
revoke all on function public.begin_reconcile(bigint, bigint) from public, anon, authenticated;
grant execute on function public.begin_reconcile(bigint, bigint) to service_role;

create or replace function private.hold_reconciliation(p_model_id uuid, p_version bigint, p_run_id uuid, p_key text)
returns private.reconciliations
language plpgsql
set search_path = ''
as $$
declare
  v_run private.reconciliations;
begin
  select r.* into v_run from private.reconciliations r where r.model_id = p_model_id for update;
  if v_run.version = p_version + 1 and v_run.last_page_key = p_key then
    return v_run;
  end if;
  if not found or v_run.version <> p_version or v_run.run_id is null or v_run.run_id is distinct from p_run_id then
    raise sqlstate 'PT410' using message = format('the reconciliation moved on to version %s; the page was read on version %s',
                                                  v_run.version, p_version),
      hint = 'stop the task and write nothing';
  end if;
  return v_run;
end
$$;
comment on function private.hold_reconciliation(uuid, bigint, uuid, text) is
  'Locks a model''s open run at the version a page was read on, or just after that very page; else raises PT410.';
revoke all on function private.hold_reconciliation(uuid, bigint, uuid, text) from public, anon, authenticated;
grant execute on function private.hold_reconciliation(uuid, bigint, uuid, text) to service_role;

create or replace function private.note_mended(p_job public.sync_jobs, p_run private.reconciliations, p_added uuid[], p_before jsonb, p_now timestamptz)
returns table (inserted integer, changed integer)
language sql
set search_path = ''
as $$
  with touched as (
    select 'inserted' as what, t as entry, null::jsonb as before, '{}'::text[] as columns
    from public.fanvue_transactions t
    where t.id = any (p_added) and t.fanvue_created_at <= p_run.news_from
    union all
    select 'changed', t, b.item, c.columns
    from jsonb_array_elements(coalesce(p_before, '[]')) b(item)
    join public.fanvue_transactions t on t.id = (b.item ->> 'id')::uuid
    cross join lateral (
      select array_agg(k.key order by k.key) as columns
      from jsonb_each(b.item) k
      -- not the handle: fans rename themselves
      where k.key not in ('synced_at', 'fan_handle') and k.value is distinct from to_jsonb(t) -> k.key) c
    where c.columns is not null
  ), mended as (
    select x.what, ((x.entry).fanvue_created_at at time zone 'UTC')::date as day, coalesce((x.entry).category, 'uncategorised') as category,
           count(*)::integer as transactions,
           coalesce(sum((x.before ->> 'amount')::numeric), 0) as gross_before,
           coalesce(sum((x.before ->> 'net_amount')::numeric), 0) as net_before,
           sum((x.entry).amount) as gross, sum(coalesce((x.entry).net_amount, 0)) as net
    from touched x
    group by 1, 2, 3
  ), told as (
    insert into public.reconciliation_findings as f (
      agency_id, model_id, kind, state, subject, run_id, day, category, what, changed_columns, transactions,
      ledger_gross, ledger_net, fanvue_gross, fanvue_net, first_seen_at, last_seen_at, resolved_at)
    select p_job.agency_id, p_job.model_id, 'mended', 'mended', concat_ws(':', p_run.run_id, m.day, m.category, m.what), p_run.run_id,
           m.day, m.category, m.what,
           array(select distinct k.name from touched x cross join lateral unnest(x.columns) k(name)
                 where x.what = m.what and ((x.entry).fanvue_created_at at time zone 'UTC')::date = m.day
                   and coalesce((x.entry).category, 'uncategorised') = m.category order by 1),
           m.transactions, m.gross_before, m.net_before, m.gross, m.net, p_now, p_now, p_now
    from mended m
    on conflict (model_id, kind, subject) do update
      set transactions = f.transactions + excluded.transactions,
          ledger_gross = f.ledger_gross + excluded.ledger_gross, ledger_net = f.ledger_net + excluded.ledger_net,
          fanvue_gross = f.fanvue_gross + excluded.fanvue_gross, fanvue_net = f.fanvue_net + excluded.fanvue_net,
          changed_columns = array(select distinct k.name from unnest(f.changed_columns || excluded.changed_columns) k(name) order by 1),
          last_seen_at = excluded.last_seen_at, resolved_at = excluded.resolved_at
  )
  select coalesce(sum(m.transactions) filter (where m.what = 'inserted'), 0)::integer,
         coalesce(sum(m.transactions) filter (where m.what = 'changed'), 0)::integer
  from mended m
$$;
comment on function private.note_mended(public.sync_jobs, private.reconciliations, uuid[], jsonb, timestamptz) is
  'Writes down what a page put right, by day, category and whether rows were missing or wrong. News of the last minutes is no mending.';
revoke all on function private.note_mended(public.sync_jobs, private.reconciliations, uuid[], jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.note_mended(public.sync_jobs, private.reconciliations, uuid[], jsonb, timestamptz) to service_role;

create or replace function public.commit_reconcile_page(
  p_job_id bigint, p_lease_id bigint, p_version bigint, p_page jsonb, p_lease_seconds integer default 60)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs;
  v_run private.reconciliations;
  v_rows jsonb := coalesce(p_page -> 'rows', '[]');
  v_place jsonb := coalesce(p_page -> 'place', '{}');
  v_done record;
  v_mended record;
  v_reply jsonb;
begin
  perform private.lock_page(p_job_id);
  v_job := private.hold_job(p_job_id, p_lease_id);
  v_run := private.hold_reconciliation(v_job.model_id, p_version, (p_page ->> 'run_id')::uuid, p_page ->> 'key');
  if v_run.version > p_version then
    return v_run.last_page_reply;
  end if;

  select a.inserted, a.updated, a.unchanged, a.listed, a.added, a.before into v_done
  from private.apply_transactions(v_job.agency_id, v_job.model_id, v_rows, v_run.border, v_now) a;
  select m.inserted, m.changed into v_mended from private.note_mended(v_job, v_run, v_done.added, v_done.before, v_now) m;
  if cardinality(v_done.listed) > 0 then
    insert into private.reconciliation_pages (model_id, run_id, version, listed)
    values (v_job.model_id, v_run.run_id, p_version, v_done.listed);
  end if;

  v_reply := jsonb_build_object('version', p_version + 1, 'inserted', v_done.inserted, 'updated', v_done.updated,
                                'mended', v_mended.inserted + v_mended.changed, 'cancel', v_job.cancel_requested);
  update private.reconciliations r
  set version = p_version + 1, last_page_key = p_page ->> 'key', last_page_reply = v_reply,
      todo = p_page -> 'todo', place = v_place, notes = r.notes || coalesce(p_page -> 'notes', '{}'),
      border = case when v_place ->> 'position' is null or v_place ->> 'mode' = 'window' or v_place ->> 'cursor' is null then '{}'
               else array(select t.id from public.fanvue_transactions t
                          where t.model_id = v_job.model_id and t.fanvue_created_at = (v_place ->> 'position')::timestamptz) end,
      ceiling = coalesce(r.ceiling, (p_page ->> 'ceiling')::timestamptz, v_now),
      pages = r.pages + coalesce((p_page ->> 'pages')::integer, 1), listed = r.listed + coalesce(cardinality(v_done.listed), 0),
      inserted = r.inserted + v_mended.inserted, changed = r.changed + v_mended.changed
  where r.model_id = v_job.model_id
  returning r.* into v_run;

  update public.sync_jobs j
  set lease_until = greatest(j.lease_until, v_now + make_interval(secs => p_lease_seconds)),
      -- a job that gets on is no poison, however often its workers die
      attempt = least(j.attempt, 1::smallint),
      pages = j.pages + coalesce((p_page ->> 'pages')::integer, 1),
      rows_inserted = j.rows_inserted + v_done.inserted,
      rows_updated = j.rows_updated + v_done.updated,
      rows_unchanged = j.rows_unchanged + v_done.unchanged,
      progress = jsonb_build_object(
        'kind', 'reconcile', 'phase', case when p_page -> 'todo' = '[]' then 'verify' else 'rows' end, 'days', v_run.days,
        'pages', v_run.pages, 'rows', v_run.listed,
        'mended', jsonb_build_object('inserted', v_run.inserted, 'changed', v_run.changed),
        'position', v_place -> 'position', 'floor', p_page #> '{todo,0,start}',
        'ceiling', coalesce(p_page #> '{todo,0,end}', to_jsonb(v_run.ceiling)))
  where j.id = v_job.id;
  return v_reply;
end
$$;
comment on function public.commit_reconcile_page(bigint, bigint, bigint, jsonb, integer) is
  'Commits one page of a reconciliation: rows through the same identity as every sync, what they mended, the place after it, and the '
  'extended lease, in one transaction guarded by lease and version. The same page again returns the same answer.';
revoke all on function public.commit_reconcile_page(bigint, bigint, bigint, jsonb, integer) from public, anon, authenticated;
grant execute on function public.commit_reconcile_page(bigint, bigint, bigint, jsonb, integer) to service_role;
