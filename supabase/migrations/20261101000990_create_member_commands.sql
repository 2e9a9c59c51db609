-- Purpose: the command line's way to the members of an agency (fanvue-sync members), for operators: no role limits it, the last
-- owner stays all the same, and the trail says that it was the service.
-- Who may call: service_role only.
-- Locks: the agency's row, then the member's or the invitation's.

create or replace function private.require_named_agency(p_agency text)
returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid := private.find_agency(p_agency);
begin
  if v_agency_id is null then
    raise sqlstate 'PT404' using message = format('no agency %L', p_agency), hint = 'fanvue-sync creators lists the agencies';
  end if;
  return v_agency_id;
end
$$;
comment on function private.require_named_agency(text) is 'The id of the agency with this name or id. Errors: 404, 409 ambiguous, 422 no name.';
revoke all on function private.require_named_agency(text) from public, anon, authenticated;
grant execute on function private.require_named_agency(text) to service_role;

create or replace function private.user_with_email(p_email text)
returns uuid
language sql
stable
security definer
set search_path = ''
as $$
  select u.id from auth.users u where lower(u.email) = p_email and u.email_confirmed_at is not null order by u.created_at limit 1
$$;
comment on function private.user_with_email(text) is 'The user for whom Auth confirmed an address. Definer, to read auth.users.';
revoke all on function private.user_with_email(text) from public, anon, authenticated;
grant execute on function private.user_with_email(text) to service_role;

create or replace function public.add_member(p_agency text, p_email text, p_role text default 'member', p_create boolean default false)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid := private.find_agency(p_agency);
  v_email text := private.check_email(p_email);
  v_role text := private.check_role(p_role);
  v_user_id uuid;
  v_before text;
begin
  if v_agency_id is null and p_create then
    insert into public.agencies (name) values (private.agency_name(p_agency)) returning id into v_agency_id;
  end if;
  v_agency_id := coalesce(v_agency_id, private.require_named_agency(p_agency));
  -- a member is whoever is listed with the address; somebody new must have confirmed it
  v_user_id := coalesce((select e from private.members_with_email(v_agency_id, v_email) e limit 1), private.user_with_email(v_email));
  if v_user_id is null then
    return jsonb_build_object('agency_id', v_agency_id, 'email', v_email, 'role', v_role, 'outcome', 'invited',
                              'expires_at', (private.put_invitation(v_agency_id, v_email, v_role)).expires_at);
  end if;
  -- the agency's row first, as everywhere
  perform from public.agencies a where a.id = v_agency_id for no key update;
  v_before := (select m.role from public.agency_members m where m.agency_id = v_agency_id and m.user_id = v_user_id);
  insert into public.agency_members (agency_id, user_id, role)
  values (v_agency_id, v_user_id, v_role)
  on conflict (agency_id, user_id) do update set role = excluded.role where agency_members.role <> excluded.role;
  delete from public.invitations i where i.agency_id = v_agency_id and i.email = v_email and i.accepted_at is null;
  return jsonb_build_object('agency_id', v_agency_id, 'email', v_email, 'role', v_role, 'user_id', v_user_id,
                            'outcome', case when v_before is null then 'added' when v_before <> v_role then 'changed' else 'unchanged' end);
end
$$;
comment on function public.add_member(text, text, text, boolean) is
  'Makes whoever has this address a member of an agency, or changes their role: added, changed, unchanged; invited when Auth knows nobody whose address this is. p_create makes the agency where there is none of that name. '
  'Errors: 404 no agency, 409 ambiguous or the last owner, 422.';
revoke all on function public.add_member(text, text, text, boolean) from public, anon, authenticated;
grant execute on function public.add_member(text, text, text, boolean) to service_role;

create or replace function public.drop_member(p_agency text, p_member text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid := private.require_named_agency(p_agency);
  v_member text := lower(btrim(p_member));
  v_invited public.invitations;
begin
  -- the agency's row first, as everywhere
  perform from public.agencies a where a.id = v_agency_id for no key update;
  delete from public.agency_members m
  where m.agency_id = v_agency_id and (m.user_id::text = v_member or m.user_id in (select private.members_with_email(v_agency_id, v_member)));
  if found then
    return jsonb_build_object('agency_id', v_agency_id, 'member', v_member, 'outcome', 'removed');
  end if;
  delete from public.invitations i
  where i.agency_id = v_agency_id and i.email = v_member and i.accepted_at is null
  returning i.* into v_invited;
  if found then
    perform private.note_change(v_agency_id, 'invitation_revoked', v_invited.id, jsonb_build_object('role', v_invited.role));
    return jsonb_build_object('agency_id', v_agency_id, 'member', v_member, 'outcome', 'revoked');
  end if;
  return jsonb_build_object('agency_id', v_agency_id, 'member', v_member, 'outcome', 'unchanged');
end
$$;
comment on function public.drop_member(text, text) is
  'Removes a member (by address or user id) or takes an invitation back: removed, revoked, or unchanged when there is neither. Errors: 404 no agency, 409 ambiguous or the last owner.';
revoke all on function public.drop_member(text, text) from public, anon, authenticated;
grant execute on function public.drop_member(text, text) to service_role;

create or replace function public.list_members(p_agency text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid := private.require_named_agency(p_agency);
begin
  return jsonb_build_object('agency_id', v_agency_id, 'agency', (select a.name from public.agencies a where a.id = v_agency_id))
         || private.list_people(v_agency_id, true);
end
$$;
comment on function public.list_members(text) is 'The members and open invitations of an agency {agency, members, invitations}. Errors: 404, 409 ambiguous.';
revoke all on function public.list_members(text) from public, anon, authenticated;
grant execute on function public.list_members(text) to service_role;
