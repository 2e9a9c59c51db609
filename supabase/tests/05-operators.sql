-- The operators' console: readable in Studio and by service_role, by nobody else; every column says what it means;
-- what operators did can be read and not rewritten.
begin;
\ir as_role.psql
select no_plan();

create temp table console on commit drop as
select c.oid, c.relname::text as name, c.relkind, c.reloptions from pg_class c
where c.relnamespace = 'ops'::regnamespace and c.relkind in ('r', 'p', 'v', 'm');

select ok(exists (select from console c where c.name = w.name), format('ops.%s is there', w.name))
from (values ('late'), ('running'), ('dead_jobs'), ('webhooks_waiting'), ('reconnect'), ('drift'), ('budgets'), ('schedule_health'),
             ('queue_health'), ('queue_table'), ('unproved'), ('health'), ('actions'), ('foreign_access')) w(name);

select ok(coalesce('security_invoker=true' = any (c.reloptions), false), format('ops.%s reads with its caller''s rights', c.name))
from console c where c.relkind = 'v';

select isnt(col_description(c.oid, a.attnum), null, format('ops.%s.%s says what it means', c.name, a.attname))
from console c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where not (c.name = 'actions' and a.attname = 'id');

select is(pg_temp.try_as(r.role, null, format('select * from ops.%I', c.name)), 'denied', format('%s cannot read ops.%s', r.role, c.name))
from console c cross join (values ('anon'), ('authenticated')) r(role);

select matches(pg_temp.try_as('service_role', null, format('select * from ops.%I', c.name)), '^\d+$', format('service_role reads ops.%s', c.name))
from console c;

select is(pg_temp.try_as(r.role, null, w.statement), 'denied', format('%s cannot: %s', r.role, w.statement))
from (values ('anon'), ('authenticated'), ('service_role')) r(role)
cross join (values ('insert into ops.actions (at, action, target, who) values (now(), ''x'', ''x'', ''x'')'), ('update ops.actions set who = ''me'''),
                   ('delete from ops.actions'), ('truncate ops.actions')) w(statement);

select is(pg_temp.try_as(r.role, null, 'select * from private.held_snapshots()'), 'denied', format('%s cannot see who holds snapshots', r.role))
from (values ('anon'), ('authenticated')) r(role);

select is(p.proargnames, array['pid', 'held_for', 'application_name', 'state'], 'held snapshots come without the query')
from pg_proc p where p.oid = 'private.held_snapshots()'::regprocedure;

select is(pg_temp.try_as(r.role, null, 'select * from private.retention'), 'denied', format('%s cannot read the retention', r.role))
from (values ('anon'), ('authenticated')) r(role);

select is(pg_temp.try_as('service_role', null, w.statement), 'denied', format('service_role cannot: %s', w.statement))
from (values ('update private.retention set only_where = ''true'''), ('delete from private.retention'), ('insert into private.retention (table_name, why) values (''x'', ''y'')')) w(statement);

select throws_ok(format('update private.retention set keep = at_least - interval ''1 minute'' where table_name = %L', r.table_name), '23514', null,
                 format('%s is kept at least as long as it is needed', r.table_name))
from private.retention r where r.keep is not null;

select is_empty($$select format('%s.%s', c.relnamespace::regnamespace, c.relname) from pg_class c
                  where c.relkind in ('r', 'p') and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
                    and format('%s.%s', c.relnamespace::regnamespace, c.relname) not in (select r.table_name from private.retention r)$$,
                'every table has a bound, or says why it needs none (private.retention)');
select is_empty($$select r.table_name from private.retention r where to_regclass(r.table_name) is null and r.table_name <> 'cron.job_run_details'$$,
                'private.retention speaks of tables that there are');

select isnt(obj_description(p.oid, 'pg_proc'), null, format('%s says what it does', p.oid::regprocedure))
from pg_proc p where p.pronamespace = 'ops'::regnamespace;

select is_empty($$select p.oid::regprocedure from pg_proc p where p.pronamespace = 'ops'::regnamespace
                  and pg_get_functiondef(p.oid) !~ 'note_action'$$, 'every function that mends writes down what it did');

select * from finish();
rollback;
