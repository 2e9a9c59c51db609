-- Purpose: people join an agency by invitation, and owners and admins change who belongs to it.
-- An invitation is for an address. Whoever is signed in with that address, confirmed by Auth, accepts it: by themselves, since
-- nobody is put into an agency unasked. It stands as long as whoever invited may invite like that.
-- Who may call: invite_member, revoke_invitation, set_member_role and remove_member owners and admins (only owners make or
-- change owners; everybody may leave); my_invitations and accept_invitation anybody signed in; members_of members;
-- add_member and drop_member service_role (the command line).
-- Locks: the agency's row where members change or invitations are counted, then the invitation's or the member's.

create table public.invitations (
  id uuid primary key default gen_random_uuid(),
  agency_id uuid not null references public.agencies (id) on delete cascade,
  email text not null,
  role text not null default 'member',
  invited_by uuid,
  created_at timestamptz not null default private.engine_now(),
  expires_at timestamptz not null default private.engine_now() + interval '14 days',
  accepted_at timestamptz,
  accepted_by uuid,
  constraint invitations_role_check check (role in ('owner', 'admin', 'member')),
  constraint invitations_email_check check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and length(email) <= 254)
);
comment on table public.invitations is
  'Who is invited to an agency, by address; owners and admins read it. Revoked ones are deleted, those of a deleted user with them, the others thirty days after their end.';
comment on column public.invitations.email is 'The address, lower case. Auth must have confirmed it for whoever accepts.';
comment on column public.invitations.role is 'What they become: owner, admin or member.';
comment on column public.invitations.invited_by is 'auth.users.id of the owner or admin who invited: the invitation stands as long as they may; null: an operator, whose invitations stand.';
comment on column public.invitations.expires_at is 'Until when it can be accepted: two weeks, begun anew by inviting again.';
comment on column public.invitations.accepted_at is 'When it was accepted; null: it is open.';
comment on column public.invitations.accepted_by is 'auth.users.id of who accepted it.';
-- One open invitation per address and agency: inviting again renews it.
create unique index invitations_open_key on public.invitations (agency_id, email) where accepted_at is null;
create index invitations_agency_id_idx on public.invitations (agency_id, created_at);
create index invitations_email_idx on public.invitations (email);
create index invitations_accepted_by_idx on public.invitations (accepted_by) where accepted_by is not null;
create index invitations_expires_at_idx on public.invitations (expires_at);

alter table public.invitations enable row level security;
revoke all on public.invitations from public, anon, authenticated;
grant select on public.invitations to authenticated;
grant all on public.invitations to service_role;
create policy "owners and admins see who is invited" on public.invitations
  for select to authenticated
  using (agency_id = any (array(select private.administered_agency_ids())));

create or replace function private.check_email(p_email text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_email text := lower(btrim(p_email));
begin
  if v_email is null or v_email !~ '^[^@[:space:]]+@[^@[:space:]]+$' or length(v_email) > 254 then
    raise sqlstate 'PT422' using message = 'this is no e-mail address';
  end if;
  return v_email;
end
$$;
comment on function private.check_email(text) is 'An address as it is stored: lower case, no spaces around it. Errors: 422 no address.';
revoke all on function private.check_email(text) from public, anon, authenticated;
grant execute on function private.check_email(text) to service_role;

create or replace function private.check_role(p_role text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  if p_role is null or p_role not in ('owner', 'admin', 'member') then
    raise sqlstate 'PT422' using message = 'a role is owner, admin or member';
  end if;
  return p_role;
end
$$;
comment on function private.check_role(text) is 'A role that there is. Errors: 422.';
revoke all on function private.check_role(text) from public, anon, authenticated;
grant execute on function private.check_role(text) to service_role;

create or replace function private.confirmed_email(p_user_id uuid)
returns text
language sql
stable
security definer
set search_path = ''
as $$
  select lower(u.email) from auth.users u where u.id = p_user_id and u.email_confirmed_at is not null
$$;
comment on function private.confirmed_email(uuid) is
  'The address that Auth confirmed for a user; null: none. Not the token''s claim, which says nothing of that. Definer, to read auth.users.';
revoke all on function private.confirmed_email(uuid) from public, anon, authenticated;
grant execute on function private.confirmed_email(uuid) to service_role;

create or replace function private.members_with_email(p_agency_id uuid, p_email text)
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
  select m.user_id
  from public.agency_members m
  join auth.users u on u.id = m.user_id
  where m.agency_id = p_agency_id and lower(u.email) = p_email
$$;
comment on function private.members_with_email(uuid, text) is
  'The members of an agency who have an address, confirmed or not: those who are listed with it. Definer, to read auth.users.';
revoke all on function private.members_with_email(uuid, text) from public, anon, authenticated;
grant execute on function private.members_with_email(uuid, text) to service_role;

create or replace function private.stands(p_invitation public.invitations)
returns boolean
language sql
stable
set search_path = ''
as $$
  select p_invitation.accepted_at is null and p_invitation.expires_at > private.engine_now()
    and (p_invitation.invited_by is null or exists (select from public.agency_members m
         where m.agency_id = p_invitation.agency_id and m.user_id = p_invitation.invited_by
           and (m.role = 'owner' or (m.role = 'admin' and p_invitation.role <> 'owner'))))
$$;
comment on function private.stands(public.invitations) is
  'Whether an invitation can be accepted: open, in time, and whoever invited could invite like that today.';
revoke all on function private.stands(public.invitations) from public, anon, authenticated;
grant execute on function private.stands(public.invitations) to service_role;

create or replace function private.put_invitation(p_agency_id uuid, p_email text, p_role text)
returns public.invitations
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_invitation public.invitations;
begin
  -- the counts below are one caller's at a time
  perform from public.agencies a where a.id = p_agency_id for no key update;
  if exists (select from private.members_with_email(p_agency_id, p_email)) then
    raise sqlstate 'PT409' using message = 'this person is a member already', hint = 'set_member_role changes what they are';
  end if;
  if (select count(*) >= 20 from public.invitations i
      where i.agency_id = p_agency_id and i.created_at > v_now - interval '1 hour' and i.email <> p_email)
     or (select count(*) >= 200 from public.invitations i
         where i.agency_id = p_agency_id and i.accepted_at is null and i.email <> p_email) then
    raise sqlstate 'PT429' using message = 'this agency invited many people lately',
      hint = 'an agency has at most 200 open invitations and makes 20 an hour';
  end if;
  insert into public.invitations as i (agency_id, email, role, invited_by, created_at, expires_at)
  values (p_agency_id, p_email, p_role, (select auth.uid()), v_now, v_now + interval '14 days')
  on conflict (agency_id, email) where accepted_at is null
  do update set role = excluded.role, invited_by = excluded.invited_by, created_at = excluded.created_at, expires_at = excluded.expires_at
  returning i.* into v_invitation;
  perform private.note_change(p_agency_id, 'member_invited', v_invitation.id, jsonb_build_object('role', p_role));
  return v_invitation;
end
$$;
comment on function private.put_invitation(uuid, text, text) is
  'Makes or renews the invitation of an address to an agency. Errors: 409 a member already, 429 too many. Definer: its callers were checked.';
revoke all on function private.put_invitation(uuid, text, text) from public, anon, authenticated;
grant execute on function private.put_invitation(uuid, text, text) to service_role;

-- What owners and admins do ------------------------------------------------------------------------

create or replace function private.invite_as_member(p_agency_id uuid, p_email text, p_role text)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_role text := private.require_role(p_agency_id, array['owner', 'admin']);
  v_invitation public.invitations;
begin
  if private.check_role(p_role) = 'owner' and v_role <> 'owner' then
    raise sqlstate 'PT403' using message = 'only an owner invites an owner';
  end if;
  if v_role <> 'owner' and exists (select from public.invitations i
                                   where i.agency_id = p_agency_id and i.email = private.check_email(p_email)
                                     and i.accepted_at is null and i.role = 'owner' and private.stands(i)) then
    raise sqlstate 'PT403' using message = 'only an owner changes the invitation of an owner';
  end if;
  v_invitation := private.put_invitation(p_agency_id, private.check_email(p_email), p_role);
  return jsonb_build_object('id', v_invitation.id, 'email', v_invitation.email, 'role', v_invitation.role, 'expires_at', v_invitation.expires_at);
end
$$;
comment on function private.invite_as_member(uuid, text, text) is 'What invite_member does, with the right to write invitations.';
revoke all on function private.invite_as_member(uuid, text, text) from public, anon;
grant execute on function private.invite_as_member(uuid, text, text) to authenticated;

create or replace function public.invite_member(p_agency_id uuid, p_email text, p_role text default 'member')
returns jsonb
language sql
set search_path = ''
as $$
  select private.invite_as_member(p_agency_id, p_email, p_role)
$$;
comment on function public.invite_member(uuid, text, text) is
  'Invites an address to an agency, as an owner or admin; repeated, it renews the invitation. Errors: 403 not yours to do, 404 no agency of yours, 409 a member already, 422 no address or role, 429 too many.';
revoke all on function public.invite_member(uuid, text, text) from public, anon, authenticated;
grant execute on function public.invite_member(uuid, text, text) to authenticated;

create or replace function private.revoke_invitation_as_member(p_invitation_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_invitation public.invitations;
begin
  select i.* into v_invitation from public.invitations i
  where i.id = p_invitation_id and i.accepted_at is null and i.agency_id in (select private.administered_agency_ids())
  for update;
  if not found then
    -- revoked already, or not theirs: the same answer, which tells a stranger nothing
    return jsonb_build_object('changed', false);
  end if;
  if v_invitation.role = 'owner' then
    perform private.require_role(v_invitation.agency_id, array['owner']);
  end if;
  delete from public.invitations i where i.id = p_invitation_id;
  perform private.note_change(v_invitation.agency_id, 'invitation_revoked', v_invitation.id, jsonb_build_object('role', v_invitation.role));
  return jsonb_build_object('changed', true);
end
$$;
comment on function private.revoke_invitation_as_member(uuid) is 'What revoke_invitation does, with the right to write invitations.';
revoke all on function private.revoke_invitation_as_member(uuid) from public, anon;
grant execute on function private.revoke_invitation_as_member(uuid) to authenticated;

create or replace function public.revoke_invitation(p_invitation_id uuid)
returns jsonb
language sql
set search_path = ''
as $$
  select private.revoke_invitation_as_member(p_invitation_id)
$$;
comment on function public.revoke_invitation(uuid) is
  'Takes back an open invitation, as an owner or admin (of an owner: as an owner). changed false: there is none that is yours. Errors: 403.';
revoke all on function public.revoke_invitation(uuid) from public, anon, authenticated;
grant execute on function public.revoke_invitation(uuid) to authenticated;

create or replace function private.change_member_as_member(p_agency_id uuid, p_user_id uuid, p_role text)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := (select auth.uid());
  v_mine text;
  v_theirs text;
begin
  -- the agency's row first, as everywhere: two who change each other's role are judged one after the other
  perform from public.agencies a where a.id = p_agency_id and a.id in (select private.member_agency_ids()) for no key update;
  v_mine := private.require_role(p_agency_id, array['owner', 'admin', 'member']);
  v_theirs := (select m.role from public.agency_members m where m.agency_id = p_agency_id and m.user_id = p_user_id);
  -- whoever lost the right meanwhile, the repetition of a leave included, has no agency above
  if v_theirs is not distinct from p_role then
    return jsonb_build_object('changed', false);
  end if;
  if v_theirs is null then
    raise sqlstate 'PT404' using message = 'no such member', hint = 'invite_member invites somebody';
  end if;
  if v_mine = 'member' and not (p_role is null and p_user_id = v_user_id)
     or v_mine = 'admin' and not (p_role is null and p_user_id = v_user_id) and 'owner' in (v_theirs, coalesce(p_role, '')) then
    raise sqlstate 'PT403' using message = format('your role in this agency is %s', v_mine),
      hint = 'owners change everybody, admins admins and members; everybody may leave';
  end if;
  if p_role is null then
    delete from public.agency_members m where m.agency_id = p_agency_id and m.user_id = p_user_id;
  else
    update public.agency_members m set role = private.check_role(p_role) where m.agency_id = p_agency_id and m.user_id = p_user_id;
  end if;
  return jsonb_build_object('changed', true);
end
$$;
comment on function private.change_member_as_member(uuid, uuid, text) is
  'What set_member_role and remove_member (no role) do, with the right to write memberships.';
revoke all on function private.change_member_as_member(uuid, uuid, text) from public, anon;
grant execute on function private.change_member_as_member(uuid, uuid, text) to authenticated;

create or replace function public.set_member_role(p_agency_id uuid, p_user_id uuid, p_role text)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  if p_role is null then
    raise sqlstate 'PT422' using message = 'a role is owner, admin or member', hint = 'remove_member removes somebody';
  end if;
  return private.change_member_as_member(p_agency_id, p_user_id, p_role);
end
$$;
comment on function public.set_member_role(uuid, uuid, text) is
  'Changes a member''s role, as an owner; as an admin between admin and member. Errors: 403, 404, 409 the last owner, 422 no role.';
revoke all on function public.set_member_role(uuid, uuid, text) from public, anon, authenticated;
grant execute on function public.set_member_role(uuid, uuid, text) to authenticated;

create or replace function public.remove_member(p_agency_id uuid, p_user_id uuid)
returns jsonb
language sql
set search_path = ''
as $$
  select private.change_member_as_member(p_agency_id, p_user_id, null)
$$;
comment on function public.remove_member(uuid, uuid) is
  'Removes a member, as an owner; as an admin, no owner; everybody may leave. changed false: no member. Errors: 403, 404, 409 the last owner.';
revoke all on function public.remove_member(uuid, uuid) from public, anon, authenticated;
grant execute on function public.remove_member(uuid, uuid) to authenticated;

create or replace function private.list_people(p_agency_id uuid, p_with_emails boolean)
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'members', coalesce((
      select jsonb_agg(jsonb_build_object('user_id', m.user_id, 'role', m.role, 'since', m.created_at,
                                          'email', case when p_with_emails then (select u.email from auth.users u where u.id = m.user_id) end)
                       order by array_position(array['owner', 'admin', 'member'], m.role), m.created_at, m.user_id)
      from public.agency_members m where m.agency_id = p_agency_id), '[]'),
    'invitations', case when p_with_emails then coalesce((
      select jsonb_agg(jsonb_build_object('id', i.id, 'email', i.email, 'role', i.role, 'expires_at', i.expires_at) order by i.created_at, i.id)
      from public.invitations i where i.agency_id = p_agency_id and i.accepted_at is null and private.stands(i)), '[]') end)
$$;
comment on function private.list_people(uuid, boolean) is 'Members and open invitations of an agency; addresses and invitations only where asked for. Definer, to read auth.users.';
revoke all on function private.list_people(uuid, boolean) from public, anon, authenticated;
grant execute on function private.list_people(uuid, boolean) to service_role;

create or replace function private.members_as_member(p_agency_id uuid)
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select private.list_people(p_agency_id, private.require_role(p_agency_id, array['owner', 'admin', 'member']) <> 'member')
$$;
comment on function private.members_as_member(uuid) is 'What members_of does, with the right to read addresses.';
revoke all on function private.members_as_member(uuid) from public, anon;
grant execute on function private.members_as_member(uuid) to authenticated;

create or replace function public.members_of(p_agency_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select private.members_as_member(p_agency_id)
$$;
comment on function public.members_of(uuid) is
  'The members of one of your agencies {members, invitations}; addresses and open invitations are told to owners and admins. Errors: 404.';
revoke all on function public.members_of(uuid) from public, anon, authenticated;
grant execute on function public.members_of(uuid) to authenticated;

-- What the invited do ------------------------------------------------------------------------------

create or replace function private.invitations_as_invited()
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'agency', a.name, 'agency_id', i.agency_id, 'role', i.role, 'expires_at', i.expires_at)
                            order by i.created_at, i.id), '[]')
  from public.invitations i
  join public.agencies a on a.id = i.agency_id
  where i.email = private.confirmed_email((select auth.uid())) and i.accepted_at is null and private.stands(i)
$$;
comment on function private.invitations_as_invited() is 'What my_invitations does, with the right to read them.';
revoke all on function private.invitations_as_invited() from public, anon;
grant execute on function private.invitations_as_invited() to authenticated;

create or replace function public.my_invitations()
returns jsonb
language sql
stable
set search_path = ''
as $$
  select private.invitations_as_invited()
$$;
comment on function public.my_invitations() is 'The open invitations [{id, agency, agency_id, role, expires_at}] for the address that Auth confirmed for the caller.';
revoke all on function public.my_invitations() from public, anon, authenticated;
grant execute on function public.my_invitations() to authenticated;

create or replace function private.accept_as_invited(p_invitation_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_user_id uuid := (select auth.uid());
  v_invitation public.invitations;
begin
  -- the agency's row first, as everywhere: whoever invited is judged before or after they lose their right, not in between
  perform from public.agencies a
  where a.id = (select i.agency_id from public.invitations i where i.id = p_invitation_id and i.email = private.confirmed_email(v_user_id))
  for no key update;
  select i.* into v_invitation from public.invitations i
  where i.id = p_invitation_id and i.email = private.confirmed_email(v_user_id)
  for update;
  if not found or (v_invitation.accepted_at is not null and v_invitation.accepted_by is distinct from v_user_id) then
    raise sqlstate 'PT404' using message = 'no such invitation for your confirmed address';
  end if;
  if v_invitation.accepted_at is null then
    if not private.stands(v_invitation) then
      raise sqlstate 'PT410' using message = 'this invitation is over', hint = 'ask an owner or admin of the agency to invite you again';
    end if;
    update public.invitations i set accepted_at = v_now, accepted_by = v_user_id where i.id = v_invitation.id;
    insert into public.agency_members (agency_id, user_id, role)
    values (v_invitation.agency_id, v_user_id, v_invitation.role)
    -- who is more than invited for stays that
    on conflict (agency_id, user_id) do nothing;
  end if;
  return jsonb_build_object('agency_id', v_invitation.agency_id, 'role', (
    select m.role from public.agency_members m where m.agency_id = v_invitation.agency_id and m.user_id = v_user_id));
end
$$;
comment on function private.accept_as_invited(uuid) is 'What accept_invitation does, with the right to write the membership.';
revoke all on function private.accept_as_invited(uuid) from public, anon;
grant execute on function private.accept_as_invited(uuid) to authenticated;

create or replace function public.accept_invitation(p_invitation_id uuid)
returns jsonb
language sql
set search_path = ''
as $$
  select private.accept_as_invited(p_invitation_id)
$$;
comment on function public.accept_invitation(uuid) is
  'Joins the agency of an invitation for the caller''s confirmed address; repeated, it says the same. Errors: 404 none for that address, 410 over, or whoever invited may not any more.';
revoke all on function public.accept_invitation(uuid) from public, anon, authenticated;
grant execute on function public.accept_invitation(uuid) to authenticated;
