-- Rules that every object keeps, checked over the catalog: row security, pinned names, rights, words for operators.
begin;
select no_plan();

create temp table ours on commit drop as
select n.oid, n.nspname::text as name from pg_namespace n where n.nspname in ('public', 'private', 'ops');

create temp table functions on commit drop as
select p.*, o.name as schema, p.oid::regprocedure::text as signature
from pg_proc p join ours o on o.oid = p.pronamespace
where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e');

-- Row security -----------------------------------------------------------------------------------------
select ok(c.relrowsecurity, format('%s has row security', c.oid::regclass))
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p');

select isnt_empty(format('select from pg_policy where polrelid = %s and polcmd = ''r''', c.oid),
                  format('%s has a policy for reading', c.oid::regclass))
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p');

select is(p.roles, array['authenticated']::name[], format('policy "%s" of %s is for authenticated alone', p.policyname, p.tablename))
from pg_policies p where p.schemaname = 'public';

select ok(coalesce('security_invoker=true' = any (c.reloptions), false), format('%s reads with its caller''s rights', c.oid::regclass))
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'v';

-- Functions --------------------------------------------------------------------------------------------
select ok('search_path=""' = any (f.proconfig), format('%s has its search_path pinned', f.signature)) from functions f;

select isnt(obj_description(f.oid, 'pg_proc'), null, format('%s says what it is for', f.signature)) from functions f;

select ok(not has_function_privilege('anon', f.oid, 'execute'), format('anon cannot call %s', f.signature)) from functions f;

-- What a signed-in user may call: the dashboard's functions, and what they and the policies stand on.
create temp table for_members (schema text, name text) on commit drop;
insert into for_members values
  ('public', 'request_sync'), ('public', 'dashboard_stats'), ('public', 'stats_head'), ('public', 'begin_connection'),
  ('public', 'confirm_connection'), ('private', 'confirm_connection_as_member'),
  ('private', 'require_agency'), ('private', 'require_days'), ('private', 'stats_stamp'), ('private', 'stats_freshness'),
  ('private', 'begin_connection_as_member'), ('public', 'announcements'), ('private', 'announcements_as_member'),
  ('private', 'member_agency_ids'), ('private', 'administered_agency_ids'), ('private', 'engine_now'), ('private', 'usual_reason_code'), ('private', 'reason_words'), ('private', 'request_sync_as_member'),
  ('public', 'invite_member'), ('private', 'invite_as_member'), ('public', 'revoke_invitation'), ('private', 'revoke_invitation_as_member'),
  ('public', 'set_member_role'), ('public', 'remove_member'), ('private', 'change_member_as_member'),
  ('public', 'members_of'), ('private', 'members_as_member'), ('public', 'my_invitations'), ('private', 'invitations_as_invited'),
  ('public', 'accept_invitation'), ('private', 'accept_as_invited'),
  ('public', 'create_connect_link'), ('private', 'connect_link_as_member'), ('public', 'revoke_connect_link'), ('private', 'revoke_link_as_member'),
  ('public', 'disconnect_creator'), ('public', 'disconnect_account'), ('private', 'disconnect_as_member'), ('private', 'disconnect_account_as_member');

select is(has_function_privilege('authenticated', f.oid, 'execute'), m.name is not null,
          format('authenticated %s call %s', case when m.name is null then 'cannot' else 'may' end, f.signature))
from functions f left join for_members m on m.schema = f.schema and m.name = f.proname;

select ok(has_function_privilege('service_role', f.oid, 'execute'), format('service_role may call %s', f.signature))
from functions f
where f.schema in ('public', 'ops') and f.prorettype <> 'trigger'::regtype 
  -- these ask who is signed in
  and f.proname not in ('request_sync', 'begin_connection', 'confirm_connection', 'announcements', 'invite_member', 'revoke_invitation',
                        'set_member_role', 'remove_member', 'members_of', 'my_invitations', 'accept_invitation', 'create_connect_link',
                        'revoke_connect_link', 'disconnect_creator', 'disconnect_account');

select ok(not f.prosecdef or f.prorettype in ('trigger'::regtype, 'event_trigger'::regtype)
            or f.proname ~ '_as_(member|invited)$'
            or f.proname in ('member_agency_ids', 'administered_agency_ids', 'require_role', 'engine_now', 'schedule_facts', 'cron_runs', 'note_action', 'note_due', 'prune_part', 'overdue_rows',
                             'note_change', 'put_invitation', 'put_connect_link', 'list_people', 'confirmed_email', 'user_with_email', 'members_with_email',
                             'forget_user', 'forget_missing_users', 'stats_stamp', 'held_snapshots'),
          format('%s runs with its caller''s rights, or is known to need its owner''s', f.signature))
from functions f;

select is_empty(
  $$select p.proname from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')$$,
  'no function of the exposed schema runs with its owner''s rights');

-- The API cuts rows at a thousand without a word; one value is never cut.
select ok(not f.proretset, format('%s answers with one value', f.signature)) from functions f where f.schema = 'public';

-- Words for operators: Studio shows them ----------------------------------------------------------------
select isnt(obj_description(c.oid, 'pg_class'), null, format('%s says what it is for', c.oid::regclass))
from pg_class c where c.relnamespace in (select oid from ours) and c.relkind in ('r', 'p', 'v', 'm');

create temp table plain_words (name text primary key) on commit drop;
insert into plain_words values
  -- names that say all there is to say
  ('id'), ('agency_id'), ('model_id'), ('name'), ('handle'), ('display_name'), ('day'), ('role'), ('created_at'), ('updated_at'),
  ('started_at'), ('finished_at'), ('received_at'), ('found_at'), ('connected_at'), ('status_changed_at'), ('sync_type'),
  ('enabled'), ('pages'), ('rows_inserted'), ('rows_updated'), ('rows_unchanged'), ('attempt'), ('worker'), ('error'), ('payload'),
  ('fan_uuid'), ('fan_handle'), ('message_uuid'), ('post_uuid'), ('fanvue_token_expires_at');

select isnt(col_description(c.oid, a.attnum), null, format('%s.%s says what it means', c.oid::regclass, a.attname))
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  and not exists (select from plain_words w where w.name = a.attname);

-- The schedule -----------------------------------------------------------------------------------------
select case when to_regclass('cron.job') is null then pass('pg_cron is not here: the workers tick alone')
       else results_eq('select jobname::text collate "default" from cron.job where jobname like ''fanvue-%'' order by 1',
                       array['fanvue-enqueue-due', 'fanvue-prune', 'fanvue-reap', 'fanvue-reconcile-nightly', 'fanvue-retry-webhooks']::text[],
                       'the engine''s four schedules stand') end;

select * from finish();
rollback;
