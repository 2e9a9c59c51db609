-- Purpose: what always holds of members: an agency with owners keeps one, agencies.owner_id is one of them, a deleted user
-- belongs to nothing, and the trail knows of every change. Triggers, so that it holds for Studio and older applications, too.
-- Who may call: triggers; administered_agency_ids the policies; forget_missing_users the pruning, once a day.
-- Locks: a change of an owner takes the agency's row, so two owners who leave at once are judged one after the other. Whoever changes
-- members takes it before theirs, the lower id first.

create or replace function private.administered_agency_ids()
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
  select m.agency_id from public.agency_members m where m.user_id = (select auth.uid()) and m.role in ('owner', 'admin')
$$;
comment on function private.administered_agency_ids() is
  'The agencies of which the signed-in user is an owner or admin. Definer, so that it does not depend on the policies it serves.';
revoke all on function private.administered_agency_ids() from public, anon;
grant execute on function private.administered_agency_ids() to authenticated, service_role;

create or replace function private.require_role(p_agency_id uuid, p_roles text[])
returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_role text := (select m.role from public.agency_members m where m.agency_id = p_agency_id and m.user_id = (select auth.uid()));
begin
  if v_role is null then
    raise sqlstate 'PT404' using message = 'no such agency among yours';
  elsif not v_role = any (p_roles) then
    raise sqlstate 'PT403' using message = format('your role in this agency is %s', v_role),
      hint = format('this takes %s', array_to_string(p_roles, ' or '));
  end if;
  return v_role;
end
$$;
comment on function private.require_role(uuid, text[]) is
  'The signed-in user''s role in an agency. Errors: 404 no member of it, 403 none of the roles named.';
revoke all on function private.require_role(uuid, text[]) from public, anon, authenticated;
grant execute on function private.require_role(uuid, text[]) to service_role;

-- Owners -------------------------------------------------------------------------------------------

create or replace function private.keep_an_owner()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_owner_id uuid;
begin
  if tg_op = 'UPDATE' and new.role = 'owner' and new.agency_id = old.agency_id and new.user_id = old.user_id then
    return null;
  end if;
  perform from public.agencies a where a.id = old.agency_id for no key update;
  if not found then
    -- the members of an agency that is deleted
    return null;
  end if;
  -- a statement of its own: it sees what was committed while this one waited for the lock
  select m.user_id into v_owner_id
  from public.agency_members m
  join public.agencies a on a.id = m.agency_id
  where m.agency_id = old.agency_id and m.role = 'owner'
  order by m.user_id <> a.owner_id, m.created_at, m.user_id
  limit 1;
  if v_owner_id is null then
    raise sqlstate 'PT409' using message = 'the last owner of an agency stays',
      hint = 'make somebody else an owner first, or delete the agency';
  end if;
  -- written in any case: under stricter isolation the other transaction then notices
  update public.agencies a set owner_id = v_owner_id where a.id = old.agency_id;
  return null;
end
$$;
comment on function private.keep_an_owner() is
  'Refuses (409) to take the last owner from an agency, and hands agencies.owner_id to one who is left.';
revoke all on function private.keep_an_owner() from public, anon, authenticated;
create trigger agency_members_keep_an_owner
  after update or delete on public.agency_members
  for each row when (old.role = 'owner')
  execute function private.keep_an_owner();

create or replace function private.name_owner()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.agencies a set owner_id = new.user_id where a.id = new.agency_id and a.owner_id is null;
  return null;
end
$$;
comment on function private.name_owner() is 'The first owner of an agency stands in agencies.owner_id.';
revoke all on function private.name_owner() from public, anon, authenticated;
create trigger agency_members_name_owner
  after insert or update on public.agency_members
  for each row when (new.role = 'owner')
  execute function private.name_owner();

create or replace function private.follow_owner()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if new.owner_id is not null then
    insert into public.agency_members (agency_id, user_id, role)
    values (new.id, new.owner_id, 'owner')
    on conflict (agency_id, user_id) do update set role = 'owner' where agency_members.role <> 'owner';
  end if;
  if tg_op = 'UPDATE' and old.owner_id is not null then
    -- When another one was named, the former keeps what an admin may. A membership that went first names the next one itself.
    update public.agency_members m set role = 'admin'
    where m.agency_id = new.id and m.user_id = old.owner_id and m.role = 'owner';
  end if;
  return null;
end
$$;
comment on function private.follow_owner() is
  'agencies.owner_id, written as older applications do, is a membership with role owner; who stood there before becomes an admin. '
  'Emptying it hands the agency to another owner, and is refused (409) where there is none.';
revoke all on function private.follow_owner() from public, anon, authenticated;
create trigger agencies_owner_is_member
  after insert on public.agencies
  for each row when (new.owner_id is not null)
  execute function private.follow_owner();
create trigger agencies_owner_follows
  after update on public.agencies
  for each row when (new.owner_id is distinct from old.owner_id)
  execute function private.follow_owner();

-- The trail ----------------------------------------------------------------------------------------

create or replace function private.note_membership()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  case tg_op
    when 'INSERT' then
      perform private.note_change(new.agency_id, 'member_added', new.user_id, jsonb_build_object('role', new.role));
    when 'DELETE' then
      perform private.note_change(old.agency_id, 'member_removed', old.user_id, jsonb_build_object('role', old.role));
    when 'UPDATE' then
      if new.agency_id = old.agency_id and new.user_id = old.user_id then
        perform private.note_change(new.agency_id, 'role_changed', new.user_id, jsonb_build_object('from', old.role, 'to', new.role));
      else
        perform private.note_change(old.agency_id, 'member_removed', old.user_id, jsonb_build_object('role', old.role));
        perform private.note_change(new.agency_id, 'member_added', new.user_id, jsonb_build_object('role', new.role));
      end if;
  end case;
  return null;
end
$$;
comment on function private.note_membership() is 'Writes who joined, left or changed role into the agency''s trail.';
revoke all on function private.note_membership() from public, anon, authenticated;
create trigger agency_members_note
  after insert or delete on public.agency_members
  for each row execute function private.note_membership();
create trigger agency_members_note_change
  after update on public.agency_members
  for each row when (new.role <> old.role or new.user_id <> old.user_id or new.agency_id <> old.agency_id)
  execute function private.note_membership();

-- Users who are gone -------------------------------------------------------------------------------

create or replace function private.forget_user(p_user_id uuid, p_email text)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- the agencies' rows first, as everywhere
  perform from public.agencies a
  where a.id in (select m.agency_id from public.agency_members m where m.user_id = p_user_id
                 union select i.agency_id from public.invitations i where i.email = lower(p_email) or i.accepted_by = p_user_id)
  order by a.id
  for no key update;
  delete from public.agency_members m where m.user_id = p_user_id;
  delete from public.invitations i where i.email = lower(p_email) or i.accepted_by = p_user_id;
end
$$;
comment on function private.forget_user(uuid, text) is
  'Takes a user who is deleted out of every agency, and their address out of the invitations. Refuses (409) for the last owner of an agency. '
  'Definer: Auth calls it, which has no right on these tables.';
revoke all on function private.forget_user(uuid, text) from public, anon, authenticated;

create or replace function private.follow_user()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.forget_user(old.id, old.email);
  return case when tg_op = 'DELETE' then old else new end;
end
$$;
comment on function private.follow_user() is 'A user whom Auth deletes leaves no membership and no address behind.';
revoke all on function private.follow_user() from public, anon, authenticated;

do $$
begin
  -- Before the user goes, so that the refusal of a last owner keeps the user, too.
  create trigger fanvue_forget_user before delete on auth.users for each row execute function private.follow_user();
  if exists (select from pg_catalog.pg_attribute a where a.attrelid = 'auth.users'::regclass and a.attname = 'deleted_at' and not a.attisdropped) then
    create trigger fanvue_forget_deleted_user before update on auth.users
      for each row when (new.deleted_at is not null and old.deleted_at is null) execute function private.follow_user();
  end if;
exception when insufficient_privilege or undefined_table or invalid_schema_name then
  raise warning 'no trigger on auth.users: memberships of deleted users are swept once a day';
end
$$;

create or replace function private.forget_missing_users()
returns integer
language plpgsql
security definer
set search_path = ''
set lock_timeout = '500ms'
as $$
declare
  v_gone uuid[];
  v_emails text[];
  v_count integer := 0;
  r record;
begin
  if to_regclass('auth.users') is null
     or (select count(*) = 2 from pg_catalog.pg_trigger t where t.tgrelid = to_regclass('auth.users') and t.tgenabled <> 'D'
                                                            and t.tgname in ('fanvue_forget_user', 'fanvue_forget_deleted_user')) then
    return 0;
  end if;
  -- as JSON: not every Auth keeps the users whom it deleted
  v_gone := array(
    select p.user_id
    from (select m.user_id from public.agency_members m
          union select i.accepted_by from public.invitations i where i.accepted_by is not null) p
    where not exists (select from auth.users u where u.id = p.user_id and to_jsonb(u) ->> 'deleted_at' is null));
  v_emails := array(
    (select i.email from public.invitations i where i.accepted_by = any (v_gone)
     union select lower(u.email) from auth.users u where u.email is not null and to_jsonb(u) ->> 'deleted_at' is not null)
    except select lower(u.email) from auth.users u where to_jsonb(u) ->> 'deleted_at' is null);
  -- the agencies' rows first, as everywhere
  perform from public.agencies a
  where a.id in (select m.agency_id from public.agency_members m where m.user_id = any (v_gone)
                 union select i.agency_id from public.invitations i where i.accepted_by = any (v_gone) or i.email = any (v_emails))
  order by a.id
  for no key update;
  for r in
    select m.user_id, m.agency_id
    from public.agency_members m
    where m.user_id = any (v_gone)
      -- The last owner stays, gone or not: somebody has to be able to take over.
      and (m.role <> 'owner' or exists (select from public.agency_members o
                                        where o.agency_id = m.agency_id and o.role = 'owner' and not o.user_id = any (v_gone)))
    order by m.agency_id, m.user_id
  loop
    delete from public.agency_members m where m.agency_id = r.agency_id and m.user_id = r.user_id;
    v_count := v_count + 1;
  end loop;
  delete from public.invitations i where i.accepted_by = any (v_gone) or i.email = any (v_emails);
  return v_count;
end
$$;
comment on function private.forget_missing_users() is
  'Takes users whom Auth no longer knows, or keeps as deleted, out of their agencies, and their addresses out of the invitations, where the triggers on auth.users '
  'could not be made; does nothing elsewhere. The address of who never accepted stays until the invitation is pruned. Definer, to read auth.users.';
revoke all on function private.forget_missing_users() from public, anon, authenticated;
grant execute on function private.forget_missing_users() to service_role;
