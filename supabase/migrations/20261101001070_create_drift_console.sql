-- Purpose: asking for reconciliations, and what people read of them: the drift that stands, in plain words.
-- Who may call: service_role (the command line); operators in Studio through schema ops.
-- Locks: none beyond the rows written.

create or replace function public.enqueue_reconcile(p_model_id uuid default null, p_days integer default null, p_priority integer default 0)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_model public.models;
  v_jobs jsonb := '[]'::jsonb;
begin
  if p_days not between 1 and 4000 then
    raise sqlstate 'PT422' using message = format('%s days cannot be reconciled', p_days), hint = 'name 1 to 4000 days';
  end if;
  if p_model_id is not null then
    select m.* into v_model from public.models m where m.id = p_model_id;
    if not found then
      raise sqlstate 'PT404' using message = format('no model %s', p_model_id), hint = 'fanvue-sync creators lists them';
    end if;
    if v_model.status <> 'active' or not private.has_grant(v_model) then
      raise sqlstate 'PT409' using
        message = format('model %s is %s', p_model_id, case when v_model.status = 'active' then 'without a grant' else v_model.status end),
        hint = case v_model.status when 'paused' then format('resume it: select ops.resume_model(%L)', v_model.id)
                    else private.connect_step(v_model.agency_id, v_model.fanvue_user_uuid) end;
    end if;
  end if;
  for v_model in
    select m.* from public.models m
    where (p_model_id is null or m.id = p_model_id) and m.status = 'active' and private.has_grant(m)
    order by m.id
  loop
    insert into private.reconciliations as r (model_id, requested_days) values (v_model.id, p_days)
    on conflict (model_id) do update set requested_days = excluded.requested_days
      where excluded.requested_days is not null and r.requested_days is distinct from excluded.requested_days;
    v_jobs := v_jobs || (private.job_summary(private.put_job(v_model, 'reconcile', p_priority::smallint, v_now, v_now))
                         || jsonb_build_object('handle', v_model.handle));
  end loop;
  return v_jobs;
end
$$;
comment on function public.enqueue_reconcile(uuid, integer, integer) is
  'Queues a reconciliation now, of one model or of all that are active; p_days reads exactly so many days, else what a night reads. Returns the jobs.';
revoke all on function public.enqueue_reconcile(uuid, integer, integer) from public, anon, authenticated;
grant execute on function public.enqueue_reconcile(uuid, integer, integer) to service_role;

create or replace view ops.drift
with (security_invoker = true) as
select f.id, a.name as agency, m.handle, f.model_id, f.kind, f.day, f.category, f.fanvue_id, f.transaction_id,
       f.ledger_gross, f.ledger_net, f.fanvue_gross, f.fanvue_net, f.first_seen_at, f.last_seen_at,
       case f.kind
         when 'not_listed' then format('the ledger has a %s of %s US dollars at %s that Fanvue does not list',
                                       coalesce(f.category, 'row'), f.ledger_gross, to_char(f.happened_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
         when 'unconfirmed' then format('a webhook announced a %s of %s US dollars at %s; Fanvue''s list does not have it',
                                        coalesce(f.category, 'row'), f.ledger_gross, to_char(f.happened_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'))
         when 'summary' then format('sales of %s come to %s US dollars after fees in the ledger, to %s in Fanvue''s summary',
                                    f.day, f.ledger_net, f.fanvue_net)
         else format('sales of %s come to %s US dollars after fees in the ledger, to %s in Fanvue''s agency report',
                     f.day, f.ledger_net, f.fanvue_net) end as what,
       case
         -- nobody closes what the last run could not see
         when not p.read_whole then 'an earlier run found this, and the last one did not read its day to the end: prove it again first'
         when f.kind = 'not_listed' then 'look the row up at Fanvue; if it is no money, mark it there or here by hand; ops.accept_drift(id, note) closes this'
         when f.kind = 'unconfirmed' then 'look it up in webhook_events and at Fanvue; Fanvue may list it later, then this ends by itself; ops.accept_drift(id, note) closes it'
         else 'every row that Fanvue lists for the day is in the ledger: ask Fanvue which figure is right; ops.accept_drift(id, note) closes this'
       end as what_to_do,
       case when p.read_whole then format('select ops.accept_drift(%s, %L)', f.id, 'say why')
            else format('select public.enqueue_reconcile(%L)', f.model_id) end as remedy
from public.reconciliation_findings f
join public.models m on m.id = f.model_id
join public.agencies a on a.id = f.agency_id
cross join lateral (
  -- a run that is complete sees again what it finds
  select coalesce((select r.last_proved_at >= r.started_at and f.last_seen_at >= r.started_at
                   from private.reconciliations r where r.model_id = f.model_id), false) as read_whole) p
where f.state = 'open'
order by f.day desc, f.id;
comment on view ops.drift is
  'Money that does not agree with Fanvue and that the engine must not judge: what, where, and what to do. Empty is good. It ends by itself when a later run no longer sees it.';
comment on column ops.drift.id is 'The finding; ops.accept_drift takes it.';
comment on column ops.drift.agency is 'The agency''s name.';
comment on column ops.drift.handle is 'The creator''s handle.';
comment on column ops.drift.model_id is 'The creator''s model.';
comment on column ops.drift.kind is 'not_listed, unconfirmed, summary or agency: see public.reconciliation_findings.';
comment on column ops.drift.day is 'The UTC day whose money it is.';
comment on column ops.drift.category is 'The row''s category, if it is about one row.';
comment on column ops.drift.fanvue_id is 'That row''s fanvue_id.';
comment on column ops.drift.transaction_id is 'That row in the ledger.';
comment on column ops.drift.ledger_gross is 'What the ledger says, US dollars.';
comment on column ops.drift.ledger_net is 'The same after fees.';
comment on column ops.drift.fanvue_gross is 'What Fanvue says, US dollars.';
comment on column ops.drift.fanvue_net is 'The same after fees: days are judged by it.';
comment on column ops.drift.first_seen_at is 'When it was first found.';
comment on column ops.drift.last_seen_at is 'When a run last found it.';
comment on column ops.drift.what is 'What differs, in words.';
comment on column ops.drift.what_to_do is 'How to find out which side is right; after a run that did not read everything: to read again.';
comment on column ops.drift.remedy is 'The call that closes it, once a person has judged it, or reads again first. No money is touched.';
revoke all on ops.drift from public, anon, authenticated;
grant select on ops.drift to service_role;

create or replace function ops.accept_drift(p_id bigint, p_note text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_finding public.reconciliation_findings;
begin
  if coalesce(trim(p_note), '') = '' then
    raise sqlstate 'PT422' using message = 'say why the drift is accepted', hint = format('select ops.accept_drift(%s, %L)', p_id, 'why');
  end if;
  select f.* into v_finding from public.reconciliation_findings f where f.id = p_id and f.state in ('open', 'accepted') for update;
  if v_finding.state = 'accepted' and v_finding.accepted_note = p_note then
    return jsonb_build_object('id', v_finding.id, 'kind', v_finding.kind, 'state', v_finding.state, 'note', v_finding.accepted_note,
                              'message', format('nothing to do: drift %s is accepted already', p_id));
  end if;
  update public.reconciliation_findings f
  set state = 'accepted', accepted_note = p_note, resolved_at = private.engine_now()
  where f.id = p_id and f.state in ('open', 'accepted')
  returning f.* into v_finding;
  if not found then
    raise sqlstate 'PT404' using message = format('no open drift %s', p_id), hint = 'ops.drift lists what is open';
  end if;
  perform private.note_action('accept_drift', format('drift %s (%s of %s)', p_id, v_finding.kind, v_finding.day),
                              jsonb_build_object('id', p_id, 'note', p_note), to_jsonb(v_finding) - 'accepted_note' - 'state');
  return jsonb_build_object('id', v_finding.id, 'kind', v_finding.kind, 'state', v_finding.state, 'note', v_finding.accepted_note);
end
$$;
comment on function ops.accept_drift(bigint, text) is
  'Closes one open drift by an operator''s word. It stays closed as long as its figures do not change. No money is touched.';
revoke all on function ops.accept_drift(bigint, text) from public, anon, authenticated;
grant execute on function ops.accept_drift(bigint, text) to service_role;

create or replace function private.drift_counts()
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_object_agg(d.kind, d.findings)
  from (select f.kind, count(*) as findings from public.reconciliation_findings f where f.state = 'open' group by f.kind) d
$$;
comment on function private.drift_counts() is 'How much drift stands, by kind; null when none does.';
revoke all on function private.drift_counts() from public, anon, authenticated;
grant execute on function private.drift_counts() to service_role;

create or replace function public.reconcile_report(p_model_ids uuid[], p_run_ids uuid[], p_limit integer default 500)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'open', (select count(*) from public.reconciliation_findings f where f.model_id = any (p_model_ids) and f.state = 'open'),
    'mended', (select coalesce(jsonb_agg(to_jsonb(x) order by x.handle, x.day, x.category, x.what), '[]')
               from (select m.handle, f.model_id, f.day, f.category, f.what, f.changed_columns, f.transactions,
                            f.ledger_gross::text, f.ledger_net::text, f.fanvue_gross::text, f.fanvue_net::text
                     from public.reconciliation_findings f
                     join public.models m on m.id = f.model_id
                     where f.run_id = any (p_run_ids) and f.kind = 'mended'
                     order by f.day desc, f.id
                     limit p_limit) x),
    'drift', (select coalesce(jsonb_agg(to_jsonb(x) order by x.handle, x.day, x.id), '[]')
              from (select d.id, d.handle, d.model_id, d.kind, d.day, d.what, d.what_to_do, d.first_seen_at
                    from ops.drift d
                    where d.model_id = any (p_model_ids)
                    order by d.day desc, d.id
                    limit p_limit) x))
$$;
comment on function public.reconcile_report(uuid[], uuid[], integer) is
  'What some runs mended and what drift stands on some models, at most p_limit lines of each, for the command line. open counts all.';
revoke all on function public.reconcile_report(uuid[], uuid[], integer) from public, anon, authenticated;
grant execute on function public.reconcile_report(uuid[], uuid[], integer) to service_role;
