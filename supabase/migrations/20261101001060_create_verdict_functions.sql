-- Purpose: what a complete reading proves: ledger rows that Fanvue does not list, sums that differ, and how drift ends.
-- Who may call: service_role (the worker, the command line) and operators in Studio. Nothing here changes money.
-- Locks: closing a run takes the model's row, the job's, the run's.

create or replace function private.judged_ranges(p_run private.reconciliations)
returns table (from_at timestamptz, until_at timestamptz)
language sql
stable
set search_path = ''
as $$
  -- The moving edge is nobody's drift: what is younger than settle_after is not judged.
  select r.start, least(r."end", p_run.ceiling - coalesce((select s.settle_after from private.reconcile_settings s), interval '20 minutes'))
  from jsonb_to_recordset(p_run.ranges) as r(start timestamptz, "end" timestamptz)
$$;
comment on function private.judged_ranges(private.reconciliations) is 'The instants, end exclusive, for which an open run can say what Fanvue lists.';
revoke all on function private.judged_ranges(private.reconciliations) from public, anon, authenticated;
grant execute on function private.judged_ranges(private.reconciliations) to service_role;

create or replace function private.is_listed_kind(p_run private.reconciliations, p_category text)
returns boolean
language sql
immutable
set search_path = ''
as $$
  -- of a creator whom an agency reads Fanvue may have no list of reversals: then nobody can say which are missing
  select not coalesce(p_run.notes ? 'unlisted' and p_category in ('refund', 'chargeback'), false)
$$;
comment on function private.is_listed_kind(private.reconciliations, text) is 'Whether a run was shown a list that rows of a category would stand in.';
revoke all on function private.is_listed_kind(private.reconciliations, text) from public, anon, authenticated;
grant execute on function private.is_listed_kind(private.reconciliations, text) to service_role;

create or replace function private.unlisted_rows(p_run private.reconciliations)
returns setof public.fanvue_transactions
language sql
stable
set search_path = ''
as $$
  with missing as (
    select t.id
    from private.judged_ranges(p_run) g
    join public.fanvue_transactions t
      on t.model_id = p_run.model_id and t.fanvue_created_at >= g.from_at and t.fanvue_created_at < g.until_at
    where t.origin = 'api'
      -- what a sync wrote meanwhile was listed, only not to us
      and coalesce(t.synced_at, '-infinity') < p_run.started_at
      and private.is_listed_kind(p_run, t.category)
    -- a set operation, because an anti join over tables without statistics is a nested loop: 221 s for 60,000 rows, not 0.04 s
    except
    select l.id
    from private.reconciliation_pages p
    cross join lateral unnest(p.listed) l(id)
    where p.model_id = p_run.model_id and p.run_id = p_run.run_id
  )
  select t.*
  from missing m
  cross join lateral (select x.* from public.fanvue_transactions x where x.id = m.id offset 0) t
$$;
comment on function private.unlisted_rows(private.reconciliations) is
  'The API''s ledger rows that a run should have been shown and was not. Means something only when all its lists were read to their ends.';
revoke all on function private.unlisted_rows(private.reconciliations) from public, anon, authenticated;
grant execute on function private.unlisted_rows(private.reconciliations) to service_role;

create or replace function public.reconcile_sums(p_job_id bigint, p_lease_id bigint, p_from date, p_until date)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_job public.sync_jobs := private.hold_job(p_job_id, p_lease_id);
  v_run private.reconciliations;
  v_days jsonb;
begin
  -- a walk that compares itself has no run: the last one's ranges say nothing of what is listed now
  select r.* into v_run from private.reconciliations r where r.model_id = v_job.model_id and v_job.sync_type = 'reconcile';
  with figures as (
    select e.day, e.gross, e.net, e.category
    from public.earnings_daily e
    where e.model_id = v_job.model_id and e.day >= p_from and e.day < p_until
    union all
    -- what only a webhook announced, and what Fanvue does not list, are findings of their own
    select (t.fanvue_created_at at time zone 'UTC')::date, -t.amount, -coalesce(t.net_amount, 0), coalesce(t.category, 'uncategorised')
    from (select x.* from public.fanvue_transactions x where x.model_id = v_job.model_id and x.origin = 'webhook'
          union all
          select x.* from private.unlisted_rows(v_run) x
          union all
          select x.*
          from public.reconciliation_findings f
          join public.fanvue_transactions x on x.id = f.transaction_id and x.origin = 'api'
          where f.model_id = v_job.model_id and f.kind = 'not_listed' and f.state in ('open', 'accepted')
            and not exists (select from private.judged_ranges(v_run) g
                            where x.fanvue_created_at >= g.from_at and x.fanvue_created_at < g.until_at)) t
  )
  select jsonb_object_agg(s.day, jsonb_build_object('gross', s.gross::text, 'net', s.net::text)) into v_days
  from (select x.day, sum(x.gross) as gross, sum(x.net) as net
        from figures x
        -- Fanvue's sums leave reversals out
        where x.day >= p_from and x.day < p_until and x.category not in ('refund', 'chargeback')
        group by x.day) s;
  return jsonb_build_object(
    'days', coalesce(v_days, '{}'),
    -- what is left after fees of a row that was listed without it is not nothing
    'unknown', coalesce((select jsonb_agg(distinct (t.fanvue_created_at at time zone 'UTC')::date)
                         from public.fanvue_transactions t
                         where t.model_id = v_job.model_id and t.net_amount is null and t.source is not null and t.origin = 'api'
                           and t.fanvue_created_at >= p_from::timestamp at time zone 'UTC' and t.fanvue_created_at < p_until::timestamp at time zone 'UTC'
                           and t.category not in ('refund', 'chargeback')), '[]'),
    'known', coalesce((select jsonb_object_agg(f.day, jsonb_build_object('ledger', f.ledger_net::text, 'fanvue', f.fanvue_net::text))
                       from public.reconciliation_findings f
                       where f.model_id = v_job.model_id and f.kind = 'summary' and f.state in ('open', 'accepted')), '{}'));
end
$$;
comment on function public.reconcile_sums(bigint, bigint, date, date) is
  'Gross and net per UTC day of what Fanvue has listed of a leased job''s model, reversals left out, US dollars as text; the '
  'days on which a row lacks its net; and the differences from Fanvue''s summary that are known already.';
revoke all on function public.reconcile_sums(bigint, bigint, date, date) from public, anon, authenticated;
grant execute on function public.reconcile_sums(bigint, bigint, date, date) to service_role;

create or replace function private.report_drift(p_job public.sync_jobs, p_run private.reconciliations, p_sums jsonb, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_settings private.reconcile_settings;
begin
  select s.* into v_settings from private.reconcile_settings s;
  insert into public.reconciliation_findings as f (
    agency_id, model_id, kind, subject, run_id, day, category, transaction_id, fanvue_id, happened_at,
    ledger_gross, ledger_net, fanvue_gross, fanvue_net, first_seen_at, last_seen_at)
  select p_job.agency_id, p_job.model_id, d.kind, d.subject, p_run.run_id, d.day, d.category, d.transaction_id, d.fanvue_id,
         d.happened_at, d.ledger_gross, d.ledger_net, d.fanvue_gross, d.fanvue_net, p_now, p_now
  from (
    select case t.origin when 'api' then 'not_listed' else 'unconfirmed' end as kind, t.id::text as subject,
           (t.fanvue_created_at at time zone 'UTC')::date as day, t.category, t.id as transaction_id, t.fanvue_id,
           t.fanvue_created_at as happened_at, t.amount as ledger_gross, t.net_amount as ledger_net,
           null::numeric as fanvue_gross, null::numeric as fanvue_net
    from (select u.* from private.unlisted_rows(p_run) u
          union all
          select x.*
          from private.judged_ranges(p_run) g
          join public.fanvue_transactions x on x.model_id = p_run.model_id and x.origin = 'webhook'
            and x.fanvue_created_at >= g.from_at and x.fanvue_created_at < g.until_at
          where x.fanvue_created_at < p_run.ceiling - coalesce(v_settings.unconfirmed_after, interval '2 hours')
            and coalesce(x.created_at, '-infinity') < p_run.started_at
            and private.is_listed_kind(p_run, x.category)) t
    union all
    select s.kind, s.kind || ':' || s.day, s.day, null, null, null, s.day::timestamp at time zone 'UTC',
           s.ledger_gross, s.ledger_net, s.fanvue_gross, s.fanvue_net
    from jsonb_array_elements(p_sums) w(item)
    cross join lateral jsonb_to_recordset(w.item -> 'differ') as x(
      day date, ledger_gross numeric, ledger_net numeric, fanvue_gross numeric, fanvue_net numeric)
    cross join lateral (select w.item ->> 'kind' as kind, x.*) s
  ) d
  order by d.kind, d.subject
  on conflict (model_id, kind, subject) do update
    set run_id = excluded.run_id, last_seen_at = excluded.last_seen_at, resolved_at = case when f.state = 'accepted' then f.resolved_at end,
        category = excluded.category, fanvue_id = excluded.fanvue_id, happened_at = excluded.happened_at, day = excluded.day,
        ledger_gross = excluded.ledger_gross, ledger_net = excluded.ledger_net,
        fanvue_gross = excluded.fanvue_gross, fanvue_net = excluded.fanvue_net,
        -- an operator's word holds for what they saw
        state = case when f.state = 'accepted' and (f.ledger_net, f.fanvue_net) is not distinct from (excluded.ledger_net, excluded.fanvue_net)
                     then 'accepted' else 'open' end;

  update public.reconciliation_findings f
  set state = 'resolved', resolved_at = p_now
  where f.model_id = p_job.model_id and f.state = 'open' and f.run_id is distinct from p_run.run_id
    and (case when f.kind in ('not_listed', 'unconfirmed')
           then (private.is_listed_kind(p_run, f.category)
                 and exists (select from private.judged_ranges(p_run) g where f.happened_at >= g.from_at and f.happened_at < g.until_at))
                or not exists (select from public.fanvue_transactions t
                               where t.id = f.transaction_id and t.origin = case f.kind when 'not_listed' then 'api' else 'webhook' end)
           else exists (select from jsonb_array_elements(p_sums) w(item)
                        where w.item ->> 'kind' = f.kind
                          and f.day >= (w.item ->> 'from')::date and f.day < (w.item ->> 'until')::date) end);
end
$$;
comment on function private.report_drift(public.sync_jobs, private.reconciliations, jsonb, timestamptz) is
  'Writes down the drift of a completely read run, each once, and resolves what it no longer sees.';
revoke all on function private.report_drift(public.sync_jobs, private.reconciliations, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.report_drift(public.sync_jobs, private.reconciliations, jsonb, timestamptz) to service_role;

create or replace function public.finish_reconcile(p_job_id bigint, p_lease_id bigint, p_version bigint, p_verdict jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_job public.sync_jobs;
  v_run private.reconciliations;
  v_partial text := p_verdict ->> 'partial';
  -- every row was read, but its days could not be compared: rows are judged, nothing is proved
  v_uncompared text := p_verdict ->> 'uncompared';
  v_read boolean;
  v_unlisted bigint;
  v_drift jsonb;
  v_detail jsonb;
begin
  perform private.lock_model(j.model_id) from public.sync_jobs j where j.id = p_job_id;
  v_job := private.hold_job(p_job_id, p_lease_id);
  v_run := private.hold_reconciliation(v_job.model_id, p_version, (p_verdict ->> 'run_id')::uuid, p_verdict ->> 'key');
  if v_run.version > p_version then
    return v_run.last_page_reply;
  end if;
  if v_partial is null then
    select count(*) into v_unlisted from private.unlisted_rows(v_run);
    if v_unlisted > greatest(100, v_run.listed) then
      -- rather another account, or half an answer, than so much money gone
      v_partial := format('Fanvue listed %s rows and left out %s that are in the ledger: such a list is not believed', v_run.listed, v_unlisted);
    end if;
  end if;
  if v_partial is null then
    perform private.report_drift(v_job, v_run, coalesce(p_verdict -> 'sums', '[]'), v_now);
    -- The long look-back of the earnings stream reads the same days for the same reasons.
    update public.sync_state s
    set last_deep_at = v_run.started_at
    from private.sync_streams t
    where s.model_id = v_job.model_id and s.sync_type = 'earnings' and t.sync_type = 'earnings'
      and s.high_water is not null and make_interval(days => v_run.days) >= t.deep_lookback
      and (s.last_deep_at is null or s.last_deep_at < v_run.started_at);
  end if;
  v_read := v_partial is null;
  v_partial := coalesce(v_partial, v_uncompared);
  select coalesce(jsonb_object_agg(d.kind, d.findings), '{}') into v_drift
  from (select f.kind, count(*) as findings from public.reconciliation_findings f
        where f.model_id = v_job.model_id and f.state = 'open' group by f.kind) d;
  v_detail := jsonb_build_object(
    'kind', 'reconcile', 'run_id', v_run.run_id, 'days', v_run.days, 'ranges', v_run.ranges, 'pages', v_run.pages, 'rows', v_run.listed,
    'mended', jsonb_build_object('inserted', v_run.inserted, 'changed', v_run.changed), 'drift', v_drift,
    'compared', coalesce((select jsonb_agg(w.item ->> 'kind') from jsonb_array_elements(p_verdict -> 'sums') w(item)), '[]'))
    || jsonb_strip_nulls(jsonb_build_object('details', v_run.notes -> 'details', 'details_example', v_run.notes -> 'details_example'));
  update private.reconciliations r
  set version = p_version + 1, last_page_key = p_verdict ->> 'key', last_page_reply = v_detail || jsonb_build_object('version', p_version + 1, 'partial', v_partial),
      run_id = null, todo = '[]', place = '{}', border = '{}',
      -- read is enough to go on to the next month: what cannot be compared today cannot be tomorrow
      older_month = case when v_read then coalesce((r.notes ->> 'older_month')::date, r.older_month) else r.older_month end,
      last_proved_at = case when v_partial is null then v_now else r.last_proved_at end
  where r.model_id = v_job.model_id
  returning r.* into v_run;
  delete from private.reconciliation_pages p where p.model_id = v_job.model_id;
  update public.sync_jobs j set progress = v_detail where j.id = v_job.id;
  return v_run.last_page_reply;
end
$$;
comment on function public.finish_reconcile(bigint, bigint, bigint, jsonb) is
  'Closes a reconciliation. Read completely: drift is reported and what is no longer seen resolved. partial: what could not be read; then '
  'nothing is said about rows that were not listed. uncompared: why days could not be compared, or what has no list; rows are judged, but nothing is proved. The reply''s partial is to be obeyed: a list that lacks most of the ledger is none.';
revoke all on function public.finish_reconcile(bigint, bigint, bigint, jsonb) from public, anon, authenticated;
grant execute on function public.finish_reconcile(bigint, bigint, bigint, jsonb) to service_role;
