-- Tokens are readable for service_role alone: not through a column, a view, a function or a publication.
begin;
\ir as_role.psql
\ir tenants.psql
select no_plan();

create temp table secret_columns on commit drop as
select c.oid as table_oid, c.oid::regclass::text as relation, a.attname::text as name
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
  and a.attname ~ '(token|secret|password)' and a.attname <> 'fanvue_token_expires_at';

select cmp_ok((select count(*) from secret_columns), '>=', 2::bigint, 'there are secret columns to guard');

select ok(not has_column_privilege(p.role, s.table_oid, s.name, 'select'), format('%s cannot read %s.%s', p.role, s.relation, s.name))
from secret_columns s cross join (values ('anon'), ('authenticated')) p(role);

select is(pg_temp.try_as('authenticated', t.user_id, format('select %I from %s', s.name, s.relation)), 'denied',
          format('a member of %s is refused %s.%s', t.letter, s.relation, s.name))
from secret_columns s cross join tenants t;

select is(pg_temp.try_as('authenticated', t.user_id, 'select * from public.models'), 'denied', 'nor does select * show them')
from tenants t where t.letter = 'A';

select ok(has_column_privilege('service_role', s.table_oid, s.name, 'select'), format('service_role reads %s.%s', s.relation, s.name))
from secret_columns s;

-- Whatever a member can read of any relation, no secret is in it.
create temp table readings on commit drop as
select t.letter, x.relation,
       pg_temp.read_as('authenticated', t.user_id,
         format('select string_agg(concat_ws('' '', %s), '' '') from %s', x.columns, x.relation)) as words
from tenants t
cross join (
  select c.oid::regclass as relation, string_agg(quote_ident(a.attname), ', ') as columns
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
    and has_column_privilege('authenticated', c.oid, a.attnum, 'select')
  group by c.oid
) x;

select matches(r.words, '-.*-', format('a member of %s reads every open column of %s', r.letter, r.relation)) from readings r;
select unalike(r.words, '%secret-token%', format('what a member of %s reads of %s holds no token', r.letter, r.relation)) from readings r;

select unalike(pg_temp.read_as('authenticated', t.user_id, format('select public.request_sync(%L, ''earnings'')', t.model_id)),
               '%secret-token%', 'request_sync returns no token')
from tenants t where t.letter = 'A';

select unalike(pg_temp.read_as('service_role', null, 'select public.engine_status()::text || public.engine_doctor()::text'),
               '%secret-token%', 'status and doctor hold no token');

select matches(pg_temp.read_as('service_role', null, 'select public.engine_doctor() ->> ''server_version'''), '^\d',
               'the doctor answers the role that asks it');

select is_empty(
  $$select t.schemaname, t.tablename, c.name
    from pg_publication_tables t cross join lateral unnest(t.attnames) c(name)
    where t.pubname = 'supabase_realtime' and c.name ~ 'token|secret'$$,
  'no publication carries a secret column');

select * from finish();
rollback;
