-- Purpose: one word per agency that changes whenever its dashboard's figures may have changed, and how fresh they are.
-- Who may call: members of the agency and service_role read it through stats_head; triggers alone write.
-- Locks: short SHARE ROW EXCLUSIVE on ledger, top fans and accounts while triggers are added. A statement that writes
-- figures takes its models' rows of stats_versions as its last, by model; the engine's functions hold the models by then.

create sequence private.stats_version_ids;
revoke all on sequence private.stats_version_ids from public, anon, authenticated;

create table private.stats_versions (
  model_id uuid primary key references public.models (id) on delete cascade,
  version bigint not null default nextval('private.stats_version_ids')
) with (fillfactor = 50);
comment on table private.stats_versions is
  'One row per model that ever had figures: a new version with every statement that changed what dashboard_stats shows of the creator.';
comment on column private.stats_versions.version is
  'Never used before, by any model: figures that are written, deleted and written again do not get an old stamp back.';
revoke all on private.stats_versions from public, anon, authenticated;
grant select on private.stats_versions to service_role;

insert into private.stats_versions (model_id) select m.id from public.models m on conflict do nothing;

create or replace function private.renew_stats_versions(p_model_ids uuid[])
returns void
language plpgsql
set search_path = ''
-- a plan from when there were few models reads them all
set enable_seqscan = off
as $$
begin
  insert into private.stats_versions as v (model_id)
  select m.id
  from unnest(p_model_ids) as c(model_id)
  -- Rows that go with their model find it gone.
  join lateral (select x.id from public.models x where x.id = c.model_id offset 0) m on true
  order by m.id
  on conflict (model_id) do update set version = excluded.version;
end
$$;
comment on function private.renew_stats_versions(uuid[]) is 'Says that the figures of these models changed. Each model once.';
revoke all on function private.renew_stats_versions(uuid[]) from public, anon, authenticated;

-- What changes a figure ------------------------------------------------------------------------------

create or replace function private.stamp_ledger()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_models uuid[];
begin
  if tg_op = 'INSERT' then
    select array_agg(distinct n.model_id) into v_models from new_rows n;
  elsif tg_op = 'DELETE' then
    select array_agg(distinct o.model_id) into v_models from old_rows o;
  else
    -- What a day adds up to, as rollups and the list of unconfirmed sales show it: a payout status changes nothing.
    with moved as (
      select n.agency_id, n.model_id, (n.fanvue_created_at at time zone 'UTC')::date as day, n.category, n.origin, n.sent_currency,
             n.amount, coalesce(n.net_amount, 0) as net, coalesce(n.sent_minor_units, 0) as sent,
             (n.sent_minor_units is not null)::integer as told, 1 as transactions
      from new_rows n
      union all
      select o.agency_id, o.model_id, (o.fanvue_created_at at time zone 'UTC')::date, o.category, o.origin, o.sent_currency,
             -o.amount, -coalesce(o.net_amount, 0), -coalesce(o.sent_minor_units, 0), -(o.sent_minor_units is not null)::integer, -1
      from old_rows o
    ), delta as (
      select v.model_id
      from moved v
      group by v.agency_id, v.model_id, v.day, v.category, v.origin, v.sent_currency
      having sum(v.amount) <> 0 or sum(v.net) <> 0 or sum(v.sent) <> 0 or sum(v.told) <> 0 or sum(v.transactions) <> 0
    )
    select array_agg(distinct d.model_id) into v_models from delta d;
  end if;
  if v_models is not null then
    perform private.renew_stats_versions(v_models);
  end if;
  return null;
end
$$;
comment on function private.stamp_ledger() is 'Money that came, went or changed renews its models'' versions.';
revoke all on function private.stamp_ledger() from public, anon, authenticated;

create or replace function private.stamp_top_fans()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_models uuid[];
begin
  if tg_op = 'INSERT' then
    select array_agg(distinct n.model_id) into v_models from new_rows n;
  elsif tg_op = 'DELETE' then
    select array_agg(distinct o.model_id) into v_models from old_rows o;
  else
    with moved as (
      select n.agency_id, n.model_id, n.day, n.fan_uuid, n.handle, n.display_name, n.gross, n.net, 1 as fans from new_rows n
      union all
      select o.agency_id, o.model_id, o.day, o.fan_uuid, o.handle, o.display_name, o.gross, o.net, -1 from old_rows o
    ), delta as (
      select v.model_id
      from moved v
      group by v.agency_id, v.model_id, v.day, v.fan_uuid, v.handle, v.display_name, v.gross, v.net
      having sum(v.fans) <> 0
    )
    select array_agg(distinct d.model_id) into v_models from delta d;
  end if;
  if v_models is not null then
    perform private.renew_stats_versions(v_models);
  end if;
  return null;
end
$$;
comment on function private.stamp_top_fans() is 'Top fans that came, went or changed in what is shown of them renew their models'' versions.';
revoke all on function private.stamp_top_fans() from public, anon, authenticated;

create or replace function private.stamp_accounts()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_models uuid[];
begin
  if tg_op = 'INSERT' then
    select array_agg(distinct n.model_id) into v_models
    from new_rows n where n.subscribers is not null or n.followers is not null;
  elsif tg_op = 'DELETE' then
    select array_agg(distinct o.model_id) into v_models
    from old_rows o where o.subscribers is not null or o.followers is not null;
  else
    with moved as (
      select n.agency_id, n.model_id, n.subscribers, n.followers, 1 as accounts from new_rows n
      union all
      select o.agency_id, o.model_id, o.subscribers, o.followers, -1 from old_rows o
    ), delta as (
      select v.model_id
      from moved v
      group by v.agency_id, v.model_id, v.subscribers, v.followers
      having sum(v.accounts) <> 0
    )
    select array_agg(distinct d.model_id) into v_models from delta d;
  end if;
  if v_models is not null then
    perform private.renew_stats_versions(v_models);
  end if;
  return null;
end
$$;
comment on function private.stamp_accounts() is 'Subscribers and followers as Fanvue counts them renew their models'' versions when a count changed; balances do not.';
revoke all on function private.stamp_accounts() from public, anon, authenticated;

create or replace function private.stamp_truncated()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.renew_stats_versions(array_agg(m.id)) from public.models m;
  return null;
end
$$;
comment on function private.stamp_truncated() is 'A truncated table of figures renews the version of every model.';
revoke all on function private.stamp_truncated() from public, anon, authenticated;

create trigger fanvue_transactions_stamp_insert
  after insert on public.fanvue_transactions
  referencing new table as new_rows
  for each statement execute function private.stamp_ledger();
create trigger fanvue_transactions_stamp_update
  after update on public.fanvue_transactions
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.stamp_ledger();
create trigger fanvue_transactions_stamp_delete
  after delete on public.fanvue_transactions
  referencing old table as old_rows
  for each statement execute function private.stamp_ledger();
create trigger fanvue_transactions_stamp_truncate
  after truncate on public.fanvue_transactions
  for each statement execute function private.stamp_truncated();

create trigger fanvue_top_fans_stamp_insert
  after insert on public.fanvue_top_fans
  referencing new table as new_rows
  for each statement execute function private.stamp_top_fans();
create trigger fanvue_top_fans_stamp_update
  after update on public.fanvue_top_fans
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.stamp_top_fans();
create trigger fanvue_top_fans_stamp_delete
  after delete on public.fanvue_top_fans
  referencing old table as old_rows
  for each statement execute function private.stamp_top_fans();
create trigger fanvue_top_fans_stamp_truncate
  after truncate on public.fanvue_top_fans
  for each statement execute function private.stamp_truncated();

create trigger fanvue_accounts_stamp_insert
  after insert on public.fanvue_accounts
  referencing new table as new_rows
  for each statement execute function private.stamp_accounts();
create trigger fanvue_accounts_stamp_update
  after update on public.fanvue_accounts
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.stamp_accounts();
create trigger fanvue_accounts_stamp_delete
  after delete on public.fanvue_accounts
  referencing old table as old_rows
  for each statement execute function private.stamp_accounts();
create trigger fanvue_accounts_stamp_truncate
  after truncate on public.fanvue_accounts
  for each statement execute function private.stamp_truncated();

-- Reading --------------------------------------------------------------------------------------------

create or replace function private.require_agency(p_agency_id uuid)
returns void
language plpgsql
stable
set search_path = ''
set enable_seqscan = off
as $$
begin
  -- As the caller: row security shows members their own agencies, service_role all.
  if not exists (select from public.agencies a where a.id = p_agency_id) then
    raise exception 'not a member of this agency' using errcode = '42501';
  end if;
end
$$;
comment on function private.require_agency(uuid) is
  'Raises 42501 unless the caller may read the agency; in the same words if there is none, so that existence is not told.';
revoke all on function private.require_agency(uuid) from public, anon, authenticated;
grant execute on function private.require_agency(uuid) to authenticated, service_role;

create or replace function private.stats_stamp(p_agency_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
  -- of the object's shape: another one makes every kept answer old
  v_shape constant text := '1';
begin
  return (
    select md5(v_shape || coalesce(string_agg(
             jsonb_build_array(m.id, coalesce(v.version, 0), m.handle, m.display_name, m.status)::text, ',' order by m.id), ''))
    -- fenced: by the agency's index, then one probe for each model
    from (select x.id, x.handle, x.display_name, x.status from public.models x where x.agency_id = p_agency_id offset 0) m
    left join lateral (select y.version from private.stats_versions y where y.model_id = m.id offset 0) v on true);
end
$$;
comment on function private.stats_stamp(uuid) is
  'A word that differs whenever dashboard_stats of the agency differs in more than as_of and freshness, whatever the days. '
  'Definer, because nobody reads stats_versions; it tells nothing but that something changed.';
revoke all on function private.stats_stamp(uuid) from public, anon, authenticated;
grant execute on function private.stats_stamp(uuid) to authenticated, service_role;

create or replace function private.stats_freshness(p_agency_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
set enable_seqscan = off
set enable_nestloop = off
as $$
begin
  return (
    select coalesce(jsonb_agg(to_jsonb(f) order by f.sync_type), '[]'::jsonb)
    from (
      select s.sync_type,
             count(*) filter (where m.status = 'active') as models,
             count(*) filter (where m.status = 'active' and s.last_success_at is null) as waiting,
             count(*) filter (where m.status = 'active' and s.consecutive_failures > 0) as failing,
             min(s.last_success_at) filter (where m.status = 'active') as oldest_success_at,
             max(s.last_success_at) filter (where m.status = 'active') as newest_success_at
      -- fenced, so that both indexes of the agency are read once, not once for every model
      from (select x.model_id, x.sync_type, x.last_success_at, x.consecutive_failures
            from public.sync_state x where x.agency_id = p_agency_id offset 0) s
      join (select x.id, x.status from public.models x where x.agency_id = p_agency_id offset 0) m on m.id = s.model_id
      -- the history of messages runs when there is work for it: it is never late
      where s.sync_type <> 'message_history'
      group by s.sync_type
    ) f);
end
$$;
comment on function private.stats_freshness(uuid) is
  'How fresh each stream of an agency''s active models is: how many there are, wait for their first success, or fail.';
revoke all on function private.stats_freshness(uuid) from public, anon, authenticated;
grant execute on function private.stats_freshness(uuid) to authenticated, service_role;

create or replace function public.stats_head(p_agency_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
as $$
begin
  perform private.require_agency(p_agency_id);
  return jsonb_build_object(
    'agency_id', p_agency_id,
    'stamp', private.stats_stamp(p_agency_id),
    'as_of', private.engine_now(),
    'freshness', private.stats_freshness(p_agency_id));
end
$$;
comment on function public.stats_head(uuid) is
  'What tells whether a kept answer of dashboard_stats still stands: its stamp, and how fresh the figures are now. A few index '
  'probes, however large the ledger. Errors: 42501 not a member.';
revoke all on function public.stats_head(uuid) from public, anon, authenticated;
grant execute on function public.stats_head(uuid) to authenticated, service_role;
