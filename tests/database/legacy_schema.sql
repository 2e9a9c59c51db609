-- The tables of an older application, as adopted databases have them. A fixture: never a migration.
create extension if not exists "uuid-ossp";
create table public.agencies (
  id uuid primary key default uuid_generate_v4(),
  name text not null,
  owner_id uuid,
  created_at timestamptz not null default now()
);
create table public.models (
  id uuid primary key default uuid_generate_v4(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  name text,
  fanvue_user_uuid text,
  fanvue_access_token text,
  revenue_total numeric default 0,
  subscribers_count integer default 0,
  followers_count integer default 0,
  status text default 'active',
  created_at timestamptz default now()
);
create table public.fanvue_transactions (
  id uuid primary key default uuid_generate_v4(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid not null references public.models (id) on delete cascade,
  fanvue_id text not null,
  amount numeric not null,
  category text,
  fanvue_created_at timestamptz not null,
  synced_at timestamptz default now(),
  created_at timestamptz default now(),
  unique (fanvue_id, model_id)
);
create index idx_transactions_agency on public.fanvue_transactions (agency_id);
create index idx_transactions_model_created on public.fanvue_transactions (model_id, fanvue_created_at desc);
alter table public.agencies enable row level security;
alter table public.models enable row level security;
alter table public.fanvue_transactions enable row level security;
create policy "owners see their agency" on public.agencies for select using (owner_id = auth.uid());
create policy "owners see their models" on public.models for select
  using (agency_id in (select id from public.agencies where owner_id = auth.uid()));
create policy "owners see their transactions" on public.fanvue_transactions for select
  using (agency_id in (select id from public.agencies where owner_id = auth.uid()));
create function public.get_agency_revenue(p_agency uuid) returns numeric
  language sql stable as 'select coalesce(sum(amount), 0) from public.fanvue_transactions where agency_id = p_agency';
