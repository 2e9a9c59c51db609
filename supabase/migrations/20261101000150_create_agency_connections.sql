-- Purpose: an agency's own OAuth grants: one consent of its administrator serves every creator whom the agency manages.
-- Who may call: members read what is no secret, through RLS; only service_role reads tokens or writes.
-- Locks: short ACCESS EXCLUSIVE on models while a column and its constraints are added.

create table if not exists public.agency_connections (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  fanvue_user_uuid text not null,
  handle text,
  status text not null default 'active',
  status_reason text,
  reason_code text,
  status_changed_at timestamptz not null default now(),
  access_token text,
  refresh_token text,
  token_expires_at timestamptz,
  token_issued_at timestamptz,
  token_version bigint not null default 0,
  consent_fingerprint text,
  connected_at timestamptz,
  listed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint agency_connections_status_check check (status in ('active', 'reauth_required')),
  constraint agency_connections_reason_code_check check (reason_code in ('connecting', 'access_refused', 'access_ended', 'must_connect')),
  -- One account, one agency: two rows would refresh one chain of tokens twice.
  constraint agency_connections_fanvue_user_uuid_key unique (fanvue_user_uuid),
  -- A model refers to both, so that it can never use another agency's grant.
  constraint agency_connections_id_agency_id_key unique (id, agency_id)
);
comment on table public.agency_connections is
  'The OAuth grant of an agency''s administrator account on Fanvue; models that refer to it are read through it and need no grant of their own.';
comment on column public.agency_connections.fanvue_user_uuid is
  'The administrator account''s uuid on Fanvue, lower case. Its own data, if it is a creator too, is read on its personal path only.';
comment on column public.agency_connections.status is
  'active: usable. reauth_required: the administrator must connect again; the grant is kept and every model behind it waits.';
comment on column public.agency_connections.status_reason is 'Why the status is what it is, in words for an operator.';
comment on column public.agency_connections.reason_code is 'What members are told of status_reason: a code, as in models.';
comment on column public.agency_connections.access_token is 'Sealed (AES-256-GCM, bound to this row). service_role only.';
comment on column public.agency_connections.refresh_token is
  'Sealed like the access token. Single-use at Fanvue: only the token functions may replace it. service_role only.';
comment on column public.agency_connections.token_expires_at is 'When the access token ends, by the database''s clock. service_role only.';
comment on column public.agency_connections.token_issued_at is
  'When the access token was issued; with its expiry it gives the lifetime that the refresh margin needs.';
comment on column public.agency_connections.token_version is 'Grows with every stored grant; a refresh is a compare-and-swap on it.';
comment on column public.agency_connections.consent_fingerprint is
  'SHA-256 of the refresh token that the last consent brought: the same one given again is a repetition, not a newer grant. service_role only.';
comment on column public.agency_connections.listed_at is 'When Fanvue was last asked which creators the account manages.';
create index if not exists agency_connections_agency_id_idx on public.agency_connections (agency_id);

alter table public.models add column if not exists connection_id uuid;
comment on column public.models.connection_id is
  'The agency''s grant through which this creator is read; null: the model has a grant of its own, in its token columns.';
do $$
begin
  if not exists (select from pg_catalog.pg_constraint
                 where conname = 'models_connection_id_fkey' and conrelid = 'public.models'::regclass) then
    alter table public.models
      add constraint models_connection_id_fkey foreign key (connection_id, agency_id)
        references public.agency_connections (id, agency_id) on delete set null (connection_id),
      -- Without it the path of the creator's data could not be told from the administrator's own.
      add constraint models_connection_id_check check (connection_id is null or fanvue_user_uuid is not null);
  end if;
end
$$;
create index if not exists models_connection_id_idx on public.models (connection_id, agency_id) where connection_id is not null;

-- Row security -------------------------------------------------------------------------------------

alter table public.agency_connections enable row level security;
revoke all on public.agency_connections from public, anon, authenticated;
grant select (id, agency_id, fanvue_user_uuid, handle, status, reason_code, status_changed_at,
              connected_at, listed_at, created_at, updated_at)
  on public.agency_connections to authenticated;
grant select (connection_id) on public.models to authenticated;
grant all on public.agency_connections to service_role;

create policy "members see their agency's connections" on public.agency_connections
  for select to authenticated
  using (agency_id = any (array(select private.member_agency_ids())));

-- Triggers -----------------------------------------------------------------------------------------

create or replace function private.stamp_connection()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.fanvue_user_uuid := lower(new.fanvue_user_uuid);
  if tg_op = 'INSERT' then
    new.reason_code := coalesce(new.reason_code, private.usual_reason_code(new.status));
  else
    new.updated_at := private.engine_now();
    if new.status is distinct from old.status then
      new.status_changed_at := new.updated_at;
      if new.reason_code is not distinct from old.reason_code then
        new.reason_code := private.usual_reason_code(new.status);
      end if;
    end if;
  end if;
  return new;
end
$$;
comment on function private.stamp_connection() is 'Dates a connection''s changes, gives it a reason code and keeps its account''s uuid in lower case.';
revoke all on function private.stamp_connection() from public, anon, authenticated;
grant execute on function private.stamp_connection() to service_role;
create trigger agency_connections_stamp
  before insert or update on public.agency_connections
  for each row execute function private.stamp_connection();

create or replace function private.leave_connection()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  -- The old agency's grant serves nobody else.
  if new.connection_id is not distinct from old.connection_id then
    new.connection_id := null;
  end if;
  return new;
end
$$;
comment on function private.leave_connection() is 'A model that is given to another agency leaves the old agency''s grant behind.';
revoke all on function private.leave_connection() from public, anon, authenticated;
grant execute on function private.leave_connection() to service_role;
create trigger models_leave_connection
  before update of agency_id on public.models
  for each row when (new.agency_id is distinct from old.agency_id and old.connection_id is not null)
  execute function private.leave_connection();

-- What follows from a model's grant -----------------------------------------------------------------

-- PL/pgSQL: asked for each job and each stream; a function in SQL that another one calls is planned anew at every call.
create or replace function private.has_grant(p_model public.models)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return p_model.connection_id is not null or coalesce(p_model.fanvue_refresh_token, p_model.fanvue_access_token) is not null;
end
$$;
comment on function private.has_grant(public.models) is 'Whether a model can be read at all: through its agency''s grant or its own.';
revoke all on function private.has_grant(public.models) from public, anon, authenticated;
grant execute on function private.has_grant(public.models) to service_role;

create or replace function private.status_with_grant(p_model public.models)
returns text
language sql
immutable
set search_path = ''
as $$
  select case when p_model.status = 'paused' and coalesce(p_model.reason_code, 'paused') not in ('connecting', 'disconnected') then 'paused' else 'active' end
$$;
comment on function private.status_with_grant(public.models) is
  'What a model becomes when a fresh grant is stored: active, unless an operator, or the adoption, paused it.';
revoke all on function private.status_with_grant(public.models) from public, anon, authenticated;
grant execute on function private.status_with_grant(public.models) to service_role;

create or replace function private.path_prefix(p_model public.models)
returns text
-- plpgsql here and below: asked once per claimed job, and a function in SQL that sets its search_path begins a query each time
language plpgsql
stable
set search_path = ''
as $$
begin
  return case
    when p_model.connection_id is null then ''
    when exists (select from public.agency_connections c
                 where c.id = p_model.connection_id and c.fanvue_user_uuid = p_model.fanvue_user_uuid) then ''
    else '/creators/' || p_model.fanvue_user_uuid end;
end
$$;
comment on function private.path_prefix(public.models) is
  'What precedes the paths of a model''s data: nothing for an account''s own data, /creators/<uuid> for what an administrator reads of others. '
  'Fanvue answers 404 to /creators/<own uuid>, and the personal path always shows the token''s account.';
revoke all on function private.path_prefix(public.models) from public, anon, authenticated;
grant execute on function private.path_prefix(public.models) to service_role;

create or replace function private.bucket_of(p_model public.models)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  if p_model.connection_id is null then
    return 'user:' || coalesce(p_model.fanvue_user_uuid, p_model.id::text);
  end if;
  return (select 'user:' || c.fanvue_user_uuid
                 || case when c.fanvue_user_uuid = p_model.fanvue_user_uuid then '' else ':' || p_model.fanvue_user_uuid end
          from public.agency_connections c where c.id = p_model.connection_id);
end
$$;
comment on function private.bucket_of(public.models) is
  'The rate-limit bucket of a model''s calls: Fanvue counts per app and user, and on /creators/<uuid> paths per creator besides.';
revoke all on function private.bucket_of(public.models) from public, anon, authenticated;
grant execute on function private.bucket_of(public.models) to service_role;
