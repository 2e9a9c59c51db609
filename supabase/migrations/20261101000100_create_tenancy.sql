-- Purpose: agencies, their members, and the creators ("models") they manage, with sealed OAuth grants.
-- Adopts the tables of an older application in place: rows stay, columns are added, owners become members.
-- Who may call: members read their own agency through RLS; only service_role reads token columns or writes.
-- Locks: short ACCESS EXCLUSIVE on agencies and models while columns are added.

-- Before anything is changed: refuse what cannot be adopted, write down and close what is open.
select private.begin_adoption();

create table if not exists public.agencies (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  owner_id uuid,
  created_at timestamptz not null default now()
);
comment on table public.agencies is 'A tenant: an agency that manages creators on Fanvue.';
comment on column public.agencies.owner_id is
  'One of the agency''s owners, kept equal to a membership with role owner in both directions, so older applications keep working.';

create table if not exists public.agency_members (
  agency_id uuid not null references public.agencies (id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  created_at timestamptz not null default now(),
  primary key (agency_id, user_id),
  constraint agency_members_role_check check (role in ('owner', 'admin', 'member'))
);
comment on table public.agency_members is 'Who belongs to which agency. Everything a user may read follows from this table.';
comment on column public.agency_members.user_id is
  'auth.users.id. No foreign key: an adopted owner may have left, and auth is not ours to lock.';
-- Policies look up by user, so the user must lead.
create index if not exists agency_members_user_id_idx on public.agency_members (user_id, agency_id);

create table if not exists public.models (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  created_at timestamptz default now()
);
alter table public.models
  add column if not exists fanvue_user_uuid text,
  add column if not exists handle text,
  add column if not exists display_name text,
  add column if not exists status text default 'active',
  add column if not exists status_reason text,
  add column if not exists reason_code text,
  add column if not exists status_changed_at timestamptz not null default now(),
  add column if not exists revenue_total numeric(14, 2) default 0,
  add column if not exists fanvue_access_token text,
  add column if not exists fanvue_refresh_token text,
  add column if not exists fanvue_token_expires_at timestamptz,
  add column if not exists fanvue_token_issued_at timestamptz,
  add column if not exists token_version bigint not null default 0,
  add column if not exists connected_at timestamptz,
  add column if not exists disconnected_at timestamptz,
  add column if not exists updated_at timestamptz not null default now();

comment on table public.models is 'A creator''s account on Fanvue as one agency manages it, with its OAuth grant.';
comment on column public.models.fanvue_user_uuid is 'The creator''s uuid on Fanvue, lower case. Unique: one creator, one agency.';
comment on column public.models.status is
  'active: synced on schedule. paused: an operator stopped it. reauth_required: the creator must connect again; the grant is kept.';
comment on column public.models.status_reason is 'Why the status is what it is, in words for an operator.';
comment on column public.models.reason_code is
  'Why the creator does not sync, as a code; null: they do. paused: an operator paused it, and only an operator ends that. '
  'status_reason says it in an operator''s words, model_overview in a member''s.';
comment on column public.models.disconnected_at is
  'When an owner or admin disconnected the creator, whatever status followed; null: nobody did, or the creator consented since. Until then no '
  'agency''s account serves them by the way.';
comment on column public.models.revenue_total is
  'Sum of fanvue_transactions.amount of this model, US dollars; kept by triggers, never written by hand.';
comment on column public.models.fanvue_access_token is
  'Sealed (AES-256-GCM, bound to this row) or, from an older application, plain until first use. service_role only.';
comment on column public.models.fanvue_refresh_token is
  'Sealed like the access token. Single-use at Fanvue: only the token functions may replace it. service_role only.';
comment on column public.models.fanvue_token_issued_at is 'When the access token was issued; with its expiry it gives the lifetime that the refresh margin needs.';
comment on column public.models.token_version is 'Grows with every stored grant; a refresh is a compare-and-swap on it.';

-- Adoption: each change to a row of the older application is written down first.
insert into private.adoption_findings (table_name, row_id, finding, before)
select 'models', m.id,
       case when m.status is null then 'there was no status: the model counts as active'
            else 'status was not one of active, paused, reauth_required: the model is paused until an operator looks' end,
       jsonb_build_object('status', m.status)
from public.models m
where m.status is null or m.status not in ('active', 'paused', 'reauth_required');

update public.models m
set status = case when m.status is null then 'active' else 'paused' end,
    status_reason = coalesce('adopted with status ' || m.status, m.status_reason),
    reason_code = case when m.status is not null then 'adopted' end
where m.status is null or m.status not in ('active', 'paused', 'reauth_required');

insert into private.adoption_findings (table_name, row_id, finding, before)
select 'models', m.id, 'the creator uuid was not in plain lower case, or empty; it now is, or null',
       jsonb_build_object('fanvue_user_uuid', m.fanvue_user_uuid)
from public.models m
where m.fanvue_user_uuid is distinct from nullif(lower(btrim(m.fanvue_user_uuid)), '');

update public.models m
set fanvue_user_uuid = nullif(lower(btrim(m.fanvue_user_uuid)), '')
where m.fanvue_user_uuid is distinct from nullif(lower(btrim(m.fanvue_user_uuid)), '');

with ranked as (
  select m.id, m.fanvue_user_uuid,
         row_number() over (partition by m.fanvue_user_uuid order by m.created_at nulls last, m.id) as place
  from public.models m
  where m.fanvue_user_uuid is not null
), doubled as (
  insert into private.adoption_findings (table_name, row_id, finding, before)
  select 'models', r.id,
         'the same creator stands in an older model; this one keeps its rows but lost its creator uuid and is paused',
         jsonb_build_object('fanvue_user_uuid', r.fanvue_user_uuid)
  from ranked r
  where r.place > 1
  returning row_id
)
update public.models m
set fanvue_user_uuid = null, status = 'paused', status_reason = 'the same creator is managed by an older model', reason_code = 'managed_twice'
from doubled d
where m.id = d.row_id;

update public.models m
set reason_code = private.usual_reason_code(m.status)
where m.status in ('paused', 'reauth_required') and m.reason_code is null;

do $$
begin
  -- The older application kept the creator's name in models.name.
  if exists (select 1 from information_schema.columns
             where table_schema = 'public' and table_name = 'models' and column_name = 'name') then
    execute 'update public.models set display_name = name where display_name is null and name is not null';
  end if;
end
$$;

alter table public.models
  alter column status set not null,
  alter column status set default 'active';
do $$
begin
  if not exists (select 1 from pg_catalog.pg_constraint
                 where conname = 'models_status_check' and conrelid = 'public.models'::regclass) then
    alter table public.models add constraint models_status_check
      check (status in ('active', 'paused', 'reauth_required'));
  end if;
  if not exists (select 1 from pg_catalog.pg_constraint
                 where conname = 'models_reason_code_check' and conrelid = 'public.models'::regclass) then
    alter table public.models add constraint models_reason_code_check
      check (reason_code in ('connecting', 'disconnected', 'paused', 'adopted', 'managed_twice',
                             'access_refused', 'access_ended', 'agency_access_lost', 'must_connect'));
  end if;
end
$$;
create unique index if not exists models_fanvue_user_uuid_key
  on public.models (fanvue_user_uuid) where fanvue_user_uuid is not null;
create index if not exists models_agency_id_idx on public.models (agency_id);

insert into public.agency_members (agency_id, user_id, role)
select a.id, a.owner_id, 'owner'
from public.agencies a
where a.owner_id is not null
on conflict do nothing;

-- Row security -------------------------------------------------------------------------------------

create or replace function private.member_agency_ids()
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
  select m.agency_id from public.agency_members m where m.user_id = (select auth.uid())
$$;
comment on function private.member_agency_ids() is
  'The agencies of the signed-in user. Every policy asks this, as an array: = any (array(select …)) is an index condition, in (select …) '
  'reads every tenant''s rows. Definer, so that it does not depend on the policies it serves.';
revoke all on function private.member_agency_ids() from public, anon;
grant execute on function private.member_agency_ids() to authenticated, service_role;

alter table public.agencies enable row level security;
alter table public.agency_members enable row level security;
alter table public.models enable row level security;

-- Hosted projects grant everything on new tables to the API roles: take it back, then give what is needed.
revoke all on public.agencies, public.agency_members, public.models from public, anon, authenticated;
grant select on public.agency_members to authenticated;
grant all on public.agencies, public.agency_members, public.models to service_role;
select private.grant_member_columns('agencies'), private.grant_member_columns('models');

create policy "members see their agency" on public.agencies
  for select to authenticated
  using (id = any (array(select private.member_agency_ids())));
create policy "members see who else is a member" on public.agency_members
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
create policy "members see their models" on public.models
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));
