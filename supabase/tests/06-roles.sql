-- Who may do what: every role × every action. The actions come from the catalog: a function that signed-in users may execute, or a
-- table that they may write, fails here until somebody decides who may.
begin;
\ir as_role.psql
select no_plan();

create temp table people (role text primary key, user_id uuid) on commit drop;
grant select on people to public;
insert into people select x, gen_random_uuid() from unnest(array['owner', 'admin', 'member', 'stranger']) x;

create temp table scene on commit drop as
select gen_random_uuid() as agency_id, gen_random_uuid() as model_id, gen_random_uuid() as invitation_id, gen_random_uuid() as link_id,
       gen_random_uuid() as barred_id, gen_random_uuid() as other_id, gen_random_uuid() as account_id,
       repeat('a', 64) as state_hash, repeat('b', 64) as nonce_hash, repeat('d', 64) as barred_nonce_hash;
grant select on scene to public;
insert into public.agencies (id, name) select s.agency_id, 'agency of roles' from scene s;
insert into public.agency_members (agency_id, user_id, role) select s.agency_id, p.user_id, p.role from scene s, people p where p.role <> 'stranger';
insert into public.agency_members (agency_id, user_id, role) select s.agency_id, s.other_id, 'member' from scene s;
insert into public.models (id, agency_id, fanvue_user_uuid, handle, fanvue_refresh_token)
select s.model_id, s.agency_id, gen_random_uuid()::text, 'creator', 'sealed' from scene s;
insert into public.agency_connections (id, agency_id, fanvue_user_uuid, refresh_token)
select s.account_id, s.agency_id, gen_random_uuid()::text, 'sealed' from scene s;
-- The stranger is invited by an operator; the admin, who may not, invited themselves to be an owner.
insert into auth.users (id, email, email_confirmed_at)
select p.user_id, case p.role when 'stranger' then 'invited' else p.role end || '@example.test', case when p.role in ('stranger', 'admin') then now() end from people p;
insert into public.invitations (id, agency_id, email) select s.invitation_id, s.agency_id, 'invited@example.test' from scene s;
insert into public.invitations (id, agency_id, email, role, invited_by)
select s.barred_id, s.agency_id, 'admin@example.test', 'owner', p.user_id from scene s join people p on p.role = 'admin';
-- What Fanvue granted is held back for the admin, and for a member who was one when it began.
insert into private.connection_attempts (state_hash, agency_id, user_id, verifier, started_at, expires_at, used_at, nonce_hash, browser_hash, held)
select a.nonce_hash, s.agency_id, p.user_id, 'fse1.x', now(), private.engine_now() + interval '10 minutes', now(), a.nonce_hash, repeat('e', 64), '{"creators": []}'
from scene s join people p on p.role in ('admin', 'member')
cross join lateral (select case p.role when 'admin' then s.nonce_hash else s.barred_nonce_hash end as nonce_hash) a;
insert into public.connect_links (id, agency_id, link_hash) select s.link_id, s.agency_id, repeat('c', 64) from scene s;

-- Per action: what comes of it for owner, admin, member and stranger. ok: it is done; else the code of the refusal.
create temp table matrix (action text primary key, statement text, owner text, admin text, member text, stranger text) on commit drop;
insert into matrix
select m.name, format('select public.%s', replace(m.call, ':agency', quote_literal(s.agency_id::text))), m.owner, m.admin, m.member, m.stranger
from scene s join people o on o.role = 'owner' cross join lateral (values
  ('request_sync', format('request_sync(%L, ''earnings'')', s.model_id), 'ok', 'ok', 'ok', 'PT404'),
  ('begin_connection', format('begin_connection(:agency, null, %L, ''fse1.x'', ''/'')', s.state_hash), 'ok', 'ok', 'PT403', 'PT404'),
  -- only who began it, and only as long as they may
  ('confirm_connection', format('confirm_connection(%L, %L)', s.nonce_hash, repeat('e', 64)), 'PT404', 'ok', 'PT404', 'PT404'),
  ('confirm_connection: in another browser', format('confirm_connection(%L, %L)', s.nonce_hash, repeat('f', 64)), 'PT404', 'PT412', 'PT404', 'PT404'),
  ('confirm_connection: of a member', format('confirm_connection(%L, %L)', s.barred_nonce_hash, repeat('e', 64)), 'PT404', 'PT404', 'PT403', 'PT404'),
  ('disconnect_creator', format('disconnect_creator(%L)', s.model_id), 'ok', 'ok', 'PT403', 'PT404'),
  ('disconnect_account', format('disconnect_account(%L)', s.account_id), 'ok', 'ok', 'PT403', 'unchanged'),
  ('create_connect_link', 'create_connect_link(:agency)', 'ok', 'ok', 'PT403', 'PT404'),
  ('revoke_connect_link', format('revoke_connect_link(%L)', s.link_id), 'ok', 'ok', 'unchanged', 'unchanged'),
  ('invite_member', 'invite_member(:agency, ''new@example.test'')', 'ok', 'ok', 'PT403', 'PT404'),
  ('invite_member: an owner', 'invite_member(:agency, ''new@example.test'', ''owner'')', 'ok', 'PT403', 'PT403', 'PT404'),
  ('revoke_invitation', format('revoke_invitation(%L)', s.invitation_id), 'ok', 'ok', 'unchanged', 'unchanged'),
  ('set_member_role', format('set_member_role(:agency, %L, ''admin'')', s.other_id), 'ok', 'ok', 'PT403', 'PT404'),
  ('set_member_role: to owner', format('set_member_role(:agency, %L, ''owner'')', s.other_id), 'ok', 'PT403', 'PT403', 'PT404'),
  ('set_member_role: of an owner', format('set_member_role(:agency, %L, ''member'')', o.user_id), 'PT409', 'PT403', 'PT403', 'PT404'),
  ('remove_member', format('remove_member(:agency, %L)', s.other_id), 'ok', 'ok', 'PT403', 'PT404'),
  ('remove_member: an owner', format('remove_member(:agency, %L)', o.user_id), 'PT409', 'PT403', 'PT403', 'PT404'),
  ('members_of', 'members_of(:agency)', 'ok', 'ok', 'ok', 'PT404'),
  ('my_invitations', 'my_invitations()', 'ok', 'ok', 'ok', 'ok'),
  -- for an address that Auth confirmed, whoever it is
  ('accept_invitation', format('accept_invitation(%L)', s.invitation_id), 'PT404', 'PT404', 'PT404', 'ok'),
  ('accept_invitation: of who may not invite so', format('accept_invitation(%L)', s.barred_id), 'PT404', 'PT410', 'PT404', 'PT404'),
  ('dashboard_stats', 'dashboard_stats(:agency, ''2026-01-01'', ''2026-01-02'')', 'ok', 'ok', 'ok', 'denied'),
  ('stats_head', 'stats_head(:agency)', 'ok', 'ok', 'ok', 'denied'),
  ('announcements', 'announcements(:agency)', 'ok', 'ok', 'ok', 'denied')
) m(name, call, owner, admin, member, stranger);

select is(f.name, m.name, format('the matrix knows what signed-in users may call: %s', coalesce(f.name, m.name)))
from (select distinct p.proname::text as name from pg_proc p
      where p.pronamespace = 'public'::regnamespace and has_function_privilege('authenticated', p.oid, 'execute')
        and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')) f
full join (select distinct split_part(x.action, ':', 1) as name from matrix x) m on m.name = f.name;

select is_empty(
  $$select c.oid::regclass from pg_class c
    where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and (has_table_privilege('authenticated', c.oid, 'insert, update, delete, truncate')
           or has_any_column_privilege('authenticated', c.oid, 'insert, update'))$$,
  'signed-in users write no table: every action is a function, and stands in the matrix');

create function pg_temp.outcome(p_user uuid, p_statement text)
returns text
language sql
as $$
  select case when a.answer like '%"changed": false%' then 'unchanged' when a.answer = 'denied' then 'denied'
              when a.answer ~ '^(PT\d{3}|[0-9A-Z]{5}) ' then split_part(a.answer, ' ', 1) else 'ok' end
  from (select coalesce(pg_temp.read_as('authenticated', p_user, p_statement), '') as answer) a
$$;

select is(pg_temp.outcome(p.user_id, m.statement),
          case p.role when 'owner' then m.owner when 'admin' then m.admin when 'member' then m.member else m.stranger end,
          format('%s: %s', p.role, m.action))
from matrix m cross join people p;

-- Everybody may leave, but for the last owner.
select is(pg_temp.outcome(p.user_id, format('select public.remove_member(%L, %L)', s.agency_id, p.user_id)),
          case p.role when 'owner' then 'PT409' when 'stranger' then 'PT404' else 'ok' end, format('%s: leaving', p.role))
from people p cross join scene s;

-- Reading: members read everything but what only owners and admins act on.
select is(pg_temp.read_as('authenticated', p.user_id, format('select count(*) > 0 from public.%s where agency_id = %L', t.name, s.agency_id)),
          (case when p.role = 'stranger' then false when t.name in ('invitations', 'connect_links') then p.role <> 'member' else true end)::text,
          format('%s: reading %s', p.role, t.name))
from scene s cross join people p
cross join (values ('agency_members'), ('models'), ('agency_trail'), ('invitations'), ('connect_links')) t(name);

select * from finish();
rollback;
