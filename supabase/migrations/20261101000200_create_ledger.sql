-- Purpose: the ledger (fanvue_transactions) and its daily rollup (earnings_daily), kept equal by statement triggers.
-- Adopts the older application's table in place; amounts become exact cents, differences are written down.
-- Who may call: members read their agency's rows; only service_role writes.
-- Locks: ACCESS EXCLUSIVE on fanvue_transactions while amount becomes numeric(14,2) (a rewrite when rows exist).

create table if not exists public.fanvue_transactions (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  fanvue_id text not null,
  amount numeric(14, 2) not null,
  category text,
  fanvue_created_at timestamptz not null,
  synced_at timestamptz default now(),
  created_at timestamptz default now(),
  constraint fanvue_transactions_fanvue_id_model_id_key unique (fanvue_id, model_id)
);

insert into private.adoption_findings (table_name, row_id, finding, before)
select 'fanvue_transactions', t.id, 'amount had parts of a cent; it was rounded to cents', jsonb_build_object('amount', t.amount::text)
from public.fanvue_transactions t
where t.amount <> round(t.amount, 2);

do $$
begin
  if exists (select 1 from information_schema.columns
             where table_schema = 'public' and table_name = 'fanvue_transactions' and column_name = 'amount'
               and (numeric_precision, numeric_scale) is distinct from (14, 2)) then
    alter table public.fanvue_transactions alter column amount type numeric(14, 2);
  end if;
end
$$;

alter table public.fanvue_transactions
  add column if not exists net_amount numeric(14, 2),
  add column if not exists currency text,
  add column if not exists source text,
  add column if not exists status text,
  add column if not exists fan_uuid text,
  add column if not exists fan_handle text,
  add column if not exists message_uuid text,
  add column if not exists post_uuid text,
  add column if not exists reverses_fanvue_id text,
  add column if not exists origin text not null default 'api',
  add column if not exists sent_minor_units bigint,
  add column if not exists sent_currency text;
do $$
begin
  if not exists (select 1 from pg_catalog.pg_constraint
                 where conname = 'fanvue_transactions_origin_check' and conrelid = 'public.fanvue_transactions'::regclass) then
    alter table public.fanvue_transactions
      add constraint fanvue_transactions_origin_check check (origin in ('webhook', 'api'));
  end if;
end
$$;

-- A payment is one row, however its uuid is written: of twins one stays, and the others are written down whole. Where they
-- differ in instant or amount, which of them is right is not for us to say.
with spelled as (
  select t.id, row_number() over (partition by t.model_id, lower(t.fanvue_id), date_trunc('milliseconds', t.fanvue_created_at), t.amount
                                  order by t.fanvue_id <> lower(t.fanvue_id), t.created_at, t.id) as place
  from public.fanvue_transactions t
  where lower(t.fanvue_id) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
), removed as (
  delete from public.fanvue_transactions t using spelled s where s.id = t.id and s.place > 1 returning t.*
)
insert into private.adoption_findings (table_name, row_id, finding, before)
select 'fanvue_transactions', r.id, 'the same payment stood here twice, its id in other letters; one row was kept', to_jsonb(r)
from removed r;
with spelled as (
  select t.id, t.fanvue_id,
         exists (select from public.fanvue_transactions o
                 where o.model_id = t.model_id and o.id <> t.id and lower(o.fanvue_id) = lower(t.fanvue_id)) as doubled
  from public.fanvue_transactions t
  where t.fanvue_id <> lower(t.fanvue_id) and lower(t.fanvue_id) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
), found as (
  insert into private.adoption_findings (table_name, row_id, finding, before)
  select 'fanvue_transactions', s.id,
         case when s.doubled then 'another row has the same id in other letters, and another time or amount; both were kept as they were'
              else 'the id was not in lower case; it now is' end,
         jsonb_build_object('fanvue_id', s.fanvue_id)
  from spelled s
)
update public.fanvue_transactions t
set fanvue_id = lower(t.fanvue_id)
from spelled s
where t.id = s.id and not s.doubled;

comment on table public.fanvue_transactions is
  'The ledger: one row per sale, reward or reversal. Totals are plain sums; reversals are rows of their own with negative amounts.';
comment on column public.fanvue_transactions.fanvue_id is
  'Fanvue''s transaction order id (suffixed :refund or :chargeback when a reversal shares its sale''s id, #hash when one id names two rows), '
  'or h:<hash of the immutable fields>:<ordinal> for rows that Fanvue gives no id.';
comment on column public.fanvue_transactions.amount is 'What the fan paid before fees, US dollars; negative for a reversal.';
comment on column public.fanvue_transactions.net_amount is 'The creator''s share after Fanvue''s fees, US dollars. Null: Fanvue, or an older application, did not say.';
comment on column public.fanvue_transactions.currency is 'The fan''s local currency as Fanvue reports it. Information only: amounts are US dollars.';
comment on column public.fanvue_transactions.category is 'Fanvue''s source in snake_case (message, post, tip, subscription, renewal, refund, ...). Unknown sources are kept as they come.';
comment on column public.fanvue_transactions.source is 'Fanvue''s source, verbatim; unknown where it does not say.';
comment on column public.fanvue_transactions.status is 'pending or available (for payout); anything else is Fanvue''s word, verbatim.';
comment on column public.fanvue_transactions.reverses_fanvue_id is 'The fanvue_id of the sale that this row reverses, when Fanvue says so.';
comment on column public.fanvue_transactions.origin is 'Which way the row first came: api, or webhook until the API confirmed it.';
comment on column public.fanvue_transactions.sent_minor_units is
  'What a webhook said in another currency than dollars, in that currency''s minor units. Such a row counts 0 dollars until the API brings them.';
comment on column public.fanvue_transactions.sent_currency is 'The currency of sent_minor_units, ISO 4217.';
comment on column public.fanvue_transactions.fanvue_created_at is 'When the fan paid, UTC, to the millisecond.';
comment on column public.fanvue_transactions.synced_at is 'When this row was last written by a sync.';

create index if not exists fanvue_transactions_model_id_fanvue_created_at_idx
  on public.fanvue_transactions (model_id, fanvue_created_at desc);
create index if not exists fanvue_transactions_agency_id_fanvue_created_at_idx
  on public.fanvue_transactions (agency_id, fanvue_created_at desc);
-- Few at any time: what webhooks announced and the API has not confirmed yet.
create index if not exists fanvue_transactions_netless_idx
  on public.fanvue_transactions (model_id, fanvue_created_at)
  where net_amount is null and source is not null and origin = 'api';
comment on index public.fanvue_transactions_netless_idx is 'Rows that Fanvue listed without a net that could be read: their days cannot be compared.';
create index if not exists fanvue_transactions_provisional_idx
  on public.fanvue_transactions (model_id, fanvue_created_at) where origin = 'webhook';
create index if not exists fanvue_transactions_reverses_idx
  on public.fanvue_transactions (reverses_fanvue_id, (model_id::text)) where reverses_fanvue_id is not null;
comment on index public.fanvue_transactions_reverses_idx is 'The reversals of a sale, however old it is: few of all rows. The model as text, so that a probe by both has this index alone.';
create index if not exists fanvue_transactions_fan_uuid_idx on public.fanvue_transactions (fan_uuid) where fan_uuid is not null;
comment on index public.fanvue_transactions_fan_uuid_idx is 'Finds a person''s rows, so that an erasure holds their models for moments.';
create index if not exists fanvue_transactions_nameless_idx
  on public.fanvue_transactions (agency_id, lower(fan_handle)) where fan_uuid is null and fan_handle is not null;
comment on index public.fanvue_transactions_nameless_idx is 'Rows that know a person by the handle alone. Few.';
-- The older application's indexes are prefixes of the first two above.
drop index if exists public.idx_transactions_agency;
drop index if exists public.idx_transactions_model_created;

create table if not exists public.earnings_daily (
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  day date not null,
  category text not null,
  gross numeric(16, 2) not null default 0,
  net numeric(16, 2) not null default 0,
  transactions integer not null default 0,
  primary key (model_id, day, category)
);
comment on table public.earnings_daily is
  'Sums of fanvue_transactions per model, UTC day and category. Dashboards read this, never the ledger. Kept by triggers in the same transaction.';
comment on column public.earnings_daily.category is 'fanvue_transactions.category; ''uncategorised'' where that is null.';
comment on column public.earnings_daily.gross is 'Sum of amount, US dollars, reversals included.';
comment on column public.earnings_daily.net is 'Sum of net_amount, US dollars, reversals included.';
comment on column public.earnings_daily.transactions is 'Number of ledger rows.';
create index if not exists earnings_daily_agency_id_day_idx on public.earnings_daily (agency_id, day);

-- Rollup triggers ----------------------------------------------------------------------------------

create or replace function private.roll_up_earnings()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- The agency is the model's, always: two agencies in one statement must not make two rows of one day.
  -- One statement per direction; a row that changed counts as its old self leaving and its new self arriving.
  if tg_op = 'INSERT' then
    with delta as materialized (
      select n.model_id, (n.fanvue_created_at at time zone 'UTC')::date as day, coalesce(n.category, 'uncategorised') as category,
             sum(n.amount) as gross, sum(coalesce(n.net_amount, 0)) as net, count(*)::integer as transactions
      from new_rows n
      group by 1, 2, 3
    )
    insert into public.earnings_daily as e (agency_id, model_id, day, category, gross, net, transactions)
    select m.agency_id, d.model_id, d.day, d.category, d.gross, d.net, d.transactions
    from delta d
    -- by its key, whatever the caller forbids its plans
    cross join lateral (select o.agency_id from public.models o where o.id = d.model_id offset 0) m
    order by d.model_id, d.day, d.category
    on conflict (model_id, day, category) do update
      set gross = e.gross + excluded.gross, net = e.net + excluded.net, transactions = e.transactions + excluded.transactions;
    update public.models m
    set revenue_total = coalesce(m.revenue_total, 0) + d.amount
    from (select n.model_id, sum(n.amount) as amount from new_rows n group by n.model_id) d
    where m.id = d.model_id and d.amount <> 0;
  elsif tg_op = 'DELETE' then
    with delta as (
      select o.model_id, (o.fanvue_created_at at time zone 'UTC')::date as day,
             coalesce(o.category, 'uncategorised') as category,
             sum(o.amount) as gross, sum(coalesce(o.net_amount, 0)) as net, count(*)::integer as transactions
      from old_rows o
      group by 1, 2, 3
    )
    update public.earnings_daily e
    set gross = e.gross - d.gross, net = e.net - d.net, transactions = e.transactions - d.transactions
    from delta d
    where e.model_id = d.model_id and e.day = d.day and e.category = d.category;
    delete from public.earnings_daily e
    using (select distinct o.model_id, (o.fanvue_created_at at time zone 'UTC')::date as day,
                  coalesce(o.category, 'uncategorised') as category from old_rows o) d
    where e.model_id = d.model_id and e.day = d.day and e.category = d.category and e.transactions = 0;
    update public.models m
    set revenue_total = coalesce(m.revenue_total, 0) - d.amount
    from (select o.model_id, sum(o.amount) as amount from old_rows o group by o.model_id) d
    where m.id = d.model_id and d.amount <> 0;
  else
    with moved as (
      select n.model_id, n.fanvue_created_at, n.category, n.amount, coalesce(n.net_amount, 0) as net, 1 as transactions
      from new_rows n
      union all
      select o.model_id, o.fanvue_created_at, o.category, -o.amount, -coalesce(o.net_amount, 0), -1
      from old_rows o
    ), delta as materialized (
      select v.model_id, (v.fanvue_created_at at time zone 'UTC')::date as day, coalesce(v.category, 'uncategorised') as category,
             sum(v.amount) as gross, sum(v.net) as net, sum(v.transactions)::integer as transactions
      from moved v
      group by 1, 2, 3
      having sum(v.amount) <> 0 or sum(v.net) <> 0 or sum(v.transactions) <> 0
    )
    insert into public.earnings_daily as e (agency_id, model_id, day, category, gross, net, transactions)
    select m.agency_id, d.model_id, d.day, d.category, d.gross, d.net, d.transactions
    from delta d
    -- by its key, whatever the caller forbids its plans
    cross join lateral (select o.agency_id from public.models o where o.id = d.model_id offset 0) m
    order by d.model_id, d.day, d.category
    on conflict (model_id, day, category) do update
      set agency_id = excluded.agency_id,
          gross = e.gross + excluded.gross, net = e.net + excluded.net, transactions = e.transactions + excluded.transactions;
    delete from public.earnings_daily e
    using (select distinct o.model_id, (o.fanvue_created_at at time zone 'UTC')::date as day,
                  coalesce(o.category, 'uncategorised') as category from old_rows o) d
    where e.model_id = d.model_id and e.day = d.day and e.category = d.category and e.transactions = 0;
    update public.models m
    set revenue_total = coalesce(m.revenue_total, 0) + d.amount
    from (select v.model_id, sum(v.amount) as amount
          from (select n.model_id, n.amount from new_rows n
                union all select o.model_id, -o.amount from old_rows o) v
          group by v.model_id) d
    where m.id = d.model_id and d.amount <> 0;
  end if;
  return null;
end
$$;
comment on function private.roll_up_earnings() is
  'Keeps earnings_daily and models.revenue_total equal to the ledger, one pass per statement, in the same transaction.';
revoke all on function private.roll_up_earnings() from public, anon, authenticated;

create or replace function private.clear_earnings()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from public.earnings_daily where true;
  update public.models set revenue_total = 0 where revenue_total <> 0;
  return null;
end
$$;
comment on function private.clear_earnings() is 'A truncated ledger has empty rollups.';
revoke all on function private.clear_earnings() from public, anon, authenticated;

-- A row belongs to the agency of its model: nobody else may see it.
insert into private.adoption_findings (table_name, row_id, finding, before)
select 'fanvue_transactions', t.id, 'the row named another agency than its model''s; it now names the model''s',
       jsonb_build_object('agency_id', t.agency_id)
from public.fanvue_transactions t
join public.models m on m.id = t.model_id
where t.agency_id <> m.agency_id;

update public.fanvue_transactions t
set agency_id = m.agency_id
from public.models m
where m.id = t.model_id and t.agency_id <> m.agency_id;

-- The first rollup of adopted rows. The older application's running counter drifted; the rows are the truth.
insert into private.adoption_findings (table_name, row_id, finding, before)
select 'models', m.id, 'revenue_total was not the sum of the rows; it now is',
       jsonb_build_object('revenue_total', m.revenue_total, 'sum_of_rows', coalesce(t.total, 0))
from public.models m
left join (select x.model_id, sum(x.amount) as total from public.fanvue_transactions x group by x.model_id) t on t.model_id = m.id
where coalesce(m.revenue_total, 0) <> coalesce(t.total, 0);

update public.models m
set revenue_total = coalesce((select sum(t.amount) from public.fanvue_transactions t where t.model_id = m.id), 0)
where m.revenue_total is distinct from coalesce((select sum(t.amount) from public.fanvue_transactions t where t.model_id = m.id), 0);
do $$
begin
  -- only now: the finding above holds the value as it was
  if exists (select 1 from information_schema.columns
             where table_schema = 'public' and table_name = 'models' and column_name = 'revenue_total'
               and (numeric_precision, numeric_scale) is distinct from (14, 2)) then
    alter table public.models alter column revenue_total type numeric(14, 2);
  end if;
end
$$;
alter table public.models
  alter column revenue_total set default 0,
  alter column revenue_total set not null;

insert into public.earnings_daily (agency_id, model_id, day, category, gross, net, transactions)
select t.agency_id, t.model_id, (t.fanvue_created_at at time zone 'UTC')::date,
       coalesce(t.category, 'uncategorised'), sum(t.amount), sum(coalesce(t.net_amount, 0)), count(*)
from public.fanvue_transactions t
group by t.agency_id, t.model_id, 3, 4
on conflict do nothing;

create trigger fanvue_transactions_roll_up_insert
  after insert on public.fanvue_transactions
  referencing new table as new_rows
  for each statement execute function private.roll_up_earnings();
create trigger fanvue_transactions_roll_up_update
  after update on public.fanvue_transactions
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.roll_up_earnings();
create trigger fanvue_transactions_roll_up_delete
  after delete on public.fanvue_transactions
  referencing old table as old_rows
  for each statement execute function private.roll_up_earnings();
create trigger fanvue_transactions_roll_up_truncate
  after truncate on public.fanvue_transactions
  for each statement execute function private.clear_earnings();

-- Row security -------------------------------------------------------------------------------------

alter table public.fanvue_transactions enable row level security;
alter table public.earnings_daily enable row level security;

revoke all on public.fanvue_transactions, public.earnings_daily from public, anon, authenticated, service_role;
select private.grant_member_columns('fanvue_transactions');
grant select on public.earnings_daily to authenticated;
grant all on public.fanvue_transactions to service_role;
grant select on public.earnings_daily to service_role;

create policy "members see their agency's transactions" on public.fanvue_transactions
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their agency's daily earnings" on public.earnings_daily
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));

do $$
begin
  -- The older application's helper stays; its name resolution is pinned as the linter asks.
  if to_regprocedure('public.get_agency_revenue(uuid)') is not null then
    alter function public.get_agency_revenue(uuid) set search_path = '';
  end if;
end
$$;
