-- Every role, every table and view in public, every operation. The relations come from the catalog: a new one
-- is tested the moment it exists, and one that cannot be filled or has no agency fails until somebody decides.
begin;
\ir as_role.psql
\ir tenants.psql
select no_plan();

select is(u.problem, null, format('%s has rows of both agencies to test with', u.relation)) from unfilled u;

create temp table relations on commit drop as
select c.oid::regclass::text as relation, c.relname::text as name, c.relkind,
       case when c.relname = 'agencies' then 'id' else 'agency_id' end as agency_column,
       exists (select from pg_attribute a
               where a.attrelid = c.oid and a.attname = case when c.relname = 'agencies' then 'id' else 'agency_id' end) as tenanted,
       (select quote_ident(a.attname) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum limit 1) as some_column
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f');

select ok(r.tenanted, format('%s says whose its rows are', r.relation)) from relations r;

-- Reading ----------------------------------------------------------------------------------------------
-- Of the tables that clients may follow anon may read the keys, so that Realtime asks row security instead of telling of
-- each change; there is no row for it.
create temp table followed on commit drop as
select format('public.%I', t.name)::regclass as relation from unnest(private.followed_tables()) t(name);

select is(pg_temp.try_as('anon', null, format('select 1 from %s', r.relation)),
          case when f.relation is null then 'denied' else '0' end, format('anon sees nothing in %s', r.relation))
from relations r left join followed f on f.relation = r.relation::regclass;

select is((select string_agg(a.attname, ', ') from pg_attribute a
           where a.attrelid = r.relation::regclass and a.attnum > 0 and not a.attisdropped
             and has_column_privilege('anon', a.attrelid, a.attnum, 'select')),
          case when f.relation is not null then 'id' end, format('anon may read no column of %s but a followed key', r.relation))
from relations r left join followed f on f.relation = r.relation::regclass;

select ok(not (p.pubdelete or p.pubtruncate), 'deletions are told to nobody')
from pg_publication p where p.pubname = 'supabase_realtime';

select matches(pg_temp.read_as('authenticated', t.user_id, format('select count(*) from %s', r.relation)), '^[1-9]\d*$',
            format('a member of %s sees rows in %s', t.letter, r.relation))
from relations r cross join tenants t where r.tenanted;

select is(pg_temp.read_as('authenticated', t.user_id,
            format('select count(*) from %s where %I is distinct from %L', r.relation, r.agency_column, t.agency_id)), '0',
          format('a member of %s sees nothing of anybody else in %s', t.letter, r.relation))
from relations r cross join tenants t where r.tenanted;

select is(pg_temp.read_as('authenticated', gen_random_uuid(), format('select count(*) from %s', r.relation)), '0',
          format('a user without an agency sees nothing in %s', r.relation))
from relations r;

select is(pg_temp.read_as('authenticated', null, format('select count(*) from %s', r.relation)), '0',
          format('a token without a user sees nothing in %s', r.relation))
from relations r;

select is(pg_temp.read_as('service_role', null,
            format('select count(distinct %I) from %s where %1$I in (select agency_id from tenants)', r.agency_column, r.relation)),
          '2', format('service_role sees everybody in %s', r.relation))
from relations r where r.tenanted;

-- Writing ----------------------------------------------------------------------------------------------
create temp table writes on commit drop as
select r.*, w.operation, format(w.statement, r.relation, r.some_column) as statement
from relations r
cross join (values ('insert', 'insert into %1$s default values'),
                   ('update', 'update %1$s set %2$s = default where false'),
                   ('delete', 'delete from %1$s where false'),
                   ('truncate', 'truncate %1$s')) w(operation, statement)
where r.relkind in ('r', 'p');

select is(pg_temp.try_as('anon', null, w.statement), 'denied', format('anon cannot %s %s', w.operation, w.relation))
from writes w;

select is(pg_temp.try_as('authenticated', t.user_id, w.statement), 'denied',
          format('a member of %s cannot %s %s', t.letter, w.operation, w.relation))
from writes w cross join tenants t;

-- Rollups and the agencies' trail are written by triggers alone.
select case
         when w.name in ('earnings_daily', 'agency_trail')
           then is(pg_temp.try_as('service_role', null, w.statement), 'denied',
                   format('service_role cannot %s %s: triggers keep it', w.operation, w.relation))
         else isnt(pg_temp.try_as('service_role', null, w.statement), 'denied',
                   format('service_role may %s %s', w.operation, w.relation)) end
from writes w where w.operation in ('insert', 'update', 'delete');

select ok(not has_table_privilege(p.role, r.relation, 'insert, update, delete, truncate, references, trigger')
          and not has_any_column_privilege(p.role, r.relation, 'insert, update, references'),
          format('%s holds no right to write %s', p.role, r.relation))
from relations r cross join (values ('anon'), ('authenticated')) p(role);

select ok(not has_sequence_privilege(p.role, c.oid, 'usage, select, update'),
          format('%s holds no right on sequence %s', p.role, c.oid::regclass))
from pg_class c cross join (values ('anon'), ('authenticated')) p(role)
where c.relkind = 'S' and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace);

-- The schemas that the API does not expose ----------------------------------------------------------------
select ok(not has_table_privilege(p.role, c.oid, 'select, insert, update, delete, truncate, references, trigger')
          and not has_any_column_privilege(p.role, c.oid, 'select, insert, update, references'),
          format('%s holds no right on %s', p.role, c.oid::regclass))
from pg_class c cross join (values ('anon'), ('authenticated')) p(role)
where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace in ('private'::regnamespace, 'ops'::regnamespace);

select ok(not has_schema_privilege('anon', 'private', 'usage') and not has_schema_privilege('anon', 'ops', 'usage')
          and not has_schema_privilege('authenticated', 'ops', 'usage'), 'private and ops are closed to the API''s roles');

-- A member may ask for a sync of their own models only ----------------------------------------------------
select is(pg_temp.read_as('authenticated', mine.user_id,
            format('select left(public.request_sync(%L, ''earnings'') ->> ''model_id'', 36)', theirs.model_id)),
          'PT404 no such model in your agencies', format('a member of %s cannot sync a model of %s', mine.letter, theirs.letter))
from tenants mine join tenants theirs on theirs.letter <> mine.letter;

select is(pg_temp.read_as('anon', null, format('select public.request_sync(%L, ''earnings'')', t.model_id)), 'denied',
          'anon cannot ask for a sync')
from tenants t where t.letter = 'A';

-- Whether announcements arrive is told to members about their own agency, and to nobody about another -----
select matches(pg_temp.read_as('authenticated', t.user_id, format('select public.announcements(%L) ->> ''state''', t.agency_id)),
               '^(none|arriving|refused|missing)$', format('a member of %s learns whether announcements arrive', t.letter))
from tenants t;

select is(pg_temp.read_as('authenticated', mine.user_id, format('select public.announcements(%L)', theirs.agency_id)),
          'denied', format('a member of %s learns nothing of the announcements of %s', mine.letter, theirs.letter))
from tenants mine join tenants theirs on theirs.letter <> mine.letter;

select is(pg_temp.read_as('anon', null, format('select public.announcements(%L)', t.agency_id)), 'denied', 'a stranger does not ask')
from tenants t where t.letter = 'A';

select * from finish();
rollback;
