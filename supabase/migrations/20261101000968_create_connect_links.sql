-- Purpose: a creator connects without an account in the dashboard: by a link that an owner or admin makes for one creator.
-- It ends with its time, with its first stored grant, or when whoever made it may no longer connect creators. Opening it uses
-- nothing up: messengers open links for their previews.
-- Who may call: create_connect_link and revoke_connect_link owners and admins; make_connect_link service_role (the command line).
-- Locks: the link's row, before it those of the connections begun with it; the agency's while links are counted.

create table public.connect_links (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  creator_id uuid references public.models (id) on delete cascade,
  label text,
  link_hash text not null unique,
  created_by uuid,
  created_at timestamptz not null default private.engine_now(),
  expires_at timestamptz not null default private.engine_now() + interval '7 days',
  used_at timestamptz
);
comment on table public.connect_links is 'Links by which one creator each connects their account; owners and admins read it. Deleted thirty days after their end.';
comment on column public.connect_links.creator_id is 'The model that is to be connected again, or was connected through it; null: any creator, who is new or this agency''s.';
comment on column public.connect_links.label is 'Whom it was made for, in the words of whoever made it.';
comment on column public.connect_links.link_hash is 'SHA-256 of the secret in the link, which is shown once, to whoever made it. service_role only.';
comment on column public.connect_links.created_by is 'auth.users.id of the owner or admin who made it; null: an operator.';
comment on column public.connect_links.expires_at is 'Until when a connection can be begun with it.';
comment on column public.connect_links.used_at is 'When a grant was stored through it; it works no more.';
create index connect_links_agency_id_idx on public.connect_links (agency_id, created_at);
create index connect_links_creator_id_idx on public.connect_links (creator_id);
create index connect_links_expires_at_idx on public.connect_links (expires_at);

alter table public.connect_links enable row level security;
revoke all on public.connect_links from public, anon, authenticated;
grant select (id, agency_id, creator_id, label, created_by, created_at, expires_at, used_at) on public.connect_links to authenticated;
grant all on public.connect_links to service_role;
create policy "owners and admins see the links of their agency" on public.connect_links
  for select to authenticated
  using (agency_id = any (array(select private.administered_agency_ids())));

create or replace function private.is_open(p_link public.connect_links)
returns boolean
language sql
stable
set search_path = ''
as $$
  select p_link.used_at is null and p_link.expires_at > private.engine_now()
    and (p_link.created_by is null or exists (select from public.agency_members m
         where m.agency_id = p_link.agency_id and m.user_id = p_link.created_by and m.role in ('owner', 'admin')))
    -- a creator who moved is not the old agency's to connect
    and (p_link.creator_id is null or exists (select from public.models m where m.id = p_link.creator_id and m.agency_id = p_link.agency_id))
$$;
comment on function private.is_open(public.connect_links) is 'Whether a connection can be begun with a link, and a grant stored through it.';
revoke all on function private.is_open(public.connect_links) from public, anon, authenticated;
grant execute on function private.is_open(public.connect_links) to service_role;

create or replace function private.put_connect_link(p_agency_id uuid, p_model_id uuid, p_label text, p_hours integer)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  -- 244 random bits
  v_secret text := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  v_link public.connect_links;
begin
  if p_hours is null or p_hours not between 1 and 720 then
    raise sqlstate 'PT422' using message = 'a link is good for 1 to 720 hours';
  end if;
  if length(p_label) > 200 then
    raise sqlstate 'PT422' using message = 'a label has at most 200 letters';
  end if;
  if p_model_id is not null and not exists (select from public.models m where m.id = p_model_id and m.agency_id = p_agency_id) then
    raise sqlstate 'PT404' using message = 'no such model in this agency';
  end if;
  perform from public.agencies a where a.id = p_agency_id for no key update;
  if (select count(*) >= 60 from public.connect_links l where l.agency_id = p_agency_id and l.created_at > v_now - interval '1 hour') then
    raise sqlstate 'PT429' using message = 'this agency made 60 links within the last hour', hint = 'wait, or use the ones that are open';
  end if;
  insert into public.connect_links (agency_id, creator_id, label, link_hash, created_by, created_at, expires_at)
  values (p_agency_id, p_model_id, nullif(btrim(p_label), ''), encode(sha256(convert_to(v_secret, 'UTF8')), 'hex'),
          (select auth.uid()), v_now, v_now + make_interval(hours => p_hours))
  returning * into v_link;
  perform private.note_change(p_agency_id, 'link_created', v_link.id, jsonb_build_object('model_id', p_model_id));
  return jsonb_build_object('id', v_link.id, 'path', '/functions/v1/fanvue-connect/start?invitation=' || v_secret, 'expires_at', v_link.expires_at);
end
$$;
comment on function private.put_connect_link(uuid, uuid, text, integer) is
  'Makes a link and tells its secret, this once. A lost answer leaves a link that nobody knows and that ends by itself. Definer: its callers were checked.';
revoke all on function private.put_connect_link(uuid, uuid, text, integer) from public, anon, authenticated;
grant execute on function private.put_connect_link(uuid, uuid, text, integer) to service_role;

create or replace function private.connect_link_as_member(p_agency_id uuid, p_model_id uuid, p_label text, p_hours integer)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.require_role(p_agency_id, array['owner', 'admin']);
  return private.put_connect_link(p_agency_id, p_model_id, p_label, p_hours);
end
$$;
comment on function private.connect_link_as_member(uuid, uuid, text, integer) is 'What create_connect_link does, with the right to write links.';
revoke all on function private.connect_link_as_member(uuid, uuid, text, integer) from public, anon;
grant execute on function private.connect_link_as_member(uuid, uuid, text, integer) to authenticated;

create or replace function public.create_connect_link(p_agency_id uuid, p_model_id uuid default null, p_label text default null, p_hours integer default 168)
returns jsonb
language sql
set search_path = ''
as $$
  select private.connect_link_as_member(p_agency_id, p_model_id, p_label, p_hours)
$$;
comment on function public.create_connect_link(uuid, uuid, text, integer) is
  'Makes a link {id, path, expires_at} by which one creator connects, as an owner or admin; path goes behind the project''s address and is told this once. '
  'p_model_id: the creator who is to connect again. Errors: 403, 404, 422 hours or label, 429 more than 60 an hour.';
revoke all on function public.create_connect_link(uuid, uuid, text, integer) from public, anon, authenticated;
grant execute on function public.create_connect_link(uuid, uuid, text, integer) to authenticated;

create or replace function private.revoke_link_as_member(p_link_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_link public.connect_links;
begin
  -- they go with the link, and whoever stores a grant holds theirs before the link's
  perform from private.connection_attempts a
  where a.link_id = p_link_id and a.agency_id in (select private.administered_agency_ids())
  order by a.state_hash
  for update;
  delete from public.connect_links l
  where l.id = p_link_id and l.used_at is null and l.agency_id in (select private.administered_agency_ids())
  returning l.* into v_link;
  if not found then
    -- revoked already, used, or not theirs: the same answer, which tells a stranger nothing
    return jsonb_build_object('changed', false);
  end if;
  perform private.note_change(v_link.agency_id, 'link_revoked', v_link.id);
  return jsonb_build_object('changed', true);
end
$$;
comment on function private.revoke_link_as_member(uuid) is 'What revoke_connect_link does, with the right to write links.';
revoke all on function private.revoke_link_as_member(uuid) from public, anon;
grant execute on function private.revoke_link_as_member(uuid) to authenticated;

create or replace function public.revoke_connect_link(p_link_id uuid)
returns jsonb
language sql
set search_path = ''
as $$
  select private.revoke_link_as_member(p_link_id)
$$;
comment on function public.revoke_connect_link(uuid) is
  'Takes back an open link and every connection begun with it, as an owner or admin. changed false: there is none that is yours.';
revoke all on function public.revoke_connect_link(uuid) from public, anon, authenticated;
grant execute on function public.revoke_connect_link(uuid) to authenticated;

create or replace function public.make_connect_link(p_agency text, p_model_id uuid default null, p_label text default null, p_hours integer default 168)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  return private.put_connect_link(private.require_named_agency(p_agency), p_model_id, p_label, p_hours);
end
$$;
comment on function public.make_connect_link(text, uuid, text, integer) is
  'create_connect_link for the command line: the agency by name or id. Errors: 404, 409 ambiguous, 422, 429.';
revoke all on function public.make_connect_link(text, uuid, text, integer) from public, anon, authenticated;
grant execute on function public.make_connect_link(text, uuid, text, integer) to service_role;
