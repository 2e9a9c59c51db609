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

select throws_ok('insert into private.retention (singleton) values (false)', '23514', null, 'there is one retention');

select isnt(obj_description(p.oid, 'pg_proc'), null, format('%s says what it does', p.oid::regprocedure))
from pg_proc p where p.pronamespace = 'ops'::regnamespace;

select is_empty($$select p.oid::regprocedure from pg_proc p where p.pronamespace = 'ops'::regnamespace
                  and pg_get_functiondef(p.oid) !~ 'note_action'$$, 'every function that mends writes down what it did');

select * from finish();
rollback;
