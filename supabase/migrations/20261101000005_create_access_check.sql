-- Purpose: what opens the engine's tables to the API besides the engine: policies, rights, functions, views, triggers, publications and
-- memberships that an older application left behind, or that somebody makes in Studio. Found before any of its tables is changed, and ever after.
-- Who may call: service_role reads; the owner in Studio reads and decides. begin_adoption is called by create_tenancy.
-- Locks: none. Only the engine's own schema is changed here: docs/adopt.md runs this file and rolls it back, to look first.

create table private.adoption_findings (
  id bigint generated always as identity primary key,
  table_name text not null,
  row_id uuid,
  finding text not null,
  decision text not null default 'changed',
  before jsonb not null default '{}',
  found_at timestamptz not null default now(),
  constraint adoption_findings_decision_check check (decision in ('changed', 'closed', 'kept', 'told'))
);
comment on table private.adoption_findings is
  'What the adoption of an older application had to change, with what stood there: rows, and whatever opened its tables. Nothing is changed silently.';
comment on column private.adoption_findings.decision is
  'changed: the row was. closed: the access was taken away; before holds its definition. kept: private.kept_access says why. told: left to the operator.';
revoke all on private.adoption_findings from public, anon, authenticated;
grant select, update (before), delete on private.adoption_findings to service_role;

-- An operator may write decisions down before the first migration (docs/adopt.md).
create table if not exists private.kept_access (
  object text primary key,
  why text not null,
  decided_at timestamptz not null default now()
);
comment on table private.kept_access is 'Access that the engine did not give and that stays by decision: the object as ops.foreign_access calls it, and why.';
revoke all on private.kept_access from public, anon, authenticated;
grant select, insert, update, delete on private.kept_access to service_role;

create table private.access_inventory (
  kind text not null,
  object text not null,
  definition text not null,
  primary key (kind, object),
  constraint access_inventory_kind_check check (kind in ('policy', 'right', 'trigger', 'function'))
);
comment on table private.access_inventory is
  'What the migrations made of policies, rights and triggers on the tables of schema public, and of functions that read them for their callers. Written by the last one; what differs from it is foreign.';
comment on column private.access_inventory.definition is 'The statement that makes it; of a function the MD5 of its body.';
revoke all on private.access_inventory from public, anon, authenticated;
grant select on private.access_inventory to service_role;

create or replace function private.engine_relations()
returns text[]
language sql
immutable
set search_path = ''
as $$
  select array['agencies', 'models', 'fanvue_transactions', 'agency_members', 'agency_connections', 'earnings_daily', 'fanvue_fans', 'fanvue_chats',
               'fanvue_messages', 'fanvue_posts', 'fanvue_top_fans', 'fanvue_accounts', 'reconciliation_findings', 'sync_state', 'sync_jobs', 'sync_runs',
               'webhook_events', 'agency_trail', 'invitations', 'connect_links', 'model_overview', 'sync_health']
$$;
comment on function private.engine_relations() is
  'The names that the engine takes in schema public, for tables and views. The first three may be an older application''s: they are adopted.';
revoke all on function private.engine_relations() from public, anon, authenticated;
grant execute on function private.engine_relations() to service_role;

create or replace function private.adopted_tables()
returns text[]
language sql
immutable
set search_path = ''
as $$
  select (private.engine_relations())[1:3]
$$;
comment on function private.adopted_tables() is 'The tables that the migrations take over where an older application has them.';
revoke all on function private.adopted_tables() from public, anon, authenticated;
grant execute on function private.adopted_tables() to service_role;

create or replace function private.engine_functions()
returns text[]
language sql
immutable
set search_path = ''
as $$
  select array['accept_invitation', 'add_member', 'announcements', 'attach_creators', 'begin_connection', 'begin_linked_connection', 'begin_reconcile',
               'begin_sync_walk', 'begin_token_refresh', 'begin_webhook_registration', 'block_bucket', 'cancel_sync_job', 'claim_alerts', 'claim_model_job',
               'claim_sync_jobs', 'commit_reconcile_page', 'commit_sync_page', 'confirm_connection', 'confirm_linked_connection', 'confirmed_connection',
               'connect_agency', 'connect_model', 'create_connect_link', 'dashboard_stats', 'decline_connection', 'disconnect_account', 'disconnect_creator', 'drop_member', 'engine_attention',
               'engine_doctor', 'engine_gauges', 'engine_status', 'enqueue_due', 'enqueue_reconcile', 'enqueue_sync', 'fail_token_refresh', 'find_model',
               'finish_reconcile', 'finish_token_refresh', 'finish_webhook_registration', 'heartbeat_sync_jobs', 'hold_connection', 'invite_member',
               'list_creators', 'list_grants', 'list_jobs', 'list_members', 'list_streams', 'list_troubles', 'list_webhook_subscriptions', 'make_connect_link',
               'members_of', 'my_invitations', 'prune_history', 'reap_expired_leases', 'receive_webhook_event', 'reconcile_report', 'reconcile_sums',
               'remove_member', 'request_sync', 'reseal_webhook_secret', 'retire_webhook_subscription', 'retry_sync_job', 'retry_webhook_events',
               'revoke_connect_link', 'revoke_invitation', 'sale_totals', 'seal_tokens', 'set_member_role', 'settle_alerts', 'settle_sync_jobs', 'stats_head',
               'store_connection', 'store_grant', 'take_calls', 'take_connection', 'take_webhook_test', 'try_connecting', 'webhook_gate']
$$;
comment on function private.engine_functions() is
  'The names that the engine takes in schema public for functions. One of another shape stops a migration, one of the same shape would be replaced, and with any other the API may not know which is called.';
revoke all on function private.engine_functions() from public, anon, authenticated;
grant execute on function private.engine_functions() to service_role;

create or replace function private.engine_rules()
returns text[]
language sql
immutable
set search_path = ''
as $$
  select array['policy "members see their agency" on public.agencies', 'policy "members see their agency''s transactions" on public.fanvue_transactions',
               'policy "members see their models" on public.models', 'trigger agencies_open_queue_lane on public.agencies',
               'trigger agencies_owner_follows on public.agencies', 'trigger agencies_owner_is_member on public.agencies',
               'trigger fanvue_transactions_mark_purchased on public.fanvue_transactions',
               'trigger fanvue_transactions_push_delete on public.fanvue_transactions', 'trigger fanvue_transactions_push_insert on public.fanvue_transactions',
               'trigger fanvue_transactions_push_truncate on public.fanvue_transactions', 'trigger fanvue_transactions_push_update on public.fanvue_transactions',
               'trigger fanvue_transactions_roll_up_delete on public.fanvue_transactions',
               'trigger fanvue_transactions_roll_up_insert on public.fanvue_transactions',
               'trigger fanvue_transactions_roll_up_truncate on public.fanvue_transactions',
               'trigger fanvue_transactions_roll_up_update on public.fanvue_transactions',
               'trigger fanvue_transactions_stamp_delete on public.fanvue_transactions', 'trigger fanvue_transactions_stamp_insert on public.fanvue_transactions',
               'trigger fanvue_transactions_stamp_truncate on public.fanvue_transactions',
               'trigger fanvue_transactions_stamp_update on public.fanvue_transactions', 'trigger models_follow_agency on public.models',
               'trigger models_follow_connection on public.models', 'trigger models_follow_status on public.models',
               'trigger models_forget_creator on public.models', 'trigger models_hold_erasures on public.models',
               'trigger models_leave_connection on public.models', 'trigger models_move_erasures on public.models', 'trigger models_note on public.models',
               'trigger models_note_change on public.models', 'trigger models_push_delete on public.models', 'trigger models_push_insert on public.models',
               'trigger models_push_update on public.models', 'trigger models_stamp on public.models']
$$;
comment on function private.engine_rules() is 'What the engine calls its policies and triggers on the adopted tables: an older application''s of the same name stops a migration.';
revoke all on function private.engine_rules() from public, anon, authenticated;
grant execute on function private.engine_rules() to service_role;

create or replace function private.followed_tables()
returns text[]
language sql
immutable
set search_path = ''
as $$
  select array['fanvue_transactions', 'sync_jobs', 'sync_state']
$$;
comment on function private.followed_tables() is 'The tables that clients of postgres_changes may follow.';
revoke all on function private.followed_tables() from public, anon, authenticated;
grant execute on function private.followed_tables() to service_role;

create or replace function private.member_columns(p_table text)
returns text[]
language sql
immutable
set search_path = ''
as $$
  select case p_table
    when 'agencies' then array['id', 'name', 'owner_id', 'created_at']
    when 'models' then array['id', 'agency_id', 'created_at', 'fanvue_user_uuid', 'handle', 'display_name', 'status', 'reason_code', 'status_changed_at',
                             'revenue_total', 'fanvue_token_expires_at', 'connected_at', 'updated_at', 'connection_id',
                             'subscribers_count', 'followers_count', 'name']
    when 'fanvue_transactions' then array['id', 'agency_id', 'model_id', 'fanvue_id', 'amount', 'net_amount', 'currency', 'category', 'source', 'status',
                                          'fan_uuid', 'fan_handle', 'message_uuid', 'post_uuid', 'reverses_fanvue_id', 'origin', 'sent_minor_units',
                                          'sent_currency', 'fanvue_created_at', 'synced_at', 'created_at']
    end
$$;
comment on function private.member_columns(text) is
  'The columns of an adopted table that members read: a list of what is allowed, as an older application''s columns may hold anything.';
revoke all on function private.member_columns(text) from public, anon, authenticated;
grant execute on function private.member_columns(text) to service_role;

create or replace function private.table_rights()
returns table (relation text, grantee text, privilege text, column_name text)
language sql
stable
set search_path = ''
as $$
  select r.relation, case r.grantee when 0 then 'public' else r.grantee::regrole::text end, lower(r.privilege_type), r.column_name
  from (select c.relname::text as relation, x.grantee, x.privilege_type, null::text as column_name
        from pg_catalog.pg_class c
        cross join lateral aclexplode(c.relacl) x
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
        union all
        select c.relname::text, x.grantee, x.privilege_type, a.attname::text
        from pg_catalog.pg_class c
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        cross join lateral aclexplode(a.attacl) x
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')) r
  where r.grantee in (0, 'anon'::regrole::oid, 'authenticated'::regrole::oid)
$$;
comment on function private.table_rights() is 'The rights of the API''s roles, and of everybody, on the relations of schema public and their columns, one a row.';
revoke all on function private.table_rights() from public, anon, authenticated;
grant execute on function private.table_rights() to service_role;

create or replace function private.table_policies()
returns table (relation text, object text, definition text, remedy text)
language sql
stable
set search_path = ''
as $$
  select case n.nspname when 'realtime' then 'realtime.' else '' end || c.relname,
         format('policy %I on %I.%I', p.polname, n.nspname, c.relname),
         format('create policy %I on %I.%I as %s for %s to %s%s%s', p.polname, n.nspname, c.relname,
                case when p.polpermissive then 'permissive' else 'restrictive' end,
                case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' when '*' then 'all' end,
                (select string_agg(case r.oid when 0 then 'public' else r.oid::regrole::text end, ', ' order by r.oid) from unnest(p.polroles) r(oid)),
                ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
         format('drop policy %I on %I.%I', p.polname, n.nspname, c.relname)
  from pg_catalog.pg_policy p
  join pg_catalog.pg_class c on c.oid = p.polrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  -- whoever reads realtime.messages hears every agency's topic
  where n.nspname = 'public' or (n.nspname = 'realtime' and c.relname = 'messages')
$$;
comment on function private.table_policies() is 'The row policies of schema public and of Realtime''s messages, each with the statement that makes it and the one that drops it.';
revoke all on function private.table_policies() from public, anon, authenticated;
grant execute on function private.table_policies() to service_role;

create or replace function private.table_triggers()
returns table (relation text, object text, definition text, remedy text, name text, fires boolean)
language sql
stable
set search_path = ''
as $$
  select c.relname::text, format('trigger %I on public.%I', t.tgname, c.relname), pg_get_triggerdef(t.oid),
         format('drop trigger %I on public.%I', t.tgname, c.relname), t.tgname::text, t.tgenabled in ('O', 'A')
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  where c.relnamespace = 'public'::regnamespace and not t.tgisinternal
$$;
comment on function private.table_triggers() is 'The triggers of schema public, each with the statement that makes it, the one that drops it, and whether it fires.';
revoke all on function private.table_triggers() from public, anon, authenticated;
grant execute on function private.table_triggers() to service_role;

create or replace function private.foreign_access()
returns table (kind text, relation text, object text, definition text, remedy text, closes boolean, kept text)
language sql
stable
set search_path = ''
as $$
  with recursive watched as materialized (
    select c.oid, c.relname::text as name, c.relkind, c.relrowsecurity
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and c.relname = any (private.engine_relations())
  ), policies as (
    select p.* from private.table_policies() p where p.relation = 'realtime.messages' or p.relation in (select w.name from watched w)
  ), kept_rights as (
    -- the decisions that keep rights, one right a row
    select k.object, m.parts[2] as relation, m.parts[3] as grantee, w.parts[1] as privilege, c.name as column_name
    from private.kept_access k
    cross join lateral regexp_match(k.object, '^right to (.+) on public\.(.+) of (\S+)$') m(parts)
    cross join lateral regexp_matches(m.parts[1], '(\w+)(?: \(([^)]*)\))?', 'g') w(parts)
    left join lateral unnest(string_to_array(w.parts[2], ', ')) c(name) on true
    union all
    select k.object, m.parts[1], 'authenticated', 'select', m.parts[2]
    from private.kept_access k
    cross join lateral regexp_match(k.object, '^column public\.(.+)\.(.+)$') m(parts)
  ), rights as (
    -- the rights on one table in one statement, those on columns as "select (a, b)"; what is kept stands alone
    select g.relation, g.grantee, g.kept, string_agg(g.words, ', ' order by g.words) as words, bool_or(g.whole) as whole
    from (select r.relation, r.grantee, k.object as kept, r.column_name is null and r.privilege = 'select' as whole,
                 r.privilege || coalesce(' (' || string_agg(quote_ident(r.column_name), ', ' order by r.column_name) || ')', '') as words
          from private.table_rights() r
          join watched w on w.name = r.relation
          left join lateral (select min(k.object) as object
                             from kept_rights k
                             where k.relation = quote_ident(r.relation) and k.grantee = r.grantee and k.privilege = r.privilege
                               and k.column_name is not distinct from quote_ident(r.column_name)) k on true
          where not exists (select from private.access_inventory i
                            where i.kind = 'right' and i.object = concat_ws(' ', r.privilege, r.relation, r.column_name, 'to', r.grantee))
          group by r.relation, r.grantee, r.privilege, k.object, r.column_name is null) g
    group by g.relation, g.grantee, g.kept
  ), dependents as (
    select w.oid from watched w
    union
    select r.ev_class
    from dependents d
    join pg_catalog.pg_depend p on p.refclassid = 'pg_catalog.pg_class'::regclass and p.refobjid = d.oid and p.classid = 'pg_catalog.pg_rewrite'::regclass
    join pg_catalog.pg_rewrite r on r.oid = p.objid
  ), api as (
    select r.oid, r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated')
  ), views as materialized (
    select c.oid, c.relkind, n.nspname, c.relname
    from dependents d
    join pg_catalog.pg_class c on c.oid = d.oid and c.relkind in ('v', 'm')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where exists (select from api a where has_schema_privilege(a.oid, n.oid, 'usage') and has_any_column_privilege(a.oid, c.oid, 'select'))
      -- a view that reads with its caller's rights shows what policies show
      and not (c.relkind = 'v' and exists (select from pg_options_to_table(c.reloptions) o
                                           where o.option_name = 'security_invoker' and o.option_value::boolean))
  ), sign_ups as materialized (
    select t.tgfoid, t.tgname, pg_get_triggerdef(t.oid) as definition
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid and c.relname = 'users'
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'auth'
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where not t.tgisinternal and exists (select from watched)
      and not (p.proname = 'follow_user' and p.pronamespace = 'private'::regnamespace)
  ), functions as materialized (
    select p.oid, lower(p.proname) as name, p.prosecdef and p.prorettype <> 'trigger'::regtype as prosecdef, lower(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)) as body, p.pronamespace
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where p.prokind in ('f', 'p')
      and (p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype) or p.oid in (select u.tgfoid from sign_ups u))
      and n.nspname !~ '^(pg_.*|information_schema|extensions|auth|storage|realtime|vault|cron|net|graphql.*|pgsodium.*|pgbouncer|supabase_.*|pgmq.*)$'
      and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
  ), definers as materialized (
    select f.oid, i.definition as ours
    from functions f
    left join private.access_inventory i on i.kind = 'function' and i.object = format('function %s', f.oid::regprocedure)
    where i.definition is distinct from md5(f.body) and f.prosecdef
      and exists (select from api a where has_schema_privilege(a.oid, f.pronamespace, 'usage') and has_function_privilege(a.oid, f.oid, 'execute'))
      and exists (select from watched)
  ), named as (
    -- tables and whatever view reads them; of the engine's own schemas, whose views have everyday names, the schema
    select lower(c.relname) as name
    from dependents d
    join pg_catalog.pg_class c on c.oid = d.oid and c.relnamespace <> all (array['private', 'ops']::regnamespace[])
    union
    select s.name from (values ('private'), ('ops')) s(name) where exists (select from private.access_inventory)
    union
    -- whoever runs what it is given reads any table
    select 'execute'
  ), words as materialized (
    select f.oid, w.word
    from functions f
    cross join lateral regexp_split_to_table(f.body, '\W+') w(word)
    where w.word in (select n.name from named n union all select o.name from functions o)
      and (exists (select from definers) or exists (select from sign_ups))
    union
    select f.oid, n.name
    from functions f
    join (select n.name from named n union select o.name from functions o) n on n.name ~ '\W' and strpos(f.body, n.name) > 0
  ), readers as (
    -- a function that calls such a function reads the table as well, however many stand between
    select w.oid from words w join named n on n.name = w.word
    union
    select w.oid
    from readers r
    join functions f on f.oid = r.oid
    join words w on w.word = f.name
  ), publications as materialized (
    select p.pubname, p.pubdelete, p.pubname = 'supabase_realtime' as realtime, p.puballtables,
           p.puballtables or exists (select from pg_catalog.pg_publication_namespace n where n.pnpubid = p.oid and n.pnnspid = 'public'::regnamespace) as whole,
           array(select t.schemaname || '.' || t.tablename from pg_catalog.pg_publication_tables t where t.pubname = p.pubname) as tables,
           array(select w.name from pg_catalog.pg_publication_tables t join watched w on w.name = t.tablename
                 where t.pubname = p.pubname and t.schemaname = 'public' order by w.name) as ours
    from pg_catalog.pg_publication p
  ), found as (
    select 1 as place, 'policy' as kind, p.relation, p.object, p.definition,
           p.remedy || coalesce('; ' || (select i.definition from private.access_inventory i where i.kind = 'policy' and i.object = p.object), '') as remedy,
           p.relation <> 'realtime.messages' as closes
    from policies p
    where not exists (select from private.access_inventory i where i.kind = 'policy' and i.object = p.object and i.definition = p.definition)
    union all
    select 2, 'right', r.relation, coalesce(r.kept, format('right to %s on public.%I of %s', r.words, r.relation, r.grantee)),
           format('grant %s on public.%I to %s', r.words, r.relation, r.grantee),
           format('revoke %s on public.%I from %s', r.words, r.relation, r.grantee)
             -- what is revoked of a table goes for its columns as well
             || coalesce((select format('; grant select (%s) on public.%I to %s', string_agg(x.name, ', ' order by x.name), r.relation, r.grantee)
                          from (select substring(i.definition from '\((.+)\)') as name
                                from private.access_inventory i
                                where i.kind = 'right' and i.definition like format('grant select (%%) on public.%I to %s', r.relation, r.grantee)
                                union
                                select k.column_name
                                from kept_rights k
                                join private.table_rights() g on k.column_name = quote_ident(g.column_name)
                                where k.relation = quote_ident(r.relation) and k.grantee = r.grantee and k.privilege = 'select'
                                  and g.relation = r.relation and g.grantee = r.grantee and g.privilege = 'select') x
                          where r.whole
                          having count(*) > 0), ''),
           true
    from rights r
    union all
    select 3, 'row security', w.name, format('row security of public.%I', w.name), 'off', format('alter table public.%I enable row level security', w.name), true
    from watched w
    where w.relkind in ('r', 'p') and not w.relrowsecurity
    union all
    select 4, 'view', v.relname, format('view %I.%I', v.nspname, v.relname),
           format('create %s %I.%I as %s', case v.relkind when 'm' then 'materialized view' else 'view' end, v.nspname, v.relname, pg_get_viewdef(v.oid)),
           case v.relkind when 'm' then format('revoke all on %I.%I from public, anon, authenticated', v.nspname, v.relname)
                          else format('alter view %I.%I set (security_invoker = true)', v.nspname, v.relname) end,
           true
    from views v
    union all
    -- the members' way through one of the engine's own is not closed: its text is in the migrations
    select 5, 'function', f.oid::regproc::text, format('function %s', f.oid::regprocedure), pg_get_functiondef(f.oid),
           case when f.ours is null then format('revoke execute on routine %s from public, anon, authenticated; grant execute on routine %1$s to service_role', f.oid::regprocedure) end,
           f.ours is null
    from definers f
    join readers r on r.oid = f.oid
    union all
    -- Studio's database webhooks are triggers that send whole rows; an older application's may count money a second time
    select 6, 'trigger', t.relation, t.object, t.definition, t.remedy || coalesce('; ' || i.definition, ''), false
    from private.table_triggers() t
    left join private.access_inventory i on i.kind = 'trigger' and i.object = t.object
    where t.relation in (select w.name from watched w) and i.definition is distinct from t.definition
    union all
    -- whoever signs up may become somebody's member by one; the table is Auth's, the function its maker's
    select 6, 'trigger', 'auth.users', format('trigger %I on auth.users', u.tgname), u.definition, format('drop function %s cascade', u.tgfoid::regprocedure), false
    from sign_ups u
    join readers r on r.oid = u.tgfoid
    union all
    select 7, 'missing', split_part(i.object, ' on public.', 2), format('no %s', i.object), i.definition, i.definition, false
    from private.access_inventory i
    where (i.kind = 'policy' and not exists (select from private.table_policies() p where p.object = i.object))
       or (i.kind = 'trigger' and not exists (select from private.table_triggers() t where t.object = i.object))
    union all
    -- nothing is summed up, told or noted while they are
    select 7, 'missing', t.relation, 'disabled ' || t.object, format('alter table public.%I disable trigger %I', t.relation, t.name),
           format('alter table public.%I enable trigger %I', t.relation, t.name), false
    from private.table_triggers() t
    join private.access_inventory i on i.kind = 'trigger' and i.object = t.object
    where not t.fires
    union all
    -- Realtime tells everybody of a deletion, and of each change of a table whose key they may not read
    select 8, 'publication', array_to_string(x.ours, ', '), format('deletions in publication %I', p.pubname),
           format('alter publication %I set (publish = ''insert, update, delete'')', p.pubname),
           case when cardinality(x.ours) = cardinality(p.tables) then format('alter publication %I set (publish = ''insert, update'')', p.pubname)
                else format('alter publication %I drop table %s', p.pubname, (select string_agg('public.' || o.name, ', ' order by o.name) from unnest(x.ours) o(name))) end,
           true
    from publications p
    cross join lateral (select array(select o.name from unnest(p.ours) o(name) where o.name = any (private.followed_tables()) order by 1) as ours) x
    where p.realtime and p.pubdelete and not p.whole and x.ours <> '{}'
    union all
    select 8, 'publication', o.name, format('publication %I of public.%I', p.pubname, o.name), format('alter publication %I add table public.%I', p.pubname, o.name),
           format('alter publication %I drop table public.%I', p.pubname, o.name), p.realtime
    from publications p
    cross join lateral unnest(p.ours) o(name)
    where not p.whole and not (p.realtime and o.name = any (private.followed_tables()))
    union all
    select 8, 'publication', 'all tables', format('publication %I of all tables', p.pubname),
           case when p.puballtables then format('create publication %I for all tables', p.pubname) else format('alter publication %I add tables in schema public', p.pubname) end,
           case when p.puballtables then format('drop publication %I', p.pubname) || case when p.realtime then format('; create publication %I with (publish = ''insert, update'')', p.pubname) else '' end
                else format('alter publication %I drop tables in schema public', p.pubname) end,
           case when not p.realtime then false end
    from publications p
    where p.whole and (p.realtime or p.ours <> '{}')
    union all
    select 9, 'role', 'all tables', format('role %I given to %I', g.rolname, a.rolname), format('grant %I to %I', g.rolname, a.rolname),
           format('revoke %I from %I', g.rolname, a.rolname), pg_has_role(g.oid, 'member with admin option')
    from api a
    join pg_catalog.pg_auth_members m on m.member = a.oid
    join pg_catalog.pg_roles g on g.oid = m.roleid
    where exists (select from watched)
    group by g.oid, g.rolname, a.rolname
    union all
    select 9, 'role', 'all tables', format('%I passes by row security', a.rolname), format('alter role %I bypassrls', a.rolname),
           format('alter role %I nosuperuser nobypassrls', a.rolname), false
    from api a
    join pg_catalog.pg_roles r on r.oid = a.oid and (r.rolsuper or r.rolbypassrls)
    where exists (select from watched)
  )
  select f.kind, f.relation, f.object, f.definition, f.remedy, f.closes, k.why
  from found f
  left join private.kept_access k on k.object = f.object
  order by k.why is not null, f.place, f.object
$$;
comment on function private.foreign_access() is
  'Whatever opens the engine''s tables to the API or hands their rows on and was not made by the engine, and which of its policies and triggers are missing or disabled: what it is, the statement that makes it, and the one that puts it right. '
  'closes: an adoption takes it away, unless private.kept_access says why it stays (kept); null: only its owner can. Functions count that run with their owner''s rights and name a table, run what they are given, or call what does, through any number of others; so do triggers on auth.users.';
revoke all on function private.foreign_access() from public, anon, authenticated;
grant execute on function private.foreign_access() to service_role;
