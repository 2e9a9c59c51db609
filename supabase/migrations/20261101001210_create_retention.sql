-- Purpose: what bounds every table: how long its rows (or what is long in them) are kept, or why it needs no end; and the pruning that keeps it so.
-- Who may call: prune_history service_role (each worker's tick) and pg_cron; operators edit private.retention.keep in Studio.
-- Locks: the rows that are deleted, those alone that nobody holds; the sweep of members takes their agencies' rows, and waits half a second at most.

create table private.retention (
  table_name text not null,
  part text not null default 'all',
  keep interval,
  at_least interval,
  aged_by text,
  only_where text,
  clears text,
  why text not null,
  refused text,
  swept_at timestamptz,
  primary key (table_name, part),
  constraint retention_keep_check check (keep >= at_least),
  constraint retention_age_check check ((keep is null) = (aged_by is null) and (keep is null) = (at_least is null))
);
comment on table private.retention is
  'What bounds each table of the engine: rows are kept for keep and then deleted, or, where keep is empty, why says what bounds them. '
  'Change keep in Studio; the next minute obeys. ops.retention says whether it is kept.';
comment on column private.retention.part is 'Which rows of the table are meant, where not all are alike.';
comment on column private.retention.keep is 'How long rows are kept. Empty: they are not deleted for their age.';
comment on column private.retention.at_least is 'Less than this is refused, because something needs the rows.';
comment on column private.retention.aged_by is 'The column that tells a row''s age; an index begins with it, or with the columns of only_where.';
comment on column private.retention.only_where is 'The condition on the row x by which a part is told; only the owner writes it.';
comment on column private.retention.clears is 'The column that is emptied, where the row itself stays; empty: the row is deleted.';
comment on column private.retention.why is 'What is kept, and why so long or without an end.';
comment on column private.retention.refused is 'What the database last said when it refused to delete; empty when it did not.';
comment on column private.retention.swept_at is 'When rows whose user is gone were last looked for, once a day; empty where nothing of that kind is done.';
revoke all on private.retention from public, anon, authenticated;
grant select, update (keep, refused, swept_at) on private.retention to service_role;

insert into private.retention (table_name, part, keep, at_least, aged_by, only_where, why) values
  ('public.sync_runs', 'succeeded', '7 days', '1 day', 'finished_at', 'x.state = ''succeeded''', 'finished jobs that were news, read history or were asked for'),
  ('public.sync_runs', 'in trouble', '30 days', '1 day', 'finished_at', 'x.state in (''partial'', ''failed'', ''cancelled'')', 'jobs that failed, were cancelled or read a part'),
  ('private.quiet_runs', 'all', '3 days', '2 days', 'hour', null, 'polls that found nothing new, by stream and hour; status counts the last day'),
  ('public.webhook_events', 'applied, no money', '7 days', '2 days', 'received_at', 'x.status = ''applied'' and x.transaction_id is null',
   'messages, fans and the like, which have rows of their own. A repetition of a deleted one is applied again and changes nothing: not less than the sender repeats'),
  ('public.webhook_events', 'settled', '90 days', '2 days', 'received_at', 'x.status in (''applied'', ''duplicate_of_api'', ''ignored'')',
   'what was booked, with its transaction, and what had no meaning. By its number a late refund or chargeback finds its sale, and a repetition of a deleted one would count as new'),
  ('public.webhook_events', 'parked', '1 year', '30 days', 'received_at', 'x.status = ''parked''', 'events of creators who never connected'),
  ('public.reconciliation_findings', 'over', '90 days', '1 day', 'resolved_at', 'x.state in (''mended'', ''resolved'')', 'findings of the nightly proof that are over'),
  ('ops.actions', 'all', '1 year', '30 days', 'at', null, 'what operators did'),
  ('public.fanvue_top_fans', 'earlier days', '90 days', '31 days', 'day',
   'exists (select from public.fanvue_top_fans n where n.model_id = x.model_id and n.day > x.day)', 'daily snapshots of top fans; the newest one of a creator stays'),
  ('public.agency_trail', 'all', '1 year', '30 days', 'at', null, 'who changed members, roles, connections and pauses'),
  ('public.invitations', 'all', '30 days', '1 day', 'expires_at', null, 'invitations, after their end'),
  ('public.connect_links', 'all', '30 days', '1 day', 'expires_at', null, 'links by which creators connect, after their end'),
  ('private.connection_attempts', 'all', '1 day', '1 hour', 'expires_at', null, 'consents that were begun'),
  ('private.webhook_refusals', 'all', '2 days', '1 day', 'minute', null, 'refused deliveries, by the minute'),
  ('private.webhook_tests', 'all', '1 hour', '1 hour', 'received_at', null, 'test events that nobody looked up'),
  ('private.webhook_subscriptions', 'retired', '1 hour', '0', 'expires_at', 'x.state = ''retired''', 'secrets of rotated webhooks, accepted until they expire'),
  ('cron.job_run_details', 'all', '3 days', '1 day', 'start_time', null, 'pg_cron''s own history; a hosted project may refuse');
insert into private.retention (table_name, part, keep, at_least, aged_by, only_where, clears, why) values
  ('public.webhook_events', 'payloads', '14 days', '1 day', 'received_at', 'x.status in (''applied'', ''duplicate_of_api'') and x.payload is not null', 'payload',
   'what an applied event said; the ledger has it. Nothing applies it again: parked, failed and ignored ones keep theirs');
insert into private.retention (table_name, part, why) values
  ('public.webhook_events', 'failed', 'not in the books: kept until somebody deals with them; ops.health and an alert name them'),
  ('public.reconciliation_findings', 'open or accepted', 'one per difference that stands'),
  ('public.agencies', 'all', 'one per agency'),
  ('public.agency_members', 'all', 'one per member'),
  ('public.agency_connections', 'all', 'one per connected agency account'),
  ('public.models', 'all', 'one per creator'),
  ('public.fanvue_transactions', 'all', 'the ledger: kept until the creator is erased'),
  ('public.earnings_daily', 'all', 'sums of the ledger, one per creator, day and category'),
  ('public.fanvue_fans', 'all', 'one per fan of a creator: kept until erased'),
  ('public.fanvue_chats', 'all', 'one per chat: kept until erased'),
  ('public.fanvue_messages', 'all', 'what was said: kept until erased'),
  ('public.fanvue_posts', 'all', 'one per post: kept until the creator is erased'),
  ('public.fanvue_accounts', 'all', 'one per creator'),
  ('public.sync_state', 'all', 'one per stream'),
  ('public.sync_jobs', 'all', 'at most one queued, one running and one dead job per stream'),
  ('private.access_inventory', 'all', 'one per right and policy that the engine made'),
  ('private.kept_access', 'all', 'one per written decision'),
  ('private.adoption_findings', 'all', 'one per thing found when older tables were adopted'),
  ('private.alert_settings', 'all', 'one row'),
  ('private.alert_states', 'all', 'one per trouble; solved ones go after private.alert_settings.keep'),
  ('private.announced_models', 'all', 'one per creator'),
  ('private.announcement_settings', 'all', 'one row'),
  ('private.api_budgets', 'all', 'one per account and limit in force'),
  ('private.api_endpoints', 'all', 'one per account and endpoint'),
  ('private.engine_clock', 'all', 'one row at most'),
  ('private.erased_fans', 'all', 'one per erased fan: without it their name would come back'),
  ('private.pushes', 'all', 'gone when their transaction ends'),
  ('private.queue_lanes', 'all', 'one per agency'),
  ('private.reconcile_settings', 'all', 'one row'),
  ('private.reconciliations', 'all', 'one per creator'),
  ('private.reconciliation_pages', 'all', 'pages of proofs under way, gone when they end'),
  ('private.retention', 'all', 'one per table and part'),
  ('private.scheduler_ticks', 'all', 'one per kind of scheduler'),
  ('private.settings_changes', 'all', 'changes that the ticks still work off'),
  ('private.stats_versions', 'all', 'one per creator'),
  ('private.sync_streams', 'all', 'one per kind of stream'),
  ('private.sync_overrides', 'all', 'one per setting that differs'),
  ('private.token_refreshes', 'all', 'one per grant');

create index fanvue_top_fans_day_idx on public.fanvue_top_fans (day);
create index webhook_tests_received_at_idx on private.webhook_tests (received_at);
create index webhook_subscriptions_retired_idx on private.webhook_subscriptions (expires_at) where state = 'retired';

create or replace function private.prune_part(p_table text, p_part text, p_now timestamptz, p_batch integer)
returns integer
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
set lock_timeout = '500ms'
as $$
declare
  v_rule private.retention;
  v_count integer;
begin
  select r.* into v_rule from private.retention r where r.table_name = p_table and r.part = p_part and r.keep is not null;
  if not found or p_now > private.engine_now() or p_batch not between 1 and 20000 then
    raise sqlstate 'PT422' using message = format('nothing of %s (%s) is to be pruned like this', p_table, p_part);
  end if;
  if to_regclass(p_table) is null then
    -- a database without pg_cron
    return 0;
  end if;
  -- rows that somebody holds are passed over: the next call finds them
  if v_rule.clears is not null then
    execute format('update %1$s t set %4$I = null where t.ctid = any (array(select x.ctid from %1$s x where x.%2$I < $1 and (%3$s) limit $2 for no key update skip locked))',
                   p_table, v_rule.aged_by, v_rule.only_where, v_rule.clears)
      using p_now - v_rule.keep, p_batch;
  elsif p_table = 'cron.job_run_details' then
    -- its key counts up and is its only index; a row without a start or an end is as old as its neighbours
    execute 'delete from cron.job_run_details t where t.runid <= (select max(o.runid) from '
            '(select d.runid, d.start_time from cron.job_run_details d order by d.runid limit $2) o where o.start_time < $1)'
      using p_now - v_rule.keep, p_batch;
  else
    execute format('delete from %1$s t where t.ctid = any (array(select x.ctid from %1$s x where x.%2$I < $1 and (%3$s) limit $2 for update skip locked))',
                   p_table, v_rule.aged_by, coalesce(v_rule.only_where, 'true'))
      using p_now - v_rule.keep, p_batch;
  end if;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function private.prune_part(text, text, timestamptz, integer) is
  'Deletes, or empties, a batch of what one rule lets go. Definer, because trails and pg_cron''s history are nobody else''s to change.';
revoke all on function private.prune_part(text, text, timestamptz, integer) from public, anon, authenticated;
grant execute on function private.prune_part(text, text, timestamptz, integer) to service_role;

create or replace function public.prune_history(p_batch integer default 2000)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_rule private.retention;
  v_count integer;
  v_refused text;
  v_deleted jsonb := '{}'::jsonb;
  v_refusals jsonb := '{}'::jsonb;
  v_more boolean := false;
begin
  if p_batch not between 1 and 20000 then
    raise sqlstate 'PT422' using message = 'prune_history wants a batch of 1..20000';
  end if;
  -- one at a time: any number of workers may ask
  if not pg_try_advisory_xact_lock(hashtextextended('fanvue-prune', 0)) then
    return jsonb_build_object('deleted', v_deleted, 'refused', v_refusals, 'more', false);
  end if;
  begin
    perform private.forget_attempts(v_now);
  exception when others then
    v_refusals := v_refusals || jsonb_build_object('private.connection_attempts', sqlerrm);
  end;
  -- it reads every member: once a day, whatever comes of it
  update private.retention r set swept_at = v_now
  where r.table_name = 'public.agency_members' and r.part = 'all' and (r.swept_at is null or r.swept_at <= v_now - interval '1 day');
  if found then
    begin
      perform private.forget_missing_users();
    exception when others then
      v_refused := sqlerrm;
      v_refusals := v_refusals || jsonb_build_object('public.agency_members', v_refused);
    end;
    update private.retention r set refused = v_refused
    where r.table_name = 'public.agency_members' and r.part = 'all' and r.refused is distinct from v_refused;
  end if;
  for v_rule in select r.* from private.retention r where r.keep is not null order by r.table_name, r.part loop
    v_refused := null;
    begin
      v_count := private.prune_part(v_rule.table_name, v_rule.part, v_now, p_batch);
      if v_count > 0 then
        v_deleted := v_deleted || jsonb_build_object(concat_ws(': ', v_rule.table_name, nullif(v_rule.part, 'all')), v_count);
      end if;
      v_more := v_more or v_count >= p_batch;
    exception when others then
      -- what one table refuses must not undo what the others let go
      v_refused := sqlerrm;
      v_refusals := v_refusals || jsonb_build_object(v_rule.table_name, v_refused);
    end;
    update private.retention r set refused = v_refused
    where r.table_name = v_rule.table_name and r.part = v_rule.part and r.refused is distinct from v_refused;
  end loop;
  return jsonb_build_object('deleted', v_deleted, 'refused', v_refusals, 'more', v_more);
end
$$;
comment on function public.prune_history(integer) is
  'Deletes or empties what is older than private.retention says, at most p_batch rows of each table; once a day members whom Auth knows no more. refused: what a table refused, which stops nothing else. more: call it again, there is more. pg_cron and each worker call it every minute.';
revoke all on function public.prune_history(integer) from public, anon, authenticated;
grant execute on function public.prune_history(integer) to service_role;

create or replace function private.overdue_rows(p_now timestamptz)
returns table (table_name text, part text)
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
  -- pruning comes every minute, in batches: after a day it does not keep up, or does not come
  v_grace constant interval := interval '1 day';
  v_rule private.retention;
  v_found tid;
begin
  for v_rule in select r.* from private.retention r where r.keep is not null and to_regclass(r.table_name) is not null loop
    begin
      if v_rule.table_name = 'cron.job_run_details' then
        execute 'select o.ctid from (select d.ctid, d.start_time from cron.job_run_details d order by d.runid limit 10) o where o.start_time < $1 limit 1'
          into v_found using p_now - v_rule.keep - v_grace;
      else
        execute format('select x.ctid from %1$s x where x.%2$I < $1 and (%3$s) limit 1', v_rule.table_name, v_rule.aged_by, coalesce(v_rule.only_where, 'true'))
          into v_found using p_now - v_rule.keep - v_grace;
      end if;
    exception when insufficient_privilege then
      v_found := null;
    end;
    if v_found is not null then
      table_name := v_rule.table_name;
      part := v_rule.part;
      return next;
    end if;
  end loop;
end
$$;
comment on function private.overdue_rows(timestamptz) is 'Tables that hold rows a day and more beyond their retention. Definer, because pg_cron''s history is the owner''s to read.';
revoke all on function private.overdue_rows(timestamptz) from public, anon, authenticated;
grant execute on function private.overdue_rows(timestamptz) to service_role;

create or replace view ops.retention
with (security_invoker = true) as
select r.table_name, r.part, r.keep, r.why, o.table_name is not null as overdue, r.refused,
       case when o.table_name is null then null
            when r.refused is not null then 'the database refuses: ' || r.refused
            else 'select public.prune_history()' end as remedy
from private.retention r
left join private.overdue_rows(private.engine_now()) o on o.table_name = r.table_name and o.part = r.part
order by o.table_name nulls last, r.keep is null, r.table_name, r.part;
comment on view ops.retention is 'What bounds every table, and whether it is kept. Set keep in private.retention.';
comment on column ops.retention.table_name is 'The table.';
comment on column ops.retention.part is 'Which of its rows.';
comment on column ops.retention.keep is 'How long they are kept; empty: why says what bounds them.';
comment on column ops.retention.why is 'What they are.';
comment on column ops.retention.overdue is 'Whether rows are there that should be gone for a day or more.';
comment on column ops.retention.refused is 'What the database said when it refused to delete them.';
comment on column ops.retention.remedy is 'What mends it; empty: nothing to do.';
revoke all on ops.retention from public, anon, authenticated;
grant select on ops.retention to service_role;
